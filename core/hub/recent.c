/* SPDX-License-Identifier: MIT
 *
 * See recent.h. An open-addressed table of fixed-size entries. A series is known by a keyed hash of 128 bits and not by
 * its texts: that two of the few that are here share one will not happen, and nobody can choose it, because the key is
 * random.
 */
#include "recent.h"

#include "batch.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = crypto_shorthash_siphashx24_BYTES, FIRST_SIZE = 64 };

struct recent_series {
	unsigned char hash[HASH_BYTES];
	int64_t times[RECENT_TIMES]; /* a ring */
	uint32_t used, next;         /* used 0: the place is free */
};

struct recent {
	struct recent_series *places;
	uint32_t size, count; /* size is a power of two, at most half is taken */
	unsigned char key[crypto_shorthash_siphashx24_KEYBYTES];
};

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));
	if (!recent)
		return NULL;
	recent->size = FIRST_SIZE;
	recent->places = calloc(recent->size, sizeof(*recent->places));
	if (!recent->places) {
		free(recent);
		return NULL;
	}
	randombytes_buf(recent->key, sizeof(recent->key));
	return recent;
}

void recent_free(struct recent *recent)
{
	if (!recent)
		return;
	free(recent->places);
	free(recent);
}

/* Of the hash so far and what follows: a chain, so that no text has to be joined. */
static void hash_on(const struct recent *recent, unsigned char hash[HASH_BYTES], const void *bytes, size_t length)
{
	unsigned char link[HASH_BYTES + BATCH_LABEL_MAX];
	memcpy(link, hash, HASH_BYTES);
	memcpy(link + HASH_BYTES, bytes, length);
	crypto_shorthash_siphashx24(hash, link, HASH_BYTES + length, recent->key);
}

static bool hash_of(const struct recent *recent, const struct cw_metric *metric, const char *const *labels,
		    unsigned char hash[HASH_BYTES])
{
	memset(hash, 0, HASH_BYTES);
	hash_on(recent, hash, &metric, sizeof(metric)); /* a metric is kept once: its address is its name */
	uint32_t count = cw_label_count(metric);
	for (uint32_t i = 0; i < count; i++) {
		if (!labels || !labels[i])
			return false;
		hash_on(recent, hash, labels[i], batch_label_length(labels[i]));
	}
	return true;
}

/* The place of this hash: its own, or the free one it would take. */
static struct recent_series *place_of(struct recent_series *places, uint32_t size, const unsigned char *hash)
{
	uint32_t at;
	memcpy(&at, hash, sizeof(at));
	at &= size - 1;
	while (places[at].used && memcmp(places[at].hash, hash, HASH_BYTES) != 0)
		at = (at + 1) & (size - 1);
	return &places[at];
}

/* For one more. */
static bool make_room(struct recent *recent)
{
	if (recent->count == RECENT_SERIES) {
		memset(recent->places, 0, recent->size * sizeof(*recent->places));
		recent->count = 0;
	}
	if ((recent->count + 1) * 2 <= recent->size)
		return true;
	struct recent_series *bigger = calloc((size_t)recent->size * 2, sizeof(*bigger));
	if (!bigger)
		return false;
	for (uint32_t i = 0; i < recent->size; i++)
		if (recent->places[i].used)
			*place_of(bigger, recent->size * 2, recent->places[i].hash) = recent->places[i];
	free(recent->places);
	recent->places = bigger;
	recent->size *= 2;
	return true;
}

/* A place that is not used yet is taken by recent_add(): a sample that was refused leaves nothing here. */
struct recent_series *recent_of(struct recent *recent, const struct cw_metric *metric, const char *const *labels)
{
	unsigned char hash[HASH_BYTES];
	if (!hash_of(recent, metric, labels, hash))
		return NULL;
	struct recent_series *series = place_of(recent->places, recent->size, hash);
	if (series->used)
		return series;
	if (!make_room(recent))
		return NULL;
	series = place_of(recent->places, recent->size, hash);
	memcpy(series->hash, hash, HASH_BYTES);
	return series;
}

bool recent_has(const struct recent_series *series, int64_t time)
{
	for (uint32_t i = 0; i < series->used; i++)
		if (series->times[i] == time)
			return true;
	return false;
}

void recent_add(struct recent *recent, struct recent_series *series, int64_t time)
{
	recent->count += series->used == 0;
	series->times[series->next] = time;
	series->next = (series->next + 1) % RECENT_TIMES;
	if (series->used < RECENT_TIMES)
		series->used++;
}
