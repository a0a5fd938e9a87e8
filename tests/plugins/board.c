/* SPDX-License-Identifier: MIT
 *
 * board: a source whose rows are the lines of the file `path`, read each `interval`: `KEY PLACE fine|broken`. So what
 * is true is outside of the agent, and can be changed by anybody who replaces the file, whatever becomes of the agent.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cw_option options[] = {
	{.key = "path", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "File with the rows"},
};

static const char *const states[] = {"fine", "broken", NULL};
enum { ID, PLACE, STATE, COLUMNS };
static const struct cw_column columns[COLUMNS] = {
	[ID] = {.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "The thing"},
	[PLACE] = {.name = "place", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .help = "Where it is"},
	[STATE] = {.name = "state",
		   .type = CW_CHOICE,
		   .flags = CW_COLUMN_WATCHED,
		   .choices = states,
		   .help = "How it is"},
};
static const struct cw_table_decl tables[] = {
	{.name = "board", .help = "Things", .columns = CW_ARRAY(columns), .sort = "id"},
};

struct board {
	struct cw_instance *self;
	const struct cw_host *host;
	struct cw_part *part;
	const char *path; /* the core's */
};

static int board_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	struct board *board = malloc(sizeof *board);
	if (!board)
		return -12; /* ENOMEM */
	*board = (struct board){.self = self, .host = host, .path = cw_get_string(values, "path")};
	*ret_state = board;
	return host->table_open(self, 0, NULL, &board->part);
}

static struct cw_cell text_cell(const char *text)
{
	return (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)strlen(text), .text = text};
}

static int board_read(void *state)
{
	struct board *board = state;
	const struct cw_host *host = board->host;
	char id[64], place[64], how[16];
	FILE *file = fopen(board->path, "re");
	if (!file) {
		host->state(board->self, CW_DOWN, 0, "there is no board");
		return -2; /* ENOENT */
	}
	host->full_begin(board->part);
	while (fscanf(file, "%63s %63s %15s", id, place, how) == 3) {
		const struct cw_cell cells[COLUMNS] = {
			[ID] = text_cell(id),
			[PLACE] = text_cell(place),
			[STATE] = {.type = CW_CELL_INTEGER, .integer = strcmp(how, states[1]) == 0},
		};
		host->row_put(board->part, cells);
	}
	host->full_end(board->part, NULL, NULL);
	fclose(file);
	int64_t now = host->wall();
	host->coverage(board->part, &(struct cw_coverage){.from = now, .to = now, .complete = true, .ratio = 1});
	host->state(board->self, CW_UP, 0, "%s", "");
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "board",
	.summary = "A source whose rows are the lines of a file, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.start = board_start,
	.read = board_read,
	.release = free,
};
