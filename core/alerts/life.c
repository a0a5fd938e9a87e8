/* SPDX-License-Identifier: MIT
 *
 * The life of an alert: what is seen of it, and what time makes of that. Everything that happens to one goes through
 * life_judge(), which is written so that it may be called at any time, any number of times.
 *
 * Four things keep an alert as it is, and the time they last counts neither for `for` nor for `keep_firing_for`: its
 * source cannot see (its clock stands still); it comes from the journal and was not seen since; a guard is not known;
 * nobody watched (watched time).
 */
#include "engine_private.h"

#include <string.h>

static void say(struct engine *engine, struct alert *alert, enum engine_change change)
{
	engine->options.changed(engine->options.arg, alert, change);
}

/* Brings `held` up to date; how long it was since it was counted last. */
static int64_t count(struct alert *alert, int64_t clock)
{
	int64_t passed = clock - alert->counted;
	if (alert->is_counting)
		alert->held += passed;
	alert->counted = clock;
	return passed;
}

static void let_go(struct engine *engine, struct alert *alert)
{
	store_close(&engine->store, alert);
	alert->sight = NULL;
	alert->is_blind = false;
	alert->is_counting = false;
}

void life_end(struct engine *engine, struct alert *alert, const char *reason, struct moment now)
{
	let_go(engine, alert);
	alert->reason = reason;
	if (alert->state == ALERT_PENDING) {
		say(engine, alert, ENGINE_GOES);
		store_remove(&engine->store, alert);
		return;
	}
	alert->state = ALERT_RESOLVED;
	alert->holds = false;
	alert->resolved_at = now.wall;
	say(engine, alert, ENGINE_ENDS);
}

static void fire(struct engine *engine, struct alert *alert, struct moment now)
{
	alert->state = ALERT_FIRING;
	alert->firing_since = now.wall;
	alert->is_counting = false;
	alert->ceased = 0;
	alert->reason = NULL;
	say(engine, alert, ENGINE_FIRES);
}

/* The alert may be gone when this returns: the last look decides. */
static void look_and_fire(struct engine *engine, struct alert *alert, bool is_fresh, struct moment now)
{
	if (is_fresh || !engine->options.look || alert->rule->kind != RULE_ROWS || engine->is_looking) {
		fire(engine, alert, now);
		return;
	}
	engine->is_looking = true;
	engine->options.look(engine->options.arg, alert);
	engine->is_looking = false;
}

static void judge_pending(struct engine *engine, struct alert *alert, bool holds, bool is_fresh, struct moment now)
{
	if (!holds) {
		life_end(engine, alert, alert->reason, now);
		return;
	}
	alert->is_counting = true;
	if (alert->held >= alert->rule->hold)
		look_and_fire(engine, alert, is_fresh, now);
}

static void judge_firing(struct engine *engine, struct alert *alert, bool holds, int64_t clock, struct moment now)
{
	if (holds) {
		alert->ceased = 0;
		alert->reason = NULL;
		return;
	}
	if (alert->ceased == 0)
		alert->ceased = clock;
	if (clock - alert->ceased >= alert->rule->keep_firing)
		life_end(engine, alert, alert->reason ? alert->reason : "recovered", now);
}

void life_judge(struct engine *engine, struct alert *alert, bool is_fresh, struct moment now)
{
	if (!alert->is_open || !alert->rule)
		return;
	int64_t clock = sight_clock(alert->sight, now), passed = count(alert, clock);
	bool is_blind = !alert->sight->sees;
	if (is_blind != alert->is_blind) {
		alert->is_blind = is_blind;
		say(engine, alert, ENGINE_SHOWS);
	}
	alert->is_counting = false;
	if (is_blind || !alert->is_confirmed)
		return;
	enum engine_word word = engine_guards(engine, alert->rule, alert->instance);
	if (word == ENGINE_UNKNOWN) {
		alert->ceased += alert->ceased ? passed : 0;
		return;
	}
	if (word == ENGINE_NO && alert->holds)
		alert->reason = "recovered";
	bool holds = alert->holds && word == ENGINE_YES;
	if (alert->state == ALERT_PENDING)
		judge_pending(engine, alert, holds, is_fresh, now);
	else
		judge_firing(engine, alert, holds, clock, now);
}

void life_see(struct engine *engine, struct alert *alert, bool holds, const char *reason, struct moment now)
{
	if (!alert->sight || !alert->sight->sees)
		return;
	alert->looked = sight_clock(alert->sight, now);
	alert->pass = engine->pass;
	if (!alert->is_confirmed) {
		alert->is_confirmed = true;
		alert->counted = alert->looked;
	}
	alert->holds = holds;
	if (!holds)
		alert->reason = reason;
	life_judge(engine, alert, /* is_fresh */ true, now);
}

int64_t life_wait(const struct alert *alert, struct moment now)
{
	if (!alert->is_open || !alert->rule || alert->is_blind || !alert->is_confirmed)
		return INT64_MAX;
	int64_t clock = sight_clock(alert->sight, now), wait = INT64_MAX;
	if (alert->state == ALERT_PENDING && alert->is_counting)
		wait = alert->rule->hold - alert->held - (clock - alert->counted);
	else if (alert->state == ALERT_FIRING && alert->ceased)
		wait = alert->rule->keep_firing - (clock - alert->ceased);
	return wait < 0 ? 0 : wait;
}
