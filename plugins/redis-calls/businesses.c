/* SPDX-License-Identifier: MIT
 *
 * See businesses.h: a hash table of chained names, and for each row a pointer to its name.
 */
#include "businesses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct business {
	struct business *next;
	uint64_t hash, calls;
	char name[];
};

struct businesses {
	struct business *buckets[BUCKETS];
	struct business **of_row;
	uint32_t room, count;
};

struct businesses *businesses_new(void)
{
	return calloc(1, sizeof(struct businesses));
}

void businesses_free(struct businesses *businesses)
{
	for (uint32_t i = 0; businesses && i < BUCKETS; i++)
		for (struct business *b = businesses->buckets[i], *next; b; b = next) {
			next = b->next;
			free(b);
		}
	if (businesses)
		free(businesses->of_row);
	free(businesses);
}

static int reserve(struct businesses *businesses, uint32_t row)
{
	if (row < businesses->room)
		return 0;
	uint32_t room = row + row / 2 + 64;
	struct business **of_row = realloc(businesses->of_row, room * sizeof(*of_row));
	if (!of_row)
		return -ENOMEM;
	memset(of_row + businesses->room, 0, (room - businesses->room) * sizeof(*of_row));
	businesses->of_row = of_row;
	businesses->room = room;
	return 0;
}

static struct business *find_or_add(struct businesses *businesses, const char *name, size_t length, uint64_t hash)
{
	struct business **bucket = &businesses->buckets[hash % BUCKETS];
	for (struct business *b = *bucket; b; b = b->next)
		if (b->hash == hash && strlen(b->name) == length && memcmp(b->name, name, length) == 0)
			return b;
	struct business *b = malloc(sizeof(*b) + length + 1);
	if (!b)
		return NULL;
	*b = (struct business){.next = *bucket, .hash = hash};
	memcpy(b->name, name, length);
	b->name[length] = '\0';
	*bucket = b;
	businesses->count++;
	return b;
}

static void leave(struct businesses *businesses, struct business *business)
{
	if (!business || --business->calls > 0)
		return;
	struct business **at = &businesses->buckets[business->hash % BUCKETS];
	while (*at != business)
		at = &(*at)->next;
	*at = business->next;
	businesses->count--;
	free(business);
}

int businesses_set(struct businesses *businesses, uint32_t row, const char *name, size_t length, uint64_t hash)
{
	struct business *now = NULL;
	if (reserve(businesses, row) < 0)
		return -ENOMEM;
	length = name ? strnlen(name, length) : 0; /* a NUL inside ends the name */
	if (name && !(now = find_or_add(businesses, name, length, hash)))
		return -ENOMEM;
	if (now)
		now->calls++;
	leave(businesses, businesses->of_row[row]);
	businesses->of_row[row] = now;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct business *a = *(struct business *const *)left, *b = *(struct business *const *)right;
	if (a->calls != b->calls)
		return a->calls < b->calls ? 1 : -1;
	return strcmp(a->name, b->name);
}

void businesses_top(const struct businesses *businesses, uint32_t top, uint64_t total,
		    void (*business)(void *arg, const char *name, uint64_t calls), void *arg)
{
	struct business **all = malloc((businesses->count + 1) * sizeof(struct business *));
	uint32_t n = 0;
	if (!all)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct business *b = businesses->buckets[i]; b; b = b->next)
			all[n++] = b;
	qsort(all, n, sizeof(struct business *), compare);
	for (uint32_t i = 0; i < n && i < top; i++) {
		business(arg, all[i]->name, all[i]->calls);
		total -= all[i]->calls < total ? all[i]->calls : total;
	}
	business(arg, /* name */ NULL, total);
	free(all);
}
