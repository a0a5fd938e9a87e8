/* SPDX-License-Identifier: MIT
 *
 * The folder for what outlives a restart, and the lock in it that keeps a second agent away. Private to the core.
 */
#ifndef CALLWATCH_CORE_STATE_DIR_H
#define CALLWATCH_CORE_STATE_DIR_H

#include <stdint.h>

/* Makes the folder if its parent exists, and takes the lock. A descriptor that holds it until the process ends, or
 * -EBUSY: another agent has it, or another negative code: the folder cannot be used. The reason has been logged. */
int state_dir_lock(const char *path);
/* Calls found() for each output's spool in it that is not empty. */
void state_dir_spools(const char *path, void (*found)(void *arg, const char *name, uint64_t bytes), void *arg);
/* Is it held by a running agent? 1 and its process, 0, or a negative code: it cannot be told. Takes no lock. */
int state_dir_holder(const char *path, long *ret_pid);

#endif
