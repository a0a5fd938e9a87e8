/* SPDX-License-Identifier: MIT
 *
 * See outqueue.h. A linked list of batches under one mutex, held for a few pointers only. The first `held` batches of
 * the list are being read by the output's thread (the one in flight, or those on their way to the spool) and are never
 * dropped for want of room.
 *
 * The filter works before the lock is taken; what it leaves of a batch shares the batch's strings (batch_select).
 *
 * The lock of a queue is taken before that of its heir.
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
	uint32_t held;
	bool closed;
	struct outqueue *heir; /* a reference; NULL: none */
	struct {
		bool flies, spooled; /* spooled: it is no batch of the list, but one of the spool */
		uint64_t samples;
		uint64_t drops[OUTQUEUE_DROPS]; /* by the output's own word */
	} flight;
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
	outqueue_unref(queue->heir);
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

/* Must hold the lock. The first batch that nobody reads, or the end. */
static struct waiting **behind_held(struct outqueue *queue)
{
	struct waiting **link = &queue->first;
	for (uint32_t i = 0; i < queue->held && *link; i++)
		link = &(*link)->next;
	return link;
}

/* Must hold the lock. The oldest go, but not what is held. */
static void make_room(struct outqueue *queue, uint64_t samples)
{
	struct waiting **oldest = behind_held(queue);
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

/* NULL: pushed; else the heir to push to, with a reference. */
static struct outqueue *push(struct outqueue *queue, const struct cw_batch *batch)
{
	const struct cw_batch *chosen = queue->filter_count ? batch_select(batch, passes, queue) : batch_ref(batch);
	uint64_t samples = chosen ? chosen->samples.count : 0;
	struct waiting *waiting = chosen ? calloc(1, sizeof(*waiting)) : NULL;
	pthread_mutex_lock(&queue->lock);
	struct outqueue *heir = queue->heir ? outqueue_ref(queue->heir) : NULL;
	if (!heir) {
		queue->counts.filtered_out += batch->samples.count - samples;
		queue->counts.accepted += samples;
	}
	if (!heir && waiting && !queue->closed) {
		waiting->batch = chosen;
		append(queue, waiting);
		waiting = NULL;
		chosen = NULL;
	} else if (!heir && queue->closed) {
		queue->counts.dropped_stop += samples;
	} else if (!heir) {
		queue->counts.dropped_full += samples; /* no memory */
	}
	pthread_mutex_unlock(&queue->lock);
	free(waiting);
	batch_unref(chosen);
	return heir;
}

void outqueue_push(struct outqueue *queue, const struct cw_batch *batch)
{
	struct outqueue *heir = push(queue, batch);
	while (heir) {
		struct outqueue *next = push(heir, batch);
		outqueue_unref(heir);
		heir = next;
	}
}

/* The queue itself, or the last of its heirs. With a reference. */
static struct outqueue *living(struct outqueue *queue)
{
	outqueue_ref(queue);
	for (;;) {
		pthread_mutex_lock(&queue->lock);
		struct outqueue *heir = queue->heir ? outqueue_ref(queue->heir) : NULL;
		pthread_mutex_unlock(&queue->lock);
		if (!heir)
			return queue;
		outqueue_unref(queue);
		queue = heir;
	}
}

void outqueue_counts(struct outqueue *queue, struct outqueue_counts *ret_counts)
{
	struct outqueue *target = living(queue);
	pthread_mutex_lock(&target->lock);
	*ret_counts = target->counts;
	pthread_mutex_unlock(&target->lock);
	outqueue_unref(target);
}

uint64_t outqueue_dropped(const struct outqueue_counts *counts)
{
	uint64_t samples = counts->dropped_full + counts->dropped_stop + counts->spool.dropped_full +
			   counts->spool.dropped_corrupt;
	for (int i = 0; i < OUTQUEUE_DROPS; i++)
		samples += counts->dropped_by_output[i];
	return samples;
}

/* ---- the output's thread ---- */

/* Must hold the lock. */
static void take_off(struct outqueue *queue, uint64_t samples, bool spooled)
{
	memset(&queue->flight, 0, sizeof(queue->flight));
	queue->flight.flies = true;
	queue->flight.spooled = spooled;
	queue->flight.samples = samples;
}

/* Must hold the lock. */
static void land(struct outqueue *queue, bool sent)
{
	if (sent) {
		queue->counts.sent += queue->flight.samples;
		for (int i = 0; i < OUTQUEUE_DROPS; i++) {
			queue->counts.sent -= queue->flight.drops[i];
			queue->counts.dropped_by_output[i] += queue->flight.drops[i];
		}
	}
	memset(&queue->flight, 0, sizeof(queue->flight));
}

const struct cw_batch *outqueue_peek(struct outqueue *queue)
{
	pthread_mutex_lock(&queue->lock);
	const struct cw_batch *batch = NULL;
	if (queue->first && !queue->closed) {
		batch = queue->first->batch;
		queue->held = 1;
		take_off(queue, batch->samples.count, /* spooled */ false);
	}
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

void outqueue_drop(struct outqueue *queue, enum cw_drop reason, uint64_t n)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->flight.flies && (unsigned)reason < OUTQUEUE_DROPS) {
		uint64_t left = queue->flight.samples;
		for (int i = 0; i < OUTQUEUE_DROPS; i++)
			left -= queue->flight.drops[i];
		queue->flight.drops[reason] += n < left ? n : left;
	}
	pthread_mutex_unlock(&queue->lock);
}

void outqueue_settle(struct outqueue *queue, bool sent)
{
	pthread_mutex_lock(&queue->lock);
	bool leaves = queue->flight.flies && (sent || queue->closed);
	if (leaves && queue->closed)
		queue->counts.queued += queue->flight.samples; /* counted as dropped by close() */
	if (leaves)
		take_out(queue, &queue->first);
	queue->held = 0;
	land(queue, sent && !queue->closed);
	pthread_mutex_unlock(&queue->lock);
}

uint32_t outqueue_hold(struct outqueue *queue, const struct cw_batch **batches, uint32_t limit)
{
	pthread_mutex_lock(&queue->lock);
	uint32_t n = 0;
	for (struct waiting *waiting = queue->first; waiting && n < limit && !queue->closed; waiting = waiting->next)
		batches[n++] = waiting->batch;
	queue->held = n;
	pthread_mutex_unlock(&queue->lock);
	return n;
}

/* Must hold the lock. From a thread that was left behind they are not taken: its books have been closed. What it still
 * put on disk will be found there. */
static void take_books(struct outqueue *queue, const struct spool_counts *now)
{
	if (!queue->closed)
		queue->counts.spool = *now;
}

void outqueue_spooled(struct outqueue *queue, uint32_t taken, const struct spool_counts *now)
{
	pthread_mutex_lock(&queue->lock);
	for (uint32_t i = 0; i < taken && i < queue->held && queue->first && !queue->closed; i++)
		take_out(queue, &queue->first);
	if (queue->flight.flies && taken > 0)
		queue->flight.spooled = true;
	queue->held = queue->flight.flies && !queue->flight.spooled ? 1 : 0;
	take_books(queue, now);
	pthread_mutex_unlock(&queue->lock);
}

void outqueue_spool_flies(struct outqueue *queue, uint64_t samples)
{
	pthread_mutex_lock(&queue->lock);
	take_off(queue, samples, /* spooled */ true);
	pthread_mutex_unlock(&queue->lock);
}

void outqueue_spool_settled(struct outqueue *queue, bool sent, const struct spool_counts *now)
{
	pthread_mutex_lock(&queue->lock);
	take_books(queue, now);
	land(queue, sent && !queue->closed);
	pthread_mutex_unlock(&queue->lock);
}

/* ---- the end ---- */

/* Must hold the lock. What flies is counted as dropped, but stays in the list, where it is being read. */
static void drop_held(struct outqueue *queue)
{
	struct waiting *waiting = queue->first;
	for (uint32_t i = 0; i < queue->held && waiting; i++, waiting = waiting->next) {
		queue->counts.queued -= waiting->batch->samples.count;
		queue->counts.dropped_stop += waiting->batch->samples.count;
	}
}

void outqueue_close(struct outqueue *queue)
{
	pthread_mutex_lock(&queue->lock);
	if (!queue->closed) {
		queue->closed = true;
		struct waiting **oldest = behind_held(queue);
		while (*oldest)
			queue->counts.dropped_stop += take_out(queue, oldest);
		drop_held(queue); /* its outcome will not be known */
	}
	pthread_mutex_unlock(&queue->lock);
}

void outqueue_orphan(struct outqueue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->wake = NULL;
	pthread_mutex_unlock(&queue->lock);
}

/* Must hold both locks. In a closed queue is only what its thread still reads and close() has counted, whatever of it
 * is held by now: nothing to hand over but the books. */
static void hand_over(struct outqueue *heir, struct outqueue *queue)
{
	if (!queue->closed) {
		struct waiting **rest = behind_held(queue);
		drop_held(queue);
		heir->first = *rest;
		if (heir->first)
			heir->last = queue->last;
		*rest = NULL;
		queue->last = rest;
	}
	heir->counts = queue->counts;
	queue->counts = (struct outqueue_counts){0};
	queue->closed = true;
	queue->heir = outqueue_ref(heir);
	make_room(heir, 0);
}

void outqueue_inherit(struct outqueue *heir, struct outqueue *queue)
{
	struct outqueue *from = living(queue);
	pthread_mutex_lock(&from->lock);
	pthread_mutex_lock(&heir->lock);
	hand_over(heir, from);
	pthread_mutex_unlock(&heir->lock);
	pthread_mutex_unlock(&from->lock);
	outqueue_unref(from);
}
