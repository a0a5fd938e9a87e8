/* SPDX-License-Identifier: MIT
 *
 * A stream of bytes as lines: however the bytes come cut, whatever they are, at most LINES_LENGTH_MAX of them a line.
 * The room for a line is part of the struct, so that nothing is lost for want of memory. Pure.
 */
#ifndef EXEC_LINES_H
#define EXEC_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum { LINES_LENGTH_MAX = 64 * 1024 };

/* A line without its end (\n or \r\n), followed by NUL; it may be cut up, and is valid for the call. `is_cut`: it was
 * longer than LINES_LENGTH_MAX, and only its beginning is here. */
typedef void (*lines_fn)(void *arg, char *line, size_t length, bool is_cut);

/* Zeroed is the beginning. */
struct lines {
	size_t length; /* of the line that has not ended yet */
	bool is_cut;
	char text[LINES_LENGTH_MAX + 1];
};

void lines_feed(struct lines *lines, const char *bytes, size_t length, lines_fn line, void *arg);
/* The stream has ended as it should: what came after the last newline is a line too. If it was broken off that may be
 * half a line: then this is not called. */
void lines_end(struct lines *lines, lines_fn line, void *arg);

#endif
