/* SPDX-License-Identifier: MIT
 *
 * rogue: a source that misbehaves as its option `how` says: blocks or loops in a callback or in its loop, never ends a
 * reading, leaves a handle, gives samples at the wrong time. It links libuv for its timer, as real plugins do.
 */
#include <callwatch/plugin.h>

#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

static const struct cw_metric metrics[] = {
	{.name = "rogue_value", .kind = CW_GAUGE, .unit = "", .help = "Whatever comes"},
};

static const char *const ways[] = {"read_blocks",   "read_loops",  "loop_blocks",
				   "start_blocks",  "stop_blocks", "never_done",
				   "leaves_handle", "bad_samples", NULL};
enum way { READ_BLOCKS, READ_LOOPS, LOOP_BLOCKS, START_BLOCKS, STOP_BLOCKS, NEVER_DONE, LEAVES_HANDLE, BAD_SAMPLES };

static const struct cw_option options[] = {
	{.key = "how", .type = CW_OPTION_CHOICE, .choices = ways, .flags = CW_OPTION_REQUIRED, .help = "What it does"},
	{.key = "for", .type = CW_OPTION_DURATION, .fallback = "30s", .help = "How long it blocks"},
};

struct rogue {
	struct cw_instance *self;
	const struct cw_host *host;
	enum way way;
	int64_t length;
	uv_timer_t timer;
	volatile uint64_t spins;
};

static void block(const struct rogue *rogue)
{
	struct timespec length = {rogue->length / CW_SECOND, rogue->length % CW_SECOND};
	while (nanosleep(&length, &length) != 0)
		;
}

static void on_timer(uv_timer_t *timer)
{
	struct rogue *rogue = timer->data;
	if (rogue->way == LOOP_BLOCKS)
		block(rogue);
}

static int rogue_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	struct rogue *rogue = calloc(1, sizeof *rogue);
	if (!rogue)
		return -12; /* ENOMEM */
	rogue->self = self;
	rogue->host = host;
	rogue->way = (enum way)cw_get_integer(values, "how", 0);
	rogue->length = cw_get_integer(values, "for", 0);
	rogue->timer.data = rogue;
	uv_timer_init(host->loop(self), &rogue->timer);
	uv_timer_start(&rogue->timer, on_timer, 100, 100);
	*ret_state = rogue;
	if (rogue->way == START_BLOCKS)
		block(rogue);
	return 0;
}

static int rogue_read(void *state)
{
	struct rogue *rogue = state;
	switch (rogue->way) {
	case READ_BLOCKS:
		block(rogue);
		return 0;
	case READ_LOOPS:
		for (;;)
			rogue->spins++;
	case NEVER_DONE:
		return CW_LATER;
	case BAD_SAMPLES:
		rogue->host->gauge(rogue->self, 0, NULL, NAN);
		rogue->host->gauge(rogue->self, 7, NULL, 1);
		rogue->host->gauge(rogue->self, 0, NULL, 1);
		return 0;
	default:
		return 0;
	}
}

static void rogue_stop(void *state)
{
	struct rogue *rogue = state;
	if (rogue->way == STOP_BLOCKS)
		block(rogue);
	if (rogue->way != LEAVES_HANDLE)
		uv_close((uv_handle_t *)&rogue->timer, NULL);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "rogue",
	.summary = "A source that misbehaves, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.start = rogue_start,
	.read = rogue_read,
	.stop = rogue_stop,
	.release = free,
};
