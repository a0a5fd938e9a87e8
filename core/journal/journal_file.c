/* SPDX-License-Identifier: MIT
 *
 * See journal_file.h. The file is made here and not by SQLite, so that nobody else may read it, and so that what the
 * system says of it (read-only, full, a link) is known by its name.
 */
#include "journal_file.h"

#include "clock.h"
#include "journal_alerts.h"
#include "journal_tasks.h"
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 2000, LOOK_STEPS = 10000 };
static const int64_t look_ns = 2000000000;

static const char *const steps[] = {journal_tasks_schema, journal_alerts_schema, journal_alerts_written_at};
const struct journal_kind journal_db = {
	.name = "journal.db",
	.steps = steps,
	.steps_count = sizeof steps / sizeof *steps,
	.salvaged = true,
	.synced = true,
	.trouble = "what is done is kept in memory only, and a crash would forget it",
	.damage = "what else it knew is not known any more",
};

enum verdict { FINE, UNUSABLE, DAMAGED };

struct opening {
	const struct journal_kind *kind;
	const char *path;
	char *why; /* JOURNAL_WHY_MAX */
	struct sqlite3 *db;
	int64_t deadline; /* awake: of the look */
};

static enum verdict say(struct opening *opening, enum verdict verdict, const char *why)
{
	snprintf(opening->why, JOURNAL_WHY_MAX, "%s", why);
	return verdict;
}

/* Of a failed call of SQLite. */
static enum verdict judge(struct opening *opening, int code)
{
	char why[JOURNAL_WHY_MAX];
	int primary = code & 0xff;
	if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
		return say(opening, DAMAGED, sqlite3_errmsg(opening->db));
	if (primary == SQLITE_BUSY)
		return say(opening, UNUSABLE, "is kept locked by another program");
	snprintf(why, sizeof why, "cannot be used (%s)", sqlite3_errmsg(opening->db));
	return say(opening, UNUSABLE, why);
}

static enum verdict make_file(struct opening *opening)
{
	int fd = open(opening->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	int error = errno;
	struct stat status;
	if (fd >= 0) {
		bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
		close(fd);
		return is_file ? FINE : say(opening, DAMAGED, "it is not a regular file");
	}
	if (error == EISDIR || error == ELOOP || error == ENXIO)
		return say(opening, DAMAGED, "it is not a regular file");
	if (error == EACCES && lstat(opening->path, &status) == 0)
		return say(opening, DAMAGED, "it may not be read and written");
	char why[JOURNAL_WHY_MAX];
	snprintf(why, sizeof why, "cannot be opened (%s)", strerror(error));
	return say(opening, UNUSABLE, why);
}

static int run(struct opening *opening, const char *sql)
{
	return sqlite3_exec(opening->db, sql, NULL, NULL, NULL);
}

/* The first column of the first row, as a number and as text. */
static int ask(struct opening *opening, const char *sql, int *ret_number, char text[JOURNAL_WHY_MAX])
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(opening->db, sql, -1, &statement, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const unsigned char *value = sqlite3_column_text(statement, 0);
		*ret_number = sqlite3_column_int(statement, 0);
		snprintf(text, JOURNAL_WHY_MAX, "%s", value ? (const char *)value : "");
	}
	int end = sqlite3_finalize(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_OK ? end : code;
}

/* Non-zero ends what SQLite is doing. */
static int is_late(void *arg)
{
	const struct opening *opening = arg;
	return clock_awake() > opening->deadline;
}

/* A file too large to be looked through in time is taken as it is: damage shows when it is met. */
static enum verdict look_through(struct opening *opening)
{
	char text[JOURNAL_WHY_MAX] = "";
	int number;
	opening->deadline = clock_awake() + look_ns;
	sqlite3_progress_handler(opening->db, LOOK_STEPS, is_late, opening);
	int code = ask(opening, "PRAGMA quick_check(1)", &number, text);
	sqlite3_progress_handler(opening->db, 0, NULL, NULL);
	if (code == SQLITE_INTERRUPT)
		return FINE;
	if (code != SQLITE_OK)
		return judge(opening, code);
	return strcmp(text, "ok") == 0 ? FINE : say(opening, DAMAGED, text);
}

static enum verdict bring_forward(struct opening *opening)
{
	char text[JOURNAL_WHY_MAX], sql[64];
	int version = 0, code = ask(opening, "PRAGMA user_version", &version, text);
	if (code == SQLITE_OK && version > opening->kind->steps_count) {
		snprintf(text, sizeof text, "was made by a newer callwatch (schema %d, this one knows %d)", version,
			 opening->kind->steps_count);
		return say(opening, UNUSABLE, text);
	}
	for (; code == SQLITE_OK && version < opening->kind->steps_count; version++) {
		snprintf(sql, sizeof sql, "PRAGMA user_version=%d", version + 1);
		code = run(opening, "BEGIN IMMEDIATE");
		code = code == SQLITE_OK ? run(opening, opening->kind->steps[version]) : code;
		code = code == SQLITE_OK ? run(opening, sql) : code;
		code = code == SQLITE_OK ? run(opening, "COMMIT") : code;
	}
	return code == SQLITE_OK ? FINE : judge(opening, code);
}

static enum verdict open_database(struct opening *opening, bool look)
{
	enum verdict verdict = make_file(opening);
	if (verdict != FINE)
		return verdict;
	int code = sqlite3_open_v2(opening->path, &opening->db,
				   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (!opening->db)
		return say(opening, UNUSABLE, "cannot be opened (out of memory)");
	sqlite3_busy_timeout(opening->db, BUSY_MS);
	if (code == SQLITE_OK)
		/* EXTRA is FULL, and the rollback journal that is there before the WAL is gone for good when it is
		 * removed: found again after a power cut it would undo all that came later */
		code = run(opening, opening->kind->synced ? "PRAGMA synchronous=EXTRA; PRAGMA journal_mode=WAL"
							  : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
	if (code != SQLITE_OK)
		return judge(opening, code);
	if (sqlite3_db_readonly(opening->db, "main"))
		return say(opening, UNUSABLE, "is read-only");
	verdict = look ? look_through(opening) : FINE;
	return verdict == FINE ? bring_forward(opening) : verdict;
}

static enum verdict try_open(struct opening *opening, bool look)
{
	enum verdict verdict = open_database(opening, look);
	if (verdict == FINE)
		return FINE;
	sqlite3_close_v2(opening->db);
	opening->db = NULL;
	return verdict;
}

/* A name that is not taken; the same second may come twice. */
static void name_aside(const char *path, char aside[PATH_MAX])
{
	char date[32];
	time_t now = (time_t)(clock_wall() / 1000000000);
	struct tm parts;
	struct stat status;
	gmtime_r(&now, &parts);
	strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &parts);
	snprintf(aside, PATH_MAX, "%s.corrupt-%s", path, date);
	for (int i = 2; i < 100 && lstat(aside, &status) == 0; i++)
		snprintf(aside, PATH_MAX, "%s.corrupt-%s-%d", path, date, i);
}

/* SQLite finds -wal and -shm by the file's name, so they go with it. */
static int set_aside(const char *path, char aside[PATH_MAX])
{
	static const char *const with[] = {"-wal", "-shm"};
	char from[PATH_MAX], to[PATH_MAX];
	name_aside(path, aside);
	if (rename(path, aside) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
		snprintf(from, sizeof from, "%s%s", path, with[i]);
		snprintf(to, sizeof to, "%s%s", aside, with[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			unlink(from); /* it must not be taken for one of the new file's */
	}
	return 0;
}

/* What was salvaged, as words behind the notice; their length. */
static size_t add_salvaged(struct opening *opening, const char *aside, char *words, size_t size)
{
	char tables[JOURNAL_WHY_MAX / 2];
	uint64_t rows = salvage(aside, opening->db, clock_awake() + look_ns, tables, sizeof tables);
	int length = rows > 0 ? snprintf(words, size, "; salvaged: %s", tables)
			      : snprintf(words, size, "; nothing of it could be salvaged");
	return length > 0 && (size_t)length < size ? (size_t)length : size - 1;
}

static enum verdict begin_anew(struct opening *opening, char notice[JOURNAL_WHY_MAX])
{
	char aside[PATH_MAX], why[JOURNAL_WHY_MAX];
	int rc = set_aside(opening->path, aside);
	if (rc < 0) {
		snprintf(why, sizeof why, "is damaged (%.200s) and cannot be set aside (%s)", opening->why,
			 strerror(-rc));
		return say(opening, UNUSABLE, why);
	}
	snprintf(notice, JOURNAL_WHY_MAX, "%s is damaged (%.200s): it was set aside as %s, and a new one is begun",
		 opening->path, opening->why, strrchr(aside, '/') + 1);
	enum verdict verdict = try_open(opening, /* look */ false);
	size_t used = strlen(notice);
	if (verdict == FINE && opening->kind->salvaged)
		used += add_salvaged(opening, aside, notice + used, JOURNAL_WHY_MAX - used);
	snprintf(notice + used, JOURNAL_WHY_MAX - used, "; %s", opening->kind->damage);
	return verdict;
}

int journal_file_open(const struct journal_kind *kind, const char *folder, bool look, struct sqlite3 **ret_db,
		      char why[JOURNAL_WHY_MAX], char notice[JOURNAL_WHY_MAX])
{
	char path[PATH_MAX];
	struct opening opening = {.kind = kind, .path = path, .why = why};
	*notice = *why = '\0';
	snprintf(path, sizeof path, "%s/%s", folder, kind->name);
	enum verdict verdict = try_open(&opening, look);
	if (verdict == DAMAGED)
		verdict = begin_anew(&opening, notice);
	if (verdict != FINE)
		return -EIO;
	*ret_db = opening.db;
	return 0;
}
