/* SPDX-License-Identifier: MIT
 *
 * A window of the week by the clock on somebody's wall: `Sun 02:00-04:00`, `Mon-Fri 22:00-06:00`, `Sat,Sun
 * 00:00-24:00`, in a time zone. Private to core/alerts.
 *
 * Days are English, three letters or more, in lists and ranges that may go over the week's end (`Fri-Mon`); without
 * days it is every day. A window that ends before it begins goes over midnight and belongs to the day on which it
 * begins. When clocks are changed the wall's clock decides: an hour that is left out mutes nothing, one that comes
 * twice twice.
 *
 * Zones are GLib's (GTimeZone), which reads the system's zone files into an object of its own. The C library knows only
 * the process's zone, ICU and the C++ libraries are far larger, and a reader of zone files is no part of our field.
 * GLib costs 1.7 MB resident, 0.14 MB of them our own.
 */
#ifndef CALLWATCH_CORE_WEEKLY_H
#define CALLWATCH_CORE_WEEKLY_H

#include <stdbool.h>
#include <stdint.h>

enum { WEEKLY_ERROR_MAX = 200 };

struct weekly;

/* `timezone` NULL: UTC. 0, or -EINVAL and a sentence, or -ENOMEM. */
int weekly_parse(const char *every, const char *timezone, struct weekly **ret_weekly, char error[WEEKLY_ERROR_MAX]);
void weekly_free(struct weekly *weekly); /* NULL is fine */
/* Is this wall time in the window? */
bool weekly_is_open(const struct weekly *weekly, int64_t wall);
/* The first wall time after this one at which the window opens or closes; INT64_MAX: never. */
int64_t weekly_next(const struct weekly *weekly, int64_t wall);

#endif
