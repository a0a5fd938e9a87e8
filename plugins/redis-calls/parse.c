/* SPDX-License-Identifier: MIT
 *
 * See parse.h. Times and numbers are read by common/text; JSON by jansson, except for the flat form that nearly every
 * heartbeat has, {"call_sid": "CA…", "timestamp": 1761480000.123}: jansson costs 1 to 2 µs a message, five times what
 * all the rest does, and a heartbeat is the one thing that comes a hundred thousand times a second. The fuzz target
 * holds the two against each other.
 */
#include "parse.h"

#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

const char *const malformed_names[MALFORMED_KINDS + 1] = {
	"wrong_type",    "missing_field", "bad_time",     "future_time", "bad_number",  "bad_utf8",
	"control_chars", "too_large",     "key_too_long", "bad_key",     "bad_message", NULL};

const char *const field_names[KNOWN_FIELDS] = {"business_id", "from_phone_number", "to_phone_number", "start_time",
					       "call_log_id"};

static const int64_t future_allowed = 5 * CW_SECOND;

static bool has_control(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return true;
	return false;
}

static bool is_plain_ascii(const char *text, size_t length)
{
	unsigned char wrong = 0;
	for (size_t i = 0; i < length; i++)
		wrong |= (unsigned char)((unsigned char)text[i] - 0x20) > 0x7e - 0x20;
	return !wrong;
}

int parse_sid(const char *sid, size_t length)
{
	if (length > SID_MAX)
		return -EMSGSIZE;
	if (length > 0 && is_plain_ascii(sid, length))
		return 0;
	return length == 0 || has_control(sid, length) || !text_is_utf8(sid, length) ? -EINVAL : 0;
}

struct text parse_field(const redisReply *reply, uint32_t *malformed)
{
	struct text none = {0};
	if (reply->type == REDIS_REPLY_ERROR)
		*malformed |= 1u << TOO_LARGE; /* it was skipped */
	if (reply->type != REDIS_REPLY_STRING || reply->len == 0)
		return none;
	if (reply->len > FIELD_MAX) {
		*malformed |= 1u << TOO_LARGE;
		return none;
	}
	if (!is_plain_ascii(reply->str, reply->len)) {
		if (has_control(reply->str, reply->len))
			*malformed |= 1u << CONTROL_CHARS;
		if (!text_is_utf8(reply->str, reply->len))
			*malformed |= 1u << BAD_UTF8;
	}
	return (struct text){reply->str, (uint32_t)reply->len};
}

static void parse_start(struct text text, int64_t wall, struct call_hash *hash)
{
	if (text_parse_time(text.text, text.length, &hash->start, /* ret_assumed_utc */ NULL) < 0) {
		hash->malformed |= 1u << BAD_TIME;
		return;
	}
	hash->has_start = true;
	if (hash->start > wall && hash->start - wall > future_allowed)
		hash->malformed |= 1u << FUTURE_TIME;
}

int parse_call(const redisReply *reply, int64_t wall, struct call_hash *ret_hash)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < KNOWN_FIELDS)
		return -EINVAL;
	struct call_hash hash = {.is_empty = true};
	for (size_t i = 0; i < reply->elements; i++)
		hash.is_empty = hash.is_empty && reply->element[i]->type == REDIS_REPLY_NIL;
	for (uint32_t i = 0; i < KNOWN_FIELDS; i++) {
		uint32_t before = hash.malformed;
		hash.texts[i] = parse_field(reply->element[i], &hash.malformed);
		if (!hash.texts[i].text && i != CALL_LOG_ID && hash.malformed == before)
			hash.malformed |= 1u << MISSING_FIELD;
	}
	if (hash.texts[START_TIME].text)
		parse_start(hash.texts[START_TIME], wall, &hash);
	*ret_hash = hash;
	return 0;
}

int parse_heartbeat(const char *value, size_t length, int64_t wall, int64_t *ret_time, uint32_t *malformed)
{
	int64_t time;
	if (length == 0)
		return -ENOENT;
	if (length >= HEARTBEAT_VALUE_MAX) {
		*malformed |= 1u << TOO_LARGE;
		return -EINVAL;
	}
	if (text_parse_unix(value, length, &time) < 0) {
		*malformed |= 1u << BAD_NUMBER;
		return -EINVAL;
	}
	if (time > wall && time - wall > future_allowed)
		*malformed |= 1u << FUTURE_TIME;
	*ret_time = time;
	return 0;
}

/* ---- messages ---- */

struct cursor {
	const char *at, *end;
};

static void skip_space(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static bool take(struct cursor *c, char wanted)
{
	skip_space(c);
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

/* A string of plain ASCII without escapes. */
static bool take_string(struct cursor *c, struct text *ret_text)
{
	if (!take(c, '"'))
		return false;
	const char *start = c->at;
	const char *close = memchr(start, '"', (size_t)(c->end - start));
	if (!close || close == start || memchr(start, '\\', (size_t)(close - start)) ||
	    !is_plain_ascii(start, (size_t)(close - start)))
		return false;
	*ret_text = (struct text){start, (uint32_t)(close - start)};
	c->at = close + 1;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 1761480000 or 1761480000.123; no sign, exponent or leading zero. */
static bool take_number(struct cursor *c, struct text *ret_text)
{
	skip_space(c);
	const char *start = c->at;
	while (c->at < c->end && is_digit(*c->at))
		c->at++;
	if (c->at == start || (*start == '0' && c->at - start > 1) || c->at - start > 15)
		return false;
	if (c->at < c->end && *c->at == '.') {
		const char *fraction = ++c->at;
		while (c->at < c->end && is_digit(*c->at))
			c->at++;
		if (c->at == fraction)
			return false;
	}
	if (c->at < c->end && (*c->at == 'e' || *c->at == 'E'))
		return false;
	*ret_text = (struct text){start, (uint32_t)(c->at - start)};
	return true;
}

static bool is(struct text text, const char *word)
{
	return text.length == strlen(word) && memcmp(text.text, word, text.length) == 0;
}

static int set_time(struct beat *beat, struct text text, bool is_number)
{
	int status = is_number ? text_parse_unix(text.text, text.length, &beat->time)
			       : text_parse_time(text.text, text.length, &beat->time, /* ret_assumed_utc */ NULL);
	beat->has_time = status == 0;
	return status;
}

/* One `"name": value` of the flat form. */
static int take_member(struct cursor *c, struct beat *beat, bool *seen_time)
{
	struct text name, value;
	if (!take_string(c, &name) || !take(c, ':'))
		return -ENOTSUP;
	skip_space(c);
	bool is_string = c->at < c->end && *c->at == '"';
	if (is_string ? !take_string(c, &value) : !take_number(c, &value))
		return -ENOTSUP;
	if (is(name, "call_sid")) {
		if (beat->sid.text || !is_string || value.length > SID_MAX)
			return -ENOTSUP;
		beat->sid = value;
	} else if (is(name, "timestamp")) {
		if (*seen_time || set_time(beat, value, !is_string) < 0)
			return -ENOTSUP;
		*seen_time = true;
	} else {
		return -ENOTSUP; /* who writes more than these two is read by the full reader */
	}
	return 0;
}

int parse_beat_flat(const char *message, size_t length, struct beat *ret_beat)
{
	struct cursor c = {message, message + length};
	bool seen_time = false;
	ret_beat->sid = (struct text){0};
	ret_beat->has_time = false;
	if (!take(&c, '{'))
		return -ENOTSUP;
	do {
		if (take_member(&c, ret_beat, &seen_time) < 0)
			return -ENOTSUP;
	} while (take(&c, ','));
	if (!take(&c, '}'))
		return -ENOTSUP;
	skip_space(&c);
	return c.at == c.end && ret_beat->sid.text ? 0 : -ENOTSUP;
}

static void take_json_time(const json_t *value, struct beat *beat)
{
	char digits[TEXT_NUMBER_SIZE];
	if (json_is_string(value))
		set_time(beat, (struct text){json_string_value(value), (uint32_t)json_string_length(value)},
			 /* is_number */ false);
	if (json_is_number(value)) {
		double number = json_number_value(value);
		size_t n = text_number(digits, number > -1e-4 && number < 1e-4 ? 0 : number); /* no exponent */
		set_time(beat, (struct text){digits, (uint32_t)n}, /* is_number */ true);
	}
}

int parse_beat_json(const char *message, size_t length, struct beat *ret_beat)
{
	if (length > MESSAGE_MAX)
		return -EINVAL;
	json_t *root = json_loadb(message, length, JSON_REJECT_DUPLICATES, /* error */ NULL);
	const json_t *sid = json_object_get(root, "call_sid");
	size_t sid_length = json_string_length(sid);
	int status = -EINVAL;
	ret_beat->has_time = false;
	if (json_is_string(sid) && parse_sid(json_string_value(sid), sid_length) == 0) {
		memcpy(ret_beat->buffer, json_string_value(sid), sid_length + 1);
		ret_beat->sid = (struct text){ret_beat->buffer, (uint32_t)sid_length};
		take_json_time(json_object_get(root, "timestamp"), ret_beat);
		status = 0;
	}
	json_decref(root);
	return status;
}

int parse_beat(const char *message, size_t length, struct beat *ret_beat)
{
	bool maybe_json = length > 0 && (message[0] == '{' || message[0] == ' ');
	if (!maybe_json && parse_sid(message, length) == 0) {
		ret_beat->sid = (struct text){message, (uint32_t)length};
		ret_beat->has_time = false;
		return 0;
	}
	if (parse_beat_flat(message, length, ret_beat) == 0)
		return 0;
	if (parse_beat_json(message, length, ret_beat) == 0)
		return 0;
	if (parse_sid(message, length) < 0 || memchr(message, '"', length))
		return -EINVAL;
	ret_beat->sid = (struct text){message, (uint32_t)length}; /* a call_sid may well begin with a brace */
	ret_beat->has_time = false;
	return 0;
}
