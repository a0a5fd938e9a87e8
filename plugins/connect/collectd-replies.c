/* SPDX-License-Identifier: MIT
 *
 * See connect/collectd-replies.h.
 */
#include "connect/collectd-replies.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* `-1 text`, `0 text` or a number alone. */
static bool parse_status(const char *line, int32_t *ret_status, const char **ret_text)
{
	enum { DIGITS_MAX = 9 };
	bool negative = line[0] == '-';
	const char *digits = line + negative, *end = digits;
	int32_t status = 0;
	for (; *end >= '0' && *end <= '9'; end++) {
		if (end - digits == DIGITS_MAX)
			return false;
		status = status * 10 + (*end - '0');
	}
	if (end == digits || (*end != ' ' && *end != '\0'))
		return false;
	*ret_status = negative ? -status : status;
	*ret_text = *end ? end + 1 : end;
	return true;
}

static void keep(struct replies *replies, const char *bytes, size_t length)
{
	if (replies->length < REPLY_KEPT_MAX) {
		size_t room = REPLY_KEPT_MAX - replies->length;
		memcpy(replies->line + replies->length, bytes, length < room ? length : room);
	}
	replies->length += (uint32_t)length;
}

static int end_line(struct replies *replies, reply_fn reply, void *arg)
{
	int32_t status;
	const char *text;
	uint32_t length = replies->length;
	replies->line[length < REPLY_KEPT_MAX ? length : REPLY_KEPT_MAX] = '\0';
	replies->length = 0;
	if (replies->more) {
		replies->more--;
		return 0;
	}
	if (length == 0)
		return 0;
	if (!parse_status(replies->line, &status, &text) || status > REPLY_LINES_MAX)
		return -EBADMSG;
	if (status > 0)
		replies->more = (uint32_t)status;
	return reply(arg, status, text);
}

int replies_feed(struct replies *replies, const char *bytes, size_t length, reply_fn reply, void *arg)
{
	int status = 0;
	while (length && status == 0) {
		const char *newline = memchr(bytes, '\n', length);
		size_t piece = newline ? (size_t)(newline - bytes) : length;
		if (piece > REPLY_LINE_MAX - replies->length)
			return -EBADMSG;
		keep(replies, bytes, piece);
		if (newline)
			status = end_line(replies, reply, arg);
		bytes += piece + (newline != NULL);
		length -= piece + (newline != NULL);
	}
	return status;
}
