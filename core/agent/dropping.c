/* SPDX-License-Identifier: MIT
 *
 * See dropping.h. The counters are looked at each second; when nothing more was dropped for half a minute it is over.
 */
#include "dropping.h"

#include "clock.h"
#include "instance_private.h"
#include "log.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static const int64_t over_ns = 30 * CW_SECOND;

/* 10:02:03Z */
struct moment {
	char text[TEXT_TIME_SIZE];
};

static struct moment moment_of(int64_t wall)
{
	enum { DATE = 11, TIME = 8 }; /* 2026-11-22T, 10:02:03 */
	struct moment moment;
	char whole[TEXT_TIME_SIZE];
	text_time(whole, wall);
	snprintf(moment.text, sizeof moment.text, "%.*sZ", TIME, strlen(whole) > DATE ? whole + DATE : whole);
	return moment;
}

static const char *what_is_full(const struct dropping *dropping)
{
	return dropping->by_spool ? "the spool is full" : "the queue is full";
}

static void say_over(struct instance *self)
{
	struct dropping *dropping = &self->dropping;
	char text[INSTANCE_REASON_MAX];
	snprintf(text, sizeof text, "%llu samples, the oldest, were dropped between %s and %s: %s",
		 (unsigned long long)(dropping->seen - dropping->before), moment_of(dropping->since).text,
		 moment_of(clock_wall() - (clock_now() - dropping->last)).text, what_is_full(dropping));
	log_line(self->name, CW_WARNING, "%s", text);
	hub_event(self->context.hub, "note", self->name, /* from */ NULL, /* to */ NULL, /* by */ NULL, text);
	dropping->since = 0;
}

static void look(struct instance *self)
{
	struct dropping *dropping = &self->dropping;
	struct outqueue_counts counts;
	outqueue_counts(self->queue, &counts);
	uint64_t dropped = counts.dropped_full + counts.spool.dropped_full;
	if (dropped > dropping->seen) {
		if (!dropping->since) {
			dropping->since = clock_wall();
			dropping->before = dropping->seen;
			dropping->by_spool = counts.spool.limit && self->spooling.writing.code == 0;
		}
		dropping->last = clock_now();
	}
	dropping->seen = dropped;
	if (dropping->since && clock_now() - dropping->last > over_ns)
		say_over(self);
}

/* Words that do not change each second, or each change would be an event. */
static void show(struct instance *self)
{
	const struct dropping *dropping = &self->dropping;
	char note[INSTANCE_NOTE_MAX], full[INSTANCE_NOTE_MAX / 2] = "";
	spooling_words(self, note, sizeof note);
	if (dropping->since)
		snprintf(full, sizeof full, "%s%s, the oldest samples are dropped since %s", *note ? "; " : "",
			 what_is_full(dropping), moment_of(dropping->since).text);
	size_t length = strlen(note);
	snprintf(note + length, sizeof note - length, "%s", full);
	instance_set_note(self, note);
}

void dropping_start(struct instance *self)
{
	struct outqueue_counts counts = {0};
	if (self->queue)
		outqueue_counts(self->queue, &counts);
	self->dropping.seen = counts.dropped_full + counts.spool.dropped_full; /* by an earlier life */
}

void dropping_beat(struct instance *self)
{
	if (atomic_load(&self->abandoned))
		return;
	look(self);
	show(self);
}

void dropping_stop(struct instance *self)
{
	if (!self->queue || atomic_load(&self->abandoned))
		return;
	look(self);
	if (self->dropping.since)
		say_over(self);
}
