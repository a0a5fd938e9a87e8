/* SPDX-License-Identifier: MIT
 *
 * One run after another.
 *
 * A program that is run for each reading: it is started by the reading, and the reading is over when the program is.
 * Its values carry the reading's time unless they have one of their own. If it fails, what it printed is sent all the
 * same and the reading has failed. When the reading's timeout is over, or max_output, the reading ends at once and the
 * program is ended meanwhile; the next reading waits for that.
 *
 * A program that runs for ever (`long_running`): its values are sent as they come. A reading looks after it: starts it
 * if it does not run, says how it is, lets it go on if it was held back. Only the first reading waits, for a first
 * value, so that the agent is not ready before there is one. With --once that reading is all there is: it is complete
 * when the program has been quiet for a second.
 *
 * The state is said here and nowhere else. For a program that goes on it is judged by intervals, so that one bad line
 * is seen for one interval, and a restart that works is not told each time.
 */
#include "exec.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const result_names[RESULTS + 1] = {"ok", "failed", "timeout", "cut", NULL};

static const int64_t grace = 2 * CW_SECOND;
static const int64_t stop_grace = 400 * CW_MILLISECOND; /* an instance has 750 ms to let go of its loop */
static const int64_t stop_patience = 500 * CW_MILLISECOND;
static const int64_t quiet = CW_SECOND;
enum { SILENT_INTERVALS = 3 };

static int begin_run(struct exec *exec);

/* ---- the timer ---- */

static void arm(struct exec *exec, uv_timer_cb callback, int64_t due)
{
	int64_t wait = due - exec->host->now();
	uv_update_time(exec->timer.loop);
	uv_timer_start(&exec->timer, callback, wait > 0 ? (uint64_t)((wait + 999999) / 1000000) : 0, /* repeat */ 0);
}

/* ---- readings ---- */

static void give_metrics(const struct exec *exec)
{
	const struct cw_host *host = exec->host;
	for (int i = 0; i < RESULTS; i++)
		host->counter(exec->self, EXEC_RUNS, &result_names[i], exec->runs[i]);
	for (int i = 0; i < BAD_KINDS; i++)
		host->counter(exec->self, EXEC_MALFORMED, &bad_names[i], exec->intake.malformed[i]);
	host->gauge(exec->self, EXEC_SERIES, /* labels */ NULL, catalogue_series(exec->intake.catalogue));
	if (exec->last.is_known && exec->last.duration >= 0 && !exec->settings.long_running)
		host->gauge(exec->self, EXEC_RUN_SECONDS, /* labels */ NULL,
			    (double)exec->last.duration / (double)CW_SECOND);
}

static void finish_reading(struct exec *exec, int status)
{
	if (!exec->is_reading)
		return;
	exec->is_reading = false;
	uv_timer_stop(&exec->timer);
	give_metrics(exec);
	exec->host->read_done(exec->self, status);
}

/* ---- what is said ---- */

static void say(const struct exec *exec, enum cw_state state, const char *reason)
{
	exec->host->state(exec->self, state, /* next_try */ 0, "%s", reason);
}

/* `has_values`: some came all the same, and part of what is to be seen is seen. */
static void say_failed(const struct exec *exec, bool has_values)
{
	int64_t next = exec->read_at + exec->info->interval;
	bool is_next_known = !exec->info->once && next > exec->host->now();
	exec->host->state(exec->self, has_values ? CW_DEGRADED : CW_DOWN, is_next_known ? next : 0, "%s",
			  exec->last.text);
}

static void say_bad_lines(const struct exec *exec)
{
	char reason[sizeof(exec->last.first_bad) + 48];
	unsigned long long more = exec->last.bad_lines - 1;
	snprintf(reason, sizeof(reason), "%s", exec->last.first_bad);
	if (more)
		snprintf(reason, sizeof(reason), "%s (and %llu more lines like it)", exec->last.first_bad, more);
	say(exec, CW_DEGRADED, reason);
}

/* ---- how it went ---- */

static void note(struct exec *exec, enum result result, const char *text)
{
	const struct intake *intake = &exec->intake;
	exec->runs[result]++;
	exec->last.is_known = true;
	exec->last.result = result;
	exec->last.at = exec->host->now();
	exec->last.duration = exec->last.at - exec->started;
	exec->last.values = intake->values;
	exec->last.bad_lines = intake->bad_lines;
	snprintf(exec->last.text, sizeof(exec->last.text), "%s", text);
	snprintf(exec->last.first_bad, sizeof(exec->last.first_bad), "%s", intake->first_bad);
}

/* The last line of stderr says more than a number. */
static void describe_end(const struct exec *exec, const struct program_end *end, char *text, size_t size)
{
	const char *name = end->signal ? sigabbrev_np(end->signal) : NULL;
	const char *last = exec->complaints.last;
	if (end->code < 0)
		snprintf(text, size, "its exit status was taken by somebody else");
	else if (end->signal)
		snprintf(text, size, "died of signal %d (SIG%s)%s%s", end->signal, name ? name : "?", *last ? ": " : "",
			 last);
	else
		snprintf(text, size, "exit status %d%s%s", end->code, *last ? ": " : "", last);
}

static int note_end(struct exec *exec, const struct program_end *end)
{
	char text[sizeof(exec->last.text)];
	if (!end->signal && end->code == 0) {
		note(exec, RUN_OK, "");
		return 0;
	}
	describe_end(exec, end, text, sizeof(text));
	note(exec, RUN_FAILED, text);
	return -EIO;
}

/* Ends what runs, and says why. */
static void break_off(struct exec *exec, enum cause cause, enum result result, const char *text)
{
	exec->cause = cause;
	intake_drop(&exec->intake);
	note(exec, result, text);
	program_end(exec->program, grace);
}

/* ---- a run for each reading ---- */

static void judge_run(const struct exec *exec)
{
	if (exec->last.result != RUN_OK)
		say_failed(exec, exec->last.values > 0);
	else if (exec->last.bad_lines > 0)
		say_bad_lines(exec);
	else if (exec->last.values == 0)
		say(exec, CW_DEGRADED, "the command printed no value");
	else
		say(exec, CW_UP, "");
}

static void on_deadline(uv_timer_t *timer)
{
	struct exec *exec = timer->data;
	char text[200], how_long[TEXT_DURATION_SIZE];
	text_duration(how_long, (double)exec->info->timeout / (double)CW_SECOND);
	if (exec->cause != CAUSE_NONE) {
		intake_begin(&exec->intake);
		snprintf(text, sizeof(text), "the last run was to be ended and is still there (process %d)",
			 exec->program ? (int)program_pid(exec->program) : 0);
		note(exec, RUN_FAILED, text);
	} else {
		snprintf(text, sizeof(text),
			 "it ran for longer than %s and was ended (if it is to run for ever: `long_running: true`)",
			 how_long);
		break_off(exec, CAUSE_TIMEOUT, RUN_TIMEOUT, text);
	}
	say_failed(exec, exec->last.values > 0);
	finish_reading(exec, -ETIMEDOUT);
}

static int read_by_run(struct exec *exec)
{
	exec->is_reading = true;
	arm(exec, on_deadline, exec->deadline);
	int status = exec->program ? 0 : begin_run(exec); /* one that is being ended is waited for */
	if (status == 0)
		return CW_LATER;
	exec->is_reading = false;
	uv_timer_stop(&exec->timer);
	give_metrics(exec);
	return status;
}

static void run_is_over(struct exec *exec, enum cause cause, const struct program_end *end)
{
	int status;
	if (cause == CAUSE_NONE) {
		intake_end(&exec->intake);
		status = note_end(exec, end);
		judge_run(exec);
	} else { /* its reading has ended before; another one may be waiting */
		status = exec->is_reading ? begin_run(exec) : 0;
		if (status == 0)
			return;
	}
	finish_reading(exec, status);
}

/* ---- one that runs for ever ---- */

/* For how long it has printed nothing. Who stood still (a suspended machine, a stopped agent) begins to wait anew. */
static int64_t silence_of(struct exec *exec)
{
	int64_t last = program_last_line(exec->program), now = exec->host->now();
	if (now - exec->judged > 2 * exec->info->interval + CW_SECOND)
		exec->silent_from = now;
	exec->judged = now;
	return now - (last > exec->silent_from ? last : exec->silent_from);
}

/* Three intervals are too long: ours, or the one its values tell. */
static bool is_too_silent(const struct exec *exec, int64_t silent)
{
	int64_t ours = exec->info->interval, told = exec->intake.told_interval;
	return silent / SILENT_INTERVALS > (told > ours ? told : ours);
}

/* How the interval was that is over now. Nothing new: what was said holds. */
static void judge_interval(struct exec *exec)
{
	const struct intake *intake = &exec->intake;
	int64_t silent = silence_of(exec);
	exec->last.values = intake->values;
	exec->last.bad_lines = intake->bad_lines;
	snprintf(exec->last.first_bad, sizeof(exec->last.first_bad), "%s", intake->first_bad);
	if (exec->settings.max_silence > 0 && silent > exec->settings.max_silence) {
		break_off(exec, CAUSE_SILENT, RUN_TIMEOUT,
			  "it printed nothing for max_silence and was ended; it is started again");
		say_failed(exec, /* has_values */ false);
	} else if (is_too_silent(exec, silent)) {
		say(exec, CW_DEGRADED, "it has printed nothing for more than 3 intervals");
	} else if (exec->is_full) {
		say(exec, CW_DEGRADED, "it prints more than max_output in an interval, and is held back");
	} else if (intake->bad_lines > 0) {
		say_bad_lines(exec);
	} else if (intake->values > 0) {
		say(exec, CW_UP, "running");
	}
}

static void on_first_wait_over(uv_timer_t *timer);

/* The first value is there: without --once that will do. With it: until nothing has come for a while. */
static void first_value(struct exec *exec)
{
	int64_t due = exec->host->now() + quiet;
	if (!exec->info->once) {
		if (exec->intake.bad_lines == 0)
			say(exec, CW_UP, "running");
		finish_reading(exec, 0);
		return;
	}
	arm(exec, on_first_wait_over, due < exec->deadline ? due : exec->deadline);
}

static void on_first_wait_over(uv_timer_t *timer)
{
	struct exec *exec = timer->data;
	if (!exec->has_value) {
		/* most of collectd's scripts sleep first */
		say(exec, exec->info->once ? CW_DOWN : CW_UP, "running, it has printed no value yet");
		finish_reading(exec, exec->info->once ? -ETIMEDOUT : 0);
		return;
	}
	intake_end(&exec->intake);
	break_off(exec, CAUSE_DONE, RUN_OK, "");
	judge_run(exec);
	finish_reading(exec, 0);
}

static int read_of_long(struct exec *exec)
{
	if (exec->program && exec->cause == CAUSE_NONE) {
		judge_interval(exec);
		intake_begin(&exec->intake);
		exec->is_full = false;
		if (exec->cause == CAUSE_NONE)
			program_resume(exec->program);
		give_metrics(exec);
		return exec->cause == CAUSE_NONE ? 0 : -ETIMEDOUT;
	}
	bool is_first = !exec->last.is_known;
	int status = exec->program ? -EBUSY : begin_run(exec);
	if (status == 0 && is_first) {
		exec->is_reading = true;
		arm(exec, on_first_wait_over, exec->deadline);
		return CW_LATER;
	}
	give_metrics(exec);
	return status;
}

static void long_is_over(struct exec *exec, enum cause cause, const struct program_end *end)
{
	if (cause != CAUSE_NONE)
		return;
	intake_end(&exec->intake);
	int status = note_end(exec, end);
	if (status < 0 && !exec->is_reading) /* else the reading counts it */
		exec->host->count_error(exec->self, 1);
	if (status < 0)
		say_failed(exec, exec->has_value);
	else if (!exec->has_value)
		say(exec, CW_DEGRADED, "the command ended without having printed a value");
	else if (exec->last.bad_lines > 0)
		say_bad_lines(exec);
	else
		say(exec, CW_UP, "running");
	finish_reading(exec, status);
}

/* ---- what the program does ---- */

static void on_out(void *arg, char *line, size_t length, bool is_cut)
{
	struct exec *exec = arg;
	uint64_t before = exec->intake.values;
	intake_line(&exec->intake, line, length, is_cut);
	if (exec->intake.values == before)
		return;
	exec->has_value = true;
	if (exec->settings.long_running && exec->is_reading)
		first_value(exec);
}

static void on_err(void *arg, char *line, size_t length, bool is_cut)
{
	struct exec *exec = arg;
	(void)is_cut;
	complaints_line(&exec->complaints, line, length);
}

static void on_full(void *arg)
{
	struct exec *exec = arg;
	if (exec->settings.long_running) {
		exec->is_full = true;
		program_pause(exec->program);
		return;
	}
	break_off(exec, CAUSE_CUT, RUN_CUT, "it printed more than max_output and was ended");
	say_failed(exec, exec->last.values > 0);
	finish_reading(exec, -EMSGSIZE);
}

static void on_closed(void *arg)
{
	struct exec *exec = arg;
	if (!exec->settings.long_running)
		return; /* it may have other things to do, until the timeout */
	break_off(exec, CAUSE_CLOSED, RUN_FAILED, "it closed its stdout, ran on and was ended; it is started again");
	exec->host->count_error(exec->self, 1);
	say_failed(exec, exec->has_value);
	finish_reading(exec, -EPIPE);
}

static void on_over(void *arg, const struct program_end *end)
{
	struct exec *exec = arg;
	enum cause cause = exec->cause;
	if (end->is_left)
		exec->host->log(exec->self, CW_ERROR, "process group %d cannot be ended and is left behind",
				(int)program_pid(exec->program));
	program_release(exec->program);
	exec->program = NULL;
	exec->cause = CAUSE_NONE;
	if (exec->is_stopping)
		uv_close((uv_handle_t *)&exec->timer, NULL);
	else if (exec->settings.long_running)
		long_is_over(exec, cause, end);
	else
		run_is_over(exec, cause, end);
}

/* ---- its start ---- */

/* A variable that the option `environment` has too is left to it. */
static int add_variable(char **to, const struct settings *settings, const char *name, const char *value)
{
	if (cw_get(settings->environment, name) || !*value)
		return 0;
	return asprintf(to, "%s=%s", name, value) < 0 ? -ENOMEM : 1;
}

static void free_environment(char **environment)
{
	for (char **at = environment; at && *at; at++)
		free(*at);
	free(environment);
}

/* What a script may count on, as collectd has it; nothing of callwatchd's own. NULL: no memory. */
static char **make_environment(const struct exec *exec, const struct child_user *user)
{
	char interval[32];
	snprintf(interval, sizeof(interval), "%.3f", (double)exec->info->interval / (double)CW_SECOND);
	const struct {
		const char *name, *value;
	} always[] = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		      {"HOME", user->home},
		      {"USER", user->name},
		      {"COLLECTD_HOSTNAME", exec->info->host},
		      {"COLLECTD_INTERVAL", interval}};
	const struct cw_value *given = exec->settings.environment;
	size_t n = sizeof(always) / sizeof(always[0]), given_count = given ? given->count : 0, at = 0;
	char **environment = calloc(n + given_count + 1, sizeof(*environment));
	int status = environment ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && status >= 0; i++) {
		status = add_variable(&environment[at], &exec->settings, always[i].name, always[i].value);
		at += status > 0;
	}
	for (size_t i = 0; i < given_count && status >= 0; i++) {
		status = asprintf(&environment[at], "%s=%s", given->children[i].key, given->children[i].string);
		at += status > 0;
	}
	if (status >= 0)
		return environment;
	if (environment)
		environment[at] = NULL; /* asprintf may have left anything there */
	free_environment(environment);
	return NULL;
}

static int start_program(struct exec *exec, char error[CHILD_ERROR_MAX])
{
	const struct program_callbacks callbacks = {.out = on_out,
						    .err = on_err,
						    .full = on_full,
						    .closed = on_closed,
						    .over = on_over,
						    .now = exec->host->now,
						    .arg = exec};
	struct child_user user;
	int status = child_find_user(exec->settings.user, &user, error);
	if (status < 0)
		return status;
	char **environment = make_environment(exec, &user);
	if (!environment) {
		snprintf(error, CHILD_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	status = program_start(exec->host->loop(exec->self), exec->settings.argv, environment, &user,
			       exec->settings.max_output, &callbacks, &exec->program, error);
	free_environment(environment);
	return status;
}

static int begin_run(struct exec *exec)
{
	char error[CHILD_ERROR_MAX];
	intake_begin(&exec->intake);
	exec->complaints.last[0] = '\0';
	exec->has_value = exec->is_full = false;
	exec->started = exec->judged = exec->silent_from = exec->host->now();
	int status = start_program(exec, error);
	if (status < 0) {
		note(exec, RUN_FAILED, error);
		exec->last.duration = -1;
		say_failed(exec, /* has_values */ false);
	}
	return status;
}

/* ---- from exec.c ---- */

/* The core's own clock of the reading is not to strike first: it would only count what we end. */
static int64_t patience_of(const struct cw_info *info)
{
	const int64_t margin = 20 * CW_MILLISECOND;
	return info->timeout - (info->timeout / 10 < margin ? info->timeout / 10 : margin);
}

int runs_read(struct exec *exec)
{
	exec->read_at = exec->host->now();
	exec->deadline = exec->read_at + patience_of(exec->info);
	complaints_begin(&exec->complaints);
	return exec->settings.long_running ? read_of_long(exec) : read_by_run(exec);
}

static void on_stop_patience_over(uv_timer_t *timer)
{
	struct exec *exec = timer->data;
	if (exec->program)
		program_kill(exec->program); /* and on_over() is called */
}

void runs_stop(struct exec *exec)
{
	exec->is_stopping = true;
	exec->is_reading = false;
	exec->cause = CAUSE_STOP;
	if (!exec->program) {
		uv_close((uv_handle_t *)&exec->timer, NULL);
		return;
	}
	program_end(exec->program, stop_grace);
	arm(exec, on_stop_patience_over, exec->host->now() + stop_patience);
}
