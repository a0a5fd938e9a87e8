/* SPDX-License-Identifier: MIT
 *
 * What the files of groups share of each other: group.c (which there are, who is in them, when something is told),
 * inhibit.c (who keeps whom quiet), telling.c (in which words). Private to them.
 */
#ifndef CALLWATCH_CORE_GROUP_PRIVATE_H
#define CALLWATCH_CORE_GROUP_PRIVATE_H

#include "common.h"
#include "group.h"
#include "rule.h"

/* ---- inhibit.c ---- */

/* Which rules fire for which sources: what keeps alerts of other rules quiet. */
struct inhibitor {
	struct inhibitor *next;
	char *rule, *source;
	uint32_t alerts;
};
struct inhibitors {
	struct inhibitor *list;
	bool is_changed; /* one has begun or ceased since it was last asked */
};

/* An alert begins to fire (1), or ceases (-1). */
void inhibitors_count(struct inhibitors *inhibitors, const char *rule, const char *source, int by);
/* The name of the rule that inhibits an alert of this rule and source; NULL: none. */
const char *inhibitors_find(const struct inhibitors *inhibitors, const struct rule *rule, const char *source);
void inhibitors_release(struct inhibitors *inhibitors);

/* ---- telling.c ---- */

/* A notice that is to be made: how a group stands, and what of it is told. */
struct telling {
	const struct groups_options *options;
	const struct ruleset *ruleset;
	const struct group *group;
	enum cw_notice_kind kind;
	const char *incident;
	uint32_t sequence;
	int64_t since, wall;
	const struct alert **firing, **ended; /* are put in order */
	uint32_t firing_count, ended_count;
	uint32_t muted; /* fire, and are not told */
	/* set by telling_notice() */
	char common[COMMON_TEXT_MAX];
};

/* NULL: no memory. */
struct notice *telling_notice(struct telling *telling);
/* All labels of a group's notices: its own, severity, the rule's. At most NOTICE_LABELS_MAX; how many. */
uint32_t telling_labels(const struct group *group, enum cw_severity severity, struct cw_tag labels[NOTICE_LABELS_MAX]);

#endif
