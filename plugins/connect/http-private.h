/* SPDX-License-Identifier: MIT
 *
 * What the files of HTTP share. http.c is the life of a request; http-explain.c says how it ended in words;
 * http-local.c says where
 * a guarded one may not go; http-address.c stands alone.
 */
#ifndef CONNECT_HTTP_PRIVATE_H
#define CONNECT_HTTP_PRIVATE_H

#include "buffer.h"
#include "connect/http.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <uv.h>

struct http {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	CURLM *multi;
	uv_timer_t timer;
	struct http_transfer *transfers; /* all that are under way */
	struct socket_watch *watches;
	uint32_t handles; /* timer and polls, not closed yet */
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
	CURL *easy;                 /* under way in the multi once `is_added` */
	bool is_added;
	struct curl_slist *headers, *addresses;
	char *url;
	struct buffer body;
	size_t header_bytes;
	bool is_shaking_hands; /* it is connected, and TLS began */
	bool guarded;
	bool too_large;     /* and so it was given up by us */
	char redirect[128]; /* the host it would have us go to, made visible */
	char why[CURL_ERROR_SIZE];
	long verdict;          /* of OpenSSL on the certificate, 0: fine or none was seen */
	char cert_reason[200]; /* in words */
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
