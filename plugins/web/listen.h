/* SPDX-License-Identifier: MIT
 *
 * Listeners: our own, because libwebsockets' would unlink a living socket and stay open after they were destroyed.
 * Private to the plugin web.
 *
 * An address is `unix:/path` (listen_unix.c) or an address with a port (listen_tcp.c). A listener that cannot open
 * (somebody else listens there, no such directory, no such address yet) tries again; the instance's state says why.
 */
#ifndef CALLWATCH_WEB_LISTEN_H
#define CALLWATCH_WEB_LISTEN_H

#include "web.h"

/* The option `listen`, with those that say who may come in: what cannot be served, or must not be. */
void listen_check(const struct cw_value *values, struct cw_problems *problems);

/* Makes and opens all; they belong to the web until listeners_free(). The values are borrowed. */
int listeners_start(struct web *web, const struct cw_value *values);
void listeners_tick(struct web *web, int64_t now); /* each second */
void listeners_stop(struct web *web);              /* closes the handles, unlinks the sockets that are still ours */
void listeners_free(struct web *web);              /* when the loop ran out */

/* The name of a user of this machine, `user 4711` if he has none in /etc/passwd. */
void unix_user(uid_t uid, char *ret_name, size_t size);

#endif
