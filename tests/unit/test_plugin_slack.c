/* SPDX-License-Identifier: MIT
 *
 * Plugin slack run by a core that is none, against tests/tools/slack.py, which answers as Slack does, fails as Slack
 * does, and finds fault with every message that Slack would not take.
 */
#include "clock.h"
#include "notice_fixture.h"
#include "plugin_host.h"
#include "slack.h"
#include "tool_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* An instance on a receiver of its own. */
struct world {
	struct tool slack;
	struct cw_instance self;
	char url[512];
	json_t *requests;
};

static void start(struct world *world, bool with_token, const char *more)
{
	tool_start(&world->slack, "slack.py");
	world->requests = NULL;
	if (with_token) {
		snprintf(world->url, sizeof(world->url), "api_url=%s/api", world->slack.url);
		const char *const settings[] = {"token=xoxb-canary-token-4711",
						"channel=C0CANARY",
						"allow_local=127.0.0.1",
						world->url,
						more ? more : NULL,
						NULL};
		assert_int_equal(plugin_host_start(&world->self, &cw_plugin, false, settings), 0);
	} else {
		snprintf(world->url, sizeof(world->url), "webhook_url=%s/services/T0CANARY/B0CANARY/hookSecret4711",
			 world->slack.url);
		const char *const settings[] = {"allow_local=127.0.0.1", world->url, more ? more : NULL, NULL};
		assert_int_equal(plugin_host_start(&world->self, &cw_plugin, false, settings), 0);
	}
}

static bool holds_secret(const char *text)
{
	return strstr(text, "hookSecret4711") || strstr(text, "canary-token-4711");
}

/* All that was sent was as Slack wants it, and nothing that was said held the secret. */
static void stop(struct world *world)
{
	assert_string_equal(tool_say(&world->slack, "faults"), "[]");
	assert_false(holds_secret(world->self.log));
	assert_false(holds_secret(world->self.reason));
	assert_false(holds_secret(world->self.delivered_reason));
	plugin_host_stop(&world->self);
	tool_stop(&world->slack);
	json_decref(world->requests);
}

static int tell(struct world *world, const struct cw_notice *notice)
{
	return plugin_host_notify(&world->self, &notice, 1);
}

/* How many messages were sent; the last of them in *ret_last, its path's end in *ret_method. */
static size_t requests(struct world *world, const json_t **ret_last, const char **ret_method)
{
	json_decref(world->requests);
	world->requests = json_loads(tool_say(&world->slack, "requests"), 0, NULL);
	size_t n = json_array_size(world->requests);
	const json_t *last = n ? json_array_get(world->requests, n - 1) : NULL;
	if (ret_last)
		*ret_last = json_object_get(last, "body");
	if (ret_method)
		*ret_method = last ? strrchr(json_string_value(json_object_get(last, "path")), '/') + 1 : "";
	return n;
}

static const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

/* Does the last message say this, anywhere? */
static bool says(struct world *world, const char *what)
{
	const json_t *last;
	requests(world, &last, NULL);
	char *text = json_dumps(last, 0);
	bool found = strstr(text, what) != NULL;
	free(text);
	return found;
}

/* ---- options ---- */

static void options__that_cannot_work__are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *settings[5], *says; /* "": nothing */
	} cases[] = {
		{{NULL}, "needs webhook_url_file, or token_file and channel"},
		{{"channel=ops", NULL}, "needs webhook_url_file"},
		{{"token=xoxb-1", NULL}, "a token needs channel"},
		{{"webhook_url=https://hooks.slack.com/services/x", "token=xoxb-1", NULL}, "two ways"},
		{{"webhook_url=https://hooks.slack.com/services/x", "channel=ops", NULL}, "two ways"},
		{{"webhook_url=hooks.slack.com/services/x", NULL}, "begins with http:// or https://"},
		{{"webhook_url=http://hooks.slack.com/services/x", NULL}, "is not https"},
		{{"webhook_url=https://127.0.0.1:8470/canary", NULL}, "allow_local"},
		{{"webhook_url=https://127.0.0.1:8470/", "allow_local=127.0.0.1", NULL}, ""},
		{{"token=xoxb-1", "channel=two words", NULL}, "one word"},
		{{"token=xoxb 1", "channel=ops", NULL}, "a token is one word"},
		{{"token=xoxb-1", "channel=ops", "api_url=https://169.254.169.254/api", NULL}, "allow_local"},
		{{"token=xoxb-1", "channel=ops", "tls_cert=x", NULL}, "go together"},
		{{"webhook_url=https://hooks.slack.com/services/x", NULL}, ""},
		{{"token=xoxb-1", "channel=#ops", NULL}, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problems[2000];
		plugin_host_check(&cw_plugin, cases[i].settings, problems, sizeof(problems));
		if (cases[i].says[0] ? !strstr(problems, cases[i].says) : problems[0])
			fail_msg("case %zu: %s", i, problems);
		assert_null(strstr(problems, "canary"));
	}
}

/* ---- a webhook ---- */

static void a_notice__by_webhook__is_a_message(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	assert_int_equal(world.self.state, CW_UP);
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	assert_true(says(&world, "WARNING call-stale"));
	assert_true(says(&world, made.id));
	assert_null(world.self.delivered.receipt);
	assert_string_equal(world.self.delivered_reason, "");
	assert_int_equal(world.self.state, CW_UP);
	assert_int_equal(tell(&world, notice_fixture(&made, 2)), CW_DELIVERED); /* the receiver looks at the second */
	assert_int_equal(requests(&world, NULL, NULL), 2);
	stop(&world);
}

static bool is_past(struct cw_instance *self, const void *arg)
{
	(void)self;
	return clock_now() > *(const int64_t *)arg;
}

static void too_many__is_waited_for_as_long_as_slack_says(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	tool_say(&world.slack, "next code 429 3");
	int64_t before = clock_now();
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_TRY_AGAIN);
	int64_t until = world.self.delivered.not_before;
	assert_true(until >= before + 3 * CW_SECOND);
	assert_non_null(strstr(world.self.delivered_reason, "Slack asks us to wait 3s"));
	assert_int_equal(world.self.state, CW_DEGRADED);
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_TRY_AGAIN); /* whoever asks */
	assert_true(llabs(world.self.delivered.not_before - until) < CW_SECOND / 10);
	assert_int_equal(requests(&world, NULL, NULL), 1);
	assert_true(plugin_host_wait(&world.self, is_past, &until, 10000));
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	assert_int_equal(world.self.state, CW_UP);
	stop(&world);
}

static void a_layout__that_is_refused__is_told_as_text_once(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const json_t *last;
	start(&world, false, NULL);
	tool_say(&world.slack, "mode noblocks");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	assert_int_equal(requests(&world, &last, NULL), 2);
	assert_null(json_object_get(last, "blocks"));
	assert_null(json_object_get(last, "attachments"));
	assert_non_null(strstr(member(last, "text"), "and 27 more"));
	assert_non_null(strstr(world.self.delivered_reason, "told as text alone"));
	assert_int_equal(world.self.state, CW_DEGRADED);
	assert_non_null(strstr(world.self.reason, "invalid_blocks"));
	tool_say(&world.slack, "mode word invalid_payload");
	assert_int_equal(tell(&world, notice_fixture(&made, 2)), CW_REFUSED);
	assert_int_equal(requests(&world, NULL, NULL), 4);
	assert_int_equal(world.self.state, CW_DOWN);
	stop(&world);
}

static void a_webhook__that_was_removed__is_down_at_once_and_up_again_by_itself(void **state)
{
	(void)state;
	static const struct {
		const char *mode, *says;
	} cases[] = {
		{"next code 404 0 no_service", "the webhook was removed"},
		{"next code 403 0 action_prohibited", "administrator"},
		{"next code 410 0 channel_is_archived", "archived"},
		{"next code 403", "403 Forbidden"},
	};
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tool_say(&world.slack, cases[i].mode);
		assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_REFUSED);
		assert_int_equal(requests(&world, NULL, NULL), i + 1);
		assert_int_equal(world.self.state, CW_DOWN);
		if (!strstr(world.self.reason, cases[i].says))
			fail_msg("case %zu: %s", i, world.self.reason);
		assert_false(holds_secret(world.self.reason));
	}
	assert_int_equal(tell(&world, notice_fixture(&made, 2)), CW_DELIVERED);
	assert_int_equal(world.self.state, CW_UP);
	stop(&world);
}

static void an_answer__that_was_cut_off__is_doubtful_and_the_retry_says_so(void **state)
{
	(void)state;
	static const char *const modes[] = {"next cut", "next silent", "next break", "next reset"};
	struct world world;
	struct notice_fixture made;
	start(&world, false, "request_timeout=700ms");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		tool_say(&world.slack, modes[i]);
		assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DOUBTFUL);
		assert_false(says(&world, "possible duplicate"));
		assert_int_equal(world.self.state, CW_DOWN);
	}
	struct cw_notice *again = notice_fixture(&made, 1);
	again->attempt = 2;
	again->is_doubtful = true;
	assert_int_equal(tell(&world, again), CW_DELIVERED);
	assert_true(says(&world, "possible duplicate of 6f1c0a77-1795644000-1-9a3e"));
	stop(&world);
}

static void trouble_at_slack_or_on_the_way__is_tried_again(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	tool_say(&world.slack, "next redirect http://169.254.169.254/canary");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_TRY_AGAIN);
	assert_non_null(strstr(world.self.delivered_reason, "redirect refused"));
	assert_null(strstr(world.self.delivered_reason, "canary"));
	int64_t before = clock_now();
	tool_say(&world.slack, "next code 503 31");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_TRY_AGAIN);
	assert_true(world.self.delivered.not_before >= before + 31 * CW_SECOND);
	assert_int_equal(world.self.state, CW_DOWN);
	assert_int_equal(requests(&world, NULL, NULL), 2);
	stop(&world);
}

static void nobody_there__is_tried_again_without_doubt(void **state)
{
	(void)state;
	struct cw_instance self;
	struct notice_fixture made;
	const struct cw_notice *notice = notice_fixture(&made, 1);
	const char *const settings[] = {"allow_local=127.0.0.1", "webhook_url=http://127.0.0.1:1/hookSecret4711", NULL};
	assert_int_equal(plugin_host_start(&self, &cw_plugin, false, settings), 0);
	assert_int_equal(plugin_host_notify(&self, &notice, 1), CW_TRY_AGAIN);
	assert_non_null(strstr(self.delivered_reason, "connection refused (127.0.0.1:1)"));
	plugin_host_stop(&self);
}

/* A name that leads back here, which no configuration can see. */
static void a_name__that_leads_to_this_machine__is_not_connected_to(void **state)
{
	(void)state;
	struct cw_instance self;
	struct notice_fixture made;
	const struct cw_notice *notice = notice_fixture(&made, 1);
	const char *const settings[] = {"webhook_url=https://innocent.example.net:8470/hookSecret4711", NULL};
	assert_int_equal(plugin_host_start(&self, &cw_plugin, false, settings), 0);
	self.resolves_to = "127.0.0.1";
	assert_int_equal(plugin_host_notify(&self, &notice, 1), CW_TRY_AGAIN);
	assert_non_null(strstr(self.delivered_reason, "refused: innocent.example.net:8470 leads to this machine"));
	assert_int_equal(self.state, CW_DOWN);
	assert_false(holds_secret(self.log));
	plugin_host_stop(&self);
}

static void many_that_wait__by_webhook__are_one_message(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made[12];
	const struct cw_notice *notices[12];
	for (uint32_t i = 0; i < 12; i++)
		notices[i] = notice_fixture(&made[i], i + 1);
	start(&world, false, NULL);
	assert_int_equal(plugin_host_notify(&world.self, notices, 12), CW_DELIVERED);
	assert_int_equal(requests(&world, NULL, NULL), 1);
	assert_true(says(&world, made[11].id)); /* all of one incident: the last says it all */
	assert_false(says(&world, "have waited"));
	made[0].notice.incident = "another";
	assert_int_equal(plugin_host_notify(&world.self, notices, 12), CW_DELIVERED);
	assert_int_equal(requests(&world, NULL, NULL), 2);
	assert_true(says(&world, "12 notices have waited: 2 firing, 0 resolved"));
	stop(&world);
}

/* ---- a token ---- */

static bool is_up(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->state == CW_UP;
}

static bool is_down(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->state == CW_DOWN;
}

static void an_incident__by_token__has_one_message_and_its_thread(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const json_t *last;
	const char *method;
	char receipt[512];
	start(&world, true, NULL);
	assert_true(plugin_host_wait(&world.self, is_up, NULL, 10000)); /* before anything was told */
	assert_non_null(strstr(world.self.reason, "knows the token"));

	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	assert_int_equal(requests(&world, &last, &method), 2);
	assert_string_equal(method, "chat.postMessage");
	assert_string_equal(member(last, "thread_ts"), "1790000000.000000"); /* the details, in the root's thread */
	assert_true(says(&world, "heartbeat_age_seconds: 2m 37s"));
	assert_string_equal(world.self.delivered.receipt, "C0CANARY 1790000000.000000 C0CANARY");
	snprintf(receipt, sizeof(receipt), "%s", world.self.delivered.receipt);

	struct cw_notice *later = notice_fixture(&made, 2);
	later->kind = CW_NOTICE_RESOLVED;
	later->receipt = receipt;
	assert_int_equal(tell(&world, later), CW_DELIVERED);
	assert_int_equal(requests(&world, &last, &method), 4);
	assert_string_equal(member(last, "thread_ts"), "1790000000.000000");
	assert_true(says(&world, "RESOLVED"));
	last = json_object_get(json_array_get(world.requests, 2), "body");
	assert_string_equal(member(last, "ts"), "1790000000.000000");
	assert_string_equal(strrchr(member(json_array_get(world.requests, 2), "path"), '/'), "/chat.update");
	assert_string_equal(world.self.delivered.receipt, receipt);
	stop(&world);
}

static void a_root__that_was_deleted_or_is_elsewhere__has_a_new_one(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const char *method;
	start(&world, true, NULL);
	struct cw_notice *notice = notice_fixture(&made, 2);
	notice->receipt = "C0CANARY 1790000000.000777 C0CANARY";
	assert_int_equal(tell(&world, notice), CW_DELIVERED);
	assert_int_equal(requests(&world, NULL, &method), 3); /* update, post, reply */
	assert_string_equal(world.self.delivered.receipt, "C0CANARY 1790000000.000000 C0CANARY");

	static const char *const not_ours[] = {"C0OTHER 1790000000.000000 C0OTHER", "nonsense", "C0 1 C0CANARY",
					       "C0CANARY 1.1", ""};
	notice = notice_fixture(&made, 3);
	notice->alerts.count = 1;
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++) {
		notice->receipt = not_ours[i];
		notice->kind = CW_NOTICE_TEST; /* no reply */
		assert_int_equal(tell(&world, notice), CW_DELIVERED);
		requests(&world, NULL, &method);
		assert_string_equal(method, "chat.postMessage");
	}
	stop(&world);
}

static void what_was_told_already__is_not_told_again_by_the_retry(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const json_t *last;
	char progress[512];
	start(&world, true, NULL);
	assert_true(plugin_host_wait(&world.self, is_up, NULL, 10000)); /* its question is answered */
	tool_say(&world.slack, "next ok");
	tool_say(&world.slack, "next code 429 1");
	assert_int_equal(tell(&world, notice_fixture(&made, 1)),
			 CW_TRY_AGAIN); /* the root is there, its reply is not */
	assert_string_equal(world.self.delivered.progress, "posted C0CANARY 1790000000.000000 C0CANARY");
	snprintf(progress, sizeof(progress), "%s", world.self.delivered.progress);

	struct cw_notice *again = notice_fixture(&made, 1);
	again->progress = progress;
	tool_say(&world.slack, "next cut");
	assert_int_equal(tell(&world, again), CW_DOUBTFUL);
	assert_string_equal(world.self.delivered.progress, progress);
	again->is_doubtful = true;
	assert_int_equal(tell(&world, again), CW_DELIVERED);
	assert_int_equal(requests(&world, &last, NULL), 4);
	assert_string_equal(member(last, "thread_ts"), "1790000000.000000");
	assert_true(says(&world, "possible duplicate"));
	assert_string_equal(world.self.delivered.receipt, "C0CANARY 1790000000.000000 C0CANARY");
	stop(&world);
}

static void a_change__that_was_cut_off__is_no_duplicate(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, true, NULL);
	assert_true(plugin_host_wait(&world.self, is_up, NULL, 10000));
	struct cw_notice *notice = notice_fixture(&made, 2);
	notice->receipt = "C0CANARY 1790000000.000000 C0CANARY";
	tool_say(&world.slack, "next cut");
	assert_int_equal(tell(&world, notice), CW_TRY_AGAIN);
	stop(&world);
}

static void a_digest__by_token__changes_the_roots_of_its_incidents(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made[3];
	const struct cw_notice *notices[3];
	const json_t *last;
	const char *method;
	start(&world, true, NULL);
	assert_int_equal(tell(&world, notice_fixture(&made[0], 1)), CW_DELIVERED); /* the root of incident 1 */
	for (uint32_t i = 0; i < 3; i++) {
		struct cw_notice *notice = notice_fixture(&made[i], i + 2);
		notice->kind = i == 1 ? CW_NOTICE_RESOLVED : CW_NOTICE_FIRING;
		notice->incident = i < 2 ? "incident-1" : "incident-2";
		notice->receipt = i < 2 ? "C0CANARY 1790000000.000000 C0CANARY" : NULL;
		notices[i] = notice;
	}
	tool_say(&world.slack, "next ok");
	tool_say(&world.slack, "next code 503");
	assert_int_equal(plugin_host_notify(&world.self, notices, 3), CW_TRY_AGAIN);
	assert_string_equal(world.self.delivered.progress, "told");
	for (uint32_t i = 0; i < 3; i++)
		made[i].notice.progress = "told";
	assert_int_equal(plugin_host_notify(&world.self, notices, 3), CW_DELIVERED);
	assert_int_equal(requests(&world, &last, &method), 5);
	assert_string_equal(method, "chat.update");
	assert_string_equal(member(last, "ts"), "1790000000.000000");
	assert_true(says(&world, "RESOLVED"));
	assert_null(world.self.delivered.receipt);
	assert_int_equal(tell(&world, notices[2]), CW_DELIVERED); /* it has no root, so nothing is left to be done */
	assert_int_equal(requests(&world, NULL, NULL), 5);
	stop(&world);
}

static void a_token__that_is_not_good__is_down_before_it_is_needed(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	tool_start(&world.slack, "slack.py");
	world.requests = NULL;
	snprintf(world.url, sizeof(world.url), "api_url=%s/api", world.slack.url);
	const char *const settings[] = {"token=xoxb-other", "channel=C0CANARY", "allow_local=127.0.0.1", world.url,
					NULL};
	assert_int_equal(plugin_host_start(&world.self, &cw_plugin, false, settings), 0);
	assert_true(plugin_host_wait(&world.self, is_down, NULL, 10000));
	assert_non_null(strstr(world.self.reason, "the token is refused: compare token_file (invalid_auth)"));
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_REFUSED);
	stop(&world);
}

/* ---- the doctor, the end ---- */

static void the_doctor__climbs_to_what_was_sent(void **state)
{
	(void)state;
	static const char *const rungs[] = {"name", "tcp", "tls", "auth"};
	for (int with_token = 0; with_token < 2; with_token++) {
		struct world world;
		struct notice_fixture made;
		start(&world, with_token, NULL);
		for (size_t i = 0; i < sizeof(rungs) / sizeof(rungs[0]); i++)
			if (plugin_host_examine(&world.self, rungs[i]) != CW_CHECK_OK)
				fail_msg("%s: %s", rungs[i], world.self.verdict_text);
		assert_int_equal(plugin_host_examine(&world.self, "sent"), CW_CHECK_WARNING);
		assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
		assert_int_equal(plugin_host_examine(&world.self, "sent"), CW_CHECK_OK);
		tool_say(&world.slack, with_token ? "mode word token_revoked" : "mode code 404 0 no_service");
		assert_int_equal(plugin_host_examine(&world.self, "name"), CW_CHECK_OK);
		assert_int_equal(plugin_host_examine(&world.self, "auth"), CW_CHECK_FAILED);
		assert_non_null(strstr(world.self.verdict_text, "make a new one"));
		stop(&world);
	}
}

/* The receiver finds fault with what comes within a second. */
static void the_doctor__of_a_webhook__has_its_turn_among_the_messages(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	assert_int_equal(plugin_host_examine(&world.self, "name"), CW_CHECK_OK);
	assert_int_equal(plugin_host_examine(&world.self, "auth"), CW_CHECK_OK);
	assert_int_equal(tell(&world, notice_fixture(&made, 2)), CW_DELIVERED);
	assert_string_equal(tool_say(&world.slack, "faults"), "[]");
	stop(&world);
}

static void the_doctor__that_is_one_too_many__holds_the_webhook_up(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	tool_say(&world.slack, "next code 429 31");
	assert_int_equal(plugin_host_examine(&world.self, "name"), CW_CHECK_OK);
	assert_int_equal(plugin_host_examine(&world.self, "auth"), CW_CHECK_FAILED);
	int64_t before = clock_now();
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_TRY_AGAIN);
	assert_true(world.self.delivered.not_before >= before + 20 * CW_SECOND);
	assert_int_equal(requests(&world, NULL, NULL), 0);
	assert_int_equal(plugin_host_examine(&world.self, "name"), CW_CHECK_WARNING);
	assert_non_null(strstr(world.self.verdict_text, "not asked: Slack wants nothing for another"));
	assert_int_equal(plugin_host_examine(&world.self, "auth"), CW_CHECK_SKIPPED);
	stop(&world);
}

static bool is_examined(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->examined;
}

static void the_doctor__whose_turn_comes_when_slack_wants_nothing__does_not_ask(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	start(&world, false, NULL);
	assert_int_equal(tell(&world, notice_fixture(&made, 1)), CW_DELIVERED);
	world.self.examined = false;
	world.self.plugin->examine(world.self.plugin_state, HTTP_RUNG_NAME);
	slack_asked_to_wait(world.self.plugin_state, 31 * CW_SECOND); /* a message was one too many meanwhile */
	assert_true(plugin_host_wait(&world.self, is_examined, NULL, 10000));
	assert_int_equal(world.self.verdict, CW_CHECK_WARNING);
	assert_non_null(strstr(world.self.verdict_text, "not asked: Slack wants nothing for another"));
	json_t *stats = json_loads(tool_say(&world.slack, "stats"), 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(stats, "requests")), 1);
	json_decref(stats);
	stop(&world);
}

static void stopped_in_the_middle__it_says_how_far_it_came(void **state)
{
	(void)state;
	struct world world;
	struct notice_fixture made;
	const struct cw_notice *notice = notice_fixture(&made, 1);
	start(&world, false, NULL);
	assert_int_equal(tell(&world, notice), CW_DELIVERED);
	world.self.is_notified = false;
	assert_int_equal(world.self.plugin->notify(world.self.plugin_state, &notice, 1),
			 CW_LATER); /* waits its second */
	plugin_host_stop(&world.self);
	assert_true(world.self.is_notified);
	assert_int_equal(world.self.delivered.outcome, CW_TRY_AGAIN);
	tool_stop(&world.slack);
	json_decref(world.requests);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options__that_cannot_work__are_refused),
		cmocka_unit_test(a_notice__by_webhook__is_a_message),
		cmocka_unit_test(too_many__is_waited_for_as_long_as_slack_says),
		cmocka_unit_test(a_layout__that_is_refused__is_told_as_text_once),
		cmocka_unit_test(a_webhook__that_was_removed__is_down_at_once_and_up_again_by_itself),
		cmocka_unit_test(an_answer__that_was_cut_off__is_doubtful_and_the_retry_says_so),
		cmocka_unit_test(trouble_at_slack_or_on_the_way__is_tried_again),
		cmocka_unit_test(nobody_there__is_tried_again_without_doubt),
		cmocka_unit_test(a_name__that_leads_to_this_machine__is_not_connected_to),
		cmocka_unit_test(many_that_wait__by_webhook__are_one_message),
		cmocka_unit_test(an_incident__by_token__has_one_message_and_its_thread),
		cmocka_unit_test(a_root__that_was_deleted_or_is_elsewhere__has_a_new_one),
		cmocka_unit_test(what_was_told_already__is_not_told_again_by_the_retry),
		cmocka_unit_test(a_change__that_was_cut_off__is_no_duplicate),
		cmocka_unit_test(a_digest__by_token__changes_the_roots_of_its_incidents),
		cmocka_unit_test(a_token__that_is_not_good__is_down_before_it_is_needed),
		cmocka_unit_test(the_doctor__climbs_to_what_was_sent),
		cmocka_unit_test(the_doctor__of_a_webhook__has_its_turn_among_the_messages),
		cmocka_unit_test(the_doctor__that_is_one_too_many__holds_the_webhook_up),
		cmocka_unit_test(the_doctor__whose_turn_comes_when_slack_wants_nothing__does_not_ask),
		cmocka_unit_test(stopped_in_the_middle__it_says_how_far_it_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
