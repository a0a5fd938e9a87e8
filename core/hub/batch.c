/* SPDX-License-Identifier: MIT
 *
 * See batch.h. A batch is one malloc block, cut up once its size is known:
 *
 *     block (references, struct cw_batch) | tags | samples | label pointers | histograms | buckets | texts
 *
 * The builder keeps samples with offsets into two growing arenas (texts, buckets) and turns offsets into pointers when
 * the batch is taken. It also finds collisions: an instance's name is unique and a reading is one batch with one time,
 * so two of its samples can only land on one series at one time within the batch, and a set over (metric, labels, time)
 * here is enough (samples with a time of their own: recent.h). The set is keyed, because a label's value may be a
 * stranger's.
 */
#include "batch.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct block {
	_Atomic int references;
	const struct cw_batch *whole; /* of a selection: the batch whose strings it shares */
	struct cw_batch batch;
};

struct entry {
	const struct cw_metric *metric;
	int64_t time;
	enum cw_number number;
	double real; /* of buckets: the sum */
	int64_t integer;
	uint64_t count;
	size_t labels[CW_LABELS_MAX]; /* offsets in texts */
	size_t buckets;               /* offset in buckets */
};

struct place {
	uint32_t entry; /* index + 1; 0: free */
	uint32_t hash;  /* so that most of those that are another need not be looked at */
};

struct batch_builder {
	struct block *head; /* host, instance, interval and tags, ready to be copied; owns their strings */
	size_t head_texts;  /* bytes of those strings */

	struct entry *entries;
	uint32_t count;
	size_t room;
	char *texts;
	size_t texts_length, texts_room;
	uint64_t *buckets;
	size_t buckets_length, buckets_room;
	uint32_t labels_count, histograms_count;

	struct place *set; /* size is a power of two, at most half full */
	uint32_t set_size;
	unsigned char key[crypto_shorthash_KEYBYTES];
};

/* The array with room for `more` elements, *room adjusted; NULL: no memory, nothing changed. */
static void *grow(void *array, size_t *room, size_t length, size_t more, size_t element)
{
	if (array && *room - length >= more)
		return array;
	size_t wanted = *room * 2 > length + more ? *room * 2 : length + more + 16;
	void *bigger = realloc(array, wanted * element);
	if (bigger)
		*room = wanted;
	return bigger;
}

static char *append_text(char **end, const char *text, size_t length)
{
	char *start = *end;
	memcpy(start, text, length);
	start[length] = 0;
	*end = start + length + 1;
	return start;
}

/* Host, instance and tags as a block without samples. */
static struct block *head_new(const struct cw_batch *like, size_t *ret_texts)
{
	size_t texts = strlen(like->host) + strlen(like->instance) + 2;
	for (uint32_t i = 0; i < like->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&like->tags, i);
		texts += strlen(tag->name) + strlen(tag->value) + 2;
	}
	struct block *block = calloc(1, sizeof(*block) + like->tags.count * sizeof(struct cw_tag) + texts);
	if (!block)
		return NULL;
	struct cw_tag *tags = (struct cw_tag *)(block + 1);
	char *end = (char *)(tags + like->tags.count);
	block->batch.host = append_text(&end, like->host, strlen(like->host));
	block->batch.instance = append_text(&end, like->instance, strlen(like->instance));
	block->batch.interval = like->interval;
	block->batch.tags = (struct cw_array){tags, like->tags.count, (uint32_t)sizeof(*tags)};
	for (uint32_t i = 0; i < like->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&like->tags, i);
		tags[i].name = append_text(&end, tag->name, strlen(tag->name));
		tags[i].value = append_text(&end, tag->value, strlen(tag->value));
	}
	*ret_texts = texts;
	return block;
}

struct batch_builder *batch_builder_new(const char *host, const char *instance, int64_t interval,
					const struct cw_tag *tags, uint32_t tags_count)
{
	struct batch_builder *builder = calloc(1, sizeof(*builder));
	if (!builder)
		return NULL;
	struct cw_batch like = {.host = host, .instance = instance, .interval = interval};
	like.tags = (struct cw_array){tags, tags_count, (uint32_t)sizeof(*tags)};
	builder->head = head_new(&like, &builder->head_texts);
	builder->set_size = 64;
	builder->set = calloc(builder->set_size, sizeof(*builder->set));
	if (!builder->head || !builder->set) {
		batch_builder_free(builder);
		return NULL;
	}
	crypto_shorthash_keygen(builder->key);
	return builder;
}

void batch_builder_free(struct batch_builder *builder)
{
	if (!builder)
		return;
	free(builder->head);
	free(builder->entries);
	free(builder->texts);
	free(builder->buckets);
	free(builder->set);
	free(builder);
}

size_t batch_label_length(const char *value)
{
	size_t length = strnlen(value, BATCH_LABEL_MAX + 1);
	if (length <= BATCH_LABEL_MAX)
		return length;
	length = BATCH_LABEL_MAX;
	while (length > BATCH_LABEL_MAX - 3 && ((unsigned char)value[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* One hash for all: the texts of an entry's labels stand one behind the other, each with its zero byte; metric and time
 * go into the key. */
static uint32_t entry_hash(const struct batch_builder *builder, const struct entry *entry)
{
	unsigned char hash[crypto_shorthash_BYTES];
	uint64_t key[2], value, metric = (uintptr_t)entry->metric, time = (uint64_t)entry->time;
	uint32_t labels = cw_label_count(entry->metric);
	const char *texts = labels ? builder->texts + entry->labels[0] : "";
	const char *last = labels ? builder->texts + entry->labels[labels - 1] : texts;
	_Static_assert(sizeof(key) == crypto_shorthash_KEYBYTES, "two halves");
	memcpy(key, builder->key, sizeof(key));
	key[0] ^= metric;
	key[1] ^= time;
	crypto_shorthash(hash, (const unsigned char *)texts, (size_t)(last - texts) + strlen(last),
			 (const unsigned char *)key);
	memcpy(&value, hash, sizeof(value));
	return (uint32_t)value;
}

static bool same_series(const struct batch_builder *builder, const struct entry *a, const struct entry *b)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): without entries the set is empty */
	if (a->metric != b->metric || a->time != b->time)
		return false;
	uint32_t labels = cw_label_count(a->metric);
	for (uint32_t i = 0; i < labels; i++)
		if (strcmp(builder->texts + a->labels[i], builder->texts + b->labels[i]) != 0)
			return false;
	return true;
}

/* The set's place for the entry: taken by its equal, or free. */
static struct place *set_place(const struct batch_builder *builder, const struct entry *entry, uint32_t hash)
{
	uint32_t mask = builder->set_size - 1, at = hash & mask;
	struct place *place = &builder->set[at];
	while (place->entry &&
	       (place->hash != hash || !same_series(builder, &builder->entries[place->entry - 1], entry)))
		place = &builder->set[at = (at + 1) & mask];
	return place;
}

static bool set_grow(struct batch_builder *builder)
{
	if ((builder->count + 1) * 2 <= builder->set_size)
		return true;
	uint32_t size = builder->set_size * 2;
	struct place *bigger = calloc(size, sizeof(*bigger));
	if (!bigger)
		return false;
	for (uint32_t i = 0; i < builder->set_size; i++) {
		uint32_t at = builder->set[i].hash & (size - 1);
		if (!builder->set[i].entry)
			continue;
		while (bigger[at].entry)
			at = (at + 1) & (size - 1);
		bigger[at] = builder->set[i];
	}
	free(builder->set);
	builder->set = bigger;
	builder->set_size = size;
	return true;
}

static bool is_value(enum cw_number number, double real, const struct cw_metric *metric,
		     const struct cw_histogram *histogram)
{
	switch (number) {
	case CW_INTEGER:
		return metric->kind != CW_HISTOGRAM;
	case CW_DOUBLE:
		return metric->kind != CW_HISTOGRAM && isfinite(real);
	case CW_BUCKETS:
		return metric->kind == CW_HISTOGRAM && histogram && isfinite(histogram->sum);
	}
	return false;
}

static int add_labels(struct batch_builder *builder, struct entry *entry, const char *const *labels)
{
	uint32_t count = cw_label_count(entry->metric);
	for (uint32_t i = 0; i < count; i++) {
		if (!labels || !labels[i])
			return -EINVAL;
		size_t length = batch_label_length(labels[i]);
		char *texts = grow(builder->texts, &builder->texts_room, builder->texts_length, length + 1, 1);
		if (!texts)
			return -ENOMEM;
		builder->texts = texts;
		entry->labels[i] = builder->texts_length;
		memcpy(builder->texts + builder->texts_length, labels[i], length);
		builder->texts[builder->texts_length + length] = 0;
		builder->texts_length += length + 1;
	}
	return 0;
}

static int add_buckets(struct batch_builder *builder, struct entry *entry, const struct cw_histogram *histogram)
{
	size_t n = (size_t)entry->metric->bounds_count + 1;
	uint64_t *buckets =
		grow(builder->buckets, &builder->buckets_room, builder->buckets_length, n, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	builder->buckets = buckets;
	entry->buckets = builder->buckets_length;
	entry->real = histogram->sum;
	entry->count = histogram->count;
	memcpy(builder->buckets + builder->buckets_length, histogram->buckets, n * sizeof(uint64_t));
	builder->buckets_length += n;
	return 0;
}

/* `alone`: nothing like it may be there already. */
static int add_entry(struct batch_builder *builder, struct entry *entry, const char *const *labels,
		     const struct cw_histogram *histogram, bool alone)
{
	struct entry *entries = grow(builder->entries, &builder->room, builder->count, 1, sizeof(*entry));
	if (!entries)
		return -ENOMEM;
	builder->entries = entries;
	if (!set_grow(builder))
		return -ENOMEM;
	int status = add_labels(builder, entry, labels);
	if (status < 0)
		return status;
	uint32_t hash = alone ? entry_hash(builder, entry) : 0;
	struct place *place = alone ? set_place(builder, entry, hash) : NULL;
	if (place && place->entry)
		return -EEXIST;
	if (histogram && (status = add_buckets(builder, entry, histogram)) < 0)
		return status;
	builder->entries[builder->count++] = *entry;
	if (place)
		*place = (struct place){builder->count, hash};
	builder->labels_count += cw_label_count(entry->metric);
	builder->histograms_count += histogram != NULL;
	return 0;
}

static int add(struct batch_builder *builder, struct entry *entry, const char *const *labels,
	       const struct cw_histogram *histogram, bool alone)
{
	if (!is_value(entry->number, entry->real, entry->metric, histogram))
		return -EINVAL;
	size_t texts_before = builder->texts_length;
	int status = add_entry(builder, entry, labels, entry->number == CW_BUCKETS ? histogram : NULL, alone);
	if (status < 0)
		builder->texts_length = texts_before;
	return status;
}

int batch_add(struct batch_builder *builder, const struct cw_metric *metric, const char *const *labels, int64_t time,
	      enum cw_number number, double real, int64_t integer, const struct cw_histogram *histogram)
{
	return add(builder,
		   &(struct entry){.metric = metric, .time = time, .number = number, .real = real, .integer = integer},
		   labels, histogram, /* alone */ true);
}

int batch_add_again(struct batch_builder *builder, const struct cw_metric *metric, const char *const *labels,
		    int64_t time, enum cw_number number, double real, int64_t integer,
		    const struct cw_histogram *histogram)
{
	return add(builder,
		   &(struct entry){.metric = metric, .time = time, .number = number, .real = real, .integer = integer},
		   labels, histogram, /* alone */ false);
}

/* Where the parts of the block being built go on. */
struct cursor {
	struct cw_sample *sample;
	const char **label;
	struct cw_histogram *histogram;
	uint64_t *buckets;
	char *texts;
};

static void place_sample(const struct entry *entry, struct cursor *to)
{
	*to->sample = (struct cw_sample){.metric = entry->metric, .time = entry->time, .number = entry->number};
	to->sample->labels = to->label;
	uint32_t labels = cw_label_count(entry->metric);
	for (uint32_t i = 0; i < labels; i++)
		*to->label++ = to->texts + entry->labels[i];
	if (entry->number == CW_BUCKETS) {
		*to->histogram = (struct cw_histogram){
			.buckets = to->buckets + entry->buckets, .count = entry->count, .sum = entry->real};
		to->sample->histogram = to->histogram++;
	} else if (entry->number == CW_INTEGER) {
		to->sample->integer = entry->integer;
	} else {
		to->sample->real = entry->real;
	}
	to->sample++;
}

static void builder_empty(struct batch_builder *builder)
{
	builder->count = builder->labels_count = builder->histograms_count = 0;
	builder->texts_length = builder->buckets_length = 0;
	memset(builder->set, 0, builder->set_size * sizeof(*builder->set));
}

const struct cw_batch *batch_take(struct batch_builder *builder)
{
	if (!builder->count)
		return NULL;
	const struct cw_batch *head = &builder->head->batch;
	size_t head_bytes = head->tags.count * sizeof(struct cw_tag);
	size_t size = sizeof(struct block) + head_bytes + builder->count * sizeof(struct cw_sample) +
		      builder->labels_count * sizeof(char *) + builder->histograms_count * sizeof(struct cw_histogram) +
		      builder->buckets_length * sizeof(uint64_t) + builder->texts_length + builder->head_texts;
	struct block *block = malloc(size);
	if (!block) {
		builder_empty(builder);
		return NULL;
	}
	struct cw_tag *tags = (struct cw_tag *)(block + 1);
	struct cw_sample *samples = (struct cw_sample *)(tags + head->tags.count);
	struct cursor to = {.sample = samples, .label = (const char **)(samples + builder->count)};
	to.histogram = (struct cw_histogram *)(to.label + builder->labels_count);
	to.buckets = (uint64_t *)(to.histogram + builder->histograms_count);
	to.texts = (char *)(to.buckets + builder->buckets_length);
	if (builder->buckets_length)
		memcpy(to.buckets, builder->buckets, builder->buckets_length * sizeof(uint64_t));
	if (builder->texts_length)
		memcpy(to.texts, builder->texts, builder->texts_length);
	for (uint32_t i = 0; i < builder->count; i++)
		place_sample(&builder->entries[i], &to);

	char *end = to.texts + builder->texts_length;
	atomic_init(&block->references, 1);
	block->whole = NULL;
	block->batch = *head;
	block->batch.host = append_text(&end, head->host, strlen(head->host));
	block->batch.instance = append_text(&end, head->instance, strlen(head->instance));
	for (uint32_t i = 0; i < head->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&head->tags, i);
		tags[i].name = append_text(&end, tag->name, strlen(tag->name));
		tags[i].value = append_text(&end, tag->value, strlen(tag->value));
	}
	block->batch.tags.items = tags;
	block->batch.samples = (struct cw_array){samples, builder->count, (uint32_t)sizeof(*samples)};
	builder_empty(builder);
	return &block->batch;
}

static struct block *block_of(const struct cw_batch *batch)
{
	return (struct block *)((char *)(uintptr_t)batch - offsetof(struct block, batch));
}

const struct cw_batch *batch_select(const struct cw_batch *batch,
				    bool (*keep)(void *arg, const struct cw_batch *batch,
						 const struct cw_sample *sample),
				    void *arg)
{
	struct block *block = malloc(sizeof(*block) + batch->samples.count * sizeof(struct cw_sample));
	if (!block)
		return NULL;
	struct cw_sample *samples = (struct cw_sample *)(block + 1);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < batch->samples.count; i++) {
		const struct cw_sample *sample = cw_at(&batch->samples, i);
		if (keep(arg, batch, sample))
			samples[kept++] = *sample;
	}
	if (kept == 0 || kept == batch->samples.count) {
		free(block);
		return kept ? batch_ref(batch) : NULL;
	}
	atomic_init(&block->references, 1);
	block->whole = batch_ref(batch);
	block->batch = *batch;
	block->batch.samples = (struct cw_array){samples, kept, (uint32_t)sizeof(*samples)};
	return &block->batch;
}

const struct cw_batch *batch_ref(const struct cw_batch *batch)
{
	atomic_fetch_add_explicit(&block_of(batch)->references, 1, memory_order_relaxed);
	return batch;
}

void batch_unref(const struct cw_batch *batch)
{
	if (!batch || atomic_fetch_sub_explicit(&block_of(batch)->references, 1, memory_order_acq_rel) > 1)
		return;
	struct block *block = block_of(batch);
	batch_unref(block->whole);
	free(block);
}
