/* SPDX-License-Identifier: MIT
 *
 * See deadman.h. The hub writes table `instances` once a second, and alerting says once a second that table `alerts` is
 * whole; that they can be read, and are fresh, is the sign that the agent lives. A notice that waits and is not on disk
 * is the sign that the journal cannot be written.
 */
#include "deadman.h"

#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const well_names[] = {"notifiers", "journal", "sources", "outputs", NULL};

enum column { INSTANCE, PLUGIN, ROLE, STATE, COLUMNS };
static const char *const column_names[COLUMNS] = {"instance", "plugin", "role", "state"};
enum { PATIENCE_STEPS = 200 };
static const double stale_after_seconds = 60, still_after_seconds = 15;

struct count {
	uint32_t all, work; /* `up` or `degraded`; that are starting are not judged */
	char first[128];    /* that does not */
};

struct seeing {
	const struct cw_column *columns[COLUMNS];
	uint32_t at[COLUMNS];
	struct count notifiers, sources, outputs;
	uint32_t rows;
};

/* ---- asking ---- */

static const char *choice(const struct seeing *seeing, const struct cw_cell *cells, enum column column)
{
	const struct cw_cell *cell = &cells[seeing->at[column]];
	const char *const *choices = seeing->columns[column]->choices;
	for (int64_t i = 0; cell->type == CW_CELL_INTEGER && choices && choices[i]; i++)
		if (i == cell->integer)
			return choices[i];
	return "";
}

static bool is_text(const struct cw_cell *cell, const char *text)
{
	return cell->type == CW_CELL_TEXT && cell->length == strlen(text) &&
	       memcmp(cell->text, text, cell->length) == 0;
}

static void count_row(struct count *count, const struct seeing *seeing, const struct cw_cell *cells)
{
	const char *state = choice(seeing, cells, STATE);
	const struct cw_cell *name = &cells[seeing->at[INSTANCE]];
	bool works = strcmp(state, "up") == 0 || strcmp(state, "degraded") == 0;
	if (strcmp(state, "starting") == 0)
		return;
	count->all++;
	count->work += works;
	if (!works && !count->first[0] && name->type == CW_CELL_TEXT) {
		char shown[80];
		text_visible(shown, sizeof(shown), name->text, name->length);
		snprintf(count->first, sizeof(count->first), "%s is %s", shown, state);
	}
}

static int on_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct seeing *seeing = arg;
	const char *role = choice(seeing, cells, ROLE);
	(void)count;
	seeing->rows++;
	if (strcmp(role, "notifier") == 0 && !is_text(&cells[seeing->at[PLUGIN]], "deadman"))
		count_row(&seeing->notifiers, seeing, cells);
	else if (strcmp(role, "source") == 0)
		count_row(&seeing->sources, seeing, cells);
	else if (strcmp(role, "output") == 0)
		count_row(&seeing->outputs, seeing, cells);
	return 0;
}

static bool find_columns(struct seeing *seeing, const struct cw_column *columns, uint32_t n)
{
	for (uint32_t i = 0; i < COLUMNS; i++) {
		while (seeing->at[i] < n && strcmp(columns[seeing->at[i]].name, column_names[i]) != 0)
			seeing->at[i]++;
		if (seeing->at[i] == n)
			return false;
		seeing->columns[i] = &columns[seeing->at[i]];
	}
	return true;
}

static int run(const struct cw_reader *reader, struct cw_query *query, cw_row_fn row, void *arg,
	       struct cw_query_info *ret_info)
{
	int status = CW_LATER;
	for (int i = 0; i < PATIENCE_STEPS && status == CW_LATER; i++)
		status = reader->query_step(query, CW_MILLISECOND, row, arg);
	reader->query_info(query, ret_info);
	return status;
}

static int see_instances(struct cw_instance *self, const struct cw_reader *reader, struct seeing *seeing,
			 struct cw_query_info *ret_info)
{
	struct cw_query_spec spec = {.table = "instances", .columns = column_names, .columns_count = COLUMNS};
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query *query;
	uint32_t n;
	int status = reader->query_open(self, &spec, &query, error);
	if (status < 0)
		return status;
	const struct cw_column *columns = reader->query_columns(query, &n);
	status = find_columns(seeing, columns, n) ? run(reader, query, on_row, seeing, ret_info) : -EINVAL;
	reader->query_close(query);
	return status;
}

static int count_any(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)cells;
	(void)count;
	++*(uint32_t *)arg;
	return 0;
}

/* Seconds since alerting gave a sign of life; NaN: it never has, or nobody knows: that is not well. */
static double silence_of_alerting(struct cw_instance *self, const struct cw_reader *reader)
{
	struct cw_query_spec spec = {.table = "alerts", .limit = 1};
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_info info = {.age_seconds = NAN};
	struct cw_query *query;
	uint32_t n = 0;
	if (reader->query_open(self, &spec, &query, error) < 0)
		return (double)NAN;
	run(reader, query, count_any, &n, &info);
	reader->query_close(query);
	return info.age_seconds;
}

/* Notices that wait and are in no journal; negative: nobody knows. */
static int64_t unwritten(struct cw_instance *self, const struct cw_reader *reader)
{
	static const char *const where[] = {"on_disk=false", "state!=sent", "state!=dead"};
	struct cw_query_spec spec = {.table = "notifications", .where = where, .where_count = 3};
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_info info;
	struct cw_query *query;
	uint32_t n = 0;
	if (reader->query_open(self, &spec, &query, error) < 0)
		return 0; /* no notice was ever made */
	int status = run(reader, query, count_any, &n, &info);
	reader->query_close(query);
	return status == 0 ? (int64_t)n : -1;
}

/* ---- judging ---- */

static bool not_well(char reason[WELL_REASON_MAX], const char *format, ...) CW_PRINTF(2, 3);
static bool not_well(char reason[WELL_REASON_MAX], const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(reason, WELL_REASON_MAX, format, list);
	va_end(list);
	return false;
}

bool well_look(struct cw_instance *self, const struct cw_host *host, uint32_t what, char reason[WELL_REASON_MAX])
{
	struct seeing seeing = {.rows = 0};
	struct cw_query_info info = {.age_seconds = NAN};
	reason[0] = '\0';
	if (see_instances(self, host->reader, &seeing, &info) != 0 || seeing.rows == 0)
		return not_well(reason, "table instances cannot be read");
	if (isnan(info.age_seconds))
		return not_well(reason, "the hub has not written table instances yet");
	if (info.age_seconds > stale_after_seconds)
		return not_well(reason, "the hub has not written table instances for %.0f s", info.age_seconds);
	if ((what & WELL_NOTIFIERS) && seeing.notifiers.all && !seeing.notifiers.work)
		return not_well(reason, "no notifier works, first %s", seeing.notifiers.first);
	if ((what & WELL_SOURCES) && seeing.sources.work < seeing.sources.all)
		return not_well(reason, "%u of %u sources do not work, first %s",
				seeing.sources.all - seeing.sources.work, seeing.sources.all, seeing.sources.first);
	if ((what & WELL_OUTPUTS) && seeing.outputs.work < seeing.outputs.all)
		return not_well(reason, "%u of %u outputs do not work, first %s",
				seeing.outputs.all - seeing.outputs.work, seeing.outputs.all, seeing.outputs.first);
	double silence = silence_of_alerting(self, host->reader);
	if (isnan(silence))
		return not_well(reason, "alerting has not looked at anything yet");
	if (silence > still_after_seconds)
		return not_well(reason, "alerting stands still: table alerts was not confirmed for %.0f s", silence);
	int64_t waiting = what & WELL_JOURNAL ? unwritten(self, host->reader) : 0;
	if (waiting < 0)
		return not_well(reason, "table notifications cannot be read");
	if (waiting > 0)
		return not_well(reason, "the journal cannot be written: %lld notices wait and are not on disk",
				(long long)waiting);
	return true;
}
