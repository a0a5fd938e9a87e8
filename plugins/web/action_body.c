/* SPDX-License-Identifier: MIT
 *
 * See action_body.h.
 */
#include "action_body.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct action_body *body;
	char *error;
};

/* ---- members ---- */

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
		return body_wrong(reading->error, "`arguments` is an object: {\"rate\": 50}");
	body->arguments = calloc(count + 1, sizeof *body->arguments);
	body->numbers = calloc(count + 1, sizeof *body->numbers);
	if (!body->arguments || !body->numbers)
		return body_no_memory(reading->error);
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
			return body_wrong(reading->error, "the argument `%.64s` is a text, a number, true or false",
					  name);
	}
	body->spec.arguments = body->arguments;
	return 0;
}

static int read_keys(struct reading *reading, const json_t *value)
{
	struct action_body *body = reading->body;
	int rc = body_texts(value, "keys", &body->keys, &body->spec.keys_count, reading->error);
	body->spec.keys = rc == 0 ? body->keys : NULL;
	return rc;
}

static int read_where(struct reading *reading, const json_t *value)
{
	struct action_body *body = reading->body;
	int rc = body_texts(value, "where", &body->where, &body->spec.where_count, reading->error);
	body->spec.where = body->where;
	return rc;
}

static int read_all(struct reading *reading, const json_t *value)
{
	return body_flag(value, "all", &reading->body->spec.all, reading->error);
}

static int read_dry_run(struct reading *reading, const json_t *value)
{
	return body_flag(value, "dry_run", &reading->body->spec.dry_run, reading->error);
}

static int read_plan(struct reading *reading, const json_t *value)
{
	reading->body->spec.plan = json_string_value(value);
	return reading->body->spec.plan ? 0 : body_wrong(reading->error, "`plan` is the id that a dry run gave");
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
	return body_wrong(reading->error,
			  "there is no member `%.64s`; known: arguments, keys, where, all, plan, dry_run", name);
}

/* ---- the whole ---- */

int action_body_read(struct action_body *body, const char *bytes, size_t length, char error[BODY_ERROR_MAX])
{
	struct reading reading = {body, error};
	const char *name;
	json_t *value;
	*body = (struct action_body){0};
	int rc = body_load(bytes, length, &body->json, error);
	if (rc < 0 || !body->json)
		return rc;
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
