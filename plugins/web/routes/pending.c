/* SPDX-License-Identifier: MIT
 *
 * Answers that somebody else gives later, through a callback that cannot be called off: the agent's opinion of its
 * configuration, the findings of an examination. The pending outlives its exchange when the reader leaves, and lives
 * until it is ended by that callback, or with the instance.
 */
#include "routes.h"

#include <stdlib.h>

static enum pull pull_pending(struct exchange *exchange)
{
	const struct pending *pending = exchange->work;
	return pending->done ? PULL_DONE : PULL_WAIT;
}

static void unlink_pending(struct pending *pending)
{
	struct pending **link = &pending->web->pendings;
	while (*link != pending)
		link = &(*link)->next;
	*link = pending->next;
	free(pending);
}

static void reader_left(struct exchange *exchange)
{
	struct pending *pending = exchange->work;
	pending->exchange = NULL;
	if (pending->done)
		unlink_pending(pending);
}

struct pending *pending_new(struct exchange *exchange, size_t size)
{
	struct web *web = exchange->web;
	uint32_t count = 0;
	for (const struct pending *other = web->pendings; other; other = other->next)
		count++;
	struct pending *pending = count < PENDINGS_MAX ? calloc(1, size) : NULL;
	if (!pending) {
		exchange_problem(exchange, 503, "too much is being asked at this moment: again later");
		return NULL;
	}
	*pending = (struct pending){.next = web->pendings, .web = web, .exchange = exchange};
	web->pendings = pending;
	exchange->work = pending;
	exchange->drop = reader_left;
	exchange->pull = pull_pending;
	return pending;
}

void pending_abort(struct pending *pending)
{
	struct exchange *exchange = pending->exchange;
	exchange->work = NULL;
	exchange->drop = NULL;
	exchange->pull = NULL;
	unlink_pending(pending);
}

void pending_end(struct pending *pending)
{
	if (!pending->exchange) {
		unlink_pending(pending);
		return;
	}
	pending->done = true;
	exchange_wake(pending->exchange);
}

void pendings_release(struct web *web)
{
	struct pending *pending;
	while ((pending = web->pendings)) {
		web->pendings = pending->next;
		free(pending);
	}
}
