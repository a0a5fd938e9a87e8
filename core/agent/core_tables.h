/* SPDX-License-Identifier: MIT
 *
 * The tables that are the core's own, so that no plugin calls one of its own so, and rules can be checked before any of
 * them is opened. Private to the core.
 */
#ifndef CALLWATCH_CORE_CORE_TABLES_H
#define CALLWATCH_CORE_CORE_TABLES_H

#include "callwatch/table.h"

struct core_table {
	const char *name;
	const struct cw_table_decl *decl; /* NULL: no rule may look at it */
};

/* NULL: there are no more. */
const struct core_table *core_table_at(uint32_t i);
bool core_has_table(const char *name);

#endif
