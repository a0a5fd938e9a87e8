/* SPDX-License-Identifier: MIT
 *
 * Prometheus' text exposition format, 0.0.4, and as much of OpenMetrics as looks the same:
 *
 *     # HELP http_requests_total Requests served
 *     # TYPE http_requests_total counter
 *     http_requests_total{code="200"} 1027 1700000000123
 *
 * A line belongs to the family of the last TYPE or HELP if its name says so; one without a family is a gauge. The parts
 * of a summary are its quantiles, gauges with the label `quantile`, and two counters, `_sum` and `_count`.
 *
 * Histograms. The lines of one histogram (same labels, same time) stand together: they are gathered until they are a
 * whole, and told as one: bounds in order, the last of them +Inf, counts that do not fall, sum and count, and no more
 * bounds than a histogram of callwatch may have. What is no whole when another line comes is told line by line as
 * counters, `_bucket` with its label `le`, so that nothing is lost.
 */
#include "parse.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 256, HELP_SIZE = 1024, LABELS_SIZE = 4096, BUCKETS_MAX = 65, LE_SIZE = 32 };

enum family_type { UNTYPED, GAUGE, COUNTER, SUMMARY, HISTOGRAM };

struct bucket {
	char le[LE_SIZE];
	double bound;
	struct number count;
};

/* The lines of one histogram that have come so far. */
struct gathering {
	bool is_on;
	struct point_label labels[POINT_LABELS_MAX]; /* without `le`; the texts are in `texts` */
	uint32_t labels_count;
	char texts[LABELS_SIZE];
	size_t texts_length;
	int64_t time;
	struct bucket buckets[BUCKETS_MAX];
	uint32_t buckets_count;
	bool has_sum, has_count;
	struct number sum, count;
};

struct exposition {
	char name[NAME_SIZE], help[HELP_SIZE], unit[NAME_SIZE]; /* of the family; "" if none */
	enum family_type type;
	struct gathering gathering;
};

/* A line with a value. */
struct sample {
	char *name;
	struct point_label labels[POINT_LABELS_MAX];
	uint32_t labels_count;
	struct number value;
	int64_t time;
};

struct exposition *exposition_new(void)
{
	return calloc(1, sizeof(struct exposition));
}

void exposition_free(struct exposition *exposition)
{
	free(exposition);
}

/* ---- telling ---- */

static void tell(const struct exposition *exposition, const char *name, const struct point_label *labels,
		 uint32_t labels_count, enum cw_kind kind, const struct number *value, int64_t time,
		 const struct parse_sink *sink)
{
	char quoted[QUOTED_MAX];
	struct point point = {.source = name,
			      .name = name,
			      .unit = exposition->unit,
			      .help = exposition->help,
			      .labels_count = labels_count,
			      .time = time};
	if (labels_count)
		memcpy(point.labels, labels, labels_count * sizeof(*labels));
	if (parse_set(&point, kind, value))
		sink->point(sink->arg, &point);
	else
		parse_bad(sink, BAD_VALUE, "the counter `%s` is negative", parse_quote(quoted, name));
}

/* `family` and a suffix; false: too long to be a name. */
static bool join(char name[NAME_SIZE], const char *family, const char *suffix)
{
	return snprintf(name, NAME_SIZE, "%s%s", family, suffix) < NAME_SIZE;
}

/* ---- histograms ---- */

static bool is_count(const struct number *number)
{
	return number->is_integer ? number->integer >= 0
				  : number->real >= 0 && number->real < 9e18 && number->real == floor(number->real);
}

static uint64_t count_of(const struct number *number)
{
	return number->is_integer ? (uint64_t)number->integer : (uint64_t)number->real;
}

static bool is_whole(const struct gathering *gathering)
{
	uint32_t n = gathering->buckets_count;
	const struct bucket *buckets = gathering->buckets;
	if (n < 2 || !gathering->has_sum || !gathering->has_count || !isfinite(gathering->sum.real) ||
	    !is_count(&gathering->count) || !isinf(buckets[n - 1].bound))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!is_count(&buckets[i].count) ||
		    (i > 0 && (!(buckets[i].bound > buckets[i - 1].bound) ||
			       count_of(&buckets[i].count) < count_of(&buckets[i - 1].count))))
			return false;
	return count_of(&buckets[n - 1].count) == count_of(&gathering->count);
}

static void tell_whole(const struct exposition *exposition, const struct parse_sink *sink)
{
	const struct gathering *gathering = &exposition->gathering;
	double bounds[BUCKETS_MAX];
	uint64_t counts[BUCKETS_MAX], below = 0;
	uint32_t n = gathering->buckets_count;
	for (uint32_t i = 0; i < n; i++) {
		bounds[i] = gathering->buckets[i].bound;
		counts[i] = count_of(&gathering->buckets[i].count) - below; /* theirs are cumulated */
		below += counts[i];
	}
	struct point point = {.source = exposition->name,
			      .name = exposition->name,
			      .kind = CW_HISTOGRAM,
			      .unit = exposition->unit,
			      .help = exposition->help,
			      .labels_count = gathering->labels_count,
			      .time = gathering->time,
			      .number = CW_BUCKETS,
			      .histogram = {counts, count_of(&gathering->count), gathering->sum.real},
			      .bounds = bounds,
			      .bounds_count = n - 1};
	memcpy(point.labels, gathering->labels, sizeof(point.labels));
	sink->point(sink->arg, &point);
}

static void tell_parts(const struct exposition *exposition, const struct parse_sink *sink)
{
	const struct gathering *gathering = &exposition->gathering;
	struct point_label labels[POINT_LABELS_MAX + 1];
	char name[NAME_SIZE];
	uint32_t count = gathering->labels_count;
	memcpy(labels, gathering->labels, sizeof(gathering->labels));
	if (join(name, exposition->name, "_bucket"))
		for (uint32_t i = 0; i < gathering->buckets_count; i++) {
			labels[count] = (struct point_label){"le", gathering->buckets[i].le};
			tell(exposition, name, labels, count + 1, CW_COUNTER, &gathering->buckets[i].count,
			     gathering->time, sink);
		}
	if (gathering->has_sum && join(name, exposition->name, "_sum"))
		tell(exposition, name, labels, count, CW_COUNTER, &gathering->sum, gathering->time, sink);
	if (gathering->has_count && join(name, exposition->name, "_count"))
		tell(exposition, name, labels, count, CW_COUNTER, &gathering->count, gathering->time, sink);
}

void exposition_end(struct exposition *exposition, const struct parse_sink *sink)
{
	struct gathering *gathering = &exposition->gathering;
	if (gathering->is_on && is_whole(gathering))
		tell_whole(exposition, sink);
	else if (gathering->is_on)
		tell_parts(exposition, sink);
	gathering->is_on = false;
}

void exposition_drop(struct exposition *exposition)
{
	exposition->gathering.is_on = false;
}

static bool same_labels(const struct gathering *gathering, const struct sample *sample)
{
	if (gathering->labels_count != sample->labels_count || gathering->time != sample->time)
		return false;
	for (uint32_t i = 0; i < sample->labels_count; i++)
		if (strcmp(gathering->labels[i].name, sample->labels[i].name) != 0 ||
		    strcmp(gathering->labels[i].value, sample->labels[i].value) != 0)
			return false;
	return true;
}

static const char *keep(struct gathering *gathering, const char *text)
{
	size_t size = strlen(text) + 1;
	if (size > sizeof(gathering->texts) - gathering->texts_length)
		return NULL;
	char *at = memcpy(gathering->texts + gathering->texts_length, text, size);
	gathering->texts_length += size;
	return at;
}

static bool begin(struct gathering *gathering, const struct sample *sample)
{
	gathering->texts_length = gathering->buckets_count = 0;
	gathering->has_sum = gathering->has_count = false;
	gathering->time = sample->time;
	gathering->labels_count = sample->labels_count;
	if (sample->labels_count == POINT_LABELS_MAX) /* `le` would be one more */
		return false;
	for (uint32_t i = 0; i < sample->labels_count; i++) {
		struct point_label *label = &gathering->labels[i];
		*label = (struct point_label){keep(gathering, sample->labels[i].name),
					      keep(gathering, sample->labels[i].value)};
		if (!label->name || !label->value)
			return false;
	}
	gathering->is_on = true;
	return true;
}

/* Takes the label `le` out of the sample. */
static const char *take_le(struct sample *sample)
{
	for (uint32_t i = 0; i < sample->labels_count; i++)
		if (strcmp(sample->labels[i].name, "le") == 0) {
			const char *value = sample->labels[i].value;
			memmove(&sample->labels[i], &sample->labels[i + 1],
				(sample->labels_count - i - 1) * sizeof(sample->labels[0]));
			sample->labels_count--;
			return value;
		}
	return NULL;
}

static bool add_bucket(struct gathering *gathering, const char *le, const struct number *count)
{
	struct number bound;
	if (gathering->buckets_count == BUCKETS_MAX || strlen(le) >= LE_SIZE || parse_decimal(le, &bound) < 0 ||
	    isnan(bound.real))
		return false;
	struct bucket *bucket = &gathering->buckets[gathering->buckets_count++];
	*bucket = (struct bucket){.bound = bound.real, .count = *count};
	snprintf(bucket->le, sizeof(bucket->le), "%s", le);
	return true;
}

static void add_total(struct number *total, bool *has, const struct number *value)
{
	*total = *value;
	*has = true;
}

/* A histogram that has this line already is at its end: the next one begins. */
static bool has_line(const struct gathering *gathering, const char *suffix, const char *le)
{
	uint32_t n = gathering->buckets_count;
	if (le)
		return n > 0 && isinf(gathering->buckets[n - 1].bound);
	return strcmp(suffix, "_sum") == 0 ? gathering->has_sum : gathering->has_count;
}

static bool gather_line(struct exposition *exposition, const struct sample *sample, const char *suffix, const char *le,
			const struct parse_sink *sink)
{
	struct gathering *gathering = &exposition->gathering;
	if (!le && strcmp(suffix, "_bucket") == 0)
		return false;
	if (gathering->is_on && (!same_labels(gathering, sample) || has_line(gathering, suffix, le)))
		exposition_end(exposition, sink);
	if (!gathering->is_on && !begin(gathering, sample))
		return false;
	if (le && !add_bucket(gathering, le, &sample->value))
		return false;
	if (!le && strcmp(suffix, "_sum") == 0)
		add_total(&gathering->sum, &gathering->has_sum, &sample->value);
	else if (!le)
		add_total(&gathering->count, &gathering->has_count, &sample->value);
	if (is_whole(gathering))
		exposition_end(exposition, sink);
	return true;
}

/* False: it does not fit into what is gathered and has to be told by itself. */
static bool gather(struct exposition *exposition, struct sample *sample, const char *suffix,
		   const struct parse_sink *sink)
{
	const char *le = strcmp(suffix, "_bucket") == 0 ? take_le(sample) : NULL;
	if (gather_line(exposition, sample, suffix, le, sink))
		return true;
	if (le)
		sample->labels[sample->labels_count++] = (struct point_label){"le", le};
	return false;
}

/* ---- a line with a value ---- */

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

/* End of the name at `at`; `at` itself if there is none. */
static char *skip_name(char *at)
{
	if (is_name_start(*at))
		while (is_name_start(*at) || (*at >= '0' && *at <= '9'))
			at++;
	return at;
}

static char *skip_spaces(char *at)
{
	return at + strspn(at, " \t");
}

/* A label's value, unescaped in place, from after its first quote; what follows the last one. NULL: it does not end. */
static char *read_value(char *from)
{
	char *to = from;
	for (; *from != '"'; from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from == 'n' ? '\n' : *from;
		else if (*from)
			*to++ = *from;
		else
			return NULL;
	}
	*to = '\0';
	return from + 1;
}

/* `{name="value",…}` from after the brace; what follows the closing one. NULL: it is none, or too many. */
static char *read_labels(char *at, struct sample *sample)
{
	at = skip_spaces(at);
	while (*at != '}') {
		char *name = at, *end = skip_name(at);
		at = skip_spaces(end);
		if (end == name || *at != '=' || sample->labels_count == POINT_LABELS_MAX)
			return NULL;
		at = skip_spaces(at + 1);
		if (*at != '"')
			return NULL;
		*end = '\0';
		sample->labels[sample->labels_count++] = (struct point_label){name, at + 1};
		at = read_value(at + 1);
		if (!at)
			return NULL;
		at = skip_spaces(at);
		if (*at == ',')
			at = skip_spaces(at + 1);
		else if (*at != '}')
			return NULL;
	}
	return at + 1;
}

/* Milliseconds since 1970. */
static bool read_time(const char *text, int64_t *ret_time)
{
	static const int64_t latest = INT64_MAX / CW_MILLISECOND;
	char *end;
	errno = 0;
	long long ms = strtoll(text, &end, 10);
	if (*end || end == text || errno || ms <= 0 || ms > latest)
		return false;
	*ret_time = ms * CW_MILLISECOND;
	return true;
}

/* `value [time]`, and the exemplar of OpenMetrics, which is not looked at. */
static bool read_rest(char *rest, struct sample *sample, const struct parse_sink *sink)
{
	char *words[2] = {NULL}, *word, quoted[QUOTED_MAX];
	size_t count = 0;
	while ((word = strsep(&rest, " \t")) && *word != '#')
		if (*word && count < 3 && count++ < 2)
			words[count - 1] = word;
	if (count == 0 || count == 3) {
		parse_bad(sink, BAD_SYNTAX, "`%s` is not followed by a value and perhaps a time",
			  parse_quote(quoted, sample->name));
		return false;
	}
	if (parse_decimal(words[0], &sample->value) < 0) {
		parse_bad(sink, BAD_VALUE, "`%s` is not a number", parse_quote(quoted, words[0]));
		return false;
	}
	if (words[1] && !read_time(words[1], &sample->time)) {
		parse_bad(sink, BAD_TIME, "`%s` is not a time in milliseconds", parse_quote(quoted, words[1]));
		return false;
	}
	return true;
}

static bool read_sample(char *line, struct sample *sample, const struct parse_sink *sink)
{
	char quoted[QUOTED_MAX], *end = skip_name(line), *rest = skip_spaces(end);
	sample->name = line;
	if (end == line || (rest == end && *rest != '{')) {
		parse_bad(sink, BAD_SYNTAX, "`%s` is not `name{labels} value`", parse_quote(quoted, line));
		return false;
	}
	if (*rest == '{')
		rest = read_labels(rest + 1, sample);
	*end = '\0';
	if (!rest) {
		parse_bad(sink, BAD_LABELS, "the labels of `%s` are not {name=\"value\",…}, at most %d",
			  parse_quote(quoted, line), POINT_LABELS_MAX);
		return false;
	}
	return read_rest(rest, sample, sink);
}

/* What follows the family's name in that of the line: "" if it is the same; NULL: it is no line of this family. */
static const char *suffix_of(const struct exposition *exposition, const char *name)
{
	static const char *const suffixes[] = {"", "_bucket", "_sum", "_count", "_total"};
	size_t length = strlen(exposition->name);
	if (length == 0 || strncmp(name, exposition->name, length) != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strcmp(name + length, suffixes[i]) == 0)
			return suffixes[i];
	return NULL;
}

static enum cw_kind kind_of(enum family_type type, const char *suffix)
{
	bool is_part = strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0 || strcmp(suffix, "_bucket") == 0;
	if (type == COUNTER)
		return CW_COUNTER;
	return (type == SUMMARY || type == HISTOGRAM) && is_part ? CW_COUNTER : CW_GAUGE;
}

/* Of a counter only `_total` (OpenMetrics) and the name itself are the family's, of a gauge only the name. */
static bool is_of_family(enum family_type type, const char *suffix)
{
	if (!suffix)
		return false;
	if (type == SUMMARY || type == HISTOGRAM)
		return strcmp(suffix, "_total") != 0;
	return !*suffix || (type == COUNTER && strcmp(suffix, "_total") == 0);
}

static void begin_family(struct exposition *exposition, const char *name, const struct parse_sink *sink)
{
	exposition_end(exposition, sink);
	exposition->help[0] = exposition->unit[0] = exposition->name[0] = '\0';
	exposition->type = UNTYPED;
	if (strlen(name) < NAME_SIZE)
		snprintf(exposition->name, NAME_SIZE, "%s", name);
}

static void take_sample(struct exposition *exposition, char *line, const struct parse_sink *sink)
{
	struct sample sample = {.labels_count = 0};
	if (!read_sample(line, &sample, sink))
		return;
	const char *suffix = suffix_of(exposition, sample.name);
	if (!is_of_family(exposition->type, suffix)) {
		begin_family(exposition, /* name */ "", sink);
		suffix = "";
	}
	if (exposition->type == HISTOGRAM && *suffix && gather(exposition, &sample, suffix, sink))
		return;
	tell(exposition, sample.name, sample.labels, sample.labels_count, kind_of(exposition->type, suffix),
	     &sample.value, sample.time, sink);
}

/* ---- a line about a family ---- */

static enum family_type type_of(const char *word)
{
	static const struct {
		const char *word;
		enum family_type type;
	} types[] = {{"gauge", GAUGE},     {"counter", COUNTER}, {"summary", SUMMARY}, {"histogram", HISTOGRAM},
		     {"untyped", UNTYPED}, {"unknown", UNTYPED}, {"info", GAUGE},      {"stateset", GAUGE}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(word, types[i].word) == 0)
			return types[i].type;
	return UNTYPED;
}

/* HELP knows two escapes. Cut at the end of a character. */
static void take_help(char help[HELP_SIZE], const char *text)
{
	size_t length = 0;
	for (; *text && length < HELP_SIZE - 1; text++) {
		if (text[0] == '\\' && (text[1] == '\\' || text[1] == 'n'))
			help[length++] = *++text == 'n' ? ' ' : '\\';
		else
			help[length++] = *text;
	}
	while (*text && length > 0 && ((unsigned char)*text & 0xc0) == 0x80)
		text = &help[--length];
	help[length] = '\0';
}

static void take_comment(struct exposition *exposition, char *line, const struct parse_sink *sink)
{
	char *rest = line, *what = strsep(&rest, " \t");
	bool is_help = strcmp(what, "HELP") == 0, is_type = strcmp(what, "TYPE") == 0,
	     is_unit = strcmp(what, "UNIT") == 0;
	if (strcmp(what, "EOF") == 0)
		exposition_end(exposition, sink);
	if (!rest || !(is_help || is_type || is_unit))
		return;
	rest = skip_spaces(rest);
	char *name = rest, *end = skip_name(rest);
	rest = skip_spaces(end);
	*end = '\0';
	if (!*name || strcmp(name, exposition->name) != 0 || exposition->gathering.is_on)
		begin_family(exposition, name, sink);
	if (is_help)
		take_help(exposition->help, rest);
	else if (is_unit)
		snprintf(exposition->unit, NAME_SIZE, "%s", rest);
	else
		exposition->type = type_of(rest);
}

void exposition_line(struct exposition *exposition, char *line, const struct parse_sink *sink)
{
	line = skip_spaces(line);
	if (*line == '#')
		take_comment(exposition, skip_spaces(line + 1), sink);
	else if (*line)
		take_sample(exposition, line, sink);
}
