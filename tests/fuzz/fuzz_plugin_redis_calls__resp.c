/* SPDX-License-Identifier: MIT
 *
 * RESP under hiredis' reader with our limits: the input is fed in pieces whose sizes it chooses itself. Every reply is
 * walked through, and no reply may hold more than the ceiling.
 */
#include "connect/redis.h"

#include <stdlib.h>
#include <string.h>

static size_t walk(const redisReply *reply)
{
	size_t bytes = sizeof(*reply);
	if (!reply)
		abort();
	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
	    reply->type == REDIS_REPLY_ERROR) {
		if (reply->str[reply->len] != '\0')
			abort();
		bytes += reply->len;
	}
	for (size_t i = 0; i < reply->elements; i++)
		bytes += walk(reply->element[i]);
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_parser *parser = redis_parser_new();
	size_t at = 0;
	int status = 0;
	char field[32];
	while (at < size && status == 0) {
		size_t piece = 1 + data[at] % 61;
		if (piece > size - at)
			piece = size - at;
		status = redis_parser_feed(parser, (const char *)data + at, piece);
		at += piece;
		for (const redisReply *reply = NULL; status == 0; reply = NULL) {
			status = redis_parser_next(parser, &reply);
			if (status < 0 || !reply)
				break;
			if (walk(reply) > REDIS_REPLY_MEMORY_MAX)
				abort();
			redis_info_field(reply, "role", field, sizeof(field));
		}
	}
	redis_parser_free(parser);
	return 0;
}
