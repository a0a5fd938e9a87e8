/* SPDX-License-Identifier: MIT
 *
 * plugins/web: the latest value of every series.
 */
#include "series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct cw_metric gauge = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const struct cw_metric counter = {.name = "calls_total", .kind = CW_COUNTER};

static void add_from(struct series_list *list, const char *instance, const char *host, const struct cw_metric *metric,
		     const char *label, int64_t value, int64_t now)
{
	struct cw_sample sample = {
		.metric = metric, .labels = &label, .time = now, .number = CW_INTEGER, .integer = value};
	struct cw_batch batch = {
		.host = host, .instance = instance, .interval = 10 * CW_SECOND, .samples = {&sample, 1, sizeof sample}};
	series_list_add(list, &batch, now);
}

static void add(struct series_list *list, const char *instance, const struct cw_metric *metric, const char *label,
		int64_t value, int64_t now)
{
	add_from(list, instance, "h", metric, label, value, now);
}

/* Buckets 1, 2, 3 … */
static void add_histogram(struct series_list *list, const char *instance, const struct cw_metric *metric, int64_t now)
{
	static const uint64_t buckets[] = {1, 2, 3, 4, 5};
	struct cw_histogram histogram = {.buckets = buckets, .count = 3, .sum = 0.5};
	struct cw_sample sample = {.metric = metric, .time = now, .number = CW_BUCKETS, .histogram = &histogram};
	struct cw_batch batch = {
		.host = "h", .instance = instance, .interval = 10 * CW_SECOND, .samples = {&sample, 1, sizeof sample}};
	series_list_add(list, &batch, now);
}

static void series__keep_the_latest_value_in_order(void **state)
{
	struct series_list list = {0};
	(void)state;
	add(&list, "b", &gauge, "stale", 1, 0);
	add(&list, "a", &gauge, "stale", 2, 0);
	add(&list, "a", &gauge, "healthy", 3, 0);
	add(&list, "a", &counter, NULL, 4, 0);
	add(&list, "a", &gauge, "healthy", 5, 1);
	assert_int_equal(list.count, 4);
	assert_ptr_equal(list.list[0]->metric, &counter); /* family callwatch_calls */
	assert_string_equal(list.list[1]->instance, "a");
	assert_string_equal(list.list[1]->labels[0], "healthy");
	assert_int_equal(list.list[1]->integer, 5);
	assert_int_equal(list.list[1]->time, 1);
	assert_string_equal(list.list[2]->labels[0], "stale");
	assert_string_equal(list.list[3]->instance, "b");
	series_list_release(&list);
}

static void gauges__that_stop_coming__are_forgotten(void **state)
{
	struct series_list list = {0};
	(void)state;
	add(&list, "a", &gauge, "x", 1, 0);
	add(&list, "a", &gauge, "y", 1, 10 * CW_SECOND);
	add(&list, "a", &counter, NULL, 1, 0);
	series_list_expire(&list, 30 * CW_SECOND);
	assert_int_equal(list.count, 3);
	series_list_expire(&list, 31 * CW_SECOND);
	assert_int_equal(list.count, 2);
	assert_ptr_equal(list.list[0]->metric, &counter);
	assert_string_equal(list.list[1]->labels[0], "y");
	series_list_release(&list);
}

/* The agent speaks about each instance it has at every interval; about one that is gone it is silent. */
static void counters__hold_while_their_instance_exists(void **state)
{
	struct series_list list = {0};
	static const struct cw_metric up = {.name = "instance_up", .kind = CW_GAUGE};
	(void)state;
	add(&list, "blind", &counter, NULL, 1, 0);
	add(&list, "gone", &counter, NULL, 1, 0);
	add_from(&list, "blind", "agent-host", &up, NULL, 1, 3600 * CW_SECOND);
	series_list_expire(&list, 3600 * CW_SECOND);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.list[0]->instance, "blind");
	series_list_expire(&list, 3600 * CW_SECOND + 601 * CW_SECOND);
	assert_int_equal(list.count, 0);
	assert_int_equal(list.families.count, 0);
	assert_int_equal(list.origins_count, 0);
	series_list_release(&list);
}

static void a_name_that_means_two_things__is_the_first_ones(void **state)
{
	static const struct cw_metric other_kind = {.name = "calls_total", .kind = CW_GAUGE};
	static const struct cw_metric sum_name = {.name = "took_sum", .kind = CW_GAUGE};
	static const double bounds[] = {1};
	static const struct cw_metric took = {
		.name = "took", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 1};
	static const struct cw_metric calls = {.name = "calls", .kind = CW_GAUGE};
	struct series_list list = {0};
	(void)state;
	add(&list, "a", &counter, NULL, 1, 0); /* calls_total of family calls */
	add(&list, "b", &other_kind, NULL, 2, 1);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 1);
	assert_non_null(strstr(list.clash, "metric calls_total of b is left out"));
	list.clash[0] = '\0';
	add(&list, "b", &other_kind, NULL, 2, 2);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 2);
	assert_string_equal(list.clash, ""); /* told once */
	add(&list, "b", &calls, NULL, 2, 3);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 3);
	add(&list, "a", &sum_name, NULL, 1, 4);
	add_histogram(&list, "a", &took, 4);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 4);
	add(&list, "b", &counter, NULL, 5, 5); /* the same metric of another instance */
	assert_int_equal(list.count, 3);
	series_list_release(&list);
}

/* An instance that comes back may mean something else by a name. */
static void a_metric_of_another_shape__replaces_the_series(void **state)
{
	static const double few[] = {1}, more[] = {1, 2, 3};
	static const struct cw_metric before = {.name = "took", .kind = CW_HISTOGRAM, .bounds = few, .bounds_count = 1};
	static const struct cw_metric after = {.name = "took", .kind = CW_HISTOGRAM, .bounds = more, .bounds_count = 3};
	static const struct cw_metric gauge_now = {.name = "took", .kind = CW_GAUGE};
	struct series_list list = {0};
	(void)state;
	add_histogram(&list, "a", &before, 1);
	add_histogram(&list, "a", &after, 2);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.list[0]->histogram.buckets[3], 4);
	add(&list, "a", &gauge_now, NULL, 7, 3);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 0);
	assert_int_equal(list.list[0]->integer, 7);
	series_list_release(&list);
}

static void values_that_look_the_same__are_one_series_and_counted(void **state)
{
	static const char *const labels[] = {"\xff", "\xfe", "plain"};
	struct series_list list = {0};
	struct cw_sample samples[3];
	(void)state;
	for (int i = 0; i < 3; i++)
		samples[i] =
			(struct cw_sample){.metric = &gauge, .labels = &labels[i], .time = 5, .number = CW_INTEGER};
	struct cw_batch batch = {.host = "h", .instance = "a", .interval = CW_SECOND, .samples = CW_ARRAY(samples)};
	series_list_add(&list, &batch, 1);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 1);
	assert_string_equal(list.list[1]->labels[0], "\xef\xbf\xbd");
	series_list_add(&list, &batch, 2);
	assert_int_equal(list.dropped[CW_DROP_COLLISION], 2);
	series_list_release(&list);
}

static void series__beyond_the_limit__are_counted(void **state)
{
	struct series_list list = {0};
	char label[32];
	(void)state;
	for (int i = 0; i < SERIES_MAX + 3; i++) {
		snprintf(label, sizeof label, "%d", i);
		add(&list, "a", &gauge, label, i, 0);
	}
	assert_int_equal(list.count, SERIES_MAX);
	assert_int_equal(list.dropped[CW_DROP_REFUSED], 3);
	char *huge = malloc(SERIES_KEY_MAX + 1);
	memset(huge, 'x', SERIES_KEY_MAX);
	huge[SERIES_KEY_MAX] = '\0';
	add(&list, "a", &gauge, huge, 1, 0);
	assert_int_equal(list.dropped[CW_DROP_INVALID], 1);
	free(huge);
	series_list_release(&list);
}

/* Its origin has no series, and was never seen before: nothing to keep, and nothing to forget while it is used. */
static void an_instance__that_comes_when_all_is_full__is_counted(void **state)
{
	struct series_list list = {0};
	char label[32];
	(void)state;
	for (int i = 0; i < SERIES_MAX; i++) {
		snprintf(label, sizeof label, "%d", i);
		add(&list, "a", &gauge, label, i, 10000 * CW_SECOND);
	}
	add(&list, "b", &gauge, "x", 1, 10000 * CW_SECOND);
	add(&list, "c", &gauge, "x", 1, 10000 * CW_SECOND);
	assert_int_equal(list.count, SERIES_MAX);
	assert_int_equal(list.dropped[CW_DROP_REFUSED], 2);
	series_list_release(&list);
}

static void walk__goes_on_after_a_change(void **state)
{
	struct series_list list = {0};
	char last[SERIES_KEY_MAX];
	(void)state;
	assert_int_equal(series_list_after(&list, NULL), 0);
	add(&list, "a", &gauge, "b", 1, 0);
	add(&list, "a", &gauge, "d", 1, 0);
	snprintf(last, sizeof last, "%s", list.list[0]->key);
	assert_int_equal(series_list_after(&list, last), 1);
	add(&list, "a", &gauge, "a", 1, 0);
	assert_string_equal(list.list[series_list_after(&list, last)]->labels[0], "d");
	series_list_expire(&list, 1000 * CW_SECOND);
	assert_int_equal(series_list_after(&list, last), 0);
	series_list_release(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(series__keep_the_latest_value_in_order),
		cmocka_unit_test(gauges__that_stop_coming__are_forgotten),
		cmocka_unit_test(counters__hold_while_their_instance_exists),
		cmocka_unit_test(a_name_that_means_two_things__is_the_first_ones),
		cmocka_unit_test(a_metric_of_another_shape__replaces_the_series),
		cmocka_unit_test(values_that_look_the_same__are_one_series_and_counted),
		cmocka_unit_test(series__beyond_the_limit__are_counted),
		cmocka_unit_test(an_instance__that_comes_when_all_is_full__is_counted),
		cmocka_unit_test(walk__goes_on_after_a_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
