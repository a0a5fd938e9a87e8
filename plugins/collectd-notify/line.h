/* SPDX-License-Identifier: MIT
 *
 * A notice as the command PUTNOTIF of collectd's UNIX socket: a pure function.
 *
 *     PUTNOTIF severity=failure time=1764468591.000 host="web-1" plugin="callwatch" plugin_instance="call-stale"
 *              type="alert" message="call-stale: 37 of 849 calls silent [0a1b-1-2c3d]"
 *
 * What fires is a `warning`, or `failure` if it is critical; of severity info, resolved or a test, it is `okay`. The
 * message is cut so that the notice's id, by which one that comes twice is known, is whole within collectd's 255 bytes.
 */
#ifndef CALLWATCH_COLLECTD_NOTIFY_LINE_H
#define CALLWATCH_COLLECTD_NOTIFY_LINE_H

#include "buffer.h"
#include "callwatch/notify.h"

enum { LINE_MAX_BYTES = 1023, MESSAGE_MAX = 255 }; /* of collectd 5.12 */

/* Appends the line, with its newline; `buffer` fails if there is no memory. */
void line_write(struct buffer *buffer, const struct cw_notice *notice);

#endif
