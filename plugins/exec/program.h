/* SPDX-License-Identifier: MIT
 *
 * A program that runs, on a libuv loop: its lines as they come, its end, and how it is ended.
 *
 * Its whole process group is meant throughout. It is asked to go with SIGTERM and killed with SIGKILL after a grace.
 * What it leaves behind in its group when it ends by itself is ended in the same way. It is over when the program has
 * been reaped, nobody is left in the group, and its pipes are at their end; a process that left the group but holds the
 * pipes open is not waited for.
 */
#ifndef EXEC_PROGRAM_H
#define EXEC_PROGRAM_H

#include "child.h"
#include "lines.h"

#include <stdint.h>
#include <uv.h>

struct program;

/* How it went. */
struct program_end {
	int signal;   /* it died of this one; 0: it exited */
	int code;     /* with this code; negative: not known */
	bool is_left; /* it, or somebody in its group, could not be ended */
};

struct program_callbacks {
	lines_fn out, err;         /* a line of stdout, of stderr; none after program_end() */
	void (*full)(void *arg);   /* `limit` bytes have come on stdout since the start or program_resume() */
	void (*closed)(void *arg); /* it closed its stdout a second ago and runs on */
	void (*over)(void *arg, const struct program_end *end); /* all is over; program_release() may be called */
	int64_t (*now)(void);                                   /* instant */
	void *arg;
};

/* 0, or a negative errno with a sentence; then nothing is called. */
int program_start(uv_loop_t *loop, char *const *argv, char *const *environment, const struct child_user *user,
		  uint64_t limit, const struct program_callbacks *callbacks, struct program **ret_program,
		  char error[CHILD_ERROR_MAX]);
pid_t program_pid(const struct program *program);
int64_t program_last_line(const struct program *program); /* instant of the last bytes on stdout; 0: none yet */
/* Asks it to go, kills it after `grace` ns; again with a shorter grace: that one holds. */
void program_end(struct program *program, int64_t grace);
/* Kills it, waits for it a moment at most, and over() is called. */
void program_kill(struct program *program);
/* Nothing is read until program_resume(): the program waits when its pipe is full. */
void program_pause(struct program *program);
void program_resume(struct program *program); /* and `limit` counts from here */
/* After over(): its memory goes when libuv has let go of its handles. NULL is fine. */
void program_release(struct program *program);

#endif
