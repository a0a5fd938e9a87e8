/* SPDX-License-Identifier: MIT
 *
 * See config.h. Three steps: the list of files, their trees, then one section after the other merged over all files, so
 * that an override may stand in an earlier file than what it overrides.
 */
#include "config.h"

#include "arena.h"
#include "expand.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef CALLWATCH_VENDOR_CONF
#define CALLWATCH_VENDOR_CONF "/usr/lib/callwatch/conf.d"
#endif

const char *const config_default_paths[] = {CALLWATCH_VENDOR_CONF, "/etc/callwatch/conf.d", NULL};

enum { FILES_MAX = 1000, NAMED_MAX = 4000, NAME_LENGTH_MAX = 64, KEYS_MAX = 5000 };

static const char *const sections[] = {"agent", "connections", "plugins", "rules", "notify"};

struct files {
	char *paths[FILES_MAX];
	size_t count;
};

/* A thing with a name, as it stands in one file. */
struct named {
	const char *name;
	const struct node *node;
	bool override;
};

struct loading {
	struct config *config;
	struct arena *arena;
	struct problems *problems;
	struct files files;
	struct named *named; /* room for NAMED_MAX, of the section under way */
	size_t named_count;
	const char **off; /* names of those that are switched off */
	size_t off_count;
};

/* --- the list of files --- */

static void add_path(struct loading *loading, const char *path)
{
	if (loading->files.count == FILES_MAX)
		problem_add(loading->problems, PROBLEM_ERROR, NULL, "%s: more than %d files of configuration", path,
			    FILES_MAX);
	else
		loading->files.paths[loading->files.count++] = arena_text(loading->arena, path, strlen(path));
}

static int is_yaml(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The file of the same name among those of earlier directories makes way. */
static bool replace_path(struct loading *loading, const char *path)
{
	for (size_t i = 0; i < loading->files.count; i++)
		if (strcmp(base_name(loading->files.paths[i]), base_name(path)) == 0) {
			loading->files.paths[i] = arena_text(loading->arena, path, strlen(path));
			return true;
		}
	return false;
}

static void add_directory(struct loading *loading, const char *path, bool replaces)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_yaml, by_bytes);
	if (count < 0) {
		problem_add(loading->problems, PROBLEM_ERROR, NULL, "%s: cannot be read: %s", path, strerror(errno));
		return;
	}
	if (count == 0 && !replaces)
		problem_add(loading->problems, PROBLEM_WARNING, NULL, "%s: no *.yaml in this directory", path);
	for (int i = 0; i < count; i++) {
		char full[4096];
		snprintf(full, sizeof(full), "%s/%s", path, entries[i]->d_name);
		if (!replaces || !replace_path(loading, full))
			add_path(loading, full);
		free(entries[i]);
	}
	free(entries);
}

static void add_given(struct loading *loading, const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		problem_add(loading->problems, PROBLEM_ERROR, NULL, "%s: cannot be read: %s", path, strerror(errno));
	else if (S_ISDIR(status.st_mode))
		add_directory(loading, path, /* replaces */ false);
	else
		add_path(loading, path);
}

static int by_base_name(const void *a, const void *b)
{
	return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

static void add_defaults(struct loading *loading)
{
	bool found = false;
	for (size_t i = 0; config_default_paths[i]; i++) {
		struct stat status;
		if (stat(config_default_paths[i], &status) != 0 && errno == ENOENT)
			continue;
		add_directory(loading, config_default_paths[i], /* replaces */ true);
		found = true;
	}
	if (!found)
		problem_add(loading->problems, PROBLEM_ERROR, NULL,
			    "no configuration: there is neither %s nor %s; `-c PATH` names another",
			    config_default_paths[0], config_default_paths[1]);
	qsort(loading->files.paths, loading->files.count, sizeof(char *), by_base_name);
}

/* --- their trees --- */

static bool is_section(const char *key)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (strcmp(sections[i], key) == 0)
			return true;
	return false;
}

static void check_sections(struct loading *loading, const struct node *root)
{
	char hint[NAME_HINT_SIZE];
	for (uint32_t i = 0; i < root->count; i++) {
		const struct node *node = root->children[i];
		if (is_section(node->key))
			continue;
		name_hint(hint, node->key, sections, sizeof(sections) / sizeof(sections[0]));
		problem_add(loading->problems, PROBLEM_ERROR, &node->key_place, "unknown section `%.100s`%s", node->key,
			    hint);
	}
}

/* Takes the tree over; NULL is fine. */
static void add_tree(struct loading *loading, struct yaml *yaml)
{
	struct config *config = loading->config;
	if (!yaml)
		return;
	config->files[config->files_count++] = yaml;
	struct node *root = yaml_root(yaml);
	if (root->kind != NODE_MAP) {
		problem_add(loading->problems, PROBLEM_ERROR, &root->place,
			    "expected a map of sections (agent, connections, plugins, rules, notify), found %s",
			    node_kind_name(root));
		return;
	}
	check_sections(loading, root);
	expand_tree(root, loading->arena, loading->problems);
}

/* The section of file i, NULL if the file has none or one of the wrong kind (which is reported). */
static const struct node *section_of(struct loading *loading, size_t i, const char *name, enum node_kind kind)
{
	const struct node *section = node_get(yaml_root(loading->config->files[i]), name);
	if (!section || node_is_null(section) || section->kind == kind)
		return section && section->kind == kind ? section : NULL;
	problem_add(loading->problems, PROBLEM_ERROR, &section->place, "%s: expected %s, found %s", name,
		    kind == NODE_LIST ? "a list" : "a map", node_kind_name(section));
	return NULL;
}

/* --- merging maps --- */

static struct node *new_map(struct loading *loading, const struct node *like, size_t room)
{
	struct node *map = arena_alloc(loading->arena, sizeof(*map));
	*map = (struct node){.kind = NODE_MAP, .place = {"(nowhere)", 1, 1}};
	if (like)
		*map = *like;
	map->count = 0;
	map->children = arena_alloc(loading->arena, (room ? room : 1) * sizeof(struct node *));
	return map;
}

static int64_t index_of(const struct node *map, const char *key)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (strcmp(map->children[i]->key, key) == 0)
			return i;
	return -1;
}

static bool same(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || a->count != b->count || (a->key && strcmp(a->key, b->key) != 0))
		return false;
	if (a->kind == NODE_SCALAR)
		return strcmp(a->text, b->text) == 0;
	for (uint32_t i = 0; i < a->count; i++)
		if (!same(a->children[i], b->children[i]))
			return false;
	return true;
}

/* `override`: what is in `over` wins; else two different values are an error. Neither map is changed. */
static struct node *merge(struct loading *loading, const struct node *base, const struct node *over, bool override)
{
	struct node *map = new_map(loading, base, (size_t)base->count + over->count);
	if (base->count)
		memcpy(map->children, base->children, base->count * sizeof(struct node *));
	map->count = base->count;
	if (map->count + over->count > KEYS_MAX) { /* each is sought in a row */
		problem_add(loading->problems, PROBLEM_ERROR, &over->place, "more than %d keys to merge", KEYS_MAX);
		return map;
	}
	for (uint32_t i = 0; i < over->count; i++) {
		struct node *theirs = over->children[i];
		int64_t at = index_of(map, theirs->key);
		struct node *ours = at < 0 ? NULL : map->children[at];
		if (override && strcmp(theirs->key, "override") == 0)
			continue;
		if (!ours)
			map->children[map->count++] = theirs;
		else if (ours->kind == NODE_MAP && theirs->kind == NODE_MAP)
			map->children[at] = merge(loading, ours, theirs, override);
		else if (override)
			map->children[at] = theirs;
		else if (!same(ours, theirs))
			problem_add(loading->problems, PROBLEM_ERROR, &theirs->key_place,
				    "`%s` is already set to something else at %s:%u:%u", theirs->key,
				    ours->key_place.file, ours->key_place.line, ours->key_place.column);
	}
	return map;
}

/* `agent` and `notify`: all files' maps as one; NULL if no file has it. */
static const struct node *merge_section(struct loading *loading, const char *name)
{
	const struct node *all = NULL;
	for (size_t i = 0; i < loading->config->files_count; i++) {
		const struct node *section = section_of(loading, i, name, NODE_MAP);
		if (section)
			all = all ? merge(loading, all, section, /* override */ false) : section;
	}
	return all;
}

/* --- named things --- */

static bool is_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strlen(name);
	return length > 0 && length <= NAME_LENGTH_MAX && strchr(letters, name[0]) && strspn(name, all) == length;
}

/* The value of `enabled` or `override`; `otherwise` if it is not there or not a truth value, which is reported. */
static bool truth(struct loading *loading, const struct node *map, const char *key, bool otherwise)
{
	const struct node *node = node_get(map, key);
	if (!node)
		return otherwise;
	if (node->kind == NODE_SCALAR && strcmp(node->text, "true") == 0)
		return true;
	if (node->kind == NODE_SCALAR && strcmp(node->text, "false") == 0)
		return false;
	problem_add(loading->problems, PROBLEM_ERROR, &node->place, "%s: expected true or false", key);
	return otherwise;
}

static void add_named(struct loading *loading, const char *name, const struct place *place, const struct node *node)
{
	if (!is_name(name)) {
		problem_add(loading->problems, PROBLEM_ERROR, place,
			    "the name `%.80s` is not made of letters, digits, `_` and `-`, or longer than %d", name,
			    NAME_LENGTH_MAX);
		return;
	}
	if (loading->named_count == NAMED_MAX) {
		problem_add(loading->problems, PROBLEM_ERROR, place, "more than %d entries", NAMED_MAX);
		return;
	}
	bool override = truth(loading, node, "override", false);
	loading->named[loading->named_count++] = (struct named){name, node, override};
}

static struct named *find_named(struct loading *loading, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(loading->named[i].name, name) == 0)
			return &loading->named[i];
	return NULL;
}

/* Entries that stand for themselves to the front, in order; each name once. */
static size_t settle_bases(struct loading *loading, struct named *overrides, size_t *ret_overrides)
{
	size_t count = 0;
	*ret_overrides = 0;
	for (size_t i = 0; i < loading->named_count; i++) {
		struct named entry = loading->named[i];
		if (entry.override) {
			overrides[(*ret_overrides)++] = entry;
			continue;
		}
		const struct named *other = find_named(loading, count, entry.name);
		if (other)
			problem_add(loading->problems, PROBLEM_ERROR, &entry.node->place,
				    "the name `%s` is already used at %s:%u:%u; give this one another `name:`, or "
				    "`override: true` to change that one",
				    entry.name, other->node->place.file, other->node->place.line,
				    other->node->place.column);
		else
			loading->named[count++] = entry;
	}
	return count;
}

static void report_no_base(struct loading *loading, const struct named *entry)
{
	char hint[NAME_HINT_SIZE] = "";
	if (loading->problems->left_out == 0) { /* else nobody will read it */
		const char **names = arena_alloc(loading->arena, (loading->named_count + 1) * sizeof(*names));
		for (size_t i = 0; i < loading->named_count; i++)
			names[i] = loading->named[i].name;
		name_hint(hint, entry->name, names, loading->named_count);
	}
	problem_add(loading->problems, PROBLEM_ERROR, &entry->node->place,
		    "`override: true`, but there is nothing named `%s` to override%s", entry->name, hint);
}

/* Their names are kept: who refers to one that is switched off has not misspelt it. */
static void drop_disabled(struct loading *loading)
{
	size_t count = 0;
	loading->off = arena_alloc(loading->arena, (loading->named_count + 1) * sizeof(*loading->off));
	loading->off_count = 0;
	for (size_t i = 0; i < loading->named_count; i++)
		if (truth(loading, loading->named[i].node, "enabled", true))
			loading->named[count++] = loading->named[i];
		else
			loading->off[loading->off_count++] = loading->named[i].name;
	loading->named_count = count;
}

/* Duplicates, overrides, switches: what is left in loading->named is what holds. */
static void settle_named(struct loading *loading)
{
	struct named *overrides = arena_alloc(loading->arena, (loading->named_count + 1) * sizeof(*overrides));
	size_t overrides_count;
	loading->named_count = settle_bases(loading, overrides, &overrides_count);
	for (size_t i = 0; i < overrides_count; i++) {
		struct named *base = find_named(loading, loading->named_count, overrides[i].name);
		if (base)
			base->node = merge(loading, base->node, overrides[i].node, /* override */ true);
		else
			report_no_base(loading, &overrides[i]);
	}
	drop_disabled(loading);
}

/* --- sections of named things --- */

/* The text of a key of an entry, NULL if it is not there; of another kind is reported. */
static const char *text_of(struct loading *loading, const struct node *map, const char *key)
{
	const struct node *node = node_get(map, key);
	if (node && node->kind == NODE_SCALAR && !node_is_null(node) && node->text[0])
		return node->text;
	if (node)
		problem_add(loading->problems, PROBLEM_ERROR, &node->place, "%s: expected a name, found %s", key,
			    node_kind_name(node));
	return NULL;
}

/* Of a path ./x.so the name is x. */
static const char *default_name(struct loading *loading, const char *plugin)
{
	const char *base = base_name(plugin);
	size_t length = strlen(base);
	if (base != plugin && length > 3 && strcmp(base + length - 3, ".so") == 0)
		return arena_text(loading->arena, base, length - 3);
	return base;
}

static void add_entry(struct loading *loading, const struct node *node, const char *section, bool is_plugin)
{
	size_t errors = loading->problems->errors;
	if (node->kind != NODE_MAP) {
		problem_add(loading->problems, PROBLEM_ERROR, &node->place, "%s: expected a map, found %s", section,
			    node_kind_name(node));
		return;
	}
	const char *name = text_of(loading, node, "name");
	const char *plugin = is_plugin ? text_of(loading, node, "plugin") : NULL;
	if (loading->problems->errors > errors)
		return;
	bool needs_plugin = is_plugin && !plugin && !(name && truth(loading, node, "override", false));
	if (needs_plugin || (!name && !plugin))
		problem_add(loading->problems, PROBLEM_ERROR, &node->place, "an entry of %s needs a `%s:`", section,
			    is_plugin ? "plugin" : "name");
	else
		add_named(loading, name ? name : default_name(loading, plugin), &node->place, node);
}

static void collect_lists(struct loading *loading, const char *section, bool is_plugin)
{
	loading->named_count = 0;
	for (size_t i = 0; i < loading->config->files_count; i++) {
		const struct node *list = section_of(loading, i, section, NODE_LIST);
		for (uint32_t j = 0; list && j < list->count; j++)
			add_entry(loading, list->children[j], section, is_plugin);
	}
	settle_named(loading);
}

static void load_plugins(struct loading *loading)
{
	collect_lists(loading, "plugins", /* is_plugin */ true);
	struct config_entry *entries = arena_alloc(loading->arena, (loading->named_count + 1) * sizeof(*entries));
	for (size_t i = 0; i < loading->named_count; i++) {
		const struct named *named = &loading->named[i];
		const struct node *plugin = node_get(named->node, "plugin");
		entries[i] = (struct config_entry){plugin->text, named->name, named->node};
	}
	loading->config->entries = entries;
	loading->config->count = loading->named_count;
}

static void load_connections(struct loading *loading)
{
	loading->named_count = 0;
	for (size_t i = 0; i < loading->config->files_count; i++) {
		const struct node *map = section_of(loading, i, "connections", NODE_MAP);
		for (uint32_t j = 0; map && j < map->count; j++) {
			const struct node *node = map->children[j];
			if (node->kind == NODE_MAP)
				add_named(loading, node->key, &node->key_place, node);
			else
				problem_add(loading->problems, PROBLEM_ERROR, &node->place,
					    "connections: expected a map for `%.80s`, found %s", node->key,
					    node_kind_name(node));
		}
	}
	settle_named(loading);
	struct node *all = new_map(loading, NULL, loading->named_count);
	for (size_t i = 0; i < loading->named_count; i++) {
		const struct node *node = loading->named[i].node;
		struct node *clean = new_map(loading, node, node->count);
		for (uint32_t j = 0; j < node->count; j++)
			if (strcmp(node->children[j]->key, "enabled") != 0 &&
			    strcmp(node->children[j]->key, "override") != 0)
				clean->children[clean->count++] = node->children[j];
		all->children[all->count++] = clean;
	}
	loading->config->connections = all;
}

/* As one list, NULL if there are none. */
static void load_rules(struct loading *loading)
{
	collect_lists(loading, "rules", /* is_plugin */ false);
	loading->config->rules_off = loading->off;
	loading->config->rules_off_count = loading->off_count;
	if (loading->named_count == 0)
		return;
	struct node *list = new_map(loading, NULL, loading->named_count);
	list->kind = NODE_LIST;
	list->place = loading->named[0].node->place;
	for (size_t i = 0; i < loading->named_count; i++) {
		struct node *copy = arena_alloc(loading->arena, sizeof(*copy));
		*copy = *loading->named[i].node;
		list->children[list->count++] = copy;
	}
	loading->config->rules = list;
}

/* --- the face --- */

static void load_sections(struct loading *loading)
{
	const struct node *agent = merge_section(loading, "agent");
	loading->config->agent = agent ? agent : new_map(loading, NULL, 0);
	loading->named = calloc(NAMED_MAX, sizeof(struct named));
	if (!loading->named) {
		problem_add(loading->problems, PROBLEM_ERROR, NULL, "out of memory");
		return;
	}
	load_connections(loading);
	load_plugins(loading);
	load_rules(loading);
	loading->config->notify = merge_section(loading, "notify");
	free(loading->named);
}

static struct config *load(const char *const *paths, const char *name, const char *text, struct problems *problems)
{
	struct arena *arena = arena_new();
	struct config *config = arena_alloc(arena, sizeof(*config));
	struct loading *loading = arena_alloc(arena, sizeof(*loading));
	*loading = (struct loading){.config = config, .arena = arena, .problems = problems};
	config->arena = arena;
	if (!paths)
		add_defaults(loading);
	for (size_t i = 0; paths && paths[i]; i++)
		add_given(loading, paths[i]);
	config->files = arena_alloc(arena, (loading->files.count + 1) * sizeof(struct yaml *));
	for (size_t i = 0; i < loading->files.count; i++)
		add_tree(loading, yaml_read_file(loading->files.paths[i], problems));
	if (text)
		add_tree(loading, yaml_read_text(text, strlen(text), name, problems));
	if (config->files_count == 0 && problems->errors > 0) {
		config_free(config);
		return NULL;
	}
	load_sections(loading);
	return config;
}

struct config *config_load(const char *const *paths, struct problems *problems)
{
	return load(paths, NULL, NULL, problems);
}

struct config *config_load_with(const char *const *paths, const char *name, const char *text, struct problems *problems)
{
	return load(paths, name, text, problems);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->files_count; i++)
		yaml_free(config->files[i]);
	arena_free(config->arena);
}
