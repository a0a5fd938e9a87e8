/* SPDX-License-Identifier: MIT
 *
 * How a request ended, in words that say what happened, where, and what to do. libcurl's own words are used only where
 * ours do not reach; nothing that the server sent is repeated, except the name of a host.
 */
#include "connect/dial.h"
#include "http-private.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(struct http_transfer *transfer, enum http_end end, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct http_transfer *transfer, enum http_end end, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(transfer->answer.reason, HTTP_REASON_MAX, format, list);
	va_end(list);
	transfer->answer.end = end;
}

static const char *place(const struct http_transfer *transfer, char buffer[ADDRESS_TEXT_SIZE])
{
	return address_text(&transfer->address.at, buffer);
}

void http_explain_no_name(struct http_transfer *transfer, int status)
{
	const char *host = transfer->address.at.host;
	if (status == -ENOENT || status == 0)
		say(transfer, HTTP_NO_NAME, "no such host name (%s): mend the address, or the name server", host);
	else
		say(transfer, HTTP_NO_NAME, "%s (%s)",
		    status == -ETIMEDOUT ? "the name server does not answer" : "the host name cannot be looked up",
		    host);
}

void http_explain_forbidden(struct http_transfer *transfer, const struct sockaddr_storage *address)
{
	char where[ADDRESS_TEXT_SIZE], to[80] = "";
	http_print_address(address, to, sizeof(to));
	say(transfer, HTTP_FORBIDDEN,
	    "refused: %s leads to this machine itself or what is on its link only; if that is meant, set allow_local: "
	    "[\"%s\"]",
	    place(transfer, where), to);
	transfer->answer.step = HTTP_STEP_RESOLVED;
}

static enum http_step step_of(const struct http_transfer *transfer, int status)
{
	curl_off_t connected = 0;
	long sent = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
	if (status > 0)
		return HTTP_STEP_ANSWERED;
	if (sent > 0)
		return HTTP_STEP_SENT;
	return connected > 0 || transfer->tls.is_shaking_hands ? HTTP_STEP_CONNECTED : HTTP_STEP_RESOLVED;
}

static void explain_timeout(struct http_transfer *transfer)
{
	char where[ADDRESS_TEXT_SIZE], within[TEXT_DURATION_SIZE];
	place(transfer, where);
	text_duration(within, (double)transfer->timeout / (double)CW_SECOND);
	switch (transfer->answer.step) {
	case HTTP_STEP_ANSWERED:
		say(transfer, HTTP_TIMEOUT, "the answer was not complete within %s, %zu bytes had come (%s)", within,
		    transfer->body.length, where);
		break;
	case HTTP_STEP_SENT:
		say(transfer, HTTP_TIMEOUT, "no answer within %s (%s): it takes connections, but is it working?",
		    within, where);
		break;
	case HTTP_STEP_CONNECTED:
		say(transfer, HTTP_TLS, "no answer to the TLS handshake within %d s (%s): does this port speak TLS?",
		    HTTP_CONNECT_S, where);
		break;
	default:
		say(transfer, HTTP_UNREACHABLE,
		    "no answer within %d s (%s): is the host up, or does a firewall drop packets?", HTTP_CONNECT_S,
		    where);
	}
}

static void explain_broken(struct http_transfer *transfer)
{
	char where[ADDRESS_TEXT_SIZE];
	long number = 0;
	bool sent = transfer->answer.step >= HTTP_STEP_SENT;
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
	say(transfer, HTTP_UNREACHABLE, "%s (%s)%s",
	    number ? dial_reason(-(int)number) : "the connection was closed without an answer", place(transfer, where),
	    sent                     ? ""
	    : number == ECONNREFUSED ? ": is it running there, and is it the right port?"
				     : "");
}

static void explain_failure(struct http_transfer *transfer, CURLcode code)
{
	char where[ADDRESS_TEXT_SIZE];
	place(transfer, where);
	if (curl_tls_explain(&transfer->tls, code, transfer->why, where, transfer->answer.reason, HTTP_REASON_MAX)) {
		transfer->answer.end = HTTP_TLS;
		return;
	}
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		explain_timeout(transfer);
		break;
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		explain_broken(transfer);
		break;
	case CURLE_PARTIAL_FILE:
		say(transfer, HTTP_GARBAGE, "the answer broke off after %zu bytes (%s)", transfer->body.length, where);
		break;
	case CURLE_BAD_CONTENT_ENCODING:
		say(transfer, HTTP_GARBAGE, "the answer cannot be unpacked (%s)", where);
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		say(transfer, HTTP_GARBAGE, "what answers there does not speak HTTP (%s): is it the right port?",
		    where);
		break;
	case CURLE_OUT_OF_MEMORY:
		say(transfer, HTTP_UNREACHABLE, "out of memory");
		break;
	default:
		say(transfer, HTTP_GARBAGE, "the request failed (%s): %.120s", where,
		    transfer->why[0] ? transfer->why : curl_easy_strerror(code));
	}
}

void http_explain(struct http_transfer *transfer, CURLcode code)
{
	struct http_answer *answer = &transfer->answer;
	char where[ADDRESS_TEXT_SIZE];
	long status = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	answer->status = (int)status;
	answer->step = step_of(transfer, answer->status);
	answer->may_have_acted = answer->step >= HTTP_STEP_SENT;
	if (transfer->too_large)
		say(transfer, HTTP_TOO_LARGE, "the answer is too large, it was given up after %zu bytes (%s)",
		    transfer->body.length + transfer->header_bytes, place(transfer, where));
	else if (code != CURLE_OK)
		explain_failure(transfer, code);
	else if (status >= 300 && status < 400 && transfer->redirect[0])
		say(transfer, HTTP_REDIRECTED,
		    "redirect refused: %s answers %ld and points to %s; if that is right, set the address to it",
		    place(transfer, where), status, transfer->redirect);
	else
		answer->end = HTTP_ANSWERED;
}

/* ---- words for numbers ---- */

const char *http_status_text(int status, char buffer[64])
{
	static const struct {
		int status;
		const char *words;
	} known[] = {
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};
	snprintf(buffer, 64, "%d", status);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			snprintf(buffer, 64, "%d %s", status, known[i].words);
	return buffer;
}
