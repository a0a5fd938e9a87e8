/* SPDX-License-Identifier: MIT
 *
 * Row rules against the tables: what makes a row be looked at, and when all of them are. Private to core/alerts; on the
 * thread `alerts`.
 *
 * Transitions are hints, the table is the truth. A *hint* names a row: it is asked for by its key, with the rule's
 * `where`. A *pass* asks for all rows that match, in slices of a millisecond, and then for each open alert that it did
 * not meet. It is due at the start and after a reload, when hints were lost or are too many (256 of a table), when a
 * source comes to see, at the deadline of the next row that time alone will make match, and after 30 s (5 s if the rule
 * has guards, for these change without a row). Passes take no more than a hundredth of the time; a
 * tenth, if they are asked for.
 */
#ifndef CALLWATCH_CORE_ALERTS_ROWS_H
#define CALLWATCH_CORE_ALERTS_ROWS_H

#include "engine.h"
#include "table.h"

enum { ROWS_HINTS_MAX = 256 };

struct rows;

struct rows_options {
	struct tables *tables;
	struct engine *engine;
	bool phones_full;
	bool is_all_told; /* whatever changes comes as a hint: a pass is due by time only for deadlines and guards */
	struct moment (*now)(void *arg);
	void *arg;
};

struct rows *rows_new(const struct rows_options *options); /* NULL: no memory */
void rows_free(struct rows *rows);                         /* NULL is fine */
/* The engine has it already. 0 or -ENOMEM. */
int rows_use(struct rows *rows, const struct ruleset *ruleset);
/* Whether numbers of persons are masked in what is seen from now on. */
void rows_show_phones(struct rows *rows, bool in_full);
/* Copied; without memory it becomes a pass. */
void rows_hint(struct rows *rows, const char *table, const char *instance, const char *key);
void rows_pass_soon(struct rows *rows, const char *table); /* NULL: of all tables */
/* engine_options.look() */
void rows_look(struct rows *rows, const struct alert *alert);
/* Works for about a millisecond. True: there is more to do at once; else rows_due() says when. */
bool rows_step(struct rows *rows);
int64_t rows_due(const struct rows *rows); /* instant; INT64_MAX: never */

#endif
