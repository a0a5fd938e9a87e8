/* SPDX-License-Identifier: MIT
 *
 * See query.h.
 */
#include "query.h"

#include "problems.h"
#include "text.h"
#include "when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A row is named by key and instance, rows are chosen by conditions. */
static void where_instance(struct path *path, const struct query *query)
{
	char *where = must_printf("instance=%s", query->arguments->instance);
	path_query(path, query->key ? "instance" : "where", query->key ? query->arguments->instance : where);
	free(where);
}

static void path_time(struct path *path, const char *name, int64_t wall)
{
	char text[TEXT_TIME_SIZE];
	if (!wall)
		return;
	text_time(text, wall);
	path_query(path, name, text);
}

struct path *query_path(const struct query *query, enum format format, bool watch)
{
	const struct arguments *arguments = query->arguments;
	char limit[24];
	struct path *path = path_new(query->is_log ? "/api/v1/events" : "/api/v1/tables");
	if (!query->is_log)
		path_segment(path, query->table);
	if (query->key)
		path_segment(path, query->key);
	for (size_t i = 0; arguments->where[i]; i++)
		path_query(path, "where", arguments->where[i]);
	if (arguments->instance)
		where_instance(path, query);
	path_query(path, "sort", query->sort);
	snprintf(limit, sizeof(limit), "%lld", (long long)query->limit);
	if (!query->key)
		path_query(path, "limit", limit);
	path_query(path, "columns", arguments->columns);
	if (format == FORMAT_NDJSON || format == FORMAT_CSV)
		path_query(path, "format", format_names[format]);
	path_query(path, "reveal", arguments->reveal ? "true" : NULL);
	path_query(path, "watch", watch ? "true" : NULL);
	path_time(path, "at", query->at);
	path_time(path, "since", query->since);
	path_time(path, "until", query->until);
	return path;
}

/* `-15m` is `15m` ago, as other tools write it. */
static int read_time(const struct arguments *arguments, const char *option, const char *given, int64_t *ret_wall)
{
	struct manner manner = manner_of(arguments);
	if (!given || when_parse(given + (*given == '-'), &manner, ret_wall) == 0)
		return 0;
	complain("--%s takes " WHEN_FORMS, option);
	return -EINVAL;
}

int query_times(struct query *query)
{
	const struct arguments *arguments = query->arguments;
	int rc = read_time(arguments, "since", arguments->since, &query->since);
	if (rc == 0)
		rc = read_time(arguments, "until", arguments->until, &query->until);
	return rc == 0 ? read_time(arguments, "at", arguments->at, &query->at) : rc;
}

json_t *tables_ask(struct http *http, struct http_failure *ret_failure)
{
	return http_json(http, "/api/v1/tables", /* whole_s: */ 10, ret_failure);
}

struct manner manner_of(const struct arguments *arguments)
{
	return (struct manner){.utc = arguments->utc, .now = wall_now()};
}

int fail(struct http_failure *failure)
{
	complain("%s%s", failure->sentence ? failure->sentence : "stopped",
		 failure->status == 409 ? "\nHere: --instance NAME" : "");
	http_failure_release(failure);
	return EXIT_FAILED;
}

int fail_no_table(const char *name, const json_t *tables)
{
	const char *names[128];
	size_t count = 0, i, commands;
	for (; client_commands[count].name; count++)
		names[count] = client_commands[count].name;
	commands = count;
	const json_t *entry;
	json_array_foreach(json_object_get(tables, "tables"), i, entry)
	{
		if (count < sizeof(names) / sizeof(names[0]))
			names[count++] = field_text(entry, "name");
	}
	const char *nearest = nearest_name(name, names, count);
	complain("there is no command and no table \"%s\"%s%s%s", name, nearest ? "; did you mean `" : "",
		 nearest ? nearest : "", nearest ? "`?" : "");
	fputs("commands:", stderr);
	for (i = 0; i < commands; i++)
		fprintf(stderr, " %s", names[i]);
	fputs("\ntables:  ", stderr);
	for (; i < count; i++) {
		char *shown = visible(names[i]);
		fprintf(stderr, " %s", shown);
		free(shown);
	}
	fputs(count == commands ? " none yet\n" : "\n", stderr);
	return EXIT_FAILED;
}

int sink_stdout(void *arg, const char *data, size_t length)
{
	(void)arg;
	return fwrite(data, 1, length, stdout) == length ? 0 : -EIO;
}
