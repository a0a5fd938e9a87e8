/* SPDX-License-Identifier: MIT
 *
 * What a program prints, all the way to a sample. The first byte says which format and how the stream comes cut; what
 * follows is the stream. Whatever it is, what the catalogue lets through can be declared, has its labels, and no label
 * is longer than a sample may have.
 */
#include "catalogue.h"
#include "lines.h"
#include "metric.h"
#include "types.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FORMATS = 4, LIMIT = 20, METRICS = 12 };

struct all {
	uint8_t format;
	struct types *types;
	struct exposition *exposition;
	struct catalogue *catalogue;
	struct parse_sink sink;
	uint32_t declared, labels[METRICS];
	int64_t now;
};

static int64_t declare(void *arg, const struct cw_metric *metric)
{
	struct all *all = arg;
	char error[METRIC_ERROR_MAX];
	if (metric_check(metric, /* free_labels */ true, error) < 0)
		abort();
	if (all->declared == METRICS)
		return -ENOSPC;
	all->labels[all->declared] = cw_label_count(metric);
	return all->declared++;
}

static void check_text(const char *text)
{
	if (!text || strlen(text) >= BAD_TEXT_MAX)
		abort();
}

static void on_point(void *arg, const struct point *point)
{
	struct all *all = arg;
	struct catalogued value;
	enum bad bad = BAD_KINDS;
	char text[BAD_TEXT_MAX];
	if (point->labels_count > POINT_LABELS_MAX || !point->name || !point->source)
		abort();
	if (catalogue_take(all->catalogue, point, all->now++, &value, &bad, text) < 0) {
		if (bad >= BAD_KINDS)
			abort();
		check_text(text);
		return;
	}
	if (value.metric >= all->declared || catalogue_series(all->catalogue) > LIMIT)
		abort();
	for (uint32_t i = 0; i < all->labels[value.metric]; i++)
		if (!value.sample.labels[i] || strlen(value.sample.labels[i]) > 255)
			abort();
}

static void on_bad(void *arg, enum bad kind, const char *text)
{
	(void)arg;
	if (kind >= BAD_KINDS)
		abort();
	check_text(text);
}

static void on_remark(void *arg, enum remark remark, const char *text)
{
	(void)arg;
	if (remark >= REMARKS || !text)
		abort();
}

static void on_line(void *arg, char *line, size_t length, bool is_cut)
{
	struct all *all = arg;
	if (is_cut || memchr(line, '\0', length))
		return;
	char *own = strdup(line); /* a step beyond it is seen */
	if (all->format == 0)
		parse_putval(all->types, "me", own, &all->sink);
	else if (all->format == 1)
		exposition_line(all->exposition, own, &all->sink);
	else if (all->format == 2)
		parse_graphite(own, &all->sink);
	else
		parse_ndjson(own, length, &all->sink);
	free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || sodium_init() < 0)
		return 0;
	struct lines lines = {0};
	struct all all = {.format = data[0] % FORMATS, .now = 1};
	const struct catalogue_host host = {.declare = declare, .arg = &all, .first_index = 0};
	all.types = types_new();
	all.exposition = exposition_new();
	all.catalogue = catalogue_new(&host, LIMIT, /* kept_for */ 10);
	all.sink = (struct parse_sink){.point = on_point, .bad = on_bad, .remark = on_remark, .arg = &all};
	size_t step = (size_t)(data[0] / FORMATS) * 16 + 1;
	for (size_t at = 1; at < size; at += step)
		lines_feed(&lines, (const char *)data + at, size - at < step ? size - at : step, on_line, &all);
	lines_end(&lines, on_line, &all);
	exposition_end(all.exposition, &all.sink);
	types_read(all.types, (const char *)data + 1, size - 1);
	catalogue_free(all.catalogue);
	exposition_free(all.exposition);
	types_free(all.types);
	return 0;
}
