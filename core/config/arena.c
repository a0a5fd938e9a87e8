/* SPDX-License-Identifier: MIT
 *
 * See arena.h. A list of chunks; a piece larger than a chunk gets one of its own.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16384 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	alignas(max_align_t) unsigned char bytes[];
};

struct arena {
	struct chunk *chunks;
};

static void *must(void *memory)
{
	if (!memory) {
		fputs("callwatch: out of memory while reading the configuration\n", stderr);
		abort();
	}
	return memory;
}

struct arena *arena_new(void)
{
	return must(calloc(1, sizeof(struct arena)));
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		explicit_bzero(chunk->bytes, chunk->used);
		free(chunk);
	}
	free(arena);
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct chunk *chunk = arena->chunks;
	if (!chunk || chunk->size - chunk->used < rounded) {
		size_t room = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
		chunk = must(calloc(1, sizeof(*chunk) + room));
		chunk->size = room;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	void *piece = chunk->bytes + chunk->used;
	chunk->used += rounded;
	return piece;
}

char *arena_text(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	memcpy(copy, text, length);
	return copy;
}
