/* SPDX-License-Identifier: MIT
 *
 * From samples to the lines that are sent: names by format_graphite.h, counters as they are or as rates, and no two
 * samples of one second under one name.
 *
 * Rates. With `counters: rate` a counter is sent as its growth per second between two samples of its series that follow
 * each other in this output. The first sample of a series gives no line, one that is lower than the one before (its
 * source began anew) gives none, and one that is not later than the one before gives none. One that is earlier by more
 * than a minute is no straggler, the clock was set back: it is a first one. Of a histogram count and sum are such
 * rates, and the percentiles are of what came between the two samples. A sample that gives no line has done its work as
 * the beginning of a rate: it counts as sent.
 *
 * Collisions. Different names can become one by the escape. The first sample of a second keeps the name, another series
 * that comes to it in that second is told to the caller to be counted. Only names that may be another's are looked up.
 * Several samples of one series in a second are none: Graphite keeps the last, which is what a finer interval is for.
 *
 * Both remember a series by a hash, at most LINES_SERIES_MAX of them; then those go that had no sample for an hour. If
 * that makes no room, a counter that is new has no rate (LINES_INVALID), and a name that is new is not looked up.
 *
 * One thread, no I/O.
 */
#ifndef CALLWATCH_GRAPHITE_LINES_H
#define CALLWATCH_GRAPHITE_LINES_H

#include "format_graphite.h"
#include "keyed.h"

enum { LINES_SERIES_MAX = 1 << 18 };

struct lines {
	struct graphite_form form;
	bool rates;
	struct graphite_names names;
	struct buffer identity; /* of the sample at hand: host, instance, metric, labels, as they are */
	size_t identity_head;   /* what of it is the batch's */
	unsigned char secret[KEYED_SECRET_SIZE];
	struct keyed series;                /* what their counters were */
	struct keyed owners;                /* whose a name is */
	int64_t newest;                     /* time of a sample, since the clock was set back last */
	int64_t series_swept, owners_swept; /* `newest` when they were full last */
};

enum lines_outcome {
	LINES_ADDED,     /* its lines, or none by the rules above */
	LINES_COLLISION, /* none: another's have its name */
	LINES_INVALID,   /* none: they cannot be said */
	LINES_NO_ROOM    /* none, for want of memory: `out` is full */
};

/* `form` is copied, its texts are borrowed. */
void lines_init(struct lines *lines, const struct graphite_form *form, bool rates);
void lines_release(struct lines *lines);
/* 0 or -ENOMEM. The samples that follow are this batch's. */
int lines_begin(struct lines *lines, const struct cw_batch *batch);
/* Appends all lines of the sample or, with any other outcome than LINES_ADDED, nothing. */
enum lines_outcome lines_add(struct lines *lines, struct buffer *out, const struct cw_sample *sample);

#endif
