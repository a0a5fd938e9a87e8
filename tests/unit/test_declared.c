/* SPDX-License-Identifier: MIT
 *
 * Metrics that an instance declares while it runs: indexes, what is refused, the bound.
 */
#include "declared.h"

#include "metric.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cw_metric own_metrics[] = {
	{.name = "own_first", .kind = CW_GAUGE, .unit = "", .help = "First"},
	{.name = "own_second", .kind = CW_GAUGE, .unit = "", .help = "Second", .labels = {{"kind", NULL}}},
};
static const struct cw_array own = CW_ARRAY(own_metrics);

static struct cw_metric gauge(const char *name)
{
	return (struct cw_metric){.name = name, .kind = CW_GAUGE, .unit = "", .help = "Help"};
}

static void indexes__go_on_after_those_of_the_descriptor(void **state)
{
	(void)state;
	struct declared declared = {0};
	struct cw_metric zebra = gauge("zebra"), ant = gauge("ant"), cat = gauge("cat");
	assert_int_equal(declared_add(&declared, &own, &zebra), 2);
	assert_int_equal(declared_add(&declared, &own, &ant), 3);
	assert_int_equal(declared_add(&declared, &own, &cat), 4);
	assert_int_equal(declared_add(&declared, &own, &zebra), 2);
	assert_int_equal(declared_add(&declared, &own, &ant), 3);
	assert_string_equal(declared_at(&declared, &own, 1)->name, "own_second");
	assert_string_equal(declared_at(&declared, &own, 3)->name, "ant");
	assert_null(declared_at(&declared, &own, 5));
	assert_null(declared_at(&declared, &own, UINT32_MAX));
	declared_release(&declared);
	assert_null(declared_at(&declared, &own, 2));
	assert_int_equal(declared_add(&declared, &own, &ant), 2);
	declared_release(&declared);
}

static void the_same_name__must_be_the_same_kind_labels_and_bounds(void **state)
{
	(void)state;
	const double bounds[] = {1, 2}, others[] = {1, 3};
	struct declared declared = {0};
	struct cw_metric metric = {.name = "m", .kind = CW_HISTOGRAM, .labels = {{"a", NULL}}, .bounds = bounds};
	metric.bounds_count = 2;
	struct cw_metric other_help = metric, other_kind = metric, other_label = metric, other_bounds = metric;
	other_help.help = "Said otherwise";
	other_help.unit = "seconds";
	other_kind.kind = CW_COUNTER;
	other_kind.bounds = NULL;
	other_kind.bounds_count = 0;
	other_label.labels[0].name = "b";
	other_bounds.bounds = others;
	assert_int_equal(declared_add(&declared, &own, &metric), 2);
	assert_int_equal(declared_add(&declared, &own, &other_help), 2);
	assert_int_equal(declared_add(&declared, &own, &other_kind), -EEXIST);
	assert_int_equal(declared_add(&declared, &own, &other_label), -EEXIST);
	assert_int_equal(declared_add(&declared, &own, &other_bounds), -EEXIST);
	struct cw_metric same_as_own = own_metrics[1], unlike_own = gauge("own_second");
	assert_int_equal(declared_add(&declared, &own, &same_as_own), 1);
	assert_int_equal(declared_add(&declared, &own, &unlike_own), -EEXIST);
	declared_release(&declared);
}

static void what_no_descriptor_may_have__is_refused(void **state)
{
	(void)state;
	char long_help[1100];
	memset(long_help, 'h', sizeof long_help - 1);
	long_help[sizeof long_help - 1] = '\0';
	struct declared declared = {0};
	struct cw_metric bad_name = gauge("Bad"), bad_help = gauge("fine"), counter = gauge("counts");
	bad_help.help = long_help;
	counter.kind = CW_COUNTER; /* and does not end in _total */
	assert_int_equal(declared_add(&declared, &own, &bad_name), -EINVAL);
	assert_int_equal(declared_add(&declared, &own, &bad_help), -EINVAL);
	assert_int_equal(declared_add(&declared, &own, &counter), 2);
	declared_release(&declared);
}

/* In both orders, with one of the descriptor and with one declared before. */
static void what_a_histogram_is_told_by__is_no_name_for_another(void **state)
{
	(void)state;
	static const double bounds[] = {1};
	static const struct cw_metric of_descriptor[] = {
		{.name = "own", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 1},
		{.name = "other_sum", .kind = CW_GAUGE},
	};
	static const struct cw_array owns = CW_ARRAY(of_descriptor);
	struct declared declared = {0};
	struct cw_metric histogram = of_descriptor[0], part = gauge("own_count"), whole = gauge("own_counts");
	assert_int_equal(declared_add(&declared, &owns, &part), -EEXIST);
	assert_int_equal(declared_add(&declared, &owns, &whole), 2);
	histogram.name = "other";
	assert_int_equal(declared_add(&declared, &owns, &histogram), -EEXIST);
	histogram.name = "own_bucket"; /* a histogram itself */
	assert_int_equal(declared_add(&declared, &owns, &histogram), -EEXIST);
	part = gauge("late_p99");
	assert_int_equal(declared_add(&declared, &owns, &part), 3);
	histogram.name = "late";
	assert_int_equal(declared_add(&declared, &owns, &histogram), -EEXIST);
	histogram.name = "early";
	assert_int_equal(declared_add(&declared, &owns, &histogram), 4);
	part = gauge("early_p50");
	assert_int_equal(declared_add(&declared, &owns, &part), -EEXIST);
	part = gauge("whole_sum"); /* beside what is no histogram */
	whole = gauge("whole");
	assert_int_equal(declared_add(&declared, &owns, &whole), 5);
	assert_int_equal(declared_add(&declared, &owns, &part), 6);
	declared_release(&declared);
}

static void what_the_core_says_of_each_instance__is_no_name_for_another(void **state)
{
	(void)state;
	struct declared declared = {0};
	struct cw_metric of_instance = gauge("instance_up"), spool = gauge("spool_oldest_age_seconds");
	struct cw_metric lag = gauge("loop_lag_seconds"), of_agent = gauge("process_open_fds");
	assert_int_equal(declared_add(&declared, &own, &of_instance), -EEXIST);
	assert_int_equal(declared_add(&declared, &own, &spool), -EEXIST);
	assert_int_equal(declared_add(&declared, &own, &lag), -EEXIST);
	assert_int_equal(declared_add(&declared, &own, &of_agent), 2); /* another program's: the agent's is `agent`'s */
	declared_release(&declared);
}

static void too_many__are_refused_and_the_known_ones_go_on(void **state)
{
	(void)state;
	struct declared declared = {0};
	char name[16];
	struct cw_metric metric = gauge(name);
	for (unsigned i = 0; i < DECLARED_MAX; i++) {
		snprintf(name, sizeof name, "m%u", i * 7 % DECLARED_MAX);
		assert_int_equal(declared_add(&declared, &own, &metric), own.count + i);
	}
	snprintf(name, sizeof name, "one_more");
	assert_int_equal(declared_add(&declared, &own, &metric), -ENOSPC);
	snprintf(name, sizeof name, "m7");
	assert_int_equal(declared_add(&declared, &own, &metric), own.count + 1);
	declared_release(&declared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indexes__go_on_after_those_of_the_descriptor),
		cmocka_unit_test(the_same_name__must_be_the_same_kind_labels_and_bounds),
		cmocka_unit_test(what_no_descriptor_may_have__is_refused),
		cmocka_unit_test(what_a_histogram_is_told_by__is_no_name_for_another),
		cmocka_unit_test(what_the_core_says_of_each_instance__is_no_name_for_another),
		cmocka_unit_test(too_many__are_refused_and_the_known_ones_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
