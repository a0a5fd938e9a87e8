/* SPDX-License-Identifier: MIT
 *
 * What instances can be asked to do, and asking them.
 *
 *     GET  /api/v1/actions                      which there are, with their arguments
 *     POST /api/v1/actions/{instance}/{action}  202 and the task, once it is in the journal; of a dry run 200, what
 *                                               would be done, and a plan that does it
 */
#include "routes.h"

#include "action_body.h"
#include "render.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void say(struct buffer *out, const char *before, const char *text)
{
	buffer_string(out, before);
	render_json_string(out, text);
}

/* ---- GET /api/v1/actions ---- */

static void say_choices(struct buffer *out, const char *const *choices)
{
	buffer_string(out, ",\"choices\":[");
	for (uint32_t i = 0; choices && choices[i]; i++)
		say(out, i ? "," : "", choices[i]);
	buffer_string(out, "]");
}

static void say_argument(struct buffer *out, const struct cw_option *option)
{
	static const char *const types[] = {"string", "bool", "int", "number", "duration", "size", "ratio", "choice"};
	say(out, "{\"name\":", option->key);
	say(out, ",\"type\":", types[option->type]); /* of one value: the descriptor was looked at */
	say(out, ",\"help\":", option->help);
	say(out, ",\"default\":", option->fallback);
	buffer_string(out, option->flags & CW_OPTION_REQUIRED ? ",\"required\":true" : ",\"required\":false");
	if (option->type == CW_OPTION_CHOICE)
		say_choices(out, option->choices);
	buffer_string(out, "}");
}

static void say_flag(struct buffer *out, const char *name, bool flag)
{
	buffer_print(out, ",\"%s\":%s", name, flag ? "true" : "false");
}

/* Under a lock of the core: only renders. */
static void say_action(void *arg, const struct cw_action_info *info)
{
	struct buffer *out = arg;
	const struct cw_action *action = info->action;
	say(out, buffer_text(out)[out->length - 1] == '}' ? ",{\"instance\":" : "{\"instance\":", info->instance);
	say(out, ",\"plugin\":", info->plugin);
	say(out, ",\"action\":", action->name);
	say(out, ",\"help\":", action->help);
	say(out, ",\"danger\":", action->danger);
	say(out, ",\"table\":", action->table);
	say_flag(out, "single", action->flags & CW_ACTION_SINGLE);
	say_flag(out, "can_cancel", info->can_cancel);
	say_flag(out, "allowed", info->allowed);
	say(out, ",\"allowed_by\":", action->allowed_by);
	buffer_string(out, ",\"arguments\":[");
	for (uint32_t i = 0; i < action->arguments.count; i++) {
		buffer_string(out, i ? "," : "");
		say_argument(out, cw_at(&action->arguments, i));
	}
	buffer_string(out, "]}");
}

void route_actions(struct exchange *exchange)
{
	struct web *web = exchange->web;
	buffer_string(&exchange->body, "{\"actions\":[");
	if (!exchange->body.failed)
		web->frontend->actions(web->self, say_action, &exchange->body);
	buffer_string(&exchange->body, "]}\n");
}

/* ---- what went wrong ---- */

int answer_status(int code)
{
	switch (code) {
	case -EINVAL:
		return 400;
	case -EACCES:
		return 403;
	case -ENOENT:
		return 404;
	case -EBUSY:
	case -ENOTSUP:
		return 409;
	case -EEXIST:
	case -EFBIG:
	case -ENOSPC:
		return 422;
	default:
		return 503;
	}
}

void action_problem(struct exchange *exchange, const struct cw_action_answer *answer)
{
	exchange_problem(exchange, answer_status(answer->status), "%s", answer->text);
	if (!answer->task)
		return;
	buffer_cut(&exchange->body, exchange->body.length - strlen("}\n"));
	say(&exchange->body, ",\"task\":", answer->task);
	buffer_string(&exchange->body, "}\n");
}

/* ---- POST /api/v1/actions/{instance}/{action} ---- */

struct one_row {
	struct buffer *out;
	const struct cw_column *columns;
	bool any;
};

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct one_row *row = arg;
	buffer_string(row->out, row->any ? "," : "");
	render_json_row(row->out, row->columns, cells, count, /* without_null: */ false);
	row->any = true;
	return 0;
}

/* As it is now, and as everybody may see it. It may be gone since it was chosen. */
static void say_row(struct exchange *exchange, const char *table, const char *key, bool *any)
{
	const struct web *web = exchange->web;
	char instance[sizeof "instance=" + 256], error[CW_QUERY_ERROR_MAX];
	const char *where[] = {instance};
	struct cw_query_spec spec = {.table = table, .key = key, .where = where, .where_count = 1};
	struct cw_query *query = NULL;
	snprintf(instance, sizeof instance, "instance=%s", exchange->arguments[0]);
	if (web->frontend->query_open(web->self, &spec, &query, error) < 0)
		return;
	uint32_t count;
	struct one_row row = {&exchange->body, web->frontend->query_columns(query, &count), *any};
	while (web->frontend->query_step(query, CW_MILLISECOND, on_row, &row) == CW_LATER)
		;
	*any = row.any;
	web->frontend->query_close(query);
}

static void say_plan(struct exchange *exchange, const struct cw_action_answer *answer)
{
	struct buffer *out = &exchange->body;
	bool any = false;
	say(out, "{\"plan\":", answer->plan);
	buffer_print(out, ",\"count\":%llu", (unsigned long long)answer->rows);
	say(out, ",\"scope\":", answer->text);
	say(out, ",\"danger\":", answer->danger);
	say(out, ",\"table\":", answer->table);
	buffer_string(out, ",\"rows\":[");
	for (uint32_t i = 0; i < answer->keys_count; i++)
		say_row(exchange, answer->table, answer->keys[i], &any);
	buffer_string(out, "]}\n");
}

static void say_task(struct exchange *exchange, const struct cw_action_answer *answer)
{
	struct buffer *out = &exchange->body;
	exchange->status = 202;
	snprintf(exchange->location, sizeof exchange->location, "/api/v1/tasks/%s", answer->task);
	say(out, "{\"task_id\":", answer->task);
	say(out, ",\"instance\":", exchange->arguments[0]);
	say(out, ",\"action\":", exchange->arguments[1]);
	say_flag(out, "again", answer->is_again);
	say_flag(out, "journaled", answer->on_disk);
	say(out, ",\"note\":", *answer->text ? answer->text : NULL);
	buffer_string(out, "}\n");
}

static void on_answer(void *arg, const struct cw_action_answer *answer)
{
	struct pending *pending = arg;
	struct exchange *exchange = pending->exchange;
	if (exchange && answer->status < 0)
		action_problem(exchange, answer);
	else if (exchange && answer->task)
		say_task(exchange, answer);
	else if (exchange)
		say_plan(exchange, answer);
	pending_end(pending);
}

static void ask(struct exchange *exchange, const struct cw_action_spec *spec)
{
	struct web *web = exchange->web;
	struct pending *pending = pending_new(exchange, sizeof *pending);
	if (!pending)
		return;
	exchange->hold = true;
	if (web->frontend->act(web->self, spec, on_answer, pending) == 0)
		return;
	pending_abort(pending);
	exchange_problem(exchange, 503, "nothing can be asked for now");
}

void route_act(struct exchange *exchange)
{
	struct action_body body;
	char error[BODY_ERROR_MAX];
	int rc = action_body_read(&body, buffer_text(&exchange->request_body), exchange->request_body.length, error);
	body.spec.instance = exchange->arguments[0];
	body.spec.action = exchange->arguments[1];
	body.spec.idempotency_key = exchange->idempotency_key;
	body.spec.by = exchange->by;
	if (rc < 0)
		exchange_problem(exchange, rc == -EINVAL ? 400 : 503, "%s", error);
	else
		ask(exchange, &body.spec);
	action_body_release(&body);
}
