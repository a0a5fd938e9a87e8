/* SPDX-License-Identifier: MIT
 *
 * See journal_tasks.h. A task is written whole each time, and an outcome with its key, so that a journal that was begun
 * anew while a task was running holds what is told from then on.
 */
#include "journal_tasks.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static const int64_t forget_after_ns = 90 * 86400 * CW_SECOND;

const char journal_tasks_schema[] =
	"CREATE TABLE task(task_id TEXT PRIMARY KEY, instance TEXT NOT NULL, action TEXT NOT NULL, "
	"arguments TEXT NOT NULL, requested_by TEXT NOT NULL, idempotency_key TEXT, request BLOB NOT NULL, "
	"asked_at INTEGER NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, "
	"state INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL, gone INTEGER NOT NULL, "
	"unknown INTEGER NOT NULL, total INTEGER NOT NULL, text TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE task_row(task_id TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, outcome INTEGER, "
	"told_at INTEGER, text TEXT, PRIMARY KEY(task_id, number)) WITHOUT ROWID;";

/* A text at the end of an entry's block; the place behind it. */
static char *keep(char *end, const char *text, const char **ret_kept)
{
	*ret_kept = text ? end : NULL;
	return text ? stpcpy(end, text) + 1 : end;
}

static size_t room_for(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static void entry_free(struct journal_entry *entry)
{
	free(entry);
}

static int prepare(struct sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
	return sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* One that gives no rows; it may be run again. */
static int run(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* ---- a task ---- */

struct task_entry {
	struct journal_entry entry; /* first */
	struct journal_task task;
	void (*told)(void *arg, bool on_disk);
	void *arg;
	uint32_t keys_count;
	const char *keys[]; /* and the texts */
};

static int write_task_line(struct sqlite3 *db, const struct journal_task *task)
{
	sqlite3_stmt *statement = NULL;
	int at = 1, code = prepare(db,
				   "INSERT OR REPLACE INTO task VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
				   "?, ?)",
				   &statement);
	if (code != SQLITE_OK)
		return code;
	const char *const texts[] = {task->id,        task->instance, task->action,
				     task->arguments, task->by,       task->idempotency_key};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bind_text(statement, at++, texts[i]);
	sqlite3_bind_blob(statement, at++, task->request, sizeof task->request, SQLITE_STATIC);
	const int64_t numbers[] = {task->asked_at,      task->started_at,       task->finished_at,
				   task->state,         (int64_t)task->done,    (int64_t)task->failed,
				   (int64_t)task->gone, (int64_t)task->unknown, (int64_t)task->total};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sqlite3_bind_int64(statement, at++, numbers[i]);
	bind_text(statement, at++, task->text);
	bind_text(statement, at, task->reason);
	code = run(statement);
	sqlite3_finalize(statement);
	return code;
}

/* 0 or SQLite's code. */
static int forget_old(struct sqlite3 *db)
{
	long long before = clock_wall() - forget_after_ns;
	char *sql = sqlite3_mprintf("DELETE FROM task_row WHERE task_id IN (SELECT task_id FROM task WHERE asked_at < "
				    "%lld);"
				    "DELETE FROM task WHERE asked_at < %lld",
				    before, before);
	int code = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return code;
}

static int write_task(struct journal_entry *entry, struct sqlite3 *db)
{
	const struct task_entry *self = (const struct task_entry *)entry;
	sqlite3_stmt *statement = NULL;
	int code = write_task_line(db, &self->task);
	if (code == SQLITE_OK && !self->task.started_at && !self->task.finished_at) /* one comes, others go */
		code = forget_old(db);
	if (code != SQLITE_OK || self->keys_count == 0)
		return code;
	code = prepare(db, "INSERT OR IGNORE INTO task_row(task_id, number, key) VALUES(?, ?, ?)", &statement);
	for (uint32_t i = 0; code == SQLITE_OK && i < self->keys_count; i++) {
		bind_text(statement, 1, self->task.id);
		sqlite3_bind_int64(statement, 2, i);
		bind_text(statement, 3, self->keys[i]);
		code = run(statement);
	}
	sqlite3_finalize(statement);
	return code;
}

static void on_task_told(struct journal_entry *entry, bool on_disk)
{
	const struct task_entry *self = (const struct task_entry *)entry;
	if (self->told)
		self->told(self->arg, on_disk);
}

static size_t task_bytes(const struct journal_task *task, const char *const *keys, uint32_t keys_count)
{
	size_t bytes = sizeof(struct task_entry) + keys_count * sizeof *keys;
	const char *const texts[] = {task->id, task->instance,        task->action, task->arguments,
				     task->by, task->idempotency_key, task->text,   task->reason};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bytes += room_for(texts[i]);
	for (uint32_t i = 0; i < keys_count; i++)
		bytes += room_for(keys[i]);
	return bytes;
}

static struct task_entry *task_entry_new(const struct journal_task *task, const char *const *keys, uint32_t keys_count)
{
	size_t bytes = task_bytes(task, keys, keys_count);
	struct task_entry *self = malloc(bytes);
	if (!self)
		return NULL;
	*self = (struct task_entry){
		.entry = {.write = write_task, .told = on_task_told, .free = entry_free, .bytes = bytes},
		.task = *task,
		.keys_count = keys_count,
	};
	char *end = (char *)(self->keys + keys_count);
	end = keep(end, task->id, &self->task.id);
	end = keep(end, task->instance, &self->task.instance);
	end = keep(end, task->action, &self->task.action);
	end = keep(end, task->arguments, &self->task.arguments);
	end = keep(end, task->by, &self->task.by);
	end = keep(end, task->idempotency_key, &self->task.idempotency_key);
	end = keep(end, task->text, &self->task.text);
	end = keep(end, task->reason, &self->task.reason);
	for (uint32_t i = 0; i < keys_count; i++)
		end = keep(end, keys[i], &self->keys[i]);
	return self;
}

static int post(struct journal *journal, struct journal_entry *entry)
{
	int rc = journal_post(journal, entry);
	if (rc < 0)
		entry->free(entry);
	return rc;
}

int journal_task(struct journal *journal, const struct journal_task *task, const char *const *keys, uint32_t keys_count,
		 void (*told)(void *arg, bool on_disk), void *arg)
{
	if (!journal)
		return 0;
	struct task_entry *self = task_entry_new(task, keys, keys_count);
	if (!self)
		return -ENOMEM;
	self->told = told;
	self->arg = arg;
	return post(journal, &self->entry);
}

/* ---- outcomes ---- */

struct outcomes_entry {
	struct journal_entry entry; /* first */
	const char *task_id;
	uint32_t count;
	struct journal_outcome outcomes[]; /* and the texts */
};

static int write_outcomes(struct journal_entry *entry, struct sqlite3 *db)
{
	const struct outcomes_entry *self = (const struct outcomes_entry *)entry;
	sqlite3_stmt *statement = NULL;
	int code = prepare(db, "INSERT OR REPLACE INTO task_row VALUES(?, ?, ?, ?, ?, ?)", &statement);
	for (uint32_t i = 0; code == SQLITE_OK && i < self->count; i++) {
		const struct journal_outcome *outcome = &self->outcomes[i];
		bind_text(statement, 1, self->task_id);
		sqlite3_bind_int64(statement, 2, outcome->number);
		bind_text(statement, 3, outcome->key);
		sqlite3_bind_int(statement, 4, (int)outcome->outcome);
		sqlite3_bind_int64(statement, 5, outcome->told_at);
		bind_text(statement, 6, outcome->text);
		code = run(statement);
	}
	sqlite3_finalize(statement);
	return code;
}

int journal_outcomes(struct journal *journal, const char *task_id, const struct journal_outcome *outcomes,
		     uint32_t count)
{
	if (!journal || count == 0)
		return 0;
	size_t bytes = sizeof(struct outcomes_entry) + count * sizeof *outcomes + room_for(task_id);
	for (uint32_t i = 0; i < count; i++)
		bytes += room_for(outcomes[i].key) + room_for(outcomes[i].text);
	struct outcomes_entry *self = malloc(bytes);
	if (!self)
		return -ENOMEM;
	*self = (struct outcomes_entry){
		.entry = {.write = write_outcomes, .free = entry_free, .bytes = bytes},
		.count = count,
	};
	char *end = keep((char *)(self->outcomes + count), task_id, &self->task_id);
	for (uint32_t i = 0; i < count; i++) {
		self->outcomes[i] = outcomes[i];
		end = keep(end, outcomes[i].key, &self->outcomes[i].key);
		end = keep(end, outcomes[i].text, &self->outcomes[i].text);
	}
	return post(journal, &self->entry);
}

/* ---- reading ---- */

/* Never NULL, but where the column may be null. */
static const char *text_of(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

static const char *some_text_of(sqlite3_stmt *statement, int column)
{
	const char *text = text_of(statement, column);
	return text ? text : "";
}

static uint64_t count_of(sqlite3_stmt *statement, int column)
{
	int64_t count = sqlite3_column_int64(statement, column);
	return count > 0 ? (uint64_t)count : 0;
}

/* The columns of `task` in their order; what was written by a stranger is bounded. */
static struct journal_task task_of(sqlite3_stmt *row)
{
	struct journal_task task = {
		.id = some_text_of(row, 0),
		.instance = some_text_of(row, 1),
		.action = some_text_of(row, 2),
		.arguments = some_text_of(row, 3),
		.by = some_text_of(row, 4),
		.idempotency_key = text_of(row, 5),
		.asked_at = sqlite3_column_int64(row, 7),
		.started_at = sqlite3_column_int64(row, 8),
		.finished_at = sqlite3_column_int64(row, 9),
		.done = count_of(row, 11),
		.failed = count_of(row, 12),
		.gone = count_of(row, 13),
		.unknown = count_of(row, 14),
		.total = count_of(row, 15),
		.text = some_text_of(row, 16),
		.reason = some_text_of(row, 17),
	};
	int state = sqlite3_column_int(row, 10);
	task.state = state >= CW_TASK_QUEUED && state <= CW_TASK_LOST ? (enum cw_task_state)state : CW_TASK_LOST;
	if (sqlite3_column_bytes(row, 6) == JOURNAL_REQUEST_BYTES)
		memcpy(task.request, sqlite3_column_blob(row, 6), JOURNAL_REQUEST_BYTES);
	return task;
}

/* How many it gave. */
static uint32_t read_outcomes(sqlite3_stmt *rows, const char *task_id, uint32_t most,
			      const struct journal_tasks_reader *reader)
{
	uint32_t count = 0;
	bind_text(rows, 1, task_id);
	while (count < most && sqlite3_step(rows) == SQLITE_ROW) {
		int outcome = sqlite3_column_int(rows, 2);
		struct journal_outcome one = {
			.number = (uint32_t)sqlite3_column_int64(rows, 0),
			.key = some_text_of(rows, 1),
			.outcome = outcome >= CW_ITEM_DONE && outcome <= CW_ITEM_UNKNOWN ? (enum cw_outcome)outcome
											 : CW_ITEM_UNKNOWN,
			.told_at = sqlite3_column_int64(rows, 3),
			.text = some_text_of(rows, 4),
		};
		reader->outcome(reader->arg, &one);
		count++;
	}
	sqlite3_reset(rows);
	return count;
}

void journal_tasks_read(struct sqlite3 *db, uint32_t most_tasks, uint32_t most_outcomes,
			const struct journal_tasks_reader *reader)
{
	sqlite3_stmt *tasks = NULL, *rows = NULL;
	int code;
	if (prepare(db, "SELECT * FROM task ORDER BY task_id DESC LIMIT ?", &tasks) == SQLITE_OK &&
	    prepare(db,
		    "SELECT number, key, outcome, told_at, text FROM task_row WHERE task_id = ? AND outcome IS NOT "
		    "NULL ORDER BY number",
		    &rows) == SQLITE_OK) {
		sqlite3_bind_int64(tasks, 1, most_tasks);
		while ((code = sqlite3_step(tasks)) == SQLITE_ROW) {
			struct journal_task task = task_of(tasks);
			reader->task(reader->arg, &task);
			most_outcomes -= read_outcomes(rows, task.id, most_outcomes, reader);
		}
		if (code != SQLITE_DONE)
			log_line(NULL, CW_ERROR, "journal: not all tasks can be read: %s", sqlite3_errmsg(db));
	}
	sqlite3_finalize(tasks);
	sqlite3_finalize(rows);
}

void journal_tasks_fold(struct sqlite3 *db)
{
	if (forget_old(db) != SQLITE_OK)
		log_line(NULL, CW_WARNING, "journal: old tasks cannot be forgotten now: %s", sqlite3_errmsg(db));
}
