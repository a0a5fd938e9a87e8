/* SPDX-License-Identifier: MIT
 *
 * What the files of a connection share. redis.c is its life; redis-commands.c what is sent and who waits for an answer;
 * redis-explain.c what replies say to people; redis-address.c and redis-parser.c stand alone.
 */
#ifndef CONNECT_REDIS_PRIVATE_H
#define CONNECT_REDIS_PRIVATE_H

#include "backoff.h"
#include "connect/redis.h"

#include <uv.h>

enum { ADDRESSES_MAX = 8, READ_BYTES = 64 * 1024 };

enum stage { WAITING, RESOLVING, CONNECTING, HANDSHAKING, SIGNING_IN, UP };

struct link {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	uv_connect_t connect;
	struct tls *tls;     /* NULL: bytes go as they are */
	struct redis *owner; /* NULL: cut off, only closing */
};

/* A write in flight: libuv borrows the bytes until it is done. */
struct output {
	uv_write_t request;
	char *bytes;
};

struct pending {
	redis_reply_fn done;
	void *arg;
	int64_t sent;
};

struct redis {
	struct cw_instance *self;
	const struct cw_host *host;
	struct redis_address address;
	const char *username, *password;
	struct redis_callbacks callbacks;
	void *arg;

	enum stage stage;
	struct link *link;
	struct cw_resolve *resolve;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	uint32_t addresses_count, addresses_tried;
	struct redis_parser *parser;
	struct backoff backoff;
	uint32_t cuts; /* for a reply too large, in a row */
	int64_t last_cut;
	uv_timer_t timer;   /* pause, deadline */
	uv_prepare_t flush; /* writes what was queued, before the loop waits again */
	uv_timer_t rest;    /* see may_rest() */
	int64_t window;     /* for it: when the present 50 ms began, and what came in them */
	size_t window_bytes;
	bool was_busy;    /* in the 50 ms before */
	uint32_t handles; /* of the three above, not yet closed */
	bool closed, skips_large;

	char *out; /* commands queued in this turn of the loop */
	size_t out_length, out_room;
	struct pending *ring; /* commands in flight, oldest at `first`; room is a power of two */
	uint32_t ring_first, ring_count, ring_room;
	uint64_t commands;
	char *read_buffer, *plain_buffer; /* plain: what TLS makes of it */
};

/* redis.c */
void redis_fail_link(struct redis *redis, int status); /* the socket failed, by libuv's status */
void redis_set_timer(struct redis *redis, int64_t after);

/* redis-commands.c */
void redis_flush(struct redis *redis); /* writes what was queued, and what TLS has to say by itself */
int redis_queue(struct redis *redis, redis_reply_fn done, void *arg, uint32_t argc, const char *const *argv,
		const size_t *lengths); /* in any stage */
void redis_on_flush(uv_prepare_t *prepare);
/* The oldest in flight is answered; false: nobody asked. */
bool redis_answered(struct redis *redis, const redisReply *reply);
/* Gives every command in flight its NULL. Commands queued by these callbacks are refused: the stage is not UP. */
void redis_drop_commands(struct redis *redis);

#endif
