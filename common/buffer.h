/* SPDX-License-Identifier: MIT
 *
 * Text that grows up to a ceiling: what an answer or a run of lines is written into before it goes out. For both sides
 * of the contract, as text.h.
 *
 * An append that would pass the ceiling, or finds no memory, appends nothing and sets `failed`, once for all appends
 * that follow; the writer looks at the end. `head` bytes in front of the text are the caller's.
 */
#ifndef CALLWATCH_COMMON_BUFFER_H
#define CALLWATCH_COMMON_BUFFER_H

#include "callwatch/types.h"

struct buffer {
	char *block; /* head, text */
	size_t head, length, room, ceiling;
	bool failed;
};

void buffer_init(struct buffer *buffer, size_t head, size_t ceiling);
void buffer_release(struct buffer *buffer); /* a zeroed one is fine */
static inline char *buffer_text(const struct buffer *buffer)
{
	return buffer->block ? buffer->block + buffer->head : NULL;
}
/* Back to an earlier length, and no longer failed. */
void buffer_cut(struct buffer *buffer, size_t length);
/* Room for `more` bytes behind the text, to be filled by the caller who then adds to `length`; NULL: failed. */
char *buffer_reserve(struct buffer *buffer, size_t more);

void buffer_bytes(struct buffer *buffer, const char *bytes, size_t length);
void buffer_string(struct buffer *buffer, const char *text);
void buffer_print(struct buffer *buffer, const char *format, ...) CW_PRINTF(2, 3);
void buffer_json(struct buffer *buffer, const char *text, size_t length); /* quoted, as text_json() */

#endif
