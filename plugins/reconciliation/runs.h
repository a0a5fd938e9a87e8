/* SPDX-License-Identifier: MIT
 *
 * The runs that we know, kept by us: who asked for one, what became of it. A bounded list, the one with the latest news
 * first; when it is full, the oldest that nobody waits for goes. And its bytes on disk, by which it outlives the
 * process. No table and no loop here; recon.h has those.
 */
#ifndef RECONCILIATION_RUNS_H
#define RECONCILIATION_RUNS_H

#include "report.h"

#include <stdbool.h>
#include <stddef.h>

enum { RUN_ID_SIZE = 96, RUN_BY_SIZE = 64, RUNS_KEEP_MAX = 1000 };

enum run_origin { RUN_REQUESTED, RUN_OBSERVED, RUN_ORIGINS };
extern const char *const run_origin_names[RUN_ORIGINS + 1];

struct run {
	char id[RUN_ID_SIZE];
	char task_id[RUN_ID_SIZE]; /* "": not known */
	char by[RUN_BY_SIZE];      /* who asked for it; "": not known */
	enum run_origin origin;
	enum run_status status;
	int64_t requested_at, started_at, finished_at; /* wall time; 0: not known */
	int64_t updated_at;                            /* wall time of the last news */
	int64_t reported_at;                           /* mode http: the last_run_at that is this run's; 0: none yet */
	int64_t missing, queued;
	char error[RUN_ERROR_MAX];

	/* Not on disk. */
	int64_t heard; /* instant of the last news */
};

struct runs {
	struct run *items; /* by updated_at, latest first */
	uint32_t count, keep;
	int64_t watching_since; /* wall time: since when anybody has looked for runs at all */
};

int runs_init(struct runs *runs, uint32_t keep); /* 0 or -ENOMEM */
void runs_release(struct runs *runs);            /* a zeroed one is fine */

/* Copies it to the front. If there is no room, *ret_dropped (may be NULL) is the one that went, and the result is true.
 */
bool runs_add(struct runs *runs, const struct run *run, struct run *ret_dropped);
/* The run is news: to the front. Pointers to runs move with it; the one given back is where it is now. */
struct run *runs_touch(struct runs *runs, struct run *run);
void runs_remove(struct runs *runs, struct run *run);
struct run *runs_find(struct runs *runs, const char *id);
struct run *runs_find_task(struct runs *runs, const char *task_id);
struct run *runs_find_report(struct runs *runs, int64_t reported_at);
/* The one that was asked for, and is not over; NULL: none. */
struct run *runs_under_way(struct runs *runs);
/* The last one that ended well or badly; NULL: none. */
const struct run *runs_last_over(const struct runs *runs);

/* Bytes on disk: a line with a hash, then JSON. NULL: no memory; else to be freed. */
char *runs_write(const struct runs *runs, size_t *ret_length);
/* Adds what is in the bytes. 0; -EBADMSG: they are damaged, and nothing was added; -ENOMEM. `now`, `wall`: the two
 * clocks at this moment. */
int runs_read(struct runs *runs, const char *bytes, size_t length, int64_t now, int64_t wall);

#endif
