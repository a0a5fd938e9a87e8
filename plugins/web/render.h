/* SPDX-License-Identifier: MIT
 *
 * From cells to text: JSON and CSV. Pure: no state, no socket. Private to the plugin web.
 *
 * Not known is null in JSON and empty in CSV. Times are RFC 3339 in UTC with milliseconds, ages are seconds cut to the
 * millisecond, a choice is its word.
 */
#ifndef CALLWATCH_WEB_RENDER_H
#define CALLWATCH_WEB_RENDER_H

#include "buffer.h"

#include "callwatch/frontend.h"

/* The word of a choice; NULL: not one of them. */
const char *render_choice(const struct cw_column *column, int64_t index);
const char *render_type_name(enum cw_column_type type);

void render_json_string(struct buffer *out, const char *text); /* quoted; NULL becomes null */
void render_json_number(struct buffer *out, double value);     /* not finite becomes null */
void render_json_seconds(struct buffer *out, double seconds);  /* the same, to the millisecond */
void render_json_time(struct buffer *out, int64_t wall_ns);
void render_json_cell(struct buffer *out, const struct cw_column *column, const struct cw_cell *cell);
/* {"column":value,…}; without_null leaves out what is not known. */
void render_json_row(struct buffer *out, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count,
		     bool without_null);
/* "as_of":[from,to],"complete":b,"coverage":n,"age_seconds":n. from and to as the coverage says, else those given; 0:
 * as_of is null. */
void render_json_coverage(struct buffer *out, const struct cw_coverage *coverage, double age_seconds,
			  int64_t otherwise_from, int64_t otherwise_to);
/* A table: {"name":…}, with its columns or without. */
void render_json_table(struct buffer *out, const struct cw_table_info *info, bool with_columns);

void render_csv_header(struct buffer *out, const struct cw_column *columns, uint32_t count);
void render_csv_row(struct buffer *out, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count);

#endif
