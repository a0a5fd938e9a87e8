/* SPDX-License-Identifier: MIT
 *
 * What all formats share. Public to plugins that link callwatch-format.
 *
 * Every format is a function of one kind. It appends whole lines to a buffer, each ended by \n, never half a line, and
 * nothing a sample holds can make another line of it.
 */
#ifndef CALLWATCH_FORMAT_FORMAT_H
#define CALLWATCH_FORMAT_FORMAT_H

#include "buffer.h"

#include "callwatch/metric.h"

/* Number of lines appended; 0: the sample cannot be said in this format; -ENOMEM: no memory or over the limit, nothing
 * was appended. */
typedef int (*format_fn)(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

/* 0, or -ENOMEM: something since `start` did not fit, and all since then was taken back. */
int format_end(struct buffer *out, size_t start);

/* Bytes of the character at `text` if it is valid UTF-8 and neither a quote nor something that text_visible() escapes
 * (controls, what is invisible or reorders); 0: this byte has to be escaped. */
size_t format_plain_character(const char *text);

#endif
