/* SPDX-License-Identifier: MIT
 *
 * The agent itself: is it alive, is it ready, reload it. As Prometheus and its relatives answer them.
 */
#include "routes.h"

#include "render.h"

#include <stdlib.h>
#include <string.h>

void route_healthy(struct exchange *exchange)
{
	exchange_text(exchange, 200, "callwatch is alive\n");
}

void route_ready(struct exchange *exchange)
{
	if (exchange->web->frontend->ready())
		exchange_text(exchange, 200, "callwatch is ready\n");
	else
		exchange_problem(exchange, 503, "not every source has had its first reading");
}

static void forget(struct reload_wait *wait)
{
	struct reload_wait **link = &wait->web->reloads;
	while (*link != wait)
		link = &(*link)->next;
	*link = wait->next;
	free(wait);
}

static void on_reloaded(void *arg, bool ok, const char *text)
{
	struct reload_wait *wait = arg;
	struct exchange *exchange = wait->exchange;
	forget(wait);
	if (!exchange)
		return;
	exchange->work = NULL;
	exchange->drop = NULL;
	exchange->pull = NULL;
	if (ok) {
		exchange_text(exchange, 200, text);
		buffer_string(&exchange->body, "\n");
	} else {
		configuration_problem(exchange, "the configuration was not taken over: nothing has changed", text);
	}
	exchange_wake(exchange);
}

static enum pull wait_for_outcome(struct exchange *exchange)
{
	(void)exchange;
	return PULL_WAIT;
}

static void no_longer_waited_for(struct exchange *exchange)
{
	struct reload_wait *wait = exchange->work;
	wait->exchange = NULL;
}

void route_reload(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct reload_wait *wait = calloc(1, sizeof *wait);
	if (!wait) {
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	*wait = (struct reload_wait){.next = web->reloads, .web = web, .exchange = exchange};
	web->reloads = wait;
	exchange->hold = true;
	exchange->work = wait;
	exchange->drop = no_longer_waited_for;
	exchange->pull = wait_for_outcome;
	web->frontend->reload(web->self, exchange->by, on_reloaded, wait);
}

/* A reload that restarts this very instance ends it before the outcome is known. */
void reloads_leave(struct web *web)
{
	for (struct reload_wait *wait = web->reloads; wait; wait = wait->next) {
		if (!wait->exchange)
			continue;
		exchange_text(wait->exchange, 202,
			      "this listener ends or starts anew: the outcome is in the log and in table events\n");
		(void)exchange_send_now(wait->exchange);
	}
}

void reloads_release(struct web *web)
{
	struct reload_wait *wait;
	while ((wait = web->reloads)) {
		web->reloads = wait->next;
		free(wait);
	}
}
