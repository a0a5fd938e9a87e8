/* SPDX-License-Identifier: MIT
 *
 * The pure parts of redis-calls and connect/redis: addresses, the limited RESP reader, fields and messages, the wheel,
 * the bounded memory, calls per business.
 */
#include "businesses.h"
#include "connect/redis.h"
#include "parse.h"
#include "seen.h"
#include "wheel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- addresses ---- */

static void address__good_ones_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host, *user;
		uint16_t port;
		uint32_t database;
	} cases[] = {
		{"redis://h", "h", "", 6379, 0},
		{"redis://h/", "h", "", 6379, 0},
		{"redis://h:1/15", "h", "", 1, 15},
		{"redis://u@h:6380/3", "h", "u", 6380, 3},
		{"redis://[::1]:7/2", "::1", "", 7, 2},
		{"redis://[fe80::1]", "fe80::1", "", 6379, 0},
		{"unix:///run/redis.sock", "/run/redis.sock", "", 0, 0},
		{"unix:///run/redis.sock?db=4", "/run/redis.sock", "", 0, 4},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_address address;
		char error[REDIS_ERROR_MAX];
		assert_int_equal(redis_address_parse(cases[i].url, &address, error), 0);
		assert_string_equal(address.host, cases[i].host);
		assert_string_equal(address.user, cases[i].user);
		assert_int_equal(address.port, cases[i].port);
		assert_int_equal(address.database, cases[i].database);
	}
}

static void address__bad_ones_are_refused_without_repeating_them(void **state)
{
	(void)state;
	static const char *const cases[] = {"",
					    "redis:",
					    "redis://",
					    "redis:///0",
					    "redis://:geheim@h",
					    "redis://u:geheim@h:1/0",
					    "redis://h:",
					    "redis://h:65536",
					    "redis://h:1/geheim",
					    "redis://h?geheim",
					    "redis://[::1",
					    "rediss://u:geheim@h",
					    "rediss:geheim",
					    "unix://geheim",
					    "unix:///x?geheim",
					    "unix:///x?db=99999999999"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_address address;
		char error[REDIS_ERROR_MAX] = "";
		if (redis_address_parse(cases[i], &address, error) != -EINVAL)
			fail_msg("taken: %s", cases[i]);
		assert_true(strlen(error) > 10);
		assert_null(strstr(error, "geheim"));
	}
}

/* ---- RESP ---- */

static int parse_all(const char *bytes, size_t length, uint32_t *ret_replies)
{
	struct redis_parser *parser = redis_parser_new();
	const redisReply *reply = NULL;
	int status = 0;
	*ret_replies = 0;
	for (size_t at = 0; at < length && status == 0; at += 4096) {
		status = redis_parser_feed(parser, bytes + at, length - at < 4096 ? length - at : 4096);
		while (status == 0 && (status = redis_parser_next(parser, &reply)) == 0 && reply)
			(*ret_replies)++;
	}
	redis_parser_free(parser);
	return status;
}

static void resp__announced_sizes_allocate_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		int status;
		uint32_t replies;
	} cases[] = {
		{"+OK\r\n:1\r\n$-1\r\n*-1\r\n$0\r\n\r\n*0\r\n", 0, 6},
		{"*2147483647\r\n", -EMSGSIZE, 0},
		{"*1\r\n*1\r\n*99999999\r\n", -EMSGSIZE, 0},
		{"$-5\r\n", -EBADMSG, 0},
		{"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", -EBADMSG, 0},
		{"HTTP/1.1 400 Bad Request\r\n", -EBADMSG, 0},
		{"$536870912\r\nabc", 0, 0}, /* waits for more, and gets no more than 1 MiB */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t replies;
		assert_int_equal(parse_all(cases[i].bytes, strlen(cases[i].bytes), &replies), cases[i].status);
		assert_int_equal(replies, cases[i].replies);
	}
}

/* "*3 small, huge, small" and a reply behind it, in pieces of any size. */
static void resp__what_is_too_large_can_be_skipped(void **state)
{
	(void)state;
	static const size_t huge[] = {REDIS_SKIP_OVER + 1, 900000, (1 << 20) - 70000, 1 << 20, (1 << 20) + 1, 5 << 20};
	static const size_t pieces[] = {65536, 4096, 1460, 65535};
	for (size_t i = 0; i < sizeof(huge) / sizeof(huge[0]) * 4; i++) {
		size_t n = huge[i / 4], piece = pieces[i % 4], length;
		char *name = malloc(n), *bytes = malloc(n + 100), *end = bytes;
		end += sprintf(end, "*3\r\n$1\r\na\r\n");
		memset(name, 'x', n);
		end = redis_bulk(end, name, n);
		end += sprintf(end, "$1\r\nb\r\n+OK\r\n");
		length = (size_t)(end - bytes);
		struct redis_parser *parser = redis_parser_new();
		const redisReply *reply = NULL;
		uint32_t replies = 0;
		redis_parser_skip_large(parser, true);
		for (size_t at = 0; at < length; at += piece) {
			assert_int_equal(
				redis_parser_feed(parser, bytes + at, length - at < piece ? length - at : piece), 0);
			while (redis_parser_next(parser, &reply) == 0 && reply)
				if (replies++ == 0) {
					assert_int_equal(reply->elements, 3);
					assert_string_equal(reply->element[0]->str, "a");
					assert_true(redis_is_error(reply->element[1], "TOOLARGE"));
					assert_string_equal(reply->element[2]->str, "b");
				}
		}
		assert_int_equal(replies, 2);
		redis_parser_free(parser);
		free(bytes);
		free(name);
	}
}

static void resp__too_many_bytes_are_refused(void **state)
{
	(void)state;
	size_t size = 6 << 20;
	char *bytes = malloc(size);
	uint32_t replies;
	memset(bytes, 'x', size);
	memcpy(bytes, "$9999999\r\n", 10);
	assert_int_equal(parse_all(bytes, size, &replies), -EMSGSIZE);
	memset(bytes, 'x', size);
	bytes[0] = '+'; /* a line without an end */
	assert_int_equal(parse_all(bytes, size, &replies), -EMSGSIZE);
	size_t at = (size_t)sprintf(bytes, "*100\r\n"); /* many strings, each small enough */
	for (int i = 0; i < 100 && at + 60100 < size; i++) {
		at += (size_t)sprintf(bytes + at, "$60000\r\n");
		memset(bytes + at, 'y', 60000);
		at += 60000;
		at += (size_t)sprintf(bytes + at, "\r\n");
	}
	assert_int_equal(parse_all(bytes, at, &replies), -EMSGSIZE);
	free(bytes);
}

static void bulk__is_what_redis_reads(void **state)
{
	(void)state;
	char buffer[64];
	*redis_bulk(buffer, "", 0) = '\0';
	assert_string_equal(buffer, "$0\r\n\r\n");
	*redis_bulk(buffer, "hello world", 11) = '\0';
	assert_string_equal(buffer, "$11\r\nhello world\r\n");
}

/* ---- messages and fields ---- */

static void beat__is_read_from_bare_texts_and_json(void **state)
{
	(void)state;
	static const struct {
		const char *message, *sid; /* NULL: refused */
		bool flat, has_time;
		int64_t time;
	} cases[] = {
		{"CA1", "CA1", false, false, 0},
		{"a b", "a b", false, false, 0},
		{"{brace", "{brace", false, false, 0},
		{"{\"call_sid\":\"CA1\"}", "CA1", true, false, 0},
		{" { \"call_sid\" : \"CA1\" , \"timestamp\" : 1761480000.5 } ", "CA1", true, true, 1761480000500000000},
		{"{\"timestamp\":\"2025-10-26T12:00:00Z\",\"call_sid\":\"CA1\"}", "CA1", true, true,
		 1761480000000000000},
		{"{\"call_sid\":\"\\u0043A1\"}", "CA1", false, false, 0},
		{"{\"call_sid\":\"CA1\",\"timestamp\":\"soon\"}", "CA1", false, false, 0},
		{"{\"call_sid\":\"CA1\",\"worker\":{\"a\":[1]}}", "CA1", false, false, 0},
		{"{\"call_sid\":\"CA1\",\"timestamp\":null}", "CA1", false, false, 0},
		{"{\"call_sid\":7}", NULL, false, false, 0},
		{"{\"call_sid\":\"\"}", NULL, false, false, 0},
		{"{\"call_sid\":\"a\",\"call_sid\":\"b\"}", NULL, false, false, 0},
		{"{\"call_sid\":\"CA1\"} x", NULL, false, false, 0},
		{"", NULL, false, false, 0},
		{"a\nb", NULL, false, false, 0},
		{"\xff", NULL, false, false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct beat beat = {0}, flat = {0};
		size_t length = strlen(cases[i].message);
		int status = parse_beat(cases[i].message, length, &beat);
		if (status != (cases[i].sid ? 0 : -EINVAL))
			fail_msg("%s", cases[i].message);
		assert_int_equal(parse_beat_flat(cases[i].message, length, &flat) == 0, cases[i].flat);
		if (status < 0)
			continue;
		assert_int_equal(beat.sid.length, strlen(cases[i].sid));
		assert_memory_equal(beat.sid.text, cases[i].sid, beat.sid.length);
		assert_int_equal(beat.has_time, cases[i].has_time);
		if (beat.has_time)
			assert_int_equal(beat.time, cases[i].time);
	}
}

static void sid__any_printable_text_up_to_128_bytes(void **state)
{
	(void)state;
	char text[200];
	memset(text, 'x', sizeof(text));
	assert_int_equal(parse_sid(text, 128), 0);
	assert_int_equal(parse_sid(text, 129), -EMSGSIZE);
	assert_int_equal(parse_sid("", 0), -EINVAL);
	assert_int_equal(parse_sid("a\0b", 3), -EINVAL);
	assert_int_equal(parse_sid("\x7f", 1), -EINVAL);
	assert_int_equal(parse_sid("caf\xc3\xa9", 5), 0);
	assert_int_equal(parse_sid("caf\xc3", 4), -EINVAL);
}

static void heartbeat__odd_values_are_told_apart(void **state)
{
	(void)state;
	int64_t now = 1761480000 * CW_SECOND, time = 0;
	uint32_t malformed = 0;
	assert_int_equal(parse_heartbeat("1761479999.123", 14, now, &time, &malformed), 0);
	assert_int_equal(time, 1761479999123000000);
	assert_int_equal(malformed, 0);
	assert_int_equal(parse_heartbeat("", 0, now, &time, &malformed), -ENOENT);
	assert_int_equal(malformed, 0);
	assert_int_equal(parse_heartbeat("nan", 3, now, &time, &malformed), -EINVAL);
	assert_int_equal(malformed, 1u << BAD_NUMBER);
	malformed = 0;
	assert_int_equal(parse_heartbeat("1761480100", 10, now, &time, &malformed), 0);
	assert_int_equal(malformed, 1u << FUTURE_TIME);
}

/* ---- the wheel ---- */

enum { LINKS = 8 };

static void pop_all(struct wheel *wheel, char *text)
{
	uint32_t i;
	*text = '\0';
	for (bool popped[LINKS] = {0}; wheel_pop(wheel, &i);) {
		assert_true(i < LINKS && !popped[i]);
		popped[i] = true;
		text[strlen(text) + 1] = '\0';
		text[strlen(text)] = (char)('0' + i);
	}
}

static void wheel__each_falls_due_not_before_its_instant(void **state)
{
	(void)state;
	struct wheel_link links[LINKS];
	struct wheel wheel;
	char due[LINKS + 1];
	int64_t start = 1000 * CW_SECOND;
	wheel_init(&wheel, start);
	wheel_rebase(&wheel, links, sizeof(links[0]));
	for (uint32_t i = 0; i < LINKS; i++)
		wheel_link_init(&links[i]);
	wheel_file(&wheel, 0, start + 5 * CW_SECOND);
	wheel_file(&wheel, 1, start + 5 * CW_SECOND);
	wheel_file(&wheel, 2, start + 5 * CW_SECOND);
	wheel_file(&wheel, 3, start - 100 * CW_SECOND);  /* long past: the next bucket */
	wheel_file(&wheel, 4, start + 3600 * CW_SECOND); /* beyond the wheel: looked at on the way */
	wheel_take(&wheel, 1);                           /* out of the middle */
	assert_false(wheel_has(&wheel, 1));
	wheel_advance(&wheel, start + 5 * CW_SECOND);
	pop_all(&wheel, due);
	assert_string_equal(due, "3");
	wheel_advance(&wheel, start + 6 * CW_SECOND);
	pop_all(&wheel, due);
	assert_int_equal(strlen(due), 2);
	wheel_file(&wheel, 0, start + 9 * CW_SECOND);
	wheel_file(&wheel, 0, start + 20 * CW_SECOND); /* moved */
	wheel_advance(&wheel, start + 15 * CW_SECOND);
	pop_all(&wheel, due);
	assert_string_equal(due, "");
	wheel_advance(&wheel, start + 100000 * CW_SECOND); /* a long sleep */
	pop_all(&wheel, due);
	assert_int_equal(strlen(due), 2);
}

/* ---- memory ---- */

static void seen__forgets_the_smallest_and_says_so(void **state)
{
	(void)state;
	struct seen seen;
	seen_init(&seen, 1);
	for (uint64_t i = 1; i <= 8; i++)
		seen_put(&seen, i, (int64_t)i);
	assert_int_equal(seen.forgotten, 0);
	seen_put(&seen, 5, 50);
	seen_put(&seen, 9, 9);
	assert_int_equal(seen.forgotten, 1);
	assert_int_equal(seen_get(&seen, 1), 0);
	assert_int_equal(seen_get(&seen, 5), 50);
	assert_int_equal(seen_get(&seen, 9), 9);
	seen_clear(&seen);
	assert_int_equal(seen_get(&seen, 9), 0);
	seen_release(&seen);
}

static void note_business(void *arg, const char *name, uint64_t calls)
{
	char *text = arg;
	sprintf(text + strlen(text), "%s=%llu ", name ? name : "_other", (unsigned long long)calls);
}

static void businesses__the_top_and_the_rest(void **state)
{
	(void)state;
	struct businesses *businesses = businesses_new();
	char text[200] = "";
	static const char *const names[] = {"b", "a", "c", "c", "c", "d"};
	for (uint32_t i = 0; i < 6; i++)
		businesses_set(businesses, i, names[i], 1, (uint64_t)names[i][0], true);
	businesses_set(businesses, 100, NULL, 0, 0, true);
	businesses_top(businesses, 2, 7, note_business, text);
	assert_string_equal(text, "c=3 a=1 _other=3 ");
	businesses_set(businesses, 2, "d", 1, 'd', true);
	businesses_set(businesses, 3, NULL, 0, 0, true);
	businesses_set(businesses, 4, NULL, 0, 0, true);
	text[0] = '\0';
	businesses_top(businesses, 10, 4, note_business, text);
	assert_string_equal(text, "d=2 a=1 b=1 _other=0 ");
	businesses_set(businesses, 5, "+1", 2, 7, false); /* may be no label */
	text[0] = '\0';
	businesses_top(businesses, 10, 4, note_business, text);
	assert_string_equal(text, "a=1 b=1 d=1 _other=1 ");
	businesses_free(businesses);
}

/* The ids of a list, in its order. */
static const char *list_of(const struct businesses *businesses, enum business_list list)
{
	static char text[200];
	text[0] = '\0';
	const struct business *before = NULL;
	for (const struct business *b = businesses->first[list]; b; before = b, b = b->behind) {
		assert_ptr_equal(b->before, before);
		assert_int_equal(b->list, list);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", b->id);
	}
	assert_ptr_equal(businesses->last[list], before);
	return text;
}

static void businesses__are_in_one_list_each_until_their_last_call_ends(void **state)
{
	(void)state;
	struct businesses *businesses = businesses_new();
	static const char *const ids[] = {"a", "b", "c", "a", "d"};
	for (uint32_t i = 0; i < 5; i++)
		businesses_set(businesses, i, ids[i], 1, (uint64_t)ids[i][0], true);
	assert_string_equal(list_of(businesses, TO_ASK), "a b c d ");
	businesses_move(businesses, businesses_find(businesses, "b", 1, 'b'), ASKED, 5);
	businesses_move(businesses, businesses_find(businesses, "a", 1, 'a'), ASKED, 6);
	businesses_move(businesses, businesses_find(businesses, "d", 1, 'd'), ANSWERED, 7);
	assert_string_equal(list_of(businesses, TO_ASK), "c ");
	assert_string_equal(list_of(businesses, ASKED), "b a ");
	assert_string_equal(list_of(businesses, ANSWERED), "d ");
	assert_int_equal(businesses->last[ASKED]->since, 6);
	businesses_set(businesses, 0, NULL, 0, 0, true); /* it has another call */
	assert_string_equal(list_of(businesses, ASKED), "b a ");
	businesses_set(businesses, 3, NULL, 0, 0, true);
	businesses_set(businesses, 1, "c", 1, 'c', true);
	businesses_set(businesses, 4, NULL, 0, 0, true);
	assert_string_equal(list_of(businesses, ASKED), "");
	assert_string_equal(list_of(businesses, ANSWERED), "");
	assert_null(businesses_find(businesses, "a", 1, 'a'));
	assert_int_equal(businesses->count, 1);
	businesses_free(businesses);
}

static void businesses__many_are_found_whatever_their_hashes(void **state)
{
	(void)state;
	struct businesses *businesses = businesses_new();
	char id[16];
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		businesses_set(businesses, i, id, strlen(id), i % 3 ? i * 0x9e3779b97f4a7c15u : 1, true);
	}
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(id, sizeof(id), "%u", i);
		const struct business *found =
			businesses_find(businesses, id, strlen(id), i % 3 ? i * 0x9e3779b97f4a7c15u : 1);
		assert_ptr_equal(found, businesses->of_row[i]);
		assert_string_equal(found->id, id);
	}
	businesses_free(businesses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address__good_ones_are_read),
		cmocka_unit_test(address__bad_ones_are_refused_without_repeating_them),
		cmocka_unit_test(resp__announced_sizes_allocate_nothing),
		cmocka_unit_test(resp__what_is_too_large_can_be_skipped),
		cmocka_unit_test(resp__too_many_bytes_are_refused),
		cmocka_unit_test(bulk__is_what_redis_reads),
		cmocka_unit_test(beat__is_read_from_bare_texts_and_json),
		cmocka_unit_test(sid__any_printable_text_up_to_128_bytes),
		cmocka_unit_test(heartbeat__odd_values_are_told_apart),
		cmocka_unit_test(wheel__each_falls_due_not_before_its_instant),
		cmocka_unit_test(seen__forgets_the_smallest_and_says_so),
		cmocka_unit_test(businesses__the_top_and_the_rest),
		cmocka_unit_test(businesses__are_in_one_list_each_until_their_last_call_ends),
		cmocka_unit_test(businesses__many_are_found_whatever_their_hashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
