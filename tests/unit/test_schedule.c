/* SPDX-License-Identifier: MIT
 *
 * The schedule against turned clocks: alignment, lateness, steps of the wall clock, pauses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule.h"

#define S ((int64_t)1000000000)
#define W (1800000000 * S) /* a wall time that is a multiple of 10 s */

static void first_tick__is_aligned_and_half_an_interval_away(void **state)
{
	(void)state;
	struct schedule schedule;
	schedule_init(&schedule, 10 * S, 0, 500 * S, W + 2 * S);
	assert_int_equal(schedule.due_wall, W + 10 * S);
	assert_int_equal(schedule.due, 508 * S);
	schedule_init(&schedule, 10 * S, 0, 500 * S, W + 7 * S);
	assert_int_equal(schedule.due_wall, W + 20 * S);
}

static void phase__moves_every_tick(void **state)
{
	(void)state;
	struct schedule schedule;
	uint64_t missed;
	schedule_init(&schedule, 10 * S, 3 * S, 0, W);
	assert_int_equal(schedule.due_wall, W + 13 * S);
	assert_int_equal(schedule_tick(&schedule, 13 * S, W + 13 * S, &missed), W + 13 * S);
	assert_int_equal(schedule.due_wall, W + 23 * S);
}

static void ticks__are_absolute__lateness_does_not_add_up(void **state)
{
	(void)state;
	struct schedule schedule;
	uint64_t missed;
	schedule_init(&schedule, S, 0, 0, W);
	for (int64_t i = 1; i < 1000; i++) {
		int64_t late = (i * 7919) % (S / 2);
		assert_int_equal(schedule.due, i * S);
		assert_int_equal(schedule_tick(&schedule, i * S + late, W + i * S + late, &missed), W + i * S);
		assert_int_equal(missed, 0);
	}
}

static void pause__gives_one_tick_and_counts_the_rest(void **state)
{
	(void)state;
	struct schedule schedule;
	uint64_t missed;
	schedule_init(&schedule, S, 0, 0, W);
	assert_int_equal(schedule_tick(&schedule, 60 * S + S / 4, W + 60 * S + S / 4, &missed), W + 60 * S);
	assert_int_equal(missed, 59);
	assert_int_equal(schedule.due, 61 * S);
}

static void wall_stepped__is_aligned_anew_without_a_burst(void **state)
{
	(void)state;
	static const int64_t steps[] = {3600 * S + 300000000, -3600 * S + 300000000, 86400 * S, -S / 2, S / 2};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct schedule schedule;
		uint64_t missed;
		schedule_init(&schedule, 10 * S, 0, 0, W);
		int64_t wall = W + 10 * S + steps[i];
		int64_t time = schedule_tick(&schedule, 10 * S, wall, &missed);
		assert_int_equal(missed, 0);
		assert_int_equal(time % (10 * S), 0);
		assert_true(time <= wall && wall - time < 10 * S);
		assert_true(schedule.due > 10 * S && schedule.due <= 20 * S);
		assert_int_equal(schedule.due_wall, time + 10 * S);
	}
}

static void early_by_timer_slack__is_the_same_tick_not_two(void **state)
{
	(void)state;
	struct schedule schedule;
	uint64_t missed;
	schedule_init(&schedule, 10 * S, 0, 0, W);
	assert_int_equal(schedule_tick(&schedule, 10 * S - 900000, W + 10 * S - 900000, &missed), W + 10 * S);
	assert_int_equal(schedule.due, 20 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_tick__is_aligned_and_half_an_interval_away),
		cmocka_unit_test(phase__moves_every_tick),
		cmocka_unit_test(ticks__are_absolute__lateness_does_not_add_up),
		cmocka_unit_test(pause__gives_one_tick_and_counts_the_rest),
		cmocka_unit_test(wall_stepped__is_aligned_anew_without_a_burst),
		cmocka_unit_test(early_by_timer_slack__is_the_same_tick_not_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
