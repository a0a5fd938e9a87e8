/* SPDX-License-Identifier: MIT
 *
 * Alerts in the journal: alerts and their life, incidents of groups, notices and what became of them, receipts,
 * silences. Private to the core.
 *
 *     alert      one that pends, fires, or has ended and was not told so yet, or ended lately
 *     incident   a group's life: its sequence, when it was last told
 *     delivery   a notice on its way to a notifier: state, attempts, progress, the whole notice as JSON
 *     receipt    what a notifier left for an incident
 *     silence    who, what, how long
 *
 * Bounded: what has ended, is settled and is older than 7 days, or is not among the last 10,000 of its kind, is folded
 * away when the journal is opened and once a minute; what is open, never.
 *
 * All functions that post copy, and return 0, -ENOMEM or as journal_post(). A journal that is NULL keeps nothing:
 * told(false) is called at once. told() is called exactly once if they return 0, on the journal's thread: it only
 * passes it on.
 */
#ifndef CALLWATCH_CORE_JOURNAL_ALERTS_H
#define CALLWATCH_CORE_JOURNAL_ALERTS_H

#include "journal_lines.h"

struct alert;
struct group;
struct silence;

extern const char journal_alerts_schema[], journal_alerts_written_at[]; /* steps 2 and 3 */

struct journal_delivery {
	const char *id; /* of the notice for this notifier */
	const char *notifier, *group, *incident;
	const char *rule;
	uint32_t sequence, attempts;
	int kind, state;                                 /* enum cw_notice_kind, enum delivery_state */
	int64_t since, created_at, next_try, settled_at; /* wall; 0: not */
	int64_t not_before;            /* wall: the notifier was asked to send nothing before; 0: not */
	int64_t written_at;            /* wall, of what was read: by the clock that the times are of; 0: not known */
	bool is_doubtful;              /* an attempt may have arrived */
	const char *progress, *reason; /* NULL: none */
	const char *notice;            /* JSON; NULL: it is settled, and not kept any more */
};

/* An alert as it is now, or (forget) that it was a pending one that has ceased. Its words only if they are not there
 * already (are_words_posted, which it sets). */
int journal_alert(struct journal *journal, struct alert *alert, bool forget, journal_told told, void *arg);
/* A notice was made: the group as it is now, `told` of all its alerts, and a delivery for each notifier: in one
 * transaction. `group` NULL: a TEST notice has none. A group without an incident is forgotten. */
int journal_tell(struct journal *journal, const struct group *group, const struct journal_delivery *deliveries,
		 uint32_t count, journal_told told, void *arg);
/* A delivery's state, attempts, next_try, progress, reason; with `receipt` (NULL: none) also the incident's. Without a
 * notice the one that is there stays, or goes if it is settled. */
int journal_delivered(struct journal *journal, const struct journal_delivery *delivery, const char *receipt,
		      journal_told told, void *arg);
/* A receipt alone, once more. */
int journal_receipt(struct journal *journal, const char *incident, const char *notifier, const char *receipt);
int journal_fold(struct journal *journal); /* what has ended and is old, or one of too many, goes */
int journal_silence(struct journal *journal, const struct silence *silence, journal_told told, void *arg);

/* What an earlier life left, for journal_options.opened(). Silences first, then incidents with their receipts, then
 * alerts, then deliveries that are not settled and the last `most` that are. Borrowed for the calls. `alert` has only
 * what is kept; told, group key and so on as they were. */
struct journal_alerts_reader {
	void (*silence)(void *arg, const struct silence *silence);
	void (*incident)(void *arg, const struct group *group);
	void (*receipt)(void *arg, const char *incident, const char *notifier, const char *receipt);
	void (*alert)(void *arg, const struct alert *alert, const char *group_key);
	void (*delivery)(void *arg, const struct journal_delivery *delivery);
	void *arg;
};
void journal_alerts_read(struct sqlite3 *db, uint32_t most_settled, const struct journal_alerts_reader *reader);
void journal_alerts_fold(struct sqlite3 *db); /* after it was read: that must not wait for who keeps the file locked */

#endif
