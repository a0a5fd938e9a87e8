/* SPDX-License-Identifier: MIT
 *
 * What the instances that run offer to people and to other programs: their actions, and the paths of somebody else's
 * API that they answer for. Private to the core.
 */
#ifndef CALLWATCH_CORE_OFFERED_H
#define CALLWATCH_CORE_OFFERED_H

#include "callwatch/frontend.h"

struct instance;
struct roster;

/* Under the roster's lock. */
bool offered_is_allowed(const struct instance *instance, const struct cw_action *action);
/* As frontend.h: actions() and endpoint(). Any thread. */
void offered_actions(struct roster *roster, void (*seen)(void *arg, const struct cw_action_info *info), void *arg);
int offered_endpoint(struct roster *roster, const char *method, const char *path, const char *key,
		     struct cw_endpoint_found *ret_found);

#endif
