/* SPDX-License-Identifier: MIT
 *
 * See plugin_directories.h.
 */
#include "plugin_directories.h"

#include "config.h"
#include "loader.h"
#include "problems.h"

enum { DIRECTORIES_MAX = 32 };

void plugin_directories_use(const struct config *config)
{
	const char *directories[DIRECTORIES_MAX + 1] = {0};
	const struct node *node = node_get(config->agent, "plugin_dir");
	size_t count = 0;
	if (node && node->kind == NODE_SCALAR)
		directories[count++] = node->text;
	for (uint32_t i = 0; node && node->kind == NODE_LIST && i < node->count && count < DIRECTORIES_MAX; i++)
		if (node->children[i]->kind == NODE_SCALAR)
			directories[count++] = node->children[i]->text;
	if (count)
		loader_set_directories(directories);
}

void plugin_directories_read(const char *const *config_paths)
{
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(config_paths, &problems);
	if (config)
		plugin_directories_use(config);
	config_free(config);
	problems_release(&problems);
}
