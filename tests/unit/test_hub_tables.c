/* SPDX-License-Identifier: MIT
 *
 * The hub's tables: `instances` says how each instance is, `events` what happened, and neither says too much.
 */
#include "clock.h"
#include "hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};

static struct hub *start(int64_t interval)
{
	struct hub_options options = {.hostname = "web-1", .version = "1.2.3", .interval = interval};
	struct hub *hub = hub_new(&options);
	assert_non_null(hub);
	assert_int_equal(hub_start(hub), 0);
	return hub;
}

static const struct cw_batch *make(const char *instance, int n)
{
	struct batch_builder *builder = batch_builder_new("web-1", instance, CW_SECOND, NULL, 0);
	for (int i = 0; i < n; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%d", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1, CW_INTEGER, 0, i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Rows of a table that match, and the text of one column of the last of them. */
struct look {
	const char *column;
	int rows;
	char text[256];
	int64_t integer;
	struct cw_query *query;
};

static int see_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct look *look = arg;
	uint32_t n;
	const struct cw_column *columns = query_columns(look->query, &n);
	look->rows++;
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(columns[i].name, look->column) != 0)
			continue;
		look->text[0] = 0;
		if (cells[i].type == CW_CELL_TEXT)
			snprintf(look->text, sizeof(look->text), "%.*s", (int)cells[i].length, cells[i].text);
		else if (cells[i].type == CW_CELL_INTEGER)
			look->integer = cells[i].integer;
	}
	return 0;
}

static struct look look_at(struct hub *hub, const char *table, const char *where, const char *column)
{
	struct cw_query_spec spec = {.table = table, .where = &where, .where_count = where ? 1 : 0};
	struct look look = {.column = column};
	char error[CW_QUERY_ERROR_MAX];
	assert_int_equal(query_open(hub_tables(hub), &spec, false, &look.query, error), 0);
	while (query_step(look.query, CW_SECOND, see_row, &look) == CW_LATER)
		;
	query_close(look.query);
	return look;
}

static void wait_for_rows(struct hub *hub, const char *table, const char *where, int rows)
{
	int64_t deadline = clock_now() + 10 * CW_SECOND;
	while (look_at(hub, table, where, "").rows != rows) {
		if (clock_now() > deadline)
			fail_msg("table %s never had %d rows where %s", table, rows, where ? where : "-");
		pause_a_little();
	}
}

static void state_changes__are_rows_and_events(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	hub_add_instance(hub, "calls", "redis-calls", CW_SOURCE, NULL, NULL);
	hub_set_state(hub, "calls", CW_DOWN, "connection refused", 123 * CW_SECOND);
	hub_set_state(hub, "calls", CW_DOWN, "no such name", 124 * CW_SECOND); /* another reason is no event */
	hub_set_state(hub, "calls", CW_UP, NULL, 0);
	hub_set_state(hub, "ghost", CW_UP, NULL, 0);
	wait_for_rows(hub, "instances", "state=up", 1);
	assert_int_equal(look_at(hub, "instances", NULL, "").rows, 1);
	assert_string_equal(look_at(hub, "instances", NULL, "plugin").text, "redis-calls");
	assert_string_equal(look_at(hub, "instances", NULL, "reason").text, "");
	assert_int_equal(look_at(hub, "events", "kind=source", "").rows, 2);
	assert_string_equal(look_at(hub, "events", "to=down", "text").text, "connection refused");
	assert_string_equal(look_at(hub, "events", "to=up", "from").text, "down");
	hub_remove_instance(hub, "calls");
	wait_for_rows(hub, "instances", NULL, 0);
	hub_free(hub);
}

static void counters__of_an_instance__show_within_a_second_or_so(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	struct instance_stats *stats = calloc(1, sizeof(*stats));
	atomic_init(&stats->references, 1);
	struct outqueue *queue = outqueue_new(1, NULL, NULL, NULL);
	hub_add_instance(hub, "out", "stdout", CW_OUTPUT, stats, queue);
	atomic_store(&stats->errors, 7);
	hub_post_batch(hub, make("calls", 5));
	hub_post_batch(hub, make("calls", 3));
	wait_for_rows(hub, "instances", "errors=7", 1);
	wait_for_rows(hub, "instances", "queue=3", 1);
	assert_int_equal(look_at(hub, "instances", NULL, "dropped").integer, 5);
	/* it comes back: what it counted before still counts */
	outqueue_close(queue);
	hub_remove_instance(hub, "out");
	struct outqueue *heir = outqueue_new(1, NULL, NULL, NULL);
	outqueue_inherit(heir, queue);
	struct instance_stats *anew = calloc(1, sizeof(*anew));
	atomic_init(&anew->references, 1);
	atomic_store(&anew->errors, 1);
	hub_add_instance(hub, "out", "stdout", CW_OUTPUT, anew, heir);
	wait_for_rows(hub, "instances", "errors=8", 1);
	assert_int_equal(look_at(hub, "instances", NULL, "dropped").integer, 8);
	hub_free(hub);
	outqueue_unref(queue);
	outqueue_unref(heir);
	assert_int_equal(atomic_load(&stats->references), 1);
	free(stats);
	free(anew);
}

static const char *const healths[] = {"healthy", "warning", "stale", NULL};
static const struct cw_column columns[] = {
	{.name = "call_sid", .type = CW_TEXT, .flags = CW_COLUMN_KEY},
	{.name = "health", .type = CW_CHOICE, .flags = CW_COLUMN_WATCHED, .choices = healths},
};
static const struct cw_table_decl calls_decl = {.name = "calls", .columns = CW_ARRAY(columns)};

static int64_t put_call(struct cw_part *part, const char *sid, int64_t health)
{
	struct cw_cell cells[] = {{.type = CW_CELL_TEXT, .length = (uint32_t)strlen(sid), .text = sid},
				  {.type = CW_CELL_INTEGER, .integer = health}};
	return row_put(part, cells);
}

static void transitions__become_events_but_births_and_good_ends_do_not(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	struct cw_part *part;
	assert_int_equal(table_open(hub_tables(hub), "calls", &calls_decl, NULL, &part), 0);
	int64_t good = put_call(part, "CA1", 0);
	row_remove(part, (uint32_t)good, "ended");
	int64_t bad = put_call(part, "CA2", 0);
	put_call(part, "CA2", 2);
	row_remove(part, (uint32_t)bad, "gone");
	wait_for_rows(hub, "events", NULL, 2);
	struct look change = look_at(hub, "events", "to=stale", "subject");
	assert_int_equal(change.rows, 1);
	assert_string_equal(change.text, "calls/CA2");
	assert_string_equal(look_at(hub, "events", "to=null", "text").text, "gone");
	assert_string_equal(look_at(hub, "events", "to=null", "by").text, "calls");
	hub_free(hub);
}

static void events__beyond_ten_thousand__push_out_the_oldest(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	for (int i = 0; i < 10500; i++) {
		char text[16];
		snprintf(text, sizeof(text), "n%d", i);
		hub_event(hub, "note", "agent", NULL, NULL, "me", text);
	}
	wait_for_rows(hub, "events", "text=n10499", 1);
	assert_int_equal(look_at(hub, "events", NULL, "").rows, 10000);
	assert_int_equal(look_at(hub, "events", "text=n499", "").rows, 0);
	assert_int_equal(look_at(hub, "events", "text=n500", "").rows, 1);
	hub_free(hub);
}

/* The key of `instances` is itself called `instance`: it stands for the column every table has, and is there once. */
static void table_instances__has_one_column_instance_and_finds_by_it(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	hub_add_instance(hub, "calls", "redis-calls", CW_SOURCE, NULL, NULL);
	hub_add_instance(hub, "dlq", "dlq", CW_SOURCE, NULL, NULL);
	wait_for_rows(hub, "instances", NULL, 2);
	wait_for_rows(hub, "instances", "instance=calls", 1);
	assert_string_equal(look_at(hub, "instances", "plugin=redis-calls", "instance").text, "calls");
	struct cw_query_spec spec = {.table = "instances", .key = "dlq"};
	struct look look = {.column = "plugin"};
	char error[CW_QUERY_ERROR_MAX];
	assert_int_equal(query_open(hub_tables(hub), &spec, false, &look.query, error), 0);
	uint32_t n, named = 0;
	const struct cw_column *shown = query_columns(look.query, &n);
	for (uint32_t i = 0; i < n; i++)
		named += strcmp(shown[i].name, "instance") == 0;
	assert_int_equal(named, 1);
	assert_string_equal(shown[0].name, "instance");
	while (query_step(look.query, CW_SECOND, see_row, &look) == CW_LATER)
		;
	query_close(look.query);
	assert_int_equal(look.rows, 1);
	assert_string_equal(look.text, "dlq");
	hub_free(hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_instances__has_one_column_instance_and_finds_by_it),
		cmocka_unit_test(state_changes__are_rows_and_events),
		cmocka_unit_test(counters__of_an_instance__show_within_a_second_or_so),
		cmocka_unit_test(transitions__become_events_but_births_and_good_ends_do_not),
		cmocka_unit_test(events__beyond_ten_thousand__push_out_the_oldest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
