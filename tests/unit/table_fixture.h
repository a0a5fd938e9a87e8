/* SPDX-License-Identifier: MIT
 *
 * What the tests of tables, queries and views share: a table like `calls`, cells, a clock that stands still.
 */
#ifndef CALLWATCH_TESTS_TABLE_FIXTURE_H
#define CALLWATCH_TESTS_TABLE_FIXTURE_H

#include "clock.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const healths[] = {"healthy", "warning", "stale", NULL};

static const struct cw_column columns[] = {
	{.name = "id", .type = CW_TEXT, .flags = CW_COLUMN_KEY, .unit = "", .help = "key"},
	{.name = "business", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .unit = "", .help = "repeats"},
	{.name = "phone", .type = CW_TEXT, .flags = CW_COLUMN_PHONE, .unit = "", .help = "number"},
	{.name = "age", .type = CW_AGE, .unit = "seconds", .help = "age"},
	{.name = "health", .type = CW_CHOICE, .flags = CW_COLUMN_WATCHED, .choices = healths, .unit = "", .help = "h"},
	{.name = "since", .type = CW_SINCE, .of = "health", .unit = "", .help = "since"},
	{.name = "real", .type = CW_REAL, .unit = "", .help = "real"},
	{.name = "due", .type = CW_UNTIL, .unit = "seconds", .help = "until"},
	{.name = "note", .type = CW_TEXT, .unit = "", .help = "free text"},
	{.name = "raw", .type = CW_TEXT, .flags = CW_COLUMN_WIDE, .unit = "", .help = "wide"},
};
enum { ID, BUSINESS, PHONE, AGE, HEALTH, SINCE, REAL, DUE, NOTE, RAW, COLUMNS };

static const struct cw_table_decl calls = {
	.name = "calls", .help = "calls", .columns = CW_ARRAY(columns), .sort = "-age"};

static int64_t wall_time = 1000;
static int64_t now_time = 5000 * CW_SECOND;
static inline int64_t fake_wall(void)
{
	return wall_time;
}
static inline int64_t fake_now(void)
{
	return now_time;
}
static const struct clock_source fake_clock = {.now = fake_now, .wall = fake_wall, .awake = fake_now};

static inline struct cw_cell text(const char *string)
{
	if (!string)
		return (struct cw_cell){0};
	return (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)strlen(string), .text = string};
}

static inline struct cw_cell integer(int64_t value)
{
	return (struct cw_cell){.type = CW_CELL_INTEGER, .integer = value};
}

static inline int64_t put(struct cw_part *part, const char *id, const char *business, int64_t health, const char *note)
{
	/* Room for one extra column: row_put() reads a cell for each column of the part. */
	struct cw_cell cells[COLUMNS + 1] = {[ID] = text(id), [BUSINESS] = text(business), [NOTE] = text(note)};
	if (health >= 0)
		cells[HEALTH] = integer(health);
	return row_put(part, cells);
}

static inline int touch(struct cw_part *part, int64_t row, uint32_t column, struct cw_cell cell)
{
	struct cw_change change = {.column = column, .cell = cell};
	return row_touch(part, (uint32_t)row, &change, 1);
}

static inline int64_t find(struct cw_part *part, const char *id)
{
	return row_find(part, id, strlen(id));
}

/* Pseudo-random, reproducible by its seed. */
static uint64_t random_state = 1;
static inline uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

#endif
