/* SPDX-License-Identifier: MIT
 *
 * Table `rules`: what rules say in words, who hears of them, how they stand, and that they go with a reload.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules_fixture.h"
#include "rules_rows.h"

#include <stdlib.h>
#include <string.h>

static const char rules[] =
	"rules:\n"
	"  - { name: rows, table: calls, where: [health_status=stale, worker!=x], for: 1m, severity: critical,\n"
	"      summary: 'S {{ call_sid }}', description: 'D', inhibited_by: [above, below] }\n"
	"  - { name: above, metric: calls_stale_ratio, above: 5%, clear_below: 0.02,\n"
	"      while: ['calls_active{health=stale}>=5', calls_capacity_used_ratio<1], keep_firing_for: 30s }\n"
	"  - { name: below, metric: 'calls_active{health=healthy}', where: [instance=calls], below: 1 }\n"
	"  - { name: outside, metric: calls_stale_ratio, outside: [0.1, 0.5] }\n"
	"  - { name: absent, metric: calls_stale_ratio, absent: 5m }\n"
	"  - { name: slow, metric: calls_started_total, rate_below: 0.5, over: 10m }\n"
	"  - { name: sleeps, for_plugin: postgres-lookup, metric: nobody_knows, above: 1 }\n";

struct scene {
	struct problems problems;
	struct plan *plan;
	struct tables *tables;
	struct engine *engine;
	struct rules_rows *rows;
	char told[4096]; /* by rows_told() */
};

static void changed(void *arg, struct alert *alert, enum engine_change change)
{
	(void)arg, (void)alert, (void)change;
}

static struct plan *make(struct scene *scene, const char *text)
{
	struct plan *plan = rules_plan(RULES_PLUGINS, text, &scene->problems);
	if (!plan)
		fail_msg("%s", scene->problems.count ? scene->problems.list[0].message : "-");
	return plan;
}

static const struct moment now = {.watched = CW_SECOND, .wall = CW_SECOND};

static int setup(void **state)
{
	struct scene *scene = *state = calloc(1, sizeof *scene);
	scene->plan = make(scene, rules);
	scene->tables = tables_new(/* on_transition: */ NULL, NULL);
	scene->engine = engine_new(&(struct engine_options){.changed = changed});
	scene->rows = rules_rows_new(scene->tables);
	assert_non_null(scene->rows);
	engine_use(scene->engine, scene->plan->ruleset, now);
	rules_rows_use(scene->rows, scene->plan->ruleset);
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	rules_rows_free(scene->rows);
	engine_free(scene->engine);
	tables_free(scene->tables);
	plan_unref(scene->plan);
	problems_release(&scene->problems);
	free(scene);
	return 0;
}

static int see_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct scene *scene = arg;
	size_t used = strlen(scene->told);
	for (uint32_t i = 1; i < count; i++) { /* 0: the instance */
		char number[32];
		const char *text = cells[i].type == CW_CELL_TEXT ? cells[i].text : number;
		if (cells[i].type == CW_CELL_INTEGER)
			snprintf(number, sizeof number, "%lld", (long long)cells[i].integer);
		else if (cells[i].type == CW_CELL_REAL)
			snprintf(number, sizeof number, "%g", cells[i].real);
		else
			strcpy(number, "-");
		int length = cells[i].type == CW_CELL_TEXT ? (int)cells[i].length : (int)strlen(text);
		used += (size_t)snprintf(scene->told + used, sizeof scene->told - used, "%s%.*s", i > 1 ? "|" : "",
					 length, text);
	}
	snprintf(scene->told + used, sizeof scene->told - used, "\n");
	return 0;
}

/* Key and these columns of these rows (NULL: all), a row a line. */
static const char *told(struct scene *scene, const char *where, const char *const *names, uint32_t count)
{
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query *query;
	struct cw_query_spec spec = {.table = "rules",
				     .where = &where,
				     .where_count = where ? 1 : 0,
				     .sort = "name",
				     .columns = names,
				     .columns_count = count};
	*scene->told = '\0';
	assert_int_equal(query_open(scene->tables, &spec, false, &query, error), 0);
	while (query_step(query, CW_SECOND, see_row, scene) == CW_LATER)
		;
	query_close(query);
	return scene->told;
}

static void what_rules_say__is_told_in_words(void **state)
{
	static const char *const names[] = {"expression", "for_seconds", "state"};
	struct scene *scene = *state;
	assert_string_equal(
		told(scene, NULL, names, 3),
		"above|calls_stale_ratio above 0.05, until below 0.02, while calls_active{health=stale}>=5, "
		"calls_capacity_used_ratio<1|0|0\n"
		"absent|calls_stale_ratio absent for 5m|0|0\n"
		"below|calls_active{health=healthy} where instance=calls below 1|0|0\n"
		"outside|calls_stale_ratio outside 0.1 to 0.5|0|0\n"
		"rows|calls where health_status=stale, worker!=x|60|0\n"
		"sleeps|nobody_knows above 1|0|4\n"
		"slow|calls_started_total rises by less than 0.5 per second over 10m|0|0\n");
}

static void the_rest__is_there_when_asked_for(void **state)
{
	static const char *const names[] = {
		"kind", "severity", "summary", "description", "inhibited_by", "keep_firing_seconds", "origin"};
	struct scene *scene = *state;
	told(scene, "name=rows", names, 7);
	assert_non_null(strstr(scene->told, "0|2|S {{ call_sid }}|D|above, below|0|rules.yaml:"));
	told(scene, "name=above", names, 7);
	assert_non_null(strstr(scene->told, "1|1|-|-|-|30|rules.yaml:"));
}

static void look_at_row(struct scene *scene, const char *key, bool holds)
{
	static const struct cw_column column = {.name = "call_sid", .type = CW_TEXT, .flags = CW_COLUMN_KEY};
	const struct cw_cell cell = {.type = CW_CELL_TEXT, .length = (uint32_t)strlen(key), .text = key};
	engine_row(scene->engine, ruleset_find(scene->plan->ruleset, "rows"), "calls", key, holds, &column, &cell, 1,
		   now);
}

/* The most that is true of its alerts: firing, unknown, pending. */
static void how_rules_stand__follows_their_alerts(void **state)
{
	static const char *const names[] = {"state", "firing", "pending", "unknown"};
	const struct moment later = {.watched = 100 * CW_SECOND, .wall = 100 * CW_SECOND};
	struct scene *scene = *state;
	engine_sight(scene->engine, "calls", true, now);
	look_at_row(scene, "CA1", true);
	look_at_row(scene, "CA2", true);
	assert_string_equal(told(scene, "name=rows", names, 4), "rows|0|0|0|0\n");
	rules_rows_look(scene->rows, scene->engine);
	assert_string_equal(told(scene, "name=rows", names, 4), "rows|1|0|2|0\n");
	engine_tick(scene->engine, later);
	rules_rows_look(scene->rows, scene->engine);
	assert_string_equal(told(scene, "name=rows", names, 4), "rows|2|2|0|0\n");
	engine_sight(scene->engine, "calls", false, later);
	rules_rows_look(scene->rows, scene->engine);
	assert_string_equal(told(scene, "name=rows", names, 4), "rows|3|0|0|2\n");
	assert_string_equal(told(scene, "name=above", names, 4), "above|0|0|0|0\n");
}

static void other_rules__take_the_place_of_those_that_were(void **state)
{
	static const char *const names[] = {"expression"};
	struct scene *scene = *state;
	struct problems first = scene->problems;
	struct plan *old = scene->plan;
	scene->plan = make(scene, "rules: [{ name: rows, table: calls, where: [health_status=warning] }]");
	engine_use(scene->engine, scene->plan->ruleset, now);
	rules_rows_use(scene->rows, scene->plan->ruleset);
	assert_string_equal(told(scene, NULL, names, 1), "rows|calls where health_status=warning\n");
	plan_unref(old);
	problems_release(&first);
	rules_rows_look(scene->rows, scene->engine);
	rules_rows_use(scene->rows, NULL);
	rules_rows_look(scene->rows, scene->engine);
	assert_string_equal(told(scene, NULL, names, 1), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_rules_say__is_told_in_words, setup, teardown),
		cmocka_unit_test_setup_teardown(the_rest__is_there_when_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(how_rules_stand__follows_their_alerts, setup, teardown),
		cmocka_unit_test_setup_teardown(other_rules__take_the_place_of_those_that_were, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
