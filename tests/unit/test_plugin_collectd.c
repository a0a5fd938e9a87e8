/* SPDX-License-Identifier: MIT
 *
 * Output collectd with a host of ours and a collectd that is a few lines here: what is written, what of the answers is
 * held against it, what is said when there is nobody. What needs seconds, or a real collectd, is in
 * tests/system/test_collectd.py.
 */
#include "batch.h"
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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, LINES_BYTES = 4 << 20 };

static const char success[] = "0 Success: 1 value has been dispatched.\n";
static const char unknown[] = "-1 Unknown command: PING\n";

/* ---- a collectd of our own, served whenever the test waits ---- */

static struct server {
	char path[64];
	int listener, client;
	/* The reply to line number i (from 0, of this connection); NULL: none, and none after it for now. */
	const char *(*reply)(uint32_t i, const char *line);
	char *lines; /* all that was received on this connection */
	size_t length, answered_to;
	uint32_t answered, connections;
	size_t cut_at; /* hangs up when it has read so many bytes of a connection; 0: never */
} server;

static const char *reply_well(uint32_t i, const char *line)
{
	(void)i;
	return strncmp(line, "PUTVAL ", 7) == 0 ? success : unknown;
}

static void listen_here(const char *(*reply)(uint32_t i, const char *line))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memset(&server, 0, sizeof(server));
	server.client = -1;
	server.reply = reply;
	server.lines = calloc(1, LINES_BYTES);
	snprintf(server.path, sizeof(server.path), "/tmp/cw-collectd-%d", (int)getpid());
	unlink(server.path);
	memcpy(address.sun_path, server.path, strlen(server.path) + 1);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server.listener, 5), 0);
}

static void hang_up(void)
{
	close(server.client);
	server.client = -1;
	server.length = server.answered_to = server.answered = 0;
}

static void end_server(void)
{
	if (server.client >= 0)
		hang_up();
	close(server.listener);
	unlink(server.path);
	free(server.lines);
}

static void answer_lines(void)
{
	char *end;
	while (server.client >= 0 &&
	       (end = memchr(server.lines + server.answered_to, '\n', server.length - server.answered_to))) {
		char line[1100];
		size_t length = (size_t)(end - (server.lines + server.answered_to));
		assert_true(length < 1024);
		memcpy(line, server.lines + server.answered_to, length);
		line[length] = '\0';
		const char *reply = server.reply(server.answered, line);
		if (!reply || server.client < 0)
			return;
		if (write(server.client, reply, strlen(reply)) < 0)
			return; /* the plugin has hung up */
		server.answered++;
		server.answered_to += length + 1;
	}
}

static void serve(void)
{
	if (server.client < 0) {
		server.client = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		server.connections += server.client >= 0;
	}
	ssize_t n = 0;
	size_t most = server.cut_at ? server.cut_at : LINES_BYTES;
	while (server.client >= 0 && (n = read(server.client, server.lines + server.length, most - server.length)) > 0)
		server.length += (size_t)n;
	answer_lines();
	if (server.client >= 0 && n == 0) /* the other side has closed it, or it is to be cut here */
		hang_up();
}

static uint32_t lines_received(void)
{
	uint32_t n = 0;
	for (size_t i = 0; i < server.length; i++)
		n += server.lines[i] == '\n';
	return n;
}

/* ---- the plugin ---- */

static struct cw_instance instance;

static void start(const char *setting)
{
	assert_int_equal(plugin_host_start(&instance, &cw_plugin, /* once */ false, (const char *[]){setting, NULL}),
			 0);
}

static void start_on_server(void)
{
	char setting[80];
	snprintf(setting, sizeof(setting), "socket=%s", server.path);
	start(setting);
}

typedef bool (*condition_fn)(struct cw_instance *self, const void *arg);

static void wait_for(condition_fn condition)
{
	if (!plugin_host_wait(&instance, condition, NULL, PATIENCE_MS))
		fail_msg("waited in vain; state %d: %s; %u lines received", instance.state, instance.reason,
			 lines_received());
}

static bool is_written(struct cw_instance *self, const void *arg)
{
	(void)arg;
	serve();
	return self->write_is_done;
}

static bool is_up(struct cw_instance *self, const void *arg)
{
	(void)arg;
	serve();
	return self->state == CW_UP || self->state == CW_DEGRADED;
}

static bool is_down(struct cw_instance *self, const void *arg)
{
	(void)arg;
	serve();
	return self->state == CW_DOWN;
}

static bool is_examined(struct cw_instance *self, const void *arg)
{
	(void)arg;
	serve();
	return self->examined;
}

/* Nothing more comes for a while: three rounds without a byte. */
static bool is_quiet(struct cw_instance *self, const void *arg)
{
	static size_t last;
	static int rounds;
	(void)self, (void)arg;
	serve();
	rounds = server.length == last ? rounds + 1 : 0;
	last = server.length;
	return rounds > 20 && server.length > 0;
}

static const struct cw_metric active = {.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health"}}};
static const double bounds[] = {1};
static const struct cw_metric delay = {
	.name = "delay_seconds", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 1};

/* The clock, turned forward by the test; real otherwise. */
static int64_t turned;

static int64_t turned_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * CW_SECOND + now.tv_nsec + turned;
}

static void turn_clock(int64_t by)
{
	static const struct clock_source source = {.now = turned_now, .wall = turned_now, .awake = turned_now};
	turned += by;
	clock_set_source(&source);
}

static const struct cw_batch *batch_of(uint32_t gauges, bool with_histogram)
{
	const uint64_t buckets[] = {1, 1};
	const struct cw_histogram histogram = {buckets, 2, 3};
	struct batch_builder *builder = batch_builder_new("web-1", "calls", 5 * CW_SECOND, NULL, 0);
	if (with_histogram)
		batch_add(builder, &delay, NULL, 1700000000 * CW_SECOND, CW_BUCKETS, 0, 0, &histogram);
	for (uint32_t i = 0; i < gauges; i++) {
		char label[16];
		snprintf(label, sizeof(label), "h%u", i);
		const char *labels[] = {label};
		batch_add(builder, &active, labels, 1700000000 * CW_SECOND, CW_DOUBLE, i + 0.5, 0, NULL);
	}
	const struct cw_batch *batch = batch_take(builder);
	batch_builder_free(builder);
	return batch;
}

/* Writes a batch and waits for its outcome. */
static int write_and_wait(uint32_t gauges, bool with_histogram)
{
	const struct cw_batch *batch = batch_of(gauges, with_histogram);
	int status = plugin_host_write(&instance, batch);
	if (status == CW_LATER) {
		wait_for(is_written);
		status = instance.write_status;
	}
	batch_unref(batch);
	return status;
}

/* ---- the socket ---- */

static void a_batch__is_sent_when_every_line_is_answered(void **state)
{
	(void)state;
	listen_here(reply_well);
	start_on_server();
	assert_int_equal(write_and_wait(2, false), 0);
	assert_string_equal(
		server.lines,
		"PING\n"
		"PUTVAL \"web-1/callwatch-calls/gauge-calls_active-h0\" interval=5.000 1700000000.000:0.5\n"
		"PUTVAL \"web-1/callwatch-calls/gauge-calls_active-h1\" interval=5.000 1700000000.000:1.5\n");
	assert_int_equal(instance.state, CW_UP);
	assert_string_equal(instance.reason, "");
	assert_int_equal(write_and_wait(1, false), 0);
	assert_int_equal(server.connections, 1);
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_but_the_third(uint32_t i, const char *line)
{
	return i == 3 ? "-1 1 Type `gau\x1bge' isn't defined.\n" : reply_well(i, line);
}

static const char *reply_badly(uint32_t i, const char *line)
{
	(void)i, (void)line;
	return "-1 not now\n";
}

static const char *reply_worse(uint32_t i, const char *line)
{
	(void)i, (void)line;
	return "-1 never\n";
}

static void what_collectd_refuses__is_dropped_and_the_others_go_on(void **state)
{
	(void)state;
	listen_here(reply_but_the_third);
	start_on_server();
	assert_int_equal(write_and_wait(10, false), 0);
	assert_int_equal(lines_received(), 11);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 1);
	assert_int_equal(instance.state, CW_DEGRADED);
	assert_string_equal(instance.reason,
			    "collectd refuses samples, first calls_active of calls: Type `gau\\x1bge' isn't defined.");
	assert_int_equal(write_and_wait(10, false), 0); /* all is well, but it was not a moment ago */
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 0);
	assert_int_equal(instance.state, CW_DEGRADED);
	turn_clock(61 * CW_SECOND);
	assert_int_equal(write_and_wait(10, false), 0);
	assert_int_equal(instance.state, CW_UP);
	server.reply = reply_badly;
	assert_int_equal(write_and_wait(10, false), 0);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 10);
	assert_non_null(strstr(instance.reason, "first calls_active of calls: not now"));
	turn_clock(61 * CW_SECOND);
	server.reply = reply_worse;
	assert_int_equal(write_and_wait(10, false), 0);
	assert_non_null(strstr(instance.reason, "first calls_active of calls: never"));
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_as_one_that_ends(uint32_t i, const char *line)
{
	(void)line;
	return i == 0 ? unknown : "-1 1 Type `gauge' isn't defined.\n";
}

static bool is_answered(struct cw_instance *self, const void *arg)
{
	(void)self;
	serve();
	return server.answered == *(const uint32_t *)arg;
}

static void what_a_collectd_refuses_that_is_shutting_down__is_offered_again(void **state)
{
	(void)state;
	const uint32_t all = 1 + 10;
	const struct cw_batch *batch = batch_of(10, false);
	listen_here(reply_as_one_that_ends);
	start_on_server();
	wait_for(is_up);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	assert_true(plugin_host_wait(&instance, is_answered, &all, PATIENCE_MS));
	hang_up();
	wait_for(is_written);
	assert_int_equal(instance.write_status, -EPIPE);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 0);
	assert_int_equal(instance.state, CW_DOWN);
	batch_unref(batch);
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_not_to_percentiles(uint32_t i, const char *line)
{
	return strstr(line, "_p") ? "-1 no\n" : reply_well(i, line);
}

static void a_histogram_refused_in_part__is_one_sample_dropped(void **state)
{
	(void)state;
	listen_here(reply_not_to_percentiles);
	start_on_server();
	assert_int_equal(write_and_wait(2, true), 0);
	assert_int_equal(lines_received(), 1 + 4 + 2);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 1);
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_to_the_greeting(uint32_t i, const char *line)
{
	return i == 0 ? reply_well(i, line) : NULL;
}

static void lines_without_answer__are_bounded(void **state)
{
	(void)state;
	enum { N = 20000 };
	const struct cw_batch *batch = batch_of(N, false);
	listen_here(reply_to_the_greeting);
	start_on_server();
	wait_for(is_up);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	wait_for(is_quiet);
	assert_in_range(lines_received(), 500, 1025);
	server.reply = reply_well;
	wait_for(is_written);
	assert_int_equal(instance.write_status, 0);
	assert_int_equal(lines_received(), N + 1);
	batch_unref(batch);
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_and_hang_up_at_the_fifth(uint32_t i, const char *line)
{
	if (i == 5 && server.connections == 1) {
		hang_up();
		return NULL;
	}
	return i == 2 ? "-1 no\n" : reply_well(i, line);
}

static void fault_42_a_connection_lost_in_mid_batch__offers_the_whole_again(void **state)
{
	(void)state;
	listen_here(reply_and_hang_up_at_the_fifth);
	start_on_server();
	assert_int_equal(write_and_wait(10, false), -EPIPE);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 0); /* nothing is settled */
	assert_int_equal(instance.state, CW_DOWN);
	assert_non_null(strstr(instance.reason, "collectd has closed the connection"));
	assert_int_equal(write_and_wait(1, false), -ENOTCONN);
	wait_for(is_up);
	assert_int_equal(write_and_wait(10, false), 0);
	assert_int_equal(lines_received(), 11);
	assert_int_equal(instance.dropped[CW_DROP_REFUSED], 1);
	plugin_host_stop(&instance);
	end_server();
}

static void connect_again(void)
{
	instance.examined = false;
	cw_plugin.examine(instance.plugin_state, /* connect */ 1); /* does not wait for the pause */
	wait_for(is_examined);
}

static void fault_42_a_connection_cut_at_each_byte__gives_whole_lines_afterwards(void **state)
{
	(void)state;
	listen_here(reply_well);
	start_on_server();
	assert_int_equal(write_and_wait(2, false), 0);
	size_t all = server.length;
	char *expected = strndup(server.lines, all);
	for (size_t cut = 1; cut < all; cut++) {
		server.cut_at = cut;
		hang_up();
		wait_for(is_down);
		connect_again();
		int status = write_and_wait(2, false);
		assert_true(status == -EPIPE || status == -ENOTCONN);
		server.cut_at = 0;
		connect_again();
		assert_int_equal(write_and_wait(2, false), 0);
		assert_int_equal(server.length, all);
		assert_memory_equal(server.lines, expected, all);
	}
	free(expected);
	plugin_host_stop(&instance);
	end_server();
}

static const char *reply_as_redis(uint32_t i, const char *line)
{
	(void)i, (void)line;
	return "+PONG\r\n";
}

static const char *reply_twice(uint32_t i, const char *line)
{
	return i == 0 ? reply_well(i, line) : "0 Success\n0 Success\n";
}

static void who_answers_as_no_collectd_does__is_told_from_it(void **state)
{
	(void)state;
	listen_here(reply_as_redis);
	start_on_server();
	wait_for(is_down);
	assert_non_null(strstr(instance.reason, "is not collectd"));
	plugin_host_stop(&instance);
	end_server();
	listen_here(reply_twice);
	start_on_server();
	assert_int_equal(write_and_wait(1, false), -EPIPE);
	assert_non_null(strstr(instance.reason, "is not collectd"));
	plugin_host_stop(&instance);
	end_server();
}

static void a_batch_that_comes_before_the_connection__waits_for_it(void **state)
{
	(void)state;
	const struct cw_batch *batch = batch_of(1, false);
	listen_here(reply_well);
	start_on_server();
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	assert_false(instance.write_is_done);
	wait_for(is_written);
	assert_int_equal(instance.write_status, 0);
	batch_unref(batch);
	plugin_host_stop(&instance);
	end_server();
}

static void fault_40_a_stop_in_mid_batch__leaves_nothing(void **state)
{
	(void)state;
	const struct cw_batch *batch = batch_of(20000, false);
	listen_here(reply_to_the_greeting);
	start_on_server();
	wait_for(is_up);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	wait_for(is_quiet);
	plugin_host_stop(&instance); /* fails if a handle is left */
	assert_false(instance.write_is_done);
	batch_unref(batch);
	end_server();
}

static void expect_down(const char *path, const char *reason)
{
	char setting[80];
	snprintf(setting, sizeof(setting), "socket=%s", path);
	start(setting);
	wait_for(is_down);
	if (!strstr(instance.reason, reason))
		fail_msg("%s: %s", path, instance.reason);
	plugin_host_stop(&instance);
}

static void a_way_that_is_closed__says_what_to_do(void **state)
{
	(void)state;
	char path[] = "/tmp/cw-collectd-XXXXXX";
	expect_down("/tmp/cw-collectd-is-not-here", "is collectd running, with LoadPlugin unixsock?");
	int fd = mkstemp(path);
	close(fd);
	expect_down(path, "is not a socket");
	expect_down("/tmp", "is not a socket");
	unlink(path);
	listen_here(reply_well);
	shutdown(server.listener, SHUT_RDWR); /* the file stays, nobody listens */
	expect_down(server.path, "connection refused: nobody listens at");
	end_server();
	if (geteuid() != 0)
		return; /* what follows needs the right to be somebody without rights */
	listen_here(reply_well);
	chmod(server.path, 0600);
	assert_int_equal(seteuid(65534), 0);
	expect_down(server.path, "SocketGroup \"callwatch\"");
	assert_int_equal(seteuid(0), 0);
	end_server();
}

static void examine(uint32_t check, enum cw_verdict verdict, const char *text)
{
	instance.examined = false;
	cw_plugin.examine(instance.plugin_state, check);
	wait_for(is_examined);
	if (instance.verdict != verdict || !strstr(instance.verdict_text, text))
		fail_msg("check %u: %d %s", check, instance.verdict, instance.verdict_text);
}

static void doctor__climbs_to_the_first_broken_rung(void **state)
{
	(void)state;
	listen_here(reply_but_the_third);
	start_on_server();
	wait_for(is_up);
	examine(0, CW_CHECK_OK, "is there");
	examine(1, CW_CHECK_OK, "connected to");
	examine(2, CW_CHECK_OK, "it answers; nothing was sent yet");
	server.reply = reply_well;
	assert_int_equal(write_and_wait(2, false), 0);
	examine(2, CW_CHECK_OK, "it answers; 2 values taken, the last ");
	hang_up();
	wait_for(is_down);
	examine(2, CW_CHECK_OK, "it answers"); /* it does not wait for the pause */
	server.reply = reply_but_the_third;
	assert_int_equal(write_and_wait(4, false), 0);
	examine(2, CW_CHECK_WARNING, "refuses samples, first calls_active of calls: ");
	end_server();
	wait_for(is_down);
	examine(0, CW_CHECK_FAILED, "no socket");
	examine(1, CW_CHECK_FAILED, "no socket");
	examine(2, CW_CHECK_FAILED, "no socket");
	plugin_host_stop(&instance);
}

/* ---- the network ---- */

/* *port 0: any, and then it says which. */
static int udp_receiver_at(const char *host, uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
	inet_pton(AF_INET, host, &address.sin_addr);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	getsockname(fd, (struct sockaddr *)&address, &size);
	*port = ntohs(address.sin_port);
	return fd;
}

static int udp_receiver(uint16_t *ret_port)
{
	*ret_port = 0;
	return udp_receiver_at("127.0.0.1", ret_port);
}

static void start_network(const char *host, uint16_t port, const char *rate)
{
	char address[80];
	snprintf(address, sizeof(address), "network.address=%s:%u", host, port);
	server.client = server.listener = -1;
	const char *settings[] = {address, rate, NULL};
	assert_int_equal(plugin_host_start(&instance, &cw_plugin, /* once */ false, settings), 0);
}

static bool is_network_written(struct cw_instance *self, const void *arg)
{
	(void)arg;
	return self->write_is_done;
}

static int write_to_network(uint32_t gauges)
{
	const struct cw_batch *batch = batch_of(gauges, false);
	int status = plugin_host_write(&instance, batch);
	batch_unref(batch);
	if (status != CW_LATER)
		return status;
	wait_for(is_network_written);
	return instance.write_status;
}

/* Values in the packets that wait; each values part is 00 06 00 0f 00 01. */
static uint32_t values_received(int fd, uint32_t *ret_packets)
{
	unsigned char packet[2000];
	uint32_t n = 0;
	ssize_t length;
	*ret_packets = 0;
	while ((length = recv(fd, packet, sizeof(packet), 0)) > 0) {
		assert_true(length <= 1452);
		(*ret_packets)++;
		for (ssize_t at = 0; at + 4 <= length; at += packet[at + 2] << 8 | packet[at + 3])
			n += packet[at] == 0 && packet[at + 1] == 6;
	}
	return n;
}

static void a_batch__is_sent_when_its_packets_are_out(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets;
	int fd = udp_receiver(&port);
	start_network("127.0.0.1", port, "network.rate=1000000");
	assert_int_equal(write_to_network(1000), 0);
	assert_int_equal(values_received(fd, &packets), 1000);
	assert_in_range(packets, 20, 40);
	assert_int_equal(instance.state, CW_UP);
	plugin_host_stop(&instance);
	close(fd);
}

/* A token's worth of packets at a time, whatever the loop's speed: all that waits was within one burst. */
static void packets__are_paced(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets, most = 0, values = 0;
	int fd = udp_receiver(&port);
	start_network("127.0.0.1", port, "network.rate=500");
	const struct cw_batch *batch = batch_of(3000, false);
	assert_int_equal(write_to_network(1), 0);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	while (!instance.write_is_done) {
		values += values_received(fd, &packets);
		most = packets > most ? packets : most;
		uv_run(&instance.loop, UV_RUN_ONCE);
	}
	values += values_received(fd, &packets);
	assert_int_equal(values, 3001);
	assert_in_range(most, 1, 25);
	batch_unref(batch);
	plugin_host_stop(&instance);
	close(fd);
}

static void nobody_at_the_port__is_down_and_nothing_is_sent(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets;
	close(udp_receiver(&port));
	start_network("127.0.0.1", port, NULL);
	assert_int_equal(write_to_network(100), -ECONNREFUSED);
	assert_int_equal(instance.state, CW_DOWN);
	assert_non_null(strstr(instance.reason, "connection refused: nobody listens at 127.0.0.1:"));
	int fd = udp_receiver(&port); /* most likely another port */
	plugin_host_stop(&instance);
	start_network("127.0.0.1", port, NULL);
	assert_int_equal(write_to_network(100), 0);
	assert_int_equal(values_received(fd, &packets), 100);
	close(fd); /* and it goes away again */
	assert_int_equal(write_to_network(100), -ECONNREFUSED);
	plugin_host_stop(&instance);
}

static void a_name_with_two_addresses__is_tried_by_each(void **state)
{
	(void)state;
	static const char *const names[] = {"unreachable-then-local", "refused-then-local"};
	for (int i = 0; i < 2; i++) {
		uint16_t port;
		uint32_t packets;
		int fd = udp_receiver(&port);
		start_network(names[i], port, NULL);
		assert_int_equal(write_to_network(100), 0);
		assert_int_equal(values_received(fd, &packets), 100);
		assert_int_equal(instance.state, CW_UP);
		plugin_host_stop(&instance);
		close(fd);
	}
}

/* Another machine's refusal needs its time to arrive. */
static void the_first_packet__goes_alone(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets;
	int fd = udp_receiver(&port);
	const struct cw_batch *batch = batch_of(1000, false);
	start_network("127.0.0.1", port, NULL);
	wait_for(is_up);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	values_received(fd, &packets);
	assert_int_equal(packets, 1);
	assert_false(instance.write_is_done);
	wait_for(is_network_written);
	values_received(fd, &packets);
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER); /* nobody objected */
	values_received(fd, &packets);
	assert_true(packets > 1);
	batch_unref(batch);
	plugin_host_stop(&instance);
	close(fd);
}

static void a_name_whose_address_changes__is_followed(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets;
	int old = udp_receiver(&port), new = udp_receiver_at("127.0.0.2", &port);
	start_network("127.0.0.1", port, NULL);
	assert_int_equal(write_to_network(10), 0);
	instance.resolves_to = "127.0.0.2";
	assert_int_equal(write_to_network(10), 0);
	assert_int_equal(values_received(old, &packets), 20); /* not yet: it was looked up a moment ago */
	turn_clock(61 * CW_SECOND);
	assert_int_equal(write_to_network(10), 0); /* asks, and does not wait for the answer */
	values_received(old, &packets);
	examine(0, CW_CHECK_OK, " is 127.0.0.2");
	assert_int_equal(write_to_network(10), 0);
	assert_int_equal(values_received(new, &packets), 10);
	instance.resolves_to = "nowhere";
	turn_clock(61 * CW_SECOND);
	assert_int_equal(write_to_network(10), 0);
	examine(0, CW_CHECK_FAILED, "no such host");
	assert_int_equal(write_to_network(10), 0); /* an address that nobody knows any more may still be right */
	assert_int_equal(values_received(new, &packets), 20);
	assert_int_equal(values_received(old, &packets), 0);
	assert_int_equal(instance.state, CW_UP);
	plugin_host_stop(&instance);
	close(old);
	close(new);
}

static void a_name_without_address__is_down(void **state)
{
	(void)state;
	start_network("no-such-host", 1, NULL);
	assert_int_equal(write_to_network(1), -ENOENT);
	assert_int_equal(instance.state, CW_DOWN);
	assert_non_null(strstr(instance.reason, "no such host (no-such-host:1): mend `address`, or the name server"));
	assert_int_equal(write_to_network(1), -EHOSTUNREACH);
	examine(0, CW_CHECK_FAILED, "no such host");
	examine(1, CW_CHECK_FAILED, "no such host");
	plugin_host_stop(&instance);
}

static void doctor__of_the_network(void **state)
{
	(void)state;
	uint16_t port;
	int fd = udp_receiver(&port);
	start_network("127.0.0.1", port, NULL);
	examine(0, CW_CHECK_OK, " is 127.0.0.1");
	examine(1, CW_CHECK_SKIPPED, "nothing was sent yet");
	assert_int_equal(write_to_network(1), 0);
	examine(1, CW_CHECK_OK, "packets sent to 127.0.0.1:");
	examine(2, CW_CHECK_SKIPPED, "has no answers: look there for testhost/callwatch-");
	close(fd);
	assert_int_equal(write_to_network(1), -ECONNREFUSED);
	examine(1, CW_CHECK_FAILED, "connection refused");
	plugin_host_stop(&instance);
}

/* The pause that was under way must not end as if there were something to send. */
static void doctor__in_the_pause_after_a_failed_look_up__takes_its_place(void **state)
{
	(void)state;
	uint16_t port;
	uint32_t packets;
	int fd = udp_receiver(&port);
	start_network("no-such-host", port, NULL);
	wait_for(is_down);
	instance.resolves_to = "127.0.0.1";
	examine(0, CW_CHECK_OK, " is 127.0.0.1");
	assert_int_equal(instance.state, CW_UP);
	uv_run(&instance.loop, UV_RUN_DEFAULT); /* until nothing is waited for any more */
	assert_int_equal(write_to_network(10), 0);
	assert_int_equal(values_received(fd, &packets), 10);
	plugin_host_stop(&instance);
	close(fd);
}

static void a_stop__while_packets_wait__leaves_nothing(void **state)
{
	(void)state;
	uint16_t port;
	int fd = udp_receiver(&port);
	const struct cw_batch *batch = batch_of(1000, false);
	start_network("127.0.0.1", port, "network.rate=1");
	assert_int_equal(plugin_host_write(&instance, batch), CW_LATER);
	uv_run(&instance.loop, UV_RUN_ONCE);
	plugin_host_stop(&instance);
	batch_unref(batch);
	close(fd);
}

/* ---- the options ---- */

static void options__are_checked(void **state)
{
	(void)state;
	static const struct {
		const char *settings[6];
		const char *said; /* "": nothing */
	} cases[] = {
		{{"socket=/run/collectd-unixsock"}, ""},
		{{"network.address=h"}, ""},
		{{"network.address=[::1]:25826", "network.security=sign", "network.username=u", "network.password=p"},
		 ""},
		{{NULL}, "neither `socket` nor `network` is given"},
		{{"socket=/s", "network.address=h"}, "`socket` and `network` are two ways"},
		{{"socket=run/s"}, "absolute path"},
		{{"socket=/"
		  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
		  "78901234567"},
		 "107 bytes"},
		{{"network.address=h:0"}, "the port must be"},
		{{"network.address=h", "network.security=sign"}, "`sign` needs a username and a password"},
		{{"network.address=h", "network.security=encrypt", "network.username=u"}, "`encrypt` needs"},
		{{"network.address=h", "network.security=encrypt", "network.password=p"}, "`encrypt` needs"},
		{{"network.address=h", "network.username=u", "network.password=p"},
		 "`none` username and password are not used"},
		{{"network.address=h", "network.security=sign", "network.username=a:b", "network.password=p"},
		 "without colon"},
		{{"network.address=h", "network.security=sign", "network.username=u", "network.password="},
		 "it is empty"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char said[1024];
		plugin_host_check(&cw_plugin, cases[i].settings, said, sizeof(said));
		if (*cases[i].said ? !strstr(said, cases[i].said) : *said != '\0')
			fail_msg("case %zu: `%s`", i, said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch__is_sent_when_every_line_is_answered),
		cmocka_unit_test(what_collectd_refuses__is_dropped_and_the_others_go_on),
		cmocka_unit_test(what_a_collectd_refuses_that_is_shutting_down__is_offered_again),
		cmocka_unit_test(a_histogram_refused_in_part__is_one_sample_dropped),
		cmocka_unit_test(lines_without_answer__are_bounded),
		cmocka_unit_test(fault_42_a_connection_lost_in_mid_batch__offers_the_whole_again),
		cmocka_unit_test(fault_42_a_connection_cut_at_each_byte__gives_whole_lines_afterwards),
		cmocka_unit_test(who_answers_as_no_collectd_does__is_told_from_it),
		cmocka_unit_test(a_batch_that_comes_before_the_connection__waits_for_it),
		cmocka_unit_test(fault_40_a_stop_in_mid_batch__leaves_nothing),
		cmocka_unit_test(a_way_that_is_closed__says_what_to_do),
		cmocka_unit_test(doctor__climbs_to_the_first_broken_rung),
		cmocka_unit_test(a_batch__is_sent_when_its_packets_are_out),
		cmocka_unit_test(packets__are_paced),
		cmocka_unit_test(nobody_at_the_port__is_down_and_nothing_is_sent),
		cmocka_unit_test(a_name_with_two_addresses__is_tried_by_each),
		cmocka_unit_test(the_first_packet__goes_alone),
		cmocka_unit_test(a_name_whose_address_changes__is_followed),
		cmocka_unit_test(a_name_without_address__is_down),
		cmocka_unit_test(doctor__of_the_network),
		cmocka_unit_test(doctor__in_the_pause_after_a_failed_look_up__takes_its_place),
		cmocka_unit_test(a_stop__while_packets_wait__leaves_nothing),
		cmocka_unit_test(options__are_checked),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
