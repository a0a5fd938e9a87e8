/* SPDX-License-Identifier: MIT
 *
 * Going through all calls: SCAN, and behind each of its pages the reading of the calls in it (pages.c).
 *
 * The first sweep after connecting goes at full speed, with the next SCAN sent before the page at hand, so that Redis
 * and we work at the same time. All others keep to a budget: after each page, a pause so long that the page's time
 * (without the least round trip) is not more than `sweep.budget` of the whole. One begins so late that it will be
 * through before the last one is `max_age` old (due_after()), or at once when events were lost.
 *
 * What a sweep does not meet has not ended by that. It is *suspect* if it was known before the sweep began, the cursor
 * came back to 0 on the same server (run_id), and the connection held; then EXISTS decides (calls_suspect).
 */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t refused_pause = 30 * CW_SECOND;

static void on_scan(void *arg, const redisReply *reply);
static void finish(struct watch *watch);

static void scan(struct watch *watch)
{
	char count[16], pattern[300];
	snprintf(count, sizeof(count), "%u", watch->sweep.count);
	snprintf(pattern, sizeof(pattern), "%s*", watch->settings.ctx_prefix);
	watch->sweep.page_began = watch->host->now();
	redis_words(watch->commands, on_scan, watch, "SCAN", watch->sweep.cursor, "MATCH", pattern, "COUNT", count,
		    NULL);
}

static bool is_last(const struct sweep *sweep)
{
	return strcmp(sweep->cursor, "0") == 0;
}

static void on_info(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	char run_id[sizeof(watch->sweep.run_id)];
	if (!redis_info_field(reply, "run_id", run_id, sizeof(run_id)))
		return; /* may not be asked: then the connection alone vouches for the server */
	if (watch->sweep.run_id[0] && strcmp(watch->sweep.run_id, run_id) != 0) {
		watch->host->log(watch->self, CW_INFO,
				 "another Redis process answers than before: restarted or failed over");
		events_server_changed(watch);
	}
	snprintf(watch->sweep.run_id, sizeof(watch->sweep.run_id), "%s", run_id);
}

/* The name of our Redis may lead to another server once this one is no longer the primary. */
static void on_role(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	char role[16];
	if (!redis_info_field(reply, "role", role, sizeof(role)))
		return;
	bool is_replica = strcmp(role, "slave") == 0;
	bool changed = is_replica && !watch->was_replica && watch->sweep.ever;
	watch->was_replica = is_replica;
	if (changed)
		redis_fail(watch->commands, REDIS_UNREACHABLE,
			   "the server became a replica: connecting anew to find the primary");
	else
		watch_say(watch);
}

static void begin(struct watch *watch)
{
	struct sweep *sweep = &watch->sweep;
	sweep->running = true;
	sweep->wanted = false;
	sweep->full_speed = watch->blind;
	sweep->found = sweep->skipped = 0;
	sweep->began = watch->host->now();
	sweep->began_wall = watch->host->wall();
	memcpy(sweep->cursor, "0", 2);
	watch->host->full_begin(watch->calls_part);
	redis_words(watch->commands, on_info, watch, "INFO", "server", NULL);
	redis_words(watch->commands, on_role, watch, "INFO", "replication", NULL);
	scan(watch);
	events_keyspace_check(watch);
}

/* Subscribe, then look: in this order nothing is missed. But no longer than a moment. */
static bool waits_for_channels(const struct watch *watch)
{
	return !watch->sweep.ever && !watch->info->once && !watch->channels_live && !watch->channels_reason[0] &&
	       watch->host->now() - watch->origin < CW_SECOND;
}

void sweep_tick(struct watch *watch)
{
	struct sweep *sweep = &watch->sweep;
	if (sweep->running || !watch->has_redis_time || !redis_is_up(watch->commands) || waits_for_channels(watch))
		return;
	int64_t now = watch->host->now();
	if (watch->refused[0] ? now >= sweep->next : sweep->wanted || watch->blind || now >= sweep->next)
		begin(watch);
}

void sweep_want(struct watch *watch)
{
	watch->sweep.wanted = true; /* the tick begins it */
}

void sweep_abort(struct watch *watch)
{
	watch->sweep.settling = false;
	if (!watch->sweep.running)
		return;
	watch->sweep.running = false;
	uv_timer_stop(&watch->sweep.timer);
	watch->host->full_abort(watch->calls_part);
}

void sweep_refused(struct watch *watch, const redisReply *error, const char *command)
{
	char reason[REDIS_ERROR_MAX];
	enum redis_failure failure = redis_explain(watch->commands, error, command, reason);
	watch->host->count_error(watch->self, 1);
	if (failure != REDIS_DENIED) {
		redis_fail(watch->commands, failure, reason);
		return;
	}
	snprintf(watch->refused, sizeof(watch->refused), "%s", reason);
	sweep_abort(watch);
	if (!watch->blind || watch->host->now() >= watch->sweep.next)
		watch->sweep.next = watch->host->now() + refused_pause;
	watch->blind = true;
	watch_first_done(watch, /* status */ -1);
	watch_say(watch);
}

/* ---- page after page ---- */

static void on_pause_over(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	if (watch->sweep.running && redis_is_up(watch->commands))
		scan(watch);
}

/* So long that what was used is `budget` of the time. */
static void pause_after_page(struct watch *watch)
{
	int64_t used = watch->host->now() - watch->sweep.page_began - watch->least_round_trip;
	double pause = used > 0 ? (double)used * (1 / watch->settings.budget - 1) : 0;
	uv_timer_start(&watch->sweep.timer, on_pause_over, (uint64_t)(pause / (double)CW_MILLISECOND), /* repeat */ 0);
}

void sweep_page_done(struct watch *watch)
{
	struct sweep *sweep = &watch->sweep;
	if (!sweep->running || sweep->pages > 0)
		return;
	sweep->confirmed_wall = watch->host->wall();
	if (is_last(sweep))
		finish(watch);
	else if (!sweep->full_speed)
		pause_after_page(watch);
}

static bool is_scan_reply(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	       reply->element[0]->type == REDIS_REPLY_STRING &&
	       reply->element[0]->len < sizeof(((struct sweep *)0)->cursor) &&
	       reply->element[1]->type == REDIS_REPLY_ARRAY;
}

static void on_scan(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	struct sweep *sweep = &watch->sweep;
	if (!reply)
		sweep->lost = !watch->pages.lost; /* what is in flight is lost oldest first */
	if (!reply || !sweep->running)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		sweep_refused(watch, reply, "SCAN");
		return;
	}
	if (!is_scan_reply(reply)) {
		redis_fail(watch->commands, REDIS_PROTOCOL, "SCAN was answered with something else: is this a Redis?");
		return;
	}
	snprintf(sweep->cursor, sizeof(sweep->cursor), "%s", reply->element[0]->str);
	sweep->found += reply->element[1]->elements;
	if (sweep->full_speed && !is_last(sweep))
		scan(watch); /* before the page, so that its answer does not wait for us */
	pages_sweep(watch, reply->element[1]);
	if (sweep->pages == 0)
		sweep_page_done(watch); /* nothing of ours on this page */
}

/* ---- the end of a sweep ---- */

static void on_missing(void *arg, uint32_t row)
{
	calls_suspect(arg, row);
}

/* Only now the table is true since the sweep began: whom it missed has been asked for. */
void sweep_settle(struct watch *watch)
{
	struct sweep *sweep = &watch->sweep;
	if (!sweep->settling || !pages_ask_nothing(watch))
		return;
	sweep->settling = false;
	sweep->last_began = sweep->settling_began;
	sweep->last_began_wall = sweep->settling_began_wall;
}

/* When the next sweep must begin, to be through within max_age of the beginning of this one: even if it takes half as
 * long again, the tick comes late, and asking for who was missing takes a second. How long a paced one takes is not
 * known after one at full speed. */
static int64_t due_after(const struct watch *watch, int64_t duration)
{
	int64_t max_age = watch->settings.max_age, latest = max_age - duration * 3 / 2 - 2 * CW_SECOND;
	bool is_known = !watch->sweep.full_speed && latest > max_age / 2;
	return watch->sweep.began + (is_known ? latest : max_age / 2);
}

static void complete(struct watch *watch)
{
	struct sweep *sweep = &watch->sweep;
	int64_t now = watch->host->now();
	sweep->running = false;
	sweep->was_reset = sweep->found == 0 && watch->host->row_count(watch->calls_part) > 0;
	if (sweep->was_reset && sweep->ever)
		watch->host->log(watch->self, CW_WARNING, "no call is left in Redis: flushed or restarted empty");
	watch->host->full_end(watch->calls_part, on_missing, watch);
	sweep->settling = true;
	sweep->settling_began = sweep->began;
	sweep->settling_began_wall = sweep->began_wall;
	if (!sweep->ever) {
		sweep->last_began = sweep->began;
		sweep->last_began_wall = sweep->began_wall;
	}
	sweep->ever = true;
	sweep_settle(watch);
	sweep->last_duration = now - sweep->began;
	sweep->next = due_after(watch, sweep->last_duration);
	sweep->confirmed_wall = watch->host->wall();
	sweep->count = SCAN_COUNT;
	sweep->skipped_before = sweep->skipped;
	redis_skip_large(watch->commands, sweep->skipped > 0); /* the next sweep would meet them again */
	watch->refused[0] = '\0';
	watch->blind = false;
	watch_say(watch);
	watch_first_done(watch, /* status */ 0);
	pages_soon(watch);
}

static void on_info_at_end(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	char run_id[sizeof(watch->sweep.run_id)];
	if (!reply || !watch->sweep.running)
		return;
	bool known = redis_info_field(reply, "run_id", run_id, sizeof(run_id));
	if (known && strcmp(run_id, watch->sweep.run_id) != 0) {
		redis_fail(watch->commands, REDIS_UNREACHABLE, "another server took over during a sweep: reading anew");
		return;
	}
	complete(watch);
}

static void finish(struct watch *watch)
{
	redis_words(watch->commands, on_info_at_end, watch, "INFO", "server", NULL);
}

void sweep_init(struct watch *watch)
{
	watch->sweep.count = SCAN_COUNT;
	uv_timer_init(watch->host->loop(watch->self), &watch->sweep.timer);
	watch->sweep.timer.data = watch;
}
