/* SPDX-License-Identifier: MIT
 *
 * What is wrong with a configuration: a list of errors and warnings, each with its place. Collected, never thrown: one
 * run shows all of them. What strangers wrote is made visible on the way out (no control characters, no escape
 * sequences), and a hostile file cannot make more than PROBLEMS_MAX entries: the rest is counted in `left_out`. Private
 * to the core.
 */
#ifndef CALLWATCH_CORE_PROBLEMS_H
#define CALLWATCH_CORE_PROBLEMS_H

#include "callwatch/types.h"

#include <stdarg.h>
#include <stdio.h>

/* Where something was written; line and column count from 1. `file` lives as long as the configuration it belongs to.
 */
struct place {
	const char *file;
	uint32_t line, column;
};

enum severity { PROBLEM_WARNING, PROBLEM_ERROR };

struct problem {
	enum severity severity;
	char *file; /* NULL: no place */
	uint32_t line, column;
	char *message;
};

struct problems {
	struct problem *list;
	size_t count, errors; /* errors: of all, those left out too */
	size_t left_out;
};

enum { PROBLEMS_MAX = 500, PROBLEM_MESSAGE_MAX = 600 };

void problems_init(struct problems *problems);
void problems_release(struct problems *problems);
void problem_add(struct problems *problems, enum severity severity, const struct place *place, const char *format, ...)
	CW_PRINTF(4, 5);
/* As problem_add, for callers that have a va_list. */
void problem_addv(struct problems *problems, enum severity severity, const struct place *place, const char *format,
		  va_list args) CW_PRINTF(4, 0);
/* `file:line:column: message` per line, warnings with `warning: ` before the message; json: an array of objects. */
void problems_print(const struct problems *problems, FILE *out, bool json);
/* The candidate nearest to `name` by edit distance, NULL if none is near enough to be meant. */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);
/* Writes `; did you mean `x`?` for the nearest candidate, else `; known: a, b, c`, else nothing. Returns `buffer`. */
enum { NAME_HINT_SIZE = 400 };
char *name_hint(char buffer[NAME_HINT_SIZE], const char *name, const char *const *candidates, size_t count);

#endif
