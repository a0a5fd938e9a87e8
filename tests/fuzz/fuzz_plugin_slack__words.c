/* SPDX-License-Identifier: MIT
 *
 * A stranger's text made to fit: within its limit as Slack counts, valid UTF-8, no bare `<`, `>` or `&`, and no
 * character that acts unseen; twice the same.
 */
#include "text.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static void check(const char *fitted, size_t length, size_t limit, bool lines)
{
	if (length != strlen(fitted) || !text_is_utf8(fitted, length) || words_count(fitted, length) > limit)
		abort();
	for (size_t i = 0; i < length; i++) {
		const char *at = fitted + i;
		if (*at == '<' || *at == '>' || (*at == '\n' && !lines))
			abort();
		if (*at == '&' && strncmp(at, "&amp;", 5) != 0 && strncmp(at, "&lt;", 4) != 0 &&
		    strncmp(at, "&gt;", 4) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	char fitted[WORDS_FIT_SIZE], *text = malloc(size);
	size_t limit = 1 + ((size_t)data[0] << 8 | data[1]) % WORDS_LIMIT_MAX;
	memcpy(text, data + 2, size - 2);
	text[size - 2] = '\0';
	for (int lines = 0; lines < 2; lines++)
		check(fitted, words_fit(fitted, text, limit, lines), limit, lines);
	free(text);
	return 0;
}
