/* SPDX-License-Identifier: MIT
 *
 * See rule.h: one rule, from its checked options. What it is about first (a table, a metric), then its test, its guards
 * and its texts, each word held against what is declared (vocabulary.h). A step that finds something wrong says so and
 * the next one follows: one run shows every error. A rule that sleeps is about what is not configured, so of its words
 * only the form is checked.
 */
#include "rule.h"

#include "loader.h"
#include "rule_private.h"
#include "template.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rule being made. */
struct maker {
	const struct rule_making *making;
	const struct vocabulary *vocabulary;
	const struct cw_value *options;
	struct rule *rule;
	const struct cw_metric *metric; /* of a sample rule; NULL: nobody declares it */
	bool has_columns;               /* the table is there to be asked for its columns */
};

static const struct {
	const char *key;
	enum rule_test test;
	const char *clear; /* the key that says where it ends */
} tests[] = {
	{"above", RULE_ABOVE, "clear_below"},  {"below", RULE_BELOW, "clear_above"},
	{"outside", RULE_OUTSIDE, NULL},       {"absent", RULE_ABSENT, NULL},
	{"rate_above", RULE_RATE_ABOVE, NULL}, {"rate_below", RULE_RATE_BELOW, NULL},
};

enum { TESTS = sizeof tests / sizeof *tests, LABELS_MAX = 16, TEXTS_MAX = 16, GUARDS_MAX = 8 };

/* ---- saying what is wrong ---- */

const struct place *rule_place(const struct cw_value *options, const char *key)
{
	const struct cw_value *value = key ? cw_get(options, key) : NULL;
	return value && value->place ? value->place : options->place;
}

static void wrong(const struct maker *maker, const struct place *place, const char *format, ...) CW_PRINTF(3, 4);
static void wrong(const struct maker *maker, const struct place *place, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_addv(maker->making->problems, PROBLEM_ERROR, place, format, args);
	va_end(args);
}

static const char *text_of(const struct maker *maker, const char *key)
{
	return cw_get_string(maker->options, key);
}

static bool is_given(const struct maker *maker, const char *key)
{
	const struct cw_value *value = cw_get(maker->options, key);
	return value && value->known && value->is_set;
}

struct texts rule_texts(struct arena *arena, const struct cw_value *list)
{
	uint32_t count = list && list->known ? list->count : 0;
	const char **items = arena_alloc(arena, (count + 1) * sizeof *items);
	for (uint32_t i = 0; i < count; i++)
		items[i] = list->children[i].string;
	return (struct texts){items, count};
}

static struct texts texts_of(const struct maker *maker, const char *key)
{
	const struct cw_value *list = cw_get(maker->options, key);
	struct texts texts = rule_texts(maker->making->arena, list);
	if (texts.count > TEXTS_MAX)
		wrong(maker, rule_place(maker->options, key), "%s: more than %d", key, TEXTS_MAX);
	return texts;
}

/* ---- what it is about ---- */

static void find_sleep(struct maker *maker)
{
	const char *plugin = text_of(maker, "for_plugin");
	if (!plugin || vocabulary_has_plugin(maker->vocabulary, plugin))
		return;
	maker->rule->sleeps = true;
	const char *nearest = loader_nearest(plugin);
	if (nearest && strcmp(nearest, plugin) != 0)
		problem_add(maker->making->problems, PROBLEM_WARNING, rule_place(maker->options, "for_plugin"),
			    "for_plugin: no plugin is called `%s`, so the rule sleeps; did you mean `%s`?", plugin,
			    nearest);
}

/* Can what is not declared be called wrong? */
static bool is_certain(const struct maker *maker)
{
	return !maker->rule->sleeps && maker->vocabulary->is_whole;
}

static void find_table(struct maker *maker)
{
	const char *table = maker->rule->table;
	char hint[NAME_HINT_SIZE];
	bool is_known;
	maker->has_columns = vocabulary_has_table(maker->vocabulary, table, &is_known);
	if (maker->has_columns)
		return;
	const struct place *place = rule_place(maker->options, "table");
	if (is_known)
		wrong(maker, place, "table: rules cannot look at `%s`: its rows are about rules, or never end", table);
	else if (is_certain(maker))
		wrong(maker, place,
		      "table: no configured plugin has a table `%s`%s (a rule that is to wait for its "
		      "plugin says `for_plugin:`)",
		      table, vocabulary_hint_table(maker->vocabulary, table, hint));
}

static const struct cw_column *find_column(const struct maker *maker, const char *column)
{
	return vocabulary_column(maker->vocabulary, maker->rule->table, column);
}

static void no_column(const struct maker *maker, const struct place *place, const char *key, const char *column)
{
	char hint[NAME_HINT_SIZE];
	vocabulary_hint_column(maker->vocabulary, maker->rule->table, column, hint);
	wrong(maker, place, "%s: table `%s` has no column `%s`%s", key, maker->rule->table, column, hint);
}

/* A metric that is declared nowhere may still come: from a script, or when the plugin is there. */
static const struct cw_metric *find_metric(const struct maker *maker, const struct place *place, const char *name)
{
	char hint[NAME_HINT_SIZE];
	const struct cw_metric *metric = vocabulary_metric(maker->vocabulary, name);
	if (metric && metric->kind == CW_HISTOGRAM)
		wrong(maker, place, "`%s` is a histogram, which has no one value to test", name);
	if (metric || !is_certain(maker))
		return metric;
	vocabulary_hint_metric(maker->vocabulary, name, hint);
	problem_add(maker->making->problems, PROBLEM_WARNING, place, "no configured plugin declares the metric `%s`%s",
		    name, *hint ? hint : " (a script names its own as it runs)");
	return NULL;
}

static void no_label(const struct maker *maker, const struct place *place, const struct cw_metric *metric,
		     const char *key, const char *label, bool has_host)
{
	const char *names[CW_LABELS_MAX + 2];
	uint32_t count = cw_label_count(metric);
	char hint[NAME_HINT_SIZE];
	for (uint32_t i = 0; i < count; i++)
		names[i] = metric->labels[i].name;
	names[count++] = "instance";
	if (has_host)
		names[count++] = "host";
	name_hint(hint, label, names, count);
	wrong(maker, place, "%s: `%s` has no label `%s`%s", key, metric->name, label, hint);
}

static void no_value(const struct maker *maker, const struct place *place, const char *key,
		     const struct cw_column *column, const char *value)
{
	char hint[NAME_HINT_SIZE];
	uint32_t count = 0;
	while (column->choices[count])
		count++;
	name_hint(hint, value, column->choices, count);
	wrong(maker, place, "%s: the label `%s` is never `%s`%s", key, column->name, value, hint);
}

static void check_selector(const struct maker *maker, const struct place *place, const char *key,
			   const struct selector *selector, const struct cw_metric *metric)
{
	for (uint32_t i = 0; metric && i < selector->labels_count; i++) {
		const struct cw_tag *label = &selector->labels[i];
		struct cw_column column;
		if (!metric_label_column(metric, label->name, &column) || strcmp(label->name, "host") == 0) {
			no_label(maker, place, metric, key, label->name, /* has_host */ false);
			continue;
		}
		bool is_value = column.type != CW_CHOICE;
		for (uint32_t c = 0; !is_value && column.choices[c]; c++)
			is_value = strcmp(column.choices[c], label->value) == 0;
		if (!is_value)
			no_value(maker, place, key, &column, label->value);
	}
}

static void find_series(struct maker *maker)
{
	const struct place *place = rule_place(maker->options, "metric");
	const char *text = text_of(maker, "metric");
	char error[EXPR_ERROR_MAX];
	if (selector_parse(arena_text(maker->making->arena, text, strlen(text)), &maker->rule->selector, error) < 0) {
		wrong(maker, place, "metric: %s", error);
		maker->rule->selector.metric = "";
		return;
	}
	maker->metric = find_metric(maker, place, maker->rule->selector.metric);
	check_selector(maker, place, "metric", &maker->rule->selector, maker->metric);
}

static void find_subjects(struct maker *maker)
{
	struct rule *rule = maker->rule;
	const char *table = text_of(maker, "table"), *metric = text_of(maker, "metric");
	rule->kind = metric ? RULE_SAMPLES : RULE_ROWS;
	rule->table = metric ? NULL : table;
	if (table && metric)
		wrong(maker, rule_place(maker->options, "metric"),
		      "rule %s: `table` and `metric` exclude each other: a rule is about rows or about samples",
		      rule->name);
	else if (!table && !metric)
		wrong(maker, maker->options->place, "rule %s: it needs a `table:` or a `metric:`", rule->name);
	if (rule->table)
		find_table(maker);
	else if (metric)
		find_series(maker);
	rule->noun = text_of(maker, "noun");
	if (!rule->noun)
		rule->noun = rule->table ? rule->table : "series";
}

/* ---- where ---- */

/* What an expression of `where` is about; false: nothing (which is said), or nobody knows. */
static bool find_operand(const struct maker *maker, const struct place *place, const char *name,
			 struct cw_column *ret_column)
{
	if (maker->rule->kind == RULE_ROWS) {
		const struct cw_column *column = maker->has_columns ? find_column(maker, name) : NULL;
		if (maker->has_columns && !column)
			no_column(maker, place, "where", name);
		if (column)
			*ret_column = *column;
		return column;
	}
	if (maker->metric && !metric_label_column(maker->metric, name, ret_column)) {
		no_label(maker, place, maker->metric, "where", name, /* has_host */ true);
		return false;
	}
	return maker->metric;
}

static struct expr *make_filter(const struct maker *maker, const struct cw_value *text)
{
	char error[EXPR_ERROR_MAX];
	struct expr *expr = NULL;
	struct cw_column column;
	if (expr_parse(text->string, &expr, error) < 0) /* its form has been seen, so this is memory */
		wrong(maker, text->place, "where: %s", error);
	else if (find_operand(maker, text->place, expr_column(expr), &column) && expr_bind(expr, &column, error) < 0)
		wrong(maker, text->place, "where: %s", error);
	return expr;
}

/* Samples have their labels as texts, so that is what a sample rule's are bound to in the end. */
static void bind_as_text(const struct maker *maker, struct expr *expr, const struct place *place)
{
	char error[EXPR_ERROR_MAX];
	struct cw_column column = {.name = expr_column(expr), .type = CW_TEXT};
	if (expr_bind(expr, &column, error) < 0 && !maker->metric)
		wrong(maker, place, "where: %s", error);
}

static void make_where(struct maker *maker)
{
	const struct cw_value *where = cw_get(maker->options, "where");
	struct rule *rule = maker->rule;
	rule->where = texts_of(maker, "where");
	struct expr **filter = arena_alloc(maker->making->arena, (rule->where.count + 1) * sizeof *filter);
	rule->filter = filter;
	for (uint32_t i = 0; i < rule->where.count; i++) {
		filter[i] = make_filter(maker, &where->children[i]);
		if (filter[i] && rule->kind == RULE_SAMPLES)
			bind_as_text(maker, filter[i], where->children[i].place);
	}
}

/* ---- limits ---- */

/* A number in the metric's unit; of a metric that nobody declares, in any. */
static int read_number(const struct cw_metric *metric, const char *key, const char *text, double *ret, char *error)
{
	static const char *const units[] = {"", "seconds", "bytes", "ratio"};
	struct cw_column column = {.name = key, .type = CW_REAL, .unit = metric ? metric->unit : ""};
	int status = expr_number(&column, text, ret, error);
	for (size_t i = 1; status < 0 && !metric && i < sizeof units / sizeof *units; i++) {
		char ignored[EXPR_ERROR_MAX];
		column.unit = units[i];
		status = expr_number(&column, text, ret, ignored);
	}
	return status;
}

/* `5`, `10/m`: a number per second. The text is cut at its slash. */
static int read_rate(const struct cw_metric *metric, const char *key, char *text, double *ret, char *error)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	char *slash = strrchr(text, '/');
	double seconds = slash ? 0 : 1;
	for (size_t i = 0; slash && i < sizeof units / sizeof *units; i++)
		if (strcmp(slash + 1, units[i].unit) == 0)
			seconds = units[i].seconds;
	if (seconds == 0) {
		snprintf(error, EXPR_ERROR_MAX, "%s: behind the slash stands one of s, m, h, d", key);
		return -EINVAL;
	}
	if (slash)
		*slash = '\0';
	double number;
	int status = read_number(metric, key, text, &number, error);
	if (status == 0)
		*ret = number / seconds;
	return status;
}

/* NaN, and said, if it is none. */
static double limit_of(const struct maker *maker, const struct cw_value *value, const char *key, bool is_rate)
{
	char error[EXPR_ERROR_MAX];
	double limit = NAN;
	char *text = arena_text(maker->making->arena, value->string, strlen(value->string));
	int status = is_rate ? read_rate(maker->metric, key, text, &limit, error)
			     : read_number(maker->metric, key, text, &limit, error);
	if (status < 0)
		wrong(maker, value->place, "%s", error);
	return status < 0 ? NAN : limit;
}

static void take_outside(struct maker *maker, const struct cw_value *list)
{
	struct rule *rule = maker->rule;
	if (list->count != 2) {
		wrong(maker, list->place, "outside: expected [LOW, HIGH], found %u value%s", list->count,
		      list->count == 1 ? "" : "s");
		return;
	}
	rule->low = limit_of(maker, &list->children[0], "outside", /* is_rate */ false);
	rule->high = limit_of(maker, &list->children[1], "outside", /* is_rate */ false);
	if (rule->low >= rule->high)
		wrong(maker, list->place, "outside: the first must be the smaller one");
}

static void take_limit(struct maker *maker, uint32_t test)
{
	struct rule *rule = maker->rule;
	const struct cw_value *value = cw_get(maker->options, tests[test].key);
	switch (tests[test].test) {
	case RULE_ABOVE:
		rule->high = limit_of(maker, value, tests[test].key, /* is_rate */ false);
		break;
	case RULE_BELOW:
		rule->low = limit_of(maker, value, tests[test].key, /* is_rate */ false);
		break;
	case RULE_OUTSIDE:
		take_outside(maker, value);
		break;
	case RULE_ABSENT:
		rule->absent = value->integer;
		break;
	case RULE_RATE_ABOVE:
		rule->high = limit_of(maker, value, tests[test].key, /* is_rate */ true);
		break;
	case RULE_RATE_BELOW:
		rule->low = limit_of(maker, value, tests[test].key, /* is_rate */ true);
		break;
	}
}

/* Where it ends. Out of the same side as it began, it would never, or at once. */
static void take_clear(struct maker *maker, uint32_t test)
{
	struct rule *rule = maker->rule;
	rule->clear_low = rule->low;
	rule->clear_high = rule->high;
	for (uint32_t i = 0; i < TESTS; i++)
		if (tests[i].clear && i != test && is_given(maker, tests[i].clear))
			wrong(maker, rule_place(maker->options, tests[i].clear), "`%s` goes with `%s`", tests[i].clear,
			      tests[i].key);
	const char *clear = tests[test].clear;
	if (!clear || !is_given(maker, clear))
		return;
	const struct cw_value *value = cw_get(maker->options, clear);
	double limit = limit_of(maker, value, clear, /* is_rate */ false);
	if (tests[test].test == RULE_ABOVE)
		rule->clear_high = limit;
	else
		rule->clear_low = limit;
	if (rule->clear_high > rule->high || rule->clear_low < rule->low)
		wrong(maker, value->place, "%s: it must not be %s `%s`, else it would end before it begins", clear,
		      tests[test].test == RULE_ABOVE ? "above" : "below", tests[test].key);
}

static void check_kind(const struct maker *maker, uint32_t test)
{
	const struct cw_metric *metric = maker->metric;
	bool is_rate = tests[test].test == RULE_RATE_ABOVE || tests[test].test == RULE_RATE_BELOW;
	const struct place *place = rule_place(maker->options, tests[test].key);
	if (!is_rate && is_given(maker, "over"))
		wrong(maker, rule_place(maker->options, "over"), "`over` goes with `rate_above` and `rate_below`");
	if (is_rate && metric && metric->kind == CW_GAUGE)
		wrong(maker, place, "%s: `%s` is a gauge; only a counter has a rate", tests[test].key, metric->name);
	if (tests[test].test <= RULE_OUTSIDE && metric && metric->kind == CW_COUNTER)
		problem_add(maker->making->problems, PROBLEM_WARNING, place,
			    "%s: `%s` is a counter, which only grows; is `rate_above` meant?", tests[test].key,
			    metric->name);
}

/* The one test of a sample rule; -1, and said: there is not exactly one. */
static int64_t find_test(const struct maker *maker)
{
	int64_t test = -1;
	for (uint32_t i = 0; i < TESTS; i++) {
		if (!is_given(maker, tests[i].key))
			continue;
		if (test >= 0) {
			wrong(maker, rule_place(maker->options, tests[i].key),
			      "rule %s: `%s` and `%s`: a rule has one test", maker->rule->name, tests[test].key,
			      tests[i].key);
			return -1;
		}
		test = i;
	}
	if (test < 0)
		wrong(maker, maker->options->place,
		      "rule %s: it needs a test: above, below, outside, absent, rate_above or rate_below",
		      maker->rule->name);
	return test;
}

static void make_test(struct maker *maker)
{
	struct rule *rule = maker->rule;
	int64_t test = find_test(maker);
	rule->low = rule->clear_low = -INFINITY;
	rule->high = rule->clear_high = INFINITY;
	rule->over = cw_get_integer(maker->options, "over", 60 * CW_SECOND);
	if (test < 0)
		return;
	rule->test = tests[test].test;
	check_kind(maker, (uint32_t)test);
	take_limit(maker, (uint32_t)test);
	take_clear(maker, (uint32_t)test);
}

static void refuse_tests(const struct maker *maker)
{
	static const char *const others[] = {"clear_below", "clear_above", "over"};
	for (uint32_t i = 0; i < TESTS; i++)
		if (is_given(maker, tests[i].key))
			wrong(maker, rule_place(maker->options, tests[i].key),
			      "`%s` is for rules about a metric; of rows `where` says which", tests[i].key);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (is_given(maker, others[i]))
			wrong(maker, rule_place(maker->options, others[i]), "`%s` is for rules about a metric",
			      others[i]);
}

/* ---- guards ---- */

static bool is_comparison(enum expr_op op)
{
	return op == EXPR_EQ || op == EXPR_NE || op >= EXPR_GT;
}

static void make_guard(const struct maker *maker, const struct cw_value *value, struct guard *guard)
{
	struct arena *arena = maker->making->arena;
	char error[EXPR_ERROR_MAX], comparison[EXPR_LENGTH_MAX];
	size_t length = selector_length(value->string);
	char *selector = arena_text(arena, value->string, length);
	struct expr *expr = NULL;
	guard->text = value->string;
	guard->selector.metric = "";
	snprintf(comparison, sizeof comparison, "value%s", value->string + length);
	if (selector_parse(selector, &guard->selector, error) < 0)
		wrong(maker, value->place, "while: %s", error);
	else if (expr_parse(comparison, &expr, error) < 0 || !is_comparison(expr_op(expr)) || !expr_value(expr))
		wrong(maker, value->place, "while: `%s` is not a comparison such as `calls_active{health=stale}>=5`",
		      text_start(value->string, 80).text);
	else {
		const struct cw_metric *metric = find_metric(maker, value->place, guard->selector.metric);
		check_selector(maker, value->place, "while", &guard->selector, metric);
		guard->op = expr_op(expr);
		if (read_number(metric, guard->selector.metric, expr_value(expr), &guard->limit, error) < 0)
			wrong(maker, value->place, "while: %s", error);
	}
	expr_free(expr);
}

static void make_guards(struct maker *maker)
{
	const struct cw_value *list = cw_get(maker->options, "while");
	uint32_t count = list && list->known ? list->count : 0;
	if (count > GUARDS_MAX) {
		wrong(maker, list->place, "while: more than %d", GUARDS_MAX);
		return;
	}
	struct guard *guards = arena_alloc(maker->making->arena, (count + 1) * sizeof *guards);
	for (uint32_t i = 0; i < count; i++)
		make_guard(maker, &list->children[i], &guards[i]);
	maker->rule->guards = guards;
	maker->rule->guards_count = count;
}

/* ---- what it is told by ---- */

static const char *const own_labels[] = {"alertname", "severity", "instance", "subject"};

static bool is_label_name(const char *name)
{
	for (size_t i = 0; i < sizeof own_labels / sizeof *own_labels; i++)
		if (strcmp(own_labels[i], name) == 0)
			return false;
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	return length > 0 && !name[length] && length <= 63 && !(name[0] >= '0' && name[0] <= '9');
}

static void make_labels(struct maker *maker)
{
	const struct cw_value *map = cw_get(maker->options, "labels");
	uint32_t count = map && map->known ? map->count : 0;
	struct cw_tag *labels = arena_alloc(maker->making->arena, (count + 1) * sizeof *labels);
	if (count > LABELS_MAX)
		wrong(maker, map->place, "labels: more than %d", LABELS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		labels[i] = (struct cw_tag){map->children[i].key, map->children[i].string};
		if (!is_label_name(labels[i].name))
			wrong(maker, map->children[i].place,
			      "labels: `%s` is not [a-zA-Z_][a-zA-Z0-9_]*, or is one that every alert has",
			      labels[i].name);
	}
	maker->rule->labels = labels;
	maker->rule->labels_count = count;
}

/* What a message is split or broken down by has few values, that stay. */
static void check_split_column(const struct maker *maker, const struct place *place, const char *key, const char *name)
{
	const struct cw_column *column = find_column(maker, name);
	if (!column)
		no_column(maker, place, key, name);
	else if (column->flags & CW_COLUMN_PHONE)
		wrong(maker, place, "%s: `%s` is a person's number, by which nothing is grouped", key, name);
	else if (column->type != CW_TEXT && column->type != CW_CHOICE && column->type != CW_BOOL &&
		 column->type != CW_INT)
		wrong(maker, place, "%s: `%s` is a time or a measure, by which nothing is grouped", key, name);
}

static struct texts make_split(const struct maker *maker, const char *key)
{
	const struct cw_value *list = cw_get(maker->options, key);
	struct texts texts = texts_of(maker, key);
	for (uint32_t i = 0; i < texts.count; i++) {
		struct cw_column column;
		const struct place *place = list->children[i].place;
		if (maker->has_columns)
			check_split_column(maker, place, key, texts.items[i]);
		else if (maker->metric && !metric_label_column(maker->metric, texts.items[i], &column))
			no_label(maker, place, maker->metric, key, texts.items[i], /* has_host */ true);
	}
	return texts;
}

static const char *name_at(const struct config *config, uint32_t i)
{
	return node_get(config->rules->children[i], "name")->text;
}

bool rule_is_named(const struct rule_making *making, const char *name, char hint[NAME_HINT_SIZE])
{
	const struct config *config = making->config;
	uint32_t count = config->rules ? config->rules->count : 0;
	for (size_t i = 0; i < config->rules_off_count; i++)
		if (strcmp(config->rules_off[i], name) == 0)
			return true;
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(name_at(config, i), name) == 0)
			return true;
	const char **names = calloc(count + 1, sizeof *names);
	for (uint32_t i = 0; names && i < count; i++)
		names[i] = name_at(config, i);
	name_hint(hint, name, names, names ? count : 0);
	free(names);
	return false;
}

static void make_inhibitors(struct maker *maker)
{
	const struct cw_value *list = cw_get(maker->options, "inhibited_by");
	struct rule *rule = maker->rule;
	char hint[NAME_HINT_SIZE];
	rule->inhibited_by = texts_of(maker, "inhibited_by");
	for (uint32_t i = 0; i < rule->inhibited_by.count; i++) {
		const char *name = rule->inhibited_by.items[i];
		const struct place *place = list->children[i].place;
		if (strcmp(name, rule->name) == 0)
			wrong(maker, place, "inhibited_by: a rule cannot inhibit itself");
		else if (!rule_is_named(maker->making, name, hint))
			wrong(maker, place, "inhibited_by: there is no rule `%s`%s", name, hint);
	}
}

/* ---- templates ---- */

static const char *const alert_names[] = {"alert", "subject", "instance", "severity"};

enum operand { OPERAND_NONE, OPERAND_ANY, OPERAND_TEXT, OPERAND_NUMBER, OPERAND_TIME };

static enum operand operand_of_column(const struct cw_column *column)
{
	switch (column->type) {
	case CW_INT:
	case CW_REAL:
	case CW_AGE:
	case CW_UNTIL:
		return OPERAND_NUMBER;
	case CW_TIME:
	case CW_SINCE:
		return OPERAND_TIME;
	default:
		return OPERAND_TEXT;
	}
}

/* What a name in a template stands for. */
static enum operand operand_of(const struct maker *maker, const char *name)
{
	const struct cw_column *column = maker->has_columns ? find_column(maker, name) : NULL;
	struct cw_column label;
	if (column)
		return operand_of_column(column);
	for (size_t i = 0; i < sizeof alert_names / sizeof *alert_names; i++)
		if (strcmp(alert_names[i], name) == 0)
			return OPERAND_TEXT;
	if (maker->rule->kind == RULE_ROWS)
		return maker->has_columns ? OPERAND_NONE : OPERAND_ANY;
	if (strcmp(name, "value") == 0)
		return maker->rule->test == RULE_ABSENT ? OPERAND_NONE : OPERAND_NUMBER;
	if (!maker->metric)
		return OPERAND_ANY;
	return metric_label_column(maker->metric, name, &label) ? OPERAND_TEXT : OPERAND_NONE;
}

static void no_name(const struct maker *maker, const struct place *place, const char *key, const char *name)
{
	if (strcmp(name, "value") == 0)
		wrong(maker, place, "%s: {{ value }}: %s has no value", key,
		      maker->rule->kind == RULE_ROWS ? "a row" : "an absence");
	else if (strcmp(name, "common") == 0)
		wrong(maker, place, "%s: {{ common }} is known of a group only: write it into the description", key);
	else if (maker->rule->kind == RULE_ROWS)
		no_column(maker, place, key, name);
	else
		no_label(maker, place, maker->metric, key, name, /* has_host */ true);
}

static void check_filter(const struct maker *maker, const struct place *place, const char *key, const char *name,
			 const char *filter, enum operand operand)
{
	if (!filter || strcmp(filter, "upper") == 0)
		return;
	if (operand == OPERAND_TEXT)
		wrong(maker, place, "%s: `%s` is a text, which the filter `%s` cannot show", key, name, filter);
	else if ((operand == OPERAND_TIME) != (strcmp(filter, "time") == 0) && operand != OPERAND_ANY)
		wrong(maker, place, "%s: `%s` is %s, which the filter `%s` cannot show", key, name,
		      operand == OPERAND_TIME ? "a time" : "a number and no time", filter);
}

static struct template *parse_template(const struct maker *maker, const char *key, const char *text)
{
	char error[TEMPLATE_ERROR_MAX];
	struct template *parsed = NULL;
	const struct place *place = rule_place(maker->options, key);
	if (template_parse(text, &parsed, error) < 0) {
		wrong(maker, place, "%s: %s", key, error);
		return NULL;
	}
	bool is_description = strcmp(key, "description") == 0;
	const char *name;
	for (uint32_t i = 0; (name = template_name(parsed, i)); i++) {
		bool is_common = is_description && strcmp(name, "common") == 0;
		enum operand operand = is_common ? OPERAND_TEXT : operand_of(maker, name);
		if (operand == OPERAND_NONE)
			no_name(maker, place, key, name);
		else
			check_filter(maker, place, key, name, template_filter(parsed, i), operand);
	}
	/* cppcheck-suppress CastIntegerToAddressAtReturn; a pointer it is */
	return parsed;
}

static const char *default_summary(const struct maker *maker)
{
	const char *unit = maker->metric ? maker->metric->unit : "";
	if (maker->rule->kind == RULE_ROWS)
		return "{{ subject }}";
	if (maker->rule->test == RULE_ABSENT)
		return "no sample of {{ subject }}";
	if (maker->rule->test >= RULE_RATE_ABOVE)
		return "{{ subject }} grows by {{ value | number }} a second";
	if (strcmp(unit, "ratio") == 0)
		return "{{ subject }} is {{ value | percent }}";
	if (strcmp(unit, "seconds") == 0)
		return "{{ subject }} is {{ value | duration }}";
	if (strcmp(unit, "bytes") == 0)
		return "{{ subject }} is {{ value | bytes }}";
	return "{{ subject }} is {{ value }}";
}

static void make_texts(struct maker *maker)
{
	struct rule *rule = maker->rule;
	const char *summary = text_of(maker, "summary"), *description = text_of(maker, "description");
	rule->summary = parse_template(maker, "summary", summary ? summary : default_summary(maker));
	rule->description = description ? parse_template(maker, "description", description) : NULL;
}

/* ---- the whole ---- */

/* Its own, or that of `notify`. */
static const struct cw_value *own_or_notify(const struct maker *maker, const char *key)
{
	const struct cw_value *own = cw_get(maker->options, key);
	return own && own->known ? own : cw_get(maker->making->notify, key);
}

static int64_t pause_of(const struct maker *maker, const char *key)
{
	const struct cw_value *value = own_or_notify(maker, key);
	return value && value->known ? value->integer : 0;
}

static void make_pauses(struct maker *maker)
{
	struct rule *rule = maker->rule;
	rule->hold = cw_get_integer(maker->options, "for", 0);
	rule->keep_firing = cw_get_integer(maker->options, "keep_firing_for", 0);
	rule->severity = (enum cw_severity)cw_get_integer(maker->options, "severity", CW_SEVERITY_WARNING);
	rule->group_wait = pause_of(maker, "group_wait");
	rule->group_interval = pause_of(maker, "group_interval");
	rule->repeat_interval = pause_of(maker, "repeat_interval");
	const struct cw_value *resolved = own_or_notify(maker, "send_resolved");
	rule->send_resolved = !resolved || resolved->boolean;
}

static void fingerprint(const struct maker *maker)
{
	struct rule *rule = maker->rule;
	const int64_t pauses[] = {rule->group_wait, rule->group_interval, rule->repeat_interval, rule->send_resolved,
				  rule->sleeps};
	uint8_t hash[16];
	crypto_generichash_state state;
	options_fingerprint(maker->options, hash);
	crypto_generichash_init(&state, NULL, 0, sizeof rule->fingerprint);
	crypto_generichash_update(&state, hash, sizeof hash);
	crypto_generichash_update(&state, (const uint8_t *)pauses, sizeof pauses);
	crypto_generichash_final(&state, rule->fingerprint, sizeof rule->fingerprint);
}

void rule_make(const struct rule_making *making, const struct cw_value *options, struct rule *rule)
{
	struct maker maker = {.making = making, .vocabulary = making->vocabulary, .options = options, .rule = rule};
	rule->name = cw_get_string(options, "name");
	rule->options = options;
	rule->place = *(const struct place *)options->place;
	find_sleep(&maker);
	find_subjects(&maker);
	make_where(&maker);
	if (rule->kind == RULE_SAMPLES)
		make_test(&maker);
	else
		refuse_tests(&maker);
	make_guards(&maker);
	make_labels(&maker);
	rule->summarize_by = make_split(&maker, "summarize_by");
	rule->group_by = make_split(&maker, "group_by");
	make_inhibitors(&maker);
	make_texts(&maker);
	make_pauses(&maker);
	fingerprint(&maker);
}

void rule_release(struct rule *rule)
{
	for (uint32_t i = 0; rule->filter && i < rule->where.count; i++)
		expr_free(rule->filter[i]);
	template_free(rule->summary);
	template_free(rule->description);
}
