/* SPDX-License-Identifier: MIT
 *
 * The queue in front of an output: between the router, which never waits, and the output's own pace. Bounded in
 * samples; when full the oldest go, counted by reason. A disk spool will stand behind it (issue of the pipelines).
 * Private to the core.
 */
#ifndef CALLWATCH_CORE_OUTQUEUE_H
#define CALLWATCH_CORE_OUTQUEUE_H

#include "callwatch/metric.h"
#include "callwatch/option.h"

struct outqueue;

struct outqueue_counts {
	uint64_t queued; /* samples now waiting, the one in flight included */
	uint64_t sent;
	uint64_t dropped_full, dropped_stop,
		dropped_filtered_out; /* filtered out are not drops: not produced for this output */
};

/* `filter`: the instance's `metrics:` expressions over metric name and labels, may be NULL. `wake` runs on the router's
 * thread when the queue was empty. With one reference. */
struct outqueue *outqueue_new(uint64_t limit_samples, const struct cw_value *filter, void (*wake)(void *arg),
			      void *arg);
struct outqueue *outqueue_ref(struct outqueue *queue);
void outqueue_unref(struct outqueue *queue);
void outqueue_push(struct outqueue *queue, const struct cw_batch *batch); /* router's thread */
/* The oldest batch, now in flight (borrowed until settled); NULL: nothing. The output's thread. */
const struct cw_batch *outqueue_peek(struct outqueue *queue);
void outqueue_settle(struct outqueue *queue, bool sent); /* sent: it leaves; else it stays the oldest */
void outqueue_close(struct outqueue *queue);             /* what is left is counted as dropped_stop */
void outqueue_counts(struct outqueue *queue, struct outqueue_counts *ret_counts);

#endif
