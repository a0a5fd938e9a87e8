/* SPDX-License-Identifier: MIT
 *
 * redis-calls against a real Redis on a private UNIX socket, with a core that is none (plugin_host.h).
 */
#include "plugin_host.h"

#include "clock.h"

#include <hiredis/hiredis.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 60000 }; /* when a test has failed; it decides nothing else */

static struct {
	char folder[64], socket[96], url[128];
	pid_t pid;
	redisContext *client;
} server;

static struct cw_instance self;

/* ---- the server ---- */

static void connect_client(void)
{
	for (int i = 0; i < 3000; i++) {
		server.client = redisConnectUnix(server.socket);
		if (server.client && !server.client->err)
			return;
		redisFree(server.client);
		usleep(10000);
	}
	fail_msg("redis-server does not come up");
}

static void run_server(void)
{
	server.pid = fork();
	if (server.pid == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", server.socket, "--save", "",
		       "--dir", server.folder, "--loglevel", "warning", "--logfile", "redis.log", NULL);
		_exit(127);
	}
	connect_client();
}

static void stop_server(void)
{
	redisFree(server.client);
	server.client = NULL;
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
}

static int start_server(void **state)
{
	(void)state;
	strcpy(server.folder, "/tmp/callwatch-test-XXXXXX");
	if (!mkdtemp(server.folder))
		return -1;
	snprintf(server.socket, sizeof(server.socket), "%s/redis.sock", server.folder);
	snprintf(server.url, sizeof(server.url), "url=unix://%s", server.socket);
	run_server();
	return 0;
}

static int end_server(void **state)
{
	(void)state;
	char command[128];
	stop_server();
	snprintf(command, sizeof(command), "rm -rf %s", server.folder);
	return system(command);
}

static void __attribute__((format(printf, 1, 2))) redis(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	redisReply *reply = redisvCommand(server.client, format, list);
	va_end(list);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("redis: %s", reply->str);
	freeReplyObject(reply);
}

static double wall_s(void)
{
	return (double)clock_wall() / 1e9;
}

/* A call that began and beat so many seconds ago; beat_ago < 0: it never beat. */
static void make_call(const char *sid, double began_ago, double beat_ago)
{
	char start[64];
	time_t began = (time_t)(wall_s() - began_ago);
	struct tm tm;
	gmtime_r(&began, &tm);
	strftime(start, sizeof(start), "%Y-%m-%dT%H:%M:%S", &tm);
	redis("HSET call_ctx:%s business_id b-1 from_phone_number +14155550132 to_phone_number +14155550199 start_time "
	      "%s "
	      "call_log_id l-1 worker_id w-7",
	      sid, start);
	if (beat_ago >= 0)
		redis("SET call_heartbeat:%s %.3f", sid, wall_s() - beat_ago);
}

/* ---- waiting ---- */

static bool is_up(struct cw_instance *instance, const void *arg)
{
	(void)arg;
	return instance->state == CW_UP;
}

static bool is_down(struct cw_instance *instance, const void *arg)
{
	return instance->state == CW_DOWN && (!arg || strstr(instance->reason, arg));
}

struct expected {
	const char *key, *column, *value; /* value NULL: no row */
};

static bool has_cell(struct cw_instance *instance, const void *arg)
{
	const struct expected *expected = arg;
	const char *cell = plugin_host_cell(instance, "calls", expected->key, expected->column);
	return expected->value ? cell && strcmp(cell, expected->value) == 0 : !cell;
}

#define wait_for_cell(sid, column, value)                                                                              \
	assert_true(plugin_host_wait(&self, has_cell, &(struct expected){sid, column, value}, DEADLINE_MS))

static bool channels_up(struct cw_instance *instance, const void *arg)
{
	(void)arg;
	plugin_host_read(instance);
	return plugin_host_sample(instance, "channel_up", "call_heartbeat") == 1;
}

/* Keyspace events are subscribed to, as Redis sees it. */
static bool has_pattern(struct cw_instance *instance, const void *arg)
{
	(void)instance;
	(void)arg;
	redisReply *reply = redisCommand(server.client, "PUBSUB NUMPAT");
	bool has = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
	freeReplyObject(reply);
	return has;
}

static bool has_heard(struct cw_instance *instance, const void *arg)
{
	plugin_host_read(instance);
	return plugin_host_sample(instance, "heartbeats_total", "pubsub") >= *(const double *)arg;
}

#define wait_for_heard(n) assert_true(plugin_host_wait(&self, has_heard, &(double){n}, DEADLINE_MS))

static void start_with(bool once, const char *const *settings)
{
	const char *all[16] = {server.url};
	for (int i = 0; settings && settings[i]; i++)
		all[i + 1] = settings[i];
	assert_int_equal(plugin_host_start(&self, &cw_plugin, once, all), 0);
}

static void start_up(const char *const *settings)
{
	start_with(false, settings);
	assert_true(plugin_host_wait(&self, is_up, NULL, DEADLINE_MS));
	assert_true(plugin_host_wait(&self, channels_up, NULL, DEADLINE_MS));
}

static int flush(void **state)
{
	(void)state;
	if (!server.client)
		run_server(); /* a test failed while it was away */
	redis("FLUSHALL");
	redis("CONFIG SET notify-keyspace-events %s", "");
	return 0;
}

/* ---- what is read ---- */

static void once__reads_every_call_completely(void **state)
{
	(void)state;
	for (int i = 0; i < 2500; i++) {
		char sid[32];
		snprintf(sid, sizeof(sid), "CA%06d", i);
		make_call(sid, 30, i % 5 == 0 ? 90 : i % 5 == 1 ? 150 : 5);
	}
	start_with(true, NULL);
	assert_int_equal(plugin_host_read(&self), 0);
	assert_int_equal(self.state, CW_UP);
	assert_int_equal(plugin_host_rows(&self, "calls"), 2500);
	assert_true(plugin_host_sample(&self, "calls_active", "healthy") == 1500);
	assert_true(plugin_host_sample(&self, "calls_active", "warning") == 500);
	assert_true(plugin_host_sample(&self, "calls_active", "stale") == 500);
	assert_true(plugin_host_sample(&self, "calls_stale_ratio", NULL) == 0.2);
	assert_true(plugin_host_sample(&self, "calls_started_total", NULL) == 0);
	plugin_host_stop(&self);
}

static void a_row__shows_what_the_hash_says(void **state)
{
	(void)state;
	make_call("CA1", 100, 3);
	start_with(true, (const char *const[]){"extra_fields.worker=worker_id", NULL});
	assert_int_equal(plugin_host_read(&self), 0);
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "business_id"), "b-1");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "business_name"), "null");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "from_phone"), "+14155550132");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "to_phone"), "+14155550199");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "call_log_id"), "l-1");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "worker"), "w-7");
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "health_status"), "healthy");
	double duration = strtod(plugin_host_cell(&self, "calls", "CA1", "duration_seconds"), NULL);
	assert_true(duration > 98 && duration < 110);
	double age = strtod(plugin_host_cell(&self, "calls", "CA1", "heartbeat_age_seconds"), NULL);
	assert_true(age > 2.5 && age < 10);
	plugin_host_stop(&self);
}

static void a_call_that_never_beat__is_warning_then_stale_by_its_own_age(void **state)
{
	(void)state;
	make_call("young", 30, -1);
	make_call("old", 130, -1);
	start_with(true, NULL);
	assert_int_equal(plugin_host_read(&self), 0);
	assert_string_equal(plugin_host_cell(&self, "calls", "young", "health_status"), "warning");
	assert_string_equal(plugin_host_cell(&self, "calls", "old", "health_status"), "stale");
	assert_string_equal(plugin_host_cell(&self, "calls", "old", "last_heartbeat"), "null");
	assert_string_equal(plugin_host_cell(&self, "calls", "old", "heartbeat_age_seconds"), "null");
	plugin_host_stop(&self);
}

static void malformed__is_counted_by_kind_and_harms_nobody(void **state)
{
	(void)state;
	char long_sid[301];
	memset(long_sid, 'x', 300);
	long_sid[300] = '\0';
	make_call("good", 10, 1);
	redis("SET call_ctx:string 1");
	redis("HSET call_ctx:%s business_id b", long_sid);
	redis("HSET call_ctx:%s business_id b", "a\x1b[31m");
	redis("HSET call_ctx:other unknown x");
	redis("HSET call_ctx:times business_id b from_phone_number f to_phone_number t start_time yesterday");
	redis("SET call_heartbeat:times soon");
	redis("HSET call_ctx:future business_id b from_phone_number f to_phone_number t start_time "
	      "2099-01-01T00:00:00Z");
	redis("HSET call_ctx:bytes business_id %s from_phone_number %s to_phone_number t start_time "
	      "10000-01-01T00:00:00Z",
	      "\xff\xfe", "a\nb");
	redis("LPUSH call_heartbeat:bytes 1");
	redis("EVAL %s 0",
	      "redis.call('HSET', 'call_ctx:huge', 'business_id', 'b', 'start_time', string.rep('x', 3000000))");
	start_with(true, NULL);
	assert_int_equal(plugin_host_read(&self), 0);
	assert_string_equal(plugin_host_cell(&self, "calls", "good", "health_status"), "healthy");
	assert_int_equal(plugin_host_rows(&self, "calls"), 6);
	assert_string_equal(plugin_host_cell(&self, "calls", "other", "business_id"), "null");
	assert_string_equal(plugin_host_cell(&self, "calls", "times", "start_time"), "null");
	assert_string_equal(plugin_host_cell(&self, "calls", "huge", "business_id"), "b");
	assert_string_equal(plugin_host_cell(&self, "calls", "huge", "start_time"), "null");
	assert_true(plugin_host_sample(&self, "malformed_total", "wrong_type") == 2);
	assert_true(plugin_host_sample(&self, "malformed_total", "key_too_long") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "bad_key") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "bad_number") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "bad_time") == 2);
	assert_true(plugin_host_sample(&self, "malformed_total", "future_time") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "bad_utf8") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "control_chars") == 1);
	assert_true(plugin_host_sample(&self, "malformed_total", "too_large") == 1);
	assert_null(strchr(self.log, '\x1b'));
	plugin_host_stop(&self);
}

/* ---- what happens ---- */

static void a_heartbeat_message__makes_a_stale_call_healthy(void **state)
{
	(void)state;
	make_call("CA1", 300, 200);
	start_up(NULL);
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "health_status"), "stale");
	redis("PUBLISH call_heartbeat CA1");
	wait_for_cell("CA1", "health_status", "healthy");
	plugin_host_stop(&self);
}

static void a_heartbeat_of_an_unknown_call__fetches_it(void **state)
{
	(void)state;
	start_up(NULL);
	make_call("CAnew", 1, 0);
	redis("PUBLISH call_heartbeat %s", "{\"call_sid\": \"CAnew\", \"timestamp\": 1761480000.5}");
	wait_for_cell("CAnew", "health_status", "healthy");
	plugin_host_read(&self);
	assert_true(plugin_host_sample(&self, "calls_started_total", NULL) == 1);
	plugin_host_stop(&self);
}

static void keyspace_events__show_births_and_deaths_at_once(void **state)
{
	(void)state;
	redis("CONFIG SET notify-keyspace-events KA");
	start_up((const char *const[]){"sweep.max_age=1h", NULL});
	assert_true(plugin_host_wait(&self, has_pattern, NULL, DEADLINE_MS));
	make_call("CAborn", 1, 0);
	wait_for_cell("CAborn", "health_status", "healthy");
	redis("DEL call_ctx:CAborn call_heartbeat:CAborn");
	wait_for_cell("CAborn", "health_status", NULL);
	plugin_host_read(&self);
	assert_true(plugin_host_sample(&self, "calls_ended_total", "healthy") == 1);
	plugin_host_stop(&self);
}

/* The key of `beats` moves all the time, and no message says so. Its values are ahead of the clock, so that a sign of
 * life is as old as its reading, however long we were kept from it. */
static bool is_silent_while_other_beats(struct cw_instance *instance, const void *arg)
{
	redis("SET call_heartbeat:beats %.3f", wall_s() + 30);
	if (strcmp(plugin_host_cell(instance, "calls", "beats", "health_status"), "healthy") != 0)
		fail_msg("judged without asking");
	return has_cell(instance, &(struct expected){"silent", "health_status", arg});
}

static void silence__is_judged_only_after_asking(void **state)
{
	(void)state;
	make_call("beats", 10, 0);
	make_call("silent", 10, 0);
	start_up((const char *const[]){"warning_after=2s", "stale_after=4s", "sweep.max_age=1h", NULL});
	assert_true(plugin_host_wait(&self, is_silent_while_other_beats, "warning", DEADLINE_MS));
	assert_true(plugin_host_wait(&self, is_silent_while_other_beats, "stale", DEADLINE_MS));
	plugin_host_stop(&self);
}

/* It was written after it was last read, so it is no older than that: by a clock that is slow, and by one that was set
 * back. With the usual limits: what was read last may be a sweep and a part of a second ago. */
static void a_key_that_moved__is_life_whatever_its_workers_clock_says(void **state)
{
	(void)state;
	make_call("slow", 1000, 500);
	make_call("back", 1000, 200);
	start_up((const char *const[]){"sweep.max_age=1s", NULL});
	assert_string_equal(plugin_host_cell(&self, "calls", "slow", "health_status"), "stale");
	assert_string_equal(plugin_host_cell(&self, "calls", "back", "health_status"), "stale");
	redis("SET call_heartbeat:slow %.3f", wall_s() - 400);
	redis("SET call_heartbeat:back %.3f", wall_s() - 300);
	wait_for_cell("slow", "health_status", "healthy");
	wait_for_cell("back", "health_status", "healthy");
	plugin_host_stop(&self);
}

static void a_call_that_is_gone_when_its_deadline_falls__has_ended(void **state)
{
	(void)state;
	make_call("CA1", 10, 0);
	start_up((const char *const[]){"warning_after=2s", "stale_after=4s", "sweep.max_age=1h", NULL});
	redis("DEL call_ctx:CA1");
	wait_for_cell("CA1", "health_status", NULL);
	plugin_host_stop(&self);
}

static void sweeps__find_what_no_event_told(void **state)
{
	(void)state;
	make_call("CA1", 10, 0);
	start_up((const char *const[]){"sweep.max_age=1s", NULL});
	redis("DEL call_ctx:CA1");
	make_call("CA2", 10, 0);
	wait_for_cell("CA1", "health_status", NULL);
	wait_for_cell("CA2", "health_status", "healthy");
	plugin_host_stop(&self);
}

static long times_called(const char *command)
{
	char name[64];
	snprintf(name, sizeof(name), "cmdstat_%s:calls=", command);
	redisReply *reply = redisCommand(server.client, "INFO commandstats");
	const char *found = strstr(reply->str, name);
	long times = found ? strtol(found + strlen(name), NULL, 10) : 0;
	freeReplyObject(reply);
	return times;
}

static bool has_read_all_again(struct cw_instance *instance, const void *arg)
{
	(void)instance;
	redis("PUBLISH call_heartbeat CA1");
	return times_called("hmget") > *(const long *)arg + 10;
}

/* One of the two calls beats by messages, the other is only known by its key. */
static void sweeps__leave_out_the_heartbeat_of_whom_they_have_heard(void **state)
{
	(void)state;
	make_call("CA1", 10, 0);
	make_call("CA2", 10, 0);
	start_up((const char *const[]){"sweep.max_age=1s", NULL});
	redis("PUBLISH call_heartbeat CA1");
	wait_for_heard(1);
	long hashes = times_called("hmget"), beats = times_called("getrange");
	assert_true(plugin_host_wait(&self, has_read_all_again, &hashes, DEADLINE_MS));
	hashes = times_called("hmget") - hashes;
	beats = times_called("getrange") - beats;
	assert_in_range(beats, 4, hashes - 2);
	plugin_host_stop(&self);
}

static void fault_01_redis_down__is_a_state_and_comes_back(void **state)
{
	(void)state;
	make_call("CA1", 10, 0);
	start_up(NULL);
	stop_server();
	assert_true(plugin_host_wait(&self, is_down, NULL, DEADLINE_MS));
	assert_string_equal(plugin_host_cell(&self, "calls", "CA1", "business_id"), "b-1"); /* rows stay */
	plugin_host_read(&self);
	assert_true(isnan(plugin_host_sample(&self, "calls_active", "healthy"))); /* not known is not zero */
	run_server();
	make_call("CA2", 10, 0);
	assert_true(plugin_host_wait(&self, is_up, NULL, DEADLINE_MS));
	wait_for_cell("CA2", "health_status", "healthy");
	wait_for_cell("CA1", "health_status", NULL);
	plugin_host_stop(&self);
}

/* connect() refuses the first address at once, as it does an IPv6 one without a route. */
static void a_name_with_an_address_out_of_reach__connects_to_the_next(void **state)
{
	(void)state;
	char url[64];
	redisReply *reply = redisCommand(server.client, "CONFIG SET port 0");
	freeReplyObject(reply);
	for (int port = 20000 + getpid() % 20000;; port++) {
		reply = redisCommand(server.client, "CONFIG SET port %d", port);
		bool taken = reply->type == REDIS_REPLY_ERROR;
		freeReplyObject(reply);
		snprintf(url, sizeof(url), "url=redis://unreachable-then-local:%d", port);
		if (!taken)
			break;
	}
	make_call("CA1", 10, 0);
	assert_int_equal(plugin_host_start(&self, &cw_plugin, /* once */ false, (const char *const[]){url, NULL}), 0);
	bool up = plugin_host_wait(&self, is_up, NULL, DEADLINE_MS);
	plugin_host_stop(&self);
	redis("CONFIG SET port 0");
	assert_true(up);
}

static void fault_04_frozen__is_down_by_timeout(void **state)
{
	(void)state;
	start_up(NULL);
	kill(server.pid, SIGSTOP);
	assert_true(plugin_host_wait(&self, is_down, "no answer within 5 s", DEADLINE_MS));
	kill(server.pid, SIGCONT);
	assert_true(plugin_host_wait(&self, is_up, NULL, DEADLINE_MS));
	plugin_host_stop(&self);
}

static void fault_08_no_password__is_denied_with_what_to_do(void **state)
{
	(void)state;
	redis("CONFIG SET requirepass geheim");
	start_with(false, NULL);
	bool down = plugin_host_wait(&self, is_down, "set password_file", DEADLINE_MS);
	plugin_host_stop(&self);
	start_with(false, (const char *const[]){"password=falsch", NULL});
	bool wrong = plugin_host_wait(&self, is_down, "WRONGPASS", DEADLINE_MS);
	assert_null(strstr(self.reason, "falsch"));
	plugin_host_stop(&self);
	start_with(false, (const char *const[]){"password=geheim", NULL});
	bool up = plugin_host_wait(&self, is_up, NULL, DEADLINE_MS);
	plugin_host_stop(&self);
	redis("AUTH geheim");
	redis("CONFIG SET requirepass %s", "");
	assert_true(down);
	assert_true(wrong);
	assert_true(up);
}

static void the_acl_line_of_needs__suffices(void **state)
{
	(void)state;
	const struct cw_need *need = cw_at(&cw_plugin.needs, 0);
	char line[1024], *words[64], *rest = line;
	int n = 0;
	strcpy(line, need->line);
	while (n < 64 && (words[n] = strtok_r(n ? NULL : line, " ", &rest)))
		n++;
	redisReply *reply = redisCommandArgv(server.client, n, (const char **)words, NULL);
	assert_int_equal(reply->type, REDIS_REPLY_STATUS);
	freeReplyObject(reply);
	redis("ACL LOG RESET");
	redis("CONFIG SET notify-keyspace-events KA");
	make_call("CA1", 10, 0);
	start_up((const char *const[]){"username=callwatch", "password=PASSWORD", "sweep.max_age=1h", NULL});
	assert_true(plugin_host_wait(&self, has_pattern, NULL, DEADLINE_MS));
	redis("DEL call_ctx:CA1");
	wait_for_cell("CA1", "health_status", NULL);
	for (uint32_t i = 0; i < cw_plugin.checks.count; i++) {
		const struct cw_check *check = cw_at(&cw_plugin.checks, i);
		if (plugin_host_examine(&self, check->name) != CW_CHECK_OK)
			fail_msg("%s: %s", check->name, self.verdict_text);
	}
	plugin_host_stop(&self);
	reply = redisCommand(server.client, "ACL LOG");
	if (reply->elements) /* nothing was even tried that it may not do */
		fail_msg("refused: %s", reply->element[0]->element[7]->str);
	freeReplyObject(reply);
	redis("ACL DELUSER callwatch");
}

/* ---- whose silence it is ----
 * Time goes four times as fast, in steps small enough not to be taken for a sleep: the source waits half a minute
 * before it says that a channel is silent. */

static struct timespec fast_since;

static int64_t real_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CW_SECOND + now.tv_nsec;
}

static int64_t fast(void)
{
	return 4 * (real_now() - (fast_since.tv_sec * CW_SECOND + fast_since.tv_nsec));
}

static int64_t fast_now(void)
{
	return 3600 * CW_SECOND + fast();
}

static int64_t fast_wall(void)
{
	return 1800000000 * CW_SECOND + fast();
}

static bool beats_say(struct cw_instance *instance, const void *arg)
{
	plugin_host_examine(instance, "beats"); /* it is answered at once */
	return strstr(instance->verdict_text, arg) != NULL;
}

#define wait_for_verdict(text, expected)                                                                               \
	do {                                                                                                           \
		if (!plugin_host_wait(&self, beats_say, text, DEADLINE_MS))                                            \
			fail_msg("said: %s", self.verdict_text);                                                       \
		assert_int_equal(self.verdict, expected);                                                              \
	} while (0)

static void beat_key(const char *sid)
{
	redis("SET call_heartbeat:%s %.3f", sid, wall_s());
}

static bool beats_only_in_keys(struct cw_instance *instance, const void *arg)
{
	beat_key("CA1");
	return beats_say(instance, arg);
}

static void silence__is_told_whose_it_is(void **state)
{
	(void)state;
	static const struct clock_source fast_clocks = {fast_now, fast_wall, fast_now};
	clock_gettime(CLOCK_MONOTONIC, &fast_since);
	clock_set_source(&fast_clocks);
	start_up((const char *const[]){"sweep.max_age=4s", NULL});
	wait_for_verdict("no call is in progress", CW_CHECK_OK);
	make_call("CA1", 10, 0);
	redis("PUBLISH call_heartbeat CA1:%.3f", wall_s());
	wait_for_verdict("a second", CW_CHECK_OK);
	wait_for_verdict("it is the workers that are silent", CW_CHECK_FAILED);
	if (!plugin_host_wait(&self, beats_only_in_keys, "publish elsewhere", DEADLINE_MS))
		fail_msg("said: %s", self.verdict_text);
	assert_int_equal(self.verdict, CW_CHECK_FAILED);
	plugin_host_stop(&self);
	clock_set_source(NULL);
}

static void flushall__is_a_reset_not_a_thousand_ends(void **state)
{
	(void)state;
	make_call("CA1", 10, 0);
	make_call("CA2", 10, 0);
	start_up((const char *const[]){"sweep.max_age=1h", NULL}); /* no sweep of ours is caught in the middle by it */
	redis("FLUSHALL");
	wait_for_cell("CA1", "health_status", NULL);
	wait_for_cell("CA2", "health_status", NULL);
	plugin_host_read(&self);
	assert_true(plugin_host_sample(&self, "calls_active", "healthy") == 0); /* true now */
	assert_true(plugin_host_sample(&self, "calls_ended_total", "healthy") == 0);
	plugin_host_stop(&self);
}

/* ---- names ---- */

static bool was_asked(struct cw_instance *instance, const void *arg)
{
	return plugin_host_times_asked(instance, arg) > 0;
}

#define wait_until_asked(id) assert_true(plugin_host_wait(&self, was_asked, id, DEADLINE_MS))

static const char *name_of(const char *sid)
{
	return plugin_host_cell(&self, "calls", sid, "business_name");
}

static void names__no_row_waits_for_one_and_each_is_asked_for_once(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		char sid[32];
		snprintf(sid, sizeof(sid), "CA%02d", i);
		make_call(sid, 10, 1); /* all of b-1 */
	}
	redis("HSET call_ctx:other business_id b-2");
	redis("HSET call_ctx:none to_phone_number 1");
	start_up((const char *const[]){"lookup=names", NULL});
	assert_int_equal(plugin_host_rows(&self, "calls"), 52);
	assert_string_equal(name_of("CA00"), "null");
	wait_until_asked("b-1");
	wait_until_asked("b-2");
	assert_int_equal(self.asked_count, 2);
	plugin_host_answer(&self, "b-1", "Anna's");
	plugin_host_answer(&self, "b-2", NULL);
	plugin_host_answer(&self, "b-3", "of nobody here");
	wait_for_cell("CA00", "business_name", "Anna's");
	wait_for_cell("CA49", "business_name", "Anna's");
	assert_string_equal(name_of("other"), "null");
	redis("HSET call_ctx:CA99 business_id b-1");
	redis("PUBLISH call_heartbeat CA99");
	wait_for_cell("CA99", "business_name", "Anna's"); /* the next call has it from the start */
	assert_int_equal(plugin_host_times_asked(&self, "b-1"), 1);
	plugin_host_stop(&self);
}

static void names__another_name_or_business_is_shown(void **state)
{
	(void)state;
	make_call("CA1", 10, 1);
	redis("CONFIG SET notify-keyspace-events KA");
	start_up((const char *const[]){"lookup=names", NULL});
	assert_true(plugin_host_wait(&self, has_pattern, NULL, DEADLINE_MS));
	wait_until_asked("b-1");
	plugin_host_answer(&self, "b-1", "Anna's");
	wait_for_cell("CA1", "business_name", "Anna's");
	plugin_host_answer(&self, "b-1", "Anna & Bert's"); /* that nobody asked now does not matter */
	wait_for_cell("CA1", "business_name", "Anna & Bert's");
	redis("HSET call_ctx:CA1 business_id b-2");
	wait_for_cell("CA1", "business_id", "b-2");
	wait_for_cell("CA1", "business_name", "null");
	wait_until_asked("b-2");
	plugin_host_answer(&self, "b-2", "Carl's");
	wait_for_cell("CA1", "business_name", "Carl's");
	redis("HDEL call_ctx:CA1 business_id");
	wait_for_cell("CA1", "business_name", "null");
	plugin_host_answer(&self, "b-2", "of nobody any more");
	plugin_host_stop(&self);
}

static bool was_refused(struct cw_instance *instance, const void *arg)
{
	(void)arg;
	return instance->refused > 0;
}

static void names__a_lookup_that_is_away_is_asked_when_it_is_back(void **state)
{
	(void)state;
	make_call("CA1", 10, 1);
	start_with(false, (const char *const[]){"lookup=names", NULL});
	self.lookup_is_away = true;
	assert_true(plugin_host_wait(&self, was_refused, NULL, DEADLINE_MS));
	assert_int_equal(plugin_host_rows(&self, "calls"), 1);
	self.lookup_is_away = false;
	wait_until_asked("b-1");
	plugin_host_answer(&self, "b-1", "Anna's");
	wait_for_cell("CA1", "business_name", "Anna's");
	plugin_host_stop(&self);
}

static bool was_asked_twice(struct cw_instance *instance, const void *arg)
{
	return plugin_host_times_asked(instance, arg) > 1;
}

static void names__what_was_not_answered_is_asked_for_again(void **state)
{
	(void)state;
	make_call("CA1", 10, 1);
	redis("HSET call_ctx:CA2 business_id b-2");
	start_up((const char *const[]){"lookup=names", NULL});
	wait_until_asked("b-1");
	wait_until_asked("b-2");
	plugin_host_answer(&self, "b-2", NULL);
	assert_true(plugin_host_wait(&self, was_asked_twice, "b-1", DEADLINE_MS));
	assert_int_equal(plugin_host_times_asked(&self, "b-2"), 1);
	plugin_host_stop(&self);
}

enum { BUSINESSES = 2500 };

/* Answers what is asked; everybody is called by his id. */
static bool all_answered(struct cw_instance *instance, const void *arg)
{
	uint32_t *answered = (uint32_t *)(uintptr_t)arg;
	for (; *answered < instance->asked_count; ++*answered)
		plugin_host_answer(instance, instance->asked[*answered], instance->asked[*answered]);
	return *answered >= BUSINESSES;
}

/* More businesses than fit into a question, and more rows than into a slice of the walk. */
static void names__of_thousands_come_in_questions_of_a_thousand(void **state)
{
	(void)state;
	char id[32], sid[32];
	for (int i = 0; i < BUSINESSES; i++)
		redis("HSET call_ctx:CA%d business_id b-%d", i, i);
	start_up((const char *const[]){"lookup=names", NULL});
	uint32_t answered = 0;
	assert_true(plugin_host_wait(&self, all_answered, &answered, DEADLINE_MS));
	assert_in_range(self.asks, 3, 20);
	for (int i = 0; i < BUSINESSES; i += 7) {
		snprintf(id, sizeof(id), "b-%d", i);
		snprintf(sid, sizeof(sid), "CA%d", i);
		wait_for_cell(sid, "business_name", id);
	}
	plugin_host_stop(&self);
}

static void names__are_none_of_a_single_reading(void **state)
{
	(void)state;
	make_call("CA1", 10, 1);
	start_with(true, (const char *const[]){"lookup=names", NULL});
	assert_int_equal(plugin_host_read(&self), 0);
	assert_null(self.way);
	plugin_host_stop(&self);
}

/* ---- options ---- */

static void check__refuses_what_makes_no_sense(void **state)
{
	(void)state;
	static const struct {
		const char *setting, *message;
	} cases[] = {
		{"tls_ca=x", "does not ask for TLS"},
		{"url=redis://:secret@h", "password_file"},
		{"url=http://h", "rediss:// (TLS) or unix://"},
		{"url=redis://h:0", "port"},
		{"url=redis://h/x", "database"},
		{"url=unix://relative", "absolute"},
		{"warning_after=3m", "greater than warning_after"},
		{"extra_fields.call_sid=x", "already has a column"},
		{"extra_fields.Bad=x", "lower-case"},
		{"context_prefix=call*", "must not contain"},
	};
	char problems[1024];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		plugin_host_check(&cw_plugin, (const char *const[]){cases[i].setting, NULL}, problems,
				  sizeof(problems));
		if (!strstr(problems, cases[i].message))
			fail_msg("%s: %s", cases[i].setting, problems);
		assert_null(strstr(problems, "secret"));
	}
	plugin_host_check(&cw_plugin, NULL, problems, sizeof(problems));
	assert_string_equal(problems, "");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(once__reads_every_call_completely, flush),
		cmocka_unit_test_setup(a_row__shows_what_the_hash_says, flush),
		cmocka_unit_test_setup(a_call_that_never_beat__is_warning_then_stale_by_its_own_age, flush),
		cmocka_unit_test_setup(malformed__is_counted_by_kind_and_harms_nobody, flush),
		cmocka_unit_test_setup(a_heartbeat_message__makes_a_stale_call_healthy, flush),
		cmocka_unit_test_setup(a_heartbeat_of_an_unknown_call__fetches_it, flush),
		cmocka_unit_test_setup(keyspace_events__show_births_and_deaths_at_once, flush),
		cmocka_unit_test_setup(silence__is_judged_only_after_asking, flush),
		cmocka_unit_test_setup(a_key_that_moved__is_life_whatever_its_workers_clock_says, flush),
		cmocka_unit_test_setup(a_call_that_is_gone_when_its_deadline_falls__has_ended, flush),
		cmocka_unit_test_setup(sweeps__find_what_no_event_told, flush),
		cmocka_unit_test_setup(sweeps__leave_out_the_heartbeat_of_whom_they_have_heard, flush),
		cmocka_unit_test_setup(fault_01_redis_down__is_a_state_and_comes_back, flush),
		cmocka_unit_test_setup(a_name_with_an_address_out_of_reach__connects_to_the_next, flush),
		cmocka_unit_test_setup(fault_04_frozen__is_down_by_timeout, flush),
		cmocka_unit_test_setup(fault_08_no_password__is_denied_with_what_to_do, flush),
		cmocka_unit_test_setup(the_acl_line_of_needs__suffices, flush),
		cmocka_unit_test_setup(silence__is_told_whose_it_is, flush),
		cmocka_unit_test_setup(flushall__is_a_reset_not_a_thousand_ends, flush),
		cmocka_unit_test_setup(names__no_row_waits_for_one_and_each_is_asked_for_once, flush),
		cmocka_unit_test_setup(names__another_name_or_business_is_shown, flush),
		cmocka_unit_test_setup(names__a_lookup_that_is_away_is_asked_when_it_is_back, flush),
		cmocka_unit_test_setup(names__what_was_not_answered_is_asked_for_again, flush),
		cmocka_unit_test_setup(names__of_thousands_come_in_questions_of_a_thousand, flush),
		cmocka_unit_test_setup(names__are_none_of_a_single_reading, flush),
		cmocka_unit_test(check__refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests(tests, start_server, end_server);
}
