/* SPDX-License-Identifier: MIT
 *
 * What was.
 *
 *     GET  /api/v1/events                   the event log: since, until, where, limit, order=newest|oldest, format
 *     POST /api/v1/events                   {"text":"deploy 42"}: a mark, kind `note`
 *     GET  /api/v1/tables/{t}[/{key}]?at=T  a table as it was (from tables.c)
 *
 * Rows come in pages that the agent makes on a thread of its own; between two of them the exchange waits. Nothing is
 * written before the first page is there, so that what is wrong can still be said by the status. In JSON
 * `log_from` says since when what happened is known.
 */
#include "routes.h"

#include "body.h"
#include "render.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FULL = 32 * 1024, EVENTS_LIMIT = 100, NOTE_MAX = 1000 };
static const int64_t step_budget = CW_MILLISECOND;

struct past {
	struct exchange *exchange;
	struct cw_log *log;
	enum rows_format format;
	const struct cw_column *columns;
	char *table;
	int64_t at; /* 0: the event log */
	bool begun, any, single;
};

static void past_drop(struct exchange *exchange)
{
	struct past *past = exchange->work;
	exchange->web->frontend->log_close(past->log);
	free(past->table);
	free(past);
}

static void on_ready(void *arg)
{
	struct past *past = arg;
	exchange_wake(past->exchange);
}

/* ---- rows ---- */

static void begin(struct past *past)
{
	struct exchange *exchange = past->exchange;
	uint32_t count;
	const struct cw_column *columns = exchange->web->frontend->log_columns(past->log, &count);
	past->columns = columns; /* of the page that is there now: the next one has its own */
	if (past->begun || !columns)
		return;
	past->begun = true;
	exchange->hold = past->single;
	if (past->format == ROWS_JSON)
		rows_json_head(&exchange->body, past->table, columns, count);
	else if (past->format == ROWS_CSV)
		render_csv_header(&exchange->body, columns, count);
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct past *past = arg;
	struct buffer *out = &past->exchange->body;
	if (!past->columns)
		begin(past);
	if (past->format == ROWS_CSV) {
		render_csv_row(out, past->columns, cells, count);
	} else {
		if (past->format == ROWS_JSON && past->any)
			buffer_bytes(out, ",", 1);
		render_json_row(out, past->columns, cells, count, /* without_null: */ false);
		if (past->format == ROWS_NDJSON)
			buffer_bytes(out, "\n", 1);
	}
	past->any = true;
	return out->length >= CHUNK_FULL || out->failed;
}

static void say_time(struct buffer *out, int64_t wall)
{
	if (wall)
		render_json_time(out, wall);
	else
		buffer_string(out, "null");
}

static void json_tail(struct past *past)
{
	struct exchange *exchange = past->exchange;
	struct buffer *out = &exchange->body;
	struct cw_log_info info;
	exchange->web->frontend->log_info(past->log, &info);
	buffer_string(out, "],");
	if (past->at) {
		buffer_print(out, "\"total\":%llu,", (unsigned long long)info.query.total);
		render_json_coverage(out, &info.query.coverage, info.query.age_seconds, info.query.scan_from,
				     info.query.scan_to);
		buffer_string(out, ",\"at\":");
		render_json_time(out, past->at);
		buffer_bytes(out, ",", 1);
	}
	buffer_string(out, "\"log_from\":");
	say_time(out, info.reach);
	buffer_string(out, "}\n");
}

static int status_of(int rc)
{
	switch (rc) {
	case -ENOENT:
		return 404;
	case -EINVAL:
		return 400;
	case -ERANGE:
	case -ENOTSUP:
		return 404; /* what is asked for is not known */
	case -EFBIG:
		return 413;
	case -EIO:
	case -EBUSY:
	case -ENOBUFS:
		return 503;
	default:
		return 500;
	}
}

/* As a query that breaks (tables.c): ndjson can say so in its last line. */
static enum pull broke(struct past *past, int rc)
{
	struct exchange *exchange = past->exchange;
	const char *sentence = exchange->web->frontend->log_error(past->log);
	if (!exchange->head_sent) {
		exchange->hold = false;
		exchange_problem(exchange, status_of(rc), "%s", sentence);
		return PULL_DONE;
	}
	if (past->format != ROWS_NDJSON)
		return PULL_ABORT;
	buffer_string(&exchange->body, "{\"error\":");
	render_json_string(&exchange->body, sentence);
	buffer_string(&exchange->body, "}\n");
	return PULL_DONE;
}

/* A page may come between begin() and the step, so its first row, or its end, begins what was not begun. */
static enum pull pull_past(struct exchange *exchange)
{
	struct past *past = exchange->work;
	begin(past);
	int rc = exchange->web->frontend->log_step(past->log, step_budget, on_row, past);
	if (rc == -EAGAIN)
		return PULL_WAIT;
	if (rc < 0)
		return broke(past, rc);
	if (rc == CW_LATER)
		return PULL_MORE;
	begin(past);
	if (past->single && !past->any)
		exchange_problem(exchange, 404, "table %s had no such row then", past->table);
	else if (past->format == ROWS_JSON)
		json_tail(past);
	return PULL_DONE;
}

/* Where the agent has too much mail its word that a page is there may not come. */
static bool look_again(struct exchange *exchange)
{
	(void)exchange;
	return true;
}

static void past_open(struct exchange *exchange, const struct cw_log_spec *spec, enum rows_format format)
{
	const struct cw_frontend *frontend = exchange->web->frontend;
	if (!HAS(frontend, log_open)) {
		exchange_problem(exchange, 503, "this agent has no log of what was");
		return;
	}
	struct past *past = calloc(1, sizeof *past);
	char *table = strdup(spec->at ? spec->query.table : "events");
	if (!past || !table) {
		free(past);
		free(table);
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	*past = (struct past){.exchange = exchange,
			      .format = format,
			      .table = table,
			      .at = spec->at,
			      .single = spec->query.key != NULL};
	exchange->work = past;
	exchange->drop = past_drop;
	if (frontend->log_open(exchange->web->self, spec, on_ready, past, &past->log) < 0) {
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	exchange->hold = true;
	exchange->tick = look_again;
	exchange->pull = pull_past;
}

/* ---- times ---- */

static bool read_time(struct exchange *exchange, const char *name, int64_t *ret_wall)
{
	const char *given = params_get(&exchange->params, name);
	*ret_wall = 0;
	if (!given)
		return true;
	if (text_parse_time(given, strlen(given), ret_wall, NULL) == 0 && *ret_wall > 0)
		return true;
	exchange_problem(exchange, 400, "parameter \"%s\" is a time as RFC 3339: 2026-11-22T02:10:00Z", name);
	return false;
}

/* ---- GET /api/v1/tables/{t}?at= ---- */

void route_table_at(struct exchange *exchange, const struct asked *asked, enum rows_format format)
{
	struct cw_log_spec spec = {.query = asked->spec};
	if (!read_time(exchange, "at", &spec.at))
		return;
	if (asked->spec.cursor || asked->spec.reveal) {
		exchange_problem(exchange, 400,
				 "a table as it was has no pages (\"cursor\"), and numbers in it stay masked");
		return;
	}
	past_open(exchange, &spec, format);
}

/* ---- /api/v1/events ---- */

static bool read_order(struct exchange *exchange, bool *ret_oldest_first)
{
	const char *order = params_get(&exchange->params, "order");
	*ret_oldest_first = order && strcmp(order, "oldest") == 0;
	if (!order || *ret_oldest_first || strcmp(order, "newest") == 0)
		return true;
	exchange_problem(exchange, 400, "parameter \"order\" is newest or oldest: which event comes first");
	return false;
}

static void show_events(struct exchange *exchange, struct asked *asked)
{
	struct cw_log_spec spec = {0};
	char error[PARAMS_ERROR_MAX];
	enum rows_format format;
	uint64_t limit = 0;
	if (!rows_read_format(exchange, &format) || !read_time(exchange, "since", &spec.since) ||
	    !read_time(exchange, "until", &spec.until) || !read_order(exchange, &spec.oldest_first))
		return;
	if (params_count(&exchange->params, "limit", &limit, error)) {
		exchange_problem(exchange, 400, "%s", error);
		return;
	}
	asked->spec.limit =
		limit || params_get(&exchange->params, "limit") || format != ROWS_JSON ? limit : EVENTS_LIMIT;
	spec.query = asked->spec;
	past_open(exchange, &spec, format);
}

static int read_note(const char *bytes, size_t length, json_t **ret_json, const char **ret_text,
		     char error[BODY_ERROR_MAX])
{
	const char *name;
	json_t *value;
	int rc = body_load(bytes, length, ret_json, error);
	json_object_foreach(*ret_json, name, value)
	{
		if (rc == 0)
			rc = strcmp(name, "text") == 0
				     ? body_text(value, name, ret_text, error)
				     : body_wrong(error, "there is no member `%.64s`; known: text", name);
	}
	const char *text = *ret_text ? *ret_text : "";
	if (rc == 0 && !*text)
		rc = body_wrong(error, "say what happened: `text`");
	if (rc == 0 && strlen(text) > NOTE_MAX)
		rc = body_wrong(error, "`text` has more than %d bytes", NOTE_MAX);
	return rc;
}

static void make_note(struct exchange *exchange)
{
	struct web *web = exchange->web;
	char error[BODY_ERROR_MAX] = "";
	json_t *json = NULL;
	const char *text = NULL;
	int rc = read_note(buffer_text(&exchange->request_body), exchange->request_body.length, &json, &text, error);
	if (rc < 0) {
		exchange_problem(exchange, rc == -EINVAL ? 400 : 503, "%s", error);
	} else if (!HAS(web->frontend, note)) {
		exchange_problem(exchange, 503, "this agent has no log of what was");
	} else {
		web->frontend->note(web->self, text, exchange->by);
		exchange->status = 201;
		buffer_string(&exchange->body, "{\"kind\":\"note\",\"text\":");
		render_json_string(&exchange->body, text);
		buffer_string(&exchange->body, "}\n");
	}
	json_decref(json);
}

void route_events(struct exchange *exchange)
{
	struct asked asked;
	if (exchange->method == METHOD_POST) {
		make_note(exchange);
		return;
	}
	if (asked_init(&asked, exchange, "events"))
		show_events(exchange, &asked);
	asked_release(&asked);
}
