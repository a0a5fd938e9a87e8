/* SPDX-License-Identifier: MIT
 *
 * Notifier slack: what its files share, and the order in which to read them.
 *
 *   slack.c    what the plugin says of itself, its options, its life
 *   deliver.c  one notice, or a digest, from notify() to host->notified(): which requests, in which order
 *   message.h  what is said, within Slack's limits; words.h makes strangers' texts harmless for it
 *   answer.h   what Slack answered, and what follows from it
 *   checks.c   the rungs of `callwatch doctor`, and whether the token is good before it is needed
 *
 * Two ways. An incoming webhook takes messages and says nothing about them: each notice is a message. With a bot's
 * token an incident has one message, the *root*, which is changed as the incident changes; its thread has the details
 * and each change. Where the root is, is the incident's receipt.
 */
#ifndef SLACK_SLACK_H
#define SLACK_SLACK_H

#include "answer.h"
#include "callwatch/notify.h"
#include "connect/http-rungs.h"

#include <uv.h>

enum { SLACK_URL_MAX = 2048, SLACK_CHECKS = 5 };

/* A message a second and channel is what Slack takes; a little more, since its clock is not ours. */
#define SLACK_PAUSE (CW_SECOND + 50 * CW_MILLISECOND)

struct settings {
	const char *secret;  /* the webhook's URL, or the token */
	const char *channel; /* NULL: it is a webhook */
	char post_url[SLACK_URL_MAX], update_url[SLACK_URL_MAX], auth_url[SLACK_URL_MAX];
	int64_t request_timeout; /* ns */
};

struct deliver;
struct checks;

struct slack {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct settings settings;
	char *token_header; /* NULL: it is a webhook */
	struct http *http;
	struct deliver *deliver;
	struct checks *checks;
	struct http_last last; /* how the last message went */
	int64_t not_before;    /* instant: of the next message */
	int64_t asked_until;   /* instant: Slack wants nothing from us until then, neither a message nor a question */
};

static inline bool slack_has_token(const struct slack *slack)
{
	return slack->settings.channel != NULL;
}

/* slack.c */
/* Slack said how long it wants nothing; 0 is fine. */
void slack_asked_to_wait(struct slack *slack, int64_t wait);
/* A message goes out, or its answer has come: the next is a while after that. */
void slack_pause(struct slack *slack, int64_t at);
/* A POST of JSON, with the token if there is one. 0 or negative. */
int slack_post(struct slack *slack, const char *url, const char *body, size_t length, int64_t timeout, http_done done,
	       void *arg, struct http_transfer **ret_transfer);

/* deliver.c */
int deliver_open(struct slack *slack);
void deliver_stop(struct deliver *deliver); /* NULL is fine, as below */
void deliver_free(struct deliver *deliver);
int slack_notify(void *state, const struct cw_notice *const *notices, uint32_t n);

/* checks.c */
extern const struct cw_check slack_checks[SLACK_CHECKS];
int checks_open(struct slack *slack);
void checks_stop(struct checks *checks);
void checks_free(struct checks *checks);
void checks_delivered(struct checks *checks); /* a message was taken: nothing need be tried */
void slack_examine(void *state, uint32_t check);

#endif
