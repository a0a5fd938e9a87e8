/* SPDX-License-Identifier: MIT
 *
 * Batches as bytes and back: nothing is changed by it, a sample costs little, and damage anywhere costs what it hit
 * and no more.
 */
#include "spool_fixture.h"
#include "spool_format.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { BATCHES = 6 };

/* A segment with BATCHES batches, of two origins. */
struct written {
	struct buffer buffer;
	const struct cw_batch *batches[BATCHES];
	size_t ends[BATCHES]; /* of the records */
};

static int write_segment(void **state)
{
	struct written *written = calloc(1, sizeof(*written));
	struct spool_writer *writer = spool_writer_new();
	buffer_init(&written->buffer, 0, 1024 * 1024);
	spool_writer_begin(writer, &written->buffer);
	for (int i = 0; i < BATCHES; i++) {
		written->batches[i] = make_batch(i % 2 ? "calls" : "dlq", i, 1 + i);
		if (spool_write_batch(writer, &written->buffer, written->batches[i]) < 0)
			return -1;
		written->ends[i] = written->buffer.length;
	}
	spool_writer_free(writer);
	*state = written;
	return 0;
}

static int free_segment(void **state)
{
	struct written *written = *state;
	for (int i = 0; i < BATCHES; i++)
		batch_unref(written->batches[i]);
	buffer_release(&written->buffer);
	free(written);
	return 0;
}

/* Reads all, compares what comes with what was written, gives which came and how many samples were known as lost. */
static unsigned read_segment(const struct written *written, const unsigned char *bytes, size_t length,
			     uint64_t *ret_lost)
{
	struct spool_key key;
	struct spool_record record = {.end = SPOOL_HEAD_BYTES};
	unsigned came = 0;
	uint64_t lost = 0;
	if (!spool_head_read(bytes, length, &key))
		return 0;
	struct spool_reader *reader = spool_reader_new();
	while (spool_record_next(&key, bytes, length, record.end, &record)) {
		const struct cw_batch *batch = NULL;
		if (record.whole && !record.samples)
			spool_read_description(reader, &record);
		else if (record.whole && spool_read_batch(reader, &record, &batch) == 0)
			assert_same_batch(batch, written->batches[number_of(batch)]);
		else
			lost += record.samples;
		if (batch)
			came |= 1U << number_of(batch);
		batch_unref(batch);
	}
	spool_reader_free(reader);
	if (ret_lost)
		*ret_lost = lost;
	return came;
}

static const unsigned char *bytes_of(const struct written *written)
{
	return (const unsigned char *)buffer_text(&written->buffer);
}

static void written_and_read__is_the_same_in_everything(void **state)
{
	const struct written *written = *state;
	uint64_t lost;
	assert_int_equal(read_segment(written, bytes_of(written), written->buffer.length, &lost), (1U << BATCHES) - 1);
	assert_int_equal(lost, 0);
}

static void a_sample__costs_eleven_bytes_and_its_labels(void **state)
{
	(void)state;
	struct buffer buffer;
	struct spool_writer *writer = spool_writer_new();
	const struct cw_batch *batch = make_batch("calls", 1, 1004);
	buffer_init(&buffer, 0, 1024 * 1024);
	spool_writer_begin(writer, &buffer);
	assert_int_equal(spool_write_batch(writer, &buffer, batch), 0);
	size_t before = buffer.length;
	assert_int_equal(spool_write_batch(writer, &buffer, batch), 0);
	size_t labels = strlen("stale") + strlen("business 1000") + 2 * 3;
	assert_true(buffer.length - before < 1004 * (11 + labels));
	batch_unref(batch);
	spool_writer_free(writer);
	buffer_release(&buffer);
}

/* A copy in a block of its own, so that the address sanitizer sees a step beyond. */
static unsigned read_copy(const struct written *written, size_t length, size_t flipped, uint64_t *ret_lost)
{
	unsigned char *copy = malloc(length + 1);
	memcpy(copy, bytes_of(written), length);
	unsigned char *exact = realloc(copy, length ? length : 1);
	if (flipped < length)
		exact[flipped] ^= 0x10;
	unsigned came = read_segment(written, exact, length, ret_lost);
	free(exact);
	return came;
}

static void cut_at_every_byte__gives_all_that_is_whole_in_front_of_it(void **state)
{
	const struct written *written = *state;
	for (size_t length = 0; length < written->buffer.length; length++) {
		unsigned expected = 0;
		for (int i = 0; i < BATCHES; i++)
			expected |= written->ends[i] <= length ? 1U << i : 0;
		if (read_copy(written, length, SIZE_MAX, NULL) != expected)
			fail_msg("cut at %zu of %zu", length, written->buffer.length);
	}
}

/* The batch it hit is lost, counted if its prefix is whole; or, if it hit a description, the batches that need it. */
static void every_byte_flipped__costs_what_it_hit(void **state)
{
	const struct written *written = *state;
	size_t batch_start = written->ends[BATCHES - 2]; /* the last batch needs no new description */
	for (size_t at = 0; at < written->buffer.length; at++) {
		uint64_t lost;
		unsigned came = read_copy(written, written->buffer.length, at, &lost), all = (1U << BATCHES) - 1;
		if (at < SPOOL_MARK_OFFSET)
			assert_int_equal(came, 0);
		else if (at < SPOOL_HEAD_BYTES)
			assert_int_equal(came, all); /* the mark is another matter */
		else
			assert_int_not_equal(came, all);
		if (at < batch_start)
			assert_true(came & 1U << (BATCHES - 1) || lost > 0);
		if (at >= batch_start + SPOOL_RECORD_BYTES)
			assert_int_equal(lost, BATCHES);
		if (at >= batch_start)
			assert_int_equal(came, all >> 1);
	}
}

static void mark__damaged_or_impossible__is_not_read(void **state)
{
	(void)state;
	unsigned char head[SPOOL_HEAD_BYTES];
	struct buffer buffer;
	struct spool_key key, read;
	struct spool_mark mark;
	buffer_init(&buffer, 0, 1024);
	spool_head_write(&buffer, &key);
	memcpy(head, buffer_text(&buffer), sizeof(head));
	assert_true(spool_head_read(head, sizeof(head), &read));
	assert_true(spool_mark_read(head, sizeof(head), &key, &mark));
	assert_int_equal(mark.offset, SPOOL_HEAD_BYTES);
	assert_int_equal(mark.samples, 0);
	spool_mark_write(head + SPOOL_MARK_OFFSET, &key, &(struct spool_mark){777, 55});
	assert_true(spool_mark_read(head, sizeof(head), &key, &mark));
	assert_int_equal(mark.offset, 777);
	assert_int_equal(mark.samples, 55);
	head[SPOOL_MARK_OFFSET + 8] ^= 1;
	assert_false(spool_mark_read(head, sizeof(head), &key, &mark));
	spool_mark_write(head + SPOOL_MARK_OFFSET, &key, &(struct spool_mark){3, 0});
	assert_false(spool_mark_read(head, sizeof(head), &key, &mark));
	assert_false(spool_head_read(head, sizeof(head) - 1, &read));
	buffer_release(&buffer);
}

/* Payloads whose sums are right, but that nobody here wrote. */
static const struct {
	const char *what;
	const char *bytes;
	uint32_t length, samples;
} impossible[] = {
	{"an unknown kind", "X123", 4, 0},
	{"nothing behind the kind", "M", 1, 0},
	{"a metric without a name", "M\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0", 15, 0},
	{"a metric of an unknown kind", "M\0\0\x09\x01\0a\0\xff\xff\xff\xff\xff\xff\0\0\0", 17, 0},
	{"a metric with a bad name", "M\0\0\0\x01\0A\0\xff\xff\xff\xff\xff\xff\0\0\0", 17, 0},
	{"five labels", "M\0\0\0\x01\0a\0\xff\xff\xff\xff\xff\xff\x05\0\0", 17, 0},
	{"a text that is longer than the rest",
	 "M\0\0\0\xf0\x10"
	 "a\0\xff\xff\xff\xff\xff\xff\0\0\0",
	 17, 0},
	{"a text with a NUL in it", "M\0\0\0\x02\0a\0\0\xff\xff\xff\xff\xff\xff\0\0\0", 18, 0},
	{"a text without its NUL", "M\0\0\0\x01\0ab\xff\xff\xff\xff\xff\xff\0\0\0", 17, 0},
	{"something behind the metric", "M\0\0\0\x01\0a\0\xff\xff\xff\xff\xff\xff\0\0\0?", 18, 0},
	{"more bounds than there is room for", "M\0\0\x02\x01\0a\0\xff\xff\xff\xff\xff\xff\0\xff\xff", 17, 0},
	{"an origin without a host", "O\0\0\1\0\0\0\0\0\0\0\xff\xff\x01\0i\0\0\0", 19, 0},
	{"an interval of nothing", "O\0\0\0\0\0\0\0\0\0\0\x01\0h\0\x01\0i\0\0\0", 21, 0},
	{"an origin's number that is too large", "O\xff\xff\1\0\0\0\0\0\0\0\x01\0h\0\x01\0i\0\0\0", 21, 0},
	{"more tags than there is room for", "O\0\0\1\0\0\0\0\0\0\0\x01\0h\0\x01\0i\0\xff\xff", 21, 0},
	{"a batch of nobody", "B\0\0\0\0\0\0\0\0\x07\0\0\0\x01\1\0\0\0\0\0\0\0", 22, 1},
};

static void payloads_that_cannot_be__are_refused(void **state)
{
	(void)state;
	struct spool_reader *reader = spool_reader_new();
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		unsigned char *exact = malloc(impossible[i].length);
		memcpy(exact, impossible[i].bytes, impossible[i].length);
		struct spool_record record = {.payload = exact,
					      .length = impossible[i].length,
					      .samples = impossible[i].samples,
					      .whole = true};
		const struct cw_batch *batch = NULL;
		int status = record.samples ? spool_read_batch(reader, &record, &batch)
					    : spool_read_description(reader, &record);
		if (status != -EBADMSG || batch)
			fail_msg("%s: %d", impossible[i].what, status);
		free(exact);
	}
	spool_reader_free(reader);
}

/* Sample by sample: what a batch of a known origin and known metrics must not have. Metric 0 is a plain gauge, 1 a
 * histogram with one bound, 2 has a label. */
static const struct {
	const char *what;
	const char *bytes; /* behind kind, time and origin */
	uint32_t length, samples;
	int expected;
} samples[] = {
	{"one of each",
	 "\0\0\1abcdefgh\1\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	 "\2\0\1abcdefgh\1\0x\0",
	 11 + 35 + 15, 3, 0},
	{"its own time", "\0\0\x81timetimeabcdefgh", 19, 1, 0},
	{"fewer than it says", "\0\0\1abcdefgh", 11, 2, -EBADMSG},
	{"more than it says", "\0\0\1abcdefgh\0\0\1abcdefgh", 22, 1, -EBADMSG},
	{"a metric that was not described", "\7\0\1abcdefgh", 11, 1, -EBADMSG},
	{"an unknown number", "\0\0\3abcdefgh", 11, 1, -EBADMSG},
	{"no number", "\0\0\0\0\0\0\0\0\0\xf0\x7f", 11, 1, -EBADMSG}, /* infinite */
	{"buckets of a gauge", "\0\0\2abcdefghabcdefghabcdefgh", 27, 1, -EBADMSG},
	{"a number of a histogram", "\1\0\1abcdefgh", 11, 1, -EBADMSG},
	{"no label", "\2\0\1abcdefgh", 11, 1, -EBADMSG},
	{"a label that is NULL", "\2\0\1abcdefgh\xff\xff", 13, 1, -EBADMSG},
	{"half a value", "\0\0\1abcd", 7, 1, -EBADMSG},
};

static void describe(struct spool_reader *reader, const char *bytes, uint32_t length)
{
	struct spool_record record = {.payload = (const unsigned char *)bytes, .length = length, .whole = true};
	assert_int_equal(spool_read_description(reader, &record), 0);
}

static void samples_that_cannot_be__are_refused_with_their_batch(void **state)
{
	(void)state;
	struct spool_reader *reader = spool_reader_new();
	describe(reader, "O\0\0\1\0\0\0\0\0\0\0\x01\0h\0\x01\0i\0\0\0", 21);
	describe(reader, "M\0\0\0\x01\0a\0\xff\xff\xff\xff\xff\xff\0\0\0", 17);
	describe(reader, "M\1\0\2\x01\0b\0\xff\xff\xff\xff\xff\xff\0\1\0\0\0\0\0\0\0\xf0\x3f", 25);
	describe(reader, "M\2\0\0\x01\0c\0\xff\xff\xff\xff\xff\xff\1\1\0l\0\xff\xff\0\0", 23);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		unsigned char *exact = malloc(11 + samples[i].length);
		memcpy(exact, "B\0\0\0\0\0\0\0\0\0\0", 11);
		memcpy(exact + 11, samples[i].bytes, samples[i].length);
		struct spool_record record = {.payload = exact,
					      .length = 11 + samples[i].length,
					      .samples = samples[i].samples,
					      .whole = true};
		const struct cw_batch *batch = NULL;
		int status = spool_read_batch(reader, &record, &batch);
		if (status != samples[i].expected || (batch != NULL) != (status == 0))
			fail_msg("%s: %d", samples[i].what, status);
		batch_unref(batch);
		free(exact);
	}
	spool_reader_free(reader);
}

static void a_buffer_that_is_full__takes_whole_records_or_nothing(void **state)
{
	const struct written *written = *state;
	for (size_t ceiling = SPOOL_HEAD_BYTES; ceiling < written->ends[1]; ceiling++) {
		struct buffer buffer;
		struct spool_writer *writer = spool_writer_new();
		buffer_init(&buffer, 0, ceiling);
		spool_writer_begin(writer, &buffer);
		int first = spool_write_batch(writer, &buffer, written->batches[0]);
		int second = spool_write_batch(writer, &buffer, written->batches[1]);
		assert_true(second < 0);
		unsigned came = read_segment(written, (const unsigned char *)buffer_text(&buffer), buffer.length, NULL);
		assert_int_equal(came, first == 0 ? 1 : 0);
		spool_writer_free(writer);
		buffer_release(&buffer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read__is_the_same_in_everything),
		cmocka_unit_test(a_sample__costs_eleven_bytes_and_its_labels),
		cmocka_unit_test(cut_at_every_byte__gives_all_that_is_whole_in_front_of_it),
		cmocka_unit_test(every_byte_flipped__costs_what_it_hit),
		cmocka_unit_test(mark__damaged_or_impossible__is_not_read),
		cmocka_unit_test(payloads_that_cannot_be__are_refused),
		cmocka_unit_test(samples_that_cannot_be__are_refused_with_their_batch),
		cmocka_unit_test(a_buffer_that_is_full__takes_whole_records_or_nothing),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, write_segment, free_segment);
}
