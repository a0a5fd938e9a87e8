/* SPDX-License-Identifier: MIT
 *
 * core/client/arguments: options anywhere, sentences for what is wrong, bits per command, the environment.
 */
#include "arguments.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 160 };
static char error[ARGUMENTS_ERROR_MAX];
static char *words[WORDS_MAX];

/* Parses `callwatch LINE`, split at blanks. */
static int parse(struct arguments *arguments, const char *line)
{
	static char text[4096];
	int count = 0;
	snprintf(text, sizeof(text), "callwatch %s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	words[count] = NULL;
	error[0] = '\0';
	return arguments_parse(arguments, count, words, error);
}

static void options__stand_anywhere(void **state)
{
	(void)state;
	const char *const lines[] = {"--sort -a --utc get calls --limit 7 --where a=b --where c>4h --reveal",
				     "get --where a=b --reveal calls --where c>4h --limit 7 --utc --sort=-a"};
	for (size_t i = 0; i < 2; i++) {
		struct arguments arguments;
		assert_int_equal(parse(&arguments, lines[i]), 0);
		assert_int_equal(arguments.words_count, 2);
		assert_string_equal(arguments.words[0], "get");
		assert_string_equal(arguments.words[1], "calls");
		assert_null(arguments.words[2]);
		assert_string_equal(arguments.where[0], "a=b");
		assert_string_equal(arguments.where[1], "c>4h");
		assert_null(arguments.where[2]);
		assert_string_equal(arguments.sort, "-a");
		assert_int_equal(arguments.limit, 7);
		assert_true(arguments.utc && arguments.reveal && !arguments.watch);
	}
}

/* `-c` is why, or where the configuration is: the command says. */
static void letters__are_short_for_options(void **state)
{
	(void)state;
	struct arguments arguments;
	assert_int_equal(parse(&arguments, "-c deploy silence add -d 2h worker=ai-7"), 0);
	assert_string_equal(arguments.comment, "deploy");
	assert_string_equal(arguments.duration, "2h");
	assert_null(arguments.config[0]);
	assert_int_equal(arguments_allowed(&arguments, OPTION_COMMENT | OPTION_DURATION, error), 0);
	assert_int_equal(parse(&arguments, "config show -c a -c b"), 0);
	assert_string_equal(arguments.config[1], "b");
	assert_null(arguments.comment);
	assert_int_equal(arguments_allowed(&arguments, OPTION_CONFIG, error), 0);
	assert_int_equal(parse(&arguments, "ack call-stale -m looking"), 0);
	assert_string_equal(arguments.note, "looking");
	assert_int_equal(arguments_allowed(&arguments, OPTION_NOTE, error), 0);
	assert_int_equal(arguments_allowed(&arguments, OPTION_COMMENT, error), -EINVAL);
	assert_non_null(strstr(error, "takes no --note"));
	assert_int_equal(parse(&arguments, "silence add --every Sun --timezone UTC --from 2026 --config x"), 0);
	assert_int_equal(arguments_allowed(&arguments, OPTION_EVERY | OPTION_TIMEZONE | OPTION_FROM, error), -EINVAL);
	assert_non_null(strstr(error, "takes no --config"));
}

static void nothing__gives_defaults(void **state)
{
	(void)state;
	struct arguments arguments;
	assert_int_equal(parse(&arguments, ""), 0);
	assert_int_equal(arguments.words_count, 0);
	assert_int_equal(arguments.given, 0);
	assert_int_equal(arguments.limit, -1);
	assert_int_equal(arguments.format, FORMAT_TABLE);
	assert_null(arguments.socket);
}

static void wrong_lines__are_told_in_a_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{"get --limt 3", "there is no option --limt; did you mean --limit?"},
		{"get --zzzzzzzz=3", "there is no option --zzzzzzzz"},
		{"get -x", "there is no option -x"},
		{"get --limit", "--limit needs a value"},
		{"get --limit -3", "--limit takes a whole number, 0 for all; not \"-3\""},
		{"get --limit 3x", "--limit takes a whole number, 0 for all; not \"3x\""},
		{"get --limit 99999999999999999999",
		 "--limit takes a whole number, 0 for all; not \"99999999999999999999\""},
		{"get --format xml", "--format is table, json, ndjson or csv; not \"xml\""},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32",
		 "too many words, from \"32\" on"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arguments arguments;
		assert_int_equal(parse(&arguments, cases[i].line), -EINVAL);
		assert_string_equal(error, cases[i].sentence);
	}
}

static void repeated_options__are_bounded(void **state)
{
	(void)state;
	char line[4096] = "get";
	struct arguments arguments;
	for (int i = 0; i < ARGUMENTS_WHERE_MAX; i++)
		strcat(line, " --where a=1");
	assert_int_equal(parse(&arguments, line), 0);
	strcat(line, " --where a=1");
	assert_int_equal(parse(&arguments, line), -EINVAL);
	assert_non_null(strstr(error, "more than 64 times"));
}

static void options_a_command_does_not_take__are_refused(void **state)
{
	(void)state;
	struct arguments arguments;
	assert_int_equal(parse(&arguments, "status --where a=b"), 0);
	assert_int_equal(arguments_allowed(&arguments, OPTION_CHECK, error), -EINVAL);
	assert_string_equal(error, "`status` takes no --where");
	assert_int_equal(arguments_allowed(&arguments, OPTION_WHERE, error), 0);
	assert_int_equal(parse(&arguments, "status --utc --socket /x"), 0);
	assert_int_equal(arguments_allowed(&arguments, 0, error), 0);
	assert_int_equal(parse(&arguments, "status --url http://x --socket /x"), 0);
	assert_int_equal(arguments_allowed(&arguments, 0, error), -EINVAL);
}

static void environment__fills_only_what_was_not_said(void **state)
{
	(void)state;
	struct arguments arguments;
	setenv("CALLWATCH_URL", "http://elsewhere", 1);
	setenv("CALLWATCH_SOCKET", "/env.sock", 1);
	setenv("CALLWATCH_TOKEN_FILE", "", 1);
	assert_int_equal(parse(&arguments, "status --socket /x"), 0);
	arguments_environment(&arguments);
	assert_null(arguments.url);
	assert_string_equal(arguments.socket, "/x");
	assert_null(arguments.token_file);
	assert_int_equal(parse(&arguments, "status"), 0);
	arguments_environment(&arguments);
	assert_string_equal(arguments.url, "http://elsewhere");
	unsetenv("CALLWATCH_URL");
	unsetenv("CALLWATCH_SOCKET");
	unsetenv("CALLWATCH_TOKEN_FILE");
}

static void config_paths__by_both_names(void **state)
{
	(void)state;
	struct arguments arguments;
	assert_int_equal(parse(&arguments, "config show -c a.yaml --config b.yaml"), 0);
	assert_string_equal(arguments.config[0], "a.yaml");
	assert_string_equal(arguments.config[1], "b.yaml");
	assert_null(arguments.config[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters__are_short_for_options),
		cmocka_unit_test(options__stand_anywhere),
		cmocka_unit_test(nothing__gives_defaults),
		cmocka_unit_test(wrong_lines__are_told_in_a_sentence),
		cmocka_unit_test(repeated_options__are_bounded),
		cmocka_unit_test(options_a_command_does_not_take__are_refused),
		cmocka_unit_test(environment__fills_only_what_was_not_said),
		cmocka_unit_test(config_paths__by_both_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
