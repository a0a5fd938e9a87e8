/* SPDX-License-Identifier: MIT
 *
 * See spool_folder.h.
 */
#include "spool_folder.h"

#include "spool_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 40, SENTENCE_MAX = 512 };

void spool_folder_say(const struct spool_folder *folder, enum cw_level level, const char *format, ...)
{
	char sentence[SENTENCE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (folder->say)
		folder->say(folder->arg, level, sentence);
}

/* ---- the folder ---- */

/* Steps into a folder below, made if needed. */
static int step_into(int fd, const char *name)
{
	if (mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return -errno;
	return below;
}

static int check(int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM; /* somebody else could put files in */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return -EBUSY;
	return 0; /* a file system without locks: that of state_dir keeps other processes away */
}

int spool_folder_reopen(struct spool_folder *folder)
{
	int root = open(folder->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	int spools = step_into(root, "spool");
	close(root);
	if (spools < 0)
		return spools;
	int fd = step_into(spools, folder->name);
	close(spools);
	int status = fd < 0 ? fd : check(fd);
	if (status < 0) {
		if (fd >= 0)
			close(fd);
		return status;
	}
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = fd;
	return 0;
}

int spool_folder_open(struct spool_folder *folder, const char *state_dir, const char *name)
{
	folder->fd = -1;
	folder->state_dir = strdup(state_dir);
	folder->name = strdup(name);
	return folder->state_dir && folder->name ? spool_folder_reopen(folder) : -ENOMEM;
}

void spool_folder_release(struct spool_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd); /* and with it goes the lock */
	folder->fd = -1;
	free(folder->state_dir);
	free(folder->name);
}

/* ---- a file ---- */

static void name_write(const struct segment *segment, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%016" PRIx64 "-%016" PRIx64, segment->number, segment->first);
}

static bool read_hex(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (int i = 0; i < 16; i++) {
		const char *digits = "0123456789abcdef", *digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (!digit)
			return false;
		value = value << 4 | (uint64_t)(digit - digits);
	}
	*ret_value = value;
	return true;
}

/* Nobody has counted up to the upper half of what 64 bits hold. */
static bool name_read(const char *name, struct segment *ret_segment)
{
	return strlen(name) == 33 && name[16] == '-' && read_hex(name, &ret_segment->number) &&
	       read_hex(name + 17, &ret_segment->first) && ret_segment->number <= INT64_MAX;
}

int segment_open(const struct spool_folder *folder, const struct segment *segment, int flags)
{
	char name[NAME_SIZE];
	name_write(segment, name);
	int fd = openat(folder->fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return fd;
}

void segment_remove(const struct spool_folder *folder, const struct segment *segment)
{
	char name[NAME_SIZE];
	name_write(segment, name);
	if (unlinkat(folder->fd, name, /* flags */ 0) < 0 && errno != ENOENT)
		spool_folder_say(folder, CW_WARNING, "spool: cannot remove %s: %s", name, strerror(errno));
}

int segment_load(int fd, unsigned char *bytes, size_t *loaded, size_t end)
{
	while (*loaded < end) {
		ssize_t n = pread(fd, bytes + *loaded, end - *loaded, (off_t)*loaded);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		*loaded += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* ---- what is there ---- */

struct found {
	struct segment *list;
	size_t count, room;
};

static int found_add(struct found *found, const struct segment *segment)
{
	if (found->count == found->room) {
		size_t room = found->room ? found->room * 2 : 64;
		struct segment *bigger = realloc(found->list, room * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		found->list = bigger;
		found->room = room;
	}
	found->list[found->count++] = *segment;
	return 0;
}

/* A file of ours is plain, has one name, and is nobody else's. One without a record is what a kill left of a beginning.
 */
static int look_at_file(const struct spool_folder *folder, struct found *found, const char *name)
{
	struct segment segment = {.samples = 0};
	struct stat status;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (!name_read(name, &segment) || fstatat(folder->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(status.st_mode) || status.st_nlink != 1 || status.st_uid != geteuid()) {
		spool_folder_say(folder, CW_WARNING, "spool: %s is no file of this spool and is left alone", name);
		return 0;
	}
	segment.bytes = (uint64_t)status.st_size;
	if (segment.bytes > SPOOL_HEAD_BYTES)
		return found_add(found, &segment);
	segment_remove(folder, &segment);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct segment *one = a, *other = b;
	return one->number < other->number ? -1 : one->number > other->number;
}

static int look_at_all(const struct spool_folder *folder, struct found *found)
{
	int again = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = again < 0 ? NULL : fdopendir(again);
	if (!stream) {
		int code = -errno;
		if (again >= 0)
			close(again);
		return code;
	}
	int status = 0;
	struct dirent *entry;
	/* cppcheck-suppress readdirCalled; one thread, its own stream */
	while (status == 0 && (errno = 0, entry = readdir(stream)))
		status = look_at_file(folder, found, entry->d_name);
	if (status == 0)
		status = -errno;
	closedir(stream);
	if (found->count)
		qsort(found->list, found->count, sizeof(*found->list), by_number);
	return status;
}

static uint64_t samples_in(const unsigned char *bytes, size_t length)
{
	struct spool_key key;
	struct spool_record record = {.end = SPOOL_HEAD_BYTES};
	uint64_t samples = 0;
	if (!spool_head_read(bytes, length, &key))
		return 0;
	while (spool_record_next(&key, bytes, length, record.end, &record))
		samples += record.samples;
	return samples;
}

/* By reading the file. What cannot be read has none: should it be readable later, they are found then. */
static uint64_t count_samples(const struct spool_folder *folder, const struct segment *segment)
{
	size_t loaded = 0;
	unsigned char *bytes = segment->bytes <= SEGMENT_FILE_MAX ? malloc(segment->bytes) : NULL;
	int fd = bytes ? segment_open(folder, segment, O_RDONLY) : -1;
	uint64_t samples = 0;
	if (fd >= 0 && segment_load(fd, bytes, &loaded, segment->bytes) == 0)
		samples = samples_in(bytes, loaded);
	if (fd >= 0)
		close(fd);
	free(bytes);
	return samples;
}

/* By the name of the file behind it if that can be true (no sample is as small as a byte). */
static uint64_t samples_of(const struct spool_folder *folder, const struct segment *segment, const struct segment *next)
{
	if (next && next->number == segment->number + 1 && next->first - segment->first < segment->bytes)
		return next->first - segment->first;
	return count_samples(folder, segment);
}

/* How many samples must have been in files between the two that are not there; 0 if the names cannot be true. */
static uint64_t missing_between(const struct spool_folder *folder, const struct segment *segment,
				const struct segment *next)
{
	if (!next || next->number == segment->number + 1)
		return 0;
	uint64_t files = next->number - segment->number - 1;
	uint64_t samples = next->first - (segment->first + segment->samples);
	bool can_be = files < INT32_MAX && samples / files < SEGMENT_FILE_MAX;
	spool_folder_say(folder, CW_ERROR,
			 "spool: between the files %016" PRIx64 " and %016" PRIx64 " some are missing: %" PRIu64
			 " samples are lost",
			 segment->number, next->number, can_be ? samples : 0);
	return can_be ? samples : 0;
}

int spool_folder_list(const struct spool_folder *folder, struct segment **ret_first, uint64_t *ret_missing)
{
	struct found found = {.list = NULL};
	struct segment *first = NULL, **last = &first;
	int status = look_at_all(folder, &found);
	*ret_missing = 0;
	for (size_t i = 0; i < found.count && status == 0; i++) {
		struct segment *segment = malloc(sizeof(*segment));
		if (!segment) {
			status = -ENOMEM;
			break;
		}
		*segment = found.list[i];
		const struct segment *next = i + 1 < found.count ? &found.list[i + 1] : NULL;
		segment->samples = samples_of(folder, segment, next);
		*ret_missing += missing_between(folder, segment, next);
		*last = segment;
		last = &segment->next;
	}
	free(found.list);
	while (status < 0 && first) {
		struct segment *next = first->next;
		free(first);
		first = next;
	}
	*ret_first = first;
	return status;
}
