/* SPDX-License-Identifier: MIT
 *
 * The history on a real disk: events in their order, in pages, between bounds; rows as they were; and what is
 * forgotten.
 */
#include "table_fixture.h"

#include "history.h"
#include "log.h"
#include "row_blob.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 2500, ROWS_ASKED = 20000 };

static char folder[64];
static struct tables *tables;
static struct history *history;
static struct cw_part *part;
static _Atomic int woken;
static int64_t base; /* wall: when the first event was */

static void on_said(void *arg, const char *said)
{
	(void)arg;
	fail_msg("%s", said);
}

static void on_transition(void *arg, const struct transition *transition)
{
	(void)arg;
	history_transition(history, transition);
}

static void begin(int64_t most_bytes)
{
	history = history_new(&(struct history_options){
		.folder = folder, .tables = tables, .most_bytes = most_bytes, .said = on_said});
	assert_non_null(history);
	assert_int_equal(history_start(history), 0);
}

static void end(void)
{
	history_stop(history, clock_now() + 30 * CW_SECOND);
	assert_false(history_was_left(history));
	history_free(history);
	history = NULL;
}

static void open_tables(void)
{
	tables = tables_new(on_transition, NULL);
	tables_keep_rows(tables);
	assert_int_equal(table_open(tables, "a", &calls, NULL, &part), 0);
}

static int set_up(void **state)
{
	(void)state;
	log_open(LOG_TEXT, CW_ERROR + 1);
	base = clock_wall() - 3600 * CW_SECOND;
	snprintf(folder, sizeof folder, "/tmp/test_history.XXXXXX");
	open_tables();
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];
	(void)state;
	tables_free(tables);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

/* ---- asking ---- */

struct answer {
	int rc;
	uint32_t count, columns_count;
	const struct cw_column *columns;
	char first[64], last[64]; /* their texts, or keys */
	struct cw_cell cells[COLUMNS + 1];
	char texts[COLUMNS + 1][64];
	struct cw_log_info info;
	char error[256];
};

static void on_ready(void *arg)
{
	(void)arg;
	woken++;
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct answer *answer = arg;
	uint32_t which = count == 9 ? 8 : 1; /* an event's text, a call's id */
	char *place = answer->count++ == 0 ? answer->first : answer->last;
	snprintf(place, sizeof answer->first, "%.*s", (int)cells[which].length, cells[which].text);
	if (answer->count == 1)
		snprintf(answer->last, sizeof answer->last, "%s", answer->first);
	for (uint32_t i = 0; count <= COLUMNS + 1 && i < count; i++) {
		answer->cells[i] = cells[i];
		if (cells[i].type == CW_CELL_TEXT)
			snprintf(answer->texts[i], sizeof answer->texts[i], "%.*s", (int)cells[i].length,
				 cells[i].text);
	}
	return 0;
}

static struct answer ask(const struct cw_log_spec *spec)
{
	struct answer answer = {0};
	struct cw_log *log = NULL;
	int64_t give_up = clock_now() + 60 * CW_SECOND;
	assert_int_equal(history_log_open(history, tables, /* phones_full */ false, spec, on_ready, NULL, NULL, &log),
			 0);
	do {
		const struct cw_column *known = history_log_columns(log, &answer.columns_count);
		answer.columns = known ? known : answer.columns;
		answer.rc = history_log_step(log, CW_MILLISECOND, on_row, &answer);
		if (answer.rc == -EAGAIN)
			nanosleep(&(struct timespec){0, 1000000}, NULL);
	} while ((answer.rc == -EAGAIN || answer.rc == CW_LATER) && clock_now() < give_up);
	history_log_info(log, &answer.info);
	snprintf(answer.error, sizeof answer.error, "%s", history_log_error(log));
	history_log_close(log);
	return answer;
}

/* Until the file knows this many events. */
static void wait_for_events(uint32_t count)
{
	for (int i = 0; i < 10000; i++) {
		struct answer answer = ask(&(struct cw_log_spec){0});
		if (answer.rc == 0 && answer.count >= count)
			return;
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	fail_msg("%u events were never there", count);
}

static void put_events(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		char id[24], words[24], subject[24];
		snprintf(id, sizeof id, "%016u", i + 1);
		snprintf(words, sizeof words, "event %u", i);
		snprintf(subject, sizeof subject, "calls/c%u", i % 10);
		history_event(history, &(struct history_event){.id = id,
							       .kind = "note",
							       .subject = subject,
							       .text = words,
							       .wall = base + CW_SECOND * (int64_t)(i / 10)});
	}
}

/* ---- events ---- */

static void events__come_in_order_over_pages_and_between_bounds(void **state)
{
	(void)state;
	begin(0);
	put_events(0, EVENTS);
	wait_for_events(EVENTS);
	struct answer answer = ask(&(struct cw_log_spec){0});
	assert_int_equal(answer.count, EVENTS);
	assert_string_equal(answer.first, "event 2499");
	assert_string_equal(answer.last, "event 0");
	answer = ask(&(struct cw_log_spec){.oldest_first = true, .query.limit = 1500});
	assert_int_equal(answer.count, 1500);
	assert_string_equal(answer.first, "event 0");
	assert_string_equal(answer.last, "event 1499");
	answer = ask(&(struct cw_log_spec){
		.since = base + 10 * CW_SECOND, .until = base + 20 * CW_SECOND, .oldest_first = true});
	assert_int_equal(answer.count, 100);
	assert_string_equal(answer.first, "event 100");
	assert_string_equal(answer.last, "event 199");
	const char *one[] = {"subject=calls/c3"};
	answer = ask(&(struct cw_log_spec){.query = {.where = one, .where_count = 1}});
	assert_int_equal(answer.count, EVENTS / 10);
	const char *none[] = {"text=event 7", "kind=alert"};
	answer = ask(&(struct cw_log_spec){.query = {.where = none, .where_count = 2}});
	assert_int_equal(answer.count, 0);
	const char *wrong[] = {"colour=red"};
	answer = ask(&(struct cw_log_spec){.query = {.where = wrong, .where_count = 1}});
	assert_int_equal(answer.rc, -EINVAL);
	assert_non_null(strstr(answer.error, "colour"));
	end();
}

static void a_page_that_cannot_be_asked_for__ends_the_answer(void **state)
{
	(void)state;
	struct cw_log *log = NULL;
	struct answer answer = {0};
	uint32_t count;
	begin(0);
	put_events(0, EVENTS);
	wait_for_events(EVENTS);
	assert_int_equal(history_log_open(history, tables, false, &(struct cw_log_spec){0}, on_ready, NULL, NULL, &log),
			 0);
	int64_t give_up = clock_now() + 60 * CW_SECOND;
	while (!history_log_columns(log, &count) && clock_now() < give_up)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	history_stop(history, clock_now() + 30 * CW_SECOND);
	do
		answer.rc = history_log_step(log, CW_SECOND, on_row, &answer);
	while (answer.rc == CW_LATER);
	assert_int_equal(answer.rc, -EIO);
	assert_true(answer.count > 0 && answer.count < EVENTS);
	history_log_close(log);
	history_free(history);
	history = NULL;
}

static void events_with_an_id_that_is_taken__are_kept_all_the_same(void **state)
{
	(void)state;
	begin(0);
	put_events(0, 10);
	put_events(0, 10);
	wait_for_events(20);
	end();
	begin(0);
	assert_int_equal(ask(&(struct cw_log_spec){0}).count, 20);
	end();
}

static void numbers_in_texts__are_masked(void **state)
{
	(void)state;
	begin(0);
	history_event(history, &(struct history_event){
				       .id = "1", .kind = "note", .text = "called +14155550132 twice", .wall = base});
	wait_for_events(1);
	struct answer answer = ask(&(struct cw_log_spec){0});
	assert_null(strstr(answer.first, "415555"));
	assert_non_null(strstr(answer.first, "0132 twice"));
	end();
}

static void old_events__go_when_there_are_too_many_bytes(void **state)
{
	struct stat status;
	char path[PATH_MAX];
	(void)state;
	begin(512 * 1024);
	put_events(0, ROWS_ASKED);
	for (int i = 0; i < 1000; i++) {
		struct answer newest = ask(&(struct cw_log_spec){.query.limit = 1});
		if (strcmp(newest.first, "event 19999") == 0)
			break;
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	struct answer answer = ask(&(struct cw_log_spec){.oldest_first = true});
	assert_in_range(answer.count, 500, ROWS_ASKED / 2);
	assert_string_equal(answer.last, "event 19999");
	assert_true(answer.info.reach > base);
	end();
	snprintf(path, sizeof path, "%s/history.db", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_in_range(status.st_size, 1, 1536 * 1024);
}

/* ---- rows ---- */

static int64_t pause_for_a_while(void)
{
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	int64_t now = clock_wall();
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	return now;
}

/* When the log can answer: what came before is in the file then. */
static struct answer ask_at(int64_t at)
{
	struct answer answer = {0};
	for (int i = 0; i < 2000; i++) {
		answer = ask(&(struct cw_log_spec){.query = {.table = "calls", .sort = "id"}, .at = at});
		if (answer.rc == 0 && answer.count > 0)
			return answer;
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	return answer;
}

static int64_t put_call(const char *id, int64_t health, int64_t since)
{
	struct cw_cell cells[COLUMNS] = {[ID] = text(id),
					 [PHONE] = text("+14155550132"),
					 [AGE] = integer(since),
					 [DUE] = integer(since + 60 * CW_SECOND),
					 [NOTE] = text("as it began"),
					 [HEALTH] = integer(health)};
	return row_put(part, cells);
}

static void a_row__is_as_it_was_and_what_changed_unseen_is_not_known(void **state)
{
	(void)state;
	begin(0);
	int64_t born = clock_now() - 100 * CW_SECOND;
	uint32_t row = (uint32_t)put_call("c1", 0, born);
	int64_t first = pause_for_a_while();
	/* unseen: the name becomes known, the note changes */
	struct cw_change unseen[] = {{.column = BUSINESS, .cell = text("acme")},
				     {.column = NOTE, .cell = text("later")}};
	row_touch(part, row, unseen, 2);
	/* seen: the health changes, and the note with it */
	struct cw_change seen[] = {{.column = NOTE, .cell = text("it is silent")},
				   {.column = HEALTH, .cell = integer(2)}};
	row_touch(part, row, seen, 2);
	int64_t second = pause_for_a_while();
	row_remove(part, row, "ended");
	int64_t third = pause_for_a_while();
	put_call("c2", 1, born);

	struct answer answer = ask_at(second);
	assert_int_equal(answer.rc, 0);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.cells[1 + HEALTH].integer, 2);
	assert_string_equal(answer.texts[1 + NOTE], "it is silent");
	answer = ask_at(first);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.texts[1 + ID], "c1");
	assert_int_equal(answer.cells[1 + HEALTH].integer, 0);
	assert_string_equal(answer.texts[1 + BUSINESS], "acme"); /* not known then, and never anything else */
	assert_int_equal(answer.cells[1 + NOTE].type, CW_CELL_NULL);
	assert_string_equal(answer.texts[1 + PHONE], "+1••••••0132");
	assert_true(fabs(answer.cells[1 + AGE].real - 100) < 1); /* as of then, however late it is now */
	assert_true(fabs(answer.cells[1 + DUE].real + 40) < 1);
	answer = ask(&(struct cw_log_spec){.query = {.table = "calls", .sort = ""}, .at = third});
	assert_int_equal(answer.count, 0);
	const char *stale[] = {"health=stale"};
	answer = ask(&(struct cw_log_spec){.query = {.table = "calls", .where = stale, .where_count = 1}, .at = first});
	assert_int_equal(answer.count, 0);
	end();
}

static void a_row_that_has_not_changed_since__is_held_against_what_it_is_now(void **state)
{
	(void)state;
	begin(0);
	uint32_t row = (uint32_t)put_call("c1", 0, clock_now());
	int64_t then = pause_for_a_while();
	struct cw_change beat = {.column = AGE, .cell = integer(clock_now() + 10 * CW_SECOND)};
	row_touch(part, row, &beat, 1);
	struct answer answer = ask_at(then);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.cells[1 + AGE].type, CW_CELL_NULL); /* it was told again since: not known then */
	assert_string_equal(answer.texts[1 + NOTE], "as it began");
	end();
}

static void tables_as_they_were__are_put_together_for_a_few_at_a_time(void **state)
{
	(void)state;
	enum { FEW = 4 };
	struct cw_log *logs[FEW], *one_more = NULL;
	begin(0);
	struct cw_log_spec spec = {.query = {.table = "calls"}, .at = clock_wall() - CW_SECOND};
	for (int i = 0; i < FEW; i++)
		assert_int_equal(history_log_open(history, tables, false, &spec, on_ready, NULL, NULL, &logs[i]), 0);
	assert_int_equal(history_log_open(history, tables, false, &spec, on_ready, NULL, NULL, &one_more), 0);
	assert_int_equal(history_log_step(one_more, CW_MILLISECOND, on_row, NULL), -EBUSY);
	assert_non_null(strstr(history_log_error(one_more), "again in a moment"));
	history_log_close(one_more);
	for (int i = 0; i < FEW; i++)
		history_log_close(logs[i]);
	struct answer answer = ask(&spec);
	for (int i = 0; i < 1000 && answer.rc == -EBUSY; i++) { /* the reading thread lets go of them */
		nanosleep(&(struct timespec){0, 5000000}, NULL);
		answer = ask(&spec);
	}
	assert_int_not_equal(answer.rc, -EBUSY);
	end();
}

static void a_time_that_nobody_watched__is_refused(void **state)
{
	(void)state;
	begin(0);
	put_call("c1", 0, clock_now());
	int64_t first = pause_for_a_while();
	assert_int_equal(ask_at(first).count, 1);
	end();
	int64_t between = pause_for_a_while();
	tables_free(tables);
	open_tables();
	begin(0);
	put_call("c2", 0, clock_now());
	int64_t later = pause_for_a_while();
	struct answer answer = ask_at(later);
	assert_int_equal(answer.count, 1);
	assert_string_equal(answer.first, "c2"); /* that c1 went nobody saw, but it is not there */
	assert_string_equal(ask_at(first).first, "c1");
	answer = ask(&(struct cw_log_spec){.query = {.table = "calls"}, .at = between});
	assert_int_equal(answer.rc, -ERANGE);
	assert_non_null(strstr(answer.error, "nothing was watched"));
	answer = ask(&(struct cw_log_spec){.query = {.table = "calls"}, .at = 1000 * CW_SECOND});
	assert_int_equal(answer.rc, -ERANGE);
	assert_non_null(strstr(answer.error, "reaches back to"));
	answer = ask(&(struct cw_log_spec){.query = {.table = "nonsense"}, .at = later});
	assert_int_equal(answer.rc, -ENOENT);
	end();
}

/* ---- blobs ---- */

static void a_blob__is_read_as_it_was_written_and_no_other(void **state)
{
	(void)state;
	struct cw_cell cells[] = {{0}, text("a\xff"), integer(-7), {.type = CW_CELL_REAL, .real = 0.5}, text("")};
	cells[4].type = CW_CELL_TEXT;
	enum { COUNT = sizeof cells / sizeof *cells };
	struct cw_cell read[COUNT];
	size_t size = 0;
	uint8_t *blob = row_blob_write(cells, COUNT, &size);
	assert_int_equal(row_blob_read(blob, size, read, COUNT), 0);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(read[i].type, cells[i].type);
	assert_memory_equal(read[1].text, "a\xff", 2);
	assert_int_equal(read[2].integer, -7);
	assert_int_equal(read[4].length, 0);
	assert_int_equal(row_blob_read(blob, size, read, COUNT - 1), -EINVAL); /* more is there */
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(row_blob_read(blob, cut, read, COUNT), -EINVAL);
	blob[2] = 0xff; /* the length of the first text */
	blob[5] = 0xff;
	assert_int_equal(row_blob_read(blob, size, read, COUNT), -EINVAL);
	blob[0] = 'x';
	assert_int_equal(row_blob_read(blob, size, read, COUNT), -EINVAL);
	free(blob);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events__come_in_order_over_pages_and_between_bounds),
		TEST(a_page_that_cannot_be_asked_for__ends_the_answer),
		TEST(events_with_an_id_that_is_taken__are_kept_all_the_same),
		TEST(numbers_in_texts__are_masked),
		TEST(old_events__go_when_there_are_too_many_bytes),
		TEST(a_row__is_as_it_was_and_what_changed_unseen_is_not_known),
		TEST(a_row_that_has_not_changed_since__is_held_against_what_it_is_now),
		TEST(tables_as_they_were__are_put_together_for_a_few_at_a_time),
		TEST(a_time_that_nobody_watched__is_refused),
		cmocka_unit_test(a_blob__is_read_as_it_was_written_and_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
