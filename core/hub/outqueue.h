/* SPDX-License-Identifier: MIT
 *
 * The queue in front of an output: between the router, which never waits, and the output's own pace. Bounded in
 * samples; when full the oldest go, counted by reason. A disk spool will stand behind it (issue of the pipelines).
 * Private to the core.
 *
 * The books of a queue are exact at every moment: accepted = sent + queued + dropped_full + dropped_stop + Σ
 * dropped_by_output.
 */
#ifndef CALLWATCH_CORE_OUTQUEUE_H
#define CALLWATCH_CORE_OUTQUEUE_H

#include "callwatch/metric.h"
#include "callwatch/option.h"

struct outqueue;

enum { OUTQUEUE_DROPS = CW_DROP_REFUSED + 1 };

struct outqueue_counts {
	uint64_t accepted; /* samples that passed the filter: what was produced for this output */
	uint64_t queued;   /* samples now waiting, the ones in flight included */
	uint64_t sent;
	uint64_t dropped_full, dropped_stop;
	uint64_t dropped_by_output[OUTQUEUE_DROPS]; /* by enum cw_drop: of settled batches */
	uint64_t filtered_out;                      /* not produced for this output, so not dropped */
};

/* `filter`: the instance's `metrics:` expressions over metric, host, instance and the metric's labels (one it lacks is
 * null), may be NULL. `wake` runs on the router's thread when there is something to take and nothing was, and not
 * after outqueue_close() returned. With one reference. NULL: no memory, or a filter outqueue_check() refuses. */
struct outqueue *outqueue_new(uint64_t limit_samples, const struct cw_value *filter, void (*wake)(void *arg),
			      void *arg);
/* 0, or -EINVAL with a sentence: an expression that fits no text. *ret_index: which one. */
int outqueue_check(const struct cw_value *filter, uint32_t *ret_index, char *error, size_t size);
struct outqueue *outqueue_ref(struct outqueue *queue);
void outqueue_unref(struct outqueue *queue); /* NULL is fine */
/* The router's thread. Borrows the batch. A batch larger than the limit drops all others and is taken all the same,
 * so an output with a small queue still sees the newest. */
void outqueue_push(struct outqueue *queue, const struct cw_batch *batch);
/* The oldest batch, now in flight (borrowed until settled); NULL: nothing. The output's thread. */
const struct cw_batch *outqueue_peek(struct outqueue *queue);
/* n samples of the batch in flight will not have been sent when it is settled as sent; no more than it has left. The
 * output's thread. */
void outqueue_drop(struct outqueue *queue, enum cw_drop reason, uint64_t n);
void outqueue_settle(struct outqueue *queue, bool sent); /* sent: it leaves; else it stays the oldest */
/* All that was dropped, for whatever reason. */
uint64_t outqueue_dropped(const struct outqueue_counts *counts);
/* What is left is counted as dropped_stop, and so is what comes later. Any thread. The batch in flight stays valid
 * until it is settled or the last reference goes. */
void outqueue_close(struct outqueue *queue);
void outqueue_counts(struct outqueue *queue, struct outqueue_counts *ret_counts);

#endif
