/* SPDX-License-Identifier: MIT
 *
 * See answer.h. Most errors are in a table: Slack's word, what kind it is, and what a person has to do. A word that is
 * not in it is judged by the status alone; of a method, whose status is always 200, it is taken to be about the
 * content, so that the text alone is tried before it is given up.
 */
#include "answer.h"

#include "text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 64 * 1024 };

static const int64_t wait_unsaid = 30 * CW_SECOND; /* too many, and Retry-After does not say for how long */

static const struct {
	const char *word;
	enum answer_kind kind;
	const char *advice;
} known[] = {
	{"ratelimited", ANSWER_WAIT, NULL},
	{"rate_limited", ANSWER_WAIT, NULL},
	{"message_limit_exceeded", ANSWER_WAIT, NULL},

	{"internal_error", ANSWER_UNKNOWN, "trouble at Slack"},
	{"fatal_error", ANSWER_UNKNOWN, "trouble at Slack"},
	{"rollup_error", ANSWER_AGAIN, "trouble at Slack"},
	{"service_unavailable", ANSWER_AGAIN, "trouble at Slack"},
	{"request_timeout", ANSWER_AGAIN, "the message arrived too slowly"},
	{"team_added_to_org", ANSWER_AGAIN, "the workspace is being moved"},

	{"invalid_blocks", ANSWER_CONTENT, "Slack does not take the layout"},
	{"invalid_blocks_format", ANSWER_CONTENT, "Slack does not take the layout"},
	{"invalid_attachments", ANSWER_CONTENT, "Slack does not take the layout"},
	{"invalid_payload", ANSWER_CONTENT, "Slack does not take the layout"},
	{"msg_blocks_too_long", ANSWER_CONTENT, "the message is too long for Slack"},
	{"msg_too_long", ANSWER_CONTENT, "the message is too long for Slack"},
	{"attachment_payload_limit_exceeded", ANSWER_CONTENT, "the message is too long for Slack"},
	{"too_many_attachments", ANSWER_CONTENT, "Slack does not take the layout"},
	{"no_text", ANSWER_CONTENT, "Slack finds no text in it"},

	{"message_not_found", ANSWER_GONE, "the incident's message was deleted"},
	{"cant_update_message", ANSWER_GONE, "the incident's message is not ours"},
	{"edit_window_closed", ANSWER_GONE, "the incident's message is too old to be changed"},
	{"thread_not_found", ANSWER_GONE, "the incident's message was deleted"},
	{"cannot_reply_to_message", ANSWER_GONE, "the incident's message takes no replies"},
	{"restricted_action_thread_locked", ANSWER_GONE, "the incident's thread is locked"},

	{"no_service", ANSWER_REFUSED, "the webhook was removed: make a new one and set webhook_url_file"},
	{"no_service_id", ANSWER_REFUSED, "the webhook's address is not whole: compare webhook_url_file"},
	{"no_active_hooks", ANSWER_REFUSED, "the webhook was switched off: make a new one and set webhook_url_file"},
	{"no_team", ANSWER_REFUSED, "the webhook's workspace is not there: make a new one and set webhook_url_file"},
	{"team_disabled", ANSWER_REFUSED, "the workspace is switched off"},
	{"invalid_token", ANSWER_REFUSED, "the webhook is not valid any more: make a new one and set webhook_url_file"},
	{"action_prohibited", ANSWER_REFUSED, "an administrator of the workspace does not allow it"},
	{"posting_to_general_channel_denied", ANSWER_REFUSED, "an administrator does not allow it in that channel"},
	{"user_not_found", ANSWER_REFUSED, "the user it goes to is not there"},
	{"channel_not_found", ANSWER_REFUSED, "there is no such channel, or the app is not in it: invite it"},
	{"not_in_channel", ANSWER_REFUSED, "the app is not in the channel: invite it"},
	{"channel_is_archived", ANSWER_REFUSED, "the channel is archived"},
	{"is_archived", ANSWER_REFUSED, "the channel is archived"},
	{"invalid_auth", ANSWER_REFUSED, "the token is refused: compare token_file"},
	{"not_authed", ANSWER_REFUSED, "the token is refused: compare token_file"},
	{"account_inactive", ANSWER_REFUSED, "the token's app or workspace is gone: make a new one and set token_file"},
	{"token_revoked", ANSWER_REFUSED, "the token was revoked: make a new one and set token_file"},
	{"token_expired", ANSWER_REFUSED, "the token has expired: make a new one and set token_file"},
	{"not_allowed_token_type", ANSWER_REFUSED, "it is no token of a bot: compare token_file"},
	{"missing_scope", ANSWER_REFUSED, "the app lacks a right: give it the scope chat:write and install it again"},
	{"no_permission", ANSWER_REFUSED, "the app lacks a right: give it the scope chat:write and install it again"},
	{"access_denied", ANSWER_REFUSED, "an administrator of the workspace does not allow it"},
	{"ekm_access_denied", ANSWER_REFUSED, "an administrator of the workspace does not allow it"},
	{"restricted_action", ANSWER_REFUSED, "an administrator of the workspace does not allow it"},
	{"restricted_action_read_only_channel", ANSWER_REFUSED, "the channel is read-only"},
	{"restricted_action_non_threadable_channel", ANSWER_REFUSED, "the channel takes only threads"},
	{"restricted_action_thread_only_channel", ANSWER_REFUSED, "the channel takes only threads"},
	{"team_access_not_granted", ANSWER_REFUSED, "the app was not given this workspace"},
	{"method_deprecated", ANSWER_REFUSED, "Slack has given up the method: a newer callwatch is wanted"},
};
enum { KNOWN = sizeof(known) / sizeof(known[0]) };

/* ---- words ---- */

/* Small letters and underlines, and not a part of what must not be shown. */
static void take_word(struct answer *answer, const char *word, size_t length, const char *secret)
{
	char copy[ANSWER_WORD_SIZE];
	if (length == 0 || length >= sizeof(copy))
		return;
	for (size_t i = 0; i < length; i++)
		if ((word[i] < 'a' || word[i] > 'z') && word[i] != '_')
			return;
	memcpy(copy, word, length);
	copy[length] = '\0';
	if (!secret || !strstr(secret, copy))
		memcpy(answer->word, copy, length + 1);
}

static int find_known(const char *word)
{
	for (int i = 0; i < KNOWN; i++)
		if (strcmp(known[i].word, word) == 0)
			return i;
	return -1;
}

bool answer_is_channel(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	return n > 0 && n < ANSWER_ID_SIZE && text[n] == '\0';
}

bool answer_is_ts(const char *text)
{
	size_t n = strspn(text, "0123456789"), more = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;
	return n > 0 && more > 0 && n + 1 + more < ANSWER_ID_SIZE && text[n + 1 + more] == '\0';
}

/* ---- the kinds ---- */

static enum answer_kind kind_of_status(int status)
{
	if (status >= 200 && status < 300)
		return ANSWER_TAKEN;
	if (status == 429)
		return ANSWER_WAIT;
	if (status == 401 || status == 403 || status == 404 || status == 410)
		return ANSWER_REFUSED;
	if (status == 502 || status == 504) /* somebody between us and Slack does not know what became of it */
		return ANSWER_UNKNOWN;
	if (status == 408 || status == 425 || status >= 500)
		return ANSWER_AGAIN;
	return ANSWER_CONTENT;
}

static void explain(struct answer *answer, const char *advice, int status)
{
	char words[64];
	struct text_ns wait = text_ns(answer->wait);
	const char *what = answer->word[0] ? answer->word : http_status_text(status, words);
	if (answer->kind == ANSWER_WAIT)
		snprintf(answer->reason, ANSWER_REASON_MAX, "Slack asks us to wait %s (%s)", wait.text, what);
	else if (advice)
		snprintf(answer->reason, ANSWER_REASON_MAX, "%s (%s)", advice, what);
	else if (answer->kind == ANSWER_REFUSED)
		snprintf(answer->reason, ANSWER_REASON_MAX,
			 "Slack refuses it (%s): compare webhook_url_file or token_file", what);
	else
		snprintf(answer->reason, ANSWER_REASON_MAX, "Slack answers %s", what);
}

static void take_ids(struct answer *answer, const json_t *root)
{
	const char *channel = json_string_value(json_object_get(root, "channel"));
	const char *ts = json_string_value(json_object_get(root, "ts"));
	if (!channel || !ts || !answer_is_channel(channel) || !answer_is_ts(ts))
		return;
	snprintf(answer->channel, sizeof(answer->channel), "%s", channel);
	snprintf(answer->ts, sizeof(answer->ts), "%s", ts);
}

/* The word in the body, as a webhook or a method says it. `ret_ok`: the method says it has done it. */
static void read_body(const struct http_answer *http, bool is_api, const char *secret, struct answer *answer,
		      bool *ret_is_json, bool *ret_ok)
{
	json_t *root = http->length <= BODY_MAX ? json_loadb(http->body, http->length, 0, /* error */ NULL) : NULL;
	const char *word = json_string_value(json_object_get(root, "error"));
	const json_t *after = json_object_get(root, "retry_after");
	*ret_is_json = json_is_boolean(json_object_get(root, "ok"));
	*ret_ok = json_is_true(json_object_get(root, "ok"));
	if (word)
		take_word(answer, word, strlen(word), secret);
	else if (!is_api)
		take_word(answer, http->body, strcspn(http->body, "\r\n "), secret);
	json_int_t seconds = json_is_integer(after) ? json_integer_value(after) : 0;
	if (seconds > 0)
		answer->wait = (seconds < HTTP_RETRY_AFTER_MAX_S ? seconds : HTTP_RETRY_AFTER_MAX_S) * CW_SECOND;
	if (*ret_ok)
		take_ids(answer, root);
	json_decref(root);
}

static void judge(const struct http_answer *http, bool is_api, bool is_json, bool is_ok, struct answer *answer)
{
	int index = find_known(answer->word);
	bool is_fine = http->status >= 200 && http->status < 300;
	const char *advice = NULL;
	answer->kind = kind_of_status(http->status);
	if (is_fine && is_api && !is_json) {
		answer->kind = ANSWER_UNKNOWN;
		advice = "what answers there is not Slack's API: compare api_url";
	} else if (is_fine && is_json && !is_ok) {
		answer->kind = ANSWER_CONTENT;
	}
	if (index >= 0 && answer->kind != ANSWER_TAKEN && http->status != 429) {
		answer->kind = known[index].kind;
		advice = known[index].advice;
	}
	if (answer->kind != ANSWER_WAIT)
		answer->wait = answer->kind == ANSWER_AGAIN || answer->kind == ANSWER_UNKNOWN ? http->retry_after : 0;
	else if (http->retry_after)
		answer->wait = http->retry_after;
	else if (!answer->wait)
		answer->wait = wait_unsaid;
	if (answer->kind != ANSWER_TAKEN)
		explain(answer, advice, http->status);
}

void answer_read(const struct http_answer *http, bool is_api, const char *secret, struct answer *ret_answer)
{
	struct answer answer = {.kind = ANSWER_AGAIN};
	bool is_json, is_ok;
	if (http->end == HTTP_ANSWERED) {
		read_body(http, is_api, secret, &answer, &is_json, &is_ok);
		judge(http, is_api, is_json, is_ok, &answer);
	} else {
		answer.kind = http->may_have_acted && http->end != HTTP_REDIRECTED ? ANSWER_UNKNOWN : ANSWER_AGAIN;
		snprintf(answer.reason, ANSWER_REASON_MAX, "%s", http->reason);
	}
	*ret_answer = answer;
}
