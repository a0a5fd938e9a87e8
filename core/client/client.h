/* SPDX-License-Identifier: MIT
 *
 * The `callwatch` command: what its files share. It asks callwatchd over HTTP (UNIX socket or URL) and shows the
 * answer; `plugins` and `config` need no daemon and use the core's loader and configuration directly. The client knows
 * no table and no plugin by name: columns, units and choices come from the server's descriptions.
 *
 * Each command is one function that takes the arguments and returns the exit code. Memory that runs out ends the
 * program (must()): a command that prints and ends has nothing to save.
 */
#ifndef CALLWATCH_CLIENT_H
#define CALLWATCH_CLIENT_H

#include "arguments.h"
#include "screen.h"

#include "callwatch/types.h"

enum exit_code { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3, EXIT_BAD_CONFIG = 78 };

/* What the first word behind a command names. */
enum first_word { FIRST_NONE, FIRST_TABLE, FIRST_INSTANCE, FIRST_ACTING, FIRST_PLUGIN, FIRST_ALERT, FIRST_CHOICE };

struct command {
	const char *name;
	const char *usage;   /* what stands behind the name */
	const char *summary; /* one line of the list */
	const char *help;    /* the rest: paragraphs and examples */
	option_bits options; /* bits it takes, beyond the ones all take */
	int words_least, words_most;
	int (*run)(const struct arguments *arguments);
	enum first_word first;      /* for completion */
	const char *const *choices; /* FIRST_CHOICE: NULL-terminated */
};

/* The table of commands, in the order of the help; ends with a NULL name. */
extern const struct command client_commands[];
const struct command *client_command(const char *name); /* NULL: no such */
/* What its --format may say, in the order of enum format; ends with NULL. */
const char *const *command_formats(const struct command *command);
bool command_takes_format(const struct command *command, enum format format);
char *command_list_formats(const struct command *command); /* `table, json or csv`; to be freed */
void help_print(FILE *out);
/* The help of a command or a table; NULL: of all. */
int command_help(const struct arguments *arguments, const char *word);

int command_status(const struct arguments *arguments);
int command_get(const struct arguments *arguments);
int command_events(const struct arguments *arguments);
int command_note(const struct arguments *arguments);
int command_describe(const struct arguments *arguments);
int command_plugins(const struct arguments *arguments);
int command_config(const struct arguments *arguments);
int command_reload(const struct arguments *arguments);
int command_doctor(const struct arguments *arguments);
int command_trigger(const struct arguments *arguments);
int command_alerts(const struct arguments *arguments);
int command_why(const struct arguments *arguments);
int command_ack(const struct arguments *arguments);
int command_silence(const struct arguments *arguments);
int command_rules(const struct arguments *arguments);
int command_passwd(const struct arguments *arguments);
int command_token(const struct arguments *arguments);

/* One sentence on stderr, `callwatch: …`, made visible line by line. */
void complain(const char *format, ...) CW_PRINTF(1, 2);
/* The pointer, or the end of the program if it is NULL. */
void *must(void *memory);
char *must_printf(const char *format, ...) CW_PRINTF(1, 2);

#endif
