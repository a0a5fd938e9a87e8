/* SPDX-License-Identifier: MIT
 *
 * The UNIX socket of collectd's plugin `unixsock`: is its path one, and why can it not be reached? In words, for the
 * plugins that speak to it (static library connect-collectd).
 */
#ifndef CALLWATCH_CONNECT_COLLECTD_SOCKET_H
#define CALLWATCH_CONNECT_COLLECTD_SOCKET_H

#include "callwatch/option.h"

/* For a plugin's check(): the option `socket`. */
void collectd_socket_check(const struct cw_value *socket, struct cw_problems *problems);
/* What an error on the way to the socket means, and what to do about it. status: of libuv, or -EBADMSG: what it answers
 * is not collectd's. */
void collectd_socket_explain(const char *path, int status, char *reason, size_t size);

#endif
