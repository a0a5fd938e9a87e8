/* SPDX-License-Identifier: MIT
 *
 * YAML as a small tree with a place for every node, built from libyaml's events. Private to the core.
 *
 * The event API because the document API takes minutes for hostile nesting. Bounds: depth 32, 1 MiB a file, 100,000
 * nodes, no aliases or anchors, no tags, one document, no duplicate keys, valid UTF-8 without control characters, no
 * tab in indentation. Each breach is an error with a place, found in milliseconds.
 */
#ifndef CALLWATCH_CORE_YAML_H
#define CALLWATCH_CORE_YAML_H

#include "problems.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	struct place place;
	const char *key; /* in a map, else NULL */
	struct place key_place;
	bool plain;       /* scalar without quotes: may be a number, bool, null */
	const char *text; /* scalar, NUL-terminated (a NUL inside is refused) */
	struct node **children;
	uint32_t count;
};

struct yaml; /* owns a tree and its strings */

/* NULL, with the reason in problems, if it cannot be read at all. An empty file is an empty map. */
struct yaml *yaml_read_file(const char *path, struct problems *problems);
struct yaml *yaml_read_text(const char *text, size_t length, const char *name, struct problems *problems);
struct node *yaml_root(struct yaml *yaml);
void yaml_free(struct yaml *yaml);                                    /* NULL is fine */
const struct node *node_get(const struct node *map, const char *key); /* NULL if absent or not a map */

#endif
