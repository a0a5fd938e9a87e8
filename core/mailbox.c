/* SPDX-License-Identifier: MIT
 *
 * See mailbox.h. One mutex guards the list and the door; uv_async_send() is called under it, and the door is shut under
 * it before the handle is closed, so a closed handle is never signalled.
 *
 * The loop holds a reference of its own from attach until libuv has let go of the handle. Draining takes the whole list
 * at once and lets posters go on; what they add meanwhile comes in the loop's next round, so the bound on memory is
 * twice the limit. A drain that finds the door shut (by close in deliver(), or by abandon from elsewhere) drops the
 * rest.
 */
#include "mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct mailbox {
	_Atomic int references;
	size_t limit;

	pthread_mutex_t lock; /* guards the four below and sending the async */
	bool attached;        /* the async may be sent */
	size_t length;
	struct mail *first, **last;

	_Atomic bool shut; /* set under lock; read without it between two deliveries */

	/* the drainer's thread only */
	uv_async_t async;
	void *owner;
	struct mail *drained; /* taken from the list, not delivered yet */
};

struct mailbox *mailbox_new(size_t limit)
{
	struct mailbox *box = calloc(1, sizeof(*box));
	if (!box)
		return NULL;
	atomic_init(&box->references, 1);
	atomic_init(&box->shut, false);
	box->limit = limit;
	box->last = &box->first;
	pthread_mutex_init(&box->lock, /* attributes */ NULL);
	return box;
}

struct mailbox *mailbox_ref(struct mailbox *box)
{
	atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed);
	return box;
}

static void drop_all(struct mail *mail)
{
	while (mail) {
		struct mail *next = mail->next;
		mail->drop(mail);
		mail = next;
	}
}

void mailbox_unref(struct mailbox *box)
{
	if (!box || atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) > 1)
		return;
	drop_all(box->first);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

/* Must hold the lock. */
static struct mail *take_all(struct mailbox *box)
{
	struct mail *all = box->first;
	box->first = NULL;
	box->last = &box->first;
	box->length = 0;
	return all;
}

void mailbox_drain(struct mailbox *box)
{
	if (box->drained)
		return; /* called from within deliver() */
	pthread_mutex_lock(&box->lock);
	box->drained = take_all(box);
	pthread_mutex_unlock(&box->lock);
	while (box->drained && !atomic_load_explicit(&box->shut, memory_order_acquire)) {
		struct mail *mail = box->drained;
		box->drained = mail->next;
		mail->deliver(mail, box->owner);
	}
	drop_all(box->drained);
	box->drained = NULL;
}

static void on_async(uv_async_t *async)
{
	mailbox_drain(async->data);
}

int mailbox_attach(struct mailbox *box, struct uv_loop_s *loop, void *owner)
{
	int status = uv_async_init(loop, &box->async, on_async);
	if (status < 0)
		return status;
	box->async.data = mailbox_ref(box); /* the loop's, until on_closed */
	box->owner = owner;
	pthread_mutex_lock(&box->lock);
	box->attached = true;
	if (box->first)
		uv_async_send(&box->async);
	pthread_mutex_unlock(&box->lock);
	return 0;
}

/* Must hold the lock. The async is pending as long as the list is not empty, so only the first mail sends it. */
static int append(struct mailbox *box, struct mail *mail)
{
	if (atomic_load_explicit(&box->shut, memory_order_relaxed))
		return -EPIPE;
	if (box->length >= box->limit)
		return -ENOBUFS;
	mail->next = NULL;
	*box->last = mail;
	box->last = &mail->next;
	if (box->length++ == 0 && box->attached)
		uv_async_send(&box->async);
	return 0;
}

int mailbox_post(struct mailbox *box, struct mail *mail)
{
	pthread_mutex_lock(&box->lock);
	int status = append(box, mail);
	pthread_mutex_unlock(&box->lock);
	return status;
}

size_t mailbox_length(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	size_t length = box->length;
	pthread_mutex_unlock(&box->lock);
	return length;
}

void mailbox_abandon(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	atomic_store_explicit(&box->shut, true, memory_order_release);
	struct mail *rest = take_all(box);
	pthread_mutex_unlock(&box->lock);
	drop_all(rest);
}

static void on_closed(uv_handle_t *handle)
{
	mailbox_unref(handle->data);
}

void mailbox_close(struct mailbox *box)
{
	mailbox_abandon(box);
	drop_all(box->drained); /* when called from within deliver() */
	box->drained = NULL;
	pthread_mutex_lock(&box->lock);
	bool attached = box->attached;
	box->attached = false;
	pthread_mutex_unlock(&box->lock);
	if (attached)
		uv_close((uv_handle_t *)&box->async, on_closed);
}
