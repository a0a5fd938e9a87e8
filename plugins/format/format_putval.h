/* SPDX-License-Identifier: MIT
 *
 * A sample as collectd's PUTVAL, for its exec plugin and its UNIX socket:
 *
 *     PUTVAL "<host>/callwatch-<instance>/<type>-<metric>[-<label value>…]" interval=5.000 1700000000.125:3.5
 *
 * Escaping, decided here once. The identifier is always quoted, so blanks stay. In each field, these become %XX: `/`
 * (separates fields), `"` and `\` (end the quotes), `%` (begins an escape), controls, invisible and bidirectional
 * characters, bytes that are not UTF-8, and `-` in every label value but the last (label values are joined by it).
 * Thereby different (host, instance, metric, labels) have different identifiers. A field over collectd's 127 bytes is
 * cut and ends in `~` and 16 hexadecimal digits of a hash of the whole, so that they still differ.
 *
 * Type: the metric's own, else `gauge`, or `derive` for a counter; of a histogram (format_point.h) the count is
 * `derive`. A counter that is no integer is rounded down if its type is `derive`. Values are always known, there is no
 * U. A line has at most 1023 bytes; collectd would cut a longer one in two.
 */
#ifndef CALLWATCH_FORMAT_PUTVAL_H
#define CALLWATCH_FORMAT_PUTVAL_H

#include "format.h"

enum { FORMAT_PUTVAL_FIELD_MAX = 127, FORMAT_PUTVAL_LINE_MAX = 1023 };

int format_putval(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

#endif
