/* SPDX-License-Identifier: MIT
 *
 * The pure parts of dlq: what a message says, how it is reset, which errors are of one kind, where a page goes on.
 */
#include "align.h"
#include "message.h"
#include "normalise.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- JSON: valid is readable, the rest is not, and nothing harms ---- */

/* In the spirit of public collections of cases for JSON parsers: `y` has to be accepted, `n` refused, `i` may be either
 * but must not harm. Each stands as the value of original_data. */
static const struct json_case {
	char verdict;
	const char *text;
	size_t length; /* 0: to the NUL */
} json_cases[] = {
	{'y', "[]", 0},
	{'y', "[[]   ]", 0},
	{'y', "{}", 0},
	{'y', "null", 0},
	{'y', "true", 0},
	{'y', "false", 0},
	{'y', " [1 , 2\t,\n3\r] ", 0},
	{'y', "[null, 1, \"1\", {}]", 0},
	{'y', "{\"a\":\"b\",\"a\":\"c\"}", 0},
	{'y', "{\"a\":\"b\",\"a\":\"b\"}", 0},
	{'y', "{\"\":0}", 0},
	{'y', "{\"foo\\u0000bar\": 42}", 0},
	{'y', "{\"min\": -1.0e+28, \"max\": 1.0e+28}", 0},
	{'y', "{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}", 0},
	{'y', "0", 0},
	{'y', "-0", 0},
	{'y', "[-0]", 0},
	{'y', "0e+1", 0},
	{'y', "0e1", 0},
	{'y', "1E22", 0},
	{'y', "1E-2", 0},
	{'y', "1E+2", 0},
	{'y', "123e45", 0},
	{'y', "123.456e78", 0},
	{'y', "123.456789", 0},
	{'y', "-123", 0},
	{'y', "-1", 0},
	{'y', "-0.000000000000000000000000000000000000000000000000000000000000000000000000000001", 0},
	{'y', "20e1", 0},
	{'y', "4", 0},
	{'y', "18446744073709551615", 0},
	{'y', "99999999999999999999999999999999999999999999999999", 0},
	{'y', "1e999999", 0},
	{'y', "-1e-999999", 0},
	{'y', "[1e1]", 0},
	{'y', "\"\"", 0},
	{'y', "\"\\u0060\\u012a\\u12AB\"", 0},
	{'y', "\"\\uD801\\udc37\"", 0},
	{'y', "\"\\ud83d\\ude39\\ud83d\\udc8d\"", 0},
	{'y', "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0},
	{'y', "\"\\\\u0000\"", 0},
	{'y', "\"\\\"\"", 0},
	{'y', "\"a/*b*/c/*d//e\"", 0},
	{'y', "\"\\\\a\"", 0},
	{'y', "\"\\\\n\"", 0},
	{'y', "\"\\u0012\"", 0},
	{'y', "\"\\uFFFF\"", 0},
	{'y', "\"\\u0000\"", 0},
	{'y', "\"asd\"", 0},
	{'y', "\"\xf4\x8f\xbf\xbf\"", 0},
	{'y', "\"\xef\xbf\xbf\"", 0},
	{'y', "\"\xe2\x80\xa8\xe2\x80\xa9\"", 0},
	{'y', "\"\xe2\x82\xac\xf0\x9d\x84\x9e\"", 0},
	{'y', "\"\x7f\"", 0},
	{'y',
	 "\"\x7f"
	 "5\"",
	 0},
	{'y', "\"\\u005C\"", 0},
	{'y', "\"\\u0022\"", 0},
	{'y', "\"\\uDBFF\\uDFFE\"", 0},
	{'y', "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", 0},
	{'n', "", 0},
	{'n', "[", 0},
	{'n', "]", 0},
	{'n', "[1,]", 0},
	{'n', "[,1]", 0},
	{'n', "[1,,2]", 0},
	{'n', "[\"x\",,]", 0},
	{'n', "[1 true]", 0},
	{'n', "[3[4]]", 0},
	{'n', "[\"\": 1]", 0},
	{'n', "[\"a\",\n4\n,1,", 0},
	{'n', "[*]", 0},
	{'n', "[1", 0},
	{'n', "[1}", 0},
	{'n', "{\"a\":1]", 0},
	{'n', "{1:1}", 0},
	{'n', "{-5:1}", 0},
	{'n', "{1 :1}", 0},
	{'n', "{9999E9999:1}", 0},
	{'n', "{null:null}", 0},
	{'n', "{a: \"b\"}", 0},
	{'n', "{'a':0}", 0},
	{'n', "{\"a\"}", 0},
	{'n', "{\"a\" \"b\"}", 0},
	{'n', "{\"a\":", 0},
	{'n', "{\"a\"::1}", 0},
	{'n', "{\"a\":1,}", 0},
	{'n', "{\"a\":1,,\"b\":2}", 0},
	{'n', "{,\"a\":1}", 0},
	{'n', "{\"a\":/*comment*/\"b\"}", 0},
	{'n', "{\"a\":\"b\"}#", 0},
	{'n', "[1]//", 0},
	{'n', "tru", 0},
	{'n', "nul", 0},
	{'n', "fals", 0},
	{'n', "True", 0},
	{'n', "tr ue", 0},
	{'n', "NaN", 0},
	{'n', "-NaN", 0},
	{'n', "Infinity", 0},
	{'n', "-Infinity", 0},
	{'n', "inf", 0},
	{'n', "01", 0},
	{'n', "-01", 0},
	{'n', "-012", 0},
	{'n', "+1", 0},
	{'n', "++1234", 0},
	{'n', "--1", 0},
	{'n', "-", 0},
	{'n', "- 1", 0},
	{'n', "1 000.0", 0},
	{'n', "1.", 0},
	{'n', "-2.", 0},
	{'n', ".123", 0},
	{'n', "-.123", 0},
	{'n', "2.e3", 0},
	{'n', "0.e1", 0},
	{'n', "0e", 0},
	{'n', "0e+", 0},
	{'n', "1.0e-", 0},
	{'n', "1eE2", 0},
	{'n', "0.3e+", 0},
	{'n', "1+2", 0},
	{'n', "0x1", 0},
	{'n', "0x42", 0},
	{'n', "1a", 0},
	{'n', "-1x", 0},
	{'n', "1ea", 0},
	{'n', "1.2a-3", 0},
	{'n', "\xef\xbc\x91", 0},
	{'n', "\"", 0},
	{'n', "\"a", 0},
	{'n', "\"\\\"", 0},
	{'n', "\"\\x00\"", 0},
	{'n', "\"\\a\"", 0},
	{'n', "\"\\u00A\"", 0},
	{'n', "\"\\u\"", 0},
	{'n', "\"\\uD834\\u\"", 0},
	{'n', "\"\\uqqqq\"", 0},
	{'n', "\"\\\"", 0},
	{'n', "\"\n\"", 0},
	{'n', "\"\t\"", 0},
	{'n', "\"a\0b\"", 5},
	{'n', "1\0", 2},
	{'n', "'single quote'", 0},
	{'n', "abc", 0},
	{'n', "\"\xff\"", 0},
	{'n', "\"\xc0\xaf\"", 0},
	{'n', "\"\xe0\x80\xaf\"", 0},
	{'n', "\"\xed\xa0\x80\"", 0},
	{'n', "\"\xf4\xbf\xbf\xbf\"", 0},
	{'n', "\xef\xbb\xbf{}", 0},
	{'n', "\xc2\xa0", 0},
	{'n', "\f[]", 0},
	{'n', "\xe2\x81\xa0", 0},
	{'n', "1]", 0},
	{'n', "{}}", 0},
	{'n', "<.>", 0},
	{'n', "@", 0},
	{'n', "[\"\xff\"]", 0},
	{'i', "\"\\uD800\"", 0},
	{'i', "\"\\uD800\\n\"", 0},
	{'i', "\"\\uDFAA\"", 0},
	{'i', "\"\\uDd1e\\uD834\"", 0},
	{'i', "\"\\uD888\\u1234\"", 0},
	{'i', "\"\\uD800\\uD800\\u0000\"", 0},
	{'i',
	 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
	 "]"
	 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	 0},
};

static void json_that_is_valid_is_readable_and_the_rest_is_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(json_cases) / sizeof(json_cases[0]); i++) {
		const struct json_case *c = &json_cases[i];
		char raw[512];
		size_t length = c->length ? c->length : strlen(c->text);
		int head = snprintf(raw, sizeof(raw), "{\"call_sid\":\"CA1\",\"error\":\"e\",\"original_data\":");
		memcpy(raw + head, c->text, length);
		raw[(size_t)head + length] = '}';
		struct message message;
		message_read(raw, (size_t)head + length + 1, &message);
		if (c->verdict != 'i' && message.is_readable != (c->verdict == 'y'))
			fail_msg("%s: %s", c->text, message.is_readable ? "readable" : message.why);
		message_release(&message);
	}
}

static void expect_unreadable(const char *raw, const char *why)
{
	struct message message;
	message_read(raw, strlen(raw), &message);
	if (message.is_readable || !strstr(message.why, why))
		fail_msg("%.60s: %s, not %s", raw, message.is_readable ? "readable" : message.why, why);
	message_release(&message);
}

static void what_has_a_wrong_type_is_unreadable_and_says_so(void **state)
{
	(void)state;
	expect_unreadable("[]", "no JSON object");
	expect_unreadable("\"text\"", "no JSON object");
	expect_unreadable("42", "no JSON object");
	expect_unreadable("", "not JSON");
	expect_unreadable("{\"call_sid\":{}}", "call_sid is no text");
	expect_unreadable("{\"action\":[1]}", "action is no text");
	expect_unreadable("{\"error\":true}", "error is no text");
	expect_unreadable("{\"retry_count\":\"x\"}", "retry_count is no whole number");
	expect_unreadable("{\"retry_count\":-1}", "retry_count is no whole number");
	expect_unreadable("{\"retry_count\":1.5}", "retry_count is no whole number");
	expect_unreadable("{\"retry_count\":1e999999}", "retry_count is no whole number");
	expect_unreadable("{\"max_retries\":99999999999999999999}", "max_retries is no whole number");
	expect_unreadable("{\"next_retry_at\":{}}", "next_retry_at is no time");
	expect_unreadable("{\"a\":\"\xff\"}", "not UTF-8");
}

static bool is_text(struct text text, const char *expected)
{
	return text.text && text.length == strlen(expected) && memcmp(text.text, expected, text.length) == 0;
}

static void a_message_says_what_its_members_say(void **state)
{
	(void)state;
	const char *raw =
		"{\"call_sid\": 18446744073709551615, \"action\": \"create\", \"retry_count\": 2, \"max_retries\":"
		" \"5\", \"error\": {\"message\": \"boom\"}, \"next_retry_at\": \"2026-11-25T10:00:00.5\", "
		"\"original_data\": {\"business_id\": \"b-1\", \"call_log_id\": null}}";
	struct message message;
	message_read(raw, strlen(raw), &message);
	assert_true(message.is_readable);
	assert_true(is_text(message.call_sid, "18446744073709551615"));
	assert_true(is_text(message.action, "create"));
	assert_true(is_text(message.error, "boom"));
	assert_true(is_text(message.business_id, "b-1"));
	assert_null(message.call_log_id.text);
	assert_int_equal(message.retry_count, 2);
	assert_int_equal(message.max_retries, 5);
	assert_true(message.has_due);
	assert_int_equal(message.due, 1795600800 * CW_SECOND + CW_SECOND / 2);
	message_release(&message);
}

static void test_fault_22_of_two_members_the_last_counts_and_numbers_stay_text(void **state)
{
	(void)state;
	const char *raw = "{\"retry_count\": 7, \"call_sid\": \"NaN\", \"error\": -0, \"retry_count\": -0, "
			  "\"max_retries\": null}";
	struct message message;
	message_read(raw, strlen(raw), &message);
	assert_true(message.is_readable);
	assert_int_equal(message.retry_count, 0);
	assert_int_equal(message.max_retries, 3);
	assert_true(is_text(message.error, "-0"));
	assert_true(is_text(message.call_sid, "NaN"));
	assert_false(message.has_due);
	message_release(&message);
}

static void next_retry_at_that_is_no_time_is_not_known(void **state)
{
	(void)state;
	const char *cases[] = {"\"soon\"", "1e400", "\"99999-01-01T00:00:00Z\"", "-1e9999"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char raw[100];
		struct message message;
		snprintf(raw, sizeof(raw), "{\"next_retry_at\": %s}", cases[i]);
		message_read(raw, strlen(raw), &message);
		assert_true(message.is_readable);
		assert_true(message.has_bad_time);
		assert_false(message.has_due);
		message_release(&message);
	}
}

/* ---- faults ---- */

static double seconds_to_read(char *raw, size_t length, const char *why)
{
	struct timespec from, to;
	struct message message;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	message_read(raw, length, &message);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_false(message.is_readable);
	assert_non_null(strstr(message.why, why));
	message_release(&message);
	free(raw);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

static void test_fault_19_what_is_deep_or_huge_is_refused_at_once(void **state)
{
	(void)state;
	size_t deep = 100000, huge = 10 << 20;
	char *raw = malloc(deep);
	memset(raw, '[', deep);
	seconds_to_read(raw, deep, "too deep");
	raw = malloc(6 * deep);
	for (size_t i = 0; i < deep; i++)
		memcpy(raw + 5 * i, "{\"\":{" + (i > 0), 5);
	seconds_to_read(raw, 5 * deep, "");
	raw = malloc(huge);
	memset(raw, 'x', huge);
	seconds_to_read(raw, huge, "too large");
	raw = malloc(2 << 20); /* a number of two million digits is no work either */
	memset(raw, '9', 2 << 20);
	seconds_to_read(raw, 2 << 20, "no JSON object");
}

/* ---- to be tried anew ---- */

static void expect_reset(const char *raw, const char *expected)
{
	char *made = NULL;
	size_t length = 0;
	int status = message_reset(raw, strlen(raw), 1795600800 * CW_SECOND + 250 * CW_MILLISECOND, &made, &length);
	if (!expected) {
		assert_true(status < 0);
		return;
	}
	assert_int_equal(status, 0);
	if (length != strlen(expected) || memcmp(made, expected, length) != 0)
		fail_msg("%s\n  became %.*s\n  not    %s", raw, (int)length, made, expected);
	free(made);
}

static void reset_changes_two_members_and_no_other_byte(void **state)
{
	(void)state;
	expect_reset(
		"{\"retry_count\": 3, \"id\": 12345678901234567890, \"next_retry_at\": \"2020-01-01T00:00:00Z\" }",
		"{\"retry_count\": 0, \"id\": 12345678901234567890, \"next_retry_at\": \"2026-11-25T10:00:00Z\" }");
	expect_reset("{\"next_retry_at\":\"2020-01-01T00:00:00.123456+02:00\",\"o\":{\"retry_count\":9}}",
		     "{\"next_retry_at\":\"2026-11-25T10:00:00.250+00:00\",\"o\":{\"retry_count\":9}}");
	expect_reset("{\"next_retry_at\":\"2030-01-01 00:00:00\"}", "{\"next_retry_at\":\"2026-11-25 10:00:00\"}");
	expect_reset("{\"next_retry_at\":1761480000.5,\"retry_count\":\"2\"}",
		     "{\"next_retry_at\":1795600800.250,\"retry_count\":0}");
	expect_reset("{\"next_retry_at\":null, \"retry_count\":null}", "{\"next_retry_at\":null, \"retry_count\":0}");
	expect_reset("{\"retry_count\":1,\"retry_count\":2}", "{\"retry_count\":0,\"retry_count\":0}");
	expect_reset("{\"error\":\"retry_count\",\"a\":[\"retry_count\",1]}",
		     "{\"error\":\"retry_count\",\"a\":[\"retry_count\",1]}");
	expect_reset("{\"retry\\u005fcount\":2}", NULL); /* cannot be found among the bytes: better not at all */
	expect_reset("{\"retry_count\":", NULL);
	expect_reset("[1]", NULL);
}

static void a_plus_behind_its_escape_is_shown(void **state)
{
	(void)state;
	char shown[64], masked[128];
	const char *raw = "{\"from\":\"\\u002B14155550132\"}";
	size_t n = message_shown(raw, strlen(raw), shown, sizeof(shown));
	text_mask_phones_in(masked, sizeof(masked), shown, n);
	assert_null(strstr(masked, "4155550132"));
	assert_int_equal(message_shown(raw, strlen(raw), shown, 5), 5);
}

/* ---- errors of one kind ---- */

static const struct {
	const char *error, *group;
} groups[] = {
	{"connection to 10.0.0.7:5432 refused", "connection to <address> refused"},
	{"connection to [2001:db8::1]:5432 refused", "connection to [<address>]:<n> refused"},
	{"connect to db-1.internal:5432: timed out", "connect to <address>: timed out"},
	{"timeout after 3000 ms", "timeout after <n> ms"},
	{"timeout after 3.5s", "timeout after <n>s"},
	{"call CA0123456789abcdef0123456789abcdef not found", "call <id> not found"},
	{"row 3f2504e0-4f89-11d3-9a0c-0305e82c3301 is locked", "row <id> is locked"},
	{"duplicate key value 'abc' for \"calls_pkey\"", "duplicate key value <value> for <value>"},
	{"at 2026-11-25T10:00:00.123Z: gone", "at <time>: gone"},
	{"at 10:22:33 it stopped", "at <time> it stopped"},
	{"HTTP 503 from http://backend:8000/calls/17?x=1", "HTTP 503 from <url>"},
	{"status=409 Conflict", "status=409 Conflict"},
	{"[Errno 111] Connection refused", "[Errno 111] Connection refused"},
	{"SQLSTATE 23505", "SQLSTATE 23505"},
	{"error 123456789", "error <n>"},
	{"mail to ops@example.net bounced", "mail to <email> bounced"},
	{"pointer 0x7ffe1234", "pointer <hex>"},
	{"can't connect to O'Neil", "can't connect to O'Neil"},
	{"number +14155550132 and +1 (415) 555-0132", "number +<n> and +<n> (<n>) <n>-<n>"},
	{"  two\n\tlines \r\n", "two lines"},
	{"", ""},
	{"17", "<n>"},
	{"Traceback (most recent call last):\n  File \"a.py\", line 12\nValueError: no 17\n", "ValueError: no <n>"},
	{"open /var/lib/x1/y failed", "open <path> failed"},
	{"unterminated \"quote 12", "unterminated \"quote <n>"},
};

static void errors_of_one_kind_have_one_group(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		char group[GROUP_MAX];
		size_t n = normalise(groups[i].error, strlen(groups[i].error), group);
		assert_int_equal(n, strlen(group));
		if (strcmp(group, groups[i].group) != 0)
			fail_msg("%s\n  became %s\n  not    %s", groups[i].error, group, groups[i].group);
	}
}

static void a_group_is_short_and_valid_whatever_the_error_is(void **state)
{
	(void)state;
	char error[4096], group[GROUP_MAX];
	for (unsigned seed = 0; seed < 256; seed++) {
		for (size_t i = 0; i < sizeof(error); i++)
			error[i] = (char)(seed % 2 ? seed : (i * 2654435761u + seed) >> 7);
		size_t n = normalise(error, sizeof(error), group);
		assert_true(n < GROUP_MAX);
		assert_true(text_is_utf8(group, n));
		assert_int_equal(strlen(group), n);
	}
}

/* ---- where a page goes on ---- */

static int32_t aligned(const char *before, const char *page)
{
	unsigned char a[32][ID_BYTES] = {{0}}, b[64][ID_BYTES] = {{0}};
	for (size_t i = 0; before[i]; i++)
		a[i][0] = (unsigned char)before[i];
	for (size_t i = 0; page[i]; i++)
		b[i][0] = (unsigned char)page[i];
	return align((const unsigned char(*)[ID_BYTES])a, (uint32_t)strlen(before), (const unsigned char(*)[ID_BYTES])b,
		     (uint32_t)strlen(page));
}

static void a_page_goes_on_behind_the_one_before_though_the_queue_moved(void **state)
{
	(void)state;
	assert_int_equal(aligned("abcd", "abcdefgh"), 4); /* nothing moved */
	assert_int_equal(aligned("abcd", "cdefghij"), 2); /* two left in front */
	assert_int_equal(aligned("abcd", "xyabcdef"), 6); /* two came in front */
	assert_int_equal(aligned("abcd", "abcefghi"), 3); /* the last one itself left */
	assert_int_equal(aligned("abcd", "efghijkl"), -1);
	assert_int_equal(aligned("abcd", ""), -1);
	assert_int_equal(aligned("aaaa", "aaaaaaaa"), 4); /* all alike: the likeliest */
	assert_int_equal(aligned("abca", "abcaadef"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_that_is_valid_is_readable_and_the_rest_is_not),
		cmocka_unit_test(what_has_a_wrong_type_is_unreadable_and_says_so),
		cmocka_unit_test(a_message_says_what_its_members_say),
		cmocka_unit_test(test_fault_22_of_two_members_the_last_counts_and_numbers_stay_text),
		cmocka_unit_test(next_retry_at_that_is_no_time_is_not_known),
		cmocka_unit_test(test_fault_19_what_is_deep_or_huge_is_refused_at_once),
		cmocka_unit_test(reset_changes_two_members_and_no_other_byte),
		cmocka_unit_test(a_plus_behind_its_escape_is_shown),
		cmocka_unit_test(errors_of_one_kind_have_one_group),
		cmocka_unit_test(a_group_is_short_and_valid_whatever_the_error_is),
		cmocka_unit_test(a_page_goes_on_behind_the_one_before_though_the_queue_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
