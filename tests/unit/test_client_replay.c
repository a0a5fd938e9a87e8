/* SPDX-License-Identifier: MIT
 *
 * The past, lived through once more: samples, rows, states and time are told, and what would have fired follows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replay.h"
#include "rules_fixture.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static const int64_t began = INT64_C(1780000000) * CW_SECOND;

static struct problems problems;
static struct plan *plan;
static struct replay *replay;

static void start(const char *rules)
{
	plan = rules_plan(RULES_PLUGINS, rules, &problems);
	if (!plan)
		fail_msg("%s", problems.list[0].message);
	replay = replay_new(plan, began);
}

static int end(void **state)
{
	(void)state;
	replay_free(replay);
	plan_unref(plan);
	problems_release(&problems);
	replay = NULL;
	plan = NULL;
	return 0;
}

static void until(int seconds)
{
	replay_until(replay, began + seconds * CW_SECOND, /* is_watched */ true);
}

static void sample(int seconds, const char *line)
{
	json_t *json = json_loads(line, 0, NULL);
	assert_non_null(json);
	until(seconds);
	assert_true(replay_sample(replay, json));
	json_decref(json);
}

static void row(const char *table, const char *line)
{
	json_t *json = json_loads(line, 0, NULL);
	assert_non_null(json);
	assert_true(replay_row(replay, table, json));
	json_decref(json);
}

#define ACTIVE(value)                                                                                                  \
	"{\"metric\":\"calls_active\",\"instance\":\"calls\",\"host\":\"h\",\"labels\":{\"health\":\"healthy\"},"      \
	"\"kind\":\"gauge\",\"value\":" #value "}"

static void sample_rule__fires_when_it_has_held_for_so_long(void **state)
{
	(void)state;
	start("rules: [{ name: many, metric: calls_active, above: 10, for: 30s }]\n");
	for (int s = 0; s < 100; s += 10)
		sample(s, s < 20 ? ACTIVE(5) : ACTIVE(20));
	sample(100, ACTIVE(5));
	until(200);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 1);
	const struct replayed *one = replay_at(replay, 0);
	assert_int_equal((one->firing_since - began) / CW_SECOND, 50);
	assert_int_equal((one->resolved_at - began) / CW_SECOND, 100);
	assert_string_equal(one->subject, "calls_active{health=healthy}");
	assert_string_equal(one->reason, "recovered");
	assert_int_equal(replay_tried(replay, one->rule)->seen, 11);
}

static void time_in_which_nobody_watched__does_not_count(void **state)
{
	(void)state;
	start("rules: [{ name: many, metric: calls_active, above: 10, for: 30s }]\n");
	sample(0, ACTIVE(20));
	replay_until(replay, began + 3600 * CW_SECOND, /* is_watched */ false);
	sample(3610, ACTIVE(20));
	sample(3615, ACTIVE(5));
	replay_end(replay);
	assert_int_equal(replay_count(replay), 0);
	const struct tried *tried = replay_tried(replay, ruleset_at(plan->ruleset, 0));
	assert_int_equal(tried->ceased, 1);
	assert_true(tried->held_most < 20 * CW_SECOND);
}

static void guards__see_all_samples_of_a_moment_or_none(void **state)
{
	(void)state;
	start("rules: [{ name: r, metric: sweep_age_seconds, above: 1, while: [calls_active>=5] }]\n");
	static const char age[] = "{\"metric\":\"sweep_age_seconds\",\"instance\":\"calls\",\"labels\":{},\"value\":9}";
	sample(0, ACTIVE(9));
	sample(0, age);
	sample(10, ACTIVE(0)); /* as if it went from one health to another */
	sample(10,
	       "{\"metric\":\"calls_active\",\"instance\":\"calls\",\"labels\":{\"health\":\"stale\"},\"value\":9}");
	sample(10, age);
	until(20);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 1);
	assert_int_equal(replay_at(replay, 0)->resolved_at, 0);
}

#define CALL(sid, health, duration)                                                                                    \
	"{\"instance\":\"calls\",\"call_sid\":\"" sid "\",\"health_status\":\"" health                                 \
	"\",\"duration_seconds\":" #duration "}"

static void row_rule__follows_changes_and_time(void **state)
{
	(void)state;
	start("rules:\n  - { name: stale, table: calls, where: [health_status=stale] }\n"
	      "  - { name: long, table: calls, where: [duration_seconds>1h] }\n");
	row("calls", CALL("CA1", "healthy", 3500));
	until(10);
	assert_true(replay_change(replay, "calls", "calls", "CA1", "stale"));
	assert_true(replay_has_row(replay, "calls", "calls", "CA1"));
	until(20);
	assert_true(replay_change(replay, "calls", "calls", "CA2", "stale")); /* never heard of: what is known of it */
	until(150);
	assert_true(replay_change(replay, "calls", "calls", "CA1", NULL));
	until(160);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 3);
	assert_string_equal(replay_at(replay, 0)->subject, "CA1");
	assert_int_equal((replay_at(replay, 0)->firing_since - began) / CW_SECOND, 10);
	assert_string_equal(replay_at(replay, 0)->reason, "gone");
	assert_string_equal(replay_at(replay, 1)->subject, "CA2");
	assert_string_equal(replay_at(replay, 2)->rule->name, "long");
	assert_int_equal((replay_at(replay, 2)->firing_since - began) / CW_SECOND, 100);
	assert_false(replay_change(replay, "calls", "calls", "CA1", "nonsense"));
	assert_false(replay_change(replay, "nosuch", "calls", "CA1", "stale"));
}

static void rows_that_are_not_told_again__have_gone(void **state)
{
	(void)state;
	start("rules: [{ name: stale, table: calls, where: [health_status=stale] }]\n");
	row("calls", CALL("CA1", "stale", 1));
	row("calls", CALL("CA2", "stale", 1));
	until(10);
	replay_full_begin(replay, "calls");
	row("calls", CALL("CA2", "stale", 11));
	replay_full_end(replay, "calls");
	until(20);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(replay_at(replay, i)->resolved_at != 0,
				 strcmp(replay_at(replay, i)->subject, "CA1") == 0);
}

static void what_is_about_one_that_is_blind__stands_still(void **state)
{
	(void)state;
	start("rules:\n  - { name: stale, table: calls, where: [health_status=stale], for: 30s }\n"
	      "  - { name: blind, table: instances, where: [role=source, state=down], for: 5s }\n");
	row("calls", CALL("CA1", "stale", 1));
	until(20);
	replay_state(replay, "calls", "down", "away");
	until(620);
	replay_state(replay, "calls", "up", NULL);
	until(625);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 1);
	assert_string_equal(replay_at(replay, 0)->rule->name, "blind");
	assert_int_equal((replay_at(replay, 0)->firing_since - began) / CW_SECOND, 25);
	until(640);
	replay_end(replay);
	assert_int_equal(replay_count(replay), 2);
	assert_int_equal((replay_at(replay, 1)->firing_since - began) / CW_SECOND, 630);
}

static void clock__is_the_real_one_again(void **state)
{
	(void)state;
	int64_t before = clock_wall();
	start("");
	assert_int_equal(clock_wall(), began);
	replay_free(replay);
	replay = NULL;
	assert_true(clock_wall() >= before);
	replay_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sample_rule__fires_when_it_has_held_for_so_long, end),
		cmocka_unit_test_teardown(time_in_which_nobody_watched__does_not_count, end),
		cmocka_unit_test_teardown(guards__see_all_samples_of_a_moment_or_none, end),
		cmocka_unit_test_teardown(row_rule__follows_changes_and_time, end),
		cmocka_unit_test_teardown(rows_that_are_not_told_again__have_gone, end),
		cmocka_unit_test_teardown(what_is_about_one_that_is_blind__stands_still, end),
		cmocka_unit_test_teardown(clock__is_the_real_one_again, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
