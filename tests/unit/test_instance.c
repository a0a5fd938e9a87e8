/* SPDX-License-Identifier: MIT
 *
 * Instances with fake plugins, on a real hub: the order of callbacks, readings, outputs, failed starts, the end, and
 * what an abandoned thread can no longer do. What needs ten real seconds (stuck) is tests/system/test_faults_agent.py.
 */
#include "instance_world.h"

#include <errno.h>
#include <math.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

/* ---- the world around an instance ---- */

static int64_t test_began; /* wall time */

static int make_world(void **state)
{
	(void)state;
	return open_world(/* interval */ 3600 * CW_SECOND);
}

static int end_world(void **state)
{
	(void)state;
	return close_world();
}

static int note_time(void **state)
{
	(void)state;
	test_began = clock_wall();
	return 0;
}

/* ---- a fake plugin: a source, or an output ---- */

struct fake {
	/* what it shall do */
	int start_result, read_result, write_result, fail_starts, fail_writes;
	bool done_early, done_by_timer, written_by_timer, strays, blocks, keep_handle, silent, slow_close, recovers;
	int speaks_after; /* readings that fail without a word before it says that it is up; 0: it never speaks */
	/* what happened; several threads look */
	_Atomic int starts, reads, writes, stops, releases, flushes;
	_Atomic int samples, calls_after_stop;
	_Atomic int64_t last_time, time_before;
	sem_t go;
	struct cw_instance *self;
	const struct cw_host *host;
	struct cw_part *part;
	uv_timer_t timer;
	bool has_timer;
};

static struct fake *fake_source, *fake_output; /* start() has no other way to find the test's data */

static const char *const choices[] = {"a", "b", NULL};
static const struct cw_column columns[] = {
	{.name = "key", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .help = "Key"},
	{.name = "choice", .type = CW_CHOICE, .flags = CW_COLUMN_WATCHED, .choices = choices, .help = "Choice"},
};
static const struct cw_table_decl table = {.name = "things", .help = "Things", .columns = CW_ARRAY(columns)};
static const struct cw_metric metrics[] = {
	{.name = "value", .kind = CW_GAUGE, .unit = "", .help = "Value"},
	{.name = "things_total", .kind = CW_COUNTER, .unit = "", .help = "Things"},
};

static void put_row(struct fake *fake, const char *key)
{
	struct cw_cell cells[] = {{.type = CW_CELL_TEXT, .length = (uint32_t)strlen(key), .text = key},
				  {.type = CW_CELL_INTEGER, .integer = 0}};
	fake->host->row_put(fake->part, cells);
}

static void on_timer(uv_timer_t *timer)
{
	struct fake *fake = timer->data;
	if (fake->slow_close && fake->stops)
		uv_close((uv_handle_t *)&fake->timer, NULL);
	else if (fake->recovers)
		fake->host->state(fake->self, CW_UP, 0, "%s", "");
	else if (fake->written_by_timer)
		fake->host->write_done(fake->self, 0);
	else if (fake->strays)
		fake->host->gauge(fake->self, 0, NULL, atomic_fetch_add(&fake->writes, 1));
	else
		fake->host->read_done(fake->self, 0);
}

static int start(struct fake *fake, struct cw_instance *self, const struct cw_host *host, void **ret_state)
{
	fake->self = self;
	fake->host = host;
	*ret_state = fake;
	if (atomic_fetch_add(&fake->starts, 1) < fake->fail_starts)
		return fake->start_result;
	fake->has_timer = fake->done_by_timer || fake->written_by_timer || fake->strays || fake->keep_handle ||
			  fake->slow_close || fake->recovers;
	if (fake->has_timer) {
		uv_timer_init(host->loop(self), &fake->timer);
		fake->timer.data = fake;
	}
	if (fake->strays)
		uv_timer_start(&fake->timer, on_timer, 1, 1);
	return 0;
}

static int start_source(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	(void)options;
	int rc = start(fake_source, self, host, ret_state);
	return rc < 0 ? rc : host->table_open(self, 0, NULL, &fake_source->part);
}

static int start_output(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	(void)options;
	return start(fake_output, self, host, ret_state);
}

static int fake_read(void *state)
{
	struct fake *fake = state;
	int number = atomic_fetch_add(&fake->reads, 1) + 1;
	if (!fake->silent)
		fake->host->gauge(fake->self, 0, NULL, number);
	else
		fake->host->gauge(fake->self, 0, NULL, NAN);
	if (fake->blocks) {
		sem_wait(&fake->go);
		put_row(fake, "from the past");
		fake->host->gauge(fake->self, 0, NULL, 1);
		fake->host->state(fake->self, CW_DOWN, 0, "from the past");
		atomic_fetch_add(&fake->stops, 1000);
		return 0;
	}
	if (fake->done_early)
		fake->host->read_done(fake->self, 0);
	if (fake->done_by_timer)
		uv_timer_start(&fake->timer, on_timer, 20, 0);
	if (fake->speaks_after && number > fake->speaks_after) {
		fake->host->state(fake->self, CW_UP, 0, "%s", "");
		return 0;
	}
	return fake->done_early || fake->done_by_timer ? CW_LATER : fake->read_result;
}

static int fake_write(void *state, const struct cw_batch *batch)
{
	struct fake *fake = state;
	atomic_fetch_add(&fake->writes, 1);
	atomic_fetch_add(&fake->calls_after_stop, fake->stops > 0);
	if (fake->fail_writes > 0) {
		fake->fail_writes--;
		if (fake->recovers) {
			fake->host->state(fake->self, CW_DOWN, 0, "out for a moment");
			uv_timer_start(&fake->timer, on_timer, 5, 0);
		}
		return -EIO;
	}
	const struct cw_sample *sample = cw_at(&batch->samples, 0);
	if (strcmp(batch->instance, "source") != 0 || sample->time < test_began)
		return 0; /* the agent's own, or left with the hub by the test before */
	atomic_store(&fake->time_before, atomic_load(&fake->last_time));
	atomic_store(&fake->last_time, sample->time);
	atomic_fetch_add(&fake->samples, (int)batch->samples.count);
	if (fake->written_by_timer)
		uv_timer_start(&fake->timer, on_timer, 20, 0);
	return fake->written_by_timer ? CW_LATER : 0;
}

static void fake_flush(void *state)
{
	struct fake *fake = state;
	atomic_fetch_add(&fake->flushes, 1);
	atomic_fetch_add(&fake->calls_after_stop, fake->stops > 0);
}

static void fake_stop(void *state)
{
	struct fake *fake = state;
	atomic_fetch_add(&fake->stops, 1);
	if (fake->slow_close)
		uv_timer_start(&fake->timer, on_timer, 200, 0);
	else if (fake->has_timer && !fake->keep_handle)
		uv_close((uv_handle_t *)&fake->timer, NULL);
}

static void fake_release(void *state)
{
	atomic_fetch_add(&((struct fake *)state)->releases, 1);
}

static const struct plugin source_plugin = {
	.path = "fake",
	.decl = {CW_PLUGIN_ABI, .name = "fake", .summary = "Fake", .role = CW_SOURCE,
		 .tables = {&table, 1, sizeof table}, .metrics = CW_ARRAY(metrics), .start = start_source,
		 .read = fake_read, .stop = fake_stop, .release = fake_release},
};
static const struct plugin output_plugin = {
	.path = "sink",
	.decl = {CW_PLUGIN_ABI, .name = "sink", .summary = "Sink", .role = CW_OUTPUT, .start = start_output,
		 .write = fake_write, .flush = fake_flush, .stop = fake_stop, .release = fake_release},
};

/* ---- helpers ---- */

/* The core's options of an instance: on_start_error by index, interval. */
struct options {
	struct cw_value children[3], group;
	struct plan_instance what;
};

static const struct plan_instance *options_of(struct options *options, const char *name, const struct plugin *plugin,
					      int64_t interval, int64_t on_start_error)
{
	*options = (struct options){
		.children =
			{{.key = "interval", .type = CW_OPTION_DURATION, .known = interval > 0, .integer = interval},
			 {.key = "on_start_error", .type = CW_OPTION_CHOICE, .known = true, .integer = on_start_error},
			 {.key = "timeout", .type = CW_OPTION_DURATION, .known = true, .integer = CW_SECOND / 20}},
	};
	options->group = (struct cw_value){.type = CW_OPTION_GROUP, .children = options->children, .count = 3};
	options->what = planned(name, plugin, &options->group);
	return &options->what;
}

static struct instance *run(struct options *options, bool once)
{
	struct instance_context context = usual_context();
	context.once = once;
	return start_instance(&context, &options->what, /* before */ NULL);
}

static void end(struct instance *instance)
{
	end_instance(instance, /* returns */ false);
}

enum { RETRY, IGNORE, FAIL };

/* ---- the tests ---- */

static void reading__comes_at_once_then_aligned_and_reaches_the_output(void **state)
{
	(void)state;
	struct fake source = {0}, output = {0};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 10, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(source.reads >= 5);
	WAIT_UNTIL(output.samples >= 5);
	assert_int_equal(atomic_load(&output.last_time) % (CW_SECOND / 10), 0);
	assert_int_equal((output.last_time - output.time_before) % (CW_SECOND / 10), 0);
	assert_true(instance_first_done(instance));
	assert_int_equal(instance_state(instance), CW_UP); /* it never said so itself */
	end(instance);
	WAIT_UNTIL(output.samples == source.reads); /* the last ones go by way of the hub */
	end(sink);
	assert_int_equal(source.starts, 1);
	assert_int_equal(source.stops, 1);
	assert_int_equal(source.releases, 1);
	assert_int_equal(output.flushes, 1);
}

static void reading_answered_later__from_the_loop_or_within_read(void **state)
{
	(void)state;
	for (int early = 0; early < 2; early++) {
		struct fake source = {.done_early = early, .done_by_timer = !early};
		struct options options;
		fake_source = &source;
		options_of(&options, "source", &source_plugin, CW_SECOND / 20, RETRY);
		struct instance *instance = run(&options, false);
		WAIT_UNTIL(source.reads >= 3);
		assert_true(instance_first_done(instance));
		end(instance);
		assert_int_equal(source.releases, 1);
	}
}

static void reading_never_answered__is_an_overrun_not_a_second_reading(void **state)
{
	(void)state;
	struct fake source = {.read_result = CW_LATER};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, CW_SECOND / 50, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(source.reads == 1);
	int64_t until = clock_now() + CW_SECOND / 5; /* ten ticks: none may begin a reading */
	WAIT_UNTIL(clock_now() > until);
	assert_int_equal(source.reads, 1);
	assert_false(instance_first_done(instance));
	end(instance);
}

static void once__reads_a_single_time(void **state)
{
	(void)state;
	struct fake source = {0};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, CW_SECOND / 100, RETRY);
	struct instance *instance = run(&options, true);
	WAIT_UNTIL(instance_first_done(instance));
	int64_t until = clock_now() + CW_SECOND / 10;
	WAIT_UNTIL(clock_now() > until);
	assert_int_equal(source.reads, 1);
	assert_true(instance_is_up(instance));
	end(instance);
}

static void failed_reading__is_down_and_goes_on(void **state)
{
	(void)state;
	struct fake source = {.read_result = -EIO};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, CW_SECOND / 50, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(source.reads >= 3);
	assert_true(instance_first_done(instance));
	WAIT_UNTIL(instance_state(instance) == CW_DOWN);
	int reads = source.reads;
	WAIT_UNTIL(source.reads > reads);
	end(instance);
}

static void failed_reading_and_then_silence__is_down_before_the_next(void **state)
{
	(void)state;
	struct fake source = {.read_result = -EIO};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, 3600 * CW_SECOND, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(instance_state(instance) == CW_DOWN);
	assert_int_equal(source.reads, 1);
	end(instance);
}

static int count_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	(void)cells;
	(void)count;
	++*(int *)arg;
	return 0;
}

static int events_where(const char *first, const char *second)
{
	const char *where[] = {first, second};
	struct cw_query_spec spec = {.table = "events", .where = where, .where_count = 2};
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX];
	int count = 0;
	assert_int_equal(query_open(hub_tables(hub), &spec, false, &query, error), 0);
	while (query_step(query, CW_SECOND, count_row, &count) == CW_LATER)
		;
	query_close(query);
	return count;
}

static void failed_readings_before_the_first_word__are_no_down(void **state)
{
	(void)state;
	struct fake source = {.read_result = -ENOTCONN, .speaks_after = 3};
	struct options options;
	fake_source = &source;
	options_of(&options, "beginner", &source_plugin, CW_SECOND / 50, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(events_where("subject=beginner", "to=up") == 1);
	assert_int_equal(events_where("subject=beginner", "to=down"), 0);
	end(instance);
}

/* Between stop() and the last handle's closing the hub goes on giving it batches. */
static void stopped_output__is_neither_offered_nor_flushed_any_more(void **state)
{
	(void)state;
	struct fake source = {0}, output = {.slow_close = true};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 100, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(output.samples >= 3);
	instance_stop(sink);
	WAIT_UNTIL(output.stops == 1);
	instance_flush(sink);
	end(sink);
	end(instance);
	assert_int_equal(output.calls_after_stop, 0);
	assert_int_equal(output.releases, 1);
}

/* No descriptor is left for its loop: it ends when told to, and what the hub sent it meanwhile is freed (LeakSanitizer
 * looks). */
static void output_that_has_no_loop__says_why_and_leaves_nothing(void **state)
{
	(void)state;
	struct fake source = {0}, output = {0};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 100, RETRY);
	struct instance *instance = run(&of_source, false);
	WAIT_UNTIL(source.reads >= 1);
	struct rlimit before, none;
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	struct instance *sink = run(&of_output, false);
	WAIT_UNTIL(instance_state(sink) == CW_DOWN);
	int reads = source.reads;
	WAIT_UNTIL(source.reads > reads + 2);
	setrlimit(RLIMIT_NOFILE, &before);
	end(sink);
	end(instance);
	assert_int_equal(output.starts, 0);
}

static void failed_start__is_released_and_tried_again(void **state)
{
	(void)state;
	struct fake source = {.start_result = -ECONNREFUSED, .fail_starts = 1};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, CW_SECOND, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(source.releases == 1);
	WAIT_UNTIL(instance_state(instance) == CW_DOWN);
	WAIT_UNTIL(instance_state(instance) == CW_UP);
	assert_int_equal(source.starts, 2);
	assert_int_equal(source.stops, 0); /* what did not start is not stopped */
	end(instance);
	assert_int_equal(source.releases, 2);
}

static void failed_start_ignored__stays_down_until_the_end(void **state)
{
	(void)state;
	struct fake source = {.start_result = -EINVAL, .fail_starts = 99};
	struct options options;
	fake_source = &source;
	options_of(&options, "source", &source_plugin, CW_SECOND, IGNORE);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(instance_first_done(instance));
	assert_int_equal(instance_state(instance), CW_DOWN);
	end(instance);
	assert_int_equal(source.starts, 1);
	assert_int_equal(source.releases, 1);
}

static void failed_write__is_offered_again_and_nothing_is_lost(void **state)
{
	(void)state;
	struct fake source = {0}, output = {.fail_writes = 1};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 10, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(instance_state(sink) == CW_DOWN);
	WAIT_UNTIL(instance_state(sink) == CW_UP && output.samples >= 3);
	end(instance);
	int64_t all = source.reads;
	WAIT_UNTIL(output.samples == all);
	end(sink);
}

/* Eight pauses, each twice as long as the one before, would take far longer than the test waits. */
static void an_output_that_says_it_is_up_again__does_not_wait_for_the_pause(void **state)
{
	(void)state;
	struct fake source = {0}, output = {.fail_writes = 8, .recovers = true};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 10, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(output.samples >= 3 && instance_state(sink) == CW_UP);
	end(instance);
	int64_t all = source.reads;
	WAIT_UNTIL(output.samples == all);
	end(sink);
}

/* The output is slower than the source: when the end comes, batches are waiting, and one is being written. */
static void stop__writes_what_is_queued(void **state)
{
	(void)state;
	struct fake source = {0}, output = {.written_by_timer = true};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 100, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(source.reads >= 20);
	int reads = source.reads;
	end(instance);
	end(sink);
	assert_true(output.samples >= reads - 1); /* the last one may still have been with the hub */
}

static void samples_at_the_wrong_time_or_not_finite__are_not_sent(void **state)
{
	(void)state;
	struct fake source = {.silent = true, .strays = true}, output = {0};
	struct options of_source, of_output;
	fake_source = &source;
	fake_output = &output;
	options_of(&of_output, "output", &output_plugin, 0, RETRY);
	options_of(&of_source, "source", &source_plugin, CW_SECOND / 20, RETRY);
	struct instance *sink = run(&of_output, false), *instance = run(&of_source, false);
	WAIT_UNTIL(source.reads >= 5 && source.writes >= 50); /* `writes` counts the strays of a source */
	end(instance);
	end(sink);
	assert_int_equal(output.samples, 0);
}

static uint64_t rows_of_things(void)
{
	struct cw_query_spec spec = {.table = "things"};
	struct cw_query *query;
	char error[CW_QUERY_ERROR_MAX];
	if (query_open(hub_tables(hub), &spec, false, &query, error) < 0)
		return 0;
	while (query_step(query, CW_SECOND, NULL, NULL) == CW_LATER)
		;
	struct cw_query_info info;
	query_info(query, &info);
	query_close(query);
	return info.total;
}

static void handle_left_open__is_noticed_and_its_memory_kept(void **state)
{
	(void)state;
	struct fake *source = calloc(1, sizeof *source); /* libuv goes on pointing into it */
	struct options *options = calloc(1, sizeof *options);
	source->keep_handle = true;
	fake_source = source;
	options_of(options, "leaver", &source_plugin, CW_SECOND, RETRY);
	struct instance *instance = run(options, false);
	WAIT_UNTIL(instance_first_done(instance));
	unsigned before = instance_abandoned_count();
	end(instance);
	assert_int_equal(instance_abandoned_count(), before + 1);
	assert_int_equal(source->releases, 0);
}

static void abandoned__its_thread_can_do_nothing_any_more(void **state)
{
	(void)state;
	static struct fake source;
	static struct options options; /* outlive the test, as the thread does */
	source = (struct fake){.blocks = true};
	sem_init(&source.go, 0, 0);
	fake_source = &source;
	options_of(&options, "blocker", &source_plugin, CW_SECOND, RETRY);
	struct instance *instance = run(&options, false);
	WAIT_UNTIL(source.reads == 1);
	uint64_t rows = rows_of_things();
	instance_stop(instance);
	assert_false(instance_join(instance, clock_now() + CW_SECOND / 10, /* returns */ false));
	sem_post(&source.go);
	WAIT_UNTIL(source.stops >= 1000);
	assert_int_equal(rows_of_things(), rows);
}

/* ---- lookups ---- */

/* A lookup that knows everybody, and a source that asks it for one name again and again. */
struct pair {
	_Atomic int asked, answered, closed;
	_Atomic bool hangs, leaves_open;
	sem_t go;
	struct cw_instance *lookup, *source;
	const struct cw_host *lookup_host, *source_host;
	struct cw_lookup *way;
};

static struct pair *pair;

static int start_lookup(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			void **ret_state)
{
	(void)options;
	pair->lookup = self;
	pair->lookup_host = host;
	*ret_state = pair;
	return 0;
}

static void fake_look_up(void *state, const char *const *keys, uint32_t n)
{
	struct pair *all = state;
	struct cw_answer answer = {.key = keys[0], .value = "a name", .as_of = 1};
	struct cw_instance *self = all->lookup;
	assert_int_equal(n, 1);
	atomic_fetch_add(&all->asked, 1);
	if (all->hangs) {
		sem_wait(&all->go);
		all->lookup_host->answer(self, &answer, 1); /* too late: it was left behind */
		atomic_fetch_add(&all->asked, 1000);
		return;
	}
	all->lookup_host->answer(self, &answer, 1);
}

static void on_names(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct pair *all = arg;
	if (n == 1 && strcmp(answers->key, "somebody") == 0 && strcmp(answers->value, "a name") == 0)
		atomic_fetch_add(&all->answered, 1);
}

static int start_asker(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		       void **ret_state)
{
	(void)options;
	pair->source = self;
	*ret_state = pair;
	pair->source_host = host;
	return host->lookup_open(self, "names", on_names, pair, &pair->way);
}

static int ask_once(void *state)
{
	struct pair *all = state;
	int rc = all->source_host->lookup_ask(all->way, (const char *const[]){"somebody"}, 1);
	return rc == -EAGAIN ? 0 : rc;
}

static void stop_asker(void *state)
{
	struct pair *all = state;
	if (!all->leaves_open)
		all->source_host->lookup_close(all->way);
	atomic_fetch_add(&all->closed, 1);
}

static const struct plugin lookup_plugin = {
	.path = "names",
	.decl = {CW_PLUGIN_ABI, .name = "names", .summary = "Names", .role = CW_LOOKUP, .start = start_lookup,
		 .look_up = fake_look_up},
};
static const struct plugin asker_plugin = {
	.path = "asker",
	.decl = {CW_PLUGIN_ABI, .name = "asker", .summary = "Asks", .role = CW_SOURCE, .start = start_asker,
		 .read = ask_once, .stop = stop_asker},
};

static void lookup__may_come_go_and_come_back(void **state)
{
	(void)state;
	struct pair all = {0};
	struct options of_lookup, of_source;
	pair = &all;
	options_of(&of_source, "source", &asker_plugin, CW_SECOND / 100, RETRY);
	options_of(&of_lookup, "names", &lookup_plugin, CW_SECOND, RETRY);
	struct instance *source = run(&of_source, false);
	WAIT_UNTIL(instance_first_done(source));
	for (int i = 0; i < 3; i++) {
		int before = all.answered;
		struct instance *lookup = run(&of_lookup, false);
		WAIT_UNTIL(all.answered >= before + 3);
		end(lookup);
	}
	assert_int_equal(instance_state(source), CW_UP);
	end(source);
}

/* The source leaves its way open and comes back: it hears of nothing by the old one. */
static void way_left_open__ends_with_its_source(void **state)
{
	(void)state;
	struct pair all = {.leaves_open = true};
	struct options of_lookup, of_source;
	pair = &all;
	options_of(&of_source, "source", &asker_plugin, CW_SECOND / 100, RETRY);
	options_of(&of_lookup, "names", &lookup_plugin, CW_SECOND, RETRY);
	struct instance *lookup = run(&of_lookup, false);
	for (int i = 0; i < 3; i++) {
		int before = all.answered;
		struct instance *source = run(&of_source, false);
		WAIT_UNTIL(all.answered >= before + 3);
		end(source);
	}
	end(lookup);
}

/* One that hangs in look_up() costs the source nothing, is left behind at a reload, and its successor answers. */
static void abandoned_lookup__is_replaced_and_can_say_nothing_any_more(void **state)
{
	(void)state;
	static struct pair all; /* outlives the test, as the thread does */
	static struct options of_lookup;
	struct options of_source;
	all = (struct pair){.hangs = true};
	sem_init(&all.go, 0, 0);
	pair = &all;
	options_of(&of_source, "source", &asker_plugin, CW_SECOND / 100, RETRY);
	options_of(&of_lookup, "names", &lookup_plugin, CW_SECOND, RETRY);
	struct instance *source = run(&of_source, false), *lookup = run(&of_lookup, false);
	WAIT_UNTIL(all.asked >= 1);
	instance_stop(lookup);
	assert_false(instance_join(lookup, clock_now() + CW_SECOND / 10, /* returns */ false));
	assert_int_equal(instance_state(source), CW_UP);
	assert_int_equal(all.answered, 0);
	int asked = all.asked;
	sem_post(&all.go);
	WAIT_UNTIL(all.asked >= asked + 1000);
	all.hangs = false;
	assert_int_equal(all.answered, 0);
	struct instance *successor = run(&of_lookup, false);
	WAIT_UNTIL(all.answered >= 3);
	end(source);
	end(successor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reading__comes_at_once_then_aligned_and_reaches_the_output, note_time),
		cmocka_unit_test_setup(reading_answered_later__from_the_loop_or_within_read, note_time),
		cmocka_unit_test_setup(reading_never_answered__is_an_overrun_not_a_second_reading, note_time),
		cmocka_unit_test_setup(once__reads_a_single_time, note_time),
		cmocka_unit_test_setup(failed_reading__is_down_and_goes_on, note_time),
		cmocka_unit_test_setup(failed_reading_and_then_silence__is_down_before_the_next, note_time),
		cmocka_unit_test_setup(failed_readings_before_the_first_word__are_no_down, note_time),
		cmocka_unit_test_setup(stopped_output__is_neither_offered_nor_flushed_any_more, note_time),
		cmocka_unit_test_setup(output_that_has_no_loop__says_why_and_leaves_nothing, note_time),
		cmocka_unit_test_setup(failed_start__is_released_and_tried_again, note_time),
		cmocka_unit_test_setup(failed_start_ignored__stays_down_until_the_end, note_time),
		cmocka_unit_test_setup(failed_write__is_offered_again_and_nothing_is_lost, note_time),
		cmocka_unit_test_setup(an_output_that_says_it_is_up_again__does_not_wait_for_the_pause, note_time),
		cmocka_unit_test_setup(stop__writes_what_is_queued, note_time),
		cmocka_unit_test_setup(samples_at_the_wrong_time_or_not_finite__are_not_sent, note_time),
		cmocka_unit_test_setup(handle_left_open__is_noticed_and_its_memory_kept, note_time),
		cmocka_unit_test_setup(lookup__may_come_go_and_come_back, note_time),
		cmocka_unit_test_setup(way_left_open__ends_with_its_source, note_time),
		cmocka_unit_test_setup(abandoned_lookup__is_replaced_and_can_say_nothing_any_more, note_time),
		cmocka_unit_test_setup(abandoned__its_thread_can_do_nothing_any_more, note_time),
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
