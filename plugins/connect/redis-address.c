/* SPDX-License-Identifier: MIT
 *
 * redis://, rediss:// and unix:// addresses, and what can be said about them before connecting. The messages are
 * written for the person who typed the address, and never repeat it: it may hold a password.
 */
#include "connect/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int wrong(char error[REDIS_ERROR_MAX], const char *sentence)
{
	snprintf(error, REDIS_ERROR_MAX, "%s", sentence);
	return -EINVAL;
}

static int parse_number(const char *text, size_t length, uint32_t max, uint32_t *ret_number)
{
	uint32_t number = 0;
	if (length == 0 || length > 9)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		number = number * 10 + (uint32_t)(text[i] - '0');
	}
	if (number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int parse_unix(const char *path, struct redis_address *address, char error[REDIS_ERROR_MAX])
{
	size_t length = strcspn(path, "?");
	if (path[0] != '/')
		return wrong(error, "a unix address needs an absolute path: unix:///run/redis/redis.sock");
	if (length >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return wrong(error, "the path of a UNIX socket has at most 107 bytes");
	if (path[length] && (strncmp(path + length, "?db=", 4) != 0 ||
			     parse_number(path + length + 4, strlen(path + length + 4), 1000000, &address->database)))
		return wrong(error, "after the path of a unix address only ?db=NUMBER may follow");
	memcpy(address->host, path, length);
	address->host[length] = '\0';
	address->is_unix = true;
	return 0;
}

/* `user@` before the host. A password there would be shown wherever the address is. */
static int parse_user(const char **rest, struct redis_address *address, char error[REDIS_ERROR_MAX])
{
	const char *slash = strchr(*rest, '/');
	const char *end = slash ? slash : *rest + strlen(*rest);
	const char *at = memrchr(*rest, '@', (size_t)(end - *rest));
	if (!at)
		return 0;
	size_t length = (size_t)(at - *rest);
	if (memchr(*rest, ':', length))
		return wrong(error, "an address must not hold a password, it is shown in many places: put the password "
				    "into a file and say password_file: FILE (or password: ${VARIABLE})");
	if (length >= sizeof(address->user))
		return wrong(error, "the user in the address is too long");
	memcpy(address->user, *rest, length);
	address->user[length] = '\0';
	*rest = at + 1;
	return 0;
}

static int parse_host(const char **rest, struct redis_address *address, char error[REDIS_ERROR_MAX])
{
	const char *host = *rest;
	size_t length = strcspn(host, ":/?");
	const char *after = host + length;
	if (host[0] == '[') {
		const char *close = strchr(host, ']');
		if (!close)
			return wrong(error, "the address lacks a ] after its IPv6 address");
		host++;
		length = (size_t)(close - host);
		after = close + 1;
	}
	if (length == 0 || length >= sizeof(address->host))
		return wrong(error, "the address lacks a host: redis://host:6379/0");
	memcpy(address->host, host, length);
	address->host[length] = '\0';
	*rest = after;
	return 0;
}

static int parse_tcp(const char *rest, struct redis_address *address, char error[REDIS_ERROR_MAX])
{
	int status = parse_user(&rest, address, error);
	if (status == 0)
		status = parse_host(&rest, address, error);
	if (status < 0)
		return status;
	uint32_t port = 6379;
	if (*rest == ':') {
		size_t length = strcspn(rest + 1, "/?");
		if (parse_number(rest + 1, length, 65535, &port) < 0 || port == 0)
			return wrong(error, "the port must be a number from 1 to 65535");
		rest += 1 + length;
	}
	address->port = (uint16_t)port;
	if (strcmp(rest, "") == 0 || strcmp(rest, "/") == 0)
		return 0;
	if (*rest != '/' || parse_number(rest + 1, strlen(rest + 1), 1000000, &address->database) < 0)
		return wrong(error, "after the host only the number of a database may follow: redis://host:6379/0");
	return 0;
}

int redis_address_parse(const char *url, struct redis_address *ret_address, char error[REDIS_ERROR_MAX])
{
	struct redis_address address = {0};
	int status;
	if (strncmp(url, "redis://", 8) == 0)
		status = parse_tcp(url + 8, &address, error);
	else if (strncmp(url, "unix://", 7) == 0)
		status = parse_unix(url + 7, &address, error);
	else if (strncmp(url, "rediss://", 9) == 0)
		status = parse_tcp(url + 9, &address, error);
	else
		status = wrong(error, "an address begins with redis://, rediss:// (TLS) or unix://");
	address.is_tls = strncmp(url, "rediss://", 9) == 0;
	if (status == 0)
		*ret_address = address;
	return status;
}

void redis_check_options(const struct cw_value *options, struct cw_problems *problems)
{
	const struct cw_value *url = cw_get(options, "url");
	struct redis_address address;
	char error[REDIS_ERROR_MAX];
	if (!url || !url->known || !url->string)
		return;
	if (redis_address_parse(url->string, &address, error) < 0) {
		problems->error(problems, url, "%s", error);
		return;
	}
	tls_check_options(options, address.is_tls, problems);
	const char *username = cw_get_string(options, "username");
	if (username && address.user[0] && strcmp(username, address.user) != 0)
		problems->error(problems, cw_get(options, "username"),
				"the address names another user; say it in one place");
}
