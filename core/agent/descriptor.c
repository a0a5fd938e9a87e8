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
	DEPTH_MAX = 4
};

/* Sizes of the structs in ABI 1.0: no element can be shorter. */
enum {
	OPTION_LEAST = sizeof(struct cw_option),
	TABLE_LEAST = sizeof(struct cw_table_decl),
	COLUMN_LEAST = sizeof(struct cw_column),
	METRIC_LEAST = sizeof(struct cw_metric),
	NEED_LEAST = sizeof(struct cw_need),
	CHECK_LEAST = sizeof(struct cw_check), /* 1.1 */
};

/* The client's commands: `callwatch NAME` must stay theirs. `calls`, `dlq`, `runs` are not in it: these are the tables
 * that the short forms mean. */
static const char *const commands[] = {"status",  "get",    "describe", "top",    "trigger", "history", "events",
				       "note",    "alerts", "why",      "ack",    "silence", "rules",   "doctor",
				       "plugins", "config", "reload",   "passwd", "token",   "help",    NULL};

/* Tables of the core's own that a plugin may not add rows to. */
static const char *const core_tables[] = {"instances", "events", "alerts", "silences", "tasks", NULL};

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
	if (in_list(core_tables, table->name))
		bad(look, "the table `%s` is the core's own", table->name);
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(((const struct cw_table_decl *)cw_at(tables, i))->name, table->name) == 0)
			bad(look, "two tables called `%s`", table->name);
	for (uint32_t i = 0; i < table->columns.count && !look->failed; i++)
		check_column(look, table, i);
	if (!look->failed)
		check_table_whole(look, table);
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
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(((const struct cw_metric *)cw_at(metrics, i))->name, metric->name) == 0)
			bad(look, "two metrics called `%s`", metric->name);
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
}

static void check_all(struct look *look, struct cw_plugin *decl)
{
	check_head(look, decl);
	copy_arrays(look, decl);
	if (!look->failed)
		check_options(look, &decl->options);
	for (uint32_t i = 0; i < decl->tables.count && !look->failed; i++)
		check_table(look, &decl->tables, i);
	for (uint32_t i = 0; i < decl->metrics.count && !look->failed; i++)
		check_metric(look, &decl->metrics, i);
	for (uint32_t i = 0; i < decl->checks.count && !look->failed; i++)
		check_check(look, &decl->checks, i);
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
