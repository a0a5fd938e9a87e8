/* SPDX-License-Identifier: MIT
 *
 * See declared.h. A source may well ask for the same metric with each sample, so a name is found by halving a sorted
 * list; a new one moves the rest of it, 16 KiB at most.
 */
#include "declared.h"

#include "metric.h"

#include <errno.h>
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

static int64_t add_at(struct declared *declared, uint32_t place, const struct cw_metric *metric)
{
	if (declared->count == DECLARED_MAX)
		return -ENOSPC;
	const struct cw_metric *kept = make_room(declared) < 0 ? NULL : metric_keep(metric);
	if (!kept)
		return -ENOMEM;
	memmove(declared->by_name + place + 1, declared->by_name + place,
		(declared->count - place) * sizeof(*declared->by_name));
	declared->by_name[place] = declared->count;
	declared->metrics[declared->count] = kept;
	return declared->count++;
}

int64_t declared_add(struct declared *declared, const struct cw_array *own, const struct cw_metric *metric)
{
	char error[METRIC_ERROR_MAX];
	if (metric_check(metric, /* free_labels */ true, error) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < own->count; i++) {
		const struct cw_metric *other = cw_at(own, i);
		if (strcmp(other->name, metric->name) == 0)
			return metric_alike(other, metric) ? (int64_t)i : -EEXIST;
	}
	uint32_t place = place_of(declared, metric->name);
	const struct cw_metric *other = place < declared->count ? declared->metrics[declared->by_name[place]] : NULL;
	int64_t index;
	if (other && strcmp(other->name, metric->name) == 0)
		index = metric_alike(other, metric) ? (int64_t)declared->by_name[place] : -EEXIST;
	else
		index = add_at(declared, place, metric);
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
