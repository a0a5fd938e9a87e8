/* SPDX-License-Identifier: MIT
 *
 * See spool.h; the files are spool_folder.h's, the bytes in them spool_format.h's.
 *
 * Two ends. At the writing end batches become records in a buffer that is written when a segment is full and at the end
 * of each append. After a write that failed the segment is not appended to any more: whatever the disk made of it is
 * behind the end that we know. The reading end is always in the first segment, which it keeps in memory (2 MiB, rarely
 * more); after each batch that was sent it moves the mark in the segment's head. Both ends may be in one segment.
 *
 * A segment that the limit takes may hold the batch in flight. That one is then an orphan: it is still held in the
 * books, and is sent or dropped by how its flight ends.
 */
#include "spool.h"

#include "batch.h"
#include "buffer.h"
#include "spool_folder.h"
#include "spool_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEGMENT_MIN = 64 * 1024,
	SEGMENT_MAX = 2 * 1024 * 1024, /* the last batch of a segment may reach beyond */
	SEGMENTS = 16,                 /* that a small limit is made of */
	TRIES = 3,                     /* to read what the disk says it cannot; then it is damaged */
};
_Static_assert(SEGMENT_MAX + 2 * SPOOL_PAYLOAD_MAX <= SEGMENT_FILE_MAX, "what is written can be read");

/* The first segment, as far as it is read. */
struct reading {
	int fd; /* negative: not open */
	bool read_only;
	struct spool_key key;
	unsigned char *bytes; /* the file, from its beginning */
	size_t loaded, room;
	struct spool_reader *reader;
	unsigned failures;        /* in a row */
	uint64_t damaged, damage; /* samples known to be lost; offset of the first damage, 0: none */
	size_t at;                /* of the next record … */
	uint64_t done;            /* … and the samples before it */
};

/* The batch at the head of the queue, once it has been read. */
struct flight {
	const struct cw_batch *batch; /* NULL: none */
	uint64_t samples;
	bool flying; /* peeked at, not settled */
	bool orphan; /* its segment is gone */
};

struct buffered {
	uint32_t batches;
	uint64_t samples;
};

struct spool {
	struct spool_folder folder;
	uint64_t segment_bytes;
	struct segment *first, *last;
	uint64_t next_number, next_first; /* of the segment that will be begun next */
	struct spool_counts counts;

	int fd; /* of the last segment, to append; negative: the next append begins one */
	struct spool_writer *writer;
	struct buffer buffer;     /* records that are still to be written … */
	struct buffered buffered; /* … and what is in them */
	uint32_t taken;           /* batches, by the append under way */

	struct reading reading;
	struct flight flight;
	bool mark_failed; /* has been said */
};

/* ---- the list of segments ---- */

static void append_segment(struct spool *spool, struct segment *segment)
{
	*(spool->last ? &spool->last->next : &spool->first) = segment;
	spool->last = segment;
	spool->counts.bytes += segment->bytes;
}

static void reading_close(struct reading *reading)
{
	if (reading->fd >= 0)
		close(reading->fd);
	free(reading->bytes);
	spool_reader_free(reading->reader);
	*reading = (struct reading){.fd = -1, .at = reading->at, .done = reading->done, .failures = reading->failures};
}

static void writing_close(struct spool *spool)
{
	if (spool->fd >= 0)
		close(spool->fd);
	spool->fd = -1;
}

/* Its samples have been accounted for. */
static void remove_first(struct spool *spool)
{
	struct segment *gone = spool->first;
	if (gone == spool->last)
		writing_close(spool);
	segment_remove(&spool->folder, gone);
	reading_close(&spool->reading);
	spool->reading = (struct reading){.fd = -1, .at = SPOOL_HEAD_BYTES};
	spool->counts.bytes -= gone->bytes;
	spool->first = gone->next;
	if (!spool->first) {
		spool->last = NULL;
		buffer_release(&spool->buffer); /* it may be idle for days */
	}
	free(gone);
}

static void forget_flight(struct flight *flight)
{
	batch_unref(flight->batch);
	*flight = (struct flight){.batch = NULL};
}

/* The limit takes the oldest segment. */
static void drop_first(struct spool *spool)
{
	uint64_t samples = spool->first->samples - spool->reading.done;
	if (spool->flight.flying && !spool->flight.orphan) {
		samples -= spool->flight.samples;
		spool->flight.orphan = true;
	} else if (!spool->flight.flying) {
		forget_flight(&spool->flight);
	}
	spool->counts.held -= samples;
	spool->counts.dropped_full += samples;
	remove_first(spool);
}

/* ---- the beginning ---- */

/* How far the first segment has been sent. If that cannot be told, from its beginning: twice is better than never. */
static void find_mark(struct spool *spool)
{
	unsigned char head[SPOOL_HEAD_BYTES];
	struct reading *reading = &spool->reading;
	struct spool_key key;
	struct spool_mark mark;
	size_t loaded = 0;
	int fd = spool->first ? segment_open(&spool->folder, spool->first, O_RDONLY) : -1;
	reading->at = SPOOL_HEAD_BYTES;
	reading->done = 0;
	if (fd < 0)
		return;
	if (segment_load(fd, head, &loaded, sizeof(head)) == 0 && spool_head_read(head, loaded, &key)) {
		if (spool_mark_read(head, loaded, &key, &mark) && mark.offset <= spool->first->bytes &&
		    mark.samples <= spool->first->samples) {
			reading->at = mark.offset;
			reading->done = mark.samples;
		} else {
			spool_folder_say(&spool->folder, CW_WARNING,
					 "spool: how far file %016" PRIx64
					 " has been sent cannot be told: it is sent again",
					 spool->first->number);
		}
	}
	close(fd);
}

static int take_over(struct spool *spool, uint64_t *ret_missing)
{
	struct segment *segment = NULL;
	int status = spool_folder_list(&spool->folder, &segment, ret_missing);
	while (segment) {
		struct segment *next = segment->next;
		segment->next = NULL;
		append_segment(spool, segment);
		segment = next;
	}
	return status;
}

/* What is found, and what must have been there, is held against what the books of this process say should be there. */
static void settle_books(struct spool *spool, uint64_t missing)
{
	struct spool_counts *counts = &spool->counts;
	uint64_t found = 0, expected = counts->held;
	for (const struct segment *segment = spool->first; segment; segment = segment->next)
		found += segment->samples;
	found -= spool->reading.done;
	counts->held = found;
	if (found + missing >= expected) {
		counts->restored += found + missing - expected;
		counts->dropped_corrupt += missing;
	} else {
		counts->dropped_corrupt += expected - found;
		spool_folder_say(&spool->folder, CW_ERROR, "spool: %" PRIu64 " samples are gone from its folder",
				 expected - found);
	}
}

static int set_up(struct spool *spool, const struct spool_options *options)
{
	spool->folder = (struct spool_folder){.fd = -1, .say = options->say, .arg = options->arg};
	spool->counts = options->before;
	spool->counts.bytes = 0;
	spool->counts.limit = options->limit_bytes;
	spool->counts.oldest = 0;
	spool->fd = spool->reading.fd = -1;
	spool->segment_bytes = options->limit_bytes / SEGMENTS;
	if (spool->segment_bytes > SEGMENT_MAX)
		spool->segment_bytes = SEGMENT_MAX;
	if (spool->segment_bytes < SEGMENT_MIN)
		spool->segment_bytes = SEGMENT_MIN;
	uint64_t half = options->limit_bytes / 2, most = SPOOL_PAYLOAD_MAX;
	buffer_init(&spool->buffer, /* head */ 0, half < most ? half : most);
	spool->writer = spool_writer_new();
	return spool->writer ? 0 : -ENOMEM;
}

int spool_open(const struct spool_options *options, struct spool **ret_spool)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	int status = spool ? set_up(spool, options) : -ENOMEM;
	if (status == 0)
		status = spool_folder_open(&spool->folder, options->state_dir, options->name);
	uint64_t missing = 0;
	if (status == 0)
		status = take_over(spool, &missing);
	if (status < 0) {
		spool_close(spool);
		return status;
	}
	find_mark(spool);
	settle_books(spool, missing);
	if (spool->last) {
		spool->next_number = spool->last->number + 1;
		spool->next_first = spool->last->first + spool->last->samples;
	}
	*ret_spool = spool;
	return 0;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	writing_close(spool);
	reading_close(&spool->reading);
	forget_flight(&spool->flight);
	buffer_release(&spool->buffer);
	spool_writer_free(spool->writer);
	while (spool->first) {
		struct segment *next = spool->first->next;
		free(spool->first);
		spool->first = next;
	}
	spool_folder_release(&spool->folder);
	free(spool);
}

const struct spool_counts *spool_counts(const struct spool *spool)
{
	return &spool->counts;
}

bool spool_is_empty(const struct spool *spool)
{
	return !spool->first;
}

/* ---- the writing end ---- */

/* The folder may have been removed under us: then it is made anew. A number that something else has is left out. */
static int create_file(struct spool *spool, struct segment *segment)
{
	enum { MOST = 100 };
	const int flags = O_RDWR | O_CREAT | O_EXCL;
	int fd = segment_open(&spool->folder, segment, flags);
	if (fd == -ENOENT) {
		int status = spool_folder_reopen(&spool->folder);
		if (status < 0)
			return status;
		fd = segment_open(&spool->folder, segment, flags);
	}
	for (int i = 0; i < MOST && fd == -EEXIST; i++) {
		segment->number++;
		fd = segment_open(&spool->folder, segment, flags);
	}
	return fd;
}

static int begin_segment(struct spool *spool)
{
	writing_close(spool);
	struct segment *segment = calloc(1, sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	segment->number = spool->next_number;
	segment->first = spool->next_first;
	int fd = create_file(spool, segment);
	if (fd < 0) {
		free(segment);
		return fd;
	}
	spool->fd = fd;
	spool->next_number = segment->number + 1;
	append_segment(spool, segment);
	spool_writer_begin(spool->writer, &spool->buffer);
	return 0;
}

/* Of one that nothing has been written to, nor read from. */
static void remove_last(struct spool *spool)
{
	struct segment **link = &spool->first, *before = NULL, *gone = spool->last;
	while (*link && *link != gone) {
		before = *link;
		link = &before->next;
	}
	*link = NULL;
	spool->last = before;
	spool->next_number = gone->number; /* a gap would mean that a file is missing */
	segment_remove(&spool->folder, gone);
	free(gone);
}

/* Nothing is known of the segment behind its `bytes` now, so that was its end. */
static void give_up_segment(struct spool *spool)
{
	if (ftruncate(spool->fd, (off_t)spool->last->bytes) < 0)
		spool_folder_say(&spool->folder, CW_DEBUG, "spool: what a failed write left behind stays: %s",
				 strerror(errno));
	writing_close(spool);
	buffer_cut(&spool->buffer, 0);
	spool->buffered = (struct buffered){0};
	if (spool->last->bytes == 0)
		remove_last(spool);
}

static int write_all(int fd, const char *bytes, size_t length, uint64_t offset)
{
	for (size_t written = 0; written < length;) {
		ssize_t n = pwrite(fd, bytes + written, length - written, (off_t)(offset + written));
		if (n < 0 && errno != EINTR)
			return -errno;
		written += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Writes what is buffered: then it is taken. */
static int write_buffer(struct spool *spool)
{
	size_t length = spool->buffer.length;
	if (!spool->buffered.batches) {
		if (length)
			give_up_segment(spool); /* it has descriptions that nobody needed */
		return 0;
	}
	while (spool->counts.bytes + length > spool->counts.limit && spool->first != spool->last)
		drop_first(spool);
	int status = write_all(spool->fd, buffer_text(&spool->buffer), length, spool->last->bytes);
	if (status < 0) {
		give_up_segment(spool);
		return status;
	}
	spool->last->bytes += length;
	spool->last->samples += spool->buffered.samples;
	spool->next_first += spool->buffered.samples;
	spool->counts.bytes += length;
	spool->counts.taken += spool->buffered.samples;
	spool->counts.held += spool->buffered.samples;
	spool->taken += spool->buffered.batches;
	spool->buffered = (struct buffered){0};
	buffer_cut(&spool->buffer, 0);
	return 0;
}

/* A segment with room for one more batch: the last one, or another. */
static int find_segment(struct spool *spool, bool anew)
{
	if (spool->fd >= 0 && !anew && spool->last->bytes + spool->buffer.length < spool->segment_bytes)
		return 0;
	int status = write_buffer(spool);
	return status < 0 ? status : begin_segment(spool);
}

/* All before it has been written. */
static void refuse(struct spool *spool, const struct cw_batch *batch)
{
	spool_folder_say(&spool->folder, CW_WARNING,
			 "spool: a batch of %" PRIu32 " samples is too large for a spool of %" PRIu64 " bytes",
			 batch->samples.count, spool->counts.limit);
	give_up_segment(spool);
	spool->counts.taken += batch->samples.count;
	spool->counts.dropped_full += batch->samples.count;
	spool->taken++;
}

/* Into the buffer. When the buffer or the segment's numbers are used up, into a segment of its own. */
static int add(struct spool *spool, const struct cw_batch *batch)
{
	int status = find_segment(spool, /* anew */ false);
	if (status < 0)
		return status;
	if (spool_write_batch(spool->writer, &spool->buffer, batch) < 0) {
		status = find_segment(spool, /* anew */ true);
		if (status < 0)
			return status;
		if (spool_write_batch(spool->writer, &spool->buffer, batch) < 0) {
			refuse(spool, batch);
			return 0;
		}
	}
	spool->buffered.batches++;
	spool->buffered.samples += batch->samples.count;
	return 0;
}

int spool_append(struct spool *spool, const struct cw_batch *const *batches, uint32_t n, uint32_t *ret_taken)
{
	int status = 0;
	spool->taken = 0;
	for (uint32_t i = 0; i < n && status == 0; i++)
		status = add(spool, batches[i]);
	if (status == 0)
		status = write_buffer(spool);
	*ret_taken = spool->taken;
	return status;
}

/* ---- the reading end ---- */

/* Passes samples that were damaged. */
static void lose(struct spool *spool, uint64_t samples)
{
	struct reading *reading = &spool->reading;
	if (!reading->damage)
		reading->damage = reading->at;
	reading->damaged += samples;
	reading->done += samples;
	spool->counts.held -= samples;
	spool->counts.dropped_corrupt += samples;
}

/* The first segment is done with; what of it was not found is lost. `why`: it cannot be read at all; NULL: it was. */
static void finish_first(struct spool *spool, const char *why)
{
	struct reading *reading = &spool->reading;
	const struct segment *first = spool->first;
	if (first->samples > reading->done)
		lose(spool, first->samples - reading->done);
	if (why)
		spool_folder_say(&spool->folder, CW_ERROR,
				 "spool: file %016" PRIx64 " cannot be read: %s; %" PRIu64 " samples are lost",
				 first->number, why, reading->damaged);
	else if (reading->damage)
		spool_folder_say(&spool->folder, reading->damaged ? CW_ERROR : CW_WARNING,
				 "spool: file %016" PRIx64 " was damaged from byte %" PRIu64 " on: %" PRIu64
				 " samples of it are lost",
				 first->number, reading->damage, reading->damaged);
	remove_first(spool);
}

static int read_descriptions(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	struct spool_record record = {.end = SPOOL_HEAD_BYTES};
	while (record.end < reading->at &&
	       spool_record_next(&reading->key, reading->bytes, reading->loaded, record.end, &record)) {
		if (record.samples == 0 && record.whole && spool_read_description(reading->reader, &record) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

/* Has in memory what the first segment has by now. A file that is shorter than it was has lost its end. */
static int load_first(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	struct segment *first = spool->first;
	if (reading->loaded >= first->bytes)
		return 0;
	if (first->bytes > SEGMENT_FILE_MAX)
		return -EBADMSG;
	if (reading->room < first->bytes) {
		size_t room = first->bytes < spool->segment_bytes ? spool->segment_bytes : first->bytes;
		unsigned char *bigger = realloc(reading->bytes, room);
		if (!bigger)
			return -ENOMEM;
		reading->bytes = bigger;
		reading->room = room;
	}
	int status = segment_load(reading->fd, reading->bytes, &reading->loaded, first->bytes);
	if (status == 0 && reading->loaded < first->bytes) {
		spool->counts.bytes -= first->bytes - reading->loaded;
		first->bytes = reading->loaded;
	}
	return status;
}

static int open_reading(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	int fd = segment_open(&spool->folder, spool->first, O_RDWR);
	reading->read_only = fd == -EROFS; /* then the mark stays where it is */
	if (fd == -EROFS)
		fd = segment_open(&spool->folder, spool->first, O_RDONLY);
	if (fd < 0)
		return fd == -ENOENT || fd == -ELOOP ? -EBADMSG : fd;
	reading->fd = fd;
	reading->reader = spool_reader_new();
	int status = reading->reader ? load_first(spool) : -ENOMEM;
	if (status == 0 && !spool_head_read(reading->bytes, reading->loaded, &reading->key))
		status = -EBADMSG;
	if (status == 0)
		status = read_descriptions(spool);
	if (status < 0)
		reading_close(reading);
	return status;
}

/* A file may have more samples than the names of the files say. */
static void find_more(struct spool *spool, uint64_t samples)
{
	uint64_t expected = spool->first->samples - spool->reading.done;
	if (samples <= expected)
		return;
	spool->first->samples += samples - expected;
	spool->counts.restored += samples - expected;
	spool->counts.held += samples - expected;
}

static int read_record(struct spool *spool, const struct spool_record *record)
{
	struct reading *reading = &spool->reading;
	const struct cw_batch *batch = NULL;
	int status = record->whole ? 0 : -EBADMSG;
	if (status == 0)
		status = record->samples ? spool_read_batch(reading->reader, record, &batch)
					 : spool_read_description(reading->reader, record);
	if (status == -ENOMEM)
		return status;
	find_more(spool, record->samples);
	if (status < 0)
		lose(spool, record->samples);
	reading->at = record->end;
	if (batch)
		spool->flight = (struct flight){.batch = batch, .samples = record->samples};
	return 0;
}

/* Until there is a batch, or the first segment is done with. */
static int read_on(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	struct spool_record record;
	int status = reading->fd < 0 ? open_reading(spool) : load_first(spool);
	while (status == 0 && !spool->flight.batch) {
		if (!spool_record_next(&reading->key, reading->bytes, reading->loaded, reading->at, &record)) {
			if (reading->at < reading->loaded)
				lose(spool, 0);
			finish_first(spool, /* why */ NULL);
			return -EAGAIN;
		}
		if (record.offset != reading->at)
			lose(spool, 0);
		status = read_record(spool, &record);
	}
	return status;
}

/* Short of something, or of a right: the data is there, and waits. */
static bool will_pass(int status)
{
	return status == -ENOMEM || status == -EMFILE || status == -ENFILE || status == -EACCES || status == -EPERM;
}

/* The oldest batch into `flight`. Codes as of spool_peek(). */
static int prepare(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	if (spool->flight.batch || !spool->first)
		return 0;
	int status = read_on(spool);
	if (status == 0 || status == -EAGAIN) {
		reading->failures = 0;
		return status;
	}
	if (status != -EBADMSG && (will_pass(status) || ++reading->failures < TRIES))
		return status;
	finish_first(spool, status == -EBADMSG ? "it is gone, or no file of a spool any more" : strerror(-status));
	return -EAGAIN;
}

int spool_peek(struct spool *spool, const struct cw_batch **ret_batch)
{
	int status = prepare(spool);
	*ret_batch = status == 0 ? spool->flight.batch : NULL;
	spool->flight.flying = *ret_batch != NULL;
	return status;
}

void spool_look(struct spool *spool)
{
	const struct cw_batch *batch = prepare(spool) == 0 ? spool->flight.batch : NULL;
	spool->counts.oldest = batch ? ((const struct cw_sample *)cw_at(&batch->samples, 0))->time : 0;
}

static void move_mark(struct spool *spool)
{
	struct reading *reading = &spool->reading;
	unsigned char bytes[SPOOL_MARK_BYTES];
	spool_mark_write(bytes, &reading->key, &(struct spool_mark){.offset = reading->at, .samples = reading->done});
	int status = reading->read_only ? -EROFS
					: write_all(reading->fd, (const char *)bytes, sizeof(bytes), SPOOL_MARK_OFFSET);
	if (status < 0 && !spool->mark_failed)
		spool_folder_say(&spool->folder, CW_WARNING,
				 "spool: cannot note what has been sent: %s; after a restart it is sent again",
				 strerror(-status));
	spool->mark_failed = status < 0;
}

bool spool_settle(struct spool *spool, bool sent)
{
	struct flight *flight = &spool->flight;
	struct reading *reading = &spool->reading;
	bool flew = flight->flying, leaves = flew && (sent || flight->orphan);
	flight->flying = false;
	if (!leaves)
		return flew;
	spool->counts.held -= flight->samples;
	spool->counts.dropped_full += sent ? 0 : flight->samples;
	if (!flight->orphan) {
		reading->done += flight->samples;
		move_mark(spool);
		if (reading->at >= spool->first->bytes)
			finish_first(spool, /* why */ NULL);
	}
	forget_flight(flight);
	return true;
}
