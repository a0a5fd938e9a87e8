/* SPDX-License-Identifier: MIT
 *
 * The latest value of every series: what /api/v1/status shows of the samples, and what /metrics tells. Private to the
 * plugin web.
 * Bounded: a series beyond SERIES_MAX is not taken in, and its samples are counted as dropped; so are those whose name
 * means something else already (family.h), and those that cannot be told from others once their labels are fit to be
 * shown. A gauge that did not come for 3 intervals is not known any more and is forgotten. Counters and histograms hold
 * while their source is blind; they are forgotten when nothing at all has come of their instance for 10 minutes: the
 * agent itself says every interval how an instance is, so that one is gone.
 */
#ifndef CALLWATCH_WEB_SERIES_H
#define CALLWATCH_WEB_SERIES_H

#include "family.h"

enum {
	SERIES_MAX = 20000,
	SERIES_KEY_MAX = 6144,
	SERIES_CLASH_MAX = 256,
	CLASHES_TOLD_MAX = 32,
	SERIES_DROPS = CW_DROP_REFUSED + 1
};

struct origin_tag {
	const char *name, *value;
};

/* Where samples come from: an instance with what it watches and its tags. An instance that watches another host has
 * two: its own, and that of the agent who speaks about it. */
struct origin {
	const char *instance, *host;
	struct origin_tag *tags; /* as configured */
	uint32_t tags_count;
	uint32_t series;
	int64_t seen; /* instant of its last batch */
};

struct series {
	const char *key; /* family, instance, label values, each ended by \x1f: the order of the list */
	const char *instance;
	const char *labels[CW_LABELS_MAX]; /* visible text */
	const char *exposed;               /* plugin_instance="calls",health="stale": all but the origin's */
	size_t exposed_length;
	struct family *family;
	struct origin *origin;
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
			uint64_t *buckets; /* bounds_count + 1 of the metric, not cumulated; in the same block */
		} histogram;
	};
};

struct series_list {
	struct series **list; /* sorted by key */
	uint32_t count, room;
	struct families families;
	struct origin **origins;
	uint32_t origins_count, origins_room;
	uint64_t dropped[SERIES_DROPS]; /* samples that were not taken in, by enum cw_drop */
	char clash[SERIES_CLASH_MAX];   /* a sentence about the newest clash of names not told yet; "": none */
	const struct cw_metric *clashes_told[CLASHES_TOLD_MAX];
	uint32_t clashes_told_count;
};

void series_list_release(struct series_list *list);
/* Takes in a batch that arrived at instant `now`. */
void series_list_add(struct series_list *list, const struct cw_batch *batch, int64_t now);
/* Forgets the gauges that stopped coming, and all of the instances that are gone. */
void series_list_expire(struct series_list *list, int64_t now);
/* Where the series after `key` (NULL: the first) stands; a walk may so be interrupted by adds. */
uint32_t series_list_after(const struct series_list *list, const char *key);

#endif
