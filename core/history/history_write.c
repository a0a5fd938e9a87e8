/* SPDX-License-Identifier: MIT
 *
 * What is written into history.db: events, rows of the row log, ticks. All of it runs on the thread of the journal that
 * the history is, in its transactions; only the posting does not. See history_private.h for what the row log means.
 */
#include "clock.h"
#include "history_private.h"
#include "log.h"
#include "row.h"
#include "row_blob.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FORGET_AFTER = 2000 /* entries */, ROUNDS_MAX = 20, MASKED_MAX = 8192, TEXTS_MASKED = 6 };
static const int64_t most_age_default = 30 * 86400 * CW_SECOND, most_bytes_default = (int64_t)1024 * 1024 * 1024;

static const char schema[] =
	"CREATE TABLE event(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT, "
	"before TEXT, after TEXT, by TEXT, text TEXT);"
	"CREATE INDEX event_time ON event(time);"
	"CREATE INDEX event_subject ON event(subject, time);"
	"CREATE TABLE shape(id INTEGER PRIMARY KEY, name TEXT NOT NULL, help TEXT, sort TEXT, digest BLOB NOT NULL "
	"UNIQUE);"
	"CREATE TABLE shape_column(shape INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, "
	"type INTEGER NOT NULL, flags INTEGER NOT NULL, unit TEXT, help TEXT, of TEXT, choices TEXT, "
	"PRIMARY KEY(shape, number)) WITHOUT ROWID;"
	"CREATE TABLE row_log(id INTEGER PRIMARY KEY, shape INTEGER NOT NULL, instance TEXT NOT NULL, key TEXT NOT "
	"NULL, "
	"began INTEGER NOT NULL, ended INTEGER, cells BLOB NOT NULL);"
	"CREATE INDEX row_open ON row_log(key, instance, shape) WHERE ended IS NULL;"
	"CREATE INDEX row_began ON row_log(began);"
	"CREATE INDEX row_ended ON row_log(ended) WHERE ended IS NOT NULL;"
	"CREATE TABLE life(id INTEGER PRIMARY KEY, began INTEGER NOT NULL, seen INTEGER NOT NULL, whole INTEGER NOT "
	"NULL);"
	"CREATE TABLE reach(what TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;";
static const char *const steps[] = {schema};

const struct journal_kind history_db = {
	.name = "history.db",
	.steps = steps,
	.steps_count = sizeof steps / sizeof *steps,
	.reserve = (uint64_t)16 * 1024 * 1024, /* the journal's, which matters more */
	.trouble = "what happens is not kept for long",
	.damage = "what happened before is not known any more",
};

static const char *const texts[STATEMENTS] = {
	[PUT_EVENT] = "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_EVENT_ANYWHERE] = "INSERT INTO event VALUES((SELECT max(id) + 1 FROM event), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[FIND_OPEN] = "SELECT id, cells FROM row_log WHERE key = ? AND instance = ? AND shape = ? AND ended IS NULL",
	[BEGIN_ROW] = "INSERT INTO row_log(shape, instance, key, began, cells) VALUES(?, ?, ?, ?, ?)",
	[END_ROW] = "UPDATE row_log SET ended = ?2, cells = ?3 WHERE id = ?1",
	[FIND_SHAPE] = "SELECT id FROM shape WHERE digest = ?",
	[ADD_SHAPE] = "INSERT INTO shape(name, help, sort, digest) VALUES(?, ?, ?, ?)",
	[ADD_COLUMN] = "INSERT INTO shape_column VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[SEE_LIFE] = "UPDATE life SET seen = ?2 WHERE id = ?1",
	[COUNT_PAGES] =
		"SELECT (a.page_count - b.freelist_count) * 4096 FROM pragma_page_count a, pragma_freelist_count b",
	[OLDEST_EVENT] = "SELECT min(time) FROM event",
	[OLDEST_ROW] = "SELECT min(ended) FROM row_log WHERE ended IS NOT NULL",
	[FORGET_EVENTS] = ("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE time < ? ORDER BY time LIMIT "
			   "2000) RETURNING time"),
	[FORGET_ROWS] = ("DELETE FROM row_log WHERE id IN (SELECT id FROM row_log WHERE ended < ? ORDER BY ended LIMIT "
			 "2000) RETURNING ended"),
	[SET_REACH] = "INSERT INTO reach VALUES(?1, ?2) ON CONFLICT(what) DO UPDATE SET since = max(since, ?2)",
};

/* Done, or a row was there for who only wants to know that it worked. */
static int run(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* The first number of the first row; 0 if it is null. */
static int ask(sqlite3_stmt *statement, int64_t *ret_number)
{
	int code = sqlite3_step(statement);
	*ret_number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* ---- lives ---- */

/* What was written down last is known to have been watched, if it was killed between two ticks. */
static int end_earlier_life(struct sqlite3 *db)
{
	return sqlite3_exec(db,
			    "UPDATE life SET seen = max(seen, coalesce((SELECT max(time) FROM event), 0), "
			    "coalesce((SELECT max(began) FROM row_log), 0)) WHERE id = (SELECT max(id) FROM life);"
			    "UPDATE row_log SET ended = max(began, coalesce((SELECT seen FROM life ORDER BY id DESC "
			    "LIMIT 1), began)) WHERE ended IS NULL",
			    NULL, NULL, NULL);
}

static int begin_life(struct history *history, struct sqlite3 *db, bool is_whole)
{
	sqlite3_stmt *statement = NULL;
	int64_t now = clock_wall();
	int code = end_earlier_life(db);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(db, "INSERT INTO life(began, seen, whole) VALUES(?, ?, ?)", -1, &statement,
					  NULL);
	if (code != SQLITE_OK)
		return code;
	sqlite3_bind_int64(statement, 1, is_whole ? history->began : now);
	sqlite3_bind_int64(statement, 2, now);
	sqlite3_bind_int(statement, 3, is_whole);
	code = run(statement);
	sqlite3_finalize(statement);
	if (code == SQLITE_OK)
		history->life = sqlite3_last_insert_rowid(db);
	return code;
}

/* Is the life that we know in this file? It may have been begun anew, or the transaction that began it rolled back. */
static bool has_life(const struct history *history, struct sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	bool has = false;
	if (history->life == 0 ||
	    sqlite3_prepare_v2(db, "SELECT 1 FROM life WHERE id = ?", -1, &statement, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int64(statement, 1, history->life);
	has = sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return has;
}

static bool has_lost(struct history *history)
{
	uint64_t lost = journal_lost(history->journal) + atomic_load(&history->dropped);
	bool more = lost > history->lost_seen;
	history->lost_seen = lost;
	return more;
}

/* A failure here shows again when something is written. */
void history_attached(void *arg, struct sqlite3 *db)
{
	struct history *history = arg;
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &history->statements[i], NULL) !=
		    SQLITE_OK)
			log_line(NULL, CW_ERROR, "history.db: %s (a fault of callwatch)", sqlite3_errmsg(db));
	if (!has_life(history, db))
		(void)begin_life(history, db, /* is_whole */ history->life == 0 && !has_lost(history));
}

void history_detaching(void *arg)
{
	struct history *history = arg;
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(history->statements[i]);
		history->statements[i] = NULL;
	}
	shapes_forget(history);
}

/* ---- forgetting ---- */

/* The rows that RETURNING gives are the deleted ones' times. */
static int forget(struct history *history, enum history_statement which, const char *what, int64_t before)
{
	sqlite3_stmt *statement = history->statements[which], *reach = history->statements[SET_REACH];
	int64_t last = INT64_MIN;
	int code;
	sqlite3_bind_int64(statement, 1, before);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (sqlite3_column_int64(statement, 0) > last)
			last = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	if (code != SQLITE_DONE || last == INT64_MIN)
		return code == SQLITE_DONE ? SQLITE_OK : code;
	bind_text(reach, 1, what);
	sqlite3_bind_int64(reach, 2, last + 1);
	return run(reach);
}

static int forget_old(struct history *history, int64_t before)
{
	int code = forget(history, FORGET_EVENTS, "event", before);
	return code == SQLITE_OK ? forget(history, FORGET_ROWS, "row_log", before) : code;
}

/* Of both kinds the one whose oldest is older. */
static int forget_oldest(struct history *history)
{
	int64_t event = 0, row = 0;
	int code = ask(history->statements[OLDEST_EVENT], &event);
	if (code == SQLITE_OK)
		code = ask(history->statements[OLDEST_ROW], &row);
	if (code != SQLITE_OK || (event == 0 && row == 0))
		return code;
	bool rows = event == 0 || (row != 0 && row < event);
	return rows ? forget(history, FORGET_ROWS, "row_log", INT64_MAX)
		    : forget(history, FORGET_EVENTS, "event", INT64_MAX);
}

static int keep_bounds(struct history *history)
{
	const struct history_options *options = &history->options;
	int64_t most = options->most_bytes ? options->most_bytes : most_bytes_default, bytes = 0;
	int64_t age = options->most_age ? options->most_age : most_age_default;
	int code = forget_old(history, clock_wall() - age);
	history->since_forgetting = 0;
	for (int round = 0; code == SQLITE_OK && round < ROUNDS_MAX; round++) {
		code = ask(history->statements[COUNT_PAGES], &bytes);
		if (code != SQLITE_OK || bytes <= most)
			break;
		code = forget_oldest(history);
	}
	return code;
}

static int note_written(struct history *history)
{
	return ++history->since_forgetting < FORGET_AFTER ? SQLITE_OK : keep_bounds(history);
}

/* ---- posting ---- */

/* What the journal does not take it counts itself. */
static void post(struct history *history, struct journal_entry *entry)
{
	if (journal_post(history->journal, entry) < 0)
		entry->free(entry);
}

static void free_entry(struct journal_entry *entry)
{
	free(entry);
}

/* ---- ticks ---- */

struct tick_entry {
	struct journal_entry entry;
	struct history *history;
};

static int write_tick(struct journal_entry *entry, struct sqlite3 *db)
{
	struct history *history = ((struct tick_entry *)entry)->history;
	sqlite3_stmt *statement = history->statements[SEE_LIFE];
	int code = SQLITE_OK;
	if (has_lost(history) || !history->life)
		code = begin_life(history, db, /* is_whole */ false);
	if (code != SQLITE_OK)
		return code;
	sqlite3_bind_int64(statement, 1, history->life);
	sqlite3_bind_int64(statement, 2, clock_wall());
	code = run(statement);
	return code == SQLITE_OK ? keep_bounds(history) : code;
}

static void free_tick(struct journal_entry *entry)
{
	atomic_store(&((struct tick_entry *)entry)->history->ticking, false);
	free(entry);
}

/* One at a time, however long the disk takes. */
int history_post_tick(struct history *history)
{
	if (atomic_exchange(&history->ticking, true))
		return 0;
	struct tick_entry *tick = calloc(1, sizeof *tick);
	if (!tick) {
		atomic_store(&history->ticking, false);
		return -ENOMEM;
	}
	*tick = (struct tick_entry){{.write = write_tick, .free = free_tick, .bytes = sizeof *tick}, history};
	int rc = journal_post(history->journal, &tick->entry);
	if (rc < 0)
		free_tick(&tick->entry);
	return rc;
}

/* ---- events ---- */

struct event_entry {
	struct journal_entry entry; /* first */
	struct history *history;
	struct history_event event;
	char room[]; /* its texts */
};

static int write_event(struct journal_entry *journal_entry, struct sqlite3 *db)
{
	struct event_entry *entry = (struct event_entry *)journal_entry;
	const struct history_event *event = &entry->event;
	(void)db;
	int code = SQLITE_CONSTRAINT;
	for (int i = 0; i < 2 && (code & 0xff) == SQLITE_CONSTRAINT; i++) {
		sqlite3_stmt *statement = entry->history->statements[i == 0 ? PUT_EVENT : PUT_EVENT_ANYWHERE];
		sqlite3_bind_int64(statement, 1, strtoll(event->id, /* end */ NULL, 10));
		sqlite3_bind_int64(statement, 2, event->wall);
		bind_text(statement, 3, event->kind);
		bind_text(statement, 4, event->subject);
		bind_text(statement, 5, event->from);
		bind_text(statement, 6, event->to);
		bind_text(statement, 7, event->by);
		bind_text(statement, 8, event->text);
		code = run(statement);
	}
	return code == SQLITE_OK ? note_written(entry->history) : code;
}

void history_event(struct history *history, const struct history_event *event)
{
	if (!history)
		return;
	char masked[MASKED_MAX];
	const char *given[] = {event->id, event->kind, event->subject, event->from, event->to, event->by, event->text};
	if (event->text && !history->options.phones_full && strchr(event->text, '+')) {
		text_mask_phones_in(masked, sizeof masked, event->text, strlen(event->text));
		given[TEXTS_MASKED] = masked;
	}
	enum { TEXTS = sizeof given / sizeof *given };
	const char *kept[TEXTS];
	size_t size = sizeof(struct event_entry);
	for (int i = 0; i < TEXTS; i++)
		size += given[i] ? strlen(given[i]) + 1 : 0;
	struct event_entry *entry = malloc(size);
	if (!entry) {
		atomic_fetch_add(&history->dropped, 1);
		return;
	}
	char *end = entry->room;
	for (int i = 0; i < TEXTS; i++) {
		kept[i] = given[i] ? end : NULL;
		end = given[i] ? stpcpy(end, given[i]) + 1 : end;
	}
	entry->entry = (struct journal_entry){.write = write_event, .free = free_entry, .bytes = size};
	entry->history = history;
	entry->event =
		(struct history_event){kept[0], kept[1], kept[2], kept[3], kept[4], kept[5], kept[6], event->wall};
	post(history, &entry->entry);
}

/* ---- rows ---- */

struct row_entry {
	struct journal_entry entry; /* first */
	struct history *history;
	struct row_copy *was, *is;
	int64_t wall;
	const char *key;
	char instance[]; /* and the key */
};

/* One row that pends in the file; its blob is copied, for the statement is run no further. */
struct open_row {
	int64_t id;
	uint8_t *blob;
	size_t size;
};

static int find_open(const struct row_entry *entry, int64_t shape, struct open_row *ret_row)
{
	sqlite3_stmt *statement = entry->history->statements[FIND_OPEN];
	bind_text(statement, 1, entry->key);
	bind_text(statement, 2, entry->instance);
	sqlite3_bind_int64(statement, 3, shape);
	int code = sqlite3_step(statement);
	*ret_row = (struct open_row){0};
	if (code == SQLITE_ROW) {
		ret_row->id = sqlite3_column_int64(statement, 0);
		const void *blob = sqlite3_column_blob(statement, 1);
		ret_row->size = (size_t)sqlite3_column_bytes(statement, 1);
		ret_row->blob = malloc(ret_row->size + 1);
		if (ret_row->blob && blob)
			memcpy(ret_row->blob, blob, ret_row->size);
	}
	sqlite3_reset(statement);
	return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* What is known of an interval that ends now. NULL: as it was when it began. */
static uint8_t *merged(const struct row_entry *entry, const struct open_row *row, size_t *ret_size)
{
	struct cw_cell cells[COLUMNS_MAX], later[COLUMNS_MAX];
	char *room = NULL;
	uint8_t *blob = NULL;
	uint32_t count;
	if (!entry->was || !row->blob)
		return NULL;
	const struct cw_column *columns = row_copy_columns(entry->was, &count);
	if (row_blob_read(row->blob, row->size, cells, count) == 0 &&
	    shape_cells(entry->was, entry->history->options.phones_full, later, &room) == 0) {
		cells_merge(columns, cells, later, count);
		blob = row_blob_write(cells, count, ret_size);
	}
	free(room);
	return blob;
}

static int end_row(const struct row_entry *entry, const struct open_row *row)
{
	sqlite3_stmt *statement = entry->history->statements[END_ROW];
	size_t size = 0;
	uint8_t *blob = merged(entry, row, &size);
	sqlite3_bind_int64(statement, 1, row->id);
	sqlite3_bind_int64(statement, 2, entry->wall);
	if (blob)
		sqlite3_bind_blob64(statement, 3, blob, size, SQLITE_STATIC);
	else
		sqlite3_bind_blob64(statement, 3, row->blob ? row->blob : (const uint8_t *)"",
				    row->blob ? row->size : 0, SQLITE_STATIC);
	int code = run(statement);
	free(blob);
	return code;
}

static int end_open(const struct row_entry *entry, const struct row_copy *copy)
{
	int64_t shape = shape_of(entry->history, copy);
	if (shape < 0)
		return (int)-shape;
	struct open_row row;
	int code = find_open(entry, shape, &row);
	if (code == SQLITE_OK && row.id)
		code = end_row(entry, &row);
	free(row.blob);
	return code;
}

static int begin_row(const struct row_entry *entry)
{
	struct cw_cell cells[COLUMNS_MAX];
	char *room = NULL;
	uint32_t count;
	size_t size = 0;
	int64_t shape = shape_of(entry->history, entry->is);
	if (shape < 0)
		return (int)-shape;
	(void)row_copy_columns(entry->is, &count);
	int rc = shape_cells(entry->is, entry->history->options.phones_full, cells, &room);
	uint8_t *blob = rc == 0 ? row_blob_write(cells, count, &size) : NULL;
	int code = SQLITE_NOMEM;
	if (blob) {
		sqlite3_stmt *statement = entry->history->statements[BEGIN_ROW];
		sqlite3_bind_int64(statement, 1, shape);
		bind_text(statement, 2, entry->instance);
		bind_text(statement, 3, entry->key);
		sqlite3_bind_int64(statement, 4, entry->wall);
		sqlite3_bind_blob64(statement, 5, blob, size, SQLITE_STATIC);
		code = run(statement);
	}
	free(blob);
	free(room);
	return code;
}

/* A new row may be one that is open in the file all the same: then its end was not heard of. */
static int write_row(struct journal_entry *journal_entry, struct sqlite3 *db)
{
	const struct row_entry *entry = (const struct row_entry *)journal_entry;
	const struct row_copy *copy = entry->was ? entry->was : entry->is;
	(void)db;
	int code = copy ? end_open(entry, copy) : SQLITE_OK;
	if (code == SQLITE_OK && entry->is)
		code = begin_row(entry);
	return code == SQLITE_OK ? note_written(entry->history) : code;
}

static void free_row(struct journal_entry *journal_entry)
{
	struct row_entry *entry = (struct row_entry *)journal_entry;
	row_copy_unref(entry->was);
	row_copy_unref(entry->is);
	free(entry);
}

static size_t bytes_of(const struct row_copy *copy)
{
	uint32_t count;
	size_t bytes = 0;
	if (!copy)
		return 0;
	(void)row_copy_columns(copy, &count);
	const struct cw_cell *cells = row_copy_cells(copy);
	for (uint32_t i = 0; i < count; i++)
		bytes += sizeof *cells + (cells[i].type == CW_CELL_TEXT ? cells[i].length : 0);
	return bytes;
}

void history_transition(struct history *history, const struct transition *transition)
{
	if (!history || !transition->is_first)
		return;
	if ((!transition->was && transition->from) || (!transition->is && transition->to)) { /* no memory for it */
		atomic_fetch_add(&history->dropped, 1);
		return;
	}
	size_t instance = strlen(transition->instance) + 1, key = strlen(transition->key) + 1;
	struct row_entry *entry = malloc(sizeof *entry + instance + key);
	if (!entry) {
		atomic_fetch_add(&history->dropped, 1);
		return;
	}
	size_t bytes = sizeof *entry + instance + key + bytes_of(transition->was) + bytes_of(transition->is);
	memcpy(entry->instance, transition->instance, instance);
	entry->key = memcpy(entry->instance + instance, transition->key, key);
	entry->entry = (struct journal_entry){.write = write_row, .free = free_row, .bytes = bytes};
	entry->history = history;
	entry->was = row_copy_ref(transition->was);
	entry->is = row_copy_ref(transition->is);
	entry->wall = transition->wall;
	post(history, &entry->entry);
}
