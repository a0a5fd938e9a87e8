/* SPDX-License-Identifier: MIT
 *
 * A plugin's descriptor, looked at deeply and copied into the core's own struct sizes. Part of the loader; private to
 * it.
 */
#ifndef CALLWATCH_CORE_DESCRIPTOR_H
#define CALLWATCH_CORE_DESCRIPTOR_H

#include "loader.h"

/* The ABI has been checked. A copy that lives as long as the process, or NULL with a sentence in error. Strings and
 * callbacks still point into the object. */
struct plugin *descriptor_copy(const char *path, const struct cw_plugin *found, char error[LOADER_ERROR_MAX]);

#endif
