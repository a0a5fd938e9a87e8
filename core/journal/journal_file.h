/* SPDX-License-Identifier: MIT
 *
 * A database as a file: opened, looked through, brought to the schema of this version; or set aside. Shared by the
 * journal (journal.db) and the history (history.db), each of which is a *kind*. Private to the core.
 *
 * `user_version` is the number of the schema. An older one is brought forward, one of a newer callwatch is left alone:
 * then the file cannot be used. A file that is damaged, is no database or no regular file is renamed to
 * NAME.corrupt-DATE, with its -wal and -shm, and a new one is begun; where
 * the kind says so, what can be read of the old one goes into it (salvage.h).
 */
#ifndef CALLWATCH_CORE_JOURNAL_FILE_H
#define CALLWATCH_CORE_JOURNAL_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;

enum { JOURNAL_WHY_MAX = 1024 };

struct journal_kind {
	const char *name; /* of the file */
	/* Entry i leads from schema i to i + 1. One that was released is never changed. */
	const char *const *steps;
	int steps_count;
	bool salvaged;       /* rows of a damaged file go into the new one */
	bool synced;         /* each transaction is on disk when it is done; else a power cut may cost the last ones */
	uint64_t reserve;    /* bytes of the disk that are left to others: with less it is not written */
	const char *trouble; /* what it means when it cannot be written: the second half of a sentence */
	const char *damage;  /* … when it was begun anew */
};
extern const struct journal_kind journal_db;

/* `look`: look through all of it first, for 2 s at most. 0, or negative: it cannot be used now, and `why` goes on from
 * its name: "is read-only". `notice`: a sentence about a file that was set aside, else "". */
int journal_file_open(const struct journal_kind *kind, const char *folder, bool look, struct sqlite3 **ret_db,
		      char why[JOURNAL_WHY_MAX], char notice[JOURNAL_WHY_MAX]);

#endif
