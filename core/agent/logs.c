/* SPDX-License-Identifier: MIT
 *
 * What frontends call to ask about what was (frontend.h, log_open and the rest): thin steps to core/history, whose news
 * come from another thread and are brought to the instance's own by a waker.
 */
#include "logs.h"

#include "history.h"
#include "hub.h"
#include "instance_private.h"

#include <errno.h>
#include <stdlib.h>

struct log_listener {
	struct waker *waker;
	void (*ready)(void *arg);
	void *arg;
};

/* On the instance's thread, and not after the log was closed: then the waker is. */
static void on_ready(struct instance *self, void *arg)
{
	const struct log_listener *listener = arg;
	(void)self;
	listener->ready(listener->arg);
}

static void wake(void *arg)
{
	const struct log_listener *listener = arg;
	waker_wake(listener->waker);
}

static void release(void *arg)
{
	struct log_listener *listener = arg;
	waker_unref(listener->waker);
	free(listener);
}

int logs_open(struct cw_instance *instance, const struct cw_log_spec *spec, void (*ready)(void *arg), void *arg,
	      struct cw_log **ret_log)
{
	struct instance *self = (struct instance *)instance;
	struct log_listener *listener = calloc(1, sizeof *listener);
	if (!listener)
		return -ENOMEM;
	*listener = (struct log_listener){.ready = ready, .arg = arg};
	listener->waker = waker_new(self->box, on_ready, listener);
	int rc = listener->waker ? history_log_open(self->context.history, hub_tables(self->context.hub),
						    self->info.phones_full, spec, wake, release, listener, ret_log)
				 : -ENOMEM;
	if (rc < 0)
		release(listener);
	return rc;
}

void logs_close(struct cw_log *log)
{
	if (!log)
		return;
	struct log_listener *listener = history_log_arg(log);
	atomic_store(&listener->waker->closed, true);
	history_log_close(log);
}

void logs_note(struct cw_instance *instance, const char *text, const char *by)
{
	const struct instance *self = (const struct instance *)instance;
	hub_event(self->context.hub, "note", /* subject */ NULL, /* from */ NULL, /* to */ NULL, by, text);
}
