/* SPDX-License-Identifier: MIT
 *
 * See clock.h. One pointer decides which clocks are asked; it changes only in single-threaded tests.
 */
#include "clock.h"

#include <stddef.h>

static const struct clock_source *source;

static int64_t read_clock(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now); /* cannot fail for these clocks on any kernel that runs systemd */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_now(void)
{
	return source ? source->now() : read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall(void)
{
	return source ? source->wall() : read_clock(CLOCK_REALTIME);
}

int64_t clock_awake(void)
{
	return source ? source->awake() : read_clock(CLOCK_MONOTONIC);
}

/* Never from a test's source: the kernel waits, and it knows nothing of that. */
struct timespec clock_deadline(int64_t wait)
{
	int64_t at = read_clock(CLOCK_MONOTONIC) + (wait > 0 ? wait : 0);
	return (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

void clock_set_source(const struct clock_source *new_source)
{
	source = new_source;
}
