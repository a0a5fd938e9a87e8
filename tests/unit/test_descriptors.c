/* SPDX-License-Identifier: MIT
 *
 * How many descriptors are left, under a limit of this process.
 */
#include "descriptors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void what_is_left__is_told_and_given_back(void **state)
{
	(void)state;
	int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(lowest > 0);
	close(lowest);
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit few = {.rlim_cur = (rlim_t)lowest + 5, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(descriptors_are_left(5));
		assert_false(descriptors_are_left(6));
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(descriptors_are_left(DESCRIPTORS_MOST));
	assert_false(descriptors_are_left(DESCRIPTORS_MOST + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left__is_told_and_given_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
