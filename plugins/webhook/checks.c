/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor`. The receiver is asked which methods it knows (OPTIONS), which changes nothing
 * anywhere; whatever it answers, it was reached.
 */
#include "webhook.h"

#include <errno.h>
#include <stdlib.h>

enum check { SENT = HTTP_RUNGS };
_Static_assert(SENT + 1 == WEBHOOK_CHECKS, "every check has its index");

enum { ANSWER_BODY_MAX = 64 * 1024 };

static const int64_t give_up_after = 4 * CW_SECOND; /* before the core does, with better words */

const struct cw_check webhook_checks[WEBHOOK_CHECKS] = {
	HTTP_RUNGS_CHECKS,
	[SENT] = {"sent", "The last notice was taken"},
};

struct checks {
	struct webhook *webhook;
	struct http_transfer *asking;
	int waits; /* the rung that waits for the answer; -1: none */
	bool is_known;
	struct http_rungs rungs;
};

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct checks *checks = arg;
	struct webhook *webhook = checks->webhook;
	int check = checks->waits;
	checks->asking = NULL;
	checks->waits = -1;
	checks->is_known = true;
	http_rungs_take(&checks->rungs, webhook->url, answer);
	if (check >= 0)
		http_rungs_say(&checks->rungs, webhook->self, webhook->host, (uint32_t)check);
}

static void ask(struct checks *checks)
{
	const struct http_request request = {.method = "OPTIONS",
					     .url = checks->webhook->url,
					     .timeout = give_up_after,
					     .body_limit = ANSWER_BODY_MAX,
					     .guarded = true};
	checks->is_known = false;
	if (http_send(checks->webhook->http, &request, on_answer, checks, &checks->asking) < 0)
		checks->asking = NULL;
}

void webhook_examine(void *state, uint32_t check)
{
	struct webhook *webhook = state;
	struct checks *checks = webhook->checks;
	if (check == SENT) {
		http_last_say(&webhook->last, webhook->self, webhook->host);
		return;
	}
	if (check == HTTP_RUNG_NAME && !checks->asking)
		ask(checks);
	if (checks->asking)
		checks->waits = (int)check;
	else if (checks->is_known)
		http_rungs_say(&checks->rungs, webhook->self, webhook->host, check);
	else
		webhook->host->examined(webhook->self, CW_CHECK_FAILED, "out of memory");
}

int checks_open(struct webhook *webhook)
{
	webhook->checks = calloc(1, sizeof(*webhook->checks));
	if (!webhook->checks)
		return -ENOMEM;
	webhook->checks->webhook = webhook;
	webhook->checks->waits = -1;
	return 0;
}

void checks_free(struct checks *checks)
{
	free(checks);
}
