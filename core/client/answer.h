/* SPDX-License-Identifier: MIT
 *
 * What the server says about its tables, and values as people read them. Answers come from outside: whatever is missing
 * or of the wrong type is treated as not known.
 */
#ifndef CALLWATCH_CLIENT_ANSWER_H
#define CALLWATCH_CLIENT_ANSWER_H

#include "callwatch/table.h"
#include "screen.h"

#include <jansson.h>

/* The words for enum cw_column_type; NULL-terminated. */
extern const char *const column_type_names[];

struct column_info {
	const char *name, *unit, *help; /* never NULL */
	enum cw_column_type type;
	bool watched, phone, key, wide;
	const json_t *choices; /* array or NULL */
};

/* One entry of /api/v1/tables; borrows from its JSON. */
struct table_info {
	const json_t *json;
	const char *name, *help;
	const char *sort; /* "" */
	struct column_info *columns;
	uint32_t columns_count;
};

struct freshness {
	double age_seconds, coverage; /* NaN: not known */
	int64_t confirmed;            /* wall time; 0: never, or not known */
	bool complete, has_source;    /* has_source: anything at all is said about when it was confirmed */
};

/* How values are shown. */
struct manner {
	bool utc;
	bool whole;  /* dates and numbers in full; else today's times come without their date */
	int64_t now; /* wall time, ns */
};

const char *field_text(const json_t *object, const char *key); /* never NULL */
double field_real(const json_t *object, const char *key);      /* NaN: not there */
void table_info_init(struct table_info *info, const json_t *json);
void table_info_release(struct table_info *info);
const struct column_info *table_column(const struct table_info *info, const char *name); /* NULL: no such */
const struct column_info *table_key(const struct table_info *info);                      /* NULL: none */
/* The entry with this name in {"tables": […]}, or NULL. */
const json_t *table_entry(const json_t *tables, const char *name);
/* What an answer says about the rows of this table. */
struct freshness freshness_of(const char *table, const json_t *answer);
/* The agent writes it itself, as things happen: nobody has to confirm it. */
bool is_agents_own(const char *table);
/* Does this row of table `instances` fill the table of this entry? */
bool feeds(const json_t *instance, const json_t *table);
/* A source that is not up confirmed its rows all the same since it is not: what it says of what it cannot reach. */
bool confirmed_since(const struct freshness *fresh, const json_t *source);

/* Visible text of one value; the caller frees it. */
char *value_text(const struct column_info *column, const json_t *value, const struct manner *manner,
		 enum tone *ret_tone);
/* `4h 12m`, also of negative lengths, – for NaN. The caller frees it. */
char *length_text(double seconds);
/* `3s ago`, `just now`. The caller frees it. */
char *ago_text(double seconds);
/* An RFC 3339 time as the manner wants it. The caller frees it. */
char *time_text(const char *rfc3339, const struct manner *manner);
/* 200,000 */
char *count_text(uint64_t count);
/* 512 B, 16 KiB, 1.2 MiB. The caller frees it. */
char *bytes_text(double bytes);
/* Tone and shape of a state's word; "" for words that are neither good nor bad. */
const char *state_shape(const char *word, enum tone *ret_tone);
int64_t wall_now(void);

#endif
