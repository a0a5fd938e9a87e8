/* SPDX-License-Identifier: MIT
 *
 * Salvage: what can be read of a damaged journal goes into the new one, whichever page is damaged and wherever the file
 * was cut (fault 47). The whole grid: each page flipped, and cut at each 512 bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "journal_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TASKS = 40, ROWS = 400, PAGE = 4096, CUT = 512 };

static char folder[64];
static char *whole; /* the file as it was */
static size_t whole_size;

static const char *in_folder(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_salvage.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];
	(void)state;
	free(whole);
	whole = NULL;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static struct sqlite3 *open_journal(char notice[JOURNAL_WHY_MAX])
{
	struct sqlite3 *db = NULL;
	char why[JOURNAL_WHY_MAX] = "";
	if (journal_file_open(&journal_db, folder, /* look */ true, &db, why, notice) < 0)
		fail_msg("%s", why);
	return db;
}

static void execute(struct sqlite3 *db, const char *sql)
{
	char *error = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static int64_t ask(struct sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

static void keep_whole(void)
{
	struct stat status;
	int fd = open(in_folder("journal.db"), O_RDONLY);
	assert_int_equal(fstat(fd, &status), 0);
	whole_size = (size_t)status.st_size;
	whole = malloc(whole_size);
	assert_int_equal(read(fd, whole, whole_size), whole_size);
	close(fd);
}

/* Several pages of each table, all of it in the file itself. */
static void write_some(void)
{
	char notice[JOURNAL_WHY_MAX];
	struct sqlite3 *db = open_journal(notice);
	execute(db,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
		"INSERT INTO task SELECT printf('t%04d', i), 'work', 'run', '{}', 'somebody', NULL, x'00', i, i, i, 2, "
		"0, 0, 0, 0, 0, printf('%0300d', i), 'done' FROM n");
	execute(db,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
		"INSERT INTO task_row SELECT printf('t%04d', i % 40), i, printf('key-%0100d', i), 0, 1, 'fine' FROM n");
	execute(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
		    "INSERT INTO delivery SELECT printf('%x', i * 7919 % 61), 'slack', 'r', 'g', 'c', 1, 0, 0, 0, 0, "
		    "0, i, 0, "
		    "0, NULL, NULL, printf('%0300d', i), 0, 0 FROM n");
	execute(db, "PRAGMA wal_checkpoint(TRUNCATE)");
	sqlite3_close(db);
	keep_whole();
}

/* Only this file, as it is to be now. */
static void put_back(const char *bytes, size_t size)
{
	char command[160];
	snprintf(command, sizeof command, "rm -f '%s'/*", folder);
	assert_int_equal(system(command), 0);
	int fd = open(in_folder("journal.db"), O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

struct saved {
	int64_t tasks, rows;
	bool is_set_aside;
	char notice[JOURNAL_WHY_MAX];
};

/* Opened: in time, and whole; and again, without a word. */
static struct saved open_damaged(void)
{
	struct saved saved = {0};
	char again[JOURNAL_WHY_MAX];
	int64_t begun = clock_awake();
	struct sqlite3 *db = open_journal(saved.notice);
	assert_true(clock_awake() - begun < 30 * (int64_t)1000000000);
	saved.is_set_aside = *saved.notice != '\0';
	saved.tasks = ask(db, "SELECT count(*) FROM task");
	saved.rows = ask(db, "SELECT count(*) FROM task_row");
	/* notices are told in the order of their rowids */
	assert_int_equal(ask(db, "SELECT count(*) FROM delivery a JOIN delivery b ON a.rowid < b.rowid "
				 "WHERE a.created_at > b.created_at"),
			 0);
	assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	sqlite3_close(db);
	db = open_journal(again);
	assert_string_equal(again, "");
	sqlite3_close(db);
	return saved;
}

static void a_page_of_rows_that_is_damaged__costs_its_rows_only(void **state)
{
	(void)state;
	write_some();
	size_t salvaged = 0;
	int64_t lost = 0;
	for (size_t at = PAGE; at < whole_size; at += PAGE) {
		char *damaged = malloc(whole_size);
		memcpy(damaged, whole, whole_size);
		memset(damaged + at, 0xa5, PAGE);
		put_back(damaged, whole_size);
		free(damaged);
		struct saved saved = open_damaged();
		if (!saved.is_set_aside)
			continue;
		salvaged += strstr(saved.notice, "salvaged: ") != NULL;
		lost += TASKS + ROWS - saved.tasks - saved.rows;
		/* either table is spared by it, but for a page at the root of one */
		assert_true(saved.tasks == TASKS || saved.rows == ROWS);
	}
	assert_true(salvaged > 5);
	/* each row with its own page, and all of a table with its root: nothing before a page, and nothing behind it */
	assert_true(lost <= 2 * (TASKS + ROWS));
}

static void each_byte_of_a_page_turned__never_stops_us(void **state)
{
	(void)state;
	write_some();
	for (size_t at = 0; at < whole_size; at += PAGE) {
		char *damaged = malloc(whole_size);
		memcpy(damaged, whole, whole_size);
		for (size_t i = 0; i < PAGE; i++)
			damaged[at + i] = (char)~damaged[at + i];
		put_back(damaged, whole_size);
		free(damaged);
		(void)open_damaged();
	}
}

static void cut_anywhere__what_is_left_is_salvaged(void **state)
{
	(void)state;
	write_some();
	int64_t most = 0;
	for (size_t size = 0; size < whole_size; size += CUT) {
		put_back(whole, size);
		struct saved saved = open_damaged();
		if (saved.is_set_aside && saved.tasks + saved.rows > most)
			most = saved.tasks + saved.rows;
	}
	assert_true(most > ROWS / 2);
}

static void rows_of_an_older_schema__are_salvaged_too(void **state)
{
	(void)state;
	write_some();
	struct sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(in_folder("journal.db"), &db), SQLITE_OK);
	execute(db, "ALTER TABLE task RENAME COLUMN reason TO old_reason; ALTER TABLE task ADD COLUMN reason TEXT "
		    "NOT NULL DEFAULT 'x'; ALTER TABLE task_row DROP COLUMN text; PRAGMA journal_mode=DELETE");
	int64_t root =
		ask(db, "SELECT rootpage FROM sqlite_master WHERE type = 'table' ORDER BY rootpage DESC LIMIT 1");
	sqlite3_close(db);
	free(whole);
	keep_whole();
	memset(whole + (size_t)(root - 1) * PAGE, 0xa5, PAGE);
	put_back(whole, whole_size);
	struct saved saved = open_damaged();
	assert_true(saved.is_set_aside);
	assert_int_equal(saved.tasks, TASKS);
	assert_int_equal(saved.rows, ROWS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_page_of_rows_that_is_damaged__costs_its_rows_only),
		TEST(each_byte_of_a_page_turned__never_stops_us),
		TEST(cut_anywhere__what_is_left_is_salvaged),
		TEST(rows_of_an_older_schema__are_salvaged_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
