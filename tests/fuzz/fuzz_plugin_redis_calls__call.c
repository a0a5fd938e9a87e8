/* SPDX-License-Identifier: MIT
 *
 * The hash of a call: the input is cut at NUL bytes into the fields of an HMGET reply (an empty one is nil), the last
 * of them is the heartbeat's value and the call_sid.
 */
#include "parse.h"

#include <stdlib.h>
#include <string.h>

static void check(const struct call_hash *hash)
{
	for (int i = 0; i < KNOWN_FIELDS; i++)
		if (hash->texts[i].text && (hash->texts[i].length == 0 || hash->texts[i].length > FIELD_MAX))
			abort();
	if (hash->malformed >> MALFORMED_KINDS)
		abort();
	if (hash->has_start && hash->malformed & 1u << BAD_TIME)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	redisReply replies[KNOWN_FIELDS + 2] = {0}, *fields[KNOWN_FIELDS + 2];
	char *text = malloc(size + 1);
	size_t at = 0, n = 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (; n < KNOWN_FIELDS + 2; n++) {
		size_t length = at < size ? strnlen(text + at, size - at) : 0;
		replies[n] = (redisReply){
			.type = length ? REDIS_REPLY_STRING : REDIS_REPLY_NIL, .str = text + at, .len = length};
		fields[n] = &replies[n];
		at = at + length < size ? at + length + 1 : size;
	}
	redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = n, .element = fields};
	struct call_hash hash;
	int64_t time;
	uint32_t malformed = 0;
	if (parse_call(&reply, 1761480000 * CW_SECOND, &hash) < 0)
		abort();
	check(&hash);
	const redisReply *last = fields[KNOWN_FIELDS + 1];
	int status = parse_heartbeat(last->str, last->len, 1761480000 * CW_SECOND, &time, &malformed);
	if (status == -1000)
		abort();
	parse_sid(last->str, last->len);
	parse_field(last, &malformed);
	free(text);
	return 0;
}
