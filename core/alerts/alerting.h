/* SPDX-License-Identifier: MIT
 *
 * Alerting: the actor that holds the tables and the samples against the rules, and sees to it that people hear of it. A
 * thread of its own (`alerts`) beside the hub, so that a walk over a million rows delays no batch. Private to the core.
 *
 * The rooms, in the order in which an alert passes them; each file says more:
 *
 *     rule.c (rule_options.c), template.c   the configuration, compiled: a ruleset
 *     alerting.c                            the actor: mailboxes, clock, what comes when
 *     rows.c                                row rules: hints, passes over the table, deadlines
 *     series.c                              sample rules: the last samples, tests, guards, rates, absence
 *     life.c, alert.c                       pending, firing, resolved; the store
 *     alerts_rows.c                         tables `alerts` and `silences`
 *     silence.c, weekly.c                   what nobody wants to hear
 *     group.c, common.c, notice.c           what is told, when, in which words
 *     delivery.c                            each notice on its way; core/agent/notifying.c is the notifier's side
 *     core/journal/journal_alerts.c         all of it on disk
 *
 * What is true. Transitions are hints, the table is the truth: a hint makes one row be looked at at once; a pass looks
 * at all of them: at the start, after a reload, when hints were lost, when the earliest deadline of a time-derived
 * column has come, and every 30 s. A pass is never more than a hundredth of the thread's time. What has no watched
 * column and no time in it is so seen within 30 s.
 *
 * Blind. While an instance is starting, down or stuck, or its first complete reading is not done, its alerts stand
 * still.
 */
#ifndef CALLWATCH_CORE_ALERTING_H
#define CALLWATCH_CORE_ALERTING_H

#include "callwatch/frontend.h"
#include "rule.h"
#include "table.h"

struct alerting;
struct hub;
struct journal;
struct mailbox;
struct plan;
struct roster;
struct sqlite3;

struct alerting_options {
	struct hub *hub; /* tables, events */
	struct roster *roster;
	const char *hostname;
	bool phones_full;
	int64_t patience; /* how long alerting_use() waits; 0: 5 s */
};

struct alerting *alerting_new(const struct alerting_options *options); /* NULL: no memory */
/* `journal` NULL: nothing is kept. It reads by alerting_read() before, or soon after. */
int alerting_start(struct alerting *alerting, struct journal *journal);
/* Posts to the journal what is to be kept, then ends. If it has not by the deadline (instant) that is said, and the
 * thread is left behind: alerting_was_left(), and nothing that it may look at may be freed. */
void alerting_stop(struct alerting *alerting, int64_t deadline);
bool alerting_was_left(const struct alerting *alerting); /* after alerting_stop() */
void alerting_free(struct alerting *alerting);           /* NULL is fine */

/* On the journal's thread: what it holds. NULL: it cannot be read yet. */
void alerting_read(struct alerting *alerting, struct sqlite3 *db);
/* Any thread: the journal works again, or was begun anew: all that is open is written once more. */
void alerting_rewrite(struct alerting *alerting);
/* Another plan is in force: its ruleset counts from now on. Keeps a reference to it, and lets go of the one before when
 * nobody looks at that any more. Who is not in the new plan is gone for good, and what is known of it ends; so it is
 * called before the tables forget it, and waits until that is done, some milliseconds. -ETIMEDOUT: it was not done in
 * time, which is said; it is done as soon as the thread comes to it. Else 0 or another negative. The agent's thread. */
int alerting_use(struct alerting *alerting, struct plan *plan);
/* The agent ends: what instances and tables do from now on tells nothing. What is on its way is still delivered. */
void alerting_deafen(struct alerting *alerting);

/* All below: any thread, wait for nobody. A NULL alerting is fine.
 *
 * A hint. Says at once no if no rule looks at this table. */
void alerting_hint(struct alerting *alerting, const struct transition *transition);
/* The hub routes a batch: what rules and guards want of it is copied. */
void alerting_samples(struct alerting *alerting, const struct cw_batch *batch);
/* An instance's state, or that it does not run any more. */
void alerting_instance(struct alerting *alerting, const char *instance, enum cw_role role, enum cw_state state,
		       bool is_gone);

/* frontend.h: silence(), expire(), ack(), try_rule(). done() is called by mail to `asker`. */
typedef void (*alerts_done)(void *arg, const struct cw_alerts_answer *answer);
int alerting_silence(struct alerting *alerting, struct mailbox *asker, const struct cw_silence_spec *spec,
		     alerts_done done, void *arg);
int alerting_expire(struct alerting *alerting, struct mailbox *asker, const char *silence, const char *by,
		    alerts_done done, void *arg);
int alerting_ack(struct alerting *alerting, struct mailbox *asker, const struct cw_ack_spec *spec, alerts_done done,
		 void *arg);
int alerting_try_rule(struct alerting *alerting, struct mailbox *asker, const char *rule, const char *by,
		      alerts_done done, void *arg);
/* The action `test` of a notifier: a TEST notice straight to it; settled() once, on the thread `alerts` (at
 * its end: on the one that stops it), unless this fails. */
int alerting_test(struct alerting *alerting, const char *notifier, const char *by,
		  void (*settled)(void *arg, bool delivered, const char *text), void *arg);

/* For the agent's own samples: firing and pending alerts by severity. */
struct alerting_counts {
	uint64_t alerts[3][4];   /* [severity][state as shown] */
	uint64_t alerts_dropped; /* engine_left_out() */
	uint64_t notices_sent, notices_retried, notices_dead, notices_waiting;
	double notice_delay_seconds; /* NaN: none yet */
};
void alerting_counts(struct alerting *alerting, struct alerting_counts *ret_counts);

#endif
