/* SPDX-License-Identifier: MIT
 *
 * An output and its spool: when samples go to the disk, and what becomes of them if it does not take them. Private to
 * the instance.
 *
 *     router ─▶ queue ─────────────────────▶ write()     the output takes what comes: nothing touches the disk
 *                 └──▶ spool ──▶ (in order) ─▶ write()   it failed, hangs, or is not there: all goes through the disk
 *
 * From the moment at which a batch is not taken (write() failed, or has not ended for half a second, or the plugin is
 * not started) until the spool is empty again, batches go through the spool, so that order is kept and nothing that is
 * not sent exists in memory only, but for about a second. The batch in flight goes there too: it is the spool's oldest
 * then, and leaves when write() says so. When the instance ends, what is left goes to the disk.
 *
 * If the disk does not take it (full, read-only, gone), that is said in the instance's state, the queue in memory
 * bounds and counts as it does without a spool, and the disk is tried again after a pause.
 */
#ifndef CALLWATCH_CORE_SPOOLING_H
#define CALLWATCH_CORE_SPOOLING_H

#include "backoff.h"
#include "callwatch/metric.h"

struct instance;
struct spool;

/* Why the disk is not asked for a while. */
struct disk_trouble {
	int code;         /* 0: there is none */
	int64_t next_try; /* instant */
	struct backoff backoff;
};

/* Own thread. */
struct spooling {
	uint64_t limit_bytes;                 /* 0: no spool is configured */
	struct spool *spool;                  /* NULL: it could not be opened */
	bool flies;                           /* the batch in flight is the spool's oldest */
	bool ending;                          /* what is left has to go to the disk */
	struct disk_trouble writing, reading; /* to open the spool counts as writing */
};

void spooling_start(struct instance *self); /* before the plugin's first start() */
void spooling_pump(struct instance *self);  /* to the disk with what belongs there */
/* Batches have to come from the spool, because it has some. */
bool spooling_holds(const struct instance *self);
/* The oldest batch of the spool, in flight until it is settled; NULL: none now, and the pump is woken if that is only
 * because damage had to be passed. */
const struct cw_batch *spooling_peek(struct instance *self);
void spooling_settle(struct instance *self, bool sent);
void spooling_beat(struct instance *self); /* each second */
void spooling_stop(struct instance *self); /* at the thread's end: all that is left to the disk */
/* What is wrong with the spool, in words for people; "" if nothing is. */
void spooling_words(const struct instance *self, char *text, size_t size);

#endif
