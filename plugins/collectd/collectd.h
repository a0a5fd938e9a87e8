/* SPDX-License-Identifier: MIT
 *
 * Output `collectd`, the map of it.
 *
 *     collectd.c   the descriptor, its options, which of the two ways is taken
 *     unixsock.c   way one: PUTVAL lines to collectd's UNIX socket; each is answered, so the books are exact
 *                  (what it answers is taken apart by connect/collectd-replies.h)
 *     network.c    way two: packets to collectd's network plugin; nothing is answered, so they are paced
 *       packet.c   values in packets
 *       seal.c     packets signed or encrypted
 *
 * What a sample is called in collectd, and as which type, is plugins/format/format_collectd.h, for both ways.
 */
#ifndef CALLWATCH_COLLECTD_COLLECTD_H
#define CALLWATCH_COLLECTD_COLLECTD_H

#include "callwatch/plugin.h"

/* The rungs of `callwatch doctor`, for both ways. */
enum { CHECK_FOUND, CHECK_CONNECT, CHECK_ANSWERS, CHECKS };

/* A way to collectd; each function is the callback of struct cw_plugin of that name, with the way's own state. */
struct way {
	int (*start)(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		     void **ret_state);
	int (*write)(void *state, const struct cw_batch *batch);
	void (*examine)(void *state, uint32_t check);
	void (*stop)(void *state);
	void (*release)(void *state);
};

extern const struct way unixsock_way, network_way;

enum { NETWORK_PORT = 25826 }; /* of collectd */

#endif
