/* SPDX-License-Identifier: MIT
 *
 * The journal: what the agent must still know after a crash or a power cut, in `journal.db` of its state_dir. An actor
 * with its own thread, so that nobody else ever waits for a disk. The history (core/history) writes its own file in the
 * same way: it is a journal of another kind (journal_file.h). Private to the core.
 *
 * Whoever has something to keep posts an *entry*, which knows how to write itself (journal_tasks.h; another kind of
 * entry is another file). All that waits is written in one transaction, and synced once: SQLite with WAL and
 * (but for the history) synchronous=EXTRA. Then each entry's owner is told.
 *
 * What cannot be written (disk full, read-only, locked by somebody for longer than 2 s) is kept in memory, in order, up
 * to 32 MiB, and its owner is told so at once; it is tried again every 5 s, but each second until it was read. A file
 * that is damaged is set aside and begun anew (journal_file.h). The journal says each trouble once when it begins and
 * once when it is over; it never ends the agent.
 */
#ifndef CALLWATCH_CORE_JOURNAL_H
#define CALLWATCH_CORE_JOURNAL_H

#include "mailbox.h"

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;
struct journal;

/* Embedded at the start of what is posted. */
struct journal_entry {
	struct mail mail; /* first; the journal's */
	/* On the journal's thread, inside a transaction: SQLITE_OK or SQLite's code. It may be called again: then what
	 * it wrote before came to nothing, or is there already; so it inserts or replaces. */
	int (*write)(struct journal_entry *entry, struct sqlite3 *db);
	/* Once, on the journal's thread, or on the poster's at the end: is it on disk? It only passes that on. NULL:
	 * nobody wants to know. */
	void (*told)(struct journal_entry *entry, bool on_disk);
	void (*free)(struct journal_entry *entry);
	size_t bytes;  /* of memory, about */
	bool was_told; /* the journal's */
};

struct journal_options {
	const struct journal_kind *kind; /* NULL: journal_db */
	const char *folder;              /* copied */
	size_t bytes_max;                /* that may wait to be written; 0: 32 MiB */
	/* On the journal's thread: what an earlier life left, once, as soon as the file can be opened and before
	 * anything is written. If it cannot be opened at the start it is called with NULL first, so that nobody has to
	 * wait for what may come late. */
	void (*opened)(void *arg, struct sqlite3 *db);
	/* On the journal's thread: whenever the file was opened, before it is written, in no transaction; and before it
	 * is closed, when statements are finalized. May be NULL. */
	void (*attached)(void *arg, struct sqlite3 *db);
	void (*detaching)(void *arg);
	/* A trouble, or its end, as a sentence; any thread. */
	void (*said)(void *arg, const char *text);
	/* On the journal's thread, may be NULL: it can be written again, or is another file: what is to be in it is
	 * posted once more, for some of it was lost. */
	void (*restored)(void *arg);
	void *arg;
};

struct journal *journal_new(const struct journal_options *options); /* NULL: no memory */
int journal_start(struct journal *journal);
/* Writes what waits and ends, at most until the instant; else its thread is left behind. */
void journal_stop(struct journal *journal, int64_t deadline);
/* Its thread was left behind: it may still come back to all that it was given. */
bool journal_was_left(const struct journal *journal);
void journal_free(struct journal *journal); /* NULL is fine; not one that was left */

/* Any thread, waits for nobody. 0: handed over. -ENOBUFS, -EPIPE: counted as lost, and still the caller's. */
int journal_post(struct journal *journal, struct journal_entry *entry);
uint64_t journal_lost(const struct journal *journal); /* entries, so far; any thread */
/* Any thread: so much waits to be written, a quarter of what may, that what is not urgent is better posted later. */
bool journal_is_filling(const struct journal *journal);

#endif
