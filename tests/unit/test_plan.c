/* SPDX-License-Identifier: MIT
 *
 * Plans from configurations that are right and wrong: every error has its place and says what would be right; and
 * fingerprints, which decide what a reload touches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGENT "agent: { hostname: h, plugin_dir: [" BUILD_DIR "/tests/plugins] }\n"

static struct problems problems;

static struct plan *make(const char *plugins, unsigned flags)
{
	static const char *const nothing[] = {NULL};
	char text[4096];
	snprintf(text, sizeof text, AGENT "%s", plugins);
	problems_release(&problems);
	problems_init(&problems);
	struct config *config = config_load_with(nothing, "test.yaml", text, &problems);
	return config ? plan_make(config, flags, &problems) : NULL;
}

static struct plan *must_make(const char *plugins)
{
	struct plan *plan = make(plugins, 0);
	if (!plan)
		fail_msg("%zu problems, the first: %s", problems.count,
			 problems.count ? problems.list[0].message : "-");
	return plan;
}

/* One line of the configuration below `plugins:`, and what is said about it. */
static const struct {
	const char *entry, *said;
	uint32_t column; /* 0: any */
} refused[] = {
	{"- { plugin: steady, rosw: 3 }", "`rows`", 0},
	{"- { plugin: steady, rows: many }", "`many`", 0},
	{"- { plugin: steady, rows: 1001 }", "1000", 0},
	{"- { plugin: staedy }", "did you mean `steady`?", 13},
	{"- { plugin: ./steady.so }", "is a path", 13},
	{"- { plugin: steady, name: agent }", "reserved", 27},
	{"- { plugin: steady, name: 'a b' }", "is not made of", 0},
	{"- { plugin: steady, name: ../x }", "is not made of", 0},
	{"- { plugin: steady, connection: mian }", "there is no connection `mian`; did you mean `main`?", 33},
	{"- { plugin: steady, other: seady }", "there is no instance `seady`; did you mean `steady`?", 28},
	{"- { plugin: steady, names: { from: steady } }",
	 "from: `steady` has the role source (plugin steady), and a lookup is needed", 36},
	{"- { plugin: steady, names: { from: nmes } }", "there is no instance `nmes`", 36},
	{"- { plugin: steady, refuse: true }", "refuses to be asked", 29},
	{"- { plugin: steady, isolate: true }", "not available in this version", 30},
	{"- { plugin: steady, queue: 5 }", "`queue`", 0},
	{"- { plugin: steady, jitter: 5s }", "shorter than the interval", 29},
	{"- { plugin: steady, host: '' }", "`host` is empty", 27},
	{"- { plugin: steady, interval: 1ms }", "interval", 0},
	{"- { plugin: steady, on_start_error: perhaps }", "retry", 0},
	{"- { plugin: bad-table }", "0 key columns", 13},
};

static void wrong_entry__is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char text[512];
		snprintf(text, sizeof text, "connections: { main: {} }\nplugins:\n%s\n", refused[i].entry);
		assert_null(make(text, 0));
		const struct problem *problem = &problems.list[0];
		if (problems.errors != 1 || !strstr(problem->message, refused[i].said) || problem->line != 4 ||
		    (refused[i].column && problem->column != refused[i].column))
			fail_msg("%s → %zu errors, %u:%u: %s", refused[i].entry, problems.errors, problem->line,
				 problem->column, problem->message);
	}
}

static void all_errors__are_told_in_one_run(void **state)
{
	(void)state;
	char text[4096] = "plugins:\n";
	size_t count = 0;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (!strstr(refused[i].entry, "name:") && !strstr(refused[i].entry, "mian")) {
			char entry[256];
			snprintf(entry, sizeof entry, "- { name: n%zu, %s\n", i, refused[i].entry + 3);
			strcat(text, entry);
			count++;
		}
	assert_null(make(text, 0));
	assert_int_equal(problems.errors, count);
}

static void agent_options__are_checked(void **state)
{
	(void)state;
	static const char *const nothing[] = {NULL};
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"agent: { hostname: 'a b' }", "cannot be a host's name"},
		{"agent: { state_dir: relative }", "absolute"},
		{"agent: { phones: some }", "masked"},
		{"agent: { hostnam: x }", "`hostname`"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		problems_release(&problems);
		problems_init(&problems);
		struct config *config = config_load_with(nothing, "test.yaml", cases[i].text, &problems);
		assert_null(config ? plan_make(config, 0, &problems) : NULL);
		if (!strstr(problems.list[0].message, cases[i].said))
			fail_msg("%s: %s", cases[i].text, problems.list[0].message);
	}
}

static void reference_to_a_lookup__may_come_before_it(void **state)
{
	(void)state;
	struct plan *plan =
		must_make("plugins: [{ plugin: steady, names: { from: who } }, { plugin: names, name: who }]\n");
	assert_int_equal(plan->count, 2);
	plan_unref(plan);
	assert_null(make(
		"plugins: [{ plugin: steady, name: whom, names: { from: whu } }, { plugin: names, name: who }]\n", 0));
	assert_non_null(strstr(problems.list[0].message, "did you mean `who`?"));
}

/* Then a reload that changes only the lookup leaves alone who asks it. */
static void change_of_a_lookup__is_none_of_who_names_it(void **state)
{
	(void)state;
	struct plan *a = must_make("plugins: [{ plugin: names }, { plugin: steady, names: { from: names } }]\n");
	struct plan *b =
		must_make("plugins: [{ plugin: names, prefix: x }, { plugin: steady, names: { from: names } }]\n");
	assert_memory_not_equal(a->instances[0].fingerprint, b->instances[0].fingerprint, 16);
	assert_memory_equal(a->instances[1].fingerprint, b->instances[1].fingerprint, 16);
	plan_unref(a);
	plan_unref(b);
}

static void same_configuration__has_the_same_fingerprints(void **state)
{
	(void)state;
	struct plan *a = must_make("plugins: [{ plugin: steady, name: x, rows: 5, labels: { a: b } }]\n");
	struct plan *b =
		must_make("plugins:\n# moved and reordered\n- labels: { a: b }\n  rows: 5\n  name: x\n  plugin: "
			  "steady\n");
	assert_memory_equal(a->instances[0].fingerprint, b->instances[0].fingerprint, 16);
	plan_unref(a);
	plan_unref(b);
}

static void any_change__changes_the_fingerprint(void **state)
{
	(void)state;
	static const char *const changed[] = {
		"plugins: [{ plugin: steady, name: x, rows: 6 }]\n",
		"plugins: [{ plugin: steady, name: x, rows: 5, interval: 7s }]\n",
		"plugins: [{ plugin: steady, name: x, rows: 5, labels: { a: b } }]\n",
		"plugins: [{ plugin: steady, name: x, rows: 5, host: other }]\n",
		"plugins: [{ plugin: steady, name: x, rows: 5, secret: s }]\n",
		"plugins: [{ plugin: steady, name: y, rows: 5 }]\n",
	};
	struct plan *plan = must_make("plugins: [{ plugin: steady, name: x, rows: 5 }]\n");
	for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
		struct plan *other = must_make(changed[i]);
		if (memcmp(plan->instances[0].fingerprint, other->instances[0].fingerprint, 16) == 0)
			fail_msg("not noticed: %s", changed[i]);
		plan_unref(other);
	}
	plan_unref(plan);
}

static void write_secret(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, mode);
}

static void fault_63_secret_file__its_content_counts_and_its_mode_is_checked(void **state)
{
	(void)state;
	char path[] = "/tmp/test_plan.XXXXXX", text[256];
	close(mkstemp(path));
	snprintf(text, sizeof text, "plugins: [{ plugin: steady, name: x, secret_file: %s }]\n", path);
	write_secret(path, "one\n", 0600);
	struct plan *one = must_make(text);
	assert_string_equal(cw_get_string(one->instances[0].options, "secret"), "one");
	write_secret(path, "two\n", 0600);
	struct plan *two = must_make(text);
	assert_memory_not_equal(one->instances[0].fingerprint, two->instances[0].fingerprint, 16);
	chmod(path, 0644);
	assert_null(make(text, 0));
	assert_non_null(strstr(problems.list[0].message, "0644"));
	struct plan *unread = make(text, PLAN_NO_SECRETS); /* -t reads none */
	assert_non_null(unread);
	unlink(path);
	assert_null(make(text, 0));
	plan_unref(one);
	plan_unref(two);
	plan_unref(unread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_entry__is_refused_with_its_place),
		cmocka_unit_test(all_errors__are_told_in_one_run),
		cmocka_unit_test(agent_options__are_checked),
		cmocka_unit_test(reference_to_a_lookup__may_come_before_it),
		cmocka_unit_test(change_of_a_lookup__is_none_of_who_names_it),
		cmocka_unit_test(same_configuration__has_the_same_fingerprints),
		cmocka_unit_test(any_change__changes_the_fingerprint),
		cmocka_unit_test(fault_63_secret_file__its_content_counts_and_its_mode_is_checked),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	problems_release(&problems);
	return failed;
}
