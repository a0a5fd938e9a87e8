/* SPDX-License-Identifier: MIT
 *
 * See relay.h. One struct relay from open to close, and under it a struct link for each socket, whose memory goes in
 * its close callback, so that an old one may still be closing while the next is dialled.
 *
 * Two timers. `again` is whatever comes next: the end of a pause, a look at what was acknowledged (nothing tells when
 * it is, so it is looked for after 1 ms, 2, 4 … 32, but only while something is on its way), the next datagrams. `beat`
 * comes each second while there is a link and judges it: is it trusted, does it take data, is it slow, is it due to be
 * exchanged?
 *
 * The kernel's send buffer is kept small. What is in it when a connection breaks has to be kept here too, and what
 * waits here can still be dropped, spooled and counted by the core.
 */
#include "relay.h"

#include "backoff.h"
#include "connect/dial.h"
#include "flight.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
	SEND_BUFFER = 256 * 1024, /* the kernel doubles it, and uses at most that */
	SLICES_A_TURN = 16,       /* then the loop's other events come first */
	LOOK_FIRST_MS = 1,
	LOOK_LAST_MS = 32,
	OBJECTION_MS = 20, /* within which a host says that nobody listens */
	BEAT_MS = 1000,
	BURST = 50, /* datagrams: half of what a receiver's buffer holds by default */
	PACE_MS = 2,
	REASON_MAX = 300
};

_Static_assert(2 * SEND_BUFFER <= FLIGHT_KERNEL_MAX, "what the kernel may hold is kept here");

static const int64_t trusted_after = CW_SECOND;
static const int64_t slow_after = 5 * CW_SECOND;
static const int64_t stalled_after = 10 * CW_SECOND;
static const int64_t cut_after = 30 * CW_SECOND;
static const int64_t well_after = 5 * CW_SECOND;   /* without a stall, since the last connection was cut for one */
static const int64_t history_age = 60 * CW_SECOND; /* what was sent longer ago has been read */
static const int64_t look_up_every = 60 * CW_SECOND;
static const int64_t slept_after = 8 * CW_SECOND; /* a beat that is so late: we were not running */

enum stage { DIALLING, UP, WAITING };

struct relay {
	struct cw_instance *self;
	const struct cw_host *host;
	struct relay_settings settings;
	struct relay_callbacks callbacks;
	void *arg;
	char place[ADDRESS_TEXT_SIZE]; /* as configured, for people */

	enum stage stage;
	struct dial *dial; /* NULL: none */
	struct link *link; /* NULL: none */
	uv_timer_t again, beat;
	unsigned handles; /* of the two, not closed yet */
	bool closed;
	struct backoff backoff;
	struct flight flight;

	char peer[ADDRESS_TEXT_SIZE], reason[REASON_MAX];
	int64_t since;        /* of the connection, or of its loss */
	int64_t exchange_due; /* 0: never */
	int64_t last_beat;
	int64_t last_sent, taken; /* instants; 0: never */
	int64_t waiting_since;    /* something is on its way and not taken; 0: nothing is */
	int64_t busy_since;       /* of what was pushed and is not settled; 0: nothing is */
	uint64_t busy_taken;      /* bytes of it */
	unsigned look_ms;
	bool trusted;       /* the connection is old enough to be believed */
	bool was_cut;       /* the one before took no data */
	bool stalled, slow; /* as it was said last */
	double tokens;      /* UDP: datagrams that may go */
	int64_t tokens_at;
};

struct link {
	uv_poll_t poll;
	struct relay *owner; /* NULL: cut */
	int fd;
	int events; /* polled for */
};

static void pump(struct relay *relay);
static void begin(struct relay *relay);
static void on_again(uv_timer_t *timer);

static int64_t now_of(const struct relay *relay)
{
	return relay->host->now();
}

static void again_in(struct relay *relay, uint64_t ms)
{
	uv_update_time(relay->again.loop);
	uv_timer_start(&relay->again, on_again, ms, /* repeat */ 0);
}

/* ---- the end of things ---- */

static void on_own_handle_closed(uv_handle_t *handle)
{
	struct relay *relay = handle->data;
	if (--relay->handles)
		return;
	flight_release(&relay->flight);
	free(relay);
}

static void on_link_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void cut_link(struct relay *relay)
{
	struct link *link = relay->link;
	if (!link)
		return;
	relay->link = NULL;
	link->owner = NULL;
	uv_timer_stop(&relay->beat);
	uv_close((uv_handle_t *)&link->poll, on_link_closed);
	close(link->fd);
}

/* ---- states ---- */

static void say_up(struct relay *relay)
{
	relay->stalled = relay->slow = false;
	relay->host->state(relay->self, CW_UP, /* next_try */ 0, "%s", "");
}

/* How it is when data is taken again. */
static void say_taking(struct relay *relay)
{
	relay->stalled = relay->slow = false;
	if (relay->was_cut)
		relay->host->state(relay->self, CW_DOWN, /* next_try */ 0,
				   "connected anew, to see whether %s takes data again", relay->place);
	else
		say_up(relay);
}

static void say_stalled(struct relay *relay)
{
	relay->stalled = true;
	relay->host->state(relay->self, CW_DOWN, relay->waiting_since + cut_after,
			   "%s takes no data, nothing for %d s: does it hang?", relay->place,
			   (int)(stalled_after / CW_SECOND));
}

static void say_slow(struct relay *relay, int64_t busy)
{
	relay->slow = true;
	relay->host->state(relay->self, CW_DEGRADED, /* next_try */ 0,
			   "%s is slow: it takes %.0f KiB a second, a batch has been on its way for %d s", relay->place,
			   (double)relay->busy_taken / 1024 / ((double)busy / (double)CW_SECOND),
			   (int)(busy / CW_SECOND));
}

static void wait_and_retry(struct relay *relay, int64_t pause, const char *reason)
{
	relay->stage = WAITING;
	snprintf(relay->reason, sizeof(relay->reason), "%s", reason);
	relay->stalled = relay->slow = false;
	relay->host->count_error(relay->self, 1);
	relay->host->state(relay->self, CW_DOWN, now_of(relay) + pause, "%s", relay->reason);
	again_in(relay, (uint64_t)(pause / CW_MILLISECOND));
}

/* ---- losing the connection ---- */

/* Many agents lose a relay together. */
static int64_t short_pause(struct relay *relay)
{
	return 100 * CW_MILLISECOND + (int64_t)(backoff_share(&relay->backoff) * (double)CW_SECOND);
}

static bool was_idle(const struct relay *relay)
{
	return relay->trusted && !relay->was_cut && flight_is_settled(&relay->flight) && !relay->busy_since;
}

/* The connection is of no use any more. Receivers close idle connections, and that is no fault: then it is dialled at
 * once, and only if that fails it is down. */
static void lose(struct relay *relay, const char *format, ...) CW_PRINTF(2, 3);
static void lose(struct relay *relay, const char *format, ...)
{
	char reason[REASON_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	int64_t now = now_of(relay);
	bool idle = was_idle(relay), trusted = relay->trusted;
	flight_rewind(&relay->flight, now - relay->last_sent < history_age);
	relay->waiting_since = 0;
	relay->since = now;
	cut_link(relay);
	if (idle)
		begin(relay);
	else
		wait_and_retry(relay, trusted ? short_pause(relay) : backoff_next(&relay->backoff), reason);
}

static void lose_by_error(struct relay *relay, int error)
{
	if (error == ETIMEDOUT)
		lose(relay, "%s does not answer any more", relay->place);
	else
		lose(relay, "%s (%s)", dial_reason(-error), relay->place);
}

/* ---- sending ---- */

static void on_event(uv_poll_t *poll, int status, int events);

/* For the end of the connection always, for room when asked. */
static void watch(struct relay *relay, bool for_room)
{
	int events = UV_READABLE | (for_room ? UV_WRITABLE : 0);
	if (relay->link->events != events)
		uv_poll_start(&relay->link->poll, events, on_event);
	relay->link->events = events;
}

/* UDP: false if the next datagram has to wait for its turn. */
static bool may_send(struct relay *relay)
{
	if (!relay->settings.udp || relay->tokens >= 1)
		return true;
	int64_t now = now_of(relay);
	double more = (double)(now - relay->tokens_at) / (double)CW_SECOND * (double)relay->settings.rate;
	relay->tokens = relay->tokens + more < BURST ? relay->tokens + more : BURST;
	relay->tokens_at = now;
	return relay->tokens >= 1;
}

/* One chunk. MSG_MORE: the kernel need not make a packet of it. Bytes sent, or a negative errno. */
static ssize_t send_chunk(struct relay *relay)
{
	const char *bytes;
	size_t length = flight_chunk(&relay->flight, &bytes);
	int more = !relay->settings.udp && length < flight_unwritten(&relay->flight) ? MSG_MORE : 0;
	ssize_t sent = send(relay->link->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT | more);
	return sent < 0 ? -errno : sent;
}

static void await_room(struct relay *relay)
{
	if (relay->settings.udp)
		again_in(relay, PACE_MS);
	else
		watch(relay, /* for_room */ true);
}

/* Sends what is unwritten. 0: all; CW_LATER: it is waited for room or its turn; negative: the connection is broken. */
static int send_lines(struct relay *relay)
{
	while (flight_unwritten(&relay->flight)) {
		ssize_t sent = may_send(relay) ? send_chunk(relay) : -EAGAIN;
		if (sent == -EAGAIN || sent == -ENOBUFS) {
			await_room(relay);
			return CW_LATER;
		}
		if (sent < 0 && sent != -EINTR)
			return (int)sent;
		if (sent > 0) {
			flight_wrote(&relay->flight, (size_t)sent);
			relay->tokens--;
			relay->last_sent = now_of(relay);
		}
	}
	return 0;
}

/* What the other side has of it by now. */
static void look_what_was_taken(struct relay *relay)
{
	size_t before = flight_unacked(&relay->flight);
	int queued = 0;
	if (!relay->settings.udp && ioctl(relay->link->fd, SIOCOUTQ, &queued) < 0)
		return;
	flight_set_unacked(&relay->flight, (size_t)queued);
	size_t taken = before - flight_unacked(&relay->flight);
	int64_t now = now_of(relay);
	if (taken) {
		relay->taken = now;
		relay->busy_taken += taken;
		relay->look_ms = LOOK_FIRST_MS;
		if (relay->stalled)
			say_taking(relay);
	}
	if (flight_is_settled(&relay->flight))
		relay->waiting_since = 0;
	else if (taken || !relay->waiting_since)
		relay->waiting_since = now;
}

/* ns until what was taken is believed to be; 0: it is. */
static int64_t until_believed(const struct relay *relay)
{
	int64_t at =
		relay->settings.udp ? relay->last_sent + OBJECTION_MS * CW_MILLISECOND : relay->since + trusted_after;
	int64_t wait = at - now_of(relay);
	return wait > 0 ? wait : 0;
}

static bool is_exchange_due(const struct relay *relay)
{
	return relay->exchange_due && now_of(relay) >= relay->exchange_due;
}

/* Behind a load balancer each new connection may find another server; over UDP it finds a name's new address. Nothing
 * is on its way, so nothing is lost. */
static void exchange(struct relay *relay)
{
	cut_link(relay);
	begin(relay);
}

static void settle(struct relay *relay)
{
	int64_t busy = relay->busy_since ? now_of(relay) - relay->busy_since : 0;
	bool was_busy = relay->busy_since != 0;
	relay->busy_since = 0;
	if (relay->slow && busy < slow_after)
		say_taking(relay);
	if (is_exchange_due(relay))
		exchange(relay);
	if (was_busy)
		relay->callbacks.settled(relay->arg);
}

/* All is written: is it taken, and believed? */
static void finish(struct relay *relay)
{
	int64_t wait = until_believed(relay);
	if (!flight_is_settled(&relay->flight)) {
		again_in(relay, relay->look_ms);
		relay->look_ms = relay->look_ms < LOOK_LAST_MS ? relay->look_ms * 2 : LOOK_LAST_MS;
	} else if (wait) {
		again_in(relay, (uint64_t)(wait / CW_MILLISECOND) + 1);
	} else {
		settle(relay);
	}
}

static void fill(struct relay *relay)
{
	struct buffer *out = relay->busy_since ? flight_out(&relay->flight) : NULL;
	if (out)
		relay->callbacks.fill(relay->arg, out);
}

/* As send_lines(), and fills until there is no more. */
static int send_all(struct relay *relay)
{
	for (int i = 0; i < SLICES_A_TURN; i++) {
		if (!flight_unwritten(&relay->flight))
			fill(relay);
		if (!flight_unwritten(&relay->flight))
			return 0;
		int status = send_lines(relay);
		if (status != 0)
			return status;
	}
	await_room(relay); /* there is some: but first come the loop's other events */
	return CW_LATER;
}

/* Brings on its way what there is, as far as it goes without waiting. */
static void pump(struct relay *relay)
{
	if (relay->stage != UP)
		return;
	int status = send_all(relay);
	if (status < 0) {
		lose_by_error(relay, -status);
		return;
	}
	look_what_was_taken(relay);
	if (status == CW_LATER)
		return;
	watch(relay, /* for_room */ false);
	finish(relay);
}

/* ---- events ---- */

/* Nobody has anything to say to us; what matters is whether the connection is there. 0, or why it is not. */
static int read_away(int fd)
{
	enum { READS_AT_ONCE = 4 };
	char bytes[4096];
	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : errno;
		if (length == 0)
			return ESHUTDOWN;
	}
	return 0;
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct link *link = poll->data;
	struct relay *relay = link->owner;
	if (!relay)
		return;
	if (status < 0)
		link->events = 0; /* libuv has stopped it, because of an error that the socket will tell */
	int error = status < 0 || (events & UV_READABLE) ? read_away(link->fd) : 0;
	if (error == ESHUTDOWN && !relay->settings.udp)
		lose(relay, "closed by the other side (%s)", relay->place);
	else if (error && error != ESHUTDOWN)
		lose_by_error(relay, error);
	else
		pump(relay);
}

/* The judgement of what is under way. */
static void judge(struct relay *relay, int64_t now)
{
	int64_t waiting = relay->waiting_since ? now - relay->waiting_since : 0;
	int64_t busy = relay->busy_since ? now - relay->busy_since : 0;
	if (waiting >= cut_after) {
		relay->was_cut = true;
		lose(relay, "%s took no data for %d s: connecting anew", relay->place, (int)(cut_after / CW_SECOND));
	} else if (waiting >= stalled_after) {
		say_stalled(relay);
	} else if (relay->was_cut && waiting < slow_after && now - relay->since >= well_after) {
		relay->was_cut = false;
		say_taking(relay);
	} else if (busy >= slow_after && !relay->slow && !relay->stalled) {
		say_slow(relay, busy);
	}
}

/* We slept (the machine, or the process), so nobody is to blame for what was not taken meanwhile. */
static void excuse(struct relay *relay, int64_t now)
{
	if (relay->waiting_since)
		relay->waiting_since = now;
	if (relay->busy_since)
		relay->busy_since = now;
}

static void on_beat(uv_timer_t *timer)
{
	struct relay *relay = timer->data;
	int64_t now = now_of(relay);
	if (now - relay->last_beat > slept_after)
		excuse(relay, now);
	relay->last_beat = now;
	if (!relay->trusted && now - relay->since >= trusted_after) {
		relay->trusted = true;
		backoff_reset(&relay->backoff);
		say_taking(relay);
	}
	look_what_was_taken(relay);
	judge(relay, now);
	if (relay->stage == UP && is_exchange_due(relay))
		pump(relay);
}

static void on_again(uv_timer_t *timer)
{
	struct relay *relay = timer->data;
	if (relay->stage == WAITING)
		begin(relay);
	else
		pump(relay);
}

/* ---- connecting ---- */

/* An idle line that is dead is found by the kernel; one with data on its way by judge(). */
static void set_up_socket(const struct relay *relay, int fd)
{
	int on = 1, idle = 5, interval = 2, count = 3, buffer = SEND_BUFFER;
	if (relay->settings.udp)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int make_link(struct relay *relay, int fd)
{
	struct link *link = calloc(1, sizeof(*link));
	int status = link ? uv_poll_init(relay->again.loop, &link->poll, fd) : -ENOMEM;
	if (status < 0) {
		free(link);
		close(fd);
		return status;
	}
	link->poll.data = link;
	link->owner = relay;
	link->fd = fd;
	relay->link = link;
	return 0;
}

/* A little earlier or later, so that not all agents come at once. */
static int64_t next_exchange(struct relay *relay)
{
	int64_t every = relay->settings.udp ? look_up_every : relay->settings.reconnect_every;
	return every ? relay->since + (int64_t)((double)every * (0.9 + 0.2 * backoff_share(&relay->backoff))) : 0;
}

static void on_connected(struct relay *relay, const char *peer)
{
	snprintf(relay->peer, sizeof(relay->peer), "%s", peer);
	bool was_down = relay->reason[0] != 0;
	relay->reason[0] = 0;
	relay->stage = UP;
	relay->since = relay->last_beat = relay->tokens_at = now_of(relay);
	relay->exchange_due = next_exchange(relay);
	relay->trusted = false;
	relay->look_ms = LOOK_FIRST_MS;
	relay->tokens = 1;
	if (relay->busy_since)
		relay->busy_since = relay->since; /* slow is who has had it for long */
	uv_timer_start(&relay->beat, on_beat, BEAT_MS, BEAT_MS);
	watch(relay, /* for_room */ false);
	if (!was_down)
		say_up(relay);
	pump(relay);
}

/* `text`: why; and what to do about it is added. */
static void not_connected(struct relay *relay, const char *text)
{
	char reason[REASON_MAX];
	snprintf(reason, sizeof(reason), "%s: start the receiver, or mend `address`", text);
	wait_and_retry(relay, backoff_next(&relay->backoff), reason);
}

static void on_dialled(void *arg, int fd, const char *text)
{
	struct relay *relay = arg;
	relay->dial = NULL;
	if (fd < 0) {
		not_connected(relay, text);
		return;
	}
	set_up_socket(relay, fd);
	int status = make_link(relay, fd);
	if (status == 0)
		on_connected(relay, text);
	else
		wait_and_retry(relay, backoff_next(&relay->backoff), dial_reason(status));
}

static void begin(struct relay *relay)
{
	relay->stage = DIALLING;
	if (dial_start(relay->self, relay->host, &relay->settings.address, relay->settings.udp, on_dialled, relay,
		       &relay->dial) < 0)
		wait_and_retry(relay, backoff_next(&relay->backoff), dial_reason(-ENOMEM));
}

/* ---- the face ---- */

int relay_open(struct cw_instance *self, const struct cw_host *host, const struct relay_settings *settings,
	       const struct relay_callbacks *callbacks, void *arg, struct relay **ret_relay)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (!relay)
		return -ENOMEM;
	*relay = (struct relay){.self = self,
				.host = host,
				.settings = *settings,
				.callbacks = *callbacks,
				.arg = arg,
				.since = host->now(),
				.backoff = {.random = (uint64_t)host->wall() ^ (uintptr_t)relay},
				.handles = 2};
	address_text(&settings->address, relay->place);
	flight_init(&relay->flight, settings->history);
	uv_timer_init(host->loop(self), &relay->again);
	uv_timer_init(host->loop(self), &relay->beat);
	relay->again.data = relay->beat.data = relay;
	begin(relay);
	*ret_relay = relay;
	return 0;
}

void relay_push(struct relay *relay)
{
	relay->busy_since = now_of(relay);
	relay->busy_taken = 0;
	pump(relay);
}

void relay_close(struct relay *relay)
{
	if (!relay || relay->closed)
		return;
	relay->closed = true;
	relay->stage = WAITING;
	cut_link(relay);
	dial_cancel(relay->dial);
	relay->dial = NULL;
	uv_close((uv_handle_t *)&relay->again, on_own_handle_closed);
	uv_close((uv_handle_t *)&relay->beat, on_own_handle_closed);
}

void relay_look(const struct relay *relay, struct relay_view *ret_view)
{
	*ret_view = (struct relay_view){.connected = relay->stage == UP,
					.since = relay->since,
					.taken = relay->taken,
					.waiting = relay->waiting_since ? now_of(relay) - relay->waiting_since : 0,
					.peer = relay->peer,
					.reason = relay->reason};
}
