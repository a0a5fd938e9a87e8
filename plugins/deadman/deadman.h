/* SPDX-License-Identifier: MIT
 *
 * Notifier `deadman`, the map of it.
 *
 *     deadman.c   the descriptor, options, the beat, the ping, the action `test`
 *     well.c      is all well? from tables `instances` and `notifications`
 *
 * A dead man's switch: it pings a URL while all is well, and whoever is pinged raises the alarm when that stops. So
 * what cannot be told (callwatch is dead, the machine is off, no notifier gets through) is told by silence. Nothing
 * mutes it: it takes no notices, so neither silences nor routes can reach it.
 */
#ifndef CALLWATCH_DEADMAN_DEADMAN_H
#define CALLWATCH_DEADMAN_DEADMAN_H

#include "callwatch/notify.h"
#include "callwatch/query.h"

/* What has to be well; bits. The agent itself always has to be. */
enum { WELL_NOTIFIERS = 1 << 0, WELL_JOURNAL = 1 << 1, WELL_SOURCES = 1 << 2, WELL_OUTPUTS = 1 << 3 };
extern const char *const well_names[]; /* in the order of the bits; NULL-terminated */

enum { WELL_REASON_MAX = 320 };

/* True: all is well. False: `reason` says what is not. Looks at some dozens of rows, at once. */
bool well_look(struct cw_instance *self, const struct cw_host *host, uint32_t what, char reason[WELL_REASON_MAX]);

#endif
