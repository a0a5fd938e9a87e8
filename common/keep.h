/* SPDX-License-Identifier: MIT
 *
 * A small file in an instance's own folder, read and replaced as a whole: what a plugin knows and wants to know again
 * after a restart. For both sides of the contract; blocks, so for the instance's own thread only.
 *
 * The file is private (0600, in a folder of 0700), made under another name that must not exist, and no link is
 * followed: whoever may write into the state's folder shall not make us write elsewhere.
 */
#ifndef CALLWATCH_COMMON_KEEP_H
#define CALLWATCH_COMMON_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes, to be freed. 0; -ENOENT: there is none; -EBADMSG: it is no file, or larger than `limit`; another errno. */
int keep_read(const char *folder, const char *name, size_t limit, uint8_t **ret_bytes, size_t *ret_length);
/* The folder is made if need be. `lasting`: waits until the disk has it, so that it is there after a power cut. 0, or
 * the errno that says why the file is as it was before. */
int keep_write(const char *folder, const char *name, const void *bytes, size_t length, bool lasting);
/* Renames it to NAME.damaged, in place of an earlier one. 0 or an errno. */
int keep_set_aside(const char *folder, const char *name);

#endif
