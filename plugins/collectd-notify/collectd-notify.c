/* SPDX-License-Identifier: MIT
 *
 * Notifier `collectd-notify`: a notice becomes a notification of the collectd on this machine (PUTNOTIF on its UNIX
 * socket), and goes where that sends its notifications.
 *
 *     connecting → the line is written → the reply → closed
 *
 * A connection for each, since there are few; the reply is read and judged. One that was lost before the reply is
 * doubtful, for collectd may have it. The same way with a command that collectd does not know, and says so, shows at
 * the start and then now and then that it is there.
 *
 * A connection is struct talk, whose memory goes in its close callback, so an old one may still be closing while the
 * next one connects.
 */
#include "backoff.h"
#include "callwatch/notify.h"
#include "connect/collectd-replies.h"
#include "connect/collectd-socket.h"
#include "line.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { CHECK_ANSWERS, CHECKS };
enum { REASON_MAX = 400, INPUT_BYTES = 4096, LINE_ROOM = 4096 };

static const int64_t deadline = 5 * CW_SECOND, look_every = 60 * CW_SECOND;
static const char greeting[] = "PING\n";

struct notifier;

/* One command and its reply. */
struct talk {
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct notifier *owner; /* NULL: given up, only to be closed */
	bool is_notice;
	bool is_written; /* collectd may have it */
	struct buffer line;
	struct replies replies;
	char input[INPUT_BYTES];
};

struct notifier {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *path;
	struct talk *talk; /* NULL: none is under way */
	uv_timer_t timer;  /* the deadline of the talk, or when collectd is greeted again */
	struct backoff backoff;
	bool examines;
	char reason[REASON_MAX];
};

static void greet(struct notifier *notifier);

/* ---- the end of a talk ---- */

static void on_closed(uv_handle_t *handle)
{
	struct talk *talk = handle->data;
	buffer_release(&talk->line);
	free(talk);
}

static void close_talk(struct notifier *notifier)
{
	struct talk *talk = notifier->talk;
	if (!talk)
		return;
	notifier->talk = NULL;
	talk->owner = NULL;
	uv_close((uv_handle_t *)&talk->pipe, on_closed);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct notifier *notifier, int64_t pause)
{
	uv_update_time(notifier->timer.loop);
	uv_timer_start(&notifier->timer, on_timer, (uint64_t)(pause / CW_MILLISECOND), /* repeat */ 0);
}

static void tell(struct notifier *notifier, enum cw_delivery outcome)
{
	struct cw_delivered delivered = {.size = sizeof(delivered), .outcome = outcome};
	if (outcome != CW_DELIVERED)
		notifier->host->count_error(notifier->self, 1);
	if (outcome == CW_DELIVERED)
		notifier->host->notified(notifier->self, &delivered, /* reason */ NULL);
	else
		notifier->host->notified(notifier->self, &delivered, "%s", notifier->reason);
}

static void say_verdict(struct notifier *notifier, bool is_well)
{
	if (!notifier->examines)
		return;
	notifier->examines = false;
	if (is_well)
		notifier->host->examined(notifier->self, CW_CHECK_OK, "collectd answers");
	else
		notifier->host->examined(notifier->self, CW_CHECK_FAILED, "%s", notifier->reason);
}

/* There was no reply. */
static void lose(struct notifier *notifier, int status)
{
	bool is_notice = notifier->talk->is_notice, is_doubtful = notifier->talk->is_written;
	int64_t pause = backoff_next(&notifier->backoff);
	collectd_socket_explain(notifier->path, status, notifier->reason, sizeof(notifier->reason));
	close_talk(notifier);
	set_timer(notifier, pause);
	notifier->host->state(notifier->self, CW_DOWN, notifier->host->now() + pause, "%s", notifier->reason);
	say_verdict(notifier, /* is_well */ false);
	if (is_notice)
		tell(notifier, is_doubtful ? CW_DOUBTFUL : CW_TRY_AGAIN);
}

/* A refusal is about this notice; that it answers is what counts for the way. */
static void judge(struct notifier *notifier, bool is_notice, int32_t status, const char *text)
{
	char shown[REASON_MAX / 2];
	bool is_refused = is_notice && status < 0;
	text_visible(shown, sizeof(shown), text, strlen(text));
	close_talk(notifier);
	backoff_reset(&notifier->backoff);
	set_timer(notifier, look_every);
	if (is_refused) {
		snprintf(notifier->reason, sizeof(notifier->reason), "collectd refuses the notification: %s", shown);
		notifier->host->state(notifier->self, CW_DEGRADED, /* next_try */ 0, "%s", notifier->reason);
	} else {
		notifier->host->state(notifier->self, CW_UP, /* next_try */ 0, "%s", "");
	}
	say_verdict(notifier, /* is_well */ true);
	if (is_notice)
		tell(notifier, is_refused ? CW_REFUSED : CW_DELIVERED);
}

static int on_reply(void *arg, int32_t status, const char *text)
{
	struct talk *talk = arg;
	judge(talk->owner, talk->is_notice, status, text);
	return -ECANCELED; /* one is all there is to wait for */
}

/* ---- a talk ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct talk *talk = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(talk->input, sizeof(talk->input));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct talk *talk = stream->data;
	int status = (int)length;
	if (!talk->owner || length == 0)
		return;
	if (length > 0)
		status = replies_feed(&talk->replies, buffer->base, (size_t)length, on_reply, talk);
	if (talk->owner && status < 0)
		lose(talk->owner, status);
}

static void on_written(uv_write_t *request, int status)
{
	struct talk *talk = request->data;
	if (talk->owner && status < 0)
		lose(talk->owner, status);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct talk *talk = request->data;
	if (!talk->owner)
		return;
	uv_buf_t line = uv_buf_init(buffer_text(&talk->line), (unsigned)talk->line.length);
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&talk->pipe, on_allocate, on_read);
	if (status == 0) {
		talk->write.data = talk;
		status = uv_write(&talk->write, (uv_stream_t *)&talk->pipe, &line, 1, on_written);
	}
	if (status < 0)
		lose(talk->owner, status);
	else
		talk->is_written = true;
}

static struct talk *new_talk(struct notifier *notifier, bool is_notice)
{
	struct talk *talk = calloc(1, sizeof(*talk));
	if (!talk)
		return NULL;
	talk->owner = notifier;
	talk->is_notice = is_notice;
	talk->connect.data = talk;
	buffer_init(&talk->line, /* head */ 0, LINE_ROOM);
	return talk;
}

static void begin(struct notifier *notifier, struct talk *talk)
{
	close_talk(notifier); /* a greeting, which the notice stands for as well */
	uv_pipe_init(notifier->host->loop(notifier->self), &talk->pipe, /* ipc */ 0);
	talk->pipe.data = talk;
	notifier->talk = talk;
	set_timer(notifier, deadline);
	uv_pipe_connect(&talk->connect, &talk->pipe, notifier->path, on_connected);
}

static void greet(struct notifier *notifier)
{
	struct talk *talk = new_talk(notifier, /* is_notice */ false);
	if (!talk) {
		set_timer(notifier, backoff_next(&notifier->backoff));
		return;
	}
	buffer_string(&talk->line, greeting);
	begin(notifier, talk);
}

static void on_timer(uv_timer_t *timer)
{
	struct notifier *notifier = timer->data;
	if (notifier->talk)
		lose(notifier, UV_ETIMEDOUT);
	else
		greet(notifier);
}

/* ---- the face ---- */

static int notify(void *state, const struct cw_notice *const *notices, uint32_t n)
{
	struct notifier *notifier = state;
	struct talk *talk = new_talk(notifier, /* is_notice */ true);
	(void)n; /* no digests */
	if (!talk)
		return -ENOMEM;
	line_write(&talk->line, notices[0]);
	if (talk->line.failed) {
		buffer_release(&talk->line);
		free(talk);
		return -ENOMEM;
	}
	begin(notifier, talk);
	return CW_LATER;
}

static void examine(void *state, uint32_t check)
{
	struct notifier *notifier = state;
	(void)check;
	notifier->examines = true;
	if (!notifier->talk) /* else its reply will do */
		greet(notifier);
}

static void check(const struct cw_value *options, struct cw_problems *problems)
{
	collectd_socket_check(cw_get(options, "socket"), problems);
}

static int start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options, void **ret_state)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));
	if (!notifier)
		return -ENOMEM;
	*ret_state = notifier;
	*notifier = (struct notifier){.self = self,
				      .host = host,
				      .path = cw_get_string(options, "socket"),
				      .backoff = {.random = (uint64_t)host->now()}};
	uv_timer_init(host->loop(self), &notifier->timer);
	notifier->timer.data = notifier;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	greet(notifier);
	return 0;
}

static void on_timer_closed(uv_handle_t *timer)
{
	(void)timer; /* the memory goes in release() */
}

static void stop(void *state)
{
	struct notifier *notifier = state;
	close_talk(notifier);
	uv_close((uv_handle_t *)&notifier->timer, on_timer_closed);
}

static void release(void *state)
{
	free(state);
}

/* ---- the plugin ---- */

static const struct cw_option options[] = {
	{.key = "socket",
	 .type = CW_OPTION_STRING,
	 .flags = CW_OPTION_REQUIRED | CW_OPTION_CONNECTION,
	 .help = "The socket of collectd's unixsock plugin"},
};

static const struct cw_action actions[] = {CW_NOTIFIER_TEST};

static const struct cw_check checks[CHECKS] = {
	[CHECK_ANSWERS] = {"answers", "collectd answers on its socket"},
};

static const struct cw_need needs[] = {
	{.what = "collectd.conf", .line = "LoadPlugin unixsock"},
	{.what = "and in <Plugin unixsock>", .line = "SocketGroup \"callwatch\""},
	{.what = "and in <Plugin unixsock>", .line = "SocketPerms \"0660\""},
};

const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "collectd-notify",
	.summary = "Makes alerts notifications of the collectd on this machine",
	.role = CW_NOTIFIER,
	.options = CW_ARRAY(options),
	.needs = CW_ARRAY(needs),
	.check = check,
	.start = start,
	.stop = stop,
	.release = release,
	.checks = CW_ARRAY(checks),
	.examine = examine,
	.actions = CW_ARRAY(actions),
	.notify = notify,
};
