/* SPDX-License-Identifier: MIT
 *
 * The actor `alerts` between a real hub and real tables: what other threads say of rows, samples and instances comes to
 * be shown in table `alerts`; what people ask is answered; and what happens while the agent ends tells nothing.
 */
#include "alerting.h"
#include "alerts_rows.h"
#include "clock.h"
#include "hub.h"
#include "journal.h"
#include "mailbox.h"
#include "part.h"
#include "rules_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static const char rules[] =
	"rules:\n"
	"  - { name: stale, table: calls, where: [health_status=stale], summary: '{{ call_sid }}' }\n"
	"  - { name: sleepy, table: calls, where: [health_status=warning], for: 1h }\n";

struct world {
	struct problems problems;
	struct plan *plan;
	struct hub *hub;
	struct alerting *alerting;
	struct cw_part *part;
	const struct cw_table_decl *decl;
	uint32_t key, health;
	int64_t patience;
	int64_t read_to; /* 0: its table was not read to the end */
};

static const struct plan_instance *instance_of(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->instances[i].name, name) == 0)
			return &plan->instances[i];
	return NULL;
}

static uint32_t column_of(const struct cw_table_decl *decl, const char *name)
{
	for (uint32_t i = 0; i < decl->columns.count; i++)
		if (strcmp(((const struct cw_column *)cw_at(&decl->columns, i))->name, name) == 0)
			return i;
	fail_msg("no column %s", name);
	return 0;
}

static struct plan *make_plan(const char *plugins, const char *text, struct problems *problems)
{
	struct plan *plan = rules_plan(plugins, text, problems);
	if (!plan)
		fail_msg("%s", problems->count ? problems->list[0].message : "no plan");
	return plan;
}

static void make(struct world *world, const char *text)
{
	*world = (struct world){.patience = world->patience};
	world->plan = make_plan(RULES_PLUGINS, text, &world->problems);
	world->hub = hub_new(&(struct hub_options){.hostname = "h", .version = "0", .interval = CW_SECOND});
	world->alerting = alerting_new(
		&(struct alerting_options){.hub = world->hub, .hostname = "h", .patience = world->patience});
	assert_non_null(world->alerting);
	assert_int_equal(alerting_use(world->alerting, world->plan), 0);
	hub_set_alerting(world->hub, world->alerting);
	assert_int_equal(hub_start(world->hub), 0);
}

static void populate(struct world *world)
{
	const struct cw_array *tables = &instance_of(world->plan, "calls")->plugin->decl.tables;
	for (uint32_t i = 0; i < tables->count; i++)
		if (strcmp(((const struct cw_table_decl *)cw_at(tables, i))->name, "calls") == 0)
			world->decl = cw_at(tables, i);
	world->key = column_of(world->decl, "call_sid");
	world->health = column_of(world->decl, "health_status");
	assert_int_equal(table_open(hub_tables(world->hub), "calls", world->decl, NULL, &world->part), 0);
	hub_add_instance(world->hub, "calls", "redis-calls", CW_SOURCE, NULL, NULL);
}

static void begin_by(struct world *world, const char *text)
{
	make(world, text);
	assert_int_equal(alerting_start(world->alerting, /* journal */ NULL), 0);
	populate(world);
}

static void begin(struct world *world)
{
	begin_by(world, rules);
}

/* As a source does after each reading of all there is. */
static void read_all(struct world *world)
{
	world->read_to++;
	part_coverage(world->part, &(struct cw_coverage){
					   .from = world->read_to, .to = world->read_to, .complete = true, .ratio = 1});
}

static void can_see(struct world *world)
{
	hub_set_state(world->hub, "calls", CW_UP, "", 0);
	read_all(world);
}

static void dismiss(struct world *world)
{
	alerting_free(world->alerting);
	hub_free(world->hub);
	plan_unref(world->plan);
	problems_release(&world->problems);
}

static void end(struct world *world)
{
	hub_stop(world->hub);
	alerting_stop(world->alerting, clock_now() + 20 * CW_SECOND);
	assert_false(alerting_was_left(world->alerting));
	dismiss(world);
}

static void put(struct world *world, const char *sid, int64_t health)
{
	struct cw_cell cells[64] = {0};
	cells[world->key] = (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)strlen(sid), .text = sid};
	cells[world->health] = (struct cw_cell){.type = CW_CELL_INTEGER, .integer = health};
	assert_true(row_put(world->part, cells) >= 0);
}
enum { HEALTHY, WARNING, STALE };

static int count_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)cells;
	(void)count;
	++*(unsigned *)arg;
	return 0;
}

static unsigned count_rows(struct world *world, const char *table, const char *where, const char *and)
{
	char error[CW_QUERY_ERROR_MAX];
	const char *const conditions[] = {where, and};
	struct cw_query_spec spec = {.table = table, .where = conditions, .where_count = and? 2 : 1};
	struct cw_query *query;
	unsigned count = 0;
	assert_int_equal(query_open(hub_tables(world->hub), &spec, true, &query, error), 0);
	while (query_step(query, CW_SECOND, count_row, &count) == CW_LATER)
		;
	query_close(query);
	return count;
}

static unsigned count_alerts(struct world *world, const char *where, const char *and)
{
	return count_rows(world, "alerts", where, and);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void wait_for_alerts(struct world *world, const char *where, const char *and, unsigned count)
{
	int64_t deadline = clock_awake() + 20 * CW_SECOND;
	while (count_alerts(world, where, and) != count) {
		if (clock_awake() > deadline)
			fail_msg("%u alerts with %s, not %u", count_alerts(world, where, and), where, count);
		if (world->read_to)
			read_all(world);
		nap();
	}
}

/* ---- a journal that takes less than there is ---- */

static char state_dir[40];
static _Atomic int said_lost, said_whole;

static void on_opened(void *arg, struct sqlite3 *db)
{
	alerting_read(((struct world *)arg)->alerting, db);
}

static void on_restored(void *arg)
{
	alerting_rewrite(((struct world *)arg)->alerting);
}

static void on_said(void *arg, const char *text)
{
	(void)arg;
	said_lost += strstr(text, "is written again") && !strstr(text, "; 0 entries");
	said_whole += strstr(text, "; 0 entries") != NULL;
}

static int count_in(struct sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	int count = -1;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		count = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static struct journal *make_journal(struct world *world, size_t bytes_max)
{
	struct journal *journal = journal_new(&(struct journal_options){.folder = state_dir,
									.bytes_max = bytes_max,
									.opened = on_opened,
									.restored = on_restored,
									.said = on_said,
									.arg = world});
	assert_non_null(journal);
	return journal;
}

static void make_folder(void)
{
	snprintf(state_dir, sizeof state_dir, "/tmp/callwatch-alerting-XXXXXX");
	assert_non_null(mkdtemp(state_dir));
}

static void remove_folder(void)
{
	char path[64];
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/journal.db%s", state_dir, (const char *const[]){"", "-wal", "-shm"}[i]);
		unlink(path);
	}
	rmdir(state_dir);
}

/* The journal of an earlier life: it has these. */
static void leave(const char *sql)
{
	char path[64], *error = NULL;
	struct sqlite3 *db = NULL;
	struct world nobody = {.patience = 0};
	struct journal *journal = make_journal(&nobody, 0);
	assert_int_equal(journal_start(journal), 0);
	journal_stop(journal, clock_now() + 10 * CW_SECOND);
	journal_free(journal);
	snprintf(path, sizeof path, "%s/journal.db", state_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s", error);
	sqlite3_close(db);
}

static void end_with(struct world *world, struct journal *journal)
{
	hub_stop(world->hub);
	alerting_stop(world->alerting, clock_now() + 20 * CW_SECOND);
	journal_stop(journal, clock_now() + 10 * CW_SECOND);
	journal_free(journal);
	dismiss(world);
}

static void journal__that_had_no_room_for_all__has_all_in_the_end_and_is_left_in_peace(void **state)
{
	(void)state;
	enum { MANY = 300 };
	struct world world = {.patience = 0};
	char path[64], sid[16];
	struct sqlite3 *db = NULL;
	make_folder();
	snprintf(path, sizeof path, "%s/journal.db", state_dir);
	leave("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80) INSERT INTO silence "
	      "SELECT 's' || i, 'a=' || hex(zeroblob(1000)), 1, 9000000000000000000, NULL, NULL, '', '' FROM n");
	make(&world, "rules: [{ name: brief, table: calls, where: [health_status=stale] }]");
	struct journal *journal = make_journal(&world, (size_t)64 * 1024);
	assert_int_equal(alerting_start(world.alerting, journal), 0);
	assert_int_equal(journal_start(journal), 0);
	populate(&world);
	can_see(&world);
	put(&world, "c0", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (int i = 1; i < MANY; i++) {
		snprintf(sid, sizeof sid, "c%d", i);
		put(&world, sid, STALE);
	}
	wait_for_alerts(&world, "state=firing", NULL, MANY);
	assert_true(journal_lost(journal) > 0);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	int64_t deadline = clock_awake() + 60 * CW_SECOND;
	while (count_in(db, "SELECT count(*) FROM alert WHERE state = 1") != MANY) {
		if (clock_awake() > deadline)
			fail_msg("%d of them are in it", count_in(db, "SELECT count(*) FROM alert"));
		nap();
	}
	assert_int_equal(said_lost, 1);
	sqlite3_close(db);
	end_with(&world, journal);
	assert_int_equal(said_lost, 1);
	assert_int_equal(said_whole, 0);
	remove_folder();
}

/* Without the last of them more would be muted than anybody has asked for. */
static void silence__with_more_matchers_than_there_can_be__is_not_taken_over(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	make_folder();
	leave("INSERT INTO silence VALUES('many', replace(hex(zeroblob(32)), '00', 'a=b' || char(10)) || 'c=d', 1, "
	      "9000000000000000000, NULL, NULL, '', ''), ('one', 'a=b', 2, 9000000000000000000, NULL, NULL, '', '')");
	make(&world, rules);
	struct journal *journal = make_journal(&world, 0);
	assert_int_equal(alerting_start(world.alerting, journal), 0);
	assert_int_equal(journal_start(journal), 0);
	int64_t deadline = clock_awake() + 20 * CW_SECOND;
	while (count_rows(&world, "silences", "id=one", NULL) == 0 && clock_awake() < deadline)
		nap();
	assert_int_equal(count_rows(&world, "silences", "id=one", NULL), 1);
	assert_int_equal(count_rows(&world, "silences", "id=many", NULL), 0);
	end_with(&world, journal);
	remove_folder();
}

/* ---- rows ---- */

static void row__that_turns_stale__fires_when_its_source_has_read_all(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	begin(&world);
	put(&world, "c1", STALE);
	hub_set_state(world.hub, "calls", CW_UP, "", 0);
	for (int i = 0; i < 200; i++) /* it is up, and has not read its table to the end */
		nap();
	assert_int_equal(count_alerts(&world, "alert=stale", NULL), 0);
	can_see(&world);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	put(&world, "c2", STALE);
	put(&world, "c3", WARNING);
	wait_for_alerts(&world, "state=firing", "summary=c2", 1);
	wait_for_alerts(&world, "state=pending", "alert=sleepy", 1);
	put(&world, "c2", HEALTHY);
	wait_for_alerts(&world, "state=resolved", "reason=recovered", 1);
	struct alerting_counts counts;
	alerting_counts(world.alerting, &counts);
	assert_int_equal(counts.alerts[CW_SEVERITY_WARNING][1], 1);
	assert_int_equal(counts.alerts[CW_SEVERITY_WARNING][0], 1);
	end(&world);
}

static void row__that_pended_once_more__leaves_what_ended_before_in_sight(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	begin_by(&world, "rules: [{ name: brief, table: calls, where: [health_status=stale], for: 1s }]");
	can_see(&world);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "alert=brief", "state=firing", 1);
	put(&world, "c1", HEALTHY);
	wait_for_alerts(&world, "alert=brief", "state=resolved", 1);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "alert=brief", "state=resolved", 0);
	put(&world, "c1", HEALTHY);
	wait_for_alerts(&world, "alert=brief", "state=resolved", 1);
	end(&world);
}

static void source__is_down__its_alerts_are_not_known(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	begin(&world);
	can_see(&world);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	hub_set_state(world.hub, "calls", CW_DOWN, "refused", 0);
	wait_for_alerts(&world, "state=unknown", NULL, 1);
	row_remove(world.part, (uint32_t)row_find(world.part, "c1", 2), "ended");
	hub_set_state(world.hub, "calls", CW_STARTING, "",
		      0); /* its process begins anew: what it had read does not count */
	hub_set_state(world.hub, "calls", CW_UP, "", 0);
	for (int i = 0; i < 250; i++)
		nap();
	assert_int_equal(count_alerts(&world, "state=unknown", NULL), 1);
	can_see(&world);
	wait_for_alerts(&world, "state=resolved", "reason=gone", 1);
	end(&world);
}

static void agent__ends__what_its_instances_do_tells_nothing(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	begin(&world);
	can_see(&world);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	alerting_deafen(world.alerting);
	row_remove(world.part, (uint32_t)row_find(world.part, "c1", 2), "ended");
	for (int i = 0; i < 100; i++)
		nap();
	hub_remove_instance(world.hub, "calls");
	hub_stop(world.hub);
	alerting_stop(world.alerting, clock_now() + 20 * CW_SECOND);
	assert_int_equal(count_alerts(&world, "state=resolved", NULL), 0);
	end(&world);
}

static void plan__without_a_rule_or_an_instance__ends_what_was_about_it(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	struct problems problems, others;
	begin(&world);
	can_see(&world);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	struct plan *other = make_plan(
		RULES_PLUGINS, "rules: [{ name: silent, table: calls, where: [health_status=stale] }]", &problems);
	assert_int_equal(alerting_use(world.alerting, other), 0);
	wait_for_alerts(&world, "alert=stale", "reason=rule removed", 1);
	wait_for_alerts(&world, "alert=silent", "state=firing", 1);
	struct plan *without =
		make_plan("plugins: [{ plugin: redis-calls, name: other, url: 'redis://127.0.0.1:1' }]\n",
			  "rules: [{ name: silent, table: calls, where: [health_status=stale] }]", &others);
	assert_int_equal(alerting_use(world.alerting, without), 0);
	wait_for_alerts(&world, "alert=silent", "reason=source removed", 1);
	end(&world);
	plan_unref(other);
	plan_unref(without);
	problems_release(&problems);
	problems_release(&others);
}

/* ---- a thread that does not answer ---- */

static void thread__that_does_not_answer__is_not_waited_for_without_end(void **state)
{
	(void)state;
	struct world world = {.patience = 100 * CW_MILLISECOND};
	struct problems problems;
	struct cw_part *shown;
	begin(&world);
	can_see(&world);
	put(&world, "c1", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 1);
	struct plan *other = make_plan(
		RULES_PLUGINS, "rules: [{ name: silent, table: calls, where: [health_status=stale] }]", &problems);
	/* alerts that end by another plan are shown so, and the thread has to wait for that */
	assert_int_equal(table_open(hub_tables(world.hub), "calls", &alerts_decl, NULL, &shown), 0);
	part_scan_lock(shown);
	assert_int_equal(alerting_use(world.alerting, other), -ETIMEDOUT);
	assert_int_equal(alerting_use(world.alerting, world.plan), -ETIMEDOUT);
	alerting_stop(world.alerting, clock_now() + 100 * CW_MILLISECOND);
	assert_true(alerting_was_left(world.alerting));
	part_scan_unlock(shown);
	end(&world); /* now it answers */
	plan_unref(other);
	problems_release(&problems);
}

/* ---- people ---- */

struct asked {
	uv_loop_t loop;
	struct mailbox *box;
	bool is_answered;
	int status;
	uint32_t count;
	char id[64];
};

static void on_answer(void *arg, const struct cw_alerts_answer *answer)
{
	struct asked *asked = arg;
	asked->is_answered = true;
	asked->status = answer->status;
	asked->count = answer->count;
	snprintf(asked->id, sizeof asked->id, "%s", answer->id ? answer->id : "");
}

static void wait_for_answer(struct asked *asked)
{
	while (!asked->is_answered)
		uv_run(&asked->loop, UV_RUN_ONCE);
	asked->is_answered = false;
}

static void people__silence_and_acknowledge__and_are_answered(void **state)
{
	(void)state;
	struct world world = {.patience = 0};
	struct asked asked = {.box = mailbox_new(10)};
	uv_loop_init(&asked.loop);
	mailbox_attach(asked.box, &asked.loop, NULL);
	begin(&world);
	can_see(&world);
	put(&world, "c1", STALE);
	put(&world, "c2", STALE);
	wait_for_alerts(&world, "state=firing", NULL, 2);
	const char *const matchers[] = {"alertname=stale", "subject=c1"};
	struct cw_silence_spec spec = {.matchers = matchers,
				       .matchers_count = 2,
				       .ends_at = clock_wall() + 3600 * CW_SECOND,
				       .comment = "we know",
				       .by = "me"};
	assert_int_equal(alerting_silence(world.alerting, asked.box, &spec, on_answer, &asked), 0);
	wait_for_answer(&asked);
	assert_int_equal(asked.status, 0);
	assert_int_equal(asked.count, 1);
	wait_for_alerts(&world, "silenced_by!=null", NULL, 1);
	assert_int_equal(alerting_expire(world.alerting, asked.box, asked.id, "me", on_answer, &asked), 0);
	wait_for_answer(&asked);
	assert_int_equal(asked.status, 0);
	wait_for_alerts(&world, "silenced_by!=null", NULL, 0);
	assert_int_equal(alerting_expire(world.alerting, asked.box, "none", "me", on_answer, &asked), 0);
	wait_for_answer(&asked);
	assert_int_equal(asked.status, -ENOENT);
	struct cw_ack_spec ack = {.alert = "stale", .subject = "c2", .note = "on it", .by = "me"};
	assert_int_equal(alerting_ack(world.alerting, asked.box, &ack, on_answer, &asked), 0);
	wait_for_answer(&asked);
	assert_int_equal(asked.count, 1);
	wait_for_alerts(&world, "acked_by=me", "subject=c2", 1);
	assert_int_equal(alerting_try_rule(world.alerting, asked.box, "nothing", "me", on_answer, &asked), 0);
	wait_for_answer(&asked);
	assert_int_equal(asked.status, -ENOENT);
	end(&world);
	mailbox_close(asked.box);
	uv_run(&asked.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&asked.loop), 0);
	mailbox_unref(asked.box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(journal__that_had_no_room_for_all__has_all_in_the_end_and_is_left_in_peace),
		cmocka_unit_test(silence__with_more_matchers_than_there_can_be__is_not_taken_over),
		cmocka_unit_test(row__that_turns_stale__fires_when_its_source_has_read_all),
		cmocka_unit_test(row__that_pended_once_more__leaves_what_ended_before_in_sight),
		cmocka_unit_test(source__is_down__its_alerts_are_not_known),
		cmocka_unit_test(agent__ends__what_its_instances_do_tells_nothing),
		cmocka_unit_test(plan__without_a_rule_or_an_instance__ends_what_was_about_it),
		cmocka_unit_test(thread__that_does_not_answer__is_not_waited_for_without_end),
		cmocka_unit_test(people__silence_and_acknowledge__and_are_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
