/* SPDX-License-Identifier: MIT
 *
 * The logger: its three forms, no raw control character, folding, and that a stderr nobody reads costs lines, never
 * time. Stderr is a pipe of ours during each test.
 */
#include "clock.h"
#include "log.h"
#include "log_fold.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int real_stderr, reader;
static char seen[1 << 20];

static void redirect(void)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
}

static void restore(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
}

/* What the log printed up to now; the caller has closed the log, so all is in the pipe. */
static const char *read_all(void)
{
	fcntl(reader, F_SETFL, O_NONBLOCK);
	size_t length = 0;
	ssize_t n;
	while ((n = read(reader, seen + length, sizeof(seen) - 1 - length)) > 0)
		length += (size_t)n;
	seen[length] = 0;
	return seen;
}

static int count(const char *text, const char *what)
{
	int n = 0;
	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

static void text__has_time_level_instance(void **state)
{
	(void)state;
	redirect();
	log_open(LOG_TEXT, CW_INFO);
	log_line("calls", CW_WARNING, "cannot reach %s, retrying in %d s", "redis", 20);
	log_line(NULL, CW_INFO, "started");
	log_line(NULL, CW_DEBUG, "not this");
	log_close();
	const char *text = read_all();
	restore();
	assert_non_null(strstr(text, "Z warning [calls] cannot reach redis, retrying in 20 s\n"));
	assert_non_null(strstr(text, "Z info started\n"));
	assert_null(strstr(text, "not this"));
	assert_int_equal(text[4], '-'); /* 2026-… */
}

static void hostile_bytes__are_shown_escaped_on_one_line(void **state)
{
	(void)state;
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		redirect();
		log_open((enum log_format)format, CW_INFO);
		log_line("calls", CW_INFO, "%s", "a\nb\x1b[2Jc\xff\xe2\x80\xae \"d\" \x7f");
		log_close();
		const char *text = read_all();
		restore();
		assert_int_equal(count(text, "\n"), 1);
		for (const char *c = text; *c; c++)
			assert_true((unsigned char)*c >= 0x20 || *c == '\n');
		assert_null(strstr(text, "\x7f"));
		assert_null(strstr(text, "\xff"));
		assert_null(strstr(text, "\xe2\x80\xae"));
	}
}

static void logfmt_and_json__quote(void **state)
{
	(void)state;
	redirect();
	log_open(LOG_LOGFMT, CW_INFO);
	log_line("calls", CW_ERROR, "it said \"no\"");
	log_close();
	log_open(LOG_JSON, CW_INFO);
	log_line("calls", CW_ERROR, "it said \"no\"");
	log_close();
	const char *text = read_all();
	restore();
	assert_non_null(strstr(text, " level=error instance=\"calls\" msg=\"it said \\\"no\\\"\"\n"));
	assert_non_null(
		strstr(text, "\"level\":\"error\",\"instance\":\"calls\",\"message\":\"it said \\\"no\\\"\"}\n"));
}

static void under_the_journal__lines_begin_with_their_priority(void **state)
{
	(void)state;
	redirect();
	struct stat status;
	fstat(STDERR_FILENO, &status);
	char stream[64];
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(LOG_TEXT, CW_INFO);
	log_line("calls", CW_ERROR, "gone");
	log_close();
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open(LOG_TEXT, CW_INFO);
	log_line("calls", CW_ERROR, "not the journal");
	log_close();
	unsetenv("JOURNAL_STREAM");
	const char *text = read_all();
	restore();
	assert_int_equal(strncmp(text, "<3>[calls] gone\n", 16), 0);
	assert_int_equal(text[16], '2');
}

static void repeats__are_said_once_with_their_number(void **state)
{
	(void)state;
	redirect();
	log_open(LOG_TEXT, CW_INFO);
	for (int i = 0; i < 58; i++) {
		log_line("calls", CW_WARNING, "refused");
		log_line("dlq", CW_WARNING, "refused");
	}
	log_close();
	const char *text = read_all();
	restore();
	assert_int_equal(count(text, "\n"), 4);
	assert_int_equal(count(text, "refused (repeated 57 times)\n"), 2);
}

static void changes__are_each_said(void **state)
{
	(void)state;
	redirect();
	log_open(LOG_TEXT, CW_INFO);
	for (int i = 0; i < 3; i++) {
		log_change("calls", CW_WARNING, "down");
		log_change("calls", CW_INFO, "up");
	}
	log_close();
	const char *text = read_all();
	restore();
	assert_int_equal(count(text, "down\n"), 3);
	assert_string_equal(text + strlen(text) - strlen("[calls] up\n"), "[calls] up\n");
}

static void fold__after_its_minute__begins_anew(void **state)
{
	(void)state;
	struct log_fold fold = {0};
	struct folded burst;
	assert_false(log_fold_seen(&fold, NULL, CW_INFO, "m", 0, &burst));
	assert_true(log_fold_seen(&fold, NULL, CW_INFO, "m", 59 * CW_SECOND, &burst));
	assert_false(log_fold_seen(&fold, NULL, CW_ERROR, "m", 59 * CW_SECOND, &burst));
	assert_int_equal(log_fold_next(&fold), 60 * CW_SECOND);
	assert_false(log_fold_ended(&fold, 60 * CW_SECOND - 1, &burst));
	assert_true(log_fold_ended(&fold, 60 * CW_SECOND, &burst));
	assert_int_equal(burst.repeats, 1);
	folded_release(&burst);
	assert_false(log_fold_seen(&fold, NULL, CW_INFO, "m", 61 * CW_SECOND, &burst));
	assert_true(log_fold_seen(&fold, NULL, CW_INFO, "m", 62 * CW_SECOND, &burst));
	assert_false(log_fold_seen(&fold, NULL, CW_INFO, "m", 121 * CW_SECOND, &burst)); /* nobody asked for it */
	assert_int_equal(burst.repeats, 1);
	folded_release(&burst);
	while (log_fold_ended(&fold, INT64_MAX, &burst))
		folded_release(&burst);
	assert_int_equal(log_fold_next(&fold), INT64_MAX);
}

static void fold__when_too_many_take_turns__reports_the_oldest_early(void **state)
{
	(void)state;
	struct log_fold fold = {0};
	struct folded burst;
	uint64_t printed = 0, repeats = 0;
	for (int i = 0; i < 10000; i++) {
		char message[16];
		snprintf(message, sizeof(message), "m%d", i * i % 199);
		printed += !log_fold_seen(&fold, "x", CW_INFO, message, i, &burst);
		repeats += burst.repeats;
		folded_release(&burst);
	}
	while (log_fold_ended(&fold, INT64_MAX, &burst)) {
		repeats += burst.repeats;
		folded_release(&burst);
	}
	assert_int_equal(printed + repeats, 10000);
}

/* The sum of what is told by "N log lines were lost", and how often it is. */
static uint64_t told_lost(const char *text, uint64_t *ret_notices)
{
	static const char words[] = " log lines were lost";
	uint64_t sum = 0;
	*ret_notices = 0;
	for (; (text = strstr(text, words)); text += strlen(words), ++*ret_notices) {
		const char *number = text;
		while (number > seen && number[-1] >= '0' && number[-1] <= '9')
			number--;
		sum += strtoull(number, NULL, 10);
	}
	return sum;
}

static void a_full_stderr__costs_lines_that_are_counted_and_told(void **state)
{
	(void)state;
	redirect();
	fcntl(reader, F_SETPIPE_SZ, 4096);
	uint64_t lost_before = log_lost();
	log_open(LOG_TEXT, CW_INFO);
	enum { LINES = 6000 };
	for (int i = 0; i < LINES; i++)
		log_line("calls", CW_INFO, "line %d", i); /* would hang here, were it to wait */
	uint64_t lost = log_lost() - lost_before;
	assert_true(lost > 0);

	/* every line is either printed or lost, and a loss is told before the next line */
	size_t length = 0;
	ssize_t n = 1;
	uint64_t lines = 0, notices = 0, told = 0;
	while (lines - notices < LINES - lost && n > 0) {
		n = read(reader, seen + length, sizeof(seen) - 1 - length);
		for (ssize_t i = 0; i < n; i++)
			lines += seen[length++] == '\n';
		seen[length] = 0;
		told = told_lost(seen, &notices);
	}
	log_close();
	restore();
	assert_int_equal(told, lost);
}

static void a_closed_stderr__harms_nobody(void **state)
{
	(void)state;
	redirect();
	close(reader);
	uint64_t lost = log_lost();
	log_open(LOG_TEXT, CW_INFO);
	log_line("calls", CW_INFO, "nobody reads this");
	log_close();
	reader = -1;
	restore();
	assert_int_equal(log_lost() - lost, 1);
}

static _Atomic int64_t turned_clock;
static _Atomic int asked_for_time;

static int64_t turned_now(void)
{
	atomic_fetch_add(&asked_for_time, 1);
	return atomic_load(&turned_clock);
}

static int64_t some_time(void)
{
	return CW_SECOND;
}

/* Less than a second before a burst's end the thread sleeps for that part of a second; it does not spin. */
static void thread__sleeps_until_the_end_of_a_burst(void **state)
{
	(void)state;
	static const struct clock_source turned = {.now = turned_now, .wall = some_time, .awake = some_time};
	redirect();
	clock_set_source(&turned);
	atomic_store(&turned_clock, 100 * CW_SECOND);
	log_open(LOG_TEXT, CW_INFO);
	log_line("calls", CW_INFO, "first");
	atomic_store(&turned_clock, 159 * CW_SECOND + CW_SECOND / 2);
	log_line("calls", CW_INFO, "second, wakes the thread");
	nanosleep(&(struct timespec){0, 100000000}, NULL); /* time to go wrong in: hundreds of thousands of rounds */
	int asked = atomic_load(&asked_for_time);
	log_close();
	clock_set_source(NULL);
	restore();
	assert_in_range(asked, 2, 50);
}

/* Last: the logger stays closed afterwards, its thread hangs in write(). */
static void close__with_a_full_stderr__gives_up(void **state)
{
	(void)state;
	redirect();
	fcntl(reader, F_SETPIPE_SZ, 4096);
	log_open(LOG_TEXT, CW_INFO);
	for (int i = 0; i < 1000; i++)
		log_line("calls", CW_INFO, "line %d", i);
	log_close();
	uint64_t lost = log_lost();
	log_line("calls", CW_INFO, "after the end");
	assert_int_equal(log_lost() - lost, 1);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO); /* lets the thread go */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text__has_time_level_instance),
		cmocka_unit_test(hostile_bytes__are_shown_escaped_on_one_line),
		cmocka_unit_test(logfmt_and_json__quote),
		cmocka_unit_test(under_the_journal__lines_begin_with_their_priority),
		cmocka_unit_test(repeats__are_said_once_with_their_number),
		cmocka_unit_test(changes__are_each_said),
		cmocka_unit_test(fold__after_its_minute__begins_anew),
		cmocka_unit_test(fold__when_too_many_take_turns__reports_the_oldest_early),
		cmocka_unit_test(a_full_stderr__costs_lines_that_are_counted_and_told),
		cmocka_unit_test(a_closed_stderr__harms_nobody),
		cmocka_unit_test(thread__sleeps_until_the_end_of_a_burst),
		cmocka_unit_test(close__with_a_full_stderr__gives_up),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
