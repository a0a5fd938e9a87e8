/* SPDX-License-Identifier: MIT
 *
 * See delivery_private.h. This file is what goes out: in each step a lane takes in what became of the attempt under
 * way, or picks the next one; that it is sent is journaled first, and only then is the notifier given it.
 *
 * What is picked. The first of each group whose time has come. If more than ten wait, and the notifier can tell of many
 * at once, all whose time has come, with those behind them in their groups; but what was tried together before stays
 * together, because what the notifier wants to be kept (`progress`) is of all of them; and what was refused together is
 * tried one by one, so that one that cannot be told takes no other with it.
 */
#include "delivery_private.h"

#include "clock.h"
#include "hub.h"
#include "journal_alerts.h"
#include "parcel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t word_of_plugin_ns = 120 * CW_SECOND; /* how long a notifier has to say what became of it */
static const int64_t look_ns = CW_SECOND;                 /* how often is looked at what tells nobody */
static const int64_t longest_wait_ns = 60 * CW_SECOND;    /* then it is looked for what is to be given up */
static const int64_t hurry_ns = 30 * CW_SECOND;           /* at most so often pauses are cut short */

/* ---- what became of it ---- */

/* Waits for its next try, which is `due` later. */
static void put_back(struct deliveries *deliveries, struct delivery *delivery, int64_t pause)
{
	delivery->stage = STAGE_WAITING;
	delivery->state = DELIVERY_QUEUED;
	int64_t wait = delivery->lane->not_before - deliveries->now; /* it may have been asked to wait longer */
	delivery->due = deliveries->now + (wait > pause ? wait : pause);
	delivery->next_try = deliveries->wall + (wait > pause ? wait : pause);
	delivery->is_awaited = false;
	delivery_journal(deliveries, delivery, /* receipt */ NULL, /* ticket */ 0);
	delivery_show(deliveries, delivery);
}

static void say_retry(struct deliveries *deliveries, const struct delivery *delivery)
{
	hub_event(deliveries->options.hub, "notification", delivery->rule, delivery_state_names[DELIVERY_SENDING],
		  delivery_state_names[DELIVERY_QUEUED], delivery->lane->notifier, delivery->reason);
	pthread_mutex_lock(&deliveries->lock);
	deliveries->counts.retried++;
	pthread_mutex_unlock(&deliveries->lock);
}

static void bury(struct deliveries *deliveries, struct delivery *delivery, const char *reason)
{
	delivery_settle(deliveries, delivery, DELIVERY_DEAD, reason);
	delivery_journal(deliveries, delivery, /* receipt */ NULL, /* ticket */ 0);
}

static void on_failed(struct deliveries *deliveries, struct delivery *delivery, const struct parcel_outcome *outcome,
		      int64_t pause)
{
	char *progress = outcome->progress ? strdup(outcome->progress) : NULL;
	if (progress) {
		free(delivery->progress);
		delivery->progress = progress;
	}
	delivery->is_doubtful |= outcome->outcome == CW_DOUBTFUL;
	delivery->is_partial = outcome->is_partial && delivery->lane->picked_count == 1;
	snprintf(delivery->reason, sizeof delivery->reason, "%s", outcome->reason);
	if (deliveries->now >= delivery->deadline) {
		char reason[PARCEL_REASON_MAX + 64];
		snprintf(reason, sizeof reason, "given up after %u attempts: %s", delivery->attempts, outcome->reason);
		bury(deliveries, delivery, reason);
		return;
	}
	say_retry(deliveries, delivery);
	put_back(deliveries, delivery, pause);
}

static bool is_one_incident(const struct lane *lane)
{
	for (uint32_t i = 1; i < lane->picked_count; i++)
		if (strcmp(lane->picked[i]->incident, lane->picked[0]->incident) != 0)
			return false;
	return true;
}

static void on_delivered(struct deliveries *deliveries, struct lane *lane, const struct parcel_outcome *outcome)
{
	const char *receipt = is_one_incident(lane) ? outcome->receipt : NULL;
	if (receipt)
		receipt_keep(deliveries, lane->picked[0]->incident, lane->notifier, receipt);
	for (uint32_t i = 0; i < lane->picked_count; i++) {
		struct delivery *delivery = lane->picked[i];
		delivery_settle(deliveries, delivery, DELIVERY_SENT, outcome->reason);
		delivery_journal(deliveries, delivery, receipt, /* ticket */ 0);
	}
	if (lane->failures > 0)
		lane_hurry(deliveries, lane);
	lane->failures = 0;
}

/* One that is refused is refused; of many, one may be to blame. */
static void on_refused(struct deliveries *deliveries, struct lane *lane, const struct parcel_outcome *outcome)
{
	for (uint32_t i = 0; i < lane->picked_count; i++) {
		struct delivery *delivery = lane->picked[i];
		snprintf(delivery->reason, sizeof delivery->reason, "%s", outcome->reason);
		if (lane->picked_count == 1) {
			bury(deliveries, delivery, outcome->reason);
			continue;
		}
		delivery->is_alone = true;
		say_retry(deliveries, delivery);
		put_back(deliveries, delivery, /* pause */ 0);
	}
}

static void on_outcome(struct deliveries *deliveries, struct lane *lane, const struct parcel_outcome *outcome)
{
	if (outcome->not_before > lane->not_before)
		lane->not_before = outcome->not_before;
	if (outcome->outcome == CW_DELIVERED) {
		on_delivered(deliveries, lane, outcome);
		return;
	}
	if (outcome->outcome == CW_REFUSED) {
		on_refused(deliveries, lane, outcome);
		return;
	}
	lane->failures++;
	int64_t pause = backoff_next(&lane->picked[0]->backoff);
	struct backoff backoff = lane->picked[0]->backoff;
	for (uint32_t i = 0; i < lane->picked_count; i++) {
		lane->picked[i]->backoff.failures = backoff.failures;
		on_failed(deliveries, lane->picked[i], outcome, pause);
	}
}

static void land(struct deliveries *deliveries, struct lane *lane)
{
	struct parcel *parcel = lane->parcel;
	lane->parcel = NULL;
	on_outcome(deliveries, lane, &parcel->outcome); /* it does not change any more */
	lane->picked_count = 0;
	parcel_unref(parcel);
}

/* By us, for a notifier that cannot say it. */
static void settle_as_doubtful(struct parcel *parcel, const char *reason)
{
	struct cw_delivered delivered = {.size = sizeof delivered, .outcome = CW_DOUBTFUL};
	parcel_settle(parcel, &delivered, reason);
}

static void look_at_parcel(struct deliveries *deliveries, struct lane *lane)
{
	if (!parcel_is_settled(lane->parcel)) {
		if (!deliveries->way.has(deliveries->way.arg, lane->parcel))
			settle_as_doubtful(lane->parcel, "its instance did not end in time and was left behind");
		else if (clock_awake() >= lane->patience)
			settle_as_doubtful(lane->parcel, "no word of what became of it within 2 min");
	}
	if (parcel_is_settled(lane->parcel))
		land(deliveries, lane);
}

/* ---- what is picked ---- */

void lane_hurry(struct deliveries *deliveries, struct lane *lane)
{
	int64_t now = clock_now();
	if (lane->hurried && now - lane->hurried < hurry_ns)
		return;
	lane->hurried = now;
	lane->is_touched = true;
	for (struct delivery *delivery = lane->first; delivery; delivery = delivery->next)
		if (delivery->stage == STAGE_WAITING && !delivery->progress && delivery->due > now) {
			delivery->due = now;
			delivery->next_try = deliveries->wall;
		}
}

/* The journal's word has come, or has been waited for long enough. */
static bool is_written(struct deliveries *deliveries, struct delivery *delivery)
{
	if (delivery->is_awaited && deliveries->now < delivery->patience)
		return false;
	delivery->is_awaited = false;
	return true;
}

static bool is_due(struct deliveries *deliveries, struct delivery *delivery)
{
	if (delivery->stage == STAGE_WRITING && is_written(deliveries, delivery))
		delivery->stage = STAGE_WAITING;
	return delivery->stage == STAGE_WAITING && delivery->due <= deliveries->now;
}

/* May it go with those that are picked already? */
static bool goes_along(const struct lane *lane, const struct delivery *delivery)
{
	if (lane->picked_count == 0)
		return true;
	const struct delivery *first = lane->picked[0];
	if (first->bundle || delivery->bundle)
		return first->bundle == delivery->bundle;
	return !first->progress && !delivery->progress;
}

/* What some have and others do not, for their mailbox is full, keeps nobody from what comes after it in its incident.
 */
static bool may_be_passed(const struct delivery *delivery, uint64_t walk)
{
	const struct topic *topic = delivery->topic;
	const struct delivery *before = topic->partial_in == walk ? topic->partial : NULL;
	return delivery->stage == STAGE_WAITING && delivery->is_partial &&
	       (!before || strcmp(before->incident, delivery->incident) == 0);
}

static bool is_behind_another_incident(const struct delivery *delivery, uint64_t walk)
{
	const struct topic *topic = delivery->topic;
	return topic->partial_in == walk && strcmp(topic->partial->incident, delivery->incident) != 0;
}

static void pass_over(struct delivery *delivery, uint64_t walk)
{
	struct topic *topic = delivery->topic;
	if (topic->blocked_in == walk || !may_be_passed(delivery, walk)) {
		topic->blocked_in = walk;
		return;
	}
	topic->partial_in = walk;
	topic->partial = delivery;
}

/* A later notice of the incident tells all of it: those before it that were passed over have nothing to add. */
static void take_the_place_of_partials(struct deliveries *deliveries, struct delivery *delivery, uint64_t walk)
{
	struct delivery *next;
	if (delivery->topic->partial_in != walk)
		return;
	for (struct delivery *other = delivery->lane->first; other != delivery; other = next) {
		next = other->next;
		if (other->topic != delivery->topic || !other->is_partial || other->stage != STAGE_WAITING)
			continue;
		char reason[PARCEL_REASON_MAX + 64];
		snprintf(reason, sizeof reason, "a later notice tells the others: %s", other->reason);
		delivery_settle(deliveries, other, DELIVERY_SENT, reason);
		delivery_journal(deliveries, other, /* receipt */ NULL, /* ticket */ 0);
	}
}

/* Order is kept within a group: what is passed over blocks what is behind it. One that is picked for a digest does not.
 */
static void pick(struct deliveries *deliveries, struct lane *lane, uint32_t most)
{
	uint64_t walk = ++lane->walks;
	bool is_alone = false;
	for (struct delivery *delivery = lane->first; delivery && lane->picked_count < most && !is_alone;
	     delivery = delivery->next) {
		bool goes = delivery->topic->blocked_in != walk && !is_behind_another_incident(delivery, walk) &&
			    is_due(deliveries, delivery) && !(delivery->is_alone && lane->picked_count > 0) &&
			    goes_along(lane, delivery);
		if (goes) {
			delivery->stage = STAGE_PICKED;
			lane->picked[lane->picked_count++] = delivery;
		} else {
			pass_over(delivery, walk);
		}
		is_alone = goes && delivery->is_alone;
	}
	for (uint32_t i = 0; i < lane->picked_count; i++)
		take_the_place_of_partials(deliveries, lane->picked[i], walk);
}

/* When there will be something to pick: the first of a group speaks for all of it. */
static int64_t next_due(const struct deliveries *deliveries, struct lane *lane)
{
	int64_t next = deliveries->now + longest_wait_ns;
	uint64_t walk = ++lane->walks;
	for (const struct delivery *delivery = lane->first; delivery; delivery = delivery->next) {
		int64_t wanted = delivery->is_awaited ? delivery->patience : delivery->due;
		if (delivery->topic->blocked_in != walk && wanted < next)
			next = wanted;
		delivery->topic->blocked_in = walk;
	}
	if (next < lane->not_before) /* it is looked now and then for what is to be given up */
		next = lane->not_before < deliveries->now + longest_wait_ns ? lane->not_before
									    : deliveries->now + longest_wait_ns;
	return next > deliveries->now ? next : deliveries->now + look_ns;
}

/* ---- on its way ---- */

static void begin_attempt(struct deliveries *deliveries, struct lane *lane)
{
	uint64_t ticket = ++deliveries->last_ticket, bundle = lane->picked_count > 1 ? ++deliveries->last_bundle : 0;
	for (uint32_t i = 0; i < lane->picked_count; i++) {
		struct delivery *delivery = lane->picked[i];
		delivery->stage = STAGE_PICKED;
		delivery->state = DELIVERY_SENDING;
		delivery->bundle = bundle;
		delivery->attempts++;
		delivery->next_try = 0;
		delivery_journal(deliveries, delivery, /* receipt */ NULL, ticket);
		delivery_show(deliveries, delivery);
	}
}

/* It was not sent: the notifier has gone just now, or takes nothing. */
static void end_attempt(struct deliveries *deliveries, struct lane *lane)
{
	int64_t pause = backoff_next(&lane->picked[0]->backoff);
	for (uint32_t i = 0; i < lane->picked_count; i++) {
		struct delivery *delivery = lane->picked[i];
		delivery->attempts--;
		delivery->backoff.failures = lane->picked[0]->backoff.failures;
		if (deliveries->now >= delivery->deadline)
			bury(deliveries, delivery, "given up: the notifier does not take it");
		else
			put_back(deliveries, delivery, pause);
	}
	lane->picked_count = 0;
}

static struct parcel_item item_of(const struct deliveries *deliveries, const struct delivery *delivery)
{
	return (struct parcel_item){
		.notice = delivery->notice,
		.id = delivery->id,
		.receipt = receipt_find(deliveries, delivery->incident, delivery->lane->notifier),
		.progress = delivery->progress,
		.attempt = delivery->attempts,
		.is_doubtful = delivery->is_doubtful,
	};
}

/* On the thread `alerts`: whoever drains the mailbox calls deliveries_step() then. */
static void on_back(struct mail *mail, void *owner)
{
	(void)owner;
	struct parcel *parcel = (struct parcel *)mail;
	((struct lane *)parcel->arg)->is_touched = true;
	parcel_unref(parcel);
}

static void send_picked(struct deliveries *deliveries, struct lane *lane)
{
	struct parcel_item items[CW_NOTICE_DIGEST_MAX];
	for (uint32_t i = 0; i < lane->picked_count; i++)
		items[i] = item_of(deliveries, lane->picked[i]);
	struct parcel *parcel = parcel_new(items, lane->picked_count, deliveries->options.box, on_back, lane);
	if (!parcel || deliveries->way.offer(deliveries->way.arg, lane->notifier, parcel) < 0) {
		parcel_unref(parcel);
		end_attempt(deliveries, lane);
		return;
	}
	lane->parcel = parcel;
	lane->patience = clock_awake() + word_of_plugin_ns;
}

static bool are_written(struct deliveries *deliveries, const struct lane *lane)
{
	bool all = true;
	for (uint32_t i = 0; i < lane->picked_count; i++)
		all &= is_written(deliveries, lane->picked[i]);
	return all;
}

/* What has waited for a day, or for a TEST 5 min, and cannot be tried now. */
static void give_up(struct deliveries *deliveries, struct lane *lane, const char *why)
{
	struct delivery *next;
	for (struct delivery *delivery = lane->first; delivery; delivery = next) {
		next = delivery->next;
		if (delivery->stage == STAGE_PICKED || deliveries->now < delivery->deadline)
			continue;
		char reason[PARCEL_REASON_MAX + 64];
		snprintf(reason, sizeof reason, "given up: %s%s%s", why, *delivery->reason ? "; before: " : "",
			 delivery->reason);
		bury(deliveries, delivery, reason);
	}
}

static void pick_next(struct deliveries *deliveries, struct lane *lane)
{
	struct notifier notifier = {.digest_max = 1};
	bool is_known = deliveries->way.look(deliveries->way.arg, lane->notifier, &notifier);
	if (!is_known || !notifier.runs) {
		give_up(deliveries, lane, is_known ? "the notifier does not run" : "there is no such notifier");
		return;
	}
	if (deliveries->now < lane->not_before) {
		give_up(deliveries, lane, "the receiver wants nothing for longer than that");
		return;
	}
	uint32_t most = notifier.digest_max < CW_NOTICE_DIGEST_MAX ? notifier.digest_max : CW_NOTICE_DIGEST_MAX;
	pick(deliveries, lane, lane->count >= DIGEST_FROM ? most : 1);
	if (lane->picked_count > 0)
		begin_attempt(deliveries, lane);
}

static int64_t look_at_lane(struct deliveries *deliveries, struct lane *lane)
{
	if (lane->parcel)
		look_at_parcel(deliveries, lane);
	if (!lane->first)
		return INT64_MAX;
	if (lane->picked_count == 0)
		pick_next(deliveries, lane);
	if (lane->picked_count > 0 && !lane->parcel && are_written(deliveries, lane))
		send_picked(deliveries, lane);
	if (lane->picked_count > 0)
		return deliveries->now + look_ns;
	return lane->first ? next_due(deliveries, lane) : INT64_MAX;
}

int64_t lane_step(struct deliveries *deliveries, struct lane *lane)
{
	if (!lane->is_touched && deliveries->now < lane->wanted)
		return lane->wanted;
	lane->is_touched = false;
	lane->wanted = look_at_lane(deliveries, lane);
	return lane->wanted;
}
