/* SPDX-License-Identifier: MIT
 *
 * See format_point.h.
 */
#include "format_point.h"

#include "text.h"

#include <math.h>

static double bucket_start(const struct cw_metric *metric, uint32_t bucket)
{
	if (bucket > 0)
		return metric->bounds[bucket - 1];
	return metric->bounds[0] > 0 ? 0 : metric->bounds[0];
}

/* Sum of the buckets, which is what the percentiles are of. */
static uint64_t bucket_sum(const struct cw_metric *metric, const struct cw_histogram *histogram)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i <= metric->bounds_count; i++)
		sum += histogram->buckets[i];
	return sum;
}

static double quantile(const struct cw_metric *metric, const struct cw_histogram *histogram, double q)
{
	double rank = q * (double)bucket_sum(metric, histogram), below = 0;
	for (uint32_t i = 0; i < metric->bounds_count; i++) {
		double here = (double)histogram->buckets[i];
		if (here > 0 && below + here >= rank) {
			double start = bucket_start(metric, i);
			return start + (metric->bounds[i] - start) * (rank - below) / here;
		}
		below += here;
	}
	return metric->bounds[metric->bounds_count - 1];
}

static uint32_t histogram_points(const struct cw_sample *sample, struct format_point points[FORMAT_POINTS_MAX])
{
	static const struct {
		const char *suffix;
		double q;
	} percentiles[] = {{"_p50", 0.5}, {"_p95", 0.95}, {"_p99", 0.99}};
	const struct cw_metric *metric = sample->metric;
	points[0] = (struct format_point){.suffix = "_count",
					  .label = "count",
					  .kind = CW_COUNTER,
					  .is_integer = true,
					  .integer = (int64_t)sample->histogram->count};
	if (!metric->bounds_count || !bucket_sum(metric, sample->histogram))
		return 1;
	for (uint32_t i = 0; i < 3; i++)
		points[i + 1] = (struct format_point){.suffix = percentiles[i].suffix,
						      .label = percentiles[i].suffix + 1,
						      .kind = CW_GAUGE,
						      .real = quantile(metric, sample->histogram, percentiles[i].q)};
	return 4;
}

uint32_t format_points(const struct cw_sample *sample, struct format_point points[FORMAT_POINTS_MAX])
{
	if (sample->number == CW_BUCKETS)
		return histogram_points(sample, points);
	points[0] = (struct format_point){.suffix = "", .label = "", .kind = sample->metric->kind};
	if (sample->number == CW_INTEGER) {
		points[0].is_integer = true;
		points[0].integer = sample->integer;
		return 1;
	}
	points[0].real = sample->real;
	return isfinite(sample->real) ? 1 : 0;
}

size_t format_value(char buffer[FORMAT_VALUE_SIZE], const struct format_point *point)
{
	return point->is_integer ? text_integer(buffer, point->integer) : text_number(buffer, point->real);
}
