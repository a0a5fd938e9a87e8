/* SPDX-License-Identifier: MIT
 *
 * A sample in Graphite's plaintext protocol: callwatch.<host>.<instance>.<metric>[.<label value>…] value time
 *
 * Host, instance and label values are one node of the path each: letters, digits, `_ - : + @ # %` and printable
 * characters beyond ASCII stay, every other byte (dots, blanks, slashes, controls, `;`, what globs mean) becomes `_`,
 * as Graphite's own senders do; an empty value is `_`. So two label values that differ only in such bytes share a path:
 * where that matters, choose the labels' source so that they do not. Time is in whole seconds. Histograms as in
 * format_point.h.
 */
#ifndef CALLWATCH_FORMAT_GRAPHITE_H
#define CALLWATCH_FORMAT_GRAPHITE_H

#include "format.h"

int format_graphite(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

#endif
