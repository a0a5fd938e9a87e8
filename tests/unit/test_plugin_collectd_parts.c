/* SPDX-License-Identifier: MIT
 *
 * The pure parts of output collectd: replies taken apart, values in packets, packets sealed. Packets are read back by a
 * decoder written here from the protocol's description; that a real collectd understands them is in tests/system.
 */
#include "connect/collectd-replies.h"
#include "packet.h"
#include "seal.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- replies ---- */

struct seen {
	char text[2048];
	int count, stop_at;
};

static int see(void *arg, int32_t status, const char *text)
{
	struct seen *seen = arg;
	size_t used = strlen(seen->text);
	snprintf(seen->text + used, sizeof(seen->text) - used, "%d|%s;", (int)status, text);
	return ++seen->count == seen->stop_at ? -ECANCELED : 0;
}

/* However the bytes are cut into pieces, the replies are the same. */
static void expect_replies(const char *bytes, int status, const char *expected)
{
	size_t length = strlen(bytes);
	for (size_t piece = 1; piece <= length; piece++) {
		struct replies replies = {.length = 0};
		struct seen seen = {.count = 0};
		int got = 0;
		for (size_t at = 0; at < length && got == 0; at += piece)
			got = replies_feed(&replies, bytes + at, length - at < piece ? length - at : piece, see, &seen);
		assert_int_equal(got, status);
		assert_string_equal(seen.text, expected);
	}
}

static void replies__are_one_for_each_command(void **state)
{
	(void)state;
	expect_replies(
		"0 Success: 1 value has been dispatched.\n-1 Identifier too long.\n-1 1 Type `x' isn't defined.\n", 0,
		"0|Success: 1 value has been dispatched.;-1|Identifier too long.;-1|1 Type `x' isn't defined.;");
	expect_replies("0\n", 0, "0|;");
	expect_replies("0 \n", 0, "0|;");
	expect_replies("0 unfinished", 0, "");
	expect_replies("-1 Type `c' is unknown.\n\n0 Success\n", 0, "-1|Type `c' is unknown.;0|Success;");
}

static void a_reply_of_several_lines__is_one(void **state)
{
	(void)state;
	expect_replies("2 Values found\nrx=1\ntx=2\n0 Success\n", 0, "2|Values found;0|Success;");
	expect_replies("1 Value found\n\n0 Success\n", 0, "1|Value found;0|Success;");
}

static void what_is_not_collectd__is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"+PONG\n",
					    "-ERR unknown command\n",
					    "HTTP/1.1 400 Bad Request\n",
					    "-\n",
					    "- 1\n",
					    "99999999999 x\n",
					    "1001 x\n",
					    "0x\n",
					    " 0\n"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_replies(cases[i], -EBADMSG, "");
}

static void a_line_without_end__costs_no_memory_and_is_given_up(void **state)
{
	(void)state;
	struct replies replies = {.length = 0};
	struct seen seen = {.count = 0};
	char piece[1000];
	memset(piece, 'x', sizeof(piece));
	memcpy(piece, "0 ", 2);
	int status = 0, pieces = 0;
	while (status == 0 && pieces++ < 100)
		status = replies_feed(&replies, piece, sizeof(piece), see, &seen);
	assert_int_equal(status, -EBADMSG);
	assert_int_equal(pieces, REPLY_LINE_MAX / 1000 + 1);
	assert_int_equal(seen.count, 0);
}

static void a_long_line__is_kept_in_part_and_the_next_is_whole(void **state)
{
	(void)state;
	char bytes[1100];
	struct replies replies = {.length = 0};
	struct seen seen = {.count = 0};
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "-1 ", 3);
	memcpy(bytes + 1000, "\n0 Success\n", 12);
	assert_int_equal(replies_feed(&replies, bytes, strlen(bytes), see, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(strchr(seen.text, ';'), ";0|Success;");
	assert_int_equal(strchr(seen.text, ';') - seen.text, REPLY_KEPT_MAX);
}

static void feeding__ends_when_the_reader_says_so(void **state)
{
	(void)state;
	struct replies replies = {.length = 0};
	struct seen seen = {.stop_at = 2};
	const char *bytes = "0 a\n0 b\n0 c\n";
	assert_int_equal(replies_feed(&replies, bytes, strlen(bytes), see, &seen), -ECANCELED);
	assert_string_equal(seen.text, "0|a;0|b;");
}

/* ---- packets ---- */

static uint64_t read_big(const unsigned char *from, int bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < bytes; i++)
		number = number << 8 | from[i];
	return number;
}

static double read_little_double(const unsigned char *from)
{
	uint64_t bits = 0;
	double number;
	for (int i = 7; i >= 0; i--)
		bits = bits << 8 | from[i];
	memcpy(&number, &bits, sizeof(number));
	return number;
}

/* What a packet says, a line for each value: identifier, kind, value, time, interval. Fails on anything odd. */
static void decode(const unsigned char *packet, size_t length, char *out, size_t size)
{
	char texts[6][128] = {""};
	uint64_t time = 0, interval = 0;
	size_t used = 0;
	out[0] = '\0';
	for (size_t at = 0; at < length;) {
		assert_true(length - at >= 4);
		uint64_t type = read_big(packet + at, 2), part = read_big(packet + at + 2, 2);
		const unsigned char *body = packet + at + 4;
		assert_true(part > 4 && part <= length - at);
		if (type <= 5) {
			assert_true(part - 4 <= 128 && body[part - 5] == '\0' &&
				    strlen((const char *)body) == part - 5);
			memcpy(texts[type], body, part - 4);
		} else if (type == 8 || type == 9) {
			assert_int_equal(part, 12);
			*(type == 8 ? &time : &interval) = read_big(body, 8);
		} else {
			assert_int_equal(type, 6);
			assert_int_equal(part, 15);
			assert_int_equal(read_big(body, 2), 1);
			used += (size_t)snprintf(out + used, size - used, "%s/%s-%s/%s-%s %d ", texts[0], texts[2],
						 texts[3], texts[4], texts[5], body[2]);
			if (body[2] == COLLECTD_GAUGE)
				used += (size_t)snprintf(out + used, size - used, "%.17g",
							 read_little_double(body + 3));
			else
				used += (size_t)snprintf(out + used, size - used, "%lld",
							 (long long)read_big(body + 3, 8));
			used += (size_t)snprintf(out + used, size - used, " %.6f %.3f\n", (double)time / (1 << 30),
						 (double)interval / (1 << 30));
			assert_true(used < size);
		}
		at += part;
	}
}

static const double bounds[] = {0.1, 1, 10};
static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const struct cw_metric ended = {.name = "calls_ended_total", .kind = CW_COUNTER};
static const struct cw_metric delay = {.name = "delay_seconds",
				       .kind = CW_HISTOGRAM,
				       .collectd_type = "duration",
				       .bounds = bounds,
				       .bounds_count = 3};

static const int64_t when = 1700000000125000000;

/* The number of values added; stops at the first that does not fit. */
static uint32_t add(struct packet *packet, const char *host, const char *instance, const struct cw_sample *sample)
{
	struct cw_batch batch = {.host = host, .instance = instance};
	struct collectd_source source;
	struct collectd_value values[FORMAT_POINTS_MAX];
	collectd_source_init(&source, &batch);
	uint32_t n = collectd_values(&source, sample, values), added = 0;
	while (added < n && packet_add(packet, &source, &values[added], sample->time, 5 * CW_SECOND) == 0)
		added++;
	return added;
}

static struct cw_sample real(const struct cw_metric *metric, const char *const *labels, double value)
{
	return (struct cw_sample){.metric = metric, .labels = labels, .time = when, .number = CW_DOUBLE, .real = value};
}

static void a_packet__says_what_was_put_into_it(void **state)
{
	(void)state;
	const char *labels[] = {"healthy"};
	const uint64_t buckets[] = {0, 0, 100, 0};
	struct cw_histogram histogram = {buckets, 100, 42.5};
	struct packet packet;
	char seen[4096];
	packet_begin(&packet, /* head */ 0);
	assert_true(packet_is_empty(&packet));
	struct cw_sample sample = real(&active, labels, 812.1);
	assert_int_equal(add(&packet, "web-1", "calls", &sample), 1);
	sample = (struct cw_sample){.metric = &ended, .time = when, .number = CW_INTEGER, .integer = INT64_MAX};
	assert_int_equal(add(&packet, "web-1", "calls", &sample), 1);
	sample = (struct cw_sample){
		.metric = &delay, .time = when + CW_SECOND, .number = CW_BUCKETS, .histogram = &histogram};
	assert_int_equal(add(&packet, "web-1", "calls", &sample), 4);
	sample = real(&active, labels, -0.0);
	assert_int_equal(add(&packet, "web-2", "other", &sample), 1);
	decode(packet.bytes, packet.now.length, seen, sizeof(seen));
	assert_string_equal(
		seen, "web-1/callwatch-calls/gauge-calls_active-healthy 1 812.10000000000002 1700000000.125000 5.000\n"
		      "web-1/callwatch-calls/derive-calls_ended_total 2 9223372036854775807 1700000000.125000 5.000\n"
		      "web-1/callwatch-calls/derive-delay_seconds_count 2 100 1700000001.125000 5.000\n"
		      "web-1/callwatch-calls/duration-delay_seconds_p50 1 5.5 1700000001.125000 5.000\n"
		      "web-1/callwatch-calls/duration-delay_seconds_p95 1 9.5500000000000007 1700000001.125000 5.000\n"
		      "web-1/callwatch-calls/duration-delay_seconds_p99 1 9.9100000000000001 1700000001.125000 5.000\n"
		      "web-2/callwatch-other/gauge-calls_active-healthy 1 -0 1700000000.125000 5.000\n");
}

static void what_repeats__is_left_out(void **state)
{
	(void)state;
	struct packet packet;
	const char *one[] = {"a"}, *other[] = {"b"};
	struct cw_sample first = real(&active, one, 1), second = real(&active, other, 2);
	packet_begin(&packet, /* head */ 0);
	add(&packet, "web-1", "calls", &first);
	size_t before = packet.now.length;
	add(&packet, "web-1", "calls", &second);
	assert_int_equal(packet.now.length - before, 4 + strlen("calls_active-b") + 1 + 15);
}

static void a_full_packet__is_within_the_limit_and_says_no_half_value(void **state)
{
	(void)state;
	struct packet packet;
	char seen[16384], again[16384], label[128];
	const char *labels[] = {label};
	struct cw_sample sample = real(&active, labels, 1);
	int n = 0;
	packet_begin(&packet, /* head */ 0);
	do
		snprintf(label, sizeof(label), "%.*s%d", n % 90,
			 "........................................................................................", n);
	while (add(&packet, "h", "i", &sample) && n++ < 1000);
	assert_true(n > 10 && n < 1000);
	assert_true(packet.now.length <= PACKET_MAX && packet.now.length > PACKET_MAX - 200);
	decode(packet.bytes, packet.now.length, seen, sizeof(seen));
	const struct packet_state before = packet.now;
	assert_int_equal(add(&packet, "another host", "another instance", &sample), 0);
	assert_memory_equal(&packet.now, &before, sizeof(before));
	decode(packet.bytes, packet.now.length, again, sizeof(again));
	assert_string_equal(seen, again);
}

static void the_longest_names__fit_into_an_empty_packet_with_a_head(void **state)
{
	(void)state;
	struct packet packet;
	char name[301], seen[2048];
	const char *labels[] = {name};
	memset(name, '/', 300); /* each byte is three */
	name[300] = '\0';
	struct cw_sample sample = real(&active, labels, 1);
	packet_begin(&packet, SEAL_HEAD_MAX);
	assert_true(packet_is_empty(&packet));
	assert_int_equal(add(&packet, name, name, &sample), 1);
	decode(packet.bytes + SEAL_HEAD_MAX, packet.now.length - SEAL_HEAD_MAX, seen, sizeof(seen));
	assert_null(strpbrk(seen, "\"\\"));
}

/* ---- seals ---- */

static size_t sealed(enum security security, unsigned char *packet, size_t payload)
{
	struct seal *seal = NULL;
	assert_int_equal(seal_new(security, "user", "a secret", &seal), 0);
	size_t head = seal_head(seal);
	assert_true(head <= SEAL_HEAD_MAX);
	for (size_t i = 0; i < payload; i++)
		packet[head + i] = (unsigned char)i;
	assert_int_equal(seal_packet(seal, packet, head + payload), 0);
	seal_free(seal);
	return head + payload;
}

static void a_signature__is_of_user_and_payload(void **state)
{
	(void)state;
	unsigned char packet[512], mac[crypto_auth_hmacsha256_BYTES];
	size_t length = sealed(SECURITY_SIGN, packet, 100);
	assert_int_equal(length, 36 + 4 + 100);
	assert_int_equal(read_big(packet, 2), 0x200);
	assert_int_equal(read_big(packet + 2, 2), 36 + 4);
	assert_memory_equal(packet + 36, "user", 4);
	crypto_auth_hmacsha256_state hmac;
	crypto_auth_hmacsha256_init(&hmac, (const unsigned char *)"a secret", 8);
	crypto_auth_hmacsha256_update(&hmac, packet + 36, length - 36);
	crypto_auth_hmacsha256_final(&hmac, mac);
	assert_memory_equal(packet + 4, mac, sizeof(mac));
}

/* OFB by hand: each block of the stream is the block before, encrypted. */
static void ofb(const unsigned char *key, const unsigned char *iv, unsigned char *bytes, size_t length)
{
	unsigned char block[32];
	int n;
	EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(ecb, EVP_aes_256_ecb(), NULL, key, NULL);
	memcpy(block, iv, 16);
	for (size_t i = 0; i < length; i++) {
		if (i % 16 == 0)
			EVP_EncryptUpdate(ecb, block, &n, block, 16);
		bytes[i] ^= block[i % 16];
	}
	EVP_CIPHER_CTX_free(ecb);
}

static void an_encrypted_packet__opens_with_the_password(void **state)
{
	(void)state;
	unsigned char packet[512], key[crypto_hash_sha256_BYTES], sum[20];
	size_t length = sealed(SECURITY_ENCRYPT, packet, 100);
	assert_int_equal(length, 4 + 2 + 4 + 16 + 20 + 100);
	assert_int_equal(read_big(packet, 2), 0x210);
	assert_int_equal(read_big(packet + 2, 2), length);
	assert_int_equal(read_big(packet + 4, 2), 4);
	assert_memory_equal(packet + 6, "user", 4);
	crypto_hash_sha256(key, (const unsigned char *)"a secret", 8);
	ofb(key, packet + 10, packet + 26, length - 26);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(packet[46 + i], i);
	EVP_Digest(packet + 46, 100, sum, NULL, EVP_sha1(), NULL);
	assert_memory_equal(packet + 26, sum, sizeof(sum));
}

static void each_packet__has_an_iv_of_its_own(void **state)
{
	(void)state;
	unsigned char one[512], other[512];
	size_t length = sealed(SECURITY_ENCRYPT, one, 100);
	sealed(SECURITY_ENCRYPT, other, 100);
	assert_memory_not_equal(one + 10, other + 10, 16);
	assert_memory_not_equal(one + 26, other + 26, length - 26);
}

static void one_seal__for_many_packets(void **state)
{
	(void)state;
	for (int security = SECURITY_NONE; security <= SECURITY_ENCRYPT; security++) {
		struct seal *seal = NULL;
		unsigned char first[256] = {0}, again[256] = {0};
		assert_int_equal(seal_new((enum security)security, "user", "a secret", &seal), 0);
		size_t length = seal_head(seal) + 10;
		assert_int_equal(seal_packet(seal, first, length), 0);
		assert_int_equal(seal_packet(seal, again, length), 0);
		if (security != SECURITY_ENCRYPT)
			assert_memory_equal(first, again, length);
		else
			assert_memory_not_equal(first, again, length);
		seal_free(seal);
	}
}

static void without_user_or_password__there_is_no_seal(void **state)
{
	(void)state;
	struct seal *seal = NULL;
	char long_user[SEAL_USER_MAX + 2];
	memset(long_user, 'u', sizeof(long_user));
	long_user[SEAL_USER_MAX + 1] = '\0';
	assert_int_equal(seal_new(SECURITY_SIGN, NULL, "p", &seal), -EINVAL);
	assert_int_equal(seal_new(SECURITY_SIGN, "", "p", &seal), -EINVAL);
	assert_int_equal(seal_new(SECURITY_ENCRYPT, "u", NULL, &seal), -EINVAL);
	assert_int_equal(seal_new(SECURITY_ENCRYPT, "u", "", &seal), -EINVAL);
	assert_int_equal(seal_new(SECURITY_ENCRYPT, long_user, "p", &seal), -EINVAL);
	assert_null(seal);
	long_user[SEAL_USER_MAX] = '\0';
	assert_int_equal(seal_new(SECURITY_ENCRYPT, long_user, "p", &seal), 0);
	seal_free(seal);
	assert_int_equal(seal_new(SECURITY_NONE, NULL, NULL, &seal), 0);
	assert_int_equal(seal_head(seal), 0);
	seal_free(seal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies__are_one_for_each_command),
		cmocka_unit_test(a_reply_of_several_lines__is_one),
		cmocka_unit_test(what_is_not_collectd__is_refused),
		cmocka_unit_test(a_line_without_end__costs_no_memory_and_is_given_up),
		cmocka_unit_test(a_long_line__is_kept_in_part_and_the_next_is_whole),
		cmocka_unit_test(feeding__ends_when_the_reader_says_so),
		cmocka_unit_test(a_packet__says_what_was_put_into_it),
		cmocka_unit_test(what_repeats__is_left_out),
		cmocka_unit_test(a_full_packet__is_within_the_limit_and_says_no_half_value),
		cmocka_unit_test(the_longest_names__fit_into_an_empty_packet_with_a_head),
		cmocka_unit_test(a_signature__is_of_user_and_payload),
		cmocka_unit_test(an_encrypted_packet__opens_with_the_password),
		cmocka_unit_test(each_packet__has_an_iv_of_its_own),
		cmocka_unit_test(one_seal__for_many_packets),
		cmocka_unit_test(without_user_or_password__there_is_no_seal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
