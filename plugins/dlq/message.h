/* SPDX-License-Identifier: MIT
 *
 * A dead letter as its bytes stand in Redis, judged: what it says, or why it cannot be read. Pure functions over
 * untrusted bytes.
 *
 * Nothing is read by a double and nothing by recursion of ours: numbers stay the text that they were (a 64-bit id is
 * exact, 1e999999 costs nothing), and depth and size are refused before a parser sees them. Of two members with one
 * name the last counts, as it does for the platform.
 */
#ifndef DLQ_MESSAGE_H
#define DLQ_MESSAGE_H

#include "callwatch/types.h"

#include <jansson.h>

enum {
	MESSAGE_BYTES_MAX = 2 << 20, /* a longer one is unreadable: `too large` */
	MESSAGE_DEPTH_MAX = 64,
	MESSAGE_WHY_MAX = 96
};

struct text {
	const char *text; /* NULL: not there; may hold any byte that JSON can, NUL too */
	size_t length;
};

struct message {
	bool is_readable;
	char why[MESSAGE_WHY_MAX]; /* it is not readable; no content of it */
	struct text call_sid, action, error, business_id, call_log_id;
	int64_t retry_count, max_retries;
	bool has_due, has_bad_time; /* next_retry_at: known; there, but no time */
	int64_t due;                /* wall time */
	json_t *root;               /* holds the texts */
};

/* What it says. The texts live until message_release(); `raw` is not kept. */
void message_read(const char *raw, size_t length, struct message *ret_message);
void message_release(struct message *message);

/* The same message to be tried anew: retry_count 0, next_retry_at (where there is one) `wall`, written as it was
 * written before: with Z, with an offset, with neither, or as a number. Every other byte stays as it is. 0 and a text
 * to be freed; -EINVAL it is not readable; -ENOMEM. */
int message_reset(const char *raw, size_t length, int64_t wall, char **ret_raw, size_t *ret_length);

/* What is shown of it. A plus that hides behind its escape (\u002b) is shown as +, so that the number behind it is
 * masked as any other. Returns the length; at most `size` bytes are written, without NUL. */
size_t message_shown(const char *raw, size_t length, char *buffer, size_t size);

#endif
