/* SPDX-License-Identifier: MIT
 *
 * Notifier `email`, the map of it.
 *
 *     email.c         the descriptor, options, start and stop
 *     sending.c       notices → one mail, sent to one recipient after the other; what became of it
 *     checks.c        the way is tried: at the start, now and then, and for `callwatch doctor`
 *     letter.c        notices as a mail: headers, frame; letter_body.c what it says
 *       mime.c        the forms that a mail is made of
 *     recipient.c     mail addresses
 *     progress.c      who has it, between two attempts
 *     smtp.c          a mail handed to a server (smtp_explain.c: how that ended, in words)
 *
 * Everything runs on the instance's thread.
 */
#ifndef CALLWATCH_EMAIL_EMAIL_H
#define CALLWATCH_EMAIL_EMAIL_H

#include "backoff.h"
#include "letter.h"
#include "progress.h"
#include "smtp.h"

#include <uv.h>

enum { SMTP_PORT = 25, SMTPS_PORT = 465 };
enum check { CHECK_NAME, CHECK_GREETING, CHECK_TLS, CHECK_LOGIN, CHECKS };
extern const struct cw_check email_checks[CHECKS];

/* Notices under way. */
struct sending {
	bool is_under_way;
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	uint32_t count;
	enum fate fates[RECIPIENTS_MAX];
	uint64_t doubts[RECIPIENTS_MAX]; /* which of the notices may have reached them before, a bit each */
	struct buffer mail;              /* of the recipient whose turn it is, and of who else has the same doubts */
	uint64_t marked;                 /* the doubts that it tells */
	uint32_t first, turn;            /* the recipient with whom it began; how many have had their turn */
	uint32_t at;                     /* the recipient whose turn it is */
	int64_t deadline;                /* instant after which no further one is begun */
	enum smtp_end trouble;           /* why it was broken off; SMTP_TAKEN: it was not */
	char reason[SMTP_REASON_MAX];    /* of the trouble, or of the first recipient who has not got it */
};

struct email {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct smtp_server server;
	char hello[256];
	struct letter_form form;
	struct recipient to[RECIPIENTS_MAX];

	struct smtp *smtp;
	struct sending sending;

	/* trying the way */
	uv_timer_t timer;
	struct backoff backoff;
	int64_t check_every; /* ns; 0: only while it is down */
	bool is_trying;
	bool is_refused; /* the last mail was, by somebody: the way's being fine does not mend that */
	int examining;   /* the check whose verdict is owed; -1: none */
};

/* sending.c: callbacks of struct cw_plugin, on the state that it belongs to. */
int sending_notify(void *state, const struct cw_notice *const *notices, uint32_t n);
void sending_abandon(struct email *email); /* the instance stops */
void sending_release(struct sending *sending);

/* checks.c */
void email_try(struct email *email); /* tries the way, and says by host->state() what it is like */
void email_way(struct email *email, const struct smtp_result *result); /* what a job has shown of it */
void email_examine(void *state, uint32_t check);

#endif
