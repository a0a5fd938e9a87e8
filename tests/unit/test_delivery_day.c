/* SPDX-License-Identifier: MIT
 *
 * A day of receivers that are rarely well (429 with Retry-After, 5xx, cut before the answer, never a word, greylisting,
 * restarts), simulated second by second with the real groups and the real deliveries: nothing that was told is lost,
 * the order of a group is kept, Retry-After is never undercut, what comes twice has one id and says that it may have
 * come.
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
#include "log.h"
#include "mailbox.h"
#include "parcel.h"
#include "rules_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { SECONDS = 24 * 3600, CALM_FROM = 20 * 3600, SUBJECTS = 12, RULES = 4, NOTICES_MAX = 20000 };

/* ---- the clock, and chance ---- */

static int64_t second; /* since the day began */

static int64_t fake_now(void)
{
	return (1000 + second) * CW_SECOND;
}

static int64_t fake_wall(void)
{
	return (1800000000 + second) * CW_SECOND;
}

static const struct clock_source source = {fake_now, fake_wall, fake_now};
static uint64_t chance;

static uint32_t below(uint32_t limit)
{
	chance = chance * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(chance >> 33) % limit;
}

/* ---- what was told, and what arrived ---- */

struct letter {
	char id[NOTICE_ID_MAX + 1], group[NOTICE_ID_MAX + 1];
	const struct letter *before; /* of the same group; NULL: it was the first */
	int arrived;
};

/* A receiver, with its mood, which changes now and then. */
enum mood { WELL, SLOW_DOWN, BROKEN, CUTS, SILENT, RESTARTS, MOODS };
static struct receiver {
	const char *name;
	uint32_t digest_max;
	bool greylists;
	enum mood mood;
	int64_t mood_until;
	int64_t not_before; /* it said so */
	struct parcel *parcel;
	int64_t answers_at;
	struct letter *letters;
	int count, attempts, digests, doubles, undercut, unmarked, disorder;
} receivers[] = {{.name = "slack", .digest_max = 20}, {.name = "email", .greylists = true}, {.name = "webhook"}};
enum { RECEIVERS = sizeof receivers / sizeof *receivers };

static struct receiver *find(const char *name)
{
	for (int i = 0; i < RECEIVERS; i++)
		if (strcmp(receivers[i].name, name) == 0)
			return &receivers[i];
	fail_msg("who is %s?", name);
	return NULL;
}

static struct letter *find_letter(struct receiver *receiver, const char *id)
{
	for (int i = receiver->count; i-- > 0;)
		if (strcmp(receiver->letters[i].id, id) == 0)
			return &receiver->letters[i];
	fail_msg("%s got %s, which nobody told", receiver->name, id);
	return NULL;
}

static void arrive(struct receiver *receiver)
{
	for (uint32_t i = 0; i < receiver->parcel->count; i++) {
		const struct cw_notice *notice = receiver->parcel->notices[i];
		struct letter *letter = find_letter(receiver, notice->id);
		receiver->disorder += letter->before && !letter->before->arrived;
		receiver->doubles += letter->arrived > 0;
		receiver->unmarked += letter->arrived > 0 && !notice->is_doubtful;
		letter->arrived++;
	}
}

static void say(struct receiver *receiver, enum cw_delivery outcome, int64_t not_before, const char *progress)
{
	const struct cw_delivered delivered = {sizeof delivered, outcome, not_before, progress, NULL, false};
	parcel_settle(receiver->parcel, &delivered, "as it is");
	parcel_unref(receiver->parcel);
	receiver->parcel = NULL;
}

/* A mail server that has not seen these two before says "later" to the one, and takes the other. */
static bool is_greylisted(const struct receiver *receiver)
{
	return receiver->greylists && !receiver->parcel->notices[0]->progress && below(3) > 0;
}

static void answer(struct receiver *receiver)
{
	if (receiver->mood == SILENT)
		return;
	if (receiver->mood == SLOW_DOWN) {
		receiver->not_before = fake_now() + (1 + below(1800)) * CW_SECOND;
		say(receiver, CW_TRY_AGAIN, receiver->not_before, NULL);
	} else if (receiver->mood == BROKEN) {
		say(receiver, CW_TRY_AGAIN, 0, NULL);
	} else if (receiver->mood == CUTS) {
		if (below(2))
			arrive(receiver);
		say(receiver, CW_DOUBTFUL, 0, NULL);
	} else if (is_greylisted(receiver)) {
		say(receiver, CW_TRY_AGAIN, 0, "ada");
	} else {
		arrive(receiver);
		say(receiver, CW_DELIVERED, 0, NULL);
	}
}

static void live(struct receiver *receiver)
{
	if (second >= CALM_FROM) {
		receiver->mood = WELL;
	} else if (second >= receiver->mood_until) {
		receiver->mood = below(MOODS);
		receiver->mood_until = second + 30 + below(2400);
	}
	if (receiver->parcel &&
	    parcel_is_settled(receiver->parcel)) { /* nobody waits for it any more: it starts anew */
		parcel_unref(receiver->parcel);
		receiver->parcel = NULL;
	}
	if (receiver->parcel && receiver->mood == RESTARTS)
		say(receiver, CW_DOUBTFUL, 0, NULL);
	if (receiver->parcel && second >= receiver->answers_at)
		answer(receiver);
}

static bool look(void *arg, const char *name, struct notifier *ret_notifier)
{
	(void)arg;
	const struct receiver *receiver = find(name);
	*ret_notifier = (struct notifier){receiver->mood != RESTARTS, receiver->digest_max ? receiver->digest_max : 1};
	return true;
}

static int offer(void *arg, const char *name, struct parcel *parcel)
{
	(void)arg;
	struct receiver *receiver = find(name);
	assert_null(receiver->parcel);
	receiver->parcel = parcel_ref(parcel);
	receiver->answers_at = second + below(5);
	receiver->attempts++;
	receiver->digests += parcel->count > 1;
	receiver->undercut += fake_now() < receiver->not_before;
	return 0;
}

static bool has(void *arg, const struct parcel *parcel)
{
	(void)arg;
	(void)parcel;
	return true;
}

/* ---- the agent's side ---- */

static struct deliveries *deliveries;
static uint32_t notices;

static void tell(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n)
{
	(void)arg;
	assert_int_equal(deliveries_tell(deliveries, group, notice, notifiers, n, fake_wall()), 0);
	notices++;
	for (uint32_t i = 0; i < n; i++) {
		struct receiver *receiver = find(notifiers[i]);
		struct notice *own = notice_for(notice, notifiers[i]);
		assert_in_range(receiver->count, 0, NOTICES_MAX - 1);
		struct letter *letter = &receiver->letters[receiver->count];
		snprintf(letter->id, sizeof letter->id, "%s", own->said.id);
		snprintf(letter->group, sizeof letter->group, "%s", own->said.group);
		for (const struct letter *before = letter; before-- > receiver->letters && !letter->before;)
			letter->before = strcmp(before->group, letter->group) == 0 ? before : NULL;
		receiver->count++;
		notice_unref(own);
	}
}

static void nothing(void *arg, struct alert *alert)
{
	(void)arg;
	(void)alert;
}

static void on_settled(void *arg, struct alert *alert)
{
	(void)arg;
	alert->counted_as = -2; /* it may be freed */
}

static struct alert *fire(struct groups *groups, const struct ruleset *ruleset, uint32_t rule_number, uint32_t subject)
{
	char rule[16], key[16];
	snprintf(rule, sizeof rule, "rule-%u", rule_number);
	snprintf(key, sizeof key, "CA%u", subject);
	struct alert *alert = alert_new(rule, "calls", key, "calls");
	assert_non_null(alert);
	alert->rule = ruleset_find(ruleset, rule);
	assert_non_null(alert->rule);
	alert_begin(alert, fake_wall());
	alert->state = ALERT_FIRING;
	alert->firing_since = fake_wall();
	groups_add(groups, alert, fake_now());
	return alert;
}

/* Each subject of each rule fires and ends, with pauses of minutes. */
static void happen(struct groups *groups, const struct ruleset *ruleset, struct alert *alerts[RULES][SUBJECTS])
{
	for (uint32_t rule = 0; rule < RULES; rule++)
		for (uint32_t subject = 0; subject < SUBJECTS; subject++) {
			struct alert **alert = &alerts[rule][subject];
			if (*alert && (*alert)->counted_as == -2) {
				alert_free(*alert);
				*alert = NULL;
			}
			if (!*alert && second < CALM_FROM && below(3600) == 0) {
				*alert = fire(groups, ruleset, rule, subject);
			} else if (*alert && (*alert)->state == ALERT_FIRING &&
				   (second >= CALM_FROM || below(600) == 0)) {
				(*alert)->state = ALERT_RESOLVED;
				(*alert)->resolved_at = fake_wall();
				(*alert)->reason = "recovered";
				groups_touch(groups, *alert, fake_now());
			}
		}
}

static struct plan *make_plan(void)
{
	struct problems problems;
	static const char plugins[] = "plugins:\n"
				      "  - { plugin: steady, name: calls }\n"
				      "  - { plugin: herald-digests, name: slack, path: /dev/null }\n"
				      "  - { plugin: herald, name: email, path: /dev/null }\n"
				      "  - { plugin: herald, name: webhook, path: /dev/null }\n";
	char rules[2048] = "notify: { group_wait: 10s, group_interval: 1m }\nrules:\n";
	for (int i = 0; i < RULES; i++)
		snprintf(rules + strlen(rules), sizeof rules - strlen(rules),
			 "  - { name: rule-%d, table: instances, where: [state=down] }\n", i);
	struct plan *plan = rules_plan(plugins, rules, &problems);
	if (!plan)
		fail_msg("%s", problems.list[0].message);
	problems_release(&problems);
	return plan;
}

static void check(const struct receiver *receiver)
{
	print_message("%s: %d notices, %d attempts, %d digests, %d came twice\n", receiver->name, receiver->count,
		      receiver->attempts, receiver->digests, receiver->doubles);
	int lost = 0;
	for (int i = 0; i < receiver->count; i++)
		lost += receiver->letters[i].arrived == 0;
	assert_int_equal(lost, 0);
	assert_int_equal(receiver->disorder, 0);
	assert_int_equal(receiver->undercut, 0);
	assert_int_equal(receiver->unmarked, 0);
	assert_in_range(receiver->count, 500, NOTICES_MAX); /* else it was no day */
}

static void day_of_receivers_that_are_rarely_well__loses_nothing(void **state)
{
	(void)state;
	static struct alert *alerts[RULES][SUBJECTS];
	static const struct hub_options hub_options = {
		.hostname = "h", .version = "test", .interval = 3600 * CW_SECOND};
	static const struct delivery_way way = {look, offer, has, NULL};
	uv_loop_t loop;
	log_open(LOG_TEXT, CW_ERROR + 1);
	log_close(); /* the level stays; the thread would read a clock that the test turns */
	clock_set_source(&source);
	struct plan *plan = make_plan();
	struct hub *hub = hub_new(&hub_options);
	struct mailbox *box = mailbox_new(100000);
	uv_loop_init(&loop);
	mailbox_attach(box, &loop, NULL);
	struct silences *silences = silences_new();
	struct groups_options groups_options = {
		.tables = hub_tables(hub), .hostname = "h", .tell = tell, .show = nothing, .settled = on_settled};
	struct groups *groups = groups_new(&groups_options, silences);
	groups_use(groups, plan->ruleset);
	const struct deliveries_options options = {.hub = hub, .box = box, .hostname = "h", .way = &way};
	deliveries = deliveries_new(&options);
	const char *seed = getenv("CALLWATCH_SEED");
	chance = seed ? strtoull(seed, NULL, 10) : 1;
	for (int i = 0; i < RECEIVERS; i++)
		receivers[i].letters = calloc(NOTICES_MAX, sizeof(struct letter));
	for (second = 0; second < SECONDS; second++) {
		happen(groups, plan->ruleset, alerts);
		groups_step(groups, fake_now(), fake_wall());
		for (int i = 0; i < RECEIVERS; i++)
			live(&receivers[i]);
		uv_run(&loop, UV_RUN_NOWAIT);
		deliveries_step(deliveries, fake_now(), fake_wall());
	}
	struct delivery_counts counts;
	deliveries_counts(deliveries, &counts);
	assert_int_equal(counts.dead, 0);
	assert_int_equal(counts.waiting, 0);
	assert_int_equal(counts.sent, RECEIVERS * notices);
	for (int i = 0; i < RECEIVERS; i++) {
		check(&receivers[i]);
		free(receivers[i].letters);
	}
	mailbox_close(box);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	mailbox_unref(box);
	deliveries_free(deliveries);
	groups_free(groups);
	silences_free(silences);
	for (uint32_t i = 0; i < RULES * SUBJECTS; i++)
		alert_free(alerts[i / SUBJECTS][i % SUBJECTS]);
	plan_unref(plan);
	hub_free(hub);
	clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(day_of_receivers_that_are_rarely_well__loses_nothing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
