/* SPDX-License-Identifier: MIT
 *
 * The expression grammar: tables of cases, limits included.
 */
#include "expr.h"
#include "pattern.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const health[] = {"healthy", "warning", "stale", NULL};
static const struct cw_column text = {.name = "t", .type = CW_TEXT}, integer = {.name = "i", .type = CW_INT},
			      seconds = {.name = "s", .type = CW_INT, .unit = "seconds"},
			      bytes = {.name = "b", .type = CW_INT, .unit = "bytes"},
			      ratio = {.name = "r", .type = CW_REAL, .unit = "ratio"},
			      flag = {.name = "f", .type = CW_BOOL},
			      choice = {.name = "h", .type = CW_CHOICE, .choices = health},
			      when = {.name = "w", .type = CW_TIME}, age = {.name = "a", .type = CW_AGE};

#define TEXT(s)                                                                                                        \
	{                                                                                                              \
		.type = CW_CELL_TEXT, .length = sizeof(s) - 1, .text = (s)                                             \
	}
#define INTEGER(n)                                                                                                     \
	{                                                                                                              \
		.type = CW_CELL_INTEGER, .integer = (n)                                                                \
	}
#define REAL(x)                                                                                                        \
	{                                                                                                              \
		.type = CW_CELL_REAL, .real = (x)                                                                      \
	}

static const struct {
	const char *expr;
	const struct cw_column *column;
	struct cw_cell cell;
	bool matches;
} cases[] = {
	{"t=abc", &text, TEXT("abc"), true},
	{" t = abc ", &text, TEXT("abc"), true},
	{"t=abc", &text, TEXT("abcd"), false},
	{"t!=abc", &text, TEXT("abcd"), true},
	{"t=\"a b\\\"c\"", &text, TEXT("a b\"c"), true},
	{"t=\"\"", &text, TEXT(""), true},
	{"t=null", &text, TEXT("null"), false},
	{"t=\"null\"", &text, TEXT("null"), true},
	{"t=null", &text, {0}, true},
	{"t!=null", &text, {0}, false},
	{"t!=null", &text, TEXT(""), true},
	{"t=x", &text, {0}, false},
	{"t!=x", &text, {0}, true},
	{"t!~x", &text, {0}, true},
	{"t~x", &text, {0}, false},
	{"t~BERLIN", &text, TEXT("Tango in Berlin"), true},
	{"t~ÄRZTE Łódź", &text, TEXT("die ärzte łÓDŹ"), true},
	{"t~ÿ", &text, TEXT("x Ÿ"), true},
	{"t~×", &text, TEXT("÷"), false},
	{"t~rome", &text, TEXT("Tango in Berlin"), false},
	{"t=~^\\+1415[0-9]{7}$", &text, TEXT("+14155550132"), true},
	{"t=~^\\+1415[0-9]{7}$", &text, TEXT("+141555501324"), false},
	{"t!~^CA", &text, TEXT("XX"), true},
	{"t!~^CA", &text, TEXT("CAxx"), false},
	{"i=9007199254740993", &integer, INTEGER(9007199254740993), true},
	{"i=9007199254740993", &integer, INTEGER(9007199254740992), false},
	{"i>2.5", &integer, INTEGER(3), true},
	{"i>2.5", &integer, INTEGER(2), false},
	{"i<=-1", &integer, INTEGER(-1), true},
	{"s>4h", &seconds, INTEGER(14401), true},
	{"s>4h", &seconds, INTEGER(14400), false},
	{"s>14400", &seconds, INTEGER(14401), true},
	{"s>1500ms", &seconds, INTEGER(2), true},
	{"s>1500ms", &seconds, INTEGER(1), false},
	{"b>=64KiB", &bytes, INTEGER(65536), true},
	{"b>=64KiB", &bytes, INTEGER(65535), false},
	{"r>5%", &ratio, REAL(0.051), true},
	{"r>5%", &ratio, REAL(0.049), false},
	{"r>0", &ratio, REAL(NAN), false},
	{"r=null", &ratio, REAL(NAN), true},
	{"a>1m", &age, REAL(60.5), true},
	{"a<-5s", &age, REAL(-6), true},
	{"f=true", &flag, INTEGER(1), true},
	{"f=false", &flag, INTEGER(0), true},
	{"f!=true", &flag, INTEGER(1), false},
	{"h=stale", &choice, INTEGER(2), true},
	{"h=stale", &choice, INTEGER(1), false},
	{"h!=healthy", &choice, INTEGER(1), true},
	{"h=~^(warning|stale)$", &choice, INTEGER(1), true},
	{"h!~le$", &choice, INTEGER(2), false},
	{"h~STAL", &choice, INTEGER(2), true},
	{"h=stale", &choice, INTEGER(-1), false},
	{"h=stale", &choice, INTEGER(64), false},
	{"w=2026-11-22T13:30:00.123Z", &when, INTEGER(1795354200123456789), true},
	{"w>2026-11-22T13:30:00Z", &when, INTEGER(1795354200001000000), true},
	{"w<2026-11-22T13:30:00Z", &when, INTEGER(1795354200001000000), false},
};

static void expr__each_case__matches_as_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct expr *expr = NULL;
		char error[EXPR_ERROR_MAX] = "";
		if (expr_parse(cases[i].expr, &expr, error) || expr_bind(expr, cases[i].column, error))
			fail_msg("%s: %s", cases[i].expr, error);
		if (expr_matches(expr, &cases[i].cell) != cases[i].matches)
			fail_msg("case %zu, %s: not %d", i, cases[i].expr, cases[i].matches);
		expr_free(expr);
	}
}

static const struct {
	const char *expr;
	const struct cw_column *column; /* NULL: does not parse */
	const char *sentence;           /* part of it */
} refused[] = {
	{"", NULL, "column is missing at character 1"},
	{"=x", NULL, "column is missing at character 1"},
	{"9x=1", NULL, "column is missing"},
	{"a", NULL, "is missing at character 2"},
	{"a b", NULL, "is missing at character 3"},
	{"a==b", NULL, "equal is written `=`"},
	{"a=", NULL, "a value is missing"},
	{"a=\"x", NULL, "closing quote"},
	{"a=\"x                             ", NULL, "closing quote"},
	{"a=\"x\" y", NULL, "follows the closing quote"},
	{"t>x", &text, "no order"},
	{"h>warning", &choice, "no order"},
	{"h=stael", &choice, "not one of healthy, warning, stale; did you mean `stale`?"},
	{"i=x", &integer, "`x` is not a number"},
	{"i=4h", &integer, "`4h` is not a number"},
	{"i~4", &integer, "is a number"},
	{"s>4x", &seconds, "a duration (`4h`) or seconds"},
	{"s>null", &seconds, "`null` is not a duration"},
	{"b>4x", &bytes, "a size"},
	{"r>4x", &ratio, "a ratio"},
	{"f=yes", &flag, "neither true nor false"},
	{"f>true", &flag, "use = or !="},
	{"w>yesterday", &when, "is not a time"},
	{"t=~(a", &text, "missing closing parenthesis at character 3"},
	{"t=~(a)\\1", &text, "back references"},
};

static void expr__what_cannot_be_meant__is_refused_with_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct expr *expr = NULL;
		char error[EXPR_ERROR_MAX] = "";
		int status = expr_parse(refused[i].expr, &expr, error);
		if (status == 0 && refused[i].column)
			status = expr_bind(expr, refused[i].column, error);
		if (status == 0 || !strstr(error, refused[i].sentence))
			fail_msg("%s: %d `%s`", refused[i].expr, status, error);
		expr_free(expr);
	}
}

static void expr__too_long__is_refused(void **state)
{
	(void)state;
	char expr_text[EXPR_LENGTH_MAX + 2], error[EXPR_ERROR_MAX];
	struct expr *expr = NULL;
	memset(expr_text, 'x', sizeof(expr_text));
	expr_text[1] = '=';
	expr_text[sizeof(expr_text) - 1] = '\0';
	assert_int_not_equal(expr_parse(expr_text, &expr, error), 0);
	expr_text[sizeof(expr_text) - 2] = '\0';
	assert_int_equal(expr_parse(expr_text, &expr, error), 0);
	expr_free(expr);
}

static void expr__contains__finds_across_windows(void **state)
{
	(void)state;
	enum { LENGTH = 20000 };
	char *haystack = malloc(LENGTH), error[EXPR_ERROR_MAX];
	struct expr *expr = NULL;
	assert_int_equal(expr_parse("t~ÄRGERNISyÖ", &expr, error), 0);
	assert_int_equal(expr_bind(expr, &text, error), 0);
	for (size_t at = 4050; at < 4120; at++) {
		for (size_t i = 0; i + 1 < LENGTH; i += 2)
			memcpy(haystack + i, "\xC3\x84", 2);
		memcpy(haystack + at, "\xC3\xA4rgernisY\xC3\xB6", 12);
		struct cw_cell cell = {.type = CW_CELL_TEXT, .length = LENGTH, .text = haystack};
		assert_true(expr_matches(expr, &cell));
		haystack[at + 5] = '-';
		assert_false(expr_matches(expr, &cell));
	}
	expr_free(expr);
	free(haystack);
}

static const struct {
	const char *pattern, *text;
	bool matches;
} patterns[] = {
	{"", "", true},
	{"", "x", true},
	{"a", "xax", true},
	{"^a", "xa", false},
	{"^a|b$", "xb", true},
	{"a$", "ax", false},
	{"^$", "", true},
	{"^$", "x", false},
	{"a*b", "b", true},
	{"^a+$", "aaa", true},
	{"^a+$", "", false},
	{"^(ab|cd)?e$", "cde", true},
	{"^(ab|cd)?e$", "e", true},
	{"^a{3}$", "aaa", true},
	{"^a{3}$", "aa", false},
	{"^a{3}$", "aaaa", false},
	{"^a{2,}$", "aaaaa", true},
	{"^a{2,}$", "a", false},
	{"^a{0,2}$", "", true},
	{"^a{0,2}$", "aaa", false},
	{"^a{2,4}$", "aaaa", true},
	{"^a{2,4}$", "a", false},
	{"^a{2,4}$", "aaaaa", false},
	{"^a{0}b$", "b", true},
	{"^(a|b|c)d$", "cd", true},
	{"^(a|b|c)d$", "dd", false},
	{"^a|b|c$", "xc", true},
	{"[[:digit:]]", "x7", true},
	{"[^[:digit:]]", "7", false},
	{"^[]a]+$", "]a]", true},
	{"^[a-c-]+$", "b-", true},
	{"^[^a-c]$", "d", true},
	{"^\\d+\\s\\w$", "42 x", true},
	{"^\\D$", "4", false},
	{"\\.", "a", false},
	{"\\.", "a.", true},
	{"^.{3}$", "äöü", true},
	{"^[ä-ü]{3}$", "äöü", true},
	{"^.$", "\xff", true},
	{"^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false},
	{"(x+x+)+y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", false},
	{"(a*)*$", "b", true},
	{"^(a*)+$", "b", false},
	{"((a|b)*c){2}", "abcbc", true},
	{"a||b", "x", true},
	{"()", "", true},
	{"x*$", "abc", true},
	{"b^", "ab", false},
	{"$a", "a", false},
	{"^^a$$", "a", true},
	{"(a{1,2}){2}", "aaa", true},
	{"^(a{1,2}){2}$", "a", false},
	{"stale|gone", "is gone", true},
};

static void pattern__each_case__matches_as_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct pattern *pattern = NULL;
		char error[200] = "";
		if (pattern_compile(patterns[i].pattern, &pattern, error, sizeof(error)))
			fail_msg("%s: %s", patterns[i].pattern, error);
		if (pattern_matches(pattern, patterns[i].text, strlen(patterns[i].text)) != patterns[i].matches)
			fail_msg("`%s` on `%s`: not %d", patterns[i].pattern, patterns[i].text, patterns[i].matches);
		pattern_free(pattern);
	}
}

static void pattern__what_is_wrong_or_too_large__is_refused(void **state)
{
	static const char *const wrong[] = {
		"(",
		")",
		"[a",
		"[",
		"*a",
		"a{2,1}",
		"\\1",
		"\\",
		"[[:no:]]",
		"[[.a.]]",
		"[b-a]",
		"a|*",
		"(?<=a*)b",
		"((a{1,255}){1,255}){1,255}",
		"((((((((((((a+)+)+)+){9}){9}){9}){9})))))",
	};
	(void)state;
	char error[200], longer[PATTERN_LENGTH_MAX + 2];
	struct pattern *pattern = NULL;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (pattern_compile(wrong[i], &pattern, error, sizeof(error)) == 0)
			fail_msg("%s was taken", wrong[i]);
	memset(longer, 'a', sizeof(longer));
	longer[PATTERN_LENGTH_MAX + 1] = '\0';
	assert_int_not_equal(pattern_compile(longer, &pattern, error, sizeof(error)), 0);
	longer[PATTERN_LENGTH_MAX] = '\0';
	assert_int_equal(pattern_compile(longer, &pattern, error, sizeof(error)), 0);
	pattern_free(pattern);
}

static void pattern__a_text_that_was_cut__has_no_end(void **state)
{
	(void)state;
	char error[200], long_text[PATTERN_TEXT_MAX + 1];
	struct pattern *pattern = NULL;
	memset(long_text, 'a', sizeof(long_text));
	assert_int_equal(pattern_compile("a$", &pattern, error, sizeof(error)), 0);
	assert_true(pattern_matches(pattern, long_text, PATTERN_TEXT_MAX));
	assert_false(pattern_matches(pattern, long_text, PATTERN_TEXT_MAX + 1));
	pattern_free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expr__each_case__matches_as_told),
		cmocka_unit_test(expr__what_cannot_be_meant__is_refused_with_a_sentence),
		cmocka_unit_test(expr__too_long__is_refused),
		cmocka_unit_test(expr__contains__finds_across_windows),
		cmocka_unit_test(pattern__each_case__matches_as_told),
		cmocka_unit_test(pattern__what_is_wrong_or_too_large__is_refused),
		cmocka_unit_test(pattern__a_text_that_was_cut__has_no_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
