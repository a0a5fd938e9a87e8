/* SPDX-License-Identifier: MIT
 *
 * What people do about alerts.
 *
 *     GET    /api/v1/silences[/{id}]    rows of table `silences`, as GET /api/v1/tables/silences[/{id}]
 *     POST   /api/v1/silences           201: it mutes from now on; of a dry run 200, what it would mute
 *     DELETE /api/v1/silences/{id}      ends it now
 *     POST   /api/v1/acks               somebody looks at it: no repeats
 *     POST   /api/v1/rules/{name}/test  202: a test notice on the way that the rule's alerts would take
 *
 * Each is answered when the journal has spoken; `journaled` says whether it will be known after a crash.
 */
#include "routes.h"

#include "alert_body.h"
#include "render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A question that is answered later, and the status of its good answer. */
struct alert_pending {
	struct pending pending;
	int status;
	bool makes_silence;
};

static void say_answer(struct exchange *exchange, const struct cw_alerts_answer *answer)
{
	struct buffer *out = &exchange->body;
	buffer_string(out, "{\"id\":");
	render_json_string(out, answer->id);
	buffer_string(out, ",\"text\":");
	render_json_string(out, answer->text);
	buffer_print(out, ",\"journaled\":%s,\"count\":%u,\"alerts\":[", answer->on_disk ? "true" : "false",
		     answer->count);
	for (uint32_t i = 0; i < answer->ids_count; i++) {
		buffer_string(out, i ? "," : "");
		render_json_string(out, answer->ids[i]);
	}
	buffer_string(out, "]}\n");
}

static void on_answer(void *arg, const struct cw_alerts_answer *answer)
{
	struct alert_pending *asked = arg;
	struct exchange *exchange = asked->pending.exchange;
	if (exchange && answer->status < 0) {
		exchange_problem(exchange, answer_status(answer->status), "%s",
				 answer->text ? answer->text : "refused");
	} else if (exchange) {
		exchange->status = asked->status;
		if (asked->makes_silence && answer->id)
			snprintf(exchange->location, sizeof exchange->location, "/api/v1/silences/%s", answer->id);
		say_answer(exchange, answer);
	}
	pending_end(&asked->pending);
}

/* NULL: it is answered. */
static struct alert_pending *begin(struct exchange *exchange, int status)
{
	struct alert_pending *asked = (struct alert_pending *)pending_new(exchange, sizeof *asked);
	if (!asked)
		return NULL;
	asked->status = status;
	exchange->hold = true;
	return asked;
}

/* An agent older than this plugin has not got the function; one that is only starting does not answer. */
static void end_if_not_asked(struct exchange *exchange, struct alert_pending *asked, int rc)
{
	if (rc == 0)
		return;
	pending_abort(&asked->pending);
	exchange_problem(exchange, 503, "%s",
			 rc == -ENOTSUP ? "this agent has no alerts" : "nothing can be asked for now: again later");
}

/* ---- silences ---- */

static void silence(struct exchange *exchange, const struct cw_silence_spec *spec)
{
	struct web *web = exchange->web;
	struct alert_pending *asked = begin(exchange, spec->dry_run ? 200 : 201);
	if (!asked)
		return;
	asked->makes_silence = !spec->dry_run;
	end_if_not_asked(exchange, asked,
			 HAS(web->frontend, silence) ? web->frontend->silence(web->self, spec, on_answer, asked)
						     : -ENOTSUP);
}

static void make_silence(struct exchange *exchange)
{
	struct silence_body body;
	char error[BODY_ERROR_MAX];
	int rc = silence_body_read(&body, buffer_text(&exchange->request_body), exchange->request_body.length,
				   exchange->web->host->wall(), error);
	body.spec.by = exchange->by;
	if (rc < 0)
		exchange_problem(exchange, rc == -EINVAL ? 400 : 503, "%s", error);
	else
		silence(exchange, &body.spec);
	silence_body_release(&body);
}

static void expire(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct alert_pending *asked = begin(exchange, 200);
	if (!asked)
		return;
	end_if_not_asked(exchange, asked,
			 HAS(web->frontend, expire) ? web->frontend->expire(web->self, exchange->arguments[0],
									    exchange->by, on_answer, asked)
						    : -ENOTSUP);
}

/* The path's argument behind the table's name, as the routes of tables want it. False: it is answered. */
static bool name_table(struct exchange *exchange)
{
	exchange->arguments[1] = exchange->arguments[0];
	exchange->arguments[0] = strdup("silences");
	if (!exchange->arguments[0])
		exchange_problem(exchange, 500, "no memory");
	return exchange->arguments[0];
}

void route_silences(struct exchange *exchange)
{
	if (exchange->method == METHOD_POST)
		make_silence(exchange);
	else if (name_table(exchange))
		route_table(exchange);
}

void route_silence(struct exchange *exchange)
{
	if (exchange->method == METHOD_DELETE)
		expire(exchange);
	else if (name_table(exchange))
		route_row(exchange);
}

/* ---- acknowledgements ---- */

static void ack(struct exchange *exchange, const struct cw_ack_spec *spec)
{
	struct web *web = exchange->web;
	struct alert_pending *asked = begin(exchange, 200);
	if (!asked)
		return;
	end_if_not_asked(exchange, asked,
			 HAS(web->frontend, ack) ? web->frontend->ack(web->self, spec, on_answer, asked) : -ENOTSUP);
}

void route_ack(struct exchange *exchange)
{
	struct ack_body body;
	char error[BODY_ERROR_MAX];
	int rc = ack_body_read(&body, buffer_text(&exchange->request_body), exchange->request_body.length, error);
	body.spec.by = exchange->by;
	if (rc < 0)
		exchange_problem(exchange, rc == -EINVAL ? 400 : 503, "%s", error);
	else
		ack(exchange, &body.spec);
	ack_body_release(&body);
}

/* ---- trying a rule ---- */

void route_try_rule(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct alert_pending *asked = begin(exchange, 202);
	if (!asked)
		return;
	end_if_not_asked(exchange, asked,
			 HAS(web->frontend, try_rule) ? web->frontend->try_rule(web->self, exchange->arguments[0],
										exchange->by, on_answer, asked)
						      : -ENOTSUP);
}
