/* SPDX-License-Identifier: MIT
 *
 * A file from a stranger: a tree within the bounds, or problems that all have a place.
 */
#include "yamltree.h"

#include <stdlib.h>

static uint32_t count_nodes(const struct node *node)
{
	uint32_t count = 1;
	if (node->place.line == 0 || !node->place.file || (node->kind == NODE_SCALAR && !node->text))
		abort();
	for (uint32_t i = 0; i < node->count; i++) {
		if ((node->kind == NODE_MAP) != (node->children[i]->key != NULL))
			abort();
		count += count_nodes(node->children[i]);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems;
	problems_init(&problems);
	struct yaml *yaml = yaml_read_text((const char *)data, size, "fuzz", &problems);
	if (yaml ? count_nodes(yaml_root(yaml)) > YAML_NODES_MAX : problems.errors == 0)
		abort();
	for (size_t i = 0; i < problems.count; i++)
		if (problems.list[i].line == 0)
			abort();
	yaml_free(yaml);
	problems_release(&problems);
	return 0;
}
