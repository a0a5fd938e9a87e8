/* SPDX-License-Identifier: MIT
 *
 * See meta.h. Of a failure the exception is kept, not the traceback: that may be a megabyte.
 */
#include "meta.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static void unreadable(struct meta *meta, const char *why)
{
	meta->report.status = RUN_LOST;
	meta->is_over = true;
	snprintf(meta->report.error, sizeof(meta->report.error), "its result is unreadable: %s", why);
}

void meta_too_large(size_t length, struct meta *ret_meta)
{
	char why[80];
	*ret_meta = (struct meta){.report = {.missing = -1, .queued = -1}};
	snprintf(why, sizeof(why), "it is too large (%zu bytes)", length);
	unreadable(ret_meta, why);
}

/* Celery's words, and what they are to us. REVOKED and the like are ends that are no success. */
static const struct {
	const char *word;
	enum run_status status;
	bool is_over;
} states[] = {
	{"PENDING", RUN_QUEUED, false}, {"RECEIVED", RUN_QUEUED, false}, {"STARTED", RUN_RUNNING, false},
	{"RETRY", RUN_RUNNING, false},  {"SUCCESS", RUN_SUCCESS, true},  {"FAILURE", RUN_ERROR, true},
	{"REVOKED", RUN_ERROR, true},   {"REJECTED", RUN_ERROR, true},   {"IGNORED", RUN_ERROR, true},
};

/* A state that Celery does not have is one of the task's own: it is at work. */
static const char *take_state(struct meta *meta, const json_t *root)
{
	const char *word = json_string_value(json_object_get(root, "status"));
	if (!word)
		return NULL;
	meta->report.status = RUN_RUNNING;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(word, states[i].word) == 0) {
			meta->report.status = states[i].status;
			meta->is_over = states[i].is_over;
		}
	return word;
}

static size_t append(char *buffer, size_t size, size_t used, const char *text)
{
	if (!text || used >= size - 1)
		return used;
	int n = snprintf(buffer + used, size - used, "%s", text);
	return used + (size_t)n < size ? used + (size_t)n : size - 1;
}

/* `ValueError: the words of it`; the message is a text or a list, by Celery's version. */
static void take_exception(struct meta *meta, const json_t *result, const char *prefix, bool phones_full)
{
	char text[4 * RUN_ERROR_MAX] = "";
	const json_t *message = json_object_get(result, "exc_message"), *part;
	const char *type = json_string_value(json_object_get(result, "exc_type"));
	size_t used = append(text, sizeof(text), 0, prefix), i, parts = 0;
	used = append(text, sizeof(text), used, type ? type : "it failed without saying why");
	if (json_is_string(message)) {
		used = append(text, sizeof(text), used, ": ");
		append(text, sizeof(text), used, json_string_value(message));
	}
	json_array_foreach(message, i, part)
	{
		if (!json_is_string(part))
			continue;
		used = append(text, sizeof(text), used, parts++ ? ", " : ": ");
		used = append(text, sizeof(text), used, json_string_value(part));
	}
	report_say(&meta->report, /* secret */ NULL, text, strlen(text), phones_full);
}

static void take_result(struct meta *meta, const json_t *root, const char *word, bool phones_full)
{
	const json_t *result = json_object_get(root, "result");
	const char *done = json_string_value(json_object_get(root, "date_done"));
	struct report *report = &meta->report;
	if (done && text_parse_time(done, strlen(done), &report->finished_at, /* ret_assumed_utc */ NULL) < 0)
		report->finished_at = 0;
	if (report->status == RUN_SUCCESS) {
		report->missing = report_count(result, "missing_count");
		report->queued = report_count(result, "queued_count");
		meta->has_counts = report->missing >= 0 && report->queued >= 0;
	} else if (strcmp(word, "FAILURE") == 0) {
		take_exception(meta, result, "", phones_full);
	} else if (strcmp(word, "RETRY") == 0) {
		take_exception(meta, result, "it will be tried again: ", phones_full);
	} else if (report->status == RUN_ERROR) {
		snprintf(report->error, sizeof(report->error), "Celery says %.32s", word);
	}
}

/* Without result_extended a failure does not say of which task it is; its traceback names the function, `in FUNCTION`,
 * at the end of a line. */
static bool traceback_names(const char *traceback, const char *task)
{
	const char *dot = strrchr(task, '.'), *function = dot ? dot + 1 : task;
	size_t length = strlen(function);
	for (const char *at = traceback; length && at && (at = strstr(at, " in ")); at += 4)
		if (strncmp(at + 4, function, length) == 0 && (at[4 + length] == '\n' || at[4 + length] == '\0'))
			return true;
	return false;
}

static void take_name(struct meta *meta, const json_t *root, const char *task)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	const char *traceback = json_string_value(json_object_get(root, "traceback"));
	if (name)
		text_utf8(meta->task, sizeof(meta->task), name, strlen(name));
	meta->is_traced = meta->report.status == RUN_ERROR && traceback_names(traceback, task);
}

void meta_read(const char *bytes, size_t length, const char *task, bool phones_full, struct meta *ret_meta)
{
	struct meta meta = {.report = {.missing = -1, .queued = -1}};
	if (length > META_BYTES_MAX) {
		meta_too_large(length, ret_meta);
		return;
	}
	bool is_pickle = length && (unsigned char)bytes[0] == 0x80; /* of protocol 2 or later */
	json_t *root = is_pickle ? NULL : json_loadb(bytes, length, JSON_REJECT_DUPLICATES, /* error */ NULL);
	const char *word = root ? take_state(&meta, root) : NULL;
	if (is_pickle)
		unreadable(&meta,
			   "it is a pickle, which is never interpreted; set result_serializer to json in Celery");
	else if (!root)
		unreadable(&meta, "it is not JSON; is result_serializer json in Celery?");
	else if (!word)
		unreadable(&meta, "it has no status");
	if (word) {
		take_result(&meta, root, word, phones_full);
		take_name(&meta, root, task);
	}
	json_decref(root);
	*ret_meta = meta;
}
