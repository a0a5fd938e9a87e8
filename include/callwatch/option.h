/* SPDX-License-Identifier: MIT
 *
 * Options: what a plugin lets people set, declared as data, and the values it is given.
 *
 * The same table checks the YAML (with file:line:column and the nearest valid name), prints `callwatch plugins NAME`
 * and feeds the reference. The core knows these keys of every instance itself and a plugin does not declare them:
 * plugin, name, connection, interval, jitter, timeout, on_start_error, enabled, override, labels, host, isolate; for
 * outputs also spool, queue, metrics. For every option KEY that takes one value the core also takes KEY_file and gives
 * its content as KEY.
 *
 * Values arrive checked, complete (defaults filled in) and typed, as a tree of plain data. The tree is owned by the
 * core and lives until the instance's release(); a plugin borrows from it and never copies a secret without need.
 */
#ifndef CALLWATCH_OPTION_H
#define CALLWATCH_OPTION_H

#include "types.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cw_option_type {
	CW_OPTION_STRING = 0,
	CW_OPTION_BOOL = 1,
	CW_OPTION_INT = 2,      /* integer */
	CW_OPTION_NUMBER = 3,   /* number */
	CW_OPTION_DURATION = 4, /* `250ms`, `10s`, `5m`, `4h`, `1d`: integer, nanoseconds */
	CW_OPTION_SIZE = 5,     /* `64KiB`, `10MB`: integer, bytes */
	CW_OPTION_RATIO = 6,    /* `5%` or `0.05`: number */
	CW_OPTION_CHOICE = 7,   /* string, one of `choices`; integer is its index */
	CW_OPTION_LIST = 8,     /* children are strings */
	CW_OPTION_MAP = 9,      /* children are strings, each with its key */
	CW_OPTION_GROUP = 10,   /* a mapping with options of its own: `fields` */
	CW_OPTION_ITEMS = 11,   /* a list of such mappings; a bare string stands for {first field: string} */
	CW_OPTION_WHERE = 12,   /* a list of expressions in the one grammar; children are strings, checked */
	CW_OPTION_INSTANCE = 13 /* string: the name of another instance, checked to exist; `choices`: which roles it may
				   have (`lookup`), NULL: any */
};

enum {
	CW_OPTION_REQUIRED = 1 << 0,
	CW_OPTION_SECRET = 1 << 1,     /* shown as *** everywhere */
	CW_OPTION_CONNECTION = 1 << 2, /* may come from the entry of `connections:` that `connection:` names */
	CW_OPTION_ADVANCED = 1 << 3,   /* left out of the short sample */
	CW_OPTION_COLUMNS = 1 << 4     /* MAP, since 1.3: its keys are text columns of the plugin's first table, so that
					  rules can be checked before there is a table */
};

struct cw_option {
	const char *key;
	enum cw_option_type type;
	uint32_t flags;
	const char
		*fallback; /* default, written as in YAML (`5s`, `[a, b]`); NULL: none, the value is then not known */
	const char *help;  /* one sentence, ends without a period */
	double min, max;   /* allowed range in the value's own unit (ns, bytes, ratio); both 0: any */
	const char *const *choices; /* NULL-terminated; for CW_OPTION_CHOICE, and see CW_OPTION_INSTANCE */
	struct cw_array fields;     /* of struct cw_option; for GROUP and ITEMS */
};

struct cw_value {
	const char *key; /* of its mapping; NULL in a list */
	enum cw_option_type type;
	bool known;         /* set by the user or by a default */
	bool is_set;        /* set by the user */
	const char *string; /* STRING, CHOICE, INSTANCE and children of lists: NUL-terminated UTF-8; else NULL */
	int64_t integer;
	double number;
	bool boolean;
	const struct cw_value *children; /* of GROUP, ITEMS, LIST, MAP, WHERE */
	uint32_t count;
	const void *place; /* the core's: where it was written */
};

/* The child KEY of a group or map; NULL if there is none. NULL in, NULL out, so that looks nest. */
static inline const struct cw_value *cw_get(const struct cw_value *group, const char *key)
{
	for (uint32_t i = 0; group && i < group->count; i++)
		if (group->children[i].key && strcmp(group->children[i].key, key) == 0)
			return &group->children[i];
	return NULL;
}

/* NULL where not known. */
static inline const char *cw_get_string(const struct cw_value *group, const char *key)
{
	const struct cw_value *value = cw_get(group, key);
	return value && value->known ? value->string : NULL;
}

/* INT, DURATION, SIZE, CHOICE (index); `otherwise` where not known. */
static inline int64_t cw_get_integer(const struct cw_value *group, const char *key, int64_t otherwise)
{
	const struct cw_value *value = cw_get(group, key);
	return value && value->known ? value->integer : otherwise;
}

static inline double cw_get_number(const struct cw_value *group, const char *key, double otherwise)
{
	const struct cw_value *value = cw_get(group, key);
	return value && value->known ? value->number : otherwise;
}

static inline bool cw_get_bool(const struct cw_value *group, const char *key)
{
	const struct cw_value *value = cw_get(group, key);
	return value && value->known && value->boolean;
}

/* Where a plugin's own check() puts what the tables cannot say (`stale_after must be greater than warning_after`).
 * `value` names the place; NULL means the whole instance. A sentence without a trailing period. */
struct cw_problems {
	void (*error)(struct cw_problems *problems, const struct cw_value *value, const char *format, ...)
		CW_PRINTF(3, 4);
	void (*warning)(struct cw_problems *problems, const struct cw_value *value, const char *format, ...)
		CW_PRINTF(3, 4);
};

#ifdef __cplusplus
}
#endif
#endif
