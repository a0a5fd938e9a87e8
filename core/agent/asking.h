/* SPDX-License-Identifier: MIT
 *
 * A question to the actor `tasks` and its answer: do this, cancel that. It is copied when it is asked, carried there as
 * mail, and the same mail carries the answer back to the asker's thread. Part of tasks.h; private to it.
 */
#ifndef CALLWATCH_CORE_ASKING_H
#define CALLWATCH_CORE_ASKING_H

#include "callwatch/frontend.h"
#include "task.h"

struct roster;
struct tables;

enum { ASKING_TEXT_MAX = 512, ASKING_HASH_BYTES = 16, ASKING_SHOWN_KEYS = 20 };

struct asking {
	struct mail mail; /* first */
	struct asking *next;
	struct mailbox *asker; /* a reference */
	void (*done)(void *arg, const struct cw_action_answer *answer);
	void *arg;

	/* the question, in memory of its own */
	struct arena *arena;
	struct cw_action_spec spec;
	const char *cancel;              /* a task's id: this is what is asked; else NULL */
	uint8_t hash[ASKING_HASH_BYTES]; /* of all that is asked for */

	/* found out on the way, by `tasks` */
	struct wish *wish;
	struct cw_query *query;
	struct chosen *chosen;
	uint32_t next_key;   /* of spec.keys */
	uint64_t looked_for; /* rows that match the conditions; of keys, how many were said */

	/* the answer; its texts are below, or the wish's */
	struct cw_action_answer answer;
	char text[ASKING_TEXT_MAX], task[TASK_ID_SIZE], plan[TASK_ID_SIZE];
};

/* `deliver` gets it on the thread of `tasks`. NULL: no memory. */
struct asking *asking_new(const struct cw_action_spec *spec, struct mailbox *asker,
			  void (*done)(void *arg, const struct cw_action_answer *answer), void *arg,
			  void (*deliver)(struct mail *mail, void *owner));
void asking_free(struct asking *asking); /* nobody is answered */
/* Sends it back with this status and text, and forgets it. */
void asking_answer(struct asking *asking, int status, const char *format, ...) CW_PRINTF(3, 4);

/* The three below: true, or false and it has been answered. */

/* Finds the instance and the action, and whether it is allowed: asking->wish has them. */
bool asking_find(struct asking *asking, struct roster *roster);
/* Checks the arguments into the wish, and that the rows are chosen in one way. */
bool asking_check(struct asking *asking);
/* Begins to look for the rows. */
bool asking_choose(struct asking *asking, struct tables *tables);

/* One slice of that. CW_LATER: call it again; 0: the wish has its rows; negative: it has been answered. */
int asking_choose_step(struct asking *asking, struct tables *tables);
/* `acts on 312 of 10,000 rows`; "" if the action has no table. */
void asking_scope(const struct asking *asking, struct tables *tables, char text[ASKING_TEXT_MAX]);

#endif
