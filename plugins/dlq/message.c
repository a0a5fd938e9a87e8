/* SPDX-License-Identifier: MIT
 *
 * See message.h. The bytes are cut into tokens in one pass, which refuses what is deep and writes a copy for jansson in
 * which every number is a text that begins with DEL. So jansson decides what is JSON, and converts nothing: it would
 * refuse 12345678901234567890, and hand 1e999999 to strtod(). A lone surrogate, which Python writes and jansson
 * refuses, becomes U+FFFD in the copy.
 *
 * The same tokens tell where the two members stand that message_reset() changes.
 */
#include "message.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MARK = 0x7f, COUNT_DIGITS_MAX = 9, COPY_FACTOR = 3 };

/* ---- tokens ---- */

struct token {
	char kind; /* { } [ ] : , or `"` text, `0` number, ` ` white space, `?` anything else */
	const char *bytes;
	size_t length;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* From the opening quote behind the closing one; to the end if there is none. */
static size_t text_length(const char *at, const char *end)
{
	const char *c = at + 1;
	while (c < end && *c != '"')
		c += *c == '\\' && end - c > 1 ? 2 : 1;
	return (size_t)((c < end ? c + 1 : end) - at);
}

static size_t run_length(const char *at, const char *end, const char *set, bool inside)
{
	const char *c = at;
	while (c < end && (*c != '\0' && strchr(set, *c) != NULL) == inside)
		c++;
	return (size_t)(c - at);
}

/* False: there is no more. */
static bool next_token(const char **at, const char *end, struct token *token)
{
	const char *c = *at;
	if (c >= end)
		return false;
	*token = (struct token){.kind = *c, .bytes = c, .length = 1};
	if (*c == '"') {
		token->length = text_length(c, end);
	} else if (is_space(*c)) {
		token->kind = ' ';
		token->length = run_length(c, end, " \t\n\r", /* inside */ true);
	} else if (*c == '-' || is_digit(*c)) {
		token->kind = '0';
		token->length = run_length(c, end, "+-.0123456789eE", /* inside */ true);
	} else if (*c == '\0' || !strchr("{}[]:,", *c)) {
		token->kind = '?';
		token->length = 1 + run_length(c + 1, end, " \t\n\r{}[]:,\"", /* inside */ false);
	}
	*at = c + token->length;
	return true;
}

static size_t digits(const char *c, const char *end)
{
	const char *start = c;
	while (c < end && is_digit(*c))
		c++;
	return (size_t)(c - start);
}

/* RFC 8259, section 6. */
static bool is_number(const char *c, size_t length)
{
	const char *end = c + length;
	c += c < end && *c == '-';
	size_t n = digits(c, end);
	if (n == 0 || (n > 1 && *c == '0'))
		return false;
	c += n;
	if (c < end && *c == '.') {
		n = digits(++c, end);
		c += n;
		if (n == 0)
			return false;
	}
	if (c < end && (*c == 'e' || *c == 'E')) {
		c++;
		c += c < end && (*c == '+' || *c == '-');
		n = digits(c, end);
		c += n;
		if (n == 0)
			return false;
	}
	return c == end;
}

/* ---- the copy for jansson ---- */

static bool starts_name(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at < end && *at == ':';
}

/* The code unit of \uXXXX at `c`, or -1. */
static int code_unit(const char *c, const char *end)
{
	int unit = 0;
	if (end - c < 6 || c[0] != '\\' || c[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		const char *hex = "0123456789abcdef", *digit = c[i] ? strchr(hex, c[i] | 0x20) : NULL;
		if (!digit || (c[i] < '0' || (c[i] > '9' && c[i] < 'A')))
			return -1;
		unit = unit * 16 + (int)(digit - hex);
	}
	return unit;
}

/* jansson takes no NUL in a name, which is none of those that are looked for. */
static char *copy_text(char *out, const struct token *token, bool is_name)
{
	const char *c = token->bytes, *end = c + token->length;
	while (c < end) {
		int unit = code_unit(c, end), next = unit < 0 ? -1 : code_unit(c + 6, end);
		size_t n = unit >= 0 ? 6 : *c == '\\' && end - c > 1 ? 2 : 1;
		bool is_pair = unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff;
		bool is_lone = unit >= 0xd800 && unit <= 0xdfff && !is_pair;
		if (is_pair)
			n = 12;
		memcpy(out, is_lone || (unit == 0 && is_name) ? "\\ufffd" : c, n);
		out += n;
		c += n;
	}
	return out;
}

static char *copy_number(char *out, const struct token *token)
{
	*out++ = '"';
	*out++ = NUMBER_MARK;
	memcpy(out, token->bytes, token->length);
	out += token->length;
	*out++ = '"';
	return out;
}

/* `out` has room: a number grows by 3 bytes, and something stands between two of them. 0 and the copy's length; -E2BIG
 * too deep. */
static int copy_tokens(const char *raw, size_t length, char *out, size_t *ret_length)
{
	const char *at = raw, *end = raw + length;
	char *start = out;
	struct token token;
	int depth = 0;
	while (next_token(&at, end, &token)) {
		depth += (token.kind == '{' || token.kind == '[') - (token.kind == '}' || token.kind == ']');
		if (depth > MESSAGE_DEPTH_MAX)
			return -E2BIG;
		if (token.kind == '"') {
			out = copy_text(out, &token, starts_name(at, end));
		} else if (token.kind == '0' && is_number(token.bytes, token.length) && !starts_name(at, end)) {
			out = copy_number(out, &token);
		} else {
			memcpy(out, token.bytes, token.length);
			out += token.length;
		}
	}
	*ret_length = (size_t)(out - start);
	return 0;
}

/* ---- what it says ---- */

static void CW_PRINTF(2, 3) refuse(struct message *message, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(message->why, sizeof(message->why), format, list);
	va_end(list);
	message->is_readable = false;
}

static bool is_marked(const json_t *value)
{
	return json_string_length(value) > 1 && json_string_value(value)[0] == NUMBER_MARK;
}

/* Texts and numbers alike, for an id may be either. */
static struct text text_of(const json_t *value)
{
	size_t mark = is_marked(value);
	if (!json_is_string(value))
		return (struct text){0};
	return (struct text){json_string_value(value) + mark, json_string_length(value) - mark};
}

static void take_text(struct message *message, const char *name, struct text *ret_text)
{
	const json_t *value = json_object_get(message->root, name);
	*ret_text = text_of(value);
	if (value && !json_is_null(value) && !ret_text->text)
		refuse(message, "wrong type: %s is no text", name);
}

/* An error is mostly a text; of an object, what it says. */
static void take_error(struct message *message)
{
	static const char *const members[] = {"message", "detail", "error", "type"};
	const json_t *value = json_object_get(message->root, "error");
	for (size_t i = 0; json_is_object(value) && i < sizeof(members) / sizeof(members[0]); i++)
		if (json_is_string(json_object_get(value, members[i])))
			value = json_object_get(value, members[i]);
	message->error = text_of(value);
	if (value && !json_is_null(value) && !message->error.text)
		refuse(message, "wrong type: error is no text");
}

static void take_count(struct message *message, const char *name, int64_t otherwise, int64_t *ret_count)
{
	const json_t *value = json_object_get(message->root, name);
	struct text text = text_of(value);
	*ret_count = otherwise;
	if (!value || json_is_null(value))
		return;
	if (text.length == 2 && memcmp(text.text, "-0", 2) == 0)
		text = (struct text){"0", 1};
	size_t n = text.text ? digits(text.text, text.text + text.length) : 0;
	if (n == 0 || n != text.length || n > COUNT_DIGITS_MAX) {
		refuse(message, "wrong type: %s is no whole number", name);
		return;
	}
	*ret_count = 0;
	for (size_t i = 0; i < n; i++)
		*ret_count = *ret_count * 10 + (text.text[i] - '0');
}

static void take_due(struct message *message)
{
	const json_t *value = json_object_get(message->root, "next_retry_at");
	struct text text = text_of(value);
	if (!value || json_is_null(value) || (text.text && text.length == 0))
		return;
	if (!text.text) {
		refuse(message, "wrong type: next_retry_at is no time");
		return;
	}
	int status = is_marked(value) ? text_parse_unix(text.text, text.length, &message->due)
				      : text_parse_time(text.text, text.length, &message->due, /* assumed */ NULL);
	message->has_due = status == 0;
	message->has_bad_time = status < 0;
}

static void take_members(struct message *message)
{
	const json_t *data = json_object_get(message->root, "original_data");
	message->is_readable = true;
	take_text(message, "call_sid", &message->call_sid);
	take_text(message, "action", &message->action);
	take_error(message);
	take_count(message, "retry_count", 0, &message->retry_count);
	take_count(message, "max_retries", 3, &message->max_retries);
	take_due(message);
	message->business_id = text_of(json_object_get(data, "business_id"));
	message->call_log_id = text_of(json_object_get(data, "call_log_id"));
}

void message_read(const char *raw, size_t length, struct message *ret_message)
{
	*ret_message = (struct message){0};
	struct message *message = ret_message;
	if (length > MESSAGE_BYTES_MAX) {
		refuse(message, "too large");
		return;
	}
	if (!text_is_utf8(raw, length)) {
		refuse(message, "not UTF-8");
		return;
	}
	char *copy = malloc(COPY_FACTOR * length + 8);
	size_t copied = 0;
	json_error_t error = {.position = 0};
	int status = copy ? copy_tokens(raw, length, copy, &copied) : -ENOMEM;
	if (status == 0)
		message->root = json_loadb(copy, copied, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	free(copy);
	if (status == -E2BIG)
		refuse(message, "too deep: more than %d levels", MESSAGE_DEPTH_MAX);
	else if (status < 0)
		refuse(message, "out of memory");
	else if (!message->root)
		refuse(message, "not JSON");
	else if (!json_is_object(message->root))
		refuse(message, "wrong type: no JSON object");
	else
		take_members(message);
}

void message_release(struct message *message)
{
	json_decref(message->root);
	*message = (struct message){0};
}

/* ---- to be tried anew ---- */

struct edit {
	char *out;
	size_t length;
	int64_t wall;
};

static void put(struct edit *edit, const char *bytes, size_t length)
{
	memcpy(edit->out + edit->length, bytes, length);
	edit->length += length;
}

static void put_text(struct edit *edit, const char *text)
{
	put(edit, text, strlen(text));
}

/* The offset at the end of a time: `Z`, `+00:00`, or "". */
static const char *zone_like(const struct token *before)
{
	const char *end = before->bytes + before->length - 1; /* the quote */
	if (before->length > 2 && (end[-1] == 'Z' || end[-1] == 'z'))
		return "Z";
	for (size_t back = 3; back <= 6 && back + 10 < before->length; back++)
		if (end[-(ptrdiff_t)back] == '+' || (back != 3 && end[-(ptrdiff_t)back] == '-'))
			return "+00:00";
	return "";
}

static void put_due(struct edit *edit, const struct token *before)
{
	char time[TEXT_TIME_SIZE], number[40];
	bool has_fraction = memchr(before->bytes, '.', before->length) != NULL;
	if (before->kind == '"') {
		text_time(time, edit->wall); /* 2026-11-22T13:30:45.123Z */
		time[has_fraction ? 23 : 19] = '\0';
		if (before->length > 11 && before->bytes[11] == ' ')
			time[10] = ' ';
		put_text(edit, "\"");
		put_text(edit, time);
		put_text(edit, zone_like(before));
		put_text(edit, "\"");
	} else if (before->kind == '0') {
		snprintf(number, sizeof(number), has_fraction ? "%lld.%03lld" : "%lld",
			 (long long)(edit->wall / CW_SECOND), (long long)(edit->wall % CW_SECOND / CW_MILLISECOND));
		put_text(edit, number);
	} else {
		put(edit, before->bytes, before->length); /* null */
	}
}

static bool has_name(const struct token *token, const char *name)
{
	size_t n = strlen(name);
	return token->length == n + 2 && memcmp(token->bytes + 1, name, n) == 0;
}

/* A readable message is an object, so at depth 1 a text before a colon is a name, and one token is its value unless
 * that is an object or a list. */
static void edit_tokens(const char *raw, size_t length, struct edit *edit)
{
	const char *at = raw, *end = raw + length;
	struct token token, name = {0};
	int depth = 0;
	bool is_value = false;
	while (next_token(&at, end, &token)) {
		bool is_word = token.kind == '"' || token.kind == '0' || token.kind == '?';
		if (depth == 1 && is_value && is_word && has_name(&name, "retry_count"))
			put_text(edit, "0");
		else if (depth == 1 && is_value && is_word && has_name(&name, "next_retry_at"))
			put_due(edit, &token);
		else
			put(edit, token.bytes, token.length);
		if (depth == 1 && token.kind == '"' && !is_value)
			name = token;
		if (depth == 1 && token.kind == ':')
			is_value = true;
		else if (depth == 1 && token.kind == ',')
			is_value = false;
		depth += (token.kind == '{' || token.kind == '[') - (token.kind == '}' || token.kind == ']');
	}
}

/* Names may be written with escapes, which the edit does not see: so what came out of it is read once more. */
static bool is_anew(const struct edit *edit)
{
	struct message message;
	message_read(edit->out, edit->length, &message);
	bool anew = message.is_readable && message.retry_count == 0 &&
		    (!message.has_due || message.due <= edit->wall) && !message.has_bad_time;
	message_release(&message);
	return anew;
}

int message_reset(const char *raw, size_t length, int64_t wall, char **ret_raw, size_t *ret_length)
{
	struct message message;
	message_read(raw, length, &message);
	bool is_readable = message.is_readable;
	message_release(&message);
	if (!is_readable)
		return -EINVAL;
	/* A time has at most 32 bytes more than what it replaces, and `"next_retry_at":0` has 17 of its own. */
	struct edit edit = {.out = malloc(3 * length + 64), .wall = wall};
	if (!edit.out)
		return -ENOMEM;
	edit_tokens(raw, length, &edit);
	if (!is_anew(&edit)) {
		free(edit.out);
		return -EINVAL;
	}
	*ret_raw = edit.out;
	*ret_length = edit.length;
	return 0;
}

/* ---- what is shown ---- */

size_t message_shown(const char *raw, size_t length, char *buffer, size_t size)
{
	const char *c = raw, *end = raw + length;
	size_t n = 0;
	while (c < end && n < size) {
		bool is_plus = code_unit(c, end) == '+';
		buffer[n++] = is_plus ? '+' : *c;
		c += is_plus ? 6 : 1;
	}
	return n;
}
