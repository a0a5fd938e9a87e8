/* SPDX-License-Identifier: MIT
 *
 * See keyed.h. Open addressing with linear probing, at most half full; the hash is its own place. A slot is the hash
 * and the value behind it; a hash of zeros marks one that is free. What is taken out leaves no mark: those behind it,
 * up to the next free slot, move up to where they are found. A sweep builds the table anew.
 */
#include "keyed.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

struct keyed_hash keyed_hash(const unsigned char secret[KEYED_SECRET_SIZE], const void *bytes, size_t length)
{
	struct keyed_hash hash;
	_Static_assert(sizeof(hash) == crypto_shorthash_siphashx24_BYTES, "a hash is what siphash gives");
	_Static_assert(KEYED_SECRET_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "and its key what it wants");
	crypto_shorthash_siphashx24((unsigned char *)&hash, bytes, length, secret);
	hash.parts[1] |= hash.parts[0] == 0 && hash.parts[1] == 0;
	return hash;
}

void keyed_secret(unsigned char secret[KEYED_SECRET_SIZE])
{
	randombytes_buf(secret, KEYED_SECRET_SIZE);
}

struct keyed_hash keyed_hash_on(const unsigned char secret[KEYED_SECRET_SIZE], struct keyed_hash so_far,
				const void *bytes, size_t length)
{
	struct keyed_hash link[2] = {so_far, keyed_hash(secret, bytes, length)};
	return keyed_hash(secret, link, sizeof(link));
}

void keyed_init(struct keyed *keyed, size_t value_size, uint32_t limit)
{
	*keyed = (struct keyed){.value_size = value_size, .limit = limit};
}

void keyed_release(struct keyed *keyed)
{
	free(keyed->slots);
	keyed->slots = NULL;
	keyed->size = keyed->count = 0;
}

static size_t slot_size(const struct keyed *keyed)
{
	return sizeof(struct keyed_hash) + keyed->value_size;
}

static unsigned char *slot_at(const struct keyed *keyed, uint64_t at)
{
	return keyed->slots + (at & (keyed->size - 1)) * slot_size(keyed);
}

static bool is_free(const unsigned char *slot)
{
	static const struct keyed_hash none;
	return memcmp(slot, &none, sizeof(none)) == 0;
}

/* The slot of the hash, or the free one where it belongs. */
static unsigned char *find(const struct keyed *keyed, struct keyed_hash hash)
{
	uint64_t at = hash.parts[0];
	unsigned char *slot = slot_at(keyed, at);
	while (!is_free(slot) && memcmp(slot, &hash, sizeof(hash)) != 0)
		slot = slot_at(keyed, ++at);
	return slot;
}

/* All but what is stale into a table of that size. False: no memory, nothing changed. */
static bool rebuild(struct keyed *keyed, uint32_t size, bool (*stale)(void *arg, void *value), void *arg)
{
	struct keyed anew = {.value_size = keyed->value_size, .limit = keyed->limit, .size = size};
	anew.slots = calloc(size, slot_size(keyed));
	if (!anew.slots)
		return false;
	for (uint32_t i = 0; i < keyed->size; i++) {
		unsigned char *slot = slot_at(keyed, i);
		if (is_free(slot) || (stale && stale(arg, slot + sizeof(struct keyed_hash))))
			continue;
		struct keyed_hash hash;
		memcpy(&hash, slot, sizeof(hash));
		memcpy(find(&anew, hash), slot, slot_size(keyed));
		anew.count++;
	}
	free(keyed->slots);
	*keyed = anew;
	return true;
}

void *keyed_put(struct keyed *keyed, struct keyed_hash hash, bool *ret_new)
{
	if (!keyed->size && !rebuild(keyed, FIRST_SIZE, /* stale */ NULL, /* arg */ NULL))
		return NULL;
	unsigned char *slot = find(keyed, hash);
	*ret_new = is_free(slot);
	if (!*ret_new)
		return slot + sizeof(hash);
	if (keyed->count == keyed->limit)
		return NULL;
	if ((keyed->count + 1) * 2 > keyed->size) {
		if (!rebuild(keyed, keyed->size * 2, /* stale */ NULL, /* arg */ NULL))
			return NULL;
		slot = find(keyed, hash);
	}
	memcpy(slot, &hash, sizeof(hash));
	keyed->count++;
	return slot + sizeof(hash);
}

void *keyed_find(const struct keyed *keyed, struct keyed_hash hash)
{
	unsigned char *slot = keyed->size ? find(keyed, hash) : NULL;
	return slot && !is_free(slot) ? slot + sizeof(hash) : NULL;
}

/* May what is in the slot `at` stay there when `hole` is free? It is looked for from its own place on. */
static bool stays(const struct keyed *keyed, uint64_t at, uint64_t hole)
{
	uint64_t own, mask = keyed->size - 1;
	memcpy(&own, slot_at(keyed, at), sizeof(own)); /* the first part of its hash */
	return ((at - own) & mask) < ((at - hole) & mask);
}

void keyed_remove(struct keyed *keyed, struct keyed_hash hash)
{
	unsigned char *slot = keyed->size ? find(keyed, hash) : NULL;
	if (!slot || is_free(slot))
		return;
	uint64_t hole = (uint64_t)(slot - keyed->slots) / slot_size(keyed);
	for (uint64_t at = hole + 1; !is_free(slot_at(keyed, at)); at++)
		if (!stays(keyed, at, hole)) {
			memcpy(slot_at(keyed, hole), slot_at(keyed, at), slot_size(keyed));
			hole = at;
		}
	memset(slot_at(keyed, hole), 0, slot_size(keyed));
	keyed->count--;
}

void keyed_sweep(struct keyed *keyed, bool (*stale)(void *arg, void *value), void *arg)
{
	if (keyed->size)
		rebuild(keyed, keyed->size, stale, arg);
}
