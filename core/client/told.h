/* SPDX-License-Identifier: MIT
 *
 * Alerts as people read them: what `alerts`, `why`, `status`, `ack` and `silence` share. Which columns there are
 * callwatchd says; one that an older callwatchd lacks is not asked for, and what it would say is not known.
 */
#ifndef CALLWATCH_CLIENT_TOLD_H
#define CALLWATCH_CLIENT_TOLD_H

#include "answer.h"
#include "http.h"

/* Rows of a table, by expressions (NULL-terminated); `columns`: those of these that there are (NULL-terminated, NULL:
 * the table's own choice). NULL with *ret_failure filled: 404 if there is no such table. */
struct rows_question {
	const char *table, *sort;
	const char *const *where, *const *columns;
	int64_t limit; /* 0: all */
};
json_t *rows_ask(struct http *http, const json_t *tables, const struct rows_question *question,
		 struct http_failure *ret_failure);
json_int_t total_of(const json_t *answer);

/* `call-stale/CA1` as two words; `alert` alone: *ret_subject is NULL. Both are to be freed. */
void split_alert(const char *text, char **ret_alert, char **ret_subject);

/* Wall time of a row's column; 0: not known. */
int64_t time_of(const json_t *row, const char *column);
/* `4m 12s` from then until now; `–` for 0. The caller frees it. */
char *since_text(int64_t wall, const struct manner *manner);
/* Tone and shape of an alert: by its severity while it fires, else by its state. */
const char *alert_shape(const json_t *alert, enum tone *ret_tone);
/* Who knows of it, and why not more: `acknowledged by ada`, `silenced by s1`, `slack 02:10:03`; for one that pends,
 * when it fires. The caller frees it. */
char *told_text(const json_t *alert);

/* A row of table `notifications`: `✔ slack: firing, sent 02:10:03 after 400ms`, `▲ email: firing, 3 attempts, the last:
 * 450 greylisted; next try 02:15:00`. The caller frees it. */
char *delivery_text(const json_t *row, const struct manner *manner, enum tone *ret_tone);

/* Sources that cannot see at this moment, a new reference; NULL: not known. */
json_t *blind_ask(struct http *http);
/* A loud line for each. */
void blind_say(const json_t *blind, const struct manner *manner, const struct screen *screen, FILE *out);

#endif
