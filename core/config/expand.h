/* SPDX-License-Identifier: MIT
 *
 * ${V}, ${V:-default}, ${V:?message} and $$ in the values of a tree, from the environment alone. Private to the core.
 *
 * Once: what a variable holds is not looked at again, nor is a default. Not in keys, and not in values of the keys
 * `summary`, `description` and `body`, wherever they stand: those are templates. As in a shell, `:-` and `:?` also act
 * on a variable that is empty; a default ends at the first `}`. A `$` before anything else stands for itself. A value
 * in which a variable was expanded keeps its place and counts as written without quotes, so that it may be a number.
 * What a variable holds is in no message.
 */
#ifndef CALLWATCH_CORE_EXPAND_H
#define CALLWATCH_CORE_EXPAND_H

#include "arena.h"
#include "yamltree.h"

enum { EXPAND_VALUE_MAX = 65536, EXPAND_TOTAL_MAX = 8 << 20 };

/* New texts live in the arena. Errors go to problems, the values concerned stay as they were. */
void expand_tree(struct node *root, struct arena *arena, struct problems *problems);

#endif
