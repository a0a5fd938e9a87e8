/* SPDX-License-Identifier: MIT
 *
 * The pure parts of plugin reconciliation: the message for Celery, what its results say, what the platform says and
 * whether that is to be believed, the list of runs and its bytes on disk.
 */
#include "message.h"
#include "meta.h"
#include "runs.h"
#include "status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TASK "app.tasks.reconciliation_tasks.reconcile_call_logs"

static const int64_t noon = 1795608000 * CW_SECOND; /* 2026-11-25T12:00:00Z */

/* ---- the message ---- */

static const char *text_at(const json_t *object, const char *a, const char *b)
{
	const json_t *inner = json_object_get(object, a);
	return json_string_value(b ? json_object_get(inner, b) : inner);
}

static void message__has_what_protocol_2_wants(void **state)
{
	(void)state;
	char buffer[MESSAGE_BYTES_MAX], again[MESSAGE_BYTES_MAX];
	const struct message message = {
		.id = "f4e71d30-42d2-437e-a31a-035a1ef7835c", .task = TASK, .queue = "ce\"lery", .origin = "callwatch"};
	size_t length = message_make(&message, buffer);
	assert_int_equal(length, strlen(buffer));
	assert_int_equal(message_make(&message, again), length);
	assert_string_equal(buffer, again);
	json_t *root = json_loadb(buffer, length, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_string_equal(text_at(root, "headers", "task"), TASK);
	assert_string_equal(text_at(root, "headers", "id"), message.id);
	assert_string_equal(text_at(root, "headers", "root_id"), message.id);
	assert_string_equal(text_at(root, "properties", "correlation_id"), message.id);
	assert_string_equal(text_at(root, "content-type", NULL), "application/json");
	assert_string_equal(text_at(json_object_get(root, "properties"), "delivery_info", "routing_key"), "ce\"lery");
	assert_string_equal(text_at(root, "body", NULL),
			    "W1tdLHt9LHsiY2FsbGJhY2tzIjpudWxsLCJlcnJiYWNrcyI6bnVsbCwiY2hhaW4iOm51bGwsImNob3JkIjpudWxs"
			    "fV0=");
	json_decref(root);
}

static void message__that_does_not_fit__is_none(void **state)
{
	(void)state;
	char buffer[MESSAGE_BYTES_MAX], *name = malloc(MESSAGE_BYTES_MAX + 1);
	memset(name, 'x', MESSAGE_BYTES_MAX);
	name[MESSAGE_BYTES_MAX] = '\0';
	assert_int_equal(message_make(&(struct message){.id = "i", .task = name, .queue = "q", .origin = "o"}, buffer),
			 0);
	free(name);
}

static void id__is_a_new_uuid_each_time(void **state)
{
	(void)state;
	char a[MESSAGE_ID_SIZE], b[MESSAGE_ID_SIZE];
	message_new_id(a);
	message_new_id(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
}

/* ---- Celery's results ---- */

static struct meta meta_of(const char *text)
{
	struct meta meta;
	meta_read(text, strlen(text), TASK, /* phones_full */ false, &meta);
	return meta;
}

static void meta__of_each_state_of_celery(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
		enum run_status status;
		bool is_over;
	} cases[] = {
		{"{\"status\":\"PENDING\",\"result\":null}", "", RUN_QUEUED, false},
		{"{\"status\":\"RECEIVED\"}", "", RUN_QUEUED, false},
		{"{\"status\":\"STARTED\",\"result\":{\"pid\":7,\"hostname\":\"w\"}}", "", RUN_RUNNING, false},
		{"{\"status\":\"PROGRESS\",\"result\":{\"n\":7}}", "", RUN_RUNNING, false},
		{"{\"status\":\"RETRY\",\"result\":{\"exc_type\":\"IOError\",\"exc_message\":[\"busy\"]}}",
		 "it will be tried again: IOError: busy", RUN_RUNNING, false},
		{"{\"status\":\"SUCCESS\",\"result\":{\"missing_count\":3,\"queued_count\":2}}", "", RUN_SUCCESS, true},
		{"{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"ValueError\",\"exc_message\":[\"a\",1,\"b\"]}}",
		 "ValueError: a, b", RUN_ERROR, true},
		{"{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"ValueError\",\"exc_message\":\"text\"}}",
		 "ValueError: text", RUN_ERROR, true},
		{"{\"status\":\"FAILURE\",\"result\":[1,2]}", "it failed without saying why", RUN_ERROR, true},
		{"{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"E\",\"exc_message\":[\"call of +14155550132\"]}}",
		 "E: call of +1\u2022\u2022\u2022\u2022\u2022\u20220132", RUN_ERROR, true},
		{"{\"status\":\"REVOKED\",\"result\":null}", "Celery says REVOKED", RUN_ERROR, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct meta meta = meta_of(cases[i].text);
		assert_int_equal(meta.report.status, cases[i].status);
		assert_string_equal(meta.report.error, cases[i].error);
		assert_int_equal(meta.is_over, cases[i].is_over);
	}
}

static void meta__that_is_no_json_or_a_pickle__is_unreadable_and_not_interpreted(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		const char *says;
	} cases[] = {
		{"\x80\x04\x95\x10\x00", 5, "pickle"},
		{"\x80\x02}q\x00.", 6, "pickle"},
		{"", 0, "not JSON"},
		{"nonsense", 8, "not JSON"},
		{"[]", 2, "no status"},
		{"\"SUCCESS\"", 9, "not JSON"},
		{"{}", 2, "no status"},
		{"{\"status\":7}", 12, "no status"},
		{"{\"status\":\"SUCCESS\"", 19, "not JSON"},
		{"{\"status\":\"SUCCESS\",\"result\":1e999999}", 38, "not JSON"},
		{"{\"status\":\"SUCCESS\",\"status\":\"FAILURE\"}", 38, "not JSON"},
		{"{\"status\":\"SUCC\xff\"}", 18, "not JSON"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct meta meta;
		meta_read(cases[i].bytes, cases[i].length, TASK, false, &meta);
		assert_int_equal(meta.report.status, RUN_LOST);
		assert_non_null(strstr(meta.report.error, "unreadable"));
		assert_non_null(strstr(meta.report.error, cases[i].says));
		assert_int_equal(meta.report.missing, -1);
	}
}

static void meta__deep_or_large__costs_little(void **state)
{
	(void)state;
	struct meta meta;
	size_t length = META_BYTES_MAX + 1;
	char *bytes = malloc(length);
	memset(bytes, '[', length);
	meta_read(bytes, 100000, TASK, false, &meta);
	assert_int_equal(meta.report.status, RUN_LOST);
	meta_read(bytes, length, TASK, false, &meta);
	assert_non_null(strstr(meta.report.error, "too large"));
	free(bytes);
}

static void meta__with_a_megabyte_of_traceback__keeps_the_exception(void **state)
{
	(void)state;
	size_t room = (1 << 20) + 1000;
	char *text = malloc(room);
	int n = snprintf(text, room,
			 "{\"status\":\"FAILURE\",\"result\":{\"exc_type\":\"ValueError\",\"exc_message\":[\"");
	memset(text + n, 'x', 1 << 20);
	snprintf(text + n + (1 << 20), room - (size_t)n - (1 << 20),
		 "\"]},\"traceback\":\"File x, line 3, in reconcile_call_logs\\n boom\"}");
	struct meta meta = meta_of(text);
	assert_int_equal(meta.report.status, RUN_ERROR);
	assert_true(meta.is_traced);
	assert_int_equal(strncmp(meta.report.error, "ValueError: xxxx", 16), 0);
	assert_true(strlen(meta.report.error) < RUN_ERROR_MAX);
	free(text);
}

static void meta__says_of_which_task_it_is_as_far_as_it_does(void **state)
{
	(void)state;
	struct meta meta = meta_of("{\"status\":\"SUCCESS\",\"result\":null,\"name\":\"a.b\"}");
	assert_string_equal(meta.task, "a.b");
	assert_false(meta.has_counts);
	meta = meta_of("{\"status\":\"SUCCESS\",\"result\":{\"missing_count\":0,\"queued_count\":0.0},"
		       "\"date_done\":\"2026-11-25T12:00:00.5\"}");
	assert_true(meta.has_counts);
	assert_int_equal(meta.report.finished_at, noon + CW_SECOND / 2);
	meta = meta_of("{\"status\":\"FAILURE\",\"result\":{},\"traceback\":\"in reconcile_call_logs_of_others\\n\"}");
	assert_false(meta.is_traced);
}

static void counts__that_are_none__are_not_known(void **state)
{
	(void)state;
	static const char *const texts[] = {"\"3\"", "-1", "1.5", "null", "[]", "1e300", "true"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[120];
		snprintf(text, sizeof(text), "{\"status\":\"SUCCESS\",\"result\":{\"missing_count\":%s}}", texts[i]);
		assert_int_equal(meta_of(text).report.missing, -1);
		assert_int_equal(meta_of(text).report.queued, -1);
	}
}

/* ---- what the platform says ---- */

static struct status status_of(const char *text)
{
	struct status status;
	char why[STATUS_WHY_MAX];
	if (status_read(text, strlen(text), "canary", false, &status, why) < 0)
		fail_msg("%s: %s", text, why);
	return status;
}

static void status__as_the_platform_gives_it(void **state)
{
	(void)state;
	struct status status = status_of("{\"last_run_at\":\"2026-11-25T12:00:00+00:00\",\"status\":\"success\","
					 "\"missing_count\":3,\"queued_count\":2,\"error\":null}");
	assert_true(status.has_last_run);
	assert_int_equal(status.last_run_at, noon);
	assert_int_equal(status.report.status, RUN_SUCCESS);
	assert_int_equal(status.report.missing, 3);
	assert_int_equal(status.report.queued, 2);
	status = status_of("{\"last_run_at\":null,\"status\":null}");
	assert_true(status.never_ran);
	assert_int_equal(status.report.missing, -1);
	status = status_of("{\"last_run_at\":\"2026-11-25 12:00:00\",\"status\":\"Error\",\"error\":\"db is down\"}");
	assert_int_equal(status.report.status, RUN_ERROR);
	assert_string_equal(status.report.error, "db is down");
}

/* Also where a text is cut, and where JSON writes it with escapes. */
static void secret__is_in_no_text(void **state)
{
	(void)state;
	for (size_t before = 0; before < 2000; before++) {
		char text[2400];
		snprintf(text, sizeof(text),
			 "{\"last_run_at\":null,\"status\":\"%.*s%s\",\"error\":\"%0*d%s of +14155550132\"}",
			 (int)(before % 50), "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
			 before % 2 ? "canary" : "can\\u0061ry", (int)before, 0,
			 before % 2 ? "canary" : "can\\u0061ry");
		struct status status = status_of(text);
		assert_null(strstr(status.word, "can"));
		assert_null(strstr(status.report.error, "can"));
		assert_null(strstr(status.report.error, "4155550132"));
	}
}

static void status__that_is_none__is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"",
					    "nonsense",
					    "[]",
					    "{}",
					    "{\"detail\":\"Not Found\"}",
					    "{\"last_run_at\":7,\"status\":\"success\"}",
					    "{\"last_run_at\":\"yesterday\",\"status\":\"success\"}",
					    "{\"last_run_at\":null,\"status\":null"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct status status;
		char why[STATUS_WHY_MAX] = "";
		assert_int_equal(status_read(texts[i], strlen(texts[i]), NULL, false, &status, why), -EINVAL);
		assert_int_not_equal(why[0], '\0');
	}
}

/* Polls every 5 s from noon on; `{}` in the text is the time of the poll. Is the last one believed? */
static bool believed_after(const char *format, uint32_t polls, int64_t expected_every, bool is_missed, char *why)
{
	struct judge judge = {.has_last = false};
	bool believed = false;
	for (uint32_t i = 0; i < polls; i++) {
		char text[300];
		const char *time = strstr(format, "{}:");
		if (time)
			snprintf(text, sizeof(text), "%.*s%02u:%s", (int)(time - format), format, i / 12, time + 3);
		else
			snprintf(text, sizeof(text), "%s", format);
		char *seconds = strstr(text, "SS");
		if (seconds) {
			seconds[0] = (char)('0' + i * 5 % 60 / 10);
			seconds[1] = (char)('0' + i * 5 % 10);
		}
		struct status status = status_of(text);
		believed = judge_believes(&judge, &status, noon + i * 5 * CW_SECOND, expected_every, is_missed, why);
	}
	return believed;
}

static void placeholder__is_not_believed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t polls;
		int64_t expected_every;
		bool is_missed;
		const char *says;
	} cases[] = {
		{"{\"last_run_at\":null,\"status\":\"unknown\"}", 1, 0, false, "\"unknown\""},
		{"{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":\"n/a\"}", 1, 0, false, "\"n/a\""},
		{"{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":null}", 1, 0, false, "\"null\""},
		{"{\"last_run_at\":\"1970-01-01T00:00:00Z\",\"status\":\"success\"}", 1, 0, false, "1970-01-01"},
		{"{\"last_run_at\":\"0001-01-01T00:00:00\",\"status\":\"success\"}", 1, 0, false, "no run's"},
		{"{\"last_run_at\":\"2036-01-01T00:00:00Z\",\"status\":\"success\"}", 1, 0, false, "2036-01-01"},
		{"{\"last_run_at\":\"2026-11-25T12:{}:SS\",\"status\":\"success\"}", 5, 0, false, "clock"},
		{"{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":\"success\"}", 20, 30 * CW_SECOND, false,
		 "due twice"},
		{"{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":\"success\"}", 3, 0, true, "asked for"},
		{"{\"last_run_at\":null,\"status\":null}", 20, 30 * CW_SECOND, false, "due twice"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[STATUS_WHY_MAX] = "";
		if (believed_after(cases[i].text, cases[i].polls, cases[i].expected_every, cases[i].is_missed, why))
			fail_msg("believed: %s", cases[i].text);
		if (!strstr(why, cases[i].says))
			fail_msg("%s: %s", cases[i].text, why);
	}
}

static void answer__that_may_be_true__is_believed(void **state)
{
	(void)state;
	static const char truth[] = "{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":\"success\"}";
	char why[STATUS_WHY_MAX];
	assert_true(believed_after(truth, 1, 0, false, why));
	assert_true(believed_after(truth, 1000, 0, false, why)); /* nothing says that a run was due */
	assert_true(believed_after(truth, 10, 30 * CW_SECOND, false, why));
	assert_true(believed_after(truth, 2, 0, true, why));
	assert_true(
		believed_after("{\"last_run_at\":\"2026-11-25T12:{}:SS\",\"status\":\"success\"}", 3, 0, false, why));
	assert_true(believed_after("{\"last_run_at\":null,\"status\":\"never\"}", 3, 0, false, why));
}

static void answer__that_changed_once__may_stand_still(void **state)
{
	(void)state;
	struct judge judge = {.has_last = false};
	char why[STATUS_WHY_MAX];
	struct status first = status_of("{\"last_run_at\":\"2026-11-25T11:00:00\",\"status\":\"success\"}"),
		      second = status_of("{\"last_run_at\":\"2026-11-25T11:59:00\",\"status\":\"success\"}");
	judge_believes(&judge, &first, noon, CW_SECOND, false, why);
	for (int i = 1; i < 100; i++)
		assert_true(judge_believes(&judge, &second, noon + i * 5 * CW_SECOND, CW_SECOND, true, why));
}

/* ---- runs ---- */

static struct run run_of(const char *id, enum run_status status, int64_t finished_at)
{
	struct run run = {.status = status, .finished_at = finished_at, .missing = 3, .queued = -1, .updated_at = noon};
	snprintf(run.id, sizeof(run.id), "%s", id);
	snprintf(run.task_id, sizeof(run.task_id), "t-%s", id);
	snprintf(run.by, sizeof(run.by), "root \"x\" \xc3\xbc");
	snprintf(run.error, sizeof(run.error), "line\nbreak");
	return run;
}

static void runs__when_full__drop_the_oldest_that_is_over(void **state)
{
	(void)state;
	struct runs runs;
	struct run dropped = {.id = ""};
	assert_int_equal(runs_init(&runs, 3), 0);
	struct run a = run_of("a", RUN_RUNNING, 0), b = run_of("b", RUN_SUCCESS, noon),
		   c = run_of("c", RUN_ERROR, noon + 1), d = run_of("d", RUN_QUEUED, 0);
	assert_false(runs_add(&runs, &a, &dropped));
	assert_false(runs_add(&runs, &b, &dropped));
	assert_false(runs_add(&runs, &c, &dropped));
	assert_true(runs_add(&runs, &d, &dropped));
	assert_string_equal(dropped.id, "b");
	assert_non_null(runs_find(&runs, "a"));
	assert_null(runs_find(&runs, "b"));
	assert_string_equal(runs_last_over(&runs)->id, "c");
	assert_string_equal(runs_under_way(&runs)->id, "d");
	struct run *touched = runs_touch(&runs, runs_find_task(&runs, "t-a"));
	assert_string_equal(touched->id, "a");
	assert_ptr_equal(touched, runs.items);
	runs_remove(&runs, touched);
	assert_int_equal(runs.count, 2);
	runs_release(&runs);
}

static void runs__written_and_read__are_the_same(void **state)
{
	(void)state;
	struct runs runs, again;
	size_t length = 0, length_again = 0;
	assert_int_equal(runs_init(&runs, 10), 0);
	assert_int_equal(runs_init(&again, 10), 0);
	runs.watching_since = noon;
	struct run a = run_of("a", RUN_RUNNING, 0), b = run_of("b", RUN_LOST, noon);
	runs_add(&runs, &a, NULL);
	runs_add(&runs, &b, NULL);
	char *bytes = runs_write(&runs, &length);
	assert_int_equal(runs_read(&again, bytes, length, 500 * CW_SECOND, noon + 60 * CW_SECOND), 0);
	assert_int_equal(again.watching_since, noon);
	assert_int_equal(again.count, 2);
	assert_string_equal(again.items[0].id, "b");
	assert_string_equal(again.items[0].error, "line\nbreak");
	assert_int_equal(again.items[0].status, RUN_LOST);
	assert_int_equal(again.items[1].missing, 3);
	assert_int_equal(again.items[1].heard, 440 * CW_SECOND);
	char *bytes_again = runs_write(&again, &length_again);
	assert_int_equal(length, length_again);
	assert_memory_equal(bytes, bytes_again, length);
	free(bytes);
	free(bytes_again);
	runs_release(&runs);
	runs_release(&again);
}

/* Each byte changed, each length: never taken, never half taken. */
static void runs__damaged__are_not_read(void **state)
{
	(void)state;
	struct runs runs, again;
	size_t length = 0;
	assert_int_equal(runs_init(&runs, 10), 0);
	assert_int_equal(runs_init(&again, 10), 0);
	struct run a = run_of("a", RUN_RUNNING, 0);
	runs_add(&runs, &a, NULL);
	char *bytes = runs_write(&runs, &length);
	for (size_t i = 0; i < length; i++) {
		bytes[i] ^= 1;
		assert_int_equal(runs_read(&again, bytes, length, 1, 1), -EBADMSG);
		bytes[i] ^= 1;
		assert_int_equal(runs_read(&again, bytes, i, 1, 1), -EBADMSG);
	}
	assert_int_equal(again.count, 0);
	free(bytes);
	runs_release(&runs);
	runs_release(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message__has_what_protocol_2_wants),
		cmocka_unit_test(message__that_does_not_fit__is_none),
		cmocka_unit_test(id__is_a_new_uuid_each_time),
		cmocka_unit_test(meta__of_each_state_of_celery),
		cmocka_unit_test(meta__that_is_no_json_or_a_pickle__is_unreadable_and_not_interpreted),
		cmocka_unit_test(meta__deep_or_large__costs_little),
		cmocka_unit_test(meta__with_a_megabyte_of_traceback__keeps_the_exception),
		cmocka_unit_test(meta__says_of_which_task_it_is_as_far_as_it_does),
		cmocka_unit_test(counts__that_are_none__are_not_known),
		cmocka_unit_test(status__as_the_platform_gives_it),
		cmocka_unit_test(secret__is_in_no_text),
		cmocka_unit_test(status__that_is_none__is_refused),
		cmocka_unit_test(placeholder__is_not_believed),
		cmocka_unit_test(answer__that_may_be_true__is_believed),
		cmocka_unit_test(answer__that_changed_once__may_stand_still),
		cmocka_unit_test(runs__when_full__drop_the_oldest_that_is_over),
		cmocka_unit_test(runs__written_and_read__are_the_same),
		cmocka_unit_test(runs__damaged__are_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
