/* SPDX-License-Identifier: MIT
 *
 * HTTP requests on an instance's loop: one struct http holds the connections, each http_send() is one request with one
 * answer. For plugins (static library connect-http, so that only who uses it links libcurl); everything runs on the
 * instance's thread, and nothing waits.
 *
 * libcurl does the talking, within bounds that the caller does not have to remember: a deadline for the whole and one
 * for connecting, a ceiling for the body as it is after unpacking and one for the headers, http and https only, no
 * redirect is followed, no proxy of the environment is used, and a header (an API key) goes to the host of the URL and
 * to no other. Names are looked up by the host, not by libcurl's threads. Certificates are always verified; there is no
 * switch to leave that out. A request that may change something is sent once and never again by itself: it does not go
 * over a used connection, on which libcurl would repeat what seems not to have arrived.
 */
#ifndef CALLWATCH_CONNECT_HTTP_H
#define CALLWATCH_CONNECT_HTTP_H

#include "address.h"
#include "callwatch/plugin.h"

enum {
	HTTP_REASON_MAX = 320,
	HTTP_CONNECT_S = 3,             /* the name, and again until connected and TLS is agreed on */
	HTTP_HEADERS_BYTES_MAX = 65536, /* of an answer */
	HTTP_RETRY_AFTER_MAX_S = 3600
};

/* Where a URL leads to. */
struct http_address {
	struct address at; /* host (without brackets) and port */
	bool is_tls;
};
/* 0, or -EINVAL and a sentence for people in `error`; it never repeats the URL, which may hold a secret. */
int http_address_parse(const char *url, struct http_address *ret_address, char error[HTTP_REASON_MAX]);
/* For a plugin's check(): the option `url_key`, and tls_… (connect/tls.h) beside it. */
void http_check_options(const struct cw_value *options, const char *url_key, struct cw_problems *problems);

/* Option of every plugin that guards its requests. */
#define HTTP_ALLOW_LOCAL_OPTION                                                                                        \
	{                                                                                                              \
		.key = "allow_local", .type = CW_OPTION_LIST, .flags = CW_OPTION_ADVANCED,                             \
		.help = "Addresses of this machine or its link to which it may go all the same: [127.0.0.1], "         \
			"[127.0.0.1:9000]"                                                                             \
	}
/* For check(): the list is well formed, and an address in the URL itself is no forbidden one. */
void http_check_guarded(const struct cw_value *options, const char *url_key, struct cw_problems *problems);

struct http;
/* `options`: tls_ca, tls_cert, tls_key, tls_server_name are taken from it, and borrowed until http_close(). 0, -ENOMEM.
 */
int http_open(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
	      struct http **ret_http);
/* Ends all requests without a word. Memory goes when the loop has closed the handles. NULL is fine. */
void http_close(struct http *http);

/* How it ended; what a person needs is the reason, this is for what to do next. */
enum http_end {
	HTTP_ANSWERED = 0,    /* a status, and the whole body; whether it is a good one is the caller's to judge */
	HTTP_NO_NAME = 1,     /* the host's name cannot be looked up */
	HTTP_UNREACHABLE = 2, /* refused, reset, nobody there */
	HTTP_TLS = 3,         /* not the server that was meant, or no TLS */
	HTTP_TIMEOUT = 4,     /* connected, but no whole answer in time */
	HTTP_TOO_LARGE = 5,
	HTTP_REDIRECTED = 6,
	HTTP_GARBAGE = 7,  /* no HTTP, or it broke off */
	HTTP_FORBIDDEN = 8 /* it was guarded, and its address leads back here: nothing was connected to */
};

/* How far it came. */
enum http_step { HTTP_STEP_BEGUN, HTTP_STEP_RESOLVED, HTTP_STEP_CONNECTED, HTTP_STEP_SENT, HTTP_STEP_ANSWERED };

struct http_answer {
	enum http_end end;
	enum http_step step;
	char reason[HTTP_REASON_MAX]; /* unless ANSWERED: what happened, where, what to do. Of what the peer said it
					 holds at most the name of a host */
	int status;                   /* of HTTP; 0: none came. Also where the end is not ANSWERED */
	const char *body;             /* NUL-terminated, borrowed for the call; "" if there is none */
	size_t length;
	int64_t retry_after;      /* ns, at most an hour; 0: the header was not there, or said nothing */
	int64_t took;             /* ns, of the whole */
	int64_t certificate_ends; /* wall time; 0: not known (plain, or a connection that was in use before) */
	/* The request may have reached the server, so what it asks for may have happened: it was answered, or broke off
	 * after the first byte of it was sent. */
	bool may_have_acted;
};

struct http_request {
	const char *method;         /* `GET`; `POST`, `PUT`, `DELETE` are sent once, see above */
	const char *url;            /* http:// or https://, without user and fragment */
	const char *const *headers; /* `Name: value`, NULL-terminated; NULL: none */
	const char *body;           /* NULL: none */
	size_t length;
	int64_t timeout;   /* ns, for the whole */
	size_t body_limit; /* bytes of the answer's body, unpacked */
	bool alone;        /* on a connection made for it, as whatever is no GET is anyway */
	/* Not to this machine, nor to what is on its link only, whatever name leads there, unless the option
	 * allow_local lists the address: for URLs by which data goes out, so that none leads back into our own sockets.
	 */
	bool guarded;
};

struct http_transfer;
/* Once, from the loop, never from within http_send(). From it every function here may be called. */
typedef void (*http_done)(void *arg, const struct http_answer *answer);

/* Everything in `request` is copied. 0, or negative and no done(): -EINVAL: URL or header cannot be, -ENOMEM, -EPIPE.
 * *ret_transfer is for http_cancel() and is valid until done(); NULL is fine. */
int http_send(struct http *http, const struct http_request *request, http_done done, void *arg,
	      struct http_transfer **ret_transfer);
void http_cancel(struct http_transfer *transfer); /* no done() after it; NULL is fine */

/* `503 Service Unavailable`, or the bare number. */
const char *http_status_text(int status, char buffer[64]);
/* The value of a header Retry-After, seconds or an HTTP date (RFC 9110, section 10.2.3): ns from `wall` on, at most an
 * hour, 0 if it is past or cannot be read. */
int64_t http_retry_after(const char *value, size_t length, int64_t wall);

#endif
