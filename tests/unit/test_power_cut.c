/* SPDX-License-Identifier: MIT
 *
 * A power cut (fault 50): all that the journal told was on disk is there afterwards, and the file is whole.
 *
 * A killed process loses nothing of what it wrote, so that does not show whether anything was synced. Here SQLite
 * writes through a file system of our own (a VFS), which remembers each write and each sync, in order. Then, for many
 * moments, the files are made as a disk may have them after a cut just then: what was synced is there; of what was not,
 * some writes are, some are not, and some only in part, 512 bytes at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "journal_file.h"
#include "journal_tasks.h"
#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TASKS = 500, CUTS = 200, FILES = 3, SECTOR = 512, OPS_MAX = 100000 };

/* ---- what is remembered ---- */

enum op_kind { WRITE, TRUNCATE, SYNC, DELETE };

struct op {
	enum op_kind kind;
	int file;
	int64_t at;
	size_t length;
	uint8_t *bytes;
};

static const char *const names[FILES] = {"journal.db", "journal.db-wal", "journal.db-journal"};
static struct op *ops;
static _Atomic uint32_t ops_count;
static uint32_t told_at[TASKS]; /* ops when the task was told to be on disk; 0: it was not */
static _Atomic int told;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int file_of(const char *path)
{
	const char *name = path ? strrchr(path, '/') : NULL;
	for (int i = 0; name && i < FILES; i++)
		if (strcmp(name + 1, names[i]) == 0)
			return i;
	return -1;
}

static void remember(enum op_kind kind, int file, int64_t at, const void *bytes, size_t length)
{
	if (file < 0)
		return;
	pthread_mutex_lock(&lock);
	assert_true(ops_count < OPS_MAX);
	struct op *op = &ops[ops_count];
	*op = (struct op){.kind = kind, .file = file, .at = at, .length = length};
	if (bytes) {
		op->bytes = malloc(length);
		memcpy(op->bytes, bytes, length);
	}
	ops_count++;
	pthread_mutex_unlock(&lock);
}

/* ---- the file system: the system's own, and remembered ---- */

struct watched {
	sqlite3_file base;
	int file;
	sqlite3_file *real; /* behind this one */
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct watched *)file)->real;
}

static int do_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int do_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), bytes, length, at);
}

static int do_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 at)
{
	remember(WRITE, ((struct watched *)file)->file, at, bytes, (size_t)length);
	return real_of(file)->pMethods->xWrite(real_of(file), bytes, length, at);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	remember(TRUNCATE, ((struct watched *)file)->file, size, NULL, 0);
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* Not done: the real disk is not what is tried here. */
static int do_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	remember(SYNC, ((struct watched *)file)->file, 0, NULL, 0);
	return SQLITE_OK;
}

static int do_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int do_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int do_check_lock(sqlite3_file *file, int *is_locked)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is_locked);
}

static int do_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int do_sector(sqlite3_file *file)
{
	(void)file;
	return SECTOR;
}

/* Nothing is promised, above all not that a sector is written whole beside others. */
static int do_traits(sqlite3_file *file)
{
	(void)file;
	return 0;
}

static int do_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret_memory)
{
	return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret_memory);
}

static int do_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void do_barrier(sqlite3_file *file)
{
	real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int do_unmap(sqlite3_file *file, int remove)
{
	return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = do_close,
	.xRead = do_read,
	.xWrite = do_write,
	.xTruncate = do_truncate,
	.xSync = do_sync,
	.xFileSize = do_size,
	.xLock = do_lock,
	.xUnlock = do_unlock,
	.xCheckReservedLock = do_check_lock,
	.xFileControl = do_control,
	.xSectorSize = do_sector,
	.xDeviceCharacteristics = do_traits,
	.xShmMap = do_map,
	.xShmLock = do_shm_lock,
	.xShmBarrier = do_barrier,
	.xShmUnmap = do_unmap,
};

static int do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct watched *watched = (struct watched *)file;
	(void)vfs;
	*watched = (struct watched){.file = file_of(name), .real = (sqlite3_file *)(watched + 1)};
	int code = real_vfs->xOpen(real_vfs, name, watched->real, flags, ret_flags);
	file->pMethods = code == SQLITE_OK ? &methods : NULL;
	return code;
}

static int do_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	(void)vfs;
	remember(DELETE, file_of(name), sync_folder, NULL, 0);
	return real_vfs->xDelete(real_vfs, name, sync_folder);
}

static sqlite3_vfs watching;

static void watch(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	watching = *real_vfs;
	watching.zName = "watching";
	watching.szOsFile += (int)sizeof(struct watched);
	watching.xOpen = do_open;
	watching.xDelete = do_delete;
	watching.pNext = NULL;
	sqlite3_vfs_register(&watching, /* default */ 1);
	ops = calloc(OPS_MAX, sizeof *ops);
}

static void watch_no_more(void)
{
	sqlite3_vfs_register(real_vfs, /* default */ 1);
	sqlite3_vfs_unregister(&watching);
}

/* ---- the journal's life ---- */

static void on_opened(void *arg, struct sqlite3 *db)
{
	(void)arg;
	(void)db;
}

static void on_said(void *arg, const char *text)
{
	(void)arg;
	fail_msg("%s", text);
}

static void on_told(void *arg, bool on_disk)
{
	assert_true(on_disk);
	told_at[(intptr_t)arg] = ops_count;
	told++;
}

static void put_task(struct journal *journal, int number)
{
	char id[16], text[301];
	snprintf(id, sizeof id, "t%04d", number);
	snprintf(text, sizeof text, "%0300d", number);
	struct journal_task task = {.id = id,
				    .instance = "work",
				    .action = "run",
				    .arguments = "{}",
				    .by = "somebody",
				    .asked_at = clock_wall(),
				    .state = CW_TASK_SUCCESS,
				    .text = text,
				    .reason = ""};
	assert_int_equal(journal_task(journal, &task, NULL, 0, on_told, (void *)(intptr_t)number), 0);
	while (told <= number)
		nanosleep(&(struct timespec){0, 50000}, NULL);
}

static void live(const char *folder)
{
	struct journal *journal =
		journal_new(&(struct journal_options){.folder = folder, .opened = on_opened, .said = on_said});
	assert_int_equal(journal_start(journal), 0);
	for (int i = 0; i < TASKS; i++)
		put_task(journal, i);
	journal_stop(journal, clock_now() + 60 * CW_SECOND);
	journal_free(journal);
}

/* ---- after the cut ---- */

struct image {
	uint8_t *bytes;
	size_t size, room;
	bool exists;
};

static uint64_t dice = 4711;

static uint32_t roll(uint32_t sides)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 33) % sides;
}

static void put_bytes(struct image *image, size_t at, const uint8_t *bytes, size_t length)
{
	if (at + length > image->room) {
		image->room = 2 * (at + length);
		image->bytes = realloc(image->bytes, image->room);
	}
	if (at > image->size)
		memset(image->bytes + image->size, 0, at - image->size);
	memcpy(image->bytes + at, bytes, length);
	if (at + length > image->size)
		image->size = at + length;
	image->exists = true;
}

static void apply(struct image *image, const struct op *op)
{
	if (op->kind == WRITE)
		put_bytes(image, (size_t)op->at, op->bytes, op->length);
	else if (op->kind == TRUNCATE && (size_t)op->at < image->size)
		image->size = (size_t)op->at;
	else if (op->kind == DELETE)
		image->exists = (image->size = 0) != 0;
}

/* A write that was under way: each sector of it may have come to the disk or not. */
static void tear(struct image *image, const struct op *op)
{
	for (size_t at = 0; at < op->length; at += SECTOR) {
		size_t length = op->length - at < SECTOR ? op->length - at : SECTOR;
		if (roll(2))
			put_bytes(image, (size_t)op->at + at, op->bytes + at, length);
	}
}

static void apply_unsynced(struct image *image, const struct op *op)
{
	uint32_t fate = roll(3);
	if (op->kind == DELETE ? op->at || fate : fate == 0)
		apply(image, op);
	else if (op->kind == WRITE && fate == 1)
		tear(image, op);
}

static void make_file(const char *folder, int file, uint32_t cut)
{
	struct image image = {0};
	char path[PATH_MAX];
	uint32_t synced = 0;
	for (uint32_t i = 0; i < cut; i++)
		if (ops[i].file == file && ops[i].kind == SYNC)
			synced = i;
	for (uint32_t i = 0; i < cut; i++)
		if (ops[i].file == file && i < synced)
			apply(&image, &ops[i]);
		else if (ops[i].file == file)
			apply_unsynced(&image, &ops[i]);
	snprintf(path, sizeof path, "%s/%s", folder, names[file]);
	if (image.exists || file == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, image.bytes ? image.bytes : (const uint8_t *)"", image.size), image.size);
		close(fd);
	}
	free(image.bytes);
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

/* All that was told before the cut is there; of the one that was under way nobody knows. */
static void look(const char *folder, uint32_t cut)
{
	char why[JOURNAL_WHY_MAX], notice[JOURNAL_WHY_MAX], sql[96];
	struct sqlite3 *db = NULL;
	if (journal_file_open(&journal_db, folder, /* look */ true, &db, why, notice) < 0 || *notice)
		fail_msg("cut after %u: %s%s", cut, why, notice);
	assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	int promised = 0;
	while (promised < TASKS && told_at[promised] <= cut)
		promised++;
	snprintf(sql, sizeof sql, "SELECT count(*) FROM task WHERE task_id < 't%04d'", promised);
	if (ask(db, sql) != promised)
		fail_msg("cut after %u: of %d tasks that were told to be on disk there are %d", cut, promised,
			 (int)ask(db, sql));
	sqlite3_close(db);
}

static void cut_at(uint32_t cut)
{
	char folder[] = "/tmp/test_power_cut.XXXXXX", command[128];
	assert_non_null(mkdtemp(folder));
	for (int file = 0; file < FILES; file++)
		make_file(folder, file, cut);
	look(folder, cut);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
}

static void fault_50_power_cut_at_any_moment__loses_nothing_that_was_told(void **state)
{
	char folder[] = "/tmp/test_power_cut.XXXXXX", command[128];
	(void)state;
	log_open(LOG_TEXT, CW_ERROR + 1);
	assert_non_null(mkdtemp(folder));
	watch();
	live(folder);
	watch_no_more();
	assert_true(ops_count > 3 * TASKS);
	for (int i = 0; i < CUTS; i++)
		cut_at(told_at[0] + roll(ops_count - told_at[0]));
	for (uint32_t cut = 0; cut < told_at[0]; cut++) /* while the file is made */
		cut_at(cut);
	for (uint32_t i = 0; i < ops_count; i++)
		free(ops[i].bytes);
	free(ops);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_50_power_cut_at_any_moment__loses_nothing_that_was_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
