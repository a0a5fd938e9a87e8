/* SPDX-License-Identifier: MIT
 *
 * The first three rungs of `callwatch doctor` for whoever talks HTTP: one request is sent, and how far it came decides
 * name, tcp and tls one after the other. What is beyond (does it let us in?) is the plugin's.
 */
#ifndef CALLWATCH_CONNECT_HTTP_RUNGS_H
#define CALLWATCH_CONNECT_HTTP_RUNGS_H

#include "http.h"

enum { HTTP_RUNG_NAME = 0, HTTP_RUNG_TCP = 1, HTTP_RUNG_TLS = 2, HTTP_RUNGS = 3 };

/* The first rows of a plugin's `checks`. */
#define HTTP_RUNGS_CHECKS                                                                                              \
	[HTTP_RUNG_NAME] = {"name", "The host's name leads to an address"},                                            \
	[HTTP_RUNG_TCP] = {"tcp", "It can be connected to"},                                                           \
	[HTTP_RUNG_TLS] = {"tls", "The server proves who it is, where the address asks for TLS"}

/* What an answer says about them. */
struct http_rungs {
	bool is_tls;
	enum http_end end;
	enum http_step step;
	int64_t certificate_ends; /* wall time; 0: not known */
	char reason[HTTP_REASON_MAX];
};

void http_rungs_take(struct http_rungs *rungs, const char *url, const struct http_answer *answer);
/* Tells host->examined() the verdict on one of the three. */
void http_rungs_say(const struct http_rungs *rungs, struct cw_instance *self, const struct cw_host *host,
		    uint32_t rung);

/* The last rung of a notifier: how what it sent last went. */
struct http_last {
	int64_t at; /* wall time; 0: nothing was sent yet */
	bool went_well;
	char reason[HTTP_REASON_MAX + 80]; /* or a remark, "" if there is none */
};
void http_last_set(struct http_last *last, const struct cw_host *host, bool went_well, const char *reason);
void http_last_say(const struct http_last *last, struct cw_instance *self, const struct cw_host *host);

#endif
