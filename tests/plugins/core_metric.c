/* SPDX-License-Identifier: MIT
 *
 * core-metric: its descriptor has a metric that the core gives of every instance.
 */
#include <callwatch/plugin.h>

static const struct cw_metric metrics[] = {
	{.name = "instance_up", .kind = CW_GAUGE, .unit = "", .help = "Whether it is up"},
};

static int bad_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		     void **ret_state)
{
	(void)self, (void)host, (void)values, (void)ret_state;
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,     .name = "core-metric",        .summary = "A metric of the core, for tests",
	.role = CW_SOURCE, .metrics = CW_ARRAY(metrics), .start = bad_start,
};
