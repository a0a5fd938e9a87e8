/* SPDX-License-Identifier: MIT
 *
 * The parts of exec that need no process: lines cut out of a stream, names, the catalogue of metrics and series.
 */
#include "catalogue.h"
#include "lines.h"
#include "naming.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- lines ---- */

static char got[1024];

static void on_line(void *arg, char *line, size_t length, bool is_cut)
{
	assert_null(arg);
	assert_int_equal(line[length], '\0');
	size_t used = strlen(got);
	snprintf(got + used, sizeof got - used, "%.*s%s|", (int)(length < 20 ? length : 20), line, is_cut ? "…" : "");
	memset(line, 'x', length); /* it may be cut up */
}

static void lines__are_the_same_however_they_come_cut(void **state)
{
	(void)state;
	static const char stream[] = "one\n\ntwo\r\n\r\nthr\ree\nfour";
	for (size_t step = 1; step < sizeof stream; step++) {
		struct lines lines = {0};
		got[0] = '\0';
		for (size_t at = 0; at < sizeof stream - 1; at += step) {
			size_t n = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
			lines_feed(&lines, stream + at, n, on_line, NULL);
		}
		lines_end(&lines, on_line, NULL);
		lines_end(&lines, on_line, NULL);
		assert_string_equal(got, "one||two||thr\ree|four|");
	}
}

static void lines__a_long_one_is_cut_and_the_next_one_is_whole(void **state)
{
	(void)state;
	struct lines lines = {0};
	char *block = malloc(LINES_LENGTH_MAX);
	memset(block, 'a', LINES_LENGTH_MAX);
	for (int over = 0; over < 3; over++) {
		got[0] = '\0';
		for (int i = 0; i <= over; i++)
			lines_feed(&lines, block, LINES_LENGTH_MAX, on_line, NULL);
		lines_feed(&lines, "\nnext\n", 6, on_line, NULL);
		assert_string_equal(got, over ? "aaaaaaaaaaaaaaaaaaaa…|next|" : "aaaaaaaaaaaaaaaaaaaa|next|");
	}
	free(block);
}

/* ---- names ---- */

static void naming__metrics(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *name;
	} cases[] = {
		{"plain_name2", "plain_name2"},
		{"servers.web-01.CPU", "servers_web_01_cpu"},
		{"a:b", "a_b"},
		{"_private", "m_private"},
		{"5xx", "m_5xx"},
		{"", "m"},
		{"\xc3\xa4rger", "m__rger"},
		{"...", "m___"},
		{"a23456789b123456789c123456789d123456789e123456789f123456789g123",
		 "a23456789b123456789c123456789d123456789e123456789f123456789g123"},
	};
	char name[NAMING_NAME_SIZE];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		naming_metric(name, cases[i].raw);
		assert_string_equal(name, cases[i].name);
	}
}

static void naming__long_names_that_differ_at_their_end_differ(void **state)
{
	(void)state;
	char raw[300], one[NAMING_NAME_SIZE], other[NAMING_NAME_SIZE];
	memset(raw, 'a', sizeof raw - 1);
	raw[sizeof raw - 1] = '\0';
	naming_metric(one, raw);
	raw[sizeof raw - 2] = 'b';
	naming_metric(other, raw);
	assert_string_not_equal(one, other);
	assert_int_equal(strlen(one), 63);
	assert_int_equal(strncmp(one, other, 54), 0);
}

static void naming__labels(void **state)
{
	(void)state;
	char name[NAMING_NAME_SIZE];
	naming_label(name, "Mount-Point");
	assert_string_equal(name, "mount_point");
	naming_label(name, "instance");
	assert_string_equal(name, "exported_instance");
	naming_label(name, "PLUGIN_INSTANCE");
	assert_string_equal(name, "exported_plugin_instance");
}

static void naming__values(void **state)
{
	(void)state;
	char value[NAMING_VALUE_SIZE], raw[300];
	assert_int_equal(naming_value(value, "/var/lib \xc3\xa4 \"x\""), 0);
	assert_string_equal(value, "/var/lib \xc3\xa4 \"x\"");
	assert_int_equal(naming_value(value, "a\n\x80\xff\x1b[1m"), 0);
	assert_string_equal(value, "a\\x0a\\x80\\xff\\x1b[1m");
	assert_int_equal(naming_value(value, "\xe2\x80\xae"), 0); /* U+202E: it would turn the rest around */
	assert_string_equal(value, "\\xe2\\x80\\xae");
	memset(raw, 'x', 255);
	raw[255] = '\0';
	assert_int_equal(naming_value(value, raw), 0);
	assert_string_equal(value, raw);
	raw[254] = '\n';
	assert_int_equal(naming_value(value, raw), -1);
	memset(raw, 'x', 256);
	raw[256] = '\0';
	assert_int_equal(naming_value(value, raw), -1);
}

/* ---- the catalogue ---- */

static struct cw_metric declared[64];
static uint32_t declared_count, declare_limit;

/* Index 10 is the first that is not the plugin's own; `own_name` is one of those. */
static int64_t declare(void *arg, const struct cw_metric *metric)
{
	assert_ptr_equal(arg, declared);
	if (strcmp(metric->name, "own_name") == 0)
		return 3;
	if (strcmp(metric->name, "own_counter") == 0)
		return -EEXIST;
	if (declared_count == declare_limit)
		return -ENOSPC;
	declared[declared_count] = *metric;
	declared[declared_count].name = NULL; /* it lives for the call only */
	for (uint32_t i = 0; i < CW_LABELS_MAX && metric->labels[i].name; i++)
		declared[declared_count].labels[i].name = strdup(metric->labels[i].name);
	return 10 + declared_count++;
}

static void forget_declared(void)
{
	for (uint32_t i = 0; i < declared_count; i++)
		for (uint32_t j = 0; j < CW_LABELS_MAX; j++)
			free((char *)(uintptr_t)declared[i].labels[j].name);
	declared_count = 0;
	declare_limit = 64;
}

static struct catalogue *make(uint32_t limit)
{
	const struct catalogue_host host = {.declare = declare, .arg = declared, .first_index = 10};
	forget_declared();
	return catalogue_new(&host, limit, 100 * CW_SECOND);
}

static void end(struct catalogue *catalogue)
{
	catalogue_free(catalogue);
	forget_declared();
}

static struct point gauge(const char *name, double value)
{
	return (struct point){.source = name, .name = name, .number = CW_DOUBLE, .real = value};
}

static struct point labelled(const char *name, const char *a, const char *x, const char *b, const char *y)
{
	struct point point = gauge(name, 1);
	point.labels[0] = (struct point_label){a, x};
	point.labels[1] = (struct point_label){b, y};
	point.labels_count = b ? 2 : 1;
	return point;
}

static struct catalogued taken;
static enum bad bad;
static char sentence[BAD_TEXT_MAX];

static int take_at(struct catalogue *catalogue, const struct point *point, int64_t now)
{
	sentence[0] = '\0';
	return catalogue_take(catalogue, point, now, &taken, &bad, sentence);
}

static int take(struct catalogue *catalogue, struct point point)
{
	return take_at(catalogue, &point, CW_SECOND);
}

static void catalogue__a_metric_is_declared_once(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	assert_int_equal(take(catalogue, gauge("a.b", 1.5)), 0);
	assert_int_equal(taken.metric, 10);
	assert_true(taken.sample.real > 1.4);
	assert_int_equal(take(catalogue, gauge("zz", 2)), 0);
	assert_int_equal(taken.metric, 11);
	assert_int_equal(take(catalogue, gauge("a.b", 3)), 0);
	assert_int_equal(taken.metric, 10);
	assert_int_equal(declared_count, 2);
	assert_int_equal(catalogue_series(catalogue), 2);
	end(catalogue);
}

static void catalogue__labels_are_in_order_of_their_names(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	assert_int_equal(take(catalogue, labelled("m", "zone", "1", "host", "2")), 0);
	assert_string_equal(declared[0].labels[0].name, "host");
	assert_string_equal(taken.sample.labels[0], "2");
	assert_int_equal(take(catalogue, labelled("m", "host", "2", "zone", "1")), 0);
	assert_string_equal(taken.sample.labels[0], "2");
	assert_string_equal(taken.sample.labels[1], "1");
	assert_int_equal(catalogue_series(catalogue), 1);
	end(catalogue);
}

static void catalogue__a_missing_label_is_empty_and_a_new_one_refused(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	assert_int_equal(take(catalogue, labelled("m", "a", "1", "b", "2")), 0);
	assert_int_equal(take(catalogue, labelled("m", "b", "2", NULL, NULL)), 0);
	assert_string_equal(taken.sample.labels[0], "");
	assert_string_equal(taken.sample.labels[1], "2");
	assert_int_equal(take(catalogue, gauge("m", 1)), 0);
	assert_int_equal(take(catalogue, labelled("m", "c", "3", NULL, NULL)), -EINVAL);
	assert_int_equal(bad, BAD_LABELS);
	assert_string_equal(sentence, "`m` has a label `c` that it had not at first");
	end(catalogue);
}

static void catalogue__labels_that_cannot_be_had(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	struct point many = gauge("m", 1);
	char value[400];
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	for (uint32_t i = 0; i < 5; i++)
		many.labels[i] = (struct point_label){names[i], "x"};
	many.labels_count = 4;
	assert_int_equal(take(catalogue, many), 0);
	many.labels_count = 5;
	assert_int_equal(take(catalogue, many), -EINVAL);
	assert_int_equal(bad, BAD_LABELS);
	assert_int_equal(take(catalogue, labelled("n", "a-b", "1", "a.b", "2")), -EINVAL);
	assert_string_equal(sentence, "`n` has two labels that are both called `a_b`");
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	assert_int_equal(take(catalogue, labelled("n", "a", value, NULL, NULL)), -EINVAL);
	assert_string_equal(sentence, "the label `a` of `n` is longer than 255 bytes");
	end(catalogue);
}

static void catalogue__two_names_of_one_series_are_a_collision(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	assert_int_equal(take(catalogue, gauge("a.b", 1)), 0);
	assert_int_equal(take(catalogue, gauge("a_b", 1)), -EINVAL);
	assert_int_equal(bad, BAD_COLLISION);
	assert_int_equal(take(catalogue, gauge("A.B", 1)), -EINVAL);
	assert_int_equal(take(catalogue, gauge("a.b", 1)), 0); /* the first goes on */
	assert_int_equal(take(catalogue, labelled("l", "X", "1", NULL, NULL)), 0);
	assert_int_equal(take(catalogue, labelled("l", "x", "1", NULL, NULL)), -EINVAL);
	assert_int_equal(take(catalogue, labelled("l", "x", "2", NULL, NULL)), 0); /* another series */
	assert_int_equal(take(catalogue, labelled("l", "x", "\xff", NULL, NULL)), 0);
	assert_int_equal(take(catalogue, labelled("l", "x", "\\xff", NULL, NULL)), -EINVAL);
	assert_int_equal(bad, BAD_COLLISION);
	end(catalogue);
}

static void catalogue__the_plugins_own_metrics_are_not_to_be_had(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(100);
	assert_int_equal(take(catalogue, gauge("own_name", 1)), -EINVAL);
	assert_int_equal(bad, BAD_COLLISION);
	assert_int_equal(take(catalogue, gauge("own_counter", 1)), -EINVAL);
	assert_int_equal(bad, BAD_COLLISION);
	assert_int_equal(catalogue_series(catalogue), 0);
	end(catalogue);
}

static void catalogue__a_metric_keeps_its_kind_and_its_buckets(void **state)
{
	(void)state;
	const double bounds[] = {1, 2}, others[] = {1, 3};
	const uint64_t counts[] = {1, 2, 3};
	struct catalogue *catalogue = make(100);
	struct point counter = gauge("m", 1), histogram = gauge("h", 0);
	counter.kind = CW_COUNTER;
	assert_int_equal(take(catalogue, gauge("m", 1)), 0);
	assert_int_equal(take(catalogue, counter), -EINVAL);
	assert_int_equal(bad, BAD_TYPE);
	assert_string_equal(sentence, "`m` is a counter, and was a gauge at first");
	histogram.kind = CW_HISTOGRAM;
	histogram.number = CW_BUCKETS;
	histogram.histogram = (struct cw_histogram){counts, 6, 9};
	histogram.bounds = bounds;
	histogram.bounds_count = 2;
	struct point copy = histogram;
	assert_int_equal(take_at(catalogue, &copy, 1), 0);
	assert_ptr_equal(taken.sample.histogram, &copy.histogram);
	copy.bounds = others;
	assert_int_equal(take_at(catalogue, &copy, 1), -EINVAL);
	assert_string_equal(sentence, "`h` has other buckets than at first");
	copy.bounds = bounds;
	assert_int_equal(take_at(catalogue, &copy, 1), 0);
	end(catalogue);
}

static void catalogue__too_many_series_make_room_by_age(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(200);
	char value[16];
	struct point point = labelled("s", "x", value, NULL, NULL);
	for (int i = 0; i < 200; i++) {
		snprintf(value, sizeof value, "%d", i);
		assert_int_equal(take_at(catalogue, &point, CW_SECOND), 0);
	}
	snprintf(value, sizeof value, "7");
	assert_int_equal(take_at(catalogue, &point, 90 * CW_SECOND), 0); /* it is still given */
	snprintf(value, sizeof value, "new");
	assert_int_equal(take_at(catalogue, &point, 90 * CW_SECOND), -EINVAL);
	assert_int_equal(bad, BAD_TOO_MANY);
	assert_string_equal(sentence, "`s` is one series too many (max_series: 200)");
	assert_int_equal(take_at(catalogue, &point, 110 * CW_SECOND), 0);
	assert_int_equal(catalogue_series(catalogue), 2);
	end(catalogue);
}

static void catalogue__too_many_metrics_are_said(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(200);
	declare_limit = 1;
	assert_int_equal(take(catalogue, gauge("one", 1)), 0);
	assert_int_equal(take(catalogue, gauge("two", 1)), -EINVAL);
	assert_int_equal(bad, BAD_TOO_MANY);
	assert_int_equal(take(catalogue, gauge("one", 1)), 0);
	end(catalogue);
}

static void catalogue__what_accumulates_is_the_sum(void **state)
{
	(void)state;
	struct catalogue *catalogue = make(200);
	struct point point = {.source = "a", .name = "a", .kind = CW_COUNTER, .accumulate = true, .number = CW_INTEGER};
	point.integer = 5;
	assert_int_equal(take(catalogue, point), 0);
	assert_int_equal(taken.sample.integer, 5);
	point.integer = 7;
	assert_int_equal(take(catalogue, point), 0);
	assert_int_equal(taken.sample.integer, 12);
	struct point nothing = point;
	nothing.number = CW_DOUBLE;
	nothing.real = NAN;
	assert_int_equal(take(catalogue, nothing), 0);
	assert_true(isnan(taken.sample.real)); /* the core counts it as none, and the sum is as it was */
	point.integer = INT64_MAX;
	assert_int_equal(take(catalogue, point), 0);
	assert_int_equal(taken.sample.number, CW_DOUBLE);
	assert_true(taken.sample.real > 9.2e18);
	end(catalogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines__are_the_same_however_they_come_cut),
		cmocka_unit_test(lines__a_long_one_is_cut_and_the_next_one_is_whole),
		cmocka_unit_test(naming__metrics),
		cmocka_unit_test(naming__long_names_that_differ_at_their_end_differ),
		cmocka_unit_test(naming__labels),
		cmocka_unit_test(naming__values),
		cmocka_unit_test(catalogue__a_metric_is_declared_once),
		cmocka_unit_test(catalogue__labels_are_in_order_of_their_names),
		cmocka_unit_test(catalogue__a_missing_label_is_empty_and_a_new_one_refused),
		cmocka_unit_test(catalogue__labels_that_cannot_be_had),
		cmocka_unit_test(catalogue__two_names_of_one_series_are_a_collision),
		cmocka_unit_test(catalogue__the_plugins_own_metrics_are_not_to_be_had),
		cmocka_unit_test(catalogue__a_metric_keeps_its_kind_and_its_buckets),
		cmocka_unit_test(catalogue__too_many_series_make_room_by_age),
		cmocka_unit_test(catalogue__too_many_metrics_are_said),
		cmocka_unit_test(catalogue__what_accumulates_is_the_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
