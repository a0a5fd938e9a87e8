/* SPDX-License-Identifier: MIT
 *
 * The four parsers of exec, by tables: what was printed, and what was told of it, as text. A point is told as
 * `name{label=value} kind number @time`, a complaint as `bad KIND: sentence`, a remark as `remark: text`.
 */
#include "parse.h"
#include "types.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is told, as text ---- */

struct told {
	char text[8192];
	size_t used;
};

static void add(struct told *told, const char *format, ...) CW_PRINTF(2, 3);
static void add(struct told *told, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(told->text + told->used, sizeof(told->text) - told->used, format, args);
	va_end(args);
	assert_in_range(n, 0, sizeof(told->text) - told->used - 1);
	told->used += (size_t)n;
}

static void add_value(struct told *told, const struct point *point)
{
	if (point->number == CW_INTEGER)
		add(told, " %lld", (long long)point->integer);
	else if (point->number == CW_DOUBLE)
		add(told, " %g", point->real);
	for (uint32_t i = 0; point->number == CW_BUCKETS && i <= point->bounds_count; i++)
		add(told, " %s%g:%llu", i < point->bounds_count ? "" : "above ",
		    point->bounds[i < point->bounds_count ? i : i - 1],
		    (unsigned long long)point->histogram.buckets[i]);
	if (point->number == CW_BUCKETS)
		add(told, " sum %g count %llu", point->histogram.sum, (unsigned long long)point->histogram.count);
}

static void on_point(void *arg, const struct point *point)
{
	static const char *const kinds[] = {"gauge", "counter", "histogram"};
	struct told *told = arg;
	add(told, "%s", point->name);
	for (uint32_t i = 0; i < point->labels_count; i++)
		add(told, "%c%s=%s", i ? ',' : '{', point->labels[i].name, point->labels[i].value);
	add(told, "%s %s%s", point->labels_count ? "}" : "", kinds[point->kind], point->accumulate ? " more" : "");
	add_value(told, point);
	if (point->time)
		add(told, " @%lld.%09lld", (long long)(point->time / CW_SECOND), (long long)(point->time % CW_SECOND));
	if (point->unit && *point->unit)
		add(told, " [%s]", point->unit);
	add(told, "\n");
}

static void on_bad(void *arg, enum bad kind, const char *text)
{
	add(arg, "bad %s: %s\n", bad_names[kind], text);
}

static void on_remark(void *arg, enum remark remark, const char *text)
{
	(void)remark;
	add(arg, "remark: %s\n", text);
}

enum format { PUTVAL, PROMETHEUS, GRAPHITE, NDJSON };

struct case_of {
	const char *printed, *told;
};

static void tell(enum format format, const char *printed, struct told *told)
{
	const struct parse_sink sink = {.point = on_point, .bad = on_bad, .remark = on_remark, .arg = told};
	struct types *types = types_new();
	struct exposition *exposition = exposition_new();
	char *copy = strdup(printed), *rest = copy, *line;
	while ((line = strsep(&rest, "\n"))) {
		char *own = strdup(line); /* so that the sanitizers see a step beyond it */
		if (format == PUTVAL)
			parse_putval(types, "me", own, &sink);
		else if (format == PROMETHEUS)
			exposition_line(exposition, own, &sink);
		else if (format == GRAPHITE)
			parse_graphite(own, &sink);
		else
			parse_ndjson(own, strlen(own), &sink);
		free(own);
	}
	exposition_end(exposition, &sink);
	free(copy);
	exposition_free(exposition);
	types_free(types);
}

static void check(enum format format, const struct case_of *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct told told = {.used = 0};
		tell(format, cases[i].printed, &told);
		if (strcmp(told.text, cases[i].told) != 0)
			fail_msg("%s\n   was told as\n%s   and not as\n%s", cases[i].printed, told.text, cases[i].told);
	}
}

#define CHECK(format, cases) check(format, cases, sizeof(cases) / sizeof((cases)[0]))

/* ---- putval ---- */

static void putval__values_and_kinds(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"PUTVAL me/exec-magic/gauge-level interval=10 N:42",
		 "collectd_exec_gauge{collectd_instance=magic,type_instance=level} gauge 42\n"},
		{"putval \"me/exec/temperature\" N:-1.5",
		 "collectd_exec_temperature{collectd_instance=,type_instance=} gauge -1.5\n"},
		{"PUTVAL me/load/load 1700000000.125:0.1:0.2:0.3",
		 "collectd_load_shortterm{collectd_instance=,type_instance=} gauge 0.1 @1700000000.125000000\n"
		 "collectd_load_midterm{collectd_instance=,type_instance=} gauge 0.2 @1700000000.125000000\n"
		 "collectd_load_longterm{collectd_instance=,type_instance=} gauge 0.3 @1700000000.125000000\n"},
		{"PUTVAL me/interface-eth0/if_octets N:10:20",
		 "collectd_interface_if_octets_rx_total{collectd_instance=eth0,type_instance=} counter 10\n"
		 "collectd_interface_if_octets_tx_total{collectd_instance=eth0,type_instance=} counter 20\n"},
		{"PUTVAL me/p/counter N:18446744073709551615",
		 "collectd_p_counter_total{collectd_instance=,type_instance=} counter 1.84467e+19\n"},
		{"PUTVAL me/p/derive N:12.7",
		 "collectd_p_derive_total{collectd_instance=,type_instance=} counter 12\n"},
		{"PUTVAL me/p/absolute N:3",
		 "collectd_p_absolute_total{collectd_instance=,type_instance=} counter more 3\n"},
		{"PUTVAL me/p/gauge N:1 1700000000:2",
		 "collectd_p_gauge{collectd_instance=,type_instance=} gauge 1\n"
		 "collectd_p_gauge{collectd_instance=,type_instance=} gauge 2 @1700000000.000000000\n"},
		{"PUTVAL other.host/p/gauge-x N:1",
		 "collectd_p_gauge{collectd_instance=,type_instance=x,collectd_host=other.host} gauge 1\n"},
		{"PUTVAL me/p-a-b/gauge-c-d N:1",
		 "collectd_p_gauge{collectd_instance=a-b,type_instance=c-d} gauge 1\n"},
		{"PUTVAL \"me/p-with space/gauge-a \\\"quote\\\" \\\\\" interval=1 N:1",
		 "collectd_p_gauge{collectd_instance=with space,type_instance=a \"quote\" \\} gauge 1\n"},
		{"PUTVAL me/p/gauge meta:key=\"a value\" N:1",
		 "collectd_p_gauge{collectd_instance=,type_instance=} gauge 1\n"},
		{"PUTVAL\tme/p/gauge\tN:1", "collectd_p_gauge{collectd_instance=,type_instance=} gauge 1\n"},
	};
	CHECK(PUTVAL, cases);
}

static void putval__not_known_is_no_value(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"PUTVAL me/p/gauge N:U", ""},
		{"PUTVAL me/p/if_octets N:U:5",
		 "collectd_p_if_octets_tx_total{collectd_instance=,type_instance=} counter 5\n"},
		{"PUTVAL me/p/gauge N:nan", "collectd_p_gauge{collectd_instance=,type_instance=} gauge nan\n"},
		{"", ""},
		{"   # a comment", ""},
		{"PUTNOTIF severity=okay time=1 message=\"hello\"", "remark: PUTNOTIF\n"},
	};
	CHECK(PUTVAL, cases);
}

static void putval__a_type_nobody_knows_is_a_gauge(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"PUTVAL me/p/my_type-x N:5", "remark: my_type\n"
					      "collectd_p_my_type{collectd_instance=,type_instance=x} gauge 5\n"},
		{"PUTVAL me/p/my_type N:5:6",
		 "remark: my_type\nbad type: a value of type `my_type` has 1 numbers, not 2\n"},
	};
	CHECK(PUTVAL, cases);
}

static void putval__what_is_wrong_is_said(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"hello", "bad syntax: `hello` is neither PUTVAL nor PUTNOTIF\n"},
		{"PUTVAL", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL me/p", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL me/p/gauge/x N:1", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL /p/gauge N:1", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL me//gauge N:1", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL me/p/-x N:1", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL \"me/p/gauge N:1", "bad syntax: PUTVAL without an identifier host/plugin/type\n"},
		{"PUTVAL me/p/gauge", "bad syntax: PUTVAL without a value\n"},
		{"PUTVAL me/p/gauge interval=10", "bad syntax: PUTVAL without a value\n"},
		{"PUTVAL me/p/gauge \"N:1", "bad syntax: a quote does not end\n"},
		{"PUTVAL me/p/gauge N", "bad type: a value of type `gauge` has 1 numbers, not 0\n"},
		{"PUTVAL me/p/gauge N:1:2", "bad type: a value of type `gauge` has 1 numbers, not 2\n"},
		{"PUTVAL me/p/gauge N:0x10", "bad value: `0x10` is not a number\n"},
		{"PUTVAL me/p/gauge N:", "bad value: `` is not a number\n"},
		{"PUTVAL me/p/gauge N:1,5", "bad value: `1,5` is not a number\n"},
		{"PUTVAL me/p/gauge n:1", "bad time: `n` is not a time\n"},
		{"PUTVAL me/p/gauge 0:1", "bad time: `0` is not a time\n"},
		{"PUTVAL me/p/gauge -5:1", "bad time: `-5` is not a time\n"},
		{"PUTVAL me/p/derive N:-1", "bad value: a counter is negative: `-1`\n"},
		{"PUTVAL me/p/gauge N:x N:2",
		 "bad value: `x` is not a number\ncollectd_p_gauge{collectd_instance=,type_instance=} gauge 2\n"},
		{"call +14155550132 \x1b[31m\x80 and a long tail that nobody wants to read in a state's reason",
		 "bad syntax: `call` is neither PUTVAL nor PUTNOTIF\n"},
	};
	CHECK(PUTVAL, cases);
}

static void putval__long_fields_are_refused(void **state)
{
	(void)state;
	char field[129], line[1024];
	memset(field, 'x', sizeof field);
	for (int over = 0; over < 2; over++) {
		struct told told = {.used = 0};
		field[127 + over] = '\0';
		snprintf(line, sizeof line, "PUTVAL %s/%s-%s/gauge-%s N:1", field, field, field, field);
		tell(PUTVAL, line, &told);
		field[127] = 'x';
		assert_true((strncmp(told.text, "bad syntax", 10) == 0) == over);
	}
}

/* ---- prometheus ---- */

static void prometheus__families_and_labels(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"up 1", "up gauge 1\n"},
		{"# TYPE a_total counter\na_total{x=\"1\"} 1027 1700000000123\na_total{x=\"2\"} 3",
		 "a_total{x=1} counter 1027 @1700000000.123000000\na_total{x=2} counter 3\n"},
		{"# TYPE a counter\na_total 5\nb 6", "a_total counter 5\nb gauge 6\n"},
		{"# HELP a b\n# TYPE a gauge\n# UNIT a bytes\na 1", "a gauge 1 [bytes]\n"},
		{"# TYPE a counter\nab 5", "ab gauge 5\n"},
		{"# TYPE a gauge\na_total 5", "a_total gauge 5\n"},
		{"# TYPE cpu counter\ncpu 1.5\ncpu{} 2.0", "cpu counter 1.5\ncpu counter 2\n"},
		{"x:y { a = \"b\" , } 1", "x:y{a=b} gauge 1\n"},
		{"x{a=\"q\\\"\\\\n\\nz\"} 1", "x{a=q\"\\n\nz} gauge 1\n"},
		{"x NaN\ny +Inf\nz -inf", "x gauge nan\ny gauge inf\nz gauge -inf\n"},
		{"x 1e3\ny 1E-2\nz -0.5", "x gauge 1000\ny gauge 0.01\nz gauge -0.5\n"},
		{"# a comment\n#\n\n   \nx 1\n# EOF", "x gauge 1\n"},
		{"x_total 1 # {trace=\"a\"} 0.5", "x_total gauge 1\n"},
		{"# TYPE s summary\ns{quantile=\"0.5\"} 1.5\ns_sum 3\ns_count 2",
		 "s{quantile=0.5} gauge 1.5\ns_sum counter 3\ns_count counter 2\n"},
	};
	CHECK(PROMETHEUS, cases);
}

static void prometheus__a_whole_histogram_is_one(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum "
		 "5.5\nh_count 4",
		 "h histogram 0.1:1 1:2 above 1:1 sum 5.5 count 4\n"},
		{"# TYPE h histogram\nh_count{a=\"1\"} 1\nh_sum{a=\"1\"} 2\nh_bucket{a=\"1\",le=\"1\"} 1\n"
		 "h_bucket{le=\"+Inf\",a=\"1\"} 1\nh_bucket{a=\"2\",le=\"1\"} 0\nh_bucket{a=\"2\",le=\"+Inf\"} 0\n"
		 "h_sum{a=\"2\"} 0\nh_count{a=\"2\"} 0\nup 1",
		 "h{a=1} histogram 1:1 above 1:0 sum 2 count 1\nh{a=2} histogram 1:0 above 1:0 sum 0 count 0\n"
		 "up gauge 1\n"},
		/* one after the other, with and without a word between them */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"
		 "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 2\nh_count 2\n"
		 "# TYPE h histogram\nh_sum 3\nh_count 3\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 3",
		 "h histogram 1:1 above 1:0 sum 1 count 1\nh histogram 1:2 above 1:0 sum 2 count 2\n"
		 "h histogram 1:3 above 1:0 sum 3 count 3\n"},
		/* the first one was broken off */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
		 "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 2\nh_count 2",
		 "h_bucket{le=1} counter 1\nh histogram 1:2 above 1:0 sum 2 count 2\n"},
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1.0 1000\nh_bucket{le=\"+Inf\"} 2e0 1000\nh_sum 1 "
		 "1000\nh_count 2 1000",
		 "h histogram 1:1 above 1:1 sum 1 count 2 @1.000000000\n"},
	};
	CHECK(PROMETHEUS, cases);
}

static void prometheus__what_is_no_whole_histogram_is_counters(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		/* no +Inf */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_sum 5\nh_count 4",
		 "h_bucket{le=1} counter 3\nh_sum counter 5\nh_count counter 4\n"},
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 4\nh_sum 5\nh_count 4",
		 "h_bucket{le=1} counter 3\nh_bucket{le=2} counter 4\nh_sum counter 5\nh_count counter 4\n"},
		/* it falls */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 5\nh_count 2",
		 "h_bucket{le=1} counter 3\nh_bucket{le=+Inf} counter 2\nh_sum counter 5\nh_count counter 2\n"},
		/* not in order */
		{"# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum "
		 "5\nh_count 2",
		 "h_bucket{le=2} counter 1\nh_bucket{le=1} counter 1\nh_bucket{le=+Inf} counter 2\nh_sum counter 5\n"
		 "h_count counter 2\n"},
		/* the count says something else */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 5\nh_count 3",
		 "h_bucket{le=1} counter 1\nh_bucket{le=+Inf} counter 2\nh_sum counter 5\nh_count counter 3\n"},
		/* half a count */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_bucket{le=\"+Inf\"} 1\nh_sum 5\nh_count 1",
		 "h_bucket{le=1} counter 0.5\nh_bucket{le=+Inf} counter 1\nh_sum counter 5\nh_count counter 1\n"},
		/* no sum, and then another histogram */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n# TYPE i gauge\ni 1",
		 "h_bucket{le=1} counter 1\nh_bucket{le=+Inf} counter 1\nh_count counter 1\ni gauge 1\n"},
		/* each without a count, one after the other */
		{"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_bucket{le=\"1\"} "
		 "3\nh_bucket{le=\"+Inf\"} 4\n"
		 "h_sum 1\nh_count 4",
		 "h_bucket{le=1} counter 1\nh_bucket{le=+Inf} counter 2\nh histogram 1:3 above 1:1 sum 1 count 4\n"},
		/* a bound that is none stands by itself */
		{"# TYPE h histogram\nh_bucket{a=\"b\",le=\"x\"} 7", "h_bucket{a=b,le=x} counter 7\n"},
		{"# TYPE h histogram\nh_bucket 7", "h_bucket counter 7\n"},
		{"# TYPE h histogram\nh 7", "h gauge 7\n"},
	};
	CHECK(PROMETHEUS, cases);
}

static void prometheus__more_buckets_than_fit_are_counters(void **state)
{
	(void)state;
	char text[4096];
	struct told told = {.used = 0};
	int used = snprintf(text, sizeof text, "# TYPE h histogram\n");
	for (int i = 1; i <= 70; i++)
		used += snprintf(text + used, sizeof text - (size_t)used, "h_bucket{le=\"%d\"} %d\n", i, i);
	snprintf(text + used, sizeof text - (size_t)used, "h_bucket{le=\"+Inf\"} 70\nh_sum 1\nh_count 70\n");
	tell(PROMETHEUS, text, &told);
	for (int i = 1; i <= 70; i++) {
		char expected[64];
		snprintf(expected, sizeof expected, "h_bucket{le=%d} counter %d\n", i, i);
		assert_non_null(strstr(told.text, expected));
	}
	assert_non_null(strstr(told.text, "h_bucket{le=+Inf} counter 70\n"));
	assert_null(strstr(told.text, "histogram"));
}

static void prometheus__what_is_wrong_is_said(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"oops", "bad syntax: `oops` is not `name{labels} value`\n"},
		{"9x 1", "bad syntax: `9x 1` is not `name{labels} value`\n"},
		{"{} 1", "bad syntax: `{} 1` is not `name{labels} value`\n"},
		{"a-b 1", "bad syntax: `a-b 1` is not `name{labels} value`\n"},
		{"x{a} 1", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{a=b} 1", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{a=\"b\" 1", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{a=\"b} 1", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{a=\"b\"c=\"d\"} 1", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{a=\"b\\", "bad labels: the labels of `x` are not {name=\"value\",…}, at most 16\n"},
		{"x{}", "bad syntax: `x` is not followed by a value and perhaps a time\n"},
		{"x 1 2 3", "bad syntax: `x` is not followed by a value and perhaps a time\n"},
		{"x one", "bad value: `one` is not a number\n"},
		{"x 0x1", "bad value: `0x1` is not a number\n"},
		{"x 1 1.5", "bad time: `1.5` is not a time in milliseconds\n"},
		{"x 1 99999999999999999", "bad time: `99999999999999999` is not a time in milliseconds\n"},
		{"# TYPE x counter\nx -1", "bad value: the counter `x` is negative\n"},
	};
	CHECK(PROMETHEUS, cases);
}

/* ---- graphite ---- */

static void graphite__lines(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"a.b.c 1.5 1700000000", "a.b.c gauge 1.5 @1700000000.000000000\n"},
		{"a 1", "a gauge 1\n"},
		{"a 1 -1", "a gauge 1\n"},
		{"  a\t1   1700000000.5  ", "a gauge 1 @1700000000.500000000\n"},
		{"disk.used;host=a;mount=/var 7 1700000000",
		 "disk.used{host=a,mount=/var} gauge 7 @1700000000.000000000\n"},
		{"a;b= 7", "a{b=} gauge 7\n"},
		{"", ""},
		{"# a comment", ""},
		{"a", "bad syntax: it is not `path value [timestamp]`\n"},
		{"a 1 2 3", "bad syntax: it is not `path value [timestamp]`\n"},
		{";a=b 1", "bad syntax: it is not `path value [timestamp]`\n"},
		{"a;b 1", "bad labels: the tags of `a` are not `tag=value;…`\n"},
		{"a; 1", "bad labels: the tags of `a` are not `tag=value;…`\n"},
		{"a;=b 1", "bad labels: the tags of `a` are not `tag=value;…`\n"},
		{"a x 1", "bad value: `x` is not a number\n"},
		{"a 1 x", "bad time: `x` is not a time\n"},
		{"a 1 0", "bad time: `0` is not a time\n"},
		{"a nan", "a gauge nan\n"},
	};
	CHECK(GRAPHITE, cases);
}

/* ---- ndjson ---- */

static void ndjson__objects(void **state)
{
	(void)state;
	static const struct case_of cases[] = {
		{"{\"metric\":\"a\",\"value\":1}", "a gauge 1\n"},
		{"{\"metric\":\"a\",\"value\":1.5,\"labels\":{\"x\":\"y\"},\"kind\":\"counter\",\"unit\":\"bytes\","
		 "\"help\":\"H\",\"time\":1700000000.25}",
		 "a{x=y} counter 1.5 @1700000000.250000000 [bytes]\n"},
		{"{\"metric\":\"a\",\"value\":2,\"time\":\"2023-11-14T22:13:20.5Z\"}",
		 "a gauge 2 @1700000000.500000000\n"},
		{"{\"metric\":\"a\",\"value\":2,\"time\":\"1700000000\"}", "a gauge 2 @1700000000.000000000\n"},
		{"{\"metric\":\"a\",\"value\":null}", ""},
		{"{\"metric\":\"a\",\"value\":9223372036854775807,\"kind\":\"counter\"}",
		 "a counter 9223372036854775807\n"},
		{"{\"metric\":\"a\",\"value\":3.0,\"kind\":\"counter\",\"more\":[1,2]}", "a counter 3\n"},
		{"{\"metric\":\"a\",\"value\":1,\"labels\":null,\"kind\":null,\"unit\":null,\"help\":null,\"time\":"
		 "null}",
		 "a gauge 1\n"},
		{"", ""},
		{"nonsense", "bad syntax: it is not a JSON object\n"},
		{"[1]", "bad syntax: it is not a JSON object\n"},
		{"{\"metric\":\"a\",\"value\":1}{", "bad syntax: it is not a JSON object\n"},
		{"{\"metric\":\"a\",\"value\":1,\"value\":2}", "bad syntax: it is not a JSON object\n"},
		{"{\"metric\":\"a\",\"value\":1e999}", "bad syntax: it is not a JSON object\n"},
		{"{\"value\":1}", "bad syntax: it has no text `metric`\n"},
		{"{\"metric\":7,\"value\":1}", "bad syntax: it has no text `metric`\n"},
		{"{\"metric\":\"\",\"value\":1}", "bad syntax: it has no text `metric`\n"},
		{"{\"metric\":\"a\"}", "bad value: the `value` of `a` is not a number\n"},
		{"{\"metric\":\"a\",\"value\":\"1\"}", "bad value: the `value` of `a` is not a number\n"},
		{"{\"metric\":\"a\",\"value\":true}", "bad value: the `value` of `a` is not a number\n"},
		{"{\"metric\":\"a\",\"value\":1,\"labels\":{\"x\":1}}",
		 "bad labels: the `labels` of `a` are not texts\n"},
		{"{\"metric\":\"a\",\"value\":1,\"labels\":[]}", "bad labels: the `labels` of `a` are not texts\n"},
		{"{\"metric\":\"a\",\"value\":1,\"kind\":\"histogram\"}",
		 "bad type: the `kind` of `a` is neither gauge nor counter\n"},
		{"{\"metric\":\"a\",\"value\":1,\"kind\":1}",
		 "bad type: the `kind` of `a` is neither gauge nor counter\n"},
		{"{\"metric\":\"a\",\"value\":1,\"unit\":1}", "bad syntax: `unit` or `help` of `a` is not a text\n"},
		{"{\"metric\":\"a\",\"value\":1,\"time\":\"soon\"}", "bad time: the `time` of `a` is not a time\n"},
		{"{\"metric\":\"a\",\"value\":1,\"time\":-1}", "bad time: the `time` of `a` is not a time\n"},
		{"{\"metric\":\"a\",\"value\":1,\"time\":1e300}", "bad time: the `time` of `a` is not a time\n"},
		{"{\"metric\":\"a\",\"value\":-1,\"kind\":\"counter\"}", "bad value: the counter `a` is negative\n"},
	};
	CHECK(NDJSON, cases);
}

static void ndjson__nested_as_deep_as_a_line_allows(void **state)
{
	(void)state;
	enum { DEPTH = 60000 };
	char *line = malloc(DEPTH + 1);
	struct told told = {.used = 0};
	memset(line, '[', DEPTH);
	line[DEPTH] = '\0';
	tell(NDJSON, line, &told);
	assert_string_equal(told.text, "bad syntax: it is not a JSON object\n");
	free(line);
}

/* ---- shared ---- */

static void quote__is_short_visible_and_masked(void **state)
{
	(void)state;
	char quoted[QUOTED_MAX], line[200];
	assert_string_equal(parse_quote(quoted, "plain"), "plain");
	assert_string_equal(parse_quote(quoted, "a\x1b[1m\n"), "a\\x1b[1m\\n");
	assert_string_equal(parse_quote(quoted, "+14155550132"), "+1••••••0132");
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	parse_quote(quoted, line);
	assert_in_range(strlen(quoted), 40, QUOTED_MAX - 1);
	assert_non_null(strstr(quoted, "x…"));
}

static void number__is_decimal_and_nothing_else(void **state)
{
	(void)state;
	struct number number;
	char digits[500];
	static const char *const bad[] = {"",      " 1", "1 ", "0x1", "1e",       "e5",  "--1",
					  "1.2.3", "+",  ".",  "1f",  "infinite", "nano"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (parse_decimal(bad[i], &number) == 0)
			fail_msg("`%s` was taken for %g", bad[i], number.real);
	assert_int_equal(parse_decimal("-9223372036854775808", &number), 0);
	assert_true(number.is_integer && number.integer == INT64_MIN);
	assert_int_equal(parse_decimal("9223372036854775808", &number), 0);
	assert_false(number.is_integer);
	assert_int_equal(parse_decimal("1e999999", &number), 0);
	assert_true(isinf(number.real));
	assert_int_equal(parse_decimal("+Infinity", &number), 0);
	assert_true(isinf(number.real) && number.real > 0);
	memset(digits, '9', sizeof digits - 1);
	digits[sizeof digits - 1] = '\0';
	assert_int_not_equal(parse_decimal(digits, &number), 0);
}

static void types__from_a_file(void **state)
{
	(void)state;
	static const char text[] = "# comment\n\n"
				   "mine\t\tone:GAUGE:0:U, two:DERIVE:0:U,three:COUNTER:U:U\r\n"
				   "gauge level:GAUGE:0:U\n"
				   "broken\n"
				   "broken2 a:NOTHING:0:1\n"
				   "broken3 :GAUGE:0:1\n"
				   "last value:ABSOLUTE:0:U";
	struct types *types = types_new();
	assert_int_equal(types_read(types, text, sizeof text - 1), 3);
	const struct type *mine = types_find(types, "mine");
	assert_non_null(mine);
	assert_int_equal(mine->count, 3);
	assert_string_equal(mine->sources[1].name, "two");
	assert_int_equal(mine->sources[2].kind, TYPE_COUNTER);
	assert_false(mine->is_stock);
	assert_string_equal(types_find(types, "gauge")->sources[0].name, "level"); /* it replaces what was built in */
	assert_true(types_find(types, "gauge")->is_stock);
	assert_int_equal(types_find(types, "last")->sources[0].kind, TYPE_ABSOLUTE);
	assert_null(types_find(types, "broken"));
	assert_null(types_find(types, ""));
	assert_int_equal(types_load(types, "/nonexistent"), -2 /* ENOENT */);
	types_free(types);
}

/* collectd's own file, where it is installed: all of it, and what is built in says the same. */
static void types__collectds_own_file_is_understood(void **state)
{
	(void)state;
	struct types *own = types_new(), *built_in = types_new();
	int status = types_load(own, "/usr/share/collectd/types.db");
	if (status == -2)
		skip();
	assert_int_equal(status, 0);
	static const char *const names[] = {
		"absolute",     "bytes",          "count",         "counter",     "current_connections",
		"derive",       "duration",       "errors",        "gauge",       "latency",
		"percent",      "queue_length",   "response_time", "temperature", "total_bytes",
		"total_events", "total_requests", "uptime",        "users",       "if_octets",
		"if_packets",   "if_errors",      "disk_octets",   "disk_ops",    "load"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct type *a = types_find(own, names[i]), *b = types_find(built_in, names[i]);
		assert_non_null(a);
		assert_non_null(b);
		assert_int_equal(a->count, b->count);
		for (uint32_t j = 0; j < a->count; j++) {
			if (a->count > 1)
				assert_string_equal(a->sources[j].name, b->sources[j].name);
			assert_int_equal(a->sources[j].kind, b->sources[j].kind);
		}
	}
	types_free(own);
	types_free(built_in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(putval__values_and_kinds),
		cmocka_unit_test(putval__not_known_is_no_value),
		cmocka_unit_test(putval__a_type_nobody_knows_is_a_gauge),
		cmocka_unit_test(putval__what_is_wrong_is_said),
		cmocka_unit_test(putval__long_fields_are_refused),
		cmocka_unit_test(prometheus__families_and_labels),
		cmocka_unit_test(prometheus__a_whole_histogram_is_one),
		cmocka_unit_test(prometheus__what_is_no_whole_histogram_is_counters),
		cmocka_unit_test(prometheus__more_buckets_than_fit_are_counters),
		cmocka_unit_test(prometheus__what_is_wrong_is_said),
		cmocka_unit_test(graphite__lines),
		cmocka_unit_test(ndjson__objects),
		cmocka_unit_test(ndjson__nested_as_deep_as_a_line_allows),
		cmocka_unit_test(quote__is_short_visible_and_masked),
		cmocka_unit_test(number__is_decimal_and_nothing_else),
		cmocka_unit_test(types__from_a_file),
		cmocka_unit_test(types__collectds_own_file_is_understood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
