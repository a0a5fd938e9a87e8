/* SPDX-License-Identifier: MIT
 *
 * See when.h. What has no zone goes through the C library, for only that knows the clocks of this place; an hour that a
 * change of the clocks repeats is the one that the library takes.
 */
#include "when.h"

#include "scalars.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* All of the text, by one of the forms (NULL-terminated). */
static bool parse_calendar(const char *text, const char *const *forms, struct tm *parts)
{
	for (; *forms; forms++) {
		struct tm read = *parts;
		const char *end = strptime(text, *forms, &read);
		if (!end || *end)
			continue;
		*parts = read;
		return true;
	}
	return false;
}

static int64_t wall_of(struct tm *parts, const struct manner *manner)
{
	parts->tm_isdst = -1;
	time_t seconds = manner->utc ? timegm(parts) : mktime(parts);
	return (int64_t)seconds * CW_SECOND;
}

/* When it last was so late, or next is. */
static bool parse_clock(const char *text, const struct manner *manner, bool ahead, int64_t *ret_wall)
{
	static const char *const forms[] = {"%H:%M", "%H:%M:%S", NULL};
	struct tm today = {0};
	time_t now = (time_t)(manner->now / CW_SECOND);
	if (!(manner->utc ? gmtime_r(&now, &today) : localtime_r(&now, &today)))
		return false;
	today.tm_sec = 0;
	if (!parse_calendar(text, forms, &today))
		return false;
	struct tm then = today;
	*ret_wall = wall_of(&then, manner);
	if (ahead ? *ret_wall > manner->now : *ret_wall <= manner->now)
		return true;
	today.tm_mday += ahead ? 1 : -1;
	*ret_wall = wall_of(&today, manner);
	return true;
}

static bool parse_date(const char *text, const struct manner *manner, int64_t *ret_wall)
{
	static const char *const forms[] = {"%Y-%m-%d",       "%Y-%m-%d %H:%M",    "%Y-%m-%d %H:%M:%S",
					    "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", NULL};
	struct tm parts = {.tm_mday = 1};
	if (!parse_calendar(text, forms, &parts) || parts.tm_year < 70 || parts.tm_year > 300)
		return false;
	*ret_wall = wall_of(&parts, manner);
	return true;
}

static int parse(const char *text, const struct manner *manner, bool ahead, int64_t *ret_wall)
{
	int64_t length;
	if (parse_duration(text, &length) == 0) {
		if (ahead)
			*ret_wall = length < INT64_MAX - manner->now ? manner->now + length : INT64_MAX;
		else
			*ret_wall = manner->now > length ? manner->now - length : 0;
		return 0;
	}
	if (parse_clock(text, manner, ahead, ret_wall) || parse_date(text, manner, ret_wall))
		return 0;
	return text_parse_time(text, strlen(text), ret_wall, /* ret_assumed_utc */ NULL) == 0 ? 0 : -EINVAL;
}

int when_parse(const char *text, const struct manner *manner, int64_t *ret_wall)
{
	return parse(text, manner, /* ahead: */ false, ret_wall);
}

int when_parse_ahead(const char *text, const struct manner *manner, int64_t *ret_wall)
{
	return parse(text, manner, /* ahead: */ true, ret_wall);
}
