/* SPDX-License-Identifier: MIT
 *
 * See salvage.h. The old file is left as it is: nothing is written into it, and its WAL is not folded in.
 */
#include "salvage.h"

#include "clock.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 2048, STEPS_BETWEEN_LOOKS = 1000, TABLES_MAX = 32 };

struct salvage {
	struct sqlite3 *old, *db;
	int64_t deadline;
};

/* Non-zero ends what SQLite is doing. */
static int is_late(void *arg)
{
	const struct salvage *work = arg;
	return clock_awake() > work->deadline;
}

static sqlite3_stmt *prepare(struct sqlite3 *db, const char *format, ...)
{
	sqlite3_stmt *statement = NULL;
	va_list args;
	va_start(args, format);
	char *sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (sql && sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
		sqlite3_finalize(statement);
		statement = NULL;
	}
	sqlite3_free(sql);
	return statement;
}

static struct sqlite3 *open_old(struct salvage *work, const char *path)
{
	struct sqlite3 *old = NULL;
	int code = sqlite3_open_v2(path, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(old, "PRAGMA query_only=ON; PRAGMA cell_size_check=ON", NULL, NULL, NULL);
	if (code != SQLITE_OK) {
		sqlite3_close_v2(old);
		return NULL;
	}
	sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_progress_handler(old, STEPS_BETWEEN_LOOKS, is_late, work);
	return old;
}

/* ---- the columns that both have ---- */

/* Does the old file know this column of the table? */
static bool is_in_old(const struct salvage *work, const char *table, const char *column)
{
	sqlite3_stmt *statement =
		prepare(work->old, "SELECT 1 FROM pragma_table_info(%Q) WHERE name = %Q", table, column);
	bool is_there = statement && sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return is_there;
}

static int add_name(char names[NAMES_MAX], const char *name)
{
	size_t used = strlen(names);
	char *more = sqlite3_mprintf("%s\"%w\"", used ? ", " : "", name);
	bool fits = more && used + strlen(more) < NAMES_MAX;
	if (fits)
		snprintf(names + used, NAMES_MAX - used, "%s", more);
	sqlite3_free(more);
	return fits ? 0 : -1;
}

/* How many, behind the first, "": none; `order`: of its primary key, in which a table without rowid is stored. */
static uint32_t list_columns(const struct salvage *work, const char *table, const char *first, char names[NAMES_MAX],
			     char order[NAMES_MAX])
{
	sqlite3_stmt *statement =
		prepare(work->db, "SELECT name, pk FROM pragma_table_info(%Q) ORDER BY pk = 0, pk", table);
	uint32_t count = *first != '\0';
	snprintf(names, NAMES_MAX, "%s", first);
	*order = '\0';
	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		if (!name || !is_in_old(work, table, name) || add_name(names, name) < 0)
			continue;
		count++;
		if (sqlite3_column_int(statement, 1) > 0)
			(void)add_name(order, name);
	}
	sqlite3_finalize(statement);
	return count;
}

static bool has_rowid(const struct salvage *work, const char *table)
{
	sqlite3_stmt *statement = prepare(work->db, "SELECT rowid FROM \"%w\" LIMIT 0", table);
	sqlite3_finalize(statement);
	return statement != NULL;
}

/* ---- rows ---- */

static sqlite3_stmt *prepare_insert(const struct salvage *work, const char *table, const char *names, uint32_t count)
{
	char *marks = malloc(3 * (size_t)count + 1), *end = marks;
	if (!marks)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		end = stpcpy(end, i ? ", ?" : "?");
	sqlite3_stmt *statement = prepare(work->db, "INSERT OR IGNORE INTO \"%w\"(%s) VALUES(%s)", table, names, marks);
	free(marks);
	return statement;
}

/* One that the new file does not take is left out. */
static uint64_t copy_row(const struct salvage *work, sqlite3_stmt *from, sqlite3_stmt *into, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		sqlite3_bind_value(into, (int)i + 1, sqlite3_column_value(from, (int)i));
	int code = sqlite3_step(into);
	sqlite3_reset(into);
	return code == SQLITE_DONE ? (uint64_t)sqlite3_changes(work->db) : 0;
}

/* In this order until the end, or until it cannot be read any further: then false. */
static bool walk(const struct salvage *work, sqlite3_stmt *from, sqlite3_stmt *into, uint32_t count, uint64_t *copied)
{
	int code = from ? SQLITE_ROW : SQLITE_ERROR;
	while (from && (code = sqlite3_step(from)) == SQLITE_ROW)
		*copied += copy_row(work, from, into, count);
	sqlite3_finalize(from);
	return code == SQLITE_DONE;
}

/* The columns of the key, each with DESC behind it. */
static void reverse(const char *order, char reversed[NAMES_MAX])
{
	size_t used = 0;
	*reversed = '\0';
	for (const char *comma; *order; order = *comma ? comma + 2 : comma) {
		comma = strchr(order, ',');
		comma = comma ? comma : order + strlen(order);
		int more = snprintf(reversed + used, NAMES_MAX - used, "%s%.*s DESC", used ? ", " : "",
				    (int)(comma - order), order);
		used += more > 0 && (size_t)more < NAMES_MAX - used ? (size_t)more : 0;
	}
}

static uint64_t copy_table(const struct salvage *work, const char *table)
{
	char names[NAMES_MAX], order[NAMES_MAX], reversed[NAMES_MAX];
	bool by_rowid = has_rowid(work, table); /* it is copied too: it says in which order rows came */
	uint32_t count = list_columns(work, table, by_rowid ? "rowid" : "", names, order);
	uint64_t copied = 0;
	if (count == by_rowid)
		return 0;
	if (by_rowid)
		snprintf(order, sizeof order, "rowid");
	reverse(order, reversed);
	sqlite3_stmt *into = prepare_insert(work, table, names, count);
	static const char select[] = "SELECT %s FROM \"%w\"%s ORDER BY %s";
	const char *how = by_rowid ? " NOT INDEXED" : "";
	if (into && !walk(work, prepare(work->old, select, names, table, how, order), into, count, &copied))
		(void)walk(work, prepare(work->old, select, names, table, how, reversed), into, count, &copied);
	sqlite3_finalize(into);
	return copied;
}

/* ---- tables ---- */

static uint64_t copy_tables(struct salvage *work, char *words, size_t size)
{
	char *tables[TABLES_MAX];
	uint32_t count = 0;
	uint64_t all = 0;
	size_t used = 0;
	sqlite3_stmt *statement =
		prepare(work->db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%%' "
				  "ORDER BY rowid");
	while (statement && count < TABLES_MAX && sqlite3_step(statement) == SQLITE_ROW)
		if ((tables[count] = strdup((const char *)sqlite3_column_text(statement, 0))))
			count++;
	sqlite3_finalize(statement);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t copied = copy_table(work, tables[i]);
		if (copied > 0 && used < size) {
			int more = snprintf(words + used, size - used, "%s%llu of %s", used ? ", " : "",
					    (unsigned long long)copied, tables[i]);
			used += more > 0 ? (size_t)more : 0;
		}
		all += copied;
		free(tables[i]);
	}
	return all;
}

/* Reading leaves files beside the old one that say nothing. */
static void remove_traces(const char *old_path)
{
	char path[PATH_MAX];
	struct stat status;
	snprintf(path, sizeof path, "%s-shm", old_path);
	unlink(path);
	snprintf(path, sizeof path, "%s-wal", old_path);
	if (lstat(path, &status) == 0 && status.st_size == 0)
		unlink(path);
}

uint64_t salvage(const char *old_path, struct sqlite3 *db, int64_t deadline, char *words, size_t size)
{
	struct salvage work = {.db = db, .deadline = deadline};
	uint64_t copied = 0;
	*words = '\0';
	work.old = open_old(&work, old_path);
	if (work.old && sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
		copied = copy_tables(&work, words, size);
		if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
			sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			copied = 0;
			*words = '\0';
		}
	}
	sqlite3_close_v2(work.old);
	remove_traces(old_path);
	return copied;
}
