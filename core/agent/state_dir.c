/* SPDX-License-Identifier: MIT
 *
 * See state_dir.h. A lock on an open file (flock) and not a file with a number: it goes with the process, however that
 * ends, so there is nothing stale to remove. The number in it is only for the message.
 */
#include "state_dir.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0: not known. */
static long read_pid(int fd)
{
	char text[32] = "";
	ssize_t length = pread(fd, text, sizeof text - 1, 0);
	return length > 0 ? strtol(text, NULL, 10) : 0;
}

static int say_who(int fd, const char *path)
{
	log_line(NULL, CW_ERROR,
		 "another callwatchd (process %ld) uses %s: stop it first, or give this one another state_dir",
		 read_pid(fd), path);
	close(fd);
	return -EBUSY;
}

int state_dir_lock(const char *path)
{
	char file[PATH_MAX], text[32];
	int fd = -1;
	if ((size_t)snprintf(file, sizeof file, "%s/callwatchd.lock", path) >= sizeof file)
		errno = ENAMETOOLONG;
	else if (mkdir(path, 0750) == 0 || errno == EEXIST)
		fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0) {
		int code = -errno;
		log_line(NULL, CW_WARNING, "state_dir %s cannot be written: %s; running on without it", path,
			 strerror(-code));
		return code;
	}
	int locked = flock(fd, LOCK_EX | LOCK_NB);
	if (locked < 0 && errno == EWOULDBLOCK)
		return say_who(fd, path);
	if (locked < 0)
		log_line(NULL, CW_WARNING, "state_dir %s cannot be locked: %s; give no other callwatchd the same", path,
			 strerror(errno));
	int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length)
		log_line(NULL, CW_WARNING, "state_dir %s: %s", path, strerror(errno)); /* the lock holds all the same */
	return fd;
}

/* A shared lock is refused only while the exclusive one is held; it goes with the descriptor. */
int state_dir_holder(const char *path, long *ret_pid)
{
	char file[PATH_MAX];
	if ((size_t)snprintf(file, sizeof file, "%s/callwatchd.lock", path) >= sizeof file)
		return -ENAMETOOLONG;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int held = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? 1 : -errno;
	if (held > 0)
		*ret_pid = read_pid(fd);
	close(fd);
	return held;
}
