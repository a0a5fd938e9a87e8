/* SPDX-License-Identifier: MIT
 *
 * See connect/http.h. A request is one struct http_transfer from http_send() until its answer is told:
 *
 *   looking up the name → under way in libcurl → told, gone
 *
 * Addresses come from host->resolve() and are handed over (CURLOPT_RESOLVE), so libcurl has no reason to start a
 * thread. The callbacks below run from within libcurl and must not call it; an answer is told only after it has
 * returned (connect/curl-loop.h).
 */
#include "http-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECTIONS_KEPT = 4, ADDRESSES_MAX = 8, BUFFER_BYTES = 16384 };

/* ---- the end of things ---- */

static void end_transfer(struct http_transfer *transfer)
{
	if (transfer->resolve)
		transfer->http->host->resolve_cancel(transfer->resolve);
	if (transfer->is_added)
		curl_loop_remove(transfer->http->loop, transfer->easy);
	*transfer->here = transfer->next;
	if (transfer->next)
		transfer->next->here = transfer->here;
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->addresses);
	buffer_release(&transfer->body);
	free(transfer->url);
	free(transfer);
}

/* The transfer is gone before its answer is told, so that anything may be done from there. The body lives a little
 * longer. */
static void tell(struct http_transfer *transfer)
{
	struct http_answer answer = transfer->answer;
	struct buffer body = transfer->body;
	http_done done = transfer->done;
	void *arg = transfer->arg;
	answer.took = transfer->http->host->now() - transfer->began;
	answer.certificate_ends = transfer->tls.certificate_ends;
	answer.body = "";
	if (body.block) {
		body.block[body.length] = '\0'; /* there is room, see take_body() */
		answer.body = body.block;
		answer.length = body.length;
	}
	transfer->body = (struct buffer){0};
	end_transfer(transfer);
	done(arg, &answer);
	buffer_release(&body);
}

static void on_ended(void *owner, CURLcode code)
{
	struct http_transfer *transfer = owner;
	http_explain(transfer, code);
	tell(transfer);
}

/* ---- what comes ---- */

/* Unpacked by now. A byte more is kept free for the NUL. */
static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	size_t length = size * count;
	if (buffer_reserve(&transfer->body, length + 1)) {
		buffer_bytes(&transfer->body, bytes, length);
		return length;
	}
	transfer->too_large = true;
	return 0; /* libcurl gives up */
}

static bool is_header(const char *line, size_t length, const char *name, const char **ret_value)
{
	size_t n = strlen(name);
	if (length <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	*ret_value = line + n + 1;
	return true;
}

/* Of a Location only the host is kept: the rest may hold anything. */
static void take_location(struct http_transfer *transfer, const char *value, size_t length)
{
	char text[512], *host = NULL, *scheme = NULL;
	while (length && (*value == ' ' || *value == '\t')) {
		value++;
		length--;
	}
	while (length && strchr("\r\n ", value[length - 1]))
		length--;
	if (length >= sizeof(text))
		length = sizeof(text) - 1;
	memcpy(text, value, length);
	text[length] = '\0';
	CURLU *parts = curl_url();
	bool is_whole = strstr(text, "://") != NULL;
	if (is_whole && parts && curl_url_set(parts, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
		snprintf(transfer->redirect, sizeof(transfer->redirect), "%.16s://%.80s", scheme, host);
	else
		snprintf(transfer->redirect, sizeof(transfer->redirect), "%s",
			 is_whole ? "elsewhere" : "another path on it");
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(parts);
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
	struct http_transfer *transfer = arg;
	size_t length = size * count;
	const char *value;
	transfer->header_bytes += length;
	if (transfer->header_bytes > HTTP_HEADERS_BYTES_MAX) {
		transfer->too_large = true;
		return 0;
	}
	if (is_header(line, length, "Location", &value))
		take_location(transfer, value, (size_t)(line + length - value));
	else if (is_header(line, length, "Retry-After", &value))
		transfer->answer.retry_after =
			http_retry_after(value, (size_t)(line + length - value), transfer->http->host->wall());
	return length;
}

/* ---- what goes ---- */

static bool is_numeric(const char *host)
{
	struct in6_addr address;
	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool http_print_address(const struct sockaddr_storage *address, char *buffer, size_t size)
{
	char text[80];
	socklen_t length = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (getnameinfo((const struct sockaddr *)address, length, text, sizeof(text), /* service */ NULL, 0,
			NI_NUMERICHOST) != 0) /* an address is not looked up */
		return false;
	snprintf(buffer, size, strchr(text, ':') ? "[%s]" : "%s", text);
	return true;
}

/* `host:port:address,address…`, as CURLOPT_RESOLVE takes it. */
static bool give_addresses(struct http_transfer *transfer, const struct sockaddr_storage *addresses, uint32_t n)
{
	char entry[ADDRESS_HOST_MAX + 16 + ADDRESSES_MAX * 80], one[80];
	int used = snprintf(entry, sizeof(entry), "%s:%u:", transfer->address.at.host, transfer->address.at.port);
	uint32_t given = 0;
	for (uint32_t i = 0; i < n && given < ADDRESSES_MAX; i++)
		if (http_print_address(&addresses[i], one, sizeof(one)))
			used += snprintf(entry + used, sizeof(entry) - (size_t)used, "%s%s", given++ ? "," : "", one);
	transfer->addresses = given ? curl_slist_append(NULL, entry) : NULL;
	return transfer->addresses &&
	       curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, transfer->addresses) == CURLE_OK;
}

/* The name that the certificate must be for, if it is not the host's, is what libcurl is told to be the host; where it
 * connects to, and what the header Host says, stay the same. */
static bool rename_host(struct http_transfer *transfer, const struct sockaddr_storage *to)
{
	const char *name = cw_get_string(transfer->http->options, "tls_server_name");
	char place[ADDRESS_TEXT_SIZE], header[ADDRESS_TEXT_SIZE + 16], one[80], target[128], *url = NULL;
	if (!name || !transfer->address.is_tls)
		return true;
	CURLU *parts = curl_url();
	bool ok = parts && http_print_address(to, one, sizeof(one)) &&
		  curl_url_set(parts, CURLUPART_URL, transfer->url, 0) == CURLUE_OK &&
		  curl_url_set(parts, CURLUPART_HOST, name, 0) == CURLUE_OK &&
		  curl_url_get(parts, CURLUPART_URL, &url, 0) == CURLUE_OK;
	snprintf(header, sizeof(header), "Host: %s", address_text(&transfer->address.at, place));
	snprintf(target, sizeof(target), "::%s:%u", ok ? one : "", transfer->address.at.port);
	curl_slist_free_all(transfer->addresses);
	transfer->addresses = curl_slist_append(NULL, target);
	struct curl_slist *headers = curl_slist_append(transfer->headers, header);
	if (headers)
		transfer->headers = headers;
	ok = ok && headers && transfer->addresses &&
	     curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, NULL) == CURLE_OK &&
	     curl_easy_setopt(transfer->easy, CURLOPT_CONNECT_TO, transfer->addresses) == CURLE_OK &&
	     curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK &&
	     curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == CURLE_OK;
	curl_free(url);
	curl_url_cleanup(parts);
	return ok;
}

/* The rest of its deadline, ms; 0: it is over. */
static long time_left(const struct http_transfer *transfer)
{
	int64_t left = transfer->timeout - (transfer->http->host->now() - transfer->began);
	return left <= 0 ? 0 : (long)((left + CW_MILLISECOND - 1) / CW_MILLISECOND);
}

static void fail(struct http_transfer *transfer, CURLcode code)
{
	http_explain(transfer, code);
	tell(transfer);
}

static void begin(struct http_transfer *transfer, const struct sockaddr_storage *addresses, uint32_t n)
{
	long left = time_left(transfer);
	bool ok = is_numeric(transfer->address.at.host) || give_addresses(transfer, addresses, n);
	if (!ok || !rename_host(transfer, &addresses[0]) ||
	    curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, left) != CURLE_OK) {
		fail(transfer, CURLE_OUT_OF_MEMORY);
		return;
	}
	if (left == 0) {
		fail(transfer, CURLE_OPERATION_TIMEDOUT);
		return;
	}
	if (!curl_loop_add(transfer->http->loop, transfer->easy)) {
		fail(transfer, CURLE_OUT_OF_MEMORY);
		return;
	}
	transfer->is_added = true;
}

/* Those of the addresses that it may go to; how many. */
static uint32_t keep_allowed(const struct http_transfer *transfer, const struct sockaddr_storage *addresses, uint32_t n,
			     struct sockaddr_storage kept[ADDRESSES_MAX])
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < n && count < ADDRESSES_MAX; i++)
		if (!transfer->guarded ||
		    http_may_connect(transfer->http->options, &addresses[i], transfer->address.at.port))
			kept[count++] = addresses[i];
	return count;
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct http_transfer *transfer = arg;
	struct sockaddr_storage kept[ADDRESSES_MAX];
	transfer->resolve = NULL;
	if (status < 0 || n == 0) {
		http_explain_no_name(transfer, status);
		tell(transfer);
		return;
	}
	uint32_t count = keep_allowed(transfer, addresses, n, kept);
	if (count == 0) {
		http_explain_forbidden(transfer, &addresses[0]);
		tell(transfer);
		return;
	}
	begin(transfer, kept, count);
}

static bool is_one_line(const char *header)
{
	return strpbrk(header, "\r\n") == NULL && strchr(header, ':') != NULL;
}

static int take_headers(struct http_transfer *transfer, const char *const *headers)
{
	for (; headers && *headers; headers++) {
		if (!is_one_line(*headers))
			return -EINVAL;
		struct curl_slist *list = curl_slist_append(transfer->headers, *headers);
		if (!list)
			return -ENOMEM;
		transfer->headers = list;
	}
	/* libcurl would wait for a `100 Continue` before a large body. */
	struct curl_slist *list = curl_slist_append(transfer->headers, "Expect:");
	if (!list)
		return -ENOMEM;
	transfer->headers = list;
	return 0;
}

static bool is_question(const char *method)
{
	return strcmp(method, "GET") == 0;
}

/* What is no question has a body, if an empty one, so that its length is said. To HEAD none comes, whatever length the
 * answer says. */
static CURLcode set_body(CURL *easy, const struct http_request *request)
{
	if (strcmp(request->method, "HEAD") == 0)
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (is_question(request->method) && !request->body)
		return CURLE_OK;
	CURLcode code =
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body ? request->length : 0));
	return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "")
				: code;
}

/* A used connection may be closed by the other side at the very moment; libcurl then says the request again. That is
 * right for a question, and for nothing else. */
static CURLcode set_once(CURL *easy, const struct http_request *request)
{
	long once = is_question(request->method) && !request->alone ? 0 : 1;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, once);
	return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, once) : code;
}

static bool set_up(struct http_transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_S * 1000L},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_BUFFERSIZE, BUFFER_BYTES},
		{CURLOPT_TCP_KEEPALIVE, 1},
	};
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {
		{CURLOPT_URL, transfer->url},          {CURLOPT_HTTPHEADER, transfer->headers},
		{CURLOPT_ERRORBUFFER, transfer->why},  {CURLOPT_PRIVATE, transfer},
		{CURLOPT_WRITEDATA, transfer},         {CURLOPT_HEADERDATA, transfer},
		{CURLOPT_PROTOCOLS_STR, "http,https"}, {CURLOPT_PROXY, ""}, /* none, whatever the environment says */
		{CURLOPT_ACCEPT_ENCODING, "gzip"},
	};
	CURLcode code = CURLE_OK;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && code == CURLE_OK; i++)
		code = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
	for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]) && code == CURLE_OK; i++)
		code = curl_easy_setopt(easy, pointers[i].option, pointers[i].value);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	if (code == CURLE_OK)
		code = set_body(easy, request);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (code == CURLE_OK)
		code = set_once(easy, request);
	if (code == CURLE_OK && transfer->address.is_tls)
		code = curl_tls_set(&transfer->tls, easy, transfer->http->options);
	return code == CURLE_OK;
}

/* ---- the face ---- */

static int start(struct http_transfer *transfer, const struct http_request *request)
{
	char error[HTTP_REASON_MAX];
	struct http *http = transfer->http;
	int status = http_address_parse(request->url, &transfer->address, error);
	if (status == 0)
		status = take_headers(transfer, request->headers);
	if (status < 0)
		return status;
	transfer->url = strdup(request->url);
	transfer->easy = curl_easy_init();
	if (!transfer->url || !transfer->easy || !set_up(transfer, request))
		return -ENOMEM;
	return http->host->resolve(http->self, transfer->address.at.host, transfer->address.at.port, on_resolved,
				   transfer, &transfer->resolve);
}

int http_send(struct http *http, const struct http_request *request, http_done done, void *arg,
	      struct http_transfer **ret_transfer)
{
	struct http_transfer *transfer = http->closed ? NULL : calloc(1, sizeof(*transfer));
	if (!transfer)
		return http->closed ? -EPIPE : -ENOMEM;
	*transfer = (struct http_transfer){.http = http,
					   .next = http->transfers,
					   .here = &http->transfers,
					   .done = done,
					   .arg = arg,
					   .began = http->host->now(),
					   .timeout = request->timeout,
					   .guarded = request->guarded};
	buffer_init(&transfer->body, 0, request->body_limit + 1);
	if (transfer->next)
		transfer->next->here = &transfer->next;
	http->transfers = transfer;
	int status = start(transfer, request);
	if (status < 0) {
		transfer->resolve = NULL;
		end_transfer(transfer);
		return status;
	}
	if (ret_transfer)
		*ret_transfer = transfer;
	return 0;
}

void http_cancel(struct http_transfer *transfer)
{
	if (transfer)
		end_transfer(transfer);
}

static void on_gone(void *arg)
{
	free(arg);
}

int http_open(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
	      struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));
	if (!http)
		return -ENOMEM;
	*http = (struct http){.self = self, .host = host, .options = options};
	int status = curl_loop_open(host->loop(self), CONNECTIONS_KEPT, on_ended, on_gone, http, &http->loop);
	if (status < 0) {
		free(http);
		return status;
	}
	*ret_http = http;
	return 0;
}

void http_close(struct http *http)
{
	if (!http || http->closed)
		return;
	http->closed = true;
	for (struct http_transfer *transfer = http->transfers, *next; transfer; transfer = next) {
		next = transfer->next;
		end_transfer(transfer);
	}
	curl_loop_close(http->loop);
}
