/* SPDX-License-Identifier: MIT
 *
 * plugins/web: the parameters of a request.
 */
#include "params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct param known[] = {{.name = "where", .repeats = true}, {.name = "limit"}, {.name = "watch"}, {0}};
static const struct param none[] = {{0}};

static void params__are_kept_in_order(void **state)
{
	struct params params = {0};
	char error[PARAMS_ERROR_MAX];
	const char *values[PARAM_REPEAT_MAX];
	uint64_t count = 7;
	bool live = true;
	(void)state;
	assert_int_equal(params_add(&params, known, "where=a=b=c", 11, error), 0);
	assert_int_equal(params_add(&params, known, "where=", 6, error), 0);
	assert_int_equal(params_add(&params, known, "limit=12", 8, error), 0);
	assert_int_equal(params_all(&params, "where", values), 2);
	assert_string_equal(values[0], "a=b=c");
	assert_string_equal(values[1], "");
	assert_string_equal(params_get(&params, "limit"), "12");
	assert_null(params_get(&params, "watch"));
	assert_int_equal(params_count(&params, "limit", &count, error), 0);
	assert_int_equal(count, 12);
	assert_int_equal(params_bool(&params, "watch", &live, error), 0);
	assert_true(live); /* not given: as it was */
	params_release(&params);
}

static void wrong_params__are_named(void **state)
{
	static const struct {
		const struct param *known;
		const char *text;
		size_t length;
		const char *error;
	} cases[] = {
		{known, "x=1", 3, "unknown parameter \"x\"; known are where, limit, watch"},
		{none, "x=1", 3, "unknown parameter \"x\"; this path takes none"},
		{known, "", 0, "unknown parameter \"\"; known are where, limit, watch"},
		{known, "LIMIT=1", 7, "unknown parameter \"LIMIT\"; known are where, limit, watch"},
		{known, "a\x1b[2J=1", 7, "unknown parameter \"a\\x1b[2J\"; known are where, limit, watch"},
		{known, "limit", 5, "parameter \"limit\" has no value"},
		{known, "limit=\xff", 7, "parameter \"limit\" is not UTF-8 text"},
		{known, "limit=1\0", 8, "parameter \"limit\" is not UTF-8 text"},
		{known, "watch=1", 7, "parameter \"watch\" is given twice"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct params params = {0};
		char error[PARAMS_ERROR_MAX] = "";
		assert_int_equal(params_add(&params, known, "watch=true", 10, error), 0);
		assert_int_equal(params_add(&params, cases[i].known, cases[i].text, cases[i].length, error), -EINVAL);
		assert_string_equal(error, cases[i].error);
		assert_int_equal(params.count, 1);
		params_release(&params);
	}
}

static void values__that_do_not_fit__are_refused(void **state)
{
	static const char *const counts[] = {"limit=",   "limit=x",  "limit=-1",
					     "limit=1x", "limit=1 ", "limit=1234567890123"};
	static const char *const bools[] = {"watch=", "watch=1", "watch=TRUE", "watch=truee"};
	char error[PARAMS_ERROR_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		struct params params = {0};
		uint64_t count = 7;
		assert_int_equal(params_add(&params, known, counts[i], strlen(counts[i]), error), 0);
		assert_int_equal(params_count(&params, "limit", &count, error), -EINVAL);
		assert_int_equal(count, 7);
		params_release(&params);
	}
	for (size_t i = 0; i < sizeof bools / sizeof bools[0]; i++) {
		struct params params = {0};
		bool live = false;
		assert_int_equal(params_add(&params, known, bools[i], strlen(bools[i]), error), 0);
		assert_int_equal(params_bool(&params, "watch", &live, error), -EINVAL);
		params_release(&params);
	}
}

static void too_many__are_refused(void **state)
{
	struct params params = {0};
	char error[PARAMS_ERROR_MAX];
	(void)state;
	for (int i = 0; i < PARAM_REPEAT_MAX; i++)
		assert_int_equal(params_add(&params, known, "where=a", 7, error), 0);
	assert_int_equal(params_add(&params, known, "where=a", 7, error), -EINVAL);
	assert_string_equal(error, "parameter \"where\" is given more than 16 times");
	params_release(&params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(params__are_kept_in_order),
		cmocka_unit_test(wrong_params__are_named),
		cmocka_unit_test(values__that_do_not_fit__are_refused),
		cmocka_unit_test(too_many__are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
