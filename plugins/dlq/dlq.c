/* SPDX-License-Identifier: MIT
 *
 * Source dlq: the dead letters of the voice platform, failed log operations in a queue in its Redis. This file has what
 * the plugin says of itself (at the end), its options, its life, its two connections, its tick of one second, and the
 * one place that decides its state. dlq.h has the reading order of the rest.
 *
 * One connection asks; the other is subscribed to the channel on which the platform tells of each arrival, and only
 * makes looks come earlier: what it says is never believed unseen.
 */
#include "actions.h"

#include "text.h"

#include <errno.h>
#include <sodium/randombytes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t probe_every = 5 * CW_SECOND;
enum { READ_TICKS_MAX = 4 };

int64_t dlq_wall(const struct dlq *dlq)
{
	return dlq->has_offset ? dlq->host->now() + dlq->offset : dlq->host->wall();
}

/* ---- the state ---- */

static void say_up(struct dlq *dlq)
{
	const struct settings *settings = &dlq->settings;
	char without[REDIS_ERROR_MAX + 64] = "", window[96] = "";
	if (!dlq->channel_live && dlq->channel_reason[0] && !dlq->info->once)
		snprintf(without, sizeof(without), "; no pub/sub, arrivals are seen by readings: %s",
			 dlq->channel_reason);
	if (!dlq_holds_all(dlq))
		snprintf(window, sizeof(window), ", the %s %u messages only", settings->oldest ? "oldest" : "newest",
			 settings->window);
	if (dlq->kind == QUEUE_EMPTY)
		dlq->host->state(dlq->self, CW_UP, /* next_try */ 0, "the queue is empty%s", without);
	else
		dlq->host->state(dlq->self, CW_UP, /* next_try */ 0, "reading a %s%s%s", queue_kind_name(dlq->kind),
				 window, without);
}

void dlq_say(struct dlq *dlq)
{
	if (!redis_is_up(dlq->commands)) {
		if (dlq->reason[0])
			dlq->host->state(dlq->self, CW_DOWN, dlq->next_try, "%s", dlq->reason);
	} else if (dlq->kind == QUEUE_OTHER) {
		dlq->host->state(dlq->self, CW_DOWN, /* next_try */ 0,
				 "%s is no list, stream or sorted set: is it the right `key`?", dlq->settings.key);
	} else if (dlq->refused[0]) {
		dlq->host->state(dlq->self, CW_DOWN, /* next_try */ 0, "%s", dlq->refused);
	} else if (dlq->pass.ever && !dlq->pass.is_first) {
		say_up(dlq);
	}
}

void dlq_refused(struct dlq *dlq, const redisReply *error, const char *command)
{
	redis_explain(dlq->commands, error, command, dlq->refused);
	dlq->host->count_error(dlq->self, 1);
	dlq_say(dlq);
}

void dlq_read_done(struct dlq *dlq, int status)
{
	if (!dlq->read_waits)
		return;
	dlq->read_waits = false;
	samples_give(dlq);
	dlq->host->read_done(dlq->self, status);
}

/* ---- the connection that asks ---- */

static void on_up(void *arg)
{
	struct dlq *dlq = arg;
	redis_skip_large(dlq->commands, true);
	dlq->reason[0] = '\0';
	dlq->no_scripts = false;
	dlq->kind = QUEUE_UNKNOWN; /* it may be another server */
	look_begin(dlq);
}

static void on_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct dlq *dlq = arg;
	look_forget(dlq);
	pass_forget(dlq);
	trash_forget(dlq);
	if (failure == REDIS_TOO_LARGE)
		pass_cut(dlq);
	dlq->has_offset = false;
	dlq->refused[0] = '\0';
	dlq->next_try = next_try;
	dlq->host->count_error(dlq->self, 1);
	snprintf(dlq->reason, sizeof(dlq->reason), "%s", reason);
	if (failure == REDIS_TOO_LARGE)
		return; /* it comes back at once, with smaller pages */
	dlq_say(dlq);
	dlq_read_done(dlq, -ENOTCONN);
}

/* ---- the channel ---- */

/* A subscription can be dead without anybody noticing; to subscribe once more is answered each time. */
static void probe_channel(struct dlq *dlq)
{
	dlq->probe_waits = true;
	dlq->probe_sent = dlq->host->now();
	redis_words(dlq->channel, NULL, NULL, "SUBSCRIBE", dlq->settings.channel, NULL);
}

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && reply->len == strlen(text) &&
	       memcmp(reply->str, text, reply->len) == 0;
}

static void on_channel_push(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	char reason[REDIS_ERROR_MAX];
	if (reply->type == REDIS_REPLY_ERROR) {
		enum redis_failure failure = redis_explain(dlq->channel, reply, "SUBSCRIBE", reason);
		redis_fail(dlq->channel, failure, reason);
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 3 && is_text(reply->element[0], "message")) {
		look_soon(dlq);
	} else {
		bool was_live = dlq->channel_live;
		dlq->channel_live = true;
		dlq->probe_waits = false;
		if (!was_live) {
			look_soon(dlq); /* what was said meanwhile is lost */
			dlq_say(dlq);
		}
	}
}

static void on_channel_up(void *arg)
{
	probe_channel(arg);
}

static void on_channel_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct dlq *dlq = arg;
	(void)next_try;
	dlq->channel_live = dlq->probe_waits = false;
	snprintf(dlq->channel_reason, sizeof(dlq->channel_reason), "%s", reason);
	if (failure != REDIS_TOO_LARGE)
		dlq_say(dlq);
}

/* ---- the tick ---- */

static void tick_channel(struct dlq *dlq)
{
	int64_t since = dlq->host->now() - dlq->probe_sent;
	if (!redis_is_up(dlq->channel) || since < probe_every)
		return;
	if (dlq->probe_waits && since < probe_every + REDIS_DEADLINE_S * CW_SECOND)
		return;
	if (dlq->probe_waits)
		redis_fail(dlq->channel, REDIS_UNREACHABLE,
			   "no answer within 5 s on the channel's connection: connecting anew");
	else
		probe_channel(dlq);
}

static void on_tick(uv_timer_t *timer)
{
	struct dlq *dlq = timer->data;
	letters_tick(dlq);
	joins_tick(dlq);
	trash_tick(dlq);
	tick_channel(dlq);
	checks_tick(dlq->checks);
	if (!dlq->look.running && redis_is_up(dlq->commands) && dlq->refused[0])
		look_begin(dlq); /* a right that is given back is seen at once */
	/* A window that takes long to be read the first time does not keep the readings. */
	if (dlq->read_waits && !dlq->info->once && ++dlq->read_ticks > READ_TICKS_MAX)
		dlq_read_done(dlq, dlq->pass.running ? 0 : -ETIMEDOUT);
}

/* ---- options ---- */

static void check_text(const struct cw_value *options, struct cw_problems *problems, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	if (value && value->known && value->string && (!value->string[0] || strlen(value->string) > KEY_BYTES_MAX))
		problems->error(problems, value, "%s must have 1 to %d characters", key, KEY_BYTES_MAX);
}

static int take_settings(struct settings *settings, const struct cw_value *options)
{
	char error[REDIS_ERROR_MAX];
	const char *url = cw_get_string(options, "url");
	*settings = (struct settings){
		.username = cw_get_string(options, "username"),
		.password = cw_get_string(options, "password"),
		.key = cw_get_string(options, "key"),
		.channel = cw_get_string(options, "channel"),
		.stream_field = cw_get_string(options, "stream_field"),
		.window = (uint32_t)cw_get_integer(options, "window", 10000),
		.oldest = cw_get_integer(options, "window_end", 0) == 1,
		.newest_at_head = cw_get_integer(options, "list_newest", 0) == 1,
		.budget = cw_get_number(options, "budget", 0.05),
		.max_age = cw_get_integer(options, "max_age", 30 * CW_SECOND),
		.lookup = cw_get_string(options, "lookup"),
		.call_log_lookup = cw_get_string(options, "call_log_lookup"),
		.allow_actions = cw_get_bool(options, "allow_actions"),
		.retry_mode = cw_get_integer(cw_get(options, "retry"), "mode", 0),
		.retry_to = cw_get_string(cw_get(options, "retry"), "to"),
		.trash_for = cw_get_integer(options, "trash_for", 7 * 86400 * CW_SECOND),
	};
	const char *trash_key = cw_get_string(options, "trash_key");
	if (trash_key)
		snprintf(settings->trash_key, sizeof(settings->trash_key), "%s", trash_key);
	else
		snprintf(settings->trash_key, sizeof(settings->trash_key), "%s:callwatch_trash",
			 settings->key ? settings->key : "");
	return redis_address_parse(url ? url : "redis://127.0.0.1:6379/0", &settings->address, error);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	redis_check_options(options, problems);
	check_text(options, problems, "key");
	check_text(options, problems, "channel");
	check_text(options, problems, "stream_field");
	check_text(options, problems, "trash_key");
	struct settings settings;
	if (take_settings(&settings, options) < 0 || !settings.key || !settings.channel)
		return; /* which was said above */
	if (strcmp(settings.trash_key, settings.key) == 0)
		problems->error(problems, cw_get(options, "trash_key"), "the trash cannot be the queue itself");
	const char *wrong = actions_wrong_target(&settings, settings.retry_mode, settings.retry_to);
	if (wrong)
		problems->error(problems, cw_get(options, "retry"), "%s", wrong);
}

/* ---- life ---- */

/* check() has seen the same certificates, so this fails for want of memory only. */
static int make_tls(struct dlq *dlq, const struct cw_value *options)
{
	char error[TLS_ERROR_MAX];
	const struct cw_value *value;
	if (!dlq->settings.address.is_tls)
		return 0;
	int status = tls_client_new(options, &dlq->tls, &value, error);
	if (status < 0)
		dlq->host->state(dlq->self, CW_DOWN, /* next_try */ 0, "%s", error);
	dlq->settings.address.tls = dlq->tls;
	return status;
}

static int open_tables(struct dlq *dlq)
{
	int status = dlq->host->table_open(dlq->self, 0, /* extra */ NULL, &dlq->part);
	if (status == 0)
		status = dlq->host->table_open(dlq->self, 1, /* extra */ NULL, &dlq->groups_part);
	if (status == 0)
		status = dlq->host->table_open(dlq->self, 2, /* extra */ NULL, &dlq->trash.part);
	if (status == 0)
		letters_adopt(dlq);
	return status;
}

static int start_loop(struct dlq *dlq)
{
	static const struct redis_callbacks asks = {.up = on_up, .down = on_down};
	static const struct redis_callbacks listens = {
		.up = on_channel_up, .down = on_channel_down, .push = on_channel_push};
	const struct settings *settings = &dlq->settings;
	uv_timer_init(dlq->host->loop(dlq->self), &dlq->tick);
	dlq->tick.data = dlq;
	uv_timer_start(&dlq->tick, on_tick, 1000, 1000);
	look_init(dlq);
	pass_init(dlq);
	int status = redis_open(dlq->self, dlq->host, &settings->address, settings->username, settings->password, &asks,
				dlq, &dlq->commands);
	if (status == 0 && !dlq->info->once)
		status = redis_open(dlq->self, dlq->host, &settings->address, settings->username, settings->password,
				    &listens, dlq, &dlq->channel);
	return status;
}

static void stop(void *state)
{
	struct dlq *dlq = state;
	redis_close(dlq->commands);
	redis_close(dlq->channel);
	dlq->commands = dlq->channel = NULL;
	actions_stop(dlq);
	joins_stop(dlq);
	checks_stop(dlq->checks);
	uv_handle_t *timers[] = {(uv_handle_t *)&dlq->tick, (uv_handle_t *)&dlq->look.soon,
				 (uv_handle_t *)&dlq->pass.timer};
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timers[i]->loop && !uv_is_closing(timers[i]))
			uv_close(timers[i], /* close_cb */ NULL);
}

static void release(void *state)
{
	struct dlq *dlq = state;
	if (!dlq)
		return;
	letters_release(dlq);
	groups_release(&dlq->groups);
	checks_free(dlq->checks);
	tls_client_free(dlq->tls);
	free(dlq->pass.fetch);
	trash_release(dlq);
	free(dlq);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct dlq *dlq = calloc(1, sizeof(*dlq));
	if (!dlq)
		return -ENOMEM;
	dlq->self = self;
	dlq->host = host;
	dlq->info = host->info(self);
	randombytes_buf(dlq->hash_key, sizeof(dlq->hash_key));
	*ret_state = dlq;
	int status = take_settings(&dlq->settings, options);
	if (status == 0)
		status = make_tls(dlq, options);
	if (status == 0)
		status = groups_init(&dlq->groups, dlq->hash_key);
	if (status == 0 && !(dlq->checks = checks_new(dlq)))
		status = -ENOMEM;
	if (status == 0)
		status = open_tables(dlq);
	if (status == 0)
		status = joins_start(dlq);
	if (status == 0)
		status = start_loop(dlq);
	if (status < 0)
		stop(dlq);
	return status;
}

static void examine(void *state, uint32_t check)
{
	checks_examine(((struct dlq *)state)->checks, check);
}

/* ---- what the plugin is ---- */

static const char *const lookup_roles[] = {"lookup", NULL};
static const char *const end_choices[] = {"newest", "oldest", NULL};
static const char *const mode_choices[] = {"reset", "push", "publish", NULL};
static const struct cw_option retry_options[] = {
	{.key = "mode",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "reset",
	 .choices = mode_choices,
	 .help = "reset: the same queue, retry_count 0, due now; push: as it is to the key `to`; publish: to the "
		 "channel `to`"},
	{.key = "to", .type = CW_OPTION_STRING, .help = "The key or the channel"},
};
static const char *const list_choices[] = {"tail", "head", NULL};

static const struct cw_option options[] = {
	REDIS_CONNECTION_OPTIONS,
	{.key = "key",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_logs_dlq_list",
	 .help = "The queue: a list, a stream or a sorted set, Redis says which"},
	{.key = "window",
	 .type = CW_OPTION_INT,
	 .fallback = "10000",
	 .min = 1,
	 .max = WINDOW_MAX,
	 .help = "How many messages are known, counted from one end; the depth is exact all the same"},
	{.key = "window_end",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "newest",
	 .choices = end_choices,
	 .help = "Which end: newest or oldest"},
	{.key = "list_newest",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "tail",
	 .choices = list_choices,
	 .help = "Where new messages of a list come in: tail (the platform pushes with RPUSH) or head (LPUSH)"},
	{.key = "channel",
	 .type = CW_OPTION_STRING,
	 .fallback = "call_logs_dlq",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Pub/sub channel on which each arrival is told"},
	{.key = "stream_field",
	 .type = CW_OPTION_STRING,
	 .fallback = "data",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Of a stream, the field that holds the message; an entry of one field is that, another is the message "
		 "itself"},
	{.key = "budget",
	 .type = CW_OPTION_RATIO,
	 .fallback = "5%",
	 .min = 0.001,
	 .max = 1,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Share of the time that reading the window may keep Redis busy; the first reading ignores it"},
	{.key = "max_age",
	 .type = CW_OPTION_DURATION,
	 .fallback = "30s",
	 .min = 1e9,
	 .max = 86400e9,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "The window is read through this often, and within a second when something left"},
	{.key = "lookup",
	 .type = CW_OPTION_INSTANCE,
	 .choices = lookup_roles,
	 .help = "The instance that knows the names of businesses"},
	{.key = "call_log_lookup",
	 .type = CW_OPTION_INSTANCE,
	 .choices = lookup_roles,
	 .help = "The instance that knows which rows of call_log there are, by call_log_id, or call_sid without one"},
	{.key = "allow_actions",
	 .type = CW_OPTION_BOOL,
	 .fallback = "false",
	 .help = "May operators retry, drop and restore messages? It needs more rights in Redis"},
	{.key = "retry",
	 .type = CW_OPTION_GROUP,
	 .fields = CW_ARRAY(retry_options),
	 .help = "What action retry does, where who asks says nothing else"},
	{.key = "trash_key",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Sorted set in which dropped messages are kept; default: the queue's key and `:callwatch_trash`"},
	{.key = "trash_for",
	 .type = CW_OPTION_DURATION,
	 .fallback = "7d",
	 .min = 60e9,
	 .max = 3650 * 86400e9,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "For how long"},
};

static const char *const state_choices[] = {"waiting", "overdue", "failed", "unreadable", NULL};
static const struct cw_column dlq_columns[] = {
	[COLUMN_ID] = {.name = "id", .flags = CW_COLUMN_KEY, .help = "SHA-1 of the message's bytes"},
	[COLUMN_COPIES] = {.name = "copies",
			   .type = CW_INT,
			   .help = "How often the very same message is in the window"},
	[COLUMN_SID] = {.name = "call_sid", .help = "The call it is about"},
	[COLUMN_BUSINESS_NAME] = {.name = "business_name",
				  .flags = CW_COLUMN_REPEATS,
				  .help = "Whose call it is, by table calls or the lookup"},
	[COLUMN_ACTION] = {.name = "action", .flags = CW_COLUMN_REPEATS, .help = "The operation that failed"},
	[COLUMN_RETRY_STATUS] = {.name = "retry_status",
				 .flags = CW_COLUMN_REPEATS,
				 .help = "Retries of how many: 2/3"},
	[COLUMN_RETRY_COUNT] = {.name = "retry_count", .type = CW_INT, .help = "How often it was retried"},
	[COLUMN_MAX_RETRIES] = {.name = "max_retries", .type = CW_INT, .help = "How often it is to be"},
	[COLUMN_ERROR] = {.name = "error_message", .help = "Why it failed, its first 2 KB; or why it cannot be read"},
	[COLUMN_GROUP] = {.name = "error_group",
			  .flags = CW_COLUMN_REPEATS,
			  .help = "The error without what varies: ids, numbers, times, addresses, quoted values"},
	[COLUMN_DUE] = {.name = "next_retry_at", .type = CW_TIME, .help = "When it is to be retried"},
	[COLUMN_DUE_IN] = {.name = "retry_in_seconds",
			   .type = CW_UNTIL,
			   .unit = "seconds",
			   .help = "Until next_retry_at, by Redis' clock"},
	[COLUMN_STATE] = {.name = "state",
			  .type = CW_CHOICE,
			  .flags = CW_COLUMN_WATCHED,
			  .choices = state_choices,
			  .help = "overdue: its time has passed and nobody retried it; failed: no retries are left"},
	[COLUMN_ACTIVE] = {.name = "call_active", .type = CW_BOOL, .help = "Is its call still in progress?"},
	[COLUMN_HEALED] =
		{.name = "already_healed",
		 .flags = CW_COLUMN_REPEATS,
		 .help = "What has put it right meanwhile: a later successful run of reconciliation, or the call's "
			 "row in the platform's database"},
	[COLUMN_FIRST_SEEN] = {.name = "first_seen",
			       .type = CW_TIME,
			       .help = "When it was first seen here; of a stream, when it was written"},
	[COLUMN_RAW] = {.name = "raw",
			.flags = CW_COLUMN_WIDE,
			.help = "The message as it is there, its first 4096 bytes"},
};

static const struct cw_column groups_columns[] = {
	[GROUPS_NAME] = {.name = "error_group", .flags = CW_COLUMN_KEY, .help = "The error without what varies"},
	[GROUPS_EXAMPLE] = {.name = "example", .help = "One of its errors as it is"},
	[GROUPS_COUNT] = {.name = "count", .type = CW_INT, .help = "Messages in the window, copies counted"},
	[GROUPS_SHARE] = {.name = "share", .type = CW_REAL, .unit = "ratio", .help = "Of all messages in the window"},
	[GROUPS_WAITING] = {.name = "waiting", .type = CW_INT, .help = "Of these, waiting"},
	[GROUPS_OVERDUE] = {.name = "overdue", .type = CW_INT, .help = "Of these, overdue"},
	[GROUPS_FAILED] = {.name = "failed", .type = CW_INT, .help = "Of these, failed"},
	[GROUPS_FIRST_SEEN] = {.name = "first_seen", .type = CW_TIME, .help = "When the first of them was seen"},
	[GROUPS_LAST_SEEN] = {.name = "last_seen", .type = CW_TIME, .help = "When the last of them came"},
	[GROUPS_PER_MINUTE] = {.name = "per_minute", .type = CW_INT, .help = "How many came within the last minute"},
};

static const struct cw_column trash_columns[] = {
	[TRASH_ID] = {.name = "id", .flags = CW_COLUMN_KEY, .help = "Names what was dropped, for action restore"},
	[TRASH_SID] = {.name = "call_sid", .help = "The call it is about"},
	[TRASH_ACTION] = {.name = "action", .flags = CW_COLUMN_REPEATS, .help = "The operation that failed"},
	[TRASH_AT] = {.name = "dropped_at",
		      .type = CW_TIME,
		      .help = "When it was dropped, or published, by Redis' clock"},
	[TRASH_BY] = {.name = "dropped_by", .flags = CW_COLUMN_REPEATS, .help = "Who did that"},
	[TRASH_RAW] = {.name = "raw",
		       .flags = CW_COLUMN_WIDE,
		       .help = "The message as it was there, its first 4096 bytes"},
};

static const struct cw_table_decl tables[] = {
	{.name = "dlq",
	 .help = "Dead letters: failed log operations",
	 .columns = CW_ARRAY(dlq_columns),
	 .sort = "state"},
	{.name = "dlq_groups",
	 .help = "Dead letters by kind of error",
	 .columns = CW_ARRAY(groups_columns),
	 .sort = "-count"},
	{.name = "dlq_trash",
	 .help = "Dead letters that were dropped or published",
	 .columns = CW_ARRAY(trash_columns),
	 .sort = "-dropped_at"},
};

static const struct cw_need needs[] = {
	{.what = "Redis user to read (version 6.2 or later)",
	 .line = "ACL SETUSER callwatch on >PASSWORD resetkeys ~call_logs_dlq_list resetchannels &call_logs_dlq "
		 "nocommands +ping +select +time +client|setname +type +llen +lrange +lindex +xlen +xrange +xrevrange "
		 "+zcard "
		 "+zrange +eval +subscribe"},
	{.what = "For actions, on top of that (version 7 or later)",
	 .line = "ACL SETUSER callwatch ~call_logs_dlq_list:callwatch_* +lpos +rpush +lpush +lrem +xadd +xdel +zadd "
		 "+zrem +zscore +zremrangebyscore +publish +hget +hset +expire +del"},
};

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "dlq",
	.summary = "Dead letters: failed log operations in a list, stream or sorted set in the platform's Redis",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.metrics = {dlq_metrics, METRICS, sizeof(dlq_metrics[0])},
	.needs = CW_ARRAY(needs),
	.check = check,
	.start = start,
	.read = samples_read,
	.stop = stop,
	.release = release,
	.checks = {dlq_checks, CHECKS, sizeof(dlq_checks[0])},
	.examine = examine,
	.actions = {dlq_actions, ACTIONS, sizeof(dlq_actions[0])},
	.act = actions_act,
	.cancel = actions_cancel,
};
