/* SPDX-License-Identifier: MIT
 *
 * Silences: what they match, when, what is refused, and that what each mutes is counted right whatever happens.
 */
#include "silence.h"

#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE (60 * CW_SECOND)

static int64_t at(const char *time)
{
	int64_t wall;
	assert_int_equal(text_parse_time(time, strlen(time), &wall, NULL), 0);
	return wall;
}

static struct cw_fact facts[] = {{"worker", "ai-7"}, {"business_name", "Rosa's \"Café\""}};
static struct alert stale = {.rule_name = "call-stale",
			     .source = "calls",
			     .subject = "CA1",
			     .severity = CW_SEVERITY_WARNING,
			     .facts = facts,
			     .facts_count = 2};
static struct alert deep = {
	.rule_name = "dlq-growing", .source = "dlq", .subject = "dlq_depth", .severity = CW_SEVERITY_CRITICAL};

static struct cw_silence_spec asked(const char *const *matchers, uint32_t count)
{
	return (struct cw_silence_spec){.matchers = matchers,
					.matchers_count = count,
					.all = count == 0,
					.ends_at = at("2026-12-01T12:00:00Z"),
					.comment = "deploy",
					.by = "ada"};
}

static struct silence *add(struct silences *silences, const struct cw_silence_spec *spec, int64_t wall)
{
	char error[CW_QUERY_ERROR_MAX] = "";
	struct silence *silence = NULL;
	if (silences_add(silences, spec, wall, &silence, error) != 0)
		fail_msg("%s", error);
	return silence;
}

static void matchers__of_an_alert__all_must_hold(void **state)
{
	(void)state;
	static const struct {
		const char *matchers[3];
		bool stale, deep;
	} cases[] = {
		{{"alertname=call-stale"}, true, false},
		{{"alertname=~^call-"}, true, false},
		{{"alertname!~^call-"}, false, true},
		{{"severity=critical"}, false, true},
		{{"severity!=info"}, true, true},
		{{"instance=calls", "worker=ai-7"}, true, false},
		{{"instance=calls", "worker=ai-8"}, false, false},
		{{"worker=null"}, false, true},
		{{"worker!=ai-8"}, true, true},
		{{"business_name~café"}, true, false},
		{{"business_name=\"Rosa's \\\"Café\\\"\""}, true, false},
		{{"subject=CA1", "alertname=call-stale", "severity=warning"}, true, false},
		{{NULL}, true, true}, /* all */
	};
	int64_t wall = at("2026-12-01T10:00:00Z");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct silences *silences = silences_new();
		uint32_t count = 0;
		while (count < 3 && cases[i].matchers[count])
			count++;
		struct cw_silence_spec spec = asked(cases[i].matchers, count);
		struct silence *silence = add(silences, &spec, wall);
		if (silence_mutes(silence, &stale, wall) != cases[i].stale ||
		    silence_mutes(silence, &deep, wall) != cases[i].deep)
			fail_msg("%s", silence->matchers);
		assert_ptr_equal(silences_match(silences, &deep, wall), cases[i].deep ? silence : NULL);
		silences_free(silences);
	}
}

static void silence__that_is_no_good__is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const fine[] = {"alertname=x"}, *const order[] = {"severity>=warning"},
				 *const no[] = {"alertname"}, *const lines[] = {"alertname=x\nsubject=y"},
				 *const pattern[] = {"alertname=~("}, *const nothing[] = {""};
	int64_t wall = at("2026-12-01T10:00:00Z");
	char text[40000];
	const char *vast[] = {memset(text, 'a', sizeof text - 1)};
	text[1] = '=';
	text[sizeof text - 1] = '\0';
	struct {
		struct cw_silence_spec spec;
		const char *says;
	} cases[] = {
		{asked(NULL, 0), "all"},           {asked(fine, 1), "all is all"},
		{asked(order, 1), "no order"},     {asked(no, 1), "is missing"},
		{asked(lines, 1), "one line"},     {asked(pattern, 1), "alertname"},
		{asked(nothing, 1), "is missing"}, {asked(fine, 1), "comment"},
		{asked(fine, 1), "ends after"},    {asked(fine, 1), "has ended"},
		{asked(fine, 1), "a window is"},   {asked(fine, 1), "time zone that"},
		{asked(fine, 1), "there is none"}, {asked(vast, 1), "32768 are allowed"},
	};
	cases[0].spec.all = false;
	cases[1].spec.all = true;
	cases[7].spec.comment = " ";
	cases[8].spec.starts_at = cases[8].spec.ends_at;
	cases[9].spec.starts_at = 1;
	cases[9].spec.ends_at = wall;
	cases[10].spec.every = "whenever";
	cases[10].spec.every = "Sun";
	cases[11].spec.every = "Sun 02:00-04:00";
	cases[11].spec.timezone = "Moon/Tycho";
	cases[12].spec.timezone = "UTC";
	struct silences *silences = silences_new();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char error[CW_QUERY_ERROR_MAX] = "";
		struct silence *silence = NULL;
		assert_int_equal(silences_add(silences, &cases[i].spec, wall, &silence, error), -EINVAL);
		if (!strstr(error, cases[i].says))
			fail_msg("%zu: %s", i, error);
		assert_null(silences_first(silences));
	}
	silences_free(silences);
	silences_free(NULL);
}

static void silence__over_its_time__begins_and_ends(void **state)
{
	(void)state;
	int64_t wall = at("2026-12-01T10:00:00Z"), end = at("2026-12-01T12:00:00Z");
	struct silences *silences = silences_new();
	struct cw_silence_spec spec = asked(NULL, 0);
	spec.starts_at = wall + 30 * MINUTE;
	struct silence *later = add(silences, &spec, wall);
	assert_false(silence_mutes(later, &stale, wall));
	assert_true(silences_next(silences, wall) == spec.starts_at);
	assert_true(silence_mutes(later, &stale, spec.starts_at));
	assert_true(silences_next(silences, spec.starts_at) == end);
	assert_true(silence_mutes(later, &stale, end - 1));
	assert_false(silence_mutes(later, &stale, end));
	assert_true(silences_next(silences, end) == INT64_MAX);
	assert_null(silences_expire(silences, later->id, end));
	assert_null(silences_expire(silences, "nothing", wall));
	assert_ptr_equal(silences_expire(silences, later->id, end - MINUTE), later);
	assert_false(silence_mutes(later, &stale, end - MINUTE));
	silences_free(silences);
}

static void silence__of_every_week__mutes_in_its_window_only(void **state)
{
	(void)state;
	struct silences *silences = silences_new();
	struct cw_silence_spec spec = asked(NULL, 0);
	spec.starts_at = at("2026-10-01T00:00:00Z");
	spec.ends_at = at("2026-11-01T02:15:00Z");
	spec.every = "Sun 02:00-04:00";
	spec.timezone = "Europe/Berlin";
	struct silence *silence = add(silences, &spec, spec.starts_at);
	static const struct {
		const char *time, *next;
		bool mutes;
	} cases[] = {
		{"2026-10-03T23:59:59Z", "2026-10-04T00:00:00Z", false},
		{"2026-10-04T00:00:00Z", "2026-10-04T02:00:00Z", true},
		{"2026-10-04T02:00:00Z", "2026-10-11T00:00:00Z", false},
		{"2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z", false}, /* 25th: clocks go back, three hours */
		{"2026-10-25T02:30:00Z", "2026-10-25T03:00:00Z", true},
		{"2026-10-25T03:00:00Z", "2026-11-01T01:00:00Z", false},
		{"2026-11-01T01:30:00Z", "2026-11-01T02:15:00Z", true}, /* until it ends */
		{"2026-11-01T02:15:00Z", NULL, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t wall = at(cases[i].time), next = cases[i].next ? at(cases[i].next) : INT64_MAX;
		if (silence_mutes(silence, &stale, wall) != cases[i].mutes || silences_next(silences, wall) != next)
			fail_msg("%s", cases[i].time);
	}
	silences_free(silences);
}

static void turn__of_what_is_silent__comes_once(void **state)
{
	(void)state;
	static const char *const calls[] = {"instance=calls"};
	int64_t wall = at("2026-12-01T10:00:00Z");
	struct silences *silences = silences_new();
	struct cw_silence_spec spec = asked(calls, 1);
	spec.ends_at = wall + 10 * MINUTE;
	struct silence *first = add(silences, &spec, wall);
	assert_true(silences_turn(silences, wall));
	assert_false(silences_turn(silences, wall + MINUTE));
	assert_ptr_equal(silences_look(silences, &stale, 1), first);
	assert_null(silences_look(silences, &deep, 1));
	assert_int_equal(first->mutes, 1);
	spec = asked(NULL, 0);
	struct silence *second = add(silences, &spec, wall + MINUTE);
	assert_null(silences_look(silences, &deep, 0)); /* not before the turn */
	assert_true(silences_turn(silences, wall + 2 * MINUTE));
	assert_int_equal(first->mutes, 0);
	assert_ptr_equal(silences_look(silences, &stale, 1), first);
	assert_ptr_equal(silences_look(silences, &deep, 1), second);
	assert_true(first->mutes == 1 && second->mutes == 2);
	silences_look(silences, &stale, -1);
	assert_true(first->mutes == 0 && second->mutes == 1);
	assert_true(silences_turn(silences, wall + 10 * MINUTE));
	assert_ptr_equal(silences_look(silences, &stale, 0), second);
	/* the clock goes back, over the end of the first */
	assert_true(silences_turn(silences, wall + 5 * MINUTE));
	assert_ptr_equal(silences_look(silences, &stale, 0), first);
	silences_expire(silences, first->id, wall + 5 * MINUTE);
	assert_true(silences_turn(silences, wall + 5 * MINUTE));
	assert_ptr_equal(silences_look(silences, &stale, 0), second);
	silences_free(silences);
}

static void forget(void *arg, struct silence *silence)
{
	assert_true(silence->id[0] != '\0');
	(*(int *)arg)++;
}

static void silences__that_are_many__have_bounds_and_old_ones_are_forgotten(void **state)
{
	(void)state;
	int64_t wall = at("2026-12-01T10:00:00Z");
	char error[CW_QUERY_ERROR_MAX];
	struct silences *silences = silences_new();
	struct silence *silence;
	struct cw_silence_spec spec = asked(NULL, 0);
	int forgotten = 0;
	for (int i = 0; i < SILENCES_MAX; i++)
		add(silences, &spec, wall);
	assert_int_equal(silences_add(silences, &spec, wall, &silence, error), -ENOSPC);
	/* those that have ended take nobody's room, and are bounded too */
	assert_non_null(silences_expire(silences, silences_first(silences)->id, wall));
	add(silences, &spec, wall);
	silences_forget(silences, wall, forget, &forgotten);
	assert_int_equal(forgotten, 0);
	silences_forget(silences, spec.ends_at, forget, &forgotten);
	assert_int_equal(forgotten, 1);
	silences_forget(silences, spec.ends_at + 7 * 1440 * MINUTE, forget, &forgotten);
	assert_int_equal(forgotten, 1);
	silences_forget(silences, spec.ends_at + 7 * 1440 * MINUTE + 1, forget, &forgotten);
	assert_int_equal(forgotten, SILENCES_MAX + 1);
	assert_null(silences_first(silences));
	add(silences, &spec, wall); /* the list still has an end */
	assert_non_null(silences_first(silences));
	silences_free(silences);
}

static void silence__from_the_journal__is_as_it_was(void **state)
{
	(void)state;
	static const char *const matchers[] = {"alertname=call-stale", "worker=ai-7"};
	int64_t wall = at("2026-12-01T10:00:00Z");
	char error[CW_QUERY_ERROR_MAX];
	struct silences *silences = silences_new();
	struct cw_silence_spec spec = asked(matchers, 2);
	spec.comment = "why\x1b[2J";
	struct silence *silence = add(silences, &spec, wall), *again;
	assert_int_equal(strlen(silence->id), 8);
	assert_string_equal(silence->matchers, "alertname=call-stale\nworker=ai-7");
	assert_string_equal(silence->comment, "why\\x1b[2J");
	assert_string_equal(silence->created_by, "ada");
	spec.id = silence->id;
	assert_int_equal(silences_add(silences, &spec, wall, &again, error), -EINVAL); /* twice */
	spec.id = "0123abcd";
	spec.ends_at = wall - 1; /* it has ended meanwhile */
	again = add(silences, &spec, wall);
	assert_string_equal(again->id, "0123abcd");
	assert_true(again->ends_at == wall - 1);
	/* a dry run is asked, and is not among them */
	spec = asked(matchers, 2);
	spec.dry_run = true;
	struct silence *tried = add(silences, &spec, wall);
	assert_true(silence_mutes(tried, &stale, wall));
	tried = add(silences, &spec, wall);
	for (struct silence *one = silences_first(silences); one; one = one->next)
		assert_ptr_not_equal(one, tried);
	silences_free(silences);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matchers__of_an_alert__all_must_hold),
		cmocka_unit_test(silence__that_is_no_good__is_refused_with_a_sentence),
		cmocka_unit_test(silence__over_its_time__begins_and_ends),
		cmocka_unit_test(silence__of_every_week__mutes_in_its_window_only),
		cmocka_unit_test(turn__of_what_is_silent__comes_once),
		cmocka_unit_test(silences__that_are_many__have_bounds_and_old_ones_are_forgotten),
		cmocka_unit_test(silence__from_the_journal__is_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
