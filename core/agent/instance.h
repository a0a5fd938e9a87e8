/* SPDX-License-Identifier: MIT
 *
 * An instance: one configured plugin as an actor, with its thread, loop, mailbox, schedule and state. What the plugin
 * sees of it is struct cw_host (host.c). Private to the core.
 *
 * Ticks are absolute and aligned to the interval, spread by jitter; a tick that finds the last reading unfinished is an
 * overrun, counted and skipped. A failed start is tried again after 1 s to 30 s, with jitter. A callback that does not
 * come back is found by the agent's watch: the instance is `stuck`, and on stop or reload abandoned, thread and all.
 */
#ifndef CALLWATCH_CORE_INSTANCE_H
#define CALLWATCH_CORE_INSTANCE_H

#include "hub.h"
#include "lookup.h"
#include "plan.h"
#include "resolver.h"

enum { INSTANCE_REASON_MAX = 256 };

struct agent;
struct alerting;
struct instance;
struct roster;
struct tasks;

struct instance_context {
	struct hub *hub;
	struct resolver *resolver;
	struct lookups *lookups;
	struct agent *agent; /* for frontends: reload, readiness */
	struct roster *roster;
	struct tasks *tasks;       /* NULL: nobody may be asked to act (--once) */
	struct history *history;   /* NULL: there is no state_dir */
	struct alerting *alerting; /* NULL: nothing is judged (--once) */
	const char *hostname, *version, *state_dir;
	bool once, phones_full;
	int64_t interval; /* default */
};

/* Starts its thread. `plan` is referenced as long as the instance borrows its options. `before`: the queue of the
 * instance that had this name before, whose samples and books the new one's queue inherits; NULL: there was none. */
struct instance *instance_start(const struct instance_context *context, struct plan *plan,
				const struct plan_instance *what, struct outqueue *before);
struct outqueue *instance_queue(const struct instance *instance); /* borrowed; NULL: it is given no samples */
const char *instance_name(const struct instance *instance);
const struct plan *instance_plan(const struct instance *instance);             /* it was made by, and … */
const struct plan_instance *instance_planned(const struct instance *instance); /* … as what; live as long as it */
enum cw_state instance_state(const struct instance *instance);
bool instance_first_done(const struct instance *instance); /* has read, or failed to, at least once */
bool instance_is_up(const struct instance *instance);
void instance_flush(struct instance *instance);
void instance_log_state(struct instance *instance); /* USR2: how it is, in one line */
/* Any thread but its own: asks it to end. */
void instance_stop(struct instance *instance);
/* True when its thread is done and instance_join() will not wait. */
bool instance_ended(struct instance *instance);
/* Waits until it ended, at most until the instant; true: it has. */
bool instance_wait(struct instance *instance, int64_t deadline);
/* The same, and lets go of it: true: ended and freed. Else it is abandoned: its name is free again, its memory is not.
 * `returns`: another one of its name is started next, so the hub is not told that it goes, and its queue stays open for
 * what comes meanwhile. */
bool instance_join(struct instance *instance, int64_t deadline, bool returns);
/* How many were abandoned since the process began: with any, memory they use must not be freed at its end. */
unsigned instance_abandoned_count(void);
/* Called about every second by the agent: marks it stuck or not stuck any more. */
void instance_watch(struct instance *instance);
/* Any thread, while the instance is kept (roster.h): its thread has not been heard of for so long that it is stuck, or
 * is about to be called so; `why` says where it was last seen. */
bool instance_is_silent(struct instance *instance, char why[INSTANCE_REASON_MAX]);

#endif
