/* SPDX-License-Identifier: MIT
 *
 * nostart: a source whose start() fails the first `failures` times, with a reason of its own if `reason` is set.
 */
#include <callwatch/plugin.h>

#include <stdlib.h>
#include <time.h>

static const struct cw_option options[] = {
	{.key = "failures", .type = CW_OPTION_INT, .fallback = "1000000", .help = "How often it fails"},
	{.key = "after", .type = CW_OPTION_DURATION, .fallback = "0s", .help = "How long it blocks before"},
	{.key = "reason", .type = CW_OPTION_STRING, .help = "What it says"},
};

/* State outside the instance, which a real plugin must not have: it has to outlive the failed starts. */
static _Thread_local int64_t failed;

static int nostart_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			 void **ret_state)
{
	*ret_state = malloc(1);
	if (failed >= cw_get_integer(values, "failures", 0))
		return 0;
	failed++;
	int64_t length = cw_get_integer(values, "after", 0);
	nanosleep(&(struct timespec){length / CW_SECOND, length % CW_SECOND}, NULL);
	if (cw_get_string(values, "reason"))
		host->state(self, CW_DOWN, 0, "%s", cw_get_string(values, "reason"));
	return -111; /* ECONNREFUSED */
}

static int nostart_read(void *state)
{
	(void)state;
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "nostart",
	.summary = "A source that fails to start, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.start = nostart_start,
	.read = nostart_read,
	.release = free,
};
