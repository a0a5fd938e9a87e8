/* SPDX-License-Identifier: MIT
 *
 * See connect/redis.h. A connection is one struct redis, which lives from open to close, and under it one struct link
 * for each socket it tries: a link's memory goes in its close callback, so an old socket may still be closing while the
 * next one connects.
 *
 *   resolving → connecting (3 s for each address) → [TLS handshake (3 s)] → signing in → up → … → waiting (a pause)
 *   → resolving
 *
 * One timer serves them all: the pause, the deadline of connecting, and the deadline of the oldest command in flight.
 * When that fires, the socket is looked at once more before the peer is called silent: after our own process slept, the
 * answer may long be there.
 *
 * This file is that life, from open to close, and reading; redis-private.h says where the rest is.
 */
#include "redis-private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_DEADLINE_S = 3, REST_MS = 50, BUSY_BYTES = 32 * 1024, PLACE_MAX = REDIS_HOST_MAX + 10 };
enum { PLAIN_BYTES = 16 * 1024 }; /* of one TLS record at most (RFC 8446, section 5.1) */

static void connect_next(struct redis *redis);
static void begin(struct redis *redis);

/* ---- the end of things ---- */

/* The memory goes with the last handle, so never under a callback. */
static void own_handle_closed(uv_handle_t *handle)
{
	struct redis *redis = handle->data;
	if (--redis->handles)
		return;
	redis_parser_free(redis->parser);
	free(redis->out);
	free(redis->ring);
	free(redis->read_buffer);
	free(redis->plain_buffer);
	free(redis);
}

static void link_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;
	tls_free(link->tls);
	free(link);
}

static void cut_link(struct redis *redis)
{
	struct link *link = redis->link;
	if (!link)
		return;
	redis->link = NULL;
	link->owner = NULL;
	uv_timer_stop(&redis->rest);
	uv_close(&link->handle, link_closed);
}

static void on_timer(uv_timer_t *timer);

void redis_set_timer(struct redis *redis, int64_t after)
{
	uint64_t ms = after <= 0 ? 0 : (uint64_t)((after + CW_MILLISECOND - 1) / CW_MILLISECOND);
	uv_update_time(redis->timer.loop);
	uv_timer_start(&redis->timer, on_timer, ms, /* repeat */ 0);
}

/* We cut it ourselves and know what to ask next, so it comes back at once; but not for ever, if it goes on like that.
 */
static int64_t pause_after_cut(struct redis *redis)
{
	int64_t now = redis->host->now();
	redis->cuts = now - redis->last_cut < 30 * CW_SECOND ? redis->cuts + 1 : 0;
	redis->last_cut = now;
	return (10 * CW_MILLISECOND) << (redis->cuts < 9 ? redis->cuts : 9);
}

static int64_t pause_after(struct redis *redis, enum redis_failure failure)
{
	if (failure == REDIS_DENIED)
		return 30 * CW_SECOND; /* no account is to be locked out by us */
	if (failure == REDIS_TOO_LARGE)
		return pause_after_cut(redis);
	return backoff_next(&redis->backoff);
}

static void fail(struct redis *redis, enum redis_failure failure, const char *reason)
{
	if (redis->closed || redis->stage == WAITING)
		return;
	redis->stage = WAITING;
	cut_link(redis);
	if (redis->resolve)
		redis->host->resolve_cancel(redis->resolve);
	redis->resolve = NULL;
	redis_drop_commands(redis);
	redis_parser_free(redis->parser);
	redis->parser = NULL;
	if (!redis->closed) {
		int64_t pause = pause_after(redis, failure);
		redis_set_timer(redis, pause);
		redis->callbacks.down(redis->arg, failure, reason, redis->host->now() + pause);
	}
}

static void __attribute__((format(printf, 3, 4)))
failf(struct redis *redis, enum redis_failure failure, const char *format, ...)
{
	char reason[REDIS_ERROR_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(reason, sizeof(reason), format, list);
	va_end(list);
	fail(redis, failure, reason);
}

/* Where we connect to, as people name it. */
static const char *place(const struct redis *redis, char buffer[PLACE_MAX])
{
	if (redis->address.is_unix)
		snprintf(buffer, PLACE_MAX, "%s", redis->address.host);
	else
		snprintf(buffer, PLACE_MAX, strchr(redis->address.host, ':') ? "[%s]:%u" : "%s:%u", redis->address.host,
			 redis->address.port);
	return buffer;
}

static const struct {
	int status;
	const char *what, *to_do;
} whys[] = {
	{UV_ECONNREFUSED, "connection refused", "is Redis running there, and is it the right port?"},
	{UV_ENOENT, "no such socket", "is Redis running, and is this its `unixsocket`?"},
	{UV_EACCES, "no permission to open the socket",
	 "add callwatchd's user to the socket's group (`unixsocketperm 770`)"},
	{UV_ETIMEDOUT, "connection timed out", "is the host up, or does a firewall drop packets?"},
	{UV_EHOSTUNREACH, "no route to the host", "is the host up, and in this network?"},
	{UV_ENETUNREACH, "no route to the network", "has this machine a route to it?"},
	{UV_ECONNRESET, "connection reset", "Redis restarted or cut us off, its log says why"},
	{UV_EPIPE, "connection reset", "Redis restarted or cut us off, its log says why"},
	{UV_EOF, "connection closed by the other side", "Redis restarted or cut us off, its log says why"},
};

/* What happened, where, and what to do about it. */
void redis_fail_link(struct redis *redis, int status)
{
	char where[PLACE_MAX];
	place(redis, where);
	for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
		if (whys[i].status == status) {
			failf(redis, REDIS_UNREACHABLE, "%s (%s): %s", whys[i].what, where, whys[i].to_do);
			return;
		}
	failf(redis, REDIS_UNREACHABLE, "%s (%s)", uv_strerror(status), where);
}

/* ---- reading ---- */

static void answer(struct redis *redis, const redisReply *reply)
{
	if (redis->stage == UP && redis->callbacks.push)
		redis->callbacks.push(redis->arg, reply);
	else if (!redis_answered(redis, reply))
		fail(redis, REDIS_PROTOCOL, "an answer that nobody asked for: is this a Redis?");
}

static void fail_parse(struct redis *redis, int status)
{
	if (status == -EMSGSIZE)
		fail(redis, REDIS_TOO_LARGE, "reply too large (over 1 MiB), connection cut");
	else if (status == -ENOMEM)
		fail(redis, REDIS_UNREACHABLE, "out of memory");
	else
		fail(redis, REDIS_PROTOCOL, "protocol error in a reply: is this a Redis?");
}

/* The bytes may bring many replies, and any callback may cut or close the connection. */
static void take(struct redis *redis, const char *bytes, size_t length)
{
	struct link *link = redis->link;
	int status = redis_parser_feed(redis->parser, bytes, length);
	while (status == 0) {
		const redisReply *reply = NULL;
		status = redis_parser_next(redis->parser, &reply);
		if (status < 0 || !reply)
			break;
		answer(redis, reply);
		if (redis->link != link)
			break; /* cut meanwhile */
	}
	if (redis->link == link && status < 0)
		fail_parse(redis, status);
}

static void fail_tls(struct redis *redis, bool ended)
{
	char reason[TLS_ERROR_MAX], where[PLACE_MAX];
	tls_why(redis->link->tls, ended, reason);
	failf(redis, REDIS_UNREACHABLE, "%s (%s)", reason, place(redis, where));
}

static void enter(struct redis *redis);

/* False: it goes on, or failed. */
static bool shake_hands(struct redis *redis)
{
	struct link *link = redis->link;
	int status = tls_handshake(link->tls);
	redis_flush(redis); /* our part of it; after a failure, what we object to */
	if (redis->link != link || status == CW_LATER)
		return false;
	if (status < 0)
		fail_tls(redis, /* ended */ false);
	else
		enter(redis);
	return redis->link == link;
}

static void unseal(struct redis *redis, const char *bytes, size_t length)
{
	struct link *link = redis->link;
	if (tls_feed(link->tls, bytes, length) < 0) {
		fail(redis, REDIS_UNREACHABLE, "out of memory");
		return;
	}
	if (redis->stage == HANDSHAKING && !shake_hands(redis))
		return;
	ssize_t n = 0;
	while (redis->link == link && (n = tls_read(link->tls, redis->plain_buffer, PLAIN_BYTES)) > 0)
		take(redis, redis->plain_buffer, (size_t)n);
	if (redis->link != link)
		return;
	if (n == -EPIPE)
		redis_fail_link(redis, UV_EOF);
	else if (n < 0)
		fail_tls(redis, /* ended */ false);
	else
		redis_flush(redis); /* a session may have something to say by itself */
}

static void receive(struct redis *redis, const char *bytes, size_t length)
{
	if (redis->link->tls)
		unseal(redis, bytes, length);
	else
		take(redis, bytes, length);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	(void)suggested;
	struct link *link = handle->data;
	if (!link->owner) {
		*buffer = uv_buf_init(NULL, 0);
		return;
	}
	*buffer = uv_buf_init(link->owner->read_buffer, READ_BYTES);
}

/* A hundred heartbeats a second would wake us a hundred times, each for next to nothing. So a subscription on which
 * little comes rests for a moment once it has been read empty: that is a few wake-ups a second, and messages may be
 * 50 ms late. In a flood it must not rest: the peer would cut us off. */
static bool may_rest(struct redis *redis, size_t length)
{
	int64_t now = redis->host->now();
	if (now - redis->window >= REST_MS * CW_MILLISECOND) {
		redis->was_busy = redis->window_bytes >= BUSY_BYTES;
		redis->window = now;
		redis->window_bytes = 0;
	}
	redis->window_bytes += length;
	return !redis->was_busy && redis->window_bytes < BUSY_BYTES;
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer);
static void on_rested(uv_timer_t *timer);

/* Takes what was read; true: there is a rest before more is read. */
static bool receive_and_rest(struct redis *redis, const char *bytes, size_t length)
{
	struct link *link = redis->link;
	receive(redis, bytes, length);
	bool rests = redis->link == link && redis->stage == UP && redis->callbacks.push && may_rest(redis, length);
	if (rests)
		uv_timer_start(&redis->rest, on_rested, REST_MS, /* repeat */ 0);
	return rests;
}

/* Read at once, not by way of the loop: it takes a socket that nobody reads out of its epoll only when the next byte
 * wakes it, so that each rest would cost two wake-ups. What is no data is the loop's to tell. */
static void on_rested(uv_timer_t *timer)
{
	struct redis *redis = timer->data;
	struct link *link = redis->link;
	uv_os_fd_t fd;
	if (!link || uv_fileno(&link->handle, &fd) < 0)
		return;
	ssize_t length = recv(fd, redis->read_buffer, READ_BYTES, MSG_DONTWAIT);
	bool rests = length > 0 && receive_and_rest(redis, redis->read_buffer, (size_t)length);
	if (!rests && redis->link == link)
		uv_read_start(&link->stream, on_allocate, on_read);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct link *link = stream->data;
	struct redis *redis = link->owner;
	if (!redis || length == 0)
		return;
	if (length < 0 && redis->stage == HANDSHAKING) {
		fail_tls(redis, /* ended */ true);
		return;
	}
	if (length < 0) {
		redis_fail_link(redis, (int)length);
		return;
	}
	if (receive_and_rest(redis, buffer->base, (size_t)length))
		uv_read_stop(stream);
}

/* ---- signing in ---- */

static void reach(struct redis *redis, enum redis_step step)
{
	if (redis->callbacks.reached)
		redis->callbacks.reached(redis->arg, step);
}

static void on_up(struct redis *redis)
{
	redis->stage = UP;
	backoff_reset(&redis->backoff);
	if (redis->callbacks.push)
		uv_timer_stop(&redis->timer); /* its owner probes it */
	redis->callbacks.up(redis->arg);
}

static void on_sign_in_error(struct redis *redis, const redisReply *reply, const char *command)
{
	char reason[REDIS_ERROR_MAX];
	enum redis_failure failure = redis_explain(redis, reply, command, reason);
	fail(redis, failure, reason);
}

static void on_loading_info(void *arg, const redisReply *reply)
{
	struct redis *redis = arg;
	char percent[16];
	if (!reply)
		return;
	if (redis_info_field(reply, "loading_loaded_perc", percent, sizeof(percent)))
		failf(redis, REDIS_LOADING, "loading its data (%.0f%%): wait", strtod(percent, NULL));
	else
		fail(redis, REDIS_LOADING, "loading its data: wait");
}

static void on_ping(void *arg, const redisReply *reply)
{
	struct redis *redis = arg;
	if (!reply || redis->stage != SIGNING_IN)
		return;
	if (redis_is_error(reply, "LOADING")) {
		static const char *const info[] = {"INFO", "persistence"};
		if (redis_queue(redis, on_loading_info, redis, 2, info, /* lengths */ NULL) < 0)
			fail(redis, REDIS_LOADING, "loading its data: wait");
	} else if (reply->type == REDIS_REPLY_ERROR && !redis_is_error(reply, "NOPERM")) {
		on_sign_in_error(redis, reply, "PING");
	} else {
		on_up(redis);
	}
}

static void on_auth(void *arg, const redisReply *reply)
{
	if (reply && reply->type == REDIS_REPLY_ERROR)
		on_sign_in_error(arg, reply, "AUTH");
}

static void on_select(void *arg, const redisReply *reply)
{
	if (reply && reply->type == REDIS_REPLY_ERROR && !redis_is_error(reply, "LOADING"))
		on_sign_in_error(arg, reply, "SELECT");
}

static int sign_in(struct redis *redis)
{
	const char *user = redis->username ? redis->username : redis->address.user[0] ? redis->address.user : NULL;
	int status = 0;
	if (redis->password && user)
		status = redis_queue(redis, on_auth, redis, 3, (const char *const[]){"AUTH", user, redis->password},
				     NULL);
	else if (redis->password)
		status = redis_queue(redis, on_auth, redis, 2, (const char *const[]){"AUTH", redis->password}, NULL);
	if (status == 0 && redis->address.database) {
		char number[16];
		snprintf(number, sizeof(number), "%u", redis->address.database);
		status = redis_queue(redis, on_select, redis, 2, (const char *const[]){"SELECT", number}, NULL);
	}
	if (status == 0) /* only a name for CLIENT LIST: it may fail */
		status = redis_queue(redis, NULL, NULL, 3, (const char *const[]){"CLIENT", "SETNAME", "callwatch"},
				     NULL);
	if (status == 0)
		status = redis_queue(redis, on_ping, redis, 1, (const char *const[]){"PING"}, NULL);
	return status;
}

/* ---- connecting ---- */

static void watch_the_line(struct redis *redis)
{
	uv_os_fd_t fd;
	if (redis->address.is_unix || uv_fileno(&redis->link->handle, &fd) < 0)
		return;
	int on = 1, idle = 5, interval = 2, count = 3;
	unsigned timeout_ms = 10000;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* A name may have more addresses, and one of a kind that this machine cannot reach. */
static void try_next_address(struct redis *redis, int status)
{
	cut_link(redis);
	if (redis->addresses_tried < redis->addresses_count)
		connect_next(redis);
	else
		redis_fail_link(redis, status);
}

/* The way is there: who we are, and what we want. */
static void enter(struct redis *redis)
{
	redis->stage = SIGNING_IN;
	reach(redis, REDIS_STEP_SECURED);
	uv_timer_stop(&redis->timer);
	redis->parser = redis_parser_new();
	if (redis->parser)
		redis_parser_skip_large(redis->parser, redis->skips_large);
	if (!redis->parser || sign_in(redis) < 0)
		fail(redis, REDIS_UNREACHABLE, "out of memory");
}

static void begin_tls(struct redis *redis)
{
	redis->stage = HANDSHAKING;
	redis_set_timer(redis, CONNECT_DEADLINE_S * CW_SECOND);
	if (!redis->plain_buffer)
		redis->plain_buffer = malloc(PLAIN_BYTES);
	redis->link->tls = tls_new(redis->address.tls, redis->address.host);
	if (!redis->plain_buffer || !redis->link->tls)
		fail(redis, REDIS_UNREACHABLE, "out of memory");
	else
		shake_hands(redis);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct link *link = request->handle->data;
	struct redis *redis = link->owner;
	if (!redis)
		return;
	if (status < 0) {
		try_next_address(redis, status);
		return;
	}
	watch_the_line(redis);
	reach(redis, REDIS_STEP_CONNECTED);
	if (uv_read_start(&link->stream, on_allocate, on_read) < 0)
		fail(redis, REDIS_UNREACHABLE, "out of memory");
	else if (redis->address.tls)
		begin_tls(redis);
	else
		enter(redis);
}

static struct link *link_new(struct redis *redis)
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	uv_loop_t *loop = redis->timer.loop;
	int status =
		redis->address.is_unix ? uv_pipe_init(loop, &link->pipe, /* ipc */ 0) : uv_tcp_init(loop, &link->tcp);
	if (status < 0) {
		free(link);
		return NULL;
	}
	link->handle.data = link;
	link->owner = redis;
	return link;
}

static void connect_next(struct redis *redis)
{
	redis->stage = CONNECTING;
	redis->link = link_new(redis);
	if (!redis->link) {
		fail(redis, REDIS_UNREACHABLE, "out of memory");
		return;
	}
	redis_set_timer(redis, CONNECT_DEADLINE_S * CW_SECOND);
	if (redis->address.is_unix) {
		uv_pipe_connect(&redis->link->connect, &redis->link->pipe, redis->address.host, on_connected);
		return;
	}
	const struct sockaddr *to = (const struct sockaddr *)&redis->addresses[redis->addresses_tried++];
	int status = uv_tcp_connect(&redis->link->connect, &redis->link->tcp, to, on_connected);
	if (status < 0)
		try_next_address(redis, status);
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct redis *redis = arg;
	redis->resolve = NULL;
	if (status < 0 || n == 0) {
		failf(redis, REDIS_UNREACHABLE, "%s (%s): %s",
		      status == -ENOENT      ? "no such host name"
		      : status == -ETIMEDOUT ? "the name server does not answer"
					     : "the host name cannot be looked up",
		      redis->address.host,
		      status == -ENOENT ? "check `url`, or add the name to DNS" : "check /etc/resolv.conf");
		return;
	}
	redis->addresses_count = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
	redis->addresses_tried = 0;
	memcpy(redis->addresses, addresses, redis->addresses_count * sizeof(*addresses));
	reach(redis, REDIS_STEP_RESOLVED);
	connect_next(redis);
}

static void begin(struct redis *redis)
{
	redis->addresses_count = redis->addresses_tried = 0;
	if (redis->address.is_unix) {
		reach(redis, REDIS_STEP_RESOLVED);
		connect_next(redis);
		return;
	}
	redis->stage = RESOLVING;
	int status = redis->host->resolve(redis->self, redis->address.host, redis->address.port, on_resolved, redis,
					  &redis->resolve);
	if (status < 0)
		failf(redis, REDIS_UNREACHABLE, "the host name cannot be looked up (%s)", redis->address.host);
}

/* ---- deadlines ---- */

/* Reads what has already arrived, without waiting. */
static void look_once_more(struct redis *redis)
{
	uv_os_fd_t fd;
	struct link *link = redis->link;
	if (!link || redis->stage < SIGNING_IN || uv_fileno(&link->handle, &fd) < 0)
		return;
	for (int i = 0; i < 64 && redis->link == link; i++) {
		ssize_t length = recv(fd, redis->read_buffer, READ_BYTES, MSG_DONTWAIT);
		if (length <= 0)
			break; /* an end or an error is the loop's to find */
		receive(redis, redis->read_buffer, (size_t)length);
	}
}

static bool is_overdue(const struct redis *redis, int64_t *ret_left)
{
	if (redis->ring_count == 0)
		return false;
	*ret_left = redis->ring[redis->ring_first].sent + REDIS_DEADLINE_S * CW_SECOND - redis->host->now();
	return *ret_left <= 0;
}

static void check_deadline(struct redis *redis)
{
	int64_t left = 0;
	if (is_overdue(redis, &left))
		look_once_more(redis);
	if (redis->stage < SIGNING_IN)
		return; /* cut or closed meanwhile */
	if (is_overdue(redis, &left))
		failf(redis, REDIS_UNREACHABLE,
		      "no answer within %d s: Redis is frozen or busy with a slow command (SLOWLOG), or packets get "
		      "lost",
		      REDIS_DEADLINE_S);
	else if (redis->ring_count)
		redis_set_timer(redis, left);
}

static void on_timer(uv_timer_t *timer)
{
	struct redis *redis = timer->data;
	char where[PLACE_MAX];
	if (redis->stage == WAITING)
		begin(redis);
	else if (redis->stage == HANDSHAKING)
		failf(redis, REDIS_UNREACHABLE,
		      "no answer to the TLS handshake within %d s: does this port speak TLS? (%s)", CONNECT_DEADLINE_S,
		      place(redis, where));
	else if (redis->stage != CONNECTING)
		check_deadline(redis);
	else
		try_next_address(redis, UV_ETIMEDOUT);
}

/* ---- the face ---- */

int redis_open(struct cw_instance *self, const struct cw_host *host, const struct redis_address *address,
	       const char *username, const char *password, const struct redis_callbacks *callbacks, void *arg,
	       struct redis **ret_redis)
{
	struct redis *redis = calloc(1, sizeof(*redis));
	char *read_buffer = malloc(READ_BYTES);
	if (!redis || !read_buffer) {
		free(redis);
		free(read_buffer);
		return -ENOMEM;
	}
	*redis = (struct redis){
		.self = self,
		.host = host,
		.address = *address,
		.username = username,
		.password = password,
		.callbacks = *callbacks,
		.arg = arg,
		.read_buffer = read_buffer,
		.backoff = {.longest = 8 * CW_SECOND, .random = (uint64_t)host->now() ^ (uintptr_t)redis},
		.handles = 3};
	uv_timer_init(host->loop(self), &redis->timer);
	uv_prepare_init(host->loop(self), &redis->flush);
	uv_timer_init(host->loop(self), &redis->rest);
	redis->timer.data = redis->flush.data = redis->rest.data = redis;
	redis_set_timer(redis, 0); /* from the loop, so that no callback comes before open returns */
	*ret_redis = redis;
	return 0;
}

void redis_close(struct redis *redis)
{
	if (!redis || redis->closed)
		return;
	redis->closed = true;
	redis->stage = WAITING;
	cut_link(redis);
	if (redis->resolve)
		redis->host->resolve_cancel(redis->resolve);
	redis->resolve = NULL;
	redis_drop_commands(redis);
	uv_close((uv_handle_t *)&redis->timer, own_handle_closed);
	uv_close((uv_handle_t *)&redis->flush, own_handle_closed);
	uv_close((uv_handle_t *)&redis->rest, own_handle_closed);
}

bool redis_is_up(const struct redis *redis)
{
	return redis && redis->stage == UP;
}

void redis_skip_large(struct redis *redis, bool on)
{
	redis->skips_large = on;
	if (redis->parser)
		redis_parser_skip_large(redis->parser, on);
}

void redis_fail(struct redis *redis, enum redis_failure failure, const char *reason)
{
	fail(redis, failure, reason);
}

static size_t address_text(const struct sockaddr_storage *address, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (address->ss_family == AF_INET)
		uv_ip4_name((const struct sockaddr_in *)address, buffer, size);
	else if (address->ss_family == AF_INET6)
		uv_ip6_name((const struct sockaddr_in6 *)address, buffer, size);
	return strlen(buffer);
}

void redis_addresses_text(const struct redis *redis, char *buffer, size_t size)
{
	size_t used = 0;
	buffer[0] = '\0';
	for (uint32_t i = 0; i < redis->addresses_count && used + 3 < size; i++) {
		if (used)
			used += (size_t)snprintf(buffer + used, size - used, ", ");
		used += address_text(&redis->addresses[i], buffer + used, size - used);
	}
}

void redis_peer_text(const struct redis *redis, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (redis->addresses_tried > 0)
		address_text(&redis->addresses[redis->addresses_tried - 1], buffer, size);
}

uint64_t redis_commands_sent(const struct redis *redis)
{
	return redis ? redis->commands : 0;
}

size_t redis_in_flight(const struct redis *redis)
{
	return redis->ring_count;
}
