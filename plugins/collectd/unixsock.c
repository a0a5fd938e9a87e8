/* SPDX-License-Identifier: MIT
 *
 * PUTVAL lines to collectd's UNIX socket. Option: socket.
 *
 *   waiting (a pause) → connecting → greeting → up → … → waiting
 *
 * The greeting is a command that collectd does not know, and says so: only then is it certain that somebody answers and
 * that it is collectd. A connection alone says nothing, since the kernel makes it for a process that is stopped, too.
 *
 * A batch goes out as a pipeline: lines are written while at most WINDOW of them wait for their replies, and each reply
 * is held against its line. collectd reads no more commands from who has some 2,000 replies unread; we read always, and
 * the window bounds what is under way all the same. While more than half of the window waits there is no haste: the
 * replies of some milliseconds are read together, since to be woken for each few of them takes from collectd the time
 * it answers in (42,000 values a second instead of 50,000 and more, on two cores). The batch is sent when its last
 * reply has come. What was refused is not sent: it is counted, the others are unharmed. Is the connection lost before,
 * the whole batch will be offered again, and what collectd had already is "too old" to it: it says so in its log and is
 * not disturbed.
 *
 * A refusal is not believed at once. A collectd that is shutting down answers to its last moment, when it has forgotten
 * its types already: "Type `gauge' isn't defined". So the first batch of a connection of which something was refused
 * is over only if the connection still stands DOUBT_MS later.
 *
 * A connection is struct link, whose memory goes in its close callback, so an old one may still be closing while the
 * next one connects. One timer serves the pause and the deadline of what is awaited. When the deadline fires, the
 * socket is looked at once more before collectd is called silent: after our own process slept, the reply may long be
 * there.
 */
#include "collectd.h"
#include "connect/collectd-replies.h"
#include "connect/collectd-socket.h"

#include "backoff.h"
#include "format_putval.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

enum {
	WINDOW = 1024, /* commands without their reply */
	SLICE = 64 * 1024,
	INPUT = 16 * 1024,
	CONNECT_MS = 3000,
	REPLY_MS = 5000,
	ONCE_MORE_MS = 50,
	DOUBT_MS = 1000,
	BREATH_MS = 2,
	REASON_MAX = 256,
};

static const int64_t longest_pause = 8 * CW_SECOND; /* it costs nothing: it is this machine */
static const int64_t degraded_for = 60 * CW_SECOND; /* since the last refusal */
static const char greeting[] = "PING\n";

enum stage { WAITING, CONNECTING, GREETING, UP };

struct unixsock;

/* One connection. */
struct link {
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	struct unixsock *owner; /* NULL: given up, only to be closed */
	bool writing;           /* `out` is being written and must stay */
	bool believed;          /* it stood after a refusal */
	struct buffer out;
	struct replies replies;
	char input[INPUT];
};

struct refusals {
	uint64_t total;         /* samples */
	uint64_t in_batch;      /* of the batch under way, which may have to be offered again */
	uint32_t last_sample;   /* the last one counted in in_batch, for a sample may have several lines */
	int64_t last;           /* instant; 0: never */
	char first[REASON_MAX]; /* what was refused and why, of the first since all was well */
};

struct unixsock {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *path;

	enum stage stage;
	struct link *link; /* NULL while waiting */
	uv_timer_t timer;
	uv_timer_t breath; /* runs: replies are left to gather */
	struct backoff backoff;
	bool suspected; /* the deadline has passed, and the socket is looked at once more */
	bool doubting;  /* all replies are there, and the connection shall stand for a moment */
	char reason[REASON_MAX];

	/* The commands without their reply, in a ring: of which sample of the batch each is. */
	uint32_t asked[WINDOW], first, pending;

	const struct cw_batch *batch; /* under way, referenced; NULL: none */
	uint32_t next;                /* its first sample that was not yet asked about */
	uint32_t unsayable;           /* its samples that make no line */
	struct collectd_source source;

	struct refusals refused;
	uint64_t answered; /* PUTVALs */
	int64_t last_success;
	int examining; /* a check whose verdict is owed; -1: none */
};

enum { OF_NO_SAMPLE = UINT32_MAX }; /* in `asked`: a command of ours that is no PUTVAL */

static void connect_now(struct unixsock *sock);
static void pump(struct unixsock *sock);

/* ---- what is told ---- */

static bool refused_lately(const struct unixsock *sock)
{
	return sock->refused.last && sock->host->now() - sock->refused.last < degraded_for;
}

static void say_up(struct unixsock *sock)
{
	if (refused_lately(sock)) {
		sock->host->state(sock->self, CW_DEGRADED, /* next_try */ 0, "collectd refuses samples, first %s",
				  sock->refused.first);
	} else {
		sock->refused.first[0] = '\0';
		sock->host->state(sock->self, CW_UP, /* next_try */ 0, "%s", "");
	}
}

/* ---- the end of a connection ---- */

static void on_link_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;
	buffer_release(&link->out);
	free(link);
}

static void cut_link(struct unixsock *sock)
{
	struct link *link = sock->link;
	if (!link)
		return;
	sock->link = NULL;
	link->owner = NULL;
	uv_timer_stop(&sock->breath);
	uv_close((uv_handle_t *)&link->pipe, on_link_closed);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct unixsock *sock, int64_t ms)
{
	uv_update_time(sock->timer.loop);
	uv_timer_start(&sock->timer, on_timer, (uint64_t)ms, /* repeat */ 0);
}

static void verdict_failed(struct unixsock *sock)
{
	if (sock->examining < 0)
		return;
	sock->examining = -1;
	sock->host->examined(sock->self, CW_CHECK_FAILED, "%s", sock->reason);
}

static void forget_batch(struct unixsock *sock)
{
	sock->host->batch_unref(sock->batch);
	sock->batch = NULL;
	sock->pending = 0;
	sock->doubting = false;
}

/* The connection is of no use any more: cut, said, tried again later. The batch will be offered again. */
static void lose(struct unixsock *sock, int status)
{
	bool had_batch = sock->batch != NULL;
	collectd_socket_explain(sock->path, status, sock->reason, sizeof(sock->reason));
	cut_link(sock);
	forget_batch(sock);
	sock->stage = WAITING;
	int64_t pause = backoff_next(&sock->backoff);
	set_timer(sock, pause / CW_MILLISECOND);
	sock->host->state(sock->self, CW_DOWN, sock->host->now() + pause, "%s", sock->reason);
	verdict_failed(sock);
	if (had_batch)
		sock->host->write_done(sock->self, -EPIPE);
}

static void settle(struct unixsock *sock);

static void on_timer(uv_timer_t *timer)
{
	struct unixsock *sock = timer->data;
	if (sock->stage == WAITING) {
		connect_now(sock);
	} else if (sock->doubting && !sock->pending) {
		sock->link->believed = true;
		settle(sock);
	} else if (!sock->suspected) {
		sock->suspected = true;
		set_timer(sock, ONCE_MORE_MS);
	} else {
		lose(sock, UV_ETIMEDOUT);
	}
}

/* The next reply is due within REPLY_MS, if one is awaited. */
static void await_reply(struct unixsock *sock)
{
	sock->suspected = false;
	if (sock->pending)
		set_timer(sock, REPLY_MS);
	else
		uv_timer_stop(&sock->timer);
}

/* ---- the batch ---- */

/* All replies are there, and true. */
static void settle(struct unixsock *sock)
{
	struct refusals *refused = &sock->refused;
	refused->total += refused->in_batch;
	if (refused->in_batch)
		sock->host->dropped(sock->self, CW_DROP_REFUSED, refused->in_batch);
	if (sock->unsayable)
		sock->host->dropped(sock->self, CW_DROP_INVALID, sock->unsayable);
	forget_batch(sock);
	backoff_reset(&sock->backoff);
	say_up(sock);
	sock->host->write_done(sock->self, 0);
}

/* All replies are there. */
static void finish(struct unixsock *sock)
{
	sock->doubting = sock->refused.in_batch && !sock->link->believed;
	if (sock->doubting)
		set_timer(sock, DOUBT_MS);
	else
		settle(sock);
}

static void note_refusal(struct unixsock *sock, uint32_t sample, const char *text)
{
	struct refusals *refused = &sock->refused;
	const struct cw_sample *which = cw_at(&sock->batch->samples, sample);
	if (!refused_lately(sock))
		refused->first[0] = '\0';
	refused->last = sock->host->now();
	refused->in_batch += sample != refused->last_sample;
	refused->last_sample = sample;
	if (refused->first[0])
		return;
	char seen[REASON_MAX / 2];
	size_t number = strspn(text, "0123456789"); /* collectd 5.12: `-1 1 Type `x' isn't defined.` */
	text += number && text[number] == ' ' ? number + 1 : 0;
	text_visible(seen, sizeof(seen), text, strlen(text));
	snprintf(refused->first, sizeof(refused->first), "%s of %s: %s", which->metric->name, sock->batch->instance,
		 seen);
}

static void ask(struct unixsock *sock, uint32_t sample)
{
	sock->asked[(sock->first + sock->pending++) % WINDOW] = sample;
}

/* Appends lines of the next samples as far as window and slice go. 0 or -ENOMEM. */
static int fill(struct unixsock *sock)
{
	struct buffer *out = &sock->link->out;
	const struct cw_batch *batch = sock->batch;
	while (sock->next < batch->samples.count && sock->pending + FORMAT_POINTS_MAX <= WINDOW &&
	       out->length < SLICE) {
		int lines = format_putval_of(out, &sock->source, batch->interval, cw_at(&batch->samples, sock->next));
		if (lines < 0)
			return lines;
		sock->unsayable += lines == 0;
		while (lines--)
			ask(sock, sock->next);
		sock->next++;
	}
	return 0;
}

static void on_written(uv_write_t *request, int status)
{
	struct link *link = request->data;
	struct unixsock *sock = link->owner;
	if (!sock)
		return;
	link->writing = false;
	buffer_cut(&link->out, 0);
	if (status < 0)
		lose(sock, status);
	else
		pump(sock);
}

static int send_out(struct link *link)
{
	uv_buf_t all = uv_buf_init(buffer_text(&link->out), (unsigned)link->out.length);
	link->write.data = link;
	link->writing = true;
	return uv_write(&link->write, (uv_stream_t *)&link->pipe, &all, 1, on_written);
}

/* As much of the batch as may be under way; or its end. */
static void pump(struct unixsock *sock)
{
	struct link *link = sock->link;
	if (!sock->batch || sock->stage != UP || link->writing)
		return;
	bool awaited = sock->pending > 0;
	int status = fill(sock);
	if (status == 0 && link->out.length)
		status = send_out(link);
	if (status < 0)
		lose(sock, status);
	else if (!sock->pending && sock->next == sock->batch->samples.count)
		finish(sock);
	else if (!awaited)
		await_reply(sock);
}

/* ---- replies ---- */

static void verdict_answers(struct unixsock *sock)
{
	const struct refusals *refused = &sock->refused;
	char when[TEXT_DURATION_SIZE] = "";
	text_duration(when, (double)(sock->host->now() - sock->last_success) / (double)CW_SECOND);
	sock->examining = -1;
	if (refused_lately(sock))
		sock->host->examined(sock->self, CW_CHECK_WARNING, "it answers, but refuses samples, first %s",
				     refused->first);
	else if (!sock->last_success)
		sock->host->examined(sock->self, CW_CHECK_OK, "it answers; nothing was sent yet");
	else
		sock->host->examined(sock->self, CW_CHECK_OK,
				     "it answers; %" PRIu64 " values taken, the last %s ago; %" PRIu64
				     " samples refused",
				     sock->answered, when, refused->total);
}

static void greeted(struct unixsock *sock)
{
	sock->stage = UP;
	say_up(sock);
	if (sock->examining == CHECK_ANSWERS)
		verdict_answers(sock);
	pump(sock);
}

static int on_reply(void *arg, int32_t status, const char *text)
{
	struct link *link = arg;
	struct unixsock *sock = link->owner;
	if (!sock->pending)
		return -EBADMSG; /* nobody asked */
	uint32_t sample = sock->asked[sock->first];
	sock->first = (sock->first + 1) % WINDOW;
	sock->pending--;
	if (sample == OF_NO_SAMPLE) {
		if (sock->stage == GREETING)
			greeted(sock);
		else if (sock->examining == CHECK_ANSWERS)
			verdict_answers(sock);
	} else if (status < 0) {
		note_refusal(sock, sample, text);
	} else {
		sock->answered++;
		sock->last_success = sock->host->now();
	}
	return link->owner ? 0 : -ECANCELED; /* lost meanwhile */
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct link *link = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(link->input, sizeof(link->input));
}

static int read_replies(struct link *link)
{
	return uv_read_start((uv_stream_t *)&link->pipe, on_allocate, on_read);
}

static void on_breath(uv_timer_t *timer)
{
	struct unixsock *sock = timer->data;
	int status = read_replies(sock->link);
	if (status < 0)
		lose(sock, status);
}

static void take_breath(struct unixsock *sock)
{
	uv_read_stop((uv_stream_t *)&sock->link->pipe);
	uv_timer_start(&sock->breath, on_breath, BREATH_MS, /* repeat */ 0);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct link *link = stream->data;
	struct unixsock *sock = link->owner;
	if (!sock || length == 0)
		return;
	int status = (int)length;
	if (length > 0)
		status = replies_feed(&link->replies, buffer->base, (size_t)length, on_reply, link);
	if (!link->owner)
		return;
	if (status < 0) {
		lose(sock, status);
		return;
	}
	await_reply(sock);
	if (sock->pending > WINDOW / 2)
		take_breath(sock);
	else
		pump(sock);
}

/* ---- connecting ---- */

/* A command without consequences whose reply shows that somebody is there. */
static int greet(struct unixsock *sock)
{
	buffer_string(&sock->link->out, greeting);
	if (sock->link->out.failed)
		return -ENOMEM;
	ask(sock, OF_NO_SAMPLE);
	await_reply(sock);
	return send_out(sock->link);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct link *link = request->data;
	struct unixsock *sock = link->owner;
	if (!sock)
		return;
	if (status == 0)
		status = read_replies(link);
	if (status == 0) {
		sock->stage = GREETING;
		status = greet(sock);
	}
	if (status < 0) {
		lose(sock, status);
	} else if (sock->examining == CHECK_CONNECT) {
		sock->examining = -1;
		sock->host->examined(sock->self, CW_CHECK_OK, "connected to %s", sock->path);
	}
}

static void connect_now(struct unixsock *sock)
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link) {
		lose(sock, UV_ENOMEM);
		return;
	}
	link->owner = sock;
	link->pipe.data = link->connect.data = link;
	buffer_init(&link->out, /* head */ 0, 2 * SLICE);
	uv_pipe_init(sock->host->loop(sock->self), &link->pipe, /* ipc */ 0);
	link->pipe.data = link;
	sock->link = link;
	sock->stage = CONNECTING;
	sock->first = sock->pending = 0;
	sock->suspected = false;
	set_timer(sock, CONNECT_MS);
	uv_pipe_connect(&link->connect, &link->pipe, sock->path, on_connected);
}

/* ---- the way ---- */

static int unixsock_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			  void **ret_state)
{
	struct unixsock *sock = calloc(1, sizeof(*sock));
	if (!sock)
		return -ENOMEM;
	*ret_state = sock;
	*sock = (struct unixsock){.self = self,
				  .host = host,
				  .path = cw_get_string(options, "socket"),
				  .backoff = {.longest = longest_pause, .random = (uint64_t)host->now()},
				  .examining = -1};
	uv_timer_init(host->loop(self), &sock->timer);
	uv_timer_init(host->loop(self), &sock->breath);
	sock->timer.data = sock->breath.data = sock;
	host->state(self, CW_STARTING, /* next_try */ 0, "%s", "");
	connect_now(sock);
	return 0;
}

static int unixsock_write(void *state, const struct cw_batch *batch)
{
	struct unixsock *sock = state;
	if (sock->stage == WAITING)
		return -ENOTCONN;
	sock->batch = sock->host->batch_ref(batch);
	sock->next = sock->unsayable = 0;
	sock->refused.in_batch = 0;
	sock->refused.last_sample = OF_NO_SAMPLE;
	collectd_source_init(&sock->source, batch);
	pump(sock);
	return CW_LATER;
}

static void examine_found(struct unixsock *sock)
{
	struct stat what;
	char reason[REASON_MAX];
	int status = stat(sock->path, &what) < 0 ? -errno : 0;
	if (status == 0 && S_ISSOCK(what.st_mode)) {
		sock->host->examined(sock->self, CW_CHECK_OK, "%s is there", sock->path);
		return;
	}
	collectd_socket_explain(sock->path, status, reason, sizeof(reason));
	sock->host->examined(sock->self, CW_CHECK_FAILED, "%s", reason);
}

static void unixsock_examine(void *state, uint32_t check)
{
	struct unixsock *sock = state;
	if (check == CHECK_FOUND) {
		examine_found(sock);
		return;
	}
	sock->examining = (int)check;
	if (sock->stage == WAITING) {
		connect_now(sock);
	} else if (check == CHECK_CONNECT && sock->stage != CONNECTING) {
		sock->examining = -1;
		sock->host->examined(sock->self, CW_CHECK_OK, "connected to %s", sock->path);
	} else if (sock->stage == UP && (sock->pending || sock->link->writing)) {
		verdict_answers(sock); /* a batch is on its way: replies come, or it will soon be down */
	} else if (sock->stage == UP) {
		int status = greet(sock);
		if (status < 0)
			lose(sock, status);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	(void)handle; /* the memory goes in release() */
}

static void unixsock_stop(void *state)
{
	struct unixsock *sock = state;
	cut_link(sock);
	uv_close((uv_handle_t *)&sock->timer, on_timer_closed);
	uv_close((uv_handle_t *)&sock->breath, on_timer_closed);
}

static void unixsock_release(void *state)
{
	struct unixsock *sock = state;
	if (!sock)
		return;
	sock->host->batch_unref(sock->batch);
	free(sock);
}

const struct way unixsock_way = {
	.start = unixsock_start,
	.write = unixsock_write,
	.examine = unixsock_examine,
	.stop = unixsock_stop,
	.release = unixsock_release,
};
