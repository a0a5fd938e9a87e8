/* SPDX-License-Identifier: MIT
 *
 * See rule.h: all rules of a plan, and who hears of what. Every rule is checked against its option table first, so that
 * rules may name each other in any order; then each is made (rule.c); then what can only be said of all of them:
 * circles of inhibition, routes, and rules that nobody would hear of.
 */
#include "rule.h"

#include "plan.h"
#include "rule_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ruleset {
	struct arena *arena;
	struct cw_value **values; /* checked options of each rule; NULL: wrong */
	uint32_t values_count;
	struct cw_value *notify;
	struct rule *rules;
	const struct rule **by_name;
	uint32_t count;
	const char **metrics; /* that are asked for, sorted */
	uint32_t metrics_count;
	struct route *routes;
	uint32_t routes_count;
	bool has_default;
	struct texts otherwise; /* `default`, or every notifier that tells */
	bool somebody_tells;
	const char *external_url;
};

/* ---- making ---- */

static struct cw_value *check(const struct rule_making *making, const struct node *node, const struct cw_array *table,
			      const char *subject)
{
	struct options_context context = {
		.tables = {table, NULL},
		.subject = subject,
		.read_files = true, /* there is no secret in a rule */
		.problems = making->problems,
	};
	return options_check(&context, node);
}

static void check_rules(struct ruleset *ruleset, const struct rule_making *making)
{
	const struct node *list = making->config->rules;
	ruleset->values_count = list ? list->count : 0;
	ruleset->values = arena_alloc(ruleset->arena, (ruleset->values_count + 1) * sizeof *ruleset->values);
	for (uint32_t i = 0; i < ruleset->values_count; i++) {
		char subject[128];
		snprintf(subject, sizeof subject, "rule %s", node_get(list->children[i], "name")->text);
		ruleset->values[i] = check(making, list->children[i], &rule_options, subject);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct rule *const *)a)->name, (*(const struct rule *const *)b)->name);
}

static void make_rules(struct ruleset *ruleset, const struct rule_making *making)
{
	ruleset->rules = arena_alloc(ruleset->arena, (ruleset->values_count + 1) * sizeof *ruleset->rules);
	ruleset->by_name = arena_alloc(ruleset->arena, (ruleset->values_count + 1) * sizeof(struct rule *));
	for (uint32_t i = 0; i < ruleset->values_count; i++) {
		if (!ruleset->values[i])
			continue;
		ruleset->by_name[ruleset->count] = &ruleset->rules[ruleset->count];
		rule_make(making, ruleset->values[i], &ruleset->rules[ruleset->count++]);
	}
	qsort(ruleset->by_name, ruleset->count, sizeof *ruleset->by_name, by_name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void collect_metrics(struct ruleset *ruleset)
{
	uint32_t room = 1;
	for (uint32_t i = 0; i < ruleset->count; i++)
		room += 1 + ruleset->rules[i].guards_count;
	ruleset->metrics = arena_alloc(ruleset->arena, room * sizeof *ruleset->metrics);
	for (uint32_t i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];
		if (rule->sleeps)
			continue;
		if (rule->kind == RULE_SAMPLES)
			ruleset->metrics[ruleset->metrics_count++] = rule->selector.metric;
		for (uint32_t g = 0; g < rule->guards_count; g++)
			ruleset->metrics[ruleset->metrics_count++] = rule->guards[g].selector.metric;
	}
	qsort(ruleset->metrics, ruleset->metrics_count, sizeof *ruleset->metrics, by_text);
}

/* ---- circles: two rules that keep each other quiet would both be told to nobody ---- */

enum mark { MARK_NEW = 0, MARK_OPEN = 1, MARK_DONE = 2 };

/* Depth first; true, and said, when the walk comes back to where it is. The depth is that of the rules' chain, of which
 * each link was written by a person. */
static bool finds_circle(struct ruleset *ruleset, const struct rule_making *making, const struct rule *rule,
			 uint8_t *marks)
{
	uint8_t *mark = &marks[rule - ruleset->rules];
	if (*mark == MARK_DONE)
		return false;
	if (*mark == MARK_OPEN)
		return true;
	*mark = MARK_OPEN;
	for (uint32_t i = 0; i < rule->inhibited_by.count; i++) {
		const struct rule *other = ruleset_find(ruleset, rule->inhibited_by.items[i]);
		if (!other || other == rule || !finds_circle(ruleset, making, other, marks))
			continue;
		problem_add(
			making->problems, PROBLEM_ERROR, &rule->place,
			"rule %s: it is inhibited by `%s`, which is inhibited by it: when both fire, nobody would be "
			"told",
			rule->name, other->name);
		break;
	}
	*mark = MARK_DONE;
	return false;
}

static void check_circles(struct ruleset *ruleset, const struct rule_making *making)
{
	uint8_t *marks = arena_alloc(ruleset->arena, ruleset->count + 1);
	for (uint32_t i = 0; i < ruleset->count; i++)
		finds_circle(ruleset, making, &ruleset->rules[i], marks);
}

/* ---- who hears ---- */

static const struct cw_column severity_column = {.name = "severity", .type = CW_CHOICE, .choices = severity_names};

static void check_notifiers(const struct rule_making *making, const struct cw_value *list, const char *key)
{
	char hint[NAME_HINT_SIZE];
	for (uint32_t i = 0; list && list->known && i < list->count; i++) {
		const struct cw_value *name = &list->children[i];
		const char *role;
		if (vocabulary_tells(making->vocabulary, name->string, &role))
			continue;
		if (!role)
			problem_add(making->problems, PROBLEM_ERROR, name->place, "%s: there is no notifier `%s`%s",
				    key, name->string,
				    vocabulary_hint_notifier(making->vocabulary, name->string, hint));
		else if (strcmp(role, role_names[CW_NOTIFIER]) == 0)
			problem_add(making->problems, PROBLEM_ERROR, name->place,
				    "%s: `%s` is a notifier that is told no alerts: it sees to them by itself", key,
				    name->string);
		else if (strcmp(role, vocabulary_no_role) != 0)
			problem_add(making->problems, PROBLEM_ERROR, name->place,
				    "%s: `%s` has the role %s, and a notifier is needed", key, name->string, role);
	}
}

/* Labels that a group may have, beside alertname and severity. */
static bool is_group_label(const struct ruleset *ruleset, const char *name)
{
	for (uint32_t i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];
		for (uint32_t l = 0; l < rule->labels_count; l++)
			if (strcmp(rule->labels[l].name, name) == 0)
				return true;
		for (uint32_t g = 0; g < rule->group_by.count; g++)
			if (strcmp(rule->group_by.items[g], name) == 0)
				return true;
	}
	return false;
}

static void check_operand(const struct ruleset *ruleset, const struct rule_making *making, const struct expr *expr,
			  const struct place *place)
{
	const char *name = expr_column(expr);
	char hint[NAME_HINT_SIZE];
	if (strcmp(name, "alertname") == 0) {
		if (expr_op(expr) <= EXPR_NE && expr_value(expr) && !rule_is_named(making, expr_value(expr), hint))
			problem_add(making->problems, PROBLEM_ERROR, place, "where: there is no rule `%s`%s",
				    expr_value(expr), hint);
	} else if (!is_group_label(ruleset, name)) {
		static const char *const known[] = {"alertname", "severity"};
		problem_add(making->problems, PROBLEM_ERROR, place,
			    "where: no rule has a label `%s`, or is grouped by it%s", name,
			    name_hint(hint, name, known, sizeof known / sizeof *known));
	}
}

static struct expr *make_condition(const struct ruleset *ruleset, const struct rule_making *making,
				   const struct cw_value *text)
{
	char error[EXPR_ERROR_MAX];
	struct expr *expr = NULL;
	if (expr_parse(text->string, &expr, error) < 0) { /* its form has been seen, so this is memory */
		problem_add(making->problems, PROBLEM_ERROR, text->place, "where: %s", error);
		return NULL;
	}
	struct cw_column column = {.name = expr_column(expr), .type = CW_TEXT};
	bool is_severity = strcmp(column.name, severity_column.name) == 0;
	if (expr_bind(expr, is_severity ? &severity_column : &column, error) < 0)
		problem_add(making->problems, PROBLEM_ERROR, text->place, "where: %s", error);
	else if (!is_severity && making->vocabulary->is_whole)
		check_operand(ruleset, making, expr, text->place);
	return expr;
}

static void make_route(const struct ruleset *ruleset, const struct rule_making *making, const struct cw_value *value,
		       struct route *route)
{
	const struct cw_value *where = cw_get(value, "where"), *to = cw_get(value, "to");
	uint32_t count = where && where->known ? where->count : 0;
	struct expr **exprs = arena_alloc(ruleset->arena, (count + 1) * sizeof *exprs);
	for (uint32_t i = 0; i < count; i++)
		exprs[i] = make_condition(ruleset, making, &where->children[i]);
	*route = (struct route){.where = exprs, .where_count = count, .to = rule_texts(ruleset->arena, to)};
	check_notifiers(making, to, "to");
}

/* Every notifier that tells, in the order of the configuration. */
static struct texts all_notifiers(const struct ruleset *ruleset, const struct vocabulary *vocabulary)
{
	const char **names = arena_alloc(ruleset->arena, (vocabulary->plugins_count + 1) * sizeof *names), *role;
	uint32_t count = 0;
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++)
		if (vocabulary_tells(vocabulary, vocabulary->plugins[i].instance, &role))
			names[count++] = vocabulary->plugins[i].instance;
	return (struct texts){names, count};
}

static void make_routes(struct ruleset *ruleset, const struct rule_making *making)
{
	const struct cw_value *fallback = cw_get(ruleset->notify, "default"), *list = cw_get(ruleset->notify, "routes");
	uint32_t count = list && list->known ? list->count : 0;
	struct texts all = all_notifiers(ruleset, making->vocabulary);
	ruleset->somebody_tells = all.count > 0;
	ruleset->has_default = fallback && fallback->known;
	ruleset->otherwise = ruleset->has_default ? rule_texts(ruleset->arena, fallback) : all;
	check_notifiers(making, fallback, "default");
	ruleset->routes = arena_alloc(ruleset->arena, (count + 1) * sizeof *ruleset->routes);
	for (uint32_t i = 0; i < count; i++)
		make_route(ruleset, making, &list->children[i], &ruleset->routes[ruleset->routes_count++]);
}

static bool condition_holds(const struct expr *expr, const char *value)
{
	struct cw_cell cell = cw_null_cell();
	if (value && strcmp(expr_column(expr), severity_column.name) == 0) {
		for (int64_t i = 0; severity_names[i]; i++)
			if (strcmp(severity_names[i], value) == 0)
				cell = cw_integer_cell(i);
	} else if (value) {
		cell = cw_text_cell(value, strlen(value));
	}
	return expr_matches(expr, &cell);
}

static const char *label_of(const struct cw_tag *labels, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(labels[i].name, name) == 0)
			return labels[i].value;
	return NULL;
}

static bool route_matches(const struct route *route, const struct cw_tag *labels, uint32_t labels_count)
{
	for (uint32_t i = 0; i < route->where_count; i++)
		if (!condition_holds(route->where[i], label_of(labels, labels_count, expr_column(route->where[i]))))
			return false;
	return true;
}

void ruleset_route(const struct ruleset *ruleset, const struct cw_tag *labels, uint32_t labels_count,
		   void (*heard)(void *arg, const char *notifier), void *arg)
{
	if (!ruleset)
		return;
	const struct texts *to = &ruleset->otherwise;
	for (uint32_t i = 0; i < ruleset->routes_count; i++)
		if (route_matches(&ruleset->routes[i], labels, labels_count)) {
			to = &ruleset->routes[i].to;
			break;
		}
	for (uint32_t i = 0; i < to->count; i++)
		heard(arg, to->items[i]);
}

/* ---- what nobody would hear ---- */

enum chance { NEVER, PERHAPS, ALWAYS };

/* Does the route match the rule's groups? What a group is split by is not known before there is one. */
static enum chance route_chance(const struct route *route, const struct rule *rule)
{
	enum chance chance = ALWAYS;
	for (uint32_t i = 0; i < route->where_count; i++) {
		const char *name = expr_column(route->where[i]);
		const char *value = label_of(rule->labels, rule->labels_count, name);
		bool is_split = false;
		for (uint32_t g = 0; g < rule->group_by.count; g++)
			is_split = is_split || strcmp(rule->group_by.items[g], name) == 0;
		if (strcmp(name, "alertname") == 0)
			value = rule->name;
		else if (strcmp(name, "severity") == 0)
			value = severity_names[rule->severity];
		if (!value && is_split)
			chance = PERHAPS;
		else if (!condition_holds(route->where[i], value))
			return NEVER;
	}
	return chance;
}

static bool is_heard(const struct ruleset *ruleset, const struct rule *rule)
{
	for (uint32_t i = 0; i < ruleset->routes_count; i++) {
		enum chance chance = route_chance(&ruleset->routes[i], rule);
		if (chance != NEVER && ruleset->routes[i].to.count > 0)
			return true;
		if (chance == ALWAYS)
			return false;
	}
	return ruleset->otherwise.count > 0;
}

/* A notifier that is told nothing, but may look at the alerts by itself; NULL: there is none. */
static const char *self_reliant(const struct vocabulary *vocabulary)
{
	for (uint32_t i = 0; i < vocabulary->plugins_count; i++) {
		const struct known_plugin *known = &vocabulary->plugins[i];
		const char *role;
		if (!vocabulary_tells(vocabulary, known->instance, &role) && role &&
		    strcmp(role, role_names[CW_NOTIFIER]) == 0)
			return known->instance;
	}
	return NULL;
}

static void warn_that_nobody_is_told(const struct rule_making *making)
{
	const char *alone = self_reliant(making->vocabulary);
	if (alone)
		problem_add(
			making->problems, PROBLEM_WARNING, NULL,
			"no notifier is told of alerts: they are shown by `callwatch alerts`, and who hears of them "
			"is up to what `%s` does by itself",
			alone);
	else
		problem_add(making->problems, PROBLEM_WARNING, NULL,
			    "no notifier is configured: alerts are shown by `callwatch alerts`, and nobody is told of "
			    "them");
}

/* Once if there is no notifier at all: who has just begun need not hear it of each rule. */
static void warn_unheard(const struct ruleset *ruleset, const struct rule_making *making)
{
	for (uint32_t i = 0; i < ruleset->count; i++) {
		const struct rule *rule = &ruleset->rules[i];
		if (rule->sleeps || is_heard(ruleset, rule))
			continue;
		if (!ruleset->somebody_tells) {
			warn_that_nobody_is_told(making);
			return;
		}
		problem_add(making->problems, PROBLEM_WARNING, &rule->place,
			    "rule %s: no notifier hears of it: no route that matches and no default names one",
			    rule->name);
	}
}

/* ---- the face ---- */

static const struct node *notify_node(const struct config *config)
{
	static const struct node nothing = {.kind = NODE_MAP, .place = {"(nowhere)", 1, 1}};
	return config->notify ? config->notify : &nothing;
}

struct ruleset *ruleset_make(const struct plan *plan, struct problems *problems)
{
	struct vocabulary vocabulary;
	struct arena *arena = arena_new();
	struct ruleset *ruleset = arena_alloc(arena, sizeof *ruleset);
	size_t errors = problems->errors;
	ruleset->arena = arena;
	struct rule_making making = {
		.vocabulary = &vocabulary, .arena = arena, .problems = problems, .config = plan->config};
	vocabulary_make(&vocabulary, plan, /* is_whole */ errors == 0, arena);
	making.notify = ruleset->notify = check(&making, notify_node(plan->config), &notify_options, "notify");
	check_rules(ruleset, &making);
	make_rules(ruleset, &making);
	check_circles(ruleset, &making);
	make_routes(ruleset, &making);
	collect_metrics(ruleset);
	ruleset->external_url = cw_get_string(plan->agent, "external_url");
	if (problems->errors > errors) {
		ruleset_free(ruleset);
		return NULL;
	}
	if (vocabulary.is_whole)
		warn_unheard(ruleset, &making);
	return ruleset;
}

void ruleset_free(struct ruleset *ruleset)
{
	if (!ruleset)
		return;
	for (uint32_t i = 0; i < ruleset->count; i++)
		rule_release(&ruleset->rules[i]);
	for (uint32_t i = 0; i < ruleset->routes_count; i++)
		for (uint32_t e = 0; e < ruleset->routes[i].where_count; e++)
			expr_free(ruleset->routes[i].where[e]);
	for (uint32_t i = 0; i < ruleset->values_count; i++)
		options_free(ruleset->values[i]);
	options_free(ruleset->notify);
	arena_free(ruleset->arena);
}

uint32_t ruleset_count(const struct ruleset *ruleset)
{
	return ruleset ? ruleset->count : 0;
}

const struct rule *ruleset_at(const struct ruleset *ruleset, uint32_t i)
{
	return &ruleset->rules[i];
}

const struct rule *ruleset_find(const struct ruleset *ruleset, const char *name)
{
	struct rule key = {.name = name};
	const struct rule *wanted = &key;
	if (!ruleset || ruleset->count == 0)
		return NULL;
	const struct rule *const *found =
		bsearch(&wanted, ruleset->by_name, ruleset->count, sizeof *ruleset->by_name, by_name);
	return found ? *found : NULL;
}

bool ruleset_has_table(const struct ruleset *ruleset, const char *table)
{
	for (uint32_t i = 0; i < ruleset_count(ruleset); i++) {
		const struct rule *rule = &ruleset->rules[i];
		if (rule->kind == RULE_ROWS && !rule->sleeps && strcmp(rule->table, table) == 0)
			return true;
	}
	return false;
}

bool ruleset_has_metric(const struct ruleset *ruleset, const char *metric)
{
	return ruleset && ruleset->metrics_count > 0 &&
	       bsearch(&metric, ruleset->metrics, ruleset->metrics_count, sizeof *ruleset->metrics, by_text);
}

const struct cw_value *ruleset_notify(const struct ruleset *ruleset)
{
	return ruleset ? ruleset->notify : NULL;
}

const char *ruleset_external_url(const struct ruleset *ruleset)
{
	return ruleset ? ruleset->external_url : NULL;
}
