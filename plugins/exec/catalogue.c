/* SPDX-License-Identifier: MIT
 *
 * See catalogue.h. Two collections: metrics by name, a sorted list, looked at once for each value; series, by a keyed
 * hash over metric and labels (keyed.h; a program's output may be a stranger's).
 *
 * A series remembers a hash of what the program called it: its name and labels as they were written. Another hash for
 * the same series is a collision, wherever in the names the difference was lost.
 */
#include "catalogue.h"

#include "keyed.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_SIZE = 1024, UNIT_SIZE = 64 };

struct metric {
	char name[NAMING_NAME_SIZE];
	uint32_t index;
	enum cw_kind kind;
	char labels[CW_LABELS_MAX][NAMING_NAME_SIZE]; /* in order of their names */
	uint32_t labels_count;
	struct keyed_hash bounds; /* of a histogram, hashed */
};

struct series {
	struct keyed_hash source; /* what the program calls it */
	int64_t seen;             /* instant */
	struct number sum;        /* of those that accumulate */
};

/* A label on its way: as it was written, and as it will be. */
struct label {
	const char *raw_name, *raw_value;
	char name[NAMING_NAME_SIZE], value[NAMING_VALUE_SIZE];
};

struct catalogue {
	struct catalogue_host host;
	int64_t kept_for, swept;
	struct metric **metrics;
	uint32_t metrics_count, metrics_room;
	struct keyed series; /* of struct series */
	unsigned char secret[KEYED_SECRET_SIZE];

	struct label labels[CW_LABELS_MAX]; /* of the point at hand */
	uint32_t labels_count;
	const char *values[CW_LABELS_MAX];
};

struct catalogue *catalogue_new(const struct catalogue_host *host, uint32_t limit, int64_t kept_for)
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));
	if (!catalogue)
		return NULL;
	*catalogue = (struct catalogue){.host = *host, .kept_for = kept_for};
	keyed_init(&catalogue->series, sizeof(struct series), limit);
	keyed_secret(catalogue->secret);
	return catalogue;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	for (uint32_t i = 0; i < catalogue->metrics_count; i++)
		free(catalogue->metrics[i]);
	free(catalogue->metrics);
	keyed_release(&catalogue->series);
	free(catalogue);
}

uint32_t catalogue_series(const struct catalogue *catalogue)
{
	return catalogue->series.count;
}

/* Where a refusal is told. */
struct refusal {
	enum bad *bad;
	char *text;
};

static int refuse(const struct refusal *refusal, enum bad bad, const char *format, ...) CW_PRINTF(3, 4);
static int refuse(const struct refusal *refusal, enum bad bad, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(refusal->text, BAD_TEXT_MAX, format, args);
	va_end(args);
	*refusal->bad = bad;
	return -EINVAL;
}

/* ---- labels ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int take_labels(struct catalogue *catalogue, const struct point *point, const char *name,
		       const struct refusal *refusal)
{
	uint32_t n = point->labels_count;
	char quoted[QUOTED_MAX];
	if (n > CW_LABELS_MAX)
		return refuse(refusal, BAD_LABELS, "`%s` has %u labels, at most %d can be had", name, n, CW_LABELS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct label *label = &catalogue->labels[i];
		label->raw_name = point->labels[i].name;
		label->raw_value = point->labels[i].value;
		naming_label(label->name, label->raw_name);
		if (naming_value(label->value, label->raw_value) < 0)
			return refuse(refusal, BAD_LABELS, "the label `%s` of `%s` is longer than 255 bytes",
				      parse_quote(quoted, label->raw_name), name);
	}
	qsort(catalogue->labels, n, sizeof(catalogue->labels[0]), by_name);
	for (uint32_t i = 1; i < n; i++)
		if (strcmp(catalogue->labels[i].name, catalogue->labels[i - 1].name) == 0)
			return refuse(refusal, BAD_LABELS, "`%s` has two labels that are both called `%s`", name,
				      catalogue->labels[i].name);
	catalogue->labels_count = n;
	return 0;
}

/* ---- metrics ---- */

/* The first place that is not before `name`. */
static uint32_t place_of(const struct catalogue *catalogue, const char *name)
{
	uint32_t low = 0, high = catalogue->metrics_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(catalogue->metrics[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int keep_metric(struct catalogue *catalogue, uint32_t at, struct metric *metric)
{
	if (catalogue->metrics_count == catalogue->metrics_room) {
		uint32_t room = catalogue->metrics_room ? catalogue->metrics_room * 2 : 16;
		struct metric **metrics = realloc(catalogue->metrics, room * sizeof(struct metric *));
		if (!metrics)
			return -ENOMEM;
		catalogue->metrics = metrics;
		catalogue->metrics_room = room;
	}
	memmove(catalogue->metrics + at + 1, catalogue->metrics + at,
		(catalogue->metrics_count - at) * sizeof(struct metric *));
	catalogue->metrics[at] = metric;
	catalogue->metrics_count++;
	return 0;
}

static int64_t declare(const struct catalogue *catalogue, const struct point *point, const char *name)
{
	char help[HELP_SIZE], unit[UNIT_SIZE];
	const char *help_text = point->help ? point->help : "", *unit_text = point->unit ? point->unit : "";
	text_utf8(help, sizeof(help), help_text, strlen(help_text));
	text_utf8(unit, sizeof(unit), unit_text, strlen(unit_text));
	struct cw_metric metric = {.name = name,
				   .kind = point->kind,
				   .unit = unit,
				   .help = help,
				   .collectd_type = point->collectd_type,
				   .bounds = point->bounds,
				   .bounds_count = point->bounds_count};
	for (uint32_t i = 0; i < catalogue->labels_count; i++)
		metric.labels[i].name = catalogue->labels[i].name;
	return catalogue->host.declare(catalogue->host.arg, &metric);
}

static int refuse_metric(const struct refusal *refusal, int64_t status, const char *name)
{
	if (status >= 0 || status == -EEXIST)
		return refuse(refusal, BAD_COLLISION, "`%s` is a name of callwatch's own, or of a part of a histogram",
			      name);
	if (status == -ENOSPC)
		return refuse(refusal, BAD_TOO_MANY, "`%s` is one metric too many", name);
	return refuse(refusal, BAD_TYPE, "`%s` cannot be declared: %s", name, strerror((int)-status));
}

static struct keyed_hash hash_bounds(const struct catalogue *catalogue, const struct point *point)
{
	return keyed_hash(catalogue->secret, point->bounds, point->bounds_count * sizeof(*point->bounds));
}

static struct metric *new_metric(struct catalogue *catalogue, const struct point *point, const char *name, uint32_t at,
				 const struct refusal *refusal)
{
	int64_t index = declare(catalogue, point, name);
	if (index < catalogue->host.first_index) {
		refuse_metric(refusal, index, name);
		return NULL;
	}
	struct metric *metric = calloc(1, sizeof(*metric));
	if (!metric || keep_metric(catalogue, at, metric) < 0) {
		free(metric);
		refuse_metric(refusal, -ENOMEM, name);
		return NULL;
	}
	metric->index = (uint32_t)index;
	metric->kind = point->kind;
	metric->labels_count = catalogue->labels_count;
	snprintf(metric->name, sizeof(metric->name), "%s", name);
	metric->bounds = hash_bounds(catalogue, point);
	for (uint32_t i = 0; i < metric->labels_count; i++)
		memcpy(metric->labels[i], catalogue->labels[i].name, NAMING_NAME_SIZE);
	return metric;
}

/* The point's labels in the metric's order; both are sorted. */
static int fit_labels(struct catalogue *catalogue, const struct metric *metric, const struct refusal *refusal)
{
	uint32_t given = 0;
	for (uint32_t i = 0; i < metric->labels_count; i++) {
		bool has = given < catalogue->labels_count &&
			   strcmp(catalogue->labels[given].name, metric->labels[i]) == 0;
		catalogue->values[i] = has ? catalogue->labels[given++].value : "";
	}
	if (given < catalogue->labels_count)
		return refuse(refusal, BAD_LABELS, "`%s` has a label `%s` that it had not at first", metric->name,
			      catalogue->labels[given].name);
	return 0;
}

static struct metric *find_metric(struct catalogue *catalogue, const struct point *point, const char *name,
				  const struct refusal *refusal)
{
	static const char *const kinds[] = {"gauge", "counter", "histogram"};
	uint32_t at = place_of(catalogue, name);
	bool is_new = at == catalogue->metrics_count || strcmp(catalogue->metrics[at]->name, name) != 0;
	struct metric *metric = is_new ? new_metric(catalogue, point, name, at, refusal) : catalogue->metrics[at];
	if (metric && metric->kind != point->kind) {
		refuse(refusal, BAD_TYPE, "`%s` is a %s, and was a %s at first", name, kinds[point->kind],
		       kinds[metric->kind]);
		return NULL;
	}
	if (metric && !keyed_same(metric->bounds, hash_bounds(catalogue, point))) {
		refuse(refusal, BAD_TYPE, "`%s` has other buckets than at first", name);
		return NULL;
	}
	return metric && fit_labels(catalogue, metric, refusal) == 0 ? metric : NULL;
}

/* ---- series ---- */

static struct keyed_hash hash_on(const struct catalogue *catalogue, struct keyed_hash hash, const char *text)
{
	return keyed_hash_on(catalogue->secret, hash, text, strlen(text));
}

static struct keyed_hash hash_series(const struct catalogue *catalogue, const struct metric *metric)
{
	struct keyed_hash hash = hash_on(catalogue, (struct keyed_hash){{0}}, metric->name);
	for (uint32_t i = 0; i < metric->labels_count; i++)
		hash = hash_on(catalogue, hash, catalogue->values[i]);
	return hash;
}

static struct keyed_hash hash_source(const struct catalogue *catalogue, const struct point *point)
{
	struct keyed_hash hash = hash_on(catalogue, (struct keyed_hash){{0}}, point->source);
	for (uint32_t i = 0; i < catalogue->labels_count; i++) {
		hash = hash_on(catalogue, hash, catalogue->labels[i].raw_name);
		hash = hash_on(catalogue, hash, catalogue->labels[i].raw_value);
	}
	return hash;
}

static bool is_old(void *arg, void *value)
{
	const int64_t *since = arg;
	return ((const struct series *)value)->seen < *since;
}

/* A full table is looked through for old ones once a second at most. NULL: it is full, or no memory. */
static struct series *put_series(struct catalogue *catalogue, struct keyed_hash hash, int64_t now, bool *ret_new)
{
	struct keyed *all = &catalogue->series;
	struct series *series = keyed_put(all, hash, ret_new);
	if (series || all->count < all->limit || now - catalogue->swept < CW_SECOND)
		return series;
	int64_t since = now - catalogue->kept_for;
	catalogue->swept = now;
	keyed_sweep(all, is_old, &since);
	return keyed_put(all, hash, ret_new);
}

static struct series *find_series(struct catalogue *catalogue, const struct metric *metric, const struct point *point,
				  int64_t now, const struct refusal *refusal)
{
	char quoted[QUOTED_MAX];
	bool is_new;
	struct keyed_hash source = hash_source(catalogue, point);
	struct series *series = put_series(catalogue, hash_series(catalogue, metric), now, &is_new);
	if (!series) {
		refuse(refusal, BAD_TOO_MANY, "`%s` is one series too many (max_series: %u)", metric->name,
		       catalogue->series.limit);
		return NULL;
	}
	if (is_new)
		*series = (struct series){.source = source, .sum = {.is_integer = true}};
	if (!keyed_same(series->source, source)) {
		refuse(refusal, BAD_COLLISION, "`%s` is a series that something else already is: `%s`",
		       parse_quote(quoted, point->source), metric->name);
		return NULL;
	}
	series->seen = now;
	return series;
}

/* ---- a point ---- */

/* The sum of all that came, whole as long as it can be. What is not finite adds nothing: it is no sample. */
static void accumulate(struct series *series, struct cw_sample *sample)
{
	struct number *sum = &series->sum;
	int64_t whole;
	if (sample->number == CW_DOUBLE && !isfinite(sample->real))
		return;
	if (sample->number == CW_INTEGER && sum->is_integer &&
	    !__builtin_add_overflow(sum->integer, sample->integer, &whole)) {
		sum->integer = whole;
		sum->real = (double)whole;
		sample->integer = whole;
		return;
	}
	sum->is_integer = false;
	sum->real += sample->number == CW_INTEGER ? (double)sample->integer : sample->real;
	sample->number = CW_DOUBLE;
	sample->real = sum->real;
}

int catalogue_take(struct catalogue *catalogue, const struct point *point, int64_t now, struct catalogued *ret,
		   enum bad *ret_bad, char text[BAD_TEXT_MAX])
{
	const struct refusal refusal = {ret_bad, text};
	char name[NAMING_NAME_SIZE];
	naming_metric(name, point->name);
	if (take_labels(catalogue, point, name, &refusal) < 0)
		return -EINVAL;
	const struct metric *metric = find_metric(catalogue, point, name, &refusal);
	struct series *series = metric ? find_series(catalogue, metric, point, now, &refusal) : NULL;
	if (!series)
		return -EINVAL;
	*ret = (struct catalogued){
		.metric = metric->index,
		.sample = {.labels = catalogue->values, .time = point->time, .number = point->number}};
	if (point->number == CW_BUCKETS)
		ret->sample.histogram = &point->histogram;
	else if (point->number == CW_INTEGER)
		ret->sample.integer = point->integer;
	else
		ret->sample.real = point->real;
	if (point->accumulate)
		accumulate(series, &ret->sample);
	return 0;
}
