/* SPDX-License-Identifier: MIT
 *
 * The readings: what is known is turned into samples; nothing is asked here. While nobody can be seen there are no
 * gauges. Being late is the one thing that can be said without having seen a run: since the agent began to look, or
 * since the last one, more than `expected_every` has passed.
 */
#include "recon.h"

#include "text.h"

#include <errno.h>

enum metric { RUNS_TOTAL, LAST_AGE, LAST_SUCCESS, RUN_DURATION, MISSING, QUEUED, LATE, QUEUE_LENGTH };
_Static_assert(QUEUE_LENGTH + 1 == METRICS, "every metric has its index");

static const char *const end_values[] = {"success", "error", "lost", NULL};

const struct cw_metric recon_metrics[METRICS] = {
	[RUNS_TOTAL] = {.name = "reconciliation_runs_total",
			.kind = CW_COUNTER,
			.unit = "runs",
			.help = "Runs seen to end, by how; one that is lost and found counts twice",
			.labels = {{"status", end_values}}},
	[LAST_AGE] = {.name = "reconciliation_last_run_age_seconds",
		      .unit = "seconds",
		      .help = "Since the last run ended well or badly",
		      .collectd_type = "duration"},
	[LAST_SUCCESS] = {.name = "reconciliation_last_run_success", .help = "1: that run was a success; 0: it failed"},
	[RUN_DURATION] = {.name = "reconciliation_run_duration_seconds",
			  .unit = "seconds",
			  .help = "How long that run took, where its beginning is known",
			  .collectd_type = "duration"},
	[MISSING] = {.name = "reconciliation_missing",
		     .unit = "calls",
		     .help = "Calls without their notification that the last run found"},
	[QUEUED] = {.name = "reconciliation_queued",
		    .unit = "calls",
		    .help = "Notifications that the last run queued again"},
	[LATE] = {.name = "reconciliation_late",
		  .help = "1: no run within expected_every, or since the agent began to look; 0: in time"},
	[QUEUE_LENGTH] = {.name = "celery_queue_length",
			  .unit = "tasks",
			  .help = "Tasks that wait in the broker's queue",
			  .labels = {{"queue", NULL}},
			  .collectd_type = "queue_length"},
};

/* When something was last known to be done about it: a run that ended, or one that began. */
static int64_t last_sign(const struct recon *recon)
{
	int64_t last = 0;
	for (uint32_t i = 0; i < recon->runs.count; i++) {
		const struct run *run = &recon->runs.items[i];
		int64_t sign = run_is_over(run->status)     ? run->finished_at
			       : run->status == RUN_RUNNING ? run->started_at
							    : 0;
		last = sign > last ? sign : last;
	}
	return last;
}

bool recon_is_late(const struct recon *recon, bool *ret_known)
{
	int64_t last = last_sign(recon), wall = recon->host->wall(), every = recon->settings.expected_every;
	int64_t since = last > recon->runs.watching_since ? last : recon->runs.watching_since;
	bool is_late = every && wall - since > every;
	*ret_known = every && recon->sees && (is_late || (last && wall - last <= every));
	return is_late;
}

static void give_last_run(const struct recon *recon)
{
	const struct cw_host *host = recon->host;
	const struct run *last = runs_last_over(&recon->runs);
	if (!last)
		return;
	double age = (double)(host->wall() - last->finished_at) / (double)CW_SECOND;
	host->gauge(recon->self, LAST_AGE, NULL, age > 0 ? age : 0);
	host->gauge(recon->self, LAST_SUCCESS, NULL, last->status == RUN_SUCCESS);
	if (last->started_at && last->finished_at >= last->started_at)
		host->gauge(recon->self, RUN_DURATION, NULL,
			    (double)(last->finished_at - last->started_at) / (double)CW_SECOND);
	if (last->missing >= 0)
		host->gauge(recon->self, MISSING, NULL, (double)last->missing);
	if (last->queued >= 0)
		host->gauge(recon->self, QUEUED, NULL, (double)last->queued);
}

int recon_read(void *state)
{
	struct recon *recon = state;
	const struct cw_host *host = recon->host;
	const char *queue = recon->settings.queue;
	bool is_known, is_late = recon_is_late(recon, &is_known);
	if (!recon->has_looked && !recon->first_began) {
		recon->first_waits = true; /* recon_say() ends it, or the tick */
		recon->first_began = host->now();
		return CW_LATER;
	}
	for (uint32_t i = 0; end_values[i]; i++)
		host->counter(recon->self, RUNS_TOTAL, &end_values[i], recon->ended[RUN_SUCCESS + i]);
	if (recon->sees && recon->is_reported)
		give_last_run(recon);
	if (is_known)
		host->gauge(recon->self, LATE, NULL, is_late);
	if (celery_waiting(recon->celery) >= 0)
		host->gauge(recon->self, QUEUE_LENGTH, &queue, (double)celery_waiting(recon->celery));
	book_refresh(recon);
	return 0;
}
