/* SPDX-License-Identifier: MIT
 *
 * Tables: what exists right now. A source declares columns and writes rows; the core owns the rows, so they outlive the
 * source, answers queries, keeps live views and tells transitions.
 *
 * A row's key is (instance, the key column); a table is the union of the instances that open it. The column `instance`
 * is the core's and is not declared. A value that is not known is CW_CELL_NULL, never 0 or "".
 *
 * Limits. A text is kept byte for byte, cut at 4096 bytes; a key longer than that is refused. A table has at most 4
 * watched columns. A cell that does not fit its column (a choice that does not exist, a text for a number, a number
 * that is not finite) is kept as not known; a change of the key, of a SINCE column or of none there is, is left out.
 *
 * A row is named by its *row number*: small, dense, the same from put to remove, then reused. A source may keep its own
 * state about a row in an array indexed by it. Rows of an earlier life of the source are found by key like any other.
 */
#ifndef CALLWATCH_TABLE_H
#define CALLWATCH_TABLE_H

#include "types.h"

#include <math.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cw_column_type {
	CW_TEXT = 0, /* bytes, given out as they came; who shows them makes them valid UTF-8 */
	CW_INT = 1,
	CW_REAL = 2,
	CW_BOOL = 3,
	CW_CHOICE = 4, /* one of `choices`, stored as its index */
	CW_TIME = 5,   /* wall time; shown as RFC 3339 UTC with milliseconds */
	CW_AGE = 6,    /* stored as an instant, shown as seconds since it; negative is shown as 0 */
	CW_UNTIL = 7,  /* stored as an instant, shown as seconds until it; may be negative */
	CW_SINCE = 8   /* kept by the core: wall time at which the watched column `of` last changed */
};

enum {
	CW_COLUMN_KEY = 1 << 0,     /* exactly one column, CW_TEXT */
	CW_COLUMN_WATCHED = 1 << 1, /* CW_CHOICE only: its changes are transitions, its values are counted */
	CW_COLUMN_PHONE = 1 << 2,   /* a person's number: masked on every surface */
	CW_COLUMN_REPEATS = 1 << 3, /* CW_TEXT whose values repeat over rows: each is stored once */
	CW_COLUMN_WIDE = 1 << 4     /* shown only when asked for */
};

struct cw_column {
	const char *name;
	enum cw_column_type type;
	uint32_t flags;
	const char *unit;
	const char *help;
	const char *const *choices; /* CW_CHOICE: NULL-terminated */
	const char *of;             /* CW_SINCE: the watched column */
};

struct cw_table_decl {
	const char *name;
	const char *help;
	struct cw_array columns; /* of struct cw_column */
	const char *sort;        /* default order: `-duration_seconds`; NULL: by key */
};

enum cw_cell_type { CW_CELL_NULL = 0, CW_CELL_TEXT = 1, CW_CELL_INTEGER = 2, CW_CELL_REAL = 3 };

/* One value on its way in or out. TIME, AGE, UNTIL, SINCE, CHOICE (index), BOOL and INT are integers on the way in. On
 * the way out AGE and UNTIL are REAL seconds, the rest as they went in. Text is borrowed for the call. */
struct cw_cell {
	enum cw_cell_type type;
	uint32_t length; /* of text, bytes */
	union {
		const char *text; /* need not end with NUL */
		int64_t integer;
		double real;
	};
};

/* Cells by what they hold. Not known is NULL, never an empty text or a number that looks like one. */
static inline struct cw_cell cw_null_cell(void)
{
	struct cw_cell cell = {CW_CELL_NULL, 0, {NULL}};
	return cell;
}

/* NULL is not known; an empty text is one. */
static inline struct cw_cell cw_text_cell(const char *text, size_t length)
{
	struct cw_cell cell = {text ? CW_CELL_TEXT : CW_CELL_NULL, (uint32_t)length, {text}};
	return cell;
}

/* NULL and "" are not known. */
static inline struct cw_cell cw_string_cell(const char *text)
{
	return text && *text ? cw_text_cell(text, strlen(text)) : cw_null_cell();
}

static inline struct cw_cell cw_integer_cell(int64_t integer)
{
	struct cw_cell cell = cw_null_cell();
	cell.type = CW_CELL_INTEGER;
	cell.integer = integer;
	return cell;
}

/* Wall time; 0 is not known. */
static inline struct cw_cell cw_time_cell(int64_t wall)
{
	return wall ? cw_integer_cell(wall) : cw_null_cell();
}

/* NaN and the infinite are not known. */
static inline struct cw_cell cw_real_cell(double real)
{
	struct cw_cell cell = cw_null_cell();
	if (isfinite(real)) {
		cell.type = CW_CELL_REAL;
		cell.real = real;
	}
	return cell;
}

struct cw_change {
	uint32_t column; /* index in the part's columns: declared ones first, then those given to table_open */
	struct cw_cell cell;
};

/* What the rows of one instance cover; every answer carries it. */
struct cw_coverage {
	int64_t from, to; /* wall time: when the oldest and the newest of the rows was confirmed; 0: never */
	bool complete;    /* every object that exists had been seen at least once by `to` */
	double ratio;     /* of the objects known, how many were confirmed within the promised time; NaN: not known */
};

/* Opaque: the rows of one instance in one table. */
struct cw_part;

#ifdef __cplusplus
}
#endif
#endif
