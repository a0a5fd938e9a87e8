/* SPDX-License-Identifier: MIT
 *
 * See format_buffer.h.
 */
#include "format_buffer.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void format_buffer_release(struct format_buffer *out)
{
	free(out->bytes);
	*out = (struct format_buffer){.limit = out->limit};
}

static bool make_room(struct format_buffer *out, size_t more)
{
	if (out->failed || more > out->limit || out->length > out->limit - more)
		return false;
	if (out->room - out->length >= more)
		return true;
	size_t wanted = out->room * 2 > out->length + more ? out->room * 2 : out->length + more + 256;
	char *bigger = realloc(out->bytes, wanted);
	if (!bigger)
		return false;
	out->bytes = bigger;
	out->room = wanted;
	return true;
}

void format_append(struct format_buffer *out, const char *bytes, size_t length)
{
	if (!make_room(out, length)) {
		out->failed = true;
		return;
	}
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

void format_string(struct format_buffer *out, const char *text)
{
	format_append(out, text, strlen(text));
}

void format_print(struct format_buffer *out, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(text))
		out->failed = true;
	else
		format_append(out, text, (size_t)length);
}

int format_end(struct format_buffer *out, size_t start)
{
	bool failed = out->failed;
	out->failed = false;
	if (failed)
		out->length = start;
	return failed ? -ENOMEM : 0;
}

/* U+200B–200F, 2028–202F, 2060–206F, FEFF: zero width, line ends, bidirectional controls. */
static bool is_invisible(const unsigned char *c)
{
	if (c[0] == 0xef)
		return c[1] == 0xbb && c[2] == 0xbf;
	if (c[0] != 0xe2)
		return false;
	return (c[1] == 0x80 && ((c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xaf))) ||
	       (c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xaf);
}

size_t format_plain_character(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	if (c[0] < 0x80)
		return c[0] >= 0x20 && c[0] != 0x7f && c[0] != '"' && c[0] != '\\';
	size_t length = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	if (strnlen(text, length) < length || !text_is_utf8(text, length))
		return 0;
	if (length == 2 && c[0] == 0xc2 && c[1] < 0xa0)
		return 0; /* C1 controls: an escape sequence to some terminals */
	return length == 3 && is_invisible(c) ? 0 : length;
}
