/* SPDX-License-Identifier: MIT
 *
 * The parts of the output graphite that do no I/O: its lines (lines.h: rates, collisions), and the bytes on their way
 * (flight.h).
 */
#include "batch.h"
#include "flight.h"
#include "lines.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t start = 1700000000 * CW_SECOND;

/* ---- lines ---- */

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "business"}}};
static const struct cw_metric ended = {.name = "calls_ended_total", .kind = CW_COUNTER, .labels = {{.name = "how"}}};
static const struct cw_metric cpu = {.name = "cpu_seconds_total", .kind = CW_COUNTER};
static const double bounds[] = {1, 10};
static const struct cw_metric delay = {
	.name = "delay_seconds", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 2};
static const double other_bounds[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const struct cw_metric other_delay = {
	.name = "delay_seconds", .kind = CW_HISTOGRAM, .bounds = other_bounds, .bounds_count = 8};
static const struct cw_metric delay_count = {.name = "delay_seconds_count", .kind = CW_GAUGE};

/* Lines of samples of instance `calls` on host `h`, without their common beginning. */
struct fixture {
	struct lines lines;
	struct buffer out;
};

static void fixture_open(struct fixture *fixture, const char *template, bool rates)
{
	struct graphite_form form;
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	*fixture = (struct fixture){.out = {.ceiling = 1 << 20}};
	assert_int_equal(graphite_form_path(&form, "p", template, error), 0);
	lines_init(&fixture->lines, &form, rates);
}

static void fixture_close(struct fixture *fixture)
{
	lines_release(&fixture->lines);
	buffer_release(&fixture->out);
}

static void begin(struct fixture *fixture, const char *host, const char *instance)
{
	struct cw_batch batch = {.host = host, .instance = instance, .interval = CW_SECOND};
	assert_int_equal(lines_begin(&fixture->lines, &batch), 0);
}

static const char *add(struct fixture *fixture, const struct cw_sample *sample, enum lines_outcome expected)
{
	buffer_cut(&fixture->out, 0);
	assert_int_equal(lines_add(&fixture->lines, &fixture->out, sample), expected);
	buffer_bytes(&fixture->out, "", 1);
	return buffer_text(&fixture->out);
}

static struct cw_sample whole(const struct cw_metric *metric, const char *const *labels, double at, int64_t value)
{
	return (struct cw_sample){.metric = metric,
				  .labels = labels,
				  .time = start + (int64_t)(at * 1e9),
				  .number = CW_INTEGER,
				  .integer = value};
}

static struct cw_sample real(const struct cw_metric *metric, double at, double value)
{
	return (struct cw_sample){
		.metric = metric, .time = start + (int64_t)(at * 1e9), .number = CW_DOUBLE, .real = value};
}

static void raw_counters__are_sent_as_they_are(void **state)
{
	(void)state;
	struct fixture fixture;
	const char *labels[] = {"hung-up"};
	fixture_open(&fixture, format_graphite_template, /* rates */ false);
	begin(&fixture, "h", "calls");
	struct cw_sample sample = whole(&ended, labels, 0, 7);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "p.h.calls.calls_ended_total.hung-up 7 1700000000\n");
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "p.h.calls.calls_ended_total.hung-up 7 1700000000\n");
	fixture_close(&fixture);
}

static void rates__are_growth_per_second_of_each_series(void **state)
{
	(void)state;
	struct fixture fixture;
	const char *one[] = {"hung-up"}, *other[] = {"lost"};
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	static const struct {
		bool other;
		double at;
		int64_t value;
		const char *expected;
	} cases[] = {
		{false, 0, 100, ""}, /* the first */
		{true, 0, 5, ""},
		{false, 5, 110, "calls_ended_total.hung-up.calls 2 1700000005\n"},
		{true, 2.5, 5, "calls_ended_total.lost.calls 0 1700000002\n"},
		{false, 5, 120, ""}, /* not later */
		{false, 4, 130, ""}, /* earlier, as if sent late */
		{false, 10, 111, "calls_ended_total.hung-up.calls 0.2 1700000010\n"},
		{false, 15, 3, ""}, /* the source began anew */
		{false, 20, 8, "calls_ended_total.hung-up.calls 1 1700000020\n"},
		{false, 3620, 8, "calls_ended_total.hung-up.calls 0 1700003620\n"}, /* a gap is averaged over */
		{false, -7200, 10, ""},                                             /* the clock was set back */
		{false, -7195, 20, "calls_ended_total.hung-up.calls 2 1699992805\n"},
		{false, 3625, 30, "calls_ended_total.hung-up.calls 0.0009242144177449168 1700003625\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&fixture, "h", "calls");
		struct cw_sample sample = whole(&ended, cases[i].other ? other : one, cases[i].at, cases[i].value);
		assert_string_equal(add(&fixture, &sample, LINES_ADDED), cases[i].expected);
	}
	begin(&fixture, "h", "other"); /* another instance's is another series */
	struct cw_sample sample = whole(&ended, one, 4000, 1000);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	const char *business[] = {"x"};
	sample = whole(&active, business, 4000, 12); /* a gauge is none */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "calls_active.x.other 12 1700004000\n");
	fixture_close(&fixture);
}

static void rates__of_a_counter_that_is_no_integer(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	begin(&fixture, "h", "agent");
	struct cw_sample sample = real(&cpu, 0, 1.5);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample = real(&cpu, 10, 2);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "cpu_seconds_total.agent 0.05 1700000010\n");
	sample = whole(&cpu, NULL, 20, 3); /* another kind of number: begins anew */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample = whole(&cpu, NULL, 30, INT64_MAX);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED),
			    "cpu_seconds_total.agent 9.223372036854776e+17 1700000030\n");
	fixture_close(&fixture);
}

static void rates__of_a_histogram__are_of_what_came_between(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	begin(&fixture, "h", "calls");
	uint64_t buckets[9] = {100, 0, 0};
	struct cw_histogram histogram = {.buckets = buckets, .count = 100, .sum = 50};
	struct cw_sample sample = {.metric = &delay, .time = start, .number = CW_BUCKETS, .histogram = &histogram};
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	buckets[1] = 20;
	histogram.count = 120;
	histogram.sum = 150;
	sample.time += 10 * CW_SECOND; /* all 20 that came were between 1 and 10: so are their percentiles */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "delay_seconds_count.calls 2 1700000010\n"
								 "delay_seconds_sum.calls 10 1700000010\n"
								 "delay_seconds_p50.calls 5.5 1700000010\n"
								 "delay_seconds_p95.calls 9.55 1700000010\n"
								 "delay_seconds_p99.calls 9.91 1700000010\n");
	sample.time += 10 * CW_SECOND; /* nothing came: no percentile is known */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "delay_seconds_count.calls 0 1700000020\n"
								 "delay_seconds_sum.calls 0 1700000020\n");
	buckets[0] = 5; /* it began anew */
	histogram.count = 500;
	sample.time += 10 * CW_SECOND;
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample.metric = &other_delay; /* with more buckets: asan would tell */
	sample.time += 10 * CW_SECOND;
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample.time += 10 * CW_SECOND;
	assert_true(strlen(add(&fixture, &sample, LINES_ADDED)) > 0);
	fixture_close(&fixture);
}

static void names_that_become_one__collide_in_a_second_and_the_first_stays(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, format_graphite_template, /* rates */ false);
	begin(&fixture, "h", "calls");
	const char *dot[] = {"a.b"}, *blank[] = {"a b"}, *underscore[] = {"a_b"}, *plain[] = {"a-b"};
	struct cw_sample sample = whole(&active, dot, 0, 1);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "p.h.calls.calls_active.a_b 1 1700000000\n");
	sample = whole(&active, blank, 0.5, 2);
	assert_string_equal(add(&fixture, &sample, LINES_COLLISION), "");
	sample = whole(&active, underscore, 0, 3);
	assert_string_equal(add(&fixture, &sample, LINES_COLLISION), "");
	sample = whole(&active, plain, 0, 4);
	add(&fixture, &sample, LINES_ADDED);
	sample = whole(&active, dot, 0.9, 5); /* its own name, in the same second */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "p.h.calls.calls_active.a_b 5 1700000000\n");
	sample = whole(&active, blank, 1, 6); /* another second: now it is the first */
	add(&fixture, &sample, LINES_ADDED);
	sample = whole(&active, dot, 1, 7);
	add(&fixture, &sample, LINES_COLLISION);
	begin(&fixture, "h", "other");
	sample = whole(&active, dot, 1, 8); /* another instance's is another name */
	add(&fixture, &sample, LINES_ADDED);
	fixture_close(&fixture);
}

static void names__without_the_instance__collide_over_batches(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, "{metric}.{labels}", /* rates */ false);
	const char *label[] = {"x"};
	struct cw_sample sample = whole(&active, label, 0, 1);
	begin(&fixture, "h", "one");
	add(&fixture, &sample, LINES_ADDED);
	begin(&fixture, "h", "two");
	add(&fixture, &sample, LINES_COLLISION);
	begin(&fixture, "h", "one"); /* the same again is none */
	add(&fixture, &sample, LINES_ADDED);
	fixture_close(&fixture);
}

static void a_histogram__collides_with_a_metric_that_is_called_like_its_count(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, format_graphite_template, /* rates */ false);
	begin(&fixture, "h", "calls");
	struct cw_sample sample = whole(&delay_count, NULL, 0, 1);
	add(&fixture, &sample, LINES_ADDED);
	const uint64_t buckets[3] = {1, 0, 0};
	struct cw_histogram histogram = {.buckets = buckets, .count = 1, .sum = 0.5};
	sample = (struct cw_sample){.metric = &delay, .time = start, .number = CW_BUCKETS, .histogram = &histogram};
	assert_string_equal(add(&fixture, &sample, LINES_COLLISION), ""); /* none of its lines */
	fixture_close(&fixture);
}

static void a_full_buffer__takes_nothing_and_forgets_nothing(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	begin(&fixture, "h", "calls");
	const char *label[] = {"x"};
	struct cw_sample sample = whole(&ended, label, 0, 10);
	add(&fixture, &sample, LINES_ADDED);
	sample = whole(&ended, label, 10, 20);
	fixture.out.ceiling = 100;
	assert_int_equal(lines_add(&fixture.lines, &fixture.out, &sample), LINES_NO_ROOM);
	fixture.out.ceiling = 1 << 20;
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "calls_ended_total.x.calls 1 1700000010\n");
	fixture_close(&fixture);
}

static void more_series_than_can_be_remembered__have_no_rate_until_others_are_gone(void **state)
{
	(void)state;
	struct fixture fixture;
	char label[16];
	const char *labels[] = {label};
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	begin(&fixture, "h", "calls");
	for (int at = 0; at <= 1800; at += 1800) {
		for (int i = 0; i < LINES_SERIES_MAX + 1000; i++) {
			snprintf(label, sizeof(label), "s%d", i);
			struct cw_sample sample = whole(&ended, labels, at, at);
			add(&fixture, &sample, i < LINES_SERIES_MAX ? LINES_ADDED : LINES_INVALID);
		}
	}
	struct cw_sample sample = whole(&ended, labels, 7200, 0); /* all others have had none for an hour */
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample = whole(&ended, labels, 7210, 10);
	assert_true(strlen(add(&fixture, &sample, LINES_ADDED)) > 0);
	assert_int_equal(fixture.lines.series.count, 1);
	fixture_close(&fixture);
}

static void more_series_than_can_be_remembered__are_forgotten_when_the_clock_was_set_back(void **state)
{
	(void)state;
	struct fixture fixture;
	char label[16];
	const char *labels[] = {label};
	fixture_open(&fixture, "{metric}.{labels}.{instance}", /* rates */ true);
	begin(&fixture, "h", "calls");
	for (int i = 0; i <= LINES_SERIES_MAX; i++) {
		snprintf(label, sizeof(label), "s%d", i);
		struct cw_sample sample = whole(&ended, labels, 7200, 0);
		add(&fixture, &sample, i < LINES_SERIES_MAX ? LINES_ADDED : LINES_INVALID);
	}
	struct cw_sample sample = whole(&ended, labels, 0, 0);
	assert_string_equal(add(&fixture, &sample, LINES_ADDED), "");
	sample = whole(&ended, labels, 10, 10);
	assert_true(strlen(add(&fixture, &sample, LINES_ADDED)) > 0);
	fixture_close(&fixture);
}

/* ---- flight ---- */

static void put(struct flight *flight, const char *text)
{
	buffer_string(flight_out(flight), text);
}

/* The next chunk, as text. */
static const char *chunk(const struct flight *flight)
{
	static char text[FLIGHT_CHUNK_MAX + 1];
	const char *bytes = "";
	size_t length = flight_chunk(flight, &bytes);
	assert_true(length <= FLIGHT_CHUNK_MAX);
	memcpy(text, bytes, length);
	text[length] = 0;
	return text;
}

static void lines_in_flight__at_every_byte_that_is_written_and_acknowledged__begins_again_with_a_line(void **state)
{
	(void)state;
	static const char text[] = "first 1 1\nsecond 2 2\nthird 3 3\n";
	static const size_t starts[] = {0, 10, 21, 31};
	for (size_t written = 0; written < sizeof(text); written++) {
		for (size_t acked = 0; acked <= written; acked++) {
			struct flight flight;
			flight_init(&flight, /* history_limit */ 100);
			put(&flight, text);
			flight_wrote(&flight, written);
			flight_set_unacked(&flight, written - acked);
			assert_int_equal(flight_is_settled(&flight), acked == sizeof(text) - 1);
			flight_rewind(&flight, /* history */ false);
			size_t line = 0;
			while (line < 3 && starts[line + 1] <= acked)
				line++;
			assert_string_equal(chunk(&flight), text + starts[line]);
			flight_rewind(&flight, /* history */ true);
			assert_string_equal(chunk(&flight), text);
			flight_release(&flight);
		}
	}
}

static void a_chunk__is_whole_lines_of_at_most_1428_bytes(void **state)
{
	(void)state;
	struct flight flight;
	flight_init(&flight, 0);
	char line[102];
	memset(line, 'x', 100);
	memcpy(line + 100, "\n", 2);
	for (int i = 0; i < 100; i++)
		put(&flight, line);
	const char *bytes;
	assert_int_equal(flight_chunk(&flight, &bytes), 1414); /* 14 lines */
	flight_wrote(&flight, 50);                             /* the kernel took half a line */
	assert_int_equal(flight_chunk(&flight, &bytes), 51 + 13 * 101);
	flight_wrote(&flight, flight_unwritten(&flight) - 101);
	assert_int_equal(flight_chunk(&flight, &bytes), 101);
	flight_wrote(&flight, 101);
	assert_int_equal(flight_chunk(&flight, &bytes), 0);
	flight_release(&flight);
}

/* Lines by number, for as long as it is asked to; what is kept is bounded, and is the last lines, whole. */
static void lines_in_flight__in_a_long_run__keeps_its_history_and_no_more(void **state)
{
	(void)state;
	enum { HISTORY = 10000, LINES = 200000 };
	struct flight flight;
	char line[32], last[32];
	flight_init(&flight, HISTORY);
	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		put(&flight, line);
		while (flight_unwritten(&flight)) {
			const char *bytes;
			flight_wrote(&flight, flight_chunk(&flight, &bytes));
		}
		if (i % 3 == 0)
			flight_set_unacked(&flight, 0);
		assert_true(flight.buffer.length <= 2 * (HISTORY + FLIGHT_KERNEL_MAX + FLIGHT_SLICE));
	}
	flight_set_unacked(&flight, 0);
	assert_true(flight_is_settled(&flight));
	assert_true(flight.buffer.room <= 64 * 1024); /* what flows does not fill the ceiling */
	flight_rewind(&flight, /* history */ true);
	size_t kept = flight_unwritten(&flight);
	assert_true(kept >= HISTORY && kept < HISTORY + sizeof(line));
	int number = -1;
	assert_int_equal(sscanf(chunk(&flight), "line %d\n", &number), 1);
	assert_true(number > 0);
	snprintf(last, sizeof(last), "line %d\n", LINES - 1);
	const char *end = buffer_text(&flight.buffer) + flight.buffer.length;
	assert_memory_equal(end - strlen(last), last, strlen(last));
	flight_release(&flight);
}

static void lines_in_flight__that_nobody_acknowledges__is_full_at_last(void **state)
{
	(void)state;
	struct flight flight;
	flight_init(&flight, 1000);
	size_t total = 0;
	char line[1001];
	memset(line, 'x', 999);
	memcpy(line + 999, "\n", 2);
	for (; flight_out(&flight); total += 1000) {
		put(&flight, line);
		flight_wrote(&flight, 1000);
		assert_true(total < 64 << 20);
	}
	assert_true(total >= FLIGHT_KERNEL_MAX);
	flight_set_unacked(&flight, 0);
	assert_non_null(flight_out(&flight));
	flight_release(&flight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_counters__are_sent_as_they_are),
		cmocka_unit_test(rates__are_growth_per_second_of_each_series),
		cmocka_unit_test(rates__of_a_counter_that_is_no_integer),
		cmocka_unit_test(rates__of_a_histogram__are_of_what_came_between),
		cmocka_unit_test(names_that_become_one__collide_in_a_second_and_the_first_stays),
		cmocka_unit_test(names__without_the_instance__collide_over_batches),
		cmocka_unit_test(a_histogram__collides_with_a_metric_that_is_called_like_its_count),
		cmocka_unit_test(a_full_buffer__takes_nothing_and_forgets_nothing),
		cmocka_unit_test(more_series_than_can_be_remembered__are_forgotten_when_the_clock_was_set_back),
		cmocka_unit_test(more_series_than_can_be_remembered__have_no_rate_until_others_are_gone),
		cmocka_unit_test(
			lines_in_flight__at_every_byte_that_is_written_and_acknowledged__begins_again_with_a_line),
		cmocka_unit_test(a_chunk__is_whole_lines_of_at_most_1428_bytes),
		cmocka_unit_test(lines_in_flight__in_a_long_run__keeps_its_history_and_no_more),
		cmocka_unit_test(lines_in_flight__that_nobody_acknowledges__is_full_at_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
