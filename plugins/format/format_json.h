/* SPDX-License-Identifier: MIT
 *
 * A sample as a line of JSON:
 *
 *     {"time":"2026-11-22T13:30:45.123Z","host":"web-1","instance":"calls","metric":"calls_active",
 *      "labels":{"health":"healthy"},"kind":"gauge","value":812,"interval":5,"tags":{"env":"production"}}
 *
 * A histogram has, in place of `value`: "count", "sum", "bounds":[0.1,1], "buckets":[3,2,1] (not cumulated, one more
 * than bounds). `labels` and `tags` are always there. Bytes that are not UTF-8 become U+FFFD.
 */
#ifndef CALLWATCH_FORMAT_JSON_H
#define CALLWATCH_FORMAT_JSON_H

#include "format.h"

int format_json(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

#endif
