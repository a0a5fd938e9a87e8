/* SPDX-License-Identifier: MIT
 *
 * See exposition.h. What is the same at every scrape is made when a series begins: a line is then a few copies and a
 * number.
 */
#include "exposition.h"

#include "text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LABEL_NAME_MAX = 64, TAG_VALUE_MAX = 256, HELP_MAX = 512, TAIL_MAX = 8 * 1024 };

/* -- which format -------------------------------------------------------------------------------------------------- */

/* The next element of a list, without blanks around it, and where the rest begins. */
static const char *next_element(const char **text, char separator, size_t *ret_length)
{
	const char *start = *text + strspn(*text, " \t");
	const char *end = strchr(start, separator);
	*text = end ? end + 1 : start + strlen(start);
	size_t length = end ? (size_t)(end - start) : strlen(start);
	while (length && (start[length - 1] == ' ' || start[length - 1] == '\t'))
		length--;
	*ret_length = length;
	return start;
}

static bool is_text(const char *text, size_t length, const char *wanted)
{
	return length == strlen(wanted) && strncasecmp(text, wanted, length) == 0;
}

/* q of `0.5` in thousandths; anything strange counts as 0. */
static int parse_quality(const char *text, size_t length)
{
	int value = 0, digits = 0;
	if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') || (length > 1 && text[1] != '.'))
		return 0;
	value = (text[0] - '0') * 1000;
	for (size_t i = 2, unit = 100; i < length; i++, unit /= 10, digits++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		value += (text[i] - '0') * (int)unit;
	}
	return value > 1000 ? 1000 : value;
}

/* One media range with its parameters: how much OpenMetrics 1.0.0 and text are wanted by it; -1: it is about others. */
static void read_range(const char *range, size_t length, int *openmetrics, int *text)
{
	char copy[256];
	size_t n;
	if (length >= sizeof copy)
		return;
	memcpy(copy, range, length);
	copy[length] = '\0';
	const char *rest = copy, *type = next_element(&rest, ';', &n);
	bool is_openmetrics = is_text(type, n, "application/openmetrics-text");
	bool is_plain = is_text(type, n, "text/plain") || is_text(type, n, "text/*") || is_text(type, n, "*/*");
	int quality = 1000;
	while (*rest) {
		const char *parameter = next_element(&rest, ';', &n);
		if (n > 2 && strncasecmp(parameter, "q=", 2) == 0)
			quality = parse_quality(parameter + 2, n - 2);
		else if (n > 8 && strncasecmp(parameter, "version=", 8) == 0 && is_openmetrics)
			is_openmetrics = is_text(parameter + 8, n - 8, "1.0.0");
	}
	if (is_openmetrics && quality > *openmetrics)
		*openmetrics = quality;
	if (is_plain && quality > *text)
		*text = quality;
}

enum exposition exposition_wanted(const char *accept)
{
	int openmetrics = 0, text = 0;
	while (accept && *accept) {
		size_t length;
		const char *range = next_element(&accept, ',', &length);
		read_range(range, length, &openmetrics, &text);
	}
	return openmetrics > 0 && openmetrics >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition format)
{
	return format == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						: "text/plain; version=0.0.4; charset=utf-8";
}

/* -- labels ------------------------------------------------------------------------------------------------------- */

/* Copies with `\`, `"` and newline escaped, as both formats want it in a label; the end. */
static char *escape(char *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			*to++ = '\\';
		if (*text == '\n')
			*to++ = '\\';
		*to++ = *text == '\n' ? 'n' : *text;
	}
	return to;
}

static char *put_label(char *to, const char *name, const char *value)
{
	size_t length = strlen(name);
	memcpy(to, name, length);
	to += length;
	*to++ = '=';
	*to++ = '"';
	to = escape(to, value);
	*to++ = '"';
	return to;
}

size_t exposition_labels_room(size_t key_length)
{
	return 2 * key_length + (CW_LABELS_MAX + 1) * (LABEL_NAME_MAX + 8) + sizeof "plugin_instance" + 1;
}

/* A bucket's bound is a label that only we give. */
static bool is_bound_label(const struct cw_metric *metric, const char *name)
{
	return metric->kind == CW_HISTOGRAM && strcmp(name, "le") == 0;
}

size_t exposition_labels(char *text, const struct series *series)
{
	uint32_t labels = cw_label_count(series->metric);
	char *to = put_label(text, "plugin_instance", series->instance);
	for (uint32_t i = 0; i < labels; i++) {
		const char *name = series->metric->labels[i].name;
		*to++ = ',';
		to = put_label(to, is_bound_label(series->metric, name) ? "exported_le" : name, series->labels[i]);
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* Names that begin with __ are Prometheus' own. */
static bool may_be_label(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	return *name && (*name < '0' || *name > '9') && strncmp(name, "__", 2) != 0 &&
	       name[strspn(name, letters)] == '\0' && strlen(name) < LABEL_NAME_MAX;
}

static bool is_taken(const struct series *series, const char *name)
{
	uint32_t labels = cw_label_count(series->metric);
	for (uint32_t i = 0; i < labels; i++)
		if (strcmp(series->metric->labels[i].name, name) == 0)
			return true;
	return strcmp(name, "plugin_instance") == 0 || is_bound_label(series->metric, name);
}

static void put_tag(struct buffer *out, const char *name, const char *value)
{
	char shown[TAG_VALUE_MAX], label[LABEL_NAME_MAX + 2 * TAG_VALUE_MAX + 8];
	text_visible(shown, sizeof shown, value, strlen(value));
	char *end = put_label(label, name, shown);
	buffer_bytes(out, ",", 1);
	buffer_bytes(out, label, (size_t)(end - label));
}

static void make_tail(struct exposer *exposer, const struct series *series)
{
	const struct origin *origin = series->origin;
	bool host = strcmp(origin->host, exposer->agent_host) != 0 && !is_taken(series, "host");
	if (host)
		put_tag(&exposer->tail, "host", origin->host);
	for (uint32_t i = 0; i < origin->tags_count; i++) {
		const struct origin_tag *tag = &origin->tags[i];
		if (may_be_label(tag->name) && !is_taken(series, tag->name) &&
		    !(host && strcmp(tag->name, "host") == 0))
			put_tag(&exposer->tail, tag->name, tag->value);
	}
}

/* What its origin adds. */
static void put_tail(struct exposer *exposer, const struct series *series)
{
	if (exposer->origin != series->origin || exposer->metric != series->metric) {
		buffer_cut(&exposer->tail, 0);
		exposer->tail.ceiling = TAIL_MAX;
		exposer->origin = series->origin;
		exposer->metric = series->metric;
		make_tail(exposer, series);
	}
	if (exposer->tail.length)
		buffer_bytes(exposer->out, buffer_text(&exposer->tail), exposer->tail.length);
}

void exposer_release(struct exposer *exposer)
{
	buffer_release(&exposer->tail);
}

/* -- a family ----------------------------------------------------------------------------------------------------- */

static void put_help(struct buffer *out, const char *name, const char *help)
{
	char shown[HELP_MAX], escaped[2 * HELP_MAX];
	text_utf8(shown, sizeof shown, help, strlen(help));
	/* A quote needs no escape here in one format and may have one in the other; so there is none. */
	for (char *quote = shown; (quote = strchr(quote, '"'));)
		*quote = '\'';
	*escape(escaped, shown) = '\0';
	buffer_string(out, "# HELP ");
	buffer_string(out, name);
	buffer_bytes(out, " ", 1);
	buffer_string(out, escaped);
	buffer_bytes(out, "\n", 1);
}

static void put_head(struct exposer *exposer, const char *name, const char *help, const char *type, const char *unit)
{
	struct buffer *out = exposer->out;
	size_t length = strlen(name), unit_length = unit ? strlen(unit) : 0;
	bool ends_in_unit = unit_length && length > unit_length + 1 && name[length - unit_length - 1] == '_' &&
			    strcmp(name + length - unit_length, unit) == 0;
	put_help(out, name, help && *help ? help : "no description");
	buffer_print(out, "# TYPE %s %s\n", name, type);
	if (exposer->format == EXPOSITION_OPENMETRICS && ends_in_unit)
		buffer_print(out, "# UNIT %s %s\n", name, unit);
}

/* In the older format a counter's family is called like its samples. */
void exposition_head(struct exposer *exposer, const struct family *family)
{
	static const char *const types[] = {
		[CW_GAUGE] = "gauge", [CW_COUNTER] = "counter", [CW_HISTOGRAM] = "histogram"};
	char name[FAMILY_NAME_MAX];
	const struct cw_metric *metric = family->metric;
	bool total = metric->kind == CW_COUNTER && exposer->format == EXPOSITION_TEXT;
	snprintf(name, sizeof name, "%s%s", family->name, total ? "_total" : "");
	put_head(exposer, name, metric->help, types[metric->kind], metric->unit);
}

void exposition_timestamp_head(struct exposer *exposer, const struct family *family)
{
	char name[FAMILY_NAME_MAX], help[FAMILY_NAME_MAX + 64];
	if (!family_timestamp_name(name, family))
		return;
	snprintf(help, sizeof help, "Unix time that %s counts from", family->name);
	put_head(exposer, name, help, "gauge", "seconds");
}

/* -- a series ----------------------------------------------------------------------------------------------------- */

/* `name_suffix{labels` */
static void begin_line(struct exposer *exposer, const char *name, const char *suffix, const struct series *series)
{
	struct buffer *out = exposer->out;
	buffer_string(out, name);
	buffer_string(out, suffix);
	buffer_bytes(out, "{", 1);
	buffer_bytes(out, series->exposed, series->exposed_length);
	put_tail(exposer, series);
}

static void end_line(struct buffer *out, const char *number)
{
	buffer_bytes(out, "} ", 2);
	buffer_string(out, number);
	buffer_bytes(out, "\n", 1);
}

static void end_line_integer(struct buffer *out, uint64_t number)
{
	char text[TEXT_NUMBER_SIZE];
	text_integer(text, (int64_t)number);
	end_line(out, text);
}

/* OpenMetrics wants to see that a bound is no integer. */
static void put_bound(struct buffer *out, double bound, enum exposition format)
{
	char text[TEXT_NUMBER_SIZE];
	text_number(text, bound);
	buffer_string(out, ",le=\"");
	buffer_string(out, text);
	if (format == EXPOSITION_OPENMETRICS && !strpbrk(text, ".en"))
		buffer_string(out, ".0");
	buffer_bytes(out, "\"", 1);
}

/* The count is that of the buckets, so that the last one is equal to it whatever the source says. */
static void put_histogram(struct exposer *exposer, const struct series *series)
{
	struct buffer *out = exposer->out;
	char sum[TEXT_NUMBER_SIZE];
	const struct cw_metric *metric = series->metric;
	uint64_t count = 0;
	for (uint32_t i = 0; i <= metric->bounds_count; i++) {
		count += series->histogram.buckets[i];
		begin_line(exposer, series->family->name, "_bucket", series);
		if (i < metric->bounds_count)
			put_bound(out, metric->bounds[i], exposer->format);
		else
			buffer_string(out, ",le=\"+Inf\"");
		end_line_integer(out, count);
	}
	text_number(sum, series->histogram.sum);
	begin_line(exposer, series->family->name, "_sum", series);
	end_line(out, sum);
	begin_line(exposer, series->family->name, "_count", series);
	end_line_integer(out, count);
}

void exposition_series(struct exposer *exposer, const struct series *series)
{
	char number[TEXT_NUMBER_SIZE];
	if (series->number == CW_BUCKETS) {
		put_histogram(exposer, series);
		return;
	}
	if (series->number == CW_INTEGER)
		text_integer(number, series->integer);
	else
		text_number(number, series->real);
	begin_line(exposer, series->family->name, series->metric->kind == CW_COUNTER ? "_total" : "", series);
	end_line(exposer->out, number);
}

void exposition_timestamp(struct exposer *exposer, const struct series *series)
{
	char name[FAMILY_NAME_MAX], number[TEXT_NUMBER_SIZE];
	double age = series->number == CW_INTEGER ? (double)series->integer : series->real;
	if (!family_timestamp_name(name, series->family))
		return;
	/* to the millisecond: an age is not known better, and a time that trembles looks like many changes */
	text_number(number, round(((double)series->time / (double)CW_SECOND - age) * 1e3) / 1e3);
	begin_line(exposer, name, "", series);
	end_line(exposer->out, number);
}
