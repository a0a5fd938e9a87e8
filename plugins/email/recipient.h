/* SPDX-License-Identifier: MIT
 *
 * Mail addresses as people write them into a configuration: `ops@example.net`, `Night shift <ops@example.net>`. Strict:
 * what is taken can stand in a command of SMTP and in a header as it is.
 */
#ifndef CALLWATCH_EMAIL_RECIPIENT_H
#define CALLWATCH_EMAIL_RECIPIENT_H

enum { RECIPIENT_ADDRESS_MAX = 254, RECIPIENT_NAME_MAX = 200 };

struct recipient {
	char address[RECIPIENT_ADDRESS_MAX + 1]; /* bare, ASCII */
	char name[RECIPIENT_NAME_MAX + 1];       /* UTF-8; "": none */
};

/* 0, or -EINVAL and *ret_error says what is wrong, a constant without a trailing period. */
int recipient_parse(const char *text, struct recipient *ret_recipient, const char **ret_error);
/* Behind the last `@`; "" if it has none. */
const char *recipient_domain(const struct recipient *recipient);

#endif
