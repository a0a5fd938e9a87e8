/* SPDX-License-Identifier: MIT
 *
 * What a query or a view asks for, checked and bound to a table: which columns are shown, which rows are meant, in
 * which order. Private to core/table/query.c and view.c.
 *
 * Its *fields* are the columns shown (`instance` first, then the key, then the rest) and after them those that only a
 * condition or the order looks at. Each part has its own column for a field, or none: then the cell is not known.
 *
 * The order is total, so that a cursor can stand between any two rows: by the sort column (not known comes last in both
 * directions), then instance, then key. Of texts the first ORDER_BYTES bytes count; keys that agree so far go by their
 * keyed hash.
 */
#ifndef CALLWATCH_CORE_SELECTION_H
#define CALLWATCH_CORE_SELECTION_H

#include "expr.h"
#include "part.h"

enum { FIELD_INSTANCE = 0, ORDER_BYTES = 96 };
enum mask { MASK_NONE, MASK_PHONE, MASK_FREE_TEXT };

struct filter {
	uint32_t field;
	struct expr *expr;
	char last_four[5]; /* of a number: its last four digits; "": the expression decides */
	bool slow;         /* decided on a copy, without the lock: a regular expression may take its time */
	bool masked;       /* decided on the text as it is shown, else a viewer could find numbers by guessing */
};

struct selection {
	struct tables *tables;
	struct table *table;
	struct scope scope;
	struct cw_column *fields;
	uint8_t *masks; /* enum mask, per field */
	uint32_t fields_count, shown;
	uint32_t key_field; /* 1; or FIELD_INSTANCE where rows are named by an instance, as in table `instances` */
	int16_t *sources;   /* the part's column for a field: sources[part * fields_count + field]; -1: none */
	char *key;          /* only the row with this key; NULL: all */
	struct filter *filters;
	uint32_t filters_count;
	bool slow;    /* some filter is */
	bool timed;   /* rows may come to match, or cease to, by time alone */
	int32_t sort; /* field, -1: any order */
	bool descending;
};

/* 0; -ENOENT, -EINVAL, -ENOMEM with a sentence. Release it in every case. */
int selection_init(struct selection *selection, struct tables *tables, const struct cw_query_spec *spec,
		   bool phones_full, char error[CW_QUERY_ERROR_MAX]);
void selection_release(struct selection *selection);
/* The parts of another moment (view.c). 0 or -ENOMEM. */
int selection_refresh(struct selection *selection);

/* A place in the order. */
struct position {
	struct cw_cell value; /* of the sort column as stored; CW_CELL_NULL if there is none */
	const char *instance;
	const char *key;     /* its first ORDER_BYTES bytes */
	uint32_t key_length; /* in full */
	uint64_t key_hash;   /* of keys longer than ORDER_BYTES */
};

int selection_compare(const struct selection *selection, const struct position *a, const struct position *b);

/* The lock of the part is held for these; texts are borrowed from the row. */
void selection_cell(const struct selection *selection, uint32_t part, const struct row *row, uint32_t field,
		    int64_t now, struct cw_cell *ret_cell);
void selection_position(const struct selection *selection, uint32_t part, const struct row *row,
			struct position *ret_position);
bool selection_quick(const struct selection *selection, uint32_t part, const struct row *row, int64_t now);

/* The slow filters, on the cells of all fields. `scratch` is for masked texts. */
struct scratch {
	char *bytes;
	size_t room;
};
bool selection_slow(const struct selection *selection, const struct cw_cell *cells, struct scratch *scratch);
/* The shown cells as everybody may see them, into `shown`; texts borrowed from cells or scratch. 0 or -ENOMEM. */
int selection_mask(const struct selection *selection, const struct cw_cell *cells, struct cw_cell *shown,
		   struct scratch *scratch);

#endif
