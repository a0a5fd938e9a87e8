/* SPDX-License-Identifier: MIT
 *
 * The plugin web: the agent's answers over HTTP, for the command `callwatch`, for scripts, and later for the page. A
 * frontend: it reads tables by queries and views, is given samples by write(), and asks for reloads.
 *
 * Everything runs on the instance's loop and nothing waits: listeners (listen.c), connections (http.c), routes.
 */
#include "web.h"

#include "access.h"
#include "checks.h"
#include "listen.h"
#include "routes/routes.h"
#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const only_choices[] = {"metrics", NULL};

static const struct cw_option listen_fields[] = {
	{.key = "address",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "Where to listen: unix:/path, 127.0.0.1:8470, [::1]:8470"},
	{.key = "only",
	 .type = CW_OPTION_CHOICE,
	 .choices = only_choices,
	 .help = "Serve only this: metrics, to everybody who can connect (and whether the agent lives)"},
	{.key = "tls", .type = CW_OPTION_BOOL, .help = "Speak TLS here; default: if there is a certificate, over TCP"},
};

static const char *const role_choices[] = {"viewer", "operator", NULL};

static const struct cw_option user_fields[] = {
	{.key = "name", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "Their name"},
	{.key = "password_hash",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_SECRET,
	 .help = "Their password as argon2id; callwatch passwd makes it"},
	{.key = "role",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "viewer",
	 .choices = role_choices,
	 .help = "A viewer sees masked numbers and may not act"},
};

static const struct cw_option token_fields[] = {
	{.key = "name", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "What it is for"},
	{.key = "token_hash",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_SECRET,
	 .help = "The token's SHA-256; callwatch token add makes both"},
	{.key = "role",
	 .type = CW_OPTION_CHOICE,
	 .fallback = "viewer",
	 .choices = role_choices,
	 .help = "A viewer sees masked numbers and may not act"},
	{.key = "expires", .type = CW_OPTION_STRING, .help = "Date or time from which it is not taken any more"},
};

static const struct cw_option options[] = {
	{.key = "listen",
	 .type = CW_OPTION_ITEMS,
	 .fallback = "[\"unix:/run/callwatch/control.sock\", \"127.0.0.1:8470\"]",
	 .help = "Where to listen, one item for each place; a UNIX socket is for root and its group only",
	 .fields = CW_ARRAY(listen_fields)},
	{.key = "users",
	 .type = CW_OPTION_ITEMS,
	 .help = "Who may ask over TCP by name and password; with users or tokens loopback asks too",
	 .fields = CW_ARRAY(user_fields)},
	{.key = "tokens",
	 .type = CW_OPTION_ITEMS,
	 .help = "Tokens by which programs may ask over TCP",
	 .fields = CW_ARRAY(token_fields)},
	{.key = "tls_cert", .type = CW_OPTION_STRING, .help = "PEM of the certificate and its chain, by tls_cert_file"},
	{.key = "tls_key",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "PEM of its private key, by tls_key_file"},
	{.key = "allowed_hosts",
	 .type = CW_OPTION_LIST,
	 .help = "Names by which browsers and scrapers may ask over TCP, besides the addresses listened on, localhost "
		 "and the hostname"},
	{.key = "trusted_proxies",
	 .type = CW_OPTION_LIST,
	 .help = "Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto count"},
	{.key = "max_connections",
	 .type = CW_OPTION_INT,
	 .fallback = "64",
	 .min = 4,
	 .max = 4096,
	 .help = "Connections at a time, over all listeners, a quarter of them for UNIX sockets only; one more is "
		 "refused with 503"},
};

static void web_check(const struct cw_value *values, struct cw_problems *problems)
{
	listen_check(values, problems);
	access_check(values, problems);
	tls_check(values, problems);
	guard_check(values, problems);
}

static void on_second(uv_timer_t *timer)
{
	struct web *web = timer->data;
	http_tick(web, web->host->now());
	listeners_tick(web, web->host->now());
}

static void web_stop(void *state)
{
	struct web *web = state;
	listeners_stop(web);
	reloads_leave(web);
	access_stop(web);
	http_stop(web);
	uv_close((uv_handle_t *)&web->second, NULL);
}

static void web_release(void *state)
{
	struct web *web = state;
	http_release(web);
	listeners_free(web);
	access_release(web);
	reloads_release(web);
	pendings_release(web);
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
	web->values = values;
	web->connections_max = (uint32_t)cw_get_integer(values, "max_connections", /* otherwise: */ 64);
	web->tcp_max = web->connections_max - web->connections_max / 4;
	uv_timer_init(host->loop(self), &web->second);
	web->second.data = web;
	uv_timer_start(&web->second, on_second, /* first: */ 1000, /* repeat: */ 1000);
	int rc = http_start(web);
	if (rc)
		host->state(self, CW_DOWN, /* next_try: */ 0,
			    "the HTTP library does not start: are memory or file descriptors short?");
	if (rc == 0)
		rc = access_start(web, values);
	if (rc == 0)
		rc = listeners_start(web, values);
	if (rc)
		web_stop(web);
	return rc;
}

static int web_write(void *state, const struct cw_batch *batch)
{
	struct web *web = state;
	uint64_t before[SERIES_DROPS];
	memcpy(before, web->series.dropped, sizeof before);
	series_list_add(&web->series, batch, web->host->now());
	for (int reason = 0; reason < SERIES_DROPS; reason++)
		if (web->series.dropped[reason] > before[reason])
			web->host->dropped(web->self, (enum cw_drop)reason,
					   web->series.dropped[reason] - before[reason]);
	if (*web->series.clash)
		web->host->log(web->self, CW_WARNING, "%s", web->series.clash);
	*web->series.clash = '\0';
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "web",
	.summary = "Answers over HTTP: state, metrics for Prometheus, tables and their rows, live views, reload",
	.role = CW_FRONTEND,
	.options = CW_ARRAY(options),
	.check = web_check,
	.start = web_start,
	.write = web_write,
	.stop = web_stop,
	.release = web_release,
	.checks = {web_checks, WEB_CHECKS, sizeof(web_checks[0])},
	.examine = web_examine,
};
