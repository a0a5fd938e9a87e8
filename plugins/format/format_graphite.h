/* SPDX-License-Identifier: MIT
 *
 * A sample in Graphite's plaintext protocol, `name value time`, where the name is a path
 *
 *     callwatch.<host>.<instance>.<metric>[.<label value>…]
 *
 * or, as a template says, made of the same parts in another order; or it is tagged:
 *
 *     callwatch.<metric>;host=<host>;plugin_instance=<instance>[;<tag>=<value>…][;<label>=<value>…]
 *
 * Each part is one node of the path: letters, digits, `_ - : + @ # %` and visible characters beyond ASCII stay, every
 * other byte (dots, blanks of any script, slashes, controls, `;`, what globs mean, what is not UTF-8) becomes `_`, as
 * Graphite's own senders do; an empty one is `_`. In the value of a tag the dot stays too. What is longer than 200
 * bytes would become a file that cannot be made: it is cut and ends in `_` and a hash of the whole.
 *
 * So one sample is one line whatever its names contain, but two samples may get one name. graphite_line() tells when
 * another sample could have the same; who sends finds out whether one has.
 *
 * Time is in whole seconds. A histogram is its count, its sum and the percentiles of format_point.h, as <metric>_count,
 * _sum, _p50, _p95, _p99. A line has at most 1428 bytes, so that it fits a datagram; a sample that would need more has
 * none.
 */
#ifndef CALLWATCH_FORMAT_GRAPHITE_H
#define CALLWATCH_FORMAT_GRAPHITE_H

#include "format.h"
#include "format_point.h"
#include "text.h"

enum {
	FORMAT_GRAPHITE_LINE_MAX = 1428, /* with its newline */
	FORMAT_GRAPHITE_NODE_MAX = 200,
	FORMAT_GRAPHITE_NODES_MAX = 16,
	FORMAT_GRAPHITE_ERROR_MAX = 200,
	FORMAT_GRAPHITE_POINTS_MAX = FORMAT_POINTS_MAX + 1
};

/* With the default template; for outputs that have no options for it. */
int format_graphite(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample);

/* ---- for outputs that have ---- */

extern const char format_graphite_prefix[], format_graphite_template[]; /* the defaults */

enum graphite_part {
	GRAPHITE_TEXT,
	GRAPHITE_PREFIX,
	GRAPHITE_HOST,
	GRAPHITE_INSTANCE,
	GRAPHITE_METRIC,
	GRAPHITE_LABELS,
	GRAPHITE_PARTS
};

/* How names are made; borrows from the texts it was made of. */
struct graphite_form {
	const char *prefix;
	bool tagged;
	uint32_t nodes_count; /* of the path */
	struct graphite_node {
		enum graphite_part part;
		const char *text; /* of GRAPHITE_TEXT */
		size_t length;
	} nodes[FORMAT_GRAPHITE_NODES_MAX];
};

/* 0, or -EINVAL and a sentence in `error`. A prefix may have dots, or be empty. */
int graphite_check_prefix(const char *prefix, char error[FORMAT_GRAPHITE_ERROR_MAX]);
/* `template` is nodes between dots: a word, or one of {prefix} {host} {instance} {metric} {labels}. */
int graphite_form_path(struct graphite_form *ret_form, const char *prefix, const char *template,
		       char error[FORMAT_GRAPHITE_ERROR_MAX]);
void graphite_form_tags(struct graphite_form *ret_form, const char *prefix);
bool graphite_form_has(const struct graphite_form *form, enum graphite_part part);

/* The names of a batch: what all of them share is written out once. A zeroed one is fine to begin and to release. */
struct graphite_names {
	const struct graphite_form *form;
	const struct cw_batch *batch;
	struct buffer text; /* what is fixed: before, between and after the metric and the labels */
	size_t ends[3];
	bool labels_first;
	bool doubtful;   /* every name is: the instance's is not in it */
	int64_t seconds; /* of `time` */
	char time[TEXT_NUMBER_SIZE];
	size_t time_length;
};

/* 0 or -ENOMEM. The batch is borrowed until the next begin or release. */
int graphite_names_begin(struct graphite_names *names, const struct graphite_form *form, const struct cw_batch *batch);
void graphite_names_release(struct graphite_names *names);

/* The points of a sample, as format_points(), with the sum of a histogram. */
uint32_t graphite_points(const struct cw_sample *sample, struct format_point points[FORMAT_GRAPHITE_POINTS_MAX]);
/* Appends a point's line. 0; GRAPHITE_DOUBTFUL: a sample of other labels (or host, or metric) may have the same name;
 * or nothing is appended: -EMSGSIZE it is too long, -ENOMEM. */
enum { GRAPHITE_DOUBTFUL = 1 };
int graphite_line(struct graphite_names *names, struct buffer *out, const struct cw_sample *sample,
		  const struct format_point *point, size_t *ret_name_length);

/* May stand in a node as it is: letters, digits, `_-:+@#%`. */
static inline bool graphite_is_plain(unsigned char c)
{
	static const uint64_t plain[2] = {0x07ff282800000000u, 0x07fffffe87ffffffu};
	return c < 0x80 && (plain[c >> 6] >> (c & 63) & 1);
}

#endif
