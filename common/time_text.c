/* SPDX-License-Identifier: MIT
 *
 * See text.h: the part about wall time. Written here because strptime() knows neither fractions nor the several forms
 * of an offset, wants a terminated string and takes glibc's time zone lock, which every thread of the agent would meet
 * at for each row. The calendar is that of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": years that
 * begin in March, eras of 400 years.
 */
#include "text.h"

#include <errno.h>
#include <stdio.h>

enum { DAY_SECONDS = 86400, YEAR_LEAST = 1678, YEAR_MOST = 2261, TIME_TEXT_MAX = 64 };
static const int64_t second_ns = 1000000000;
static const int64_t least_seconds = -9214560000, most_seconds = 9214646399; /* 1678-01-01, 2261-12-31T23:59:59 */

struct date {
	int64_t year;
	unsigned month, day;
};

/* What is still to be read. */
struct reader {
	const char *at, *end;
};

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t days_from_date(struct date date)
{
	int64_t year = date.year - (date.month <= 2);
	int64_t era = floor_divide(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t month = (date.month + 9) % 12; /* March is 0 */
	int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static struct date date_from_days(int64_t days)
{
	days += 719468;
	int64_t era = floor_divide(days, 146097);
	int64_t day_of_era = days - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct date date = {.day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
			    .month = (unsigned)(month < 10 ? month + 3 : month - 9)};
	date.year = era * 400 + year_of_era + (date.month <= 2);
	return date;
}

size_t text_time(char buffer[TEXT_TIME_SIZE], int64_t wall_ns)
{
	int64_t seconds = floor_divide(wall_ns, second_ns);
	int64_t days = floor_divide(seconds, DAY_SECONDS);
	int64_t rest = seconds - days * DAY_SECONDS;
	struct date date = date_from_days(days);
	int length = snprintf(
		buffer, TEXT_TIME_SIZE, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", (int)date.year, date.month, date.day,
		(int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60),
		(int)((wall_ns % second_ns + second_ns) % second_ns / 1000000)); /* no product: it may overflow */
	return (size_t)length;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take(struct reader *in, char c)
{
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

/* A run of `least` to `most` (≤ 18) digits. */
static bool take_digits(struct reader *in, size_t least, size_t most, int64_t *ret_value)
{
	int64_t value = 0;
	size_t n = 0;
	for (; n < most && in->at < in->end && is_digit(*in->at); n++)
		value = value * 10 + (*in->at++ - '0');
	*ret_value = value;
	return n >= least;
}

static bool take_two(struct reader *in, int64_t most, int64_t *ret_value)
{
	return take_digits(in, 2, 2, ret_value) && *ret_value <= most;
}

/* Digits after the point, as nanoseconds; what is finer is dropped. */
static bool take_fraction(struct reader *in, int64_t *ret_ns)
{
	int64_t ns = 0, unit = second_ns / 10;
	if (in->at == in->end || !is_digit(*in->at))
		return false;
	for (; in->at < in->end && is_digit(*in->at); unit /= 10)
		ns += (*in->at++ - '0') * unit;
	*ret_ns = ns;
	return true;
}

static unsigned days_in_month(int64_t year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (leap && month == 2 ? 1u : 0u);
}

/* A year of more than four digits is well formed, and out of range later. */
static bool take_date(struct reader *in, struct date *ret_date)
{
	int64_t year, month, day;
	(void)take(in, '+');
	if (!take_digits(in, 4, 9, &year) || !take(in, '-') || !take_two(in, 12, &month) || !take(in, '-') ||
	    !take_two(in, 31, &day))
		return false;
	if (month == 0 || day == 0 || day > days_in_month(year, (unsigned)month))
		return false;
	*ret_date = (struct date){.year = year, .month = (unsigned)month, .day = (unsigned)day};
	return true;
}

/* hh:mm[:ss[.fraction]] as nanoseconds. A leap second, :60, is the first instant of the next minute. */
static bool take_clock(struct reader *in, int64_t *ret_ns)
{
	int64_t hour, minute, second = 0, ns = 0;
	if (!take_two(in, 23, &hour) || !take(in, ':') || !take_two(in, 59, &minute))
		return false;
	if (take(in, ':')) {
		if (!take_two(in, 60, &second))
			return false;
		if ((take(in, '.') || take(in, ',')) && !take_fraction(in, &ns))
			return false;
		if (second == 60)
			ns = 0;
	}
	*ret_ns = (hour * 3600 + minute * 60 + second) * second_ns + ns;
	return true;
}

/* Z, ±hh:mm, ±hhmm, ±hh, or nothing, which is taken for UTC. */
static bool take_zone(struct reader *in, int64_t *ret_offset_s, bool *ret_assumed_utc)
{
	int64_t hour, minute = 0;
	*ret_offset_s = 0;
	*ret_assumed_utc = in->at == in->end;
	if (*ret_assumed_utc || take(in, 'Z') || take(in, 'z'))
		return true;
	bool west = take(in, '-');
	if (!west && !take(in, '+'))
		return false;
	if (!take_two(in, 23, &hour))
		return false;
	bool colon = take(in, ':');
	if ((colon || in->at < in->end) && !take_two(in, 59, &minute))
		return false;
	*ret_offset_s = (west ? -1 : 1) * (hour * 3600 + minute * 60);
	return true;
}

/* A date alone is its midnight, UTC. */
int text_parse_time(const char *text, size_t length, int64_t *ret_wall_ns, bool *ret_assumed_utc)
{
	struct reader in = {text, text + length};
	struct date date;
	int64_t clock_ns = 0, offset_s = 0;
	bool assumed = true;
	if (length > TIME_TEXT_MAX || !take_date(&in, &date))
		return -EINVAL;
	if (in.at < in.end) {
		if (!take(&in, 'T') && !take(&in, 't') && !take(&in, ' '))
			return -EINVAL;
		if (!take_clock(&in, &clock_ns) || !take_zone(&in, &offset_s, &assumed) || in.at != in.end)
			return -EINVAL;
	}
	if (date.year < YEAR_LEAST || date.year > YEAR_MOST)
		return -ERANGE;
	*ret_wall_ns = (days_from_date(date) * DAY_SECONDS - offset_s) * second_ns + clock_ns;
	if (ret_assumed_utc)
		*ret_assumed_utc = assumed;
	return 0;
}

int text_parse_unix(const char *text, size_t length, int64_t *ret_wall_ns)
{
	struct reader in = {text, text + length};
	int64_t seconds, ns = 0;
	if (length > TIME_TEXT_MAX)
		return -EINVAL;
	bool negative = take(&in, '-');
	if (!take_digits(&in, 1, 18, &seconds))
		return -EINVAL;
	bool too_long = false;
	for (; in.at < in.end && is_digit(*in.at); in.at++)
		too_long = true;
	if ((take(&in, '.') && !take_fraction(&in, &ns)) || in.at != in.end)
		return -EINVAL;
	if (too_long || seconds > most_seconds || (negative && -seconds <= least_seconds))
		return -ERANGE;
	int64_t wall_ns = seconds * second_ns + ns;
	*ret_wall_ns = negative ? -wall_ns : wall_ns;
	return 0;
}
