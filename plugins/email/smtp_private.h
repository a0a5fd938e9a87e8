/* SPDX-License-Identifier: MIT
 *
 * What the files of SMTP share: smtp.c is the life of a job, smtp_explain.c says how it ended in words.
 */
#ifndef CALLWATCH_EMAIL_SMTP_PRIVATE_H
#define CALLWATCH_EMAIL_SMTP_PRIVATE_H

#include "connect/curl-loop.h"
#include "connect/curl-tls.h"
#include "connect/dial.h"
#include "smtp.h"

enum { REPLY_TEXT_MAX = 300, WORD_SIZE = 5 };

/* The server's last reply, in one line. */
struct reply {
	int code; /* 0: none since our last word */
	bool is_whole;
	size_t length;
	char text[REPLY_TEXT_MAX];
};

struct smtp_job {
	struct smtp *smtp;
	struct smtp_job *next, **here;
	struct smtp_mail mail;
	smtp_done done;
	void *arg;
	int64_t began;

	struct dial *dial; /* NULL: not under way */
	int fd;            /* connected, for libcurl to take; -1: none */
	int socket;        /* what libcurl took; its own */
	bool goes_on;      /* over the connection of the one before */
	bool wants_socket; /* libcurl would have connected, and we had nothing for it */
	CURL *easy;
	bool is_added;
	struct curl_slist *recipients, *target;

	char word[WORD_SIZE]; /* our last command, its first four letters; "": none yet */
	struct reply reply;
	bool is_foreign; /* what it says is no SMTP */
	size_t given;    /* bytes of the mail */
	bool is_all_given;
	bool is_let_in; /* MAIL was said, so all before it went well */
	char why[CURL_ERROR_SIZE];
	struct curl_tls tls;
	struct smtp_result result;
};

/* One line of a reply, with its end: `250-PIPELINING`, `550 no such user`. */
void smtp_hear(struct smtp_job *job, const char *line, size_t length);
/* Fills end, step, code, reason and certificate_ends of job->result. */
void smtp_explain(struct smtp_job *job, const struct smtp_server *server, CURLcode code);

#endif
