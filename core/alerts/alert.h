/* SPDX-License-Identifier: MIT
 *
 * An alert: a rule that holds for a subject, with a life. What the rooms of alerting share of it. Everything belongs to
 * the thread `alerts` (alerting.h). Private to core/alerts.
 *
 *     (holds) ─▶ PENDING ──for──▶ FIRING ──ceases, and keep_firing_for──▶ RESOLVED ─▶ (forgotten after an hour)
 *                   └── ceases ──▶ (gone without a word)
 *
 * Blind is beside the life: while its source cannot see, nothing about the alert moves, neither towards firing nor
 * towards its end; it is shown as `unknown`.
 *
 * Time that counts for `for`, `keep_firing_for`, `absent` and the pauses of groups is *watched time* (struct
 * watched_clock): it stands still while the process was stopped or the machine asleep, so that these alone neither fire
 * nor resolve anything. Wall times are for people and for the journal.
 */
#ifndef CALLWATCH_CORE_ALERT_H
#define CALLWATCH_CORE_ALERT_H

#include "notice.h"
#include "rule.h"

enum alert_state { ALERT_PENDING = 0, ALERT_FIRING = 1, ALERT_RESOLVED = 2 };
/* As table `alerts` says it: pending, firing, unknown (it is blind), resolved. */
extern const char *const alert_state_names[];
enum { SHOWN_PENDING = 0, SHOWN_FIRING = 1, SHOWN_UNKNOWN = 2, SHOWN_RESOLVED = 3 };

/* What a group's notices have said of it. */
enum alert_told { TOLD_NOTHING = 0, TOLD_FIRING = 1, TOLD_RESOLVED = 2 };

enum { ALERT_ID_SIZE = 36, ALERT_FACTS_MAX = 48, ALERT_FINGERPRINT_SIZE = 17 };

struct group;
struct sight;

struct alert {
	char id[ALERT_ID_SIZE]; /* of this life: fingerprint, `-`, ms of pending_since in hex */
	char fingerprint[ALERT_FINGERPRINT_SIZE];
	char *key; /* rule, NUL-free separators, instance, subject: unique among those that have not ended */
	struct alert *next, *previous, *next_in_bucket; /* of the store */
	bool is_open;                                   /* pends or fires: it is found by its key */

	/* borrowed from the ruleset, looked up anew at a reload; NULL: the rule was removed, or is not known yet */
	const struct rule *rule;
	char *rule_name, *instance, *subject;
	char *source; /* the instance that it is about: `instance`, but of a row of table `instances` the row's key */
	enum cw_severity severity;

	enum alert_state state;
	bool is_blind;
	bool is_confirmed; /* seen to hold since the agent started; one from the journal that is not, neither fires
			      nor ends */
	bool holds;        /* when last looked at */
	int64_t pending_since, firing_since, resolved_at; /* wall; 0: not (yet) */
	int64_t held;       /* watched ns for which it has held, of those it needs to fire */
	int64_t ceased;     /* on its source's clock: when it ceased to hold, while keep_firing_for runs; 0: it holds */
	const char *reason; /* why it ended, a literal: `recovered`, `gone`, `rule removed`, `source removed` */
	double value;       /* NaN: none */

	/* frozen when it began to fire (while pending: as last seen) */
	char *summary, *description; /* valid UTF-8, masked */
	struct cw_fact *facts;       /* columns of the row as people read them, phones masked; owned */
	uint32_t facts_count;
	bool are_words_posted; /* all these to the journal, as they are: they are most of what there is to write */

	/* the engine's */
	struct sight *sight; /* of its source; NULL: it has ended */
	int64_t counted;     /* on its source's clock: up to when `held` is counted */
	int64_t looked;      /* on its source's clock: when it was last looked at */
	uint64_t pass;       /* and the number of the pass then (engine_pass()) */
	bool is_counting;

	/* people's */
	char *acked_by, *ack_note; /* NULL: not acknowledged */
	int64_t acked_at;
	char *silenced_by;  /* id of the silence that mutes it; NULL: none. Kept by silences */
	char *inhibited_by; /* name of the rule that does; NULL: none. Kept by groups */

	/* groups' */
	struct group *group;
	struct alert *next_in_group, *previous_in_group;
	enum alert_told told;
	uint32_t written_in;      /* the rewriting of the journal (following.c) in which it was written last */
	int part_in_group;        /* group_private.h */
	bool is_counted_in_group; /* it fires, for silences and inhibition */

	/* alerting's */
	bool has_row;   /* in table `alerts` */
	int64_t forget; /* instant at which one that has ended leaves that table; 0: not yet known */
	int counted_as; /* shown state in which it is counted, -1: in none */
	int counted_severity;
};

/* Index in alert_state_names. */
int alert_shown(const struct alert *alert);

/* The text of a fact; NULL: it has none of this name. Also `alertname` or `alert`, `severity`, `instance`, `subject`
 * and the rule's labels: what silences, routes and group_by see of an alert. */
const char *alert_text(const struct alert *alert, const char *name);

/* A pending one without words and without a rule. NULL: no memory. */
struct alert *alert_new(const char *rule_name, const char *instance, const char *subject, const char *source);
/* A deep copy of what is kept of it; of the store, the groups and alerting it has nothing. NULL: no memory. */
struct alert *alert_copy(const struct alert *alert);
void alert_free(struct alert *alert); /* NULL is fine */
/* rule, U+001F, instance, U+001F, subject. The caller frees it. NULL: no memory. */
char *alert_key(const char *rule_name, const char *instance, const char *subject);
enum { ALERT_SUBJECT_SIZE = NOTICE_VALUE_MAX + 1 };
/* What an alert is about, as it is matched, journaled and said: the raw text, if it is text that the journal and every
 * message take as it is. Else what can be shown of it, U+2400, and a hash of all its bytes: two are never one subject,
 * and one is the same in each life. The only place where a subject is made of what a stranger wrote. */
void alert_subject(char subject[ALERT_SUBJECT_SIZE], const char *raw, size_t length);
bool alert_is_subject_strange(const char *subject); /* it is not the raw text, which nobody can have back from it */
/* A new id for a life that begins now. */
void alert_begin(struct alert *alert, int64_t wall);
/* Replaces them all; copied. 0 or -ENOMEM: they are as they were. */
int alert_set_words(struct alert *alert, const char *summary, const char *description, const struct cw_fact *facts,
		    uint32_t count);
/* Replaces an owned text by a copy; NULL: by nothing. Without memory it stays. */
void alert_set_text(char **text, const char *new_text);

enum { ALERT_FACT_SIZE = 512 };
/* A cell as people read it; false: it is not known. */
bool alert_fact_text(const struct cw_column *column, const struct cw_cell *cell, char text[ALERT_FACT_SIZE]);

/* Watched time. tick() at least once a second while things are watched; what is more than LONGEST between two ticks was
 * not watched, and does not count. */
struct watched_clock {
	int64_t watched; /* ns; begins at 1 s, so that 0 is never an instant */
	int64_t seen;    /* instant of the last tick */
};
enum { WATCHED_LONGEST_MS = 3000 };
void watched_tick(struct watched_clock *clock, int64_t now);

#endif
