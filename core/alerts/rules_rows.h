/* SPDX-License-Identifier: MIT
 *
 * Table `rules`: which rules there are, what each says, who hears of it, and how it stands. For people who wonder what
 * is watched, and for `callwatch why`. Its rows are in the part of instance `agent`. Private to core/alerts; on the
 * thread `alerts`.
 */
#ifndef CALLWATCH_CORE_RULES_ROWS_H
#define CALLWATCH_CORE_RULES_ROWS_H

#include "engine.h"
#include "table.h"

struct rules_rows;

struct rules_rows *rules_rows_new(struct tables *tables); /* NULL: no memory */
void rules_rows_free(struct rules_rows *rows);            /* NULL is fine */
/* Another ruleset is in force: what its rules say. It is borrowed until the next call. */
void rules_rows_use(struct rules_rows *rows, const struct ruleset *ruleset);
/* How they stand, by the alerts there are now: for when some have changed, once a second at most. Only rows of which
 * something has changed are touched. */
void rules_rows_look(struct rules_rows *rows, struct engine *engine);

extern const struct cw_table_decl rules_decl;

#endif
