/* SPDX-License-Identifier: MIT
 *
 * Metrics that are made at run time: what may be, and that each is kept once.
 */
#include "metric.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const colours[] = {"red", "green", NULL}, *const fewer[] = {"red", NULL};
static const double bounds[] = {0.5, 1, 5};

static struct cw_metric full(void)
{
	return (struct cw_metric){.name = "paint_seconds",
				  .kind = CW_HISTOGRAM,
				  .unit = "seconds",
				  .help = "How long it took to dry",
				  .labels = {{"colour", colours}, {"wall", NULL}},
				  .collectd_type = "duration",
				  .bounds = bounds,
				  .bounds_count = 3};
}

static void kept__is_a_copy_of_all_that_was_said(void **state)
{
	(void)state;
	char name[] = "paint_seconds";
	struct cw_metric metric = full();
	metric.name = name;
	const struct cw_metric *kept = metric_keep(&metric);
	memset(name, 'x', sizeof name - 1);
	assert_non_null(kept);
	assert_string_equal(kept->name, "paint_seconds");
	assert_string_equal(kept->labels[0].values[1], "green");
	assert_null(kept->labels[0].values[2]);
	assert_null(kept->labels[1].values);
	assert_null(kept->labels[2].name);
	assert_true(kept->bounds != bounds);
	assert_true(kept->bounds[2] > 4.9);
	metric = full();
	assert_true(metric_equal(kept, &metric));
}

static void the_same_again__is_the_same_copy(void **state)
{
	(void)state;
	struct cw_metric metric = full();
	assert_ptr_equal(metric_keep(&metric), metric_keep(&metric));
}

static void what_differs_in_anything__is_another(void **state)
{
	(void)state;
	struct cw_metric metric = full(), others[7];
	const double other_bounds[] = {0.5, 1, 6};
	for (size_t i = 0; i < 7; i++)
		others[i] = full();
	others[0].name = "paint_minutes";
	others[1].kind = CW_GAUGE;
	others[1].bounds = NULL;
	others[1].bounds_count = 0;
	others[2].unit = "minutes";
	others[3].help = NULL;
	others[4].labels[0].values = fewer;
	others[5].labels[1].name = NULL;
	others[6].bounds = other_bounds;
	for (size_t i = 0; i < 7; i++) {
		assert_false(metric_equal(&metric, &others[i]));
		assert_ptr_not_equal(metric_keep(&metric), metric_keep(&others[i]));
	}
}

static void what_may_not_be__is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const double falling[] = {2, 1}, not_a_number[] = {NAN}, infinite[] = {1, INFINITY};
	static const struct {
		struct cw_metric metric;
		bool free_labels;
		const char *says; /* NULL: it may be */
	} cases[] = {
		{{.name = "up"}, false, NULL},
		{{.name = NULL}, false, "(null)"},
		{{.name = "Up"}, true, "not [a-z]"},
		{{.name = "up-down"}, true, "not [a-z]"},
		{{.name = "up", .kind = (enum cw_kind)3}, true, "unknown kind 3"},
		{{.name = "ups", .kind = CW_COUNTER}, false, "ends in _total"},
		{{.name = "ups", .kind = CW_COUNTER}, true, NULL},
		{{.name = "up", .labels = {{"a", NULL}, {"b", NULL}}}, false, "must be the last"},
		{{.name = "up", .labels = {{"a", NULL}, {"b", NULL}}}, true, NULL},
		{{.name = "up", .labels = {{"a", NULL}, {"a", NULL}}}, true, "two labels called `a`"},
		{{.name = "up", .labels = {{"plugin_instance", NULL}}}, true, "is the core's"},
		{{.name = "up", .labels = {{"a b", NULL}}}, true, "not [a-z]"},
		{{.name = "up", .bounds = bounds, .bounds_count = 3}, true, "bounds are for a histogram"},
		{{.name = "up", .kind = CW_HISTOGRAM}, true, "1 to 64 bounds"},
		{{.name = "up", .kind = CW_HISTOGRAM, .bounds = falling, .bounds_count = 2},
		 true,
		 "bound 1 is not above"},
		{{.name = "up", .kind = CW_HISTOGRAM, .bounds = not_a_number, .bounds_count = 1},
		 true,
		 "bound 0 is not finite"},
		{{.name = "up", .kind = CW_HISTOGRAM, .bounds = infinite, .bounds_count = 2},
		 true,
		 "bound 1 is not finite"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char error[METRIC_ERROR_MAX] = "";
		int status = metric_check(&cases[i].metric, cases[i].free_labels, error);
		assert_int_equal(status, cases[i].says ? -EINVAL : 0);
		if (cases[i].says && !strstr(error, cases[i].says))
			fail_msg("case %zu: %s", i, error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept__is_a_copy_of_all_that_was_said),
		cmocka_unit_test(the_same_again__is_the_same_copy),
		cmocka_unit_test(what_differs_in_anything__is_another),
		cmocka_unit_test(what_may_not_be__is_refused_with_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
