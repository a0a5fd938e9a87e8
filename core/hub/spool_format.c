/* SPDX-License-Identifier: MIT
 *
 * See spool_format.h. Each kind of payload is written by one put_… function and read by one get_… function, in the same
 * order; change both. A payload is read through a cursor that fails once and stays failed, so that a reading function
 * looks at the end only.
 *
 * Why a format of our own: the samples of a batch share metric, host, tags and mostly the time, and a spool is as good
 * as the number of samples that fit into it. JSON or MessagePack would say all of it again for each sample.
 */
#include "spool_format.h"

#include "batch.h"
#include "metric.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	ORDER = 0x01020304,
	NUMBERS_MAX = 65535, /* of metrics described in a segment … */
	ORIGINS_MAX = 1024,  /* … and of origins */
	NO_TEXT = 0xffff,
	OWN_TIME = 0x80,
	SAMPLE_BYTES_MIN = 11, /* in a payload: bounds what a record may say it has */
};

enum payload_kind { METRIC = 'M', ORIGIN = 'O', BATCH = 'B' };

static const char magic[8] = {'c', 'w', 's', 'p', 'o', 'o', 'l', '1'};

struct head {
	char magic[8];
	uint32_t order, zero;
	struct spool_key key;
	uint64_t sum;
	unsigned char mark[SPOOL_MARK_BYTES];
};
_Static_assert(sizeof(struct head) == SPOOL_HEAD_BYTES, "a head is written as it lies in memory");

struct prefix {
	uint32_t length, samples, payload_sum, sum;
};
_Static_assert(sizeof(struct prefix) == SPOOL_RECORD_BYTES, "a record's prefix is written as it lies in memory");
_Static_assert(sizeof(struct spool_key) == crypto_shorthash_KEYBYTES, "the key is SipHash's");

static uint64_t sum_of(const struct spool_key *key, const void *bytes, size_t length)
{
	unsigned char hash[crypto_shorthash_BYTES];
	uint64_t sum;
	crypto_shorthash(hash, bytes, length, key->bytes);
	memcpy(&sum, hash, sizeof(sum));
	return sum;
}

/* ---- head and mark ---- */

void spool_head_write(struct buffer *out, struct spool_key *ret_key)
{
	struct head head = {.order = ORDER};
	memcpy(head.magic, magic, sizeof(magic));
	randombytes_buf(&head.key, sizeof(head.key));
	head.sum = sum_of(&head.key, &head, offsetof(struct head, sum));
	spool_mark_write(head.mark, &head.key, &(struct spool_mark){.offset = SPOOL_HEAD_BYTES});
	buffer_bytes(out, (const char *)&head, sizeof(head));
	*ret_key = head.key;
}

bool spool_head_read(const unsigned char *bytes, size_t length, struct spool_key *ret_key)
{
	struct head head;
	if (length < sizeof(head))
		return false;
	memcpy(&head, bytes, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.order != ORDER ||
	    head.sum != sum_of(&head.key, &head, offsetof(struct head, sum)))
		return false;
	*ret_key = head.key;
	return true;
}

void spool_mark_write(unsigned char bytes[SPOOL_MARK_BYTES], const struct spool_key *key, const struct spool_mark *mark)
{
	uint64_t words[3] = {mark->offset, mark->samples};
	words[2] = sum_of(key, words, 2 * sizeof(words[0]));
	memcpy(bytes, words, sizeof(words));
}

bool spool_mark_read(const unsigned char *bytes, size_t length, const struct spool_key *key,
		     struct spool_mark *ret_mark)
{
	uint64_t words[3];
	if (length < SPOOL_HEAD_BYTES)
		return false;
	memcpy(words, bytes + SPOOL_MARK_OFFSET, sizeof(words));
	if (words[2] != sum_of(key, words, 2 * sizeof(words[0])) || words[0] < SPOOL_HEAD_BYTES)
		return false;
	*ret_mark = (struct spool_mark){.offset = words[0], .samples = words[1]};
	return true;
}

/* ---- records ---- */

static void prefix_write(unsigned char *bytes, const struct spool_key *key, const void *payload, uint32_t length,
			 uint32_t samples)
{
	struct prefix prefix = {.length = length, .samples = samples};
	prefix.payload_sum = (uint32_t)sum_of(key, payload, length);
	prefix.sum = (uint32_t)sum_of(key, &prefix, offsetof(struct prefix, sum));
	memcpy(bytes, &prefix, sizeof(prefix));
}

/* Is there a prefix at `offset`, and does it say something that can be? */
static bool prefix_read(const struct spool_key *key, const unsigned char *bytes, size_t length, size_t offset,
			struct prefix *ret_prefix)
{
	if (length - offset < sizeof(*ret_prefix))
		return false;
	memcpy(ret_prefix, bytes + offset, sizeof(*ret_prefix));
	return ret_prefix->length > 0 && ret_prefix->length <= SPOOL_PAYLOAD_MAX &&
	       ret_prefix->samples <= ret_prefix->length / SAMPLE_BYTES_MIN &&
	       ret_prefix->sum == (uint32_t)sum_of(key, ret_prefix, offsetof(struct prefix, sum));
}

static bool record_at(const struct spool_key *key, const unsigned char *bytes, size_t length, size_t offset,
		      struct spool_record *ret_record)
{
	struct prefix prefix;
	if (!prefix_read(key, bytes, length, offset, &prefix))
		return false;
	size_t start = offset + sizeof(prefix), rest = length - start;
	bool cut = prefix.length > rest;
	*ret_record = (struct spool_record){.offset = offset,
					    .end = cut ? length : start + prefix.length,
					    .payload = bytes + start,
					    .length = prefix.length,
					    .samples = prefix.samples};
	ret_record->whole = !cut && prefix.payload_sum == (uint32_t)sum_of(key, bytes + start, prefix.length);
	return true;
}

bool spool_record_next(const struct spool_key *key, const unsigned char *bytes, size_t length, size_t offset,
		       struct spool_record *ret_record)
{
	if (offset >= length)
		return false;
	if (record_at(key, bytes, length, offset, ret_record))
		return true;
	while (++offset < length)
		if (record_at(key, bytes, length, offset, ret_record) && ret_record->whole)
			return true;
	return false;
}

/* ---- writing ---- */

struct described {
	const struct cw_metric *metric; /* NULL: free */
	uint16_t number;
};

struct origin {
	char *host, *instance;
	int64_t interval;
	struct cw_tag *tags;
	uint32_t tags_count;
};

struct spool_writer {
	struct spool_key key;
	struct described *metrics; /* by hash of the pointer; size is a power of two, at most half full */
	uint32_t metrics_size, metrics_count;
	struct origin *origins;
	uint32_t origins_count, last_origin;
};

static void origin_release(struct origin *origin)
{
	free(origin->host);
	free(origin->instance);
	for (uint32_t i = 0; origin->tags && i < origin->tags_count; i++) {
		free((char *)(uintptr_t)origin->tags[i].name);
		free((char *)(uintptr_t)origin->tags[i].value);
	}
	free(origin->tags);
}

static void forget_origins(struct spool_writer *writer)
{
	for (uint32_t i = 0; i < writer->origins_count; i++)
		origin_release(&writer->origins[i]);
	writer->origins_count = writer->last_origin = 0;
}

struct spool_writer *spool_writer_new(void)
{
	struct spool_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return NULL;
	writer->metrics_size = 64;
	writer->metrics = calloc(writer->metrics_size, sizeof(*writer->metrics));
	writer->origins = calloc(ORIGINS_MAX, sizeof(*writer->origins));
	if (!writer->metrics || !writer->origins) {
		spool_writer_free(writer);
		return NULL;
	}
	return writer;
}

void spool_writer_free(struct spool_writer *writer)
{
	if (!writer)
		return;
	if (writer->origins)
		forget_origins(writer);
	free(writer->origins);
	free(writer->metrics);
	free(writer);
}

void spool_writer_begin(struct spool_writer *writer, struct buffer *out)
{
	forget_origins(writer);
	memset(writer->metrics, 0, writer->metrics_size * sizeof(*writer->metrics));
	writer->metrics_count = 0;
	spool_head_write(out, &writer->key);
}

static void put(struct buffer *out, const void *value, size_t size)
{
	buffer_bytes(out, value, size);
}

static void put_8(struct buffer *out, unsigned value)
{
	unsigned char byte = (unsigned char)value;
	put(out, &byte, sizeof(byte));
}

static void put_16(struct buffer *out, uint32_t value)
{
	uint16_t word = (uint16_t)value;
	put(out, &word, sizeof(word));
}

/* Longer ones than a source can give are cut, so that they can be read back. */
static void put_text(struct buffer *out, const char *text)
{
	if (!text) {
		put_16(out, NO_TEXT);
		return;
	}
	size_t length = strnlen(text, NO_TEXT - 1);
	put_16(out, (uint32_t)length);
	put(out, text, length);
	put_8(out, 0);
}

static void put_label_description(struct buffer *out, const struct cw_label *label)
{
	uint32_t count = 0;
	while (label->values && label->values[count] && count < NO_TEXT - 1)
		count++;
	put_text(out, label->name);
	put_16(out, label->values ? count : NO_TEXT);
	for (uint32_t i = 0; i < count; i++)
		put_text(out, label->values[i]);
}

static void put_metric(struct buffer *out, const struct cw_metric *metric, uint16_t number)
{
	uint32_t labels = cw_label_count(metric);
	put_8(out, METRIC);
	put_16(out, number);
	put_8(out, metric->kind);
	put_text(out, metric->name);
	put_text(out, metric->unit);
	put_text(out, metric->help);
	put_text(out, metric->collectd_type);
	put_8(out, labels);
	for (uint32_t i = 0; i < labels; i++)
		put_label_description(out, &metric->labels[i]);
	put_16(out, metric->bounds_count);
	for (uint32_t i = 0; i < metric->bounds_count; i++)
		put(out, &metric->bounds[i], sizeof(metric->bounds[i]));
}

static void put_origin(struct buffer *out, const struct cw_batch *batch, uint16_t number)
{
	put_8(out, ORIGIN);
	put_16(out, number);
	put(out, &batch->interval, sizeof(batch->interval));
	put_text(out, batch->host);
	put_text(out, batch->instance);
	put_16(out, batch->tags.count);
	for (uint32_t i = 0; i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		put_text(out, tag->name);
		put_text(out, tag->value);
	}
}

/* A record is begun with room for its prefix, and ended when its payload is there. */
static size_t record_begin(struct buffer *out)
{
	static const char room[SPOOL_RECORD_BYTES];
	size_t start = out->length;
	buffer_bytes(out, room, sizeof(room));
	return start;
}

static int record_end(const struct spool_writer *writer, struct buffer *out, size_t start, uint32_t samples)
{
	size_t length = out->length - start - SPOOL_RECORD_BYTES;
	if (out->failed || length > SPOOL_PAYLOAD_MAX) {
		buffer_cut(out, start);
		return -ENOMEM;
	}
	unsigned char *bytes = (unsigned char *)buffer_text(out) + start;
	prefix_write(bytes, &writer->key, bytes + SPOOL_RECORD_BYTES, (uint32_t)length, samples);
	return 0;
}

/* The metric's place: taken by it, or free. Pointers are no stranger's to choose. */
static struct described *metric_place(const struct spool_writer *writer, const struct cw_metric *metric)
{
	uint32_t mask = writer->metrics_size - 1;
	uint32_t at = (uint32_t)(((uintptr_t)metric >> 3) * 2654435761U) & mask;
	while (writer->metrics[at].metric && writer->metrics[at].metric != metric)
		at = (at + 1) & mask;
	return &writer->metrics[at];
}

static bool metrics_grow(struct spool_writer *writer)
{
	if ((writer->metrics_count + 1) * 2 <= writer->metrics_size)
		return true;
	struct described *before = writer->metrics, *bigger = calloc((size_t)writer->metrics_size * 2, sizeof(*bigger));
	if (!bigger)
		return false;
	uint32_t size = writer->metrics_size;
	writer->metrics = bigger;
	writer->metrics_size *= 2;
	for (uint32_t i = 0; i < size; i++)
		if (before[i].metric)
			*metric_place(writer, before[i].metric) = before[i];
	free(before);
	return true;
}

static int describe_metric(struct spool_writer *writer, struct buffer *out, const struct cw_metric *metric)
{
	if (metric_place(writer, metric)->metric)
		return 0;
	if (writer->metrics_count >= NUMBERS_MAX)
		return -ENOSPC;
	if (!metrics_grow(writer))
		return -ENOMEM;
	uint16_t number = (uint16_t)writer->metrics_count;
	size_t start = record_begin(out);
	put_metric(out, metric, number);
	int status = record_end(writer, out, start, /* samples */ 0);
	if (status < 0)
		return status;
	*metric_place(writer, metric) = (struct described){metric, number};
	writer->metrics_count++;
	return 0;
}

static bool is_of(const struct origin *origin, const struct cw_batch *batch)
{
	if (origin->interval != batch->interval || origin->tags_count != batch->tags.count ||
	    strcmp(origin->instance, batch->instance) != 0 || strcmp(origin->host, batch->host) != 0)
		return false;
	for (uint32_t i = 0; i < origin->tags_count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		if (strcmp(origin->tags[i].name, tag->name) != 0 || strcmp(origin->tags[i].value, tag->value) != 0)
			return false;
	}
	return true;
}

static int origin_copy(struct origin *origin, const struct cw_batch *batch)
{
	*origin = (struct origin){.host = strdup(batch->host),
				  .instance = strdup(batch->instance),
				  .interval = batch->interval,
				  .tags = calloc(batch->tags.count + 1, sizeof(struct cw_tag))};
	bool whole = origin->host && origin->instance && origin->tags;
	for (uint32_t i = 0; whole && i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		origin->tags[i] = (struct cw_tag){strdup(tag->name), strdup(tag->value)};
		origin->tags_count++;
		whole = origin->tags[i].name && origin->tags[i].value;
	}
	if (!whole)
		origin_release(origin);
	return whole ? 0 : -ENOMEM;
}

/* Leaves the origin's number in last_origin: most batches come from the source of the one before or are few. */
static int describe_origin(struct spool_writer *writer, struct buffer *out, const struct cw_batch *batch)
{
	for (uint32_t i = 0; i < writer->origins_count; i++) {
		uint32_t at = (writer->last_origin + i) % writer->origins_count;
		if (is_of(&writer->origins[at], batch)) {
			writer->last_origin = at;
			return 0;
		}
	}
	if (writer->origins_count >= ORIGINS_MAX)
		return -ENOSPC;
	struct origin *origin = &writer->origins[writer->origins_count];
	if (origin_copy(origin, batch) < 0)
		return -ENOMEM;
	size_t start = record_begin(out);
	put_origin(out, batch, (uint16_t)writer->origins_count);
	int status = record_end(writer, out, start, /* samples */ 0);
	if (status < 0)
		origin_release(origin);
	else
		writer->last_origin = writer->origins_count++;
	return status;
}

static void put_number(struct buffer *out, const struct cw_sample *sample)
{
	if (sample->number == CW_INTEGER) {
		put(out, &sample->integer, sizeof(sample->integer));
	} else if (sample->number == CW_DOUBLE) {
		put(out, &sample->real, sizeof(sample->real));
	} else {
		const struct cw_histogram *histogram = sample->histogram;
		put(out, &histogram->count, sizeof(histogram->count));
		put(out, &histogram->sum, sizeof(histogram->sum));
		put(out, histogram->buckets, ((size_t)sample->metric->bounds_count + 1) * sizeof(*histogram->buckets));
	}
}

static void put_sample(const struct spool_writer *writer, struct buffer *out, const struct cw_sample *sample,
		       int64_t time)
{
	put_16(out, metric_place(writer, sample->metric)->number);
	put_8(out, (unsigned)sample->number | (sample->time != time ? OWN_TIME : 0));
	if (sample->time != time)
		put(out, &sample->time, sizeof(sample->time));
	put_number(out, sample);
	uint32_t labels = cw_label_count(sample->metric);
	for (uint32_t i = 0; i < labels; i++)
		put_text(out, sample->labels[i]);
}

int spool_write_batch(struct spool_writer *writer, struct buffer *out, const struct cw_batch *batch)
{
	int status = describe_origin(writer, out, batch);
	for (uint32_t i = 0; status == 0 && i < batch->samples.count; i++)
		status = describe_metric(writer, out, ((const struct cw_sample *)cw_at(&batch->samples, i))->metric);
	if (status < 0)
		return status;
	int64_t time = ((const struct cw_sample *)cw_at(&batch->samples, 0))->time;
	size_t start = record_begin(out);
	put_8(out, BATCH);
	put(out, &time, sizeof(time));
	put_16(out, writer->last_origin);
	for (uint32_t i = 0; i < batch->samples.count; i++)
		put_sample(writer, out, cw_at(&batch->samples, i), time);
	return record_end(writer, out, start, batch->samples.count);
}

/* ---- reading ---- */

struct spool_reader {
	const struct cw_metric **metrics; /* by number; NULL: not described. Kept for good by metric.h */
	uint32_t metrics_room;
	struct batch_builder *origins[ORIGINS_MAX]; /* by number; NULL: not described */
};

struct cursor {
	const unsigned char *at, *end;
	bool failed; /* read past the end, or what cannot be */
};

struct spool_reader *spool_reader_new(void)
{
	return calloc(1, sizeof(struct spool_reader));
}

void spool_reader_begin(struct spool_reader *reader)
{
	free(reader->metrics);
	reader->metrics = NULL;
	reader->metrics_room = 0;
	for (uint32_t i = 0; i < ORIGINS_MAX; i++) {
		batch_builder_free(reader->origins[i]);
		reader->origins[i] = NULL;
	}
}

void spool_reader_free(struct spool_reader *reader)
{
	if (!reader)
		return;
	spool_reader_begin(reader);
	free(reader);
}

/* The next bytes, borrowed; NULL: there are not as many. */
static const void *get_bytes(struct cursor *in, size_t size)
{
	if (in->failed || (size_t)(in->end - in->at) < size) {
		in->failed = true;
		return NULL;
	}
	const void *bytes = in->at;
	in->at += size;
	return bytes;
}

static void get(struct cursor *in, void *value, size_t size)
{
	const void *bytes = get_bytes(in, size);
	if (bytes)
		memcpy(value, bytes, size);
	else
		memset(value, 0, size);
}

static unsigned get_8(struct cursor *in)
{
	unsigned char byte;
	get(in, &byte, sizeof(byte));
	return byte;
}

static uint32_t get_16(struct cursor *in)
{
	uint16_t word;
	get(in, &word, sizeof(word));
	return word;
}

/* Borrowed; NULL also when it fails. */
static const char *get_text(struct cursor *in)
{
	uint32_t length = get_16(in);
	if (length == NO_TEXT)
		return NULL;
	const char *text = get_bytes(in, (size_t)length + 1);
	if (text && strnlen(text, (size_t)length + 1) == length)
		return text;
	in->failed = true;
	return NULL;
}

static const char *get_text_always(struct cursor *in)
{
	const char *text = get_text(in);
	if (!text)
		in->failed = true;
	return text;
}

/* Memory that a description needs while it is read, besides the payload itself. */
struct unpacked {
	const char **lists; /* of label values, one behind the other; a place for every three bytes of the payload, for
			       no text is shorter, and for the ends */
	double *bounds;     /* aligned */
};

static int unpacked_new(struct unpacked *unpacked, size_t payload)
{
	unpacked->lists = calloc(payload / 3 + CW_LABELS_MAX + 1, sizeof(*unpacked->lists));
	unpacked->bounds = calloc(payload / sizeof(double) + 1, sizeof(double));
	return unpacked->lists && unpacked->bounds ? 0 : -ENOMEM;
}

static void unpacked_free(struct unpacked *unpacked)
{
	free(unpacked->lists);
	free(unpacked->bounds);
}

/* Takes what it needs from the lists' room. */
static void get_label_description(struct cursor *in, struct cw_label *label, const char ***lists)
{
	label->name = get_text_always(in);
	uint32_t count = get_16(in);
	if (count == NO_TEXT)
		return;
	label->values = *lists;
	for (uint32_t i = 0; i < count && !in->failed; i++)
		*(*lists)++ = get_text_always(in);
	*(*lists)++ = NULL;
}

static void get_description(struct cursor *in, struct cw_metric *metric, const struct unpacked *unpacked)
{
	const char **lists = unpacked->lists;
	metric->kind = (enum cw_kind)get_8(in);
	metric->name = get_text_always(in);
	metric->unit = get_text(in);
	metric->help = get_text(in);
	metric->collectd_type = get_text(in);
	uint32_t labels = get_8(in);
	in->failed = in->failed || labels > CW_LABELS_MAX;
	for (uint32_t i = 0; i < labels && !in->failed; i++)
		get_label_description(in, &metric->labels[i], &lists);
	metric->bounds_count = get_16(in);
	const void *bounds = get_bytes(in, metric->bounds_count * sizeof(double));
	if (bounds && metric->bounds_count)
		metric->bounds = memcpy(unpacked->bounds, bounds, metric->bounds_count * sizeof(double));
	in->failed = in->failed || in->at != in->end;
}

static bool metrics_reach(struct spool_reader *reader, uint32_t number)
{
	if (number < reader->metrics_room)
		return true;
	uint32_t room = number * 2 > 64 ? number * 2 : 64;
	const struct cw_metric **bigger = realloc(reader->metrics, room * sizeof(*bigger));
	if (!bigger)
		return false;
	memset(bigger + reader->metrics_room, 0, (room - reader->metrics_room) * sizeof(*bigger));
	reader->metrics = bigger;
	reader->metrics_room = room;
	return true;
}

static int keep_metric(struct spool_reader *reader, uint32_t number, const struct cw_metric *metric)
{
	char error[METRIC_ERROR_MAX];
	if (metric_check(metric, /* free_labels */ true, error) < 0)
		return -EBADMSG;
	if (!metrics_reach(reader, number))
		return -ENOMEM;
	reader->metrics[number] = metric_keep(metric);
	return reader->metrics[number] ? 0 : -EBADMSG; /* there are too many for good: to try again helps nobody */
}

static int get_metric(struct spool_reader *reader, struct cursor *in)
{
	struct unpacked unpacked;
	struct cw_metric metric = {.name = NULL};
	uint32_t number = get_16(in);
	int status = unpacked_new(&unpacked, (size_t)(in->end - in->at));
	if (status == 0) {
		get_description(in, &metric, &unpacked);
		status = in->failed ? -EBADMSG : keep_metric(reader, number, &metric);
	}
	unpacked_free(&unpacked);
	return status;
}

static int keep_origin(struct spool_reader *reader, uint32_t number, const struct cw_batch *like)
{
	if (number >= ORIGINS_MAX || like->interval <= 0)
		return -EBADMSG;
	batch_builder_free(reader->origins[number]);
	reader->origins[number] =
		batch_builder_new(like->host, like->instance, like->interval, like->tags.items, like->tags.count);
	return reader->origins[number] ? 0 : -ENOMEM;
}

static int get_origin(struct spool_reader *reader, struct cursor *in)
{
	uint32_t number = get_16(in);
	struct cw_batch like = {.host = NULL};
	get(in, &like.interval, sizeof(like.interval));
	like.host = get_text_always(in);
	like.instance = get_text_always(in);
	uint32_t count = get_16(in);
	if (count > (size_t)(in->end - in->at) / 2)
		return -EBADMSG;
	struct cw_tag *tags = calloc((size_t)count + 1, sizeof(*tags));
	if (!tags)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		tags[i].name = get_text_always(in);
		tags[i].value = get_text_always(in);
	}
	like.tags = (struct cw_array){tags, count, (uint32_t)sizeof(*tags)};
	int status = in->failed || in->at != in->end ? -EBADMSG : keep_origin(reader, number, &like);
	free(tags);
	return status;
}

int spool_read_description(struct spool_reader *reader, const struct spool_record *record)
{
	struct cursor in = {.at = record->payload, .end = record->payload + record->length};
	switch (get_8(&in)) {
	case METRIC:
		return get_metric(reader, &in);
	case ORIGIN:
		return get_origin(reader, &in);
	default:
		return -EBADMSG;
	}
}

static void get_buckets(struct cursor *in, uint32_t count, uint64_t *buckets, struct cw_histogram *histogram)
{
	get(in, &histogram->count, sizeof(histogram->count));
	get(in, &histogram->sum, sizeof(histogram->sum));
	get(in, buckets, count * sizeof(*buckets));
	histogram->buckets = buckets;
}

static int get_sample(struct cursor *in, const struct spool_reader *reader, struct batch_builder *builder, int64_t time)
{
	enum { BUCKETS_MAX = 65 }; /* metric_check() allows 64 bounds */
	uint32_t number = get_16(in);
	unsigned flags = get_8(in);
	const struct cw_metric *metric = number < reader->metrics_room ? reader->metrics[number] : NULL;
	if (in->failed || !metric)
		return -EBADMSG;
	if (flags & OWN_TIME)
		get(in, &time, sizeof(time));
	enum cw_number kind = (enum cw_number)(flags & ~(unsigned)OWN_TIME);
	double real = 0;
	int64_t integer = 0;
	uint64_t buckets[BUCKETS_MAX];
	struct cw_histogram histogram = {.buckets = buckets};
	if (kind == CW_BUCKETS && metric->bounds_count < BUCKETS_MAX)
		get_buckets(in, metric->bounds_count + 1, buckets, &histogram);
	else
		get(in, kind == CW_DOUBLE ? (void *)&real : &integer, sizeof(integer));
	const char *labels[CW_LABELS_MAX];
	uint32_t count = cw_label_count(metric);
	for (uint32_t i = 0; i < count; i++)
		labels[i] = get_text_always(in);
	if (in->failed)
		return -EBADMSG;
	int status = batch_add_again(builder, metric, labels, time, kind, real, integer, &histogram);
	return status == 0 || status == -ENOMEM ? status : -EBADMSG;
}

int spool_read_batch(struct spool_reader *reader, const struct spool_record *record, const struct cw_batch **ret_batch)
{
	struct cursor in = {.at = record->payload, .end = record->payload + record->length};
	int64_t time;
	unsigned kind = get_8(&in);
	get(&in, &time, sizeof(time));
	uint32_t number = get_16(&in);
	struct batch_builder *builder = number < ORIGINS_MAX ? reader->origins[number] : NULL;
	if (kind != BATCH || in.failed || !builder)
		return -EBADMSG;
	int status = 0;
	for (uint32_t i = 0; i < record->samples && status == 0; i++)
		status = get_sample(&in, reader, builder, time);
	if (status == 0 && in.at != in.end)
		status = -EBADMSG;
	const struct cw_batch *batch = batch_take(builder); /* also to empty the builder */
	if (status == 0 && !batch)
		status = -ENOMEM;
	if (status == 0)
		*ret_batch = batch;
	else
		batch_unref(batch);
	return status;
}

int64_t spool_record_time(const struct spool_record *record)
{
	struct cursor in = {.at = record->payload, .end = record->payload + record->length};
	int64_t time;
	unsigned kind = get_8(&in);
	get(&in, &time, sizeof(time));
	return kind == BATCH ? time : 0;
}
