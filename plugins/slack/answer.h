/* SPDX-License-Identifier: MIT
 *
 * What Slack answered, and what follows from it. A webhook answers with a status and a word (`200 ok`, `404
 * no_service`); a method of the API answers 200 and JSON, whose `ok` says whether it was done and whose `error` is the
 * word. Pure functions. The bytes are a stranger's: of what they say only a word of small letters is ever shown.
 */
#ifndef SLACK_ANSWER_H
#define SLACK_ANSWER_H

#include "connect/http.h"

enum { ANSWER_REASON_MAX = HTTP_REASON_MAX + 80, ANSWER_WORD_SIZE = 49, ANSWER_ID_SIZE = 32 };

enum answer_kind {
	ANSWER_TAKEN = 0,
	ANSWER_WAIT = 1,    /* too many: nothing is to be sent before `wait` has passed */
	ANSWER_AGAIN = 2,   /* it was not taken, this time */
	ANSWER_UNKNOWN = 3, /* it may have been taken */
	ANSWER_CONTENT = 4, /* it is the layout or the size that Slack does not take */
	ANSWER_GONE = 5,    /* the message that was to be changed or answered is not there, or cannot be any more */
	ANSWER_REFUSED = 6  /* nothing will be taken until somebody does something about it */
};

struct answer {
	enum answer_kind kind;
	int64_t wait;                                     /* ns; ANSWER_WAIT, and where Slack says so; 0: not said */
	char word[ANSWER_WORD_SIZE];                      /* Slack's own, "" if there was none that can be shown */
	char reason[ANSWER_REASON_MAX];                   /* a sentence without a secret; "" if TAKEN */
	char channel[ANSWER_ID_SIZE], ts[ANSWER_ID_SIZE]; /* of a message that the API has taken; "" if not said */
};

/* `is_api`: a method answered, no webhook. `secret`: what must not be shown. */
void answer_read(const struct http_answer *http, bool is_api, const char *secret, struct answer *ret_answer);
/* An id of a channel, the ts of a message, as Slack makes them: to be kept and sent back. */
bool answer_is_channel(const char *text);
bool answer_is_ts(const char *text);

#endif
