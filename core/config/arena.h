/* SPDX-License-Identifier: MIT
 *
 * Memory that is taken in small pieces and given back all at once: trees of configuration. Wiped when it is freed,
 * because a configuration may hold a password anywhere. Private to the core.
 */
#ifndef CALLWATCH_CORE_ARENA_H
#define CALLWATCH_CORE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena); /* NULL is fine */
/* Zeroed and aligned for anything. Never NULL: running out of memory over a configuration of at most some megabytes
 * ends the process with a sentence, as there is nothing left to go on with. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_text(struct arena *arena, const char *text, size_t length); /* a copy, NUL-terminated */

#endif
