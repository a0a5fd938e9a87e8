/* SPDX-License-Identifier: MIT
 *
 * How batches stand in a segment of a spool, and how they are read back: pure functions over bytes. The files are
 * spool.c's. Private to the core.
 *
 *     segment  = head, records                        numbers in the machine's own order; the head tells which
 *     head     = magic, order, key, sum, mark         the mark is the only thing that is written over
 *     record   = length, samples, sum of the payload, sum of these three, payload
 *     payload  = the description of a metric or of an origin (host, instance, interval, tags), with a number; or
 *                a batch, which refers to both by number, so that a sample costs about 11 bytes and its labels
 *
 * A description stands before the first batch that needs it, once per segment: so each segment can be read, dropped or
 * lost without the others. A text stands with its length and a NUL, so that it can be used where it lies.
 *
 * What is read may be anything. Sums (SipHash with a key of the segment's own, 32 bits of it) tell damage; but what
 * passes them is still bounded and checked like any stranger's bytes. After damage the next whole record is looked for.
 */
#ifndef CALLWATCH_CORE_SPOOL_FORMAT_H
#define CALLWATCH_CORE_SPOOL_FORMAT_H

#include "buffer.h"
#include "callwatch/metric.h"

enum {
	SPOOL_HEAD_BYTES = 64,
	SPOOL_MARK_BYTES = 24,
	SPOOL_MARK_OFFSET = SPOOL_HEAD_BYTES - SPOOL_MARK_BYTES,
	SPOOL_RECORD_BYTES = 16, /* in front of each payload */
	SPOOL_PAYLOAD_MAX = 16 * 1024 * 1024,
};

struct spool_key {
	unsigned char bytes[16];
};

/* How far a segment has been sent. */
struct spool_mark {
	uint64_t offset;  /* of the first record that is still to be sent */
	uint64_t samples; /* in the records before it */
};

struct spool_record {
	size_t offset, end;
	const unsigned char *payload;
	uint32_t length, samples; /* samples 0: a description */
	bool whole;               /* false: `samples` can be relied on, but the payload is damaged or cut short */
};

/* ---- heads, marks, records ---- */

/* Appends a head with a new key and nothing sent. */
void spool_head_write(struct buffer *out, struct spool_key *ret_key);
bool spool_head_read(const unsigned char *bytes, size_t length, struct spool_key *ret_key);
void spool_mark_write(unsigned char bytes[SPOOL_MARK_BYTES], const struct spool_key *key,
		      const struct spool_mark *mark);
/* From the bytes of a head. */
bool spool_mark_read(const unsigned char *bytes, size_t length, const struct spool_key *key,
		     struct spool_mark *ret_mark);
/* The record at `offset` or, if what is there is none, the next whole one behind it. False: there is none any more. */
bool spool_record_next(const struct spool_key *key, const unsigned char *bytes, size_t length, size_t offset,
		       struct spool_record *ret_record);

/* ---- batches to records ---- */

/* What has been described in the segment that is being written. */
struct spool_writer;
struct spool_writer *spool_writer_new(void);         /* NULL: no memory */
void spool_writer_free(struct spool_writer *writer); /* NULL is fine */
/* Begins a segment: appends its head; nothing is described any more. */
void spool_writer_begin(struct spool_writer *writer, struct buffer *out);
/* Appends the batch as a record, and in front of it the descriptions it needs. What is appended is always whole
 * records. -ENOSPC: no numbers are left in this segment; -ENOMEM: no memory, or the buffer's ceiling. */
int spool_write_batch(struct spool_writer *writer, struct buffer *out, const struct cw_batch *batch);

/* ---- records to batches ---- */

/* What has been described in the segment that is being read. */
struct spool_reader;
struct spool_reader *spool_reader_new(void);          /* NULL: no memory */
void spool_reader_free(struct spool_reader *reader);  /* NULL is fine */
void spool_reader_begin(struct spool_reader *reader); /* another segment */
/* Keeps a description for the batches that need it. 0, -EBADMSG, -ENOMEM. */
int spool_read_description(struct spool_reader *reader, const struct spool_record *record);
/* With one reference. -EBADMSG: it cannot be, or what it needs has not been described; -ENOMEM. */
int spool_read_batch(struct spool_reader *reader, const struct spool_record *record, const struct cw_batch **ret_batch);
/* Wall time of the batch's first sample, without reading the rest; 0: not known. */
int64_t spool_record_time(const struct spool_record *record);

#endif
