/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`, and the same question asked by ourselves.
 *
 * With a token auth.test is asked: it posts nothing. It is also asked at the start and then every ten minutes, so that
 * a token that was revoked is seen before it is needed at night. A webhook has nothing of the kind; an empty message is
 * refused by one that lives (400 no_text) and unknown to one that does not, so that is what the doctor sends, and
 * nobody else. It counts among the messages, a second apart, so it waits for its turn; auth.test does not, of which
 * Slack takes hundreds a minute. While Slack has asked us to wait, nothing is asked.
 */
#include "slack.h"

#include "backoff.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum check { AUTH = HTTP_RUNGS, SENT };
_Static_assert(SENT + 1 == SLACK_CHECKS, "every check has its index");

static const int64_t give_up_after = 4 * CW_SECOND; /* before the core does, with better words */
static const int64_t ask_every = 600 * CW_SECOND;

const struct cw_check slack_checks[SLACK_CHECKS] = {
	HTTP_RUNGS_CHECKS,
	[AUTH] = {"auth", "Slack knows the token (auth.test), or the webhook (it refuses an empty message)"},
	[SENT] = {"sent", "The last message was taken"},
};

struct checks {
	struct slack *slack;
	uv_timer_t timer; /* until we ask by ourselves; of a webhook until the doctor's question has its turn */
	struct backoff backoff;
	bool is_ours; /* the state that is shown came from here */

	bool is_due;      /* the doctor's question waits for its turn */
	int64_t deadline; /* instant: of its answer */
	struct http_transfer *asking;
	int waits;     /* the rung that waits for its answer; -1: none */
	bool is_known; /* of the last answer: */
	struct http_rungs rungs;
	int64_t took;
	struct answer answer;
};

/* ---- the question ---- */

static const char *auth_url(const struct slack *slack)
{
	return slack_has_token(slack) ? slack->settings.auth_url : slack->settings.post_url;
}

static void on_answer(void *arg, const struct http_answer *http);

static int ask(struct checks *checks, int64_t timeout)
{
	static const char empty[] = "{\"text\":\"\"}";
	struct slack *slack = checks->slack;
	bool token = slack_has_token(slack);
	int status = slack_post(slack, auth_url(slack), token ? "{}" : empty, token ? 2 : sizeof(empty) - 1, timeout,
				on_answer, checks, &checks->asking);
	if (status < 0)
		checks->asking = NULL;
	return status;
}

/* Of a webhook it is a good sign that it does not take the empty message. */
static bool is_let_in(const struct checks *checks)
{
	if (checks->rungs.end != HTTP_ANSWERED)
		return false;
	return checks->answer.kind == ANSWER_TAKEN ||
	       (!slack_has_token(checks->slack) && checks->answer.kind == ANSWER_CONTENT);
}

/* ---- by ourselves ---- */

static void on_timer(uv_timer_t *timer);
static void ask_in_turn(struct checks *checks);

static void ask_in(struct checks *checks, int64_t pause)
{
	uv_update_time(checks->timer.loop);
	uv_timer_start(&checks->timer, on_timer, (uint64_t)(pause / CW_MILLISECOND), /* repeat */ 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct checks *checks = timer->data;
	int64_t wait = checks->slack->asked_until - checks->slack->host->now();
	if (checks->is_due)
		ask_in_turn(checks);
	else if (wait > 0)
		ask_in(checks, wait + CW_SECOND);
	else if (!checks->asking && ask(checks, give_up_after) < 0)
		ask_in(checks, ask_every);
}

/* What a delivery has found out stands until the next one. */
static void say_state(struct checks *checks)
{
	struct slack *slack = checks->slack;
	bool good = is_let_in(checks);
	int64_t pause = ask_every;
	if (good)
		backoff_reset(&checks->backoff);
	else if (checks->answer.kind == ANSWER_WAIT)
		pause = checks->answer.wait;
	else
		pause = backoff_next(&checks->backoff);
	if (pause < checks->answer.wait)
		pause = checks->answer.wait;
	ask_in(checks, pause);
	if (checks->answer.kind == ANSWER_WAIT || (good && !checks->is_ours))
		return;
	checks->is_ours = true;
	if (good)
		slack->host->state(slack->self, CW_UP, /* next_try */ 0, "Slack knows the token");
	else
		slack->host->state(slack->self, CW_DOWN, slack->host->now() + pause, "%s", checks->answer.reason);
}

void checks_delivered(struct checks *checks)
{
	checks->is_ours = false;
}

/* ---- the doctor's words ---- */

static void say(const struct checks *checks, uint32_t check)
{
	const struct slack *slack = checks->slack;
	if (check < HTTP_RUNGS)
		http_rungs_say(&checks->rungs, slack->self, slack->host, check);
	else if (is_let_in(checks))
		slack->host->examined(slack->self, CW_CHECK_OK, "answered in %s", text_ns(checks->took).text);
	else
		slack->host->examined(slack->self, CW_CHECK_FAILED, "%s", checks->answer.reason);
}

static void on_answer(void *arg, const struct http_answer *http)
{
	struct checks *checks = arg;
	struct slack *slack = checks->slack;
	int check = checks->waits;
	checks->asking = NULL;
	checks->waits = -1;
	checks->is_known = true;
	checks->took = http->took;
	http_rungs_take(&checks->rungs, auth_url(slack), http);
	answer_read(http, slack_has_token(slack), slack->settings.secret, &checks->answer);
	slack_asked_to_wait(slack, checks->answer.wait);
	if (slack_has_token(slack))
		say_state(checks);
	else
		slack_pause(slack, slack->host->now());
	if (check >= 0)
		say(checks, (uint32_t)check);
}

/* Did Slack ask us to wait? Then that is said. */
static bool is_put_off(struct checks *checks, uint32_t check)
{
	struct slack *slack = checks->slack;
	int64_t wait = slack->asked_until - slack->host->now();
	if (wait <= 0)
		return false;
	slack->host->examined(slack->self, check == HTTP_RUNG_NAME ? CW_CHECK_WARNING : CW_CHECK_SKIPPED,
			      "not asked: Slack wants nothing for another %s", text_ns(wait).text);
	return true;
}

static void say_no_memory(const struct slack *slack)
{
	slack->host->examined(slack->self, CW_CHECK_FAILED, "out of memory");
}

static void ask_in_turn(struct checks *checks)
{
	int check = checks->waits;
	int64_t left = checks->deadline - checks->slack->host->now();
	checks->is_due = false;
	checks->waits = -1;
	if (is_put_off(checks, (uint32_t)check))
		return;
	if (ask(checks, left > CW_SECOND ? left : CW_SECOND) < 0)
		say_no_memory(checks->slack);
	else
		checks->waits = check;
}

/* Now, or when the second since the last message has passed; that after it comes a second later. */
static void begin(struct checks *checks)
{
	struct slack *slack = checks->slack;
	int64_t now = slack->host->now(), turn = slack->not_before > now ? slack->not_before : now;
	checks->is_known = false;
	checks->deadline = now + give_up_after;
	if (slack_has_token(slack)) {
		ask(checks, give_up_after);
		return;
	}
	slack_pause(slack, turn);
	checks->is_due = true;
	ask_in(checks, turn - now + CW_MILLISECOND);
}

void slack_examine(void *state, uint32_t check)
{
	struct slack *slack = state;
	struct checks *checks = slack->checks;
	bool is_asked = checks->asking || checks->is_due;
	if (check == SENT) {
		http_last_say(&slack->last, slack->self, slack->host);
		return;
	}
	if (!is_asked && (check == HTTP_RUNG_NAME || !checks->is_known) && is_put_off(checks, check)) {
		checks->is_known = false;
		return;
	}
	if (check == HTTP_RUNG_NAME && !is_asked)
		begin(checks);
	if (checks->asking || checks->is_due)
		checks->waits = (int)check;
	else if (checks->is_known)
		say(checks, check);
	else
		say_no_memory(slack);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *timer)
{
	(void)timer; /* its memory goes with the state */
}

int checks_open(struct slack *slack)
{
	struct checks *checks = calloc(1, sizeof(*checks));
	if (!checks)
		return -ENOMEM;
	checks->slack = slack;
	checks->waits = -1;
	checks->is_ours = true;
	checks->backoff.random = (uint64_t)slack->host->wall();
	uv_timer_init(slack->host->loop(slack->self), &checks->timer);
	checks->timer.data = checks;
	slack->checks = checks;
	if (slack_has_token(slack))
		ask_in(checks, 0);
	return 0;
}

/* A question ends with the client that carries it. */
void checks_stop(struct checks *checks)
{
	if (checks)
		uv_close((uv_handle_t *)&checks->timer, on_closed);
}

void checks_free(struct checks *checks)
{
	free(checks);
}
