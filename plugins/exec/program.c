/* SPDX-License-Identifier: MIT
 *
 * See program.h.
 *
 *     running ──▶ ending (SIGTERM sent) ──▶ killed ──▶ over
 *        └──── ended by itself ────┴──────────┘
 *
 * The program's end is read from a pidfd, so that no signal handler is needed and no number can be mistaken. The group
 * is asked for by its number, which the kernel does not give out again while the leader is not reaped or anybody is in
 * the group; it is signalled for the first time before the leader is reaped, and looked at every few milliseconds until
 * nobody in it is alive.
 */
#include "program.h"

#include "callwatch/types.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, LOOK_MS = 50 };

/* What it left behind may take this long to go. */
static const int64_t left_grace = 2 * CW_SECOND;
/* When nobody is in the group any more, a pipe that has been silent for so long is held open by a stranger. */
static const int64_t silence = 250 * CW_MILLISECOND;
/* A program that ends closes its stdout a moment before it is seen to have ended. */
static const int64_t closed_patience = CW_SECOND;
/* After a SIGKILL: who is still there then cannot be ended by us (setuid, or stuck in the kernel). */
static const int64_t give_up = CW_SECOND;

struct stream {
	uv_pipe_t pipe; /* data: the program */
	bool is_open, is_reading;
	uint64_t bytes; /* since the start or the last resume */
	struct lines lines;
};

struct program {
	struct program_callbacks callbacks;
	pid_t pid;
	int pidfd;
	uint64_t limit;
	struct stream out, err;
	uv_poll_t exit;
	uv_timer_t look;
	int handles; /* that are not closed yet */
	bool is_released;

	bool is_reaped, is_status_lost, is_ending, is_killed, is_over, is_full;
	int status;
	int64_t kill_at, last_line, last_read, closed_at; /* instants; closed_at 0: stdout is open, or it was told */
	struct program_end end;
	char buffer[READ_SIZE];
};

pid_t program_pid(const struct program *program)
{
	return program->pid;
}

int64_t program_last_line(const struct program *program)
{
	return program->last_line;
}

/* ---- handles ---- */

static void program_free(struct program *program)
{
	if (program->pidfd >= 0)
		close(program->pidfd);
	free(program);
}

static void on_closed(uv_handle_t *handle)
{
	struct program *program = handle->data;
	program->handles--;
	if (program->handles == 0 && program->is_released)
		program_free(program);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

void program_release(struct program *program)
{
	if (!program)
		return;
	program->is_released = true;
	if (program->handles == 0)
		program_free(program);
}

/* ---- its end ---- */

/* What came after the last newline is a line if the program ended as it wanted to; else it may be half of one. */
static void finish_lines(struct program *program)
{
	const struct program_callbacks *callbacks = &program->callbacks;
	if (program->is_ending || !program->is_reaped || program->is_status_lost || !WIFEXITED(program->status))
		return;
	lines_end(&program->out.lines, callbacks->out, callbacks->arg);
	lines_end(&program->err.lines, callbacks->err, callbacks->arg);
}

static void be_over(struct program *program)
{
	if (program->is_over)
		return;
	program->is_over = true;
	close_handle(&program->exit);
	close_handle(&program->look);
	close_handle(&program->out.pipe);
	close_handle(&program->err.pipe);
	program->end.is_left = !program->is_reaped || child_is_group_alive(program->pid);
	if (!program->is_status_lost && WIFSIGNALED(program->status))
		program->end.signal = WTERMSIG(program->status);
	else
		program->end.code = program->is_status_lost ? -1 : WEXITSTATUS(program->status);
	finish_lines(program);
	program->callbacks.over(program->callbacks.arg, &program->end);
}

static void kill_group(struct program *program)
{
	program->is_killed = true;
	kill(-program->pid, SIGKILL);
}

/* The streams are at their end, or what still holds them is not the program's. */
static bool are_streams_done(const struct program *program, int64_t now)
{
	return (!program->out.is_open && !program->err.is_open) || now - program->last_read > silence;
}

/* Nothing to look after but that it has closed its stdout. */
static void look_for_closed(struct program *program, int64_t now)
{
	if (program->closed_at && now < program->closed_at + closed_patience)
		return;
	uv_timer_stop(&program->look);
	if (program->closed_at) {
		program->closed_at = 0;
		program->callbacks.closed(program->callbacks.arg);
	}
}

static void look(struct program *program)
{
	int64_t now = program->callbacks.now();
	if (program->is_over)
		return;
	if (!program->is_ending && !program->is_reaped) {
		look_for_closed(program, now);
		return;
	}
	bool is_gone = program->is_reaped && !child_is_group_alive(program->pid);
	if (!is_gone && !program->is_killed && now >= program->kill_at)
		kill_group(program);
	if (is_gone && (are_streams_done(program, now) || now >= program->kill_at))
		be_over(program);
	else if (program->is_killed && now >= program->kill_at + give_up)
		be_over(program);
}

static void on_look(uv_timer_t *timer)
{
	look(timer->data);
}

static void look_often(struct program *program)
{
	if (!uv_is_active((uv_handle_t *)&program->look) && !program->is_over)
		uv_timer_start(&program->look, on_look, LOOK_MS, LOOK_MS);
}

void program_end(struct program *program, int64_t grace)
{
	int64_t kill_at = program->callbacks.now() + grace;
	if (!program->is_ending || kill_at < program->kill_at)
		program->kill_at = kill_at;
	if (!program->is_reaped && !program->is_ending)
		kill(-program->pid, SIGTERM);
	program->is_ending = true;
	program_resume(program); /* it may be waiting for somebody to read its last words */
	look_often(program);
}

/* The leader is a zombie now: whatever number the group has is still its own. */
static bool reap(struct program *program)
{
	kill(-program->pid, SIGTERM);
	pid_t reaped = waitpid(program->pid, &program->status, WNOHANG);
	if (reaped == 0)
		return false;
	program->is_status_lost = reaped < 0; /* somebody in this process ignores SIGCHLD, or waits for everybody */
	program->is_reaped = true;
	close_handle(&program->exit);
	return true;
}

static void on_exit_of(uv_poll_t *poll, int status, int events)
{
	struct program *program = poll->data;
	(void)status;
	(void)events;
	if (!reap(program))
		return;
	program->last_read = program->callbacks.now();
	if (!program->is_ending)
		program->kill_at = program->last_read + left_grace;
	program_resume(program);
	look_often(program);
	look(program);
}

void program_kill(struct program *program)
{
	enum { WAIT_MS = 100, STEP_MS = 5 };
	struct pollfd exited = {.fd = program->pidfd, .events = POLLIN};
	if (program->is_over)
		return;
	program->is_ending = true;
	kill_group(program);
	if (!program->is_reaped && poll(&exited, 1, WAIT_MS) == 1)
		reap(program);
	for (int i = 0; i < WAIT_MS / STEP_MS && child_is_group_alive(program->pid); i++)
		poll(/* fds */ NULL, 0, STEP_MS);
	be_over(program);
}

/* ---- its streams ---- */

static struct stream *stream_of(struct program *program, const uv_stream_t *pipe)
{
	return pipe == (uv_stream_t *)&program->out.pipe ? &program->out : &program->err;
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct program *program = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(program->buffer, sizeof(program->buffer)); /* one read at a time */
}

static void pause_stream(struct stream *stream)
{
	if (stream->is_reading)
		uv_read_stop((uv_stream_t *)&stream->pipe);
	stream->is_reading = false;
}

static void on_bytes(struct program *program, struct stream *stream, size_t n)
{
	const struct program_callbacks *callbacks = &program->callbacks;
	bool is_out = stream == &program->out;
	program->last_read = callbacks->now();
	if (is_out)
		program->last_line = program->last_read;
	if (program->is_ending)
		return; /* nobody wants to know any more */
	lines_feed(&stream->lines, program->buffer, n, is_out ? callbacks->out : callbacks->err, callbacks->arg);
	stream->bytes += n;
	if (stream->bytes < program->limit || program->is_reaped)
		return; /* of one that has ended no more can come than its pipe held */
	if (!is_out) {
		pause_stream(stream);
	} else if (!program->is_full) {
		program->is_full = true;
		callbacks->full(callbacks->arg);
	}
}

static void on_end_of(struct program *program, struct stream *stream)
{
	stream->is_open = stream->is_reading = false;
	close_handle(&stream->pipe);
	if (program->is_reaped) {
		look(program);
	} else if (stream == &program->out) {
		program->closed_at = program->callbacks.now();
		look_often(program);
	}
}

static void on_read(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buffer)
{
	struct program *program = pipe->data;
	(void)buffer;
	if (n > 0)
		on_bytes(program, stream_of(program, pipe), (size_t)n);
	else if (n < 0)
		on_end_of(program, stream_of(program, pipe));
}

static void resume_stream(struct stream *stream)
{
	stream->bytes = 0;
	if (stream->is_open && !stream->is_reading)
		stream->is_reading = uv_read_start((uv_stream_t *)&stream->pipe, on_room, on_read) == 0;
}

void program_pause(struct program *program)
{
	pause_stream(&program->out);
	pause_stream(&program->err);
}

void program_resume(struct program *program)
{
	program->is_full = false;
	resume_stream(&program->out);
	resume_stream(&program->err);
}

/* ---- its beginning ---- */

static int open_stream(struct program *program, uv_loop_t *loop, struct stream *stream, int fd)
{
	int status = uv_pipe_init(loop, &stream->pipe, /* ipc */ 0);
	stream->pipe.data = program;
	program->handles += status == 0;
	if (status == 0)
		status = uv_pipe_open(&stream->pipe, fd);
	stream->is_open = status == 0;
	if (status < 0)
		close(fd);
	return status;
}

static int open_handles(struct program *program, uv_loop_t *loop, const struct child *child)
{
	uv_timer_init(loop, &program->look); /* cannot fail */
	program->look.data = program->exit.data = program;
	program->handles++;
	int status = open_stream(program, loop, &program->out, child->out);
	int other = open_stream(program, loop, &program->err, child->err);
	if (status == 0)
		status = other;
	if (status == 0 && (status = uv_poll_init(loop, &program->exit, program->pidfd)) == 0)
		program->handles++;
	return status == 0 ? uv_poll_start(&program->exit, UV_READABLE, on_exit_of) : status;
}

/* libuv had no room for it: it goes at once. */
static void undo_start(struct program *program)
{
	kill(-program->pid, SIGKILL);
	waitpid(program->pid, NULL, 0);
	uv_handle_t *handles[] = {(uv_handle_t *)&program->look, (uv_handle_t *)&program->out.pipe,
				  (uv_handle_t *)&program->err.pipe, (uv_handle_t *)&program->exit};
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		if (handles[i]->type != UV_UNKNOWN_HANDLE)
			close_handle(handles[i]);
	program_release(program);
}

int program_start(uv_loop_t *loop, char *const *argv, char *const *environment, const struct child_user *user,
		  uint64_t limit, const struct program_callbacks *callbacks, struct program **ret_program,
		  char error[CHILD_ERROR_MAX])
{
	struct child child;
	struct program *program = calloc(1, sizeof(*program));
	if (!program) {
		snprintf(error, CHILD_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	int status = child_start(argv, environment, user, &child, error);
	if (status < 0) {
		free(program);
		return status;
	}
	program->callbacks = *callbacks;
	program->pid = child.pid;
	program->pidfd = child.pidfd;
	program->limit = limit;
	status = open_handles(program, loop, &child);
	if (status < 0) {
		snprintf(error, CHILD_ERROR_MAX, "cannot watch %.100s: %s", argv[0], uv_strerror(status));
		undo_start(program);
		return status;
	}
	program_resume(program);
	*ret_program = program;
	return 0;
}
