/* SPDX-License-Identifier: MIT
 *
 * An output with a spool, as an instance on a real hub: when batches go to the disk, that they come back in order and
 * once, what restarts and ends do to them, and what an abandoned thread cannot do. The books must balance throughout.
 */
#include "instance_world.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { WRITTEN_MAX = 10000 };

static char top[] = "/tmp/callwatch-test-spooling-XXXXXX", folder[128];

static int make_world(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/spool/output", mkdtemp(top));
	return open_world(/* interval */ 3600 * CW_SECOND);
}

static int end_world(void **state)
{
	(void)state;
	char command[256];
	close_world();
	snprintf(command, sizeof command, "rm -rf '%s'", top);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

/* ---- a fake output ---- */

enum way { WORKS, FAILS, HANGS, HANGS_THEN_FAILS, BLOCKS };

static struct {
	_Atomic enum way way;
	_Atomic bool refuses; /* to start */
	_Atomic int starts, drops;
	sem_t go; /* ends one BLOCKS */
	_Atomic int blocked;

	pthread_mutex_t lock; /* guards the two below */
	int count;
	int64_t written[WRITTEN_MAX]; /* numbers, in the order in which they were written */
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct fake {
	struct cw_instance *self;
	const struct cw_host *host;
	uv_timer_t timer;
	const struct cw_batch *batch; /* hangs */
};

static void note(const struct fake *fake, const struct cw_batch *batch)
{
	const struct cw_sample *first = cw_at(&batch->samples, 0);
	fake->host->dropped(fake->self, CW_DROP_REFUSED, (uint64_t)output.drops);
	pthread_mutex_lock(&output.lock);
	if (output.count < WRITTEN_MAX)
		output.written[output.count++] = first->integer;
	pthread_mutex_unlock(&output.lock);
}

static void on_timer(uv_timer_t *timer)
{
	struct fake *fake = timer->data;
	enum way way = output.way;
	if (way == HANGS)
		return;
	uv_timer_stop(timer);
	const struct cw_batch *batch = fake->batch;
	fake->batch = NULL;
	if (way == WORKS)
		note(fake, batch);
	fake->host->write_done(fake->self, way == WORKS ? 0 : -EIO);
}

static int fake_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		      void **ret_state)
{
	(void)options;
	atomic_fetch_add(&output.starts, 1);
	if (output.refuses)
		return -ENODEV;
	struct fake *fake = calloc(1, sizeof *fake);
	*fake = (struct fake){.self = self, .host = host};
	*ret_state = fake;
	uv_timer_init(host->loop(self), &fake->timer);
	fake->timer.data = fake;
	return 0;
}

static int fake_write(void *state, const struct cw_batch *batch)
{
	struct fake *fake = state;
	if (output.way == BLOCKS) {
		atomic_fetch_add(&output.blocked, 1);
		sem_wait(&output.go);
		return 0;
	}
	if (output.way == FAILS)
		return -EIO;
	if (output.way == WORKS) {
		note(fake, batch);
		return 0;
	}
	fake->batch = batch;
	uv_timer_start(&fake->timer, on_timer, 1, 1);
	return CW_LATER;
}

static void fake_stop(void *state)
{
	uv_close((uv_handle_t *)&((struct fake *)state)->timer, NULL);
}

static const struct plugin plugin = {
	.path = "sink",
	.decl = {CW_PLUGIN_ABI, .name = "sink", .summary = "Sink", .role = CW_OUTPUT, .start = fake_start,
		 .write = fake_write, .stop = fake_stop, .release = free},
};

/* ---- an instance of it ---- */

struct run {
	struct cw_value children[2], group;
	struct plan_instance what;
	struct instance *instance;
	struct outqueue *queue; /* a reference, NULL before the first life */
};

static void begin(struct run *run, int64_t spool)
{
	run->children[0] = (struct cw_value){.key = "spool", .type = CW_OPTION_SIZE, .known = true, .integer = spool};
	run->children[1] = (struct cw_value){.key = "queue", .type = CW_OPTION_INT, .known = true, .integer = 1000};
	run->group = (struct cw_value){.type = CW_OPTION_GROUP, .children = run->children, .count = 2};
	run->what = planned("output", &plugin, &run->group);
	struct instance_context context = usual_context();
	context.state_dir = top;
	run->instance = start_instance(&context, &run->what, run->queue);
	outqueue_unref(run->queue);
	run->queue = outqueue_ref(instance_queue(run->instance));
}

static void end(struct run *run, bool returns)
{
	struct instance *instance = run->instance;
	run->instance = NULL;
	end_instance(instance, returns);
}

/* The next process: it knows nothing of this one's books. */
static void forget(struct run *run)
{
	outqueue_unref(run->queue);
	run->queue = NULL;
}

static struct outqueue_counts books(const struct run *run)
{
	struct outqueue_counts counts;
	outqueue_counts(run->queue, &counts);
	assert_int_equal(counts.accepted + counts.spool.restored,
			 counts.sent + counts.queued + counts.spool.held + outqueue_dropped(&counts));
	return counts;
}

static int set_up(void **state)
{
	pthread_mutex_lock(&output.lock);
	output.count = 0;
	pthread_mutex_unlock(&output.lock);
	output.way = WORKS;
	output.refuses = false;
	output.drops = output.starts = output.blocked = 0;
	struct run *run = calloc(1, sizeof *run);
	*state = run;
	return 0;
}

static int tear_down(void **state)
{
	struct run *run = *state;
	output.way = WORKS;
	if (run->instance) /* the test failed */
		end(run, /* returns */ false);
	outqueue_unref(run->queue);
	if (instance_abandoned_count() == 0) /* else a thread may still read its options */
		free(run);
	return 0;
}

static const struct cw_metric metric = {.name = "number", .kind = CW_GAUGE, .labels = {{"place", NULL}}};

/* Batches of three samples, with the numbers from `first` up to `last`. */
static void feed(int first, int last)
{
	static const char *const places[] = {"a", "b", "c"};
	struct batch_builder *builder = batch_builder_new("h", "source", CW_SECOND, NULL, 0);
	for (int number = first; number <= last; number++) {
		for (int i = 0; i < 3; i++)
			batch_add(builder, &metric, &places[i], 1, CW_INTEGER, 0, number, NULL);
		hub_post_batch(hub, batch_take(builder));
	}
	batch_builder_free(builder);
}

static int written(void)
{
	pthread_mutex_lock(&output.lock);
	int count = output.count;
	pthread_mutex_unlock(&output.lock);
	return count;
}

/* All of 1 to `last`, in order; and once, but for `again` of them. */
static void check_written(int last, int again)
{
	int64_t highest = 0;
	int repeated = 0;
	pthread_mutex_lock(&output.lock);
	for (int i = 0; i < output.count; i++) {
		if (output.written[i] == highest)
			repeated++;
		else
			assert_int_equal(output.written[i], highest + 1);
		highest = output.written[i];
	}
	pthread_mutex_unlock(&output.lock);
	assert_int_equal(highest, last);
	assert_true(repeated <= again);
}

static bool all_on_disk(const struct run *run, uint64_t samples)
{
	struct outqueue_counts counts = books(run);
	return counts.spool.held == samples && counts.queued == 0;
}

static int files(void)
{
	char command[256];
	snprintf(command, sizeof command, "test -z \"$(ls '%s')\"", folder);
	return system(command); /* NOLINT(cert-env33-c): a test's own folder */
}

/* ---- the tests ---- */

static void an_output_that_takes_all__never_touches_the_disk(void **state)
{
	struct run *run = *state;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 300);
	WAIT_UNTIL(written() == 300);
	end(run, false);
	check_written(300, 0);
	assert_int_equal(books(run).spool.taken, 0);
	assert_int_equal(files(), 0);
}

static void a_failed_write__sends_all_through_the_disk_until_it_is_empty(void **state)
{
	struct run *run = *state;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 10);
	WAIT_UNTIL(written() == 10);
	output.way = FAILS;
	feed(11, 50);
	WAIT_UNTIL(all_on_disk(run, 40 * 3)); /* at once: nobody waited for the second try */
	assert_int_not_equal(files(), 0);
	output.way = WORKS;
	feed(51, 100);
	WAIT_UNTIL(written() == 100);
	WAIT_UNTIL(all_on_disk(run, 0));
	feed(101, 110);
	WAIT_UNTIL(written() == 110);
	assert_int_equal(files(), 0);
	end(run, false);
	check_written(110, 0);
	assert_int_equal(books(run).spool.taken, 90 * 3);
	assert_int_equal(books(run).sent, 110 * 3);
}

static void a_write_that_hangs__is_on_disk_too_and_leaves_it_when_it_ends(void **state)
{
	struct run *run = *state;
	output.way = HANGS;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 20);
	WAIT_UNTIL(all_on_disk(run, 20 * 3));
	output.way = WORKS;
	WAIT_UNTIL(written() == 20);
	WAIT_UNTIL(all_on_disk(run, 0));
	end(run, false);
	check_written(20, 0);
	assert_int_equal(books(run).sent, 60);
}

static void a_write_that_hangs_and_then_fails__is_offered_again_from_the_disk(void **state)
{
	struct run *run = *state;
	output.way = HANGS;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 20);
	WAIT_UNTIL(all_on_disk(run, 20 * 3));
	output.way = HANGS_THEN_FAILS;
	WAIT_UNTIL(instance_state(run->instance) == CW_DOWN);
	assert_true(all_on_disk(run, 20 * 3));
	output.way = WORKS;
	WAIT_UNTIL(written() == 20);
	end(run, false);
	check_written(20, 0);
	assert_int_equal(books(run).sent, 60);
}

static void what_the_output_drops__is_counted_for_batches_of_the_disk_too(void **state)
{
	struct run *run = *state;
	output.way = FAILS;
	output.drops = 1;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 20);
	WAIT_UNTIL(all_on_disk(run, 20 * 3));
	output.way = WORKS;
	WAIT_UNTIL(written() == 20);
	end(run, false);
	assert_int_equal(books(run).sent, 40);
	assert_int_equal(books(run).dropped_by_output[CW_DROP_REFUSED], 20);
}

static void the_end__leaves_on_disk_what_was_not_sent_and_the_next_process_sends_it_first(void **state)
{
	static const enum way ways[] = {FAILS, HANGS};
	struct run *run = *state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		set_up(state);
		free(run);
		run = *state;
		output.way = ways[i];
		begin(run, SPOOL_LIMIT_MIN);
		feed(1, 20);
		struct outqueue_counts counts;
		do
			counts = books(run);
		while (counts.accepted < 60);
		end(run, false); /* some of it may not have been on disk before */
		counts = books(run);
		assert_int_equal(counts.spool.held, 60);
		assert_int_equal(outqueue_dropped(&counts), 0);
		forget(run);
		output.way = WORKS;
		begin(run, SPOOL_LIMIT_MIN);
		feed(21, 30);
		WAIT_UNTIL(written() == 30);
		end(run, false);
		check_written(30, 0);
		assert_int_equal(books(run).spool.restored, 60);
		assert_int_equal(books(run).sent, 90);
		forget(run);
	}
}

/* With a spool or without, whatever the output does. */
static void a_restart__loses_nothing_of_what_waits_and_comes_meanwhile(void **state)
{
	static const enum way ways[] = {WORKS, FAILS, HANGS};
	struct run *run = *state;
	for (int variant = 0; variant < 6; variant++) {
		int64_t spool = variant % 2 ? SPOOL_LIMIT_MIN : 0;
		int next = 1,
		    lives = ways[variant / 2] == HANGS ? 1 : 10; /* the end of one that hangs takes its time */
		output.way = ways[variant / 2];
		output.count = 0;
		forget(run);
		begin(run, spool);
		for (int life = 0; life < lives; life++) {
			feed(next, next + 9);
			next += 10;
			instance_stop(run->instance);
			feed(next, next + 4);
			next += 5;
			assert_true(instance_join(run->instance, clock_now() + 20 * CW_SECOND, /* returns */ true));
			feed(next, next + 4);
			next += 5;
			begin(run, spool);
		}
		output.way = WORKS;
		WAIT_UNTIL(written() >= next - 1);
		end(run, false);
		check_written(next - 1, 0);
		struct outqueue_counts counts = books(run);
		assert_int_equal(counts.sent, (uint64_t)(next - 1) * 3);
		assert_int_equal(counts.spool.restored, 0);
	}
}

static void an_output_that_cannot_start__has_its_samples_put_on_disk(void **state)
{
	struct run *run = *state;
	output.refuses = true;
	begin(run, SPOOL_LIMIT_MIN);
	WAIT_UNTIL(output.starts == 1);
	feed(1, 20);
	WAIT_UNTIL(all_on_disk(run, 60));
	output.refuses = false;
	WAIT_UNTIL(written() == 20);
	end(run, false);
	check_written(20, 0);
}

static void without_a_folder__the_queue_holds_what_it_can_and_the_disk_is_tried_again(void **state)
{
	struct run *run = *state;
	char command[512];
	snprintf(command, sizeof command, "rm -rf '%s/spool' && touch '%s/spool'", top, top);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own folder */
	output.way = FAILS;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 400); /* of 1,200 samples 1,000 have room, and a batch is dropped whole */
	WAIT_UNTIL(books(run).accepted == 1200);
	assert_int_equal(books(run).queued, 999);
	assert_int_equal(books(run).dropped_full, 201);
	snprintf(command, sizeof command, "%s/spool", top);
	unlink(command);
	WAIT_UNTIL(all_on_disk(run, 999));
	output.way = WORKS;
	WAIT_UNTIL(written() == 333);
	end(run, false);
	assert_int_equal(output.written[0], 68);
	assert_int_equal(output.written[332], 400);
}

/* At the end nobody waits for the next try. */
static void the_end__tries_the_disk_once_more(void **state)
{
	struct run *run = *state;
	char path[256];
	snprintf(path, sizeof path, "%s/spool", top);
	rmdir(folder);
	assert_int_equal(rmdir(path), 0);
	close(creat(path, 0600));
	output.way = FAILS;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 20);
	WAIT_UNTIL(books(run).queued == 60);
	unlink(path);
	end(run, false);
	assert_int_equal(books(run).spool.held, 60);
	forget(run);
	output.way = WORKS;
	begin(run, SPOOL_LIMIT_MIN);
	WAIT_UNTIL(written() == 20);
	end(run, false);
	check_written(20, 0);
}

/* It blocks in write() and does not end in time: its successor has the queue but not the folder, until it comes back.
 */
static void an_abandoned_one__keeps_the_folder_and_touches_nothing(void **state)
{
	struct run *run = *state, *later = calloc(1, sizeof *later);
	sem_init(&output.go, 0, 0);
	output.way = FAILS;
	begin(run, SPOOL_LIMIT_MIN);
	feed(1, 20);
	WAIT_UNTIL(all_on_disk(run, 60));
	output.way = BLOCKS;
	WAIT_UNTIL(output.blocked == 1);
	instance_stop(run->instance);
	assert_false(instance_join(run->instance, clock_now() + CW_SECOND / 10, /* returns */ true));
	run->instance = NULL;
	output.way = WORKS;
	later->queue = run->queue;
	run->queue = NULL;
	begin(later, SPOOL_LIMIT_MIN);
	feed(21, 30);
	WAIT_UNTIL(written() == 10); /* from memory: the folder is not its own */
	assert_int_equal(books(later).spool.held, 60);
	sem_post(&output.go); /* the old thread says that it has sent its batch: nobody listens */
	WAIT_UNTIL(written() == 30);
	assert_int_equal(output.written[10], 1);
	WAIT_UNTIL(all_on_disk(later, 0));
	end(later, false);
	assert_int_equal(books(later).sent, 90);
	outqueue_unref(later->queue);
	free(later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(an_output_that_takes_all__never_touches_the_disk),
		TEST(a_failed_write__sends_all_through_the_disk_until_it_is_empty),
		TEST(a_write_that_hangs__is_on_disk_too_and_leaves_it_when_it_ends),
		TEST(a_write_that_hangs_and_then_fails__is_offered_again_from_the_disk),
		TEST(what_the_output_drops__is_counted_for_batches_of_the_disk_too),
		TEST(the_end__leaves_on_disk_what_was_not_sent_and_the_next_process_sends_it_first),
		TEST(a_restart__loses_nothing_of_what_waits_and_comes_meanwhile),
		TEST(an_output_that_cannot_start__has_its_samples_put_on_disk),
		TEST(without_a_folder__the_queue_holds_what_it_can_and_the_disk_is_tried_again),
		TEST(the_end__tries_the_disk_once_more),
		TEST(an_abandoned_one__keeps_the_folder_and_touches_nothing), /* the last: it leaves a thread behind */
#undef TEST
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
