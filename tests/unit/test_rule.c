/* SPDX-License-Identifier: MIT
 *
 * Rules and routes: what they become, and every way in which they can be wrong, with its place and what would be right.
 * The plugins are real ones, for their tables and metrics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "options.h"
#include "rules_fixture.h"
#include "template.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct problems problems;

static struct plan *must_make(const char *text)
{
	struct plan *plan = rules_plan(RULES_PLUGINS, text, &problems);
	if (!plan)
		fail_msg("%s: %s", text, problems.count ? problems.list[0].message : "-");
	return plan;
}

static int release(void **state)
{
	(void)state;
	problems_release(&problems);
	problems_init(&problems);
	return 0;
}

/* ---- what is wrong ---- */

/* A rule called `r` in one line; and what is said. */
static const struct {
	const char *rule, *said;
	uint32_t column; /* 0: any */
} refused[] = {
	{"", "rule r: it needs a `table:` or a `metric:`", 5},
	{"table: calls, metric: calls_active, above: 1", "`table` and `metric` exclude each other", 38},
	{"table: cals", "no configured plugin has a table `cals`; did you mean `calls`?", 23},
	{"table: runs", "no configured plugin has a table `runs`; known: instances", 23},
	{"table: events", "rules cannot look at `events`", 23},
	{"table: alerts", "rules cannot look at `alerts`", 0},
	{"tabel: calls", "rule r: unknown option `tabel`; did you mean `table`?", 16},
	{"table: calls, where: [helth_status=stale]",
	 "where: table `calls` has no column `helth_status`; did you mean `health_status`?", 38},
	{"table: calls, where: [health_status=stlae]",
	 "`stlae` is not one of healthy, warning, stale; did you mean `stale`?", 38},
	{"table: calls, where: [health_status>stale]", "is a choice, which has no order", 0},
	{"table: calls, where: [duration_seconds>4x]", "`4x` is not a duration (`4h`) or seconds", 0},
	{"table: calls, where: [duration_seconds]", "where: one of = != ~", 0},
	{"table: calls, where: ['wroker=a']", "no column `wroker`; did you mean `worker`?", 0},
	{"table: calls, above: 5", "`above` is for rules about a metric; of rows `where` says which", 37},
	{"table: calls, over: 5m", "`over` is for rules about a metric", 0},
	{"table: calls, group_by: [from_phone]", "`from_phone` is a person's number", 41},
	{"table: calls, group_by: [duration_seconds]", "`duration_seconds` is a time or a measure", 0},
	{"table: calls, summarize_by: [bussiness_name]", "did you mean `business_name`?", 45},
	{"table: calls, summary: '{{ from_fone }}'",
	 "summary: table `calls` has no column `from_fone`; did you mean `from_phone`?", 39},
	{"table: calls, summary: '{{ business_name or from_fone }}'", "did you mean `from_phone`?", 39},
	{"table: calls, summary: '{{ duration_seconds or from_phone | duration }}'", "`from_phone` is a text, which",
	 0},
	{"table: calls, summary: '{{ value }}'", "{{ value }}: a row has no value", 0},
	{"table: calls, summary: '{{ common }}'", "{{ common }} is known of a group only", 0},
	{"table: calls, summary: '{{ from_phone | duration }}'", "`from_phone` is a text, which the filter `duration`",
	 0},
	{"table: calls, summary: '{{ start_time | duration }}'", "`start_time` is a time, which the filter `duration`",
	 0},
	{"table: calls, summary: '{{ duration_seconds | time }}'", "`duration_seconds` is a number and no time", 0},
	{"table: calls, summary: '{{ from_phone'", "summary: `}}` or `|` is missing at character 14", 0},
	{"table: calls, description: '{{ x'", "description: `}}` or `|` is missing", 0},
	{"table: calls, labels: { severity: x }", "is one that every alert has", 0},
	{"table: calls, labels: { 'a b': x }", "labels: `a b` is not", 0},
	{"table: calls, severity: critcal", "did you mean `critical`?", 0},
	{"table: calls, for: 5", "expected a duration", 0},
	{"table: calls, repeat_interval: 1s", "out of range", 0},
	{"table: calls, inhibited_by: [r]", "a rule cannot inhibit itself", 45},
	{"table: calls, inhibited_by: [othr]", "there is no rule `othr`; did you mean `other`?", 45},
	{"table: calls, while: ['calls_active']", "while: `calls_active` is not a comparison such as", 38},
	{"table: calls, while: ['calls_active~x']", "is not a comparison", 0},
	{"table: calls, while: ['calls_active=null']", "is not a comparison", 0},
	{"table: calls, while: ['calls_active>many']", "`many` is not a number", 0},
	{"table: calls, while: ['calls_active{helth=stale}>5']",
	 "while: `calls_active` has no label `helth`; did you mean `health`?", 0},
	{"table: calls, while: ['calls_active{health=stlae}>5']",
	 "while: the label `health` is never `stlae`; did you mean `stale`?", 0},
	{"table: calls, while: ['calls_active{health>5']", "while: `label=value` is missing", 0},
	{"table: calls, while: ['call_duration_seconds>5']", "`call_duration_seconds` is a histogram", 0},
	{"metric: calls_active", "rule r: it needs a test: above", 5},
	{"metric: calls_active, above: 1, below: 2", "rule r: `above` and `below`: a rule has one test", 0},
	{"metric: call_duration_seconds, above: 1",
	 "`call_duration_seconds` is a histogram, which has no one value to test", 24},
	{"metric: 'calls_active{helth=stale}', above: 1",
	 "metric: `calls_active` has no label `helth`; did you mean `health`?", 24},
	{"metric: 'calls_active{health=stlae}', above: 1", "the label `health` is never `stlae`; did you mean `stale`?",
	 0},
	{"metric: 'calls_active{host=x}', above: 1", "has no label `host`", 0},
	{"metric: 'calls_active{', above: 1", "metric: `label=value` is missing", 0},
	{"metric: calls_active, above: many", "above: `many` is not a number", 45},
	{"metric: calls_stale_ratio, above: 4h", "above: `4h` is not a ratio", 0},
	{"metric: sweep_age_seconds, above: 5%", "above: `5%` is not a duration", 0},
	{"metric: calls_active, outside: [1]", "expected [LOW, HIGH], found 1 value", 47},
	{"metric: calls_active, outside: [2, 1]", "the first must be the smaller one", 0},
	{"metric: calls_active, outside: [a, 1]", "outside: `a` is not a number", 0},
	{"metric: calls_active, above: 5, clear_below: 6",
	 "clear_below: it must not be above `above`, else it would end before it begins", 0},
	{"metric: calls_active, below: 5, clear_above: 4", "clear_above: it must not be below `below`", 0},
	{"metric: calls_active, above: 5, clear_above: 6", "`clear_above` goes with `below`", 0},
	{"metric: calls_active, outside: [1, 2], clear_below: 2", "`clear_below` goes with `above`", 0},
	{"metric: calls_active, above: 5, over: 1m", "`over` goes with `rate_above`", 0},
	{"metric: calls_active, rate_above: 5", "`calls_active` is a gauge; only a counter has a rate", 50},
	{"metric: calls_started_total, rate_above: 5/w", "behind the slash stands one of s, m, h, d", 0},
	{"metric: calls_started_total, rate_above: x/m", "rate_above: `x` is not a number", 0},
	{"metric: calls_active, absent: 0s", "out of range", 0},
	{"metric: calls_active, above: 1, where: [colour=red]", "where: `calls_active` has no label `colour`", 0},
	{"metric: calls_active, above: 1, where: [health=stlae]", "did you mean `stale`?", 0},
	{"metric: calls_active, above: 1, group_by: [helth]", "did you mean `health`?", 0},
	{"metric: calls_active, above: 1, summary: '{{ helth }}'", "did you mean `health`?", 0},
	{"metric: calls_active, above: 1, summary: '{{ value | time }}'", "`value` is a number and no time", 0},
	{"metric: calls_active, absent: 5m, summary: '{{ value }}'", "an absence has no value", 0},
};

static void wrong_rule__is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char text[1024];
		snprintf(text, sizeof text, "rules:\n  - { name: other, table: calls }\n  - { name: r%s%s }\n",
			 *refused[i].rule ? ", " : "", refused[i].rule);
		assert_null(rules_plan(RULES_PLUGINS, text, &problems));
		const struct problem *problem = &problems.list[0];
		for (size_t p = 1; p < problems.count && problem->severity != PROBLEM_ERROR; p++)
			problem = &problems.list[p];
		if (problems.errors != 1 || !strstr(problem->message, refused[i].said) || problem->line != 8 ||
		    (refused[i].column && problem->column != refused[i].column))
			fail_msg("%s → %zu errors, %u:%u: %s", refused[i].rule, problems.errors, problem->line,
				 problem->column, problem->message);
		problems_release(&problems);
	}
}

static void all_wrong_rules__are_told_in_one_run(void **state)
{
	(void)state;
	char text[16384] = "rules:\n  - { name: other, table: calls }\n";
	size_t count = 0;
	for (size_t i = 1; i < sizeof refused / sizeof *refused && count < 60; i++) {
		if (strstr(refused[i].rule, "[r]"))
			continue;
		snprintf(text + strlen(text), sizeof text - strlen(text), "  - { name: r%zu, %s }\n", i,
			 refused[i].rule);
		count++;
	}
	assert_null(rules_plan(RULES_PLUGINS, text, &problems));
	assert_int_equal(problems.errors, count);
}

/* What an entry that is wrong would have declared is nobody's mistake. */
static void rules_about_a_plugin_that_is_wrong__are_not_called_wrong(void **state)
{
	(void)state;
	assert_null(
		rules_plan("plugins: [{ plugin: redis-calls, url: 5x }]\n",
			   "rules: [{ name: r, table: runs, where: [a=b] }, { name: s, metric: calls_x, above: 5% }]\n",
			   &problems));
	assert_int_equal(problems.errors, 1);
	assert_int_equal(problems.count, 1);
}

static void circles__are_refused(void **state)
{
	(void)state;
	assert_null(rules_plan(RULES_PLUGINS,
			       "rules:\n"
			       "  - { name: a, table: calls, inhibited_by: [b] }\n"
			       "  - { name: b, table: calls, inhibited_by: [c] }\n"
			       "  - { name: c, table: calls, inhibited_by: [d, a] }\n"
			       "  - { name: d, table: calls }\n",
			       &problems));
	assert_int_equal(problems.errors, 1);
	assert_non_null(strstr(problems.list[0].message, "rule c: it is inhibited by `a`"));
}

/* ---- what is not ---- */

static void row_rule__is_what_it_says(void **state)
{
	(void)state;
	struct plan *plan =
		must_make("notify: { group_wait: 20s, send_resolved: false }\n"
			  "rules:\n"
			  "  - name: call-stale\n"
			  "    table: calls\n"
			  "    where: [health_status=stale, duration_seconds>4h, worker~a, instance=calls]\n"
			  "    severity: critical\n"
			  "    for: 1m\n"
			  "    keep_firing_for: 2m\n"
			  "    group_interval: 10m\n"
			  "    labels: { team: voice }\n"
			  "    noun: calls silent\n"
			  "    summarize_by: [worker, business_name]\n"
			  "    group_by: [business_id]\n"
			  "    inhibited_by: [source-blind, gone]\n"
			  "    while: ['calls_active{health=stale}>=5', 'calls_stale_ratio > 5%']\n"
			  "    summary: '{{ from_phone }} silent for {{ heartbeat_age_seconds | duration }}'\n"
			  "    description: '{{ common }} {{ alert }}'\n"
			  "  - { name: source-blind, table: instances, where: [state=down] }\n"
			  "  - { name: gone, enabled: false }\n");
	assert_int_equal(ruleset_count(plan->ruleset), 2);
	const struct rule *rule = ruleset_find(plan->ruleset, "call-stale");
	assert_ptr_equal(rule, ruleset_at(plan->ruleset, 0));
	assert_int_equal(rule->kind, RULE_ROWS);
	assert_string_equal(rule->table, "calls");
	assert_int_equal(rule->where.count, 4);
	assert_string_equal(rule->where.items[1], "duration_seconds>4h");
	assert_int_equal(rule->severity, CW_SEVERITY_CRITICAL);
	assert_int_equal(rule->hold, 60 * CW_SECOND);
	assert_int_equal(rule->keep_firing, 120 * CW_SECOND);
	assert_int_equal(rule->group_wait, 20 * CW_SECOND);
	assert_int_equal(rule->group_interval, 600 * CW_SECOND);
	assert_int_equal(rule->repeat_interval, 4 * 3600 * CW_SECOND);
	assert_false(rule->send_resolved);
	assert_string_equal(rule->labels[0].name, "team");
	assert_string_equal(rule->labels[0].value, "voice");
	assert_string_equal(rule->noun, "calls silent");
	assert_int_equal(rule->summarize_by.count, 2);
	assert_string_equal(rule->group_by.items[0], "business_id");
	assert_int_equal(rule->guards_count, 2);
	assert_string_equal(rule->guards[0].selector.metric, "calls_active");
	assert_string_equal(rule->guards[0].selector.labels[0].value, "stale");
	assert_int_equal(rule->guards[0].op, EXPR_GE);
	assert_float_equal(rule->guards[1].limit, 0.05, 1e-9);
	assert_string_equal(template_name(rule->description, 0), "common");
	assert_int_equal(rule->place.line, 8);
	assert_true(ruleset_has_table(plan->ruleset, "calls"));
	assert_false(ruleset_has_table(plan->ruleset, "dlq"));
	assert_true(ruleset_has_metric(plan->ruleset, "calls_stale_ratio"));
	assert_false(ruleset_has_metric(plan->ruleset, "calls_short_ratio"));
	rule = ruleset_find(plan->ruleset, "source-blind");
	assert_string_equal(rule->noun, "instances");
	assert_int_equal(rule->severity, CW_SEVERITY_WARNING);
	assert_null(ruleset_find(plan->ruleset, "gone"));
	plan_unref(plan);
}

/* One rule about a metric, and its numbers. */
static const struct {
	const char *rule;
	enum rule_test test;
	double low, high, clear_low, clear_high;
	int64_t absent, over;
} numbers[] = {
	{"metric: calls_stale_ratio, above: 5%", RULE_ABOVE, -INFINITY, 0.05, -INFINITY, 0.05, 0, 60},
	{"metric: calls_stale_ratio, above: 0.05, clear_below: 2%", RULE_ABOVE, -INFINITY, 0.05, -INFINITY, 0.02, 0,
	 60},
	{"metric: calls_active, below: 3, clear_above: 5", RULE_BELOW, 3, INFINITY, 5, INFINITY, 0, 60},
	{"metric: redis_clock_skew_seconds, outside: ['-2s', 2s]", RULE_OUTSIDE, -2, 2, -2, 2, 0, 60},
	{"metric: calls_active, absent: 5m", RULE_ABSENT, -INFINITY, INFINITY, -INFINITY, INFINITY, 300, 60},
	{"metric: calls_started_total, rate_above: 30/m", RULE_RATE_ABOVE, -INFINITY, 0.5, -INFINITY, 0.5, 0, 60},
	{"metric: calls_started_total, rate_below: 7200/h, over: 5m", RULE_RATE_BELOW, 2, INFINITY, 2, INFINITY, 0,
	 300},
	{"metric: calls_started_total, rate_above: 5/s", RULE_RATE_ABOVE, -INFINITY, 5, -INFINITY, 5, 0, 60},
	{"metric: calls_started_total, rate_above: 1", RULE_RATE_ABOVE, -INFINITY, 1, -INFINITY, 1, 0, 60},
	{"metric: from_a_script, above: 64KiB", RULE_ABOVE, -INFINITY, 65536, -INFINITY, 65536, 0, 60},
	{"metric: from_a_script, above: 2m", RULE_ABOVE, -INFINITY, 120, -INFINITY, 120, 0, 60},
};

static bool same_number(double a, double b)
{
	return a == b || fabs(a - b) < 1e-9;
}

static void sample_rule__has_its_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		char text[256];
		snprintf(text, sizeof text, "rules: [{ name: r, %s }]\n", numbers[i].rule);
		struct plan *plan = must_make(text);
		const struct rule *rule = ruleset_find(plan->ruleset, "r");
		assert_int_equal(rule->kind, RULE_SAMPLES);
		assert_int_equal(rule->test, numbers[i].test);
		if (!same_number(rule->low, numbers[i].low) || !same_number(rule->high, numbers[i].high) ||
		    !same_number(rule->clear_low, numbers[i].clear_low) ||
		    !same_number(rule->clear_high, numbers[i].clear_high))
			fail_msg("%s: %g %g %g %g", numbers[i].rule, rule->low, rule->high, rule->clear_low,
				 rule->clear_high);
		assert_int_equal(rule->absent, numbers[i].absent * CW_SECOND);
		assert_int_equal(rule->over, numbers[i].over * CW_SECOND);
		assert_string_equal(rule->noun, "series");
		plan_unref(plan);
		problems_release(&problems);
	}
}

static bool say_name(void *arg, const char *name, struct template_value *ret_value)
{
	(void)arg;
	*ret_value = (struct template_value){.number = 0.0725};
	if (strcmp(name, "value") != 0)
		ret_value->text = name;
	return true;
}

static void rule_without_a_summary__has_one(void **state)
{
	(void)state;
	static const struct {
		const char *rule, *said;
	} cases[] = {
		{"table: calls", "subject"},
		{"metric: calls_stale_ratio, above: 1", "subject is 7.2%"},
		{"metric: sweep_age_seconds, above: 1", "subject is 72ms"},
		{"metric: process_resident_memory_bytes, above: 1", "subject is 0.1 B"},
		{"metric: calls_active, above: 1", "subject is 0.0725"},
		{"metric: calls_active, absent: 5m", "no sample of subject"},
		{"metric: calls_started_total, rate_above: 1", "subject grows by 0.0725 a second"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256], said[128];
		snprintf(text, sizeof text, "rules: [{ name: r, %s }]\n", cases[i].rule);
		struct plan *plan = must_make(text);
		template_render(ruleset_find(plan->ruleset, "r")->summary, say_name, NULL, said, sizeof said);
		assert_string_equal(said, cases[i].said);
		plan_unref(plan);
		problems_release(&problems);
	}
}

static void sample__is_taken_by_selector_and_where(void **state)
{
	(void)state;
	static const char *const healths[] = {"healthy", "warning", "stale", NULL};
	static const struct cw_metric metric = {
		.name = "calls_active", .kind = CW_GAUGE, .unit = "", .help = "h", .labels = {{"health", healths}}};
	struct plan *plan = must_make("rules: [{ name: r, metric: calls_active, above: 5, "
				      "where: [health!=healthy, instance~eu, host=~^pbx] }]\n");
	const struct rule *rule = ruleset_find(plan->ruleset, "r");
	const char *stale = "stale", *healthy = "healthy";
	struct cw_sample sample = {.metric = &metric, .labels = &stale};
	assert_true(rule_takes(rule, "pbx-1", "calls-eu", &sample));
	assert_false(rule_takes(rule, "x-1", "calls-eu", &sample));
	assert_false(rule_takes(rule, "pbx-1", "calls-us", &sample));
	sample.labels = &healthy;
	assert_false(rule_takes(rule, "pbx-1", "calls-eu", &sample));
	plan_unref(plan);
}

/* ---- sleep ---- */

static void rule_for_a_plugin_that_is_not_configured__sleeps(void **state)
{
	(void)state;
	struct plan *plan = must_make(
		"rules:\n"
		"  - { name: late, for_plugin: reconciliation, table: runs, where: [status=lost],\n"
		"      summary: '{{ run_id }}', group_by: [origin] }\n"
		"  - { name: later, for_plugin: reconciliation, metric: reconciliation_late, above: 0, while: [x>1] }\n"
		"  - { name: stale, for_plugin: redis-calls, table: calls }\n");
	assert_true(ruleset_find(plan->ruleset, "late")->sleeps);
	assert_true(ruleset_find(plan->ruleset, "later")->sleeps);
	assert_false(ruleset_find(plan->ruleset, "stale")->sleeps);
	assert_false(ruleset_has_table(plan->ruleset, "runs"));
	assert_false(ruleset_has_metric(plan->ruleset, "reconciliation_late"));
	assert_false(ruleset_has_metric(plan->ruleset, "x"));
	assert_int_equal(problems.count, 1); /* nobody tells */
	plan_unref(plan);
	problems_release(&problems);
	plan = must_make("rules: [{ name: late, for_plugin: reconcilation, table: runs }]\n");
	assert_int_equal(problems.count, 1);
	assert_non_null(strstr(problems.list[0].message, "did you mean `reconciliation`?"));
	plan_unref(plan);
	problems_release(&problems);
	assert_null(rules_plan(RULES_PLUGINS, "rules: [{ name: r, for_plugin: dlq, table: dlqq }]\n", &problems));
	assert_int_equal(problems.errors, 1);
}

/* ---- warnings ---- */

static void warning_is(const char *plugins, const char *text, const char *said)
{
	struct plan *plan = rules_plan(plugins, text, &problems);
	assert_non_null(plan);
	const char *first = problems.count ? problems.list[0].message : "";
	if (said ? problems.count != 1 || !strstr(first, said) : problems.count != 0)
		fail_msg("%s: %zu: %s", text, problems.count, first);
	plan_unref(plan);
	problems_release(&problems);
}

#define NOBODY "no notifier is configured"

static void rules_that_nobody_hears__are_one_warning(void **state)
{
	(void)state;
	warning_is(RULES_PLUGINS, "", NULL);
	warning_is(RULES_PLUGINS, "notify: { group_wait: 1s }\n", NULL);
	warning_is(RULES_PLUGINS, "rules: [{ name: a, table: calls }, { name: b, table: calls }]\n", NOBODY);
	warning_is(RULES_PLUGINS, "rules: [{ name: a, table: runs, for_plugin: reconciliation }]\n", NULL);
	warning_is(RULES_PLUGINS, "rules: [{ name: a, enabled: false }]\n", NULL);
}

static void metric_that_nobody_declares__is_a_warning(void **state)
{
	(void)state;
	struct plan *plan = must_make("rules: [{ name: a, metric: calls_actve, above: 5 }]\n");
	assert_int_equal(problems.count, 2);
	assert_non_null(strstr(problems.list[0].message,
			       "no configured plugin declares the metric `calls_actve`; did you mean `calls_active`?"));
	plan_unref(plan);
	problems_release(&problems);
	plan = must_make("rules: [{ name: a, metric: of_a_script, above: 5 }]\n");
	assert_non_null(strstr(problems.list[0].message, "(a script names its own as it runs)"));
	plan_unref(plan);
	problems_release(&problems);
	plan = must_make("rules: [{ name: a, metric: calls_started_total, above: 5 }]\n");
	assert_non_null(strstr(problems.list[0].message, "is `rate_above` meant?"));
	plan_unref(plan);
}

/* ---- fingerprints ---- */

static void fingerprint__changes_with_all_that_a_rule_says(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"rules: [{ name: r, table: calls }]\n",
		"rules: [{ name: r, table: calls, severity: info }]\n",
		"rules: [{ name: r, table: calls, where: [health_status=stale] }]\n",
		"rules: [{ name: r, table: calls }]\nnotify: { group_wait: 1s }\n",
		"rules: [{ name: r, table: calls }]\nnotify: { send_resolved: false }\n",
	};
	enum { TEXTS = sizeof texts / sizeof *texts };
	uint8_t prints[TEXTS][16];
	for (size_t i = 0; i < TEXTS; i++) {
		struct plan *plan = must_make(texts[i]);
		memcpy(prints[i], ruleset_at(plan->ruleset, 0)->fingerprint, 16);
		plan_unref(plan);
		problems_release(&problems);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(prints[i], prints[j], 16);
	}
	struct plan *plan = must_make("\n\nrules:\n  - name: r\n    table: calls\n    severity: warning\n");
	assert_memory_equal(ruleset_at(plan->ruleset, 0)->fingerprint, prints[0], 16);
	plan_unref(plan);
}

/* ---- routes ---- */

static void wrong_notify__is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *notify, *said;
	} cases[] = {
		{"default: [slck]", "default: there is no notifier `slck`"},
		{"default: [calls]", "default: `calls` has the role source, and a notifier is needed"},
		{"routes: [{ to: [x] }]", "to: there is no notifier `x`"},
		{"routes: [{ where: [severity=critical] }]", "`to` is required"},
		{"routes: [{ where: [severity=critcal], to: [] }]",
		 "where: severity: `critcal` is not one of info, warning, critical; did you mean `critical`?"},
		{"routes: [{ where: [severity>info], to: [] }]", "has no order"},
		{"routes: [{ where: [alertname=othr], to: [] }]", "there is no rule `othr`; did you mean `other`?"},
		{"routes: [{ where: [taem=x], to: [] }]", "no rule has a label `taem`, or is grouped by it"},
		{"routes: [{ where: [severity], to: [] }]", "where: one of ="},
		{"group_wiat: 5s", "notify: unknown option `group_wiat`; did you mean `group_wait`?"},
		{"repeat_interval: 1s", "out of range"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[512];
		snprintf(text, sizeof text,
			 "rules: [{ name: other, table: calls, labels: { team: x }, group_by: [worker] }]\nnotify: { "
			 "%s }\n",
			 cases[i].notify);
		assert_null(rules_plan(RULES_PLUGINS, text, &problems));
		if (problems.errors != 1 || !strstr(problems.list[0].message, cases[i].said) ||
		    problems.list[0].line != 7)
			fail_msg("%s: %zu, %u: %s", cases[i].notify, problems.errors, problems.list[0].line,
				 problems.list[0].message);
		problems_release(&problems);
	}
}

#define HERALDS                                                                                                        \
	RULES_PLUGINS "  - { plugin: herald, name: slack, path: /x }\n  - { plugin: herald, name: email, path: /x }\n"

static void hear(void *arg, const char *notifier)
{
	char *heard = arg;
	snprintf(heard + strlen(heard), 128 - strlen(heard), "%s ", notifier);
}

#define LABELLED                                                                                                       \
	"rules:\n  - { name: a, table: calls, labels: { team: voice }, severity: critical, group_by: [worker] }\n"

static const struct {
	const char *notify, *critical, *warning, *split; /* who hears of a critical, a warning, and of worker=ai-7 */
} routes[] = {
	{"", "slack email ", "slack email ", "slack email "},
	{"notify: { default: [email] }", "email ", "email ", "email "},
	{"notify: { default: [] }", "", "", ""},
	{"notify: { routes: [{ where: [severity=critical], to: [slack] }] }", "slack ", "slack email ", "slack email "},
	{"notify: { routes: [{ where: [severity=critical], to: [slack] }], default: [email] }", "slack ", "email ",
	 "email "},
	{"notify: { routes: [{ where: [severity!=critical], to: [] }] }", "slack email ", "", ""},
	{"notify: { routes: [{ where: ['severity=~warning|info'], to: [email] }, { to: [slack] }] }", "slack ",
	 "email ", "email "},
	{"notify: { routes: [{ where: [worker=ai-7], to: [slack] }, { to: [email] }] }", "email ", "email ", "slack "},
	{"notify: { routes: [{ where: [alertname=a, team=voice], to: [slack] }, { to: [] }] }", "slack ", "", ""},
	{"notify: { routes: [{ where: [worker!=ai-7], to: [slack, email] }, { to: [] }] }", "slack email ",
	 "slack email ", ""},
	{"notify: { routes: [{ where: [worker=null], to: [slack] }, { to: [] }] }", "slack ", "slack ", ""},
};

static void first_route_that_matches__says_who_hears(void **state)
{
	(void)state;
	const struct cw_tag critical[] = {{"alertname", "a"}, {"severity", "critical"}, {"team", "voice"}};
	const struct cw_tag warning[] = {{"alertname", "b"}, {"severity", "warning"}};
	const struct cw_tag split[] = {{"alertname", "b"}, {"severity", "warning"}, {"worker", "ai-7"}};
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		char text[1024], heard[3][128] = {"", "", ""};
		snprintf(text, sizeof text, LABELLED "%s\n", routes[i].notify);
		struct plan *plan = rules_plan(HERALDS, text, &problems);
		if (!plan)
			fail_msg("%s: %s", routes[i].notify, problems.list[0].message);
		ruleset_route(plan->ruleset, critical, 3, hear, heard[0]);
		ruleset_route(plan->ruleset, warning, 2, hear, heard[1]);
		ruleset_route(plan->ruleset, split, 3, hear, heard[2]);
		assert_string_equal(heard[0], routes[i].critical);
		assert_string_equal(heard[1], routes[i].warning);
		assert_string_equal(heard[2], routes[i].split);
		plan_unref(plan);
		problems_release(&problems);
	}
	ruleset_route(NULL, critical, 3, hear, NULL);
}

static void rule_that_no_route_leads_to__is_a_warning(void **state)
{
	(void)state;
	static const struct {
		const char *notify, *said;
	} cases[] = {
		{"", NULL},
		{"notify: { default: [slack] }", NULL},
		{"notify: { default: [] }", "rule a: no notifier hears of it"},
		{"notify: { routes: [{ where: [severity=critical], to: [] }] }", "rule a: no notifier hears of it"},
		{"notify: { routes: [{ where: [severity=critical], to: [slack] }], default: [] }", NULL},
		{"notify: { routes: [{ where: [severity=info], to: [slack] }], default: [] }",
		 "no notifier hears of it"},
		/* it depends on what there will be */
		{"notify: { routes: [{ where: [worker=ai-7], to: [slack] }], default: [] }", NULL},
		{"notify: { routes: [{ where: [worker=ai-7], to: [] }] }", NULL},
		{"notify: { routes: [{ where: [alertname=a, team!=voice], to: [slack] }], default: [] }",
		 "no notifier hears of it"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[1024];
		snprintf(text, sizeof text, LABELLED "%s\n", cases[i].notify);
		warning_is(HERALDS, text, cases[i].said);
	}
}

static void notifier_that_is_misspelt__has_a_nearest_name(void **state)
{
	(void)state;
	assert_null(rules_plan(HERALDS, "notify: { default: [slck], routes: [{ to: [emil] }] }\n", &problems));
	assert_int_equal(problems.errors, 2);
	assert_non_null(strstr(problems.list[0].message, "there is no notifier `slck`; did you mean `slack`?"));
	assert_non_null(strstr(problems.list[1].message, "there is no notifier `emil`; did you mean `email`?"));
}

static void option_tables__are_right(void **state)
{
	(void)state;
	char error[OPTIONS_ERROR_MAX];
	if (options_check_table(&rule_options, /* for_plugin */ false, error) < 0)
		fail_msg("%s", error);
	if (options_check_table(&notify_options, /* for_plugin */ false, error) < 0)
		fail_msg("%s", error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(option_tables__are_right, release),
		cmocka_unit_test_teardown(wrong_rule__is_refused_with_its_place, release),
		cmocka_unit_test_teardown(all_wrong_rules__are_told_in_one_run, release),
		cmocka_unit_test_teardown(rules_about_a_plugin_that_is_wrong__are_not_called_wrong, release),
		cmocka_unit_test_teardown(circles__are_refused, release),
		cmocka_unit_test_teardown(row_rule__is_what_it_says, release),
		cmocka_unit_test_teardown(sample_rule__has_its_numbers, release),
		cmocka_unit_test_teardown(rule_without_a_summary__has_one, release),
		cmocka_unit_test_teardown(sample__is_taken_by_selector_and_where, release),
		cmocka_unit_test_teardown(rule_for_a_plugin_that_is_not_configured__sleeps, release),
		cmocka_unit_test_teardown(rules_that_nobody_hears__are_one_warning, release),
		cmocka_unit_test_teardown(metric_that_nobody_declares__is_a_warning, release),
		cmocka_unit_test_teardown(fingerprint__changes_with_all_that_a_rule_says, release),
		cmocka_unit_test_teardown(wrong_notify__is_refused_with_its_place, release),
		cmocka_unit_test_teardown(first_route_that_matches__says_who_hears, release),
		cmocka_unit_test_teardown(rule_that_no_route_leads_to__is_a_warning, release),
		cmocka_unit_test_teardown(notifier_that_is_misspelt__has_a_nearest_name, release),
	};
	problems_init(&problems);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
