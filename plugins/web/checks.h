/* SPDX-License-Identifier: MIT
 *
 * The rungs of `callwatch doctor` for the plugin web. Private to it.
 */
#ifndef CALLWATCH_WEB_CHECKS_H
#define CALLWATCH_WEB_CHECKS_H

#include "callwatch/plugin.h"

enum { WEB_CHECKS = 3 };
extern const struct cw_check web_checks[WEB_CHECKS];
void web_examine(void *state, uint32_t check);

#endif
