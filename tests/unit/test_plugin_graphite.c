/* SPDX-License-Identifier: MIT
 *
 * Output graphite against receivers of ours, on loopback sockets that are looked at whenever the plugin's loop has
 * turned: one that takes all, that closes at any byte, that does not read, that reads slowly, that is not there. The
 * clock of the host is fast where a test would wait for long; the loop's timers are the real ones.
 */
#include "batch.h"
#include "buffer.h"
#include "clock.h"
#include "plugin_host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { CONNECTIONS_MAX = 16, DEADLINE_MS = 30000, PREFIX = 32, LINE = 47 /* of one digit */ };

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "business"}}};

/* ---- receivers ---- */

struct receiver {
	int socket; /* the listener, or the UDP socket; negative: not there */
	uint16_t port;
	struct connection {
		int fd; /* negative: closed */
		struct buffer bytes;
	} connections[CONNECTIONS_MAX];
	int count;

	int closes;           /* so many of the first connections are closed … */
	size_t closes_after;  /* … after this many bytes */
	bool resets;          /* … and with RST */
	bool reads_nothing;   /* until this is false */
	size_t reads_a_turn;  /* 0: all there is */
	int longest_datagram; /* bytes */
};

static int open_socket(int type, uint16_t *port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int on = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void receiver_listen(struct receiver *receiver)
{
	receiver->socket = open_socket(SOCK_STREAM, &receiver->port);
	assert_int_equal(listen(receiver->socket, 8), 0);
}

static void receiver_open(struct receiver *receiver)
{
	*receiver = (struct receiver){.socket = -1};
	receiver_listen(receiver);
}

static void close_connection(struct connection *connection, bool reset)
{
	struct linger at_once = {.l_onoff = 1};
	if (connection->fd < 0)
		return;
	if (reset)
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(connection->fd);
	connection->fd = -1;
}

static void receiver_close_all(struct receiver *receiver)
{
	for (int i = 0; i < receiver->count; i++)
		close_connection(&receiver->connections[i], /* reset */ false);
}

static void receiver_release(struct receiver *receiver)
{
	receiver_close_all(receiver);
	for (int i = 0; i < receiver->count; i++)
		buffer_release(&receiver->connections[i].bytes);
	if (receiver->socket >= 0)
		close(receiver->socket);
}

static void read_connection(struct receiver *receiver, int i)
{
	struct connection *connection = &receiver->connections[i];
	char bytes[65536];
	size_t limit = receiver->reads_a_turn ? receiver->reads_a_turn : sizeof(bytes);
	bool closes = i < receiver->closes;
	if (closes && receiver->closes_after - connection->bytes.length < limit)
		limit = receiver->closes_after - connection->bytes.length;
	ssize_t length = limit ? recv(connection->fd, bytes, limit, 0) : 0;
	if (length > 0)
		buffer_bytes(&connection->bytes, bytes, (size_t)length);
	if (closes && connection->bytes.length == receiver->closes_after)
		close_connection(connection, receiver->resets);
	else if (length == 0)
		close_connection(connection, /* reset */ false);
}

static void receiver_turn(struct receiver *receiver)
{
	int fd = receiver->socket < 0 || receiver->count == CONNECTIONS_MAX
			 ? -1
			 : accept4(receiver->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		receiver->connections[receiver->count++] = (struct connection){fd, {.ceiling = 1 << 28}};
	for (int i = 0; i < receiver->count; i++)
		if (receiver->connections[i].fd >= 0 && !receiver->reads_nothing)
			read_connection(receiver, i);
}

/* Datagrams go into one `connection`, one behind the other. */
static void receiver_turn_udp(struct receiver *receiver)
{
	char bytes[65536];
	ssize_t length;
	receiver->count = 1;
	receiver->connections[0].fd = -1;
	receiver->connections[0].bytes.ceiling = 1 << 28;
	while (receiver->socket >= 0 && (length = recv(receiver->socket, bytes, sizeof(bytes), 0)) > 0) {
		assert_int_equal(bytes[length - 1], '\n'); /* whole lines */
		buffer_bytes(&receiver->connections[0].bytes, bytes, (size_t)length);
		if (length > receiver->longest_datagram)
			receiver->longest_datagram = (int)length;
	}
}

/* How often each line `callwatch.h.calls.calls_active.h<i> <i> 1700000000` came whole, over all connections. Whatever
 * else came fails the test, but for the beginning of such a line at the end of a connection. */
static void count_lines(const struct receiver *receiver, int *times, int n)
{
	memset(times, 0, (size_t)n * sizeof(*times));
	for (int c = 0; c < receiver->count; c++) {
		const struct buffer *bytes = &receiver->connections[c].bytes;
		const char *at = buffer_text(bytes), *end = at + bytes->length;
		while (at < end) {
			char expected[96];
			const char *newline = memchr(at, '\n', (size_t)(end - at));
			size_t length = (size_t)((newline ? newline + 1 : end) - at);
			int number = -1;
			if (length > PREFIX)
				number = (int)strtol(at + PREFIX, NULL, 10);
			if (number < 0 || number >= n)
				number = 0;
			snprintf(expected, sizeof(expected), "callwatch.h.calls.calls_active.h%d %d 1700000000\n",
				 number, number);
			if (newline && (strlen(expected) != length || memcmp(at, expected, length) != 0))
				fail_msg("a glued or foreign line: %.*s", (int)length, at);
			if (!newline && length <= PREFIX && memcmp(at, expected, length) != 0)
				fail_msg("not the beginning of a line: %.*s", (int)length, at);
			if (newline)
				times[number]++;
			at += length;
		}
	}
}

static bool has_all(const struct receiver *receiver, int n, int *ret_most)
{
	int *times = calloc((size_t)n, sizeof(*times)), missing = 0;
	count_lines(receiver, times, n);
	*ret_most = 0;
	for (int i = 0; i < n; i++) {
		missing += times[i] == 0;
		*ret_most = times[i] > *ret_most ? times[i] : *ret_most;
	}
	free(times);
	return missing == 0;
}

/* ---- the plugin ---- */

static const struct cw_batch *make(int n)
{
	struct batch_builder *builder = batch_builder_new("h", "calls", CW_SECOND, NULL, 0);
	for (int i = 0; i < n; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%d", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1700000000 * CW_SECOND, CW_INTEGER, 0, i, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

static void start(struct cw_instance *self, const char *address, const char *more, const char *still_more)
{
	char setting[80];
	snprintf(setting, sizeof(setting), "address=%s", address);
	const char *settings[] = {setting, more, more ? still_more : NULL, NULL};
	assert_int_equal(plugin_host_start(self, &cw_plugin, /* once */ false, settings), 0);
}

static void start_for(struct cw_instance *self, const struct receiver *receiver, const char *more)
{
	char address[32];
	snprintf(address, sizeof(address), "127.0.0.1:%u", receiver->port);
	start(self, address, more, NULL);
}

static void write_batch(struct cw_instance *self, int n)
{
	const struct cw_batch *batch = make(n);
	assert_int_equal(plugin_host_write(self, batch), CW_LATER);
	batch_unref(batch);
}

/* What has arrived, to the last byte. */
static void drain(struct receiver *receiver, bool udp)
{
	size_t before, now = 0;
	do {
		before = now;
		now = 0;
		(udp ? receiver_turn_udp : receiver_turn)(receiver);
		for (int i = 0; i < receiver->count; i++)
			now += receiver->connections[i].bytes.length;
	} while (now != before);
}

struct until {
	struct receiver *receiver;
	bool udp;
	bool is_done;    /* the batch is */
	int connections; /* so many were made */
	enum cw_state state;
	const char *reason; /* NULL: does not matter, nor does `state` */
};

static bool holds(struct cw_instance *self, const void *arg)
{
	const struct until *until = arg;
	(until->udp ? receiver_turn_udp : receiver_turn)(until->receiver);
	return (!until->is_done || self->write_is_done) && until->receiver->count >= until->connections &&
	       (!until->reason || (self->state == until->state && strstr(self->reason, until->reason)));
}

static void wait_until(struct cw_instance *self, struct until until)
{
	if (!plugin_host_wait(self, holds, &until, DEADLINE_MS))
		fail_msg("still %d: %s; batch %s; %d connections", self->state, self->reason,
			 self->write_is_done ? "done" : "not done", until.receiver->count);
	drain(until.receiver, until.udp);
}

/* Seven seconds of the host's in one. The beat of a second is then seven, which is not yet taken for a sleep. */
static int64_t began;

static int64_t hasty_now(void)
{
	return began + (int64_t)(uv_hrtime() - (uint64_t)began) * 7;
}

static void hasten(void)
{
	began = (int64_t)uv_hrtime();
	static const struct clock_source source = {.now = hasty_now, .wall = hasty_now, .awake = hasty_now};
	clock_set_source(&source);
}

/* The host's clock, `slept` ahead: as after a sleep of the machine. */
static int64_t slept;

static int64_t slept_now(void)
{
	return (int64_t)uv_hrtime() + slept;
}

static void sleep_for(int64_t by)
{
	static const struct clock_source source = {.now = slept_now, .wall = slept_now, .awake = slept_now};
	slept = by;
	clock_set_source(&source);
}

static int unhurry(void **state)
{
	(void)state;
	clock_set_source(NULL);
	return 0;
}

static void a_batch__arrives_and_is_done_when_the_receiver_has_it(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	start_for(&self, &receiver, NULL);
	write_batch(&self, 3);
	assert_false(self.write_is_done);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(self.write_status, 0);
	assert_true(has_all(&receiver, 3, &most));
	assert_int_equal(most, 1);
	assert_int_equal(self.state, CW_UP);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void a_large_batch__through_a_slow_reader__arrives_whole_once_and_in_order(void **state)
{
	(void)state;
	enum { N = 60000 };
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	receiver.reads_a_turn = 9973;
	start_for(&self, &receiver, NULL);
	write_batch(&self, N);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_true(has_all(&receiver, N, &most));
	assert_int_equal(most, 1);
	const char *at = buffer_text(&receiver.connections[0].bytes);
	for (int i = 0; i < N; i++) {
		assert_int_equal(strtol(at + PREFIX, NULL, 10), i);
		at = strchr(at, '\n') + 1;
	}
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* ---- 42: the connection breaks ---- */

enum { SENT_LINES = 3, SENT_BYTES = SENT_LINES * LINE };

static void turn_all(struct cw_instance *selves, struct receiver *receivers, int n)
{
	for (int i = 0; i < n; i++) {
		uv_run(&selves[i].loop, UV_RUN_NOWAIT);
		receiver_turn(&receivers[i]);
	}
	uv_sleep(1);
}

/* One receiver for each byte of a send, which closes its first connection after it. */
static void cut_at_each_byte(bool resets)
{
	enum { N = SENT_BYTES + 1 };
	struct cw_instance *selves = calloc(N, sizeof(*selves));
	struct receiver *receivers = calloc(N, sizeof(*receivers));
	int done = 0, most;
	for (int i = 0; i < N; i++) {
		receiver_open(&receivers[i]);
		receivers[i].closes = 1;
		receivers[i].closes_after = (size_t)i;
		receivers[i].resets = resets;
		start_for(&selves[i], &receivers[i], NULL);
		write_batch(&selves[i], SENT_LINES);
	}
	for (uint64_t end = uv_hrtime() + DEADLINE_MS * 1000000ull; done < N && uv_hrtime() < end;) {
		turn_all(selves, receivers, N);
		done = 0;
		for (int i = 0; i < N; i++)
			done += selves[i].write_is_done && selves[i].write_status == 0;
	}
	assert_int_equal(done, N);
	for (int i = 0; i < N; i++) {
		receiver_turn(&receivers[i]);
		if (!has_all(&receivers[i], SENT_LINES, &most))
			fail_msg("cut after %d bytes: a line is missing", i);
		assert_true(receivers[i].count == 2 && most <= 2);
		plugin_host_stop(&selves[i]);
		receiver_release(&receivers[i]);
	}
	free(selves);
	free(receivers);
}

static void fault_42_a_connection_closed_at_any_byte__loses_no_line_and_glues_none(void **state)
{
	(void)state;
	cut_at_each_byte(/* resets */ false);
}

static void fault_42_a_connection_reset_at_any_byte__loses_no_line_and_glues_none(void **state)
{
	(void)state;
	cut_at_each_byte(/* resets */ true);
}

/* Acknowledged by its kernel, and never read: sent again, though it was done. */
static void what_the_receiver_had_not_read__is_sent_again(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	receiver.reads_nothing = true;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 100);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	receiver_close_all(&receiver); /* killed */
	receiver.reads_nothing = false;
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 2});
	write_batch(&self, 100);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(receiver.connections[0].bytes.length, 0);
	assert_true(has_all(&receiver, 100, &most));
	assert_int_equal(most, 2);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void with_resend_0__only_what_was_not_acknowledged_is_sent_again(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	start_for(&self, &receiver, "resend=0");
	write_batch(&self, 10);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	receiver_close_all(&receiver);
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 2});
	write_batch(&self, 1);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_true(has_all(&receiver, 10, &most));
	assert_int_equal(most, 2); /* the one line of the second batch */
	assert_int_equal(receiver.connections[1].bytes.length, LINE);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* A load balancer without servers: it takes connections, and data, and closes. */
static void who_closes_each_connection_at_once__has_not_got_the_batch(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	receiver.closes = 2;
	receiver.closes_after = 0;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 100);
	wait_until(
		&self,
		(struct until){.receiver = &receiver, .connections = 1, .state = CW_DOWN, .reason = "the other side"});
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true, .connections = 3});
	assert_true(has_all(&receiver, 100, &most));
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* Also if nothing is to be sent: else it would be dialled again and again without a pause. */
static void who_closes_each_connection_at_once__is_left_alone_for_a_while(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	receiver_open(&receiver);
	receiver.closes = 3;
	receiver.closes_after = 0;
	start_for(&self, &receiver, NULL);
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_DOWN, .reason = "the other side"});
	assert_int_equal(receiver.count, 1);
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 4, .state = CW_UP, .reason = ""});
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void a_connection_closed_while_idle__is_no_fault(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	start_for(&self, &receiver, NULL);
	write_batch(&self, 3);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	plugin_host_wait(&self, holds, &(struct until){.receiver = &receiver, .connections = 99}, 1500); /* trusted */
	uint32_t changes = self.state_changes;
	receiver_close_all(&receiver);
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 2});
	assert_int_equal(self.state, CW_UP);
	assert_int_equal(self.state_changes, changes);
	assert_int_equal(self.errors, 0);
	write_batch(&self, 5);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_true(has_all(&receiver, 5, &most));
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void reconnect_every__changes_the_connection_and_loses_and_repeats_nothing(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	receiver_open(&receiver);
	start_for(&self, &receiver, "reconnect_every=1s");
	write_batch(&self, 10);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true, .connections = 3});
	assert_true(has_all(&receiver, 10, &most));
	assert_int_equal(most, 1);
	assert_int_equal(self.state, CW_UP);
	assert_int_equal(self.state_changes, 1);
	assert_int_equal(self.errors, 0);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* ---- 40: the receiver is dead, hung or slow ---- */

static void fault_40_a_dead_receiver__is_down_with_a_reason_and_gets_the_batch_on_return(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	char reason[128];
	receiver_open(&receiver);
	close(receiver.socket);
	receiver.socket = -1;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 10);
	snprintf(reason, sizeof(reason), "connection refused (127.0.0.1:%u): start the receiver, or mend `address`",
		 receiver.port);
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_DOWN, .reason = reason});
	assert_int_equal(plugin_host_examine(&self, "connection"), CW_CHECK_FAILED);
	assert_non_null(strstr(self.verdict_text, reason));
	assert_int_equal(plugin_host_examine(&self, "taken"), CW_CHECK_WARNING);
	receiver_listen(&receiver);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_UP, .reason = ""});
	assert_true(has_all(&receiver, 10, &most));
	assert_int_equal(most, 1);
	assert_true(self.errors >= 1);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void fault_40_a_hung_receiver__is_down_after_10_s_and_tried_anew_after_30(void **state)
{
	(void)state;
	enum { N = 200000 }; /* more than fits its kernel and ours */
	struct cw_instance self;
	struct receiver receiver;
	int most;
	hasten();
	receiver_open(&receiver);
	receiver.reads_nothing = true;
	start_for(&self, &receiver, NULL);
	write_batch(&self, N);
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_DOWN, .reason = "takes no data"});
	assert_int_equal(receiver.count, 1);
	assert_int_equal(plugin_host_examine(&self, "connection"), CW_CHECK_OK);
	assert_int_equal(plugin_host_examine(&self, "taken"), CW_CHECK_FAILED);
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 2});
	assert_int_equal(self.state, CW_DOWN); /* nobody knows yet whether it reads */
	receiver.reads_nothing = false;
	receiver.reads_a_turn = 5000;
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_UP, .reason = ""});
	assert_false(self.write_is_done); /* it is well because it takes, not because it has all */
	receiver.reads_a_turn = 0;
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_true(has_all(&receiver, N, &most));
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void fault_40_a_hung_receiver_that_comes_back_to_itself__gets_the_rest(void **state)
{
	(void)state;
	enum { N = 200000 };
	struct cw_instance self;
	struct receiver receiver;
	int most;
	hasten();
	receiver_open(&receiver);
	receiver.reads_nothing = true;
	start_for(&self, &receiver, NULL);
	write_batch(&self, N);
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_DOWN, .reason = "takes no data"});
	receiver.reads_nothing = false;
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_UP, .reason = ""});
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(receiver.count, 1);
	assert_true(has_all(&receiver, N, &most));
	assert_int_equal(most, 1);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void fault_40_while_we_slept__nobody_is_blamed(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	sleep_for(0);
	receiver_open(&receiver);
	receiver.reads_nothing = true;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 200000);
	struct until down = {.receiver = &receiver, .state = CW_DOWN, .reason = ""};
	assert_false(plugin_host_wait(&self, holds, &down, 1500)); /* a beat, and data waits */
	sleep_for(25 * CW_SECOND);
	assert_false(plugin_host_wait(&self, holds, &down, 1500)); /* the next beat */
	assert_int_equal(self.state, CW_UP);
	receiver.reads_nothing = false;
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(self.errors, 0);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void fault_40_a_hung_receiver__does_not_hold_up_the_stop(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	receiver_open(&receiver);
	receiver.reads_nothing = true;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 200000);
	wait_until(&self, (struct until){.receiver = &receiver, .connections = 1});
	uint64_t before = uv_hrtime();
	plugin_host_stop(&self); /* aborts if a handle is left */
	assert_true(uv_hrtime() - before < 5000000000ull);
	assert_false(self.write_is_done);
	receiver_release(&receiver);
}

static void fault_40_a_slow_receiver__is_degraded_until_it_is_not(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	hasten();
	receiver_open(&receiver);
	receiver.reads_a_turn = 500;
	start_for(&self, &receiver, NULL);
	write_batch(&self, 200000);
	wait_until(&self, (struct until){.receiver = &receiver, .state = CW_DEGRADED, .reason = "is slow: it takes"});
	receiver.reads_a_turn = 0;
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(self.state, CW_DEGRADED);
	write_batch(&self, 10);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true, .state = CW_UP, .reason = ""});
	assert_true(has_all(&receiver, 200000, &most));
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void a_name_with_two_addresses__is_tried_at_the_second(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	char address[64];
	receiver_open(&receiver);
	snprintf(address, sizeof(address), "unreachable-then-local:%u", receiver.port);
	start(&self, address, NULL, NULL);
	write_batch(&self, 3);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(plugin_host_examine(&self, "name"), CW_CHECK_OK);
	assert_string_equal(self.verdict_text, "unreachable-then-local has 2 addresses");
	assert_int_equal(plugin_host_examine(&self, "connection"), CW_CHECK_OK);
	assert_int_equal(plugin_host_examine(&self, "taken"), CW_CHECK_OK);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* A listener whose backlog is full lets a connection wait. */
static void an_address_that_does_not_answer__is_given_3_s(void **state)
{
	(void)state;
	enum { WAITING = 8 };
	struct cw_instance self;
	struct receiver full = {.socket = -1};
	int waiting[WAITING];
	full.port = 0;
	int listener = open_socket(SOCK_STREAM, &full.port);
	assert_int_equal(listen(listener, 0), 0);
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(full.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < WAITING; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(waiting[i], (struct sockaddr *)&to, sizeof(to));
	}
	uint64_t before = uv_hrtime();
	start_for(&self, &full, NULL);
	wait_until(&self, (struct until){.receiver = &full, .state = CW_DOWN, .reason = "no answer within 3 s"});
	assert_true(uv_hrtime() - before >= 2900000000ull);
	plugin_host_stop(&self);
	for (int i = 0; i < WAITING; i++)
		close(waiting[i]);
	close(listener);
}

static void a_name_that_is_none__is_down_and_says_which(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver nobody = {.socket = -1};
	start(&self, "nowhere.invalid", NULL, NULL);
	wait_until(
		&self,
		(struct until){.receiver = &nobody, .state = CW_DOWN, .reason = "no such host name (nowhere.invalid)"});
	assert_int_equal(plugin_host_examine(&self, "name"), CW_CHECK_FAILED);
	plugin_host_stop(&self);
}

/* ---- UDP ---- */

static void udp_open(struct receiver *receiver)
{
	*receiver = (struct receiver){.socket = -1};
	receiver->socket = open_socket(SOCK_DGRAM, &receiver->port);
}

static void udp__sends_whole_lines_in_datagrams_of_at_most_1428_bytes(void **state)
{
	(void)state;
	enum { N = 10000 };
	struct cw_instance self;
	struct receiver receiver;
	int most;
	udp_open(&receiver);
	start_for(&self, &receiver, "protocol=udp");
	write_batch(&self, N);
	wait_until(&self, (struct until){.receiver = &receiver, .udp = true, .is_done = true});
	assert_true(has_all(&receiver, N, &most));
	assert_int_equal(most, 1);
	assert_true(receiver.longest_datagram <= 1428 && receiver.longest_datagram > 1300);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void udp__that_is_refused__is_down_and_is_sent_again_on_return(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	int most;
	udp_open(&receiver);
	close(receiver.socket);
	receiver.socket = -1;
	start_for(&self, &receiver, "protocol=udp");
	write_batch(&self, 100);
	wait_until(
		&self,
		(struct until){.receiver = &receiver, .udp = true, .state = CW_DOWN, .reason = "connection refused"});
	assert_false(self.write_is_done);
	receiver.socket = open_socket(SOCK_DGRAM, &receiver.port);
	wait_until(&self, (struct until){.receiver = &receiver, .udp = true, .is_done = true});
	wait_until(&self, (struct until){.receiver = &receiver, .udp = true, .state = CW_UP, .reason = ""});
	assert_true(has_all(&receiver, 100, &most));
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

/* ---- what cannot be sent, and options ---- */

static void what_collides__is_dropped_and_the_rest_is_sent(void **state)
{
	(void)state;
	struct cw_instance self;
	struct receiver receiver;
	struct batch_builder *builder = batch_builder_new("h", "calls", CW_SECOND, NULL, 0);
	static const char *const names[] = {"a.b", "a b", "a\nb 1 2\nevil", "a;b", "c"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		batch_add(builder, &active, &names[i], 1700000000 * CW_SECOND, CW_INTEGER, 0, 1, NULL);
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	receiver_open(&receiver);
	start_for(&self, &receiver, NULL);
	assert_int_equal(plugin_host_write(&self, batch), CW_LATER);
	batch_unref(batch);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(self.dropped[CW_DROP_COLLISION], 2);
	assert_int_equal(self.dropped[CW_DROP_INVALID], 0);
	buffer_bytes(&receiver.connections[0].bytes, "", 1);
	assert_string_equal(buffer_text(&receiver.connections[0].bytes),
			    "callwatch.h.calls.calls_active.a_b 1 1700000000\n"
			    "callwatch.h.calls.calls_active.a_b_1_2_evil 1 1700000000\n"
			    "callwatch.h.calls.calls_active.c 1 1700000000\n");
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void a_batch_without_lines__is_done_too(void **state)
{
	(void)state;
	static const struct cw_metric total = {.name = "calls_total", .kind = CW_COUNTER};
	struct cw_instance self;
	struct receiver receiver;
	struct batch_builder *builder = batch_builder_new("h", "calls", CW_SECOND, NULL, 0);
	batch_add(builder, &total, NULL, 1700000000 * CW_SECOND, CW_INTEGER, 0, 1, NULL);
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	receiver_open(&receiver);
	start_for(&self, &receiver, "counters=rate");
	assert_int_equal(plugin_host_write(&self, batch), CW_LATER);
	batch_unref(batch);
	wait_until(&self, (struct until){.receiver = &receiver, .is_done = true});
	assert_int_equal(receiver.connections[0].bytes.length, 0);
	plugin_host_stop(&self);
	receiver_release(&receiver);
}

static void options__that_cannot_be__are_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *settings[4], *words;
	} cases[] = {
		{{"address=relay:2003"}, ""},
		{{"address=[::1]:2003", "prefix=servers.eu", "tags=true"}, ""},
		{{"address=relay:70000"}, "address: "},
		{{"address=relay", "prefix=a..b"}, "prefix: two dots"},
		{{"address=relay", "template={metric}.{labels}.{who}"}, "template: `{who}`: there are {prefix}"},
		{{"address=relay", "template={instance}.{metric}"}, "template: {metric} and {labels} must be in it"},
		{{"address=relay", "template={metric}.{labels}"}, "template: without {instance}"},
		{{"address=relay", "template={metric}.{labels}.{instance}", "tags=true"},
		 "template: with `tags: true`"},
		{{"address=relay", "rate=100"}, "rate: is for `protocol: udp`"},
		{{"address=relay", "protocol=udp", "rate=100"}, ""},
		{{"address=relay", "protocol=udp", "reconnect_every=1m"}, "reconnect_every: there is no connection"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char problems[512];
		plugin_host_check(&cw_plugin, cases[i].settings, problems, sizeof(problems));
		if (*cases[i].words ? strstr(problems, cases[i].words) != problems : *problems)
			fail_msg("%s %s: %s", cases[i].settings[0], cases[i].settings[1] ? cases[i].settings[1] : "",
				 problems);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch__arrives_and_is_done_when_the_receiver_has_it),
		cmocka_unit_test(a_large_batch__through_a_slow_reader__arrives_whole_once_and_in_order),
		cmocka_unit_test(fault_42_a_connection_closed_at_any_byte__loses_no_line_and_glues_none),
		cmocka_unit_test(fault_42_a_connection_reset_at_any_byte__loses_no_line_and_glues_none),
		cmocka_unit_test(what_the_receiver_had_not_read__is_sent_again),
		cmocka_unit_test(with_resend_0__only_what_was_not_acknowledged_is_sent_again),
		cmocka_unit_test(who_closes_each_connection_at_once__has_not_got_the_batch),
		cmocka_unit_test(who_closes_each_connection_at_once__is_left_alone_for_a_while),
		cmocka_unit_test(a_connection_closed_while_idle__is_no_fault),
		cmocka_unit_test(reconnect_every__changes_the_connection_and_loses_and_repeats_nothing),
		cmocka_unit_test(fault_40_a_dead_receiver__is_down_with_a_reason_and_gets_the_batch_on_return),
		cmocka_unit_test_teardown(fault_40_a_hung_receiver__is_down_after_10_s_and_tried_anew_after_30,
					  unhurry),
		cmocka_unit_test_teardown(fault_40_a_hung_receiver_that_comes_back_to_itself__gets_the_rest, unhurry),
		cmocka_unit_test_teardown(fault_40_while_we_slept__nobody_is_blamed, unhurry),
		cmocka_unit_test(fault_40_a_hung_receiver__does_not_hold_up_the_stop),
		cmocka_unit_test_teardown(fault_40_a_slow_receiver__is_degraded_until_it_is_not, unhurry),
		cmocka_unit_test(a_name_with_two_addresses__is_tried_at_the_second),
		cmocka_unit_test(an_address_that_does_not_answer__is_given_3_s),
		cmocka_unit_test(a_name_that_is_none__is_down_and_says_which),
		cmocka_unit_test(udp__sends_whole_lines_in_datagrams_of_at_most_1428_bytes),
		cmocka_unit_test(udp__that_is_refused__is_down_and_is_sent_again_on_return),
		cmocka_unit_test(what_collides__is_dropped_and_the_rest_is_sent),
		cmocka_unit_test(a_batch_without_lines__is_done_too),
		cmocka_unit_test(options__that_cannot_be__are_refused_with_the_reason),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
