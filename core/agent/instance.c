/* SPDX-License-Identifier: MIT
 *
 * See instance.h. An instance's thread is one plain sequence, told by live(): begin (start), run the loop until asked
 * to stop, end (stop, run the loop until the plugin's handles are gone, release), wait and begin anew if the start had
 * failed. The loop is run round by round (run_while), so that each phase is a condition and nothing is nested.
 *
 * Three threads meet here: its own; the agent's (start, stop, join, watch); whoever asks for its state. What they share
 * is atomic or under `lock`. An instance that does not end in time is abandoned: it is marked, its mailbox is shut, and
 * from then on host.c lets its calls do nothing. Its memory stays, since its thread may come back to it one day.
 */
#include "acting.h"
#include "agent.h"
#include "clock.h"
#include "descriptors.h"
#include "doctor.h"
#include "instance_private.h"
#include "log.h"
#include "roster.h"
#include "tasks.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAILBOX_LIMIT = 4096, QUEUE_LIMIT = 100000, STACK_BYTES = 1024 * 1024, DESCRIPTORS_KEPT = 12 };

static const int64_t beat_ns = CW_SECOND;             /* also: how soon a pause of the machine is noticed */
static const int64_t stuck_after_ns = 10 * CW_SECOND; /* since when a callback or a loop does not come back */
static const int64_t drain_ns = 2 * CW_SECOND;        /* of the 5 s a stop may take: to send what is queued */
static const int64_t close_ns = CW_SECOND * 3 / 4;    /* and for a plugin to close its handles */

_Thread_local struct instance *instance_speaking;

/* ---- wakers ---- */

static void on_woken(struct mail *mail, void *owner)
{
	struct waker *waker = (struct waker *)mail;
	atomic_store(&waker->posted, false);
	if (!atomic_load(&waker->closed))
		waker->woken(owner, waker->arg);
	waker_unref(waker);
}

static void on_wake_dropped(struct mail *mail)
{
	waker_unref((struct waker *)mail);
}

struct waker *waker_new(struct mailbox *box, void (*woken)(struct instance *self, void *arg), void *arg)
{
	struct waker *waker = calloc(1, sizeof *waker);
	if (!waker)
		return NULL;
	waker->mail = (struct mail){.deliver = on_woken, .drop = on_wake_dropped};
	waker->box = mailbox_ref(box);
	waker->woken = woken;
	waker->arg = arg;
	atomic_init(&waker->references, 1);
	return waker;
}

void waker_unref(struct waker *waker)
{
	if (!waker || atomic_fetch_sub(&waker->references, 1) > 1)
		return;
	mailbox_unref(waker->box);
	free(waker);
}

/* A full mailbox is no loss: who is woken looks each second anyway, an output at its queue (writing_beat()), a frontend
 * at its views (frontend.h). */
void waker_wake(void *arg)
{
	struct waker *waker = arg;
	if (atomic_exchange(&waker->posted, true))
		return;
	atomic_fetch_add(&waker->references, 1);
	if (mailbox_post(waker->box, &waker->mail) < 0) {
		atomic_store(&waker->posted, false);
		waker_unref(waker);
	}
}

/* ---- state ---- */

void instance_enter(struct instance *self, const char *callback)
{
	atomic_store(&self->callback_since, clock_awake());
	atomic_store(&self->callback, callback);
}

void instance_leave(struct instance *self)
{
	atomic_store(&self->callback, NULL);
}

static enum cw_level level_of(enum cw_state state)
{
	return state == CW_UP ? CW_INFO : state == CW_STARTING ? CW_DEBUG : CW_WARNING;
}

/* Must hold the lock. A change is said each time, so that the log's last word is how it is; who changes more often than
 * this is folded like any other repeat. */
static bool is_restless(struct instance *self)
{
	enum { CHANGES_A_MINUTE = 20 };
	int64_t minute = clock_awake() / (60 * CW_SECOND);
	self->changes = minute == self->changes_minute ? self->changes + 1 : 1;
	self->changes_minute = minute;
	return self->changes > CHANGES_A_MINUTE;
}

enum cw_state instance_shown(const struct instance *self, char reason[INSTANCE_REASON_MAX])
{
	if (!*self->note) {
		snprintf(reason, INSTANCE_REASON_MAX, "%s", self->reason);
		return self->state;
	}
	snprintf(reason, INSTANCE_REASON_MAX, "%s%s%s", self->reason, *self->reason ? "; " : "", self->note);
	return self->state == CW_UP ? CW_DEGRADED : self->state;
}

/* Must hold the lock. */
static void tell(struct instance *self, enum cw_state state, const char *reason, int64_t next_try)
{
	char when[64] = "";
	if (next_try)
		snprintf(when, sizeof when, " (next try in %lld s)",
			 (long long)((next_try - clock_wall() + CW_SECOND / 2) / CW_SECOND));
	(is_restless(self) ? log_line : log_change)(self->name, level_of(state), "%s%s%s%s", hub_state_names[state],
						    *reason ? ": " : "", reason, when);
	hub_set_state(self->context.hub, self->name, state, reason, next_try);
}

/* Must hold the lock. */
static void tell_shown(struct instance *self)
{
	char reason[INSTANCE_REASON_MAX];
	enum cw_state state = instance_shown(self, reason);
	tell(self, state, reason, self->next_try);
}

void instance_set_note(struct instance *self, const char *note)
{
	if (atomic_load(&self->abandoned))
		return;
	pthread_mutex_lock(&self->lock);
	if (strcmp(self->note, note) != 0) {
		snprintf(self->note, sizeof self->note, "%s", note);
		if (!self->stuck)
			tell_shown(self);
	}
	pthread_mutex_unlock(&self->lock);
}

void instance_set_state(struct instance *self, enum cw_state state, int64_t next_try, const char *reason)
{
	if (atomic_load(&self->abandoned))
		return;
	int64_t next_try_wall = next_try ? clock_wall() + (next_try - clock_now()) : 0;
	pthread_mutex_lock(&self->lock);
	bool same = self->state == state && strcmp(self->reason, reason) == 0;
	bool moved = next_try_wall > self->next_try + CW_SECOND || next_try_wall + CW_SECOND < self->next_try;
	if (self->state != state)
		self->state_since = clock_wall();
	self->state = state;
	self->next_try = next_try_wall;
	snprintf(self->reason, sizeof self->reason, "%s", reason);
	char shown_reason[INSTANCE_REASON_MAX];
	enum cw_state shown = instance_shown(self, shown_reason);
	if (!same && !self->stuck)
		tell(self, shown, shown_reason, next_try_wall);
	else if (moved && !self->stuck)
		hub_set_state(self->context.hub, self->name, shown, shown_reason, next_try_wall);
	pthread_mutex_unlock(&self->lock);
}

static void set_stuck(struct instance *self, bool stuck, const char *reason)
{
	pthread_mutex_lock(&self->lock);
	if (stuck != self->stuck) {
		self->stuck = stuck;
		if (stuck && !self->info.once)
			atomic_store(&self->first_done, true); /* it failed: nobody need wait for it to be ready */
		if (stuck)
			tell(self, CW_STUCK, reason, /* next_try */ 0);
		else
			tell_shown(self);
	}
	pthread_mutex_unlock(&self->lock);
}

bool instance_is_silent(struct instance *self, char why[INSTANCE_REASON_MAX])
{
	const char *callback = atomic_load(&self->callback);
	int64_t since = callback ? atomic_load(&self->callback_since) : atomic_load(&self->stats->heartbeat);
	int64_t silent = clock_awake() - since;
	static const char advice[] = "the plugin hangs; a reload cannot end it, restart callwatchd to be rid of it";
	if (callback)
		snprintf(why, INSTANCE_REASON_MAX, "in %s() for %lld s: %s", callback, (long long)(silent / CW_SECOND),
			 advice);
	else
		snprintf(why, INSTANCE_REASON_MAX, "its loop has not come round for %lld s: %s",
			 (long long)(silent / CW_SECOND), advice);
	return silent > stuck_after_ns && (callback || atomic_load(&self->in_loop));
}

void instance_watch(struct instance *self)
{
	char reason[INSTANCE_REASON_MAX];
	bool stuck = instance_is_silent(self, reason);
	set_stuck(self, stuck, reason);
}

enum cw_state instance_state(const struct instance *instance)
{
	struct instance *self = (struct instance *)instance;
	pthread_mutex_lock(&self->lock);
	enum cw_state state = self->stuck ? CW_STUCK : self->state;
	pthread_mutex_unlock(&self->lock);
	return state;
}

/* All that is known of it, in one line that is never folded. */
void instance_log_state(struct instance *self)
{
	char state[WORDS_MAX], work[WORDS_MAX] = "", counts[WORDS_MAX];
	words_of_state(self, state);
	if (self->queue)
		words_of_queue(self, work);
	else if (self->decl->read && role_is_source(self->decl->role))
		words_of_readings(self, work);
	words_of_counts(self, counts);
	log_change(self->name, CW_INFO, "%s%s%s; %s", state, *work ? "; " : "", work, counts);
}

const char *instance_name(const struct instance *self)
{
	return self->name;
}

struct outqueue *instance_queue(const struct instance *self)
{
	return self->queue;
}

const struct plan *instance_plan(const struct instance *self)
{
	return self->plan;
}

const struct plan_instance *instance_planned(const struct instance *self)
{
	return self->what;
}

bool instance_first_done(const struct instance *self)
{
	return atomic_load(&self->first_done);
}

bool instance_is_up(const struct instance *self)
{
	return instance_state(self) == CW_UP;
}

/* ---- the loop ---- */

void instance_arm(uv_timer_t *timer, uv_timer_cb callback, int64_t due)
{
	int64_t wait = due - clock_now();
	uv_update_time(timer->loop); /* else the loop's idea of now is as old as its last round */
	uv_timer_start(timer, callback, wait > 0 ? (uint64_t)((wait + 999999) / 1000000) : 0, /* repeat */ 0);
}

static void beat(struct instance *self)
{
	atomic_store_explicit(&self->stats->heartbeat, clock_awake(), memory_order_relaxed);
}

static void carry_out_stop(struct instance *self);

/* A full mailbox may have refused the order. */
static bool stop_was_asked(struct instance *self)
{
	pthread_mutex_lock(&self->lock);
	bool asked = self->stop_asked;
	pthread_mutex_unlock(&self->lock);
	return asked;
}

static void on_beat(uv_timer_t *timer)
{
	struct instance *self = timer->data;
	int64_t now = clock_awake(), lag = now - self->beat_due;
	if (lag > atomic_load_explicit(&self->stats->loop_lag, memory_order_relaxed))
		atomic_store_explicit(&self->stats->loop_lag, lag, memory_order_relaxed);
	self->beat_due = now + beat_ns;
	beat(self);
	if (stop_was_asked(self))
		carry_out_stop(self);
	if (self->started && !self->stopping)
		reading_beat(self);
	writing_beat(self);
	notifying_beat(self);
	examine_beat(self);
	doctor_beat(self);
	instance_arm(timer, on_beat, clock_now() + beat_ns);
}

static void count_handle(uv_handle_t *handle, void *arg)
{
	(void)handle;
	(*(unsigned *)arg)++;
}

static unsigned handles(struct instance *self)
{
	unsigned count = 0;
	uv_walk(&self->loop, count_handle, &count);
	return count;
}

static void run_while(struct instance *self, bool (*condition)(struct instance *self))
{
	while (condition(self)) {
		uv_run(&self->loop, UV_RUN_ONCE);
		beat(self);
	}
}

/* The last descriptors are for the files and connections of those that run already. One looks at a time, else all would
 * find the same ones left. */
static int take_descriptors(struct instance *self)
{
	static pthread_mutex_t one_looks = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&one_looks);
	int rc = descriptors_are_left(DESCRIPTORS_KEPT) ? uv_loop_init(&self->loop) : UV_EMFILE;
	if (rc == 0 && (rc = mailbox_attach(self->box, &self->loop, self)) < 0)
		uv_loop_close(&self->loop);
	pthread_mutex_unlock(&one_looks);
	return rc;
}

static int loop_try(struct instance *self)
{
	int rc = take_descriptors(self);
	if (rc < 0)
		return rc;
	uv_timer_t *timers[] = {&self->tick, &self->beat, &self->deadline, &self->pause, &self->sampling.timer};
	for (size_t i = 0; i < sizeof timers / sizeof *timers; i++) {
		uv_timer_init(&self->loop, timers[i]); /* cannot fail */
		timers[i]->data = self;
	}
	self->core_handles = handles(self);
	self->beat_due = clock_awake() + beat_ns;
	beat(self);
	instance_arm(&self->beat, on_beat, clock_now() + beat_ns);
	atomic_store(&self->in_loop, true);
	return 0;
}

/* For a thread that has no loop yet. False: asked to stop. */
static bool wait_without_loop(struct instance *self, int64_t pause)
{
	struct timespec until = clock_deadline(pause);
	pthread_mutex_lock(&self->lock);
	while (!self->stop_asked && pthread_cond_timedwait(&self->changed, &self->lock, &until) == 0)
		;
	bool stop = self->stop_asked;
	pthread_mutex_unlock(&self->lock);
	return !stop;
}

/* Descriptors may run out; that is one instance's trouble, and may pass. */
static bool loop_open(struct instance *self)
{
	for (;;) {
		int rc = loop_try(self);
		if (rc == 0)
			return true;
		char reason[INSTANCE_REASON_MAX];
		struct rlimit limit = {0};
		getrlimit(RLIMIT_NOFILE, &limit);
		if (rc == UV_EMFILE)
			snprintf(reason, sizeof reason, "file descriptor limit %llu reached: raise LimitNOFILE",
				 (unsigned long long)limit.rlim_cur);
		else
			snprintf(reason, sizeof reason,
				 "cannot make an event loop: %s; are memory or file descriptors short?",
				 uv_strerror(rc));
		int64_t pause = backoff_next(&self->start_backoff);
		instance_set_state(self, CW_DOWN, clock_now() + pause, reason);
		atomic_store(&self->first_done, true);
		if (!wait_without_loop(self, pause))
			return false;
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void loop_close(struct instance *self)
{
	atomic_store(&self->in_loop, false);
	if (self->leaky)
		return;
	mailbox_close(self->box);
	uv_timer_t *timers[] = {&self->tick, &self->beat, &self->deadline, &self->pause, &self->sampling.timer};
	for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
		uv_close((uv_handle_t *)timers[i], on_timer_closed);
	uv_run(&self->loop, UV_RUN_DEFAULT);
	uv_loop_close(&self->loop);
}

/* ---- the life ---- */

/* What is asked while it is starting or ending is not answered, and will be asked again. */
static void on_asked(void *owner, const char *const *keys, uint32_t n)
{
	struct instance *self = owner;
	if (!self->started || self->stopping)
		return;
	instance_enter(self, "look_up");
	self->decl->look_up(self->plugin_state, keys, n);
	instance_leave(self);
}

static int begin(struct instance *self)
{
	self->said_state = false;
	self->plugin_state = NULL;
	self->writing = (struct writing){.backoff = self->writing.backoff};
	instance_enter(self, "start");
	int rc = self->decl->start((struct cw_instance *)self, host_for(self->decl->role), self->what->options,
				   &self->plugin_state);
	instance_leave(self);
	if (rc < 0)
		return rc;
	self->started = true;
	atomic_store(&self->acts, true);
	if (self->decl->role == CW_LOOKUP && !atomic_load(&self->abandoned))
		rc = lookups_serve(self->context.lookups, self->name, self->box, on_asked);
	if (rc == 0)
		rc = reading_start(self);
	writing_pump(self);
	return rc;
}

static bool is_running(struct instance *self)
{
	if (self->stopping)
		return self->draining && (writing_busy(self) || notifying_busy(self));
	return !self->notifying.is_lost;
}

static bool is_closing(struct instance *self)
{
	return handles(self) > self->core_handles && !self->woken_by_pause;
}

static void on_pause_over(uv_timer_t *timer)
{
	struct instance *self = timer->data;
	self->woken_by_pause = true;
}

/* What the plugin leaves on the loop after stop() is a fault we cannot mend: its memory must not be freed
 * under libuv. */
static void report_leak(struct instance *self)
{
	log_line(self->name, CW_ERROR,
		 "plugin %s left %u handles open on its loop after stop() (a fault of the plugin)", self->decl->name,
		 handles(self) - self->core_handles);
	self->leaky = true;
}

static void end(struct instance *self)
{
	atomic_store(&self->acts, false);
	reading_stop(self);
	lookups_leave(self->context.lookups, self->box);
	bool started = self->started;
	writing_flush(self);
	self->started = false; /* from here on nothing is offered to it, flushed, read or examined */
	examine_stop(self);
	doctor_stop(self);
	if (started && self->decl->stop) {
		instance_enter(self, "stop");
		self->decl->stop(self->plugin_state);
		instance_leave(self);
	}
	self->woken_by_pause = false;
	instance_arm(&self->pause, on_pause_over, clock_now() + close_ns);
	run_while(self, is_closing);
	uv_timer_stop(&self->pause);
	acting_stop(self);
	notifying_stop(self);
	sampling_stop(self);
	writing_end(self);
	if (handles(self) > self->core_handles) {
		report_leak(self);
		return;
	}
	host_close_views(self);
	lookups_close_ways(self->context.lookups, self->box);
	if (self->plugin_state && self->decl->release) {
		instance_enter(self, "release");
		self->decl->release(self->plugin_state);
		instance_leave(self);
	}
	self->plugin_state = NULL;
	sampling_release(self);
}

static bool is_waiting(struct instance *self)
{
	return !self->stopping && !self->woken_by_pause;
}

static bool is_idle(struct instance *self)
{
	return !self->stopping;
}

/* The plugin's own words if it said any in this start, else the error's. */
static void failed_reason(struct instance *self, int rc, char reason[INSTANCE_REASON_MAX])
{
	pthread_mutex_lock(&self->lock);
	if (self->said_state && *self->reason)
		snprintf(reason, INSTANCE_REASON_MAX, "%s", self->reason);
	else
		snprintf(reason, INSTANCE_REASON_MAX, "start failed: %s; its lines in the log may say more",
			 strerror(-rc));
	pthread_mutex_unlock(&self->lock);
}

/* What `on_start_error` says: wait and try again, stay down, or end the agent. */
static void after_failed_start(struct instance *self, const char *reason)
{
	enum { RETRY, IGNORE, FAIL };
	int64_t policy = cw_get_integer(self->what->common, "on_start_error", RETRY);
	atomic_fetch_add_explicit(&self->stats->errors, 1, memory_order_relaxed);
	if (policy == RETRY && !self->leaky && !self->info.once) {
		int64_t next_try = clock_now() + backoff_next(&self->start_backoff);
		instance_set_state(self, CW_DOWN, next_try, reason);
		atomic_store(&self->first_done, true);
		self->woken_by_pause = false;
		instance_arm(&self->pause, on_pause_over, next_try);
		run_while(self, is_waiting);
		uv_timer_stop(&self->pause);
		return;
	}
	instance_set_state(self, CW_DOWN, /* next_try */ 0, reason);
	atomic_store(&self->first_done, true);
	if (policy == FAIL)
		agent_start_failed(self->context.agent, self->name);
	else
		log_line(self->name, CW_WARNING, "it is not started again (%s)",
			 self->info.once ? "--once" : "on_start_error: ignore");
	run_while(self, is_idle);
}

static void live(struct instance *self)
{
	dropping_start(self);
	spooling_start(self);
	while (!self->stopping) {
		int rc = begin(self);
		if (stop_was_asked(self)) /* meanwhile: then a failed start is nobody's business any more */
			carry_out_stop(self);
		if (rc == 0) {
			backoff_reset(&self->start_backoff);
			run_while(self, is_running);
		}
		char reason[INSTANCE_REASON_MAX] = "";
		if (rc < 0)
			failed_reason(self, rc, reason);
		end(self);
		if (rc < 0 && !self->stopping)
			after_failed_start(self, reason);
	}
	spooling_stop(self);
	dropping_stop(self);
}

static void *instance_main(void *arg)
{
	struct instance *self = arg;
	instance_speaking = self;
	if (loop_open(self)) {
		live(self);
		loop_close(self);
	} else {
		mailbox_abandon(self->box); /* what waits in it holds the box, and would for ever */
	}
	pthread_mutex_lock(&self->lock);
	self->ended = true;
	pthread_cond_broadcast(&self->changed);
	pthread_mutex_unlock(&self->lock);
	return NULL;
}

/* ---- from outside ---- */

struct order {
	struct mail mail; /* first */
	void (*carry_out)(struct instance *self);
};

static void on_order(struct mail *mail, void *owner)
{
	((struct order *)mail)->carry_out(owner);
	free(mail);
}

static void on_order_dropped(struct mail *mail)
{
	free(mail);
}

static void post_order(struct instance *self, void (*carry_out)(struct instance *self))
{
	struct order *order = malloc(sizeof *order);
	if (!order)
		return;
	*order = (struct order){{.deliver = on_order, .drop = on_order_dropped}, carry_out};
	if (mailbox_post(self->box, &order->mail) < 0)
		free(order);
}

static void on_drain_over(uv_timer_t *timer)
{
	struct instance *self = timer->data;
	self->draining = false;
}

static void carry_out_stop(struct instance *self)
{
	if (self->stopping)
		return;
	self->stopping = self->draining = true;
	reading_stop(self);
	instance_arm(&self->deadline, on_drain_over, clock_now() + drain_ns);
	writing_stop(self);
}

void instance_stop(struct instance *self)
{
	pthread_mutex_lock(&self->lock);
	bool first = !self->stop_asked;
	self->stop_asked = true;
	pthread_cond_broadcast(&self->changed);
	pthread_mutex_unlock(&self->lock);
	if (first)
		post_order(self, carry_out_stop);
}

void instance_flush(struct instance *self)
{
	post_order(self, writing_flush);
}

static void instance_free(struct instance *self)
{
	if (!self)
		return;
	batch_builder_free(self->reading.builder);
	outqueue_unref(self->queue);
	waker_unref(self->queue_waker);
	mailbox_unref(self->box);
	instance_stats_unref(self->stats);
	plan_unref(self->plan);
	pthread_cond_destroy(&self->changed);
	pthread_mutex_destroy(&self->lock);
	free(self->state_dir);
	free(self->name);
	free(self);
}

static void make_info(struct instance *self)
{
	const struct cw_value *common = self->what->common;
	bool sends = role_sends(self->decl->role);
	int64_t usual = sends                             ? 10 * CW_SECOND
			: self->decl->role == CW_NOTIFIER ? 60 * CW_SECOND
							  : self->context.interval;
	int64_t interval = cw_get_integer(common, "interval", usual);
	const char *host = cw_get_string(common, "host");
	self->info = (struct cw_info){
		.size = sizeof self->info,
		.name = self->name,
		.host = host ? host : self->context.hostname,
		.state_dir = self->context.once ? NULL : self->state_dir,
		.version = self->context.version,
		.interval = interval,
		.timeout = cw_get_integer(common, "timeout", interval),
		.once = self->context.once,
		.phones_full = self->context.phones_full,
	};
}

static int make_queue(struct instance *self)
{
	if (!self->decl->write)
		return 0;
	int64_t limit = cw_get_integer(self->what->common, "queue", QUEUE_LIMIT);
	self->queue_waker = waker_new(self->box, writing_woken, NULL);
	if (self->queue_waker)
		self->queue = outqueue_new((uint64_t)limit, cw_get(self->what->common, "metrics"), waker_wake,
					   self->queue_waker);
	return self->queue ? 0 : -ENOMEM;
}

static void init_lock(struct instance *self)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&self->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&self->lock, NULL);
}

static struct instance *instance_new(const struct instance_context *context, struct plan *plan,
				     const struct plan_instance *what)
{
	struct instance *self = calloc(1, sizeof *self);
	if (!self)
		return NULL;
	self->context = *context;
	self->plan = plan_ref(plan);
	self->what = what;
	self->decl = &what->plugin->decl;
	self->name = strdup(what->name);
	self->box = mailbox_new(MAILBOX_LIMIT);
	self->stats = instance_stats_new();
	self->state = CW_STARTING;
	self->state_since = clock_wall();
	self->start_backoff.random = self->writing.backoff.random = (uint64_t)clock_now() ^ (uintptr_t)self;
	init_lock(self);
	if (context->state_dir && asprintf(&self->state_dir, "%s/%s", context->state_dir, what->name) < 0)
		self->state_dir = NULL;
	if (!self->name || !self->box || !self->stats || make_queue(self) < 0) {
		instance_free(self);
		return NULL;
	}
	make_info(self);
	return self;
}

static int start_thread(struct instance *self)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES); /* reserved, not used: only touched pages cost */
	int rc = pthread_create(&self->thread, &attributes, instance_main, self);
	pthread_attr_destroy(&attributes);
	if (rc != 0)
		return -rc;
	char name[16];
	snprintf(name, sizeof name, "%s", self->name);
	pthread_setname_np(self->thread, name);
	return 0;
}

struct instance *instance_start(const struct instance_context *context, struct plan *plan,
				const struct plan_instance *what, struct outqueue *before)
{
	struct instance *self = instance_new(context, plan, what);
	if (!self)
		return NULL;
	if (before && self->queue)
		outqueue_inherit(self->queue, before);
	hub_add_instance(context->hub, self->name, self->decl->name, self->decl->role, self->stats, self->queue);
	int rc = start_thread(self);
	if (rc < 0) {
		log_line(self->name, CW_ERROR, "cannot make its thread: %s; a reload tries again", strerror(-rc));
		hub_remove_instance(context->hub, self->name);
		if (self->queue)
			outqueue_close(self->queue);
		instance_free(self);
		return NULL;
	}
	roster_add(context->roster, self);
	return self;
}

bool instance_ended(struct instance *self)
{
	pthread_mutex_lock(&self->lock);
	bool ended = self->ended;
	pthread_mutex_unlock(&self->lock);
	return ended;
}

bool instance_wait(struct instance *self, int64_t deadline)
{
	struct timespec until = clock_deadline(deadline - clock_now());
	pthread_mutex_lock(&self->lock);
	while (!self->ended && pthread_cond_timedwait(&self->changed, &self->lock, &until) == 0)
		;
	bool ended = self->ended;
	pthread_mutex_unlock(&self->lock);
	return ended;
}

/* Reachable for good, so that a leak checker knows it is on purpose. */
static struct instance *abandoned[256];
static _Atomic unsigned abandoned_count;

static void abandon(struct instance *self)
{
	const char *callback = atomic_load(&self->callback);
	atomic_store(&self->abandoned, true);
	lookups_leave(self->context.lookups, self->box);
	mailbox_abandon(self->box);
	tasks_left_behind(self->context.tasks, self->box);
	log_line(self->name, CW_ERROR, "did not end in time%s%s%s: left behind", callback ? ", it is in " : "",
		 callback ? callback : "", callback ? "()" : "");
	unsigned at = atomic_fetch_add(&abandoned_count, 1);
	if (at < sizeof abandoned / sizeof *abandoned)
		abandoned[at] = self;
}

unsigned instance_abandoned_count(void)
{
	return atomic_load(&abandoned_count);
}

bool instance_join(struct instance *self, int64_t deadline, bool returns)
{
	bool ended = instance_wait(self, deadline);
	roster_remove(self->context.roster, self);
	if (!ended)
		abandon(self);
	if (self->queue)
		(returns ? outqueue_orphan : outqueue_close)(self->queue);
	if (!returns)
		hub_remove_instance(self->context.hub, self->name);
	if (!ended) {
		pthread_detach(self->thread);
		return false;
	}
	pthread_join(self->thread, NULL);
	if (self->leaky)
		abandoned[atomic_fetch_add(&abandoned_count, 1) % (sizeof abandoned / sizeof *abandoned)] = self;
	else
		instance_free(self);
	return true;
}
