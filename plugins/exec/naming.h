/* SPDX-License-Identifier: MIT
 *
 * Names as callwatch has them, made of names as programs have them. Pure. Two names may become the same one: that is
 * for the catalogue to see, which remembers what each series was called at first.
 */
#ifndef EXEC_NAMING_H
#define EXEC_NAMING_H

#include <stddef.h>

enum { NAMING_NAME_SIZE = 64, NAMING_VALUE_SIZE = 256 };

/* [a-z][a-z0-9_]*, at most 63 bytes: capitals become small, anything else `_`, what does not begin with a letter has
 * `m_` in front. A longer one keeps its first 54 bytes and ends in `_` and a hash of the whole. */
void naming_metric(char name[NAMING_NAME_SIZE], const char *raw);
/* The same for a label. `instance` and `plugin_instance` are callwatch's: they become `exported_instance` and so on, as
 * a scrape of Prometheus would do it. */
void naming_label(char name[NAMING_NAME_SIZE], const char *raw);
/* A label's value: valid UTF-8 without control characters, bytes that are neither as \xNN. -1: over 255 bytes. */
int naming_value(char value[NAMING_VALUE_SIZE], const char *raw);

#endif
