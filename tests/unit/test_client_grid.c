/* SPDX-License-Identifier: MIT
 *
 * core/client/grid and screen: widths as the terminal counts them, what gives way, nothing hostile gets through.
 */
#include "screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char printed[8192];
static char *hidden;

static void print(struct grid *grid, int width, bool colour)
{
	struct screen screen = {.terminal = width > 0, .colour = colour, .width = width};
	FILE *out = fmemopen(printed, sizeof(printed), "w");
	free(hidden);
	hidden = grid_print(grid, &screen, /* most: */ 0, out);
	fclose(out);
	grid_free(grid);
}

static struct grid *calls_grid(void)
{
	struct grid *grid = grid_new(4, /* indent: */ 0);
	grid_column(grid, 0, "call_sid", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "name", NULL, 0, 3);
	grid_column(grid, 2, "duration_seconds", "duration", GRID_RIGHT, 1);
	grid_column(grid, 3, "start", NULL, GRID_WHOLE, 4);
	const char *const cells[] = {
		"CA1", "Bäckerei Müller & Söhne", "4h 12m", "13:00:00Z", "CA22", "東京電力", "42s", "13:00:01Z"};
	for (size_t i = 0; i < 8; i++)
		grid_cell(grid, TONE_PLAIN, cells[i]);
	return grid;
}

static void grid__aligns_by_display_width(void **state)
{
	(void)state;
	print(calls_grid(), 0, false);
	assert_string_equal(printed, "call_sid  name                     duration_seconds  start\n"
				     "CA1       Bäckerei Müller & Söhne            4h 12m  13:00:00Z\n"
				     "CA22      東京電力                              42s  13:00:01Z\n");
	assert_null(hidden);
}

static void grid__uses_brief_titles_first(void **state)
{
	(void)state;
	print(calls_grid(), 54, false);
	assert_string_equal(printed, "call_sid  name                     duration  start\n"
				     "CA1       Bäckerei Müller & Söhne    4h 12m  13:00:00Z\n"
				     "CA22      東京電力                      42s  13:00:01Z\n");
	assert_null(hidden);
}

static void grid__then_shortens_text(void **state)
{
	(void)state;
	print(calls_grid(), 46, false);
	assert_string_equal(printed, "call_sid  name             duration  start\n"
				     "CA1       Bäckerei Mülle…    4h 12m  13:00:00Z\n"
				     "CA22      東京電力              42s  13:00:01Z\n");
	assert_null(hidden);
}

static void grid__then_leaves_columns_out_but_never_the_key(void **state)
{
	(void)state;
	print(calls_grid(), 34, false);
	assert_string_equal(hidden, "start");
	assert_null(strstr(printed, "13:00"));
	print(calls_grid(), 4, false);
	assert_string_equal(hidden, "name, duration_seconds, start");
	assert_string_equal(printed, "call_sid\nCA1\nCA22\n");
}

static void grid__cuts_wide_characters_whole(void **state)
{
	(void)state;
	struct grid *grid = grid_new(1, 0);
	grid_column(grid, 0, "", NULL, GRID_KEEP, 0);
	grid_no_titles(grid);
	grid_cell(grid, TONE_PLAIN, "東京電力ホールディングス");
	print(grid, 14, false);
	assert_string_equal(printed, "東京電力ホー…\n"); /* 12 columns and the sign; half a character is none */
}

static void colour__only_where_asked(void **state)
{
	(void)state;
	for (int colour = 0; colour < 2; colour++) {
		struct grid *grid = grid_new(1, 0);
		grid_column(grid, 0, "state", NULL, 0, 0);
		grid_cell(grid, TONE_BAD, "✖ stale");
		print(grid, 80, colour);
		assert_int_equal(strchr(printed, '\x1b') != NULL, colour);
	}
}

static void visible__lets_no_escape_through(void **state)
{
	(void)state;
	static const char *const hostile[] = {
		"\x1b[2J\x1b[H",
		"\x1b]52;c;aGFjaw==\x07",
		"\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
		"a\rb",
		"a\nb",
		"\xc2\x9b[2J", /* C1: CSI in one character */
		"\u202egnp.exe",
		"\u2066x\u2069",
		"\x7f\x08\x08",
		"\xff\xfe\x80 broken",
		"\u200f\u061c",
	};
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char *shown = visible(hostile[i]);
		for (const char *c = shown; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
		assert_null(strstr(shown, "\xc2\x9b"));
		assert_null(strstr(shown, "\u202e"));
		assert_null(strstr(shown, "\u2066"));
		free(shown);
	}
	char *nothing = visible(NULL);
	assert_string_equal(nothing, "");
	free(nothing);
}

static void width__is_that_of_the_terminal(void **state)
{
	(void)state;
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("äöü"), 3);
	assert_int_equal(text_width("東京"), 4);
	assert_int_equal(text_width("e\u0301"), 1); /* combining */
	assert_int_equal(text_width("\xff\xff"), 2);
	assert_int_equal(text_fit("東京", 3), 3);
	assert_int_equal(text_fit("abc", 10), 3);
	assert_int_equal(text_fit("abc", 0), 0);
}

static void lines_taken__counts_wrapped_ones_and_skips_escapes(void **state)
{
	(void)state;
	assert_int_equal(lines_taken("", 10), 0);
	assert_int_equal(lines_taken("abc\n", 10), 1);
	assert_int_equal(lines_taken("0123456789\n", 10), 1);
	assert_int_equal(lines_taken("0123456789a\n", 10), 2);
	assert_int_equal(lines_taken("\x1b[1;31m0123456789\x1b[0m\n", 10), 1);
	assert_int_equal(lines_taken("a\nb\nc", 0), 3);
}

static void wrapped__breaks_at_blanks(void **state)
{
	(void)state;
	struct screen screen = {.terminal = true, .width = 12};
	static const struct {
		const char *text, *lines;
	} cases[] = {
		{"one two three four", "one two\n  three four\n"},
		{"short", "short\n"},
		{"", "\n"},
		{"exactly 12ch", "exactly 12ch\n"},
		{"averyveryverylongword", "averyveryver\n  ylongword\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FILE *out = fmemopen(printed, sizeof(printed), "w");
		print_wrapped(&screen, TONE_PLAIN, /* indent: */ 2, cases[i].text, out);
		fclose(out);
		assert_string_equal(printed, cases[i].lines);
	}
}

static int set_up(void **state)
{
	(void)state;
	screen_init();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(hidden);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grid__aligns_by_display_width),
		cmocka_unit_test(grid__uses_brief_titles_first),
		cmocka_unit_test(grid__then_shortens_text),
		cmocka_unit_test(grid__then_leaves_columns_out_but_never_the_key),
		cmocka_unit_test(grid__cuts_wide_characters_whole),
		cmocka_unit_test(colour__only_where_asked),
		cmocka_unit_test(visible__lets_no_escape_through),
		cmocka_unit_test(width__is_that_of_the_terminal),
		cmocka_unit_test(lines_taken__counts_wrapped_ones_and_skips_escapes),
		cmocka_unit_test(wrapped__breaks_at_blanks),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
