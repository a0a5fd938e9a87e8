/* SPDX-License-Identifier: MIT
 *
 * jammed: a frontend that blocks once, in its first write(). The service manager is told that the agent lives only
 * while its frontends do.
 */
#include <callwatch/plugin.h>

#include <stdlib.h>
#include <time.h>

static const struct cw_option options[] = {
	{.key = "for", .type = CW_OPTION_DURATION, .fallback = "30s", .help = "How long it blocks"},
};

struct jammed {
	int64_t length; /* 0: it has blocked */
};

static int jammed_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			void **ret_state)
{
	(void)self;
	(void)host;
	struct jammed *jammed = malloc(sizeof *jammed);
	if (!jammed)
		return -12; /* ENOMEM */
	jammed->length = cw_get_integer(values, "for", 0);
	*ret_state = jammed;
	return 0;
}

static int jammed_write(void *state, const struct cw_batch *batch)
{
	(void)batch;
	struct jammed *jammed = state;
	struct timespec length = {jammed->length / CW_SECOND, jammed->length % CW_SECOND};
	nanosleep(&length, NULL);
	jammed->length = 0;
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "jammed",
	.summary = "A frontend that blocks once, for tests",
	.role = CW_FRONTEND,
	.options = CW_ARRAY(options),
	.start = jammed_start,
	.write = jammed_write,
	.release = free,
};
