/* SPDX-License-Identifier: MIT
 *
 * The folder of a spool and the files in it: opened, locked, listed, removed. Private to spool.c.
 *
 * A file is named `<number>-<samples before>`, both as 16 hexadecimal digits: the number gives the order, and the
 * difference to the next file's second word is how many samples a file has. So a spool of gigabytes is opened by
 * reading its folder and two files, and what is lost with a file that cannot be read is known exactly.
 *
 * Nothing here trusts what it finds: a folder that others may write into is refused; a link, somebody else's file or
 * one with a second name is left alone; and a name that cannot be true makes the file be read.
 */
#ifndef CALLWATCH_CORE_SPOOL_FOLDER_H
#define CALLWATCH_CORE_SPOOL_FOLDER_H

#include "callwatch/plugin.h"

struct segment {
	struct segment *next;
	uint64_t number, first; /* first: number of samples in all segments before it */
	uint64_t samples, bytes;
};

enum { SEGMENT_FILE_MAX = 64 * 1024 * 1024 }; /* a larger file is none of ours */

struct spool_folder {
	int fd; /* locked; negative: not open */
	char *state_dir, *name;
	void (*say)(void *arg, enum cw_level level, const char *sentence);
	void *arg;
};

/* Makes `<state_dir>/spool/<name>` if it is not there. -EBUSY: another spool has it; -EPERM: it is not ours alone. The
 * struct is to be released in any case. */
int spool_folder_open(struct spool_folder *folder, const char *state_dir, const char *name);
int spool_folder_reopen(struct spool_folder *folder); /* when it was removed under us */
void spool_folder_release(struct spool_folder *folder);
void spool_folder_say(const struct spool_folder *folder, enum cw_level level, const char *format, ...) CW_PRINTF(3, 4);

/* All segments, in order, each to be freed; and how many samples were in files that are missing between them, by the
 * names of the others. 0 or a negative code. */
int spool_folder_list(const struct spool_folder *folder, struct segment **ret_first, uint64_t *ret_missing);
/* A descriptor or a negative code. */
int segment_open(const struct spool_folder *folder, const struct segment *segment, int flags);
void segment_remove(const struct spool_folder *folder, const struct segment *segment); /* the file */
/* Reads on behind `loaded` up to `end`, or to the end of the file. 0 or a negative code. */
int segment_load(int fd, unsigned char *bytes, size_t *loaded, size_t end);

#endif
