/* SPDX-License-Identifier: MIT
 *
 * Windows of the week: what is read and what is refused, known cases around the changes of the clocks, and every minute
 * of some weeks in some zones held against the C library's localtime_r().
 */
#include "weekly.h"

#include "callwatch/types.h"
#include "text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t at(const char *time)
{
	int64_t wall;
	assert_int_equal(text_parse_time(time, strlen(time), &wall, NULL), 0);
	return wall;
}

static struct weekly *window(const char *every, const char *zone)
{
	char error[WEEKLY_ERROR_MAX] = "";
	struct weekly *weekly = NULL;
	if (weekly_parse(every, zone, &weekly, error) != 0)
		fail_msg("%s: %s", every, error);
	return weekly;
}

static void window__at_a_time__is_open_or_not(void **state)
{
	(void)state;
	static const struct {
		const char *every, *zone, *time;
		bool open;
	} cases[] = {
		{"Sun 02:00-04:00", NULL, "2026-12-06T01:59:59.999Z", false},
		{"Sun 02:00-04:00", NULL, "2026-12-06T02:00:00Z", true},
		{"Sun 02:00-04:00", NULL, "2026-12-06T03:59:59.999Z", true},
		{"Sun 02:00-04:00", NULL, "2026-12-06T04:00:00Z", false},
		{"Sun 02:00-04:00", NULL, "2026-12-05T03:00:00Z", false},
		{"sunday 02:00-04:00", "UTC", "2026-12-06T03:00:00Z", true},
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-12-06T01:00:00Z", true},
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-12-06T03:00:00Z", false},
		/* lists and ranges, over the week's end too; blanks */
		{"Mon-Fri 08:00-18:00", NULL, "2026-12-04T08:00:00Z", true},
		{"Mon-Fri 08:00-18:00", NULL, "2026-12-05T08:00:00Z", false},
		{"Sat,Sun 00:00-24:00", NULL, "2026-12-05T00:00:00Z", true},
		{"Sat,Sun 00:00-24:00", NULL, "2026-12-07T00:00:00Z", false},
		{"Fri-Mon 10:00-11:00", NULL, "2026-12-07T10:30:00Z", true},
		{"Fri-Mon 10:00-11:00", NULL, "2026-12-08T10:30:00Z", false},
		{" Mon - Tue , Thu  10:00 - 11:00 ", NULL, "2026-12-10T10:30:00Z", true},
		{" Mon - Tue , Thu  10:00 - 11:00 ", NULL, "2026-12-09T10:30:00Z", false},
		{"10:00-11:00", NULL, "2026-12-09T10:30:00Z", true},
		/* over midnight: it is the evening's window; also from Sunday to Monday */
		{"Mon-Fri 22:00-06:00", NULL, "2026-12-05T05:59:00Z", true},
		{"Mon-Fri 22:00-06:00", NULL, "2026-12-05T22:00:00Z", false},
		{"Mon-Fri 22:00-06:00", NULL, "2026-12-07T05:00:00Z", false},
		{"Sun 22:00-06:00", NULL, "2026-12-07T05:00:00Z", true},
		{"Sun 22:00-06:00", NULL, "2026-12-06T05:00:00Z", false},
		{"Sun 22:00-00:00", NULL, "2026-12-06T23:59:00Z", true},
		{"Sun 22:00-00:00", NULL, "2026-12-07T00:00:00Z", false},
		/* clocks go forward: at 01:00 UTC it is not 02:00 but 03:00 */
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-03-29T00:59:00Z", false},
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-03-29T01:00:00Z", true},
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-03-29T01:59:00Z", true},
		{"Sun 02:00-04:00", "Europe/Berlin", "2026-03-29T02:00:00Z", false},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-03-29T00:59:00Z", false},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-03-29T01:00:00Z", false},
		/* and back: from 00:00 to 02:00 UTC it is twice between 02:00 and 03:00 */
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-10-24T23:59:00Z", false},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-10-25T00:00:00Z", true},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-10-25T01:59:00Z", true},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-10-25T02:00:00Z", false},
		{"Sun 02:30-03:30", "Europe/Berlin", "2026-10-25T01:15:00Z", false},
		{"Thu 00:00-01:00", NULL, "1970-01-01T00:30:00Z", true},
		{"Wed 23:00-24:00", NULL, "1969-12-31T23:59:59.5Z", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weekly *weekly = window(cases[i].every, cases[i].zone);
		if (weekly_is_open(weekly, at(cases[i].time)) != cases[i].open)
			fail_msg("%s at %s", cases[i].every, cases[i].time);
		weekly_free(weekly);
	}
	weekly_free(NULL);
}

static void window__that_is_none__is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *every, *zone, *says;
	} cases[] = {
		{"", NULL, "a window is written"},
		{"Sun", NULL, "a window is written"},
		{"Sun 2:00-04:00", NULL, "a window is written"},
		{"Sun 02:00", NULL, "a window is written"},
		{"Sun 02:00-04:00 x", NULL, "a window is written"},
		{"Sun 02:60-04:00", NULL, "a window is written"},
		{"Sun 02:00-24:01", NULL, "a window is written"},
		{"Sun 24:00-24:00", NULL, "a window is written"},
		{"Sun 99:99-04:00", NULL, "a window is written"},
		{"Sun 04:00-04:00", NULL, "is empty"},
		{"Son 02:00-04:00", NULL, "days are"},
		{"Su 02:00-04:00", NULL, "days are"},
		{"Sun, 02:00-04:00", NULL, "days are"},
		{"Sun- 02:00-04:00", NULL, "days are"},
		{"\x1b[31m 02:00-04:00", NULL, "\\x1b"},
		{"\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5"
		 "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5"
		 "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5-\xe6\x97\xa5",
		 NULL, "\xe6\x97\xa5-`: a window is written"},
		{"Sun 02:00-04:00", "Europe/Atlantis", "time zone"},
		{"Sun 02:00-04:00", "../../../etc/passwd", "time zone"},
		{"Sun 02:00-04:00", "/usr/share/zoneinfo/UTC", "time zone"},
		{"Sun 02:00-04:00", "", "time zone"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char error[WEEKLY_ERROR_MAX] = "";
		struct weekly *weekly = NULL;
		assert_int_equal(weekly_parse(cases[i].every, cases[i].zone, &weekly, error), -EINVAL);
		assert_null(weekly);
		if (!strstr(error, cases[i].says))
			fail_msg("%s: %s", cases[i].every, error);
	}
}

/* ---- the C library's clock ---- */

static bool is_open_by_libc(int first_minute, int minutes, unsigned int days, int64_t seconds)
{
	struct tm tm;
	time_t when = (time_t)seconds;
	localtime_r(&when, &tm);
	int now = (tm.tm_wday + 6) % 7 * 1440 + tm.tm_hour * 60 + tm.tm_min;
	for (int day = 0; day < 7; day++) {
		int begin = day * 1440 + first_minute;
		if (days >> day & 1 && (now - begin + 10080) % 10080 < minutes)
			return true;
	}
	return false;
}

static void window__in_any_zone__is_as_the_c_library_says(void **state)
{
	(void)state;
	static const char *const zones[] = {
		"Europe/Berlin",     "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
		"Africa/Casablanca", "America/Santiago", "Antarctica/Troll",    "UTC"};
	static const struct {
		const char *every;
		int from, minutes;
		unsigned int days;
	} windows[] = {
		{"Sun 02:00-04:00", 120, 120, 0x40},     {"Sun 02:15-02:45", 135, 30, 0x40},
		{"Sat 22:00-03:00", 1320, 300, 0x20},    {"Mon-Fri 08:00-18:00", 480, 600, 0x1f},
		{"Sun-Mon 23:30-00:30", 1410, 60, 0x41}, {"00:00-24:00", 0, 1440, 0x7f},
		{"03:00-03:01", 180, 1, 0x7f},
	};
	static const char *const weeks[] = {"2026-03-06T00:00:00Z", "2026-03-27T00:00:00Z", "2026-04-03T00:00:00Z",
					    "2026-09-04T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-23T00:00:00Z",
					    "2026-10-30T00:00:00Z", "2060-03-26T00:00:00Z"};
	for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
		setenv("TZ", zones[z], 1);
		tzset();
		for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
			struct weekly *weekly = window(windows[w].every, zones[z]);
			for (size_t k = 0; k < sizeof weeks / sizeof weeks[0]; k++) {
				int64_t begin = at(weeks[k]) / CW_SECOND, next = weekly_next(weekly, at(weeks[k]));
				bool before =
					is_open_by_libc(windows[w].from, windows[w].minutes, windows[w].days, begin);
				for (int64_t now = begin; now < begin + 4 * 86400; now += 60) {
					bool open = is_open_by_libc(windows[w].from, windows[w].minutes,
								    windows[w].days, now);
					if (open != weekly_is_open(weekly, now * CW_SECOND + 7))
						fail_msg("%s %s %s", zones[z], windows[w].every, weeks[k]);
					if (open != before) { /* here, and nowhere else, is the next change */
						assert_true(next == now * CW_SECOND);
						next = weekly_next(weekly, now * CW_SECOND + 13 * CW_SECOND);
						before = open;
					}
					assert_true(next > now * CW_SECOND);
				}
			}
			weekly_free(weekly);
		}
	}
	unsetenv("TZ");
	tzset();
}

static void next_change__of_a_window_that_is_always_open__never_comes(void **state)
{
	(void)state;
	struct weekly *weekly = window("00:00-24:00", "Europe/Berlin");
	assert_true(weekly_next(weekly, at("2026-03-28T12:00:00Z")) == INT64_MAX);
	assert_true(weekly_is_open(weekly, INT64_MAX) && weekly_is_open(weekly, INT64_MIN));
	weekly_free(weekly);
	weekly = window("Sun 02:00-04:00", "Europe/Berlin");
	weekly_next(weekly, INT64_MAX);
	weekly_next(weekly, INT64_MIN);
	weekly_free(weekly);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window__at_a_time__is_open_or_not),
		cmocka_unit_test(window__that_is_none__is_refused_with_a_sentence),
		cmocka_unit_test(window__in_any_zone__is_as_the_c_library_says),
		cmocka_unit_test(next_change__of_a_window_that_is_always_open__never_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
