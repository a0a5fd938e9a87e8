/* SPDX-License-Identifier: MIT
 *
 * Cursors: where a page of a query ended, as text that a client keeps and sends back. Private to core/table/query.c.
 *
 * Sealed with a key of this process: what it holds (a sort value may be a person's number, a key a call) is nobody's to
 * read, and only what callwatch wrote is taken back. A cursor belongs to one question (table, conditions, order) and
 * ends with the process.
 */
#ifndef CALLWATCH_CORE_CURSOR_H
#define CALLWATCH_CORE_CURSOR_H

#include "selection.h"

enum { CURSOR_BYTES = 512, QUESTION_BYTES = 16, CURSOR_INSTANCE_BYTES = 64 };

struct cursor {
	uint8_t question[QUESTION_BYTES];
	struct position position; /* of the last row given */
	uint32_t row;             /* queries in any order: the first row number not yet looked at */
	/* What position borrows from: */
	char instance[CURSOR_INSTANCE_BYTES + 1];
	char key[ORDER_BYTES];
	char value[ORDER_BYTES];
};

void cursor_question(const struct cw_query_spec *spec, uint8_t ret_question[QUESTION_BYTES]);
/* `text` has CURSOR_BYTES. */
void cursor_write(const struct tables *tables, const struct cursor *cursor, char *text);
/* 0, or -EINVAL: not written by this process, or for another question. */
int cursor_read(const struct tables *tables, const char *text, const uint8_t question[QUESTION_BYTES],
		struct cursor *ret_cursor);

#endif
