/* SPDX-License-Identifier: MIT
 *
 * A mapping held against an option table: typed, complete values, or errors that name the place, what was found and
 * what is allowed. The same tables print the reference. Private to the core.
 */
#ifndef CALLWATCH_CORE_OPTIONS_H
#define CALLWATCH_CORE_OPTIONS_H

#include "callwatch/option.h"
#include "scalars.h"
#include "yaml.h"

struct options_context {
	const struct cw_array *tables[2]; /* of struct cw_option: the plugin's and the core's own; either may be NULL */
	const char *subject;              /* for messages: `plugin redis-calls` */
	const struct node
		*connection; /* entry of `connections:`, or NULL; its keys count for CW_OPTION_CONNECTION options */
	bool read_files;     /* read the contents of *_file (else only check that the keys are known) */
	struct problems *problems;
};

/* A checked group; free with options_free(). NULL if there was any error (all of them are in problems). */
struct cw_value *options_check(const struct options_context *context, const struct node *map);
void options_free(struct cw_value *values); /* wipes secrets; NULL is fine */
/* 128 bits over all values, secrets' contents included: equal if and only if nothing changed. */
void options_fingerprint(const struct cw_value *values, uint8_t ret_hash[16]);

/* `callwatch plugins NAME`: the table as text, and a sample configuration. */
void options_print(const struct cw_array *options, FILE *out);

#endif
