/* SPDX-License-Identifier: MIT
 *
 * Plugin webhook: what it posts, signs and refuses, by itself and against tests/tools/hook.py, a receiver made for
 * Alertmanager that finds fault with whatever Alertmanager would not send.
 */
#include "body.h"
#include "clock.h"
#include "notice_fixture.h"
#include "plugin_host.h"
#include "sign.h"
#include "tool_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- the parts ---- */

static void a_signature__is_that_of_the_specification(void **state)
{
	(void)state;
	static const char body[] = "{\"test\": 2432232314}";
	struct sign_key key;
	char text[SIGN_TEXT_SIZE];
	assert_int_equal(sign_key_read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &key), 0);
	sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, sizeof(body) - 1, text);
	assert_string_equal(text, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	assert_int_equal(sign_key_read("any words", &key), 0);
	assert_int_equal(key.length, 9);
	static const char *const wrong[] = {"", "whsec_", "whsec_not base64!"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(sign_key_read(wrong[i], &key), -EINVAL);
}

static json_t *alertmanagers(const struct cw_notice *notice)
{
	struct buffer out;
	buffer_init(&out, 0, BODY_MAX);
	body_alertmanager(&out, notice, "hook");
	json_t *root = json_loadb(buffer_text(&out), out.length, JSON_REJECT_DUPLICATES, NULL);
	if (!root)
		fail_msg("%.*s", (int)out.length, buffer_text(&out));
	buffer_release(&out);
	return root;
}

static void a_notice__is_what_alertmanager_would_send(void **state)
{
	(void)state;
	struct notice_fixture made;
	const char *status, *key, *receiver, *external, *alertname, *description, *first, *starts, *ends, *ended,
		*reason;
	int left_out;
	struct cw_notice *notice = notice_fixture(&made, 1);
	notice->url = "https://callwatch.example.net/?table=calls";
	made.alerts[1].is_firing = false;
	made.alerts[1].reason = "recovered";
	made.alerts[1].ends_at = 1795644060 * CW_SECOND;
	json_t *root = alertmanagers(notice);
	assert_int_equal(json_unpack(root, "{s:s, s:i, s:s, s:s, s:s, s:{s:s}, s:{s:s}}", "groupKey", &key,
				     "truncatedAlerts", &left_out, "status", &status, "receiver", &receiver,
				     "externalURL", &external, "groupLabels", "alertname", &alertname,
				     "commonAnnotations", "description", &description),
			 0);
	assert_string_equal(key, "6f1c0a77");
	assert_int_equal(left_out, 25);
	assert_string_equal(status, "firing");
	assert_string_equal(receiver, "hook");
	assert_string_equal(external, "https://callwatch.example.net");
	assert_string_equal(alertname, "call-stale");
	assert_string_equal(json_string_value(json_object_get(json_object_get(root, "commonLabels"), "team")), "voice");
	const json_t *alerts = json_object_get(root, "alerts");
	assert_int_equal(json_array_size(alerts), NOTICE_FIXTURE_ALERTS);
	assert_int_equal(json_unpack(json_array_get(alerts, 0), "{s:{s:s}, s:s, s:s}", "annotations", "summary", &first,
				     "startsAt", &starts, "endsAt", &ends),
			 0);
	assert_string_equal(first, "caller 0 (Acme & Sons) silent for 2m 37s");
	assert_string_equal(starts, "2026-11-25T22:00:00.000Z");
	assert_string_equal(ends, "0001-01-01T00:00:00Z");
	assert_int_equal(json_unpack(json_array_get(alerts, 1), "{s:s, s:s, s:{s:s}}", "status", &status, "endsAt",
				     &ended, "annotations", "reason", &reason),
			 0);
	assert_string_equal(status, "resolved");
	assert_string_equal(ended, "2026-11-25T22:01:00.000Z");
	assert_string_equal(reason, "recovered");
	json_decref(root);
}

static void labels__that_not_all_alerts_have__are_not_common(void **state)
{
	(void)state;
	struct notice_fixture made;
	const struct cw_tag other[] = {{"alertname", "call-stale"}, {"severity", "critical"}};
	struct cw_notice *notice = notice_fixture(&made, 1);
	made.alerts[3].labels = (struct cw_array)CW_ARRAY(other);
	json_t *root = alertmanagers(notice);
	const json_t *common = json_object_get(root, "commonLabels");
	assert_int_equal(json_object_size(common), 1);
	assert_non_null(json_object_get(common, "alertname"));
	json_decref(root);
	notice->alerts.count = 0; /* of a test: one is made, since receivers look at the first */
	root = alertmanagers(notice);
	assert_int_equal(json_array_size(json_object_get(root, "alerts")), 1);
	assert_int_equal(json_object_size(json_object_get(root, "commonLabels")), 3);
	json_decref(root);
}

static void hostile_texts__stay_texts(void **state)
{
	(void)state;
	static const char evil[] = "\",\"status\":\"resolved\"}\\\n\xff\x01<x>";
	struct notice_fixture made;
	struct template *template;
	struct buffer out;
	char error[TEMPLATE_ERROR_MAX];
	struct cw_notice *notice = notice_fixture(&made, 1);
	notice->title = notice->description = notice->common = notice->host = evil;
	made.alerts[0].summary = evil;
	json_t *root = alertmanagers(notice);
	assert_string_equal(json_string_value(json_object_get(root, "status")), "firing");
	json_decref(root);

	assert_int_equal(
		template_parse("{\"text\":\"{{ title }} {{ title | upper }}: {{ subjects }}\",\"n\":{{ firing }}}",
			       &template, error),
		0);
	buffer_init(&out, 0, BODY_MAX);
	body_template(&out, template, notice, "hook");
	root = json_loadb(buffer_text(&out), out.length, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(json_object_size(root), 2);
	assert_int_equal(json_integer_value(json_object_get(root, "n")), 37);
	assert_non_null(strstr(json_string_value(json_object_get(root, "text")), "and 27 more"));
	json_decref(root);
	buffer_release(&out);
	template_free(template);
}

static void long_subjects__are_cut_between_characters(void **state)
{
	(void)state;
	struct notice_fixture made;
	struct template *template;
	char error[TEMPLATE_ERROR_MAX], text[601];
	assert_int_equal(template_parse("{\"text\":\"{{ subjects }}\"}", &template, error), 0);
	for (size_t before = 0; before < 3; before++) {
		struct buffer out;
		struct cw_notice *notice = notice_fixture(&made, 1);
		for (size_t i = 0; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "€", 4);
		memset(text, 'a', before);
		memmove(text + before, text + 3, sizeof(text) - 3 - before);
		made.alerts[0].summary = made.alerts[0].reason = text;
		buffer_init(&out, 0, BODY_MAX);
		body_template(&out, template, notice, "hook");
		buffer_bytes(&out, "", 1);
		assert_non_null(strstr(buffer_text(&out), "€"));
		assert_null(strstr(buffer_text(&out), "\xef\xbf\xbd"));
		buffer_release(&out);
	}
	template_free(template);
}

/* ---- options ---- */

static void options__that_cannot_work__are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *settings[4], *says; /* "": nothing */
	} cases[] = {
		{{"url=https://hooks.example.net/canary", NULL}, ""},
		{{"url=hooks.example.net", NULL}, "begins with http:// or https://"},
		{{"url=http://hooks.example.net/", NULL}, "is not https"},
		{{"url=https://[::1]:8470/canary", NULL}, "allow_local"},
		{{"url=https://0.0.0.0:8470/canary", NULL}, "allow_local"},
		{{"url=https://a/", "body={{ title", NULL}, "body: "},
		{{"url=https://a/", "body={\"a\":\"{{ titel }}\"}", NULL}, "no name `titel`; there are id, group"},
		{{"url=https://a/", "body={\"a\":{{ title }}}", NULL}, "becomes no JSON"},
		{{"url=https://a/", "body={\"a\":\"{{ title }}\",\"n\":{{ firing }}}", NULL}, ""},
		{{"url=https://a/", "body={\"n\":{{ firing | number }}}", NULL}, "becomes no JSON"},
		{{"url=https://a/", "body={\"n\":{{ firing }},\"a\":[{{ common }}]}", NULL},
		 "quotes and newlines in its texts: `{\"n\":1234,\"a\":[a` and what"},
		{{"url=https://a/", "body={\"a\":[{{ subjects }}]}", NULL}, "`{\"a\":[a` and what"},
		{{"url=https://a/", "body={\"a\":[{{ description | upper }}]}", NULL}, "`{\"a\":[A` and what"},
		{{"url=https://a/", "body={\"a\":[{{ url }}]}", NULL}, "becomes no JSON"},
		{{"url=https://a/", "body={\"a\":{{ url or firing }}}", NULL}, "becomes no JSON"},
		{{"url=https://a/", "body={\"a\":{{ common }}{{ url }}}", NULL},
		 "no alerts, common, description and url"},
		{{"url=https://a/",
		  "body={\"a\":\"{{ common }}{{ subjects }}{{ url or title }}{{ since }}{{ description | upper }}{{ "
		  "command }}\"}",
		  NULL},
		 ""},
		{{"url=https://a/", "hmac_secret=whsec_!", NULL}, "no base64"},
		{{"url=https://a/", "hmac_secret=short", NULL}, "is short"},
		{{"url=https://a/", "hmac_secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NULL}, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problems[2000];
		plugin_host_check(&cw_plugin, cases[i].settings, problems, sizeof(problems));
		if (cases[i].says[0] ? !strstr(problems, cases[i].says) : problems[0])
			fail_msg("case %zu: %s", i, problems);
		assert_null(strstr(problems, "canary"));
	}
}

/* ---- against the receiver ---- */

struct world {
	struct tool hook;
	struct cw_instance self;
	char url[400];
};

static void start(struct world *world, const char *path, const char *more)
{
	tool_start(&world->hook, "hook.py");
	snprintf(world->url, sizeof(world->url), "url=%s%s", world->hook.url, path);
	const char *const settings[] = {world->url,
					"allow_local=127.0.0.1",
					"hmac_secret=hmac-canary-secret-4711",
					"request_timeout=700ms",
					more,
					NULL};
	assert_int_equal(plugin_host_start(&world->self, &cw_plugin, false, settings), 0);
	assert_int_equal(world->self.state, CW_UP);
}

static void stop(struct world *world)
{
	assert_string_equal(tool_say(&world->hook, "faults"), "[]");
	assert_null(strstr(world->self.log, "canary"));
	plugin_host_stop(&world->self);
	tool_stop(&world->hook);
}

static int tell(struct world *world, const struct cw_notice *notice)
{
	return plugin_host_notify(&world->self, &notice, 1);
}

static void a_notice__is_posted_and_signed_and_the_retry_is_the_same(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, "/v4", NULL);
	tool_say(&world.hook, "next cut");
	struct cw_notice *notice = notice_fixture(&made, 1);
	assert_int_equal(tell(&world, notice), CW_DOUBTFUL);
	assert_int_equal(world.self.state, CW_DOWN);
	notice->attempt = 2;
	notice->is_doubtful = true;
	assert_int_equal(tell(&world, notice), CW_DELIVERED);
	assert_int_equal(world.self.state, CW_UP);
	json_t *requests = json_loads(tool_say(&world.hook, "requests"), 0, NULL);
	assert_int_equal(json_array_size(requests), 2);
	assert_non_null(json_object_get(json_object_get(json_array_get(requests, 1), "headers"), "webhook-signature"));
	json_decref(requests);
	notice->kind = CW_NOTICE_TEST;
	notice->id = "7e57";
	notice->alerts.count = 0;
	made.labels[0].value = "test";
	assert_int_equal(tell(&world, notice), CW_DELIVERED);
	stop(&world);
}

static void an_answer__is_final_or_tried_again(void **state)
{
	(void)state;
	static const struct {
		const char *mode;
		enum cw_delivery outcome;
		enum cw_state state;
		const char *says;
		int64_t wait; /* s */
	} cases[] = {
		{"next code 201", CW_DELIVERED, CW_UP, "", 0},
		{"next code 204", CW_DELIVERED, CW_UP, "", 0},
		{"next code 429 31", CW_TRY_AGAIN, CW_DEGRADED, "wait 31s", 31},
		{"next code 429", CW_TRY_AGAIN, CW_DOWN, "429", 0},
		{"next code 503 7", CW_TRY_AGAIN, CW_DEGRADED, "wait 7s", 7},
		{"next code 500", CW_TRY_AGAIN, CW_DOWN, "500", 0},
		{"next code 408", CW_TRY_AGAIN, CW_DOWN, "408", 0},
		{"next code 504", CW_DOUBTFUL, CW_DOWN, "504", 0},
		{"next code 502 7", CW_DOUBTFUL, CW_DEGRADED, "wait 7s", 7},
		{"next code 400", CW_REFUSED, CW_DOWN, "compare body", 0},
		{"next code 403 7", CW_REFUSED, CW_DOWN, "does not let us in", 0},
		{"next code 401", CW_REFUSED, CW_DOWN, "does not let us in", 0},
		{"next code 404", CW_REFUSED, CW_DOWN, "no such hook", 0},
		{"next code 410", CW_REFUSED, CW_DOWN, "no such hook", 0},
		{"next silent", CW_DOUBTFUL, CW_DOWN, "no answer within", 0},
		{"next reset", CW_DOUBTFUL, CW_DOWN, "closed", 0},
		{"next break", CW_DOUBTFUL, CW_DOWN, "broke off", 0},
		{"next redirect http://127.0.0.1:8470/canary", CW_TRY_AGAIN, CW_DOWN, "redirect refused", 0},
	};
	struct world world;
	struct notice_fixture made;
	start(&world, "/v4", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t before = clock_now();
		tool_say(&world.hook, cases[i].mode);
		int outcome = tell(&world, notice_fixture(&made, 1));
		if (outcome != (int)cases[i].outcome || world.self.state != cases[i].state ||
		    !strstr(world.self.delivered_reason, cases[i].says))
			fail_msg("%s: %d, %s", cases[i].mode, outcome, world.self.delivered_reason);
		assert_true(cases[i].wait ? world.self.delivered.not_before >= before + cases[i].wait * CW_SECOND
					  : world.self.delivered.not_before == 0);
		assert_null(strstr(world.self.delivered_reason, "canary"));
		assert_null(strstr(world.self.reason, "canary"));
	}
	stop(&world);
}

static void a_body_of_ones_own__is_sent_in_place(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, "/own", "body={\"text\":\"{{ severity | upper }} {{ title }}\",\"since\":\"{{ since }}\"}");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	const char *requests = tool_say(&world.hook, "requests");
	assert_non_null(strstr(requests, "\"text\": \"WARNING call-stale: 37 of 849 calls silent since 02:09:51\""));
	stop(&world);
}

/* Row 39 of the fault matrix, by a name that no configuration can judge. */
static void a_name__that_leads_to_our_own_sockets__is_not_connected_to(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const struct cw_notice *notice = notice_fixture(&made, 1);
	tool_start(&world.hook, "hook.py");
	const char *port = strrchr(world.hook.url, ':') + 1;
	snprintf(world.url, sizeof(world.url), "url=http://innocent.example.net:%s/v4", port);
	const char *const settings[] = {world.url, NULL};
	static const char *const addresses[] = {"127.0.0.1", "127.0.0.9", "0.0.0.0", "169.254.169.254"};
	assert_int_equal(plugin_host_start(&world.self, &cw_plugin, false, settings), 0);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		world.self.resolves_to = addresses[i];
		assert_int_equal(plugin_host_notify(&world.self, &notice, 1), CW_TRY_AGAIN);
		assert_non_null(strstr(world.self.delivered_reason, "refused: innocent.example.net"));
		assert_non_null(strstr(world.self.delivered_reason, addresses[i]));
		assert_int_equal(world.self.state, CW_DOWN);
	}
	assert_string_equal(tool_say(&world.hook, "requests"), "[]");
	stop(&world);
}

static void the_doctor__climbs_to_what_was_sent(void **state)
{
	(void)state;
	static const char *const rungs[] = {"name", "tcp", "tls"};
	struct world world;
	struct notice_fixture made;
	start(&world, "/v4", NULL);
	for (size_t i = 0; i < sizeof(rungs) / sizeof(rungs[0]); i++)
		if (plugin_host_examine(&world.self, rungs[i]) != CW_CHECK_OK)
			fail_msg("%s: %s", rungs[i], world.self.verdict_text);
	assert_int_equal(plugin_host_examine(&world.self, "sent"), CW_CHECK_WARNING);
	assert_string_equal(tool_say(&world.hook, "requests"), "[]");
	tool_say(&world.hook, "next code 404");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_REFUSED);
	assert_int_equal(plugin_host_examine(&world.self, "sent"), CW_CHECK_FAILED);
	assert_non_null(strstr(world.self.verdict_text, "no such hook"));
	stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature__is_that_of_the_specification),
		cmocka_unit_test(a_notice__is_what_alertmanager_would_send),
		cmocka_unit_test(labels__that_not_all_alerts_have__are_not_common),
		cmocka_unit_test(hostile_texts__stay_texts),
		cmocka_unit_test(long_subjects__are_cut_between_characters),
		cmocka_unit_test(options__that_cannot_work__are_refused),
		cmocka_unit_test(a_notice__is_posted_and_signed_and_the_retry_is_the_same),
		cmocka_unit_test(an_answer__is_final_or_tried_again),
		cmocka_unit_test(a_body_of_ones_own__is_sent_in_place),
		cmocka_unit_test(a_name__that_leads_to_our_own_sockets__is_not_connected_to),
		cmocka_unit_test(the_doctor__climbs_to_what_was_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
