/* SPDX-License-Identifier: MIT
 *
 * A Python tool of tests/tools, run by a unit test: its first line is an address, then each line that is said to it is
 * answered with one. As class Tool of tests/system/harness.py.
 */
#ifndef TESTS_TOOL_FIXTURE_H
#define TESTS_TOOL_FIXTURE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct tool {
	pid_t pid;
	FILE *to, *from;
	char url[256];
	char *line; /* the last answer */
	size_t size;
};

static inline const char *tool_line(struct tool *tool)
{
	ssize_t n = getline(&tool->line, &tool->size, tool->from);
	if (n <= 0) {
		fprintf(stderr, "the tool has ended\n");
		abort();
	}
	tool->line[n - 1] = '\0';
	return tool->line;
}

static inline void tool_start(struct tool *tool, const char *script)
{
	int in[2], out[2];
	char path[512];
	snprintf(path, sizeof(path), SOURCE_DIR "/tests/tools/%s", script);
	*tool = (struct tool){.pid = 0};
	if (pipe(in) < 0 || pipe(out) < 0)
		abort();
	tool->pid = fork();
	if (tool->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/usr/bin/python3", "python3", "-B", path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	tool->to = fdopen(in[1], "w");
	tool->from = fdopen(out[0], "r");
	snprintf(tool->url, sizeof(tool->url), "%s", tool_line(tool));
}

/* Its answer, valid until the next. */
static inline const char *tool_say(struct tool *tool, const char *command)
{
	fprintf(tool->to, "%s\n", command);
	fflush(tool->to);
	return tool_line(tool);
}

static inline void tool_stop(struct tool *tool)
{
	fclose(tool->to); /* its input ends, and so does it */
	fclose(tool->from);
	free(tool->line);
	kill(tool->pid, SIGTERM);
	waitpid(tool->pid, NULL, 0);
}

#endif
