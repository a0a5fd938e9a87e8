/* SPDX-License-Identifier: MIT
 *
 * Selectors: what they mean, what they refuse, and which samples they take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rule.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *text, *metric, *labels; /* `name=value;` of each */
} right[] = {
	{"calls_active", "calls_active", ""},
	{" calls_active ", "calls_active", ""},
	{"calls_active{}", "calls_active", ""},
	{"calls_active{ }", "calls_active", ""},
	{"a{b=c}", "a", "b=c;"},
	{"a {b=c} ", "a", "b=c;"},
	{"a{ b = c , d=e f }", "a", "b=c;d=e f;"},
	{"a{b=\"c, d}\", e=\"\\\"\"}", "a", "b=c, d};e=\";"},
	{"a{b=\"\"}", "a", "b=;"},
	{"a{b=\" c \"}", "a", "b= c ;"},
	{"a{b=c=d}", "a", "b=c=d;"},
	{"a{a=1,b=2,c=3,d=4,e=5}", "a", "a=1;b=2;c=3;d=4;e=5;"},
};

static void selector__is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		char text[128], labels[128] = "", error[EXPR_ERROR_MAX];
		struct selector selector;
		snprintf(text, sizeof text, "%s", right[i].text);
		if (selector_parse(text, &selector, error) < 0)
			fail_msg("%s: %s", right[i].text, error);
		assert_string_equal(selector.metric, right[i].metric);
		for (uint32_t l = 0; l < selector.labels_count; l++)
			snprintf(labels + strlen(labels), sizeof labels - strlen(labels), "%s=%s;",
				 selector.labels[l].name, selector.labels[l].value);
		assert_string_equal(labels, right[i].labels);
	}
}

static const struct {
	const char *text, *said;
} refused[] = {
	{"", "the name of a metric is missing"},
	{"{a=b}", "the name of a metric is missing"},
	{"a b", "is not NAME or NAME{label=value}"},
	{"a>5", "is not NAME or NAME{label=value}"},
	{"a{", "`label=value` is missing behind `{`"},
	{"a{b", "`label=value` is missing"},
	{"a{b}", "`label=value` is missing"},
	{"a{b=", "the closing `}` is missing"},
	{"a{b=c", "the closing `}` is missing"},
	{"a{b=\"c", "the closing quote is missing"},
	{"a{b=\"c\\", "the closing quote is missing"},
	{"a{b=\"c\"d}", "the closing `}` is missing"},
	{"a{b= }", "a label without a value"},
	{"a{b=,c=d}", "a label without a value"},
	{"a{b=c,}", "`label=value` is missing behind `,`"},
	{"a{=c}", "`label=value` is missing"},
	{"a{b=c,b=d}", "the label `b` is there twice"},
	{"a{a=1,b=2,c=3,d=4,e=5,f=6}", "more than 5 labels"},
	{"a{b=c} d", "something follows the closing brace"},
	{"a{b=c}>5", "something follows the closing brace"},
};

static void wrong_selector__is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char text[128], error[EXPR_ERROR_MAX] = "";
		struct selector selector;
		snprintf(text, sizeof text, "%s", refused[i].text);
		if (selector_parse(text, &selector, error) == 0 || !strstr(error, refused[i].said))
			fail_msg("%s: %s", refused[i].text, error);
	}
}

static void length_of_a_selector__is_what_comes_before_the_rest(void **state)
{
	(void)state;
	static const struct {
		const char *text, *rest;
	} cases[] = {
		{"a>=5", ">=5"},
		{"a{b=c}>=5", ">=5"},
		{"a {b=c} >= 5", " >= 5"},
		{"a{b=\"}\"}<1", "<1"},
		{"a{b=\"\\\"}\"}<1", "<1"},
		{"a{b=c", ""},
		{"a{b=\"c}>5", ""},
		{">5", ">5"},
		{"", ""},
		{"a =5", " =5"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(cases[i].text + selector_length(cases[i].text), cases[i].rest);
}

static const struct cw_metric metric = {
	.name = "calls_active", .kind = CW_GAUGE, .unit = "", .help = "h", .labels = {{"health", NULL}, {"via", NULL}}};

static void sample__is_taken_by_metric_labels_and_instance(void **state)
{
	(void)state;
	const char *const labels[] = {"stale", "x"};
	struct cw_sample sample = {.metric = &metric, .labels = labels};
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{"calls_active", true},
		{"calls_inactive", false},
		{"calls_active{health=stale}", true},
		{"calls_active{health=healthy}", false},
		{"calls_active{via=x,health=stale}", true},
		{"calls_active{via=y,health=stale}", false},
		{"calls_active{instance=calls}", true},
		{"calls_active{instance=other}", false},
		{"calls_active{colour=red}", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[128], error[EXPR_ERROR_MAX];
		struct selector selector;
		snprintf(text, sizeof text, "%s", cases[i].text);
		assert_int_equal(selector_parse(text, &selector, error), 0);
		if (selector_matches(&selector, "calls", &sample) != cases[i].matches)
			fail_msg("%s", cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selector__is_read),
		cmocka_unit_test(wrong_selector__is_refused),
		cmocka_unit_test(length_of_a_selector__is_what_comes_before_the_rest),
		cmocka_unit_test(sample__is_taken_by_metric_labels_and_instance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
