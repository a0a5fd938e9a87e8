/* SPDX-License-Identifier: MIT
 *
 * What hub.c (the actor, the router), hub_tables.c (tables `instances` and `events`) and self_metrics.c (the agent's
 * own samples) share. Private to these three. Everything here belongs to the hub's thread unless it says otherwise.
 */
#ifndef CALLWATCH_CORE_HUB_PRIVATE_H
#define CALLWATCH_CORE_HUB_PRIVATE_H

#include "alerting.h"
#include "history.h"
#include "hub.h"
#include "mailbox.h"

#include <pthread.h>
#include <uv.h>

/* What is counted about one instance. */
struct counters {
	uint64_t reads, errors, overruns, malformed;
	uint64_t routed, hub_full, invalid, collided; /* its samples; produced = routed + hub_full */
	struct outqueue_counts queue;
};

struct hub_instance {
	struct hub_instance *next;
	char *name, *plugin;
	bool present; /* false: it went, and only its counters are kept for when it comes back */
	enum cw_role role;
	struct instance_stats *stats;
	struct outqueue *queue;
	struct counters before; /* of its earlier lives, without those of queues (outqueue_inherit) */
	uint64_t routed;

	enum cw_state state;
	char *reason;
	int64_t since, next_try; /* wall */

	int64_t row;           /* in table `instances`, negative: none */
	struct counters shown; /* what the row says */
	int64_t shown_ok, shown_drop;
	struct batch_builder *builder; /* of its self samples, made on demand */
};

/* Samples that a full mailbox turned away, by instance; guarded by hub->lost_lock. */
struct lost {
	struct lost *next;
	char *name;
	uint64_t samples;
};

enum { EVENTS_MAX = 10000 };

struct hub {
	struct hub_options options; /* its strings are owned, below */
	struct cw_tag *tags;
	struct tables *tables;
	struct history *history;   /* NULL: there is no state_dir */
	struct alerting *alerting; /* NULL: nobody holds anything against rules */

	struct mailbox *orders;  /* instances, reload outcomes: never turned away */
	struct mailbox *batches; /* bounded */
	struct mailbox *events;  /* bounded: they are hints */
	_Atomic uint64_t events_dropped;
	pthread_mutex_t lost_lock;
	struct lost *lost;

	pthread_t thread;
	bool started;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t tick;

	struct hub_instance *instances;
	struct cw_part *instances_part, *events_part;
	uint32_t event_rows[EVENTS_MAX]; /* ring of row numbers, oldest first */
	uint32_t events_first, events_count;
	uint64_t last_event; /* id */

	bool reload_ok;
	int64_t last_sampled; /* number of the interval */
	uint64_t self_routed; /* self samples */
	struct batch_builder *builder;
};

struct hub_instance *hub_find(struct hub *hub, const char *name); /* NULL: not known */
struct counters hub_counters(struct hub *hub, const struct hub_instance *instance);
void hub_route(struct hub *hub, const struct cw_batch *batch); /* borrows */

int hub_tables_open(struct hub *hub);
void hub_tables_confirm(struct hub *hub, int64_t wall);                 /* that they are complete, now */
void hub_show_instance(struct hub *hub, struct hub_instance *instance); /* its whole row */
void hub_hide_instance(struct hub *hub, struct hub_instance *instance);
void hub_show_counters(struct hub *hub, struct hub_instance *instance); /* what changed */

/* An event on its way; texts may be NULL. */
struct event {
	const char *kind, *subject, *from, *to, *by, *text;
	int64_t wall;
};
void hub_keep_event(struct hub *hub, const struct event *event);
/* Should this transition become an event? Any thread. */
bool hub_is_event(const struct transition *transition);

void self_metrics_route(struct hub *hub, int64_t wall);

#endif
