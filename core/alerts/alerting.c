/* SPDX-License-Identifier: MIT
 *
 * See alerting.h. Three mailboxes: orders (few, never turned away), hints and batches (bounded). Work that takes its
 * time (passes) is done in slices, between which mail is taken. A second's beat keeps watched time; what is due sooner
 * has a timer of its own.
 *
 * Until the journal has told what it knew nothing is judged: else what fired before would seem to begin now. A journal
 * that cannot be read is not waited for longer than 10 s; when it can be read later, what is open takes the place in
 * life that it had (remembering.c).
 */
#include "alerting_private.h"

#include "clock.h"
#include "hub.h"
#include "log.h"
#include "plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HINTS_MAX = 4096,
	BATCHES_MAX = 4096,
	ENDED_SHOWN_MAX = 1000,
	PENDING_REFRESHED_MAX = 200,
	EVENT_SUBJECT_MAX = 1024
};

static const int64_t journal_wait_ns = 10 * CW_SECOND;
const int64_t alerting_ended_shown_ns = 3600 * CW_SECOND;
static const int64_t use_ns = 5 * CW_SECOND;               /* how long is waited for a plan to be used */
static const int64_t tick_least_ns = 100 * CW_MILLISECOND; /* with passes under way */

struct moment alerting_now(struct alerting *alerting)
{
	int64_t now = clock_now();
	watched_tick(&alerting->clock, now);
	return (struct moment){.watched = alerting->clock.watched, .wall = clock_wall(), .instant = now};
}

/* ---- what follows from a change ---- */

/* How many there are, as they are shown. */
static void count(struct alerting *alerting, struct alert *alert, int state)
{
	if (alert->counted_as >= 0)
		atomic_fetch_sub_explicit(&alerting->counts[alert->counted_severity][alert->counted_as], 1,
					  memory_order_relaxed);
	alert->counted_as = state;
	alert->counted_severity = (int)alert->severity;
	if (state >= 0)
		atomic_fetch_add_explicit(&alerting->counts[alert->severity][state], 1, memory_order_relaxed);
}

static void tell_event(struct alerting *alerting, const struct alert *alert, const char *from, const char *to,
		       const char *text)
{
	char subject[EVENT_SUBJECT_MAX];
	const struct rule *rule = alert->rule;
	if (rule && rule->kind == RULE_ROWS)
		snprintf(subject, sizeof subject, "%s/%s", rule->table, alert->subject);
	else
		snprintf(subject, sizeof subject, "%s", alert->subject);
	hub_event(alerting->options.hub, "alert", subject, from, to, alert->rule_name, text);
}

/* From what it was shown as last. */
static const char *shown_before(const struct alert *alert)
{
	return alert->counted_as >= 0 ? alert_state_names[alert->counted_as] : NULL;
}

void alerting_show(struct alerting *alerting, struct alert *alert)
{
	count(alerting, alert, alert_shown(alert));
	alerts_show(alerting, alert);
}

void alerting_has_ended(struct alerting *alerting, struct alert *alert)
{
	int64_t ago = clock_wall() - alert->resolved_at;
	alert->forget = clock_now() + alerting_ended_shown_ns - (ago > 0 ? ago : 0);
	alerting->is_settling = true;
}

/* One that ended lately, whose row the one that goes had taken. */
static void show_life_before(struct alerting *alerting, const struct alert *gone)
{
	struct alert *life = NULL, *newest = NULL;
	while ((life = engine_other_life(alerting->engine, gone, life)))
		if (life->has_row && (!newest || life->pending_since > newest->pending_since))
			newest = life;
	if (newest)
		alerts_show(alerting, newest);
}

static void on_change(void *arg, struct alert *alert, enum engine_change change)
{
	struct alerting *alerting = arg;
	const char *from = shown_before(alert);
	bool was_blind = alert->counted_as == SHOWN_UNKNOWN;
	switch (change) {
	case ENGINE_PENDS:
		tell_event(alerting, alert, NULL, "pending", alert->summary);
		break;
	case ENGINE_FIRES:
		tell_event(alerting, alert, from, "firing", alert->summary);
		break;
	case ENGINE_ENDS:
		tell_event(alerting, alert, from, "resolved", alert->reason);
		if (!alert->group)
			alerting_has_ended(alerting, alert);
		break;
	case ENGINE_GOES:
		tell_event(alerting, alert, from, NULL, alert->reason);
		following_change(alerting, alert, change, was_blind);
		alerts_hide(alerting, alert);
		count(alerting, alert, -1);
		show_life_before(alerting, alert);
		return;
	case ENGINE_SHOWS:
		break;
	}
	following_change(alerting, alert, change, was_blind);
	alerting_show(alerting, alert);
}

static void on_look(void *arg, struct alert *alert)
{
	rows_look(((struct alerting *)arg)->rows, alert);
}

static struct moment on_now(void *arg)
{
	return alerting_now(arg);
}

/* ---- what ended lately ---- */

/* Another life of the same has its row by now. */
static bool is_shown_by_another(struct alerting *alerting, const struct alert *alert)
{
	const struct alert *other = engine_other_life(alerting->engine, alert, NULL);
	while (other && !(other->has_row && other->pending_since >= alert->pending_since))
		other = engine_other_life(alerting->engine, alert, other);
	return other != NULL;
}

void alerting_forget(struct alerting *alerting, struct alert *alert)
{
	if (!is_shown_by_another(alerting, alert))
		alerts_hide(alerting, alert);
	count(alerting, alert, -1);
	if (alert->group)
		groups_remove(alerting->groups, alert);
	engine_settle(alerting->engine, alert);
}

static int by_forget(const void *a, const void *b)
{
	int64_t one = (*(struct alert *const *)a)->forget, other = (*(struct alert *const *)b)->forget;
	return (one > other) - (one < other);
}

/* Those that ended an hour ago, and the oldest of those that are too many. */
static void forget_ended(struct alerting *alerting)
{
	uint32_t count_ended = 0, n = 0;
	for (struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next)
		count_ended += alert->forget != 0;
	alerting->is_settling = count_ended > 0;
	struct alert **ended = count_ended ? calloc(count_ended, sizeof(struct alert *)) : NULL;
	if (!ended)
		return;
	for (struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next)
		if (alert->forget)
			ended[n++] = alert;
	qsort(ended, n, sizeof(struct alert *), by_forget);
	for (uint32_t i = 0; i < n && (n - i > ENDED_SHOWN_MAX || ended[i]->forget <= clock_now()); i++)
		alerting_forget(alerting, ended[i]);
	free(ended);
}

/* ---- orders ---- */

struct order {
	struct mail mail; /* first */
	void (*carry_out)(struct alerting *alerting, struct order *order);
	char *name;
	enum cw_role role;
	enum cw_state state;
	bool is_gone;
	const struct plan *plan;
	uint64_t number; /* of the plan */
};

static void drop_order(struct mail *mail)
{
	free(((struct order *)mail)->name);
	free(mail);
}

static void on_order(struct mail *mail, void *owner)
{
	struct order *order = (struct order *)mail;
	order->carry_out(owner, order);
	alerting_turn(owner);
	drop_order(mail);
}

/* 0, or negative, and it is said. */
static int post(struct alerting *alerting, const struct order *template, const char *name)
{
	struct order *order = malloc(sizeof *order);
	char *own_name = name ? strdup(name) : NULL;
	if (!order || (name && !own_name)) {
		free(own_name);
		free(order);
		log_line(NULL, CW_ERROR, "alerts: out of memory, what was said of %s is lost", name ? name : "it");
		return -ENOMEM;
	}
	*order = *template;
	order->mail = (struct mail){.deliver = on_order, .drop = drop_order};
	order->name = own_name;
	int rc = mailbox_post(alerting->orders, &order->mail);
	if (rc < 0) /* it ends */
		drop_order(&order->mail);
	return rc;
}

static void take_state(struct alerting *alerting, struct order *order)
{
	sources_state(alerting, order->name, order->state, order->is_gone);
	if (order->role == CW_NOTIFIER)
		deliveries_instance(alerting->deliveries, order->name,
				    !order->is_gone && (order->state == CW_UP || order->state == CW_DEGRADED));
}

void alerting_instance(struct alerting *alerting, const char *instance, enum cw_role role, enum cw_state state,
		       bool is_gone)
{
	if (alerting && !atomic_load_explicit(&alerting->listening.is_deaf, memory_order_relaxed))
		(void)post(alerting,
			   &(struct order){.carry_out = take_state, .role = role, .state = state, .is_gone = is_gone},
			   instance);
}

static void take_rewrite(struct alerting *alerting, struct order *order)
{
	(void)order;
	if (alerting->is_read) /* else it has all that there is */
		following_rewrite(alerting);
}

void alerting_rewrite(struct alerting *alerting)
{
	if (alerting)
		(void)post(alerting, &(struct order){.carry_out = take_rewrite}, NULL);
}

/* ---- a plan ---- */

static void use(struct alerting *alerting, const struct plan *plan)
{
	alerting->plan = plan;
	alerting->ruleset = plan->ruleset;
	if (alerting->ruleset)
		engine_use(alerting->engine, alerting->ruleset, alerting_now(alerting));
	rows_show_phones(alerting->rows, cw_get_integer(plan->agent, "phones", 0) == 1);
	if (rows_use(alerting->rows, alerting->ruleset) < 0 || listening_use(alerting, alerting->ruleset) < 0)
		log_line(NULL, CW_ERROR, "alerts: out of memory, some rules are not followed");
	sources_use(alerting);
	following_use(alerting);
	alerting->show_again = 2;
}

static void take_plan(struct alerting *alerting, struct order *order)
{
	use(alerting, order->plan);
	pthread_mutex_lock(&alerting->lock);
	alerting->used = order->number;
	pthread_cond_broadcast(&alerting->changed);
	pthread_mutex_unlock(&alerting->lock);
}

/* A plan that the thread looks at, or may come to look at. */
struct held_plan {
	struct held_plan *next;
	struct plan *plan; /* a reference */
	uint64_t number;
};

static int hold_plan(struct alerting *alerting, struct plan *plan)
{
	struct held_plan *held = malloc(sizeof *held);
	if (!held)
		return -ENOMEM;
	*held = (struct held_plan){alerting->held, plan_ref(plan), ++alerting->plans};
	alerting->held = held;
	return 0;
}

/* Nobody looks at what is older than the plan that is used. */
static void release_plans(struct alerting *alerting, uint64_t used)
{
	struct held_plan **link = &alerting->held, *held;
	while ((held = *link)) {
		if (held->number >= used) {
			link = &held->next;
			continue;
		}
		*link = held->next;
		plan_unref(held->plan);
		free(held);
	}
}

/* Until the newest plan is used, or the patience ends; the number of the one that is. */
static uint64_t wait_until_used(struct alerting *alerting)
{
	struct timespec until = clock_deadline(alerting->options.patience ? alerting->options.patience : use_ns);
	pthread_mutex_lock(&alerting->lock);
	while (alerting->used < alerting->plans && !alerting->has_ended &&
	       pthread_cond_timedwait(&alerting->changed, &alerting->lock, &until) == 0)
		;
	uint64_t used = alerting->used;
	pthread_mutex_unlock(&alerting->lock);
	return used;
}

int alerting_use(struct alerting *alerting, struct plan *plan)
{
	int rc = alerting ? hold_plan(alerting, plan) : 0;
	if (!alerting || rc < 0)
		return rc;
	struct order order = {.carry_out = take_plan, .plan = plan, .number = alerting->plans};
	if (!alerting->started)
		take_plan(alerting, &order);
	else
		rc = post(alerting, &order, NULL);
	if (rc < 0)
		return rc;
	uint64_t used = wait_until_used(alerting);
	release_plans(alerting, used);
	if (used == alerting->plans)
		return 0;
	log_line(NULL, CW_ERROR,
		 "alerts: the thread does not answer: the new rules are not in force yet, those of before are");
	return -ETIMEDOUT;
}

/* ---- turns ---- */

static void on_turn(uv_idle_t *turn);
static void on_due(uv_timer_t *timer);
static void on_sending(uv_timer_t *timer);

void alerting_turn(struct alerting *alerting)
{
	uv_idle_start(&alerting->turn, on_turn);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The second's beat comes anyway. */
static void wait_for(struct alerting *alerting, int64_t ns)
{
	if (ns < CW_SECOND)
		uv_timer_start(&alerting->due, on_due, (uint64_t)(ns > 0 ? ns / CW_MILLISECOND + 1 : 0), 0);
}

/* All that is to be done now, but one slice of a pass at most. */
static void work(struct alerting *alerting)
{
	if (!alerting->is_read || atomic_load(&alerting->listening.is_deaf)) {
		uv_idle_stop(&alerting->turn);
		return;
	}
	listening_make_good(alerting);
	bool more = rows_step(alerting->rows);
	struct moment now = alerting_now(alerting);
	if (more && now.instant - alerting->ticked < tick_least_ns)
		return; /* a tick looks at all alerts, a slice takes a millisecond */
	alerting->ticked = now.instant;
	int64_t next = engine_tick(alerting->engine, now), due = rows_due(alerting->rows);
	next = sooner(next, following_step(alerting, now, more));
	if (more)
		return;
	uv_idle_stop(&alerting->turn);
	int64_t wait = next == INT64_MAX ? INT64_MAX : next - now.watched;
	wait_for(alerting, sooner(wait, due == INT64_MAX ? INT64_MAX : due - now.instant));
}

static void on_turn(uv_idle_t *turn)
{
	work(turn->data);
}

/* The round that this makes is all that is wanted. */
static void on_sending(uv_timer_t *timer)
{
	(void)timer;
}

static void on_due(uv_timer_t *timer)
{
	alerting_turn(timer->data);
}

static void refresh_pending(struct alerting *alerting)
{
	uint32_t n = 0;
	for (struct alert *alert = engine_first(alerting->engine); alert && n < PENDING_REFRESHED_MAX;
	     alert = alert->next)
		if (alert->is_open && alert->state == ALERT_PENDING && alert->is_counting) {
			alerts_show(alerting, alert);
			n++;
		}
}

void alerting_begin(struct alerting *alerting)
{
	alerting->is_read = true;
	rows_pass_soon(alerting->rows, NULL);
	alerting_turn(alerting);
}

static void begin_without_journal(struct alerting *alerting)
{
	if (alerting->is_read || clock_awake() < alerting->read_due)
		return;
	log_line(NULL, CW_WARNING,
		 "the journal cannot be read yet: alerts of before are not known, and may be told once more");
	alerting_begin(alerting);
}

/* Who asked for the new plan has its tables forgotten right after; the alerts that ended by that are shown for a while
 * like all others. */
static void show_again(struct alerting *alerting)
{
	if (alerting->show_again-- <= 0) {
		alerting->show_again = 0;
		return;
	}
	for (struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next)
		if (!alert->is_open && alert->has_row)
			alerts_show(alerting, alert);
}

static void on_second(uv_timer_t *timer)
{
	struct alerting *alerting = timer->data;
	(void)alerting_now(alerting);
	begin_without_journal(alerting);
	sources_look(alerting);
	if (alerting->is_settling)
		forget_ended(alerting);
	refresh_pending(alerting);
	show_again(alerting);
	alerts_confirm(alerting);
	following_second(alerting);
	people_second(alerting);
	alerting_turn(alerting);
}

/* What came by mail in this round may be an outcome, or the journal's word, and what was told waits to be sent. */
static void on_round(uv_check_t *round)
{
	struct alerting *alerting = round->data;
	int64_t now = clock_now(),
		next = alerting->is_read ? deliveries_step(alerting->deliveries, now, clock_wall()) : INT64_MAX;
	if (next - now < CW_SECOND)
		uv_timer_start(&alerting->sending, on_sending,
			       next > now ? (uint64_t)((next - now) / CW_MILLISECOND) + 1 : 0, 0);
}

/* ---- the actor ---- */

static void on_stop(uv_async_t *async)
{
	struct alerting *alerting = async->data;
	mailbox_drain(alerting->orders);
	people_release(alerting);
	mailbox_close(alerting->orders);
	mailbox_close(alerting->hints);
	mailbox_close(alerting->samples);
	mailbox_drain(alerting->outcomes);
	if (alerting->is_read) /* what became of the last ones is for the journal */
		(void)deliveries_step(alerting->deliveries, clock_now(), clock_wall());
	mailbox_close(alerting->outcomes);
	uv_close((uv_handle_t *)&alerting->second, NULL);
	uv_close((uv_handle_t *)&alerting->due, NULL);
	uv_close((uv_handle_t *)&alerting->sending, NULL);
	uv_close((uv_handle_t *)&alerting->round, NULL);
	uv_close((uv_handle_t *)&alerting->turn, NULL);
	uv_close((uv_handle_t *)&alerting->stop, NULL);
}

static void *run(void *arg)
{
	struct alerting *alerting = arg;
	pthread_setname_np(pthread_self(), "alerts");
	uv_run(&alerting->loop, UV_RUN_DEFAULT);
	uv_loop_close(&alerting->loop);
	pthread_mutex_lock(&alerting->lock);
	alerting->has_ended = true;
	pthread_cond_broadcast(&alerting->changed);
	pthread_mutex_unlock(&alerting->lock);
	return NULL;
}

static int set_up_loop(struct alerting *alerting)
{
	int rc = uv_loop_init(&alerting->loop);
	if (rc < 0)
		return rc;
	uv_timer_init(&alerting->loop, &alerting->second);
	uv_timer_init(&alerting->loop, &alerting->due);
	uv_timer_init(&alerting->loop, &alerting->sending);
	uv_check_init(&alerting->loop, &alerting->round);
	uv_idle_init(&alerting->loop, &alerting->turn);
	alerting->sending.data = alerting->round.data = alerting->second.data = alerting->due.data =
		alerting->turn.data = alerting->stop.data = alerting;
	if ((rc = uv_async_init(&alerting->loop, &alerting->stop, on_stop)) < 0 ||
	    (rc = mailbox_attach(alerting->orders, &alerting->loop, alerting)) < 0 ||
	    (rc = mailbox_attach(alerting->hints, &alerting->loop, alerting)) < 0 ||
	    (rc = mailbox_attach(alerting->samples, &alerting->loop, alerting)) < 0 ||
	    (rc = mailbox_attach(alerting->outcomes, &alerting->loop, alerting)) < 0)
		return rc;
	uv_check_start(&alerting->round, on_round);
	uv_timer_start(&alerting->second, on_second, 1000, 1000);
	alerting_turn(alerting);
	return 0;
}

int alerting_start(struct alerting *alerting, struct journal *journal)
{
	alerting->journal = journal;
	alerting->is_read = !journal;
	alerting->read_due = clock_awake() + journal_wait_ns;
	int rc = following_start(alerting);
	if (rc == 0)
		rc = set_up_loop(alerting);
	if (rc == 0)
		rc = -pthread_create(&alerting->thread, /* attributes */ NULL, run, alerting);
	alerting->started = rc == 0;
	return rc;
}

void alerting_deafen(struct alerting *alerting)
{
	if (alerting)
		atomic_store(&alerting->listening.is_deaf, true);
}

static bool wait_for_end(struct alerting *alerting, int64_t deadline)
{
	struct timespec until = clock_deadline(deadline - clock_now());
	pthread_mutex_lock(&alerting->lock);
	while (!alerting->has_ended && pthread_cond_timedwait(&alerting->changed, &alerting->lock, &until) == 0)
		;
	bool has_ended = alerting->has_ended;
	pthread_mutex_unlock(&alerting->lock);
	return has_ended;
}

void alerting_stop(struct alerting *alerting, int64_t deadline)
{
	if (!alerting || !alerting->started)
		return;
	alerting_deafen(alerting);
	if (!alerting->is_stopping)
		uv_async_send(&alerting->stop);
	alerting->is_stopping = true;
	if (!wait_for_end(alerting, deadline)) {
		log_line(NULL, CW_ERROR,
			 "alerts: the thread did not end in time and is left behind: what became of the last "
			 "notifications may not be in the journal");
		return;
	}
	pthread_join(alerting->thread, NULL);
	alerting->started = false;
}

bool alerting_was_left(const struct alerting *alerting)
{
	return alerting && alerting->started;
}

/* ---- made and freed ---- */

static int make_rooms(struct alerting *alerting)
{
	struct engine_options engine = {.changed = on_change, .look = on_look, .arg = alerting};
	alerting->engine = engine_new(&engine);
	struct rows_options rows = {.tables = alerting->tables,
				    .engine = alerting->engine,
				    .phones_full = alerting->options.phones_full,
				    .now = on_now,
				    .arg = alerting};
	alerting->rows = rows_new(&rows);
	alerting->orders = mailbox_new(SIZE_MAX);
	alerting->hints = mailbox_new(HINTS_MAX);
	alerting->samples = mailbox_new(BATCHES_MAX);
	alerting->outcomes = mailbox_new(SIZE_MAX);
	if (!alerting->engine || !alerting->rows || !alerting->orders || !alerting->hints || !alerting->samples ||
	    !alerting->outcomes)
		return -ENOMEM;
	return alerts_open(alerting) < 0 || following_make(alerting) < 0 ? -ENOMEM : 0;
}

static void init_waiting(struct alerting *alerting)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* as clock_deadline() */
	pthread_mutex_init(&alerting->lock, /* attributes */ NULL);
	pthread_cond_init(&alerting->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct alerting *alerting_new(const struct alerting_options *options)
{
	struct alerting *alerting = calloc(1, sizeof *alerting);
	if (!alerting)
		return NULL;
	alerting->options = *options;
	alerting->options.hostname = strdup(options->hostname);
	alerting->tables = hub_tables(options->hub);
	init_waiting(alerting);
	pthread_mutex_init(&alerting->listening.lock, /* attributes */ NULL);
	watched_tick(&alerting->clock, clock_now());
	if (alerting->options.hostname && make_rooms(alerting) == 0)
		return alerting;
	alerting_free(alerting);
	return NULL;
}

void alerting_free(struct alerting *alerting)
{
	if (!alerting)
		return;
	rows_free(alerting->rows);
	following_release(alerting);
	engine_free(alerting->engine);
	sources_release(alerting);
	alerts_release(alerting);
	listening_release(alerting);
	mailbox_unref(alerting->orders);
	mailbox_unref(alerting->hints);
	mailbox_unref(alerting->samples);
	mailbox_unref(alerting->outcomes);
	pthread_mutex_destroy(&alerting->lock);
	pthread_cond_destroy(&alerting->changed);
	release_plans(alerting, /* used */ UINT64_MAX);
	free((char *)alerting->options.hostname);
	free(alerting);
}

/* ---- the action `test` of notifiers ---- */

struct test {
	struct mail mail; /* first */
	char *notifier, *by;
	void (*settled)(void *arg, bool delivered, const char *text);
	void *arg;
};

static void test_free(struct test *test)
{
	free(test->notifier);
	free(test->by);
	free(test);
}

static void drop_test(struct mail *mail)
{
	struct test *test = (struct test *)mail;
	test->settled(test->arg, false, "the agent ends");
	test_free(test);
}

static void on_test(struct mail *mail, void *owner)
{
	struct alerting *alerting = owner;
	struct test *test = (struct test *)mail;
	int rc =
		deliveries_test(alerting->deliveries, test->notifier, test->by, clock_wall(), test->settled, test->arg);
	if (rc < 0)
		test->settled(test->arg, false, strerror(-rc));
	test_free(test);
}

int alerting_test(struct alerting *alerting, const char *notifier, const char *by,
		  void (*settled)(void *arg, bool delivered, const char *text), void *arg)
{
	struct test *test = alerting ? calloc(1, sizeof *test) : NULL;
	if (!test)
		return alerting ? -ENOMEM : -EPIPE;
	*test = (struct test){
		{.deliver = on_test, .drop = drop_test}, strdup(notifier), strdup(by ? by : ""), settled, arg};
	int rc = test->notifier && test->by ? mailbox_post(alerting->orders, &test->mail) : -ENOMEM;
	if (rc < 0)
		test_free(test);
	return rc;
}

/* ---- for the agent's own samples ---- */

void alerting_counts(struct alerting *alerting, struct alerting_counts *ret_counts)
{
	struct delivery_counts notices = {.last_delay_seconds = (double)NAN};
	if (alerting->deliveries)
		deliveries_counts(alerting->deliveries, &notices);
	ret_counts->alerts_dropped = engine_left_out(alerting->engine);
	ret_counts->notices_sent = notices.sent;
	ret_counts->notices_retried = notices.retried;
	ret_counts->notices_dead = notices.dead;
	ret_counts->notices_waiting = notices.waiting;
	ret_counts->notice_delay_seconds = notices.last_delay_seconds;
	for (size_t i = 0; i < SEVERITIES; i++)
		for (size_t k = 0; k < SHOWN_STATES; k++)
			ret_counts->alerts[i][k] = atomic_load_explicit(&alerting->counts[i][k], memory_order_relaxed);
}
