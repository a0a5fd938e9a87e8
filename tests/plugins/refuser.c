/* SPDX-License-Identifier: MIT
 *
 * refuser: an output that sends nothing. Its queue fills, and the oldest samples are dropped. With `picky` it takes all
 * but the first sample of each batch.
 */
#include <callwatch/plugin.h>

#include <stdlib.h>

static const struct cw_option options[] = {
	{.key = "picky", .type = CW_OPTION_BOOL, .help = "Takes batches, but not the first sample of each"},
};

struct refuser {
	struct cw_instance *self;
	const struct cw_host *host;
	bool picky;
};

static int refuser_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			 void **ret_state)
{
	struct refuser *refuser = malloc(sizeof *refuser);
	if (!refuser)
		return -12; /* ENOMEM */
	*refuser = (struct refuser){.self = self, .host = host, .picky = cw_get_bool(values, "picky")};
	*ret_state = refuser;
	return 0;
}

static int refuser_write(void *state, const struct cw_batch *batch)
{
	struct refuser *refuser = state;
	(void)batch;
	refuser->host->dropped(refuser->self, CW_DROP_REFUSED, 1);
	return refuser->picky ? 0 : -5; /* EIO */
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "refuser",
	.summary = "An output that sends nothing, for tests",
	.role = CW_OUTPUT,
	.options = CW_ARRAY(options),
	.start = refuser_start,
	.write = refuser_write,
	.release = free,
};
