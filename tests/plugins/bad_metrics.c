/* SPDX-License-Identifier: MIT
 *
 * bad-metrics: its descriptor has a metric that is called like a part of its histogram.
 */
#include <callwatch/plugin.h>

static const double bounds[] = {1, 10};
static const struct cw_metric metrics[] = {
	{.name = "wait_seconds_count", .kind = CW_GAUGE, .unit = "", .help = "How many wait"},
	{.name = "wait_seconds",
	 .kind = CW_HISTOGRAM,
	 .unit = "seconds",
	 .help = "How long they waited",
	 .bounds = bounds,
	 .bounds_count = 2},
};

static int bad_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		     void **ret_state)
{
	(void)self, (void)host, (void)values, (void)ret_state;
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,     .name = "bad-metrics",        .summary = "Two metrics under one name, for tests",
	.role = CW_SOURCE, .metrics = CW_ARRAY(metrics), .start = bad_start,
};
