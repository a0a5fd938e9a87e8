/* SPDX-License-Identifier: MIT
 *
 * The one expression grammar: COL=V COL!=V COL~TEXT COL=~RE COL!~RE COL>N >= < <=, units allowed, COL=null. Used by
 * queries, views, outputs' `metrics:`, rules, configuration. Private to the core.
 *
 * Parsed once, then bound to a named column, then evaluated over cells without allocating. Blanks around the operator
 * are fine; a value goes to the end of the text, or stands in "…" where a backslash takes the next character as it is.
 * `~` ignores case (ASCII and simple Latin). Regular expressions: see pattern.h. A choice and a text have no order;
 * `~`,
 * `=~`, `!~` on a choice look at its name. Times are compared as they are shown, in whole milliseconds. Numbers take
 * the units of their column: durations for seconds, sizes for bytes, percent for a ratio. Not known matches only
 * `=null`, and `!=` and `!~` of something known.
 */
#ifndef CALLWATCH_CORE_EXPR_H
#define CALLWATCH_CORE_EXPR_H

#include "callwatch/table.h"

enum expr_op { EXPR_EQ, EXPR_NE, EXPR_CONTAINS, EXPR_MATCH, EXPR_NOT_MATCH, EXPR_GT, EXPR_GE, EXPR_LT, EXPR_LE };

struct expr;

enum { EXPR_ERROR_MAX = 200, EXPR_LENGTH_MAX = 2048 };

/* 0, or -EINVAL with a sentence that says what is wrong and at which character. */
int expr_parse(const char *text, struct expr **ret_expr, char error[EXPR_ERROR_MAX]);
void expr_free(struct expr *expr); /* NULL is fine */
const char *expr_column(const struct expr *expr);
enum expr_op expr_op(const struct expr *expr);
const char *expr_value(const struct expr *expr); /* as written; NULL for null */
/* Fits the value to the column's type (a choice's name to its index, `4h` to a number, RFC 3339 to a time). -EINVAL
 * with a sentence where that cannot be: unknown choice, order on text, and so on. */
int expr_bind(struct expr *expr, const struct cw_column *column, char error[EXPR_ERROR_MAX]);
/* A number as it may stand in an expression about this column: `4h`, `64KiB`, `5%`. 0, or -EINVAL and a sentence. */
int expr_number(const struct cw_column *column, const char *text, double *ret_number, char error[EXPR_ERROR_MAX]);
/* `cell` as it goes out (cw_cell: ages are REAL seconds). Thread-safe on a bound expression. */
bool expr_matches(const struct expr *expr, const struct cw_cell *cell);

#endif
