/* SPDX-License-Identifier: MIT
 *
 * See connect/dial.h.
 *
 *   looking up → trying the next address → (connected | 3 s over or refused: the one after) → told, gone
 *
 * The socket is polled by libuv while it connects and belongs to whoever dialled afterwards. A dial is two handles, its
 * timer and a poll for each socket that was tried; its memory goes with the last of them.
 */
#include "connect/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { ADDRESSES_MAX = 16 };

struct dial {
	struct cw_instance *self;
	const struct cw_host *host;
	struct address address;
	bool udp;
	dial_done done; /* NULL: told, or cancelled */
	void *arg;

	struct cw_resolve *resolve; /* NULL: none is under way */
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	uint32_t count, tried;
	uv_timer_t timer; /* the deadline of one try */
	struct attempt *attempt;
	unsigned handles; /* not closed yet */
};

/* One socket on its way. Its memory goes in its close callback, when the next may have begun. */
struct attempt {
	uv_poll_t poll;
	struct dial *dial;
	int fd; /* negative: handed over or closed */
};

const char *dial_reason(int status)
{
	switch (status) {
	case -ECONNREFUSED:
		return "connection refused";
	case -ETIMEDOUT:
		return "no answer within 3 s";
	case -ECONNRESET:
	case -EPIPE:
		return "connection reset";
	case -EHOSTUNREACH:
		return "no route to the host";
	case -ENETUNREACH:
		return "no route to its network";
	case -EMFILE:
	case -ENFILE:
		return "file descriptor limit reached";
	default:
		return strerror(-status);
	}
}

/* ---- the end of things ---- */

static void handle_closed(struct dial *dial)
{
	if (--dial->handles == 0)
		free(dial);
}

static void on_timer_closed(uv_handle_t *timer)
{
	handle_closed(timer->data);
}

static void on_poll_closed(uv_handle_t *poll)
{
	struct attempt *attempt = poll->data;
	struct dial *dial = attempt->dial;
	free(attempt);
	handle_closed(dial);
}

/* Gives its socket, which is the caller's now. */
static int end_attempt(struct dial *dial)
{
	struct attempt *attempt = dial->attempt;
	int fd = attempt->fd;
	dial->attempt = NULL;
	attempt->fd = -1;
	uv_timer_stop(&dial->timer);
	uv_close((uv_handle_t *)&attempt->poll, on_poll_closed);
	return fd;
}

static void end(struct dial *dial)
{
	if (dial->attempt)
		close(end_attempt(dial));
	if (dial->resolve)
		dial->host->resolve_cancel(dial->resolve);
	dial->resolve = NULL;
	dial->done = NULL;
	uv_close((uv_handle_t *)&dial->timer, on_timer_closed);
}

static void tell(struct dial *dial, int fd, const char *text)
{
	dial_done done = dial->done;
	end(dial);
	done(dial->arg, fd, text);
}

static void tell_failure(struct dial *dial, const char *reason, bool with_port)
{
	char text[DIAL_REASON_MAX], place[ADDRESS_TEXT_SIZE];
	snprintf(text, sizeof(text), "%s (%s)", reason,
		 with_port ? address_text(&dial->address, place) : dial->address.host);
	tell(dial, -1, text);
}

/* ---- addresses ---- */

static void try_next(struct dial *dial, int status);

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void tell_connected(struct dial *dial, int fd)
{
	const struct sockaddr_storage *to = &dial->addresses[dial->tried - 1];
	struct address address = {.port = dial->address.port};
	char text[ADDRESS_TEXT_SIZE];
	getnameinfo((const struct sockaddr *)to, length_of(to), address.host, sizeof(address.host), /* service */ NULL,
		    0, NI_NUMERICHOST); /* an address is not looked up */
	tell(dial, fd, address_text(&address, text));
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct attempt *attempt = poll->data;
	struct dial *dial = attempt->dial;
	int error = 0;
	socklen_t length = sizeof(error);
	(void)status, (void)events; /* the socket knows better */
	if (dial->attempt != attempt)
		return;
	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	int fd = end_attempt(dial);
	if (!error) {
		tell_connected(dial, fd);
		return;
	}
	close(fd);
	try_next(dial, -error);
}

static void on_deadline(uv_timer_t *timer)
{
	struct dial *dial = timer->data;
	close(end_attempt(dial));
	try_next(dial, -ETIMEDOUT);
}

/* Waits for the socket, which is closed if that fails. */
static int await(struct dial *dial, int fd)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	int status = attempt ? uv_poll_init(dial->timer.loop, &attempt->poll, fd) : -ENOMEM;
	if (status < 0) {
		free(attempt);
		close(fd);
		return status;
	}
	attempt->poll.data = attempt;
	attempt->dial = dial;
	attempt->fd = fd;
	dial->attempt = attempt;
	dial->handles++;
	uv_poll_start(&attempt->poll, UV_WRITABLE, on_writable);
	uv_timer_start(&dial->timer, on_deadline, DIAL_DEADLINE_S * 1000, /* repeat */ 0);
	return 0;
}

/* 0: begun; a UDP socket is connected at once, and is found writable like any other. */
static int try_address(struct dial *dial, const struct sockaddr_storage *to)
{
	int type = (dial->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(to->ss_family, type, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)to, length_of(to)) < 0 && errno != EINPROGRESS) {
		int status = -errno;
		close(fd);
		return status;
	}
	return await(dial, fd);
}

/* A name may have more addresses, and one of a kind that this machine cannot reach. `status`: why the last failed. */
static void try_next(struct dial *dial, int status)
{
	while (dial->tried < dial->count) {
		status = try_address(dial, &dial->addresses[dial->tried++]);
		if (status == 0)
			return;
	}
	tell_failure(dial, dial_reason(status), /* with_port */ true);
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct dial *dial = arg;
	dial->resolve = NULL;
	if (status == -ENOENT || (status == 0 && n == 0)) {
		tell_failure(dial, "no such host name", /* with_port */ false);
	} else if (status < 0) {
		tell_failure(dial,
			     status == -ETIMEDOUT ? "the name server does not answer"
						  : "the host name cannot be looked up",
			     /* with_port */ false);
	} else {
		dial->count = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
		memcpy(dial->addresses, addresses, dial->count * sizeof(*addresses));
		uv_update_time(dial->timer.loop);
		try_next(dial, -ENOENT);
	}
}

/* ---- the face ---- */

static void on_cannot_resolve(uv_timer_t *timer)
{
	tell_failure(timer->data, "the host name cannot be looked up", /* with_port */ false);
}

int dial_start(struct cw_instance *self, const struct cw_host *host, const struct address *address, bool udp,
	       dial_done done, void *arg, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	if (!dial)
		return -ENOMEM;
	*dial = (struct dial){
		.self = self, .host = host, .address = *address, .udp = udp, .done = done, .arg = arg, .handles = 1};
	uv_timer_init(host->loop(self), &dial->timer);
	dial->timer.data = dial;
	if (host->resolve(self, dial->address.host, dial->address.port, on_resolved, dial, &dial->resolve) < 0) {
		dial->resolve = NULL;
		uv_timer_start(&dial->timer, on_cannot_resolve, 0, /* repeat */ 0);
	}
	*ret_dial = dial;
	return 0;
}

void dial_cancel(struct dial *dial)
{
	if (dial && dial->done)
		end(dial);
}
