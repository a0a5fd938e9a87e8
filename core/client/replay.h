/* SPDX-License-Identifier: MIT
 *
 * A piece of the past, lived through once more: rows, samples and states of instances are told in the order of time,
 * and the agent's own engine judges them by the rules of a plan, with a clock that goes as fast as it can. For
 * `callwatch rules test`. One at a time: it turns the clock of the whole process.
 *
 * What was not recorded is not known: a row of which only the change of one column is told has no others.
 */
#ifndef CALLWATCH_CLIENT_REPLAY_H
#define CALLWATCH_CLIENT_REPLAY_H

#include "plan.h"
#include "rule.h"

#include <jansson.h>

struct replay;

/* One alert that would have fired. */
struct replayed {
	const struct rule *rule;
	char *instance, *subject, *summary;
	int64_t pending_since, firing_since, resolved_at; /* wall; resolved_at 0: it still fires */
	const char *reason;                               /* why it ended */
};

/* What became of a rule. */
struct tried {
	uint64_t seen;     /* samples of its metric, or changes of rows of its table */
	uint64_t ceased;   /* times that it pended and ceased before it fired */
	int64_t held_most; /* of those, the longest, ns */
	uint64_t fired;
};

/* `began`: wall time at which the past begins. */
struct replay *replay_new(const struct plan *plan, int64_t began);
void replay_free(struct replay *replay); /* NULL is fine; the clock is the real one again */

/* Time goes on up to then, with all that it brings. A time before the last one is taken as that. `is_watched` false:
 * nobody watched meanwhile. */
void replay_until(struct replay *replay, int64_t wall, bool is_watched);
/* All has been told. */
void replay_end(struct replay *replay);
/* A sample as format json of plugin stdout prints it. False: it is none. */
bool replay_sample(struct replay *replay, const json_t *line);
/* A row as the API gives it, of this table; false: the table is not known, or it has no key. */
bool replay_row(struct replay *replay, const char *table, const json_t *row);
/* The rows of this table that are told between the two are all that there are. */
void replay_full_begin(struct replay *replay, const char *table);
void replay_full_end(struct replay *replay, const char *table);
/* A row's watched column is this now: "" not known, NULL: the row has gone. */
bool replay_change(struct replay *replay, const char *table, const char *instance, const char *key, const char *to);
bool replay_has_row(struct replay *replay, const char *table, const char *instance, const char *key);
/* An instance's state. */
void replay_state(struct replay *replay, const char *instance, const char *state, const char *reason);

/* In the order in which they fired. */
uint32_t replay_count(const struct replay *replay);
const struct replayed *replay_at(const struct replay *replay, uint32_t i);
const struct tried *replay_tried(const struct replay *replay, const struct rule *rule);

#endif
