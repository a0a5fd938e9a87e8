/* SPDX-License-Identifier: MIT
 *
 * The configuration as written: files, merging, variables; what is refused and where; how it is shown.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const no_paths[] = {NULL};

static struct config *load_text(const char *text, struct problems *problems)
{
	problems_init(problems);
	return config_load_with(no_paths, "t.yaml", text, problems);
}

static const char *value(const struct node *map, const char *key)
{
	const struct node *node = node_get(map, key);
	return node ? node->text : NULL;
}

static const struct config_entry *entry(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->entries[i].name, name) == 0)
			return &config->entries[i];
	return NULL;
}

static void expect_clean(const struct problems *problems)
{
	if (problems->count > 0)
		fail_msg("%s", problems->list[0].message);
}

static void one_file__has_its_sections(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config = load_text("agent: {interval: 5s}\n"
					  "connections: {main: {url: x}, old: {url: y, enabled: false}}\n"
					  "plugins:\n  - {plugin: redis-calls, name: calls}\n  - plugin: stdout\n"
					  "  - {plugin: off, enabled: false}\n  - plugin: ./my-x.so\n",
					  &problems);
	expect_clean(&problems);
	assert_string_equal(value(config->agent, "interval"), "5s");
	assert_int_equal(config->connections->count, 1);
	assert_string_equal(value(node_get(config->connections, "main"), "url"), "x");
	assert_int_equal(config->count, 3);
	assert_string_equal(config->entries[0].name, "calls");
	assert_string_equal(config->entries[0].plugin, "redis-calls");
	assert_string_equal(config->entries[1].name, "stdout");
	assert_string_equal(config->entries[2].name, "my-x");
	assert_string_equal(config->entries[2].plugin, "./my-x.so");
	assert_null(config->rules);
	config_free(config);
	problems_release(&problems);
}

static void nothing__is_an_empty_configuration(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config = load_text("", &problems);
	expect_clean(&problems);
	assert_int_equal(config->agent->count, 0);
	assert_int_equal(config->connections->count, 0);
	assert_int_equal(config->count, 0);
	config_free(config);
	problems_release(&problems);
}

static void override__merges_into_the_entry_of_that_name(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config = load_text("plugins:\n"
					  "  - {plugin: web, override: true, listen: [c], labels: {b: 3, c: 4}}\n"
					  "  - {plugin: web, listen: [a, b], labels: {a: 1, b: 2}, x: 1}\n"
					  "  - {plugin: redis-calls, name: calls}\n"
					  "  - {name: calls, override: true, enabled: false}\n",
					  &problems);
	expect_clean(&problems);
	assert_int_equal(config->count, 1);
	const struct node *node = config->entries[0].node;
	assert_int_equal(node_get(node, "listen")->count, 1);
	assert_string_equal(value(node_get(node, "labels"), "a"), "1");
	assert_string_equal(value(node_get(node, "labels"), "b"), "3");
	assert_string_equal(value(node_get(node, "labels"), "c"), "4");
	assert_string_equal(value(node, "x"), "1");
	assert_null(node_get(node, "override"));
	config_free(config);
	problems_release(&problems);
}

static void variables__are_expanded_once_in_values(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expanded;
		bool plain;
	} cases[] = {
		{"${CW_T_A}", "42", true},
		{"\"${CW_T_A}\"", "42", true},
		{"a${CW_T_A}b${CW_T_A}", "a42b42", true},
		{"${CW_T_NO:-d}", "d", true},
		{"${CW_T_EMPTY:-d}", "d", true},
		{"\"${CW_T_EMPTY}\"", "", true},
		{"${CW_T_NO:-}", "", true},
		{"${CW_T_A:-d}", "42", true},
		{"${CW_T_A:?m}", "42", true},
		{"\"$$\"", "$", false},
		{"\"$${CW_T_A}\"", "${CW_T_A}", false},
		{"\"a$b$\"", "a$b$", false},
		{"${CW_T_DOLLAR}", "${CW_T_A}", true},
		{"${CW_T_NO:-$$x}", "$$x", true},
		{"\"no\"", "no", false},
	};
	setenv("CW_T_A", "42", 1);
	setenv("CW_T_EMPTY", "", 1);
	setenv("CW_T_DOLLAR", "${CW_T_A}", 1);
	unsetenv("CW_T_NO");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct problems problems;
		snprintf(text, sizeof(text), "agent:\n  k: %s\n", cases[i].text);
		struct config *config = load_text(text, &problems);
		expect_clean(&problems);
		const struct node *node = node_get(config->agent, "k");
		if (strcmp(node->text, cases[i].expanded) != 0 || node->plain != cases[i].plain)
			fail_msg("%s: `%s` %d", cases[i].text, node->text, node->plain);
		assert_int_equal(node->place.line, 2);
		assert_int_equal(node->place.column, 6);
		config_free(config);
		problems_release(&problems);
	}
}

static void variables__not_in_keys_nor_templates(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config = load_text("agent: {\"${CW_T_NO}\": 1}\n"
					  "plugins: [{plugin: x, body: \"${CW_T_NO}\", summary: [\"${CW_T_NO}\"]}]\n",
					  &problems);
	expect_clean(&problems);
	assert_string_equal(config->agent->children[0]->key, "${CW_T_NO}");
	assert_string_equal(value(config->entries[0].node, "body"), "${CW_T_NO}");
	config_free(config);
	problems_release(&problems);
}

static const struct {
	const char *text;
	uint32_t line, column;
	const char *sentence;
} refused[] = {
	{"agnet: {}\n", 1, 1, "unknown section `agnet`; did you mean `agent`?"},
	{"- a\n", 1, 1, "expected a map of sections"},
	{"agent: [a]\n", 1, 8, "agent: expected a map, found a list"},
	{"plugins: {a: b}\n", 1, 10, "plugins: expected a list, found a map"},
	{"plugins: [a]\n", 1, 11, "plugins: expected a map, found a value"},
	{"plugins: [{name: a}]\n", 1, 11, "an entry of plugins needs a `plugin:`"},
	{"plugins: [{plugin: [a]}]\n", 1, 20, "plugin: expected a name, found a list"},
	{"plugins: [{plugin: a, name: }]\n", 1, 29, "name: expected a name, found nothing"},
	{"plugins: [{plugin: a, name: ../b}]\n", 1, 11, "the name `../b` is not made of letters"},
	{"plugins:\n- plugin: a\n- plugin: a\n", 3, 3, "the name `a` is already used at t.yaml:2:3"},
	{"plugins: [{plugin: webs, override: true}, {plugin: web}]\n", 1, 11,
	 "nothing named `webs` to override; did you mean `web`?"},
	{"plugins: [{plugin: a, enabled: 1}]\n", 1, 32, "enabled: expected true or false"},
	{"plugins: [{plugin: a, override: [x]}]\n", 1, 33, "override: expected true or false"},
	{"connections: {a: x}\n", 1, 18, "connections: expected a map for `a`"},
	{"connections: {\"a b\": {}}\n", 1, 15, "the name `a b`"},
	{"rules: [{summary: x}]\n", 1, 9, "an entry of rules needs a `name:`"},
	{"agent:\n  a: ${CW_T_NO}\n", 2, 6, "the environment variable CW_T_NO is not set"},
	{"agent:\n  a: ${CW_T_NO:?set it in /etc/default}\n", 2, 6, "CW_T_NO is not set: set it in /etc/default"},
	{"agent:\n  a: ${CW_T_NO\n", 2, 6, "`${` without its `}`"},
	{"agent:\n  a: ${}\n", 2, 6, "not followed by the name"},
	{"agent:\n  a: ${1A}\n", 2, 6, "not followed by the name"},
	{"agent:\n  a: ${A-b}\n", 2, 6, "after the name stands"},
	{"agent:\n  a: ${CW_T_BYTES}\n", 2, 6, "CW_T_BYTES is not UTF-8 text"},
	{"agent:\n  a: ${CW_T_LONG}${CW_T_LONG}\n", 2, 6, "longer than 64 KiB"},
};

static void what_is_refused__has_a_place(void **state)
{
	(void)state;
	static char longer[40000];
	memset(longer, 'x', sizeof(longer) - 1);
	setenv("CW_T_BYTES", "\xff", 1);
	setenv("CW_T_LONG", longer, 1);
	unsetenv("CW_T_NO");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct problems problems;
		struct config *config = load_text(refused[i].text, &problems);
		if (problems.errors != 1)
			fail_msg("case %zu: %zu errors", i, problems.errors);
		const struct problem *p = &problems.list[0];
		if (p->line != refused[i].line || p->column != refused[i].column ||
		    !strstr(p->message, refused[i].sentence) || strcmp(p->file, "t.yaml") != 0)
			fail_msg("case %zu: %u:%u: %s", i, p->line, p->column, p->message);
		config_free(config);
		problems_release(&problems);
	}
	unsetenv("CW_T_LONG");
}

static void rules_and_notify__are_kept(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config = load_text("rules:\n  - {name: a, summary: \"${X}\"}\n  - {name: b, enabled: false}\n"
					  "notify: {default: [slack]}\n",
					  &problems);
	expect_clean(&problems);
	assert_int_equal(config->rules->count, 1);
	assert_int_equal(config->rules_off_count, 1);
	assert_string_equal(config->rules_off[0], "b");
	assert_non_null(config->notify);
	config_free(config);
	problems_release(&problems);
	config = load_text("rules:\n  - {name: a, enabled: false}\n", &problems);
	expect_clean(&problems);
	config_free(config);
	problems_release(&problems);
}

/* --- files --- */

struct folder {
	char path[64];
	char list[8][128];
	size_t count;
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	snprintf(folder->path, sizeof(folder->path), "/tmp/test_config.XXXXXX");
	*state = folder;
	return mkdtemp(folder->path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	while (folder->count > 0)
		remove(folder->list[--folder->count]);
	rmdir(folder->path);
	free(folder);
	return 0;
}

/* text NULL: a directory. Returns its path. */
static const char *put(struct folder *folder, const char *name, const char *text)
{
	char *path = folder->list[folder->count++];
	char full[sizeof(folder->list[0])];
	snprintf(full, sizeof(full), "%s/%s", folder->path, name);
	memcpy(path, full, sizeof(full));
	if (!text) {
		assert_int_equal(mkdir(path, 0700), 0);
		return path;
	}
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	return path;
}

static void directory__is_read_in_byte_order(void **state)
{
	struct folder *folder = *state;
	put(folder, "b.yaml", "plugins: [{plugin: second}]\nagent: {a: 1, labels: {x: 1}}\n");
	put(folder, "B.yaml", "plugins: [{plugin: first}]\nagent: {a: 1, labels: {y: 2}}\n");
	put(folder, ".hidden.yaml", "nonsense: 1\n");
	put(folder, "c.yml", "nonsense: 1\n");
	const char *one = put(folder, "last", "plugins: [{plugin: third}]\n");
	const char *const paths[] = {folder->path, one, NULL};
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(paths, &problems);
	expect_clean(&problems);
	assert_int_equal(config->count, 3);
	assert_string_equal(config->entries[0].name, "first");
	assert_string_equal(config->entries[1].name, "second");
	assert_string_equal(config->entries[2].name, "third");
	assert_string_equal(value(node_get(config->agent, "labels"), "x"), "1");
	assert_string_equal(value(node_get(config->agent, "labels"), "y"), "2");
	assert_string_equal(entry(config, "third")->node->place.file, one);
	config_free(config);
	problems_release(&problems);
}

static void agent_keys__that_conflict__name_both_places(void **state)
{
	struct folder *folder = *state;
	put(folder, "a.yaml", "agent:\n  interval: 5s\n  labels: {env: a}\n");
	put(folder, "b.yaml", "agent:\n  interval: 6s\n  labels: {env: b}\n");
	const char *const paths[] = {folder->path, NULL};
	struct problems problems;
	char sentence[200];
	problems_init(&problems);
	struct config *config = config_load(paths, &problems);
	assert_int_equal(problems.errors, 2);
	snprintf(sentence, sizeof(sentence), "`interval` is already set to something else at %s/a.yaml:2:3",
		 folder->path);
	assert_string_equal(problems.list[0].message, sentence);
	assert_int_equal(problems.list[0].line, 2);
	assert_non_null(strstr(problems.list[1].message, "`env`"));
	config_free(config);
	problems_release(&problems);
}

static void paths__missing_or_without_yaml__are_told(void **state)
{
	struct folder *folder = *state;
	const char *empty = put(folder, "empty", NULL);
	const char *const paths[] = {"/nonexistent/x", empty, NULL};
	struct problems problems;
	problems_init(&problems);
	assert_null(config_load(paths, &problems));
	assert_int_equal(problems.errors, 1);
	assert_int_equal(problems.count, 2);
	assert_string_equal(problems.list[0].message, "/nonexistent/x: cannot be read: No such file or directory");
	assert_non_null(strstr(problems.list[1].message, "no *.yaml in this directory"));
	problems_release(&problems);
}

static void errors__of_all_files__are_told_at_once(void **state)
{
	struct folder *folder = *state;
	put(folder, "a.yaml", "plugins: [\n");
	put(folder, "b.yaml", "agnet: 1\n");
	put(folder, "c.yaml", "agent: {a: \"${CW_T_NO}\"}\n");
	const char *const paths[] = {folder->path, NULL};
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(paths, &problems);
	assert_int_equal(problems.errors, 3);
	config_free(config);
	problems_release(&problems);
}

/* --- showing --- */

static bool pin_is_secret(const struct config_entry *of, const char *key)
{
	return of && strcmp(of->plugin, "a") == 0 && strcmp(key, "pin") == 0;
}

static void shown__reads_back_and_hides_secrets(void **state)
{
	(void)state;
	struct problems problems;
	struct config *config =
		load_text("agent: {labels: {env: \"a: b\"}, interval: 5s}\n"
			  "connections: {m: {url: \"redis://u:hunter2@h/0\", password: hunter2}}\n"
			  "plugins:\n  - {plugin: a, pin: hunter2, to: [x, {k: ~}], none: [], api_key: [hunter2],"
			  " password_file: p}\n",
			  &problems);
	expect_clean(&problems);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	config_print(config, out, pin_is_secret);
	fclose(out);
	config_free(config);
	problems_release(&problems);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "  interval: 5s  # t.yaml:1\n"));
	config = load_text(text, &problems);
	expect_clean(&problems);
	assert_string_equal(value(node_get(config->agent, "labels"), "env"), "a: b");
	assert_string_equal(value(node_get(config->connections, "m"), "url"), "redis://u:***@h/0");
	const struct node *a = config->entries[0].node;
	assert_string_equal(value(a, "pin"), "***");
	assert_string_equal(value(a, "password_file"), "p");
	assert_true(node_is_null(node_get(node_get(a, "to")->children[1], "k")));
	config_free(config);
	problems_release(&problems);
	free(text);
}

static void vendor_configuration__loads(void **state)
{
	(void)state;
	const char *const paths[] = {SOURCE_DIR "/conf.d", NULL};
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(paths, &problems);
	expect_clean(&problems);
	assert_non_null(entry(config, "web"));
	config_free(config);
	problems_release(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file__has_its_sections),
		cmocka_unit_test(nothing__is_an_empty_configuration),
		cmocka_unit_test(override__merges_into_the_entry_of_that_name),
		cmocka_unit_test(variables__are_expanded_once_in_values),
		cmocka_unit_test(variables__not_in_keys_nor_templates),
		cmocka_unit_test(what_is_refused__has_a_place),
		cmocka_unit_test(rules_and_notify__are_kept),
		cmocka_unit_test_setup_teardown(directory__is_read_in_byte_order, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(agent_keys__that_conflict__name_both_places, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(paths__missing_or_without_yaml__are_told, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(errors__of_all_files__are_told_at_once, make_folder, remove_folder),
		cmocka_unit_test(shown__reads_back_and_hides_secrets),
		cmocka_unit_test(vendor_configuration__loads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
