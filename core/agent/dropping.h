/* SPDX-License-Identifier: MIT
 *
 * That an output's samples are dropped for want of room is shown while it lasts, with its reason and since when, and
 * when it is over it is said once how many they were. So is what is wrong with its spool. Private to the instance.
 */
#ifndef CALLWATCH_CORE_DROPPING_H
#define CALLWATCH_CORE_DROPPING_H

#include <stdbool.h>
#include <stdint.h>

struct instance;

/* Own thread. */
struct dropping {
	uint64_t seen;   /* dropped until the last look … */
	uint64_t before; /* … and until what goes on now began */
	int64_t since;   /* wall time at which it began; 0: nothing is being dropped */
	int64_t last;    /* instant of the last look that saw more */
	bool by_spool;   /* it is the spool that is full */
};

void dropping_start(struct instance *self);
void dropping_beat(struct instance *self); /* each second */
void dropping_stop(struct instance *self);

#endif
