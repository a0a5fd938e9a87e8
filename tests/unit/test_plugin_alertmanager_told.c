/* SPDX-License-Identifier: MIT
 *
 * What plugin alertmanager knows of what it said: over looks, restarts, and files that are none.
 */
#include "alertmanager.h"

#include "keep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];

static const struct keyed_hash one = {{1, 1}}, two = {{2, 2}};

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/test_told.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[96];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void what_was_said__is_said_though_it_is_muted_until_it_ends(void **state)
{
	(void)state;
	struct told told = {0};
	assert_int_equal(told_init(&told, NULL, 0), 0);
	assert_true(told_say(&told, one, /* is_muted */ false));
	assert_false(told_say(&told, two, true));
	assert_int_equal(told_end(&told, 1), 0);
	assert_true(told_say(&told, one, true));
	assert_int_equal(told_end(&told, 2), 0);
	assert_int_equal(told_end(&told, 3), 0); /* it was not met: it has ended */
	assert_false(told_say(&told, one, true));
	told_release(&told);
}

static void what_an_earlier_life_said__is_known_though_alerts_come_later(void **state)
{
	(void)state;
	struct told told = {0}, next = {0}, last = {0};
	assert_int_equal(told_init(&told, folder, 0), 0);
	assert_true(told_say(&told, one, false));
	assert_true(told_say(&told, two, false));
	assert_int_equal(told_end(&told, 1), 0);
	told_release(&told);
	assert_int_equal(told_init(&next, folder, 0), 0);
	for (int look = 0; look < 5; look++) /* the journal is not read yet: there is no alert */
		assert_int_equal(told_end(&next, look * CW_SECOND), 0);
	assert_true(told_say(&next, one, true));
	assert_int_equal(told_end(&next, 3600 * CW_SECOND), 0);
	assert_false(told_say(&next, two, true));
	told_release(&next);
	assert_int_equal(told_init(&last, folder, 0), 0);
	assert_true(told_say(&last, one, true));
	assert_false(told_say(&last, two, true));
	told_release(&last);
}

static void a_file_that_is_none__is_set_aside(void **state)
{
	(void)state;
	struct told told = {0};
	uint8_t *bytes = NULL;
	size_t length;
	assert_int_equal(keep_write(folder, "said", "no hashes of sixteen bytes each", 31, false), 0);
	assert_int_equal(told_init(&told, folder, 0), -EBADMSG);
	assert_false(told_say(&told, one, true));
	assert_true(told_say(&told, one, false));
	assert_int_equal(told_end(&told, 1), 0);
	told_release(&told);
	assert_int_equal(keep_read(folder, "said.damaged", 100, &bytes, &length), 0);
	free(bytes);
	assert_int_equal(told_init(&told, folder, 0), 0);
	assert_true(told_say(&told, one, true));
	told_release(&told);
}

static void what_cannot_be_written__is_tried_again(void **state)
{
	(void)state;
	char file[128];
	struct told told = {0};
	snprintf(file, sizeof file, "%s/none", folder);
	FILE *blocks = fopen(file, "w");
	assert_non_null(blocks);
	fclose(blocks);
	assert_int_equal(told_init(&told, file, 0), -ENOTDIR);
	assert_true(told_say(&told, one, false));
	assert_true(told_end(&told, 1) < 0);
	assert_true(told_say(&told, one, false));
	assert_true(told_end(&told, 2) < 0);
	assert_int_equal(remove(file), 0);
	assert_true(told_say(&told, one, false));
	assert_int_equal(told_end(&told, 3), 0);
	told_release(&told);
	assert_int_equal(told_init(&told, file, 0), 0);
	assert_true(told_say(&told, one, true));
	told_release(&told);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_said__is_said_though_it_is_muted_until_it_ends),
		TEST(what_an_earlier_life_said__is_known_though_alerts_come_later),
		TEST(a_file_that_is_none__is_set_aside),
		TEST(what_cannot_be_written__is_tried_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
