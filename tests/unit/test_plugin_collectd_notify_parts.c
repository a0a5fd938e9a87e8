/* SPDX-License-Identifier: MIT
 *
 * PUTNOTIF lines of notifier collectd-notify. What a real collectd makes of them is in
 * tests/system/test_collectd_notify.py.
 */
#include "line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[8192];

static const char *line_of(struct cw_notice notice)
{
	struct buffer buffer;
	notice.id = notice.id ? notice.id : "0a1b-1-2c3d";
	notice.host = notice.host ? notice.host : "web-1";
	notice.rule = "call-stale";
	notice.at = 1764468591123 * CW_MILLISECOND;
	buffer_init(&buffer, 0, sizeof(text) - 1);
	line_write(&buffer, &notice);
	assert_false(buffer.failed);
	memcpy(text, buffer_text(&buffer), buffer.length);
	text[buffer.length] = '\0';
	buffer_release(&buffer);
	return text;
}

static void a_notice__is_one_line_with_the_message_last(void **state)
{
	(void)state;
	assert_string_equal(
		line_of((struct cw_notice){.title = "call-stale: 37 silent", .severity = CW_SEVERITY_WARNING}),
		"PUTNOTIF severity=warning time=1764468591.123 host=\"web-1\" plugin=\"callwatch\" "
		"plugin_instance=\"call-stale\" type=\"alert\" message=\"call-stale: 37 silent "
		"[0a1b-1-2c3d]\"\n");
}

static void severities__are_those_of_collectd(void **state)
{
	(void)state;
	static const struct {
		enum cw_notice_kind kind;
		enum cw_severity severity;
		const char *word;
	} cases[] = {
		{CW_NOTICE_FIRING, CW_SEVERITY_INFO, "severity=okay "},
		{CW_NOTICE_FIRING, CW_SEVERITY_WARNING, "severity=warning "},
		{CW_NOTICE_REPEAT, CW_SEVERITY_CRITICAL, "severity=failure "},
		{CW_NOTICE_RESOLVED, CW_SEVERITY_CRITICAL, "severity=okay "},
		{CW_NOTICE_TEST, CW_SEVERITY_CRITICAL, "severity=okay "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_non_null(strstr(
			line_of((struct cw_notice){.title = "x", .kind = cases[i].kind, .severity = cases[i].severity}),
			cases[i].word));
}

static void what_strangers_write__stays_in_the_message(void **state)
{
	(void)state;
	const char *line = line_of((struct cw_notice){.title = "a\" severity=okay\nPUTNOTIF b\\\"\r\x1b c",
						      .host = "h\"ost\n/x",
						      .severity = CW_SEVERITY_WARNING});
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_null(strchr(line, '\r'));
	assert_non_null(strstr(line, "host=\"h%22ost%0A%2Fx\""));
	assert_non_null(strstr(line, "message=\"a\\\" severity=okay\\\\nPUTNOTIF b\\\\\\\"\\\\r\\\\x1b c ["));
}

static void a_long_title__is_cut_and_the_id_is_not(void **state)
{
	(void)state;
	static char title[4000];
	for (size_t i = 0; i + 2 < sizeof(title); i += 2)
		memcpy(title + i, i % 4 ? "\"\\" : "ü", 2);
	const char *line =
		line_of((struct cw_notice){.title = title,
					   .is_doubtful = true,
					   .kind = CW_NOTICE_RESOLVED,
					   .id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"});
	const char *message = strstr(line, "message=\"") + 9;
	size_t length = 0;
	for (const char *c = message; *c != '"'; c++, length++)
		c += *c == '\\';
	assert_true(length <= MESSAGE_MAX);
	assert_true(strlen(line) <= LINE_MAX_BYTES);
	assert_non_null(strstr(line, " (resolved) [0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, "
				     "again]\"\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_notice__is_one_line_with_the_message_last),
		cmocka_unit_test(severities__are_those_of_collectd),
		cmocka_unit_test(what_strangers_write__stays_in_the_message),
		cmocka_unit_test(a_long_title__is_cut_and_the_id_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
