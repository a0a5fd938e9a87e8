/* SPDX-License-Identifier: MIT
 *
 * GET /api/v1/status: the agent at a glance. Made in stages, each a piece of one JSON object: the agent, the rows of
 * table `instances`, a verdict over them, the alerts that fire, the tables, the latest value of every series.
 */
#include "routes.h"

#include "render.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_FULL = 32 * 1024, REASONS_MAX = 16 * 1024 };
static const int64_t step_budget = CW_MILLISECOND, fresh_drop = 300 * CW_SECOND; /* checks come every few minutes */

struct status;
typedef enum pull (*stage_fn)(struct exchange *exchange, struct status *status);

/* Of the alerts that fire. */
enum { SEVERITIES = 3, WORST_MAX = 5 };
struct alerts_seen {
	uint64_t firing[SEVERITIES]; /* that nobody silenced, by severity */
	uint64_t silenced;
	uint32_t worst; /* rows that were told */
};

struct status {
	struct exchange *exchange;
	uint32_t stage;
	struct cw_query *query;
	const struct cw_column *columns;
	uint32_t columns_count;
	bool any, has_alerts;
	struct buffer reasons; /* JSON strings, each with a comma in front */
	struct alerts_seen alerts;
	char *last; /* key of the last series written */
};

static void status_drop(struct exchange *exchange)
{
	struct status *status = exchange->work;
	exchange->web->frontend->query_close(status->query);
	buffer_release(&status->reasons);
	free(status->last);
	free(status);
}

static void add_reason(struct status *status, const char *text)
{
	buffer_bytes(&status->reasons, ",", 1);
	render_json_string(&status->reasons, text);
}

static enum pull say_agent(struct exchange *exchange, struct status *status)
{
	const struct web *web = exchange->web;
	struct buffer *out = &exchange->body;
	const struct cw_info *info = web->host->info(web->self);
	int64_t started = web->frontend->started(), wall = web->host->wall();
	bool ready = web->frontend->ready();
	buffer_string(out, "{\"version\":");
	render_json_string(out, info->version);
	buffer_string(out, ",\"hostname\":");
	render_json_string(out, info->host);
	buffer_print(out, ",\"pid\":%d,\"started\":", (int)getpid());
	render_json_time(out, started);
	buffer_string(out, ",\"uptime_seconds\":");
	render_json_seconds(out, fmax(0, (double)(wall - started) / (double)CW_SECOND));
	buffer_print(out, ",\"ready\":%s,\"instances\":[", ready ? "true" : "false");
	if (!ready)
		add_reason(status, "starting: not every source has had its first reading");
	return PULL_DONE;
}

/* A cell as a word, for a reason; "" if it is none. */
static void cell_word(char *buffer, size_t size, const struct cw_column *column, const struct cw_cell *cell)
{
	const char *choice = cell->type == CW_CELL_INTEGER && column->type == CW_CHOICE
				     ? render_choice(column, cell->integer)
				     : NULL;
	if (cell->type == CW_CELL_TEXT)
		text_utf8(buffer, size, cell->text, cell->length);
	else
		text_utf8(buffer, size, choice ? choice : "", choice ? strlen(choice) : 0);
}

/* What was lost is gone, however well all is now. */
static void judge_drops(struct status *status, const char *instance, int64_t last_drop, int64_t dropped)
{
	char sentence[256], age[TEXT_DURATION_SIZE];
	int64_t since = status->exchange->web->host->wall() - last_drop;
	if (last_drop == 0 || since > fresh_drop)
		return;
	text_duration(age, fmax(0, (double)since / (double)CW_SECOND));
	snprintf(sentence, sizeof sentence,
		 "%s lost samples %s ago, %lld since its start: `callwatch doctor %s` says for what reason", instance,
		 age, (long long)dropped, instance);
	add_reason(status, sentence);
}

static void judge(struct status *status, const struct cw_cell *cells, uint32_t count)
{
	char instance[128] = "", state[32] = "", reason[512] = "", sentence[700];
	int64_t last_drop = 0, dropped = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct cw_column *column = &status->columns[i];
		if (strcmp(column->name, "instance") == 0)
			cell_word(instance, sizeof instance, column, &cells[i]);
		else if (strcmp(column->name, "state") == 0)
			cell_word(state, sizeof state, column, &cells[i]);
		else if (strcmp(column->name, "reason") == 0)
			cell_word(reason, sizeof reason, column, &cells[i]);
		else if (strcmp(column->name, "last_drop") == 0 && cells[i].type == CW_CELL_INTEGER)
			last_drop = cells[i].integer;
		else if (strcmp(column->name, "dropped") == 0 && cells[i].type == CW_CELL_INTEGER)
			dropped = cells[i].integer;
	}
	judge_drops(status, instance, last_drop, dropped);
	if (strcmp(state, "up") == 0)
		return;
	snprintf(sentence, sizeof sentence, "%s is %s%s%s", instance, state, *reason ? ": " : "", reason);
	add_reason(status, sentence);
}

static int on_instance(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct status *status = arg;
	struct buffer *out = &status->exchange->body;
	if (status->any)
		buffer_bytes(out, ",", 1);
	status->any = true;
	render_json_row(out, status->columns, cells, count, /* without_null: */ false);
	judge(status, cells, count);
	return out->length >= CHUNK_FULL || out->failed;
}

static enum pull say_instances(struct exchange *exchange, struct status *status)
{
	const struct cw_frontend *frontend = exchange->web->frontend;
	char error[CW_QUERY_ERROR_MAX];
	if (!status->query) {
		struct cw_query_spec spec = {.table = "instances", .viewer = !exchange_is_operator(exchange)};
		if (frontend->query_open(exchange->web->self, &spec, &status->query, error))
			return PULL_DONE; /* no such table: an agent without instances */
		status->columns = frontend->query_columns(status->query, &status->columns_count);
	}
	int rc = frontend->query_step(status->query, step_budget, on_instance, status);
	return rc < 0 ? PULL_ABORT : rc == CW_LATER ? PULL_MORE : PULL_DONE;
}

static enum pull say_verdict(struct exchange *exchange, struct status *status)
{
	struct buffer *out = &exchange->body;
	bool degraded = status->reasons.length > 0;
	buffer_print(out, "],\"state\":\"%s\",\"reasons\":[", degraded ? "degraded" : "healthy");
	if (degraded)
		buffer_bytes(out, buffer_text(&status->reasons) + 1, status->reasons.length - 1);
	buffer_bytes(out, "]", 1);
	return PULL_DONE;
}

static const char *const alert_columns[] = {"instance", "alert",    "subject",     "severity",     "firing_since",
					    "summary",  "notified", "silenced_by", "inhibited_by", "acked_by"};
enum {
	ALERT_COLUMNS = sizeof alert_columns / sizeof *alert_columns,
	A_SEVERITY = 3,
	A_SILENCED_BY = 7,
	A_INHIBITED_BY = 8
};

/* A cell of a row of table alerts, by its place in alert_columns. */
static const struct cw_cell *alert_cell(const struct status *status, const struct cw_cell *cells, uint32_t column)
{
	for (uint32_t i = 0; i < status->columns_count; i++)
		if (strcmp(status->columns[i].name, alert_columns[column]) == 0)
			return &cells[i];
	return NULL;
}

static bool has_text(const struct cw_cell *cell)
{
	return cell && cell->type == CW_CELL_TEXT && cell->length > 0;
}

/* They come with the most severe first. What is part of another alert is counted, but is none of the worst. */
static int on_alert(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct status *status = arg;
	struct buffer *out = &status->exchange->body;
	const struct cw_cell *severity = alert_cell(status, cells, A_SEVERITY);
	if (has_text(alert_cell(status, cells, A_SILENCED_BY))) {
		status->alerts.silenced++;
		return 0;
	}
	if (severity && severity->type == CW_CELL_INTEGER && severity->integer >= 0 && severity->integer < SEVERITIES)
		status->alerts.firing[severity->integer]++;
	if (status->alerts.worst == WORST_MAX || has_text(alert_cell(status, cells, A_INHIBITED_BY)))
		return 0;
	buffer_string(out, status->alerts.worst++ ? "," : "");
	render_json_row(out, status->columns, cells, count, /* without_null: */ true);
	return out->failed;
}

/* False: there is no such table, an agent without alerts. */
static bool open_alerts(struct exchange *exchange, struct status *status)
{
	static const char *const where[] = {"state=firing"};
	const struct cw_frontend *frontend = exchange->web->frontend;
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_spec spec = {.table = "alerts",
				     .where = where,
				     .where_count = 1,
				     .sort = "-severity",
				     .columns = (const char **)alert_columns,
				     .columns_count = ALERT_COLUMNS,
				     .viewer = !exchange_is_operator(exchange)};
	frontend->query_close(status->query);
	status->query = NULL;
	if (frontend->query_open(exchange->web->self, &spec, &status->query, error))
		return false;
	status->columns = frontend->query_columns(status->query, &status->columns_count);
	return true;
}

static enum pull say_alerts(struct exchange *exchange, struct status *status)
{
	struct buffer *out = &exchange->body;
	const struct alerts_seen *seen = &status->alerts;
	if (!status->has_alerts && !open_alerts(exchange, status)) {
		buffer_string(out, ",\"alerts\":null");
		return PULL_DONE;
	}
	if (!status->has_alerts)
		buffer_string(out, ",\"alerts\":{\"worst\":[");
	status->has_alerts = true;
	int rc = exchange->web->frontend->query_step(status->query, step_budget, on_alert, status);
	if (rc > 0)
		return PULL_MORE;
	if (rc < 0) { /* too much is being sorted at this moment: not known, and the rest is told all the same */
		buffer_string(out, "],\"firing\":null,\"silenced\":null}");
		return PULL_DONE;
	}
	buffer_print(out, "],\"firing\":{\"critical\":%llu,\"warning\":%llu,\"info\":%llu},\"silenced\":%llu}",
		     (unsigned long long)seen->firing[2], (unsigned long long)seen->firing[1],
		     (unsigned long long)seen->firing[0], (unsigned long long)seen->silenced);
	return PULL_DONE;
}

static void on_table(void *arg, const struct cw_table_info *info)
{
	struct status *status = arg;
	struct buffer *out = &status->exchange->body;
	if (status->any)
		buffer_bytes(out, ",", 1);
	status->any = true;
	render_json_table(out, info, /* with_columns: */ false);
}

static enum pull say_tables(struct exchange *exchange, struct status *status)
{
	struct web *web = exchange->web;
	buffer_string(&exchange->body, ",\"tables\":[");
	status->any = false;
	web->frontend->tables(web->self, on_table, status);
	buffer_string(&exchange->body, "],\"metrics\":[");
	series_list_expire(&web->series, web->host->now());
	return PULL_DONE;
}

static void say_value(struct buffer *out, const struct series *series)
{
	if (series->number == CW_INTEGER) {
		buffer_print(out, "%lld", (long long)series->integer);
	} else if (series->number == CW_BUCKETS) {
		buffer_print(out, "{\"count\":%llu,\"sum\":", (unsigned long long)series->histogram.count);
		render_json_number(out, series->histogram.sum);
		buffer_bytes(out, "}", 1);
	} else {
		render_json_number(out, series->real);
	}
}

static void say_series(struct buffer *out, const struct series *series)
{
	uint32_t labels = cw_label_count(series->metric);
	buffer_string(out, "{\"instance\":");
	render_json_string(out, series->instance);
	buffer_string(out, ",\"metric\":");
	render_json_string(out, series->metric->name);
	buffer_string(out, ",\"labels\":{");
	for (uint32_t i = 0; i < labels; i++) {
		if (i)
			buffer_bytes(out, ",", 1);
		render_json_string(out, series->metric->labels[i].name);
		buffer_bytes(out, ":", 1);
		render_json_string(out, series->labels[i]);
	}
	buffer_string(out, "},\"value\":");
	say_value(out, series);
	buffer_string(out, ",\"time\":");
	render_json_time(out, series->time);
	buffer_bytes(out, "}", 1);
}

static enum pull say_metrics(struct exchange *exchange, struct status *status)
{
	const struct series_list *list = &exchange->web->series;
	struct buffer *out = &exchange->body;
	uint32_t at = series_list_after(list, status->last);
	for (; at < list->count && out->length < CHUNK_FULL && !out->failed; at++) {
		if (status->last)
			buffer_bytes(out, ",", 1);
		say_series(out, list->list[at]);
		free(status->last);
		status->last = strdup(list->list[at]->key);
		if (!status->last)
			return PULL_ABORT;
	}
	if (at < list->count)
		return PULL_MORE;
	buffer_string(out, "]}\n");
	return PULL_DONE;
}

static const stage_fn stages[] = {say_agent, say_instances, say_verdict, say_alerts, say_tables, say_metrics};

static enum pull pull_status(struct exchange *exchange)
{
	struct status *status = exchange->work;
	while (status->stage < sizeof stages / sizeof stages[0]) {
		enum pull said = stages[status->stage](exchange, status);
		if (said == PULL_ABORT && !exchange->head_sent) {
			exchange_problem(exchange, 500, "the state of the instances cannot be read");
			return PULL_DONE;
		}
		if (said != PULL_DONE)
			return said;
		status->stage++;
	}
	return PULL_DONE;
}

void route_status(struct exchange *exchange)
{
	struct status *status = calloc(1, sizeof *status);
	if (!status) {
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	status->exchange = exchange;
	buffer_init(&status->reasons, /* head: */ 0, REASONS_MAX);
	exchange->work = status;
	exchange->drop = status_drop;
	exchange->pull = pull_status;
}
