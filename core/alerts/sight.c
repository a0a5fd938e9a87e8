/* SPDX-License-Identifier: MIT
 *
 * Who can see, and for how long by now. An instance has a clock, and each of its tables that something was said of has
 * one of its own, which stands still when the instance cannot see either.
 */
#include "engine_private.h"

#include <stdlib.h>
#include <string.h>

static bool is_it(const struct sight *sight, const char *instance, const char *table)
{
	if (strcmp(sight->instance, instance) != 0)
		return false;
	return table && sight->table ? strcmp(sight->table, table) == 0 : !table && !sight->table;
}

/* A table of which nothing was said is as its instance. */
const struct sight *sight_find(const struct engine *engine, const char *instance, const char *table)
{
	const struct sight *own = NULL;
	for (const struct sight *sight = engine->sights; sight; sight = sight->next) {
		if (is_it(sight, instance, table))
			return sight;
		if (is_it(sight, instance, NULL))
			own = sight;
	}
	return own;
}

static struct sight *find(struct engine *engine, const char *instance, const char *table)
{
	struct sight *sight = engine->sights;
	while (sight && !is_it(sight, instance, table))
		sight = sight->next;
	return sight;
}

struct sight *sight_of(struct engine *engine, const char *instance, const char *table)
{
	struct sight *sight = find(engine, instance, table), *of = NULL;
	if (sight)
		return sight;
	if (table && !(of = sight_of(engine, instance, NULL)))
		return NULL;
	sight = calloc(1, sizeof *sight);
	if (!sight)
		return NULL;
	sight->instance = strdup(instance);
	sight->table = table ? strdup(table) : NULL;
	if (!sight->instance || (table && !sight->table)) {
		free(sight->instance);
		free(sight->table);
		free(sight);
		return NULL;
	}
	sight->of = of;
	sight->says = table || strcmp(instance, "agent") == 0;
	sight->sees = of ? of->sees : sight->says;
	sight->clock = CW_SECOND; /* so that 0 is never an instant */
	sight->at = engine->last.watched;
	sight->next = engine->sights;
	engine->sights = sight;
	return sight;
}

int64_t sight_clock(const struct sight *sight, struct moment now)
{
	return sight->clock + (sight->sees ? now.watched - sight->at : 0);
}

static void set(struct sight *sight, bool sees, struct moment now)
{
	sight->clock = sight_clock(sight, now);
	sight->at = now.watched;
	sight->spells += sight->sees && !sees;
	sight->sees = sees;
}

/* All that is about it is looked at, for it is shown as unknown from now on, or not any more. */
static void judge_all(struct engine *engine, const char *instance, struct moment now)
{
	for (struct alert *alert = engine->store.first, *next; alert; alert = next) {
		next = alert->next;
		if (alert->sight && strcmp(alert->sight->instance, instance) == 0)
			life_judge(engine, alert, /* is_fresh */ false, now);
	}
}

/* One who cannot see any more could until now: what was due by then is due still. */
static void say(struct engine *engine, struct sight *said, bool sees, struct moment now)
{
	if (said->says == sees)
		return;
	if (!sees)
		judge_all(engine, said->instance, now);
	said->says = sees;
	for (struct sight *sight = engine->sights; sight; sight = sight->next)
		if (sight == said || sight->of == said)
			set(sight, sight->says && (!sight->of || sight->of->says), now);
	judge_all(engine, said->instance, now);
}

void engine_sight(struct engine *engine, const char *instance, bool sees, struct moment now)
{
	engine_at(engine, now);
	struct sight *sight = sight_of(engine, instance, NULL);
	if (sight)
		say(engine, sight, sees, now);
}

void engine_sight_of_table(struct engine *engine, const char *instance, const char *table, bool sees, struct moment now)
{
	engine_at(engine, now);
	struct sight *sight = sight_of(engine, instance, table);
	if (sight)
		say(engine, sight, sees, now);
}

bool engine_sees(const struct engine *engine, const char *instance, const char *table)
{
	const struct sight *sight = sight_find(engine, instance, table);
	return sight ? sight->sees : strcmp(instance, "agent") == 0;
}

static void sight_free(struct sight *sight)
{
	free(sight->instance);
	free(sight->table);
	free(sight);
}

void sights_forget(struct engine *engine, const char *instance)
{
	for (struct sight **link = &engine->sights, *sight; (sight = *link);) {
		if (strcmp(sight->instance, instance) != 0) {
			link = &sight->next;
			continue;
		}
		*link = sight->next;
		sight_free(sight);
	}
}

void sights_release(struct engine *engine)
{
	while (engine->sights) {
		struct sight *next = engine->sights->next;
		sight_free(engine->sights);
		engine->sights = next;
	}
}
