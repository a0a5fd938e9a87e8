/* SPDX-License-Identifier: MIT
 *
 * What is known about keys: names, and keys that have none, each with its age; and which of them wait to be looked up.
 * A bounded store: when it is full, who has not been asked for longest goes, unless it waits. Pure; one thread.
 */
#ifndef POSTGRES_LOOKUP_NAMES_H
#define POSTGRES_LOOKUP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_MAX = 255, NAME_BYTES_MAX = 3072, NAMES_HASH_KEY_BYTES = 16 };

enum name_state {
	NAME_UNKNOWN,   /* never answered */
	NAME_KNOWN,     /* `value` */
	NAME_ABSENT,    /* the server has no such key, or no name for it */
	NAME_UNREADABLE /* asking for it is an error */
};
enum { NAME_STATES = 4 };

/* In the query under way: for who asks. */
enum name_asked { NAME_NOT_ASKED, NAME_ASKED, NAME_ANSWERED };

struct name {
	struct name *chain;         /* in its bucket */
	struct name *older, *newer; /* by when it was last asked for */
	struct name *behind;        /* in the queue */
	uint64_t hash;
	int64_t as_of;   /* wall time at which the server said so */
	int64_t checked; /* the same, or of the error, as an instant */
	char *value;
	uint16_t value_length;
	uint8_t state, key_length;
	bool waits;    /* in the queue, or taken from it to be asked for: it stays */
	uint8_t asked; /* enum name_asked */
	char key[];
};

struct names {
	struct name **buckets;
	uint32_t buckets_count, count, limit;
	struct name *oldest, *newest;
	struct name *queue, **queue_end;
	uint32_t queued;
	uint32_t counts[NAME_STATES];
	uint8_t hash_key[NAMES_HASH_KEY_BYTES];
};

int names_init(struct names *names, uint32_t limit, const uint8_t hash_key[NAMES_HASH_KEY_BYTES]); /* -ENOMEM */
void names_release(struct names *names); /* a zeroed one is fine */

struct name *names_find(const struct names *names, const char *key, size_t length);
/* Finds or adds, and counts as asked for now. NULL: no memory, or full of those that wait. length 1 … KEY_MAX. */
struct name *names_ask(struct names *names, const char *key, size_t length);
/* `value` NULL unless the state is NAME_KNOWN; cut at NAME_BYTES_MAX. -ENOMEM: unchanged. */
int names_set(struct names *names, struct name *name, enum name_state state, const char *value, size_t length,
	      int64_t as_of, int64_t checked);

/* The queue. One that waits already is not added again. */
void names_queue(struct names *names, struct name *name);
void names_queue_first(struct names *names, struct name *name); /* was taken, and waits again */
struct name *names_take(struct names *names);                   /* the first; it still `waits`. NULL: none */

#endif
