/* SPDX-License-Identifier: MIT
 *
 * Output `stdout`: samples as lines on standard output, for people (text), for programs (json), for collectd's exec
 * plugin (putval) and for pipes into Graphite. Option: format.
 *
 * It never waits: what the reader does not take stays here until the loop says there is room, so a pipe that nobody
 * reads fills this output's queue and harms nothing else. A batch is formatted in slices of 64 KiB and is done when its
 * last byte is written; nothing is kept back for a fuller buffer, as collectd's exec protocol wants.
 *
 * Lines are whole, for half a number reads like a number. A pipe takes at most PIPE_BUF bytes at once or none, so what
 * goes into one is cut at line ends, and a stop at any moment leaves none begun (but for a line longer than that).
 * Where an error came in mid-line, as on a full disk, the rest of the line is what is written next.
 *
 * O_NONBLOCK belongs to the open file description, which may be the shell's too, and libuv sets it on all it polls. So
 * pipes and terminals are opened anew through /proc. Where that is not possible (a socket, another user's pipe) the
 * flag is set on what we were given, and taken away again at the end. Files are written to as they are: they do not
 * make anybody wait for a reader.
 */
#include "callwatch/plugin.h"

#include "format_graphite.h"
#include "format_json.h"
#include "format_putval.h"
#include "format_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { SLICE_BYTES = 64 * 1024, SLICE_LIMIT = 1024 * 1024, PATIENCE_MS = 5000 };

static const char *const format_names[] = {"text", "json", "putval", "graphite", NULL};
static const format_fn formats[] = {format_text, format_json, format_putval, format_graphite};

struct output {
	struct cw_instance *self;
	const struct cw_host *host;
	format_fn format;

	int fd;          /* negative: standard output is closed */
	int given_flags; /* of standard output, to be restored; negative: they were not touched */
	bool is_pipe;
	bool polled; /* poll is initialised: writes may say EAGAIN */
	uv_poll_t poll;
	uv_timer_t patience; /* runs while a batch waits for the reader */

	const struct cw_batch *batch; /* being written, referenced while it waits; NULL: none */
	uint32_t next;                /* its first sample that is not in the buffer yet */
	struct buffer buffer;
	size_t written; /* of the buffer */
	bool in_line;   /* what was written last has no line end yet */
};

/* ---- standard output ---- */

static bool can_wait(int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return false;
	return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || (S_ISCHR(status.st_mode) && isatty(fd));
}

static bool is_pipe(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static void open_stdout(struct output *output)
{
	output->given_flags = -1;
	output->is_pipe = is_pipe(STDOUT_FILENO);
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	if (flags < 0) {
		output->fd = -1;
	} else if (!can_wait(STDOUT_FILENO)) {
		output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	} else {
		output->fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (output->fd < 0) {
			output->given_flags = flags;
			output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		}
	}
}

static void on_room(uv_poll_t *poll, int status, int events);

static int watch_stdout(struct output *output)
{
	uv_loop_t *loop = output->host->loop(output->self);
	uv_timer_init(loop, &output->patience);
	output->patience.data = output->poll.data = output;
	if (output->fd < 0 || !can_wait(output->fd))
		return 0;
	int status = uv_poll_init(loop, &output->poll, output->fd);
	output->polled = status == 0;
	return status;
}

/* ---- a batch ---- */

/* Fills the buffer with the next samples' lines. A sample that has none, by its format or for want of memory, is
 * dropped. */
static void fill(struct output *output)
{
	const struct cw_array *samples = &output->batch->samples;
	output->buffer.length = output->written = 0;
	while (output->next < samples->count && output->buffer.length < SLICE_BYTES) {
		if (output->format(&output->buffer, output->batch, cw_at(samples, output->next)) <= 0)
			output->host->dropped(output->self, CW_DROP_INVALID, 1);
		output->next++;
	}
}

/* Bytes to be written at once: into a pipe whole lines that it takes or does not. */
static size_t next_piece(const struct output *output)
{
	const char *from = buffer_text(&output->buffer) + output->written;
	size_t left = output->buffer.length - output->written;
	if (!output->is_pipe || left <= PIPE_BUF)
		return left;
	const char *end = memrchr(from, '\n', PIPE_BUF);
	if (!end)
		end = memchr(from, '\n', left);
	return (size_t)(end - from) + 1;
}

/* 0: the buffer is written; CW_LATER: the reader has to read first; negative: it cannot be written. */
static int write_buffer(struct output *output)
{
	const char *text = buffer_text(&output->buffer);
	while (output->written < output->buffer.length) {
		ssize_t n = write(output->fd, text + output->written, next_piece(output));
		if (n > 0) {
			output->written += (size_t)n;
			output->in_line = text[output->written - 1] != '\n';
		} else if (n < 0 && errno == EAGAIN && output->polled) {
			return CW_LATER;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* As far as it goes without waiting. Codes as of write_buffer(). */
static int write_on(struct output *output)
{
	int status = write_buffer(output);
	while (status == 0 && output->next < output->batch->samples.count) {
		fill(output);
		status = write_buffer(output);
	}
	return status;
}

static void say(struct output *output, int status)
{
	if (status == 0)
		output->host->state(output->self, CW_UP, /* next_try */ 0, "%s", "");
	else if (status == -EPIPE)
		output->host->state(output->self, CW_DOWN, /* next_try */ 0,
				    "nobody reads standard output any more: restart what reads it, "
				    "and callwatchd with it");
	else if (status == -EBADF)
		output->host->state(output->self, CW_DOWN, /* next_try */ 0,
				    "standard output is closed: start callwatchd with one, or take this output out");
	else
		output->host->state(output->self, CW_DOWN, /* next_try */ 0, "cannot write to standard output: %s%s",
				    strerror(-status), status == -ENOSPC ? ": make room on its disk" : "");
}

/* The batch is over, one way or the other. Of the buffer stays the rest of a line that was begun: only whole lines are
 * put into it, so there is an end. */
static void forget_batch(struct output *output)
{
	size_t rest = 0;
	if (output->in_line) {
		char *text = buffer_text(&output->buffer), *from = text + output->written;
		const char *end = memchr(from, '\n', output->buffer.length - output->written);
		rest = (size_t)(end - from) + 1;
		memmove(text, from, rest);
	}
	output->batch = NULL;
	output->buffer.length = rest;
	output->written = 0;
}

static void on_patience_over(uv_timer_t *timer)
{
	struct output *output = timer->data;
	output->host->state(
		output->self, CW_DEGRADED, /* next_try */ 0,
		"standard output is full: what it goes to does not read; what comes meanwhile waits in the queue");
}

static void wait_for_room(struct output *output)
{
	uv_poll_start(&output->poll, UV_WRITABLE, on_room);
	if (!uv_is_active((uv_handle_t *)&output->patience))
		uv_timer_start(&output->patience, on_patience_over, PATIENCE_MS, /* repeat */ 0);
}

static void on_room(uv_poll_t *poll, int status, int events)
{
	struct output *output = poll->data;
	(void)events;
	if (status == 0 || status == -EBADF) /* libuv's word for a reader that went: let write() say which error */
		status = write_on(output);
	if (status == CW_LATER)
		return;
	uv_poll_stop(&output->poll);
	uv_timer_stop(&output->patience);
	const struct cw_batch *batch = output->batch;
	forget_batch(output);
	output->host->batch_unref(batch);
	say(output, status);
	output->host->write_done(output->self, status);
}

/* ---- the plugin ---- */

static void on_closed(uv_handle_t *handle)
{
	(void)handle; /* the memory goes in release() */
}

static int output_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	struct output *output = calloc(1, sizeof(*output));
	if (!output)
		return -ENOMEM;
	*ret_state = output;
	output->self = self;
	output->host = host;
	output->format = formats[cw_get_integer(options, "format", 0)];
	buffer_init(&output->buffer, /* head */ 0, SLICE_LIMIT);
	open_stdout(output);
	int status = watch_stdout(output);
	if (status < 0) {
		host->state(self, CW_DOWN, /* next_try */ 0, "cannot watch standard output: %s", uv_strerror(status));
		uv_close((uv_handle_t *)&output->patience, on_closed);
		return status;
	}
	say(output, output->fd < 0 ? -EBADF : 0);
	return 0;
}

static int output_write(void *state, const struct cw_batch *batch)
{
	struct output *output = state;
	if (output->fd < 0)
		return -EBADF;
	output->batch = batch;
	output->next = 0;
	int status = write_on(output);
	if (status == CW_LATER) {
		output->host->batch_ref(batch);
		wait_for_room(output);
		return CW_LATER;
	}
	forget_batch(output);
	say(output, status);
	return status;
}

static void output_stop(void *state)
{
	struct output *output = state;
	if (output->polled)
		uv_close((uv_handle_t *)&output->poll, on_closed);
	uv_close((uv_handle_t *)&output->patience, on_closed);
}

static void output_release(void *state)
{
	struct output *output = state;
	if (!output)
		return;
	output->host->batch_unref(output->batch);
	if (output->given_flags >= 0)
		fcntl(STDOUT_FILENO, F_SETFL, output->given_flags);
	if (output->fd >= 0)
		close(output->fd);
	buffer_release(&output->buffer);
	free(output);
}

/* Asks the descriptor, not the last write: between two there may be minutes. */
static void output_examine(void *state, uint32_t check)
{
	const struct output *output = state;
	(void)check;
	struct stat status = {0};
	struct pollfd ready = {.fd = output->fd};
	const char *what = "a file";
	if (output->fd < 0 || fstat(output->fd, &status) < 0) {
		output->host->examined(output->self, CW_CHECK_FAILED,
				       "standard output is closed: start callwatchd with one, or take this output out");
		return;
	}
	if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))
		what = "a pipe";
	else if (S_ISCHR(status.st_mode))
		what = isatty(output->fd) ? "a terminal" : "a device";
	if (poll(&ready, 1, 0) > 0 && (ready.revents & (POLLERR | POLLHUP)))
		output->host->examined(output->self, CW_CHECK_FAILED,
				       "standard output is %s that nobody reads any more: restart what reads it, and "
				       "callwatchd with it",
				       what);
	else if (output->batch)
		output->host->examined(output->self, CW_CHECK_WARNING,
				       "standard output is %s whose reader does not keep up", what);
	else
		output->host->examined(output->self, CW_CHECK_OK, "standard output is %s", what);
}

static const struct cw_check checks[] = {{"reader", "Standard output is open, and somebody reads it"}};

static const struct cw_option options[] = {
	{.key = "format",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "text",
	 .help = "how a sample is written: text for people, json lines, putval for collectd's exec plugin, graphite",
	 .choices = format_names},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "stdout",
	.summary = "Writes samples to standard output, a line each",
	.role = CW_OUTPUT,
	.options = CW_ARRAY(options),
	.start = output_start,
	.write = output_write,
	.stop = output_stop,
	.release = output_release,
	.checks = CW_ARRAY(checks),
	.examine = output_examine,
};
