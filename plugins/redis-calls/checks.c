/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`. The lower ones try afresh on a connection of the doctor's own (redis-probe.h): may
 * we come in, may we do what reading is made of, how long does an answer take. The upper ones say what the source knows
 * anyway: do messages come, and if not, is it the workers who are silent or we who are deaf; how old is the last sweep.
 */
#include "checks.h"

#include "connect/redis-probe.h"
#include "text.h"
#include "watch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PINGS = 5, PACE_SECONDS = 60, NOW_SECONDS = 10, WORDS_MAX = 8, LIST_MAX = 160 };

static const int64_t slow_ping = 100 * CW_MILLISECOND, far_clock = 2 * CW_SECOND, quiet_after = 30 * CW_SECOND;

/* A command that reading is made of, to be tried without effect. */
struct right {
	const char *name; /* as in the ACL line */
	bool is_needed;   /* else reading goes on without it, but learns of some things later */
	/* `%` stands for the prefix of calls, `$` for that of heartbeats, `#` for the heartbeat channel */
	const char *words[WORDS_MAX];
};

static const struct right rights[] = {
	{"scan", true, {"SCAN", "0", "MATCH", "%*", "COUNT", "1"}},
	{"hmget", true, {"HMGET", "%callwatch-probe", "business_id"}},
	{"getrange", true, {"GETRANGE", "$callwatch-probe", "0", "1"}},
	{"exists", true, {"EXISTS", "%callwatch-probe"}},
	{"hstrlen", true, {"HSTRLEN", "%callwatch-probe", "business_id"}},
	{"time", true, {"TIME"}},
	{"dbsize", false, {"DBSIZE"}},
	{"info", false, {"INFO", "server"}},
	{"config|get", false, {"CONFIG", "GET", "notify-keyspace-events"}},
	{"pubsub|numsub", false, {"PUBSUB", "NUMSUB", "#"}},
};
enum { RIGHTS = sizeof(rights) / sizeof(rights[0]) };

/* How many messages there had been, second by second. */
struct pace {
	uint64_t counts[PACE_SECONDS + 1];
	uint32_t next, known; /* where the next one goes; how many are there */
};

struct asked_right {
	struct checks *checks;
	const struct right *right;
};

struct checks {
	struct watch *watch;
	struct redis_probe probe;
	struct pace pace;

	/* rights under way */
	struct asked_right asked_rights[RIGHTS];
	uint32_t rights_wait;                      /* answers to come; 0: nobody waits for them */
	char missing[LIST_MAX], lacking[LIST_MAX]; /* what is refused: needed, useful */
	bool key_refused;

	/* round trips under way */
	int64_t asked, pings[PINGS];
	uint32_t pings_count;
};

static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	checks->watch->host->examined(checks->watch->self, verdict, "%s", text);
}

static void say_went_down(struct checks *checks)
{
	say(checks, CW_CHECK_FAILED, "the connection went down before the answer came: ask again");
}

/* One command whose answer is the rung's. */
static void try_one(struct checks *checks, redis_reply_fn done, const char *a, const char *b, const char *c)
{
	struct redis *redis = redis_probe_connection(&checks->probe);
	if (!redis)
		return;
	checks->asked = checks->watch->host->now();
	if (redis_words(redis, done, checks, a, b, c, NULL) < 0)
		say_went_down(checks);
}

/* ---- rights ---- */

static void judge_rights(struct checks *checks)
{
	const struct settings *settings = &checks->watch->settings;
	if (checks->missing[0])
		say(checks, CW_CHECK_FAILED,
		    "what reading needs is refused: grant%s, or the ACL line that `callwatch plugins redis-calls` "
		    "prints",
		    checks->missing);
	else if (checks->lacking[0])
		say(checks, CW_CHECK_WARNING,
		    "calls can be read, but without%s flushes, failovers or keyspace events are noticed later or not "
		    "at all",
		    checks->lacking);
	else if (checks->key_refused)
		say(checks, CW_CHECK_WARNING,
		    "every command is allowed, but not on every key: grant ~%s* and ~%s*, unless calls are named more "
		    "narrowly",
		    settings->ctx_prefix, settings->beat_prefix);
	else
		say(checks, CW_CHECK_OK, "all %d commands that reading is made of are allowed", RIGHTS);
}

static void note_refusal(struct checks *checks, const struct right *right, const redisReply *reply)
{
	bool denied = redis_is_error(reply, "NOPERM");
	char *list = right->is_needed ? checks->missing : checks->lacking;
	size_t used = strlen(list);
	if (denied && strstr(reply->str, " key"))
		checks->key_refused = true;
	else if (denied || redis_is_error(reply, "ERR unknown"))
		snprintf(list + used, LIST_MAX - used, " +%s", right->name);
}

static void on_right(void *arg, const redisReply *reply)
{
	struct asked_right *asked = arg;
	struct checks *checks = asked->checks;
	if (checks->rights_wait == 0)
		return;
	if (!reply) {
		checks->rights_wait = 0;
		say_went_down(checks);
		return;
	}
	note_refusal(checks, asked->right, reply);
	if (--checks->rights_wait == 0)
		judge_rights(checks);
}

static const char *spell(const struct settings *settings, const char *word, char *buffer, size_t size)
{
	const char *stands = *word == '%'   ? settings->ctx_prefix
			     : *word == '$' ? settings->beat_prefix
			     : *word == '#' ? settings->channels[CHANNEL_HEARTBEAT]
					    : NULL;
	if (!stands)
		return word;
	snprintf(buffer, size, "%s%s", stands, word + 1);
	return buffer;
}

static int try_right(struct checks *checks, struct redis *redis, uint32_t i)
{
	enum { WORD_MAX = 320 }; /* a prefix has at most 256 */
	char buffers[WORDS_MAX][WORD_MAX];
	const char *argv[WORDS_MAX];
	uint32_t argc = 0;
	for (; argc < WORDS_MAX && rights[i].words[argc]; argc++)
		argv[argc] = spell(&checks->watch->settings, rights[i].words[argc], buffers[argc], WORD_MAX);
	checks->asked_rights[i] = (struct asked_right){checks, &rights[i]};
	return redis_command(redis, on_right, &checks->asked_rights[i], argc, argv, /* lengths */ NULL);
}

static void try_rights(struct checks *checks)
{
	struct redis *redis = redis_probe_connection(&checks->probe);
	if (!redis)
		return;
	checks->missing[0] = checks->lacking[0] = '\0';
	checks->key_refused = false;
	checks->rights_wait = RIGHTS;
	for (uint32_t i = 0; i < RIGHTS; i++)
		if (try_right(checks, redis, i) < 0) {
			checks->rights_wait = 0;
			say_went_down(checks);
			return;
		}
}

/* ---- the server ---- */

static int by_length(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
	return (left > right) - (left < right);
}

static void judge_pings(struct checks *checks)
{
	qsort(checks->pings, PINGS, sizeof(checks->pings[0]), by_length);
	int64_t median = checks->pings[PINGS / 2], slowest = checks->pings[PINGS - 1];
	if (median > slow_ping)
		say(checks, CW_CHECK_WARNING,
		    "slow: an answer takes %s (median of %d), %s at most: look at `redis-cli --latency` and SLOWLOG, "
		    "and "
		    "at the way there",
		    text_ns(median).text, PINGS, text_ns(slowest).text);
	else
		say(checks, CW_CHECK_OK, "an answer takes %s (median of %d), %s at most", text_ns(median).text, PINGS,
		    text_ns(slowest).text);
}

static void on_ping(void *arg, const redisReply *reply)
{
	struct checks *checks = arg;
	if (!reply) {
		say_went_down(checks);
		return;
	}
	checks->pings[checks->pings_count++] = checks->watch->host->now() - checks->asked;
	if (checks->pings_count == PINGS)
		judge_pings(checks);
	else
		try_one(checks, on_ping, "PING", NULL, NULL);
}

static void try_round_trip(struct checks *checks)
{
	checks->pings_count = 0;
	try_one(checks, on_ping, "PING", NULL, NULL);
}

static void on_time(void *arg, const redisReply *reply)
{
	struct checks *checks = arg;
	const struct cw_host *host = checks->watch->host;
	if (!reply) {
		say_went_down(checks);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING) {
		say(checks, CW_CHECK_FAILED, "TIME was answered with something else: is this a Redis?");
		return;
	}
	double theirs = strtod(reply->element[0]->str, NULL) + strtod(reply->element[1]->str, NULL) / 1e6;
	int64_t half_way = (host->now() - checks->asked) / 2;
	double ours = (double)(host->wall() - half_way) / (double)CW_SECOND;
	double skew = theirs - ours;
	if (fabs(skew) * (double)CW_SECOND > (double)far_clock)
		say(checks, CW_CHECK_WARNING,
		    "Redis' clock is %.1f s %s ours: calls are judged right all the same, but times that are shown are "
		    "off; look at NTP on both",
		    fabs(skew), skew > 0 ? "ahead of" : "behind");
	else
		say(checks, CW_CHECK_OK, "Redis' clock and ours are %.0f ms apart", fabs(skew) * 1000);
}

static void try_clock(struct checks *checks)
{
	try_one(checks, on_time, "TIME", NULL, NULL);
}

/* ---- the channels ---- */

static void on_subscribers(void *arg, const redisReply *reply)
{
	struct checks *checks = arg;
	const struct watch *watch = checks->watch;
	char others[128] = "how many others is not known without +pubsub|numsub";
	const char *const *names = watch->settings.channels;
	if (!reply) {
		say_went_down(checks);
		return;
	}
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_INTEGER)
		snprintf(others, sizeof(others), "%lld subscriber%s on %s with us", reply->element[1]->integer,
			 reply->element[1]->integer == 1 ? "" : "s", names[CHANNEL_HEARTBEAT]);
	say(checks, CW_CHECK_OK, "subscribed to %.64s, %.64s and %.64s for %s, last heard of %s ago; %.100s",
	    names[CHANNEL_HEARTBEAT], names[CHANNEL_LOGS], names[CHANNEL_DLQ],
	    text_ns(watch->host->now() - watch->channels_since).text,
	    text_ns(watch->host->now() - watch->channels_heard).text, others);
}

static void try_subscribers(struct checks *checks)
{
	const struct watch *watch = checks->watch;
	if (watch->channels_live)
		try_one(checks, on_subscribers, "PUBSUB", "NUMSUB", watch->settings.channels[CHANNEL_HEARTBEAT]);
	else
		say(checks, CW_CHECK_FAILED, "not subscribed, calls are followed by sweeps only: %s",
		    watch->channels_reason[0] ? watch->channels_reason : "Redis has not answered SUBSCRIBE yet");
}

/* Messages a second in the seconds from `from` ago to `to` ago; NaN: not known. */
static double rate(const struct pace *pace, uint32_t from, uint32_t to)
{
	enum { ROOM = PACE_SECONDS + 1 };
	if (from >= pace->known)
		from = pace->known ? pace->known - 1 : 0;
	if (from <= to)
		return NAN;
	uint64_t then = pace->counts[(pace->next + ROOM - 1 - from) % ROOM];
	uint64_t later = pace->counts[(pace->next + ROOM - 1 - to) % ROOM];
	return (double)(later - then) / (double)(from - to);
}

static void say_no_beats(struct checks *checks, const char *since)
{
	const struct watch *watch = checks->watch;
	uint64_t calls = watch->host->row_count(watch->calls_part);
	if (events_beats_only_in_keys(watch))
		say(checks, CW_CHECK_FAILED,
		    "no message on %.64s %s, though heartbeats move in the keys: the workers live, but publish "
		    "elsewhere "
		    "(another channel, another Redis), see `heartbeat_channel`",
		    watch->settings.channels[CHANNEL_HEARTBEAT], since);
	else if (calls == 0)
		say(checks, CW_CHECK_OK, "no message %s, and no call is in progress that could beat", since);
	else if (watch->host->now() - watch->last_beat > quiet_after)
		say(checks, CW_CHECK_FAILED,
		    "no heartbeat %s, neither on %.64s nor in the keys, though %llu calls are known: we hear Redis, so "
		    "it is the workers that are silent: are they running?",
		    since, watch->settings.channels[CHANNEL_HEARTBEAT], (unsigned long long)calls);
	else
		say(checks, CW_CHECK_OK, "no message %s, which may be chance with %llu calls", since,
		    (unsigned long long)calls);
}

static void say_beats(struct checks *checks)
{
	const struct watch *watch = checks->watch;
	double now = rate(&checks->pace, NOW_SECONDS, 0), before = rate(&checks->pace, PACE_SECONDS, NOW_SECONDS);
	char since[64], earlier[64] = "";
	int64_t last = watch->channel[CHANNEL_HEARTBEAT].last;
	if (last)
		snprintf(since, sizeof(since), "for %s", text_ns(watch->host->wall() - last).text);
	else
		snprintf(since, sizeof(since), "yet");
	if (isfinite(before))
		snprintf(earlier, sizeof(earlier), ", %.1f a second in the minute before", before);
	if (!isfinite(now) || now <= 0)
		say_no_beats(checks, since);
	else if (isfinite(before) && before > 1 && now < before / 4)
		say(checks, CW_CHECK_WARNING, "only %.1f a second%s: have workers stopped, or calls ended?", now,
		    earlier);
	else
		say(checks, CW_CHECK_OK, "%.1f a second%s, the last one %s ago", now, earlier,
		    text_ns(watch->host->wall() - last).text);
}

/* ---- the sweep ---- */

static void say_sweep(struct checks *checks)
{
	const struct watch *watch = checks->watch;
	const struct sweep *sweep = &watch->sweep;
	int64_t now = watch->host->now(), age = now - sweep->last_began, max_age = watch->settings.max_age;
	if (!sweep->ever && sweep->running)
		say(checks, CW_CHECK_WARNING, "the first one is under way for %s, %llu calls found so far",
		    text_ns(now - sweep->began).text, (unsigned long long)sweep->found);
	else if (!sweep->ever)
		say(checks, CW_CHECK_FAILED, "none has been completed yet");
	else if (age > 2 * max_age)
		say(checks, CW_CHECK_FAILED,
		    "the last complete one began %s ago, though every call is to be confirmed within %s: raise "
		    "`sweep.budget` or `sweep.max_age`",
		    text_ns(age).text, text_ns(max_age).text);
	else
		say(checks, CW_CHECK_OK,
		    "the last complete one began %s ago and took %s; of %llu calls %.1f %% are confirmed within %s",
		    text_ns(age).text, text_ns(sweep->last_duration).text,
		    (unsigned long long)watch->host->row_count(watch->calls_part), 100 * samples_coverage(watch),
		    text_ns(max_age).text);
}

/* ---- keyspace events ---- */

static void judge_keyspace(struct checks *checks, const char *classes)
{
	const struct watch *watch = checks->watch;
	struct text_ns late = text_ns(watch->settings.max_age / 2);
	if (watch->keyspace_live)
		say(checks, CW_CHECK_OK, "on: births and ends of calls are seen at once");
	else if (!classes)
		say(checks, CW_CHECK_WARNING,
		    "not heard, and without +config|get it cannot be asked why: births and ends are seen by heartbeats "
		    "and "
		    "sweeps, up to %s late",
		    late.text);
	else if (events_classes_suffice(classes))
		say(checks, CW_CHECK_WARNING,
		    "Redis has them on, but they are not heard: grant +psubscribe and &__keyspace@%u__:%.64s*; until "
		    "then "
		    "births and ends are seen up to %s late",
		    watch->settings.address.database, watch->settings.ctx_prefix, late.text);
	else
		say(checks, CW_CHECK_OK,
		    "Redis has them off (notify-keyspace-events is \"%.16s\"): births and ends are seen by heartbeats "
		    "and "
		    "sweeps, up to %s late; with KA or Kghx there they would be seen at once",
		    classes, late.text);
}

static void on_classes(void *arg, const redisReply *reply)
{
	struct checks *checks = arg;
	bool told = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
		    reply->element[1]->type == REDIS_REPLY_STRING;
	if (reply)
		judge_keyspace(checks, told ? reply->element[1]->str : NULL);
	else
		say_went_down(checks);
}

static void try_keyspace(struct checks *checks)
{
	try_one(checks, on_classes, "CONFIG", "GET", "notify-keyspace-events");
}

/* ---- what is read ---- */

static void say_data(struct checks *checks)
{
	const struct watch *watch = checks->watch;
	char kinds[LIST_MAX] = "";
	uint64_t total = 0;
	for (int i = 0; i < MALFORMED_KINDS; i++) {
		size_t used = strlen(kinds);
		total += watch->malformed[i];
		if (watch->malformed[i])
			snprintf(kinds + used, LIST_MAX - used, "%s%llu %s", used ? ", " : "",
				 (unsigned long long)watch->malformed[i], malformed_names[i]);
	}
	if (total)
		say(checks, CW_CHECK_WARNING,
		    "malformed since the start: %s; the plugin's README says what is shown instead", kinds);
	else
		say(checks, CW_CHECK_OK, "nothing malformed was seen since the start");
}

/* ---- the face ---- */

const struct cw_check watch_checks[CHECKS] = {
	REDIS_CHECKS,
	{"rights", "The user may run every command that reading is made of"},
	{"round-trip", "Redis answers quickly"},
	{"clock", "Redis' clock and ours agree"},
	{"subscribers", "The platform's channels are subscribed to, and Redis says so"},
	{"beats", "Heartbeats come in as calls go on"},
	{"sweep", "Every call has been read lately"},
	{"keyspace", "Births and ends of calls are told by keyspace events, where Redis has them on"},
	{"data", "What is read is as it should be"},
};

static void (*const climbs[CHECKS - REDIS_CHECKS_COUNT])(struct checks *checks) = {
	try_rights, try_round_trip, try_clock, try_subscribers, say_beats, say_sweep, try_keyspace, say_data,
};

void checks_examine(struct checks *checks, uint32_t check)
{
	if (check < REDIS_CHECKS_COUNT)
		redis_probe_examine(&checks->probe, check);
	else
		climbs[check - REDIS_CHECKS_COUNT](checks);
}

static void note_pace(struct pace *pace, uint64_t messages)
{
	pace->counts[pace->next] = messages;
	pace->next = (pace->next + 1) % (PACE_SECONDS + 1);
	pace->known += pace->known <= PACE_SECONDS;
}

void checks_tick(struct checks *checks)
{
	if (!checks)
		return;
	note_pace(&checks->pace, checks->watch->channel[CHANNEL_HEARTBEAT].messages);
	redis_probe_tick(&checks->probe);
}

struct checks *checks_new(struct watch *watch)
{
	const struct settings *settings = &watch->settings;
	struct checks *checks = calloc(1, sizeof(*checks));
	if (!checks)
		return NULL;
	checks->watch = watch;
	note_pace(&checks->pace, /* messages */ 0);
	redis_probe_init(&checks->probe, watch->self, watch->host, &settings->address, settings->username,
			 settings->password);
	return checks;
}

void checks_stop(struct checks *checks)
{
	if (!checks)
		return;
	checks->rights_wait = 0;
	redis_probe_close(&checks->probe);
}

void checks_free(struct checks *checks)
{
	free(checks);
}

uint64_t checks_commands(const struct checks *checks)
{
	return checks ? checks->probe.commands + redis_commands_sent(checks->probe.redis) : 0;
}
