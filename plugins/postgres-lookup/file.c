/* SPDX-License-Identifier: MIT
 *
 * See file.h.
 */
#include "file.h"

#include "keep.h"
#include "text.h"

#include <errno.h>
#include <sodium/crypto_generichash.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + FILE_FOR_BYTES + 4, RECORD_BYTES = 11, CHECK_BYTES = 16 };

static const char magic[MAGIC_BYTES] = {'c', 'w', 'n', 'a', 'm', 'e', 's', '1'};
static const char name_of_file[] = "names";

static void put(uint8_t **at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*at)++ = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t **at, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t) * (*at)++ << 8 * i;
	return value;
}

/* ---- bytes ---- */

static size_t record_bytes(const struct name *name)
{
	return name->state == NAME_KNOWN ? RECORD_BYTES + (size_t)name->key_length + name->value_length : 0;
}

static void put_record(uint8_t **at, const struct name *name)
{
	put(at, (uint64_t)name->as_of, 8);
	put(at, name->key_length, 1);
	put(at, name->value_length, 2);
	memcpy(*at, name->key, name->key_length);
	memcpy(*at + name->key_length, name->value, name->value_length);
	*at += name->key_length + name->value_length;
}

uint8_t *file_make(const uint8_t made_for[FILE_FOR_BYTES], const struct names *names, size_t *ret_length)
{
	size_t length = HEAD_BYTES;
	for (const struct name *name = names->oldest; name; name = name->newer)
		length += record_bytes(name);
	uint8_t *bytes = malloc(length + CHECK_BYTES), *at = bytes;
	if (!bytes)
		return NULL;
	memcpy(at, magic, MAGIC_BYTES);
	memcpy(at + MAGIC_BYTES, made_for, FILE_FOR_BYTES);
	at += MAGIC_BYTES + FILE_FOR_BYTES;
	put(&at, names->counts[NAME_KNOWN], 4);
	for (const struct name *name = names->oldest; name; name = name->newer)
		if (name->state == NAME_KNOWN)
			put_record(&at, name);
	crypto_generichash(at, CHECK_BYTES, bytes, length, /* key */ NULL, 0);
	*ret_length = length + CHECK_BYTES;
	return bytes;
}

/* How long ago the server said so; a wall clock that went back makes nothing younger than now. */
static int64_t checked_at(int64_t as_of, int64_t now, int64_t wall)
{
	return as_of >= wall ? now : now - (wall - as_of);
}

/* One record; moves behind it. False: it is none. */
static bool take_record(const uint8_t **at, const uint8_t *end, struct names *names, int64_t now, int64_t wall)
{
	if (end - *at < RECORD_BYTES)
		return false;
	int64_t as_of = (int64_t)get(at, 8);
	size_t key_length = (size_t)get(at, 1), value_length = (size_t)get(at, 2);
	if (key_length == 0 || value_length > NAME_BYTES_MAX || (size_t)(end - *at) < key_length + value_length)
		return false;
	const char *key = (const char *)*at, *value = key + key_length;
	*at += key_length + value_length;
	if (memchr(key, 0, key_length + value_length) || !text_is_utf8(value, value_length) || as_of < 0)
		return false;
	struct name *name = names_ask(names, key, key_length);
	if (name) /* else there is no room, or no memory: it will be asked for */
		names_set(names, name, NAME_KNOWN, value, value_length, as_of, checked_at(as_of, now, wall));
	return true;
}

int64_t file_parse(const uint8_t *bytes, size_t length, const uint8_t made_for[FILE_FOR_BYTES], struct names *names,
		   int64_t now, int64_t wall)
{
	uint8_t check[CHECK_BYTES];
	if (length < HEAD_BYTES + CHECK_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0)
		return -EBADMSG;
	const uint8_t *end = bytes + length - CHECK_BYTES, *at = bytes + MAGIC_BYTES + FILE_FOR_BYTES;
	crypto_generichash(check, CHECK_BYTES, bytes, length - CHECK_BYTES, /* key */ NULL, 0);
	if (memcmp(check, end, CHECK_BYTES) != 0)
		return -EBADMSG;
	if (memcmp(bytes + MAGIC_BYTES, made_for, FILE_FOR_BYTES) != 0)
		return -ESTALE;
	uint32_t count = (uint32_t)get(&at, 4);
	for (uint32_t i = 0; i < count; i++)
		if (!take_record(&at, end, names, now, wall))
			return -EBADMSG;
	return at == end ? (int64_t)count : -EBADMSG;
}

/* ---- the file ---- */

int64_t file_read(const char *folder, const uint8_t made_for[FILE_FOR_BYTES], struct names *names, int64_t now,
		  int64_t wall)
{
	uint8_t *bytes = NULL;
	size_t length = 0;
	int64_t status = keep_read(folder, name_of_file, FILE_BYTES_MAX, &bytes, &length);
	if (status == 0)
		status = file_parse(bytes, length, made_for, names, now, wall);
	free(bytes);
	return status;
}

int file_write(const char *folder, const uint8_t made_for[FILE_FOR_BYTES], const struct names *names)
{
	size_t length = 0;
	uint8_t *bytes = file_make(made_for, names, &length);
	int status = bytes ? keep_write(folder, name_of_file, bytes, length, /* lasting */ false) : -ENOMEM;
	free(bytes);
	return status;
}
