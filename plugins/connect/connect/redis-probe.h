/* SPDX-License-Identifier: MIT
 *
 * The first rungs of `callwatch doctor` for a plugin that speaks to a Redis: is the name known, can it be connected to,
 * does TLS agree, does it let us in. They are tried afresh on a short-lived connection of the doctor's own, so that the
 * plugin's own work is not touched; what the plugin wants to try further goes over the same connection.
 *
 * The plugin puts REDIS_CHECKS first in its table of checks and passes these on; one thread, as redis.h.
 */
#ifndef CALLWATCH_CONNECT_REDIS_PROBE_H
#define CALLWATCH_CONNECT_REDIS_PROBE_H

#include "connect/redis.h"

enum { REDIS_CHECK_NAME, REDIS_CHECK_TCP, REDIS_CHECK_TLS, REDIS_CHECK_AUTH, REDIS_CHECKS_COUNT };

#define REDIS_CHECKS                                                                                                   \
	{"name", "The host's name leads to an address"}, {"tcp", "Redis can be connected to"},                         \
		{"tls", "The server proves who it is, where the address asks for TLS"},                                \
	{                                                                                                              \
		"auth", "Redis lets us in, to the right database"                                                      \
	}

struct redis_probe {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct redis_address *address; /* borrowed, as the two below */
	const char *username, *password;
	struct redis *redis; /* NULL: none, or it failed */
	enum redis_step reached;
	int64_t at[REDIS_STEPS];      /* instants */
	int check;                    /* one of the above that waits for its answer, -1: none */
	int64_t used;                 /* instant of the last question */
	char broken[REDIS_ERROR_MAX]; /* why it failed */
	uint64_t commands;            /* of connections that are closed */
};

void redis_probe_init(struct redis_probe *probe, struct cw_instance *self, const struct cw_host *host,
		      const struct redis_address *address, const char *username, const char *password);
/* One of the checks above; the verdict goes to host->examined(). The first one connects anew. */
void redis_probe_examine(struct redis_probe *probe, uint32_t check);
/* What further checks ask with; NULL, with the verdict told, if it is not up any more. */
struct redis *redis_probe_connection(struct redis_probe *probe);
void redis_probe_tick(struct redis_probe *probe);  /* each second: gives up what takes too long, closes what is idle */
void redis_probe_close(struct redis_probe *probe); /* at the plugin's stop at the latest */

#endif
