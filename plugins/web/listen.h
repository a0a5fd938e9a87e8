/* SPDX-License-Identifier: MIT
 *
 * Listeners: our own, because libwebsockets' would unlink a living socket and stay open after they were destroyed.
 * Private to the plugin web.
 *
 * A listener that cannot open (somebody else listens there, no such directory) tries again; the instance's state says
 * why. Only UNIX sockets so far; another family is another open function here.
 */
#ifndef CALLWATCH_WEB_LISTEN_H
#define CALLWATCH_WEB_LISTEN_H

#include "web.h"

/* Is this an item of `listen` that can be served? NULL, or a sentence that says why not. */
const char *listen_check(const char *address);

/* Makes and opens all; *ret belongs to the web until listeners_free(). The addresses are borrowed. */
int listeners_start(struct web *web, const struct cw_value *items);
void listeners_stop(struct web *web); /* closes the handles, unlinks the sockets that are still ours */
void listeners_free(struct web *web); /* when the loop ran out */

#endif
