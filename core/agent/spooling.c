/* SPDX-License-Identifier: MIT
 *
 * See spooling.h. All is called from the instance's thread, whose business it is to wait for a disk; that of an
 * abandoned instance touches nothing any more (and would not get past the lock on its successor's folder).
 */
#include "spooling.h"

#include "clock.h"
#include "instance_private.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 64, ROUNDS = 64 }; /* batches per append; appends per pump, then others get their turn */

static const int64_t slow_ns = CW_SECOND / 2; /* seen by the beat, so within a second and a half */

static void on_say(void *arg, enum cw_level level, const char *sentence)
{
	const struct instance *self = arg;
	log_line(self->name, level, "%s", sentence);
	if (level >= CW_ERROR)
		hub_event(self->context.hub, "note", self->name, /* from */ NULL, /* to */ NULL, /* by */ NULL,
			  sentence);
}

/* ---- trouble ---- */

static bool may_try(const struct disk_trouble *trouble)
{
	return !trouble->code || clock_now() >= trouble->next_try;
}

static void note_trouble(struct disk_trouble *trouble, int code)
{
	trouble->code = code;
	if (code)
		trouble->next_try = clock_now() + backoff_next(&trouble->backoff);
	else
		backoff_reset(&trouble->backoff);
}

void spooling_words(const struct instance *self, char *text, size_t size)
{
	const struct spooling *spooling = &self->spooling;
	*text = '\0';
	if (!spooling->limit_bytes)
		return;
	if (!self->context.state_dir)
		snprintf(text, size, "no spool: set `agent: state_dir:` to a folder that can be written");
	else if (spooling->writing.code == -EBUSY)
		snprintf(text, size,
			 "no spool: an earlier life of this output hangs and holds its folder, restart callwatchd");
	else if (spooling->writing.code)
		snprintf(text, size, "the spool cannot be %s: %s", spooling->spool ? "written" : "opened",
			 strerror(-spooling->writing.code));
	else if (spooling->reading.code)
		snprintf(text, size, "the spool cannot be read: %s", strerror(-spooling->reading.code));
}

/* ---- open ---- */

static struct spool_counts books(struct instance *self)
{
	struct outqueue_counts counts;
	outqueue_counts(self->queue, &counts);
	counts.spool.limit = self->spooling.limit_bytes;
	return counts.spool;
}

static bool is_open(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	if (spooling->spool || !spooling->limit_bytes || !self->context.state_dir)
		return spooling->spool;
	if (!may_try(&spooling->writing) && !spooling->ending)
		return false;
	struct spool_options options = {.state_dir = self->context.state_dir,
					.name = self->name,
					.limit_bytes = spooling->limit_bytes,
					.before = books(self),
					.say = on_say,
					.arg = self};
	instance_enter(self, "spool"); /* a disk that hangs is known by its name */
	int status = spool_open(&options, &spooling->spool);
	instance_leave(self);
	note_trouble(&spooling->writing, status);
	if (status < 0)
		return false;
	const struct spool_counts *counts = spool_counts(spooling->spool);
	outqueue_spooled(self->queue, /* taken */ 0, counts);
	if (counts->held)
		log_line(self->name, CW_INFO, "spool: %llu samples wait on disk and are sent first",
			 (unsigned long long)counts->held);
	return true;
}

void spooling_start(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	if (!self->queue || self->info.once)
		return;
	spooling->limit_bytes = (uint64_t)cw_get_integer(self->what->common, "spool", 0);
	struct spool_counts counts = books(self);
	if (counts.held && !spooling->limit_bytes)
		log_line(self->name, CW_WARNING,
			 "spool: %llu samples are left in it, until this output has a `spool` again",
			 (unsigned long long)counts.held);
	outqueue_spooled(self->queue, /* taken */ 0, &counts);
	is_open(self);
}

/* ---- to the disk ---- */

static bool flies_from_memory(const struct instance *self)
{
	return self->writing.in_flight && !self->spooling.flies;
}

bool spooling_holds(const struct instance *self)
{
	return self->spooling.spool && !spool_is_empty(self->spooling.spool);
}

static bool belongs_there(const struct instance *self)
{
	return !self->started || self->writing.pausing || spooling_holds(self) ||
	       (self->writing.in_flight && clock_now() - self->writing.offered >= slow_ns);
}

/* The batch in flight is in the spool now. If it is the oldest there, it flies on as such; if not (or the spool does
 * not give it back), what becomes of this flight does not count, and it will be offered again. */
static void fly_on(struct instance *self, bool alone)
{
	const struct cw_batch *batch;
	if (alone)
		spool_peek(self->spooling.spool, &batch);
	self->spooling.flies = true;
}

/* As many as one append takes. False: no more, for now or at all. It has to see the queue empty: what came while others
 * were on their way to the disk has woken nobody. */
static bool move_some(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	const struct cw_batch *batches[AT_ONCE];
	bool flies = flies_from_memory(self), alone = spool_is_empty(spooling->spool);
	uint32_t limit = flies ? 1 : AT_ONCE, taken = 0;
	uint32_t n = outqueue_hold(self->queue, batches, limit);
	if (!n)
		return false;
	instance_enter(self, "spool");
	int status = spool_append(spooling->spool, batches, n, &taken);
	instance_leave(self);
	outqueue_spooled(self->queue, taken, spool_counts(spooling->spool));
	if (flies && taken)
		fly_on(self, alone);
	if (status < 0 || spooling->writing.code)
		note_trouble(&spooling->writing, status);
	return status == 0;
}

void spooling_pump(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	if (atomic_load(&self->abandoned) || !is_open(self))
		return;
	if (!may_try(&spooling->writing) && !spooling->ending)
		return;
	if (!belongs_there(self)) {
		note_trouble(&spooling->writing, 0); /* nobody asks the disk, so nothing is known against it */
		return;
	}
	bool more = true;
	for (int i = 0; (i < ROUNDS || spooling->ending) && more; i++)
		more = move_some(self);
	if (more)
		waker_wake(self->queue_waker);
}

/* ---- and back ---- */

const struct cw_batch *spooling_peek(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	const struct cw_batch *batch = NULL;
	if (!may_try(&spooling->reading))
		return NULL;
	int status = spool_peek(spooling->spool, &batch);
	if (status == -EAGAIN) {
		outqueue_spooled(self->queue, /* taken */ 0, spool_counts(spooling->spool));
		waker_wake(self->queue_waker);
	} else if (status < 0 || spooling->reading.code) {
		note_trouble(&spooling->reading, status);
	}
	if (batch)
		outqueue_spool_flies(self->queue, batch->samples.count);
	spooling->flies = batch != NULL;
	return batch;
}

void spooling_settle(struct instance *self, bool sent)
{
	struct spooling *spooling = &self->spooling;
	spooling->flies = false;
	bool left = spool_settle(spooling->spool, sent) && sent;
	outqueue_spool_settled(self->queue, left, spool_counts(spooling->spool));
}

void spooling_beat(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	if (!spooling->spool || atomic_load(&self->abandoned))
		return;
	spool_look(spooling->spool);
	outqueue_spooled(self->queue, /* taken */ 0, spool_counts(spooling->spool));
}

void spooling_stop(struct instance *self)
{
	struct spooling *spooling = &self->spooling;
	spooling->ending = true;
	if (self->queue)
		spooling_pump(self);
	if (spooling_holds(self) && !atomic_load(&self->abandoned))
		log_line(self->name, CW_INFO, "spool: %llu samples stay on disk",
			 (unsigned long long)spool_counts(spooling->spool)->held);
	spool_close(spooling->spool);
	spooling->spool = NULL;
}
