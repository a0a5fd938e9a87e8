/* SPDX-License-Identifier: MIT
 *
 * Notices as a mail: headers, a text part, an HTML part. A pure function, the same bytes for the same notices, so that
 * a retry is the same mail.
 *
 *     Message-ID    <the notice's id @ the sender's host>, of a digest those of its first and last: the same at each
 * try, so a receiver may drop what came twice References    <the incident's id @ the sender's host>: all mails of an
 * incident are one thread Date          when the notice was made, not when it got through
 *
 * All texts may be written by strangers: they are made visible and cut, and escaped in HTML; no header can get a second
 * line by them.
 */
#ifndef CALLWATCH_EMAIL_LETTER_H
#define CALLWATCH_EMAIL_LETTER_H

#include "buffer.h"
#include "callwatch/notify.h"
#include "recipient.h"

enum {
	LETTER_BYTES_MAX = 8 << 20,
	LETTER_ALERTS_MAX = 20, /* told with their facts; of the others a line each */
	LETTER_ALERTS_IN_DIGEST = 5,
	LETTER_FACTS_MAX = 12
};

struct letter_form {
	struct recipient from;
	const struct recipient *to; /* all of them are in the header To of every mail */
	uint32_t to_count;
	const struct cw_value *headers; /* a map of more of them, checked; NULL: none */
};

/* Is it a header that people may add? NULL: yes; else what is wrong, a constant without a trailing period. */
const char *letter_header_wrong(const char *name, const char *text);
/* Appends the whole mail. `buffer` fails if there is no memory. */
void letter_write(struct buffer *buffer, const struct letter_form *form, const struct cw_notice *const *notices,
		  uint32_t n);

#endif
