/* SPDX-License-Identifier: MIT
 *
 *     GET    /api/v1/tasks/{id}  the task and what became of its rows: {"task":{…},"outcomes":[{…},…]}
 *     DELETE /api/v1/tasks/{id}  asks it to end early; 202: how it ends is in its row
 *
 * Both are rows of tables, `tasks` and `outcomes`, asked for one after the other.
 */
#include "routes.h"

#include "render.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FULL = 32 * 1024, TASK_ID_MAX = 64 };
static const int64_t step_budget = CW_MILLISECOND;

/* ---- GET ---- */

struct task_answer {
	struct exchange *exchange;
	struct cw_query *query; /* of the task, then of its outcomes */
	const struct cw_column *columns;
	bool has_task, in_outcomes, any;
};

static void drop(struct exchange *exchange)
{
	struct task_answer *answer = exchange->work;
	exchange->web->frontend->query_close(answer->query);
	free(answer);
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct task_answer *answer = arg;
	struct buffer *out = &answer->exchange->body;
	buffer_string(out, answer->any ? "," : "");
	render_json_row(out, answer->columns, cells, count, /* without_null: */ false);
	answer->any = true;
	return out->length >= CHUNK_FULL || out->failed;
}

static int open_query(struct task_answer *answer, const struct cw_query_spec *spec)
{
	const struct web *web = answer->exchange->web;
	char error[CW_QUERY_ERROR_MAX];
	uint32_t count;
	web->frontend->query_close(answer->query);
	answer->query = NULL;
	answer->any = false;
	int rc = web->frontend->query_open(web->self, spec, &answer->query, error);
	if (rc == 0)
		answer->columns = web->frontend->query_columns(answer->query, &count);
	return rc;
}

static int ask_for_outcomes(struct task_answer *answer)
{
	char of_task[TASK_ID_MAX + sizeof "task_id="];
	const char *where[] = {of_task};
	snprintf(of_task, sizeof of_task, "task_id=%s", answer->exchange->arguments[0]);
	struct cw_query_spec spec = {.table = "outcomes", .where = where, .where_count = 1, .sort = ""};
	answer->in_outcomes = true;
	buffer_string(&answer->exchange->body, ",\"outcomes\":[");
	return open_query(answer, &spec);
}

static void no_such_task(struct exchange *exchange)
{
	exchange_problem(exchange, 404, "there is no task `%.*s`", TASK_ID_MAX, exchange->arguments[0]);
}

static enum pull broke(struct exchange *exchange)
{
	if (exchange->head_sent)
		return PULL_ABORT;
	exchange_problem(exchange, 503, "the tasks cannot be read at this moment: again later");
	return PULL_DONE;
}

static enum pull pull_task(struct exchange *exchange)
{
	struct task_answer *answer = exchange->work;
	int rc = exchange->web->frontend->query_step(answer->query, step_budget, on_row, answer);
	if (rc != 0)
		return rc < 0 ? broke(exchange) : PULL_MORE;
	if (answer->in_outcomes) {
		buffer_string(&exchange->body, "]}\n");
		return PULL_DONE;
	}
	if (!answer->any) {
		no_such_task(exchange);
		return PULL_DONE;
	}
	return ask_for_outcomes(answer) < 0 ? broke(exchange) : PULL_MORE;
}

/* It becomes part of an expression. */
static bool is_id(const char *text)
{
	size_t length = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz");
	return length <= TASK_ID_MAX && text[length] == '\0';
}

void route_task(struct exchange *exchange)
{
	struct task_answer *answer = is_id(exchange->arguments[0]) ? calloc(1, sizeof *answer) : NULL;
	if (!answer) {
		no_such_task(exchange);
		return;
	}
	answer->exchange = exchange;
	exchange->work = answer;
	exchange->drop = drop;
	exchange->pull = pull_task;
	buffer_string(&exchange->body, "{\"task\":");
	struct cw_query_spec spec = {.table = "tasks", .key = exchange->arguments[0]};
	int rc = open_query(answer, &spec);
	if (rc == 0)
		return;
	exchange->pull = NULL;
	if (rc == -ENOENT) /* the table is there with the first task */
		no_such_task(exchange);
	else
		exchange_problem(exchange, 503, "the tasks cannot be read at this moment: again later");
}

/* ---- DELETE ---- */

static void on_cancelled(void *arg, const struct cw_action_answer *answer)
{
	struct pending *pending = arg;
	struct exchange *exchange = pending->exchange;
	if (exchange && answer->status < 0) {
		action_problem(exchange, answer);
	} else if (exchange) {
		exchange->status = 202;
		buffer_string(&exchange->body, "{\"task_id\":");
		render_json_string(&exchange->body, answer->task);
		buffer_string(&exchange->body, ",\"note\":");
		render_json_string(&exchange->body, answer->text);
		buffer_string(&exchange->body, "}\n");
	}
	pending_end(pending);
}

static void cancel(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct pending *pending = pending_new(exchange, sizeof *pending);
	if (!pending)
		return;
	exchange->hold = true;
	if (web->frontend->cancel(web->self, exchange->arguments[0], exchange->by, on_cancelled, pending) == 0)
		return;
	pending_abort(pending);
	exchange_problem(exchange, 503, "nothing can be asked for now");
}

void route_task_any(struct exchange *exchange)
{
	if (exchange->method == METHOD_DELETE)
		cancel(exchange);
	else
		route_task(exchange);
}
