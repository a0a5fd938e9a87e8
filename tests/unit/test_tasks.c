/* SPDX-License-Identifier: MIT
 *
 * Tasks, from the question to the end: a real instance of the test plugin `worker`, the actor, and a test that asks as
 * a frontend does. Before and after the end of a process: tests/system/test_actions.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "hub.h"
#include "instance.h"
#include "journal_tasks.h"
#include "loader.h"
#include "log.h"
#include "options.h"
#include "roster.h"
#include "table.h"
#include "task.h"
#include "tasks.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

/* ---- a task alone ---- */

static void never_delivered(struct mail *mail, void *owner)
{
	(void)mail;
	(void)owner;
	fail_msg("nobody drains this box");
}

/* The beat takes news while the mail that tells of them is under way: it must not be posted a second time. */
static void news_taken_before_their_mail_came__are_no_second_mail(void **state)
{
	(void)state;
	static const struct cw_action action = {.name = "do", .help = "does"};
	struct wish *wish = calloc(1, sizeof(*wish));
	struct mailbox *box = mailbox_new(/* limit */ 8);
	struct task_news news;
	atomic_init(&wish->references, 1);
	wish->action = &action;
	struct task *task = task_new(wish, "t1", "somebody", box, never_delivered);
	task_tell_begun(task);
	task_take_news(task, &news);
	task_tell_progress(task, 1, 0, 2, NULL);
	assert_int_equal(mailbox_length(box), 1);
	mailbox_abandon(box);
	task_unref(task);
	mailbox_unref(box);
}

/* ---- the world ---- */

static struct hub *hub;
static struct resolver *resolver;
static struct lookups *lookups;
static struct roster *roster;
static struct tasks *tasks;
static struct journal *journal; /* NULL but in tests that begin one */
static struct instance *worker;
static struct plan plan = {.references = 1000}; /* never freed: made of static data */
static struct plan_instance planned;
static struct cw_value *options;
static uv_loop_t loop; /* the asker's */
static struct mailbox *asker;
static _Atomic int64_t ahead; /* of the real clocks */

#define WAIT_UNTIL(condition)                                                                                          \
	do {                                                                                                           \
		struct timespec began, now;                                                                            \
		clock_gettime(CLOCK_MONOTONIC, &began);                                                                \
		while (!(condition)) {                                                                                 \
			clock_gettime(CLOCK_MONOTONIC, &now);                                                          \
			if (now.tv_sec > began.tv_sec + 60)                                                            \
				fail_msg("never came true: %s", #condition);                                           \
			nanosleep(&(struct timespec){0, 1000000}, NULL);                                               \
		}                                                                                                      \
	} while (0)

static int64_t read_clock(clockid_t id)
{
	struct timespec time;
	clock_gettime(id, &time);
	return time.tv_sec * CW_SECOND + time.tv_nsec + ahead;
}

static int64_t turned_now(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

static int64_t turned_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

static int64_t awake(void)
{
	return read_clock(CLOCK_MONOTONIC) - ahead;
}

/* Once, before there is any other thread: that of the log stays. */
static int turn_clock(void **state)
{
	static const struct clock_source source = {turned_now, turned_wall, awake};
	(void)state;
	clock_set_source(&source);
	log_open(LOG_TEXT, CW_ERROR + 1);
	return 0;
}

static void start_worker(const char *yaml)
{
	struct problems problems;
	char error[LOADER_ERROR_MAX];
	problems_init(&problems);
	const struct plugin *plugin = loader_find(BUILD_DIR "/tests/plugins/worker.so", error);
	if (!plugin)
		fail_msg("%s", error);
	struct yaml *text = yaml_read_text(yaml, strlen(yaml), "test", &problems);
	struct options_context context = {
		.tables = {&plugin->decl.options}, .subject = "worker", .problems = &problems};
	options = options_check(&context, yaml_root(text));
	assert_non_null(options);
	planned = (struct plan_instance){.name = "work", .plugin = plugin, .options = options};
	struct instance_context world = {.hub = hub,
					 .resolver = resolver,
					 .lookups = lookups,
					 .roster = roster,
					 .tasks = tasks,
					 .hostname = "h",
					 .version = "test",
					 .interval = 3600 * CW_SECOND};
	worker = instance_start(&world, &plan, &planned, NULL);
	assert_non_null(worker);
	WAIT_UNTIL(instance_is_up(worker));
	yaml_free(text);
	problems_release(&problems);
}

static void stop_worker(void)
{
	instance_stop(worker);
	assert_true(instance_join(worker, clock_now() + 30 * CW_SECOND, /* returns */ false));
	worker = NULL;
	options_free(options);
	options = NULL;
}

static int make_world_of(const char *yaml)
{
	struct hub_options hub_options = {.hostname = "h", .version = "test", .interval = 3600 * CW_SECOND};
	ahead = 0;
	hub = hub_new(&hub_options);
	resolver = resolver_new();
	lookups = lookups_new();
	roster = roster_new();
	tasks = tasks_new(hub, roster);
	asker = mailbox_new(1024);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(mailbox_attach(asker, &loop, NULL), 0);
	assert_int_equal(hub_start(hub), 0);
	assert_int_equal(tasks_start(tasks, journal), 0);
	start_worker(yaml);
	return 0;
}

static int make_world(void **state)
{
	(void)state;
	return make_world_of("{}");
}

static int end_world(void **state)
{
	(void)state;
	if (worker)
		stop_worker();
	hub_stop(hub);
	tasks_stop(tasks);
	mailbox_close(asker);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	mailbox_unref(asker);
	resolver_free(resolver);
	if (instance_abandoned_count() > 0)
		return 0;
	tasks_free(tasks);
	hub_free(hub);
	lookups_free(lookups);
	roster_free(roster);
	return 0;
}

/* ---- asking ---- */

static struct {
	bool is_there, is_again;
	int status;
	char text[512], task[64], plan[64], first_key[64];
	uint64_t rows;
} answer;

static void on_answer(void *arg, const struct cw_action_answer *given)
{
	(void)arg;
	memset(&answer, 0, sizeof answer);
	answer.is_there = true;
	answer.is_again = given->is_again;
	answer.status = given->status;
	answer.rows = given->rows;
	snprintf(answer.text, sizeof answer.text, "%s", given->text);
	snprintf(answer.task, sizeof answer.task, "%s", given->task ? given->task : "");
	snprintf(answer.plan, sizeof answer.plan, "%s", given->plan ? given->plan : "");
	snprintf(answer.first_key, sizeof answer.first_key, "%s", given->keys_count ? given->keys[0] : "");
}

static bool answer_came(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	return answer.is_there;
}

static int ask_for(const struct cw_action_spec *spec)
{
	answer.is_there = false;
	assert_int_equal(tasks_act(tasks, asker, spec, on_answer, NULL), 0);
	WAIT_UNTIL(answer_came());
	return answer.status;
}

static int cancel(const char *task)
{
	answer.is_there = false;
	assert_int_equal(tasks_cancel(tasks, asker, task, "somebody", on_answer, NULL), 0);
	WAIT_UNTIL(answer_came());
	return answer.status;
}

#define SPEC(name, ...)                                                                                                \
	&(const struct cw_action_spec)                                                                                 \
	{                                                                                                              \
		.instance = "work", .action = (name), .by = "the test", __VA_ARGS__                                    \
	}
#define ARGUMENTS(...)                                                                                                 \
	.arguments = (const struct cw_argument[]){__VA_ARGS__},                                                        \
	.arguments_count = sizeof((const struct cw_argument[]){__VA_ARGS__}) / sizeof(struct cw_argument)
#define KEYS(...)                                                                                                      \
	.keys = (const char *const[]){__VA_ARGS__},                                                                    \
	.keys_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)
#define WHERE(...)                                                                                                     \
	.where = (const char *const[]){__VA_ARGS__},                                                                   \
	.where_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

/* ---- looking ---- */

struct look {
	const char *column;
	const struct cw_column *columns;
	char text[512];
	uint32_t rows;
};

static int look_at(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct look *look = arg;
	look->rows++;
	for (uint32_t i = 0; i < count; i++) {
		const struct cw_column *column = &look->columns[i];
		const struct cw_cell *cell = &cells[i];
		if (!look->column || strcmp(column->name, look->column) != 0)
			continue;
		if (cell->type == CW_CELL_TEXT)
			snprintf(look->text, sizeof look->text, "%.*s", (int)cell->length, cell->text);
		else if (cell->type == CW_CELL_INTEGER && column->type == CW_CHOICE)
			snprintf(look->text, sizeof look->text, "%s", column->choices[cell->integer]);
		else if (cell->type == CW_CELL_INTEGER)
			snprintf(look->text, sizeof look->text, "%lld", (long long)cell->integer);
		else
			snprintf(look->text, sizeof look->text, "null");
	}
	return 0;
}

/* Of the last row that is found; "" if there is none. */
static struct look find(const char *table, const char *key, const char *where, const char *column)
{
	struct look look = {.column = column};
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX];
	uint32_t count;
	struct cw_query_spec spec = {.table = table, .key = key, .where = &where, .where_count = where ? 1 : 0};
	if (query_open(hub_tables(hub), &spec, false, &query, error) < 0)
		return look;
	look.columns = query_columns(query, &count);
	while (query_step(query, CW_SECOND, look_at, &look) == CW_LATER)
		;
	query_close(query);
	return look;
}

static const char *cell(const char *table, const char *key, const char *column)
{
	static struct look look;
	look = find(table, key, NULL, column);
	return look.text;
}

static uint32_t count(const char *table, const char *where)
{
	return find(table, NULL, where, NULL).rows;
}

static void assert_ends(const char *task, const char *state)
{
	WAIT_UNTIL(strcmp(cell("tasks", task, "state"), "queued") != 0 &&
		   strcmp(cell("tasks", task, "state"), "running") != 0);
	assert_string_equal(cell("tasks", task, "state"), state);
}

/* ---- what is done ---- */

static void rows_that_match__are_acted_on_and_told_of(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", WHERE("state=stuck"), ARGUMENTS({"fail_each", "2"}))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "3");
	assert_string_equal(cell("tasks", answer.task, "failed"), "2");
	assert_string_equal(cell("tasks", answer.task, "total"), "5");
	assert_string_equal(cell("tasks", answer.task, "arguments"), "rate=1000000 fail_each=2 lose_each=0");
	assert_string_equal(cell("tasks", answer.task, "requested_by"), "the test");
	assert_string_equal(cell("tasks", answer.task, "instance"), "work");
	assert_int_equal(count("outcomes", "outcome=failed"), 2);
	assert_int_equal(count("outcomes", "outcome=done"), 3);
	assert_int_equal(count("jobs", "state=done"), 3);
	assert_int_equal(count("jobs", "state=stuck"), 2);
	assert_int_equal(count("jobs", "state=open"), 5);
}

static void keys__are_acted_on_once_and_in_order(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00003", "nobody", "job-00001", "job-00003"))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "2");
	assert_string_equal(cell("tasks", answer.task, "total"), "2");
	char id[80];
	snprintf(id, sizeof id, "%s/000000", answer.task);
	assert_string_equal(cell("outcomes", id, "row"), "job-00003");
}

static void no_row_that_matches__is_no_task(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", KEYS("nobody"))), -ENOENT);
	assert_int_equal(ask_for(SPEC("finish", WHERE("id=nobody"))), -ENOENT);
	assert_int_equal(ask_for(SPEC("finish", WHERE("id=nobody"), .dry_run = true)), 0);
	assert_string_equal(answer.plan, "");
	assert_int_equal(count("tasks", NULL), 0);
}

static void progress_of_a_task_without_rows__is_shown(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("run", ARGUMENTS({"steps", "3"}))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "3");
	assert_string_equal(cell("tasks", answer.task, "total"), "3");
	char text[80];
	snprintf(text, sizeof text, "run-%s", answer.task);
	assert_string_equal(cell("tasks", answer.task, "text"), text);
	assert_int_equal(ask_for(SPEC("run", ARGUMENTS({"fail", "true"}))), 0);
	assert_ends(answer.task, "error");
	assert_string_equal(cell("tasks", answer.task, "reason"), "it failed at its end, as it was told to");
}

/* ---- one at a time, and the same twice ---- */

static void single_action__is_not_begun_twice(void **state)
{
	(void)state;
	char task[64];
	assert_int_equal(ask_for(SPEC("run", ARGUMENTS({"steps", "1000000"}))), 0);
	snprintf(task, sizeof task, "%s", answer.task);
	assert_int_equal(ask_for(SPEC("run", .all = false)), -EBUSY);
	assert_string_equal(answer.task, task);
	assert_non_null(strstr(answer.text, "asked for by the test"));
	assert_int_equal(ask_for(SPEC("run", .dry_run = true)), 0); /* asks for nothing yet */
	assert_int_equal(cancel(task), 0);
	assert_ends(task, "cancelled");
	assert_int_equal(ask_for(SPEC("run", .all = false)), 0);
	assert_ends(answer.task, "success");
}

static void same_idempotency_key__is_the_same_task_for_a_day(void **state)
{
	(void)state;
	char task[64];
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00001"), .idempotency_key = "k")), 0);
	assert_false(answer.is_again);
	snprintf(task, sizeof task, "%s", answer.task);
	assert_ends(task, "success");
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00001"), .idempotency_key = "k")), 0);
	assert_true(answer.is_again);
	assert_string_equal(answer.task, task);
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00002"), .idempotency_key = "k")), -EEXIST);
	assert_string_equal(answer.task, task);
	assert_int_equal(ask_for(SPEC("run", .idempotency_key = "k")), 0); /* of another action */
	assert_false(answer.is_again);
	assert_int_equal(count("tasks", NULL), 2);
	ahead = 86401 * CW_SECOND;
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00002"), .idempotency_key = "k")), 0);
	assert_false(answer.is_again);
}

/* ---- what the journal knows ---- */

static int make_world_with_a_journal(void **state)
{
	(void)state;
	journal = journal_new(&(struct journal_options){.folder = "/nowhere"}); /* it is not started: the test reads */
	assert_non_null(journal);
	return make_world_of("{}");
}

static int end_world_with_its_journal(void **state)
{
	int rc = end_world(state);
	journal_free(journal);
	journal = NULL;
	return rc;
}

static void key_of_before__is_known_although_the_journal_was_read_late(void **state)
{
	(void)state;
	struct sqlite3 *db;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, journal_tasks_schema, NULL, NULL, NULL), SQLITE_OK);
	char *line = sqlite3_mprintf("INSERT INTO task VALUES('known', 'work', 'finish', '', 'somebody', 'k', x'00', "
				     "%lld, 1, 1, 2, 1, 0, 0, 0, 1, '', '')",
				     (long long)clock_wall());
	assert_int_equal(sqlite3_exec(db, line, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(line);

	tasks_read(tasks, NULL); /* it cannot be opened yet */
	answer.is_there = false;
	assert_int_equal(
		tasks_act(tasks, asker, SPEC("finish", KEYS("job-00001"), .idempotency_key = "k"), on_answer, NULL), 0);
	tasks_read(tasks, db);
	WAIT_UNTIL(answer_came());
	assert_int_equal(answer.status, -EEXIST); /* the request of before was another one */
	assert_string_equal(answer.task, "known");
	assert_int_equal(count("tasks", NULL), 1);
	sqlite3_close(db);
}

/* ---- plans ---- */

static void plan__acts_on_exactly_the_rows_that_were_shown(void **state)
{
	(void)state;
	char shown[64];
	assert_int_equal(ask_for(SPEC("finish", WHERE("state=stuck"), ARGUMENTS({"fail_each", "5"}), .dry_run = true)),
			 0);
	assert_int_equal(answer.rows, 5);
	assert_string_equal(answer.text, "acts on 5 of 10 rows");
	assert_string_equal(answer.first_key, "job-00001");
	snprintf(shown, sizeof shown, "%s", answer.plan);
	assert_int_equal(count("tasks", NULL), 0);
	assert_int_equal(count("jobs", "state=done"), 0);
	/* meanwhile one of them is not stuck any more, and others are chosen by another task */
	assert_int_equal(ask_for(SPEC("finish", KEYS("job-00001", "job-00002"))), 0);
	assert_ends(answer.task, "success");
	assert_int_equal(ask_for(SPEC("finish", .plan = shown)), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "total"), "5");
	assert_string_equal(cell("tasks", answer.task, "failed"), "1"); /* its arguments are the plan's too */
	assert_int_equal(count("jobs", "state=open"), 4);
	assert_int_equal(ask_for(SPEC("finish", .plan = shown)), -ENOENT); /* it was used up */
}

static void plan__is_for_what_it_was_made_for(void **state)
{
	(void)state;
	char shown[64];
	assert_int_equal(ask_for(SPEC("finish", .all = true, .dry_run = true)), 0);
	snprintf(shown, sizeof shown, "%s", answer.plan);
	assert_int_equal(ask_for(SPEC("misbehave", .plan = shown)), -ENOENT);
	assert_int_equal(ask_for(SPEC("finish", .plan = shown, .all = true)), -EINVAL);
	assert_int_equal(ask_for(SPEC("finish", .plan = shown, ARGUMENTS({"rate", "1"}))), -EINVAL);
	assert_int_equal(ask_for(SPEC("finish", .plan = shown, .dry_run = true)), -EINVAL);
	assert_int_equal(ask_for(SPEC("finish", .plan = "p1")), -ENOENT);
	ahead = 901 * CW_SECOND;
	assert_int_equal(ask_for(SPEC("finish", .plan = shown)), -ENOENT);
	assert_int_equal(count("tasks", NULL), 0);
}

static void plans__are_bounded_and_the_oldest_go(void **state)
{
	(void)state;
	char first[64];
	assert_int_equal(ask_for(SPEC("finish", .all = true, .dry_run = true)), 0);
	snprintf(first, sizeof first, "%s", answer.plan);
	for (int i = 0; i < 31; i++)
		assert_int_equal(ask_for(SPEC("run", .dry_run = true)), 0);
	assert_int_equal(ask_for(SPEC("misbehave", .plan = first)), -ENOENT); /* it looks, and takes nothing */
	assert_int_equal(ask_for(SPEC("run", .dry_run = true)), 0);
	assert_int_equal(ask_for(SPEC("finish", .plan = first)), -ENOENT);
}

static int make_world_of_many(void **state)
{
	(void)state;
	return make_world_of("{count: 10000, exist: 194681}");
}

static void scope__says_what_the_table_does_not_hold(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", WHERE("id~job-000"), .dry_run = true)), 0);
	assert_string_equal(answer.text, "acts on 100 rows of the latest 10,000 of 194,681");
	assert_int_equal(ask_for(SPEC("finish", .all = true)), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "10000");
	assert_int_equal(count("outcomes", "outcome=done"), 10000);
}

/* ---- wrong questions ---- */

static void wrong_questions__are_told_by_name(void **state)
{
	(void)state;
	const struct {
		const struct cw_action_spec *spec;
		int status;
		const char *part;
	} cases[] = {
		{SPEC("finsh", .all = true), -ENOENT, "did you mean `finish`?"},
		{&(const struct cw_action_spec){.instance = "wrok", .action = "run"}, -ENOENT,
		 "there is no instance `wrok`; did you mean `work`?"},
		{SPEC("finish", .all = false), -EINVAL, "acts on rows of table jobs: say which"},
		{SPEC("finish", .all = true, WHERE("state=open")), -EINVAL, "by one of keys, where and all"},
		{SPEC("finish", KEYS("a"), WHERE("state=open")), -EINVAL, "by one of keys, where and all"},
		{SPEC("run", .all = true), -EINVAL, "run acts on no rows"},
		{SPEC("finish", WHERE("colour=red")), -EINVAL, "no column 'colour'"},
		{SPEC("finish", WHERE("state=red")), -EINVAL, "red"},
		{SPEC("run", ARGUMENTS({"stps", "1"})), -EINVAL, "no argument `stps`; did you mean `steps`?"},
		{SPEC("run", ARGUMENTS({"steps_file", "/etc/passwd"})), -EINVAL, "no argument `steps_file`"},
		{SPEC("run", ARGUMENTS({"steps", "1"}, {"steps", "2"})), -EINVAL, "`steps` is said twice"},
		{SPEC("run", ARGUMENTS({"steps", "many"})), -EINVAL, "steps: expected a whole number"},
		{SPEC("run", ARGUMENTS({"steps", "0"})), -EINVAL, "steps: `0` is out of range"},
		{SPEC("misbehave", .all = true), -EINVAL, "`how` is required"},
		{SPEC("misbehave", .all = true, ARGUMENTS({"how", "nver"})), -EINVAL, "did you mean `never`?"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(ask_for(cases[i].spec), cases[i].status);
		if (!strstr(answer.text, cases[i].part))
			fail_msg("`%s` not in: %s", cases[i].part, answer.text);
	}
	assert_int_equal(cancel("t0"), -ENOENT);
	assert_int_equal(count("tasks", NULL), 0);
}

static int make_world_that_forbids(void **state)
{
	(void)state;
	return make_world_of("{allow_actions: false}");
}

static void option_that_forbids__is_named(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", .all = true)), -EACCES);
	assert_non_null(strstr(answer.text, "write `allow_actions: true`"));
	assert_int_equal(ask_for(SPEC("finish", .all = true, .dry_run = true)), -EACCES);
	assert_int_equal(ask_for(SPEC("run", .all = false)), 0); /* which nothing forbids */
	assert_ends(answer.task, "success");
}

/* ---- the end, and plugins that are wrong ---- */

static void cancelled_task__keeps_what_was_done(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("finish", .all = true, ARGUMENTS({"rate", "0.1"}))), 0);
	char task[64];
	snprintf(task, sizeof task, "%s", answer.task);
	WAIT_UNTIL(atoi(cell("tasks", task, "done")) > 0);
	assert_int_equal(cancel(task), 0);
	assert_ends(task, "cancelled");
	int done = atoi(cell("tasks", task, "done")), told = 0;
	assert_int_equal(sscanf(cell("tasks", task, "reason"), "cancelled after %d", &told), 1);
	assert_int_equal(done, told);
	assert_in_range(done, 1, 9);
	assert_int_equal(count("outcomes", "outcome=done"), done);
	assert_int_equal(cancel(task), -EBUSY);
}

static void plugin_that_speaks_wrongly__does_no_harm(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "end_twice"}))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "reason"), "the first end");
	assert_string_equal(cell("tasks", answer.task, "text"), "null");
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "tell_twice"}))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "1");
	assert_string_equal(cell("tasks", answer.task, "failed"), "0");
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "tell_other"}))), 0);
	assert_ends(answer.task, "success");
	assert_string_equal(cell("tasks", answer.task, "done"), "0");
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "made_up"}))), 0);
	assert_ends(answer.task, "success");
}

static void task_that_never_ends__is_lost_with_its_instance(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "never"}))), 0);
	char task[64];
	snprintf(task, sizeof task, "%s", answer.task);
	WAIT_UNTIL(strcmp(cell("tasks", task, "state"), "running") == 0);
	stop_worker();
	assert_ends(task, "lost");
	assert_non_null(strstr(cell("tasks", task, "reason"), "its plugin left it behind"));
	assert_int_equal(ask_for(SPEC("run", .all = false)), -ENOENT); /* nobody is there any more */
	start_worker("{}");
	assert_int_equal(ask_for(SPEC("run", .all = false)), 0);
	assert_ends(answer.task, "success");
}

/* Last, for its thread stays behind. */
static void instance_that_hangs__leaves_its_task_lost(void **state)
{
	(void)state;
	assert_int_equal(ask_for(SPEC("misbehave", .all = true, ARGUMENTS({"how", "block"}))), 0);
	char task[64];
	snprintf(task, sizeof task, "%s", answer.task);
	WAIT_UNTIL(strcmp(cell("tasks", task, "state"), "running") == 0);
	instance_stop(worker);
	assert_false(instance_join(worker, clock_now(), /* returns */ false));
	worker = NULL;
	assert_ends(task, "lost");
	assert_non_null(strstr(cell("tasks", task, "reason"), "was left behind"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_world, end_world)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(news_taken_before_their_mail_came__are_no_second_mail),
		TEST(rows_that_match__are_acted_on_and_told_of),
		TEST(keys__are_acted_on_once_and_in_order),
		TEST(no_row_that_matches__is_no_task),
		TEST(progress_of_a_task_without_rows__is_shown),
		TEST(single_action__is_not_begun_twice),
		TEST(same_idempotency_key__is_the_same_task_for_a_day),
		cmocka_unit_test_setup_teardown(key_of_before__is_known_although_the_journal_was_read_late,
						make_world_with_a_journal, end_world_with_its_journal),
		TEST(plan__acts_on_exactly_the_rows_that_were_shown),
		TEST(plan__is_for_what_it_was_made_for),
		TEST(plans__are_bounded_and_the_oldest_go),
		cmocka_unit_test_setup_teardown(scope__says_what_the_table_does_not_hold, make_world_of_many,
						end_world),
		TEST(wrong_questions__are_told_by_name),
		cmocka_unit_test_setup_teardown(option_that_forbids__is_named, make_world_that_forbids, end_world),
		TEST(cancelled_task__keeps_what_was_done),
		TEST(plugin_that_speaks_wrongly__does_no_harm),
		TEST(task_that_never_ends__is_lost_with_its_instance),
		TEST(instance_that_hangs__leaves_its_task_lost),
	};
#undef TEST
	return cmocka_run_group_tests(tests, turn_clock, NULL);
}
