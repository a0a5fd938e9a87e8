/* SPDX-License-Identifier: MIT
 *
 * See notifying.h.
 */
#include "notifying.h"

#include "clock.h"
#include "instance_private.h"
#include "log.h"
#include "roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what becomes of a parcel ---- */

/* A notifier that says nothing of itself is judged by what becomes of its notices. */
static void derive_state(struct instance *self, enum cw_delivery outcome, const char *reason)
{
	bool is_well = outcome == CW_DELIVERED;
	if (is_well)
		atomic_store_explicit(&self->stats->last_ok, clock_wall(), memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&self->stats->errors, 1, memory_order_relaxed);
	if (!self->said_state)
		instance_set_state(self, is_well ? CW_UP : CW_DOWN, /* next_try */ 0,
				   is_well  ? ""
				   : reason ? reason
					    : "a notice could not be sent");
}

static void settle(struct instance *self, const struct cw_delivered *delivered, const char *reason)
{
	struct parcel *parcel = self->notifying.parcel;
	self->notifying.parcel = NULL;
	if (parcel_settle(parcel, delivered, reason) && self->started)
		derive_state(self, delivered->outcome, reason);
	parcel_unref(parcel);
}

/* By the core, for what the plugin did not say. */
static void settle_as(struct instance *self, enum cw_delivery outcome, const char *reason)
{
	struct cw_delivered delivered = {.size = sizeof delivered, .outcome = outcome};
	settle(self, &delivered, reason);
}

static void notify(struct instance *self, struct parcel *parcel)
{
	struct notifying *notifying = &self->notifying;
	notifying->parcel = parcel_ref(parcel);
	instance_enter(self, "notify");
	int status = self->decl->notify(self->plugin_state, parcel->notices, parcel->count);
	instance_leave(self);
	if (!notifying->parcel || status == CW_LATER) /* it has said so from within, or will */
		return;
	char reason[INSTANCE_REASON_MAX];
	snprintf(reason, sizeof reason, "notify failed: %s; its lines in the log may say more", strerror(-status));
	if (status < 0)
		settle_as(self, CW_TRY_AGAIN, reason);
	else
		settle_as(self, CW_DELIVERED, /* reason */ NULL);
}

void notifying_told(struct instance *self, const struct cw_delivered *delivered, const char *reason)
{
	struct cw_delivered known = {0};
	if (!self->notifying.parcel) {
		log_line(self->name, CW_WARNING,
			 "its plugin says what became of a notice that it does not have (a fault of the plugin)");
		return;
	}
	memcpy(&known, delivered, delivered->size < sizeof known ? delivered->size : sizeof known);
	settle(self, &known, reason);
}

bool notifying_busy(const struct instance *self)
{
	return self->started && self->notifying.parcel;
}

void notifying_beat(struct instance *self)
{
	struct notifying *notifying = &self->notifying;
	if (!notifying->parcel || notifying->is_lost || !parcel_is_settled(notifying->parcel))
		return;
	log_line(self->name, CW_ERROR,
		 "plugin %s has not said in time what became of a notice: it is started anew (a fault of the plugin)",
		 self->decl->name);
	notifying->is_lost = true;
}

void notifying_stop(struct instance *self)
{
	if (self->notifying.parcel)
		settle_as(self, CW_DOUBTFUL, "the instance was stopped while it was being sent");
	self->notifying.is_lost = false;
}

/* ---- parcels that come ---- */

struct order {
	struct mail mail; /* first */
	struct parcel *parcel;
};

static void return_unopened(struct order *order, const char *why)
{
	struct cw_delivered delivered = {.size = sizeof delivered, .outcome = CW_TRY_AGAIN};
	parcel_settle(order->parcel, &delivered, why);
}

static void order_free(struct order *order)
{
	parcel_unref(order->parcel);
	free(order);
}

static void on_notify(struct mail *mail, void *owner)
{
	struct instance *self = owner;
	struct order *order = (struct order *)mail;
	if (!self->started || self->stopping || self->notifying.parcel || atomic_load(&self->abandoned))
		return_unopened(order, "the instance was stopped or restarted meanwhile");
	else if (!parcel_is_settled(order->parcel)) /* else it has lain here for too long */
		notify(self, order->parcel);
	order_free(order);
}

static void on_notify_dropped(struct mail *mail)
{
	struct order *order = (struct order *)mail;
	return_unopened(order, "the instance was stopped meanwhile");
	order_free(order);
}

/* ---- from the sender ---- */

struct look {
	const char *name;
	const struct mailbox *box; /* instead of a name */
	struct parcel *parcel;     /* to be given to it; NULL: none */
	struct notifier *found;
	int status; /* -ENOENT: none was found */
};

static int give(struct instance *instance, struct parcel *parcel)
{
	struct order *order = malloc(sizeof *order);
	if (!order)
		return -EAGAIN;
	*order = (struct order){{.deliver = on_notify, .drop = on_notify_dropped}, parcel_ref(parcel)};
	parcel->receiver = mailbox_ref(instance->box); /* before another thread may look at it */
	if (mailbox_post(instance->box, &order->mail) == 0)
		return 0;
	mailbox_unref(parcel->receiver);
	parcel->receiver = NULL;
	order_free(order);
	return -EAGAIN;
}

/* Under the roster's lock. */
static void on_seen(void *arg, struct instance *instance)
{
	struct look *look = arg;
	bool is_it = look->box ? instance->box == look->box : strcmp(instance->name, look->name) == 0;
	if (!is_it || !instance->decl->notify || look->status == 0)
		return;
	bool runs = atomic_load(&instance->acts) && instance_state(instance) != CW_STUCK;
	look->status = !look->parcel ? 0 : runs ? give(instance, look->parcel) : -EAGAIN;
	if (look->found)
		*look->found = (struct notifier){
			.runs = runs, .digest_max = instance->decl->digest_max ? instance->decl->digest_max : 1};
}

bool notifying_look(struct roster *roster, const char *name, struct notifier *ret_notifier)
{
	struct look look = {.name = name, .found = ret_notifier, .status = -ENOENT};
	roster_each(roster, on_seen, &look);
	return look.status == 0;
}

int notifying_offer(struct roster *roster, const char *name, struct parcel *parcel)
{
	struct look look = {.name = name, .parcel = parcel, .status = -ENOENT};
	roster_each(roster, on_seen, &look);
	return look.status;
}

bool notifying_has(struct roster *roster, const struct parcel *parcel)
{
	struct look look = {.box = parcel->receiver, .status = -ENOENT};
	roster_each(roster, on_seen, &look);
	return look.status == 0;
}
