/* SPDX-License-Identifier: MIT
 *
 * The journal on a real disk: what is written is there, what is damaged is set aside, what cannot be written is kept
 * until it can, and nothing of that ends anybody (faults 44 to 48).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "journal_file.h"
#include "journal_lines.h"
#include "journal_tasks.h"
#include "log.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the world ---- */

static char folder[64];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char said[8192];                /* all of it; under the lock */
static _Atomic int on_disk, in_memory; /* what was told of entries */
static uint32_t tasks_read, outcomes_read;
static char read_reason[64], read_key[64];
static _Atomic bool opened;

static int make_folder(void **state)
{
	(void)state;
	log_open(LOG_TEXT, CW_ERROR + 1);
	snprintf(folder, sizeof folder, "/tmp/test_journal.XXXXXX");
	*said = '\0';
	on_disk = in_memory = 0;
	opened = false;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof command, "chmod -R u+w '%s'; rm -rf '%s'", folder, folder);
	return system(command);
}

static const char *in_folder(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

#define WAIT_UNTIL(condition)                                                                                          \
	do {                                                                                                           \
		int64_t give_up = clock_now() + 60 * CW_SECOND;                                                        \
		while (!(condition)) {                                                                                 \
			if (clock_now() > give_up)                                                                     \
				fail_msg("never came true: %s", #condition);                                           \
			nanosleep(&(struct timespec){0, 1000000}, NULL);                                               \
		}                                                                                                      \
	} while (0)

static void on_task(void *arg, const struct journal_task *task)
{
	(void)arg;
	tasks_read++;
	snprintf(read_reason, sizeof read_reason, "%s", task->reason);
}

static void on_outcome(void *arg, const struct journal_outcome *outcome)
{
	(void)arg;
	outcomes_read++;
	snprintf(read_key, sizeof read_key, "%s", outcome->key);
}

static void on_opened(void *arg, struct sqlite3 *db)
{
	struct journal_tasks_reader reader = {on_task, on_outcome, NULL};
	(void)arg;
	tasks_read = outcomes_read = 0;
	if (db) {
		journal_tasks_read(db, 1000, 1000, &reader);
		journal_tasks_fold(db);
	}
	opened = true;
}

static void on_said(void *arg, const char *text)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	size_t length = strlen(said);
	snprintf(said + length, sizeof said - length, "%s\n", text);
	pthread_mutex_unlock(&lock);
}

static bool was_said(const char *text)
{
	pthread_mutex_lock(&lock);
	bool found = strstr(said, text) != NULL;
	pthread_mutex_unlock(&lock);
	return found;
}

static void on_told(void *arg, bool is_on_disk)
{
	(void)arg;
	if (is_on_disk)
		on_disk++;
	else
		in_memory++;
}

static struct journal *begin(void)
{
	struct journal_options options = {.folder = folder, .opened = on_opened, .said = on_said};
	struct journal *journal = journal_new(&options);
	opened = false;
	assert_non_null(journal);
	assert_int_equal(journal_start(journal), 0);
	return journal;
}

static void end(struct journal *journal)
{
	journal_stop(journal, clock_now() + 30 * CW_SECOND);
	journal_free(journal);
}

static void put_task(struct journal *journal, const char *id, enum cw_task_state state, const char *reason)
{
	static const char *const keys[] = {"a", "b", "c"};
	struct journal_task task = {
		.id = id,
		.instance = "work",
		.action = "finish",
		.arguments = "rate=1",
		.by = "me",
		.asked_at = clock_wall(),
		.state = state,
		.total = 3,
		.text = "",
		.reason = reason,
	};
	assert_int_equal(journal_task(journal, &task, keys, 3, on_told, NULL), 0);
}

static void put_outcome(struct journal *journal, const char *id, uint32_t number, const char *key)
{
	struct journal_outcome outcome = {
		.number = number, .outcome = CW_ITEM_DONE, .told_at = clock_wall(), .key = key, .text = ""};
	assert_int_equal(journal_outcomes(journal, id, &outcome, 1), 0);
}

/* How many files there are whose name begins so. */
static int count_files(const char *begins)
{
	int count = 0;
	DIR *stream = opendir(folder);
	assert_non_null(stream);
	for (struct dirent *entry; (entry = readdir(stream));)
		count += strncmp(entry->d_name, begins, strlen(begins)) == 0;
	closedir(stream);
	return count;
}

/* Writes a journal with a task in it, and ends. */
static void write_some(void)
{
	struct journal *journal = begin();
	put_task(journal, "t1", CW_TASK_RUNNING, "");
	put_outcome(journal, "t1", 1, "b");
	end(journal);
	assert_int_equal(on_disk, 1);
}

/* ---- what is written ---- */

static void what_is_written__is_read_by_the_next_life(void **state)
{
	(void)state;
	struct stat status;
	write_some();
	assert_int_equal(stat(in_folder("journal.db"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	struct journal *journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 1);
	assert_int_equal(outcomes_read, 1);
	assert_string_equal(read_key, "b");
	put_task(journal, "t1", CW_TASK_SUCCESS, "all done");
	end(journal);
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 1);
	assert_int_equal(outcomes_read, 1); /* the line was written anew, its rows stay */
	assert_string_equal(read_reason, "all done");
	end(journal);
	assert_string_equal(said, "");
}

static int count_rows(const char *table)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	char *sql = sqlite3_mprintf("SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_open(in_folder("journal.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int count = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	sqlite3_free(sql);
	return count;
}

static void tasks_of_last_season__go_when_another_comes(void **state)
{
	(void)state;
	static const char *const keys[] = {"a", "b"};
	int64_t long_ago = clock_wall() - 91 * 86400 * CW_SECOND;
	struct journal_task old = {.id = "t0",
				   .instance = "work",
				   .action = "finish",
				   .arguments = "",
				   .by = "me",
				   .asked_at = long_ago,
				   .started_at = long_ago,
				   .finished_at = long_ago,
				   .text = "",
				   .reason = ""};
	struct journal *journal = begin();
	WAIT_UNTIL(opened); /* what it finds then is forgotten anyway */
	assert_int_equal(journal_task(journal, &old, keys, 2, on_told, NULL), 0);
	put_task(journal, "t1", CW_TASK_QUEUED, "");
	end(journal);
	assert_int_equal(count_rows("task"), 1);
	assert_int_equal(count_rows("task_row"), 3);
}

static void many_entries__are_all_there(void **state)
{
	(void)state;
	struct journal *journal = begin();
	char id[16];
	for (int i = 0; i < 500; i++) {
		snprintf(id, sizeof id, "t%04d", i);
		put_task(journal, id, CW_TASK_SUCCESS, "");
	}
	end(journal);
	assert_int_equal(on_disk, 500);
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 500);
	end(journal);
}

static void entries_that_take_too_much_memory__are_refused(void **state)
{
	(void)state;
	size_t length = 1024 * 1024;
	char *text = malloc(length + 1);
	memset(text, 'x', length);
	text[length] = '\0';
	struct journal_options options = {.folder = folder, .opened = on_opened, .said = on_said};
	struct journal *journal = journal_new(&options); /* that does not run: nothing is written */
	struct journal_outcome outcome = {.key = text, .text = ""};
	int taken = 0;
	while (taken < 100 && journal_outcomes(journal, "t1", &outcome, 1) == 0)
		taken++;
	assert_in_range(taken, 25, 32);
	free(text);
	journal_free(journal);
}

static void on_restored(void *arg)
{
	++*(_Atomic int *)arg;
}

/* Else what it could not write would be posted again, for ever. */
static void entry_that_cannot_be_written__is_lost_alone_and_nothing_is_asked_for(void **state)
{
	(void)state;
	_Atomic int restored = 0;
	struct journal_options options = {
		.folder = folder, .opened = on_opened, .said = on_said, .restored = on_restored, .arg = &restored};
	struct journal *journal = journal_new(&options);
	struct journal_lines *lines = journal_lines_new();
	assert_int_equal(journal_start(journal), 0);
	journal_lines_add(lines, "INSERT INTO nowhere VALUES(?)", "t", "x");
	assert_int_equal(journal_lines_post(journal, lines, on_told, NULL), 0);
	put_task(journal, "t1", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(on_disk + in_memory == 2);
	put_task(journal, "t2", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(on_disk + in_memory == 3);
	end(journal);
	assert_int_equal(in_memory, 1);
	assert_int_equal(restored, 0);
	assert_false(was_said("is written again"));
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 2);
	end(journal);
}

/* ---- what is damaged ---- */

static void damage(off_t at, const char *bytes, size_t length)
{
	int fd = open(in_folder("journal.db"), O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
}

static void assert_begun_anew(void)
{
	struct journal *journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 0);
	assert_true(was_said("is damaged"));
	assert_true(was_said("was set aside as journal.db.corrupt-"));
	assert_int_equal(count_files("journal.db.corrupt-"), 1);
	put_task(journal, "t2", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(on_disk > 0);
	end(journal);
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 1);
	end(journal);
}

static void fault_47_file_that_is_no_database__is_set_aside(void **state)
{
	(void)state;
	write_some();
	damage(0, "this is no database at all, is it?", 34);
	on_disk = 0;
	assert_begun_anew();
}

static void fault_47_page_with_flipped_bits__is_set_aside(void **state)
{
	(void)state;
	char junk[4096];
	write_some();
	memset(junk, 0xa5, sizeof junk);
	damage(4096, junk, sizeof junk);
	on_disk = 0;
	assert_begun_anew();
}

static void fault_47_folder_in_its_place__is_set_aside(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_folder("journal.db"), 0700), 0);
	assert_begun_anew();
}

static void fault_47_link_in_its_place__is_set_aside(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/null", in_folder("journal.db")), 0);
	assert_begun_anew();
	assert_int_equal(access("/dev/null", W_OK), 0);
}

/* The end of a page of an empty table is nothing that is missed. */
static bool holds_the_task(struct sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	bool found =
		sqlite3_prepare_v2(db, "SELECT 1 FROM task WHERE task_id = 't1'", -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW;
	sqlite3_finalize(statement);
	return found;
}

/* Cut at each 512 bytes: what is left is read, or set aside; never anything else. */
static void fault_47_file_cut_anywhere__never_stops_us(void **state)
{
	(void)state;
	struct stat status;
	write_some();
	assert_int_equal(stat(in_folder("journal.db"), &status), 0);
	char *whole = malloc((size_t)status.st_size);
	int fd = open(in_folder("journal.db"), O_RDONLY);
	assert_int_equal(read(fd, whole, (size_t)status.st_size), status.st_size);
	close(fd);
	for (off_t size = 0; size < status.st_size; size += 512) {
		struct sqlite3 *db = NULL;
		char why[JOURNAL_WHY_MAX], notice[JOURNAL_WHY_MAX];
		fd = open(in_folder("journal.db"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, whole, (size_t)size), size);
		close(fd);
		assert_int_equal(journal_file_open(&journal_db, folder, true, &db, why, notice), 0);
		assert_true(size == 0 ? !*notice : *notice || holds_the_task(db));
		sqlite3_close(db);
		unlink(in_folder("journal.db"));
	}
	free(whole);
}

static void newer_schema__is_left_alone(void **state)
{
	(void)state;
	struct sqlite3 *db = NULL;
	write_some();
	assert_int_equal(sqlite3_open(in_folder("journal.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	struct journal *journal = begin();
	put_task(journal, "t2", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(in_memory == 1);
	assert_true(was_said("made by a newer callwatch (schema 99, this one knows "));
	assert_int_equal(count_files("journal.db.corrupt-"), 0);
	end(journal);
}

/* ---- what cannot be written ---- */

static void fault_48_locked_file__is_waited_for_and_written_later(void **state)
{
	(void)state;
	struct sqlite3 *other = NULL;
	struct journal *journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(sqlite3_open(in_folder("journal.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	put_task(journal, "t1", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(in_memory == 1);
	assert_true(was_said("another program keeps it locked"));
	assert_true(was_said("kept in memory only"));
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	WAIT_UNTIL(was_said("is written again; 0 entries were lost"));
	end(journal);
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 1);
	assert_int_equal(in_memory + on_disk, 1); /* told once */
	end(journal);
}

static void fault_45_folder_that_is_gone__is_said_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(rmdir(folder), 0);
	struct journal *journal = begin();
	put_task(journal, "t1", CW_TASK_SUCCESS, "");
	WAIT_UNTIL(in_memory == 1);
	assert_true(was_said("cannot be opened (No such file or directory)"));
	assert_int_equal(mkdir(folder, 0700), 0);
	WAIT_UNTIL(was_said("is written again"));
	end(journal);
	journal = begin();
	WAIT_UNTIL(opened);
	assert_int_equal(tasks_read, 1);
	end(journal);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(what_is_written__is_read_by_the_next_life),
		TEST(tasks_of_last_season__go_when_another_comes),
		TEST(many_entries__are_all_there),
		TEST(entries_that_take_too_much_memory__are_refused),
		TEST(entry_that_cannot_be_written__is_lost_alone_and_nothing_is_asked_for),
		TEST(fault_47_file_that_is_no_database__is_set_aside),
		TEST(fault_47_page_with_flipped_bits__is_set_aside),
		TEST(fault_47_folder_in_its_place__is_set_aside),
		TEST(fault_47_link_in_its_place__is_set_aside),
		TEST(fault_47_file_cut_anywhere__never_stops_us),
		TEST(newer_schema__is_left_alone),
		TEST(fault_48_locked_file__is_waited_for_and_written_later),
		TEST(fault_45_folder_that_is_gone__is_said_and_nothing_else),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
