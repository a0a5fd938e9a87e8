/* SPDX-License-Identifier: MIT
 *
 * The inside of the actor `alerts`, shared by alerting.c (the actor: what comes when, what follows from a change),
 * listening.c (the side of all other threads), sources.c (who can see), following.c (journal, groups, deliveries),
 * remembering.c (what the journal knew), people.c (what people ask), and alerts_rows.c and silences_rows.c (its
 * tables). Nobody else includes it. All belongs to the thread `alerts`, but what says otherwise.
 */
#ifndef CALLWATCH_CORE_ALERTING_PRIVATE_H
#define CALLWATCH_CORE_ALERTING_PRIVATE_H

#include "alerting.h"
#include "delivery.h"
#include "engine.h"
#include "group.h"
#include "mailbox.h"
#include "rows.h"
#include "rules_rows.h"
#include "silence.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum { SHOWN_STATES = 4, SEVERITIES = 3, MEMO_METRICS = 1024 };

/* ---- listening.c: what other threads ask before they post ---- */

struct memo {
	const struct cw_metric *metric;
	bool is_wanted;
};

struct listening {
	_Atomic bool is_deaf;           /* the agent ends: what happens from now on tells nothing */
	_Atomic uint64_t tables;        /* a bit for each table that a rule looks at, by a hash of its name */
	_Atomic uint64_t lost;          /* the same: hints that found no room */
	_Atomic uint64_t samples_lost;  /* batches that found no room */
	_Atomic uint32_t version;       /* of the ruleset; changes with it */
	pthread_mutex_t lock;           /* guards `names` */
	char **names;                   /* of metrics that rules and guards look at; NULL-terminated */
	uint32_t memo_version;          /* the hub's thread's: which version the memo is of */
	struct memo memo[MEMO_METRICS]; /* the hub's thread's */
};

int listening_use(struct alerting *alerting, const struct ruleset *ruleset); /* 0 or -ENOMEM */
void listening_release(struct alerting *alerting);
/* Tables of which hints were lost since the last call get a pass. */
void listening_make_good(struct alerting *alerting);

/* ---- sources.c ---- */

struct source;
/* The state of an instance, as the hub said it. */
void sources_state(struct alerting *alerting, const char *instance, enum cw_state state, bool is_gone);
/* Once a second: have they read their tables to the end? */
void sources_look(struct alerting *alerting);
/* A new ruleset looks at other tables; and who is not in the plan any more is gone. */
void sources_use(struct alerting *alerting);
void sources_orphans(struct alerting *alerting); /* what the journal knew of others ends */
void sources_release(struct alerting *alerting);

/* ---- alerts_rows.c ---- */

struct shown_part; /* of table `alerts`, one for each instance that alerts are about */
void alerts_show(struct alerting *alerting, struct alert *alert);
void alerts_hide(struct alerting *alerting, struct alert *alert);
void alerts_confirm(struct alerting *alerting); /* that the tables are complete, now */
int alerts_open(struct alerting *alerting);     /* so that the tables are there when there is nothing in them */
void alerts_release(struct alerting *alerting);

/* ---- silences_rows.c ---- */

int silences_rows_open(struct alerting *alerting);
void silences_rows_confirm(struct alerting *alerting);
void silences_rows_show(struct alerting *alerting, struct silence *silence);
void silences_rows_hide(struct alerting *alerting, struct silence *silence);

/* ---- following.c ---- */

int following_make(struct alerting *alerting); /* 0 or negative */
int following_start(struct alerting *alerting);
void following_release(struct alerting *alerting);
void following_use(struct alerting *alerting); /* another ruleset is in force */
/* `was_blind`: what was shown of it before. */
void following_change(struct alerting *alerting, struct alert *alert, enum engine_change change, bool was_blind);
/* `more`: passes are under way. The watched instant of the next step at the latest. */
int64_t following_step(struct alerting *alerting, struct moment now, bool more);
void following_second(struct alerting *alerting);
void following_rewrite(struct alerting *alerting);

/* ---- people.c ---- */

struct question;
void people_second(struct alerting *alerting);  /* who has waited long enough for the journal is answered */
void people_release(struct alerting *alerting); /* … and everybody */

/* ---- alerting.c ---- */

struct alerting {
	struct alerting_options options; /* its strings are owned */
	struct tables *tables;
	struct journal *journal; /* NULL: none */
	struct mailbox *orders, *hints, *samples, *outcomes;

	pthread_t thread;
	bool started;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t second, due, sending;
	uv_check_t round; /* after each round of the loop: something may be to be sent */
	uv_idle_t turn;   /* while there is work to be done in slices */

	/* The agent's thread waits for this one: until a plan is used, until it has ended. */
	struct held_plan *held; /* the agent's thread's, the newest first */
	uint64_t plans;         /* the agent's thread's: how many there were */
	pthread_mutex_t lock;   /* guards … */
	pthread_cond_t changed;
	uint64_t used; /* number of the plan that is used */
	bool has_ended;
	bool is_stopping; /* the agent's thread's */

	struct listening listening;

	const struct plan *plan;
	const struct ruleset *ruleset;
	struct watched_clock clock;
	struct engine *engine;
	struct rows *rows;
	struct source *sources;
	struct silences *silences;
	struct groups *groups;
	struct deliveries *deliveries;
	struct cw_part *silences_part;
	struct rules_rows *rules_rows;
	struct question *waiting; /* for the journal's word */
	char last_incident[96];   /* of the notice that was told last */
	int64_t group_step_due;   /* watched; 0: something has changed */
	int64_t ticked;           /* instant */
	int64_t group_stepped;    /* instant */
	struct shown_part *shown;
	bool is_read;                       /* the journal has told what it knew, or is not waited for any longer */
	int64_t read_due;                   /* awake */
	bool is_settling;                   /* some have ended and are still shown */
	uint32_t rewriting;                 /* number of the last rewriting of the journal */
	bool is_rewriting, needs_rewriting; /* it is under way; another one after it */
	int64_t folded;                     /* instant: when the journal was last told to fold */
	int show_again; /* seconds: rows of those that ended with their source went with its tables */

	_Atomic uint64_t counts[SEVERITIES][SHOWN_STATES]; /* any thread reads */
};

extern const int64_t alerting_ended_shown_ns; /* so long what has ended is in the table */
struct moment alerting_now(struct alerting *alerting);
void alerting_begin(struct alerting *alerting);                          /* what the journal knew was taken over */
void alerting_show(struct alerting *alerting, struct alert *alert);      /* and counts it */
void alerting_has_ended(struct alerting *alerting, struct alert *alert); /* nobody is to be told of it any more */
void alerting_forget(struct alerting *alerting, struct alert *alert);    /* and frees it */
/* There is something to do in slices. */
void alerting_turn(struct alerting *alerting);

#endif
