/* SPDX-License-Identifier: MIT
 *
 * The `callwatch` command: finds the command, checks that its options and words fit, runs it. What is not a command is
 * taken for a table (`callwatch calls`).
 */
#include "client.h"
#include "complete.h"
#include "http.h"
#include "query.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What asks with `status --check` takes 2 for CRITICAL: a slip of the pen is 3, UNKNOWN. */
static int usage_code(bool is_check)
{
	return is_check ? EXIT_UNREACHABLE : EXIT_USAGE;
}

static int wrong_words(const struct command *command, bool is_check)
{
	complain("usage: callwatch %s%s%s\n`callwatch %s --help` says more", command->name, *command->usage ? " " : "",
		 command->usage, command->name);
	return usage_code(is_check);
}

static int wrong_format(const struct command *command, bool is_check)
{
	char *formats = command_list_formats(command);
	complain("`%s` prints --format %s", command->name, formats);
	free(formats);
	return usage_code(is_check);
}

static int run(const struct arguments *arguments)
{
	char error[ARGUMENTS_ERROR_MAX];
	const char *word = arguments->words[0];
	if (arguments->given & OPTION_VERSION) {
		puts("callwatch " CALLWATCH_VERSION);
		return EXIT_FINE;
	}
	if (word && strcmp(word, "help") == 0)
		return command_help(arguments, arguments->words[1]);
	if (arguments->given & OPTION_HELP)
		return command_help(arguments, word);
	if (!word) {
		help_print(stderr);
		return EXIT_USAGE;
	}
	const struct command *command = client_command(word);
	bool is_short = !command, is_check = arguments->given & OPTION_CHECK;
	if (is_short)
		command = client_command("get");
	if (arguments_allowed(arguments, command->options, error) != 0) {
		complain("%s", error);
		return usage_code(is_check);
	}
	if (!command_takes_format(command, arguments->format))
		return wrong_format(command, is_check);
	int words = arguments->words_count - (is_short ? 0 : 1);
	if (words < command->words_least || words > command->words_most)
		return wrong_words(command, is_check);
	return command->run(arguments);
}

/* What could not be written is a failure, except where nobody reads any more (`| head`). */
static int end(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	struct pollfd reader = {.fd = STDOUT_FILENO};
	if (poll(&reader, 1, 0) == 1 && (reader.revents & (POLLERR | POLLHUP)))
		return EXIT_FINE;
	complain("cannot write the output: %s", strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	char error[ARGUMENTS_ERROR_MAX];
	signal(SIGPIPE, SIG_IGN);
	screen_init();
	if (argc > 1 && strcmp(argv[1], COMPLETE_WORD) == 0)
		return end(complete(argc - 2, argv + 2));
	if (arguments_parse(&arguments, argc, argv, error) != 0) {
		complain("%s\n`callwatch --help` lists commands and options", error);
		return usage_code(arguments.given & OPTION_CHECK);
	}
	arguments_environment(&arguments);
	return end(run(&arguments));
}
