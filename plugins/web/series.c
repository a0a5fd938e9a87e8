/* SPDX-License-Identifier: MIT
 *
 * See series.h. A sorted array: found by halving, walked in order, and a walk continues at a key whatever happened in
 * between. A new series moves half the array's pointers; there are few of those after the first minute, and a tree
 * would cost each walk more than it saves here.
 *
 * Label values are kept as they are shown, made so once for a sample: two that differ in bytes that cannot be shown are
 * one series here, because they would be one to whoever reads the answer.
 */
#include "series.h"

#include "exposition.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { END = 0x1f };

static const int64_t intervals_kept = 3, least_kept = 3 * CW_SECOND, gone_after = 600 * CW_SECOND;

/* -- origins ------------------------------------------------------------------------------------------------------ */

static bool is_origin(const struct origin *origin, const struct cw_batch *batch)
{
	if (strcmp(origin->instance, batch->instance) != 0 || strcmp(origin->host, batch->host) != 0 ||
	    origin->tags_count != batch->tags.count)
		return false;
	for (uint32_t i = 0; i < origin->tags_count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		if (strcmp(origin->tags[i].name, tag->name) != 0 || strcmp(origin->tags[i].value, tag->value) != 0)
			return false;
	}
	return true;
}

static char *append(char **end, const char *text)
{
	size_t size = strlen(text) + 1;
	char *start = memcpy(*end, text, size);
	*end += size;
	return start;
}

/* One block: the struct, the tags, all texts. */
static struct origin *origin_new(const struct cw_batch *batch)
{
	size_t texts = strlen(batch->instance) + strlen(batch->host) + 2;
	for (uint32_t i = 0; i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		texts += strlen(tag->name) + strlen(tag->value) + 2;
	}
	struct origin *origin = calloc(1, sizeof *origin + batch->tags.count * sizeof *origin->tags + texts);
	if (!origin)
		return NULL;
	origin->tags = (struct origin_tag *)(origin + 1);
	char *end = (char *)(origin->tags + batch->tags.count);
	origin->instance = append(&end, batch->instance);
	origin->host = append(&end, batch->host);
	origin->tags_count = batch->tags.count;
	for (uint32_t i = 0; i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		origin->tags[i] = (struct origin_tag){append(&end, tag->name), append(&end, tag->value)};
	}
	return origin;
}

static struct origin *origin_of(struct series_list *list, const struct cw_batch *batch)
{
	for (uint32_t i = 0; i < list->origins_count; i++)
		if (is_origin(list->origins[i], batch))
			return list->origins[i];
	if (list->origins_count == list->origins_room) {
		uint32_t room = list->origins_room ? list->origins_room * 2 : 16;
		struct origin **grown = realloc(list->origins, room * sizeof(struct origin *));
		if (!grown)
			return NULL;
		list->origins = grown;
		list->origins_room = room;
	}
	struct origin *origin = origin_new(batch);
	if (origin)
		list->origins[list->origins_count++] = origin;
	return origin;
}

/* Has anything come of this instance, by itself or by the agent about it? */
static bool instance_is_gone(const struct series_list *list, const char *instance, int64_t now)
{
	for (uint32_t i = 0; i < list->origins_count; i++)
		if (strcmp(list->origins[i]->instance, instance) == 0 && now - list->origins[i]->seen <= gone_after)
			return false;
	return true;
}

static void forget_empty_origins(struct series_list *list, int64_t now)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list->origins_count; i++) {
		struct origin *origin = list->origins[i];
		if (origin->series == 0 && now - origin->seen > gone_after)
			free(origin);
		else
			list->origins[kept++] = origin;
	}
	list->origins_count = kept;
}

/* -- series ------------------------------------------------------------------------------------------------------- */

static void series_free(struct series_list *list, struct series *series)
{
	families_leave(&list->families, series->family);
	series->origin->series--;
	free(series);
}

void series_list_release(struct series_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		series_free(list, list->list[i]);
	for (uint32_t i = 0; i < list->origins_count; i++)
		free(list->origins[i]);
	free(list->list);
	free(list->origins);
	families_release(&list->families);
	*list = (struct series_list){0};
}

/* First position whose key is not before `key`. */
static uint32_t lower_bound(const struct series_list *list, const char *key)
{
	uint32_t low = 0, high = list->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(list->list[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t series_list_after(const struct series_list *list, const char *key)
{
	uint32_t at = key ? lower_bound(list, key) : 0;
	return key && at < list->count && strcmp(list->list[at]->key, key) == 0 ? at + 1 : at;
}

/* A key under way, with the places of its label values. */
struct key {
	char text[SERIES_KEY_MAX];
	size_t length;
	size_t labels[CW_LABELS_MAX];
};

/* Ends a part of the key of which `length` bytes were written behind it. */
static bool end_part(struct key *key, size_t length)
{
	key->length += length;
	if (key->length + 2 > sizeof key->text)
		return false;
	key->text[key->length++] = END;
	key->text[key->length] = '\0';
	return true;
}

static bool append_visible(struct key *key, const char *text)
{
	size_t length = strlen(text), room = sizeof key->text - key->length;
	if (length * 4 + 2 > room) /* \x01 for a byte is the most that it may become */
		return false;
	return end_part(key, text_visible(key->text + key->length, room, text, length));
}

static bool make_key(struct key *key, const char *instance, const struct cw_sample *sample)
{
	uint32_t labels = cw_label_count(sample->metric);
	key->length = 0;
	bool fits = family_name(key->text, sample->metric) == 0 && end_part(key, strlen(key->text)) &&
		    append_visible(key, instance);
	for (uint32_t i = 0; i < labels && fits; i++) {
		key->labels[i] = key->length;
		fits = append_visible(key, sample->labels[i]);
	}
	return fits;
}

/* One block: the struct, the buckets, the key, the parts of the key as strings, the labels as they are exposed. */
static struct series *series_new(const struct key *key, const struct cw_metric *metric)
{
	size_t buckets = metric->kind == CW_HISTOGRAM ? (size_t)metric->bounds_count + 1 : 0, parts = key->length + 1;
	struct series *series = calloc(1, sizeof *series + buckets * sizeof(uint64_t) + 2 * parts +
						  exposition_labels_room(key->length));
	if (!series)
		return NULL;
	uint64_t *counts = (uint64_t *)(series + 1);
	char *text = (char *)(counts + buckets);
	series->metric = metric;
	series->arrived = INT64_MIN;
	if (buckets)
		series->histogram.buckets = counts;
	series->key = memcpy(text, key->text, parts);
	text = memcpy(text + parts, key->text, parts);
	for (size_t i = 0; i < key->length; i++)
		if (text[i] == END)
			text[i] = '\0';
	series->instance = text + strlen(text) + 1;
	uint32_t labels = cw_label_count(metric);
	for (uint32_t i = 0; i < labels; i++)
		series->labels[i] = text + key->labels[i];
	series->exposed = text + parts;
	series->exposed_length = exposition_labels(text + parts, series);
	return series;
}

static bool make_room(struct series_list *list)
{
	if (list->count < list->room)
		return true;
	uint32_t room = list->room ? list->room * 2 : 256;
	struct series **grown = realloc(list->list, room * sizeof(struct series *));
	if (!grown)
		return false;
	list->list = grown;
	list->room = room;
	return true;
}

/* A clash is told once for each metric that meets one, of the first few. */
static void note_clash(struct series_list *list, const struct cw_metric *metric, const char *instance)
{
	for (uint32_t i = 0; i < list->clashes_told_count; i++)
		if (list->clashes_told[i] == metric)
			return;
	if (list->clashes_told_count == CLASHES_TOLD_MAX)
		return;
	list->clashes_told[list->clashes_told_count++] = metric;
	snprintf(list->clash, sizeof list->clash,
		 "metric %s of %s is left out of /metrics: its name stands for another kind of metric there",
		 metric->name, instance);
}

/* What is not taken in is counted. NULL, so that a caller can return it. */
static struct series *drop(struct series_list *list, enum cw_drop reason)
{
	list->dropped[reason]++;
	return NULL;
}

static struct series *series_add(struct series_list *list, uint32_t at, const struct key *key, struct origin *origin,
				 const struct cw_metric *metric)
{
	int error = -ENOMEM;
	if (list->count == SERIES_MAX || !make_room(list))
		return drop(list, CW_DROP_REFUSED);
	struct series *series = series_new(key, metric);
	struct family *family = series ? families_join(&list->families, metric, &error) : NULL;
	if (!family) {
		if (error == -EEXIST)
			note_clash(list, metric, origin->instance);
		free(series);
		return drop(list, error == -EEXIST ? CW_DROP_COLLISION : CW_DROP_REFUSED);
	}
	series->family = family;
	series->origin = origin;
	origin->series++;
	memmove(list->list + at + 1, list->list + at, (list->count - at) * sizeof(struct series *));
	list->list[at] = series;
	list->count++;
	return series;
}

static void series_remove(struct series_list *list, uint32_t at)
{
	series_free(list, list->list[at]);
	list->count--;
	memmove(list->list + at, list->list + at + 1, (list->count - at) * sizeof(struct series *));
}

/* Does a series of metric a stay the same series if its metric is b? An instance that was restarted may mean something
 * else by a name. */
static bool is_same_shape(const struct cw_metric *a, const struct cw_metric *b)
{
	uint32_t labels = cw_label_count(a);
	if (a == b)
		return true;
	if (a->kind != b->kind || a->bounds_count != b->bounds_count || labels != cw_label_count(b))
		return false;
	for (uint32_t i = 0; i < labels; i++)
		if (strcmp(a->labels[i].name, b->labels[i].name) != 0)
			return false;
	return true;
}

static struct series *find_or_add(struct series_list *list, struct origin *origin, const struct cw_sample *sample)
{
	struct key key;
	if (!make_key(&key, origin->instance, sample))
		return drop(list, CW_DROP_INVALID);
	uint32_t at = lower_bound(list, key.text);
	if (at < list->count && strcmp(list->list[at]->key, key.text) == 0) {
		if (is_same_shape(list->list[at]->metric, sample->metric))
			return list->list[at];
		series_remove(list, at);
	}
	return series_add(list, at, &key, origin, sample->metric);
}

/* Numbers and buckets do not mix in a series: its shape says which they are. */
static void set_value(struct series *series, const struct cw_sample *sample)
{
	series->metric = sample->metric;
	series->time = sample->time;
	series->number = sample->number;
	if (sample->number == CW_BUCKETS) {
		memcpy(series->histogram.buckets, sample->histogram->buckets,
		       ((size_t)sample->metric->bounds_count + 1) * sizeof(uint64_t));
		series->histogram.count = sample->histogram->count;
		series->histogram.sum = sample->histogram->sum;
	} else if (sample->number == CW_INTEGER) {
		series->integer = sample->integer;
	} else {
		series->real = sample->real;
	}
}

/* Has it come before in this batch? A reading has each series once; so these are other bytes that look the same, and
 * dropped, unless the times differ: then the newest counts. */
static bool came_before(struct series_list *list, const struct series *series, const struct cw_sample *sample,
			int64_t now)
{
	if (series->arrived != now || series->time < sample->time)
		return false;
	if (series->time == sample->time)
		drop(list, CW_DROP_COLLISION);
	return true;
}

static void take_in(struct series_list *list, struct origin *origin, const struct cw_batch *batch,
		    const struct cw_sample *sample, int64_t now)
{
	struct series *series = find_or_add(list, origin, sample);
	if (!series || came_before(list, series, sample, now))
		return;
	series->origin->series--;
	series->origin = origin;
	origin->series++;
	series->arrived = now;
	series->interval = batch->interval;
	set_value(series, sample);
}

void series_list_add(struct series_list *list, const struct cw_batch *batch, int64_t now)
{
	if (list->count == SERIES_MAX)
		series_list_expire(list, now); /* before there is an origin that has no series yet */
	struct origin *origin = origin_of(list, batch);
	if (!origin) {
		list->dropped[CW_DROP_REFUSED] += batch->samples.count;
		return;
	}
	origin->seen = now;
	for (uint32_t i = 0; i < batch->samples.count; i++)
		take_in(list, origin, batch, cw_at(&batch->samples, i), now);
}

/* -- forgetting --------------------------------------------------------------------------------------------------- */

static bool is_expired(const struct series_list *list, const struct series *series, int64_t now)
{
	int64_t kept = series->interval < INT64_MAX / intervals_kept ? series->interval * intervals_kept : INT64_MAX;
	if (kept < least_kept)
		kept = least_kept;
	if (series->metric->kind == CW_GAUGE)
		return now - series->arrived > kept;
	return now - series->arrived > gone_after && instance_is_gone(list, series->instance, now);
}

void series_list_expire(struct series_list *list, int64_t now)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		if (is_expired(list, list->list[i], now))
			series_free(list, list->list[i]);
		else
			list->list[kept++] = list->list[i];
	}
	list->count = kept;
	forget_empty_origins(list, now);
}
