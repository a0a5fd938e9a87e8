/* SPDX-License-Identifier: MIT
 *
 * Times as people write them: each form, in UTC and in a zone, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text.h"
#include "when.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct when_case {
	const char *text, *utc, *local; /* NULL: not understood */
} cases[] = {
	{"90m", "2026-11-30T08:30:00.000Z", "2026-11-30T08:30:00.000Z"},
	{"7d", "2026-11-23T10:00:00.000Z", "2026-11-23T10:00:00.000Z"},
	{"0", "2026-11-30T10:00:00.000Z", "2026-11-30T10:00:00.000Z"},
	{"02:10", "2026-11-30T02:10:00.000Z", "2026-11-30T00:10:00.000Z"},
	{"02:10:30", "2026-11-30T02:10:30.000Z", "2026-11-30T00:10:30.000Z"},
	{"10:00", "2026-11-30T10:00:00.000Z", "2026-11-30T08:00:00.000Z"},
	{"11:00", "2026-11-29T11:00:00.000Z", "2026-11-30T09:00:00.000Z"},
	{"23:59", "2026-11-29T23:59:00.000Z", "2026-11-29T21:59:00.000Z"},
	{"2026-11-01", "2026-11-01T00:00:00.000Z", "2026-10-31T22:00:00.000Z"},
	{"2026-11-01 02:10", "2026-11-01T02:10:00.000Z", "2026-11-01T00:10:00.000Z"},
	{"2026-11-01T02:10:05", "2026-11-01T02:10:05.000Z", "2026-11-01T00:10:05.000Z"},
	{"2026-11-01T02:10:05Z", "2026-11-01T02:10:05.000Z", "2026-11-01T02:10:05.000Z"},
	{"2026-11-01T02:10:05.250+01:00", "2026-11-01T01:10:05.250Z", "2026-11-01T01:10:05.250Z"},
	{"", NULL, NULL},
	{"yesterday", NULL, NULL},
	{"25:00", NULL, NULL},
	{"02:10x", NULL, NULL},
	{"2026-13-01", NULL, NULL},
	{"-5m", NULL, NULL},
};

static const struct when_case ahead[] = {
	{"90m", "2026-11-30T11:30:00.000Z", "2026-11-30T11:30:00.000Z"},
	{"10:00", "2026-12-01T10:00:00.000Z", "2026-12-01T08:00:00.000Z"},
	{"22:00", "2026-11-30T22:00:00.000Z", "2026-11-30T20:00:00.000Z"},
	{"02:10", "2026-12-01T02:10:00.000Z", "2026-12-01T00:10:00.000Z"},
	{"2026-12-24", "2026-12-24T00:00:00.000Z", "2026-12-23T22:00:00.000Z"},
	{"90000d", "2262-04-11T23:47:16.854Z", "2262-04-11T23:47:16.854Z"}, /* what is too far is the end of time */
	{"tonight", NULL, NULL},
};

static void expect(int (*parse)(const char *, const struct manner *, int64_t *), const char *text, bool utc,
		   const char *expected)
{
	static const char now[] = "2026-11-30T10:00:00Z";
	struct manner manner = {.utc = utc};
	char said[TEXT_TIME_SIZE];
	int64_t wall = 0;
	text_parse_time(now, strlen(now), &manner.now, NULL);
	int status = parse(text, &manner, &wall);
	if ((status == 0) != (expected != NULL))
		fail_msg("\"%s\": %d", text, status);
	if (!expected)
		return;
	text_time(said, wall);
	if (strcmp(said, expected) != 0)
		fail_msg("\"%s\": %s, not %s", text, said, expected);
}

static void time__is_understood_as_it_is_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect(when_parse, cases[i].text, /* utc */ true, cases[i].utc);
		expect(when_parse, cases[i].text, /* utc */ false, cases[i].local);
	}
}

static void time_to_come__is_the_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++) {
		expect(when_parse_ahead, ahead[i].text, /* utc */ true, ahead[i].utc);
		expect(when_parse_ahead, ahead[i].text, /* utc */ false, ahead[i].local);
	}
}

int main(void)
{
	setenv("TZ", "XXX-2", /* overwrite */ 1);
	tzset();
	const struct CMUnitTest tests[] = {cmocka_unit_test(time__is_understood_as_it_is_written),
					   cmocka_unit_test(time_to_come__is_the_next)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
