/* SPDX-License-Identifier: MIT
 *
 * Option tables as such (see options.h): whether one is right, and what it says to people. What is found wrong here is
 * a mistake of the plugin's author, so one sentence is enough.
 */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 256, FIELDS_DEPTH_MAX = 4 };

/* Keys of every instance that the core knows itself (option.h). */
static const char *const core_keys[] = {
	"plugin", "name",     "connection", "interval", "jitter", "timeout", "on_start_error", "enabled",
	"labels", "override", "host",       "isolate",  "spool",  "queue",   "metrics",
};

/* --- is it right? --- */

static int bad(char *error, const char *key, const char *sentence)
{
	snprintf(error, OPTIONS_ERROR_MAX, "option `%.60s`: %s", key ? key : "(no key)", sentence);
	return -EINVAL;
}

static bool is_key(const char *key)
{
	size_t length = key ? strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
	return length > 0 && !key[length] && length <= 60 && key[0] >= 'a' && key[0] <= 'z';
}

static bool is_core_key(const char *key)
{
	for (size_t i = 0; i < sizeof(core_keys) / sizeof(core_keys[0]); i++)
		if (strcmp(core_keys[i], key) == 0)
			return true;
	return false;
}

static bool is_number(enum cw_option_type type)
{
	return type == CW_OPTION_INT || type == CW_OPTION_NUMBER || type == CW_OPTION_DURATION ||
	       type == CW_OPTION_SIZE || type == CW_OPTION_RATIO;
}

static int check_fallback(const struct cw_option *option, char *error)
{
	struct problems problems;
	char sentence[OPTIONS_ERROR_MAX];
	problems_init(&problems);
	bool right = option_fallback_parses(option, &problems);
	if (!right) {
		snprintf(sentence, sizeof(sentence), "its default is wrong: %.300s",
			 problems.count ? problems.list[0].message : "it cannot be read");
		bad(error, option->key, sentence);
	}
	problems_release(&problems);
	return right ? 0 : -EINVAL;
}

static int check_table(const struct cw_array *options, bool for_plugin, int depth, char *error);

static int check_option(const struct cw_option *option, bool for_plugin, int depth, char *error)
{
	const uint32_t flags =
		CW_OPTION_REQUIRED | CW_OPTION_SECRET | CW_OPTION_CONNECTION | CW_OPTION_ADVANCED | CW_OPTION_COLUMNS;
	bool has_fields = option->type == CW_OPTION_GROUP || option->type == CW_OPTION_ITEMS;
	if (!is_key(option->key))
		return bad(error, option->key, "a key is made of a-z, 0-9 and _, and begins with a letter");
	if (for_plugin && is_core_key(option->key))
		return bad(error, option->key, "the core has an option of this name for every instance");
	if ((unsigned)option->type > CW_OPTION_INSTANCE || option->flags & ~flags)
		return bad(error, option->key, "its type or a flag is not known here");
	if (!option->help || !option->help[0])
		return bad(error, option->key, "it has no help");
	if (isnan(option->min) || isnan(option->max) || option->min > option->max)
		return bad(error, option->key, "its range is empty");
	if ((option->min != 0 || option->max != 0) && !is_number(option->type))
		return bad(error, option->key, "only a number has a range");
	if (option->type != CW_OPTION_INSTANCE &&
	    (option->type == CW_OPTION_CHOICE) != (option->choices && option->choices[0]))
		return bad(error, option->key, "a choice has choices, and nothing else has");
	if (option->flags & CW_OPTION_COLUMNS && (option->type != CW_OPTION_MAP || depth > 0))
		return bad(error, option->key, "only a map of the first level names columns");
	if (has_fields != (option->fields.count > 0))
		return bad(error, option->key, "a group and items have fields, and nothing else has");
	if (option->fallback && option->flags & CW_OPTION_REQUIRED)
		return bad(error, option->key, "it is required and has a default");
	if (has_fields && check_table(&option->fields, /* for_plugin */ false, depth + 1, error) != 0)
		return -EINVAL;
	return option->fallback ? check_fallback(option, error) : 0;
}

static int check_table(const struct cw_array *options, bool for_plugin, int depth, char *error)
{
	if (options->count > OPTIONS_MAX || depth > FIELDS_DEPTH_MAX)
		return bad(error, "", "there are too many options, or their fields nest too deep");
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		if (check_option(option, for_plugin, depth, error) != 0)
			return -EINVAL;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(((const struct cw_option *)cw_at(options, j))->key, option->key) == 0)
				return bad(error, option->key, "it is there twice");
	}
	return 0;
}

int options_check_table(const struct cw_array *options, bool for_plugin, char error[OPTIONS_ERROR_MAX])
{
	return check_table(options, for_plugin, 0, error);
}

/* --- what it says --- */

static const char *type_name(enum cw_option_type type)
{
	static const char *const names[] = {
		[CW_OPTION_STRING] = "text",       [CW_OPTION_BOOL] = "true/false",
		[CW_OPTION_INT] = "integer",       [CW_OPTION_NUMBER] = "number",
		[CW_OPTION_DURATION] = "duration", [CW_OPTION_SIZE] = "size",
		[CW_OPTION_RATIO] = "ratio",       [CW_OPTION_CHOICE] = "choice",
		[CW_OPTION_LIST] = "list",         [CW_OPTION_MAP] = "map",
		[CW_OPTION_GROUP] = "group",       [CW_OPTION_ITEMS] = "list of groups",
		[CW_OPTION_WHERE] = "expressions", [CW_OPTION_INSTANCE] = "instance",
	};
	return names[type];
}

static void print_facts(const struct cw_option *option, FILE *out)
{
	char buffer[OPTIONS_ERROR_MAX];
	if (option->type == CW_OPTION_CHOICE)
		fprintf(out, "; %s", option_expected(buffer, option));
	for (uint32_t i = 0; option->type == CW_OPTION_INSTANCE && option->choices && option->choices[i]; i++)
		fprintf(out, "%s%s", i ? ", " : "; a ", option->choices[i]);
	if (option_range(buffer, option)[0])
		fprintf(out, "; %s", buffer);
	if (option->fallback)
		fprintf(out, "; default %s", option->fallback[0] ? option->fallback : "\"\"");
	if (option->flags & CW_OPTION_REQUIRED)
		fputs("; required", out);
	if (option->flags & CW_OPTION_SECRET)
		fputs("; secret", out);
	if (option->flags & CW_OPTION_SECRET && option_takes_one_value(option))
		fprintf(out, ", better %s_file", option->key);
	if (option->flags & CW_OPTION_CONNECTION)
		fputs("; may come from a connection", out);
}

static void print_table(const struct cw_array *options, int indent, FILE *out)
{
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		fprintf(out, "%*s%-*s %-14s %s", indent, "", 22 - indent, option->key, type_name(option->type),
			option->help);
		print_facts(option, out);
		fputc('\n', out);
		print_table(&option->fields, indent + 2, out);
	}
}

void options_print(const struct cw_array *options, FILE *out)
{
	print_table(options, 2, out);
}

/* A value to stand in the sample: the default, or something of the right form that must be replaced. */
static const char *sample_value(const struct cw_option *option)
{
	static const char *const forms[] = {
		[CW_OPTION_STRING] = "TEXT", [CW_OPTION_BOOL] = "true",     [CW_OPTION_INT] = "1",
		[CW_OPTION_NUMBER] = "1.0",  [CW_OPTION_DURATION] = "10s",  [CW_OPTION_SIZE] = "64KiB",
		[CW_OPTION_RATIO] = "5%",    [CW_OPTION_LIST] = "[]",       [CW_OPTION_MAP] = "{}",
		[CW_OPTION_WHERE] = "[]",    [CW_OPTION_INSTANCE] = "NAME", [CW_OPTION_ITEMS] = "[]",
		[CW_OPTION_GROUP] = "{}",
	};
	if (option->fallback)
		return option->fallback[0] ? option->fallback : "\"\"";
	return option->type == CW_OPTION_CHOICE ? option->choices[0] : forms[option->type];
}

/* Would YAML take this text for something else? */
static bool needs_quotes(const struct cw_option *option, const char *text)
{
	return option->type == CW_OPTION_STRING && *text != '"' &&
	       (strchr("{}[]&*!|>'%@`,?-:#", *text) || strstr(text, ": ") || strstr(text, " #"));
}

static void print_sample(const struct cw_array *options, int indent, bool comment, FILE *out)
{
	for (uint32_t i = 0; i < options->count; i++) {
		const struct cw_option *option = cw_at(options, i);
		bool required = (option->flags & CW_OPTION_REQUIRED) && !comment;
		if (option->flags & CW_OPTION_ADVANCED)
			continue;
		fprintf(out, "%*s## %s\n", indent, "", option->help);
		if (option->type == CW_OPTION_GROUP && !option->fallback) {
			fprintf(out, "%*s%s%s:\n", indent, "", required ? "" : "# ", option->key);
			print_sample(&option->fields, indent + 2, !required, out);
		} else {
			const char *value = sample_value(option), *quote = needs_quotes(option, value) ? "\"" : "";
			fprintf(out, "%*s%s%s: %s%s%s\n", indent, "", required ? "" : "# ", option->key, quote, value,
				quote);
		}
	}
}

void options_print_sample(const struct cw_array *options, FILE *out)
{
	print_sample(options, 4, /* comment */ false, out);
}
