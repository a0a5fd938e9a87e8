/* SPDX-License-Identifier: MIT
 *
 * Output stdout with a host of ours and a pipe as standard output: whole batches through a reader that is slow, gone or
 * asleep, a stop that does not wait for any of them, and never half a line. Standard output is restored before anything
 * is asserted.
 */
#include "batch.h"
#include "callwatch/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};

/* What the plugin said to its host. */
static struct fake {
	uv_loop_t loop;
	enum cw_state state;
	char reason[256];
	int done, done_status;
	uint64_t dropped;
} fake;

static struct uv_loop_s *fake_loop(struct cw_instance *self)
{
	(void)self;
	return &fake.loop;
}

static void fake_state(struct cw_instance *self, enum cw_state state, int64_t next_try, const char *reason, ...)
{
	(void)self, (void)next_try;
	fake.state = state;
	va_list args;
	va_start(args, reason);
	vsnprintf(fake.reason, sizeof(fake.reason), reason, args);
	va_end(args);
}

static void fake_done(struct cw_instance *self, int status)
{
	(void)self;
	fake.done++;
	fake.done_status = status;
}

static void fake_dropped(struct cw_instance *self, enum cw_drop reason, uint64_t n)
{
	(void)self, (void)reason;
	fake.dropped += n;
}

static const struct cw_host host = {.loop = fake_loop,
				    .state = fake_state,
				    .write_done = fake_done,
				    .dropped = fake_dropped,
				    .batch_ref = batch_ref,
				    .batch_unref = batch_unref};

static int real_stdout, reader;
static void *plugin;

static void redirect(int fd, int new_reader)
{
	real_stdout = dup(STDOUT_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	reader = new_reader;
}

static void redirect_to_pipe(void)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	redirect(ends[1], ends[0]);
	fcntl(reader, F_SETPIPE_SZ, 4096);
}

static void restore(void)
{
	dup2(real_stdout, STDOUT_FILENO);
	close(real_stdout);
	if (reader >= 0)
		close(reader);
}

static int start_with(int64_t format, bool closed)
{
	struct cw_value child = {.key = "format", .type = CW_OPTION_CHOICE, .known = true, .integer = format};
	struct cw_value values = {.type = CW_OPTION_GROUP, .children = &child, .count = 1};
	memset(&fake, 0, sizeof(fake));
	uv_loop_init(&fake.loop);
	plugin = NULL;
	if (closed)
		close(STDOUT_FILENO); /* not before: libuv refuses to have a standard descriptor */
	return cw_plugin.start(NULL, &host, &values, &plugin);
}

static int start(int64_t format)
{
	return start_with(format, /* closed */ false);
}

/* The loop must end: the plugin has closed all it had. */
static int stop(void)
{
	cw_plugin.stop(plugin);
	uv_run(&fake.loop, UV_RUN_DEFAULT);
	cw_plugin.release(plugin);
	return uv_loop_close(&fake.loop);
}

static const struct cw_batch *make(int n)
{
	struct batch_builder *builder = batch_builder_new("web-1", "calls", CW_SECOND, NULL, 0);
	for (int i = 0; i < n; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%d", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1700000000 * CW_SECOND, CW_INTEGER, 0, i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static void a_small_batch__is_written_at_once(void **state)
{
	(void)state;
	const struct cw_batch *batch = make(2);
	char seen[1024] = "";
	redirect_to_pipe();
	int started = start(/* graphite */ 3), status = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	ssize_t n = read(reader, seen, sizeof(seen) - 1);
	int left = stop();
	bool blocking = !(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);
	restore();
	assert_int_equal(started, 0);
	assert_int_equal(status, 0);
	assert_true(n > 0);
	assert_string_equal(seen, "callwatch.web-1.calls.calls_active.h0 0 1700000000\n"
				  "callwatch.web-1.calls.calls_active.h1 1 1700000000\n");
	assert_int_equal(fake.state, CW_UP);
	assert_int_equal(left, 0);
	assert_true(blocking); /* the shell's standard output is as it was */
}

static void a_large_batch__through_a_slow_reader__arrives_whole(void **state)
{
	(void)state;
	enum { N = 5000 };
	const struct cw_batch *batch = make(N);
	char *seen = calloc(1, N * 100);
	size_t length = 0;
	redirect_to_pipe();
	start(/* graphite */ 3);
	int status = cw_plugin.write(plugin, batch), early = fake.done;
	batch_unref(batch);
	while (!fake.done) {
		ssize_t n = read(reader, seen + length, 1500);
		length += n > 0 ? (size_t)n : 0;
		uv_run(&fake.loop, UV_RUN_NOWAIT);
	}
	fcntl(reader, F_SETFL, O_NONBLOCK);
	ssize_t n;
	while ((n = read(reader, seen + length, 1500)) > 0)
		length += (size_t)n;
	int left = stop();
	restore();
	assert_int_equal(status, CW_LATER);
	assert_int_equal(early, 0);
	assert_int_equal(fake.done, 1);
	assert_int_equal(fake.done_status, 0);
	assert_int_equal(left, 0);
	char *line = seen, expected[96];
	for (int i = 0; i < N; i++) {
		snprintf(expected, sizeof(expected), "callwatch.web-1.calls.calls_active.h%d %d 1700000000\n", i, i);
		assert_int_equal(strncmp(line, expected, strlen(expected)), 0);
		line += strlen(expected);
	}
	assert_int_equal(*line, 0);
	free(seen);
}

static void fault_61_a_full_pipe__does_not_hold_up_the_stop(void **state)
{
	(void)state;
	const struct cw_batch *batch = make(5000);
	redirect_to_pipe();
	start(/* text */ 0);
	int status = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	uv_run(&fake.loop, UV_RUN_NOWAIT);
	int left = stop();
	restore();
	assert_int_equal(status, CW_LATER);
	assert_int_equal(fake.done, 0);
	assert_int_equal(left, 0);
}

/* Reads what is there, and counts lines that are none of make(); what has no line end is one, too. */
static int bad_lines(int fd, int *ret_lines)
{
	enum { SIZE = 1 << 20 };
	char *seen = calloc(1, SIZE + 1), *rest = seen, *line;
	size_t length = 0;
	ssize_t n;
	int bad = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (length < SIZE && (n = read(fd, seen + length, SIZE - length)) > 0)
		length += (size_t)n;
	*ret_lines = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		char expected[96];
		int i = -1;
		sscanf(line, "callwatch.web-1.calls.calls_active.h%d ", &i);
		snprintf(expected, sizeof(expected), "callwatch.web-1.calls.calls_active.h%d %d 1700000000", i, i);
		bad += !rest || strcmp(line, expected) != 0;
		(*ret_lines)++;
	}
	free(seen);
	return bad;
}

static void fault_42_a_stop_in_mid_batch__leaves_whole_lines_in_the_pipe(void **state)
{
	(void)state;
	const struct cw_batch *batch = make(5000);
	int lines, more;
	redirect_to_pipe();
	fcntl(reader, F_SETPIPE_SZ, 65536);
	start(/* graphite */ 3);
	int status = cw_plugin.write(plugin, batch);
	stop();
	int bad = bad_lines(reader, &lines);
	batch_unref(batch);
	batch = make(2); /* another life */
	start(/* graphite */ 3);
	int again = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	stop();
	bad += bad_lines(reader, &more);
	restore();
	assert_int_equal(status, CW_LATER);
	assert_int_equal(again, 0);
	assert_in_range(lines, 1000, 4999);
	assert_int_equal(more, 2);
	assert_int_equal(bad, 0);
}

/* A disk that is full at each byte of the second line, and has room again. */
static void fault_42_a_disk_that_is_full_in_mid_line__has_whole_lines_afterwards(void **state)
{
	(void)state;
	struct rlimit before, small;
	enum { LINE = 51 }; /* bytes of make()'s first lines */
	const struct cw_batch *batch = make(3);
	getrlimit(RLIMIT_FSIZE, &before);
	for (rlim_t room = LINE; room <= 2 * LINE; room++) {
		char path[] = "/tmp/callwatch-stdout-XXXXXX";
		int file = mkstemp(path), seen = open(path, O_RDONLY | O_CLOEXEC), lines, failed[2];
		redirect(file, -1);
		start(/* graphite */ 3);
		small = (struct rlimit){room, before.rlim_max};
		setrlimit(RLIMIT_FSIZE, &small);
		for (int i = 0; i < 2; i++)
			failed[i] = cw_plugin.write(plugin, batch);
		setrlimit(RLIMIT_FSIZE, &before);
		int status = cw_plugin.write(plugin, batch);
		stop();
		restore();
		int bad = bad_lines(seen, &lines);
		close(seen);
		unlink(path);
		assert_int_equal(failed[0], -EFBIG);
		assert_int_equal(failed[1], -EFBIG);
		assert_int_equal(status, 0);
		assert_int_equal(bad, 0);
		assert_int_equal(lines, room > LINE ? 5 : 4);
	}
	batch_unref(batch);
}

/* collectd knows no 1970. */
static void what_the_format_cannot_say__is_dropped(void **state)
{
	(void)state;
	struct batch_builder *builder = batch_builder_new("web-1", "calls", CW_SECOND, NULL, 0);
	for (int i = 0; i < 2; i++) {
		const char *labels[] = {"h"};
		batch_add(builder, &active, labels, i * CW_SECOND, CW_INTEGER, 0, i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	redirect_to_pipe();
	start(/* putval */ 2);
	int status = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	stop();
	restore();
	assert_int_equal(status, 0);
	assert_int_equal(fake.dropped, 1);
}

static void fault_61_a_reader_that_goes_away__is_down_with_a_reason(void **state)
{
	(void)state;
	const struct cw_batch *batch = make(5000);
	redirect_to_pipe();
	start(/* json */ 1);
	int first = cw_plugin.write(plugin, batch);
	close(reader);
	reader = -1;
	while (!fake.done)
		uv_run(&fake.loop, UV_RUN_ONCE);
	int again = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	int left = stop();
	restore();
	assert_int_equal(first, CW_LATER);
	assert_int_equal(fake.done_status, -EPIPE);
	assert_int_equal(again, -EPIPE);
	assert_int_equal(fake.state, CW_DOWN);
	assert_string_equal(fake.reason,
			    "nobody reads standard output any more: restart what reads it, and callwatchd with it");
	assert_int_equal(left, 0);
}

static void fault_61_a_closed_stdout__is_down_and_harmless(void **state)
{
	(void)state;
	const struct cw_batch *batch = make(1);
	redirect_to_pipe();
	int started = start_with(/* text */ 0, /* closed */ true), status = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	enum cw_state said = fake.state;
	int left = stop();
	restore();
	assert_int_equal(started, 0);
	assert_int_equal(status, -EBADF);
	assert_int_equal(said, CW_DOWN);
	assert_int_equal(left, 0);
}

static void a_file__is_appended_to_where_it_was(void **state)
{
	(void)state;
	char path[] = "/tmp/callwatch-stdout-XXXXXX", seen[512] = "";
	int file = mkstemp(path);
	assert_int_equal(write(file, "before\n", 7), 7);
	const struct cw_batch *batch = make(1);
	redirect(file, -1);
	start(/* putval */ 2);
	int status = cw_plugin.write(plugin, batch);
	batch_unref(batch);
	int left = stop();
	restore();
	assert_int_equal(status, 0);
	assert_int_equal(left, 0);
	file = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(file, seen, sizeof(seen) - 1) > 0);
	close(file);
	unlink(path);
	assert_string_equal(seen, "before\nPUTVAL \"web-1/callwatch-calls/gauge-calls_active-h0\" interval=1.000 "
				  "1700000000.000:0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_batch__is_written_at_once),
		cmocka_unit_test(a_large_batch__through_a_slow_reader__arrives_whole),
		cmocka_unit_test(fault_61_a_full_pipe__does_not_hold_up_the_stop),
		cmocka_unit_test(fault_61_a_reader_that_goes_away__is_down_with_a_reason),
		cmocka_unit_test(fault_61_a_closed_stdout__is_down_and_harmless),
		cmocka_unit_test(fault_42_a_stop_in_mid_batch__leaves_whole_lines_in_the_pipe),
		cmocka_unit_test(fault_42_a_disk_that_is_full_in_mid_line__has_whole_lines_afterwards),
		cmocka_unit_test(what_the_format_cannot_say__is_dropped),
		cmocka_unit_test(a_file__is_appended_to_where_it_was),
	};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
