/* SPDX-License-Identifier: MIT
 *
 * Who can see. An instance can while it is up or degraded. Of a table that rules look at it can, when it has read all
 * of it once since it was started: before that a row that is not there tells nothing. What it had read in an earlier
 * life does not count, so the coverage at the start is remembered, and another one is waited for.
 *
 * An instance that stops cannot see; that it is gone for good is only known from the plan.
 */
#include "alerting_private.h"

#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* A table of a source that it has not read to the end yet. */
struct reading {
	struct reading *next;
	char *table;
	int64_t before; /* coverage.to of an earlier life */
};

struct source {
	struct source *next;
	char *name;
	bool sees, is_starting;
	struct reading *readings;
};

static struct source *find(struct alerting *alerting, const char *name)
{
	struct source *source = alerting->sources;
	while (source && strcmp(source->name, name) != 0)
		source = source->next;
	return source;
}

static struct source *find_or_make(struct alerting *alerting, const char *name)
{
	struct source *source = find(alerting, name);
	if (source || !(source = calloc(1, sizeof *source)))
		return source;
	source->name = strdup(name);
	if (!source->name) {
		free(source);
		return NULL;
	}
	source->next = alerting->sources;
	alerting->sources = source;
	return source;
}

static void reading_free(struct reading *reading)
{
	free(reading->table);
	free(reading);
}

static void free_readings(struct source *source)
{
	while (source->readings) {
		struct reading *next = source->readings->next;
		reading_free(source->readings);
		source->readings = next;
	}
}

static bool reads(const struct source *source, const char *table)
{
	const struct reading *reading = source->readings;
	while (reading && strcmp(reading->table, table) != 0)
		reading = reading->next;
	return reading != NULL;
}

static void look_at(const struct alerting *alerting, const struct source *source, const char *table,
		    struct cw_coverage *ret_coverage)
{
	uint64_t rows;
	*ret_coverage = (struct cw_coverage){0};
	(void)tables_look(alerting->tables, table, source->name, ret_coverage, &rows); /* not there: not read */
}

static void begin_reading(struct alerting *alerting, struct source *source, const char *table, int64_t before)
{
	struct reading *reading = calloc(1, sizeof *reading);
	if (!reading || !(reading->table = strdup(table))) {
		free(reading);
		return;
	}
	reading->before = before;
	reading->next = source->readings;
	source->readings = reading;
	engine_sight_of_table(alerting->engine, source->name, table, false, alerting_now(alerting));
}

/* Each table that a rule looks at; whether the source has it shows. `anew`: what it has read already does not count. */
static void begin_readings(struct alerting *alerting, struct source *source, bool anew)
{
	for (uint32_t i = 0; alerting->ruleset && i < ruleset_count(alerting->ruleset); i++) {
		const struct rule *rule = ruleset_at(alerting->ruleset, i);
		struct cw_coverage coverage;
		if (rule->kind != RULE_ROWS || rule->sleeps || reads(source, rule->table))
			continue;
		look_at(alerting, source, rule->table, &coverage);
		if (anew || !coverage.complete)
			begin_reading(alerting, source, rule->table, anew ? coverage.to : -1);
	}
}

/* What was there is looked at when one comes to see. */
static void set_sight(struct alerting *alerting, struct source *source, bool sees)
{
	if (source->sees == sees)
		return;
	source->sees = sees;
	engine_sight(alerting->engine, source->name, sees, alerting_now(alerting));
	if (sees)
		rows_pass_soon(alerting->rows, NULL);
}

void sources_state(struct alerting *alerting, const char *instance, enum cw_state state, bool is_gone)
{
	struct source *source = find_or_make(alerting, instance);
	if (!source)
		return;
	if (state == CW_STARTING && !is_gone && !source->is_starting)
		begin_readings(alerting, source, /* anew */ true);
	source->is_starting = state == CW_STARTING && !is_gone;
	set_sight(alerting, source, !is_gone && (state == CW_UP || state == CW_DEGRADED));
}

void sources_look(struct alerting *alerting)
{
	for (struct source *source = alerting->sources; source; source = source->next)
		for (struct reading **link = &source->readings, *reading; (reading = *link);) {
			struct cw_coverage coverage;
			look_at(alerting, source, reading->table, &coverage);
			if (source->is_starting || !coverage.complete || coverage.to == reading->before) {
				link = &reading->next;
				continue;
			}
			*link = reading->next;
			engine_sight_of_table(alerting->engine, source->name, reading->table, true,
					      alerting_now(alerting));
			rows_pass_soon(alerting->rows, reading->table);
			reading_free(reading);
		}
}

/* ---- the plan ---- */

static const struct plan_instance *planned(const struct alerting *alerting, const char *name)
{
	const struct plan *plan = alerting->plan;
	for (size_t i = 0; plan && i < plan->count; i++)
		if (strcmp(plan->instances[i].name, name) == 0)
			return &plan->instances[i];
	return NULL;
}

static bool declares(const struct plan_instance *instance, const char *metric)
{
	const struct cw_array *metrics = &instance->plugin->decl.metrics;
	for (uint32_t i = 0; i < metrics->count; i++)
		if (strcmp(((const struct cw_metric *)cw_at(metrics, i))->name, metric) == 0)
			return true;
	return false;
}

static bool is_meant(const struct rule *rule, const char *instance)
{
	for (uint32_t i = 0; i < rule->selector.labels_count; i++)
		if (strcmp(rule->selector.labels[i].name, "instance") == 0)
			return strcmp(rule->selector.labels[i].value, instance) == 0;
	return true;
}

static void expect_samples(struct alerting *alerting, const char *name)
{
	const struct plan_instance *instance = planned(alerting, name);
	for (uint32_t i = 0; instance && alerting->ruleset && i < ruleset_count(alerting->ruleset); i++) {
		const struct rule *rule = ruleset_at(alerting->ruleset, i);
		if (rule->kind == RULE_SAMPLES && rule->test == RULE_ABSENT && !rule->sleeps &&
		    declares(instance, rule->selector.metric) && is_meant(rule, name))
			engine_expect(alerting->engine, rule, name, alerting_now(alerting));
	}
}

static void source_free(struct source *source)
{
	free_readings(source);
	free(source->name);
	free(source);
}

static void forget_gone(struct alerting *alerting)
{
	for (struct source **link = &alerting->sources, *source; (source = *link);) {
		if (planned(alerting, source->name)) {
			link = &source->next;
			continue;
		}
		*link = source->next;
		engine_instance_gone(alerting->engine, source->name, alerting_now(alerting));
		source_free(source);
	}
}

/* Alerts that the journal knew of instances that were taken out while the agent did not run. */
void sources_orphans(struct alerting *alerting)
{
	if (!alerting->plan)
		return;
	for (struct alert *alert = engine_first(alerting->engine); alert;) {
		const char *about = alert->source;
		bool is_orphan = alert->is_open && strcmp(about, "agent") != 0 && !planned(alerting, about);
		char *name = is_orphan ? strdup(about) : NULL;
		alert = alert->next;
		if (name) {
			engine_instance_gone(alerting->engine, name, alerting_now(alerting));
			alert = engine_first(alerting->engine); /* those that pended were freed */
		}
		free(name);
	}
}

void sources_use(struct alerting *alerting)
{
	if (!alerting->plan)
		return;
	forget_gone(alerting);
	sources_orphans(alerting);
	for (struct source *source = alerting->sources; source; source = source->next)
		begin_readings(alerting, source, /* anew */ source->is_starting);
	for (size_t i = 0; i < alerting->plan->count; i++)
		expect_samples(alerting, alerting->plan->instances[i].name);
}

void sources_release(struct alerting *alerting)
{
	while (alerting->sources) {
		struct source *next = alerting->sources->next;
		source_free(alerting->sources);
		alerting->sources = next;
	}
}
