/* SPDX-License-Identifier: MIT
 *
 * Views: a reader that believes what it is told must always know what a query would say, whatever happens to the table
 * and however it pauses.
 */
#include "table_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROWS_MAX = 600, LINE_MAX_BYTES = 160 };

/* What a reader of the view believes. */
struct reader {
	struct cw_view *view;
	char (*rows)[LINE_MAX_BYTES]; /* `instance/key=note` */
	int count;
	uint64_t sequence;
	int resets, puts, removes, syncs;
	bool consistent;
	int pause_every, calls;
	atomic_int notified;
};

static void notify(void *arg)
{
	struct reader *reader = arg;
	atomic_fetch_add(&reader->notified, 1);
}

static int row_of(const struct reader *reader, const char *name)
{
	size_t length = strlen(name);
	for (int i = 0; i < reader->count; i++)
		if (strncmp(reader->rows[i], name, length) == 0 && reader->rows[i][length] == '=')
			return i;
	return -1;
}

static void name_of(char *name, size_t size, const struct cw_cell *cells)
{
	snprintf(name, size, "%.*s/%.*s", (int)cells[0].length, cells[0].text, (int)cells[1].length, cells[1].text);
}

static void line_of(char line[LINE_MAX_BYTES], const struct cw_cell *cells, uint32_t count)
{
	char name[80];
	const struct cw_cell *last = &cells[count - 1];
	name_of(name, sizeof(name), cells);
	snprintf(line, LINE_MAX_BYTES, "%s=%.*s", name, last->type == CW_CELL_TEXT ? (int)last->length : 4,
		 last->type == CW_CELL_TEXT ? last->text : "null");
}

static int hear(void *arg, enum cw_view_op op, uint64_t sequence, const struct cw_cell *cells, uint32_t count)
{
	struct reader *reader = arg;
	assert_int_equal(sequence, reader->sequence + 1);
	reader->sequence = sequence;
	reader->consistent = op == CW_VIEW_SYNC;
	char name[80] = "";
	if (cells)
		name_of(name, sizeof(name), cells);
	int i = cells ? row_of(reader, name) : -1;
	switch (op) {
	case CW_VIEW_RESET:
		reader->resets++;
		reader->count = 0;
		break;
	case CW_VIEW_PUT:
		reader->puts++;
		if (i < 0)
			i = reader->count++;
		assert_true(reader->count <= ROWS_MAX);
		line_of(reader->rows[i], cells, count);
		break;
	case CW_VIEW_REMOVE:
		reader->removes++;
		assert_true(i >= 0); /* nobody is told that a row left who did not know it */
		for (uint32_t k = 2; k < count; k++)
			assert_int_equal(cells[k].type, CW_CELL_NULL);
		memcpy(reader->rows[i], reader->rows[--reader->count], LINE_MAX_BYTES);
		break;
	case CW_VIEW_SYNC:
		reader->syncs++;
		break;
	}
	return reader->pause_every && ++reader->calls % reader->pause_every == 0;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void pull(struct reader *reader)
{
	int status, rounds = 0;
	while ((status = view_next(reader->view, hear, reader)) == CW_LATER)
		assert_true(++rounds < 100000);
	assert_int_equal(status, 0);
	assert_true(reader->consistent);
	qsort(reader->rows, (size_t)reader->count, LINE_MAX_BYTES, compare_lines);
}

struct fixture {
	struct tables *tables;
	struct cw_part *part;
	struct reader reader, truth;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->tables = tables_new(NULL, NULL);
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &f->part), 0);
	f->reader.rows = calloc(ROWS_MAX, LINE_MAX_BYTES);
	f->truth.rows = calloc(ROWS_MAX, LINE_MAX_BYTES);
	wall_time = 1000;
	now_time = 5000 * CW_SECOND;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	view_close(f->reader.view);
	tables_free(f->tables);
	free(f->reader.rows);
	free(f->truth.rows);
	free(f);
	return 0;
}

static const char *const note_only[] = {"note"};

static void open_view(struct fixture *f, struct cw_query_spec spec)
{
	char error[CW_QUERY_ERROR_MAX] = "";
	spec.table = "calls";
	spec.columns = note_only;
	spec.columns_count = 1;
	if (view_open(f->tables, &spec, false, notify, &f->reader, &f->reader.view, error) < 0)
		fail_msg("%s", error);
}

static int remember(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct reader *truth = arg;
	line_of(truth->rows[truth->count++], cells, count);
	return 0;
}

/* The reader knows exactly what a query says. */
static void expect_truth(struct fixture *f, struct cw_query_spec spec)
{
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX];
	spec.table = "calls";
	spec.columns = note_only;
	spec.columns_count = 1;
	f->truth.count = 0;
	assert_int_equal(query_open(f->tables, &spec, false, &query, error), 0);
	while (query_step(query, CW_SECOND, remember, &f->truth) == CW_LATER)
		;
	query_close(query);
	qsort(f->truth.rows, (size_t)f->truth.count, LINE_MAX_BYTES, compare_lines);
	assert_int_equal(f->reader.count, f->truth.count);
	for (int i = 0; i < f->truth.count; i++)
		assert_string_equal(f->reader.rows[i], f->truth.rows[i]);
}

static void view__begins_with_a_reset_and_all_its_rows(void **state)
{
	struct fixture *f = *state;
	put(f->part, "c1", NULL, 0, "one");
	put(f->part, "c2", NULL, 0, "two");
	open_view(f, (struct cw_query_spec){0});
	assert_int_equal(f->reader.notified, 1);
	pull(&f->reader);
	assert_int_equal(f->reader.count, 2);
	assert_string_equal(f->reader.rows[0], "a/c1=one");
	assert_int_equal(f->reader.resets, 1);
	assert_int_equal(f->reader.syncs, 1);
	pull(&f->reader);
	assert_int_equal(f->reader.sequence, 4); /* nothing changed, nothing said */
}

static void view__tells_changes_once_however_many(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->part, "c1", NULL, 0, "one");
	put(f->part, "c2", NULL, 0, "two");
	open_view(f, (struct cw_query_spec){0});
	pull(&f->reader);
	f->reader.puts = 0;
	int notified = f->reader.notified;
	for (int i = 0; i < 50; i++)
		touch(f->part, row, AGE, integer(i));
	touch(f->part, row, NOTE, text("changed"));
	assert_int_equal(f->reader.notified, notified + 1);
	pull(&f->reader);
	assert_int_equal(f->reader.puts, 1);
	assert_string_equal(f->reader.rows[0], "a/c1=changed");
	touch(f->part, row, AGE, integer(49)); /* the same again is no change */
	assert_int_equal(f->reader.notified, notified + 1);
	row_remove(f->part, (uint32_t)row, "ended");
	assert_int_equal(f->reader.notified, notified + 2);
	pull(&f->reader);
	assert_int_equal(f->reader.removes, 1);
	assert_int_equal(f->reader.resets, 1);
	assert_int_equal(f->reader.count, 1);
}

static void view__a_reused_number_is_another_row(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->part, "c1", NULL, 0, "one");
	open_view(f, (struct cw_query_spec){0});
	pull(&f->reader);
	row_remove(f->part, (uint32_t)row, "ended");
	assert_int_equal(put(f->part, "c2", NULL, 0, "two"), row);
	pull(&f->reader);
	assert_int_equal(f->reader.count, 1);
	assert_string_equal(f->reader.rows[0], "a/c2=two");
	put(f->part, "passing", NULL, 0, "x");
	row_remove(f->part, (uint32_t)find(f->part, "passing"), "ended");
	pull(&f->reader);
	assert_int_equal(f->reader.count, 1);
}

static void view__limit_is_refilled_when_rows_leave(void **state)
{
	struct fixture *f = *state;
	struct cw_query_spec spec = {.sort = "-age", .limit = 5};
	for (int i = 0; i < 100; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%03d", i);
		touch(f->part, put(f->part, id, NULL, 0, id), AGE, integer(i * CW_SECOND));
	}
	open_view(f, spec);
	pull(&f->reader);
	assert_string_equal(f->reader.rows[0], "a/c000=c000");
	for (int i = 0; i < 97; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%03d", i);
		row_remove(f->part, (uint32_t)find(f->part, id), "ended");
		pull(&f->reader);
		expect_truth(f, spec);
	}
	assert_int_equal(f->reader.count, 3);
	assert_int_equal(f->reader.resets, 1);
}

static void view__time_alone_lets_rows_in_and_out(void **state)
{
	struct fixture *f = *state;
	const char *where[] = {"age>60s"};
	struct cw_query_spec spec = {.where = where, .where_count = 1};
	int64_t row = put(f->part, "c1", NULL, 0, "one");
	touch(f->part, row, AGE, integer(now_time));
	open_view(f, spec);
	pull(&f->reader);
	assert_int_equal(f->reader.count, 0);
	now_time += 61 * CW_SECOND;
	pull(&f->reader);
	assert_int_equal(f->reader.count, 1);
	touch(f->part, row, AGE, integer(now_time));
	pull(&f->reader);
	assert_int_equal(f->reader.count, 0);
}

static void view__parts_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct cw_part *b;
	put(f->part, "c1", NULL, 0, "one");
	open_view(f, (struct cw_query_spec){0});
	pull(&f->reader);
	int notified = f->reader.notified;
	assert_int_equal(table_open(f->tables, "b", &calls, NULL, &b), 0);
	assert_int_equal(f->reader.notified, notified + 1);
	put(b, "c1", NULL, 0, "of b");
	pull(&f->reader);
	expect_truth(f, (struct cw_query_spec){0});
	assert_int_equal(f->reader.count, 2);
	touch(b, find(b, "c1"), NOTE, text("changed"));
	pull(&f->reader);
	expect_truth(f, (struct cw_query_spec){0});
	tables_forget(f->tables, "a");
	pull(&f->reader);
	assert_int_equal(f->reader.count, 1);
	assert_string_equal(f->reader.rows[0], "b/c1=changed");
	assert_int_equal(f->reader.resets, 1);
	tables_forget(f->tables, "b");
	pull(&f->reader);
	assert_int_equal(f->reader.count, 0);
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &b), 0);
	put(b, "c9", NULL, 0, "back");
	pull(&f->reader);
	assert_string_equal(f->reader.rows[0], "a/c9=back");
}

static void view__of_one_key(void **state)
{
	struct fixture *f = *state;
	put(f->part, "c1", NULL, 0, "one");
	open_view(f, (struct cw_query_spec){.key = "c2"});
	pull(&f->reader);
	assert_int_equal(f->reader.count, 0);
	put(f->part, "c2", NULL, 0, "two");
	put(f->part, "c3", NULL, 0, "three");
	pull(&f->reader);
	assert_int_equal(f->reader.count, 1);
	assert_string_equal(f->reader.rows[0], "a/c2=two");
}

static struct cw_part *late_part;

static int write_late(void *arg, enum cw_view_op op, uint64_t sequence, const struct cw_cell *cells, uint32_t count)
{
	int status = hear(arg, op, sequence, cells, count);
	if (op == CW_VIEW_SYNC && late_part)
		put(late_part, "late", NULL, 0, "late");
	late_part = op == CW_VIEW_SYNC ? NULL : late_part;
	return status;
}

/* Between the last look and going to sleep nobody is woken: the view must look again by itself. */
static void view__a_change_just_before_it_waits_is_not_lost(void **state)
{
	struct fixture *f = *state;
	late_part = f->part;
	open_view(f, (struct cw_query_spec){0});
	int status, rounds = 0;
	while ((status = view_next(f->reader.view, write_late, &f->reader)) == CW_LATER)
		assert_true(++rounds < 100);
	assert_int_equal(f->reader.count, 1);
}

static void view__is_refused_with_a_sentence(void **state)
{
	struct fixture *f = *state;
	char error[CW_QUERY_ERROR_MAX] = "";
	struct cw_query_spec spec = {.table = "calls", .sort = "nothing"};
	assert_int_equal(view_open(f->tables, &spec, false, notify, &f->reader, &f->reader.view, error), -EINVAL);
	assert_non_null(strstr(error, "nothing"));
	assert_int_equal(f->reader.notified, 0);
}

/* ---- against queries, over random changes ---- */

static void random_change(struct cw_part *part)
{
	char id[16], note[16];
	snprintf(id, sizeof(id), "k%u", below(300));
	snprintf(note, sizeof(note), "%u", below(1000));
	int64_t row = find(part, id);
	switch (below(8)) {
	case 0:
	case 1:
		put(part, id, NULL, (int64_t)below(4) - 1, note);
		break;
	case 2:
		if (row >= 0)
			row_remove(part, (uint32_t)row, "ended");
		break;
	default:
		if (row >= 0)
			touch(part, row, below(2) ? AGE : REAL, integer((int64_t)below(50)));
		break;
	}
}

/* The instance is removed, and comes back without rows. */
static void forget_and_return(struct fixture *f)
{
	tables_forget(f->tables, "a");
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &f->part), 0);
}

static void property__reader_knows_what_a_query_says(void **state)
{
	struct fixture *f = *state;
	static const char *const wheres[] = {"health=stale", "note=~^[1-4]", "age<5000s", "health!=healthy"};
	static const char *const sorts[] = {NULL, "age", "-real", "note", ""};
	for (uint64_t seed = 0; seed < 60; seed++) {
		random_state = seed;
		struct cw_query_spec spec = {.sort = sorts[below(5)], .limit = seed % 3 ? 3 + below(20) : 500};
		spec.where = &wheres[below(4)];
		spec.where_count = below(2);
		if (!spec.sort && spec.limit < 500)
			spec.sort = ""; /* any order: then which rows is not said */
		f->reader = (struct reader){.rows = f->reader.rows, .pause_every = (int)below(4)};
		open_view(f, spec);
		for (int round = 0; round < 60; round++) {
			for (uint32_t n = below(40); n > 0; n--)
				random_change(f->part);
			if (below(4) == 0) /* half way through */
				view_next(f->reader.view, hear, &f->reader);
			if (below(12) == 0)
				forget_and_return(f);
			if (below(4) == 0)
				random_change(f->part);
			pull(&f->reader);
			expect_truth(f, spec);
		}
		assert_int_equal(f->reader.resets, 1);
		view_close(f->reader.view);
		f->reader.view = NULL;
	}
}

/* ---- while others write ---- */

struct writer {
	struct cw_part *part;
	atomic_bool *stop;
	unsigned number;
};

static void *write_on(void *arg)
{
	const struct writer *writer = arg;
	for (unsigned n = 0; !atomic_load(writer->stop) || n < 2000; n++) {
		char id[32], note[16];
		snprintf(id, sizeof(id), "w%u-%u", writer->number, n * 31 % 400);
		snprintf(note, sizeof(note), "%u", n);
		int64_t row = put(writer->part, id, NULL, n % 3, note);
		touch(writer->part, row, AGE, integer(n % 777));
		if (n % 5 == 0)
			row_remove(writer->part, (uint32_t)row, "ended");
	}
	return NULL;
}

static void threads__reader_ends_up_with_the_truth(void **state)
{
	struct fixture *f = *state;
	struct cw_query_spec spec = {.sort = "-age", .limit = 50};
	open_view(f, spec);
	atomic_bool stop = false;
	pthread_t threads[2];
	struct writer writers[2];
	for (unsigned i = 0; i < 2; i++) {
		writers[i] = (struct writer){f->part, &stop, i};
		assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
	}
	for (int i = 0; i < 300; i++)
		view_next(f->reader.view, hear, &f->reader);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pull(&f->reader);
	expect_truth(f, spec);
	assert_int_equal(f->reader.resets, 1);
}

/* Its rows and their memory go while some write and one reads. */
static void threads__a_part_may_be_forgotten_any_time(void **state)
{
	struct fixture *f = *state;
	struct cw_query_spec spec = {.sort = "-age", .limit = 50};
	open_view(f, spec);
	atomic_bool stop = false;
	pthread_t threads[2];
	struct writer writers[2];
	for (unsigned i = 0; i < 2; i++) {
		writers[i] = (struct writer){f->part, &stop, i};
		assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
	}
	for (int i = 0; i < 300; i++) {
		view_next(f->reader.view, hear, &f->reader);
		if (i % 7 == 0)
			forget_and_return(f);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pull(&f->reader);
	expect_truth(f, spec);
	assert_int_equal(f->reader.resets, 1);
}

/* No change is lost between the last look and going to sleep: the reader pulls only when it is notified. */
static void threads__no_wake_is_lost(void **state)
{
	struct fixture *f = *state;
	open_view(f, (struct cw_query_spec){0});
	atomic_bool stop = true; /* 2000 changes, then the end */
	struct writer writer = {f->part, &stop, 7};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
	for (int i = 0; i < 200000 && f->reader.notified < 1000; i++)
		if (atomic_exchange(&f->reader.notified, 0) > 0)
			pull(&f->reader);
	pthread_join(thread, NULL);
	if (atomic_exchange(&f->reader.notified, 0) > 0)
		pull(&f->reader);
	qsort(f->reader.rows, (size_t)f->reader.count, LINE_MAX_BYTES, compare_lines);
	expect_truth(f, (struct cw_query_spec){0});
}

int main(void)
{
	clock_set_source(&fake_clock);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(view__begins_with_a_reset_and_all_its_rows),
		TEST(view__tells_changes_once_however_many),
		TEST(view__a_reused_number_is_another_row),
		TEST(view__limit_is_refilled_when_rows_leave),
		TEST(view__time_alone_lets_rows_in_and_out),
		TEST(view__parts_come_and_go),
		TEST(view__of_one_key),
		TEST(view__a_change_just_before_it_waits_is_not_lost),
		TEST(view__is_refused_with_a_sentence),
		TEST(property__reader_knows_what_a_query_says),
		TEST(threads__reader_ends_up_with_the_truth),
		TEST(threads__a_part_may_be_forgotten_any_time),
		TEST(threads__no_wake_is_lost),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
