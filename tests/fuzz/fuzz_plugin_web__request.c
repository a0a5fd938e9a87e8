/* SPDX-License-Identifier: MIT
 *
 * A request as libwebsockets hands it on: lines `path`, then one `name=value` each. Any bytes find a route or a problem
 * that is told as well-formed UTF-8; cells of the same bytes are rendered.
 */
#include "render.h"
#include "text.h"
#include "web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Handlers need a host: what is fuzzed here is what comes before. http.c's answers are made by its own functions. */
struct lines {
	const char *at, *end;
};

static int next_param(void *arg, uint32_t i, char *buffer, size_t size)
{
	struct lines *lines = arg;
	(void)i;
	if (lines->at >= lines->end)
		return -1;
	const char *stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	size_t length = (size_t)((stop ? stop : lines->end) - lines->at);
	if (length >= size)
		length = size - 1;
	memcpy(buffer, lines->at, length);
	lines->at = stop ? stop + 1 : lines->end;
	return (int)length;
}

static void check_rows(const char *text, size_t length)
{
	struct cw_column column = {.name = "c", .type = CW_TEXT};
	struct cw_cell cell = {.type = CW_CELL_TEXT, .length = (uint32_t)length, .text = text};
	struct buffer out;
	buffer_init(&out, 0, 64 + length * 2);
	render_json_row(&out, &column, &cell, 1, false);
	render_csv_row(&out, &column, &cell, 1);
	if (out.length > out.ceiling || !text_is_utf8(buffer_text(&out), out.length))
		abort();
	buffer_release(&out);
}

static int no_endpoint(struct cw_instance *self, const char *method, const char *path, const char *key,
		       struct cw_endpoint_found *ret_found)
{
	(void)self, (void)method, (void)path, (void)key, (void)ret_found;
	return -ENOENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct door doors[] = {{.is_tcp = true}, {.is_tcp = true, .only_metrics = true}};
	static const struct cw_frontend frontend = {.endpoint = no_endpoint};
	struct web web = {.frontend = &frontend};
	const struct peer peer = {.door = &doors[size % 2]};
	if (size == 0 || size > 4096)
		return 0;
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	char *path_end = memchr(text, '\n', size);
	struct lines lines = {path_end ? path_end + 1 : text + size, text + size};
	if (path_end)
		*path_end = '\0';
	struct exchange exchange = {.web = &web, .peer = &peer, .path = text, .method = (enum method)(data[0] % 5)};
	buffer_init(&exchange.body, 0, 65536);
	route_resolve(&exchange, next_param, &lines);
	if (exchange.status >= 400 && !text_is_utf8(buffer_text(&exchange.body), exchange.body.length))
		abort();
	if (exchange.status < 400 && !exchange.route)
		abort();
	params_release(&exchange.params);
	for (int i = 0; i < PATH_ARGUMENTS_MAX; i++)
		free(exchange.arguments[i]);
	buffer_release(&exchange.body);
	check_rows((const char *)data, size);
	free(text);
	return 0;
}
