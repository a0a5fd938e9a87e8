/* SPDX-License-Identifier: MIT
 *
 * worker: a source with actions, and a table `jobs` of `count` rows (job-00000 …, by turns `open` and `stuck`).
 *
 * - `finish` acts on rows: `rate` a second, each as its number says: every `fail_each`-th fails, every `lose_each`-th
 * is unknown; the row's state becomes `done`.
 * - `run` is single and has no rows: `steps` steps of `step`, then it succeeds; with `fail` it ends in error.
 * - `misbehave` does what `how` says: ends twice, tells of a row twice or of one that nobody chose, never ends, blocks,
 *   speaks from a handle of its own making.
 *
 * With `endpoint_key`, POST and GET /api/v1/internal/worker/… answer like another program's API.
 */
#include <callwatch/plugin.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static const struct cw_option options[] = {
	{.key = "count", .type = CW_OPTION_INT, .fallback = "10", .min = 0, .max = 200000, .help = "How many jobs"},
	{.key = "exist",
	 .type = CW_OPTION_INT,
	 .fallback = "0",
	 .min = 0,
	 .max = 1e9,
	 .help = "How many there really are"},
	{.key = "allow_actions", .type = CW_OPTION_BOOL, .fallback = "true", .help = "May anybody finish jobs"},
	{.key = "endpoint_key", .type = CW_OPTION_STRING, .flags = CW_OPTION_SECRET, .help = "Key of the endpoints"},
};

static const char *const states[] = {"open", "stuck", "done", NULL};
enum { OPEN, STUCK, DONE };
enum { ID, STATE, NOTE, COLUMNS };
static const struct cw_column columns[COLUMNS] = {
	[ID] = {.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "The job"},
	[STATE] = {.name = "state",
		   .type = CW_CHOICE,
		   .flags = CW_COLUMN_WATCHED,
		   .choices = states,
		   .help = "How it is"},
	[NOTE] = {.name = "note", .type = CW_TEXT, .help = "A note with a number in it"},
};
static const struct cw_table_decl tables[] = {
	{.name = "jobs", .help = "Jobs", .columns = CW_ARRAY(columns), .sort = "id"},
};

static const struct cw_option finish_arguments[] = {
	{.key = "rate",
	 .type = CW_OPTION_NUMBER,
	 .fallback = "1000000",
	 .min = 0.1,
	 .max = 1e6,
	 .help = "Jobs a second"},
	{.key = "fail_each", .type = CW_OPTION_INT, .fallback = "0", .help = "Every so-manieth fails; 0: none"},
	{.key = "lose_each", .type = CW_OPTION_INT, .fallback = "0", .help = "Every so-manieth is unknown; 0: none"},
};
static const struct cw_option run_arguments[] = {
	{.key = "steps", .type = CW_OPTION_INT, .fallback = "1", .min = 1, .max = 1000000, .help = "How many steps"},
	{.key = "step", .type = CW_OPTION_DURATION, .fallback = "1ms", .help = "How long a step takes"},
	{.key = "fail", .type = CW_OPTION_BOOL, .fallback = "false", .help = "Whether it fails at its end"},
};
static const char *const hows[] = {"end_twice", "tell_twice", "tell_other", "never", "block", "made_up", NULL};
enum { END_TWICE, TELL_TWICE, TELL_OTHER, NEVER, BLOCK, MADE_UP };
static const struct cw_option misbehave_arguments[] = {
	{.key = "how", .type = CW_OPTION_CHOICE, .flags = CW_OPTION_REQUIRED, .choices = hows, .help = "In which way"},
};

enum { FINISH, RUN, MISBEHAVE };
static const struct cw_action actions[] = {
	[FINISH] = {.name = "finish",
		    .help = "Finish jobs",
		    .danger = "what is finished cannot be begun again",
		    .table = "jobs",
		    .arguments = CW_ARRAY(finish_arguments),
		    .allowed_by = "allow_actions"},
	[RUN] = {.name = "run",
		 .help = "Run in steps",
		 .flags = CW_ACTION_SINGLE,
		 .arguments = CW_ARRAY(run_arguments)},
	[MISBEHAVE] = {.name = "misbehave",
		       .help = "Be wrong in some way",
		       .table = "jobs",
		       .arguments = CW_ARRAY(misbehave_arguments)},
};

static const struct cw_member run_members[] = {{"run_id", "text"}, {"state", "state"}};
static const struct cw_member status_members[] = {{"job", "id"}, {"state", "state"}, {"note", "note"}};
static const struct cw_endpoint endpoints[] = {
	{.method = "POST",
	 .path = "/api/v1/internal/worker/run",
	 .kind = CW_ENDPOINT_ACTION,
	 .action = "run",
	 .members = CW_ARRAY(run_members),
	 .key_option = "endpoint_key",
	 .wait_ms = 5000},
	{.method = "GET",
	 .path = "/api/v1/internal/worker/status",
	 .kind = CW_ENDPOINT_ROW,
	 .table = "jobs",
	 .where = "state=stuck",
	 .sort = "-id",
	 .members = CW_ARRAY(status_members),
	 .key_option = "endpoint_key"},
};

struct work {
	struct work *next;
	struct worker *worker;
	struct cw_task *task;
	const struct cw_request *request;
	uv_timer_t timer;
	uint32_t at;
	int64_t since; /* instant */
};

struct worker {
	struct cw_instance *self;
	const struct cw_host *host;
	struct cw_part *jobs;
	struct work *works;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void drop(struct work *work)
{
	struct work **link = &work->worker->works;
	while (*link != work)
		link = &(*link)->next;
	*link = work->next;
	uv_close((uv_handle_t *)&work->timer, on_closed);
}

static bool each(const struct cw_request *request, const char *argument, uint32_t at)
{
	int64_t each = cw_get_integer(request->arguments, argument, 0);
	return each > 0 && (at + 1) % each == 0;
}

static void finish_one(struct work *work, const char *key)
{
	const struct cw_host *host = work->worker->host;
	int64_t row = host->row_find(work->worker->jobs, key, strlen(key));
	struct cw_change done = {.column = STATE, .cell = {.type = CW_CELL_INTEGER, .integer = DONE}};
	if (each(work->request, "fail_each", work->at)) {
		host->task_item(work->task, key, CW_ITEM_FAILED, "it is number %u", work->at);
	} else if (each(work->request, "lose_each", work->at)) {
		host->task_item(work->task, key, CW_ITEM_UNKNOWN, "no answer came");
	} else if (row < 0) {
		host->task_item(work->task, key, CW_ITEM_GONE, NULL);
	} else {
		host->row_touch(work->worker->jobs, (uint32_t)row, &done, 1);
		host->task_item(work->task, key, CW_ITEM_DONE, NULL);
	}
}

static void on_finish(uv_timer_t *timer)
{
	struct work *work = timer->data;
	const struct cw_host *host = work->worker->host;
	double rate = cw_get_number(work->request->arguments, "rate", 1);
	double due = floor((double)(host->now() - work->since) / 1e9 * rate) + 1;
	while (work->at < work->request->keys_count && work->at < due) {
		finish_one(work, work->request->keys[work->at]);
		work->at++;
	}
	if (work->at < work->request->keys_count)
		return;
	host->task_end(work->task, CW_TASK_SUCCESS, "all %u were tried", work->at);
	drop(work);
}

static void on_run(uv_timer_t *timer)
{
	struct work *work = timer->data;
	const struct cw_host *host = work->worker->host;
	const struct cw_value *arguments = work->request->arguments, *fail = cw_get(arguments, "fail");
	uint32_t steps = (uint32_t)cw_get_integer(arguments, "steps", 1);
	host->task_progress(work->task, ++work->at, 0, steps, "run-%s", work->request->id);
	if (work->at < steps)
		return;
	host->task_end(work->task, fail->boolean ? CW_TASK_ERROR : CW_TASK_SUCCESS, "%s",
		       fail->boolean ? "it failed at its end, as it was told to" : "");
	drop(work);
}

static void begin(struct worker *worker, struct cw_task *task, const struct cw_request *request, uv_timer_cb turn,
		  uint64_t every)
{
	struct work *work = calloc(1, sizeof *work);
	if (!work)
		abort();
	*work = (struct work){.worker = worker, .task = task, .request = request, .since = worker->host->now()};
	work->next = worker->works;
	worker->works = work;
	uv_timer_init(worker->host->loop(worker->self), &work->timer);
	work->timer.data = work;
	uv_timer_start(&work->timer, turn, every, every);
}

static void misbehave(struct worker *worker, struct cw_task *task, const struct cw_request *request)
{
	const struct cw_host *host = worker->host;
	switch (cw_get_integer(request->arguments, "how", NEVER)) {
	case END_TWICE:
		host->task_end(task, CW_TASK_SUCCESS, "the first end");
		host->task_end(task, CW_TASK_ERROR, "the second end");
		host->task_progress(task, 1, 1, 1, "after the end");
		return;
	case TELL_TWICE:
		host->task_item(task, request->keys[0], CW_ITEM_DONE, NULL);
		host->task_item(task, request->keys[0], CW_ITEM_FAILED, "a second word");
		break;
	case TELL_OTHER:
		host->task_item(task, "nobody", CW_ITEM_DONE, NULL);
		break;
	case BLOCK:
		nanosleep(&(struct timespec){600, 0}, NULL);
		break;
	case MADE_UP:
		host->task_end((struct cw_task *)worker, CW_TASK_SUCCESS, NULL);
		break;
	default:
		return;
	}
	host->task_end(task, CW_TASK_SUCCESS, NULL);
}

static void worker_act(void *state, struct cw_task *task, const struct cw_request *request)
{
	struct worker *worker = state;
	if (request->action == FINISH)
		begin(worker, task, request, on_finish, 1);
	else if (request->action == RUN)
		begin(worker, task, request, on_run,
		      (uint64_t)cw_get_integer(request->arguments, "step", CW_MILLISECOND) / 1000000);
	else
		misbehave(worker, task, request);
}

static struct work *find(struct worker *worker, const struct cw_task *task)
{
	struct work *work = worker->works;
	while (work && work->task != task)
		work = work->next;
	return work;
}

static void worker_cancel(void *state, struct cw_task *task)
{
	struct worker *worker = state;
	struct work *work = find(worker, task);
	if (!work) /* one that misbehaves */
		return;
	worker->host->task_end(task, CW_TASK_CANCELLED, "cancelled after %u", work->at);
	drop(work);
}

static void put_jobs(struct worker *worker, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char id[32], note[48];
		int length = snprintf(id, sizeof id, "job-%05u", i);
		int note_length = snprintf(note, sizeof note, "call +1415555%04u", i % 10000);
		struct cw_cell cells[COLUMNS] = {
			[ID] = {.type = CW_CELL_TEXT, .length = (uint32_t)length, .text = id},
			[STATE] = {.type = CW_CELL_INTEGER, .integer = i % 2 ? STUCK : OPEN},
			[NOTE] = {.type = CW_CELL_TEXT, .length = (uint32_t)note_length, .text = note},
		};
		worker->host->row_put(worker->jobs, cells);
	}
}

static int worker_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			void **ret_state)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return -12; /* ENOMEM */
	*ret_state = worker;
	worker->self = self;
	worker->host = host;
	int rc = host->table_open(self, 0, NULL, &worker->jobs);
	if (rc < 0)
		return rc;
	int64_t count = cw_get_integer(values, "count", 0), exist = cw_get_integer(values, "exist", 0);
	put_jobs(worker, (uint32_t)count);
	struct cw_coverage coverage = {.from = host->wall(),
				       .to = host->wall(),
				       .complete = exist <= count,
				       .ratio = exist > count ? (double)count / (double)exist : 1};
	host->coverage(worker->jobs, &coverage);
	host->event(self, "jobs", "%lld jobs are there", (long long)count);
	return 0;
}

static int worker_read(void *state)
{
	(void)state;
	return 0;
}

/* Leaves its tasks behind, as a plugin should not. */
static void worker_stop(void *state)
{
	struct worker *worker = state;
	while (worker->works)
		drop(worker->works);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "worker",
	.summary = "A source with actions, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.actions = CW_ARRAY(actions),
	.endpoints = CW_ARRAY(endpoints),
	.start = worker_start,
	.read = worker_read,
	.stop = worker_stop,
	.release = free,
	.act = worker_act,
	.cancel = worker_cancel,
};
