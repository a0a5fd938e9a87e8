/* SPDX-License-Identifier: MIT
 *
 * See descriptor.h. A plugin is code we trust to run but not to be free of mistakes: whatever would later confuse a
 * person (two columns of one name, a table called like a command) or the core (a metric without bounds) is refused here
 * with the place inside the descriptor, at the author's desk and not at three in the morning.
 *
 * Arrays are copied element by element, because a plugin of an older minor version has shorter elements: what it does
 * not know is zero.
 */
#include "descriptor.h"

#include "callwatch/notify.h"
#include "core_tables.h"
#include "hub.h"
#include "metric.h"
#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTIONS_MAX = 256,
	TABLES_MAX = 64,
	COLUMNS_MAX = 256,
	METRICS_MAX = 1024,
	NEEDS_MAX = 64,
	CHECKS_MAX = 32,
	ACTIONS_MAX = 32,
	ENDPOINTS_MAX = 32,
	MEMBERS_MAX = 32,
	DEPTH_MAX = 4
};

/* Sizes of the structs in ABI 1.0: no element can be shorter. */
enum {
	OPTION_LEAST = sizeof(struct cw_option),
	TABLE_LEAST = sizeof(struct cw_table_decl),
	COLUMN_LEAST = sizeof(struct cw_column),
	METRIC_LEAST = sizeof(struct cw_metric),
	NEED_LEAST = sizeof(struct cw_need),
	CHECK_LEAST = sizeof(struct cw_check),       /* 1.1 */
	ACTION_LEAST = sizeof(struct cw_action),     /* 1.2 */
	ENDPOINT_LEAST = sizeof(struct cw_endpoint), /* 1.2 */
	MEMBER_LEAST = sizeof(struct cw_member),     /* 1.2 */
};

/* The client's commands: `callwatch NAME` must stay theirs. `calls`, `dlq`, `runs` are not in it: these are the tables
 * that the short forms mean. */
static const char *const commands[] = {"status",  "get",    "describe", "top",    "trigger", "history", "events",
				       "note",    "alerts", "why",      "ack",    "silence", "rules",   "doctor",
				       "plugins", "config", "reload",   "passwd", "token",   "help",    NULL};

struct look {
	const char *path;
	char *error; /* LOADER_ERROR_MAX */
	bool failed;
};

static void bad(struct look *look, const char *format, ...) CW_PRINTF(2, 3);
static void bad(struct look *look, const char *format, ...)
{
	if (look->failed) /* the first is enough: one sentence */
		return;
	look->failed = true;
	char what[LOADER_ERROR_MAX / 2];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(look->error, LOADER_ERROR_MAX, "%s: its descriptor is wrong: %s: mend the plugin", look->path, what);
}

static bool is_name(const char *name, const char *more)
{
	if (!name || name[0] < 'a' || name[0] > 'z')
		return false;
	for (const char *c = name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr(more, *c)))
			return false;
	return strlen(name) <= 63;
}

static bool in_list(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* `array` with elements of `size` bytes; what the plugin's elements do not have is zero. */
static struct cw_array copy_array(struct look *look, const char *what, const struct cw_array *array, uint32_t least,
				  uint32_t size, uint32_t most)
{
	struct cw_array copy = {.items = NULL, .count = 0, .stride = size};
	if (array->count == 0 || look->failed)
		return copy;
	if (array->count > most || array->stride < least || array->stride > 4096 || !array->items) {
		bad(look, "array `%s` has %u elements of %u bytes (at most %u of at least %u)", what, array->count,
		    array->stride, most, least);
		return copy;
	}
	char *items = calloc(array->count, size);
	if (!items) {
		bad(look, "out of memory");
		return copy;
	}
	uint32_t shared = array->stride < size ? array->stride : size;
	for (uint32_t i = 0; i < array->count; i++)
		memcpy(items + (size_t)i * size, cw_at(array, i), shared);
	copy.items = items;
	copy.count = array->count;
	return copy;
}

/* ---- options ---- */

static struct cw_array copy_options(struct look *look, const struct cw_array *from, int depth)
{
	struct cw_array copy = copy_array(look, "options", from, OPTION_LEAST, sizeof(struct cw_option), OPTIONS_MAX);
	if (copy.count > 0 && depth == DEPTH_MAX)
		bad(look, "options nested more than %d deep", DEPTH_MAX);
	struct cw_option *options = (struct cw_option *)copy.items;
	for (uint32_t i = 0; i < copy.count; i++)
		options[i].fields = copy_options(look, &options[i].fields, depth + 1);
	return copy;
}

static void free_options(struct cw_array *options)
{
	for (uint32_t i = 0; i < options->count; i++)
		free_options((struct cw_array *)&((const struct cw_option *)cw_at(options, i))->fields);
	free((void *)options->items);
}

static void check_options(struct look *look, const struct cw_array *options)
{
	char error[OPTIONS_ERROR_MAX];
	if (options_check_table(options, /* for_plugin */ true, error) < 0)
		bad(look, "%s", error);
}

/* ---- tables ---- */

static void check_column(struct look *look, const struct cw_table_decl *table, uint32_t index)
{
	const struct cw_column *column = cw_at(&table->columns, index);
	if (!is_name(column->name, "_")) {
		bad(look, "table `%s`, column %u: the name `%s` is not [a-z][a-z0-9_]*", table->name, index,
		    column->name ? column->name : "(null)");
		return;
	}
	if (strcmp(column->name, "instance") == 0)
		bad(look, "table `%s`: the column `instance` is the core's", table->name);
	if ((unsigned)column->type > CW_SINCE)
		bad(look, "table `%s`, column `%s`: unknown type %u", table->name, column->name,
		    (unsigned)column->type);
	if ((column->flags & CW_COLUMN_KEY) && column->type != CW_TEXT)
		bad(look, "table `%s`, column `%s`: a key is CW_TEXT", table->name, column->name);
	if ((column->flags & CW_COLUMN_WATCHED) && column->type != CW_CHOICE)
		bad(look, "table `%s`, column `%s`: only a CW_CHOICE can be watched", table->name, column->name);
	if ((column->flags & (CW_COLUMN_REPEATS | CW_COLUMN_PHONE)) && column->type != CW_TEXT)
		bad(look, "table `%s`, column `%s`: only CW_TEXT repeats or is a phone number", table->name,
		    column->name);
	if (column->type == CW_CHOICE && (!column->choices || !column->choices[0]))
		bad(look, "table `%s`, column `%s`: a choice without choices", table->name, column->name);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(((const struct cw_column *)cw_at(&table->columns, i))->name, column->name) == 0)
			bad(look, "table `%s`: two columns called `%s`", table->name, column->name);
}

static const struct cw_column *find_column(const struct cw_table_decl *table, const char *name)
{
	for (uint32_t i = 0; name && i < table->columns.count; i++) {
		const struct cw_column *column = cw_at(&table->columns, i);
		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

static void check_table_whole(struct look *look, const struct cw_table_decl *table)
{
	unsigned keys = 0;
	for (uint32_t i = 0; i < table->columns.count; i++) {
		const struct cw_column *column = cw_at(&table->columns, i);
		keys += (column->flags & CW_COLUMN_KEY) != 0;
		const struct cw_column *of = column->type == CW_SINCE ? find_column(table, column->of) : NULL;
		if (column->type == CW_SINCE && (!of || !(of->flags & CW_COLUMN_WATCHED)))
			bad(look, "table `%s`, column `%s`: it is CW_SINCE of `%s`, which is no watched column",
			    table->name, column->name, column->of ? column->of : "(null)");
	}
	if (keys != 1)
		bad(look, "table `%s` has %u key columns, not one", table->name, keys);
	const char *sort = table->sort;
	if (sort && strcmp(sort + (*sort == '-'), "instance") != 0 && !find_column(table, sort + (*sort == '-')))
		bad(look, "table `%s` is sorted by `%s`, which is no column", table->name, sort);
}

static void check_table(struct look *look, const struct cw_array *tables, uint32_t index)
{
	struct cw_table_decl *table = (struct cw_table_decl *)cw_at(tables, index);
	if (!is_name(table->name, "_")) {
		bad(look, "table %u: the name `%s` is not [a-z][a-z0-9_]*", index,
		    table->name ? table->name : "(null)");
		return;
	}
	if (in_list(commands, table->name))
		bad(look, "the table `%s` is called like a command of callwatch", table->name);
	if (core_has_table(table->name))
		bad(look, "the table `%s` is the core's own", table->name);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(((const struct cw_table_decl *)cw_at(tables, i))->name, table->name) == 0)
			bad(look, "two tables called `%s`", table->name);
	for (uint32_t i = 0; i < table->columns.count && !look->failed; i++)
		check_column(look, table, i);
	if (!look->failed)
		check_table_whole(look, table);
}

/* Their columns are of the first table. */
static void check_column_options(struct look *look, const struct cw_plugin *decl)
{
	for (uint32_t i = 0; i < decl->options.count; i++) {
		const struct cw_option *option = cw_at(&decl->options, i);
		if (option->flags & CW_OPTION_COLUMNS && decl->tables.count == 0)
			bad(look, "option `%s` names columns, and there is no table", option->key);
	}
}

/* ---- metrics ---- */

static void check_metric(struct look *look, const struct cw_array *metrics, uint32_t index)
{
	const struct cw_metric *metric = cw_at(metrics, index);
	char error[METRIC_ERROR_MAX];
	if (metric_check(metric, /* free_labels */ false, error) < 0) {
		bad(look, "metric %u: %s", index, error);
		return;
	}
	if (hub_says_metric(metric->name))
		bad(look, "the metric `%s` is the core's", metric->name);
	for (uint32_t i = 0; i < index; i++) {
		const struct cw_metric *other = cw_at(metrics, i);
		if (strcmp(other->name, metric->name) == 0)
			bad(look, "two metrics called `%s`", metric->name);
		if (metric_meets(other, metric))
			bad(look, "`%s` and `%s`: one is called like a part of the other, a histogram", other->name,
			    metric->name);
	}
}

/* ---- actions ---- */

static const struct cw_option *find_option(const struct cw_array *options, const char *key)
{
	for (uint32_t i = 0; key && i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		if (strcmp(option->key, key) == 0)
			return option;
	}
	return NULL;
}

static const struct cw_table_decl *find_table(const struct cw_plugin *decl, const char *name)
{
	for (uint32_t i = 0; name && i < decl->tables.count; i++) {
		const struct cw_table_decl *table = cw_at(&decl->tables, i);
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

static const struct cw_action *find_action(const struct cw_plugin *decl, const char *name)
{
	for (uint32_t i = 0; name && i < decl->actions.count; i++) {
		const struct cw_action *action = cw_at(&decl->actions, i);
		if (strcmp(action->name, name) == 0)
			return action;
	}
	return NULL;
}

/* They come as words, and are shown in table `tasks`. */
static void check_arguments(struct look *look, const struct cw_action *action)
{
	char error[OPTIONS_ERROR_MAX];
	if (options_check_table(&action->arguments, /* for_plugin */ false, error) < 0)
		bad(look, "action `%s`: %s", action->name, error);
	for (uint32_t i = 0; i < action->arguments.count && !look->failed; i++) {
		const struct cw_option *argument = cw_at(&action->arguments, i);
		if (!option_takes_one_value(argument) || argument->type == CW_OPTION_INSTANCE)
			bad(look, "action `%s`: the argument `%s` is not of a type that takes one value", action->name,
			    argument->key);
		else if (argument->flags & (CW_OPTION_SECRET | CW_OPTION_CONNECTION))
			bad(look, "action `%s`: the argument `%s` is a secret or of a connection", action->name,
			    argument->key);
	}
}

static void check_action(struct look *look, const struct cw_plugin *decl, uint32_t index)
{
	const struct cw_action *action = cw_at(&decl->actions, index);
	if (!is_name(action->name, "_")) {
		bad(look, "action %u: the name `%s` is not [a-z][a-z0-9_]*", index,
		    action->name ? action->name : "(null)");
		return;
	}
	if (find_action(decl, action->name) != action)
		bad(look, "two actions called `%s`", action->name);
	if (!action->help || !*action->help)
		bad(look, "action `%s`: no help", action->name);
	if (action->table && !find_table(decl, action->table))
		bad(look, "action `%s`: it acts on table `%s`, which the plugin does not have", action->name,
		    action->table);
	const struct cw_option *allowed_by = find_option(&decl->options, action->allowed_by);
	if (action->allowed_by && (!allowed_by || allowed_by->type != CW_OPTION_BOOL))
		bad(look, "action `%s`: it is allowed by `%s`, which is no boolean option", action->name,
		    action->allowed_by);
	check_arguments(look, action);
}

/* That of a notifier, which the core carries out where there is notify(). */
static void check_test(struct look *look, const struct cw_plugin *decl)
{
	const struct cw_action *test = find_action(decl, "test");
	if (!test)
		bad(look, "a notifier without the action `test` (use CW_NOTIFIER_TEST)");
	else if (test->table || test->arguments.count > 0)
		bad(look, "action `test`: a notifier's takes no rows and no arguments");
}

static void check_actions(struct look *look, const struct cw_plugin *decl)
{
	for (uint32_t i = 0; i < decl->actions.count && !look->failed; i++)
		check_action(look, decl, i);
	if (decl->role == CW_NOTIFIER)
		check_test(look, decl);
	uint32_t not_its_own = decl->role == CW_NOTIFIER && decl->notify;
	if (decl->actions.count > not_its_own && !decl->act)
		bad(look, "actions without act()");
}

/* ---- endpoints ---- */

static bool needs_arguments(const struct cw_action *action)
{
	for (uint32_t i = 0; i < action->arguments.count; i++)
		if (((const struct cw_option *)cw_at(&action->arguments, i))->flags & CW_OPTION_REQUIRED)
			return true;
	return false;
}

static void check_endpoint_action(struct look *look, const struct cw_plugin *decl, const struct cw_endpoint *endpoint)
{
	const struct cw_action *action = find_action(decl, endpoint->action);
	if (!action)
		bad(look, "endpoint %s: there is no action `%s`", endpoint->path,
		    endpoint->action ? endpoint->action : "(null)");
	else if (action->table || needs_arguments(action))
		bad(look, "endpoint %s: the action `%s` needs rows or arguments, which nobody gives here",
		    endpoint->path, action->name);
}

static void check_endpoint_row(struct look *look, const struct cw_plugin *decl, const struct cw_endpoint *endpoint)
{
	const struct cw_table_decl *table = find_table(decl, endpoint->table);
	const char *sort = endpoint->sort ? endpoint->sort + (*endpoint->sort == '-') : NULL;
	if (!table) {
		bad(look, "endpoint %s: there is no table `%s`", endpoint->path,
		    endpoint->table ? endpoint->table : "(null)");
		return;
	}
	if (sort && !find_column(table, sort))
		bad(look, "endpoint %s: it is sorted by `%s`, which is no column of %s", endpoint->path, sort,
		    table->name);
	for (uint32_t i = 0; i < endpoint->members.count; i++) {
		const struct cw_member *member = cw_at(&endpoint->members, i);
		if (!find_column(table, member->column))
			bad(look, "endpoint %s: `%s` is no column of %s", endpoint->path,
			    member->column ? member->column : "(null)", table->name);
	}
}

/* What its members of an action's task are called is looked up when it is asked for: that table is the core's. */
static void check_endpoint(struct look *look, const struct cw_plugin *decl, uint32_t index)
{
	static const char *const methods[] = {"POST", "GET"};
	const struct cw_endpoint *endpoint = cw_at(&decl->endpoints, index);
	if (!endpoint->path || endpoint->path[0] != '/') {
		bad(look, "endpoint %u: the path `%s` does not begin with /", index,
		    endpoint->path ? endpoint->path : "(null)");
		return;
	}
	if ((unsigned)endpoint->kind > CW_ENDPOINT_ROW || !endpoint->method ||
	    strcmp(endpoint->method, methods[endpoint->kind]) != 0)
		bad(look, "endpoint %s: an action is asked for by POST, a row by GET", endpoint->path);
	const struct cw_option *key = find_option(&decl->options, endpoint->key_option);
	if (!key || key->type != CW_OPTION_STRING || !(key->flags & CW_OPTION_SECRET))
		bad(look, "endpoint %s: its key is `%s`, which is no secret option that takes a text", endpoint->path,
		    endpoint->key_option ? endpoint->key_option : "(null)");
	if (endpoint->members.count == 0)
		bad(look, "endpoint %s: it answers with nothing", endpoint->path);
	for (uint32_t i = 0; i < endpoint->members.count; i++) {
		const struct cw_member *member = cw_at(&endpoint->members, i);
		if (!member->name || !*member->name || !member->column)
			bad(look, "endpoint %s: member %u has no name or no column", endpoint->path, i);
	}
	if (look->failed)
		return;
	if (endpoint->kind == CW_ENDPOINT_ACTION)
		check_endpoint_action(look, decl, endpoint);
	else
		check_endpoint_row(look, decl, endpoint);
}

/* ---- the whole ---- */

static void check_head(struct look *look, const struct cw_plugin *decl)
{
	if (!is_name(decl->name, "-"))
		bad(look, "the plugin's name `%s` is not [a-z][a-z0-9-]*", decl->name ? decl->name : "(null)");
	else if (strcmp(decl->name, "agent") == 0)
		bad(look, "the name `agent` is the core's");
	if ((unsigned)decl->role > CW_FRONTEND)
		bad(look, "unknown role %u", (unsigned)decl->role);
	if (!decl->summary || !*decl->summary)
		bad(look, "no summary");
	if (!decl->start)
		bad(look, "no start()");
	if (role_is_output(decl->role) && !decl->write)
		bad(look, "an output without write()");
	if (decl->role == CW_LOOKUP && !decl->look_up)
		bad(look, "a lookup without look_up()");
	if (decl->checks.count > 0 && !decl->examine)
		bad(look, "checks without examine()");
	if (decl->digest_max > CW_NOTICE_DIGEST_MAX)
		bad(look, "digest_max is %u, at most %d", decl->digest_max, CW_NOTICE_DIGEST_MAX);
	if (decl->role != CW_NOTIFIER && decl->notify)
		bad(look, "notify(), and it is no notifier");
	if (decl->role == CW_NOTIFIER && decl->write)
		bad(look, "write(): a notifier is given no samples");
}

static void check_check(struct look *look, const struct cw_array *checks, uint32_t index)
{
	const struct cw_check *check = cw_at(checks, index);
	if (!is_name(check->name, "_-"))
		bad(look, "check %u: the name `%s` is not [a-z][a-z0-9_-]*", index,
		    check->name ? check->name : "(null)");
	else if (!check->help || !*check->help)
		bad(look, "check `%s`: no help", check->name);
}

static void free_arrays(struct cw_plugin *decl)
{
	free_options(&decl->options);
	for (uint32_t i = 0; i < decl->tables.count; i++)
		free((void *)((const struct cw_table_decl *)cw_at(&decl->tables, i))->columns.items);
	free((void *)decl->tables.items);
	free((void *)decl->metrics.items);
	free((void *)decl->needs.items);
	free((void *)decl->checks.items);
	for (uint32_t i = 0; i < decl->actions.count; i++)
		free_options(&((struct cw_action *)cw_at(&decl->actions, i))->arguments);
	free((void *)decl->actions.items);
	for (uint32_t i = 0; i < decl->endpoints.count; i++)
		free((void *)((const struct cw_endpoint *)cw_at(&decl->endpoints, i))->members.items);
	free((void *)decl->endpoints.items);
}

/* After a failure the arrays that follow are empty: whatever is there is ours to free. */
static void copy_arrays(struct look *look, struct cw_plugin *decl)
{
	decl->options = copy_options(look, &decl->options, 0);
	decl->tables = copy_array(look, "tables", &decl->tables, TABLE_LEAST, sizeof(struct cw_table_decl), TABLES_MAX);
	for (uint32_t i = 0; i < decl->tables.count; i++) {
		struct cw_array *columns = &((struct cw_table_decl *)cw_at(&decl->tables, i))->columns;
		*columns = copy_array(look, "columns", columns, COLUMN_LEAST, sizeof(struct cw_column), COLUMNS_MAX);
	}
	decl->metrics =
		copy_array(look, "metrics", &decl->metrics, METRIC_LEAST, sizeof(struct cw_metric), METRICS_MAX);
	decl->needs = copy_array(look, "needs", &decl->needs, NEED_LEAST, sizeof(struct cw_need), NEEDS_MAX);
	decl->checks = copy_array(look, "checks", &decl->checks, CHECK_LEAST, sizeof(struct cw_check), CHECKS_MAX);
	decl->actions =
		copy_array(look, "actions", &decl->actions, ACTION_LEAST, sizeof(struct cw_action), ACTIONS_MAX);
	for (uint32_t i = 0; i < decl->actions.count; i++) {
		struct cw_array *arguments = &((struct cw_action *)cw_at(&decl->actions, i))->arguments;
		*arguments = copy_options(look, arguments, 0);
	}
	decl->endpoints = copy_array(look, "endpoints", &decl->endpoints, ENDPOINT_LEAST, sizeof(struct cw_endpoint),
				     ENDPOINTS_MAX);
	for (uint32_t i = 0; i < decl->endpoints.count; i++) {
		struct cw_array *members = &((struct cw_endpoint *)cw_at(&decl->endpoints, i))->members;
		*members = copy_array(look, "members", members, MEMBER_LEAST, sizeof(struct cw_member), MEMBERS_MAX);
	}
}

static void check_all(struct look *look, struct cw_plugin *decl)
{
	check_head(look, decl);
	copy_arrays(look, decl);
	if (!look->failed)
		check_options(look, &decl->options);
	check_column_options(look, decl);
	for (uint32_t i = 0; i < decl->tables.count && !look->failed; i++)
		check_table(look, &decl->tables, i);
	for (uint32_t i = 0; i < decl->metrics.count && !look->failed; i++)
		check_metric(look, &decl->metrics, i);
	for (uint32_t i = 0; i < decl->checks.count && !look->failed; i++)
		check_check(look, &decl->checks, i);
	if (!look->failed)
		check_actions(look, decl);
	for (uint32_t i = 0; i < decl->endpoints.count && !look->failed; i++)
		check_endpoint(look, decl, i);
}

struct plugin *descriptor_copy(const char *path, const struct cw_plugin *found, char error[LOADER_ERROR_MAX])
{
	struct look look = {.path = path, .error = error};
	uint32_t least = offsetof(struct cw_plugin, release) + sizeof found->release; /* ABI 1.0 */
	if (found->size < least) {
		bad(&look, "its size is %u bytes, at least %u are needed (use CW_PLUGIN_ABI)", found->size, least);
		return NULL;
	}
	struct plugin *plugin = calloc(1, sizeof *plugin);
	if (!plugin || !(plugin->path = strdup(path))) {
		bad(&look, "out of memory");
		free(plugin);
		return NULL;
	}
	memcpy(&plugin->decl, found, found->size < sizeof *found ? found->size : sizeof *found);
	check_all(&look, &plugin->decl);
	if (!look.failed)
		return plugin;
	free_arrays(&plugin->decl);
	free((char *)plugin->path);
	free(plugin);
	return NULL;
}
