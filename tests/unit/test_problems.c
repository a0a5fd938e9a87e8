/* SPDX-License-Identifier: MIT
 *
 * The list of problems: what is printed, what strangers cannot do to it, which name is the nearest.
 */
#include "problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed(const struct problems *problems, bool json)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	problems_print(problems, out, json);
	fclose(out);
	return text;
}

static void problems__are_printed_with_their_place(void **state)
{
	(void)state;
	struct problems problems;
	problems_init(&problems);
	struct place place = {"a.yaml", 3, 7};
	problem_add(&problems, PROBLEM_ERROR, &place, "no `%s`", "x");
	problem_add(&problems, PROBLEM_WARNING, NULL, "hm \"\x1b[31m");
	assert_int_equal(problems.count, 2);
	assert_int_equal(problems.errors, 1);
	char *text = printed(&problems, false), *json = printed(&problems, true);
	assert_string_equal(text, "a.yaml:3:7: no `x`\nwarning: hm \"\\x1b[31m\n");
	assert_string_equal(
		json, "[{\"severity\":\"error\",\"file\":\"a.yaml\",\"line\":3,\"column\":7,\"message\":\"no `x`\"},\n"
		      " {\"severity\":\"warning\",\"file\":null,\"line\":null,\"column\":null,\"message\":\"hm "
		      "\\\"\\\\x1b[31m\"}]\n");
	free(text);
	free(json);
	problems_release(&problems);
}

static void problems__without_end__are_counted(void **state)
{
	(void)state;
	struct problems problems;
	problems_init(&problems);
	for (int i = 0; i < PROBLEMS_MAX + 7; i++)
		problem_add(&problems, PROBLEM_ERROR, NULL, "x");
	assert_int_equal(problems.count, PROBLEMS_MAX);
	assert_int_equal(problems.errors, PROBLEMS_MAX + 7);
	char *text = printed(&problems, false);
	assert_non_null(strstr(text, "and 7 more\n"));
	free(text);
	problems_release(&problems);
}

static void nearest_name__is_one_that_may_be_meant(void **state)
{
	static const char *const names[] = {"stale_after", "warning_after", "url", "interval", "password", "db"};
	static const struct {
		const char *name, *nearest;
	} cases[] = {
		{"stale_aftr", "stale_after"},
		{"satle_after", "stale_after"},
		{"uri", "url"},
		{"intervall", "interval"},
		{"INTERVAL", "interval"},
		{"pass", "password"},
		{"dbx", "db"},
		{"colour", NULL},
		{"", NULL},
		{"xyz", NULL},
		{"warning", "warning_after"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *nearest = nearest_name(cases[i].name, names, 6);
		if ((nearest == NULL) != (cases[i].nearest == NULL) ||
		    (nearest && strcmp(nearest, cases[i].nearest) != 0))
			fail_msg("%s: %s", cases[i].name, nearest ? nearest : "none");
	}
	char longer[5000], hint[NAME_HINT_SIZE];
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_null(nearest_name(longer, names, 6));
	assert_string_equal(name_hint(hint, "uri", names, 6), "; did you mean `url`?");
	assert_string_equal(name_hint(hint, "colour", names, 3), "; known: stale_after, warning_after, url");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems__are_printed_with_their_place),
		cmocka_unit_test(problems__without_end__are_counted),
		cmocka_unit_test(nearest_name__is_one_that_may_be_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
