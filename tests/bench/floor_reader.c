/* SPDX-License-Identifier: MIT
 *
 * What reading all calls costs without callwatch: a bare hiredis loop that keeps nothing.
 *
 *   floor_reader SOCKET pipelined    SCAN COUNT 1000, then the page's HMGET and GETRANGE in one pipeline: the commands
 * of redis-calls floor_reader SOCKET one-by-one   SCAN COUNT 100, then HGETALL and GET for each call, one round trip
 * each: the platform's reader
 *
 * Prints `calls seconds cpu_seconds`, seconds being wall time of the reading alone.
 */
#include <hiredis/hiredis.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static redisReply *must(redisContext *redis, void *reply)
{
	if (!reply) {
		fprintf(stderr, "floor_reader: %s\n", redis->errstr);
		exit(1);
	}
	return reply;
}

static redisReply *next_reply(redisContext *redis)
{
	void *reply = NULL;
	if (redisGetReply(redis, &reply) != REDIS_OK)
		must(redis, NULL);
	return must(redis, reply);
}

static void read_page_pipelined(redisContext *redis, const redisReply *keys)
{
	for (size_t i = 0; i < keys->elements; i++) {
		const char *key = keys->element[i]->str;
		redisAppendCommand(
			redis, "HMGET %s business_id from_phone_number to_phone_number start_time call_log_id", key);
		redisAppendCommand(redis, "GETRANGE call_heartbeat:%s 0 63", key + strlen("call_ctx:"));
	}
	for (size_t i = 0; i < 2 * keys->elements; i++)
		freeReplyObject(next_reply(redis));
}

static void read_page_one_by_one(redisContext *redis, const redisReply *keys)
{
	for (size_t i = 0; i < keys->elements; i++) {
		const char *key = keys->element[i]->str;
		freeReplyObject(must(redis, redisCommand(redis, "HGETALL %s", key)));
		freeReplyObject(must(redis, redisCommand(redis, "GET call_heartbeat:%s", key + strlen("call_ctx:"))));
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[2], "pipelined") && strcmp(argv[2], "one-by-one"))) {
		fprintf(stderr, "usage: floor_reader SOCKET pipelined|one-by-one\n");
		return 2;
	}
	bool pipelined = strcmp(argv[2], "pipelined") == 0;
	redisContext *redis = redisConnectUnix(argv[1]);
	if (!redis || redis->err) {
		fprintf(stderr, "floor_reader: cannot connect to %s\n", argv[1]);
		return 1;
	}
	double began = seconds_of(CLOCK_MONOTONIC);
	unsigned long long calls = 0;
	char cursor[32] = "0";
	do {
		redisReply *page = must(redis, redisCommand(redis, "SCAN %s MATCH call_ctx:* COUNT %d", cursor,
							    pipelined ? 1000 : 100));
		snprintf(cursor, sizeof cursor, "%s", page->element[0]->str);
		const redisReply *keys = page->element[1];
		if (pipelined)
			read_page_pipelined(redis, keys);
		else
			read_page_one_by_one(redis, keys);
		calls += keys->elements;
		freeReplyObject(page);
	} while (strcmp(cursor, "0") != 0);
	printf("%llu %.6f %.6f\n", calls, seconds_of(CLOCK_MONOTONIC) - began, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
	redisFree(redis);
	return 0;
}
