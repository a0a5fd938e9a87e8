/* SPDX-License-Identifier: MIT
 *
 * What plugin slack is made of: texts made to fit, messages (held against Slack's documented limits by
 * tests/tools/slack_limits.py, which knows nothing of our code), and what is made of answers.
 */
#include "answer.h"
#include "message.h"
#include "notice_fixture.h"
#include "tool_fixture.h"
#include "words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- words ---- */

static void a_text__is_escaped_and_cut_where_slack_would_count(void **state)
{
	(void)state;
	static const struct {
		const char *text, *fitted;
		size_t limit;
		bool lines;
	} cases[] = {
		{"calm", "calm", 4, false},
		{"calmly", "cal\xe2\x80\xa6", 4, false},
		{"", "", 4, false},
		{"<!channel>", "&lt;!channel&gt;", 100, false},
		{"<http://evil|here> & <@U1>", "&lt;http://evil|here&gt; &amp; &lt;@U1&gt;", 100, false},
		{"&lt;!here&gt;", "&amp;lt;!here&amp;gt;", 100, false},
		{"a<b", "a\xe2\x80\xa6", 5, false}, /* an entity is never cut */
		{"a<b", "a&lt;b", 6, false},
		{"\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5\xe2\x80\xa6", 3, false}, /* counts as two each */
		{"\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5", "\xf0\x9f\x94\xa5\xf0\x9f\x94\xa5", 4, false},
		{"one\ntwo", "one\ntwo", 100, true},
		{"one\ntwo", "one\\ntwo", 100, false},
		{"\n\n", "\n\n", 100, true},
		{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd", 100, false},
		{"a\xe2\x80\xae"
		 "b\x1b[2J",
		 "a\\u202eb\\x1b[2J", 100, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buffer[WORDS_FIT_SIZE];
		size_t length = words_fit(buffer, cases[i].text, cases[i].limit, cases[i].lines);
		if (strcmp(buffer, cases[i].fitted) != 0 || length != strlen(buffer))
			fail_msg("case %zu: %s", i, buffer);
		assert_true(words_count(buffer, length) <= cases[i].limit);
	}
}

static void an_address__of_a_button_is_one_that_slack_takes(void **state)
{
	(void)state;
	char longest[WORDS_URL_MAX + 2] = "https://";
	memset(longest + 8, 'x', WORDS_URL_MAX - 8);
	assert_true(words_is_url("https://callwatch.example.net/?table=calls&where=health_status%3Dstale"));
	assert_true(words_is_url(longest));
	longest[WORDS_URL_MAX] = 'x';
	assert_false(words_is_url(longest));
	static const char *const wrong[] = {"",           "callwatch get calls", "javascript:alert(1)",
					    "http://a b", "http://a\n",          "http://a<b>",
					    "http://a\"", "http://b\xc3\xbc"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(words_is_url(wrong[i]));
	assert_false(words_is_url(NULL));
}

/* ---- messages ---- */

static struct tool limits;

static int start_limits(void **state)
{
	(void)state;
	tool_start(&limits, "slack_limits.py");
	return 0;
}

static int stop_limits(void **state)
{
	(void)state;
	tool_stop(&limits);
	return 0;
}

/* Written and found faultless; the caller frees it. */
static char *faultless(struct buffer *out, bool is_api)
{
	assert_false(out->failed);
	char *line = malloc(out->length + 16);
	sprintf(line, "%s %.*s", is_api ? "api" : "hook", (int)out->length, buffer_text(out));
	const char *faults = tool_say(&limits, line);
	if (*faults)
		fail_msg("%s\n%s", faults, line);
	buffer_release(out);
	return line;
}

static const struct message_place hook = {.channel = NULL};
static const struct message_place root = {.channel = "C0CANARY"};
static const struct message_place change = {.channel = "C0CANARY", .ts = "1790000000.000100"};
static const struct message_place thread = {.channel = "C0CANARY", .thread = "1790000000.000100", .is_broadcast = true};

/* In each of its forms. */
static void assert_faultless(const struct cw_notice *notice, bool doubtful)
{
	struct buffer out;
	const struct cw_notice *both[] = {notice, notice};
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_notice(&out, &hook, notice, doubtful);
	free(faultless(&out, false));
	message_notice(&out, &change, notice, doubtful);
	free(faultless(&out, true));
	message_details(&out, &thread, notice, doubtful);
	free(faultless(&out, true));
	message_change(&out, &thread, notice, doubtful);
	free(faultless(&out, true));
	message_plain(&out, &root, both, 1, doubtful);
	free(faultless(&out, true));
	message_digest(&out, &hook, both, 2, doubtful);
	free(faultless(&out, false));
}

static void a_notice__says_what_an_operator_needs(void **state)
{
	(void)state;
	struct notice_fixture made;
	struct buffer out;
	const struct cw_notice *notice = notice_fixture(&made, 1);
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_notice(&out, &hook, notice, /* doubtful */ false);
	char *said = faultless(&out, false);
	static const char *const parts[] = {
		"\xe2\x96\xb2 WARNING call-stale: 37 of 849 calls silent since 02:09:51",
		"#e8a317",
		"No heartbeat for two minutes.\\nLook at the worker",
		"worker ai-7: 37",
		"business Acme &amp; Sons: 12",
		"worker=ai-7: 37 of 37; 12 businesses",
		"\xe2\x80\xa2 caller 0 (Acme &amp; Sons) silent for 2m 37s",
		"caller 9 ",
		"and 27 more",
		"To see them: callwatch get calls --where health_status=stale",
		"web-1",
		"id 6f1c0a77-1795644000-1-9a3e",
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strstr(said, parts[i]))
			fail_msg("`%s` is missing in %s", parts[i], said);
	assert_null(strstr(said, "caller 10 "));
	assert_null(strstr(said, "possible duplicate"));
	free(said);
}

static void a_single_subject__is_said_once_and_what_was_known_of_it_not_at_its_end(void **state)
{
	(void)state;
	struct notice_fixture made;
	struct buffer out;
	struct cw_notice *notice = notice_fixture(&made, 1);
	notice->alerts.count = 1;
	notice->left_out = 0;
	notice->title = "call-stale: caller 0 (Acme & Sons) silent for 2m 37s";
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_notice(&out, &hook, notice, /* doubtful */ false);
	char *said = faultless(&out, false);
	assert_null(strstr(said, "\xe2\x80\xa2 caller 0"));
	assert_non_null(strstr(said, "heartbeat_age_seconds: 2m 37s"));
	free(said);
	notice->kind = CW_NOTICE_RESOLVED;
	notice->title = "call-stale: caller 0 has ended";
	made.alerts[0].is_firing = false;
	made.alerts[0].reason = "recovered";
	message_notice(&out, &hook, notice, /* doubtful */ false);
	said = faultless(&out, false);
	assert_non_null(strstr(said, "(recovered)"));
	assert_null(strstr(said, "heartbeat_age_seconds"));
	free(said);
}

static void a_notice_with_links__has_buttons_in_place_of_a_command(void **state)
{
	(void)state;
	struct notice_fixture made;
	struct buffer out;
	struct cw_notice *notice = notice_fixture(&made, 1);
	notice->url = "https://callwatch.example.net/?table=calls&where=health_status%3Dstale";
	made.alerts[0].url = "https://callwatch.example.net/?table=calls&where=call_sid%3DCA0";
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_notice(&out, &hook, notice, /* doubtful */ true);
	char *said = faultless(&out, false);
	assert_non_null(
		strstr(said, "\"url\":\"https://callwatch.example.net/?table=calls&where=health_status%3Dstale\""));
	assert_non_null(strstr(said, "\"url\":\"https://callwatch.example.net/?table=calls&where=call_sid%3DCA0\""));
	assert_null(strstr(said, "To see them"));
	assert_non_null(strstr(said, "possible duplicate of 6f1c0a77-1795644000-1-9a3e"));
	free(said);
}

static void what_has_ended__says_why_and_who_took_care(void **state)
{
	(void)state;
	struct notice_fixture made;
	struct buffer out;
	struct cw_notice *notice = notice_fixture(&made, 2);
	notice->kind = CW_NOTICE_RESOLVED;
	made.alerts[0].is_firing = false;
	made.alerts[0].reason = "recovered";
	made.alerts[1].acked_by = "ada";
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_change(&out, &thread, notice, /* doubtful */ false);
	char *said = faultless(&out, true);
	assert_non_null(strstr(said, "\xe2\x9c\x94 RESOLVED call-stale"));
	assert_non_null(strstr(said, "\xe2\x9c\x94 caller 0 (Acme &amp; Sons) silent for 2m 37s (recovered)"));
	assert_non_null(strstr(said, "(acknowledged by ada)"));
	assert_non_null(strstr(said, "\"reply_broadcast\":true"));
	free(said);
}

/* What a stranger may write, as long as the core lets it through. */
static void fill(char *text, size_t length, const char *with)
{
	size_t n = strlen(with), used = 0;
	for (; used + n < length; used += n)
		memcpy(text + used, with, n);
	text[used] = '\0';
}

static void a_notice_of_hostile_texts__is_within_every_limit_and_pings_nobody(void **state)
{
	(void)state;
	static const char *const pieces[] = {
		"<!channel> ",
		"<!here|x>",
		"<@U12345>",
		"<http://evil.example|Slack>",
		"&&&&",
		"\"\\\"",
		"@here @channel @everyone ",
		":fire:*bold*`code`~x~_y_",
		"\xf0\x9f\x94\xa5",
		"\xe2\x80\xae",
		"\xff",
		"\xed\xa0\x80",
		"x",
		"\n",
		"\x1b]8;;http://evil\x07",
		"\xe2\x80\xa8",
		"{{ x }}%s%n",
	};
	static const size_t lengths[] = {2, 160, 300, 4096};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
			struct notice_fixture made;
			char text[4096], title[257], url[1100];
			struct cw_notice *notice = notice_fixture(&made, 1);
			struct cw_fact facts[40];
			fill(text, lengths[j], pieces[i]);
			fill(title, lengths[j] < sizeof(title) ? lengths[j] : sizeof(title), pieces[i]);
			snprintf(url, sizeof(url), "https://host/%0*d", (int)lengths[j] % 980, 0);
			for (size_t k = 0; k < 40; k++)
				facts[k] = (struct cw_fact){text, text};
			notice->title = title;
			notice->description = notice->common = notice->command = notice->rule = notice->host = text;
			notice->url = j % 2 ? url : text;
			notice->breakdown = (struct cw_array)CW_ARRAY(facts);
			notice->severity = (enum cw_severity)(j % 3);
			notice->kind = (enum cw_notice_kind)(i % 4);
			for (size_t k = 0; k < NOTICE_FIXTURE_ALERTS; k++) {
				made.alerts[k].summary = made.alerts[k].subject = made.alerts[k].acked_by = text;
				made.alerts[k].is_firing = k % 2;
				made.alerts[k].reason = k % 3 ? text : NULL;
				made.alerts[k].url = k % 2 ? url : NULL;
				made.alerts[k].facts = (struct cw_array)CW_ARRAY(facts);
			}
			assert_faultless(notice, i % 2);
			notice->alerts.count = j ? 1 : 0;
			notice->left_out = 0;
			assert_faultless(notice, i % 2);
		}
}

/* Wherever the border of a character of three bytes is. */
static void a_long_text_alone__is_cut_between_characters(void **state)
{
	(void)state;
	for (size_t before = 0; before < 3; before++) {
		char text[601];
		struct notice_fixture made;
		struct cw_notice *notice = notice_fixture(&made, 1), other = *notice;
		const struct cw_notice *both[] = {notice, &other};
		fill(text, sizeof(text), "€");
		memmove(text + before, text, sizeof(text) - before - 1);
		memset(text, 'a', before);
		text[before + 597] = '\0';
		notice->title = text;
		other.title = text;
		other.incident = "another";
		made.alerts[0].summary = text;
		for (uint32_t n = 1; n <= 2; n++) {
			struct buffer out;
			buffer_init(&out, 0, MESSAGE_BYTES_MAX);
			message_plain(&out, &root, both, n, /* doubtful */ false);
			char *said = faultless(&out, true);
			assert_non_null(strstr(said, "€"));
			assert_null(strstr(said, "\xef\xbf\xbd"));
			free(said);
		}
	}
}

static void a_digest__tells_the_last_of_each_incident(void **state)
{
	(void)state;
	struct notice_fixture *made = calloc(CW_NOTICE_DIGEST_MAX, sizeof(*made));
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	char incidents[CW_NOTICE_DIGEST_MAX][32], titles[CW_NOTICE_DIGEST_MAX][257];
	struct buffer out;
	for (uint32_t i = 0; i < CW_NOTICE_DIGEST_MAX; i++) {
		struct cw_notice *notice = notice_fixture(&made[i], i + 1);
		snprintf(incidents[i], sizeof(incidents[i]), "incident-%u", i / 2);
		snprintf(titles[i], sizeof(titles[i]), "rule-%u%s: %0*d", i / 2, i % 2 ? "" : " before", 200, 0);
		notice->incident = incidents[i];
		notice->title = titles[i];
		notice->kind = i % 4 == 3 ? CW_NOTICE_RESOLVED : CW_NOTICE_FIRING;
		notices[i] = notice;
	}
	buffer_init(&out, 0, MESSAGE_BYTES_MAX);
	message_digest(&out, &hook, notices, CW_NOTICE_DIGEST_MAX, /* doubtful */ false);
	char *said = faultless(&out, false);
	assert_non_null(strstr(said, "50 notices have waited: 13 firing, 12 resolved"));
	for (uint32_t i = 0; i < CW_NOTICE_DIGEST_MAX / 2; i++) {
		char line[64];
		snprintf(line, sizeof(line), "rule-%u: ", i);
		assert_non_null(strstr(said, line));
	}
	assert_null(strstr(said, "before"));
	free(said);
	for (uint32_t i = 0; i < CW_NOTICE_DIGEST_MAX;
	     i++) /* all incidents for themselves, each title full of quotes */
		snprintf(incidents[i], sizeof(incidents[i]), "incident-%u", i), fill(titles[i], 257, "\"&\\");
	message_digest(&out, &root, notices, CW_NOTICE_DIGEST_MAX, /* doubtful */ true);
	free(faultless(&out, true));
	message_plain(&out, &root, notices, CW_NOTICE_DIGEST_MAX, /* doubtful */ true);
	free(faultless(&out, true));
	free(made);
}

/* ---- answers ---- */

static struct answer read_it(int status, const char *body, bool is_api, int64_t retry_after)
{
	const struct http_answer http = {.end = HTTP_ANSWERED,
					 .step = HTTP_STEP_ANSWERED,
					 .status = status,
					 .body = body,
					 .length = strlen(body),
					 .retry_after = retry_after,
					 .may_have_acted = true};
	struct answer answer;
	answer_read(&http, is_api, "https://hooks.slack.com/services/T0/B0/no_canary_in_here", &answer);
	return answer;
}

static void an_answer__is_judged_by_status_and_word(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body;
		bool is_api;
		enum answer_kind kind;
		const char *says;
	} cases[] = {
		{200, "ok", false, ANSWER_TAKEN, ""},
		{204, "", false, ANSWER_TAKEN, ""},
		{200, "{\"ok\":true,\"channel\":\"C0\",\"ts\":\"1.2\"}", true, ANSWER_TAKEN, ""},
		{200, "{\"ok\":false,\"error\":\"invalid_auth\"}", true, ANSWER_REFUSED, "token_file (invalid_auth)"},
		{200, "{\"ok\":false,\"error\":\"not_in_channel\"}", true, ANSWER_REFUSED, "invite it"},
		{200, "{\"ok\":false,\"error\":\"ratelimited\"}", true, ANSWER_WAIT, "wait 30s"},
		{200, "{\"ok\":false,\"error\":\"msg_blocks_too_long\"}", true, ANSWER_CONTENT, "too long"},
		{200, "{\"ok\":false,\"error\":\"never_heard_of\"}", true, ANSWER_CONTENT, "never_heard_of"},
		{200, "{\"ok\":false,\"error\":\"message_not_found\"}", true, ANSWER_GONE, "deleted"},
		{200, "{\"ok\":false,\"error\":\"internal_error\"}", true, ANSWER_UNKNOWN, "trouble at Slack"},
		{200, "{\"ok\":false}", true, ANSWER_CONTENT, "200 OK"},
		{200, "<html>a proxy</html>", true, ANSWER_UNKNOWN, "not Slack's API"},
		{200, "", true, ANSWER_UNKNOWN, "api_url"},
		{400, "invalid_blocks", false, ANSWER_CONTENT, "invalid_blocks"},
		{400, "invalid_payload\n", false, ANSWER_CONTENT, "invalid_payload"},
		{403, "action_prohibited", false, ANSWER_REFUSED, "administrator"},
		{403, "invalid_token", false, ANSWER_REFUSED, "make a new one"},
		{404, "no_service", false, ANSWER_REFUSED, "the webhook was removed"},
		{404, "<html>Not there</html>", false, ANSWER_REFUSED, "404 Not Found"},
		{410, "channel_is_archived", false, ANSWER_REFUSED, "archived"},
		{413, "", false, ANSWER_CONTENT, "413"},
		{429, "{\"retry_after\":7,\"ok\":false,\"error\":\"rate_limited\"}", false, ANSWER_WAIT, "wait 7s"},
		{429, "{\"retry_after\":-7}", false, ANSWER_WAIT, "wait 30s"},
		{429, "{\"retry_after\":99999999999}", false, ANSWER_WAIT, "wait 1h"},
		{429, "invalid_auth", false, ANSWER_WAIT, "wait 30s"},
		{500, "rollup_error", false, ANSWER_AGAIN, "trouble at Slack"},
		{503, "", true, ANSWER_AGAIN, "503"},
		{504, "", false, ANSWER_UNKNOWN, "504"},
		{408, "", false, ANSWER_AGAIN, "408"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answer = read_it(cases[i].status, cases[i].body, cases[i].is_api, 0);
		if (answer.kind != cases[i].kind || !strstr(answer.reason, cases[i].says) ||
		    (answer.kind == ANSWER_TAKEN) != !answer.reason[0])
			fail_msg("case %zu: %d, %s", i, answer.kind, answer.reason);
	}
	assert_int_equal(read_it(429, "{\"retry_after\":7}", false, 31 * CW_SECOND).wait, 31 * CW_SECOND);
	assert_int_equal(read_it(503, "", false, 31 * CW_SECOND).wait, 31 * CW_SECOND);
	assert_int_equal(read_it(504, "", true, 31 * CW_SECOND).wait, 31 * CW_SECOND);
	assert_int_equal(read_it(503, "", false, 0).wait, 0);
	assert_int_equal(read_it(404, "no_service", false, 31 * CW_SECOND).wait, 0);
	assert_string_equal(read_it(200, "{\"ok\":true,\"channel\":\"C0\",\"ts\":\"1.2\"}", true, 0).ts, "1.2");
	assert_string_equal(read_it(200, "{\"ok\":true,\"channel\":\"C0 x\",\"ts\":\"1.2\"}", true, 0).ts, "");
	assert_string_equal(read_it(200, "{\"ok\":true,\"channel\":\"C0\",\"ts\":\"1.2 3\"}", true, 0).ts, "");
}

static void what_an_answer_says__is_shown_only_if_it_is_a_word_and_no_secret(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"no_canary_in_here", "canary", "Canary4711", "no canary", "x\x1b[2J", "", "{\"error\":\"canary\"}"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct answer answer = read_it(400, bodies[i], false, 0);
		if (strstr(answer.reason, "anary") || strchr(answer.reason, '\x1b'))
			fail_msg("%s", answer.reason);
	}
	assert_string_equal(read_it(400, "some_new_word", false, 0).reason, "Slack answers some_new_word");
}

static void no_answer__may_have_arrived_if_it_was_sent(void **state)
{
	(void)state;
	struct answer answer;
	struct http_answer http = {.end = HTTP_UNREACHABLE, .reason = "closed", .body = "", .may_have_acted = true};
	answer_read(&http, false, "x", &answer);
	assert_int_equal(answer.kind, ANSWER_UNKNOWN);
	http.may_have_acted = false;
	answer_read(&http, false, "x", &answer);
	assert_int_equal(answer.kind, ANSWER_AGAIN);
	http.end = HTTP_REDIRECTED;
	http.may_have_acted = true;
	answer_read(&http, false, "x", &answer);
	assert_int_equal(answer.kind, ANSWER_AGAIN);
	assert_string_equal(answer.reason, "closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text__is_escaped_and_cut_where_slack_would_count),
		cmocka_unit_test(an_address__of_a_button_is_one_that_slack_takes),
		cmocka_unit_test(a_notice__says_what_an_operator_needs),
		cmocka_unit_test(a_single_subject__is_said_once_and_what_was_known_of_it_not_at_its_end),
		cmocka_unit_test(a_notice_with_links__has_buttons_in_place_of_a_command),
		cmocka_unit_test(what_has_ended__says_why_and_who_took_care),
		cmocka_unit_test(a_notice_of_hostile_texts__is_within_every_limit_and_pings_nobody),
		cmocka_unit_test(a_digest__tells_the_last_of_each_incident),
		cmocka_unit_test(a_long_text_alone__is_cut_between_characters),
		cmocka_unit_test(an_answer__is_judged_by_status_and_word),
		cmocka_unit_test(what_an_answer_says__is_shown_only_if_it_is_a_word_and_no_secret),
		cmocka_unit_test(no_answer__may_have_arrived_if_it_was_sent),
	};
	return cmocka_run_group_tests(tests, start_limits, stop_limits);
}
