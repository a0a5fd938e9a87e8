/* SPDX-License-Identifier: MIT
 *
 * The latest value of every series: what /api/v1/status shows of the samples, and what a scrape will. Private to the
 * plugin web.
 *
 * Bounded: a series beyond SERIES_MAX is not taken in, and counted. A gauge that did not come for 5 intervals is not
 * known any more and is forgotten; counters and histograms hold.
 */
#ifndef CALLWATCH_WEB_SERIES_H
#define CALLWATCH_WEB_SERIES_H

#include "callwatch/metric.h"

enum { SERIES_MAX = 20000, SERIES_KEY_MAX = 1024 };

struct series {
	const char *key; /* instance, metric, label values, each ended by \x1f: the order of the list */
	const char *instance;
	const char *labels[CW_LABELS_MAX];
	const struct cw_metric *metric;
	int64_t time;    /* wall time of the sample */
	int64_t arrived; /* instant */
	int64_t interval;
	enum cw_number number;
	union {
		double real;
		int64_t integer;
		struct {
			uint64_t count;
			double sum;
		} histogram;
	};
};

struct series_list {
	struct series **list; /* sorted by key */
	uint32_t count, room;
	uint64_t refused; /* samples of series beyond the limit */
};

void series_list_release(struct series_list *list);
/* Takes in a batch that arrived at instant `now`. */
void series_list_add(struct series_list *list, const struct cw_batch *batch, int64_t now);
/* Forgets the gauges that stopped coming. */
void series_list_expire(struct series_list *list, int64_t now);
/* Where the series after `key` (NULL: the first) stands; a walk may so be interrupted by adds. */
uint32_t series_list_after(const struct series_list *list, const char *key);

#endif
