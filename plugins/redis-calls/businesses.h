/* SPDX-License-Identifier: MIT
 *
 * Calls per business, for `breakdown`: names are counted while they have calls, and forgotten when they have none.
 */
#ifndef REDIS_CALLS_BUSINESSES_H
#define REDIS_CALLS_BUSINESSES_H

#include <stddef.h>
#include <stdint.h>

struct businesses;

struct businesses *businesses_new(void);
void businesses_free(struct businesses *businesses); /* NULL is fine */
/* Call `row` belongs to `name` from now on; NULL: to none, or it ended. 0 or -ENOMEM. `hash`: keyed, of the name. */
int businesses_set(struct businesses *businesses, uint32_t row, const char *name, size_t length, uint64_t hash);
/* The `top` with most calls, most first, in name order where equal; then the calls of all others as name NULL. `total`:
 * calls in all, those of no business included. */
void businesses_top(const struct businesses *businesses, uint32_t top, uint64_t total,
		    void (*business)(void *arg, const char *name, uint64_t calls), void *arg);

#endif
