/* SPDX-License-Identifier: MIT
 *
 * Notifier `deadman`: pings a URL every interval while all is well. See deadman.h. A ping that fails is tried again
 * within the interval; what is not well is looked at again every few seconds, so that pings go on soon after it is
 * mended.
 */
#include "deadman.h"

#include "backoff.h"
#include "connect/http.h"
#include "connect/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { CHECK_WELL, CHECK_PING, CHECKS };
enum { ANSWER_BYTES_MAX = 65536 };

static const int64_t ping_timeout = 10 * CW_SECOND, look_again = 5 * CW_SECOND;

struct deadman {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct http *http;
	struct http_transfer *ping;
	uv_timer_t beat;
	struct backoff backoff;
	int64_t interval;
	uint32_t what;
	int64_t last_ok;              /* instant; 0: never */
	char reason[HTTP_REASON_MAX]; /* of the last ping that failed; "": the last went well, or there was none */
	struct cw_task *test;         /* the action under way: waits for the ping; NULL: none */
};

static void on_beat(uv_timer_t *timer);

static void set_beat(struct deadman *deadman, int64_t pause)
{
	uv_update_time(deadman->beat.loop);
	uv_timer_start(&deadman->beat, on_beat, (uint64_t)(pause / CW_MILLISECOND), /* repeat */ 0);
}

static int64_t shorter(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- the ping ---- */

static void went_well(struct deadman *deadman)
{
	deadman->last_ok = deadman->host->now();
	deadman->reason[0] = '\0';
	backoff_reset(&deadman->backoff);
	deadman->host->state(deadman->self, CW_UP, /* next_try */ 0, "%s", "");
	set_beat(deadman, deadman->interval);
}

static void went_wrong(struct deadman *deadman, int64_t wait)
{
	int64_t pause = shorter(backoff_next(&deadman->backoff), deadman->interval / 4);
	if (pause < wait) /* who was told to wait waits, though the interval goes by */
		pause = wait;
	deadman->host->count_error(deadman->self, 1);
	deadman->host->state(deadman->self, CW_DOWN, deadman->host->now() + pause, "the ping fails: %s",
			     deadman->reason);
	set_beat(deadman, pause);
}

static void end_test(struct deadman *deadman, bool is_well)
{
	struct cw_task *task = deadman->test;
	deadman->test = NULL;
	if (task && is_well)
		deadman->host->task_end(task, CW_TASK_SUCCESS, "the ping was taken");
	else if (task)
		deadman->host->task_end(task, CW_TASK_ERROR, "the ping fails: %s", deadman->reason);
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct deadman *deadman = arg;
	char status[64];
	bool is_well = answer->end == HTTP_ANSWERED && answer->status >= 200 && answer->status < 300;
	deadman->ping = NULL;
	if (answer->end != HTTP_ANSWERED)
		snprintf(deadman->reason, sizeof(deadman->reason), "%s", answer->reason);
	else if (!is_well)
		snprintf(deadman->reason, sizeof(deadman->reason), "it is answered with %s: is the URL right?",
			 http_status_text(answer->status, status));
	if (is_well)
		went_well(deadman);
	else
		went_wrong(deadman, answer->retry_after);
	end_test(deadman, is_well);
}

static void ping(struct deadman *deadman)
{
	struct http_request request = {.method = cw_get_string(deadman->options, "method"),
				       .url = cw_get_string(deadman->options, "url"),
				       .timeout = shorter(ping_timeout, deadman->interval),
				       .body_limit = ANSWER_BYTES_MAX,
				       .alone = true,
				       .guarded = true};
	if (http_send(deadman->http, &request, on_answer, deadman, &deadman->ping) == 0)
		return;
	snprintf(deadman->reason, sizeof(deadman->reason), "out of memory");
	went_wrong(deadman, /* wait */ 0);
	end_test(deadman, /* is_well */ false);
}

/* Not being well is no trouble of ours: DEGRADED, and in words. */
static void on_beat(uv_timer_t *timer)
{
	struct deadman *deadman = timer->data;
	char reason[WELL_REASON_MAX];
	if (deadman->ping)
		return; /* its answer sets the beat */
	if (deadman->test || well_look(deadman->self, deadman->host, deadman->what, reason)) {
		ping(deadman);
		return;
	}
	int64_t pause = shorter(look_again, deadman->interval);
	deadman->host->state(deadman->self, CW_DEGRADED, deadman->host->now() + pause, "not pinging: %s", reason);
	set_beat(deadman, pause);
}

/* ---- the action, the doctor ---- */

/* It shows that the URL is right, whether all is well or not. */
static void act(void *state, struct cw_task *task, const struct cw_request *request)
{
	struct deadman *deadman = state;
	(void)request;
	deadman->test = task;
	set_beat(deadman, 0);
}

/* What is known, and no ping: one that comes when all is not well would be a lie. */
static void examine(void *state, uint32_t check)
{
	struct deadman *deadman = state;
	const struct cw_host *host = deadman->host;
	char reason[WELL_REASON_MAX];
	if (check == CHECK_WELL && well_look(deadman->self, host, deadman->what, reason))
		host->examined(deadman->self, CW_CHECK_OK, "all is well");
	else if (check == CHECK_WELL)
		host->examined(deadman->self, CW_CHECK_FAILED, "%s; until that is mended there is no ping", reason);
	else if (deadman->reason[0])
		host->examined(deadman->self, CW_CHECK_FAILED, "%s", deadman->reason);
	else if (deadman->last_ok)
		host->examined(deadman->self, CW_CHECK_OK, "the last was taken %lld s ago",
			       (long long)((host->now() - deadman->last_ok) / CW_SECOND));
	else
		host->examined(deadman->self, CW_CHECK_WARNING,
			       "there was none yet: `callwatch trigger` its action test");
}

/* ---- options ---- */

static uint32_t bit_of(const char *name)
{
	for (uint32_t i = 0; well_names[i]; i++)
		if (strcmp(name, well_names[i]) == 0)
			return 1u << i;
	return 0;
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *well = cw_get(options, "well");
	for (uint32_t i = 0; well && i < well->count; i++)
		if (well->children[i].string && !bit_of(well->children[i].string))
			problems->error(problems, &well->children[i],
					"well: it is any of notifiers, journal, sources, outputs");
	http_check_options(options, "url", problems);
	http_check_guarded(options, "url", problems);
}

/* ---- life ---- */

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct deadman *deadman = calloc(1, sizeof(*deadman));
	if (!deadman)
		return -ENOMEM;
	*ret_state = deadman;
	*deadman = (struct deadman){.self = self,
				    .host = host,
				    .options = options,
				    .backoff = {.random = (uint64_t)host->now()},
				    .interval = host->info(self)->interval};
	const struct cw_value *well = cw_get(options, "well");
	for (uint32_t i = 0; well && i < well->count; i++)
		deadman->what |= bit_of(well->children[i].string);
	int status = http_open(self, host, options, &deadman->http);
	if (status < 0)
		return status;
	uv_timer_init(host->loop(self), &deadman->beat);
	deadman->beat.data = deadman;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	set_beat(deadman, shorter(CW_SECOND, deadman->interval)); /* the others have to start, too */
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	(void)handle; /* the memory goes in release() */
}

static void stop(void *state)
{
	struct deadman *deadman = state;
	http_close(deadman->http);
	uv_close((uv_handle_t *)&deadman->beat, on_closed);
	if (deadman->test)
		deadman->host->task_end(deadman->test, CW_TASK_LOST, "the instance was stopped meanwhile");
	deadman->test = NULL;
}

static void release(void *state)
{
	free(state);
}

/* ---- the plugin ---- */

static const char *const methods[] = {"GET", "POST", "HEAD", NULL};

static const struct cw_option options[] = {
	{.key = "url",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_SECRET,
	 .help = "What is pinged, such as https://hc.example.net/ping/9f3c; whoever knows it can ping too, so it may "
		 "be "
		 "in a file: url_file"},
	{.key = "method",
	 .type = CW_OPTION_CHOICE,
	 .flags = CW_OPTION_ADVANCED,
	 .fallback = "GET",
	 .help = "The method of HTTP",
	 .choices = methods},
	{.key = "well",
	 .type = CW_OPTION_LIST,
	 .fallback = "[notifiers, journal]",
	 .help = "What has to be well beside the agent itself: notifiers (one of them works, or there is none), "
		 "journal (no "
		 "notice waits that is not on disk), sources, outputs (all of them work)"},
	HTTP_ALLOW_LOCAL_OPTION,
	TLS_CONNECTION_OPTIONS,
};

static const struct cw_action actions[] = {
	{.name = "test", .help = "Pings now, whether all is well or not", .flags = CW_ACTION_SINGLE},
};

static const struct cw_check checks[CHECKS] = {
	[CHECK_WELL] = {"well", "All is well, so there are pings"},
	[CHECK_PING] = {"ping", "The last ping was taken"},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "deadman",
	.summary = "Pings a URL while all is well: a dead man's switch",
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
