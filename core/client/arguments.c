/* SPDX-License-Identifier: MIT
 *
 * See arguments.h. getopt_long finds the options; the sentences are ours, because getopt's own do not name the nearest
 * valid one.
 */
#include "arguments.h"

#include "problems.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char *const format_names[] = {"table", "json", "ndjson", "csv", NULL};

static const struct option_row {
	option_bits bit;
	const char *name, *value; /* value NULL: takes none */
	const char *help;
} option_rows[] = {
	{OPTION_KEY, "key", "KEY", "the row with this key; repeatable"},
	{OPTION_WHERE, "where", "EXPR", "only rows for which this holds; repeated: all must"},
	{OPTION_ALL, "all", NULL, "all of them"},
	{OPTION_DRY_RUN, "dry-run", NULL, "do nothing; only show what would be done"},
	{OPTION_PLAN, "plan", "ID", "do what a dry run showed, on exactly those rows"},
	{OPTION_YES, "yes", NULL, "do not ask before what cannot be undone"},
	{OPTION_WAIT, "wait", NULL, "follow it to its end"},
	{OPTION_CANCEL, "cancel", "TASK", "ask a task to end early"},
	{OPTION_SORT, "sort", "[-]COL", "order by this column, with - the highest first"},
	{OPTION_LIMIT, "limit", "N", "at most N rows, 0 for all (default: 100; ndjson and csv: all)"},
	{OPTION_COLUMNS, "columns", "A,B", "these columns, in this order"},
	{OPTION_FORMAT, "format", "FORMAT", "table, json, ndjson or csv"},
	{OPTION_WATCH, "watch", NULL, "keep it up to date until Ctrl-C; not on a terminal: changes as ndjson"},
	{OPTION_FOLLOW, "follow", NULL, "keep it up to date until Ctrl-C"},
	{OPTION_REVEAL, "reveal", NULL, "full phone numbers (operators only; remembered as an event)"},
	{OPTION_INSTANCE, "instance", "NAME", "only the rows of this instance"},
	{OPTION_CHECK, "check", NULL, "one line and the exit codes of a Nagios plugin"},
	{OPTION_CONFIG, "config", "PATH", "-c PATH: a file or a directory; repeatable (default: callwatchd's own)"},
	{OPTION_NOTE, "note", "NOTE", "-m NOTE: what you know, or do about it"},
	{OPTION_DURATION, "duration", "TIME", "-d TIME: how long: 30m, 2h, 7d"},
	{OPTION_COMMENT, "comment", "TEXT", "-c TEXT: why"},
	{OPTION_FROM, "from", "TIME", "when it begins: 22:00, 2h, 2026-12-31T22:00 (default: now)"},
	{OPTION_EVERY, "every", "WINDOW", "only in this window of each week: 'Sun 02:00-04:00', 'Mon-Fri 12:00-13:00'"},
	{OPTION_TIMEZONE, "timezone", "ZONE", "whose clocks --every means: Europe/Berlin (default: UTC)"},
	{OPTION_SINCE, "since", "TIME", "from then on: 7d (ago), 02:10, 2026-11-30"},
	{OPTION_UNTIL, "until", "TIME", "up to then: 2h (ago), 02:10, 2026-11-30"},
	{OPTION_AT, "at", "TIME", "as it was then: 15m (ago), 02:10, 2026-11-30T02:10"},
	{OPTION_FILE, "file", "FILE", "what was recorded in this file, - for standard input"},
	{OPTION_SEND, "send", NULL, "send one test notification on its way"},
	{OPTION_ROLE, "role", "ROLE", "viewer or operator"},
	{OPTION_NAME, "name", "NAME", "by which it is known"},
	{OPTION_EXPIRES, "expires", "TIME", "not taken any more from then on: 2027-01-31, or how long from now: 90d"},
	{OPTION_SOCKET, "socket", "PATH",
	 "callwatchd's socket (default: $CALLWATCH_SOCKET or /run/callwatch/control.sock)"},
	{OPTION_URL, "url", "URL", "ask over the network instead (default: $CALLWATCH_URL)"},
	{OPTION_TOKEN_FILE, "token-file", "FILE", "the token for it (default: $CALLWATCH_TOKEN_FILE)"},
	{OPTION_CA_FILE, "ca-file", "FILE",
	 "the authorities to trust with https, instead of the system's (default: $CALLWATCH_CA_FILE)"},
	{OPTION_UTC, "utc", NULL, "times in UTC instead of local time"},
	{OPTION_HELP, "help", NULL, "this help"},
	{OPTION_VERSION, "version", NULL, "the version"},
};
enum { OPTION_ROWS = sizeof(option_rows) / sizeof(option_rows[0]) };

const char *option_describe(unsigned index, option_bits *ret_bit, const char **ret_help)
{
	static char text[64];
	if (index >= OPTION_ROWS)
		return NULL;
	const struct option_row *row = &option_rows[index];
	*ret_bit = row->bit;
	*ret_help = row->help;
	snprintf(text, sizeof(text), "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
	return text;
}

static void fill_getopt(struct option longs[OPTION_ROWS + 1])
{
	for (int i = 0; i < OPTION_ROWS; i++)
		longs[i] = (struct option){.name = option_rows[i].name,
					   .has_arg = option_rows[i].value ? required_argument : no_argument,
					   .val = 1000 + i};
	longs[OPTION_ROWS] = (struct option){0};
}

static int unknown_option(const char *written, char error[ARGUMENTS_ERROR_MAX])
{
	const char *names[OPTION_ROWS];
	char name[64];
	size_t dashes = strspn(written, "-");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(written + dashes, "="), written + dashes);
	for (int i = 0; i < OPTION_ROWS; i++)
		names[i] = option_rows[i].name;
	const char *nearest = dashes == 2 ? nearest_name(name, names, OPTION_ROWS) : NULL;
	if (nearest)
		snprintf(error, ARGUMENTS_ERROR_MAX, "there is no option --%s; did you mean --%s?", name, nearest);
	else
		snprintf(error, ARGUMENTS_ERROR_MAX, "there is no option %.*s%s", (int)dashes, written, name);
	return -EINVAL;
}

static int take_limit(struct arguments *arguments, const char *value, char error[ARGUMENTS_ERROR_MAX])
{
	char *end = NULL;
	errno = 0;
	long long limit = strtoll(value, &end, 10);
	if (errno || end == value || *end || limit < 0) {
		snprintf(error, ARGUMENTS_ERROR_MAX, "--limit takes a whole number, 0 for all; not \"%.60s\"", value);
		return -EINVAL;
	}
	arguments->limit = limit;
	return 0;
}

static int take_format(struct arguments *arguments, const char *value, char error[ARGUMENTS_ERROR_MAX])
{
	for (int i = 0; format_names[i]; i++) {
		if (strcmp(format_names[i], value) == 0) {
			arguments->format = (enum format)i;
			return 0;
		}
	}
	snprintf(error, ARGUMENTS_ERROR_MAX, "--format is table, json, ndjson or csv; not \"%.60s\"", value);
	return -EINVAL;
}

static int take_repeated(const char **list, size_t room, const char *name, const char *value,
			 char error[ARGUMENTS_ERROR_MAX])
{
	for (size_t i = 0; i < room; i++) {
		if (!list[i]) {
			list[i] = value;
			return 0;
		}
	}
	snprintf(error, ARGUMENTS_ERROR_MAX, "%s was given more than %zu times", name, room);
	return -EINVAL;
}

static int take_option(struct arguments *arguments, option_bits bit, const char *value, char error[ARGUMENTS_ERROR_MAX])
{
	arguments->given |= bit;
	switch (bit) {
	case OPTION_SOCKET:
		arguments->socket = value;
		return 0;
	case OPTION_URL:
		arguments->url = value;
		return 0;
	case OPTION_TOKEN_FILE:
		arguments->token_file = value;
		return 0;
	case OPTION_CA_FILE:
		arguments->ca_file = value;
		return 0;
	case OPTION_UTC:
		arguments->utc = true;
		return 0;
	case OPTION_WHERE:
		return take_repeated(arguments->where, ARGUMENTS_WHERE_MAX, "--where", value, error);
	case OPTION_SORT:
		arguments->sort = value;
		return 0;
	case OPTION_LIMIT:
		return take_limit(arguments, value, error);
	case OPTION_COLUMNS:
		arguments->columns = value;
		return 0;
	case OPTION_FORMAT:
		return take_format(arguments, value, error);
	case OPTION_WATCH:
	case OPTION_FOLLOW:
		arguments->watch = true;
		return 0;
	case OPTION_REVEAL:
		arguments->reveal = true;
		return 0;
	case OPTION_INSTANCE:
		arguments->instance = value;
		return 0;
	case OPTION_CHECK:
		arguments->check = true;
		return 0;
	case OPTION_KEY:
		return take_repeated(arguments->keys, ARGUMENTS_KEYS_MAX, "--key", value, error);
	case OPTION_ALL:
		arguments->all = true;
		return 0;
	case OPTION_DRY_RUN:
		arguments->dry_run = true;
		return 0;
	case OPTION_PLAN:
		arguments->plan = value;
		return 0;
	case OPTION_YES:
		arguments->yes = true;
		return 0;
	case OPTION_WAIT:
		arguments->wait = true;
		return 0;
	case OPTION_CANCEL:
		arguments->cancel = value;
		return 0;
	case OPTION_ROLE:
		arguments->role = value;
		return 0;
	case OPTION_NAME:
		arguments->name = value;
		return 0;
	case OPTION_EXPIRES:
		arguments->expires = value;
		return 0;
	case OPTION_NOTE:
		arguments->note = value;
		return 0;
	case OPTION_DURATION:
		arguments->duration = value;
		return 0;
	case OPTION_COMMENT:
		arguments->comment = value;
		return 0;
	case OPTION_FROM:
		arguments->from = value;
		return 0;
	case OPTION_EVERY:
		arguments->every = value;
		return 0;
	case OPTION_TIMEZONE:
		arguments->timezone = value;
		return 0;
	case OPTION_SINCE:
		arguments->since = value;
		return 0;
	case OPTION_UNTIL:
		arguments->until = value;
		return 0;
	case OPTION_AT:
		arguments->at = value;
		return 0;
	case OPTION_FILE:
		arguments->file = value;
		return 0;
	case OPTION_SEND:
		arguments->send = true;
		return 0;
	case OPTION_CONFIG:
		return take_repeated(arguments->config, ARGUMENTS_CONFIG_MAX, "-c", value, error);
	default: /* help and version: `given` is all there is to say */
		return 0;
	}
}

static int take_words(struct arguments *arguments, char **words, char error[ARGUMENTS_ERROR_MAX])
{
	enum { room = sizeof(arguments->words) / sizeof(arguments->words[0]) - 1 };
	for (; *words; words++) {
		if (arguments->words_count == room) {
			snprintf(error, ARGUMENTS_ERROR_MAX, "too many words, from \"%.60s\" on", *words);
			return -EINVAL;
		}
		arguments->words[arguments->words_count++] = *words;
	}
	return 0;
}

option_bits option_of_letter(int letter)
{
	switch (letter) {
	case 'c':
		return OPTION_CONFIG;
	case 'd':
		return OPTION_DURATION;
	case 'h':
		return OPTION_HELP;
	case 'm':
		return OPTION_NOTE;
	default:
		return 0;
	}
}

/* Which command it is, is known at the end only: `-c` was taken for what it is in most. */
static void settle_letter_c(struct arguments *arguments)
{
	const char **last = arguments->config;
	if (!arguments->words[0] || strcmp(arguments->words[0], "silence") != 0)
		return;
	while (last[0] && last[1])
		last++;
	arguments->comment = *last;
	arguments->config[0] = NULL;
	arguments->given = (arguments->given & ~(option_bits)OPTION_CONFIG) | OPTION_COMMENT;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv, char error[ARGUMENTS_ERROR_MAX])
{
	*arguments = (struct arguments){.limit = -1};
	struct option longs[OPTION_ROWS + 1];
	bool has_letter_c = false;
	fill_getopt(longs);
	optind = 0;
	opterr = 0;
	for (;;) {
		int found = getopt_long(argc, argv, ":c:d:hm:", longs, NULL);
		if (found == -1)
			break;
		if (found == '?')
			return unknown_option(argv[optind - 1], error);
		if (found == ':') {
			snprintf(error, ARGUMENTS_ERROR_MAX, "%.60s needs a value", argv[optind - 1]);
			return -EINVAL;
		}
		option_bits bit = found < 1000 ? option_of_letter(found) : option_rows[found - 1000].bit;
		int result = take_option(arguments, bit, optarg, error);
		if (result)
			return result;
		has_letter_c |= found == 'c';
	}
	int result = take_words(arguments, argv + optind, error);
	if (result == 0 && has_letter_c)
		settle_letter_c(arguments);
	return result;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

void arguments_environment(struct arguments *arguments)
{
	/* What the command line says about where to ask stands above all that the environment says about it. */
	if (!arguments->socket && !arguments->url) {
		arguments->url = environment("CALLWATCH_URL");
		arguments->socket = environment("CALLWATCH_SOCKET");
	}
	if (!arguments->token_file)
		arguments->token_file = environment("CALLWATCH_TOKEN_FILE");
	if (!arguments->ca_file)
		arguments->ca_file = environment("CALLWATCH_CA_FILE");
}

int arguments_allowed(const struct arguments *arguments, option_bits allowed, char error[ARGUMENTS_ERROR_MAX])
{
	option_bits wrong = arguments->given & ~(allowed | OPTIONS_ALWAYS);
	for (int i = 0; i < OPTION_ROWS; i++) {
		if (wrong & option_rows[i].bit) {
			snprintf(error, ARGUMENTS_ERROR_MAX, "`%.60s` takes no --%s", arguments->words[0],
				 option_rows[i].name);
			return -EINVAL;
		}
	}
	if ((arguments->given & OPTION_SOCKET) && (arguments->given & OPTION_URL)) {
		snprintf(error, ARGUMENTS_ERROR_MAX, "--socket and --url exclude each other");
		return -EINVAL;
	}
	return 0;
}
