/* SPDX-License-Identifier: MIT
 *
 * Graphite's plaintext protocol: `path value [timestamp]`, also with tags: `name;tag=value;tag=value`. The path is the
 * metric's name, its dots become `_`; all are gauges, because Graphite knows no other kind. Without a timestamp, or
 * with -1, it is now.
 */
#include "parse.h"
#include "text.h"

#include <string.h>

/* `tag=value;tag=value`, in place. */
static bool read_tags(char *tags, struct point *point)
{
	char *tag;
	while ((tag = strsep(&tags, ";"))) {
		char *equals = strchr(tag, '=');
		if (!equals || equals == tag || point->labels_count == POINT_LABELS_MAX)
			return false;
		*equals = '\0';
		point->labels[point->labels_count++] = (struct point_label){tag, equals + 1};
	}
	return true;
}

static bool read_time(const char *text, int64_t *ret_time)
{
	*ret_time = 0;
	if (!text || strcmp(text, "-1") == 0)
		return true;
	return text_parse_unix(text, strlen(text), ret_time) == 0 && *ret_time > 0;
}

void parse_graphite(char *line, const struct parse_sink *sink)
{
	char *words[4] = {NULL}, *word, *rest = line, quoted[QUOTED_MAX];
	size_t count = 0;
	struct number number;
	struct point point = {.labels_count = 0};
	while ((word = strsep(&rest, " \t")))
		if (*word && count < 4)
			words[count++] = word;
	if (count == 0 || words[0][0] == '#')
		return;
	char *path = words[0], *tags = strchr(path, ';');
	if (tags)
		*tags++ = '\0';
	point.source = point.name = path;
	if (count == 1 || count == 4 || !*path)
		parse_bad(sink, BAD_SYNTAX, "it is not `path value [timestamp]`");
	else if (tags && !read_tags(tags, &point))
		parse_bad(sink, BAD_LABELS, "the tags of `%s` are not `tag=value;…`", parse_quote(quoted, path));
	else if (parse_decimal(words[1], &number) < 0)
		parse_bad(sink, BAD_VALUE, "`%s` is not a number", parse_quote(quoted, words[1]));
	else if (!read_time(words[2], &point.time))
		parse_bad(sink, BAD_TIME, "`%s` is not a time", parse_quote(quoted, words[2]));
	else if (parse_set(&point, CW_GAUGE, &number))
		sink->point(sink->arg, &point);
}
