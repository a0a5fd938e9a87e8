/* SPDX-License-Identifier: MIT
 *
 * See problems.h. Order is that of discovery, so that a file reads from top to bottom. Running out of memory while a
 * problem is written down keeps the count: a configuration with an error is refused even if the error cannot be shown.
 */
#include "problems.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void problems_init(struct problems *problems)
{
	*problems = (struct problems){0};
}

void problems_release(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		free(problems->list[i].file);
		free(problems->list[i].message);
	}
	free(problems->list);
	*problems = (struct problems){0};
}

/* Room for one more; NULL: it is only counted. */
static struct problem *append(struct problems *problems)
{
	bool full = (problems->count & (problems->count - 1)) == 0; /* the list grows at each power of two */
	if (problems->count >= PROBLEMS_MAX)
		return NULL;
	if (full) {
		size_t room = problems->count ? 2 * problems->count : 1;
		struct problem *list = realloc(problems->list, room * sizeof(*list));
		if (!list)
			return NULL;
		problems->list = list;
	}
	return &problems->list[problems->count++];
}

void problem_addv(struct problems *problems, enum severity severity, const struct place *place, const char *format,
		  va_list args)
{
	char message[PROBLEM_MESSAGE_MAX], visible[2 * PROBLEM_MESSAGE_MAX];
	problems->errors += severity == PROBLEM_ERROR ? 1 : 0;
	struct problem *problem = append(problems);
	if (!problem) {
		problems->left_out++;
		return;
	}
	vsnprintf(message, sizeof(message), format, args);
	text_visible(visible, sizeof(visible), message, strlen(message));
	*problem = (struct problem){
		.severity = severity,
		.file = place && place->file ? strdup(place->file) : NULL,
		.line = place ? place->line : 0,
		.column = place ? place->column : 0,
		.message = strdup(visible),
	};
}

void problem_add(struct problems *problems, enum severity severity, const struct place *place, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_addv(problems, severity, place, format, args);
	va_end(args);
}

/* --- printing --- */

static void print_text(const struct problem *problem, FILE *out)
{
	char file[1024];
	if (problem->file) {
		text_visible(file, sizeof(file), problem->file, strlen(problem->file));
		fprintf(out, "%s:%u:%u: ", file, problem->line, problem->column);
	}
	fprintf(out, "%s%s\n", problem->severity == PROBLEM_WARNING ? "warning: " : "",
		problem->message ? problem->message : "out of memory");
}

static void print_string(FILE *out, const char *text)
{
	char json[6 * 2 * PROBLEM_MESSAGE_MAX + 3];
	text_json(json, sizeof(json), text, strlen(text));
	fputs(json, out);
}

static void print_json(const struct problem *problem, FILE *out)
{
	fprintf(out, "{\"severity\":\"%s\",\"file\":", problem->severity == PROBLEM_WARNING ? "warning" : "error");
	if (problem->file) {
		print_string(out, problem->file);
		fprintf(out, ",\"line\":%u,\"column\":%u", problem->line, problem->column);
	} else {
		fputs("null,\"line\":null,\"column\":null", out);
	}
	fputs(",\"message\":", out);
	print_string(out, problem->message ? problem->message : "out of memory");
	fputs("}", out);
}

void problems_print(const struct problems *problems, FILE *out, bool json)
{
	if (json)
		fputs("[", out);
	for (size_t i = 0; i < problems->count; i++) {
		if (json && i)
			fputs(",\n ", out);
		(json ? print_json : print_text)(&problems->list[i], out);
	}
	if (json)
		fputs("]\n", out);
	else if (problems->left_out)
		fprintf(out, "and %zu more\n", problems->left_out);
}

/* --- the nearest name --- */

enum { NAME_MAX_BYTES = 64, FAR = 2 + NAME_MAX_BYTES / 6 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance where two neighbours swapped count as one (Damerau 1964, optimal string alignment). */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][NAME_MAX_BYTES + 1] = {{0}};
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
			row[j] = least(least(above[j], row[j - 1]) + 1, replaced);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

/* How far `candidate` is from `name`, 0 also for one that is the other's beginning or differs in case only. */
static size_t name_distance(const char *name, const char *candidate)
{
	size_t n = strlen(name), m = strlen(candidate), shorter = least(n, m);
	if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES)
		return SIZE_MAX;
	if (shorter >= 4 && strncasecmp(name, candidate, shorter) == 0)
		return n == m ? 0 : 1;
	if (n > m + FAR || m > n + FAR)
		return SIZE_MAX;
	return distance(name, n, candidate, m);
}

const char *nearest_name(const char *name, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t length = strlen(name), best_distance = length < 3 ? 1 : 2 + length / 6;
	for (size_t i = 0; i < count; i++) {
		if (!candidates[i])
			continue;
		size_t d = name_distance(name, candidates[i]);
		/* Nearer than the best so far, and not just another word of the same length. */
		if (d <= best_distance && d < strlen(candidates[i]) && (!best || d < best_distance)) {
			best = candidates[i];
			best_distance = d;
		}
	}
	return best;
}

char *name_hint(char buffer[NAME_HINT_SIZE], const char *name, const char *const *candidates, size_t count)
{
	const char *nearest = nearest_name(name, candidates, count);
	buffer[0] = '\0';
	if (nearest) {
		snprintf(buffer, NAME_HINT_SIZE, "; did you mean `%s`?", nearest);
		return buffer;
	}
	size_t used = 0;
	for (size_t i = 0; i < count && used < NAME_HINT_SIZE; i++)
		used += (size_t)snprintf(buffer + used, NAME_HINT_SIZE - used, "%s%s",
					 i ? ", " : "; known: ", candidates[i]);
	return buffer;
}
