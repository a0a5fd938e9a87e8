/* SPDX-License-Identifier: MIT
 *
 * The queue in front of an output: between the router, which never waits, and the output's own pace. Bounded in
 * samples; when full the oldest go, counted by reason. Where the output has a spool (spool.h), what it does not take at
 * once goes from here to the disk. Private to the core.
 *
 * The queue also keeps the output's books, those of its spool included, and over all its lives: a restarted output's
 * new queue inherits from the old one what waits and what was counted. At every moment
 *
 *     accepted + spool.restored = sent + queued + spool.held + all that was dropped (outqueue_dropped)
 */
#ifndef CALLWATCH_CORE_OUTQUEUE_H
#define CALLWATCH_CORE_OUTQUEUE_H

#include "callwatch/metric.h"
#include "callwatch/option.h"
#include "spool.h"

struct outqueue;

enum { OUTQUEUE_DROPS = CW_DROP_REFUSED + 1 };

struct outqueue_counts {
	uint64_t accepted; /* samples that passed the filter: what was produced for this output */
	uint64_t queued;   /* samples now waiting in memory, the ones in flight included unless they are the spool's */
	uint64_t sent;
	uint64_t dropped_full, dropped_stop;
	uint64_t dropped_by_output[OUTQUEUE_DROPS]; /* by enum cw_drop: of settled batches */
	uint64_t filtered_out;                      /* not produced for this output, so not dropped */
	struct spool_counts spool;
};

/* `filter`: the instance's `metrics:` expressions over metric, host, instance and the metric's labels (one it lacks is
 * null), may be NULL. `wake` runs on the router's thread when there is something to take and nothing was, and not
 * after outqueue_close() or outqueue_orphan() returned. With one reference. NULL: no memory, or a filter
 * outqueue_check() refuses. */
struct outqueue *outqueue_new(uint64_t limit_samples, const struct cw_value *filter, void (*wake)(void *arg),
			      void *arg);
/* 0, or -EINVAL with a sentence: an expression that fits no text. *ret_index: which one. */
int outqueue_check(const struct cw_value *filter, uint32_t *ret_index, char *error, size_t size);
struct outqueue *outqueue_ref(struct outqueue *queue);
void outqueue_unref(struct outqueue *queue); /* NULL is fine */
/* The router's thread. Borrows the batch. A batch larger than the limit drops all others and is taken all the same,
 * so an output with a small queue still sees the newest. */
void outqueue_push(struct outqueue *queue, const struct cw_batch *batch);
void outqueue_counts(struct outqueue *queue, struct outqueue_counts *ret_counts); /* any thread */
/* All that was dropped, for whatever reason. */
uint64_t outqueue_dropped(const struct outqueue_counts *counts);

/* ---- the output's thread: one batch in flight at a time, of the queue's or of the spool's ---- */

/* The oldest batch, now in flight (borrowed until settled); NULL: nothing. */
const struct cw_batch *outqueue_peek(struct outqueue *queue);
/* n samples of the batch in flight will not have been sent when it is settled as sent; no more than it has left. */
void outqueue_drop(struct outqueue *queue, enum cw_drop reason, uint64_t n);
void outqueue_settle(struct outqueue *queue, bool sent); /* sent: it leaves; else it stays the oldest */

/* On their way to the spool: the oldest batches, borrowed until outqueue_spooled(); one in flight is the first of them.
 * How many. */
uint32_t outqueue_hold(struct outqueue *queue, const struct cw_batch **batches, uint32_t limit);
/* The first `taken` of them are the spool's now, which holds `now`; one in flight flies on as the spool's. The others
 * stay. Without a hold: only what has changed in the spool. */
void outqueue_spooled(struct outqueue *queue, uint32_t taken, const struct spool_counts *now);
/* A batch of the spool, with so many samples, is in flight … */
void outqueue_spool_flies(struct outqueue *queue, uint64_t samples);
/* … and has been settled there; `now` the spool holds this. */
void outqueue_spool_settled(struct outqueue *queue, bool sent, const struct spool_counts *now);

/* ---- the end ---- */

/* What is left is counted as dropped_stop, and so is what comes later. Any thread. The batch in flight stays valid
 * until it is settled or the last reference goes. */
void outqueue_close(struct outqueue *queue);
/* The output has ended and will come back: the queue goes on taking what comes, and wakes nobody. Any thread. */
void outqueue_orphan(struct outqueue *queue);
/* The output comes back with a new queue, `heir`: to it goes what waits, what was counted, and from now on all that is
 * pushed into the old one, which is empty and closed for its own thread. A batch still in flight is dropped_stop: its
 * outcome will not be known. Before the heir's thread runs; any thread. `queue` may be closed or have an heir. */
void outqueue_inherit(struct outqueue *heir, struct outqueue *queue);

#endif
