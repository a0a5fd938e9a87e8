/* SPDX-License-Identifier: MIT
 *
 * `callwatch note TEXT`: a mark in the event log, such as a deploy.
 */
#include "query.h"

#include <stdlib.h>
#include <string.h>

/* The words as one text, as `echo` takes them. */
static char *join(const char *const *words)
{
	char *text = must(strdup(""));
	for (; *words; words++) {
		char *longer = must_printf("%s%s%s", text, *text ? " " : "", *words);
		free(text);
		text = longer;
	}
	return text;
}

static int send_note(struct http *http, const char *text)
{
	json_t *body = json_pack("{s:s}", "text", text);
	char *bytes = body ? must(json_dumps(body, JSON_COMPACT)) : NULL;
	struct http_failure failure = {0};
	if (!bytes) {
		complain("a note is valid UTF-8");
		return EXIT_USAGE;
	}
	struct http_request question = {.method = "POST", .path = "/api/v1/events", .body = bytes};
	json_t *answer = http_ask(http, &question, &failure);
	int code = answer ? EXIT_FINE : fail(&failure);
	if (answer)
		puts("noted");
	json_decref(answer);
	free(bytes);
	json_decref(body);
	return code;
}

int command_note(const struct arguments *arguments)
{
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	char *text = join(arguments->words + 1);
	int code = send_note(http, text);
	free(text);
	http_close(http);
	return code;
}
