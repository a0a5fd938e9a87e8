/* SPDX-License-Identifier: MIT
 *
 * A sample as collectd sees it: an identifier, a kind and a number. Shared by everything that speaks to collectd:
 * PUTVAL lines (format_putval.h) and the binary network protocol (plugins/collectd).
 *
 *     <host>/callwatch-<instance>/<type>-<metric>[-<label value>…]
 *
 * Escaping, decided here once. In each field these become %XX: `/` (separates fields), `"` and `\` (end the quotes of a
 * PUTVAL), `%` (begins an escape), controls, invisible and bidirectional characters, bytes that are not UTF-8, and `-`
 * in every label value but the last (label values are joined by it). Blanks stay. Thereby different (host, instance,
 * metric, labels) have different identifiers. A field over collectd's 127 bytes is cut and ends in `~` and 16
 * hexadecimal digits of a hash of the whole, so that two long ones still differ.
 *
 * Type: the metric's own, if it is one of collectd's stock types with a single value (so nobody has to edit its
 * TypesDB: what that does not know, collectd drops); else `gauge`, or `derive` for a counter. Not one of the kind
 * ABSOLUTE, which is what came since the value before: a counter here is the sum, and would be counted again and again.
 * Of a histogram
 * (format_point.h) the count is `derive`. What a type counts in whole numbers is rounded down. A ratio whose type is
 * `percent` is told in percent; everything else in the metric's own base unit.
 */
#ifndef CALLWATCH_FORMAT_COLLECTD_H
#define CALLWATCH_FORMAT_COLLECTD_H

#include "format_point.h"

enum { COLLECTD_FIELD_MAX = 127 };

/* The numbers are those of the network protocol. */
enum collectd_kind { COLLECTD_COUNTER = 0, COLLECTD_GAUGE = 1, COLLECTD_DERIVE = 2, COLLECTD_ABSOLUTE = 3 };

struct collectd_field {
	char text[COLLECTD_FIELD_MAX + 1]; /* valid UTF-8 without controls, NUL-terminated */
	uint32_t length;
};

/* What all samples of a batch share; and what was found out about the last metric seen. */
struct collectd_source {
	struct collectd_field host, instance;
	const struct cw_metric *metric; /* NULL: none yet */
	const char *type;
	enum collectd_kind kind;
};

struct collectd_value {
	const char *type; /* borrowed from the table of types, or the metric */
	enum collectd_kind kind;
	struct collectd_field name; /* the type instance */
	struct format_point point;  /* an integer unless the kind is GAUGE */
};

void collectd_source_init(struct collectd_source *source, const struct cw_batch *batch);
/* The sample's values, at most FORMAT_POINTS_MAX; 0: there is nothing collectd would take. */
uint32_t collectd_values(struct collectd_source *source, const struct cw_sample *sample,
			 struct collectd_value values[FORMAT_POINTS_MAX]);

/* Whether collectd's own types.db has this type, with a single value, and of which kind that is. */
bool collectd_type_find(const char *type, enum collectd_kind *ret_kind);

#endif
