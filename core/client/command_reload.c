/* SPDX-License-Identifier: MIT
 *
 * `callwatch reload`: asks callwatchd to read its configuration again and prints the outcome, line by line.
 *
 * A reload may end the very listener that was to answer. It says so (202), or the connection is lost; then the outcome
 * is looked for among the events, where each reload leaves one, as soon as somebody listens again.
 */
#include "client.h"
#include "http.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS_MAX = 75, LOOKS_CALM = 5, EVENTS_MAX = 20 };
static const struct timespec between_looks = {.tv_nsec = 200000000};

static void print_lines(char *text)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *shown = visible(line);
		puts(shown);
		free(shown);
	}
}

static int print_answer(struct buffer *body)
{
	if (body->length == 0)
		buffer_string(body, "reloaded");
	buffer_bytes(body, "", 1);
	if (!body->failed)
		print_lines(buffer_text(body));
	return EXIT_FINE;
}

/* The events of reloads, newest first; NULL with *ret_failure filled. */
static json_t *reloads_ask(struct http *http, struct http_failure *ret_failure)
{
	struct path *path = path_new("/api/v1/tables/events");
	char *limit = must_printf("%d", EVENTS_MAX);
	path_query(path, "where", "kind=reload");
	path_query(path, "sort", "-id");
	path_query(path, "limit", limit);
	json_t *answer = http_json(http, path_text(path), /* whole_s: */ 10, ret_failure);
	free(limit);
	path_free(path);
	return answer;
}

/* Ids grow, and are equally long. */
static const char *newest_id(const json_t *reloads)
{
	return field_text(json_array_get(json_object_get(reloads, "rows"), 0), "id");
}

/* Of the reloads since `before`, the one that was asked for by this process; else the last. NULL: there is none. */
static const json_t *find_outcome(const json_t *reloads, const char *before, bool *ret_is_ours)
{
	const json_t *event, *rows = json_object_get(reloads, "rows"), *found = NULL;
	char *us = must_printf(", process %d", (int)getpid());
	size_t i;
	*ret_is_ours = false;
	json_array_foreach(rows, i, event)
	{
		const char *by = field_text(event, "by");
		size_t length = strlen(by), ours = strlen(us);
		if (strcmp(field_text(event, "id"), before) <= 0 || *ret_is_ours)
			break;
		*ret_is_ours = length >= ours && strcmp(by + length - ours, us) == 0;
		found = found && !*ret_is_ours ? found : event;
	}
	free(us);
	return found;
}

static int print_event(const json_t *event)
{
	char *text = must(strdup(field_text(event, "text")));
	bool ok = strcmp(field_text(event, "to"), "ok") == 0;
	if (ok)
		print_lines(text);
	else
		complain("the configuration was not taken over: nothing has changed\n%s", text);
	free(text);
	return ok ? EXIT_FINE : EXIT_FAILED;
}

/* Looks until our outcome is there, or one of which nobody says whose it is, and no other has come for a second. */
static int await_outcome(struct http *http, const char *before)
{
	char *last = must(strdup(before));
	int code = -1;
	for (int look = 0, calm = 0; look < LOOKS_MAX && code < 0; look++) {
		struct http_failure failure;
		bool is_ours;
		nanosleep(&between_looks, NULL);
		json_t *reloads = reloads_ask(http, &failure);
		const json_t *event = find_outcome(reloads, before, &is_ours);
		calm = event && strcmp(newest_id(reloads), last) == 0 ? calm + 1 : 0;
		if (event && (is_ours || calm == LOOKS_CALM))
			code = print_event(event);
		free(last);
		last = must(strdup(newest_id(reloads)));
		json_decref(reloads);
		http_failure_release(&failure);
	}
	free(last);
	return code;
}

/* `before`: the last event of a reload up to now; NULL: there is no looking for events. */
static int ask(struct http *http, const char *before)
{
	struct buffer body = {.ceiling = 1024 * 1024};
	struct http_failure failure;
	long status = 0;
	struct http_request request = {.method = "POST",
				       .path = "/-/reload",
				       .sink = http_collect,
				       .arg = &body,
				       .ret_status = &status,
				       .silence_s = 60,
				       .whole_s = 60};
	int code = -1;
	bool is_answered = http_do(http, &request, &failure) == 0;
	bool is_told = is_answered ? status != 202 : failure.kind == HTTP_REFUSED;
	if (is_told)
		code = is_answered ? print_answer(&body) : fail(&failure);
	else if (before)
		code = await_outcome(http, before);
	if (code < 0 && is_answered)
		complain("the outcome is not known: callwatchd, or the listener that was asked, ends or starts anew, "
			 "and has said no more for 15 s. Its log has the outcome.");
	else if (code < 0)
		fail(&failure);
	http_failure_release(&failure);
	buffer_release(&body);
	return code < 0 ? EXIT_FAILED : code;
}

int command_reload(const struct arguments *arguments)
{
	struct http *http = http_open(arguments);
	struct http_failure failure;
	if (!http)
		return EXIT_USAGE;
	json_t *before = reloads_ask(http, &failure);
	bool may_ask = before || failure.kind == HTTP_REFUSED;
	int code = may_ask ? ask(http, before ? newest_id(before) : NULL) : fail(&failure);
	http_failure_release(&failure);
	json_decref(before);
	http_close(http);
	return code;
}
