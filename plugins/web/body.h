/* SPDX-License-Identifier: MIT
 *
 * Reading the JSON body of a request, member by member, with a sentence for whatever is wrong: what action_body.c and
 * alert_body.c share. Pure: no state, no socket. Private to the plugin web.
 *
 * jansson refuses what is no UTF-8, has a NUL in a text, or is nested deeper than 2048; the bytes are bounded before
 * (REQUEST_BODY_MAX).
 */
#ifndef CALLWATCH_WEB_BODY_H
#define CALLWATCH_WEB_BODY_H

#include "callwatch/types.h"

#include <jansson.h>

enum { BODY_ERROR_MAX = 256 };

/* All below return 0, or -EINVAL or -ENOMEM with a sentence in `error`. */
int body_wrong(char error[BODY_ERROR_MAX], const char *format, ...) CW_PRINTF(2, 3);
int body_no_memory(char error[BODY_ERROR_MAX]);
/* An object. NULL for no bytes. To be released with json_decref() in every case. */
int body_load(const char *bytes, size_t length, json_t **ret_json, char error[BODY_ERROR_MAX]);

/* What is read borrows from the JSON. A list of texts, none of them empty; the list is to be freed in every case. */
int body_texts(const json_t *value, const char *name, const char ***ret_texts, uint32_t *ret_count,
	       char error[BODY_ERROR_MAX]);
int body_text(const json_t *value, const char *name, const char **ret_text, char error[BODY_ERROR_MAX]);
int body_flag(const json_t *value, const char *name, bool *ret_flag, char error[BODY_ERROR_MAX]);

#endif
