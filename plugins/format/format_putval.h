/* SPDX-License-Identifier: MIT
 *
 * A sample as collectd's PUTVAL, for its exec plugin and its UNIX socket:
 *
 *     PUTVAL "<host>/callwatch-<instance>/<type>-<metric>[-<label value>…]" interval=5.000 1700000000.125:3.5
 *
 * Identifier, type and value as in format_collectd.h. The identifier is always quoted, so blanks stay. Values are
 * always known, there is no U. A line has at most 1023 bytes; collectd would cut a longer one in two.
 */
#ifndef CALLWATCH_FORMAT_PUTVAL_H
#define CALLWATCH_FORMAT_PUTVAL_H

#include "format.h"
#include "format_collectd.h"

enum { FORMAT_PUTVAL_LINE_MAX = 1023 };

int format_putval(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);
/* The same for many samples of a batch, whose `source` is made once. */
int format_putval_of(struct buffer *out, struct collectd_source *source, int64_t interval,
		     const struct cw_sample *sample);

#endif
