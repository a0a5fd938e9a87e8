/* SPDX-License-Identifier: MIT
 *
 * The judging of rules, apart from where rows and samples come from: so that the agent judges what happens now and
 * `callwatch rules test` what happened last week, by the same code. Private to core/alerts and core/client.
 *
 * Fed in the order of time; it asks for no clock. Not thread-safe.
 */
#ifndef CALLWATCH_CORE_ENGINE_H
#define CALLWATCH_CORE_ENGINE_H

#include "alert.h"

struct engine;

enum engine_change {
	ENGINE_PENDS,
	ENGINE_FIRES,
	ENGINE_ENDS, /* as resolved: alert->reason; it lives until engine_settle() */
	ENGINE_GOES, /* it pended, and ceased without a word: it is freed when changed() returns */
	ENGINE_SHOWS /* only what is shown of it: blind or not, its value, its severity, its words while it pends */
};

struct engine_options {
	void (*changed)(void *arg, struct alert *alert, enum engine_change change);
	/* A row's alert is about to fire by time alone: look at the row once more, and say what it is by engine_row()
	 * or engine_row_gone() from within. NULL: it fires by what was last seen. */
	void (*look)(void *arg, struct alert *alert);
	void *arg;
};

struct moment {
	int64_t watched; /* watched time, ns; never 0 */
	int64_t wall;
	int64_t instant; /* so that the engine sees when nobody watched; 0: as watched */
};

enum { ENGINE_ALERTS_MAX = 50000, ENGINE_SERIES_MAX = 20000 };

struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *engine); /* NULL is fine */
/* From now on these rules; they are borrowed until the next call. Alerts of rules that are gone end as `rule removed`;
 * of a rule that has changed they are judged by what it says now. */
void engine_use(struct engine *engine, const struct ruleset *ruleset, struct moment now);

/* A row as it is: does the rule hold for it? `columns` and `cells` as a query gives them (phones masked); they may be
 * NULL if it does not. `instance` is that of the part: of a row of table `instances` it is `agent`. */
void engine_row(struct engine *engine, const struct rule *rule, const char *instance, const char *key, bool holds,
		const struct cw_column *columns, const struct cw_cell *cells, uint32_t count, struct moment now);
/* A row that is not there any more, for all rules of its table. */
void engine_row_gone(struct engine *engine, const char *table, const char *instance, const char *key,
		     struct moment now);
void engine_sample(struct engine *engine, const char *host, const char *instance, const struct cw_sample *sample,
		   struct moment now);
/* Can this instance see? While it cannot, nothing about it moves. One of which nothing was said cannot; `agent` always
 * can. */
void engine_sight(struct engine *engine, const char *instance, bool sees, struct moment now);
/* The same for its rows of one table only; if nothing was said, as the instance. */
void engine_sight_of_table(struct engine *engine, const char *instance, const char *table, bool sees,
			   struct moment now);
bool engine_sees(const struct engine *engine, const char *instance, const char *table);
/* The instance was taken out of the configuration. */
void engine_instance_gone(struct engine *engine, const char *instance, struct moment now);
/* This instance should give samples for the rule, which asks what is absent. Say it after engine_use(). */
void engine_expect(struct engine *engine, const struct rule *rule, const char *instance, struct moment now);
/* What time alone does: `for`, keep_firing_for, absence. The watched instant at which it wants to be called again;
 * INT64_MAX: when something happens. */
int64_t engine_tick(struct engine *engine, struct moment now);

/* What the `while` of the rule says of this instance now. */
enum engine_word { ENGINE_NO, ENGINE_YES, ENGINE_UNKNOWN };
enum engine_word engine_guards(const struct engine *engine, const struct rule *rule, const char *instance);

/* All that pend, fire, or have ended and are not settled. */
struct alert *engine_first(struct engine *engine);
/* Another life of the same rule, instance and subject, open or not. `after`: NULL for the first; NULL: there is no
 * more.
 */
struct alert *engine_other_life(const struct engine *engine, const struct alert *alert, const struct alert *after);
/* Of this rule and instance, by subject; NULL: none that pends or fires. */
struct alert *engine_find(struct engine *engine, const char *rule, const char *instance, const char *subject);
/* From the journal: taken over as it was, not confirmed. NULL: no memory, there is one already, or it pended for a rule
 * that is gone. One that fired for such a rule ends at once. */
struct alert *engine_restore(struct engine *engine, const struct alert *known, struct moment now);
void engine_settle(struct engine *engine, struct alert *alert); /* forgets one that has ended */
/* A number that grows: alerts that are seen from now on have it, or a higher one, as alert->pass. */
uint64_t engine_pass(struct engine *engine);
/* How often one was not begun since the start because ENGINE_ALERTS_MAX were open; each look at it counts. From any
 * thread. */
uint64_t engine_left_out(const struct engine *engine);

#endif
