/* SPDX-License-Identifier: MIT
 *
 * See expand.h. A value is copied piece by piece into a buffer of the largest size allowed; only values with a `$` are.
 */
#include "expand.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

struct expander {
	struct arena *arena;
	struct problems *problems;
	const struct node *node; /* whose text it is, for messages */
	char *buffer;
	size_t length, total;
	bool expanded; /* a variable was */
};

static bool fail(struct expander *expander, const char *format, ...) CW_PRINTF(2, 3);

static bool fail(struct expander *expander, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	problem_addv(expander->problems, PROBLEM_ERROR, &expander->node->place, format, args);
	va_end(args);
	return false;
}

static bool append(struct expander *expander, const char *text, size_t length)
{
	if (length > EXPAND_VALUE_MAX - expander->length)
		return fail(expander, "longer than %d KiB after its variables were expanded", EXPAND_VALUE_MAX >> 10);
	memcpy(expander->buffer + expander->length, text, length);
	expander->length += length;
	return true;
}

static size_t name_length(const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return *text >= '0' && *text <= '9' ? 0 : strspn(text, letters);
}

static bool is_text(const char *value)
{
	for (const char *p = value; *p; p++)
		if (((unsigned char)*p < 0x20 && !strchr("\t\n\r", *p)) || *p == 0x7F)
			return false;
	return text_is_utf8(value, strlen(value));
}

static bool append_variable(struct expander *expander, const char *name, const char *value)
{
	if (!is_text(value))
		return fail(expander, "the environment variable %.100s is not UTF-8 text", name);
	expander->expanded = true;
	return append(expander, value, strlen(value));
}

/* `rest` is what follows the name, up to the brace: nothing, `:-default` or `:?message`. */
static bool substitute(struct expander *expander, const char *name, const char *rest, size_t length)
{
	const char *value = getenv(name);
	bool with_default = length >= 2 && strncmp(rest, ":-", 2) == 0;
	bool with_message = length >= 2 && strncmp(rest, ":?", 2) == 0;
	if (length > 0 && !with_default && !with_message)
		return fail(expander, "${%.100s…}: after the name stands `}`, `:-default` or `:?message`", name);
	if (value && (value[0] || length == 0))
		return append_variable(expander, name, value);
	if (with_message)
		return fail(expander, "the environment variable %.100s is not set: %.*s", name, (int)length - 2,
			    rest + 2);
	if (!with_default)
		return fail(expander, "the environment variable %.100s is not set; ${%.100s:-default} would do without",
			    name, name);
	expander->expanded = true;
	return append(expander, rest + 2, length - 2);
}

/* At the `$` of `${`; moves behind the brace. */
static bool variable(struct expander *expander, const char **at)
{
	const char *name = *at + 2, *brace = strchr(name, '}');
	size_t length = name_length(name);
	if (!brace)
		return fail(expander, "`${` without its `}`; a `$` as such is written `$$`");
	if (length == 0 || length > 255)
		return fail(expander, "`${` is not followed by the name of an environment variable; a `$` as such is "
				      "written `$$`");
	char copy[256];
	memcpy(copy, name, length);
	copy[length] = '\0';
	*at = brace + 1;
	return substitute(expander, copy, name + length, (size_t)(brace - name) - length);
}

static bool expand_text(struct expander *expander, const char *text)
{
	while (*text) {
		size_t literal = strcspn(text, "$");
		if (!append(expander, text, literal))
			return false;
		text += literal;
		if (text[0] == '$' && text[1] == '{') {
			if (!variable(expander, &text))
				return false;
		} else if (text[0] == '$') {
			if (!append(expander, "$", 1))
				return false;
			text += text[1] == '$' ? 2 : 1;
		}
	}
	return true;
}

static void expand_scalar(struct expander *expander, struct node *node)
{
	expander->node = node;
	expander->length = 0;
	expander->expanded = false;
	if (!strchr(node->text, '$') || !expand_text(expander, node->text))
		return;
	expander->total += expander->length;
	if (expander->total > EXPAND_TOTAL_MAX) {
		fail(expander, "more than %d MiB after the variables were expanded", EXPAND_TOTAL_MAX >> 20);
		return;
	}
	node->text = arena_text(expander->arena, expander->buffer, expander->length);
	node->plain = node->plain || expander->expanded;
}

static bool is_template(const char *key)
{
	return key && (strcmp(key, "summary") == 0 || strcmp(key, "description") == 0 || strcmp(key, "body") == 0);
}

static void expand_node(struct expander *expander, struct node *node)
{
	if (is_template(node->key))
		return;
	if (node->kind == NODE_SCALAR)
		expand_scalar(expander, node);
	for (uint32_t i = 0; i < node->count; i++)
		expand_node(expander, node->children[i]);
}

void expand_tree(struct node *root, struct arena *arena, struct problems *problems)
{
	struct expander expander = {
		.arena = arena, .problems = problems, .buffer = arena_alloc(arena, EXPAND_VALUE_MAX)};
	expand_node(&expander, root);
}
