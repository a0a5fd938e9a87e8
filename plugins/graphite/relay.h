/* SPDX-License-Identifier: MIT
 *
 * The connection to a Graphite receiver, over TCP or UDP: it connects, comes back by itself, and says the instance's
 * state. Lines are pulled when there is room, and the caller is told when they are with the receiver.
 *
 *   dialling → up ⇄ (takes nothing for 10 s: down) → 30 s: cut → waiting (a pause) → dialling
 *
 * When are lines with the receiver? Nobody says so in this protocol. Over TCP it is when the other machine has
 * acknowledged their bytes (SIOCOUTQ), and the connection is older than a second: what takes connections and closes
 * them at once, such as a load balancer without servers, acknowledges too. What the receiver had acknowledged and not
 * read when the connection broke is sent again on the next one, as far back as `history` reaches (flight.h), unless
 * nothing was sent for a minute. Over UDP lines are with the receiver when 20 ms later no host has objected, which says
 * little; datagrams are sent at a pace that a receiver can follow, and the name is looked up again each minute.
 *
 * A receiver that takes no data (it hangs) is down after 10 s. Its connection is kept, for it may come back to itself,
 * until 30 s; then another is tried. One that takes data, but needs more than 5 s for what it was given, is degraded.
 *
 * Everything runs on the instance's thread.
 */
#ifndef CALLWATCH_GRAPHITE_RELAY_H
#define CALLWATCH_GRAPHITE_RELAY_H

#include "address.h"
#include "buffer.h"
#include "callwatch/plugin.h"

struct relay;

struct relay_settings {
	struct address address;
	bool udp;
	int64_t rate;            /* datagrams a second */
	int64_t reconnect_every; /* TCP, ns; 0: never */
	size_t history;          /* bytes that are sent again */
};

struct relay_callbacks {
	/* There is room: appends some 64 KiB of whole lines; nothing if there are no more. */
	void (*fill)(void *arg, struct buffer *out);
	/* All that fill() gave is with the receiver, and fill() has no more. May call relay_push(). */
	void (*settled)(void *arg);
};

/* 0 or -ENOMEM. */
int relay_open(struct cw_instance *self, const struct cw_host *host, const struct relay_settings *settings,
	       const struct relay_callbacks *callbacks, void *arg, struct relay **ret_relay);
/* fill() has something; settled() will follow, perhaps from within. */
void relay_push(struct relay *relay);
/* No callback afterwards. Memory goes when the loop has closed the handles. NULL is fine. */
void relay_close(struct relay *relay);

/* What is known, for people. */
struct relay_view {
	bool connected;
	int64_t since;      /* instant: of the connection, or of its loss */
	int64_t taken;      /* instant when data was last taken, 0: never */
	int64_t waiting;    /* ns since when data waits and none is taken; 0: none waits */
	const char *peer;   /* address it is or was connected to; "": never */
	const char *reason; /* why it is not connected; "" */
};
void relay_look(const struct relay *relay, struct relay_view *ret_view);

#endif
