/* SPDX-License-Identifier: MIT
 *
 * See format_graphite.h. A template always has {metric} and {labels} once each, so a name is three fixed texts with
 * those two between them; the fixed ones are made once a batch. A tagged name is the same with other texts. A name's
 * room is reserved once, for the longest it can be, and then filled without further checks.
 *
 * When may two samples get one name? An instance's name is unique and needs no escape, so if it is in the name only
 * samples of one instance can, by a metric called like a point of a histogram, or by labels that differ in what became
 * `_`. Else any two instances that have the same metric can.
 */
#include "format_graphite.h"

#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	HASH_LENGTH = 17, /* `_` and 16 digits */
	CUT_AT = FORMAT_GRAPHITE_NODE_MAX - HASH_LENGTH,
	NODE_ROOM = FORMAT_GRAPHITE_NODE_MAX + 1, /* snprintf's NUL */
	SUFFIX_ROOM = 8,                          /* `_count` … */
	LABEL_ROOM = NODE_ROOM + 64 + 16,         /* its value, its name, what joins them */
	FIXED_MAX = 64 * 1024
};

const char format_graphite_prefix[] = "callwatch";
const char format_graphite_template[] = "{prefix}.{host}.{instance}.{metric}.{labels}";

static const char taken_prefix[] = "exported_"; /* as Prometheus calls a label whose name is taken */

/* ---- bytes ---- */

/* Receivers split lines at what Unicode calls a space. */
static bool is_wide_blank(const char *text, size_t length)
{
	static const char *const blanks[] = {"\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xaf", "\xe2\x81\x9f",
					     "\xe3\x80\x80"};
	for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++)
		if (length == strlen(blanks[i]) && memcmp(text, blanks[i], length) == 0)
			return true;
	return length == 3 && memcmp(text, "\xe2\x80", 2) == 0 && (unsigned char)text[2] <= 0x8a; /* U+2000 to 200A */
}

/* Bytes of the character at `text` that may stay; 0: this byte may not. */
static size_t node_character(const char *text, char also)
{
	unsigned char c = (unsigned char)*text;
	if (c < 0x80)
		return graphite_is_plain(c) || c == (unsigned char)also;
	size_t length = format_plain_character(text);
	return length && !is_wide_blank(text, length) ? length : 0;
}

/* FNV-1a: tells apart what people name; not meant against an enemy, who is found by who sends. */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325u;
	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * 0x100000001b3u;
	return value;
}

/* put_node() from `from` on, when what is before it is written. */
static char *put_rest(char *start, char *to, const char *text, const char *from, char also, bool *doubtful)
{
	char *cut = to;
	while (*from) {
		size_t length = node_character(from, also), put = length ? length : 1;
		if ((size_t)(to - start) + put > FORMAT_GRAPHITE_NODE_MAX) {
			*doubtful = true;
			return cut + snprintf(cut, HASH_LENGTH + 1, "_%016llx", (unsigned long long)hash(text));
		}
		if (length > 1)
			memcpy(to, from, length);
		else
			*to = length ? *from : '_';
		*doubtful |= *to == '_';
		to += put;
		from += put;
		if (to - start <= CUT_AT)
			cut = to;
	}
	if (to == start) {
		*to++ = '_';
		*doubtful = true;
	}
	return to;
}

/* Writes at most NODE_ROOM bytes, gives the end of the node. `also` stays too, if not 0. *doubtful is set if the
 * result has a `_`, for that may stand for anything. */
static char *put_node(char *to, const char *text, char also, bool *doubtful)
{
	char *start = to;
	const char *from = text;
	for (; graphite_is_plain((unsigned char)*from) && to - start < CUT_AT; from++) { /* mostly that is all of it */
		*doubtful |= *from == '_';
		*to++ = *from;
	}
	return *from || to == start ? put_rest(start, to, text, from, also, doubtful) : to;
}

static char *put_text(char *to, const char *text, size_t length)
{
	if (length)
		memcpy(to, text, length);
	return to + length;
}

/* ---- what is fixed in a batch ---- */

static void append_node(struct graphite_names *names, const char *text)
{
	bool unused = false;
	char *to = buffer_reserve(&names->text, NODE_ROOM);
	if (to)
		names->text.length += (size_t)(put_node(to, text, /* also */ 0, &unused) - to);
}

static void append_tag(struct graphite_names *names, const char *name, const char *value)
{
	bool unused = false;
	char *to = buffer_reserve(&names->text, 2 + 2 * NODE_ROOM);
	if (!to)
		return;
	char *end = put_node(put_text(to, ";", 1), name, /* also */ 0, &unused);
	end = put_node(put_text(end, "=", 1), value, '.', &unused);
	names->text.length += (size_t)(end - to);
}

static bool is_core_tag(const char *name)
{
	return strcmp(name, "name") == 0 || strcmp(name, "host") == 0 || strcmp(name, "plugin_instance") == 0;
}

static void begin_tagged(struct graphite_names *names)
{
	const struct cw_batch *batch = names->batch;
	buffer_string(&names->text, names->form->prefix);
	buffer_string(&names->text, names->form->prefix[0] ? "." : "");
	names->ends[0] = names->text.length;
	append_tag(names, "host", batch->host);
	append_tag(names, "plugin_instance", batch->instance);
	for (uint32_t i = 0; i < batch->tags.count; i++) {
		const struct cw_tag *tag = cw_at(&batch->tags, i);
		if (!is_core_tag(tag->name))
			append_tag(names, tag->name, tag->value);
	}
	names->ends[1] = names->ends[2] = names->text.length;
}

/* A node that is the same in the whole batch; false: it is nothing, an empty prefix. */
static bool append_fixed(struct graphite_names *names, const struct graphite_node *node)
{
	const struct cw_batch *batch = names->batch;
	if (node->part == GRAPHITE_TEXT)
		buffer_bytes(&names->text, node->text, node->length);
	else if (node->part == GRAPHITE_PREFIX)
		buffer_string(&names->text, names->form->prefix);
	else
		append_node(names, node->part == GRAPHITE_HOST ? batch->host : batch->instance);
	return node->part != GRAPHITE_PREFIX || names->form->prefix[0];
}

/* The dot before the labels is theirs, or the one behind if they come first: without labels there is none. */
static void begin_path(struct graphite_names *names)
{
	bool dot = false; /* one is due before the next node */
	uint32_t at = 0;
	for (uint32_t i = 0; i < names->form->nodes_count; i++) {
		const struct graphite_node *node = &names->form->nodes[i];
		if (node->part == GRAPHITE_LABELS) {
			names->labels_first = at == 0;
			names->ends[at++] = names->text.length;
			continue;
		}
		if (dot)
			buffer_bytes(&names->text, ".", 1);
		if (node->part == GRAPHITE_METRIC) {
			names->ends[at++] = names->text.length;
			dot = true;
		} else {
			dot = append_fixed(names, node);
		}
	}
	names->ends[at] = names->text.length;
}

int graphite_names_begin(struct graphite_names *names, const struct graphite_form *form, const struct cw_batch *batch)
{
	if (!names->text.ceiling)
		buffer_init(&names->text, /* head */ 0, FIXED_MAX);
	buffer_cut(&names->text, 0);
	names->form = form;
	names->batch = batch;
	names->doubtful = !form->tagged && !graphite_form_has(form, GRAPHITE_INSTANCE);
	names->labels_first = false;
	if (form->tagged)
		begin_tagged(names);
	else
		begin_path(names);
	return names->text.failed ? -ENOMEM : 0;
}

void graphite_names_release(struct graphite_names *names)
{
	buffer_release(&names->text);
}

/* ---- a sample ---- */

uint32_t graphite_points(const struct cw_sample *sample, struct format_point points[FORMAT_GRAPHITE_POINTS_MAX])
{
	uint32_t n = format_points(sample, points);
	if (sample->number != CW_BUCKETS || !isfinite(sample->histogram->sum))
		return n;
	memmove(points + 2, points + 1, (n - 1) * sizeof(*points));
	points[1] = (struct format_point){
		.suffix = "_sum", .label = "sum", .kind = CW_COUNTER, .real = sample->histogram->sum};
	return n + 1;
}

static bool is_taken(const struct cw_batch *batch, const char *name)
{
	for (uint32_t i = 0; i < batch->tags.count; i++)
		if (strcmp(((const struct cw_tag *)cw_at(&batch->tags, i))->name, name) == 0)
			return true;
	return is_core_tag(name);
}

static char *put_labels(char *to, const struct graphite_names *names, const struct cw_sample *sample, bool *doubtful)
{
	uint32_t count = cw_label_count(sample->metric);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = sample->metric->labels[i].name;
		if (!names->form->tagged) {
			*to++ = '.';
			to = put_node(to, sample->labels[i], /* also */ 0, doubtful);
			continue;
		}
		*to++ = ';';
		if (is_taken(names->batch, name))
			to = put_text(to, taken_prefix, sizeof(taken_prefix) - 1);
		to = put_text(to, name, strlen(name));
		*to++ = '=';
		to = put_node(to, sample->labels[i], '.', doubtful);
	}
	return to;
}

/* Labels that come first have their dot behind them, or none at all if nothing follows; put_labels() put it before. */
static char *put_labels_first(char *to, const struct graphite_names *names, const struct cw_sample *sample,
			      bool *doubtful)
{
	bool leads = names->ends[0] == 0;
	char *end = put_labels(to, names, sample, doubtful);
	if (!leads || end == to)
		return end;
	memmove(to, to + 1, (size_t)(end - to - 1));
	end[-1] = '.';
	return end;
}

/* `calls_ended_count` may be a counter, or the count of the histogram `calls_ended`. */
static bool ends_like_a_point(const char *name, size_t length)
{
	static const char *const suffixes[] = {"_count", "_sum", "_p50", "_p95", "_p99"};
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);
		if (length > n && memcmp(name + length - n, suffixes[i], n) == 0)
			return true;
	}
	return false;
}

/* Writes the name of a point, gives its end. */
static char *put_name(char *to, const struct graphite_names *names, const struct cw_sample *sample,
		      const struct format_point *point, bool *doubtful)
{
	const char *fixed = buffer_text(&names->text), *metric = sample->metric->name;
	size_t metric_length = strlen(metric), suffix_length = strlen(point->suffix);
	*doubtful = names->doubtful || suffix_length || ends_like_a_point(metric, metric_length);
	to = put_text(to, fixed, names->ends[0]);
	if (names->labels_first)
		to = put_labels_first(to, names, sample, doubtful);
	else
		to = put_text(put_text(to, metric, metric_length), point->suffix, suffix_length);
	to = put_text(to, fixed + names->ends[0], names->ends[1] - names->ends[0]);
	if (names->labels_first)
		to = put_text(put_text(to, metric, metric_length), point->suffix, suffix_length);
	else
		to = put_labels(to, names, sample, doubtful);
	return put_text(to, fixed + names->ends[1], names->ends[2] - names->ends[1]);
}

/* Most samples of a batch have the same second. */
static char *put_time(char *to, struct graphite_names *names, int64_t time)
{
	int64_t seconds = time / CW_SECOND;
	if (!names->time_length || seconds != names->seconds) {
		names->time_length = text_integer(names->time, seconds);
		names->seconds = seconds;
	}
	return put_text(to, names->time, names->time_length);
}

int graphite_line(struct graphite_names *names, struct buffer *out, const struct cw_sample *sample,
		  const struct format_point *point, size_t *ret_name_length)
{
	size_t room = names->text.length + strlen(sample->metric->name) + SUFFIX_ROOM + CW_LABELS_MAX * LABEL_ROOM +
		      FORMAT_VALUE_SIZE + sizeof(names->time) + 3;
	char *start = buffer_reserve(out, room);
	if (!start)
		return -ENOMEM;
	bool doubtful;
	char *to = put_name(start, names, sample, point, &doubtful);
	*ret_name_length = (size_t)(to - start);
	*to++ = ' ';
	to += format_value(to, point);
	*to++ = ' ';
	to = put_time(to, names, sample->time);
	*to++ = '\n';
	if (to - start > FORMAT_GRAPHITE_LINE_MAX)
		return -EMSGSIZE;
	out->length += (size_t)(to - start);
	return doubtful ? GRAPHITE_DOUBTFUL : 0;
}

int format_graphite(struct buffer *out, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct graphite_names names = {0};
	struct graphite_form form;
	struct format_point points[FORMAT_GRAPHITE_POINTS_MAX];
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	size_t start = out->length, name_length;
	graphite_form_path(&form, format_graphite_prefix, format_graphite_template, error); /* cannot fail */
	int status = graphite_names_begin(&names, &form, batch);
	uint32_t n = graphite_points(sample, points);
	for (uint32_t i = 0; i < n && status >= 0; i++)
		status = graphite_line(&names, out, sample, &points[i], &name_length);
	graphite_names_release(&names);
	if (status >= 0)
		return (int)n;
	buffer_cut(out, start);
	return status == -EMSGSIZE ? 0 : status;
}
