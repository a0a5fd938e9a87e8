/* SPDX-License-Identifier: MIT
 *
 * What the files of the plugin web share: the instance, its connections, and an exchange (one request and its answer).
 * Private to the plugin web.
 *
 * The way of a request: listen.c accepts a connection and looks at the peer, http.c hands it to libwebsockets, which
 * parses the head; http.c makes an exchange of it; request.c judges what the head says; route.c finds the route and
 * whether who asks may take it; the route's handler (routes/…) answers at once or names a `pull` that is called
 * whenever the connection takes more; http.c writes what it gave.
 */
#ifndef CALLWATCH_WEB_WEB_H
#define CALLWATCH_WEB_WEB_H

#include "buffer.h"
#include "guard.h"
#include "ip.h"
#include "params.h"
#include "series.h"

#include "callwatch/frontend.h"

#include <sys/types.h>
#include <uv.h>

struct lws;
struct lws_context;
struct lws_vhost;
struct access;
struct web;
struct listener;

/* What holds for all that comes in by one listener. */
struct door {
	bool is_tcp;       /* else a UNIX socket: who connects is an operator */
	bool only_metrics; /* nothing else is served */
	bool proxies_only; /* in clear and beyond loopback: for trusted proxies */
	bool asks;         /* wants to know who asks */
	bool tls;
	struct endpoint endpoint; /* of TCP */
};

/* Who speaks at the other end. */
struct peer {
	const struct door *door;
	uid_t uid; /* of a UNIX socket */
	pid_t pid;
	struct ip address;     /* of TCP */
	struct endpoint local; /* where it came to */
};

enum method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE, METHOD_OTHER };
enum {
	ROUTE_GET = 1 << METHOD_GET, /* and HEAD */
	ROUTE_POST = 1 << METHOD_POST,
	ROUTE_DELETE = 1 << METHOD_DELETE,
	ROUTE_METRICS = 1 << 8, /* a listener for metrics serves it too, to everybody */
	ROUTE_BODY = 1 << 9,    /* the handler is called when the request's body is there, in request_body */
	ROUTE_KEYED = 1 << 10,  /* who asks has proved it by a header that no page of another site can send */
	ROUTE_ACTS = 1 << 11    /* whoever may can look; but what changes something needs an operator */
};
/* Each may what the one before may. A viewer sees masked numbers and may not act. */
enum role { ROLE_NOBODY, ROLE_VIEWER, ROLE_OPERATOR };

enum { PATH_ARGUMENTS_MAX = 2, URI_MAX = 8192, ASKER_TEXT_MAX = 160, REQUEST_BODY_MAX = 64 * 1024 };
enum { IDEMPOTENCY_KEY_MAX = 128, LOCATION_MAX = 128 };

struct exchange;

/* One line of the table of routes. `{}` in the path stands for an argument; a last one takes the rest of the path. */
struct route {
	const char *path;
	unsigned flags;
	enum role least; /* who may; ROLE_NOBODY: everybody */
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

	/* who asks */
	enum role role;
	struct ip client;        /* of TCP: the peer's, or who a trusted proxy asks for */
	char by[ASKER_TEXT_MAX]; /* `ada, process 4711`, `127.0.0.1`, `token NAME from …`: for events */

	/* the request */
	enum method method;
	const char *path;                    /* decoded; for route_resolve() only */
	char *arguments[PATH_ARGUMENTS_MAX]; /* owned, for the `{}` of the route */
	struct params params;
	char *accept; /* owned; NULL: not said */
	bool http11;
	bool is_foreign;                   /* a browser sends it for a page of somebody else */
	bool is_json;                      /* Content-Type says so, as no form of a page can */
	size_t body_length;                /* as the head says */
	struct buffer request_body;        /* of a route with ROUTE_BODY */
	bool has_body, waits_for_body;     /* it is whole; the handler is called when it is */
	char *idempotency_key;             /* owned; NULL: not said */
	char *api_key;                     /* owned, wiped; NULL: not said */
	struct cw_endpoint_found endpoint; /* of route_endpoint() */

	/* the answer */
	const struct route *route;
	int status;
	const char *content_type;
	const char *allow;           /* for 405 */
	char location[LOCATION_MAX]; /* "": not said */
	const char *challenge;       /* for 401 */
	const char *denial;          /* … and why; NULL: nothing was shown */
	uint32_t retry_after;        /* seconds, for 429 and 503; 0: not said */
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
	struct lws_vhost *vhost, *tls_vhost; /* tls_vhost: NULL without a certificate */
	const struct cw_value *values;       /* the options */
	uv_timer_t second;                   /* one for all deadlines */
	uv_prepare_t prepare;                /* before each turn of the loop */
	struct listener *listeners;
	uint32_t listeners_count;
	int64_t certificate_ends; /* wall time; INT64_MAX: there is none */
	int64_t report_due;       /* instant: listen.c looks at it again */
	struct connection *connections;
	uint32_t connections_count, connections_max;
	uint32_t tcp_count, tcp_max; /* of these over TCP: the rest is for operators at a UNIX socket */
	const struct peer *adopting; /* whose connection is being handed over */
	struct guard guard;
	struct access *access;
	void *answer_headers; /* http.c's */
	struct series_list series;
	struct reload_wait *reloads;
	struct pending *pendings; /* routes/pending.c */
};

/* http.c */
int http_start(struct web *web); /* libwebsockets' context on the instance's loop */
void http_stop(struct web *web);
void http_release(struct web *web);                                        /* when the loop ran out */
void http_adopt(struct web *web, int descriptor, const struct peer *peer); /* takes over the descriptor */
void http_tick(struct web *web, int64_t now);                              /* each second */
/* A whole answer for who does not get as far as libwebsockets; what does not fit into the socket at once is not sent,
 * and nothing where TLS is spoken. */
void http_refuse(int descriptor, const struct door *door, int status, const char *detail);
uint32_t http_connections_of(const struct web *web, const struct ip *address); /* of all of that client's */
/* Makes room by cutting who has been connected longest without asking for anything. False: there is nobody. */
bool http_cut_idle(struct web *web);

/* For handlers. */
void exchange_wake(struct exchange *exchange);
/* Replaces the answer, none of which was sent yet, by application/problem+json. */
void exchange_problem(struct exchange *exchange, int status, const char *format, ...) CW_PRINTF(3, 4);
void exchange_text(struct exchange *exchange, int status, const char *text);
/* For an answer that is small and cannot wait for the connection's turn. Negative: it went wrong. */
int exchange_send_now(struct exchange *exchange);

static inline bool exchange_is_operator(const struct exchange *exchange)
{
	return exchange->role == ROLE_OPERATOR;
}

/* request.c */
/* Reads what the head says beside method and path. False: a problem is answered. */
bool request_read(struct exchange *exchange, size_t path_length);
/* Only where it was sent to, and for whose page; for a head that is not read further. */
bool request_read_site(struct exchange *exchange);
/* Finds out who asks, if that matters. False: it is answered, or will be. */
bool request_identify(struct exchange *exchange);

/* route.c */
/* Finds the route and fills in the arguments and the parameters, or prepares 404, 405 or 400. `next_param` gives one
 * `name=value` after the other: its length, or negative at the end. */
void route_resolve(struct exchange *exchange, int (*next_param)(void *arg, uint32_t i, char *buffer, size_t size),
		   void *arg);
/* Answers 401 or 403 if who asks may not; else what is prepared, or by the route's handler, which may have to wait for
 * the request's body. */
void route_enter(struct exchange *exchange);
void route_body_is_there(struct exchange *exchange);

#endif
