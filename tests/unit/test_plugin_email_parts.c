/* SPDX-License-Identifier: MIT
 *
 * The pure parts of notifier email: addresses, forms of MIME, what a mail says, who has it. That a mail is one that
 * programs read is tested with Python's parser in tests/system/test_email.py.
 */
#include "letter.h"
#include "letter_body.h"
#include "mime.h"
#include "progress.h"
#include "recipient.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buffer buffer;

static int set_up(void **state)
{
	(void)state;
	buffer_init(&buffer, 0, 1 << 22);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buffer_release(&buffer);
	return 0;
}

static const char *written(void)
{
	buffer_bytes(&buffer, "", 1);
	assert_false(buffer.failed);
	return buffer_text(&buffer);
}

/* ---- addresses ---- */

static void an_address__is_bare_or_behind_a_name(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name, *address;
	} cases[] = {
		{"ops@example.net", "", "ops@example.net"},
		{"o.p-s+x@a-b.example", "", "o.p-s+x@a-b.example"},
		{"Night shift <ops@example.net>", "Night shift", "ops@example.net"},
		{"\"Night, shift\" <ops@example.net>", "Night, shift", "ops@example.net"},
		{"Jürgen <j@example.net>", "Jürgen", "j@example.net"},
		{"<ops@example.net>", "", "ops@example.net"},
		{"root@localhost", "", "root@localhost"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipient recipient;
		const char *error;
		assert_int_equal(recipient_parse(cases[i].text, &recipient, &error), 0);
		assert_string_equal(recipient.name, cases[i].name);
		assert_string_equal(recipient.address, cases[i].address);
	}
}

static void an_address_that_could_be_more__is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {"",
					    "ops",
					    "@example.net",
					    "ops@",
					    "ops@exam ple.net",
					    "ops@example.net, x@example.net",
					    "ops@example.net\r\nBcc: x@example.net",
					    "ops@example.net\nRCPT TO:<x@example.net>",
					    "Ops\r\nBcc: <x@example.net>",
					    "a@b@c",
					    "\"a b\"@example.net",
					    "ops@example.net>",
					    "<ops@example.net> x",
					    "x <ops@example.net> SIZE=1",
					    "x <y> <ops@example.net>",
					    "jürgen@example.net",
					    "j@büro.example",
					    ".ops@example.net",
					    "ops@.example.net",
					    "ops@example.net.",
					    "a\xff <ops@example.net>",
					    "\xe2\x80\xae <ops@example.net>"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recipient recipient;
		const char *error = NULL;
		if (recipient_parse(cases[i], &recipient, &error) != -EINVAL)
			fail_msg("taken: %s", cases[i]);
		assert_non_null(error);
	}
}

/* ---- forms ---- */

static void a_header__is_plain_where_it_can_be(void **state)
{
	(void)state;
	mime_header(&buffer, "Subject", "[WARNING] call-stale: 37 of 849 calls silent");
	assert_string_equal(written(), "Subject: [WARNING] call-stale: 37 of 849 calls silent\r\n");
}

static void a_header__stays_one_header_whatever_is_in_it(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"a\r\nBcc: x@example.net",
		"a\nb",
		"a\rb",
		"\r\n\r\nbody",
		"=?utf-8?q?=0d=0aBcc:?=",
		"ü\r\n\r\nx",
		"a very long line that is longer than any line of a header should be, so it is folded into words, "
		"at least two of them\r\nBcc: x@example.net",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_cut(&buffer, 0);
		mime_header(&buffer, "Subject", cases[i]);
		const char *text = written();
		for (const char *line = text, *end; *line; line = end + 2) {
			end = strstr(line, "\r\n");
			assert_non_null(end);
			assert_true(end - line <= 76);
			assert_null(memchr(line, '\n', (size_t)(end - line)));
			assert_null(memchr(line, '\r', (size_t)(end - line)));
			if (line > text)
				assert_int_equal(line[0], ' '); /* it goes on */
		}
	}
}

static void encoded_words__hold_whole_characters(void **state)
{
	(void)state;
	mime_header(&buffer, "Subject", "übergroße Ängste über Öfen, überall, für jeden, und täglich größer €€€€€€€€€");
	char *text = (char *)(uintptr_t)written();
	for (char *word = strstr(text, "=?utf-8?q?"); word; word = strstr(word + 1, "=?utf-8?q?")) {
		/* the first encoded byte is no continuation byte: these are =80 to =BF */
		char *first = strchr(word + 10, '=');
		assert_non_null(first);
		assert_false(first == word + 10 &&
			     (first[1] == '8' || first[1] == '9' || first[1] == 'A' || first[1] == 'B'));
	}
}

static void quoted_printable__keeps_lines_short_and_blanks_whole(void **state)
{
	(void)state;
	char line[200];
	memset(line, 'x', sizeof(line));
	mime_quoted(&buffer, line, sizeof(line));
	static const char rest[] = "\n.\nends with a blank \n1=2\nü\n";
	mime_quoted(&buffer, rest, sizeof(rest) - 1);
	const char *text = written();
	assert_non_null(strstr(text, "\r\n.\r\nends with a blank=20\r\n1=3D2\r\n=C3=BC\r\n"));
	for (const char *at = text, *end; *at; at = end + 2) {
		end = strstr(at, "\r\n");
		assert_non_null(end);
		assert_true(end - at <= 76);
	}
}

static void a_date__is_as_rfc_5322_says(void **state)
{
	(void)state;
	mime_date(&buffer, 1795644000 * CW_SECOND);
	assert_string_equal(written(), "Wed, 25 Nov 2026 22:00:00 +0000");
}

/* ---- letters ---- */

static const struct cw_fact hostile_facts[] = {{"from_phone", "+1••••••0132"}, {"<b>", "\"><script>alert(1)</script>"}};
static const struct cw_tag labels[] = {{"alertname", "call-stale"}, {"severity", "warning"}};
static const struct cw_alert alerts[] = {
	{.fingerprint = "0123456789abcdef",
	 .instance = "calls",
	 .subject = "CA1<img src=x onerror=alert(1)>",
	 .is_firing = true,
	 .summary = "silent for 2m 37s\r\nBcc: x",
	 .value = NAN,
	 .url = "javascript:alert(1)",
	 .labels = CW_ARRAY(labels),
	 .facts = CW_ARRAY(hostile_facts)},
	{.fingerprint = "0123456789abcdee",
	 .instance = "calls",
	 .subject = "CA2",
	 .summary = "silent",
	 .reason = "recovered",
	 .value = NAN,
	 .url = "https://page.example/?a=1&b=\"2"},
};

static struct cw_notice a_notice(void)
{
	return (struct cw_notice){.size = sizeof(struct cw_notice),
				  .id = "aa-1-bb",
				  .group = "aa",
				  .incident = "aa-1",
				  .sequence = 1,
				  .kind = CW_NOTICE_FIRING,
				  .severity = CW_SEVERITY_WARNING,
				  .rule = "call-stale",
				  .title = "call-stale: 37 of 849 calls silent",
				  .description = "What it means.\nWhat to do.",
				  .common = "worker=ai-7: 37 of 37",
				  .labels = CW_ARRAY(labels),
				  .firing = 37,
				  .resolved = 1,
				  .alerts = CW_ARRAY(alerts),
				  .left_out = 35,
				  .since = 1795644000 * CW_SECOND,
				  .at = 1795644060 * CW_SECOND,
				  .url = "https://page.example/?table=calls",
				  .command = "callwatch get calls --where 'health_status=stale'",
				  .host = "web-1",
				  .attempt = 1};
}

static struct letter_form a_form(void)
{
	static const struct recipient to[] = {{"a@example.net", ""}, {"b@example.net", "Bé"}};
	return (struct letter_form){.from = {"callwatch@example.net", ""}, .to = to, .to_count = 2};
}

static void the_html__obeys_no_stranger(void **state)
{
	(void)state;
	struct cw_notice notice = a_notice();
	const struct cw_notice *one = &notice;
	letter_html(&buffer, &one, 1);
	const char *text = written();
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "<img"));
	assert_null(strstr(text, "javascript:"));
	assert_null(strstr(text, "b=\"2"));
	assert_non_null(strstr(text, "&lt;script&gt;"));
	assert_non_null(strstr(text, "<a href=\"https://page.example/?a=1&amp;b=&quot;2\">CA2</a>"));
}

static void the_text__says_what_is_to_be_known(void **state)
{
	(void)state;
	static const char *const said[] = {"WARNING: call-stale: 37 of 849 calls silent",
					   "worker=ai-7: 37 of 37",
					   "What to do.",
					   "from_phone: +1••••••0132",
					   "CA2: silent (recovered)",
					   "35 more",
					   "https://page.example/?table=calls",
					   "callwatch get calls --where 'health_status=stale'",
					   "silent for 2m 37s\\r\\nBcc: x"};
	struct cw_notice notice = a_notice();
	const struct cw_notice *one = &notice;
	letter_text(&buffer, &one, 1);
	const char *text = written();
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strstr(text, said[i]))
			fail_msg("it does not say: %s\n%s", said[i], text);
	assert_null(strstr(text, "may have reached you before"));
}

static void a_letter__is_the_same_at_each_try_and_in_its_thread(void **state)
{
	(void)state;
	struct cw_notice notice = a_notice();
	const struct cw_notice *one = &notice;
	struct letter_form form = a_form();
	letter_write(&buffer, &form, &one, 1);
	char *first = strdup(written());
	assert_non_null(strstr(first, "\r\nMessage-ID: <aa-1-bb@example.net>\r\n"));
	assert_non_null(strstr(first, "\r\nReferences: <incident.aa-1@example.net>\r\n"));
	assert_non_null(strstr(first, "\r\nIn-Reply-To: <incident.aa-1@example.net>\r\n"));
	assert_non_null(strstr(first, "\r\nAuto-Submitted: auto-generated\r\n"));
	assert_non_null(strstr(first, "To: a@example.net,\r\n =?utf-8?q?B=C3=A9?=\r\n <b@example.net>\r\n"));
	buffer_cut(&buffer, 0);
	notice.attempt = 2;
	letter_write(&buffer, &form, &one, 1);
	assert_string_equal(first, written());
	free(first);
}

static void a_digest__tells_of_all(void **state)
{
	(void)state;
	struct cw_notice notices[3] = {a_notice(), a_notice(), a_notice()};
	const struct cw_notice *all[] = {&notices[0], &notices[1], &notices[2]};
	struct letter_form form = a_form();
	notices[1].kind = CW_NOTICE_RESOLVED;
	notices[1].severity = CW_SEVERITY_CRITICAL;
	notices[1].id = "cc";
	notices[2].incident = "dd-1";
	notices[2].id = "dd-2";
	letter_write(&buffer, &form, all, 3);
	const char *text = written();
	assert_non_null(strstr(text, "Subject: [WARNING] 3 notices from callwatch: 2 firing, 1 resolved\r\n"));
	assert_non_null(strstr(text, "Message-ID: <aa-1-bb.dd-2@example.net>\r\n"));
	assert_null(strstr(text, "References:"));
}

static void a_long_text__is_cut_with_an_ellipsis(void **state)
{
	(void)state;
	static char title[4000];
	memset(title, 'x', sizeof(title) - 1);
	struct cw_notice notice = a_notice();
	const struct cw_notice *one = &notice;
	char subject[300];
	notice.title = title;
	letter_subject(subject, sizeof(subject), &one, 1);
	assert_true(strlen(subject) < 280);
	assert_string_equal(subject + strlen(subject) - 4, "x…");
}

/* The same in both forms: valid, and no half of a character of what was written. */
static void assert_whole(const struct cw_notice *notice)
{
	void (*const forms[])(struct buffer *, const struct cw_notice *const *, uint32_t) = {letter_text, letter_html};
	for (size_t i = 0; i < 2; i++) {
		buffer_cut(&buffer, 0);
		forms[i](&buffer, &notice, 1);
		assert_true(text_is_utf8(buffer_text(&buffer), buffer.length));
		assert_null(strstr(written(), "\xef\xbf\xbd"));
	}
}

static void a_long_text__is_cut_between_characters(void **state)
{
	(void)state;
	char line[1024], value[1024];
	struct cw_tag many[32];
	for (size_t shift = 0; shift < 4; shift++) {
		struct cw_notice notice = a_notice();
		memset(line, 'x', sizeof(line));
		for (size_t i = shift; i + 4 < sizeof(line); i += 4)
			memcpy(line + i, "\xf0\x9f\x93\x9e", 5);
		notice.description = line;
		assert_whole(&notice);
		assert_non_null(strstr(written(), "\xf0\x9f\x93\x9e…"));
		snprintf(value, sizeof(value), "%.*s\xf0\x9f\x93\x9e\xf0\x9f\x93\x9e", (int)(70 + shift), /* ASCII */
			 "an ordinary value that is somewhat longer than most of them are in any life");
		for (size_t i = 0; i < 32; i++)
			many[i] = (struct cw_tag){"name", value};
		notice.labels = (struct cw_array)CW_ARRAY(many);
		assert_whole(&notice);
		assert_non_null(strstr(written(), "\xf0\x9f\x93\x9e, …"));
	}
}

static void a_header_of_ones_own__cannot_be_one_of_ours(void **state)
{
	(void)state;
	assert_null(letter_header_wrong("X-Team", "voice"));
	assert_non_null(letter_header_wrong("bcc", "x@example.net"));
	assert_non_null(letter_header_wrong("X-Team", "voice\r\nBcc: x@example.net"));
	assert_non_null(letter_header_wrong("X Team", "voice"));
	assert_non_null(letter_header_wrong("X-Team:", "voice"));
	assert_non_null(letter_header_wrong("", "voice"));
}

/* ---- progress ---- */

static void progress__comes_back_as_it_was(void **state)
{
	(void)state;
	static const struct recipient to[] = {{"a@x", ""}, {"b@x", ""}, {"c@x", ""}, {"d@x", ""}, {"e@x", ""}};
	enum fate before[] = {FATE_HAS, FATE_REFUSED, FATE_LATER, FATE_HAS, FATE_DOUBTFUL}, after[5] = {FATE_OPEN};
	char json[200];
	progress_write(json, sizeof(json), to, 5, before, 3);
	assert_string_equal(json,
			    "{\"has\":[\"a@x\",\"d@x\"],\"refused\":[\"b@x\"],\"doubtful\":[\"e@x\"],\"attempt\":3}");
	assert_int_equal(progress_read(json, to, 5, after), 3);
	assert_int_equal(after[4], FATE_DOUBTFUL);
	assert_int_equal(after[0], FATE_HAS);
	assert_int_equal(after[1], FATE_REFUSED);
	assert_int_equal(after[2], FATE_OPEN);
	assert_int_equal(after[3], FATE_HAS);
}

static void progress_that_is_damaged__says_nothing(void **state)
{
	(void)state;
	static const struct recipient to[] = {{"a@x", ""}};
	static const char *const cases[] = {NULL,
					    "",
					    "{",
					    "[]",
					    "1",
					    "{\"has\":1}",
					    "{\"has\":[1,null,{}]}",
					    "{\"attempt\":-1}",
					    "{\"attempt\":\"2\"}",
					    "{\"attempt\":4294967296}"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum fate fate = FATE_OPEN;
		assert_int_equal(progress_read(cases[i], to, 1, &fate), 0);
		assert_int_equal(fate, FATE_OPEN);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_address__is_bare_or_behind_a_name),
		TEST(an_address_that_could_be_more__is_refused),
		TEST(a_header__is_plain_where_it_can_be),
		TEST(a_header__stays_one_header_whatever_is_in_it),
		TEST(encoded_words__hold_whole_characters),
		TEST(quoted_printable__keeps_lines_short_and_blanks_whole),
		TEST(a_date__is_as_rfc_5322_says),
		TEST(the_html__obeys_no_stranger),
		TEST(the_text__says_what_is_to_be_known),
		TEST(a_letter__is_the_same_at_each_try_and_in_its_thread),
		TEST(a_digest__tells_of_all),
		TEST(a_long_text__is_cut_with_an_ellipsis),
		TEST(a_long_text__is_cut_between_characters),
		TEST(a_header_of_ones_own__cannot_be_one_of_ours),
		TEST(progress__comes_back_as_it_was),
		TEST(progress_that_is_damaged__says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
