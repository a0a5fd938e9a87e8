/* SPDX-License-Identifier: MIT
 *
 * See core_tables.h. Each table is declared by the file that writes its rows; this is only the list of them.
 *
 * Rules may not look at `alerts`, because they would be about themselves; nor at `events`, whose rows never change and
 * are pushed out by others, so that nothing of them could begin or end; nor at `silences` and `rules`.
 */
#include "core_tables.h"

#include "hub.h"
#include "tasks.h"

#include <string.h>

static const struct core_table tables[] = {
	{"instances", &hub_instances_decl},
	{"tasks", &tasks_decl},
	{"outcomes", &outcomes_decl},
	{"events", NULL},
	{"alerts", NULL},
	{"silences", NULL},
	{"notifications", NULL},
	{"rules", NULL},
};

const struct core_table *core_table_at(uint32_t i)
{
	return i < sizeof tables / sizeof *tables ? &tables[i] : NULL;
}

bool core_has_table(const char *name)
{
	for (uint32_t i = 0; core_table_at(i); i++)
		if (strcmp(core_table_at(i)->name, name) == 0)
			return true;
	return false;
}
