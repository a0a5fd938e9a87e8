/* SPDX-License-Identifier: MIT
 *
 * Templates: what they say, what they refuse, and that they are cut where a character ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "template.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool look(void *arg, const char *name, struct template_value *ret_value)
{
	(void)arg;
	static const struct {
		const char *name;
		struct template_value value;
	} values[] = {
		{"who", {.text = "anna ü"}},
		{"age", {.number = 157}},
		{"late", {.number = -61}},
		{"share", {.number = 0.07142}},
		{"count", {.number = 1234567}},
		{"size", {.number = 1536}},
		{"half", {.number = 0.5}},
		{"at", {.number = 86400, .is_time = true}},
		{"empty", {.text = ""}},
		{"nothing", {.number = NAN}},
		{"large", {.number = 1234567.891}},
		{"tiny", {.number = 0.000123456}},
		{"whole", {.number = 1}},
		{"endless", {.number = INFINITY}},
		{"negative", {.number = -1234.005}},
		{"huge", {.number = 1e300}},
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (strcmp(values[i].name, name) == 0) {
			*ret_value = values[i].value;
			return true;
		}
	return false;
}

static const struct {
	const char *text, *said;
} cases[] = {
	{"", ""},
	{"no place", "no place"},
	{"{{ who }}", "anna ü"},
	{"{{who}}", "anna ü"},
	{"<{{ who }}|{{ empty }}>", "<anna ü|>"},
	{"{{ who | upper }}", "ANNA ü"},
	{"{{ age | duration }}", "2m 37s"},
	{"{{ late|duration|upper }}", "-1M 01S"},
	{"{{ share | percent }} {{ half | percent }} {{ whole | percent }}", "7.1% 50% 100%"},
	{"{{ tiny | percent }} {{ tiny | number }}", "0.012% 0.000123"},
	{"{{ count | number }} {{ large | number }} {{ negative | number }}", "1,234,567 1,234,567.89 -1,234.01"},
	{"{{ size | bytes }} {{ count | bytes }} {{ half | bytes }}", "1.5 KiB 1.2 MiB 0.5 B"},
	{"{{ count }} {{ share }} {{ large }}", "1234567 0.07142 1.23457e+06"},
	{"{{ at }} {{ at | time }}", "1970-01-02 01:00:00 +0100 1970-01-02 01:00:00 +0100"},
	{"{{ who | duration }}", "anna ü"},
	{"{{ endless | time }} {{ huge | time }} {{ huge | duration }} {{ huge | number }} {{ huge | percent }}",
	 "? ? 11574074d 01h 1e+300 1e+302%"},
	{"{{ gone }} {{ nothing | percent }} {{ endless }}", "? ? ?"},
	{"a } b }} c { d", "a } b }} c { d"},
	{"{{ gone or who }}{{ who or gone }}", "anna üanna ü"},
	{"<{{ gone or nothing or age | duration }}> {{ gone or lost }} {{ empty or who | upper }}",
	 "<2m 37s> ? ANNA ü"},
	{"{{ or }} {{ gone or or }} {{ who or who or who }}.", "? ? anna ü."},
	{"{\"a\":{\"b\":{{ age }}}}", "{\"a\":{\"b\":157}}"},
};

static void template__is_rendered(void **state)
{
	(void)state;
	char error[TEMPLATE_ERROR_MAX], said[256];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct template *template = NULL;
		if (template_parse(cases[i].text, &template, error) < 0)
			fail_msg("%s: %s", cases[i].text, error);
		size_t length = template_render(template, look, NULL, said, sizeof said);
		assert_string_equal(said, cases[i].said);
		assert_int_equal(length, strlen(said));
		template_free(template);
	}
}

static const struct {
	const char *text, *said;
} refused[] = {
	{"{{", "a name is missing behind `{{` at character 3"},
	{"{{ }}", "a name is missing"},
	{"ab {{ who", "`}}` or `|` is missing at character 10"},
	{"{{ who } }", "`}}` or `|` is missing at character 8"},
	{"{{ who what }}", "`}}` or `|` is missing"},
	{"{{ who | durtion }}", "no filter `durtion` (duration, number, percent, bytes, time, upper) at character 10"},
	{"{{ who | }}", "no filter ``"},
	{"{{ who or }}", "a name is missing behind `or`"},
	{"{{ who or what who }}", "`}}` or `|` is missing"},
	{"{{ a or b or c or d }}", "more than 2 times `or`"},
	{"{{ a | upper | upper | upper | upper | upper }}", "more than 4 filters"},
	{"{{ \x1b[31m }}", "a name is missing"},
};

static void wrong_template__is_refused_with_its_place(void **state)
{
	(void)state;
	char error[TEMPLATE_ERROR_MAX];
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct template *template = NULL;
		assert_true(template_parse(refused[i].text, &template, error) < 0);
		assert_null(template);
		if (!strstr(error, refused[i].said))
			fail_msg("%s: %s", refused[i].text, error);
	}
	char *text = malloc(TEMPLATE_TEXT_MAX + 1);
	struct template *template = NULL;
	memset(text, 'x', TEMPLATE_TEXT_MAX);
	text[TEMPLATE_TEXT_MAX] = '\0';
	assert_true(template_parse(text, &template, error) < 0);
	assert_non_null(strstr(error, "longer than"));
	text[TEMPLATE_TEXT_MAX - 1] = '\0';
	assert_int_equal(template_parse(text, &template, error), 0);
	template_free(template);
	free(text);
}

static void names_and_filters__can_be_asked_for(void **state)
{
	(void)state;
	char error[TEMPLATE_ERROR_MAX];
	struct template *template = NULL;
	assert_int_equal(template_parse("{{ a }} b {{ c_2 | upper | time }}", &template, error), 0);
	assert_string_equal(template_name(template, 0), "a");
	assert_null(template_filter(template, 0));
	assert_string_equal(template_name(template, 1), "c_2");
	assert_string_equal(template_filter(template, 1), "upper");
	assert_null(template_name(template, 2));
	assert_null(template_name(template, 3));
	assert_null(template_filter(template, 3));
	template_free(template);
	assert_int_equal(template_parse("{{ a or b | time }} {{ c }}", &template, error), 0);
	assert_string_equal(template_name(template, 0), "a");
	assert_string_equal(template_filter(template, 0), "time");
	assert_string_equal(template_name(template, 1), "b");
	assert_string_equal(template_name(template, 2), "c");
	assert_null(template_name(template, 3));
	template_free(template);
	template_free(NULL);
}

/* Every size: what is written is a beginning of the whole, valid, and nothing is touched behind it. */
static void text_that_is_too_long__is_cut_where_a_character_ends(void **state)
{
	(void)state;
	static const char whole[] = "äöü anna ü € anna ü.";
	char error[TEMPLATE_ERROR_MAX], said[64];
	struct template *template = NULL;
	assert_int_equal(template_parse("äöü {{ who }} € {{ who }}.", &template, error), 0);
	for (size_t size = 1; size <= sizeof whole; size++) {
		memset(said, '#', sizeof said);
		size_t length = template_render(template, look, NULL, said, size);
		assert_int_equal(strlen(said), length);
		assert_true(length < size);
		for (size_t i = size; i < sizeof said; i++)
			assert_int_equal(said[i], '#');
		if (size == sizeof whole) {
			assert_string_equal(said, whole);
			continue;
		}
		if (size < sizeof "…") {
			assert_int_equal(length, 0);
			continue;
		}
		assert_string_equal(said + length - 3, "…");
		assert_memory_equal(said, whole, length - 3);
		assert_true(((unsigned char)whole[length - 3] & 0xc0) != 0x80);
		assert_true(size - 1 - length < 4);
	}
	template_free(template);
}

static bool look_hostile(void *arg, const char *name, struct template_value *ret_value)
{
	(void)name;
	ret_value->text = arg;
	return true;
}

static void value_in_json__cannot_leave_its_quotes(void **state)
{
	(void)state;
	static const struct {
		const char *value, *template, *said;
	} json_cases[] = {
		{"calm", "{\"a\":\"{{ x }}\"}", "{\"a\":\"calm\"}"},
		{"\",\"b\":\"\\", "{\"a\":\"{{ x }}\"}", "{\"a\":\"\\\",\\\"b\\\":\\\"\\\\\"}"},
		{"one\ntwo", "\"{{ x | upper }}\"", "\"ONE\\nTWO\""}, /* upper, then escaped: \N is none */
		{"\xff\x01", "\"{{ x }}\"", "\"\xef\xbf\xbd\\u0001\""},
		{"", "\"{{ x }}\"", "\"\""},
	};
	char buffer[200], error[TEMPLATE_ERROR_MAX], many[2 * TEMPLATE_TEXT_MAX];
	struct template *template;
	for (size_t i = 0; i < sizeof json_cases / sizeof *json_cases; i++) {
		assert_int_equal(template_parse(json_cases[i].template, &template, error), 0);
		char *value = strdup(json_cases[i].value);
		size_t length = template_render_json(template, look_hostile, value, buffer, sizeof buffer);
		assert_string_equal(buffer, json_cases[i].said);
		assert_int_equal(length, strlen(buffer));
		free(value);
		template_free(template);
	}
	/* Half a text is none, and a value has its limit. */
	memset(many, 'x', sizeof many);
	many[sizeof many - 1] = '\0';
	assert_int_equal(template_parse("\"{{ x }}\"", &template, error), 0);
	assert_int_equal(template_render_json(template, look_hostile, many, buffer, sizeof buffer), 0);
	assert_string_equal(buffer, "");
	char large[3 * TEMPLATE_TEXT_MAX];
	assert_int_equal(template_render_json(template, look_hostile, many, large, sizeof large),
			 TEMPLATE_TEXT_MAX + 2);
	template_free(template);
}

int main(void)
{
	setenv("TZ", "XXX-1", /* overwrite */ 1);
	tzset();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(template__is_rendered),
		cmocka_unit_test(wrong_template__is_refused_with_its_place),
		cmocka_unit_test(names_and_filters__can_be_asked_for),
		cmocka_unit_test(text_that_is_too_long__is_cut_where_a_character_ends),
		cmocka_unit_test(value_in_json__cannot_leave_its_quotes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
