/* SPDX-License-Identifier: MIT
 *
 * The grid (screen.h): cells with display widths, and the decision what gives way when a line is too long: first the
 * long titles, then the widest columns down to a readable rest, then whole columns by rank, which the caller names to
 * the reader. Where the width is not known (a pipe, a file) nothing is cut.
 */
#include "screen.h"

#include "client.h"

#include <stdlib.h>
#include <string.h>

enum { GAP = 2, SHORTEST = 12 };

struct grid_cell {
	char *text;
	int width;
	enum tone tone;
};

struct grid_column {
	char *title, *brief;
	unsigned flags;
	int rank;
	int full;  /* widest cell */
	int width; /* as printed */
	bool hidden, is_brief;
};

struct grid {
	struct grid_column *columns;
	uint32_t columns_count;
	int indent;
	bool no_titles;
	struct grid_cell *cells;
	size_t count, room;
};

struct grid *grid_new(uint32_t columns, int indent)
{
	struct grid *grid = must(calloc(1, sizeof(*grid)));
	grid->columns = must(calloc(columns ? columns : 1, sizeof(*grid->columns)));
	grid->columns_count = columns;
	grid->indent = indent;
	return grid;
}

void grid_free(struct grid *grid)
{
	if (!grid)
		return;
	for (uint32_t i = 0; i < grid->columns_count; i++) {
		free(grid->columns[i].title);
		free(grid->columns[i].brief);
	}
	for (size_t i = 0; i < grid->count; i++)
		free(grid->cells[i].text);
	free(grid->columns);
	free(grid->cells);
	free(grid);
}

void grid_column(struct grid *grid, uint32_t column, const char *title, const char *brief, unsigned flags, int rank)
{
	struct grid_column *at = &grid->columns[column];
	at->title = must(strdup(title));
	at->brief = brief ? must(strdup(brief)) : NULL;
	at->flags = flags;
	at->rank = rank;
}

void grid_no_titles(struct grid *grid)
{
	grid->no_titles = true;
}

void grid_cell(struct grid *grid, enum tone tone, const char *text)
{
	if (grid->count == grid->room) {
		grid->room = grid->room ? 2 * grid->room : 64;
		grid->cells = must(reallocarray(grid->cells, grid->room, sizeof(*grid->cells)));
	}
	struct grid_column *column = &grid->columns[grid->count % grid->columns_count];
	struct grid_cell *cell = &grid->cells[grid->count++];
	*cell = (struct grid_cell){.text = must(strdup(text)), .width = text_width(text), .tone = tone};
	if (cell->width > column->full)
		column->full = cell->width;
}

uint32_t grid_rows(const struct grid *grid)
{
	return (uint32_t)(grid->count / grid->columns_count);
}

static int title_width(const struct grid *grid, const struct grid_column *column)
{
	if (grid->no_titles || !column->title)
		return 0;
	return text_width(column->is_brief && column->brief ? column->brief : column->title);
}

static int line_width(const struct grid *grid)
{
	int width = grid->indent - GAP;
	for (uint32_t i = 0; i < grid->columns_count; i++)
		if (!grid->columns[i].hidden)
			width += grid->columns[i].width + GAP;
	return width;
}

static void measure(struct grid *grid, bool brief)
{
	for (uint32_t i = 0; i < grid->columns_count; i++) {
		struct grid_column *column = &grid->columns[i];
		column->is_brief = brief;
		int title = title_width(grid, column);
		column->width = column->full > title ? column->full : title;
	}
}

/* Numbers, times and states are only right whole: what is shortened is text, never below a readable rest. */
static int shortest(const struct grid *grid, const struct grid_column *column)
{
	if (column->flags & (GRID_FIXED | GRID_RIGHT | GRID_WHOLE))
		return column->width;
	int title = title_width(grid, column);
	int least = title > SHORTEST ? title : SHORTEST;
	return least < column->width ? least : column->width;
}

static int least_width(const struct grid *grid)
{
	int width = grid->indent - GAP;
	for (uint32_t i = 0; i < grid->columns_count; i++)
		if (!grid->columns[i].hidden)
			width += shortest(grid, &grid->columns[i]) + GAP;
	return width;
}

/* Of those with the highest rank the last; NULL: all that is left must stay. */
static struct grid_column *least_important(struct grid *grid)
{
	struct grid_column *worst = NULL;
	for (uint32_t i = 0; i < grid->columns_count; i++) {
		struct grid_column *column = &grid->columns[i];
		if (column->hidden || (column->flags & (GRID_FIXED | GRID_KEEP)))
			continue;
		if (!worst || column->rank >= worst->rank)
			worst = column;
	}
	return worst;
}

static void shorten_widest(struct grid *grid, int excess)
{
	for (; excess > 0; excess--) {
		struct grid_column *widest = NULL;
		for (uint32_t i = 0; i < grid->columns_count; i++) {
			struct grid_column *column = &grid->columns[i];
			if (!column->hidden && column->width > shortest(grid, column) &&
			    (!widest || column->width > widest->width))
				widest = column;
		}
		if (!widest)
			return;
		widest->width--;
	}
}

static void fit(struct grid *grid, int width)
{
	measure(grid, /* brief: */ false);
	if (width <= 0 || line_width(grid) <= width)
		return;
	measure(grid, /* brief: */ true);
	struct grid_column *worst;
	while (least_width(grid) > width && (worst = least_important(grid)))
		worst->hidden = true;
	shorten_widest(grid, line_width(grid) - width);
}

static void print_spaces(int n, FILE *out)
{
	for (; n > 0; n--)
		putc(' ', out);
}

struct pen {
	const struct grid *grid;
	const struct screen *screen;
	FILE *out;
	int owed; /* spaces before the next text, so that no line ends in blanks */
};

static void print_text(struct pen *pen, const struct grid_column *column, enum tone tone, const char *text, int width)
{
	bool cut = width > column->width;
	size_t bytes = cut ? text_fit(text, column->width - 1) : strlen(text);
	if (cut) /* a wide character may leave a column free */
		width = column->width;
	int blank = column->width - width;
	bool right = column->flags & GRID_RIGHT;
	if (right)
		pen->owed += blank;
	if (bytes || cut) {
		print_spaces(pen->owed, pen->out);
		pen->owed = 0;
		fprintf(pen->out, "%s%.*s%s%s", tone ? screen_tone(pen->screen, tone) : "", (int)bytes, text,
			cut ? "…" : "", tone ? screen_plain(pen->screen) : "");
	}
	pen->owed += (right ? 0 : blank) + GAP;
}

static void print_titles(struct pen *pen)
{
	pen->owed = pen->grid->indent;
	for (uint32_t i = 0; i < pen->grid->columns_count; i++) {
		const struct grid_column *column = &pen->grid->columns[i];
		if (column->hidden)
			continue;
		const char *title = column->is_brief && column->brief ? column->brief : column->title;
		print_text(pen, column, TONE_BOLD, title ? title : "", title ? text_width(title) : 0);
	}
	putc('\n', pen->out);
}

static void print_row(struct pen *pen, uint32_t row)
{
	pen->owed = pen->grid->indent;
	for (uint32_t i = 0; i < pen->grid->columns_count; i++) {
		const struct grid_cell *cell = &pen->grid->cells[(size_t)row * pen->grid->columns_count + i];
		if (!pen->grid->columns[i].hidden)
			print_text(pen, &pen->grid->columns[i], cell->tone, cell->text, cell->width);
	}
	putc('\n', pen->out);
}

static char *hidden_titles(const struct grid *grid)
{
	char *text = NULL;
	for (uint32_t i = 0; i < grid->columns_count; i++) {
		if (!grid->columns[i].hidden)
			continue;
		char *longer = must_printf("%s%s%s", text ? text : "", text ? ", " : "", grid->columns[i].title);
		free(text);
		text = longer;
	}
	return text;
}

char *grid_print(struct grid *grid, const struct screen *screen, uint32_t most, FILE *out)
{
	fit(grid, screen->width);
	struct pen pen = {.grid = grid, .screen = screen, .out = out};
	if (!grid->no_titles)
		print_titles(&pen);
	uint32_t rows = grid_rows(grid);
	for (uint32_t row = 0; row < rows && (most == 0 || row < most); row++)
		print_row(&pen, row);
	return hidden_titles(grid);
}
