/* SPDX-License-Identifier: MIT
 *
 * Metrics that no descriptor holds: those a source declares while it runs, and those a spool reads back from disk. A
 * sample borrows its metric for as long as the process lives (callwatch/metric.h), so these are kept for good, each
 * once. Bounded by METRICS_KEPT_MAX, since a script may think of a new name every minute. Private to the core.
 */
#ifndef CALLWATCH_CORE_METRIC_H
#define CALLWATCH_CORE_METRIC_H

#include "callwatch/metric.h"

enum { METRICS_KEPT_MAX = 65536, METRIC_ERROR_MAX = 256 };

/* A copy of the metric that lives as long as the process; the same copy for the same content. NULL: no memory, or too
 * many. Any thread. What metric_check() refuses must not be given. */
const struct cw_metric *metric_keep(const struct cw_metric *metric);
/* 0, or -EINVAL and a sentence. `free_labels`: any label may take free values, and a counter any name. */
int metric_check(const struct cw_metric *metric, bool free_labels, char error[METRIC_ERROR_MAX]);
/* In kind, labels and bounds: what samples of one name must have in common. */
bool metric_alike(const struct cw_metric *a, const struct cw_metric *b);
/* What is behind a histogram's name where it is told by parts: `_bucket`, `_count` …; NULL-terminated. */
extern const char *const metric_parts[];
/* Whether one is called like a part of the other, which is a histogram: then their samples share names. */
bool metric_meets(const struct cw_metric *a, const struct cw_metric *b);
bool metric_equal(const struct cw_metric *a, const struct cw_metric *b); /* in all that is said of it */

#endif
