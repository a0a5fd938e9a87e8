/* SPDX-License-Identifier: MIT
 *
 * Plugins as files: found by name in the plugin directories, checked, loaded once, never unloaded. Private to the core.
 *
 * Before dlopen: a regular file reached by an absolute path, owned by root or by us, not writable by others (nor its
 * directory), an ELF file of this machine. After it: the symbol, the ABI, then a deep look at the descriptor (names,
 * duplicates, ranges, defaults that parse), copied into the core's own struct sizes. Every refusal is one sentence:
 * file, what is wrong, what to do.
 */
#ifndef CALLWATCH_CORE_LOADER_H
#define CALLWATCH_CORE_LOADER_H

#include "callwatch/plugin.h"

extern const char *const role_names[]; /* NULL-terminated */
/* What reads. */
static inline bool role_is_source(enum cw_role role)
{
	return role == CW_SOURCE || role == CW_LOOKUP;
}
/* What is only given batches. */
static inline bool role_is_output(enum cw_role role)
{
	return role == CW_OUTPUT;
}
/* What sends on what others have made, and so ends after them. A frontend does not. */
static inline bool role_sends(enum cw_role role)
{
	return role == CW_OUTPUT || role == CW_NOTIFIER;
}
/* In which of ROLE_TURNS it is started: who is to hear of something before who has something to say. */
enum { ROLE_TURNS = 3 };
static inline int role_turn(enum cw_role role)
{
	return role_is_source(role) ? 2 : role == CW_NOTIFIER;
}

struct plugin {
	const char *path;
	struct cw_plugin decl; /* copied; arrays have the core's strides */
	/* identity of the file when it was loaded */
	uint64_t device, inode;
	int64_t modified;
};

enum { LOADER_ERROR_MAX = 512 };

/* NULL-terminated list of directories, searched in order; copied. The default is known from the build. */
void loader_set_directories(const char *const *directories);
/* By name, or by path if there is a '/' in it. The same pointer for the same file. NULL with a sentence in error.
 * Thread-safe. */
const struct plugin *loader_find(const char *name, char error[LOADER_ERROR_MAX]);
bool loader_changed_on_disk(const struct plugin *plugin); /* needs a restart */
/* All plugins in the directories, for `callwatch plugins`; calls seen() with the name, or with the error for a bad
 * file. */
void loader_list(void (*seen)(void *arg, const struct plugin *plugin, const char *error), void *arg);
const char *loader_nearest(const char *name); /* nearest name of a file in the directories, or NULL */

#endif
