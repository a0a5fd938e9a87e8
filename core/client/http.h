/* SPDX-License-Identifier: MIT
 *
 * Asking callwatchd: one connection over its UNIX socket or a URL, by libcurl. Everything has a bound: the answer's
 * size, the silence it may keep, the time to connect. No redirect is followed and the token goes nowhere in clear.
 */
#ifndef CALLWATCH_CLIENT_HTTP_H
#define CALLWATCH_CLIENT_HTTP_H

#include "arguments.h"
#include "buffer.h"

#include <jansson.h>

#define HTTP_SOCKET_DEFAULT "/run/callwatch/control.sock"

enum { HTTP_JSON_MAX = 64 * 1024 * 1024 };

enum http_failure_kind {
	HTTP_FINE = 0,
	HTTP_UNREACHABLE, /* nobody answered */
	HTTP_REFUSED,     /* an answer that is not 2xx: `status` */
	HTTP_BROKEN,      /* cut, garbage, too large, too slow */
	HTTP_STOPPED      /* the sink or the tick ended it */
};

struct http_failure {
	enum http_failure_kind kind;
	long status;
	bool began;     /* a part of the answer had come */
	char *sentence; /* for people, visible text, maybe several lines; http_failure_release() frees it */
};
void http_failure_release(struct http_failure *failure);

struct http;
/* NULL with a sentence on stderr: a URL or token file that cannot be used. */
struct http *http_open(const struct arguments *arguments);
void http_close(struct http *http); /* NULL is fine */

struct http_request {
	const char *method; /* NULL: GET */
	const char *path;
	const char *body;   /* JSON; NULL: none */
	const char *header; /* one more line of the head; NULL: none */
	/* Takes the bytes of a good answer; non-zero ends it. */
	int (*sink)(void *arg, const char *bytes, size_t length);
	/* Called about every 100 ms, may be NULL; non-zero ends it. */
	int (*tick)(void *arg);
	void *arg;
	long *ret_status; /* of a good answer; NULL: nobody wants to know */
	long silence_s;   /* longest silence, 0: 15 s */
	long whole_s;     /* longest time for all of it, 0: any */
};
/* A sink that collects: `buffer` is a struct buffer. */
int http_collect(void *buffer, const char *bytes, size_t length);
/* 0, or -1 with *ret_failure filled. */
int http_do(struct http *http, const struct http_request *request, struct http_failure *ret_failure);
/* A question without a sink of its own, answered by a JSON object of at most HTTP_JSON_MAX. NULL with *ret_failure
 * filled. */
json_t *http_ask(struct http *http, const struct http_request *question, struct http_failure *ret_failure);
/* The same for GET. */
json_t *http_json(struct http *http, const char *path, long whole_s, struct http_failure *ret_failure);

/* A path with its query, grown piece by piece; values are escaped. */
struct path;
struct path *path_new(const char *start);
void path_segment(struct path *path, const char *segment);
void path_query(struct path *path, const char *name, const char *value); /* NULL value: nothing */
const char *path_text(const struct path *path);
void path_free(struct path *path);

#endif
