/* SPDX-License-Identifier: MIT
 *
 * An entry of the journal as a list of statements with their values: all that it writes is copied when it is made, so
 * that whoever posts it need not know how it is written. Private to core/journal.
 */
#ifndef CALLWATCH_CORE_JOURNAL_LINES_H
#define CALLWATCH_CORE_JOURNAL_LINES_H

#include "journal.h"

typedef void (*journal_told)(void *arg, bool on_disk);

struct journal_lines;

struct journal_lines *journal_lines_new(void);        /* NULL: no memory */
void journal_lines_free(struct journal_lines *lines); /* NULL is fine; one that was not posted */
/* One more statement, which gives no rows; `sql` is borrowed for good. `types` has a letter for each value that
 * follows: `t` a text or NULL, `i` an int64_t, `d` a double (NaN becomes null). A list that is NULL, or has run out of
 * memory, takes it and remembers. */
void journal_lines_add(struct journal_lines *lines, const char *sql, const char *types, ...);
/* Hands it over, whole or not at all: 0, -ENOMEM, or as journal_post(). told() (NULL: nobody wants to know) is called
 * once if it returns 0; at once, with false, if there is no journal. */
int journal_lines_post(struct journal *journal, struct journal_lines *lines, journal_told told, void *arg);

#endif
