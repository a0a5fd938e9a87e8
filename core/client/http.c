/* SPDX-License-Identifier: MIT
 *
 * See http.h. One easy handle driven by a multi handle, so that one loop serves both a single answer and a stream that
 * is drawn while it waits. What goes wrong ends as a sentence that says what was tried and what to do next.
 */
#include "http.h"

#include "client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SILENCE_S = 15, CONNECT_MS = 3000, TICK_MS = 100, REFUSAL_MAX = 1024 * 1024, TOKEN_MAX = 4096 };

struct http {
	CURL *easy;
	CURLM *multi;
	const char *socket;  /* NULL: by URL */
	const char *ca_file; /* NULL: the system's */
	char *base, *where;
	bool is_local;             /* on this machine */
	char why[CURL_ERROR_SIZE]; /* libcurl's words for what failed last */
	struct curl_slist *headers;
};

/* One request under way. */
struct exchange {
	struct http *http;
	const struct http_request *request;
	struct http_failure *failure;
	struct buffer refusal;
	struct curl_slist *headers; /* of this request: owned if it has one of its own */
	bool sink_ended;
};

void http_failure_release(struct http_failure *failure)
{
	free(failure->sentence);
	*failure = (struct http_failure){0};
}

/* A name that begins like an address is none: anybody may have 127.example.net. */
static bool is_loopback_host(const char *host)
{
	struct in_addr address;
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
}

static bool is_loopback_url(const char *url)
{
	CURLU *parts = curl_url();
	char *host = NULL;
	bool loopback = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
			curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && is_loopback_host(host);
	curl_free(host);
	curl_url_cleanup(parts);
	return loopback;
}

/* The token's text, or NULL with a sentence said. As everywhere, a secret that others can read is refused. */
static char *read_token(const char *path)
{
	char buffer[TOKEN_MAX + 1];
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (file < 0 || fstat(file, &status) != 0) {
		complain("cannot read the token file %s: %s", path, strerror(errno));
		if (file >= 0)
			close(file);
		return NULL;
	}
	ssize_t length = read(file, buffer, sizeof(buffer));
	close(file);
	if (status.st_mode & (S_IRWXG | S_IRWXO)) {
		complain("the token file %s can be read by others; `chmod 600 %s` mends it", path, path);
		return NULL;
	}
	while (length > 0 && strchr(" \t\r\n", buffer[length - 1]))
		length--;
	if (length <= 0 || length > TOKEN_MAX || memchr(buffer, '\n', (size_t)length) ||
	    memchr(buffer, '\r', (size_t)length)) {
		complain("the token file %s does not hold one line with a token", path);
		return NULL;
	}
	char *token = must_printf("Authorization: Bearer %.*s", (int)length, buffer);
	explicit_bzero(buffer, sizeof(buffer));
	return token;
}

static int add_token(struct http *http, const char *path)
{
	if (strncasecmp(http->base, "https://", 8) != 0 && !http->is_local) {
		complain("%s would carry the token in clear over the network; use https", http->base);
		return -1;
	}
	char *header = read_token(path);
	if (!header)
		return -1;
	http->headers = must(curl_slist_append(http->headers, header));
	explicit_bzero(header, strlen(header));
	free(header);
	return 0;
}

static int set_target(struct http *http, const struct arguments *arguments)
{
	if (arguments->url && !arguments->socket) {
		size_t length = strlen(arguments->url);
		if (strncasecmp(arguments->url, "http://", 7) != 0 && strncasecmp(arguments->url, "https://", 8) != 0) {
			complain("the URL must begin with http:// or https://, not \"%s\"", arguments->url);
			return -1;
		}
		while (length && arguments->url[length - 1] == '/')
			length--;
		http->base = must_printf("%.*s", (int)length, arguments->url);
		http->where = must(strdup(http->base));
		http->is_local = is_loopback_url(http->base);
		return arguments->token_file ? add_token(http, arguments->token_file) : 0;
	}
	http->socket = arguments->socket ? arguments->socket : HTTP_SOCKET_DEFAULT;
	http->is_local = true;
	http->base = must(strdup("http://localhost"));
	http->where = must_printf("socket %s", http->socket);
	if (strlen(http->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		complain("the path of a socket can have at most %zu characters: %s",
			 sizeof(((struct sockaddr_un *)0)->sun_path) - 1, http->socket);
		return -1;
	}
	return 0;
}

struct http *http_open(const struct arguments *arguments)
{
	struct http *http = must(calloc(1, sizeof(*http)));
	curl_global_init(CURL_GLOBAL_DEFAULT);
	http->ca_file = arguments->ca_file;
	http->easy = must(curl_easy_init());
	http->multi = must(curl_multi_init());
	http->headers = must(curl_slist_append(NULL, "User-Agent: callwatch/" CALLWATCH_VERSION));
	/* a browser's form cannot say this: the server asks for it where something changes */
	http->headers = must(curl_slist_append(http->headers, "Content-Type: application/json"));
	if (set_target(http, arguments) != 0) {
		http_close(http);
		return NULL;
	}
	return http;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	curl_easy_cleanup(http->easy);
	curl_slist_free_all(http->headers);
	curl_global_cleanup();
	free(http->base);
	free(http->where);
	free(http);
}

int http_collect(void *buffer, const char *bytes, size_t length)
{
	struct buffer *into = buffer;
	buffer_bytes(into, bytes, length);
	return into->failed ? -ENOBUFS : 0;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	size_t length = size * count;
	long status = 0;
	curl_easy_getinfo(exchange->http->easy, CURLINFO_RESPONSE_CODE, &status);
	exchange->failure->began = true;
	if (status < 200 || status > 299)
		return http_collect(&exchange->refusal, data, length) == 0 ? length : 0;
	if (exchange->request->sink && exchange->request->sink(exchange->request->arg, data, length) != 0) {
		exchange->sink_ended = true;
		return 0;
	}
	return length;
}

static void set_options(struct exchange *exchange, const char *url)
{
	CURL *easy = exchange->http->easy;
	const struct http_request *request = exchange->request;
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, request->silence_s ? request->silence_s : (long)SILENCE_S);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, request->whole_s);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	exchange->http->why[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->http->why);
	if (exchange->http->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, exchange->http->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* those of the system do not count then */
	}
	if (exchange->http->socket)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, exchange->http->socket);
	if (exchange->http->is_local) /* a proxy of the environment could not reach it, and would see the token */
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (request->method && strcmp(request->method, "GET") != 0) {
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, request->body ? (long)strlen(request->body) : 0L);
	}
}

/* Runs the transfer to its end. false: the tick ended it. */
static bool drive(struct exchange *exchange, CURLcode *ret_code)
{
	int running = 1;
	*ret_code = CURLE_OK;
	while (running) {
		if (curl_multi_perform(exchange->http->multi, &running) != CURLM_OK) {
			*ret_code = CURLE_FAILED_INIT;
			return true;
		}
		if (exchange->request->tick && exchange->request->tick(exchange->request->arg) != 0)
			return false;
		if (running)
			curl_multi_poll(exchange->http->multi, NULL, 0, TICK_MS, NULL);
	}
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(exchange->http->multi, &left));)
		if (message->msg == CURLMSG_DONE)
			*ret_code = message->data.result;
	return true;
}

static char *socket_sentence(const char *path, int number)
{
	char *shown = visible(path), *sentence;
	if (number == ENOENT || number == ENOTDIR)
		sentence =
			must_printf("cannot reach callwatchd: there is no socket %s\n"
				    "Is it running (`systemctl status callwatch`)? If its socket is elsewhere, say so "
				    "with --socket PATH or CALLWATCH_SOCKET.",
				    shown);
	else if (number == ECONNREFUSED)
		sentence = must_printf("cannot reach callwatchd: nobody listens on %s any more\n"
				       "It has ended or crashed: `systemctl status callwatch` and its log say why.",
				       shown);
	else if (number == EACCES || number == EPERM)
		sentence = must_printf("permission denied on %s\nOnly root and members of the group callwatch may ask: "
				       "`sudo usermod -aG callwatch $USER`, then log in again.",
				       shown);
	else
		sentence = must_printf("cannot reach callwatchd on %s: %s", shown,
				       number ? strerror(number) : "no connection");
	free(shown);
	return sentence;
}

/* curl does not always pass the reason on: connecting once more by hand does. */
static int socket_errno(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int number = probe < 0 || connect(probe, (struct sockaddr *)&address, sizeof(address)) != 0 ? errno : 0;
	if (probe >= 0)
		close(probe);
	return number;
}

static void say_no_connection(struct exchange *exchange, CURLcode code)
{
	const struct http *http = exchange->http;
	exchange->failure->kind = HTTP_UNREACHABLE;
	if (http->socket) {
		exchange->failure->sentence = socket_sentence(http->socket, socket_errno(http->socket));
		return;
	}
	char *shown = visible(http->base);
	exchange->failure->sentence = must_printf("cannot reach callwatchd at %s: %s", shown, curl_easy_strerror(code));
	free(shown);
}

/* Certificates are always verified: the sentence says what to do about it. False: it is another failure. */
static bool say_not_trusted(struct exchange *exchange, CURLcode code)
{
	long verdict = 0;
	char *shown = visible(exchange->http->base), **sentence = &exchange->failure->sentence;
	curl_easy_getinfo(exchange->http->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		*sentence =
			must_printf("the certificate of %s is not trusted: %s%s", shown, exchange->http->why,
				    verdict ? "\n--ca-file FILE (or CALLWATCH_CA_FILE) names the certificate of its "
					      "authority."
					    : "");
	else if (code == CURLE_SSL_CACERT_BADFILE)
		*sentence = must_printf("%s holds no certificates in PEM that can be read", exchange->http->ca_file);
	else if (code == CURLE_SSL_CONNECT_ERROR)
		*sentence = must_printf("no TLS with %s: is it https that is spoken there?", shown);
	free(shown);
	if (*sentence)
		exchange->failure->kind = HTTP_UNREACHABLE;
	return *sentence != NULL;
}

/* `detail` of a problem, and its `problems` line by line. */
static char *problem_sentence(const json_t *problem)
{
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	if (!detail)
		detail = json_string_value(json_object_get(problem, "title"));
	if (!detail || !*detail)
		return NULL;
	char *sentence = must(strdup(detail));
	size_t i;
	const json_t *line;
	json_array_foreach(json_object_get(problem, "problems"), i, line)
	{
		const char *text = json_string_value(line);
		char *longer = must_printf("%s\n%s", sentence, text ? text : "");
		free(sentence);
		sentence = longer;
	}
	return sentence;
}

static void advise(struct exchange *exchange, const char *advice)
{
	char *longer = must_printf("%s\n%s", exchange->failure->sentence, advice);
	free(exchange->failure->sentence);
	exchange->failure->sentence = longer;
}

static void say_refusal(struct exchange *exchange, long status)
{
	json_t *problem = exchange->refusal.length
				  ? json_loadb(buffer_text(&exchange->refusal), exchange->refusal.length, 0, NULL)
				  : NULL;
	exchange->failure->kind = HTTP_REFUSED;
	exchange->failure->status = status;
	exchange->failure->sentence = problem_sentence(problem);
	if (!exchange->failure->sentence)
		exchange->failure->sentence = must_printf("%s answered with status %ld", exchange->http->where, status);
	if (status == 401)
		advise(exchange, "--token-file FILE (or CALLWATCH_TOKEN_FILE) names the file that holds a token; "
				 "`callwatch token add` makes one");
	json_decref(problem);
}

static void say_broken(struct exchange *exchange, CURLcode code)
{
	const char *why = curl_easy_strerror(code);
	struct http_failure *failure = exchange->failure;
	failure->kind = HTTP_BROKEN;
	if (code == CURLE_OPERATION_TIMEDOUT)
		why = failure->began ? "the answer did not go on" : "connected, but no answer came";
	else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
		why = "the answer was cut off";
	else if (code == CURLE_GOT_NOTHING)
		why = "the connection was closed without an answer";
	failure->sentence = must_printf("no complete answer from %s: %s", exchange->http->where, why);
	if (!failure->began && (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_GOT_NOTHING))
		failure->kind = HTTP_UNREACHABLE;
}

static int conclude(struct exchange *exchange, CURLcode code)
{
	long status = 0;
	double connected = 0;
	curl_easy_getinfo(exchange->http->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(exchange->http->easy, CURLINFO_CONNECT_TIME, &connected);
	if (exchange->sink_ended) {
		exchange->failure->kind = HTTP_STOPPED;
		return -1;
	}
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
	    (code == CURLE_OPERATION_TIMEDOUT && connected <= 0 && status == 0)) {
		say_no_connection(exchange, code);
		return -1;
	}
	if (code != CURLE_OK && say_not_trusted(exchange, code))
		return -1;
	if (status >= 300 || (status && status < 200)) {
		say_refusal(exchange, status);
		return -1;
	}
	if (code != CURLE_OK) {
		say_broken(exchange, code);
		return -1;
	}
	if (exchange->request->ret_status)
		*exchange->request->ret_status = status;
	return 0;
}

/* Those of all requests, and one more. */
static struct curl_slist *headers_with(const struct curl_slist *headers, const char *more)
{
	struct curl_slist *all = must(curl_slist_append(NULL, more));
	for (; headers; headers = headers->next)
		all = must(curl_slist_append(all, headers->data));
	return all;
}

int http_do(struct http *http, const struct http_request *request, struct http_failure *ret_failure)
{
	*ret_failure = (struct http_failure){0};
	struct exchange exchange = {
		.http = http, .request = request, .failure = ret_failure, .refusal = {.ceiling = REFUSAL_MAX}};
	char *url = must_printf("%s%s", http->base, request->path);
	exchange.headers = request->header ? headers_with(http->headers, request->header) : http->headers;
	set_options(&exchange, url);
	curl_multi_add_handle(http->multi, http->easy);
	CURLcode code;
	int result = -1;
	if (drive(&exchange, &code))
		result = conclude(&exchange, code);
	else
		ret_failure->kind = HTTP_STOPPED;
	curl_multi_remove_handle(http->multi, http->easy);
	if (request->header)
		curl_slist_free_all(exchange.headers);
	buffer_release(&exchange.refusal);
	free(url);
	return result;
}

json_t *http_ask(struct http *http, const struct http_request *question, struct http_failure *ret_failure)
{
	struct buffer body = {.ceiling = HTTP_JSON_MAX};
	struct http_request request = *question;
	json_t *json = NULL;
	json_error_t error = {0};
	request.sink = http_collect;
	request.arg = &body;
	request.whole_s = question->whole_s ? question->whole_s : 60;
	if (http_do(http, &request, ret_failure) == 0) {
		json = json_loadb(body.length ? buffer_text(&body) : "", body.length, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(json)) {
			json_decref(json);
			json = NULL;
			ret_failure->kind = HTTP_BROKEN;
			ret_failure->sentence = must_printf("the answer of %s is not what callwatchd says (%s)",
							    http->where, error.text[0] ? error.text : "no object");
		}
	} else if (ret_failure->kind == HTTP_STOPPED) {
		ret_failure->kind = HTTP_BROKEN;
		ret_failure->sentence =
			must_printf("the answer is larger than %d MiB; ask for less with --limit, or for "
				    "--format ndjson or csv, which have no end",
				    HTTP_JSON_MAX / 1024 / 1024);
	}
	buffer_release(&body);
	return json;
}

json_t *http_json(struct http *http, const char *path, long whole_s, struct http_failure *ret_failure)
{
	struct http_request question = {.path = path, .whole_s = whole_s};
	return http_ask(http, &question, ret_failure);
}
