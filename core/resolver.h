/* SPDX-License-Identifier: MIT
 *
 * Name look-ups that block nobody: two threads of their own (not libuv's pool, where two slow ones delay everybody), 3
 * s, a cache of 60 s (5 s for failures). An answer after its time is kept for the next who asks. Private to the core.
 */
#ifndef CALLWATCH_CORE_RESOLVER_H
#define CALLWATCH_CORE_RESOLVER_H

#include "callwatch/plugin.h"
#include "mailbox.h"

struct resolver;
struct resolver *resolver_new(void);
/* For tests: another look-up, another deadline. A look-up may block; it gives 0 and *ret_n ≤ max addresses without
 * ports, or a negative errno. */
typedef int (*resolver_lookup)(const char *host, struct sockaddr_storage *addresses, uint32_t max, uint32_t *ret_n);
struct resolver *resolver_new_with(resolver_lookup lookup, int64_t deadline);
/* Waits for nobody; who still waits for an answer gets none. NULL is fine. */
void resolver_free(struct resolver *resolver);
/* The answer comes through `box`, on the thread that drains it and never before this returned; contract in
 * callwatch/plugin.h. resolver_cancel() is called on that thread too. -EINVAL: no host name; -ENOMEM. */
int resolver_ask(struct resolver *resolver, struct mailbox *box, const char *host, uint16_t port, cw_resolved done,
		 void *arg, struct cw_resolve **ret_resolve);
void resolver_cancel(struct cw_resolve *resolve); /* NULL is fine */

#endif
