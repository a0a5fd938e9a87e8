/* SPDX-License-Identifier: MIT
 *
 * How a job ended, in words that say what happened, where, and what to do. A server's own words are repeated, made
 * visible and cut: they are the best there is about a refusal.
 */
#include "smtp_private.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(struct smtp_job *job, enum smtp_end end, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct smtp_job *job, enum smtp_end end, const char *format, ...)
{
	char words[2 * SMTP_REASON_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(words, sizeof(words), format, list);
	va_end(list);
	text_utf8(job->result.reason, SMTP_REASON_MAX, words, strlen(words));
	job->result.end = end;
}

static bool said(const struct smtp_job *job, const char *word)
{
	return strcmp(job->word, word) == 0;
}

/* `550 5.1.1 no such user`; after a login only the numbers, since a server may repeat what it was told. */
static const char *reply_words(const struct smtp_job *job, char buffer[REPLY_TEXT_MAX + 8])
{
	int used = snprintf(buffer, REPLY_TEXT_MAX + 8, "%d%s", job->reply.code, job->reply.length ? " " : "");
	size_t length = said(job, "AUTH") ? strspn(job->reply.text, "0123456789.") : job->reply.length;
	text_visible(buffer + used, REPLY_TEXT_MAX, job->reply.text, length);
	return buffer;
}

static enum smtp_step step_of(const struct smtp_job *job, CURLcode code, const struct smtp_server *server)
{
	bool is_whole_way = code == CURLE_OK || job->is_let_in;
	bool talks_tls = server->require_tls || server->username || server->implicit_tls;
	if (is_whole_way)
		return SMTP_STEP_LET_IN;
	if (said(job, "AUTH") || (said(job, "EHLO") && job->tls.is_shaking_hands) ||
	    (said(job, "EHLO") && code == CURLE_LOGIN_DENIED))
		return talks_tls ? SMTP_STEP_SECURED : SMTP_STEP_GREETED;
	if (job->word[0])
		return SMTP_STEP_GREETED;
	return SMTP_STEP_CONNECTED;
}

/* About STARTTLS: not offered, or refused. */
static void explain_no_tls(struct smtp_job *job, const char *where)
{
	char words[REPLY_TEXT_MAX + 8];
	if (said(job, "STAR"))
		say(job, SMTP_BROKEN, "the server refuses STARTTLS (%s): %s", where, reply_words(job, words));
	else
		say(job, SMTP_BROKEN,
		    "the server does not offer STARTTLS (%s): it has none, or somebody on the way has taken it out. "
		    "Nothing was sent",
		    where);
}

static void explain_denied(struct smtp_job *job, const struct smtp_server *server, const char *where)
{
	char words[REPLY_TEXT_MAX + 8];
	if (job->reply.code >= 400 && job->reply.code < 500)
		say(job, SMTP_BROKEN, "the login is not possible now (%s): %s", where, reply_words(job, words));
	else if (job->reply.code >= 500)
		say(job, SMTP_DENIED, "the login as %s is refused (%s): %s", text_start(server->username, 64).text,
		    where, reply_words(job, words));
	else
		say(job, SMTP_DENIED, "the server offers no way to log in that we know (%s)", where);
}

static void explain_timeout(struct smtp_job *job, const char *where)
{
	if (job->is_all_given)
		say(job, SMTP_DOUBTFUL, "the whole mail was sent, and the server has not said whether it takes it (%s)",
		    where);
	else if (!job->word[0] && job->tls.is_shaking_hands)
		say(job, SMTP_BROKEN, "no answer to the TLS handshake (%s): does this port speak TLS at once?", where);
	else if (!job->word[0])
		say(job, SMTP_BROKEN,
		    "connected, but no greeting came (%s): is it a mail server? If it wants TLS at once, set "
		    "implicit_tls",
		    where);
	else
		say(job, SMTP_BROKEN, "the server stopped answering, after %s (%s)", job->word, where);
}

static void explain_closed(struct smtp_job *job, CURLcode code, const char *where)
{
	if (job->is_all_given)
		say(job, SMTP_DOUBTFUL,
		    "the connection was closed after the whole mail was sent, before the server said whether it takes "
		    "it (%s)",
		    where);
	else if (job->is_foreign || (!job->word[0] && code == CURLE_WEIRD_SERVER_REPLY))
		say(job, SMTP_BROKEN, "what answers there does not speak SMTP (%s): is it the right port?", where);
	else
		say(job, SMTP_BROKEN, "the server closed the connection%s%s (%s)", job->word[0] ? " after " : "",
		    job->word, where);
}

/* The server has said no, in a reply. */
static void explain_reply(struct smtp_job *job, const char *where)
{
	char words[REPLY_TEXT_MAX + 8];
	int code = job->reply.code;
	reply_words(job, words);
	if (code == 421)
		say(job, SMTP_BUSY, "the server wants to be left alone for now (%s): %s", where, words);
	else if (!job->is_let_in)
		say(job, SMTP_BROKEN, "the server does not talk to us (%s): %s", where, words);
	else if (code >= 500)
		say(job, SMTP_REFUSED, "%s (%s)", words, where);
	else
		say(job, SMTP_LATER, "%s (%s)", words, where);
}

static void explain_failure(struct smtp_job *job, const struct smtp_server *server, CURLcode code, const char *where)
{
	bool has_no = job->reply.code >= 400;
	if (code == CURLE_OUT_OF_MEMORY)
		say(job, SMTP_BROKEN, "out of memory");
	else if (has_no && job->reply.code == 421)
		explain_reply(job, where);
	else if (code == CURLE_USE_SSL_FAILED)
		explain_no_tls(job, where);
	else if (code == CURLE_LOGIN_DENIED || (said(job, "AUTH") && has_no))
		explain_denied(job, server, where);
	else if (has_no)
		explain_reply(job, where);
	else if (!job->is_all_given &&
		 curl_tls_explain(&job->tls, code, job->why, where, job->result.reason, SMTP_REASON_MAX))
		job->result.end = SMTP_BROKEN;
	else if (code == CURLE_OPERATION_TIMEDOUT)
		explain_timeout(job, where);
	else
		explain_closed(job, code, where);
}

void smtp_explain(struct smtp_job *job, const struct smtp_server *server, CURLcode code)
{
	char where[ADDRESS_TEXT_SIZE];
	job->result.code = job->reply.code;
	job->result.step = step_of(job, code, server);
	job->result.certificate_ends = job->tls.certificate_ends;
	if (code == CURLE_OK)
		job->result.end = SMTP_TAKEN;
	else
		explain_failure(job, server, code, address_text(&server->at, where));
}
