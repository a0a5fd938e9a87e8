/* SPDX-License-Identifier: MIT
 *
 * One notice is one request. What the answer means is what receivers of Alertmanager's webhooks expect: 2xx is yes; 429
 * and 5xx are tried again, later if it says so; any other 4xx is final. If the connection broke after the request was
 * sent nobody knows, so it is tried again with the same id, which is what the receiver tells a duplicate by.
 */
#include "webhook.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_BODY_MAX = 64 * 1024, OWN_HEADERS = 6, HEADER_SIZE = 160 };

/* ---- what the answer means ---- */

static enum cw_delivery outcome_of(const struct http_answer *answer)
{
	int status = answer->status;
	if (answer->end == HTTP_REDIRECTED)
		return CW_TRY_AGAIN; /* the configuration may be mended within the day */
	if (answer->end != HTTP_ANSWERED)
		return answer->may_have_acted ? CW_DOUBTFUL : CW_TRY_AGAIN;
	if (status >= 200 && status < 300)
		return CW_DELIVERED;
	if (status == 502 || status == 504) /* somebody in between does not know what became of it */
		return CW_DOUBTFUL;
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return CW_TRY_AGAIN;
	return status >= 400 ? CW_REFUSED : CW_TRY_AGAIN;
}

static const char *advice_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ": it does not let us in, compare url, headers and hmac_secret_file";
	case 404:
	case 405:
	case 410:
		return ": there is no such hook, compare url";
	case 400:
	case 415:
	case 422:
		return ": it does not understand what it is sent, compare body";
	default:
		return "";
	}
}

static void explain(const struct http_answer *answer, char reason[WEBHOOK_REASON_MAX])
{
	char words[64];
	if (answer->end != HTTP_ANSWERED)
		snprintf(reason, WEBHOOK_REASON_MAX, "%s", answer->reason);
	else if (answer->retry_after && outcome_of(answer) != CW_REFUSED)
		snprintf(reason, WEBHOOK_REASON_MAX, "the receiver asks us to wait %s (%s)",
			 text_ns(answer->retry_after).text, http_status_text(answer->status, words));
	else
		snprintf(reason, WEBHOOK_REASON_MAX, "the receiver answers %s%s",
			 http_status_text(answer->status, words), advice_of(answer->status));
}

static void settle(struct webhook *webhook, const struct cw_delivered *delivered, const char *reason)
{
	const struct cw_host *host = webhook->host;
	bool is_fine = delivered->outcome == CW_DELIVERED;
	http_last_set(&webhook->last, host, is_fine, reason);
	if (is_fine) {
		host->state(webhook->self, CW_UP, /* next_try */ 0, "the receiver takes notices");
		host->notified(webhook->self, delivered, NULL);
		return;
	}
	host->count_error(webhook->self, 1);
	host->state(webhook->self, delivered->not_before ? CW_DEGRADED : CW_DOWN, delivered->not_before, "%s", reason);
	host->notified(webhook->self, delivered, "%s", reason);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct webhook *webhook = arg;
	char reason[WEBHOOK_REASON_MAX] = "";
	struct cw_delivered delivered = {.size = sizeof(delivered), .outcome = outcome_of(answer)};
	webhook->transfer = NULL;
	if (delivered.outcome != CW_DELIVERED)
		explain(answer, reason);
	if (delivered.outcome != CW_DELIVERED && delivered.outcome != CW_REFUSED) /* 0: it did not say */
		delivered.not_before = answer->retry_after ? webhook->host->now() + answer->retry_after : 0;
	settle(webhook, &delivered, reason);
}

/* ---- the request ---- */

struct heads {
	char text[OWN_HEADERS][HEADER_SIZE];
	const char *all[OWN_HEADERS + WEBHOOK_HEADERS_MAX];
};

static void make_heads(const struct webhook *webhook, const struct cw_notice *notice, const char *body, size_t length,
		       struct heads *heads)
{
	char signature[SIGN_TEXT_SIZE];
	int64_t seconds = webhook->host->wall() / CW_SECOND;
	size_t n = 0;
	snprintf(heads->text[n++], HEADER_SIZE, "Content-Type: application/json");
	snprintf(heads->text[n++], HEADER_SIZE, "User-Agent: callwatch/%.32s",
		 webhook->host->info(webhook->self)->version);
	snprintf(heads->text[n++], HEADER_SIZE, "Idempotency-Key: %.64s", notice->id);
	snprintf(heads->text[n++], HEADER_SIZE, "webhook-id: %.64s", notice->id);
	snprintf(heads->text[n++], HEADER_SIZE, "webhook-timestamp: %lld", (long long)seconds);
	if (webhook->key.length) {
		sign(&webhook->key, notice->id, seconds, body, length, signature);
		snprintf(heads->text[n++], HEADER_SIZE, "webhook-signature: %s", signature);
	}
	for (size_t i = 0; i < n; i++)
		heads->all[i] = heads->text[i];
	for (size_t i = 0; webhook->headers[i]; i++)
		heads->all[n++] = webhook->headers[i];
	heads->all[n] = NULL;
}

static int post(struct webhook *webhook, const struct cw_notice *notice, const char *body, size_t length)
{
	struct heads heads = {.all = {NULL}};
	make_heads(webhook, notice, body, length, &heads);
	const struct http_request request = {.method = "POST",
					     .url = webhook->url,
					     .headers = heads.all,
					     .body = body,
					     .length = length,
					     .timeout = webhook->request_timeout,
					     .body_limit = ANSWER_BODY_MAX,
					     .guarded = true};
	return http_send(webhook->http, &request, on_answer, webhook, &webhook->transfer);
}

int webhook_notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct webhook *webhook = state;
	const char *receiver = webhook->host->info(webhook->self)->name;
	struct buffer body;
	int status = -EINVAL;
	buffer_init(&body, /* head */ 0, BODY_MAX);
	if (n != 1)
		return status;
	if (webhook->body)
		body_template(&body, webhook->body, notices[0], receiver);
	else
		body_alertmanager(&body, notices[0], receiver);
	status = body.failed ? -ENOMEM : post(webhook, notices[0], buffer_text(&body), body.length);
	buffer_release(&body);
	if (status < 0)
		webhook->transfer = NULL;
	return status < 0 ? status : CW_LATER;
}

void webhook_abandon(struct webhook *webhook)
{
	const struct cw_delivered delivered = {.size = sizeof(delivered), .outcome = CW_DOUBTFUL};
	if (!webhook->transfer)
		return;
	http_cancel(webhook->transfer);
	webhook->transfer = NULL;
	webhook->host->notified(webhook->self, &delivered, "stopped before the answer came");
}
