/* SPDX-License-Identifier: MIT
 *
 * Source redis-calls: the calls in progress of the voice platform, from its Redis. This file has what the plugin says
 * of itself (at the end), its options, its life, its tick of one second, and the one place that decides its state.
 * watch.h has the reading order of the rest.
 */
#include "text.h"
#include "watch.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <sodium/randombytes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t time_every = 5 * CW_SECOND, slow = 1 * CW_SECOND, step = 100 * CW_MILLISECOND,
		     first_wait = 4 * CW_SECOND, slept_after = 5 * CW_SECOND;

uint64_t watch_hash(const struct watch *watch, const void *bytes, size_t length)
{
	uint64_t hash;
	_Static_assert(crypto_shorthash_BYTES == sizeof(hash), "SipHash-2-4 gives 64 bits");
	crypto_shorthash((unsigned char *)&hash, bytes, length, watch->hash_key);
	return hash;
}

void watch_malformed(struct watch *watch, enum malformed kind)
{
	watch->malformed[kind]++;
	watch->host->count_malformed(watch->self, 1);
}

void watch_log_key(struct watch *watch, const char *key, size_t length, enum malformed kind)
{
	char masked[120], visible[120];
	text_mask_phones_in(masked, sizeof(masked), key, length);
	text_visible(visible, sizeof(visible), masked, strlen(masked));
	watch->host->log(watch->self, CW_WARNING, "a key that can be no call is left out (%s): %s%s%s",
			 malformed_names[kind], watch->settings.ctx_prefix, visible, length > 40 ? "…" : "");
}

int64_t watch_redis_wall(const struct watch *watch)
{
	return watch->has_redis_time ? watch->host->now() + watch->redis_offset : watch->host->wall();
}

/* ---- the state ---- */

static bool cannot_hold_max_age(const struct watch *watch)
{
	const struct sweep *sweep = &watch->sweep;
	int64_t duration = sweep->running ? watch->host->now() - sweep->began : sweep->last_duration;
	return !sweep->full_speed && duration > watch->settings.max_age;
}

void watch_say(struct watch *watch)
{
	const struct cw_host *host = watch->host;
	struct cw_instance *self = watch->self;
	char age[TEXT_DURATION_SIZE];
	if (!redis_is_up(watch->commands)) {
		if (watch->commands_reason[0])
			host->state(self, CW_DOWN, watch->next_try, "%s", watch->commands_reason);
	} else if (watch->refused[0]) {
		host->state(self, CW_DOWN, watch->sweep.next, "%s", watch->refused);
	} else if (watch->blind) {
		/* A first sweep is mostly over before anybody looks; until then what was said last still holds. */
		if (watch->sweep.running && host->now() - watch->sweep.began > 2 * CW_SECOND)
			host->state(self, CW_DEGRADED, /* next_try */ 0,
				    "reading all calls for the first time: wait, there are no gauges until then");
	} else if (!watch->channels_live && watch->channels_reason[0] && !watch->info->once) {
		host->state(self, CW_DEGRADED, /* next_try */ 0, "no pub/sub, heartbeats are read by sweeps: %s",
			    watch->channels_reason);
	} else if (samples_slow(watch) > slow) {
		text_duration(age, (double)samples_slow(watch) / (double)CW_SECOND);
		host->state(self, CW_DEGRADED, /* next_try */ 0,
			    "slow: p95 of a round trip is %s: look at `redis-cli --latency` and SLOWLOG", age);
	} else if (cannot_hold_max_age(watch)) {
		text_duration(age, (double)watch->settings.max_age / (double)CW_SECOND);
		host->state(self, CW_DEGRADED, /* next_try */ 0,
			    "the sweep's budget is too small to see every call within %s: raise sweep.budget or "
			    "sweep.max_age",
			    age);
	} else {
		host->state(self, CW_UP, /* next_try */ 0, "%s",
			    watch->was_replica ? "reading from a replica" : "reading calls");
	}
}

/* ---- Redis' clock ---- */

static void note_round_trip(struct watch *watch, int64_t round_trip)
{
	watch->round_trips[watch->round_trips_count++ % ROUND_TRIPS] = round_trip;
	if (watch->round_trips_count == 2 * ROUND_TRIPS)
		watch->round_trips_count = ROUND_TRIPS; /* only whether it is full matters, and where it goes on */
	watch->least_round_trip = INT64_MAX;
	for (uint32_t i = 0; i < watch->round_trips_count && i < ROUND_TRIPS; i++)
		if (watch->round_trips[i] < watch->least_round_trip)
			watch->least_round_trip = watch->round_trips[i];
}

static void note_time(struct watch *watch, int64_t wall)
{
	int64_t now = watch->host->now(), middle = now - (now - watch->time_sent) / 2;
	bool is_first = !watch->has_redis_time;
	watch->has_redis_time = true;
	watch->redis_offset = wall - middle;
	watch->skew = wall - (watch->host->wall() - (now - middle));
	if (is_first || llabs(watch->redis_offset - watch->start_offset) > step) {
		watch->start_offset = watch->redis_offset;
		watch->offset_epoch++; /* every row's duration is written anew by the next sweep */
	}
}

static void ask_time(struct watch *watch);

static void on_time(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	bool was_alone = watch->time_alone;
	watch->time_waits = false;
	if (!reply)
		return;
	watch_notice_sleep(watch);
	if (watch->time_sent < watch->woke) {
		ask_time(watch); /* the answer waited while we slept: it is of an unknown moment */
		return;
	}
	if (was_alone)
		note_round_trip(watch, watch->host->now() - watch->time_sent);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
	    reply->element[1]->type == REDIS_REPLY_STRING) {
		int64_t s = strtoll(reply->element[0]->str, NULL, 10), us = strtoll(reply->element[1]->str, NULL, 10);
		if (s > 0 && s < INT64_MAX / CW_SECOND - 1 && us >= 0 && us < 1000000)
			note_time(watch, s * CW_SECOND + us * 1000);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		sweep_refused(watch, reply, "TIME");
		return;
	}
	sweep_tick(watch);
	watch_say(watch);
}

/* A database with fewer keys than we know calls was flushed or swapped, which Redis tells nobody: look at once. */
static void on_size(void *arg, const redisReply *reply)
{
	struct watch *watch = arg;
	if (reply && reply->type == REDIS_REPLY_INTEGER && watch->sweep.ever &&
	    (uint64_t)reply->integer < watch->host->row_count(watch->calls_part)) {
		sweep_want(watch);
		sweep_tick(watch);
	}
}

static void ask_time(struct watch *watch)
{
	if (watch->time_waits || !redis_is_up(watch->commands))
		return;
	watch->time_alone = redis_in_flight(watch->commands) == 0;
	watch->time_sent = watch->host->now();
	watch->time_waits = redis_words(watch->commands, on_time, watch, "TIME", NULL) == 0;
	redis_words(watch->commands, on_size, watch, "DBSIZE", NULL);
}

/* ---- rights ---- */

enum { RIGHTS = 4 };

/* Who may read only `call_ctx:CA*` is refused our key, but perhaps no real one: only sweeps know. */
static void on_right(struct watch *watch, const redisReply *reply, const char *command)
{
	if (!reply)
		return;
	if (reply->type == REDIS_REPLY_ERROR && !redis_is_error(reply, "WRONGTYPE") && !strstr(reply->str, " key"))
		sweep_refused(watch, reply, command);
	else if (++watch->rights == RIGHTS && watch->refused[0])
		watch->sweep.next = watch->host->now(); /* all is allowed again */
}

static void on_scan_right(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "SCAN");
}

static void on_hash_right(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "HMGET");
}

static void on_heartbeat_right(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "GETRANGE");
}

static void on_exists_right(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "EXISTS");
}

/* A right that is taken away, or given back, is noticed before the next sweep needs it: with each TIME goes one of each
 * of the commands that every reading is made of (HSTRLEN, for what is too large, is not one). */
static void probe_rights(struct watch *watch)
{
	const struct settings *settings = &watch->settings;
	char pattern[300], call[300], beat[300];
	if (watch->sweep.running || watch->info->once || !watch->has_redis_time)
		return;
	snprintf(pattern, sizeof(pattern), "%s*", settings->ctx_prefix);
	snprintf(call, sizeof(call), "%scallwatch-probe", settings->ctx_prefix);
	snprintf(beat, sizeof(beat), "%scallwatch-probe", settings->beat_prefix);
	watch->rights = 0;
	redis_words(watch->commands, on_scan_right, watch, "SCAN", "0", "MATCH", pattern, "COUNT", "1", NULL);
	redis_words(watch->commands, on_heartbeat_right, watch, "GETRANGE", beat, "0", "1", NULL);
	redis_words(watch->commands, on_hash_right, watch, "HMGET", call, field_names[0], NULL);
	redis_words(watch->commands, on_exists_right, watch, "EXISTS", call, NULL);
}

/* ---- the connection that asks ---- */

static void on_up(void *arg)
{
	struct watch *watch = arg;
	watch->blind = true;
	watch->has_redis_time = watch->time_waits = false;
	ask_time(watch);
	pages_careful(watch);
}

static void on_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct watch *watch = arg;
	sweep_abort(watch);
	if (failure != REDIS_TOO_LARGE || watch->sweep.lost)
		pages_forget_lost(watch);
	if (failure == REDIS_TOO_LARGE && !watch->pages.lost) {
		watch->sweep.count =
			watch->sweep.count > 10 ? watch->sweep.count / 10 : 10; /* it was the SCAN itself */
		redis_skip_large(watch->commands, true);
	}
	watch->sweep.lost = false;
	watch->commands_until = watch->host->now();
	watch->blind = true;
	watch->has_redis_time = false;
	watch->next_try = next_try;
	watch->round_trips_count = 0;
	watch->host->count_error(watch->self, 1);
	snprintf(watch->commands_reason, sizeof(watch->commands_reason), "%s", reason);
	watch->refused[0] = '\0';
	if (failure != REDIS_TOO_LARGE)
		watch_say(watch);
	if (failure != REDIS_TOO_LARGE && failure != REDIS_LOADING)
		watch_first_done(watch, /* status */ -1);
}

/* ---- the tick ---- */

/* Asked by the tick, and by what may come in before it. */
void watch_notice_sleep(struct watch *watch)
{
	char how_long[TEXT_DURATION_SIZE];
	int64_t now = watch->host->now();
	if (now - watch->last_tick <= slept_after)
		return;
	text_duration(how_long, (double)(now - watch->last_tick) / (double)CW_SECOND);
	watch->host->log(watch->self, CW_WARNING,
			 "nothing was watched for %s, we or the machine stood still: reading anew", how_long);
	if (!watch->backlog)
		watch->slept_from = watch->last_tick;
	watch->woke = watch->last_tick = now;
	events_slept(watch);
	sweep_want(watch);
}

static void on_tick(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	int64_t now = watch->host->now();
	watch_notice_sleep(watch);
	watch->last_tick = now;
	if (now - watch->time_sent >= time_every) {
		ask_time(watch);
		probe_rights(watch);
	}
	wheel_advance(&watch->calls.wheel, now);
	if (watch->calls.wheel.heads[WHEEL_BUCKETS] != UINT32_MAX)
		pages_soon(watch);
	if (!watch->info->once)
		events_tick(watch);
	checks_tick(watch->checks);
	sweep_tick(watch);
	watch_say(watch);
	if (watch->first_waits && !watch->info->once && now - watch->origin > first_wait)
		watch_first_done(watch, /* status */ -1); /* a million calls: the readings go on meanwhile */
}

/* ---- options ---- */

static void check_extra_fields(const struct cw_value *options, struct cw_problems *problems);

static void check_text(const struct cw_value *options, struct cw_problems *problems, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	if (value && value->known && value->string && (!value->string[0] || strlen(value->string) > 256))
		problems->error(problems, value, "%s must have 1 to 256 characters", key);
	else if (value && value->known && value->string && strpbrk(value->string, "*?[]\\"))
		problems->error(problems, value, "%s must not contain * ? [ ] or \\", key);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	static const char *const texts[] = {"context_prefix", "heartbeat_prefix", "heartbeat_channel", "logs_channel",
					    "dlq_channel"};
	redis_check_options(options, problems);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_text(options, problems, texts[i]);
	int64_t warning = cw_get_integer(options, "warning_after", 60 * CW_SECOND);
	int64_t stale = cw_get_integer(options, "stale_after", 120 * CW_SECOND);
	if (stale <= warning)
		problems->error(problems, cw_get(options, "stale_after"),
				"stale_after must be greater than warning_after");
	const struct cw_value *sweep = cw_get(options, "sweep");
	double budget = cw_get_number(sweep, "budget", 0.05);
	double max_age = (double)cw_get_integer(sweep, "max_age", 60 * CW_SECOND) / (double)CW_SECOND;
	double needed = (double)cw_get_integer(options, "capacity", 0) * 5.5e-6 / budget;
	if (needed > max_age)
		problems->warning(
			problems, cw_get(sweep, "budget"),
			"with this budget a sweep of %.0f calls (capacity) takes about %.0f s, longer than max_age",
			(double)cw_get_integer(options, "capacity", 0), needed);
	check_extra_fields(options, problems);
}

static int take_extras(struct settings *settings, const struct cw_value *extras)
{
	for (uint32_t i = 0; extras && extras->known && i < extras->count && i < EXTRA_MAX; i++) {
		settings->extra_columns[i] = (struct cw_column){.name = extras->children[i].key,
								.type = CW_TEXT,
								.flags = CW_COLUMN_REPEATS,
								.help = "A field of the call's hash, as it is there"};
		settings->extra_fields[i] = extras->children[i].string;
		settings->extras = i + 1;
	}
	return 0;
}

static int take_settings(struct settings *settings, const struct cw_value *options)
{
	char error[REDIS_ERROR_MAX];
	const struct cw_value *sweep = cw_get(options, "sweep"), *breakdown = cw_get(options, "breakdown");
	const char *url = cw_get_string(options, "url");
	*settings = (struct settings){
		.username = cw_get_string(options, "username"),
		.password = cw_get_string(options, "password"),
		.warning_after = cw_get_integer(options, "warning_after", 60 * CW_SECOND),
		.stale_after = cw_get_integer(options, "stale_after", 120 * CW_SECOND),
		.short_after = cw_get_integer(options, "short_after", 10 * CW_SECOND),
		.max_age = cw_get_integer(sweep, "max_age", 60 * CW_SECOND),
		.budget = cw_get_number(sweep, "budget", 0.05),
		.capacity = (uint32_t)cw_get_integer(options, "capacity", 0),
		.top = (uint32_t)cw_get_integer(breakdown, "top", 50),
		.breakdown = cw_get(breakdown, "by") && cw_get(breakdown, "by")->is_set,
		.lookup = cw_get_string(options, "lookup"),
		.ctx_prefix = cw_get_string(options, "context_prefix"),
		.beat_prefix = cw_get_string(options, "heartbeat_prefix"),
		.channels = {cw_get_string(options, "heartbeat_channel"), cw_get_string(options, "logs_channel"),
			     cw_get_string(options, "dlq_channel")},
	};
	/* NOLINTBEGIN(clang-analyzer-core.NonNullParamChecker): both have defaults, and null is refused as a text */
	settings->ctx_length = strlen(settings->ctx_prefix);
	settings->beat_length = strlen(settings->beat_prefix);
	/* NOLINTEND(clang-analyzer-core.NonNullParamChecker) */
	take_extras(settings, cw_get(options, "extra_fields"));
	return redis_address_parse(url ? url : "redis://127.0.0.1:6379/0", &settings->address, error);
}

/* ---- life ---- */

/* check() has seen the same certificates, so this fails for want of memory only. */
static int make_tls(struct watch *watch, const struct cw_value *options)
{
	char error[TLS_ERROR_MAX];
	const struct cw_value *value;
	if (!watch->settings.address.is_tls)
		return 0;
	int status = tls_client_new(options, &watch->tls, &value, error);
	if (status < 0)
		watch->host->state(watch->self, CW_DOWN, /* next_try */ 0, "%s", error);
	watch->settings.address.tls = watch->tls;
	return status;
}

static int open_tables(struct watch *watch)
{
	struct cw_array extra = {.items = watch->settings.extra_columns,
				 .count = watch->settings.extras,
				 .stride = sizeof(watch->settings.extra_columns[0])};
	int status = watch->host->table_open(watch->self, 0, &extra, &watch->calls_part);
	if (status == 0)
		status = watch->host->table_open(watch->self, 1, /* extra */ NULL, &watch->channels_part);
	return status;
}

static int start_loop(struct watch *watch)
{
	static const struct redis_callbacks callbacks = {.up = on_up, .down = on_down};
	const struct settings *settings = &watch->settings;
	uv_timer_init(watch->host->loop(watch->self), &watch->tick);
	watch->tick.data = watch;
	uv_timer_start(&watch->tick, on_tick, 1000, 1000);
	sweep_init(watch);
	int status = pages_init(watch);
	if (status == 0)
		status = redis_open(watch->self, watch->host, &settings->address, settings->username,
				    settings->password, &callbacks, watch, &watch->commands);
	if (status == 0 && !watch->info->once)
		status = events_start(watch);
	return status;
}

static void stop(void *state)
{
	struct watch *watch = state;
	names_stop(watch);
	redis_close(watch->commands);
	redis_close(watch->channels);
	redis_close(watch->keyspace);
	checks_stop(watch->checks);
	watch->commands = watch->channels = watch->keyspace = NULL;
	uv_handle_t *timers[] = {(uv_handle_t *)&watch->tick, (uv_handle_t *)&watch->sweep.timer,
				 (uv_handle_t *)&watch->pages.timer};
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timers[i]->loop && !uv_is_closing(timers[i]))
			uv_close(timers[i], /* close_cb */ NULL);
}

static void release(void *state)
{
	struct watch *watch = state;
	if (!watch)
		return;
	pages_release(watch);
	calls_release(watch);
	checks_free(watch->checks);
	seen_release(&watch->recent);
	seen_release(&watch->absent);
	seen_release(&watch->reported);
	tls_client_free(watch->tls);
	free(watch);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->self = self;
	watch->host = host;
	watch->info = host->info(self);
	watch->origin = watch->last_tick = host->now();
	watch->blind = true;
	randombytes_buf(watch->hash_key, sizeof(watch->hash_key));
	seen_init(&watch->recent, 2048);
	seen_init(&watch->absent, 512);
	seen_init(&watch->reported, 2048);
	*ret_state = watch;
	int status = take_settings(&watch->settings, options);
	if (status == 0)
		status = make_tls(watch, options);
	if (status == 0)
		status = calls_init(watch);
	if (status == 0 && !(watch->checks = checks_new(watch)))
		status = -ENOMEM;
	if (status == 0)
		status = open_tables(watch);
	if (status == 0)
		status = names_start(watch);
	if (status == 0)
		status = start_loop(watch);
	if (status < 0)
		stop(watch);
	return status;
}

static void examine(void *state, uint32_t check)
{
	checks_examine(((struct watch *)state)->checks, check);
}

/* ---- what the plugin is ---- */

static const struct cw_option sweep_options[] = {
	{.key = "budget",
	 .type = CW_OPTION_RATIO,
	 .fallback = "5%",
	 .min = 0.001,
	 .max = 1,
	 .help = "Share of the time that sweeps may keep Redis busy; the first sweep ignores it"},
	{.key = "max_age",
	 .type = CW_OPTION_DURATION,
	 .fallback = "60s",
	 .min = 1e9,
	 .max = 86400e9,
	 .help = "Every call is to be confirmed this often; a sweep begins in time to end within it"},
};

static const char *const breakdown_choices[] = {"business_id", NULL};
static const struct cw_option breakdown_options[] = {
	{.key = "by", .type = CW_OPTION_CHOICE, .choices = breakdown_choices, .help = "What calls are counted by"},
	{.key = "top",
	 .type = CW_OPTION_INT,
	 .fallback = "50",
	 .min = 1,
	 .max = 1000,
	 .help = "How many have a series of their own; the rest is _other"},
};

static const char *const lookup_roles[] = {"lookup", NULL};

static const struct cw_option options[] = {
	REDIS_CONNECTION_OPTIONS,
	{.key = "warning_after",
	 .type = CW_OPTION_DURATION,
	 .fallback = "60s",
	 .min = 1e9,
	 .max = 86400e9,
	 .help = "A call without a heartbeat for this long is in warning"},
	{.key = "stale_after",
	 .type = CW_OPTION_DURATION,
	 .fallback = "120s",
	 .min = 1e9,
	 .max = 86400e9,
	 .help = "A call without a heartbeat for longer than this is stale: likely crashed"},
	{.key = "sweep",
	 .type = CW_OPTION_GROUP,
	 .fields = CW_ARRAY(sweep_options),
	 .help = "How all calls are read, again and again"},
	{.key = "extra_fields",
	 .type = CW_OPTION_MAP,
	 .flags = CW_OPTION_COLUMNS,
	 .help = "More columns, each from a field of call_ctx: `column: field`"},
	{.key = "breakdown",
	 .type = CW_OPTION_GROUP,
	 .fields = CW_ARRAY(breakdown_options),
	 .help = "Metric business_calls_active: calls of those with most"},
	{.key = "capacity",
	 .type = CW_OPTION_INT,
	 .min = 1,
	 .max = 100e6,
	 .help = "How many calls the platform can carry, for calls_capacity_used_ratio"},
	{.key = "short_after",
	 .type = CW_OPTION_DURATION,
	 .fallback = "10s",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "A call that ends earlier counts as short, for calls_short_ratio"},
	{.key = "lookup",
	 .type = CW_OPTION_INSTANCE,
	 .choices = lookup_roles,
	 .help = "The instance that knows the names of businesses"},
	{.key = "context_prefix",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_ctx:",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Keys of calls begin with this"},
	{.key = "heartbeat_prefix",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_heartbeat:",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Keys of heartbeats begin with this"},
	{.key = "heartbeat_channel",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_heartbeat",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Channel of heartbeats"},
	{.key = "logs_channel",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_logs",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Channel of log operations"},
	{.key = "dlq_channel",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_logs_dlq",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Channel of dead letters"},
};

static const char *const health_choices[] = {"healthy", "warning", "stale", NULL};
static const struct cw_column calls_columns[] = {
	[COLUMN_SID] = {.name = "call_sid", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "The call"},
	[COLUMN_BUSINESS] = {.name = "business_id", .flags = CW_COLUMN_REPEATS, .help = "The business called"},
	[COLUMN_BUSINESS_NAME] = {.name = "business_name",
				  .flags = CW_COLUMN_REPEATS,
				  .help = "Its name, by the lookup; null until that knows it"},
	[COLUMN_FROM] = {.name = "from_phone", .flags = CW_COLUMN_PHONE, .help = "Who calls"},
	[COLUMN_TO] = {.name = "to_phone", .flags = CW_COLUMN_PHONE | CW_COLUMN_REPEATS, .help = "The number called"},
	[COLUMN_START] = {.name = "start_time", .type = CW_TIME, .help = "When the call began, as the platform says"},
	[COLUMN_DURATION] = {.name = "duration_seconds", .type = CW_AGE, .unit = "seconds", .help = "Since start_time"},
	[COLUMN_LAST_HEARTBEAT] = {.name = "last_heartbeat",
				   .type = CW_TIME,
				   .help = "Time of the last heartbeat, as its sender says"},
	[COLUMN_HEARTBEAT_AGE] = {.name = "heartbeat_age_seconds",
				  .type = CW_AGE,
				  .unit = "seconds",
				  .help = "Since the call was last known to be alive, by our own clock"},
	[COLUMN_HEALTH] = {.name = "health_status",
			   .type = CW_CHOICE,
			   .flags = CW_COLUMN_WATCHED,
			   .choices = health_choices,
			   .help = "By the age of the last heartbeat"},
	[COLUMN_HEALTH_SINCE] = {.name = "health_since",
				 .type = CW_SINCE,
				 .of = "health_status",
				 .help = "When health_status last changed"},
	[COLUMN_REASON] = {.name = "health_reason", .flags = CW_COLUMN_REPEATS, .help = "Why it has this health"},
	[COLUMN_LOG_ID] = {.name = "call_log_id", .help = "Its row in the platform's database"},
};

static const char *const channel_choices[] = {"up", "silent", "down", NULL};
static const struct cw_column channels_columns[] = {
	[COLUMN_CHANNEL] = {.name = "channel", .flags = CW_COLUMN_KEY, .help = "A channel of Redis' pub/sub"},
	[COLUMN_STATE] =
		{.name = "state",
		 .type = CW_CHOICE,
		 .flags = CW_COLUMN_WATCHED,
		 .choices = channel_choices,
		 .help = "up; silent: subscribed, but heartbeats are only found in keys; down: not subscribed"},
	[COLUMN_MESSAGES] = {.name = "messages", .type = CW_INT, .help = "Messages received"},
	[COLUMN_RATE] = {.name = "messages_per_second", .type = CW_REAL, .help = "Since the reading before"},
	[COLUMN_LAST_MESSAGE] = {.name = "last_message_at", .type = CW_TIME, .help = "When the last one came"},
};

static const struct cw_table_decl tables[] = {
	{.name = "calls",
	 .help = "Calls in progress and whether they are alive",
	 .columns = CW_ARRAY(calls_columns),
	 .sort = "-duration_seconds"},
	{.name = "channels", .help = "The platform's pub/sub channels", .columns = CW_ARRAY(channels_columns)},
};

static const struct cw_need needs[] = {
	{.what = "Redis user (version 6 or later)",
	 .line = "ACL SETUSER callwatch on >PASSWORD resetkeys ~call_ctx:* ~call_heartbeat:* resetchannels "
		 "&call_heartbeat "
		 "&call_logs &call_logs_dlq &callwatch:probe:* &__keyspace@0__:call_ctx:* nocommands +ping +select "
		 "+time +dbsize +info "
		 "+client|setname +scan +exists +hmget +hstrlen +getrange +subscribe +psubscribe +config|get "
		 "+pubsub|numsub"},
};

/* An extra column must be new, and a name that fits everywhere. */
static void check_extra_fields(const struct cw_value *all, struct cw_problems *problems)
{
	const struct cw_value *extras = cw_get(all, "extra_fields");
	if (!extras || !extras->known)
		return;
	if (extras->count > EXTRA_MAX)
		problems->error(problems, extras, "at most %d extra fields", EXTRA_MAX);
	for (uint32_t i = 0; i < extras->count; i++) {
		const struct cw_value *extra = &extras->children[i];
		size_t length = strspn(extra->key, "abcdefghijklmnopqrstuvwxyz0123456789_");
		if (extra->key[length] || length == 0 || length > 64 || (extra->key[0] >= '0' && extra->key[0] <= '9'))
			problems->error(problems, extra,
					"column `%s`: lower-case letters, digits and _, not a digit first", extra->key);
		if (!extra->string || !extra->string[0] || strlen(extra->string) > 128)
			problems->error(problems, extra,
					"column `%s` needs the name of a field, at most 128 characters", extra->key);
		for (uint32_t c = 0; c < CALLS_COLUMNS; c++)
			if (strcmp(extra->key, calls_columns[c].name) == 0 || strcmp(extra->key, "instance") == 0) {
				problems->error(problems, extra, "table calls already has a column `%s`", extra->key);
				break;
			}
	}
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "redis-calls",
	.summary = "Calls in progress of the voice platform, from its Redis: sweeps, pub/sub and keyspace events",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.metrics = {watch_metrics, METRICS, sizeof(watch_metrics[0])},
	.needs = CW_ARRAY(needs),
	.check = check,
	.start = start,
	.read = watch_read,
	.stop = stop,
	.release = release,
	.checks = {watch_checks, CHECKS, sizeof(watch_checks[0])},
	.examine = examine,
};
