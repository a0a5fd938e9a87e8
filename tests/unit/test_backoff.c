/* SPDX-License-Identifier: MIT
 *
 * Pauses between tries: they double up to their longest, each from its upper half, and two that were seeded otherwise
 * do not keep step.
 */
#include "backoff.h"

#include "callwatch/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void pauses__double_up_to_the_longest_and_begin_anew(void **state)
{
	(void)state;
	static const int64_t seconds[] = {2, 4, 8, 16, 30, 30, 30};
	struct backoff backoff = {.random = 1};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
			int64_t pause = backoff_next(&backoff);
			assert_in_range(pause, seconds[i] * CW_SECOND / 2, seconds[i] * CW_SECOND);
		}
		backoff_reset(&backoff);
	}
	backoff = (struct backoff){.longest = 8 * CW_SECOND, .failures = UINT32_MAX};
	assert_in_range(backoff_next(&backoff), 4 * CW_SECOND, 8 * CW_SECOND);
	assert_int_equal(backoff.failures, UINT32_MAX);
}

static void shares__are_spread_over_all_from_0_to_1_and_are_no_failure(void **state)
{
	(void)state;
	enum { TRIES = 1000 };
	struct backoff backoff = {.random = 0}; /* as good as any */
	int tenths[10] = {0};
	for (int i = 0; i < TRIES; i++) {
		double share = backoff_share(&backoff);
		assert_true(share >= 0 && share <= 1);
		tenths[share < 1 ? (int)(share * 10) : 9]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], TRIES / 20, TRIES / 5);
	assert_int_equal(backoff.failures, 0);
}

static void two__do_not_keep_step(void **state)
{
	(void)state;
	struct backoff one = {.random = 1}, other = {.random = 2};
	int same = 0;
	for (int i = 0; i < 100; i++)
		same += backoff_next(&one) == backoff_next(&other);
	assert_in_range(same, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses__double_up_to_the_longest_and_begin_anew),
		cmocka_unit_test(shares__are_spread_over_all_from_0_to_1_and_are_no_failure),
		cmocka_unit_test(two__do_not_keep_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
