/* SPDX-License-Identifier: MIT
 *
 * Notifier `email`: tells by mail, through a server that passes it on (`smarthost`). See email.h for where things are;
 * this file is what the plugin says about itself, its options, its start and its end.
 */
#include "email.h"

#include "connect/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the options ---- */

static bool is_given(const struct cw_value *options, const char *key)
{
	const struct cw_value *value = cw_get(options, key);
	return value && value->is_set;
}

static bool is_host_name(const char *text)
{
	size_t length = strlen(text);
	return length > 0 && length <= ADDRESS_HOST_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.[]:") == length;
}

static bool is_implicit(const struct cw_value *options, uint16_t port)
{
	return is_given(options, "implicit_tls") ? cw_get_bool(options, "implicit_tls") : port == SMTPS_PORT;
}

static void check_recipients(const struct cw_value *to, struct cw_problems *problems)
{
	size_t bytes = 0;
	struct recipient recipient;
	const char *error;
	for (uint32_t i = 0; to && i < to->count; i++) {
		if (!to->children[i].string)
			continue;
		if (recipient_parse(to->children[i].string, &recipient, &error) < 0)
			problems->error(problems, &to->children[i], "to: %s", error);
		else
			bytes += strlen(recipient.address) + 3;
	}
	if (to && to->known && to->count == 0)
		problems->error(problems, to, "to: nobody would get the mails");
	if (to && (to->count > RECIPIENTS_MAX || bytes > RECIPIENTS_BYTES_MAX))
		problems->error(problems, to,
				"to: more than %d recipients, or %d bytes; let the mail server have a list",
				RECIPIENTS_MAX, RECIPIENTS_BYTES_MAX);
}

static void check_login(const struct cw_value *options, bool talks_tls, struct cw_problems *problems)
{
	const char *username = cw_get_string(options, "username");
	if (is_given(options, "username") != is_given(options, "password"))
		problems->error(problems, cw_get(options, is_given(options, "username") ? "username" : "password"),
				"username and password (better in a file: password_file) go together");
	if (is_given(options, "username") && !talks_tls)
		problems->error(problems, cw_get(options, "require_tls"),
				"require_tls: a password is only sent over TLS; leave out username, or require_tls: "
				"false");
	if (username && strpbrk(username, "\r\n"))
		problems->error(problems, cw_get(options, "username"), "username: it is one line");
}

static void check_headers(const struct cw_value *headers, struct cw_problems *problems)
{
	for (uint32_t i = 0; headers && i < headers->count; i++) {
		const struct cw_value *header = &headers->children[i];
		const char *wrong = header->string ? letter_header_wrong(header->key, header->string) : NULL;
		if (wrong)
			problems->error(problems, header, "headers: %s", wrong);
	}
}

static void email_check(const struct cw_value *options, struct cw_problems *problems)
{
	const char *smarthost = cw_get_string(options, "smarthost"), *from = cw_get_string(options, "from"),
		   *hello = cw_get_string(options, "hello"), *error;
	struct address address = {.port = 0};
	struct recipient sender;
	if (smarthost && address_parse(smarthost, SMTP_PORT, &address, &error) < 0)
		problems->error(problems, cw_get(options, "smarthost"), "smarthost: %s", error);
	if (from && recipient_parse(from, &sender, &error) < 0)
		problems->error(problems, cw_get(options, "from"), "from: %s", error);
	if (hello && !is_host_name(hello))
		problems->error(problems, cw_get(options, "hello"), "hello: it is a host's name, in ASCII");
	check_recipients(cw_get(options, "to"), problems);
	bool talks_tls = cw_get_bool(options, "require_tls") || is_implicit(options, address.port);
	check_login(options, talks_tls, problems);
	check_headers(cw_get(options, "headers"), problems);
	tls_check_options(options, talks_tls, problems);
}

/* ---- life ---- */

static int take_addresses(struct email *email)
{
	const struct cw_value *to = cw_get(email->options, "to");
	const char *error;
	if (recipient_parse(cw_get_string(email->options, "from"), &email->form.from, &error) < 0)
		return -EINVAL;
	for (uint32_t i = 0; to && i < to->count && i < RECIPIENTS_MAX; i++)
		if (recipient_parse(to->children[i].string, &email->to[email->form.to_count++], &error) < 0)
			return -EINVAL;
	email->form.to = email->to;
	email->form.headers = cw_get(email->options, "headers");
	return 0;
}

static int take_server(struct email *email)
{
	const struct cw_value *options = email->options;
	const char *hello = cw_get_string(options, "hello"), *host = email->host->info(email->self)->host, *error;
	if (address_parse(cw_get_string(options, "smarthost"), SMTP_PORT, &email->server.at, &error) < 0)
		return -EINVAL;
	snprintf(email->hello, sizeof(email->hello), "%s", hello ? hello : is_host_name(host) ? host : "localhost");
	email->server.implicit_tls = is_implicit(options, email->server.at.port);
	email->server.require_tls = cw_get_bool(options, "require_tls");
	email->server.hello = email->hello;
	email->server.from = email->form.from.address;
	email->server.username = cw_get_string(options, "username");
	email->server.password = cw_get_string(options, "password");
	email->server.options = options;
	return 0;
}

static int email_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		       void **ret_state)
{
	struct email *email = calloc(1, sizeof(*email));
	if (!email)
		return -ENOMEM;
	*ret_state = email;
	*email = (struct email){.self = self,
				.host = host,
				.options = options,
				.backoff = {.random = (uint64_t)host->now()},
				.check_every = cw_get_integer(options, "check_every", 0),
				.examining = -1};
	int status = take_addresses(email);
	if (status == 0)
		status = take_server(email);
	if (status == 0)
		status = smtp_open(self, host, &email->server, &email->smtp);
	if (status < 0)
		return status;
	uv_timer_init(host->loop(self), &email->timer);
	email->timer.data = email;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	email_try(email);
	return 0;
}

static void on_timer_closed(uv_handle_t *timer)
{
	(void)timer; /* the memory goes in release() */
}

static void email_stop(void *state)
{
	struct email *email = state;
	smtp_close(email->smtp);
	email->smtp = NULL;
	sending_abandon(email);
	uv_close((uv_handle_t *)&email->timer, on_timer_closed);
}

static void email_release(void *state)
{
	struct email *email = state;
	if (!email)
		return;
	sending_release(&email->sending);
	free(email);
}

/* ---- the plugin ---- */

static const struct cw_option options[] = {
	{.key = "smarthost",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_CONNECTION,
	 .help = "The mail server that passes our mails on: host, host:port or [IPv6 address]:port; port 25 if none is "
		 "given"},
	{.key = "from",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "The sender: name@host, or Somebody <name@host>; its host is in every Message-ID, so do not change it "
		 "without need"},
	{.key = "to",
	 .type = CW_OPTION_LIST,
	 .flags = CW_OPTION_REQUIRED,
	 .help = "The recipients, at most 50; each has a result of its own"},
	{.key = "username",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION,
	 .help = "The user to log in as; without it there is no login"},
	{.key = "password",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET,
	 .help = "The user's password, better in a file: password_file; it is sent over TLS or not at all"},
	{.key = "require_tls",
	 .type = CW_OPTION_BOOL,
	 .flags = CW_OPTION_CONNECTION,
	 .fallback = "true",
	 .help = "Nothing is sent unless the server offers STARTTLS; false: in the clear, for a relay on this machine"},
	{.key = "implicit_tls",
	 .type = CW_OPTION_BOOL,
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_ADVANCED,
	 .help = "TLS from the first byte, without STARTTLS; where it is not set, on port 465"},
	{.key = "hello",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "The name that we greet the server with; the host's name if none is given"},
	{.key = "headers",
	 .type = CW_OPTION_MAP,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "More headers for every mail, such as `X-Team: voice`"},
	{.key = "check_every",
	 .type = CW_OPTION_DURATION,
	 .flags = CW_OPTION_ADVANCED,
	 .fallback = "5m",
	 .help = "How often the way is tried, up to the login and without a mail, while nothing is to be sent; 0s: "
		 "only "
		 "at the start and after trouble",
	 .min = 0,
	 .max = 86400e9},
	TLS_CONNECTION_OPTIONS,
};

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};

static const struct cw_need needs[] = {
	{.what = "Mail server", .line = "submission for this host or `username`, with `from` as a sender it may use"},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "email",
	.summary = "Tells people by e-mail, through a mail server",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.needs = CW_ARRAY(needs),
	.check = email_check,
	.start = email_start,
	.stop = email_stop,
	.release = email_release,
	.checks = CW_ARRAY(email_checks),
	.examine = email_examine,
	.actions = CW_ARRAY(actions),
	.notify = sending_notify,
	.digest_max = CW_NOTICE_DIGEST_MAX,
};
