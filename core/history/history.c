/* SPDX-License-Identifier: MIT
 *
 * See history.h and history_private.h. Here: its life. The thread that writes is the journal's; the one that reads is
 * made here, with a loop for its mail and for the tick.
 */
#include "clock.h"
#include "history_private.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUESTIONS_MAX = 256, TICK_MS = 10000 };

uint64_t history_dropped(const struct history *history)
{
	return history ? atomic_load(&history->dropped) + journal_lost(history->journal) : 0;
}

static void on_tick(uv_timer_t *timer)
{
	(void)history_post_tick(timer->data);
}

static void on_stop(uv_async_t *async)
{
	struct history *history = async->data;
	mailbox_close(history->box);
	uv_close((uv_handle_t *)&history->stop, NULL);
	uv_close((uv_handle_t *)&history->tick, NULL);
}

static void *run(void *arg)
{
	struct history *history = arg;
	pthread_setname_np(pthread_self(), "history");
	uv_run(&history->loop, UV_RUN_DEFAULT);
	history_close_reading(history);
	uv_loop_close(&history->loop);
	pthread_mutex_lock(&history->lock);
	history->ended = true;
	pthread_cond_broadcast(&history->changed);
	pthread_mutex_unlock(&history->lock);
	return NULL;
}

static int start_reading(struct history *history)
{
	int rc = uv_loop_init(&history->loop);
	if (rc < 0)
		return rc;
	uv_timer_init(&history->loop, &history->tick);
	history->tick.data = history->stop.data = history;
	if ((rc = uv_async_init(&history->loop, &history->stop, on_stop)) < 0 ||
	    (rc = uv_timer_start(&history->tick, on_tick, TICK_MS, TICK_MS)) < 0 ||
	    (rc = mailbox_attach(history->box, &history->loop, history)) < 0)
		return rc;
	rc = -pthread_create(&history->thread, /* attributes */ NULL, run, history);
	history->started = rc == 0;
	return rc;
}

int history_start(struct history *history)
{
	int rc = journal_start(history->journal);
	if (rc == 0)
		rc = start_reading(history);
	if (rc == 0)
		(void)history_post_tick(history);
	return rc;
}

static bool wait_for_end(struct history *history, int64_t deadline)
{
	struct timespec until = clock_deadline(deadline - clock_now());
	pthread_mutex_lock(&history->lock);
	while (!history->ended && pthread_cond_timedwait(&history->changed, &history->lock, &until) == 0)
		;
	bool ended = history->ended;
	pthread_mutex_unlock(&history->lock);
	return ended;
}

void history_stop(struct history *history, int64_t deadline)
{
	if (!history)
		return;
	if (history->started) {
		uv_async_send(&history->stop);
		if (wait_for_end(history, deadline)) {
			pthread_join(history->thread, NULL);
			history->started = false;
		} else {
			log_line(NULL, CW_ERROR, "history: the disk under %s does not answer", history->options.folder);
			pthread_detach(history->thread);
		}
	}
	(void)history_post_tick(history); /* until when everything was watched */
	journal_stop(history->journal, deadline);
}

bool history_was_left(const struct history *history)
{
	return history && (history->started || journal_was_left(history->journal));
}

static void on_said(void *arg, const char *text)
{
	const struct history *history = arg;
	history->options.said(history->options.arg, text);
}

static void on_opened(void *arg, struct sqlite3 *db)
{
	(void)arg;
	(void)db;
}

struct history *history_new(const struct history_options *options)
{
	struct history *history = calloc(1, sizeof *history);
	if (!history)
		return NULL;
	history->options = *options;
	history->options.folder = strdup(options->folder);
	history->began = clock_wall();
	history->box = mailbox_new(QUESTIONS_MAX);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&history->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&history->lock, /* attributes */ NULL);
	if (history->options.folder)
		history->journal = journal_new(&(struct journal_options){.kind = &history_db,
									 .folder = history->options.folder,
									 .opened = on_opened,
									 .attached = history_attached,
									 .detaching = history_detaching,
									 .said = on_said,
									 .arg = history});
	if (history->journal && history->box)
		return history;
	history_free(history);
	return NULL;
}

void history_free(struct history *history)
{
	if (!history)
		return;
	journal_free(history->journal);
	mailbox_unref(history->box);
	pthread_cond_destroy(&history->changed);
	pthread_mutex_destroy(&history->lock);
	free((char *)history->options.folder);
	free(history);
}
