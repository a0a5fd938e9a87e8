/* SPDX-License-Identifier: MIT
 *
 * See schedule.h. Whether the wall clock was stepped is seen by comparing how far the two clocks went since the tick
 * was planned; up to STEP apart is slewing and timer slack, and keeps the planned time.
 */
#include "schedule.h"

static const int64_t step_ns = 100000000;

/* Largest aligned wall time ≤ wall; floors below 1970 too. */
static int64_t aligned_before(const struct schedule *schedule, int64_t wall)
{
	int64_t rest = (wall - schedule->phase) % schedule->interval;
	if (rest < 0)
		rest += schedule->interval;
	return wall - rest;
}

static void plan_at(struct schedule *schedule, int64_t due_wall, int64_t now, int64_t wall)
{
	schedule->due_wall = due_wall;
	schedule->due = now + (due_wall - wall);
}

void schedule_init(struct schedule *schedule, int64_t interval, int64_t phase, int64_t now, int64_t wall)
{
	*schedule = (struct schedule){.interval = interval, .phase = phase % interval};
	plan_at(schedule, aligned_before(schedule, wall + interval / 2) + interval, now, wall);
}

int64_t schedule_tick(struct schedule *schedule, int64_t now, int64_t wall, uint64_t *ret_missed)
{
	int64_t late = now > schedule->due ? now - schedule->due : 0;
	int64_t expected_wall = schedule->due_wall + (now - schedule->due);
	int64_t missed = late / schedule->interval;
	bool stepped = wall - expected_wall > step_ns || expected_wall - wall > step_ns;
	int64_t time = stepped ? aligned_before(schedule, wall) : schedule->due_wall + missed * schedule->interval;
	plan_at(schedule, time + schedule->interval, now, wall);
	if (schedule->due <= now) /* slewed back by less than a step, at a very short interval */
		schedule->due = now + schedule->interval;
	*ret_missed = (uint64_t)missed;
	return time;
}
