/* SPDX-License-Identifier: MIT
 *
 * See action_body.h. jansson refuses what is no UTF-8, has a NUL in a text, or is nested deeper than 2048; the bytes
 * are bounded before.
 */
#include "action_body.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct action_body *body;
	char *error;
};

static int wrong(const struct reading *reading, const char *format, ...) CW_PRINTF(2, 3);
static int wrong(const struct reading *reading, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reading->error, ACTION_BODY_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- members ---- */

static int no_memory(const struct reading *reading)
{
	wrong(reading, "no memory");
	return -ENOMEM;
}

/* As the configuration would have it: text_number() gives back what was written, and not 0.050000000000000003. */
static const char *number_text(char text[ACTION_NUMBER_SIZE], const json_t *value)
{
	if (json_is_integer(value))
		snprintf(text, ACTION_NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
	else
		text_number(text, json_real_value(value));
	return text;
}

static int read_arguments(struct reading *reading, const json_t *value)
{
	struct action_body *body = reading->body;
	size_t count = json_object_size(value);
	const char *name;
	json_t *argument;
	if (!json_is_object(value))
		return wrong(reading, "`arguments` is an object: {\"rate\": 50}");
	body->arguments = calloc(count + 1, sizeof *body->arguments);
	body->numbers = calloc(count + 1, sizeof *body->numbers);
	if (!body->arguments || !body->numbers)
		return no_memory(reading);
	json_object_foreach((json_t *)value, name, argument)
	{
		uint32_t i = body->spec.arguments_count++;
		body->arguments[i].name = name;
		if (json_is_string(argument))
			body->arguments[i].text = json_string_value(argument);
		else if (json_is_boolean(argument))
			body->arguments[i].text = json_is_true(argument) ? "true" : "false";
		else if (json_is_number(argument))
			body->arguments[i].text = number_text(body->numbers[i], argument);
		else
			return wrong(reading, "the argument `%.64s` is a text, a number, true or false", name);
	}
	body->spec.arguments = body->arguments;
	return 0;
}

static int read_texts(struct reading *reading, const json_t *value, const char *name, const char ***ret_texts,
		      uint32_t *ret_count)
{
	size_t i;
	json_t *text;
	if (!json_is_array(value))
		return wrong(reading, "`%s` is a list of texts", name);
	const char **texts = *ret_texts = calloc(json_array_size(value) + 1, sizeof *texts);
	if (!texts)
		return no_memory(reading);
	json_array_foreach(value, i, text)
	{
		texts[i] = json_string_value(text);
		if (!texts[i] || !*texts[i])
			return wrong(reading, "`%s` is a list of texts, and none of them is empty", name);
	}
	*ret_count = (uint32_t)json_array_size(value);
	return 0;
}

static int read_keys(struct reading *reading, const json_t *value)
{
	struct action_body *body = reading->body;
	int rc = read_texts(reading, value, "keys", &body->keys, &body->spec.keys_count);
	body->spec.keys = rc == 0 ? body->keys : NULL;
	return rc;
}

static int read_where(struct reading *reading, const json_t *value)
{
	struct action_body *body = reading->body;
	int rc = read_texts(reading, value, "where", &body->where, &body->spec.where_count);
	body->spec.where = body->where;
	return rc;
}

static int read_flag(const struct reading *reading, const json_t *value, const char *name, bool *ret_flag)
{
	if (!json_is_boolean(value))
		return wrong(reading, "`%s` is true or false", name);
	*ret_flag = json_is_true(value);
	return 0;
}

static int read_all(struct reading *reading, const json_t *value)
{
	return read_flag(reading, value, "all", &reading->body->spec.all);
}

static int read_dry_run(struct reading *reading, const json_t *value)
{
	return read_flag(reading, value, "dry_run", &reading->body->spec.dry_run);
}

static int read_plan(struct reading *reading, const json_t *value)
{
	reading->body->spec.plan = json_string_value(value);
	return reading->body->spec.plan ? 0 : wrong(reading, "`plan` is the id that a dry run gave");
}

static const struct {
	const char *name;
	int (*read)(struct reading *reading, const json_t *value);
} members[] = {
	{"arguments", read_arguments}, {"keys", read_keys},       {"where", read_where}, {"all", read_all},
	{"plan", read_plan},           {"dry_run", read_dry_run},
};

static int read_member(struct reading *reading, const char *name, const json_t *value)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (strcmp(members[i].name, name) == 0)
			return members[i].read(reading, value);
	return wrong(reading, "there is no member `%.64s`; known: arguments, keys, where, all, plan, dry_run", name);
}

/* ---- the whole ---- */

int action_body_read(struct action_body *body, const char *bytes, size_t length, char error[ACTION_BODY_ERROR_MAX])
{
	struct reading reading = {body, error};
	json_error_t where;
	const char *name;
	json_t *value;
	int rc = 0;
	*body = (struct action_body){0};
	if (length == 0)
		return 0;
	body->json = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &where);
	if (!body->json)
		return wrong(&reading, "the body is no JSON: %.120s (line %d, column %d)", where.text, where.line,
			     where.column);
	if (!json_is_object(body->json))
		return wrong(&reading, "the body is a JSON object");
	json_object_foreach(body->json, name, value)
	{
		if (rc == 0)
			rc = read_member(&reading, name, value);
	}
	return rc;
}

void action_body_release(struct action_body *body)
{
	free(body->arguments);
	free(body->numbers);
	free(body->keys);
	free(body->where);
	json_decref(body->json);
	*body = (struct action_body){0};
}
