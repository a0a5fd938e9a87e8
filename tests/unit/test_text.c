/* SPDX-License-Identifier: MIT
 *
 * common/text.h: tables of cases, and for every function that fills a buffer all sizes from 1 up, with a look at what
 * stands behind the end.
 */
#include "text.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef size_t (*fill_fn)(char *buffer, size_t size, const char *text, size_t length);

struct text_case {
	const char *in;
	size_t length; /* 0: strlen */
	const char *out;
};

static size_t length_of(const struct text_case *c)
{
	return c->length ? c->length : strlen(c->in);
}

/* Any size: terminated, valid UTF-8, a prefix of the whole (closing quote apart), nothing written behind the end. */
static void check_all_sizes(fill_fn fill, const struct text_case *c, bool quoted)
{
	size_t whole = strlen(c->out);
	for (size_t size = 1; size <= whole + 2; size++) {
		char buffer[512];
		memset(buffer, '#', sizeof buffer);
		size_t n = fill(buffer, size, c->in, length_of(c));
		assert_true(n < size);
		assert_int_equal(strlen(buffer), n);
		assert_int_equal(buffer[size], '#');
		assert_true(text_is_utf8(buffer, n));
		if (quoted && n > 0)
			assert_int_equal(buffer[n - 1], '"');
		size_t same = quoted && n > 0 ? n - 1 : n;
		assert_memory_equal(buffer, c->out, same);
		if (size > whole)
			assert_string_equal(buffer, c->out);
	}
}

static void check_table(fill_fn fill, const struct text_case *cases, size_t count, bool quoted)
{
	for (size_t i = 0; i < count; i++) {
		char buffer[512];
		assert_int_equal(fill(buffer, sizeof buffer, cases[i].in, length_of(&cases[i])), strlen(cases[i].out));
		assert_string_equal(buffer, cases[i].out);
		check_all_sizes(fill, &cases[i], quoted);
	}
}

#define CHECK_TABLE(fill, cases, quoted) check_table(fill, cases, sizeof(cases) / sizeof((cases)[0]), quoted)

static void utf8__of_hostile_bytes__is_valid(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"", 0, ""},
		{"plain", 0, "plain"},
		{"gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\x9e", 0, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\x9e"},
		{"a\0b", 3,
		 "a\xe2\x90\x80"
		 "b"},
		{"\xff", 0, "\xef\xbf\xbd"},
		{"a\x80z", 0, "a\xef\xbf\xbdz"},
		{"\xc3", 0, "\xef\xbf\xbd"},                                                 /* cut short */
		{"\xe2\x82", 0, "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* cut short */
		{"\xc0\xaf", 0, "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong */
		{"\xe0\x80\xaf", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
		{"\xed\xa0\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
		{"\xf4\x90\x80\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* > U+10FFFF */
		{"\xf4\x8f\xbf\xbf", 0, "\xf4\x8f\xbf\xbf"},
		{"\x1b[31m\n", 0, "\x1b[31m\n"},
	};
	CHECK_TABLE(text_utf8, cases, false);
	assert_true(text_is_utf8("\xf0\x9f\x93\x9e", 4));
	assert_false(text_is_utf8("\xf0\x9f\x93", 3));
	assert_false(text_is_utf8("\xed\xbf\xbf", 3));
}

static void start__of_a_long_text__ends_where_a_character_does(void **state)
{
	(void)state;
	static const struct {
		const char *text, *start;
		size_t most;
	} cases[] = {
		{"", "", 3},
		{"abc", "abc", 3},
		{"abcd", "abc", 3},
		{"ab\xc3\xbc", "ab", 3},
		{"ab\xc3\xbc", "ab\xc3\xbc", 4},
		{"\xf0\x9f\x93\x9e", "", 3},
		{"a\xff", "a\xef\xbf\xbd", 4},
		{"abc", "", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_start(cases[i].text, cases[i].most).text, cases[i].start);
	char text[2 * TEXT_START_MAX];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(strlen(text_start(text, SIZE_MAX).text), TEXT_START_MAX);
}

static void visible__of_what_acts_unseen__is_escaped(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"a\x1b[31mred", 0, "a\\x1b[31mred"},
		{"one\r\ntwo\tthree", 0, "one\\r\\ntwo\\tthree"},
		{"a\0b\x7f", 4, "a\\x00b\\x7f"},
		{"\xc2\x9b"
		 "2J",
		 0, "\\u009b2J"}, /* C1: another ESC [ */
		{"abc\xe2\x80\xae"
		 "fdp",
		 0, "abc\\u202efdp"}, /* right-to-left override */
		{"\xe2\x81\xa6x\xe2\x81\xa9", 0, "\\u2066x\\u2069"},
		{"\xe2\x80\xa8", 0, "\\u2028"},
		{"\xf3\xa0\x81\x81", 0, "\\U000e0041"}, /* tag characters */
		{"\xff\xfe", 0, "\xef\xbf\xbd\xef\xbf\xbd"},
		{"caf\xc3\xa9", 0, "caf\xc3\xa9"},
		{"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", 0, "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"},
	};
	CHECK_TABLE(text_visible, cases, false);
}

static void visible_character__is_one_that_visible_leaves_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(text_visible_character("ab", 2), 1);
	assert_int_equal(text_visible_character("\xc3\xa9t", 3), 2);
	assert_int_equal(text_visible_character("\xc3\xa9", 1), 0); /* cut */
	assert_int_equal(text_visible_character("", 0), 0);
	static const char *const others[] = {"\n", "\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xef\xbb\xbf", "\xff"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(text_visible_character(others[i], strlen(others[i])), 0);
}

static void json__of_any_bytes__is_a_string(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"", 0, "\"\""},
		{"plain", 0, "\"plain\""},
		{"say \"hi\" \\ now", 0, "\"say \\\"hi\\\" \\\\ now\""},
		{"\b\t\n\v\f\r\x1f\x7f", 0, "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f\""},
		{"a\0b", 3,
		 "\"a\xe2\x90\x80"
		 "b\""},
		{"\xff\xc3\xa9", 0, "\"\xef\xbf\xbd\xc3\xa9\""},
		{"</script>", 0, "\"</script>\""},
	};
	CHECK_TABLE(text_json, cases, true);
}

static void json__room__is_enough_for_the_worst(void **state)
{
	(void)state;
	static const char worst[] = "\x01\x02\x03\x04";
	char buffer[6 * 4 + 3 + 1];
	memset(buffer, '#', sizeof buffer);
	assert_int_equal(text_json(buffer, text_json_room(4), worst, 4), 26);
	assert_string_equal(buffer, "\"\\u0001\\u0002\\u0003\\u0004\"");
	assert_int_equal(buffer[text_json_room(4)], '#');
}

#define BULLET "\xe2\x80\xa2"
#define SIX    BULLET BULLET BULLET BULLET BULLET BULLET

static void mask_phone__shows_two_and_four(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"+14155550132", 0, "+1" SIX "0132"},
		{"+919876543210", 0, "+9" SIX BULLET "3210"},
		{"123456789", 0, "12" BULLET BULLET BULLET "6789"},
		{"12345678", 0, SIX BULLET BULLET},
		{"1001", 0, BULLET BULLET BULLET BULLET},
		{"+", 0, BULLET},
		{"", 0, ""},
		{"\xff"
		 "4155550132\xff",
		 0,
		 "\xef\xbf\xbd"
		 "4" SIX "132\xef\xbf\xbd"},
		{"+1\n15555\0"
		 "0132",
		 13, "+1" SIX BULLET "0132"},
	};
	CHECK_TABLE(text_mask_phone, cases, false);
}

static void mask_phones_in__hides_every_number(void **state)
{
	(void)state;
	static const struct text_case cases[] = {
		{"no number here", 0, "no number here"},
		{"call +14155550132 failed", 0, "call +1" SIX "0132 failed"},
		{"{\"from\":\"+14155550132\",\"to\":\"+14155550133\"}", 0,
		 "{\"from\":\"+1" SIX "0132\",\"to\":\"+1" SIX "0133\"}"},
		{"+123456", 0, "+123456"},
		{"+1234567", 0, SIX BULLET BULLET},
		{"++14155550132+", 0, "++1" SIX "0132+"},
		{"2026-11-22T13:30:45+0530", 0, "2026-11-22T13:30:45+0530"},
		{"\xff+14155550132", 0, "\xef\xbf\xbd+1" SIX "0132"},
		{"+12345678901234567", 0, "+1" SIX SIX "4567"},
		{"to +1 (415) 555-0132.", 0, "to +1" SIX BULLET BULLET BULLET BULLET BULLET "0132."},
		{"+49.30.123456, +49 / 30 - 12", 0, "+4" SIX BULLET "3456, +49 / 30 - 12"},
		{"+1-415-555-0132 +1 415", 0, "+1" SIX BULLET BULLET BULLET "0132 +1 415"},
		{"+1 415 555 0132 took 1200 ms", 0, "+1" SIX BULLET BULLET BULLET "0132 took 1200 ms"},
		{"+1 415 555 0132 200 404", 0, "+1" SIX SIX BULLET " 200 404"},
		{"13:30:45 +0530 2026-11-22", 0, "13:30:45 +0530 2026-11-22"},
		{"13:30:45 +1100 (AEDT)", 0, "13:30:45 +1100 (AEDT)"},
		{"+1    4155550132 +1 - ", 0, "+1    4155550132 +1 - "},
	};
	CHECK_TABLE(text_mask_phones_in, cases, false);
}

static const int64_t second = 1000000000;

static void time__formats_milliseconds(void **state)
{
	(void)state;
	static const struct {
		int64_t wall_ns;
		const char *out;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{1795354245123456789, "2026-11-22T13:30:45.123Z"},
		{951782399999999999, "2000-02-28T23:59:59.999Z"},
		{951782400000000000, "2000-02-29T00:00:00.000Z"},
		{-2208988800 * 1000000000, "1900-01-01T00:00:00.000Z"},
		{INT64_MAX, "2262-04-11T23:47:16.854Z"},
		{INT64_MIN, "1677-09-21T00:12:43.145Z"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char buffer[TEXT_TIME_SIZE];
		assert_int_equal(text_time(buffer, cases[i].wall_ns), strlen(cases[i].out));
		assert_string_equal(buffer, cases[i].out);
	}
}

struct time_case {
	const char *in;
	int result;
	const char *out; /* as text_time() says it */
	bool assumed_utc;
};

static void check_time(const struct time_case *c)
{
	int64_t wall = 77;
	bool assumed = false;
	char buffer[TEXT_TIME_SIZE];
	int rc = text_parse_time(c->in, strlen(c->in), &wall, &assumed);
	if (rc != c->result)
		print_error("text_parse_time(%s) gives %d\n", c->in, rc);
	assert_int_equal(rc, c->result);
	if (rc) {
		assert_int_equal(wall, 77);
		return;
	}
	text_time(buffer, wall);
	assert_string_equal(buffer, c->out);
	assert_int_equal(assumed, c->assumed_utc);
	assert_int_equal(text_parse_time(c->in, strlen(c->in), &wall, NULL), 0);
}

static void parse_time__reads_what_the_platform_writes(void **state)
{
	(void)state;
	static const struct time_case cases[] = {
		{"2026-11-22T13:30:45.123Z", 0, "2026-11-22T13:30:45.123Z", false},
		{"2026-11-22t13:30:45z", 0, "2026-11-22T13:30:45.000Z", false},
		{"2026-11-22 13:30", 0, "2026-11-22T13:30:00.000Z", true},
		{"2026-11-22", 0, "2026-11-22T00:00:00.000Z", true},
		{"2026-11-22T13:30:45.123456", 0, "2026-11-22T13:30:45.123Z", true},
		{"2026-11-22T13:30:45,5+00:00", 0, "2026-11-22T13:30:45.500Z", false},
		{"2026-11-22T13:30:45.1234567891234Z", 0, "2026-11-22T13:30:45.123Z", false},
		{"2026-11-22T13:30:45+05:30", 0, "2026-11-22T08:00:45.000Z", false},
		{"2026-11-22T13:30:45-0800", 0, "2026-11-22T21:30:45.000Z", false},
		{"2026-11-22 13:30:45+00", 0, "2026-11-22T13:30:45.000Z", false},
		{"2026-01-01T00:30:00+01:00", 0, "2025-12-31T23:30:00.000Z", false},
		{"2016-12-31T23:59:60Z", 0, "2017-01-01T00:00:00.000Z", false},
		{"2016-12-31T23:59:60.9Z", 0, "2017-01-01T00:00:00.000Z", false},
		{"2024-02-29T00:00:00Z", 0, "2024-02-29T00:00:00.000Z", false},
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z", false},
		{"1900-01-01T00:00:00Z", 0, "1900-01-01T00:00:00.000Z", false},
		{"1678-01-01T00:00:00+23:59", 0, "1677-12-31T00:01:00.000Z", false},
		{"2261-12-31T23:59:59.999-23:59", 0, "2262-01-01T23:58:59.999Z", false},
		{"10000-01-01T00:00:00Z", -ERANGE, NULL, false},
		{"+10000-01-01T00:00:00Z", -ERANGE, NULL, false},
		{"9999-12-31T23:59:59Z", -ERANGE, NULL, false},
		{"2262-01-01T00:00:00Z", -ERANGE, NULL, false},
		{"1677-12-31T23:59:59Z", -ERANGE, NULL, false},
		{"0000-01-01T00:00:00Z", -ERANGE, NULL, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_time(&cases[i]);
}

static void parse_time__refuses_everything_else(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"2026",
		"now",
		"2026-11",
		"2026-1-2",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2026-11-31T00:00:00Z",
		"2026-11-22T",
		"2026-11-22T13",
		"2026-11-22T13:3",
		"2026-11-22T24:00:00Z",
		"2026-11-22T13:60:00Z",
		"2026-11-22T13:30:61Z",
		"2026-11-22T13:30:45.Z",
		"2026-11-22T13:30:45.Z5",
		"2026-11-22T13:30:45Zx",
		"2026-11-22T13:30:45 Z",
		"2026-11-22T13:30:45+",
		"2026-11-22T13:30:45+5",
		"2026-11-22T13:30:45+05:",
		"2026-11-22T13:30:45+05:3",
		"2026-11-22T13:30:45+24:00",
		"2026-11-22T13:30:45+05:60",
		"2026-11-22T13:30:45+05:300",
		"2026-11-22T13:30:45ZZ",
		" 2026-11-22T13:30:45Z",
		"2026-11-22T13:30:45Z ",
		"2026-11-22T13:30:45Z\n",
		"-2026-11-22T13:30:45Z",
		"2026/11/22T13:30:45Z",
		"20261122T133045Z",
		"1761480000",
		"12345678901-01-01T00:00:00Z",
		"2026-11-22X13:30:45Z",
		"2026-11-22T13:30:4\xff",
		"2026-11-22T13:30:45.00000000000000000000000000000000000000000000000000000000Z",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_time(&(struct time_case){.in = bad[i], .result = -EINVAL});
	int64_t wall;
	assert_int_equal(text_parse_time("2026-11-22\0", 11, &wall, NULL), -EINVAL);
}

static void parse_time__gives_back_what_time_wrote(void **state)
{
	(void)state;
	int64_t step = 86400 * second * 29 + 12345 * second / 10;
	for (int64_t wall = -9214560000 * second; wall < 9214640000 * second; wall += step / 1000000 * 1000000) {
		char buffer[TEXT_TIME_SIZE];
		int64_t back;
		size_t n = text_time(buffer, wall);
		assert_int_equal(text_parse_time(buffer, n, &back, NULL), 0);
		assert_true(back == wall);
	}
}

static void parse_unix__is_exact(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int result;
		int64_t out;
	} cases[] = {
		{"1761480000.123", 0, 1761480000123000000},
		{"1761480000.123456789", 0, 1761480000123456789},
		{"1761480000.1234567899", 0, 1761480000123456789},
		{"1761480000", 0, 1761480000000000000},
		{"0", 0, 0},
		{"-1.5", 0, -1500000000},
		{"00000000000000000012", -ERANGE, 0},
		{"9214646399.999999999", 0, 9214646399999999999},
		{"9214646400", -ERANGE, 0},
		{"-9214559999.9", 0, -9214559999900000000},
		{"-9214560000", -ERANGE, 0},
		{"1761480000123", -ERANGE, 0}, /* milliseconds */
		{"99999999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{".5", -EINVAL, 0},
		{"5.", -EINVAL, 0},
		{"1e9", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"inf", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1.2.3", -EINVAL, 0},
		{"1761480000.123Z", -EINVAL, 0},
		{"99999999999999999999999999x", -EINVAL, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t wall = 77;
		int rc = text_parse_unix(cases[i].in, strlen(cases[i].in), &wall);
		if (rc != cases[i].result)
			print_error("text_parse_unix(%s) gives %d\n", cases[i].in, rc);
		assert_int_equal(rc, cases[i].result);
		assert_true(wall == (rc ? 77 : cases[i].out));
	}
}

static void duration__is_short_for_people(void **state)
{
	(void)state;
	static const struct {
		double in;
		const char *out;
	} cases[] = {
		{0, "0s"},
		{0.0004, "0s"},
		{0.35, "350ms"},
		{0.001, "1ms"},
		{0.9999, "999ms"},
		{1, "1s"},
		{42.9, "42s"},
		{59.99, "59s"},
		{60, "1m 00s"},
		{723, "12m 03s"},
		{3599.9, "59m 59s"},
		{3600, "1h 00m"},
		{15120, "4h 12m"},
		{86400, "1d 00h"},
		{273600, "3d 04h"},
		{-42, "-42s"},
		{NAN, "-"},
		{INFINITY, "11574074d 01h"},
		{-1e300, "-11574074d 01h"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char buffer[TEXT_DURATION_SIZE];
		assert_int_equal(text_duration(buffer, cases[i].in), strlen(cases[i].out));
		assert_string_equal(buffer, cases[i].out);
	}
}

static void number__is_the_shortest_that_reads_back(void **state)
{
	(void)state;
	static const struct {
		double in;
		const char *out;
	} cases[] = {
		{0, "0"},
		{-0.0, "-0"},
		{1, "1"},
		{-42, "-42"},
		{0.1, "0.1"},
		{0.3, "0.3"},
		{0.1 + 0.2, "0.30000000000000004"},
		{1.0 / 3, "0.3333333333333333"},
		{1e15, "1000000000000000"},
		{9007199254740992, "9007199254740992"},
		{1e22, "1e+22"},
		{5e-324, "4.94065645841247e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{123456.789, "123456.789"},
		{INFINITY, "inf"},
		{-INFINITY, "-inf"},
		{NAN, "nan"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char buffer[TEXT_NUMBER_SIZE];
		assert_int_equal(text_number(buffer, cases[i].in), strlen(cases[i].out));
		assert_string_equal(buffer, cases[i].out);
	}
	uint64_t bits = 0x9e3779b97f4a7c15u;
	for (int i = 0; i < 20000; i++) {
		char buffer[TEXT_NUMBER_SIZE];
		double value;
		bits = bits * 6364136223846793005u + 1442695040888963407u;
		memcpy(&value, &bits, sizeof value);
		assert_true(text_number(buffer, value) < TEXT_NUMBER_SIZE);
		assert_true(isnan(value) || strtod(buffer, NULL) == value);
	}
}

/* What text_number() promises, by printf and strtod. */
static void number_the_long_way(char buffer[TEXT_NUMBER_SIZE], double value)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buffer, TEXT_NUMBER_SIZE, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			return;
	}
}

static void expect_number(double value)
{
	char quick[TEXT_NUMBER_SIZE], slow[TEXT_NUMBER_SIZE];
	if (fabs(value) >= 1e15)
		return; /* written out there, and not as 1e+15 */
	number_the_long_way(slow, value);
	memset(quick, 'x', sizeof quick);
	size_t length = text_number(quick, value);
	if (strcmp(quick, slow) != 0 || length != strlen(slow))
		fail_msg("%a is %s, not %s", value, slow, quick);
}

/* A value with its neighbours. */
static void expect_numbers_around(double value)
{
	expect_number(nextafter(value, 0));
	expect_number(value);
	expect_number(-value);
	expect_number(nextafter(value, INFINITY));
}

static void number__is_what_printf_and_strtod_find(void **state)
{
	(void)state;
	static const double scales[] = {1e-5, 1e-4, 1e-3, 1e-2, 0.1,  1,    10,   100,  1e3, 1e4,
					1e5,  1e6,  1e8,  1e9,  1e12, 1e13, 1e14, 1e15, 1e16};
	for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
		expect_numbers_around(scales[i]);
	for (int power = -30; power < 53; power++)
		expect_numbers_around(ldexp(1, power)); /* where the next double below is nearer than the next above */
	uint64_t bits = 0x9e3779b97f4a7c15u;
	for (int i = 0; i < 50000; i++) {
		bits = bits * 6364136223846793005u + 1442695040888963407u;
		double fraction = (double)(bits >> 11) / 9007199254740992.0;
		expect_number(fraction);
		expect_number(fraction * scales[bits % (sizeof scales / sizeof scales[0])]);
		expect_numbers_around((double)(bits >> 40) / 1000);            /* what people and clocks write */
		expect_numbers_around((double)(bits >> 14) / 1e6);             /* … up to 15 digits and more */
		expect_number(ldexp((double)(bits >> 11), -(int)(bits % 64))); /* any mantissa, any exponent */
	}
}

static void integer__is_what_printf_writes(void **state)
{
	(void)state;
	static const int64_t cases[] = {0, 1, -1, 9, 10, 99, 100, -100, 12345, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char buffer[TEXT_NUMBER_SIZE], expected[TEXT_NUMBER_SIZE];
		snprintf(expected, sizeof expected, "%lld", (long long)cases[i]);
		assert_int_equal(text_integer(buffer, cases[i]), strlen(expected));
		assert_string_equal(buffer, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8__of_hostile_bytes__is_valid),
		cmocka_unit_test(start__of_a_long_text__ends_where_a_character_does),
		cmocka_unit_test(visible__of_what_acts_unseen__is_escaped),
		cmocka_unit_test(visible_character__is_one_that_visible_leaves_as_it_is),
		cmocka_unit_test(json__of_any_bytes__is_a_string),
		cmocka_unit_test(json__room__is_enough_for_the_worst),
		cmocka_unit_test(mask_phone__shows_two_and_four),
		cmocka_unit_test(mask_phones_in__hides_every_number),
		cmocka_unit_test(time__formats_milliseconds),
		cmocka_unit_test(parse_time__reads_what_the_platform_writes),
		cmocka_unit_test(parse_time__refuses_everything_else),
		cmocka_unit_test(parse_time__gives_back_what_time_wrote),
		cmocka_unit_test(parse_unix__is_exact),
		cmocka_unit_test(duration__is_short_for_people),
		cmocka_unit_test(number__is_the_shortest_that_reads_back),
		cmocka_unit_test(number__is_what_printf_and_strtod_find),
		cmocka_unit_test(integer__is_what_printf_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
