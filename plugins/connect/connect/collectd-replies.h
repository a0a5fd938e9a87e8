/* SPDX-License-Identifier: MIT
 *
 * What collectd's UNIX socket answers, taken apart: a parser of bytes that we did not write. For
 * plugins (static library connect-collectd).
 *
 * A reply is a line `STATUS TEXT`. A negative status is a failure; a positive one says how many more lines belong to
 * the reply. An empty line between replies is passed over: collectd 5.12 ends some of its error texts with two
 * newlines, and no reply is empty. Memory is bounded by what is kept of a line, whatever comes.
 */
#ifndef CALLWATCH_CONNECT_COLLECTD_REPLIES_H
#define CALLWATCH_CONNECT_COLLECTD_REPLIES_H

#include <stddef.h>
#include <stdint.h>

enum {
	REPLY_KEPT_MAX = 255,   /* of a line; the rest is dropped */
	REPLY_LINE_MAX = 16384, /* longer is no collectd */
	REPLY_LINES_MAX = 1000  /* in one reply; nothing we ask for has that many */
};

struct replies {
	char line[REPLY_KEPT_MAX + 1];
	uint32_t length; /* of the whole line so far */
	uint32_t more;   /* lines that still belong to the last reply */
};

/* One whole reply; `text` is borrowed for the call, cut, and as it came. What is not 0 ends the feeding. */
typedef int (*reply_fn)(void *arg, int32_t status, const char *text);

/* Zeroed is the beginning. 0; -EBADMSG: this is not what collectd answers; else what reply() said. A reply with more
 * lines is told by its first. */
int replies_feed(struct replies *replies, const char *bytes, size_t length, reply_fn reply, void *arg);

#endif
