/* SPDX-License-Identifier: MIT
 *
 * Folding of repeated log lines: the same (who, level, message) within 60 s of its first line is counted instead of
 * printed, and reported once when the 60 s are over. Knows nothing of threads and clocks; log.c does. Private to the
 * core.
 *
 * Remembers the last 64 different lines. When more than that take turns, the one that began first is reported early,
 * so nothing is ever left unsaid.
 */
#ifndef CALLWATCH_CORE_LOG_FOLD_H
#define CALLWATCH_CORE_LOG_FOLD_H

#include "callwatch/plugin.h"

enum { LOG_FOLD_LINES = 64 };

struct folded {
	char *who; /* NULL: the agent */
	enum cw_level level;
	char *message; /* NULL: the place is free */
	uint64_t repeats;
	int64_t until; /* instant */
};

struct log_fold {
	struct folded lines[LOG_FOLD_LINES];
};

/* True: a repeat, counted, not to be printed. False: print it. *ret_early is a burst that had to make room (release
 * it), its `repeats` 0 if there is nothing to say. */
bool log_fold_seen(struct log_fold *fold, const char *who, enum cw_level level, const char *message, int64_t now,
		   struct folded *ret_early);
/* A burst whose time is over and that had repeats; false: no more. Release it. INT64_MAX ends all. */
bool log_fold_ended(struct log_fold *fold, int64_t now, struct folded *ret_burst);
int64_t log_fold_next(const struct log_fold *fold); /* instant of the next end, INT64_MAX: none */
void folded_release(struct folded *line);

#endif
