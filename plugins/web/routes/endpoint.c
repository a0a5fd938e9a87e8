/* SPDX-License-Identifier: MIT
 *
 * Paths of somebody else's API that a plugin maps to one of its actions or rows (callwatch/plugin.h: cw_endpoint), so
 * that what was made for that API may ask here. Who asks proves it by X-API-Key; this page knows no plugin and no path.
 *
 * A row is answered with the values of its columns as they are; what is not known, or where there is no row, is null.
 * An action is begun like any other; the answer waits until the instance has said something of it (the column `text`)
 * or it has ended, by way of a live view of that one task.
 */
#include "routes.h"

#include "render.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPRESSION_MAX = 128, MEMBERS_MAX = 32 };

/* ---- members ---- */

static void say_members(struct buffer *out, const struct cw_array *members, const struct cw_column *columns,
			const struct cw_cell *cells, uint32_t count)
{
	for (uint32_t i = 0; i < members->count; i++) {
		const struct cw_member *member = cw_at(members, i);
		uint32_t at = 0;
		while (at < count && strcmp(columns[at].name, member->column) != 0)
			at++;
		buffer_string(out, i ? "," : "{");
		render_json_string(out, member->name);
		buffer_string(out, ":");
		if (cells && at < count)
			render_json_cell(out, &columns[at], &cells[at]);
		else
			buffer_string(out, "null");
	}
	buffer_string(out, "}\n");
}

/* The columns that are named, each once. */
static uint32_t name_columns(const struct cw_array *members, const char *names[MEMBERS_MAX])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < members->count; i++) {
		const char *column = ((const struct cw_member *)cw_at(members, i))->column;
		uint32_t at = 0;
		while (at < count && strcmp(names[at], column) != 0)
			at++;
		if (at == count && count < MEMBERS_MAX)
			names[count++] = column;
	}
	return count;
}

/* ---- a row ---- */

struct row_answer {
	struct exchange *exchange;
	struct cw_query *query;
	bool any;
};

static void drop_row(struct exchange *exchange)
{
	struct row_answer *answer = exchange->work;
	exchange->web->frontend->query_close(answer->query);
	free(answer);
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct row_answer *answer = arg;
	struct exchange *exchange = answer->exchange;
	answer->any = true;
	say_members(&exchange->body, &exchange->endpoint.endpoint->members,
		    exchange->web->frontend->query_columns(answer->query, &count), cells, count);
	return 0;
}

static enum pull pull_row(struct exchange *exchange)
{
	struct row_answer *answer = exchange->work;
	int rc = exchange->web->frontend->query_step(answer->query, CW_MILLISECOND, on_row, answer);
	if (rc == CW_LATER)
		return PULL_MORE;
	if (rc < 0)
		exchange_problem(exchange, 503, "the row cannot be read at this moment: again later");
	else if (!answer->any)
		say_members(&exchange->body, &exchange->endpoint.endpoint->members, NULL, NULL, 0);
	return PULL_DONE;
}

static void answer_row(struct exchange *exchange)
{
	const struct web *web = exchange->web;
	const struct cw_endpoint *endpoint = exchange->endpoint.endpoint;
	const char *columns[MEMBERS_MAX];
	char instance[EXPRESSION_MAX], error[CW_QUERY_ERROR_MAX] = "no memory";
	const char *where[] = {instance, endpoint->where};
	struct cw_query_spec spec = {
		.table = endpoint->table,
		.where = where,
		.where_count = endpoint->where ? 2 : 1,
		.sort = endpoint->sort ? endpoint->sort : "",
		.limit = 1,
		.columns = columns,
		.columns_count = name_columns(&endpoint->members, columns),
	};
	snprintf(instance, sizeof instance, "instance=%s", exchange->endpoint.instance);
	struct row_answer *answer = calloc(1, sizeof *answer);
	int rc = answer ? web->frontend->query_open(web->self, &spec, &answer->query, error) : -ENOMEM;
	if (rc < 0) {
		free(answer);
		exchange_problem(exchange, 503, "%s", error);
		return;
	}
	answer->exchange = exchange;
	exchange->hold = true;
	exchange->work = answer;
	exchange->drop = drop_row;
	exchange->pull = pull_row;
}

/* ---- an action ---- */

/* A task that is waited for. */
struct follow {
	struct exchange *exchange;
	struct cw_view *view;
	const struct cw_column *columns;
	struct buffer said; /* the answer, as the task is now */
	int64_t due;        /* instant */
	bool has_text, has_ended, is_good;
	char task[64], reason[512];
};

static void drop_follow(struct exchange *exchange)
{
	struct follow *follow = exchange->work;
	exchange->web->frontend->view_close(follow->view);
	buffer_release(&follow->said);
	free(follow);
}

static void look_at_state(struct follow *follow, const struct cw_column *column, const struct cw_cell *cell)
{
	const char *state = cell->type == CW_CELL_INTEGER ? render_choice(column, cell->integer) : NULL;
	follow->has_ended = state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
	follow->is_good = state && strcmp(state, "success") == 0;
}

static void look_at_cell(struct follow *follow, const struct cw_column *column, const struct cw_cell *cell)
{
	if (strcmp(column->name, "text") == 0)
		follow->has_text = cell->type == CW_CELL_TEXT;
	else if (strcmp(column->name, "state") == 0)
		look_at_state(follow, column, cell);
	else if (strcmp(column->name, "reason") == 0 && cell->type == CW_CELL_TEXT)
		snprintf(follow->reason, sizeof follow->reason, "%.*s", (int)cell->length, cell->text);
}

static int on_change(void *arg, enum cw_view_op op, uint64_t sequence, const struct cw_cell *cells, uint32_t count)
{
	struct follow *follow = arg;
	(void)sequence;
	if (op != CW_VIEW_PUT)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		look_at_cell(follow, &follow->columns[i], &cells[i]);
	buffer_cut(&follow->said, 0);
	say_members(&follow->said, &follow->exchange->endpoint.endpoint->members, follow->columns, cells, count);
	return 0;
}

static void say_what_came(struct exchange *exchange, const struct follow *follow)
{
	if (follow->has_text || follow->is_good)
		buffer_bytes(&exchange->body, buffer_text(&follow->said), follow->said.length);
	else if (follow->has_ended)
		exchange_problem(exchange, 502, "%s",
				 *follow->reason ? follow->reason : "it ended, and nobody said why");
	else
		exchange_problem(exchange, 504, "the instance has not said anything of it yet; it goes on as task %s",
				 follow->task);
}

static enum pull pull_follow(struct exchange *exchange)
{
	struct follow *follow = exchange->work;
	const struct web *web = exchange->web;
	int rc;
	while ((rc = web->frontend->view_next(follow->view, on_change, follow)) == CW_LATER)
		;
	bool is_over = follow->has_text || follow->has_ended || rc < 0 || web->host->now() >= follow->due;
	if (!is_over)
		return PULL_WAIT;
	say_what_came(exchange, follow);
	return PULL_DONE;
}

static bool tick_follow(struct exchange *exchange)
{
	(void)exchange;
	return true;
}

static void on_ready(void *arg)
{
	exchange_wake(((struct follow *)arg)->exchange);
}

static int open_view(struct follow *follow)
{
	const struct web *web = follow->exchange->web;
	char task[EXPRESSION_MAX], instance[EXPRESSION_MAX], error[CW_QUERY_ERROR_MAX];
	const char *where[] = {task, instance};
	uint32_t count;
	struct cw_query_spec spec = {.table = "tasks", .where = where, .where_count = 2, .sort = "", .limit = 1};
	snprintf(task, sizeof task, "task_id=%s", follow->task);
	snprintf(instance, sizeof instance, "instance=%s", follow->exchange->endpoint.instance);
	int rc = web->frontend->view_open(web->self, &spec, on_ready, follow, &follow->view, error);
	if (rc == 0)
		follow->columns = web->frontend->view_columns(follow->view, &count);
	return rc;
}

static void begin_to_follow(struct exchange *exchange, const char *task)
{
	const struct web *web = exchange->web;
	struct follow *follow = calloc(1, sizeof *follow);
	if (!follow) {
		exchange_problem(exchange, 503, "no memory; it goes on as task %s", task);
		return;
	}
	follow->exchange = exchange;
	follow->due = web->host->now() + exchange->endpoint.endpoint->wait_ms * CW_MILLISECOND;
	snprintf(follow->task, sizeof follow->task, "%s", task);
	buffer_init(&follow->said, /* head: */ 0, /* ceiling: */ 1024 * 1024);
	exchange->work = follow;
	exchange->drop = drop_follow;
	exchange->tick = tick_follow;
	exchange->pull = pull_follow;
	if (open_view(follow) < 0) {
		exchange->pull = NULL;
		exchange_problem(exchange, 503, "it cannot be followed; it goes on as task %s", task);
	}
}

static void on_answer(void *arg, const struct cw_action_answer *answer)
{
	struct pending *pending = arg;
	struct exchange *exchange = pending->exchange;
	if (!exchange) {
		pending_end(pending);
		return;
	}
	pending_abort(pending); /* what follows is another kind of waiting */
	if (answer->status < 0)
		action_problem(exchange, answer);
	else
		begin_to_follow(exchange, answer->task);
	exchange_wake(exchange);
}

static void answer_action(struct exchange *exchange)
{
	struct web *web = exchange->web;
	char by[ASKER_TEXT_MAX + 32];
	snprintf(by, sizeof by, "%s, by the key of an endpoint", exchange->by);
	struct cw_action_spec spec = {
		.instance = exchange->endpoint.instance,
		.action = exchange->endpoint.endpoint->action,
		.idempotency_key = exchange->idempotency_key,
		.by = by,
	};
	struct pending *pending = pending_new(exchange, sizeof *pending);
	if (!pending)
		return;
	exchange->hold = true;
	if (web->frontend->act(web->self, &spec, on_answer, pending) == 0)
		return;
	pending_abort(pending);
	exchange_problem(exchange, 503, "nothing can be asked for now");
}

/* ---- both ---- */

void route_endpoint(struct exchange *exchange)
{
	if (exchange->endpoint.endpoint->kind == CW_ENDPOINT_ACTION)
		answer_action(exchange);
	else
		answer_row(exchange);
}
