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

struct engine_options {
	/* An alert's state has changed (pending, firing, resolved; or it goes without a word: `is_gone`), or what is
	 * shown of it (blind, value). The alert lives until settled by engine_settle(). */
	void (*changed)(void *arg, struct alert *alert, bool is_gone);
	bool phones_full;
	void *arg;
};

struct moment {
	int64_t watched; /* watched time, ns */
	int64_t wall;
};

struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *engine); /* NULL is fine */
/* From now on these rules. Alerts of rules that are gone end as `rule removed`; of a rule that has changed they are
 * judged by what it says now. */
void engine_use(struct engine *engine, const struct ruleset *ruleset, struct moment now);

/* A row as it is: does the rule hold for it? `columns` and `cells` as a query gives them (phones masked). */
void engine_row(struct engine *engine, const struct rule *rule, const char *instance, const char *key, bool holds,
		const struct cw_column *columns, const struct cw_cell *cells, uint32_t count, struct moment now);
/* A row that is not there any more, for all rules of its table; `known`: it is certain (its source can see). */
void engine_row_gone(struct engine *engine, const char *table, const char *instance, const char *key,
		     struct moment now);
void engine_sample(struct engine *engine, const char *instance, const struct cw_sample *sample, struct moment now);
/* Can this instance see? While it cannot, nothing about it moves. */
void engine_sight(struct engine *engine, const char *instance, bool sees, struct moment now);
/* The instance was taken out of the configuration. */
void engine_instance_gone(struct engine *engine, const char *instance, struct moment now);
/* What time alone does: `for`, keep_firing_for, absence. The watched instant at which it wants to be called again. */
int64_t engine_tick(struct engine *engine, struct moment now);

/* All that pend, fire, or have ended and are not settled. */
struct alert *engine_first(struct engine *engine);
/* Of this rule and instance, by subject; NULL: none that pends or fires. */
struct alert *engine_find(struct engine *engine, const char *rule, const char *instance, const char *subject);
/* From the journal: taken over as it was, not confirmed. NULL: no memory, or there is one already. */
struct alert *engine_restore(struct engine *engine, const struct alert *known);
void engine_settle(struct engine *engine, struct alert *alert); /* forgets one that has ended */

#endif
