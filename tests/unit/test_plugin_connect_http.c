/* SPDX-License-Identifier: MIT
 *
 * URLs and Retry-After of plugins/connect/http: what is understood, what is refused, what is bounded. Requests are
 * tested over real sockets in tests/system/test_reconciliation_http.py.
 */
#include "connect/http.h"
#include "http-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void an_address__gives_host_port_and_tls(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host;
		uint16_t port;
		bool is_tls;
	} cases[] = {
		{"http://backend:8000", "backend", 8000, false},
		{"http://backend", "backend", 80, false},
		{"https://backend/", "backend", 443, true},
		{"HTTPS://Backend.Example.net/base/", "Backend.Example.net", 443, true},
		{"http://10.0.0.5:1/x?y=z", "10.0.0.5", 1, false},
		{"http://[::1]:8000/", "::1", 8000, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_address address;
		char error[HTTP_REASON_MAX];
		assert_int_equal(http_address_parse(cases[i].url, &address, error), 0);
		assert_string_equal(address.at.host, cases[i].host);
		assert_int_equal(address.at.port, cases[i].port);
		assert_int_equal(address.is_tls, cases[i].is_tls);
	}
}

static void an_address_that_is_none__is_refused_and_not_repeated(void **state)
{
	(void)state;
	static const char *const cases[] = {"",
					    "canary",
					    "canary:8000",
					    "ftp://canary/",
					    "file:///etc/canary",
					    "gopher://canary",
					    "http://",
					    "http://:80/canary",
					    "http://user:canary@host/",
					    "http://canary@host/",
					    "http://canary:0/",
					    "http://canary:65536/",
					    "http://can ary/",
					    "http://can\rary/",
					    "http://b\xc3\xbc"
					    "canary/",
					    "http://host/#canary"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_address address;
		char error[HTTP_REASON_MAX] = "";
		assert_int_equal(http_address_parse(cases[i], &address, error), -EINVAL);
		assert_int_not_equal(error[0], '\0');
		assert_null(strstr(error, "canary"));
	}
}

static int64_t seconds(const char *value)
{
	/* 2026-11-25T22:00:00Z */
	return http_retry_after(value, strlen(value), 1795644000 * CW_SECOND) / CW_SECOND;
}

static void retry_after__in_seconds_or_as_a_date__is_at_most_an_hour(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		int64_t seconds;
	} cases[] = {
		{"0", 0},
		{"1", 1},
		{" 120 \r\n", 120},
		{"3600", 3600},
		{"3601", 3600},
		{"1000000000", 3600},
		{"99999999999999999999999999999999999999", 3600},
		{"Wed, 25 Nov 2026 22:02:00 GMT", 120},
		{"Wednesday, 25-Nov-26 22:02:00 GMT", 120},
		{"Wed Nov 25 22:02:00 2026", 120},
		{"Wed, 25 Nov 2036 22:02:00 GMT", 3600},
		{"Wed, 25 Nov 2020 22:02:00 GMT", 0},
		{"Wed, 25 Nov 99999999 22:02:00 GMT", 3600},
		{"-5", 0},
		{"+5", 0},
		{"5.5", 0},
		{"5s", 0},
		{"soon", 0},
		{"", 0},
		{"   ", 0},
		{"2026-11-25T22:02:00Z", 0},
		{"a date that is so long that it can be none, by any of the three forms that there are", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (seconds(cases[i].value) != cases[i].seconds)
			fail_msg("%s: %lld", cases[i].value, (long long)seconds(cases[i].value));
	assert_int_equal(http_retry_after("12\0"
					  "3",
					  4, 0),
			 0);
	assert_int_equal(http_retry_after("123", 1, 0), CW_SECOND); /* not beyond its length */
}

static void a_status__has_its_words(void **state)
{
	(void)state;
	char text[64];
	assert_string_equal(http_status_text(503, text), "503 Service Unavailable");
	assert_string_equal(http_status_text(599, text), "599");
}

/* ---- where a guarded request may go ---- */

static struct sockaddr_storage address_of(const char *text)
{
	struct sockaddr_storage address = {.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET};
	void *to = address.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&address)->sin_addr
						: (void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
	assert_int_equal(inet_pton(address.ss_family, text, to), 1);
	return address;
}

static void an_address__of_this_machine_or_its_link__is_local(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool is_local;
	} cases[] = {
		{"127.0.0.1", true},
		{"127.255.255.254", true},
		{"0.0.0.0", true},
		{"0.1.2.3", true},
		{"169.254.169.254", true},
		{"169.254.0.1", true},
		{"100.100.100.200", true},
		{"224.0.0.1", true},
		{"255.255.255.255", true},
		{"::1", true},
		{"::", true},
		{"::ffff:127.0.0.1", true},
		{"::ffff:169.254.169.254", true},
		{"::127.0.0.1", true},
		{"64:ff9b::7f00:1", true},
		{"fe80::1", true},
		{"febf::1", true},
		{"fec0::1", true},
		{"ff02::1", true},
		{"fd00:ec2::254", true},
		{"203.0.113.7", false},
		{"128.0.0.1", false},
		{"126.255.255.255", false},
		{"169.253.255.255", false},
		{"100.100.100.201", false},
		{"223.255.255.255", false},
		{"10.213.77.31", false},
		{"::ffff:203.0.113.7", false},
		{"64:ff9b::cb00:7107", false},
		{"2001:db8::1", false},
		{"fd00:ec2::255", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage address = address_of(cases[i].address);
		if (http_is_local(&address) != cases[i].is_local)
			fail_msg("%s", cases[i].address);
	}
}

static void an_address__of_an_interface_of_ours__is_local(void **state)
{
	(void)state;
	struct ifaddrs *all;
	assert_int_equal(getifaddrs(&all), 0);
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
		if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&address, one->ifa_addr, sizeof(struct sockaddr_in));
		((struct sockaddr_in *)&address)->sin_port = htons(8470);
		assert_true(http_is_local(&address));
	}
	freeifaddrs(all);
}

struct listing {
	struct cw_value children[3], options[2], root;
};

static const struct cw_value *listing(struct listing *to, const char *const *entries, const char *url)
{
	uint32_t n = 0;
	for (; entries[n]; n++)
		to->children[n] = (struct cw_value){.type = CW_OPTION_STRING, .known = true, .string = entries[n]};
	to->options[0] = (struct cw_value){
		.key = "allow_local", .type = CW_OPTION_LIST, .known = n > 0, .children = to->children, .count = n};
	to->options[1] = (struct cw_value){.key = "url", .type = CW_OPTION_STRING, .known = url != NULL, .string = url};
	to->root = (struct cw_value){.type = CW_OPTION_GROUP, .known = true, .children = to->options, .count = 2};
	return &to->root;
}

static void a_local_address__is_gone_to_only_where_it_is_listed(void **state)
{
	(void)state;
	static const struct {
		const char *entries[3], *address;
		uint16_t port;
		bool may;
	} cases[] = {
		{{NULL}, "203.0.113.7", 80, true},
		{{NULL}, "127.0.0.1", 80, false},
		{{"127.0.0.1", NULL}, "127.0.0.1", 80, true},
		{{"127.0.0.1", NULL}, "::ffff:127.0.0.1", 80, true},
		{{"127.0.0.1", NULL}, "127.0.0.2", 80, false},
		{{"127.0.0.1:9000", NULL}, "127.0.0.1", 9000, true},
		{{"127.0.0.1:9000", NULL}, "127.0.0.1", 8470, false},
		{{"10.0.0.1", "[::1]:9000", NULL}, "::1", 9000, true},
		{{"10.0.0.1", "[::1]:9000", NULL}, "::1", 9001, false},
		{{"10.0.0.1", "::1", NULL}, "::1", 9001, true},
		{{"localhost", NULL}, "127.0.0.1", 80, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listing made;
		struct sockaddr_storage address = address_of(cases[i].address);
		const struct cw_value *options = listing(&made, cases[i].entries, NULL);
		if (http_may_connect(options, &address, cases[i].port) != cases[i].may)
			fail_msg("case %zu: %s", i, cases[i].address);
	}
}

struct said {
	struct cw_problems problems;
	char text[600];
};

static CW_PRINTF(3, 4) void keep_said(struct cw_problems *problems, const struct cw_value *value, const char *format,
				      ...)
{
	struct said *said = (struct said *)problems;
	va_list list;
	(void)value;
	va_start(list, format);
	vsnprintf(said->text, sizeof(said->text), format, list);
	va_end(list);
}

static void a_url__that_leads_back_here__is_an_error_of_the_configuration(void **state)
{
	(void)state;
	static const struct {
		const char *entries[3], *url, *says; /* NULL: nothing */
	} cases[] = {
		{{NULL}, "https://hooks.example.net/x", NULL},
		{{NULL}, "http://10.213.77.31:9000/", NULL},
		{{NULL}, "http://127.0.0.1:8470/canary", "allow_local: [\"127.0.0.1\"]"},
		{{NULL}, "http://[::1]:8470/canary", "allow_local: [\"::1\"]"},
		{{NULL}, "http://2130706433/canary", "allow_local"}, /* the same, as one number */
		{{NULL}, "http://169.254.169.254/latest/canary", "leads to this machine"},
		{{"127.0.0.1:8470", NULL}, "http://127.0.0.1:8470/", NULL},
		{{"127.0.0.1:8471", NULL}, "http://127.0.0.1:8470/", "leads to this machine"},
		{{"localhost", NULL}, "https://hooks.example.net/", "allow_local holds addresses"},
		{{"127.0.0.1:99999", NULL}, "https://hooks.example.net/", "allow_local holds addresses"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listing made;
		struct said said = {.problems = {keep_said, keep_said}, .text = ""};
		http_check_guarded(listing(&made, cases[i].entries, cases[i].url), "url", &said.problems);
		if (cases[i].says ? !strstr(said.text, cases[i].says) : said.text[0])
			fail_msg("case %zu: %s", i, said.text);
		assert_null(strstr(said.text, "canary"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address__gives_host_port_and_tls),
		cmocka_unit_test(an_address_that_is_none__is_refused_and_not_repeated),
		cmocka_unit_test(retry_after__in_seconds_or_as_a_date__is_at_most_an_hour),
		cmocka_unit_test(a_status__has_its_words),
		cmocka_unit_test(an_address__of_this_machine_or_its_link__is_local),
		cmocka_unit_test(an_address__of_an_interface_of_ours__is_local),
		cmocka_unit_test(a_local_address__is_gone_to_only_where_it_is_listed),
		cmocka_unit_test(a_url__that_leads_back_here__is_an_error_of_the_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
