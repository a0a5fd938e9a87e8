/* SPDX-License-Identifier: MIT
 *
 * See log.h. Whoever logs renders the line and puts it into a ring of 4096; one thread writes the ring to stderr. So
 * a stderr that nobody reads blocks that thread only: the ring fills, further lines are counted as lost, and the count
 * is the first thing said when writing works again.
 *
 * Why a thread and not O_NONBLOCK: the flag belongs to the open file description, which is the shell's and our
 * siblings' too; re-opening /proc/self/fd/2 fails for sockets (journald's) and for files of another user.
 *
 * Before log_open() and after log_close() there is no thread: a line is written at once if stderr takes it.
 */
#include "log.h"

#include "clock.h"
#include "log_fold.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RING_LINES = 4096, MESSAGE_MAX = 1536, VISIBLE_MAX = 3072, LINE_MAX_BYTES = 8192 };

static const int64_t close_patience =
	400 * CW_MILLISECOND; /* how long log_close() waits for a stderr that does not take it */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake, ended_wake;
	char *ring[RING_LINES];
	unsigned first, length;
	struct log_fold fold;
	bool running, closing, ended;
	uint64_t lost, lost_told;
	pthread_t thread;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Set by log_open() before any thread logs, and by tests. */
static _Atomic int log_format = LOG_TEXT, log_least = CW_INFO;
static _Atomic bool to_journal;

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static const char level_priorities[] = {'7', '6', '4', '3'};

/* stderr is the journal if it is the very stream that systemd says it made for us. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	unsigned long long device, inode;
	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &status) < 0)
		return false;
	return status.st_dev == device && status.st_ino == inode;
}

/* "message" as a quoted string, for logfmt and JSON. */
static void quote(char *buffer, size_t size, const char *text)
{
	text_json(buffer, size, text, strlen(text));
}

static char *render(const char *who, enum cw_level level, const char *message)
{
	char time[TEXT_TIME_SIZE], quoted[LINE_MAX_BYTES - 512], name[256];
	text_time(time, clock_wall());
	char *line = NULL;
	int length = -1;
	switch (atomic_load_explicit(&log_format, memory_order_relaxed)) {
	case LOG_TEXT:
		if (atomic_load_explicit(&to_journal, memory_order_relaxed))
			length = asprintf(&line, "<%c>%s%s%s%s\n", level_priorities[level], who ? "[" : "",
					  who ? who : "", who ? "] " : "", message);
		else
			length = asprintf(&line, "%s %s %s%s%s%s\n", time, level_names[level], who ? "[" : "",
					  who ? who : "", who ? "] " : "", message);
		break;
	case LOG_LOGFMT:
		quote(quoted, sizeof(quoted), message);
		quote(name, sizeof(name), who ? who : "agent");
		length = asprintf(&line, "time=%s level=%s instance=%s msg=%s\n", time, level_names[level], name,
				  quoted);
		break;
	case LOG_JSON:
		quote(quoted, sizeof(quoted), message);
		quote(name, sizeof(name), who ? who : "agent");
		length = asprintf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"instance\":%s,\"message\":%s}\n", time,
				  level_names[level], name, quoted);
		break;
	}
	return length < 0 ? NULL : line;
}

/* Waits where stderr is full, unless `patience_ms` (-1: for ever) is over. False: the line is lost. */
static bool write_line(const char *line, int patience_ms)
{
	size_t length = strlen(line);
	while (length) {
		struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
		if (poll(&ready, 1, patience_ms) == 0)
			return false;
		ssize_t written = write(STDERR_FILENO, line, length);
		if (written < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (written > 0) {
			line += written;
			length -= (size_t)written;
		}
	}
	return true;
}

/* Must hold the lock. Takes the line over; NULL: there was no memory for it. */
static void push(char *line)
{
	if (!line || logger.length == RING_LINES) {
		logger.lost++;
		free(line);
		return;
	}
	logger.ring[(logger.first + logger.length++) % RING_LINES] = line;
	pthread_cond_signal(&logger.wake);
}

/* Must hold the lock. */
static void push_burst(struct folded *burst)
{
	char *text = NULL;
	if (burst->repeats &&
	    asprintf(&text, "%s (repeated %llu times)", burst->message, (unsigned long long)burst->repeats) >= 0) {
		push(render(burst->who, burst->level, text));
		free(text);
	}
	folded_release(burst);
}

/* Must hold the lock. */
static void push_ended(int64_t now)
{
	struct folded burst;
	while (log_fold_ended(&logger.fold, now, &burst))
		push_burst(&burst);
}

/* Must hold the lock; lets go of it meanwhile. */
static void wait_for_work(void)
{
	int64_t next = log_fold_next(&logger.fold);
	if (next == INT64_MAX) {
		pthread_cond_wait(&logger.wake, &logger.lock);
		return;
	}
	struct timespec until = clock_deadline(next - clock_now() + CW_MILLISECOND);
	pthread_cond_timedwait(&logger.wake, &logger.lock, &until);
}

/* Must hold the lock. What was lost is said before the next line that can be written. */
static char *lost_notice(uint64_t lost)
{
	char text[96];
	snprintf(text, sizeof(text), "%llu log lines were lost: stderr did not take them",
		 (unsigned long long)(lost - logger.lost_told));
	return render(/* agent */ NULL, CW_WARNING, text);
}

/* Must hold the lock; lets go of it while writing. */
static void write_first(void)
{
	char *line = logger.ring[logger.first];
	logger.first = (logger.first + 1) % RING_LINES;
	logger.length--;
	uint64_t lost = logger.lost;
	char *notice = lost > logger.lost_told ? lost_notice(lost) : NULL;
	pthread_mutex_unlock(&logger.lock);
	bool told = notice && write_line(notice, /* patience */ -1);
	bool written = (!notice || told) && write_line(line, /* patience */ -1);
	free(notice);
	free(line);
	pthread_mutex_lock(&logger.lock);
	if (told)
		logger.lost_told = lost;
	if (!written)
		logger.lost++;
}

static void *run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&logger.lock);
	while (logger.length || !logger.closing) {
		push_ended(clock_now());
		if (logger.length)
			write_first();
		else if (!logger.closing)
			wait_for_work();
	}
	logger.ended = true;
	pthread_cond_signal(&logger.ended_wake);
	pthread_mutex_unlock(&logger.lock);
	return NULL;
}

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

void log_open(enum log_format format, enum cw_level least)
{
	atomic_store(&log_format, (int)format);
	atomic_store(&log_least, (int)least);
	atomic_store(&to_journal, stderr_is_journal());
	pthread_mutex_lock(&logger.lock);
	if (!logger.running && !logger.closing) {
		init_condition(&logger.wake);
		init_condition(&logger.ended_wake);
		logger.ended = false;
		logger.running = pthread_create(&logger.thread, /* attributes */ NULL, run, NULL) == 0;
	}
	pthread_mutex_unlock(&logger.lock);
}

/* Must hold the lock. False: the thread still hangs in write() after our patience. */
static bool wait_until_ended(void)
{
	struct timespec until = clock_deadline(close_patience);
	int status = 0;
	while (!logger.ended && status == 0)
		status = pthread_cond_timedwait(&logger.ended_wake, &logger.lock, &until);
	return logger.ended;
}

/* After a stderr that did not take everything in time the logger stays closed: its thread may wake up any time. */
void log_close(void)
{
	pthread_mutex_lock(&logger.lock);
	if (!logger.running) {
		pthread_mutex_unlock(&logger.lock);
		return;
	}
	push_ended(INT64_MAX);
	logger.running = false;
	logger.closing = true;
	pthread_cond_signal(&logger.wake);
	bool ended = wait_until_ended();
	if (ended)
		logger.closing = false;
	pthread_mutex_unlock(&logger.lock);
	if (ended)
		pthread_join(logger.thread, NULL);
	else
		pthread_detach(logger.thread);
}

/* Must hold the lock. Without the thread: at once or never. */
static void write_directly(char *line)
{
	if (!line || logger.closing || !write_line(line, /* patience */ 0))
		logger.lost++;
	free(line);
}

static void add_line(const char *who, enum cw_level level, bool folds, const char *format, va_list args)
	CW_PRINTF(4, 0);
static void add_line(const char *who, enum cw_level level, bool folds, const char *format, va_list args)
{
	if ((int)level < atomic_load_explicit(&log_least, memory_order_relaxed))
		return;
	char message[MESSAGE_MAX], visible[VISIBLE_MAX];
	int length = vsnprintf(message, sizeof(message), format, args);
	if (length < 0)
		return;
	bool cut = (size_t)length >= sizeof(message);
	size_t kept = cut ? sizeof(message) - 1 : (size_t)length;
	size_t end = text_visible(visible, sizeof(visible) - 4, message, kept);
	if (cut)
		memcpy(visible + end, "…", sizeof("…"));

	pthread_mutex_lock(&logger.lock);
	struct folded early = {0};
	if (!logger.running)
		write_directly(render(who, level, visible));
	else if (!folds)
		push(render(who, level, visible));
	else if (!log_fold_seen(&logger.fold, who, level, visible, clock_now(), &early)) {
		push_burst(&early);
		push(render(who, level, visible));
	}
	pthread_mutex_unlock(&logger.lock);
}

void log_vline(const char *who, enum cw_level level, const char *format, va_list args)
{
	add_line(who, level, /* folds */ true, format, args);
}

void log_line(const char *who, enum cw_level level, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_line(who, level, /* folds */ true, format, args);
	va_end(args);
}

void log_change(const char *who, enum cw_level level, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_line(who, level, /* folds */ false, format, args);
	va_end(args);
}

uint64_t log_lost(void)
{
	pthread_mutex_lock(&logger.lock);
	uint64_t lost = logger.lost;
	pthread_mutex_unlock(&logger.lock);
	return lost;
}
