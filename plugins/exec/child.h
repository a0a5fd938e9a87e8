/* SPDX-License-Identifier: MIT
 *
 * A program as a child process: started without a shell in a session and process group of its own, so that all it
 * starts can be ended with it; with no descriptor, signal mask, handler or variable of callwatchd's.
 */
#ifndef EXEC_CHILD_H
#define EXEC_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

enum { CHILD_ERROR_MAX = 200, CHILD_GROUPS_MAX = 64 };

/* As whom it runs. */
struct child_user {
	char name[64], home[256]; /* "" where not known */
	uid_t uid;
	gid_t gid, groups[CHILD_GROUPS_MAX];
	int groups_count;
	bool must_switch; /* we are root and it is not to be */
};
/* `name`: the option `user`, or NULL. 0, or -EPERM, -ENOENT … with a sentence: what to do. May ask the network for
 * names: it blocks. */
int child_find_user(const char *name, struct child_user *ret_user, char error[CHILD_ERROR_MAX]);

struct child {
	pid_t pid;    /* also of its group */
	int pidfd;    /* readable once it has ended */
	int out, err; /* our ends of its stdout and stderr */
};
/* argv and environment end with NULL. 0, or a negative errno with a sentence. */
int child_start(char *const *argv, char *const *environment, const struct child_user *user, struct child *ret_child,
		char error[CHILD_ERROR_MAX]);

/* Is anybody alive in this process group? Zombies are not: who has to bury them may be slow, or never do it (a
 * container without an init). */
bool child_is_group_alive(pid_t group);

/* Can this user run it? 0, or a negative errno with a sentence. */
int child_check(const char *path, const struct child_user *user, char error[CHILD_ERROR_MAX]);

#endif
