/* SPDX-License-Identifier: MIT
 *
 * journal.db as a file: opened, looked through, brought to the schema of this version; or set aside. Private to
 * core/journal.
 *
 * `user_version` is the number of the schema. An older one is brought forward, one of a newer callwatch is left alone:
 * then the journal cannot be used. A file that is damaged, is no database or no regular file is renamed to
 * journal.db.corrupt-DATE, with its -wal and -shm, and a new one is begun.
 */
#ifndef CALLWATCH_CORE_JOURNAL_FILE_H
#define CALLWATCH_CORE_JOURNAL_FILE_H

#include <stdbool.h>

struct sqlite3;

enum { JOURNAL_WHY_MAX = 512 };

/* `look`: look through all of it first, for 2 s at most. 0, or negative: it cannot be used now, and `why` goes on from
 * its name: "is read-only". `notice`: a sentence about a file that was set aside, else "". */
int journal_file_open(const char *folder, bool look, struct sqlite3 **ret_db, char why[JOURNAL_WHY_MAX],
		      char notice[JOURNAL_WHY_MAX]);

#endif
