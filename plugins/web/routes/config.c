/* SPDX-License-Identifier: MIT
 *
 * GET /api/v1/config/diff: what a reload would do, as `{"changes":["calls: restarted: …"]}`, an empty list if nothing.
 * A configuration that a reload would refuse is 422 with its problems. For operators, since it shows values of options.
 */
#include "routes.h"

#include <string.h>

enum { LINES_SHOWN_MAX = 1000 };

/* Nothing but the line's end tells them apart: each becomes an element of a list. */
static void say_lines(struct buffer *out, const char *text)
{
	for (int n = 0; *text && n < LINES_SHOWN_MAX; n++) {
		size_t length = strcspn(text, "\n");
		if (n)
			buffer_bytes(out, ",", 1);
		buffer_json(out, text, length);
		text += length + (text[length] == '\n');
	}
}

void configuration_problem(struct exchange *exchange, const char *detail, const char *problems)
{
	exchange_problem(exchange, 422, "%s", detail);
	buffer_cut(&exchange->body, exchange->body.length - strlen("}\n"));
	buffer_string(&exchange->body, ",\"problems\":[");
	say_lines(&exchange->body, problems);
	buffer_string(&exchange->body, "]}\n");
}

static void on_previewed(void *arg, bool ok, const char *text)
{
	struct pending *pending = arg;
	struct exchange *exchange = pending->exchange;
	if (exchange && !ok) {
		configuration_problem(exchange, "a reload would refuse the configuration", text);
	} else if (exchange) {
		buffer_string(&exchange->body, "{\"changes\":[");
		say_lines(&exchange->body, text);
		buffer_string(&exchange->body, "]}\n");
	}
	pending_end(pending);
}

void route_config_diff(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct pending *pending = pending_new(exchange, sizeof *pending);
	if (!pending)
		return;
	exchange->hold = true;
	web->frontend->reload_preview(web->self, on_previewed, pending);
}
