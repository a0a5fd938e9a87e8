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

static void add(struct series_list *list, const char *instance, const struct cw_metric *metric, const char *label,
		int64_t value, int64_t now)
{
	struct cw_sample sample = {
		.metric = metric, .labels = &label, .time = now, .number = CW_INTEGER, .integer = value};
	struct cw_batch batch = {
		.instance = instance, .interval = 10 * CW_SECOND, .samples = {&sample, 1, sizeof sample}};
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
	assert_string_equal(list.list[0]->labels[0], "healthy");
	assert_int_equal(list.list[0]->integer, 5);
	assert_int_equal(list.list[0]->time, 1);
	assert_string_equal(list.list[1]->labels[0], "stale");
	assert_ptr_equal(list.list[2]->metric, &counter);
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
	series_list_expire(&list, 50 * CW_SECOND);
	assert_int_equal(list.count, 3);
	series_list_expire(&list, 51 * CW_SECOND);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.list[0]->labels[0], "y");
	assert_ptr_equal(list.list[1]->metric, &counter);
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
	assert_int_equal(list.refused, 3);
	char *huge = malloc(SERIES_KEY_MAX + 1);
	memset(huge, 'x', SERIES_KEY_MAX);
	huge[SERIES_KEY_MAX] = '\0';
	add(&list, "a", &gauge, huge, 1, 0);
	assert_int_equal(list.refused, 4);
	free(huge);
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
		cmocka_unit_test(series__beyond_the_limit__are_counted),
		cmocka_unit_test(walk__goes_on_after_a_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
