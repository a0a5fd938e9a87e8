/* SPDX-License-Identifier: MIT
 *
 * collectd's types: what `if_octets` consists of, and of which kind each part is. The stock types a script most often
 * uses are built in; a file in the form of types.db adds to them and replaces them.
 */
#ifndef EXEC_TYPES_H
#define EXEC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum type_kind { TYPE_GAUGE, TYPE_DERIVE, TYPE_COUNTER, TYPE_ABSOLUTE };

enum { TYPE_SOURCES_MAX = 64, TYPE_NAME_MAX = 127, TYPES_FILE_MAX = 1024 * 1024 };

struct type_source {
	const char *name; /* `value` if there is just one */
	enum type_kind kind;
};

struct type {
	const char *name;
	bool is_stock; /* built in: every collectd has it */
	uint32_t count;
	struct type_source sources[];
};

struct types;

struct types *types_new(void);        /* with those built in; NULL: no memory */
void types_free(struct types *types); /* NULL is fine */
const struct type *types_find(const struct types *types, const char *name);
/* Takes in the text of a types.db. How many lines were not understood (they are passed over), or -ENOMEM. */
int types_read(struct types *types, const char *text, size_t length);
/* The same from a file; or a negative errno (-EFBIG: more than TYPES_FILE_MAX). */
int types_load(struct types *types, const char *path);

#endif
