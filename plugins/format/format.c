/* SPDX-License-Identifier: MIT
 *
 * See format.h.
 */
#include "format.h"

#include "text.h"

#include <errno.h>
#include <string.h>

int format_end(struct buffer *out, size_t start)
{
	if (!out->failed)
		return 0;
	buffer_cut(out, start);
	return -ENOMEM;
}

size_t format_plain_character(const char *text)
{
	enum { CHARACTER_MAX = 4 };
	bool is_quote = *text == '"' || *text == '\\';
	return is_quote ? 0 : text_visible_character(text, strnlen(text, CHARACTER_MAX));
}
