/* SPDX-License-Identifier: MIT
 *
 * What receiving heartbeats costs without callwatch: a bare hiredis subscriber on libuv that throws them away.
 *
 *   floor_subscriber SOCKET CHANNEL COUNT
 *
 * Prints `ready` when subscribed, then after COUNT messages `messages seconds cpu_seconds`, measured from the first
 * message.
 */
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct counter {
	unsigned long long wanted, seen;
	double began, cpu_began;
};

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_message(redisAsyncContext *context, void *data, void *arg)
{
	(void)context;
	struct counter *counter = arg;
	const redisReply *reply = data;
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	if (strcmp(reply->element[0]->str, "subscribe") == 0) {
		puts("ready");
		fflush(stdout);
		return;
	}
	if (counter->seen++ == 0) {
		counter->began = seconds_of(CLOCK_MONOTONIC);
		counter->cpu_began = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	}
	if (counter->seen == counter->wanted) {
		printf("%llu %.6f %.6f\n", counter->seen, seconds_of(CLOCK_MONOTONIC) - counter->began,
		       seconds_of(CLOCK_PROCESS_CPUTIME_ID) - counter->cpu_began);
		fflush(stdout);
		exit(0);
	}
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: floor_subscriber SOCKET CHANNEL COUNT\n");
		return 2;
	}
	struct counter counter = {.wanted = strtoull(argv[3], NULL, 10)};
	redisAsyncContext *context = redisAsyncConnectUnix(argv[1]);
	if (!context || context->err) {
		fprintf(stderr, "floor_subscriber: cannot connect to %s\n", argv[1]);
		return 1;
	}
	redisLibuvAttach(context, uv_default_loop());
	redisAsyncCommand(context, on_message, &counter, "SUBSCRIBE %s", argv[2]);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return 1;
}
