/* SPDX-License-Identifier: MIT
 *
 * `callwatch doctor [INSTANCE]`: climbs from callwatchd's socket through each instance's own checks, shows each rung as
 * it is known, and names the first broken one. A callwatchd that cannot be reached is the first broken rung itself;
 * then its configuration is looked at from here.
 */
#include "clock.h"
#include "findings.h"
#include "offline.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 * 1024, SILENCE_S = 30 };
static const int64_t waiting_after = 2 * CW_SECOND;

struct doctor {
	struct findings findings;
	const struct arguments *arguments;
	struct buffer line;
	int64_t heard; /* instant of the last finding */
	bool reached;
	const char *bad; /* what came is none of callwatchd's */
};

static void add_reached(struct doctor *doctor)
{
	const struct arguments *arguments = doctor->arguments;
	const char *where = arguments->socket ? arguments->socket
			    : arguments->url  ? arguments->url
					      : HTTP_SOCKET_DEFAULT;
	char *text = must_printf("callwatchd answers on %s", where);
	struct finding finding = {"callwatchd", "", "socket", text, "ok"};
	findings_add(&doctor->findings, &finding);
	doctor->reached = true;
	free(text);
}

static int take_line(struct doctor *doctor)
{
	json_t *line = json_loadb(buffer_text(&doctor->line), doctor->line.length, JSON_REJECT_DUPLICATES, NULL);
	struct finding finding = {field_text(line, "instance"), field_text(line, "plugin"), field_text(line, "check"),
				  field_text(line, "text"), field_text(line, "verdict")};
	bool right = *finding.instance && *finding.check && *finding.verdict;
	if (!right)
		doctor->bad = "the answer is not what callwatchd says";
	else if (!doctor->reached)
		add_reached(doctor);
	if (right)
		findings_add(&doctor->findings, &finding);
	doctor->heard = clock_now();
	json_decref(line);
	return right ? 0 : -1;
}

static int on_bytes(void *arg, const char *bytes, size_t length)
{
	struct doctor *doctor = arg;
	while (length > 0) {
		const char *end = memchr(bytes, '\n', length);
		size_t piece = end ? (size_t)(end - bytes) : length;
		buffer_bytes(&doctor->line, bytes, piece);
		if (doctor->line.failed) {
			doctor->bad = "a line of the answer has no end";
			return -1;
		}
		if (end && take_line(doctor) < 0)
			return -1;
		if (end)
			buffer_cut(&doctor->line, 0);
		bytes += piece + (end != NULL);
		length -= piece + (end != NULL);
	}
	return 0;
}

static int on_tick(void *arg)
{
	struct doctor *doctor = arg;
	int64_t silent = clock_now() - doctor->heard;
	if (silent >= waiting_after)
		findings_waiting(&doctor->findings, (double)silent / (double)CW_SECOND);
	return 0;
}

/* Its first line what is wrong, the second what to do: here as one. */
static void add_unreachable(struct doctor *doctor, const struct http_failure *failure)
{
	const char *sentence = failure->sentence ? failure->sentence : "cannot be reached";
	size_t first = strcspn(sentence, "\n");
	char *text = must_printf("%.*s%s%s", (int)first, sentence, sentence[first] ? ". " : "",
				 sentence + first + (sentence[first] == '\n'));
	struct finding finding = {"callwatchd", "", "socket", text, "failed"};
	findings_add(&doctor->findings, &finding);
	free(text);
}

static int unreachable(struct doctor *doctor, struct http_failure *failure)
{
	const struct arguments *arguments = doctor->arguments;
	add_unreachable(doctor, failure);
	if (arguments->config[0] || arguments->socket || !arguments->url) /* else it is on another machine */
		offline_look(arguments->config[0] ? arguments->config : NULL, &doctor->findings);
	findings_conclude(&doctor->findings);
	http_failure_release(failure);
	return EXIT_UNREACHABLE;
}

static int conclude(struct doctor *doctor, int result, struct http_failure *failure)
{
	if (result != 0 && failure->kind == HTTP_UNREACHABLE)
		return unreachable(doctor, failure);
	if (doctor->reached && !findings_conclude(&doctor->findings) && result == 0)
		return EXIT_FAILED;
	if (result == 0)
		return EXIT_FINE;
	if (doctor->bad)
		complain("%s", doctor->bad);
	else
		fail(failure);
	return EXIT_FAILED;
}

static int examine(struct doctor *doctor, struct http *http)
{
	struct path *path = path_new("/api/v1/doctor");
	if (doctor->arguments->words[1])
		path_segment(path, doctor->arguments->words[1]);
	path_query(path, "format", "ndjson");
	struct http_request request = {
		.path = path_text(path), .sink = on_bytes, .tick = on_tick, .arg = doctor, .silence_s = SILENCE_S};
	struct http_failure failure;
	int result = http_do(http, &request, &failure);
	path_free(path);
	return conclude(doctor, result, &failure);
}

int command_doctor(const struct arguments *arguments)
{
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	struct doctor doctor = {.arguments = arguments, .heard = clock_now()};
	buffer_init(&doctor.line, /* head: */ 0, LINE_MAX_BYTES);
	findings_init(&doctor.findings, arguments->format == FORMAT_JSON);
	int code = examine(&doctor, http);
	findings_release(&doctor.findings);
	buffer_release(&doctor.line);
	http_close(http);
	return code;
}
