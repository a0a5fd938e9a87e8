/* SPDX-License-Identifier: MIT
 *
 * The formats: what each makes of ordinary samples, of hostile ones, and of what does not fit. The fuzz target
 * fuzz_plugin_format__lines.c checks the same promises on anything.
 */
#include "batch.h"
#include "format_graphite.h"
#include "format_json.h"
#include "format_point.h"
#include "format_putval.h"
#include "format_text.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t when = 1700000000125000000;

static const struct cw_metric depth = {.name = "dlq_depth", .kind = CW_GAUGE, .collectd_type = "queue_length"};
static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const struct cw_metric ended = {
	.name = "calls_ended_total", .kind = CW_COUNTER, .labels = {{.name = "how"}, {.name = "business"}}};
static const double bounds[] = {0.1, 1, 10};
static const struct cw_metric delay = {.name = "delay_seconds",
				       .kind = CW_HISTOGRAM,
				       .collectd_type = "duration",
				       .bounds = bounds,
				       .bounds_count = 3};

/* The lines of one sample; the caller frees them. NULL: the format had none. */
static char *lines(format_fn format, const char *host, const char *instance, const struct cw_sample *sample)
{
	static const struct cw_tag tag = {"env", "production"};
	struct cw_batch batch = {.host = host, .instance = instance, .interval = 5 * CW_SECOND};
	batch.tags = (struct cw_array){&tag, 1, (uint32_t)sizeof(tag)};
	struct buffer out = {.ceiling = 1 << 20};
	int n = format(&out, &batch, sample);
	assert_true(n >= 0);
	if (n == 0) {
		assert_int_equal(out.length, 0);
		return NULL;
	}
	buffer_bytes(&out, "", 1);
	int newlines = 0;
	for (const char *c = out.block; *c; c++)
		newlines += *c == '\n';
	assert_int_equal(newlines, n);
	return out.block;
}

static void expect(format_fn format, const struct cw_sample *sample, const char *expected)
{
	char *text = lines(format, "web-1.example.net", "calls", sample);
	if (!text || strcmp(text, expected) != 0)
		fail_msg("\nis:        %sshould be: %s", text ? text : "(nothing)\n", expected);
	free(text);
}

static struct cw_sample integer(const struct cw_metric *metric, const char *const *labels, int64_t value)
{
	return (struct cw_sample){
		.metric = metric, .labels = labels, .time = when, .number = CW_INTEGER, .integer = value};
}

static struct cw_sample real(const struct cw_metric *metric, const char *const *labels, double value)
{
	return (struct cw_sample){.metric = metric, .labels = labels, .time = when, .number = CW_DOUBLE, .real = value};
}

static void a_gauge__in_every_format(void **state)
{
	(void)state;
	const char *labels[] = {"healthy"};
	struct cw_sample sample = integer(&active, labels, 812);
	expect(format_putval, &sample,
	       "PUTVAL \"web-1.example.net/callwatch-calls/gauge-calls_active-healthy\" interval=5.000 "
	       "1700000000.125:812\n");
	expect(format_graphite, &sample, "callwatch.web-1_example_net.calls.calls_active.healthy 812 1700000000\n");
	expect(format_text, &sample,
	       "2023-11-14T22:13:20Z calls         calls_active{health=\"healthy\"}                812\n");
	expect(format_json, &sample,
	       "{\"time\":\"2023-11-14T22:13:20.125Z\",\"host\":\"web-1.example.net\",\"instance\":\"calls\","
	       "\"metric\":\"calls_active\",\"labels\":{\"health\":\"healthy\"},\"kind\":\"gauge\",\"value\":812,"
	       "\"interval\":5,\"tags\":{\"env\":\"production\"}}\n");
}

static void numbers__keep_their_precision(void **state)
{
	(void)state;
	struct cw_sample sample = real(&depth, NULL, 0.1);
	expect(format_graphite, &sample, "callwatch.web-1_example_net.calls.dlq_depth 0.1 1700000000\n");
	expect(format_putval, &sample,
	       "PUTVAL \"web-1.example.net/callwatch-calls/queue_length-dlq_depth\" interval=5.000 "
	       "1700000000.125:0.1\n");
	sample = integer(&depth, NULL, INT64_MIN);
	expect(format_graphite, &sample,
	       "callwatch.web-1_example_net.calls.dlq_depth -9223372036854775808 1700000000\n");
}

static void a_counter__is_derive_and_whole(void **state)
{
	(void)state;
	const char *labels[] = {"hung-up", "a-b"};
	struct cw_sample sample = real(&ended, labels, 12.7);
	expect(format_putval, &sample,
	       "PUTVAL \"web-1.example.net/callwatch-calls/derive-calls_ended_total-hung%2Dup-a-b\" interval=5.000 "
	       "1700000000.125:12\n");
}

static void a_type__that_collectd_has_not__is_gauge_or_derive(void **state)
{
	(void)state;
	static const struct {
		const char *type, *unit;
		enum cw_kind kind;
		double value;
		const char *expected;
	} cases[] = {
		{NULL, "", CW_GAUGE, 0.5, "gauge-m\" interval=5.000 1700000000.125:0.5\n"},
		{NULL, "", CW_COUNTER, 2.5, "derive-m\" interval=5.000 1700000000.125:2\n"},
		{"duration", "seconds", CW_GAUGE, 0.5, "duration-m\" interval=5.000 1700000000.125:0.5\n"},
		{"total_requests", "", CW_COUNTER, 2.5, "total_requests-m\" interval=5.000 1700000000.125:2\n"},
		{"gauge", "seconds", CW_COUNTER, 2.5, "gauge-m\" interval=5.000 1700000000.125:2.5\n"},
		{"our_own", "", CW_GAUGE, 0.5, "gauge-m\" interval=5.000 1700000000.125:0.5\n"},
		{"absolute", "", CW_COUNTER, 7, "derive-m\" interval=5.000 1700000000.125:7\n"},  /* ours is a sum */
		{"if_octets", "", CW_COUNTER, 7, "derive-m\" interval=5.000 1700000000.125:7\n"}, /* rx and tx */
		{"percent", "ratio", CW_GAUGE, 0.05, "percent-m\" interval=5.000 1700000000.125:5\n"},
		{"percent", "percent", CW_GAUGE, 5, "percent-m\" interval=5.000 1700000000.125:5\n"},
		{"derive", "", CW_COUNTER, 1e300, "derive-m\" interval=5.000 1700000000.125:9223372036854775807\n"},
		{"derive", "", CW_GAUGE, -2.5, "derive-m\" interval=5.000 1700000000.125:-3\n"},
		{"counter", "", CW_COUNTER, 3, "counter-m\" interval=5.000 1700000000.125:3\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_metric metric = {
			.name = "m", .unit = cases[i].unit, .kind = cases[i].kind, .collectd_type = cases[i].type};
		struct cw_sample sample = real(&metric, NULL, cases[i].value);
		char *text = lines(format_putval, "h", "i", &sample);
		static const char begin[] = "PUTVAL \"h/callwatch-i/";
		assert_non_null(text);
		assert_memory_equal(text, begin, sizeof(begin) - 1);
		assert_string_equal(text + sizeof(begin) - 1, cases[i].expected);
		free(text);
	}
}

static void a_histogram__is_count_and_percentiles(void **state)
{
	(void)state;
	const uint64_t buckets[] = {0, 0, 100, 0};
	struct cw_histogram histogram = {buckets, 100, 42.5};
	struct cw_sample sample = {.metric = &delay, .time = when, .number = CW_BUCKETS, .histogram = &histogram};
	expect(format_graphite, &sample,
	       "callwatch.web-1_example_net.calls.delay_seconds_count 100 1700000000\n"
	       "callwatch.web-1_example_net.calls.delay_seconds_sum 42.5 1700000000\n"
	       "callwatch.web-1_example_net.calls.delay_seconds_p50 5.5 1700000000\n"
	       "callwatch.web-1_example_net.calls.delay_seconds_p95 9.55 1700000000\n"
	       "callwatch.web-1_example_net.calls.delay_seconds_p99 9.91 1700000000\n");
	char *text = lines(format_putval, "h", "calls", &sample);
	assert_non_null(strstr(text, "/derive-delay_seconds_count\" interval=5.000 1700000000.125:100\n"));
	assert_non_null(strstr(text, "/duration-delay_seconds_p50\" interval=5.000 1700000000.125:5.5\n"));
	free(text);
	text = lines(format_json, "h", "calls", &sample);
	assert_non_null(strstr(text, "\"kind\":\"histogram\",\"count\":100,\"sum\":42.5,\"bounds\":[0.1,1,10],"
				     "\"buckets\":[0,0,100,0],\"interval\":5"));
	free(text);
	text = lines(format_text, "h", "calls", &sample);
	assert_non_null(strstr(text, " count=100 p50=5.5 p95=9.55 p99=9.91\n"));
	free(text);
}

static void percentiles__at_their_limits(void **state)
{
	(void)state;
	static const struct {
		uint64_t buckets[4];
		double p50, p99;
	} cases[] = {
		{{10, 0, 0, 0}, 0.05, 0.099}, /* below the first bound, from 0 */
		{{0, 0, 0, 10}, 10, 10},      /* above all bounds: the highest is all that is known */
		{{50, 0, 0, 50}, 0.1, 10},
		{{1, 0, 1, 0}, 0.1, 9.82},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_histogram histogram = {cases[i].buckets, 1, 1};
		struct cw_sample sample = {.metric = &delay, .number = CW_BUCKETS, .histogram = &histogram};
		struct format_point points[FORMAT_POINTS_MAX];
		assert_int_equal(format_points(&sample, points), 4);
		assert_true(fabs(points[1].real - cases[i].p50) < 1e-9);
		assert_true(fabs(points[3].real - cases[i].p99) < 1e-9);
	}
	const uint64_t none[4] = {0};
	struct cw_histogram empty = {none, 0, 0};
	struct cw_sample sample = {.metric = &delay, .number = CW_BUCKETS, .histogram = &empty};
	struct format_point points[FORMAT_POINTS_MAX];
	assert_int_equal(format_points(&sample, points), 1); /* a count, but no percentile of nothing */
}

static const char *const hostile[] = {
	"",
	"a\nPUTVAL \"x/y/z\" N:1",
	"a b",
	"a;b=c",
	"a.b",
	"a/b",
	"a\"b",
	"a\\",
	"%2F",
	"/",
	"\xff\xfe",
	"\x1b[2J",
	"\xc2\x9b",
	"\xe2\x80\xa8",
	"\xe2\x80\xae",
	"\r\n",
	"日本語",
	"\xc3",
	"\xf0\x9f\x98\x80",
	"-",
	"--",
	"a\tb",
	"callwatch.x 1 2\n",
	"\x7f",
};

enum { HOSTILE = sizeof(hostile) / sizeof(hostile[0]) };

static const format_fn formats[] = {format_putval, format_graphite, format_json, format_text};

static void fault_43_hostile_names__are_one_line_each_without_controls(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		for (int i = 0; i < HOSTILE; i++) {
			const char *labels[] = {hostile[i], hostile[HOSTILE - 1 - i]};
			struct cw_sample sample = integer(&ended, labels, 1);
			char *text = lines(formats[f], hostile[i], hostile[i], &sample);
			for (const unsigned char *c = (unsigned char *)text; *c; c++)
				if ((*c < 0x20 && *c != '\n') || *c == 0x7f || *c == 0xff)
					fail_msg("format %d, label %d: byte %02x", (int)f, i, *c);
			free(text);
		}
	}
}

static void putval__of_different_labels__differs(void **state)
{
	(void)state;
	char *seen[HOSTILE * HOSTILE];
	int n = 0;
	for (int i = 0; i < HOSTILE; i++) {
		for (int k = 0; k < HOSTILE; k++) {
			const char *labels[] = {hostile[i], hostile[k]};
			struct cw_sample sample = integer(&ended, labels, 1);
			seen[n] = lines(format_putval, "h", "calls", &sample);
			for (int earlier = 0; earlier < n; earlier++)
				assert_string_not_equal(seen[earlier], seen[n]);
			n++;
		}
	}
	while (n)
		free(seen[--n]);
}

static void putval__of_endless_names__fits_and_still_differs(void **state)
{
	(void)state;
	char one[401], other[401];
	for (int i = 0; i < 400; i += 2)
		memcpy(one + i, "\xc3\xa9", 3);
	memcpy(other, one, sizeof(other));
	other[398] = 'x';
	other[399] = 'y';
	const char *labels[] = {one}, *others[] = {other};
	struct cw_sample a = integer(&active, labels, 1), b = integer(&active, others, 1);
	char *first = lines(format_putval, one, one, &a), *second = lines(format_putval, one, one, &b);
	assert_true(strlen(first) <= 1024);
	assert_string_not_equal(first, second);
	const char *host = strchr(first, '"') + 1, *plugin = strchr(host, '/') + 1, *type = strchr(plugin, '/') + 1;
	assert_true(plugin - host - 1 <= 127);
	assert_true(type - plugin - 1 <= 127 + 10);
	assert_true(strchr(type, '"') - type <= 127 + 6);
	free(first);
	free(second);
}

static void what_is_not_known__is_no_line(void **state)
{
	(void)state;
	struct cw_sample sample = real(&depth, NULL, NAN);
	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++)
		assert_null(lines(formats[f], "h", "calls", &sample));
}

static void a_buffer_at_its_limit__holds_whole_lines_only(void **state)
{
	(void)state;
	const char *labels[] = {"healthy"};
	struct cw_sample sample = integer(&active, labels, 812);
	struct cw_batch batch = {.host = "h", .instance = "calls", .interval = CW_SECOND};
	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		struct buffer out = {.ceiling = 4000};
		int status;
		size_t before;
		do {
			before = out.length;
			status = formats[f](&out, &batch, &sample);
		} while (status > 0);
		assert_int_equal(status, -ENOMEM);
		assert_int_equal(out.length, before);
		assert_true(out.length > 0 && out.length <= 4000);
		assert_int_equal(out.block[out.length - 1], '\n');
		out.length = 0; /* and it can be used again */
		assert_int_equal(formats[f](&out, &batch, &sample), 1);
		buffer_release(&out);
	}
}

/* ---- Graphite's names ---- */

/* The lines of one sample in a form, as of lines(); *ret_doubtful: of the last. */
static char *graphite_lines(const struct graphite_form *form, const struct cw_sample *sample, bool *ret_doubtful)
{
	static const struct cw_tag tags[] = {{"env", "production"}, {"host", "ours"}, {"how", "agent's"}};
	struct cw_batch batch = {.host = "web-1.example.net", .instance = "calls", .interval = CW_SECOND};
	batch.tags = (struct cw_array)CW_ARRAY(tags);
	struct graphite_names names = {0};
	struct buffer out = {.ceiling = 1 << 20};
	struct format_point points[FORMAT_GRAPHITE_POINTS_MAX];
	size_t name_length;
	assert_int_equal(graphite_names_begin(&names, form, &batch), 0);
	uint32_t n = graphite_points(sample, points);
	for (uint32_t i = 0; i < n; i++) {
		size_t start = out.length;
		int status = graphite_line(&names, &out, sample, &points[i], &name_length);
		assert_true(status >= 0);
		assert_int_equal(out.block[start + name_length], ' ');
		*ret_doubtful = status == GRAPHITE_DOUBTFUL;
	}
	graphite_names_release(&names);
	buffer_bytes(&out, "", 1);
	return out.block;
}

static void a_template__puts_the_parts_where_it_says(void **state)
{
	(void)state;
	static const struct {
		const char *prefix, *template, *expected, *without_labels;
	} cases[] = {
		{"callwatch", format_graphite_template, "callwatch.web-1_example_net.calls.calls_ended_total.a.b",
		 "callwatch.web-1_example_net.calls.dlq_depth"},
		{"", format_graphite_template, "web-1_example_net.calls.calls_ended_total.a.b",
		 "web-1_example_net.calls.dlq_depth"},
		{"servers.eu", "{prefix}.{host}.voice.{labels}.{metric}",
		 "servers.eu.web-1_example_net.voice.a.b.calls_ended_total",
		 "servers.eu.web-1_example_net.voice.dlq_depth"},
		{"p", "{labels}.{metric}", "a.b.calls_ended_total", "dlq_depth"},
		{"", "{prefix}.{labels}.{metric}.x", "a.b.calls_ended_total.x", "dlq_depth.x"},
		{"p", "{metric}.{labels}.{instance}", "calls_ended_total.a.b.calls", "dlq_depth.calls"},
		{"p", "{labels}.{host}.{metric}", "a.b.web-1_example_net.calls_ended_total",
		 "web-1_example_net.dlq_depth"},
		{"p", "{metric}.{labels}", "calls_ended_total.a.b", "dlq_depth"},
	};
	const char *labels[] = {"a", "b"};
	const struct cw_sample samples[] = {integer(&ended, labels, 7), integer(&depth, NULL, 8)};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct graphite_form form;
		char error[FORMAT_GRAPHITE_ERROR_MAX], expected[200];
		bool doubtful;
		assert_int_equal(graphite_form_path(&form, cases[i].prefix, cases[i].template, error), 0);
		for (int k = 0; k < 2; k++) {
			char *text = graphite_lines(&form, &samples[k], &doubtful);
			snprintf(expected, sizeof(expected), "%s %d 1700000000\n",
				 k ? cases[i].without_labels : cases[i].expected, 7 + k);
			assert_string_equal(text, expected);
			free(text);
		}
	}
}

static void a_template__that_cannot_be__is_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *template, *words;
	} cases[] = {
		{"{prefix}.{metric}", "{labels} must be in it"},
		{"{prefix}.{labels}", "{metric} and"},
		{"{metric}.{labels}.{business}", "`{business}`: there are {prefix}"},
		{"{host}-{instance}.{metric}.{labels}", "each alone between dots"},
		{"{metric}.{labels}.{host", "each alone"},
		{"{metric}.{labels}.{metric}", "`{metric}` is there twice"},
		{"{metric}..{labels}", "two dots"},
		{"", "two dots"},
		{"{metric}.{labels}.", "one at an end"},
		{"{metric}.{labels}.a b", "`a b`: only letters"},
		{"{metric}.{labels}.a;b=c", "only letters"},
		{"{metric}.{labels}.\xc3\xa9", "only letters"},
		{"{metric}.{labels}.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o", "more than 16 parts"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct graphite_form form = {.prefix = "untouched"};
		char error[FORMAT_GRAPHITE_ERROR_MAX] = "";
		assert_int_equal(graphite_form_path(&form, "p", cases[i].template, error), -EINVAL);
		assert_string_equal(form.prefix, "untouched");
		if (!strstr(error, cases[i].words))
			fail_msg("%s: %s", cases[i].template, error);
	}
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	assert_int_equal(graphite_check_prefix("", error), 0);
	assert_int_equal(graphite_check_prefix("servers.eu", error), 0);
	static const char *const bad[] = {".", "a.", ".a", "a..b", "a b", "a/b", "{host}", "a\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(graphite_check_prefix(bad[i], error), -EINVAL);
}

static void tags__have_what_a_path_has_and_the_agents_labels(void **state)
{
	(void)state;
	struct graphite_form form;
	bool doubtful;
	graphite_form_tags(&form, "callwatch");
	const char *labels[] = {"a b", "~x.y;z=\"1\""};
	struct cw_sample sample = integer(&ended, labels, 7);
	char *text = graphite_lines(&form, &sample, &doubtful);
	/* `how` is taken by a label of the agent's, `host` by the core */
	assert_string_equal(text, "callwatch.calls_ended_total;host=web-1.example.net;plugin_instance=calls;"
				  "env=production;how=agent_s;exported_how=a_b;business=_x.y_z__1_ 7 1700000000\n");
	free(text);
	graphite_form_tags(&form, "");
	sample = integer(&depth, NULL, 7);
	text = graphite_lines(&form, &sample, &doubtful);
	assert_string_equal(text, "dlq_depth;host=web-1.example.net;plugin_instance=calls;env=production;"
				  "how=agent_s 7 1700000000\n");
	free(text);
}

static void a_name__that_may_be_anothers__is_doubtful(void **state)
{
	(void)state;
	static const struct cw_metric count = {.name = "delay_seconds_count", .kind = CW_GAUGE};
	struct graphite_form with_instance, without;
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	graphite_form_path(&with_instance, "p", "{host}.{instance}.{metric}.{labels}", error);
	graphite_form_path(&without, "p", "{host}.{metric}.{labels}", error);
	static const struct {
		const char *label;
		bool doubtful;
	} cases[] = {{"healthy", false}, {"a-b:c", false}, {"日本語", false}, {"a_b", true},
		     {"a.b", true},      {"", true},       {"\xff", true},    {"a\xc2\xa0", true}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cw_sample sample = integer(&active, &cases[i].label, 1);
		bool doubtful;
		free(graphite_lines(&with_instance, &sample, &doubtful));
		assert_int_equal(doubtful, cases[i].doubtful);
		free(graphite_lines(&without, &sample, &doubtful)); /* another instance may have the metric too */
		assert_true(doubtful);
	}
	struct cw_sample sample = integer(&count, NULL, 1);
	bool doubtful;
	free(graphite_lines(&with_instance, &sample, &doubtful)); /* the histogram delay_seconds has such a point */
	assert_true(doubtful);
	sample = integer(&depth, NULL, 1);
	free(graphite_lines(&with_instance, &sample, &doubtful));
	assert_false(doubtful);
}

/* Carbon makes a file of each node, and a file's name has 255 bytes. */
static void graphite__of_endless_labels__fits_a_file_and_still_differs(void **state)
{
	(void)state;
	char one[256], other[256];
	for (int i = 0; i < 254; i += 2)
		memcpy(one + i, "\xc3\xa9", 3);
	memcpy(other, one, sizeof(other));
	other[252] = other[253] = 'x';
	const char *labels[] = {one}, *others[] = {other};
	struct cw_sample a = integer(&active, labels, 1), b = integer(&active, others, 1);
	char *first = lines(format_graphite, "h", "calls", &a), *second = lines(format_graphite, "h", "calls", &b);
	assert_string_not_equal(first, second);
	const char *node = strrchr(first, '.') + 1, *end = strchr(node, ' ');
	assert_true(end - node <= FORMAT_GRAPHITE_NODE_MAX && end - node > FORMAT_GRAPHITE_NODE_MAX - 3);
	free(first);
	free(second);
}

static void graphite__of_a_line_over_1428_bytes__is_nothing(void **state)
{
	(void)state;
	char value[201];
	memset(value, 'x', sizeof(value));
	value[200] = 0;
	struct cw_tag tags[8];
	for (int i = 0; i < 8; i++)
		tags[i] = (struct cw_tag){"tag", value};
	struct cw_batch batch = {.host = "h", .instance = "calls", .interval = CW_SECOND};
	struct cw_sample sample = integer(&depth, NULL, 1);
	struct format_point points[FORMAT_POINTS_MAX];
	struct graphite_names names = {0};
	struct graphite_form form;
	struct buffer out = {.ceiling = 1 << 20};
	size_t name_length;
	graphite_form_tags(&form, "p");
	format_points(&sample, points);
	for (uint32_t n = 6; n <= 8; n++) {
		batch.tags = (struct cw_array){tags, n, sizeof(tags[0])};
		graphite_names_begin(&names, &form, &batch);
		int status = graphite_line(&names, &out, &sample, points, &name_length);
		assert_int_equal(status >= 0, n == 6);
		assert_true(status >= 0 || status == -EMSGSIZE);
		assert_true(out.length <= FORMAT_GRAPHITE_LINE_MAX);
		out.length = 0;
	}
	graphite_names_release(&names);
	buffer_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gauge__in_every_format),
		cmocka_unit_test(numbers__keep_their_precision),
		cmocka_unit_test(a_counter__is_derive_and_whole),
		cmocka_unit_test(a_type__that_collectd_has_not__is_gauge_or_derive),
		cmocka_unit_test(a_histogram__is_count_and_percentiles),
		cmocka_unit_test(percentiles__at_their_limits),
		cmocka_unit_test(fault_43_hostile_names__are_one_line_each_without_controls),
		cmocka_unit_test(putval__of_different_labels__differs),
		cmocka_unit_test(putval__of_endless_names__fits_and_still_differs),
		cmocka_unit_test(a_template__puts_the_parts_where_it_says),
		cmocka_unit_test(a_template__that_cannot_be__is_refused_with_the_reason),
		cmocka_unit_test(tags__have_what_a_path_has_and_the_agents_labels),
		cmocka_unit_test(a_name__that_may_be_anothers__is_doubtful),
		cmocka_unit_test(graphite__of_endless_labels__fits_a_file_and_still_differs),
		cmocka_unit_test(graphite__of_a_line_over_1428_bytes__is_nothing),
		cmocka_unit_test(what_is_not_known__is_no_line),
		cmocka_unit_test(a_buffer_at_its_limit__holds_whole_lines_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
