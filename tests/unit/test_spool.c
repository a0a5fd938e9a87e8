/* SPDX-License-Identifier: MIT
 *
 * The spool on a real folder: order, what survives the end of a process at any moment, damage of every kind, the limit,
 * a disk that does not take more. After every step the books must balance and the files must be within the limit.
 */
#include "spool.h"
#include "spool_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 512 };

static char top[] = "/tmp/callwatch-test-spool-XXXXXX";
static const uint64_t limit = SPOOL_LIMIT_MIN;

/* A spool under test and what has become of what went in. */
struct world {
	char state_dir[PATH_SIZE], folder[PATH_SIZE];
	struct spool *spool;
	uint64_t sent, in_flight;
	char said[4096]; /* the last sentences */
	uint64_t limit;
	bool strangers; /* in the folder are files that are not the spool's */
};

/* ---- files ---- */

static void run(const char *format, ...) CW_PRINTF(1, 2);
static void run(const char *format, ...)
{
	char command[4 * PATH_SIZE];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	if (system(command) != 0) /* NOLINT(cert-env33-c): a test's own folder */
		fail_msg("%s", command);
}

/* Names of the segment files, in order; their number. */
static int files(const struct world *world, char names[][NAME_MAX], int limit_names)
{
	struct dirent **list;
	int found = scandir(world->folder, &list, NULL, alphasort), n = 0;
	for (int i = 0; i < found; i++) {
		if (list[i]->d_name[0] != '.' && n < limit_names)
			snprintf(names[n++], NAME_MAX, "%s", list[i]->d_name);
		free(list[i]);
	}
	if (found >= 0)
		free(list);
	return n;
}

static uint64_t bytes_on_disk(const struct world *world)
{
	char names[64][NAME_MAX];
	uint64_t bytes = 0;
	for (int i = files(world, names, 64); i-- > 0;) {
		char path[2 * PATH_SIZE];
		struct stat status;
		snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
		assert_int_equal(lstat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, 0600);
		bytes += (uint64_t)status.st_size;
	}
	return bytes;
}

/* The files as they are now, to be put back as often as one likes. */
struct saved {
	int count;
	char names[4][NAME_MAX];
	char *bytes[4];
	size_t lengths[4];
};

static struct saved save(const struct world *world)
{
	struct saved saved = {.count = 0};
	saved.count = files(world, saved.names, 4);
	for (int i = 0; i < saved.count; i++) {
		char path[2 * PATH_SIZE];
		struct stat status;
		snprintf(path, sizeof path, "%s/%s", world->folder, saved.names[i]);
		int fd = open(path, O_RDONLY);
		assert_int_equal(fstat(fd, &status), 0);
		saved.lengths[i] = (size_t)status.st_size;
		saved.bytes[i] = malloc(saved.lengths[i]);
		assert_int_equal(read(fd, saved.bytes[i], saved.lengths[i]), status.st_size);
		close(fd);
	}
	return saved;
}

/* Puts back all but one of them, -1: all, into an empty folder. */
static void put_back(const struct world *world, const struct saved *saved, int but)
{
	char path[2 * PATH_SIZE], names[8][NAME_MAX];
	for (int i = files(world, names, 8); i-- > 0;) {
		snprintf(path, sizeof path, "%s/%s", world->folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	for (int i = 0; i < saved->count; i++) {
		if (i == but)
			continue;
		snprintf(path, sizeof path, "%s/%s", world->folder, saved->names[i]);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_int_equal(write(fd, saved->bytes[i], saved->lengths[i]), saved->lengths[i]);
		close(fd);
	}
}

static void forget(struct saved *saved)
{
	for (int i = 0; i < saved->count; i++)
		free(saved->bytes[i]);
}

/* ---- a spool ---- */

static void say(void *arg, enum cw_level level, const char *sentence)
{
	struct world *world = arg;
	size_t length = strlen(world->said);
	(void)level;
	snprintf(world->said + length, sizeof world->said - length, "%s\n", sentence);
}

static int try_open(struct world *world, const struct spool_counts *before)
{
	struct spool_options options = {
		.state_dir = world->state_dir, .name = "out", .limit_bytes = world->limit, .say = say, .arg = world};
	if (before)
		options.before = *before;
	*world->said = 0;
	return spool_open(&options, &world->spool);
}

static void shut(struct world *world)
{
	spool_close(world->spool);
	world->spool = NULL;
}

static void reopen(struct world *world)
{
	world->sent = 0;
	assert_int_equal(try_open(world, NULL), 0);
}

static void balance(const struct world *world)
{
	const struct spool_counts *counts = spool_counts(world->spool);
	assert_int_equal(counts->restored + counts->taken,
			 counts->held + world->sent + counts->dropped_full + counts->dropped_corrupt);
	assert_true(counts->bytes <= world->limit);
}

static uint64_t held(const struct world *world)
{
	return spool_counts(world->spool)->held;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	snprintf(world->state_dir, sizeof world->state_dir, "%s/%s", top, "state");
	snprintf(world->folder, sizeof world->folder, "%s/spool/out", world->state_dir);
	world->limit = limit;
	mkdir(world->state_dir, 0755);
	*state = world;
	return try_open(world, NULL);
}

static int tear_down(void **state)
{
	struct world *world = *state;
	shut(world);
	run("rm -rf '%s'", world->state_dir);
	free(world);
	return 0;
}

static void append(struct world *world, int number, int n)
{
	const struct cw_batch *batch = make_batch("calls", number, n);
	uint32_t taken = 0;
	assert_int_equal(spool_append(world->spool, &batch, 1, &taken), 0);
	assert_int_equal(taken, 1);
	batch_unref(batch);
	balance(world);
	if (!world->strangers)
		assert_int_equal(bytes_on_disk(world), spool_counts(world->spool)->bytes);
}

/* The next batch, over damaged segments; NULL: empty. */
static const struct cw_batch *peek(struct world *world)
{
	const struct cw_batch *batch;
	int status;
	do {
		status = spool_peek(world->spool, &batch);
		balance(world);
	} while (status == -EAGAIN);
	assert_int_equal(status, 0);
	world->in_flight = batch ? batch->samples.count : 0;
	return batch;
}

static void settle(struct world *world, bool sent)
{
	spool_settle(world->spool, sent);
	if (sent)
		world->sent += world->in_flight;
	balance(world);
}

/* Takes the next batch; its number, -1: empty. */
static int64_t take(struct world *world)
{
	const struct cw_batch *batch = peek(world);
	int64_t number = number_of(batch);
	if (batch) {
		const struct cw_batch *expected = make_batch("calls", (int)number, (int)batch->samples.count);
		assert_same_batch(expected, batch);
		batch_unref(expected);
		settle(world, /* sent */ true);
	}
	return number;
}

/* ---- order, and over the end of a process ---- */

static void batches__come_out_in_order_and_only_when_sent(void **state)
{
	struct world *world = *state;
	assert_true(spool_is_empty(world->spool));
	assert_null(peek(world));
	append(world, 1, 3);
	append(world, 2, 5);
	assert_int_equal(number_of(peek(world)), 1);
	settle(world, /* sent */ false);
	assert_int_equal(take(world), 1);
	append(world, 3, 1);
	assert_int_equal(take(world), 2);
	assert_int_equal(take(world), 3);
	assert_int_equal(take(world), -1);
	assert_true(spool_is_empty(world->spool));
	assert_int_equal(bytes_on_disk(world), 0); /* what has been sent leaves nothing behind */
	append(world, 4, 2);
	assert_int_equal(take(world), 4);
	assert_int_equal(spool_counts(world->spool)->taken, 11);
}

static void many_at_once__are_one_file_and_come_in_order(void **state)
{
	struct world *world = *state;
	const struct cw_batch *batches[50];
	uint32_t taken = 0;
	for (int i = 0; i < 50; i++)
		batches[i] = make_batch("calls", i, 10);
	assert_int_equal(spool_append(world->spool, batches, 50, &taken), 0);
	assert_int_equal(taken, 50);
	char names[8][NAME_MAX];
	assert_int_equal(files(world, names, 8), 1);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(take(world), i);
		batch_unref(batches[i]);
	}
}

static void the_oldest__is_told_by_its_first_sample(void **state)
{
	struct world *world = *state;
	spool_look(world->spool);
	assert_int_equal(spool_counts(world->spool)->oldest, 0);
	append(world, 7, 1);
	append(world, 8, 1);
	spool_look(world->spool);
	assert_int_equal(spool_counts(world->spool)->oldest, 1007);
	assert_int_equal(take(world), 7);
	spool_look(world->spool);
	assert_int_equal(spool_counts(world->spool)->oldest, 1008);
}

static void another_process__goes_on_where_the_last_one_was(void **state)
{
	struct world *world = *state;
	int next = 0, out = 0;
	for (int life = 0; life < 30; life++) { /* in between it runs empty */
		for (int i = 0; i < life % 7; i++)
			append(world, next++, 1 + life);
		for (int i = 0; i < life % 5 && out < next; i++)
			assert_int_equal(take(world), out++);
		uint64_t left = held(world);
		shut(world);
		reopen(world);
		assert_int_equal(spool_counts(world->spool)->restored, left);
		assert_string_equal(world->said, "");
	}
	while (out < next)
		assert_int_equal(take(world), out++);
	assert_int_equal(take(world), -1);
}

/* The folder as a killed process would leave it at this moment: all that was appended and not settled is in it, at most
 * one batch more. */
static void check_copy(const struct world *world, int first, int behind_last)
{
	struct world copy = {.limit = world->limit};
	snprintf(copy.state_dir, sizeof copy.state_dir, "%s/copy", top);
	snprintf(copy.folder, sizeof copy.folder, "%s/spool/out", copy.state_dir);
	run("rm -rf '%s' && cp -a '%s' '%s'", copy.state_dir, world->state_dir, copy.state_dir);
	reopen(&copy);
	int64_t number = take(&copy);
	if (number == first - 1)
		number = take(&copy);
	for (int i = first; i < behind_last; i++) {
		assert_int_equal(number, i);
		number = take(&copy);
	}
	assert_int_equal(number, -1);
	assert_string_equal(copy.said, "");
	spool_close(copy.spool);
}

static void killed_at_any_moment__loses_nothing(void **state)
{
	struct world *world = *state;
	int next = 0, out = 0;
	for (int step = 0; step < 36; step++) {
		if (step % 3 < 2)
			append(world, next++, step % 4 == 0 ? 2500 : 10); /* over a segment's end now and then */
		else
			assert_int_equal(take(world), out++);
		check_copy(world, out, next);
		if (peek(world)) /* one in flight */
			check_copy(world, out, next);
		settle(world, /* sent */ false);
	}
}

/* How far a process has come, seen by whoever survives it: numbers of batches, as calls have returned. */
struct progress {
	_Atomic int appended, settled; /* the next ones */
};

/* Appends batches and sends them, from `next` on, until it is killed. */
static void work_until_killed(struct world *world, struct progress *progress, int next)
{
	reopen(world);
	for (unsigned step = 0;; step++) {
		const struct cw_batch *batches[8], *batch;
		uint32_t n = 1 + step % 8, taken;
		for (uint32_t i = 0; i < n; i++)
			batches[i] = make_batch("calls", next++, step % 5 ? 10 : 300);
		if (spool_append(world->spool, batches, n, &taken) < 0 || taken != n)
			_exit(1);
		atomic_store(&progress->appended, next);
		for (uint32_t i = 0; i < n; i++)
			batch_unref(batches[i]);
		for (unsigned i = 0; i < 1 + step % 7; i++) {
			if (spool_peek(world->spool, &batch) < 0)
				_exit(2);
			int number = (int)number_of(batch);
			spool_settle(world->spool, /* sent */ true);
			if (batch)
				atomic_store(&progress->settled, number + 1);
		}
	}
}

static void killed_by_surprise__loses_nothing_and_brings_nothing_back(void **state)
{
	enum { ROUNDS = 100, FAR = 1000000 };
	struct world *world = *state;
	struct progress *progress =
		mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(progress != MAP_FAILED);
	for (int round = 0; round < ROUNDS; round++) {
		int from = round * FAR, how;
		shut(world);
		progress->appended = progress->settled = from;
		pid_t child = fork();
		if (child == 0)
			work_until_killed(world, progress, from);
		nanosleep(&(struct timespec){.tv_nsec = 1000000 + round * 7919 % 60 * 97003}, NULL);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &how, 0), child);
		assert_true(WIFSIGNALED(how));
		reopen(world);
		int64_t next = progress->settled, number = take(world);
		if (number != next && next < progress->appended) /* it was killed before it could tell */
			next++;
		for (; number >= 0; number = take(world))
			assert_int_equal(number, next++);
		assert_true(next >= progress->appended);
	}
	munmap(progress, sizeof *progress);
}

static void books_of_this_process__go_on_over_a_reload(void **state)
{
	struct world *world = *state;
	append(world, 1, 10);
	append(world, 2, 10);
	assert_int_equal(take(world), 1);
	struct spool_counts before = *spool_counts(world->spool);
	shut(world);
	assert_int_equal(try_open(world, &before), 0);
	balance(world);
	const struct spool_counts *counts = spool_counts(world->spool);
	assert_int_equal(counts->restored, 0);
	assert_int_equal(counts->taken, 20);
	assert_int_equal(counts->held, 10);
	before = *counts;
	shut(world);
	run("rm -f '%s'/*", world->folder);
	assert_int_equal(try_open(world, &before), 0);
	balance(world);
	assert_int_equal(spool_counts(world->spool)->dropped_corrupt, 10);
	assert_non_null(strstr(world->said, "10 samples are gone"));
}

static void a_second_spool_on_the_folder__is_refused_until_the_first_is_closed(void **state)
{
	struct world *world = *state;
	struct spool *first = world->spool;
	assert_int_equal(try_open(world, NULL), -EBUSY);
	spool_close(first);
	reopen(world);
}

/* ---- the limit ---- */

static void full__drops_the_oldest_exactly(void **state)
{
	struct world *world = *state;
	int next = 0;
	while (spool_counts(world->spool)->dropped_full == 0)
		append(world, next++, 500);
	for (int i = 0; i < 20; i++)
		append(world, next++, 500);
	uint64_t dropped = spool_counts(world->spool)->dropped_full;
	assert_int_equal(dropped % 500, 0);
	assert_true(spool_counts(world->spool)->bytes > world->limit * 8 / 10); /* a segment at a time */
	int64_t first = (int64_t)(dropped / 500);
	for (int64_t i = first; i < next; i++)
		assert_int_equal(take(world), i);
	assert_int_equal(take(world), -1);
	assert_int_equal(world->sent, (uint64_t)next * 500 - dropped);
}

static void full__while_some_were_sent__counts_only_those_that_were_not(void **state)
{
	struct world *world = *state;
	int next = 0;
	for (int i = 0; i < 3; i++)
		append(world, next++, 100);
	assert_int_equal(take(world), 0);
	assert_int_equal(take(world), 1);
	while (spool_counts(world->spool)->dropped_full == 0)
		append(world, next++, 100);
	uint64_t dropped = spool_counts(world->spool)->dropped_full;
	assert_int_equal(take(world), 2 + dropped / 100);
}

/* As a reload may do; in files of half a limit each, and in one that is larger than the limit. */
static void a_limit_made_smaller__is_kept_from_the_next_append_on(void **state)
{
	struct world *world = *state;
	static const uint64_t times[] = {8, 32};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		int next = 0;
		shut(world);
		world->limit = times[i] * limit;
		reopen(world);
		while (spool_counts(world->spool)->bytes < limit * 3 / 2)
			append(world, next++, 500);
		struct spool_counts before = *spool_counts(world->spool);
		shut(world);
		world->limit = limit;
		assert_int_equal(try_open(world, &before), 0);
		assert_int_equal(held(world), (uint64_t)next * 500);
		append(world, next++, 500);
		uint64_t dropped = spool_counts(world->spool)->dropped_full;
		assert_int_equal(dropped % 500, 0);
		assert_true(dropped > 0);
		for (int64_t number = (int64_t)(dropped / 500); number < next; number++)
			assert_int_equal(take(world), number);
		assert_int_equal(take(world), -1);
	}
}

static void full__with_one_in_flight__it_is_sent_or_dropped_by_its_own_end(void **state)
{
	struct world *world = *state;
	for (int sent = 0; sent < 2; sent++) {
		int next = 0;
		append(world, next++, 100);
		const struct cw_batch *in_flight = peek(world);
		uint64_t before = spool_counts(world->spool)->dropped_full, dropped = before;
		while (dropped == before) {
			append(world, next++, 100);
			dropped = spool_counts(world->spool)->dropped_full;
		}
		assert_int_equal(number_of(in_flight), 0); /* asan would tell */
		uint64_t count = dropped - before;
		settle(world, sent);
		assert_int_equal(spool_counts(world->spool)->dropped_full, dropped + (sent ? 0 : 100));
		assert_int_equal(take(world), 1 + count / 100);
		while (take(world) >= 0)
			;
	}
	assert_int_equal(spool_counts(world->spool)->restored, 0); /* nothing was found that nobody put there */
}

static void a_batch_that_is_too_large__is_counted_and_said(void **state)
{
	struct world *world = *state;
	append(world, 1, 10);
	append(world, 2, 60000);
	append(world, 3, 10);
	assert_int_equal(spool_counts(world->spool)->dropped_full, 60000);
	assert_non_null(strstr(world->said, "60000 samples is too large"));
	assert_int_equal(take(world), 1);
	assert_int_equal(take(world), 3);
	assert_int_equal(take(world), -1);
}

/* More origins than a segment can number, so another is begun. */
static void many_origins__need_another_segment(void **state)
{
	struct world *world = *state;
	char names[16][NAME_MAX];
	for (int i = 0; i < 1500; i++) {
		char name[16];
		snprintf(name, sizeof name, "source-%d", i);
		const struct cw_batch *batch = make_batch(name, i, 1);
		uint32_t taken;
		assert_int_equal(spool_append(world->spool, &batch, 1, &taken), 0);
		batch_unref(batch);
	}
	assert_true(files(world, names, 16) >= 2);
	for (int i = 0; i < 1500; i++) {
		const struct cw_batch *batch = peek(world);
		char name[16];
		snprintf(name, sizeof name, "source-%d", i);
		assert_string_equal(batch->instance, name);
		assert_int_equal(number_of(batch), i);
		settle(world, /* sent */ true);
	}
}

/* ---- damage ---- */

/* Three segments with batches 0, 1, 2 …; the number of batches. */
static int fill_three_segments(struct world *world, char names[4][NAME_MAX])
{
	int next = 0;
	while (files(world, names, 4) < 3)
		append(world, next++, 400);
	append(world, next++, 400);
	shut(world);
	return next;
}

/* Takes all that is left: increasing numbers. How many. */
static int take_rest(struct world *world)
{
	int64_t last = -1, number;
	int n = 0;
	while ((number = take(world)) >= 0) {
		assert_true(number > last);
		last = number;
		n++;
	}
	return n;
}

static void corrupt(const struct world *world, const char *name, off_t at, unsigned char flip)
{
	char path[2 * PATH_SIZE];
	unsigned char byte;
	snprintf(path, sizeof path, "%s/%s", world->folder, name);
	int fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= flip;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void a_flipped_bit_anywhere__costs_a_batch_or_a_segment_and_is_counted(void **state)
{
	struct world *world = *state;
	char names[4][NAME_MAX];
	int batches = fill_three_segments(world, names);
	struct saved saved = save(world);
	for (int file = 0; file < 3; file++)
		for (off_t at = 0; at < (off_t)saved.lengths[file]; at += at < 700 ? 3 : 7919) {
			put_back(world, &saved, -1);
			corrupt(world, names[file], at, 0x04);
			reopen(world);
			uint64_t restored = spool_counts(world->spool)->restored;
			int n = take_rest(world);
			uint64_t lost = spool_counts(world->spool)->dropped_corrupt;
			assert_int_equal((uint64_t)n * 400 + lost, restored);
			if (file < 2)
				assert_int_equal(restored, (uint64_t)batches * 400); /* by the next file's name */
			if (n < batches)
				assert_non_null(strstr(world->said, file == 2 && at < 40 ? "cannot be read" : "lost"));
			shut(world);
		}
	forget(&saved);
	reopen(world);
}

static void cut_at_any_length__gives_what_is_whole(void **state)
{
	struct world *world = *state;
	char name[1][NAME_MAX], path[2 * PATH_SIZE];
	for (int i = 0; i < 5; i++)
		append(world, i, 5);
	files(world, name, 1);
	snprintf(path, sizeof path, "%s/%s", world->folder, name[0]);
	off_t whole = (off_t)bytes_on_disk(world);
	shut(world);
	struct saved saved = save(world);
	int before = 0;
	for (off_t length = 0; length <= whole; length++) {
		put_back(world, &saved, -1);
		assert_int_equal(truncate(path, length), 0);
		reopen(world);
		int n = take_rest(world);
		assert_true(n == before || n == before + 1);
		before = n;
		append(world, 9, 5); /* and it goes on */
		assert_int_equal(take(world), 9);
		shut(world);
	}
	assert_int_equal(before, 5);
	forget(&saved);
	reopen(world);
}

static void a_mark_that_cannot_be_read__sends_again_from_the_beginning(void **state)
{
	struct world *world = *state;
	char name[1][NAME_MAX];
	append(world, 1, 5);
	append(world, 2, 5);
	assert_int_equal(take(world), 1);
	files(world, name, 1);
	shut(world);
	corrupt(world, name[0], 41, 0xff);
	reopen(world);
	assert_non_null(strstr(world->said, "it is sent again"));
	assert_int_equal(take(world), 1);
	assert_int_equal(take(world), 2);
}

static void files_that_are_gone__are_said_and_counted(void **state)
{
	struct world *world = *state;
	char names[4][NAME_MAX];
	int batches = fill_three_segments(world, names);
	struct saved saved = save(world);
	for (int file = 0; file < 3; file++) {
		put_back(world, &saved, -1);
		reopen(world); /* gone while the spool is open; below: gone before */
		run("rm '%s/%s'", world->folder, names[file]);
		int n = take_rest(world);
		assert_int_equal((uint64_t)n * 400 + spool_counts(world->spool)->dropped_corrupt,
				 (uint64_t)batches * 400);
		assert_non_null(strstr(world->said, "it is gone"));
		shut(world);
	}
	put_back(world, &saved, 1);
	forget(&saved);
	reopen(world);
	assert_non_null(strstr(world->said, "some are missing"));
	int n = take_rest(world);
	assert_true(n < batches);
	assert_int_equal(spool_counts(world->spool)->restored, (uint64_t)batches * 400);
	assert_int_equal(spool_counts(world->spool)->dropped_corrupt, (uint64_t)(batches - n) * 400);
}

/* What the disk says it cannot read is tried three times; what is only in the way for a while is not given up. */
static void a_file_that_cannot_be_read__is_given_up_at_the_third_try(void **state)
{
	struct world *world = *state;
	char names[4][NAME_MAX];
	const struct cw_batch *batch;
	int batches = fill_three_segments(world, names);
	reopen(world);
	run("cd '%s' && mv %s '%s/away' && mkdir %s", world->folder, names[0], top, names[0]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_peek(world->spool, &batch), -EISDIR);
		assert_null(batch);
		balance(world);
	}
	assert_int_equal(spool_peek(world->spool, &batch), -EAGAIN);
	balance(world);
	assert_non_null(strstr(world->said, "cannot be read: Is a directory"));
	int n = take_rest(world);
	assert_int_equal(spool_counts(world->spool)->dropped_corrupt, (uint64_t)(batches - n) * 400);
	run("rmdir '%s/%s'", world->folder, names[0]);
	append(world, 7, 10);
	struct rlimit files_now, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files_now), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = files_now.rlim_max};
	for (int i = 0; i < 5; i++) {
		setrlimit(RLIMIT_NOFILE, &none);
		int status = spool_peek(world->spool, &batch);
		setrlimit(RLIMIT_NOFILE, &files_now);
		assert_int_equal(status, -EMFILE);
	}
	assert_int_equal(take(world), 7);
}

static void names_that_lie__do_not_upset_the_books(void **state)
{
	static const char *const lies[] = {
		"0000000000000001-0000000000000000", "0000000000000001-ffffffffffffffff",
		"0000000000000001-0000000000000001", "7fffffffffffffff-0000000000000000",
		"ffffffffffffffff-0000000000000000", "0000000000000001-000000000000000g",
	};
	struct world *world = *state;
	char names[4][NAME_MAX];
	int batches = fill_three_segments(world, names);
	struct saved saved = save(world);
	world->strangers = true;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		put_back(world, &saved, -1);
		run("cd '%s' && mv %s %s", world->folder, names[1], lies[i]);
		reopen(world);
		append(world, 1000, 1);
		int64_t number;
		int n = 0;
		while ((number = take(world)) >= 0)
			n++;
		assert_true(n > batches / 2);
		assert_int_equal(held(world), 0);
		shut(world);
	}
	forget(&saved);
	reopen(world);
}

static void what_is_not_ours__is_left_alone(void **state)
{
	struct world *world = *state;
	append(world, 1, 5);
	shut(world);
	world->strangers = true;
	run("cd '%s' && seq 1000 > '%s/other' && ln -s ../../../other 0000000000000007-0000000000000000 && "
	    "ln '%s/other' 0000000000000008-0000000000000000 && mkdir 0000000000000009-0000000000000000 && echo > "
	    "notes && "
	    "mkfifo 000000000000000a-0000000000000000",
	    world->folder, top, top);
	reopen(world);
	assert_non_null(strstr(world->said, "0000000000000007-0000000000000000 is no file of this spool"));
	assert_non_null(strstr(world->said, "notes is no file"));
	assert_int_equal(take(world), 1);
	for (int i = 0; i < 12; i++) { /* numbers that are taken are left out */
		append(world, i, 1);
		assert_int_equal(take(world), i);
	}
	run("cd '%s' && test -L 0000000000000007-0000000000000000 && test -e 0000000000000008-0000000000000000 && "
	    "test -e notes && grep -q 1000 '%s/other'",
	    world->folder, top);
	shut(world);
	run("chmod 0770 '%s'", world->folder);
	assert_int_equal(try_open(world, NULL), -EPERM);
	run("chmod 0700 '%s' && mv '%s' '%s/real' && ln -s '%s/real' '%s'", world->folder, world->folder, top, top,
	    world->folder);
	assert_true(try_open(world, NULL) < 0);
	run("rm '%s' && rm -rf '%s/real'", world->folder, top);
	reopen(world);
}

/* ---- a disk that does not take more ---- */

/* No file may grow beyond this. */
static void limit_files(uint64_t bytes)
{
	struct rlimit files_to = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &files_to), 0);
}

static void a_write_that_fails_half_way__takes_what_was_written_before(void **state)
{
	struct world *world = *state;
	const struct cw_batch *batches[40];
	uint32_t taken = 99;
	append(world, 0, 10);
	for (int i = 0; i < 40; i++)
		batches[i] = make_batch("calls", 1 + i, 200);
	limit_files(40000); /* the first write of a segment passes it */
	int status = spool_append(world->spool, batches, 40, &taken);
	limit_files(RLIM_INFINITY);
	assert_int_equal(status, -EFBIG);
	balance(world);
	assert_int_equal(taken, 0);
	assert_int_equal(bytes_on_disk(world), spool_counts(world->spool)->bytes);
	assert_int_equal(spool_append(world->spool, batches, 40, &taken), 0);
	assert_int_equal(taken, 40);
	shut(world);
	reopen(world);
	for (int i = 0; i <= 40; i++)
		assert_int_equal(take(world), i);
	assert_int_equal(take(world), -1);
	assert_string_equal(world->said, "");
	for (int i = 0; i < 40; i++)
		batch_unref(batches[i]);
}

static void nothing_can_be_written_at_all__what_is_there_is_still_given(void **state)
{
	struct world *world = *state;
	append(world, 1, 10);
	append(world, 2, 10);
	const struct cw_batch *batch = make_batch("calls", 3, 10);
	uint32_t taken;
	limit_files(10);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(spool_append(world->spool, &batch, 1, &taken), -EFBIG);
		assert_int_equal(taken, 0);
		balance(world);
	}
	assert_int_equal(take(world), 1); /* its mark cannot be written: said once */
	assert_non_null(strstr(world->said, "cannot note what has been sent"));
	limit_files(RLIM_INFINITY);
	assert_int_equal(spool_append(world->spool, &batch, 1, &taken), 0);
	shut(world);
	reopen(world); /* files that were begun and came to nothing are not missing now */
	for (int i = 1; i <= 3; i++)
		assert_int_equal(take(world), i);
	assert_int_equal(take(world), -1);
	assert_string_equal(world->said, "");
	batch_unref(batch);
}

static void the_folder_removed_under_it__is_made_again(void **state)
{
	struct world *world = *state;
	append(world, 1, 10);
	run("rm -rf '%s/spool'", world->state_dir);
	const struct cw_batch *batch = make_batch("calls", 2, 10);
	uint32_t taken;
	assert_int_equal(spool_append(world->spool, &batch, 1, &taken), 0); /* into the file that is still open */
	batch_unref(batch);
	assert_null(peek(world));
	assert_int_equal(spool_counts(world->spool)->dropped_corrupt, 20);
	append(world, 3, 10);
	assert_int_equal(take(world), 3);
	run("rm -rf '%s'", world->state_dir);
	batch = make_batch("calls", 4, 10);
	assert_int_equal(spool_append(world->spool, &batch, 1, &taken), -ENOENT);
	batch_unref(batch);
	balance(world);
	mkdir(world->state_dir, 0755);
	append(world, 5, 10);
	assert_int_equal(take(world), 5);
}

static void without_a_place__there_is_no_spool(void **state)
{
	struct world *world = *state;
	shut(world);
	run("rm -rf '%s' && touch '%s'", world->state_dir, world->state_dir);
	assert_int_equal(try_open(world, NULL), -ENOTDIR);
	run("rm '%s' && mkdir '%s' && touch '%s/spool'", world->state_dir, world->state_dir, world->state_dir);
	assert_true(try_open(world, NULL) < 0);
	run("rm '%s/spool'", world->state_dir);
	reopen(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(batches__come_out_in_order_and_only_when_sent),
		TEST(many_at_once__are_one_file_and_come_in_order),
		TEST(the_oldest__is_told_by_its_first_sample),
		TEST(another_process__goes_on_where_the_last_one_was),
		TEST(killed_at_any_moment__loses_nothing),
		TEST(killed_by_surprise__loses_nothing_and_brings_nothing_back),
		TEST(books_of_this_process__go_on_over_a_reload),
		TEST(a_second_spool_on_the_folder__is_refused_until_the_first_is_closed),
		TEST(full__drops_the_oldest_exactly),
		TEST(full__while_some_were_sent__counts_only_those_that_were_not),
		TEST(a_limit_made_smaller__is_kept_from_the_next_append_on),
		TEST(full__with_one_in_flight__it_is_sent_or_dropped_by_its_own_end),
		TEST(a_batch_that_is_too_large__is_counted_and_said),
		TEST(many_origins__need_another_segment),
		TEST(a_flipped_bit_anywhere__costs_a_batch_or_a_segment_and_is_counted),
		TEST(cut_at_any_length__gives_what_is_whole),
		TEST(a_mark_that_cannot_be_read__sends_again_from_the_beginning),
		TEST(files_that_are_gone__are_said_and_counted),
		TEST(a_file_that_cannot_be_read__is_given_up_at_the_third_try),
		TEST(names_that_lie__do_not_upset_the_books),
		TEST(what_is_not_ours__is_left_alone),
		TEST(a_write_that_fails_half_way__takes_what_was_written_before),
		TEST(nothing_can_be_written_at_all__what_is_there_is_still_given),
		TEST(the_folder_removed_under_it__is_made_again),
		TEST(without_a_place__there_is_no_spool),
#undef TEST
	};
	signal(SIGXFSZ, SIG_IGN);
	if (sodium_init() < 0 || !mkdtemp(top))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	run("rm -rf '%s'", top);
	return failed;
}
