/* SPDX-License-Identifier: MIT
 *
 * Notifier slack: what it says of itself, its options, its life. See slack.h for the way through its files.
 */
#include "slack.h"

#include "connect/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_BODY_MAX = 64 * 1024, HEADER_MAX = 4096 };

static const char default_api_url[] = "https://slack.com/api";

/* ---- options ---- */

static bool is_set(const struct cw_value *options, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	return value && value->is_set;
}

static bool is_word(const char *text)
{
	for (size_t i = 0; text[i]; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return text[0] != '\0';
}

/* In a channel's name there may be letters of any script, but no blanks. */
static bool is_channel(const char *text)
{
	return text[0] && strlen(text) < 200 && strpbrk(text, " \t\r\n") == NULL;
}

static void check_way(const struct cw_value *options, struct cw_problems *problems)
{
	bool webhook = is_set(options, "webhook_url"), token = is_set(options, "token"),
	     channel = is_set(options, "channel");
	if (webhook && (token || channel))
		problems->error(problems, cw_get(options, token ? "token" : "channel"),
				"webhook_url and token with channel are two ways: one of them only");
	else if (!webhook && !token)
		problems->error(problems, channel ? cw_get(options, "channel") : NULL,
				"slack needs webhook_url_file, or token_file and channel");
	else if (token && !channel)
		problems->error(problems, cw_get(options, "token"), "a token needs channel: where to");
}

static void check_clear(const struct cw_value *options, const char *key, struct cw_problems *problems)
{
	const char *url = cw_get_string(options, key);
	if (url && strncmp(url, "http:", 5) == 0 && !is_set(options, "allow_local"))
		problems->warning(problems, cw_get(options, key),
				  "%s is not https: what is sent, and the secret, can be read on the way", key);
}

static void check_url(const struct cw_value *options, const char *key, struct cw_problems *problems)
{
	const char *url = cw_get_string(options, key);
	http_check_options(options, key, problems);
	http_check_guarded(options, key, problems);
	check_clear(options, key, problems);
	if (url && strlen(url) > SLACK_URL_MAX - 40)
		problems->error(problems, cw_get(options, key), "%s is too long", key);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const char *token = cw_get_string(options, "token"), *channel = cw_get_string(options, "channel");
	check_way(options, problems);
	if (is_set(options, "webhook_url"))
		check_url(options, "webhook_url", problems);
	else
		check_url(options, "api_url", problems);
	if (token && (!is_word(token) || strlen(token) > HEADER_MAX - 40))
		problems->error(problems, cw_get(options, "token"), "a token is one word, such as xoxb-…");
	if (channel && !is_channel(channel))
		problems->error(problems, cw_get(options, "channel"),
				"channel is a channel's id, such as C0123456789, or its name: one word");
}

static void join(char url[SLACK_URL_MAX], const char *base, const char *method)
{
	size_t length = strlen(base);
	while (length && base[length - 1] == '/')
		length--;
	snprintf(url, SLACK_URL_MAX, "%.*s/%s", (int)length, base, method);
}

static int take_settings(struct slack *slack)
{
	const struct cw_value *options = slack->options;
	struct settings *settings = &slack->settings;
	const char *webhook = cw_get_string(options, "webhook_url"), *api = cw_get_string(options, "api_url");
	settings->request_timeout = cw_get_integer(options, "request_timeout", 10 * CW_SECOND);
	if (webhook) {
		settings->secret = webhook;
		snprintf(settings->post_url, SLACK_URL_MAX, "%s", webhook);
		return 0;
	}
	settings->secret = cw_get_string(options, "token");
	settings->channel = cw_get_string(options, "channel");
	if (!settings->secret || !settings->channel)
		return -EINVAL;
	join(settings->post_url, api ? api : default_api_url, "chat.postMessage");
	join(settings->update_url, api ? api : default_api_url, "chat.update");
	join(settings->auth_url, api ? api : default_api_url, "auth.test");
	size_t size = strlen(settings->secret) + 32;
	slack->token_header = malloc(size);
	if (!slack->token_header)
		return -ENOMEM;
	snprintf(slack->token_header, size, "Authorization: Bearer %s", settings->secret);
	return 0;
}

/* ---- requests ---- */

void slack_asked_to_wait(struct slack *slack, int64_t wait)
{
	int64_t until = slack->host->now() + wait;
	if (wait > 0 && slack->asked_until < until)
		slack->asked_until = until;
}

void slack_pause(struct slack *slack, int64_t at)
{
	if (slack->not_before < at + SLACK_PAUSE)
		slack->not_before = at + SLACK_PAUSE;
}

int slack_post(struct slack *slack, const char *url, const char *body, size_t length, int64_t timeout, http_done done,
	       void *arg, struct http_transfer **ret_transfer)
{
	const char *const headers[] = {"Content-Type: application/json; charset=utf-8", slack->token_header, NULL};
	const struct http_request request = {.method = "POST",
					     .url = url,
					     .headers = headers,
					     .body = body,
					     .length = length,
					     .timeout = timeout,
					     .body_limit = ANSWER_BODY_MAX,
					     .guarded = true};
	return http_send(slack->http, &request, done, arg, ret_transfer);
}

/* ---- life ---- */

static void stop(void *state)
{
	struct slack *slack = state;
	deliver_stop(slack->deliver);
	checks_stop(slack->checks);
	http_close(slack->http);
}

static void release(void *state)
{
	struct slack *slack = state;
	deliver_free(slack->deliver);
	checks_free(slack->checks);
	free(slack->token_header);
	free(slack);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct slack *slack = calloc(1, sizeof(*slack));
	if (!slack)
		return -ENOMEM;
	*slack = (struct slack){.self = self, .host = host, .options = options};
	*ret_state = slack;
	int status = take_settings(slack);
	if (status == 0)
		status = http_open(self, host, options, &slack->http);
	if (status == 0)
		status = deliver_open(slack);
	if (status == 0)
		status = checks_open(slack);
	if (status < 0)
		stop(slack);
	else if (!slack_has_token(slack))
		host->state(self, CW_UP, /* next_try */ 0, "no message was sent yet");
	return status;
}

/* ---- what the plugin is ---- */

static const struct cw_option options[] = {
	{.key = "webhook_url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "An incoming webhook, whose address is its secret: by webhook_url_file; or token and channel"},
	{.key = "token",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "A bot's token, by token_file: then an incident has one message, which changes, and a thread"},
	{.key = "channel",
	 .type = CW_OPTION_STRING,
	 .help = "With a token: the channel's id, C0123456789, or its name; the app must be in it"},
	{.key = "request_timeout",
	 .type = CW_OPTION_DURATION,
	 .fallback = "10s",
	 .min = 100e6,
	 .max = 30e9,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "A request must be answered, as a whole, within this"},
	{.key = "api_url",
	 .type = CW_OPTION_STRING,
	 .fallback = default_api_url,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "With a token: where Slack's methods are, for a gateway in between"},
	HTTP_ALLOW_LOCAL_OPTION,
	TLS_CONNECTION_OPTIONS,
};

static const struct cw_need needs[] = {
	{.what = "Slack app whose bot token is used: this scope, and an invitation into the channel",
	 .line = "chat:write"},
};

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "slack",
	.summary = "Tells people in Slack, by an incoming webhook or as an app with one message for each incident",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.needs = CW_ARRAY(needs),
	.check = check,
	.start = start,
	.stop = stop,
	.release = release,
	.checks = {slack_checks, SLACK_CHECKS, sizeof(slack_checks[0])},
	.examine = slack_examine,
	.actions = CW_ARRAY(actions),
	.notify = slack_notify,
	.digest_max = CW_NOTICE_DIGEST_MAX,
};
