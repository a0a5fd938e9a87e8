/* SPDX-License-Identifier: MIT
 *
 * Source reconciliation: the job that looks for calls whose log notification is missing, whether it runs, when it ran
 * and what came of it. This file has what the plugin says of itself (at the end), its options, its life, its tick of
 * one second, and the one place that tells its state. recon.h has the reading order of the rest.
 */
#include "recon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_status_path[] = "/api/v1/internal/admin/reconciliation/status";
static const char default_trigger_path[] = "/api/v1/internal/admin/reconciliation/trigger";
static const char default_redis[] = "redis://127.0.0.1:6379/0";

/* ---- the state ---- */

static void end_first(struct recon *recon, int status)
{
	recon->first_waits = false;
	recon->host->read_done(recon->self, status);
}

void recon_say(struct recon *recon, enum cw_state state, int64_t next_try, const char *reason, ...)
{
	char text[REASON_MAX + 120];
	va_list list;
	va_start(list, reason);
	vsnprintf(text, sizeof(text), reason, list);
	va_end(list);
	recon->sees = state != CW_DOWN;
	recon->has_looked = true;
	recon->host->state(recon->self, state, next_try, "%s", text);
	if (recon->first_waits)
		end_first(recon, recon->sees ? recon_read(recon) : -ENOTCONN);
}

/* Who takes long to answer holds up the first reading, but not for ever. */
static void check_first(struct recon *recon)
{
	int64_t waited = recon->host->now() - recon->first_began;
	if (recon->first_waits && !recon->info->once && waited > recon->info->timeout / 2)
		end_first(recon, -ETIMEDOUT);
}

static void on_tick(uv_timer_t *timer)
{
	struct recon *recon = timer->data;
	if (recon->backend)
		backend_tick(recon->backend);
	else
		celery_tick(recon->celery);
	checks_tick(recon->checks);
	check_first(recon);
	book_save(recon);
}

/* ---- options ---- */

static bool is_celery(const struct cw_value *options)
{
	return cw_get_integer(options, "mode", 0) == 1;
}

static void check_other_mode(const struct cw_value *options, const char *const *keys, const char *mode,
			     struct cw_problems *problems)
{
	for (; *keys; keys++) {
		const struct cw_value *value = cw_get(options, *keys);
		if (value && value->is_set)
			problems->warning(problems, value, "%s is of no use in mode %s", *keys, mode);
	}
}

static void check_path(const struct cw_value *options, const char *key, struct cw_problems *problems)
{
	const struct cw_value *value = cw_get(options, key);
	const char *path = value && value->known ? value->string : NULL;
	bool ok = path && path[0] == '/' && strlen(path) <= 512;
	for (; ok && *path; path++)
		ok = *path > ' ' && *path <= '~' && *path != '#';
	if (value && value->known && !ok)
		problems->error(problems, value, "%s begins with / and has no spaces and no #", key);
}

static void check_http(const struct cw_value *options, struct cw_problems *problems)
{
	static const char *const others[] = {"task", "task_queue", "username", "password", "observe", NULL};
	const struct cw_value *key = cw_get(options, "api_key");
	if (!cw_get_string(options, "url"))
		problems->error(problems, cw_get(options, "mode"), "mode http needs url: http://backend:8000");
	http_check_options(options, "url", problems);
	check_path(options, "status_path", problems);
	check_path(options, "trigger_path", problems);
	if (key && key->known && key->string)
		for (const char *c = key->string; *c; c++)
			if (*c < ' ' || *c > '~') {
				problems->error(problems, key, "api_key must be one line of printable ASCII");
				break;
			}
	check_other_mode(options, others, "http", problems);
}

static void check_celery(const struct cw_value *options, struct cw_problems *problems)
{
	static const char *const others[] = {"api_key", "status_path", "trigger_path", "request_timeout", NULL};
	static const char *const texts[] = {"task", "task_queue"};
	redis_check_options(options, problems);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = cw_get_string(options, texts[i]);
		if (text && (!text[0] || strlen(text) > 255))
			problems->error(problems, cw_get(options, texts[i]), "%s must have 1 to 255 characters",
					texts[i]);
	}
	check_other_mode(options, others, "celery", problems);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	if (is_celery(options))
		check_celery(options, problems);
	else
		check_http(options, problems);
}

static int take_settings(struct settings *settings, const struct cw_value *options)
{
	char error[REDIS_ERROR_MAX];
	const char *url = cw_get_string(options, "url");
	*settings = (struct settings){
		.is_celery = is_celery(options),
		.observe = cw_get_bool(options, "observe"),
		.url = url,
		.api_key = cw_get_string(options, "api_key"),
		.status_path = cw_get_string(options, "status_path"),
		.trigger_path = cw_get_string(options, "trigger_path"),
		.username = cw_get_string(options, "username"),
		.password = cw_get_string(options, "password"),
		.task = cw_get_string(options, "task"),
		.queue = cw_get_string(options, "task_queue"),
		.expected_every = cw_get_integer(options, "expected_every", 0),
		.lost_after = cw_get_integer(options, "lost_after", 600 * CW_SECOND),
		.cool_down = cw_get_integer(options, "cool_down", 0),
		.request_timeout = cw_get_integer(options, "request_timeout", 10 * CW_SECOND),
		.keep = (uint32_t)cw_get_integer(options, "keep", 200),
	};
	if (!settings->is_celery)
		return url ? 0 : -EINVAL;
	return redis_address_parse(url ? url : default_redis, &settings->address, error);
}

/* ---- life ---- */

/* check() has seen the same certificates, so this fails for want of memory only. */
static int make_tls(struct recon *recon, const struct cw_value *options)
{
	char error[TLS_ERROR_MAX];
	const struct cw_value *value;
	if (!recon->settings.address.is_tls)
		return 0;
	int status = tls_client_new(options, &recon->tls, &value, error);
	if (status < 0)
		recon->host->state(recon->self, CW_DOWN, /* next_try */ 0, "%s", error);
	recon->settings.address.tls = recon->tls;
	return status;
}

static void stop(void *state)
{
	struct recon *recon = state;
	action_stop(recon);
	backend_stop(recon->backend);
	celery_stop(recon->celery);
	checks_stop(recon->checks);
	book_save(recon);
	if (recon->tick.loop && !uv_is_closing((uv_handle_t *)&recon->tick))
		uv_close((uv_handle_t *)&recon->tick, /* close_cb */ NULL);
}

static void release(void *state)
{
	struct recon *recon = state;
	if (!recon)
		return;
	backend_free(recon->backend);
	celery_free(recon->celery);
	checks_free(recon->checks);
	runs_release(&recon->runs);
	tls_client_free(recon->tls);
	free(recon);
}

static int start_looking(struct recon *recon)
{
	uv_timer_init(recon->host->loop(recon->self), &recon->tick);
	recon->tick.data = recon;
	uv_timer_start(&recon->tick, on_tick, 0, 1000);
	if (!(recon->checks = checks_new(recon)))
		return -ENOMEM;
	return recon->settings.is_celery ? celery_start(recon) : backend_start(recon);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct recon *recon = calloc(1, sizeof(*recon));
	if (!recon)
		return -ENOMEM;
	*recon = (struct recon){
		.self = self, .host = host, .info = host->info(self), .options = options, .born = host->wall()};
	*ret_state = recon;
	int status = take_settings(&recon->settings, options);
	if (status == 0)
		status = make_tls(recon, options);
	if (status == 0)
		status = book_open(recon);
	if (status == 0)
		status = start_looking(recon);
	if (status < 0)
		stop(recon);
	return status;
}

/* ---- what the plugin is ---- */

static const char *const mode_choices[] = {"http", "celery", NULL};

static const struct cw_option options[] = {
	{.key = "mode",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "http",
	 .choices = mode_choices,
	 .help = "http: the platform's endpoints tell of runs; celery: Celery's own broker and results do"},
	{.key = "url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION,
	 .help = "Where: http://backend:8000 or https://…; in mode celery the Redis, redis://127.0.0.1:6379/0 if not "
		 "said"},
	{.key = "api_key",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "Mode http: the header X-API-Key; better in a file: api_key_file"},
	{.key = "status_path",
	 .type = CW_OPTION_STRING,
	 .fallback = default_status_path,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Mode http: where the status is asked for"},
	{.key = "trigger_path",
	 .type = CW_OPTION_STRING,
	 .fallback = default_trigger_path,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Mode http: where a run is asked for"},
	{.key = "request_timeout",
	 .type = CW_OPTION_DURATION,
	 .fallback = "10s",
	 .min = 100e6,
	 .max = 300e9,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Mode http: a request must be answered, as a whole, within this"},
	{.key = "username",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION,
	 .help = "Mode celery: the ACL user of the Redis; without one, the default user"},
	{.key = "password",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET,
	 .help = "Mode celery: the user's password; better in a file: password_file"},
	TLS_CONNECTION_OPTIONS,
	{.key = "task",
	 .type = CW_OPTION_STRING,
	 .fallback = "app.tasks.reconciliation_tasks.reconcile_call_logs",
	 .help = "Mode celery: the task's name"},
	{.key = "task_queue",
	 .type = CW_OPTION_STRING,
	 .fallback = "celery",
	 .help = "Mode celery: the queue it goes into"},
	{.key = "observe",
	 .type = CW_OPTION_BOOL,
	 .fallback = "true",
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Mode celery: look through the results for runs that others asked for"},
	{.key = "expected_every",
	 .type = CW_OPTION_DURATION,
	 .min = 1e9,
	 .max = 30 * 86400e9,
	 .help = "A run is expected this often; without one it is late, also if there never was one"},
	{.key = "lost_after",
	 .type = CW_OPTION_DURATION,
	 .fallback = "10m",
	 .min = 1e9,
	 .max = 30 * 86400e9,
	 .help = "A run of which nothing is heard for this long is lost; longer than the longest run takes"},
	{.key = "cool_down",
	 .type = CW_OPTION_DURATION,
	 .fallback = "0s",
	 .min = 0,
	 .max = 86400e9,
	 .help = "How long after a run was asked for no other is taken"},
	{.key = "endpoint_api_key",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "Answer the platform's two endpoints ourselves, to who says this X-API-Key; better in a file: "
		 "endpoint_api_key_file"},
	{.key = "keep",
	 .type = CW_OPTION_INT,
	 .fallback = "200",
	 .min = 10,
	 .max = RUNS_KEEP_MAX,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "How many runs are kept"},
};

static const struct cw_column runs_columns[] = {
	[COLUMN_RUN_ID] = {.name = "run_id",
			   .flags = CW_COLUMN_KEY,
			   .help = "The task's id; of a run that was only seen, a name made of its time"},
	[COLUMN_TASK_ID] = {.name = "task_id", .help = "Celery's id of the task, where it is known"},
	[COLUMN_ORIGIN] = {.name = "origin",
			   .type = CW_CHOICE,
			   .choices = run_origin_names,
			   .help = "requested: asked for through callwatch; observed: by somebody else"},
	[COLUMN_BY] = {.name = "requested_by", .flags = CW_COLUMN_REPEATS, .help = "Who asked for it"},
	[COLUMN_STATUS] = {.name = "status",
			   .type = CW_CHOICE,
			   .flags = CW_COLUMN_WATCHED,
			   .choices = run_status_names,
			   .help = "lost: nobody knows what became of it"},
	[COLUMN_REQUESTED] = {.name = "requested_at", .type = CW_TIME, .help = "When it was asked for"},
	[COLUMN_STARTED] = {.name = "started_at", .type = CW_TIME, .help = "When it was first seen at work"},
	[COLUMN_FINISHED] = {.name = "finished_at", .type = CW_TIME, .help = "When it ended"},
	[COLUMN_DURATION] = {.name = "duration_seconds",
			     .type = CW_REAL,
			     .unit = "seconds",
			     .help = "From started_at to its end, or until now"},
	[COLUMN_MISSING] = {.name = "missing_count",
			    .type = CW_INT,
			    .unit = "calls",
			    .help = "Calls without their notification that it found"},
	[COLUMN_QUEUED] = {.name = "queued_count",
			   .type = CW_INT,
			   .unit = "calls",
			   .help = "Notifications that it queued again"},
	[COLUMN_ERROR] = {.name = "error", .help = "Why it failed or is lost, or what holds it up"},
	[COLUMN_UPDATED] = {.name = "updated_at", .type = CW_TIME, .help = "When something was last heard of it"},
};
_Static_assert(sizeof(runs_columns) / sizeof(runs_columns[0]) == RUNS_COLUMNS, "every column has its index");

static const struct cw_table_decl tables[] = {
	{.name = "runs",
	 .help = "Runs of the reconciliation job: what was asked for, what became of it",
	 .columns = CW_ARRAY(runs_columns),
	 .sort = "-updated_at"},
};

static const struct cw_need needs[] = {
	{.what = "Redis user (mode celery, version 6 or later)",
	 .line = "ACL SETUSER callwatch on >PASSWORD resetkeys ~celery ~celery-task-meta-* resetchannels nocommands "
		 "+ping "
		 "+select +client|setname +llen +lpos +lpush +strlen +getrange +scan"},
};

static const struct cw_action actions[] = {
	{.name = "run",
	 .help = "Asks for a run of the reconciliation job now, and follows it to its end",
	 .flags = CW_ACTION_SINGLE},
};

/* The platform's own two, as its admin service knows them. */
static const struct cw_member trigger_members[] = {{"task_id", "text"}};
static const struct cw_member status_members[] = {{"last_run_at", "finished_at"},
						  {"status", "status"},
						  {"missing_count", "missing_count"},
						  {"queued_count", "queued_count"},
						  {"error", "error"}};
static const struct cw_endpoint endpoints[] = {
	{.method = "POST",
	 .path = default_trigger_path,
	 .kind = CW_ENDPOINT_ACTION,
	 .action = "run",
	 .members = CW_ARRAY(trigger_members),
	 .key_option = "endpoint_api_key",
	 .wait_ms = 5000},
	{.method = "GET",
	 .path = default_status_path,
	 .kind = CW_ENDPOINT_ROW,
	 .table = "runs",
	 .where = "finished_at!=null",
	 .sort = "-finished_at",
	 .members = CW_ARRAY(status_members),
	 .key_option = "endpoint_api_key"},
};

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "reconciliation",
	.summary = "Runs of the reconciliation job, as the platform's endpoints or Celery itself tell of them",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.tables = CW_ARRAY(tables),
	.metrics = {recon_metrics, METRICS, sizeof(recon_metrics[0])},
	.needs = CW_ARRAY(needs),
	.check = check,
	.start = start,
	.read = recon_read,
	.stop = stop,
	.release = release,
	.checks = {recon_checks, CHECKS, sizeof(recon_checks[0])},
	.examine = recon_examine,
	.actions = CW_ARRAY(actions),
	.endpoints = CW_ARRAY(endpoints),
	.act = recon_act,
	.cancel = recon_cancel,
};
