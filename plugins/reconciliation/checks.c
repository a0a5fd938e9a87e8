/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`. In mode celery they are tried on a connection of the doctor's own (redis-probe.h);
 * in mode http the status is asked for once, afresh, and how far that came decides the rungs one after the other.
 * Nothing is changed by them, so whether a run may be asked for is not tried.
 */
#include "connect/redis-probe.h"
#include "recon.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum check { NAME, TCP, TLS, AUTH, RIGHTS, ANSWER, RUNS };
_Static_assert(RUNS + 1 == CHECKS && (int)AUTH == REDIS_CHECK_AUTH, "every check has its index");

enum { RIGHTS_COUNT = 5, LIST_MAX = 120 };

static const int64_t give_up_after = 4 * CW_SECOND; /* before the core does, with better words */
static const int64_t ends_soon = 14 * 86400 * CW_SECOND;

const struct cw_check recon_checks[CHECKS] = {
	[NAME] = {"name", "The host's name leads to an address"},
	[TCP] = {"tcp", "It can be connected to"},
	[TLS] = {"tls", "The server proves who it is, where the address asks for TLS"},
	[AUTH] = {"auth", "It lets us in: the API key, or the user and password"},
	[RIGHTS] = {"rights", "Mode celery: the user may run every command that looking is made of"},
	[ANSWER] = {"answer", "What it says can be read and believed"},
	[RUNS] = {"runs", "The last run is known, went well, and is not too long ago"},
};

struct checks {
	struct recon *recon;
	struct redis_probe probe;
	int waits; /* mode http: the check that waits for the answer under way; -1: none */

	/* mode http: the last answer */
	struct http_transfer *asking;
	bool is_known;
	enum http_step step;
	enum http_end end;
	int status;
	int64_t took, certificate_ends;
	char reason[REASON_MAX], unreadable[STATUS_WHY_MAX];

	/* mode celery: rights under way */
	uint32_t rights_wait;
	char missing[LIST_MAX];
};

static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct checks *checks, enum cw_verdict verdict, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	checks->recon->host->examined(checks->recon->self, verdict, "%s", text);
}

/* ---- mode http ---- */

static void say_certificate(struct checks *checks)
{
	int64_t left = checks->certificate_ends - checks->recon->host->wall();
	char end[TEXT_TIME_SIZE];
	text_time(end, checks->certificate_ends);
	if (strncmp(checks->recon->settings.url, "https:", 6) != 0)
		say(checks, CW_CHECK_OK, "not used: the address does not ask for it");
	else if (!checks->certificate_ends)
		say(checks, CW_CHECK_OK, "certificate and name are right");
	else if (left < ends_soon)
		say(checks, CW_CHECK_WARNING, "certificate and name are right, but it ends on %.10s, in %s: renew it",
		    end, text_ns(left).text);
	else
		say(checks, CW_CHECK_OK, "certificate and name are right, until %.10s", end);
}

static void say_let_in(struct checks *checks)
{
	char status[64];
	http_status_text(checks->status, status);
	if (checks->end != HTTP_ANSWERED || checks->status == 401 || checks->status == 403)
		say(checks, CW_CHECK_FAILED, "%s", checks->reason);
	else
		say(checks, CW_CHECK_OK, "%s in %s%s", status, text_ns(checks->took).text,
		    checks->recon->settings.api_key ? "" : ", without a key");
}

static void say_answer(struct checks *checks)
{
	const struct recon *recon = checks->recon;
	if (checks->status != 200)
		say(checks, CW_CHECK_FAILED, "%s", checks->reason);
	else if (checks->unreadable[0])
		say(checks, CW_CHECK_FAILED, "%s", checks->unreadable);
	else if (recon->sees && !recon->is_reported)
		say(checks, CW_CHECK_FAILED,
		    "it is placeholder data, the backend does not report its runs: mode celery reads the truth");
	else
		say(checks, CW_CHECK_OK, "the status can be read, answered in %s", text_ns(checks->took).text);
}

static void say_http(struct checks *checks, enum check check)
{
	bool reached = checks->step >= HTTP_STEP_CONNECTED;
	if (check == NAME && checks->end == HTTP_NO_NAME)
		say(checks, CW_CHECK_FAILED, "%s", checks->reason);
	else if (check == NAME)
		say(checks, CW_CHECK_OK, "the name is known, or an address");
	else if (check == TCP && !reached)
		say(checks, CW_CHECK_FAILED, "%s", checks->reason);
	else if (check == TCP)
		say(checks, CW_CHECK_OK, "connected");
	else if (check == TLS && checks->end == HTTP_TLS)
		say(checks, CW_CHECK_FAILED, "%s", checks->reason);
	else if (check == TLS)
		say_certificate(checks);
	else if (check == AUTH)
		say_let_in(checks);
	else
		say_answer(checks);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct checks *checks = arg;
	struct status status;
	int check = checks->waits;
	checks->asking = NULL;
	checks->waits = -1;
	checks->is_known = true;
	checks->step = answer->step;
	checks->end = answer->end;
	checks->status = answer->status;
	checks->took = answer->took;
	checks->certificate_ends = answer->certificate_ends;
	checks->unreadable[0] = '\0';
	backend_explain(checks->recon->backend, answer, checks->reason);
	if (answer->status == 200)
		status_read(answer->body, answer->length, checks->recon->settings.api_key, /* phones_full */ false,
			    &status, checks->unreadable);
	if (check >= 0)
		say_http(checks, (enum check)check);
}

static void examine_http(struct checks *checks, enum check check)
{
	checks->waits = -1;
	if (check == NAME && !checks->asking) {
		checks->is_known = false;
		if (backend_ask(checks->recon->backend, give_up_after, on_answer, checks, &checks->asking) < 0)
			checks->asking = NULL;
	}
	if (checks->asking)
		checks->waits = (int)check;
	else if (checks->is_known)
		say_http(checks, check);
	else
		say(checks, CW_CHECK_FAILED, "out of memory");
}

/* ---- mode celery ---- */

static void on_right(struct checks *checks, const redisReply *reply, const char *name)
{
	size_t used = strlen(checks->missing);
	if (checks->rights_wait == 0)
		return;
	if (!reply) {
		checks->rights_wait = 0;
		say(checks, CW_CHECK_FAILED, "the connection went down before the answer came: ask again");
		return;
	}
	if (redis_is_error(reply, "NOPERM"))
		snprintf(checks->missing + used, LIST_MAX - used, " +%s", name);
	if (--checks->rights_wait)
		return;
	if (checks->missing[0])
		say(checks, CW_CHECK_FAILED,
		    "refused: grant%s on the queue and celery-task-meta-*, or the ACL line that `callwatch plugins "
		    "reconciliation` prints",
		    checks->missing);
	else
		say(checks, CW_CHECK_OK,
		    "looking is allowed; that a task may be put into the queue (+lpush) is not tried");
}

static void on_llen(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "llen");
}

static void on_lpos(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "lpos");
}

static void on_strlen(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "strlen");
}

static void on_getrange(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "getrange");
}

static void on_scan(void *arg, const redisReply *reply)
{
	on_right(arg, reply, "scan");
}

static void examine_rights(struct checks *checks)
{
	static const char probe[] = "celery-task-meta-callwatch-probe";
	const char *queue = checks->recon->settings.queue;
	struct redis *redis = redis_probe_connection(&checks->probe);
	if (!redis)
		return;
	checks->missing[0] = '\0';
	checks->rights_wait = RIGHTS_COUNT;
	if (redis_words(redis, on_llen, checks, "LLEN", queue, NULL) < 0 ||
	    redis_words(redis, on_lpos, checks, "LPOS", queue, "callwatch-probe", NULL) < 0 ||
	    redis_words(redis, on_strlen, checks, "STRLEN", probe, NULL) < 0 ||
	    redis_words(redis, on_getrange, checks, "GETRANGE", probe, "0", "1", NULL) < 0 ||
	    redis_words(redis, on_scan, checks, "SCAN", "0", "MATCH", "celery-task-meta-*", "COUNT", "1", NULL) < 0) {
		checks->rights_wait = 0;
		say(checks, CW_CHECK_FAILED, "the connection went down before the answer came: ask again");
	}
}

static void examine_queue(struct checks *checks)
{
	int64_t waiting = celery_waiting(checks->recon->celery);
	const char *queue = checks->recon->settings.queue;
	if (waiting < 0)
		say(checks, CW_CHECK_FAILED, "the length of the queue `%.64s` is not known: is its key a list?", queue);
	else
		say(checks, CW_CHECK_OK, "%lld task%s in the queue `%.64s`", (long long)waiting,
		    waiting == 1 ? " waits" : "s wait", queue);
}

static void examine_celery(struct checks *checks, enum check check)
{
	if (check <= AUTH)
		redis_probe_examine(&checks->probe, check);
	else if (check == RIGHTS)
		examine_rights(checks);
	else
		examine_queue(checks);
}

/* ---- both ---- */

static void examine_runs(struct checks *checks)
{
	const struct recon *recon = checks->recon;
	const struct run *last = runs_last_over(&recon->runs);
	int64_t wall = recon->host->wall();
	bool is_known, is_late = recon_is_late(recon, &is_known);
	struct text_ns ago = text_ns(last ? wall - last->finished_at : wall - recon->runs.watching_since),
		       every = text_ns(recon->settings.expected_every);
	if (is_late && last)
		say(checks, CW_CHECK_FAILED,
		    "the last one ended %s ago, one is expected every %s: does the scheduler run?", ago.text,
		    every.text);
	else if (is_late)
		say(checks, CW_CHECK_FAILED,
		    "none was seen since %s, one is expected every %s: does the scheduler run?", ago.text, every.text);
	else if (!last)
		say(checks, CW_CHECK_WARNING, "none was seen yet, in %s", ago.text);
	else if (last->status == RUN_ERROR)
		say(checks, CW_CHECK_FAILED, "the last one failed %s ago: %.300s", ago.text,
		    last->error[0] ? last->error : "it did not say why");
	else
		say(checks, CW_CHECK_OK, "the last one succeeded %s ago", ago.text);
}

void recon_examine(void *state, uint32_t check)
{
	struct recon *recon = state;
	if (check == RUNS)
		examine_runs(recon->checks);
	else if (recon->settings.is_celery)
		examine_celery(recon->checks, (enum check)check);
	else if (check == RIGHTS)
		say(recon->checks, CW_CHECK_OK, "mode http: the API key alone decides");
	else
		examine_http(recon->checks, (enum check)check);
}

struct checks *checks_new(struct recon *recon)
{
	const struct settings *settings = &recon->settings;
	struct checks *checks = calloc(1, sizeof(*checks));
	if (!checks)
		return NULL;
	checks->recon = recon;
	checks->waits = -1;
	redis_probe_init(&checks->probe, recon->self, recon->host, &settings->address, settings->username,
			 settings->password);
	return checks;
}

void checks_tick(struct checks *checks)
{
	if (checks)
		redis_probe_tick(&checks->probe);
}

/* A question of mode http ends with the client that carries it. */
void checks_stop(struct checks *checks)
{
	if (!checks)
		return;
	checks->rights_wait = 0;
	checks->asking = NULL;
	redis_probe_close(&checks->probe);
}

void checks_free(struct checks *checks)
{
	free(checks);
}
