/* SPDX-License-Identifier: MIT
 *
 * Listeners on UNIX sockets. A socket that lives is never taken away from its owner, one that is dead is only removed
 * if it is ours to remove, and two that start at once are kept apart by a lock on the directory. The kernel says who
 * connects.
 */
#include "listen_private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { GROUPS_FIRST = 64 };

static const char socket_group[] = "callwatch";

const char *unix_check(const char *address)
{
	if (address[5] != '/')
		return "a UNIX socket is given with its full path, as in unix:/run/callwatch/control.sock";
	if (strlen(address + 5) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return "the path of a UNIX socket has at most 107 bytes";
	return address[strlen(address) - 1] == '/' ? "the path of a UNIX socket ends in a name" : NULL;
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
bool unix_peer(const struct listener *listener, int descriptor, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0 || credentials.uid == (uid_t)-1)
		return false;
	*ret_peer = (struct peer){.door = &listener->door, .uid = credentials.uid, .pid = credentials.pid};
	return credentials.uid == 0 || credentials.uid == geteuid() || credentials.gid == listener->identity.st_gid ||
	       peer_has_group(descriptor, listener->identity.st_gid);
}

/* From the file: what else the user database is made of (LDAP, sssd) could block, so those users keep their number. */
void unix_user(uid_t uid, char *ret_name, size_t size)
{
	char strings[1024];
	struct passwd entry = {.pw_name = NULL}, *found = NULL;
	FILE *users = fopen("/etc/passwd", "re");
	snprintf(ret_name, size, "user %u", (unsigned)uid);
	while (users && fgetpwent_r(users, &entry, strings, sizeof strings, &found) == 0)
		if (found->pw_uid == uid) {
			snprintf(ret_name, size, "%s", found->pw_name);
			break;
		}
	if (users)
		fclose(users);
}

/* -- opening ------------------------------------------------------------------------------------------------------ */

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
		return listener_fail(listener, ENOENT,
				     "its directory does not exist; create it (systemd: RuntimeDirectory=callwatch)");
	if (descriptor < 0)
		return listener_fail_errno(listener);
	if (flock(descriptor, LOCK_EX | LOCK_NB) < 0) {
		close(descriptor);
		return listener_fail(listener, EBUSY, "another process is opening a socket in its directory");
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
		return errno == ENOENT ? 0 : listener_fail_errno(listener);
	if (!S_ISSOCK(found.st_mode))
		return listener_fail(listener, EEXIST,
				     "there is something that is no socket; remove it or choose another path");
	if (found.st_uid != geteuid() && found.st_uid != 0)
		return listener_fail(listener, EPERM,
				     "the socket there belongs to another user; remove it or choose another path");
	if (somebody_answers(listener)) {
		snprintf(listener->reason, sizeof listener->reason,
			 "another process listens on %s: stop it or choose another address", listener->path);
		return -EADDRINUSE;
	}
	return unlink(listener->path) < 0 ? listener_fail_errno(listener) : 0;
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
		return listener_fail_errno(listener);
	if (fchmod(listener->descriptor, 0600) < 0 ||
	    bind(listener->descriptor, (struct sockaddr *)&address, sizeof address) < 0)
		return listener_fail_errno(listener);
	give_to_group(listener);
	if (chmod(listener->path, 0660) < 0 || lstat(listener->path, &listener->identity) < 0 ||
	    listen(listener->descriptor, BACKLOG) < 0)
		return listener_fail_errno(listener);
	return 0;
}

int unix_open(struct listener *listener)
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

bool unix_is_in_place(const struct listener *listener)
{
	struct stat now;
	return lstat(listener->path, &now) == 0 && now.st_dev == listener->identity.st_dev &&
	       now.st_ino == listener->identity.st_ino;
}

void unix_unlink(struct listener *listener)
{
	if (unix_is_in_place(listener))
		unlink(listener->path);
}
