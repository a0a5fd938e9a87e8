/* SPDX-License-Identifier: MIT
 *
 * The plugin as a whole: real sockets, a made-up table behind it (web_fake.c).
 */
#include "web_fake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_MAX = 4 * 1024 * 1024, PATIENCE_MS = 60000 /* then a test has failed */ };

struct scene {
	struct fake fake;
	char directory[32], path[64], address[80];
	char *answer; /* of the last ask() */
	size_t answer_length;
};

static void scene_begin(struct scene *scene)
{
	snprintf(scene->directory, sizeof scene->directory, "/tmp/web-test-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	snprintf(scene->path, sizeof scene->path, "%s/s", scene->directory);
	snprintf(scene->address, sizeof scene->address, "unix:%s", scene->path);
	scene->fake.listen[0] = scene->address;
	scene->answer = malloc(ANSWER_MAX + 1);
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	scene_begin(scene);
	scene->fake.rows = 250;
	scene->fake.ready = true;
	fake_start(&scene->fake);
	*state = scene;
	return 0;
}

/* Not started: the test sets it up. */
static int setup_idle(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	scene_begin(scene);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	if (scene->fake.private)
		fake_stop(&scene->fake);
	assert_int_not_equal(access(scene->path, F_OK), 0); /* unlinked */
	assert_int_equal(rmdir(scene->directory), 0);
	free(scene->answer);
	free(scene);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(descriptor >= 0);
	struct timeval deadline = {.tv_sec = 20};
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
	return descriptor;
}

/* All that comes until the other side closes. */
static void read_to_end(struct scene *scene, int descriptor)
{
	scene->answer_length = 0;
	for (;;) {
		ssize_t n =
			recv(descriptor, scene->answer + scene->answer_length, ANSWER_MAX - scene->answer_length, 0);
		if (n < 0)
			assert_int_equal(errno, ECONNRESET); /* it left bytes of ours unread; not a timeout */
		if (n <= 0)
			break;
		scene->answer_length += (size_t)n;
	}
	scene->answer[scene->answer_length] = '\0';
	close(descriptor);
}

static int answer_status(const struct scene *scene)
{
	int status = 0;
	sscanf(scene->answer, "HTTP/1.%*d %d", &status);
	return status;
}

static int ask_raw(struct scene *scene, const char *request, size_t length)
{
	int descriptor = dial(scene->path);
	(void)!send(descriptor, request, length, MSG_NOSIGNAL);
	read_to_end(scene, descriptor);
	return answer_status(scene);
}

static int ask(struct scene *scene, const char *method, const char *target)
{
	char request[16384];
	int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
	return ask_raw(scene, request, (size_t)length);
}

static const char *body_of(const struct scene *scene)
{
	const char *body = strstr(scene->answer, "\r\n\r\n");
	assert_non_null(body);
	return body + 4;
}

static void assert_has(const struct scene *scene, const char *text)
{
	if (!strstr(scene->answer, text))
		fail_msg("not found: %s\nin: %.2000s", text, scene->answer);
}

/* Undoes the chunks; false: the last one is missing. */
static bool dechunk(struct scene *scene)
{
	char *from = strstr(scene->answer, "\r\n\r\n"), *to;
	assert_has(scene, "transfer-encoding: chunked");
	for (from += 4, to = from;;) {
		char *end;
		size_t length = strtoul(from, &end, 16);
		if (end == from || strncmp(end, "\r\n", 2) != 0)
			return false;
		from = end + 2;
		if (length == 0) {
			*to = '\0';
			return strcmp(from, "\r\n") == 0;
		}
		if (from + length + 2 > scene->answer + scene->answer_length)
			return false;
		memmove(to, from, length);
		to += length;
		from += length + 2;
	}
}

static size_t count_of(const char *text, const char *part)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, part)); at++)
		n++;
	return n;
}

/* -- routes ------------------------------------------------------------------------------------------------------- */

static void health_and_readiness__are_answered(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
	assert_has(scene, "x-content-type-options: nosniff\r\n");
	assert_has(scene, "cache-control: no-store\r\n");
	assert_has(scene, "content-security-policy: default-src 'none'");
	assert_has(scene, "referrer-policy: no-referrer\r\n");
	assert_has(scene, "connection: close\r\n");
	assert_int_equal(ask(scene, "GET", "/-/ready"), 200);
	scene->fake.ready = false;
	assert_int_equal(ask(scene, "GET", "/-/ready"), 503);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
}

static void head__has_the_headers_only(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "HEAD", "/-/healthy"), 200);
	assert_has(scene, "content-length: 19\r\n");
	assert_string_equal(body_of(scene), "");
	assert_int_equal(ask(scene, "HEAD", "/api/v1/tables/calls?format=csv"), 200);
	assert_string_equal(body_of(scene), "");
}

static void reload__tells_the_outcome(void **state)
{
	struct scene *scene = *state;
	scene->fake.reload_answer = 1;
	scene->fake.reload_text = "2 instances restarted";
	assert_int_equal(ask(scene, "POST", "/-/reload"), 200);
	assert_string_equal(body_of(scene), "2 instances restarted\n");
	scene->fake.reload_answer = 0;
	scene->fake.reload_text = "a.yaml:1:2: wrong \"x\"\nb.yaml:3:4: wrong too";
	assert_int_equal(ask(scene, "POST", "/-/reload"), 422);
	assert_has(scene, "content-type: application/problem+json\r\n");
	assert_has(scene, "\"problems\":[\"a.yaml:1:2: wrong \\\"x\\\"\",\"b.yaml:3:4: wrong too\"]}");
	assert_int_equal(ask(scene, "GET", "/-/reload"), 405);
	assert_has(scene, "allow: POST\r\n");
	assert_int_equal(scene->fake.reloads, 2);
}

static void reload__whose_asker_left__harms_nobody(void **state)
{
	struct scene *scene = *state;
	scene->fake.reload_answer = -1;
	int descriptor = dial(scene->path);
	const char *request = "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
	assert_true(send(descriptor, request, strlen(request), 0) > 0);
	for (int i = 0; i < PATIENCE_MS && scene->fake.reloads == 0; i++)
		usleep(1000);
	assert_int_equal(scene->fake.reloads, 1);
	close(descriptor);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
}

static void reload__that_restarts_the_listener__is_not_cut_off(void **state)
{
	struct scene *scene = *state;
	scene->fake.reload_answer = -1;
	int descriptor = dial(scene->path);
	const char *request = "POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n";
	assert_true(send(descriptor, request, strlen(request), 0) > 0);
	for (int i = 0; i < PATIENCE_MS && scene->fake.reloads == 0; i++)
		usleep(1000);
	fake_stop(&scene->fake);
	read_to_end(scene, descriptor);
	assert_int_equal(answer_status(scene), 202);
	assert_has(scene, "the outcome is in the log");
}

static void tables__describe_themselves(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables"), 200);
	assert_has(scene,
		   "{\"name\":\"calls\",\"help\":\"Calls in progress\",\"sort\":\"-duration_seconds\",\"rows\":250,");
	assert_has(scene, "{\"name\":\"from_phone\",\"type\":\"text\",\"unit\":\"\",\"help\":\"Caller\","
			  "\"watched\":false,\"phone\":true,\"key\":false,\"wide\":false}");
	assert_has(scene, "\"choices\":[\"healthy\",\"warning\",\"stale\"],\"watched\":true");
	assert_has(scene, "\"as_of\":[\"2026-11-22T13:30:45.000Z\",\"2026-11-22T13:30:46.000Z\"],\"complete\":true,"
			  "\"coverage\":0.998,\"age_seconds\":12.3,\"watched\":\"health_status\","
			  "\"counts\":{\"healthy\":4,\"warning\":2,\"stale\":1},\"instances\":[\"a\",\"b\\\"\"]}");
	assert_has(scene,
		   "\"as_of\":null,\"complete\":false,\"coverage\":null,\"age_seconds\":null,\"instances\":[]}]}");
}

static void rows_in_json__are_a_page(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET",
			     "/api/v1/tables/calls?where=health_status=stale&where=duration_seconds%3E4h&"
			     "sort=-duration_seconds&cursor=abc"),
			 200);
	assert_int_equal(scene->fake.limit, 100);
	assert_int_equal(scene->fake.where_count, 2);
	assert_string_equal(scene->fake.where[0], "health_status=stale");
	assert_string_equal(scene->fake.where[1], "duration_seconds>4h");
	assert_string_equal(scene->fake.sort, "-duration_seconds");
	assert_string_equal(scene->fake.cursor, "abc");
	assert_false(scene->fake.viewer);
	assert_false(scene->fake.reveal);
	assert_has(scene, "{\"table\":\"calls\",\"columns\":[\"instance\",\"call_sid\",");
	assert_has(scene, "{\"instance\":\"calls\",\"call_sid\":\"CA00000001\",\"from_phone\":"
			  "\"+1\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
			  "0132\",\"duration_seconds\":12.346,"
			  "\"health_status\":\"warning\",\"start_time\":\"2026-11-22T13:30:45.123Z\",\"note\":null}");
	assert_has(scene, "],\"total\":250,\"as_of\":[\"2026-11-22T13:30:45.000Z\",\"2026-11-22T13:30:46.000Z\"],"
			  "\"complete\":true,\"coverage\":null,\"age_seconds\":null,\"next_cursor\":\"page-2\"}\n");
	assert_int_equal(count_of(scene->answer, "call_sid\":"), 100);
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?limit=3&reveal=true"), 200);
	assert_true(scene->fake.reveal);
	assert_string_equal(scene->fake.sort, ""); /* the table's own */
	assert_int_equal(count_of(scene->answer, "call_sid\":"), 3);
}

static void rows_in_ndjson_and_csv__are_all(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?format=ndjson"), 200);
	assert_has(scene, "content-type: application/x-ndjson\r\n");
	assert_true(dechunk(scene));
	assert_int_equal(count_of(body_of(scene), "}\n{"), 249);
	assert_string_equal(scene->fake.sort, "(none)"); /* as they are found */
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?format=csv&limit=7"), 200);
	assert_has(scene, "\r\n\r\ninstance,call_sid,from_phone,duration_seconds,health_status,start_time,note\r\n"
			  "calls,CA00000000,'+1");
	assert_int_equal(count_of(body_of(scene), "\r\n"), 8);
}

static void rows_as_they_were__whose_page_comes_between_two_looks__are_whole(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?at=2026-11-22T13:00:00Z&limit=3"), 200);
	assert_has(scene, "\r\n\r\n{\"table\":\"calls\",\"columns\":[\"instance\",");
	assert_int_equal(count_of(scene->answer, "call_sid\":"), 3);
	assert_has(scene, "\"log_from\":\"1970-01-01T00:00:00.000Z\"}\n");
	scene->fake.rows = 0;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?at=2026-11-22T13:00:00Z"), 200);
	assert_has(scene, "\r\n\r\n{\"table\":\"calls\",\"columns\":[\"instance\",");
	assert_has(scene, "\"rows\":[],");
}

static void rows_as_they_were__are_looked_for_though_nobody_said_that_they_are_there(void **state)
{
	struct scene *scene = *state;
	scene->fake.log_waits = 1;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?at=2026-11-22T13:00:00Z&limit=3"), 200);
	assert_int_equal(count_of(scene->answer, "call_sid\":"), 3);
}

static void row__by_key(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls/CA%2F1"), 200);
	assert_string_equal(scene->fake.key, "CA/1");
	assert_has(scene, "\"rows\":[{\"instance\":\"calls\",");
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls/nobody"), 404);
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls/twin"), 409);
	assert_has(scene, "calls, calls-b");
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls/twin?instance=calls"), 200);
	assert_string_equal(scene->fake.where[0], "instance=calls");
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/nothing/x"), 404);
}

static void status__is_a_verdict_with_reasons(void **state)
{
	struct scene *scene = *state;
	static const char *const healths[] = {"healthy", NULL};
	static const double bounds[] = {1};
	static const uint64_t buckets[] = {3, 0};
	static const struct cw_metric metrics[] = {
		{.name = "calls_active", .kind = CW_GAUGE, .labels = {{.name = "health", .values = healths}}},
		{.name = "round_trip_seconds", .kind = CW_HISTOGRAM, .bounds = bounds, .bounds_count = 1},
	};
	const char *label[] = {"healthy"};
	struct cw_histogram histogram = {.buckets = buckets, .count = 3, .sum = 0.5};
	struct cw_sample samples[] = {
		{.metric = &metrics[0],
		 .labels = label,
		 .time = 1795354245000000000,
		 .number = CW_INTEGER,
		 .integer = 7},
		{.metric = &metrics[1], .time = 1795354245000000000, .number = CW_BUCKETS, .histogram = &histogram},
	};
	fake_write(&scene->fake, &(struct cw_batch){.host = "test",
						    .instance = "calls",
						    .interval = 5 * CW_SECOND,
						    .samples = CW_ARRAY(samples)});
	assert_int_equal(ask(scene, "GET", "/api/v1/status"), 200);
	assert_has(scene, "{\"version\":\"0.0.1\",\"hostname\":\"test\",\"pid\":");
	assert_has(scene, "\"started\":\"2026-11-22T13:30:45.000Z\",\"uptime_seconds\":2,\"ready\":true,");
	assert_has(scene,
		   "\"instances\":[{\"instance\":\"calls\",\"state\":\"up\",\"reason\":null},"
		   "{\"instance\":\"web\",\"state\":\"up\",\"reason\":null}],\"state\":\"healthy\",\"reasons\":[],");
	assert_has(scene, "\"tables\":[{\"name\":\"calls\",\"help\":");
	assert_has(scene, "\"metrics\":[{\"instance\":\"calls\",\"metric\":\"calls_active\",\"labels\":{\"health\":"
			  "\"healthy\"},\"value\":7,\"time\":\"2026-11-22T13:30:45.000Z\"},{\"instance\":\"calls\","
			  "\"metric\":\"round_trip_seconds\",\"labels\":{},\"value\":{\"count\":3,\"sum\":0.5},"
			  "\"time\":\"2026-11-22T13:30:45.000Z\"}]}\n");
	scene->fake.ready = false;
	fake_turn_clock(&scene->fake, 26 * CW_SECOND);
	assert_int_equal(ask(scene, "GET", "/api/v1/status"), 200);
	assert_has(scene,
		   "\"state\":\"degraded\",\"reasons\":[\"starting: not every source has had its first reading\","
		   "\"calls is down: connection refused\"]");
	assert_null(strstr(scene->answer, "calls_active")); /* the gauge stopped coming */
	assert_has(scene, "round_trip_seconds");
}

/* Enough for several chunks, in two families, one of them ages. */
static void write_many(struct fake *fake, uint32_t count)
{
	static const struct cw_metric metrics[] = {
		{.name = "seen_total", .kind = CW_COUNTER, .help = "Seen", .labels = {{.name = "what"}}},
		{.name = "sweep_age_seconds", .kind = CW_GAUGE, .help = "Age", .labels = {{.name = "what"}}},
	};
	struct cw_sample *samples = calloc(2 * (size_t)count, sizeof *samples);
	char(*names)[16] = calloc(count, sizeof *names);
	const char **labels = calloc(count, sizeof *labels);
	for (uint32_t i = 0; i < 2 * count; i++) {
		snprintf(names[i / 2], sizeof names[0], "%06u", i / 2);
		labels[i / 2] = names[i / 2];
		samples[i] = (struct cw_sample){.metric = &metrics[i % 2],
						.labels = &labels[i / 2],
						.time = 1795354245000000000,
						.number = CW_INTEGER,
						.integer = 5};
	}
	struct cw_batch batch = {.host = "test",
				 .instance = "calls",
				 .interval = 5 * CW_SECOND,
				 .samples = {samples, 2 * count, sizeof *samples}};
	fake_write(fake, &batch);
	free(samples);
	free(names);
	free(labels);
}

static void metrics__are_told_whole_in_both_formats(void **state)
{
	struct scene *scene = *state;
	static const char openmetrics[] =
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n";
	assert_int_equal(ask(scene, "GET", "/metrics"), 200);
	assert_string_equal(body_of(scene), "");
	write_many(&scene->fake, 2000);
	assert_int_equal(ask(scene, "GET", "/metrics"), 200);
	assert_has(scene, "content-type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_true(dechunk(scene));
	assert_int_equal(count_of(scene->answer, "# TYPE callwatch_seen_total counter\n"), 1);
	assert_int_equal(count_of(scene->answer, "\ncallwatch_seen_total{"), 2000);
	assert_int_equal(count_of(scene->answer, "\ncallwatch_sweep_age_seconds{"), 2000);
	assert_int_equal(count_of(scene->answer, "\ncallwatch_sweep_timestamp_seconds{"), 2000);
	assert_int_equal(count_of(scene->answer, "# "), 6);
	assert_has(scene, "callwatch_sweep_timestamp_seconds{plugin_instance=\"calls\",what=\"001999\"} 1795354240\n");
	assert_int_equal(ask_raw(scene, openmetrics, strlen(openmetrics)), 200);
	assert_has(scene, "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n");
	assert_true(dechunk(scene));
	assert_int_equal(count_of(scene->answer, "# TYPE callwatch_seen counter\n"), 1);
	assert_string_equal(body_of(scene) + strlen(body_of(scene)) - 6, "# EOF\n");
	static const struct cw_metric gauge = {.name = "seen_total", .kind = CW_GAUGE};
	struct cw_sample clash = {.metric = &gauge, .number = CW_INTEGER};
	fake_write(&scene->fake,
		   &(struct cw_batch){.host = "test", .instance = "other", .samples = {&clash, 1, sizeof clash}});
	assert_int_equal(scene->fake.dropped[CW_DROP_COLLISION], 1);
	assert_true(fake_said(&scene->fake, "metric seen_total of other is left out of /metrics"));
	fake_turn_clock(&scene->fake, 16 * CW_SECOND);
	assert_int_equal(ask(scene, "GET", "/metrics"), 200);
	assert_int_equal(count_of(scene->answer, "sweep_"), 0); /* gauges stopped coming, counters hold */
	assert_has(scene, "\ncallwatch_seen_total{");
}

static void wrong_requests__are_told_what_is_wrong(void **state)
{
	struct scene *scene = *state;
	static const struct {
		const char *method, *target;
		int status;
		const char *says;
	} cases[] = {
		{"GET", "/", 404, "nothing at this path"},
		{"GET", "/api/v1/tables/", 404, "nothing at this path"},
		{"GET", "/api/v1/tables/nothing", 404, "no table \\\"nothing\\\""},
		{"GET", "/api/v1/tables/calls?where=wrong", 400, "\\\"wrong\\\" is no expression"},
		{"GET", "/api/v1/tables/calls?wehre=a=b", 400,
		 "unknown parameter \\\"wehre\\\"; known are where, sort"},
		{"GET", "/api/v1/status?x=1", 400, "this path takes none"},
		{"GET", "/api/v1/tables/calls?limit=-1", 400, "\\\"limit\\\" is a whole number"},
		{"GET", "/api/v1/tables/calls?limit=1&limit=2", 400, "\\\"limit\\\" is given twice"},
		{"GET", "/api/v1/tables/calls?limit", 400, "\\\"limit\\\" has no value"},
		{"GET", "/api/v1/tables/calls?format=xml", 400, "json, ndjson or csv"},
		{"GET", "/api/v1/tables/calls?reveal=yes", 400, "\\\"reveal\\\" is true or false"},
		{"GET", "/api/v1/tables/calls?columns=", 400, "a list of 1 to 64 names"},
		{"GET", "/api/v1/tables/calls?watch=true", 400, "needs format=ndjson"},
		{"GET", "/api/v1/tables/calls?watch=true&format=ndjson&limit=501", 400, "at most 500 rows"},
		{"GET", "/api/v1/tables/calls?where=%FF", 400, "not UTF-8"},
		{"DELETE", "/api/v1/tables/calls", 405, "this path answers GET, HEAD"},
		{"POST", "/api/v1/status", 405, "this path answers GET, HEAD"},
		{"OPTIONS", "/-/healthy", 405, "this path answers GET, HEAD"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int status = ask(scene, cases[i].method, cases[i].target);
		if (status != cases[i].status)
			fail_msg("%s %s: %d\n%s", cases[i].method, cases[i].target, status, scene->answer);
		assert_has(scene, cases[i].says);
		assert_has(scene, "content-type: application/problem+json\r\n");
		assert_has(scene, "{\"type\":\"about:blank\",\"title\":\"");
		assert_has(scene, "x-content-type-options: nosniff\r\n");
	}
}

/* -- streams ------------------------------------------------------------------------------------------------------ */

/* Until the stream rests: it has begun, and the loop has answered others without adding to it. */
static void wait_for_pause(struct scene *scene)
{
	uint64_t before = 0;
	while (scene->fake.rows_made == 0 || scene->fake.rows_made != before) {
		before = scene->fake.rows_made;
		for (int i = 0; i < 3; i++)
			assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
	}
}

static void unread_stream__holds_a_bounded_part(void **state)
{
	struct scene *scene = *state;
	scene->fake.rows = 1000000;
	int descriptor = dial(scene->path);
	const char *request = "GET /api/v1/tables/calls?format=csv HTTP/1.1\r\nHost: x\r\n\r\n";
	assert_true(send(descriptor, request, strlen(request), 0) > 0);
	wait_for_pause(scene);
	assert_true(scene->fake.rows_made > 0);
	assert_true(scene->fake.rows_made < 20000); /* what kernel, libwebsockets and we hold of 80 MB */
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
	close(descriptor);
	for (int i = 0; i < PATIENCE_MS && scene->fake.open_queries; i++)
		usleep(1000);
	assert_int_equal(scene->fake.open_queries, 0);
}

static void broken_stream__is_seen_by_its_reader(void **state)
{
	struct scene *scene = *state;
	scene->fake.rows = 100000;
	scene->fake.break_after = 5000;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?format=csv"), 200);
	assert_false(dechunk(scene));
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?format=ndjson"), 200);
	assert_true(dechunk(scene));
	assert_has(scene, "{\"error\":\"the query broke off: Input/output error\"}\n");
	scene->fake.break_after = 1;
	assert_int_equal(ask(scene, "GET", "/api/v1/tables/calls?format=csv"), 500);
}

static void stop__with_open_streams__leaves_nothing(void **state)
{
	struct scene *scene = *state;
	int descriptors[8];
	scene->fake.rows = 1000000;
	for (int i = 0; i < 8; i++) {
		const char *request =
			i % 2 ? "GET /api/v1/tables/calls?format=csv HTTP/1.1\r\nHost: x\r\n\r\n"
			      : "GET /api/v1/tables/calls?format=ndjson&watch=true HTTP/1.1\r\nHost: x\r\n\r\n";
		descriptors[i] = dial(scene->path);
		assert_true(send(descriptors[i], request, strlen(request), 0) > 0);
	}
	for (int i = 0; i < PATIENCE_MS && scene->fake.open_queries + scene->fake.open_views < 8; i++)
		usleep(1000);
	assert_int_equal(scene->fake.open_queries, 4);
	fake_stop(&scene->fake);
	for (int i = 0; i < 8; i++)
		close(descriptors[i]);
}

/* Reads until the text has come. */
static void read_until(struct scene *scene, int descriptor, const char *text)
{
	while (!strstr(scene->answer, text)) {
		ssize_t n =
			recv(descriptor, scene->answer + scene->answer_length, ANSWER_MAX - scene->answer_length, 0);
		if (n <= 0)
			fail_msg("ended without: %s\nin: %.2000s", text, scene->answer);
		scene->answer_length += (size_t)n;
		scene->answer[scene->answer_length] = '\0';
	}
}

/* A live view, read up to its first sync. */
static int watch_calls(struct scene *scene)
{
	int descriptor = dial(scene->path);
	const char *request = "GET /api/v1/tables/calls?format=ndjson&watch=true&where=a=b HTTP/1.1\r\nHost: x\r\n\r\n";
	assert_true(send(descriptor, request, strlen(request), 0) > 0);
	scene->answer_length = 0;
	scene->answer[0] = '\0';
	read_until(scene, descriptor, "{\"op\":\"sync\"");
	return descriptor;
}

/* A condition such as heartbeat_age_seconds>60 changes what is shown without any change. */
static void watch__looks_again_while_nothing_changes(void **state)
{
	struct scene *scene = *state;
	int descriptor = watch_calls(scene);
	int looks = scene->fake.looks;
	for (int i = 0; i < PATIENCE_MS && scene->fake.looks < looks + 2; i++)
		usleep(1000);
	assert_true(scene->fake.looks >= looks + 2);
	close(descriptor);
}

static void watch__tells_changes_and_pings(void **state)
{
	struct scene *scene = *state;
	int descriptor = watch_calls(scene);
	read_until(scene, descriptor,
		   "{\"op\":\"sync\",\"seq\":3,\"as_of\":[\"2026-11-22T13:30:45.000Z\","
		   "\"2026-11-22T13:30:46.000Z\"],\"complete\":true,\"coverage\":0.998,\"age_seconds\":1}\n");
	assert_has(scene, "{\"op\":\"reset\",\"seq\":1}\n{\"op\":\"put\",\"seq\":2,\"row\":{\"instance\":\"calls\",");
	assert_int_equal(scene->fake.limit, 500);
	fake_change(&scene->fake, 3);
	read_until(scene, descriptor,
		   "{\"op\":\"remove\",\"seq\":6,\"row\":{\"instance\":\"calls\",\"call_sid\":"
		   "\"CA00000000\"}}\n{\"op\":\"sync\",\"seq\":7,");
	fake_turn_clock(&scene->fake, 11 * CW_SECOND);
	read_until(scene, descriptor, "{\"op\":\"ping\"}\n");
	close(descriptor);
	fake_change(&scene->fake, 2000);
	for (int i = 0; i < PATIENCE_MS && scene->fake.open_views; i++)
		usleep(1000);
	assert_int_equal(scene->fake.open_views, 0);
}

/* -- connections -------------------------------------------------------------------------------------------------- */

static void deadlines__end_what_does_not_move(void **state)
{
	struct scene *scene = *state;
	scene->fake.rows = 1000000;
	int slow = dial(scene->path), unread = dial(scene->path);
	const char *request = "GET /api/v1/tables/calls?format=csv HTTP/1.1\r\nHost: x\r\n\r\n";
	assert_true(send(slow, "GET / HT", 8, 0) == 8);
	assert_true(send(unread, request, strlen(request), 0) > 0);
	wait_for_pause(scene);
	fake_turn_clock(&scene->fake, 11 * CW_SECOND);
	read_to_end(scene, slow);
	assert_int_equal(answer_status(scene), 408);
	assert_int_equal(scene->fake.open_queries, 1);
	fake_turn_clock(&scene->fake, 62 * CW_SECOND);
	for (int i = 0; i < PATIENCE_MS && scene->fake.open_queries; i++)
		usleep(1000);
	assert_int_equal(scene->fake.open_queries, 0);
	close(unread);
}

static void one_connection_too_many__is_refused_in_words(void **state)
{
	struct scene *scene = *state;
	int held[4];
	scene->fake.max_connections = 4;
	fake_start(&scene->fake);
	for (int i = 0; i < 4; i++)
		held[i] = dial(scene->path);
	int descriptor = dial(scene->path);
	read_to_end(scene, descriptor);
	assert_int_equal(answer_status(scene), 503);
	assert_has(scene, "too many connections");
	assert_int_equal(scene->fake.errors, 1);
	for (int i = 0; i < 4; i++)
		close(held[i]);
	int status = 503;
	for (int i = 0; i < PATIENCE_MS && status == 503; i++) {
		status = ask(scene, "GET", "/-/healthy");
		usleep(1000);
	}
	assert_int_equal(status, 200);
}

static void connections_that_ask_for_nothing__make_room_for_who_does(void **state)
{
	struct scene *scene = *state;
	int held[4];
	scene->fake.max_connections = 4;
	scene->fake.ready = true;
	fake_start(&scene->fake);
	held[3] = watch_calls(scene); /* asks for something, and stays */
	for (int i = 0; i < 3; i++)
		held[i] = dial(scene->path);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 503);
	fake_turn_clock(&scene->fake, 2 * CW_SECOND);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
	read_to_end(scene, held[0]);
	assert_int_equal(answer_status(scene), 408);
	fake_change(&scene->fake, 3);
	scene->answer_length = 0;
	scene->answer[0] = '\0';
	read_until(scene, held[3], "\"op\":\"sync\"");
	for (int i = 1; i < 4; i++)
		close(held[i]);
}

static int open_filler(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A loop that spins turns many thousand times. */
static void assert_rests(struct fake *fake)
{
	uint64_t before = fake->turns;
	usleep(300 * 1000);
	assert_true(fake->turns - before < 500);
}

static void fault_51_without_descriptors__clients_are_refused_and_the_loop_rests(void **state)
{
	struct scene *scene = *state;
	struct rlimit before;
	int filler[65], n = 0;
	fake_start(&scene->fake);
	int viewer = watch_calls(scene);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max});
	while ((filler[n] = open_filler()) >= 0)
		n++;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", scene->path);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	read_to_end(scene, client);
	assert_int_equal(answer_status(scene), 503);
	assert_has(scene, "the limit of file descriptors is reached");
	assert_true(fake_said(&scene->fake, "the limit of 64 file descriptors is reached"));
	filler[n] = open_filler(); /* the client's */
	assert_rests(&scene->fake);
	fake_change(&scene->fake, 3);
	scene->answer_length = 0;
	scene->answer[0] = '\0';
	read_until(scene, viewer, "\"op\":\"sync\""); /* who was there before is served on */
	for (int i = 0; i <= n; i++)
		close(filler[i]);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
	close(viewer);
}

static void input_behind_a_request__does_not_spin_the_loop(void **state)
{
	struct scene *scene = *state;
	const char *request = "GET /api/v1/tables/calls?format=csv HTTP/1.1\r\nHost: x\r\n\r\n";
	scene->fake.rows = 1000000;
	int half_closed = dial(scene->path), talker = dial(scene->path), viewer = watch_calls(scene);
	assert_true(send(half_closed, request, strlen(request), 0) > 0);
	assert_true(send(talker, request, strlen(request), 0) > 0);
	wait_for_pause(scene);
	shutdown(half_closed, SHUT_WR);
	shutdown(viewer, SHUT_WR);
	assert_true(send(talker, request, strlen(request), 0) > 0);
	assert_rests(&scene->fake);
	scene->fake.break_after = 20000; /* an end in sight */
	read_to_end(scene, half_closed);
	assert_int_equal(answer_status(scene), 200);
	close(talker);
	close(viewer);
}

/* -- the socket --------------------------------------------------------------------------------------------------- */

static void socket__is_for_owner_and_group_only(void **state)
{
	struct scene *scene = *state;
	struct stat found;
	assert_int_equal(stat(scene->path, &found), 0);
	assert_true(S_ISSOCK(found.st_mode));
	assert_int_equal(found.st_mode & 07777, 0660);
	assert_int_equal(scene->fake.state, CW_UP);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(descriptor, 5), 0);
	return descriptor;
}

static void living_socket__is_not_stolen(void **state)
{
	struct scene *scene = *state;
	int other = listen_at(scene->path);
	struct stat before, after;
	stat(scene->path, &before);
	fake_start(&scene->fake);
	assert_int_equal(scene->fake.state, CW_DOWN);
	assert_true(fake_said(&scene->fake, "another process listens on "));
	assert_int_equal(stat(scene->path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	close(other); /* it left its dead socket behind: taken over at the next try */
	for (int i = 0; i < PATIENCE_MS && scene->fake.state != CW_UP; i++)
		usleep(1000);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
}

static void dead_socket__is_replaced(void **state)
{
	struct scene *scene = *state;
	close(listen_at(scene->path));
	fake_start(&scene->fake);
	assert_int_equal(scene->fake.state, CW_UP);
}

static void what_is_no_socket__is_left_alone(void **state)
{
	struct scene *scene = *state;
	close(open(scene->path, O_CREAT | O_WRONLY, 0600));
	fake_start(&scene->fake);
	assert_int_equal(scene->fake.state, CW_DOWN);
	assert_true(fake_said(&scene->fake, "there is something that is no socket"));
	fake_stop(&scene->fake);
	assert_int_equal(unlink(scene->path), 0);
}

static void missing_directory__is_said(void **state)
{
	struct scene *scene = *state;
	char address[128];
	snprintf(address, sizeof address, "unix:%s/none/s", scene->directory);
	scene->fake.listen[0] = address;
	fake_start(&scene->fake);
	assert_int_equal(scene->fake.state, CW_DOWN);
	assert_true(fake_said(&scene->fake, "its directory does not exist"));
}

static void stop__does_not_unlink_anothers_socket(void **state)
{
	struct scene *scene = *state;
	unlink(scene->path);
	int other = listen_at(scene->path);
	fake_stop(&scene->fake);
	assert_int_equal(access(scene->path, F_OK), 0);
	close(other);
	unlink(scene->path);
}

/* -- hostile ------------------------------------------------------------------------------------------------------ */

static void hostile_requests__get_an_answer_or_the_door(void **state)
{
	struct scene *scene = *state;
	static const struct {
		const char *request;
		int status; /* 0: closed without an answer */
	} cases[] = {
		{"GARBAGE\r\n\r\n", 403},
		{"\r\n\r\n", 0},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
		{"GET / FTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.0\r\n\r\n", 200},
		{"GET /-/healthy%0d%0aX: y HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 403},
		{"GET /-/../-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 501},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 501},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403},
		{"GET http://x/-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", 403},
		{"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 0},
		{"POST /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nx", 405},
		{"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: "
		 "3\r\n\r\n0\r\n\r\n",
		 400},
		{"POST /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
		{"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nGET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n", 200},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int status = ask_raw(scene, cases[i].request, strlen(cases[i].request));
		if (status != cases[i].status)
			print_error("%s: %d instead of %d\n%s\n", cases[i].request, status, cases[i].status,
				    scene->answer);
		assert_int_equal(status, cases[i].status);
	}
	assert_int_equal(count_of(scene->answer, "HTTP/1.1 200"), 1); /* the pipelined second is not answered */
}

static void long_requests__are_refused(void **state)
{
	struct scene *scene = *state;
	char *request = malloc(100000);
	int length = snprintf(request, 100000, "GET /%09000d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
	assert_int_equal(ask_raw(scene, request, (size_t)length), 414);
	length = snprintf(request, 100000, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-A: %090000d\r\n\r\n", 0);
	assert_int_equal(ask_raw(scene, request, (size_t)length), 0);
	length = snprintf(request, 100000, "GET /api/v1/tables/calls?");
	for (int i = 0; i < 300; i++)
		length += snprintf(request + length, 100000 - (size_t)length, "where=a=%d&", i);
	length += snprintf(request + length, 100000 - (size_t)length, " HTTP/1.1\r\nHost: x\r\n\r\n");
	int status = ask_raw(scene, request, (size_t)length);
	assert_true(status == 400 || status == 0);
	free(request);
	assert_int_equal(ask(scene, "GET", "/-/healthy"), 200);
}

/* -- alerts ------------------------------------------------------------------------------------------------------- */

static int ask_with(struct scene *scene, const char *method, const char *target, const char *body)
{
	char request[4096];
	int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
			      method, target, strlen(body), body);
	return ask_raw(scene, request, (size_t)length);
}

static void silence__is_made_tried_listed_and_ended(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(
		ask_with(scene, "POST", "/api/v1/silences",
			 "{\"matchers\":[\"worker=ai-7\",\"severity!=critical\"],\"duration_seconds\":60,\"comment\":"
			 "\"deploy\",\"every\":\"Sun 02:00-04:00\",\"timezone\":\"UTC\"}"),
		201);
	assert_string_equal(scene->fake.asked, "silence all=0 from=0 to=1795354307 every=Sun 02:00-04:00 in=UTC deploy "
					       "[worker=ai-7] [severity!=critical]");
	assert_has(scene, "location: /api/v1/silences/s1\r\n");
	assert_string_equal(body_of(scene),
			    "{\"id\":\"s1\",\"text\":\"it mutes\",\"journaled\":true,\"count\":12,\"alerts\":"
			    "[\"call-stale/CA1\",\"call-stale/CA\\\"2\"]}\n");
	assert_int_equal(
		ask_with(scene, "POST", "/api/v1/silences", "{\"all\":true,\"duration_seconds\":60,\"dry_run\":true}"),
		200);
	assert_non_null(strstr(scene->fake.asked, "all=1 from=0 to=1795354307 every=- in=- - dry"));
	assert_null(strstr(scene->answer, "\r\nlocation:"));
	assert_int_equal(ask(scene, "GET", "/api/v1/silences?limit=1&where=id=s1"), 200);
	assert_has(scene, "{\"table\":\"silences\",\"columns\":[");
	assert_string_equal(scene->fake.where[0], "id=s1");
	assert_int_equal(ask(scene, "GET", "/api/v1/silences/CA%2F1"), 200);
	assert_string_equal(scene->fake.key, "CA/1");
	assert_int_equal(ask(scene, "DELETE", "/api/v1/silences/s1"), 200);
	assert_string_equal(scene->fake.asked, "expire s1");
	assert_has(scene, "\"text\":\"it has ended\"");
	assert_int_equal(ask(scene, "DELETE", "/api/v1/silences"), 405);
	assert_has(scene, "allow: GET, HEAD, POST\r\n");
}

static void alert__is_acknowledged_and_a_rule_tried(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(ask_with(scene, "POST", "/api/v1/acks", "{\"alert\":\"call-stale\",\"note\":\"n\"}"), 200);
	assert_string_equal(scene->fake.asked, "ack call-stale - - n");
	assert_int_equal(ask_with(scene, "POST", "/api/v1/acks",
				  "{\"alert\":\"a\",\"subject\":\"s/1\",\"instance\":\"i\",\"note\":\"n\"}"),
			 200);
	assert_string_equal(scene->fake.asked, "ack a s/1 i n");
	assert_int_equal(ask(scene, "POST", "/api/v1/rules/call%2Dstale/test"), 202);
	assert_string_equal(scene->fake.asked, "try call-stale");
	assert_int_equal(ask(scene, "GET", "/api/v1/rules/call-stale/test"), 405);
}

static void refused_questions_about_alerts__have_their_status_and_words(void **state)
{
	static const struct {
		int answer, rc, status;
		const char *words;
	} cases[] = {
		{-EINVAL, 0, 400, "no such thing"}, {-ENOENT, 0, 404, "no such thing"},
		{-ENOSPC, 0, 422, "no such thing"}, {-EAGAIN, 0, 503, "no such thing"},
		{0, -ENOMEM, 503, "again later"},   {0, -ENOTSUP, 503, "this agent has no alerts"},
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scene->fake.alerts_answer = cases[i].answer;
		scene->fake.alerts_rc = cases[i].rc;
		assert_int_equal(ask_with(scene, "POST", "/api/v1/acks", "{\"alert\":\"a\",\"note\":\"n\"}"),
				 cases[i].status);
		assert_has(scene, "application/problem+json");
		assert_has(scene, cases[i].words);
		assert_int_equal(ask(scene, "DELETE", "/api/v1/silences/s1"), cases[i].status);
		assert_int_equal(ask(scene, "POST", "/api/v1/rules/r/test"), cases[i].status);
	}
	uint64_t before = scene->fake.asked_count;
	assert_int_equal(ask_with(scene, "POST", "/api/v1/acks", "{\"alert\":\"a\"}"), 400);
	assert_has(scene, "`note`");
	assert_int_equal(ask_with(scene, "POST", "/api/v1/silences", "{"), 400);
	assert_has(scene, "the body is no JSON");
	assert_true(scene->fake.asked_count == before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(silence__is_made_tried_listed_and_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(alert__is_acknowledged_and_a_rule_tried, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_questions_about_alerts__have_their_status_and_words, setup,
						teardown),
		cmocka_unit_test_setup_teardown(health_and_readiness__are_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(head__has_the_headers_only, setup, teardown),
		cmocka_unit_test_setup_teardown(reload__tells_the_outcome, setup, teardown),
		cmocka_unit_test_setup_teardown(reload__whose_asker_left__harms_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(reload__that_restarts_the_listener__is_not_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(tables__describe_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_in_json__are_a_page, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_in_ndjson_and_csv__are_all, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_as_they_were__whose_page_comes_between_two_looks__are_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			rows_as_they_were__are_looked_for_though_nobody_said_that_they_are_there, setup, teardown),
		cmocka_unit_test_setup_teardown(row__by_key, setup, teardown),
		cmocka_unit_test_setup_teardown(status__is_a_verdict_with_reasons, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics__are_told_whole_in_both_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_requests__are_told_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(unread_stream__holds_a_bounded_part, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_stream__is_seen_by_its_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(stop__with_open_streams__leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(watch__tells_changes_and_pings, setup, teardown),
		cmocka_unit_test_setup_teardown(watch__looks_again_while_nothing_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(deadlines__end_what_does_not_move, setup, teardown),
		cmocka_unit_test_setup_teardown(one_connection_too_many__is_refused_in_words, setup_idle, teardown),
		cmocka_unit_test_setup_teardown(connections_that_ask_for_nothing__make_room_for_who_does, setup_idle,
						teardown),
		cmocka_unit_test_setup_teardown(fault_51_without_descriptors__clients_are_refused_and_the_loop_rests,
						setup_idle, teardown),
		cmocka_unit_test_setup_teardown(input_behind_a_request__does_not_spin_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(socket__is_for_owner_and_group_only, setup, teardown),
		cmocka_unit_test_setup_teardown(living_socket__is_not_stolen, setup_idle, teardown),
		cmocka_unit_test_setup_teardown(dead_socket__is_replaced, setup_idle, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_socket__is_left_alone, setup_idle, teardown),
		cmocka_unit_test_setup_teardown(missing_directory__is_said, setup_idle, teardown),
		cmocka_unit_test_setup_teardown(stop__does_not_unlink_anothers_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_requests__get_an_answer_or_the_door, setup, teardown),
		cmocka_unit_test_setup_teardown(long_requests__are_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
