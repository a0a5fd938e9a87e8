/* SPDX-License-Identifier: MIT
 *
 * See declared.h. A source may well ask for the same metric with each sample, so a name is found by halving a sorted
 * list; a new one moves the rest of it, 16 KiB at most.
 */
#include "declared.h"

#include "hub.h"
#include "metric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first place in by_name that is not before `name`. */
static uint32_t place_of(const struct declared *declared, const char *name)
{
	uint32_t low = 0, high = declared->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(declared->metrics[declared->by_name[middle]]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct declared *declared)
{
	if (declared->count < declared->room)
		return 0;
	uint32_t room = declared->room ? declared->room * 2 : 16;
	const struct cw_metric **metrics = realloc(declared->metrics, room * sizeof(*metrics));
	if (metrics)
		declared->metrics = metrics;
	uint32_t *by_name = realloc(declared->by_name, room * sizeof(*by_name));
	if (by_name)
		declared->by_name = by_name;
	if (!metrics || !by_name)
		return -ENOMEM;
	declared->room = room;
	return 0;
}

static int64_t add(struct declared *declared, const struct cw_metric *metric)
{
	if (declared->count == DECLARED_MAX)
		return -ENOSPC;
	const struct cw_metric *kept = make_room(declared) < 0 ? NULL : metric_keep(metric);
	if (!kept)
		return -ENOMEM;
	uint32_t place = place_of(declared, metric->name);
	memmove(declared->by_name + place + 1, declared->by_name + place,
		(declared->count - place) * sizeof(*declared->by_name));
	declared->by_name[place] = declared->count;
	declared->metrics[declared->count] = kept;
	return declared->count++;
}

static int64_t index_of(const struct declared *declared, const struct cw_array *own, const char *name)
{
	for (uint32_t i = 0; i < own->count; i++)
		if (strcmp(((const struct cw_metric *)cw_at(own, i))->name, name) == 0)
			return i;
	uint32_t place = place_of(declared, name);
	if (place == declared->count || strcmp(declared->metrics[declared->by_name[place]]->name, name) != 0)
		return -ENOENT;
	return (int64_t)own->count + declared->by_name[place];
}

static bool meets(const struct declared *declared, const struct cw_array *own, const struct cw_metric *metric,
		  const char *name)
{
	int64_t index = index_of(declared, own, name);
	return index >= 0 && metric_meets(metric, declared_at(declared, own, (uint32_t)index));
}

/* Is it called like a part of a histogram that is known, or one that is known like a part of it? */
static bool meets_any(const struct declared *declared, const struct cw_array *own, const struct cw_metric *metric)
{
	enum { NAME_SIZE = 128 };
	char name[NAME_SIZE];
	size_t length = strlen(metric->name);
	for (const char *const *part = metric_parts; *part; part++) {
		size_t rest = length > strlen(*part) ? length - strlen(*part) : 0;
		snprintf(name, sizeof(name), "%s%s", metric->name, *part);
		if (meets(declared, own, metric, name))
			return true;
		snprintf(name, sizeof(name), "%.*s", (int)rest, metric->name);
		if (strcmp(metric->name + rest, *part) == 0 && meets(declared, own, metric, name))
			return true;
	}
	return false;
}

int64_t declared_add(struct declared *declared, const struct cw_array *own, const struct cw_metric *metric)
{
	char error[METRIC_ERROR_MAX];
	if (metric_check(metric, /* free_labels */ true, error) < 0)
		return -EINVAL;
	int64_t index = index_of(declared, own, metric->name);
	if (index >= 0)
		return metric_alike(declared_at(declared, own, (uint32_t)index), metric) ? index : -EEXIST;
	if (hub_says_metric(metric->name) || meets_any(declared, own, metric))
		return -EEXIST;
	index = add(declared, metric);
	return index < 0 ? index : index + own->count;
}

const struct cw_metric *declared_at(const struct declared *declared, const struct cw_array *own, uint32_t index)
{
	if (index < own->count)
		return cw_at(own, index);
	return index - own->count < declared->count ? declared->metrics[index - own->count] : NULL;
}

void declared_release(struct declared *declared)
{
	free(declared->metrics);
	free(declared->by_name);
	*declared = (struct declared){0};
}
