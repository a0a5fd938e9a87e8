/* SPDX-License-Identifier: MIT
 *
 * The blast radius of an incident: what its subjects share and the other rows of their table do not. `worker=ai-7: 37
 * of 37; 12 businesses`. Private to core/alerts.
 *
 * Counted over all text and choice columns whose values repeat, but for keys, persons' numbers, the columns that the
 * rule itself asks about and those that say in words why (`…reason`): how often a value stands among the subjects, and
 * among all rows. A value is told if at least four in five subjects have it and it is at least one and a half times as
 * common among them as among all rows; at most three, the most telling first, each with how many of the rows that have
 * it are subjects. Then how many different values each column of `summarize_by` has. With fewer than three subjects
 * nothing is told.
 */
#ifndef CALLWATCH_CORE_COMMON_H
#define CALLWATCH_CORE_COMMON_H

#include "alert.h"
#include "table.h"

enum { COMMON_TEXT_MAX = 512 };

/* Of the alerts of one rule that fire; `alerts` is a list by next_in_group. Walks the table in one go, at most 200 ms:
 * a larger table is told from what was seen of it, and says so. "" if there is nothing to say. *ret_rows: how many
 * rows the table has now; 0: not known. */
void common_find(struct tables *tables, const struct rule *rule, const struct alert *alerts, char text[COMMON_TEXT_MAX],
		 uint64_t *ret_rows);

#endif
