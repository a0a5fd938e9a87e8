/* SPDX-License-Identifier: MIT
 *
 * See complete.h. What may stand there follows from the table of commands and that of options; names of tables,
 * instances and columns are callwatchd's to say, and if it does not say them within a second there are none.
 */
#include "complete.h"

#include "answer.h"
#include "client.h"
#include "http.h"
#include "loader.h"
#include "plugin_directories.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_S = 1, WORDS_MAX = 256 };

struct completion {
	struct arguments arguments;    /* of the words before the current one, as far as they can be understood */
	const struct command *command; /* NULL: none yet */
	const char *current;
	size_t length;
	json_t *tables; /* asked for once; NULL: not known */
	bool asked;
};

/* ---- candidates ---- */

static void offer(const struct completion *completion, const char *before, const char *word, const char *after)
{
	size_t n = strlen(before);
	char *whole = must_printf("%s%s%s", before, word, after);
	if (strncmp(whole, completion->current, completion->length) == 0 && !strpbrk(whole + n, " \t\n'\"\\$`"))
		puts(whole);
	free(whole);
}

static void offer_list(const struct completion *completion, const char *const *words)
{
	for (; *words; words++)
		offer(completion, "", *words, "");
}

/* What callwatchd says of its tables and instances. */
static const json_t *ask_tables(struct completion *completion)
{
	struct http_failure failure = {0};
	if (completion->asked)
		return completion->tables;
	completion->asked = true;
	struct http *http = http_open(&completion->arguments);
	if (http)
		completion->tables = http_json(http, "/api/v1/tables", PATIENCE_S, &failure);
	http_failure_release(&failure);
	http_close(http);
	return completion->tables;
}

static void offer_tables(struct completion *completion)
{
	size_t i;
	const json_t *table;
	json_array_foreach(json_object_get(ask_tables(completion), "tables"), i, table)
	{
		offer(completion, "", field_text(table, "name"), "");
	}
}

static void offer_instances(struct completion *completion)
{
	struct http_failure failure = {0};
	struct http *http = http_open(&completion->arguments);
	json_t *answer =
		http ? http_json(http, "/api/v1/tables/instances?limit=0&columns=instance", PATIENCE_S, &failure)
		     : NULL;
	size_t i;
	const json_t *row;
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		offer(completion, "", field_text(row, "instance"), "");
	}
	json_decref(answer);
	http_failure_release(&failure);
	http_close(http);
}

/* One column of a table's rows, each value once (they come in its order). */
static void offer_values(const struct completion *completion, const char *table, const char *column, const char *where)
{
	struct http_failure failure = {0};
	struct http *http = http_open(&completion->arguments);
	struct path *path = path_new("/api/v1/tables");
	path_segment(path, table);
	path_query(path, "limit", "500");
	path_query(path, "columns", column);
	path_query(path, "sort", column);
	path_query(path, "where", where);
	json_t *answer = http ? http_json(http, path_text(path), PATIENCE_S, &failure) : NULL;
	const char *last = "";
	size_t i;
	const json_t *row;
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		if (strcmp(field_text(row, column), last) != 0)
			offer(completion, "", field_text(row, column), "");
		last = field_text(row, column);
	}
	path_free(path);
	json_decref(answer);
	http_failure_release(&failure);
	http_close(http);
}

/* Behind a rule's name: the subjects for which it fires. */
static void offer_subjects(const struct completion *completion)
{
	char *where = must_printf("alert=%s", completion->arguments.words[1]);
	offer_values(completion, "alerts", "subject", where);
	free(where);
}

/* The second word behind a command whose first is a verb. */
static void offer_behind_verb(const struct completion *completion)
{
	const char *const *words = completion->arguments.words;
	if (strcmp(words[0], "silence") == 0 && strcmp(words[1], "expire") == 0)
		offer_values(completion, "silences", "id", /* where: */ NULL);
	else if (strcmp(words[0], "silence") == 0 && strcmp(words[1], "add") == 0)
		offer_values(completion, "rules", "name", /* where: */ NULL);
	else if (strcmp(words[0], "rules") == 0)
		offer_values(completion, "rules", "name", /* where: */ NULL);
}

/* The actions of all instances, new reference; NULL: not known. */
static json_t *ask_actions(const struct completion *completion)
{
	struct http_failure failure = {0};
	struct http *http = http_open(&completion->arguments);
	json_t *answer = http ? http_json(http, "/api/v1/actions", PATIENCE_S, &failure) : NULL;
	http_failure_release(&failure);
	http_close(http);
	return answer;
}

static void offer_acting(const struct completion *completion)
{
	json_t *answer = ask_actions(completion);
	const json_t *action;
	const char *last = "";
	size_t i;
	json_array_foreach(json_object_get(answer, "actions"), i, action)
	{
		const char *name = field_text(action, "instance");
		if (strcmp(name, last) != 0)
			offer(completion, "", name, "");
		last = name;
	}
	json_decref(answer);
}

static void offer_arguments(const struct completion *completion, const json_t *action)
{
	const json_t *argument;
	size_t i;
	json_array_foreach(json_object_get(action, "arguments"), i, argument)
	{
		offer(completion, "", field_text(argument, "name"), "=");
	}
}

/* Behind the instance: its actions, or the arguments of the one that is named, or of its only one. */
static void offer_action_words(const struct completion *completion)
{
	const struct arguments *arguments = &completion->arguments;
	const char *instance = arguments->words[1], *name = arguments->words[2];
	json_t *answer = ask_actions(completion);
	const json_t *action;
	size_t i;
	const char *named = name && !strchr(name, '=') ? name : NULL;
	json_array_foreach(json_object_get(answer, "actions"), i, action)
	{
		if (strcmp(field_text(action, "instance"), instance) != 0)
			continue;
		if (!name)
			offer(completion, "", field_text(action, "action"), "");
		else if (!named || strcmp(field_text(action, "action"), named) == 0)
			offer_arguments(completion, action);
	}
	json_decref(answer);
}

/* Of the table that the command line names; the last of a list `a,b,` is being typed. */
static void offer_columns(struct completion *completion, const char *before, const char *after)
{
	const struct arguments *arguments = &completion->arguments;
	bool is_get = strcmp(completion->command->name, "get") == 0 && arguments->words[0] &&
		      strcmp(arguments->words[0], "get") == 0;
	const char *command = completion->command->name;
	bool is_table =
		strcmp(command, "events") == 0 || strcmp(command, "alerts") == 0 || strcmp(command, "rules") == 0;
	const char *name = is_table ? command : is_get ? arguments->words[1] : arguments->words[0];
	const json_t *table = name ? table_entry(ask_tables(completion), name) : NULL, *column;
	size_t i;
	json_array_foreach(json_object_get(table, "columns"), i, column)
	{
		offer(completion, before, field_text(column, "name"), after);
	}
}

static void offer_listed_columns(struct completion *completion)
{
	const char *comma = strrchr(completion->current, ',');
	char *before = must_printf("%.*s", comma ? (int)(comma + 1 - completion->current) : 0, completion->current);
	offer_columns(completion, before, "");
	free(before);
}

static void offer_sort(struct completion *completion)
{
	offer_columns(completion, *completion->current == '-' ? "-" : "", "");
}

static void offer_where(struct completion *completion)
{
	if (!strpbrk(completion->current, "=<>~!"))
		offer_columns(completion, "", "=");
}

static void offer_plugin(void *arg, const struct plugin *plugin, const char *error)
{
	(void)error;
	if (plugin)
		offer(arg, "", plugin->decl.name, "");
}

static void offer_files(void)
{
	puts(":files");
}

static void offer_plugins(struct completion *completion)
{
	if (strchr(completion->current, '/')) {
		offer_files();
		return;
	}
	const char *const *config = completion->arguments.config;
	plugin_directories_read(config[0] ? config : NULL);
	loader_list(offer_plugin, completion);
}

static void offer_commands(const struct completion *completion)
{
	for (const struct command *command = client_commands; command->name; command++)
		offer(completion, "", command->name, "");
	offer(completion, "", "help", "");
}

static void offer_options(const struct completion *completion)
{
	option_bits bit, allowed = OPTIONS_ALWAYS | (completion->command ? completion->command->options : 0);
	const char *help, *text;
	for (unsigned i = 0; (text = option_describe(i, &bit, &help)); i++) {
		char *name = must_printf("%.*s", (int)strcspn(text, " "), text);
		if (bit & allowed)
			offer(completion, "", name, "");
		free(name);
	}
}

/* ---- where we are ---- */

static void offer_value(struct completion *completion, option_bits bit)
{
	static const char *const roles[] = {"viewer", "operator", NULL};
	bool has_table = completion->command && (completion->command->options & OPTION_COLUMNS);
	if (bit == OPTION_CONFIG && completion->command && !(completion->command->options & OPTION_CONFIG))
		return;
	if (bit & (OPTION_SOCKET | OPTION_TOKEN_FILE | OPTION_CA_FILE | OPTION_CONFIG))
		offer_files();
	else if (bit == OPTION_FORMAT)
		offer_list(completion, completion->command ? command_formats(completion->command) : format_names);
	else if (bit == OPTION_ROLE)
		offer_list(completion, roles);
	else if (bit == OPTION_INSTANCE)
		offer_instances(completion);
	else if (bit == OPTION_COLUMNS && has_table)
		offer_listed_columns(completion);
	else if (bit == OPTION_SORT && has_table)
		offer_sort(completion);
	else if (bit == OPTION_WHERE && has_table)
		offer_where(completion);
}

/* The bit of the option that `word` is and that wants a value; 0: it is none. */
static option_bits wants_value(const char *word)
{
	option_bits bit;
	const char *help, *text;
	if (word[0] == '-' && word[1] && word[1] != '-' && !word[2])
		return option_of_letter(word[1]) & ~(option_bits)OPTION_HELP;
	for (unsigned i = 0; (text = option_describe(i, &bit, &help)); i++) {
		size_t length = strcspn(text, " ");
		if (text[length] && strlen(word) == length && strncmp(word, text, length) == 0)
			return bit;
	}
	return 0;
}

/* The first word behind the command; what a key is like nobody knows. */
static void offer_first(struct completion *completion)
{
	switch (completion->command->first) {
	case FIRST_TABLE:
		offer_tables(completion);
		break;
	case FIRST_INSTANCE:
		offer_instances(completion);
		break;
	case FIRST_ACTING:
		offer_acting(completion);
		break;
	case FIRST_PLUGIN:
		offer_plugins(completion);
		break;
	case FIRST_ALERT:
		offer_values(completion, "rules", "name", /* where: */ NULL);
		break;
	case FIRST_CHOICE:
		offer_list(completion, completion->command->choices);
		break;
	case FIRST_NONE:
		break;
	}
}

/* Behind two words: a command and what its first word is. */
static void offer_second(struct completion *completion)
{
	switch (completion->command->first) {
	case FIRST_ALERT:
		offer_subjects(completion);
		break;
	case FIRST_CHOICE:
		offer_behind_verb(completion);
		break;
	default:
		break;
	}
}

static void offer_words(struct completion *completion)
{
	const struct arguments *arguments = &completion->arguments;
	const char *const *words = arguments->words;
	if (arguments->words_count == 0) {
		offer_commands(completion);
		offer_tables(completion);
	} else if (arguments->words_count == 1 && strcmp(words[0], "help") == 0) {
		offer_commands(completion);
	} else if (arguments->words_count == 1 && client_command(words[0])) {
		offer_first(completion);
	} else if (completion->command && completion->command->first == FIRST_ACTING) {
		offer_action_words(completion);
	} else if (completion->command && arguments->words_count == 2) {
		offer_second(completion);
	}
}

static void find_command(struct completion *completion)
{
	const char *word = completion->arguments.words[0];
	if (word)
		completion->command = client_command(word) ? client_command(word) : client_command("get");
}

/* What stands before, as far as it can be understood. */
static void read_before(struct completion *completion, char **words, int count)
{
	char error[ARGUMENTS_ERROR_MAX], *before[WORDS_MAX + 2] = {"callwatch"};
	memcpy(before + 1, words, (size_t)count * sizeof *before);
	(void)arguments_parse(&completion->arguments, count + 1, before, error);
	arguments_environment(&completion->arguments);
	find_command(completion);
}

/* bash makes three words of `--format=js`, and of `--format=` two. */
int complete(int count, char **words)
{
	if (count < 1 || count > WORDS_MAX)
		return EXIT_USAGE;
	bool is_equals = strcmp(words[count - 1], "=") == 0;
	struct completion completion = {.current = is_equals ? "" : words[count - 1]};
	completion.length = strlen(completion.current);
	int before = count - 1;
	if (!is_equals && before > 0 && strcmp(words[before - 1], "=") == 0)
		before--;
	option_bits value_of = before > 0 ? wants_value(words[before - 1]) : 0;
	read_before(&completion, words, value_of ? before - 1 : count - 1);
	if (value_of)
		offer_value(&completion, value_of);
	else if (*completion.current == '-')
		offer_options(&completion);
	else
		offer_words(&completion);
	json_decref(completion.tables);
	return EXIT_FINE;
}
