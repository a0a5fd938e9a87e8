/* SPDX-License-Identifier: MIT
 *
 * Commands on their way: they are collected during a turn of the loop, so that a pipeline is one write, and a ring
 * remembers who waits for which answer; Redis answers in order.
 */
#include "redis-private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_written(uv_write_t *request, int status)
{
	struct output *output = request->data;
	struct link *link = request->handle->data;
	free(output->bytes);
	free(output);
	if (status < 0 && status != UV_ECANCELED && link->owner)
		redis_fail_link(link->owner, status);
}

static int write_later(struct redis *redis, size_t written)
{
	struct output *output = malloc(sizeof(*output));
	if (!output)
		return -ENOMEM;
	output->bytes = redis->out;
	output->request.data = output;
	uv_buf_t rest = uv_buf_init(redis->out + written, (unsigned)(redis->out_length - written));
	int status = uv_write(&output->request, &redis->link->stream, &rest, 1, on_written);
	if (status < 0) {
		free(output);
		return status;
	}
	redis->out = NULL; /* handed over */
	redis->out_room = 0;
	return 0;
}

/* What is queued becomes what goes over the line. */
static int seal(struct redis *redis)
{
	struct tls *tls = redis->link->tls;
	int status = tls_write(tls, redis->out, redis->out_length);
	size_t sealed = tls_waiting(tls);
	char *bytes = status == 0 ? malloc(sealed + 1) : NULL;
	redis->out_length = 0;
	if (!bytes)
		return status < 0 ? UV_EPROTO : UV_ENOMEM;
	free(redis->out);
	redis->out = bytes;
	redis->out_room = sealed;
	redis->out_length = tls_take(tls, bytes, sealed);
	return 0;
}

void redis_flush(struct redis *redis)
{
	struct tls *tls = redis->link ? redis->link->tls : NULL;
	if (!redis->link || (redis->out_length == 0 && !(tls && tls_waiting(tls))))
		return;
	int sealed = tls ? seal(redis) : 0;
	if (sealed < 0) {
		redis_fail_link(redis, sealed);
		return;
	}
	uv_buf_t buffer = uv_buf_init(redis->out, (unsigned)redis->out_length);
	int status = uv_try_write(&redis->link->stream, &buffer, 1);
	if (status == UV_EAGAIN)
		status = 0;
	if (status >= 0 && (size_t)status < redis->out_length)
		status = write_later(redis, (size_t)status);
	redis->out_length = 0;
	if (status < 0)
		redis_fail_link(redis, status);
}

void redis_on_flush(uv_prepare_t *prepare)
{
	struct redis *redis = prepare->data;
	uv_prepare_stop(prepare);
	redis_flush(redis);
}

static char *out_reserve(struct redis *redis, size_t length)
{
	if (redis->out_length + length > redis->out_room) {
		size_t room = redis->out_room ? redis->out_room : 1024;
		while (room < redis->out_length + length)
			room *= 2;
		char *out = realloc(redis->out, room);
		if (!out)
			return NULL;
		redis->out = out;
		redis->out_room = room;
	}
	return redis->out + redis->out_length;
}

static int ring_reserve(struct redis *redis, uint32_t count)
{
	if (redis->ring_count + count <= redis->ring_room)
		return 0;
	uint32_t room = redis->ring_room ? redis->ring_room : 16;
	while (room < redis->ring_count + count)
		room *= 2;
	struct pending *ring = malloc(room * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < redis->ring_count; i++)
		ring[i] = redis->ring[(redis->ring_first + i) & (redis->ring_room - 1)];
	free(redis->ring);
	redis->ring = ring;
	redis->ring_first = 0;
	redis->ring_room = room;
	return 0;
}

char *redis_bulk(char *end, const char *text, size_t length)
{
	char digits[24], *digit = digits + sizeof(digits);
	size_t rest = length;
	do {
		*--digit = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	size_t n = (size_t)(digits + sizeof(digits) - digit);
	*end++ = '$';
	memcpy(end, digit, n);
	end += n;
	*end++ = '\r';
	*end++ = '\n';
	memcpy(end, text, length);
	end += length;
	*end++ = '\r';
	*end++ = '\n';
	return end;
}

/* Notes `count` commands whose bytes have just been added, and has them written when this turn of the loop is over. */
static void queued(struct redis *redis, redis_reply_fn done, void *arg, uint32_t count, size_t length)
{
	int64_t now = redis->host->now();
	redis->out_length += length;
	redis->commands += count;
	if (!(redis->stage == UP && redis->callbacks.push)) {
		for (uint32_t i = 0; i < count; i++)
			redis->ring[(redis->ring_first + redis->ring_count++) & (redis->ring_room - 1)] =
				(struct pending){.done = done, .arg = arg, .sent = now};
		if (!uv_is_active((uv_handle_t *)&redis->timer))
			redis_set_timer(redis, REDIS_DEADLINE_S * CW_SECOND);
	}
	if (redis->out_length >= READ_BYTES)
		redis_flush(redis);
	else if (!uv_is_active((uv_handle_t *)&redis->flush))
		uv_prepare_start(&redis->flush, redis_on_flush);
}

int redis_queue(struct redis *redis, redis_reply_fn done, void *arg, uint32_t argc, const char *const *argv,
		const size_t *lengths)
{
	size_t room = 16;
	for (uint32_t i = 0; i < argc; i++)
		room += (lengths ? lengths[i] : strlen(argv[i])) + 16;
	char *start = out_reserve(redis, room);
	if (!start || ring_reserve(redis, 1) < 0)
		return -ENOMEM;
	char *end = start + snprintf(start, 16, "*%u\r\n", argc);
	for (uint32_t i = 0; i < argc; i++)
		end = redis_bulk(end, argv[i], lengths ? lengths[i] : strlen(argv[i]));
	queued(redis, done, arg, 1, (size_t)(end - start));
	return 0;
}

int redis_command(struct redis *redis, redis_reply_fn done, void *arg, uint32_t argc, const char *const *argv,
		  const size_t *lengths)
{
	return redis->stage == UP ? redis_queue(redis, done, arg, argc, argv, lengths) : -ENOTCONN;
}

int redis_words(struct redis *redis, redis_reply_fn done, void *arg, ...)
{
	const char *argv[16];
	uint32_t argc = 0;
	va_list list;
	va_start(list, arg);
	for (const char *word; argc < 16 && (word = va_arg(list, const char *));)
		argv[argc++] = word;
	va_end(list);
	return redis_command(redis, done, arg, argc, argv, /* lengths */ NULL);
}

int redis_raw(struct redis *redis, redis_reply_fn done, void *arg, uint32_t count, const char *resp, size_t length)
{
	if (redis->stage != UP)
		return -ENOTCONN;
	char *start = out_reserve(redis, length);
	if (!start || ring_reserve(redis, count) < 0)
		return -ENOMEM;
	memcpy(start, resp, length);
	queued(redis, done, arg, count, length);
	return 0;
}

/* ---- answers ---- */

bool redis_answered(struct redis *redis, const redisReply *reply)
{
	if (redis->ring_count == 0)
		return false;
	struct pending pending = redis->ring[redis->ring_first];
	redis->ring_first = (redis->ring_first + 1) & (redis->ring_room - 1);
	redis->ring_count--;
	if (pending.done)
		pending.done(pending.arg, reply);
	return true;
}

void redis_drop_commands(struct redis *redis)
{
	while (redis->ring_count)
		redis_answered(redis, /* reply */ NULL);
	redis->out_length = 0;
}
