/* SPDX-License-Identifier: MIT
 *
 * Whatever lies in a spool's folder: bytes as a segment, or (so that the sums are no wall) as payloads put into one. A
 * batch that can be read can be written and read again.
 */
#include "batch.h"
#include "spool_format.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct cw_batch *batch)
{
	struct buffer buffer;
	struct spool_key key;
	struct spool_record record = {.end = SPOOL_HEAD_BYTES};
	struct spool_writer *writer = spool_writer_new();
	struct spool_reader *reader = spool_reader_new();
	const struct cw_batch *again = NULL;
	buffer_init(&buffer, 0, SPOOL_PAYLOAD_MAX);
	spool_writer_begin(writer, &buffer);
	const unsigned char *bytes;
	if (spool_write_batch(writer, &buffer, batch) < 0 ||
	    !spool_head_read(bytes = (const unsigned char *)buffer_text(&buffer), buffer.length, &key))
		abort();
	while (spool_record_next(&key, bytes, buffer.length, record.end, &record))
		if (!record.whole || (record.samples ? spool_read_batch(reader, &record, &again)
						     : spool_read_description(reader, &record)) < 0)
			abort();
	if (!again || again->samples.count != batch->samples.count || strcmp(again->host, batch->host) != 0)
		abort();
	batch_unref(again);
	spool_reader_free(reader);
	spool_writer_free(writer);
	buffer_release(&buffer);
}

static void read_record(struct spool_reader *reader, const struct spool_record *record)
{
	const struct cw_batch *batch = NULL;
	spool_record_time(record);
	if (!record->samples)
		spool_read_description(reader, record);
	else if (spool_read_batch(reader, record, &batch) == 0)
		write_again(batch);
	batch_unref(batch);
}

static void read_segment(struct spool_reader *reader, const uint8_t *data, size_t size)
{
	struct spool_key key;
	struct spool_mark mark;
	struct spool_record record = {.end = SPOOL_HEAD_BYTES};
	if (!spool_head_read(data, size, &key))
		memset(&key, 0, sizeof key);
	spool_mark_read(data, size, &key, &mark);
	while (spool_record_next(&key, data, size, record.end, &record))
		if (record.whole)
			read_record(reader, &record);
}

/* length (2 bytes), samples (1 byte), payload; and so on */
static void read_payloads(struct spool_reader *reader, const uint8_t *data, size_t size)
{
	while (size > 3) {
		size_t length = data[0] | (size_t)data[1] << 8, rest = size - 3;
		if (length > rest)
			length = rest;
		struct spool_record record = {
			.payload = data + 3, .length = (uint32_t)length, .samples = data[2], .whole = true};
		read_record(reader, &record);
		data += 3 + length;
		size = rest - length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || sodium_init() < 0)
		return 0;
	struct spool_reader *reader = spool_reader_new();
	(data[0] & 1 ? read_payloads : read_segment)(reader, data + 1, size - 1);
	spool_reader_free(reader);
	return 0;
}
