/* SPDX-License-Identifier: MIT
 *
 * The handlers that the table of routes (route.c) names. Private to the plugin web.
 */
#ifndef CALLWATCH_WEB_ROUTES_H
#define CALLWATCH_WEB_ROUTES_H

#include "web.h"

#include <stddef.h>

/* Of a frontend that is long enough to have it. */
#define HAS(frontend, member)                                                                                          \
	((frontend)->size >= offsetof(struct cw_frontend, member) + sizeof((frontend)->member) && (frontend)->member)

/* routes/agent.c */
void route_healthy(struct exchange *exchange);
void route_ready(struct exchange *exchange);
void route_reload(struct exchange *exchange);
void reloads_leave(struct web *web); /* before the connections are closed: answers who still waits */
void reloads_release(struct web *web);

/* routes/actions.c */
void route_actions(struct exchange *exchange);
void route_act(struct exchange *exchange);
/* What a code of frontend.h means in HTTP. */
int answer_status(int code);
/* The status that a refused question means, its words, and the task that it names. */
void action_problem(struct exchange *exchange, const struct cw_action_answer *answer);

/* routes/tasks.c: GET and DELETE */
void route_task_any(struct exchange *exchange);

/* routes/alerts.c */
void route_silences(struct exchange *exchange);
void route_silence(struct exchange *exchange);
void route_ack(struct exchange *exchange);
void route_try_rule(struct exchange *exchange);

/* routes/endpoint.c */
void route_endpoint(struct exchange *exchange);

/* routes/metrics.c */
void route_metrics(struct exchange *exchange);

/* routes/config.c */
void route_config_diff(struct exchange *exchange);
/* 422, with the lines of `problems` as a list of that name. */
void configuration_problem(struct exchange *exchange, const char *detail, const char *problems);

/* routes/doctor.c */
void route_doctor(struct exchange *exchange);

/* routes/pending.c: an answer that comes later, from a callback with the pending as its argument. */
enum { PENDINGS_MAX = 16 };
struct pending {
	struct pending *next;
	struct web *web;
	struct exchange *exchange; /* NULL: its reader has left, and nobody is told anything */
	bool done;
};
/* `size`: of a struct that begins with it, zeroed. NULL: a problem is answered. */
struct pending *pending_new(struct exchange *exchange, size_t size);
void pending_abort(struct pending *pending); /* in the handler: no callback will come, another answer is given */
void pending_end(struct pending *pending);   /* the answer is complete; the pending is gone */
void pendings_release(struct web *web);

/* routes/status.c */
void route_status(struct exchange *exchange);

/* routes/tables.c */
void route_tables(struct exchange *exchange);
void route_table(struct exchange *exchange);
void route_row(struct exchange *exchange);
/* Answers with the status that a failed query_open() or view_open() means. */
void query_problem(struct exchange *exchange, int rc, const char *error);
/* Asks for the rows of `table` as the parameters say (where, sort, columns, reveal). NULL: a problem is answered. */
struct asked {
	struct cw_query_spec spec;
	const char *where[PARAM_REPEAT_MAX + 1]; /* with room for one of the route's own */
	const char **columns;
	char *columns_text;
};
bool asked_init(struct asked *asked, struct exchange *exchange, const char *table);
void asked_release(struct asked *asked);

enum rows_format { ROWS_JSON, ROWS_NDJSON, ROWS_CSV };
/* What parameter `format` says, and the content type of it. False: a problem is answered. */
bool rows_read_format(struct exchange *exchange, enum rows_format *ret_format);
/* `{"table":…,"columns":[…],"rows":[` */
void rows_json_head(struct buffer *out, const char *table, const struct cw_column *columns, uint32_t count);

/* routes/log.c */
void route_events(struct exchange *exchange);
void route_table_at(struct exchange *exchange, const struct asked *asked, enum rows_format format);

/* routes/watch.c: the live form of route_table */
void route_watch(struct exchange *exchange, struct asked *asked);

#endif
