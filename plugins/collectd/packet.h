/* SPDX-License-Identifier: MIT
 *
 * Packets of collectd's binary network protocol, plain: pure functions into the packet's own bytes.
 *
 * A packet is a run of parts, each u16 type, u16 length with this header, then a text with its NUL or big-endian
 * numbers; only a gauge's value is a little-endian double. A part stays in force until another of its type comes,
 * within the packet: so what is as it was is left out, and a value costs 30 to 60 bytes rather than 150. Times are in
 * units of 2^-30 s.
 *
 * collectd 5.12 cuts a datagram over 1452 bytes and drops the rest of a packet with a text of 128 bytes or more;
 * neither can be made here.
 */
#ifndef CALLWATCH_COLLECTD_PACKET_H
#define CALLWATCH_COLLECTD_PACKET_H

#include "format_collectd.h"

enum { PACKET_MAX = 1452 };

/* How far a packet is, and what is in force there: of a text, where it lies in the packet (0: none yet). */
struct packet_state {
	size_t length; /* with the head */
	size_t host, plugin, instance, type, name;
	int64_t time, interval;
};

struct packet {
	unsigned char bytes[PACKET_MAX];
	size_t head; /* bytes in front that are not written here: the sealing's (seal.h) */
	struct packet_state now;
};

/* An empty packet. */
void packet_begin(struct packet *packet, size_t head);
static inline bool packet_is_empty(const struct packet *packet)
{
	return packet->now.length == packet->head;
}
/* Adds a value with what it needs. 0; -ENOSPC: it does not fit any more, the packet is as it was. In an empty packet
 * with a head of 200 bytes or less every value fits. `time` wall time in ns, > 0. */
int packet_add(struct packet *packet, const struct collectd_source *source, const struct collectd_value *value,
	       int64_t time, int64_t interval);

#endif
