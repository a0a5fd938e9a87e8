/* SPDX-License-Identifier: MIT
 *
 * What Redis tells us by itself: the platform's three channels, and keyspace events of call_ctx:* where the server has
 * them on. Events only say where to look: a heartbeat proves life, everything else makes us ask.
 *
 * A subscription can be dead without anybody noticing: the peer is gone and no byte ever says so. So the connection of
 * the channels is probed every 5 s by subscribing again to a private channel, which is answered each time (PING is not,
 * on old servers); without an answer for 5 s it is cut. After any loss everything is read anew.
 *
 * While we sleep (SIGSTOP, suspend), messages wait in buffers, and are no sign of life of the moment we read them. A
 * probe sent after waking up is answered behind them: until then what comes is the *backlog*, see receipt() in calls.c.
 */
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t probe_every = 5 * CW_SECOND, absent_for = 10 * CW_SECOND, silent_after = 30 * CW_SECOND;
enum { SILENT_KEY_BEATS = 3 };

/* ---- tombstones ---- */

/* The number remembered for a key: twice the event's sequence, plus one if it was a removal. */
static void remember(struct watch *watch, const char *sid, size_t length, bool removal)
{
	watch->sequence++;
	if (watch->pages.oldest)
		seen_put(&watch->recent, watch_hash(watch, sid, length), 2 * (int64_t)watch->sequence + removal);
}

bool events_contradict(const struct watch *watch, uint64_t key_hash, uint32_t sequence, bool exists)
{
	if (watch->recent.forgotten / 2 > sequence)
		return true;
	int64_t number = seen_get(&watch->recent, key_hash);
	return number / 2 > sequence && (number & 1) == exists;
}

/* ---- the platform's channels ---- */

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && reply->len == strlen(text) &&
	       memcmp(reply->str, text, reply->len) == 0;
}

static void unknown_call_beats(struct watch *watch, struct text sid)
{
	uint64_t hash = watch_hash(watch, sid.text, sid.length);
	int64_t absent = seen_get(&watch->absent, hash);
	if (absent && watch->host->now() - absent < absent_for)
		return;
	pages_fetch(watch, sid.text, sid.length, /* again */ false);
}

static void on_beat(struct watch *watch, const redisReply *message)
{
	struct beat beat;
	uint32_t row;
	watch->silent_key_beats = 0;
	watch->last_beat = watch->host->now();
	if (message->type != REDIS_REPLY_STRING || parse_beat(message->str, message->len, &beat) < 0) {
		watch_malformed(watch, BAD_MESSAGE);
		return;
	}
	struct call *call = calls_find(watch, beat.sid.text, beat.sid.length, &row);
	if (call && !(call->flags & CALL_BARE))
		calls_beat(watch, row, call, &beat);
	else
		unknown_call_beats(watch, beat.sid);
}

static void on_message(struct watch *watch, const redisReply *name, const redisReply *message)
{
	for (int i = 0; i < CHANNELS; i++) {
		if (!is_text(name, watch->settings.channels[i]))
			continue;
		watch->channel[i].messages++;
		watch->channel[i].last = watch->host->wall();
		if (!watch->backlog)
			watch->channels_heard = watch->host->now();
		if (i == CHANNEL_HEARTBEAT)
			on_beat(watch, message);
		return;
	}
}

static void channels_alive(struct watch *watch)
{
	watch->probes -= watch->probes > 0;
	watch->backlog -= watch->backlog > 0;
	if (!watch->backlog)
		watch->channels_heard = watch->host->now();
	if (watch->channels_live)
		return;
	watch->channels_live = true;
	watch->last_beat = watch->host->now();
	watch->silent_key_beats = 0;
	watch_say(watch);
	sweep_tick(watch); /* the first waits for this */
}

static void on_channels_push(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	char reason[REDIS_ERROR_MAX];
	watch_notice_sleep(watch);
	if (reply->type == REDIS_REPLY_ERROR) {
		enum redis_failure failure = redis_explain(watch->channels, reply, "SUBSCRIBE", reason);
		redis_fail(watch->channels, failure, reason);
	} else if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) {
		redis_fail(watch->channels, REDIS_PROTOCOL, "an unknown answer to SUBSCRIBE");
	} else if (is_text(reply->element[0], "message")) {
		on_message(watch, reply->element[1], reply->element[2]);
	} else if (is_text(reply->element[0], "subscribe") && is_text(reply->element[1], watch->probe_channel)) {
		channels_alive(watch);
	}
}

static void probe(struct watch *watch)
{
	watch->probes++;
	watch->probe_ticks = 0;
	watch->probe_sent = watch->host->now();
	redis_words(watch->channels, NULL, NULL, "SUBSCRIBE", watch->probe_channel, NULL);
}

void events_slept(struct watch *watch)
{
	if (!redis_is_up(watch->channels))
		return;
	probe(watch);
	watch->backlog = watch->probes;
}

static void on_channels_up(void *arg)
{
	struct watch *watch = arg;
	const char *const *names = watch->settings.channels;
	watch->channels_since = watch->host->now();
	redis_words(watch->channels, NULL, NULL, "SUBSCRIBE", names[CHANNEL_HEARTBEAT], names[CHANNEL_LOGS],
		    names[CHANNEL_DLQ], NULL);
	probe(watch);
	sweep_want(watch); /* what was said meanwhile is lost */
}

static void on_channels_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct watch *watch = arg;
	(void)failure;
	(void)next_try;
	snprintf(watch->channels_reason, sizeof(watch->channels_reason), "%s", reason);
	watch->channels_live = false;
	watch->probes = watch->backlog = 0;
	watch->host->count_error(watch->self, redis_is_up(watch->commands));
	watch_say(watch);
}

/* After our own sleep the answer may be in the socket, so that two ticks must have passed too. */
static void check_probe(struct watch *watch, int64_t now)
{
	if (!redis_is_up(watch->channels))
		return;
	if (!watch->probes && now - watch->probe_sent >= probe_every)
		probe(watch);
	else if (watch->probes && ++watch->probe_ticks > 2 && now - watch->probe_sent >= REDIS_DEADLINE_S * CW_SECOND)
		redis_fail(watch->channels, REDIS_UNREACHABLE,
			   "no answer within 5 s on the channels' connection: connecting anew");
}

/* ---- keyspace events ---- */

static bool is_removal(const redisReply *event)
{
	static const char *const removals[] = {"del", "expired", "evicted", "rename_from", "move_from"};
	for (size_t i = 0; i < sizeof(removals) / sizeof(removals[0]); i++)
		if (is_text(event, removals[i]))
			return true;
	return false;
}

static void on_key_event(struct watch *watch, const char *sid, size_t length, const redisReply *event)
{
	uint32_t row;
	if (parse_sid(sid, length) < 0 || is_text(event, "expire") || is_text(event, "persist"))
		return;
	bool removal = is_removal(event);
	remember(watch, sid, length, removal);
	if (!removal) {
		pages_fetch(watch, sid, length, /* again */ true);
	} else if (calls_find(watch, sid, length, &row)) {
		calls_suspect(watch, row);
		pages_soon(watch);
	}
}

static void on_keyspace_push(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	if (reply->type == REDIS_REPLY_ERROR) {
		redis_fail(watch->keyspace, REDIS_DENIED, "keyspace events are refused"); /* silently without */
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
		return;
	if (is_text(reply->element[0], "psubscribe")) {
		if (!watch->keyspace_live)
			sweep_want(watch); /* what happened before is not known */
		watch->keyspace_live = true;
		watch->keyspace_waits = false;
	} else if (is_text(reply->element[0], "pmessage") && reply->elements == 4 &&
		   reply->element[2]->type == REDIS_REPLY_STRING) {
		const char *key = strchr(reply->element[2]->str, ':'); /* __keyspace@0__:call_ctx:SID */
		size_t prefix = watch->settings.ctx_length;
		if (!key++)
			return;
		size_t length = reply->element[2]->len - (size_t)(key - reply->element[2]->str);
		if (length > prefix && memcmp(key, watch->settings.ctx_prefix, prefix) == 0)
			on_key_event(watch, key + prefix, length - prefix, reply->element[3]);
	}
}

static void on_keyspace_up(void *arg)
{
	struct watch *watch = arg;
	char pattern[320];
	snprintf(pattern, sizeof(pattern), "__keyspace@%u__:%s*", watch->settings.address.database,
		 watch->settings.ctx_prefix);
	watch->keyspace_waits = true;
	watch->last_probe = watch->host->now();
	redis_words(watch->keyspace, NULL, NULL, "PSUBSCRIBE", pattern, NULL);
}

static void on_keyspace_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct watch *watch = arg;
	(void)failure;
	(void)reason;
	(void)next_try;
	watch->keyspace_live = watch->keyspace_waits = false;
}

static void set_keyspace(struct watch *watch, bool on)
{
	static const struct redis_callbacks callbacks = {
		.up = on_keyspace_up, .down = on_keyspace_down, .push = on_keyspace_push};
	const struct settings *settings = &watch->settings;
	if (on && !watch->keyspace) {
		redis_open(watch->self, watch->host, &settings->address, settings->username, settings->password,
			   &callbacks, watch, &watch->keyspace);
	} else if (!on && watch->keyspace) {
		watch->commands_before += redis_commands_sent(watch->keyspace);
		redis_close(watch->keyspace);
		watch->keyspace = NULL;
		watch->keyspace_live = watch->keyspace_waits = false;
	}
}

/* K with g (del, rename), h (hashes), x (expired) or e (evicted): A stands for all of them. */
bool events_classes_suffice(const char *classes)
{
	return strchr(classes, 'K') && strpbrk(classes, "Aghxe");
}

static void on_config(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	if (!reply)
		return;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[1]->type != REDIS_REPLY_STRING) {
		set_keyspace(watch, true); /* may not be asked: listen, and see */
		return;
	}
	set_keyspace(watch, events_classes_suffice(reply->element[1]->str));
}

void events_keyspace_check(struct watch *watch)
{
	if (!watch->info->once)
		redis_words(watch->commands, on_config, watch, "CONFIG", "GET", "notify-keyspace-events", NULL);
}

/* A keyspace connection has nothing to be probed with but its own subscription. */
static void probe_keyspace(struct watch *watch, int64_t now)
{
	if (now - watch->last_probe < probe_every || !redis_is_up(watch->keyspace))
		return;
	if (watch->keyspace_waits)
		redis_fail(watch->keyspace, REDIS_UNREACHABLE, "no answer within 5 s");
	else
		on_keyspace_up(watch);
}

/* A subscription from before may still be with the old server, which nobody writes to any more. */
void events_server_changed(struct watch *watch)
{
	if (redis_is_up(watch->channels) && watch->channels_since < watch->commands_until)
		redis_fail(watch->channels, REDIS_UNREACHABLE, "subscribing anew, to the server that answers now");
	if (watch->keyspace)
		set_keyspace(watch, false); /* the check that goes with each sweep opens it again */
}

/* ---- table `channels` ---- */

bool events_beats_only_in_keys(const struct watch *watch)
{
	return watch->silent_key_beats >= SILENT_KEY_BEATS && watch->host->now() - watch->last_beat > silent_after;
}

static void judge_channel(struct watch *watch, int i)
{
	bool silent = i == CHANNEL_HEARTBEAT && events_beats_only_in_keys(watch);
	watch->channel[i].state = !watch->channels_live ? CHANNEL_DOWN : silent ? CHANNEL_SILENT : CHANNEL_UP;
}

/* That a subscription is down is known now; that it lives only since it was last heard of. */
static void confirm_channels(struct watch *watch, int64_t now)
{
	int64_t heard = watch->channels_live ? watch->channels_heard : now;
	int64_t wall = watch->host->wall() - (now - heard);
	struct cw_coverage coverage = {.from = wall, .to = wall, .complete = true, .ratio = 1};
	watch->host->coverage(watch->channels_part, &coverage);
}

void events_show(struct watch *watch)
{
	int64_t now = watch->host->now();
	double seconds = (double)(now - watch->last_shown) / (double)CW_SECOND;
	for (int i = 0; i < CHANNELS; i++) {
		struct channel *channel = &watch->channel[i];
		judge_channel(watch, i);
		if (seconds > 0)
			channel->rate = (double)(channel->messages - channel->messages_before) / seconds;
		channel->messages_before = channel->messages;
		const char *name = watch->settings.channels[i];
		struct cw_cell cells[CHANNELS_COLUMNS] = {
			[COLUMN_CHANNEL] = {.type = CW_CELL_TEXT, .text = name, .length = (uint32_t)strlen(name)},
			[COLUMN_STATE] = {.type = CW_CELL_INTEGER, .integer = channel->state},
			[COLUMN_MESSAGES] = {.type = CW_CELL_INTEGER, .integer = (int64_t)channel->messages},
			[COLUMN_RATE] = {.type = watch->last_shown && watch->channels_live ? CW_CELL_REAL
											   : CW_CELL_NULL,
					 .real = channel->rate},
			[COLUMN_LAST_MESSAGE] = {.type = channel->last ? CW_CELL_INTEGER : CW_CELL_NULL,
						 .integer = channel->last}};
		watch->host->row_put(watch->channels_part, cells);
	}
	watch->last_shown = now;
	confirm_channels(watch, now);
}

int events_start(struct watch *watch)
{
	static const struct redis_callbacks callbacks = {
		.up = on_channels_up, .down = on_channels_down, .push = on_channels_push};
	const struct settings *settings = &watch->settings;
	snprintf(watch->probe_channel, sizeof(watch->probe_channel), "callwatch:probe:%016llx",
		 (unsigned long long)watch_hash(watch, &watch->origin, sizeof(watch->origin)));
	return redis_open(watch->self, watch->host, &settings->address, settings->username, settings->password,
			  &callbacks, watch, &watch->channels);
}

void events_tick(struct watch *watch)
{
	int64_t now = watch->host->now();
	check_probe(watch, now);
	probe_keyspace(watch, now);
}
