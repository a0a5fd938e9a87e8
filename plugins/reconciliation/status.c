/* SPDX-License-Identifier: MIT
 *
 * See status.h.
 *
 * An answer is a placeholder if it says so (`unknown`), if its time is none that a run can have had, if its time goes
 * with the clock from poll to poll, or if it has never changed since we know it although a run was due twice, or was
 * asked for and should long be in it. Once it has changed, standing still means what it says.
 */
#include "status.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BYTES_MAX = 256 << 10, POLLS = 3 };

static const int64_t earliest = 946684800 * CW_SECOND; /* 2000-01-01: there was no such platform before */
static const int64_t a_day = 86400 * CW_SECOND, a_minute = 60 * CW_SECOND;

static const struct {
	const char *word;
	enum run_status status;
} words[] = {
	{"success", RUN_SUCCESS},     {"succeeded", RUN_SUCCESS}, {"ok", RUN_SUCCESS},       {"completed", RUN_SUCCESS},
	{"complete", RUN_SUCCESS},    {"done", RUN_SUCCESS},      {"finished", RUN_SUCCESS}, {"error", RUN_ERROR},
	{"failed", RUN_ERROR},        {"failure", RUN_ERROR},     {"running", RUN_RUNNING},  {"started", RUN_RUNNING},
	{"in_progress", RUN_RUNNING}, {"retry", RUN_RUNNING},     {"queued", RUN_QUEUED},    {"pending", RUN_QUEUED},
};

static void take_word(struct status *status, const char *secret, const char *word)
{
	status->says_nothing = true;
	report_redact(secret, word ? word : "null", word ? strlen(word) : 4, status->word, sizeof(status->word));
	for (size_t i = 0; word && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(word, words[i].word) == 0) {
			status->report.status = words[i].status;
			status->says_nothing = false;
		}
	status->never_ran = !status->has_last_run &&
			    (!word || strcasecmp(word, "never") == 0 || strcasecmp(word, "never_run") == 0);
}

static int take_time(struct status *status, const json_t *value)
{
	const char *text = json_string_value(value);
	if (!value || json_is_null(value))
		return 0;
	int code =
		text ? text_parse_time(text, strlen(text), &status->last_run_at, /* ret_assumed_utc */ NULL) : -EINVAL;
	status->has_last_run = code == 0 || code == -ERANGE;
	return status->has_last_run ? 0 : -EINVAL; /* the year 1 is a time, if none of a run */
}

static int wrong(char why[STATUS_WHY_MAX], const char *sentence)
{
	snprintf(why, STATUS_WHY_MAX, "%s", sentence);
	return -EINVAL;
}

int status_read(const char *bytes, size_t length, const char *secret, bool phones_full, struct status *ret_status,
		char why[STATUS_WHY_MAX])
{
	struct status status = {.report = {.missing = -1, .queued = -1}};
	json_t *root = length <= BYTES_MAX ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, /* error */ NULL) : NULL;
	const char *error = json_string_value(json_object_get(root, "error"));
	int code = 0;
	if (!json_is_object(root))
		code = wrong(why, "the answer is no JSON object: is this the platform's status endpoint?");
	else if (!json_object_get(root, "status") && !json_object_get(root, "last_run_at"))
		code = wrong(why, "the answer has neither status nor last_run_at: is this the platform's endpoint?");
	else if (take_time(&status, json_object_get(root, "last_run_at")) < 0)
		code = wrong(why, "last_run_at in the answer is no time");
	if (code == 0) {
		take_word(&status, secret, json_string_value(json_object_get(root, "status")));
		status.report.missing = report_count(root, "missing_count");
		status.report.queued = report_count(root, "queued_count");
		if (error)
			report_say(&status.report, secret, error, strlen(error), phones_full);
		*ret_status = status;
	}
	json_decref(root);
	return code;
}

/* ---- the judge ---- */

static bool is_same(const struct status *a, const struct status *b)
{
	return a->has_last_run == b->has_last_run && a->last_run_at == b->last_run_at &&
	       strcmp(a->word, b->word) == 0 && a->report.missing == b->report.missing &&
	       a->report.queued == b->report.queued && strcmp(a->report.error, b->report.error) == 0;
}

/* Did its time move as far as ours, which is `between`? Both may be any time there is. */
static bool went_along(const struct status *before, const struct status *now, int64_t between)
{
	int64_t moved;
	if (!now->has_last_run || __builtin_sub_overflow(now->last_run_at, before->last_run_at, &moved))
		return false;
	return moved > 0 && moved < a_minute && between < a_minute && llabs(moved - between) < CW_SECOND;
}

static void remember(struct judge *judge, const struct status *status, int64_t wall)
{
	bool goes_along = judge->has_last && went_along(&judge->last, status, wall - judge->asked);
	bool same = judge->has_last && is_same(&judge->last, status);
	judge->moving = goes_along ? judge->moving + 1 : 0;
	judge->ever_changed |= judge->has_last && !same && !goes_along;
	judge->same = same ? judge->same + 1 : 1;
	if (!same)
		judge->same_since = wall;
	judge->has_last = true;
	judge->last = *status;
	judge->asked = wall;
}

static bool stands_still(const struct judge *judge, int64_t wall, int64_t expected_every, bool is_missed)
{
	bool is_due_twice = expected_every && wall - judge->same_since > 2 * expected_every;
	return !judge->ever_changed && judge->same >= POLLS && (is_missed || is_due_twice);
}

bool judge_believes(struct judge *judge, const struct status *status, int64_t wall, int64_t expected_every,
		    bool is_missed, char why[STATUS_WHY_MAX])
{
	char time[TEXT_TIME_SIZE] = "";
	remember(judge, status, wall);
	if (status->has_last_run)
		text_time(time, status->last_run_at);
	if (status->has_last_run && (status->last_run_at < earliest || status->last_run_at > wall + a_day))
		snprintf(why, STATUS_WHY_MAX, "last_run_at is %.19s, which can be no run's", time);
	else if (status->says_nothing && !status->never_ran)
		snprintf(why, STATUS_WHY_MAX, "its status is \"%s\"", status->word);
	else if (judge->moving >= POLLS)
		snprintf(why, STATUS_WHY_MAX, "last_run_at goes with the clock from answer to answer");
	else if (stands_still(judge, wall, expected_every, is_missed))
		snprintf(why, STATUS_WHY_MAX, "it is the same since %s, %s", text_ns(wall - judge->same_since).text,
			 is_missed ? "though a run was asked for" : "though a run was due twice");
	else
		return true;
	return false;
}
