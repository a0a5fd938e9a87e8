/* SPDX-License-Identifier: MIT
 *
 * A task followed to its end: a line that is drawn anew on a terminal, a line for each change of state elsewhere.
 * Ctrl-C ends the looking, not the task.
 */
#ifndef CALLWATCH_CLIENT_FOLLOW_H
#define CALLWATCH_CLIENT_FOLLOW_H

#include "http.h"

enum { EXIT_LOST = 4, EXIT_INTERRUPTED = 130 };

/* The exit code: 0 success, 1 error or cancelled, 4 lost, or nothing was heard of it for a minute. */
int follow_task(struct http *http, const char *task_id);

#endif
