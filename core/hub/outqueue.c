/* SPDX-License-Identifier: MIT
 *
 * See outqueue.h. A linked list of batches under one mutex, held for a few pointers only. The batch in flight is always
 * the first of the list and is never dropped for want of room: the output is reading it.
 *
 * The filter works before the lock is taken; what it leaves of a batch shares the batch's strings (batch_select).
 */
#include "outqueue.h"

#include "batch.h"
#include "expr.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
	struct waiting *next;
	const struct cw_batch *batch;
};

struct outqueue {
	_Atomic int references;
	uint64_t limit;
	struct expr **filter;
	uint32_t filter_count;
	void (*wake)(void *arg);
	void *arg;

	pthread_mutex_t lock; /* guards all below */
	struct waiting *first, **last;
	bool in_flight, closed;
	uint64_t in_flight_drops[OUTQUEUE_DROPS]; /* of the batch in flight, by the output's own word */
	struct outqueue_counts counts;
};

/* All that a filter looks at is text; a label that a metric lacks is null. */
static int bind_text(const char *text, struct expr **ret_expr, char error[EXPR_ERROR_MAX])
{
	int status = expr_parse(text, ret_expr, error);
	if (status < 0)
		return status;
	struct cw_column column = {.name = expr_column(*ret_expr), .type = CW_TEXT};
	status = expr_bind(*ret_expr, &column, error);
	if (status < 0) {
		expr_free(*ret_expr);
		*ret_expr = NULL;
	}
	return status;
}

int outqueue_check(const struct cw_value *filter, uint32_t *ret_index, char *error, size_t size)
{
	for (uint32_t i = 0; filter && filter->known && i < filter->count; i++) {
		struct expr *expr = NULL;
		char why[EXPR_ERROR_MAX];
		int status = bind_text(filter->children[i].string, &expr, why);
		expr_free(expr);
		if (status < 0) {
			snprintf(error, size, "%s", why);
			*ret_index = i;
			return status;
		}
	}
	return 0;
}

static int bind_filter(struct outqueue *queue, const struct cw_value *filter)
{
	if (!filter || !filter->known || !filter->count)
		return 0;
	queue->filter = calloc(filter->count, sizeof(struct expr *));
	if (!queue->filter)
		return -ENOMEM;
	for (uint32_t i = 0; i < filter->count; i++) {
		char error[EXPR_ERROR_MAX];
		int status = bind_text(filter->children[i].string, &queue->filter[i], error);
		if (status < 0)
			return status;
		queue->filter_count++;
	}
	return 0;
}

struct outqueue *outqueue_new(uint64_t limit_samples, const struct cw_value *filter, void (*wake)(void *arg), void *arg)
{
	struct outqueue *queue = calloc(1, sizeof(*queue));
	if (!queue)
		return NULL;
	atomic_init(&queue->references, 1);
	queue->limit = limit_samples;
	queue->wake = wake;
	queue->arg = arg;
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, /* attributes */ NULL);
	if (bind_filter(queue, filter) < 0) {
		outqueue_unref(queue);
		return NULL;
	}
	return queue;
}

struct outqueue *outqueue_ref(struct outqueue *queue)
{
	atomic_fetch_add_explicit(&queue->references, 1, memory_order_relaxed);
	return queue;
}

/* Takes out *link and gives the number of its samples. */
static uint64_t take_out(struct outqueue *queue, struct waiting **link)
{
	struct waiting *gone = *link;
	uint64_t samples = gone->batch->samples.count;
	*link = gone->next;
	if (!gone->next)
		queue->last = link;
	queue->counts.queued -= samples;
	batch_unref(gone->batch);
	free(gone);
	return samples;
}

void outqueue_unref(struct outqueue *queue)
{
	if (!queue || atomic_fetch_sub_explicit(&queue->references, 1, memory_order_acq_rel) > 1)
		return;
	while (queue->first) {
		struct waiting *next = queue->first->next;
		batch_unref(queue->first->batch);
		free(queue->first);
		queue->first = next;
	}
	for (uint32_t i = 0; i < queue->filter_count; i++)
		expr_free(queue->filter[i]);
	free(queue->filter);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

static const char *sample_text(const struct cw_batch *batch, const struct cw_sample *sample, const char *column)
{
	if (strcmp(column, "metric") == 0)
		return sample->metric->name;
	if (strcmp(column, "host") == 0)
		return batch->host;
	if (strcmp(column, "instance") == 0)
		return batch->instance;
	uint32_t labels = cw_label_count(sample->metric);
	for (uint32_t i = 0; i < labels; i++)
		if (strcmp(column, sample->metric->labels[i].name) == 0)
			return sample->labels[i];
	return NULL;
}

static bool passes(void *arg, const struct cw_batch *batch, const struct cw_sample *sample)
{
	const struct outqueue *queue = arg;
	for (uint32_t i = 0; i < queue->filter_count; i++) {
		const char *text = sample_text(batch, sample, expr_column(queue->filter[i]));
		struct cw_cell cell = {.type = text ? CW_CELL_TEXT : CW_CELL_NULL};
		if (text) {
			cell.text = text;
			cell.length = (uint32_t)strlen(text);
		}
		if (!expr_matches(queue->filter[i], &cell))
			return false;
	}
	return true;
}

/* Must hold the lock. The oldest go, but not what is in flight. */
static void make_room(struct outqueue *queue, uint64_t samples)
{
	struct waiting **oldest = queue->in_flight ? &queue->first->next : &queue->first;
	while (*oldest && queue->counts.queued + samples > queue->limit)
		queue->counts.dropped_full += take_out(queue, oldest);
}

/* Must hold the lock. */
static void append(struct outqueue *queue, struct waiting *waiting)
{
	uint64_t samples = waiting->batch->samples.count;
	make_room(queue, samples);
	bool was_empty = !queue->first;
	*queue->last = waiting;
	queue->last = &waiting->next;
	queue->counts.queued += samples;
	if (was_empty && queue->wake)
		queue->wake(queue->arg); /* under the lock, so that it is over when close() returns */
}

void outqueue_push(struct outqueue *queue, const struct cw_batch *batch)
{
	const struct cw_batch *chosen = queue->filter_count ? batch_select(batch, passes, queue) : batch_ref(batch);
	uint64_t samples = chosen ? chosen->samples.count : 0;
	struct waiting *waiting = chosen ? calloc(1, sizeof(*waiting)) : NULL;
	pthread_mutex_lock(&queue->lock);
	queue->counts.filtered_out += batch->samples.count - samples;
	queue->counts.accepted += samples;
	if (waiting && !queue->closed) {
		waiting->batch = chosen;
		append(queue, waiting);
		waiting = NULL;
		chosen = NULL;
	} else if (queue->closed) {
		queue->counts.dropped_stop += samples;
	} else {
		queue->counts.dropped_full += samples; /* no memory */
	}
	pthread_mutex_unlock(&queue->lock);
	free(waiting);
	batch_unref(chosen);
}

const struct cw_batch *outqueue_peek(struct outqueue *queue)
{
	pthread_mutex_lock(&queue->lock);
	const struct cw_batch *batch = NULL;
	if (queue->first && !queue->closed) {
		batch = queue->first->batch;
		queue->in_flight = true;
	}
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

/* Must hold the lock. */
static uint64_t in_flight_drops(const struct outqueue *queue)
{
	uint64_t samples = 0;
	for (int i = 0; i < OUTQUEUE_DROPS; i++)
		samples += queue->in_flight_drops[i];
	return samples;
}

void outqueue_drop(struct outqueue *queue, enum cw_drop reason, uint64_t n)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->in_flight && (unsigned)reason < OUTQUEUE_DROPS) {
		uint64_t left = queue->first->batch->samples.count - in_flight_drops(queue);
		queue->in_flight_drops[reason] += n < left ? n : left;
	}
	pthread_mutex_unlock(&queue->lock);
}

/* Must hold the lock. */
static void count_sent(struct outqueue *queue, uint64_t samples)
{
	queue->counts.sent += samples - in_flight_drops(queue);
	for (int i = 0; i < OUTQUEUE_DROPS; i++)
		queue->counts.dropped_by_output[i] += queue->in_flight_drops[i];
}

void outqueue_settle(struct outqueue *queue, bool sent)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->in_flight && queue->closed) {
		queue->counts.queued += queue->first->batch->samples.count; /* counted as dropped by close() */
		take_out(queue, &queue->first);
	} else if (queue->in_flight && sent) {
		count_sent(queue, take_out(queue, &queue->first));
	}
	queue->in_flight = false;
	memset(queue->in_flight_drops, 0, sizeof(queue->in_flight_drops));
	pthread_mutex_unlock(&queue->lock);
}

uint64_t outqueue_dropped(const struct outqueue_counts *counts)
{
	uint64_t samples = counts->dropped_full + counts->dropped_stop;
	for (int i = 0; i < OUTQUEUE_DROPS; i++)
		samples += counts->dropped_by_output[i];
	return samples;
}

void outqueue_close(struct outqueue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	struct waiting **oldest = queue->in_flight ? &queue->first->next : &queue->first;
	while (*oldest)
		queue->counts.dropped_stop += take_out(queue, oldest);
	queue->counts.dropped_stop += queue->counts.queued; /* in flight: its outcome will not be known */
	queue->counts.queued = 0;
	pthread_mutex_unlock(&queue->lock);
}

void outqueue_counts(struct outqueue *queue, struct outqueue_counts *ret_counts)
{
	pthread_mutex_lock(&queue->lock);
	*ret_counts = queue->counts;
	pthread_mutex_unlock(&queue->lock);
}
