/* SPDX-License-Identifier: MIT
 *
 * The runs (runs.h) as a file of the instance's folder: `runs`, replaced as a whole and waited for until the disk has
 * it, so that it is known after a power cut what was asked for before. Blocks the instance's own thread for that.
 */
#ifndef RECONCILIATION_RUNS_FILE_H
#define RECONCILIATION_RUNS_FILE_H

#include "runs.h"

enum { RUNS_FILE_MAX = 32 << 20 };

/* 0; -ENOENT: there is none; -EBADMSG: it is damaged, and is called `runs.damaged` from now on; another errno: it
 * cannot be read. */
int runs_file_read(const char *folder, struct runs *runs, int64_t now, int64_t wall);
/* The folder is made if need be. 0, or the errno that says why the file is as it was before. */
int runs_file_write(const char *folder, const struct runs *runs);

#endif
