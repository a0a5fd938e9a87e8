/* SPDX-License-Identifier: MIT
 *
 * A list, a stream and a sorted set behind one face: the command for a page of the window, and the messages in the
 * answer, in the order of their places. Functions over replies; nothing is kept.
 *
 * A message's name (`id`) is the SHA-1 of its bytes; of a stream's entry, of its fields and values joined by NUL. So a
 * script can find out whether what stands somewhere is the very same, without its bytes leaving Redis.
 */
#ifndef DLQ_QUEUE_H
#define DLQ_QUEUE_H

#include "connect/redis.h"

enum queue_kind { QUEUE_UNKNOWN, QUEUE_EMPTY, QUEUE_LIST, QUEUE_STREAM, QUEUE_ZSET, QUEUE_OTHER };
/* FIELDS_MAX: fields and values of a stream's entry that can be moved; their lengths fit a line of the trash. */
enum { ID_BYTES = 20, ID_TEXT_SIZE = 2 * ID_BYTES + 1, FIELDS_MAX = 256 };

struct stream_id {
	uint64_t ms, sequence;
};

/* One message of a page. Texts are borrowed from the reply, or from `made`. */
struct entry {
	unsigned char id[ID_BYTES];
	bool is_large; /* its bytes did not come */
	bool has_id;   /* of a large one: a script told */
	bool is_cut;   /* of a large one: `raw` is its beginning only */
	const char *raw;
	size_t length; /* of the whole message */
	size_t cut_at; /* of one that is cut: bytes in `raw` */
	uint64_t span; /* bytes that its name is made of; 0: not known */
	struct stream_id stream_id;
	double score;
	char *made; /* a stream's fields written as an object; freed by queue_entry_release() */
};

/* Which part of the queue. */
struct page_spec {
	const char *key;
	enum queue_kind kind;
	bool from_tail; /* place 0 is the last element: of a list the tail, of a sorted set the highest score */
	uint32_t from, count;
	struct stream_id after; /* of a stream, instead of `from`: only what lies behind this one; 0-0: from the end */
	bool by_script;         /* what is large comes with its name and length */
};

const char *queue_kind_name(enum queue_kind kind);
enum queue_kind queue_kind_of(const redisReply *reply); /* of the answer to TYPE */
/* LLEN, XLEN or ZCARD. */
int queue_ask_depth(struct redis *redis, const char *key, enum queue_kind kind, redis_reply_fn done, void *arg);
int queue_ask_page(struct redis *redis, const struct page_spec *spec, redis_reply_fn done, void *arg);
/* The bytes of a large one, in pieces, if it still stands there and is no longer than `most`; else its first `most`. */
int queue_ask_large(struct redis *redis, const struct page_spec *spec, uint32_t place, const struct entry *entry,
		    size_t most, redis_reply_fn done, void *arg);
/* What command queue_ask_page() sends, for messages. */
const char *queue_page_command(const struct page_spec *spec);

uint32_t queue_page_entries(const struct page_spec *spec, const redisReply *reply);
/* False: it is no message (an answer that no Redis gives). `field`: of a stream, whose value is the message. */
bool queue_entry(const struct page_spec *spec, const redisReply *reply, uint32_t i, const char *field,
		 struct entry *ret_entry);
/* The answer to queue_ask_large(): entry->raw is put together; false: it was not there any more. */
bool queue_large(const redisReply *reply, const char *field, struct entry *entry);
void queue_entry_release(struct entry *entry);

void queue_id_text(const unsigned char id[ID_BYTES], char text[ID_TEXT_SIZE]);
int queue_id_parse(const char *text, size_t length, unsigned char id[ID_BYTES]);

#endif
