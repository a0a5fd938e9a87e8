/* SPDX-License-Identifier: MIT
 *
 * See businesses.h: a hash table of chained ids that doubles, for each row a pointer to its business, and lists through
 * the businesses. So whatever happens to a call costs the same however many there are.
 */
#include "businesses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_LEAST = 256 };

struct businesses *businesses_new(void)
{
	struct businesses *businesses = calloc(1, sizeof(*businesses));
	struct business **buckets = calloc(BUCKETS_LEAST, sizeof(struct business *));
	if (!businesses || !buckets) {
		free(businesses);
		free(buckets);
		return NULL;
	}
	businesses->buckets = buckets;
	businesses->buckets_count = BUCKETS_LEAST;
	return businesses;
}

static void free_one(struct business *business)
{
	free(business->name);
	free(business);
}

void businesses_free(struct businesses *businesses)
{
	if (!businesses)
		return;
	for (uint32_t i = 0; i < businesses->buckets_count; i++)
		for (struct business *b = businesses->buckets[i], *next; b; b = next) {
			next = b->chain;
			free_one(b);
		}
	free(businesses->buckets);
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

/* ---- lists ---- */

static void unlink_one(struct businesses *businesses, struct business *business)
{
	if (business->before)
		business->before->behind = business->behind;
	else
		businesses->first[business->list] = business->behind;
	if (business->behind)
		business->behind->before = business->before;
	else
		businesses->last[business->list] = business->before;
}

static void link_last(struct businesses *businesses, struct business *business, enum business_list list)
{
	business->list = (uint8_t)list;
	business->behind = NULL;
	business->before = businesses->last[list];
	if (business->before)
		business->before->behind = business;
	else
		businesses->first[list] = business;
	businesses->last[list] = business;
}

void businesses_move(struct businesses *businesses, struct business *business, enum business_list list, int64_t now)
{
	unlink_one(businesses, business);
	link_last(businesses, business, list);
	business->since = now;
}

/* ---- coming and going ---- */

static struct business **bucket_of(const struct businesses *businesses, uint64_t hash)
{
	return &businesses->buckets[hash & (businesses->buckets_count - 1)];
}

/* Without memory the chains get longer. */
static void grow(struct businesses *businesses)
{
	uint32_t before = businesses->buckets_count;
	struct business **old = businesses->buckets, **buckets = calloc(2 * (size_t)before, sizeof(*buckets));
	if (!buckets)
		return;
	businesses->buckets = buckets;
	businesses->buckets_count = 2 * before;
	for (uint32_t i = 0; i < before; i++)
		for (struct business *b = old[i], *next; b; b = next) {
			struct business **bucket = bucket_of(businesses, b->hash);
			next = b->chain;
			b->chain = *bucket;
			*bucket = b;
		}
	free(old);
}

struct business *businesses_find(const struct businesses *businesses, const char *id, size_t length, uint64_t hash)
{
	struct business *b = *bucket_of(businesses, hash);
	while (b && (b->hash != hash || strlen(b->id) != length || memcmp(b->id, id, length) != 0))
		b = b->chain;
	return b;
}

static struct business *find_or_add(struct businesses *businesses, const char *id, size_t length, uint64_t hash,
				    bool is_label)
{
	struct business *b = businesses_find(businesses, id, length, hash);
	if (b)
		return b;
	b = malloc(sizeof(*b) + length + 1);
	if (!b)
		return NULL;
	*b = (struct business){.hash = hash, .is_label = is_label};
	memcpy(b->id, id, length);
	b->id[length] = '\0';
	if (businesses->count >= businesses->buckets_count)
		grow(businesses);
	struct business **bucket = bucket_of(businesses, hash);
	b->chain = *bucket;
	*bucket = b;
	link_last(businesses, b, TO_ASK);
	businesses->count++;
	return b;
}

static void leave(struct businesses *businesses, struct business *business)
{
	if (!business || --business->calls > 0)
		return;
	struct business **at = bucket_of(businesses, business->hash);
	while (*at != business)
		at = &(*at)->chain;
	*at = business->chain;
	unlink_one(businesses, business);
	businesses->count--;
	free_one(business);
}

int businesses_set(struct businesses *businesses, uint32_t row, const char *id, size_t length, uint64_t hash,
		   bool is_label)
{
	struct business *now = NULL;
	if (reserve(businesses, row) < 0)
		return -ENOMEM;
	length = id ? strnlen(id, length) : 0; /* a NUL inside ends the id */
	if (id && !(now = find_or_add(businesses, id, length, hash, is_label)))
		return -ENOMEM;
	if (now)
		now->calls++;
	leave(businesses, businesses->of_row[row]);
	businesses->of_row[row] = now;
	return 0;
}

/* ---- those with most calls ---- */

static int compare(const void *left, const void *right)
{
	const struct business *a = *(struct business *const *)left, *b = *(struct business *const *)right;
	if (a->calls != b->calls)
		return a->calls < b->calls ? 1 : -1;
	return strcmp(a->id, b->id);
}

void businesses_top(const struct businesses *businesses, uint32_t top, uint64_t total,
		    void (*business)(void *arg, const char *id, uint64_t calls), void *arg)
{
	struct business **all = malloc((businesses->count + 1) * sizeof(struct business *));
	uint32_t n = 0;
	if (!all)
		return;
	for (uint32_t i = 0; i < businesses->buckets_count; i++)
		for (struct business *b = businesses->buckets[i]; b; b = b->chain)
			if (b->is_label)
				all[n++] = b;
	qsort(all, n, sizeof(struct business *), compare);
	for (uint32_t i = 0; i < n && i < top; i++) {
		business(arg, all[i]->id, all[i]->calls);
		total -= all[i]->calls < total ? all[i]->calls : total;
	}
	business(arg, /* id */ NULL, total);
	free(all);
}
