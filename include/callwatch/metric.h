/* SPDX-License-Identifier: MIT
 *
 * Metrics, samples and batches: a source declares its metrics, the host collects samples of them into batches, outputs
 * are given the batches.
 *
 * A metric's name is the same in every output; names are stable, changing one is a breaking change. A label has
 * declared, bounded values; at most one takes free values, it is the last, and the source bounds it. Never a call, a
 * phone number or an error text.
 */
#ifndef CALLWATCH_METRIC_H
#define CALLWATCH_METRIC_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CW_LABELS_MAX = 4 };

enum cw_kind {
	CW_GAUGE = 0,
	CW_COUNTER = 1,  /* only grows; 0 at the agent's start */
	CW_HISTOGRAM = 2 /* counts per bucket since the agent's start */
};

struct cw_label {
	const char *name;
	const char *const *values; /* NULL-terminated list of all values; NULL: free values */
};

struct cw_metric {
	/* [a-z][a-z0-9_]*, at most 63 bytes, base unit at its end: `sweep_duration_seconds`, `heartbeats_total`. Not
	 * that of a metric the core gives of every instance (`instance_up`), and beside a histogram `x` none that it
	 * is told by: `x_bucket`, `x_count`, `x_sum`, `x_p50`, `x_p95`, `x_p99`. */
	const char *name;
	enum cw_kind kind;
	const char *unit;                      /* `seconds`, `ratio`, `bytes`, `calls` …; "" for a plain count */
	const char *help;                      /* one sentence */
	struct cw_label labels[CW_LABELS_MAX]; /* in order; ends at the first without a name */
	const char *collectd_type;             /* a stock type of collectd's types.db; NULL: by kind, gauge or derive */
	const double *bounds; /* HISTOGRAM: upper bounds of the buckets, finite and ascending, at most 64 */
	uint32_t bounds_count;
};

struct cw_histogram {
	const uint64_t *buckets; /* bounds_count + 1 counts, not cumulated; the last is above all bounds */
	uint64_t count;
	double sum;
};

enum cw_number { CW_DOUBLE = 0, CW_INTEGER = 1, CW_BUCKETS = 2 };

struct cw_sample {
	const struct cw_metric *metric; /* lives as long as the process */
	const char *const *labels; /* one value for each label of the metric, as the source gave it, cut at 255 bytes */
	int64_t time;              /* wall time, ns */
	enum cw_number number;
	union {
		double real; /* finite: a value that is not known is not a sample */
		int64_t integer;
		const struct cw_histogram *histogram;
	};
};

/* Why an output does not send a sample that it was given. */
enum cw_drop {
	CW_DROP_COLLISION = 0, /* another sample of this time has the same name at the receiver */
	CW_DROP_INVALID = 1,   /* it cannot be said in the output's format */
	CW_DROP_REFUSED = 2    /* the receiver does not want it */
};

/* A name with its value, of `labels:` in the configuration: tags and Prometheus labels, never part of a path. */
struct cw_tag {
	const char *name, *value;
};

/* An immutable run of samples of one instance. Reference-counted: a callback borrows it for the call, and keeps it
 * longer by host->batch_ref and batch_unref (any thread). */
struct cw_batch {
	const char *host;        /* what is watched */
	const char *instance;    /* who watched it */
	int64_t interval;        /* ns between samples of a series */
	struct cw_array tags;    /* of struct cw_tag */
	struct cw_array samples; /* of struct cw_sample */
};

static inline uint32_t cw_label_count(const struct cw_metric *metric)
{
	uint32_t n = 0;
	while (n < CW_LABELS_MAX && metric->labels[n].name)
		n++;
	return n;
}

#ifdef __cplusplus
}
#endif
#endif
