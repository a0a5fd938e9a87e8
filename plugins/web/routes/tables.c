/* SPDX-License-Identifier: MIT
 *
 * Tables: which there are, their rows, one row.
 *
 * Rows are pulled from a query that works 1 ms at a time and pauses when a chunk is full. In JSON they stand between a
 * head and a tail that only the finished query knows; ndjson and CSV are the rows and nothing else, all that match
 * unless `limit` says otherwise.
 */
#include "routes.h"

#include "render.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_ASKED_MAX = 64, JSON_LIMIT = 100, CHUNK_FULL = 32 * 1024, HOLDERS_MAX = 64 };
static const int64_t step_budget = CW_MILLISECOND;

/* -- what was asked ----------------------------------------------------------------------------------------------- */

void query_problem(struct exchange *exchange, int rc, const char *error)
{
	exchange_problem(exchange, rc == -ENOENT ? 404 : rc == -EINVAL ? 400 : 500, "%s", error);
}

/* a,b,c in place. */
static bool split_columns(struct asked *asked, struct exchange *exchange, const char *text)
{
	char *rest = asked->columns_text = strdup(text);
	asked->columns = calloc(COLUMNS_ASKED_MAX, sizeof(char *));
	if (!rest || !asked->columns) {
		exchange_problem(exchange, 500, "no memory");
		return false;
	}
	while (rest) {
		char *name = strsep(&rest, ",");
		if (*name == '\0' || asked->spec.columns_count == COLUMNS_ASKED_MAX) {
			exchange_problem(exchange, 400, "parameter \"columns\" is a list of 1 to %d names: a,b,c",
					 COLUMNS_ASKED_MAX);
			return false;
		}
		asked->columns[asked->spec.columns_count++] = name;
	}
	asked->spec.columns = asked->columns;
	return true;
}

static bool read_reveal(struct asked *asked, struct exchange *exchange)
{
	char error[PARAMS_ERROR_MAX];
	if (params_bool(&exchange->params, "reveal", &asked->spec.reveal, error)) {
		exchange_problem(exchange, 400, "%s", error);
		return false;
	}
	if (asked->spec.reveal && !exchange_is_operator(exchange)) {
		exchange_problem(exchange, 403, "revealing numbers needs an operator");
		return false;
	}
	if (asked->spec.reveal && exchange->is_foreign) {
		exchange_problem(exchange, 403, "revealing numbers is not for a page of another site");
		return false;
	}
	return true;
}

bool asked_init(struct asked *asked, struct exchange *exchange, const char *table)
{
	const struct params *params = &exchange->params;
	const char *columns = params_get(params, "columns");
	*asked = (struct asked){.spec = {.table = table,
					 .sort = params_get(params, "sort"),
					 .cursor = params_get(params, "cursor"),
					 .viewer = !exchange_is_operator(exchange),
					 .by = exchange->by}};
	asked->spec.where_count = params_all(params, "where", asked->where);
	asked->spec.where = asked->where;
	return read_reveal(asked, exchange) && (!columns || split_columns(asked, exchange, columns));
}

void asked_release(struct asked *asked)
{
	free(asked->columns);
	free(asked->columns_text);
}

/* -- rows as they come -------------------------------------------------------------------------------------------- */

struct rows {
	struct cw_query *query;
	const struct cw_column *columns;
	uint32_t columns_count;
	enum rows_format format;
	bool begun, any;
	struct exchange *exchange;
	/* of one row only */
	bool single;
	char *holders[HOLDERS_MAX]; /* instances that have the key */
	uint32_t holders_count, found;
	char *key;
};

static void rows_drop(struct exchange *exchange)
{
	struct rows *rows = exchange->work;
	exchange->web->frontend->query_close(rows->query);
	for (uint32_t i = 0; i < rows->holders_count; i++)
		free(rows->holders[i]);
	free(rows->key);
	free(rows);
}

void rows_json_head(struct buffer *out, const char *table, const struct cw_column *columns, uint32_t count)
{
	buffer_string(out, "{\"table\":");
	render_json_string(out, table);
	buffer_string(out, ",\"columns\":[");
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		render_json_string(out, columns[i].name);
	}
	buffer_string(out, "],\"rows\":[");
}

static void json_tail(struct exchange *exchange, const struct rows *rows)
{
	struct buffer *out = &exchange->body;
	struct cw_query_info info = {.age_seconds = NAN};
	exchange->web->frontend->query_info(rows->query, &info);
	buffer_print(out, "],\"total\":%llu,", (unsigned long long)info.total);
	render_json_coverage(out, &info.coverage, info.age_seconds, info.scan_from, info.scan_to);
	buffer_string(out, ",\"next_cursor\":");
	render_json_string(out, info.next_cursor[0] ? info.next_cursor : NULL);
	buffer_string(out, "}\n");
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct rows *rows = arg;
	struct buffer *out = &rows->exchange->body;
	if (rows->format == ROWS_CSV) {
		render_csv_row(out, rows->columns, cells, count);
	} else {
		if (rows->format == ROWS_JSON && rows->any)
			buffer_bytes(out, ",", 1);
		render_json_row(out, rows->columns, cells, count, /* without_null: */ false);
		if (rows->format == ROWS_NDJSON)
			buffer_bytes(out, "\n", 1);
	}
	rows->any = true;
	return out->length >= CHUNK_FULL || out->failed;
}

static void begin_rows(struct exchange *exchange, struct rows *rows)
{
	rows->begun = true;
	if (rows->format == ROWS_JSON)
		rows_json_head(&exchange->body, exchange->arguments[0], rows->columns, rows->columns_count);
	else if (rows->format == ROWS_CSV)
		render_csv_header(&exchange->body, rows->columns, rows->columns_count);
}

/* A query that breaks in the middle: ndjson can say so in its last line, the others are cut off. */
static enum pull rows_broke(struct exchange *exchange, const struct rows *rows, int rc)
{
	char sentence[160];
	if (rc == -ENOBUFS)
		snprintf(sentence, sizeof sentence,
			 "too many rows are being sorted at this moment: ask for fewer (limit, where), unsorted, or "
			 "again later");
	else
		snprintf(sentence, sizeof sentence, "the query broke off: %s", strerror(-rc));
	if (!exchange->head_sent) {
		exchange_problem(exchange, rc == -ENOBUFS ? 503 : 500, "%s", sentence);
		return PULL_DONE;
	}
	if (rows->format != ROWS_NDJSON)
		return PULL_ABORT;
	buffer_string(&exchange->body, "{\"error\":");
	render_json_string(&exchange->body, sentence);
	buffer_string(&exchange->body, "}\n");
	return PULL_DONE;
}

static enum pull pull_rows(struct exchange *exchange)
{
	struct rows *rows = exchange->work;
	if (!rows->begun)
		begin_rows(exchange, rows);
	int rc = exchange->web->frontend->query_step(rows->query, step_budget, on_row, rows);
	if (rc < 0)
		return rows_broke(exchange, rows, rc);
	if (rc == CW_LATER)
		return PULL_MORE;
	if (rows->format == ROWS_JSON)
		json_tail(exchange, rows);
	return PULL_DONE;
}

static struct rows *rows_open(struct exchange *exchange, const struct cw_query_spec *spec)
{
	const struct cw_frontend *frontend = exchange->web->frontend;
	char error[CW_QUERY_ERROR_MAX] = "the query cannot be made";
	struct rows *rows = calloc(1, sizeof *rows);
	int rc = rows ? frontend->query_open(exchange->web->self, spec, &rows->query, error) : -ENOMEM;
	if (rc) {
		free(rows);
		query_problem(exchange, rc, error);
		return NULL;
	}
	rows->exchange = exchange;
	rows->columns = frontend->query_columns(rows->query, &rows->columns_count);
	exchange->work = rows;
	exchange->drop = rows_drop;
	return rows;
}

/* -- GET /api/v1/tables/{t} --------------------------------------------------------------------------------------- */

bool rows_read_format(struct exchange *exchange, enum rows_format *ret_format)
{
	static const char *const names[] = {"json", "ndjson", "csv"};
	static const char *const types[] = {"application/json", "application/x-ndjson",
					    "text/csv; charset=utf-8; header=present"};
	const char *given = params_get(&exchange->params, "format");
	for (uint32_t i = 0; i < 3; i++) {
		if (strcmp(given ? given : "json", names[i]) != 0)
			continue;
		*ret_format = (enum rows_format)i;
		exchange->content_type = types[i];
		return true;
	}
	exchange_problem(exchange, 400, "parameter \"format\" is json, ndjson or csv");
	return false;
}

static void answer_table(struct exchange *exchange, struct asked *asked)
{
	char error[PARAMS_ERROR_MAX];
	enum rows_format format;
	bool live = false;
	uint64_t limit = 0;
	if (!rows_read_format(exchange, &format))
		return;
	if (params_bool(&exchange->params, "watch", &live, error) ||
	    params_count(&exchange->params, "limit", &limit, error)) {
		exchange_problem(exchange, 400, "%s", error);
		return;
	}
	asked->spec.limit = limit || params_get(&exchange->params, "limit") || format != ROWS_JSON ? limit : JSON_LIMIT;
	/* A page and a live view show the first rows, so they need an order; whole streams go as the rows are found. */
	if (!asked->spec.sort && (live || format == ROWS_JSON))
		asked->spec.sort = "";
	if (params_get(&exchange->params, "at")) {
		if (live)
			exchange_problem(exchange, 400, "what was does not change: \"at\" goes without \"watch\"");
		else
			route_table_at(exchange, asked, format);
		return;
	}
	if (live && format != ROWS_NDJSON) {
		exchange_problem(exchange, 400, "parameter \"watch\" needs format=ndjson");
		return;
	}
	if (live) {
		route_watch(exchange, asked);
		return;
	}
	/* A page says how many rows match in all, which a query in any order knows only at its end. */
	if (format == ROWS_JSON && !asked->spec.sort)
		asked->spec.sort = "";
	struct rows *rows = rows_open(exchange, &asked->spec);
	if (!rows)
		return;
	rows->format = format;
	exchange->pull = pull_rows;
}

void route_table(struct exchange *exchange)
{
	struct asked asked;
	if (asked_init(&asked, exchange, exchange->arguments[0]))
		answer_table(exchange, &asked);
	asked_release(&asked);
}

/* -- GET /api/v1/tables/{t}/{key} --------------------------------------------------------------------------------- */

static void remember_holder(struct rows *rows, const struct cw_cell *cells, uint32_t count)
{
	for (uint32_t i = 0; i < count && rows->holders_count < HOLDERS_MAX; i++) {
		if (strcmp(rows->columns[i].name, "instance") != 0 || cells[i].type != CW_CELL_TEXT)
			continue;
		rows->holders[rows->holders_count] = strndup(cells[i].text, cells[i].length);
		if (rows->holders[rows->holders_count])
			rows->holders_count++;
	}
}

static int on_single_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct rows *rows = arg;
	rows->found++;
	remember_holder(rows, cells, count);
	return rows->found == 1 ? on_row(arg, cells, count) : 0;
}

static void several_have_it(struct exchange *exchange, const struct rows *rows)
{
	char names[512] = "";
	size_t used = 0;
	for (uint32_t i = 0; i < rows->holders_count && used < sizeof names; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", rows->holders[i]);
	exchange_problem(exchange, 409, "several instances have this key: %s; say which with ?instance=", names);
}

static enum pull pull_single_row(struct exchange *exchange)
{
	struct rows *rows = exchange->work;
	if (!rows->begun)
		begin_rows(exchange, rows);
	int rc = exchange->web->frontend->query_step(rows->query, step_budget, on_single_row, rows);
	if (rc < 0)
		return rows_broke(exchange, rows, rc);
	if (rc == CW_LATER)
		return PULL_MORE;
	if (rows->found == 0)
		exchange_problem(exchange, 404, "table %s has no such row", exchange->arguments[0]);
	else if (rows->found > 1)
		several_have_it(exchange, rows);
	else
		json_tail(exchange, rows);
	return PULL_DONE;
}

/* A single row is shown whole: all columns, the wide ones too. */
struct all_columns {
	const char *table;
	struct asked *asked;
};

static void name_all_columns(void *arg, const struct cw_table_info *info)
{
	struct all_columns *all = arg;
	if (strcmp(info->name, all->table) != 0)
		return;
	const char **names = calloc(info->columns_count, sizeof(char *));
	if (!names)
		return;
	for (uint32_t i = 0; i < info->columns_count; i++)
		names[i] = info->columns[i].name;
	free(all->asked->columns);
	all->asked->columns = names;
	all->asked->spec.columns = names;
	all->asked->spec.columns_count = info->columns_count;
}

static void answer_row(struct exchange *exchange, struct asked *asked)
{
	const struct web *web = exchange->web;
	if (!asked->spec.columns)
		web->frontend->tables(web->self, name_all_columns,
				      &(struct all_columns){.table = asked->spec.table, .asked = asked});
	asked->spec.key = exchange->arguments[1];
	if (params_get(&exchange->params, "at")) {
		route_table_at(exchange, asked, ROWS_JSON);
		return;
	}
	struct rows *rows = rows_open(exchange, &asked->spec);
	if (!rows)
		return;
	exchange->hold = true;
	exchange->pull = pull_single_row;
}

void route_row(struct exchange *exchange)
{
	struct asked asked;
	char expression[URI_MAX + 16]; /* lives as long as `asked`, which points to it */
	if (asked_init(&asked, exchange, exchange->arguments[0])) {
		const char *instance = params_get(&exchange->params, "instance");
		if (instance) {
			snprintf(expression, sizeof expression, "instance=%s", instance);
			asked.where[asked.spec.where_count++] = expression;
		}
		answer_row(exchange, &asked);
	}
	asked_release(&asked);
}

/* -- GET /api/v1/tables ------------------------------------------------------------------------------------------- */

static void list_table(void *arg, const struct cw_table_info *info)
{
	struct buffer *out = arg;
	if (buffer_text(out)[out->length - 1] == '}')
		buffer_bytes(out, ",", 1);
	render_json_table(out, info, /* with_columns: */ true);
}

void route_tables(struct exchange *exchange)
{
	struct web *web = exchange->web;
	buffer_string(&exchange->body, "{\"tables\":[");
	if (!exchange->body.failed)
		web->frontend->tables(web->self, list_table, &exchange->body);
	buffer_string(&exchange->body, "]}\n");
}
