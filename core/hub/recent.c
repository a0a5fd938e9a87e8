/* SPDX-License-Identifier: MIT
 *
 * See recent.h. A series is known by a keyed hash and not by its texts (keyed.h): that two of the few that are here
 * share one will not happen, and nobody can choose it.
 */
#include "recent.h"

#include "batch.h"
#include "keyed.h"

#include <stdlib.h>

struct recent_series {
	int64_t times[RECENT_TIMES]; /* a ring */
	uint32_t used, next;
};

struct recent {
	struct keyed series; /* of struct recent_series */
	unsigned char secret[KEYED_SECRET_SIZE];
};

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));
	if (!recent)
		return NULL;
	keyed_init(&recent->series, sizeof(struct recent_series), RECENT_SERIES);
	keyed_secret(recent->secret);
	return recent;
}

void recent_free(struct recent *recent)
{
	if (!recent)
		return;
	keyed_release(&recent->series);
	free(recent);
}

/* False: a label is missing. */
static bool hash_of(const struct recent *recent, const struct cw_metric *metric, const char *const *labels,
		    struct keyed_hash *ret_hash)
{
	uint32_t count = cw_label_count(metric);
	/* a metric is kept once: its address is its name */
	struct keyed_hash hash = keyed_hash(recent->secret, &metric, sizeof(metric));
	for (uint32_t i = 0; i < count; i++) {
		if (!labels || !labels[i])
			return false;
		hash = keyed_hash_on(recent->secret, hash, labels[i], batch_label_length(labels[i]));
	}
	*ret_hash = hash;
	return true;
}

struct recent_series *recent_of(struct recent *recent, const struct cw_metric *metric, const char *const *labels)
{
	struct keyed_hash hash;
	bool is_new;
	if (!hash_of(recent, metric, labels, &hash))
		return NULL;
	struct recent_series *series = keyed_put(&recent->series, hash, &is_new);
	if (series || recent->series.count < RECENT_SERIES)
		return series;
	keyed_release(&recent->series); /* one too many: all are forgotten */
	return keyed_put(&recent->series, hash, &is_new);
}

bool recent_has(const struct recent_series *series, int64_t time)
{
	for (uint32_t i = 0; i < series->used; i++)
		if (series->times[i] == time)
			return true;
	return false;
}

void recent_add(struct recent_series *series, int64_t time)
{
	series->times[series->next] = time;
	series->next = (series->next + 1) % RECENT_TIMES;
	if (series->used < RECENT_TIMES)
		series->used++;
}
