/* SPDX-License-Identifier: MIT
 *
 * See journal.h. The loop comes round when mail is there: delivering it only puts the entries into the line of those
 * that wait, and after each round all of them are written at once (write_waiting). After any failure the file is
 * closed, and opened again when it is tried again: one way back, whatever went wrong.
 */
#include "journal.h"

#include "clock.h"
#include "journal_file.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <uv.h>

enum { ENTRIES_MAX = 100000, RETRY_MS = 5000, RETRY_UNREAD_MS = 1000, SAID_MAX = JOURNAL_WHY_MAX + 256 };
static const size_t usual_bytes_max = (size_t)32 * 1024 * 1024;

struct journal {
	struct journal_options options; /* its folder is owned */
	struct mailbox *box;
	const struct journal_kind *kind;
	_Atomic size_t bytes;  /* of all entries that were taken and are not written */
	_Atomic uint64_t lost; /* entries that were not taken, or could not be written at all */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards `ended` */
	pthread_cond_t changed;
	bool ended;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t retry;

	/* the thread's */
	struct sqlite3 *db; /* NULL: nothing can be written now */
	struct journal_entry *first, **last;
	bool stopping, pausing, in_trouble;
	bool suspect;  /* the file is looked through when it is opened */
	bool was_read; /* what an earlier life left was told */
	uint64_t lost_said;
};

/* ---- what is said ---- */

static void say(struct journal *journal, const char *format, ...) CW_PRINTF(2, 3);
static void say(struct journal *journal, const char *format, ...)
{
	char text[SAID_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	journal->options.said(journal->options.arg, text);
}

static void begin_trouble(struct journal *journal, const char *why)
{
	if (!journal->in_trouble)
		say(journal, "%s/%s %s: %s", journal->options.folder, journal->kind->name, why, journal->kind->trouble);
	journal->in_trouble = true;
}

static void end_trouble(struct journal *journal)
{
	uint64_t lost = atomic_load(&journal->lost);
	if (journal->in_trouble || lost > journal->lost_said)
		say(journal, "%s/%s is written again; %llu entries were lost meanwhile", journal->options.folder,
		    journal->kind->name, (unsigned long long)(lost - journal->lost_said));
	if (journal->options.restored && (journal->in_trouble || lost > journal->lost_said))
		journal->options.restored(journal->options.arg);
	journal->in_trouble = false;
	journal->lost_said = lost;
}

/* ---- writing ---- */

static void tell(struct journal_entry *entry, bool on_disk)
{
	if (!entry->was_told && entry->told)
		entry->told(entry, on_disk);
	entry->was_told = true;
}

static void let_go(struct journal *journal, struct journal_entry *entry)
{
	atomic_fetch_sub(&journal->bytes, entry->bytes);
	entry->free(entry);
}

static void tell_all_waiting(struct journal *journal)
{
	for (struct journal_entry *entry = journal->first; entry; entry = (struct journal_entry *)entry->mail.next)
		tell(entry, /* on_disk */ false);
}

static void settle_all(struct journal *journal)
{
	struct journal_entry *entry = journal->first;
	journal->first = NULL;
	journal->last = &journal->first;
	while (entry) {
		struct journal_entry *next = (struct journal_entry *)entry->mail.next;
		tell(entry, /* on_disk */ true);
		let_go(journal, entry);
		entry = next;
	}
}

/* Not known is enough: then writing will say what is wrong. */
static bool has_room(struct journal *journal)
{
	struct statvfs disk;
	if (journal->kind->reserve == 0 || statvfs(journal->options.folder, &disk) < 0)
		return true;
	if ((uint64_t)disk.f_bavail * disk.f_frsize >= journal->kind->reserve)
		return true;
	begin_trouble(journal, "is not written, for the disk is almost full and others need what is left");
	return false;
}

static bool open_file(struct journal *journal)
{
	char why[JOURNAL_WHY_MAX], notice[JOURNAL_WHY_MAX];
	int rc = journal_file_open(journal->kind, journal->options.folder, journal->suspect, &journal->db, why, notice);
	if (*notice)
		say(journal, "%s", notice);
	if (*notice && journal->options.restored)
		journal->options.restored(journal->options.arg);
	if (rc < 0)
		begin_trouble(journal, why);
	else
		journal->suspect = false;
	if (rc == 0 && !journal->was_read)
		journal->options.opened(journal->options.arg, journal->db);
	journal->was_read |= rc == 0;
	if (rc == 0 && journal->options.attached)
		journal->options.attached(journal->options.arg, journal->db);
	return rc == 0;
}

static void close_file(struct journal *journal)
{
	if (journal->db && journal->options.detaching)
		journal->options.detaching(journal->options.arg);
	sqlite3_close_v2(journal->db);
	journal->db = NULL;
}

/* Such an entry would fail for ever, and hold up all the others. */
static bool is_entrys_fault(int code)
{
	switch (code & 0xff) {
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		return true;
	default:
		return false;
	}
}

static int write_one(struct journal *journal, struct journal_entry *entry)
{
	int code = entry->write(entry, journal->db);
	if (code == SQLITE_OK || !is_entrys_fault(code))
		return code;
	log_line(NULL, CW_ERROR, "%s: an entry cannot be written: %s (a fault of callwatch)", journal->kind->name,
		 sqlite3_errmsg(journal->db));
	atomic_fetch_add(&journal->lost, 1);
	journal->lost_said++; /* to post it once more would be in vain, and without an end */
	tell(entry, /* on_disk */ false);
	return sqlite3_get_autocommit(journal->db) ? SQLITE_ABORT : SQLITE_OK; /* is the transaction still there? */
}

static int write_all(struct journal *journal)
{
	int code = sqlite3_exec(journal->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (struct journal_entry *entry = journal->first; entry && code == SQLITE_OK;
	     entry = (struct journal_entry *)entry->mail.next)
		code = write_one(journal, entry);
	return code == SQLITE_OK ? sqlite3_exec(journal->db, "COMMIT", NULL, NULL, NULL) : code;
}

/* Closing rolls back what was begun. What is suspect after a failure: all but a lack of room or of a turn. */
static void fail(struct journal *journal, int code)
{
	char why[JOURNAL_WHY_MAX];
	snprintf(why, sizeof why, "cannot be written (%s)",
		 (code & 0xff) == SQLITE_BUSY ? "another program keeps it locked" : sqlite3_errmsg(journal->db));
	journal->suspect = (code & 0xff) != SQLITE_BUSY && (code & 0xff) != SQLITE_FULL;
	close_file(journal);
	begin_trouble(journal, why);
}

static void on_retry(uv_timer_t *timer)
{
	struct journal *journal = timer->data;
	journal->pausing = false;
}

static void pause_writing(struct journal *journal)
{
	tell_all_waiting(journal);
	journal->pausing = true;
	uv_update_time(
		&journal->loop); /* a try takes seconds: a timer that is due already would go by unseen in a round */
	uv_timer_start(&journal->retry, on_retry, journal->was_read ? RETRY_MS : RETRY_UNREAD_MS, /* repeat */ 0);
}

/* In trouble the file is tried again even if nothing waits: its end is to be told. */
static void write_waiting(struct journal *journal)
{
	if (journal->pausing) {
		tell_all_waiting(journal);
		return;
	}
	if (!journal->first && !journal->in_trouble)
		return;
	if (!has_room(journal)) {
		pause_writing(journal);
		return;
	}
	int code = journal->db || open_file(journal) ? write_all(journal) : SQLITE_CANTOPEN;
	if (code == SQLITE_OK) {
		settle_all(journal);
		end_trouble(journal);
		return;
	}
	if (journal->db)
		fail(journal, code);
	pause_writing(journal);
}

/* ---- the actor ---- */

static void on_entry(struct mail *mail, void *owner)
{
	struct journal *journal = owner;
	mail->next = NULL;
	*journal->last = (struct journal_entry *)mail;
	journal->last = (struct journal_entry **)&mail->next;
}

/* The journal has ended before it was delivered. */
static void on_entry_dropped(struct mail *mail)
{
	struct journal_entry *entry = (struct journal_entry *)mail;
	tell(entry, /* on_disk */ false);
	entry->free(entry);
}

int journal_post(struct journal *journal, struct journal_entry *entry)
{
	entry->mail.deliver = on_entry;
	entry->mail.drop = on_entry_dropped;
	size_t before = atomic_fetch_add(&journal->bytes, entry->bytes);
	int rc = before + entry->bytes > journal->options.bytes_max ? -ENOBUFS
								    : mailbox_post(journal->box, &entry->mail);
	if (rc < 0) {
		atomic_fetch_sub(&journal->bytes, entry->bytes);
		atomic_fetch_add(&journal->lost, 1);
	}
	return rc;
}

static void on_stop(uv_async_t *async)
{
	struct journal *journal = async->data;
	mailbox_drain(journal->box);
	journal->stopping = true;
}

static void close_loop(struct journal *journal)
{
	mailbox_close(journal->box);
	uv_close((uv_handle_t *)&journal->stop, NULL);
	uv_close((uv_handle_t *)&journal->retry, NULL);
	uv_run(&journal->loop, UV_RUN_DEFAULT);
	uv_loop_close(&journal->loop);
}

static void drop_waiting(struct journal *journal)
{
	unsigned long long count = 0;
	while (journal->first) {
		struct journal_entry *entry = journal->first;
		journal->first = (struct journal_entry *)entry->mail.next;
		tell(entry, /* on_disk */ false);
		let_go(journal, entry);
		count++;
	}
	if (count > 0)
		log_line(NULL, CW_ERROR, "%s: %llu entries could not be written before the end and are lost",
			 journal->kind->name, count);
}

static void *run(void *arg)
{
	struct journal *journal = arg;
	pthread_setname_np(pthread_self(), journal->kind->name);
	journal->suspect = true; /* whatever was before */
	if (!has_room(journal) || !open_file(journal)) {
		journal->options.opened(journal->options.arg, NULL);
		pause_writing(journal);
	}
	while (!journal->stopping) {
		uv_run(&journal->loop, UV_RUN_ONCE);
		write_waiting(journal);
	}
	journal->pausing = false; /* a last try */
	write_waiting(journal);
	drop_waiting(journal);
	close_file(journal);
	close_loop(journal);
	pthread_mutex_lock(&journal->lock);
	journal->ended = true;
	pthread_cond_broadcast(&journal->changed);
	pthread_mutex_unlock(&journal->lock);
	return NULL;
}

int journal_start(struct journal *journal)
{
	int rc = uv_loop_init(&journal->loop);
	if (rc < 0)
		return rc;
	uv_timer_init(&journal->loop, &journal->retry);
	journal->retry.data = journal->stop.data = journal;
	if ((rc = uv_async_init(&journal->loop, &journal->stop, on_stop)) < 0 ||
	    (rc = mailbox_attach(journal->box, &journal->loop, journal)) < 0)
		return rc;
	rc = -pthread_create(&journal->thread, /* attributes */ NULL, run, journal);
	journal->started = rc == 0;
	return rc;
}

static bool wait_for_end(struct journal *journal, int64_t deadline)
{
	struct timespec until = clock_deadline(deadline - clock_now());
	pthread_mutex_lock(&journal->lock);
	while (!journal->ended && pthread_cond_timedwait(&journal->changed, &journal->lock, &until) == 0)
		;
	bool ended = journal->ended;
	pthread_mutex_unlock(&journal->lock);
	return ended;
}

/* One that hangs in the kernel keeps its memory. */
void journal_stop(struct journal *journal, int64_t deadline)
{
	if (!journal || !journal->started)
		return;
	uv_async_send(&journal->stop);
	if (wait_for_end(journal, deadline)) {
		pthread_join(journal->thread, NULL);
		journal->started = false;
		return;
	}
	log_line(NULL, CW_ERROR, "%s: the disk under %s does not answer: what was not written yet is lost",
		 journal->kind->name, journal->options.folder);
	pthread_detach(journal->thread);
}

uint64_t journal_lost(const struct journal *journal)
{
	return atomic_load(&journal->lost);
}

bool journal_is_filling(const struct journal *journal)
{
	return atomic_load_explicit(&journal->bytes, memory_order_relaxed) > journal->options.bytes_max / 4;
}

bool journal_was_left(const struct journal *journal)
{
	return journal && journal->started;
}

struct journal *journal_new(const struct journal_options *options)
{
	struct journal *journal = calloc(1, sizeof *journal);
	if (!journal)
		return NULL;
	journal->options = *options;
	journal->kind = options->kind ? options->kind : &journal_db;
	if (!journal->options.bytes_max)
		journal->options.bytes_max = usual_bytes_max;
	journal->options.folder = strdup(options->folder);
	journal->box = mailbox_new(ENTRIES_MAX);
	journal->last = &journal->first;
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&journal->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&journal->lock, /* attributes */ NULL);
	if (journal->options.folder && journal->box)
		return journal;
	journal_free(journal);
	return NULL;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	mailbox_unref(journal->box);
	pthread_cond_destroy(&journal->changed);
	pthread_mutex_destroy(&journal->lock);
	free((char *)journal->options.folder);
	free(journal);
}
