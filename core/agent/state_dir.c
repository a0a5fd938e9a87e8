/* SPDX-License-Identifier: MIT
 *
 * See state_dir.h. A lock on an open file (flock) and not a file with a number: it goes with the process, however that
 * ends, so there is nothing stale to remove. The number in it is only for the message.
 */
#include "state_dir.h"

#include "log.h"

#include <dirent.h>
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

static DIR *open_below(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !stream)
		close(fd);
	return stream;
}

static uint64_t bytes_below(int folder, const char *name)
{
	uint64_t bytes = 0;
	struct dirent *entry;
	struct stat status;
	DIR *stream = open_below(folder, name);
	while (stream && (entry = readdir(stream))) /* cppcheck-suppress readdirCalled; one thread, its own stream */
		if (fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
			bytes += (uint64_t)status.st_size;
	if (stream)
		closedir(stream);
	return bytes;
}

void state_dir_spools(const char *path, void (*found)(void *arg, const char *name, uint64_t bytes), void *arg)
{
	char spools[PATH_MAX];
	struct dirent *entry;
	snprintf(spools, sizeof spools, "%s/spool", path);
	DIR *stream = open_below(AT_FDCWD, spools);
	while (stream && (entry = readdir(stream))) { /* cppcheck-suppress readdirCalled; one thread, its own stream */
		uint64_t bytes = entry->d_name[0] == '.' ? 0 : bytes_below(dirfd(stream), entry->d_name);
		if (bytes)
			found(arg, entry->d_name, bytes);
	}
	if (stream)
		closedir(stream);
}
