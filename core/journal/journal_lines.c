/* SPDX-License-Identifier: MIT
 *
 * See journal_lines.h. A line is one block: the values, and behind them the texts.
 */
#include "journal_lines.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct value {
	char type;
	union {
		const char *text;
		int64_t integer;
		double number;
	};
};

struct line {
	struct line *next;
	const char *sql;
	int count;
	struct value values[]; /* and the texts */
};

struct journal_lines {
	struct journal_entry entry; /* first */
	struct line *first, **last;
	bool failed; /* memory has run out */
	journal_told told;
	void *arg;
};

/* ---- made ---- */

static size_t size_of_texts(const char *types, va_list args)
{
	size_t size = 0;
	for (const char *type = types; *type; type++) {
		const char *text = *type == 't' ? va_arg(args, const char *) : NULL;
		if (*type == 'i')
			(void)va_arg(args, int64_t);
		else if (*type == 'd')
			(void)va_arg(args, double);
		size += text ? strlen(text) + 1 : 0;
	}
	return size;
}

static void fill(struct line *line, const char *types, va_list args)
{
	char *end = (char *)(line->values + line->count);
	for (int i = 0; i < line->count; i++) {
		struct value *value = &line->values[i];
		const char *text = NULL;
		value->type = types[i];
		if (value->type == 'i')
			value->integer = va_arg(args, int64_t);
		else if (value->type == 'd')
			value->number = va_arg(args, double);
		else if ((text = va_arg(args, const char *)))
			end = stpcpy((char *)(value->text = end), text) + 1;
		else
			value->text = NULL;
	}
}

void journal_lines_add(struct journal_lines *lines, const char *sql, const char *types, ...)
{
	if (!lines)
		return;
	va_list args;
	va_start(args, types);
	size_t count = strlen(types),
	       size = sizeof(struct line) + count * sizeof(struct value) + size_of_texts(types, args);
	va_end(args);
	struct line *line = malloc(size);
	if (!line) {
		lines->failed = true;
		return;
	}
	*line = (struct line){.sql = sql, .count = (int)count};
	va_start(args, types);
	fill(line, types, args);
	va_end(args);
	*lines->last = line;
	lines->last = &line->next;
	lines->entry.bytes += size;
}

void journal_lines_free(struct journal_lines *lines)
{
	while (lines && lines->first) {
		struct line *line = lines->first;
		lines->first = line->next;
		free(line);
	}
	free(lines);
}

/* ---- written ---- */

static void bind(sqlite3_stmt *statement, const struct line *line)
{
	for (int i = 0; i < line->count; i++) {
		const struct value *value = &line->values[i];
		if (value->type == 'i')
			sqlite3_bind_int64(statement, i + 1, value->integer);
		else if (value->type == 't')
			sqlite3_bind_text(statement, i + 1, value->text, -1, SQLITE_STATIC);
		else if (isnan(value->number))
			sqlite3_bind_null(statement, i + 1);
		else
			sqlite3_bind_double(statement, i + 1, value->number);
	}
}

/* Lines of one statement follow each other: it is compiled once. */
static int write_lines(struct journal_entry *entry, struct sqlite3 *db)
{
	const struct journal_lines *lines = (const struct journal_lines *)entry;
	sqlite3_stmt *statement = NULL;
	const char *compiled = NULL;
	int code = SQLITE_OK;
	for (const struct line *line = lines->first; line && code == SQLITE_OK; line = line->next) {
		if (line->sql != compiled) {
			sqlite3_finalize(statement);
			code = sqlite3_prepare_v2(db, line->sql, -1, &statement, NULL);
			compiled = line->sql;
		}
		if (code != SQLITE_OK)
			break;
		bind(statement, line);
		code = sqlite3_step(statement);
		sqlite3_reset(statement);
		code = code == SQLITE_DONE ? SQLITE_OK : code;
	}
	sqlite3_finalize(statement);
	return code;
}

static void on_told(struct journal_entry *entry, bool on_disk)
{
	const struct journal_lines *lines = (const struct journal_lines *)entry;
	if (lines->told)
		lines->told(lines->arg, on_disk);
}

static void free_entry(struct journal_entry *entry)
{
	journal_lines_free((struct journal_lines *)entry);
}

struct journal_lines *journal_lines_new(void)
{
	struct journal_lines *lines = malloc(sizeof *lines);
	if (!lines)
		return NULL;
	*lines = (struct journal_lines){
		.entry = {.write = write_lines, .told = on_told, .free = free_entry, .bytes = sizeof *lines}};
	lines->last = &lines->first;
	return lines;
}

int journal_lines_post(struct journal *journal, struct journal_lines *lines, journal_told told, void *arg)
{
	int rc = !lines || lines->failed ? -ENOMEM : 0;
	if (rc == 0 && journal) {
		lines->told = told;
		lines->arg = arg;
		if ((rc = journal_post(journal, &lines->entry)) == 0)
			return 0;
	}
	journal_lines_free(lines);
	if (rc == 0 && told)
		told(arg, /* on_disk */ false);
	return rc;
}
