/* SPDX-License-Identifier: MIT
 *
 * The spool of an output: a queue on disk for what the output does not take. Batches come out in the order in which
 * they went in, also in the next life of the process. Private to the core.
 *
 * A folder of segment files, `<state_dir>/spool/<output>/`, used by one spool at a time: a lock on the folder sees to
 * it, so that an abandoned thread and its successor cannot meet there. A segment is appended to until it is full, read
 * from its beginning, and removed when it has been sent; its head says how far it has (spool_format.h).
 *
 * What it promises. A batch that spool_append() took is given until it is settled as sent: kill -9 loses none, and
 * gives at most one twice, the one that was in flight. Nothing is synced to the disk, so after a power cut what the
 * kernel had not written yet is missing; that and any other damage is noticed, counted and said, and what is whole
 * around it is still given. No append makes the files larger than the limit together: if it would, the oldest segments
 * go first, counted. (A limit that was made smaller drops nothing before that: it may all be sent soon.)
 *
 * All here is disk I/O and may take as long as the disk does: only the output's own thread comes here.
 *
 * The books of an output's spools, over all their lives in this process, at every moment:
 *
 *     restored + taken = held + settled as sent + dropped_full + dropped_corrupt
 */
#ifndef CALLWATCH_CORE_SPOOL_H
#define CALLWATCH_CORE_SPOOL_H

#include "callwatch/plugin.h"

struct spool;

enum { SPOOL_LIMIT_MIN = 1024 * 1024 };

struct spool_counts {
	uint64_t restored; /* samples found in the folder that this process did not put there */
	uint64_t taken;    /* samples appended */
	uint64_t held;     /* samples now in it, the batch in flight included */
	uint64_t dropped_full, dropped_corrupt;
	uint64_t bytes, limit; /* of its files; limit 0: the output has no spool */
	int64_t oldest;        /* wall time of the oldest sample, 0: empty or not known */
};

struct spool_options {
	const char *state_dir, *name;
	uint64_t limit_bytes;
	struct spool_counts before; /* of the output's spools so far: the books go on, and `held` should be found */
	/* Called for what the result codes cannot say: damage, and what was lost by it. */
	void (*say)(void *arg, enum cw_level level, const char *sentence);
	void *arg;
};

/* Makes the folder if it is not there. -EBUSY: another spool has it; or the file system's word. */
int spool_open(const struct spool_options *options, struct spool **ret_spool);
void spool_close(struct spool *spool); /* what it holds stays on disk; NULL is fine */

const struct spool_counts *spool_counts(const struct spool *spool);
bool spool_is_empty(const struct spool *spool);

/* Borrows the batches, n at least 1; those that were taken are on disk (in the kernel's hands) when it returns. 0: all;
 * else the file system's word, and the first *ret_taken were taken. One that is larger than half the limit is taken and
 * dropped. */
int spool_append(struct spool *spool, const struct cw_batch *const *batches, uint32_t n, uint32_t *ret_taken);

/* The oldest batch, now in flight, the spool's until it is settled. NULL with 0: it is empty; with -EAGAIN: a damaged
 * segment was passed, ask again; with another code: it cannot be read now, and a later try may help (if it is the disk
 * that cannot, the place is given up as damaged at the third). */
int spool_peek(struct spool *spool, const struct cw_batch **ret_batch);
/* Sent: it leaves. Else it stays the oldest, unless the limit has taken its place meanwhile. False: none was in flight.
 */
bool spool_settle(struct spool *spool, bool sent);
/* Finds out counts.oldest. */
void spool_look(struct spool *spool);

#endif
