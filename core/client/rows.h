/* SPDX-License-Identifier: MIT
 *
 * Rows on the screen: which columns, in which tone, and the line below that says what the rows are worth.
 */
#ifndef CALLWATCH_CLIENT_ROWS_H
#define CALLWATCH_CLIENT_ROWS_H

#include "answer.h"
#include "http.h"

struct rows_view {
	const struct table_info *info;
	const json_t *names; /* array of column names */
	const json_t *rows;  /* array of objects */
	bool chosen;         /* the reader named the columns: none is left out */
};

/* Prints at most `most` rows (0: all). Returns the columns left out (see grid_print). */
char *rows_print(const struct rows_view *view, const struct manner *manner, const struct screen *screen, uint32_t most,
		 FILE *out);

/* Rows of table `instances` that are sources of this table (its entry) and not up, or NULL where that is not known; new
 * reference. */
json_t *blind_sources(struct http *http, const json_t *table);
/* One loud line for each of them that concerns these rows (all, if there are none to tell by). True: there was one. */
bool blind_print(const json_t *sources, const json_t *rows, const struct freshness *fresh, const struct manner *manner,
		 const struct screen *screen, FILE *out);
/* `complete · confirmed 3s ago`, loud when not; "" where nobody has to confirm anything. The caller frees it. */
char *freshness_text(const struct freshness *fresh, const struct screen *screen);
/* Names the columns left out; NULL: none. */
void hidden_print(const char *hidden, const struct screen *screen, FILE *out);

#endif
