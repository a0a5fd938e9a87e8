/* SPDX-License-Identifier: MIT
 *
 * The businesses that have calls: how many each has, for `breakdown`, and what each is called, for `lookup`. One that
 * has no call any more is forgotten.
 *
 * For the lookup each is in one of three lists, in the order of `since`: it is to be asked for, has been asked for, or
 * is answered. Who asks (names.c) moves them.
 */
#ifndef REDIS_CALLS_BUSINESSES_H
#define REDIS_CALLS_BUSINESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum business_list { TO_ASK, ASKED, ANSWERED, BUSINESS_LISTS };

struct business {
	struct business *chain;           /* in its bucket */
	struct business *before, *behind; /* in its list */
	uint64_t hash, calls;
	int64_t since;    /* instant at which it came into its list */
	char *name;       /* NULL: it has none, or nobody knows */
	uint32_t changed; /* the walk over the rows that is to show its name */
	uint8_t list;
	bool is_label; /* may be named in a metric */
	char id[];
};

struct businesses {
	struct business **buckets;
	uint32_t buckets_count, count;
	struct business **of_row; /* NULL: none */
	uint32_t room;            /* of of_row */
	struct business *first[BUSINESS_LISTS], *last[BUSINESS_LISTS];
};

struct businesses *businesses_new(void);             /* NULL: no memory */
void businesses_free(struct businesses *businesses); /* NULL is fine */
/* Call `row` belongs to `id` from now on; NULL: to none, or it ended. 0 or -ENOMEM. `hash`: keyed, of the id. One that
 * is new is the last of TO_ASK. */
int businesses_set(struct businesses *businesses, uint32_t row, const char *id, size_t length, uint64_t hash,
		   bool is_label);
struct business *businesses_find(const struct businesses *businesses, const char *id, size_t length, uint64_t hash);
void businesses_move(struct businesses *businesses, struct business *business, enum business_list list, int64_t now);
/* The `top` with most calls, most first, in the order of ids where equal; then the calls of all others as id NULL.
 * `total`: calls in all, those of no business included. */
void businesses_top(const struct businesses *businesses, uint32_t top, uint64_t total,
		    void (*business)(void *arg, const char *id, uint64_t calls), void *arg);

#endif
