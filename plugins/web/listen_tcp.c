/* SPDX-License-Identifier: MIT
 *
 * Listeners on TCP. IPv6 does not listen for IPv4 too, so that what is configured is what is open. Operators at a UNIX
 * socket must get in whatever happens here, so TCP gets a share of the connections only, and one client half of that
 * (ip_client()); a proxy, by whom many ask, all of it.
 */
#include "listen_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEND_BYTES = 64 * 1024 }; /* what the kernel holds for a reader that is slow; it takes it twice */

static int say_why(struct listener *listener)
{
	int error = errno;
	if (error == EADDRINUSE)
		snprintf(listener->reason, sizeof listener->reason,
			 "another process listens on %s: stop it or choose another address", listener->address);
	else if (error == EADDRNOTAVAIL)
		listener_fail(listener, error, "this machine does not have the address");
	else if (error == EACCES)
		listener_fail(listener, error, "ports below 1024 are not for this user; choose a higher one");
	else
		listener_fail(listener, error, strerror(error));
	return -error;
}

/* The socket's options pass on to the connections. */
static bool set_options(const struct listener *listener, int descriptor)
{
	static const int on = 1, send_bytes = SEND_BYTES;
	return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	       setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0 &&
	       setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes) == 0 &&
	       (!listener->door.endpoint.ip.is_v6 ||
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
}

int tcp_open(struct listener *listener)
{
	struct sockaddr_storage address;
	size_t size = endpoint_to_socket(&listener->door.endpoint, &address);
	int descriptor = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	listener->descriptor = descriptor;
	if (descriptor < 0 || !set_options(listener, descriptor) ||
	    bind(descriptor, (struct sockaddr *)&address, (socklen_t)size) < 0 || listen(descriptor, BACKLOG) < 0)
		return say_why(listener);
	return 0;
}

bool tcp_peer(const struct listener *listener, int descriptor, struct peer *ret_peer, const char **ret_sentence)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct endpoint remote;
	struct peer peer = {.door = &listener->door};
	*ret_sentence = "the connection is gone";
	if (getpeername(descriptor, (struct sockaddr *)&address, &size) < 0 ||
	    !endpoint_from_socket(&remote, (struct sockaddr *)&address))
		return false;
	size = sizeof address;
	if (getsockname(descriptor, (struct sockaddr *)&address, &size) < 0 ||
	    !endpoint_from_socket(&peer.local, (struct sockaddr *)&address))
		return false;
	peer.address = remote.ip;
	*ret_sentence = "only a proxy of trusted_proxies may ask here without TLS";
	if (listener->door.proxies_only && !guard_is_proxy(&listener->web->guard, &peer.address))
		return false;
	*ret_peer = peer;
	return true;
}

bool tcp_has_room(const struct web *web, const struct peer *peer)
{
	uint32_t most = web->tcp_max / 2 ? web->tcp_max / 2 : 1;
	return web->tcp_count < web->tcp_max &&
	       (guard_is_proxy(&web->guard, &peer->address) || http_connections_of(web, &peer->address) < most);
}
