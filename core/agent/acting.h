/* SPDX-License-Identifier: MIT
 *
 * The acting instance's side of actions: a task arrives by mail, its plugin's act() begins it, and what the plugin
 * tells of it goes into the task's news (task.h). Who decides that it may begin, keeps it and shows it is `tasks`
 * (tasks.h). Private to the core.
 *
 * A plugin may be wrong: it may never end a task, end it twice, speak of rows that nobody chose. What it holds of a
 * task is therefore a handle that stays until its plugin is released, and what is said by one that has ended is left
 * out.
 */
#ifndef CALLWATCH_CORE_ACTING_H
#define CALLWATCH_CORE_ACTING_H

#include "callwatch/plugin.h"
#include "task.h"

struct instance;

/* Under the roster's lock, so that the instance stays. Takes a reference to the task; it may be told to end at once. */
void acting_ask(struct instance *self, struct task *task);
void acting_cancel(struct instance *self, struct task *task);

/* The instance's own thread: its plugin has stopped. What it left behind is lost. */
void acting_stop(struct instance *self);

/* By its plugin; handles of other instances, or that have ended, are left out and logged. */
void acting_progress(struct cw_task *handle, uint64_t done, uint64_t failed, uint64_t total, const char *text);
void acting_item(struct cw_task *handle, const char *key, enum cw_outcome outcome, const char *text);
void acting_end(struct cw_task *handle, enum cw_task_state state, const char *reason);

#endif
