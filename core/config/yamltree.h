/* SPDX-License-Identifier: MIT
 *
 * YAML as a small tree with a place for every node, built from libyaml's events. (Not called yaml.h, which is
 * libyaml's.) Private to the core.
 *
 * The event API because the document API takes minutes for hostile nesting. Bounds: depth 32, 1 MiB a file, 100,000
 * nodes, no aliases or anchors, no tags, one document, no duplicate keys, valid UTF-8 without control characters (nor
 * by way of escapes, but for tab, newline and carriage return), no tab in indentation. Each breach is an error with a
 * place, found in milliseconds. What can be read on after an error is, so that one run shows them all: a caller looks
 * at problems->errors. `<<` is a key like any other.
 */
#ifndef CALLWATCH_CORE_YAMLTREE_H
#define CALLWATCH_CORE_YAMLTREE_H

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

enum { YAML_BYTES_MAX = 1 << 20, YAML_DEPTH_MAX = 32, YAML_NODES_MAX = 100000 };

struct yaml; /* owns a tree and its strings */

/* NULL, with the reason in problems, if it cannot be read at all. An empty file is an empty map. */
struct yaml *yaml_read_file(const char *path, struct problems *problems);
struct yaml *yaml_read_text(const char *text, size_t length, const char *name, struct problems *problems);
struct node *yaml_root(struct yaml *yaml);
void yaml_free(struct yaml *yaml);                                    /* NULL is fine */
const struct node *node_get(const struct node *map, const char *key); /* NULL if absent or not a map */
bool node_is_null(const struct node *node);                           /* nothing, `~` or `null`, without quotes */
const char *node_kind_name(const struct node *node);                  /* for messages: `a list`, `a map`, `a value` */

#endif
