/* SPDX-License-Identifier: MIT
 *
 * See acting.h. A handle is looked for in the instance's list before it is looked at: a pointer that the plugin made
 * up, or kept too long, is in no list. The list is walked: an instance has a handful of tasks in its life.
 */
#include "acting.h"

#include "alerting.h"
#include "instance_private.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

struct cw_task {
	struct cw_task *next;
	struct task *task; /* NULL: it has ended */
	uint8_t told[];    /* a bit for each row of the request */
};

/* ---- from `tasks` ---- */

struct order {
	struct mail mail; /* first */
	struct task *task;
};

static void order_free(struct order *order)
{
	task_unref(order->task);
	free(order);
}

static void cannot_begin(struct task *task, const char *why)
{
	task_tell_end(task, CW_TASK_ERROR, why);
}

static void act(struct instance *self, struct task *task)
{
	size_t bits = task->wish->chosen ? task->wish->chosen->count / 8 + 1 : 0;
	struct cw_task *handle = calloc(1, sizeof *handle + bits);
	if (!handle) {
		cannot_begin(task, "out of memory: nothing was done");
		return;
	}
	handle->task = task_ref(task);
	handle->next = self->tasks;
	self->tasks = handle;
	task_tell_begun(task);
	instance_enter(self, "act");
	self->decl->act(self->plugin_state, handle, &task->request);
	instance_leave(self);
}

static void on_act(struct mail *mail, void *owner)
{
	struct instance *self = owner;
	struct order *order = (struct order *)mail;
	if (self->started && !self->stopping)
		act(self, order->task);
	else
		cannot_begin(order->task, "the instance was stopped or restarted meanwhile: nothing was done");
	order_free(order);
}

static void on_act_dropped(struct mail *mail)
{
	struct order *order = (struct order *)mail;
	cannot_begin(order->task, "the instance takes no mail any more: nothing was done");
	order_free(order);
}

static struct cw_task *find_task(const struct instance *self, const struct task *task)
{
	struct cw_task *handle = self->tasks;
	while (handle && handle->task != task)
		handle = handle->next;
	return handle;
}

static void on_cancel(struct mail *mail, void *owner)
{
	struct instance *self = owner;
	struct order *order = (struct order *)mail;
	struct cw_task *handle = find_task(self, order->task);
	if (handle && self->started && self->decl->cancel) {
		instance_enter(self, "cancel");
		self->decl->cancel(self->plugin_state, handle);
		instance_leave(self);
	}
	order_free(order);
}

static void on_cancel_dropped(struct mail *mail)
{
	order_free((struct order *)mail);
}

static void post(struct instance *self, struct task *task, void (*deliver)(struct mail *mail, void *owner),
		 void (*drop)(struct mail *mail))
{
	struct order *order = malloc(sizeof *order);
	if (!order) {
		cannot_begin(task, "out of memory: nothing was done");
		return;
	}
	*order = (struct order){{.deliver = deliver, .drop = drop}, task_ref(task)};
	if (mailbox_post(self->box, &order->mail) < 0)
		drop(&order->mail);
}

/* The action `test` of a notifier goes the way of its notices, not to act(). */
static bool is_test(const struct instance *self, const struct task *task)
{
	return self->decl->role == CW_NOTIFIER && self->decl->notify && strcmp(task->wish->action->name, "test") == 0;
}

/* On the thread `alerts`. */
static void on_tested(void *arg, bool delivered, const char *text)
{
	struct task *task = arg;
	task_tell_end(task, delivered ? CW_TASK_SUCCESS : CW_TASK_ERROR, text);
	task_unref(task);
}

static void test(struct instance *self, struct task *task)
{
	task_tell_begun(task);
	if (alerting_test(self->context.alerting, self->name, task->by, on_tested, task_ref(task)) < 0)
		on_tested(task, /* delivered */ false, "it cannot be tried now: nothing was sent");
}

void acting_ask(struct instance *self, struct task *task)
{
	if (is_test(self, task))
		test(self, task);
	else
		post(self, task, on_act, on_act_dropped);
}

void acting_cancel(struct instance *self, struct task *task)
{
	post(self, task, on_cancel, on_cancel_dropped);
}

void acting_stop(struct instance *self)
{
	while (self->tasks) {
		struct cw_task *handle = self->tasks;
		self->tasks = handle->next;
		if (handle->task)
			task_tell_end(handle->task, CW_TASK_LOST,
				      "the instance was stopped while it ran, and its plugin left it behind");
		task_unref(handle->task);
		free(handle);
	}
}

/* ---- from the plugin ---- */

/* NULL: it is none of a task under way of the instance that speaks. */
static struct cw_task *find_handle(const struct cw_task *handle)
{
	const struct instance *self = instance_speaking;
	if (!self || atomic_load_explicit(&self->abandoned, memory_order_relaxed))
		return NULL;
	struct cw_task *found = self->tasks;
	while (found && found != handle)
		found = found->next;
	if (found && found->task)
		return found;
	log_line(self->name, CW_WARNING, "its plugin speaks of a task that %s (a fault of the plugin)",
		 found ? "has ended" : "it never had");
	return NULL;
}

void acting_progress(struct cw_task *handle, uint64_t done, uint64_t failed, uint64_t total, const char *text)
{
	struct cw_task *found = find_handle(handle);
	if (found)
		task_tell_progress(found->task, done, failed, total, text);
}

/* True: it is the first word on this row. */
static bool note_told(struct cw_task *handle, int64_t row)
{
	uint8_t bit = (uint8_t)(1U << (row % 8)), *byte = &handle->told[row / 8];
	bool first = !(*byte & bit);
	*byte |= bit;
	return first;
}

void acting_item(struct cw_task *handle, const char *key, enum cw_outcome outcome, const char *text)
{
	struct cw_task *found = find_handle(handle);
	if (!found)
		return;
	const struct chosen *chosen = found->task->wish->chosen;
	int64_t row = chosen && key ? chosen_find(chosen, key) : -1;
	enum cw_outcome known = (unsigned)outcome <= CW_ITEM_UNKNOWN ? outcome : CW_ITEM_UNKNOWN;
	if (row < 0 || !note_told(found, row))
		log_line(instance_speaking->name, CW_WARNING,
			 "its plugin tells of a row that %s (a fault of the plugin)",
			 row < 0 ? "nobody chose" : "has its outcome already");
	else if (task_tell_item(found->task, (uint32_t)row, known, text) < 0)
		log_line(instance_speaking->name, CW_ERROR, "out of memory: an outcome is not remembered");
}

void acting_end(struct cw_task *handle, enum cw_task_state state, const char *reason)
{
	struct cw_task *found = find_handle(handle);
	if (!found)
		return;
	bool is_end = state >= CW_TASK_SUCCESS && state <= CW_TASK_LOST;
	task_tell_end(found->task, is_end ? state : CW_TASK_ERROR, reason);
	task_unref(found->task);
	found->task = NULL;
}
