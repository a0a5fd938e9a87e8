/* SPDX-License-Identifier: MIT
 *
 * collectd's exec protocol, as in collectd-exec(5) and the plain text protocol:
 *
 *     PUTVAL "web-1/disk-sda/disk_octets" interval=10 N:1500:20
 *     PUTVAL host/plugin[-instance]/type[-instance] [name=value …] time:value[:value …] …
 *
 * What it becomes. A value is named `collectd_<plugin>_<type>`, or `collectd_<plugin>` if both are the same, then
 * `_<data source>` if the type has several, then `_total` if it is a counter, as collectd's users know it from
 * Prometheus. Both instances are always labels, empty or not, so that each place in a path means one thing; a host that
 * is not ours is one more. So nothing an identifier says is lost, and two of them do not meet.
 *
 * Kinds. GAUGE is a gauge. DERIVE and COUNTER are counters, whole and never negative; a fraction is cut off, as
 * collectd does. ABSOLUTE is what came since the last value: the counter is the sum. A type nobody knows is a gauge if
 * it has one value. Times are Unix seconds; `N` is now.
 *
 * PUTNOTIF is not taken yet; `meta:` and other options than `interval` say nothing that a sample could hold.
 */
#include "parse.h"
#include "text.h"
#include "types.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIELD_MAX = 127, FIELDS = 5 };
enum { WORD_NONE, WORD_PLAIN, WORD_QUOTED };

/* A line being read, and what its identifier said. */
struct putval {
	const struct parse_sink *sink;
	const char *own_host;
	const struct type *type; /* NULL: not known */
	const char *host, *plugin, *plugin_instance, *type_name, *type_instance;
	char source[(FIELDS + 1) * (FIELD_MAX + 1) + 1]; /* the identifier; a data source's name at `source_length` */
	size_t source_length;
	int64_t interval;
};

/* ---- words ---- */

/* What stands between quotes, in place; NULL: the quote does not end. */
static char *unquote(char *from)
{
	char *to = from;
	for (; *from != '"'; from++) {
		if (*from == '\\' && from[1])
			from++;
		if (!*from)
			return NULL;
		*to++ = *from;
	}
	char *rest = from + 1;
	*to = '\0';
	return rest;
}

/* The next word of the line and what follows it: WORD_NONE at the end, negative if a quote does not end. */
static int next_word(char **rest, char **ret_word)
{
	char *at = *rest + strspn(*rest, " \t");
	if (!*at)
		return WORD_NONE;
	if (*at == '"') {
		*ret_word = at + 1;
		*rest = unquote(at + 1);
		return *rest && (!**rest || strchr(" \t", **rest)) ? WORD_QUOTED : -EINVAL;
	}
	*ret_word = at;
	at += strcspn(at, " \t\"");
	if (*at == '"') { /* name="a value": belongs to the word, what it says is of no use here */
		at = unquote(at + 1);
		if (!at || (*at && !strchr(" \t", *at)))
			return -EINVAL;
	}
	*rest = *at ? at + 1 : at;
	*at = '\0';
	return WORD_PLAIN;
}

/* ---- the identifier ---- */

/* `name-instance`; without an instance it is "". */
static void split(char *field, const char **ret_name, const char **ret_instance)
{
	char *dash = strchr(field, '-');
	*ret_name = field;
	*ret_instance = dash ? dash + 1 : "";
	if (dash)
		*dash = '\0';
}

static bool read_identifier(struct putval *putval, char *identifier)
{
	char *rest = identifier, *plugin, *type;
	putval->host = strsep(&rest, "/");
	plugin = strsep(&rest, "/");
	type = rest;
	if (!type || strchr(type, '/'))
		return false;
	split(plugin, &putval->plugin, &putval->plugin_instance);
	split(type, &putval->type_name, &putval->type_instance);
	const char *const fields[] = {putval->host, putval->plugin, putval->plugin_instance, putval->type_name,
				      putval->type_instance};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strlen(fields[i]) > FIELD_MAX)
			return false;
	int length = snprintf(putval->source, sizeof(putval->source), "%s/%s-%s/%s-%s:", fields[0], fields[1],
			      fields[2], fields[3], fields[4]);
	putval->source_length = (size_t)length;
	return *putval->host && *putval->plugin && *putval->type_name;
}

/* ---- values ---- */

static void name_value(const struct putval *putval, const struct type_source *source, bool is_only, char *name,
		       size_t size)
{
	bool is_counter = source->kind != TYPE_GAUGE, is_same = strcmp(putval->plugin, putval->type_name) == 0;
	snprintf(name, size, "collectd_%s%s%s%s%s%s", putval->plugin, is_same ? "" : "_",
		 is_same ? "" : putval->type_name, is_only ? "" : "_", is_only ? "" : source->name,
		 is_counter ? "_total" : "");
}

static void add_labels(const struct putval *putval, struct point *point)
{
	point->labels[0] = (struct point_label){"collectd_instance", putval->plugin_instance};
	point->labels[1] = (struct point_label){"type_instance", putval->type_instance};
	point->labels_count = 2;
	if (strcmp(putval->host, putval->own_host) != 0)
		point->labels[point->labels_count++] = (struct point_label){"collectd_host", putval->host};
}

/* collectd's counters are whole. */
static void cut_fraction(struct number *number)
{
	if (!number->is_integer)
		number->real = trunc(number->real);
}

static void tell_value(struct putval *putval, const struct type_source *source, bool is_only, int64_t time,
		       const char *text)
{
	char name[3 * FIELD_MAX + 32], help[4 * FIELD_MAX], quoted[QUOTED_MAX];
	struct number number;
	if (strcmp(text, "U") == 0)
		return;
	if (parse_decimal(text, &number) < 0) {
		parse_bad(putval->sink, BAD_VALUE, "`%s` is not a number", parse_quote(quoted, text));
		return;
	}
	enum cw_kind kind = source->kind == TYPE_GAUGE ? CW_GAUGE : CW_COUNTER;
	if (kind == CW_COUNTER)
		cut_fraction(&number);
	snprintf(putval->source + putval->source_length, sizeof(putval->source) - putval->source_length, "%s",
		 source->name);
	name_value(putval, source, is_only, name, sizeof(name));
	snprintf(help, sizeof(help), "collectd type %s of plugin %s", putval->type_name, putval->plugin);
	struct point point = {.source = putval->source,
			      .name = name,
			      .help = help,
			      .collectd_type =
				      is_only && putval->type && putval->type->is_stock ? putval->type_name : NULL,
			      .accumulate = source->kind == TYPE_ABSOLUTE,
			      .time = time,
			      .interval = putval->interval};
	add_labels(putval, &point);
	if (parse_set(&point, kind, &number))
		putval->sink->point(putval->sink->arg, &point);
	else
		parse_bad(putval->sink, BAD_VALUE, "a counter is negative: `%s`", parse_quote(quoted, text));
}

static uint32_t count_of(const char *text, char wanted)
{
	uint32_t n = 0;
	for (; *text; text++)
		n += *text == wanted;
	return n;
}

/* `time:value[:value …]` */
static void tell_list(struct putval *putval, char *list)
{
	static const struct type_source unknown = {.name = "value", .kind = TYPE_GAUGE};
	const struct type_source *sources = putval->type ? putval->type->sources : &unknown;
	uint32_t count = putval->type ? putval->type->count : 1, given = count_of(list, ':');
	int64_t time = 0;
	char *rest = list, *when = strsep(&rest, ":"), quoted[QUOTED_MAX];
	if (given != count) {
		parse_bad(putval->sink, BAD_TYPE, "a value of type `%s` has %u numbers, not %u",
			  parse_quote(quoted, putval->type_name), count, given);
		return;
	}
	if (strcmp(when, "N") != 0 && (text_parse_unix(when, strlen(when), &time) < 0 || time <= 0)) {
		parse_bad(putval->sink, BAD_TIME, "`%s` is not a time", parse_quote(quoted, when));
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		tell_value(putval, &sources[i], count == 1, time, strsep(&rest, ":"));
}

/* ---- the line ---- */

static void take_option(struct putval *putval, const char *word)
{
	struct number number;
	if (strncasecmp(word, "interval=", 9) == 0 && parse_decimal(word + 9, &number) == 0 && number.real > 0 &&
	    number.real < 1e9)
		putval->interval = llround(number.real * (double)CW_SECOND);
}

static void putval_line(struct putval *putval, const struct types *types, char *rest)
{
	const struct parse_sink *sink = putval->sink;
	char *word;
	bool has_values = false;
	int kind = next_word(&rest, &word);
	if (kind <= WORD_NONE || !read_identifier(putval, word)) {
		parse_bad(sink, BAD_SYNTAX, "PUTVAL without an identifier host/plugin/type");
		return;
	}
	putval->type = types_find(types, putval->type_name);
	if (!putval->type)
		sink->remark(sink->arg, REMARK_UNKNOWN_TYPE, putval->type_name);
	while ((kind = next_word(&rest, &word)) > WORD_NONE) {
		if (kind == WORD_PLAIN && strchr(word, '=')) {
			take_option(putval, word);
			continue;
		}
		has_values = true;
		tell_list(putval, word);
	}
	if (kind < 0)
		parse_bad(sink, BAD_SYNTAX, "a quote does not end");
	else if (!has_values)
		parse_bad(sink, BAD_SYNTAX, "PUTVAL without a value");
}

void parse_putval(const struct types *types, const char *host, char *line, const struct parse_sink *sink)
{
	struct putval putval = {.sink = sink, .own_host = host};
	char *rest = line, *command, quoted[QUOTED_MAX];
	int kind = next_word(&rest, &command);
	if (kind == WORD_NONE || (kind == WORD_PLAIN && *command == '#'))
		return;
	if (kind == WORD_PLAIN && strcasecmp(command, "PUTVAL") == 0)
		putval_line(&putval, types, rest);
	else if (kind == WORD_PLAIN && strcasecmp(command, "PUTNOTIF") == 0)
		sink->remark(sink->arg, REMARK_NOTIFICATION, "PUTNOTIF");
	else
		parse_bad(sink, BAD_SYNTAX, "`%s` is neither PUTVAL nor PUTNOTIF",
			  parse_quote(quoted, kind > WORD_NONE ? command : line));
}
