/* SPDX-License-Identifier: MIT
 *
 * What rules may speak of: the tables, columns, metrics and labels that the configured plugins and the agent itself
 * declare, and the notifiers. Made for the time in which a ruleset is made, so that each word of a rule is checked
 * before anything runs. Private to core/alerts.
 *
 * Not all is known in advance. A script names its metrics as it runs; an entry of `plugins:` that is wrong was left
 * out, and what it would have declared too: then `is_whole` is false, and what is missing is nobody's mistake.
 */
#ifndef CALLWATCH_CORE_VOCABULARY_H
#define CALLWATCH_CORE_VOCABULARY_H

#include "arena.h"
#include "callwatch/metric.h"
#include "callwatch/table.h"
#include "problems.h"

struct plan;
struct plugin;

/* A table as one plugin (or the core) declares it: one name may be there more than once. */
struct known_table {
	const char *name;
	const struct cw_table_decl *decl; /* NULL: the core's, and no rule may look at it */
};

/* A column that an option adds to a table. */
struct known_extra {
	const char *table;
	struct cw_column column;
};

struct known_plugin {
	const char *instance, *name; /* of the entry; its plugin */
	const struct plugin *plugin; /* NULL: it could not be loaded */
};

struct vocabulary {
	const struct plan *plan;
	struct arena *arena;
	bool is_whole;
	struct known_plugin *plugins;
	struct known_table *tables;
	struct known_extra *extras;
	const struct cw_metric **metrics;
	uint32_t plugins_count, tables_count, extras_count, metrics_count;
};

/* Everything lives in the arena. */
void vocabulary_make(struct vocabulary *vocabulary, const struct plan *plan, bool is_whole, struct arena *arena);

bool vocabulary_has_plugin(const struct vocabulary *vocabulary, const char *plugin);
/* May rules look at it? *ret_is_known: there is one of this name. */
bool vocabulary_has_table(const struct vocabulary *vocabulary, const char *table, bool *ret_is_known);
/* NULL: none. `instance` is a column of every table. */
const struct cw_column *vocabulary_column(const struct vocabulary *vocabulary, const char *table, const char *column);
const struct cw_metric *vocabulary_metric(const struct vocabulary *vocabulary, const char *metric); /* NULL: none */
/* A notifier that is told notices; else false and *ret_role: what it is instead, NULL: there is no such instance. */
bool vocabulary_tells(const struct vocabulary *vocabulary, const char *instance, const char **ret_role);

extern const char vocabulary_no_role[]; /* its plugin could not be loaded, so it may be anything */

/* `; did you mean …`, as name_hint(). */
char *vocabulary_hint_table(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE]);
char *vocabulary_hint_column(const struct vocabulary *vocabulary, const char *table, const char *name,
			     char buffer[NAME_HINT_SIZE]);
char *vocabulary_hint_metric(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE]);
char *vocabulary_hint_notifier(const struct vocabulary *vocabulary, const char *name, char buffer[NAME_HINT_SIZE]);

/* A label of a metric as a column of texts, or of choices if all its values are declared; also `instance` and `host`.
 * False: the metric has none of this name. */
bool metric_label_column(const struct cw_metric *metric, const char *name, struct cw_column *ret_column);

#endif
