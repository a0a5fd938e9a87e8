/* SPDX-License-Identifier: MIT
 *
 * The lines on their way, and those just gone. Graphite answers nothing, so what a broken connection took with it is
 * known only in part: the kernel says which bytes the other machine has acknowledged, nobody says which of them the
 * receiver has read. So lines are kept after they were acknowledged, up to `history_limit` bytes, and a new connection
 * begins with them. The same value of the same second twice is as good as once.
 *
 *     0        ≤ history      acked        written       length
 *     | older, going | kept again | in the kernel | to be written |
 *
 * Lines only ever come whole (the caller's promise), so a place behind a newline is where a line begins. Pure: no I/O.
 */
#ifndef CALLWATCH_GRAPHITE_FLIGHT_H
#define CALLWATCH_GRAPHITE_FLIGHT_H

#include "buffer.h"

enum {
	FLIGHT_SLICE = 64 * 1024,    /* what is formatted at a time */
	FLIGHT_KERNEL_MAX = 1 << 20, /* what a kernel may hold of ours: more than its buffer, see relay.c */
	FLIGHT_CHUNK_MAX = 1428      /* bytes of one send or datagram */
};

struct flight {
	struct buffer buffer;
	size_t acked, written;
	size_t history_limit;
};

void flight_init(struct flight *flight, size_t history_limit);
void flight_release(struct flight *flight);
/* Where lines are appended; NULL: not before more is acknowledged. */
struct buffer *flight_out(struct flight *flight);
/* The next whole lines to be written, at most FLIGHT_CHUNK_MAX bytes; if the last write ended within a line, from
 * there. 0: nothing is left, and *ret_bytes is not set. */
size_t flight_chunk(const struct flight *flight, const char **ret_bytes);
size_t flight_unwritten(const struct flight *flight);
size_t flight_unacked(const struct flight *flight); /* of what is written */
void flight_wrote(struct flight *flight, size_t bytes);
void flight_set_unacked(struct flight *flight, size_t bytes);
bool flight_is_settled(const struct flight *flight); /* all is acknowledged */
/* The connection is gone: what was not acknowledged, with what is kept from before if `history`, is to be written
 * again, from the beginning of a line. */
void flight_rewind(struct flight *flight, bool history);

#endif
