/* SPDX-License-Identifier: MIT
 *
 * The reading side of an instance: ticks, the reading under way, its samples (those of run time: sampling.c).
 *
 * The first reading comes at once, so that a slow interval does not mean a long wait; then ticks as schedule.h says. A
 * reading that is answered later (CW_LATER) may outlast its timeout: it is counted as an error and logged once, and
 * goes on, because only the plugin knows how to end it; ticks that come meanwhile are overruns.
 *
 * A plugin that fails to read in its first seconds and has said nothing yet is still `starting`: it may just not be
 * connected, and it knows better than an error code how it is. If it goes on saying nothing, it is `down`.
 *
 * gauge() and the like are taken only while a reading is under way: what comes at another time has no time of its own
 * and is counted as invalid.
 */
#include "clock.h"
#include "instance_private.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

static const int64_t patience_ns = 5 * CW_SECOND;

static void on_tick(uv_timer_t *timer);

static void arm_tick(struct instance *self)
{
	instance_arm(&self->tick, on_tick, self->schedule.due);
}

/* Nobody is to wonder what it starts at for so long. */
static void say_still_starting(struct instance *self)
{
	char reason[INSTANCE_REASON_MAX];
	if (self->said_state || instance_state(self) != CW_STARTING)
		return;
	snprintf(reason, sizeof reason,
		 "the first reading takes longer than its timeout of %lld ms: wait, or raise `timeout`",
		 (long long)(self->info.timeout / CW_MILLISECOND));
	instance_set_state(self, CW_STARTING, /* next_try */ 0, reason);
}

static void on_late(uv_timer_t *timer)
{
	struct instance *self = timer->data;
	struct reading *reading = &self->reading;
	reading->late = true;
	atomic_fetch_add_explicit(&self->stats->errors, 1, memory_order_relaxed);
	if (!reading->late_said)
		log_line(self->name, CW_WARNING,
			 "a reading has taken longer than its timeout of %lld ms; waiting for it",
			 (long long)(self->info.timeout / CW_MILLISECOND));
	reading->late_said = true;
	say_still_starting(self);
}

/* What the core says for a plugin that never says its state itself. */
static void derive_state(struct instance *self, int status)
{
	char reason[INSTANCE_REASON_MAX] = "";
	if (self->said_state)
		return;
	if (status < 0 && !self->info.once && instance_state(self) == CW_STARTING &&
	    clock_now() < self->reading.patience)
		return;
	if (status < 0)
		snprintf(reason, sizeof reason, "read failed: %s; its lines in the log may say more",
			 strerror(-status));
	instance_set_state(self, status < 0 ? CW_DOWN : CW_UP, /* next_try */ status < 0 ? self->schedule.due : 0,
			   reason);
}

static void count_reading(struct instance *self, int status)
{
	struct instance_stats *stats = self->stats;
	atomic_fetch_add_explicit(&stats->reads, 1, memory_order_relaxed);
	atomic_store_explicit(&stats->read_ns, clock_now() - self->reading.started, memory_order_relaxed);
	if (status < 0)
		atomic_fetch_add_explicit(&stats->errors, 1, memory_order_relaxed);
	else
		atomic_store_explicit(&stats->last_ok, clock_wall(), memory_order_relaxed);
}

static void finish(struct instance *self, int status)
{
	struct reading *reading = &self->reading;
	reading->under_way = false;
	uv_timer_stop(&self->deadline);
	if (!reading->late && status >= 0)
		reading->late_said = false;
	const struct cw_batch *batch = batch_take(reading->builder);
	if (atomic_load(&self->abandoned)) {
		batch_unref(batch);
		return;
	}
	count_reading(self, status);
	reading->last_status = status;
	derive_state(self, status);
	if (batch)
		hub_post_batch(self->context.hub, batch);
	atomic_store(&self->first_done, true);
}

static void begin(struct instance *self, int64_t time)
{
	struct reading *reading = &self->reading;
	reading->under_way = reading->in_read = true;
	reading->done_early = reading->late = false;
	reading->time = time;
	reading->started = clock_now();
	instance_arm(&self->deadline, on_late, reading->started + self->info.timeout);

	instance_enter(self, "read");
	int status = self->decl->read(self->plugin_state);
	instance_leave(self);

	reading->in_read = false;
	if (status != CW_LATER)
		finish(self, status);
	else if (reading->done_early)
		finish(self, reading->early_status);
}

static void tick(struct instance *self)
{
	uint64_t missed;
	int64_t time = schedule_tick(&self->schedule, clock_now(), clock_wall(), &missed);
	bool overrun = self->reading.under_way;
	if (missed + overrun)
		atomic_fetch_add_explicit(&self->stats->overruns, missed + overrun, memory_order_relaxed);
	if (!overrun)
		begin(self, time);
	if (!self->stopping)
		arm_tick(self);
}

static void on_tick(uv_timer_t *timer)
{
	tick(timer->data);
}

int reading_start(struct instance *self)
{
	if (!self->decl->read || !role_is_source(self->decl->role)) {
		if (!self->said_state)
			instance_set_state(self, CW_UP, /* next_try */ 0, "");
		atomic_store(&self->first_done, true);
		return 0;
	}
	if (!self->reading.builder)
		self->reading.builder = sampling_builder(self);
	if (!self->reading.builder)
		return -ENOMEM;
	int64_t jitter = cw_get_integer(self->what->common, "jitter", 0), phase = 0;
	for (const char *c = self->name; jitter > 0 && *c; c++) /* the same at each start */
		phase = (phase * 31 + *c * (CW_MILLISECOND * 97)) % jitter;
	self->reading.patience = clock_now() + patience_ns;
	schedule_init(&self->schedule, self->info.interval, phase, clock_now(), clock_wall());
	begin(self, clock_wall());
	if (!self->info.once && !self->stopping)
		arm_tick(self);
	return 0;
}

void reading_stop(struct instance *self)
{
	uv_timer_stop(&self->tick);
	uv_timer_stop(&self->deadline);
	self->reading.under_way = false;
	if (self->reading.builder)
		batch_unref(batch_take(self->reading.builder));
}

/* After a suspend the tick's timer comes too late, and after a silent failed reading no other may come for long. */
void reading_beat(struct instance *self)
{
	if (self->reading.last_status < 0 && instance_state(self) == CW_STARTING)
		derive_state(self, self->reading.last_status);
	if (uv_is_active((uv_handle_t *)&self->tick) && clock_now() > self->schedule.due + CW_SECOND) {
		uv_timer_stop(&self->tick);
		tick(self);
	}
}

void reading_done(struct instance *self, int status)
{
	struct reading *reading = &self->reading;
	if (!self->started && !reading->in_read) {
		return; /* it is stopping, and ends what was under way */
	} else if (!reading->under_way) {
		log_line(self->name, CW_WARNING, "read_done() without a reading under way (a fault of the plugin)");
	} else if (reading->in_read) {
		reading->done_early = true;
		reading->early_status = status;
	} else {
		finish(self, status);
	}
}

void reading_add(struct instance *self, uint32_t metric, struct cw_sample *sample)
{
	struct reading *reading = &self->reading;
	sample->time = reading->time;
	sampling_add(self, reading->under_way ? reading->builder : NULL, metric, sample);
}
