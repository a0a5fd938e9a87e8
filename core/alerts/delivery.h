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
 * Table `notifications` shows those under way and the last 1,000 settled; and of the others those of which the journal
 * does not know it yet, for a crash would send them again.
 */
#ifndef CALLWATCH_CORE_DELIVERY_H
#define CALLWATCH_CORE_DELIVERY_H

#include "notice.h"
#include "notifying.h"

struct group;
struct hub;
struct journal;
struct mailbox;
struct roster;
struct deliveries;
struct journal_delivery;

enum delivery_state { DELIVERY_QUEUED = 0, DELIVERY_SENDING = 1, DELIVERY_SENT = 2, DELIVERY_DEAD = 3 };
extern const char *const delivery_state_names[];

/* Where parcels (core/agent/parcel.h) are given to; as notifying.h, whose notifiers are meant if there is none. */
struct delivery_way {
	bool (*look)(void *arg, const char *notifier, struct notifier *ret_notifier);
	int (*offer)(void *arg, const char *notifier, struct parcel *parcel);
	bool (*has)(void *arg, const struct parcel *parcel);
	void *arg;
};

struct deliveries_options {
	struct hub *hub;                /* its tables, events */
	struct roster *roster;          /* of the notifiers */
	struct journal *journal;        /* NULL: none */
	struct mailbox *box;            /* of the thread `alerts`: outcomes, and the journal's word, come by it */
	const char *hostname;           /* for TEST notices; lives as long */
	const struct delivery_way *way; /* tests' own, instead of the roster; else NULL */
	/* What deliveries_describe() says of an incident of this group may be something else from now on. May be NULL.
	 */
	void (*changed)(void *arg, const char *group);
	void *arg;
};

struct deliveries *deliveries_new(const struct deliveries_options *options); /* NULL: no memory */
/* Those who wait for a TEST notice are told that the agent ends. After the mailbox was closed. NULL is fine. */
void deliveries_free(struct deliveries *deliveries);

/* groups_options.tell(): journals the notice, the group as it is, `told` of its alerts, and a delivery for each of the
 * notifiers, in one transaction; the journal's word on it leads to the first attempts. Borrows all. A RESOLVED also
 * goes to those that have heard of the incident and are not named any more. With no notifier only the group is
 * journaled. 0 or -ENOMEM: some may have been left out, which is logged. */
int deliveries_tell(struct deliveries *deliveries, const struct group *group, const struct notice *notice,
		    const char *const *notifiers, uint32_t n, int64_t wall);
/* alerting_test(): a notice of kind TEST, straight to the notifier. It is given up after 5 min. settled() is called
 * once, on this thread, unless it fails with -ENOMEM. */
int deliveries_test(struct deliveries *deliveries, const char *notifier, const char *by, int64_t wall,
		    void (*settled)(void *arg, bool delivered, const char *text), void *arg);

/* What the journal knew, before the first step: of deliveries that are not settled and of the last ones that are; and
 * of receipts. What is restored may be damaged: -EINVAL, -ENOMEM and it is left out. */
int deliveries_restore(struct deliveries *deliveries, const struct journal_delivery *known, int64_t now, int64_t wall);
int deliveries_receipt(struct deliveries *deliveries, const char *incident, const char *notifier, const char *receipt);
/* alerting_rewrite(): all that are shown, and all receipts, are posted to the journal again, those that were not yet in
 * this rewriting, as long as the journal has room. False: there are more. */
bool deliveries_rewrite(struct deliveries *deliveries, uint32_t rewriting);

/* Offers what is due, gives up what has waited too long; the instant at which it wants to be called again at the
 * latest. Call it also when something has come by the mailbox. */
int64_t deliveries_step(struct deliveries *deliveries, int64_t now, int64_t wall);
/* An instance of this name is up again: what failed before is tried at once. */
void deliveries_instance(struct deliveries *deliveries, const char *notifier, bool is_up);
/* For `alerts`.notified: `slack 02:10:03, email queued (450 …), next try 02:15`. "" if nothing was told. */
void deliveries_describe(const struct deliveries *deliveries, const char *incident, char *text, size_t size);

/* Any thread: how many were settled, by outcome, since the start; and how many wait. For the agent's own samples. */
struct delivery_counts {
	uint64_t sent, retried, dead;
	uint64_t waiting;
	double last_delay_seconds; /* from when a notice was made until the receiver said yes; NaN: none yet */
};
void deliveries_counts(struct deliveries *deliveries, struct delivery_counts *ret_counts);

#endif
