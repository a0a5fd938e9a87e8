/* SPDX-License-Identifier: MIT
 *
 * See intake.h.
 */
#include "intake.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A series that was not given for so long makes room, if others want its place. */
static const int64_t kept_for = 600 * CW_SECOND;

/* ---- what the parser tells ---- */

static void on_bad(void *arg, enum bad kind, const char *text)
{
	struct intake *intake = arg;
	intake->malformed[kind]++;
	intake->is_line_bad = true;
	intake->host->count_malformed(intake->self, 1);
	if (!intake->first_bad[0])
		snprintf(intake->first_bad, sizeof(intake->first_bad), "line %llu: %s",
			 (unsigned long long)intake->lines, text);
}

/* A script that says how often it speaks, and an instance that thinks otherwise: outputs believe the instance. */
static void note_interval(struct intake *intake, int64_t interval)
{
	char said[TEXT_DURATION_SIZE], ours[TEXT_DURATION_SIZE];
	if (interval)
		intake->told_interval = interval;
	if (interval == 0 || interval == intake->info->interval || intake->is_interval_said)
		return;
	intake->is_interval_said = true;
	text_duration(said, (double)interval / (double)CW_SECOND);
	text_duration(ours, (double)intake->info->interval / (double)CW_SECOND);
	intake->host->log(intake->self, CW_INFO,
			  "the command says its values come every %s, and this instance's interval is %s: set "
			  "`interval:` to what is right",
			  said, ours);
}

static void on_point(void *arg, const struct point *point)
{
	struct intake *intake = arg;
	struct catalogued value;
	enum bad bad;
	char text[BAD_TEXT_MAX];
	if (catalogue_take(intake->catalogue, point, intake->host->now(), &value, &bad, text) < 0) {
		on_bad(intake, bad, text);
		return;
	}
	note_interval(intake, point->interval);
	intake->values++;
	intake->host->sample(intake->self, value.metric, &value.sample);
}

static void on_remark(void *arg, enum remark remark, const char *text)
{
	struct intake *intake = arg;
	char quoted[QUOTED_MAX];
	if (intake->is_said[remark])
		return;
	intake->is_said[remark] = true;
	if (remark == REMARK_NOTIFICATION)
		intake->host->log(intake->self, CW_INFO, "notifications (PUTNOTIF) are not taken, and passed over");
	else
		intake->host->log(intake->self, CW_WARNING,
				  "the type `%s` is in no types.db that was read: it is taken for a gauge (option "
				  "`types_db`)",
				  parse_quote(quoted, text));
}

/* ---- lines ---- */

static void parse(struct intake *intake, char *line, size_t length)
{
	const struct parse_sink sink = {.point = on_point, .bad = on_bad, .remark = on_remark, .arg = intake};
	switch (intake->format) {
	case FORMAT_PUTVAL:
		parse_putval(intake->types, intake->info->host, line, &sink);
		break;
	case FORMAT_PROMETHEUS:
		exposition_line(intake->exposition, line, &sink);
		break;
	case FORMAT_GRAPHITE:
		parse_graphite(line, &sink);
		break;
	case FORMAT_NDJSON:
		parse_ndjson(line, length, &sink);
		break;
	}
}

void intake_line(struct intake *intake, char *line, size_t length, bool is_cut)
{
	intake->lines++;
	intake->is_line_bad = false;
	if (is_cut)
		on_bad(intake, BAD_LENGTH, "it is longer than 64 KiB");
	else if (memchr(line, '\0', length))
		on_bad(intake, BAD_SYNTAX, "there is a NUL byte in it");
	else
		parse(intake, line, length);
	intake->bad_lines += intake->is_line_bad;
}

void intake_begin(struct intake *intake)
{
	intake->lines = intake->values = intake->bad_lines = 0;
	intake->first_bad[0] = '\0';
}

void intake_end(struct intake *intake)
{
	const struct parse_sink sink = {.point = on_point, .bad = on_bad, .remark = on_remark, .arg = intake};
	intake->is_line_bad = false;
	if (intake->exposition)
		exposition_end(intake->exposition, &sink);
	intake->bad_lines += intake->is_line_bad;
}

void intake_drop(struct intake *intake)
{
	if (intake->exposition)
		exposition_drop(intake->exposition);
}

/* ---- life ---- */

static void load_types(const struct intake *intake, const struct cw_value *files)
{
	for (uint32_t i = 0; files && i < files->count; i++) {
		const char *path = files->children[i].string;
		int status = types_load(intake->types, path);
		if (status < 0 && files->is_set)
			intake->host->log(intake->self, CW_WARNING, "cannot read %s: %s: its types are not known", path,
					  strerror(-status));
		else if (status > 0)
			intake->host->log(intake->self, CW_WARNING, "%s: %d lines are no types", path, status);
	}
}

static int64_t declare(void *arg, const struct cw_metric *metric)
{
	const struct intake *intake = arg;
	return intake->host->declare(intake->self, metric);
}

int intake_init(struct intake *intake, struct cw_instance *self, const struct cw_host *host, enum format format,
		uint32_t max_series, const struct cw_value *types_db, uint32_t first_index)
{
	*intake = (struct intake){.self = self, .host = host, .info = host->info(self), .format = format};
	const struct catalogue_host catalogue_host = {.declare = declare, .arg = intake, .first_index = first_index};
	int64_t patience = 10 * intake->info->interval;
	intake->catalogue = catalogue_new(&catalogue_host, max_series, patience > kept_for ? patience : kept_for);
	if (!intake->catalogue)
		return -ENOMEM;
	if (format == FORMAT_PROMETHEUS)
		return (intake->exposition = exposition_new()) ? 0 : -ENOMEM;
	if (format != FORMAT_PUTVAL)
		return 0;
	if (!(intake->types = types_new()))
		return -ENOMEM;
	load_types(intake, types_db);
	return 0;
}

void intake_release(struct intake *intake)
{
	catalogue_free(intake->catalogue);
	exposition_free(intake->exposition);
	types_free(intake->types);
	*intake = (struct intake){.self = NULL};
}
