/* SPDX-License-Identifier: MIT
 *
 * See lines.h.
 */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void lines_release(struct lines *lines)
{
	free(lines->text);
	*lines = (struct lines){0};
}

/* Room for `more` bytes and a NUL. */
static bool make_room(struct lines *lines, size_t more)
{
	if (lines->room - lines->length > more)
		return true;
	size_t room = lines->room * 2 > lines->length + more ? lines->room * 2 : lines->length + more + 1;
	char *text = realloc(lines->text, room);
	if (!text)
		return false;
	lines->text = text;
	lines->room = room;
	return true;
}

static int append(struct lines *lines, const char *bytes, size_t length)
{
	size_t fits = LINES_LENGTH_MAX - lines->length;
	if (length > fits) {
		lines->is_cut = true;
		length = fits;
	}
	if (!make_room(lines, length)) {
		lines_drop(lines);
		return -ENOMEM;
	}
	memcpy(lines->text + lines->length, bytes, length);
	lines->length += length;
	return 0;
}

static void tell(struct lines *lines, lines_fn line, void *arg)
{
	size_t length = lines->length;
	if (length > 0 && lines->text[length - 1] == '\r')
		length--;
	lines->text[length] = '\0';
	line(arg, lines->text, length, lines->is_cut);
	lines_drop(lines);
}

int lines_feed(struct lines *lines, const char *bytes, size_t length, lines_fn line, void *arg)
{
	while (length > 0) {
		const char *newline = memchr(bytes, '\n', length);
		size_t part = newline ? (size_t)(newline - bytes) : length;
		int status = append(lines, bytes, part);
		if (status < 0)
			return status;
		if (newline)
			tell(lines, line, arg);
		bytes += part + (newline != NULL);
		length -= part + (newline != NULL);
	}
	return 0;
}

void lines_end(struct lines *lines, lines_fn line, void *arg)
{
	if (lines->length > 0)
		tell(lines, line, arg);
}

void lines_drop(struct lines *lines)
{
	lines->length = 0;
	lines->is_cut = false;
}
