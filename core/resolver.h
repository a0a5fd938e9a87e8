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
void resolver_free(struct resolver *resolver); /* waits for nobody */
/* The answer comes through `box`; contract in callwatch/plugin.h. */
int resolver_ask(struct resolver *resolver, struct mailbox *box, const char *host, uint16_t port, cw_resolved done,
		 void *arg, struct cw_resolve **ret_resolve);
void resolver_cancel(struct cw_resolve *resolve);

#endif
