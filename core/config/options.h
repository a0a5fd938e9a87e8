/* SPDX-License-Identifier: MIT
 *
 * A mapping held against an option table: typed, complete values, or errors that name the place, what was found and
 * what is allowed. The same tables print the reference. Private to the core.
 *
 * The values are a tree of plain data in memory of their own, wiped when it is freed. Every option of the tables has
 * its child, in the order of the tables, `known` or not; a GROUP that was not written still has its children with their
 * defaults. `place` of every value is a struct place: where it was written, else the mapping's; it borrows the name of
 * the file from the configuration. Quotes make no difference, except that a key with nothing (or null) behind it is
 * refused: the empty text is "".
 *
 * KEY_file gives the content of a file for any option that takes one value, unless the table has an option of that very
 * name. Relative: in $CREDENTIALS_DIRECTORY if it is there, else beside the file that says so. Without read_files such
 * a value `is_set` but is not `known`. A secret's value is in no message, nor is the content of a file.
 *
 * A connection's keys count for options flagged CW_OPTION_CONNECTION; what the instance writes itself wins.
 */
#ifndef CALLWATCH_CORE_OPTIONS_H
#define CALLWATCH_CORE_OPTIONS_H

#include "callwatch/option.h"
#include "scalars.h"
#include "yamltree.h"

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

/* Is the table itself right? Names, duplicates, help, ranges, choices, defaults that parse, fields; for the loader and
 * for tests. `for_plugin`: keys of the core (option.h) are refused. 0, or -EINVAL with a sentence. */
enum { OPTIONS_ERROR_MAX = 400 };
int options_check_table(const struct cw_array *options, bool for_plugin, char error[OPTIONS_ERROR_MAX]);

/* For `callwatch plugins NAME` and the reference. The table: type, default, range, help of each. The sample: lines of
 * YAML for an entry of `plugins:`, indented by four; `##` help, `#` an option at its default, the rest must be set. */
void options_print(const struct cw_array *options, FILE *out);
void options_print_sample(const struct cw_array *options, FILE *out);
/* `a duration such as 10s`, `one of a, b`; and `1s to 1h`, "" without a range. Return `buffer`. */
char *option_expected(char buffer[OPTIONS_ERROR_MAX], const struct cw_option *option);
char *option_range(char buffer[OPTIONS_ERROR_MAX], const struct cw_option *option);
bool option_takes_one_value(const struct cw_option *option); /* so its KEY_file may be a file's content */
/* One option from its table's fallback, as options_check() does; for options_check_table(). */
bool option_fallback_parses(const struct cw_option *option, struct problems *problems);

#endif
