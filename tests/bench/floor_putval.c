/* SPDX-License-Identifier: MIT
 *
 * floor_putval SOCKET VALUES SERIES: PUTVAL lines to collectd's UNIX socket as fast as it answers, from a client that
 * has all of them ready and does nothing else. Prints values a second. What output `collectd` is measured against.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE_ROOM = 128, WINDOW = 1000 };

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static long count_replies(int fd)
{
	char bytes[65536];
	ssize_t length = read(fd, bytes, sizeof(bytes));
	long n = 0;
	if (length <= 0)
		exit(1);
	for (ssize_t i = 0; i < length; i++)
		n += bytes[i] == '\n';
	return n;
}

/* Line i of the run, into a place for LINE_ROOM bytes. */
static size_t line(char *to, long i, long series, time_t start)
{
	return (size_t)snprintf(
		to, LINE_ROOM,
		"PUTVAL \"bench/callwatch-flood/gauge-flood_value-s%06ld\" interval=0.050 %lld.%03ld:%ld\n", i % series,
		(long long)start + i / series / 20, i / series % 20 * 50, i);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	long values = atol(argv[2]), series = atol(argv[3]), asked = 0, answered = 0;
	char *lines = malloc((size_t)values * LINE_ROOM), *end = lines, *next = lines;
	time_t start = time(NULL);
	for (long i = 0; lines && i < values; i++)
		end += line(end, i, series, start);
	int fd = connect_to(argv[1]);
	double began = now();
	while (lines && answered < values) {
		/* As many lines as the window has room for, in one write; not a few at a time, for small pieces fill
		 * the socket's buffer with their overhead, and then both sides wait for each other. */
		char *stop = next;
		bool refill = asked - answered <= WINDOW / 2;
		for (; refill && asked - answered < WINDOW && stop < end; asked++)
			stop = (char *)memchr(stop, '\n', (size_t)(end - stop)) + 1;
		while (next < stop) {
			ssize_t length = write(fd, next, (size_t)(stop - next));
			if (length < 0)
				return 1;
			next += length;
		}
		answered += count_replies(fd);
	}
	printf("%.0f\n", (double)values / (now() - began));
	free(lines);
	close(fd);
	return lines ? 0 : 1;
}
