/* SPDX-License-Identifier: MIT
 *
 * checked: a source with three checks. The first and the third are well; the second does what `second` says: it is ok,
 * warning or failed, is silent (no answer ever), or blocks for ten minutes.
 */
#include <callwatch/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct cw_check checks[] = {
	{"first", "The first holds"},
	{"second", "The second holds"},
	{"third", "The third holds"},
};

static const char *const seconds[] = {"ok", "warning", "failed", "silent", "blocks", NULL};
enum { OK, WARNING, FAILED, SILENT, BLOCKS };

static const struct cw_option options[] = {
	{.key = "second",
	 .type = CW_OPTION_CHOICE,
	 .choices = seconds,
	 .fallback = "ok",
	 .help = "What its second check does"},
};

struct checked {
	struct cw_instance *self;
	const struct cw_host *host;
	int64_t second;
};

static int checked_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			 void **ret_state)
{
	struct checked *checked = malloc(sizeof *checked);
	if (!checked)
		return -12; /* ENOMEM */
	*checked = (struct checked){self, host, cw_get_integer(values, "second", OK)};
	*ret_state = checked;
	return 0;
}

static int checked_read(void *state)
{
	(void)state;
	return 0;
}

static void checked_examine(void *state, uint32_t check)
{
	static const enum cw_verdict verdicts[] = {CW_CHECK_OK, CW_CHECK_WARNING, CW_CHECK_FAILED};
	const struct checked *checked = state;
	int64_t what = check == 1 ? checked->second : OK;
	if (what == BLOCKS)
		nanosleep(&(struct timespec){600, 0}, NULL);
	if (what <= FAILED)
		checked->host->examined(checked->self, verdicts[what], "what %s was found: <b>&\x1b[31m",
					checks[check].name);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "checked",
	.summary = "A source with checks, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.checks = CW_ARRAY(checks),
	.start = checked_start,
	.read = checked_read,
	.examine = checked_examine,
	.release = free,
};
