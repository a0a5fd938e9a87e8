/* SPDX-License-Identifier: MIT
 *
 * See screen.h. Widths are measured in C.UTF-8 whatever the locale says: server and client speak UTF-8 only, and a
 * login without a locale is common on servers whose terminals show UTF-8 all the same.
 */
#include "screen.h"

#include "client.h"
#include "text.h"

#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

void screen_init(void)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
}

static int environment_number(const char *name)
{
	const char *value = getenv(name);
	int number = value ? atoi(value) : 0;
	return number > 0 && number < 10000 ? number : 0;
}

struct screen screen_of(FILE *out)
{
	struct screen screen = {.terminal = isatty(fileno(out)) == 1};
	if (!screen.terminal)
		return screen;
	struct winsize size;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		screen.width = size.ws_col;
		screen.height = size.ws_row;
	} else {
		screen.width = environment_number("COLUMNS");
		screen.height = environment_number("LINES");
	}
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	screen.colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
	return screen;
}

const char *screen_tone(const struct screen *screen, enum tone tone)
{
	static const char *const codes[] = {
		[TONE_PLAIN] = "",         [TONE_GOOD] = "\x1b[32m", [TONE_WARNING] = "\x1b[33m",
		[TONE_BAD] = "\x1b[1;31m", [TONE_DIM] = "\x1b[2m",   [TONE_BOLD] = "\x1b[1m"};
	return screen->colour ? codes[tone] : "";
}

const char *screen_plain(const struct screen *screen)
{
	return screen->colour ? "\x1b[0m" : "";
}

char *visible(const char *text)
{
	size_t length = text ? strlen(text) : 0;
	size_t room = 6 * length + 1;
	char *buffer = must(malloc(room));
	buffer[0] = '\0';
	if (length)
		text_visible(buffer, room, text, length);
	return buffer;
}

/* Width and length of the character at `text`; a byte that is none counts as one column. */
static int next_character(const char *text, size_t *ret_bytes)
{
	wchar_t character;
	mbstate_t state = {0};
	size_t bytes = mbrtowc(&character, text, MB_LEN_MAX, &state);
	if (bytes == 0 || bytes > MB_LEN_MAX) {
		*ret_bytes = 1;
		return 1;
	}
	*ret_bytes = bytes;
	int width = wcwidth(character);
	return width < 0 ? 1 : width;
}

int text_width(const char *text)
{
	int width = 0;
	for (size_t bytes; *text; text += bytes)
		width += next_character(text, &bytes);
	return width;
}

size_t text_fit(const char *text, int width)
{
	const char *at = text;
	for (size_t bytes; *at; at += bytes) {
		width -= next_character(at, &bytes);
		if (width < 0)
			break;
	}
	return (size_t)(at - text);
}

static const char *skip_escape(const char *text)
{
	while (text[0] == '\x1b' && text[1] == '[') {
		text += 2;
		text += strcspn(text, "m");
		text += *text == 'm';
	}
	return text;
}

int lines_taken(const char *text, int width)
{
	int lines = 0, column = 0;
	while (*(text = skip_escape(text))) {
		size_t bytes = 1;
		if (*text == '\n') {
			lines++;
			column = 0;
		} else {
			int wide = next_character(text, &bytes);
			bool over = width > 0 && column + wide > width;
			lines += over;
			column = over ? wide : column + wide;
		}
		text += bytes;
	}
	return lines + (column > 0);
}

/* Bytes of the first line of `text`: up to the last blank that fits, or as much of a long word as does. */
static size_t first_line(const char *text, int width)
{
	size_t fits = text_fit(text, width), at = fits;
	if (!text[fits] || text[fits] == ' ')
		return fits;
	while (at > 0 && text[at - 1] != ' ')
		at--;
	return at > 0 ? at : fits > 0 ? fits : strlen(text);
}

void print_wrapped(const struct screen *screen, enum tone tone, int indent, const char *text, FILE *out)
{
	int room = screen->width > 0 ? screen->width : INT_MAX;
	bool first = true;
	while (*text || first) {
		int blanks = first ? 0 : indent;
		size_t bytes = first_line(text, room - blanks > 8 ? room - blanks : 8), shown = bytes;
		while (shown > 0 && text[shown - 1] == ' ')
			shown--;
		fprintf(out, "%*s%s%.*s%s\n", blanks, "", screen_tone(screen, tone), (int)shown, text,
			tone == TONE_PLAIN ? "" : screen_plain(screen));
		text += bytes + strspn(text + bytes, " ");
		first = false;
	}
}
