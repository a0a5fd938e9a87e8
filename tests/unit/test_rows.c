/* SPDX-License-Identifier: MIT
 *
 * Row rules on real tables: hints, passes, deadlines; and whatever is done to the rows, in the end the alerts are those
 * that follow from the rows as they are.
 */
#include "table_fixture.h"

#include "notice.h"
#include "rows.h"
#include "rules_by_hand.h"
#include "text.h"

static const char *const stale_where[] = {"health=stale"};
static const char *const old_where[] = {"health!=healthy", "age>60"};
static const char *const fresh_where[] = {"age<10s"};
static const char *const due_where[] = {"due<=0", "business=b1"};
static const char *const note_where[] = {"note=~^x"};

#define ROWS_RULE(of_name, of_where)                                                                                   \
	{                                                                                                              \
		.name = (of_name), .kind = RULE_ROWS, .table = "calls", .where = {                                     \
			(of_where),                                                                                    \
			sizeof(of_where) / sizeof(of_where)[0]                                                         \
		}                                                                                                      \
	}
static const struct rule rule_stale = ROWS_RULE("stale", stale_where), rule_old = ROWS_RULE("old", old_where),
			 rule_fresh = ROWS_RULE("fresh", fresh_where), rule_due = ROWS_RULE("due", due_where),
			 rule_note = ROWS_RULE("note", note_where);
static const struct rule *const all_rules[] = {&rule_stale, &rule_old, &rule_fresh, &rule_due, &rule_note};
enum { RULES = sizeof all_rules / sizeof *all_rules };
#undef ROWS_RULE

struct world {
	struct tables *tables;
	struct cw_part *parts[2];
	struct engine *engine;
	struct rows *rows;
	struct ruleset ruleset;
	unsigned fired, ended, gone;
	bool hints; /* transitions are told */
};

static void changed(void *arg, struct alert *alert, enum engine_change change)
{
	struct world *world = arg;
	world->fired += change == ENGINE_FIRES;
	world->ended += change == ENGINE_ENDS;
	world->gone += change == ENGINE_ENDS && strcmp(alert->reason, "gone") == 0;
}

static struct moment moment_now(void *arg)
{
	(void)arg;
	return (struct moment){now_time, wall_time, now_time};
}

static void on_transition(void *arg, const struct transition *transition)
{
	struct world *world = arg;
	if (world->hints)
		rows_hint(world->rows, transition->table, transition->instance, transition->key);
}

static void use(struct world *world, const struct rule *const *rules, uint32_t count)
{
	memcpy(world->ruleset.rules, rules, count * sizeof(struct rule *));
	world->ruleset.count = count;
	engine_use(world->engine, &world->ruleset, moment_now(NULL));
	assert_int_equal(rows_use(world->rows, &world->ruleset), 0);
}

static void begin(struct world *world)
{
	clock_set_source(&fake_clock);
	*world = (struct world){.hints = true};
	world->tables = tables_new(on_transition, world);
	world->engine = engine_new(&(struct engine_options){.changed = changed, .arg = world});
	world->rows = rows_new(&(struct rows_options){
		.tables = world->tables, .engine = world->engine, .phones_full = false, .now = moment_now});
	assert_int_equal(table_open(world->tables, "a", &calls, NULL, &world->parts[0]), 0);
	assert_int_equal(table_open(world->tables, "b", &calls, NULL, &world->parts[1]), 0);
	engine_sight(world->engine, "a", true, moment_now(NULL));
	engine_sight(world->engine, "b", true, moment_now(NULL));
}

static void end(struct world *world)
{
	rows_free(world->rows);
	engine_free(world->engine);
	tables_free(world->tables);
	clock_set_source(NULL);
}

static void settle(struct world *world)
{
	for (int i = 0; rows_step(world->rows); i++)
		assert_true(i < 100000);
	for (struct alert *alert = engine_first(world->engine), *next; alert; alert = next) {
		next = alert->next;
		if (!alert->is_open)
			engine_settle(world->engine, alert);
	}
}

static void pass_time(int64_t ns)
{
	now_time += ns;
	wall_time += ns;
}

static unsigned count_open(struct world *world)
{
	unsigned n = 0;
	for (struct alert *alert = engine_first(world->engine); alert; alert = alert->next)
		n += alert->is_open;
	return n;
}

static void set_age(struct cw_part *part, const char *id, int64_t ago)
{
	touch(part, find(part, id), AGE, integer(now_time - ago));
}

/* ---- hints ---- */

static void transition__of_a_row__makes_it_be_looked_at_at_once(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	use(&world, all_rules, 1);
	settle(&world);
	int64_t row = put(world.parts[0], "c1", "b1", 0, NULL);
	settle(&world);
	assert_int_equal(count_open(&world), 0);
	touch(world.parts[0], row, HEALTH, integer(2));
	settle(&world);
	struct alert *alert = engine_find(world.engine, "stale", "a", "c1");
	assert_non_null(alert);
	assert_string_equal(alert_text(alert, "business"), "b1");
	assert_null(engine_find(world.engine, "stale", "b", "c1"));
	touch(world.parts[0], row, HEALTH, integer(1));
	settle(&world);
	assert_int_equal(world.ended, 1);
	assert_int_equal(world.gone, 0);
	touch(world.parts[0], row, HEALTH, integer(2));
	settle(&world);
	row_remove(world.parts[0], (uint32_t)row, "ended");
	settle(&world);
	assert_int_equal(world.gone, 1);
	end(&world);
}

static void hints__too_many__become_a_pass(void **state)
{
	(void)state;
	struct world world;
	char id[32];
	begin(&world);
	use(&world, all_rules, 1);
	settle(&world);
	for (int i = 0; i < 5000; i++) {
		snprintf(id, sizeof id, "c%d", i);
		put(world.parts[i % 2], id, "b1", 2, NULL);
	}
	settle(&world);
	pass_time(CW_SECOND);
	settle(&world);
	assert_int_equal(count_open(&world), 5000);
	end(&world);
}

static void hints__that_nobody_heard__are_made_good_by_the_next_pass(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	world.hints = false;
	use(&world, all_rules, 1);
	settle(&world);
	int64_t row = put(world.parts[1], "c1", "b1", 2, NULL);
	settle(&world);
	assert_int_equal(count_open(&world), 0);
	pass_time(31 * CW_SECOND);
	settle(&world);
	assert_int_equal(count_open(&world), 1);
	row_remove(world.parts[1], (uint32_t)row, "ended");
	rows_pass_soon(world.rows, "calls");
	settle(&world);
	assert_int_equal(world.gone, 1);
	end(&world);
}

static int64_t put_key(struct world *world, const char *key, size_t length)
{
	struct cw_cell cells[COLUMNS] = {[HEALTH] = integer(2)};
	cells[ID] = (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)length, .text = key};
	return row_put(world->parts[0], cells);
}

static void key__that_is_no_text__is_a_subject_of_its_own_in_each_life(void **state)
{
	(void)state;
	static char longest[3000];
	static const char *const keys[] = {"a\0b", "a\0c", "a\u2400b", "x\xff", "x\xfe", longest};
	static const size_t lengths[] = {3, 3, 5, 2, 2, sizeof longest};
	enum { KEYS = sizeof keys / sizeof *keys };
	struct alert *known[KEYS];
	int64_t rows[KEYS];
	uint32_t n = 0;
	struct world world;
	memset(longest, 'k', sizeof longest);
	begin(&world);
	use(&world, all_rules, 1);
	for (size_t i = 0; i < KEYS; i++)
		put_key(&world, keys[i], lengths[i]);
	settle(&world);
	pass_time(31 * CW_SECOND);
	settle(&world);
	assert_int_equal(count_open(&world), KEYS);
	for (struct alert *alert = engine_first(world.engine); alert; alert = alert->next) {
		assert_true(strlen(alert->subject) <= NOTICE_VALUE_MAX);
		assert_true(text_is_utf8(alert->subject, strlen(alert->subject)));
		known[n++] = alert_copy(alert);
	}
	end(&world);

	begin(&world);
	use(&world, all_rules, 1);
	for (size_t i = 0; i < KEYS; i++) {
		assert_non_null(engine_restore(world.engine, known[i], moment_now(NULL)));
		rows[i] = put_key(&world, keys[i], lengths[i]);
		alert_free(known[i]);
	}
	settle(&world);
	pass_time(31 * CW_SECOND);
	settle(&world);
	assert_int_equal(count_open(&world), KEYS);
	for (size_t i = 0; i < KEYS; i++)
		row_remove(world.parts[0], (uint32_t)rows[i], "ended");
	pass_time(31 * CW_SECOND);
	settle(&world);
	assert_int_equal(count_open(&world), 0);
	end(&world);
}

/* ---- deadlines ---- */

static void row__that_time_makes_match__is_met_at_its_deadline(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	put(world.parts[0], "c1", "b1", 1, NULL);
	put(world.parts[0], "c2", "b1", 0, NULL); /* healthy: it does not count, however old */
	set_age(world.parts[0], "c1", 55 * CW_SECOND);
	set_age(world.parts[0], "c2", 59 * CW_SECOND);
	const struct rule *rules[] = {&rule_old};
	use(&world, rules, 1);
	settle(&world);
	assert_int_equal(count_open(&world), 0);
	assert_in_range(rows_due(world.rows) - now_time, 5 * CW_SECOND, 5 * CW_SECOND + 100 * CW_MILLISECOND);
	pass_time(rows_due(world.rows) - now_time);
	settle(&world);
	assert_int_equal(count_open(&world), 1);
	end(&world);
}

static void row__that_time_makes_cease__is_met_at_its_deadline(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	put(world.parts[0], "c1", "b1", 1, NULL);
	put(world.parts[0], "c2", "b1", 1, NULL);
	set_age(world.parts[0], "c1", 3 * CW_SECOND);
	set_age(world.parts[0], "c2", 20 * CW_SECOND);
	const struct rule *rules[] = {&rule_fresh};
	use(&world, rules, 1);
	settle(&world);
	assert_int_equal(count_open(&world), 1);
	assert_in_range(rows_due(world.rows) - now_time, 7 * CW_SECOND, 7 * CW_SECOND + 100 * CW_MILLISECOND);
	pass_time(rows_due(world.rows) - now_time);
	settle(&world);
	assert_int_equal(count_open(&world), 0);
	end(&world);
}

static void row__with_a_time_to_come__is_met_when_it_has_come(void **state)
{
	(void)state;
	struct world world;
	begin(&world);
	int64_t row = put(world.parts[0], "c1", "b1", 1, NULL);
	touch(world.parts[0], row, DUE, integer(now_time + 12 * CW_SECOND));
	int64_t other = put(world.parts[0], "c2", "b2", 1, NULL);
	touch(world.parts[0], other, DUE, integer(now_time + 2 * CW_SECOND));
	const struct rule *rules[] = {&rule_due};
	use(&world, rules, 1);
	settle(&world);
	assert_in_range(rows_due(world.rows) - now_time, 12 * CW_SECOND, 12 * CW_SECOND + 100 * CW_MILLISECOND);
	pass_time(rows_due(world.rows) - now_time);
	settle(&world);
	assert_int_equal(count_open(&world), 1);
	end(&world);
}

/* ---- whatever happens ---- */

static int keep_key(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)count;
	struct world *world = ((void **)arg)[0];
	const struct rule *rule = ((void **)arg)[1];
	unsigned *found = ((void **)arg)[2];
	char instance[8], key[32];
	snprintf(instance, sizeof instance, "%.*s", (int)cells[0].length, cells[0].text);
	snprintf(key, sizeof key, "%.*s", (int)cells[1].length, cells[1].text);
	++*found;
	if (!engine_find(world->engine, rule->name, instance, key))
		fail_msg("rule %s holds for %s/%s, and there is no alert", rule->name, instance, key);
	return 0;
}

/* All that match have an alert, and there is none else. */
static void compare(struct world *world)
{
	unsigned found = 0;
	for (uint32_t i = 0; i < RULES; i++) {
		char error[CW_QUERY_ERROR_MAX];
		struct cw_query *query;
		struct cw_query_spec spec = {
			.table = "calls", .where = all_rules[i]->where.items, .where_count = all_rules[i]->where.count};
		void *args[] = {world, (void *)(uintptr_t)all_rules[i], &found};
		assert_int_equal(query_open(world->tables, &spec, true, &query, error), 0);
		while (query_step(query, CW_SECOND, keep_key, args) == CW_LATER)
			;
		query_close(query);
	}
	assert_int_equal(count_open(world), found);
}

static void change_something(struct world *world)
{
	struct cw_part *part = world->parts[rand() % 2];
	char id[32];
	snprintf(id, sizeof id, "c%d", rand() % 40);
	int64_t row = row_find(part, id, strlen(id));
	switch (rand() % 8) {
	case 0:
	case 1:
		put(part, id, rand() % 2 ? "b1" : "b2", rand() % 3, rand() % 2 ? "x1" : "y");
		break;
	case 2:
		if (row >= 0)
			row_remove(part, (uint32_t)row, "ended");
		break;
	case 3:
		if (row >= 0)
			touch(part, row, AGE, integer(now_time - rand() % 100 * CW_SECOND));
		break;
	case 4:
		if (row >= 0)
			touch(part, row, DUE, integer(now_time + (rand() % 60 - 30) * CW_SECOND));
		break;
	case 5:
		if (row >= 0)
			touch(part, row, NOTE, text(rand() % 2 ? "x2" : "z"));
		break;
	default:
		if (row >= 0)
			touch(part, row, HEALTH, integer(rand() % 3));
		break;
	}
}

static void alerts__whatever_is_done_to_the_rows__are_those_that_follow_from_them(void **state)
{
	(void)state;
	struct world world;
	srand(7);
	begin(&world);
	use(&world, all_rules, RULES);
	for (int round = 0; round < 300; round++) {
		world.hints = round % 3 != 0;
		for (int i = rand() % 60; i > 0; i--) {
			change_something(&world);
			if (rand() % 4 == 0)
				rows_step(world.rows);
			pass_time(rand() % 2 * CW_SECOND);
		}
		settle(&world); /* the passes that are under way */
		pass_time(40 * CW_SECOND);
		settle(&world);
		compare(&world);
	}
	assert_true(world.fired > 1000);
	assert_true(world.ended > 1000);
	assert_true(world.gone > 10);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transition__of_a_row__makes_it_be_looked_at_at_once),
		cmocka_unit_test(hints__too_many__become_a_pass),
		cmocka_unit_test(hints__that_nobody_heard__are_made_good_by_the_next_pass),
		cmocka_unit_test(key__that_is_no_text__is_a_subject_of_its_own_in_each_life),
		cmocka_unit_test(row__that_time_makes_match__is_met_at_its_deadline),
		cmocka_unit_test(row__that_time_makes_cease__is_met_at_its_deadline),
		cmocka_unit_test(row__with_a_time_to_come__is_met_when_it_has_come),
		cmocka_unit_test(alerts__whatever_is_done_to_the_rows__are_those_that_follow_from_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
