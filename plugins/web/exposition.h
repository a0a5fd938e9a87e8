/* SPDX-License-Identifier: MIT
 *
 * Series as a scrape reads them: Prometheus' text format 0.0.4, and OpenMetrics 1.0.0. Pure. Private to the plugin web.
 *
 * The labels of a line are `plugin_instance`, those of the metric, `host` where an instance watches another host than
 * the agent's own, and the tags of the configuration. A tag whose name is taken already, or is none that a label may
 * have, is left out: it is the same for the whole instance, so nothing is told apart by it. Label values come as text
 * that is fit to be shown (series.h); tags, hosts and help are made so here.
 *
 * Beside each age stands the time it counts from, as a family of its own (family_timestamp_name()).
 */
#ifndef CALLWATCH_WEB_EXPOSITION_H
#define CALLWATCH_WEB_EXPOSITION_H

#include "buffer.h"
#include "series.h"

enum exposition { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/* Which one a header Accept asks for; NULL or "": text. */
enum exposition exposition_wanted(const char *accept);
const char *exposition_content_type(enum exposition format);

/* `plugin_instance="calls",health="stale"` into room for exposition_labels_room() of the key's length. */
size_t exposition_labels(char *text, const struct series *series); /* its length */
size_t exposition_labels_room(size_t key_length);

/* A run of lines. Neighbours mostly have their origin's labels in common: those are kept from one to the next, so the
 * list must not change within a run. */
struct exposer {
	struct buffer *out;
	enum exposition format;
	const char *agent_host; /* not worth a label */
	const struct origin *origin;
	const struct cw_metric *metric;
	struct buffer tail; /* what this origin adds to a series of this metric; exposer_release() */
};
void exposer_release(struct exposer *exposer);

/* The lines that describe a family, or the times of an age; the lines of a series. */
void exposition_head(struct exposer *exposer, const struct family *family);
void exposition_timestamp_head(struct exposer *exposer, const struct family *family);
void exposition_series(struct exposer *exposer, const struct series *series);
void exposition_timestamp(struct exposer *exposer, const struct series *series);

#endif
