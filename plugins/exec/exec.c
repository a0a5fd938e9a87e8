/* SPDX-License-Identifier: MIT
 *
 * Source exec: what a program prints, as samples. Any script that collectd's exec plugin, a Prometheus textfile, a
 * Graphite pipe or a log shipper could use will do; it is run as it is, without a shell. exec.h has the reading order.
 *
 * This file has what the plugin says of itself (at the end), its options, its life, and its checks for doctor.
 */
#include "exec.h"

#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- options ---- */

static bool is_variable(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *command = cw_get(options, "command"), *environment = cw_get(options, "environment");
	const struct cw_value *silence = cw_get(options, "max_silence"), *types = cw_get(options, "types_db");
	if (command && command->known && command->count == 0)
		problems->error(problems, command, "command must name a program");
	else if (command && command->known && command->children[0].string[0] != '/')
		problems->error(problems, command,
				"command must begin with an absolute path (`%s` is none; no shell looks for it)",
				command->children[0].string);
	for (uint32_t i = 0; environment && environment->known && i < environment->count; i++)
		if (!is_variable(environment->children[i].key))
			problems->error(problems, &environment->children[i], "`%s` is not the name of a variable",
					environment->children[i].key);
	if (silence && silence->is_set && !cw_get_bool(options, "long_running"))
		problems->warning(problems, silence,
				  "max_silence is for a command that runs for ever (long_running: true); here timeout "
				  "holds");
	if (types && types->is_set && cw_get_integer(options, "format", FORMAT_PUTVAL) != FORMAT_PUTVAL)
		problems->warning(problems, types, "types_db is only read for the format putval");
}

/* The strings stay the options'. */
static char **make_argv(const struct cw_value *command)
{
	char **argv = calloc((size_t)command->count + 1, sizeof(*argv));
	for (uint32_t i = 0; argv && i < command->count; i++)
		argv[i] = (char *)(uintptr_t)command->children[i].string;
	return argv;
}

static int take_settings(struct settings *settings, const struct cw_value *options)
{
	const struct cw_value *environment = cw_get(options, "environment");
	*settings = (struct settings){
		.command = cw_get(options, "command"),
		.environment = environment && environment->known ? environment : NULL,
		.user = cw_get_string(options, "user"),
		.long_running = cw_get_bool(options, "long_running"),
		.max_output = (uint64_t)cw_get_integer(options, "max_output", 1024 * 1024),
		.max_silence = cw_get_integer(options, "max_silence", 0),
	};
	if (!settings->command || settings->command->count == 0)
		return -EINVAL;
	settings->argv = make_argv(settings->command);
	return settings->argv ? 0 : -ENOMEM;
}

/* ---- life ---- */

static void release(void *state)
{
	struct exec *exec = state;
	if (!exec)
		return;
	intake_release(&exec->intake);
	free(exec->settings.argv);
	free(exec);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct exec *exec = calloc(1, sizeof(*exec));
	if (!exec)
		return -ENOMEM;
	exec->self = self;
	exec->host = host;
	exec->info = host->info(self);
	int status = take_settings(&exec->settings, options);
	if (status == 0)
		status = intake_init(&exec->intake, self, host,
				     (enum format)cw_get_integer(options, "format", FORMAT_PUTVAL),
				     (uint32_t)cw_get_integer(options, "max_series", 1000), cw_get(options, "types_db"),
				     EXEC_METRICS);
	if (status < 0) {
		release(exec);
		return status;
	}
	exec->complaints = (struct complaints){
		.self = self, .host = host, .info = exec->info, .secrets = exec->settings.environment};
	uv_timer_init(host->loop(self), &exec->timer);
	exec->timer.data = exec;
	*ret_state = exec;
	return 0;
}

static int read_values(void *state)
{
	return runs_read(state);
}

static void stop(void *state)
{
	runs_stop(state);
}

/* ---- for doctor ---- */

static void examine_user(const struct exec *exec)
{
	char error[CHILD_ERROR_MAX];
	struct child_user user;
	if (child_find_user(exec->settings.user, &user, error) < 0)
		exec->host->examined(exec->self, CW_CHECK_FAILED, "%s", error);
	else
		exec->host->examined(exec->self, CW_CHECK_OK, "runs as %s (uid %u)", user.name[0] ? user.name : "?",
				     (unsigned)user.uid);
}

static void examine_executable(const struct exec *exec)
{
	char error[CHILD_ERROR_MAX];
	struct child_user user;
	struct stat status;
	const char *path = exec->settings.argv[0];
	int problem = child_find_user(exec->settings.user, &user, error);
	if (problem == 0)
		problem = child_check(path, &user, error);
	if (problem < 0)
		exec->host->examined(exec->self, CW_CHECK_FAILED, "%s", error);
	else if (stat(path, &status) == 0 && (status.st_mode & S_IWOTH))
		exec->host->examined(exec->self, CW_CHECK_WARNING, "%s may be changed by everybody: chmod o-w", path);
	else
		exec->host->examined(exec->self, CW_CHECK_OK, "%s is there and may be executed", path);
}

static void examine_run(const struct exec *exec)
{
	const struct cw_host *host = exec->host;
	char age[TEXT_DURATION_SIZE], took[TEXT_DURATION_SIZE];
	int64_t now = host->now();
	text_duration(age, (double)(now - exec->last.at) / (double)CW_SECOND);
	text_duration(took, (double)exec->last.duration / (double)CW_SECOND);
	if (exec->program && exec->settings.long_running) {
		text_duration(age, (double)(now - exec->started) / (double)CW_SECOND);
		host->examined(exec->self, CW_CHECK_OK, "process %d has been running for %s",
			       (int)program_pid(exec->program), age);
	} else if (!exec->last.is_known) {
		host->examined(exec->self, CW_CHECK_WARNING, "it has not ended yet for the first time");
	} else if (exec->last.result != RUN_OK) {
		host->examined(exec->self, CW_CHECK_FAILED, "%s (%s ago)", exec->last.text, age);
	} else {
		host->examined(exec->self, CW_CHECK_OK, "exit status 0, %s ago, after %s", age, took);
	}
}

static void examine_output(const struct exec *exec)
{
	const struct cw_host *host = exec->host;
	unsigned series = catalogue_series(exec->intake.catalogue);
	if (series == 0)
		host->examined(exec->self, CW_CHECK_FAILED,
			       "it has printed no value that could be used: run it by hand and look%s%s",
			       exec->last.first_bad[0] ? "; " : "", exec->last.first_bad);
	else if (exec->last.bad_lines > 0)
		host->examined(exec->self, CW_CHECK_WARNING, "%u series; lines that were not understood: %llu; %s",
			       series, (unsigned long long)exec->last.bad_lines, exec->last.first_bad);
	else
		host->examined(exec->self, CW_CHECK_OK, "%u series, every line was understood", series);
}

enum { CHECK_USER, CHECK_EXECUTABLE, CHECK_RUN, CHECK_OUTPUT };

static void examine(void *state, uint32_t number)
{
	static void (*const examiners[])(const struct exec *exec) = {[CHECK_USER] = examine_user,
								     [CHECK_EXECUTABLE] = examine_executable,
								     [CHECK_RUN] = examine_run,
								     [CHECK_OUTPUT] = examine_output};
	examiners[number](state);
}

/* ---- what it says of itself ---- */

static const char *const formats[] = {"putval", "prometheus", "graphite", "ndjson", NULL};

static const struct cw_option options[] = {
	{.key = "command",
	 .type = CW_OPTION_LIST,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "The program, by its absolute path, and its arguments; no shell reads them"},
	{.key = "format",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "putval",
	 .choices = formats,
	 .help = "What it prints: collectd's exec protocol, Prometheus' text, Graphite's lines, a JSON object a line"},
	{.key = "long_running",
	 .type = CW_OPTION_BOOL,
	 .fallback = "false",
	 .help = "It runs for ever and prints when it likes; else it is run for each reading, and ended by timeout"},
	{.key = "user",
	 .type = CW_OPTION_STRING,
	 .help = "The user it runs as; needed if callwatchd is root, who runs no command"},
	{.key = "environment",
	 .type = CW_OPTION_MAP,
	 .flags = CW_OPTION_SECRET,
	 .help = "Variables it gets besides PATH, HOME, USER, COLLECTD_HOSTNAME and COLLECTD_INTERVAL"},
	{.key = "max_output",
	 .type = CW_OPTION_SIZE,
	 .fallback = "1MiB",
	 .min = 1024,
	 .max = 64 * 1024 * 1024,
	 .help = "Bytes it may print for a reading; one that runs for ever is held back until the next"},
	{.key = "max_series",
	 .type = CW_OPTION_INT,
	 .fallback = "1000",
	 .min = 1,
	 .max = 100000,
	 .help = "Series it may have at a time; values of more are left out and counted"},
	{.key = "max_silence",
	 .type = CW_OPTION_DURATION,
	 .min = (double)CW_SECOND,
	 .max = 7 * 86400 * (double)CW_SECOND,
	 .help = "One that runs for ever and prints nothing for so long is ended and started again"},
	{.key = "types_db",
	 .type = CW_OPTION_LIST,
	 .flags = CW_OPTION_ADVANCED,
	 .fallback = "[/usr/share/collectd/types.db]",
	 .help = "collectd's types for the format putval; the commonest are known without"},
};

static const struct cw_metric metrics[EXEC_METRICS] = {
	[EXEC_RUNS] = {.name = "exec_runs_total",
		       .kind = CW_COUNTER,
		       .unit = "",
		       .help = "Runs of the command that ended, by how they ended",
		       .labels = {{"result", result_names}}},
	[EXEC_RUN_SECONDS] = {.name = "exec_run_seconds",
			      .kind = CW_GAUGE,
			      .unit = "seconds",
			      .help = "How long the last run took",
			      .collectd_type = "duration"},
	[EXEC_SERIES] = {.name = "exec_series",
			 .kind = CW_GAUGE,
			 .unit = "",
			 .help = "Series that the command's output has now"},
	[EXEC_MALFORMED] = {.name = "malformed_total",
			    .kind = CW_COUNTER,
			    .unit = "",
			    .help = "Values and lines that were not as they should be and were left out",
			    .labels = {{"kind", bad_names}}},
};

static const struct cw_check checks[] = {
	[CHECK_USER] = {"user", "There is a user that the command may run as"},
	[CHECK_EXECUTABLE] = {"executable", "The program exists and that user may execute it"},
	[CHECK_RUN] = {"run", "Its last run ended well, or it is running"},
	[CHECK_OUTPUT] = {"output", "What it prints is understood"},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "exec",
	.summary = "What a program prints, as samples: collectd's exec scripts, Prometheus text, Graphite lines, JSON",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.checks = CW_ARRAY(checks),
	.check = check,
	.start = start,
	.read = read_values,
	.stop = stop,
	.release = release,
	.examine = examine,
};
