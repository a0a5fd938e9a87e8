/* SPDX-License-Identifier: MIT
 *
 * The connection to Redis: commands are pipelined and their replies counted, not kept. When Redis goes away what is in
 * the pipeline is lost, as it would be for the platform; the link tries again by itself, twice a second, and says so.
 */
#ifndef CALLSIM_LINK_H
#define CALLSIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redisContext;

struct link {
	const char *url;
	struct redisContext *context; /* NULL: not connected */
	unsigned pending;
	int64_t next_try_us;
	uint64_t sent, refused, lost; /* commands: written, answered by an error, lost with a connection */
	char error[160];              /* of the last failure */
};

/* redis://[:password@]host[:port][/db] or unix:///path[?db=N]; without a password in it, $REDISCLI_AUTH if set. */
int link_open(struct link *link, const char *url);
void link_close(struct link *link);
/* Reconnects if it is time; true if connected. */
bool link_ready(struct link *link);
enum { LINK_PATIENCE_S = 2 };
/* How long one answer may take, LINK_PATIENCE_S at first: a frozen Redis must not freeze the commands on stdin for
 * long, but half a gigabyte takes its time. */
void link_patience(struct link *link, int seconds);
/* Queues one command; lengths may be NULL. Sends by itself when enough have gathered. */
void link_command(struct link *link, int argc, const char **argv, const size_t *lengths);
/* Sends what is queued and takes all replies. */
void link_flush(struct link *link);

int64_t now_us(void);       /* Unix time */
int64_t monotonic_us(void); /* for schedules */

#endif
