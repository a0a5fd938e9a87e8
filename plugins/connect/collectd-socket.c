/* SPDX-License-Identifier: MIT
 *
 * See connect/collectd-socket.h.
 */
#include "connect/collectd-socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

void collectd_socket_check(const struct cw_value *socket, struct cw_problems *problems)
{
	if (!socket || !socket->known)
		return; /* in a file that was not read */
	if (socket->string[0] != '/')
		problems->error(problems, socket,
				"socket: a UNIX socket is named by an absolute path, such as "
				"/run/collectd-unixsock");
	else if (strlen(socket->string) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		problems->error(problems, socket, "socket: the path of a UNIX socket has at most 107 bytes");
}

void collectd_socket_explain(const char *path, int status, char *reason, size_t size)
{
	struct stat what;
	bool is_other = stat(path, &what) == 0 && !S_ISSOCK(what.st_mode);
	if (is_other)
		snprintf(reason, size, "%s is not a socket", path);
	else if (status == UV_ENOENT)
		snprintf(reason, size, "no socket %s: is collectd running, with LoadPlugin unixsock?", path);
	else if (status == UV_EACCES || status == UV_EPERM)
		snprintf(reason, size,
			 "no permission to open %s: give collectd's unixsock plugin SocketGroup \"callwatch\" and "
			 "SocketPerms \"0660\"",
			 path);
	else if (status == UV_ECONNREFUSED)
		snprintf(reason, size, "connection refused: nobody listens at %s, collectd has left it behind", path);
	else if (status == UV_EAGAIN)
		snprintf(reason, size, "collectd takes no connection at %s: it hangs", path);
	else if (status == UV_ETIMEDOUT)
		snprintf(reason, size, "collectd does not answer at %s: it hangs or is stopped", path);
	else if (status == UV_EOF || status == UV_ECONNRESET || status == UV_EPIPE)
		snprintf(reason, size, "collectd has closed the connection (%s)", path);
	else if (status == -EBADMSG)
		snprintf(reason, size, "what answers at %s is not collectd", path);
	else
		snprintf(reason, size, "%s (%s)", uv_strerror(status), path);
}
