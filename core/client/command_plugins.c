/* SPDX-License-Identifier: MIT
 *
 * `callwatch plugins [NAME|./x.so]`: what a plugin says about itself: options, tables, metrics, needs, checks, actions,
 * endpoints and a sample. All of it is read from the descriptor in the shared object; no daemon is asked.
 */
#include "answer.h"
#include "client.h"
#include "loader.h"
#include "options.h"
#include "plan.h"
#include "plugin_directories.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"gauge", "counter", "histogram"};

static void cell(struct grid *grid, const char *text)
{
	char *shown = visible(text);
	grid_cell(grid, TONE_PLAIN, shown);
	free(shown);
}

static void title(const struct screen *screen, const char *text)
{
	printf("\n%s%s%s\n", screen_tone(screen, TONE_BOLD), text, screen_plain(screen));
}

/* name, a short word or two, and a help text that gives way. */
static struct grid *reference_grid(uint32_t columns)
{
	struct grid *grid = grid_new(columns, /* indent: */ 2);
	for (uint32_t i = 0; i < columns; i++)
		grid_column(grid, i, "", NULL, i + 1 < columns ? GRID_FIXED : GRID_KEEP, 0);
	grid_no_titles(grid);
	return grid;
}

static void finish(struct grid *grid, const struct screen *screen)
{
	(void)screen;
	struct screen uncut = {0}; /* a reference is read whole: it may wrap, not be cut */
	free(grid_print(grid, &uncut, /* most: */ 0, stdout));
	grid_free(grid);
}

static void print_table(const struct cw_table_decl *table, const struct screen *screen)
{
	char *heading = must_printf("table %s: %s", table->name, table->help ? table->help : "");
	title(screen, heading);
	free(heading);
	struct grid *grid = reference_grid(4);
	for (uint32_t i = 0; i < table->columns.count; i++) {
		const struct cw_column *column = cw_at(&table->columns, i);
		char *flags = must_printf("%s%s%s%s%s", column->unit ? column->unit : "",
					  column->flags & CW_COLUMN_KEY ? " key" : "",
					  column->flags & CW_COLUMN_WATCHED ? " watched" : "",
					  column->flags & CW_COLUMN_PHONE ? " masked" : "",
					  column->flags & CW_COLUMN_WIDE ? " on-request" : "");
		cell(grid, column->name);
		cell(grid, column_type_names[column->type]);
		cell(grid, flags + (*flags == ' '));
		cell(grid, column->help ? column->help : "");
		free(flags);
	}
	finish(grid, screen);
}

static char *labels_text(const struct cw_metric *metric)
{
	char *text = must(strdup(""));
	for (uint32_t i = 0; i < cw_label_count(metric); i++) {
		char *longer = must_printf("%s%s%s", text, i ? "," : "{", metric->labels[i].name);
		free(text);
		text = longer;
	}
	char *closed = must_printf("%s%s", text, *text ? "}" : "");
	free(text);
	return closed;
}

static void print_metrics(const struct cw_array *metrics, const struct screen *screen)
{
	if (!metrics->count)
		return;
	title(screen, "metrics");
	struct grid *grid = reference_grid(4);
	for (uint32_t i = 0; i < metrics->count; i++) {
		const struct cw_metric *metric = cw_at(metrics, i);
		char *labels = labels_text(metric), *name = must_printf("%s%s", metric->name, labels);
		cell(grid, name);
		cell(grid, kinds[metric->kind]);
		cell(grid, metric->unit ? metric->unit : "");
		cell(grid, metric->help ? metric->help : "");
		free(labels);
		free(name);
	}
	finish(grid, screen);
}

static void print_needs(const struct cw_array *needs, const struct screen *screen)
{
	if (!needs->count)
		return;
	title(screen, "needs");
	for (uint32_t i = 0; i < needs->count; i++) {
		const struct cw_need *need = cw_at(needs, i);
		char *what = visible(need->what), *line = visible(need->line);
		printf("  %s:\n    %s\n", what, line);
		free(what);
		free(line);
	}
}

static void print_checks(const struct cw_array *checks, const struct screen *screen)
{
	if (!checks->count)
		return;
	title(screen, "checks of `callwatch doctor`, in this order");
	struct grid *grid = reference_grid(2);
	for (uint32_t i = 0; i < checks->count; i++) {
		const struct cw_check *check = cw_at(checks, i);
		cell(grid, check->name);
		cell(grid, check->help);
	}
	finish(grid, screen);
}

static void print_action(const struct cw_action *action, const struct screen *screen)
{
	char *heading = must_printf("action %s: %s", action->name, action->help);
	title(screen, heading);
	free(heading);
	if (action->table)
		printf("  acts on rows of table %s: --key, --where or --all\n", action->table);
	if (action->danger) {
		char *danger = visible(action->danger);
		printf("  asks before it is done: %s\n", danger);
		free(danger);
	}
	if (action->allowed_by)
		printf("  only with `%s: true`\n", action->allowed_by);
	if (action->flags & CW_ACTION_SINGLE)
		puts("  one at a time");
	if (action->arguments.count)
		options_print(&action->arguments, stdout);
}

static void print_endpoints(const struct cw_array *endpoints, const struct screen *screen)
{
	if (!endpoints->count)
		return;
	title(screen, "endpoints, as another program's own");
	struct grid *grid = reference_grid(3);
	for (uint32_t i = 0; i < endpoints->count; i++) {
		const struct cw_endpoint *endpoint = cw_at(endpoints, i);
		bool is_action = endpoint->kind == CW_ENDPOINT_ACTION;
		char *what = must_printf("%s %s, with `%s` as X-API-Key", is_action ? "action" : "a row of",
					 is_action ? endpoint->action : endpoint->table, endpoint->key_option);
		cell(grid, endpoint->method);
		cell(grid, endpoint->path);
		cell(grid, what);
		free(what);
	}
	finish(grid, screen);
}

static void print_plugin(const struct plugin *plugin)
{
	struct screen screen = screen_of(stdout);
	const struct cw_plugin *decl = &plugin->decl;
	char *summary = visible(decl->summary), *path = visible(plugin->path);
	printf("%s%s%s (%s): %s\n  %s, ABI %u.%u\n", screen_tone(&screen, TONE_BOLD), decl->name, screen_plain(&screen),
	       role_names[decl->role], summary, path, decl->abi_major, decl->abi_minor);
	free(summary);
	free(path);
	for (uint32_t i = 0; i < decl->tables.count; i++)
		print_table(cw_at(&decl->tables, i), &screen);
	print_metrics(&decl->metrics, &screen);
	print_needs(&decl->needs, &screen);
	print_checks(&decl->checks, &screen);
	for (uint32_t i = 0; i < decl->actions.count; i++)
		print_action(cw_at(&decl->actions, i), &screen);
	print_endpoints(&decl->endpoints, &screen);
	title(&screen, "options");
	options_print(&decl->options, stdout);
	title(&screen, decl->role == CW_OUTPUT ? "options of every output" : "options of every instance");
	options_print(decl->role == CW_OUTPUT ? &plan_output_options : &plan_common_options, stdout);
	title(&screen, "sample");
	printf("plugins:\n  - plugin: %s\n", decl->name);
	options_print_sample(&decl->options, stdout);
}

static int show_one(const char *name)
{
	char error[LOADER_ERROR_MAX];
	const struct plugin *plugin = loader_find(name, error);
	if (plugin) {
		print_plugin(plugin);
		return EXIT_FINE;
	}
	const char *nearest = strchr(name, '/') ? NULL : loader_nearest(name);
	complain("%s%s%s%s", error, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	return EXIT_FAILED;
}

struct listing {
	struct grid *grid;
	uint32_t bad;
};

static void list_plugin(void *arg, const struct plugin *plugin, const char *error)
{
	struct listing *listing = arg;
	if (!plugin) {
		complain("%s", error);
		listing->bad++;
		return;
	}
	cell(listing->grid, plugin->decl.name);
	cell(listing->grid, role_names[plugin->decl.role]);
	cell(listing->grid, plugin->decl.summary);
}

static int list_all(void)
{
	struct screen screen = screen_of(stdout);
	struct listing listing = {.grid = grid_new(3, /* indent: */ 0)};
	grid_column(listing.grid, 0, "plugin", NULL, GRID_FIXED, 0);
	grid_column(listing.grid, 1, "role", NULL, GRID_FIXED, 0);
	grid_column(listing.grid, 2, "what", NULL, GRID_KEEP, 0);
	loader_list(list_plugin, &listing);
	uint32_t found = grid_rows(listing.grid);
	if (found)
		free(grid_print(listing.grid, &screen, /* most: */ 0, stdout));
	grid_free(listing.grid);
	if (found)
		puts("\n`callwatch plugins NAME` shows options, tables, metrics, needs, checks, actions and a sample.");
	else
		complain("no plugin found; -c PATH names the configuration whose agent.plugin_dir says where they are");
	return found && !listing.bad ? EXIT_FINE : EXIT_FAILED;
}

int command_plugins(const struct arguments *arguments)
{
	plugin_directories_read(arguments->config[0] ? arguments->config : NULL);
	return arguments->words[1] ? show_one(arguments->words[1]) : list_all();
}
