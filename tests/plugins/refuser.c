/* SPDX-License-Identifier: MIT
 *
 * refuser: an output that sends nothing. Its queue fills, and the oldest samples are dropped.
 */
#include <callwatch/plugin.h>

static int refuser_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			 void **ret_state)
{
	(void)self;
	(void)host;
	(void)values;
	*ret_state = NULL;
	return 0;
}

static int refuser_write(void *state, const struct cw_batch *batch)
{
	(void)state;
	(void)batch;
	return -5; /* EIO */
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,     .name = "refuser",      .summary = "An output that sends nothing, for tests",
	.role = CW_OUTPUT, .start = refuser_start, .write = refuser_write,
};
