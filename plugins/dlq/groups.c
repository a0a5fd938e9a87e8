/* SPDX-License-Identifier: MIT
 *
 * See groups.h. A chained hash by the group's name, with a keyed hash, for the names come from strangers. The table is
 * written as a whole at each reading: every share changes with every letter, and groups are few by their purpose.
 */
#include "groups.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };
static const int64_t bin_length = 10 * CW_SECOND;

int groups_init(struct groups *groups, const unsigned char hash_key[16])
{
	*groups = (struct groups){.buckets = calloc(FIRST_ROOM, sizeof(struct group *)), .room = FIRST_ROOM};
	memcpy(groups->hash_key, hash_key, sizeof(groups->hash_key));
	return groups->buckets ? 0 : -ENOMEM;
}

void groups_release(struct groups *groups)
{
	for (uint32_t i = 0; i < groups->room; i++)
		for (struct group *group = groups->buckets[i], *next; group; group = next) {
			next = group->chain;
			free(group);
		}
	free(groups->buckets);
	*groups = (struct groups){0};
}

static uint32_t bucket_of(const struct groups *groups, const char *name)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, strlen(name), groups->hash_key);
	return (uint32_t)hash & (groups->room - 1);
}

/* Without memory it stays as it is, only slower. */
static void grow(struct groups *groups)
{
	struct groups larger = *groups;
	larger.room *= 2;
	larger.buckets = calloc(larger.room, sizeof(struct group *));
	if (!larger.buckets)
		return;
	for (uint32_t i = 0; i < groups->room; i++)
		for (struct group *group = groups->buckets[i], *next; group; group = next) {
			next = group->chain;
			uint32_t bucket = bucket_of(&larger, group->name);
			group->chain = larger.buckets[bucket];
			larger.buckets[bucket] = group;
		}
	free(groups->buckets);
	*groups = larger;
}

static struct group *add(struct groups *groups, const char *name, const char *error, size_t length)
{
	struct group *group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	if (groups->count >= groups->room)
		grow(groups);
	uint32_t bucket = bucket_of(groups, name);
	memcpy(group->name, name, strnlen(name, GROUP_MAX - 1));
	group->example_length = length < EXAMPLE_MAX ? (uint32_t)length : EXAMPLE_MAX;
	if (length)
		memcpy(group->example, error, group->example_length);
	group->chain = groups->buckets[bucket];
	groups->buckets[bucket] = group;
	groups->count++;
	return group;
}

struct group *groups_join(struct groups *groups, const char *name, const char *error, size_t length)
{
	struct group *group = groups->buckets[bucket_of(groups, name)];
	while (group && strcmp(group->name, name) != 0)
		group = group->chain;
	if (!group)
		group = add(groups, name, error, length);
	if (group)
		group->letters++;
	return group;
}

void groups_leave(struct groups *groups, struct group *group)
{
	if (!group || --group->letters > 0)
		return;
	struct group **at = &groups->buckets[bucket_of(groups, group->name)];
	while (*at != group)
		at = &(*at)->chain;
	*at = group->chain;
	groups->count--;
	free(group);
}

void group_count(struct group *group, uint32_t state, int64_t messages)
{
	if (group)
		group->counts[state] += (uint64_t)messages;
}

/* Bins that time has passed over are emptied. */
static void turn(struct group *group, int64_t wall)
{
	int64_t bin = wall / bin_length, passed = bin - group->bin;
	if (passed <= 0)
		return;
	for (int64_t i = 1; i <= passed && i <= GROUP_BINS; i++)
		group->bins[(group->bin + i) % GROUP_BINS] = 0;
	group->bin = bin;
}

void group_arrived(struct group *group, int64_t wall, uint32_t messages)
{
	if (!group)
		return;
	turn(group, wall);
	group->bins[group->bin % GROUP_BINS] += messages;
}

/* ---- the table ---- */

static uint64_t messages_of(const struct group *group)
{
	uint64_t count = 0;
	for (int i = 0; i < GROUP_STATES; i++)
		count += group->counts[i];
	return count;
}

static void show(const struct cw_host *host, struct cw_part *part, struct group *group, uint64_t all)
{
	uint32_t per_minute = 0;
	uint64_t count = messages_of(group);
	for (int i = 0; i < GROUP_BINS; i++)
		per_minute += group->bins[i];
	struct cw_cell cells[GROUPS_COLUMNS] = {
		[GROUPS_NAME] = cw_text_cell(group->name, strlen(group->name)),
		[GROUPS_EXAMPLE] = cw_text_cell(group->example, group->example_length),
		[GROUPS_COUNT] = cw_integer_cell((int64_t)count),
		[GROUPS_SHARE] = {.type = CW_CELL_REAL, .real = all ? (double)count / (double)all : 0},
		[GROUPS_WAITING] = cw_integer_cell((int64_t)group->counts[0]),
		[GROUPS_OVERDUE] = cw_integer_cell((int64_t)group->counts[1]),
		[GROUPS_FAILED] = cw_integer_cell((int64_t)group->counts[2]),
		[GROUPS_FIRST_SEEN] = cw_integer_cell(group->first_seen),
		[GROUPS_LAST_SEEN] = cw_integer_cell(group->last_seen),
		[GROUPS_PER_MINUTE] = cw_integer_cell(per_minute),
	};
	host->row_put(part, cells);
}

void groups_show(struct groups *groups, const struct cw_host *host, struct cw_part *part, int64_t wall)
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < groups->room; i++)
		for (struct group *group = groups->buckets[i]; group; group = group->chain)
			all += messages_of(group);
	host->full_begin(part);
	for (uint32_t i = 0; i < groups->room; i++)
		for (struct group *group = groups->buckets[i]; group; group = group->chain) {
			turn(group, wall);
			show(host, part, group, all);
		}
	host->full_end(part, /* missing */ NULL, /* arg */ NULL);
}
