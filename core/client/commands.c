/* SPDX-License-Identifier: MIT
 *
 * The table of commands with their help, and the help pages. A command is one row here and one function.
 */
#include "client.h"
#include "http.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

enum {
	OPTIONS_ROWS = OPTION_WHERE | OPTION_SORT | OPTION_LIMIT | OPTION_COLUMNS | OPTION_FORMAT | OPTION_WATCH |
		       OPTION_REVEAL | OPTION_INSTANCE
};

static const char help_status[] =
	"One screen in two blocks: callwatch (is every instance up, what waits in queues, how fresh is what it saw) "
	"and\n"
	"platform (the alerts that fire, the worst first; each table with its states). What a blind source left behind "
	"is\n"
	"marked LAST KNOWN with its age.\n"
	"\n"
	"Exit code, of callwatch itself: 0 healthy, 1 degraded, 3 callwatchd cannot be reached. With --check one line\n"
	"with figures, and 0 OK, 1 WARNING (an alert of severity warning fires, an instance is degraded or starting, "
	"or\n"
	"samples were lost in the last 5 minutes), 2 CRITICAL (a critical alert fires, an instance is down or stuck),\n"
	"3 UNKNOWN (cannot be reached, or asked wrongly). Silenced alerts do not count.\n"
	"\n"
	"Examples\n"
	"  callwatch status\n"
	"  callwatch status --check               # in Nagios, Icinga, cron\n";

static const char help_get[] =
	"Rows of a table; the short form is the table's name alone. Without TABLE: which tables there are. The line "
	"below\n"
	"the rows says how many match, whether all have been seen, and how long ago they were confirmed.\n"
	"\n"
	"EXPR is one condition, several --where must all hold:\n"
	"  COL=V  COL!=V      equal, not equal                COL~TEXT          contains, in any case\n"
	"  COL>V  >=  <  <=   units allowed: 4h, 90s, 10KiB   COL=~RE  COL!~RE  regular expression\n"
	"  COL=null           not known\n"
	"\n"
	"table is for people and may change; json, ndjson and csv are the server's own bytes. ndjson and csv stream "
	"all\n"
	"rows, however many. --watch redraws on a terminal and prints changes as ndjson elsewhere.\n"
	"\n"
	"--at shows a table with states as it was, from the log of what happened; what changed without a trace "
	"between\n"
	"two changes of state is not known then.\n"
	"\n"
	"Examples\n"
	"  callwatch calls\n"
	"  callwatch calls --at 02:10 --where health_status!=healthy\n"
	"  callwatch calls --where health_status=stale --sort -duration_seconds\n"
	"  callwatch calls --where 'duration_seconds>4h' --where 'business_name~acme'\n"
	"  callwatch calls --watch --where health_status!=healthy\n"
	"  callwatch calls --format csv --columns call_sid,start_time >calls.csv\n"
	"  callwatch get instances calls --format json\n";

static const char help_describe[] = "One row with all its columns, and the timeline of what happened to it.\n"
				    "\n"
				    "Examples\n"
				    "  callwatch describe calls CA0123456789abcdef0123456789abcdef\n"
				    "  callwatch describe instances calls\n";

static const char help_events[] =
	"What happened, the newest first: transitions, alerts, notifications, actions, states of sources, "
	"reloads, notes.\n"
	"Kept for 30 days, where callwatchd has a state_dir. ndjson and csv stream all of it.\n"
	"\n"
	"Examples\n"
	"  callwatch events --since 2h\n"
	"  callwatch events --since 02:00 --until 02:30 --where kind=alert --limit 0\n"
	"  callwatch events --where subject=calls/CA0123456789abcdef0123456789abcdef\n"
	"  callwatch events --where kind=transition --where to=stale --follow\n";

static const char help_note[] = "Puts a mark into the event log, by whom, so that others see later what was done.\n"
				"\n"
				"Examples\n"
				"  callwatch note deploy of backend 4.2\n"
				"  callwatch events --where kind=note\n";

static const char help_doctor[] =
	"Finds out what is wrong, rung by rung. Is callwatchd reached? Of each instance, or of INSTANCE: does\n"
	"its loop come round, what does it say of itself, are its readings or its queue in order; then the\n"
	"checks of its plugin, tried afresh: name, connection, sign-in, rights and so on. What rests on a\n"
	"broken rung is not tried. The last lines name the first broken rung of each instance.\n"
	"\n"
	"A callwatchd that cannot be reached is the first broken rung itself: then its configuration (-c names\n"
	"another one than callwatchd's own) and its process are looked at from here.\n"
	"\n"
	"Exit code: 0 nothing is broken, 1 something is, 3 callwatchd cannot be reached.\n"
	"\n"
	"Examples\n"
	"  callwatch doctor\n"
	"  callwatch doctor calls\n"
	"  callwatch doctor --format json | jq '.broken'\n";

static const char help_plugins[] =
	"Without a name: the plugins there are. With a name or a file (./x.so, with a slash): its options, tables,\n"
	"metrics, the rights it needs on a server (the ACL line, the GRANT), what `doctor` checks, and a sample\n"
	"configuration. No daemon is asked. Plugins are looked for where callwatchd\n"
	"would: `agent.plugin_dir` of the configuration (-c names another one).\n"
	"\n"
	"Examples\n"
	"  callwatch plugins\n"
	"  callwatch plugins redis-calls\n"
	"  callwatch plugins ./build/my-plugin.so\n";

static const char help_config[] =
	"`config show` prints the configuration as callwatchd merges it from all files, each key with the place it "
	"comes\n"
	"from, secrets as ***. No daemon is asked. What is wrong with its form goes to stderr; exit code 78\n"
	"then. What its keys and values mean is checked by `callwatchd -t`.\n"
	"\n"
	"`config diff` asks callwatchd what a reload would do now: a line for each instance that would be started,\n"
	"restarted (with the options that changed) or stopped. What callwatchd would refuse is printed as\n"
	"file:line:column; exit code 78 then.\n"
	"\n"
	"Examples\n"
	"  callwatch config show\n"
	"  callwatch config diff && callwatch reload\n"
	"  callwatch config show -c /etc/callwatch/conf.d -c extra.yaml\n";

static const char help_reload[] = "callwatchd reads its configuration again. Instances whose options did not change "
				  "are not touched; with any error\n"
				  "nothing changes, and all errors are printed. Exit code: 0 reloaded, 1 not.\n";

static const char help_passwd[] =
	"Makes the lines of configuration by which somebody may ask callwatchd over TCP with a name and a password. "
	"The\n"
	"password is asked for twice, or read as one line where stdin is no terminal; what is printed is its hash. No\n"
	"daemon is asked: put the lines into the configuration of the plugin web and `callwatch reload`.\n"
	"\n"
	"Examples\n"
	"  callwatch passwd --name ada --role operator\n"
	"  pwgen 20 1 | tee password | callwatch passwd --name grafana\n";

static const char help_token[] =
	"Makes a token by which a program may ask callwatchd over TCP, prints it once, and the lines of configuration\n"
	"that hold its hash. No daemon is asked: put the lines into the configuration of the plugin web and\n"
	"`callwatch reload`.\n"
	"\n"
	"Examples\n"
	"  callwatch token add --role viewer --name prometheus\n"
	"  callwatch token add --role operator --name deploy --expires 90d\n"
	"  callwatch --url https://callwatch.example.net:8470 --token-file ~/.callwatch-token status\n";

static const char help_trigger[] =
	"Asks an instance to do something. Without INSTANCE: what can be asked for. An instance's only action need "
	"not\n"
	"be named. `callwatch plugins NAME` shows arguments with their defaults.\n"
	"\n"
	"An action on rows of a table needs to know which: --key, --where (several must all hold) or --all. --dry-run\n"
	"shows them and does nothing; --plan ID --yes then does it on exactly these rows. What cannot be undone is\n"
	"shown and asked about first; where there is no terminal it needs --yes.\n"
	"\n"
	"It is done by callwatchd: `callwatch tasks` lists what was asked for, `callwatch outcomes --where "
	"task_id=TASK`\n"
	"what became of each row. --wait follows a task to its end; Ctrl-C ends the looking and not the task,\n"
	"--cancel TASK ends the task.\n"
	"\n"
	"Exit code: 0 begun, or with --wait success; 1 not begun, or error or cancelled; 4 with --wait: lost, or\n"
	"nothing was heard of it for a minute; 130 with --wait: Ctrl-C.\n"
	"\n"
	"Examples\n"
	"  callwatch trigger\n"
	"  callwatch trigger reconciliation --wait\n"
	"  callwatch trigger dlq retry --where 'error_group~timeout' --dry-run\n"
	"  callwatch trigger dlq retry --plan p019aa12b3c4d --yes --wait\n"
	"  callwatch trigger dlq retry rate=20 --key 4f1d --key 9e02\n"
	"  callwatch trigger --cancel t019aa12b3c4d\n";

static const char help_alerts[] =
	"What fires, the worst first; then what cannot be judged because its source is blind, then what may fire "
	"soon.\n"
	"Beside each who knows of it: whom it was told, who acknowledged it, which silence mutes it. Below them what\n"
	"those that fire have in common, and which sources are blind: where nothing can be seen, nothing fires "
	"either.\n"
	"\n"
	"--all also shows what has ended within the last hour. json, ndjson and csv are those of `get alerts`.\n"
	"\n"
	"Examples\n"
	"  callwatch alerts\n"
	"  callwatch alerts --where severity=critical\n"
	"  callwatch alerts --where alert=call-stale --where 'common~ai-7'\n"
	"  callwatch alerts --watch\n";

static const char help_why[] =
	"The whole life of an alert: does it fire and since when, or how long has it held of the time that it needs; "
	"what\n"
	"the rule says and means; what the subjects have in common; who acknowledged or silenced it until when; who "
	"was\n"
	"told what and when, in how many attempts, what was answered, when it is tried again; and if nobody was told, "
	"why.\n"
	"\n"
	"ALERT is the name of a rule, SUBJECT the key of a row or a series; `call-stale/CA123` names both. Without\n"
	"SUBJECT: all of this rule. What does not fire now is told from the event log.\n"
	"\n"
	"Examples\n"
	"  callwatch why calls-stale-many\n"
	"  callwatch why call-stale CA0123456789abcdef0123456789abcdef\n";

static const char help_ack[] =
	"Says that you know of it and look at it: it is not repeated while all that fire are acknowledged. When it "
	"ends,\n"
	"that is still told. Without SUBJECT: all of this rule that fire now. Operators only.\n"
	"\n"
	"Examples\n"
	"  callwatch ack call-stale CA0123456789abcdef0123456789abcdef -m 'hung up by hand, Ada'\n"
	"  callwatch ack calls-stale-many -m 'worker ai-7 is being restarted'\n";

static const char help_silence[] =
	"`silence add EXPR… -d TIME -c COMMENT` mutes the alerts for which all EXPR hold, and prints what it mutes "
	"now:\n"
	"expressions as everywhere, over alertname, severity, instance, subject, the rule's labels and the columns of "
	"the\n"
	"row. A rule's name alone is short for alertname=NAME; everything must be said: --all. --dry-run only prints.\n"
	"With --every it mutes only in that window of each week. Muted alerts still fire, and are shown by `alerts`; "
	"that\n"
	"one has ended is told if it was told that it fires. A dead man's switch is never muted. Operators only.\n"
	"\n"
	"`silence list` shows those that last or will begin, with --all those of the last days. `silence expire ID` "
	"ends\n"
	"one.\n"
	"\n"
	"Examples\n"
	"  callwatch silence add call-stale worker=ai-7 -d 30m -c 'deploy of ai-7' --dry-run\n"
	"  callwatch silence add alertname=~dlq-.* -d 2h -c 'replaying dead letters'\n"
	"  callwatch silence add --all -d 365d -c 'weekly backup' --every 'Sun 02:00-04:00' --timezone Europe/Berlin\n"
	"  callwatch silence list\n";

static const char help_rules[] =
	"Which rules there are and how they stand; and trying one, in three ways:\n"
	"\n"
	"`rules test [NAME] --since TIME` says when each rule of the configuration here (-c, default:\n"
	"callwatchd's own) would have fired, for whom and how long, by what callwatchd remembers: each change of\n"
	"a state, and some 400 looks at the tables as they were on the way. So a rule can be tried before it is\n"
	"in force. `--file FILE` does the same with a record: lines of JSON in the order of time, samples as\n"
	"plugin stdout prints them (format: json), events as `callwatch events --format ndjson` does, or rows:\n"
	"{\"time\":…,\"table\":…,\"row\":{…}}. Rules about samples need a record. Silences, routes and inhibition\n"
	"are not tried.\n"
	"\n"
	"`rules test NAME --send` sends one test notification on the way that the rule's alerts would take, and\n"
	"says whom it reached. Operators only.\n"
	"\n"
	"Exit code of a test: 0 it could be tried, or everybody has it; 1 it could not, or somebody has not; 78\n"
	"the configuration is wrong.\n"
	"\n"
	"Examples\n"
	"  callwatch rules\n"
	"  callwatch rules test --since 7d\n"
	"  callwatch rules test call-too-long --since 02:00 -c /etc/callwatch/conf.d -c ./new-rules.yaml\n"
	"  callwatch rules test --file samples.ndjson\n"
	"  callwatch rules test call-stale --send\n";

static const char *const silence_words[] = {"add", "list", "expire", NULL}, *const rules_words[] = {"test", NULL};
static const char *const config_words[] = {"show", "diff", NULL}, *const token_words[] = {"add", NULL};

const struct command client_commands[] = {
	{"status", "[--check]", "how callwatch and the platform are", help_status, OPTION_CHECK, 0, 0, command_status,
	 FIRST_NONE, NULL},
	{"get", "[TABLE [KEY]]", "rows of a table (short: `callwatch TABLE`)", help_get, OPTIONS_ROWS | OPTION_AT, 0, 2,
	 command_get, FIRST_TABLE, NULL},
	{"describe", "TABLE KEY", "one row with its timeline", help_describe, OPTION_REVEAL | OPTION_INSTANCE, 2, 2,
	 command_describe, FIRST_TABLE, NULL},
	{"events", "", "what happened", help_events, OPTIONS_ROWS | OPTION_FOLLOW | OPTION_SINCE | OPTION_UNTIL, 0, 0,
	 command_events, FIRST_NONE, NULL},
	{"note", "TEXT", "put a mark into the event log", help_note, 0, 1, 30, command_note, FIRST_NONE, NULL},
	{"alerts", "[--where EXPR]… [--all]", "what fires, and who knows of it", help_alerts, OPTIONS_ROWS | OPTION_ALL,
	 0, 0, command_alerts, FIRST_NONE, NULL},
	{"why", "ALERT [SUBJECT]", "the whole life of an alert", help_why, OPTION_INSTANCE, 1, 2, command_why,
	 FIRST_ALERT, NULL},
	{"ack", "ALERT [SUBJECT] -m NOTE", "say that you look at it", help_ack, OPTION_NOTE | OPTION_INSTANCE, 1, 2,
	 command_ack, FIRST_ALERT, NULL},
	{"silence", "add EXPR… -d TIME -c COMMENT | list | expire ID", "mute alerts for a while", help_silence,
	 OPTION_DURATION | OPTION_COMMENT | OPTION_EVERY | OPTION_TIMEZONE | OPTION_FROM | OPTION_ALL | OPTION_DRY_RUN |
		 OPTION_FORMAT,
	 1, 30, command_silence, FIRST_CHOICE, silence_words},
	{"rules", "[test [NAME] --since TIME | --file FILE | --send]", "which rules there are, and trying one",
	 help_rules, OPTIONS_ROWS | OPTION_SEND | OPTION_SINCE | OPTION_FILE | OPTION_CONFIG, 0, 2, command_rules,
	 FIRST_CHOICE, rules_words},
	{"plugins", "[NAME | ./FILE.so]", "what plugins offer: options, tables, metrics, a sample", help_plugins,
	 OPTION_CONFIG, 0, 1, command_plugins, FIRST_PLUGIN, NULL},
	{"doctor", "[INSTANCE]", "what is wrong, and what to do about it", help_doctor, OPTION_FORMAT | OPTION_CONFIG,
	 0, 1, command_doctor, FIRST_INSTANCE, NULL},
	{"trigger", "[INSTANCE [ACTION] [ARG=V]…]", "ask an instance to do something", help_trigger,
	 OPTION_KEY | OPTION_WHERE | OPTION_ALL | OPTION_DRY_RUN | OPTION_PLAN | OPTION_YES | OPTION_WAIT |
		 OPTION_CANCEL,
	 0, 30, command_trigger, FIRST_ACTING, NULL},
	{"config", "show [-c PATH]… | diff", "the configuration and where it comes from; what a reload would do",
	 help_config, OPTION_CONFIG, 1, 1, command_config, FIRST_CHOICE, config_words},
	{"reload", "", "read the configuration again", help_reload, 0, 0, 0, command_reload, FIRST_NONE, NULL},
	{"passwd", "[--role viewer|operator]", "make a user's password for asking over TCP", help_passwd,
	 OPTION_ROLE | OPTION_NAME, 0, 0, command_passwd, FIRST_NONE, NULL},
	{"token", "add --role viewer|operator", "make a token for asking over TCP", help_token,
	 OPTION_ROLE | OPTION_NAME | OPTION_EXPIRES, 1, 1, command_token, FIRST_CHOICE, token_words},
	{0},
};

const struct command *client_command(const char *name)
{
	for (const struct command *command = client_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

const char *const *command_formats(const struct command *command)
{
	static const char *const of_documents[] = {"table", "json", NULL};
	return command->run == command_doctor ? of_documents : format_names;
}

bool command_takes_format(const struct command *command, enum format format)
{
	const char *const *names = command_formats(command);
	for (enum format i = FORMAT_TABLE; names[i]; i++)
		if (i == format)
			return true;
	return false;
}

char *command_list_formats(const struct command *command)
{
	const char *const *names = command_formats(command);
	char *list = must(strdup(names[0]));
	for (size_t i = 1; names[i]; i++) {
		char *longer = must_printf("%s%s%s", list, names[i + 1] ? ", " : " or ", names[i]);
		free(list);
		list = longer;
	}
	return list;
}

/* `command`: whose options these are; NULL: all commands'. */
static void print_options(const struct command *command, option_bits bits, FILE *out)
{
	option_bits bit;
	const char *help, *text;
	struct screen uncut = {0};
	struct grid *grid = grid_new(2, /* indent: */ 2);
	grid_no_titles(grid);
	for (unsigned i = 0; (text = option_describe(i, &bit, &help)); i++) {
		if (!(bits & bit))
			continue;
		char *formats = bit == OPTION_FORMAT && command ? command_list_formats(command) : NULL;
		grid_cell(grid, TONE_PLAIN, text);
		grid_cell(grid, TONE_PLAIN, formats ? formats : help);
		free(formats);
	}
	free(grid_print(grid, &uncut, /* most: */ 0, out));
	grid_free(grid);
}

void help_print(FILE *out)
{
	fputs("callwatch shows which calls are in progress and whether they are alive, as callwatchd sees them.\n\n"
	      "Usage: callwatch [OPTIONS] COMMAND\n\nCommands\n",
	      out);
	struct screen uncut = {0};
	struct grid *grid = grid_new(2, /* indent: */ 2);
	grid_no_titles(grid);
	for (const struct command *command = client_commands; command->name; command++) {
		char *usage = must_printf("%s%s%s", command->name, *command->usage ? " " : "", command->usage);
		grid_cell(grid, TONE_PLAIN, usage);
		grid_cell(grid, TONE_PLAIN, command->summary);
		free(usage);
	}
	grid_cell(grid, TONE_PLAIN, "TABLE [KEY]");
	grid_cell(grid, TONE_PLAIN, "short for `get TABLE`: `callwatch calls`");
	free(grid_print(grid, &uncut, /* most: */ 0, out));
	grid_free(grid);
	fputs("\nOptions of all commands\n", out);
	print_options(/* command: */ NULL, OPTIONS_ALWAYS, out);
	fputs("\nExamples\n"
	      "  callwatch status                                    # is all well?\n"
	      "  callwatch alerts                                    # what fires, and who knows of it\n"
	      "  callwatch calls --where health_status=stale         # calls whose heartbeat is gone\n"
	      "  callwatch calls --watch                             # live, until Ctrl-C\n"
	      "  callwatch calls --format json | jq '.rows[].call_sid'\n"
	      "\n`callwatch COMMAND --help` says more, `callwatch get` lists the tables.\n",
	      out);
}

static void print_command(const struct command *command, FILE *out)
{
	if (!command)
		return;
	fprintf(out, "Usage: callwatch %s%s%s%s\n\n%s", command->name, *command->usage ? " " : "", command->usage,
		command->options ? " [OPTIONS]" : "", command->help);
	if (command->options)
		fputs("\nOptions\n", out);
	print_options(command, command->options, out);
	fputs("\nOptions of all commands\n", out);
	print_options(command, OPTIONS_ALWAYS, out);
}

static void print_columns(const struct table_info *info)
{
	struct screen uncut = {0};
	struct grid *grid = grid_new(4, /* indent: */ 2);
	grid_no_titles(grid);
	for (uint32_t i = 0; i < info->columns_count; i++) {
		const struct column_info *column = &info->columns[i];
		const json_t *choices = column->choices;
		char *text = visible(column->name), *unit = visible(column->unit), *help = visible(column->help);
		char *values = must(strdup(""));
		for (size_t j = 0; j < json_array_size(choices); j++) {
			char *choice = visible(json_string_value(json_array_get(choices, j)));
			char *longer = must_printf("%s%s%s", values, j ? "|" : "", choice);
			free(choice);
			free(values);
			values = longer;
		}
		char *note = must_printf("%s%s", help, column->wide ? " (shown only when asked for)" : "");
		grid_cell(grid, TONE_PLAIN, text);
		grid_cell(grid, TONE_PLAIN,
			  *values ? values
				  : field_text(json_array_get(json_object_get(info->json, "columns"), i), "type"));
		grid_cell(grid, TONE_PLAIN, unit);
		grid_cell(grid, TONE_PLAIN, note);
		free(text);
		free(unit);
		free(help);
		free(values);
		free(note);
	}
	free(grid_print(grid, &uncut, /* most: */ 0, stdout));
	grid_free(grid);
}

/* `callwatch calls --help`: the help of `get`, with the table's own columns where callwatchd can be asked. */
static int help_table(const struct arguments *arguments, const char *table)
{
	struct http *http = http_open(arguments);
	struct http_failure failure = {0};
	json_t *tables = http ? tables_ask(http, &failure) : NULL;
	const json_t *entry = table_entry(tables, table);
	int code = EXIT_FINE;
	if (tables && !entry) {
		code = fail_no_table(table, tables);
	} else if (entry) {
		struct table_info info;
		table_info_init(&info, entry);
		char *name = visible(info.name), *help = visible(info.help);
		printf("%s: %s\n\nColumns\n", name, help);
		print_columns(&info);
		putchar('\n');
		print_command(client_command("get"), stdout);
		free(name);
		free(help);
		table_info_release(&info);
	} else {
		print_command(client_command("get"), stdout);
		complain("the columns of %s are known to callwatchd only: %s", table,
			 failure.sentence ? failure.sentence : "it was not asked");
	}
	http_failure_release(&failure);
	json_decref(tables);
	http_close(http);
	return code;
}

int command_help(const struct arguments *arguments, const char *word)
{
	if (!word) {
		help_print(stdout);
		return EXIT_FINE;
	}
	const struct command *command = client_command(word);
	if (!command)
		return help_table(arguments, word);
	if (strcmp(word, "get") == 0 && arguments->words[0] && strcmp(arguments->words[0], "get") == 0 &&
	    arguments->words[1])
		return help_table(arguments, arguments->words[1]);
	print_command(command, stdout);
	return EXIT_FINE;
}
