/* SPDX-License-Identifier: MIT
 *
 * What the files of HTTP share. http.c is the life of a request; http-explain.c says how it ended in words;
 * http-local.c says where
 * a guarded one may not go; http-address.c stands alone.
 */
#ifndef CONNECT_HTTP_PRIVATE_H
#define CONNECT_HTTP_PRIVATE_H

#include "buffer.h"
#include "connect/curl-loop.h"
#include "connect/curl-tls.h"
#include "connect/http.h"

#include <sys/socket.h>

struct http {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct curl_loop *loop;
	struct http_transfer *transfers; /* all that are under way */
	bool closed;
};

struct http_transfer {
	struct http *http;
	struct http_transfer *next, **here;
	http_done done;
	void *arg;
	struct http_address address;
	int64_t began, timeout;

	struct cw_resolve *resolve; /* NULL: none is under way */
	CURL *easy;                 /* under way in the loop once `is_added` */
	bool is_added;
	struct curl_slist *headers, *addresses;
	char *url;
	struct buffer body;
	size_t header_bytes;
	bool guarded;
	bool too_large;     /* and so it was given up by us */
	char redirect[128]; /* the host it would have us go to, made visible */
	char why[CURL_ERROR_SIZE];
	struct curl_tls tls;
	struct http_answer answer;
};

/* Fills end, step, reason, status and may_have_acted of transfer->answer. */
void http_explain(struct http_transfer *transfer, CURLcode code);
void http_explain_no_name(struct http_transfer *transfer, int status);
void http_explain_forbidden(struct http_transfer *transfer, const struct sockaddr_storage *address);

/* This machine, its link, or many. */
bool http_is_local(const struct sockaddr_storage *address);
bool http_may_connect(const struct cw_value *options, const struct sockaddr_storage *address, uint16_t port);
bool http_print_address(const struct sockaddr_storage *address, char *buffer, size_t size);

#endif
