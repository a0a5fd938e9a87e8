/* SPDX-License-Identifier: MIT
 *
 * See normalise.h. The text is cut into words at white space and brackets; each word is replaced as a whole if it is
 * one of the things that vary, else its digits are. Quotes go first, since anything may stand between them. Linear, no
 * state but the word before.
 */
#include "normalise.h"

#include "text.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct writer {
	char *group;
	size_t length;
	bool spaced; /* a space waits: it is written before the next word */
};

enum { CODE_DIGITS_MAX = 5, ID_LEAST = 8, WORD_SHOWN_MAX = 64 };

static void put(struct writer *out, const char *bytes, size_t length)
{
	if (out->spaced && out->length > 0 && out->length + 1 < GROUP_MAX)
		out->group[out->length++] = ' ';
	out->spaced = false;
	size_t room = (size_t)GROUP_MAX - 1 - out->length, n = length < room ? length : room;
	memcpy(out->group + out->length, bytes, n);
	out->length += n;
}

static void put_word(struct writer *out, const char *word)
{
	put(out, word, strlen(word));
}

/* ---- what a character is ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Ends a word, and stays. */
static bool is_mark(char c)
{
	return c != '\0' && strchr("()[]{}<>,;|=", c) != NULL;
}

/* ---- what a word is ---- */

struct shape {
	size_t digits, letters, hexes, dots, colons, dashes, slashes, others;
};

static struct shape shape_of(const char *word, size_t length)
{
	struct shape shape = {0};
	for (size_t i = 0; i < length; i++) {
		char c = word[i];
		shape.digits += is_digit(c);
		shape.letters += is_letter(c);
		shape.hexes += is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
		shape.dots += c == '.';
		shape.colons += c == ':';
		shape.dashes += c == '-';
		shape.slashes += c == '/';
		shape.others += !is_digit(c) && !is_letter(c) && !strchr(".:-/+_", c);
	}
	return shape;
}

static bool is_time(const char *word, size_t length, const struct shape *shape)
{
	bool is_date = length >= 10 && is_digit(word[0]) && is_digit(word[3]) && word[4] == '-' && word[7] == '-';
	bool is_clock = shape->colons >= 1 && shape->digits >= 3 && shape->letters <= 1 && is_digit(word[0]) &&
			shape->digits + shape->colons + shape->dots + shape->letters == length && shape->dots <= 1;
	return is_date || is_clock;
}

/* An IPv4 address, with a port or without; an IPv6 one. */
static bool is_address(size_t length, const struct shape *shape)
{
	bool v4 = shape->dots == 3 && shape->digits >= 4 && shape->letters == 0 &&
		  shape->digits + shape->dots + shape->colons == length;
	bool v6 = shape->colons >= 2 && shape->digits > 0 && shape->hexes + shape->colons + shape->dots == length;
	return v4 || v6;
}

/* A host with a port: `db-1.internal:5432`. */
static bool is_host_port(const char *word, size_t length)
{
	const char *colon = memrchr(word, ':', length);
	size_t after = colon ? length - (size_t)(colon - word) - 1 : 0;
	if (!colon || colon == word || after == 0 || after > 5)
		return false;
	for (size_t i = 0; i < after; i++)
		if (!is_digit(colon[1 + i]))
			return false;
	return true;
}

static bool has_scheme(const char *word, size_t length)
{
	const char *colon = memchr(word, ':', length);
	return colon && length - (size_t)(colon - word) > 3 && colon[1] == '/' && colon[2] == '/';
}

static bool has_at(const char *word, size_t length)
{
	const char *at = memchr(word, '@', length);
	return at && at != word && memchr(at, '.', length - (size_t)(at - word));
}

/* UUIDs, hashes, sids: long, of letters and digits, with enough digits not to be a word. */
static bool is_id(size_t length, const struct shape *shape)
{
	size_t plain = shape->digits + shape->letters + shape->dashes;
	return length >= ID_LEAST && plain == length && shape->letters > 0 && shape->digits >= 2 &&
	       (shape->digits * 4 >= length || shape->hexes + shape->dashes == length || length >= 20);
}

static const char *name_of(const char *word, size_t length)
{
	struct shape shape = shape_of(word, length);
	if (has_scheme(word, length))
		return "<url>";
	if (has_at(word, length))
		return "<email>";
	if (shape.digits == 0)
		return NULL;
	if (word[0] == '0' && length > 2 && (word[1] | 0x20) == 'x' && shape.hexes == length - 1)
		return "<hex>";
	if (is_time(word, length, &shape))
		return "<time>";
	if (is_address(length, &shape) || is_host_port(word, length))
		return "<address>";
	if (is_id(length, &shape))
		return "<id>";
	if (word[0] == '/' && shape.slashes >= 2)
		return "<path>";
	return NULL;
}

static bool tells_code(const char *word, size_t length)
{
	static const char *const words[] = {"http", "status", "code", "errno", "error", "sqlstate"};
	while (length && strchr(":=#", word[length - 1]))
		length--;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (length == strlen(words[i]) && strncasecmp(word, words[i], length) == 0)
			return true;
	return false;
}

static bool is_code(const char *word, size_t length)
{
	size_t n = 0;
	while (n < length && is_digit(word[n]))
		n++;
	return n == length && n > 0 && n <= CODE_DIGITS_MAX;
}

/* Each run of digits, with what joins two of them, becomes <n>: `3.5s` <n>s, `attempt-12` attempt-<n>. */
static void put_digits_out(struct writer *out, const char *word, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t run = 0;
		while (i + run < length &&
		       (is_digit(word[i + run]) || (run > 0 && (word[i + run] == '.' || word[i + run] == ',') &&
						    i + run + 1 < length && is_digit(word[i + run + 1]))))
			run++;
		if (run)
			put_word(out, "<n>");
		else
			put(out, &word[i], 1);
		i += run ? run : 1;
	}
}

/* ---- the text ---- */

/* The quote that closes what begins here, or 0: an apostrophe inside a word is none. */
static size_t quoted_length(const char *text, size_t at, size_t length)
{
	char quote = text[at];
	if (quote != '"' && quote != '\'' && quote != '`')
		return 0;
	if (quote == '\'' && at > 0 && (is_letter(text[at - 1]) || is_digit(text[at - 1])))
		return 0;
	const char *close = memchr(text + at + 1, quote, length - at - 1);
	return close ? (size_t)(close - (text + at)) + 1 : 0;
}

/* An address of the web goes on behind `=`. */
static size_t word_length(const char *text, size_t at, size_t length)
{
	size_t end = at;
	bool is_url = false;
	while (end < length && !is_space(text[end]) && !(is_mark(text[end]) && !(is_url && text[end] == '=')) &&
	       !(end > at && quoted_length(text, end, length))) {
		is_url = is_url ||
			 (text[end] == ':' && length - end > 2 && text[end + 1] == '/' && text[end + 2] == '/');
		end++;
	}
	return end - at;
}

/* What ends a sentence is not part of the word. */
static size_t without_tail(const char *word, size_t length)
{
	while (length > 1 && strchr(".:!?", word[length - 1]))
		length--;
	return length;
}

static void put_one(struct writer *out, const char *word, size_t length, bool after_code)
{
	size_t core = without_tail(word, length);
	const char *name = name_of(word, core);
	if (name)
		put_word(out, name);
	else if (after_code && is_code(word, core))
		put(out, word, core);
	else
		put_digits_out(out, word, core);
	if (core < length)
		put(out, word + core, length - core);
}

static void walk(struct writer *out, const char *text, size_t length)
{
	bool after_code = false;
	for (size_t i = 0; i < length && out->length < GROUP_MAX - 1;) {
		size_t quoted = quoted_length(text, i, length);
		if (is_space(text[i])) {
			out->spaced = true;
			i++;
		} else if (quoted) {
			put_word(out, "<value>");
			i += quoted;
		} else if (is_mark(text[i])) {
			put(out, &text[i], 1);
			i++;
		} else {
			size_t n = word_length(text, i, length);
			put_one(out, &text[i], n, after_code);
			after_code = tells_code(&text[i], n);
			i += n;
		}
	}
}

/* Of a traceback the last line tells what happened. */
static void skip_traceback(const char **error, size_t *length)
{
	static const char head[] = "Traceback (most recent call last)";
	if (*length < sizeof(head) || memcmp(*error, head, sizeof(head) - 1) != 0)
		return;
	const char *end = *error + *length;
	while (end > *error && is_space(end[-1]))
		end--;
	const char *line = memrchr(*error, '\n', (size_t)(end - *error));
	if (!line)
		return;
	*error = line + 1;
	*length = (size_t)(end - line) - 1;
}

size_t normalise(const char *error, size_t length, char group[GROUP_MAX])
{
	skip_traceback(&error, &length);
	char visible[NORMALISE_BYTES_MAX + 1], whole[GROUP_MAX];
	struct writer out = {.group = whole};
	size_t looked_at = length < NORMALISE_BYTES_MAX ? length : NORMALISE_BYTES_MAX;
	/* Control characters between words are space; what is left of them, and broken UTF-8, is made visible. */
	char clean[NORMALISE_BYTES_MAX];
	for (size_t i = 0; i < looked_at; i++)
		clean[i] = is_space(error[i]) ? ' ' : error[i];
	size_t n = text_visible(visible, sizeof(visible), clean, looked_at);
	walk(&out, visible, n);
	whole[out.length] = '\0';
	return text_utf8(group, GROUP_MAX, whole, out.length); /* a character that was cut in two */
}
