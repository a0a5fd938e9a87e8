/* SPDX-License-Identifier: MIT
 *
 * GET /metrics: every series there is, for Prometheus and its relatives. Made a chunk at a time while the connection
 * takes it; samples that arrive meanwhile are taken in between. The walk goes by the order of the list, which is that
 * of the families; after a family of ages it goes once more over the same series, for the times they count from.
 */
#include "routes.h"

#include "exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FULL = 32 * 1024 };

struct scrape {
	enum exposition format;
	char last[SERIES_KEY_MAX];    /* key of the last series told; "": none */
	char family[FAMILY_NAME_MAX]; /* whose series are being told; "": none yet */
	bool timestamps;              /* … the second time */
};

static void scrape_drop(struct exchange *exchange)
{
	free(exchange->work);
}

/* Has this family times to tell, that nobody else tells under their name? */
static bool has_timestamps(const struct web *web, const char *family_name)
{
	char name[FAMILY_NAME_MAX];
	const struct family *family = families_find(&web->series.families, family_name);
	return family && family_timestamp_name(name, family) && !families_find(&web->series.families, name);
}

/* The family of the walk is told; turns back for its times, or goes on to that of series `at`. Where the walk goes on.
 */
static uint32_t next_family(const struct web *web, struct scrape *scrape, struct exposer *exposer, uint32_t at)
{
	const struct series_list *list = &web->series;
	if (*scrape->family && !scrape->timestamps && has_timestamps(web, scrape->family)) {
		at = series_list_after(list, scrape->family); /* no key comes before that of its first series */
		scrape->timestamps = true;
		exposition_timestamp_head(exposer, list->list[at]->family);
		return at;
	}
	scrape->timestamps = false;
	if (at < list->count) {
		snprintf(scrape->family, sizeof scrape->family, "%s", list->list[at]->family->name);
		exposition_head(exposer, list->list[at]->family);
	}
	return at;
}

/* From where the walk was interrupted until the chunk is full. True: to the end. */
static bool expose(const struct web *web, struct scrape *scrape, struct exposer *exposer)
{
	const struct series_list *list = &web->series;
	const struct buffer *out = exposer->out;
	uint32_t at = series_list_after(list, *scrape->last ? scrape->last : NULL);
	const struct series *series = NULL;
	for (; out->length < CHUNK_FULL && !out->failed; at++) {
		if (at == list->count || strcmp(list->list[at]->family->name, scrape->family) != 0)
			at = next_family(web, scrape, exposer, at);
		if (at == list->count)
			return true;
		series = list->list[at];
		if (scrape->timestamps)
			exposition_timestamp(exposer, series);
		else
			exposition_series(exposer, series);
	}
	if (series)
		snprintf(scrape->last, sizeof scrape->last, "%s", series->key);
	return false;
}

static enum pull pull_metrics(struct exchange *exchange)
{
	struct scrape *scrape = exchange->work;
	const struct web *web = exchange->web;
	struct exposer exposer = {
		.out = &exchange->body, .format = scrape->format, .agent_host = web->host->info(web->self)->host};
	bool done = expose(web, scrape, &exposer);
	exposer_release(&exposer);
	if (!done)
		return PULL_MORE;
	if (scrape->format == EXPOSITION_OPENMETRICS)
		buffer_string(&exchange->body, "# EOF\n");
	return PULL_DONE;
}

void route_metrics(struct exchange *exchange)
{
	struct web *web = exchange->web;
	struct scrape *scrape = calloc(1, sizeof *scrape);
	if (!scrape) {
		exchange_problem(exchange, 500, "no memory");
		return;
	}
	scrape->format = exposition_wanted(exchange->accept);
	series_list_expire(&web->series, web->host->now());
	exchange->content_type = exposition_content_type(scrape->format);
	exchange->work = scrape;
	exchange->drop = scrape_drop;
	exchange->pull = pull_metrics;
}
