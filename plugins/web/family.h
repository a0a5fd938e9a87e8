/* SPDX-License-Identifier: MIT
 *
 * Metric families: what a scrape calls all series of one name, and which names can stand beside each other. Private to
 * the plugin web.
 *
 * A metric's family is called `callwatch_` and its name, except for `process_…`, a counter's without its _total.
 * Metrics of several instances and plugins may share one. A scrape may describe a family once only, and a counter and a
 * histogram take more names than their own (x_total; x_bucket, x_sum, x_count), so a metric that would take a name that
 * means something else already has no family: the first that came wins.
 */
#ifndef CALLWATCH_WEB_FAMILY_H
#define CALLWATCH_WEB_FAMILY_H

#include "callwatch/metric.h"

enum { FAMILY_NAME_MAX = 96 };

struct family {
	char name[FAMILY_NAME_MAX];
	const struct cw_metric *metric; /* of the series that came first: kind, unit, help */
	uint32_t series;
};

struct families {
	struct family **list; /* by name */
	uint32_t count, room;
};

void families_release(struct families *families);
const struct family *families_find(const struct families *families, const char *name); /* NULL: none */
/* The family of a series that begins. NULL: another has one of its names (-EEXIST), its name is too long (-EINVAL),
 * -ENOMEM. */
struct family *families_join(struct families *families, const struct cw_metric *metric, int *ret_error);
void families_leave(struct families *families, struct family *family); /* a series ended */

/* -EINVAL: too long. */
int family_name(char name[FAMILY_NAME_MAX], const struct cw_metric *metric);
/* The name of the times that an age counts from: x_age_seconds → x_timestamp_seconds, x_age_max_seconds →
 * x_min_timestamp_seconds. False: it is no age. */
bool family_timestamp_name(char name[FAMILY_NAME_MAX], const struct family *family);

#endif
