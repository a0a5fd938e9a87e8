/* SPDX-License-Identifier: MIT
 *
 * sink: an output that appends samples to a file, a line each, and can be told to misbehave while it runs: by files
 * that exist beside it. With `<path>.fail` write() fails, and the plugin says that it is up again when that file has
 * gone; with `<path>.hang` write() does not end before that file has gone; with `<path>.nostart` it cannot start. A
 * batch is one write(2), so whoever kills the process finds no half of one.
 */
#include <callwatch/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { LOOK_MS = 5 };

static const struct cw_option options[] = {
	{.key = "path", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "The file"},
	{.key = "version", .type = CW_OPTION_INT, .help = "Something to change, so that a reload restarts it"},
};

struct sink {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *path;
	int fd;
	uv_timer_t timer;
	const struct cw_batch *batch; /* waits for `.hang` to go; NULL: none */
};

static bool told_to(const struct sink *sink, const char *what)
{
	char path[1024];
	snprintf(path, sizeof path, "%s.%s", sink->path, what);
	return access(path, F_OK) == 0;
}

static int append(const struct sink *sink, const struct cw_batch *batch)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&text, &length);
	if (!stream)
		return -ENOMEM;
	for (uint32_t i = 0; i < batch->samples.count; i++) {
		const struct cw_sample *sample = cw_at(&batch->samples, i);
		double value = sample->number == CW_DOUBLE    ? sample->real
			       : sample->number == CW_INTEGER ? (double)sample->integer
							      : sample->histogram->sum;
		fprintf(stream, "%s %s %lld %.17g\n", batch->instance, sample->metric->name, (long long)sample->time,
			value);
	}
	fclose(stream);
	ssize_t n = write(sink->fd, text, length);
	free(text);
	return n == (ssize_t)length ? 0 : -EIO;
}

static int try_to_write(struct sink *sink, const struct cw_batch *batch)
{
	bool fails = told_to(sink, "fail");
	sink->host->state(sink->self, fails ? CW_DOWN : CW_UP, 0, "%s", fails ? "told to fail" : "");
	return fails ? -EIO : append(sink, batch);
}

static void on_timer(uv_timer_t *timer)
{
	struct sink *sink = timer->data;
	const struct cw_batch *batch = sink->batch;
	if (told_to(sink, batch ? "hang" : "fail"))
		return;
	sink->batch = NULL;
	uv_timer_stop(timer);
	if (batch)
		sink->host->write_done(sink->self, try_to_write(sink, batch));
	else
		sink->host->state(sink->self, CW_UP, 0, "%s", "");
}

static int sink_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		      void **ret_state)
{
	struct sink *sink = calloc(1, sizeof *sink);
	if (!sink)
		return -ENOMEM;
	*ret_state = sink;
	*sink = (struct sink){.self = self, .host = host, .path = cw_get_string(values, "path"), .fd = -1};
	if (told_to(sink, "nostart"))
		return -ENODEV;
	sink->fd = open(sink->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (sink->fd < 0)
		return -errno;
	uv_timer_init(host->loop(self), &sink->timer);
	sink->timer.data = sink;
	host->state(self, CW_UP, 0, "%s", "");
	return 0;
}

static int sink_write(void *state, const struct cw_batch *batch)
{
	struct sink *sink = state;
	if (told_to(sink, "hang"))
		sink->batch = batch;
	int status = sink->batch ? CW_LATER : try_to_write(sink, batch);
	if (status != 0)
		uv_timer_start(&sink->timer, on_timer, LOOK_MS, LOOK_MS);
	return status;
}

static void sink_stop(void *state)
{
	struct sink *sink = state;
	uv_close((uv_handle_t *)&sink->timer, NULL);
}

static void sink_release(void *state)
{
	struct sink *sink = state;
	if (sink->fd >= 0)
		close(sink->fd);
	free(sink);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "sink",
	.summary = "An output that appends to a file and misbehaves when told to, for tests",
	.role = CW_OUTPUT,
	.options = CW_ARRAY(options),
	.start = sink_start,
	.write = sink_write,
	.stop = sink_stop,
	.release = sink_release,
};
