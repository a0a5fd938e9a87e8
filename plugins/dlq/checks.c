/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`: may we come in, may we do what reading is made of (tried afresh, on a connection of
 * the doctor's own), what is the queue, is the window fresh, does the channel speak, is what is read readable.
 */
#include "dlq.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 8, LIST_MAX = 160 };

/* A command that reading is made of, to be tried without effect. `%` stands for the queue's key. */
struct right {
	const char *name;     /* as in the ACL line */
	bool is_needed;       /* else reading goes on without it, but shows less */
	enum queue_kind kind; /* only of such a queue; UNKNOWN: always */
	const char *words[WORDS_MAX];
};

static const struct right rights[] = {
	{"type", true, QUEUE_UNKNOWN, {"TYPE", "%"}},
	{"time", true, QUEUE_UNKNOWN, {"TIME"}},
	{"llen", true, QUEUE_LIST, {"LLEN", "%"}},
	{"lrange", true, QUEUE_LIST, {"LRANGE", "%", "0", "0"}},
	{"lindex", false, QUEUE_LIST, {"LINDEX", "%", "0"}},
	{"xlen", true, QUEUE_STREAM, {"XLEN", "%"}},
	{"xrange", true, QUEUE_STREAM, {"XRANGE", "%", "-", "+", "COUNT", "1"}},
	{"xrevrange", true, QUEUE_STREAM, {"XREVRANGE", "%", "+", "-", "COUNT", "1"}},
	{"zcard", true, QUEUE_ZSET, {"ZCARD", "%"}},
	{"zrange", true, QUEUE_ZSET, {"ZRANGE", "%", "0", "0"}},
	{"eval", false, QUEUE_UNKNOWN, {"EVAL", "return 1", "1", "%"}},
};
enum { RIGHTS = sizeof(rights) / sizeof(rights[0]) };

struct asked_right {
	struct checks *checks;
	const struct right *right;
};

struct checks {
	struct dlq *dlq;
	struct redis_probe probe;
	struct asked_right asked[RIGHTS];
	uint32_t waits;                            /* answers to come; 0: nobody waits for them */
	char missing[LIST_MAX], lacking[LIST_MAX]; /* what is refused: needed, useful */
};

static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	checks->dlq->host->examined(checks->dlq->self, verdict, "%s", text);
}

static void say_went_down(struct checks *checks)
{
	say(checks, CW_CHECK_FAILED, "the connection went down before the answer came: ask again");
}

/* ---- rights ---- */

static void judge_rights(struct checks *checks)
{
	if (checks->missing[0])
		say(checks, CW_CHECK_FAILED,
		    "what reading needs is refused: grant%s on ~%.100s, or the ACL line that `callwatch plugins dlq` "
		    "prints",
		    checks->missing, checks->dlq->settings.key);
	else if (checks->lacking[0])
		say(checks, CW_CHECK_WARNING,
		    "the queue can be read, but without%s messages over 8 KB cannot be looked into", checks->lacking);
	else
		say(checks, CW_CHECK_OK, "all commands that reading is made of are allowed");
}

static void on_right(void *arg, const redisReply *reply)
{
	struct asked_right *asked = arg;
	struct checks *checks = asked->checks;
	if (checks->waits == 0)
		return;
	if (!reply) {
		checks->waits = 0;
		say_went_down(checks);
		return;
	}
	char *list = asked->right->is_needed ? checks->missing : checks->lacking;
	size_t used = strlen(list);
	if (redis_is_error(reply, "NOPERM") || redis_is_error(reply, "ERR unknown"))
		snprintf(list + used, LIST_MAX - used, " +%s", asked->right->name);
	if (--checks->waits == 0)
		judge_rights(checks);
}

static bool applies(const struct checks *checks, const struct right *right)
{
	enum queue_kind kind = checks->dlq->kind;
	bool is_known = kind >= QUEUE_LIST && kind <= QUEUE_ZSET;
	return right->kind == QUEUE_UNKNOWN || !is_known || right->kind == kind;
}

static void try_rights(struct checks *checks)
{
	struct redis *redis = redis_probe_connection(&checks->probe);
	if (!redis)
		return;
	checks->missing[0] = checks->lacking[0] = '\0';
	checks->waits = 0;
	for (uint32_t i = 0; i < RIGHTS; i++) {
		const char *argv[WORDS_MAX];
		uint32_t argc = 0;
		for (; argc < WORDS_MAX && rights[i].words[argc]; argc++)
			argv[argc] = *rights[i].words[argc] == '%' ? checks->dlq->settings.key : rights[i].words[argc];
		checks->asked[i] = (struct asked_right){checks, &rights[i]};
		if (applies(checks, &rights[i]) &&
		    redis_command(redis, on_right, &checks->asked[i], argc, argv, /* lengths */ NULL) == 0)
			checks->waits++;
	}
	if (checks->waits == 0)
		say_went_down(checks);
}

/* ---- what is known ---- */

static void say_queue(struct checks *checks)
{
	const struct dlq *dlq = checks->dlq;
	const char *key = dlq->settings.key;
	if (dlq->kind == QUEUE_OTHER || dlq->kind == QUEUE_UNKNOWN)
		say(checks, CW_CHECK_FAILED, "%s",
		    dlq->refused[0] ? dlq->refused : "the queue has not been looked at yet");
	else if (dlq->kind == QUEUE_EMPTY)
		say(checks, CW_CHECK_OK,
		    "there is no key %.100s: the queue is empty, or the platform calls it something else (`key`)", key);
	else
		say(checks, CW_CHECK_OK, "%.100s is a %s of %llu messages", key, queue_kind_name(dlq->kind),
		    (unsigned long long)dlq->look.depth);
}

static void say_window(struct checks *checks)
{
	const struct dlq *dlq = checks->dlq;
	int64_t age = dlq->host->now() - dlq->pass.last_began;
	if (!dlq->pass.ever)
		say(checks, CW_CHECK_WARNING, "it is being read for the first time");
	else if (age > 3 * dlq->settings.max_age)
		say(checks, CW_CHECK_WARNING,
		    "it was last read through %s ago, though that should be every %s: raise `budget` or lower "
		    "`window`; messages that left may still be shown",
		    text_ns(age).text, text_ns(dlq->settings.max_age).text);
	else if (!dlq_holds_all(dlq))
		say(checks, CW_CHECK_OK, "it holds %llu of %llu messages, last read through %s ago",
		    (unsigned long long)dlq->letters.known, (unsigned long long)dlq->look.depth, text_ns(age).text);
	else
		say(checks, CW_CHECK_OK, "it holds the whole queue, last read through %s ago", text_ns(age).text);
}

static void say_channel(struct checks *checks)
{
	const struct dlq *dlq = checks->dlq;
	if (dlq->channel_live)
		say(checks, CW_CHECK_OK, "subscribed to %.100s", dlq->settings.channel);
	else
		say(checks, CW_CHECK_WARNING, "not subscribed, so arrivals are seen by the next reading: %s",
		    dlq->channel_reason[0] ? dlq->channel_reason : "Redis has not answered SUBSCRIBE yet");
}

static void say_data(struct checks *checks)
{
	uint64_t unreadable = 0;
	for (uint32_t row = 0; row < checks->dlq->letters.used; row++) {
		const struct letter *letter = &checks->dlq->letters.items[row];
		unreadable += letter->is_known && letter->state == UNREADABLE ? letter->copies : 0;
	}
	if (unreadable)
		say(checks, CW_CHECK_WARNING,
		    "%llu messages cannot be read: `callwatch get dlq --where state=unreadable` shows why",
		    (unsigned long long)unreadable);
	else
		say(checks, CW_CHECK_OK, "every message in the window can be read");
}

/* ---- the face ---- */

const struct cw_check dlq_checks[CHECKS] = {
	REDIS_CHECKS,
	{"rights", "The user may run every command that reading is made of"},
	{"queue", "The key is there, and a list, a stream or a sorted set"},
	{"window", "The window has been read through lately"},
	{"channel", "The channel that tells of arrivals is subscribed to"},
	{"data", "What is in the queue can be read"},
};

static void (*const climbs[CHECKS - REDIS_CHECKS_COUNT])(struct checks *checks) = {
	try_rights, say_queue, say_window, say_channel, say_data,
};

void checks_examine(struct checks *checks, uint32_t check)
{
	if (check < REDIS_CHECKS_COUNT)
		redis_probe_examine(&checks->probe, check);
	else
		climbs[check - REDIS_CHECKS_COUNT](checks);
}

void checks_tick(struct checks *checks)
{
	if (checks)
		redis_probe_tick(&checks->probe);
}

struct checks *checks_new(struct dlq *dlq)
{
	const struct settings *settings = &dlq->settings;
	struct checks *checks = calloc(1, sizeof(*checks));
	if (!checks)
		return NULL;
	checks->dlq = dlq;
	redis_probe_init(&checks->probe, dlq->self, dlq->host, &settings->address, settings->username,
			 settings->password);
	return checks;
}

void checks_stop(struct checks *checks)
{
	if (!checks)
		return;
	checks->waits = 0;
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
