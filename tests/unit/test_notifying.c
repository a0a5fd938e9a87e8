/* SPDX-License-Identifier: MIT
 *
 * A notifier as an instance: what it is given, and that each parcel comes back settled exactly once, whatever the
 * plugin does: says so at once, later, twice, never; fails; is stopped with one in flight; hangs and is left behind.
 */
#include "instance_world.h"

#include "callwatch/notify.h"
#include "notice.h"
#include "notifying.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int make_world(void **state)
{
	(void)state;
	return open_world(/* interval */ 3600 * CW_SECOND);
}

static int end_world(void **state)
{
	(void)state;
	return close_world();
}

/* ---- a fake notifier ---- */

enum way { AT_ONCE, EARLY, SOON, TWICE, NEVER, FAILS, BLOCKS, UNTIL_STOP };

static struct {
	_Atomic enum way way;
	_Atomic int starts, told;
	sem_t go; /* ends one BLOCKS */
	struct cw_delivered delivered;
	const char *reason;

	/* the last that it was given */
	uint32_t count, attempt, sequence;
	bool is_doubtful;
	char id[64], receipt[64], progress[64];
} teller;

struct fake {
	struct cw_instance *self;
	const struct cw_host *host;
	uv_timer_t timer;
	bool has_one;
};

static void say(struct fake *fake)
{
	fake->has_one = false;
	fake->host->notified(fake->self, &teller.delivered, teller.reason ? "%s" : NULL, teller.reason);
}

static void on_timer(uv_timer_t *timer)
{
	say(timer->data);
	if (teller.way == TWICE)
		say(timer->data);
}

static int fake_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		      void **ret_state)
{
	(void)options;
	struct fake *fake = calloc(1, sizeof *fake);
	*fake = (struct fake){.self = self, .host = host};
	*ret_state = fake;
	uv_timer_init(host->loop(self), &fake->timer);
	fake->timer.data = fake;
	atomic_fetch_add(&teller.starts, 1);
	return 0;
}

static void note(const struct cw_notice *notice, uint32_t n)
{
	teller.count = n;
	teller.attempt = notice->attempt;
	teller.sequence = notice->sequence;
	teller.is_doubtful = notice->is_doubtful;
	snprintf(teller.id, sizeof teller.id, "%s", notice->id);
	snprintf(teller.receipt, sizeof teller.receipt, "%s", notice->receipt ? notice->receipt : "-");
	snprintf(teller.progress, sizeof teller.progress, "%s", notice->progress ? notice->progress : "-");
	atomic_fetch_add(&teller.told, 1);
}

static int fake_notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct fake *fake = state;
	note(notices[0], n);
	fake->has_one = true;
	enum way way = teller.way;
	if (way == AT_ONCE)
		return 0;
	if (way == FAILS)
		return -EIO;
	if (way == BLOCKS)
		sem_wait(&teller.go);
	if (way == EARLY || way == BLOCKS)
		say(fake);
	if (way == SOON || way == TWICE)
		uv_timer_start(&fake->timer, on_timer, 1, 0);
	return CW_LATER;
}

static void fake_stop(void *state)
{
	struct fake *fake = state;
	if (teller.way == UNTIL_STOP && fake->has_one)
		say(fake);
	uv_close((uv_handle_t *)&fake->timer, NULL);
}

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};
static const struct plugin plugin = {
	.path = "teller",
	.decl = {CW_PLUGIN_ABI, .name = "teller", .summary = "Tells", .role = CW_NOTIFIER, .actions = CW_ARRAY(actions),
		 .start = fake_start, .stop = fake_stop, .release = free, .notify = fake_notify, .digest_max = 20},
};

/* ---- a sender ---- */

struct run {
	struct plan_instance what;
	struct instance *instance;
	struct mailbox *box; /* the sender's */
	uv_loop_t loop;
	uint32_t came_back;
	struct notice *notice;
};

static void await_running(void)
{
	struct notifier notifier = {0};
	WAIT_UNTIL(notifying_look(roster, "teller", &notifier) && notifier.runs);
	assert_int_equal(notifier.digest_max, 20);
}

static void begin(struct run *run)
{
	struct instance_context context = usual_context();
	run->what = planned("teller", &plugin, /* options */ NULL);
	run->instance = start_instance(&context, &run->what, NULL);
	await_running();
}

static void on_back(struct mail *mail, void *owner)
{
	((struct run *)owner)->came_back++;
	parcel_unref((struct parcel *)mail);
}

static int set_up(void **state)
{
	struct run *run = calloc(1, sizeof *run);
	teller.way = AT_ONCE;
	teller.starts = teller.told = 0;
	teller.delivered = (struct cw_delivered){.size = sizeof teller.delivered};
	teller.reason = NULL;
	uv_loop_init(&run->loop);
	run->box = mailbox_new(10);
	mailbox_attach(run->box, &run->loop, run);
	run->notice = notice_new(&(struct cw_notice){.size = sizeof(struct cw_notice),
						     .id = "0",
						     .group = "ab",
						     .incident = "ab-1",
						     .sequence = 7,
						     .rule = "call-stale",
						     .title = "call-stale: 1 of 1",
						     .description = "",
						     .common = "",
						     .command = "callwatch alerts",
						     .host = "h"});
	*state = run;
	begin(run);
	return run->notice ? 0 : -1;
}

static int tear_down(void **state)
{
	struct run *run = *state;
	if (run->instance)
		end_instance(run->instance, /* returns */ false);
	mailbox_close(run->box);
	uv_run(&run->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&run->loop), 0);
	mailbox_unref(run->box);
	notice_unref(run->notice);
	if (instance_abandoned_count() == 0) /* else a thread may still read its plan */
		free(run);
	return 0;
}

static struct parcel *make_parcel(struct run *run)
{
	struct parcel_item item = {.notice = run->notice,
				   .id = "ab-1-7-c0ffee",
				   .receipt = "message 6",
				   .progress = "ada",
				   .attempt = 3,
				   .is_doubtful = true};
	struct parcel *parcel = parcel_new(&item, 1, run->box, on_back, NULL);
	assert_non_null(parcel);
	return parcel;
}

static struct parcel *offer(struct run *run)
{
	struct parcel *parcel = make_parcel(run);
	assert_int_equal(notifying_offer(roster, "teller", parcel), 0);
	return parcel;
}

/* Waits until it is settled, and has come back once and no more. */
static void await(struct run *run, struct parcel *parcel)
{
	uint32_t before = run->came_back;
	WAIT_UNTIL(parcel_is_settled(parcel));
	WAIT_UNTIL((uv_run(&run->loop, UV_RUN_NOWAIT), run->came_back > before));
	uv_run(&run->loop, UV_RUN_NOWAIT);
	assert_int_equal(run->came_back, before + 1);
}

static struct parcel *carry(struct run *run)
{
	struct parcel *parcel = offer(run);
	await(run, parcel);
	return parcel;
}

/* ---- tests ---- */

static void notice__is_given_with_what_belongs_to_the_attempt(void **state)
{
	struct parcel *parcel = carry(*state);
	assert_int_equal(parcel->outcome.outcome, CW_DELIVERED);
	assert_string_equal(parcel->outcome.reason, "");
	assert_int_equal(teller.count, 1);
	assert_int_equal(teller.attempt, 3);
	assert_int_equal(teller.sequence, 7);
	assert_true(teller.is_doubtful);
	assert_string_equal(teller.id, "ab-1-7-c0ffee");
	assert_string_equal(teller.receipt, "message 6");
	assert_string_equal(teller.progress, "ada");
	parcel_unref(parcel);
}

static void outcome__comes_early_or_later_with_what_is_to_be_kept(void **state)
{
	const enum way ways[] = {EARLY, SOON, TWICE};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		teller.way = ways[i];
		teller.delivered =
			(struct cw_delivered){sizeof teller.delivered, CW_TRY_AGAIN, 77, "bob", "message 7", false};
		teller.reason = "429 \x1b[2J";
		struct parcel *parcel = carry(*state);
		assert_int_equal(parcel->outcome.outcome, CW_TRY_AGAIN);
		assert_int_equal(parcel->outcome.not_before, 77);
		assert_string_equal(parcel->outcome.progress, "bob");
		assert_string_equal(parcel->outcome.receipt, "message 7");
		assert_string_equal(parcel->outcome.reason, "429 \\x1b[2J");
		parcel_unref(parcel);
	}
}

/* Half of it would be something else. */
static void what_is_to_be_kept__and_is_too_large_or_no_text__is_not_kept(void **state)
{
	static char large[CW_NOTICE_KEPT_MAX + 2];
	memset(large, 'x', sizeof large - 1);
	teller.way = SOON;
	teller.delivered.progress = large;
	teller.delivered.receipt = "\xff\xfe";
	struct parcel *parcel = carry(*state);
	assert_null(parcel->outcome.progress);
	assert_null(parcel->outcome.receipt);
	parcel_unref(parcel);
	large[CW_NOTICE_KEPT_MAX] = '\0';
	parcel = carry(*state);
	assert_non_null(parcel->outcome.progress);
	parcel_unref(parcel);
}

static void outcome_of_an_older_or_a_wrong_plugin__is_taken_with_care(void **state)
{
	teller.way = SOON;
	teller.delivered =
		(struct cw_delivered){offsetof(struct cw_delivered, not_before), CW_REFUSED, 77, "x", "y", true};
	struct parcel *parcel = carry(*state);
	assert_int_equal(parcel->outcome.outcome, CW_REFUSED);
	assert_int_equal(parcel->outcome.not_before, 0);
	assert_null(parcel->outcome.progress);
	parcel_unref(parcel);
	int64_t before = clock_now(); /* a wall time is no instant: it would be obeyed for decades */
	teller.delivered = (struct cw_delivered){sizeof teller.delivered, CW_TRY_AGAIN, INT64_MAX, NULL, NULL, false};
	parcel = carry(*state);
	assert_in_range(parcel->outcome.not_before, before + PARCEL_WAIT_MAX, clock_now() + PARCEL_WAIT_MAX);
	parcel_unref(parcel);
	teller.delivered = (struct cw_delivered){.size = sizeof teller.delivered, .outcome = 99};
	parcel = carry(*state);
	assert_int_equal(parcel->outcome.outcome, CW_DOUBTFUL);
	parcel_unref(parcel);
}

static void failure__is_tried_again_and_shown(void **state)
{
	struct run *run = *state;
	teller.way = FAILS;
	struct parcel *parcel = carry(run);
	assert_int_equal(parcel->outcome.outcome, CW_TRY_AGAIN);
	assert_non_null(strstr(parcel->outcome.reason, "notify failed: Input/output error"));
	WAIT_UNTIL(instance_state(run->instance) == CW_DOWN);
	parcel_unref(parcel);
	teller.way = AT_ONCE;
	parcel_unref(carry(run));
	WAIT_UNTIL(instance_state(run->instance) == CW_UP);
}

/* The patience is the sender's. What the plugin still has is taken from it by a new start, so that it never has two. */
static void no_word__and_no_patience_left__starts_the_plugin_anew(void **state)
{
	struct run *run = *state;
	teller.way = NEVER;
	struct parcel *parcel = offer(run);
	WAIT_UNTIL(teller.told == 1);
	assert_false(parcel_is_settled(parcel));
	assert_true(parcel_settle(parcel, &(struct cw_delivered){.outcome = CW_DOUBTFUL}, "no word within 2 min"));
	assert_false(parcel_settle(parcel, &(struct cw_delivered){.outcome = CW_DELIVERED}, NULL));
	teller.way = AT_ONCE;
	WAIT_UNTIL(teller.starts == 2);
	await(run, parcel);
	assert_int_equal(parcel->outcome.outcome, CW_DOUBTFUL);
	parcel_unref(parcel);
	await_running();
	parcel = carry(run);
	assert_int_equal(parcel->outcome.outcome, CW_DELIVERED);
	parcel_unref(parcel);
}

static void second_parcel__while_one_is_in_flight__comes_back_unopened(void **state)
{
	struct run *run = *state;
	teller.way = NEVER;
	struct parcel *first = offer(run), *second;
	WAIT_UNTIL(teller.told == 1);
	second = carry(run);
	assert_int_equal(second->outcome.outcome, CW_TRY_AGAIN);
	assert_int_equal(teller.told, 1);
	assert_false(parcel_is_settled(first));
	parcel_unref(first);
	parcel_unref(second);
}

static void stop__with_one_in_flight__is_doubtful(void **state)
{
	struct run *run = *state;
	teller.way = NEVER;
	struct parcel *parcel = offer(run);
	WAIT_UNTIL(teller.told == 1);
	end_instance(run->instance, /* returns */ false);
	run->instance = NULL;
	await(run, parcel);
	assert_int_equal(parcel->outcome.outcome, CW_DOUBTFUL);
	assert_non_null(strstr(parcel->outcome.reason, "stopped while it was being sent"));
	parcel_unref(parcel);
	struct notifier notifier;
	assert_false(notifying_look(roster, "teller", &notifier));
	parcel = make_parcel(run);
	assert_int_equal(notifying_offer(roster, "teller", parcel), -ENOENT);
	parcel_unref(parcel);
}

/* What is in flight is given a moment; and what the plugin says while it stops still counts. */
static void stop__waits_for_what_is_in_flight(void **state)
{
	struct run *run = *state;
	const enum way ways[] = {SOON, UNTIL_STOP};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		teller.way = ways[i];
		struct parcel *parcel = offer(run);
		end_instance(run->instance, /* returns */ false);
		await(run, parcel);
		bool came_in_time = teller.told == (int)i + 1;
		assert_int_equal(parcel->outcome.outcome, came_in_time ? CW_DELIVERED : CW_TRY_AGAIN);
		teller.told = (int)i + 1;
		parcel_unref(parcel);
		begin(run);
	}
}

/* Fault 24, of a notifier: its thread never comes back. Last of all: what it may still touch is not freed. */
static void left_behind__loses_nothing(void **state)
{
	struct run *run = *state;
	teller.way = BLOCKS;
	struct parcel *parcel = offer(run);
	WAIT_UNTIL(teller.told == 1);
	assert_true(notifying_has(roster, parcel));
	instance_stop(run->instance);
	assert_false(instance_join(run->instance, clock_now() + CW_MILLISECOND, /* returns */ false));
	run->instance = NULL;
	assert_false(notifying_has(roster, parcel));
	assert_false(parcel_is_settled(parcel));
	assert_true(parcel_settle(parcel, &(struct cw_delivered){.outcome = CW_DOUBTFUL}, "left behind"));
	sem_post(&teller.go); /* it comes back after all, and says something */
	await(run, parcel);
	assert_int_equal(parcel->outcome.outcome, CW_DOUBTFUL);
	parcel_unref(parcel);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	sem_init(&teller.go, 0, 0);
	const struct CMUnitTest tests[] = {
		TEST(notice__is_given_with_what_belongs_to_the_attempt),
		TEST(outcome__comes_early_or_later_with_what_is_to_be_kept),
		TEST(what_is_to_be_kept__and_is_too_large_or_no_text__is_not_kept),
		TEST(outcome_of_an_older_or_a_wrong_plugin__is_taken_with_care),
		TEST(failure__is_tried_again_and_shown),
		TEST(no_word__and_no_patience_left__starts_the_plugin_anew),
		TEST(second_parcel__while_one_is_in_flight__comes_back_unopened),
		TEST(stop__with_one_in_flight__is_doubtful),
		TEST(stop__waits_for_what_is_in_flight),
		TEST(left_behind__loses_nothing),
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
