/* SPDX-License-Identifier: MIT
 *
 * counter: a source of numbers, so that what arrives somewhere can be held against what was produced. Each reading
 * gives the next `batch` of them as samples. The next number is kept in the file `path`, so that no number is given
 * twice, whatever becomes of the process. While `<path>.hold` exists, there are none.
 */
#include <callwatch/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NUMBER };

static const struct cw_metric metrics[] = {
	[NUMBER] = {.name = "counter_number",
		    .kind = CW_GAUGE,
		    .unit = "",
		    .help = "A number that no other sample has",
		    .labels = {{.name = "place", .values = NULL}}},
};

static const struct cw_option options[] = {
	{.key = "path", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "File with the next number"},
	{.key = "batch",
	 .type = CW_OPTION_INT,
	 .fallback = "10",
	 .min = 1,
	 .max = 100000,
	 .help = "How many at a time"},
};

struct counter {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *path;
	int fd;
	int64_t batch;
	long long next;
};

static int counter_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			 void **ret_state)
{
	struct counter *counter = calloc(1, sizeof *counter);
	if (!counter)
		return -ENOMEM;
	*ret_state = counter;
	*counter = (struct counter){.self = self, .host = host, .path = cw_get_string(values, "path")};
	counter->batch = cw_get_integer(values, "batch", 1);
	counter->fd = open(counter->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char text[32] = "";
	if (counter->fd < 0 || pread(counter->fd, text, sizeof text - 1, 0) < 0)
		return -errno;
	counter->next = strtoll(text, NULL, 10);
	return 0;
}

static int counter_read(void *state)
{
	struct counter *counter = state;
	char text[1024];
	counter->host->state(counter->self, CW_UP, 0, "%s", "");
	snprintf(text, sizeof text, "%s.hold", counter->path);
	if (access(text, F_OK) == 0)
		return 0;
	long long first = counter->next;
	counter->next += counter->batch;
	int length = snprintf(text, sizeof text, "%lld\n", counter->next);
	if (pwrite(counter->fd, text, (size_t)length, 0) != length)
		return -EIO;
	for (int64_t i = 0; i < counter->batch; i++) {
		char place[32];
		const char *label = place;
		snprintf(place, sizeof place, "%lld", (long long)i);
		counter->host->gauge(counter->self, NUMBER, &label, (double)(first + i));
	}
	return 0;
}

static void counter_release(void *state)
{
	struct counter *counter = state;
	if (counter->fd >= 0)
		close(counter->fd);
	free(counter);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "counter",
	.summary = "A source of numbers, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.start = counter_start,
	.read = counter_read,
	.release = counter_release,
};
