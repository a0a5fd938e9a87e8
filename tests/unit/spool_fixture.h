/* SPDX-License-Identifier: MIT
 *
 * What tests of spools share: batches of every kind of sample, told apart by a number, and their comparison.
 */
#ifndef CALLWATCH_TESTS_SPOOL_FIXTURE_H
#define CALLWATCH_TESTS_SPOOL_FIXTURE_H

#include "batch.h"
#include "metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const healths[] = {"healthy", "warning", "stale", NULL};
static const double bounds[] = {0.1, 1};
static const struct cw_metric plain = {.name = "dlq_depth", .kind = CW_GAUGE, .unit = "messages", .help = "Depth"};
static const struct cw_metric active = {.name = "calls_active",
					.kind = CW_GAUGE,
					.unit = "",
					.help = "Calls",
					.labels = {{"health", healths}, {"business", NULL}},
					.collectd_type = "gauge"};
static const struct cw_metric total = {.name = "heartbeats_total", .kind = CW_COUNTER, .labels = {{"via", NULL}}};
static const struct cw_metric delay = {
	.name = "delay_seconds", .kind = CW_HISTOGRAM, .unit = "seconds", .bounds = bounds, .bounds_count = 2};

static const struct cw_tag tags[] = {{"env", "production"}, {"site", ""}};

/* A batch of n samples, from 1 up; `number` is in its first sample. The first four are of every kind there is. */
static const struct cw_batch *make_batch(const char *instance, int number, int n)
{
	struct batch_builder *builder = batch_builder_new("web-1", instance, 5 * CW_SECOND, tags, 2);
	const char *none[] = {"healthy", ""}, *via[] = {"pub/sub \xff\n"};
	uint64_t buckets[] = {3, 2, UINT64_MAX};
	struct cw_histogram histogram = {buckets, 6, 2.5};
	for (int i = 0; i < n; i++) {
		char label[32];
		const char *labels[] = {"stale", label};
		snprintf(label, sizeof label, "business %d", i);
		if (i == 0)
			batch_add(builder, &plain, NULL, 1000 + number, CW_INTEGER, 0, number, NULL);
		else if (i == 1)
			batch_add(builder, &active, none, 1000 + number, CW_DOUBLE, -0.5, 0, NULL);
		else if (i == 2)
			batch_add(builder, &total, via, 7, CW_INTEGER, 0, INT64_MIN, NULL);
		else if (i == 3)
			batch_add(builder, &delay, NULL, 1000 + number, CW_BUCKETS, 0, 0, &histogram);
		else
			batch_add(builder, &active, labels, 1000 + number, CW_DOUBLE, i, 0, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static inline int64_t number_of(const struct cw_batch *batch)
{
	return batch ? ((const struct cw_sample *)cw_at(&batch->samples, 0))->integer : -1;
}

static inline void assert_same_sample(const struct cw_sample *a, const struct cw_sample *b)
{
	assert_true(metric_equal(a->metric, b->metric));
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->number, b->number);
	uint32_t labels = cw_label_count(a->metric);
	for (uint32_t i = 0; i < labels; i++)
		assert_string_equal(a->labels[i], b->labels[i]);
	if (a->number == CW_BUCKETS) {
		assert_int_equal(a->histogram->count, b->histogram->count);
		assert_memory_equal(&a->histogram->sum, &b->histogram->sum, sizeof(double));
		assert_memory_equal(a->histogram->buckets, b->histogram->buckets,
				    (a->metric->bounds_count + 1) * sizeof(uint64_t));
	} else {
		assert_int_equal(a->integer, b->integer); /* the bits of `real` too */
	}
}

static inline void assert_same_batch(const struct cw_batch *a, const struct cw_batch *b)
{
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->instance, b->instance);
	assert_int_equal(a->interval, b->interval);
	assert_int_equal(a->tags.count, b->tags.count);
	for (uint32_t i = 0; i < a->tags.count; i++) {
		const struct cw_tag *one = cw_at(&a->tags, i), *other = cw_at(&b->tags, i);
		assert_string_equal(one->name, other->name);
		assert_string_equal(one->value, other->value);
	}
	assert_int_equal(a->samples.count, b->samples.count);
	for (uint32_t i = 0; i < a->samples.count; i++)
		assert_same_sample(cw_at(&a->samples, i), cw_at(&b->samples, i));
}

#endif
