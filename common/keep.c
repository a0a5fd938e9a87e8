/* SPDX-License-Identifier: MIT
 *
 * See keep.h.
 */
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_ROOM = 64 };

static int open_folder(const char *folder, bool make)
{
	if (make && mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fd;
}

/* All of it, which may come in pieces. */
static int read_all(int fd, uint8_t *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = read(fd, bytes + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(fd, bytes + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* The whole of an open file; to be freed. */
static int load(int fd, size_t limit, uint8_t **ret_bytes, size_t *ret_length)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > limit)
		return -EBADMSG;
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	int status = bytes ? read_all(fd, bytes, (size_t)st.st_size) : -ENOMEM;
	if (status < 0) {
		free(bytes);
		return status;
	}
	*ret_bytes = bytes;
	*ret_length = (size_t)st.st_size;
	return 0;
}

int keep_read(const char *folder, const char *name, size_t limit, uint8_t **ret_bytes, size_t *ret_length)
{
	int directory = open_folder(folder, /* make */ false);
	if (directory < 0)
		return directory;
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int error = errno;
	close(directory);
	if (fd < 0)
		return -error;
	int status = load(fd, limit, ret_bytes, ret_length);
	close(fd);
	return status;
}

static int replace(int directory, const char *name, const void *bytes, size_t length, bool lasting)
{
	char name_while_made[NAME_ROOM];
	snprintf(name_while_made, sizeof(name_while_made), "%s.new", name);
	unlinkat(directory, name_while_made, 0); /* of one who was killed at it */
	int fd = openat(directory, name_while_made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int status = write_all(fd, bytes, length);
	if (status == 0 && lasting && fsync(fd) < 0)
		status = -errno;
	if (close(fd) < 0 && status == 0)
		status = -errno;
	if (status == 0 && renameat(directory, name_while_made, directory, name) < 0)
		status = -errno;
	if (status == 0 && lasting && fsync(directory) < 0)
		status = -errno;
	if (status < 0)
		unlinkat(directory, name_while_made, 0);
	return status;
}

int keep_write(const char *folder, const char *name, const void *bytes, size_t length, bool lasting)
{
	int directory = open_folder(folder, /* make */ true);
	if (directory < 0)
		return directory;
	int status = replace(directory, name, bytes, length, lasting);
	close(directory);
	return status;
}

int keep_set_aside(const char *folder, const char *name)
{
	char aside[NAME_ROOM];
	int directory = open_folder(folder, /* make */ false);
	if (directory < 0)
		return directory;
	snprintf(aside, sizeof(aside), "%s.damaged", name);
	int status = renameat(directory, name, directory, aside) < 0 ? -errno : 0;
	close(directory);
	return status;
}
