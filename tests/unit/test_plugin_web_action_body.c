/* SPDX-License-Identifier: MIT
 *
 * The JSON body of a request for an action: what it says, and each way to be wrong, with the member named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "action_body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct action_body body;
static char error[BODY_ERROR_MAX];

static int read_text(const char *text)
{
	*error = '\0';
	return action_body_read(&body, text, strlen(text), error);
}

static const char *argument(const char *name)
{
	for (uint32_t i = 0; i < body.spec.arguments_count; i++)
		if (strcmp(body.spec.arguments[i].name, name) == 0)
			return body.spec.arguments[i].text;
	return "(none)";
}

static void body__is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"arguments\":{\"mode\":\"reset\",\"rate\":50,\"share\":0.05,\"big\":1e6,"
				   "\"now\":true,\"not\":false},\"keys\":[\"a\",\"\xc3\xa4\"],\"dry_run\":true}"),
			 0);
	assert_string_equal(argument("mode"), "reset");
	assert_string_equal(argument("rate"), "50");
	assert_string_equal(argument("share"), "0.05");
	assert_string_equal(argument("big"), "1000000");
	assert_string_equal(argument("now"), "true");
	assert_string_equal(argument("not"), "false");
	assert_int_equal(body.spec.keys_count, 2);
	assert_string_equal(body.spec.keys[1], "\xc3\xa4");
	assert_true(body.spec.dry_run);
	assert_false(body.spec.all);
	assert_null(body.spec.plan);
	action_body_release(&body);
	assert_int_equal(read_text("{\"where\":[\"state=failed\"],\"plan\":\"p1\",\"all\":true}"), 0);
	assert_int_equal(body.spec.where_count, 1);
	assert_null(body.spec.keys);
	assert_string_equal(body.spec.plan, "p1");
	assert_true(body.spec.all);
	action_body_release(&body);
}

static void no_body__asks_for_no_more_than_the_action(void **state)
{
	(void)state;
	assert_int_equal(read_text(""), 0);
	assert_null(body.spec.keys);
	assert_int_equal(body.spec.arguments_count, 0);
	action_body_release(&body);
	assert_int_equal(read_text("{}"), 0);
	action_body_release(&body);
}

/* An empty list of keys is said, and is not the same as none. */
static void no_keys__are_said(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"keys\":[]}"), 0);
	assert_non_null(body.spec.keys);
	assert_int_equal(body.spec.keys_count, 0);
	action_body_release(&body);
}

static void wrong_body__is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"{", "is no JSON"},
		{"[]", "is a JSON object"},
		{"{\"keys\":[\"a\"],\"keys\":[]}", "duplicate"},
		{"{\"key\":[\"a\"]}", "no member `key`; known: arguments"},
		{"{\"keys\":\"a\"}", "`keys` is a list"},
		{"{\"keys\":[1]}", "`keys` is a list of texts"},
		{"{\"keys\":[\"\"]}", "none of them is empty"},
		{"{\"keys\":[\"a\\u0000b\"]}", "is no JSON"},
		{"{\"keys\":[\"\xff\"]}", "is no JSON"},
		{"{\"where\":{}}", "`where` is a list"},
		{"{\"all\":1}", "`all` is true or false"},
		{"{\"dry_run\":\"yes\"}", "`dry_run` is true or false"},
		{"{\"plan\":null}", "`plan` is the id"},
		{"{\"arguments\":[]}", "`arguments` is an object"},
		{"{\"arguments\":{\"rate\":null}}", "the argument `rate` is a text"},
		{"{\"arguments\":{\"rate\":[1]}}", "the argument `rate` is a text"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_text(cases[i].text), -EINVAL);
		if (!strstr(error, cases[i].part))
			fail_msg("`%s` not in: %s", cases[i].part, error);
		action_body_release(&body);
	}
}

static void deep_body__is_refused(void **state)
{
	(void)state;
	char *text = malloc(ACTION_BODY_MAX);
	memset(text, '[', ACTION_BODY_MAX);
	assert_int_equal(action_body_read(&body, text, ACTION_BODY_MAX, error), -EINVAL);
	action_body_release(&body);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body__is_read_whole),   cmocka_unit_test(no_body__asks_for_no_more_than_the_action),
		cmocka_unit_test(no_keys__are_said),     cmocka_unit_test(wrong_body__is_refused_by_name),
		cmocka_unit_test(deep_body__is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
