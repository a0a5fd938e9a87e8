/* SPDX-License-Identifier: MIT
 *
 * Queries: what they give, in which order, page by page, masked for whom; refusals; and that a row which is there
 * throughout appears exactly once while others come and go.
 */
#include "table_fixture.h"

#include "part.h"
#include "sorter.h"

#include <pthread.h>
#include <stdatomic.h>

struct fixture {
	struct tables *tables;
	struct cw_part *a, *b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->tables = tables_new(NULL, NULL);
	assert_int_equal(table_open(f->tables, "a", &calls, NULL, &f->a), 0);
	wall_time = 1000;
	now_time = 5000 * CW_SECOND;
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

/* Rows as lines `instance/id`, or with the last column: `instance/id=value`. */
struct got {
	char lines[4096];
	size_t length;
	int rows, pause_after;
	bool values;
};

static size_t cell_text(char *buffer, size_t size, const struct cw_cell *cell)
{
	int n = 0;
	switch (cell->type) {
	case CW_CELL_NULL:
		n = snprintf(buffer, size, "null");
		break;
	case CW_CELL_TEXT:
		n = snprintf(buffer, size, "%.*s", (int)cell->length, cell->text);
		break;
	case CW_CELL_INTEGER:
		n = snprintf(buffer, size, "%lld", (long long)cell->integer);
		break;
	case CW_CELL_REAL:
		n = snprintf(buffer, size, "%g", cell->real);
		break;
	}
	return (size_t)n;
}

static int collect(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct got *got = arg;
	got->rows++;
	if (got->length < sizeof(got->lines) - 200) {
		got->length +=
			(size_t)snprintf(got->lines + got->length, 200, "%s%.*s/%.*s", got->length ? " " : "",
					 (int)cells[0].length, cells[0].text, (int)cells[1].length, cells[1].text);
		if (got->values) {
			got->lines[got->length++] = '=';
			got->length += cell_text(got->lines + got->length, 100, &cells[count - 1]);
		}
	}
	return got->pause_after && got->rows % got->pause_after == 0;
}

static struct cw_query *open_query(struct fixture *f, const struct cw_query_spec *spec)
{
	struct cw_query *query = NULL;
	char error[CW_QUERY_ERROR_MAX] = "";
	int status = query_open(f->tables, spec, false, &query, error);
	if (status < 0)
		print_error("%s\n", error);
	assert_int_equal(status, 0);
	return query;
}

static void finish(struct cw_query *query, struct got *got, struct cw_query_info *info)
{
	int status;
	int steps = 0;
	while ((status = query_step(query, CW_MILLISECOND, collect, got)) == CW_LATER)
		assert_true(++steps < 1000000);
	assert_int_equal(status, 0);
	query_info(query, info);
	query_close(query);
}

static struct cw_query_info run(struct fixture *f, const struct cw_query_spec *spec, struct got *got)
{
	struct cw_query_info info;
	bool values = got->values;
	int pause_after = got->pause_after;
	*got = (struct got){.values = values, .pause_after = pause_after};
	finish(open_query(f, spec), got, &info);
	return info;
}

static void expect_refused(struct fixture *f, const struct cw_query_spec *spec, int code, const char *words)
{
	struct cw_query *query = NULL;
	char error[CW_QUERY_ERROR_MAX] = "";
	assert_int_equal(query_open(f->tables, spec, false, &query, error), code);
	if (!strstr(error, words))
		fail_msg("'%s' does not say '%s'", error, words);
}

/* Ages of 30, 10, 20 s and not known; notes and health vary. */
static void some_rows(struct fixture *f)
{
	static const struct {
		const char *id, *business, *phone, *note;
		int64_t age_s, health;
	} rows[] = {{"c1", "acme", "+14155550132", "call +14155550177 back", 30, 0},
		    {"c2", "bolt", "+14155550199", "plain", 10, 2},
		    {"c3", "acme", "+442071838750", NULL, 20, 0},
		    {"c4", NULL, NULL, "", -1, -1}};
	for (int i = 0; i < 4; i++) {
		struct cw_cell cells[COLUMNS] = {[ID] = text(rows[i].id),
						 [BUSINESS] = text(rows[i].business),
						 [PHONE] = text(rows[i].phone),
						 [NOTE] = text(rows[i].note),
						 [RAW] = text("raw")};
		if (rows[i].age_s >= 0) {
			cells[AGE] = integer(now_time - rows[i].age_s * CW_SECOND);
			cells[DUE] = integer(now_time + (rows[i].age_s - 15) * CW_SECOND);
		}
		if (rows[i].health >= 0)
			cells[HEALTH] = integer(rows[i].health);
		assert_true(row_put(f->a, cells) >= 0);
	}
}

static void all__come_once_with_their_columns(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	struct cw_query_spec spec = {.table = "calls"};
	struct cw_query *query = open_query(f, &spec);
	uint32_t count;
	const struct cw_column *shown = query_columns(query, &count);
	assert_int_equal(count, COLUMNS); /* instance more, the wide one less */
	assert_string_equal(shown[0].name, "instance");
	assert_string_equal(shown[1].name, "id");
	assert_string_equal(shown[count - 1].name, "note");
	struct got got = {0};
	struct cw_query_info info;
	finish(query, &got, &info);
	assert_string_equal(got.lines, "a/c1 a/c2 a/c3 a/c4");
	assert_int_equal(info.total, 4);
	assert_int_equal(info.given, 4);
	assert_string_equal(info.next_cursor, "");
}

static void columns__chosen_ones_follow_instance_and_key(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	const char *names[] = {"raw", "id", "age"};
	struct cw_query_spec spec = {.table = "calls", .columns = names, .columns_count = 3};
	struct got got = {.values = true};
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=30 a/c2=10 a/c3=20 a/c4=null");
	names[2] = "due";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=15 a/c2=-5 a/c3=5 a/c4=null");
	names[2] = "health";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=0 a/c2=2 a/c3=0 a/c4=null");
}

static void age__of_the_future_is_zero(void **state)
{
	struct fixture *f = *state;
	int64_t row = put(f->a, "c", NULL, 0, NULL);
	touch(f->a, row, AGE, integer(now_time + CW_SECOND));
	const char *names[] = {"age"};
	struct got got = {.values = true};
	run(f, &(struct cw_query_spec){.table = "calls", .columns = names, .columns_count = 1}, &got);
	assert_string_equal(got.lines, "a/c=0");
}

static void where__all_must_hold(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	static const struct {
		const char *where[2];
		const char *lines;
	} cases[] = {
		{{"health=healthy"}, "a/c1 a/c3"},
		{{"health=healthy", "age>25s"}, "a/c1"},
		{{"age<25"}, "a/c2 a/c3"},
		{{"health=null"}, "a/c4"},
		{{"business~CM"}, "a/c1 a/c3"},
		{{"business=~^b"}, "a/c2"},
		{{"note=~back$", "health=healthy"}, "a/c1"},
		{{"instance=a", "due<0"}, "a/c2"},
		{{"instance=b"}, ""},
		{{"raw=raw", "note=plain"}, "a/c2"},
		{{"phone~0199"}, "a/c2"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_query_spec spec = {
			.table = "calls", .where = cases[i].where, .where_count = cases[i].where[1] ? 2 : 1};
		struct got got = {0};
		run(f, &spec, &got);
		assert_string_equal(got.lines, cases[i].lines);
		spec.sort = "id";
		run(f, &spec, &got);
		assert_string_equal(got.lines, cases[i].lines);
	}
}

static void sort__nulls_last_and_ties_by_key(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	static const struct {
		const char *sort, *lines;
	} cases[] = {
		{"age", "a/c2 a/c3 a/c1 a/c4"},       {"-age", "a/c1 a/c3 a/c2 a/c4"},
		{"", "a/c1 a/c3 a/c2 a/c4"},          {"due", "a/c2 a/c3 a/c1 a/c4"},
		{"-due", "a/c1 a/c3 a/c2 a/c4"},      {"business", "a/c1 a/c3 a/c2 a/c4"},
		{"-business", "a/c2 a/c1 a/c3 a/c4"}, {"health", "a/c1 a/c3 a/c2 a/c4"},
		{"-health", "a/c2 a/c1 a/c3 a/c4"},   {"-id", "a/c4 a/c3 a/c2 a/c1"},
		{"note", "a/c4 a/c1 a/c2 a/c3"},      {"instance", "a/c1 a/c2 a/c3 a/c4"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_query_spec spec = {.table = "calls", .sort = cases[i].sort};
		struct got got = {0};
		run(f, &spec, &got);
		assert_string_equal(got.lines, cases[i].lines);
		spec.limit = 3; /* another way through the sorter */
		run(f, &spec, &got);
		assert_memory_equal(got.lines, cases[i].lines, 14);
		assert_int_equal(got.rows, 3);
	}
}

static void limit__tells_the_total_and_the_next_page(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	struct cw_query_spec spec = {.table = "calls", .sort = "-age", .limit = 3};
	struct got got = {0};
	struct cw_query_info info = run(f, &spec, &got);
	assert_int_equal(info.total, 4);
	assert_int_equal(info.given, 3);
	assert_true(info.next_cursor[0] != 0);
	char cursor[512];
	memcpy(cursor, info.next_cursor, sizeof(cursor));
	spec.cursor = cursor;
	info = run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c4");
	assert_string_equal(info.next_cursor, "");
	assert_int_equal(info.total, 4);
}

static void union__parts_are_asked_together(void **state)
{
	struct fixture *f = *state;
	const struct cw_column extra[] = {{.name = "worker", .type = CW_TEXT, .unit = "", .help = "w"}};
	const struct cw_array extras = CW_ARRAY(extra);
	assert_int_equal(table_open(f->tables, "b", &calls, &extras, &f->b), 0);
	put(f->b, "c1", NULL, 0, NULL);
	put(f->a, "c1", NULL, 0, NULL);
	put(f->a, "c0", NULL, 0, NULL);
	struct cw_cell cells[COLUMNS + 1] = {[ID] = text("c2"), [COLUMNS] = text("w1")};
	row_put(f->b, cells);
	const char *names[] = {"worker"};
	struct cw_query_spec spec = {.table = "calls", .columns = names, .columns_count = 1};
	struct got got = {.values = true};
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=null a/c0=null b/c1=null b/c2=w1");
	spec.sort = "id";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c0=null a/c1=null b/c1=null b/c2=w1");
	spec.key = "c1";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=null b/c1=null");
	spec.limit = 1;
	struct cw_query_info info = run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=null");
	spec.cursor = info.next_cursor;
	run(f, &spec, &got);
	assert_string_equal(got.lines, "b/c1=null");
	tables_forget(f->tables, "a");
	run(f, &(struct cw_query_spec){.table = "calls", .columns = names, .columns_count = 1}, &got);
	assert_string_equal(got.lines, "b/c1=null b/c2=w1");
	tables_forget(f->tables, "b");
	expect_refused(f, &(struct cw_query_spec){.table = "calls"}, -ENOENT, "no table 'calls'");
}

/* `instances` is written by the agent, about others: its rows are named by their own column `instance`. */
static void table_about_instances__is_named_by_its_own_column(void **state)
{
	struct fixture *f = *state;
	static const struct cw_column about[] = {
		{.name = "instance", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .unit = "", .help = "of whom"},
		{.name = "plugin", .type = CW_TEXT, .unit = "", .help = "its plugin"},
	};
	static const struct cw_table_decl instances = {
		.name = "instances", .help = "instances", .columns = CW_ARRAY(about)};
	struct cw_part *part = NULL;
	struct got got = {.values = true};
	assert_int_equal(table_open(f->tables, "agent", &instances, NULL, &part), 0);
	assert_true(row_put(part, (struct cw_cell[]){text("web"), text("web")}) >= 0);
	assert_true(row_put(part, (struct cw_cell[]){text("calls"), text("redis-calls")}) >= 0);
	run(f, &(struct cw_query_spec){.table = "instances", .sort = ""}, &got);
	assert_string_equal(got.lines, "calls/redis-calls=redis-calls web/web=web");
	run(f, &(struct cw_query_spec){.table = "instances", .key = "calls"}, &got);
	assert_string_equal(got.lines, "calls/redis-calls=redis-calls");
	const char *const where[] = {"instance=web"};
	run(f, &(struct cw_query_spec){.table = "instances", .where = where, .where_count = 1}, &got);
	assert_string_equal(got.lines, "web/web=web");
}

static void pause__goes_on_with_the_next_row(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	struct got got = {.pause_after = 1};
	run(f, &(struct cw_query_spec){.table = "calls"}, &got);
	assert_string_equal(got.lines, "a/c1 a/c2 a/c3 a/c4");
	run(f, &(struct cw_query_spec){.table = "calls", .sort = "-age"}, &got);
	assert_string_equal(got.lines, "a/c1 a/c3 a/c2 a/c4");
}

static void sort__a_number_used_again_is_not_the_row_that_was_scanned(void **state)
{
	struct fixture *f = *state;
	char id[16];
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "c%03d", i);
		touch(f->a, put(f->a, id, NULL, 0, NULL), REAL, integer(i));
	}
	struct cw_query_spec spec = {.table = "calls", .sort = "real"};
	struct cw_query *query = open_query(f, &spec);
	struct got got = {.pause_after = 1};
	while (got.rows == 0)
		assert_int_equal(query_step(query, CW_MILLISECOND, collect, &got), CW_LATER);
	int64_t row = find(f->a, "c290");
	row_remove(f->a, (uint32_t)row, "ended");
	assert_int_equal(put(f->a, "new", NULL, 0, NULL), row);
	row_remove(f->a, (uint32_t)find(f->a, "c291"), "ended");
	struct cw_query_info info;
	finish(query, &got, &info);
	assert_int_equal(got.rows, 298);
	assert_null(strstr(got.lines, "new"));
	assert_null(strstr(got.lines, "c290"));
}

static void whole_tables_in_order__take_a_bounded_part_of_memory(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	struct cw_query_spec all = {.table = "calls", .sort = "id"},
			     few = {.table = "calls", .sort = "id", .limit = 10};
	struct cw_query *query = open_query(f, &all);
	struct got got = {0};
	assert_int_equal(query_step(query, CW_SECOND, collect, &got), 0);
	size_t one = f->tables->sorting_bytes;
	assert_true(one > 0);
	f->tables->sorting_bytes = SORTING_BYTES_MAX;
	struct cw_query *late = open_query(f, &all);
	assert_int_equal(query_step(late, CW_SECOND, collect, &got), -ENOBUFS);
	query_close(late);
	run(f, &few, &got);
	assert_int_equal(got.rows, 4);
	assert_true(f->tables->sorting_bytes == SORTING_BYTES_MAX);
	f->tables->sorting_bytes = one;
	query_close(query);
	assert_true(f->tables->sorting_bytes == 0);
}

static void refused__with_a_sentence(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	const char *where[] = {"ages>3"};
	const char *names[] = {"healt"};
	expect_refused(f, &(struct cw_query_spec){.table = "cals"}, -ENOENT, "no table 'cals'; there is calls");
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .where = where, .where_count = 1}, -EINVAL,
		       "no column 'ages'; did you mean 'age'?");
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .columns = names, .columns_count = 1}, -EINVAL,
		       "'health'");
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .sort = "-nothing"}, -EINVAL,
		       "no column 'nothing'");
	where[0] = "health=ill";
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .where = where, .where_count = 1}, -EINVAL, "ill");
	where[0] = "nonsense";
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .where = where, .where_count = 1}, -EINVAL,
		       "nonsense");
}

static void cursor__malformed_or_of_another_query_is_refused(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	struct cw_query_spec spec = {.table = "calls", .sort = "phone", .limit = 1};
	struct got got = {0};
	struct cw_query_info info = run(f, &spec, &got);
	assert_null(strstr(info.next_cursor, "4155"));
	spec.sort = "-age";
	spec.cursor = info.next_cursor;
	expect_refused(f, &spec, -EINVAL, "cursor");
	spec.sort = "phone";
	info.next_cursor[20] = info.next_cursor[20] == 'A' ? 'B' : 'A';
	expect_refused(f, &spec, -EINVAL, "cursor");
	char longer[1024];
	memset(longer, 'A', sizeof(longer));
	longer[1023] = 0;
	const char *bad[] = {"x", "!!", longer, "../../etc"};
	for (int i = 0; i < 4; i++) {
		spec.cursor = bad[i];
		expect_refused(f, &spec, -EINVAL, "cursor");
	}
}

static void phones__are_masked_unless_revealed(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	const char *names[] = {"phone"};
	struct cw_query_spec spec = {.table = "calls", .columns = names, .columns_count = 1, .key = "c1"};
	struct got got = {.values = true};
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=+1••••••0132");
	names[0] = "note";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=call +1••••••0177 back");
	spec.reveal = true;
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=call +14155550177 back");
	names[0] = "phone";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1=+14155550132");
	spec.reveal = false;
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_info info;
	assert_int_equal(query_open(f->tables, &spec, /* phones_full */ true, &query, error), 0);
	got = (struct got){.values = true};
	finish(query, &got, &info);
	assert_string_equal(got.lines, "a/c1=+14155550132");
}

static void operator__finds_a_number_by_what_its_mask_shows(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	const char *where[] = {"phone=0132"};
	struct cw_query_spec spec = {.table = "calls", .where = where, .where_count = 1, .sort = "id"};
	struct got got = {0};
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1");
	where[0] = "phone~1555";
	run(f, &spec, &got);
	assert_string_equal(got.lines, "a/c1 a/c2");
}

static void viewer__finds_a_number_only_whole_or_by_its_last_four(void **state)
{
	struct fixture *f = *state;
	some_rows(f);
	static const struct {
		const char *where, *lines; /* NULL: refused */
	} cases[] = {{"phone=+14155550132", "a/c1"},
		     {"phone=0199", "a/c2"},
		     {"phone=8750", "a/c3"},
		     {"phone=0000", ""},
		     {"phone~0199", NULL},
		     {"phone=~^.1415", NULL},
		     {"phone!=0199", NULL},
		     {"phone=+0199", NULL},
		     {"phone=199", NULL},
		     {"phone=55501", NULL},
		     {"phone=155550132", ""},
		     {"phone=null", NULL},
		     {"phone!~1", NULL},
		     {"note~+1415555017", ""},
		     {"note~back", "a/c1"},
		     {"note=~[+]1415", ""},
		     {"business=bolt", "a/c2"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_query_spec spec = {
			.table = "calls", .where = &cases[i].where, .where_count = 1, .viewer = true};
		struct got got = {0};
		if (cases[i].lines) {
			run(f, &spec, &got);
			assert_string_equal(got.lines, cases[i].lines);
		} else {
			expect_refused(f, &spec, -EINVAL, "viewer");
		}
	}
	expect_refused(f, &(struct cw_query_spec){.table = "calls", .sort = "-phone", .viewer = true}, -EINVAL,
		       "viewer");
}

struct exact {
	int rows, bytes_cut;
	uint32_t long_key;
	bool hostile_key;
};

static int check_bytes(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct exact *exact = arg;
	exact->rows++;
	exact->bytes_cut += cells[count - 1].length == 4096;
	if (cells[1].length == 5)
		exact->hostile_key = memcmp(cells[1].text, "a\0\xff\xfe!", 5) == 0;
	else
		exact->long_key = cells[1].length;
	return 0;
}

static void hostile__keys_and_texts_come_out_as_they_went_in(void **state)
{
	struct fixture *f = *state;
	char long_text[6000];
	memset(long_text, 'x', sizeof(long_text));
	struct cw_cell cells[COLUMNS] = {[ID] = {.type = CW_CELL_TEXT, .length = 300, .text = long_text},
					 [NOTE] = {.type = CW_CELL_TEXT, .length = 6000, .text = long_text}};
	row_put(f->a, cells);
	cells[ID] = (struct cw_cell){.type = CW_CELL_TEXT, .length = 5, .text = "a\0\xff\xfe!"};
	row_put(f->a, cells);
	const char *names[] = {"note"};
	struct cw_query_spec spec = {.table = "calls", .columns = names, .columns_count = 1, .sort = "note"};
	struct exact exact = {0};
	struct cw_query *query = open_query(f, &spec);
	while (query_step(query, CW_MILLISECOND, check_bytes, &exact) == CW_LATER)
		;
	query_close(query);
	assert_int_equal(exact.rows, 2);
	assert_int_equal(exact.long_key, 300);
	assert_int_equal(exact.bytes_cut, 2);
	assert_true(exact.hostile_key);
}

/* ---- against a naive model, page by page ---- */

struct expected {
	char id[400];
	int64_t value; /* -1: not known */
};

static bool expected_descending;
static int compare_expected(const void *a, const void *b)
{
	const struct expected *l = a, *r = b;
	if (l->value != r->value) {
		if (l->value < 0 || r->value < 0)
			return l->value < 0 ? 1 : -1;
		return (l->value < r->value) != expected_descending ? -1 : 1;
	}
	return strcmp(l->id, r->id);
}

struct seen {
	char (*ids)[400];
	uint32_t count, room;
};

static int see(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)count;
	struct seen *seen = arg;
	assert_true(seen->count < seen->room);
	snprintf(seen->ids[seen->count++], 400, "%.*s", (int)cells[1].length, cells[1].text);
	return 0;
}

/* All pages of a query; -1 rows a page: one query without a limit. */
static void see_all(struct fixture *f, struct cw_query_spec spec, struct seen *seen)
{
	char cursor[512] = "";
	seen->count = 0;
	do {
		spec.cursor = cursor;
		struct cw_query *query = open_query(f, &spec);
		while (query_step(query, CW_MILLISECOND, see, seen) == CW_LATER)
			;
		struct cw_query_info info;
		query_info(query, &info);
		memcpy(cursor, info.next_cursor, sizeof(cursor));
		query_close(query);
	} while (cursor[0]);
}

static void property__pages_equal_a_naive_sort(void **state)
{
	struct fixture *f = *state;
	enum { N = 6000 };
	struct expected *expected = calloc(N, sizeof(*expected));
	struct seen seen = {.ids = calloc(N, 400), .room = N};
	for (uint32_t i = 0; i < N; i++) {
		/* some keys agree in more bytes than the order looks at */
		snprintf(expected[i].id, 400, "%0*u", i % 50 == 0 ? 150 : 5, i % 50 == 0 ? 7 * i : i);
		expected[i].value = (int64_t)below(40) - 1;
		int64_t row = put(f->a, expected[i].id, NULL, 0, NULL);
		if (expected[i].value >= 0) {
			touch(f->a, row, AGE, integer(now_time - expected[i].value * CW_SECOND));
			touch(f->a, row, REAL, integer(expected[i].value));
		}
	}
	static const char *const sorts[] = {"age", "-age", "real", "-real"};
	static const uint64_t limits[] = {0, 700, 5000};
	for (int s = 0; s < 4; s++) {
		expected_descending = sorts[s][0] == '-';
		qsort(expected, N, sizeof(*expected), compare_expected);
		for (int l = 0; l < 3; l++) {
			see_all(f, (struct cw_query_spec){.table = "calls", .sort = sorts[s], .limit = limits[l]},
				&seen);
			assert_int_equal(seen.count, N);
			for (uint32_t i = 0; i < N; i++)
				if (strlen(seen.ids[i]) < 100 && strlen(expected[i].id) < 100)
					assert_string_equal(seen.ids[i], expected[i].id);
		}
	}
	see_all(f, (struct cw_query_spec){.table = "calls", .limit = 7}, &seen); /* any order: each once */
	assert_int_equal(seen.count, N);
	free(expected);
	free(seen.ids);
}

/* ---- while others write ---- */

enum { STAYING = 20000, CHURNERS = 2 };

struct churn {
	struct cw_part *part;
	int number;
	atomic_bool *stop;
	_Atomic uint64_t *done;
};

static void *churn(void *arg)
{
	const struct churn *churn = arg;
	char key[32];
	uint64_t n = 0;
	while (!atomic_load(churn->stop)) {
		snprintf(key, sizeof(key), "churn%d-%d", churn->number, (int)(n % 500));
		int64_t row = put(churn->part, key, key, 0, "x");
		touch(churn->part, row, AGE, integer((int64_t)n));
		if (n % 500 >= 250)
			row_remove(churn->part, (uint32_t)row, "ended");
		snprintf(key, sizeof(key), "stay%05d", (int)(n * 7919 % STAYING));
		put(churn->part, key, n % 2 ? "even" : "uneven", 1, "replaced with a text of another length" + n % 20);
		n++;
		atomic_fetch_add(churn->done, 1);
	}
	return NULL;
}

struct staying {
	uint8_t times[STAYING];
};

static int count_staying(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)count;
	struct staying *staying = arg;
	char id[32];
	snprintf(id, sizeof(id), "%.*s", (int)cells[1].length, cells[1].text);
	if (strncmp(id, "stay", 4) == 0)
		staying->times[atoi(id + 4)]++;
	return 0;
}

static void expect_each_once(struct tables *tables, const char *sort, uint64_t limit)
{
	struct staying *staying = calloc(1, sizeof(*staying));
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX], cursor[512] = "";
	const char *where[] = {"health=warning"};
	do {
		struct cw_query_spec spec = {.table = "calls",
					     .sort = sort,
					     .limit = limit,
					     .cursor = cursor,
					     .where = where,
					     .where_count = 1};
		assert_int_equal(query_open(tables, &spec, false, &query, error), 0);
		while (query_step(query, 200000, count_staying, staying) == CW_LATER)
			;
		struct cw_query_info info;
		query_info(query, &info);
		memcpy(cursor, info.next_cursor, sizeof(cursor));
		query_close(query);
	} while (cursor[0]);
	for (int i = 0; i < STAYING; i++)
		assert_int_equal(staying->times[i], 1);
	free(staying);
}

static void churn__a_row_that_stays_appears_exactly_once(void **state)
{
	(void)state;
	clock_set_source(NULL);
	struct tables *tables = tables_new(NULL, NULL);
	struct cw_part *part;
	assert_int_equal(table_open(tables, "a", &calls, NULL, &part), 0);
	for (int i = 0; i < STAYING; i++) {
		char key[32];
		snprintf(key, sizeof(key), "stay%05d", i);
		put(part, key, "b", 1, "x");
		if (i % 3 == 0) { /* holes to be filled while the queries run */
			snprintf(key, sizeof(key), "hole%d", i);
			put(part, key, NULL, 0, NULL);
		}
	}
	for (int i = 0; i < STAYING; i += 3) {
		char key[32];
		snprintf(key, sizeof(key), "hole%d", i);
		row_remove(part, (uint32_t)find(part, key), "ended");
	}
	atomic_bool stop = false;
	_Atomic uint64_t done = 0;
	pthread_t threads[CHURNERS];
	struct churn churns[CHURNERS];
	for (int i = 0; i < CHURNERS; i++) {
		churns[i] = (struct churn){part, i, &stop, &done};
		assert_int_equal(pthread_create(&threads[i], NULL, churn, &churns[i]), 0);
	}
	static const char *const sorts[] = {NULL, "id", "-since", "business"};
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < (i < 2 ? 2 : 1);
		     k++) /* what changes while it is paged has no place to go on from */
			expect_each_once(tables, sorts[i], k ? 3000 : 0);
	while (atomic_load(&done) < 1000)
		;
	atomic_store(&stop, true);
	for (int i = 0; i < CHURNERS; i++)
		pthread_join(threads[i], NULL);
	tables_free(tables);
	clock_set_source(&fake_clock);
}

int main(void)
{
	clock_set_source(&fake_clock);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all__come_once_with_their_columns),
		TEST(columns__chosen_ones_follow_instance_and_key),
		TEST(age__of_the_future_is_zero),
		TEST(where__all_must_hold),
		TEST(sort__nulls_last_and_ties_by_key),
		TEST(limit__tells_the_total_and_the_next_page),
		TEST(union__parts_are_asked_together),
		TEST(table_about_instances__is_named_by_its_own_column),
		TEST(pause__goes_on_with_the_next_row),
		TEST(sort__a_number_used_again_is_not_the_row_that_was_scanned),
		TEST(whole_tables_in_order__take_a_bounded_part_of_memory),
		TEST(refused__with_a_sentence),
		TEST(cursor__malformed_or_of_another_query_is_refused),
		TEST(phones__are_masked_unless_revealed),
		TEST(operator__finds_a_number_by_what_its_mask_shows),
		TEST(viewer__finds_a_number_only_whole_or_by_its_last_four),
		TEST(hostile__keys_and_texts_come_out_as_they_went_in),
		TEST(property__pages_equal_a_naive_sort),
		cmocka_unit_test(churn__a_row_that_stays_appears_exactly_once),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
