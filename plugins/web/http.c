/* SPDX-License-Identifier: MIT
 *
 * Connections and exchanges on top of libwebsockets, which parses heads and writes to sockets on the instance's loop.
 *
 * One request, one connection: every answer says `Connection: close`. Pipelining and keep-alive would save a local
 * client nothing and leave a state machine open to whatever follows a request.
 *
 * Once a request is there libwebsockets reads no more from its connection, but goes on watching it: bytes that follow,
 * or a half-closed connection, would spin the loop. Its flow control stops that, and stops it from writing too. So a
 * connection is let flow only when it has something to write and can take it, which is looked at before each turn of
 * the loop (before_turn); else it is parked. A client that went away is noticed by the next write.
 *
 * An answer that fits is sent with its length; a longer one is pulled, CHUNK_BYTES at a time, whenever the connection
 * has taken what was written before, and sent in chunks. A stream that breaks has no last chunk, so its reader knows.
 * No more than one chunk, and what libwebsockets could not write of it, is ever held for a connection.
 *
 * Deadlines are looked at once a second: 10 s for a request with its body, 30 s without progress.
 */
#include "web.h"

#include "descriptors.h"
#include "render.h"
#include "tls.h"

#include <errno.h>
#include <libwebsockets.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CHUNK_BYTES = 32 * 1024,
	BODY_MAX = 4 * 1024 * 1024, /* an answer that is made whole; one row is far below */
	CHUNK_LINE_MAX = 24,        /* hexadecimal length, CR LF; last chunk */
	HEAD_ROOM = LWS_PRE + CHUNK_LINE_MAX,
	HEADER_BYTES_MAX = 16 * 1024, /* all of a request's head that libwebsockets keeps */
	ANSWER_HEAD_MAX = 2048,
	DETAIL_MAX = 1024,
	REFUSAL_MAX = 2048,
	DESCRIPTORS_ASKED = 6, /* libwebsockets takes three */
};

static const int64_t head_deadline = 10 * CW_SECOND, idle_deadline = 30 * CW_SECOND, idle_grace = CW_SECOND;

/* On every answer, those that libwebsockets makes itself included. What is not a page may load nothing and be framed by
 * nobody. */
static const struct {
	const char *name, *value;
} answer_headers[] = {
	{"x-content-type-options:", "nosniff"},
	{"cache-control:", "no-store"},
	{"content-security-policy:", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
	{"referrer-policy:", "no-referrer"},
	{"cross-origin-opener-policy:", "same-origin"},
	{"cross-origin-resource-policy:", "same-origin"},
	{"connection:", "close"},
};
enum { ANSWER_HEADERS = sizeof answer_headers / sizeof answer_headers[0] };

/* -- answers ------------------------------------------------------------------------------------------------------ */

static const char *status_title(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 415:
		return "Unsupported Media Type";
	case 421:
		return "Misdirected Request";
	case 429:
		return "Too Many Requests";
	case 422:
		return "Unprocessable Content";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

static void exchange_end_work(struct exchange *exchange)
{
	if (exchange->drop)
		exchange->drop(exchange);
	exchange->drop = NULL;
	exchange->pull = NULL;
	exchange->tick = NULL;
	exchange->work = NULL;
}

/* The work is kept: a pull that answers with a problem is still running. It ends with the exchange. */
void exchange_problem(struct exchange *exchange, int status, const char *format, ...)
{
	char detail[DETAIL_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	exchange->status = status;
	exchange->content_type = "application/problem+json";
	buffer_cut(&exchange->body, 0);
	buffer_print(&exchange->body,
		     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", status_title(status),
		     status);
	render_json_string(&exchange->body, detail);
	buffer_string(&exchange->body, "}\n");
}

void http_refuse(int descriptor, const struct door *door, int status, const char *detail)
{
	if (door->tls)
		return;
	char text[REFUSAL_MAX], body[REFUSAL_MAX / 4];
	struct buffer answer = {.block = text, .room = sizeof text, .ceiling = sizeof text};
	int length = snprintf(body, sizeof body,
			      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"}\n",
			      status_title(status), status, detail);
	buffer_print(&answer, "HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n",
		     status, status_title(status), length);
	for (int i = 0; i < ANSWER_HEADERS; i++)
		buffer_print(&answer, "%s %s\r\n", answer_headers[i].name, answer_headers[i].value);
	buffer_print(&answer, "\r\n%s", body);
	if (!answer.failed)
		(void)!send(descriptor, buffer_text(&answer), answer.length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void exchange_text(struct exchange *exchange, int status, const char *text)
{
	exchange->status = status;
	exchange->content_type = "text/plain; charset=utf-8";
	buffer_cut(&exchange->body, 0);
	buffer_string(&exchange->body, text);
}

void exchange_wake(struct exchange *exchange)
{
	struct connection *connection = lws_get_opaque_user_data(exchange->wsi);
	connection->wants_write = true;
	lws_callback_on_writable(exchange->wsi);
}

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
					   (int)strlen(value), at, end);
}

/* With the length if the answer is complete; else in chunks, or up to the end for HTTP/1.0. */
static int write_head(struct exchange *exchange)
{
	unsigned char head[LWS_PRE + ANSWER_HEAD_MAX], *start = head + LWS_PRE, *at = start,
						       *end = head + sizeof head - 1;
	exchange->chunked = !exchange->complete && exchange->http11;
	exchange->head_sent = true;
	if (lws_add_http_header_status(exchange->wsi, (unsigned)exchange->status, &at, end) ||
	    add_header(exchange->wsi, "content-type:", exchange->content_type, &at, end))
		return -1;
	if (exchange->allow && add_header(exchange->wsi, "allow:", exchange->allow, &at, end))
		return -1;
	if (*exchange->location && add_header(exchange->wsi, "location:", exchange->location, &at, end))
		return -1;
	if (exchange->challenge && add_header(exchange->wsi, "www-authenticate:", exchange->challenge, &at, end))
		return -1;
	if (exchange->retry_after) {
		char seconds[16];
		snprintf(seconds, sizeof seconds, "%u", (unsigned)exchange->retry_after);
		if (add_header(exchange->wsi, "retry-after:", seconds, &at, end))
			return -1;
	}
	if (exchange->complete && lws_add_http_header_content_length(exchange->wsi, exchange->body.length, &at, end))
		return -1;
	if (exchange->chunked && add_header(exchange->wsi, "transfer-encoding:", "chunked", &at, end))
		return -1;
	return lws_finalize_write_http_header(exchange->wsi, start, &at, end) ? -1 : 0;
}

/* The buffer's head room takes the chunk's length, its end the end of the chunk. */
static int write_body(struct exchange *exchange)
{
	struct buffer *body = &exchange->body;
	char line[CHUNK_LINE_MAX] = "";
	if (exchange->chunked) {
		if (body->length)
			snprintf(line, sizeof line, "%zx\r\n", body->length);
		body->ceiling += CHUNK_LINE_MAX;
		buffer_string(body, body->length ? "\r\n" : "");
		buffer_string(body, exchange->complete ? "0\r\n\r\n" : "");
		body->ceiling -= CHUNK_LINE_MAX;
	}
	if (body->failed)
		return -1;
	size_t before = strlen(line), length = body->length + before;
	if (length == 0)
		return 0;
	char *start = buffer_text(body) - before;
	for (size_t i = 0; i < before; i++)
		start[i] = line[i];
	buffer_cut(body, 0);
	return lws_write(exchange->wsi, (unsigned char *)start, length, LWS_WRITE_HTTP) < (int)length ? -1 : 0;
}

/* One step of a pulled answer. False: it cannot go on. */
static bool pull(struct exchange *exchange, bool *ret_wait)
{
	*ret_wait = false;
	enum pull said = exchange->pull ? exchange->pull(exchange) : PULL_DONE;
	if (said != PULL_ABORT && exchange->body.failed) {
		if (exchange->head_sent)
			return false;
		exchange_problem(exchange, 500, "the answer is too large to be made");
		said = PULL_DONE;
	}
	exchange->complete = said == PULL_DONE;
	*ret_wait = said == PULL_WAIT;
	return said != PULL_ABORT;
}

/* A body that is not too long is read before anything is answered, whether the handler wants it or not: who is still
 * sending may not read an answer, and loses it when the connection is closed. */
static bool is_reading(const struct exchange *exchange)
{
	return exchange && exchange->method == METHOD_POST && !exchange->has_body && exchange->body_length > 0 &&
	       exchange->body_length <= REQUEST_BODY_MAX;
}

/* The connection takes more. Negative: close it. */
static int exchange_writable(struct exchange *exchange)
{
	bool wait;
	if (exchange->sent)
		return -1; /* all of it is with the kernel now */
	if (is_reading(exchange))
		return 0; /* on_body_end() wakes */
	if (!pull(exchange, &wait))
		return -1;
	bool enough = exchange->complete || (!exchange->hold && (wait || exchange->body.length >= CHUNK_BYTES));
	if (!enough) {
		if (!wait)
			exchange_wake(exchange);
		return 0;
	}
	if (!exchange->head_sent && write_head(exchange))
		return -1;
	if (exchange->method == METHOD_HEAD)
		exchange->complete = true;
	else if (write_body(exchange))
		return -1;
	exchange->sent = exchange->complete;
	if (exchange->sent)
		exchange_end_work(exchange);
	if (exchange->sent || !wait)
		exchange_wake(exchange);
	return 0;
}

int exchange_send_now(struct exchange *exchange)
{
	exchange->complete = exchange->sent = true;
	return write_head(exchange) || write_body(exchange) ? -1 : 0;
}

static void set_flow(struct connection *connection, bool flow)
{
	if (connection->flows != flow)
		lws_rx_flow_control(connection->wsi, flow);
	connection->flows = flow;
}

/* -- requests ----------------------------------------------------------------------------------------------------- */

static void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	exchange_end_work(exchange);
	for (uint32_t i = 0; i < PATH_ARGUMENTS_MAX; i++)
		free(exchange->arguments[i]);
	params_release(&exchange->params);
	free(exchange->accept);
	free(exchange->idempotency_key);
	if (exchange->api_key)
		explicit_bzero(exchange->api_key, strlen(exchange->api_key));
	free(exchange->api_key);
	buffer_release(&exchange->request_body);
	buffer_release(&exchange->body);
	free(exchange);
}

static enum method request_method(struct lws *wsi)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI))
		return METHOD_GET;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI))
		return METHOD_HEAD;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_DELETE_URI))
		return METHOD_DELETE;
	return lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) ? METHOD_POST : METHOD_OTHER;
}

static struct exchange *exchange_new(struct connection *connection)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return NULL;
	exchange->web = connection->web;
	exchange->wsi = connection->wsi;
	exchange->peer = &connection->peer;
	exchange->status = 200;
	exchange->content_type = "application/json";
	buffer_init(&exchange->body, HEAD_ROOM, BODY_MAX);
	buffer_init(&exchange->request_body, /* head: */ 0, REQUEST_BODY_MAX);
	return exchange;
}

static int next_param(void *arg, uint32_t i, char *buffer, size_t size)
{
	return lws_hdr_copy_fragment(arg, buffer, (int)size, WSI_TOKEN_HTTP_URI_ARGS, (int)i);
}

static int on_request(struct connection *connection, const char *path, size_t path_length)
{
	if (connection->exchange)
		return -1;
	struct exchange *exchange = connection->exchange = exchange_new(connection);
	if (!exchange)
		return -1;
	connection->moved = connection->web->host->now();
	lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0); /* our own deadlines from here on */
	set_flow(connection, false);
	exchange->method = request_method(connection->wsi);
	exchange->path = path;
	if (request_read(exchange, path_length)) {
		route_resolve(exchange, next_param, connection->wsi);
		if (request_identify(exchange))
			route_enter(exchange);
	}
	exchange->path = NULL;
	exchange_wake(exchange);
	return 0;
}

/* A piece of the request's body; libwebsockets says when it was the last. */
static int on_body(struct connection *connection, const char *bytes, size_t length)
{
	struct exchange *exchange = connection->exchange;
	if (exchange && exchange->route && (exchange->route->flags & ROUTE_BODY) && !exchange->complete)
		buffer_bytes(&exchange->request_body, bytes, length);
	return 0;
}

static int on_body_end(struct connection *connection)
{
	struct exchange *exchange = connection->exchange;
	if (!exchange)
		return 0;
	exchange->has_body = true;
	if (exchange->waits_for_body)
		route_body_is_there(exchange);
	exchange_wake(exchange);
	return 0;
}

/* libwebsockets would take a refused upgrade for an agreed one: answer here and close. */
static int on_upgrade(struct connection *connection)
{
	struct exchange *exchange = connection->exchange ? NULL : exchange_new(connection);
	if (!exchange)
		return -1;
	connection->exchange = exchange;
	if (request_read_site(exchange))
		exchange_problem(exchange, 501, "there is nothing to upgrade to");
	return exchange_send_now(exchange) ? -1 : 1;
}

/* -- connections -------------------------------------------------------------------------------------------------- */

static int connection_new(struct web *web, struct lws *wsi)
{
	struct connection *connection = web->adopting ? calloc(1, sizeof *connection) : NULL;
	if (!connection)
		return -1;
	connection->web = web;
	connection->wsi = wsi;
	connection->peer = *web->adopting;
	web->tcp_count += connection->peer.door->is_tcp;
	connection->opened = connection->moved = web->host->now();
	connection->flows = true;
	connection->next = web->connections;
	connection->link = &web->connections;
	if (web->connections)
		web->connections->link = &connection->next;
	web->connections = connection;
	web->connections_count++;
	lws_set_opaque_user_data(wsi, connection);
	return 0;
}

static void connection_drop_exchange(struct connection *connection)
{
	connection->wants_write = false;
	exchange_free(connection->exchange);
	connection->exchange = NULL;
}

static void connection_free(struct connection *connection)
{
	connection_drop_exchange(connection);
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	connection->web->connections_count--;
	connection->web->tcp_count -= connection->peer.door->is_tcp;
	lws_set_opaque_user_data(connection->wsi, NULL);
	free(connection);
}

static int on_writable(struct connection *connection)
{
	if (!connection->exchange)
		return -1;
	connection->moved = connection->web->host->now();
	connection->wants_write = false;
	if (exchange_writable(connection->exchange))
		return -1;
	if (lws_partial_buffered(connection->wsi))
		connection->wants_write = true;
	if (!connection->wants_write)
		set_flow(connection, is_reading(connection->exchange));
	return 0;
}

/* Lets flow those that have something to write and can, parks the others. */
static void before_turn(uv_prepare_t *prepare)
{
	struct web *web = prepare->data;
	for (struct connection *connection = web->connections; connection; connection = connection->next) {
		if (!connection->wants_write)
			continue;
		struct pollfd descriptor = {.fd = lws_get_socket_fd(connection->wsi), .events = POLLOUT};
		set_flow(connection, is_reading(connection->exchange) || poll(&descriptor, 1, /* timeout: */ 0) > 0);
	}
}

/* libwebsockets names a host by a connection that is none. */
static const struct cw_value *values_of(struct lws *wsi)
{
	const struct web *web = lws_context_user(lws_get_context(wsi));
	return web->values;
}

/* Every call that libwebsockets makes; those that are not for a connection of ours, or mean nothing here, pass. */
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
	struct connection *connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	switch (reason) {
	case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
		return connection_new(lws_context_user(lws_get_context(wsi)), wsi);
	case LWS_CALLBACK_HTTP:
		return connection ? on_request(connection, in, length) : -1;
	case LWS_CALLBACK_HTTP_BODY:
		return connection ? on_body(connection, in, length) : -1;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return connection ? on_body_end(connection) : -1;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return connection ? on_writable(connection) : -1;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return connection ? on_upgrade(connection) : -1;
	case LWS_CALLBACK_CLOSED_HTTP:
		if (connection)
			connection_drop_exchange(connection);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		if (connection)
			connection_free(connection);
		return 0;
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: /* `user` is the context to be */
		return user ? tls_configure(user, values_of(wsi)) : 0;
	case LWS_CALLBACK_RAW_ADOPT: /* what CONNECT leads to */
	case LWS_CALLBACK_RAW_RX:
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return -1;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = on_event, .rx_buffer_size = 4096, .tx_packet_size = 2 * CHUNK_BYTES},
	{0},
};

/* -- the instance ------------------------------------------------------------------------------------------------- */

/* As libwebsockets wants to have them: a linked list that lives as long as its host. */
static const struct lws_protocol_vhost_options *link_headers(struct web *web)
{
	struct lws_protocol_vhost_options *headers = calloc(ANSWER_HEADERS, sizeof *headers);
	web->answer_headers = headers;
	for (int i = 0; headers && i < ANSWER_HEADERS; i++) {
		headers[i].next = i + 1 < ANSWER_HEADERS ? &headers[i + 1] : NULL;
		headers[i].name = answer_headers[i].name;
		headers[i].value = answer_headers[i].value;
	}
	return headers;
}

int http_start(struct web *web)
{
	void *loops[1] = {web->host->loop(web->self)};
	lws_set_log_level(0, NULL); /* it would write to stderr; what matters we see ourselves */
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   (tls_is_configured(web->values) ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
		.foreign_loops = loops,
		.user = web,
		.fd_limit_per_thread = web->connections_max + 16, /* its own pipe, and those just closing */
		.max_http_header_data = HEADER_BYTES_MAX,
		.max_http_header_pool = (unsigned short)web->connections_max,
		.timeout_secs = 20,
		.gid = -1,
		.uid = -1,
	};
	uv_prepare_init(loops[0], &web->prepare);
	web->prepare.data = web;
	uv_prepare_start(&web->prepare, before_turn);
	/* libwebsockets 4.1 does not survive a context for which it can open nothing: it ends it by running the loop
	 * that it was not given yet. So there must be room for more than it takes. */
	web->lws = descriptors_are_left(DESCRIPTORS_ASKED) ? lws_create_context(&info) : NULL;
	const struct lws_protocol_vhost_options *headers = link_headers(web);
	if (!web->lws || !headers)
		return -ENOMEM;
	struct lws_context_creation_info vhost = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = "callwatch",
		.protocols = protocols,
		.headers = headers,
		.keepalive_timeout = 20,
		.timeout_secs_ah_idle = 20, /* our own deadline for a head is shorter, and says so */
		.alpn = "http/1.1",
	};
	web->vhost = lws_create_vhost(web->lws, &vhost);
	if (!web->vhost || !tls_is_configured(web->values))
		return web->vhost ? 0 : -ENOMEM;
	vhost.vhost_name = "callwatch-tls";
	vhost.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
	web->tls_vhost = lws_create_vhost(web->lws, &vhost);
	return web->tls_vhost ? 0 : -EINVAL;
}

void http_stop(struct web *web)
{
	for (struct connection *connection = web->connections; connection; connection = connection->next)
		connection_drop_exchange(connection);
	uv_close((uv_handle_t *)&web->prepare, NULL);
	if (web->lws)
		lws_context_destroy(web->lws);
}

void http_release(struct web *web)
{
	if (web->lws)
		lws_context_destroy(web->lws);
	web->lws = NULL;
	free(web->answer_headers);
	web->answer_headers = NULL;
}

void http_adopt(struct web *web, int descriptor, const struct peer *peer)
{
	web->adopting = peer;
	lws_adopt_descriptor_vhost(peer->door->tls ? web->tls_vhost : web->vhost,
				   LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | (peer->door->tls ? LWS_ADOPT_ALLOW_SSL : 0),
				   (lws_sock_file_fd_type){.sockfd = descriptor}, NULL, NULL);
	web->adopting = NULL;
}

uint32_t http_connections_of(const struct web *web, const struct ip *address)
{
	uint32_t n = 0;
	struct ip client = ip_client(address);
	for (const struct connection *connection = web->connections; connection; connection = connection->next) {
		struct ip other = ip_client(&connection->peer.address);
		n += connection->peer.door->is_tcp && ip_equal(&other, &client);
	}
	return n;
}

static void connection_cut(struct connection *connection)
{
	connection_drop_exchange(connection);
	connection->opened = connection->moved = INT64_MAX; /* once */
	lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

static void cut_without_head(struct connection *connection)
{
	http_refuse(lws_get_socket_fd(connection->wsi), connection->peer.door, 408,
		    "the head of the request did not come");
	connection_cut(connection);
}

bool http_cut_idle(struct web *web)
{
	struct connection *idle = NULL;
	int64_t opened = web->host->now() - idle_grace;
	for (struct connection *connection = web->connections; connection; connection = connection->next)
		if (!connection->exchange && connection->opened < opened) {
			idle = connection;
			opened = connection->opened;
		}
	if (idle)
		cut_without_head(idle);
	return idle != NULL;
}

static void give_up_body(struct exchange *exchange)
{
	exchange->body_length = 0;
	if (exchange->waits_for_body) {
		exchange->waits_for_body = false;
		exchange->pull = NULL;
		exchange_problem(exchange, 408, "the body of the request did not come");
	}
	exchange_wake(exchange);
}

void http_tick(struct web *web, int64_t now)
{
	for (struct connection *connection = web->connections, *next; connection; connection = next) {
		struct exchange *exchange = connection->exchange;
		next = connection->next;
		if (!exchange && connection->opened < now - head_deadline) {
			cut_without_head(connection);
		} else if (is_reading(exchange) && connection->opened < now - head_deadline) {
			give_up_body(exchange);
		} else if (exchange && connection->moved < now - idle_deadline) {
			connection_cut(connection);
		} else if (exchange && exchange->tick && exchange->tick(exchange)) {
			exchange_wake(exchange);
		}
	}
}
