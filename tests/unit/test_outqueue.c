/* SPDX-License-Identifier: MIT
 *
 * The queue in front of an output: order, bounds, what is in flight stays, and books that balance after every step.
 */
#include "batch.h"
#include "outqueue.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const struct cw_metric depth = {.name = "dlq_depth", .kind = CW_GAUGE};
static int wakes;

static void wake(void *arg)
{
	(void)arg;
	wakes++;
}

/* n samples of calls_active, the first `number`, so that batches can be told apart. */
static const struct cw_batch *make(int number, int n)
{
	struct batch_builder *builder = batch_builder_new("web-1", "calls", CW_SECOND, NULL, 0);
	for (int i = 0; i < n; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%d", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1, CW_INTEGER, 0, number + i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static void push(struct outqueue *queue, int number, int n)
{
	const struct cw_batch *batch = make(number, n);
	outqueue_push(queue, batch);
	batch_unref(batch);
}

static int64_t first_number(const struct cw_batch *batch)
{
	return batch ? ((const struct cw_sample *)cw_at(&batch->samples, 0))->integer : -1;
}

static struct outqueue_counts balanced(struct outqueue *queue)
{
	struct outqueue_counts counts;
	outqueue_counts(queue, &counts);
	assert_int_equal(counts.accepted + counts.spool.restored,
			 counts.sent + counts.queued + counts.spool.held + outqueue_dropped(&counts));
	return counts;
}

static void batches__leave_in_order_and_only_when_sent(void **state)
{
	(void)state;
	wakes = 0;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	assert_null(outqueue_peek(queue));
	push(queue, 10, 3);
	push(queue, 20, 3);
	assert_int_equal(wakes, 1);
	assert_int_equal(first_number(outqueue_peek(queue)), 10);
	outqueue_settle(queue, /* sent */ false);
	assert_int_equal(first_number(outqueue_peek(queue)), 10);
	outqueue_settle(queue, /* sent */ true);
	assert_int_equal(first_number(outqueue_peek(queue)), 20);
	outqueue_settle(queue, /* sent */ true);
	assert_null(outqueue_peek(queue));
	assert_int_equal(balanced(queue).sent, 6);
	push(queue, 30, 1);
	assert_int_equal(wakes, 2);
	outqueue_unref(queue);
}

static void a_full_queue__drops_the_oldest_but_not_what_is_in_flight(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(10, NULL, wake, NULL);
	push(queue, 10, 4);
	const struct cw_batch *in_flight = outqueue_peek(queue);
	push(queue, 20, 4);
	push(queue, 30, 4);
	push(queue, 40, 4);
	assert_int_equal(first_number(in_flight), 10); /* asan would tell */
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.dropped_full, 8);
	assert_int_equal(counts.queued, 8);
	outqueue_settle(queue, /* sent */ false);
	push(queue, 50, 4); /* not in flight any more: now it may go */
	assert_int_equal(first_number(outqueue_peek(queue)), 40);
	outqueue_settle(queue, /* sent */ true);
	assert_int_equal(balanced(queue).dropped_full, 12);
	outqueue_unref(queue);
}

static void a_batch_larger_than_the_queue__is_still_taken(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(10, NULL, wake, NULL);
	push(queue, 10, 4);
	push(queue, 20, 40);
	assert_int_equal(first_number(outqueue_peek(queue)), 20);
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.queued, 40);
	assert_int_equal(counts.dropped_full, 4);
	outqueue_unref(queue);
}

static void close__with_one_in_flight__counts_all_and_wakes_nobody(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	push(queue, 10, 3);
	push(queue, 20, 3);
	const struct cw_batch *in_flight = outqueue_peek(queue);
	outqueue_close(queue);
	assert_int_equal(first_number(in_flight), 10);
	assert_int_equal(balanced(queue).dropped_stop, 6);
	outqueue_settle(queue, /* sent */ true);
	wakes = 0;
	push(queue, 30, 3);
	assert_int_equal(wakes, 0);
	assert_null(outqueue_peek(queue));
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.dropped_stop, 9);
	assert_int_equal(counts.queued, 0);
	outqueue_unref(queue);
}

static void what_the_output_drops__counts_when_the_batch_is_settled(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	outqueue_drop(queue, CW_DROP_COLLISION, 1); /* nothing is in flight */
	push(queue, 10, 5);
	outqueue_peek(queue);
	outqueue_drop(queue, CW_DROP_COLLISION, 2);
	outqueue_settle(queue, /* sent */ false); /* it is offered again, and what was said is forgotten */
	outqueue_peek(queue);
	outqueue_drop(queue, CW_DROP_INVALID, 1);
	outqueue_drop(queue, CW_DROP_REFUSED, 1);
	outqueue_settle(queue, /* sent */ true);
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.sent, 3);
	assert_int_equal(counts.dropped_by_output[CW_DROP_COLLISION], 0);
	assert_int_equal(counts.dropped_by_output[CW_DROP_INVALID], 1);
	assert_int_equal(counts.dropped_by_output[CW_DROP_REFUSED], 1);
	push(queue, 20, 5);
	outqueue_peek(queue);
	outqueue_drop(queue, CW_DROP_COLLISION, 4);
	outqueue_drop(queue, CW_DROP_COLLISION, 4); /* not more than there are */
	outqueue_drop(queue, (enum cw_drop)99, 1);  /* of a plugin that has another idea of the contract */
	outqueue_settle(queue, /* sent */ true);
	counts = balanced(queue);
	assert_int_equal(counts.sent, 3);
	assert_int_equal(counts.dropped_by_output[CW_DROP_COLLISION], 5);
	push(queue, 30, 5);
	outqueue_peek(queue);
	outqueue_drop(queue, CW_DROP_COLLISION, 1);
	outqueue_close(queue); /* its outcome will not be known: all of it is dropped once, as `stopped` */
	outqueue_settle(queue, /* sent */ true);
	assert_int_equal(balanced(queue).dropped_stop, 5);
	outqueue_unref(queue);
}

/* ---- with a spool ---- */

/* What the spool would say after having been given n samples. */
static void spool_takes(struct spool_counts *spool, uint64_t n)
{
	spool->taken += n;
	spool->held += n;
}

static void held_for_the_spool__is_not_dropped_and_leaves_when_it_was_taken(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(10, NULL, wake, NULL);
	const struct cw_batch *held[8];
	struct spool_counts spool = {.restored = 7, .held = 7};
	outqueue_spooled(queue, 0, &spool); /* it has just been opened */
	balanced(queue);
	push(queue, 10, 4);
	push(queue, 20, 4);
	push(queue, 30, 2);
	assert_int_equal(outqueue_hold(queue, held, 2), 2);
	push(queue, 40, 4); /* room is made behind those that are held */
	assert_int_equal(first_number(held[0]), 10);
	assert_int_equal(first_number(held[1]), 20);
	assert_int_equal(balanced(queue).dropped_full, 2);
	spool_takes(&spool, 4);
	outqueue_spooled(queue, 1, &spool); /* the disk took one of the two */
	assert_int_equal(balanced(queue).queued, 8);
	push(queue, 50, 4); /* the other may go now */
	assert_int_equal(balanced(queue).dropped_full, 6);
	assert_int_equal(outqueue_hold(queue, held, 8), 2);
	assert_int_equal(first_number(held[0]), 40);
	spool_takes(&spool, 8);
	outqueue_spooled(queue, 2, &spool);
	assert_int_equal(balanced(queue).queued, 0);
	assert_int_equal(outqueue_hold(queue, held, 8), 0);
	assert_null(outqueue_peek(queue));
	outqueue_unref(queue);
}

/* Its thread was left behind while the disk had them: what it says later does not count. */
static void held_for_the_spool_when_closed__is_dropped_once(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	const struct cw_batch *held[8];
	struct spool_counts spool = {.restored = 7, .held = 7};
	outqueue_spooled(queue, 0, &spool);
	push(queue, 10, 4);
	push(queue, 20, 4);
	push(queue, 30, 4);
	assert_int_equal(outqueue_hold(queue, held, 2), 2);
	outqueue_close(queue);
	assert_int_equal(first_number(held[1]), 20); /* asan would tell */
	assert_int_equal(balanced(queue).dropped_stop, 12);
	spool_takes(&spool, 8);
	outqueue_spooled(queue, 2, &spool);
	assert_int_equal(balanced(queue).spool.held, 7);
	outqueue_spool_flies(queue, 7);
	spool.held -= 7;
	outqueue_spool_settled(queue, /* sent */ true, &spool);
	assert_int_equal(balanced(queue).sent, 0);
	outqueue_unref(queue);
}

static void a_batch_of_the_spool_in_flight__is_sent_or_stays(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	struct spool_counts spool = {.restored = 10, .held = 10};
	outqueue_spooled(queue, 0, &spool);
	outqueue_spool_flies(queue, 6);
	outqueue_drop(queue, CW_DROP_REFUSED, 2);
	outqueue_spool_settled(queue, /* sent */ false, &spool);
	assert_int_equal(balanced(queue).sent, 0);
	outqueue_spool_flies(queue, 6);
	outqueue_drop(queue, CW_DROP_COLLISION, 1);
	spool.held -= 6;
	outqueue_spool_settled(queue, /* sent */ true, &spool);
	assert_int_equal(balanced(queue).sent, 5);
	outqueue_spool_flies(queue, 4); /* the limit took its segment meanwhile */
	spool.held -= 4;
	spool.dropped_full += 4;
	outqueue_spool_settled(queue, /* sent */ false, &spool);
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.dropped_by_output[CW_DROP_REFUSED], 0);
	assert_int_equal(counts.dropped_by_output[CW_DROP_COLLISION], 1);
	assert_int_equal(outqueue_dropped(&counts), 5);
	outqueue_unref(queue);
}

static void spooled_while_in_flight__flies_on_as_the_spools(void **state)
{
	(void)state;
	struct outqueue *queue = outqueue_new(100, NULL, wake, NULL);
	const struct cw_batch *held[4];
	struct spool_counts spool = {.held = 0};
	push(queue, 10, 4);
	push(queue, 20, 4);
	outqueue_peek(queue);
	outqueue_drop(queue, CW_DROP_REFUSED, 1);
	assert_int_equal(outqueue_hold(queue, held, 1), 1);
	outqueue_spooled(queue, 0, &spool); /* the disk did not take it: it flies on as it was */
	assert_int_equal(outqueue_hold(queue, held, 1), 1);
	assert_int_equal(first_number(held[0]), 10);
	spool_takes(&spool, 4);
	outqueue_spooled(queue, 1, &spool);
	assert_int_equal(outqueue_hold(queue, held, 4), 1);
	assert_int_equal(first_number(held[0]), 20);
	spool_takes(&spool, 4);
	outqueue_spooled(queue, 1, &spool);
	balanced(queue);
	spool.held -= 4;
	outqueue_spool_settled(queue, /* sent */ true, &spool);
	struct outqueue_counts counts = balanced(queue);
	assert_int_equal(counts.sent, 3);
	assert_int_equal(counts.dropped_by_output[CW_DROP_REFUSED], 1);
	assert_int_equal(counts.spool.held, 4);
	outqueue_unref(queue);
}

/* ---- a restart ---- */

static void an_heir__gets_what_waits_and_what_comes_and_the_books(void **state)
{
	(void)state;
	struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(100, NULL, wake, NULL);
	push(old, 10, 4);
	push(old, 20, 4);
	push(old, 30, 4);
	outqueue_peek(old);
	outqueue_settle(old, /* sent */ true);
	outqueue_inherit(heir, old);
	assert_null(outqueue_peek(old));
	push(old, 40, 4); /* the router has not heard of it yet */
	push(heir, 50, 4);
	for (int number = 20; number <= 50; number += 10) {
		assert_int_equal(first_number(outqueue_peek(heir)), number);
		balanced(heir);
		outqueue_settle(heir, /* sent */ true);
	}
	assert_null(outqueue_peek(heir));
	assert_int_equal(balanced(heir).sent, 20);
	assert_int_equal(balanced(old).sent, 20); /* whoever asks for the old one's is told of the heir's */
	struct outqueue *third = outqueue_new(100, NULL, wake, NULL);
	outqueue_inherit(third, old); /* by way of the heir */
	push(old, 60, 4);
	assert_int_equal(first_number(outqueue_peek(third)), 60);
	assert_int_equal(balanced(third).accepted, 24);
	outqueue_unref(old);
	outqueue_unref(heir);
	outqueue_unref(third);
}

static void an_orphan__takes_what_comes_and_wakes_nobody(void **state)
{
	(void)state;
	struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(100, NULL, wake, NULL);
	outqueue_orphan(old);
	wakes = 0;
	push(old, 10, 4);
	assert_int_equal(wakes, 0);
	outqueue_inherit(heir, old);
	assert_int_equal(first_number(outqueue_peek(heir)), 10);
	outqueue_settle(heir, /* sent */ true);
	push(old, 20, 4);
	assert_int_equal(wakes, 1); /* the heir is another matter */
	outqueue_unref(old);
	outqueue_unref(heir);
}

static void an_heir_with_less_room__keeps_the_newest(void **state)
{
	(void)state;
	struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(5, NULL, wake, NULL);
	push(old, 10, 4);
	push(old, 20, 4);
	outqueue_inherit(heir, old);
	assert_int_equal(balanced(heir).dropped_full, 4);
	assert_int_equal(first_number(outqueue_peek(heir)), 20);
	outqueue_unref(old);
	outqueue_unref(heir);
}

/* Its thread was left behind and still reads the batch; when it comes back, it changes nothing. */
static void an_heir_of_one_in_flight__counts_it_as_lost_and_leaves_it_alone(void **state)
{
	(void)state;
	struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(100, NULL, wake, NULL);
	push(old, 10, 3);
	push(old, 20, 3);
	const struct cw_batch *in_flight = outqueue_peek(old);
	outqueue_inherit(heir, old);
	assert_int_equal(first_number(in_flight), 10);
	assert_int_equal(balanced(heir).dropped_stop, 3);
	outqueue_settle(old, /* sent */ true);
	assert_null(outqueue_peek(old));
	struct outqueue_counts counts = balanced(heir);
	assert_int_equal(counts.sent, 0);
	assert_int_equal(counts.queued, 3);
	outqueue_unref(old);
	assert_int_equal(first_number(outqueue_peek(heir)), 20);
	outqueue_unref(heir);
}

static void an_heir_of_a_closed_queue__goes_on_with_its_books(void **state)
{
	(void)state;
	struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(100, NULL, wake, NULL);
	struct spool_counts spool = {.taken = 9, .held = 9};
	push(old, 10, 9);
	push(old, 20, 3);
	const struct cw_batch *held[1];
	outqueue_hold(old, held, 1);
	outqueue_spooled(old, 1, &spool);
	outqueue_close(old);
	push(old, 30, 3);
	assert_int_equal(balanced(old).dropped_stop, 6);
	outqueue_inherit(heir, old);
	push(old, 40, 3);
	struct outqueue_counts counts = balanced(heir);
	assert_int_equal(counts.dropped_stop, 6);
	assert_int_equal(counts.spool.held, 9);
	assert_int_equal(counts.queued, 3);
	outqueue_unref(old);
	outqueue_unref(heir);
}

/* Its thread was left behind and does not know yet that the queue is closed. */
static void an_heir_of_a_closed_queue__leaves_alone_what_its_thread_still_reads(void **state)
{
	(void)state;
	for (int on_its_way = 0; on_its_way < 2; on_its_way++) {
		struct outqueue *old = outqueue_new(100, NULL, wake, NULL), *heir = outqueue_new(100, NULL, wake, NULL);
		const struct cw_batch *held[2];
		push(old, 10, 3);
		push(old, 20, 3);
		if (on_its_way)
			assert_int_equal(outqueue_hold(old, held, 2), 2);
		else
			outqueue_peek(old);
		outqueue_close(old);
		if (on_its_way)
			outqueue_spooled(old, 2, &(struct spool_counts){.held = 6});
		assert_int_equal(outqueue_hold(old, held, 2), 0);
		outqueue_inherit(heir, old);
		assert_null(outqueue_peek(heir));
		outqueue_settle(old, /* sent */ true);
		push(old, 30, 3);
		struct outqueue_counts counts = balanced(heir);
		assert_int_equal(counts.dropped_stop, 6);
		assert_int_equal(counts.queued, 3);
		outqueue_unref(old);
		outqueue_unref(heir);
	}
}

enum { PUSHES = 20000 };

static void *push_many(void *arg)
{
	for (int i = 0; i < PUSHES; i++)
		push(arg, i, 1);
	return NULL;
}

/* The router never stops for a restart: all that it pushes is accepted once, whoever holds the queue, in order. */
static void restarts_while_the_router_pushes__lose_nothing(void **state)
{
	(void)state;
	struct outqueue *first = outqueue_new(PUSHES, NULL, NULL, NULL), *queue = outqueue_ref(first);
	pthread_t router;
	int64_t next = 0;
	assert_int_equal(pthread_create(&router, NULL, push_many, first), 0);
	while (next < PUSHES) {
		const struct cw_batch *batch = outqueue_peek(queue);
		if (batch) {
			assert_int_equal(first_number(batch), next++);
			outqueue_settle(queue, /* sent */ true);
		}
		if (batch && next % 100 == 50) {
			struct outqueue *heir = outqueue_new(PUSHES, NULL, NULL, NULL);
			outqueue_inherit(heir, queue);
			outqueue_unref(queue);
			queue = heir;
		}
	}
	pthread_join(router, NULL);
	assert_int_equal(balanced(queue).accepted, PUSHES);
	assert_int_equal(balanced(queue).sent, PUSHES);
	outqueue_unref(queue);
	outqueue_unref(first);
}

static struct cw_value filter_of(struct cw_value *children, const char *const *texts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		children[i] = (struct cw_value){.type = CW_OPTION_STRING, .known = true, .string = texts[i]};
	return (struct cw_value){.type = CW_OPTION_WHERE, .known = true, .children = children, .count = count};
}

static void filter__over_metric_and_labels__selects(void **state)
{
	(void)state;
	static const struct {
		const char *where;
		uint32_t expected; /* of h0, h1, and dlq_depth */
	} cases[] = {
		{"metric=calls_active", 2}, {"metric~DLQ", 1}, {"health=h1", 1},     {"health=null", 1},
		{"health!=h0", 2},          {"host=web-1", 3}, {"host=other", 0},    {"instance=calls", 3},
		{"nolabel=null", 3},        {"nolabel=x", 0},  {"metric=~^dlq_", 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_value children[1], filter = filter_of(children, &cases[i].where, 1);
		struct outqueue *queue = outqueue_new(100, &filter, wake, NULL);
		assert_non_null(queue);
		struct batch_builder *builder = batch_builder_new("web-1", "calls", CW_SECOND, NULL, 0);
		const char *h0 = "h0", *h1 = "h1";
		batch_add(builder, &active, &h0, 1, CW_INTEGER, 0, 1, NULL);
		batch_add(builder, &active, &h1, 1, CW_INTEGER, 0, 2, NULL);
		batch_add(builder, &depth, NULL, 1, CW_INTEGER, 0, 3, NULL);
		const struct cw_batch *batch = batch_take(builder);
		outqueue_push(queue, batch);
		batch_unref(batch);
		batch_builder_free(builder);
		struct outqueue_counts counts = balanced(queue);
		if (counts.accepted != cases[i].expected)
			fail_msg("%s: %d samples", cases[i].where, (int)counts.accepted);
		assert_int_equal(counts.accepted + counts.filtered_out, 3);
		outqueue_unref(queue);
	}
}

static void filter__that_fits_no_text__is_refused_with_its_place(void **state)
{
	(void)state;
	const char *texts[] = {"metric=calls_active", "metric>"};
	struct cw_value children[2], filter = filter_of(children, texts, 2);
	char error[200] = "";
	uint32_t index = 9;
	assert_true(outqueue_check(&filter, &index, error, sizeof(error)) < 0);
	assert_int_equal(index, 1);
	assert_true(strlen(error) > 0);
	assert_null(outqueue_new(100, &filter, wake, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches__leave_in_order_and_only_when_sent),
		cmocka_unit_test(a_full_queue__drops_the_oldest_but_not_what_is_in_flight),
		cmocka_unit_test(a_batch_larger_than_the_queue__is_still_taken),
		cmocka_unit_test(close__with_one_in_flight__counts_all_and_wakes_nobody),
		cmocka_unit_test(what_the_output_drops__counts_when_the_batch_is_settled),
		cmocka_unit_test(held_for_the_spool__is_not_dropped_and_leaves_when_it_was_taken),
		cmocka_unit_test(held_for_the_spool_when_closed__is_dropped_once),
		cmocka_unit_test(a_batch_of_the_spool_in_flight__is_sent_or_stays),
		cmocka_unit_test(spooled_while_in_flight__flies_on_as_the_spools),
		cmocka_unit_test(an_heir__gets_what_waits_and_what_comes_and_the_books),
		cmocka_unit_test(an_orphan__takes_what_comes_and_wakes_nobody),
		cmocka_unit_test(an_heir_with_less_room__keeps_the_newest),
		cmocka_unit_test(an_heir_of_one_in_flight__counts_it_as_lost_and_leaves_it_alone),
		cmocka_unit_test(an_heir_of_a_closed_queue__goes_on_with_its_books),
		cmocka_unit_test(an_heir_of_a_closed_queue__leaves_alone_what_its_thread_still_reads),
		cmocka_unit_test(restarts_while_the_router_pushes__lose_nothing),
		cmocka_unit_test(filter__over_metric_and_labels__selects),
		cmocka_unit_test(filter__that_fits_no_text__is_refused_with_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
