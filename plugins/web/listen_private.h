/* SPDX-License-Identifier: MIT
 *
 * What listen.c shares with the two kinds of listeners. Private to listen*.c.
 */
#ifndef CALLWATCH_WEB_LISTEN_PRIVATE_H
#define CALLWATCH_WEB_LISTEN_PRIVATE_H

#include "listen.h"

#include "backoff.h"

#include <sys/stat.h>

enum { BACKLOG = 128, REASON_MAX = 256 };

struct listener {
	struct web *web;
	const char *address; /* as configured */
	struct door door;
	int descriptor; /* -1: not open */
	int reserve;    /* -1: not to be had */
	uv_poll_t poll;
	uv_timer_t timer; /* next try to open, or to accept again */
	bool poll_made;
	struct backoff backoff;
	char reason[REASON_MAX];
	int64_t next_try;
	/* of a UNIX socket */
	const char *path;
	struct stat identity; /* of the socket we made */
};

/* Makes `reason` the sentence; returns -error. */
int listener_fail(struct listener *listener, int error, const char *sentence);
int listener_fail_errno(struct listener *listener);

/* listen_unix.c */
const char *unix_check(const char *address);            /* NULL, or a sentence that says why it cannot be served */
int unix_open(struct listener *listener);               /* 0 with the descriptor, or negative with the reason */
bool unix_is_in_place(const struct listener *listener); /* the socket at its path is still the one we made */
void unix_unlink(struct listener *listener);            /* if it is still ours */
/* Who is at the other end; false: may not ask here. */
bool unix_peer(const struct listener *listener, int descriptor, struct peer *ret_peer);

/* listen_tcp.c */
int tcp_open(struct listener *listener);
/* The same; `sentence` says why not. */
bool tcp_peer(const struct listener *listener, int descriptor, struct peer *ret_peer, const char **ret_sentence);
bool tcp_has_room(const struct web *web, const struct peer *peer);

#endif
