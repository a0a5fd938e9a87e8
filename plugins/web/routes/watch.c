/* SPDX-License-Identifier: MIT
 *
 * The live form of a table: lines of what changed, for as long as the reader stays.
 *
 *     {"op":"reset","seq":1}                          forget all rows
 *     {"op":"put","seq":2,"row":{…}}                  a row is new or changed
 *     {"op":"remove","seq":3,"row":{"instance":…}}    its instance and key
 *     {"op":"sync","seq":4,"as_of":…}                 what came before is consistent
 *     {"op":"ping"}                                   nothing happened for 10 s
 *
 * Changes are pulled from a view when the connection has room; a reader that is slow gets fewer, newer ones.
 */
#include "routes.h"

#include "render.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FULL = 32 * 1024 };
static const int64_t quiet_most = 10 * CW_SECOND, coverage_kept = CW_SECOND;

struct watch {
	struct exchange *exchange;
	struct cw_view *view;
	const struct cw_column *columns;
	uint32_t columns_count;
	char *table;
	int64_t spoke; /* instant of the last line */
	/* The table's coverage, looked up at most once a second: a table that changes often syncs often. */
	struct cw_coverage coverage;
	int64_t coverage_looked;
	bool ping;
};

static void watch_drop(struct exchange *exchange)
{
	struct watch *watch = exchange->work;
	exchange->web->frontend->view_close(watch->view);
	free(watch->table);
	free(watch);
}

static void on_ready(void *arg)
{
	struct watch *watch = arg;
	exchange_wake(watch->exchange);
}

static void note_coverage(void *arg, const struct cw_table_info *info)
{
	struct watch *watch = arg;
	if (strcmp(info->name, watch->table) == 0)
		watch->coverage = info->coverage;
}

static void print_coverage(struct watch *watch)
{
	struct web *web = watch->exchange->web;
	int64_t now = web->host->now();
	if (watch->coverage_looked == 0 || now - watch->coverage_looked >= coverage_kept) {
		watch->coverage_looked = now;
		web->frontend->tables(web->self, note_coverage, watch);
	}
	int64_t to = watch->coverage.to;
	double age = to ? fmax(0, (double)(web->host->wall() - to) / (double)CW_SECOND) : NAN;
	render_json_coverage(&watch->exchange->body, &watch->coverage, age, /* otherwise_from: */ 0,
			     /* otherwise_to: */ 0);
}

static int on_change(void *arg, enum cw_view_op op, uint64_t sequence, const struct cw_cell *cells, uint32_t count)
{
	static const char *const names[] = {
		[CW_VIEW_RESET] = "reset", [CW_VIEW_PUT] = "put", [CW_VIEW_REMOVE] = "remove", [CW_VIEW_SYNC] = "sync"};
	struct watch *watch = arg;
	struct buffer *out = &watch->exchange->body;
	buffer_print(out, "{\"op\":\"%s\",\"seq\":%llu", names[op], (unsigned long long)sequence);
	if (op == CW_VIEW_PUT || op == CW_VIEW_REMOVE) {
		buffer_string(out, ",\"row\":");
		render_json_row(out, watch->columns, cells, count, /* without_null: */ op == CW_VIEW_REMOVE);
	} else if (op == CW_VIEW_SYNC) {
		buffer_bytes(out, ",", 1);
		print_coverage(watch);
	}
	buffer_string(out, "}\n");
	return out->length >= CHUNK_FULL || out->failed;
}

static enum pull pull_changes(struct exchange *exchange)
{
	struct watch *watch = exchange->work;
	struct web *web = exchange->web;
	int rc = web->frontend->view_next(watch->view, on_change, watch);
	if (rc < 0)
		return PULL_ABORT;
	if (watch->ping && exchange->body.length == 0)
		buffer_string(&exchange->body, "{\"op\":\"ping\"}\n");
	watch->ping = false;
	if (exchange->body.length)
		watch->spoke = web->host->now();
	return rc == CW_LATER ? PULL_MORE : PULL_WAIT;
}

/* Rows that come or go by time alone are only found by pulling (frontend.h): so each second, asked or not. */
static bool watch_tick(struct exchange *exchange)
{
	struct watch *watch = exchange->work;
	watch->ping = exchange->web->host->now() - watch->spoke >= quiet_most;
	return true;
}

void route_watch(struct exchange *exchange, struct asked *asked)
{
	const struct cw_frontend *frontend = exchange->web->frontend;
	char error[CW_QUERY_ERROR_MAX] = "the view cannot be made";
	if (asked->spec.cursor || asked->spec.limit > CW_VIEW_ROWS_MAX) {
		exchange_problem(exchange, 400, "a live view takes no cursor and at most %d rows", CW_VIEW_ROWS_MAX);
		return;
	}
	if (asked->spec.limit == 0)
		asked->spec.limit = CW_VIEW_ROWS_MAX;
	struct watch *watch = calloc(1, sizeof *watch);
	char *table = strdup(asked->spec.table);
	if (!watch || !table) {
		free(watch);
		free(table);
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	*watch = (struct watch){
		.exchange = exchange, .table = table, .coverage = {.ratio = NAN}, .spoke = exchange->web->host->now()};
	exchange->work = watch;
	exchange->drop = watch_drop;
	int rc = frontend->view_open(exchange->web->self, &asked->spec, on_ready, watch, &watch->view, error);
	if (rc) {
		query_problem(exchange, rc, error);
		return;
	}
	watch->columns = frontend->view_columns(watch->view, &watch->columns_count);
	exchange->pull = pull_changes;
	exchange->tick = watch_tick;
}
