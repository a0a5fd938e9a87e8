/* SPDX-License-Identifier: MIT
 *
 * Alerts in the journal: what is posted is read back by the next life, what has ended is bounded, what is open never
 * goes, a file of the version before is brought forward with all that is in it, and whatever a stranger wrote into it
 * is taken with care.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "delivery.h"
#include "group.h"
#include "hub.h"
#include "journal_alerts.h"
#include "journal_file.h"
#include "journal_tasks.h"
#include "log.h"
#include "mailbox.h"
#include "text.h"

#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAYS_8 = 8 * 86400 };

/* ---- the world ---- */

static char folder[64];
static struct journal *journal;
static _Atomic int on_disk, in_memory;
static _Atomic bool opened;

#define WAIT_UNTIL(condition)                                                                                          \
	do {                                                                                                           \
		int64_t give_up = clock_now() + 60 * CW_SECOND;                                                        \
		while (!(condition)) {                                                                                 \
			if (clock_now() > give_up)                                                                     \
				fail_msg("never came true: %s", #condition);                                           \
			nanosleep(&(struct timespec){0, 1000000}, NULL);                                               \
		}                                                                                                      \
	} while (0)

/* What was read, as text: a line for each thing. */
static char *was_read;
static size_t was_read_size;
static FILE *reading;

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

static void on_silence(void *arg, const struct silence *silence)
{
	(void)arg;
	fprintf(reading, "silence %s [%s] %lld-%lld every %s in %s by %s: %s\n", silence->id, silence->matchers,
		(long long)silence->starts_at, (long long)silence->ends_at, or_none(silence->every),
		or_none(silence->timezone), silence->created_by, silence->comment);
}

static void on_incident(void *arg, const struct group *group)
{
	(void)arg;
	fprintf(reading, "incident %s of %s: %s number %u since %lld told %lld\n", group->key, group->rule_name,
		group->incident, group->sequence, (long long)group->since, (long long)group->told_at);
}

static void on_receipt(void *arg, const char *incident, const char *notifier, const char *receipt)
{
	(void)arg;
	fprintf(reading, "receipt %s %s: %.100s\n", incident, notifier, receipt);
}

static void on_alert(void *arg, const struct alert *alert, const char *group_key)
{
	(void)arg;
	assert_true(text_is_utf8(alert->subject, strlen(alert->subject)));
	fprintf(reading,
		"alert %s %s %s/%.100s of %s: severity %d state %d told %d group %s %lld %lld %lld held %lld %s ",
		alert->id, alert->rule_name, alert->instance, alert->subject, alert->source, alert->severity,
		alert->state, alert->told, or_none(group_key), (long long)alert->pending_since,
		(long long)alert->firing_since, (long long)alert->resolved_at, (long long)alert->held,
		or_none(alert->reason));
	fprintf(reading, "value %g \"%.100s\" \"%.100s\"", alert->value, or_none(alert->summary),
		or_none(alert->description));
	for (uint32_t i = 0; i < alert->facts_count; i++)
		fprintf(reading, " %s=%.40s", alert->facts[i].name, alert->facts[i].text);
	fprintf(reading, " acked by %s: %s %lld\n", or_none(alert->acked_by), or_none(alert->ack_note),
		(long long)alert->acked_at);
}

static void on_delivery(void *arg, const struct journal_delivery *delivery)
{
	(void)arg;
	if (delivery->not_before)
		fprintf(reading, "held until %lld: ", (long long)delivery->not_before);
	assert_in_range(delivery->written_at, delivery->not_before ? clock_wall() - 60 * CW_SECOND : 0, clock_wall());
	fprintf(reading,
		"delivery %s to %s of %s %s %s.%u kind %d state %d attempts %u%s %lld %lld %lld %lld %s %s %.60s\n",
		delivery->id, delivery->notifier, delivery->rule, delivery->group, delivery->incident,
		delivery->sequence, delivery->kind, delivery->state, delivery->attempts,
		delivery->is_doubtful ? " doubtful" : "", (long long)delivery->since, (long long)delivery->created_at,
		(long long)delivery->next_try, (long long)delivery->settled_at, or_none(delivery->progress),
		or_none(delivery->reason), or_none(delivery->notice));
}

static void on_task(void *arg, const struct journal_task *task)
{
	(void)arg;
	fprintf(reading, "task %s %s state %d\n", task->id, task->instance, task->state);
}

static void on_outcome(void *arg, const struct journal_outcome *outcome)
{
	(void)arg;
	fprintf(reading, "outcome %s\n", outcome->key);
}

static void on_opened(void *arg, struct sqlite3 *db)
{
	struct journal_alerts_reader reader = {on_silence, on_incident, on_receipt, on_alert, on_delivery, NULL};
	struct journal_tasks_reader tasks = {on_task, on_outcome, NULL};
	(void)arg;
	reading = open_memstream(&was_read, &was_read_size);
	if (db) {
		journal_alerts_fold(db);
		journal_alerts_read(db, 1000, &reader);
		journal_tasks_read(db, 1000, 1000, &tasks);
	}
	fclose(reading);
	opened = true;
}

static void on_said(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void on_told(void *arg, bool is_on_disk)
{
	(void)arg;
	(*(is_on_disk ? &on_disk : &in_memory))++;
}

static void begin(void)
{
	struct journal_options options = {.folder = folder, .opened = on_opened, .said = on_said};
	opened = false;
	free(was_read);
	was_read = NULL;
	journal = journal_new(&options);
	assert_int_equal(journal_start(journal), 0);
	WAIT_UNTIL(opened);
}

static void end(void)
{
	journal_stop(journal, clock_now() + 20 * CW_SECOND);
	journal_free(journal);
	journal = NULL;
}

static int make_folder(void **state)
{
	(void)state;
	log_open(LOG_TEXT, CW_ERROR + 1);
	snprintf(folder, sizeof folder, "/tmp/test_journal_alerts.XXXXXX");
	on_disk = in_memory = 0;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[128];
	if (journal) /* the test failed */
		end();
	free(was_read);
	was_read = NULL;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

static void read_again(void)
{
	end();
	begin();
}

static void run_sql(const char *sql)
{
	struct sqlite3 *db = NULL;
	char path[PATH_MAX], *error = NULL;
	snprintf(path, sizeof path, "%s/journal.db", folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s", error);
	sqlite3_close(db);
}

static void assert_read(const char *text)
{
	if (!strstr(was_read, text))
		fail_msg("`%s` is not in: %s", text, was_read);
}

static int count(const char *text)
{
	int found = 0;
	for (const char *at = was_read; (at = strstr(at, text)); at++)
		found++;
	return found;
}

/* ---- things to keep ---- */

static struct cw_fact facts[] = {{"from_phone", "+1••••••0132"}, {"worker", "ai-7 \"x\""}};

static struct group a_group(void)
{
	return (struct group){.key = "00112233445566778899aabbccddeeff",
			      .rule_name = "call-stale",
			      .incident = "00112233445566778899aabbccddeeff-19ad",
			      .sequence = 2,
			      .since = 5,
			      .told_at = clock_wall()};
}

static struct alert an_alert(char *subject)
{
	struct alert alert = {.rule_name = "call-stale",
			      .instance = "calls",
			      .subject = subject,
			      .source = "calls",
			      .severity = CW_SEVERITY_CRITICAL,
			      .state = ALERT_FIRING,
			      .pending_since = 10,
			      .firing_since = 20,
			      .held = 7,
			      .value = (double)NAN,
			      .summary = "it is silent",
			      .description = "look at it",
			      .facts = facts,
			      .facts_count = 2};
	snprintf(alert.id, sizeof alert.id, "%.16s-1", subject);
	return alert;
}

static struct journal_delivery a_delivery(const char *id, int state)
{
	return (struct journal_delivery){.id = id,
					 .notifier = "slack",
					 .group = "0011",
					 .incident = "0011-19ad",
					 .rule = "call-stale",
					 .sequence = 3,
					 .state = state,
					 .since = 5,
					 .created_at = 6,
					 .settled_at = state >= DELIVERY_SENT ? clock_wall() : 0,
					 .notice = "{\"id\": 1}"};
}

static void put_alert(struct alert *alert, bool forget)
{
	assert_int_equal(journal_alert(journal, alert, forget, on_told, NULL), 0);
}

/* ---- tests ---- */

static void what_is_posted__is_read_by_the_next_life(void **state)
{
	(void)state;
	struct group group = a_group();
	struct alert alert = an_alert("CA1"), gone = an_alert("CA2");
	begin();
	put_alert(&gone, /* forget */ false);
	put_alert(&gone, /* forget */ true);
	alert.group = &group;
	alert.acked_by = "ada";
	alert.ack_note = "on it";
	alert.acked_at = 30;
	put_alert(&alert, /* forget */ false);
	struct silence silence = {.id = "s1",
				  .matchers = "worker=ai-7",
				  .starts_at = 1,
				  .ends_at = clock_wall(),
				  .every = "Sun 02:00-04:00",
				  .timezone = "Europe/Berlin",
				  .created_by = "bob",
				  .comment = "night"};
	assert_int_equal(journal_silence(journal, &silence, on_told, NULL), 0);
	WAIT_UNTIL(on_disk == 4);
	read_again();
	assert_read("alert CA1-1 call-stale calls/CA1 of calls: severity 2 state 1 told 0 group "
		    "00112233445566778899aabbccddeeff 10 20 0 held 7 - value nan \"it is silent\" \"look at it\" "
		    "from_phone=+1••••••0132 worker=ai-7 \"x\" acked by ada: on it 30\n");
	assert_int_equal(count("alert "), 1);
	assert_read("silence s1 [worker=ai-7] 1-");
	assert_read(" every Sun 02:00-04:00 in Europe/Berlin by bob: night\n");
	alert.state = ALERT_RESOLVED;
	alert.resolved_at = clock_wall();
	alert.reason = "recovered";
	alert.value = 0.25;
	put_alert(&alert, /* forget */ false);
	read_again();
	assert_int_equal(count("alert "), 1);
	assert_read(
		"recovered value 0.25 \"it is silent\" \"look at it\" from_phone=+1••••••0132 worker=ai-7 \"x\" acked");
	alert.summary = "it is silent again";
	alert.are_words_posted = false;
	alert.description = NULL;
	put_alert(&alert, /* forget */ false);
	read_again();
	assert_int_equal(count("alert "), 1);
	assert_read("recovered value 0.25 \"it is silent again\" \"-\" from_phone=");
	end();
}

/* They are most of what there is to write. */
static void words_of_an_alert__are_posted_when_they_have_changed(void **state)
{
	(void)state;
	static char text[100 * 1024];
	memset(text, 'x', sizeof text - 1);
	struct cw_fact large = {"transcript", text};
	struct alert alert = an_alert("CA1");
	alert.facts = &large;
	alert.facts_count = 1;
	struct journal_options options = {.folder = folder, .bytes_max = (size_t)1024 * 1024};
	journal = journal_new(&options); /* that does not run: nothing is written */
	for (int i = 0; i < 100; i++)
		assert_int_equal(journal_alert(journal, &alert, false, on_told, NULL), 0);
	int changes = 0;
	do
		alert.are_words_posted = false;
	while (journal_alert(journal, &alert, false, on_told, NULL) == 0 && ++changes < 100);
	assert_in_range(changes, 5, 9);
	assert_false(alert.are_words_posted); /* there was no room: they are still to be posted */
	end();
}

/* What a notice tells, and the notice, are there together or not at all. */
static void notice__is_written_with_what_it_tells(void **state)
{
	(void)state;
	struct group group = a_group();
	struct alert first = an_alert("CA1"), second = an_alert("CA2");
	begin();
	put_alert(&first, /* forget */ false);
	put_alert(&second, /* forget */ false);
	first.told = TOLD_FIRING;
	first.next_in_group = &second;
	group.alerts = &first;
	const struct journal_delivery deliveries[] = {a_delivery("n1", DELIVERY_QUEUED),
						      a_delivery("n2", DELIVERY_QUEUED)};
	assert_int_equal(journal_tell(journal, &group, deliveries, 2, on_told, NULL), 0);
	WAIT_UNTIL(on_disk == 3);
	read_again();
	assert_read("alert CA1-1 call-stale calls/CA1 of calls: severity 2 state 1 told 1 group 00112233445566778899");
	assert_read("alert CA2-1 call-stale calls/CA2 of calls: severity 2 state 1 told 0 group 00112233445566778899");
	assert_read("incident 00112233445566778899aabbccddeeff of call-stale: "
		    "00112233445566778899aabbccddeeff-19ad number 2 since 5 told ");
	assert_read("delivery n1 to slack of call-stale 0011 0011-19ad.3 kind 0 state 0 attempts 0 5 6 0 0 - - "
		    "{\"id\": 1}\n");
	assert_int_equal(count("delivery "), 2);
	*group.incident = '\0';
	assert_int_equal(journal_tell(journal, &group, NULL, 0, on_told, NULL), 0);
	read_again();
	assert_int_equal(count("incident 0"), 0);
	end();
}

static void delivery__keeps_its_notice_until_it_is_settled(void **state)
{
	(void)state;
	begin();
	struct journal_delivery delivery = a_delivery("n1", DELIVERY_QUEUED);
	assert_int_equal(journal_tell(journal, NULL, &delivery, 1, on_told, NULL), 0);
	delivery.notice = NULL;
	delivery.state = DELIVERY_SENDING;
	delivery.attempts = 2;
	delivery.is_doubtful = true;
	delivery.next_try = 99;
	delivery.not_before = 77;
	delivery.progress = "ada";
	delivery.reason = "450 later";
	assert_int_equal(journal_delivered(journal, &delivery, NULL, on_told, NULL), 0);
	read_again();
	assert_read("held until 77: delivery n1 ");
	assert_read("state 1 attempts 2 doubtful 5 6 99 0 ada 450 later {\"id\": 1}\n");
	delivery.state = DELIVERY_SENT;
	delivery.settled_at = clock_wall();
	delivery.progress = delivery.reason = NULL;
	assert_int_equal(journal_delivered(journal, &delivery, "message 7", on_told, NULL), 0);
	struct group group = a_group();
	snprintf(group.incident, sizeof group.incident, "0011-19ad");
	assert_int_equal(journal_tell(journal, &group, NULL, 0, on_told, NULL), 0);
	read_again();
	assert_read("state 2 attempts 2 doubtful 5 6 99 ");
	assert_read(" - - -\n");
	assert_read("receipt 0011-19ad slack: message 7\n");
	end();
}

/* Of an incident whose last notice is not shown any more there is still the receipt. */
static void rewriting__has_what_is_settled_and_all_receipts(void **state)
{
	(void)state;
	static const struct hub_options options = {.hostname = "h", .version = "test", .interval = 3600 * CW_SECOND};
	struct hub *hub = hub_new(&options);
	struct mailbox *box = mailbox_new(100);
	begin();
	struct deliveries *deliveries =
		deliveries_new(&(struct deliveries_options){.hub = hub, .journal = journal, .box = box});
	struct journal_delivery sent = a_delivery("n1", DELIVERY_SENT);
	assert_int_equal(deliveries_restore(deliveries, &sent, clock_now(), clock_wall()), 0);
	assert_int_equal(deliveries_receipt(deliveries, "00112233445566778899aabbccddeeff-19ad", "slack", "m 7"), 0);
	assert_true(deliveries_rewrite(deliveries, 1));
	assert_true(deliveries_rewrite(deliveries, 1)); /* there is no more */
	struct group group = a_group();
	assert_int_equal(journal_tell(journal, &group, NULL, 0, on_told, NULL), 0);
	WAIT_UNTIL(on_disk == 1);
	read_again();
	assert_read("delivery n1 to slack of call-stale 0011 0011-19ad.3 kind 0 state 2 ");
	assert_int_equal(count("receipt "), 1);
	assert_read("receipt 00112233445566778899aabbccddeeff-19ad slack: m 7\n");
	mailbox_close(box);
	deliveries_free(deliveries);
	mailbox_unref(box);
	hub_free(hub);
	end();
}

/* Though the clock was turned back between them. */
static void deliveries__are_read_in_the_order_in_which_they_were_told(void **state)
{
	(void)state;
	begin();
	struct journal_delivery first = a_delivery("b", DELIVERY_QUEUED), second = a_delivery("a", DELIVERY_QUEUED);
	first.created_at = 100;
	second.sequence = 4;
	assert_int_equal(journal_tell(journal, NULL, &first, 1, on_told, NULL), 0);
	assert_int_equal(journal_tell(journal, NULL, &second, 1, on_told, NULL), 0);
	first.attempts = 1;
	assert_int_equal(journal_delivered(journal, &first, NULL, on_told, NULL), 0);
	read_again();
	const char *one = strstr(was_read, "delivery b "), *other = strstr(was_read, "delivery a ");
	assert_true(one && other && one < other);
	end();
}

static void without_a_journal__nothing_is_kept_and_told_at_once(void **state)
{
	(void)state;
	struct alert alert = an_alert("CA1");
	assert_int_equal(journal_alert(NULL, &alert, false, on_told, NULL), 0);
	assert_int_equal(in_memory, 1);
}

/* What is open stays for ever; what has ended stays a week, and no more than 10,000 of it. */
static void what_has_ended__is_folded_away_and_nothing_else(void **state)
{
	(void)state;
	begin();
	end();
	char sql[2048];
	long long old = (clock_wall() / CW_SECOND - DAYS_8) * CW_SECOND;
	snprintf(sql, sizeof sql,
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500) "
		 "INSERT INTO alert SELECT 'new' || i, 'r', 'calls', 's' || i, 'calls', 1, 2, 2, NULL, 1, 1, %lld + i, "
		 "0, 'gone', NULL, '', NULL, NULL, NULL, NULL, 0 FROM n;"
		 "INSERT INTO alert VALUES('old', 'r', 'calls', 'o', 'calls', 1, 2, 2, NULL, 1, 1, %lld, 0, 'gone', "
		 "NULL, '', NULL, NULL, NULL, NULL, 0);"
		 "INSERT INTO alert VALUES('untold', 'r', 'calls', 'u', 'calls', 1, 2, 1, 'aa', 1, 1, %lld, 0, 'gone', "
		 "NULL, '', NULL, NULL, NULL, NULL, 0);"
		 "INSERT INTO alert VALUES('open', 'r', 'calls', 'p', 'calls', 1, 1, 1, 'bb', 1, 1, 0, 0, NULL, NULL, "
		 "'', "
		 "NULL, NULL, NULL, NULL, 0);",
		 (long long)clock_wall(), old, old);
	run_sql(sql);
	snprintf(
		sql, sizeof sql,
		"INSERT INTO incident VALUES('aa', 'r', 'aa-1', 1, 1, %lld), ('bb', 'r', 'bb-1', 1, 1, %lld), "
		"('cc', 'r', 'cc-1', 1, 1, %lld);"
		"INSERT INTO receipt VALUES('bb-1', 'slack', 'm', %lld), ('cc-1', 'slack', 'm', %lld);"
		"INSERT INTO silence VALUES('s', 'a=b', 1, %lld, NULL, NULL, 'ada', 'x');"
		"INSERT INTO delivery VALUES('done', 'slack', 'r', 'g', 'i', 1, 0, 2, 1, 0, 1, 1, 0, %lld, NULL, NULL, "
		"NULL, 0, 0), ('waits', 'slack', 'r', 'g', 'i', 1, 0, 0, 1, 0, 1, 1, 0, 0, NULL, NULL, '{}', 0, 0)",
		old, old, old, old, old, old, old);
	run_sql(sql);
	begin();
	assert_int_equal(count("alert new"), 10000);
	assert_int_equal(count("alert new10500 "), 1); /* the last stay */
	assert_int_equal(count("alert new1 "), 0);
	assert_int_equal(count("alert old "), 0);
	assert_int_equal(count("alert untold "), 1);
	assert_int_equal(count("alert open "), 1);
	assert_int_equal(count("incident aa "), 1);
	assert_int_equal(count("incident bb "), 1);
	assert_int_equal(count("incident cc "), 0);
	assert_int_equal(count("receipt bb-1"), 1);
	assert_int_equal(count("receipt cc-1"), 0);
	assert_int_equal(count("silence "), 0);
	assert_int_equal(count("delivery done"), 0);
	assert_int_equal(count("delivery waits"), 1);
	end();
}

/* While we run. */
static void fold__is_an_entry_like_others(void **state)
{
	(void)state;
	begin();
	struct journal_delivery old = a_delivery("old", DELIVERY_SENT), fresh = a_delivery("fresh", DELIVERY_QUEUED);
	old.settled_at = clock_wall() - DAYS_8 * CW_SECOND;
	assert_int_equal(journal_delivered(journal, &old, NULL, on_told, NULL), 0);
	assert_int_equal(journal_fold(journal), 0);
	assert_int_equal(journal_tell(journal, NULL, &fresh, 1, on_told, NULL), 0);
	WAIT_UNTIL(on_disk == 2);
	run_sql("INSERT INTO delivery SELECT 'seen', notifier, rule, group_key, incident, (SELECT count(*) FROM "
		"delivery), "
		"kind, state, attempts, 0, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0 FROM delivery WHERE id = 'fresh'");
	read_again();
	assert_read("delivery seen to slack of call-stale 0011 0011-19ad.1 ");
	end();
}

/* As callwatch 0.4 left it. */
static void file_of_schema_1__is_brought_forward_and_its_tasks_stay(void **state)
{
	(void)state;
	char sql[4096];
	snprintf(
		sql, sizeof sql,
		"PRAGMA journal_mode=WAL;"
		"CREATE TABLE task(task_id TEXT PRIMARY KEY, instance TEXT NOT NULL, action TEXT NOT NULL, arguments "
		"TEXT NOT NULL, requested_by TEXT NOT NULL, idempotency_key TEXT, request BLOB NOT NULL, asked_at "
		"INTEGER "
		"NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, state INTEGER NOT NULL, done "
		"INTEGER "
		"NOT NULL, failed INTEGER NOT NULL, gone INTEGER NOT NULL, unknown INTEGER NOT NULL, total INTEGER NOT "
		"NULL, text TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE task_row(task_id TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, outcome "
		"INTEGER, "
		"told_at INTEGER, text TEXT, PRIMARY KEY(task_id, number)) WITHOUT ROWID;"
		"INSERT INTO task VALUES('t1', 'dlq', 'retry', '', 'ada', NULL, x'00112233445566778899aabbccddeeff', "
		"%lld, %lld, 0, 1, 1, 0, 0, 0, 2, '', '');"
		"INSERT INTO task_row VALUES('t1', 0, 'k0', 0, 5, ''), ('t1', 1, 'k1', NULL, NULL, NULL);"
		"PRAGMA user_version=1;",
		(long long)clock_wall(), (long long)clock_wall());
	run_sql(sql);
	begin();
	assert_read("task t1 dlq state 1\noutcome k0\n");
	struct alert alert = an_alert("CA1");
	put_alert(&alert, /* forget */ false);
	read_again();
	assert_read("task t1 dlq state 1\noutcome k0\n");
	assert_int_equal(count("alert CA1"), 1);
	end();
}

/* Faults 46 and 47, of what is in a file that is whole. */
static void hostile_contents__are_left_out_or_cut(void **state)
{
	(void)state;
	begin();
	end();
	run_sql("INSERT INTO alert VALUES"
		"('ok', 'r', 'i', 's', 'i', 1, 1, 1, 'g', 1, 1, 0, 0, NULL, NULL, NULL, NULL, '[[\"a\", \"b\"]]', "
		"NULL, "
		"NULL, 0),"
		"('', 'r', 'i', 's', 'i', 1, 1, 1, 'g', 1, 1, 0, 0, NULL, NULL, '', NULL, NULL, NULL, NULL, 0),"
		"('state', 'r', 'i', 's', 'i', 1, 77, 1, 'g', 1, 1, 0, 0, NULL, NULL, '', NULL, NULL, NULL, NULL, 0),"
		"('word', 'r', 'i', 's', 'i', 'x', 1, 1, 'g', 1, 1, 0, 0, NULL, NULL, '', NULL, NULL, NULL, NULL, 0),"
		"('norule', '', 'i', 's', 'i', 1, 1, 1, 'g', 1, 1, 0, 0, NULL, NULL, '', NULL, NULL, NULL, NULL, 0),"
		"('numbers', 7, 8.5, x'ff00fe', 'i', 1, 1, 1, 12, -5, 'soon', x'aa', 0, 'because', 'much', 3, 4, 5, 6, "
		"7, "
		"-9),"
		"('cut', 'r', 'i', 's', 'i', 1, 1, 1, NULL, 1, 1, 0, 0, 'gone', 1e999, '', '', '[[\"a\", \"b\"], "
		"[\"c', NULL, "
		"NULL, 0),"
		"('strange', 'r', 'i', 's', 'i', 1, 1, 1, NULL, 1, 1, 0, 0, 'gone', 1, '', '', '[1, [2], [\"x\"], {}, "
		"[\"k\", "
		"7], [\"y\", \"z\", \"w\"]]', NULL, NULL, 0),"
		"('long', 'r', 'i', hex(zeroblob(3000000)), 'i', 1, 1, 1, NULL, 1, 1, 0, 0, NULL, NULL, '', NULL, "
		"NULL, NULL, "
		"NULL, 0);"
		"INSERT INTO delivery VALUES"
		"('d1', 'slack', x'c328', 'g', 'i', -1, 99, 0, 1, 0, 1, 1, 0, 0, NULL, NULL, '{}', 0, 0),"
		"('d2', 'slack', x'c328', 'g', 'i', -1, 2, 0, -1, 'yes', 1, 1, 0, 0, NULL, NULL, "
		"hex(zeroblob(3000000)), 'soon', -1);"
		"INSERT INTO incident VALUES('', 'r', 'x', 1, 1, 1), (hex(zeroblob(100)), 'r', hex(zeroblob(100)), 1, "
		"1, "
		"9000000000000000000);"
		"INSERT INTO receipt VALUES('i', 'n', hex(zeroblob(100000)), 9000000000000000000);"
		"INSERT INTO silence VALUES(hex(zeroblob(100)), 'a=b', 1, 9000000000000000000, NULL, 5, '', ''),"
		"('all', '', 1, 9000000000000000000, NULL, NULL, '', ''),"
		"('lost', x'', 1, 9000000000000000000, NULL, NULL, '', ''),"
		"('bytes', x'ff', 1, 9000000000000000000, NULL, NULL, '', ''),"
		"('cut', 'a=b' || char(10) || 'c=' || hex(zeroblob(32768)), 1, 9000000000000000000, NULL, NULL, '', "
		"''),"
		"('nul', char(0) || 'a=b', 1, 9000000000000000000, NULL, NULL, '', '')");
	begin();
	assert_int_equal(count("alert "), 5);
	assert_read("alert ok r i/s of i: severity 1 state 1 told 1 group g 1 1 0 held 0 - value nan \"-\" \"-\" a=b "
		    "acked");
	assert_read("alert numbers 7 8.5/\xef\xbf\xbd of i: severity 1 state 1 told 1 group 12 0 0 0 held 0 - value ");
	assert_read(
		"alert cut r i/s of i: severity 1 state 1 told 1 group - 1 1 0 held 0 gone value inf \"\" \"\" acked");
	assert_read("alert strange r i/s of i: severity 1 state 1 told 1 group - 1 1 0 held 0 gone value 1 \"\" \"\" "
		    "y=z acked");
	assert_read("alert long r i/0000");
	assert_int_equal(count("delivery "), 1);
	assert_read("delivery d2 to slack of \xef\xbf\xbd( g i.0 kind 2 state 0 attempts 0 1 1 0 0 - - 0000");
	assert_int_equal(count("incident 0"), 1);
	assert_int_equal(count("silence "), 2);
	assert_read("silence 0");
	assert_read("silence all []"); /* said on purpose */
	end();
	run_sql("DROP TABLE alert");
	begin();
	assert_int_equal(count("delivery "), 1);
	end();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(what_is_posted__is_read_by_the_next_life),
		TEST(words_of_an_alert__are_posted_when_they_have_changed),
		TEST(notice__is_written_with_what_it_tells),
		TEST(delivery__keeps_its_notice_until_it_is_settled),
		TEST(rewriting__has_what_is_settled_and_all_receipts),
		TEST(deliveries__are_read_in_the_order_in_which_they_were_told),
		TEST(without_a_journal__nothing_is_kept_and_told_at_once),
		TEST(what_has_ended__is_folded_away_and_nothing_else),
		TEST(fold__is_an_entry_like_others),
		TEST(file_of_schema_1__is_brought_forward_and_its_tasks_stay),
		TEST(hostile_contents__are_left_out_or_cut),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
