/* SPDX-License-Identifier: MIT
 *
 * What the values of a program have become: which metrics were declared for them, and which series there are. Here it
 * is seen whether a value can be had at all, and nothing is merged in silence:
 *
 *   - a metric has the kind and the labels of its first value; a label that a later one lacks is "", one it has beyond
 *     is refused (labels are put in order of their names, so that a path does not depend on who was first);
 *   - two things a program calls differently and that end up as one series are a collision: the first has it;
 *   - there are at most `limit` series at a time. One that was not given for a while makes room for new ones.
 *
 * One thread. Bounded by the limit, and by the core's bound of metrics.
 */
#ifndef EXEC_CATALOGUE_H
#define EXEC_CATALOGUE_H

#include "naming.h"
#include "parse.h"

struct catalogue;

/* As host->declare(); metrics whose index is below `first_index` are the plugin's own. */
struct catalogue_host {
	int64_t (*declare)(void *arg, const struct cw_metric *metric);
	void *arg;
	uint32_t first_index;
};

/* `kept_for`: ns that a series is remembered after its last value, if others want its place. NULL: no memory. */
struct catalogue *catalogue_new(const struct catalogue_host *host, uint32_t limit, int64_t kept_for);
void catalogue_free(struct catalogue *catalogue); /* NULL is fine */
uint32_t catalogue_series(const struct catalogue *catalogue);

/* A point as the core takes it. The texts are the catalogue's, until the next call. */
struct catalogued {
	uint32_t metric;
	struct cw_sample sample;
};
/* 0, or -EINVAL and *ret_bad with a sentence in `text`. `now`: instant. */
int catalogue_take(struct catalogue *catalogue, const struct point *point, int64_t now, struct catalogued *ret,
		   enum bad *ret_bad, char text[BAD_TEXT_MAX]);

#endif
