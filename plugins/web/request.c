/* SPDX-License-Identifier: MIT
 *
 * What the head of a request says beside its method and path: is it well formed, does it mean us (guard.h), who asks,
 * for whom. What two readers might read in two ways is refused, though nothing here could go wrong by it: every
 * connection ends with its answer, so nothing that follows a request is ever taken for another one.
 */
#include "access.h"
#include "listen.h"
#include "web.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX = 1024 };

/* -- headers ------------------------------------------------------------------------------------------------------ */

/* A header's value; its length, 0: it is not there, negative: longer than anybody needs. */
static int read_header(struct exchange *exchange, enum lws_token_indexes token, char value[VALUE_MAX])
{
	value[0] = '\0';
	return lws_hdr_total_length(exchange->wsi, token) > 0 ? lws_hdr_copy(exchange->wsi, value, VALUE_MAX, token)
							      : 0;
}

/* One that libwebsockets has no number for; `name` ends in a colon. */
static int read_rare_header(struct exchange *exchange, const char *name, char value[VALUE_MAX])
{
	int length = (int)strlen(name);
	value[0] = '\0';
	return lws_hdr_custom_length(exchange->wsi, name, length) > 0
		       ? lws_hdr_custom_copy(exchange->wsi, value, VALUE_MAX, name, length)
		       : 0;
}

/* Those of which a second one would contradict the first. */
static bool check_repeated(struct exchange *exchange)
{
	static const struct {
		enum lws_token_indexes token;
		const char *name;
	} single[] = {
		{WSI_TOKEN_HOST, "Host"},
		{WSI_TOKEN_ORIGIN, "Origin"},
		{WSI_TOKEN_HTTP_AUTHORIZATION, "Authorization"},
		{WSI_TOKEN_HTTP_CONTENT_LENGTH, "Content-Length"},
		{WSI_TOKEN_HTTP_CONTENT_TYPE, "Content-Type"},
		{WSI_TOKEN_HTTP_TRANSFER_ENCODING, "Transfer-Encoding"},
	};
	for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
		if (lws_hdr_fragment_length(exchange->wsi, single[i].token, 1) <= 0)
			continue;
		exchange_problem(exchange, 400, "the header %s is given twice", single[i].name);
		return false;
	}
	return true;
}

/* Few bodies are looked at, but where one ends must be beyond doubt. */
static bool check_body(struct exchange *exchange)
{
	char value[VALUE_MAX];
	int length = read_header(exchange, WSI_TOKEN_HTTP_CONTENT_LENGTH, value);
	bool is_chunked = lws_hdr_total_length(exchange->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
	if (length < 0 || length > 18 || strspn(value, "0123456789") != (size_t)length)
		exchange_problem(exchange, 400, "the header Content-Length is no number of bytes");
	else if (is_chunked && length)
		exchange_problem(exchange, 400, "Content-Length and Transfer-Encoding contradict each other");
	else if (is_chunked)
		exchange_problem(exchange, 411, "a body needs a Content-Length here");
	else
		exchange->body_length = (size_t)strtoull(value, NULL, 10);
	return exchange->status < 400;
}

/* What libwebsockets lets pass and we do not. */
static bool check_line(struct exchange *exchange, size_t path_length)
{
	char version[12] = "";
	int length = lws_hdr_copy(exchange->wsi, version, sizeof version, WSI_TOKEN_HTTP);
	exchange->http11 = length == 8 && strcmp(version, "HTTP/1.1") == 0;
	if (length <= 0)
		exchange_problem(exchange, 400, "the request line is malformed");
	else if (!exchange->http11 && (length != 8 || strcmp(version, "HTTP/1.0") != 0))
		exchange_problem(exchange, strncmp(version, "HTTP/", 5) == 0 ? 505 : 400,
				 "this server speaks HTTP/1.1 and HTTP/1.0");
	else if (exchange->http11 && lws_hdr_total_length(exchange->wsi, WSI_TOKEN_HOST) <= 0)
		exchange_problem(exchange, 400, "the header Host is missing");
	else if (strlen(exchange->path) != path_length || exchange->path[0] != '/')
		exchange_problem(exchange, 400, "the path is malformed");
	else if (path_length + (size_t)lws_hdr_total_length(exchange->wsi, WSI_TOKEN_HTTP_URI_ARGS) > URI_MAX)
		exchange_problem(exchange, 414, "the address is longer than %d bytes", URI_MAX);
	else
		return true;
	return false;
}

/* -- where from, where to ----------------------------------------------------------------------------------------- */

/* Without a certificate of our own a request is in clear, unless a proxy says that it was not when it came to it. */
static void read_scheme(struct exchange *exchange, bool by_proxy, struct site *site)
{
	char value[VALUE_MAX];
	if (!by_proxy || site->https)
		return;
	int length = read_rare_header(exchange, "x-forwarded-proto:", value);
	site->https = length > 0 && strcasecmp(value, "https") == 0;
	site->any_scheme = length == 0;
}

static void read_client(struct exchange *exchange, bool by_proxy)
{
	char value[VALUE_MAX];
	exchange->client = exchange->peer->address;
	if (by_proxy && read_header(exchange, WSI_TOKEN_X_FORWARDED_FOR, value) > 0)
		guard_find_client(&exchange->web->guard, value, &exchange->client);
}

/* A browser says for whose page it asks: by Sec-Fetch-Site, an older one by Origin. Who is no browser says neither. */
static bool is_foreign(struct exchange *exchange, const struct site *site)
{
	char origin[VALUE_MAX], fetch_site[VALUE_MAX];
	int origin_length = read_header(exchange, WSI_TOKEN_ORIGIN, origin);
	int fetch_length = read_rare_header(exchange, "sec-fetch-site:", fetch_site);
	if (origin_length && (origin_length < 0 || !guard_is_same_origin(origin, site)))
		return true;
	return fetch_length && strcmp(fetch_site, "same-origin") != 0 && strcmp(fetch_site, "none") != 0;
}

static bool is_json(struct exchange *exchange)
{
	static const char wanted[] = "application/json";
	char value[VALUE_MAX];
	size_t length = sizeof wanted - 1;
	return read_header(exchange, WSI_TOKEN_HTTP_CONTENT_TYPE, value) > 0 &&
	       strncasecmp(value, wanted, length) == 0 && (value[length] == '\0' || strchr("; \t", value[length]));
}

bool request_read_site(struct exchange *exchange)
{
	char host[VALUE_MAX];
	const struct peer *peer = exchange->peer;
	const struct guard *guard = &exchange->web->guard;
	bool is_tcp = peer->door->is_tcp, by_proxy = is_tcp && guard_is_proxy(guard, &peer->address);
	struct site site = {.host = read_header(exchange, WSI_TOKEN_HOST, host) > 0 ? host : NULL,
			    .https = peer->door->tls};
	read_scheme(exchange, by_proxy, &site);
	if (is_tcp && !guard_allows_host(guard, &site, &peer->local)) {
		exchange_problem(exchange, 421,
				 "this name is not ours: ask by the address, or list the name in allowed_hosts");
		return false;
	}
	read_client(exchange, by_proxy);
	exchange->is_foreign = is_foreign(exchange, &site);
	return true;
}

/* -- who ---------------------------------------------------------------------------------------------------------- */

static char *keep_rare_header(struct exchange *exchange, const char *name)
{
	char value[VALUE_MAX];
	char *kept = read_rare_header(exchange, name, value) > 0 ? strdup(value) : NULL;
	explicit_bzero(value, sizeof value);
	return kept;
}

/* One that is said but cannot be understood must not be taken for none: the question would be asked twice. */
static bool read_keys(struct exchange *exchange)
{
	static const char name[] = "idempotency-key:";
	int length = lws_hdr_custom_length(exchange->wsi, name, (int)strlen(name));
	if (length > IDEMPOTENCY_KEY_MAX || length == 0) {
		exchange_problem(exchange, 400, "the header Idempotency-Key has 1 to %d characters",
				 IDEMPOTENCY_KEY_MAX);
		return false;
	}
	exchange->idempotency_key = keep_rare_header(exchange, name);
	exchange->api_key = keep_rare_header(exchange, "x-api-key:");
	return true;
}

static void name_asker(struct exchange *exchange)
{
	char address[IP_TEXT_MAX], name[ASKER_TEXT_MAX / 2];
	const struct peer *peer = exchange->peer;
	if (!peer->door->is_tcp) {
		unix_user(peer->uid, name, sizeof name);
		snprintf(exchange->by, sizeof exchange->by, "%s, process %d", name, (int)peer->pid);
		return;
	}
	ip_print(&exchange->client, address);
	snprintf(exchange->by, sizeof exchange->by, "%s", address);
}

bool request_read(struct exchange *exchange, size_t path_length)
{
	char accept[VALUE_MAX];
	if (!check_line(exchange, path_length) || !check_repeated(exchange) || !check_body(exchange) ||
	    !request_read_site(exchange) || !read_keys(exchange))
		return false;
	if (read_header(exchange, WSI_TOKEN_HTTP_ACCEPT, accept) > 0)
		exchange->accept = strdup(accept);
	exchange->is_json = is_json(exchange);
	const struct door *door = exchange->peer->door;
	exchange->role = !door->is_tcp ? ROLE_OPERATOR : door->asks ? ROLE_NOBODY : ROLE_VIEWER;
	name_asker(exchange);
	return true;
}

/* What everybody may know costs nobody the trial of a password. */
bool request_identify(struct exchange *exchange)
{
	char value[VALUE_MAX];
	struct credentials credentials;
	if (!exchange->peer->door->asks || (exchange->route && exchange->route->least == ROLE_NOBODY))
		return true;
	int length = read_header(exchange, WSI_TOKEN_HTTP_AUTHORIZATION, value);
	credentials_read(&credentials, length < 0 ? "" : length ? value : NULL);
	enum access_verdict verdict = access_ask(exchange, &credentials);
	credentials_wipe(&credentials);
	explicit_bzero(value, sizeof value);
	return verdict == ACCESS_KNOWN;
}
