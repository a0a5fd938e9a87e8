/* SPDX-License-Identifier: MIT
 *
 * Where a report becomes news: the list of runs and its file, the rows of table `runs`, the counters, and the action
 * that waits for a run. The rest of the plugin changes no run otherwise.
 */
#include "recon.h"
#include "runs_file.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- rows ---- */

/* From when it is known to have begun, to its end or now. */
static struct cw_cell duration_cell(const struct recon *recon, const struct run *run)
{
	int64_t end = run->status == RUN_RUNNING ? recon->host->wall() : run->finished_at;
	if (!run->started_at || !end)
		return cw_null_cell();
	double seconds = (double)(end - run->started_at) / (double)CW_SECOND;
	return cw_real_cell(fmax(seconds, 0));
}

static void put_row(struct recon *recon, const struct run *run)
{
	const struct cw_cell cells[RUNS_COLUMNS] = {
		[COLUMN_RUN_ID] = cw_string_cell(run->id),
		[COLUMN_TASK_ID] = cw_string_cell(run->task_id),
		[COLUMN_ORIGIN] = cw_integer_cell(run->origin),
		[COLUMN_BY] = cw_string_cell(run->by),
		[COLUMN_STATUS] = cw_integer_cell(run->status),
		[COLUMN_REQUESTED] = cw_time_cell(run->requested_at),
		[COLUMN_STARTED] = cw_time_cell(run->started_at),
		[COLUMN_FINISHED] = cw_time_cell(run->finished_at),
		[COLUMN_DURATION] = duration_cell(recon, run),
		[COLUMN_MISSING] = run->missing < 0 ? cw_null_cell() : cw_integer_cell(run->missing),
		[COLUMN_QUEUED] = run->queued < 0 ? cw_null_cell() : cw_integer_cell(run->queued),
		[COLUMN_ERROR] = cw_string_cell(run->error),
		[COLUMN_UPDATED] = cw_time_cell(run->updated_at),
	};
	recon->host->row_put(recon->part, cells);
}

static void remove_row(struct recon *recon, const struct run *run, const char *why)
{
	int64_t row = recon->host->row_find(recon->part, run->id, strlen(run->id));
	if (row >= 0)
		recon->host->row_remove(recon->part, (uint32_t)row, why);
}

void book_refresh(struct recon *recon)
{
	int64_t wall = recon->host->wall();
	for (uint32_t i = 0; i < recon->runs.count; i++) {
		const struct run *run = &recon->runs.items[i];
		int64_t row = run->status == RUN_RUNNING ? recon->host->row_find(recon->part, run->id, strlen(run->id))
							 : -ENOENT;
		struct cw_change change = {.column = COLUMN_DURATION, .cell = duration_cell(recon, run)};
		if (row >= 0)
			recon->host->row_touch(recon->part, (uint32_t)row, &change, 1);
	}
	if (recon->sees)
		recon->host->coverage(recon->part,
				      &(struct cw_coverage){.from = wall, .to = wall, .complete = true, .ratio = 1});
}

/* ---- the file ---- */

void book_save(struct recon *recon)
{
	if (!recon->is_changed || !recon->info->state_dir)
		return;
	int status = runs_file_write(recon->info->state_dir, &recon->runs);
	if (status < 0 && !recon->cannot_write)
		recon->host->log(recon->self, CW_WARNING,
				 "%s/runs cannot be written: %s; runs are kept in memory only until it can",
				 recon->info->state_dir, strerror(-status));
	recon->cannot_write = status < 0;
	recon->is_changed = status < 0;
}

static void read_file(struct recon *recon)
{
	const struct cw_host *host = recon->host;
	int status = recon->info->state_dir
			     ? runs_file_read(recon->info->state_dir, &recon->runs, host->now(), host->wall())
			     : -ENOENT;
	if (status == -EBADMSG)
		host->log(recon->self, CW_ERROR,
			  "%s/runs is damaged and is set aside as runs.damaged: the runs before now are forgotten",
			  recon->info->state_dir);
	else if (status < 0 && status != -ENOENT)
		host->log(recon->self, CW_WARNING, "%s/runs cannot be read: %s; the runs before now are not known",
			  recon->info->state_dir, strerror(-status));
}

int book_open(struct recon *recon)
{
	int status = recon->host->table_open(recon->self, 0, /* extra */ NULL, &recon->part);
	if (status < 0)
		return status;
	status = runs_init(&recon->runs, recon->settings.keep);
	if (status < 0)
		return status;
	read_file(recon);
	if (!recon->runs.watching_since) {
		recon->runs.watching_since = recon->born;
		recon->is_changed = true;
	}
	recon->host->full_begin(recon->part); /* rows of an earlier life that we do not keep any more go */
	for (uint32_t i = 0; i < recon->runs.count; i++)
		put_row(recon, &recon->runs.items[i]);
	recon->host->full_end(recon->part, /* missing */ NULL, NULL);
	return 0;
}

/* ---- news ---- */

/* What had ended before we came was found, and did not happen while we watched. */
static void count_end(struct recon *recon, const struct run *run, bool is_new)
{
	bool is_end = run_is_over(run->status) || run->status == RUN_LOST;
	if (is_end && (!is_new || run->finished_at >= recon->born))
		recon->ended[run->status]++;
}

static void is_news(struct recon *recon, struct run *run)
{
	run->updated_at = recon->host->wall();
	run->heard = recon->host->now();
	run = runs_touch(&recon->runs, run);
	recon->is_changed = true;
	put_row(recon, run);
	action_news(recon, run);
}

struct run *book_add(struct recon *recon, const struct run *run)
{
	struct run dropped, copy = *run;
	copy.updated_at = recon->host->wall();
	copy.heard = recon->host->now();
	if (runs_add(&recon->runs, &copy, &dropped))
		remove_row(recon, &dropped, "old");
	recon->is_changed = true;
	put_row(recon, &recon->runs.items[0]);
	count_end(recon, &copy, /* is_new */ true);
	return &recon->runs.items[0];
}

void book_forget(struct recon *recon, struct run *run, const char *why)
{
	remove_row(recon, run, why);
	runs_remove(&recon->runs, run);
	recon->is_changed = true;
}

void book_rename(struct recon *recon, struct run *run, const char *task_id)
{
	remove_row(recon, run, "renamed");
	snprintf(run->id, sizeof(run->id), "%s", task_id);
	snprintf(run->task_id, sizeof(run->task_id), "%s", task_id);
	recon->is_changed = true;
	put_row(recon, run);
}

static bool is_same(const struct run *run, const struct report *report)
{
	return run->status == report->status && run->missing == report->missing && run->queued == report->queued &&
	       strcmp(run->error, report->error) == 0;
}

void book_report(struct recon *recon, struct run *run, const struct report *report)
{
	int64_t wall = recon->host->wall();
	bool turned = run->status != report->status;
	if (run_is_over(run->status) || is_same(run, report)) {
		if (book_is_pending(run) && run->status == RUN_QUEUED)
			run->heard = recon->host->now(); /* it is known to wait */
		return;
	}
	run->status = report->status;
	run->missing = report->missing;
	run->queued = report->queued;
	memcpy(run->error, report->error, sizeof(run->error));
	if (run->status == RUN_RUNNING && !run->started_at)
		run->started_at = wall;
	if (run_is_over(run->status))
		run->finished_at = report->finished_at ? report->finished_at : wall;
	if (turned)
		count_end(recon, run, /* is_new */ false);
	is_news(recon, run);
}

void book_lose(struct recon *recon, struct run *run, const char *why)
{
	struct report report = {.status = RUN_LOST, .missing = -1, .queued = -1};
	snprintf(report.error, sizeof(report.error), "%s", why);
	book_report(recon, run, &report);
}

void book_silence(struct recon *recon, struct run *run, const char *why)
{
	if (book_is_pending(run) && recon->host->now() - run->heard > recon->settings.lost_after)
		book_lose(recon, run, why);
}

void book_silence_all(struct recon *recon, const char *why)
{
	/* One that is lost goes to the front, which has been passed. */
	for (uint32_t i = 0; i < recon->runs.count; i++)
		book_silence(recon, &recon->runs.items[i], why);
}
