/* SPDX-License-Identifier: MIT
 *
 * How sources reach lookups: struct cw_lookup, a source's *way* to the lookup of a name, and the registry in which both
 * ends meet. Private to the core.
 *
 * Asks and answers are mail between the two actors; the registry knows only who is there: under which name a lookup
 * serves, and which ways lead to that name. A way is to a name, not to a lookup: the lookup may come later, go and come
 * back, and nobody's options or order of start matter. An answer goes down every way to the name, copied once.
 *
 * Bounded: what is under way on one way is at most LOOKUP_ASKED_MAX and LOOKUP_ANSWERED_MAX bytes. An end that does not
 * read (stuck, or abandoned) costs that much memory and nobody any time: more asks are refused, more answers left out,
 * which both are asked for again.
 */
#ifndef CALLWATCH_CORE_LOOKUP_H
#define CALLWATCH_CORE_LOOKUP_H

#include "callwatch/plugin.h"
#include "mailbox.h"

enum { LOOKUP_ASKED_MAX = 1 << 20, LOOKUP_ANSWERED_MAX = 16 << 20 };

struct lookups;
struct lookups *lookups_new(void); /* NULL: no memory */
/* When nobody serves and no way is open. NULL is fine. */
void lookups_free(struct lookups *lookups);

/* The lookup's end. From now on the asks for `name` are posted to `box`, whose owner is given asked(); of several who
 * serve a name (one of them was left behind) the latest counts. `name` and `box` are copied, referenced. -ENOMEM. */
typedef void (*lookup_asked)(void *owner, const char *const *keys, uint32_t n);
int lookups_serve(struct lookups *lookups, const char *name, struct mailbox *box, lookup_asked asked);
void lookups_leave(struct lookups *lookups, const struct mailbox *box); /* any thread; who does not serve: nothing */
/* Any thread. Keys longer than CW_LOOKUP_KEY_MAX are left out, longer values cut at CW_LOOKUP_VALUE_MAX. */
void lookups_answer(struct lookups *lookups, const char *name, const struct cw_answer *answers, uint32_t n);

/* The source's end, on the thread that drains `box`; contract in callwatch/plugin.h. */
int lookup_open(struct lookups *lookups, const char *name, struct mailbox *box,
		void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n), void *arg,
		struct cw_lookup **ret_way);
int lookup_ask(struct cw_lookup *way, const char *const *keys, uint32_t n);
void lookup_close(struct cw_lookup *way);
/* Those that a plugin left open. */
void lookups_close_ways(struct lookups *lookups, const struct mailbox *box);

#endif
