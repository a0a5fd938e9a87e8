/* SPDX-License-Identifier: MIT
 *
 * plugins/web: cells as JSON and CSV.
 */
#include "render.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const healths[] = {"healthy", "warning", NULL};

#define TEXT(s)                                                                                                        \
	{                                                                                                              \
		.type = CW_CELL_TEXT, .length = sizeof(s) - 1, .text = (s)                                             \
	}
#define INTEGER(n)                                                                                                     \
	{                                                                                                              \
		.type = CW_CELL_INTEGER, .integer = (n)                                                                \
	}
#define REAL(n)                                                                                                        \
	{                                                                                                              \
		.type = CW_CELL_REAL, .real = (n)                                                                      \
	}

static const struct {
	enum cw_column_type type;
	struct cw_cell cell;
	const char *json, *csv;
} cases[] = {
	{CW_TEXT, {0}, "null", ""},
	{CW_TEXT, TEXT(""), "\"\"", ""},
	{CW_TEXT, TEXT("plain"), "\"plain\"", "plain"},
	{CW_TEXT, TEXT("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"", "\"a\"\"b\\c\nd\""},
	{CW_TEXT, TEXT("\"\"\""), "\"\\\"\\\"\\\"\"", "\"\"\"\"\"\"\"\""},
	{CW_TEXT, TEXT("a,b"), "\"a,b\"", "\"a,b\""},
	{CW_TEXT, TEXT("a\0b"),
	 "\"a\xe2\x90\x80"
	 "b\"",
	 "a\xe2\x90\x80"
	 "b"},
	{CW_TEXT, TEXT("\xff\x1b[0m"), "\"\xef\xbf\xbd\\u001b[0m\"", "\xef\xbf\xbd\x1b[0m"},
	{CW_TEXT, TEXT(" x"), "\" x\"", "\" x\""},
	{CW_TEXT, TEXT("=1+1"), "\"=1+1\"", "'=1+1"},
	{CW_TEXT, TEXT("+14155550132"), "\"+14155550132\"", "'+14155550132"},
	{CW_TEXT, TEXT("-1"), "\"-1\"", "'-1"},
	{CW_TEXT, TEXT("@cmd"), "\"@cmd\"", "'@cmd"},
	{CW_TEXT, TEXT("\tx"), "\"\\tx\"", "'\tx"},
	{CW_TEXT, TEXT("\r=x,\"y\""), "\"\\r=x,\\\"y\\\"\"", "\"'\r=x,\"\"y\"\"\""},
	{CW_INT, INTEGER(-42), "-42", "-42"},
	{CW_INT, INTEGER(INT64_MAX), "9223372036854775807", "9223372036854775807"},
	{CW_REAL, REAL(0.1), "0.1", "0.1"},
	{CW_REAL, REAL(NAN), "null", ""},
	{CW_REAL, REAL(INFINITY), "null", ""},
	{CW_BOOL, INTEGER(1), "true", "true"},
	{CW_BOOL, INTEGER(0), "false", "false"},
	{CW_CHOICE, INTEGER(1), "\"warning\"", "warning"},
	{CW_CHOICE, INTEGER(2), "null", ""},
	{CW_CHOICE, INTEGER(-1), "null", ""},
	{CW_TIME, INTEGER(1795354245123456789), "\"2026-11-22T13:30:45.123Z\"", "2026-11-22T13:30:45.123Z"},
	{CW_SINCE, INTEGER(0), "\"1970-01-01T00:00:00.000Z\"", "1970-01-01T00:00:00.000Z"},
	{CW_AGE, REAL(12.3456789), "12.346", "12.346"},
	{CW_AGE, REAL(0), "0", "0"},
	{CW_UNTIL, REAL(-3.25), "-3.25", "-3.25"},
	{CW_AGE, REAL(NAN), "null", ""},
};

static void cells__in_json_and_csv(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct cw_column column = {.name = "c", .type = cases[i].type, .choices = healths};
		struct buffer out;
		char expected[200];
		buffer_init(&out, /* head: */ 8, 4096);
		render_json_row(&out, &column, &cases[i].cell, 1, /* without_null: */ false);
		buffer_bytes(&out, "", 1);
		snprintf(expected, sizeof expected, "{\"c\":%s}", cases[i].json);
		assert_string_equal(buffer_text(&out), expected);
		buffer_cut(&out, 0);
		render_csv_row(&out, &column, &cases[i].cell, 1);
		buffer_bytes(&out, "", 1);
		snprintf(expected, sizeof expected, "%s\r\n", cases[i].csv);
		assert_string_equal(buffer_text(&out), expected);
		buffer_release(&out);
	}
}

static void row__may_leave_out_what_is_not_known(void **state)
{
	(void)state;
	static const struct cw_column columns[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
	static const struct cw_cell cells[] = {{0}, TEXT("x"), {0}};
	struct buffer out;
	buffer_init(&out, 0, 4096);
	render_json_row(&out, columns, cells, 3, /* without_null: */ true);
	render_json_row(&out, columns, cells, 1, /* without_null: */ true);
	render_json_row(&out, columns, cells, 3, /* without_null: */ false);
	buffer_bytes(&out, "", 1);
	assert_string_equal(buffer_text(&out), "{\"b\":\"x\"}{}{\"a\":null,\"b\":\"x\",\"c\":null}");
	buffer_release(&out);
}

/* Whatever the ceiling, nothing is written beyond it, and a row that did not fit can be cut off again. */
static void row__beyond_the_ceiling__fails_whole(void **state)
{
	(void)state;
	static const struct cw_column columns[] = {{.name = "a"}, {.name = "b"}};
	static const struct cw_cell cells[] = {TEXT("\"\"\"\""), TEXT("\x01\x02\xff")};
	for (size_t ceiling = 1; ceiling < 100; ceiling++) {
		struct buffer out;
		buffer_init(&out, 0, ceiling);
		render_json_row(&out, columns, cells, 2, /* without_null: */ false);
		assert_true(out.length <= ceiling);
		buffer_cut(&out, 0);
		assert_false(out.failed);
		render_csv_row(&out, columns, cells, 2);
		assert_true(out.length <= ceiling);
		buffer_release(&out);
	}
}

static void many_quotes__are_doubled_in_good_time(void **state)
{
	(void)state;
	enum { BYTES = 1000000 };
	char *text = malloc(BYTES);
	memset(text, '"', BYTES);
	struct cw_column column = {.name = "c", .type = CW_TEXT};
	struct cw_cell cell = {.type = CW_CELL_TEXT, .length = BYTES, .text = text};
	struct buffer out;
	buffer_init(&out, 0, 8 * BYTES);
	render_csv_row(&out, &column, &cell, 1);
	assert_int_equal(out.length, 2 * BYTES + 4);
	buffer_release(&out);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells__in_json_and_csv),
		cmocka_unit_test(row__may_leave_out_what_is_not_known),
		cmocka_unit_test(row__beyond_the_ceiling__fails_whole),
		cmocka_unit_test(many_quotes__are_doubled_in_good_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
