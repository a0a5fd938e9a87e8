/* SPDX-License-Identifier: MIT
 *
 * The hub: the actor that every batch and every transition passes. It routes batches to the outputs' queues, keeps the
 * books (produced, sent, dropped by reason), makes the agent's own samples, and keeps the tables `instances` and
 * `events`. What rules look at it passes on to the actor `alerts` (alerting.h). Private to the core.
 */
#ifndef CALLWATCH_CORE_HUB_H
#define CALLWATCH_CORE_HUB_H

#include "batch.h"
#include "outqueue.h"
#include "table.h"

struct alerting;
struct history;
struct hub;

extern const struct cw_table_decl hub_events_decl;                    /* table `events` */
extern const char *const hub_event_kinds[], *const hub_state_names[]; /* NULL-terminated */

/* Counters of one instance that the hub publishes; written by the instance's thread with relaxed atomics.
 * Reference-counted, so that an abandoned one does no harm. */
struct instance_stats {
	_Atomic int references;
	_Atomic uint64_t reads, errors, overruns, malformed;
	_Atomic uint64_t samples_invalid;  /* not finite, no such metric, no reading under way, no memory */
	_Atomic uint64_t samples_collided; /* batch_add() said -EEXIST: a series twice at one time */
	_Atomic int64_t last_ok;           /* wall time of the last good reading or write, 0: never */
	_Atomic int64_t last_drop;         /* wall time at which the hub last saw a sample dropped, 0: never */
	_Atomic int64_t read_ns;           /* length of the last reading */
	_Atomic int64_t loop_lag;          /* ns, highest since last published */
	_Atomic int64_t heartbeat;         /* clock_awake() when the loop last came round */
};
struct instance_stats *instance_stats_new(void);         /* with one reference; NULL: no memory */
void instance_stats_unref(struct instance_stats *stats); /* NULL is fine */

struct hub_options {
	const char *hostname, *version;
	int64_t interval; /* of the agent's own samples, ns */
	const struct cw_tag *tags;
	uint32_t tags_count;
};

struct hub *hub_new(const struct hub_options *options); /* makes the tables too */
struct tables *hub_tables(struct hub *hub);
/* Where events and rows are kept; before hub_start(). It ends after the hub. */
void hub_use_history(struct hub *hub, struct history *history);
/* Who hears of transitions, samples and states from now on; before hub_start() and before anybody writes a row. NULL:
 * nobody. */
void hub_set_alerting(struct hub *hub, struct alerting *alerting);
int hub_start(struct hub *hub); /* its thread */
void hub_stop(struct hub *hub); /* drains what was posted, then ends */
void hub_free(struct hub *hub);

/* All below: any thread, wait for nobody.
 *
 * Takes over the reference. A full mailbox drops the batch, counted (reason `hub_full`). NULL is fine. */
void hub_post_batch(struct hub *hub, const struct cw_batch *batch);
/* An instance comes, says its state, goes; takes effect before any batch that is posted later. Strings are copied,
 * references taken. `queue` is its output queue, or NULL: close it before the instance goes. One that is added again
 * without having been removed is replaced, and no batch passes it by. The counters of an instance that comes back under
 * its old name go on; those of its queue if the new one has inherited from the old one. */
void hub_add_instance(struct hub *hub, const char *name, const char *plugin, enum cw_role role,
		      struct instance_stats *stats, struct outqueue *queue);
void hub_set_state(struct hub *hub, const char *name, enum cw_state state, const char *reason, int64_t next_try_wall);
void hub_remove_instance(struct hub *hub, const char *name);
/* kind: one of hub_event_kinds; `from`, `to`, `by`, `text` may be NULL. Bounded: the oldest rows go; what comes faster
 * than the hub can take is counted as events_dropped_total. */
void hub_event(struct hub *hub, const char *kind, const char *subject, const char *from, const char *to, const char *by,
	       const char *text);
void hub_reload_outcome(struct hub *hub, bool ok);
/* Whether this metric is one that the hub itself gives of every instance, under the instance's name. */
bool hub_says_metric(const char *name);
/* All that it gives, of instances and of the agent: of struct cw_metric. */
extern const struct cw_array hub_metrics;
extern const struct cw_table_decl hub_instances_decl, hub_events_decl;

#endif
