/* SPDX-License-Identifier: MIT
 *
 * The notifier instance's side of notifications: a parcel (parcel.h) arrives by mail, its plugin's notify() is called,
 * and what the plugin says of it settles the parcel. Who decides what is sent when, and again, is `deliveries`
 * (core/alerts/delivery.h). Private to the core.
 *
 * One parcel at a time. A plugin may be wrong: it may never say a word, speak twice, or of nothing. The patience is the
 * sender's, who settles the parcel when it is at an end; then the plugin is stopped and started anew, so that it is
 * never given another while it still has one. An instance that stops is given a moment for what is in flight; what is
 * left then was doubtful.
 */
#ifndef CALLWATCH_CORE_NOTIFYING_H
#define CALLWATCH_CORE_NOTIFYING_H

#include "parcel.h"

struct instance;
struct roster;

/* An instance's, on its own thread. */
struct notifying {
	struct parcel *parcel; /* a reference; NULL: none is in flight */
	bool is_lost;          /* the plugin has one that nobody waits for any more: it is to be started anew */
};

/* What others may know of a notifier. Any thread. False: there is no notifier of this name that tells. */
struct notifier {
	bool runs;           /* its plugin has started, and its thread is heard of */
	uint32_t digest_max; /* at least 1 */
};
bool notifying_look(struct roster *roster, const char *name, struct notifier *ret_notifier);
/* Gives it to the notifier of this name, takes a reference: 0. It will be settled, unless the instance is left behind.
 * -ENOENT, -EAGAIN (it does not run, or has too much mail). Once per parcel. */
int notifying_offer(struct roster *roster, const char *name, struct parcel *parcel);
/* The instance that was given this parcel still runs or is about to end: it will say so. */
bool notifying_has(struct roster *roster, const struct parcel *parcel);

/* The instance's own thread. */
void notifying_told(struct instance *self, const struct cw_delivered *delivered, const char *reason);
bool notifying_busy(const struct instance *self);
void notifying_beat(struct instance *self); /* each second */
void notifying_stop(struct instance *self); /* its plugin has stopped */

#endif
