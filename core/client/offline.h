/* SPDX-License-Identifier: MIT
 *
 * What can be found out about a callwatchd that does not answer: would its configuration let it start, is it running?
 * For `callwatch doctor`.
 */
#ifndef CALLWATCH_CLIENT_OFFLINE_H
#define CALLWATCH_CLIENT_OFFLINE_H

#include "findings.h"

/* `paths` as for callwatchd's -c; NULL: where it would look. Adds rungs of the instance `callwatchd`. */
void offline_look(const char *const *paths, struct findings *findings);

#endif
