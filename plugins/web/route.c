/* SPDX-License-Identifier: MIT
 *
 * The table of routes and the way through it. Path, method and parameters are read first, but what is wrong with them
 * is told to who may only: somebody who may not learns nothing of what there is, but for the paths of other programs'
 * APIs, which say that they want a key. A new route is a line here and a handler in routes/.
 */
#include "access.h"
#include "routes/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct param no_params[] = {{0}};
static const struct param table_params[] = {
	{.name = "where", .repeats = true},
	{.name = "sort"},
	{.name = "limit"},
	{.name = "cursor"},
	{.name = "columns"},
	{.name = "format"},
	{.name = "reveal"},
	{.name = "watch"},
	{.name = "at"},
	{0},
};
static const struct param row_params[] = {
	{.name = "instance"}, {.name = "columns"}, {.name = "reveal"}, {.name = "at"}, {0}};
static const struct param event_params[] = {
	{.name = "since"},
	{.name = "until"},
	{.name = "where", .repeats = true},
	{.name = "limit"},
	{.name = "order"},
	{.name = "columns"},
	{.name = "format"},
	{0},
};
static const struct param doctor_params[] = {{.name = "format"}, {0}};

/* What a listener for metrics serves besides /metrics says no more than that the agent lives. */
static const struct route routes[] = {
	{"/-/healthy", ROUTE_GET | ROUTE_METRICS, ROLE_NOBODY, no_params, route_healthy},
	{"/-/ready", ROUTE_GET | ROUTE_METRICS, ROLE_NOBODY, no_params, route_ready},
	{"/-/reload", ROUTE_POST, ROLE_OPERATOR, no_params, route_reload},
	{"/metrics", ROUTE_GET | ROUTE_METRICS, ROLE_VIEWER, no_params, route_metrics},
	{"/api/v1/acks", ROUTE_POST | ROUTE_BODY, ROLE_OPERATOR, no_params, route_ack},
	{"/api/v1/actions", ROUTE_GET, ROLE_VIEWER, no_params, route_actions},
	{"/api/v1/actions/{}/{}", ROUTE_POST | ROUTE_BODY, ROLE_OPERATOR, no_params, route_act},
	{"/api/v1/config/diff", ROUTE_GET, ROLE_OPERATOR, no_params, route_config_diff},
	{"/api/v1/doctor", ROUTE_GET, ROLE_OPERATOR, doctor_params, route_doctor},
	{"/api/v1/doctor/{}", ROUTE_GET, ROLE_OPERATOR, doctor_params, route_doctor},
	{"/api/v1/rules/{}/test", ROUTE_POST, ROLE_OPERATOR, no_params, route_try_rule},
	{"/api/v1/events", ROUTE_GET | ROUTE_POST | ROUTE_BODY | ROUTE_ACTS, ROLE_VIEWER, event_params, route_events},
	{"/api/v1/silences", ROUTE_GET | ROUTE_POST | ROUTE_BODY | ROUTE_ACTS, ROLE_VIEWER, table_params,
	 route_silences},
	{"/api/v1/silences/{}", ROUTE_GET | ROUTE_DELETE | ROUTE_ACTS, ROLE_VIEWER, row_params, route_silence},
	{"/api/v1/status", ROUTE_GET, ROLE_VIEWER, no_params, route_status},
	{"/api/v1/tables", ROUTE_GET, ROLE_VIEWER, no_params, route_tables},
	{"/api/v1/tables/{}", ROUTE_GET, ROLE_VIEWER, table_params, route_table},
	{"/api/v1/tables/{}/{}", ROUTE_GET, ROLE_VIEWER, row_params, route_row},
	{"/api/v1/tasks/{}", ROUTE_GET | ROUTE_DELETE | ROUTE_ACTS, ROLE_VIEWER, no_params, route_task_any},
};

/* Paths that plugins declare, and whose key was right. */
static const struct route endpoint_route = {"", ROUTE_GET | ROUTE_POST | ROUTE_KEYED, ROLE_NOBODY, no_params,
					    route_endpoint};

/* One `{}`: up to the next slash, or all the rest if it ends the pattern. Not empty. */
static const char *match_argument(const char *pattern, const char *path, size_t *ret_length)
{
	size_t length = pattern[2] ? strcspn(path, "/") : strlen(path);
	*ret_length = length;
	return length ? path + length : NULL;
}

/* Does the path fit? The arguments' places are borrowed from it. */
static bool match(const char *pattern, const char *path, const char *starts[PATH_ARGUMENTS_MAX],
		  size_t lengths[PATH_ARGUMENTS_MAX])
{
	uint32_t n = 0;
	while (*pattern) {
		if (*pattern == '{') {
			starts[n] = path;
			path = match_argument(pattern, path, &lengths[n]);
			if (!path)
				return false;
			pattern += 2;
			n++;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

/* A table's name has no slash: `/api/v1/tables/{}` must not swallow the route of a row. */
static bool is_one_segment(const struct route *route, const char *start, size_t length)
{
	return strcmp(route->path, "/api/v1/tables/{}") != 0 || !memchr(start, '/', length);
}

static const struct route *find(struct exchange *exchange)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		const char *starts[PATH_ARGUMENTS_MAX] = {NULL};
		size_t lengths[PATH_ARGUMENTS_MAX] = {0};
		if ((exchange->peer->door->only_metrics && !(routes[i].flags & ROUTE_METRICS)) ||
		    !match(routes[i].path, exchange->path, starts, lengths) ||
		    (starts[0] && !is_one_segment(&routes[i], starts[0], lengths[0])))
			continue;
		for (uint32_t a = 0; a < PATH_ARGUMENTS_MAX && starts[a]; a++)
			exchange->arguments[a] = strndup(starts[a], lengths[a]);
		return &routes[i];
	}
	return NULL;
}

static const char *method_name(enum method method)
{
	static const char *const names[] = {"GET", "GET", "POST", "DELETE", ""};
	return names[method];
}

/* Not by a listener for metrics. Who has no right key is told that, and nothing else. */
static const struct route *find_endpoint(struct exchange *exchange)
{
	const struct web *web = exchange->web;
	if (exchange->peer->door->only_metrics)
		return NULL;
	int rc = web->frontend->endpoint(web->self, method_name(exchange->method), exchange->path, exchange->api_key,
					 &exchange->endpoint);
	if (rc == -ENOENT)
		return NULL;
	if (access_must_wait(exchange))
		return &endpoint_route;
	if (rc == -EACCES) {
		access_note_wrong_key(exchange);
		exchange_problem(exchange, 401, "the header X-API-Key is missing, or is not the right one");
	} else if (rc == -ENOTSUP) {
		exchange->allow = exchange->endpoint.endpoint->method;
		exchange_problem(exchange, 405, "this path answers %s", exchange->allow);
	}
	return &endpoint_route;
}

static void read_params(struct exchange *exchange, int (*next_param)(void *, uint32_t, char *, size_t), void *arg)
{
	char text[URI_MAX + 1], error[PARAMS_ERROR_MAX];
	for (uint32_t i = 0;; i++) {
		int length = next_param(arg, i, text, sizeof text);
		if (length < 0)
			return;
		if (params_add(&exchange->params, exchange->route->params, text, (size_t)length, error)) {
			exchange_problem(exchange, 400, "%s", error);
			return;
		}
	}
}

static const char *allowed_methods(unsigned flags)
{
	if (!(flags & ROUTE_GET))
		return "POST";
	if (flags & ROUTE_POST)
		return "GET, HEAD, POST";
	return flags & ROUTE_DELETE ? "GET, HEAD, DELETE" : "GET, HEAD";
}

void route_resolve(struct exchange *exchange, int (*next_param)(void *arg, uint32_t i, char *buffer, size_t size),
		   void *arg)
{
	exchange->route = find(exchange);
	if (!exchange->route)
		exchange->route = find_endpoint(exchange);
	if (exchange->status >= 400)
		return;
	if (!exchange->route) {
		exchange_problem(exchange, 404, "there is nothing at this path");
		return;
	}
	unsigned method = 1u << (exchange->method == METHOD_HEAD ? METHOD_GET : exchange->method);
	if (!(exchange->route->flags & method)) {
		exchange->allow = allowed_methods(exchange->route->flags);
		exchange_problem(exchange, 405, "this path answers %s", exchange->allow);
		return;
	}
	read_params(exchange, next_param, arg);
}

static bool changes_something(const struct exchange *exchange)
{
	return exchange->method != METHOD_GET && exchange->method != METHOD_HEAD;
}

/* Who may not even look is not told that there is nothing to see. */
static enum role least_of(const struct exchange *exchange)
{
	if (exchange->route && (exchange->route->flags & ROUTE_ACTS) && changes_something(exchange))
		return ROLE_OPERATOR;
	return exchange->route ? exchange->route->least : ROLE_VIEWER;
}

static void ask_who(struct exchange *exchange)
{
	exchange->allow = NULL;
	exchange->challenge = access_challenge(exchange->web);
	exchange_problem(exchange, 401, "%s", exchange->denial ? exchange->denial : "this needs a user or a token");
}

static enum pull wait_for_body(struct exchange *exchange)
{
	(void)exchange;
	return PULL_WAIT;
}

void route_body_is_there(struct exchange *exchange)
{
	exchange->waits_for_body = false;
	exchange->pull = NULL;
	exchange->hold = false;
	if (exchange->request_body.failed)
		exchange_problem(exchange, 413, "the body has more than %d bytes", REQUEST_BODY_MAX);
	else
		exchange->route->handle(exchange);
}

static void handle(struct exchange *exchange)
{
	if (!(exchange->route->flags & ROUTE_BODY) || exchange->has_body || exchange->body_length == 0) {
		exchange->route->handle(exchange);
	} else if (exchange->body_length > REQUEST_BODY_MAX) {
		exchange_problem(exchange, 413, "the body has more than %d bytes", REQUEST_BODY_MAX);
	} else {
		exchange->waits_for_body = true;
		exchange->hold = true;
		exchange->pull = wait_for_body;
	}
}

void route_enter(struct exchange *exchange)
{
	bool is_keyed = exchange->route && (exchange->route->flags & ROUTE_KEYED);
	if (exchange->role == ROLE_NOBODY && least_of(exchange) > ROLE_NOBODY)
		ask_who(exchange);
	else if (exchange->role < least_of(exchange))
		exchange_problem(exchange, 403, "this needs an operator");
	else if (exchange->status >= 400 || !exchange->route)
		return;
	else if (is_keyed)
		handle(exchange);
	else if ((changes_something(exchange) || least_of(exchange) == ROLE_OPERATOR) && exchange->is_foreign)
		exchange_problem(exchange, 403, "this is not done for a page of another site");
	else if (changes_something(exchange) && exchange->peer->door->is_tcp && !exchange->is_json)
		exchange_problem(exchange, 415, "what changes something is sent with Content-Type: application/json");
	else
		handle(exchange);
}
