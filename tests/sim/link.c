/* SPDX-License-Identifier: MIT
 *
 * See link.h. Synchronous hiredis with its own pipelining: callsim has nothing to do while Redis works.
 */
#include "link.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { PIPELINE = 1000, RETRY_US = 500000 };

int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t monotonic_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One command before the pipeline; 0 if Redis said yes. */
static int ask(struct link *link, const char *what, const char *argument)
{
	redisReply *reply = redisCommand(link->context, "%s %s", what, argument);
	int rc = reply && reply->type != REDIS_REPLY_ERROR ? 0 : -EACCES;
	if (rc < 0) {
		snprintf(link->error, sizeof link->error, "%s: %s", what, reply ? reply->str : link->context->errstr);
	}
	freeReplyObject(reply);
	return rc;
}

static redisContext *dial(const char *url, char password[256], int *ret_db)
{
	const struct timeval limit = {.tv_sec = 2};
	char host[256];
	*ret_db = 0;
	const char *auth = getenv("REDISCLI_AUTH");
	snprintf(password, 256, "%s", auth ? auth : "");
	if (!strncmp(url, "unix://", 7)) {
		snprintf(host, sizeof host, "%s", url + 7);
		char *query = strchr(host, '?');
		if (query) {
			*query = '\0';
			*ret_db = !strncmp(query + 1, "db=", 3) ? atoi(query + 4) : 0;
		}
		return redisConnectUnixWithTimeout(host, limit);
	}
	if (strncmp(url, "redis://", 8) != 0) {
		return NULL;
	}
	snprintf(host, sizeof host, "%s", url + 8);
	char *name = host, *at = strrchr(host, '@');
	if (at) {
		*at = '\0';
		char *colon = strchr(host, ':');
		snprintf(password, 256, "%s", colon ? colon + 1 : host);
		name = at + 1;
	}
	char *slash = strchr(name, '/');
	if (slash) {
		*slash = '\0';
		*ret_db = atoi(slash + 1);
	}
	char *colon = strrchr(name, ':');
	int port = 6379;
	if (colon) {
		*colon = '\0';
		port = atoi(colon + 1);
	}
	return redisConnectWithTimeout(name, port, limit);
}

static void drop(struct link *link)
{
	if (link->context) {
		snprintf(link->error, sizeof link->error, "%s", link->context->errstr);
		redisFree(link->context);
	}
	link->context = NULL;
	link->lost += link->pending;
	link->pending = 0;
	link->next_try_us = monotonic_us() + RETRY_US;
}

static int connect_now(struct link *link)
{
	char password[256], number[16];
	int db;
	link->context = dial(link->url, password, &db);
	if (!link->context) {
		snprintf(link->error, sizeof link->error, "not a redis:// or unix:// URL");
		return -EINVAL;
	}
	snprintf(number, sizeof number, "%d", db);
	if (link->context->err ||
	    redisSetTimeout(link->context, (struct timeval){.tv_sec = LINK_PATIENCE_S}) != REDIS_OK) {
		drop(link);
		return -ECONNREFUSED;
	}
	if ((password[0] && ask(link, "AUTH", password) < 0) || (db && ask(link, "SELECT", number) < 0) ||
	    ask(link, "ECHO", "callsim") < 0) {
		char reason[sizeof link->error];
		memcpy(reason, link->error, sizeof reason);
		drop(link);
		memcpy(link->error, reason, sizeof reason);
		return -EACCES;
	}
	return 0;
}

void link_patience(struct link *link, int seconds)
{
	if (link->context)
		redisSetTimeout(link->context, (struct timeval){.tv_sec = seconds});
}

int link_open(struct link *link, const char *url)
{
	*link = (struct link){.url = url};
	return connect_now(link);
}

void link_close(struct link *link)
{
	if (link->context) {
		redisFree(link->context);
	}
	link->context = NULL;
}

bool link_ready(struct link *link)
{
	if (!link->context && monotonic_us() >= link->next_try_us) {
		connect_now(link);
	}
	return link->context;
}

void link_flush(struct link *link)
{
	for (; link->context && link->pending; link->pending--) {
		void *reply = NULL;
		if (redisGetReply(link->context, &reply) != REDIS_OK) {
			drop(link);
			return;
		}
		const redisReply *answer = reply;
		if (answer->type == REDIS_REPLY_ERROR) {
			link->refused++;
			snprintf(link->error, sizeof link->error, "%s", answer->str);
		}
		freeReplyObject(reply);
	}
}

void link_command(struct link *link, int argc, const char **argv, const size_t *lengths)
{
	if (!link_ready(link)) {
		link->lost++;
		return;
	}
	redisAppendCommandArgv(link->context, argc, argv, lengths);
	link->sent++;
	if (++link->pending >= PIPELINE) {
		link_flush(link);
	}
}
