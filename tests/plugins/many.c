/* SPDX-License-Identifier: MIT
 *
 * many: gives a number of series, a third each of counters, gauges with a fraction, and whole gauges, each with two
 * labels. For tests/bench.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>

static const struct cw_option options[] = {
	{.key = "series", .type = CW_OPTION_INT, .fallback = "100", .min = 1, .max = 1e6, .help = "How many series"},
};

static const char *const kinds[] = {"even", "odd", NULL};

static const struct cw_metric metrics[] = {
	{.name = "many_seen_total", .kind = CW_COUNTER, .help = "Counts", .labels = {{"kind", kinds}, {"item", NULL}}},
	{.name = "many_age_seconds",
	 .kind = CW_GAUGE,
	 .unit = "seconds",
	 .help = "Has a fraction",
	 .labels = {{"kind", kinds}, {"item", NULL}}},
	{.name = "many_depth", .kind = CW_GAUGE, .help = "Is whole", .labels = {{"kind", kinds}, {"item", NULL}}},
};

struct many {
	struct cw_instance *self;
	const struct cw_host *host;
	uint32_t series;
	uint64_t readings;
};

static int many_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		      void **ret_state)
{
	struct many *many = malloc(sizeof *many);
	if (!many)
		return -12; /* ENOMEM */
	*many = (struct many){
		.self = self, .host = host, .series = (uint32_t)cw_get_integer(values, "series", /* otherwise: */ 100)};
	*ret_state = many;
	return 0;
}

static int many_read(void *state)
{
	struct many *many = state;
	char item[32];
	many->readings++;
	for (uint32_t i = 0; i < many->series; i++) {
		const char *labels[] = {kinds[i % 2], item};
		snprintf(item, sizeof item, "item-%08u", i);
		if (i % 3 == 0)
			many->host->counter(many->self, 0, labels, many->readings * 1000 + i);
		else
			many->host->gauge(many->self, i % 3, labels, i % 3 == 1 ? i / 7.0 : (double)i);
	}
	many->host->state(many->self, CW_UP, 0, "%s", "");
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "many",
	.summary = "A source of many series, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.start = many_start,
	.read = many_read,
	.release = free,
};
