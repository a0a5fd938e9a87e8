/* SPDX-License-Identifier: MIT
 *
 * Sentences on stderr, and memory that is there or ends the program.
 */
#include "client.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void *must(void *memory)
{
	if (!memory) {
		fputs("callwatch: out of memory\n", stderr);
		exit(EXIT_FAILED);
	}
	return memory;
}

static char *must_vprintf(const char *format, va_list args) CW_PRINTF(1, 0);
static char *must_vprintf(const char *format, va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	return must(text);
}

char *must_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = must_vprintf(format, args);
	va_end(args);
	return text;
}

void complain(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = must_vprintf(format, args), *rest = text;
	va_end(args);
	struct screen screen = screen_of(stderr);
	bool first = true;
	for (char *line; (line = strsep(&rest, "\n")); first = false) {
		if (!*line && !first)
			continue;
		char *shown = visible(line);
		char *whole = must_printf("%s%s", first ? "callwatch: " : "  ", shown);
		print_wrapped(&screen, TONE_PLAIN, /* indent: */ 2, whole, stderr);
		free(whole);
		free(shown);
	}
	free(text);
}
