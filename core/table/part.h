/* SPDX-License-Identifier: MIT
 *
 * What tables, parts, queries and views share of each other's insides, and the map of their files:
 *
 *   table.c                     which tables there are, which parts they have, a table as a whole
 *   part.c, part_columns.c      the rows of one instance: put, touch, remove, full generations; its columns
 *   row_copy.c                  a row as it was at a moment, for who wants to keep it
 *   row.c, index.c, dict.c      made of: a packed row, a set of numbers by hash, shared texts
 *   selection.c, scan.c, page.c what is asked for; the walk over it; rows copied out to be looked at without the lock
 *   sorter.c, cursor.c          rows in order; where a page ended
 *   query.c                     a query in slices, of these
 *   view.c, window.c            a live view, of these and of the rows it holds
 *
 * Private to them.
 *
 *   tables ─▶ table "calls" ─▶ part of instance "a" ─▶ chunk ─▶ entry ─▶ row (row.h)
 *                           └▶ part of instance "b"       └ stamps: when a group of 64 rows last changed
 *
 * Entries live in chunks that never move; an entry's index is the row number. A free entry keeps its incarnation, so
 * that who noted (row, incarnation) can tell a reused number from the row it knew.
 *
 * Changes. Each change of a row takes the part's next sequence number and stamps the row's entry and its group with it.
 * A reader remembers the sequence up to which it has looked, walks the groups' stamps and looks at what is newer: it
 * cannot fall behind, and a row that changed a thousand times is looked at once.
 *
 * Locks. `part->lock` guards a part's rows; whoever scans takes it for slices (part_scan_lock … part_scan_unlock) and
 * lets waiting writers go first. `tables->lock` guards the lists of tables, parts and views; it may be held when a
 * part's lock is taken, never the other way round. Parts live until tables_free(), because a plugin's thread that was
 * abandoned may still hold one; a part that was forgotten is `closed`: it takes no more rows, and has no memory for
 * any. Row numbers begin anew when it is opened again; so whoever comes back with one looks whether it is below
 * `entries`.
 */
#ifndef CALLWATCH_CORE_PART_H
#define CALLWATCH_CORE_PART_H

#include "row.h"
#include "table.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	CHUNK_ROWS = 1024,
	GROUP_ROWS = 64,
	WATCHED_MAX = 4, /* watched columns of a table */
	HASH_KEY_BYTES = 16,
	SLICE_ROWS = 64 /* a scanner looks at the clock and at waiting writers after so many rows */
};

#define SLICE_NS CW_MILLISECOND

struct row {
	uint32_t mark; /* generation that last saw it */
	uint8_t bytes[];
};

struct entry {
	uintptr_t row;        /* struct row *, or free: the next free row number + 1, times 2, plus 1 */
	uint32_t incarnation; /* grows with each row that lives here */
	uint32_t changed;     /* sequence of the last change, lowest 32 bits */
};

struct chunk {
	struct entry entries[CHUNK_ROWS];
	uint64_t stamps[CHUNK_ROWS / GROUP_ROWS];
};

struct watched {
	uint32_t column;
	uint64_t *counts; /* rows per choice */
};

struct cw_part {
	struct cw_part *next;
	struct table *table;
	char *instance;
	struct cw_column *columns; /* owned copy, its extra columns' strings too */
	uint32_t columns_count, declared_count;
	struct layout layout;
	uint8_t hash_key[HASH_KEY_BYTES];

	pthread_mutex_t lock;
	atomic_uint waiting;  /* writers that wait for the lock */
	atomic_uint admitted; /* writers that had to wait and got it */
	atomic_bool wake;     /* a view of the table wants to hear of the next change */

	/* Guarded by lock. */
	bool closed;
	bool full; /* a full generation is under way */
	uint32_t generation;
	struct chunk **chunks;
	uint32_t chunks_count, chunks_room;
	uint32_t entries, free; /* entries ever used; first free row number + 1 */
	uint32_t incarnation;   /* where those of new entries begin, */
	uint32_t incarnations;  /* and the highest there is */
	uint64_t rows, sequence;
	struct index index;
	struct dict dict;
	struct watched watched[WATCHED_MAX];
	uint32_t watched_count;
	struct cw_coverage coverage;
	struct cw_cell *cells; /* for one row */
	uint8_t *bytes;        /* for one packed row */
};

struct table {
	struct table *next;
	const struct cw_table_decl *decl; /* of the first instance */
	struct tables *tables;
	struct cw_part *parts;
	struct cw_view *views;
	atomic_uint version; /* grows when parts come or go */
};

struct tables {
	pthread_mutex_t lock;
	struct table *list;
	transition_fn on_transition;
	void *arg;
	atomic_bool keeps_rows;      /* transitions carry copies */
	int64_t frozen_at;           /* instant, 0: time goes on */
	uint8_t cursor_key[32];      /* seals the cursors of this process */
	atomic_size_t sorting_bytes; /* what queries sort at this moment (sorter.h) */
};

/* Part of `instance` with these columns, not yet in its table; NULL: no memory or the columns are no good
 * (*ret_status).
 */
struct cw_part *part_new(struct table *table, const char *instance, const struct cw_table_decl *decl,
			 const struct cw_array *extra, int *ret_status);
void part_free(struct cw_part *part);
/* part_columns.c. 0, -EEXIST (twins), -EINVAL (too many), -ENOMEM: free what was copied all the same. */
int part_copy_columns(struct cw_part *part, const struct cw_table_decl *decl, const struct cw_array *extra);
void part_free_columns(struct cw_part *part);
bool part_has_columns(const struct cw_part *part, const struct cw_table_decl *decl, const struct cw_array *extra);
/* Takes no more rows, removes those it has, and gives their memory back. */
void part_close(struct cw_part *part, const char *why);
/* 0, or -ENOMEM: it is as it was. *ret_was_closed: its rows begin now. */
int part_reopen(struct cw_part *part, bool *ret_was_closed);
bool part_is_closed(struct cw_part *part);
void part_look(struct cw_part *part, struct cw_coverage *ret_coverage, uint64_t *ret_rows);

/* For readers. Between the two the lock is held; part_scan_pause() says that the slice is over: its time is up, or a
 * writer waits. */
void part_scan_lock(struct cw_part *part);
bool part_scan_pause(struct cw_part *part, int64_t slice_end);
void part_scan_unlock(struct cw_part *part);
/* A copy, or NULL: no memory. The lock is held. */
struct row_copy *row_copy_new(const struct cw_part *part, const struct row *row);
/* What ages are counted to. */
int64_t tables_now(const struct tables *tables);
/* Row number or -1. The lock is held. */
int64_t part_find(const struct cw_part *part, const char *key, size_t length);

static inline struct entry *part_entry(const struct cw_part *part, uint32_t row)
{
	return &part->chunks[row / CHUNK_ROWS]->entries[row % CHUNK_ROWS];
}

/* The row, or NULL if its number is free. The lock is held. */
static inline struct row *entry_row(const struct entry *entry)
{
	return entry->row & 1 ? NULL : (struct row *)entry->row; /* NOLINT: tagged */
}

/* Stamp of the group that this row number is in. */
static inline uint64_t part_stamp(const struct cw_part *part, uint32_t row)
{
	return part->chunks[row / CHUNK_ROWS]->stamps[row % CHUNK_ROWS / GROUP_ROWS];
}

/* Has the entry changed after this sequence? May say yes once in 2^31 changes for nothing, never wrongly no. */
static inline bool entry_is_newer(const struct entry *entry, uint64_t than)
{
	return (int32_t)(entry->changed - (uint32_t)than) > 0;
}

/* A table as it is at a moment: its open parts in the order of their instances' names, and the columns of all of them:
 * `instance`, the key, then the others as declared. Where two parts give one name to columns of different types, the
 * first part's column is meant. Texts are borrowed from the parts. */
struct scope {
	struct cw_part **parts;
	uint32_t parts_count;
	struct cw_column *columns;
	uint32_t columns_count;
};

/* 0 or -ENOMEM. */
int scope_init(struct scope *scope, struct table *table);
void scope_release(struct scope *scope);
/* Index in scope->columns, or -1. */
int32_t scope_column(const struct scope *scope, const char *name);
/* Index of the part's column that is meant by this column of the scope, or -1. */
int32_t scope_part_column(const struct cw_part *part, const struct cw_column *column);
/* What the parts cover, taken together: complete if all are; as confirmed as the least confirmed of them; the ratio
 * weighted by rows. Parts without rows that never said anything do not count, unless there is no other. */
struct cw_coverage scope_coverage(const struct scope *scope, uint64_t *ret_rows);
double coverage_age(const struct cw_coverage *coverage);

/* Table with this name, or NULL. */
struct table *tables_find(struct tables *tables, const char *name);

/* view.c: wakes the views of a table that asked for it. No part's lock is held. */
void views_wake(struct table *table);

#endif
