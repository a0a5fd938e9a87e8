/* SPDX-License-Identifier: MIT
 *
 * See listen.h. The care is in two places. Opening: a socket that lives is never taken away from its owner, one that is
 * dead is only removed if it is ours to remove, and two that start at once are kept apart by a lock on the directory.
 * Accepting: a loop that cannot get a descriptor must neither spin nor leave its clients waiting, so one descriptor is
 * kept in reserve: given up for a moment, it lets the next client be refused in words.
 */
#include "listen.h"

#include "backoff.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, ACCEPTS_PER_TURN = 16, REASON_MAX = 256, GROUPS_FIRST = 64, DESCRIPTORS_KEPT = 64 };

static const uint64_t pause_ms = 500; /* between looks at a listener that can accept nothing */
static const char socket_group[] = "callwatch";

struct listener {
	struct web *web;
	const char *address; /* as configured */
	const char *path;
	int descriptor; /* -1: not open */
	int reserve;    /* -1: not to be had */
	uv_poll_t poll;
	uv_timer_t timer; /* next try to open, or to accept again */
	bool poll_made;
	struct backoff backoff;
	struct stat identity; /* of the socket we made */
	char reason[REASON_MAX];
	int64_t next_try;
};

const char *listen_check(const char *address)
{
	if (strncmp(address, "unix:", 5) != 0)
		return "TCP listeners come with a later version; use unix:/path";
	if (address[5] != '/')
		return "a UNIX socket is given with its full path, as in unix:/run/callwatch/control.sock";
	if (strlen(address + 5) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return "the path of a UNIX socket has at most 107 bytes";
	return address[strlen(address) - 1] == '/' ? "the path of a UNIX socket ends in a name" : NULL;
}

/* -- refusing ----------------------------------------------------------------------------------------------------- */

/* Whole answers for those who never reach libwebsockets. What does not fit into the socket at once is not sent. */
static void refuse(int descriptor, const char *status, const char *title, const char *detail)
{
	char body[256], answer[768];
	int length = snprintf(body, sizeof body,
			      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%s,\"detail\":\"%s\"}\n", title,
			      status, detail);
	int total = snprintf(answer, sizeof answer,
			     "HTTP/1.1 %s %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
			     "x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
			     "content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
			     "referrer-policy: no-referrer\r\nconnection: close\r\n\r\n%s",
			     status, title, length, body);
	(void)!send(descriptor, answer, (size_t)total, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(descriptor);
}

/* -- peers -------------------------------------------------------------------------------------------------------- */

static bool has_group(const gid_t *groups, size_t count, gid_t wanted)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* The supplementary groups the peer had when it connected, from the kernel: asking the user database could block. */
static bool peer_has_group(int descriptor, gid_t wanted)
{
	gid_t few[GROUPS_FIRST], *groups = few;
	socklen_t size = sizeof few;
	int rc = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	if (rc < 0 && errno == ERANGE) {
		groups = malloc(size);
		rc = groups ? getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &size) : -1;
	}
	bool found = rc == 0 && has_group(groups, size / sizeof *groups, wanted);
	if (groups != few)
		free(groups);
	return found;
}

/* Root, ourselves and the members of the socket's group are operators; nobody else gets in. */
static bool check_peer(const struct listener *listener, int descriptor, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || credentials.uid == (uid_t)-1)
		return false;
	*ret_peer = (struct peer){.uid = credentials.uid, .pid = credentials.pid, .is_operator = true};
	return credentials.uid == 0 || credentials.uid == geteuid() || credentials.gid == listener->identity.st_gid ||
	       peer_has_group(descriptor, listener->identity.st_gid);
}

/* -- accepting ---------------------------------------------------------------------------------------------------- */

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Descriptors are given lowest first: a high one says that few are left. Those are for the sources and outputs. */
static bool descriptors_are_short(int descriptor)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	rlim_t kept = limit.rlim_cur / 4 < DESCRIPTORS_KEPT ? limit.rlim_cur / 4 : DESCRIPTORS_KEPT;
	return (rlim_t)descriptor >= limit.rlim_cur - kept;
}

static void note_shortage(struct listener *listener)
{
	struct rlimit limit = {0};
	getrlimit(RLIMIT_NOFILE, &limit);
	listener->web->host->count_error(listener->web->self, 1);
	listener->web->host->log(listener->web->self, CW_WARNING,
				 "%s: connection refused, the limit of %llu file descriptors is reached",
				 listener->address, (unsigned long long)limit.rlim_cur);
}

static void take(struct listener *listener, int descriptor)
{
	struct web *web = listener->web;
	struct peer peer;
	if (!check_peer(listener, descriptor, &peer)) {
		refuse(descriptor, "403", "Forbidden", "only root and members of the socket's group may ask here");
	} else if (descriptors_are_short(descriptor)) {
		note_shortage(listener);
		refuse(descriptor, "503", "Service Unavailable", "the limit of file descriptors is reached");
	} else if (web->connections_count >= web->connections_max) {
		web->host->count_error(web->self, 1);
		refuse(descriptor, "503", "Service Unavailable", "too many connections");
	} else {
		http_adopt(web, descriptor, &peer);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void accept_again(uv_timer_t *timer)
{
	struct listener *listener = timer->data;
	if (listener->reserve < 0)
		listener->reserve = open_reserve();
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void accept_later(struct listener *listener)
{
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->timer, accept_again, pause_ms, /* repeat: */ 0);
}

/* No descriptor is left. False: not even in reserve, look again later. */
static bool refuse_next(struct listener *listener)
{
	note_shortage(listener);
	if (listener->reserve < 0)
		return false;
	close(listener->reserve);
	int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (descriptor >= 0)
		refuse(descriptor, "503", "Service Unavailable", "the limit of file descriptors is reached");
	listener->reserve = open_reserve();
	return descriptor >= 0 && listener->reserve >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor >= 0) {
			take(listener, descriptor);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			if (refuse_next(listener))
				continue;
			accept_later(listener);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

/* -- opening ------------------------------------------------------------------------------------------------------ */

static int fail(struct listener *listener, int error, const char *sentence)
{
	snprintf(listener->reason, sizeof listener->reason, "cannot listen on %s: %s", listener->path, sentence);
	return -error;
}

static int fail_errno(struct listener *listener)
{
	int error = errno;
	return fail(listener, error, strerror(error));
}

static struct sockaddr_un address_of(const struct listener *listener)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, listener->path, strlen(listener->path) + 1);
	return address;
}

/* Held while looking, removing and binding. Closing it lets go. */
static int lock_directory(struct listener *listener)
{
	char directory[sizeof((struct sockaddr_un *)0)->sun_path];
	size_t length = (size_t)(strrchr(listener->path, '/') - listener->path);
	memcpy(directory, listener->path, length ? length : 1);
	directory[length ? length : 1] = '\0';
	int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0 && errno == ENOENT)
		return fail(listener, ENOENT,
			    "its directory does not exist; create it (systemd: RuntimeDirectory=callwatch)");
	if (descriptor < 0)
		return fail_errno(listener);
	if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
		close(descriptor);
		return fail(listener, EBUSY, "another process is opening a socket in its directory");
	}
	return descriptor;
}

static bool somebody_answers(const struct listener *listener)
{
	struct sockaddr_un address = address_of(listener);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return true; /* not known: do not touch */
	int rc = connect(descriptor, (struct sockaddr *)&address, sizeof address);
	bool refused = rc < 0 && errno == ECONNREFUSED;
	close(descriptor);
	return !refused;
}

/* Makes the path free, or says why it cannot be. */
static int clear_path(struct listener *listener)
{
	struct stat found;
	if (lstat(listener->path, &found) < 0)
		return errno == ENOENT ? 0 : fail_errno(listener);
	if (!S_ISSOCK(found.st_mode))
		return fail(listener, EEXIST, "there is something that is no socket; remove it or choose another path");
	if (found.st_uid != geteuid() && found.st_uid != 0)
		return fail(listener, EPERM,
			    "the socket there belongs to another user; remove it or choose another path");
	if (somebody_answers(listener)) {
		snprintf(listener->reason, sizeof listener->reason, "another process listens on %s", listener->path);
		return -EADDRINUSE;
	}
	return unlink(listener->path) < 0 ? fail_errno(listener) : 0;
}

/* Group `callwatch` if there is one and we may give it away; else the group stays our own, which as a service it is
 * already: chown() is then not even called, for the service's filter of system calls refuses it. */
static void give_to_group(struct listener *listener)
{
	char strings[4096];
	struct group entry, *found = NULL;
	if (getgrnam_r(socket_group, &entry, strings, sizeof strings, &found) != 0 || !found ||
	    found->gr_gid == getegid())
		return;
	if (chown(listener->path, (uid_t)-1, found->gr_gid) < 0)
		listener->web->host->log(listener->web->self, CW_INFO,
					 "%s keeps our own group: may not give it to group %s", listener->path,
					 socket_group);
}

/* Never open to others, not even between bind and chmod: the socket's own mode is the least that bind() gives. */
static int bind_socket(struct listener *listener)
{
	struct sockaddr_un address = address_of(listener);
	listener->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->descriptor < 0)
		return fail_errno(listener);
	if (fchmod(listener->descriptor, 0600) < 0 ||
	    bind(listener->descriptor, (struct sockaddr *)&address, sizeof address) < 0)
		return fail_errno(listener);
	give_to_group(listener);
	if (chmod(listener->path, 0660) < 0 || lstat(listener->path, &listener->identity) < 0 ||
	    listen(listener->descriptor, BACKLOG) < 0)
		return fail_errno(listener);
	return 0;
}

static int open_unix(struct listener *listener)
{
	int lock = lock_directory(listener);
	if (lock < 0)
		return lock;
	int rc = clear_path(listener);
	if (rc == 0)
		rc = bind_socket(listener);
	close(lock);
	return rc;
}

static int watch(struct listener *listener)
{
	uv_loop_t *loop = listener->web->host->loop(listener->web->self);
	int rc = uv_poll_init(loop, &listener->poll, listener->descriptor);
	if (rc)
		return fail(listener, -rc, uv_strerror(rc));
	listener->poll_made = true;
	listener->poll.data = listener;
	return uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void unlink_if_ours(struct listener *listener)
{
	struct stat now;
	if (lstat(listener->path, &now) == 0 && now.st_dev == listener->identity.st_dev &&
	    now.st_ino == listener->identity.st_ino)
		unlink(listener->path);
}

static void forget_socket(struct listener *listener)
{
	if (listener->descriptor >= 0) {
		unlink_if_ours(listener);
		close(listener->descriptor);
	}
	listener->descriptor = -1;
	memset(&listener->identity, 0, sizeof listener->identity);
}

/* -- all of them -------------------------------------------------------------------------------------------------- */

static void report(struct web *web)
{
	const struct listener *broken = NULL;
	uint32_t open = 0;
	for (uint32_t i = 0; i < web->listeners_count; i++) {
		if (web->listeners[i].descriptor >= 0)
			open++;
		else if (!broken)
			broken = &web->listeners[i];
	}
	if (!broken)
		web->host->state(web->self, CW_UP, /* next_try: */ 0, "listening on %s%s", web->listeners[0].address,
				 open > 1 ? " and others" : "");
	else
		web->host->state(web->self, open ? CW_DEGRADED : CW_DOWN, broken->next_try, "%s", broken->reason);
}

static void try_open(struct listener *listener);

static void open_again(uv_timer_t *timer)
{
	struct listener *listener = timer->data;
	try_open(listener);
	report(listener->web);
}

static void try_open(struct listener *listener)
{
	listener->next_try = 0;
	if (open_unix(listener) == 0 && watch(listener) == 0) {
		backoff_reset(&listener->backoff);
		return;
	}
	forget_socket(listener);
	int64_t pause = backoff_next(&listener->backoff);
	listener->next_try = listener->web->host->now() + pause;
	uv_timer_start(&listener->timer, open_again, (uint64_t)(pause / CW_MILLISECOND), /* repeat: */ 0);
}

static void listener_init(struct listener *listener, struct web *web, const char *address)
{
	listener->web = web;
	listener->address = address;
	listener->path = address + strlen("unix:");
	listener->descriptor = -1;
	listener->reserve = open_reserve();
	listener->backoff = (struct backoff){.longest = 8 * CW_SECOND, .random = (uint64_t)web->host->now()};
	uv_timer_init(web->host->loop(web->self), &listener->timer);
	listener->timer.data = listener;
}

int listeners_start(struct web *web, const struct cw_value *items)
{
	uint32_t count = items ? items->count : 0;
	if (count == 0)
		return -EINVAL;
	web->listeners = calloc(count, sizeof *web->listeners);
	if (!web->listeners)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		listener_init(&web->listeners[i], web, cw_get_string(&items->children[i], "address"));
	web->listeners_count = count;
	for (uint32_t i = 0; i < count; i++)
		try_open(&web->listeners[i]);
	report(web);
	return 0;
}

void listeners_stop(struct web *web)
{
	for (uint32_t i = 0; i < web->listeners_count; i++) {
		struct listener *listener = &web->listeners[i];
		if (listener->poll_made)
			uv_close((uv_handle_t *)&listener->poll, NULL);
		uv_close((uv_handle_t *)&listener->timer, NULL);
		forget_socket(listener);
		if (listener->reserve >= 0)
			close(listener->reserve);
		listener->reserve = -1;
	}
}

void listeners_free(struct web *web)
{
	free(web->listeners);
	web->listeners = NULL;
	web->listeners_count = 0;
}
