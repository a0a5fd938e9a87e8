/* SPDX-License-Identifier: MIT
 *
 * The buffer that lines are formatted into: it grows up to a ceiling and never holds half a line. Public to plugins
 * that link callwatch-format.
 *
 * Every format is a function of this kind. It appends whole lines, each ended by \n, and nothing a sample holds can
 * make another line of it.
 */
#ifndef CALLWATCH_FORMAT_BUFFER_H
#define CALLWATCH_FORMAT_BUFFER_H

#include "callwatch/metric.h"

struct format_buffer {
	char *bytes; /* not NUL-terminated */
	size_t length, room;
	size_t limit; /* ceiling of `length`; set by whoever makes the buffer */
	bool failed;  /* something did not fit since the last line was ended */
};

/* Number of lines appended; 0: the sample cannot be said in this format; -ENOMEM: no memory or over the limit, nothing
 * was appended. */
typedef int (*format_fn)(struct format_buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

void format_buffer_release(struct format_buffer *out);
void format_append(struct format_buffer *out, const char *bytes, size_t length);
void format_string(struct format_buffer *out, const char *text);
void format_print(struct format_buffer *out, const char *format, ...) CW_PRINTF(2, 3);
/* 0, or -ENOMEM: something since `start` did not fit, and all since then was taken back. */
int format_end(struct format_buffer *out, size_t start);

/* Bytes of the character at `text` if it is valid UTF-8 and neither a control, a quote nor something invisible that
 * reorders or breaks lines; 0: this byte has to be escaped. */
size_t format_plain_character(const char *text);

#endif
