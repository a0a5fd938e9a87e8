/* SPDX-License-Identifier: MIT
 *
 * GET /api/v1/doctor[/{instance}]: instances are examined, and each rung is told as soon as it is known: as lines of
 * JSON (format=ndjson), or as one document, grouped by instance:
 *
 *     {"instances":[{"instance":"calls","plugin":"redis-calls","checks":[{"check":"tcp","help":"…","verdict":"ok",
 *     "text":"connected in 1ms"}]}]}
 *
 * An examination makes instances try their servers anew and names hosts and users, so it is for operators.
 */
#include "routes.h"

#include "render.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct doctor {
	struct pending pending; /* first */
	bool as_lines;
	char instance[256]; /* whose rungs are being told; "": none yet */
};

static void say(struct buffer *out, const char *before, const char *text)
{
	buffer_string(out, before);
	render_json_string(out, text);
}

static void say_head(struct buffer *out, const struct cw_examined *examined)
{
	say(out, "{\"instance\":", examined->instance);
	say(out, ",\"plugin\":", examined->plugin);
}

static void say_check(struct buffer *out, const struct cw_examined *examined)
{
	static const char *const verdicts[] = {"ok", "warning", "failed", "skipped"};
	say(out, "\"check\":", examined->check);
	say(out, ",\"help\":", examined->help);
	say(out, ",\"verdict\":", verdicts[examined->verdict]);
	say(out, ",\"text\":", examined->text);
	buffer_string(out, "}");
}

static void say_line(struct buffer *out, const struct cw_examined *examined)
{
	say_head(out, examined);
	buffer_string(out, ",");
	say_check(out, examined);
	buffer_string(out, "\n");
}

static void say_in_document(struct doctor *doctor, struct buffer *out, const struct cw_examined *examined)
{
	bool is_first = !*doctor->instance, is_same = strcmp(doctor->instance, examined->instance) == 0;
	if (!is_same) {
		buffer_string(out, is_first ? "" : "]},");
		say_head(out, examined);
		buffer_string(out, ",\"checks\":[");
		snprintf(doctor->instance, sizeof doctor->instance, "%s", examined->instance);
	}
	buffer_string(out, is_same ? ",{" : "{");
	say_check(out, examined);
}

static void on_result(void *arg, const struct cw_examined *examined)
{
	struct doctor *doctor = arg;
	struct exchange *exchange = doctor->pending.exchange;
	if (!exchange)
		return;
	if (doctor->as_lines)
		say_line(&exchange->body, examined);
	else
		say_in_document(doctor, &exchange->body, examined);
	exchange_wake(exchange);
}

static void on_done(void *arg)
{
	struct doctor *doctor = arg;
	struct exchange *exchange = doctor->pending.exchange;
	if (exchange && !doctor->as_lines)
		buffer_string(&exchange->body, *doctor->instance ? "]}]}\n" : "]}\n");
	pending_end(&doctor->pending);
}

static void cannot(struct exchange *exchange, int rc)
{
	if (rc == -ENOENT)
		exchange_problem(exchange, 404, "there is no instance `%s`", exchange->arguments[0]);
	else
		exchange_problem(exchange, 503, "no examination can be begun now");
}

void route_doctor(struct exchange *exchange)
{
	struct web *web = exchange->web;
	const char *format = params_get(&exchange->params, "format");
	bool as_lines = format && strcmp(format, "ndjson") == 0;
	if (format && !as_lines && strcmp(format, "json") != 0) {
		exchange_problem(exchange, 400, "format is json or ndjson");
		return;
	}
	struct doctor *doctor = (struct doctor *)pending_new(exchange, sizeof *doctor);
	if (!doctor)
		return;
	doctor->as_lines = as_lines;
	int rc = web->frontend->doctor(web->self, exchange->arguments[0], on_result, on_done, doctor);
	if (rc < 0) {
		pending_abort(&doctor->pending);
		cannot(exchange, rc);
	} else if (as_lines) {
		exchange->content_type = "application/x-ndjson";
	} else {
		buffer_string(&exchange->body, "{\"instances\":[");
	}
}
