/* SPDX-License-Identifier: MIT
 *
 * See metric.h. The kept ones are a linked list in a table of buckets under one lock: they are looked for when a source
 * declares a metric and when a spool is opened, not for each sample. A copy is one block: the metric, its lists of
 * values, its bounds, then all texts.
 */
#include "metric.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, NAME_MAX_LENGTH = 63, HELP_MAX_LENGTH = 1023, BOUNDS_MAX = 64 };

struct kept {
	struct kept *next;
	struct cw_metric metric;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *buckets[BUCKETS];
static uint32_t kept_count;

/* ---- what a metric may be ---- */

static int bad(char error[METRIC_ERROR_MAX], const char *format, ...) CW_PRINTF(2, 3);
static int bad(char error[METRIC_ERROR_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, METRIC_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_name(const char *name)
{
	return name && name[0] >= 'a' && name[0] <= 'z' && strlen(name) <= NAME_MAX_LENGTH &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}

static int check_label(const struct cw_metric *metric, uint32_t at, uint32_t count, bool free_labels,
		       char error[METRIC_ERROR_MAX])
{
	const struct cw_label *label = &metric->labels[at];
	if (!is_name(label->name))
		return bad(error, "metric `%s`: the label `%s` is not [a-z][a-z0-9_]*", metric->name, label->name);
	if (!free_labels && !label->values && at + 1 < count)
		return bad(error, "metric `%s`: the label `%s` takes free values and must be the last", metric->name,
			   label->name);
	if (strcmp(label->name, "plugin_instance") == 0 || strcmp(label->name, "instance") == 0)
		return bad(error, "metric `%s`: the label `%s` is the core's", metric->name, label->name);
	for (uint32_t i = 0; i < at; i++)
		if (strcmp(metric->labels[i].name, label->name) == 0)
			return bad(error, "metric `%s`: two labels called `%s`", metric->name, label->name);
	return 0;
}

static int check_bounds(const struct cw_metric *metric, char error[METRIC_ERROR_MAX])
{
	if (metric->kind != CW_HISTOGRAM)
		return metric->bounds || metric->bounds_count
			       ? bad(error, "metric `%s`: bounds are for a histogram", metric->name)
			       : 0;
	if (!metric->bounds || metric->bounds_count == 0 || metric->bounds_count > BOUNDS_MAX)
		return bad(error, "metric `%s`: a histogram has 1 to %d bounds, this one %u", metric->name, BOUNDS_MAX,
			   metric->bounds_count);
	for (uint32_t i = 0; i < metric->bounds_count; i++)
		if (!isfinite(metric->bounds[i]))
			return bad(error, "metric `%s`: bound %u is not finite", metric->name, i);
		else if (i > 0 && metric->bounds[i] <= metric->bounds[i - 1])
			return bad(error, "metric `%s`: bound %u is not above the one before", metric->name, i);
	return 0;
}

int metric_check(const struct cw_metric *metric, bool free_labels, char error[METRIC_ERROR_MAX])
{
	if (!is_name(metric->name))
		return bad(error, "the name `%s` is not [a-z][a-z0-9_]*", metric->name ? metric->name : "(null)");
	if ((unsigned)metric->kind > CW_HISTOGRAM)
		return bad(error, "metric `%s`: unknown kind %u", metric->name, (unsigned)metric->kind);
	size_t length = strlen(metric->name);
	if (!free_labels && metric->kind == CW_COUNTER &&
	    (length < 7 || strcmp(metric->name + length - 6, "_total") != 0))
		return bad(error, "metric `%s`: the name of a counter ends in _total", metric->name);
	if ((metric->unit && strlen(metric->unit) > NAME_MAX_LENGTH) ||
	    (metric->collectd_type && strlen(metric->collectd_type) > NAME_MAX_LENGTH))
		return bad(error, "metric `%s`: unit and collectd type have at most %d bytes", metric->name,
			   NAME_MAX_LENGTH);
	if (metric->help && strlen(metric->help) > HELP_MAX_LENGTH) /* kept for good */
		return bad(error, "metric `%s`: its help has more than %d bytes", metric->name, HELP_MAX_LENGTH);
	uint32_t count = cw_label_count(metric);
	int status = 0;
	for (uint32_t i = 0; i < count && status == 0; i++)
		status = check_label(metric, i, count, free_labels, error);
	return status < 0 ? status : check_bounds(metric, error);
}

/* ---- those that are kept ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_values(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return !*a && !*b;
}

bool metric_alike(const struct cw_metric *a, const struct cw_metric *b)
{
	uint32_t labels = cw_label_count(a);
	if (a->kind != b->kind || labels != cw_label_count(b) || a->bounds_count != b->bounds_count)
		return false;
	for (uint32_t i = 0; i < labels; i++)
		if (!same_text(a->labels[i].name, b->labels[i].name) ||
		    !same_values(a->labels[i].values, b->labels[i].values))
			return false;
	return a->bounds_count == 0 || memcmp(a->bounds, b->bounds, a->bounds_count * sizeof(*a->bounds)) == 0;
}

bool metric_equal(const struct cw_metric *a, const struct cw_metric *b)
{
	return a == b || (same_text(a->name, b->name) && same_text(a->unit, b->unit) && same_text(a->help, b->help) &&
			  same_text(a->collectd_type, b->collectd_type) && metric_alike(a, b));
}

/* Those of Prometheus, and of outputs that know nothing but single numbers (plugins/format/format_point.h). */
const char *const metric_parts[] = {"_bucket", "_count", "_sum", "_p50", "_p95", "_p99", NULL};

static bool is_part(const char *name, const struct cw_metric *histogram)
{
	size_t length = strlen(histogram->name);
	if (histogram->kind != CW_HISTOGRAM || strncmp(name, histogram->name, length) != 0)
		return false;
	for (const char *const *part = metric_parts; *part; part++)
		if (strcmp(name + length, *part) == 0)
			return true;
	return false;
}

bool metric_meets(const struct cw_metric *a, const struct cw_metric *b)
{
	return is_part(a->name, b) || is_part(b->name, a);
}

/* First how much room the copy needs (all pointers NULL), then, with room, the copy itself. */
struct room {
	const char **lists;
	char *texts;
	size_t lists_count, texts_length;
};

static const char *put_text(struct room *room, const char *text)
{
	if (!text)
		return NULL;
	size_t length = strlen(text) + 1;
	char *at = room->texts ? memcpy(room->texts + room->texts_length, text, length) : NULL;
	room->texts_length += length;
	return at;
}

static const char *const *put_list(struct room *room, const char *const *values)
{
	if (!values)
		return NULL;
	const char **list = room->lists ? room->lists + room->lists_count : NULL;
	size_t n = 0;
	for (; values[n]; n++) {
		const char *text = put_text(room, values[n]);
		if (list)
			list[n] = text;
	}
	if (list)
		list[n] = NULL;
	room->lists_count += n + 1;
	return list;
}

static void put_metric(struct room *room, const struct cw_metric *metric, struct cw_metric *ret_copy)
{
	*ret_copy = (struct cw_metric){.kind = metric->kind,
				       .name = put_text(room, metric->name),
				       .unit = put_text(room, metric->unit),
				       .help = put_text(room, metric->help),
				       .collectd_type = put_text(room, metric->collectd_type),
				       .bounds_count = metric->bounds_count};
	uint32_t labels = cw_label_count(metric);
	for (uint32_t i = 0; i < labels; i++)
		ret_copy->labels[i] = (struct cw_label){.name = put_text(room, metric->labels[i].name),
							.values = put_list(room, metric->labels[i].values)};
}

static struct kept *copy_of(const struct cw_metric *metric)
{
	struct cw_metric measured;
	struct room room = {.lists = NULL};
	put_metric(&room, metric, &measured);
	size_t bounds = metric->bounds_count * sizeof(*metric->bounds), lists = room.lists_count * sizeof(char *);
	struct kept *kept = malloc(sizeof(*kept) + bounds + lists + room.texts_length);
	if (!kept)
		return NULL;
	double *own_bounds = (double *)(kept + 1);
	room = (struct room){.lists = (const char **)((char *)own_bounds + bounds)};
	room.texts = (char *)room.lists + lists;
	put_metric(&room, metric, &kept->metric);
	if (bounds)
		kept->metric.bounds = memcpy(own_bounds, metric->bounds, bounds);
	return kept;
}

/* By name: the few metrics of one name lie in one bucket. Names are [a-z0-9_]{1,63}, their number is bounded. */
static uint32_t bucket_of(const struct cw_metric *metric)
{
	uint32_t hash = 2166136261U; /* FNV-1a, 32 bits */
	for (const char *c = metric->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619U;
	return hash % BUCKETS;
}

const struct cw_metric *metric_keep(const struct cw_metric *metric)
{
	struct kept **bucket = &buckets[bucket_of(metric)];
	pthread_mutex_lock(&lock);
	struct kept *kept = *bucket;
	while (kept && !metric_equal(&kept->metric, metric))
		kept = kept->next;
	if (!kept && kept_count < METRICS_KEPT_MAX && (kept = copy_of(metric))) {
		kept->next = *bucket;
		*bucket = kept;
		kept_count++;
	}
	pthread_mutex_unlock(&lock);
	return kept ? &kept->metric : NULL;
}
