/* SPDX-License-Identifier: MIT
 *
 * Actions and endpoints in a descriptor: those that are right, and each way to be wrong, refused with the place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "callwatch/notify.h"
#include "descriptor.h"

#include <string.h>

static const struct cw_option options[] = {
	{.key = "allow_actions", .type = CW_OPTION_BOOL, .fallback = "false", .help = "May anybody act"},
	{.key = "api_key", .type = CW_OPTION_STRING, .flags = CW_OPTION_SECRET, .help = "Key of the endpoints"},
	{.key = "path", .type = CW_OPTION_STRING, .help = "No secret"},
};

static const struct cw_column columns[] = {
	{.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Key"},
	{.name = "state", .type = CW_TEXT, .help = "State"},
};

static const struct cw_table_decl tables[] = {
	{.name = "things", .help = "Things", .columns = CW_ARRAY(columns)},
};

static const struct cw_option arguments[] = {
	{.key = "rate", .type = CW_OPTION_NUMBER, .fallback = "50", .min = 1, .max = 1000, .help = "A second"},
};
static const struct cw_option list_argument[] = {{.key = "names", .type = CW_OPTION_LIST, .help = "Many"}};
static const struct cw_option secret_argument[] = {
	{.key = "password", .type = CW_OPTION_STRING, .flags = CW_OPTION_SECRET, .help = "Secret"}};
static const struct cw_option needed_argument[] = {
	{.key = "to", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "Where to"}};
static const struct cw_option bad_argument[] = {
	{.key = "rate", .type = CW_OPTION_NUMBER, .fallback = "fast", .help = "A second"}};

static const struct cw_member members[] = {{"status", "state"}};
static const struct cw_member task_members[] = {{"task_id", "text"}};
static const struct cw_member strange_members[] = {{"status", "colour"}};
static const struct cw_member nameless_members[] = {{NULL, "state"}};

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values, void **ret_state)
{
	(void)self, (void)host, (void)values, (void)ret_state;
	return 0;
}

static void act(void *state, struct cw_task *task, const struct cw_request *request)
{
	(void)state, (void)task, (void)request;
}

static const struct cw_action retry = {.name = "retry",
				       .help = "Try again",
				       .table = "things",
				       .arguments = CW_ARRAY(arguments),
				       .allowed_by = "allow_actions"},
			      run = {.name = "run", .help = "Run it", .flags = CW_ACTION_SINGLE};
static const struct cw_endpoint trigger = {.method = "POST",
					   .path = "/api/v1/internal/trigger",
					   .kind = CW_ENDPOINT_ACTION,
					   .action = "run",
					   .members = CW_ARRAY(task_members),
					   .key_option = "api_key"},
				status = {.method = "GET",
					  .path = "/api/v1/internal/status",
					  .kind = CW_ENDPOINT_ROW,
					  .table = "things",
					  .sort = "-state",
					  .members = CW_ARRAY(members),
					  .key_option = "api_key"};

static const struct plugin *volatile kept[5]; /* as the loader keeps them: for good */

static struct cw_plugin plugin_with(const struct cw_array *actions, const struct cw_array *endpoints)
{
	return (struct cw_plugin){
		CW_PLUGIN_ABI,
		.name = "acting",
		.summary = "For tests",
		.role = CW_SOURCE,
		.options = CW_ARRAY(options),
		.tables = CW_ARRAY(tables),
		.start = start,
		.act = act,
		.actions = *actions,
		.endpoints = *endpoints,
	};
}

static void assert_refused(const struct cw_plugin *found, const char *part)
{
	char error[LOADER_ERROR_MAX] = "";
	if (descriptor_copy("/x.so", found, error))
		fail_msg("taken, and should be refused for: %s", part);
	if (!strstr(error, part))
		fail_msg("`%s` not in: %s", part, error);
}

static void actions_and_endpoints_that_are_right__are_copied(void **state)
{
	(void)state;
	char error[LOADER_ERROR_MAX] = "";
	const struct cw_action actions[] = {retry, run};
	const struct cw_endpoint endpoints[] = {trigger, status};
	struct cw_plugin found =
		plugin_with(&(struct cw_array)CW_ARRAY(actions), &(struct cw_array)CW_ARRAY(endpoints));
	const struct plugin *plugin = kept[0] = descriptor_copy("/x.so", &found, error);
	if (!plugin)
		fail_msg("%s", error);
	assert_int_equal(plugin->decl.actions.count, 2);
	const struct cw_action *copied = cw_at(&plugin->decl.actions, 0);
	assert_ptr_not_equal(copied, &actions[0]);
	assert_string_equal(((const struct cw_option *)cw_at(&copied->arguments, 0))->key, "rate");
	assert_int_equal(((const struct cw_endpoint *)cw_at(&plugin->decl.endpoints, 1))->members.count, 1);
}

/* An older plugin does not have the last fields at all. */
static void plugin_of_1_1__has_no_actions(void **state)
{
	(void)state;
	char error[LOADER_ERROR_MAX] = "";
	const struct cw_action actions[] = {retry};
	struct cw_plugin found = plugin_with(&(struct cw_array)CW_ARRAY(actions), &(struct cw_array){0});
	found.abi_minor = 1;
	found.size = offsetof(struct cw_plugin, actions);
	const struct plugin *plugin = kept[1] = descriptor_copy("/x.so", &found, error);
	if (!plugin)
		fail_msg("%s", error);
	assert_int_equal(plugin->decl.actions.count, 0);
	assert_null(plugin->decl.act);
}

static void wrong_action__is_refused_with_its_place(void **state)
{
	(void)state;
	const struct {
		struct cw_action action;
		const char *part;
	} cases[] = {
		{{.name = "Retry", .help = "x"}, "action 1: the name `Retry`"},
		{{.name = NULL, .help = "x"}, "action 1: the name `(null)`"},
		{{.name = "retry", .help = "x"}, "two actions called `retry`"},
		{{.name = "drop"}, "action `drop`: no help"},
		{{.name = "drop", .help = "x", .table = "letters"}, "table `letters`, which the plugin does not have"},
		{{.name = "drop", .help = "x", .allowed_by = "nobody"}, "`nobody`, which is no boolean option"},
		{{.name = "drop", .help = "x", .allowed_by = "path"}, "`path`, which is no boolean option"},
		{{.name = "drop", .help = "x", .arguments = CW_ARRAY(list_argument)}, "the argument `names` is not of"},
		{{.name = "drop", .help = "x", .arguments = CW_ARRAY(secret_argument)}, "`password` is a secret"},
		{{.name = "drop", .help = "x", .arguments = CW_ARRAY(bad_argument)}, "action `drop`: "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct cw_action actions[] = {retry, cases[i].action};
		struct cw_plugin found = plugin_with(&(struct cw_array)CW_ARRAY(actions), &(struct cw_array){0});
		assert_refused(&found, cases[i].part);
	}
	const struct cw_action actions[] = {retry};
	struct cw_plugin found = plugin_with(&(struct cw_array)CW_ARRAY(actions), &(struct cw_array){0});
	found.act = NULL;
	assert_refused(&found, "actions without act()");
}

/* `status`, or `trigger`, with one thing about it changed. */
#define BUT(endpoint, change, part)                                                                                    \
	{                                                                                                              \
		struct cw_endpoint wrong = (endpoint);                                                                 \
		wrong.change;                                                                                          \
		struct cw_plugin found =                                                                               \
			plugin_with(&(struct cw_array)CW_ARRAY(actions), &(struct cw_array){&wrong, 1, sizeof wrong}); \
		assert_refused(&found, part);                                                                          \
	}

static void wrong_endpoint__is_refused_with_its_place(void **state)
{
	(void)state;
	const struct cw_action needy = {.name = "send", .help = "x", .arguments = CW_ARRAY(needed_argument)};
	const struct cw_action actions[] = {retry, run, needy};
	BUT(status, path = NULL, "endpoint 0: the path `(null)`");
	BUT(status, path = "status", "does not begin with /");
	BUT(status, method = "POST", "an action is asked for by POST, a row by GET");
	BUT(trigger, method = NULL, "an action is asked for by POST");
	BUT(status, key_option = NULL, "its key is `(null)`");
	BUT(status, key_option = "path", "its key is `path`, which is no secret");
	BUT(status, members.count = 0, "it answers with nothing");
	BUT(status, members.items = nameless_members, "member 0 has no name");
	BUT(status, members.items = strange_members, "`colour` is no column of things");
	BUT(status, table = "letters", "there is no table `letters`");
	BUT(status, sort = "-colour", "sorted by `colour`");
	BUT(trigger, action = NULL, "there is no action `(null)`");
	BUT(trigger, action = "retry", "needs rows or arguments");
	BUT(trigger, action = "send", "needs rows or arguments");
}
#undef BUT

/* ---- notifiers ---- */

static int notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	(void)state;
	(void)notices;
	(void)n;
	return 0;
}

static const struct cw_action test_action[] = {CW_NOTIFIER_TEST};

static struct cw_plugin notifier(void)
{
	return (struct cw_plugin){
		CW_PLUGIN_ABI,
		.name = "teller",
		.summary = "For tests",
		.role = CW_NOTIFIER,
		.actions = CW_ARRAY(test_action),
		.start = start,
		.notify = notify,
		.digest_max = CW_NOTICE_DIGEST_MAX,
	};
}

/* The core carries `test` out, so act() is needed only for others, or where there is no notify(). */
static void notifier__is_copied_without_act(void **state)
{
	(void)state;
	char error[LOADER_ERROR_MAX] = "";
	struct cw_plugin found = notifier();
	const struct plugin *plugin = kept[2] = descriptor_copy("/x.so", &found, error);
	if (!plugin)
		fail_msg("%s", error);
	assert_ptr_equal(plugin->decl.notify, notify);
	assert_int_equal(plugin->decl.digest_max, CW_NOTICE_DIGEST_MAX);
	found.notify = NULL;
	assert_refused(&found, "actions without act()");
	found.act = act;
	if (!(kept[3] = descriptor_copy("/x.so", &found, error)))
		fail_msg("%s", error);
}

static void wrong_notifier__is_refused(void **state)
{
	(void)state;
	const struct cw_action wrong[] = {{.name = "test", .help = "x", .arguments = CW_ARRAY(list_argument)}};
	const struct cw_action needy[] = {{.name = "test", .help = "x", .arguments = CW_ARRAY(needed_argument)}};
	const struct cw_action more[] = {CW_NOTIFIER_TEST, run};
	struct cw_plugin found = notifier();
	found.actions = (struct cw_array){0};
	assert_refused(&found, "a notifier without the action `test`");
	found.actions = (struct cw_array)CW_ARRAY(wrong);
	assert_refused(&found, "the argument `names` is not of");
	found.actions = (struct cw_array)CW_ARRAY(needy);
	assert_refused(&found, "takes no rows and no arguments");
	found.actions = (struct cw_array)CW_ARRAY(more);
	assert_refused(&found, "actions without act()");
	found = notifier();
	found.digest_max = CW_NOTICE_DIGEST_MAX + 1;
	assert_refused(&found, "digest_max is 51, at most 50");
	found = notifier();
	found.role = CW_SOURCE;
	assert_refused(&found, "notify(), and it is no notifier");
	const struct cw_table_decl own[] = {{.name = "notifications", .columns = CW_ARRAY(columns), .help = "x"}};
	found = notifier();
	found.tables = (struct cw_array)CW_ARRAY(own);
	assert_refused(&found, "the table `notifications` is the core's own");
}

static void option_that_names_columns__needs_a_table(void **state)
{
	(void)state;
	static const struct cw_option columns_option[] = {
		{.key = "more", .type = CW_OPTION_MAP, .flags = CW_OPTION_COLUMNS, .help = "h"}};
	char error[LOADER_ERROR_MAX] = "";
	const struct cw_array none = {0};
	struct cw_plugin found = plugin_with(&none, &none);
	found.options = (struct cw_array)CW_ARRAY(columns_option);
	kept[4] = descriptor_copy("/x.so", &found, error);
	if (!kept[4])
		fail_msg("%s", error);
	found.tables = none;
	assert_refused(&found, "option `more` names columns, and there is no table");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_and_endpoints_that_are_right__are_copied),
		cmocka_unit_test(plugin_of_1_1__has_no_actions),
		cmocka_unit_test(wrong_action__is_refused_with_its_place),
		cmocka_unit_test(wrong_endpoint__is_refused_with_its_place),
		cmocka_unit_test(notifier__is_copied_without_act),
		cmocka_unit_test(wrong_notifier__is_refused),
		cmocka_unit_test(option_that_names_columns__needs_a_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
