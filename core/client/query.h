/* SPDX-License-Identifier: MIT
 *
 * A question about one table, as the arguments put it: its path on the server, and its answer as a stream or on screen.
 */
#ifndef CALLWATCH_CLIENT_QUERY_H
#define CALLWATCH_CLIENT_QUERY_H

#include "answer.h"
#include "client.h"
#include "http.h"

enum { QUERY_LIMIT = 100, QUERY_WATCH_MAX = 500 };

struct query {
	const struct arguments *arguments;
	const char *table, *key; /* key NULL: all */
	const char *sort;        /* NULL: the table's own order */
	int64_t limit;           /* 0: all */
	bool is_log;             /* of the event log instead, with these bounds; wall times, 0: none */
	int64_t since, until;
	int64_t at; /* the table as it was then; 0: as it is */
};
/* What --since, --until and --at say. 0, or -EINVAL: complained of. */
int query_times(struct query *query);

/* The path of this question, with format and watch; free with path_free(). */
struct path *query_path(const struct query *query, enum format format, bool watch);
/* `get TABLE`, with the options that were given. */
int get_table(const struct arguments *arguments, const char *table);
/* Rows as they change, until Ctrl-C (watch.c). */
int watch_run(const struct query *query);
/* The sentence of a failure on stderr, and the exit code. */
int fail(struct http_failure *failure);
/* No such table: says what there is, and what was probably meant. */
int fail_no_table(const char *name, const json_t *tables);
/* /api/v1/tables, or NULL with *ret_failure filled. */
json_t *tables_ask(struct http *http, struct http_failure *ret_failure);
struct manner manner_of(const struct arguments *arguments);
/* Bytes to stdout: a sink for http_do. Ends the program quietly when nobody reads any more. */
int sink_stdout(void *arg, const char *data, size_t length);

#endif
