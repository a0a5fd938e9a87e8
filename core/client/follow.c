/* SPDX-License-Identifier: MIT
 *
 * See follow.h. The task is asked for four times a second: a person sees no more, and a callwatchd that is restarted
 * meanwhile is asked again until it answers, for it will then say that the task is lost.
 */
#include "follow.h"

#include "answer.h"
#include "client.h"

#include "clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct timespec between_looks = {.tv_nsec = 250000000};
static const int64_t patience_ns = 60 * CW_SECOND;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

struct follow {
	const char *task_id;
	struct screen screen; /* of stderr, where the progress goes */
	char *state;          /* that was said last */
	bool is_drawn;        /* a line is to be drawn over */
	double done_before;   /* for the rate, NaN: not known */
	int64_t at_before;    /* instant */
	double rate;
};

/* ---- what is shown ---- */

static double share_of(const json_t *task, const char *name)
{
	double value = field_real(task, name);
	return value > 0 ? value : 0;
}

/* Rows that have an outcome, or how far it says that it is. */
static double tried(const json_t *task)
{
	return share_of(task, "done") + share_of(task, "failed") + share_of(task, "gone") + share_of(task, "unknown");
}

static void add(char **text, char *more)
{
	char *longer = must_printf("%s%s%s", *text, **text ? ", " : "", more);
	free(*text);
	free(more);
	*text = longer;
}

/* `312 of 500, 4 failed`; "" where no numbers are known. */
static char *numbers_text(const json_t *task)
{
	static const char *const others[] = {"failed", "gone", "unknown"};
	char *text = must(strdup(""));
	double total = share_of(task, "total"), so_far = tried(task);
	char *now = count_text((uint64_t)so_far), *all = count_text((uint64_t)total);
	if (total > 0)
		add(&text, must_printf("%s of %s", now, all));
	else if (so_far > 0)
		add(&text, must_printf("%s so far", now));
	free(now);
	free(all);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char *count = count_text((uint64_t)share_of(task, others[i]));
		if (share_of(task, others[i]) > 0)
			add(&text, must_printf("%s %s", count, others[i]));
		free(count);
	}
	return text;
}

static void measure(struct follow *follow, const json_t *task)
{
	int64_t now = clock_now();
	double so_far = tried(task);
	if (follow->at_before && now - follow->at_before < CW_SECOND)
		return;
	if (follow->at_before)
		follow->rate = (so_far - follow->done_before) / ((double)(now - follow->at_before) / 1e9);
	follow->done_before = so_far;
	follow->at_before = now;
}

static void draw(struct follow *follow, const json_t *task)
{
	char *numbers = numbers_text(task), *said = visible(field_text(task, "text")),
	     *state = visible(field_text(task, "state"));
	char *rate = follow->rate >= 0.05 ? must_printf(", %.1f/s", follow->rate) : must(strdup(""));
	char *line = must_printf("%s%s%s%s%s%s", state, *numbers ? ": " : "", numbers, *numbers ? rate : "",
				 *said ? " · " : "", said);
	fprintf(stderr, "\r\033[K%.*s", (int)text_fit(line, follow->screen.width > 1 ? follow->screen.width - 1 : 79),
		line);
	fflush(stderr);
	follow->is_drawn = true;
	free(numbers);
	free(said);
	free(state);
	free(rate);
	free(line);
}

static void wipe(struct follow *follow)
{
	if (follow->is_drawn)
		fputs("\r\033[K", stderr);
	follow->is_drawn = false;
}

static void say_change(struct follow *follow, const char *state)
{
	if (strcmp(follow->state, state) == 0)
		return;
	free(follow->state);
	follow->state = must(strdup(state));
	char *shown = visible(state);
	fprintf(stderr, "%s: %s\n", follow->task_id, shown);
	free(shown);
}

/* ---- how it ended ---- */

static int code_of(const char *state)
{
	if (strcmp(state, "success") == 0)
		return EXIT_FINE;
	return strcmp(state, "lost") == 0 ? EXIT_LOST : EXIT_FAILED;
}

static int conclude(struct follow *follow, const json_t *task)
{
	const char *word = field_text(task, "state");
	enum tone tone;
	struct screen screen = screen_of(stdout);
	const char *shape = state_shape(word, &tone);
	char *state = visible(word), *numbers = numbers_text(task), *reason = visible(field_text(task, "reason"));
	bool not_all = share_of(task, "failed") > 0 || share_of(task, "gone") > 0 || share_of(task, "unknown") > 0;
	wipe(follow);
	printf("%s%s%s%s%s%s%s%s%s\n", screen_tone(&screen, tone), shape, *shape ? " " : "", state,
	       screen_plain(&screen), *numbers ? ": " : "", numbers, *reason ? " · " : "", reason);
	if (not_all && share_of(task, "total") > 0)
		printf("`callwatch outcomes --where task_id=%s --where outcome!=done` shows which were not done, and "
		       "why.\n",
		       follow->task_id);
	free(state);
	free(numbers);
	free(reason);
	return code_of(word);
}

static bool has_ended(const json_t *task)
{
	const char *state = field_text(task, "state");
	return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static int leave(struct follow *follow)
{
	wipe(follow);
	fprintf(stderr,
		"The task goes on. `callwatch describe tasks %s` shows it, `callwatch trigger --cancel %s` ends it.\n",
		follow->task_id, follow->task_id);
	return EXIT_INTERRUPTED;
}

/* -1: it goes on. */
static int look(struct follow *follow, const json_t *answer)
{
	const json_t *task = json_array_get(json_object_get(answer, "rows"), 0);
	measure(follow, task);
	if (has_ended(task))
		return conclude(follow, task);
	if (follow->screen.terminal)
		draw(follow, task);
	else
		say_change(follow, field_text(task, "state"));
	return -1;
}

static int give_up(struct follow *follow, struct http_failure *failure)
{
	wipe(follow);
	complain("%s\nHow task %s ends is not known.", failure->sentence ? failure->sentence : "no answer",
		 follow->task_id);
	http_failure_release(failure);
	return EXIT_LOST;
}

static int follow_on(struct follow *follow, struct http *http, const char *path)
{
	int64_t heard = clock_now();
	while (!interrupted) {
		struct http_failure failure = {0};
		json_t *answer = http_json(http, path, /* whole_s: */ 10, &failure);
		int code = answer ? look(follow, answer) : -1;
		json_decref(answer);
		if (answer)
			heard = clock_now();
		else if (failure.status == 401 || failure.status == 403 || clock_now() - heard > patience_ns)
			return give_up(follow, &failure);
		http_failure_release(&failure);
		if (code >= 0)
			return code;
		nanosleep(&between_looks, NULL); /* a signal ends it */
	}
	return leave(follow);
}

int follow_task(struct http *http, const char *task_id)
{
	struct sigaction action = {.sa_handler = on_signal}, before;
	struct follow follow = {.task_id = task_id, .screen = screen_of(stderr), .state = must(strdup("")), .rate = -1};
	struct path *path = path_new("/api/v1/tables/tasks");
	path_segment(path, task_id);
	interrupted = 0;
	sigaction(SIGINT, &action, &before);
	int code = follow_on(&follow, http, path_text(path));
	sigaction(SIGINT, &before, NULL);
	path_free(path);
	free(follow.state);
	return code;
}
