/* SPDX-License-Identifier: MIT
 *
 * How many file descriptors are left, by trying. For both sides of the contract.
 */
#ifndef CALLWATCH_COMMON_DESCRIPTORS_H
#define CALLWATCH_COMMON_DESCRIPTORS_H

#include <stdbool.h>

enum { DESCRIPTORS_MOST = 64 };

/* Whether `count`, at most DESCRIPTORS_MOST, could be opened just now. Another thread may take them at once: ask for
 * more than are needed. */
bool descriptors_are_left(unsigned count);

#endif
