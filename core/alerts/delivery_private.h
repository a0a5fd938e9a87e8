/* SPDX-License-Identifier: MIT
 *
 * The inside of deliveries, shared by delivery.c (what comes in: told, tested, restored), delivery_lane.c (what goes
 * out, and what becomes of it) and delivery_rows.c (table `notifications`, and in words). Private to these three; all
 * on the thread `alerts`, but the counts.
 *
 * A *lane* is the way to one notifier. What is settled leaves its lane, and stays for a while to be looked at.
 *
 * A fleet that fails makes thousands of groups, so whatever is looked for is found by a keyed hash, never by a walk.
 */
#ifndef CALLWATCH_CORE_DELIVERY_PRIVATE_H
#define CALLWATCH_CORE_DELIVERY_PRIVATE_H

#include "backoff.h"
#include "delivery.h"
#include "keyed.h"

#include <pthread.h>

enum { SETTLED_SHOWN = 1000, SETTLED_MOST = 20000, RECEIPTS_MAX = 10000, DIGEST_FROM = 11 };

/* Why a delivery is where it is. */
enum stage {
	STAGE_WRITING, /* it is on its way into the journal */
	STAGE_WAITING, /* for its turn, and for `due` */
	STAGE_PICKED,  /* it is one of lane->picked */
	STAGE_SETTLED
};

/* A group's place in a lane, so that order is kept in one walk. */
struct topic {
	uint32_t deliveries;
	uint64_t blocked_in; /* number of the walk in which an earlier one of it was passed over */
	uint64_t partial_in; /* … and `partial` is the last of it that was passed over and need not be waited for */
	struct delivery *partial;
	struct keyed_hash group;
};

struct delivery {
	struct delivery *next, *previous; /* of its lane; of those that are settled only the next */
	struct lane *lane;
	struct topic *topic;   /* NULL once it is settled */
	struct notice *notice; /* NULL once it is settled */
	char id[NOTICE_ID_MAX + 1], group[NOTICE_ID_MAX + 1], incident[NOTICE_ID_MAX + 1];
	char rule[NOTICE_NAME_MAX + 1];
	uint32_t sequence, attempts;
	enum cw_notice_kind kind;
	enum delivery_state state;
	enum stage stage;
	bool is_doubtful, on_disk;
	bool is_alone;       /* it was refused together with others: it goes alone */
	bool is_partial;     /* some have it: a later one of the incident may take its place */
	uint64_t bundle;     /* those that were tried together stay together, for what they have in common; 0: none */
	uint32_t written_in; /* the rewriting of the journal in which it was written last */
	bool is_refused;     /* the journal had no room for what it is now: it stays until a rewriting */
	uint64_t ticket;     /* of the journal's last word on it; 0: it has come, or there is none */
	struct delivery *next_of_ticket, *previous_of_ticket;
	bool is_awaited;       /* that word has not come */
	int64_t patience;      /* instant until which it is waited for */
	int64_t due, deadline; /* instants: of the next attempt; after which there is no other */
	int64_t since, created_at, settled_at, next_try; /* wall; 0: not */
	struct backoff backoff;
	char *progress; /* NULL: nothing */
	char reason[PARCEL_REASON_MAX];
	void (*settled)(void *arg, bool delivered, const char *text); /* of a TEST; NULL: nobody waits */
	void *arg;
};

struct lane {
	struct lane *next;
	char *notifier;
	struct delivery *first, *last; /* not settled, in order */
	struct delivery *last_old;     /* those of an earlier life are in front; NULL: there are none */
	uint64_t count;
	struct keyed topics; /* of struct topic *, by group */
	uint64_t walks;
	bool was_up;
	uint32_t failures;  /* attempts in a row that did not arrive */
	int64_t not_before; /* instant: it was asked to wait (Retry-After); 0: not */
	int64_t wanted;     /* instant before which there is nothing to do, unless something comes … */
	bool is_touched;    /* … and it has */
	int64_t hurried;    /* instant at which what waits was last tried before its time */

	/* the attempt under way */
	struct delivery *picked[CW_NOTICE_DIGEST_MAX];
	uint32_t picked_count;
	struct parcel *parcel; /* NULL: it is still to be journaled that it is sent */
	int64_t patience;      /* awake: until when there must be a word */
};

struct receipt {
	struct receipt *next, *previous;
	struct keyed_hash whose;
	uint32_t written_in;                    /* as a delivery's */
	const char *incident, *notifier, *text; /* behind it, in one block */
};

struct deliveries {
	struct deliveries_options options;
	struct delivery_way way;
	struct lane *lanes;
	struct delivery *settled, **settled_last; /* the oldest first */
	uint32_t settled_count;
	unsigned char secret[KEYED_SECRET_SIZE];
	struct receipt *receipts, *oldest_receipt; /* the newest first */
	struct keyed receipts_of;                  /* of struct receipt *, by whose() */
	struct keyed latest;  /* of struct delivery *, by whose(): the incident's last, while it is shown */
	struct keyed tickets; /* of struct delivery *, by ticket: the first of those that wait for its word */
	uint64_t last_ticket, last_bundle;
	int64_t now, wall;    /* of the step under way */
	uint32_t resumed;     /* that an earlier life left, and nobody was told so yet */
	int64_t confirmed;    /* wall: when the table was last said to be complete */
	struct cw_part *part; /* of table `notifications`; NULL: it could not be made */

	pthread_mutex_t lock; /* guards the counts */
	struct delivery_counts counts;
};

/* delivery.c */
/* An incident as a notifier knows it. */
struct keyed_hash whose(const struct deliveries *deliveries, const char *incident, const char *notifier);
/* Journals it as it is now. With a ticket it waits for the journal's word. */
void delivery_journal(struct deliveries *deliveries, struct delivery *delivery, const char *receipt, uint64_t ticket);
/* The receipt of an incident with this notifier; NULL: none. */
const char *receipt_find(const struct deliveries *deliveries, const char *incident, const char *notifier);
int receipt_keep(struct deliveries *deliveries, const char *incident, const char *notifier, const char *text);
void receipt_forget(struct deliveries *deliveries, const char *incident, const char *notifier);
/* It is sent or dead: takes it out of its lane. */
void delivery_settle(struct deliveries *deliveries, struct delivery *delivery, enum delivery_state state,
		     const char *reason);
void delivery_free(struct delivery *delivery); /* NULL is fine */

/* delivery_lane.c */
int64_t lane_step(struct deliveries *deliveries, struct lane *lane);
/* What waits because of an earlier failure is due now. */
void lane_hurry(struct deliveries *deliveries, struct lane *lane);

/* delivery_rows.c */
void delivery_rows_open(struct deliveries *deliveries);
void delivery_rows_confirm(struct deliveries *deliveries);
void delivery_show(struct deliveries *deliveries, struct delivery *delivery);
void delivery_hide(struct deliveries *deliveries, const struct delivery *delivery); /* it is about to be freed */

#endif
