/* SPDX-License-Identifier: MIT
 *
 * flood: as many samples as an output can be asked to take, and each of them known: reading r (from 1) gives series s
 * (from 0) the value r × 1000000 + s, as gauge `flood_value` and, if `counters`, as counter `flood_total`. After
 * `readings` readings it gives no more and goes on. The series are called by `names`, then by number (s000000). For
 * tests/system and tests/bench.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>

static const struct cw_option options[] = {
	{.key = "series", .type = CW_OPTION_INT, .fallback = "100", .min = 1, .max = 1e6, .help = "How many series"},
	{.key = "readings", .type = CW_OPTION_INT, .fallback = "0", .help = "How many readings give samples; 0: all"},
	{.key = "counters", .type = CW_OPTION_BOOL, .fallback = "false", .help = "Each series also as a counter"},
	{.key = "names", .type = CW_OPTION_LIST, .fallback = "[]", .help = "What the first series are called"},
};

static const struct cw_metric metrics[] = {
	{.name = "flood_value", .kind = CW_GAUGE, .help = "A known number", .labels = {{"series", NULL}}},
	{.name = "flood_total", .kind = CW_COUNTER, .help = "The same number", .labels = {{"series", NULL}}},
};

enum { NUMBER_SIZE = 24 };

struct flood {
	struct cw_instance *self;
	const struct cw_host *host;
	int64_t series, readings, limit;
	bool counters;
	const char **labels; /* of each series, made once: a source that is measured should cost little itself */
	char (*numbers)[NUMBER_SIZE];
};

static void flood_release(void *state)
{
	struct flood *flood = state;
	if (!flood)
		return;
	free(flood->labels);
	free(flood->numbers);
	free(flood);
}

static void name_series(struct flood *flood, const struct cw_value *names)
{
	for (int64_t i = 0; i < flood->series; i++) {
		snprintf(flood->numbers[i], NUMBER_SIZE, "s%06lld", (long long)i);
		flood->labels[i] = i < names->count ? names->children[i].string : flood->numbers[i];
	}
}

static int flood_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	struct flood *flood = malloc(sizeof *flood);
	if (!flood)
		return -12; /* ENOMEM */
	*flood = (struct flood){.self = self,
				.host = host,
				.series = cw_get_integer(values, "series", /* otherwise */ 100),
				.limit = cw_get_integer(values, "readings", /* otherwise */ 0),
				.counters = cw_get_bool(values, "counters")};
	*ret_state = flood;
	flood->labels = calloc((size_t)flood->series, sizeof *flood->labels);
	flood->numbers = calloc((size_t)flood->series, sizeof *flood->numbers);
	if (!flood->labels || !flood->numbers)
		return -12; /* ENOMEM */
	name_series(flood, cw_get(values, "names"));
	return 0;
}

static int flood_read(void *state)
{
	struct flood *flood = state;
	const struct cw_host *host = flood->host;
	flood->readings++;
	for (int64_t i = 0; i < flood->series && (!flood->limit || flood->readings <= flood->limit); i++) {
		int64_t value = flood->readings * 1000000 + i;
		host->gauge(flood->self, 0, &flood->labels[i], (double)value);
		if (flood->counters)
			host->counter(flood->self, 1, &flood->labels[i], (uint64_t)value);
	}
	host->state(flood->self, CW_UP, /* next_try */ 0, "%s", "");
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "flood",
	.summary = "A source of any number of known samples, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.start = flood_start,
	.read = flood_read,
	.release = flood_release,
};
