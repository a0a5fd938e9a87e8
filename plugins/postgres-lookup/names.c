/* SPDX-License-Identifier: MIT
 *
 * See names.h: a table of chains, keyed since keys are strangers', that doubles; a list by age, through the entries;
 * and the queue, through them too. So nothing is allocated but the entries, and every step is constant time.
 */
#include "names.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_LEAST = 256 };

int names_init(struct names *names, uint32_t limit, const uint8_t hash_key[NAMES_HASH_KEY_BYTES])
{
	_Static_assert(NAMES_HASH_KEY_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4's key");
	*names = (struct names){.limit = limit, .buckets_count = BUCKETS_LEAST};
	names->queue_end = &names->queue;
	memcpy(names->hash_key, hash_key, NAMES_HASH_KEY_BYTES);
	names->buckets = calloc(BUCKETS_LEAST, sizeof(*names->buckets));
	return names->buckets ? 0 : -ENOMEM;
}

void names_release(struct names *names)
{
	for (struct name *name = names->oldest, *next; name; name = next) {
		next = name->newer;
		free(name->value);
		free(name);
	}
	free(names->buckets);
	*names = (struct names){0};
}

static uint64_t hash_of(const struct names *names, const char *key, size_t length)
{
	uint64_t hash;
	_Static_assert(crypto_shorthash_BYTES == sizeof(hash), "SipHash-2-4 gives 64 bits");
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, length, names->hash_key);
	return hash;
}

static struct name **bucket_of(const struct names *names, uint64_t hash)
{
	return &names->buckets[hash & (names->buckets_count - 1)];
}

static struct name *find(const struct names *names, const char *key, size_t length, uint64_t hash)
{
	struct name *name = *bucket_of(names, hash);
	while (name && (name->hash != hash || name->key_length != length || memcmp(name->key, key, length) != 0))
		name = name->chain;
	return name;
}

struct name *names_find(const struct names *names, const char *key, size_t length)
{
	return length <= KEY_MAX ? find(names, key, length, hash_of(names, key, length)) : NULL;
}

/* ---- the list by age ---- */

static void unlink_age(struct names *names, struct name *name)
{
	if (name->older)
		name->older->newer = name->newer;
	else
		names->oldest = name->newer;
	if (name->newer)
		name->newer->older = name->older;
	else
		names->newest = name->older;
	name->older = name->newer = NULL;
}

static void link_newest(struct names *names, struct name *name)
{
	name->older = names->newest;
	if (names->newest)
		names->newest->newer = name;
	else
		names->oldest = name;
	names->newest = name;
}

/* ---- coming and going ---- */

/* Without memory for more buckets the chains get longer. */
static void grow(struct names *names)
{
	uint32_t count = names->buckets_count * 2;
	struct name **buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return;
	free(names->buckets);
	names->buckets = buckets;
	names->buckets_count = count;
	for (struct name *name = names->oldest; name; name = name->newer) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whoever was forgotten is out of the list */
		struct name **bucket = bucket_of(names, name->hash);
		name->chain = *bucket;
		*bucket = name;
	}
}

static void forget(struct names *names, struct name *name)
{
	struct name **at = bucket_of(names, name->hash);
	while (*at != name)
		at = &(*at)->chain;
	*at = name->chain;
	unlink_age(names, name);
	names->counts[name->state]--;
	names->count--;
	free(name->value);
	free(name);
}

/* Whoever waits is passed over, and by that counts as newer: the walk is not made again and again. */
static bool make_room(struct names *names)
{
	for (uint32_t tried = 0; names->count >= names->limit; tried++) {
		struct name *name = names->oldest;
		if (!name || tried == names->count)
			return false;
		if (!name->waits) {
			forget(names, name);
			return true;
		}
		unlink_age(names, name);
		link_newest(names, name);
	}
	return true;
}

static struct name *add(struct names *names, const char *key, size_t length, uint64_t hash)
{
	if (names->queued >= names->limit || !make_room(names))
		return NULL;
	struct name *name = calloc(1, sizeof(*name) + length + 1);
	if (!name)
		return NULL;
	name->hash = hash;
	name->key_length = (uint8_t)length;
	memcpy(name->key, key, length);
	if (names->count >= names->buckets_count)
		grow(names);
	struct name **bucket = bucket_of(names, hash);
	name->chain = *bucket;
	*bucket = name;
	link_newest(names, name);
	names->count++;
	names->counts[NAME_UNKNOWN]++;
	return name;
}

struct name *names_ask(struct names *names, const char *key, size_t length)
{
	uint64_t hash = hash_of(names, key, length);
	struct name *name = find(names, key, length, hash);
	if (!name)
		return add(names, key, length, hash);
	unlink_age(names, name);
	link_newest(names, name);
	return name;
}

int names_set(struct names *names, struct name *name, enum name_state state, const char *value, size_t length,
	      int64_t as_of, int64_t checked)
{
	bool is_same = value && name->value && length == name->value_length && memcmp(value, name->value, length) == 0;
	char *copy = NULL;
	length = length > NAME_BYTES_MAX ? NAME_BYTES_MAX : length;
	if (value && !is_same) {
		copy = malloc(length + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, value, length);
		copy[length] = '\0';
	}
	if (!is_same) {
		free(name->value);
		name->value = copy;
		name->value_length = value ? (uint16_t)length : 0;
	}
	names->counts[name->state]--;
	names->counts[state]++;
	name->state = (uint8_t)state;
	name->as_of = as_of;
	name->checked = checked;
	return 0;
}

/* ---- the queue ---- */

void names_queue(struct names *names, struct name *name)
{
	if (name->waits)
		return;
	name->waits = true;
	name->behind = NULL;
	*names->queue_end = name;
	names->queue_end = &name->behind;
	names->queued++;
}

void names_queue_first(struct names *names, struct name *name)
{
	name->waits = true;
	name->behind = names->queue;
	names->queue = name;
	if (!name->behind)
		names->queue_end = &name->behind;
	names->queued++;
}

struct name *names_take(struct names *names)
{
	struct name *name = names->queue;
	if (!name)
		return NULL;
	names->queue = name->behind;
	if (!names->queue)
		names->queue_end = &names->queue;
	name->behind = NULL;
	names->queued--;
	return name;
}
