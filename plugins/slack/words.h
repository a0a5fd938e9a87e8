/* SPDX-License-Identifier: MIT
 *
 * Texts that strangers wrote, made harmless and fitting for Slack; pure functions.
 *
 * Slack reads `&`, `<` and `>` in every text as the beginning of something (a mention, a link), so they go as entities;
 * what acts unseen (escape sequences, characters that turn the reading direction) becomes visible. Slack counts
 * characters as JavaScript does, one beyond U+FFFF as two, and after the escaping; so does words_fit().
 */
#ifndef SLACK_WORDS_H
#define SLACK_WORDS_H

#include "buffer.h"

enum {
	WORDS_LIMIT_MAX = 3000,                    /* of any text that is asked for */
	WORDS_FIT_SIZE = 3 * WORDS_LIMIT_MAX + 16, /* of a buffer that holds it */
	WORDS_URL_MAX = 1000                       /* Slack takes 3,000, but all of a message counts */
};

/* At most `limit` characters, cut with an ellipsis. `lines`: a newline stays one, else it becomes visible. Its length
 * in bytes. */
size_t words_fit(char buffer[WORDS_FIT_SIZE], const char *text, size_t limit, bool lines);
/* The same as a quoted JSON string; Slack takes no empty text, so of one it makes a dash. */
void words_json(struct buffer *out, const char *text, size_t limit, bool lines);
/* Characters as Slack counts them, of text that is valid UTF-8. */
size_t words_count(const char *text, size_t length);
/* May a button lead there? http or https, not too long, nothing but what a URL is written with. */
bool words_is_url(const char *url);
/* Local time with its offset: 2026-12-01 02:09:51 +0100. */
enum { WORDS_TIME_SIZE = 48 };
void words_time(char buffer[WORDS_TIME_SIZE], int64_t wall);

#endif
