/* SPDX-License-Identifier: MIT
 *
 * The command line as data. Options may stand anywhere; which of them a command takes is checked against its bits.
 *
 * `-c` is --comment for `silence` and --config for all others.
 */
#ifndef CALLWATCH_CLIENT_ARGUMENTS_H
#define CALLWATCH_CLIENT_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t option_bits; /* of enum option_bit */

enum option_bit {
	/* all commands take these */
	OPTION_SOCKET = 1 << 0,
	OPTION_URL = 1 << 1,
	OPTION_TOKEN_FILE = 1 << 2,
	OPTION_UTC = 1 << 3,
	OPTION_HELP = 1 << 4,
	OPTION_VERSION = 1 << 5,
	OPTION_CA_FILE = 1 << 20,
	OPTIONS_ALWAYS = ((1 << 6) - 1) | OPTION_CA_FILE,

	OPTION_WHERE = 1 << 6,
	OPTION_SORT = 1 << 7,
	OPTION_LIMIT = 1 << 8,
	OPTION_COLUMNS = 1 << 9,
	OPTION_FORMAT = 1 << 10,
	OPTION_WATCH = 1 << 11,
	OPTION_REVEAL = 1 << 12,
	OPTION_INSTANCE = 1 << 13,
	OPTION_CHECK = 1 << 14,
	OPTION_CONFIG = 1 << 15,
	OPTION_FOLLOW = 1 << 16,
	OPTION_ROLE = 1 << 17,
	OPTION_NAME = 1 << 18,
	OPTION_EXPIRES = 1 << 19,
	OPTION_KEY = 1 << 21,
	OPTION_ALL = 1 << 22,
	OPTION_DRY_RUN = 1 << 23,
	OPTION_PLAN = 1 << 24,
	OPTION_YES = 1 << 25,
	OPTION_WAIT = 1 << 26,
	OPTION_CANCEL = 1 << 27,
	OPTION_NOTE = 1 << 28,
	OPTION_DURATION = 1 << 29,
	OPTION_COMMENT = 1 << 30,
	OPTION_EVERY = INT64_C(1) << 31,
	OPTION_TIMEZONE = INT64_C(1) << 32,
	OPTION_FROM = INT64_C(1) << 33,
	OPTION_SEND = INT64_C(1) << 34,
	OPTION_SINCE = INT64_C(1) << 35,
	OPTION_FILE = INT64_C(1) << 36,
	OPTION_UNTIL = INT64_C(1) << 37,
	OPTION_AT = INT64_C(1) << 38
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV };
extern const char *const format_names[]; /* NULL-terminated */

enum { ARGUMENTS_WHERE_MAX = 64, ARGUMENTS_KEYS_MAX = 1000, ARGUMENTS_CONFIG_MAX = 64, ARGUMENTS_ERROR_MAX = 256 };

struct arguments {
	const char *words[32]; /* command first; NULL-terminated */
	int words_count;
	option_bits given; /* bits of the options that were there */

	const char *socket, *url, *token_file, *ca_file; /* from the environment too; NULL: not given */
	bool utc, watch, reveal, check;
	const char *where[ARGUMENTS_WHERE_MAX + 1]; /* NULL-terminated */
	const char *sort, *columns, *instance;
	const char *role, *name, *expires;
	bool all, dry_run, yes, wait;
	const char *plan, *cancel;
	const char *note, *duration, *comment, *every, *timezone, *from;
	bool send;
	const char *since, *until, *at, *file;
	const char *keys[ARGUMENTS_KEYS_MAX + 1]; /* NULL-terminated */
	int64_t limit;                            /* 0: all; -1: not given */
	enum format format;
	const char *config[ARGUMENTS_CONFIG_MAX + 1]; /* NULL-terminated */
};

/* Borrows from argv, which is permuted. 0, or -EINVAL with a sentence. */
int arguments_parse(struct arguments *arguments, int argc, char **argv, char error[ARGUMENTS_ERROR_MAX]);
/* What the environment says where the command line is silent: CALLWATCH_URL, CALLWATCH_SOCKET, CALLWATCH_TOKEN_FILE,
 * CALLWATCH_CA_FILE. */
void arguments_environment(struct arguments *arguments);
/* Only options in `allowed`? -EINVAL with a sentence. */
int arguments_allowed(const struct arguments *arguments, option_bits allowed, char error[ARGUMENTS_ERROR_MAX]);
/* What `-m` means; 0: there is no such. */
option_bits option_of_letter(int letter);
/* `--where EXPR`, its help; for the help pages. Returns NULL at the end. */
const char *option_describe(unsigned index, option_bits *ret_bit, const char **ret_help);

#endif
