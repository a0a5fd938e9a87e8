/* SPDX-License-Identifier: MIT
 *
 * Selectors (rule.h): `calls_active{health=stale,instance=calls}`. A value goes to the next comma or brace, without the
 * blanks around it, or stands in "…" where a backslash takes the next character as it is.
 */
#include "rule.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fail(char *error, const char *format, ...) CW_PRINTF(2, 3);
static int fail(char *error, const char *format, ...)
{
	char sentence[EXPR_ERROR_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	text_visible(error, EXPR_ERROR_MAX, sentence, strlen(sentence));
	return -EINVAL;
}

static size_t word_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

static size_t blanks(const char *text)
{
	return strspn(text, " \t");
}

/* Behind the closing quote, or at the end of the text. */
static const char *behind_quotes(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (at[0] == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

size_t selector_length(const char *text)
{
	const char *at = text + blanks(text);
	at += word_length(at);
	const char *brace = at + blanks(at);
	if (*brace != '{')
		return (size_t)(at - text);
	for (at = brace; *at && *at != '}';)
		at = *at == '"' ? behind_quotes(at) : at + 1;
	return (size_t)(at - text) + (*at ? 1 : 0);
}

/* `"…"` in place; gives what is behind it. NULL: it does not end. */
static char *parse_quoted(char *at)
{
	char *out = at++;
	while (*at && *at != '"') {
		at += at[0] == '\\' && at[1] ? 1 : 0;
		*out++ = *at++;
	}
	if (*at != '"')
		return NULL;
	*out = '\0';
	return at + 1;
}

/* The value in place, and what ends it: `,` or `}`, behind which *at goes. */
static int parse_value(char **at, const char **ret_value, char *ret_end, char *error)
{
	char *value = *at + blanks(*at), *end;
	if (*value == '"') {
		end = parse_quoted(value);
		if (!end)
			return fail(error, "the closing quote is missing");
		end += blanks(end);
	} else {
		end = value + strcspn(value, ",}");
	}
	*ret_end = *end;
	if (*end != ',' && *end != '}')
		return fail(error, "the closing `}` is missing");
	*at = end + 1;
	*ret_value = value;
	if (end == value)
		return fail(error, "a label without a value");
	do
		*end = '\0';
	while (end-- > value && blanks(end) > 0);
	return 0;
}

static int add_label(struct selector *selector, const char *name, const char *value, char *error)
{
	if (selector->labels_count == sizeof selector->labels / sizeof *selector->labels)
		return fail(error, "more than %u labels", selector->labels_count);
	for (uint32_t i = 0; i < selector->labels_count; i++)
		if (strcmp(selector->labels[i].name, name) == 0)
			return fail(error, "the label `%s` is there twice", name);
	selector->labels[selector->labels_count++] = (struct cw_tag){name, value};
	return 0;
}

/* Behind the opening brace. */
static int parse_labels(char *at, struct selector *selector, char *error)
{
	at += blanks(at);
	char end = *at == '}' ? '}' : ',';
	at += *at == '}';
	while (end == ',') {
		const char *value = NULL;
		char *name = at + blanks(at);
		size_t length = word_length(name);
		at = name + length + blanks(name + length);
		if (length == 0 || *at != '=')
			return fail(error, "`label=value` is missing behind `%c`", selector->labels_count ? ',' : '{');
		at++;
		name[length] = '\0'; /* where the `=` was, or a blank before it */
		if (parse_value(&at, &value, &end, error) < 0 || add_label(selector, name, value, error) < 0)
			return -EINVAL;
	}
	if (at[blanks(at)])
		return fail(error, "something follows the closing brace: `%s`", text_start(at, 40).text);
	return 0;
}

int selector_parse(char *text, struct selector *ret_selector, char error[EXPR_ERROR_MAX])
{
	struct selector selector = {.metric = text + blanks(text)};
	char *name = text + blanks(text), *at = name + word_length(name);
	if (at == name)
		return fail(error, "the name of a metric is missing");
	char *brace = at + blanks(at);
	if (*brace && *brace != '{')
		return fail(error, "`%s` is not NAME or NAME{label=value}", text_start(name, 40).text);
	bool has_labels = *brace == '{';
	*at = '\0';
	if (has_labels && parse_labels(brace + 1, &selector, error) < 0)
		return -EINVAL;
	*ret_selector = selector;
	return 0;
}

static const char *label_of(const struct cw_sample *sample, const char *name)
{
	for (uint32_t i = 0; i < cw_label_count(sample->metric); i++)
		if (strcmp(sample->metric->labels[i].name, name) == 0)
			return sample->labels[i];
	return NULL;
}

bool selector_matches(const struct selector *selector, const char *instance, const struct cw_sample *sample)
{
	if (strcmp(selector->metric, sample->metric->name) != 0)
		return false;
	for (uint32_t i = 0; i < selector->labels_count; i++) {
		const struct cw_tag *wanted = &selector->labels[i];
		const char *label = label_of(sample, wanted->name);
		const char *value = label || strcmp(wanted->name, "instance") != 0 ? label : instance;
		if (!value || strcmp(value, wanted->value) != 0)
			return false;
	}
	return true;
}

bool rule_takes(const struct rule *rule, const char *host, const char *instance, const struct cw_sample *sample)
{
	if (!selector_matches(&rule->selector, instance, sample))
		return false;
	for (uint32_t i = 0; i < rule->where.count; i++) {
		const char *name = expr_column(rule->filter[i]), *value = label_of(sample, name);
		if (!value && strcmp(name, "instance") == 0)
			value = instance;
		if (!value && strcmp(name, "host") == 0)
			value = host;
		struct cw_cell cell = {.type = value ? CW_CELL_TEXT : CW_CELL_NULL,
				       .length = value ? (uint32_t)strlen(value) : 0,
				       .text = value};
		if (!expr_matches(rule->filter[i], &cell))
			return false;
	}
	return true;
}
