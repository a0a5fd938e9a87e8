/* SPDX-License-Identifier: MIT
 *
 * See params.h. What a request says wrongly is refused with a sentence, never skipped: a filter that is silently not
 * applied shows rows that were not asked for.
 */
#include "params.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 80 };

static const struct param *find_known(const struct param *known, const char *name, size_t length)
{
	for (; known->name; known++)
		if (strlen(known->name) == length && memcmp(known->name, name, length) == 0)
			return known;
	return NULL;
}

static int refuse_unknown(const struct param *known, const char *name, size_t length, char error[PARAMS_ERROR_MAX])
{
	char shown[SHOWN_MAX];
	text_visible(shown, sizeof shown, name, length);
	int used = snprintf(error, PARAMS_ERROR_MAX, "unknown parameter \"%s\"; ", shown);
	if (!known->name)
		snprintf(error + used, PARAMS_ERROR_MAX - (size_t)used, "this path takes none");
	for (const char *before = "known are "; known->name; known++, before = ", ")
		if (used < PARAMS_ERROR_MAX)
			used += snprintf(error + used, PARAMS_ERROR_MAX - (size_t)used, "%s%s", before, known->name);
	return -EINVAL;
}

static int refuse(char error[PARAMS_ERROR_MAX], const char *sentence, const char *name)
{
	snprintf(error, PARAMS_ERROR_MAX, "parameter \"%s\" %s", name, sentence);
	return -EINVAL;
}

static int check(const struct params *params, const struct param *param, const char *value, size_t length,
		 char error[PARAMS_ERROR_MAX])
{
	uint32_t given = 0;
	for (uint32_t i = 0; i < params->count; i++)
		given += strcmp(params->list[i].name, param->name) == 0;
	if (given && !param->repeats)
		return refuse(error, "is given twice", param->name);
	if (given == PARAM_REPEAT_MAX)
		return refuse(error, "is given more than 16 times", param->name);
	if (!text_is_utf8(value, length) || memchr(value, '\0', length))
		return refuse(error, "is not UTF-8 text", param->name);
	return 0;
}

int params_add(struct params *params, const struct param *known, const char *text, size_t length,
	       char error[PARAMS_ERROR_MAX])
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals ? (size_t)(equals - text) : length;
	const struct param *param = find_known(known, text, name_length);
	if (!param)
		return refuse_unknown(known, text, name_length, error);
	if (!equals)
		return refuse(error, "has no value", param->name);
	int rc = check(params, param, equals + 1, length - name_length - 1, error);
	if (rc)
		return rc;
	if (params->count == PARAMS_MAX)
		return refuse(error, "is one of too many", param->name);
	char *copy = malloc(length + 1);
	if (!copy)
		return refuse(error, "found no memory", param->name);
	memcpy(copy, text, length);
	copy[length] = copy[name_length] = '\0';
	params->list[params->count].name = copy;
	params->list[params->count++].value = copy + name_length + 1;
	return 0;
}

void params_release(struct params *params)
{
	for (uint32_t i = 0; i < params->count; i++)
		free(params->list[i].name);
	params->count = 0;
}

const char *params_get(const struct params *params, const char *name)
{
	for (uint32_t i = 0; i < params->count; i++)
		if (strcmp(params->list[i].name, name) == 0)
			return params->list[i].value;
	return NULL;
}

uint32_t params_all(const struct params *params, const char *name, const char *ret_values[PARAM_REPEAT_MAX])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < params->count && n < PARAM_REPEAT_MAX; i++)
		if (strcmp(params->list[i].name, name) == 0)
			ret_values[n++] = params->list[i].value;
	return n;
}

int params_bool(const struct params *params, const char *name, bool *ret_value, char error[PARAMS_ERROR_MAX])
{
	const char *value = params_get(params, name);
	if (!value)
		return 0;
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return refuse(error, "is true or false", name);
	*ret_value = *value == 't';
	return 0;
}

int params_count(const struct params *params, const char *name, uint64_t *ret_value, char error[PARAMS_ERROR_MAX])
{
	const char *value = params_get(params, name);
	if (!value)
		return 0;
	size_t digits = strspn(value, "0123456789");
	if (digits == 0 || digits > 12 || value[digits])
		return refuse(error, "is a whole number of at most 12 digits", name);
	*ret_value = strtoull(value, NULL, 10);
	return 0;
}
