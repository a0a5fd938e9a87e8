/* SPDX-License-Identifier: MIT
 *
 * The inside of the actor `tasks`, shared by tasks.c (what is asked, and the life of a task), tasks_rows.c (the tables
 * `tasks` and `outcomes`) and tasks_memory.c (what an earlier life left). Nobody else includes it.
 */
#ifndef CALLWATCH_CORE_TASKS_PRIVATE_H
#define CALLWATCH_CORE_TASKS_PRIVATE_H

#include "asking.h"
#include "journal_tasks.h"
#include "tasks.h"

#include <uv.h>

enum {
	TASKS_KEPT = 1000,
	OUTCOMES_KEPT = 100000, /* of all tasks that have ended */
	TASKS_RUNNING = 64,
	PLANS_KEPT = 32,
	PLAN_KEYS_KEPT = 2 * CHOSEN_MAX /* of all plans; the newest is kept whatever it has */
};

/* A task as the actor knows it. */
struct kept {
	struct kept *next;          /* older */
	struct journal_task record; /* its texts are owned */
	uint64_t told;              /* outcomes: rows in table `outcomes` */
	struct task *task;          /* NULL: it has ended */
	struct mailbox *box;        /* of the acting instance, a reference; NULL: it was not asked yet */
	bool is_sent;               /* the instance was asked, or will not be */
	bool is_cancelled;          /* before that */
	bool on_disk;               /* the journal has said so */
	struct asking *asking;      /* waits for the journal; NULL: it was answered */
	int64_t journal_due;        /* awake: the journal is not waited for any longer */
};

/* What a dry run chose. */
struct plan_kept {
	struct plan_kept *next; /* older */
	char id[TASK_ID_SIZE];
	struct wish *wish;
	int64_t ends; /* instant */
};

/* The parts of one instance in the two tables. */
struct shown {
	struct shown *next;
	char *instance;
	struct cw_part *tasks, *outcomes;
};

struct tasks {
	struct hub *hub;
	struct roster *roster;
	struct journal *journal; /* NULL: none */
	struct mailbox *box;

	pthread_t thread;
	bool started;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t second;
	uv_idle_t choosing_turn; /* while somebody's rows are looked for */

	/* the thread's */
	struct kept *first; /* the newest */
	uint32_t kept_count, running;
	uint64_t outcomes_count; /* of tasks that have ended */
	struct plan_kept *plans;
	struct asking *choosing, *waiting; /* the latter for what the journal knows */
	bool is_read;                      /* it has told, or is not waited for any longer */
	int64_t read_due;                  /* awake */
	int64_t last_id;                   /* ms */
	struct shown *shown;
};

/* tasks.c */
struct kept *tasks_keep(struct tasks *tasks, struct kept *kept); /* in its place by id; NULL: it is there already */
void tasks_end(struct tasks *tasks, struct kept *kept, enum cw_task_state state, int64_t at, const char *reason);
void tasks_forget_old(struct tasks *tasks);
void tasks_set_text(const char **text, const char *new_text); /* of a record: owned; without memory it stays */
void kept_free(struct kept *kept);

/* tasks_rows.c */
extern const char *const task_state_names[]; /* NULL-terminated */
void tasks_show(struct tasks *tasks, const struct kept *kept);
void tasks_show_outcome(struct tasks *tasks, struct kept *kept, const struct journal_outcome *outcome);
void tasks_hide(struct tasks *tasks, const struct kept *kept); /* its outcomes too */
void tasks_confirm(struct tasks *tasks);                       /* that both tables are complete, now */
void tasks_release_rows(struct tasks *tasks);

#endif
