/* SPDX-License-Identifier: MIT
 *
 * See dict.h. A number is an index into an array of entries kept in chunks; a free number's pointer holds the next free
 * one, with its lowest bit set.
 */
#include "dict.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024 };

struct dict_entry {
	uint32_t references;
	uint32_t hash;
	uint16_t length;
	char text[];
};

void dict_init(struct dict *dict, const uint8_t *hash_key)
{
	*dict = (struct dict){.hash_key = hash_key};
}

static struct dict_entry **at(const struct dict *dict, uint32_t number)
{
	return &dict->chunks[number / CHUNK][number % CHUNK];
}

static bool is_free(const struct dict_entry *entry)
{
	return (uintptr_t)entry & 1;
}

void dict_release(struct dict *dict)
{
	for (uint32_t i = 0; i < dict->count; i++)
		if (!is_free(*at(dict, i)))
			free(*at(dict, i));
	for (uint32_t i = 0; i < dict->chunks_count; i++)
		free(dict->chunks[i]);
	free(dict->chunks);
	index_release(&dict->index);
	dict_init(dict, dict->hash_key);
}

struct wanted {
	const struct dict *dict;
	const char *text;
	size_t length;
};

static bool is_wanted(void *arg, uint32_t number)
{
	const struct wanted *wanted = arg;
	const struct dict_entry *entry = *at(wanted->dict, number);
	return entry->length == wanted->length && memcmp(entry->text, wanted->text, wanted->length) == 0;
}

static int add_chunk(struct dict *dict)
{
	if (dict->chunks_count == dict->chunks_room) {
		uint32_t room = dict->chunks_room ? 2 * dict->chunks_room : 4;
		struct dict_entry ***chunks = realloc(dict->chunks, room * sizeof(struct dict_entry **));
		if (!chunks)
			return -ENOMEM;
		dict->chunks = chunks;
		dict->chunks_room = room;
	}
	struct dict_entry **chunk = malloc(CHUNK * sizeof(struct dict_entry *));
	if (!chunk)
		return -ENOMEM;
	dict->chunks[dict->chunks_count++] = chunk;
	return 0;
}

/* A number that is free, not taken yet: the caller puts an entry there and then calls take_number(). */
static int64_t free_number(struct dict *dict)
{
	if (dict->free)
		return dict->free - 1;
	if (dict->count == dict->chunks_count * CHUNK && add_chunk(dict) < 0)
		return -ENOMEM;
	return dict->count;
}

static void take_number(struct dict *dict, uint32_t number, struct dict_entry *entry)
{
	if (number == dict->count)
		dict->count++;
	else
		dict->free = (uint32_t)((uintptr_t)*at(dict, number) >> 1);
	*at(dict, number) = entry;
}

static int64_t add_new(struct dict *dict, uint32_t hash, const char *text, size_t length)
{
	int64_t number = free_number(dict);
	struct dict_entry *entry = number < 0 ? NULL : malloc(sizeof(*entry) + length);
	if (!entry)
		return -ENOMEM;
	*entry = (struct dict_entry){.references = 1, .hash = hash, .length = (uint16_t)length};
	memcpy(entry->text, text, length);
	if (index_add(&dict->index, hash, (uint32_t)number) < 0) {
		free(entry);
		return -ENOMEM;
	}
	take_number(dict, (uint32_t)number, entry);
	return number;
}

int64_t dict_add(struct dict *dict, const char *text, size_t length)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text, length, dict->hash_key);
	struct wanted wanted = {.dict = dict, .text = text, .length = length};
	int64_t number = index_find(&dict->index, (uint32_t)hash, is_wanted, &wanted);
	if (number < 0)
		return add_new(dict, (uint32_t)hash, text, length);
	dict_ref(dict, (uint32_t)number);
	return number;
}

void dict_ref(struct dict *dict, uint32_t number)
{
	(*at(dict, number))->references++;
}

void dict_unref(struct dict *dict, uint32_t number)
{
	struct dict_entry *entry = *at(dict, number);
	if (--entry->references > 0)
		return;
	index_remove(&dict->index, entry->hash, number);
	free(entry);
	*at(dict, number) = (struct dict_entry *)((uintptr_t)dict->free << 1 | 1); /* NOLINT: a tagged number */
	dict->free = number + 1;
}

const char *dict_text(const struct dict *dict, uint32_t number, uint32_t *ret_length)
{
	const struct dict_entry *entry = *at(dict, number);
	*ret_length = entry->length;
	return entry->text;
}

uint32_t dict_texts(const struct dict *dict)
{
	return dict->index.now.used + dict->index.before.used;
}
