/* SPDX-License-Identifier: MIT
 *
 * See weekly.h. The window is one bit for each of the week's 10,080 minutes on the wall's clock; Monday is first. What
 * remains is to know what that clock shows: the zone's offset at a time.
 */
#include "weekly.h"

#include "callwatch/types.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DAY = 24 * 60, WEEK = 7 * DAY };

struct weekly {
	GTimeZone *zone;
	uint8_t minutes[WEEK / 8];
};

static int fail(char *error, const char *format, ...) CW_PRINTF(2, 3);
static int fail(char *error, const char *format, ...)
{
	char sentence[2 * WEEKLY_ERROR_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	text_visible(error, WEEKLY_ERROR_MAX, sentence, strlen(sentence));
	return -EINVAL;
}

/* ---- reading ---- */

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* Three letters of a day or more; NULL: it is none. */
static const char *read_day(const char *at, int *ret_day)
{
	static const char *const days[] = {"monday", "tuesday",  "wednesday", "thursday",
					   "friday", "saturday", "sunday"};
	size_t length = 0;
	while (isalpha((unsigned char)at[length]))
		length++;
	for (int day = 0; length >= 3 && day < 7; day++)
		if (strncasecmp(at, days[day], length) == 0) {
			*ret_day = day;
			return at + length;
		}
	return NULL;
}

/* `Mon-Fri,Sun`: bit i for day i. NULL: they are no days. */
static const char *read_days(const char *at, unsigned int *ret_days)
{
	*ret_days = isalpha((unsigned char)*at) ? 0 : 0x7f;
	for (bool more = *ret_days == 0; more;) {
		int first, last;
		at = read_day(skip_blanks(at), &first);
		last = first;
		if (at && *skip_blanks(at) == '-')
			at = read_day(skip_blanks(skip_blanks(at) + 1), &last);
		if (!at)
			return NULL;
		for (int day = first;; day = (day + 1) % 7) {
			*ret_days |= 1U << day;
			if (day == last)
				break;
		}
		at = skip_blanks(at);
		more = *at == ',';
		at += more ? 1 : 0;
	}
	return at;
}

static const char *read_number(const char *at, int *ret_number)
{
	if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
		return NULL;
	*ret_number = (at[0] - '0') * 10 + (at[1] - '0');
	return at + 2;
}

/* `02:00`, up to 24:00. */
static const char *read_time(const char *at, int *ret_minute)
{
	int hours, minutes;
	at = read_number(skip_blanks(at), &hours);
	if (!at || *at != ':')
		return NULL;
	at = read_number(at + 1, &minutes);
	*ret_minute = at ? hours * 60 + minutes : 0;
	return at && minutes < 60 && *ret_minute <= DAY ? skip_blanks(at) : NULL;
}

static void set_minutes(struct weekly *weekly, unsigned int days, int from, int minutes)
{
	for (int day = 0; day < 7; day++)
		for (int i = 0; days >> day & 1 && i < minutes; i++) {
			int minute = (day * DAY + from + i) % WEEK;
			weekly->minutes[minute / 8] |= (uint8_t)(1U << minute % 8);
		}
}

static int read_window(struct weekly *weekly, const char *every, char *error)
{
	unsigned int days;
	int from, to;
	const char *at = read_days(skip_blanks(every), &days);
	if (!at)
		return fail(error, "`%s`: days are Mon, Tue, Wed, Thu, Fri, Sat, Sun, as `Mon-Fri` or `Sat,Sun`",
			    text_start(every, 60).text);
	at = read_time(at, &from);
	at = at && *at == '-' ? read_time(at + 1, &to) : NULL;
	if (!at || *at || from == DAY)
		return fail(error, "`%s`: a window is written as `Sun 02:00-04:00`, from 00:00 to 24:00",
			    text_start(every, 60).text);
	if (from == to)
		return fail(error, "`%s` is empty; all day is `00:00-24:00`", text_start(every, 60).text);
	set_minutes(weekly, days, from, to > from ? to - from : to - from + DAY);
	return 0;
}

/* Names only: GLib would take a path and rules as well. */
static int find_zone(struct weekly *weekly, const char *timezone, char *error)
{
	const char *name = timezone ? timezone : "UTC";
	bool is_name = isalpha((unsigned char)*name) && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
									   "pqrstuvwxyz0123456789_+-/")];
	weekly->zone = is_name ? g_time_zone_new_identifier(name) : NULL;
	if (!weekly->zone)
		return fail(error, "`%s` is no time zone that this system knows, such as Europe/Berlin",
			    text_start(name, 60).text);
	return 0;
}

int weekly_parse(const char *every, const char *timezone, struct weekly **ret_weekly, char error[WEEKLY_ERROR_MAX])
{
	struct weekly *weekly = calloc(1, sizeof *weekly);
	if (!weekly) {
		fail(error, "no memory");
		return -ENOMEM;
	}
	int rc = read_window(weekly, every, error);
	if (rc == 0)
		rc = find_zone(weekly, timezone, error);
	if (rc) {
		weekly_free(weekly);
		return rc;
	}
	*ret_weekly = weekly;
	return 0;
}

void weekly_free(struct weekly *weekly)
{
	if (!weekly)
		return;
	if (weekly->zone)
		g_time_zone_unref(weekly->zone);
	free(weekly);
}

/* ---- looking ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* Seconds since 1970 on the wall's clock. */
static int64_t local(const struct weekly *weekly, int64_t seconds)
{
	int interval = g_time_zone_find_interval(weekly->zone, G_TIME_TYPE_UNIVERSAL, seconds);
	return seconds + g_time_zone_get_offset(weekly->zone, interval);
}

/* Of the week; 1 January 1970 was a Thursday. */
static int minute_at(const struct weekly *weekly, int64_t seconds)
{
	int64_t minute = floor_div(local(weekly, seconds), 60) + 3 * DAY;
	return (int)(minute - floor_div(minute, WEEK) * WEEK);
}

static bool is_set(const struct weekly *weekly, int minute)
{
	return weekly->minutes[minute / 8] >> minute % 8 & 1;
}

static bool is_open(const struct weekly *weekly, int64_t seconds)
{
	return is_set(weekly, minute_at(weekly, seconds));
}

bool weekly_is_open(const struct weekly *weekly, int64_t wall)
{
	return is_open(weekly, floor_div(wall, CW_SECOND));
}

/* The first second after `from`, at most `to`, at which the clock on the wall is not what it would have been by running
 * on: it was changed; `to` if it was not. There is no more than one change in a week. */
static int64_t find_change(const struct weekly *weekly, int64_t from, int64_t to)
{
	int64_t offset = local(weekly, from) - from;
	if (local(weekly, to) - to == offset)
		return to;
	while (to - from > 1) {
		int64_t middle = from + (to - from) / 2;
		if (local(weekly, middle) - middle == offset)
			from = middle;
		else
			to = middle;
	}
	return to;
}

/* Minutes until the clock shows one that is not as this one; WEEK: all are alike. */
static int minutes_alike(const struct weekly *weekly, int minute)
{
	int alike = 1;
	while (alike < WEEK && is_set(weekly, (minute + alike) % WEEK) == is_set(weekly, minute))
		alike++;
	return alike;
}

int64_t weekly_next(const struct weekly *weekly, int64_t wall)
{
	int64_t at = floor_div(wall, CW_SECOND);
	bool open = is_open(weekly, at);
	/* each round ends at a boundary or at a change of the clocks; after some weeks there is none */
	for (int round = 0; round < 4; round++) {
		int alike = minutes_alike(weekly, minute_at(weekly, at));
		int64_t into = local(weekly, at) - floor_div(local(weekly, at), 60) * 60;
		at = find_change(weekly, at, at + (int64_t)alike * 60 - into);
		if (is_open(weekly, at) != open)
			return at > INT64_MAX / CW_SECOND ? INT64_MAX : at * CW_SECOND;
	}
	return INT64_MAX;
}
