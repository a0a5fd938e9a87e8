/* SPDX-License-Identifier: MIT
 *
 * See series.h. A sorted array: found by halving, walked in order, and a walk continues at a key whatever happened in
 * between. A new series moves half the array's pointers; there are few of those after the first minute, and a tree
 * would cost each walk more than it saves here.
 */
#include "series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t intervals_kept = 5, least_kept = 5 * CW_SECOND;

static void series_free(struct series *series)
{
	free(series);
}

void series_list_release(struct series_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		series_free(list->list[i]);
	free(list->list);
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

static bool make_key(char key[SERIES_KEY_MAX], const char *instance, const struct cw_sample *sample)
{
	uint32_t labels = cw_label_count(sample->metric);
	int used = snprintf(key, SERIES_KEY_MAX, "%s\x1f%s\x1f", instance, sample->metric->name);
	for (uint32_t i = 0; i < labels && used < SERIES_KEY_MAX; i++)
		used += snprintf(key + used, SERIES_KEY_MAX - (size_t)used, "%s\x1f", sample->labels[i]);
	return used < SERIES_KEY_MAX;
}

/* One block: the struct, the key, then the instance and the label values as strings. */
static struct series *series_new(const char *key, const char *instance, const struct cw_sample *sample)
{
	uint32_t labels = cw_label_count(sample->metric);
	size_t key_size = strlen(key) + 1, instance_size = strlen(instance) + 1;
	/* the key holds instance, metric and labels, each with one byte more: the copies need no more than it */
	struct series *series = calloc(1, sizeof *series + 2 * key_size);
	if (!series)
		return NULL;
	char *text = (char *)(series + 1);
	series->key = memcpy(text, key, key_size);
	series->instance = memcpy(text + key_size, instance, instance_size);
	char *to = text + key_size + instance_size;
	for (uint32_t i = 0; i < labels; i++) {
		size_t size = strlen(sample->labels[i]) + 1;
		series->labels[i] = memcpy(to, sample->labels[i], size);
		to += size;
	}
	return series;
}

static bool list_insert(struct series_list *list, uint32_t at, struct series *series)
{
	if (list->count == list->room) {
		uint32_t room = list->room ? list->room * 2 : 256;
		struct series **grown = realloc(list->list, room * sizeof(struct series *));
		if (!grown)
			return false;
		list->list = grown;
		list->room = room;
	}
	memmove(list->list + at + 1, list->list + at, (list->count - at) * sizeof(struct series *));
	list->list[at] = series;
	list->count++;
	return true;
}

static struct series *find_or_add(struct series_list *list, const char *instance, const struct cw_sample *sample)
{
	char key[SERIES_KEY_MAX];
	if (!make_key(key, instance, sample))
		return NULL;
	uint32_t at = lower_bound(list, key);
	if (at < list->count && strcmp(list->list[at]->key, key) == 0)
		return list->list[at];
	if (list->count == SERIES_MAX)
		return NULL;
	struct series *series = series_new(key, instance, sample);
	if (series && !list_insert(list, at, series)) {
		series_free(series);
		return NULL;
	}
	return series;
}

static void set_value(struct series *series, const struct cw_sample *sample)
{
	series->metric = sample->metric;
	series->time = sample->time;
	series->number = sample->number;
	if (sample->number == CW_BUCKETS) {
		series->histogram.count = sample->histogram->count;
		series->histogram.sum = sample->histogram->sum;
	} else if (sample->number == CW_INTEGER) {
		series->integer = sample->integer;
	} else {
		series->real = sample->real;
	}
}

static bool is_expired(const struct series *series, int64_t now)
{
	int64_t kept = series->interval < INT64_MAX / intervals_kept ? series->interval * intervals_kept : INT64_MAX;
	if (kept < least_kept)
		kept = least_kept;
	return series->metric->kind == CW_GAUGE && now - series->arrived > kept;
}

void series_list_expire(struct series_list *list, int64_t now)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		if (is_expired(list->list[i], now))
			series_free(list->list[i]);
		else
			list->list[kept++] = list->list[i];
	}
	list->count = kept;
}

void series_list_add(struct series_list *list, const struct cw_batch *batch, int64_t now)
{
	if (list->count == SERIES_MAX)
		series_list_expire(list, now);
	for (uint32_t i = 0; i < batch->samples.count; i++) {
		const struct cw_sample *sample = cw_at(&batch->samples, i);
		struct series *series = find_or_add(list, batch->instance, sample);
		if (!series) {
			list->refused++;
			continue;
		}
		set_value(series, sample);
		series->arrived = now;
		series->interval = batch->interval;
	}
}
