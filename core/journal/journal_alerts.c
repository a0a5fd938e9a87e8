/* SPDX-License-Identifier: MIT
 *
 * See journal_alerts.h. Everything is written whole each time, but for what is large and stays as it is (an alert's
 * words, a notice's JSON); so a journal that was begun anew while we ran is whole again when all that is open was
 * posted once more, with these.
 *
 * What is read was perhaps written by a stranger, or by a disk that forgets: texts are made valid UTF-8 and are
 * bounded, numbers are held against their ranges, and a row that cannot be told from others is left out. What is left
 * out is counted and said once.
 */
#include "journal_alerts.h"

#include "clock.h"
#include "delivery.h"
#include "group.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { ENDED_MOST = 10000, FACTS_BYTES_MAX = 256 * 1024, TEXT_MAX = 8192, NUMBER_BYTES_MAX = 32 };
static const int64_t keep_ns = 7 * 86400 * CW_SECOND;

const char journal_alerts_schema[] =
	"CREATE TABLE alert(id TEXT PRIMARY KEY, rule TEXT NOT NULL, instance TEXT NOT NULL, subject TEXT NOT NULL, "
	"source TEXT NOT NULL, severity INTEGER NOT NULL, state INTEGER NOT NULL, told INTEGER NOT NULL, "
	"group_key TEXT, pending_since INTEGER NOT NULL, firing_since INTEGER NOT NULL, resolved_at INTEGER NOT NULL, "
	"held INTEGER NOT NULL, reason TEXT, value REAL, summary TEXT, description TEXT, facts TEXT, acked_by TEXT, "
	"ack_note TEXT, acked_at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX alert_ended ON alert(resolved_at) WHERE state = 2;"
	"CREATE TABLE incident(group_key TEXT PRIMARY KEY, rule TEXT NOT NULL, incident TEXT NOT NULL, "
	"sequence INTEGER NOT NULL, since INTEGER NOT NULL, told_at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE delivery(id TEXT PRIMARY KEY, notifier TEXT NOT NULL, rule TEXT NOT NULL, group_key TEXT NOT "
	"NULL, "
	"incident TEXT NOT NULL, sequence INTEGER NOT NULL, kind INTEGER NOT NULL, state INTEGER NOT NULL, "
	"attempts INTEGER NOT NULL, is_doubtful INTEGER NOT NULL, since INTEGER NOT NULL, created_at INTEGER NOT NULL, "
	"next_try INTEGER NOT NULL, settled_at INTEGER NOT NULL, progress TEXT, reason TEXT, notice TEXT, "
	"not_before INTEGER NOT NULL);"
	"CREATE INDEX delivery_settled ON delivery(settled_at) WHERE state >= 2;"
	"CREATE INDEX delivery_open ON delivery(created_at) WHERE state < 2;"
	"CREATE TABLE receipt(incident TEXT NOT NULL, notifier TEXT NOT NULL, receipt TEXT NOT NULL, "
	"at INTEGER NOT NULL, PRIMARY KEY(incident, notifier)) WITHOUT ROWID;"
	"CREATE TABLE silence(id TEXT PRIMARY KEY, matchers TEXT NOT NULL, starts_at INTEGER NOT NULL, "
	"ends_at INTEGER NOT NULL, every TEXT, timezone TEXT, created_by TEXT NOT NULL, comment TEXT NOT NULL) "
	"WITHOUT ROWID;";
const char journal_alerts_written_at[] = "ALTER TABLE delivery ADD COLUMN written_at INTEGER NOT NULL DEFAULT 0;";

/* ---- folded away ---- */

/* Each with the time before which things go. */
static const char *const folds[] = {
	"DELETE FROM alert WHERE state = 2 AND told <> 1 AND resolved_at < ?1",
	"DELETE FROM delivery WHERE state >= 2 AND settled_at < ?1",
	"DELETE FROM silence WHERE ends_at < ?1",
	("DELETE FROM incident WHERE told_at < ?1 AND group_key NOT IN "
	 "(SELECT group_key FROM alert WHERE (state < 2 OR told = 1) AND group_key IS NOT NULL)"),
	"DELETE FROM receipt WHERE at < ?1 AND incident NOT IN (SELECT incident FROM incident)",
};
/* Each with how many may stay. */
static const char *const bounds[] = {
	("DELETE FROM alert WHERE state = 2 AND told <> 1 AND id IN (SELECT id FROM alert WHERE state = 2 AND told <> "
	 "1 "
	 "ORDER BY resolved_at DESC LIMIT -1 OFFSET ?1)"),
	("DELETE FROM delivery WHERE state >= 2 AND id IN (SELECT id FROM delivery WHERE state >= 2 "
	 "ORDER BY settled_at DESC LIMIT -1 OFFSET ?1)"),
	"DELETE FROM silence WHERE id IN (SELECT id FROM silence ORDER BY ends_at DESC LIMIT -1 OFFSET ?1)",
};

static void add_folds(struct journal_lines *lines)
{
	int64_t before = clock_wall() - keep_ns;
	for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
		journal_lines_add(lines, folds[i], "i", before);
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
		journal_lines_add(lines, bounds[i], "i", (int64_t)ENDED_MOST);
}

static int run_with(struct sqlite3 *db, const char *sql, int64_t value)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_int64(statement, 1, value);
		code = sqlite3_step(statement);
	}
	sqlite3_finalize(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

void journal_alerts_fold(struct sqlite3 *db)
{
	int64_t before = clock_wall() - keep_ns;
	int code = SQLITE_OK;
	for (size_t i = 0; code == SQLITE_OK && i < sizeof folds / sizeof *folds; i++)
		code = run_with(db, folds[i], before);
	for (size_t i = 0; code == SQLITE_OK && i < sizeof bounds / sizeof *bounds; i++)
		code = run_with(db, bounds[i], ENDED_MOST);
	if (code != SQLITE_OK)
		log_line(NULL, CW_WARNING, "journal: old alerts cannot be folded away now: %s", sqlite3_errmsg(db));
}

/* ---- written ---- */

/* The caller frees it. NULL: no memory, which leaves the facts out and no more. */
static char *facts_to_json(const struct cw_fact *facts, uint32_t count)
{
	json_t *list = json_array();
	for (uint32_t i = 0; list && i < count; i++) {
		json_t *pair = json_pack("[s, s]", facts[i].name, facts[i].text);
		if (pair)
			json_array_append_new(list, pair);
	}
	char *json = list ? json_dumps(list, JSON_COMPACT) : NULL;
	json_decref(list);
	return json;
}

/* Without facts its words stay. Are they with it? */
static bool add_alert(struct journal_lines *lines, const struct alert *alert)
{
	char *facts = alert->are_words_posted ? NULL : facts_to_json(alert->facts, alert->facts_count);
	bool has_words = facts != NULL;
	journal_lines_add(
		lines,
		"INSERT INTO alert VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
		"ON CONFLICT(id) DO UPDATE SET severity = excluded.severity, state = excluded.state, "
		"told = excluded.told, group_key = excluded.group_key, pending_since = excluded.pending_since, "
		"firing_since = excluded.firing_since, resolved_at = excluded.resolved_at, held = excluded.held, "
		"reason = excluded.reason, value = excluded.value, acked_by = excluded.acked_by, "
		"ack_note = excluded.ack_note, acked_at = excluded.acked_at, "
		"summary = CASE WHEN excluded.facts IS NULL THEN summary ELSE excluded.summary END, "
		"description = CASE WHEN excluded.facts IS NULL THEN description ELSE excluded.description END, "
		"facts = coalesce(excluded.facts, facts)",
		"tttttiiitiiiitdttttti", alert->id, alert->rule_name, alert->instance, alert->subject, alert->source,
		(int64_t)alert->severity, (int64_t)alert->state, (int64_t)alert->told,
		alert->group ? alert->group->key : NULL, alert->pending_since, alert->firing_since, alert->resolved_at,
		alert->held, alert->reason, alert->value, has_words ? alert->summary : NULL,
		has_words ? alert->description : NULL, facts, alert->acked_by, alert->ack_note, alert->acked_at);
	free(facts);
	return has_words;
}

int journal_alert(struct journal *journal, struct alert *alert, bool forget, journal_told told, void *arg)
{
	struct journal_lines *lines = journal_lines_new();
	bool has_words = false;
	if (forget)
		journal_lines_add(lines, "DELETE FROM alert WHERE id = ?", "t", alert->id);
	else
		has_words = add_alert(lines, alert);
	int rc = journal_lines_post(journal, lines, told, arg);
	if (rc == 0 && (has_words || forget))
		alert->are_words_posted = !forget;
	return rc;
}

static void add_group(struct journal_lines *lines, const struct group *group)
{
	if (*group->incident)
		journal_lines_add(lines, "INSERT OR REPLACE INTO incident VALUES(?, ?, ?, ?, ?, ?)", "tttiii",
				  group->key, group->rule_name, group->incident, (int64_t)group->sequence, group->since,
				  group->told_at);
	else
		journal_lines_add(lines, "DELETE FROM incident WHERE group_key = ?", "t", group->key);
	for (const struct alert *alert = group->alerts; alert; alert = alert->next_in_group)
		journal_lines_add(lines,
				  "UPDATE alert SET told = ?1, group_key = ?2 WHERE id = ?3 AND (told <> ?1 OR "
				  "group_key IS NOT ?2)",
				  "itt", (int64_t)alert->told, group->key, alert->id);
}

/* The notice is kept until it is settled. */
static void add_delivery(struct journal_lines *lines, const struct journal_delivery *delivery)
{
	bool is_settled = delivery->state >= DELIVERY_SENT;
	journal_lines_add(
		lines,
		"INSERT INTO delivery VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
		"ON CONFLICT(id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, "
		"is_doubtful = excluded.is_doubtful, next_try = excluded.next_try, settled_at = excluded.settled_at, "
		"progress = excluded.progress, reason = excluded.reason, not_before = excluded.not_before, "
		"written_at = excluded.written_at, "
		"notice = CASE WHEN excluded.state >= 2 THEN NULL ELSE coalesce(excluded.notice, notice) END",
		"tttttiiiiiiiiitttii", delivery->id, delivery->notifier, delivery->rule, delivery->group,
		delivery->incident, (int64_t)delivery->sequence, (int64_t)delivery->kind, (int64_t)delivery->state,
		(int64_t)delivery->attempts, (int64_t)delivery->is_doubtful, delivery->since, delivery->created_at,
		delivery->next_try, delivery->settled_at, delivery->progress, delivery->reason,
		is_settled ? NULL : delivery->notice, delivery->not_before, clock_wall());
}

int journal_tell(struct journal *journal, const struct group *group, const struct journal_delivery *deliveries,
		 uint32_t count, journal_told told, void *arg)
{
	struct journal_lines *lines = journal_lines_new();
	if (group)
		add_group(lines, group);
	for (uint32_t i = 0; i < count; i++)
		add_delivery(lines, &deliveries[i]);
	return journal_lines_post(journal, lines, told, arg);
}

static void add_receipt(struct journal_lines *lines, const char *incident, const char *notifier, const char *receipt)
{
	journal_lines_add(lines, "INSERT OR REPLACE INTO receipt VALUES(?, ?, ?, ?)", "ttti", incident, notifier,
			  receipt, clock_wall());
}

int journal_delivered(struct journal *journal, const struct journal_delivery *delivery, const char *receipt,
		      journal_told told, void *arg)
{
	struct journal_lines *lines = journal_lines_new();
	add_delivery(lines, delivery);
	if (receipt)
		add_receipt(lines, delivery->incident, delivery->notifier, receipt);
	return journal_lines_post(journal, lines, told, arg);
}

int journal_receipt(struct journal *journal, const char *incident, const char *notifier, const char *receipt)
{
	struct journal_lines *lines = journal_lines_new();
	add_receipt(lines, incident, notifier, receipt);
	return journal_lines_post(journal, lines, NULL, NULL);
}

int journal_fold(struct journal *journal)
{
	struct journal_lines *lines = journal_lines_new();
	add_folds(lines);
	return journal_lines_post(journal, lines, NULL, NULL);
}

int journal_silence(struct journal *journal, const struct silence *silence, journal_told told, void *arg)
{
	struct journal_lines *lines = journal_lines_new();
	journal_lines_add(lines, "INSERT OR REPLACE INTO silence VALUES(?, ?, ?, ?, ?, ?, ?, ?)", "ttiitttt",
			  silence->id, silence->matchers, silence->starts_at, silence->ends_at, silence->every,
			  silence->timezone, silence->created_by, silence->comment);
	return journal_lines_post(journal, lines, told, arg);
}

/* ---- read ---- */

/* A row as it is read: its texts, made fit, live until the next row. */
struct reading {
	sqlite3_stmt *row;
	char *texts; /* a block that has room for all of this row */
	size_t used, size;
	bool is_bad; /* something that must be there is not */
	uint64_t left_out;
};

/* Of a text of n bytes text_utf8() makes at most 3 n. */
static bool make_room(struct reading *reading)
{
	size_t size = 1;
	for (int i = 0; i < sqlite3_column_count(reading->row); i++) {
		int type = sqlite3_column_type(reading->row, i); /* to ask a number for its bytes would change it */
		bool has_bytes = type == SQLITE_TEXT || type == SQLITE_BLOB;
		size += 3 * (has_bytes ? (size_t)sqlite3_column_bytes(reading->row, i) : NUMBER_BYTES_MAX) + 1;
	}
	if (size > reading->size) {
		char *texts = realloc(reading->texts, size);
		if (!texts)
			return false;
		reading->texts = texts;
		reading->size = size;
	}
	reading->used = 0;
	return true;
}

/* NULL: null. What is longer than may be is cut. */
static char *text(struct reading *reading, int column, size_t most)
{
	if (sqlite3_column_type(reading->row, column) == SQLITE_NULL)
		return NULL;
	const char *raw = (const char *)sqlite3_column_text(reading->row, column);
	size_t length = raw ? strnlen(raw, most) : 0;
	char *fit = reading->texts + reading->used;
	reading->used += text_utf8(fit, reading->size - reading->used, raw ? raw : "", length) + 1;
	return fit;
}

/* One that must not be empty. */
static char *name(struct reading *reading, int column, size_t most)
{
	char *fit = text(reading, column, most);
	reading->is_bad |= !fit || !*fit;
	return fit ? fit : "";
}

/* As it was written: a text, not cut, without a NUL in it. To be asked before it is read as a text. */
static bool is_whole(const struct reading *reading, int column, size_t most)
{
	if (sqlite3_column_type(reading->row, column) != SQLITE_TEXT)
		return false;
	const char *raw = (const char *)sqlite3_column_text(reading->row, column);
	size_t size = (size_t)sqlite3_column_bytes(reading->row, column);
	return raw && size <= most && strlen(raw) == size;
}

static char *some_text(struct reading *reading, int column, size_t most)
{
	char *fit = text(reading, column, most);
	return fit ? fit : "";
}

static int64_t number(const struct reading *reading, int column)
{
	int64_t value = sqlite3_column_int64(reading->row, column);
	return value > 0 ? value : 0;
}

/* One of 0 to `last`. */
static int choice(struct reading *reading, int column, int last)
{
	int64_t value = sqlite3_column_int64(reading->row, column);
	bool is_one = sqlite3_column_type(reading->row, column) == SQLITE_INTEGER && value >= 0 && value <= last;
	reading->is_bad |= !is_one;
	return is_one ? (int)value : 0;
}

/* Calls seen() for each row; what it found bad is counted. */
static void each(struct sqlite3 *db, const char *sql, int64_t limit,
		 void (*seen)(struct reading *reading, const struct journal_alerts_reader *reader),
		 const struct journal_alerts_reader *reader, const char *what)
{
	struct reading reading = {0};
	int code = sqlite3_prepare_v2(db, sql, -1, &reading.row, NULL);
	if (code == SQLITE_OK && sqlite3_bind_parameter_count(reading.row) > 0)
		sqlite3_bind_int64(reading.row, 1, limit);
	while (code == SQLITE_OK && (code = sqlite3_step(reading.row)) == SQLITE_ROW) {
		reading.is_bad = !make_room(&reading);
		if (!reading.is_bad)
			seen(&reading, reader);
		reading.left_out += reading.is_bad;
		code = SQLITE_OK;
	}
	if (code != SQLITE_DONE)
		log_line(NULL, CW_ERROR, "journal: not all %s can be read: %s", what, sqlite3_errmsg(db));
	if (reading.left_out > 0)
		log_line(NULL, CW_ERROR, "journal: %llu %s make no sense and are left out",
			 (unsigned long long)reading.left_out, what);
	sqlite3_finalize(reading.row);
	free(reading.texts);
}

static void on_silence(struct reading *reading, const struct journal_alerts_reader *reader)
{
	/* none at all mutes everything, and what is left of some more than was meant */
	reading->is_bad |= !is_whole(reading, 1, SILENCE_MATCHERS_BYTES_MAX);
	struct silence silence = {
		.matchers = some_text(reading, 1, SILENCE_MATCHERS_BYTES_MAX),
		.starts_at = number(reading, 2),
		.ends_at = number(reading, 3),
		.every = text(reading, 4, NOTICE_NAME_MAX),
		.timezone = text(reading, 5, NOTICE_NAME_MAX),
		.created_by = some_text(reading, 6, NOTICE_NAME_MAX),
		.comment = some_text(reading, 7, SILENCE_COMMENT_MAX),
	};
	snprintf(silence.id, sizeof silence.id, "%s", name(reading, 0, sizeof silence.id - 1));
	if (!reading->is_bad)
		reader->silence(reader->arg, &silence);
}

static void on_incident(struct reading *reading, const struct journal_alerts_reader *reader)
{
	struct group group = {
		.rule_name = name(reading, 1, NOTICE_NAME_MAX),
		.sequence = (uint32_t)number(reading, 3),
		.since = number(reading, 4),
		.told_at = number(reading, 5),
	};
	snprintf(group.key, sizeof group.key, "%s", name(reading, 0, sizeof group.key - 1));
	snprintf(group.incident, sizeof group.incident, "%s", name(reading, 2, sizeof group.incident - 1));
	if (!reading->is_bad)
		reader->incident(reader->arg, &group);
}

static void on_receipt(struct reading *reading, const struct journal_alerts_reader *reader)
{
	const char *incident = name(reading, 0, NOTICE_ID_MAX), *notifier = name(reading, 1, NOTICE_NAME_MAX),
		   *receipt = name(reading, 2, CW_NOTICE_KEPT_MAX);
	if (!reading->is_bad)
		reader->receipt(reader->arg, incident, notifier, receipt);
}

/* In struct alert it is one of the literals. */
static const char *known_reason(const char *reason)
{
	static const char *const reasons[] = {"recovered", "gone", "rule removed", "source removed"};
	for (size_t i = 0; reason && i < sizeof reasons / sizeof *reasons; i++)
		if (strcmp(reason, reasons[i]) == 0)
			return reasons[i];
	return NULL;
}

/* How many there are; their texts live as long as the list. */
static uint32_t read_facts(const json_t *list, struct cw_fact facts[ALERT_FACTS_MAX])
{
	uint32_t count = 0;
	for (size_t i = 0; i < json_array_size(list) && count < ALERT_FACTS_MAX; i++) {
		const json_t *pair = json_array_get(list, i);
		const char *key = json_string_value(json_array_get(pair, 0)),
			   *value = json_string_value(json_array_get(pair, 1));
		if (key && value)
			facts[count++] = (struct cw_fact){key, value};
	}
	return count;
}

static void on_alert(struct reading *reading, const struct journal_alerts_reader *reader)
{
	struct cw_fact facts[ALERT_FACTS_MAX];
	struct alert alert = {
		.rule_name = name(reading, 1, NOTICE_NAME_MAX),
		.instance = name(reading, 2, NOTICE_NAME_MAX),
		.subject = name(reading, 3, NOTICE_VALUE_MAX),
		.source = name(reading, 4, NOTICE_NAME_MAX),
		.severity = (enum cw_severity)choice(reading, 5, CW_SEVERITY_CRITICAL),
		.state = (enum alert_state)choice(reading, 6, ALERT_RESOLVED),
		.told = (enum alert_told)choice(reading, 7, TOLD_RESOLVED),
		.pending_since = number(reading, 9),
		.firing_since = number(reading, 10),
		.resolved_at = number(reading, 11),
		.held = number(reading, 12),
		.reason = known_reason(text(reading, 13, NOTICE_NAME_MAX)),
		.value = sqlite3_column_type(reading->row, 14) == SQLITE_NULL ? (double)NAN
									      : sqlite3_column_double(reading->row, 14),
		.summary = text(reading, 15, TEXT_MAX),
		.description = text(reading, 16, TEXT_MAX),
		.facts = facts,
		.acked_by = text(reading, 18, NOTICE_NAME_MAX),
		.ack_note = text(reading, 19, NOTICE_VALUE_MAX),
		.acked_at = number(reading, 20),
	};
	snprintf(alert.id, sizeof alert.id, "%s", name(reading, 0, sizeof alert.id - 1));
	const char *key = text(reading, 8, GROUP_KEY_SIZE - 1), *json = text(reading, 17, FACTS_BYTES_MAX);
	json_t *list = json ? json_loads(json, 0, NULL) : NULL;
	alert.facts_count = read_facts(list, facts);
	if (!reading->is_bad)
		reader->alert(reader->arg, &alert, key);
	json_decref(list);
}

static void on_delivery(struct reading *reading, const struct journal_alerts_reader *reader)
{
	struct journal_delivery delivery = {
		.id = name(reading, 0, NOTICE_ID_MAX),
		.notifier = name(reading, 1, NOTICE_NAME_MAX),
		.rule = some_text(reading, 2, NOTICE_NAME_MAX),
		.group = some_text(reading, 3, NOTICE_ID_MAX),
		.incident = some_text(reading, 4, NOTICE_ID_MAX),
		.sequence = (uint32_t)number(reading, 5),
		.kind = choice(reading, 6, CW_NOTICE_TEST),
		.state = choice(reading, 7, DELIVERY_DEAD),
		.attempts = (uint32_t)number(reading, 8),
		.is_doubtful = number(reading, 9) != 0,
		.since = number(reading, 10),
		.created_at = number(reading, 11),
		.next_try = number(reading, 12),
		.settled_at = number(reading, 13),
		.progress = text(reading, 14, CW_NOTICE_KEPT_MAX),
		.reason = text(reading, 15, PARCEL_REASON_MAX - 1),
		.notice = text(reading, 16, NOTICE_JSON_MAX),
		.not_before = number(reading, 17),
		.written_at = number(reading, 18),
	};
	if (!reading->is_bad)
		reader->delivery(reader->arg, &delivery);
}

void journal_alerts_read(struct sqlite3 *db, uint32_t most_settled, const struct journal_alerts_reader *reader)
{
	each(db, "SELECT * FROM silence ORDER BY starts_at, id", 0, on_silence, reader, "silences");
	each(db, "SELECT * FROM incident ORDER BY since, group_key", 0, on_incident, reader, "incidents");
	each(db, "SELECT * FROM receipt", 0, on_receipt, reader, "receipts");
	each(db, "SELECT * FROM alert ORDER BY pending_since, id", 0, on_alert, reader, "alerts");
	/* in the order in which they were told, whatever the clock did meanwhile */
	each(db, "SELECT * FROM delivery WHERE state < 2 ORDER BY rowid", 0, on_delivery, reader, "notifications");
	each(db,
	     "SELECT * FROM (SELECT * FROM delivery WHERE state >= 2 ORDER BY settled_at DESC LIMIT ?) ORDER BY "
	     "settled_at",
	     most_settled, on_delivery, reader, "notifications");
}
