/* SPDX-License-Identifier: MIT
 *
 * What the core's tables cost at a million calls, without any source: bytes a row, rows put and touched a second, two
 * long queries, and how long a writer had to wait while they ran.
 *
 *     bench_tables [ROWS]        one `name value unit` per line
 */
#include "clock.h"
#include "table.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const healths[] = {"healthy", "warning", "stale", NULL};
static const struct cw_column columns[] = {
	{.name = "call_sid", .type = CW_TEXT, .flags = CW_COLUMN_KEY},
	{.name = "business_id", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS},
	{.name = "from_phone", .type = CW_TEXT, .flags = CW_COLUMN_PHONE},
	{.name = "to_phone", .type = CW_TEXT, .flags = CW_COLUMN_PHONE | CW_COLUMN_REPEATS},
	{.name = "start_time", .type = CW_TIME},
	{.name = "duration_seconds", .type = CW_AGE},
	{.name = "last_heartbeat", .type = CW_TIME},
	{.name = "heartbeat_age_seconds", .type = CW_AGE},
	{.name = "health_status", .type = CW_CHOICE, .flags = CW_COLUMN_WATCHED, .choices = healths},
	{.name = "health_since", .type = CW_SINCE, .of = "health_status"},
	{.name = "health_reason", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS},
	{.name = "call_log_id", .type = CW_TEXT},
	{.name = "worker", .type = CW_TEXT, .flags = CW_COLUMN_REPEATS},
};
enum { SID, BUSINESS, FROM, TO, START, DURATION, BEAT, BEAT_AGE, HEALTH, SINCE, REASON, LOG, WORKER, COLUMNS };
static const struct cw_table_decl calls = {.name = "calls", .help = "calls", .columns = CW_ARRAY(columns)};

static uint64_t random_state = 1;
static uint64_t draw(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 17;
}

static long resident_bytes(void)
{
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");
	if (!statm || fscanf(statm, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(statm);
	return pages * sysconf(_SC_PAGESIZE);
}

static struct cw_cell text(char *buffer, int length)
{
	return (struct cw_cell){.type = CW_CELL_TEXT, .length = (uint32_t)length, .text = buffer};
}

static struct cw_cell integer(int64_t value)
{
	return (struct cw_cell){.type = CW_CELL_INTEGER, .integer = value};
}

static int sid(char buffer[40], uint64_t number)
{
	return snprintf(buffer, 40, "CA%032" PRIx64, number * 0x9e3779b97f4a7c15u);
}

static void put(struct cw_part *part, uint64_t i)
{
	char key[40], business[40], from[16], to[16], log[40], worker[16];
	uint64_t r = draw();
	int64_t now = clock_now();
	struct cw_cell cells[COLUMNS] = {
		[SID] = text(key, sid(key, i)),
		[BUSINESS] =
			text(business, snprintf(business, 40, "%08" PRIx64 "-1111-2222-3333-444444444444", r % 2000)),
		[FROM] = text(from, snprintf(from, 16, "+1%010" PRIu64, r % 10000000000)),
		[TO] = text(to, snprintf(to, 16, "+1%010" PRIu64, r % 5000)),
		[START] = integer(clock_wall()),
		[DURATION] = integer(now - (int64_t)(r % 3600) * CW_SECOND - (int64_t)(r % 999983)),
		[BEAT] = integer(clock_wall()),
		[BEAT_AGE] = integer(now),
		[HEALTH] = integer(0),
		[REASON] = text(worker, 0),
		[LOG] = text(log,
			     snprintf(log, 40, "%08x-aaaa-bbbb-cccc-%012" PRIx64, (unsigned)i, r & 0xffffffffffff)),
		[WORKER] = text(worker, snprintf(worker, 16, "worker-%03" PRIu64, r % 200))};
	cells[REASON].type = CW_CELL_NULL;
	if (row_put(part, cells) < 0)
		exit(1);
}

static void touch(struct cw_part *part, uint64_t i)
{
	char key[40];
	int64_t row = row_find(part, key, (size_t)sid(key, i));
	struct cw_change changes[2] = {{BEAT, integer(clock_wall())}, {BEAT_AGE, integer(clock_now())}};
	if (row < 0 || row_touch(part, (uint32_t)row, changes, 2) < 0)
		exit(1);
}

/* What touch() costs without the table. */
static volatile int64_t made;
static void make_change(uint64_t i)
{
	char key[40];
	made = sid(key, i) + clock_wall() + clock_now();
}

static double since(int64_t begun)
{
	return (double)(clock_awake() - begun) / 1e9;
}

/* ---- a writer that measures how long it waits ---- */

struct writer {
	struct cw_part *part;
	uint64_t rows, done;
	atomic_bool stop;
	int64_t longest;
	uint64_t over_1ms;
};

/* A wait is told from being scheduled away by the thread's own clock: what it did not spend running it spent waiting,
 * for the lock or for a processor; both are counted, so that the figure is an upper bound. */
static void *write_on(void *arg)
{
	struct writer *writer = arg;
	for (uint64_t n = 0; !atomic_load(&writer->stop); n++) {
		int64_t begun = clock_awake();
		if (n % 10 == 0)
			put(writer->part, n * 7919 % writer->rows);
		else
			touch(writer->part, n * 104729 % writer->rows);
		int64_t took = clock_awake() - begun;
		writer->longest = took > writer->longest ? took : writer->longest;
		writer->over_1ms += took > CW_MILLISECOND;
		writer->done++;
		if (n % 64 == 0)
			usleep(200); /* a source is not a busy loop */
	}
	return NULL;
}

static int count(void *arg, const struct cw_cell *cells, uint32_t n)
{
	(void)cells, (void)n;
	++*(uint64_t *)arg;
	return 0;
}

static void query(struct tables *tables, struct cw_part *part, uint64_t rows, const char *name,
		  const struct cw_query_spec *spec)
{
	struct writer writer = {.part = part, .rows = rows};
	for (int with_writer = 0; with_writer < 2; with_writer++) {
		pthread_t thread;
		struct cw_query *query;
		struct cw_query_info info;
		char error[CW_QUERY_ERROR_MAX];
		uint64_t given = 0;
		int64_t longest_step = 0;
		if (with_writer && pthread_create(&thread, NULL, write_on, &writer) != 0)
			exit(1);
		int64_t begun = clock_awake();
		if (query_open(tables, spec, false, &query, error) < 0) {
			fprintf(stderr, "%s\n", error);
			exit(1);
		}
		for (int status = CW_LATER; status == CW_LATER;) {
			int64_t step = clock_awake();
			status = query_step(query, CW_MILLISECOND, count, &given);
			step = clock_awake() - step;
			longest_step = step > longest_step ? step : longest_step;
		}
		double took = since(begun);
		query_info(query, &info);
		query_close(query);
		printf("%s%s %.0f ms\n", name, with_writer ? "_beside_a_writer" : "", took * 1e3);
		printf("%s%s_longest_step %.2f ms\n", name, with_writer ? "_beside_a_writer" : "",
		       (double)longest_step / 1e6);
		if (!with_writer)
			continue;
		atomic_store(&writer.stop, true);
		pthread_join(thread, NULL);
		printf("%s_writer_longest_wait %.2f ms\n", name, (double)writer.longest / 1e6);
		printf("%s_writer_over_1ms %" PRIu64 " of %" PRIu64 "\n", name, writer.over_1ms, writer.done);
	}
	fflush(stdout);
}

/* What such a writer sees of the machine alone, beside a thread that only uses a processor. */
static void control(struct cw_part *part, uint64_t rows)
{
	struct writer writer = {.part = part, .rows = rows};
	pthread_t thread;
	if (pthread_create(&thread, NULL, write_on, &writer) != 0)
		exit(1);
	for (int64_t end = clock_awake() + CW_SECOND; clock_awake() < end;)
		;
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	printf("no_query_writer_longest_wait %.2f ms\n", (double)writer.longest / 1e6);
	printf("no_query_writer_over_1ms %" PRIu64 " of %" PRIu64 "\n", writer.over_1ms, writer.done);
}

int main(int argc, char **argv)
{
	uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct tables *tables = tables_new(NULL, NULL);
	struct cw_part *part;
	if (table_open(tables, "calls", &calls, NULL, &part) < 0)
		return 1;
	long before = resident_bytes();
	int64_t begun = clock_awake(), longest = 0;
	for (uint64_t i = 0; i < rows; i++) {
		int64_t one = clock_awake();
		put(part, i);
		one = clock_awake() - one;
		longest = one > longest ? one : longest;
	}
	double took = since(begun);
	printf("bytes_a_row %.1f bytes\n", (double)(resident_bytes() - before) / (double)rows);
	printf("put %.0f a second\n", (double)rows / took);
	printf("put_longest %.2f ms\n", (double)longest / 1e6);
	begun = clock_awake();
	for (uint64_t i = 0; i < rows; i++)
		touch(part, i * 104729 % rows);
	double touched = since(begun);
	begun = clock_awake();
	for (uint64_t i = 0; i < rows; i++)
		make_change(i * 104729 % rows);
	printf("find_and_touch %.0f ns\n", (touched - since(begun)) * 1e9 / (double)rows);
	begun = clock_awake();
	full_begin(part);
	for (uint64_t i = 0; i < rows; i++)
		row_mark(part, (uint32_t)i);
	full_end(part, NULL, NULL);
	printf("full_generation %.0f ms\n", since(begun) * 1e3);
	control(part, rows);
	fflush(stdout);
	const char *substring[] = {"call_log_id~fffff"};
	const char *pattern[] = {"call_log_id=~f{5}"};
	query(tables, part, rows, "first_50_by_duration",
	      &(struct cw_query_spec){.table = "calls", .sort = "-duration_seconds", .limit = 50});
	query(tables, part, rows, "substring",
	      &(struct cw_query_spec){.table = "calls", .where = substring, .where_count = 1});
	query(tables, part, rows, "pattern",
	      &(struct cw_query_spec){.table = "calls", .where = pattern, .where_count = 1});
	query(tables, part, rows, "all_sorted", &(struct cw_query_spec){.table = "calls", .sort = "-duration_seconds"});
	begun = clock_awake();
	tables_forget(tables, "calls");
	printf("forget %.0f ms\n", since(begun) * 1e3);
	tables_free(tables);
	return 0;
}
