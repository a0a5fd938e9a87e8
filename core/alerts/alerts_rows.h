/* SPDX-License-Identifier: MIT
 *
 * The tables `alerts` and `silences` as they are declared, for who must know their columns before they are opened.
 * Private to the core.
 */
#ifndef CALLWATCH_CORE_ALERTS_ROWS_H
#define CALLWATCH_CORE_ALERTS_ROWS_H

#include "callwatch/table.h"

extern const struct cw_table_decl alerts_decl, silences_decl;

#endif
