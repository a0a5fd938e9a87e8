/* SPDX-License-Identifier: MIT
 *
 * Which samples were given lately: per series, at which times, and how it stays bounded.
 */
#include "recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cw_metric plain = {.name = "plain", .kind = CW_GAUGE},
			      labelled = {.name = "labelled", .kind = CW_GAUGE, .labels = {{"a", NULL}, {"b", NULL}}};

static bool seen(struct recent *recent, const struct cw_metric *metric, const char *a, const char *b, int64_t time)
{
	const char *labels[] = {a, b};
	const struct recent_series *series = recent_of(recent, metric, labels);
	assert_non_null(series);
	return recent_has(series, time);
}

static void give(struct recent *recent, const struct cw_metric *metric, const char *a, const char *b, int64_t time)
{
	const char *labels[] = {a, b};
	struct recent_series *series = recent_of(recent, metric, labels);
	assert_non_null(series);
	recent_add(series, time);
}

static void a_time__is_had_by_its_series_alone(void **state)
{
	(void)state;
	struct recent *recent = recent_new();
	give(recent, &labelled, "x", "y", 5);
	assert_true(seen(recent, &labelled, "x", "y", 5));
	assert_false(seen(recent, &labelled, "x", "y", 6));
	assert_false(seen(recent, &labelled, "x", "z", 5));
	assert_false(seen(recent, &labelled, "xy", "", 5)); /* the same letters, cut otherwise */
	assert_false(seen(recent, &plain, NULL, NULL, 5));
	recent_free(recent);
}

static void times_of_a_series__are_remembered_whatever_their_order(void **state)
{
	(void)state;
	struct recent *recent = recent_new();
	for (int64_t i = 1; i <= RECENT_TIMES; i++)
		give(recent, &plain, NULL, NULL, 100 - i);
	for (int64_t i = 1; i <= RECENT_TIMES; i++)
		assert_true(seen(recent, &plain, NULL, NULL, 100 - i));
	give(recent, &plain, NULL, NULL, 1000);
	assert_false(seen(recent, &plain, NULL, NULL, 99)); /* the oldest makes room */
	assert_true(seen(recent, &plain, NULL, NULL, 98));
	recent_free(recent);
}

static void a_label_that_is_cut__is_the_same_series(void **state)
{
	(void)state;
	char one[400], other[400];
	memset(one, 'a', sizeof one - 1);
	memset(other, 'a', sizeof other - 1);
	one[sizeof one - 1] = other[sizeof other - 1] = '\0';
	other[300] = 'b';
	struct recent *recent = recent_new();
	give(recent, &labelled, one, "", 1);
	assert_true(seen(recent, &labelled, other, "", 1));
	other[200] = 'b';
	assert_false(seen(recent, &labelled, other, "", 1));
	recent_free(recent);
}

static void a_label_that_is_missing__is_no_series(void **state)
{
	(void)state;
	struct recent *recent = recent_new();
	const char *labels[] = {"x", NULL};
	assert_null(recent_of(recent, &labelled, labels));
	assert_null(recent_of(recent, &labelled, NULL));
	assert_non_null(recent_of(recent, &plain, NULL));
	recent_free(recent);
}

static void many_series__are_all_remembered_until_one_too_many_comes(void **state)
{
	(void)state;
	struct recent *recent = recent_new();
	char name[16];
	for (unsigned i = 0; i < RECENT_SERIES; i++) {
		snprintf(name, sizeof name, "%u", i);
		give(recent, &labelled, name, "", i);
	}
	for (unsigned i = 0; i < RECENT_SERIES; i++) {
		snprintf(name, sizeof name, "%u", i);
		assert_true(seen(recent, &labelled, name, "", i));
	}
	give(recent, &labelled, "one", "too many", 1);
	assert_true(seen(recent, &labelled, "one", "too many", 1));
	assert_false(seen(recent, &labelled, "0", "", 0));
	recent_free(recent);
}

static void free__takes_nothing_too(void **state)
{
	(void)state;
	recent_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time__is_had_by_its_series_alone),
		cmocka_unit_test(times_of_a_series__are_remembered_whatever_their_order),
		cmocka_unit_test(a_label_that_is_cut__is_the_same_series),
		cmocka_unit_test(a_label_that_is_missing__is_no_series),
		cmocka_unit_test(many_series__are_all_remembered_until_one_too_many_comes),
		cmocka_unit_test(free__takes_nothing_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
