/* SPDX-License-Identifier: MIT
 *
 * See engine.h. Here: the whole, rows, another ruleset, what the journal knew. The rest is in the files that
 * engine_private.h names.
 */
#include "engine_private.h"

#include "log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- time ---- */

/* A gap is time that passed and was not watched: what a rate was made of before tells nothing of now. */
void engine_at(struct engine *engine, struct moment now)
{
	static const int64_t gap = CW_SECOND;
	int64_t unwatched = (now.instant - engine->last.instant) - (now.watched - engine->last.watched);
	if (engine->last.watched && now.instant && unwatched > gap)
		engine->gaps++;
	engine->last = now;
}

/* ---- alerts ---- */

struct alert *engine_open(struct engine *engine, const struct rule *rule, struct sight *sight, const char *subject,
			  const char *source, struct moment now)
{
	if (engine->store.open_count >= ENGINE_ALERTS_MAX) {
		if (atomic_fetch_add_explicit(&engine->left_out, 1, memory_order_relaxed) == 0)
			log_line(NULL, CW_ERROR,
				 "%d alerts are open: more are counted (rule %s and others), and not followed",
				 ENGINE_ALERTS_MAX, rule->name);
		return NULL;
	}
	struct alert *alert = alert_new(rule->name, sight->instance, subject, source);
	if (!alert)
		return NULL;
	alert->rule = rule;
	alert->severity = rule->severity;
	alert->sight = sight;
	alert->counted = alert->looked = sight_clock(sight, now);
	alert->is_confirmed = alert->holds = true;
	alert_begin(alert, now.wall);
	if (store_add(&engine->store, alert, /* is_open */ true) < 0) {
		alert_free(alert);
		return NULL;
	}
	return alert;
}

struct alert *engine_first(struct engine *engine)
{
	return engine->store.first;
}

struct alert *engine_other_life(const struct engine *engine, const struct alert *alert, const struct alert *after)
{
	struct alert *other = after ? store_next_life(after) : store_lives(&engine->store, alert->key);
	return other == alert ? store_next_life(other) : other;
}

struct alert *engine_find(struct engine *engine, const char *rule, const char *instance, const char *subject)
{
	char *key = alert_key(rule, instance, subject);
	struct alert *alert = key ? store_find(&engine->store, key) : NULL;
	free(key);
	return alert;
}

void engine_settle(struct engine *engine, struct alert *alert)
{
	store_remove(&engine->store, alert);
}

uint64_t engine_left_out(const struct engine *engine)
{
	return atomic_load_explicit(&engine->left_out, memory_order_relaxed);
}

uint64_t engine_pass(struct engine *engine)
{
	return ++engine->pass;
}

/* ---- rows ---- */

/* A row of table `instances` is about the instance that it is of. */
static const char *source_of(const char *table, const char *instance, const char *key)
{
	return strcmp(table, "instances") == 0 ? key : instance;
}

static void begin_row(struct engine *engine, const struct rule *rule, struct sight *sight, const char *key,
		      const struct cw_column *columns, const struct cw_cell *cells, uint32_t count, struct moment now)
{
	if (engine_guards(engine, rule, sight->instance) != ENGINE_YES)
		return;
	struct alert *alert = engine_open(engine, rule, sight, key, source_of(rule->table, sight->instance, key), now);
	if (!alert)
		return;
	if (columns)
		words_of_row(alert, columns, cells, count);
	if (rule->hold > 0)
		engine->options.changed(engine->options.arg, alert, ENGINE_PENDS);
	life_see(engine, alert, /* holds */ true, NULL, now);
}

static void see_row(struct engine *engine, struct alert *alert, bool holds, const struct cw_column *columns,
		    const struct cw_cell *cells, uint32_t count, struct moment now)
{
	if (holds && columns && alert->state == ALERT_PENDING)
		words_of_row(alert, columns, cells, count);
	life_see(engine, alert, holds, holds ? NULL : "recovered", now);
}

void engine_row(struct engine *engine, const struct rule *rule, const char *instance, const char *key, bool holds,
		const struct cw_column *columns, const struct cw_cell *cells, uint32_t count, struct moment now)
{
	engine_at(engine, now);
	struct sight *sight = sight_of(engine, instance, rule->table);
	if (!sight || !sight->sees || rule->sleeps)
		return;
	struct alert *alert = engine_find(engine, rule->name, instance, key);
	if (alert)
		see_row(engine, alert, holds, columns, cells, count, now);
	else if (holds)
		begin_row(engine, rule, sight, key, columns, cells, count, now);
}

void engine_row_gone(struct engine *engine, const char *table, const char *instance, const char *key, struct moment now)
{
	engine_at(engine, now);
	for (uint32_t i = 0; engine->ruleset && i < ruleset_count(engine->ruleset); i++) {
		const struct rule *rule = ruleset_at(engine->ruleset, i);
		if (rule->kind != RULE_ROWS || strcmp(rule->table, table) != 0)
			continue;
		struct alert *alert = engine_find(engine, rule->name, instance, key);
		if (alert)
			life_see(engine, alert, /* holds */ false, "gone", now);
	}
}

/* ---- another ruleset ---- */

/* Is what the alert is about still what its rule is about? */
static bool is_about(const struct alert *alert, const struct rule *rule)
{
	if (rule->kind == RULE_ROWS)
		return alert->sight->table && strcmp(alert->sight->table, rule->table) == 0;
	size_t length = strcspn(alert->subject, "{");
	return !alert->sight->table && strlen(rule->selector.metric) == length &&
	       strncmp(alert->subject, rule->selector.metric, length) == 0;
}

static void use_for(struct engine *engine, struct alert *alert, struct moment now)
{
	const struct rule *rule = ruleset_find(engine->ruleset, alert->rule_name);
	alert->rule = rule;
	if (!alert->is_open)
		return;
	if (!rule || !is_about(alert, rule)) {
		life_end(engine, alert, "rule removed", now);
	} else if (rule->sleeps) {
		life_end(engine, alert, "source removed", now);
	} else if (alert->severity != rule->severity) {
		alert->severity = rule->severity;
		engine->options.changed(engine->options.arg, alert, ENGINE_SHOWS);
	}
}

void engine_use(struct engine *engine, const struct ruleset *ruleset, struct moment now)
{
	engine_at(engine, now);
	engine->ruleset = ruleset;
	series_use(engine);
	for (struct alert *alert = engine->store.first, *next; alert; alert = next) {
		next = alert->next;
		use_for(engine, alert, now);
	}
}

void engine_instance_gone(struct engine *engine, const char *instance, struct moment now)
{
	engine_at(engine, now);
	for (struct alert *alert = engine->store.first, *next; alert; alert = next) {
		next = alert->next;
		if (alert->is_open && (strcmp(alert->instance, instance) == 0 || strcmp(alert->source, instance) == 0))
			life_end(engine, alert, "source removed", now);
	}
	series_instance_gone(engine, instance);
	sights_forget(engine, instance);
}

/* ---- what the journal knew ---- */

static int64_t clamp(int64_t value, int64_t most)
{
	return value < 0 ? 0 : value < most ? value : most;
}

/* Time in which the agent did not run counts for `for`, if it holds when it is seen again. */
static void resume(struct alert *alert, struct sight *sight, struct moment now)
{
	alert->sight = sight;
	alert->is_blind = !sight->sees;
	alert->holds = true;
	alert->ceased = 0;
	alert->reason = NULL;
	alert->counted = alert->looked = sight_clock(sight, now);
	alert->held = alert->rule ? clamp(now.wall - alert->pending_since, alert->rule->hold) : 0;
}

static struct alert *take_over(struct engine *engine, const struct alert *known, struct moment now)
{
	const struct rule *rule = engine->ruleset ? ruleset_find(engine->ruleset, known->rule_name) : NULL;
	bool is_open = known->state != ALERT_RESOLVED;
	const char *table = rule && rule->kind == RULE_ROWS ? rule->table : NULL;
	struct sight *sight = is_open ? sight_of(engine, known->instance, table) : NULL;
	struct alert *alert = is_open && !sight ? NULL : alert_copy(known);
	if (!alert)
		return NULL;
	alert->rule = rule;
	if (is_open)
		resume(alert, sight, now);
	if (store_add(&engine->store, alert, is_open) < 0) {
		alert_free(alert);
		return NULL;
	}
	return alert;
}

struct alert *engine_restore(struct engine *engine, const struct alert *known, struct moment now)
{
	engine_at(engine, now);
	bool is_open = known->state != ALERT_RESOLVED;
	if (is_open && engine_find(engine, known->rule_name, known->instance, known->subject))
		return NULL;
	struct alert *alert = take_over(engine, known, now);
	if (!alert || !is_open || (alert->rule && !alert->rule->sleeps && is_about(alert, alert->rule)))
		return alert;
	bool is_gone = alert->state == ALERT_PENDING;
	life_end(engine, alert, alert->rule && alert->rule->sleeps ? "source removed" : "rule removed", now);
	return is_gone ? NULL : alert;
}

/* ---- the whole ---- */

int64_t engine_tick(struct engine *engine, struct moment now)
{
	engine_at(engine, now);
	int64_t next_tick = series_tick(engine, now), wait = INT64_MAX;
	for (struct alert *alert = engine->store.first, *next; alert; alert = next) {
		next = alert->next;
		life_judge(engine, alert, /* is_fresh */ false, now);
	}
	for (const struct alert *alert = engine->store.first; alert; alert = alert->next) {
		int64_t one = life_wait(alert, now);
		wait = one < wait ? one : wait;
	}
	if (wait < INT64_MAX && now.watched + wait < next_tick)
		next_tick = now.watched + wait;
	return next_tick;
}

struct engine *engine_new(const struct engine_options *options)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return NULL;
	engine->options = *options;
	store_init(&engine->store);
	engine->series = series_new();
	if (engine->series)
		return engine;
	engine_free(engine);
	return NULL;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	store_release(&engine->store);
	series_free(engine->series);
	sights_release(engine);
	free(engine);
}
