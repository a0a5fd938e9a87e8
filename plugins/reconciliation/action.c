/* SPDX-License-Identifier: MIT
 *
 * Action `run`: a run is asked for, and the task follows it to its end. Its text is the run's id, which is what the
 * platform's own endpoint answers with. One at a time: the core sees to it among tasks, and here a run that an earlier
 * life of ours asked for is waited for too. If callwatch ends meanwhile the task is lost, the run is not: it is in the
 * table, which goes on following it. So it does when the task is cancelled: nobody can call a run back, and there is no
 * other until it is over.
 */
#include "recon.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct action {
	struct cw_task *task;
	char run_id[RUN_ID_SIZE]; /* "": not known yet */
	bool is_cancelled;        /* before it was known whether there is a run */
};

static void end(struct recon *recon, enum cw_task_state state, const char *reason)
{
	struct action *action = recon->action;
	recon->action = NULL;
	recon->host->task_end(action->task, state, "%s", reason);
	free(action);
}

static void end_with(struct recon *recon, const struct run *run)
{
	char text[RUN_ERROR_MAX + 80] = "it succeeded";
	if (run->status == RUN_SUCCESS && run->missing >= 0 && run->queued >= 0)
		snprintf(text, sizeof(text), "%lld missing, %lld queued again", (long long)run->missing,
			 (long long)run->queued);
	else if (run->status != RUN_SUCCESS)
		snprintf(text, sizeof(text), "%s", run->error[0] ? run->error : "it failed without saying why");
	end(recon,
	    run->status == RUN_SUCCESS ? CW_TASK_SUCCESS
	    : run->status == RUN_ERROR ? CW_TASK_ERROR
				       : CW_TASK_LOST,
	    text);
}

void action_news(struct recon *recon, const struct run *run)
{
	if (recon->action && strcmp(recon->action->run_id, run->id) == 0 && !book_is_pending(run))
		end_with(recon, run);
}

static void leave(struct recon *recon)
{
	char text[RUN_ID_SIZE + 80];
	snprintf(text, sizeof(text), "run %s goes on, table runs tells what becomes of it", recon->action->run_id);
	end(recon, CW_TASK_CANCELLED, text);
}

/* It may be over already, if we are told late. */
static void on_sent(void *arg, const char *run_id, const char *reason)
{
	struct recon *recon = arg;
	if (!recon->action)
		return; /* we are being stopped */
	if (!run_id || reason) {
		end(recon, run_id ? CW_TASK_LOST : CW_TASK_ERROR, reason);
		return;
	}
	snprintf(recon->action->run_id, sizeof(recon->action->run_id), "%s", run_id);
	recon->host->task_progress(recon->action->task, 0, 0, 0, "%s", run_id);
	const struct run *run = runs_find(&recon->runs, run_id);
	if (run)
		action_news(recon, run);
	if (recon->action && recon->action->is_cancelled)
		leave(recon);
}

/* Why no run may be asked for now; false: it may. */
static bool is_refused(struct recon *recon, char reason[REASON_MAX])
{
	const struct run *under_way = runs_under_way(&recon->runs);
	int64_t wall = recon->host->wall(), last = 0;
	for (uint32_t i = 0; i < recon->runs.count; i++)
		if (recon->runs.items[i].requested_at > last)
			last = recon->runs.items[i].requested_at;
	int64_t left = last ? last + recon->settings.cool_down - wall : 0;
	if (under_way)
		snprintf(reason, REASON_MAX, "run %s is still %s, asked for %s ago: there is one at a time",
			 under_way->id, run_status_names[under_way->status],
			 text_ns(wall - under_way->requested_at).text);
	else if (left > 0 && left <= recon->settings.cool_down)
		snprintf(reason, REASON_MAX, "cool_down: a run was asked for %s ago, the next may be in %s",
			 text_ns(wall - last).text, text_ns(left).text);
	else
		return false;
	return true;
}

void recon_act(void *state, struct cw_task *task, const struct cw_request *request)
{
	struct recon *recon = state;
	char reason[REASON_MAX];
	if (is_refused(recon, reason)) {
		recon->host->task_end(task, CW_TASK_ERROR, "%s", reason);
		return;
	}
	recon->action = calloc(1, sizeof(*recon->action));
	if (!recon->action) {
		recon->host->task_end(task, CW_TASK_ERROR, "out of memory, nothing was sent");
		return;
	}
	recon->action->task = task;
	if (recon->backend)
		backend_request(recon->backend, request->by, on_sent, recon);
	else
		celery_request(recon->celery, request->by, on_sent, recon);
}

/* What is being asked for ends as what comes of that, which the request's deadline bounds: one request at a time. */
void recon_cancel(void *state, struct cw_task *task)
{
	struct recon *recon = state;
	if (!recon->action || recon->action->task != task)
		return;
	recon->action->is_cancelled = true;
	if (recon->action->run_id[0])
		leave(recon);
}

void action_stop(struct recon *recon)
{
	if (recon->action)
		end(recon, CW_TASK_LOST, "callwatch stopped following it; what became of the run is in table runs");
}
