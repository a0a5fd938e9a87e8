/* SPDX-License-Identifier: MIT
 *
 * Rules and routes as data: the sections `rules:` and `notify:` of the configuration, checked against the tables and
 * metrics that the configured plugins declare, and compiled. A *ruleset* is part of a plan; immutable and counted, so
 * that a reload swaps one for another. Private to the core.
 *
 * A *row rule* (`table`) holds for each row that matches `where`; its subject is the row's key. A *sample rule*
 * (`metric`) holds for each series for which its test holds; its subject is the series, `calls_active{health=stale}`.
 * A rule's identity is its name. What is wrong is said with file:line:column and the nearest valid name.
 *
 * A rule with `for_plugin: dlq` sleeps, without a word, unless an instance of that plugin is configured. Without it, a
 * table that no configured plugin declares is an error; a metric is a warning only, for scripts name theirs as they
 * run.
 */
#ifndef CALLWATCH_CORE_RULE_H
#define CALLWATCH_CORE_RULE_H

#include "callwatch/notify.h"
#include "callwatch/option.h"
#include "config.h"
#include "expr.h"
#include "problems.h"

struct plan;
struct ruleset;
struct template; /* template.h */

extern const char *const severity_names[]; /* info, warning, critical, NULL */

/* `calls_active{health=stale,instance=calls}`: a metric, and what its labels must be. `instance` is one of them. */
struct selector {
	const char *metric;
	struct cw_tag labels[CW_LABELS_MAX + 1];
	uint32_t labels_count;
};
/* How much of the text is a selector, at its beginning: what follows is the caller's to read, before it is parsed. */
size_t selector_length(const char *text);
/* 0, or -EINVAL and a sentence. All of the text; it is changed and borrowed. */
int selector_parse(char *text, struct selector *ret_selector, char error[EXPR_ERROR_MAX]);
bool selector_matches(const struct selector *selector, const char *instance, const struct cw_sample *sample);

/* `calls_active{health=stale}>=5`: must hold of the last sample of the same instance (or of the one it names). */
struct guard {
	const char *text; /* as written */
	struct selector selector;
	enum expr_op op; /* EQ, NE, GT, GE, LT, LE */
	double limit;
};

enum rule_kind { RULE_ROWS, RULE_SAMPLES };
enum rule_test { RULE_ABOVE, RULE_BELOW, RULE_OUTSIDE, RULE_ABSENT, RULE_RATE_ABOVE, RULE_RATE_BELOW };

struct texts { /* a list of names or expressions */
	const char *const *items;
	uint32_t count;
};

struct rule {
	const char *name;
	enum rule_kind kind;
	bool sleeps; /* its for_plugin is not configured */

	/* rows */
	const char *table;
	struct texts where; /* of a sample rule: over `instance`, `host` and the metric's labels */

	/* samples */
	struct selector selector;
	struct expr *const *filter; /* `where` once more, bound; see rule_takes() */
	enum rule_test test;
	double low, high; /* ABOVE, RATE_ABOVE: high; BELOW, RATE_BELOW: low; OUTSIDE: both. Rates: a second */
	double clear_low, clear_high; /* what the value must come back to; the limits themselves if nothing is said */
	int64_t absent;               /* ABSENT: ns without a sample */
	int64_t over;                 /* RATE_…: ns over which the rate is taken */

	/* both */
	const struct guard *guards; /* all must hold; one that is not known keeps things as they are */
	uint32_t guards_count;
	int64_t hold;        /* `for`, ns of watched time */
	int64_t keep_firing; /* `keep_firing_for` */
	enum cw_severity severity;
	const struct cw_tag *labels;
	uint32_t labels_count;
	const char *noun;                                    /* what its subjects are, in titles: `calls silent` */
	struct template *summary, *description;              /* description may be NULL */
	struct texts summarize_by, group_by;                 /* columns; of sample rules, labels */
	struct texts inhibited_by;                           /* rules */
	int64_t group_wait, group_interval, repeat_interval; /* its own, or those of `notify` */
	bool send_resolved;

	uint8_t fingerprint[16];        /* of all that it says */
	const struct cw_value *options; /* as checked */
	struct place place;
};

struct route {
	struct expr *const *where; /* over alertname, severity and the group's labels; all must hold */
	uint32_t where_count;
	struct texts to; /* names of notifiers */
};

/* Is a sample one of those that a sample rule is about: its selector and its `where`? */
bool rule_takes(const struct rule *rule, const char *host, const char *instance, const struct cw_sample *sample);

/* From plan_make(), when its instances are known. NULL: an error was added, or no memory. Borrows texts from the plan's
 * configuration, so the plan outlives it: a ruleset keeps a reference to nothing, the plan keeps the ruleset. */
struct ruleset *ruleset_make(const struct plan *plan, struct problems *problems);
void ruleset_free(struct ruleset *ruleset); /* NULL is fine */

uint32_t ruleset_count(const struct ruleset *ruleset);
const struct rule *ruleset_at(const struct ruleset *ruleset, uint32_t i);
const struct rule *ruleset_find(const struct ruleset *ruleset, const char *name); /* NULL: none */
bool ruleset_has_table(const struct ruleset *ruleset, const char *table);         /* a row rule that does not sleep */
/* Is a sample of this metric of interest to a rule or a guard? By name. */
bool ruleset_has_metric(const struct ruleset *ruleset, const char *metric);

/* The notifiers that hear of a group with these labels, in order: the first route that matches, else `default`, else
 * every one that tells (plugin->notify). Calls heard() with names that live as long as the ruleset. */
void ruleset_route(const struct ruleset *ruleset, const struct cw_tag *labels, uint32_t labels_count,
		   void (*heard)(void *arg, const char *notifier), void *arg);
/* The section `notify`, as checked. */
const struct cw_value *ruleset_notify(const struct ruleset *ruleset);
/* Of `agent:`, for links; NULL: none. */
const char *ruleset_external_url(const struct ruleset *ruleset);

/* The option tables, for `-t`, the manual and completion: arrays of struct cw_option. */
extern const struct cw_array rule_options, notify_options;

#endif
