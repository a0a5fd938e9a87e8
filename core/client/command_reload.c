/* SPDX-License-Identifier: MIT
 *
 * `callwatch reload`: asks callwatchd to read its configuration again and prints the outcome, line by line.
 */
#include "client.h"
#include "http.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>

static void print_lines(char *text)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *shown = visible(line);
		puts(shown);
		free(shown);
	}
}

static void print_outcome(struct buffer *body)
{
	if (body->length == 0)
		buffer_string(body, "reloaded");
	buffer_bytes(body, "", 1);
	if (!body->failed)
		print_lines(buffer_text(body));
}

int command_reload(const struct arguments *arguments)
{
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	struct buffer body = {.ceiling = 1024 * 1024};
	struct http_request request = {.method = "POST",
				       .path = "/-/reload",
				       .sink = http_collect,
				       .arg = &body,
				       .silence_s = 60,
				       .whole_s = 60};
	struct http_failure failure;
	int code = EXIT_FINE;
	if (http_do(http, &request, &failure) == 0)
		print_outcome(&body);
	else
		code = fail(&failure);
	buffer_release(&body);
	http_close(http);
	return code;
}
