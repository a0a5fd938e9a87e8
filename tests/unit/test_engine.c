/* SPDX-License-Identifier: MIT
 *
 * The engine: what becomes of alerts as rows, samples, blindness and time are told to it. The rules are made by hand,
 * so that this test is of the judging alone; a clock is what a test says it is.
 */
#include "engine.h"
#include "rules_by_hand.h"
#include "text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LOG_MAX = 4096 };

static const struct rule stale = {.name = "stale",
				  .kind = RULE_ROWS,
				  .table = "calls",
				  .hold = 60 * CW_SECOND,
				  .keep_firing = 30 * CW_SECOND,
				  .severity = CW_SEVERITY_WARNING};
static const struct rule at_once = {
	.name = "at-once", .kind = RULE_ROWS, .table = "calls", .severity = CW_SEVERITY_CRITICAL};
static const struct rule down = {.name = "down", .kind = RULE_ROWS, .table = "instances"};
static const struct rule high = {.name = "high",
				 .kind = RULE_SAMPLES,
				 .selector = {.metric = "depth"},
				 .test = RULE_ABOVE,
				 .high = 10,
				 .clear_high = 5};
static const struct rule low = {.name = "low",
				.kind = RULE_SAMPLES,
				.selector = {.metric = "depth"},
				.test = RULE_BELOW,
				.low = 2,
				.clear_low = 2};
static const struct rule outside = {.name = "outside",
				    .kind = RULE_SAMPLES,
				    .selector = {.metric = "depth"},
				    .test = RULE_OUTSIDE,
				    .low = 1,
				    .high = 9,
				    .clear_low = 1,
				    .clear_high = 9};
static const struct rule fast = {.name = "fast",
				 .kind = RULE_SAMPLES,
				 .selector = {.metric = "arrivals_total"},
				 .test = RULE_RATE_ABOVE,
				 .high = 2,
				 .clear_high = 2,
				 .over = 60 * CW_SECOND};
static const struct rule slow = {.name = "slow",
				 .kind = RULE_SAMPLES,
				 .selector = {.metric = "arrivals_total"},
				 .test = RULE_RATE_BELOW,
				 .low = 0.5,
				 .clear_low = 0.5,
				 .over = 60 * CW_SECOND};
static const struct rule quiet = {.name = "quiet",
				  .kind = RULE_SAMPLES,
				  .selector = {.metric = "depth"},
				  .test = RULE_ABSENT,
				  .absent = 300 * CW_SECOND};
static const struct guard busy = {.text = "active{health=stale}>=5",
				  .selector = {.metric = "active", .labels = {{"health", "stale"}}, .labels_count = 1},
				  .op = EXPR_GE,
				  .limit = 5};
static const struct rule guarded = {.name = "guarded",
				    .kind = RULE_SAMPLES,
				    .selector = {.metric = "depth"},
				    .test = RULE_ABOVE,
				    .high = 10,
				    .clear_high = 10,
				    .hold = 30 * CW_SECOND,
				    .guards = &busy,
				    .guards_count = 1};
static const struct rule guarded_rows = {
	.name = "guarded-rows", .kind = RULE_ROWS, .table = "calls", .guards = &busy, .guards_count = 1};

static const struct cw_metric depth = {.name = "depth", .kind = CW_GAUGE};
static const struct cw_metric arrivals = {.name = "arrivals_total", .kind = CW_COUNTER};
static const struct cw_metric active = {.name = "active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};

static const char *const healths[] = {"healthy", "stale", NULL};
static const struct cw_column columns[] = {
	{.name = "instance", .type = CW_TEXT},
	{.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY},
	{.name = "age", .type = CW_AGE, .unit = "seconds"},
	{.name = "health", .type = CW_CHOICE, .choices = healths},
	{.name = "worker", .type = CW_TEXT},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* ---- a world ---- */

struct world {
	struct engine *engine;
	struct ruleset ruleset;
	struct moment now;
	char said[LOG_MAX];     /* `rule/subject:pends rule/subject:fires …`, without what is only shown */
	const char *look_holds; /* what a last look finds: "yes", "no", "gone"; NULL: nothing is looked at */
	unsigned looks, shows;
};

static void changed(void *arg, struct alert *alert, enum engine_change change)
{
	struct world *world = arg;
	static const char *const words[] = {"pends", "fires", "ends", "goes"};
	size_t length = strlen(world->said);
	if (change == ENGINE_SHOWS) {
		world->shows++;
		return;
	}
	snprintf(world->said + length, LOG_MAX - length, "%s%s/%s:%s%s%s", length ? " " : "", alert->rule_name,
		 alert->subject, words[change], change == ENGINE_ENDS ? "=" : "",
		 change == ENGINE_ENDS ? alert->reason : "");
}

static void row(struct world *world, const struct rule *rule, const char *key, bool holds, double age)
{
	struct cw_cell cells[COLUMNS] = {
		{.type = CW_CELL_TEXT, .length = 5, .text = "calls"},
		{.type = CW_CELL_TEXT, .length = (uint32_t)strlen(key), .text = key},
		{.type = CW_CELL_REAL, .real = age},
		{.type = CW_CELL_INTEGER, .integer = holds},
		{.type = CW_CELL_NULL},
	};
	engine_row(world->engine, rule, "calls", key, holds, columns, cells, COLUMNS, world->now);
}

static void look(void *arg, struct alert *alert)
{
	struct world *world = arg;
	char subject[64];
	world->looks++;
	snprintf(subject, sizeof subject, "%s", alert->subject);
	if (strcmp(world->look_holds, "gone") == 0)
		engine_row_gone(world->engine, alert->rule->table, alert->instance, subject, world->now);
	else
		row(world, alert->rule, subject, strcmp(world->look_holds, "yes") == 0, 99);
}

static void begin(struct world *world, const char *look_holds)
{
	*world = (struct world){.now = {.watched = CW_SECOND, .wall = 1000000 * CW_SECOND, .instant = CW_SECOND},
				.look_holds = look_holds};
	world->engine = engine_new(
		&(struct engine_options){.changed = changed, .look = look_holds ? look : NULL, .arg = world});
	assert_non_null(world->engine);
}

static void use(struct world *world, const struct rule *a, const struct rule *b)
{
	world->ruleset = (struct ruleset){.rules = {a, b}, .count = (a ? 1u : 0u) + (b ? 1u : 0u)};
	engine_use(world->engine, &world->ruleset, world->now);
}

static void sees(struct world *world, bool is_so)
{
	engine_sight(world->engine, "calls", is_so, world->now);
}

static void start(struct world *world, const struct rule *a, const struct rule *b)
{
	begin(world, NULL);
	use(world, a, b);
	sees(world, true);
}

/* Watched time, a second at a time as the actor does. */
static void pass(struct world *world, int64_t seconds)
{
	for (int64_t i = 0; i < seconds; i++) {
		world->now.watched += CW_SECOND;
		world->now.wall += CW_SECOND;
		world->now.instant += CW_SECOND;
		engine_tick(world->engine, world->now);
	}
}

/* The process is stopped, or the machine sleeps. */
static void sleep_through(struct world *world, int64_t seconds)
{
	world->now.wall += seconds * CW_SECOND;
	world->now.instant += seconds * CW_SECOND;
	engine_tick(world->engine, world->now);
}

static void sample(struct world *world, const struct cw_metric *metric, const char *label, double value)
{
	const char *labels[] = {label};
	struct cw_sample one = {.metric = metric, .labels = label ? labels : NULL, .number = CW_DOUBLE, .real = value};
	engine_sample(world->engine, "host", "calls", &one, world->now);
}

static void said(struct world *world, const char *words)
{
	assert_string_equal(world->said, words);
	*world->said = '\0';
}

static void end(struct world *world)
{
	engine_free(world->engine);
}

/* ---- rows ---- */

static void row__holds_for_its_time__pends_and_fires(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 1);
	said(&world, "stale/c1:pends");
	pass(&world, 59);
	said(&world, "");
	pass(&world, 1);
	said(&world, "stale/c1:fires");
	struct alert *alert = engine_find(world.engine, "stale", "calls", "c1");
	assert_int_equal(alert->firing_since - alert->pending_since, 60 * CW_SECOND);
	assert_int_equal(alert_shown(alert), 1);
	end(&world);
}

static void row__ceases_while_pending__goes_without_a_word(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 1);
	pass(&world, 30);
	row(&world, &stale, "c1", false, 1);
	said(&world, "stale/c1:pends stale/c1:goes");
	assert_null(engine_first(world.engine));
	pass(&world, 100);
	said(&world, "");
	end(&world);
}

static void row__without_for__fires_at_once_and_is_settled_by_who_wants_it(void **state)
{
	(void)state;
	struct world world;
	start(&world, &at_once, NULL);
	row(&world, &at_once, "c1", true, 1);
	row(&world, &at_once, "c1", true, 2);
	row(&world, &at_once, "c2", false, 2);
	said(&world, "at-once/c1:fires");
	engine_row_gone(world.engine, "calls", "calls", "c1", world.now);
	said(&world, "at-once/c1:ends=gone");
	struct alert *alert = engine_first(world.engine);
	assert_int_equal(alert_shown(alert), 3);
	assert_null(engine_find(world.engine, "at-once", "calls", "c1"));
	row(&world, &at_once, "c1", true, 1); /* another life, while the last one is still told of */
	said(&world, "at-once/c1:fires");
	assert_ptr_not_equal(engine_find(world.engine, "at-once", "calls", "c1"), alert);
	engine_settle(world.engine, alert);
	assert_ptr_equal(engine_find(world.engine, "at-once", "calls", "c1"), engine_first(world.engine));
	end(&world);
}

static void row__comes_back_within_keep_firing_for__fires_on(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 1);
	pass(&world, 60);
	row(&world, &stale, "c1", false, 1);
	pass(&world, 29);
	row(&world, &stale, "c1", true, 1);
	pass(&world, 100);
	said(&world, "stale/c1:pends stale/c1:fires");
	row(&world, &stale, "c1", false, 1);
	pass(&world, 29);
	said(&world, "");
	pass(&world, 1);
	said(&world, "stale/c1:ends=recovered");
	end(&world);
}

static void row__about_to_fire_by_time__is_looked_at_once_more(void **state)
{
	(void)state;
	struct world world;
	begin(&world, "yes");
	use(&world, &stale, NULL);
	sees(&world, true);
	row(&world, &stale, "c1", true, 1);
	row(&world, &stale, "c2", true, 1);
	pass(&world, 59);
	assert_int_equal(world.looks, 0);
	pass(&world, 1);
	assert_int_equal(world.looks, 2);
	said(&world, "stale/c1:pends stale/c2:pends stale/c2:fires stale/c1:fires");
	assert_string_equal(alert_text(engine_find(world.engine, "stale", "calls", "c1"), "age"), "1m 39s");
	world.look_holds = "no";
	row(&world, &stale, "c3", true, 1);
	pass(&world, 60);
	said(&world, "stale/c3:pends stale/c3:goes");
	world.look_holds = "gone";
	row(&world, &stale, "c4", true, 1);
	pass(&world, 60);
	said(&world, "stale/c4:pends stale/c4:goes");
	end(&world);
}

static void facts__while_it_pends__follow_the_row_and_are_frozen_when_it_fires(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 5);
	struct alert *alert = engine_find(world.engine, "stale", "calls", "c1");
	assert_string_equal(alert_text(alert, "age"), "5s");
	assert_string_equal(alert_text(alert, "health"), "stale");
	assert_string_equal(alert_text(alert, "alertname"), "stale");
	assert_string_equal(alert_text(alert, "severity"), "warning");
	assert_string_equal(alert_text(alert, "instance"), "calls");
	assert_null(alert_text(alert, "worker"));
	row(&world, &stale, "c1", true, 37);
	assert_string_equal(alert_text(alert, "age"), "37s");
	pass(&world, 60);
	row(&world, &stale, "c1", true, 97);
	assert_string_equal(alert_text(alert, "age"), "37s");
	assert_string_equal(alert->summary, "c1");
	end(&world);
}

static void row_of_instances__is_about_the_instance_that_it_names(void **state)
{
	(void)state;
	struct world world;
	start(&world, &down, NULL);
	engine_sight(world.engine, "calls", false, world.now);
	engine_row(world.engine, &down, "agent", "calls", true, NULL, NULL, 0, world.now);
	said(&world, "down/calls:fires");
	struct alert *alert = engine_first(world.engine);
	assert_string_equal(alert->source, "calls");
	assert_false(alert->is_blind); /* the agent sees that the source does not */
	engine_instance_gone(world.engine, "calls", world.now);
	said(&world, "down/calls:ends=source removed");
	end(&world);
}

/* ---- blind, stopped, asleep ---- */

static void source__goes_blind__nothing_moves_and_time_does_not_count(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, &at_once);
	row(&world, &stale, "c1", true, 1);
	row(&world, &at_once, "c2", true, 1);
	pass(&world, 30);
	sees(&world, false);
	assert_int_equal(alert_shown(engine_find(world.engine, "stale", "calls", "c1")), 2);
	row(&world, &at_once, "c2", false, 1);
	row(&world, &at_once, "c3", true, 1);
	engine_row_gone(world.engine, "calls", "calls", "c2", world.now);
	pass(&world, 1000);
	said(&world, "stale/c1:pends at-once/c2:fires");
	sees(&world, true);
	assert_int_equal(alert_shown(engine_find(world.engine, "at-once", "calls", "c2")), 1);
	pass(&world, 29);
	said(&world, "");
	pass(&world, 1);
	said(&world, "stale/c1:fires");
	end(&world);
}

static void source__goes_blind_while_it_ceases__keep_firing_for_stands_still(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 1);
	pass(&world, 60);
	row(&world, &stale, "c1", false, 1);
	pass(&world, 10);
	sees(&world, false);
	pass(&world, 600);
	sees(&world, true);
	pass(&world, 19);
	said(&world, "stale/c1:pends stale/c1:fires");
	pass(&world, 1);
	said(&world, "stale/c1:ends=recovered");
	end(&world);
}

static void source__nothing_was_said_of_it__is_blind(void **state)
{
	(void)state;
	struct world world;
	begin(&world, NULL);
	use(&world, &at_once, NULL);
	row(&world, &at_once, "c1", true, 1);
	said(&world, "");
	sees(&world, true);
	row(&world, &at_once, "c1", true, 1);
	said(&world, "at-once/c1:fires");
	end(&world);
}

static void table__not_complete_yet__is_blind_for_its_rows_only(void **state)
{
	(void)state;
	struct world world;
	start(&world, &at_once, &high);
	engine_sight_of_table(world.engine, "calls", "calls", false, world.now);
	row(&world, &at_once, "c1", true, 1);
	sample(&world, &depth, NULL, 11);
	said(&world, "high/depth:fires");
	assert_false(engine_sees(world.engine, "calls", "calls"));
	assert_true(engine_sees(world.engine, "calls", "channels"));
	engine_sight_of_table(world.engine, "calls", "calls", true, world.now);
	row(&world, &at_once, "c1", true, 1);
	said(&world, "at-once/c1:fires");
	sees(&world, false);
	assert_false(engine_sees(world.engine, "calls", "calls"));
	end(&world);
}

static void process__is_stopped_for_long__nothing_fires_and_nothing_ends(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, &quiet);
	sample(&world, &depth, NULL, 1);
	row(&world, &stale, "c1", true, 1);
	row(&world, &stale, "c2", true, 1);
	pass(&world, 40);
	row(&world, &stale, "c3", true, 1);
	sleep_through(&world, 3600);
	said(&world, "stale/c1:pends stale/c2:pends stale/c3:pends");
	pass(&world, 20);
	said(&world, "stale/c2:fires stale/c1:fires");
	row(&world, &stale, "c1", false, 1);
	sleep_through(&world, 3600);
	pass(&world, 29);
	said(&world, "");
	end(&world);
}

static void clock__is_stepped__nothing_fires_and_nothing_ends(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	row(&world, &stale, "c1", true, 1);
	pass(&world, 30);
	world.now.wall -= 86400 * CW_SECOND;
	pass(&world, 29);
	world.now.wall += 3 * 86400 * CW_SECOND;
	said(&world, "stale/c1:pends");
	pass(&world, 1);
	said(&world, "stale/c1:fires");
	end(&world);
}

static void watched_time__between_two_ticks_that_are_far_apart__does_not_count(void **state)
{
	(void)state;
	struct watched_clock clock = {0};
	watched_tick(&clock, 500 * CW_SECOND);
	int64_t before = clock.watched;
	assert_true(before > 0);
	watched_tick(&clock, 501 * CW_SECOND);
	assert_int_equal(clock.watched - before, CW_SECOND);
	watched_tick(&clock, 531 * CW_SECOND);
	assert_int_equal(clock.watched - before, CW_SECOND);
	watched_tick(&clock, 530 * CW_SECOND); /* it cannot be, and does no harm */
	watched_tick(&clock, 533 * CW_SECOND - 1);
	assert_in_range(clock.watched - before, 3 * CW_SECOND, 4 * CW_SECOND);
}

/* ---- samples ---- */

static void value__above_its_limit__fires_until_it_is_below_what_clears_it(void **state)
{
	(void)state;
	struct world world;
	start(&world, &high, NULL);
	sample(&world, &depth, NULL, 10);
	said(&world, "");
	sample(&world, &depth, NULL, 11);
	said(&world, "high/depth:fires");
	sample(&world, &depth, NULL, 7);
	sample(&world, &depth, NULL, 5);
	said(&world, "");
	assert_true(engine_first(world.engine)->value == 5);
	sample(&world, &depth, NULL, 4.9);
	said(&world, "high/depth:ends=recovered");
	sample(&world, &depth, NULL, 7);
	said(&world, "");
	end(&world);
}

static void value__below_and_outside__are_held_against_both_limits(void **state)
{
	(void)state;
	struct world world;
	start(&world, &low, &outside);
	sample(&world, &depth, NULL, 2);
	sample(&world, &depth, NULL, 9);
	said(&world, "");
	sample(&world, &depth, NULL, 0.5);
	said(&world, "low/depth:fires outside/depth:fires");
	sample(&world, &depth, NULL, 12);
	said(&world, "low/depth:ends=recovered");
	sample(&world, &depth, NULL, 5);
	said(&world, "outside/depth:ends=recovered");
	end(&world);
}

static void series__with_labels__is_a_subject_of_its_own(void **state)
{
	(void)state;
	static const struct rule many = {.name = "many",
					 .kind = RULE_SAMPLES,
					 .selector = {.metric = "active"},
					 .test = RULE_ABOVE,
					 .high = 1,
					 .clear_high = 1};
	struct world world;
	start(&world, &many, NULL);
	sample(&world, &active, "stale", 2);
	sample(&world, &active, "healthy", 1);
	said(&world, "many/active{health=stale}:fires");
	assert_string_equal(alert_text(engine_first(world.engine), "health"), "stale");
	end(&world);
}

static void series__comes_no_more_while_others_of_its_metric_do__is_gone(void **state)
{
	(void)state;
	static const struct rule many = {.name = "many",
					 .kind = RULE_SAMPLES,
					 .selector = {.metric = "active"},
					 .test = RULE_ABOVE,
					 .high = 1,
					 .clear_high = 1};
	struct world world;
	start(&world, &many, NULL);
	sample(&world, &active, "stale", 2);
	for (int i = 0; i < 60; i++) { /* none of the metric: nobody knows */
		pass(&world, 10);
	}
	said(&world, "many/active{health=stale}:fires");
	for (int i = 0; i < 32; i++) {
		pass(&world, 10);
		sample(&world, &active, "healthy", 0);
	}
	said(&world, "many/active{health=stale}:ends=gone");
	end(&world);
}

static void rate__is_not_known_until_all_of_its_time_was_seen(void **state)
{
	(void)state;
	struct world world;
	double total = 1000;
	start(&world, &fast, &slow);
	for (int i = 0; i < 6; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, total += 100);
	said(&world, "");
	sample(&world, &arrivals, NULL, total += 100);
	said(&world, "fast/arrivals_total:fires");
	assert_true(engine_first(world.engine)->value == 10);
	for (int i = 0; i < 6; i++) {
		pass(&world, 10);
		sample(&world, &arrivals, NULL, total += 5);
	}
	said(&world, "fast/arrivals_total:ends=recovered");
	for (int i = 0; i < 6; i++) {
		pass(&world, 10);
		sample(&world, &arrivals, NULL, total);
	}
	said(&world, "slow/arrivals_total:fires");
	end(&world);
}

static void rate__of_a_counter_that_goes_back__begins_anew_and_is_never_negative(void **state)
{
	(void)state;
	struct world world;
	start(&world, &slow, NULL);
	for (int i = 0; i <= 6; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, 100000 + 10 * i);
	for (int i = 0; i <= 12; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, 10 * i);
	said(&world, "");
	end(&world);
}

static void rate__over_a_time_nobody_watched_or_saw__is_not_known(void **state)
{
	(void)state;
	struct world world;
	start(&world, &fast, &slow);
	for (int i = 0; i <= 6; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, 10 * i);
	sleep_through(&world, 600);
	for (int i = 7; i < 12; i++, pass(&world, 10)) /* all that came in between at once */
		sample(&world, &arrivals, NULL, 100000 + 10 * i);
	sees(&world, false);
	pass(&world, 300);
	sees(&world, true);
	for (int i = 12; i < 17; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, 200000 + 10 * i);
	said(&world, "");
	for (int i = 17; i < 20; i++, pass(&world, 10))
		sample(&world, &arrivals, NULL, 200000 + 10 * i);
	said(&world, "");
	end(&world);
}

static void absent__series_that_was_seen__fires_after_its_time_and_ends_when_it_comes(void **state)
{
	(void)state;
	struct world world;
	start(&world, &quiet, NULL);
	sample(&world, &depth, NULL, 1);
	pass(&world, 299);
	said(&world, "");
	sees(&world, false);
	pass(&world, 600);
	sees(&world, true);
	said(&world, "");
	pass(&world, 1);
	said(&world, "quiet/depth:fires");
	pass(&world, 600);
	sample(&world, &depth, NULL, 1);
	said(&world, "quiet/depth:ends=recovered");
	end(&world);
}

static void absent__series_that_never_came__is_expected_of_the_instance(void **state)
{
	(void)state;
	struct world world;
	start(&world, &quiet, NULL);
	engine_expect(world.engine, &quiet, "calls", world.now);
	pass(&world, 300);
	said(&world, "quiet/depth:fires");
	sample(&world, &depth, NULL, 1);
	said(&world, "quiet/depth:ends=recovered");
	engine_expect(world.engine, &quiet, "calls", world.now); /* it has come: nothing more is expected */
	pass(&world, 300);
	said(&world, "quiet/depth:fires");
	end(&world);
}

/* ---- guards ---- */

static void guard__not_known__keeps_things_as_they_are(void **state)
{
	(void)state;
	struct world world;
	start(&world, &guarded, NULL);
	sample(&world, &depth, NULL, 11);
	pass(&world, 60);
	said(&world, "");
	sample(&world, &active, "stale", 5);
	sample(&world, &depth, NULL, 11);
	said(&world, "guarded/depth:pends");
	pass(&world, 30);
	said(&world, "guarded/depth:fires");
	sees(&world, false);
	sees(&world, true); /* what the guard looks at was not seen since */
	pass(&world, 60);
	said(&world, "");
	sample(&world, &active, "stale", 4);
	pass(&world, 1);
	said(&world, "guarded/depth:ends=recovered");
	end(&world);
}

static void guard__fails_while_it_pends__it_goes(void **state)
{
	(void)state;
	struct world world;
	start(&world, &guarded, &guarded_rows);
	sample(&world, &active, "healthy", 50);
	sample(&world, &active, "stale", 4);
	row(&world, &guarded_rows, "c1", true, 1);
	sample(&world, &depth, NULL, 11);
	said(&world, "");
	assert_int_equal(engine_guards(world.engine, &guarded_rows, "calls"), ENGINE_NO);
	assert_int_equal(engine_guards(world.engine, &guarded_rows, "other"), ENGINE_UNKNOWN);
	sample(&world, &active, "stale", 6);
	row(&world, &guarded_rows, "c1", true, 1);
	sample(&world, &depth, NULL, 11);
	said(&world, "guarded-rows/c1:fires guarded/depth:pends");
	sample(&world, &active, "stale", 1);
	pass(&world, 1);
	said(&world, "guarded/depth:goes guarded-rows/c1:ends=recovered");
	end(&world);
}

/* ---- another ruleset, another life of the agent ---- */

static void rule__is_removed__its_alerts_end_and_say_so(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, &at_once);
	row(&world, &stale, "c1", true, 1);
	row(&world, &at_once, "c2", true, 1);
	sees(&world, false); /* that a rule is gone needs no sight */
	use(&world, NULL, NULL);
	said(&world, "stale/c1:pends at-once/c2:fires at-once/c2:ends=rule removed stale/c1:goes");
	end(&world);
}

static void rule__is_changed__its_alerts_are_judged_by_what_it_says_now(void **state)
{
	(void)state;
	struct world world;
	struct rule changed_rule = stale;
	changed_rule.hold = 30 * CW_SECOND;
	changed_rule.severity = CW_SEVERITY_CRITICAL;
	start(&world, &stale, &high);
	row(&world, &stale, "c1", true, 1);
	sample(&world, &depth, NULL, 11);
	pass(&world, 20);
	use(&world, &changed_rule, &high);
	pass(&world, 10);
	said(&world, "stale/c1:pends high/depth:fires stale/c1:fires");
	assert_string_equal(alert_text(engine_find(world.engine, "stale", "calls", "c1"), "severity"), "critical");
	changed_rule.table = "channels"; /* it is about something else now */
	use(&world, &changed_rule, &high);
	said(&world, "stale/c1:ends=rule removed");
	struct rule other_metric = high;
	other_metric.selector.metric = "depths";
	use(&world, &other_metric, NULL);
	said(&world, "high/depth:ends=rule removed");
	end(&world);
}

static struct alert known(const char *rule, const char *subject, enum alert_state state, int64_t since)
{
	return (struct alert){.id = "0123456789abcdef-1",
			      .rule_name = (char *)rule,
			      .instance = "calls",
			      .subject = (char *)subject,
			      .source = "calls",
			      .summary = "as it was",
			      .severity = CW_SEVERITY_WARNING,
			      .state = state,
			      .pending_since = since,
			      .firing_since = state == ALERT_PENDING ? 0 : since,
			      .value = (double)NAN,
			      .told = state == ALERT_PENDING ? TOLD_NOTHING : TOLD_FIRING};
}

static void restored__pending__goes_on_where_it_was_when_it_is_seen_to_hold(void **state)
{
	(void)state;
	struct world world;
	begin(&world, NULL);
	use(&world, &stale, NULL);
	struct alert was = known("stale", "c1", ALERT_PENDING, world.now.wall - 50 * CW_SECOND);
	assert_non_null(engine_restore(world.engine, &was, world.now));
	assert_null(engine_restore(world.engine, &was, world.now));
	assert_int_equal(alert_shown(engine_first(world.engine)), 2);
	pass(&world, 100);
	sees(&world, true);
	pass(&world, 100);
	said(&world, ""); /* it was not seen yet */
	row(&world, &stale, "c1", true, 1);
	pass(&world, 9);
	said(&world, "");
	pass(&world, 1);
	said(&world, "stale/c1:fires");
	assert_string_equal(engine_first(world.engine)->id, "0123456789abcdef-1");
	end(&world);
}

static void restored__firing__ends_only_when_it_is_seen_not_to_hold(void **state)
{
	(void)state;
	struct world world;
	begin(&world, NULL);
	use(&world, &at_once, NULL);
	struct alert was = known("at-once", "c1", ALERT_FIRING, world.now.wall - 50 * CW_SECOND);
	assert_non_null(engine_restore(world.engine, &was, world.now));
	sees(&world, true);
	pass(&world, 1000);
	said(&world, "");
	assert_string_equal(engine_first(world.engine)->summary, "as it was");
	engine_row_gone(world.engine, "calls", "calls", "c1", world.now);
	said(&world, "at-once/c1:ends=gone");
	assert_int_equal(engine_first(world.engine)->told, TOLD_FIRING);
	end(&world);
}

static void restored__series_whose_label_is_no_text__is_the_one_that_it_was(void **state)
{
	(void)state;
	static char longest[1100];
	static const char *const labels[] = {"x\xff", "x\xfe", longest};
	enum { SERIES = sizeof labels / sizeof *labels };
	struct alert *was[SERIES];
	struct world world;
	struct rule many = high;
	uint32_t n = 0;
	many.selector.metric = "active";
	memset(longest, 'k', sizeof longest - 1);
	start(&world, &many, NULL);
	for (size_t i = 0; i < SERIES; i++)
		sample(&world, &active, labels[i], 11);
	pass(&world, 30);
	for (struct alert *alert = engine_first(world.engine); alert; alert = alert->next) {
		assert_true(text_is_utf8(alert->subject, strlen(alert->subject))); /* else the journal changes it */
		assert_true(strlen(alert->subject) <= NOTICE_VALUE_MAX);
		assert_true(n < SERIES);
		was[n++] = alert_copy(alert);
	}
	assert_int_equal(n, SERIES);
	end(&world);

	start(&world, &many, NULL);
	for (size_t i = 0; i < SERIES; i++) {
		assert_non_null(engine_restore(world.engine, was[i], world.now));
		alert_free(was[i]);
	}
	for (size_t i = 0; i < SERIES; i++)
		sample(&world, &active, labels[i], 11);
	pass(&world, 30);
	said(&world, "");
	for (struct alert *alert = engine_first(world.engine); alert; alert = alert->next)
		assert_true(alert->is_confirmed);
	end(&world);
}

static void restored__of_a_rule_that_is_gone__ends_at_once(void **state)
{
	(void)state;
	struct world world;
	begin(&world, NULL);
	use(&world, &stale, NULL);
	struct alert was = known("gone", "c1", ALERT_FIRING, world.now.wall);
	assert_non_null(engine_restore(world.engine, &was, world.now));
	said(&world, "gone/c1:ends=rule removed");
	was.state = ALERT_PENDING;
	assert_null(engine_restore(world.engine, &was, world.now));
	was = known("at-once", "c1", ALERT_RESOLVED, world.now.wall); /* ended, and not told so yet */
	was.reason = "recovered";
	assert_non_null(engine_restore(world.engine, &was, world.now));
	said(&world, "gone/c1:goes");
	end(&world);
}

static void restored__absence__is_confirmed_by_more_of_it(void **state)
{
	(void)state;
	struct world world;
	begin(&world, NULL);
	use(&world, &quiet, NULL);
	struct alert was = known("quiet", "depth", ALERT_FIRING, world.now.wall);
	engine_restore(world.engine, &was, world.now);
	sees(&world, true);
	engine_expect(world.engine, &quiet, "calls", world.now);
	pass(&world, 299);
	assert_false(engine_first(world.engine)->is_confirmed);
	pass(&world, 1);
	assert_true(engine_first(world.engine)->is_confirmed);
	said(&world, "");
	sample(&world, &depth, NULL, 1);
	said(&world, "quiet/depth:ends=recovered");
	end(&world);
}

/* ---- many ---- */

static void alerts__more_than_there_is_room_for__are_counted(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, NULL);
	for (int i = 0; i < ENGINE_ALERTS_MAX + 7; i++) {
		char key[32];
		snprintf(key, sizeof key, "call-%d", i);
		engine_row(world.engine, &stale, "calls", key, true, NULL, NULL, 0, world.now);
		*world.said = '\0';
	}
	assert_int_equal(engine_left_out(world.engine), 7);
	assert_non_null(engine_find(world.engine, "stale", "calls", "call-49999"));
	assert_null(engine_find(world.engine, "stale", "calls", "call-50000"));
	for (int i = 0; i < ENGINE_ALERTS_MAX; i++) {
		char key[32];
		snprintf(key, sizeof key, "call-%d", i);
		engine_row_gone(world.engine, "calls", "calls", key, world.now);
		*world.said = '\0';
	}
	assert_null(engine_first(world.engine));
	end(&world);
}

/* It would take minutes if each looked at all. */
static void lives__of_one_among_thousands__are_found_and_no_others(void **state)
{
	(void)state;
	enum { CALLS = 20000 };
	struct world world;
	char key[32];
	start(&world, &at_once, NULL);
	for (int life = 0; life < 2; life++)
		for (int i = 0; i < CALLS; i++) {
			snprintf(key, sizeof key, "call-%d", i);
			engine_row(world.engine, &at_once, "calls", key, true, NULL, NULL, 0, world.now);
			if (life == 0)
				engine_row_gone(world.engine, "calls", "calls", key, world.now);
			*world.said = '\0';
		}
	for (int i = 0; i < CALLS; i++) {
		snprintf(key, sizeof key, "call-%d", i);
		struct alert *now = engine_find(world.engine, "at-once", "calls", key);
		assert_non_null(now);
		assert_true(now->is_open);
		struct alert *before = engine_other_life(world.engine, now, NULL);
		assert_non_null(before);
		assert_string_equal(before->subject, key);
		assert_false(before->is_open);
		assert_null(engine_other_life(world.engine, now, before));
		assert_ptr_equal(engine_other_life(world.engine, before, NULL), now);
		engine_settle(world.engine, before);
		assert_null(engine_other_life(world.engine, now, NULL));
	}
	end(&world);
}

static void tick__says_when_it_wants_to_be_called_again(void **state)
{
	(void)state;
	struct world world;
	start(&world, &stale, &quiet);
	assert_true(engine_tick(world.engine, world.now) == INT64_MAX);
	row(&world, &stale, "c1", true, 1);
	assert_int_equal(engine_tick(world.engine, world.now), world.now.watched + 60 * CW_SECOND);
	pass(&world, 60);
	assert_true(engine_tick(world.engine, world.now) == INT64_MAX);
	sample(&world, &depth, NULL, 1);
	assert_int_equal(engine_tick(world.engine, world.now), world.now.watched + 300 * CW_SECOND);
	row(&world, &stale, "c1", false, 1);
	assert_int_equal(engine_tick(world.engine, world.now), world.now.watched + 30 * CW_SECOND);
	sees(&world, false);
	assert_true(engine_tick(world.engine, world.now) == INT64_MAX);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row__holds_for_its_time__pends_and_fires),
		cmocka_unit_test(row__ceases_while_pending__goes_without_a_word),
		cmocka_unit_test(row__without_for__fires_at_once_and_is_settled_by_who_wants_it),
		cmocka_unit_test(row__comes_back_within_keep_firing_for__fires_on),
		cmocka_unit_test(row__about_to_fire_by_time__is_looked_at_once_more),
		cmocka_unit_test(facts__while_it_pends__follow_the_row_and_are_frozen_when_it_fires),
		cmocka_unit_test(row_of_instances__is_about_the_instance_that_it_names),
		cmocka_unit_test(source__goes_blind__nothing_moves_and_time_does_not_count),
		cmocka_unit_test(source__goes_blind_while_it_ceases__keep_firing_for_stands_still),
		cmocka_unit_test(source__nothing_was_said_of_it__is_blind),
		cmocka_unit_test(table__not_complete_yet__is_blind_for_its_rows_only),
		cmocka_unit_test(process__is_stopped_for_long__nothing_fires_and_nothing_ends),
		cmocka_unit_test(clock__is_stepped__nothing_fires_and_nothing_ends),
		cmocka_unit_test(watched_time__between_two_ticks_that_are_far_apart__does_not_count),
		cmocka_unit_test(value__above_its_limit__fires_until_it_is_below_what_clears_it),
		cmocka_unit_test(value__below_and_outside__are_held_against_both_limits),
		cmocka_unit_test(series__with_labels__is_a_subject_of_its_own),
		cmocka_unit_test(series__comes_no_more_while_others_of_its_metric_do__is_gone),
		cmocka_unit_test(rate__is_not_known_until_all_of_its_time_was_seen),
		cmocka_unit_test(rate__of_a_counter_that_goes_back__begins_anew_and_is_never_negative),
		cmocka_unit_test(rate__over_a_time_nobody_watched_or_saw__is_not_known),
		cmocka_unit_test(absent__series_that_was_seen__fires_after_its_time_and_ends_when_it_comes),
		cmocka_unit_test(absent__series_that_never_came__is_expected_of_the_instance),
		cmocka_unit_test(guard__not_known__keeps_things_as_they_are),
		cmocka_unit_test(guard__fails_while_it_pends__it_goes),
		cmocka_unit_test(rule__is_removed__its_alerts_end_and_say_so),
		cmocka_unit_test(rule__is_changed__its_alerts_are_judged_by_what_it_says_now),
		cmocka_unit_test(restored__pending__goes_on_where_it_was_when_it_is_seen_to_hold),
		cmocka_unit_test(restored__firing__ends_only_when_it_is_seen_not_to_hold),
		cmocka_unit_test(restored__series_whose_label_is_no_text__is_the_one_that_it_was),
		cmocka_unit_test(restored__of_a_rule_that_is_gone__ends_at_once),
		cmocka_unit_test(restored__absence__is_confirmed_by_more_of_it),
		cmocka_unit_test(alerts__more_than_there_is_room_for__are_counted),
		cmocka_unit_test(lives__of_one_among_thousands__are_found_and_no_others),
		cmocka_unit_test(tick__says_when_it_wants_to_be_called_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
