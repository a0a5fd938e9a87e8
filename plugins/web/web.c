/* SPDX-License-Identifier: MIT
 *
 * The plugin web: the agent's answers over HTTP, for the command `callwatch`, for scripts, and later for the page. A
 * frontend: it reads tables by queries and views, is given samples by write(), and asks for reloads.
 *
 * Everything runs on the instance's loop and nothing waits: listeners (listen.c), connections (http.c), routes.
 */
#include "web.h"

#include "listen.h"
#include "routes/routes.h"

#include <errno.h>
#include <stdlib.h>

static const struct cw_option listen_fields[] = {
	{.key = "address",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "Where to listen: unix:/path (host:port comes with a later version)"},
	{.key = "only", .type = CW_OPTION_STRING, .help = "Serve only this part (not available in this version)"},
};

static const struct cw_option options[] = {
	{.key = "listen",
	 .type = CW_OPTION_ITEMS,
	 .fallback = "[\"unix:/run/callwatch/control.sock\"]",
	 .help = "Where to listen, one item for each place; a UNIX socket is for root and its group only",
	 .fields = CW_ARRAY(listen_fields)},
	{.key = "max_connections",
	 .type = CW_OPTION_INT,
	 .fallback = "64",
	 .min = 4,
	 .max = 4096,
	 .help = "Connections at a time, over all listeners; one more is refused with 503"},
};

static void web_check(const struct cw_value *values, struct cw_problems *problems)
{
	const struct cw_value *items = cw_get(values, "listen");
	if (!items || items->count == 0)
		problems->error(problems, items, "listen needs at least one item");
	for (uint32_t i = 0; items && i < items->count; i++) {
		const struct cw_value *item = &items->children[i];
		const char *address = cw_get_string(item, "address");
		const char *wrong = address ? listen_check(address) : NULL;
		if (wrong)
			problems->error(problems, cw_get(item, "address"), "%s: %s", address, wrong);
		if (cw_get_string(item, "only"))
			problems->error(problems, cw_get(item, "only"),
					"\"only\" is for TCP listeners, which come with a later version");
	}
}

static void on_second(uv_timer_t *timer)
{
	struct web *web = timer->data;
	http_tick(web, web->host->now());
}

static void web_stop(void *state)
{
	struct web *web = state;
	listeners_stop(web);
	reloads_leave(web);
	http_stop(web);
	uv_close((uv_handle_t *)&web->second, NULL);
}

static void web_release(void *state)
{
	struct web *web = state;
	http_release(web);
	listeners_free(web);
	reloads_release(web);
	series_list_release(&web->series);
	free(web);
}

static int web_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		     void **ret_state)
{
	struct web *web = calloc(1, sizeof *web);
	if (!web)
		return -ENOMEM;
	*ret_state = web;
	web->self = self;
	web->host = host;
	web->frontend = host->frontend;
	web->connections_max = (uint32_t)cw_get_integer(values, "max_connections", /* otherwise: */ 64);
	uv_timer_init(host->loop(self), &web->second);
	web->second.data = web;
	uv_timer_start(&web->second, on_second, /* first: */ 1000, /* repeat: */ 1000);
	int rc = http_start(web);
	if (rc)
		host->state(self, CW_DOWN, /* next_try: */ 0, "libwebsockets does not start");
	else
		rc = listeners_start(web, cw_get(values, "listen"));
	if (rc)
		web_stop(web);
	return rc;
}

static int web_write(void *state, const struct cw_batch *batch)
{
	struct web *web = state;
	uint64_t refused = web->series.refused;
	series_list_add(&web->series, batch, web->host->now());
	if (web->series.refused > refused)
		web->host->count_error(web->self, web->series.refused - refused);
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "web",
	.summary = "Answers over HTTP: state, tables and their rows, live views, reload",
	.role = CW_FRONTEND,
	.options = CW_ARRAY(options),
	.check = web_check,
	.start = web_start,
	.write = web_write,
	.stop = web_stop,
	.release = web_release,
};
