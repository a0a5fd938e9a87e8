/* SPDX-License-Identifier: MIT
 *
 * The writing side of an instance: batches from its queue to the plugin's write(), one at a time.
 *
 * The router wakes us by a mail when the queue was empty. What was not sent stays the oldest in the queue and is
 * offered again after a pause (backoff.h), or as soon as the plugin says that it is up again; the queue bounds what
 * waits and counts what it drops. When the instance stops, what is queued is offered without pauses, until it is gone,
 * fails, or time is up. With a spool (spooling.c) what is not taken goes to the disk meanwhile, and comes from there.
 */
#include "clock.h"
#include "instance_private.h"

#include <string.h>

enum { BATCHES_AT_ONCE = 64 }; /* then other events of the loop get their turn */

static void on_pause_over(uv_timer_t *timer)
{
	struct instance *self = timer->data;
	self->writing.pausing = false;
	writing_pump(self);
}

static void derive_state(struct instance *self, int status, int64_t next_try)
{
	char reason[INSTANCE_REASON_MAX] = "";
	if (self->said_state)
		return;
	if (status < 0)
		snprintf(reason, sizeof reason, "write failed: %s; its lines in the log may say more",
			 strerror(-status));
	instance_set_state(self, status < 0 ? CW_DOWN : CW_UP, next_try, reason);
}

/* The flight is over. */
static void land(struct instance *self, bool sent)
{
	struct writing *writing = &self->writing;
	writing->in_flight = false;
	batch_unref(writing->batch);
	writing->batch = NULL;
	if (atomic_load(&self->abandoned))
		return;
	if (self->spooling.flies)
		spooling_settle(self, sent);
	else
		outqueue_settle(self->queue, sent);
}

static void settle(struct instance *self, int status)
{
	struct writing *writing = &self->writing;
	land(self, status == 0);
	if (atomic_load(&self->abandoned))
		return;
	if (status == 0) {
		backoff_reset(&writing->backoff);
		atomic_store_explicit(&self->stats->last_ok, clock_wall(), memory_order_relaxed);
		derive_state(self, 0, /* next_try */ 0);
		return;
	}
	atomic_fetch_add_explicit(&self->stats->errors, 1, memory_order_relaxed);
	int64_t next_try = clock_now() + backoff_next(&writing->backoff);
	derive_state(self, status, next_try);
	writing->pausing = true;
	writing->given_up = self->stopping;
	if (!self->stopping)
		instance_arm(&self->pause, on_pause_over, next_try);
}

static void offer(struct instance *self, const struct cw_batch *batch)
{
	struct writing *writing = &self->writing;
	writing->in_flight = writing->in_write = true;
	writing->done_early = false;
	writing->batch = batch_ref(batch);
	writing->offered = clock_now();
	instance_enter(self, "write");
	int status = self->decl->write(self->plugin_state, batch);
	instance_leave(self);
	writing->in_write = false;
	if (status != CW_LATER)
		settle(self, status);
	else if (writing->done_early)
		settle(self, writing->early_status);
}

/* When the instance stops, what is on disk stays there: only what the disk has not taken is still to be saved. */
static const struct cw_batch *next_batch(struct instance *self)
{
	if (atomic_load(&self->abandoned))
		return NULL;
	if (spooling_holds(self) && !self->stopping)
		return spooling_peek(self);
	return outqueue_peek(self->queue);
}

static void offer_some(struct instance *self)
{
	struct writing *writing = &self->writing;
	for (int i = 0; i < BATCHES_AT_ONCE && !writing->in_flight && !writing->pausing; i++) {
		const struct cw_batch *batch = next_batch(self);
		if (!batch)
			return;
		offer(self, batch);
	}
	if (!writing->in_flight && !writing->pausing)
		waker_wake(self->queue_waker);
}

void writing_pump(struct instance *self)
{
	if (!self->queue || atomic_load(&self->abandoned))
		return;
	spooling_pump(self);
	if (!self->started)
		return;
	offer_some(self);
	if (self->writing.pausing)
		spooling_pump(self); /* now, not when something else comes */
}

/* From the plugin's own words, so from within one of its callbacks: the next write() comes by way of the mailbox. */
void writing_resume(struct instance *self)
{
	struct writing *writing = &self->writing;
	if (!writing->pausing || self->stopping)
		return;
	uv_timer_stop(&self->pause);
	writing->pausing = false;
	waker_wake(self->queue_waker);
}

void writing_woken(struct instance *self, void *arg)
{
	(void)arg;
	writing_pump(self);
}

void writing_done(struct instance *self, int status)
{
	struct writing *writing = &self->writing;
	if (writing->in_write) {
		writing->done_early = true;
		writing->early_status = status;
	} else if (writing->in_flight) {
		settle(self, status);
		writing_pump(self);
	}
}

void writing_dropped(struct instance *self, enum cw_drop reason, uint64_t n)
{
	if (self->writing.in_flight && !atomic_load(&self->abandoned))
		outqueue_drop(self->queue, reason, n);
}

bool writing_busy(const struct instance *self)
{
	struct outqueue_counts counts;
	if (!self->queue || !self->started || self->writing.given_up)
		return false;
	if (self->writing.in_flight)
		return true;
	outqueue_counts(self->queue, &counts);
	return counts.queued > 0;
}

void writing_stop(struct instance *self)
{
	uv_timer_stop(&self->pause);
	self->writing.pausing = false;
	writing_pump(self);
}

void writing_beat(struct instance *self)
{
	if (!self->queue)
		return;
	writing_pump(self);
	spooling_beat(self);
	dropping_beat(self);
}

void writing_end(struct instance *self)
{
	if (self->writing.in_flight)
		land(self, /* sent */ false);
}

void writing_flush(struct instance *self)
{
	if (!self->started || !self->decl->flush)
		return;
	instance_enter(self, "flush");
	self->decl->flush(self->plugin_state);
	instance_leave(self);
}
