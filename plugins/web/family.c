/* SPDX-License-Identifier: MIT
 *
 * See family.h. A sorted array: families are looked for when a series begins, not for each sample.
 */
#include "family.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a family of this kind appends to its name to make the names of its samples. */
static const char *const suffixes[][4] = {
	[CW_GAUGE] = {NULL},
	[CW_COUNTER] = {"_total", NULL},
	[CW_HISTOGRAM] = {"_bucket", "_sum", "_count", NULL},
};

/* The length of a text without this end; 0: it does not end so, or is nothing else. */
static size_t length_without(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);
	return length > end_length && strcmp(text + length - end_length, end) == 0 ? length - end_length : 0;
}

int family_name(char name[FAMILY_NAME_MAX], const struct cw_metric *metric)
{
	const char *prefix = strncmp(metric->name, "process_", 8) == 0 ? "" : "callwatch_";
	size_t length = metric->kind == CW_COUNTER ? length_without(metric->name, "_total") : 0;
	if (length == 0)
		length = strlen(metric->name);
	int written = snprintf(name, FAMILY_NAME_MAX, "%s%.*s", prefix, (int)length, metric->name);
	/* room for the longest suffix, so that no name made of it is cut */
	return written >= 0 && written < FAMILY_NAME_MAX - 16 ? 0 : -EINVAL;
}

bool family_timestamp_name(char name[FAMILY_NAME_MAX], const struct family *family)
{
	static const char *const ends[][2] = {{"_age_seconds", "_timestamp_seconds"},
					      {"_age_max_seconds", "_min_timestamp_seconds"}};
	for (size_t i = 0; family->metric->kind == CW_GAUGE && i < sizeof ends / sizeof ends[0]; i++) {
		size_t length = length_without(family->name, ends[i][0]);
		if (length)
			return snprintf(name, FAMILY_NAME_MAX, "%.*s%s", (int)length, family->name, ends[i][1]) <
			       FAMILY_NAME_MAX;
	}
	return false;
}

/* First position whose name is not before `name`. */
static uint32_t lower_bound(const struct families *families, const char *name)
{
	uint32_t low = 0, high = families->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(families->list[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct family *find(const struct families *families, const char *name)
{
	uint32_t at = lower_bound(families, name);
	bool found = at < families->count && strcmp(families->list[at]->name, name) == 0;
	return found ? families->list[at] : NULL;
}

const struct family *families_find(const struct families *families, const char *name)
{
	return find(families, name);
}

static bool has_suffix(enum cw_kind kind, const char *suffix)
{
	for (size_t i = 0; suffixes[kind][i]; i++)
		if (strcmp(suffixes[kind][i], suffix) == 0)
			return true;
	return false;
}

/* Would a sample of this family be called like another family, or the other way round? */
static bool clashes(const struct families *families, const char *name, enum cw_kind kind)
{
	char other[FAMILY_NAME_MAX];
	for (size_t k = 0; k < sizeof suffixes / sizeof suffixes[0]; k++) {
		for (size_t i = 0; suffixes[k][i]; i++) {
			const char *suffix = suffixes[k][i];
			snprintf(other, sizeof other, "%s%s", name, suffix);
			if (has_suffix(kind, suffix) && find(families, other))
				return true;
			snprintf(other, sizeof other, "%.*s", (int)length_without(name, suffix), name);
			const struct family *shorter = *other ? find(families, other) : NULL;
			if (shorter && has_suffix(shorter->metric->kind, suffix))
				return true;
		}
	}
	return false;
}

static struct family *insert(struct families *families, const char *name, const struct cw_metric *metric)
{
	if (families->count == families->room) {
		uint32_t room = families->room ? families->room * 2 : 64;
		struct family **grown = realloc(families->list, room * sizeof(struct family *));
		if (!grown)
			return NULL;
		families->list = grown;
		families->room = room;
	}
	struct family *family = calloc(1, sizeof *family);
	if (!family)
		return NULL;
	snprintf(family->name, sizeof family->name, "%s", name);
	family->metric = metric;
	uint32_t at = lower_bound(families, name);
	memmove(families->list + at + 1, families->list + at, (families->count - at) * sizeof(struct family *));
	families->list[at] = family;
	families->count++;
	return family;
}

struct family *families_join(struct families *families, const struct cw_metric *metric, int *ret_error)
{
	char name[FAMILY_NAME_MAX];
	*ret_error = family_name(name, metric);
	if (*ret_error)
		return NULL;
	struct family *family = find(families, name);
	*ret_error = -EEXIST;
	if (family ? family->metric->kind != metric->kind : clashes(families, name, metric->kind))
		return NULL;
	*ret_error = -ENOMEM;
	if (!family && !(family = insert(families, name, metric)))
		return NULL;
	*ret_error = 0;
	family->series++;
	return family;
}

void families_leave(struct families *families, struct family *family)
{
	if (--family->series > 0)
		return;
	uint32_t at = lower_bound(families, family->name);
	families->count--;
	memmove(families->list + at, families->list + at + 1, (families->count - at) * sizeof(struct family *));
	free(family);
}

void families_release(struct families *families)
{
	for (uint32_t i = 0; i < families->count; i++)
		free(families->list[i]);
	free(families->list);
	*families = (struct families){0};
}
