/* SPDX-License-Identifier: MIT
 *
 * Which alerts there are: a list of all, and a table from key to its lives, of which one at most is open. Chains by a
 * keyed hash, for the keys are strangers' texts; the links are in the alerts themselves, so that 50,000 of them cost
 * two pointers each.
 */
#include "engine_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_LEAST = 64 };

void store_init(struct store *store)
{
	*store = (struct store){0};
	crypto_shorthash_keygen(store->hash_key);
}

static uint32_t bucket_of(const struct store *store, const char *key)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, strlen(key), store->hash_key);
	return (uint32_t)(hash % store->buckets_count);
}

static void chain(struct store *store, struct alert *alert)
{
	struct alert **bucket = &store->buckets[bucket_of(store, alert->key)];
	alert->next_in_bucket = *bucket;
	*bucket = alert;
}

/* Without memory for more the chains grow longer; without any there is no place. */
static int make_room(struct store *store)
{
	if (store->count < store->buckets_count)
		return 0;
	uint32_t count = store->buckets_count ? 2 * store->buckets_count : BUCKETS_LEAST;
	struct alert **buckets = calloc(count, sizeof(struct alert *));
	if (!buckets)
		return store->buckets_count ? 0 : -ENOMEM;
	free(store->buckets);
	store->buckets = buckets;
	store->buckets_count = count;
	for (struct alert *alert = store->first; alert; alert = alert->next)
		chain(store, alert);
	return 0;
}

static struct alert *find_from(struct alert *alert, const char *key)
{
	while (alert && strcmp(alert->key, key) != 0)
		alert = alert->next_in_bucket;
	return alert;
}

struct alert *store_lives(const struct store *store, const char *key)
{
	return find_from(store->buckets_count ? store->buckets[bucket_of(store, key)] : NULL, key);
}

struct alert *store_next_life(const struct alert *alert)
{
	return find_from(alert->next_in_bucket, alert->key);
}

struct alert *store_find(const struct store *store, const char *key)
{
	struct alert *alert = store_lives(store, key);
	while (alert && !alert->is_open)
		alert = store_next_life(alert);
	return alert;
}

int store_add(struct store *store, struct alert *alert, bool is_open)
{
	if (make_room(store) < 0)
		return -ENOMEM;
	chain(store, alert);
	store->count++;
	store->open_count += is_open;
	alert->is_open = is_open;
	alert->previous = NULL;
	alert->next = store->first;
	if (store->first)
		store->first->previous = alert;
	store->first = alert;
	return 0;
}

void store_close(struct store *store, struct alert *alert)
{
	store->open_count -= alert->is_open;
	alert->is_open = false;
}

void store_remove(struct store *store, struct alert *alert)
{
	struct alert **link = &store->buckets[bucket_of(store, alert->key)];
	while (*link != alert)
		link = &(*link)->next_in_bucket;
	*link = alert->next_in_bucket;
	store_close(store, alert);
	store->count--;
	if (alert->next)
		alert->next->previous = alert->previous;
	if (alert->previous)
		alert->previous->next = alert->next;
	else
		store->first = alert->next;
	alert_free(alert);
}

void store_release(struct store *store)
{
	while (store->first)
		store_remove(store, store->first);
	free(store->buckets);
	*store = (struct store){0};
}
