/* SPDX-License-Identifier: MIT
 *
 * See complaints.h.
 */
#include "complaints.h"

#include "text.h"

#include <string.h>

enum { LOGGED_MAX = 20, SECRET_LEAST = 6, RAW_SIZE = 2 * COMPLAINT_SIZE };

void complaints_begin(struct complaints *complaints)
{
	if (complaints->more)
		complaints->host->log(complaints->self, CW_WARNING, "stderr: and %u more lines", complaints->more);
	complaints->logged = complaints->more = 0;
}

/* How many bytes at `text` are the value of a variable; 0: none. Short values are words, and would blacken them all. */
static size_t secret_at(const struct complaints *complaints, const char *text, size_t length)
{
	const struct cw_value *secrets = complaints->secrets;
	size_t longest = 0;
	for (uint32_t i = 0; secrets && i < secrets->count; i++) {
		const char *secret = secrets->children[i].string;
		size_t size = strlen(secret);
		if (size >= SECRET_LEAST && size > longest && size <= length && memcmp(text, secret, size) == 0)
			longest = size;
	}
	return longest;
}

static size_t hide_secrets(const struct complaints *complaints, char *to, size_t size, const char *line, size_t length)
{
	size_t used = 0;
	while (length > 0 && used + 4 < size) {
		size_t secret = secret_at(complaints, line, length);
		memcpy(to + used, secret ? "***" : line, secret ? 3 : 1);
		used += secret ? 3 : 1;
		line += secret ? secret : 1;
		length -= secret ? secret : 1;
	}
	return used;
}

void complaints_line(struct complaints *complaints, const char *line, size_t length)
{
	char bare[RAW_SIZE], masked[RAW_SIZE], shown[COMPLAINT_SIZE];
	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;
	if (length == 0)
		return;
	length = hide_secrets(complaints, bare, sizeof(bare), line, length);
	if (!complaints->info->phones_full)
		length = text_mask_phones_in(masked, sizeof(masked), bare, length);
	text_visible(shown, sizeof(shown), complaints->info->phones_full ? bare : masked, length);
	text_utf8(complaints->last, sizeof(complaints->last), shown, strlen(shown));
	if (complaints->logged++ < LOGGED_MAX)
		complaints->host->log(complaints->self, CW_WARNING, "stderr: %s", shown);
	else
		complaints->more++;
}
