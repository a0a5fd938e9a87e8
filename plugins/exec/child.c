/* SPDX-License-Identifier: MIT
 *
 * See child.h. fork() and exec by hand, because neither posix_spawn() nor uv_spawn() does all of it: another user with
 * its groups, and every descriptor closed (some libraries of other plugins open theirs without O_CLOEXEC, and a Redis
 * connection is nobody's business in a script).
 *
 * Between fork and exec the child is a copy of one thread of many: it calls only what is async-signal-safe, allocates
 * nothing, and tells what went wrong through a pipe that exec closes. Signals are blocked from before the fork until
 * the handlers are gone, for a handler of libuv's would write into the parent's pipe.
 *
 * A program that outlives us (callwatchd was killed with -9) gets a SIGTERM from the kernel.
 */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- as whom ---- */

static int look_up(const char *name, uid_t uid, struct passwd *ret, char *buffer, size_t size)
{
	struct passwd *found = NULL;
	int status = name ? getpwnam_r(name, ret, buffer, size, &found) : getpwuid_r(uid, ret, buffer, size, &found);
	return found ? 0 : status ? -status : -ENOENT;
}

static void take_entry(struct child_user *user, const struct passwd *entry)
{
	snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
	snprintf(user->home, sizeof(user->home), "%s", entry->pw_dir);
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->groups_count = CHILD_GROUPS_MAX;
	if (getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &user->groups_count) < 0)
		user->groups_count = CHILD_GROUPS_MAX; /* as many as fit */
}

int child_find_user(const char *name, struct child_user *ret_user, char error[CHILD_ERROR_MAX])
{
	char buffer[4096];
	struct passwd entry;
	struct child_user user = {.uid = geteuid(), .gid = getegid()};
	int status = look_up(name, user.uid, &entry, buffer, sizeof(buffer));
	if (status == 0)
		take_entry(&user, &entry);
	if (status < 0 && name) {
		snprintf(error, CHILD_ERROR_MAX, "no user `%s`: %s", name,
			 status == -ENOENT ? "create it, or name another" : strerror(-status));
		return status;
	}
	if (user.uid == 0) {
		snprintf(error, CHILD_ERROR_MAX,
			 "no command is run as root: set `user:` to the user that it needs, or run callwatchd as one");
		return -EPERM;
	}
	if (user.uid != geteuid() && geteuid() != 0) {
		snprintf(error, CHILD_ERROR_MAX,
			 "only root can run a command as another user, and callwatchd is not root: remove `user: %s`",
			 name);
		return -EPERM;
	}
	user.must_switch = user.uid != geteuid();
	*ret_user = user;
	return 0;
}

static bool may_execute(const struct stat *status, const struct child_user *user)
{
	if (status->st_uid == user->uid)
		return status->st_mode & S_IXUSR;
	bool in_group = status->st_gid == user->gid;
	for (int i = 0; i < user->groups_count; i++)
		in_group = in_group || user->groups[i] == status->st_gid;
	return status->st_mode & (in_group ? S_IXGRP : S_IXOTH);
}

int child_check(const char *path, const struct child_user *user, char error[CHILD_ERROR_MAX])
{
	struct stat status;
	if (stat(path, &status) < 0) {
		int problem = errno;
		snprintf(error, CHILD_ERROR_MAX, "%.120s: %s", path, strerror(problem));
		return -problem;
	}
	if (!S_ISREG(status.st_mode)) {
		snprintf(error, CHILD_ERROR_MAX, "%.120s is not a file", path);
		return -EACCES;
	}
	if (!may_execute(&status, user)) {
		snprintf(error, CHILD_ERROR_MAX, "%.120s may not be executed by %s: chmod +x", path,
			 user->name[0] ? user->name : "this user");
		return -EACCES;
	}
	return 0;
}

/* ---- groups ---- */

/* `pid (comm) state ppid pgrp …`; a comm may hold anything, so what counts begins after its last `)`. */
static bool is_alive_in(pid_t group, int proc, const char *name)
{
	char path[64], text[512], state;
	int ppid, pgrp;
	snprintf(path, sizeof(path), "%.20s/stat", name);
	int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	return rest && sscanf(rest + 1, " %c %d %d", &state, &ppid, &pgrp) == 3 && pgrp == group && state != 'Z' &&
	       state != 'X';
}

bool child_is_group_alive(pid_t group)
{
	if (kill(-group, 0) < 0 && errno == ESRCH)
		return false;
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	bool is_alive = !proc; /* who cannot look believes the kernel */
	/* cppcheck-suppress readdirCalled; one thread, its own stream */
	while (!is_alive && proc && (entry = readdir(proc)))
		is_alive = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			   is_alive_in(group, dirfd(proc), entry->d_name);
	if (proc)
		closedir(proc);
	return is_alive;
}

/* ---- in the child ---- */

enum { ERROR_FD = 3 };

enum step { PASSING_FILES, SWITCHING_USER, GOING_TO_ROOT, EXECUTING };
static const char *const step_names[] = {"passing its files", "switching the user", "going to /", "executing"};

struct failure {
	int problem;
	enum step step;
};

static void fail(int fd, enum step step)
{
	const struct failure failure = {.problem = errno, .step = step};
	ssize_t n = write(fd, &failure, sizeof(failure));
	_exit(n > 0 ? 127 : 126);
}

static void reset_signals(void)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL); /* for two of them it fails, as it should */
}

static void become(const struct child_user *user, int error_fd)
{
	if (!user->must_switch)
		return;
	if (setgroups((size_t)user->groups_count, user->groups) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
		fail(error_fd, SWITCHING_USER);
}

/* `in`, `out`, `err`, `failed` are all above ERROR_FD. */
static _Noreturn void be_child(char *const *argv, char *const *environment, const struct child_user *user,
			       const int fds[4])
{
	sigset_t none;
	setsid();
	for (int i = 0; i < 4; i++)
		if (dup2(fds[i], i) < 0)
			fail(fds[3], PASSING_FILES);
	close_range(ERROR_FD + 1, ~0U, /* flags */ 0);
	fcntl(ERROR_FD, F_SETFD, FD_CLOEXEC);
	reset_signals();
	become(user, ERROR_FD);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (chdir("/") < 0)
		fail(ERROR_FD, GOING_TO_ROOT);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], argv, environment);
	fail(ERROR_FD, EXECUTING);
	_exit(127);
}

/* ---- in the parent ---- */

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A pipe whose ends are all above ERROR_FD, so that the child can put them in place one by one. */
static int open_pipe(int ends[2])
{
	int low[2];
	if (pipe2(low, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, ERROR_FD + 1);
	int problem = errno;
	close_all(low, 2);
	return ends[0] < 0 || ends[1] < 0 ? -problem : 0;
}

enum { IN, OUT_READ, OUT_WRITE, ERR_READ, ERR_WRITE, FAILED_READ, FAILED_WRITE, FDS };

static int open_fds(int fds[FDS])
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), status = null < 0 ? -errno : 0;
	if (status == 0) {
		fds[IN] = fcntl(null, F_DUPFD_CLOEXEC, ERROR_FD + 1);
		status = fds[IN] < 0 ? -errno : 0;
		close(null);
	}
	if (status == 0)
		status = open_pipe(&fds[OUT_READ]);
	if (status == 0)
		status = open_pipe(&fds[ERR_READ]);
	return status == 0 ? open_pipe(&fds[FAILED_READ]) : status;
}

/* 0 once exec has closed the pipe; else what went wrong. */
static int wait_for_exec(int fd, pid_t pid, const char *path, char error[CHILD_ERROR_MAX])
{
	struct failure failure;
	ssize_t n;
	do
		n = read(fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(failure))
		return 0;
	waitpid(pid, NULL, 0);
	snprintf(error, CHILD_ERROR_MAX, "cannot run %.100s: %s: %s", path, step_names[failure.step],
		 strerror(failure.problem));
	return failure.problem > 0 ? -failure.problem : -EIO;
}

static pid_t fork_quietly(char *const *argv, char *const *environment, const struct child_user *user,
			  const int fds[FDS])
{
	const int passed[4] = {fds[IN], fds[OUT_WRITE], fds[ERR_WRITE], fds[FAILED_WRITE]};
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		be_child(argv, environment, user, passed);
	int problem = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = problem;
	return pid;
}

int child_start(char *const *argv, char *const *environment, const struct child_user *user, struct child *ret_child,
		char error[CHILD_ERROR_MAX])
{
	int fds[FDS] = {-1, -1, -1, -1, -1, -1, -1}, pidfd = -1;
	int status = open_fds(fds);
	pid_t pid = status < 0 ? -1 : fork_quietly(argv, environment, user, fds);
	if (status == 0 && pid < 0)
		status = -errno;
	if (status < 0) {
		snprintf(error, CHILD_ERROR_MAX, "cannot start a process: %s", strerror(-status));
		close_all(fds, FDS);
		return status;
	}
	close_all((int[]){fds[IN], fds[OUT_WRITE], fds[ERR_WRITE], fds[FAILED_WRITE]}, 4);
	status = wait_for_exec(fds[FAILED_READ], pid, argv[0], error);
	close(fds[FAILED_READ]);
	if (status == 0 && (pidfd = pidfd_open(pid, 0)) < 0) {
		status = -errno;
		snprintf(error, CHILD_ERROR_MAX, "cannot watch a process (Linux 5.3 or later is needed): %s",
			 strerror(-status));
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (status < 0) {
		close_all((int[]){fds[OUT_READ], fds[ERR_READ]}, 2);
		return status;
	}
	*ret_child = (struct child){.pid = pid, .pidfd = pidfd, .out = fds[OUT_READ], .err = fds[ERR_READ]};
	return 0;
}
