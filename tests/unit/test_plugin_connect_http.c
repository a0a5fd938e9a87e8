/* SPDX-License-Identifier: MIT
 *
 * URLs and Retry-After of plugins/connect/http: what is understood, what is refused, what is bounded. Requests are
 * tested over real sockets in tests/system/test_reconciliation_http.py.
 */
#include "connect/http.h"

#include <errno.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address__gives_host_port_and_tls),
		cmocka_unit_test(an_address_that_is_none__is_refused_and_not_repeated),
		cmocka_unit_test(retry_after__in_seconds_or_as_a_date__is_at_most_an_hour),
		cmocka_unit_test(a_status__has_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
