/* SPDX-License-Identifier: MIT
 *
 * Samples and metrics of run time, through a real instance and a real hub to an output that remembers what it got: in a
 * reading and outside of it, times that repeat, what is refused and counted, what waits at the end, --once.
 */
#include "instance_world.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static int make_world(void **state)
{
	(void)state;
	return open_world(/* interval */ CW_SECOND / 10);
}

static int end_world(void **state)
{
	(void)state;
	return close_world();
}

/* ---- the output: what came from the source, and the last of the agent's own samples ---- */

enum { GOT_MAX = 8192 };

struct got {
	char metric[64], label[64];
	int64_t time;
	double value;
};

static pthread_mutex_t got_lock = PTHREAD_MUTEX_INITIALIZER;
static struct got got[GOT_MAX];
static unsigned got_count, got_batches;
static double produced, invalid, collided; /* of the source, as the hub says */
static uint32_t tags_count;
static char tag_values[2][16]; /* of the first and the last */
static char source_name[16];   /* another in each test: the hub counts on under a name that comes back */

static double value_of(const struct cw_sample *sample)
{
	return sample->number == CW_DOUBLE    ? sample->real
	       : sample->number == CW_INTEGER ? (double)sample->integer
					      : (double)sample->histogram->count;
}

static void note_self(const struct cw_sample *sample)
{
	if (strcmp(sample->metric->name, "samples_produced_total") == 0)
		produced = value_of(sample);
	if (strcmp(sample->metric->name, "samples_dropped_total") == 0 && strcmp(sample->labels[0], "invalid") == 0)
		invalid = value_of(sample);
	if (strcmp(sample->metric->name, "samples_dropped_total") == 0 && strcmp(sample->labels[0], "collision") == 0)
		collided = value_of(sample);
}

static bool is_self(const struct cw_sample *sample)
{
	return strncmp(sample->metric->name, "samples_", 8) == 0 ||
	       strncmp(sample->metric->name, "instance_", 9) == 0 || strncmp(sample->metric->name, "loop_", 5) == 0 ||
	       strncmp(sample->metric->name, "output_", 7) == 0;
}

static int sink_write(void *state, const struct cw_batch *batch)
{
	(void)state;
	if (strcmp(batch->instance, source_name) != 0)
		return 0;
	pthread_mutex_lock(&got_lock);
	bool any = false;
	for (uint32_t i = 0; i < batch->samples.count; i++) {
		const struct cw_sample *sample = cw_at(&batch->samples, i);
		if (is_self(sample)) {
			note_self(sample);
			continue;
		}
		any = true;
		struct got *place = &got[got_count++ % GOT_MAX];
		*place = (struct got){.time = sample->time, .value = value_of(sample)};
		snprintf(place->metric, sizeof place->metric, "%s", sample->metric->name);
		if (cw_label_count(sample->metric))
			snprintf(place->label, sizeof place->label, "%s", sample->labels[0]);
	}
	got_batches += any;
	tags_count = batch->tags.count;
	for (uint32_t i = 0; i < 2 && tags_count; i++)
		snprintf(tag_values[i], sizeof tag_values[i], "%s",
			 ((const struct cw_tag *)cw_at(&batch->tags, i ? tags_count - 1 : 0))->value);
	pthread_mutex_unlock(&got_lock);
	return 0;
}

static unsigned how_many(const char *metric, const char *label)
{
	unsigned n = 0;
	pthread_mutex_lock(&got_lock);
	for (unsigned i = 0; i < got_count && i < GOT_MAX; i++)
		n += strcmp(got[i].metric, metric) == 0 && (!label || strcmp(got[i].label, label) == 0);
	pthread_mutex_unlock(&got_lock);
	return n;
}

static bool books_say(double expect_produced, double expect_invalid, double expect_collided)
{
	pthread_mutex_lock(&got_lock);
	bool is = fabs(produced - expect_produced) < 0.5 && fabs(invalid - expect_invalid) < 0.5 &&
		  fabs(collided - expect_collided) < 0.5;
	pthread_mutex_unlock(&got_lock);
	return is;
}

static int sink_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		      void **ret_state)
{
	(void)self;
	(void)host;
	(void)options;
	*ret_state = NULL;
	return 0;
}

static const struct plugin sink_plugin = {
	.path = "sink",
	.decl = {CW_PLUGIN_ABI, .name = "sink", .summary = "Sink", .role = CW_OUTPUT, .start = sink_start,
		 .write = sink_write},
};

/* ---- the source: each test says what it does, and when ---- */

struct fake {
	struct cw_instance *self;
	const struct cw_host *host;
	void (*in_start)(struct fake *fake);
	void (*in_read)(struct fake *fake);
	void (*in_timer)(struct fake *fake); /* once, outside of any reading */
	void (*in_stop)(struct fake *fake);
	_Atomic int reads, timers;
	int64_t index;
	uv_timer_t timer;
};

static struct fake *fake_source; /* start() has no other way to find the test's data */

static const struct cw_metric metrics[] = {
	{.name = "value", .kind = CW_GAUGE, .unit = "", .help = "Value", .labels = {{"of", NULL}}},
	{.name = "things_total", .kind = CW_COUNTER, .unit = "", .help = "Things"},
};
enum { VALUE, THINGS };

static void on_timer(uv_timer_t *timer)
{
	struct fake *fake = timer->data;
	fake->in_timer(fake);
	atomic_fetch_add(&fake->timers, 1);
}

static int fake_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		      void **ret_state)
{
	(void)options;
	struct fake *fake = fake_source;
	fake->self = self;
	fake->host = host;
	*ret_state = fake;
	uv_timer_init(host->loop(self), &fake->timer);
	fake->timer.data = fake;
	if (fake->in_timer)
		uv_timer_start(&fake->timer, on_timer, 5, 0);
	if (fake->in_start)
		fake->in_start(fake);
	return 0;
}

static int fake_read(void *state)
{
	struct fake *fake = state;
	if (fake->in_read)
		fake->in_read(fake);
	atomic_fetch_add(&fake->reads, 1);
	return 0;
}

static void fake_stop(void *state)
{
	struct fake *fake = state;
	if (fake->in_stop)
		fake->in_stop(fake);
	uv_close((uv_handle_t *)&fake->timer, NULL);
}

static const struct plugin source_plugin = {
	.path = "fake",
	.decl = {CW_PLUGIN_ABI, .name = "fake", .summary = "Fake", .role = CW_SOURCE, .metrics = CW_ARRAY(metrics),
		 .start = fake_start, .read = fake_read, .stop = fake_stop},
};

/* ---- helpers ---- */

struct run {
	struct cw_value children[2], group;
	struct plan_instance what;
	struct instance *instance;
};

static struct cw_value own_labels = {.key = "labels"}; /* of each instance that is begun */

static void begin(struct run *run, const char *name, const struct plugin *plugin, int64_t interval, bool once)
{
	*run = (struct run){.children = {{.key = "interval", .type = CW_OPTION_DURATION, .known = interval > 0}}};
	run->children[0].integer = interval;
	run->children[1] = own_labels;
	run->group = (struct cw_value){.type = CW_OPTION_GROUP, .children = run->children, .count = 2};
	run->what = planned(name, plugin, &run->group);
	struct instance_context context = usual_context();
	context.once = once;
	run->instance = start_instance(&context, &run->what, /* before */ NULL);
}

static void end(struct run *run)
{
	end_instance(run->instance, /* returns */ false);
}

static struct run sink, source;

static void begin_both(struct fake *fake, int64_t interval, bool once)
{
	static unsigned number;
	pthread_mutex_lock(&got_lock);
	got_count = got_batches = 0;
	produced = invalid = collided = 0;
	snprintf(source_name, sizeof source_name, "source%u", number++);
	pthread_mutex_unlock(&got_lock);
	fake_source = fake;
	begin(&sink, "sink", &sink_plugin, 0, false);
	begin(&source, source_name, &source_plugin, interval, once);
}

static void end_both(void)
{
	end(&source);
	end(&sink);
}

static void give(struct fake *fake, uint32_t metric, const char *label, int64_t at, double value)
{
	struct cw_sample sample = {.labels = &label, .time = at, .number = CW_DOUBLE, .real = value};
	fake->host->sample(fake->self, metric, &sample);
}

static const int64_t then = 1700000000 * CW_SECOND;

/* ---- the tests ---- */

static void give_at_any_time(struct fake *fake)
{
	if (!fake->reads && fake->in_start)
		give(fake, VALUE, "start", then, 1);
	fake->in_start = NULL;
}

static void give_in_timer(struct fake *fake)
{
	give(fake, VALUE, "timer", then, 2);
}

static void give_in_read(struct fake *fake)
{
	if (fake->reads == 0)
		give(fake, VALUE, "read", then, 3);
}

static void give_in_stop(struct fake *fake)
{
	give(fake, VALUE, "stop", then, 4);
}

static void labels_of_the_agent_and_the_instance__are_all_tags_and_the_instances_win(void **state)
{
	(void)state;
	enum { LABELS = 100, SHARED = 40 };
	static struct cw_value of_agent[LABELS], of_instance[LABELS];
	static char names[2 * LABELS - SHARED][8];
	for (int i = 0; i < 2 * LABELS - SHARED; i++)
		snprintf(names[i], sizeof names[i], "l%d", i);
	for (int i = 0; i < LABELS; i++) {
		of_agent[i] = (struct cw_value){.key = names[LABELS - SHARED + i], .string = "agent"};
		of_instance[i] = (struct cw_value){.key = names[i], .string = "instance"};
	}
	of_agent[0].key = names[0]; /* shared too, in place of one that was */
	struct cw_value labels = {.key = "labels", .children = of_agent, .count = LABELS};
	struct cw_value agent = {.type = CW_OPTION_GROUP, .children = &labels, .count = 1};
	struct fake fake = {.in_timer = give_in_timer};
	plan.agent = &agent;
	own_labels.children = of_instance;
	own_labels.count = LABELS;
	begin_both(&fake, 3600 * CW_SECOND, false);
	WAIT_UNTIL(how_many("value", "timer") == 1);
	end_both();
	assert_int_equal(tags_count, 2 * LABELS - SHARED);
	assert_string_equal(tag_values[0], "instance");
	own_labels = (struct cw_value){.key = "labels"};
	plan.agent = NULL;
}

static void samples__arrive_whenever_they_were_given(void **state)
{
	(void)state;
	struct fake fake = {.in_start = give_at_any_time,
			    .in_read = give_in_read,
			    .in_timer = give_in_timer,
			    .in_stop = give_in_stop};
	begin_both(&fake, 3600 * CW_SECOND, false);
	WAIT_UNTIL(how_many("value", "start") == 1);
	WAIT_UNTIL(how_many("value", "read") == 1);
	WAIT_UNTIL(how_many("value", "timer") == 1);
	end(&source);
	WAIT_UNTIL(how_many("value", "stop") == 1);
	assert_int_equal(got[0].time, then);
	end(&sink);
}

static void give_many(struct fake *fake)
{
	char label[16];
	for (int i = 0; i < 2500; i++) {
		snprintf(label, sizeof label, "%d", i);
		give(fake, VALUE, label, then, i);
	}
}

static void loose_samples__go_out_in_batches(void **state)
{
	(void)state;
	struct fake fake = {.in_timer = give_many};
	begin_both(&fake, 3600 * CW_SECOND, false);
	WAIT_UNTIL(how_many("value", NULL) == 2500);
	assert_int_equal(got_batches, 3);
	WAIT_UNTIL(books_say(2500, 0, 0));
	end_both();
}

static void give_the_same_time(struct fake *fake)
{
	if (fake->reads < 5) {
		give(fake, VALUE, "old", then, 1);
		give(fake, VALUE, "new", then + fake->reads, 1);
	}
}

/* The first reading's is sent; each later one would land on the same path at the same time. */
static void time_that_repeats_from_reading_to_reading__is_a_collision(void **state)
{
	(void)state;
	struct fake fake = {.in_read = give_the_same_time};
	begin_both(&fake, CW_SECOND / 50, false);
	WAIT_UNTIL(how_many("value", "new") == 5);
	assert_int_equal(how_many("value", "old"), 1);
	WAIT_UNTIL(books_say(6, 0, 4));
	end_both();
}

static void give_twice_far_apart(struct fake *fake)
{
	if (fake->timers == 0) {
		give_many(fake); /* the first of them has left when the second comes */
		give(fake, VALUE, "0", then, 5);
		give(fake, VALUE, "1", then + 1, 5);
	}
}

static void time_that_repeats_in_another_loose_batch__is_a_collision(void **state)
{
	(void)state;
	struct fake fake = {.in_timer = give_twice_far_apart};
	begin_both(&fake, 3600 * CW_SECOND, false);
	WAIT_UNTIL(how_many("value", "1") == 2);
	assert_int_equal(how_many("value", "0"), 1);
	WAIT_UNTIL(books_say(2501, 0, 1));
	end_both();
}

static void give_wrong_things(struct fake *fake)
{
	struct cw_sample sample = {.time = then, .number = CW_DOUBLE, .real = 1};
	give(fake, VALUE, "nan", then, NAN);
	fake->host->sample(fake->self, VALUE, &sample); /* without its label */
	give(fake, 99, "no such metric", then, 1);
	sample.number = (enum cw_number)7;
	fake->host->sample(fake->self, THINGS, &sample);
	give(fake, VALUE, "good", then, 1);
}

static void what_is_no_sample__is_counted_and_the_rest_goes(void **state)
{
	(void)state;
	struct fake fake = {.in_timer = give_wrong_things};
	begin_both(&fake, 3600 * CW_SECOND, false);
	WAIT_UNTIL(how_many("value", "good") == 1);
	WAIT_UNTIL(books_say(1, 4, 0));
	end_both();
}

static void declare_and_give(struct fake *fake)
{
	static const double bounds[] = {1, 2};
	char name[] = "appears_late_seconds";
	struct cw_metric metric = {.name = name, .kind = CW_HISTOGRAM, .unit = "seconds", .help = "Late"};
	metric.bounds = bounds;
	metric.bounds_count = 2;
	fake->index = fake->host->declare(fake->self, &metric);
	memset(name, 'x', sizeof name - 1); /* it was copied */
	const uint64_t buckets[] = {1, 2, 3};
	struct cw_histogram histogram = {.buckets = buckets, .count = 6, .sum = 9};
	struct cw_sample sample = {.number = CW_BUCKETS, .histogram = &histogram};
	fake->host->sample(fake->self, (uint32_t)fake->index, &sample);
	fake->host->gauge(fake->self, VALUE, (const char *const[]){"gauge"}, 1);
}

static void declared_histogram__arrives_with_the_time_of_its_reading(void **state)
{
	(void)state;
	struct fake fake = {.in_read = declare_and_give};
	begin_both(&fake, CW_SECOND / 20, false);
	WAIT_UNTIL(how_many("appears_late_seconds", NULL) >= 3);
	end_both();
	assert_int_equal(fake.index, 2);
	assert_int_equal(got[2].time, got[3].time);
	assert_int_equal(got[2].time % (CW_SECOND / 20), 0);
}

static void give_once(struct fake *fake)
{
	struct cw_metric metric = {.name = "late_gauge", .kind = CW_GAUGE, .unit = "", .help = "Late"};
	struct cw_sample sample = {.number = CW_DOUBLE, .real = 1};
	fake->host->sample(fake->self, (uint32_t)fake->host->declare(fake->self, &metric), &sample);
	sample.number = CW_INTEGER;
	sample.integer = 1;
	fake->host->sample(fake->self, THINGS, &sample);
}

static void once__only_gauges_of_the_reading(void **state)
{
	(void)state;
	struct fake fake = {.in_read = give_once, .in_timer = give_in_timer, .in_stop = give_in_stop};
	begin_both(&fake, 3600 * CW_SECOND, true);
	WAIT_UNTIL(how_many("late_gauge", NULL) == 1);
	WAIT_UNTIL(fake.timers == 1);
	WAIT_UNTIL(books_say(1, 1, 0));
	end_both();
	assert_int_equal(how_many("value", NULL), 0);
	assert_int_equal(how_many("things_total", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_of_the_agent_and_the_instance__are_all_tags_and_the_instances_win),
		cmocka_unit_test(samples__arrive_whenever_they_were_given),
		cmocka_unit_test(loose_samples__go_out_in_batches),
		cmocka_unit_test(time_that_repeats_from_reading_to_reading__is_a_collision),
		cmocka_unit_test(time_that_repeats_in_another_loose_batch__is_a_collision),
		cmocka_unit_test(what_is_no_sample__is_counted_and_the_rest_goes),
		cmocka_unit_test(declared_histogram__arrives_with_the_time_of_its_reading),
		cmocka_unit_test(once__only_gauges_of_the_reading),
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
