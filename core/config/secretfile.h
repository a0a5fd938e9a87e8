/* SPDX-License-Identifier: MIT
 *
 * The content of a file named by KEY_file. Private to the core.
 */
#ifndef CALLWATCH_CORE_SECRETFILE_H
#define CALLWATCH_CORE_SECRETFILE_H

#include "arena.h"
#include "problems.h"

enum { SECRET_FILE_MAX = 65536, SECRET_ERROR_MAX = 400 };

/* `path` as written in the file of `place`: absolute; or in $CREDENTIALS_DIRECTORY, if it is there; or beside that
 * file. Refused: what is no regular file, belongs neither to root nor to us, can be written by group or others, is
 * empty, too large, not UTF-8 or holds a NUL; if it is a secret also what they can read (a credential of systemd may be
 * readable by its group, 0440): a certificate is for all to see. One newline at the end is taken off. 0 with the text
 * in the arena, or negative with a sentence that names the file. */
int secret_file_read(const char *path, const struct place *place, bool secret, struct arena *arena,
		     const char **ret_text, char error[SECRET_ERROR_MAX]);

#endif
