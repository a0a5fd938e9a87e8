/* SPDX-License-Identifier: MIT
 *
 * plugins/web: what a scrape reads, in both formats, of ordinary series and of hostile ones.
 */
#include "exposition.h"

#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double bounds[] = {0.1, 1, 2.5};
static const struct cw_metric active = {.name = "calls_active",
					.kind = CW_GAUGE,
					.unit = "calls",
					.help = "Calls \"in\" progress\nby \\ health",
					.labels = {{.name = "health"}, {.name = "business"}}};
static const struct cw_metric started = {
	.name = "calls_started_total", .kind = CW_COUNTER, .unit = "calls", .help = "Calls seen to start"};
static const struct cw_metric cpu = {
	.name = "process_cpu_seconds_total", .kind = CW_COUNTER, .unit = "seconds", .help = "CPU time"};
static const struct cw_metric delay = {.name = "delay_seconds",
				       .kind = CW_HISTOGRAM,
				       .unit = "seconds",
				       .help = "Delay",
				       .bounds = bounds,
				       .bounds_count = 3};
static const struct cw_metric age = {.name = "sweep_age_seconds", .kind = CW_GAUGE, .unit = "seconds", .help = "Age"};
static const struct cw_metric nameless = {.name = "odd", .kind = CW_COUNTER, .help = ""};

static const struct cw_tag tags[] = {{"env", "pro\"d"}, {"health", "taken"}, {"a-b", "no name"}, {"__x", "theirs"}};

/* One sample of it, as a scrape reads it; the caller frees it. */
static char *exposed(const struct cw_sample *sample, const char *host, bool with_tags, enum exposition format)
{
	struct series_list list = {0};
	struct cw_batch batch = {.host = host, .instance = "calls", .samples = {sample, 1, sizeof *sample}};
	if (with_tags)
		batch.tags = (struct cw_array)CW_ARRAY(tags);
	series_list_add(&list, &batch, 1);
	assert_int_equal(list.count, 1);
	struct buffer out = {.ceiling = 1 << 20};
	struct exposer exposer = {.out = &out, .format = format, .agent_host = "agent-host"};
	exposition_head(&exposer, list.list[0]->family);
	exposition_series(&exposer, list.list[0]);
	char name[FAMILY_NAME_MAX];
	if (family_timestamp_name(name, list.list[0]->family)) {
		exposition_timestamp_head(&exposer, list.list[0]->family);
		exposition_timestamp(&exposer, list.list[0]);
	}
	exposer_release(&exposer);
	buffer_bytes(&out, "", 1);
	assert_false(out.failed);
	series_list_release(&list);
	return out.block;
}

static void expect(const struct cw_sample *sample, const char *host, bool with_tags, enum exposition format,
		   const char *expected)
{
	char *text = exposed(sample, host, with_tags, format);
	assert_string_equal(text, expected);
	free(text);
}

static void gauge__with_labels_tags_and_host(void **state)
{
	static const char *const labels[] = {"stale", "a\\b\"c\nd\xff\xe2\x80\xae"};
	struct cw_sample sample = {.metric = &active, .labels = labels, .number = CW_DOUBLE, .real = 0.25};
	(void)state;
	expect(&sample, "agent-host", /* with_tags: */ false, EXPOSITION_TEXT,
	       "# HELP callwatch_calls_active Calls 'in' progress\\nby \\\\ health\n"
	       "# TYPE callwatch_calls_active gauge\n"
	       "callwatch_calls_active{plugin_instance=\"calls\",health=\"stale\","
	       "business=\"a\\\\b\\\"c\\\\nd\xef\xbf\xbd\\\\u202e\"} 0.25\n");
	expect(&sample, "redis-1", /* with_tags: */ true, EXPOSITION_OPENMETRICS,
	       "# HELP callwatch_calls_active Calls 'in' progress\\nby \\\\ health\n"
	       "# TYPE callwatch_calls_active gauge\n"
	       "callwatch_calls_active{plugin_instance=\"calls\",health=\"stale\","
	       "business=\"a\\\\b\\\"c\\\\nd\xef\xbf\xbd\\\\u202e\",host=\"redis-1\",env=\"pro\\\"d\"} 0.25\n");
}

static void counter__is_called_as_each_format_wants(void **state)
{
	struct cw_sample sample = {.metric = &started, .number = CW_INTEGER, .integer = 9007199254740993};
	struct cw_sample process = {.metric = &cpu, .number = CW_DOUBLE, .real = 1.5};
	struct cw_sample odd = {.metric = &nameless, .number = CW_INTEGER, .integer = 1};
	(void)state;
	expect(&sample, "agent-host", false, EXPOSITION_TEXT,
	       "# HELP callwatch_calls_started_total Calls seen to start\n"
	       "# TYPE callwatch_calls_started_total counter\n"
	       "callwatch_calls_started_total{plugin_instance=\"calls\"} 9007199254740993\n");
	expect(&sample, "agent-host", false, EXPOSITION_OPENMETRICS,
	       "# HELP callwatch_calls_started Calls seen to start\n"
	       "# TYPE callwatch_calls_started counter\n"
	       "callwatch_calls_started_total{plugin_instance=\"calls\"} 9007199254740993\n");
	expect(&process, "agent-host", false, EXPOSITION_OPENMETRICS,
	       "# HELP process_cpu_seconds CPU time\n"
	       "# TYPE process_cpu_seconds counter\n"
	       "# UNIT process_cpu_seconds seconds\n"
	       "process_cpu_seconds_total{plugin_instance=\"calls\"} 1.5\n");
	expect(&odd, "agent-host", false, EXPOSITION_TEXT,
	       "# HELP callwatch_odd_total no description\n"
	       "# TYPE callwatch_odd_total counter\n"
	       "callwatch_odd_total{plugin_instance=\"calls\"} 1\n");
}

static void histogram__is_cumulated_and_its_count_is_its_last_bucket(void **state)
{
	static const uint64_t buckets[] = {1, 0, 2, 4};
	struct cw_histogram histogram = {.buckets = buckets, .count = 99, .sum = 12.5};
	struct cw_sample sample = {.metric = &delay, .number = CW_BUCKETS, .histogram = &histogram};
	(void)state;
	expect(&sample, "agent-host", false, EXPOSITION_TEXT,
	       "# HELP callwatch_delay_seconds Delay\n"
	       "# TYPE callwatch_delay_seconds histogram\n"
	       "callwatch_delay_seconds_bucket{plugin_instance=\"calls\",le=\"0.1\"} 1\n"
	       "callwatch_delay_seconds_bucket{plugin_instance=\"calls\",le=\"1\"} 1\n"
	       "callwatch_delay_seconds_bucket{plugin_instance=\"calls\",le=\"2.5\"} 3\n"
	       "callwatch_delay_seconds_bucket{plugin_instance=\"calls\",le=\"+Inf\"} 7\n"
	       "callwatch_delay_seconds_sum{plugin_instance=\"calls\"} 12.5\n"
	       "callwatch_delay_seconds_count{plugin_instance=\"calls\"} 7\n");
	char *text = exposed(&sample, "agent-host", true, EXPOSITION_OPENMETRICS);
	assert_non_null(strstr(text, "# UNIT callwatch_delay_seconds seconds\n"));
	assert_non_null(strstr(text, "{plugin_instance=\"calls\",env=\"pro\\\"d\",health=\"taken\",le=\"1.0\"} 1\n"));
	free(text);
}

static void age__has_the_time_it_counts_from_beside_it(void **state)
{
	struct cw_sample sample = {.metric = &age, .time = 1700000010 * CW_SECOND, .number = CW_DOUBLE, .real = 2.7504};
	(void)state;
	expect(&sample, "agent-host", false, EXPOSITION_OPENMETRICS,
	       "# HELP callwatch_sweep_age_seconds Age\n"
	       "# TYPE callwatch_sweep_age_seconds gauge\n"
	       "# UNIT callwatch_sweep_age_seconds seconds\n"
	       "callwatch_sweep_age_seconds{plugin_instance=\"calls\"} 2.7504\n"
	       "# HELP callwatch_sweep_timestamp_seconds Unix time that callwatch_sweep_age_seconds counts from\n"
	       "# TYPE callwatch_sweep_timestamp_seconds gauge\n"
	       "# UNIT callwatch_sweep_timestamp_seconds seconds\n"
	       "callwatch_sweep_timestamp_seconds{plugin_instance=\"calls\"} 1700000007.25\n");
}

static void timestamp_names(void **state)
{
	static const char *const cases[][2] = {
		{"dlq_oldest_age_seconds", "callwatch_dlq_oldest_timestamp_seconds"},
		{"call_heartbeat_age_max_seconds", "callwatch_call_heartbeat_min_timestamp_seconds"},
		{"age_seconds", "callwatch_timestamp_seconds"},
		{"sweep_duration_seconds", NULL},
		{"average_seconds", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct cw_metric metric = {.name = cases[i][0], .kind = CW_GAUGE};
		struct family family = {.metric = &metric};
		char name[FAMILY_NAME_MAX] = "";
		assert_int_equal(family_name(family.name, &metric), 0);
		assert_int_equal(family_timestamp_name(name, &family), cases[i][1] != NULL);
		if (cases[i][1])
			assert_string_equal(name, cases[i][1]);
	}
}

static void format__is_what_accept_says(void **state)
{
	static const struct {
		const char *accept;
		enum exposition format;
	} cases[] = {
		{NULL, EXPOSITION_TEXT},
		{"", EXPOSITION_TEXT},
		{"*/*", EXPOSITION_TEXT},
		{"text/plain", EXPOSITION_TEXT},
		{"application/openmetrics-text", EXPOSITION_OPENMETRICS},
		{"Application/OpenMetrics-Text; Version=1.0.0", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text; version=0.0.1", EXPOSITION_TEXT},
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 EXPOSITION_OPENMETRICS},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=0.3, text/plain;q=0.5", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=0.5,text/*;q=0.5", EXPOSITION_OPENMETRICS},
		{"application/openmetrics-text;q=0", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=0.0001", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=-1", EXPOSITION_TEXT},
		{"application/openmetrics-text;q=x,*/*;q=0.1", EXPOSITION_TEXT},
		{"application/openmetrics-textual", EXPOSITION_TEXT},
		{";;;,,,;q=;q=1;,application/openmetrics-text", EXPOSITION_OPENMETRICS},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (exposition_wanted(cases[i].accept) != cases[i].format)
			fail_msg("%s", cases[i].accept);
}

/* Any bytes as a label are one line whose quotes and backslashes are in pairs, and valid UTF-8. */
static void label__of_any_bytes__stays_one_line(void **state)
{
	char value[256];
	const char *labels[] = {"stale", value};
	struct cw_sample sample = {.metric = &active, .labels = labels, .number = CW_INTEGER, .integer = 1};
	(void)state;
	for (unsigned seed = 1; seed < 256; seed++) {
		for (unsigned i = 0; i + 1 < sizeof value; i++)
			value[i] = (char)(1 + (seed * 31 + i * (seed | 1)) % 255);
		value[sizeof value - 1] = '\0';
		char *text = exposed(&sample, "agent-host", false, EXPOSITION_TEXT);
		char *line = strstr(text, "business=\"") + strlen("business=\"");
		assert_true(text_is_utf8(text, strlen(text)));
		while (*line != '"') {
			assert_true(*line != '\n' && *line != '\0');
			if (*line == '\\')
				assert_non_null(strchr("\\\"n", *++line));
			line++;
		}
		assert_string_equal(line, "\"} 1\n");
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gauge__with_labels_tags_and_host),
		cmocka_unit_test(counter__is_called_as_each_format_wants),
		cmocka_unit_test(histogram__is_cumulated_and_its_count_is_its_last_bucket),
		cmocka_unit_test(age__has_the_time_it_counts_from_beside_it),
		cmocka_unit_test(timestamp_names),
		cmocka_unit_test(format__is_what_accept_says),
		cmocka_unit_test(label__of_any_bytes__stays_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
