/* SPDX-License-Identifier: MIT
 *
 * See words.h.
 */
#include "words.h"

#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LINE_SIZE = 4 * WORDS_LIMIT_MAX };

static const char ellipsis[] = "\xe2\x80\xa6";

/* What is written, and where it has to be cut if more comes than fits. */
struct fitting {
	char *buffer;
	size_t used, count, limit;
	size_t cut_at; /* bytes that leave room for the ellipsis */
	bool is_over;
};

static void put(struct fitting *fit, const char *bytes, size_t length, size_t count)
{
	fit->is_over |= fit->count + count > fit->limit;
	if (fit->is_over)
		return;
	memcpy(fit->buffer + fit->used, bytes, length);
	fit->used += length;
	fit->count += count;
	if (fit->count < fit->limit)
		fit->cut_at = fit->used;
}

static size_t character_bytes(const char *text)
{
	unsigned char first = (unsigned char)*text;
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* One character of valid UTF-8. */
static void put_character(struct fitting *fit, const char *text)
{
	size_t bytes = character_bytes(text);
	if (*text == '&')
		put(fit, "&amp;", 5, 5);
	else if (*text == '<')
		put(fit, "&lt;", 4, 4);
	else if (*text == '>')
		put(fit, "&gt;", 4, 4);
	else
		put(fit, text, bytes, bytes == 4 ? 2 : 1);
}

static void put_line(struct fitting *fit, const char *text, size_t length)
{
	char visible[LINE_SIZE];
	size_t n = text_visible(visible, sizeof(visible), text, length);
	for (size_t i = 0; i < n && !fit->is_over; i += character_bytes(visible + i))
		put_character(fit, visible + i);
}

size_t words_fit(char buffer[WORDS_FIT_SIZE], const char *text, size_t limit, bool lines)
{
	struct fitting fit = {.buffer = buffer, .limit = limit};
	size_t left = strlen(text);
	while (left && !fit.is_over) {
		const char *end = lines ? memchr(text, '\n', left) : NULL;
		size_t length = end ? (size_t)(end - text) : left;
		put_line(&fit, text, length);
		if (end)
			put(&fit, "\n", 1, 1);
		text += length + (end != NULL);
		left -= length + (end != NULL);
	}
	if (fit.is_over) {
		memcpy(buffer + fit.cut_at, ellipsis, sizeof(ellipsis));
		return fit.cut_at + sizeof(ellipsis) - 1;
	}
	buffer[fit.used] = '\0';
	return fit.used;
}

void words_json(struct buffer *out, const char *text, size_t limit, bool lines)
{
	char fitted[WORDS_FIT_SIZE];
	size_t length = words_fit(fitted, text, limit, lines);
	if (length == 0)
		buffer_string(out, "\"-\"");
	else
		buffer_json(out, fitted, length);
}

size_t words_count(const char *text, size_t length)
{
	size_t count = 0;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];
		count += (byte & 0xc0) != 0x80;
		count += byte >= 0xf0;
	}
	return count;
}

bool words_is_url(const char *url)
{
	if (!url || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
		return false;
	for (size_t i = 0; url[i]; i++)
		if (url[i] <= ' ' || url[i] > '~' || strchr("\"<>\\^`{|}", url[i]) || i >= WORDS_URL_MAX)
			return false;
	return true;
}

void words_time(char buffer[WORDS_TIME_SIZE], int64_t wall)
{
	time_t seconds = (time_t)(wall / CW_SECOND);
	struct tm parts;
	if (!localtime_r(&seconds, &parts) || !strftime(buffer, WORDS_TIME_SIZE, "%Y-%m-%d %H:%M:%S %z", &parts))
		snprintf(buffer, WORDS_TIME_SIZE, "?");
}
