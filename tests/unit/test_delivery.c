/* SPDX-License-Identifier: MIT
 *
 * Notices on their way, with a clock that the test turns and notifiers that are a list of answers: nothing is lost, the
 * order of a group is kept, pauses grow and are never shorter than a receiver asks for, and what the journal knew goes
 * on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "delivery.h"
#include "group.h"
#include "hub.h"
#include "journal.h"
#include "journal_alerts.h"
#include "log.h"
#include "mailbox.h"
#include "parcel.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

/* ---- the clock ---- */

static int64_t now_ns, wall_ns;

static int64_t fake_now(void)
{
	return now_ns;
}

static int64_t fake_wall(void)
{
	return wall_ns;
}

static const struct clock_source source = {fake_now, fake_wall, fake_now};

static void turn(int64_t by)
{
	now_ns += by;
	wall_ns += by;
}

/* ---- notifiers ---- */

/* A notifier as the test has it. */
static struct teller {
	const char *name;
	bool is_there, runs, is_left_behind, takes_nothing;
	uint32_t digest_max;
	struct parcel *parcel; /* that it has; a reference */
	int offers;
} tellers[2];

static struct teller *find(const char *name)
{
	for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++)
		if (tellers[i].name && strcmp(tellers[i].name, name) == 0)
			return &tellers[i];
	return NULL;
}

static bool look(void *arg, const char *name, struct notifier *ret_notifier)
{
	(void)arg;
	const struct teller *teller = find(name);
	if (teller)
		*ret_notifier = (struct notifier){teller->runs, teller->digest_max};
	return teller && teller->is_there;
}

static int offer(void *arg, const char *name, struct parcel *parcel)
{
	(void)arg;
	struct teller *teller = find(name);
	assert_non_null(teller);
	assert_null(teller->parcel); /* one at a time */
	assert_true(teller->runs);
	if (teller->takes_nothing) {
		teller->offers++;
		return -EAGAIN;
	}
	teller->parcel = parcel_ref(parcel);
	teller->offers++;
	return 0;
}

static bool has(void *arg, const struct parcel *parcel)
{
	(void)arg;
	(void)parcel;
	return !tellers[0].is_left_behind;
}

static const struct delivery_way way = {look, offer, has, NULL};

/* ---- the world ---- */

static struct hub *hub;
static struct mailbox *box;
static uv_loop_t loop;
static struct deliveries *deliveries;
static int64_t wanted; /* when it wants to be called again */

static void open_deliveries(void)
{
	const struct deliveries_options options = {.hub = hub, .box = box, .hostname = "h", .way = &way};
	deliveries = deliveries_new(&options);
	assert_non_null(deliveries);
}

static int set_up(void **state)
{
	(void)state;
	static const struct hub_options options = {.hostname = "h", .version = "test", .interval = 3600 * CW_SECOND};
	log_open(LOG_TEXT, CW_ERROR + 1);
	log_close(); /* the level stays; the thread would read a clock that the test turns */
	now_ns = 1000 * CW_SECOND;
	wall_ns = 1800000000 * CW_SECOND;
	clock_set_source(&source);
	hub = hub_new(&options);
	uv_loop_init(&loop);
	box = mailbox_new(100000);
	mailbox_attach(box, &loop, NULL);
	tellers[0] = (struct teller){.name = "slack", .is_there = true, .runs = true, .digest_max = 1};
	tellers[1] = (struct teller){.name = "email", .is_there = true, .runs = true, .digest_max = 1};
	open_deliveries();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++)
		parcel_unref(tellers[i].parcel);
	mailbox_close(box);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	mailbox_unref(box);
	deliveries_free(deliveries);
	hub_free(hub);
	clock_set_source(NULL);
	return 0;
}

/* All that happens at this moment. */
static void step(void)
{
	for (int i = 0; i < 4; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		wanted = deliveries_step(deliveries, now_ns, wall_ns);
	}
}

static void step_later(int64_t by)
{
	turn(by);
	step();
}

static enum cw_notice_kind kind_made; /* of those that are made */

static struct notice *make_notice(const char *group, uint32_t sequence)
{
	char id[64], incident[32], title[64];
	snprintf(incident, sizeof incident, "%s-1", group);
	snprintf(id, sizeof id, "%s-%x", incident, sequence);
	snprintf(title, sizeof title, "%s: %u", group, sequence);
	struct notice *notice = notice_new(&(struct cw_notice){.size = sizeof(struct cw_notice),
							       .id = id,
							       .group = group,
							       .incident = incident,
							       .sequence = sequence,
							       .kind = kind_made,
							       .rule = "call-stale",
							       .title = title,
							       .description = "",
							       .common = "",
							       .since = wall_ns,
							       .at = wall_ns,
							       .command = "callwatch alerts",
							       .host = "h"});
	assert_non_null(notice);
	return notice;
}

static void tell_to(const char *notifier, const char *group, uint32_t sequence)
{
	struct notice *notice = make_notice(group, sequence);
	assert_int_equal(deliveries_tell(deliveries, /* group */ NULL, notice, &notifier, 1, wall_ns), 0);
	notice_unref(notice);
}

static void tell(const char *group, uint32_t sequence)
{
	tell_to("slack", group, sequence);
}

static struct delivery_counts counts(void)
{
	struct delivery_counts counts;
	deliveries_counts(deliveries, &counts);
	return counts;
}

/* What slack has now; it must have something. */
static const struct cw_notice *given(void)
{
	assert_non_null(tellers[0].parcel);
	return tellers[0].parcel->notices[0];
}

static void assert_given(const char *title)
{
	assert_string_equal(given()->title, title);
}

static void answer_by(struct teller *teller, const struct cw_delivered *delivered, const char *reason)
{
	struct parcel *parcel = teller->parcel;
	assert_non_null(parcel);
	teller->parcel = NULL;
	parcel_settle(parcel, delivered, reason);
	parcel_unref(parcel);
}

static void settle_with(struct teller *teller, enum cw_delivery outcome)
{
	answer_by(teller, &(struct cw_delivered){.size = sizeof(struct cw_delivered), .outcome = outcome}, NULL);
	step();
}

static void answer(enum cw_delivery outcome, const char *reason)
{
	answer_by(&tellers[0], &(struct cw_delivered){.size = sizeof(struct cw_delivered), .outcome = outcome}, reason);
	step();
}

static bool is_idle(void)
{
	return !tellers[0].parcel;
}

static const char *words(const char *group)
{
	static char text[256];
	char incident[64];
	snprintf(incident, sizeof incident, "%s-1", group);
	deliveries_describe(deliveries, incident, text, sizeof text);
	return text;
}

/* ---- tests: the way of one ---- */

static void notice__is_told_once_and_counted(void **state)
{
	(void)state;
	assert_string_equal(words("a"), "");
	tell("a", 1);
	assert_true(is_idle()); /* before the journal's word */
	assert_string_equal(words("a"), "slack queued");
	step();
	assert_given("a: 1");
	assert_int_equal(given()->attempt, 1);
	assert_false(given()->is_doubtful);
	assert_string_equal(words("a"), "slack sending");
	turn(3 * CW_SECOND);
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().sent, 1);
	assert_int_equal(counts().waiting, 0);
	assert_true(counts().last_delay_seconds == 3);
	assert_non_null(strstr(words("a"), "slack "));
	assert_int_equal(wanted, INT64_MAX);
	step_later(10 * 86400 * CW_SECOND);
	assert_int_equal(tellers[0].offers, 1);
}

/* Each notifier has an id of its own, which does not change. */
static void notice_for_two__goes_two_ways(void **state)
{
	(void)state;
	static const char *const both[] = {"slack", "email"};
	struct notice *notice = make_notice("a", 1);
	assert_int_equal(deliveries_tell(deliveries, NULL, notice, both, 2, wall_ns), 0);
	notice_unref(notice);
	step();
	assert_string_not_equal(given()->id, tellers[1].parcel->notices[0]->id);
	char id[64];
	snprintf(id, sizeof id, "%s", given()->id);
	answer(CW_TRY_AGAIN, "503");
	assert_non_null(tellers[1].parcel); /* it is none of the other's business */
	step_later(3 * CW_SECOND);
	assert_string_equal(given()->id, id);
	assert_int_equal(given()->attempt, 2);
	answer(CW_DELIVERED, NULL);
	assert_non_null(strstr(words("a"), "email sending"));
}

static void failures__are_tried_again_after_pauses_that_grow(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	int64_t most = CW_SECOND;
	for (int i = 0; i < 14; i++) {
		most = most * 2 > 300 * CW_SECOND ? 300 * CW_SECOND : most * 2;
		answer(CW_TRY_AGAIN, "503 Service Unavailable");
		assert_non_null(strstr(words("a"), "slack queued (503 Service Unavailable), next try "));
		step_later(most / 2 - CW_MILLISECOND);
		assert_true(is_idle());
		step_later(most / 2 + CW_MILLISECOND);
		assert_int_equal(given()->attempt, i + 2);
	}
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().retried, 14);
}

static void progress_and_doubt__are_given_to_the_next_attempt(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	answer_by(
		&tellers[0],
		&(struct cw_delivered){sizeof(struct cw_delivered), CW_TRY_AGAIN, 0, "ada", /* receipt */ NULL, false},
		"bob");
	step();
	step_later(3 * CW_SECOND);
	assert_string_equal(given()->progress, "ada");
	assert_false(given()->is_doubtful);
	answer(CW_DOUBTFUL, "cut"); /* what ada has she still has */
	step_later(5 * CW_SECOND);
	assert_string_equal(given()->progress, "ada");
	assert_true(given()->is_doubtful);
}

static void receipt__is_given_to_the_incidents_next_notice(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	assert_null(given()->receipt);
	const struct cw_delivered yes = {sizeof yes, CW_DELIVERED, 0, NULL, "message 1", false};
	answer_by(&tellers[0], &yes, NULL);
	tell("b", 1);
	step();
	assert_given("b: 1");
	assert_null(given()->receipt);
	answer(CW_DELIVERED, NULL);
	tell("a", 2);
	step();
	assert_string_equal(given()->receipt, "message 1");
	answer(CW_DELIVERED, NULL); /* without one: what there is stays */
	tell("a", 3);
	step();
	assert_string_equal(given()->receipt, "message 1");
}

static void refused__is_dead_at_once(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	answer(CW_REFUSED, "404 no_such_channel");
	assert_string_equal(words("a"), "slack lost (404 no_such_channel)");
	assert_int_equal(counts().dead, 1);
	step_later(86400 * CW_SECOND);
	assert_int_equal(tellers[0].offers, 1);
}

static void reason__that_is_long__ends_where_a_character_does(void **state)
{
	(void)state;
	char reason[200] = "x", said[128];
	for (size_t i = 1; i + 2 < sizeof reason; i += 2)
		memcpy(reason + i, "\xc3\xbc", 3);
	tell("a", 1);
	step();
	answer(CW_REFUSED, reason);
	snprintf(said, sizeof said, "slack lost (%.79s)", reason);
	assert_string_equal(words("a"), said);
}

static void after_a_day__it_is_dead(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	for (int64_t since = 0; since < 86400; since += 290) {
		if (!is_idle())
			answer(CW_TRY_AGAIN, "503");
		assert_int_equal(counts().dead, 0);
		step_later(290 * CW_SECOND);
	}
	step_later(300 * CW_SECOND);
	answer(CW_TRY_AGAIN, "503");
	assert_int_equal(counts().dead, 1);
	assert_int_equal(counts().waiting, 0);
	assert_non_null(strstr(words("a"), "slack lost (given up after "));
}

/* ---- tests: order ---- */

static void order__is_kept_within_a_group_and_others_pass(void **state)
{
	(void)state;
	tell("a", 1);
	tell("a", 2);
	tell("b", 1);
	step();
	assert_given("a: 1");
	answer(CW_TRY_AGAIN, "503");
	assert_given("b: 1");
	answer(CW_TRY_AGAIN, "503");
	assert_true(is_idle());
	step_later(3 * CW_SECOND);
	assert_given("a: 1");
	answer(CW_DELIVERED, NULL);
	assert_given("a: 2");
	answer(CW_DELIVERED, NULL);
	step_later(3 * CW_SECOND);
	assert_given("b: 1");
}

static void success__ends_the_pauses_of_others(void **state)
{
	(void)state;
	tell("a", 1);
	tell("b", 1);
	step();
	for (int i = 0; i < 10; i++) { /* both wait for minutes by then */
		answer(CW_TRY_AGAIN, "503");
		while (is_idle())
			step_later(CW_SECOND);
	}
	answer(CW_DELIVERED, NULL);
	assert_non_null(tellers[0].parcel);
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().sent, 2);
}

static void retry_after__holds_all_of_the_notifier(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	const struct cw_delivered later = {sizeof later, CW_TRY_AGAIN, now_ns + 600 * CW_SECOND, NULL, NULL, false};
	tell("b", 1);
	answer_by(&tellers[0], &later, "429");
	step();
	deliveries_instance(deliveries, "slack", /* is_up */ true); /* that it is up is no permission */
	for (int i = 0; i < 599; i++) {
		step_later(CW_SECOND);
		assert_true(is_idle());
	}
	assert_int_equal(wanted, now_ns + CW_SECOND);
	step_later(CW_SECOND);
	assert_given("a: 1");
}

/* ---- tests: digests ---- */

static void many_that_wait__go_as_one(void **state)
{
	(void)state;
	tellers[0].digest_max = 20;
	char group[16];
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(group, sizeof group, "%x", i / 2);
		tell(group, i % 2 + 1);
	}
	step();
	assert_int_equal(tellers[0].parcel->count, 20);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(tellers[0].parcel->notices[i]->sequence, i % 2 + 1);
	const struct cw_delivered half = {sizeof half, CW_TRY_AGAIN, 0, "ada", NULL, false};
	answer_by(&tellers[0], &half, "bob");
	step();
	assert_int_equal(tellers[0].parcel->count, 10); /* the others; they have nothing in common with the first */
	assert_null(given()->progress);
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().sent, 10);
	step_later(3 * CW_SECOND);
	assert_int_equal(tellers[0].parcel->count, 20);
	assert_string_equal(given()->progress, "ada");
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().sent, 30);
}

static void ten__go_one_by_one(void **state)
{
	(void)state;
	tellers[0].digest_max = 20;
	for (uint32_t i = 1; i <= 10; i++)
		tell("a", i);
	for (uint32_t i = 1; i <= 10; i++) {
		step();
		assert_int_equal(tellers[0].parcel->count, 1);
		assert_int_equal(given()->sequence, i);
		answer(CW_DELIVERED, NULL);
	}
}

/* One that cannot be told takes no other with it. */
static void digest_that_is_refused__is_told_one_by_one(void **state)
{
	(void)state;
	tellers[0].digest_max = 20;
	for (uint32_t i = 1; i <= 12; i++)
		tell("a", i);
	step();
	assert_int_equal(tellers[0].parcel->count, 12);
	answer(CW_REFUSED, "400 invalid_blocks");
	for (uint32_t i = 1; i <= 12; i++) {
		assert_int_equal(tellers[0].parcel->count, 1);
		assert_int_equal(given()->sequence, i);
		answer(i == 5 ? CW_REFUSED : CW_DELIVERED, "400 invalid_blocks");
	}
	assert_int_equal(counts().sent, 11);
	assert_int_equal(counts().dead, 1);
}

/* ---- tests: notifiers that are not well ---- */

static void notifier_that_does_not_run__loses_nothing(void **state)
{
	(void)state;
	tellers[0].runs = false;
	tell("a", 1);
	for (int i = 0; i < 100; i++) {
		step_later(600 * CW_SECOND);
		assert_int_equal(counts().waiting, 1);
	}
	tellers[0].runs = true;
	step_later(CW_SECOND); /* nobody says so: it is looked */
	assert_given("a: 1");
	assert_int_equal(given()->attempt, 1);
	tellers[0].is_left_behind = true;
	step_later(CW_SECOND);
	answer(CW_DELIVERED, NULL); /* its thread comes back, too late */
	tellers[0].is_left_behind = false;
	step_later(3 * CW_SECOND);
	assert_given("a: 1");
	assert_true(given()->is_doubtful);
}

static void notifier_that_is_not_configured_any_more__is_given_up_after_a_day(void **state)
{
	(void)state;
	tellers[0].is_there = false;
	tell("a", 1);
	step_later(86399 * CW_SECOND);
	assert_int_equal(counts().dead, 0);
	step_later(CW_SECOND);
	assert_int_equal(counts().dead, 1);
	assert_non_null(strstr(words("a"), "there is no such notifier"));
}

static void no_word_within_two_minutes__is_doubtful(void **state)
{
	(void)state;
	tell("a", 1);
	step();
	struct parcel *parcel = tellers[0].parcel;
	step_later(119 * CW_SECOND);
	assert_false(parcel_is_settled(parcel));
	step_later(CW_SECOND);
	assert_true(parcel_is_settled(parcel));
	tellers[0].parcel = NULL; /* it is started anew */
	parcel_unref(parcel);
	step_later(3 * CW_SECOND);
	assert_given("a: 1");
	assert_true(given()->is_doubtful);
	assert_int_equal(given()->attempt, 2);
}

/* ---- tests: the action `test` ---- */

static struct {
	int count;
	bool delivered;
	char text[PARCEL_REASON_MAX];
} tested;

static void on_tested(void *arg, bool delivered, const char *text)
{
	assert_ptr_equal(arg, &tested);
	tested.count++;
	tested.delivered = delivered;
	snprintf(tested.text, sizeof tested.text, "%s", text);
}

static void try_it(void)
{
	tested.count = 0;
	assert_int_equal(deliveries_test(deliveries, "slack", "ada", wall_ns, on_tested, &tested), 0);
	step();
}

static void test__goes_the_way_of_all_and_its_end_is_told(void **state)
{
	(void)state;
	try_it();
	assert_int_equal(given()->kind, CW_NOTICE_TEST);
	assert_non_null(strstr(given()->title, "ada tries whether slack works"));
	assert_int_equal(tested.count, 0);
	answer(CW_DELIVERED, NULL);
	assert_int_equal(tested.count, 1);
	assert_true(tested.delivered);
	assert_int_equal(counts().sent, 0); /* it is no notification of anything */
	try_it();
	answer(CW_REFUSED, "404 no_such_channel");
	assert_false(tested.delivered);
	assert_string_equal(tested.text, "404 no_such_channel");
	assert_int_equal(counts().dead, 0);
}

static void test_that_fails__is_given_up_after_5_min(void **state)
{
	(void)state;
	try_it();
	for (int i = 0; i < 600 && tested.count == 0; i++) {
		if (!is_idle())
			answer(CW_TRY_AGAIN, "503");
		step_later(CW_SECOND);
	}
	assert_int_equal(tested.count, 1);
	assert_false(tested.delivered);
	try_it();
	answer(CW_TRY_AGAIN, "503");
	tellers[0].is_there = false; /* it is taken out meanwhile */
	step_later(301 * CW_SECOND);
	assert_int_equal(tested.count, 1);
	assert_non_null(strstr(tested.text, "there is no such notifier; before: 503"));
	try_it();
	deliveries_free(deliveries);
	deliveries = NULL;
	assert_int_equal(tested.count, 1);
	assert_non_null(strstr(tested.text, "the agent ends"));
}

/* ---- tests: what the journal knew ---- */

static struct journal_delivery known(const char *id, enum delivery_state state, const char *json)
{
	return (struct journal_delivery){.id = id,
					 .notifier = "slack",
					 .group = "a",
					 .incident = "a-1",
					 .rule = "call-stale",
					 .sequence = 1,
					 .attempts = 2,
					 .state = (int)state,
					 .since = wall_ns - 60 * CW_SECOND,
					 .created_at = wall_ns - 60 * CW_SECOND,
					 .settled_at = state >= DELIVERY_SENT ? wall_ns : 0,
					 .progress = "ada",
					 .notice = json};
}

static void earlier_life__goes_on_where_it_was(void **state)
{
	(void)state;
	struct notice *notice = make_notice("a", 1);
	char *json = notice_to_json(notice);
	struct journal_delivery sending = known("a-1-1-x", DELIVERY_SENDING, json),
				queued = known("a-1-2-x", DELIVERY_QUEUED, json),
				sent = known("s", DELIVERY_SENT, NULL);
	queued.sequence = 2;
	queued.next_try = wall_ns + 100 * CW_SECOND;
	sent.incident = "b-1";
	tell("a", 3); /* of this life: after those of the earlier one */
	assert_int_equal(deliveries_receipt(deliveries, "a-1", "slack", "message 0"), 0);
	assert_int_equal(deliveries_restore(deliveries, &sent, now_ns, wall_ns), 0);
	assert_int_equal(deliveries_restore(deliveries, &sending, now_ns, wall_ns), 0);
	assert_int_equal(deliveries_restore(deliveries, &queued, now_ns, wall_ns), 0);
	step();
	assert_string_equal(given()->id, "a-1-1-x");
	assert_true(given()->is_doubtful);
	assert_int_equal(given()->attempt, 3);
	assert_string_equal(given()->progress, "ada");
	assert_string_equal(given()->receipt, "message 0");
	answer(CW_DELIVERED, NULL);
	assert_true(is_idle());
	step_later(100 * CW_SECOND);
	assert_string_equal(given()->id, "a-1-2-x");
	assert_false(given()->is_doubtful); /* it was queued: it was not sent */
	answer(CW_DELIVERED, NULL);
	assert_given("a: 3");
	assert_non_null(strstr(words("b"), "slack "));
	assert_int_equal(counts().sent, 2); /* of this life */
	notice_unref(notice);
	free(json);
}

/* Retry-After holds over a crash: for all of the notifier, whichever notice it was an answer to. */
static void retry_after_of_an_earlier_life__is_not_undercut(void **state)
{
	(void)state;
	struct notice *notice = make_notice("a", 1);
	char *json = notice_to_json(notice);
	struct journal_delivery waits = known("a-1-1-x", DELIVERY_QUEUED, json), sent = known("s", DELIVERY_SENT, NULL);
	waits.not_before = wall_ns + 30 * CW_SECOND;
	sent.not_before = wall_ns + 60 * CW_SECOND;
	assert_int_equal(deliveries_restore(deliveries, &waits, now_ns, wall_ns), 0);
	assert_int_equal(deliveries_restore(deliveries, &sent, now_ns, wall_ns), 0);
	tell("b", 1);
	for (int i = 0; i < 59; i++) {
		step_later(CW_SECOND);
		assert_true(is_idle());
	}
	step_later(CW_SECOND);
	assert_string_equal(given()->id, "a-1-1-x");
	notice_unref(notice);
	free(json);
}

static void what_cannot_be_read__is_lost_loudly(void **state)
{
	(void)state;
	struct journal_delivery broken = known("x", DELIVERY_QUEUED, "{\"id\": "),
				none = known("y", DELIVERY_SENDING, NULL);
	assert_int_equal(deliveries_restore(deliveries, &broken, now_ns, wall_ns), -EINVAL);
	assert_int_equal(deliveries_restore(deliveries, &none, now_ns, wall_ns), -EINVAL);
	assert_int_equal(counts().dead, 2);
	assert_int_equal(counts().waiting, 0);
	assert_non_null(strstr(words("a"), "cannot be read any more"));
	struct notice *notice = make_notice("a", 1);
	char *json = notice_to_json(notice);
	struct journal_delivery test = known("z", DELIVERY_SENDING, json);
	test.kind = CW_NOTICE_TEST;
	assert_int_equal(deliveries_restore(deliveries, &test, now_ns, wall_ns), 0);
	step();
	assert_true(is_idle()); /* who tried it has gone */
	assert_int_equal(counts().dead, 2);
	notice_unref(notice);
	free(json);
}

/* A wall clock that was wrong, or an old file: the day that is left is never more than one, and what is older is told
 * to nobody. */
static void times_of_an_earlier_life__are_clamped(void **state)
{
	(void)state;
	struct notice *notice = make_notice("a", 1);
	char *json = notice_to_json(notice);
	struct journal_delivery ancient = known("1", DELIVERY_SENDING, json),
				future = known("2", DELIVERY_QUEUED, json), young = known("3", DELIVERY_QUEUED, json);
	ancient.created_at = wall_ns - 86401 * CW_SECOND;
	young.created_at = wall_ns - 86390 * CW_SECOND;
	young.group = young.incident = "c";
	future.group = future.incident = "b";
	future.created_at = wall_ns + 1000 * 86400 * CW_SECOND;
	assert_int_equal(deliveries_restore(deliveries, &ancient, now_ns, wall_ns), 0);
	assert_int_equal(deliveries_restore(deliveries, &young, now_ns, wall_ns), 0);
	assert_int_equal(deliveries_restore(deliveries, &future, now_ns, wall_ns), 0);
	assert_int_equal(counts().dead, 1);
	assert_non_null(strstr(words("a"), "slack lost (it was more than a day old"));
	step();
	assert_string_equal(given()->id, "3");
	answer(CW_DELIVERED, NULL);
	assert_string_equal(given()->id, "2");
	answer(CW_TRY_AGAIN, "503");
	tellers[0].is_there = false;
	step_later(86401 * CW_SECOND);
	assert_int_equal(counts().dead, 2);
	assert_int_equal(tellers[0].offers, 2);
	notice_unref(notice);
	free(json);
}

/* Somebody's mailbox is full: the others hear of what comes next. */
static void notice_that_some_have__is_not_waited_for(void **state)
{
	(void)state;
	struct cw_delivered some = {
		.size = sizeof some, .outcome = CW_TRY_AGAIN, .progress = "{\"has\":[\"ops\"]}", .is_partial = true};
	tell("a", 1);
	step();
	answer_by(&tellers[0], &some, "1 of 2 recipients have it");
	tell("b", 1);
	tell("a", 2);
	step();
	assert_given("b: 1");
	answer(CW_DELIVERED, NULL);
	assert_given("a: 2");
	assert_int_equal(counts().sent, 2); /* it has taken the place of the first */
	answer_by(&tellers[0], &some, "1 of 2 recipients have it");
	step();
	assert_true(is_idle());
	step_later(600 * CW_SECOND);
	assert_given("a: 2");
	answer(CW_DELIVERED, NULL);
	assert_int_equal(counts().sent, 3);
	assert_true(is_idle());
	/* without that word order is kept */
	some.is_partial = false;
	tell("c", 1);
	step();
	answer_by(&tellers[0], &some, "the root is there, the reply is not");
	tell("c", 2);
	step();
	assert_true(is_idle());
}

/* After a reload no route leads to email any more. */
static void end_of_an_incident__goes_to_all_that_have_heard_of_it(void **state)
{
	(void)state;
	tell_to("slack", "a", 1);
	tell_to("email", "a", 1);
	tell_to("email", "b", 1);
	step();
	answer(CW_DELIVERED, NULL);
	settle_with(&tellers[1], CW_DELIVERED);
	settle_with(&tellers[1], CW_DELIVERED);
	tell_to("slack", "a", 2); /* that it changed it need not know */
	step();
	answer(CW_DELIVERED, NULL);
	assert_null(tellers[1].parcel);
	kind_made = CW_NOTICE_RESOLVED;
	tell_to("slack", "a", 3);
	step();
	answer(CW_DELIVERED, NULL);
	assert_non_null(tellers[1].parcel);
	assert_string_equal(tellers[1].parcel->notices[0]->title, "a: 3");
	settle_with(&tellers[1], CW_DELIVERED);
	tell_to("slack", "a", 4);
	step();
	assert_null(tellers[1].parcel); /* once */
	kind_made = CW_NOTICE_FIRING;
}

static void clock_that_was_set_back__holds_nothing_for_longer_than_it_would_have_had_to(void **state)
{
	(void)state;
	struct notice *notice = make_notice("a", 1);
	char *json = notice_to_json(notice);
	struct journal_delivery waits = known("1", DELIVERY_QUEUED, json);
	waits.next_try = wall_ns + 10 * 3600 * CW_SECOND;
	assert_int_equal(deliveries_restore(deliveries, &waits, now_ns, wall_ns), 0);
	char next_try[32];
	time_t seconds = (time_t)(wall_ns / CW_SECOND) + 300;
	strftime(next_try, sizeof next_try, "next try %H:%M:%S", localtime(&seconds));
	assert_non_null(strstr(words("a"), next_try));
	step_later(299 * CW_SECOND);
	assert_true(is_idle());
	step_later(2 * CW_SECOND);
	assert_string_equal(given()->id, "1");
	answer(CW_DELIVERED, NULL);
	waits.id = "2";
	waits.next_try = 0;
	waits.not_before = wall_ns + 10 * 3600 * CW_SECOND;
	assert_int_equal(deliveries_restore(deliveries, &waits, now_ns, wall_ns), 0);
	step_later(3599 * CW_SECOND);
	assert_true(is_idle());
	step_later(2 * CW_SECOND);
	assert_string_equal(given()->id, "2");
	answer(CW_DELIVERED, NULL);
	waits.id = "3";
	waits.created_at = wall_ns;
	waits.not_before = wall_ns + 10 * 3600 * CW_SECOND;
	waits.written_at = waits.not_before - 30 * CW_SECOND; /* it was asked to wait for 30 s */
	assert_int_equal(deliveries_restore(deliveries, &waits, now_ns, wall_ns), 0);
	step_later(29 * CW_SECOND);
	assert_true(is_idle());
	step_later(2 * CW_SECOND);
	assert_string_equal(given()->id, "3");
	answer(CW_DELIVERED, NULL);
	notice_unref(notice);
	free(json);
}

static void notifier_that_takes_nothing__is_asked_less_and_less_and_not_for_ever(void **state)
{
	(void)state;
	tellers[0].takes_nothing = true;
	tell("a", 1);
	for (int64_t waited = 0; waited <= 86400; waited += 10)
		step_later(10 * CW_SECOND);
	step_later(600 * CW_SECOND);
	assert_int_equal(counts().dead, 1);
	assert_in_range(tellers[0].offers, 86400 / 300, 86400 / 100);
}

/* ---- a journal that has no room ---- */

static void tell_and_deliver(const char *group)
{
	tell(group, 1);
	step_later(3 * CW_SECOND); /* nobody says that it is written, nor … */
	step_later(3 * CW_SECOND); /* … that it is written that it is sent */
	answer(CW_DELIVERED, NULL);
}

/* What is in sight after many others; `journal`: that has no thread. */
static const char *words_after_many(struct journal *journal)
{
	const struct deliveries_options options = {
		.hub = hub, .box = box, .hostname = "h", .way = &way, .journal = journal};
	char group[16];
	deliveries_free(deliveries);
	deliveries = deliveries_new(&options);
	tell_and_deliver("a");
	for (int i = 0; i < 1005; i++) {
		snprintf(group, sizeof group, "b%d", i);
		tell_and_deliver(group);
	}
	return words("a");
}

static void what_was_delivered_and_is_not_in_the_journal__is_kept_for_a_rewriting(void **state)
{
	(void)state;
	struct journal_options options = {.folder = "/nowhere", .bytes_max = 1};
	struct journal *without_room = journal_new(&options), *with_room = NULL;
	assert_string_not_equal(words_after_many(without_room), "");
	assert_false(deliveries_rewrite(deliveries, 1));
	options.bytes_max = 0;
	with_room = journal_new(&options);
	assert_string_equal(words_after_many(with_room), "");
	assert_true(deliveries_rewrite(deliveries, 1));
	deliveries_free(deliveries);
	deliveries = NULL;
	journal_free(without_room);
	journal_free(with_room);
}

/* Of an incident whose last notice is not in sight any more: nothing else says which message it is. */
static void receipts__are_in_a_rewriting_too(void **state)
{
	(void)state;
	struct journal_options options = {.folder = "/nowhere", .bytes_max = 1};
	struct journal *without_room = journal_new(&options);
	const struct deliveries_options with = {
		.hub = hub, .box = box, .hostname = "h", .way = &way, .journal = without_room};
	deliveries_free(deliveries);
	deliveries = deliveries_new(&with);
	assert_true(deliveries_rewrite(deliveries, 1));
	assert_int_equal(deliveries_receipt(deliveries, "a-1", "slack", "message 1"), 0);
	assert_false(deliveries_rewrite(deliveries, 1));
	assert_int_equal(journal_lost(without_room), 1);
	deliveries_free(deliveries);
	deliveries = NULL;
	journal_free(without_room);
}

/* ---- many ---- */

enum { FLEET = 20000 };

static uint32_t changes;

static void on_changed(void *arg, const char *group)
{
	(void)arg;
	(void)group;
	changes++;
}

/* As when each call of a fleet is a group of its own, and the receiver is away: it would take minutes if anything that
 * comes looked at all that is there. */
static void thousands_of_groups__are_told_written_and_described(void **state)
{
	(void)state;
	char group[32], incident[32], text[160];
	tellers[0].runs = false;
	for (uint32_t i = 0; i < FLEET; i++) {
		snprintf(group, sizeof group, "%06x", i);
		tell(group, 1);
	}
	step(); /* the journal's word on each comes */
	for (uint32_t i = 0; i < FLEET; i++) {
		snprintf(incident, sizeof incident, "%06x-1", i);
		deliveries_describe(deliveries, incident, text, sizeof text);
		assert_string_equal(text, "slack queued");
	}
	assert_int_equal(counts().waiting, FLEET);
	step_later(86400 * CW_SECOND + 1); /* all are given up, the last to be looked at too */
	assert_int_equal(counts().waiting, 0);
	assert_int_equal(counts().dead, FLEET);
	deliveries_describe(deliveries, incident, text, sizeof text);
	assert_string_equal(text, "slack lost (given up: the notifier does not run)");
	deliveries_describe(deliveries, "000000-1", text, sizeof text);
	assert_string_equal(text, ""); /* only the last that are settled are known */
}

static void thousands_of_an_earlier_life__go_on_in_their_order(void **state)
{
	(void)state;
	char id[32], receipt[32];
	tellers[0].runs = false;
	tell("ffffff", 1);
	for (uint32_t i = 0; i < FLEET; i++) {
		snprintf(id, sizeof id, "%06x-1", i);
		snprintf(receipt, sizeof receipt, "receipt %u", i);
		struct notice *notice = make_notice("0", i + 1);
		char *json = notice_to_json(notice);
		const struct journal_delivery known = {.id = id,
						       .notifier = "slack",
						       .group = "0",
						       .incident = "0-1",
						       .rule = "call-stale",
						       .sequence = i + 1,
						       .created_at = wall_ns,
						       .since = wall_ns,
						       .notice = json};
		assert_int_equal(deliveries_restore(deliveries, &known, now_ns, wall_ns), 0);
		assert_int_equal(deliveries_receipt(deliveries, id, "slack", receipt), 0);
		notice_unref(notice);
		free(json);
	}
	tellers[0].runs = true;
	deliveries_instance(deliveries, "slack", true);
	step();
	assert_given("0: 1");
	answer(CW_DELIVERED, "");
	step();
	assert_given("0: 2");
}

static void change_of_a_delivery__is_told_to_who_describes_it(void **state)
{
	(void)state;
	const struct deliveries_options options = {
		.hub = hub, .box = box, .hostname = "h", .way = &way, .changed = on_changed};
	deliveries_free(deliveries);
	deliveries = deliveries_new(&options);
	changes = 0;
	tell("1", 1);
	step();
	assert_in_range(changes, 1, 10);
	changes = 0;
	step_later(CW_SECOND);
	assert_int_equal(changes, 0); /* nothing has happened */
	answer(CW_DELIVERED, "");
	step();
	assert_in_range(changes, 1, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(notice__is_told_once_and_counted),
		TEST(notice_for_two__goes_two_ways),
		TEST(failures__are_tried_again_after_pauses_that_grow),
		TEST(progress_and_doubt__are_given_to_the_next_attempt),
		TEST(receipt__is_given_to_the_incidents_next_notice),
		TEST(refused__is_dead_at_once),
		TEST(reason__that_is_long__ends_where_a_character_does),
		TEST(after_a_day__it_is_dead),
		TEST(order__is_kept_within_a_group_and_others_pass),
		TEST(success__ends_the_pauses_of_others),
		TEST(retry_after__holds_all_of_the_notifier),
		TEST(many_that_wait__go_as_one),
		TEST(ten__go_one_by_one),
		TEST(digest_that_is_refused__is_told_one_by_one),
		TEST(notifier_that_does_not_run__loses_nothing),
		TEST(notifier_that_is_not_configured_any_more__is_given_up_after_a_day),
		TEST(no_word_within_two_minutes__is_doubtful),
		TEST(test__goes_the_way_of_all_and_its_end_is_told),
		TEST(test_that_fails__is_given_up_after_5_min),
		TEST(earlier_life__goes_on_where_it_was),
		TEST(retry_after_of_an_earlier_life__is_not_undercut),
		TEST(what_cannot_be_read__is_lost_loudly),
		TEST(notice_that_some_have__is_not_waited_for),
		TEST(end_of_an_incident__goes_to_all_that_have_heard_of_it),
		TEST(times_of_an_earlier_life__are_clamped),
		TEST(clock_that_was_set_back__holds_nothing_for_longer_than_it_would_have_had_to),
		TEST(notifier_that_takes_nothing__is_asked_less_and_less_and_not_for_ever),
		TEST(what_was_delivered_and_is_not_in_the_journal__is_kept_for_a_rewriting),
		TEST(receipts__are_in_a_rewriting_too),
		TEST(thousands_of_groups__are_told_written_and_described),
		TEST(thousands_of_an_earlier_life__go_on_in_their_order),
		TEST(change_of_a_delivery__is_told_to_who_describes_it),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
