/* SPDX-License-Identifier: MIT
 *
 * The parameters of a request, `name=value` each, already percent-decoded, held against the list of those that the
 * route knows. Pure. Private to the plugin web.
 */
#ifndef CALLWATCH_WEB_PARAMS_H
#define CALLWATCH_WEB_PARAMS_H

#include "callwatch/types.h"

enum { PARAMS_MAX = 32, PARAM_REPEAT_MAX = 16, PARAMS_ERROR_MAX = 512 };

/* What a route takes. */
struct param {
	const char *name;
	bool repeats; /* may be given up to PARAM_REPEAT_MAX times */
};

struct params {
	struct {
		char *name, *value; /* owned, as one block at `name` */
	} list[PARAMS_MAX];
	uint32_t count;
};

/* -EINVAL with a sentence: no value, not UTF-8, not known, twice, too many. `known` ends at a NULL name. */
int params_add(struct params *params, const struct param *known, const char *text, size_t length,
	       char error[PARAMS_ERROR_MAX]);
void params_release(struct params *params);
const char *params_get(const struct params *params, const char *name); /* NULL: not given */
/* Borrows all values of a name; how many. */
uint32_t params_all(const struct params *params, const char *name, const char *ret_values[PARAM_REPEAT_MAX]);
/* Not given leaves the value as it is. -EINVAL with a sentence. */
int params_bool(const struct params *params, const char *name, bool *ret_value, char error[PARAMS_ERROR_MAX]);
int params_count(const struct params *params, const char *name, uint64_t *ret_value, char error[PARAMS_ERROR_MAX]);

#endif
