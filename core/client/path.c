/* SPDX-License-Identifier: MIT
 *
 * Paths with queries, see http.h.
 */
#include "http.h"

#include "client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

struct path {
	char *text;
	bool has_query;
};

struct path *path_new(const char *start)
{
	struct path *path = must(calloc(1, sizeof(*path)));
	path->text = must(strdup(start));
	return path;
}

static void append(struct path *path, const char *separator, const char *name, const char *value)
{
	char *escaped = must(curl_easy_escape(NULL, value, (int)strnlen(value, 1 << 20)));
	char *longer = must_printf("%s%s%s%s%s", path->text, separator, name, *name ? "=" : "", escaped);
	curl_free(escaped);
	free(path->text);
	path->text = longer;
}

void path_segment(struct path *path, const char *segment)
{
	append(path, "/", "", segment);
}

void path_query(struct path *path, const char *name, const char *value)
{
	if (!value)
		return;
	append(path, path->has_query ? "&" : "?", name, value);
	path->has_query = true;
}

const char *path_text(const struct path *path)
{
	return path->text;
}

void path_free(struct path *path)
{
	if (!path)
		return;
	free(path->text);
	free(path);
}
