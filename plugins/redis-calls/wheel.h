/* SPDX-License-Identifier: MIT
 *
 * Deadlines of calls, in a wheel of buckets of one second. A call is in at most one bucket; filing and taking out cost
 * the same however many there are. The links live in the caller's array, whose element i is call i.
 *
 * It is lazy: a heartbeat does not move the call, its bucket falls due, is looked at, and is filed anew. So a beat
 * costs nothing here. What is due waits in one list, from which the caller takes as many as it can handle.
 */
#ifndef REDIS_CALLS_WHEEL_H
#define REDIS_CALLS_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_BUCKETS = 256 }; /* seconds; what is later is looked at once on the way */

struct wheel_link {
	uint32_t next, prev; /* prev: another call, or a list with the top bit set; all ones: in no list */
};

struct wheel {
	uint32_t heads[WHEEL_BUCKETS + 1]; /* the last is the list of what is due */
	int64_t second;                    /* buckets up to this one have been emptied */
	void *links;
	uint32_t stride;
};

void wheel_init(struct wheel *wheel, int64_t now);
/* The array may move as it grows. */
void wheel_rebase(struct wheel *wheel, void *links, uint32_t stride);
void wheel_link_init(struct wheel_link *link);
bool wheel_has(const struct wheel *wheel, uint32_t i);
void wheel_file(struct wheel *wheel, uint32_t i, int64_t instant); /* moves it if it is filed elsewhere */
void wheel_file_due(struct wheel *wheel, uint32_t i);
void wheel_take(struct wheel *wheel, uint32_t i); /* out of whatever list; in none is fine */
/* Everything up to `now` goes to the list of what is due. */
void wheel_advance(struct wheel *wheel, int64_t now);
/* The next that is due, taken out; false: none. */
bool wheel_pop(struct wheel *wheel, uint32_t *ret_i);

#endif
