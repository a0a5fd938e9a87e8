/* SPDX-License-Identifier: MIT
 *
 * A way to a host and port: the name is looked up, its addresses are tried in order, 3 s each, and the connected socket
 * is handed over. Once; who wants it again dials again. For plugins (static library connect-dial); everything runs on
 * the instance's thread.
 *
 * A UDP socket is connected too, so that it hears when a host says that nobody listens there.
 */
#ifndef CALLWATCH_CONNECT_DIAL_H
#define CALLWATCH_CONNECT_DIAL_H

#include "address.h"
#include "callwatch/plugin.h"

enum { DIAL_DEADLINE_S = 3, DIAL_REASON_MAX = 512 };

struct dial;

/* fd ≥ 0: connected, non-blocking, close-on-exec, and the callee's to close; `text` is the address it is connected to,
 * as people write it. fd < 0: `text` says why not, with the name or address it was tried on. Borrowed for the call. */
typedef void (*dial_done)(void *arg, int fd, const char *text);

/* Begins; done() is called once, from the loop, unless dial_cancel() comes before. `address` is copied. 0 or -ENOMEM.
 */
int dial_start(struct cw_instance *self, const struct cw_host *host, const struct address *address, bool udp,
	       dial_done done, void *arg, struct dial **ret_dial);
/* No done() after it. Memory goes when the loop has closed the handles. NULL is fine. */
void dial_cancel(struct dial *dial);

/* In the words of people: `connection refused`. status: a negative errno. */
const char *dial_reason(int status);

#endif
