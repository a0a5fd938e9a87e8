/* SPDX-License-Identifier: MIT
 *
 * A sample as single numbers, for formats that know nothing else: a gauge or a counter is one point, a histogram is
 * its count and the 50th, 95th and 99th percentile. The one place that knows how a histogram is told.
 *
 * The percentiles are over all that was seen since the agent's start, as the histogram itself is; interpolated within
 * the bucket, and not beyond the highest bound. An empty histogram has no percentiles: not known is not 0.
 */
#ifndef CALLWATCH_FORMAT_POINT_H
#define CALLWATCH_FORMAT_POINT_H

#include "callwatch/metric.h"

enum { FORMAT_POINTS_MAX = 4, FORMAT_VALUE_SIZE = 32 };

struct format_point {
	const char *suffix; /* after the metric's name: "", `_count`, `_p50`, `_p95`, `_p99` */
	const char *label;  /* the suffix without its `_`, for people */
	enum cw_kind kind;  /* GAUGE or COUNTER */
	bool is_integer;
	int64_t integer;
	double real;
};

uint32_t format_points(const struct cw_sample *sample, struct format_point points[FORMAT_POINTS_MAX]);
/* The value in decimal, its length; shortest that reads back the same. */
size_t format_value(char buffer[FORMAT_VALUE_SIZE], const struct format_point *point);

#endif
