/* SPDX-License-Identifier: MIT
 *
 * See delivery.h. This file is what comes in: what is told or tested, what the journal knew, and the journal's words,
 * each of which comes as mail with the number of a *ticket* that the deliveries of its entry carry.
 */
#include "delivery_private.h"

#include "clock.h"
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

const char *const delivery_state_names[] = {"queued", "sending", "sent", "dead", NULL};

static const int64_t day_ns = 86400 * CW_SECOND, test_ns = 300 * CW_SECOND;
static const int64_t word_ns = 2 * CW_SECOND;            /* how long the journal is waited for */
static const int64_t longest_pause_ns = 300 * CW_SECOND; /* between two attempts */

/* ---- receipts ---- */

struct keyed_hash whose(const struct deliveries *deliveries, const char *incident, const char *notifier)
{
	struct keyed_hash of_incident = keyed_hash(deliveries->secret, incident, strlen(incident));
	return keyed_hash_on(deliveries->secret, of_incident, notifier, strlen(notifier));
}

static struct receipt *find_receipt(const struct deliveries *deliveries, const char *incident, const char *notifier)
{
	struct receipt **found = keyed_find(&deliveries->receipts_of, whose(deliveries, incident, notifier));
	return found ? *found : NULL;
}

const char *receipt_find(const struct deliveries *deliveries, const char *incident, const char *notifier)
{
	const struct receipt *receipt = find_receipt(deliveries, incident, notifier);
	return receipt ? receipt->text : NULL;
}

static void remove_receipt(struct deliveries *deliveries, struct receipt *receipt)
{
	if (!receipt)
		return;
	*(receipt->previous ? &receipt->previous->next : &deliveries->receipts) = receipt->next;
	*(receipt->next ? &receipt->next->previous : &deliveries->oldest_receipt) = receipt->previous;
	keyed_remove(&deliveries->receipts_of, receipt->whose);
	free(receipt);
}

void receipt_forget(struct deliveries *deliveries, const char *incident, const char *notifier)
{
	remove_receipt(deliveries, find_receipt(deliveries, incident, notifier));
}

/* Without one an incident's next notice is a message of its own: no harm if the oldest of very many go. */
static struct receipt **room_for_receipt(struct deliveries *deliveries, struct keyed_hash whose)
{
	bool is_new;
	if (deliveries->receipts_of.count == RECEIPTS_MAX)
		remove_receipt(deliveries, deliveries->oldest_receipt);
	return keyed_put(&deliveries->receipts_of, whose, &is_new);
}

/* NULL: no memory. */
static struct receipt *receipt_new(const char *incident, const char *notifier, const char *text)
{
	struct receipt *receipt = malloc(sizeof *receipt + strlen(incident) + strlen(notifier) + strlen(text) + 3);
	if (!receipt)
		return NULL;
	char *end = (char *)(receipt + 1);
	*receipt = (struct receipt){.incident = end};
	receipt->notifier = end = stpcpy(end, incident) + 1;
	receipt->text = end = stpcpy(end, notifier) + 1;
	stpcpy(end, text);
	return receipt;
}

int receipt_keep(struct deliveries *deliveries, const char *incident, const char *notifier, const char *text)
{
	struct receipt *receipt = receipt_new(incident, notifier, text), **place = NULL;
	struct keyed_hash own = whose(deliveries, incident, notifier);
	if (receipt) {
		receipt_forget(deliveries, incident, notifier);
		place = room_for_receipt(deliveries, own);
	}
	if (!place) {
		free(receipt);
		return -ENOMEM;
	}
	receipt->next = deliveries->receipts;
	receipt->whose = own;
	*(receipt->next ? &receipt->next->previous : &deliveries->oldest_receipt) = receipt;
	deliveries->receipts = *place = receipt;
	return 0;
}

/* ---- lanes ---- */

static struct lane *find_lane(struct deliveries *deliveries, const char *notifier)
{
	struct lane *lane = deliveries->lanes;
	while (lane && strcmp(lane->notifier, notifier) != 0)
		lane = lane->next;
	return lane;
}

/* NULL: no memory. */
static struct lane *open_lane(struct deliveries *deliveries, const char *notifier)
{
	struct lane *lane = find_lane(deliveries, notifier);
	if (lane || !(lane = calloc(1, sizeof *lane)))
		return lane;
	lane->notifier = strdup(notifier);
	if (!lane->notifier) {
		free(lane);
		return NULL;
	}
	keyed_init(&lane->topics, sizeof(struct topic *), UINT32_MAX);
	lane->next = deliveries->lanes;
	deliveries->lanes = lane;
	return lane;
}

/* NULL: no memory. */
static struct topic *open_topic(const struct deliveries *deliveries, struct lane *lane, const char *group)
{
	bool is_new;
	struct keyed_hash hash = keyed_hash(deliveries->secret, group, strlen(group));
	struct topic **place = keyed_put(&lane->topics, hash, &is_new);
	if (!place || !is_new)
		return place ? *place : NULL;
	if ((*place = calloc(1, sizeof **place)))
		(*place)->group = hash;
	else
		keyed_remove(&lane->topics, hash);
	return place ? *place : NULL;
}

static void leave_topic(struct lane *lane, struct topic *topic)
{
	if (!topic || --topic->deliveries > 0)
		return;
	keyed_remove(&lane->topics, topic->group);
	free(topic);
}

/* ---- deliveries ---- */

static void count(struct deliveries *deliveries, int64_t waiting, uint64_t *counter)
{
	pthread_mutex_lock(&deliveries->lock);
	deliveries->counts.waiting += (uint64_t)waiting;
	if (counter)
		++*counter;
	pthread_mutex_unlock(&deliveries->lock);
}

/* Into its lane: as the last, or one of an earlier life before those of this one. 0 or -ENOMEM. */
static int enter_lane(struct deliveries *deliveries, struct delivery *delivery, bool is_old)
{
	struct lane *lane = delivery->lane;
	struct delivery *before = is_old ? lane->last_old : lane->last;
	if (!(delivery->topic = open_topic(deliveries, lane, delivery->group)))
		return -ENOMEM;
	delivery->topic->deliveries++;
	delivery->previous = before;
	delivery->next = before ? before->next : lane->first;
	*(before ? &before->next : &lane->first) = delivery;
	*(delivery->next ? &delivery->next->previous : &lane->last) = delivery;
	if (is_old)
		lane->last_old = delivery;
	lane->count++;
	lane->is_touched = true;
	count(deliveries, 1, NULL);
	return 0;
}

static void leave_lane(struct deliveries *deliveries, struct delivery *delivery)
{
	struct lane *lane = delivery->lane;
	if (lane->last_old == delivery) /* before it there are none but such */
		lane->last_old = delivery->previous;
	*(delivery->previous ? &delivery->previous->next : &lane->first) = delivery->next;
	*(delivery->next ? &delivery->next->previous : &lane->last) = delivery->previous;
	delivery->next = delivery->previous = NULL;
	lane->count--;
	leave_topic(lane, delivery->topic);
	delivery->topic = NULL;
	count(deliveries, -1, NULL);
}

void delivery_free(struct delivery *delivery)
{
	if (!delivery)
		return;
	notice_unref(delivery->notice);
	free(delivery->progress);
	free(delivery);
}

/* Takes over the reference to the notice, also when it fails. NULL: no memory. */
static struct delivery *delivery_new(struct deliveries *deliveries, const char *notifier, struct notice *notice,
				     int64_t wall)
{
	struct lane *lane = notice ? open_lane(deliveries, notifier) : NULL;
	struct delivery *delivery = lane ? calloc(1, sizeof *delivery) : NULL;
	if (!delivery) {
		notice_unref(notice);
		return NULL;
	}
	const struct cw_notice *said = &notice->said;
	int64_t now = clock_now();
	*delivery = (struct delivery){
		.lane = lane,
		.notice = notice,
		.sequence = said->sequence,
		.kind = said->kind,
		.since = said->since,
		.created_at = wall,
		.patience = now + word_ns,
		.due = now,
		.deadline = now + (said->kind == CW_NOTICE_TEST ? test_ns : day_ns),
		.backoff = {.longest = longest_pause_ns, .random = (uint64_t)now ^ (uintptr_t)delivery},
	};
	snprintf(delivery->id, sizeof delivery->id, "%s", said->id);
	snprintf(delivery->group, sizeof delivery->group, "%s", said->group);
	snprintf(delivery->incident, sizeof delivery->incident, "%s", said->incident);
	snprintf(delivery->rule, sizeof delivery->rule, "%s", said->rule);
	return delivery;
}

/* ---- the journal ---- */

struct word {
	struct mail mail; /* first */
	struct deliveries *deliveries;
	struct mailbox *box; /* a reference */
	uint64_t ticket;
	bool on_disk;
};

static void word_free(struct mail *mail)
{
	mailbox_unref(((struct word *)mail)->box);
	free(mail);
}

static struct keyed_hash hash_of_ticket(const struct deliveries *deliveries, uint64_t ticket)
{
	return keyed_hash(deliveries->secret, &ticket, sizeof ticket);
}

/* Nobody waits for that word any more. */
static void drop_ticket(struct deliveries *deliveries, struct delivery *delivery)
{
	struct delivery *next = delivery->next_of_ticket, *previous = delivery->previous_of_ticket;
	if (!delivery->ticket)
		return;
	struct keyed_hash hash = hash_of_ticket(deliveries, delivery->ticket);
	if (next)
		next->previous_of_ticket = previous;
	if (previous)
		previous->next_of_ticket = next;
	else if (next)
		*(struct delivery **)keyed_find(&deliveries->tickets, hash) = next;
	else
		keyed_remove(&deliveries->tickets, hash);
	delivery->next_of_ticket = delivery->previous_of_ticket = NULL;
	delivery->ticket = 0;
}

/* It may come when its patience has ended: then it is still the truth. */
static void on_word(struct mail *mail, void *owner)
{
	(void)owner;
	const struct word *word = (const struct word *)mail;
	struct deliveries *deliveries = word->deliveries;
	struct delivery **found = keyed_find(&deliveries->tickets, hash_of_ticket(deliveries, word->ticket)), *next;
	for (struct delivery *delivery = found ? *found : NULL; delivery; delivery = next) {
		next = delivery->next_of_ticket;
		drop_ticket(deliveries, delivery);
		delivery->is_awaited = false;
		delivery->on_disk = word->on_disk;
		delivery->lane->is_touched = true;
		delivery_show(deliveries, delivery);
	}
	word_free(mail);
}

/* On the journal's thread. A mailbox that is full or closed is no loss: the patience ends. */
static void on_told(void *arg, bool on_disk)
{
	struct word *word = arg;
	word->on_disk = on_disk;
	if (mailbox_post(word->box, &word->mail) < 0)
		word_free(&word->mail);
}

/* NULL: no memory, and nobody waits. */
static struct word *word_new(struct deliveries *deliveries, uint64_t ticket)
{
	struct word *word = malloc(sizeof *word);
	if (word)
		*word = (struct word){.mail = {.deliver = on_word, .drop = word_free},
				      .deliveries = deliveries,
				      .box = mailbox_ref(deliveries->options.box),
				      .ticket = ticket};
	return word;
}

/* Without memory for it nothing is waited for. */
static void await(struct deliveries *deliveries, struct delivery *delivery, uint64_t ticket)
{
	bool is_new;
	drop_ticket(deliveries, delivery);
	struct delivery **first = keyed_put(&deliveries->tickets, hash_of_ticket(deliveries, ticket), &is_new);
	delivery->is_awaited = first != NULL;
	delivery->patience = clock_now() + word_ns;
	if (!first)
		return;
	delivery->ticket = ticket;
	delivery->next_of_ticket = *first;
	if (*first)
		(*first)->previous_of_ticket = delivery;
	*first = delivery;
}

/* Wall time; 0: it is not asked to wait. */
static int64_t held_until(const struct lane *lane)
{
	int64_t wait = lane->not_before - clock_now();
	return wait > 0 ? clock_wall() + wait : 0;
}

static struct journal_delivery record_of(const struct delivery *delivery)
{
	return (struct journal_delivery){
		.id = delivery->id,
		.notifier = delivery->lane->notifier,
		.group = delivery->group,
		.incident = delivery->incident,
		.rule = delivery->rule,
		.sequence = delivery->sequence,
		.attempts = delivery->attempts,
		.kind = delivery->kind,
		.state = delivery->state,
		.since = delivery->since,
		.created_at = delivery->created_at,
		.next_try = delivery->next_try,
		.settled_at = delivery->settled_at,
		.not_before = held_until(delivery->lane),
		.is_doubtful = delivery->is_doubtful,
		.progress = delivery->progress,
		.reason = *delivery->reason ? delivery->reason : NULL,
	};
}

void delivery_journal(struct deliveries *deliveries, struct delivery *delivery, const char *receipt, uint64_t ticket)
{
	struct journal_delivery record = record_of(delivery);
	struct word *word = ticket ? word_new(deliveries, ticket) : NULL;
	if (ticket)
		await(deliveries, delivery, ticket);
	int rc = journal_delivered(deliveries->options.journal, &record, receipt, word ? on_told : NULL, word);
	delivery->is_refused = rc < 0;
	if (rc < 0 && word)
		on_told(word, /* on_disk */ false);
	else if (ticket && !word)
		delivery->is_awaited = delivery->on_disk = false;
}

/* Those that are told in one entry. */
struct telling {
	struct delivery **deliveries;
	struct journal_delivery *records;
	char **jsons;
	uint32_t count;
};

static void telling_release(struct telling *telling)
{
	for (uint32_t i = 0; telling->jsons && i < telling->count; i++)
		free(telling->jsons[i]);
	free(telling->deliveries);
	free(telling->records);
	free(telling->jsons);
}

/* Takes over the reference to the notice. 0 or -ENOMEM. */
static int add_to_telling(struct deliveries *deliveries, struct telling *telling, const char *notifier,
			  struct notice *notice, int64_t wall)
{
	char *json = notice ? notice_to_json(notice) : NULL;
	struct delivery *delivery = delivery_new(deliveries, notifier, notice, wall);
	if (!json || !delivery || enter_lane(deliveries, delivery, /* is_old */ false) < 0) {
		log_line(NULL, CW_ERROR, "out of memory: %s is not told of something", notifier);
		delivery_free(delivery);
		free(json);
		return -ENOMEM;
	}
	uint32_t at = telling->count++;
	telling->deliveries[at] = delivery;
	telling->jsons[at] = json;
	telling->records[at] = record_of(delivery);
	telling->records[at].notice = json;
	return 0;
}

static void write_telling(struct deliveries *deliveries, const struct telling *telling, const struct group *group)
{
	uint64_t ticket = ++deliveries->last_ticket;
	struct word *word = word_new(deliveries, ticket);
	for (uint32_t i = 0; i < telling->count; i++) {
		if (word)
			await(deliveries, telling->deliveries[i], ticket);
		delivery_show(deliveries, telling->deliveries[i]);
	}
	int rc = journal_tell(deliveries->options.journal, group, telling->records, telling->count,
			      word ? on_told : NULL, word);
	if (rc < 0 && word)
		on_told(word, /* on_disk */ false);
}

static int telling_init(struct telling *telling, uint32_t most)
{
	*telling = (struct telling){.deliveries = calloc(most + 1, sizeof(struct delivery *)),
				    .records = calloc(most + 1, sizeof(struct journal_delivery)),
				    .jsons = calloc(most + 1, sizeof(char *))};
	return telling->deliveries && telling->records && telling->jsons ? 0 : -ENOMEM;
}

/* ---- what is told ---- */

static bool is_named(const char *const *notifiers, uint32_t n, const char *notifier)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(notifiers[i], notifier) == 0)
			return true;
	return false;
}

/* It was told of the incident, and not of its end. */
static bool has_heard(const struct deliveries *deliveries, const char *incident, const char *notifier)
{
	struct delivery *const *latest = keyed_find(&deliveries->latest, whose(deliveries, incident, notifier));
	return latest ? (*latest)->kind != CW_NOTICE_RESOLVED : receipt_find(deliveries, incident, notifier) != NULL;
}

/* Notifiers to which no route leads any more, but that believe that it goes on. */
static int tell_who_has_heard(struct deliveries *deliveries, struct telling *telling, const struct notice *notice,
			      const char *const *notifiers, uint32_t n, int64_t wall)
{
	int rc = 0;
	for (struct lane *lane = deliveries->lanes; lane; lane = lane->next) {
		struct notifier notifier;
		if (!is_named(notifiers, n, lane->notifier) &&
		    has_heard(deliveries, notice->said.incident, lane->notifier) &&
		    deliveries->way.look(deliveries->way.arg, lane->notifier, &notifier) &&
		    add_to_telling(deliveries, telling, lane->notifier, notice_for(notice, lane->notifier), wall) < 0)
			rc = -ENOMEM;
	}
	return rc;
}

static uint32_t count_lanes(const struct deliveries *deliveries)
{
	uint32_t count = 0;
	for (const struct lane *lane = deliveries->lanes; lane; lane = lane->next)
		count++;
	return count;
}

int deliveries_tell(struct deliveries *deliveries, const struct group *group, const struct notice *notice,
		    const char *const *notifiers, uint32_t n, int64_t wall)
{
	struct telling telling;
	int rc = telling_init(&telling, n + count_lanes(deliveries));
	bool has_room = rc == 0;
	for (uint32_t i = 0; i < n && has_room; i++)
		if (add_to_telling(deliveries, &telling, notifiers[i], notice_for(notice, notifiers[i]), wall) < 0)
			rc = -ENOMEM;
	if (has_room && notice->said.kind == CW_NOTICE_RESOLVED &&
	    tell_who_has_heard(deliveries, &telling, notice, notifiers, n, wall) < 0)
		rc = -ENOMEM;
	if (telling.records) /* a TEST says nothing of a group */
		write_telling(deliveries, &telling, notice->said.kind == CW_NOTICE_TEST ? NULL : group);
	telling_release(&telling);
	return rc;
}

/* One notice and one group for each time that somebody tries it. */
static struct notice *test_notice(const struct deliveries *deliveries, const char *notifier, const char *by,
				  int64_t wall)
{
	static const struct cw_tag labels[] = {{"alertname", "test"}};
	char incident[NOTICE_ID_MAX], title[NOTICE_TITLE_MAX];
	snprintf(incident, sizeof incident, "7e57-%" PRIx64, (uint64_t)(wall / 1000));
	snprintf(title, sizeof title, "test: %s tries whether %s works", by ? by : "somebody", notifier);
	const struct cw_notice said = {
		.size = sizeof said,
		.id = incident,
		.group = incident,
		.incident = incident,
		.sequence = 1,
		.kind = CW_NOTICE_TEST,
		.severity = CW_SEVERITY_INFO,
		.rule = "test",
		.title = title,
		.description = "Nothing is wrong: somebody wanted to see whether messages arrive here.",
		.common = "",
		.labels = CW_ARRAY(labels),
		.group_labels = CW_ARRAY(labels),
		.since = wall,
		.at = wall,
		.command = "callwatch alerts",
		.host = deliveries->options.hostname ? deliveries->options.hostname : "",
	};
	return notice_new(&said);
}

int deliveries_test(struct deliveries *deliveries, const char *notifier, const char *by, int64_t wall,
		    void (*settled)(void *arg, bool delivered, const char *text), void *arg)
{
	struct telling telling;
	struct notice *notice = test_notice(deliveries, notifier, by, wall);
	int rc = telling_init(&telling, 1);
	struct notice *own = rc == 0 && notice ? notice_for(notice, notifier) : NULL;
	rc = own ? add_to_telling(deliveries, &telling, notifier, own, wall) : -ENOMEM;
	if (rc == 0) {
		telling.deliveries[0]->settled = settled;
		telling.deliveries[0]->arg = arg;
		write_telling(deliveries, &telling, /* group */ NULL);
	}
	telling_release(&telling);
	notice_unref(notice);
	return rc;
}

/* ---- how it ends ---- */

/* Whoever waited for a TEST hears of it; it is no news to anybody else. */
static void tell_end(struct deliveries *deliveries, struct delivery *delivery)
{
	bool is_sent = delivery->state == DELIVERY_SENT;
	bool is_test = delivery->kind == CW_NOTICE_TEST;
	if (delivery->settled)
		delivery->settled(delivery->arg, is_sent,
				  *delivery->reason ? delivery->reason
				  : is_sent         ? "the receiver has it"
						    : "not sent");
	delivery->settled = NULL;
	if (!is_sent)
		log_line(delivery->lane->notifier, CW_ERROR, "a notification of %s is lost after %u attempts: %s",
			 delivery->rule, delivery->attempts, *delivery->reason ? delivery->reason : "not sent");
	if (is_test)
		return;
	count(deliveries, 0, is_sent ? &deliveries->counts.sent : &deliveries->counts.dead);
	if (is_sent) {
		pthread_mutex_lock(&deliveries->lock);
		deliveries->counts.last_delay_seconds = (double)(delivery->settled_at - delivery->created_at) / 1e9;
		pthread_mutex_unlock(&deliveries->lock);
	}
}

/* What a crash would send again stays longer: until the journal has it. */
static void keep_settled(struct deliveries *deliveries, struct delivery *delivery)
{
	*deliveries->settled_last = delivery;
	deliveries->settled_last = &delivery->next;
	deliveries->settled_count++;
	while (deliveries->settled_count > (deliveries->settled->is_refused ? SETTLED_MOST : SETTLED_SHOWN)) {
		struct delivery *oldest = deliveries->settled;
		deliveries->settled = oldest->next; /* never the last: there are many */
		deliveries->settled_count--;
		delivery_hide(deliveries, oldest);
		delivery_free(oldest);
	}
}

void delivery_settle(struct deliveries *deliveries, struct delivery *delivery, enum delivery_state state,
		     const char *reason)
{
	const char *from = delivery_state_names[delivery->state], *title = delivery->notice->said.title;
	delivery->state = state;
	delivery->stage = STAGE_SETTLED;
	delivery->settled_at = deliveries->wall > delivery->created_at ? deliveries->wall : delivery->created_at;
	delivery->next_try = 0;
	if (reason != delivery->reason)
		snprintf(delivery->reason, sizeof delivery->reason, "%s", reason ? reason : "");
	hub_event(deliveries->options.hub, "notification", delivery->rule, from, delivery_state_names[state],
		  delivery->lane->notifier, *delivery->reason ? delivery->reason : title);
	leave_lane(deliveries, delivery);
	drop_ticket(deliveries, delivery);
	tell_end(deliveries, delivery);
	if (delivery->kind == CW_NOTICE_RESOLVED)
		receipt_forget(deliveries, delivery->incident, delivery->lane->notifier);
	notice_unref(delivery->notice);
	delivery->notice = NULL;
	free(delivery->progress);
	delivery->progress = NULL;
	delivery_show(deliveries, delivery);
	keep_settled(deliveries, delivery);
}

/* ---- what the journal knew ---- */

static int64_t clamp(int64_t value, int64_t most)
{
	return value < 0 ? 0 : value > most ? most : value;
}

static struct delivery *from_record(struct deliveries *deliveries, const struct journal_delivery *known)
{
	struct lane *lane = open_lane(deliveries, known->notifier);
	struct delivery *delivery = lane ? calloc(1, sizeof *delivery) : NULL;
	if (!delivery)
		return NULL;
	*delivery = (struct delivery){
		.lane = lane,
		.sequence = known->sequence,
		.attempts = known->attempts,
		.kind = (enum cw_notice_kind)known->kind,
		.state = (enum delivery_state)known->state,
		.stage = STAGE_WAITING,
		.is_doubtful = known->is_doubtful || known->state == DELIVERY_SENDING,
		.on_disk = true,
		.since = known->since,
		.created_at = known->created_at,
		.settled_at = known->settled_at,
		.next_try = known->next_try,
		.progress = known->progress ? strdup(known->progress) : NULL,
	};
	snprintf(delivery->id, sizeof delivery->id, "%s", known->id);
	snprintf(delivery->group, sizeof delivery->group, "%s", known->group);
	snprintf(delivery->incident, sizeof delivery->incident, "%s", known->incident);
	snprintf(delivery->rule, sizeof delivery->rule, "%s", known->rule);
	snprintf(delivery->reason, sizeof delivery->reason, "%s", known->reason ? known->reason : "");
	return delivery;
}

/* Into its lane, with the pause and the day that are left of its own. */
static int revive(struct deliveries *deliveries, struct delivery *delivery, int64_t now, int64_t wall)
{
	delivery->state = DELIVERY_QUEUED;
	/* a clock that was set back makes nothing wait for longer than it would have had to */
	int64_t pause = clamp(delivery->next_try - wall, longest_pause_ns);
	delivery->due = now + pause;
	delivery->next_try = delivery->next_try ? wall + pause : 0;
	delivery->deadline = now + clamp(delivery->created_at + day_ns - wall, day_ns);
	delivery->backoff = (struct backoff){.failures = delivery->attempts,
					     .longest = longest_pause_ns,
					     .random = (uint64_t)now ^ (uintptr_t)delivery};
	return enter_lane(deliveries, delivery, /* is_old */ true);
}

/* Why it cannot be sent any more, which is said; NULL: it can. Nobody waits for a TEST of an earlier life; and that
 * something was so a day ago is no news, all the less if only the word that it was sent is lost. */
static const char *why_dead(const struct delivery *delivery, int64_t wall)
{
	if (delivery->kind == CW_NOTICE_TEST)
		return "the agent was restarted meanwhile";
	if (!delivery->notice)
		return "what the journal has of it cannot be read any more";
	return wall - delivery->created_at > day_ns ? "it was more than a day old when the agent came back" : NULL;
}

static void bury(struct deliveries *deliveries, struct delivery *delivery, const char *reason, int64_t wall)
{
	delivery->state = DELIVERY_DEAD;
	delivery->stage = STAGE_SETTLED;
	delivery->settled_at = wall;
	delivery->next_try = 0;
	snprintf(delivery->reason, sizeof delivery->reason, "%s", reason);
	tell_end(deliveries, delivery);
	notice_unref(delivery->notice);
	delivery->notice = NULL;
	delivery_journal(deliveries, delivery, /* receipt */ NULL, /* ticket */ 0);
	delivery_show(deliveries, delivery);
	keep_settled(deliveries, delivery);
}

/* What is left of what was asked for (Retry-After): never more than was asked for, wherever the clock is now. */
static int64_t hold_left(const struct journal_delivery *known, int64_t wall)
{
	int64_t asked = known->written_at ? known->not_before - known->written_at : PARCEL_WAIT_MAX;
	return clamp(known->not_before - wall, clamp(asked, PARCEL_WAIT_MAX));
}

int deliveries_restore(struct deliveries *deliveries, const struct journal_delivery *known, int64_t now, int64_t wall)
{
	struct delivery *delivery = from_record(deliveries, known);
	if (!delivery)
		return -ENOMEM;
	int64_t hold = hold_left(known, wall);
	if (hold > 0 && now + hold > delivery->lane->not_before)
		delivery->lane->not_before = now + hold;
	if (delivery->state >= DELIVERY_SENT) {
		delivery->stage = STAGE_SETTLED;
		delivery_show(deliveries, delivery);
		keep_settled(deliveries, delivery);
		return 0;
	}
	delivery->notice = known->notice ? notice_from_json(known->notice, strlen(known->notice)) : NULL;
	const char *dead = why_dead(delivery, wall);
	if (dead) {
		bool is_readable = delivery->notice || delivery->kind == CW_NOTICE_TEST;
		bury(deliveries, delivery, dead, wall);
		return is_readable ? 0 : -EINVAL;
	}
	if (revive(deliveries, delivery, now, wall) < 0) {
		delivery_free(delivery);
		return -ENOMEM;
	}
	deliveries->resumed++;
	delivery_show(deliveries, delivery);
	return 0;
}

int deliveries_receipt(struct deliveries *deliveries, const char *incident, const char *notifier, const char *receipt)
{
	return receipt_keep(deliveries, incident, notifier, receipt);
}

/* That it is settled is written again too: else it would be sent again after a crash. */
static bool rewrite_list(struct deliveries *deliveries, struct delivery *first, uint32_t rewriting)
{
	for (struct delivery *delivery = first; delivery; delivery = delivery->next) {
		if (delivery->written_in == rewriting)
			continue;
		if (journal_is_filling(deliveries->options.journal))
			return false;
		struct journal_delivery record = record_of(delivery);
		char *json = delivery->notice ? notice_to_json(delivery->notice) : NULL;
		record.notice = json;
		int rc = journal_delivered(deliveries->options.journal, &record, /* receipt */ NULL, NULL, NULL);
		free(json);
		if (rc < 0)
			return false;
		delivery->written_in = rewriting;
		delivery->is_refused = false;
	}
	return true;
}

/* An incident goes on for longer than its last notice is shown. */
static bool rewrite_receipts(struct deliveries *deliveries, uint32_t rewriting)
{
	for (struct receipt *receipt = deliveries->receipts; receipt; receipt = receipt->next) {
		if (receipt->written_in == rewriting)
			continue;
		if (journal_is_filling(deliveries->options.journal) ||
		    journal_receipt(deliveries->options.journal, receipt->incident, receipt->notifier, receipt->text) <
			    0)
			return false;
		receipt->written_in = rewriting;
	}
	return true;
}

bool deliveries_rewrite(struct deliveries *deliveries, uint32_t rewriting)
{
	for (struct lane *lane = deliveries->lanes; lane; lane = lane->next)
		if (!rewrite_list(deliveries, lane->first, rewriting))
			return false;
	return rewrite_list(deliveries, deliveries->settled, rewriting) && rewrite_receipts(deliveries, rewriting);
}

/* ---- the whole ---- */

static void say_resumed(struct deliveries *deliveries)
{
	if (deliveries->resumed > 0)
		log_line(NULL, CW_INFO, "resumed %u notifications that were not settled when the agent last ended",
			 deliveries->resumed);
	deliveries->resumed = 0;
}

int64_t deliveries_step(struct deliveries *deliveries, int64_t now, int64_t wall)
{
	int64_t next = INT64_MAX;
	say_resumed(deliveries);
	deliveries->now = now;
	deliveries->wall = wall;
	for (struct lane *lane = deliveries->lanes; lane; lane = lane->next) {
		int64_t wanted = lane_step(deliveries, lane);
		next = wanted < next ? wanted : next;
	}
	delivery_rows_confirm(deliveries);
	return next;
}

void deliveries_instance(struct deliveries *deliveries, const char *notifier, bool is_up)
{
	struct lane *lane = find_lane(deliveries, notifier);
	if (lane && is_up && !lane->was_up)
		lane_hurry(deliveries, lane);
	if (lane) {
		lane->was_up = is_up;
		lane->is_touched = true;
	}
}

void deliveries_counts(struct deliveries *deliveries, struct delivery_counts *ret_counts)
{
	pthread_mutex_lock(&deliveries->lock);
	*ret_counts = deliveries->counts;
	pthread_mutex_unlock(&deliveries->lock);
}

static bool look(void *arg, const char *notifier, struct notifier *ret_notifier)
{
	return notifying_look(arg, notifier, ret_notifier);
}

static int offer(void *arg, const char *notifier, struct parcel *parcel)
{
	return notifying_offer(arg, notifier, parcel);
}

static bool has(void *arg, const struct parcel *parcel)
{
	return notifying_has(arg, parcel);
}

struct deliveries *deliveries_new(const struct deliveries_options *options)
{
	struct deliveries *deliveries = calloc(1, sizeof *deliveries);
	if (!deliveries)
		return NULL;
	deliveries->options = *options;
	deliveries->way = options->way ? *options->way : (struct delivery_way){look, offer, has, options->roster};
	deliveries->settled_last = &deliveries->settled;
	keyed_secret(deliveries->secret);
	keyed_init(&deliveries->receipts_of, sizeof(struct receipt *), UINT32_MAX);
	keyed_init(&deliveries->latest, sizeof(struct delivery *), UINT32_MAX);
	keyed_init(&deliveries->tickets, sizeof(struct delivery *), UINT32_MAX);
	deliveries->counts.last_delay_seconds = (double)NAN;
	pthread_mutex_init(&deliveries->lock, /* attributes */ NULL);
	delivery_rows_open(deliveries);
	return deliveries;
}

static void free_list(struct delivery *delivery)
{
	while (delivery) {
		struct delivery *next = delivery->next;
		if (delivery->settled)
			delivery->settled(delivery->arg, false, "the agent ends: it is not known whether it arrived");
		if (delivery->topic)
			leave_topic(delivery->lane, delivery->topic);
		delivery_free(delivery);
		delivery = next;
	}
}

static void lane_free(struct lane *lane)
{
	free_list(lane->first);
	keyed_release(&lane->topics);
	parcel_unref(lane->parcel);
	free(lane->notifier);
	free(lane);
}

void deliveries_free(struct deliveries *deliveries)
{
	if (!deliveries)
		return;
	while (deliveries->lanes) {
		struct lane *lane = deliveries->lanes;
		deliveries->lanes = lane->next;
		lane_free(lane);
	}
	free_list(deliveries->settled);
	while (deliveries->receipts)
		remove_receipt(deliveries, deliveries->receipts);
	keyed_release(&deliveries->receipts_of);
	keyed_release(&deliveries->latest);
	keyed_release(&deliveries->tickets);
	pthread_mutex_destroy(&deliveries->lock);
	free(deliveries);
}
