/* SPDX-License-Identifier: MIT
 *
 * An answer of any shape, laid out for people: nothing but visible characters may come out, however it is cut.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

static void check_visible(const char *text)
{
	for (const char *c = text; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f)
			abort();
}

static void lay_out(const json_t *json, int width)
{
	struct table_info info;
	table_info_init(&info, json);
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	struct screen screen = {.terminal = true, .width = width};
	struct manner manner = {.utc = true, .now = wall_now()};
	struct rows_view view = {
		.info = &info, .names = json_object_get(json, "names"), .rows = json_object_get(json, "rows")};
	struct freshness fresh = freshness_of("calls", json);
	char *worth = freshness_text(&fresh, &screen);
	free(rows_print(&view, &manner, &screen, /* most: */ 0, out));
	blind_print(view.rows, view.rows, &fresh, &manner, &screen, out);
	fclose(out);
	check_visible(text);
	check_visible(worth);
	lines_taken(text, width);
	free(worth);
	free(text);
	table_info_release(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	if (!ready)
		screen_init();
	ready = true;
	json_t *json = size ? json_loadb((const char *)data + 1, size - 1, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (json_is_object(json))
		lay_out(json, data[0]);
	json_decref(json);
	return 0;
}
