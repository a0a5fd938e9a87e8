/* SPDX-License-Identifier: MIT
 *
 * Errors of one kind, and the dead letters that have them: what table dlq_groups shows. A group lives as long as a
 * letter is in it, so there are never more than letters.
 */
#ifndef DLQ_GROUPS_H
#define DLQ_GROUPS_H

#include "callwatch/plugin.h"
#include "normalise.h"

enum { GROUP_STATES = 4, GROUP_BINS = 6, EXAMPLE_MAX = 256 };

struct group {
	struct group *chain; /* in its bucket */
	char name[GROUP_MAX];
	char example[EXAMPLE_MAX]; /* the error that founded it */
	uint32_t example_length;
	uint64_t letters;              /* rows */
	uint64_t counts[GROUP_STATES]; /* messages, copies counted */
	int64_t first_seen, last_seen; /* wall time */
	int64_t bin;                   /* the last 60 s in bins of 10 s: which is the newest, … */
	uint32_t bins[GROUP_BINS];     /* … and what arrived in each */
};

struct groups {
	struct group **buckets;
	uint32_t room, count; /* room is a power of two */
	unsigned char hash_key[16];
};

enum groups_column {
	GROUPS_NAME,
	GROUPS_EXAMPLE,
	GROUPS_COUNT,
	GROUPS_SHARE,
	GROUPS_WAITING,
	GROUPS_OVERDUE,
	GROUPS_FAILED,
	GROUPS_FIRST_SEEN,
	GROUPS_LAST_SEEN,
	GROUPS_PER_MINUTE,
	GROUPS_COLUMNS
};

int groups_init(struct groups *groups, const unsigned char hash_key[16]);
void groups_release(struct groups *groups);
/* The group of this name, with one letter more; NULL: no memory. */
struct group *groups_join(struct groups *groups, const char *name, const char *error, size_t length);
void groups_leave(struct groups *groups, struct group *group); /* NULL is fine; freed with its last letter */
/* Messages came (or, less than 0, went or changed) in this state. */
void group_count(struct group *group, uint32_t state, int64_t messages);
void group_arrived(struct group *group, int64_t wall, uint32_t messages);
/* Writes all of them into the table; those that ended are removed. */
void groups_show(struct groups *groups, const struct cw_host *host, struct cw_part *part, int64_t wall);

#endif
