/* SPDX-License-Identifier: MIT
 *
 * Silences: what somebody does not want to be told for a while. Pure over the time it is given; who keeps them on disk
 * and shows them is alerting.c. Private to core/alerts; on the thread `alerts`.
 *
 * A silence has matchers in the one expression grammar, over what alert_text() knows; all must hold. It lasts from
 * starts_at to ends_at, and with `every` (`Sun 02:00-04:00`, days may be lists and ranges: `Mon-Fri`, `Sat,Sun`) it
 * mutes only in that window of each week, in the given time zone; a window may go over midnight, and on the day of a
 * change of the clocks it is as wall clocks say. A matcher on nothing is no matcher: a silence without any must have
 * said `all`.
 *
 * Muted means: no notice tells that it fires. That it has ended is still told, if it had been told that it fires. A
 * dead man's switch is not asked (it is told no alerts).
 *
 * What an alert is, as matchers see it, was frozen when it began to fire. So each is held against the silences once
 * (silences_look), and all of them anew only when silences_turn() says that one begins, ends or has changed.
 */
#ifndef CALLWATCH_CORE_SILENCE_H
#define CALLWATCH_CORE_SILENCE_H

#include "alert.h"
#include "callwatch/frontend.h"

enum {
	SILENCE_ID_SIZE = 24,
	SILENCES_MAX = 1000, /* that have not ended; and as many that have */
	SILENCE_KEPT_DAYS = 7,
	SILENCE_MATCHERS_MAX = 32,
	SILENCE_MATCHERS_BYTES_MAX = 32768, /* of all together */
	SILENCE_COMMENT_MAX = 1024
};

struct silence {
	struct silence *next;
	char id[SILENCE_ID_SIZE];
	char *matchers; /* as written, one a line; "" with `all` */
	struct expr **exprs;
	uint32_t exprs_count;
	int64_t starts_at, ends_at; /* wall */
	char *every, *timezone;     /* NULL: all the time; NULL: UTC */
	struct weekly *weekly;
	char *created_by, *comment;
	bool is_active; /* at the last silences_turn(): it has begun, has not ended, and its window is open */
	uint32_t mutes; /* alerts that it mutes at this moment, kept by silences_look() */
	/* alerting's */
	int64_t row;         /* in table `silences` */
	uint32_t written_in; /* as an alert's */
};

struct silences;
struct silences *silences_new(void);
void silences_free(struct silences *silences);
/* What was asked for, checked; *ret_silence belongs to `silences`. -EINVAL and a sentence: an expression, a time, a
 * window, a zone, nothing to match; -ENOSPC: too many. `spec` with an id (from the journal) keeps it, and may have
 * ended. With dry_run it is made and mutes nothing: ask it by silence_mutes(), until the next one is tried. */
int silences_add(struct silences *silences, const struct cw_silence_spec *spec, int64_t wall,
		 struct silence **ret_silence, char error[CW_QUERY_ERROR_MAX]);
/* Ends it now; NULL: no such silence that has not ended. */
struct silence *silences_expire(struct silences *silences, const char *id, int64_t wall);
struct silence *silences_first(struct silences *silences);
/* Does this one mute the alert at this time? */
bool silence_mutes(const struct silence *silence, const struct alert *alert, int64_t wall);
/* The first that does; NULL: none. */
const struct silence *silences_match(struct silences *silences, const struct alert *alert, int64_t wall);
/* What alerts say of themselves has changed (a reload): the next turn comes at once. */
void silences_change(struct silences *silences);
/* Has anything begun, ended or changed since it was last asked? Then `mutes` of all is 0: all alerts that fire are to
 * be looked at. */
bool silences_turn(struct silences *silences, int64_t wall);
/* The first that mutes the alert since the last turn, NULL: none; `by` (1, -1 when it ceases to fire, 0) is added to
 * what each of them mutes. */
const struct silence *silences_look(struct silences *silences, const struct alert *alert, int by);
/* The next wall time at which anything of it changes (a window begins or ends); INT64_MAX: never. */
int64_t silences_next(const struct silences *silences, int64_t wall);
/* Those that ended more than SILENCE_KEPT_DAYS ago, or too many of them: forgotten() for each, then it is freed. */
void silences_forget(struct silences *silences, int64_t wall, void (*forgotten)(void *arg, struct silence *silence),
		     void *arg);

#endif
