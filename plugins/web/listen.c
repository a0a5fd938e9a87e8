/* SPDX-License-Identifier: MIT
 *
 * See listen.h. Here is what all listeners have in common: accepting, and trying again. A loop that cannot get a
 * descriptor must neither spin nor leave its clients waiting, so one descriptor is kept in reserve: given up for a
 * moment, it lets the next client be refused in words.
 */
#include "access.h"
#include "listen_private.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 16, DESCRIPTORS_KEPT = 64 };

static const uint64_t pause_ms = 500; /* between looks at a listener that can accept nothing */
static const int64_t report_every = 3600 * CW_SECOND;

/* -- what may be configured --------------------------------------------------------------------------------------- */

static bool is_unix(const char *address)
{
	return strncmp(address, "unix:", 5) == 0;
}

/* With a certificate TCP speaks TLS, unless its item says that it does not. */
static bool has_tls(const struct cw_value *values, const struct cw_value *item)
{
	const struct cw_value *tls = cw_get(item, "tls");
	return tls && tls->is_set ? tls->boolean : tls_is_configured(values);
}

/* Beyond loopback somebody may listen on the way, and anybody connect. */
static void check_beyond_loopback(const struct cw_value *values, const struct cw_value *item,
				  struct cw_problems *problems)
{
	const struct cw_value *proxies = cw_get(values, "trusted_proxies"), *place = cw_get(item, "address");
	const char *address = cw_get_string(item, "address");
	if (!access_is_configured(values))
		problems->error(problems, place,
				"%s is not loopback: this needs `users` or `tokens` (callwatch passwd, callwatch token "
				"add), or say `only: metrics`",
				address);
	if (!has_tls(values, item) && !(proxies && proxies->count))
		problems->error(problems, place,
				"%s is not loopback: this needs TLS (tls_cert_file, tls_key_file), or a proxy that "
				"speaks it (trusted_proxies), or say `only: metrics`",
				address);
}

static void check_unix(const struct cw_value *item, struct cw_problems *problems)
{
	const char *address = cw_get_string(item, "address"), *wrong = unix_check(address);
	const struct cw_value *tls = cw_get(item, "tls");
	if (wrong)
		problems->error(problems, cw_get(item, "address"), "%s: %s", address, wrong);
	if (cw_get_string(item, "only"))
		problems->error(problems, cw_get(item, "only"), "only is for TCP: a UNIX socket serves all");
	if (tls && tls->is_set)
		problems->error(problems, tls, "tls is for TCP: what passes a UNIX socket leaves no machine");
}

static void check_item(const struct cw_value *values, const struct cw_value *item, struct cw_problems *problems)
{
	const char *address = cw_get_string(item, "address");
	struct endpoint endpoint;
	if (!address)
		return;
	if (is_unix(address)) {
		check_unix(item, problems);
		return;
	}
	if (has_tls(values, item) && !tls_is_configured(values))
		problems->error(problems, cw_get(item, "tls"), "tls needs tls_cert_file and tls_key_file");
	if (!endpoint_parse(&endpoint, address))
		problems->error(problems, cw_get(item, "address"),
				"%s: expected unix:/path, or an address (no name) with a port: 127.0.0.1:8470, "
				"[::1]:8470",
				address);
	else if (!ip_is_loopback(&endpoint.ip) && !cw_get_string(item, "only"))
		check_beyond_loopback(values, item, problems);
}

/* Two sockets cannot have one address, whatever else is said about them. */
static void check_twice(const struct cw_value *items, uint32_t at, struct cw_problems *problems)
{
	const char *address = cw_get_string(&items->children[at], "address");
	for (uint32_t i = 0; address && i < at; i++) {
		const char *other = cw_get_string(&items->children[i], "address");
		if (other && strcmp(other, address) == 0)
			problems->error(problems, cw_get(&items->children[at], "address"), "%s is listed twice",
					address);
	}
}

void listen_check(const struct cw_value *values, struct cw_problems *problems)
{
	const struct cw_value *items = cw_get(values, "listen");
	if (!items || items->count == 0)
		problems->error(problems, items, "listen needs at least one item");
	for (uint32_t i = 0; items && i < items->count; i++) {
		check_item(values, &items->children[i], problems);
		check_twice(items, i, problems);
	}
}

/* -- accepting ---------------------------------------------------------------------------------------------------- */

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Descriptors are given lowest first: a high one says that few are left. Those are for the sources and outputs. */
static bool descriptors_are_short(int descriptor)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	rlim_t kept = limit.rlim_cur / 4 < DESCRIPTORS_KEPT ? limit.rlim_cur / 4 : DESCRIPTORS_KEPT;
	return (rlim_t)descriptor >= limit.rlim_cur - kept;
}

static void note_shortage(struct listener *listener)
{
	struct rlimit limit = {0};
	getrlimit(RLIMIT_NOFILE, &limit);
	listener->web->host->log(listener->web->self, CW_WARNING,
				 "%s: connection refused, the limit of %llu file descriptors is reached",
				 listener->address, (unsigned long long)limit.rlim_cur);
}

static void refuse(const struct listener *listener, int descriptor, int status, const char *detail)
{
	listener->web->host->count_error(listener->web->self, status == 503);
	http_refuse(descriptor, &listener->door, status, detail);
	close(descriptor);
}

/* An operator at a UNIX socket is not kept out by connections that ask for nothing. */
static bool has_room(struct web *web, const struct peer *peer)
{
	bool is_full = web->connections_count >= web->connections_max;
	return peer->door->is_tcp ? !is_full && tcp_has_room(web, peer) : !is_full || http_cut_idle(web);
}

static void take(struct listener *listener, int descriptor)
{
	struct web *web = listener->web;
	struct peer peer;
	const char *sentence = "only root and members of the socket's group may ask here";
	bool known = listener->door.is_tcp ? tcp_peer(listener, descriptor, &peer, &sentence)
					   : unix_peer(listener, descriptor, &peer);
	if (!known) {
		refuse(listener, descriptor, 403, sentence);
	} else if (descriptors_are_short(descriptor)) {
		note_shortage(listener);
		refuse(listener, descriptor, 503, "the limit of file descriptors is reached");
	} else if (!has_room(web, &peer)) {
		refuse(listener, descriptor, 503, "too many connections");
	} else {
		http_adopt(web, descriptor, &peer);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void accept_again(uv_timer_t *timer)
{
	struct listener *listener = timer->data;
	if (listener->reserve < 0)
		listener->reserve = open_reserve();
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void accept_later(struct listener *listener)
{
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->timer, accept_again, pause_ms, /* repeat: */ 0);
}

/* No descriptor is left. False: not even in reserve, look again later. */
static bool refuse_next(struct listener *listener)
{
	note_shortage(listener);
	if (listener->reserve < 0)
		return false;
	close(listener->reserve);
	int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (descriptor >= 0)
		refuse(listener, descriptor, 503, "the limit of file descriptors is reached");
	listener->reserve = open_reserve();
	return descriptor >= 0 && listener->reserve >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor >= 0) {
			take(listener, descriptor);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			if (refuse_next(listener))
				continue;
			accept_later(listener);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

/* -- opening ------------------------------------------------------------------------------------------------------ */

int listener_fail(struct listener *listener, int error, const char *sentence)
{
	snprintf(listener->reason, sizeof listener->reason, "cannot listen on %s: %s",
		 listener->path ? listener->path : listener->address, sentence);
	return -error;
}

int listener_fail_errno(struct listener *listener)
{
	int error = errno;
	if (error == EACCES || error == EPERM || error == EROFS)
		return listener_fail(listener, error, "callwatchd's user may not write there; give it the directory");
	return listener_fail(listener, error, strerror(error));
}

static int watch(struct listener *listener)
{
	uv_loop_t *loop = listener->web->host->loop(listener->web->self);
	int rc = uv_poll_init(loop, &listener->poll, listener->descriptor);
	if (rc)
		return listener_fail(listener, -rc, uv_strerror(rc));
	listener->poll_made = true;
	listener->poll.data = listener;
	return uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void forget_socket(struct listener *listener)
{
	if (listener->descriptor >= 0) {
		if (!listener->door.is_tcp)
			unix_unlink(listener);
		close(listener->descriptor);
	}
	listener->descriptor = -1;
	memset(&listener->identity, 0, sizeof listener->identity);
}

/* -- all of them -------------------------------------------------------------------------------------------------- */

static void report(struct web *web)
{
	const struct listener *broken = NULL;
	char expiry[TLS_SENTENCE_MAX];
	uint32_t open = 0;
	for (uint32_t i = 0; i < web->listeners_count; i++) {
		if (web->listeners[i].descriptor >= 0)
			open++;
		else if (!broken)
			broken = &web->listeners[i];
	}
	if (broken)
		web->host->state(web->self, open ? CW_DEGRADED : CW_DOWN, broken->next_try, "%s", broken->reason);
	else if (tls_explain_expiry(web->certificate_ends, web->host->wall(), expiry) != CW_CHECK_OK)
		web->host->state(web->self, CW_DEGRADED, /* next_try: */ 0, "%s", expiry);
	else
		web->host->state(web->self, CW_UP, /* next_try: */ 0, "listening on %s%s", web->listeners[0].address,
				 open > 1 ? " and others" : "");
}

void listeners_tick(struct web *web, int64_t now)
{
	if (web->certificate_ends == INT64_MAX || now < web->report_due)
		return;
	web->report_due = now + report_every;
	report(web);
}

static void try_open(struct listener *listener);

static void open_again(uv_timer_t *timer)
{
	struct listener *listener = timer->data;
	try_open(listener);
	report(listener->web);
}

static void try_open(struct listener *listener)
{
	listener->next_try = 0;
	if ((listener->door.is_tcp ? tcp_open(listener) : unix_open(listener)) == 0 && watch(listener) == 0) {
		backoff_reset(&listener->backoff);
		return;
	}
	forget_socket(listener);
	int64_t pause = backoff_next(&listener->backoff);
	listener->next_try = listener->web->host->now() + pause;
	uv_timer_start(&listener->timer, open_again, (uint64_t)(pause / CW_MILLISECOND), /* repeat: */ 0);
}

static void set_door(struct listener *listener, const struct cw_value *values, const struct cw_value *item)
{
	struct door *door = &listener->door;
	door->is_tcp = !is_unix(listener->address);
	if (door->is_tcp)
		endpoint_parse(&door->endpoint, listener->address);
	else
		listener->path = listener->address + strlen("unix:");
	door->only_metrics = cw_get_string(item, "only") != NULL;
	door->asks = door->is_tcp && !door->only_metrics && access_is_configured(values);
	door->tls = door->is_tcp && has_tls(values, item);
	door->proxies_only = door->is_tcp && !door->only_metrics && !door->tls && !ip_is_loopback(&door->endpoint.ip);
}

static void listener_init(struct listener *listener, struct web *web, const struct cw_value *values,
			  const struct cw_value *item)
{
	listener->web = web;
	listener->address = cw_get_string(item, "address");
	set_door(listener, values, item);
	listener->descriptor = -1;
	listener->reserve = open_reserve();
	listener->backoff = (struct backoff){.longest = 8 * CW_SECOND, .random = (uint64_t)web->host->now()};
	uv_timer_init(web->host->loop(web->self), &listener->timer);
	listener->timer.data = listener;
}

static int make_guard(struct web *web, const struct cw_value *values)
{
	struct endpoint *endpoints = calloc(web->listeners_count, sizeof *endpoints);
	uint32_t count = 0;
	if (!endpoints)
		return -ENOMEM;
	for (uint32_t i = 0; i < web->listeners_count; i++)
		if (web->listeners[i].door.is_tcp)
			endpoints[count++] = web->listeners[i].door.endpoint;
	int rc = guard_init(&web->guard, values, web->host->info(web->self)->host, endpoints, count);
	free(endpoints);
	return rc;
}

int listeners_start(struct web *web, const struct cw_value *values)
{
	const struct cw_value *items = cw_get(values, "listen");
	uint32_t count = items ? items->count : 0;
	if (count == 0)
		return -EINVAL;
	web->listeners = calloc(count, sizeof *web->listeners);
	if (!web->listeners)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		listener_init(&web->listeners[i], web, values, &items->children[i]);
	web->listeners_count = count;
	web->certificate_ends = tls_expiry(values);
	int rc = make_guard(web, values);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		try_open(&web->listeners[i]);
	report(web);
	return 0;
}

void listeners_stop(struct web *web)
{
	for (uint32_t i = 0; i < web->listeners_count; i++) {
		struct listener *listener = &web->listeners[i];
		if (listener->poll_made)
			uv_close((uv_handle_t *)&listener->poll, NULL);
		uv_close((uv_handle_t *)&listener->timer, NULL);
		forget_socket(listener);
		if (listener->reserve >= 0)
			close(listener->reserve);
		listener->reserve = -1;
	}
}

void listeners_free(struct web *web)
{
	free(web->listeners);
	web->listeners = NULL;
	web->listeners_count = 0;
	guard_release(&web->guard);
}
