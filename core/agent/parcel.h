/* SPDX-License-Identifier: MIT
 *
 * A parcel: the notices of one attempt on their way to a notifier and back, shared by two threads: that of who sends
 * them (core/alerts/delivery.c), and that of the instance that is to tell them (notifying.h). Reference-counted.
 * Private to core/agent and core/alerts.
 *
 * What is in it does not change. What became of it is said once, by whoever knows it first (the plugin, the end of its
 * instance, or the sender who has lost patience), and what is said later is left out. It goes back as mail; a mailbox
 * that is full is no loss: the sender looks now and then.
 */
#ifndef CALLWATCH_CORE_PARCEL_H
#define CALLWATCH_CORE_PARCEL_H

#include "callwatch/notify.h"
#include "mailbox.h"

#include <pthread.h>

enum { PARCEL_REASON_MAX = 512 };

/* A receiver that wants to be left alone for longer (Retry-After) is asked again after this: in a day it is too late.
 */
#define PARCEL_WAIT_MAX (3600 * CW_SECOND)

struct notice;

/* A notice for this attempt; all is copied, of the notice a reference is taken. */
struct parcel_item {
	struct notice *notice;
	const char *id;                 /* of the notice for this notifier */
	const char *receipt, *progress; /* NULL: nothing */
	uint32_t attempt;
	bool is_doubtful;
};

struct parcel_outcome {
	enum cw_delivery outcome;
	bool is_partial;
	int64_t not_before;             /* instant, at most PARCEL_WAIT_MAX from now; 0: none */
	char *progress, *receipt;       /* valid UTF-8 of at most CW_NOTICE_KEPT_MAX bytes; NULL: nothing */
	char reason[PARCEL_REASON_MAX]; /* visible text; "": none */
};

struct parcel {
	struct mail mail; /* first: brings it back */
	_Atomic int references;

	/* never changed once it is shared */
	struct mailbox *sender; /* a reference */
	void *arg;              /* the sender's */
	uint32_t count;
	const struct cw_notice **notices; /* as the plugin sees them */
	struct notice **kept;
	struct mailbox *receiver; /* of the instance that has it; a reference; set when it is given */

	pthread_mutex_t lock; /* guards what follows; the outcome does not change once it is settled */
	bool is_settled;
	struct parcel_outcome outcome;
};

/* `deliver` gets it on the sender's thread when it is settled, and owes it a parcel_unref(). NULL: no memory. */
struct parcel *parcel_new(const struct parcel_item *items, uint32_t count, struct mailbox *sender,
			  void (*deliver)(struct mail *mail, void *owner), void *arg);
struct parcel *parcel_ref(struct parcel *parcel);
void parcel_unref(struct parcel *parcel); /* NULL is fine */

/* Any thread. Texts are copied, and made fit to be kept. False: it was settled already. */
bool parcel_settle(struct parcel *parcel, const struct cw_delivered *delivered, const char *reason);
bool parcel_is_settled(struct parcel *parcel);

#endif
