/* SPDX-License-Identifier: MIT
 *
 * Notices: what strangers wrote is made fit to be shown and cut, whatever it is made of it fits into the journal, and
 * from there the same notice comes back.
 */
#include "notice.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static const struct cw_tag labels[] = {{"alertname", "call-stale"}, {"severity", "warning"}};
static const struct cw_fact facts[] = {{"from_phone", "+1••••••0132"}, {"health_status", "stale"}};
static const struct cw_alert alerts[] = {
	{.fingerprint = "0123456789abcdef",
	 .instance = "calls",
	 .subject = "CA1",
	 .is_firing = true,
	 .summary = "CA1 is silent",
	 .starts_at = 1700000000123456789,
	 .value = 0.1,
	 .labels = CW_ARRAY(labels),
	 .facts = CW_ARRAY(facts)},
	{.fingerprint = "0123456789abcdee",
	 .instance = "calls",
	 .subject = "CA2",
	 .summary = "CA2 was silent",
	 .reason = "recovered",
	 .starts_at = 1700000000000000000,
	 .ends_at = 1700000001000000000,
	 .value = NAN,
	 .url = "https://callwatch.example.net/?table=calls",
	 .acked_by = "ada"},
};

static struct cw_notice example(void)
{
	return (struct cw_notice){
		.size = sizeof(struct cw_notice),
		.id = "00aa-1",
		.group = "00aa",
		.incident = "00aa-18bcfe56800",
		.sequence = 1,
		.kind = CW_NOTICE_REPEAT,
		.severity = CW_SEVERITY_CRITICAL,
		.rule = "call-stale",
		.title = "call-stale: CA1 is silent",
		.description = "What it means.\nWhat to do.",
		.common = "worker=ai-7: 2 of 2",
		.breakdown = CW_ARRAY(facts),
		.labels = CW_ARRAY(labels),
		.group_labels = {labels, 1, sizeof labels[0]},
		.firing = 1,
		.resolved = 1,
		.alerts = CW_ARRAY(alerts),
		.left_out = 3,
		.since = 1700000000123456789,
		.at = 1700000002000000000,
		.command = "callwatch get calls",
		.host = "box",
	};
}

static char *json_of(const struct notice *notice)
{
	char *json = notice_to_json(notice);
	assert_non_null(json);
	return json;
}

/* Through the journal and back, and once more through notice_new(): it must not change. The JSON, to be freed. */
static char *there_and_back(const struct notice *notice)
{
	char *json = json_of(notice);
	assert_true(strlen(json) <= NOTICE_JSON_MAX);
	struct notice *back = notice_from_json(json, strlen(json)), *copy = notice_new(&notice->said);
	assert_non_null(back);
	char *again = json_of(back), *copied = json_of(copy);
	assert_string_equal(json, again);
	assert_string_equal(json, copied);
	free(again);
	free(copied);
	notice_unref(back);
	notice_unref(copy);
	return json;
}

static void copy__of_a_notice__has_all_of_it(void **state)
{
	(void)state;
	struct cw_notice said = example();
	said.receipt = "kept";
	said.progress = "some";
	said.attempt = 3;
	said.is_doubtful = true;
	struct notice *notice = notice_new(&said);
	const struct cw_notice *copy = &notice->said;
	assert_string_equal(copy->id, said.id);
	assert_ptr_not_equal(copy->id, said.id);
	assert_string_equal(copy->group, said.group);
	assert_string_equal(copy->incident, said.incident);
	assert_int_equal(copy->sequence, 1);
	assert_int_equal(copy->kind, CW_NOTICE_REPEAT);
	assert_int_equal(copy->severity, CW_SEVERITY_CRITICAL);
	assert_string_equal(copy->rule, said.rule);
	assert_string_equal(copy->title, said.title);
	assert_string_equal(copy->description, said.description);
	assert_string_equal(copy->common, said.common);
	assert_int_equal(copy->breakdown.count, 2);
	assert_string_equal(((const struct cw_fact *)cw_at(&copy->breakdown, 0))->text, facts[0].text);
	assert_int_equal(copy->labels.count, 2);
	assert_int_equal(copy->group_labels.count, 1);
	assert_string_equal(((const struct cw_tag *)cw_at(&copy->group_labels, 0))->value, "call-stale");
	assert_int_equal(copy->firing, 1);
	assert_int_equal(copy->resolved, 1);
	assert_int_equal(copy->left_out, 3);
	assert_true(copy->since == said.since && copy->at == said.at);
	assert_null(copy->url);
	assert_string_equal(copy->command, said.command);
	assert_string_equal(copy->host, said.host);
	assert_null(copy->receipt);
	assert_null(copy->progress);
	assert_int_equal(copy->attempt, 0);
	assert_false(copy->is_doubtful);
	assert_int_equal(copy->alerts.count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct cw_alert *alert = cw_at(&copy->alerts, i);
		assert_string_equal(alert->fingerprint, alerts[i].fingerprint);
		assert_string_equal(alert->subject, alerts[i].subject);
		assert_string_equal(alert->summary, alerts[i].summary);
		assert_int_equal(alert->is_firing, alerts[i].is_firing);
		assert_true(alert->starts_at == alerts[i].starts_at && alert->ends_at == alerts[i].ends_at);
		assert_int_equal(alert->labels.count, alerts[i].labels.count);
		assert_int_equal(alert->facts.count, alerts[i].facts.count);
	}
	const struct cw_alert *first = cw_at(&copy->alerts, 0), *second = cw_at(&copy->alerts, 1);
	assert_true(first->value == 0.1 && isnan(second->value));
	assert_true(!first->reason && !first->url && !first->acked_by);
	assert_string_equal(second->reason, "recovered");
	assert_string_equal(second->url, alerts[1].url);
	assert_string_equal(second->acked_by, "ada");
	assert_string_equal(((const struct cw_fact *)cw_at(&first->facts, 1))->name, "health_status");
	free(there_and_back(notice));
	notice_unref(notice_ref(notice));
	notice_unref(notice);
	notice_unref(NULL);
}

static void texts__of_strangers__are_made_visible(void **state)
{
	(void)state;
	struct cw_notice said = example();
	said.title = "a\nb\x1b[31m\xff\xe2\x80\xae";
	said.description = "one\r\ntwo\x07\n\nthree";
	said.id = "Ab\r\nBcc: x";
	struct notice *notice = notice_new(&said);
	assert_string_equal(notice->said.title, "a\\nb\\x1b[31m\xef\xbf\xbd\\u202e");
	assert_string_equal(notice->said.description, "one\ntwo\\x07\n\nthree");
	assert_string_equal(notice->said.id, "-b---cc---");
	free(there_and_back(notice));
	notice_unref(notice);
}

static void title__that_is_long__is_cut_at_a_characters_border(void **state)
{
	(void)state;
	char title[2000], lines[2 * NOTICE_TEXT_MAX];
	for (size_t lead = 0; lead < 4; lead++) {
		memset(title, 'x', lead);
		for (size_t i = lead; i + 3 < sizeof title; i += 3)
			memcpy(title + i, "\xe2\x80\xa2", 4);
		for (size_t i = 0; i < sizeof lines - 1; i++)
			lines[i] = i % 7 == 0 ? '\n' : i % 5 == 0 ? '\x01' : 'y';
		lines[sizeof lines - 1] = '\0';
		struct cw_notice said = example();
		said.title = title;
		said.description = lines;
		struct notice *notice = notice_new(&said);
		size_t length = strlen(notice->said.title);
		assert_in_range(length, NOTICE_TITLE_MAX - 3, NOTICE_TITLE_MAX);
		assert_string_equal(notice->said.title + length - 3, "\xe2\x80\xa6");
		length = strlen(notice->said.description);
		assert_in_range(length, NOTICE_TEXT_MAX - 3, NOTICE_TEXT_MAX);
		assert_string_equal(notice->said.description + length - 3, "\xe2\x80\xa6");
		free(there_and_back(notice));
		notice_unref(notice);
	}
}

/* As much as there can be of everything, of characters that JSON doubles. */
static void notice__of_the_largest_size__fits_into_the_journal(void **state)
{
	(void)state;
	static char quotes[2 * NOTICE_TEXT_MAX];
	memset(quotes, '"', sizeof quotes - 1);
	struct cw_tag tags[2 * NOTICE_LABELS_MAX];
	struct cw_fact many[2 * NOTICE_BREAKDOWN_MAX];
	struct cw_alert all[300];
	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
		tags[i] = (struct cw_tag){quotes, quotes};
	for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
		many[i] = (struct cw_fact){quotes, quotes};
	for (size_t i = 0; i < 300; i++)
		all[i] = (struct cw_alert){.fingerprint = quotes,
					   .instance = quotes,
					   .subject = quotes,
					   .summary = quotes,
					   .reason = quotes,
					   .starts_at = INT64_MIN,
					   .ends_at = INT64_MIN,
					   .value = -1.2345678901234567e-300,
					   .url = quotes,
					   .labels = CW_ARRAY(tags),
					   .facts = CW_ARRAY(many),
					   .acked_by = quotes};
	struct cw_notice said = example();
	said.title = said.description = said.common = said.url = said.command = said.host = said.rule = quotes;
	said.labels = said.group_labels = (struct cw_array)CW_ARRAY(tags);
	said.breakdown = (struct cw_array)CW_ARRAY(many);
	said.alerts = (struct cw_array)CW_ARRAY(all);
	/* large alerts, of which few fit; small ones, whose names and numbers count most */
	for (int small = 0; small < 2; small++) {
		for (size_t i = 0; small && i < 300; i++) {
			all[i].labels.count = all[i].facts.count = 0;
			all[i].subject = all[i].summary = all[i].url = "\"";
		}
		struct notice *notice = notice_new(&said);
		assert_int_equal(notice->said.alerts.count + notice->said.left_out, 300 + said.left_out);
		assert_in_range(notice->said.alerts.count, small ? CW_NOTICE_ALERTS_MAX : 1, CW_NOTICE_ALERTS_MAX);
		free(there_and_back(notice));
		notice_unref(notice);
	}
}

/* Random texts, bytes and lengths of lists. */
static char pool[64][700];

static const char *some(void)
{
	return pool[rand() % 64];
}

static void random_tags(struct cw_tag *tags, uint32_t most, struct cw_array *ret_array)
{
	uint32_t count = (uint32_t)rand() % (most + 1);
	for (uint32_t i = 0; i < count; i++)
		tags[i] = (struct cw_tag){some(), some()};
	*ret_array = (struct cw_array){tags, count, sizeof *tags};
}

static void journal__of_any_notice__gives_it_back(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 150; round++) {
		for (size_t i = 0; i < 64; i++) {
			size_t length = (size_t)rand() % (i % 4 ? 20 : sizeof pool[0]);
			for (size_t k = 0; k < length; k++)
				pool[i][k] = (char)(rand() % 255 + 1);
			pool[i][length] = '\0';
		}
		struct cw_tag tags[40], more[40], of[120][40];
		struct cw_alert all[120];
		struct cw_notice said = example();
		said.title = some();
		said.description = some();
		said.common = some();
		said.command = some();
		random_tags(tags, 40, &said.labels);
		random_tags(more, 40, &said.group_labels);
		uint32_t count = (uint32_t)rand() % 120;
		for (uint32_t i = 0; i < count; i++) {
			all[i] = alerts[i % 2];
			all[i].subject = some();
			all[i].summary = some();
			all[i].starts_at = (int64_t)rand() * rand();
			all[i].value = (double)rand() / (double)rand();
			random_tags(of[i], 40, &all[i].labels);
		}
		said.alerts = (struct cw_array){all, count, sizeof all[0]};
		struct notice *notice = notice_new(&said);
		free(there_and_back(notice));
		notice_unref(notice);
	}
}

static void journal__that_is_damaged__gives_no_notice_or_a_sound_one(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"id\":\"\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\"}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"kind\":9}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"kind\":-1}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"firing\":4294967296}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"title\":7}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"labels\":[[\"a\"]]}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"labels\":{\"a\":\"b\"}}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\",\"alerts\":[7]}",
		"{\"id\":\"a\",\"group\":\"a\",\"incident\":\"a\",\"rule\":\"r\"} x",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(notice_from_json(bad[i], strlen(bad[i])));
	struct cw_notice said = example();
	struct notice *notice = notice_new(&said);
	char *json = json_of(notice);
	size_t length = strlen(json);
	for (size_t i = 0; i < length; i++) /* cut anywhere */
		assert_null(notice_from_json(json, i));
	for (size_t i = 0; i < length; i++) { /* and each byte another */
		char byte = json[i];
		json[i] = (char)(byte ^ 0x15);
		struct notice *other = notice_from_json(json, length);
		if (other)
			free(there_and_back(other));
		notice_unref(other);
		json[i] = byte;
	}
	free(json);
	notice_unref(notice);
}

static void journal__of_an_older_agent__is_read(void **state)
{
	(void)state;
	static const char json[] = "{\"id\":\"a\",\"group\":\"b\",\"incident\":\"c\",\"rule\":\"r\",\"sequence\":2}";
	struct notice *notice = notice_from_json(json, strlen(json));
	assert_non_null(notice);
	assert_int_equal(notice->said.sequence, 2);
	assert_string_equal(notice->said.title, "");
	assert_null(notice->said.url);
	assert_int_equal(notice->said.alerts.count, 0);
	notice_unref(notice);
}

/* Of a life that could not write them down the next one knows nothing, and counts anew. */
static void id__of_a_reminder__is_its_own(void **state)
{
	(void)state;
	struct cw_notice said = {
		.size = sizeof said, .id = "a-1-3", .sequence = 3, .kind = CW_NOTICE_REPEAT, .at = 5 * CW_SECOND};
	struct notice *one = notice_new(&said), *ones = notice_for(one, "slack"), *same = notice_for(one, "slack");
	said.at += 3600 * CW_SECOND;
	struct notice *other = notice_new(&said), *others = notice_for(other, "slack");
	assert_string_equal(ones->said.id, same->said.id);
	assert_string_not_equal(ones->said.id, others->said.id);
	notice_unref(one);
	notice_unref(ones);
	notice_unref(same);
	notice_unref(other);
	notice_unref(others);
}

static void id__for_a_notifier__is_its_own_and_always_the_same(void **state)
{
	(void)state;
	struct cw_notice said = example();
	said.id = "0123456789abcdef0123456789abcdef-18bcfe56800-ffffffff";
	said.kind = CW_NOTICE_FIRING;
	struct notice *notice = notice_new(&said);
	struct notice *slack = notice_for(notice, "slack"), *again = notice_for(notice, "slack"),
		      *email = notice_for(notice, "email");
	assert_string_equal(slack->said.id, again->said.id);
	assert_string_not_equal(slack->said.id, email->said.id);
	assert_int_equal(strncmp(slack->said.id, said.id, strlen(said.id)), 0);
	assert_int_equal(strlen(slack->said.id), strlen(said.id) + 9);
	assert_string_equal(slack->said.id + strlen(said.id), "-15137607"); /* for ever */
	said.kind = CW_NOTICE_RESOLVED;
	struct notice *other = notice_new(&said), *resolved = notice_for(other, "slack");
	assert_string_not_equal(slack->said.id, resolved->said.id); /* of the same sequence: it says something else */
	notice_unref(other);
	notice_unref(resolved);
	said.kind = CW_NOTICE_FIRING;
	said.at += CW_SECOND;
	other = notice_new(&said);
	struct notice *later = notice_for(other, "slack");
	assert_string_equal(slack->said.id, later->said.id); /* told once more, after a crash */
	notice_unref(other);
	notice_unref(later);
	assert_string_equal(slack->said.title, said.title);
	notice_unref(notice);
	notice_unref(slack);
	notice_unref(again);
	notice_unref(email);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy__of_a_notice__has_all_of_it),
		cmocka_unit_test(texts__of_strangers__are_made_visible),
		cmocka_unit_test(title__that_is_long__is_cut_at_a_characters_border),
		cmocka_unit_test(notice__of_the_largest_size__fits_into_the_journal),
		cmocka_unit_test(journal__of_any_notice__gives_it_back),
		cmocka_unit_test(journal__that_is_damaged__gives_no_notice_or_a_sound_one),
		cmocka_unit_test(journal__of_an_older_agent__is_read),
		cmocka_unit_test(id__for_a_notifier__is_its_own_and_always_the_same),
		cmocka_unit_test(id__of_a_reminder__is_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
