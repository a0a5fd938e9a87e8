/* SPDX-License-Identifier: MIT
 *
 * See secretfile.h. The file is opened first and looked at through its descriptor, so that what was checked is what is
 * read.
 */
#include "secretfile.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(char *error, const char *path, const char *format, ...) CW_PRINTF(3, 4);

static int refuse(char *error, const char *path, const char *format, ...)
{
	char reason[SECRET_ERROR_MAX / 2];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(error, SECRET_ERROR_MAX, "%.180s: %s", path, reason);
	return -EINVAL;
}

/* False: the path is too long. */
static bool beside(char full[PATH_MAX], const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	int length = slash ? (int)(slash - file) + 1 : 0;
	return snprintf(full, PATH_MAX, "%.*s%s", length, file, path) < PATH_MAX;
}

static bool find(char full[PATH_MAX], const char *path, const struct place *place, bool *ret_credential)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	*ret_credential = false;
	if (path[0] == '/')
		return snprintf(full, PATH_MAX, "%s", path) < PATH_MAX;
	if (credentials && credentials[0] && snprintf(full, PATH_MAX, "%s/%s", credentials, path) < PATH_MAX &&
	    access(full, F_OK) == 0) {
		*ret_credential = true;
		return true;
	}
	return beside(full, place->file, path);
}

static int check_status(const struct stat *status, const char *path, bool secret, bool credential, char *error)
{
	mode_t forbidden = !secret ? 022 : credential ? 037 : 077;
	if (!S_ISREG(status->st_mode))
		return refuse(error, path, "not a regular file");
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return refuse(error, path, "belongs to user %u, refused: it must be root's or ours (user %u)",
			      status->st_uid, geteuid());
	if (status->st_mode & forbidden)
		return refuse(error, path, "mode %04o, refused: group and others must %s (chmod %o)",
			      status->st_mode & 07777, secret ? "have no access" : "not write it",
			      secret ? 0600U : 0644U);
	if (status->st_size > SECRET_FILE_MAX)
		return refuse(error, path, "too large: at most %d KiB are allowed", SECRET_FILE_MAX / 1024);
	return 0;
}

static int read_all(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t length = 0;
	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return 0;
}

static int check_content(const char *path, const char *text, size_t length, char *error)
{
	if (length == 0)
		return refuse(error, path, "empty");
	if (length > SECRET_FILE_MAX)
		return refuse(error, path, "too large: at most %d KiB are allowed", SECRET_FILE_MAX / 1024);
	if (memchr(text, '\0', length))
		return refuse(error, path, "holds a NUL character");
	if (!text_is_utf8(text, length))
		return refuse(error, path, "is not UTF-8 text");
	return 0;
}

static int read_content(int fd, const char *path, struct arena *arena, const char **ret_text, char *error)
{
	char buffer[SECRET_FILE_MAX + 2];
	size_t length = 0;
	int status = read_all(fd, buffer, sizeof(buffer), &length);
	if (status)
		return refuse(error, path, "cannot be read: %s", strerror(-status));
	size_t content = length > 0 && buffer[length - 1] == '\n' ? length - 1 : length;
	status = check_content(path, buffer, content, error);
	if (status == 0)
		*ret_text = arena_text(arena, buffer, content);
	explicit_bzero(buffer, length);
	return status;
}

int secret_file_read(const char *path, const struct place *place, bool secret, struct arena *arena,
		     const char **ret_text, char error[SECRET_ERROR_MAX])
{
	char full[PATH_MAX];
	bool credential;
	struct stat info;
	if (!path[0] || !find(full, path, place, &credential))
		return refuse(error, path, "not a path");
	/* Not blocking, because a FIFO would wait for its writer before it could be refused. */
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse(error, full, "cannot be read: %s", strerror(errno));
	int status = fstat(fd, &info) == 0 ? check_status(&info, full, secret, credential, error)
					   : refuse(error, full, "cannot be read: %s", strerror(errno));
	if (status == 0)
		status = read_content(fd, full, arena, ret_text, error);
	close(fd);
	return status;
}
