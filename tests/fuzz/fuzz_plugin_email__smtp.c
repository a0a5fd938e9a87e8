/* SPDX-License-Identifier: MIT
 *
 * What a mail server may answer, and how the job that hears it is said to have ended: what is kept of a reply is
 * bounded and terminated, and what people are told of it is text that a terminal takes as it is.
 */
#include "smtp_private.h"

#include "text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void hear_all(struct smtp_job *job, const char *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		const char *end = memchr(bytes + at, '\n', size - at);
		size_t length = end ? (size_t)(end + 1 - (bytes + at)) : size - at;
		smtp_hear(job, bytes + at, length);
		must(job->reply.length < REPLY_TEXT_MAX && strlen(job->reply.text) <= job->reply.length);
		must(job->reply.code >= 0 && job->reply.code <= 999);
		at += length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"", "EHLO", "STAR", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"};
	static const CURLcode codes[] = {CURLE_OK,         CURLE_LOGIN_DENIED,       CURLE_USE_SSL_FAILED,
					 CURLE_SEND_ERROR, CURLE_OPERATION_TIMEDOUT, CURLE_WEIRD_SERVER_REPLY,
					 CURLE_RECV_ERROR, CURLE_SSL_CONNECT_ERROR};
	static const struct smtp_server server = {.username = "ada"};
	if (size < 3)
		return 0;
	struct smtp_job job = {.is_let_in = data[2] & 1, .is_all_given = data[2] & 2};
	strcpy(job.word, words[data[0] % 8]);
	hear_all(&job, (const char *)data + 3, size - 3);
	smtp_explain(&job, &server, codes[data[1] % 8]);
	char visible[4 * SMTP_REASON_MAX];
	size_t length = strlen(job.result.reason);
	must(length < SMTP_REASON_MAX);
	must(text_visible(visible, sizeof visible, job.result.reason, length) <= 3 * length);
	for (size_t i = 0; i < length; i++)
		must((unsigned char)job.result.reason[i] >= ' ');
	return 0;
}
