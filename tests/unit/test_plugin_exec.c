/* SPDX-License-Identifier: MIT
 *
 * exec with real programs (/bin/sh) on a fake host: what a reading is, how a program is ended, what it inherits, what
 * is said of it. As root the programs run as `nobody`.
 */
#include "plugin_host.h"

#include <errno.h>
#include <grp.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct cw_instance host;

/* Starts the plugin with `sh -c SCRIPT`, and more settings, NULL-terminated. */
static void start_once(bool once, const char *script, ...)
{
	const char *settings[16] = {"command=/bin/sh", "command=-c"};
	char command[4096];
	int n = 2;
	snprintf(command, sizeof command, "command=%s", script);
	settings[n++] = command;
	if (geteuid() == 0)
		settings[n++] = "user=nobody";
	va_list args;
	va_start(args, script);
	while ((settings[n] = va_arg(args, const char *)))
		n++;
	va_end(args);
	assert_int_equal(plugin_host_start(&host, &cw_plugin, once, settings), 0);
}

#define start(...) start_once(/* once */ false, __VA_ARGS__, NULL)

static double value(const char *series)
{
	const struct plugin_host_sample *sample = plugin_host_series(&host, series);
	return sample ? sample->value : NAN;
}

static void assert_value(const char *series, double expected)
{
	if (!(fabs(value(series) - expected) < 1e-9))
		fail_msg("%s is %g, not %g (state: %s; log: %s)", series, value(series), expected, host.reason,
			 host.log);
}

static void assert_state(enum cw_state state, const char *reason)
{
	if (host.state != state || strcmp(host.reason, reason) != 0)
		fail_msg("state %d `%s`, and not %d `%s`", host.state, host.reason, state, reason);
}

static void assert_said(const char *text)
{
	if (!strstr(host.log, text))
		fail_msg("`%s` is not in the log:\n%s", text, host.log);
}

/* Is this process there, and not a zombie that nobody has buried yet? */
static bool is_alive(int pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	const char *rest = n ? strrchr(text, ')') : NULL;
	return rest && rest[2] != 'Z' && rest[2] != 'X';
}

static bool is_dead(struct cw_instance *self, const void *pid)
{
	(void)self;
	return !is_alive(*(const int *)pid);
}

static bool has_series(struct cw_instance *self, const void *series)
{
	return plugin_host_series(self, series) != NULL;
}

static bool has_state(struct cw_instance *self, const void *reason)
{
	return strstr(self->reason, reason) != NULL;
}

static bool has_logged(struct cw_instance *self, const void *text)
{
	return strstr(self->log, text) != NULL;
}

static bool has_malformed(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->malformed > 0;
}

/* A line that is no value, or one that is `a`. */
static bool has_come(struct cw_instance *self, const void *arg)
{
	return has_malformed(self, arg) || has_series(self, "a");
}

/* The rung `run` of doctor says how the last run ended, once it has. */
static bool has_ended(struct cw_instance *self, const void *how)
{
	cw_plugin.examine(self->plugin_state, 2);
	return strstr(self->verdict_text, how) != NULL;
}

/* Readings of a program that goes on, one after another, until the state says so. */
static bool is_read_until(struct cw_instance *self, const void *reason)
{
	return plugin_host_read(self) != CW_LATER && strstr(self->reason, reason);
}

static void wait_for(bool (*done)(struct cw_instance *self, const void *arg), const void *arg)
{
	if (!plugin_host_wait(&host, done, arg, 20000))
		fail_msg("it did not come true; state %d `%s`, log:\n%s", host.state, host.reason, host.log);
}

/* ---- a run for each reading ---- */

static void run__its_values_are_the_readings(void **state)
{
	(void)state;
	start("echo 'PUTVAL '$COLLECTD_HOSTNAME'/p/gauge-x N:1.5'; echo 'PUTVAL h/p/gauge-x 1700000000:2'");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("collectd_p_gauge{collectd_instance=,type_instance=x}", 1.5);
	assert_int_equal(plugin_host_series(&host, "collectd_p_gauge{collectd_instance=,type_instance=x}")->time, 0);
	assert_state(CW_DEGRADED, "line 2: `collectd_p_gauge` has a label `collectd_host` that it had not at first");
	assert_value("exec_runs_total{result=ok}", 1);
	assert_value("malformed_total{kind=labels}", 1);
	assert_int_equal(host.malformed, 1);
	plugin_host_stop(&host);
}

static void run__last_line_without_an_end_counts(void **state)
{
	(void)state;
	start("printf 'a 1\\nb 2'", "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_value("b", 2);
	assert_state(CW_UP, "");
	assert_value("exec_series", 2);
	plugin_host_stop(&host);
}

static void run__of_one_that_died_half_a_line_is_none(void **state)
{
	(void)state;
	start("printf 'a 1\\nb 2'; kill -SEGV $$", "format=graphite");
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_value("a", 1);
	assert_true(isnan(value("b")));
	assert_state(CW_DEGRADED, "died of signal 11 (SIGSEGV)");
	plugin_host_stop(&host);
}

static void run__a_failed_one_says_its_last_word(void **state)
{
	(void)state;
	start("echo first >&2; echo 'cannot reach the UPS' >&2; echo >&2; exit 3", "format=graphite");
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_state(CW_DOWN, "exit status 3: cannot reach the UPS");
	assert_said("stderr: first\n");
	assert_value("exec_runs_total{result=failed}", 1);
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_value("exec_runs_total{result=failed}", 2);
	plugin_host_stop(&host);
}

static void run__a_failed_one_that_printed_values_is_seen_in_part(void **state)
{
	(void)state;
	start("echo a 1; exit 1", "format=graphite");
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_value("a", 1);
	assert_state(CW_DEGRADED, "exit status 1");
	plugin_host_stop(&host);
}

static void run__that_prints_nothing_is_not_up(void **state)
{
	(void)state;
	start("true");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_state(CW_DEGRADED, "the command printed no value");
	plugin_host_stop(&host);
}

static void run__bad_lines_are_counted_and_the_others_kept(void **state)
{
	(void)state;
	start("echo a 1; echo b; printf 'c 1\\0d\\n'; echo d x; echo e 5", "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_value("e", 5);
	assert_state(CW_DEGRADED, "line 2: it is not `path value [timestamp]` (and 2 more lines like it)");
	assert_int_equal(host.malformed, 3);
	assert_value("malformed_total{kind=syntax}", 2);
	assert_value("malformed_total{kind=value}", 1);
	plugin_host_stop(&host);
}

static void run__a_line_of_a_megabyte_is_one_bad_line(void **state)
{
	(void)state;
	start("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo a 1", "format=graphite", "max_output=4MiB");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_state(CW_DEGRADED, "line 1: it is longer than 64 KiB");
	plugin_host_stop(&host);
}

/* A histogram goes the whole way. */
static void run__prometheus(void **state)
{
	(void)state;
	start("echo '# TYPE h histogram'; echo 'h_bucket{le=\"1\"} 3'; echo 'h_bucket{le=\"+Inf\"} 4'; echo 'h_sum 5'; "
	      "echo 'h_count 4'",
	      "format=prometheus");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("h", 4); /* its count */
	assert_state(CW_UP, "");
	plugin_host_stop(&host);
}

static void run__that_is_missing_or_no_program(void **state)
{
	(void)state;
	const char *user = geteuid() == 0 ? "user=nobody" : NULL;
	const char *missing[] = {"command=/nonexistent/check", user, NULL};
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, missing), 0);
	assert_int_equal(plugin_host_read(&host), -ENOENT);
	assert_state(CW_DOWN, "cannot run /nonexistent/check: executing: No such file or directory");
	assert_value("exec_runs_total{result=failed}", 1);
	plugin_host_stop(&host);
	const char *folder[] = {"command=/tmp", user, NULL};
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, folder), 0);
	assert_int_equal(plugin_host_read(&host), -EACCES);
	assert_state(CW_DOWN, "cannot run /tmp: executing: Permission denied");
	plugin_host_stop(&host);
}

/* ---- how it is ended ---- */

/* The program and its child both ignore SIGTERM; their numbers come on stderr. */
#define STUBBORN "trap '' TERM; sleep 1000 & echo child=$! >&2; echo parent=$$ >&2; "

static int logged_pid(const char *name)
{
	const char *at = strstr(host.log, name);
	assert_non_null(at);
	return atoi(at + strlen(name));
}

static void timeout__ends_the_reading_at_once_and_the_whole_group_soon(void **state)
{
	(void)state;
	start(STUBBORN "echo a 1; echo half; wait; sleep 1000", "format=graphite");
	host.info.timeout = CW_SECOND / 2;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	assert_value("a", 1);
	assert_value("exec_runs_total{result=timeout}", 1);
	assert_non_null(strstr(host.reason, "it ran for longer than 500ms and was ended"));
	int child = logged_pid("child="), parent = logged_pid("parent=");
	assert_true(is_alive(child));
	wait_for(is_dead, &child);
	wait_for(is_dead, &parent);
	plugin_host_stop(&host);
}

/* The next reading comes while the last program is still being ended: it waits for it, and then has its own. */
static void timeout__the_next_reading_waits_for_the_end(void **state)
{
	(void)state;
	start("trap '' TERM; test -e /proc/self && echo a $$; sleep 3 & wait; sleep 3; sleep 1000", "format=graphite");
	host.info.timeout = CW_SECOND / 2;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	double first = value("a");
	host.info.timeout = 5 * CW_SECOND;
	host.info.timeout = 3 * CW_SECOND;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	assert_true(value("a") > 0 && fabs(value("a") - first) > 0.5);
	plugin_host_stop(&host);
}

/* What it says when it is asked to go is nobody's reading. */
static void timeout__last_words_are_not_taken(void **state)
{
	(void)state;
	start("trap 'echo late 5; exit' TERM; echo a 1; while :; do sleep 0.1; done", "format=graphite");
	host.info.timeout = CW_SECOND / 2;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	plugin_host_stop(&host);
	assert_value("a", 1);
	assert_null(plugin_host_series(&host, "late"));
}

/* The first run is broken off in it, the second one is not. */
static void timeout__half_a_histogram_is_none(void **state)
{
	(void)state;
	char folder[] = "/tmp/test-exec-XXXXXX", script[512], flag[64];
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0777), 0);
	snprintf(flag, sizeof flag, "%s/flag", folder);
	snprintf(script, sizeof script,
		 "echo '# TYPE h histogram'; echo 'h_bucket{le=\"1\"} 1'; test -e %s || { touch %s; sleep 1000; }; "
		 "echo 'h_bucket{le=\"+Inf\"} 1'; echo h_sum 1; echo h_count 1",
		 flag, flag);
	start(script, "format=prometheus");
	host.info.timeout = CW_SECOND / 2;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	assert_null(plugin_host_series(&host, "h_bucket{le=1}"));
	host.info.timeout = 20 * CW_SECOND;
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("h", 1);
	assert_null(plugin_host_series(&host, "h_bucket{le=1}"));
	plugin_host_stop(&host);
	unlink(flag);
	rmdir(folder);
}

static void cut__output_without_an_end_is_bounded(void **state)
{
	(void)state;
	start("while :; do printf 'a %1000d\\n' 1; done", "format=graphite", "max_output=64KiB");
	assert_int_equal(plugin_host_read(&host), -EMSGSIZE);
	assert_state(CW_DEGRADED, "it printed more than max_output and was ended");
	assert_value("exec_runs_total{result=cut}", 1);
	assert_in_range(host.samples_count, 2, PLUGIN_HOST_SAMPLES);
	plugin_host_stop(&host);
}

static void stop__leaves_nobody_behind(void **state)
{
	(void)state;
	for (int long_running = 0; long_running < 2; long_running++) {
		start(STUBBORN "while :; do sleep 1000; done", "format=graphite",
		      long_running ? "long_running=true" : "long_running=false");
		assert_int_equal(cw_plugin.read(host.plugin_state), CW_LATER);
		wait_for(has_logged, "parent=");
		int child = logged_pid("child="), parent = logged_pid("parent=");
		uint64_t before = uv_hrtime();
		plugin_host_stop(&host);
		assert_false(is_alive(child));
		assert_false(is_alive(parent));
		assert_true(kill(parent, 0) < 0); /* not even as a zombie */
		assert_true(uv_hrtime() - before < 5 * 1000000000ULL);
	}
}

static void what_a_run_leaves_behind__is_ended_with_it(void **state)
{
	(void)state;
	start("(trap '' TERM; sleep 1000) & echo child=$! >&2; sleep 1000 >/dev/null 2>&1 & echo other=$! >&2; echo a "
	      "1",
	      "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_state(CW_UP, "");
	int child = logged_pid("child="), other = logged_pid("other=");
	wait_for(is_dead, &child);
	wait_for(is_dead, &other);
	plugin_host_stop(&host);
}

static void what_a_run_leaves_behind__is_asked_to_go_first(void **state)
{
	(void)state;
	start("(trap 'echo asked to go >&2; exit' TERM; echo ready >&2; while :; do sleep 0.1; done) & sleep 0.5; echo "
	      "a 1",
	      "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_said("stderr: asked to go\n");
	plugin_host_stop(&host);
}

/* The shell waits until its child has a session of its own. */
#define LEFT "while [ \"$(ps -o sid= -p $!)\" -eq $$ ]; do sleep 0.01; done; "

/* A daemon that left the group is not ours to end, and its hold on the pipe is not waited for. */
static void who_left_the_group__is_not_waited_for(void **state)
{
	(void)state;
	start("setsid sleep 60 & echo daemon=$! >&2; " LEFT "echo a 1", "format=graphite");
	host.info.timeout = 20 * CW_SECOND;
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	plugin_host_stop(&host);
	kill(logged_pid("daemon="), SIGKILL);
}

static void who_left_the_group_and_goes_on_printing__is_not_waited_for_either(void **state)
{
	(void)state;
	start("setsid sh -c 'while :; do echo b 2; sleep 0.02; done' & " LEFT "echo a 1", "format=graphite");
	host.info.timeout = 20 * CW_SECOND;
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	plugin_host_stop(&host);
}

/* ---- one that runs for ever ---- */

#define LOOP "i=0; while :; do i=$((i+1)); echo a $i; sleep 0.05; done"

static void long_running__values_come_between_readings(void **state)
{
	(void)state;
	start(LOOP, "format=graphite", "long_running=true");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_state(CW_UP, "running");
	assert_value("a", 1);
	host.samples_count = 0;
	wait_for(has_series, "a");
	assert_true(value("a") > 1);
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("exec_runs_total{result=ok}", 0);
	plugin_host_stop(&host);
}

static void long_running__that_ends_is_started_again_at_the_next_reading(void **state)
{
	(void)state;
	start("echo a $$; exit 7", "format=graphite", "long_running=true");
	assert_int_equal(plugin_host_read(&host), 0);
	double first = value("a");
	wait_for(has_state, "exit status 7");
	assert_int_equal(host.state, CW_DEGRADED); /* it had printed a value */
	assert_int_equal(host.errors, 1);
	assert_int_equal(plugin_host_read(&host), 0);
	wait_for(has_series, "a");
	assert_true(fabs(value("a") - first) > 0.5);
	plugin_host_stop(&host);
}

/* A script of the other kind does no harm: it is run once in each interval, without a word. */
static void long_running__that_ends_well_is_up(void **state)
{
	(void)state;
	start("echo a 1", "format=graphite", "long_running=true");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(plugin_host_read(&host), 0);
		wait_for(has_series, "a");
		wait_for(has_ended, "exit status 0");
		assert_state(CW_UP, "running");
	}
	assert_int_equal(host.state_changes, 1);
	plugin_host_stop(&host);
}

static void long_running__a_bad_line_is_seen_for_an_interval(void **state)
{
	(void)state;
	start("echo a 1; echo what; sleep 1000", "format=graphite", "long_running=true");
	assert_int_equal(plugin_host_read(&host), 0);
	wait_for(has_malformed, NULL);
	assert_int_equal(plugin_host_read(&host), 0);
	assert_state(CW_DEGRADED, "line 2: it is not `path value [timestamp]`");
	plugin_host_stop(&host);
}

static void long_running__that_closes_its_output_is_started_again(void **state)
{
	(void)state;
	start("echo a $$; exec >&-; sleep 1000", "format=graphite", "long_running=true");
	assert_int_equal(plugin_host_read(&host), 0);
	int pid = (int)value("a");
	wait_for(has_state, "it closed its stdout, ran on and was ended");
	wait_for(has_ended, "it closed its stdout, ran on and was ended");
	assert_false(is_alive(pid));
	plugin_host_stop(&host);
}

static void run__that_closes_its_output_may_go_on_until_the_timeout(void **state)
{
	(void)state;
	start("echo a 1; exec >&-; sleep 1.5", "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_state(CW_UP, "");
	plugin_host_stop(&host);
}

static void long_running__silence(void **state)
{
	(void)state;
	start("echo a $$; sleep 1000", "format=graphite", "long_running=true", "max_silence=2s");
	host.info.interval = CW_SECOND / 10;
	assert_int_equal(plugin_host_read(&host), 0);
	int pid = (int)value("a");
	wait_for(is_read_until, "it has printed nothing for more than 3 intervals");
	assert_int_equal(host.state, CW_DEGRADED);
	wait_for(is_read_until, "it printed nothing for max_silence and was ended; it is started again");
	assert_int_equal(host.state, CW_DOWN);
	assert_value("exec_runs_total{result=timeout}", 1);
	wait_for(is_dead, &pid);
	plugin_host_stop(&host);
}

static bool has_passed(struct cw_instance *self, const void *until)
{
	(void)self;
	return uv_hrtime() > *(const uint64_t *)until;
}

/* No reading for longer than two intervals and a second: the machine slept, or we did. The program could not print. */
static void long_running__silence_while_we_stood_still_is_none(void **state)
{
	(void)state;
	start("echo a 1; sleep 1000", "format=graphite", "long_running=true", "max_silence=1s");
	host.info.interval = CW_SECOND / 50;
	assert_int_equal(plugin_host_read(&host), 0);
	uint64_t until = uv_hrtime() + 1500000000;
	wait_for(has_passed, &until);
	assert_int_equal(plugin_host_read(&host), 0);
	assert_state(CW_UP, "running");
	plugin_host_stop(&host);
}

/* Its values say how often they come, and that may be less often than we look. */
static void long_running__that_says_its_interval_may_be_silent_for_so_long(void **state)
{
	(void)state;
	start("echo PUTVAL h/p/gauge interval=3600 N:1; sleep 1000", "long_running=true", "max_silence=1s");
	host.info.interval = CW_SECOND / 50;
	assert_int_equal(plugin_host_read(&host), 0);
	wait_for(is_read_until, "it printed nothing for max_silence");
	assert_int_equal(host.state_changes, 2); /* up, and this; never that it is silent */
	plugin_host_stop(&host);
}

/* Three megabytes at 64 KiB a reading, with what the pipe and the last look at it hold beyond. */
static void long_running__that_prints_too_much_is_held_back(void **state)
{
	(void)state;
	start("yes 'no value, and a line of this length' | head -c 3000000; echo; echo a 1; sleep 1000",
	      "format=graphite", "long_running=true", "max_output=64KiB");
	host.info.timeout = CW_SECOND / 10; /* the first reading does not wait for a value */
	plugin_host_read(&host);
	unsigned held_back = 0;
	while (!plugin_host_series(&host, "a")) {
		wait_for(has_come, NULL);
		host.malformed = 0;
		if (!plugin_host_series(&host, "a"))
			plugin_host_read(&host);
		held_back += strstr(host.reason, "held back") != NULL;
	}
	assert_in_range(held_back, 12, 60);
	plugin_host_stop(&host);
}

/* max_output is for an interval: what came in those before does not count. It prints when it is told to. */
static void long_running__that_prints_little_is_never_held_back(void **state)
{
	(void)state;
	start("trap 'i=$((i+1)); printf \"a %20000d\\n\" $i' USR1; echo pid $$; while :; do sleep 0.01; done",
	      "format=graphite", "long_running=true", "max_output=64KiB");
	assert_int_equal(plugin_host_read(&host), 0);
	pid_t pid = (pid_t)value("pid");
	for (int i = 1; i <= 5; i++) {
		host.samples_count = 0;
		assert_int_equal(kill(pid, SIGUSR1), 0);
		wait_for(has_series, "a");
		assert_value("a", i);
		assert_int_equal(plugin_host_read(&host), 0);
		assert_state(CW_UP, "running");
	}
	plugin_host_stop(&host);
}

/* With --once the reading takes all that comes until it is quiet for a second. */
static void long_running__once(void **state)
{
	(void)state;
	start_once(true, "echo a 1; sleep 0.3; echo b 2; sleep 0.3; echo c 3; sleep 1000", "format=graphite",
		   "long_running=true", NULL);
	assert_int_equal(plugin_host_read(&host), 0);
	assert_value("a", 1);
	assert_value("c", 3);
	assert_state(CW_UP, "");
	plugin_host_stop(&host);
	start_once(true, "sleep 1000", "format=graphite", "long_running=true", NULL);
	host.info.timeout = CW_SECOND / 2;
	assert_int_equal(plugin_host_read(&host), -ETIMEDOUT);
	assert_int_equal(host.state, CW_DOWN);
	plugin_host_stop(&host);
}

/* ---- what it inherits ---- */

static void child__has_a_small_environment(void **state)
{
	(void)state;
	setenv("SECRET_OF_CALLWATCHD", "x", 1);
	start("env | sed 's/=.*//' | sort | grep -v -e PWD -e SHLVL -e '^_$' | tr '\\n' ' ' >&2; echo >&2; "
	      "echo $COLLECTD_HOSTNAME $COLLECTD_INTERVAL $PATH $MINE $HOME >&2; pwd >&2; echo a 1",
	      "format=graphite", "environment.MINE=yes", "environment.HOME=/nowhere");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_said("stderr: COLLECTD_HOSTNAME COLLECTD_INTERVAL HOME MINE PATH USER\n");
	assert_said("stderr: testhost 5.000 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin yes ***\n");
	assert_said("stderr: /\n");
	plugin_host_stop(&host);
}

/* Descriptors without O_CLOEXEC, ignored and blocked signals: nothing of it is passed on. */
static void child__inherits_neither_descriptors_nor_signals(void **state)
{
	(void)state;
	const gid_t more = 4;
	gid_t groups[64];
	int groups_count = getgroups(64, groups);
	if (geteuid() == 0)
		assert_int_equal(setgroups(1, &more), 0);
	int leak = dup(0), high = dup2(0, 200);
	sigset_t blocked, before;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	start("grep -e SigBlk -e SigIgn /proc/self/status >&2; ls /proc/self/fd | wc -l >&2; readlink /proc/self/fd/0 "
	      ">&2; "
	      "echo groups $(id -G) >&2; ps -o pid=,pgid=,sid= -p $$ | awk '{ print $1 == $2, $2 == $3 }' >&2; id -u "
	      ">&2; echo a 1",
	      "format=graphite");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_said("stderr: SigBlk:\\t0000000000000000\n");
	assert_said("stderr: SigIgn:\\t0000000000000000\n");
	assert_said("stderr: 4\n"); /* 0 to 2, and the folder that ls reads */
	assert_said("stderr: /dev/null\n");
	assert_said("stderr: 1 1\n");
	if (geteuid() == 0) {
		assert_said("stderr: 65534\n");
		assert_said("stderr: groups 65534\n");
	}
	plugin_host_stop(&host);
	if (geteuid() == 0)
		setgroups((size_t)groups_count, groups);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(leak);
	close(high);
}

static void user__root_runs_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	static const char *const as_root[] = {"command=/bin/true", NULL},
				 *const said_root[] = {"command=/bin/true", "user=root", NULL},
				 *const nobody_known[] = {"command=/bin/true", "user=no-such-user", NULL};
	static const char *const *const cases[] = {as_root, said_root};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(plugin_host_start(&host, &cw_plugin, false, cases[i]), 0);
		assert_int_equal(plugin_host_read(&host), -EPERM);
		assert_state(CW_DOWN, "no command is run as root: set `user:` to the user that it needs, or run "
				      "callwatchd as one");
		plugin_host_stop(&host);
	}
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, nobody_known), 0);
	assert_int_equal(plugin_host_read(&host), -ENOENT);
	assert_state(CW_DOWN, "no user `no-such-user`: create it, or name another");
	plugin_host_stop(&host);
}

static void user__only_root_switches(void **state)
{
	(void)state;
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0);
	bool is_daemon = geteuid() == 1; /* who runs the tests may be anybody */
	const char *const settings[] = {"command=/bin/true", is_daemon ? "user=bin" : "user=daemon", NULL};
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, settings), 0);
	int status = plugin_host_read(&host);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(status, -EPERM);
	assert_non_null(strstr(host.reason, "only root can run a command as another user, and callwatchd is not root"));
	plugin_host_stop(&host);
}

/* ---- what it says ---- */

static void stderr__is_masked_escaped_and_bounded(void **state)
{
	(void)state;
	start("printf 'call \\033[31m +14155550132 with sesame-7 and abc\\n' >&2; i=0; while [ $i -lt 50 ]; do "
	      "i=$((i+1)); "
	      "echo line $i >&2; done; head -c 5000 /dev/zero | tr '\\0' x >&2; echo >&2; exit 1",
	      "format=graphite", "environment.TOKEN=sesame-7", "environment.SHORT=abc");
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_said("stderr: call \\x1b[31m +1••••••0132 with *** and abc\n");
	assert_said("stderr: line 19\n");
	assert_null(strstr(host.log, "line 20\n"));
	assert_in_range(strlen(host.reason), 100, 255);
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_said("stderr: and 32 more lines\n");
	plugin_host_stop(&host);
}

static void remarks__are_made_once(void **state)
{
	(void)state;
	start("for i in 1 2 3; do echo PUTNOTIF message=x; echo PUTVAL h/p/odd_type interval=60 N:$i; done; :");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_int_equal(plugin_host_read(&host), 0);
	const char *first = strstr(host.log, "notifications (PUTNOTIF) are not taken");
	assert_non_null(first);
	assert_null(strstr(first + 1, "notifications (PUTNOTIF)"));
	first = strstr(host.log, "the type `odd_type` is in no types.db");
	assert_non_null(first);
	assert_null(strstr(first + 1, "the type `odd_type`"));
	assert_said("its values come every 1m 00s, and this instance's interval is 5s");
	plugin_host_stop(&host);
}

/* ---- options, doctor ---- */

static void check__what_the_table_cannot_say(void **state)
{
	(void)state;
	static const struct {
		const char *settings[4], *said;
	} cases[] = {
		{{"command=/bin/true"}, ""},
		{{"command=true"},
		 "command must begin with an absolute path (`true` is none; no shell looks for it)\n"},
		{{"command=/bin/true", "environment.A-B=1"}, "`A-B` is not the name of a variable\n"},
		{{"command=/bin/true", "environment._a1=1"}, ""},
		{{"command=/bin/true", "max_silence=10s"},
		 "max_silence is for a command that runs for ever (long_running: true); here timeout holds\n"},
		{{"command=/bin/true", "max_silence=10s", "long_running=true"}, ""},
		{{"command=/bin/true", "types_db=/x", "format=graphite"},
		 "types_db is only read for the format putval\n"},
	};
	char said[512];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		plugin_host_check(&cw_plugin, cases[i].settings, said, sizeof said);
		assert_string_equal(said, cases[i].said);
	}
}

static void assert_rung(const char *check, int verdict, const char *text)
{
	int found = plugin_host_examine(&host, check);
	if (found != verdict || !strstr(host.verdict_text, text))
		fail_msg("rung %s: %d `%s`", check, found, host.verdict_text);
}

static void doctor__rungs(void **state)
{
	(void)state;
	start("echo a 1; echo b", "format=graphite");
	assert_rung("user", CW_CHECK_OK, "runs as ");
	assert_rung("executable", CW_CHECK_OK, "/bin/sh is there and may be executed");
	assert_rung("run", CW_CHECK_WARNING, "it has not ended yet for the first time");
	assert_rung("output", CW_CHECK_FAILED, "it has printed no value that could be used");
	assert_int_equal(plugin_host_read(&host), 0);
	assert_rung("run", CW_CHECK_OK, "exit status 0");
	assert_rung("output", CW_CHECK_WARNING, "1 series; lines that were not understood: 1; line 2: it is not");
	plugin_host_stop(&host);
	start("exit 4", "long_running=true");
	assert_int_equal(plugin_host_read(&host), -EIO);
	assert_rung("run", CW_CHECK_FAILED, "exit status 4 (");
	plugin_host_stop(&host);
	const char *missing[] = {"command=/nonexistent", geteuid() == 0 ? "user=nobody" : NULL, NULL};
	assert_int_equal(plugin_host_start(&host, &cw_plugin, false, missing), 0);
	assert_rung("executable", CW_CHECK_FAILED, "/nonexistent: No such file or directory");
	plugin_host_stop(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run__its_values_are_the_readings),
		cmocka_unit_test(run__last_line_without_an_end_counts),
		cmocka_unit_test(run__of_one_that_died_half_a_line_is_none),
		cmocka_unit_test(run__a_failed_one_says_its_last_word),
		cmocka_unit_test(run__a_failed_one_that_printed_values_is_seen_in_part),
		cmocka_unit_test(run__that_prints_nothing_is_not_up),
		cmocka_unit_test(run__bad_lines_are_counted_and_the_others_kept),
		cmocka_unit_test(run__a_line_of_a_megabyte_is_one_bad_line),
		cmocka_unit_test(run__prometheus),
		cmocka_unit_test(run__that_is_missing_or_no_program),
		cmocka_unit_test(timeout__ends_the_reading_at_once_and_the_whole_group_soon),
		cmocka_unit_test(timeout__the_next_reading_waits_for_the_end),
		cmocka_unit_test(timeout__last_words_are_not_taken),
		cmocka_unit_test(timeout__half_a_histogram_is_none),
		cmocka_unit_test(cut__output_without_an_end_is_bounded),
		cmocka_unit_test(stop__leaves_nobody_behind),
		cmocka_unit_test(what_a_run_leaves_behind__is_ended_with_it),
		cmocka_unit_test(what_a_run_leaves_behind__is_asked_to_go_first),
		cmocka_unit_test(who_left_the_group__is_not_waited_for),
		cmocka_unit_test(who_left_the_group_and_goes_on_printing__is_not_waited_for_either),
		cmocka_unit_test(long_running__values_come_between_readings),
		cmocka_unit_test(long_running__that_ends_is_started_again_at_the_next_reading),
		cmocka_unit_test(long_running__that_ends_well_is_up),
		cmocka_unit_test(long_running__a_bad_line_is_seen_for_an_interval),
		cmocka_unit_test(long_running__that_closes_its_output_is_started_again),
		cmocka_unit_test(run__that_closes_its_output_may_go_on_until_the_timeout),
		cmocka_unit_test(long_running__silence),
		cmocka_unit_test(long_running__silence_while_we_stood_still_is_none),
		cmocka_unit_test(long_running__that_says_its_interval_may_be_silent_for_so_long),
		cmocka_unit_test(long_running__that_prints_too_much_is_held_back),
		cmocka_unit_test(long_running__that_prints_little_is_never_held_back),
		cmocka_unit_test(long_running__once),
		cmocka_unit_test(child__has_a_small_environment),
		cmocka_unit_test(child__inherits_neither_descriptors_nor_signals),
		cmocka_unit_test(user__root_runs_nothing),
		cmocka_unit_test(user__only_root_switches),
		cmocka_unit_test(stderr__is_masked_escaped_and_bounded),
		cmocka_unit_test(remarks__are_made_once),
		cmocka_unit_test(check__what_the_table_cannot_say),
		cmocka_unit_test(doctor__rungs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
