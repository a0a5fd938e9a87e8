/* SPDX-License-Identifier: MIT
 *
 * What the platform's status endpoint says: `{"last_run_at", "status", "missing_count", "queued_count", "error"}`. Pure
 * functions on untrusted bytes; and the judge that knows answers which only fill the place of one, as the platform is
 * known to give: what they say is not shown as if it were so.
 */
#ifndef RECONCILIATION_STATUS_H
#define RECONCILIATION_STATUS_H

#include "report.h"

enum { STATUS_WHY_MAX = 200 };

struct status {
	bool has_last_run;
	int64_t last_run_at; /* wall time */
	bool says_nothing;   /* the status is a word like `unknown`, none at all, or one that we do not know */
	bool never_ran;      /* that is what it says */
	char word[40];       /* the status as it was written, cut */
	struct report report;
};

/* 0, or -EINVAL with `why`. `secret` (NULL: none) is left out of all its texts. */
int status_read(const char *bytes, size_t length, const char *secret, bool phones_full, struct status *ret_status,
		char why[STATUS_WHY_MAX]);

/* What the judge remembers of the answers before. Zeroed at first. */
struct judge {
	bool has_last;
	struct status last;
	int64_t same_since, asked; /* wall time: of the first answer that was like the last; of the last */
	uint32_t same, moving; /* answers like the last, in a row; in a row, whose last_run_at went with the clock */
	bool ever_changed;     /* then it is no placeholder that stands still */
};
/* One answer. `expected_every`: 0 if not known; `is_missed`: a run that was asked for long ago is not in it. False,
 * with `why`: it is not to be believed. */
bool judge_believes(struct judge *judge, const struct status *status, int64_t wall, int64_t expected_every,
		    bool is_missed, char why[STATUS_WHY_MAX]);

#endif
