/* SPDX-License-Identifier: MIT
 *
 * See catalogue.h. Two collections: metrics by name, a sorted list, looked at once for each value; series, an
 * open-addressed table by a keyed hash of 128 bits over metric and labels (a program's output may be a stranger's).
 *
 * A series remembers a hash of what the program called it: its name and labels as they were written. Another hash for
 * the same series is a collision, wherever in the names the difference was lost.
 */
#include "catalogue.h"

#include "text.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = crypto_shorthash_siphashx24_BYTES, FIRST_SIZE = 64, HELP_SIZE = 1024, UNIT_SIZE = 64 };

struct metric {
	char name[NAMING_NAME_SIZE];
	uint32_t index;
	enum cw_kind kind;
	char labels[CW_LABELS_MAX][NAMING_NAME_SIZE]; /* in order of their names */
	uint32_t labels_count;
	unsigned char bounds[HASH_BYTES]; /* of a histogram, hashed */
};

struct series {
	unsigned char hash[HASH_BYTES], source[HASH_BYTES];
	int64_t seen;      /* instant; 0: the place is free */
	struct number sum; /* of those that accumulate */
};

/* A label on its way: as it was written, and as it will be. */
struct label {
	const char *raw_name, *raw_value;
	char name[NAMING_NAME_SIZE], value[NAMING_VALUE_SIZE];
};

struct catalogue {
	struct catalogue_host host;
	uint32_t limit;
	int64_t kept_for, swept;
	struct metric **metrics;
	uint32_t metrics_count, metrics_room;
	struct series *places;
	uint32_t size, count; /* size is a power of two, at most half is taken */
	unsigned char key[crypto_shorthash_siphashx24_KEYBYTES];

	struct label labels[CW_LABELS_MAX]; /* of the point at hand */
	uint32_t labels_count;
	const char *values[CW_LABELS_MAX];
};

struct catalogue *catalogue_new(const struct catalogue_host *host, uint32_t limit, int64_t kept_for)
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));
	if (!catalogue)
		return NULL;
	*catalogue = (struct catalogue){.host = *host, .limit = limit, .kept_for = kept_for, .size = FIRST_SIZE};
	catalogue->places = calloc(FIRST_SIZE, sizeof(*catalogue->places));
	if (!catalogue->places) {
		free(catalogue);
		return NULL;
	}
	randombytes_buf(catalogue->key, sizeof(catalogue->key));
	return catalogue;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	for (uint32_t i = 0; i < catalogue->metrics_count; i++)
		free(catalogue->metrics[i]);
	free(catalogue->metrics);
	free(catalogue->places);
	free(catalogue);
}

uint32_t catalogue_series(const struct catalogue *catalogue)
{
	return catalogue->count;
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

static void hash_bounds(const struct catalogue *catalogue, const struct point *point, unsigned char hash[HASH_BYTES])
{
	crypto_shorthash_siphashx24(hash, (const unsigned char *)point->bounds,
				    point->bounds_count * sizeof(*point->bounds), catalogue->key);
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
	hash_bounds(catalogue, point, metric->bounds);
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
	unsigned char bounds[HASH_BYTES];
	hash_bounds(catalogue, point, bounds);
	if (metric && memcmp(metric->bounds, bounds, HASH_BYTES) != 0) {
		refuse(refusal, BAD_TYPE, "`%s` has other buckets than at first", name);
		return NULL;
	}
	return metric && fit_labels(catalogue, metric, refusal) == 0 ? metric : NULL;
}

/* ---- series ---- */

static void hash_on(const struct catalogue *catalogue, unsigned char hash[HASH_BYTES], const char *text)
{
	unsigned char link[2 * HASH_BYTES] = {0};
	memcpy(link, hash, HASH_BYTES);
	crypto_shorthash_siphashx24(link + HASH_BYTES, (const unsigned char *)text, strlen(text), catalogue->key);
	crypto_shorthash_siphashx24(hash, link, sizeof(link), catalogue->key);
}

static void hash_series(const struct catalogue *catalogue, const struct metric *metric, unsigned char hash[HASH_BYTES])
{
	memset(hash, 0, HASH_BYTES);
	hash_on(catalogue, hash, metric->name);
	for (uint32_t i = 0; i < metric->labels_count; i++)
		hash_on(catalogue, hash, catalogue->values[i]);
}

static void hash_source(const struct catalogue *catalogue, const struct point *point, unsigned char hash[HASH_BYTES])
{
	memset(hash, 0, HASH_BYTES);
	hash_on(catalogue, hash, point->source);
	for (uint32_t i = 0; i < catalogue->labels_count; i++) {
		hash_on(catalogue, hash, catalogue->labels[i].raw_name);
		hash_on(catalogue, hash, catalogue->labels[i].raw_value);
	}
}

/* The place of this hash: its own, or the free one it would take. */
static struct series *series_place(struct series *places, uint32_t size, const unsigned char *hash)
{
	uint32_t at;
	memcpy(&at, hash, sizeof(at));
	at &= size - 1;
	while (places[at].seen && memcmp(places[at].hash, hash, HASH_BYTES) != 0)
		at = (at + 1) & (size - 1);
	return &places[at];
}

/* Into a table of another size, without those last seen before `since`. */
static bool rebuild(struct catalogue *catalogue, uint32_t size, int64_t since)
{
	struct series *places = calloc(size, sizeof(*places));
	if (!places)
		return false;
	catalogue->count = 0;
	for (uint32_t i = 0; i < catalogue->size; i++)
		if (catalogue->places[i].seen && catalogue->places[i].seen >= since) {
			*series_place(places, size, catalogue->places[i].hash) = catalogue->places[i];
			catalogue->count++;
		}
	free(catalogue->places);
	catalogue->places = places;
	catalogue->size = size;
	return true;
}

/* Room for one more series; what is looked through for old ones is looked through once a second at most. */
static bool make_room(struct catalogue *catalogue, int64_t now)
{
	if (catalogue->count >= catalogue->limit && now - catalogue->swept >= CW_SECOND) {
		catalogue->swept = now;
		rebuild(catalogue, catalogue->size, now - catalogue->kept_for);
	}
	if (catalogue->count >= catalogue->limit)
		return false;
	return (catalogue->count + 1) * 2 <= catalogue->size || rebuild(catalogue, catalogue->size * 2, /* since */ 0);
}

static struct series *find_series(struct catalogue *catalogue, const struct metric *metric, const struct point *point,
				  int64_t now, const struct refusal *refusal)
{
	unsigned char hash[HASH_BYTES], source[HASH_BYTES];
	char quoted[QUOTED_MAX];
	hash_series(catalogue, metric, hash);
	hash_source(catalogue, point, source);
	struct series *series = series_place(catalogue->places, catalogue->size, hash);
	if (!series->seen) {
		if (!make_room(catalogue, now)) {
			refuse(refusal, BAD_TOO_MANY, "`%s` is one series too many (max_series: %u)", metric->name,
			       catalogue->limit);
			return NULL;
		}
		series = series_place(catalogue->places, catalogue->size, hash);
		*series = (struct series){.sum = {.is_integer = true}};
		memcpy(series->hash, hash, HASH_BYTES);
		memcpy(series->source, source, HASH_BYTES);
		catalogue->count++;
	} else if (memcmp(series->source, source, HASH_BYTES) != 0) {
		refuse(refusal, BAD_COLLISION, "`%s` is a series that something else already is: `%s`",
		       parse_quote(quoted, point->source), metric->name);
		return NULL;
	}
	series->seen = now > 0 ? now : 1;
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
