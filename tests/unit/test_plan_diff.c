/* SPDX-License-Identifier: MIT
 *
 * What `callwatch config diff` says of an instance: pairs of configurations, and the words between them. The plugins
 * are real ones, for their groups, maps and secrets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORIES "plugin_dir: [" BUILD_DIR "/tests/plugins, " BUILD_DIR "/plugins]"

static char folder[] = "/tmp/test_plan_diff.XXXXXX";

static void write_secret(const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/secret", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

/* `%s` stands for the folder. */
static struct plan *make(const char *agent, const char *rest)
{
	static const char *const nothing[] = {NULL};
	char text[4096];
	struct problems problems;
	int head = snprintf(text, sizeof text, "agent: { hostname: h, " DIRECTORIES "%s }\n", agent);
	const char *place = strstr(rest, "%s");
	if (place)
		snprintf(text + head, sizeof text - (size_t)head, "%.*s%s%s\n", (int)(place - rest), rest, folder,
			 place + 2);
	else
		snprintf(text + head, sizeof text - (size_t)head, "%s\n", rest);
	problems_init(&problems);
	struct config *config = config_load_with(nothing, "test.yaml", text, &problems);
	struct plan *plan = config ? plan_make(config, 0, &problems) : NULL;
	if (!plan)
		fail_msg("%s\n%s", text, problems.count ? problems.list[0].message : "-");
	problems_release(&problems);
	return plan;
}

static void assert_diff(struct plan *before, struct plan *after, const char *expected)
{
	struct buffer out;
	buffer_init(&out, 0, 4096);
	plan_diff((struct planned){before, &before->instances[0]}, (struct planned){after, &after->instances[0]}, &out);
	buffer_bytes(&out, "", 1);
	assert_string_equal(buffer_text(&out), expected);
	buffer_release(&out);
	plan_unref(before);
	plan_unref(after);
}

static const struct {
	const char *before, *after, *said;
} cases[] = {
	{"plugins: [{ plugin: steady }]", "plugins: [{ plugin: steady, rows: 3 }]", ""},
	{"plugins: [{ plugin: steady }]", "plugins: [{ plugin: steady, rows: 4 }]", "rows: 3 → 4"},
	{"plugins: [{ plugin: steady, interval: 10s }]", "plugins: [{ plugin: steady, interval: 90s, host: 'a b' }]",
	 "interval: 10s → 90s; host: not set → \"a b\""},
	{"plugins: [{ plugin: steady, labels: { a: b } }]", "plugins: [{ plugin: steady, labels: { a: c, d: 'e f' } }]",
	 "labels: {a: b} → {a: c, d: \"e f\"}"},
	{"plugins: [{ plugin: steady }]", "plugins: [{ plugin: steady, host: 'x://me:geheim@h/' }]",
	 "host: not set → \"x://me:***@h/\""},
	{"plugins: [{ plugin: steady, secret: one }]", "plugins: [{ plugin: steady, secret: two }]",
	 "secret: *** → ***"},
	{"plugins: [{ plugin: steady }]", "plugins: [{ plugin: steady, secret: two }]", "secret: not set → ***"},
	{"plugins: [{ plugin: steady, secret: zero }]", "plugins: [{ plugin: steady, secret_file: %s/secret }]",
	 "secret: *** → *** (from secret_file)"},
	{"plugins: [{ plugin: steady, name: x }]", "plugins: [{ plugin: names, name: x }]", "plugin: steady → names"},
	{"plugins: [{ plugin: redis-calls }]",
	 "plugins: [{ plugin: redis-calls, sweep: { budget: 10%, max_age: 90s }, warning_after: 70s }]",
	 "warning_after: 1m → 70s; sweep.budget: 5% → 10%; sweep.max_age: 1m → 90s"},
	{"plugins: [{ plugin: redis-calls }]",
	 "plugins: [{ plugin: redis-calls, url: 'redis://h:1/2', breakdown: { by: business_id } }]",
	 "url: \"redis://127.0.0.1:6379/0\" → \"redis://h:1/2\"; breakdown.by: not set → business_id"},
	{"plugins: [{ plugin: web, listen: ['unix:/a'] }]",
	 "plugins: [{ plugin: web, listen: ['unix:/a', { address: 'unix:/b' }] }]",
	 "listen: [{address: \"unix:/a\"}] → [{address: \"unix:/a\"}, {address: \"unix:/b\"}]"},
};

static void changed_options__are_named_with_both_values(void **state)
{
	(void)state;
	write_secret("one\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_diff(make("", cases[i].before), make("", cases[i].after), cases[i].said);
}

static void content_of_a_file__is_said_to_have_changed_and_not_shown(void **state)
{
	(void)state;
	static const char *const ways[] = {
		"plugins: [{ plugin: redis-calls, password_file: %s/secret }]",
		"connections: { main: { password_file: %s/secret } }\nplugins: [{ plugin: redis-calls, connection: "
		"main }]",
		"plugins: [{ plugin: redis-calls, url_file: %s/secret }]", /* no secret, but what is in a file is not
									      shown */
	};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const char *key = strstr(ways[i], "url_file") ? "url" : "password";
		char expected[128];
		snprintf(expected, sizeof expected, "%s: *** → *** (the content of %s_file changed)", key, key);
		write_secret("redis://one\n");
		struct plan *before = make("", ways[i]);
		write_secret("redis://two\n");
		assert_diff(before, make("", ways[i]), expected);
	}
}

static void what_is_inherited_from_the_agent__is_named_as_the_agents(void **state)
{
	(void)state;
	const char *plugins = "plugins: [{ plugin: steady }]";
	assert_diff(make("", plugins), make(", interval: 7s, phones: full", plugins),
		    "agent.interval: 5s → 7s; agent.phones: masked → full");
	assert_diff(make("", plugins), make(", state_dir: /x", plugins), ""); /* it makes no other instance */
}

static void long_value__is_cut_at_a_character(void **state)
{
	(void)state;
	char text[1024] = "plugins: [{ plugin: steady, host: ä";
	struct buffer out;
	for (int i = 0; i < 100; i++)
		strcat(text, "ä");
	strcat(text, " }]");
	struct plan *before = make("", "plugins: [{ plugin: steady }]"), *after = make("", text);
	buffer_init(&out, 0, 4096);
	plan_diff((struct planned){before, &before->instances[0]}, (struct planned){after, &after->instances[0]}, &out);
	buffer_bytes(&out, "", 1);
	assert_true(out.length < 220);
	assert_non_null(strstr(buffer_text(&out), "ä…"));
	buffer_release(&out);
	plan_unref(before);
	plan_unref(after);
}

static const struct {
	const char *before, *after, *said;
} rules[] = {
	{"rules: [{ name: a, table: steps }]", "rules: [{ name: a, table: steps, severity: warning }]", ""},
	{"rules: [{ name: a, table: steps }]", "rules: [{ name: b, table: steps }]",
	 "rule a: removed\nrule b: added\n"},
	{"rules: [{ name: a, table: steps, where: [state=odd] }]",
	 "rules: [{ name: a, table: steps, where: [state=even], severity: info, for: 90s }]",
	 "rule a: where: [state=odd] → [state=even]; for: 0 → 90s; severity: warning → info\n"},
	{"rules: [{ name: a, table: steps }]", "rules: [{ name: a, table: steps }]\nnotify: { group_wait: 20s }",
	 "notify: group_wait: 10s → 20s\n"},
	{"notify: { default: [] }", "", "notify: default: [] → not set\n"},
	{"rules: [{ name: a, for_plugin: names, table: instances }]",
	 "rules: [{ name: a, for_plugin: names, table: instances }]\nplugins: [{ plugin: names }]", "rule a: awake\n"},
	{"", "", ""},
};

static void changed_rules__are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		char texts[2][512];
		bool has_plugins = strstr(rules[i].after, "plugins:");
		const char *steady = has_plugins ? "" : "plugins: [{ plugin: steady }]\n";
		snprintf(texts[0], sizeof texts[0], "%s%s", steady, rules[i].before);
		snprintf(texts[1], sizeof texts[1], "%s%s", steady, rules[i].after);
		struct plan *before = make("", texts[0]), *after = make("", texts[1]);
		struct buffer out;
		buffer_init(&out, 0, 4096);
		plan_diff_rules(before, after, &out);
		buffer_bytes(&out, "", 1);
		assert_string_equal(buffer_text(&out), rules[i].said);
		buffer_release(&out);
		plan_unref(before);
		plan_unref(after);
	}
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "%s/secret", folder);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changed_options__are_named_with_both_values),
		cmocka_unit_test(content_of_a_file__is_said_to_have_changed_and_not_shown),
		cmocka_unit_test(what_is_inherited_from_the_agent__is_named_as_the_agents),
		cmocka_unit_test(long_value__is_cut_at_a_character),
		cmocka_unit_test(changed_rules__are_named),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
