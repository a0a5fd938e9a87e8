/* SPDX-License-Identifier: MIT
 *
 * Tables: rows, transitions, counts, full generations, hostile keys, and a property test that holds a part against a
 * naive model over random operations.
 */
#include "part.h"
#include "table_fixture.h"

#include <pthread.h>

struct told {
	int count;
	char last[256];
};

static void remember(void *arg, const struct transition *t)
{
	struct told *told = arg;
	told->count++;
	snprintf(told->last, sizeof(told->last), "%s/%s/%s %s: %s -> %s (%s)", t->table, t->instance, t->key, t->column,
		 t->from ? t->from : "-", t->to ? t->to : "-", t->why ? t->why : "-");
}

struct fixture {
	struct tables *tables;
	struct cw_part *part;
	struct told told;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->tables = tables_new(remember, &f->told);
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &f->part), 0);
	wall_time = 1000;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	tables_free(f->tables);
	free(f);
	return 0;
}

static void row__put_found_touched_removed(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->part, "c1", "b1", 0, "hello");
	assert_true(row >= 0);
	assert_int_equal(find(f->part, "c1"), row);
	assert_int_equal(find(f->part, "c2"), -ENOENT);
	char key[3];
	assert_int_equal(row_key(f->part, (uint32_t)row, key, sizeof(key)), 2);
	assert_string_equal(key, "c1");
	assert_int_equal(put(f->part, "c1", "b2", 0, "other"), row);
	assert_int_equal(touch(f->part, row, AGE, integer(7)), 0);
	assert_int_equal(touch(f->part, row, NOTE, text("a longer note than before")), 0);
	assert_int_equal(find(f->part, "c1"), row);
	assert_int_equal(part_rows(f->part), 1);
	assert_int_equal(row_remove(f->part, (uint32_t)row, "ended"), 0);
	assert_int_equal(row_remove(f->part, (uint32_t)row, "ended"), -ENOENT);
	assert_int_equal(touch(f->part, row, AGE, integer(7)), -ENOENT);
	assert_int_equal(row_key(f->part, (uint32_t)row, key, sizeof(key)), -ENOENT);
	assert_int_equal(find(f->part, "c1"), -ENOENT);
	assert_int_equal(part_rows(f->part), 0);
}

static void row_number__is_reused_and_stays_dense(void **state)
{
	struct fixture *f = *state;
	int64_t first = put(f->part, "a", NULL, 0, NULL), second = put(f->part, "b", NULL, 0, NULL);
	assert_int_equal(row_remove(f->part, (uint32_t)first, "ended"), 0);
	assert_int_equal(put(f->part, "c", NULL, 0, NULL), first);
	assert_int_equal(find(f->part, "b"), second);
}

static void transition__new_changed_unknown_removed(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->part, "c1", NULL, 0, NULL);
	assert_string_equal(f->told.last, "calls/a/c1 health: - -> healthy (-)");
	assert_int_equal(touch(f->part, row, HEALTH, integer(2)), 0);
	assert_string_equal(f->told.last, "calls/a/c1 health: healthy -> stale (-)");
	assert_int_equal(touch(f->part, row, HEALTH, (struct cw_cell){0}), 0);
	assert_string_equal(f->told.last, "calls/a/c1 health: stale ->  (-)");
	put(f->part, "c1", NULL, 1, NULL);
	assert_string_equal(f->told.last, "calls/a/c1 health:  -> warning (-)");
	row_remove(f->part, (uint32_t)row, "ended");
	assert_string_equal(f->told.last, "calls/a/c1 health: warning -> - (ended)");
	assert_int_equal(f->told.count, 5);
}

static void transition__none_without_a_change(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->part, "c1", NULL, 0, NULL);
	put(f->part, "c1", NULL, 0, "other note");
	touch(f->part, row, HEALTH, integer(0));
	touch(f->part, row, AGE, integer(3));
	assert_int_equal(f->told.count, 1);
}

static void counts__follow_every_change(void **state)
{
	struct fixture *f = *state;
	uint64_t counts[5];
	int64_t row = put(f->part, "c1", NULL, 0, NULL);
	put(f->part, "c2", NULL, 0, NULL);
	put(f->part, "c3", NULL, -1, NULL);
	put(f->part, "c4", NULL, 77, NULL); /* no such choice: not known */
	touch(f->part, row, HEALTH, integer(2));
	part_choice_counts(f->part, HEALTH, counts, 5);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[2], 1);
	assert_int_equal(counts[0] + counts[1] + counts[2] + counts[3] + counts[4], 2);
	row_remove(f->part, (uint32_t)row, "ended");
	part_choice_counts(f->part, HEALTH, counts, 5);
	assert_int_equal(counts[2], 0);
	part_choice_counts(f->part, NOTE, counts, 5);
	assert_int_equal(counts[0], 0);
}

static void hostile_keys__are_kept_byte_for_byte_or_refused(void **state)
{
	struct fixture *f = *state;
	char key[5000];
	memset(key, 'k', sizeof(key));
	static const char *const parts[] = {"a", "a\0b", "\xff\xfe", "\xc3"};
	static const uint32_t lengths[] = {1, 3, 2, 1};
	struct cw_cell cells[COLUMNS] = {0};
	int64_t rows[4];
	for (int i = 0; i < 4; i++) {
		cells[ID] = (struct cw_cell){.type = CW_CELL_TEXT, .length = lengths[i], .text = parts[i]};
		rows[i] = row_put(f->part, cells);
		assert_true(rows[i] >= 0);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(row_find(f->part, parts[i], lengths[i]), rows[i]);
	assert_int_equal(part_rows(f->part), 4);
	cells[ID] = (struct cw_cell){.type = CW_CELL_TEXT, .length = 300, .text = key};
	assert_true(row_put(f->part, cells) >= 0);
	assert_true(row_find(f->part, key, 300) >= 0);
	assert_int_equal(row_find(f->part, key, 299), -ENOENT);
	char start[8];
	assert_int_equal(row_key(f->part, (uint32_t)row_find(f->part, key, 300), start, sizeof(start)), 300);
	assert_string_equal(start, "kkkkkkk");
	cells[ID].length = 5000;
	assert_int_equal(row_put(f->part, cells), -EINVAL);
	assert_int_equal(row_find(f->part, key, 5000), -ENOENT);
	cells[ID].length = 0;
	assert_int_equal(row_put(f->part, cells), -EINVAL);
	cells[ID] = (struct cw_cell){0};
	assert_int_equal(row_put(f->part, cells), -EINVAL);
	cells[ID] = integer(5);
	assert_int_equal(row_put(f->part, cells), -EINVAL);
}

struct missed {
	int count;
	int64_t last;
};

static void miss(void *arg, uint32_t row)
{
	struct missed *missed = arg;
	missed->count++;
	missed->last = row;
}

static void full__missing_is_what_was_there_and_not_seen(void **state)
{
	struct fixture *f = *state;
	put(f->part, "put", NULL, 0, NULL);
	int64_t marked = put(f->part, "marked", NULL, 0, NULL), missing = put(f->part, "missing", NULL, 0, NULL);
	full_begin(f->part);
	put(f->part, "put", NULL, 0, NULL);
	row_mark(f->part, (uint32_t)marked);
	put(f->part, "born since", NULL, 0, NULL);
	touch(f->part, missing, AGE, integer(1)); /* does not mark */
	struct missed missed = {0};
	full_end(f->part, miss, &missed);
	assert_int_equal(missed.count, 1);
	assert_int_equal(missed.last, missing);
	assert_int_equal(part_rows(f->part), 4);
}

static void full__without_a_callback_removes(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3000; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		put(f->part, id, NULL, 0, NULL);
	}
	full_begin(f->part);
	for (int i = 0; i < 3000; i += 2) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		put(f->part, id, NULL, 0, NULL);
	}
	f->told.count = 0;
	full_end(f->part, NULL, NULL);
	assert_int_equal(part_rows(f->part), 1500);
	assert_int_equal(f->told.count, 1500);
	assert_non_null(strstr(f->told.last, "(gone)"));
	assert_int_equal(find(f->part, "c1"), -ENOENT);
	assert_true(find(f->part, "c2") >= 0);
}

static void full__aborted_or_not_begun_misses_nothing(void **state)
{
	struct fixture *f = *state;
	put(f->part, "c", NULL, 0, NULL);
	full_begin(f->part);
	full_abort(f->part);
	full_end(f->part, NULL, NULL);
	assert_int_equal(part_rows(f->part), 1);
}

static void put__of_the_same_row_is_no_change(void **state)
{
	struct fixture *f = *state;
	put(f->part, "c", "business", 0, "note");
	uint64_t before = f->part->sequence;
	put(f->part, "c", "business", 0, "note");
	assert_int_equal(f->part->sequence, before);
	row_remove(f->part, (uint32_t)find(f->part, "c"), "ended");
	assert_int_equal(dict_texts(&f->part->dict), 0);
}

struct marker {
	struct cw_part *part;
	int missing;
};

static void mark_all(void *arg, uint32_t row)
{
	(void)row;
	struct marker *marker = arg;
	marker->missing++;
	for (uint32_t i = 0; i < 10; i++)
		row_mark(marker->part, i);
}

static void full__what_missing_marks_is_not_missing(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 10; i++)
		put(f->part, (const char[]){(char)('a' + i), 0}, NULL, 0, NULL);
	struct marker marker = {.part = f->part};
	full_begin(f->part);
	full_end(f->part, mark_all, &marker);
	assert_int_equal(marker.missing, 1);
}

static void reopen__same_columns_keep_rows_others_begin_anew(void **state)
{
	struct fixture *f = *state;
	struct cw_part *again, *other;
	put(f->part, "c", NULL, 0, NULL);
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &again), 0);
	assert_ptr_equal(again, f->part);
	assert_int_equal(part_rows(again), 1);
	const struct cw_column extra[] = {{.name = "worker", .type = CW_TEXT, .unit = "", .help = "w"}};
	const struct cw_array extras = CW_ARRAY(extra);
	assert_int_equal(table_open(f->tables, "a", &calls, &extras, &other), 0);
	assert_ptr_not_equal(other, f->part);
	assert_int_equal(part_rows(other), 0);
	assert_int_equal(part_rows(f->part), 0);
	assert_string_equal(f->told.last, "calls/a/c health: healthy -> - (columns changed)");
	assert_int_equal(put(f->part, "c", NULL, 0, NULL), -EPIPE); /* an abandoned thread's part */
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &again), 0);
	assert_ptr_equal(again, f->part);
	assert_true(put(f->part, "c", NULL, 0, NULL) >= 0);
}

static void open__refuses_columns_that_are_no_good(void **state)
{
	struct fixture *f = *state;
	struct cw_part *part;
	const struct cw_column twin[] = {{.name = "note", .type = CW_TEXT}}, nameless[] = {{.type = CW_TEXT}};
	const struct cw_array twins = CW_ARRAY(twin), no_names = CW_ARRAY(nameless);
	assert_int_equal(table_open(f->tables, "b", &calls, &no_names, &part), -EINVAL);
	assert_int_equal(table_open(f->tables, "x", &calls, &twins, &part), -EEXIST);
	const struct cw_column no_key[] = {{.name = "note", .type = CW_TEXT}};
	const struct cw_table_decl keyless = {.name = "keyless", .columns = CW_ARRAY(no_key)};
	assert_int_equal(table_open(f->tables, "x", &keyless, NULL, &part), -EINVAL);
}

/* A name may never come back: then what it leaves is small. */
static void forget__keeps_no_memory_for_rows(void **state)
{
	struct fixture *f = *state;
	char id[16];
	for (int i = 0; i < 3 * CHUNK_ROWS; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		put(f->part, id, id, 0, "hello");
	}
	int64_t row = find(f->part, "c7");
	uint32_t incarnation = part_entry(f->part, (uint32_t)row)->incarnation;
	tables_forget(f->tables, "a");
	assert_null(f->part->chunks);
	assert_null(f->part->bytes);
	assert_null(f->part->index.now.slots);
	assert_null(f->part->dict.chunks);
	assert_int_equal(touch(f->part, row, AGE, integer(7)), -ENOENT);
	struct cw_part *again;
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &again), 0);
	assert_ptr_equal(again, f->part);
	for (int i = 0; i <= row; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		put(f->part, id, id, 0, "hello");
	}
	assert_int_equal(find(f->part, "n7"), row);
	assert_true(part_entry(f->part, (uint32_t)row)->incarnation >
		    incarnation); /* nobody takes it for the old one */
}

static void forget__removes_rows_and_takes_no_more(void **state)
{
	struct fixture *f = *state;
	struct cw_part *b;
	assert_int_equal(table_open(f->tables, "b", &calls, NULL, &b), 0);
	put(f->part, "c", NULL, 0, NULL);
	put(b, "c", NULL, 0, NULL);
	tables_forget(f->tables, "a");
	assert_int_equal(part_rows(f->part), 0);
	assert_int_equal(part_rows(b), 1);
	assert_int_equal(put(f->part, "d", NULL, 0, NULL), -EPIPE);
}

static void look(void *arg, const struct cw_table_info *info)
{
	struct cw_table_info *copy = arg;
	assert_string_equal(info->columns[0].name, "instance");
	assert_string_equal(info->columns[1].name, "id");
	assert_string_equal(info->columns[info->watched_column].name, "health");
	assert_int_equal(info->counts[0], info->rows);
	assert_string_equal(info->instances[0], "a");
	assert_string_equal(info->instances[1], "b");
	assert_null(info->instances[2]);
	*copy = *info;
}

static void info__is_the_union_of_the_parts(void **state)
{
	struct fixture *f = *state;
	struct cw_part *b;
	const struct cw_column extra[] = {{.name = "worker", .type = CW_TEXT, .unit = "", .help = "w"}};
	const struct cw_array extras = CW_ARRAY(extra);
	assert_int_equal(table_open(f->tables, "b", &calls, &extras, &b), 0);
	struct cw_table_info info;
	tables_each(f->tables, look, &info);
	assert_int_equal(info.columns_count, COLUMNS + 2);
	assert_int_equal(info.rows, 0);
	assert_true(isnan(info.age_seconds));
	wall_time = 100 * CW_SECOND;
	for (int i = 0; i < 3; i++)
		put(f->part, (const char *const[]){"x", "y", "z"}[i], NULL, 0, NULL);
	put(b, "x", NULL, 0, NULL);
	part_coverage(f->part, &(struct cw_coverage){.from = 7, .to = 90 * CW_SECOND, .complete = true, .ratio = 1});
	part_coverage(b, &(struct cw_coverage){.from = 8, .to = 80 * CW_SECOND, .complete = true, .ratio = 0.5});
	tables_each(f->tables, look, &info);
	assert_int_equal(info.rows, 4);
	assert_true(info.coverage.complete);
	assert_int_equal(info.coverage.from, 7);
	assert_int_equal(info.coverage.to, 80 * CW_SECOND);
	assert_true(fabs(info.coverage.ratio - 3.5 / 4) < 1e-9);
	assert_true(fabs(info.age_seconds - 20) < 1e-9);
	part_coverage(b, &(struct cw_coverage){.ratio = (double)NAN});
	tables_each(f->tables, look, &info);
	assert_false(info.coverage.complete);
	assert_true(isnan(info.coverage.ratio));
	assert_true(isnan(info.age_seconds));
}

/* ---- against a naive model ---- */

enum { MODEL_KEYS = 700 };

struct model {
	bool exists;
	int64_t row;
	int64_t health;
	uint32_t note_length;
};

static void model_key(char key[32], uint32_t i)
{
	snprintf(key, 32, "key-%u-%0*u", i, (int)(i % 20), i);
}

static void model_compare(struct cw_part *part, const struct model *model)
{
	uint64_t rows = 0, counts[3], expected[3] = {0};
	for (uint32_t i = 0; i < MODEL_KEYS; i++) {
		char key[32], back[32];
		model_key(key, i);
		int64_t row = find(part, key);
		assert_int_equal(row, model[i].exists ? model[i].row : -ENOENT);
		if (!model[i].exists)
			continue;
		rows++;
		if (model[i].health >= 0)
			expected[model[i].health]++;
		assert_int_equal(row_key(part, (uint32_t)row, back, sizeof(back)), strlen(key));
		assert_string_equal(key, back);
	}
	assert_int_equal(part_rows(part), rows);
	part_choice_counts(part, HEALTH, counts, 3);
	assert_memory_equal(counts, expected, sizeof(counts));
}

static void model_step(struct cw_part *part, struct model *model, uint32_t bias)
{
	char key[32], note[64];
	uint32_t i = below(MODEL_KEYS), what = below(100);
	struct model *m = &model[i];
	model_key(key, i);
	memset(note, 'n', sizeof(note));
	note[below(sizeof(note))] = 0;
	int64_t health = (int64_t)below(4) - 1;
	if (what < bias) {
		char business[16];
		snprintf(business, sizeof(business), "b%u", below(50));
		int64_t row = put(part, key, business, health, note);
		assert_true(row >= 0 && (!m->exists || row == m->row));
		*m = (struct model){.exists = true, .row = row, .health = health};
	} else if (what < bias + 20 && m->exists) {
		assert_int_equal(touch(part, m->row, HEALTH, health < 0 ? (struct cw_cell){0} : integer(health)), 0);
		assert_int_equal(touch(part, m->row, NOTE, text(note)), 0);
		assert_int_equal(touch(part, m->row, BUSINESS, below(3) ? text("b1") : text(NULL)), 0);
		m->health = health;
	} else if (m->exists) {
		assert_int_equal(row_remove(part, (uint32_t)m->row, "ended"), 0);
		*m = (struct model){0};
	}
}

static void property__equals_a_naive_model(void **state)
{
	struct fixture *f = *state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		random_state = seed;
		struct model *model = calloc(MODEL_KEYS, sizeof(*model));
		char instance[8];
		snprintf(instance, sizeof(instance), "m%d", (int)seed);
		struct cw_part *part;
		assert_int_equal(table_open(f->tables, instance, &calls, NULL, &part), 0);
		for (uint32_t step = 0; step < 12000; step++) {
			model_step(part, model, step / 2000 % 2 ? 10 : 70); /* grows, then shrinks, again and again */
			if (step % 500 == 0)
				model_compare(part, model);
		}
		model_compare(part, model);
		for (uint32_t i = 0; i < MODEL_KEYS; i++)
			if (model[i].exists)
				row_remove(part, (uint32_t)model[i].row, "ended");
		assert_int_equal(dict_texts(&part->dict), 0); /* every shared text was let go */
		free(model);
	}
}

/* ---- threads ---- */

struct churn {
	struct cw_part *part;
	int number;
};

static void *churn(void *arg)
{
	const struct churn *churn = arg;
	char key[32];
	for (int i = 0; i < 4000; i++) {
		snprintf(key, sizeof(key), "t%d-%d", churn->number, i % 300);
		int64_t row = put(churn->part, key, key, i % 3, "note");
		assert_true(row >= 0);
		touch(churn->part, row, AGE, integer(i));
		if (i % 3 == 0)
			row_remove(churn->part, (uint32_t)row, "ended");
	}
	return NULL;
}

static void ignore(void *arg, const struct transition *transition)
{
	(void)arg;
	(void)transition;
}

static void threads__may_write_one_part(void **state)
{
	(void)state;
	struct tables *tables = tables_new(ignore, NULL);
	struct cw_part *part;
	assert_int_equal(table_open(tables, "a", &calls, NULL, &part), 0);
	pthread_t threads[3];
	struct churn churns[3];
	for (int i = 0; i < 3; i++) {
		churns[i] = (struct churn){part, i};
		assert_int_equal(pthread_create(&threads[i], NULL, churn, &churns[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		full_begin(part);
		full_end(part, miss, &(struct missed){0});
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	uint64_t counts[3];
	part_choice_counts(part, HEALTH, counts, 3);
	assert_int_equal(counts[0] + counts[1] + counts[2], part_rows(part));
	tables_free(tables);
}

int main(void)
{
	clock_set_source(&fake_clock);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(row__put_found_touched_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(row_number__is_reused_and_stays_dense, setup, teardown),
		cmocka_unit_test_setup_teardown(transition__new_changed_unknown_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(transition__none_without_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(counts__follow_every_change, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_keys__are_kept_byte_for_byte_or_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(full__missing_is_what_was_there_and_not_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(full__without_a_callback_removes, setup, teardown),
		cmocka_unit_test_setup_teardown(full__aborted_or_not_begun_misses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(put__of_the_same_row_is_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(full__what_missing_marks_is_not_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(reopen__same_columns_keep_rows_others_begin_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(open__refuses_columns_that_are_no_good, setup, teardown),
		cmocka_unit_test_setup_teardown(forget__removes_rows_and_takes_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(forget__keeps_no_memory_for_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(info__is_the_union_of_the_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(property__equals_a_naive_model, setup, teardown),
		cmocka_unit_test(threads__may_write_one_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
