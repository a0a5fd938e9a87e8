/* SPDX-License-Identifier: MIT
 *
 * See offline.h. The configuration is checked as `callwatchd -t` does it, without secrets; the process is known by the
 * lock in its state_dir. Who asks may not be allowed to read what callwatchd reads: then that is said, and no more.
 */
#include "offline.h"

#include "client.h"
#include "plan.h"
#include "state_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEMS_SHOWN = 20 };

static void add(struct findings *findings, const char *check, const char *verdict, const char *text)
{
	struct finding finding = {"callwatchd", "", check, text, verdict};
	findings_add(findings, &finding);
}

static bool may_not_read(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		if (strstr(problems->list[i].message, strerror(EACCES)))
			return true;
	return false;
}

/* `place: what; place: what`, errors only; the caller frees it. */
static char *errors_text(const struct problems *problems)
{
	char *text = must(strdup(""));
	size_t shown = 0;
	for (size_t i = 0; i < problems->count && shown < PROBLEMS_SHOWN; i++) {
		const struct problem *problem = &problems->list[i];
		if (problem->severity != PROBLEM_ERROR)
			continue;
		char *place = problem->file ? must_printf("%s:%u:%u: ", problem->file, problem->line, problem->column)
					    : must(strdup(""));
		char *longer = must_printf("%s%s%s%s", text, shown++ ? "; " : "", place, problem->message);
		free(place);
		free(text);
		text = longer;
	}
	return text;
}

static void add_configuration(struct findings *findings, const struct plan *plan, const struct problems *problems)
{
	char *text;
	const char *verdict = "failed";
	if (plan) {
		verdict = "ok";
		text = must_printf("it is right, callwatchd would start with %zu instance%s", plan->count,
				   plan->count == 1 ? "" : "s");
	} else if (may_not_read(problems)) {
		verdict = "skipped";
		text = must(strdup("this user may not read it: `sudo callwatch doctor` can"));
	} else {
		char *errors = errors_text(problems);
		text = must_printf("callwatchd would not start: %s", errors);
		free(errors);
	}
	add(findings, "configuration", verdict, text);
	free(text);
}

static void add_process(struct findings *findings, const char *state_dir)
{
	long pid = 0;
	int held = state_dir_holder(state_dir, &pid);
	char *text;
	const char *verdict = "failed";
	if (held > 0) {
		verdict = "ok";
		text = must_printf(
			"it runs as process %ld; so it listens elsewhere (`listen` of the plugin web; say where "
			"with --socket), or has only just begun",
			pid);
	} else if (held == -EACCES) {
		verdict = "skipped";
		text = must_printf("this user may not look into %s: `sudo callwatch doctor` can", state_dir);
	} else {
		text = must_printf(
			"no callwatchd runs with state_dir %s: `systemctl start callwatch`, and `journalctl -u "
			"callwatch` says why it ended",
			state_dir);
	}
	add(findings, "process", verdict, text);
	free(text);
}

void offline_look(const char *const *paths, struct findings *findings)
{
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(paths, &problems);
	struct plan *plan = config ? plan_make(config, PLAN_NO_SECRETS, &problems) : NULL;
	const char *state_dir = plan ? cw_get_string(plan->agent, "state_dir") : NULL;
	add_configuration(findings, plan, &problems);
	if (state_dir)
		add_process(findings, state_dir);
	plan_unref(plan);
	problems_release(&problems);
}
