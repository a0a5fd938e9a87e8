/* SPDX-License-Identifier: MIT
 *
 * The JSON bodies of silences and acknowledgements: what they say, and each way to be wrong, with the member named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alert_body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t wall = 1795354247 * CW_SECOND; /* 2026-11-22T13:30:47Z */
static struct silence_body silence;
static struct ack_body ack;
static char error[BODY_ERROR_MAX];

static int read_silence(const char *text)
{
	*error = '\0';
	return silence_body_read(&silence, text, strlen(text), wall, error);
}

static int read_ack(const char *text)
{
	*error = '\0';
	return ack_body_read(&ack, text, strlen(text), error);
}

static void silence__is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(read_silence("{\"matchers\":[\"alertname=call-stale\",\"worker=ai-7\"],\"duration_seconds\":"
				      "7200.5,\"comment\":\"deploy\",\"every\":\"Sun 02:00-04:00\",\"timezone\":"
				      "\"Europe/Berlin\",\"dry_run\":true}"),
			 0);
	assert_int_equal(silence.spec.matchers_count, 2);
	assert_string_equal(silence.spec.matchers[1], "worker=ai-7");
	assert_int_equal(silence.spec.starts_at, 0);
	assert_true(silence.spec.ends_at == wall + 7200 * CW_SECOND + CW_SECOND / 2);
	assert_string_equal(silence.spec.every, "Sun 02:00-04:00");
	assert_string_equal(silence.spec.timezone, "Europe/Berlin");
	assert_string_equal(silence.spec.comment, "deploy");
	assert_true(silence.spec.dry_run);
	assert_false(silence.spec.all);
	assert_null(silence.spec.id);
	silence_body_release(&silence);
}

static void duration__counts_from_the_beginning(void **state)
{
	(void)state;
	assert_int_equal(read_silence("{\"all\":true,\"starts_at\":\"2026-11-22T14:30:47Z\",\"duration_seconds\":60,"
				      "\"comment\":\"c\"}"),
			 0);
	assert_true(silence.spec.ends_at == wall + 3660 * CW_SECOND);
	silence_body_release(&silence);
	/* one that has begun already: from now on, so that it lasts as long as was said */
	assert_int_equal(read_silence("{\"all\":true,\"starts_at\":\"2026-11-22T12:30:47Z\",\"duration_seconds\":60,"
				      "\"comment\":\"c\"}"),
			 0);
	assert_true(silence.spec.ends_at == wall + 60 * CW_SECOND);
	silence_body_release(&silence);
	assert_int_equal(read_silence("{\"all\":true,\"ends_at\":\"2026-11-22T15:30:47+01:00\",\"comment\":\"c\"}"), 0);
	assert_true(silence.spec.ends_at == wall + 3600 * CW_SECOND);
	silence_body_release(&silence);
}

/* Far beyond what an int64 of nanoseconds holds: the end is the end of time, and not before the beginning. */
static void far_beginning__does_not_wrap(void **state)
{
	(void)state;
	assert_int_equal(read_silence("{\"all\":true,\"starts_at\":\"2261-11-22T12:30:47Z\",\"duration_seconds\":"
				      "315000000,\"comment\":\"c\"}"),
			 0);
	assert_true(silence.spec.ends_at == INT64_MAX);
	silence_body_release(&silence);
}

static void dry_run__needs_no_comment(void **state)
{
	(void)state;
	assert_int_equal(read_silence("{\"all\":true,\"duration_seconds\":60,\"dry_run\":true}"), 0);
	silence_body_release(&silence);
}

static void wrong_silence__is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"", "say what it mutes"},
		{"{", "is no JSON"},
		{"[]", "is a JSON object"},
		{"{\"matcher\":[]}", "no member `matcher`; known: matchers, all"},
		{"{\"matchers\":\"a=b\"}", "`matchers` is a list of texts"},
		{"{\"matchers\":[\"\"]}", "none of them is empty"},
		{"{\"matchers\":[],\"comment\":\"c\",\"duration_seconds\":1}", "say what it mutes"},
		{"{\"all\":1}", "`all` is true or false"},
		{"{\"all\":true,\"matchers\":[\"a=b\"]}", "`all` goes without `matchers`"},
		{"{\"all\":true,\"duration_seconds\":1}", "say why: `comment`"},
		{"{\"all\":true,\"comment\":\"c\"}", "say how long"},
		{"{\"all\":true,\"comment\":\"c\",\"duration_seconds\":1,\"ends_at\":\"2026-11-23T00:00:00Z\"}",
		 "say how long: either"},
		{"{\"duration_seconds\":0}", "`duration_seconds` is a number"},
		{"{\"duration_seconds\":-1}", "`duration_seconds` is a number"},
		{"{\"duration_seconds\":1e300}", "at most ten years"},
		{"{\"duration_seconds\":\"2h\"}", "`duration_seconds` is a number of seconds"},
		{"{\"ends_at\":\"tomorrow\"}", "`ends_at` is a time with its zone"},
		{"{\"ends_at\":\"2026-11-23T00:00:00\"}", "`ends_at` is a time with its zone"},
		{"{\"starts_at\":7}", "`starts_at` is a time with its zone"},
		{"{\"all\":true,\"comment\":\"c\",\"ends_at\":\"2026-11-22T00:00:00Z\"}", "not after now"},
		{"{\"all\":true,\"comment\":\"c\",\"starts_at\":\"2026-12-22T00:00:00Z\",\"ends_at\":"
		 "\"2026-12-21T00:00:00Z\"}",
		 "not after `starts_at`"},
		{"{\"all\":true,\"comment\":\"c\",\"duration_seconds\":1,\"timezone\":\"UTC\"}", "`timezone` is that"},
		{"{\"comment\":\"\"}", "`comment` is a text, and not an empty one"},
		{"{\"every\":null}", "`every` is a text"},
		{"{\"comment\":\"a\\u0000b\"}", "is no JSON"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_silence(cases[i].text), -EINVAL);
		if (!strstr(error, cases[i].part))
			fail_msg("`%s` not in: %s", cases[i].part, error);
		silence_body_release(&silence);
	}
}

static void too_much__is_refused(void **state)
{
	(void)state;
	char text[ALERT_TEXT_MAX + 64] = "{\"comment\":\"", *to = text + strlen(text);
	memset(to, 'x', ALERT_TEXT_MAX + 1);
	strcpy(to + ALERT_TEXT_MAX + 1, "\"}");
	assert_int_equal(read_silence(text), -EINVAL);
	assert_non_null(strstr(error, "`comment` has more than 1000 bytes"));
	silence_body_release(&silence);
	char list[1024] = "{\"matchers\":[\"a=b\"";
	for (int i = 0; i < MATCHERS_MAX; i++)
		strcat(list, ",\"a=b\"");
	strcat(list, "]}");
	assert_int_equal(read_silence(list), -EINVAL);
	assert_non_null(strstr(error, "`matchers` has more than 64"));
	silence_body_release(&silence);
}

static void ack__is_read_or_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(
		read_ack("{\"alert\":\"call-stale\",\"subject\":\"CA1\",\"instance\":\"calls\",\"note\":\"n\"}"), 0);
	assert_string_equal(ack.spec.alert, "call-stale");
	assert_string_equal(ack.spec.subject, "CA1");
	assert_string_equal(ack.spec.instance, "calls");
	assert_string_equal(ack.spec.note, "n");
	ack_body_release(&ack);
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"", "say which: `alert`"},
		{"{\"alert\":\"a\"}", "`note`"},
		{"{\"alert\":7}", "`alert` is a text"},
		{"{\"alert\":\"a\",\"rule\":\"b\"}", "no member `rule`; known: alert, subject, instance, note"},
		{"{\"alert\":\"a\",\"alert\":\"b\"}", "duplicate"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_ack(cases[i].text), -EINVAL);
		if (!strstr(error, cases[i].part))
			fail_msg("`%s` not in: %s", cases[i].part, error);
		ack_body_release(&ack);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence__is_read_whole),
		cmocka_unit_test(duration__counts_from_the_beginning),
		cmocka_unit_test(far_beginning__does_not_wrap),
		cmocka_unit_test(dry_run__needs_no_comment),
		cmocka_unit_test(wrong_silence__is_refused_by_name),
		cmocka_unit_test(too_much__is_refused),
		cmocka_unit_test(ack__is_read_or_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
