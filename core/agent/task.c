/* SPDX-License-Identifier: MIT
 *
 * See task.h.
 */
#include "task.h"

#include "clock.h"
#include "options.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wish *wish_ref(struct wish *wish)
{
	atomic_fetch_add(&wish->references, 1);
	return wish;
}

void wish_unref(struct wish *wish)
{
	if (!wish || atomic_fetch_sub(&wish->references, 1) > 1)
		return;
	options_free(wish->arguments);
	chosen_unref(wish->chosen);
	free(wish->instance);
	free(wish->arguments_text);
	free(wish);
}

static void on_dropped(struct mail *mail)
{
	task_unref((struct task *)mail);
}

static struct cw_request request_of(const struct task *task)
{
	const struct wish *wish = task->wish;
	return (struct cw_request){
		.size = sizeof(struct cw_request),
		.action = wish->action_index,
		.arguments = wish->arguments,
		.id = task->id,
		.by = task->by,
		.keys = wish->chosen ? wish->chosen->keys : NULL,
		.keys_count = wish->chosen ? wish->chosen->count : 0,
	};
}

struct task *task_new(struct wish *wish, const char *id, const char *by, struct mailbox *tasks,
		      void (*deliver)(struct mail *mail, void *owner))
{
	struct task *task = calloc(1, sizeof *task);
	if (!task) {
		wish_unref(wish);
		return NULL;
	}
	atomic_init(&task->references, 1);
	task->mail = (struct mail){.deliver = deliver, .drop = on_dropped};
	task->wish = wish;
	task->by = strdup(by);
	task->tasks = mailbox_ref(tasks);
	task->news.last = &task->news.items;
	snprintf(task->id, sizeof task->id, "%s", id);
	pthread_mutex_init(&task->lock, /* attributes */ NULL);
	task->request = request_of(task);
	if (task->by)
		return task;
	task_unref(task);
	return NULL;
}

struct task *task_ref(struct task *task)
{
	atomic_fetch_add(&task->references, 1);
	return task;
}

void task_items_free(struct task_item *items)
{
	while (items) {
		struct task_item *next = items->next;
		free(items);
		items = next;
	}
}

void task_unref(struct task *task)
{
	if (!task || atomic_fetch_sub(&task->references, 1) > 1)
		return;
	task_items_free(task->news.items);
	wish_unref(task->wish);
	mailbox_unref(task->tasks);
	pthread_mutex_destroy(&task->lock);
	free(task->by);
	free(task);
}

/* Must hold the lock. A mail that is refused is no loss: `tasks` looks each second. */
static void wake(struct task *task)
{
	if (task->is_posted)
		return;
	task->is_posted = true;
	task_ref(task);
	if (mailbox_post(task->tasks, &task->mail) == 0)
		return;
	task->is_posted = false;
	atomic_fetch_sub(&task->references, 1); /* not the last: the caller has one */
}

static void lock_news(struct task *task)
{
	pthread_mutex_lock(&task->lock);
}

static void unlock_news(struct task *task)
{
	wake(task);
	pthread_mutex_unlock(&task->lock);
}

void task_tell_journaled(struct task *task, bool on_disk)
{
	lock_news(task);
	task->news.is_journaled = true;
	task->news.on_disk = on_disk;
	unlock_news(task);
}

void task_tell_begun(struct task *task)
{
	lock_news(task);
	task->news.begun = true;
	task->news.begun_at = clock_wall();
	unlock_news(task);
}

void task_tell_progress(struct task *task, uint64_t done, uint64_t failed, uint64_t total, const char *text)
{
	struct task_news *news = &task->news;
	lock_news(task);
	if (!news->ended) {
		news->has_numbers = true;
		news->done = done;
		news->failed = failed;
		news->total = total;
	}
	if (!news->ended && text) {
		news->has_text = true;
		snprintf(news->text, sizeof news->text, "%s", text);
	}
	unlock_news(task);
}

int task_tell_item(struct task *task, uint32_t number, enum cw_outcome outcome, const char *text)
{
	size_t length = text ? strnlen(text, TASK_TEXT_MAX) : 0;
	struct task_item *item = malloc(sizeof *item + length + 1);
	if (!item)
		return -ENOMEM;
	*item = (struct task_item){.number = number, .outcome = outcome, .told_at = clock_wall()};
	memcpy(item->text, text ? text : "", length);
	item->text[length] = '\0';
	lock_news(task);
	*task->news.last = item;
	task->news.last = &item->next;
	unlock_news(task);
	return 0;
}

void task_tell_end(struct task *task, enum cw_task_state state, const char *reason)
{
	struct task_news *news = &task->news;
	lock_news(task);
	if (!news->ended) {
		news->ended = true;
		news->ended_at = clock_wall();
		news->state = state;
		snprintf(news->reason, sizeof news->reason, "%s", reason ? reason : "");
	}
	unlock_news(task);
}

void task_mail_came(struct task *task)
{
	pthread_mutex_lock(&task->lock);
	task->is_posted = false;
	pthread_mutex_unlock(&task->lock);
}

/* `ended` stays, so that the first end is the last. */
void task_take_news(struct task *task, struct task_news *ret_news)
{
	pthread_mutex_lock(&task->lock);
	*ret_news = task->news;
	task->news.items = NULL;
	task->news.last = &task->news.items;
	task->news.is_journaled = task->news.begun = task->news.has_numbers = task->news.has_text = false;
	pthread_mutex_unlock(&task->lock);
}
