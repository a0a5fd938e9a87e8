/* SPDX-License-Identifier: MIT
 *
 * See smtp.h. libcurl speaks SMTP; the socket is ours, made by connect/dial (names, deadlines and words as everywhere)
 * and handed over, so libcurl looks nothing up. Where in the conversation it is, is seen from libcurl's trace: our
 * commands (their first word only: AUTH has the password behind it) and the server's replies. When it wants a
 * connection though we thought one was kept, nothing was sent yet, and the job dials and begins anew.
 *
 * libcurl waits, blocking, for the reply to QUIT. It is not worth that: when QUIT has gone out, the socket is shut for
 * reading, and the wait is over at once. And a mail that is given up it would end with a dot and wait for the reply,
 * so that half a mail is taken: the socket is shut before.
 */
#include "smtp_private.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_S = 60, LOGIN_MS = 20000, CONNECTIONS_KEPT = 1 };

struct smtp {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct smtp_server *server;
	struct curl_loop *loop;
	struct smtp_job *jobs; /* all that are under way */
	bool keeps;            /* the last mail was taken, and its connection should be there */
	int kept;              /* its socket */
	bool closed;
};

/* ---- the end of a job ---- */

/* libcurl's part of it: an easy handle, and what it was given. */
static void drop_easy(struct smtp_job *job)
{
	if (job->is_added)
		curl_loop_remove(job->smtp->loop, job->easy);
	job->is_added = false;
	curl_easy_cleanup(job->easy);
	curl_slist_free_all(job->recipients);
	curl_slist_free_all(job->target);
	job->easy = NULL;
	job->recipients = job->target = NULL;
}

static void end_job(struct smtp_job *job)
{
	dial_cancel(job->dial);
	drop_easy(job);
	if (job->fd >= 0)
		close(job->fd);
	*job->here = job->next;
	if (job->next)
		job->next->here = job->here;
	free(job);
}

/* The job is gone before it is told, so that anything may be done from there. */
static void tell(struct smtp_job *job)
{
	struct smtp_result result = job->result;
	smtp_done done = job->done;
	void *arg = job->arg;
	result.took = job->smtp->host->now() - job->began;
	end_job(job);
	done(arg, &result);
}

static void finish(struct smtp_job *job, CURLcode code)
{
	smtp_explain(job, job->smtp->server, code);
	if (job->mail.to)
		job->smtp->keeps = job->result.end == SMTP_TAKEN && !job->mail.is_last;
	tell(job);
}

/* ---- the conversation ---- */

/* Lines of a login have none of these, or are taken for none: they go on with AUTH. */
static bool is_command(const char *bytes, size_t length)
{
	static const char *const words[] = {"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);
		if (length > n && memcmp(bytes, words[i], n) == 0 && (bytes[n] == ' ' || bytes[n] == '\r'))
			return true;
	}
	return false;
}

static void note_word(struct smtp_job *job, const char *bytes, size_t length)
{
	if (is_command(bytes, length)) {
		memcpy(job->word, bytes, WORD_SIZE - 1);
		job->is_let_in = job->is_let_in || strcmp(job->word, "MAIL") == 0;
	}
	if (strcmp(job->word, "QUIT") == 0)
		shutdown(job->socket, SHUT_RD);
	else
		job->reply = (struct reply){.code = 0};
}

static int on_trace(CURL *easy, curl_infotype type, char *bytes, size_t length, void *arg)
{
	(void)easy;
	if (type == CURLINFO_HEADER_OUT)
		note_word(arg, bytes, length);
	return 0;
}

static void append_reply(struct reply *reply, const char *text, size_t length)
{
	size_t room = REPLY_TEXT_MAX - 1 - reply->length;
	if (reply->length && room) {
		reply->text[reply->length++] = ' ';
		room--;
	}
	reply->length += text_utf8(reply->text + reply->length, room + 1, text, length);
}

void smtp_hear(struct smtp_job *job, const char *line, size_t length)
{
	struct reply *reply = &job->reply;
	while (length && strchr("\r\n", line[length - 1]))
		length--;
	if (strcmp(job->word, "QUIT") == 0 || length == 0)
		return;
	job->is_foreign = job->is_foreign || length < 3 || line[0] < '2' || line[0] > '5';
	if (job->is_foreign)
		return;
	if (reply->is_whole)
		*reply = (struct reply){.code = 0};
	int code = 0;
	for (size_t i = 0; i < 3 && line[i] >= '0' && line[i] <= '9'; i++)
		code = code * 10 + (line[i] - '0');
	reply->code = code;
	reply->is_whole = length == 3 || line[3] != '-';
	if (length > 4)
		append_reply(reply, line + 4, length - 4);
}

static size_t on_reply(char *line, size_t size, size_t count, void *arg)
{
	smtp_hear(arg, line, size * count);
	return size * count;
}

static size_t give_mail(char *buffer, size_t size, size_t count, void *arg)
{
	struct smtp_job *job = arg;
	size_t room = size * count, left = job->mail.length - job->given;
	size_t n = left < room ? left : room;
	memcpy(buffer, job->mail.bytes + job->given, n);
	job->given += n;
	job->is_all_given = job->given == job->mail.length;
	job->reply = (struct reply){.code = 0};
	return n;
}

/* ---- the socket ---- */

static curl_socket_t give_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct smtp_job *job = arg;
	(void)purpose;
	(void)address;
	job->wants_socket = job->fd < 0;
	job->socket = job->fd;
	if (job->mail.to)
		job->smtp->kept = job->fd;
	job->fd = -1;
	return job->socket; /* -1 is CURL_SOCKET_BAD */
}

static int say_connected(void *arg, curl_socket_t socket, curlsocktype purpose)
{
	(void)arg;
	(void)socket;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* ---- what libcurl is told ---- */

/* The name that the certificate must be for is the URL's host; where it connects to is settled, so the address behind
 * it stands for any. */
static bool set_url(struct smtp_job *job)
{
	const struct smtp_server *server = job->smtp->server;
	const char *name = cw_get_string(server->options, "tls_server_name");
	char url[ADDRESS_TEXT_SIZE + 300], target[32], place[ADDRESS_TEXT_SIZE];
	struct address named = server->at;
	if (name)
		snprintf(named.host, sizeof(named.host), "%s", name);
	snprintf(url, sizeof(url), "%s://%s/%s", server->implicit_tls ? "smtps" : "smtp", address_text(&named, place),
		 server->hello);
	snprintf(target, sizeof(target), "::127.0.0.1:%u", server->at.port);
	job->target = curl_slist_append(NULL, target);
	return job->target && curl_easy_setopt(job->easy, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(job->easy, CURLOPT_CONNECT_TO, job->target) == CURLE_OK;
}

static bool set_login(struct smtp_job *job)
{
	const struct smtp_server *server = job->smtp->server;
	long use = server->require_tls || server->username ? CURLUSESSL_ALL : CURLUSESSL_NONE;
	return curl_easy_setopt(job->easy, CURLOPT_USE_SSL, use) == CURLE_OK &&
	       (!server->username ||
		(curl_easy_setopt(job->easy, CURLOPT_USERNAME, server->username) == CURLE_OK &&
		 curl_easy_setopt(job->easy, CURLOPT_PASSWORD, server->password ? server->password : "") == CURLE_OK));
}

static bool set_mail(struct smtp_job *job)
{
	char bracketed[512];
	if (!job->mail.to)
		return curl_easy_setopt(job->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK;
	snprintf(bracketed, sizeof(bracketed), "<%s>", job->mail.to);
	job->recipients = curl_slist_append(NULL, bracketed);
	snprintf(bracketed, sizeof(bracketed), "<%s>", job->smtp->server->from);
	CURL *easy = job->easy;
	return job->recipients && curl_easy_setopt(easy, CURLOPT_MAIL_FROM, bracketed) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, job->recipients) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->mail.length) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_mail) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_READDATA, job) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, job->mail.is_last ? 1L : 0L) == CURLE_OK;
}

static bool set_callbacks(struct smtp_job *job)
{
	CURL *easy = job->easy;
	return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, give_socket) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, job) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, say_connected) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_trace) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_DEBUGDATA, job) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HEADERDATA, job) == CURLE_OK;
}

/* The rest of its deadline, ms, at least 1. */
static long time_left(const struct smtp_job *job)
{
	int64_t left = (job->mail.timeout - (job->smtp->host->now() - job->began)) / CW_MILLISECOND;
	return left < 1 ? 1 : (long)left;
}

/* From the greeting to the login; libcurl calls all of it connecting. */
static long login_time(const struct smtp_job *job)
{
	long left = time_left(job);
	return left < LOGIN_MS ? left : LOGIN_MS;
}

static bool set_up(struct smtp_job *job)
{
	CURL *easy = job->easy;
	return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PRIVATE, job) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->why) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* none, whatever the environment says */
	       curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, login_time(job)) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, time_left(job)) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)REPLY_S) == CURLE_OK && set_url(job) &&
	       set_login(job) && set_mail(job) && set_callbacks(job) &&
	       curl_tls_set(&job->tls, easy, job->smtp->server->options) == CURLE_OK;
}

static void talk(struct smtp_job *job)
{
	job->easy = curl_easy_init();
	if (!job->easy || !set_up(job) || !curl_loop_add(job->smtp->loop, job->easy))
		finish(job, CURLE_OUT_OF_MEMORY);
	else
		job->is_added = true;
}

/* ---- from dialling on ---- */

static void on_dialled(void *arg, int fd, const char *text)
{
	struct smtp_job *job = arg;
	job->dial = NULL;
	job->fd = fd;
	if (fd >= 0) {
		talk(job);
		return;
	}
	job->result.end = SMTP_BROKEN;
	job->result.step = SMTP_STEP_BEGUN;
	snprintf(job->result.reason, sizeof(job->result.reason), "%s", text);
	tell(job);
}

static int dial(struct smtp_job *job)
{
	const struct smtp *smtp = job->smtp;
	return dial_start(smtp->self, smtp->host, &smtp->server->at, /* udp */ false, on_dialled, job, &job->dial);
}

/* Servers close a connection as they like. If the one that was kept was, nobody has heard our first word. */
static bool was_closed_before(const struct smtp_job *job, CURLcode code)
{
	return job->goes_on && code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT && job->reply.code == 0 &&
	       job->given == 0;
}

static void on_ended(void *owner, CURLcode code)
{
	struct smtp_job *job = owner;
	if (!job->wants_socket && !was_closed_before(job, code)) {
		finish(job, code);
		return;
	}
	drop_easy(job);
	job->wants_socket = job->goes_on = false;
	job->word[0] = '\0';
	job->is_let_in = false;
	if (dial(job) < 0)
		finish(job, CURLE_OUT_OF_MEMORY);
}

/* ---- the face ---- */

int smtp_send(struct smtp *smtp, const struct smtp_mail *mail, smtp_done done, void *arg)
{
	struct smtp_job *job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct smtp_job){.smtp = smtp,
				 .next = smtp->jobs,
				 .here = &smtp->jobs,
				 .mail = *mail,
				 .done = done,
				 .arg = arg,
				 .began = smtp->host->now(),
				 .fd = -1,
				 .socket = -1};
	if (job->next)
		job->next->here = &job->next;
	smtp->jobs = job;
	job->goes_on = smtp->keeps && mail->to;
	if (job->goes_on)
		job->socket = smtp->kept;
	else {
		int status = dial(job);
		if (status < 0)
			end_job(job);
		return status;
	}
	job->easy = curl_easy_init();
	if (!job->easy || !set_up(job) || !curl_loop_add(smtp->loop, job->easy)) {
		end_job(job);
		return -ENOMEM;
	}
	job->is_added = true;
	return 0;
}

static void on_gone(void *arg)
{
	free(arg);
}

int smtp_open(struct cw_instance *self, const struct cw_host *host, const struct smtp_server *server,
	      struct smtp **ret_smtp)
{
	struct smtp *smtp = calloc(1, sizeof(*smtp));
	if (!smtp)
		return -ENOMEM;
	*smtp = (struct smtp){.self = self, .host = host, .server = server};
	int status = curl_loop_open(host->loop(self), CONNECTIONS_KEPT, on_ended, on_gone, smtp, &smtp->loop);
	if (status < 0) {
		free(smtp);
		return status;
	}
	*ret_smtp = smtp;
	return 0;
}

bool smtp_is_in_doubt(const struct smtp *smtp)
{
	bool any = false;
	for (const struct smtp_job *job = smtp ? smtp->jobs : NULL; job; job = job->next)
		any |= job->mail.to && job->is_all_given;
	return any;
}

void smtp_rest(struct smtp *smtp)
{
	if (smtp && smtp->keeps)
		shutdown(smtp->kept, SHUT_RDWR);
	if (smtp)
		smtp->keeps = false;
}

void smtp_close(struct smtp *smtp)
{
	if (!smtp || smtp->closed)
		return;
	smtp->closed = true;
	for (struct smtp_job *job = smtp->jobs, *next; job; job = next) {
		next = job->next;
		if (job->socket >= 0)
			shutdown(job->socket, SHUT_RDWR);
		end_job(job);
	}
	smtp_rest(smtp);
	curl_loop_close(smtp->loop);
}
