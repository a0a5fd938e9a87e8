/* SPDX-License-Identifier: MIT
 *
 * See lines.h. A sample that has no room is offered again, so nothing is remembered of it before its lines are written.
 */
#include "lines.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY_MAX = 16 * 1024, BUCKETS_MAX = 65 };

static const int64_t forget_after = 3600 * CW_SECOND;
static const int64_t sweep_every = CW_SECOND;
static const int64_t late_at_most = 60 * CW_SECOND; /* what is earlier by more comes from a clock that was set back */

/* What a series was when it was last seen. */
struct series {
	int64_t time;
	int64_t integer; /* of a counter, or the count of a histogram */
	double real;     /* of a counter that is none, or the sum of a histogram */
	enum cw_number number;
	uint32_t buckets_count;
	uint64_t *buckets;
};

struct owner {
	int64_t second;
	uint64_t identity;
};

/* A sample whose numbers are what came since the one before, and how long that took. */
struct growth {
	struct cw_sample sample;
	struct cw_histogram histogram;
	uint64_t buckets[BUCKETS_MAX];
	double seconds;
};

void lines_init(struct lines *lines, const struct graphite_form *form, bool rates)
{
	*lines = (struct lines){.form = *form, .rates = rates};
	buffer_init(&lines->identity, /* head */ 0, IDENTITY_MAX);
	keyed_secret(lines->secret);
	keyed_init(&lines->series, sizeof(struct series), LINES_SERIES_MAX);
	keyed_init(&lines->owners, sizeof(struct owner), LINES_SERIES_MAX);
}

static bool let_go(void *arg, void *value)
{
	(void)arg;
	free(((struct series *)value)->buckets);
	return true;
}

void lines_release(struct lines *lines)
{
	keyed_sweep(&lines->series, let_go, /* arg */ NULL);
	keyed_release(&lines->series);
	keyed_release(&lines->owners);
	buffer_release(&lines->identity);
	graphite_names_release(&lines->names);
}

static void append_text(struct buffer *out, const char *text)
{
	buffer_bytes(out, text, strlen(text) + 1);
}

int lines_begin(struct lines *lines, const struct cw_batch *batch)
{
	buffer_cut(&lines->identity, 0);
	append_text(&lines->identity, batch->host);
	append_text(&lines->identity, batch->instance);
	lines->identity_head = lines->identity.length;
	return lines->identity.failed ? -ENOMEM : graphite_names_begin(&lines->names, &lines->form, batch);
}

/* ---- which series is it? ---- */

/* False: no memory. */
static bool identify(struct lines *lines, const struct cw_sample *sample, struct keyed_hash *ret_hash)
{
	struct buffer *identity = &lines->identity;
	uint32_t labels = cw_label_count(sample->metric);
	buffer_cut(identity, lines->identity_head);
	append_text(identity, sample->metric->name);
	for (uint32_t i = 0; i < labels; i++)
		append_text(identity, sample->labels[i]);
	if (identity->failed)
		return false;
	*ret_hash = keyed_hash(lines->secret, buffer_text(identity), identity->length);
	return true;
}

/* Times that are still to come are from before the clock was set back. */
static bool is_old(void *arg, void *value)
{
	const struct lines *lines = arg;
	struct series *series = value;
	if (llabs(series->time - lines->newest) < forget_after)
		return false;
	free(series->buckets);
	return true;
}

static bool is_past(void *arg, void *value)
{
	const struct lines *lines = arg;
	return ((const struct owner *)value)->second != lines->newest / CW_SECOND;
}

/* Takes out of a full table what is stale, but not again and again if all of it is needed. */
static bool make_room(struct lines *lines, struct keyed *keyed, int64_t *swept, bool (*stale)(void *arg, void *value))
{
	if (keyed->count < keyed->limit || (*swept && llabs(lines->newest - *swept) < sweep_every))
		return false;
	*swept = lines->newest;
	keyed_sweep(keyed, stale, lines);
	return true;
}

/* NULL: the table is full, or no memory. */
static struct series *find_series(struct lines *lines, struct keyed_hash hash, bool *ret_new)
{
	struct series *series = keyed_put(&lines->series, hash, ret_new);
	if (!series && make_room(lines, &lines->series, &lines->series_swept, is_old))
		series = keyed_put(&lines->series, hash, ret_new);
	return series;
}

static struct owner *find_owner(struct lines *lines, struct keyed_hash hash, bool *ret_new)
{
	struct owner *owner = keyed_put(&lines->owners, hash, ret_new);
	if (!owner && make_room(lines, &lines->owners, &lines->owners_swept, is_past))
		owner = keyed_put(&lines->owners, hash, ret_new);
	return owner;
}

/* ---- rates ---- */

/* False: there is no growth that could be told. */
static bool histogram_growth(struct growth *growth, const struct cw_histogram *now, const struct series *before)
{
	if (before->buckets_count != growth->sample.metric->bounds_count + 1 || now->count < (uint64_t)before->integer)
		return false;
	for (uint32_t i = 0; i < before->buckets_count; i++) {
		if (now->buckets[i] < before->buckets[i])
			return false;
		growth->buckets[i] = now->buckets[i] - before->buckets[i];
	}
	growth->histogram = (struct cw_histogram){.buckets = growth->buckets,
						  .count = now->count - (uint64_t)before->integer,
						  .sum = now->sum - before->real};
	growth->sample.histogram = &growth->histogram;
	return true;
}

static bool find_growth(struct growth *growth, const struct cw_sample *now, const struct series *before)
{
	growth->sample = *now;
	if (now->time <= before->time || now->number != before->number)
		return false;
	growth->seconds = (double)(now->time - before->time) / (double)CW_SECOND;
	if (now->number == CW_BUCKETS)
		return histogram_growth(growth, now->histogram, before);
	if (now->number == CW_INTEGER) {
		growth->sample.integer = now->integer - before->integer;
		return now->integer >= before->integer;
	}
	growth->sample.real = now->real - before->real;
	return now->real >= before->real;
}

/* A source that begins anew may have other bounds. Without memory the series has none, so its next sample is a first
 * one. */
static void keep_buckets(struct series *series, const struct cw_sample *sample)
{
	uint32_t count = sample->metric->bounds_count + 1;
	if (series->buckets_count != count) {
		free(series->buckets);
		series->buckets = malloc(count * sizeof(uint64_t));
		series->buckets_count = series->buckets ? count : 0;
	}
	if (series->buckets)
		memcpy(series->buckets, sample->histogram->buckets, count * sizeof(uint64_t));
}

static void keep(struct series *series, const struct cw_sample *sample)
{
	if (sample->time <= series->time && sample->time >= series->time - late_at_most)
		return;
	series->time = sample->time;
	series->number = sample->number;
	if (sample->number == CW_BUCKETS) {
		series->integer = (int64_t)sample->histogram->count;
		series->real = sample->histogram->sum;
		keep_buckets(series, sample);
	} else if (sample->number == CW_INTEGER) {
		series->integer = sample->integer;
	} else {
		series->real = sample->real;
	}
}

static void per_second(struct format_point *points, uint32_t n, double seconds)
{
	for (uint32_t i = 0; i < n; i++) {
		if (points[i].kind != CW_COUNTER)
			continue;
		points[i].real = (points[i].is_integer ? (double)points[i].integer : points[i].real) / seconds;
		points[i].is_integer = false;
	}
}

/* ---- collisions ---- */

/* True: in this second the name is another's. */
static bool is_anothers(struct lines *lines, const char *name, size_t length, const struct cw_sample *sample)
{
	struct keyed_hash identity;
	bool is_new;
	if (!identify(lines, sample, &identity))
		return false;
	struct owner *owner = find_owner(lines, keyed_hash(lines->secret, name, length), &is_new);
	int64_t second = sample->time / CW_SECOND;
	if (!owner)
		return false;
	if (!is_new && owner->second == second && owner->identity != identity.parts[0])
		return true;
	*owner = (struct owner){.second = second, .identity = identity.parts[0]};
	return false;
}

/* ---- lines ---- */

static enum lines_outcome append_points(struct lines *lines, struct buffer *out, const struct cw_sample *sample,
					const struct format_point *points, uint32_t n)
{
	size_t start = out->length;
	enum lines_outcome outcome = n ? LINES_ADDED : LINES_INVALID;
	for (uint32_t i = 0; i < n && outcome == LINES_ADDED; i++) {
		size_t line = out->length, name_length;
		int status = graphite_line(&lines->names, out, sample, &points[i], &name_length);
		if (status == -EMSGSIZE)
			outcome = LINES_INVALID;
		else if (status < 0)
			outcome = LINES_NO_ROOM;
		else if (status == GRAPHITE_DOUBTFUL &&
			 is_anothers(lines, buffer_text(out) + line, name_length, sample))
			outcome = LINES_COLLISION;
	}
	if (outcome != LINES_ADDED)
		buffer_cut(out, start);
	return outcome;
}

static enum lines_outcome add_rate(struct lines *lines, struct buffer *out, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_GRAPHITE_POINTS_MAX];
	struct keyed_hash hash;
	struct growth growth;
	bool is_new;
	if (sample->number == CW_BUCKETS && sample->metric->bounds_count >= BUCKETS_MAX)
		return LINES_INVALID;
	struct series *series = identify(lines, sample, &hash) ? find_series(lines, hash, &is_new) : NULL;
	if (!series)
		return LINES_INVALID; /* more series than can be remembered */
	enum lines_outcome outcome = LINES_ADDED;
	if (!is_new && find_growth(&growth, sample, series)) {
		uint32_t n = graphite_points(&growth.sample, points);
		per_second(points, n, growth.seconds);
		outcome = append_points(lines, out, sample, points, n);
	}
	if (outcome != LINES_NO_ROOM)
		keep(series, sample);
	return outcome;
}

enum lines_outcome lines_add(struct lines *lines, struct buffer *out, const struct cw_sample *sample)
{
	struct format_point points[FORMAT_GRAPHITE_POINTS_MAX];
	if (sample->time > lines->newest || sample->time < lines->newest - late_at_most)
		lines->newest = sample->time;
	if (lines->rates && sample->metric->kind != CW_GAUGE)
		return add_rate(lines, out, sample);
	return append_points(lines, out, sample, points, graphite_points(sample, points));
}
