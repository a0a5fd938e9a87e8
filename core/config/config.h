/* SPDX-License-Identifier: MIT
 *
 * The configuration as written: all files read, merged, variables expanded; not yet checked against any plugin (plan.h
 * does that). Private to the core.
 *
 * Files: each -c is a file or a directory (every *.yaml in byte order, hidden ones left out). By default the vendor's
 * directory and the administrator's, where a file of the same name replaces the vendor's. Variables: expand.h.
 *
 * Merging. Lists of named things append, wherever the files are; a name that is there twice is an error. An entry with
 * `override: true` merges into the entry of that name (plugins default to the plugin's name), whichever file comes
 * first: maps merge key by key, anything else is replaced. `enabled: false` switches an entry off, then it is not in
 * the result. Keys of `agent` and `notify` must not conflict: two files may say the same, not two things; maps such as
 * labels merge per key. A name is at most 64 of A-Z a-z 0-9 _ - and begins with a letter or a digit, because it becomes
 * part of paths.
 *
 * What rules and notify say is checked later (core/alerts/rule.h).
 */
#ifndef CALLWATCH_CORE_CONFIG_H
#define CALLWATCH_CORE_CONFIG_H

#include "yamltree.h"

/* One configured plugin, as written. */
struct config_entry {
	const char *plugin;      /* its `plugin:` */
	const char *name;        /* its `name:`, else the plugin's (of ./x.so: x) */
	const struct node *node; /* merged map with all its keys */
};

struct config {
	const struct node *agent;           /* merged map, never NULL */
	const struct node *connections;     /* map of name → map, never NULL */
	const struct config_entry *entries; /* enabled ones, in order, names unique */
	size_t count;
	const struct node *rules, *notify; /* a list of maps, a map; may be NULL */
	const char *const *rules_off;      /* names of rules that are switched off */
	size_t rules_off_count;
	/* private below */
	struct yaml **files;
	size_t files_count;
	void *arena;
};

extern const char *const config_default_paths[]; /* vendor, administrator, NULL */

/* Reads and merges; `paths` NULL-terminated, NULL for the default ones. Adds to problems; NULL only if nothing at all
 * could be read. */
struct config *config_load(const char *const *paths, struct problems *problems);
/* For tests and --once: as if `text` were one more file called `name`, after the others. */
struct config *config_load_with(const char *const *paths, const char *name, const char *text,
				struct problems *problems);
void config_free(struct config *config); /* NULL is fine */
/* The merged configuration as YAML, each key with a comment that says where it comes from. `is_secret` says which
 * become
 * ***; it is asked with entry NULL outside of plugins, and may be NULL. Keys that end in password, secret, token or
 * _key, and passwords inside URLs, are *** anyway. */
void config_print(const struct config *config, FILE *out,
		  bool (*is_secret)(const struct config_entry *entry, const char *key));
/* The text with *** for the password of a URL in it; the caller frees it. NULL: no memory. */
char *config_without_password(const char *text);

#endif
