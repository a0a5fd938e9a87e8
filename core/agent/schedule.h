/* SPDX-License-Identifier: MIT
 *
 * When an instance reads: absolute ticks, aligned in wall time, never replayed. Pure: the caller brings both clocks.
 * Private to the core.
 *
 * A tick stands at a wall time that is a multiple of the interval (plus a fixed phase), because samples of many hosts
 * are to meet in the same second; it is *waited for* on the instant clock, because that one never jumps. After a step
 * of the wall clock the next tick is aligned anew; after a pause (a blocked loop, SIGSTOP, suspend) there is one tick
 * and the others are only counted.
 */
#ifndef CALLWATCH_CORE_SCHEDULE_H
#define CALLWATCH_CORE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	int64_t interval, phase; /* ns; 0 ≤ phase < interval */
	int64_t due;             /* instant of the next tick */
	int64_t due_wall;        /* wall time it stands for */
};

/* A reading is under way at once; the first tick is the first aligned time at least half an interval away. */
void schedule_init(struct schedule *schedule, int64_t interval, int64_t phase, int64_t now, int64_t wall);
/* The tick has come (now ≥ due): gives the wall time its samples carry and how many ticks before it were missed, and
 * moves on to the next one, which is always in the future. */
int64_t schedule_tick(struct schedule *schedule, int64_t now, int64_t wall, uint64_t *ret_missed);

#endif
