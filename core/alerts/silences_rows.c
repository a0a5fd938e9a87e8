/* SPDX-License-Identifier: MIT
 *
 * Table `silences`: who does not want to hear what, until when. A part of instance `agent`.
 */
#include "alerting_private.h"

#include "alerts_rows.h"
#include "clock.h"
#include "hub.h"

#include <errno.h>
#include <string.h>

enum { S_ID, S_MATCHERS, S_STARTS_AT, S_ENDS_AT, S_EVERY, S_CREATED_BY, S_COMMENT, S_MUTES, S_TIMEZONE, S_COLUMNS };

static const struct cw_column columns[S_COLUMNS] = {
	[S_ID] = {.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "The silence"},
	[S_MATCHERS] = {.name = "matchers",
			.type = CW_TEXT,
			.help = "What it mutes: all of these hold, one a line; nothing: everything"},
	[S_STARTS_AT] = {.name = "starts_at", .type = CW_TIME, .help = "When it begins"},
	[S_ENDS_AT] = {.name = "ends_at", .type = CW_TIME, .help = "When it ends"},
	[S_EVERY] = {.name = "every", .type = CW_TEXT, .help = "The windows of each week in which it mutes"},
	[S_CREATED_BY] = {.name = "created_by", .type = CW_TEXT, .help = "Who asked for it"},
	[S_COMMENT] = {.name = "comment", .type = CW_TEXT, .help = "Why"},
	[S_MUTES] = {.name = "mutes", .type = CW_INT, .unit = "alerts", .help = "Alerts that it mutes now"},
	[S_TIMEZONE] = {.name = "timezone", .type = CW_TEXT, .flags = CW_COLUMN_WIDE, .help = "Of the windows"},
};

const struct cw_table_decl silences_decl = {
	.name = "silences",
	.help = "What nobody is told of for a while; those that ended lately too",
	.columns = CW_ARRAY(columns),
	.sort = "-ends_at",
};

int silences_rows_open(struct alerting *alerting)
{
	int rc = table_open(alerting->tables, "agent", &silences_decl, /* extra */ NULL, &alerting->silences_part);
	if (rc == 0)
		silences_rows_confirm(alerting);
	return rc;
}

void silences_rows_confirm(struct alerting *alerting)
{
	int64_t wall = clock_wall();
	part_coverage(alerting->silences_part,
		      &(struct cw_coverage){.from = wall, .to = wall, .complete = true, .ratio = 1});
}

void silences_rows_show(struct alerting *alerting, struct silence *silence)
{
	struct cw_cell cells[S_COLUMNS] = {
		[S_ID] = cw_string_cell(silence->id),
		[S_MATCHERS] = cw_string_cell(silence->matchers),
		[S_STARTS_AT] = cw_integer_cell(silence->starts_at),
		[S_ENDS_AT] = cw_integer_cell(silence->ends_at),
		[S_EVERY] = cw_string_cell(silence->every),
		[S_CREATED_BY] = cw_string_cell(silence->created_by),
		[S_COMMENT] = cw_string_cell(silence->comment),
		[S_MUTES] = cw_integer_cell(silence->mutes),
		[S_TIMEZONE] = cw_string_cell(silence->every ? silence->timezone : NULL),
	};
	silence->row = row_put(alerting->silences_part, cells);
}

void silences_rows_hide(struct alerting *alerting, struct silence *silence)
{
	int64_t row = row_find(alerting->silences_part, silence->id, strlen(silence->id));
	if (row >= 0)
		row_remove(alerting->silences_part, (uint32_t)row, "old");
}
