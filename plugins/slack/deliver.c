/* SPDX-License-Identifier: MIT
 *
 * One delivery: what notify() was given, until host->notified() has told what became of it.
 *
 *   webhook            POST
 *   token, an incident's first notice    POST the root ─▶ REPLY with the details
 *   token, a later one                   UPDATE the root ─▶ REPLY with the change   (root gone: as the first)
 *   token, a digest                      POST ─▶ UPDATE the root of each of its incidents that has one
 *
 * A request goes out a second after the one before was answered, at the earliest, and a second after the start: another
 * life may have sent something just before. Changing a message twice is no harm;
 * a message, or a reply, that may have arrived may be there twice, so its next attempt says that. What was done is the
 * notice's `progress`, so a retry goes on where it was. A layout that is refused is said again as text alone, once.
 */
#include "message.h"
#include "slack.h"

#include "buffer.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum step { POST, UPDATE, REPLY };

enum { PLACE_SIZE = 2 * ANSWER_ID_SIZE + 256 };

static const int64_t give_up_after = 90 * CW_SECOND; /* before the core does, which cannot know what was done */

static const char posted[] = "posted"; /* a notice's progress: the root is there; + where */
static const char told[] = "told";     /* the digest is there */

struct deliver {
	struct slack *slack;
	uv_timer_t timer;
	bool is_stopping;

	/* the delivery under way; count 0: none is */
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	uint32_t count;
	int64_t began;
	enum step step;
	bool is_digest;                                   /* it began as one, or as the end of one */
	bool is_plain;                                    /* the layout was refused */
	bool is_posted;                                   /* what may be there only once is there */
	char channel[ANSWER_ID_SIZE], ts[ANSWER_ID_SIZE]; /* of the root; "": not known */
	uint32_t next;                                    /* digest: whose root comes next */
	char remark[ANSWER_REASON_MAX];
	struct http_transfer *transfer;
};

static const struct cw_notice *first(const struct deliver *deliver)
{
	return deliver->notices[0];
}

/* ---- receipts and progress ---- */

/* `CHANNEL TS CONFIGURED`: where the root is, and for which channel it was meant. */
static void write_place(const struct deliver *deliver, const char *before, char text[PLACE_SIZE])
{
	snprintf(text, PLACE_SIZE, "%s%s%s %s %.200s", before, *before ? " " : "", deliver->channel, deliver->ts,
		 deliver->slack->settings.channel);
}

/* False: there is none, or it is of another channel than ours. */
static bool read_place(struct deliver *deliver, const char *text)
{
	char copy[PLACE_SIZE], *rest = copy;
	if (!text || strlen(text) >= sizeof(copy) || !slack_has_token(deliver->slack))
		return false;
	snprintf(copy, sizeof(copy), "%s", text);
	const char *channel = strsep(&rest, " "), *ts = strsep(&rest, " ");
	if (!ts || !rest || !answer_is_channel(channel) || !answer_is_ts(ts) ||
	    strncmp(rest, deliver->slack->settings.channel, 200) != 0)
		return false;
	snprintf(deliver->channel, sizeof(deliver->channel), "%s", channel);
	snprintf(deliver->ts, sizeof(deliver->ts), "%s", ts);
	return true;
}

static bool is_told(const struct cw_notice *notice)
{
	return notice->progress && strcmp(notice->progress, told) == 0;
}

static bool read_posted(struct deliver *deliver, const struct cw_notice *notice)
{
	size_t n = sizeof(posted) - 1;
	return notice->progress && strncmp(notice->progress, posted, n) == 0 && notice->progress[n] == ' ' &&
	       read_place(deliver, notice->progress + n + 1);
}

/* ---- the end ---- */

static void say_state(struct slack *slack, enum cw_delivery outcome, const struct answer *answer, const char *reason)
{
	if (outcome == CW_DELIVERED && *reason)
		slack->host->state(slack->self, CW_DEGRADED, /* next_try */ 0, "%s", reason);
	else if (outcome == CW_DELIVERED)
		slack->host->state(slack->self, CW_UP, /* next_try */ 0, "Slack takes messages");
	else if (answer && answer->kind == ANSWER_WAIT)
		slack->host->state(slack->self, CW_DEGRADED, slack->host->now() + answer->wait, "%s", reason);
	else
		slack->host->state(slack->self, CW_DOWN, /* next_try */ 0, "%s", reason);
}

static void remember(struct slack *slack, enum cw_delivery outcome, const struct answer *answer, const char *reason)
{
	http_last_set(&slack->last, slack->host, outcome == CW_DELIVERED, reason);
	if (outcome == CW_DELIVERED)
		checks_delivered(slack->checks);
	else
		slack->host->count_error(slack->self, 1);
	say_state(slack, outcome, answer, reason);
}

/* `answer`: the last one, NULL: there was none. */
static void settle(struct deliver *deliver, enum cw_delivery outcome, const struct answer *answer, const char *reason)
{
	struct slack *slack = deliver->slack;
	char place[PLACE_SIZE];
	struct cw_delivered delivered = {.size = sizeof(delivered), .outcome = outcome};
	if (answer && answer->wait)
		delivered.not_before = slack->host->now() + answer->wait;
	if (answer)
		slack_asked_to_wait(slack, answer->wait);
	if (outcome == CW_DELIVERED && deliver->ts[0] && !deliver->is_digest) {
		write_place(deliver, "", place);
		delivered.receipt = place;
	} else if (outcome != CW_DELIVERED && deliver->is_digest && deliver->is_posted) {
		delivered.progress = told;
	} else if (outcome != CW_DELIVERED && deliver->is_posted && deliver->ts[0]) {
		write_place(deliver, posted, place);
		delivered.progress = place;
	}
	if (!deliver->is_stopping)
		remember(slack, outcome, answer, reason);
	deliver->count = 0;
	uv_timer_stop(&deliver->timer);
	if (*reason)
		slack->host->notified(slack->self, &delivered, "%s", reason);
	else
		slack->host->notified(slack->self, &delivered, NULL);
}

/* ---- what is sent ---- */

static bool is_doubtful(const struct deliver *deliver)
{
	bool any = false;
	for (uint32_t i = 0; i < deliver->count; i++)
		any |= deliver->notices[i]->is_doubtful && !is_told(deliver->notices[i]);
	return any;
}

/* Of a digest those that an earlier one has not told; as many as there are of them. */
static uint32_t untold(const struct deliver *deliver, const struct cw_notice *ret_notices[CW_NOTICE_DIGEST_MAX])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < deliver->count; i++)
		if (!is_told(deliver->notices[i]))
			ret_notices[n++] = deliver->notices[i];
	return n;
}

static void write_post(const struct deliver *deliver, struct buffer *out)
{
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	const struct message_place place = {.channel = deliver->slack->settings.channel};
	uint32_t n = untold(deliver, notices);
	bool doubtful = is_doubtful(deliver);
	if (deliver->is_plain)
		message_plain(out, &place, notices, n, doubtful);
	else if (n > 1)
		message_digest(out, &place, notices, n, doubtful);
	else
		message_notice(out, &place, notices[0], doubtful);
}

static void write_update(const struct deliver *deliver, struct buffer *out)
{
	const struct message_place place = {.channel = deliver->channel, .ts = deliver->ts};
	const struct cw_notice *notice = deliver->notices[deliver->is_digest ? deliver->next : 0];
	if (deliver->is_plain)
		message_plain(out, &place, &notice, 1, /* doubtful */ false);
	else
		message_notice(out, &place, notice, /* doubtful */ false);
}

static void write_reply(const struct deliver *deliver, struct buffer *out)
{
	const struct cw_notice *notice = first(deliver);
	const struct message_place place = {
		.channel = deliver->channel, .thread = deliver->ts, .is_broadcast = notice->kind == CW_NOTICE_REPEAT};
	if (deliver->is_plain)
		message_plain(out, &place, &notice, 1, notice->is_doubtful);
	else if (notice->receipt)
		message_change(out, &place, notice, notice->is_doubtful);
	else
		message_details(out, &place, notice, notice->is_doubtful);
}

static void on_answer(void *arg, const struct http_answer *answer);

static void send_step(struct deliver *deliver)
{
	struct slack *slack = deliver->slack;
	struct buffer body;
	int status = -ENOMEM;
	buffer_init(&body, /* head */ 0, MESSAGE_BYTES_MAX);
	if (deliver->step == POST)
		write_post(deliver, &body);
	else if (deliver->step == UPDATE)
		write_update(deliver, &body);
	else
		write_reply(deliver, &body);
	slack_pause(slack, slack->host->now());
	if (!body.failed)
		status = slack_post(slack,
				    deliver->step == UPDATE ? slack->settings.update_url : slack->settings.post_url,
				    buffer_text(&body), body.length, slack->settings.request_timeout, on_answer,
				    deliver, &deliver->transfer);
	buffer_release(&body);
	if (status < 0)
		settle(deliver, CW_TRY_AGAIN, /* answer */ NULL, "nothing can be sent: out of memory");
}

static void on_timer(uv_timer_t *timer);

/* Now, or when the second since the last request has passed. */
static void schedule(struct deliver *deliver)
{
	int64_t left = deliver->slack->not_before - deliver->slack->host->now();
	uint64_t wait_ms = left <= 0 ? 0 : (uint64_t)(left / CW_MILLISECOND) + 1;
	uv_update_time(deliver->timer.loop);
	uv_timer_start(&deliver->timer, on_timer, wait_ms, /* repeat */ 0);
}

/* The doctor's question was one too many for the webhook. Of the API each method has a limit of its own. */
static void put_off(struct deliver *deliver, int64_t wait)
{
	struct answer answer = {.kind = ANSWER_WAIT, .wait = wait};
	snprintf(answer.reason, sizeof(answer.reason), "Slack asks us to wait %s", text_ns(wait).text);
	settle(deliver, CW_TRY_AGAIN, &answer, answer.reason);
}

static void on_timer(uv_timer_t *timer)
{
	struct deliver *deliver = timer->data;
	struct slack *slack = deliver->slack;
	int64_t now = slack->host->now();
	if (slack->not_before > now)
		schedule(deliver);
	else if (!slack_has_token(slack) && slack->asked_until > now)
		put_off(deliver, slack->asked_until - now);
	else if (now - deliver->began > give_up_after)
		settle(deliver, CW_TRY_AGAIN, /* answer */ NULL,
		       "it took too long as a whole; what is left comes next");
	else
		send_step(deliver);
}

static void go_on(struct deliver *deliver, enum step step)
{
	deliver->step = step;
	deliver->is_plain = false;
	schedule(deliver);
}

/* ---- what comes next ---- */

/* The next incident of the digest that has a root to be changed; false: there is none. */
static bool find_root(struct deliver *deliver)
{
	for (; deliver->next < deliver->count; deliver->next++)
		if (message_is_last(deliver->notices, deliver->count, deliver->next) &&
		    read_place(deliver, deliver->notices[deliver->next]->receipt))
			return true;
	return false;
}

static void change_next_root(struct deliver *deliver)
{
	if (find_root(deliver))
		go_on(deliver, UPDATE);
	else
		settle(deliver, CW_DELIVERED, /* answer */ NULL, deliver->remark);
}

static bool wants_reply(const struct deliver *deliver)
{
	const struct cw_notice *notice = first(deliver);
	if (!slack_has_token(deliver->slack) || !deliver->ts[0] || notice->kind == CW_NOTICE_TEST)
		return false;
	return notice->receipt || notice->alerts.count > 1;
}

static void on_taken(struct deliver *deliver, const struct answer *answer)
{
	if (deliver->is_digest) {
		deliver->next += deliver->step == UPDATE;
		deliver->is_posted = true;
		change_next_root(deliver);
		return;
	}
	if (deliver->step == POST) {
		snprintf(deliver->channel, sizeof(deliver->channel), "%s", answer->channel);
		snprintf(deliver->ts, sizeof(deliver->ts), "%s", answer->ts);
	}
	deliver->is_posted |= deliver->step == POST;
	if (deliver->step != REPLY && wants_reply(deliver))
		go_on(deliver, REPLY);
	else
		settle(deliver, CW_DELIVERED, answer, deliver->remark);
}

/* What was to be told is there; only what goes with it is not. */
static void on_refused(struct deliver *deliver, const struct answer *answer)
{
	if (deliver->is_posted && deliver->step != POST)
		settle(deliver, CW_DELIVERED, answer, answer->reason);
	else
		settle(deliver, CW_REFUSED, answer, answer->reason);
}

/* The layout is refused: the text alone, once. */
static void on_content(struct deliver *deliver, const struct answer *answer)
{
	if (deliver->is_plain) {
		on_refused(deliver, answer);
		return;
	}
	deliver->is_plain = true;
	snprintf(deliver->remark, sizeof(deliver->remark), "%.280s: told as text alone", answer->reason);
	schedule(deliver);
}

/* The root cannot be changed, or takes no replies: there is a new one, unless the incident has been told already. */
static void on_gone(struct deliver *deliver, const struct answer *answer)
{
	if (deliver->is_digest && deliver->step == UPDATE) {
		deliver->next++;
		change_next_root(deliver);
	} else if (deliver->step == POST) {
		settle(deliver, CW_REFUSED, answer, answer->reason);
	} else if (deliver->step == REPLY && deliver->is_posted) {
		settle(deliver, CW_DELIVERED, answer, deliver->remark);
	} else {
		deliver->channel[0] = deliver->ts[0] = '\0';
		go_on(deliver, POST);
	}
}

static void on_answer(void *arg, const struct http_answer *http)
{
	struct deliver *deliver = arg;
	struct slack *slack = deliver->slack;
	struct answer answer;
	deliver->transfer = NULL;
	slack_pause(slack, slack->host->now());
	answer_read(http, slack_has_token(slack), slack->settings.secret, &answer);
	switch (answer.kind) {
	case ANSWER_TAKEN:
		on_taken(deliver, &answer);
		break;
	case ANSWER_CONTENT:
		on_content(deliver, &answer);
		break;
	case ANSWER_GONE:
		on_gone(deliver, &answer);
		break;
	case ANSWER_REFUSED:
		on_refused(deliver, &answer);
		break;
	case ANSWER_UNKNOWN:
		settle(deliver, deliver->step == UPDATE ? CW_TRY_AGAIN : CW_DOUBTFUL, &answer, answer.reason);
		break;
	default:
		settle(deliver, CW_TRY_AGAIN, &answer, answer.reason);
	}
}

/* ---- the beginning ---- */

static int begin_digest(struct deliver *deliver)
{
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	deliver->is_digest = true;
	deliver->is_posted = untold(deliver, notices) == 0;
	if (deliver->is_posted && !find_root(deliver)) {
		deliver->count = 0;
		return 0;
	}
	go_on(deliver, deliver->is_posted ? UPDATE : POST);
	return CW_LATER;
}

static int begin_notice(struct deliver *deliver)
{
	const struct cw_notice *notice = first(deliver);
	deliver->is_posted = read_posted(deliver, notice);
	if (deliver->is_posted)
		go_on(deliver, REPLY);
	else
		go_on(deliver, read_place(deliver, notice->receipt) ? UPDATE : POST);
	return CW_LATER;
}

/* Each notice says all of its incident: of many of one, the last is enough. */
static uint32_t leave_out_older(const struct cw_notice **notices, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		if (message_is_last(notices, n, i))
			return n;
	notices[0] = notices[n - 1];
	return 1;
}

int slack_notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct slack *slack = state;
	struct deliver *deliver = slack->deliver;
	if (n == 0 || n > CW_NOTICE_DIGEST_MAX)
		return -EINVAL;
	memcpy(deliver->notices, notices, n * sizeof(*notices));
	deliver->count = leave_out_older(deliver->notices, n);
	deliver->began = slack->host->now();
	deliver->is_digest = false;
	deliver->channel[0] = deliver->ts[0] = deliver->remark[0] = '\0';
	deliver->next = 0;
	return deliver->count > 1 || is_told(first(deliver)) ? begin_digest(deliver) : begin_notice(deliver);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *timer)
{
	(void)timer; /* its memory goes with the state */
}

int deliver_open(struct slack *slack)
{
	struct deliver *deliver = calloc(1, sizeof(*deliver));
	if (!deliver)
		return -ENOMEM;
	deliver->slack = slack;
	slack_pause(slack, slack->host->now());
	uv_timer_init(slack->host->loop(slack->self), &deliver->timer);
	deliver->timer.data = deliver;
	slack->deliver = deliver;
	return 0;
}

/* What was not sent yet has not arrived; of what was sent nobody knows. */
void deliver_stop(struct deliver *deliver)
{
	if (!deliver)
		return;
	deliver->is_stopping = true;
	if (deliver->count && deliver->transfer && deliver->step != UPDATE)
		settle(deliver, CW_DOUBTFUL, /* answer */ NULL, "stopped before the answer came");
	else if (deliver->count)
		settle(deliver, CW_TRY_AGAIN, /* answer */ NULL, "stopped before it was sent");
	uv_close((uv_handle_t *)&deliver->timer, on_closed);
}

void deliver_free(struct deliver *deliver)
{
	free(deliver);
}
