/* SPDX-License-Identifier: MIT
 *
 * mimic: gives a sample of every metric that another plugin declares, for each of its declared label values, without
 * what that plugin needs: so a test can walk all metrics through an output and see them at the receiver. `of` is the
 * plugin's file, `free` the values of labels that take any. Gauges are i + 0.25, counters 1000 + i, where i counts the
 * series from 0; a histogram has i + 1 in its first bucket and one in each other.
 */
#include <callwatch/plugin.h>

#include <dlfcn.h>
#include <stdlib.h>

static const struct cw_option options[] = {
	{.key = "of", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "The file of a plugin"},
	{.key = "free", .type = CW_OPTION_LIST, .fallback = "[free]", .help = "Values of labels that take any"},
};

struct mimic {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *free_values;
	const struct cw_plugin *original;
	uint32_t *indices; /* of the original's metrics here */
	uint64_t series;
};

static int mimic_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	void *file = dlopen(cw_get_string(values, "of"), RTLD_NOW | RTLD_LOCAL);
	const struct cw_plugin *original = file ? dlsym(file, "cw_plugin") : NULL;
	struct mimic *mimic = calloc(1, sizeof *mimic);
	if (!original || !mimic) {
		host->state(self, CW_DOWN, /* next_try */ 0, "%s", original ? "no memory" : dlerror());
		free(mimic);
		return -2; /* ENOENT */
	}
	*mimic = (struct mimic){.self = self,
				.host = host,
				.free_values = cw_get(values, "free"),
				.original = original,
				.indices = calloc(original->metrics.count + 1, sizeof(uint32_t))};
	*ret_state = mimic;
	for (uint32_t i = 0; mimic->indices && i < original->metrics.count; i++) {
		int64_t index = host->declare(self, cw_at(&original->metrics, i));
		if (index < 0)
			return (int)index;
		mimic->indices[i] = (uint32_t)index;
	}
	return mimic->indices ? 0 : -12; /* ENOMEM */
}

static void give(struct mimic *mimic, uint32_t index, const struct cw_metric *metric, const char *const *labels)
{
	enum { BUCKETS_MAX = 65 };
	uint64_t i = mimic->series++, buckets[BUCKETS_MAX];
	struct cw_histogram histogram = {buckets, i + 1 + metric->bounds_count, (double)i};
	if (metric->kind == CW_GAUGE) {
		mimic->host->gauge(mimic->self, index, labels, (double)i + 0.25);
	} else if (metric->kind == CW_COUNTER) {
		mimic->host->counter(mimic->self, index, labels, 1000 + i);
	} else {
		for (uint32_t bucket = 0; bucket <= metric->bounds_count; bucket++)
			buckets[bucket] = bucket ? 1 : i + 1;
		mimic->host->histogram(mimic->self, index, labels, &histogram);
	}
}

static const char *value_of(const struct mimic *mimic, const struct cw_label *label, uint32_t i)
{
	if (label->values)
		return label->values[i];
	return i < mimic->free_values->count ? mimic->free_values->children[i].string : NULL;
}

/* All combinations of the values of labels from `at` on. */
static void give_all(struct mimic *mimic, uint32_t index, const struct cw_metric *metric, const char **labels,
		     uint32_t at)
{
	if (at == CW_LABELS_MAX || !metric->labels[at].name) {
		give(mimic, index, metric, labels);
		return;
	}
	for (uint32_t i = 0; (labels[at] = value_of(mimic, &metric->labels[at], i)); i++)
		give_all(mimic, index, metric, labels, at + 1);
}

static int mimic_read(void *state)
{
	struct mimic *mimic = state;
	const char *labels[CW_LABELS_MAX];
	mimic->series = 0;
	for (uint32_t i = 0; i < mimic->original->metrics.count; i++)
		give_all(mimic, mimic->indices[i], cw_at(&mimic->original->metrics, i), labels, 0);
	mimic->host->state(mimic->self, CW_UP, /* next_try */ 0, "%s", "");
	return 0;
}

static void mimic_release(void *state)
{
	struct mimic *mimic = state;
	if (mimic)
		free(mimic->indices);
	free(mimic);
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "mimic",
	.summary = "A source of samples of another plugin's metrics, for tests",
	.role = CW_SOURCE,
	.options = CW_ARRAY(options),
	.start = mimic_start,
	.read = mimic_read,
	.release = mimic_release,
};
