/* SPDX-License-Identifier: MIT
 *
 * Notifier webhook: what it says of itself, its options, its life. See webhook.h for the way through its files.
 */
#include "webhook.h"

#include "connect/tls.h"
#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { URL_MAX = 4096, HEADER_MAX = 8192, NAME_MAX_BYTES = 100, QUOTED_BYTES = 60, QUOTED_MAX = 8 * QUOTED_BYTES };

/* ---- the template ---- */

static int parse_body(const char *text, struct template **ret_template, char error[TEMPLATE_ERROR_MAX + 400])
{
	char names[300], why[TEMPLATE_ERROR_MAX];
	struct template *template;
	if (template_parse(text, &template, why) < 0) {
		snprintf(error, TEMPLATE_ERROR_MAX + 400, "body: %s", why);
		return -EINVAL;
	}
	for (uint32_t i = 0; template_name(template, i); i++)
		if (!body_is_name(template_name(template, i))) {
			snprintf(error, TEMPLATE_ERROR_MAX + 400, "body: no name `%s`; there are %s",
				 text_start(template_name(template, i), 60).text, body_names(names, sizeof(names)));
			template_free(template);
			return -EINVAL;
		}
	*ret_template = template;
	return 0;
}

/* What a notice may lack it lacks here: of `[{{ common }}]` nothing is left but JSON. */
static const struct cw_notice bare = {.id = "id",
				      .group = "group",
				      .incident = "incident",
				      .rule = "call-stale",
				      .title = "title",
				      .description = "",
				      .common = "",
				      .command = "",
				      .host = "host"};

/* And here it has everything, with what JSON minds in each text. */
#define HOSTILE "a \"quoted\" \\ and\nanother line"
static const struct cw_alert sample_alerts[] = {
	{.subject = HOSTILE, .is_firing = true, .summary = HOSTILE},
	{.subject = HOSTILE, .summary = HOSTILE, .reason = HOSTILE},
};
static const struct cw_notice full = {.id = HOSTILE,
				      .group = HOSTILE,
				      .incident = HOSTILE,
				      .rule = HOSTILE,
				      .title = HOSTILE,
				      .description = HOSTILE,
				      .common = HOSTILE,
				      .command = HOSTILE,
				      .host = HOSTILE,
				      .url = HOSTILE,
				      .alerts = CW_ARRAY(sample_alerts),
				      .left_out = 1234,
				      .sequence = 1234, /* so is a number with a comma in it */
				      .firing = 1234,
				      .resolved = 1234};
#undef HOSTILE

/* What came out up to where it ceased to be JSON, the end of it. */
static void quote_until(const char *text, size_t end, char quoted[QUOTED_MAX])
{
	size_t from = end > QUOTED_BYTES ? end - QUOTED_BYTES : 0;
	while (from < end && ((unsigned char)text[from] & 0xc0) == 0x80)
		from++;
	text_visible(quoted, QUOTED_MAX, text + from, end - from);
}

/* With any notice; these two find what goes wrong with some. */
static bool becomes_json(const struct template *template, const struct cw_notice *sample, char quoted[QUOTED_MAX])
{
	struct buffer out;
	json_error_t error = {.position = 0};
	buffer_init(&out, /* head */ 0, BODY_MAX);
	body_template(&out, template, sample, "webhook");
	json_t *root = out.failed ? NULL : json_loadb(buffer_text(&out), out.length, 0, &error);
	bool fine = root != NULL;
	if (!fine && !out.failed && error.position >= 0)
		quote_until(buffer_text(&out), (size_t)error.position, quoted);
	json_decref(root);
	buffer_release(&out);
	return fine;
}

static void check_json(const struct template *template, const struct cw_value *body, struct cw_problems *problems)
{
	char quoted[QUOTED_MAX] = "";
	bool is_bare = !becomes_json(template, &bare, quoted);
	if (!is_bare && becomes_json(template, &full, quoted))
		return;
	problems->error(problems, body,
			"body becomes no JSON of a notice with %s: `%s` and what follows; texts stand between quotes, "
			"\"{{ title }}\", numbers need none",
			is_bare ? "no alerts, common, description and url" : "quotes and newlines in its texts",
			quoted);
}

static void check_body(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *body = cw_get(options, "body");
	char error[TEMPLATE_ERROR_MAX + 400];
	struct template *template;
	if (!body || !body->known || !body->string)
		return;
	if (parse_body(body->string, &template, error) < 0) {
		problems->error(problems, body, "%s", error);
		return;
	}
	check_json(template, body, problems);
	template_free(template);
}

/* ---- headers ---- */

static bool is_header_name(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n <= NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = {"content-type",      "content-length",    "host",
					   "transfer-encoding", "connection",        "idempotency-key",
					   "webhook-id",        "webhook-timestamp", "webhook-signature"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static bool is_header_value(const char *value)
{
	size_t i = 0;
	for (; value[i]; i++)
		if ((unsigned char)value[i] < ' ' || (unsigned char)value[i] > '~')
			return false;
	return i > 0 && i < HEADER_MAX;
}

static void check_headers(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *list = cw_get(options, "headers");
	uint32_t count = list && list->known ? list->count : 0;
	if (count >= WEBHOOK_HEADERS_MAX)
		problems->error(problems, list, "at most %d headers", WEBHOOK_HEADERS_MAX - 1);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = cw_get_string(&list->children[i], "name"),
			   *value = cw_get_string(&list->children[i], "value");
		const struct cw_value *is_value = cw_get(&list->children[i], "value");
		if (name && !is_header_name(name))
			problems->error(problems, &list->children[i], "the name of a header has letters, digits and -");
		else if (name && is_ours(name))
			problems->error(problems, &list->children[i], "%s is a header that callwatch sets itself",
					name);
		if (!is_value || !is_value->is_set)
			problems->error(problems, &list->children[i], "a header needs value, or value_file");
		else if (value && !is_header_value(value))
			problems->error(problems, is_value, "the value of a header is one line of printable ASCII");
	}
}

static int take_headers(struct webhook *webhook)
{
	const struct cw_value *list = cw_get(webhook->options, "headers");
	for (uint32_t i = 0; list && list->known && i < list->count && i + 1 < WEBHOOK_HEADERS_MAX; i++) {
		const char *name = cw_get_string(&list->children[i], "name"),
			   *value = cw_get_string(&list->children[i], "value");
		if (!name || !value)
			return -EINVAL;
		size_t size = strlen(name) + strlen(value) + 3;
		webhook->headers[i] = malloc(size);
		if (!webhook->headers[i])
			return -ENOMEM;
		snprintf(webhook->headers[i], size, "%s: %s", name, value);
	}
	return 0;
}

/* ---- options ---- */

static void check_secret(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *secret = cw_get(options, "hmac_secret");
	struct sign_key key;
	if (!secret || !secret->known || !secret->string)
		return;
	if (sign_key_read(secret->string, &key) < 0)
		problems->error(problems, secret, "hmac_secret is empty, too long, or no base64 after whsec_");
	else if (key.length < 16)
		problems->warning(problems, secret, "hmac_secret is short: 24 bytes or more, at random");
	sign_key_wipe(&key);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const char *url = cw_get_string(options, "url");
	const struct cw_value *list = cw_get(options, "allow_local");
	http_check_options(options, "url", problems);
	http_check_guarded(options, "url", problems);
	if (url && strlen(url) > URL_MAX)
		problems->error(problems, cw_get(options, "url"), "url is too long");
	if (url && strncmp(url, "http:", 5) == 0 && !(list && list->is_set))
		problems->warning(problems, cw_get(options, "url"),
				  "url is not https: what is sent can be read on the way");
	check_body(options, problems);
	check_headers(options, problems);
	check_secret(options, problems);
}

static int take_settings(struct webhook *webhook)
{
	const struct cw_value *options = webhook->options;
	const char *secret = cw_get_string(options, "hmac_secret"), *body = cw_get_string(options, "body");
	char error[TEMPLATE_ERROR_MAX + 400];
	webhook->url = cw_get_string(options, "url");
	webhook->request_timeout = cw_get_integer(options, "request_timeout", 10 * CW_SECOND);
	int status = webhook->url ? 0 : -EINVAL;
	if (status == 0 && secret)
		status = sign_key_read(secret, &webhook->key);
	if (status == 0 && body)
		status = parse_body(body, &webhook->body, error);
	return status == 0 ? take_headers(webhook) : status;
}

/* ---- life ---- */

static void stop(void *state)
{
	struct webhook *webhook = state;
	webhook_abandon(webhook);
	http_close(webhook->http);
}

static void release(void *state)
{
	struct webhook *webhook = state;
	checks_free(webhook->checks);
	template_free(webhook->body);
	sign_key_wipe(&webhook->key);
	for (size_t i = 0; i < WEBHOOK_HEADERS_MAX; i++)
		free(webhook->headers[i]);
	free(webhook);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct webhook *webhook = calloc(1, sizeof(*webhook));
	if (!webhook)
		return -ENOMEM;
	webhook->self = self;
	webhook->host = host;
	webhook->options = options;
	*ret_state = webhook;
	int status = take_settings(webhook);
	if (status == 0)
		status = http_open(self, host, options, &webhook->http);
	if (status == 0)
		status = checks_open(webhook);
	if (status < 0)
		stop(webhook);
	else
		host->state(self, CW_UP, /* next_try */ 0, "no notice was sent yet");
	return status;
}

/* ---- what the plugin is ---- */

static const struct cw_option header_fields[] = {
	{.key = "name", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "Its name: Authorization"},
	{.key = "value",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "Its value: Bearer …; better in a file, by value_file"},
};

static const struct cw_option options[] = {
	{.key = "url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_SECRET,
	 .help = "Where to; an address that is a secret itself by url_file"},
	{.key = "body",
	 .type = CW_OPTION_STRING,
	 .help = "JSON with {{ names }} in place of what Alertmanager sends to its webhooks"},
	{.key = "hmac_secret",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_SECRET,
	 .help = "Signs each request, by hmac_secret_file; see the README for how"},
	{.key = "headers",
	 .type = CW_OPTION_ITEMS,
	 .help = "More headers, each with name and value_file",
	 .fields = CW_ARRAY(header_fields)},
	{.key = "request_timeout",
	 .type = CW_OPTION_DURATION,
	 .fallback = "10s",
	 .min = 100e6,
	 .max = 60e9,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "A request must be answered, as a whole, within this"},
	HTTP_ALLOW_LOCAL_OPTION,
	TLS_CONNECTION_OPTIONS,
};

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "webhook",
	.summary = "Posts what fires and what has ended to a URL, as Alertmanager does or in JSON of your own",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.check = check,
	.start = start,
	.stop = stop,
	.release = release,
	.checks = {webhook_checks, WEBHOOK_CHECKS, sizeof(webhook_checks[0])},
	.examine = webhook_examine,
	.actions = CW_ARRAY(actions),
	.notify = webhook_notify,
};
