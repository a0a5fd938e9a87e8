/* SPDX-License-Identifier: MIT
 *
 * See connect/curl-loop.h. libcurl says which sockets it wants to be told about and when it wants to be called
 * (curl_multi_socket_action); each socket is a libuv poll, whose memory goes in its close callback. The callbacks below
 * run from within libcurl and must not call it; the end of a transfer is told only after it has returned.
 */
#include "connect/curl-loop.h"

#include <errno.h>
#include <stdlib.h>

struct curl_loop {
	CURLM *multi;
	uv_timer_t timer;
	struct socket_watch *watches;
	curl_loop_done done;
	void (*gone)(void *arg);
	void *arg;
	uint32_t handles; /* timer and polls, not closed yet */
	bool closed;
};

/* One socket that libcurl waits for. */
struct socket_watch {
	uv_poll_t poll;
	struct curl_loop *loop;
	struct socket_watch *next, **here;
	curl_socket_t socket;
};

/* ---- the end of things ---- */

static void handle_closed(struct curl_loop *loop)
{
	if (--loop->handles > 0)
		return;
	if (loop->gone)
		loop->gone(loop->arg);
	free(loop);
}

static void on_timer_closed(uv_handle_t *timer)
{
	handle_closed(timer->data);
}

static void on_poll_closed(uv_handle_t *poll)
{
	struct socket_watch *watch = poll->data;
	struct curl_loop *loop = watch->loop;
	free(watch);
	handle_closed(loop);
}

static void unwatch(struct socket_watch *watch)
{
	*watch->here = watch->next;
	if (watch->next)
		watch->next->here = watch->here;
	uv_close((uv_handle_t *)&watch->poll, on_poll_closed); /* stops at once, so the socket may be closed next */
}

static void tell_all(struct curl_loop *loop)
{
	CURLMsg *message;
	int left;
	while (!loop->closed && (message = curl_multi_info_read(loop->multi, &left))) {
		void *owner = NULL;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&owner);
		loop->done(owner, code);
	}
}

/* ---- libcurl on the loop ---- */

static void on_timer(uv_timer_t *timer)
{
	struct curl_loop *loop = timer->data;
	int running;
	curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	tell_all(loop);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct socket_watch *watch = poll->data;
	struct curl_loop *loop = watch->loop;
	int flags = status < 0 ? CURL_CSELECT_ERR
			       : (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
					 (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	int running;
	curl_multi_socket_action(loop->multi, watch->socket, flags, &running);
	tell_all(loop);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *loop = arg;
	(void)multi;
	if (timeout_ms < 0) {
		uv_timer_stop(&loop->timer);
		return 0;
	}
	uv_update_time(loop->timer.loop);
	uv_timer_start(&loop->timer, on_timer, (uint64_t)timeout_ms, /* repeat */ 0);
	return 0;
}

static struct socket_watch *watch_socket(struct curl_loop *loop, curl_socket_t socket)
{
	struct socket_watch *watch = calloc(1, sizeof(*watch));
	if (!watch || uv_poll_init(loop->timer.loop, &watch->poll, socket) < 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->loop = loop;
	watch->socket = socket;
	watch->next = loop->watches;
	watch->here = &loop->watches;
	if (watch->next)
		watch->next->here = &watch->next;
	loop->watches = watch;
	loop->handles++;
	curl_multi_assign(loop->multi, socket, watch);
	return watch;
}

/* A socket that cannot be watched (no memory) is left to its deadline. */
static int set_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg)
{
	struct curl_loop *loop = arg;
	struct socket_watch *watch = socket_arg;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			curl_multi_assign(loop->multi, socket, NULL);
			unwatch(watch);
		}
		return 0;
	}
	if (!watch && !(watch = watch_socket(loop, socket)))
		return 0;
	uv_poll_start(&watch->poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
		      on_poll);
	return 0;
}

/* ---- the face ---- */

bool curl_loop_add(struct curl_loop *loop, CURL *easy)
{
	return curl_multi_add_handle(loop->multi, easy) == CURLM_OK; /* it sets the timer, and goes on from there */
}

void curl_loop_remove(struct curl_loop *loop, CURL *easy)
{
	curl_multi_remove_handle(loop->multi, easy);
}

static int begin(struct curl_loop *loop, long kept)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	loop->multi = curl_multi_init();
	if (!loop->multi) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, kept);
	return 0;
}

int curl_loop_open(uv_loop_t *uv, long kept, curl_loop_done done, void (*gone)(void *arg), void *arg,
		   struct curl_loop **ret_loop)
{
	struct curl_loop *loop = calloc(1, sizeof(*loop));
	int status = loop ? begin(loop, kept) : -ENOMEM;
	if (status < 0) {
		free(loop);
		return status;
	}
	loop->done = done;
	loop->gone = gone;
	loop->arg = arg;
	loop->handles = 1;
	uv_timer_init(uv, &loop->timer);
	loop->timer.data = loop;
	*ret_loop = loop;
	return 0;
}

void curl_loop_close(struct curl_loop *loop)
{
	loop->closed = true;
	curl_multi_cleanup(loop->multi); /* unwatches its sockets, those of kept connections too */
	for (struct socket_watch *watch = loop->watches, *next; watch; watch = next) {
		next = watch->next;
		unwatch(watch);
	}
	uv_close((uv_handle_t *)&loop->timer, on_timer_closed);
	curl_global_cleanup();
}
