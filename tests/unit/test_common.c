/* SPDX-License-Identifier: MIT
 *
 * What the subjects of an incident share: a case as people tell it, the limits, and random tables held against a count
 * that is made in another way.
 */
#include "table_fixture.h"

#include "common.h"
#include "rule.h"

enum { WORKERS = 5, RANDOM_ROWS = 400 };

static const char *const where[] = {"health=stale"}, *const by[] = {"worker", "business"};
static const struct rule stale = {
	.name = "call-stale", .kind = RULE_ROWS, .table = "calls", .where = {where, 1}, .summarize_by = {by, 2}};

static const struct cw_column extra[] = {
	{.name = "worker", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .unit = "", .help = "w"},
	{.name = "line", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .unit = "", .help = "l"},
	{.name = "health_reason", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS, .unit = "", .help = "r"},
	{.name = "lost_text", .type = CW_TEXT, .unit = "", .help = "does not repeat"}};
static const struct cw_array extras = CW_ARRAY(extra);

struct call {
	const char *business, *worker, *line;
	int health;
};

static struct tables *tables_of(struct cw_part **ret_part, const char *instance)
{
	struct tables *tables = tables_new(NULL, NULL);
	assert_int_equal(table_open(tables, instance, &calls, &extras, ret_part), 0);
	return tables;
}

static void put_call(struct cw_part *part, int number, const struct call *place)
{
	char id[16], phone[32];
	struct cw_cell cells[COLUMNS + 4] = {{0}};
	snprintf(id, sizeof id, "CA%d", number);
	snprintf(phone, sizeof phone, "+1415555%04d", number);
	cells[ID] = text(id);
	cells[BUSINESS] = text(place->business);
	cells[PHONE] = text(phone);
	cells[HEALTH] = integer(place->health);
	cells[COLUMNS] = text(place->worker);
	cells[COLUMNS + 1] = text(place->line);
	/* what all subjects share, and is not said */
	cells[COLUMNS + 2] = cells[COLUMNS + 3] = text(place->health == 2 ? "silent" : "fine");
	assert_true(row_put(part, cells) >= 0);
}

/* An alert of that row, in front of a list. */
static struct alert *alert_of(int number, const struct call *place, const char *instance, struct alert *next)
{
	char id[16];
	snprintf(id, sizeof id, "CA%d", number);
	struct alert *alert = alert_new("call-stale", instance, id, instance);
	struct cw_fact facts[] = {{"id", id},
				  {"business", place->business},
				  {"phone", "+1••••••0132"},
				  {"health", "stale"},
				  {"line", place->line},
				  {"health_reason", "silent"},
				  {"lost_text", "silent"},
				  {"worker", place->worker}},
		       known[8];
	uint32_t count = 0;
	for (uint32_t i = 0; i < 8; i++)
		if (facts[i].text)
			known[count++] = facts[i];
	alert_set_words(alert, id, NULL, known, count);
	alert->rule = &stale;
	alert->state = ALERT_FIRING;
	alert->next_in_group = next;
	return alert;
}

static void free_alerts(struct alert *alert)
{
	for (struct alert *next; alert; alert = next) {
		next = alert->next_in_group;
		alert_free(alert);
	}
}

static void common__of_a_worker_that_died__names_it(void **state)
{
	(void)state;
	static const char *const businesses[] = {"Rosa", "Otto", "Ada"};
	struct cw_part *part;
	struct tables *tables = tables_of(&part, "calls");
	struct alert *alerts = NULL;
	char found[COMMON_TEXT_MAX], worker[16];
	uint64_t rows;
	for (int i = 0; i < 100; i++) {
		snprintf(worker, sizeof worker, "ai-%d", i % 10);
		struct call place = {businesses[i % 3], worker, "x", i % 10 == 7 ? 2 : 0};
		put_call(part, i, &place);
		if (place.health == 2)
			alerts = alert_of(i, &place, "calls", alerts);
	}
	common_find(tables, &stale, alerts, found, &rows);
	assert_int_equal(rows, 100);
	assert_string_equal(found, "worker=ai-7: 10 of 10; 3 different business");
	/* two that share the worker are well: it is not all of them */
	for (int i = 200; i < 202; i++)
		put_call(part, i, &(struct call){"Rosa", "ai-7", "x", 0});
	common_find(tables, &stale, alerts, found, &rows);
	assert_string_equal(found, "worker=ai-7: 10 of 12; 3 different business");
	/* what is muted or has ended is none */
	alerts->silenced_by = strdup("s");
	alerts->next_in_group->state = ALERT_RESOLVED;
	common_find(tables, &stale, alerts, found, &rows);
	assert_string_equal(found, "worker=ai-7: 8 of 12; 3 different business");
	free_alerts(alerts);
	tables_free(tables);
}

static void common__of_few_or_of_all__is_nothing(void **state)
{
	(void)state;
	struct cw_part *part;
	struct tables *tables = tables_of(&part, "calls");
	struct alert *alerts = NULL;
	char found[COMMON_TEXT_MAX];
	uint64_t rows;
	struct call sick = {"Rosa", "ai-1", "x", 2}, well = {"Otto", "ai-2", "x", 0};
	for (int i = 0; i < 2; i++) {
		put_call(part, i, &sick);
		alerts = alert_of(i, &sick, "calls", alerts);
	}
	for (int i = 10; i < 20; i++)
		put_call(part, i, &well);
	common_find(tables, &stale, alerts, found, &rows);
	assert_string_equal(found, ""); /* two are few */
	assert_int_equal(rows, 12);
	for (int i = 2; i < 4; i++) {
		put_call(part, i, &sick);
		alerts = alert_of(i, &sick, "calls", alerts);
	}
	common_find(tables, &stale, alerts, found, &rows);
	assert_string_equal(found, "business=Rosa: 4 of 4; worker=ai-1: 4 of 4");
	for (int i = 10; i < 20; i++)
		put_call(part, i, &sick); /* now all rows are alike */
	common_find(tables, &stale, alerts, found, &rows);
	assert_string_equal(found, "");
	common_find(tables, &stale, NULL, found, &rows);
	assert_string_equal(found, "");
	assert_int_equal(rows, 14);
	/* a table that is not there */
	struct rule other = stale;
	other.table = "nothing";
	common_find(tables, &other, alerts, found, &rows);
	assert_int_equal(rows, 0);
	free_alerts(alerts);
	tables_free(tables);
}

static void common__at_the_limits__is_told(void **state)
{
	(void)state;
	/* of ten subjects `having` are Rosa's, and of `rows` rows `of` */
	static const struct {
		int having, of, rows;
		const char *found;
	} cases[] = {
		{8, 8, 15, "business=Rosa: 8 of 8; 2 different business"},
		{7, 7, 15, "2 different business"},
		{10, 20, 30, "business=Rosa: 10 of 20"},
		{10, 21, 30, ""},
	};
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct cw_part *part;
		struct tables *tables = tables_of(&part, "calls");
		struct alert *alerts = NULL;
		char found[COMMON_TEXT_MAX];
		uint64_t rows;
		for (int i = 0; i < cases[c].rows; i++) {
			bool rosas = i < 10 ? i < cases[c].having : i < 10 + cases[c].of - cases[c].having;
			struct call call = {rosas ? "Rosa" : "Otto", NULL, NULL, i < 10 ? 2 : 0};
			put_call(part, i, &call);
			if (i < 10)
				alerts = alert_of(i, &call, "calls", alerts);
		}
		common_find(tables, &stale, alerts, found, &rows);
		assert_string_equal(found, cases[c].found);
		free_alerts(alerts);
		tables_free(tables);
	}
}

static void common__of_one_of_two_instances__names_it(void **state)
{
	(void)state;
	struct cw_part *part, *other;
	struct tables *tables = tables_of(&part, "east");
	struct alert *alerts = NULL;
	char found[COMMON_TEXT_MAX];
	uint64_t rows;
	assert_int_equal(table_open(tables, "west", &calls, &extras, &other), 0);
	for (int i = 0; i < 40; i++) {
		struct call place = {"Rosa", i % 2 ? "a" : "b", NULL, i < 10 ? 2 : 0};
		put_call(i % 10 < 5 ? part : other, i, &place);
		if (i < 5)
			alerts = alert_of(i, &place, "east", alerts);
	}
	common_find(tables, &stale, alerts, found, &rows);
	assert_int_equal(rows, 40);
	assert_string_equal(found, "instance=east: 5 of 20; 2 different worker");
	free_alerts(alerts);
	tables_free(tables);
}

/* ---- the same by another way ---- */

static const char *word(const char *prefix, int n, char text[16])
{
	snprintf(text, 16, "%s%d", prefix, n);
	return text;
}

struct expected {
	char text[64];
	double lift;
	int subjects;
	const char *column;
};

static int by_lift(const void *a, const void *b)
{
	const struct expected *one = a, *other = b;
	if (fabs(one->lift - other->lift) > 0)
		return one->lift > other->lift ? -1 : 1;
	if (one->subjects != other->subjects)
		return other->subjects - one->subjects;
	return strcmp(one->column, other->column);
}

/* Counts each value of a column of small numbers in an array; -1 is not known. */
static void expect_column(const int *values, const bool *sick, int rows, const char *column, const char *prefix,
			  struct expected *all, int *count)
{
	int among_rows[16] = {0}, among_sick[16] = {0}, subjects = 0;
	for (int i = 0; i < rows; i++) {
		subjects += sick[i];
		if (values[i] < 0)
			continue;
		among_rows[values[i]]++;
		among_sick[values[i]] += sick[i];
	}
	for (int v = 0; v < 16; v++) {
		if (among_sick[v] * 5 < subjects * 4 || among_sick[v] == 0)
			continue;
		double lift = (double)among_sick[v] / subjects * rows / among_rows[v];
		if (lift < 1.5)
			continue;
		struct expected *one = &all[(*count)++];
		snprintf(one->text, sizeof one->text, "%s=%s%d: %d of %d", column, prefix, v, among_sick[v],
			 among_rows[v]);
		one->lift = lift;
		one->subjects = among_sick[v];
		one->column = column;
	}
}

static int different(const int *values, const bool *sick, int rows)
{
	unsigned int seen = 0;
	for (int i = 0; i < rows; i++)
		if (sick[i] && values[i] >= 0)
			seen |= 1U << values[i];
	return __builtin_popcount(seen);
}

static void expect(const int *business, const int *worker, const int *line, const bool *sick, int rows,
		   char expected[COMMON_TEXT_MAX])
{
	struct expected all[8];
	int count = 0, subjects = 0;
	char more[64];
	expected[0] = '\0';
	for (int i = 0; i < rows; i++)
		subjects += sick[i];
	if (subjects < 3)
		return;
	expect_column(business, sick, rows, "business", "b", all, &count);
	expect_column(worker, sick, rows, "worker", "w", all, &count);
	expect_column(line, sick, rows, "line", "n", all, &count);
	qsort(all, (size_t)count, sizeof all[0], by_lift);
	for (int i = 0; i < count && i < 3; i++)
		strcat(strcat(expected, *expected ? "; " : ""), all[i].text);
	const int *counted[] = {worker, business};
	for (int c = 0; c < 2; c++) {
		int n = different(counted[c], sick, rows);
		if (n < 2)
			continue;
		snprintf(more, sizeof more, "%s%d different %s", *expected ? "; " : "", n, by[c]);
		strcat(expected, more);
	}
}

static void common__of_any_table__is_as_counted(void **state)
{
	(void)state;
	static int business[RANDOM_ROWS], worker[RANDOM_ROWS], line[RANDOM_ROWS];
	static bool sick[RANDOM_ROWS];
	int told = 0;
	srand(11);
	for (int round = 0; round < 300; round++) {
		struct cw_part *part;
		struct tables *tables = tables_of(&part, "calls");
		struct alert *alerts = NULL;
		int rows = rand() % RANDOM_ROWS + 1, culprit = rand() % WORKERS, noise = rand() % 30;
		for (int i = 0; i < rows; i++) {
			char b[16], w[16], n[16];
			worker[i] = rand() % 50 == 0 ? -1 : rand() % WORKERS;
			business[i] = rand() % (rand() % 3 ? 3 : 12);
			line[i] = rand() % 4 ? 0 : rand() % 3;
			sick[i] = worker[i] == culprit ? rand() % 100 >= noise : rand() % 100 < noise / 4;
			struct call place = {word("b", business[i], b), worker[i] < 0 ? NULL : word("w", worker[i], w),
					     word("n", line[i], n), sick[i] ? 2 : rand() % 2};
			put_call(part, i, &place);
			if (sick[i])
				alerts = alert_of(i, &place, "calls", alerts);
		}
		char found[COMMON_TEXT_MAX], expected[COMMON_TEXT_MAX];
		uint64_t found_rows;
		common_find(tables, &stale, alerts, found, &found_rows);
		expect(business, worker, line, sick, rows, expected);
		assert_int_equal(found_rows, rows);
		assert_string_equal(found, expected);
		told += strchr(found, '=') != NULL;
		free_alerts(alerts);
		tables_free(tables);
	}
	assert_in_range(told, 100, 300); /* the cases are not all empty */
}

/* A table that takes longer than may be spent: what was seen counts, and that is said. */
static int64_t slow_now(void)
{
	static int64_t now;
	return now += 5 * CW_MILLISECOND;
}

static void common__of_a_table_too_large_to_walk__says_what_was_seen(void **state)
{
	(void)state;
	static const struct clock_source slow = {.now = slow_now, .wall = fake_wall, .awake = slow_now};
	struct cw_part *part;
	struct tables *tables = tables_of(&part, "calls");
	struct alert *alerts = NULL;
	char found[COMMON_TEXT_MAX];
	uint64_t rows;
	for (int i = 0; i < 5000; i++) {
		struct call place = {"Rosa", i % 10 == 7 ? "ai-7" : "ai-1", "x", i % 10 == 7 ? 2 : 0};
		put_call(part, i, &place);
		if (place.health == 2)
			alerts = alert_of(i, &place, "calls", alerts);
	}
	clock_set_source(&slow);
	common_find(tables, &stale, alerts, found, &rows);
	clock_set_source(NULL);
	assert_int_equal(rows, 5000);
	if (!strstr(found, "worker=ai-7: 500; ("))
		fail_msg("%s", found);
	assert_non_null(strstr(found, " of 5000 rows seen)"));
	free_alerts(alerts);
	tables_free(tables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(common__of_a_worker_that_died__names_it),
		cmocka_unit_test(common__of_few_or_of_all__is_nothing),
		cmocka_unit_test(common__at_the_limits__is_told),
		cmocka_unit_test(common__of_one_of_two_instances__names_it),
		cmocka_unit_test(common__of_any_table__is_as_counted),
		cmocka_unit_test(common__of_a_table_too_large_to_walk__says_what_was_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
