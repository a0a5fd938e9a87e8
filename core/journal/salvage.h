/* SPDX-License-Identifier: MIT
 *
 * What can still be read of a damaged database goes, row by row, into the one that was begun in its place. Private to
 * core/journal.
 *
 * It knows no table by name: those of the new file are asked for in the old one, with the columns that both have. Each
 * is walked in the order in which it is stored, from its beginning up to where it cannot be read, and from its end back
 * to there; so one damaged page costs the rows on it. What comes out is what SQLite takes for rows: who reads the
 * journal trusts nothing of it anyway.
 */
#ifndef CALLWATCH_CORE_SALVAGE_H
#define CALLWATCH_CORE_SALVAGE_H

#include <stddef.h>
#include <stdint.h>

struct sqlite3;

/* Until the instant (of clock_awake()) at most. How many rows; `words`: of which tables, `3 of alert, 12 of task`, or
 * "". Whatever goes wrong, the new file is whole. */
uint64_t salvage(const char *old_path, struct sqlite3 *db, int64_t deadline, char *words, size_t size);

#endif
