/* SPDX-License-Identifier: MIT
 *
 * The only place that asks for time. Everything else takes an instant or a wall time from here, so that a test can turn
 * the clock. Private to the core.
 *
 * Instants are CLOCK_BOOTTIME: ages go on growing while the machine sleeps. What must not count sleep (is this thread
 * making progress?) compares clock_now() with clock_awake().
 */
#ifndef CALLWATCH_CORE_CLOCK_H
#define CALLWATCH_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_now(void);   /* instant, ns; any thread */
int64_t clock_wall(void);  /* ns since 1970 UTC; any thread */
int64_t clock_awake(void); /* CLOCK_MONOTONIC, ns: stands still in suspend; any thread */
/* When a wait that may last this long is over, for a condition on CLOCK_MONOTONIC; 0 or less: at once. */
struct timespec clock_deadline(int64_t wait);

/* Tests only: what the three return from now on; NULL: the real clocks again. Not while other threads run. */
struct clock_source {
	int64_t (*now)(void);
	int64_t (*wall)(void);
	int64_t (*awake)(void);
};
void clock_set_source(const struct clock_source *source);

#endif
