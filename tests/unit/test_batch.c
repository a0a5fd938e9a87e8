/* SPDX-License-Identifier: MIT
 *
 * Batches: what goes in comes out, nothing that is not a number gets in, collisions are found, selections share.
 */
#include "batch.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cw_metric depth = {.name = "dlq_depth", .kind = CW_GAUGE};
static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const double bounds[] = {0.1, 1};
static const struct cw_metric delay = {
	.name = "delay_seconds", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 2};

static int set_up(void **state)
{
	static const struct cw_tag tags[] = {{"env", "production"}, {"site", "north"}};
	*state = batch_builder_new("web-1", "calls", 5 * CW_SECOND, tags, 2);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	batch_builder_free(*state);
	return 0;
}

static int add_gauge(struct batch_builder *builder, const struct cw_metric *metric, const char *label, double value)
{
	return batch_add(builder, metric, &label, 1000, CW_DOUBLE, value, 0, NULL);
}

static void take__after_adding__gives_all_that_was_added(void **state)
{
	struct batch_builder *builder = *state;
	uint64_t buckets[] = {3, 2, 1};
	struct cw_histogram histogram = {buckets, 6, 2.5};
	assert_int_equal(add_gauge(builder, &active, "healthy", 812), 0);
	assert_int_equal(batch_add(builder, &delay, NULL, 1001, CW_BUCKETS, 0, 0, &histogram), 0);
	assert_int_equal(batch_add(builder, &depth, NULL, 1002, CW_INTEGER, 0, -7, NULL), 0);
	buckets[0] = 99; /* copied, so this must not show */
	const struct cw_batch *batch = batch_take(builder);
	assert_string_equal(batch->host, "web-1");
	assert_string_equal(batch->instance, "calls");
	assert_int_equal(batch->interval, 5 * CW_SECOND);
	assert_int_equal(batch->tags.count, 2);
	assert_string_equal(((const struct cw_tag *)cw_at(&batch->tags, 1))->value, "north");
	assert_int_equal(batch->samples.count, 3);
	const struct cw_sample *sample = cw_at(&batch->samples, 0);
	assert_string_equal(sample->labels[0], "healthy");
	assert_true(sample->real == 812);
	sample = cw_at(&batch->samples, 1);
	assert_int_equal(sample->histogram->buckets[0], 3);
	assert_int_equal(sample->histogram->buckets[2], 1);
	assert_int_equal(sample->histogram->count, 6);
	sample = cw_at(&batch->samples, 2);
	assert_int_equal(sample->integer, -7);
	assert_int_equal(sample->time, 1002);
	batch_unref(batch);
	assert_null(batch_take(builder));
}

static void add__what_is_not_known__is_refused(void **state)
{
	struct batch_builder *builder = *state;
	const char *no_label = NULL;
	assert_int_equal(add_gauge(builder, &active, "healthy", NAN), -EINVAL);
	assert_int_equal(add_gauge(builder, &active, "healthy", INFINITY), -EINVAL);
	assert_int_equal(batch_add(builder, &active, &no_label, 1, CW_DOUBLE, 1, 0, NULL), -EINVAL);
	assert_int_equal(batch_add(builder, &active, NULL, 1, CW_DOUBLE, 1, 0, NULL), -EINVAL);
	assert_int_equal(batch_add(builder, &delay, NULL, 1, CW_DOUBLE, 1, 0, NULL), -EINVAL);
	assert_null(batch_take(builder));
}

static void add__a_series_twice_at_one_time__keeps_the_first(void **state)
{
	struct batch_builder *builder = *state;
	for (int i = 0; i < 1000; i++) { /* enough for the set to grow */
		char label[16];
		snprintf(label, sizeof(label), "b%d", i);
		assert_int_equal(add_gauge(builder, &active, label, i), 0);
		assert_int_equal(add_gauge(builder, &active, label, -1), -EEXIST);
	}
	const char *label = "b7";
	assert_int_equal(batch_add(builder, &active, &label, /* another time */ 1001, CW_DOUBLE, 1, 0, NULL), 0);
	const struct cw_batch *batch = batch_take(builder);
	assert_int_equal(batch->samples.count, 1001);
	assert_true(((const struct cw_sample *)cw_at(&batch->samples, 999))->real == 999);
	batch_unref(batch);
	assert_int_equal(add_gauge(builder, &active, "b7", 1), 0); /* the next reading begins anew */
}

static void add__an_endless_label__is_cut_at_a_characters_border(void **state)
{
	struct batch_builder *builder = *state;
	char label[1001] = "x";
	for (int i = 1; i + 1 < 1000; i += 2)
		memcpy(label + i, "\xc3\xa9", 3);
	assert_int_equal(add_gauge(builder, &active, label, 1), 0);
	const struct cw_batch *batch = batch_take(builder);
	const char *kept = ((const struct cw_sample *)cw_at(&batch->samples, 0))->labels[0];
	assert_int_equal(strlen(kept), 255);
	assert_memory_equal(kept + 253, "\xc3\xa9", 2);
	batch_unref(batch);
}

static bool is_high(void *arg, const struct cw_batch *batch, const struct cw_sample *sample)
{
	(void)batch;
	return sample->real >= *(double *)arg;
}

static void select__some__shares_the_strings_and_outlives_the_whole(void **state)
{
	struct batch_builder *builder = *state;
	add_gauge(builder, &active, "low", 1);
	add_gauge(builder, &active, "high", 9);
	const struct cw_batch *whole = batch_take(builder);
	double least = 5;
	const struct cw_batch *some = batch_select(whole, is_high, &least);
	least = 0;
	const struct cw_batch *all = batch_select(whole, is_high, &least);
	least = 10;
	assert_null(batch_select(whole, is_high, &least));
	assert_ptr_equal(all, whole);
	batch_unref(all);
	batch_unref(whole);
	assert_int_equal(some->samples.count, 1);
	assert_string_equal(((const struct cw_sample *)cw_at(&some->samples, 0))->labels[0], "high");
	assert_string_equal(some->host, "web-1");
	batch_unref(some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(take__after_adding__gives_all_that_was_added, set_up, tear_down),
		cmocka_unit_test_setup_teardown(add__what_is_not_known__is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(add__a_series_twice_at_one_time__keeps_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(add__an_endless_label__is_cut_at_a_characters_border, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(select__some__shares_the_strings_and_outlives_the_whole, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
