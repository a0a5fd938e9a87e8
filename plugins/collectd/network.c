/* SPDX-License-Identifier: MIT
 *
 * Packets to collectd's network plugin, by UDP. Options: network: address, security, username, password, rate.
 *
 *   looking up ──▶ ready ⇄ sending (pacing, listening) ──▶ ready …
 *        ▲             └── refused: the next address, or down
 *        └── waiting (a pause)
 *
 * Nobody answers, so three things are done for what is sent to arrive.
 *
 * Pace. collectd takes some 6,000 packets a second; what comes faster than it reads, the kernel drops without a word. A
 * bucket of tokens lets `rate` packets a second go, never more than BURST at once, so that they fit the receiver's
 * buffer (some 90 of them by default) also when it is not scheduled for a moment.
 *
 * Objection. The socket is connected, so that the kernel tells us if a host says that nobody listens there (ICMP). The
 * first packet after each beginning is sent alone, and the next wait for OBJECTION_MS whether it is refused: then the
 * next of the name's addresses is tried, and if it was the last, the output is down and the batch will be offered
 * again. Later objections fail the batch that is on its way; of those sent before, nobody can know.
 *
 * Following. The name is looked up again each minute (the host caches); if the address in use is not among the answers
 * any more, the next packet goes to the first of them. If nobody knows the name any more, the old address stays in use.
 *
 * A socket is struct udp, whose memory goes in its close callback. One timer serves pause, pace and objection.
 */
#include "collectd.h"
#include "packet.h"
#include "seal.h"

#include "address.h"
#include "backoff.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum {
	ADDRESSES_MAX = 8,
	BURST = 24, /* packets */
	OBJECTION_MS = 200,
	PACE_MS = 2,
	REASON_MAX = 256,
};

static const int64_t follow_after = 60 * CW_SECOND;

enum stage { WAITING, LOOKING_UP, READY, PACING, LISTENING };

struct network;

struct udp {
	uv_udp_t handle;
	struct network *owner; /* NULL: given up, only to be closed */
	char input[64];        /* nothing is expected; what comes is not looked at */
};

struct network {
	struct cw_instance *self;
	const struct cw_host *host;
	struct address where;
	struct seal *seal;

	enum stage stage;
	uv_timer_t timer;
	struct backoff backoff; /* of looking up */
	struct cw_resolve *resolve;
	int64_t looked_up; /* instant */
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	uint32_t addresses_count, current; /* current: in use, or to be used next */
	struct udp *udp;                   /* NULL: none is open */
	bool accepted;                     /* a packet to the current address was not objected to */
	char reason[REASON_MAX];           /* "": it works as far as is known */

	int64_t rate; /* packets a second */
	double tokens;
	int64_t refilled; /* instant */

	const struct cw_batch *batch; /* under way, referenced; NULL: none */
	uint32_t next;                /* its first sample that is not wholly in a packet */
	uint32_t next_value;          /* and of that the first value */
	uint32_t unsayable;           /* its samples without a value */
	struct collectd_source source;
	struct packet packet; /* sealed if it waits to be sent */
	bool waits;           /* the packet is complete and not sent yet */

	uint64_t packets;
	int64_t last_packet;
	bool examining; /* the name, whose verdict is owed */
};

static void look_up(struct network *network);
static void go_on(struct network *network);

static const char *where(const struct network *network, char buffer[ADDRESS_TEXT_SIZE])
{
	return address_text(&network->where, buffer);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct network *network, int64_t ms)
{
	uv_update_time(network->timer.loop);
	uv_timer_start(&network->timer, on_timer, (uint64_t)ms, /* repeat */ 0);
}

/* ---- the socket ---- */

static void on_udp_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void cut_udp(struct network *network)
{
	struct udp *udp = network->udp;
	if (!udp)
		return;
	network->udp = NULL;
	udp->owner = NULL;
	uv_close((uv_handle_t *)&udp->handle, on_udp_closed);
}

static void objected(struct network *network, int status);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct udp *udp = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(udp->input, sizeof(udp->input));
}

/* Only errors are of interest: that is how ICMP arrives. */
static void on_receive(uv_udp_t *handle, ssize_t length, const uv_buf_t *buffer, const struct sockaddr *from,
		       unsigned flags)
{
	struct udp *udp = handle->data;
	(void)buffer, (void)from, (void)flags;
	if (length < 0 && udp->owner)
		objected(udp->owner, (int)length);
}

/* To the current address. */
static int open_udp(struct network *network)
{
	struct udp *udp = calloc(1, sizeof(*udp));
	if (!udp)
		return -ENOMEM;
	int status = uv_udp_init(network->host->loop(network->self), &udp->handle);
	if (status < 0) {
		free(udp);
		return status;
	}
	udp->handle.data = udp;
	udp->owner = network;
	network->udp = udp;
	network->accepted = false;
	status = uv_udp_connect(&udp->handle, (const struct sockaddr *)&network->addresses[network->current]);
	return status < 0 ? status : uv_udp_recv_start(&udp->handle, on_allocate, on_receive);
}

/* An objection that has arrived already: on this machine it is there before the packet's sending returns. */
static int pending_objection(const struct network *network)
{
	int fd, error = 0;
	socklen_t size = sizeof(error);
	if (uv_fileno((uv_handle_t *)&network->udp->handle, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return 0;
	return -error;
}

/* ---- trouble ---- */

static void explain(const struct network *network, int status, char reason[REASON_MAX])
{
	char text[ADDRESS_TEXT_SIZE];
	const char *to = where(network, text);
	if (status == UV_ECONNREFUSED)
		snprintf(reason, REASON_MAX,
			 "connection refused: nobody listens at %s: is collectd running, with Listen in its network "
			 "plugin?",
			 to);
	else if (status == -ENOENT)
		snprintf(reason, REASON_MAX, "no such host (%s): mend `address`, or the name server", to);
	else if (status == -ETIMEDOUT)
		snprintf(reason, REASON_MAX,
			 "the name could not be looked up in time (%s): does the name server answer?", to);
	else if (status == UV_EPERM)
		snprintf(reason, REASON_MAX, "a firewall of this machine forbids it (%s)", to);
	else
		snprintf(reason, REASON_MAX, "%s (%s)", uv_strerror(status), to);
}

static void forget_batch(struct network *network)
{
	network->host->batch_unref(network->batch);
	network->batch = NULL;
	network->waits = false;
}

/* Down, said; the batch under way will be offered again. */
static void fail(struct network *network, int status, int64_t next_try)
{
	bool had_batch = network->batch != NULL;
	explain(network, status, network->reason);
	forget_batch(network);
	network->host->state(network->self, CW_DOWN, next_try, "%s", network->reason);
	if (had_batch)
		network->host->write_done(network->self, status);
}

static void rewind_batch(struct network *network)
{
	network->next = network->next_value = network->unsayable = 0;
	network->waits = false;
}

/* The current address does not take it: the next one, from the batch's beginning; or the end, for now. */
static void objected(struct network *network, int status)
{
	cut_udp(network);
	uv_timer_stop(&network->timer);
	network->stage = READY;
	rewind_batch(network);
	if (++network->current < network->addresses_count && network->batch) {
		go_on(network);
		return;
	}
	network->current %= network->addresses_count;
	fail(network, status, /* next_try: the core's to choose */ 0);
}

/* ---- packets ---- */

static void refill(struct network *network)
{
	int64_t now = network->host->now();
	network->tokens += (double)(now - network->refilled) * (double)network->rate / (double)CW_SECOND;
	if (network->tokens > BURST)
		network->tokens = BURST;
	network->refilled = now;
}

/* Milliseconds, and long enough for a few tokens at a time if they come fast. */
static int64_t until_a_token(const struct network *network)
{
	int64_t ms = (int64_t)((1 - network->tokens) * 1000 / (double)network->rate) + 1;
	return ms > PACE_MS ? ms : PACE_MS;
}

/* Puts the next values into an empty packet, as many as fit. */
static void fill(struct network *network)
{
	const struct cw_batch *batch = network->batch;
	struct packet *packet = &network->packet;
	packet_begin(packet, seal_head(network->seal));
	for (; network->next < batch->samples.count; network->next++, network->next_value = 0) {
		const struct cw_sample *sample = cw_at(&batch->samples, network->next);
		struct collectd_value values[FORMAT_POINTS_MAX];
		uint32_t n = collectd_values(&network->source, sample, values);
		network->unsayable += n == 0;
		for (uint32_t i = network->next_value; i < n; i++, network->next_value++)
			if (packet_add(packet, &network->source, &values[i], sample->time, batch->interval) < 0)
				return;
	}
}

/* Makes the next packet ready to go, unless one waits already; *ret_is_one: there is one. 0 or negative. */
static int next_packet(struct network *network, bool *ret_is_one)
{
	int status = 0;
	if (!network->waits) {
		fill(network);
		network->waits = !packet_is_empty(&network->packet);
		if (network->waits)
			status = seal_packet(network->seal, network->packet.bytes, network->packet.now.length);
	}
	*ret_is_one = network->waits;
	return status;
}

static int send_packet(struct network *network)
{
	uv_buf_t bytes = uv_buf_init((char *)network->packet.bytes, (unsigned)network->packet.now.length);
	int status = uv_udp_try_send(&network->udp->handle, &bytes, 1, /* address */ NULL);
	if (status < 0)
		return status;
	network->waits = false;
	network->tokens -= 1;
	network->packets++;
	network->last_packet = network->host->now();
	return 0;
}

/* All packets are out, and nobody has objected. */
static void settle(struct network *network)
{
	network->stage = READY;
	network->reason[0] = '\0';
	if (network->unsayable)
		network->host->dropped(network->self, CW_DROP_INVALID, network->unsayable);
	forget_batch(network);
	network->host->state(network->self, CW_UP, /* next_try */ 0, "%s", "");
	network->host->write_done(network->self, 0);
}

static void pause_in(struct network *network, enum stage stage, int64_t ms)
{
	network->stage = stage;
	set_timer(network, ms);
}

/* Sends until the bucket is empty, the first packet's objection has to be awaited, or nothing is left. */
static void go_on(struct network *network)
{
	bool is_one = false;
	int status = network->udp ? 0 : open_udp(network);
	refill(network);
	while (status == 0) {
		status = next_packet(network, &is_one);
		if (status < 0 || !is_one)
			break;
		if (network->tokens < 1) {
			pause_in(network, PACING, until_a_token(network));
			return;
		}
		status = send_packet(network);
		if (status == UV_EAGAIN || status == UV_ENOBUFS) {
			pause_in(network, PACING, PACE_MS);
			return;
		}
		if (status == 0 && !network->accepted) {
			pause_in(network, LISTENING, OBJECTION_MS);
			return;
		}
	}
	if (status == 0)
		status = pending_objection(network);
	if (status < 0)
		objected(network, status);
	else
		settle(network);
}

/* ---- the name ---- */

static bool is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0 &&
	       a6->sin6_scope_id == b6->sin6_scope_id;
}

/* Takes over the answers; the socket stays if its address is still among them. */
static void take_addresses(struct network *network, const struct sockaddr_storage *addresses, uint32_t n)
{
	const struct sockaddr_storage used = network->addresses[network->current];
	bool stays = false;
	network->addresses_count = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
	network->current = 0;
	for (uint32_t i = 0; i < network->addresses_count; i++) {
		network->addresses[i] = addresses[i];
		if (!stays && is_same(&used, &addresses[i])) {
			network->current = i;
			stays = true;
		}
	}
	if (!stays)
		cut_udp(network);
}

static void verdict_name(struct network *network, int status, uint32_t n)
{
	char seen[REASON_MAX] = "";
	if (!network->examining)
		return;
	network->examining = false;
	if (status < 0) {
		explain(network, status, seen);
		network->host->examined(network->self, CW_CHECK_FAILED, "%s", seen);
		return;
	}
	uv_ip_name((const struct sockaddr *)&network->addresses[network->current], seen, sizeof(seen));
	network->host->examined(network->self, CW_CHECK_OK, "%s is %s%s", network->where.host, seen,
				n > 1 ? " and others" : "");
}

static void on_looked_up(void *arg, int status, const struct sockaddr_storage *addresses, uint32_t n)
{
	struct network *network = arg;
	bool is_first = network->stage == LOOKING_UP;
	network->resolve = NULL;
	network->looked_up = network->host->now();
	if (status == 0 && n > 0) {
		take_addresses(network, addresses, n);
		backoff_reset(&network->backoff);
		if (is_first) {
			network->stage = READY;
			network->reason[0] = '\0';
			network->host->state(network->self, CW_UP, /* next_try */ 0, "%s", "");
			if (network->batch)
				go_on(network);
		}
	} else if (is_first) {
		int64_t pause = backoff_next(&network->backoff);
		pause_in(network, WAITING, pause / CW_MILLISECOND);
		fail(network, status, network->host->now() + pause);
	}
	verdict_name(network, status, n);
}

static void look_up(struct network *network)
{
	int status = network->host->resolve(network->self, network->where.host, network->where.port, on_looked_up,
					    network, &network->resolve);
	if (status < 0) {
		network->resolve = NULL;
		on_looked_up(network, status, /* addresses */ NULL, 0);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct network *network = timer->data;
	if (network->stage == WAITING) {
		network->stage = LOOKING_UP;
		look_up(network);
	} else {
		network->accepted = network->accepted || network->stage == LISTENING;
		network->stage = READY;
		go_on(network);
	}
}

/* ---- the way ---- */

static int network_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			 void **ret_state)
{
	const struct cw_value *group = cw_get(options, "network");
	const char *error;
	struct network *network = calloc(1, sizeof(*network));
	if (!network)
		return -ENOMEM;
	*ret_state = network;
	network->self = self;
	network->host = host;
	network->rate = cw_get_integer(group, "rate", 1);
	network->backoff.random = (uint64_t)host->now();
	network->refilled = host->now();
	network->tokens = BURST;
	int status = address_parse(cw_get_string(group, "address"), NETWORK_PORT, &network->where, &error);
	if (status == 0)
		status = seal_new((enum security)cw_get_integer(group, "security", SECURITY_NONE),
				  cw_get_string(group, "username"), cw_get_string(group, "password"), &network->seal);
	if (status < 0) {
		host->state(self, CW_DOWN, /* next_try */ 0, "packets cannot be signed or encrypted: %s",
			    strerror(-status));
		return status;
	}
	uv_timer_init(host->loop(self), &network->timer);
	network->timer.data = network;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	network->stage = LOOKING_UP;
	look_up(network);
	return 0;
}

static int network_write(void *state, const struct cw_batch *batch)
{
	struct network *network = state;
	if (network->stage == WAITING)
		return -EHOSTUNREACH;
	network->batch = network->host->batch_ref(batch);
	collectd_source_init(&network->source, batch);
	rewind_batch(network);
	if (network->stage == LOOKING_UP)
		return CW_LATER;
	if (!network->resolve && network->host->now() - network->looked_up > follow_after)
		look_up(network);
	go_on(network);
	return CW_LATER;
}

/* Now, not when a pause is over that lasts; its end would find us elsewhere. */
static void examine_name(struct network *network)
{
	network->examining = true;
	if (network->stage == WAITING) {
		uv_timer_stop(&network->timer);
		network->stage = LOOKING_UP;
	}
	if (!network->resolve)
		look_up(network);
}

static void network_examine(void *state, uint32_t check)
{
	struct network *network = state;
	char text[ADDRESS_TEXT_SIZE], when[TEXT_DURATION_SIZE];
	text_duration(when, (double)(network->host->now() - network->last_packet) / (double)CW_SECOND);
	if (check == CHECK_FOUND) {
		examine_name(network);
	} else if (check == CHECK_ANSWERS) {
		network->host->examined(network->self, CW_CHECK_SKIPPED,
					"collectd's network protocol has no answers: look there for %s/callwatch-…",
					network->host->info(network->self)->host);
	} else if (network->reason[0]) {
		network->host->examined(network->self, CW_CHECK_FAILED, "%s", network->reason);
	} else if (!network->packets) {
		network->host->examined(network->self, CW_CHECK_SKIPPED, "nothing was sent yet");
	} else {
		network->host->examined(network->self, CW_CHECK_OK,
					"packets sent to %s: %" PRIu64 ", the last %s ago; none was refused since",
					where(network, text), network->packets, when);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	(void)handle; /* the memory goes in release() */
}

static void network_stop(void *state)
{
	struct network *network = state;
	if (network->resolve)
		network->host->resolve_cancel(network->resolve);
	network->resolve = NULL;
	cut_udp(network);
	uv_close((uv_handle_t *)&network->timer, on_timer_closed);
}

static void network_release(void *state)
{
	struct network *network = state;
	if (!network)
		return;
	network->host->batch_unref(network->batch);
	seal_free(network->seal);
	free(network);
}

const struct way network_way = {
	.start = network_start,
	.write = network_write,
	.examine = network_examine,
	.stop = network_stop,
	.release = network_release,
};
