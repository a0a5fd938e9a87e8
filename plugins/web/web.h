/* SPDX-License-Identifier: MIT
 *
 * What the files of the plugin web share: the instance, its connections, and an exchange (one request and its answer).
 * Private to the plugin web.
 *
 * The way of a request: listen.c accepts a connection and looks at the peer, http.c hands it to libwebsockets, which
 * parses the head; http.c makes an exchange of it and finds its route (route.c); the route's handler (routes/…) answers
 * at once or names a `pull` that is called whenever the connection takes more; http.c writes what it gave.
 */
#ifndef CALLWATCH_WEB_WEB_H
#define CALLWATCH_WEB_WEB_H

#include "buffer.h"
#include "params.h"
#include "series.h"

#include "callwatch/frontend.h"

#include <sys/types.h>
#include <uv.h>

struct lws;
struct lws_context;
struct lws_vhost;
struct web;
struct listener;

/* Who speaks at the other end. */
struct peer {
	uid_t uid;
	pid_t pid;
	bool is_operator; /* else a viewer: masked, and may not act */
};

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OTHER };
enum { ROUTE_GET = 1 << METHOD_GET, ROUTE_POST = 1 << METHOD_POST }; /* GET stands for HEAD too */
enum who { WHO_ANYBODY, WHO_VIEWER, WHO_OPERATOR };

enum { PATH_ARGUMENTS_MAX = 2, URI_MAX = 8192 };

struct exchange;

/* One line of the table of routes. `{}` in the path stands for an argument; a last one takes the rest of the path. */
struct route {
	const char *path;
	unsigned methods;
	enum who who;
	const struct param *params;
	void (*handle)(struct exchange *exchange);
};

/* What a pull says of itself. */
enum pull {
	PULL_DONE,  /* the answer is complete */
	PULL_MORE,  /* call again */
	PULL_WAIT,  /* nothing now; exchange_wake() tells when */
	PULL_ABORT, /* cannot go on: cut the connection, so that the reader sees it */
};

struct exchange {
	struct web *web;
	struct lws *wsi;
	const struct peer *peer;

	/* the request */
	enum method method;
	const char *path;                    /* decoded; borrowed until the handler returns */
	char *arguments[PATH_ARGUMENTS_MAX]; /* owned, for the `{}` of the route */
	struct params params;
	bool http11;

	/* the answer */
	const struct route *route;
	int status;
	const char *content_type;
	const char *allow; /* for 405 */
	struct buffer body;
	bool hold;                                    /* write nothing before PULL_DONE: the status may still change */
	enum pull (*pull)(struct exchange *exchange); /* NULL: the body is complete */
	bool (*tick)(struct exchange *exchange);      /* each second: true if it is to be pulled */
	void (*drop)(struct exchange *exchange);      /* frees `work`; called once */
	void *work;

	/* http.c's */
	bool head_sent, chunked, complete, sent;
};

/* A connection in libwebsockets' hands. */
struct connection {
	struct connection *next, **link;
	struct web *web;
	struct lws *wsi;
	struct peer peer;
	int64_t opened, moved; /* instants: accepted; last request or progress of the answer */
	struct exchange *exchange;
	bool wants_write, flows; /* flows: not parked (http.c) */
};

/* A reload somebody waits for; outlives its exchange. */
struct reload_wait {
	struct reload_wait *next;
	struct web *web;
	struct exchange *exchange; /* NULL: gone */
};

struct web {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_frontend *frontend;
	struct lws_context *lws;
	struct lws_vhost *vhost;
	uv_timer_t second;    /* one for all deadlines */
	uv_prepare_t prepare; /* before each turn of the loop */
	struct listener *listeners;
	uint32_t listeners_count;
	struct connection *connections;
	uint32_t connections_count, connections_max;
	const struct peer *adopting; /* whose connection is being handed over */
	struct series_list series;
	struct reload_wait *reloads;
};

/* http.c */
int http_start(struct web *web); /* libwebsockets' context on the instance's loop */
void http_stop(struct web *web);
void http_release(struct web *web);                                        /* when the loop ran out */
void http_adopt(struct web *web, int descriptor, const struct peer *peer); /* takes over the descriptor */
void http_tick(struct web *web, int64_t now);                              /* each second */

/* For handlers. */
void exchange_wake(struct exchange *exchange);
/* Replaces the answer, none of which was sent yet, by application/problem+json. */
void exchange_problem(struct exchange *exchange, int status, const char *format, ...) CW_PRINTF(3, 4);
void exchange_text(struct exchange *exchange, int status, const char *text);
/* For an answer that is small and cannot wait for the connection's turn. Negative: it went wrong. */
int exchange_send_now(struct exchange *exchange);

/* route.c */
/* Finds the route, fills in the arguments and the parameters, or answers 404, 405, 403, 400. `next_param` gives one
 * `name=value` after the other: its length, or negative at the end. */
bool route_resolve(struct exchange *exchange, int (*next_param)(void *arg, uint32_t i, char *buffer, size_t size),
		   void *arg);

#endif
