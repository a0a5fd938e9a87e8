/* SPDX-License-Identifier: MIT
 *
 * One connection to a Redis on an instance's loop: it connects, signs in, keeps watch over deadlines, and comes back by
 * itself after a pause. For plugins (static library connect-redis); everything runs on the instance's thread.
 *
 * It parses with hiredis' reader, but does not use hiredis' asynchronous half: that one asserts on what the peer sends
 * (an unsolicited reply ends the process), sets no deadline and no limit, and calls NOPERM on SUBSCRIBE a reason to
 * disconnect without saying so. What is left of it is a queue of callbacks, which is here. Replies are built in an
 * arena with a ceiling, so that no announced size allocates anything and a reply costs no malloc.
 *
 * Two modes. A *command* connection answers each redis_command() in order by its callback. A *push* connection
 * (callbacks.push set) is for subscriptions: what arrives goes to push(), whatever it is.
 */
#ifndef CALLWATCH_CONNECT_REDIS_H
#define CALLWATCH_CONNECT_REDIS_H

#include "connect/tls.h"

#include "callwatch/plugin.h"

#include <hiredis/hiredis.h>

/* Options of every plugin that speaks to a Redis; first in its table. */
#define REDIS_CONNECTION_OPTIONS                                                                                       \
	{.key = "url",                                                                                                 \
	 .type = CW_OPTION_STRING,                                                                                     \
	 .flags = CW_OPTION_CONNECTION,                                                                                \
	 .fallback = "redis://127.0.0.1:6379/0",                                                                       \
	 .help = "Where the Redis is: redis://[user@]host[:port][/database], rediss://… with TLS, or "               \
		 "unix:///path/of.sock[?db=number]"},                                                                  \
		{.key = "username",                                                                                    \
		 .type = CW_OPTION_STRING,                                                                             \
		 .flags = CW_OPTION_CONNECTION,                                                                        \
		 .help = "Its ACL user; without one, the default user"},                                               \
		{.key = "password",                                                                                    \
		 .type = CW_OPTION_STRING,                                                                             \
		 .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET,                                                     \
		 .help = "The user's password; better in a file: password_file"},                                      \
		TLS_CONNECTION_OPTIONS

enum {
	REDIS_HOST_MAX = 256,
	REDIS_ERROR_MAX = 256,
	REDIS_REPLY_BYTES_MAX = 1 << 20,  /* unparsed bytes of one reply: a bulk string is at most this */
	REDIS_REPLY_MEMORY_MAX = 4 << 20, /* one reply with all its elements */
	REDIS_SKIP_OVER = 8 << 10,        /* see redis_skip_large() */
	REDIS_DEADLINE_S = 5,             /* for the answer to a command */
};

/* Where to connect. A unix path is in `host`, and `port` is 0. */
struct redis_address {
	char host[REDIS_HOST_MAX];
	char user[128];
	uint16_t port;
	bool is_unix, is_tls;
	uint32_t database;
	const struct tls_client *tls; /* where is_tls: set before redis_open(), borrowed until redis_close() */
};

/* 0, or -EINVAL and a sentence for people in `error` (it never repeats a password). */
int redis_address_parse(const char *url, struct redis_address *ret_address, char error[REDIS_ERROR_MAX]);
/* For a plugin's check(): url, username and tls_… as they are in its options. */
void redis_check_options(const struct cw_value *options, struct cw_problems *problems);

/* Why a connection is down; what a person needs is the reason, this is for what to do next. */
enum redis_failure {
	REDIS_UNREACHABLE = 0, /* refused, no such name, timed out, closed by the peer */
	REDIS_DENIED = 1,      /* NOAUTH, WRONGPASS, NOPERM: tried again only every 30 s */
	REDIS_TOO_LARGE = 2,   /* a reply over the limits: the connection was cut, and comes back at once */
	REDIS_PROTOCOL = 3,    /* not RESP */
	REDIS_LOADING = 4
};

struct redis;

/* NULL reply: the connection went down before the answer came. A reply is borrowed for the call, and only
 * until the connection is cut. From a callback all functions below may be called, redis_close() included. */
typedef void (*redis_reply_fn)(void *arg, const redisReply *reply);

/* How far a connection has come, for who wants to know more than up and down (connect/redis-probe.h). */
enum redis_step {
	REDIS_STEP_BEGUN,
	REDIS_STEP_RESOLVED,
	REDIS_STEP_CONNECTED,
	REDIS_STEP_SECURED,
	REDIS_STEP_SIGNED_IN,
	REDIS_STEPS
};

struct redis_callbacks {
	void (*up)(void *arg); /* signed in and answering */
	/* The connection failed or could not be made; it is tried again at the instant `next_try`. Commands under way
	 * have got their NULL before. Called for each failed try. */
	void (*down)(void *arg, enum redis_failure failure, const char *reason, int64_t next_try);
	void (*push)(void *arg, const redisReply *reply); /* NULL: a command connection */
	/* Name looked up, connected, TLS agreed on; REDIS_STEP_SECURED comes also without TLS. NULL is fine. The
	 * connection must not be closed from it. */
	void (*reached)(void *arg, enum redis_step step);
};

/* Begins to connect, at once. `address` is copied; `username` and `password` (NULL: none) are borrowed until close. */
int redis_open(struct cw_instance *self, const struct cw_host *host, const struct redis_address *address,
	       const char *username, const char *password, const struct redis_callbacks *callbacks, void *arg,
	       struct redis **ret_redis);
/* No callback afterwards, except the NULL replies during the call. Memory goes when the loop has closed the handles. */
void redis_close(struct redis *redis); /* NULL is fine */

bool redis_is_up(const struct redis *redis);

/* Queues a command; written at the end of the loop's turn, so that a pipeline is one write. 0, or -ENOTCONN. On a push
 * connection `done` is NULL: there is no telling which answer belongs to what. */
int redis_command(struct redis *redis, redis_reply_fn done, void *arg, uint32_t argc, const char *const *argv,
		  const size_t *lengths);
/* The same for a command of constant words: redis_words(r, done, arg, "CONFIG", "GET", "x", NULL). */
int redis_words(struct redis *redis, redis_reply_fn done, void *arg, ...) __attribute__((sentinel));
/* The same for commands already written as RESP, `count` of them. */
int redis_raw(struct redis *redis, redis_reply_fn done, void *arg, uint32_t count, const char *resp, size_t length);
/* Appends the bulk string `text` as RESP to a buffer that has room for length + 16 bytes; the new end. */
char *redis_bulk(char *end, const char *text, size_t length);

/* From now on a bulk string over REDIS_SKIP_OVER bytes comes as the error `TOOLARGE`, and no longer cuts the
 * connection: it costs Redis the sending, and us no memory. For names of keys, which cannot be asked for their length
 * before. */
void redis_skip_large(struct redis *redis, bool on);

/* The caller's own judgement that this connection is of no use: cut it, say so, try again later. */
void redis_fail(struct redis *redis, enum redis_failure failure, const char *reason);

/* What the host's name was found to be, and which of it is connected to, as text; "" for a UNIX socket or nothing yet.
 */
void redis_addresses_text(const struct redis *redis, char *buffer, size_t size);
void redis_peer_text(const struct redis *redis, char *buffer, size_t size);

uint64_t redis_commands_sent(const struct redis *redis);
size_t redis_in_flight(const struct redis *redis);

/* A sentence about an error reply to `command`: `user callwatch may not run SCAN (NOPERM)`. Nothing of it is secret. */
enum redis_failure redis_explain(const struct redis *redis, const redisReply *error, const char *command,
				 char reason[REDIS_ERROR_MAX]);

/* Replies as text. */
static inline bool redis_is_error(const redisReply *reply, const char *code)
{
	size_t n = strlen(code);
	return reply && reply->type == REDIS_REPLY_ERROR && reply->len >= n && memcmp(reply->str, code, n) == 0;
}
/* The value of `name:` in an INFO reply, copied; false when it is not there. */
bool redis_info_field(const redisReply *info, const char *name, char *buffer, size_t size);

/* The reader with our limits, as the connection uses it; for the fuzz target. */
struct redis_parser;
struct redis_parser *redis_parser_new(void);
void redis_parser_free(struct redis_parser *parser);
/* 0 and a reply or NULL (more bytes are needed); -EMSGSIZE too large, -EBADMSG not RESP. The reply is valid until the
 * next call. */
int redis_parser_feed(struct redis_parser *parser, const char *bytes, size_t length);
int redis_parser_next(struct redis_parser *parser, const redisReply **ret_reply);
void redis_parser_skip_large(struct redis_parser *parser, bool on);

#endif
