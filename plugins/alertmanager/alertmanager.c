/* SPDX-License-Identifier: MIT
 *
 * Notifier `alertmanager`: hands every alert to a cluster of Alertmanagers. See alertmanager.h for how it works; this
 * file is what the plugin says about itself, when it looks and when it speaks.
 */
#include "alertmanager.h"

#include "connect/tls.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_MEMBERS, CHECKS };

static const int64_t look_every = 5 * CW_SECOND;
enum { ENDS_AFTER_INTERVALS = 4 };

static void on_beat(uv_timer_t *timer);

static void set_beat(struct alertmanager *of, int64_t pause)
{
	uv_update_time(of->beat.loop);
	uv_timer_start(&of->beat, on_beat, (uint64_t)(pause / CW_MILLISECOND), /* repeat */ 0);
}

/* ---- what a round has shown ---- */

static const char *first_reason(const struct alertmanager *of)
{
	for (uint32_t i = 0; i < of->members_count; i++)
		if (!of->members[i].is_well)
			return of->members[i].reason;
	return "";
}

/* One that takes the others. */
static bool has_one_that_refuses_some(const struct alertmanager *of)
{
	for (uint32_t i = 0; i < of->members_count; i++)
		if (of->members[i].has_refused)
			return true;
	return false;
}

static void say_state(struct alertmanager *of, uint32_t well)
{
	uint32_t all = of->members_count;
	int64_t next = of->host->now() + look_every;
	if (well == all)
		of->host->state(of->self, CW_UP, /* next_try */ 0, "%s", "");
	else if (well == 0 && has_one_that_refuses_some(of))
		of->host->state(of->self, CW_DEGRADED, next, "some alerts are refused: %s", first_reason(of));
	else if (well == 0)
		of->host->state(of->self, CW_DOWN, next, "no member takes alerts: %s", first_reason(of));
	else
		of->host->state(of->self, CW_DEGRADED, next, "%u of %u members take alerts: %s", well, all,
				first_reason(of));
}

static void end_test(struct alertmanager *of, uint32_t well)
{
	struct cw_task *task = of->test;
	of->test = NULL;
	if (well == of->members_count)
		of->host->task_end(task, CW_TASK_SUCCESS, "every member has taken the alert callwatch-test");
	else if (well)
		of->host->task_end(task, CW_TASK_SUCCESS, "%u of %u members have taken it: %s", well, of->members_count,
				   first_reason(of));
	else
		of->host->task_end(task, CW_TASK_ERROR, "no member takes alerts: %s", first_reason(of));
}

static void say_verdict(struct alertmanager *of, uint32_t well)
{
	of->examines = false;
	if (well == of->members_count)
		of->host->examined(of->self, CW_CHECK_OK, "%u of %u members take alerts", well, well);
	else
		of->host->examined(of->self, well ? CW_CHECK_WARNING : CW_CHECK_FAILED,
				   "%u of %u members take alerts: %s", well, of->members_count, first_reason(of));
}

static void on_round(struct alertmanager *of, uint32_t well)
{
	bool was_test = of->is_test_round;
	of->is_test_round = false;
	of->all_have_it = !was_test && well == of->members_count;
	if (well < of->members_count)
		of->host->count_error(of->self, 1);
	say_state(of, well);
	if (was_test)
		end_test(of, well);
	if (of->examines)
		say_verdict(of, well);
	set_beat(of, of->test ? 0 : look_every);
}

/* ---- the beat ---- */

static void speak(struct alertmanager *of)
{
	struct bodies *bodies = &of->round.bodies;
	bool is_due = !of->said_at || of->host->now() - of->said_at >= of->interval || of->examines;
	bodies_end(bodies);
	if (!is_due && of->all_have_it && bodies->signature == of->said) {
		bodies_release(bodies);
		set_beat(of, look_every);
		return;
	}
	if (bodies->left_out)
		of->host->log(of->self, CW_WARNING, "%u alerts do not fit into a round and are not told",
			      bodies->left_out);
	of->said = bodies->signature;
	of->said_at = of->host->now();
	round_begin(of, on_round);
}

/* Rather nothing is said than half of it: what is not said again ends. */
static void cannot_see(struct alertmanager *of, const char *error)
{
	bodies_release(&of->round.bodies);
	of->host->count_error(of->self, 1);
	of->host->state(of->self, CW_DOWN, of->host->now() + look_every, "table alerts cannot be read: %s", error);
	set_beat(of, look_every);
}

static void keep_told(struct alertmanager *of, int status)
{
	if (status < 0 && !of->is_told_lost)
		of->host->log(of->self, CW_WARNING,
			      "what was said cannot be kept (%s): after a restart what is silenced then seems to end",
			      strerror(-status));
	of->is_told_lost = status < 0;
}

static void on_slice(uv_idle_t *slices)
{
	struct alertmanager *of = slices->data;
	int status = look_step(&of->look, of->host);
	if (status == CW_LATER)
		return;
	uv_idle_stop(slices);
	look_end(&of->look, of->host);
	if (status < 0) {
		cannot_see(of, "out of memory");
		return;
	}
	keep_told(of, told_end(&of->told, of->host->now()));
	speak(of);
}

static void begin_test(struct alertmanager *of)
{
	bodies_test(&of->round.bodies, of->host->info(of->self)->host, of->test_by, of->host->wall());
	of->is_test_round = true;
	round_begin(of, on_round);
}

static void on_beat(uv_timer_t *timer)
{
	struct alertmanager *of = timer->data;
	char error[CW_QUERY_ERROR_MAX] = "";
	if (of->round.is_under_way || of->look.query)
		return; /* its end sets the beat */
	if (of->test) {
		begin_test(of);
		return;
	}
	of->look = (struct look){.told = &of->told,
				 .wall = of->host->wall(),
				 .external_url = cw_get_string(of->options, "external_url")};
	int64_t said_again = of->interval > look_every ? of->interval : look_every;
	of->look.ends_at = of->look.wall + ENDS_AFTER_INTERVALS * said_again;
	int status = look_begin(&of->look, of->self, of->host, &of->round.bodies, error);
	if (status == 0) {
		uv_idle_start(&of->slices, on_slice);
	} else {
		look_end(&of->look, of->host);
		if (status == -ENOENT)
			speak(of);
		else
			cannot_see(of, error);
	}
}

/* ---- the action ---- */

static void act(void *state, struct cw_task *task, const struct cw_request *request)
{
	struct alertmanager *of = state;
	of->test = task;
	snprintf(of->test_by, sizeof(of->test_by), "asked for by %.40s", request->by ? request->by : "somebody");
	set_beat(of, 0);
}

static void examine(void *state, uint32_t check)
{
	struct alertmanager *of = state;
	(void)check;
	of->examines = true;
	set_beat(of, 0);
}

/* ---- options ---- */

static int post_url(const char *base, char url[URL_MAX])
{
	size_t length = strlen(base);
	while (length && base[length - 1] == '/')
		length--;
	int used = snprintf(url, URL_MAX, "%.*s/api/v2/alerts", (int)length, base);
	return used < URL_MAX ? 0 : -EINVAL;
}

static void check_url(const struct cw_value *url, bool *ret_tls, struct cw_problems *problems)
{
	struct http_address address = {.is_tls = false};
	char error[HTTP_REASON_MAX], whole[URL_MAX];
	if (!url->string)
		return;
	if (http_address_parse(url->string, &address, error) < 0)
		problems->error(problems, url, "urls: %s", error);
	else if (strchr(url->string, '?') || post_url(url->string, whole) < 0)
		problems->error(problems, url, "urls: the address of an Alertmanager, such as http://am-1:9093");
	*ret_tls = *ret_tls || address.is_tls;
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *urls = cw_get(options, "urls"), *username = cw_get(options, "username"),
			      *password = cw_get(options, "password"), *link = cw_get(options, "external_url");
	bool tls = false;
	struct http_address address;
	char error[HTTP_REASON_MAX];
	for (uint32_t i = 0; urls && i < urls->count; i++)
		check_url(&urls->children[i], &tls, problems);
	if (urls && urls->known && (urls->count == 0 || urls->count > MEMBERS_MAX))
		problems->error(problems, urls, "urls: 1 to %d members", MEMBERS_MAX);
	if (username && password && username->is_set != password->is_set)
		problems->error(problems, username->is_set ? username : password,
				"username and password (better in a file: password_file) go together");
	if (link && link->known && link->string &&
	    (http_address_parse(link->string, &address, error) < 0 || strpbrk(link->string, "\"\\ ?")))
		problems->error(problems, link, "external_url: an address such as https://callwatch.example.net");
	tls_check_options(options, tls, problems);
}

/* ---- life ---- */

static int take_members(struct alertmanager *of)
{
	const struct cw_value *urls = cw_get(of->options, "urls");
	char error[HTTP_REASON_MAX];
	for (uint32_t i = 0; urls && i < urls->count && i < MEMBERS_MAX; i++) {
		struct member *member = &of->members[of->members_count++];
		struct http_address address;
		member->of = of;
		if (http_address_parse(urls->children[i].string, &address, error) < 0 ||
		    post_url(urls->children[i].string, member->url) < 0)
			return -EINVAL;
		address_text(&address.at, member->name);
	}
	return 0;
}

static int take_login(struct alertmanager *of)
{
	static const char header[] = "Authorization: Basic ";
	const char *username = cw_get_string(of->options, "username"),
		   *password = cw_get_string(of->options, "password");
	char *plain;
	if (!username || !password)
		return 0;
	int length = asprintf(&plain, "%s:%s", username, password);
	if (length < 0)
		return -ENOMEM;
	size_t room = sizeof(header) + sodium_base64_encoded_len((size_t)length, sodium_base64_VARIANT_ORIGINAL);
	of->authorization = malloc(room);
	if (of->authorization) {
		memcpy(of->authorization, header, sizeof(header));
		sodium_bin2base64(of->authorization + sizeof(header) - 1, room - sizeof(header) + 1,
				  (const unsigned char *)plain, (size_t)length, sodium_base64_VARIANT_ORIGINAL);
	}
	sodium_memzero(plain, (size_t)length);
	free(plain);
	return of->authorization ? 0 : -ENOMEM;
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct alertmanager *of = calloc(1, sizeof(*of));
	if (!of)
		return -ENOMEM;
	*ret_state = of;
	of->self = self;
	of->host = host;
	of->options = options;
	of->interval = host->info(self)->interval;
	keep_told(of, told_init(&of->told, host->info(self)->state_dir, host->now()));
	int status = take_members(of);
	if (status == 0)
		status = take_login(of);
	if (status == 0)
		status = http_open(self, host, options, &of->http);
	if (status < 0)
		return status;
	uv_timer_init(host->loop(self), &of->beat);
	uv_idle_init(host->loop(self), &of->slices);
	of->beat.data = of->slices.data = of;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	set_beat(of, 0);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	(void)handle; /* the memory goes in release() */
}

static void stop(void *state)
{
	struct alertmanager *of = state;
	if (of->look.query)
		look_end(&of->look, of->host);
	http_close(of->http);
	uv_close((uv_handle_t *)&of->beat, on_closed);
	uv_close((uv_handle_t *)&of->slices, on_closed);
	if (of->test)
		of->host->task_end(of->test, CW_TASK_LOST, "the instance was stopped meanwhile");
	of->test = NULL;
}

static void release(void *state)
{
	struct alertmanager *of = state;
	if (!of)
		return;
	bodies_release(&of->round.bodies);
	told_release(&of->told);
	if (of->authorization)
		sodium_memzero(of->authorization, strlen(of->authorization));
	free(of->authorization);
	free(of);
}

/* ---- the plugin ---- */

static const struct cw_option options[] = {
	{.key = "urls",
	 .type = CW_OPTION_LIST,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_CONNECTION,
	 .help = "Every member of the cluster, such as http://am-1:9093; not a load balancer in front of them"},
	{.key = "username",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION,
	 .help = "The user, where the members want one (basic_auth_users)"},
	{.key = "password",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_CONNECTION | CW_OPTION_SECRET,
	 .help = "The user's password, better in a file: password_file"},
	{.key = "external_url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_ADVANCED,
	 .help = "Where callwatch's page is, for the link that each alert bears (generatorURL); without it, none"},
	TLS_CONNECTION_OPTIONS,
};

static const struct cw_action actions[] = {
	{.name = "test",
	 .help = "Gives every member the alert callwatch-test, which ends by itself after a minute",
	 .flags = CW_ACTION_SINGLE},
};

static const struct cw_check checks[CHECKS] = {
	[CHECK_MEMBERS] = {"members", "Every member of the cluster takes alerts"},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "alertmanager",
	.summary = "Hands every alert to a cluster of Alertmanagers, which groups, routes and notifies",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.check = check,
	.start = start,
	.stop = stop,
	.release = release,
	.checks = CW_ARRAY(checks),
	.examine = examine,
	.actions = CW_ARRAY(actions),
	.act = act,
};
