/* SPDX-License-Identifier: MIT
 *
 * Deliveries: each notice on its way to one notifier, from the moment it is in the journal until it is settled. One
 * queue per notifier; order is kept within a group. Private to core/alerts; on the thread `alerts`, but what is marked.
 *
 *     queued ─▶ sending ─▶ sent
 *        ▲         ├── try again: a pause from 1 s to 5 min, with jitter (or Retry-After for the whole notifier) ──┐
 *        │         └── refused, or a day has passed ─▶ dead                                                         │
 *        └───────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * `sending` is journaled before the notifier is given the notice, and its outcome after: so after a crash a notice that
 * was `queued` was never sent, and one that was `sending` may have been (is_doubtful). If the journal does not answer
 * within 2 s, it is sent all the same, and marked so in table `notifications`.
 *
 * More than ten that wait for a notifier that can make digests go as one. A notifier that is not there (restarting,
 * stuck, taken out of the configuration) loses nothing: its queue waits; of one that is not configured any more it is
 * dead after a day like all others.
 *
 * Table `notifications` shows those under way and the last 1,000 settled.
 */
#ifndef CALLWATCH_CORE_DELIVERY_H
#define CALLWATCH_CORE_DELIVERY_H

#include "notice.h"

struct hub;
struct journal;
struct mailbox;
struct roster;
struct deliveries;
struct journal_delivery;

enum delivery_state { DELIVERY_QUEUED = 0, DELIVERY_SENDING = 1, DELIVERY_SENT = 2, DELIVERY_DEAD = 3 };
extern const char *const delivery_state_names[];

struct deliveries_options {
	struct hub *hub; /* its tables, events */
	struct roster *roster;
	struct journal *journal; /* NULL: none */
	struct mailbox *box;     /* of the thread `alerts`: outcomes come by it */
	bool (*can_digest)(void *arg, const char *notifier, uint32_t *ret_max);
	/* A TEST notice was settled, for the task that waits (acting.c); NULL: nobody does. */
	void *arg;
};

struct deliveries *deliveries_new(const struct deliveries_options *options);
void deliveries_free(struct deliveries *deliveries);
/* A notice for a notifier, in the entry that is being written by journal_tell(): from now on it is this room's. The
 * journal's word on it (told) leads to the first attempt. */
int deliveries_add(struct deliveries *deliveries, struct notice *notice, const char *notifier, int64_t wall);
/* What the journal knew of one that is not settled, or of the last ones that are. */
int deliveries_restore(struct deliveries *deliveries, const struct journal_delivery *known);
/* Offers what is due; the instant at which it wants to be called again at the latest. */
int64_t deliveries_step(struct deliveries *deliveries, int64_t now, int64_t wall);
/* An instance of this name is up again, or has gone. */
void deliveries_instance(struct deliveries *deliveries, const char *notifier, bool is_up);
/* For `alerts`.notified: `slack 02:10:03, email queued (450 …), next try 02:15`. "" if nothing was told. */
void deliveries_describe(const struct deliveries *deliveries, const char *incident, char *text, size_t size);

/* Any thread: how many were settled, by outcome, since the start; and how many wait. For the agent's own samples. */
struct delivery_counts {
	uint64_t sent, retried, dead;
	uint64_t waiting;
	double last_delay_seconds; /* from the alert's beginning until the receiver said yes; NaN: none yet */
};
void deliveries_counts(struct deliveries *deliveries, struct delivery_counts *ret_counts);

#endif
