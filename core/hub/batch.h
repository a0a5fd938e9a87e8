/* SPDX-License-Identifier: MIT
 *
 * Batches: immutable, reference-counted runs of samples in one block of memory, and the builder that a reading fills.
 * Private to the core.
 */
#ifndef CALLWATCH_CORE_BATCH_H
#define CALLWATCH_CORE_BATCH_H

#include "callwatch/metric.h"

struct batch_builder; /* one thread; reused from reading to reading */

enum { BATCH_LABEL_MAX = 255 }; /* bytes of a label's value; more is cut at a character's border */

struct batch_builder *batch_builder_new(const char *host, const char *instance, int64_t interval,
					const struct cw_tag *tags, uint32_t tags_count);
void batch_builder_free(struct batch_builder *builder); /* NULL is fine */
/* `metric` must live as long as the process; labels and buckets are copied. Not added, and the caller counts it:
 * -EINVAL: not finite, or a label is missing; -EEXIST: this series already has a sample of this time in the batch (a
 * collision: the first stays); -ENOMEM. */
int batch_add(struct batch_builder *builder, const struct cw_metric *metric, const char *const *labels, int64_t time,
	      enum cw_number number, double real, int64_t integer, const struct cw_histogram *histogram);
size_t batch_label_length(const char *value); /* bytes of a label's value that are kept */
/* The same for a sample that comes from a batch, where collisions were looked for already: never -EEXIST. */
int batch_add_again(struct batch_builder *builder, const struct cw_metric *metric, const char *const *labels,
		    int64_t time, enum cw_number number, double real, int64_t integer,
		    const struct cw_histogram *histogram);
/* What was added, as a batch with one reference, and the builder is empty again. NULL: nothing was added. */
const struct cw_batch *batch_take(struct batch_builder *builder);

/* Those samples of the batch for which keep() is true, as a batch with one reference that shares the original's
 * strings; the original itself if it keeps all; NULL if none (or no memory). */
const struct cw_batch *batch_select(const struct cw_batch *batch,
				    bool (*keep)(void *arg, const struct cw_batch *batch,
						 const struct cw_sample *sample),
				    void *arg);

const struct cw_batch *batch_ref(const struct cw_batch *batch);
void batch_unref(const struct cw_batch *batch); /* NULL is fine; any thread */

#endif
