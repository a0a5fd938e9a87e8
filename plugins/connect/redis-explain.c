/* SPDX-License-Identifier: MIT
 *
 * What replies say: errors as sentences that name what to do and hold no secret, and the fields of INFO.
 */
#include "redis-private.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum redis_failure redis_explain(const struct redis *redis, const redisReply *error, const char *command,
				 char reason[REDIS_ERROR_MAX])
{
	const char *user = redis->username ? redis->username : redis->address.user[0] ? redis->address.user : "default";
	if (redis_is_error(error, "NOAUTH")) {
		snprintf(reason, REDIS_ERROR_MAX, "password required (NOAUTH): set password_file");
		return REDIS_DENIED;
	}
	if (redis_is_error(error, "WRONGPASS") || strcmp(command, "AUTH") == 0) {
		snprintf(reason, REDIS_ERROR_MAX,
			 "user %.64s or its password is refused (WRONGPASS): compare `username` and password_file with "
			 "`ACL GETUSER %.64s`",
			 user, user);
		return REDIS_DENIED;
	}
	if (redis_is_error(error, "NOPERM")) {
		snprintf(
			reason, REDIS_ERROR_MAX,
			"user %.64s may not run %s (NOPERM): `callwatch plugins NAME` shows the ACL line of the plugin",
			user, command);
		return REDIS_DENIED;
	}
	if (redis_is_error(error, "LOADING")) {
		snprintf(reason, REDIS_ERROR_MAX, "loading its data: wait");
		return REDIS_LOADING;
	}
	char text[120], masked[160];
	text_visible(text, sizeof(text), error->str, error->len);
	text_mask_phones_in(masked, sizeof(masked), text, strlen(text));
	snprintf(reason, REDIS_ERROR_MAX, "%s was refused: %s", command, masked);
	return REDIS_UNREACHABLE;
}

bool redis_info_field(const redisReply *info, const char *name, char *buffer, size_t size)
{
	if (!info || info->type != REDIS_REPLY_STRING)
		return false;
	size_t n = strlen(name);
	for (const char *line = info->str; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == ':') {
			size_t length = strcspn(line + n + 1, "\r\n");
			snprintf(buffer, size, "%.*s", (int)(length < size ? length : size - 1), line + n + 1);
			return true;
		}
	}
	return false;
}
