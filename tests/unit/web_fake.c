/* SPDX-License-Identifier: MIT
 *
 * See web_fake.h. What a test asks of the loop's thread goes through one uv_async and is waited for.
 */
#include "web_fake.h"

#include "options.h"
#include "problems.h"
#include "yamltree.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include <cmocka.h>

/* The contract passes no pointer of ours to every call: one fake at a time. */
static struct fake *current;
static pthread_mutex_t words = PTHREAD_MUTEX_INITIALIZER; /* of `reason` and `log` */

struct private
{
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t async;
	uv_prepare_t prepare;
	pthread_mutex_t mutex;
	pthread_cond_t done;
	void (*task)(struct fake * fake, const void *arg);
	const void *arg;
	void *state;
	struct cw_view *view;
	int started, start_result;
};

static struct private *private_of(struct fake *fake)
{
	return fake->private;
}

static const char *const healths[] = {"healthy", "warning", "stale", NULL};
static const struct cw_column columns[] = {
	{.name = "instance", .type = CW_TEXT, .help = "Who saw it", .unit = ""},
	{.name = "call_sid", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Its id", .unit = ""},
	{.name = "from_phone", .type = CW_TEXT, .flags = CW_COLUMN_PHONE, .help = "Caller", .unit = ""},
	{.name = "duration_seconds", .type = CW_AGE, .help = "Since its start", .unit = "seconds"},
	{.name = "health_status",
	 .type = CW_CHOICE,
	 .flags = CW_COLUMN_WATCHED,
	 .help = "Is it alive",
	 .unit = "",
	 .choices = healths},
	{.name = "start_time", .type = CW_TIME, .help = "Its start", .unit = ""},
	{.name = "note", .type = CW_TEXT, .help = "Text of a stranger", .unit = ""},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static const char *const states[] = {"starting", "up", "degraded", "down", "stuck", NULL};
static const struct cw_column instance_columns[] = {
	{.name = "instance", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Its name", .unit = ""},
	{.name = "state",
	 .type = CW_CHOICE,
	 .flags = CW_COLUMN_WATCHED,
	 .help = "State",
	 .unit = "",
	 .choices = states},
	{.name = "reason", .type = CW_TEXT, .help = "Why", .unit = ""},
};

struct cw_query {
	struct fake *fake;
	const struct cw_column *columns;
	uint32_t columns_count;
	uint64_t next, count, limit;
	bool twins;
};

struct cw_view {
	struct fake *fake;
	void (*ready)(void *arg);
	void *arg;
	uint64_t sequence;
	uint32_t changed;
	bool begun, told;
};

static struct cw_cell text_cell(const char *text)
{
	return (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)strlen(text), .text = text};
}

static void make_cells(struct fake *fake, uint64_t row, struct cw_cell cells[COLUMNS], char *note, char sid[32])
{
	snprintf(sid, 32, "CA%08llu", (unsigned long long)row);
	memset(note, 'x', fake->text_bytes);
	note[fake->text_bytes] = '\0';
	cells[0] = text_cell("calls");
	cells[1] = text_cell(sid);
	cells[2] = text_cell("+1\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
			     "0132");
	cells[3] = (struct cw_cell){.type = CW_CELL_REAL, .real = 12.3456789};
	cells[4] = (struct cw_cell){.type = CW_CELL_INTEGER, .integer = (int64_t)(row % 3)};
	cells[5] = (struct cw_cell){.type = CW_CELL_INTEGER, .integer = 1795354245123000000};
	cells[6] = fake->text_bytes ? text_cell(note) : (struct cw_cell){.type = CW_CELL_NULL};
}

static void note_spec(struct fake *fake, const struct cw_query_spec *spec)
{
	fake->where_count = spec->where_count;
	for (uint32_t i = 0; i < spec->where_count && i < 16; i++)
		snprintf(fake->where[i], sizeof fake->where[i], "%s", spec->where[i]);
	snprintf(fake->sort, sizeof fake->sort, "%s", spec->sort ? spec->sort : "(none)");
	snprintf(fake->key, sizeof fake->key, "%s", spec->key ? spec->key : "(none)");
	snprintf(fake->cursor, sizeof fake->cursor, "%s", spec->cursor ? spec->cursor : "(none)");
	fake->reveal = spec->reveal;
	fake->viewer = spec->viewer;
	fake->limit = spec->limit;
}

static int check_spec(const struct cw_query_spec *spec, char error[CW_QUERY_ERROR_MAX])
{
	bool known = strcmp(spec->table, "calls") == 0 || strcmp(spec->table, "silences") == 0 ||
		     strcmp(spec->table, "instances") == 0;
	if (!known) {
		snprintf(error, CW_QUERY_ERROR_MAX, "no table \"%s\"", spec->table);
		return -ENOENT;
	}
	for (uint32_t i = 0; i < spec->where_count; i++) {
		if (strcmp(spec->where[i], "wrong") != 0)
			continue;
		snprintf(error, CW_QUERY_ERROR_MAX, "\"wrong\" is no expression");
		return -EINVAL;
	}
	return 0;
}

static int query_open(struct cw_instance *self, const struct cw_query_spec *spec, struct cw_query **ret,
		      char error[CW_QUERY_ERROR_MAX])
{
	struct fake *fake = current;
	(void)self;
	int rc = check_spec(spec, error);
	if (rc)
		return rc;
	struct cw_query *query = calloc(1, sizeof *query);
	bool instances = strcmp(spec->table, "instances") == 0;
	query->fake = fake;
	query->columns = instances ? instance_columns : columns;
	query->columns_count = instances ? 3 : COLUMNS;
	query->count = instances ? 2 : fake->rows;
	query->limit = spec->limit;
	if (!instances)
		note_spec(fake, spec);
	if (spec->key) {
		query->twins = strcmp(spec->key, "twin") == 0;
		query->count = query->twins ? (spec->where_count ? 1 : 2) : strcmp(spec->key, "CA/1") == 0;
	}
	fake->open_queries++;
	*ret = query;
	return 0;
}

static const struct cw_column *query_columns(struct cw_query *query, uint32_t *ret_count)
{
	*ret_count = query->columns_count;
	return query->columns;
}

static int give_instance(struct cw_query *query, cw_row_fn row, void *arg)
{
	struct fake *fake = query->fake;
	struct cw_cell cells[3] = {text_cell(query->next ? "web" : "calls"),
				   {.type = CW_CELL_INTEGER, .integer = query->next || fake->ready ? CW_UP : CW_DOWN},
				   query->next || fake->ready ? (struct cw_cell){0} : text_cell("connection refused")};
	query->next++;
	return row(arg, cells, 3);
}

static int give_call(struct cw_query *query, cw_row_fn row, void *arg)
{
	struct fake *fake = query->fake;
	struct cw_cell cells[COLUMNS];
	char sid[32], *note = malloc(fake->text_bytes + 1);
	make_cells(fake, query->next, cells, note, sid);
	if (query->twins && query->next == 1)
		cells[0] = text_cell("calls-b");
	query->next++;
	fake->rows_made++;
	int rc = row(arg, cells, COLUMNS);
	free(note);
	return rc;
}

static int query_step(struct cw_query *query, int64_t budget_ns, cw_row_fn row, void *arg)
{
	uint64_t count = query->limit && query->limit < query->count ? query->limit : query->count;
	(void)budget_ns;
	for (int i = 0; i < 500; i++) {
		if (query->fake->break_after && query->next >= (uint64_t)query->fake->break_after)
			return -EIO;
		if (query->next >= count)
			return 0;
		int pause = query->columns == columns ? give_call(query, row, arg) : give_instance(query, row, arg);
		if (pause)
			return CW_LATER;
	}
	return CW_LATER;
}

static void query_info(struct cw_query *query, struct cw_query_info *info)
{
	*info = (struct cw_query_info){.total = query->count,
				       .given = query->next,
				       .scan_from = 1795354245000000000,
				       .scan_to = 1795354246000000000,
				       .coverage = {.complete = true, .ratio = NAN},
				       .age_seconds = NAN};
	if (query->limit && query->limit < query->count)
		snprintf(info->next_cursor, sizeof info->next_cursor, "page-2");
}

static void query_close(struct cw_query *query)
{
	if (query)
		query->fake->open_queries--;
	free(query);
}

/* A log whose page comes at the worst moment: after the first look at its columns, before the step. */
struct cw_log {
	struct cw_query *query;
	bool is_there;
};

static int log_open(struct cw_instance *self, const struct cw_log_spec *spec, void (*ready)(void *arg), void *arg,
		    struct cw_log **ret_log)
{
	char error[CW_QUERY_ERROR_MAX];
	(void)ready, (void)arg;
	*ret_log = calloc(1, sizeof **ret_log);
	return query_open(self, &spec->query, &(*ret_log)->query, error);
}

static const struct cw_column *log_columns(struct cw_log *log, uint32_t *ret_count)
{
	const struct cw_column *found = log->is_there ? query_columns(log->query, ret_count) : NULL;
	log->is_there = true;
	return found;
}

static int log_step(struct cw_log *log, int64_t budget_ns, cw_row_fn row, void *arg)
{
	if (log->query->fake->log_waits > 0) {
		log->query->fake->log_waits--;
		return -EAGAIN;
	}
	return query_step(log->query, budget_ns, row, arg);
}

static void log_info(struct cw_log *log, struct cw_log_info *ret_info)
{
	*ret_info = (struct cw_log_info){.reach = 1};
	query_info(log->query, &ret_info->query);
}

static const char *log_error(struct cw_log *log)
{
	(void)log;
	return "";
}

static void log_close(struct cw_log *log)
{
	query_close(log->query);
	free(log);
}

static int view_open(struct cw_instance *self, const struct cw_query_spec *spec, void (*ready)(void *arg), void *arg,
		     struct cw_view **ret, char error[CW_QUERY_ERROR_MAX])
{
	struct fake *fake = current;
	(void)self;
	int rc = check_spec(spec, error);
	if (rc)
		return rc;
	note_spec(fake, spec);
	struct cw_view *view = calloc(1, sizeof *view);
	*view = (struct cw_view){.fake = fake, .ready = ready, .arg = arg};
	fake->open_views++;
	private_of(fake)->view = *ret = view;
	return 0;
}

static const struct cw_column *view_columns(struct cw_view *view, uint32_t *ret_count)
{
	(void)view;
	*ret_count = COLUMNS;
	return columns;
}

static int give_change(struct cw_view *view, enum cw_view_op op, uint64_t row, cw_view_fn change, void *arg)
{
	struct cw_cell cells[COLUMNS] = {0};
	char sid[32], *note = malloc(view->fake->text_bytes + 1);
	make_cells(view->fake, row, cells, note, sid);
	for (uint32_t i = 2; op == CW_VIEW_REMOVE && i < COLUMNS; i++)
		cells[i] = (struct cw_cell){0};
	bool bare = op == CW_VIEW_RESET || op == CW_VIEW_SYNC;
	int rc = change(arg, op, ++view->sequence, bare ? NULL : cells, bare ? 0 : COLUMNS);
	free(note);
	return rc;
}

static int view_next(struct cw_view *view, cw_view_fn change, void *arg)
{
	view->fake->looks++;
	if (!view->begun) {
		view->begun = true;
		give_change(view, CW_VIEW_RESET, 0, change, arg);
		give_change(view, CW_VIEW_PUT, 0, change, arg);
		give_change(view, CW_VIEW_SYNC, 0, change, arg);
		return 0;
	}
	while (view->changed > 1) {
		view->changed--;
		if (give_change(view, CW_VIEW_PUT, view->changed, change, arg))
			return CW_LATER;
	}
	if (view->changed) {
		view->changed = 0;
		give_change(view, CW_VIEW_REMOVE, 0, change, arg);
		give_change(view, CW_VIEW_SYNC, 0, change, arg);
	}
	view->told = false;
	return 0;
}

static void view_close(struct cw_view *view)
{
	if (!view)
		return;
	view->fake->open_views--;
	private_of(view->fake)->view = NULL;
	free(view);
}

static void tables(struct cw_instance *self, void (*table)(void *arg, const struct cw_table_info *info), void *arg)
{
	static const uint64_t counts[] = {4, 2, 1};
	static const char *const instances[] = {"a", "b\"", NULL};
	(void)self;
	table(arg, &(struct cw_table_info){.name = "calls",
					   .help = "Calls in progress",
					   .sort = "-duration_seconds",
					   .columns = columns,
					   .columns_count = COLUMNS,
					   .rows = current->rows,
					   .coverage = {.from = 1795354245000000000,
							.to = 1795354246000000000,
							.complete = true,
							.ratio = 0.998},
					   .age_seconds = 12.3,
					   .watched_column = 4,
					   .counts = counts,
					   .instances = instances});
	table(arg, &(struct cw_table_info){.name = "instances",
					   .help = "Configured plugins",
					   .columns = instance_columns,
					   .columns_count = 3,
					   .rows = 2,
					   .coverage = {.ratio = NAN},
					   .age_seconds = NAN,
					   .watched_column = -1});
}

static bool is_ready(void)
{
	return current->ready;
}

static int64_t started(void)
{
	return 1795354245000000000;
}

static void reload(struct cw_instance *self, const char *by, void (*done)(void *arg, bool ok, const char *text),
		   void *arg)
{
	(void)self;
	(void)by;
	current->reloads++;
	if (current->reload_answer >= 0)
		done(arg, current->reload_answer, current->reload_text);
}

static int no_endpoint(struct cw_instance *self, const char *method, const char *path, const char *key,
		       struct cw_endpoint_found *ret_found)
{
	(void)self, (void)method, (void)path, (void)key, (void)ret_found;
	return -ENOENT;
}

/* -- alerts ------------------------------------------------------------------------------------------------------- */

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

static int answer_alerts(void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg, const char *text)
{
	static const char *const ids[] = {"call-stale/CA1", "call-stale/CA\"2"};
	current->asked_count++;
	if (current->alerts_rc)
		return current->alerts_rc;
	if (current->alerts_answer)
		done(arg, &(struct cw_alerts_answer){.status = current->alerts_answer, .text = "no such thing"});
	else
		done(arg, &(struct cw_alerts_answer){
				  .text = text, .id = "s1", .on_disk = true, .count = 12, .ids = ids, .ids_count = 2});
	return 0;
}

static int silence(struct cw_instance *self, const struct cw_silence_spec *spec,
		   void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	int used = snprintf(
		current->asked, sizeof current->asked, "silence all=%d from=%lld to=%lld every=%s in=%s %s%s",
		spec->all, (long long)(spec->starts_at / CW_SECOND), (long long)(spec->ends_at / CW_SECOND),
		or_none(spec->every), or_none(spec->timezone), or_none(spec->comment), spec->dry_run ? " dry" : "");
	(void)self;
	for (uint32_t i = 0; i < spec->matchers_count && used < (int)sizeof current->asked; i++)
		used += snprintf(current->asked + used, sizeof current->asked - (size_t)used, " [%s]",
				 spec->matchers[i]);
	assert_non_null(spec->by);
	return answer_alerts(done, arg, "it mutes");
}

static int expire(struct cw_instance *self, const char *id, const char *by,
		  void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	(void)self;
	assert_non_null(by);
	snprintf(current->asked, sizeof current->asked, "expire %s", id);
	return answer_alerts(done, arg, "it has ended");
}

static int ack(struct cw_instance *self, const struct cw_ack_spec *spec,
	       void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	(void)self;
	assert_non_null(spec->by);
	snprintf(current->asked, sizeof current->asked, "ack %s %s %s %s", spec->alert, or_none(spec->subject),
		 or_none(spec->instance), spec->note);
	return answer_alerts(done, arg, "acknowledged");
}

static int try_rule(struct cw_instance *self, const char *rule, const char *by,
		    void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	(void)self;
	assert_non_null(by);
	snprintf(current->asked, sizeof current->asked, "try %s", rule);
	return answer_alerts(done, arg, "on its way");
}

static const struct cw_frontend frontend = {
	.silence = silence,
	.expire = expire,
	.ack = ack,
	.try_rule = try_rule,
	.endpoint = no_endpoint,
	.size = sizeof frontend,
	.query_open = query_open,
	.query_columns = query_columns,
	.query_step = query_step,
	.query_info = query_info,
	.query_close = query_close,
	.log_open = log_open,
	.log_columns = log_columns,
	.log_step = log_step,
	.log_info = log_info,
	.log_error = log_error,
	.log_close = log_close,
	.view_open = view_open,
	.view_columns = view_columns,
	.view_next = view_next,
	.view_close = view_close,
	.tables = tables,
	.ready = is_ready,
	.started = started,
	.reload = reload,
};

static struct uv_loop_s *host_loop(struct cw_instance *self)
{
	(void)self;
	return &private_of(current)->loop;
}

static const struct cw_info *host_info(struct cw_instance *self)
{
	static const struct cw_info info = {.size = sizeof info, .name = "web", .host = "test", .version = "0.0.1"};
	(void)self;
	return &info;
}

static int64_t host_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * CW_SECOND + now.tv_nsec + __atomic_load_n(&current->clock_ahead, __ATOMIC_RELAXED);
}

static int64_t host_wall(void)
{
	return 1795354247000000000;
}

static void host_log(struct cw_instance *self, enum cw_level level, const char *format, ...)
{
	va_list args;
	(void)self;
	(void)level;
	va_start(args, format);
	pthread_mutex_lock(&words);
	size_t used = strlen(current->log);
	vsnprintf(current->log + used, sizeof current->log - used, format, args);
	pthread_mutex_unlock(&words);
	va_end(args);
}

static void host_state(struct cw_instance *self, enum cw_state state, int64_t next_try, const char *reason, ...)
{
	va_list args;
	(void)self;
	(void)next_try;
	va_start(args, reason);
	pthread_mutex_lock(&words);
	vsnprintf(current->reason, sizeof current->reason, reason, args);
	pthread_mutex_unlock(&words);
	va_end(args);
	current->state = (int)state;
}

static void host_count_error(struct cw_instance *self, uint64_t n)
{
	(void)self;
	current->errors += n;
}

static void host_dropped(struct cw_instance *self, enum cw_drop reason, uint64_t n)
{
	(void)self;
	current->dropped[reason] += n;
}

static const struct cw_host host = {
	.abi_major = CW_ABI_MAJOR,
	.abi_minor = CW_ABI_MINOR,
	.size = sizeof host,
	.loop = host_loop,
	.info = host_info,
	.now = host_now,
	.wall = host_wall,
	.log = host_log,
	.state = host_state,
	.count_error = host_count_error,
	.frontend = &frontend,
	.dropped = host_dropped,
};

/* -- the thread --------------------------------------------------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
	struct fake *fake = async->data;
	struct private *private = private_of(fake);
	pthread_mutex_lock(&private->mutex);
	if (private->task)
	private->task(fake, private->arg);
	private->task = NULL;
	pthread_cond_broadcast(&private->done);
	pthread_mutex_unlock(&private->mutex);
}

static void on_turn(uv_prepare_t *prepare)
{
	struct fake *fake = prepare->data;
	fake->turns++;
}

/* Runs the task on the loop's thread, and waits. */
static void on_loop(struct fake *fake, void (*task)(struct fake *fake, const void *arg), const void *arg)
{
	struct private *private = private_of(fake);
	pthread_mutex_lock(&private->mutex);
	private->task = task;
	private->arg = arg;
	uv_async_send(&private->async);
	while (private->task)
		pthread_cond_wait(&private->done, &private->mutex);
	pthread_mutex_unlock(&private->mutex);
}

/* The options as the core reads and checks them. */
static struct cw_value *read_options(const struct fake *fake)
{
	char text[4096] = "";
	size_t used = (size_t)snprintf(text, sizeof text, "max_connections: %u\n%s", fake->max_connections,
				       fake->options ? fake->options : "listen:\n");
	for (uint32_t i = 0; !fake->options && fake->listen[i]; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "  - \"%s\"\n", fake->listen[i]);
	struct problems problems = {0};
	struct yaml *yaml = yaml_read_text(text, used, "options", &problems);
	assert_non_null(yaml);
	struct options_context context = {
		.tables = {&cw_plugin.options}, .subject = "plugin web", .read_files = true, .problems = &problems};
	struct cw_value *values = options_check(&context, yaml_root(yaml));
	if (!values)
		fail_msg("%s", problems.list[0].message);
	yaml_free(yaml);
	problems_release(&problems);
	return values;
}

static void *run(void *arg)
{
	struct fake *fake = arg;
	struct private *private = private_of(fake);
	struct cw_value *options = read_options(fake);
	pthread_mutex_lock(&private->mutex);
	private->start_result = cw_plugin.start(NULL, &host, options, &private->state);
	private->started = 1;
	pthread_cond_broadcast(&private->done);
	pthread_mutex_unlock(&private->mutex);
	uv_run(&private->loop, UV_RUN_DEFAULT);
	cw_plugin.release(private->state);
	options_free(options);
	return NULL;
}

void fake_start(struct fake *fake)
{
	struct private *private = calloc(1, sizeof *private);
	current = fake;
	fake->private = private;
	if (fake->max_connections == 0)
		fake->max_connections = 64;
	pthread_mutex_init(&private->mutex, NULL);
	pthread_cond_init(&private->done, NULL);
	uv_loop_init(&private->loop);
	uv_async_init(&private->loop, &private->async, on_async);
	private->async.data = fake;
	uv_prepare_init(&private->loop, &private->prepare);
	private->prepare.data = fake;
	uv_prepare_start(&private->prepare, on_turn);
	pthread_create(&private->thread, NULL, run, fake);
	pthread_mutex_lock(&private->mutex);
	while (!private->started)
		pthread_cond_wait(&private->done, &private->mutex);
	pthread_mutex_unlock(&private->mutex);
	assert_int_equal(private->start_result, 0);
}

static void stop_task(struct fake *fake, const void *arg)
{
	(void)arg;
	cw_plugin.stop(private_of(fake)->state);
	uv_close((uv_handle_t *)&private_of(fake)->async, NULL);
	uv_close((uv_handle_t *)&private_of(fake)->prepare, NULL);
}

void fake_stop(struct fake *fake)
{
	struct private *private = private_of(fake);
	on_loop(fake, stop_task, NULL);
	pthread_join(private->thread, NULL);
	assert_int_equal(uv_loop_close(&private->loop), 0);
	assert_int_equal(fake->open_queries, 0);
	assert_int_equal(fake->open_views, 0);
	pthread_mutex_destroy(&private->mutex);
	pthread_cond_destroy(&private->done);
	free(private);
	fake->private = NULL;
}

static void write_task(struct fake *fake, const void *arg)
{
	cw_plugin.write(private_of(fake)->state, arg);
}

void fake_write(struct fake *fake, const struct cw_batch *batch)
{
	on_loop(fake, write_task, batch);
}

static void change_task(struct fake *fake, const void *arg)
{
	struct cw_view *view = private_of(fake)->view;
	if (!view)
		return;
	view->changed = *(const uint32_t *)arg;
	if (!view->told)
		view->ready(view->arg);
	view->told = true;
}

void fake_change(struct fake *fake, uint32_t rows)
{
	on_loop(fake, change_task, &rows);
}

void fake_turn_clock(struct fake *fake, int64_t ahead)
{
	__atomic_store_n(&fake->clock_ahead, ahead, __ATOMIC_RELAXED);
}

bool fake_said(struct fake *fake, const char *text)
{
	pthread_mutex_lock(&words);
	bool said = strstr(fake->reason, text) || strstr(fake->log, text);
	pthread_mutex_unlock(&words);
	return said;
}
