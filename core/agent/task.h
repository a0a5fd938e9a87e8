/* SPDX-License-Identifier: MIT
 *
 * A task under way, shared by two threads: that of the actor `tasks` (tasks.h), which knows it from its first to its
 * last moment, and that of the acting instance (acting.h), which works on it. Reference-counted. Private to the core.
 *
 * What is asked for does not change. What is told of it (begun, how far, an outcome, the end) is put into its *news*
 * under its lock by whoever knows it, and taken from there by `tasks`, which is woken by at most one mail at a time. So
 * nothing is lost however fast it comes, and nobody waits.
 */
#ifndef CALLWATCH_CORE_TASK_H
#define CALLWATCH_CORE_TASK_H

#include "callwatch/plugin.h"
#include "chosen.h"
#include "mailbox.h"

#include <pthread.h>

enum { TASK_ID_SIZE = 32, TASK_TEXT_MAX = 1024 };

/* An outcome on its way. */
struct task_item {
	struct task_item *next;
	uint32_t number; /* of the row in the request */
	enum cw_outcome outcome;
	int64_t told_at; /* wall time */
	char text[];
};

struct task_news {
	bool is_journaled, on_disk; /* the journal has said so; and that it is on disk */
	bool begun, ended;
	bool has_numbers, has_text;
	uint64_t done, failed, total;
	char text[TASK_TEXT_MAX];
	int64_t begun_at, ended_at; /* wall times */
	enum cw_task_state state;   /* if it has ended */
	char reason[TASK_TEXT_MAX];
	struct task_item *items; /* in the order in which they were told */
	struct task_item **last;
};

/* What is asked for, once it has been checked; never changed then. A plan is one that is kept for later. */
struct wish {
	_Atomic int references;
	char *instance;               /* owned */
	const struct cw_plugin *decl; /* lives as long as the process */
	const struct cw_action *action;
	uint32_t action_index;
	struct cw_value *arguments; /* options_check() */
	char *arguments_text;       /* for people: `mode=reset rate=50` */
	struct chosen *chosen;      /* NULL: the action has no table */
};

struct wish *wish_ref(struct wish *wish);
void wish_unref(struct wish *wish); /* NULL is fine */

struct task {
	struct mail mail; /* first: wakes `tasks` */
	_Atomic int references;

	/* never changed once it is shared */
	char id[TASK_ID_SIZE];
	char *by;          /* owned */
	struct wish *wish; /* a reference */
	struct cw_request request;
	struct mailbox *tasks; /* a reference */

	pthread_mutex_t lock; /* guards what follows */
	struct task_news news;
	bool is_posted;
};

/* Takes over the reference to the wish, also when it fails; `deliver` is what the mail to `tasks` does with it, and
 * owes it a task_unref(). NULL: no memory. */
struct task *task_new(struct wish *wish, const char *id, const char *by, struct mailbox *tasks,
		      void (*deliver)(struct mail *mail, void *owner));
struct task *task_ref(struct task *task);
void task_unref(struct task *task); /* NULL is fine */

/* Any thread. Texts are cut and copied. What comes after the end is left out. */
void task_tell_journaled(struct task *task, bool on_disk);
void task_tell_begun(struct task *task);
void task_tell_progress(struct task *task, uint64_t done, uint64_t failed, uint64_t total, const char *text);
int task_tell_item(struct task *task, uint32_t number, enum cw_outcome outcome, const char *text); /* 0 or -ENOMEM */
void task_tell_end(struct task *task, enum cw_task_state state, const char *reason);

/* By `tasks`. The mail was delivered, and may be posted again; before anything else. */
void task_mail_came(struct task *task);
/* Takes what is new, at any time; the items are the caller's. The mail may be under way, and stays so. */
void task_take_news(struct task *task, struct task_news *ret_news);
void task_items_free(struct task_item *items);

#endif
