/* SPDX-License-Identifier: MIT
 *
 * A round: every member of the cluster is given every alert, for members do not hand alerts to each other (what they
 * share is what has been notified and silenced, which is how one notification comes out). Members go beside each other,
 * the bodies of one after each other; whoever fails is left for the next round. One that refuses something in a body
 * has taken the rest of it, and is given the others. One that says Retry-After is left out of rounds until then.
 */
#include "alertmanager.h"

#include <stdio.h>
#include <string.h>

static const int64_t post_timeout = 5 * CW_SECOND;
enum { ANSWER_BYTES_MAX = 65536 };

static void go_on(struct member *member);

static void member_done(struct member *member, bool is_well)
{
	struct alertmanager *of = member->of;
	uint32_t well = 0;
	member->is_done = true;
	member->is_well = is_well;
	if (--of->round.waits)
		return;
	for (uint32_t i = 0; i < of->members_count; i++)
		well += of->members[i].is_well;
	of->round.is_under_way = false;
	bodies_release(&of->round.bodies);
	of->round.done(of, well);
}

/* About what is in the body, not about who asks, what for, or how often. */
static bool is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 401 && status != 403 && status != 404 && status != 429;
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct member *member = arg;
	char status[64];
	bool is_refused = answer->end == HTTP_ANSWERED && is_refusal(answer->status);
	member->transfer = NULL;
	if (answer->end == HTTP_ANSWERED && answer->status >= 200 && answer->status < 300) {
		member->at++;
		go_on(member);
		return;
	}
	if (answer->retry_after)
		member->not_before = member->of->host->now() + answer->retry_after;
	if (answer->end != HTTP_ANSWERED)
		snprintf(member->reason, sizeof(member->reason), "%s", answer->reason);
	else
		snprintf(member->reason, sizeof(member->reason), "%s answers %s%s", member->name,
			 http_status_text(answer->status, status),
			 answer->status == 404                            ? ": is it an Alertmanager of 0.16 or later?"
			 : answer->status == 401 || answer->status == 403 ? ": set username and password_file"
									  : "");
	if (is_refused) {
		member->has_refused = true;
		member->at++;
		go_on(member);
		return;
	}
	member_done(member, /* is_well */ false);
}

static void go_on(struct member *member)
{
	struct alertmanager *of = member->of;
	if (member->at == of->round.bodies.count) {
		if (!member->has_refused)
			member->reason[0] = '\0';
		member_done(member, !member->has_refused);
		return;
	}
	const struct buffer *body = &of->round.bodies.body[member->at];
	const char *const headers[] = {"Content-Type: application/json", of->authorization, NULL};
	struct http_request request = {.method = "POST",
				       .url = member->url,
				       .headers = headers,
				       .body = buffer_text(body),
				       .length = body->length,
				       .timeout = post_timeout,
				       .body_limit = ANSWER_BYTES_MAX};
	if (body->failed || http_send(of->http, &request, on_answer, member, &member->transfer) < 0) {
		snprintf(member->reason, sizeof(member->reason), "out of memory");
		member_done(member, /* is_well */ false);
	}
}

void round_begin(struct alertmanager *of, round_done done)
{
	of->round.is_under_way = true;
	of->round.done = done;
	of->round.waits = of->members_count + 1; /* one more, so that it does not end while it begins */
	for (uint32_t i = 0; i < of->members_count; i++) {
		of->members[i].at = 0;
		of->members[i].is_done = of->members[i].is_well = of->members[i].has_refused = false;
		if (of->host->now() < of->members[i].not_before)
			member_done(&of->members[i], /* is_well */ false); /* its reason is that of before */
		else
			go_on(&of->members[i]);
	}
	struct member nobody = {.of = of};
	member_done(&nobody, /* is_well */ false);
}
