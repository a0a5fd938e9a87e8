/* SPDX-License-Identifier: MIT
 *
 * hiredis' RESP reader with limits it does not have: replies live in an arena that is emptied before the next one, with
 * a ceiling for a whole reply, and the bytes waiting to be parsed have a ceiling too. So `*2147483647` and a bulk of
 * 512 MB cost us nothing but the connection.
 *
 * Where even that is too much, for what is too large comes again each time, it can be skipped: a bulk string that is
 * too large is thrown away as it comes in, and an error reply stands in its place.
 */
#include "connect/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The arena is a list of blocks, because replies point into it while it grows. The first block stays. */
struct block {
	struct block *next;
	size_t size, used;
	_Alignas(16) char bytes[];
};

struct redis_parser {
	redisReader *reader;
	struct block *first, *last;
	size_t memory; /* of the reply under way */
	bool too_large, skips;
	bool is_replaced;  /* the next string stands for one that is skipped */
	uint64_t skipping; /* bytes of it that are still to come */
};

static const size_t first_block = 32 * 1024, other_block = 256 * 1024;

static struct block *block_new(size_t size)
{
	struct block *block = malloc(sizeof(*block) + size);
	if (block)
		*block = (struct block){.size = size};
	return block;
}

static void *arena_take(struct redis_parser *parser, size_t size)
{
	size = (size + 15) & ~(size_t)15;
	if (parser->memory + size > REDIS_REPLY_MEMORY_MAX) {
		parser->too_large = true;
		return NULL;
	}
	if (parser->last->size - parser->last->used < size) {
		struct block *block = block_new(size > other_block ? size : other_block);
		if (!block)
			return NULL;
		parser->last->next = block;
		parser->last = block;
	}
	void *bytes = parser->last->bytes + parser->last->used;
	parser->last->used += size;
	parser->memory += size;
	return bytes;
}

static void arena_clear(struct redis_parser *parser)
{
	for (struct block *block = parser->first->next, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	parser->first->next = NULL;
	parser->first->used = 0;
	parser->last = parser->first;
	parser->memory = 0;
}

static redisReply *make_reply(const redisReadTask *task, int type, size_t extra)
{
	redisReply *reply = arena_take(task->privdata, sizeof(*reply) + extra);
	if (!reply)
		return NULL;
	*reply = (redisReply){.type = type};
	if (task->parent) {
		redisReply *parent = task->parent->obj;
		parent->element[task->idx] = reply;
	}
	return reply;
}

static void *create_string(const redisReadTask *task, char *text, size_t length)
{
	static char too_large[] = "TOOLARGE";
	struct redis_parser *parser = task->privdata;
	int type = task->type;
	if (parser->is_replaced || (parser->skips && length > REDIS_SKIP_OVER)) {
		parser->is_replaced = false;
		type = REDIS_REPLY_ERROR;
		text = too_large;
		length = strlen(too_large);
	}
	redisReply *reply = make_reply(task, type, length + 1);
	if (!reply)
		return NULL;
	reply->str = (char *)(reply + 1);
	reply->len = length;
	memcpy(reply->str, text, length);
	reply->str[length] = '\0';
	return reply;
}

static void *create_array(const redisReadTask *task, int count)
{
	if (count < 0 || (size_t)count > REDIS_REPLY_MEMORY_MAX / sizeof(redisReply *)) {
		((struct redis_parser *)task->privdata)->too_large = true;
		return NULL;
	}
	redisReply *reply = make_reply(task, REDIS_REPLY_ARRAY, (size_t)count * sizeof(redisReply *));
	if (!reply)
		return NULL;
	reply->elements = (size_t)count;
	reply->element = (redisReply **)(reply + 1);
	memset(reply->element, 0, (size_t)count * sizeof(redisReply *));
	return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	redisReply *reply = make_reply(task, REDIS_REPLY_INTEGER, 0);
	if (reply)
		reply->integer = value;
	return reply;
}

static void *create_nil(const redisReadTask *task)
{
	return make_reply(task, REDIS_REPLY_NIL, 0);
}

static void free_nothing(void *reply)
{
	(void)reply; /* the arena's */
}

static redisReplyObjectFunctions functions = {.createString = create_string,
					      .createArray = create_array,
					      .createInteger = create_integer,
					      .createNil = create_nil,
					      .freeObject = free_nothing};

struct redis_parser *redis_parser_new(void)
{
	struct redis_parser *parser = calloc(1, sizeof(*parser));
	if (!parser)
		return NULL;
	parser->first = parser->last = block_new(first_block);
	parser->reader = redisReaderCreateWithFunctions(&functions);
	if (!parser->first || !parser->reader) {
		redis_parser_free(parser);
		return NULL;
	}
	redisReaderSetPrivdata(parser->reader, parser);
	return parser;
}

void redis_parser_free(struct redis_parser *parser)
{
	if (!parser)
		return;
	if (parser->reader)
		redisReaderFree(parser->reader);
	if (parser->first)
		arena_clear(parser);
	free(parser->first);
	free(parser);
}

void redis_parser_skip_large(struct redis_parser *parser, bool on)
{
	parser->skips = on;
}

/* The reader waits for the rest of a bulk string, at `pos` is its length. It gets an empty one instead. */
static bool replace_large(struct redis_parser *parser)
{
	static const char empty[] = "0\r\n\r\n";
	redisReader *reader = parser->reader;
	const size_t n = sizeof(empty) - 1, waiting = reader->len - reader->pos;
	if (reader->ridx < 0 || reader->rstack[reader->ridx].type != REDIS_REPLY_STRING || waiting < 32)
		return false;
	char *length = reader->buf + reader->pos, *end;
	uint64_t whole = strtoull(length, &end, 10);
	if (end == length || *end != '\r' || whole > INT32_MAX)
		return false;
	whole += (size_t)(end - length) + 4; /* with both line ends */
	if (whole <= waiting)
		return false;
	parser->skipping = whole - waiting;
	parser->is_replaced = true;
	reader->pos = reader->len - n;
	memcpy(reader->buf + reader->pos, empty, n);
	return true;
}

int redis_parser_feed(struct redis_parser *parser, const char *bytes, size_t length)
{
	if (parser->reader->len - parser->reader->pos + length > REDIS_REPLY_BYTES_MAX &&
	    !(parser->skips && !parser->skipping && replace_large(parser)))
		return -EMSGSIZE;
	size_t skipped = parser->skipping < length ? (size_t)parser->skipping : length;
	parser->skipping -= skipped;
	bytes += skipped;
	length -= skipped;
	return redisReaderFeed(parser->reader, bytes, length) == REDIS_OK ? 0 : -ENOMEM;
}

int redis_parser_next(struct redis_parser *parser, const redisReply **ret_reply)
{
	if (!parser->reader->reply)
		arena_clear(parser);
	void *reply = NULL;
	if (redisReaderGetReply(parser->reader, &reply) != REDIS_OK)
		return parser->too_large ? -EMSGSIZE : -EBADMSG;
	*ret_reply = reply;
	return 0;
}
