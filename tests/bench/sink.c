/* SPDX-License-Identifier: MIT
 *
 * sink: takes whatever is sent to it over TCP, as fast as it comes, and counts lines. What outputs are measured
 * against: a receiver that is never the slow one.
 *
 *     sink        prints its port; each line on stdin is answered by `<lines> <bytes> <connections>`; ends with stdin
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 64, STDIN, LISTENER, FIRST_PEER };

static struct {
	uint64_t lines, bytes, connections;
	struct pollfd fds[FIRST_PEER + PEERS_MAX];
	nfds_t count;
} sink;

static uint64_t count_newlines(const char *bytes, size_t length)
{
	uint64_t n = 0;
	for (size_t i = 0; i < length; i++)
		n += bytes[i] == '\n';
	return n;
}

static void open_listener(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) < 0 || listen(fd, PEERS_MAX) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &length) < 0) {
		perror("sink");
		exit(1);
	}
	sink.fds[STDIN] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	sink.fds[LISTENER] = (struct pollfd){.fd = fd, .events = POLLIN};
	sink.count = FIRST_PEER;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
}

static void take_connection(void)
{
	int fd = accept4(sink.fds[LISTENER].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (sink.count == FIRST_PEER + PEERS_MAX) {
		close(fd);
		return;
	}
	sink.connections++;
	sink.fds[sink.count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void take_bytes(nfds_t peer)
{
	static char bytes[1 << 20];
	ssize_t length = recv(sink.fds[peer].fd, bytes, sizeof(bytes), 0);
	if (length > 0) {
		sink.bytes += (uint64_t)length;
		sink.lines += count_newlines(bytes, (size_t)length);
	} else if (length == 0 || errno != EAGAIN) {
		close(sink.fds[peer].fd);
		sink.fds[peer] = sink.fds[--sink.count];
	}
}

int main(void)
{
	char line[256];
	open_listener();
	for (;;) {
		if (poll(sink.fds, sink.count, -1) < 0 && errno != EINTR)
			return 1;
		for (nfds_t i = sink.count; i-- > FIRST_PEER;)
			if (sink.fds[i].revents)
				take_bytes(i);
		if (sink.fds[LISTENER].revents)
			take_connection();
		if (!sink.fds[STDIN].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return 0;
		printf("%llu %llu %llu\n", (unsigned long long)sink.lines, (unsigned long long)sink.bytes,
		       (unsigned long long)sink.connections);
		fflush(stdout);
	}
}
