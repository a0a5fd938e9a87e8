/* SPDX-License-Identifier: MIT
 *
 * Who asks, where a listener wants to know it: users by HTTP Basic, tokens by Bearer. Private to the plugin web.
 *
 * A token is looked up at once. A password takes tens of milliseconds and megabytes, so it is tried on a thread of
 * libuv's, one at a time, while the exchange waits; one that was right is known for 5 minutes. Who fails ten times must
 * wait, longer each time: an address, or a network of IPv6 as one client has it. What is right by what is known without
 * trying is never made to wait, and the same wrong secret said again is no further guess.
 */
#ifndef CALLWATCH_WEB_ACCESS_H
#define CALLWATCH_WEB_ACCESS_H

#include "credentials.h"
#include "web.h"

void access_check(const struct cw_value *values, struct cw_problems *problems); /* users, tokens */
bool access_is_configured(const struct cw_value *values);                       /* is there anybody? */

int access_start(struct web *web, const struct cw_value *values); /* borrows the values. -ENOMEM */
void access_stop(struct web *web);                                /* nobody waits any more */
void access_release(struct web *web);                             /* when the loop ran out */

enum access_verdict {
	ACCESS_KNOWN,    /* the exchange has its role, or the reason why not */
	ACCESS_ANSWERED, /* 429 or 503 */
	ACCESS_LATER,    /* route_enter() will be called once it is known */
};

/* Finds out the role of who asks. */
enum access_verdict access_ask(struct exchange *exchange, const struct credentials *credentials);
const char *access_challenge(const struct web *web); /* for WWW-Authenticate */

/* Keys of endpoints, which the core compares. People choose them, so who guessed wrong waits with the right one too:
 * else the wait would keep nobody from trying on. */
bool access_must_wait(struct exchange *exchange); /* true: 429 is answered */
void access_note_wrong_key(struct exchange *exchange);

#endif
