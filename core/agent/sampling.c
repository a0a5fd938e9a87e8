/* SPDX-License-Identifier: MIT
 *
 * Every sample of a source passes here, those of a reading too (reading.c): it is checked, and goes into a batch. Here
 * are also the samples with a time of their own, sample(), and the metrics that are declared at run time.
 *
 * A sample that comes during a reading belongs to it. One that comes between readings waits here with others, so that a
 * chatty source does not cost a batch for each line: until there are LOOSE_MAX of them, at most loose_ns. What waits
 * when the instance ends is posted then: it is complete, unlike a reading that was broken off.
 *
 * Times that repeat. With a time of their own, two samples of one series may meet at one time in two batches, where no
 * batch sees it: recent.h does, for all samples of an instance that has used sample() once. The first stays, the second
 * is counted as a collision.
 *
 * With --once there is one reading and nothing after it: what comes outside of it is counted as invalid, and counters
 * and histograms are left out as they are everywhere.
 */
#include "clock.h"
#include "instance_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOSE_MAX = 1000 };

static const int64_t loose_ns = 100 * CW_MILLISECOND;

/* `labels:` of the agent and of the instance, whose word counts more. There is room for all of both. */
static uint32_t merge_tags(const struct cw_value *const lists[2], struct cw_tag *tags)
{
	uint32_t count = 0;
	for (size_t l = 0; l < 2; l++)
		for (uint32_t i = 0; lists[l] && i < lists[l]->count; i++) {
			const struct cw_value *label = &lists[l]->children[i];
			uint32_t at = 0;
			while (at < count && strcmp(tags[at].name, label->key) != 0)
				at++;
			tags[at] = (struct cw_tag){label->key, label->string};
			count += at == count;
		}
	return count;
}

struct batch_builder *sampling_builder(const struct instance *self)
{
	const struct cw_value *lists[] = {cw_get(self->plan->agent, "labels"), cw_get(self->what->common, "labels")};
	size_t most = (lists[0] ? lists[0]->count : 0) + (lists[1] ? lists[1]->count : 0);
	struct cw_tag *tags = calloc(most + 1, sizeof(*tags));
	if (!tags)
		return NULL;
	struct batch_builder *builder =
		batch_builder_new(self->info.host, self->name, self->info.interval, tags, merge_tags(lists, tags));
	free(tags);
	return builder;
}

/* ---- one sample ---- */

static void count_refused(struct instance *self, int status)
{
	struct instance_stats *stats = self->stats;
	atomic_fetch_add_explicit(status == -EEXIST ? &stats->samples_collided : &stats->samples_invalid, 1,
				  memory_order_relaxed);
}

/* Into the builder, unless this series was given at this time lately. */
static int add_once(struct instance *self, struct batch_builder *builder, const struct cw_metric *metric,
		    const struct cw_sample *sample)
{
	struct recent *recent = self->sampling.recent;
	struct recent_series *series = recent ? recent_of(recent, metric, sample->labels) : NULL;
	if (series && recent_has(series, sample->time))
		return -EEXIST;
	bool is_real = sample->number == CW_DOUBLE, is_integer = sample->number == CW_INTEGER;
	int status =
		batch_add(builder, metric, sample->labels, sample->time, sample->number, is_real ? sample->real : 0,
			  is_integer ? sample->integer : 0, is_real || is_integer ? NULL : sample->histogram);
	if (series && status == 0)
		recent_add(series, sample->time);
	return status;
}

int sampling_add(struct instance *self, struct batch_builder *builder, uint32_t metric, const struct cw_sample *sample)
{
	const struct cw_metric *known = declared_at(&self->sampling.declared, &self->decl->metrics, metric);
	int status = builder && known ? add_once(self, builder, known, sample) : -EINVAL;
	if (status < 0)
		count_refused(self, status);
	return status;
}

/* ---- those between readings ---- */

static void post_loose(struct instance *self)
{
	struct sampling *sampling = &self->sampling;
	uv_timer_stop(&sampling->timer);
	sampling->waiting = 0;
	const struct cw_batch *batch = sampling->builder ? batch_take(sampling->builder) : NULL;
	if (atomic_load(&self->abandoned))
		batch_unref(batch);
	else
		hub_post_batch(self->context.hub, batch);
}

static void on_timer(uv_timer_t *timer)
{
	post_loose(timer->data);
}

static void add_loose(struct instance *self, uint32_t metric, const struct cw_sample *sample)
{
	struct sampling *sampling = &self->sampling;
	if (!sampling->builder && role_is_source(self->decl->role) && !self->info.once)
		sampling->builder = sampling_builder(self);
	if (sampling_add(self, sampling->builder, metric, sample) < 0)
		return;
	if (++sampling->waiting == LOOSE_MAX)
		post_loose(self);
	else if (sampling->waiting == 1)
		instance_arm(&sampling->timer, on_timer, clock_now() + loose_ns);
}

void sampling_sample(struct instance *self, uint32_t metric, const struct cw_sample *given)
{
	const struct reading *reading = &self->reading;
	const struct cw_metric *known = declared_at(&self->sampling.declared, &self->decl->metrics, metric);
	if (known && known->kind != CW_GAUGE && self->info.once)
		return;
	if (!self->sampling.recent)
		self->sampling.recent = recent_new();
	struct cw_sample sample = *given;
	if (sample.time == 0)
		sample.time = reading->under_way ? reading->time : clock_wall();
	if (reading->under_way)
		sampling_add(self, reading->builder, metric, &sample);
	else
		add_loose(self, metric, &sample);
}

/* ---- its life ---- */

int64_t sampling_declare(struct instance *self, const struct cw_metric *metric)
{
	return declared_add(&self->sampling.declared, &self->decl->metrics, metric);
}

void sampling_stop(struct instance *self)
{
	post_loose(self);
}

void sampling_release(struct instance *self)
{
	struct sampling *sampling = &self->sampling;
	post_loose(self); /* release() may have had a last word */
	batch_builder_free(sampling->builder);
	recent_free(sampling->recent);
	declared_release(&sampling->declared);
	sampling->builder = NULL;
	sampling->recent = NULL;
}
