/* SPDX-License-Identifier: MIT
 *
 * core/client/answer and path: values as people read them, answers that are not what they should be, escaped paths.
 */
#include "answer.h"
#include "http.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* 2026-11-22T13:30:00Z */
static const int64_t noon = 1795354200 * INT64_C(1000000000);

static void check_value(struct column_info column, const char *json, const char *expected)
{
	struct manner manner = {.utc = true, .now = noon};
	enum tone tone;
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
	column.name = column.name ? column.name : "c";
	column.unit = column.unit ? column.unit : "";
	char *text = value_text(&column, value, &manner, &tone);
	assert_string_equal(text, expected);
	free(text);
	json_decref(value);
}

static void values__as_people_read_them(void **state)
{
	(void)state;
	check_value((struct column_info){0}, "\"a\\u001b[2Jb\"", "a\\x1b[2Jb");
	check_value((struct column_info){0}, "null", "–");
	check_value((struct column_info){0}, "\"\"", "");
	check_value((struct column_info){.type = CW_INT}, "0", "0");
	check_value((struct column_info){.type = CW_INT}, "9007199254740993", "9007199254740993");
	check_value((struct column_info){.type = CW_REAL}, "0.25", "0.25");
	check_value((struct column_info){.type = CW_REAL}, "76.9755", "77");
	check_value((struct column_info){.type = CW_REAL}, "12345.6", "12346");
	check_value((struct column_info){.type = CW_REAL}, "1e300", "1e+300");
	check_value((struct column_info){.type = CW_REAL, .unit = "ratio"}, "0.998", "99.8 %");
	check_value((struct column_info){.type = CW_BOOL}, "true", "yes");
	check_value((struct column_info){.type = CW_AGE}, "15120.5", "4h 12m");
	check_value((struct column_info){.type = CW_UNTIL}, "-42", "-42s");
	check_value((struct column_info){.type = CW_REAL, .unit = "seconds"}, "42", "42s");
	check_value((struct column_info){.type = CW_CHOICE, .watched = true}, "\"stale\"", "✖ stale");
	check_value((struct column_info){.type = CW_CHOICE, .watched = true}, "\"purple\"", "purple");
	check_value((struct column_info){.type = CW_CHOICE}, "\"up\"", "up");
	check_value((struct column_info){.type = CW_TIME}, "\"2026-11-22T09:20:21.123Z\"", "09:20:21Z");
	check_value((struct column_info){.type = CW_TIME}, "\"2026-11-21T09:20:21Z\"", "2026-11-21 09:20:21Z");
	check_value((struct column_info){.type = CW_TIME}, "\"no\\ttime\"", "no\\ttime");
}

static void values_of_the_wrong_type__are_shown_all_the_same(void **state)
{
	(void)state;
	check_value((struct column_info){.type = CW_TIME}, "17", "17");
	check_value((struct column_info){.type = CW_AGE}, "\"soon\"", "soon");
	check_value((struct column_info){.type = CW_INT}, "{\"a\":[1]}", "{\"a\":[1]}");
}

static void local_times__carry_their_offset(void **state)
{
	(void)state;
	struct manner manner = {.now = noon};
	setenv("TZ", "IST-5:30", 1);
	tzset();
	char *text = time_text("2026-11-22T13:00:00Z", &manner);
	assert_string_equal(text, "18:30:00+05:30");
	free(text);
	manner.whole = true;
	text = time_text("2026-11-22T23:00:00Z", &manner);
	assert_string_equal(text, "2026-11-23 04:30:00+05:30");
	free(text);
	unsetenv("TZ");
	tzset();
}

static void lengths__and_counts(void **state)
{
	(void)state;
	static const struct {
		uint64_t count;
		const char *text;
	} cases[] = {{0, "0"},
		     {999, "999"},
		     {1000, "1,000"},
		     {200000, "200,000"},
		     {UINT64_MAX, "18,446,744,073,709,551,615"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = count_text(cases[i].count);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
	char *text = length_text(NAN);
	assert_string_equal(text, "–");
	free(text);
}

static void sizes__in_the_unit_that_fits(void **state)
{
	(void)state;
	static const struct {
		double bytes;
		const char *text;
	} cases[] = {{0, "0 B"},         {1023, "1023 B"},       {1024, "1 KiB"},    {1536, "1.5 KiB"},
		     {1048575, "1 MiB"}, {268435456, "256 MiB"}, {1.3e9, "1.2 GiB"}, {5e15, "4547.5 TiB"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = bytes_text(cases[i].bytes);
		assert_string_equal(text, cases[i].text);
		free(text);
	}
}

static void table_info__survives_any_shape(void **state)
{
	(void)state;
	static const char *const shapes[] = {
		"{}", "{\"name\":7,\"columns\":{}}", "{\"columns\":[1,null,{},{\"name\":[],\"type\":\"nonsense\"}]}",
		"{\"columns\":[{\"name\":\"a\",\"type\":\"age\",\"choices\":7,\"key\":\"yes\"}]}"};
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		json_t *json = json_loads(shapes[i], 0, NULL);
		assert_non_null(json);
		struct table_info info;
		table_info_init(&info, json);
		assert_non_null(info.name);
		assert_non_null(info.sort);
		for (uint32_t j = 0; j < info.columns_count; j++)
			assert_non_null(info.columns[j].name);
		assert_null(table_column(&info, "none"));
		assert_null(table_key(&info));
		struct freshness fresh = freshness_of("calls", json);
		assert_true(isnan(fresh.age_seconds) && !fresh.complete);
		table_info_release(&info);
		json_decref(json);
	}
}

static void path__escapes_what_it_is_given(void **state)
{
	(void)state;
	struct path *path = path_new("/api/v1/tables");
	path_segment(path, "a/../b?x");
	path_query(path, "where", "name~M&M=#1 ä");
	path_query(path, "sort", NULL);
	path_query(path, "limit", "5");
	assert_string_equal(path_text(path), "/api/v1/tables/a%2F..%2Fb%3Fx?where=name~M%26M%3D%231%20%C3%A4&limit=5");
	path_free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values__as_people_read_them),
		cmocka_unit_test(values_of_the_wrong_type__are_shown_all_the_same),
		cmocka_unit_test(local_times__carry_their_offset),
		cmocka_unit_test(lengths__and_counts),
		cmocka_unit_test(sizes__in_the_unit_that_fits),
		cmocka_unit_test(table_info__survives_any_shape),
		cmocka_unit_test(path__escapes_what_it_is_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
