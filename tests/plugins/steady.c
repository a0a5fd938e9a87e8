/* SPDX-License-Identifier: MIT
 *
 * steady: a source that behaves. Each reading gives a gauge, a counter, one gauge per state, and puts `rows` rows into
 * table `steps`, whose state changes with each reading.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>

static const char *const states[] = {"even", "odd", NULL};

enum { ROWS, READINGS, BY_STATE };

static const struct cw_metric metrics[] = {
	[ROWS] = {.name = "steady_rows", .kind = CW_GAUGE, .unit = "", .help = "Rows in the table"},
	[READINGS] = {.name = "steady_readings_total", .kind = CW_COUNTER, .unit = "", .help = "Readings so far"},
	[BY_STATE] = {.name = "steady_rows_by_state",
		      .kind = CW_GAUGE,
		      .unit = "",
		      .help = "Rows in each state",
		      .labels = {{.name = "state", .values = states}}},
};

enum { STEP, STATE, STATE_SINCE, SEEN_AGE, COLUMNS };

static const struct cw_column columns[] = {
	[STEP] = {.name = "step", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Name of the step"},
	[STATE] = {.name = "state",
		   .type = CW_CHOICE,
		   .flags = CW_COLUMN_WATCHED,
		   .choices = states,
		   .help = "Whether the number of readings is even"},
	[STATE_SINCE] = {.name = "state_since", .type = CW_SINCE, .of = "state", .help = "When it changed"},
	[SEEN_AGE] = {.name = "seen_age_seconds", .type = CW_AGE, .unit = "seconds", .help = "Since the reading"},
};

static const struct cw_table_decl tables[] = {
	{.name = "steps", .help = "What the last reading saw", .columns = CW_ARRAY(columns), .sort = "step"},
};

static const char *const lookups[] = {"lookup", NULL};
static const struct cw_option names_options[] = {
	{.key = "from", .type = CW_OPTION_INSTANCE, .choices = lookups, .help = "Name of a lookup"},
};

static const struct cw_option options[] = {
	{.key = "rows", .type = CW_OPTION_INT, .fallback = "3", .min = 0, .max = 1000, .help = "How many rows to keep"},
	{.key = "secret", .type = CW_OPTION_STRING, .flags = CW_OPTION_SECRET, .help = "Something to be kept"},
	{.key = "broken", .type = CW_OPTION_BOOL, .help = "Says that it is down"},
	{.key = "refuse", .type = CW_OPTION_BOOL, .help = "Makes check() refuse the options"},
	{.key = "other", .type = CW_OPTION_INSTANCE, .help = "Name of another instance"},
	{.key = "names",
	 .type = CW_OPTION_GROUP,
	 .fields = CW_ARRAY(names_options),
	 .help = "Where names are looked up"},
};

struct steady {
	struct cw_instance *self;
	const struct cw_host *host;
	struct cw_part *part;
	int64_t rows;
	uint64_t readings;
	bool broken;
};

static void steady_check(const struct cw_value *values, struct cw_problems *problems)
{
	if (cw_get_bool(values, "refuse"))
		problems->error(problems, cw_get(values, "refuse"), "the plugin refuses to be asked to refuse");
}

static int steady_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			void **ret_state)
{
	struct steady *steady = calloc(1, sizeof *steady);
	if (!steady)
		return -12; /* ENOMEM */
	*steady = (struct steady){.self = self, .host = host, .rows = cw_get_integer(values, "rows", 0)};
	steady->broken = cw_get_bool(values, "broken");
	*ret_state = steady;
	return host->table_open(self, 0, NULL, &steady->part);
}

static void put_rows(struct steady *steady)
{
	steady->host->full_begin(steady->part);
	for (int64_t i = 0; i < steady->rows; i++) {
		char key[32];
		int length = snprintf(key, sizeof key, "step-%03d", (int)i);
		struct cw_cell cells[COLUMNS] = {
			[STEP] = {.type = CW_CELL_TEXT, .length = (uint32_t)length, .text = key},
			[STATE] = {.type = CW_CELL_INTEGER, .integer = (int64_t)(steady->readings % 2)},
			[SEEN_AGE] = {.type = CW_CELL_INTEGER, .integer = steady->host->now()},
		};
		steady->host->row_put(steady->part, cells);
	}
	steady->host->full_end(steady->part, NULL, NULL);
	int64_t now = steady->host->wall();
	steady->host->coverage(steady->part,
			       &(struct cw_coverage){.from = now, .to = now, .complete = true, .ratio = 1});
}

static int steady_read(void *state)
{
	struct steady *steady = state;
	const struct cw_host *host = steady->host;
	if (steady->broken) {
		host->state(steady->self, CW_DOWN, 0, "broken, as configured");
		return -5; /* EIO */
	}
	steady->readings++;
	put_rows(steady);
	host->gauge(steady->self, ROWS, NULL, (double)host->row_count(steady->part));
	host->counter(steady->self, READINGS, NULL, steady->readings);
	uint64_t counts[2] = {0};
	host->choice_counts(steady->part, STATE, counts, 2);
	for (unsigned i = 0; i < 2; i++)
		host->gauge(steady->self, BY_STATE, &states[i], (double)counts[i]);
	host->state(steady->self, CW_UP, 0, "%s", "");
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "steady",
	.summary = "A source that behaves, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.metrics = CW_ARRAY(metrics),
	.check = steady_check,
	.start = steady_start,
	.read = steady_read,
	.release = free,
};
