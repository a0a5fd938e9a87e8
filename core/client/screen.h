/* SPDX-License-Identifier: MIT
 *
 * What the terminal is like: its width, whether it shows colour, how wide a text is on it. And the grid: rows of cells
 * laid out for people, cut to the width.
 */
#ifndef CALLWATCH_CLIENT_SCREEN_H
#define CALLWATCH_CLIENT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct screen {
	bool terminal;
	bool colour;
	int width, height; /* 0: not known, nothing is cut */
};

/* Sets the character type by which widths are measured; once, at the start of the program. */
void screen_init(void);
/* What `out` is. Colour only on a terminal that has it, and not with NO_COLOR. */
struct screen screen_of(FILE *out);

/* Tones never carry a meaning alone: a word and a shape stand beside them. */
enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARNING, TONE_BAD, TONE_DIM, TONE_BOLD };
const char *screen_tone(const struct screen *screen, enum tone tone); /* escape sequence, or "" */
const char *screen_plain(const struct screen *screen);

/* A stranger's text as people may see it (text_visible); the caller frees it. NULL in: "". */
char *visible(const char *text);
/* Columns that a valid UTF-8 text takes on the terminal. */
int text_width(const char *text);
/* Bytes of `text` that fit into `width` columns. */
size_t text_fit(const char *text, int width);

/* Lines that a text with our own escape sequences takes on a terminal of that width. */
int lines_taken(const char *text, int width);
/* Prints a line, broken at blanks where it is wider than the screen; what follows is indented. */
void print_wrapped(const struct screen *screen, enum tone tone, int indent, const char *text, FILE *out);

enum grid_flags {
	GRID_RIGHT = 1 << 0, /* numbers: aligned to the right */
	GRID_FIXED = 1 << 1, /* never shortened, never left out */
	GRID_WHOLE = 1 << 3, /* times, states: never shortened, but may be left out */
	GRID_KEEP = 1 << 2   /* may be shortened, not left out */
};

struct grid;
/* A grid with so many columns. `indent` spaces stand before each line. */
struct grid *grid_new(uint32_t columns, int indent);
void grid_free(struct grid *grid); /* NULL is fine */
/* `brief` is used where the long title does not fit, NULL: none. Columns of the highest rank are left out first. */
void grid_column(struct grid *grid, uint32_t column, const char *title, const char *brief, unsigned flags, int rank);
void grid_no_titles(struct grid *grid);
/* The next cell, row by row; `text` is visible text, copied. */
void grid_cell(struct grid *grid, enum tone tone, const char *text);
uint32_t grid_rows(const struct grid *grid);
/* Prints the first `most` rows (0: all). Returns the titles of columns left out, comma-separated, NULL: none; the
 * caller frees it. */
char *grid_print(struct grid *grid, const struct screen *screen, uint32_t most, FILE *out);

#endif
