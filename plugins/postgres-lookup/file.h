/* SPDX-License-Identifier: MIT
 *
 * The names as they outlive the process: one file in the instance's folder, read at the start, replaced as a whole now
 * and then and at the end.
 *
 *   magic (8) | for (16) | count (4) | records | check (16)        little-endian
 *   record: as_of (8) | key length (1) | value length (2) | key | value
 *
 * `for` is a hash of all that decides which names these are (the address, the SQL, whether numbers are masked): a file
 * made for other options is none. `check` is a hash of all before it, so there is no need to wait for the disk: what
 * was torn by a power cut is not believed, and names can be asked for again. Read as strangers' bytes all the same.
 */
#ifndef POSTGRES_LOOKUP_FILE_H
#define POSTGRES_LOOKUP_FILE_H

#include "names.h"

enum { FILE_FOR_BYTES = 16, FILE_BYTES_MAX = 512 << 20 };

/* Adds the file's names, of the oldest asked for to the newest, as far as there is room. `now`, `wall`: the two clocks
 * at this moment, of which follows how old a name is. How many, or -ENOENT there is no file; -ESTALE it was made for
 * other options; -EBADMSG it is damaged; another errno it cannot be read. */
int64_t file_read(const char *folder, const uint8_t made_for[FILE_FOR_BYTES], struct names *names, int64_t now,
		  int64_t wall);
/* The folder is made if need be. 0, or the errno that says why it is as it was before. */
int file_write(const char *folder, const uint8_t made_for[FILE_FOR_BYTES], const struct names *names);

/* The bytes themselves; for the two above, and the fuzz target. */
int64_t file_parse(const uint8_t *bytes, size_t length, const uint8_t made_for[FILE_FOR_BYTES], struct names *names,
		   int64_t now, int64_t wall);
/* To be freed; NULL: no memory. */
uint8_t *file_make(const uint8_t made_for[FILE_FOR_BYTES], const struct names *names, size_t *ret_length);

#endif
