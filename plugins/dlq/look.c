/* SPDX-License-Identifier: MIT
 *
 * One look at the queue, at each reading and when the channel says that something arrived: Redis' clock, the key's
 * type, the depth, and the first messages of the window, in one pipeline. What it costs depends neither on the depth
 * nor on the window.
 *
 * New messages of a list or a stream stand at its newest end, in front of those that are known: they are taken at once.
 * If depth and first page say that anything else happened (something left, or came somewhere else), a pass finds out
 * what.
 *
 * The books: what arrived less what departed is always the change of the depth. A message is counted when it is met;
 * one that the depth tells before it was met is `unmet` until then, one that a pass met before the depth told is
 * `early`.
 */
#include "dlq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t soon_ms = 100, clock_step = 100 * CW_MILLISECOND;

static void finish(struct dlq *dlq);

static bool is_queue(enum queue_kind kind)
{
	return kind >= QUEUE_LIST && kind <= QUEUE_ZSET;
}

struct page_spec dlq_page(const struct dlq *dlq, uint32_t from, uint32_t count)
{
	bool newest_is_tail = dlq->kind != QUEUE_LIST || !dlq->settings.newest_at_head;
	return (struct page_spec){.key = dlq->settings.key,
				  .kind = dlq->kind,
				  .from_tail = newest_is_tail != dlq->settings.oldest,
				  .from = from,
				  .count = count,
				  .by_script = dlq->pass.by_script};
}

/* ---- the answers ---- */

/* False: the connection is down, or Redis objects. */
static bool is_answer(struct dlq *dlq, const redisReply *reply, const char *command)
{
	struct look *look = &dlq->look;
	if (!reply || !look->running)
		return false;
	look->waits--;
	if (reply->type != REDIS_REPLY_ERROR)
		return true;
	if (!redis_is_error(reply, "WRONGTYPE")) /* the type changed under our eyes: TYPE told */
		dlq_refused(dlq, reply, command);
	look->failed = true;
	return false;
}

static void note_time(struct dlq *dlq, int64_t wall)
{
	int64_t now = dlq->host->now(), offset = wall - (now - (now - dlq->time_sent) / 2);
	dlq->round_trip = now - dlq->time_sent;
	bool moved = !dlq->has_offset || llabs(offset - dlq->offset) > clock_step;
	if (!moved)
		return; /* what is shown must not flutter */
	dlq->has_offset = true;
	dlq->offset = offset;
	letters_due_moved(dlq);
}

static void on_time(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	if (is_answer(dlq, reply, "TIME") && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_STRING) {
		int64_t s = strtoll(reply->element[0]->str, NULL, 10), us = strtoll(reply->element[1]->str, NULL, 10);
		if (s > 0 && s < INT64_MAX / CW_SECOND - 1 && us >= 0 && us < 1000000)
			note_time(dlq, s * CW_SECOND + us * 1000);
	}
	if (reply)
		finish(dlq);
}

static void on_type(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	if (is_answer(dlq, reply, "TYPE"))
		dlq->look.kind = queue_kind_of(reply);
	if (reply)
		finish(dlq);
}

static void on_depth(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	if (is_answer(dlq, reply, "LLEN, XLEN or ZCARD") && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0) {
		dlq->look.depth_told = true;
		dlq->look.depth_now = (uint64_t)reply->integer;
	}
	if (reply)
		finish(dlq);
}

/* ---- the first page ---- */

/* Do messages arrive at the window's end? */
static bool is_arrival_end(const struct dlq *dlq)
{
	return !dlq->settings.oldest && dlq->kind != QUEUE_ZSET;
}

/* Takes what is new at the end; how many. */
static uint32_t take_new(struct dlq *dlq, const struct page_spec *spec, const redisReply *reply, uint32_t n)
{
	uint32_t i = 0, row;
	struct entry entry;
	for (; i < n && dlq->pass.ever && is_arrival_end(dlq); i++) {
		bool is_new = queue_entry(spec, reply, i, dlq->settings.stream_field, &entry) && !entry.is_large &&
			      !letters_find(dlq, entry.id, &row);
		if (is_new)
			letters_add(dlq, &entry, i);
		queue_entry_release(&entry);
		if (!is_new)
			break;
	}
	return i;
}

/* Compares with the page as it was, behind what is new; and keeps it. */
static void compare_edge(struct dlq *dlq, const struct page_spec *spec, const redisReply *reply, uint32_t n,
			 uint32_t news)
{
	struct look *look = &dlq->look;
	unsigned char now[EDGE][ID_BYTES];
	struct entry entry;
	for (uint32_t i = 0; i < n && i < EDGE; i++) {
		bool is_good = queue_entry(spec, reply, i, dlq->settings.stream_field, &entry);
		memcpy(now[i], entry.id, ID_BYTES);
		queue_entry_release(&entry);
		if (is_good && entry.is_large && !entry.has_id && !dlq->no_scripts)
			dlq->pass.by_script = true; /* from now on it comes with its name */
	}
	for (uint32_t i = 0; i + news < n && i < look->edge_count; i++)
		if (memcmp(now[i + news], look->edge[i], ID_BYTES) != 0)
			look->differs = true;
	look->differs = look->differs || (news == n && n > 0);
	look->edge_count = n;
	memcpy(look->edge, now, n * sizeof(now[0]));
}

static void on_edge(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	struct page_spec spec = dlq_page(dlq, 0, EDGE);
	spec.by_script = dlq->look.by_script;
	if (is_answer(dlq, reply, queue_page_command(&spec)) && dlq->look.kind == dlq->kind) {
		uint32_t n = queue_page_entries(&spec, reply);
		n = n < EDGE ? n : EDGE;
		dlq->look.news = take_new(dlq, &spec, reply, n);
		compare_edge(dlq, &spec, reply, n, dlq->look.news);
	}
	if (reply)
		finish(dlq);
}

/* ---- what follows ---- */

static void take_depth(struct dlq *dlq)
{
	struct look *look = &dlq->look;
	int64_t delta = (int64_t)(look->depth_now - look->depth), met = (int64_t)look->news + (int64_t)dlq->early;
	bool is_first = !look->has_depth || dlq->pass.is_first;
	look->depth = look->depth_now;
	look->has_depth = true;
	dlq->early = 0;
	if (is_first)
		return; /* what is found has not arrived */
	if (met >= delta) {
		dlq->arrivals += (uint64_t)met;
		dlq->departures += (uint64_t)(met - delta);
	} else {
		dlq->arrivals += (uint64_t)delta;
		dlq->unmet += (uint64_t)(delta - met);
	}
	if (delta != (int64_t)look->news)
		pass_want(dlq);
}

static void become(struct dlq *dlq, enum queue_kind kind)
{
	if (dlq->kind != QUEUE_UNKNOWN && is_queue(kind) && is_queue(dlq->kind))
		letters_clear(dlq, "reset"); /* another queue under the same name */
	pass_forget(dlq);
	dlq->kind = kind;
	dlq->look.edge_count = 0;
	dlq->look.has_depth = dlq->look.has_depth && kind == QUEUE_EMPTY;
}

static void take_empty(struct dlq *dlq)
{
	dlq->look.depth_now = 0;
	dlq->look.news = 0;
	take_depth(dlq);
	letters_clear(dlq, "gone");
	pass_nothing(dlq);
}

static void take(struct dlq *dlq)
{
	struct look *look = &dlq->look;
	look->at = dlq->host->now();
	dlq->refused[0] = '\0';
	if (dlq->kind == QUEUE_EMPTY) {
		take_empty(dlq);
	} else if (is_queue(dlq->kind)) {
		take_depth(dlq);
		if (look->differs || dlq->pass.is_first || look->at - dlq->pass.last_began >= dlq->settings.max_age)
			pass_want(dlq);
	}
}

/* After each answer; the last one ends the look. */
static void finish(struct dlq *dlq)
{
	struct look *look = &dlq->look;
	if (!look->running || look->waits > 0)
		return;
	look->running = false;
	bool changed = look->kind != QUEUE_UNKNOWN && look->kind != dlq->kind;
	if (changed)
		become(dlq, look->kind);
	if (changed && is_queue(dlq->kind)) {
		look_begin(dlq);
		return;
	}
	look->failed = look->failed || (is_queue(dlq->kind) && !look->depth_told);
	if (!look->failed)
		take(dlq);
	dlq_say(dlq);
	if (look->failed || !dlq->pass.is_first || dlq->kind == QUEUE_OTHER)
		dlq_read_done(dlq, look->failed || dlq->kind == QUEUE_OTHER ? -EIO : 0);
	if (look->again)
		look_soon(dlq);
	look->again = false;
}

/* ---- asking ---- */

void look_begin(struct dlq *dlq)
{
	struct look *look = &dlq->look;
	if (!redis_is_up(dlq->commands))
		return;
	if (look->running) {
		look->again = true;
		return;
	}
	look->running = true;
	look->failed = look->differs = look->depth_told = false;
	look->kind = QUEUE_UNKNOWN;
	look->news = 0;
	look->by_script = dlq->pass.by_script;
	look->waits = is_queue(dlq->kind) ? 4 : 2;
	dlq->time_sent = dlq->host->now();
	redis_words(dlq->commands, on_time, dlq, "TIME", NULL);
	redis_words(dlq->commands, on_type, dlq, "TYPE", dlq->settings.key, NULL);
	if (is_queue(dlq->kind)) {
		struct page_spec spec = dlq_page(dlq, 0, EDGE);
		queue_ask_depth(dlq->commands, dlq->settings.key, dlq->kind, on_depth, dlq);
		queue_ask_page(dlq->commands, &spec, on_edge, dlq);
	}
}

static void on_soon(uv_timer_t *timer)
{
	look_begin(timer->data);
}

void look_soon(struct dlq *dlq)
{
	if (!uv_is_active((uv_handle_t *)&dlq->look.soon))
		uv_timer_start(&dlq->look.soon, on_soon, (uint64_t)soon_ms, /* repeat */ 0);
}

void look_forget(struct dlq *dlq)
{
	dlq->look.running = dlq->look.again = false;
	dlq->look.edge_count = 0;
	uv_timer_stop(&dlq->look.soon);
}

void look_init(struct dlq *dlq)
{
	uv_timer_init(dlq->host->loop(dlq->self), &dlq->look.soon);
	dlq->look.soon.data = dlq;
}
