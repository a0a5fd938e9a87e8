/* SPDX-License-Identifier: MIT
 *
 * A stream of bytes as lines: however the bytes come cut, whatever they are, at most LINES_LENGTH_MAX of them a line.
 * Pure.
 */
#ifndef EXEC_LINES_H
#define EXEC_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_LENGTH_MAX = 64 * 1024 };

/* A line without its end (\n or \r\n), followed by NUL; it may be cut up, and is valid for the call. `is_cut`: it was
 * longer than LINES_LENGTH_MAX, and only its beginning is here. */
typedef void (*lines_fn)(void *arg, char *line, size_t length, bool is_cut);

struct lines {
	char *text; /* of the line that has not ended yet */
	size_t length, room;
	bool is_cut;
};

void lines_release(struct lines *lines); /* a zeroed one is fine */
/* 0, or -ENOMEM: the line that has begun is lost. */
int lines_feed(struct lines *lines, const char *bytes, size_t length, lines_fn line, void *arg);
/* The stream has ended: what came after the last newline is a line too. */
void lines_end(struct lines *lines, lines_fn line, void *arg);
/* The same, but it was broken off: half a line is none. */
void lines_drop(struct lines *lines);

#endif
