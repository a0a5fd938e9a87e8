/* SPDX-License-Identifier: MIT
 *
 * Questions about what was. The thread that reads makes *pages*: tables of their own, filled with rows out of the file,
 * and a query over them. So conditions, order, columns, masks and formats are those of every other query, and whoever
 * asked steps through a page without ever waiting for a disk. A table as it was is one page, in which time stands
 * still; the event log comes in pages of EVENTS_PAGE events, and the next one is made when it is asked for.
 *
 * A log is handed to and fro: the reading thread owns it while `state` is MAKING, who asked otherwise.
 */
#include "clock.h"
#include "expr.h"
#include "history_private.h"
#include "hub.h"
#include "row.h"
#include "row_blob.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_PAGE = 1000, CONDITIONS_MAX = 64, ROWS_MAX = 500000, BUSY_MS = 1000 };
static const size_t page_bytes_max = (size_t)256 * 1024 * 1024;

enum state { MAKING, READY, FAILED, ENDED };

/* Rows out of the file, and a query over them. */
struct page {
	struct tables *tables; /* owned, unless the page is one of the tables as they are now */
	struct shapes shapes;  /* what the columns of `tables` borrow from */
	struct cw_query *query;
	bool is_live;
};

/* Each of a full table takes up to page_bytes_max, and is held until its reader has read it. */
enum { TABLES_OPEN_MAX = 4 };

struct cw_log {
	struct mail mail; /* first: to the reading thread */
	_Atomic int references;
	struct history *history;
	struct tables *live;
	struct cw_log_spec spec; /* all it points to is owned */
	const char *where[CONDITIONS_MAX + 3];
	bool phones_full;
	void (*ready)(void *arg);
	void (*release)(void *arg);
	void *arg;
	_Atomic int state;
	_Atomic bool closed;
	bool is_counted; /* in history->tables_open */

	/* whoever owns it */
	struct page page;
	int status;
	char error[CW_QUERY_ERROR_MAX];
	bool more;               /* another page follows */
	int64_t last_time, last; /* of the page's last event */
	bool has_last;
	uint64_t given;
	int64_t reach;
	char subject[1024]; /* all events are wanted of this one only; "": of any */
};

static int fail(struct cw_log *log, int status, const char *format, ...) CW_PRINTF(3, 4);
static int fail(struct cw_log *log, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(log->error, sizeof log->error, format, args);
	va_end(args);
	return status;
}

static int unreadable(struct cw_log *log)
{
	return fail(log, -EIO, "history.db cannot be read (%.200s)",
		    log->history->reading ? sqlite3_errmsg(log->history->reading) : "it cannot be opened");
}

/* A time of people's, in the words of the log. */
static const char *time_words(char buffer[TEXT_TIME_SIZE], int64_t wall)
{
	text_time(buffer, wall);
	return buffer;
}

/* ---- pages ---- */

static void page_close(struct page *page)
{
	query_close(page->query);
	if (!page->is_live)
		tables_free(page->tables);
	shapes_release(&page->shapes);
	*page = (struct page){0};
}

static int page_begin(struct page *page)
{
	page->tables = tables_new(/* on_transition */ NULL, /* arg */ NULL);
	return page->tables ? 0 : -ENOMEM;
}

/* ---- the event log ---- */

static struct cw_cell text_cell(sqlite3_stmt *statement, int column)
{
	return cw_string_cell((const char *)sqlite3_column_text(statement, column));
}

static struct cw_cell kind_cell(const unsigned char *kind)
{
	for (int64_t i = 0; kind && hub_event_kinds[i]; i++)
		if (strcmp(hub_event_kinds[i], (const char *)kind) == 0)
			return cw_integer_cell(i);
	return cw_null_cell();
}

/* As table `events` names its columns. */
static int put_event(struct cw_log *log, struct cw_part *part, sqlite3_stmt *statement)
{
	char id[24];
	log->last = sqlite3_column_int64(statement, 0);
	log->last_time = sqlite3_column_int64(statement, 1);
	log->has_last = true;
	snprintf(id, sizeof id, "%016lld", (long long)log->last);
	struct cw_cell cells[] = {
		cw_string_cell(id),      cw_integer_cell(log->last_time), kind_cell(sqlite3_column_text(statement, 2)),
		text_cell(statement, 3), text_cell(statement, 4),         text_cell(statement, 5),
		text_cell(statement, 6), text_cell(statement, 7),
	};
	int64_t row = row_put(part, cells);
	return row < 0 ? (int)row : 0;
}

/* Beyond the last one of the page before, in the direction that is asked for. The bounds include both ends. */
static sqlite3_stmt *select_events(const struct cw_log *log)
{
	const struct cw_log_spec *spec = &log->spec;
	const char *direction = spec->oldest_first ? "ASC" : "DESC", *after = spec->oldest_first ? ">" : "<";
	char sql[512];
	sqlite3_stmt *statement = NULL;
	snprintf(
		sql, sizeof sql,
		"SELECT id, time, kind, subject, before, after, by, text FROM event WHERE %s time >= ?1 AND time <= ?2 "
		"AND (?3 = 0 OR time %s ?4 OR id %s ?5) ORDER BY time %s, id %s LIMIT %d",
		*log->subject ? "subject = ?6 AND" : "", after, after, direction, direction, EVENTS_PAGE);
	if (sqlite3_prepare_v2(log->history->reading, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	int64_t since = spec->since ? spec->since : INT64_MIN, until = spec->until ? spec->until - 1 : INT64_MAX;
	if (log->has_last && spec->oldest_first)
		since = log->last_time;
	else if (log->has_last)
		until = log->last_time;
	sqlite3_bind_int64(statement, 1, since);
	sqlite3_bind_int64(statement, 2, until);
	sqlite3_bind_int(statement, 3, log->has_last);
	sqlite3_bind_int64(statement, 4, log->last_time);
	sqlite3_bind_int64(statement, 5, log->last);
	if (*log->subject)
		sqlite3_bind_text(statement, 6, log->subject, -1, SQLITE_STATIC);
	return statement;
}

static int fill_events(struct cw_log *log, struct cw_part *part)
{
	sqlite3_stmt *statement = select_events(log);
	uint32_t count = 0;
	int rc = 0, code = SQLITE_ERROR;
	while (statement && rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		rc = put_event(log, part, statement);
		count++;
	}
	if (rc == 0 && code != SQLITE_DONE)
		rc = unreadable(log);
	sqlite3_finalize(statement);
	log->more = count == EVENTS_PAGE;
	return rc;
}

static int open_query(struct cw_log *log, const char *sort)
{
	struct cw_query_spec spec = log->spec.query;
	spec.sort = sort;
	spec.limit = log->spec.query.limit ? log->spec.query.limit - log->given : 0;
	return query_open(log->page.tables, &spec, log->phones_full, &log->page.query, log->error);
}

/* Ids grow as things happen; so does time, but for a clock that was stepped. */
static const char *events_order(const struct cw_log *log)
{
	return log->spec.oldest_first ? "id" : "-id";
}

static int make_events(struct cw_log *log)
{
	struct cw_part *part = NULL;
	int rc = page_begin(&log->page);
	if (rc == 0)
		rc = table_open(log->page.tables, "agent", &hub_events_decl, /* extra */ NULL, &part);
	if (rc == 0)
		rc = fill_events(log, part);
	return rc == 0 ? open_query(log, events_order(log)) : rc;
}

/* Only what table `events` has: there is no file, or it cannot be read. The bounds become conditions. */
static int make_live_events(struct cw_log *log)
{
	char time[TEXT_TIME_SIZE], since_words[64], until_words[64];
	struct cw_query_spec *spec = &log->spec.query;
	uint32_t before = spec->where_count;
	if (log->spec.since) {
		snprintf(since_words, sizeof since_words, "time>=%s", time_words(time, log->spec.since));
		log->where[spec->where_count++] = since_words;
	}
	if (log->spec.until) {
		snprintf(until_words, sizeof until_words, "time<%s", time_words(time, log->spec.until));
		log->where[spec->where_count++] = until_words;
	}
	log->page.is_live = true;
	log->page.tables = log->live;
	log->more = false;
	int rc = open_query(log, events_order(log));
	spec->where_count = before;
	return rc;
}

/* ---- a table as it was ---- */

struct life {
	int64_t id, began, seen;
	bool whole;
};

static int64_t ask(struct sqlite3 *db, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *statement = NULL;
	int64_t number = otherwise;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW &&
	    sqlite3_column_type(statement, 0) != SQLITE_NULL)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* Since when everything of this kind is known; 0: since never. */
static int64_t reach_of(struct sqlite3 *db, const char *what)
{
	char sql[96];
	int64_t first = ask(db, "SELECT min(began) FROM life", 0);
	snprintf(sql, sizeof sql, "SELECT since FROM reach WHERE what = '%s'", what);
	int64_t since = ask(db, sql, 0);
	return since > first ? since : first;
}

/* The life that this time falls into, or the last before it. */
static bool find_life(struct sqlite3 *db, int64_t at, struct life *ret_life)
{
	sqlite3_stmt *statement = NULL;
	bool found = false;
	if (sqlite3_prepare_v2(db,
			       "SELECT id, began, seen, whole FROM life WHERE began <= ? "
			       "ORDER BY id DESC LIMIT 1",
			       -1, &statement, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int64(statement, 1, at);
	if (sqlite3_step(statement) == SQLITE_ROW) {
		*ret_life = (struct life){.id = sqlite3_column_int64(statement, 0),
					  .began = sqlite3_column_int64(statement, 1),
					  .seen = sqlite3_column_int64(statement, 2),
					  .whole = sqlite3_column_int(statement, 3) != 0};
		found = true;
	}
	sqlite3_finalize(statement);
	return found;
}

/* Was everything logged at that time? */
static int judge_time(struct cw_log *log)
{
	struct sqlite3 *db = log->history->reading;
	int64_t at = log->spec.at, reach = reach_of(db, "row_log");
	char when[TEXT_TIME_SIZE], from[TEXT_TIME_SIZE];
	struct life life;
	time_words(when, at);
	log->reach = reach;
	if (at > clock_wall())
		return fail(log, -ERANGE, "%s has not come yet", when);
	if (reach == 0 || at < reach)
		return fail(log, -ERANGE, "what was at %s is not known: the log reaches back to %s", when,
			    reach ? time_words(from, reach) : "no time yet");
	if (!find_life(db, at, &life))
		return fail(log, -ERANGE, "what was at %s is not known", when);
	if (life.id != atomic_load(&log->history->life) && at > life.seen) /* it has ended, or this one has not begun */
		return fail(log, -ERANGE,
			    "what was at %s is not known: nothing was watched from %s on, for callwatchd did not run",
			    when, time_words(from, life.seen));
	if (!life.whole)
		return fail(log, -ERANGE, "what was at %s is not known: since %s not everything could be written down",
			    when, time_words(from, life.began));
	return 0;
}

struct filling {
	struct cw_log *log;
	const struct shape *shape; /* of the part */
	struct cw_part *part;
	char instance[128];
	uint32_t rows;
	size_t bytes;
};

static int part_for(struct filling *filling, int64_t shape_id, const char *instance)
{
	const struct shape *shape = shapes_find(&filling->log->page.shapes, shape_id);
	if (!shape)
		return -EIO;
	if (filling->part && filling->shape == shape && strcmp(filling->instance, instance) == 0)
		return 0;
	snprintf(filling->instance, sizeof filling->instance, "%s", instance);
	filling->shape = shape;
	return table_open(filling->log->page.tables, instance, &shape->decl, /* extra */ NULL, &filling->part);
}

/* A row that has not changed since: what it is now says what of it was already so then. */
static char *merge_with_now(const struct cw_log *log, const struct shape *shape, const char *instance, const char *key,
			    struct cw_cell *cells, struct row_copy **ret_copy)
{
	struct cw_cell later[COLUMNS_MAX];
	uint32_t count;
	char *room = NULL;
	struct row_copy *copy = tables_copy_row(log->live, shape->decl.name, instance, key);
	*ret_copy = copy;
	if (!copy)
		return NULL;
	const struct cw_column *columns = row_copy_columns(copy, &count);
	bool is_same = count == shape->decl.columns.count;
	for (uint32_t i = 0; i < count && is_same; i++)
		is_same = strcmp(columns[i].name, shape->columns[i].name) == 0;
	if (is_same && shape_cells(copy, log->phones_full, later, &room) == 0)
		cells_merge(columns, cells, later, count);
	return room;
}

static int put_logged(struct filling *filling, sqlite3_stmt *statement)
{
	struct cw_cell cells[COLUMNS_MAX];
	const char *instance = (const char *)sqlite3_column_text(statement, 1);
	const char *key = (const char *)sqlite3_column_text(statement, 2);
	int rc = instance && key ? part_for(filling, sqlite3_column_int64(statement, 0), instance) : -EIO;
	if (rc < 0)
		return rc;
	const struct shape *shape = filling->shape;
	const uint8_t *blob = sqlite3_column_blob(statement, 4);
	size_t size = (size_t)sqlite3_column_bytes(statement, 4);
	if (!blob || row_blob_read(blob, size, cells, shape->decl.columns.count) < 0)
		return -EIO;
	struct row_copy *copy = NULL;
	char *room = sqlite3_column_type(statement, 3) == SQLITE_NULL
			     ? merge_with_now(filling->log, shape, instance, key, cells, &copy)
			     : NULL;
	int64_t row = row_put(filling->part, cells);
	free(room);
	row_copy_unref(copy);
	filling->rows++;
	filling->bytes += size;
	if (filling->rows > ROWS_MAX || filling->bytes > page_bytes_max)
		return -EFBIG;
	return row == -EINVAL ? 0 : row < 0 ? (int)row : 0;
}

/* The log is walked from its nearer end: of what ended after that time, or of what began before it. */
static const char *logged_select(struct sqlite3 *db, int64_t at)
{
	int64_t first = ask(db, "SELECT min(began) FROM row_log", at);
	bool late = clock_wall() - at < at - first;
	return late ? "SELECT shape, instance, key, ended, cells FROM row_log WHERE shape IN (SELECT id FROM shape "
		      "WHERE "
		      "name = ?1) AND began <= ?2 AND ended > ?2 UNION ALL "
		      "SELECT shape, instance, key, ended, cells FROM row_log WHERE shape IN (SELECT id FROM shape "
		      "WHERE "
		      "name = ?1) AND began <= ?2 AND ended IS NULL"
		    : "SELECT shape, instance, key, ended, cells FROM row_log INDEXED BY row_began WHERE shape IN "
		      "(SELECT "
		      "id FROM shape WHERE name = ?1) AND began <= ?2 AND (ended IS NULL OR ended > ?2)";
}

static int fill_table(struct cw_log *log)
{
	struct sqlite3 *db = log->history->reading;
	struct filling filling = {.log = log};
	sqlite3_stmt *statement = NULL;
	int rc = 0, code = sqlite3_prepare_v2(db, logged_select(db, log->spec.at), -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, log->spec.query.table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 2, log->spec.at);
	}
	while (code == SQLITE_OK && rc == 0 && !atomic_load(&log->closed)) {
		int step = sqlite3_step(statement);
		if (step == SQLITE_ROW)
			rc = put_logged(&filling, statement);
		else
			code = step;
	}
	sqlite3_finalize(statement);
	if (rc == -EFBIG)
		return fail(log, rc, "the table had more than %u rows then: too many to be put together", ROWS_MAX);
	if (rc == -EIO || (rc == 0 && code != SQLITE_DONE && code != SQLITE_OK))
		return unreadable(log);
	return rc;
}

/* Each instance that has the table now has a part in it, so that it is there also when nobody had a row. */
struct empty_parts {
	struct cw_log *log;
	int rc;
};

static void add_empty(void *arg, const struct cw_table_info *info)
{
	struct empty_parts *parts = arg;
	struct cw_log *log = parts->log;
	if (strcmp(info->name, log->spec.query.table) != 0)
		return;
	if (info->watched_column < 0)
		parts->rc =
			fail(log, -ENOENT,
			     "table %.60s is not logged, for it has no column that is watched: only what it is now is "
			     "known",
			     info->name);
	for (uint32_t i = 0; info->instances[i] && parts->rc == 0 && log->page.shapes.count > 0; i++) {
		struct cw_part *part;
		parts->rc = table_open(log->page.tables, info->instances[i], &log->page.shapes.list[0].decl,
				       /* extra */ NULL, &part);
	}
}

static int make_table(struct cw_log *log)
{
	struct empty_parts empty = {.log = log};
	int rc = page_begin(&log->page);
	if (rc == 0 && shapes_read(log->history->reading, log->spec.query.table, &log->page.shapes) < 0)
		rc = unreadable(log);
	if (rc == 0)
		tables_each(log->live, add_empty, &empty);
	if (rc == 0 && (rc = empty.rc) == 0 && log->page.shapes.count == 0)
		rc = fail(log, -ENOENT, "no table '%.60s' is in the log", log->spec.query.table);
	if (rc == 0)
		rc = judge_time(log);
	if (rc == 0)
		rc = fill_table(log);
	if (rc < 0)
		return rc;
	tables_freeze(log->page.tables, log->spec.at);
	return open_query(log, log->spec.query.sort);
}

/* ---- the reading thread ---- */

static bool open_reading(struct history *history)
{
	char path[PATH_MAX];
	if (history->reading)
		return true;
	snprintf(path, sizeof path, "%s/%s", history->options.folder, history_db.name);
	if (sqlite3_open_v2(path, &history->reading, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		history_close_reading(history);
		return false;
	}
	sqlite3_busy_timeout(history->reading, BUSY_MS);
	return true;
}

void history_close_reading(struct history *history)
{
	sqlite3_close_v2(history->reading);
	history->reading = NULL;
}

static int make(struct cw_log *log)
{
	bool is_open = open_reading(log->history), events = log->spec.at == 0;
	int rc = -EIO;
	if (is_open && sqlite3_exec(log->history->reading, "BEGIN", NULL, NULL, NULL) == SQLITE_OK) {
		log->reach = reach_of(log->history->reading, events ? "event" : "row_log");
		rc = events ? make_events(log) : make_table(log);
		sqlite3_exec(log->history->reading, "COMMIT", NULL, NULL, NULL);
	} else {
		rc = unreadable(log);
	}
	if (rc != -EIO)
		return rc;
	history_close_reading(log->history); /* it may have been set aside */
	if (!events || log->has_last)
		return rc;
	page_close(&log->page);
	log->reach = 0;
	return make_live_events(log);
}

static void log_unref(struct cw_log *log)
{
	if (!log || atomic_fetch_sub(&log->references, 1) > 1)
		return;
	page_close(&log->page);
	if (log->is_counted)
		atomic_fetch_sub(&log->history->tables_open, 1);
	struct cw_query_spec *spec = &log->spec.query;
	for (uint32_t i = 0; i < spec->where_count; i++)
		free((char *)log->where[i]);
	for (uint32_t i = 0; spec->columns && i < spec->columns_count; i++)
		free((char *)spec->columns[i]);
	free((void *)spec->columns);
	free((char *)spec->table);
	free((char *)spec->key);
	free((char *)spec->sort);
	free((char *)spec->by);
	if (log->release)
		log->release(log->arg);
	free(log);
}

static void settle(struct cw_log *log, int rc)
{
	if (rc < 0 && !*log->error)
		fail(log, rc, "%s", strerror(-rc));
	log->status = rc;
	atomic_store(&log->state, rc < 0 ? FAILED : READY);
	if (!atomic_load(&log->closed))
		log->ready(log->arg);
}

static void on_asked(struct mail *mail, void *owner)
{
	struct cw_log *log = (struct cw_log *)mail;
	(void)owner;
	if (!atomic_load(&log->closed))
		settle(log, make(log));
	log_unref(log);
}

static void on_ask_dropped(struct mail *mail)
{
	struct cw_log *log = (struct cw_log *)mail;
	fail(log, -EIO, "callwatchd is ending");
	settle(log, -EIO);
	log_unref(log);
}

/* ---- who asks ---- */

static int ask_for_page(struct cw_log *log)
{
	log->mail = (struct mail){.deliver = on_asked, .drop = on_ask_dropped};
	atomic_store(&log->state, MAKING);
	atomic_fetch_add(&log->references, 1);
	int rc = mailbox_post(log->history->box, &log->mail);
	if (rc == 0)
		return 0;
	atomic_fetch_sub(&log->references, 1);
	fail(log, -EIO, "too much is being asked at this moment: again later");
	log->status = -EIO;
	atomic_store(&log->state, FAILED);
	return rc;
}

static bool copy_text(const char **field)
{
	char *copy = *field ? strdup(*field) : NULL;
	bool fine = copy || !*field;
	*field = copy;
	return fine;
}

static bool copy_lists(struct cw_log *log, const struct cw_query_spec *given)
{
	struct cw_query_spec *spec = &log->spec.query;
	bool fine = true;
	spec->where = log->where;
	spec->where_count = 0;
	for (uint32_t i = 0; i < given->where_count && i < CONDITIONS_MAX && fine; i++) {
		log->where[i] = given->where[i];
		fine = copy_text(&log->where[i]);
		spec->where_count += fine;
	}
	spec->columns = NULL;
	spec->columns_count = 0;
	if (!given->columns || !fine)
		return fine;
	const char **columns = calloc(given->columns_count + 1, sizeof *columns);
	spec->columns = columns;
	for (uint32_t i = 0; columns && i < given->columns_count && fine; i++) {
		columns[i] = given->columns[i];
		fine = copy_text(&columns[i]);
		spec->columns_count += fine;
	}
	return fine && columns;
}

/* A condition that names one subject leads to its events by an index. */
static void find_subject(struct cw_log *log)
{
	struct expr *expr = NULL;
	char error[EXPR_ERROR_MAX];
	for (uint32_t i = 0; i < log->spec.query.where_count && !*log->subject; i++) {
		if (expr_parse(log->where[i], &expr, error) < 0)
			continue;
		if (strcmp(expr_column(expr), "subject") == 0 && expr_op(expr) == EXPR_EQ && expr_value(expr) &&
		    strlen(expr_value(expr)) < sizeof log->subject)
			snprintf(log->subject, sizeof log->subject, "%s", expr_value(expr));
		expr_free(expr);
	}
}

static struct cw_log *log_new(const struct cw_log_spec *spec)
{
	struct cw_log *log = calloc(1, sizeof *log);
	if (!log)
		return NULL;
	atomic_init(&log->references, 1);
	log->spec = *spec;
	struct cw_query_spec *query = &log->spec.query;
	if (spec->at == 0)
		query->table = "events";
	query->cursor = NULL;
	bool fine = copy_text(&query->table);
	fine &= copy_text(&query->key);
	fine &= copy_text(&query->sort);
	fine &= copy_text(&query->by);
	fine &= copy_lists(log, &spec->query);
	if (spec->at == 0)
		find_subject(log);
	if (fine)
		return log;
	log_unref(log);
	return NULL;
}

static int answer_without_file(struct cw_log *log)
{
	int rc = log->spec.at ? fail(log, -ENOTSUP, "what was is not kept: there is no state_dir")
			      : make_live_events(log);
	if (rc < 0 && !*log->error)
		fail(log, rc, "%s", strerror(-rc));
	log->status = rc;
	atomic_store(&log->state, rc < 0 ? FAILED : READY);
	return 0;
}

/* False: the log says so. */
static bool has_place(struct history *history, struct cw_log *log)
{
	if (log->spec.at == 0)
		return true;
	log->is_counted = atomic_fetch_add(&history->tables_open, 1) < TABLES_OPEN_MAX;
	if (log->is_counted)
		return true;
	atomic_fetch_sub(&history->tables_open, 1);
	log->status = fail(log, -EBUSY, "%d others look at tables as they were: again in a moment", TABLES_OPEN_MAX);
	atomic_store(&log->state, FAILED);
	return false;
}

int history_log_open(struct history *history, struct tables *tables, bool phones_full, const struct cw_log_spec *spec,
		     void (*ready)(void *arg), void (*release)(void *arg), void *arg, struct cw_log **ret_log)
{
	struct cw_log *log = log_new(spec);
	if (!log)
		return -ENOMEM;
	log->history = history;
	log->live = tables;
	log->phones_full = phones_full;
	log->ready = ready;
	log->release = release;
	log->arg = arg;
	if (!history)
		(void)answer_without_file(log);
	else if (has_place(history, log))
		(void)ask_for_page(log);
	*ret_log = log;
	return 0;
}

const struct cw_column *history_log_columns(struct cw_log *log, uint32_t *ret_count)
{
	*ret_count = 0;
	return atomic_load(&log->state) != MAKING && log->page.query ? query_columns(log->page.query, ret_count) : NULL;
}

struct counting {
	struct cw_log *log;
	cw_row_fn row;
	void *arg;
};

static int count_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct counting *counting = arg;
	counting->log->given++;
	return counting->row(counting->arg, cells, count);
}

static bool has_enough(const struct cw_log *log)
{
	return log->spec.query.limit > 0 && log->given >= log->spec.query.limit;
}

int history_log_step(struct cw_log *log, int64_t budget_ns, cw_row_fn row, void *arg)
{
	int state = atomic_load(&log->state);
	if (state == MAKING)
		return -EAGAIN;
	if (state != READY)
		return state == FAILED ? log->status : 0;
	struct counting counting = {log, row, arg};
	int rc = query_step(log->page.query, budget_ns, count_row, &counting);
	if (rc < 0)
		fail(log, rc, "the query broke off: %s", strerror(-rc));
	if (rc != 0)
		return rc;
	if (!log->more || has_enough(log)) {
		atomic_store(&log->state, ENDED);
		return 0;
	}
	page_close(&log->page);
	return ask_for_page(log) < 0 ? log->status : -EAGAIN; /* nobody calls ready() for what was not asked for */
}

void history_log_info(struct cw_log *log, struct cw_log_info *ret_info)
{
	*ret_info = (struct cw_log_info){0};
	if (atomic_load(&log->state) == MAKING)
		return;
	ret_info->reach = log->reach;
	if (!log->page.query)
		return;
	query_info(log->page.query, &ret_info->query);
	ret_info->query.given = log->given;
	ret_info->query.next_cursor[0] = '\0'; /* the page goes with the question */
	if (log->spec.at == 0)
		return;
	ret_info->query.scan_from = ret_info->query.scan_to = log->spec.at;
	ret_info->query.coverage =
		(struct cw_coverage){.from = log->spec.at, .to = log->spec.at, .complete = true, .ratio = 1};
	ret_info->query.age_seconds = 0;
}

const char *history_log_error(struct cw_log *log)
{
	return log->error;
}

void *history_log_arg(const struct cw_log *log)
{
	return log->arg;
}

void history_log_close(struct cw_log *log)
{
	if (!log)
		return;
	atomic_store(&log->closed, true);
	log_unref(log);
}
