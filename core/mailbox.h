/* SPDX-License-Identifier: MIT
 *
 * The one primitive between actors: a bounded mailbox. Anybody posts, one thread drains. Private to the core.
 *
 * Posted and closed under its mutex, drained whole, woken by a uv_async_t that is never signalled after close (that
 * would be a use after free that no sanitizer sees). Reference-counted: who may post holds a reference, so that an
 * abandoned actor's mailbox stays valid. What is put in is immutable, or handed over for good.
 */
#ifndef CALLWATCH_CORE_MAILBOX_H
#define CALLWATCH_CORE_MAILBOX_H

#include <stddef.h>

struct uv_loop_s;
struct mailbox;

/* Embedded at the start of whatever is posted. deliver() runs on the drainer's thread and owns the mail; drop() frees
 * mail that will never be delivered (closed, or drained by close). */
struct mail {
	struct mail *next;
	void (*deliver)(struct mail *mail, void *owner);
	void (*drop)(struct mail *mail);
};

struct mailbox *mailbox_new(size_t limit); /* with one reference; NULL: no memory */
struct mailbox *mailbox_ref(struct mailbox *box);
void mailbox_unref(struct mailbox *box); /* NULL is fine */
/* Drains on this loop from now on, also what was posted before. Once per mailbox, on the loop's thread. */
int mailbox_attach(struct mailbox *box, struct uv_loop_s *loop, void *owner);
/* 0: handed over. -EPIPE closed, -ENOBUFS full: the mail is still the caller's. Any thread. */
int mailbox_post(struct mailbox *box, struct mail *mail);
size_t mailbox_length(struct mailbox *box);
/* Delivers now what is waiting, instead of in the loop's next round. Only on the drainer's thread, after attach. */
void mailbox_drain(struct mailbox *box);
/* Later posts fail; what was not delivered is dropped. On the drainer's thread closes the async handle; from another
 * thread (a stuck actor) it only shuts the door. */
void mailbox_close(struct mailbox *box); /* the drainer's thread, once; also after an abandon */
void mailbox_abandon(struct mailbox *box);

#endif
