/* SPDX-License-Identifier: MIT
 *
 * See lines.h.
 */
#include "lines.h"

#include <string.h>

static void append(struct lines *lines, const char *bytes, size_t length)
{
	size_t fits = LINES_LENGTH_MAX - lines->length;
	lines->is_cut = lines->is_cut || length > fits;
	if (length > fits)
		length = fits;
	memcpy(lines->text + lines->length, bytes, length);
	lines->length += length;
}

static void tell(struct lines *lines, lines_fn line, void *arg)
{
	size_t length = lines->length;
	if (length > 0 && lines->text[length - 1] == '\r')
		length--;
	lines->text[length] = '\0';
	line(arg, lines->text, length, lines->is_cut);
	lines->length = 0;
	lines->is_cut = false;
}

void lines_feed(struct lines *lines, const char *bytes, size_t length, lines_fn line, void *arg)
{
	while (length > 0) {
		const char *newline = memchr(bytes, '\n', length);
		size_t part = newline ? (size_t)(newline - bytes) : length;
		append(lines, bytes, part);
		if (newline)
			tell(lines, line, arg);
		bytes += part + (newline != NULL);
		length -= part + (newline != NULL);
	}
}

void lines_end(struct lines *lines, lines_fn line, void *arg)
{
	if (lines->length > 0)
		tell(lines, line, arg);
}
