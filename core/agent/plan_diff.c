/* SPDX-License-Identifier: MIT
 *
 * See plan_diff.h. Both trees of values were made from the same tables, so they are walked side by side; a branch whose
 * fingerprint is the same is left alone. Where a value was written is found in the configuration as it was written:
 * that alone tells a text from one that came out of a file.
 */
#include "plan_diff.h"

#include "options.h"
#include "rule.h"
#include "scalars.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_TEXT_MAX = 160, NUMBER_TEXT_MAX = 64, KEY_MAX = 256 };

/* A group of options on one side: its values, and the maps in which they may have been written. */
struct side {
	const struct cw_value *values;
	const struct node *map, *connection; /* NULL: nothing was */
};

struct diff {
	struct buffer *out;
	size_t start;
};

static bool same(const struct cw_value *a, const struct cw_value *b)
{
	uint8_t hashes[2][16] = {0};
	if (a)
		options_fingerprint(a, hashes[0]);
	if (b)
		options_fingerprint(b, hashes[1]);
	return memcmp(hashes[0], hashes[1], sizeof hashes[0]) == 0;
}

/* ---- a value as people write it ---- */

static void say_value(struct buffer *out, const struct cw_option *option, const struct cw_value *value);

static void say_text(struct buffer *out, const char *text)
{
	char *masked = config_without_password(text);
	const char *shown = masked ? masked : "***";
	if (*shown && strcspn(shown, " ,:[]{}\"'\n") == strlen(shown))
		buffer_string(out, shown);
	else
		buffer_json(out, shown, strlen(shown));
	free(masked);
}

static void say_number(struct buffer *out, const struct cw_value *value)
{
	char text[NUMBER_TEXT_MAX];
	switch (value->type) {
	case CW_OPTION_DURATION:
		buffer_string(out, duration_text(text, value->integer));
		break;
	case CW_OPTION_SIZE:
		buffer_string(out, size_text(text, value->integer));
		break;
	case CW_OPTION_RATIO:
		buffer_print(out, "%.10g%%", value->number * 100);
		break;
	case CW_OPTION_NUMBER:
		text_number(text, value->number);
		buffer_string(out, text);
		break;
	default:
		buffer_print(out, "%lld", (long long)value->integer);
	}
}

/* Of a group only what was written. */
static void say_fields(struct buffer *out, const struct cw_option *option, const struct cw_value *group)
{
	const char *comma = "";
	buffer_string(out, "{");
	for (uint32_t i = 0; i < group->count && i < option->fields.count; i++) {
		const struct cw_option *field = cw_at(&option->fields, i);
		if (!group->children[i].is_set)
			continue;
		buffer_print(out, "%s%s: ", comma, field->key);
		say_value(out, field, &group->children[i]);
		comma = ", ";
	}
	buffer_string(out, "}");
}

static void say_list(struct buffer *out, const struct cw_option *option, const struct cw_value *list)
{
	bool is_map = list->type == CW_OPTION_MAP;
	buffer_string(out, is_map ? "{" : "[");
	for (uint32_t i = 0; i < list->count; i++) {
		const struct cw_value *item = &list->children[i];
		if (i)
			buffer_string(out, ", ");
		if (is_map && item->key)
			buffer_print(out, "%s: ", item->key);
		if (list->type == CW_OPTION_ITEMS)
			say_fields(out, option, item);
		else
			say_text(out, item->string ? item->string : "");
	}
	buffer_string(out, is_map ? "}" : "]");
}

static void say_value(struct buffer *out, const struct cw_option *option, const struct cw_value *value)
{
	if (!value || !value->known)
		buffer_string(out, "not set");
	else if (option->flags & CW_OPTION_SECRET)
		buffer_string(out, "***");
	else if (value->type == CW_OPTION_BOOL)
		buffer_string(out, value->boolean ? "true" : "false");
	else if (value->type == CW_OPTION_GROUP)
		say_fields(out, option, value);
	else if (value->type >= CW_OPTION_LIST && value->type != CW_OPTION_INSTANCE)
		say_list(out, option, value);
	else if (value->string)
		say_text(out, value->string);
	else
		say_number(out, value);
}

/* A long one is cut: what matters is that it changed, and the configuration is at hand. */
static void say_cut(struct buffer *out, const struct cw_option *option, const struct cw_value *value)
{
	char cut[VALUE_TEXT_MAX + 1];
	size_t before = out->length;
	say_value(out, option, value);
	if (out->failed || out->length - before <= VALUE_TEXT_MAX)
		return;
	size_t length = text_utf8(cut, sizeof cut, buffer_text(out) + before, out->length - before);
	buffer_cut(out, before);
	buffer_bytes(out, cut, length);
	buffer_string(out, "…");
}

/* ---- what changed ---- */

static struct buffer *begin_change(struct diff *diff, const char *prefix, const char *key)
{
	if (diff->out->length > diff->start)
		buffer_string(diff->out, "; ");
	buffer_print(diff->out, "%s%s: ", prefix, key);
	return diff->out;
}

/* Was it written as KEY_file? */
static bool is_from_file(const struct side *side, const struct cw_option *option)
{
	char key[KEY_MAX];
	snprintf(key, sizeof key, "%s_file", option->key);
	if (node_get(side->map, key))
		return true;
	return (option->flags & CW_OPTION_CONNECTION) && !node_get(side->map, option->key) &&
	       node_get(side->connection, key);
}

static void diff_option(struct diff *diff, const char *prefix, const struct cw_option *option,
			const struct side *before, const struct side *after)
{
	bool was_file = is_from_file(before, option), is_file = is_from_file(after, option);
	struct buffer *out = begin_change(diff, prefix, option->key);
	if (was_file)
		buffer_string(out, "***");
	else
		say_cut(out, option, cw_get(before->values, option->key));
	buffer_string(out, " → ");
	if (is_file)
		buffer_string(out, "***");
	else
		say_cut(out, option, cw_get(after->values, option->key));
	if (was_file && is_file)
		buffer_print(out, " (the content of %s_file changed)", option->key);
	else if (is_file)
		buffer_print(out, " (from %s_file)", option->key);
}

static void diff_options(struct diff *diff, const char *prefix, const struct cw_array *options,
			 const struct side *before, const struct side *after)
{
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		const struct cw_value *was = cw_get(before->values, option->key);
		const struct cw_value *is = cw_get(after->values, option->key);
		if (same(was, is))
			continue;
		if (option->type != CW_OPTION_GROUP) {
			diff_option(diff, prefix, option, before, after);
			continue;
		}
		char deeper[KEY_MAX];
		snprintf(deeper, sizeof deeper, "%s%s.", prefix, option->key);
		struct side inner[] = {{was, node_get(before->map, option->key), NULL},
				       {is, node_get(after->map, option->key), NULL}};
		diff_options(diff, deeper, &option->fields, &inner[0], &inner[1]);
	}
}

static struct side side_of(const struct planned *planned)
{
	const struct config *config = planned->plan->config;
	struct side side = {.values = planned->instance->options};
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->entries[i].name, planned->instance->name) == 0)
			side.map = config->entries[i].node;
	const struct node *connection = node_get(side.map, "connection");
	if (connection && connection->kind == NODE_SCALAR)
		side.connection = node_get(config->connections, connection->text);
	return side;
}

/* What an instance takes from `agent:`. */
static void diff_agent(struct diff *diff, const struct plan *before, const struct plan *after)
{
	for (uint32_t i = 0; i < plan_agent_options.count; i++) {
		const struct cw_option *option = cw_at(&plan_agent_options, i);
		const struct cw_value *was = cw_get(before->agent, option->key),
				      *is = cw_get(after->agent, option->key);
		if (!plan_is_inherited(option->key) || !was || !is || same(was, is))
			continue;
		struct buffer *out = begin_change(diff, "agent.", option->key);
		say_cut(out, option, was);
		buffer_string(out, " → ");
		say_cut(out, option, is);
	}
}

void plan_diff(struct planned before, struct planned after, struct buffer *out)
{
	struct diff diff = {out, out->length};
	const struct plugin *was = before.instance->plugin, *is = after.instance->plugin;
	if (was != is) {
		bool renamed = strcmp(was->decl.name, is->decl.name) != 0;
		buffer_print(begin_change(&diff, "", "plugin"), "%s → %s", renamed ? was->decl.name : was->path,
			     renamed ? is->decl.name : is->path);
	} else {
		struct side sides[] = {side_of(&before), side_of(&after)};
		const struct cw_array *common =
			role_is_output(is->decl.role) ? &plan_output_options : &plan_common_options;
		diff_options(&diff, "", &is->decl.options, &sides[0], &sides[1]);
		diff_options(&diff, "", common, &sides[0], &sides[1]);
	}
	diff_agent(&diff, before.plan, after.plan);
}

/* ---- rules ---- */

static void end_line(struct diff *diff, const char *otherwise)
{
	if (diff->out->length == diff->start)
		buffer_string(diff->out, otherwise);
	buffer_string(diff->out, "\n");
}

static void diff_rule(const struct rule *was, const struct rule *is, struct buffer *out)
{
	buffer_print(out, "rule %s: ", is->name);
	struct diff diff = {out, out->length};
	struct side sides[] = {{.values = was->options}, {.values = is->options}};
	diff_options(&diff, "", &rule_options, &sides[0], &sides[1]);
	end_line(&diff, is->sleeps ? "sleeps" : "awake"); /* its plugin came, or went: it says nothing else */
}

static void diff_notify(const struct plan *before, const struct plan *after, struct buffer *out)
{
	struct side sides[] = {{.values = ruleset_notify(before->ruleset)}, {.values = ruleset_notify(after->ruleset)}};
	if (same(sides[0].values, sides[1].values))
		return;
	buffer_string(out, "notify: ");
	struct diff diff = {out, out->length};
	diff_options(&diff, "", &notify_options, &sides[0], &sides[1]);
	end_line(&diff, "");
}

void plan_diff_rules(const struct plan *before, const struct plan *after, struct buffer *out)
{
	for (uint32_t i = 0; i < ruleset_count(before->ruleset); i++) {
		const struct rule *was = ruleset_at(before->ruleset, i);
		const struct rule *is = ruleset_find(after->ruleset, was->name);
		if (!is)
			buffer_print(out, "rule %s: removed\n", was->name);
		else if (!same(was->options, is->options) || was->sleeps != is->sleeps)
			diff_rule(was, is, out);
	}
	for (uint32_t i = 0; i < ruleset_count(after->ruleset); i++) {
		const struct rule *is = ruleset_at(after->ruleset, i);
		if (!ruleset_find(before->ruleset, is->name))
			buffer_print(out, "rule %s: added\n", is->name);
	}
	diff_notify(before, after, out);
}
