/* SPDX-License-Identifier: MIT
 *
 * ticker: says how late each of its readings began. Ticks are aligned to the interval in wall time, so the lateness is
 * what is over a whole number of intervals. For tests/bench.
 */
#include <callwatch/plugin.h>

#include <stdlib.h>

static const struct cw_metric metrics[] = {
	{.name = "tick_lateness_seconds", .kind = CW_GAUGE, .unit = "seconds", .help = "How late the reading began"},
};

struct ticker {
	struct cw_instance *self;
	const struct cw_host *host;
	bool ticks;
};

static int ticker_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			void **ret_state)
{
	(void)values;
	struct ticker *ticker = malloc(sizeof *ticker);
	if (!ticker)
		return -12; /* ENOMEM */
	*ticker = (struct ticker){.self = self, .host = host};
	*ret_state = ticker;
	return 0;
}

static int ticker_read(void *state)
{
	struct ticker *ticker = state;
	int64_t interval = ticker->host->info(ticker->self)->interval, late = ticker->host->wall() % interval;
	/* The first reading comes at once and is no tick; a timer may be a fraction of a millisecond early. */
	if (ticker->ticks)
		ticker->host->gauge(ticker->self, 0, NULL,
				    interval - late < 2 * CW_MILLISECOND ? 0 : (double)late / (double)CW_SECOND);
	ticker->ticks = true;
	ticker->host->state(ticker->self, CW_UP, 0, "%s", "");
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "ticker",
	.summary = "A source that measures its schedule, for tests",
	.role = CW_SOURCE,
	.metrics = CW_ARRAY(metrics),
	.start = ticker_start,
	.read = ticker_read,
	.release = free,
};
