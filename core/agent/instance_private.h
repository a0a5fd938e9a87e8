/* SPDX-License-Identifier: MIT
 *
 * The inside of an instance, shared by the files that make it: instance.c (thread, life, state), reading.c (the
 * schedule and readings), sampling.c (samples and metrics of run time), writing.c (the queue of an output), spooling.c
 * (its spool), dropping.c (that it drops), examine.c and doctor.c (the two sides of an examination), acting.c (what
 * somebody asks it to do), notifying.c (the notices of a notifier),
 * roster.c and host.c (what the plugin calls). Nobody else includes it.
 */
#ifndef CALLWATCH_CORE_INSTANCE_PRIVATE_H
#define CALLWATCH_CORE_INSTANCE_PRIVATE_H

#include "backoff.h"
#include "batch.h"
#include "callwatch/frontend.h"
#include "declared.h"
#include "dropping.h"
#include "examine.h"
#include "instance.h"
#include "mailbox.h"
#include "notifying.h"
#include "recent.h"
#include "schedule.h"
#include "spooling.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

/* What an output's queue and a view wake: posts at most one mail at a time. Counted on its own, because the waking
 * thread may still be at it when the instance has gone. */
struct waker {
	struct mail mail; /* first */
	_Atomic int references;
	_Atomic bool posted;
	struct mailbox *box;
	void (*woken)(struct instance *self, void *arg); /* on the instance's thread */
	void *arg;
	_Atomic bool closed; /* woken() is not called any more */
};

/* A reading of a source: from read() to read_done(). Own thread. */
struct reading {
	bool under_way, in_read, done_early, late, late_said;
	int early_status, last_status;
	int64_t time;     /* wall time the samples carry */
	int64_t started;  /* instant */
	int64_t patience; /* instant; until then a failure leaves a plugin that has said nothing `starting` */
	struct batch_builder *builder;
};

/* Samples with a time of their own, and metrics declared at run time. Own thread. */
struct sampling {
	struct declared declared;
	struct recent *recent;         /* NULL until the first sample() */
	struct batch_builder *builder; /* of those between readings; NULL until the first */
	uint32_t waiting;              /* how many are in it */
	uv_timer_t timer;
};

/* Batches on their way out. Own thread. */
struct writing {
	bool in_flight, in_write, done_early, pausing, given_up;
	int early_status;
	const struct cw_batch *batch; /* in flight, a reference */
	int64_t offered;              /* instant */
	struct backoff backoff;
};

/* An examination under way. Own thread. */
struct examining {
	struct listener *listeners; /* NULL: none is under way */
	struct finding *findings;   /* of all rungs, up to `rung` */
	uint32_t rung;
	bool waiting, in_examine; /* the plugin was asked; its examine() runs */
	bool failed, owes;        /* owes: a check was given up, and its verdict may still come */
	int64_t deadline;         /* awake; of the check that was asked last */
};

enum { INSTANCE_NOTE_MAX = 160 };

struct examination; /* doctor.c */
struct host_view;   /* host.c */

struct instance {
	struct instance_context context;
	struct plan *plan;
	const struct plan_instance *what;
	const struct cw_plugin *decl;
	char *name, *state_dir;
	struct cw_info info;
	struct instance_stats *stats;
	struct mailbox *box;
	struct outqueue *queue; /* NULL unless it has write() */
	struct waker *queue_waker;
	pthread_t thread;
	struct instance *next_in_roster; /* roster.c's */

	/* any thread */
	_Atomic bool abandoned;               /* its thread may do nothing to the rest of the agent any more */
	_Atomic bool first_done, in_loop;     /* in_loop: heartbeats are to be expected */
	_Atomic bool acts;                    /* its plugin runs, and may be asked to act */
	_Atomic(const char *) callback;       /* the plugin's function that is running, NULL: none */
	_Atomic int64_t callback_since;       /* clock_awake() */
	pthread_mutex_t lock;                 /* guards what follows */
	pthread_cond_t changed;               /* `ended` or `stop_asked` */
	bool ended, stop_asked, stuck, leaky; /* leaky: handles were left, the memory is not freed */
	enum cw_state state;                  /* as said by the plugin */
	char reason[INSTANCE_REASON_MAX];
	char note[INSTANCE_NOTE_MAX];  /* the core's own word on it, "": none; shown with the plugin's */
	int64_t state_since, next_try; /* wall times; next_try 0: none */
	int64_t changes_minute;        /* how often it was told in which minute of clock_awake() */
	unsigned changes;

	/* own thread */
	uv_loop_t loop;
	uv_timer_t tick, beat, deadline, pause;
	unsigned core_handles; /* on the loop before the plugin adds its own */
	bool started, said_state, stopping, draining, woken_by_pause;
	int64_t beat_due; /* awake */
	void *plugin_state;
	struct backoff start_backoff;
	struct schedule schedule;
	struct reading reading;
	struct sampling sampling;
	struct writing writing;
	struct spooling spooling;
	struct dropping dropping;
	struct examining examining;
	struct examination *examinations; /* that it asked others for */
	struct host_view *views;
	struct cw_task *tasks; /* acting.c's */
	struct notifying notifying;
};

/* instance.c */
extern _Thread_local struct instance *instance_speaking;          /* whose thread this is; NULL: nobody's */
void instance_enter(struct instance *self, const char *callback); /* before each call of the plugin */
void instance_leave(struct instance *self);
/* Keeps, logs and tells the hub. `next_try`: an instant or 0. Any thread; said by the plugin or for it. */
void instance_set_state(struct instance *self, enum cw_state state, int64_t next_try, const char *reason);
/* What the core has to add to the plugin's words: an instance that is up is degraded by it. "": nothing any more. */
void instance_set_note(struct instance *self, const char *note);
/* State and reason as people see them. Must hold the lock. */
enum cw_state instance_shown(const struct instance *self, char reason[INSTANCE_REASON_MAX]);
void instance_arm(uv_timer_t *timer, uv_timer_cb callback, int64_t due); /* due: an instant */
struct waker *waker_new(struct mailbox *box, void (*woken)(struct instance *self, void *arg), void *arg);
void waker_wake(void *waker); /* any thread */
void waker_unref(struct waker *waker);

/* reading.c */
int reading_start(struct instance *self); /* the first reading, and the ticks after it */
void reading_stop(struct instance *self);
void reading_beat(struct instance *self); /* each second: what the timer missed, and how it is */
void reading_done(struct instance *self, int status);
void reading_add(struct instance *self, uint32_t metric, struct cw_sample *sample); /* at the reading's time */

/* sampling.c */
struct batch_builder *sampling_builder(
	const struct instance *self); /* with its host, interval, tags; NULL: no memory */
/* 0, or negative and counted: invalid or a collision. `builder` NULL: there is nothing it could go into. */
int sampling_add(struct instance *self, struct batch_builder *builder, uint32_t metric, const struct cw_sample *sample);
void sampling_sample(struct instance *self, uint32_t metric, const struct cw_sample *sample);
int64_t sampling_declare(struct instance *self, const struct cw_metric *metric);
void sampling_stop(struct instance *self);    /* what waits is posted */
void sampling_release(struct instance *self); /* of one life; fine without one */

/* writing.c */
void writing_pump(struct instance *self);
void writing_resume(struct instance *self); /* the plugin is up again: no need to wait for the pause to end */
void writing_woken(struct instance *self, void *arg);
void writing_done(struct instance *self, int status);
void writing_dropped(struct instance *self, enum cw_drop reason, uint64_t n);
bool writing_busy(const struct instance *self); /* while stopping: something is left that may still go */
void writing_stop(struct instance *self);
void writing_beat(struct instance *self); /* each second */
void writing_end(struct instance *self);  /* the plugin has stopped: what is in flight is not sent */
void writing_flush(struct instance *self);

/* host.c */
const struct cw_host *host_for(enum cw_role role);
void host_close_views(struct instance *self);

#endif
