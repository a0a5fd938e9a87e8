/* SPDX-License-Identifier: MIT
 *
 * Numbers with units: tables of cases, both ways.
 */
#include "scalars.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct integer_case {
	const char *text;
	int status;
	int64_t value;
};

static void check(const struct integer_case *cases, size_t count, int (*parse)(const char *, int64_t *))
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = -77;
		int status = parse(cases[i].text, &value);
		if (status != cases[i].status || value != (status ? -77 : cases[i].value))
			fail_msg("`%s`: %d, %lld", cases[i].text, status, (long long)value);
	}
}

#define CHECK(cases, parse) check((cases), sizeof(cases) / sizeof((cases)[0]), (parse))

static void durations__are_nanoseconds(void **state)
{
	static const struct integer_case cases[] = {
		{"250ms", 0, 250000000},
		{"10s", 0, 10000000000},
		{"5m", 0, 300000000000},
		{"4h", 0, 14400000000000},
		{"1d", 0, 86400000000000},
		{"1.5h", 0, 5400000000000},
		{"0.1s", 0, 100000000},
		{"7us", 0, 7000},
		{"0", 0, 0},
		{"0s", 0, 0},
		{"106751d", 0, INT64_C(106751) * 86400000000000},
		{"106752d", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
		{"10", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-5s", -EINVAL, 0},
		{"+5s", -EINVAL, 0},
		{" 5s", -EINVAL, 0},
		{"5 s", -EINVAL, 0},
		{"5s ", -EINVAL, 0},
		{"5.s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"5e3s", -EINVAL, 0},
		{"0x5s", -EINVAL, 0},
		{"5S", -EINVAL, 0},
		{"1h30m", -EINVAL, 0},
	};
	(void)state;
	CHECK(cases, parse_duration);
}

static void sizes__are_bytes(void **state)
{
	static const struct integer_case cases[] = {
		{"64KiB", 0, 65536},
		{"10MB", 0, 10000000},
		{"1.5GiB", 0, 1610612736},
		{"512", 0, 512},
		{"0", 0, 0},
		{"3B", 0, 3},
		{"2kB", 0, 2000},
		{"2KB", 0, 2000},
		{"8388607TiB", 0, INT64_C(8388607) << 40},
		{"8388608TiB", -ERANGE, 0},
		{"5K", -EINVAL, 0},
		{"5kib", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
	};
	(void)state;
	CHECK(cases, parse_size);
}

static void integers__are_decimal(void **state)
{
	static const struct integer_case cases[] = {
		{"0", 0, 0},
		{"-7", 0, -7},
		{"+7", 0, 7},
		{"007", 0, 7},
		{"9223372036854775807", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"0x10", -EINVAL, 0},
		{"1_000", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
	};
	(void)state;
	CHECK(cases, parse_integer);
}

static void ratios_and_numbers__are_finite(void **state)
{
	static const struct {
		const char *text;
		int status;
		double value;
	} cases[] = {
		{"5%", 0, 0.05},       {"0.05", 0, 0.05},   {"100%", 0, 1},      {"2.5%", 0, 0.025},
		{"1e-3", 0, 0.001},    {"-5%", 0, -0.05},   {"%", -EINVAL, 0},   {"5 %", -EINVAL, 0},
		{"", -EINVAL, 0},      {"nan", -EINVAL, 0}, {"inf", -EINVAL, 0}, {"1e999", -ERANGE, 0},
		{"0x1p3", -EINVAL, 0}, {"5%%", -EINVAL, 0}, {"1e", -EINVAL, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double value = -77;
		int status = parse_ratio(cases[i].text, &value);
		if (status != cases[i].status || fabs(value - (status ? -77 : cases[i].value)) > 1e-12)
			fail_msg("`%s`: %d, %g", cases[i].text, status, value);
	}
}

static void texts__read_back_as_the_same_value(void **state)
{
	static const struct {
		int64_t value;
		const char *duration, *size;
	} cases[] = {
		{0, "0", "0"},
		{1, "1ns", "1"},
		{1500000000, "1500ms", "1500000000"},
		{90000000000, "90s", "87890625KiB"},
		{INT64_C(86400000000000), "1d", "84375000000KiB"},
		{65536, "65536ns", "64KiB"},
		{INT64_C(3) << 30, "3221225472ns", "3GiB"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buffer[SCALAR_TEXT_SIZE];
		assert_string_equal(duration_text(buffer, cases[i].value), cases[i].duration);
		assert_string_equal(size_text(buffer, cases[i].value), cases[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations__are_nanoseconds),
		cmocka_unit_test(sizes__are_bytes),
		cmocka_unit_test(integers__are_decimal),
		cmocka_unit_test(ratios_and_numbers__are_finite),
		cmocka_unit_test(texts__read_back_as_the_same_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
