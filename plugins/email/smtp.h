/* SPDX-License-Identifier: MIT
 *
 * Mail handed to a server by SMTP, through libcurl on the instance's loop (connect/curl-loop.h). A job is one mail to
 * one recipient, since a server may take it for one and refuse it for another, and libcurl tells one outcome; or it
 * only tries the way, up to and including the login.
 *
 *     dialled (connect/dial.h) → greeting, EHLO → STARTTLS, EHLO → AUTH → MAIL, RCPT, DATA → told
 *
 * The password is sent over TLS or not at all. Certificates are always verified. Of jobs that follow each other the
 * second goes over the first one's connection. Nothing waits.
 */
#ifndef CALLWATCH_EMAIL_SMTP_H
#define CALLWATCH_EMAIL_SMTP_H

#include "address.h"
#include "callwatch/plugin.h"

enum { SMTP_REASON_MAX = 512 };

struct smtp_server {
	struct address at;
	bool implicit_tls, require_tls;
	const char *hello, *from;        /* what we call ourselves; the sender's bare address */
	const char *username, *password; /* NULL: no login */
	const struct cw_value *options;  /* tls_… */
};

struct smtp;
/* `server` and what it points at are borrowed until smtp_close(). 0 or -ENOMEM. */
int smtp_open(struct cw_instance *self, const struct cw_host *host, const struct smtp_server *server,
	      struct smtp **ret_smtp);
/* Ends all jobs without a word. Memory goes when the loop has closed the handles. NULL is fine. */
void smtp_close(struct smtp *smtp);

/* How it ended, for what to do next. */
enum smtp_end {
	SMTP_TAKEN = 0,
	SMTP_REFUSED = 1,  /* 5xx, about this sender, recipient or mail: final */
	SMTP_LATER = 2,    /* 4xx, about these: greylisting, a full mailbox */
	SMTP_BUSY = 3,     /* 421: the server wants to be left alone for a while */
	SMTP_BROKEN = 4,   /* it did not come to a word about the mail: unreachable, no TLS, a bad certificate, refused
			      before MAIL */
	SMTP_DENIED = 5,   /* the login was */
	SMTP_DOUBTFUL = 6, /* the whole mail was sent, and no word came back */
};

/* How far it came. */
enum smtp_step { SMTP_STEP_BEGUN, SMTP_STEP_CONNECTED, SMTP_STEP_GREETED, SMTP_STEP_SECURED, SMTP_STEP_LET_IN };

struct smtp_result {
	enum smtp_end end;
	enum smtp_step step;
	int code;                     /* of the server's last word; 0: none */
	char reason[SMTP_REASON_MAX]; /* unless TAKEN: a sentence, with the server's words made visible */
	int64_t certificate_ends;     /* wall time; 0: not known */
	int64_t took;                 /* ns */
};

/* Once, from the loop, never from within smtp_send(). From it everything may be done. */
typedef void (*smtp_done)(void *arg, const struct smtp_result *result);

struct smtp_mail {
	const char *to;    /* bare address; NULL: only the way is tried */
	const char *bytes; /* lines end with CRLF; borrowed until it is told. Dots are stuffed here */
	size_t length;
	int64_t timeout; /* ns, for the whole */
	bool is_last;    /* the connection is closed after it, with QUIT */
};

/* 0, or -ENOMEM and no done(). */
int smtp_send(struct smtp *smtp, const struct smtp_mail *mail, smtp_done done, void *arg);
/* Is there a mail of which the server may have had the end? NULL is fine. */
bool smtp_is_in_doubt(const struct smtp *smtp);
/* No mail follows though the last one was not `is_last`: its connection is given up at once, without QUIT. NULL is
 * fine. */
void smtp_rest(struct smtp *smtp);

#endif
