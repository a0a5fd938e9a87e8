/* SPDX-License-Identifier: MIT
 *
 * See body.h.
 */
#include "body.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int body_wrong(char error[BODY_ERROR_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, BODY_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

int body_no_memory(char error[BODY_ERROR_MAX])
{
	body_wrong(error, "no memory");
	return -ENOMEM;
}

int body_load(const char *bytes, size_t length, json_t **ret_json, char error[BODY_ERROR_MAX])
{
	json_error_t where;
	*ret_json = NULL;
	if (length == 0)
		return 0;
	*ret_json = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &where);
	if (!*ret_json)
		return body_wrong(error, "the body is no JSON: %.120s (line %d, column %d)", where.text, where.line,
				  where.column);
	return json_is_object(*ret_json) ? 0 : body_wrong(error, "the body is a JSON object");
}

int body_texts(const json_t *value, const char *name, const char ***ret_texts, uint32_t *ret_count,
	       char error[BODY_ERROR_MAX])
{
	size_t i;
	json_t *text;
	if (!json_is_array(value))
		return body_wrong(error, "`%s` is a list of texts", name);
	const char **texts = *ret_texts = calloc(json_array_size(value) + 1, sizeof *texts);
	if (!texts)
		return body_no_memory(error);
	json_array_foreach(value, i, text)
	{
		texts[i] = json_string_value(text);
		if (!texts[i] || !*texts[i])
			return body_wrong(error, "`%s` is a list of texts, and none of them is empty", name);
	}
	*ret_count = (uint32_t)json_array_size(value);
	return 0;
}

int body_text(const json_t *value, const char *name, const char **ret_text, char error[BODY_ERROR_MAX])
{
	const char *text = json_string_value(value);
	if (!text || !*text)
		return body_wrong(error, "`%s` is a text, and not an empty one", name);
	*ret_text = text;
	return 0;
}

int body_flag(const json_t *value, const char *name, bool *ret_flag, char error[BODY_ERROR_MAX])
{
	if (!json_is_boolean(value))
		return body_wrong(error, "`%s` is true or false", name);
	*ret_flag = json_is_true(value);
	return 0;
}
