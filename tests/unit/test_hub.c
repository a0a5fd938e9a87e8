/* SPDX-License-Identifier: MIT
 *
 * The hub: batches reach every output, the books balance to the sample while outputs are slow or failing.
 */
#include "clock.h"
#include "hub.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};

static struct hub *start(int64_t interval)
{
	struct hub_options options = {.hostname = "web-1", .version = "1.2.3", .interval = interval};
	struct hub *hub = hub_new(&options);
	assert_non_null(hub);
	assert_int_equal(hub_start(hub), 0);
	return hub;
}

static const struct cw_batch *make(const char *instance, int n)
{
	struct batch_builder *builder = batch_builder_new("web-1", instance, CW_SECOND, NULL, 0);
	for (int i = 0; i < n; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%d", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1, CW_INTEGER, 0, i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void a_batch__goes_to_every_output_with_a_queue(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	struct outqueue *a = outqueue_new(100, NULL, NULL, NULL), *b = outqueue_new(100, NULL, NULL, NULL);
	hub_add_instance(hub, "a", "stdout", CW_OUTPUT, NULL, a);
	hub_add_instance(hub, "b", "graphite", CW_OUTPUT, NULL, b);
	hub_add_instance(hub, "calls", "redis-calls", CW_SOURCE, NULL, NULL);
	hub_post_batch(hub, make("calls", 3));
	hub_stop(hub); /* delivers what was posted first */
	assert_int_equal(outqueue_peek(a)->samples.count, 3);
	assert_ptr_equal(outqueue_peek(a), outqueue_peek(b));
	hub_post_batch(hub, make("calls", 3)); /* harmless afterwards */
	hub_free(hub);
	outqueue_unref(a);
	outqueue_unref(b);
}

static void a_removed_output__gets_no_more(void **state)
{
	(void)state;
	struct hub *hub = start(3600 * CW_SECOND);
	struct outqueue *a = outqueue_new(100, NULL, NULL, NULL);
	hub_add_instance(hub, "a", "stdout", CW_OUTPUT, NULL, a);
	hub_remove_instance(hub, "a");
	hub_post_batch(hub, make("calls", 3));
	hub_stop(hub);
	assert_null(outqueue_peek(a));
	hub_free(hub);
	outqueue_unref(a);
}

/* ---- the books ---- */

enum { SOURCES = 3, BATCHES = 4000, OUTPUTS = 4 };

static struct hub *busy_hub;
static _Atomic bool sources_done;
static _Atomic uint64_t posted;

static void *produce(void *arg)
{
	for (int i = 0; i < BATCHES; i++) {
		const struct cw_batch *batch = make(arg, 1 + i % 7);
		atomic_fetch_add(&posted, batch->samples.count);
		hub_post_batch(busy_hub, batch);
	}
	return NULL;
}

/* An output that sends every n-th time it is asked to, and is slow. */
struct consumer {
	struct outqueue *queue;
	int succeeds_every;
};

static void *consume(void *arg)
{
	struct consumer *consumer = arg;
	for (int i = 1; !atomic_load(&sources_done); i++) {
		if (outqueue_peek(consumer->queue)) {
			outqueue_drop(consumer->queue, (enum cw_drop)(i % OUTQUEUE_DROPS), (uint64_t)(i % 2));
			outqueue_settle(consumer->queue, i % consumer->succeeds_every == 0);
		}
		if (i % 10 == 0)
			pause_a_little();
	}
	return NULL;
}

/* One run of the agent's own samples. */
struct snapshot {
	int64_t time;
	uint64_t produced, hub_full;    /* all sources */
	uint64_t accepted[OUTPUTS + 1]; /* sent + queued + dropped of each output */
};

static void add_up(struct snapshot *snapshot, const struct cw_batch *batch, const struct cw_sample *sample)
{
	const char *name = sample->metric->name;
	int output = strncmp(batch->instance, "out", 3) == 0 ? batch->instance[3] - '0' : -1;
	uint64_t value = sample->number == CW_INTEGER ? (uint64_t)sample->integer : 0;
	snapshot->time = sample->time;
	if (strcmp(name, "samples_produced_total") == 0)
		snapshot->produced += value;
	else if (strcmp(name, "samples_dropped_total") == 0 && strcmp(sample->labels[0], "hub_full") == 0)
		snapshot->hub_full += value;
	else if (output >= 0 && (strcmp(name, "samples_sent_total") == 0 || strcmp(name, "output_queue_length") == 0 ||
				 strcmp(name, "samples_dropped_total") == 0))
		snapshot->accepted[output] += value;
}

static int check(const struct snapshot *snapshot)
{
	if (!snapshot->time)
		return 0;
	for (int i = 0; i < OUTPUTS; i++)
		assert_int_equal(snapshot->accepted[i], snapshot->produced - snapshot->hub_full);
	return 1;
}

/* Goes through all that the probe was given; each run of self samples has one time. Gives the number of runs. */
static int check_all(struct outqueue *probe)
{
	struct snapshot snapshot = {0};
	const struct cw_batch *batch;
	int runs = 0;
	while ((batch = outqueue_peek(probe))) {
		for (uint32_t i = 0; i < batch->samples.count; i++) {
			const struct cw_sample *sample = cw_at(&batch->samples, i);
			if (sample->metric == &active)
				continue;
			if (sample->time != snapshot.time) {
				runs += check(&snapshot);
				snapshot = (struct snapshot){0};
			}
			add_up(&snapshot, batch, sample);
		}
		outqueue_settle(probe, /* sent */ true);
	}
	return runs + check(&snapshot);
}

static void the_books__with_slow_and_failing_outputs__balance_in_every_run(void **state)
{
	(void)state;
	struct hub_options options = {.hostname = "web-1", .version = "1.2.3", .interval = 10 * CW_MILLISECOND};
	busy_hub = hub_new(&options);
	atomic_store(&sources_done, false);
	atomic_store(&posted, 0);
	struct consumer consumers[OUTPUTS] = {
		{.succeeds_every = 1}, {.succeeds_every = 3}, {.succeeds_every = 1 << 30}, {0}};
	static const uint64_t limits[OUTPUTS] = {1000, 50, 500, 100000000};
	char name[16];
	for (int i = 0; i < OUTPUTS; i++) {
		consumers[i].queue = outqueue_new(limits[i], NULL, NULL, NULL);
		snprintf(name, sizeof(name), "out%d", i);
		hub_add_instance(busy_hub, name, "test", CW_OUTPUT, NULL, consumers[i].queue);
	}
	static char *const names[SOURCES] = {"calls", "dlq", "runs"};
	pthread_t sources[SOURCES], outputs[OUTPUTS - 1];
	for (int i = 0; i < SOURCES; i++)
		hub_add_instance(busy_hub, names[i], "test", CW_SOURCE, NULL, NULL);
	assert_int_equal(hub_start(busy_hub), 0); /* now, so that all outputs are there for its first samples */
	for (int i = 0; i < SOURCES; i++)
		pthread_create(&sources[i], NULL, produce, names[i]);
	for (int i = 0; i < OUTPUTS - 1; i++)
		pthread_create(&outputs[i], NULL, consume, &consumers[i]);
	for (int i = 0; i < SOURCES; i++)
		pthread_join(sources[i], NULL);
	struct outqueue *probe = consumers[OUTPUTS - 1].queue;
	struct outqueue_counts counts;
	uint64_t before;
	outqueue_counts(probe, &counts);
	before = counts.accepted;
	do { /* another run after the last batch */
		pause_a_little();
		outqueue_counts(probe, &counts);
	} while (counts.accepted == before);
	atomic_store(&sources_done, true);
	for (int i = 0; i < OUTPUTS - 1; i++)
		pthread_join(outputs[i], NULL);
	hub_stop(busy_hub);
	assert_true(check_all(probe) >= 1);
	for (int i = 0; i < OUTPUTS; i++) {
		outqueue_counts(consumers[i].queue, &counts);
		assert_int_equal(counts.accepted, counts.sent + counts.queued + outqueue_dropped(&counts));
		outqueue_unref(consumers[i].queue);
	}
	assert_true(counts.accepted >= atomic_load(&posted) / 2);
	hub_free(busy_hub);
}

static void batches_for_a_hub_that_does_not_run__are_counted(void **state)
{
	(void)state;
	struct hub_options options = {.hostname = "web-1", .version = "1", .interval = 20 * CW_MILLISECOND};
	struct hub *hub = hub_new(&options);
	struct outqueue *probe = outqueue_new(1000000, NULL, NULL, NULL);
	hub_add_instance(hub, "calls", "test", CW_SOURCE, NULL, NULL);
	hub_add_instance(hub, "out0", "test", CW_OUTPUT, NULL, probe);
	enum { MANY = 20000 }; /* more than the mailbox takes */
	for (int i = 0; i < MANY; i++)
		hub_post_batch(hub, make("calls", 2));
	assert_int_equal(hub_start(hub), 0);
	uint64_t produced = 0, full = 0;
	for (int64_t deadline = clock_now() + 20 * CW_SECOND; produced < MANY * 2 && clock_now() < deadline;) {
		const struct cw_batch *batch = outqueue_peek(probe);
		for (uint32_t i = 0; batch && i < batch->samples.count; i++) {
			const struct cw_sample *sample = cw_at(&batch->samples, i);
			if (strcmp(batch->instance, "calls") == 0 && sample->metric != &active) {
				if (strcmp(sample->metric->name, "samples_produced_total") == 0)
					produced = (uint64_t)sample->integer;
				if (strcmp(sample->metric->name, "samples_dropped_total") == 0 &&
				    strcmp(sample->labels[0], "hub_full") == 0)
					full = (uint64_t)sample->integer;
			}
		}
		if (batch)
			outqueue_settle(probe, /* sent */ true);
		else
			pause_a_little();
	}
	assert_int_equal(produced, MANY * 2);
	assert_true(full > 0 && full < produced);
	hub_free(hub);
	outqueue_unref(probe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch__goes_to_every_output_with_a_queue),
		cmocka_unit_test(a_removed_output__gets_no_more),
		cmocka_unit_test(the_books__with_slow_and_failing_outputs__balance_in_every_run),
		cmocka_unit_test(batches_for_a_hub_that_does_not_run__are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
