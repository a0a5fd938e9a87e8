/* SPDX-License-Identifier: MIT
 *
 * See format_graphite.h: prefixes and templates, as people write them.
 */
#include "format_graphite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int wrong(char error[FORMAT_GRAPHITE_ERROR_MAX], const char *format, ...) CW_PRINTF(2, 3);
static int wrong(char error[FORMAT_GRAPHITE_ERROR_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, FORMAT_GRAPHITE_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* A word of a prefix or template: what needs no escape. */
static int check_word(const char *text, size_t length, char error[FORMAT_GRAPHITE_ERROR_MAX])
{
	if (length == 0)
		return wrong(error, "two dots with nothing between them, or one at an end");
	if (length > FORMAT_GRAPHITE_NODE_MAX)
		return wrong(error, "a part of more than %d bytes", FORMAT_GRAPHITE_NODE_MAX);
	for (size_t i = 0; i < length; i++)
		if (!graphite_is_plain((unsigned char)text[i]))
			return wrong(error, "`%.*s`: only letters, digits and _ - : + @ # %% between dots", (int)length,
				     text);
	return 0;
}

int graphite_check_prefix(const char *prefix, char error[FORMAT_GRAPHITE_ERROR_MAX])
{
	if (!prefix[0])
		return 0;
	for (const char *from = prefix;; from++) {
		size_t length = strcspn(from, ".");
		int status = check_word(from, length, error);
		from += length;
		if (status < 0 || !*from)
			return status;
	}
}

static enum graphite_part part_of(const char *text, size_t length)
{
	static const char *const names[GRAPHITE_PARTS] = {NULL,         "{prefix}", "{host}",
							  "{instance}", "{metric}", "{labels}"};
	for (int part = GRAPHITE_TEXT + 1; part < GRAPHITE_PARTS; part++)
		if (length == strlen(names[part]) && memcmp(text, names[part], length) == 0)
			return (enum graphite_part)part;
	return GRAPHITE_TEXT;
}

static int add_node(struct graphite_form *form, const char *text, size_t length, char error[FORMAT_GRAPHITE_ERROR_MAX])
{
	enum graphite_part part = part_of(text, length);
	if (part == GRAPHITE_TEXT && (memchr(text, '{', length) || memchr(text, '}', length)))
		return wrong(
			error,
			"`%.*s`: there are {prefix}, {host}, {instance}, {metric} and {labels}, each alone between "
			"dots",
			(int)length, text);
	if (part == GRAPHITE_TEXT && check_word(text, length, error) < 0)
		return -EINVAL;
	if (part != GRAPHITE_TEXT && graphite_form_has(form, part))
		return wrong(error, "`%.*s` is there twice", (int)length, text);
	if (form->nodes_count == FORMAT_GRAPHITE_NODES_MAX)
		return wrong(error, "more than %d parts", FORMAT_GRAPHITE_NODES_MAX);
	form->nodes[form->nodes_count++] = (struct graphite_node){part, text, length};
	return 0;
}

bool graphite_form_has(const struct graphite_form *form, enum graphite_part part)
{
	for (uint32_t i = 0; i < form->nodes_count; i++)
		if (form->nodes[i].part == part)
			return true;
	return false;
}

int graphite_form_path(struct graphite_form *ret_form, const char *prefix, const char *template,
		       char error[FORMAT_GRAPHITE_ERROR_MAX])
{
	struct graphite_form form = {.prefix = prefix};
	for (const char *from = template;; from++) {
		size_t length = strcspn(from, ".");
		if (add_node(&form, from, length, error) < 0)
			return -EINVAL;
		from += length;
		if (!*from)
			break;
	}
	if (!graphite_form_has(&form, GRAPHITE_METRIC) || !graphite_form_has(&form, GRAPHITE_LABELS))
		return wrong(error, "{metric} and {labels} must be in it, or different samples would share a path");
	*ret_form = form;
	return 0;
}

void graphite_form_tags(struct graphite_form *ret_form, const char *prefix)
{
	*ret_form = (struct graphite_form){.prefix = prefix, .tagged = true};
}
