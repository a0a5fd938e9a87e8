/* SPDX-License-Identifier: MIT
 *
 * What a program printed, understood: the four formats, a line at a time. Pure: no parser knows of processes, of the
 * host, or of what came before (but for the family that an exposition is in).
 *
 * A parser is given a line without its newline, ended by NUL, and may cut it up in place. It tells the values in it by
 * point(), one call each, and what it cannot take by bad(), with a piece of a sentence; the good values beside a bad
 * one are told all the same. All pointers of a point are borrowed for the call.
 *
 * Not known is no value: `U` and `null` are passed over in silence. A value that is not finite is told as it is: the
 * core counts it as no sample.
 */
#ifndef EXEC_PARSE_H
#define EXEC_PARSE_H

#include "callwatch/metric.h"

struct types; /* types.h */

enum { POINT_LABELS_MAX = 16, BAD_TEXT_MAX = 200, QUOTED_MAX = 64 };

/* Why something printed is not a value; the names are the label values of malformed_total. */
enum bad {
	BAD_SYNTAX,
	BAD_VALUE,
	BAD_TIME,
	BAD_LABELS,
	BAD_TYPE,
	BAD_LENGTH,
	BAD_COLLISION, /* two names that end up as one series: the catalogue's to say */
	BAD_TOO_MANY,  /* and this one too */
	BAD_KINDS
};
extern const char *const bad_names[BAD_KINDS + 1]; /* NULL-terminated */

struct point_label {
	const char *name, *value;
};

struct point {
	const char *source; /* what the program calls it: with the labels it is what the series is told apart by */
	const char *name;   /* what the metric's name is made of */
	enum cw_kind kind;
	bool accumulate; /* the value is what came since the last one: the counter is the sum of them */
	const char *unit, *help, *collectd_type; /* NULL: not told */
	struct point_label labels[POINT_LABELS_MAX];
	uint32_t labels_count;
	int64_t time;     /* wall time, 0: not told */
	int64_t interval; /* ns, as told, 0: not told */
	enum cw_number number;
	union {
		double real;
		int64_t integer;
		struct cw_histogram histogram;
	};
	const double *bounds; /* of a histogram */
	uint32_t bounds_count;
};

/* Things that are no fault, to be said once. */
enum remark { REMARK_NOTIFICATION, REMARK_UNKNOWN_TYPE, REMARKS };

struct parse_sink {
	void (*point)(void *arg, const struct point *point);
	void (*bad)(void *arg, enum bad kind, const char *text);
	void (*remark)(void *arg, enum remark remark, const char *text);
	void *arg;
};

/* collectd's exec protocol. `host` is our own: another one becomes a label. */
void parse_putval(const struct types *types, const char *host, char *line, const struct parse_sink *sink);
/* Graphite's plaintext protocol, tags too. */
void parse_graphite(char *line, const struct parse_sink *sink);
/* A JSON object. */
void parse_ndjson(const char *line, size_t length, const struct parse_sink *sink);

/* Prometheus' text exposition; histograms are put together, so the end must be told too. */
struct exposition;
struct exposition *exposition_new(void);             /* NULL: no memory */
void exposition_free(struct exposition *exposition); /* NULL is fine */
void exposition_line(struct exposition *exposition, char *line, const struct parse_sink *sink);
/* What waits for more lines is told as it is. Afterwards a new exposition may begin. */
void exposition_end(struct exposition *exposition, const struct parse_sink *sink);
void exposition_drop(struct exposition *exposition); /* the same, but it was broken off: half a histogram is none */

/* ---- what the parsers share (parse_common.c) ---- */

/* A decimal number, `nan` or `inf` in any case; no hex, no spaces. -EINVAL. */
struct number {
	bool is_integer; /* written without point or exponent, and it fits */
	int64_t integer;
	double real;
};
int parse_decimal(const char *text, struct number *ret_number);
/* Into a point of this kind. False: a counter that is negative. */
bool parse_set(struct point *point, enum cw_kind kind, const struct number *number);
void parse_bad(const struct parse_sink *sink, enum bad kind, const char *format, ...) CW_PRINTF(3, 4);
/* The text as it may stand in a complaint: fit to be shown, numbers of people masked, shortened. Gives `buffer`. */
const char *parse_quote(char buffer[QUOTED_MAX], const char *text);

#endif
