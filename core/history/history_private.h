/* SPDX-License-Identifier: MIT
 *
 * What the files of the history share: history.c (its life, what is posted), history_write.c (entries, on the thread
 * that writes), history_shapes.c (the columns of logged rows), history_read.c (questions, on the thread that reads).
 * Private to them.
 *
 * Two threads, because a question may take seconds: the one that writes is a journal's (core/journal), the other has a
 * connection of its own, and every 10 s posts a tick, by which the first one notes that it lives and forgets what is
 * old.
 *
 * What the row log knows. A row of a table is logged from one change of its watched columns to the next, as an interval
 * [began, ended). Other columns may change in between without a trace; so when an interval ends, what the row was just
 * then is held against what it was when it began: what was not known and is now is filled in, what differs is made
 * unknown. A *life* is a time in which everything was logged: from the start of the process to its end, and a new one
 * after something could not be taken.
 */
#ifndef CALLWATCH_CORE_HISTORY_PRIVATE_H
#define CALLWATCH_CORE_HISTORY_PRIVATE_H

#include "history.h"
#include "journal.h"
#include "journal_file.h"
#include "mailbox.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <uv.h>

enum history_statement {
	PUT_EVENT,
	PUT_EVENT_ANYWHERE, /* its id is taken */
	FIND_OPEN,
	BEGIN_ROW,
	END_ROW,
	FIND_SHAPE,
	ADD_SHAPE,
	ADD_COLUMN,
	SEE_LIFE,
	COUNT_PAGES,
	OLDEST_EVENT,
	OLDEST_ROW,
	FORGET_EVENTS,
	FORGET_ROWS,
	SET_REACH,
	STATEMENTS
};

/* A shape that is known by the address of its columns. */
struct known_shape {
	const struct cw_column *columns;
	int64_t id;
};

struct history {
	struct history_options options; /* its folder is owned */
	struct journal *journal;
	_Atomic uint32_t tables_open; /* questions for a table as it was, each of which holds all of it */

	/* any thread */
	_Atomic uint64_t dropped;
	_Atomic bool gap; /* something was not taken: what the row log knows is not whole any more */
	_Atomic bool ticking;
	_Atomic int64_t life; /* of this process, written by the writing thread; 0: none yet */

	/* the writing thread's */
	sqlite3_stmt *statements[STATEMENTS];
	struct known_shape *shapes;
	uint32_t shapes_count, shapes_room;
	int64_t began; /* wall: this process */
	uint64_t lost_seen;
	uint32_t since_forgetting;

	/* the reading thread's */
	struct mailbox *box;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards `ended` */
	pthread_cond_t changed;
	bool ended;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t tick;
	struct sqlite3 *reading; /* NULL: not open */
};

extern const struct journal_kind history_db;

/* history_write.c */
void history_attached(void *arg, struct sqlite3 *db);
void history_detaching(void *arg);
int history_post_tick(struct history *history);

/* history_shapes.c */
/* Its id, known or added; negative: SQLite's code, negated. */
int64_t shape_of(struct history *history, const struct row_copy *copy);
void shapes_forget(struct history *history);
/* The cells of a copy as they are logged: numbers masked, instants as wall times. Texts are borrowed from the copy or
 * from *ret_room, which the caller frees. 0 or -ENOMEM. */
int shape_cells(const struct row_copy *copy, bool phones_full, struct cw_cell *cells, char **ret_room);
/* What a row was in an interval, from what it was when that began and when it ended. */
void cells_merge(const struct cw_column *columns, struct cw_cell *cells, const struct cw_cell *later, uint32_t count);

/* A shape as it is in the file; owned, with all texts. */
struct shape {
	int64_t id;
	struct cw_table_decl decl;
	struct cw_column *columns;
};
/* All of a table. 0 or negative; release in every case. */
struct shapes {
	struct shape *list;
	uint32_t count;
};
int shapes_read(struct sqlite3 *db, const char *table, struct shapes *ret_shapes);
const struct shape *shapes_find(const struct shapes *shapes, int64_t id);
void shapes_release(struct shapes *shapes);

/* history_read.c */
void history_close_reading(struct history *history);

#endif
