/* SPDX-License-Identifier: MIT
 *
 * Whatever host, instance and labels hold: one value in is one line out, and the line has the shape its reader expects.
 * The input is cut at its zero bytes into host, instance, two labels and another second label.
 */
#include "format_graphite.h"
#include "format_json.h"
#include "format_putval.h"
#include "format_text.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static const struct cw_metric ended = {
	.name = "calls_ended_total", .kind = CW_COUNTER, .labels = {{.name = "how"}, {.name = "business"}}};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static int count(const char *text, char what)
{
	int n = 0;
	for (; *text; text++)
		n += *text == what;
	return n;
}

/* The one line, without its newline; freed by the caller. */
static char *line_of(format_fn format, const struct cw_batch *batch, const struct cw_sample *sample)
{
	struct buffer out = {.ceiling = 1 << 20};
	must(format(&out, batch, sample) == 1);
	must(out.block[out.length - 1] == '\n');
	out.block[out.length - 1] = 0;
	must(strlen(out.block) == out.length - 1 && text_is_utf8(out.block, out.length - 1));
	for (size_t i = 0; i + 1 < out.length; i++)
		must((unsigned char)out.block[i] >= 0x20 && out.block[i] != 0x7f);
	return out.block;
}

static void check_putval(const char *line)
{
	must(strlen(line) <= FORMAT_PUTVAL_LINE_MAX && strncmp(line, "PUTVAL \"", 8) == 0);
	must(count(line, '"') == 2 && count(line, '/') == 2 && count(line, '\\') == 0);
	const char *host = line + 8, *plugin = strchr(host, '/') + 1, *type = strchr(plugin, '/') + 1;
	must(plugin - host <= 128 && type - plugin <= 128 + 10 && strchr(type, '"') - type <= 127 + 7);
	must(strcmp(strchr(type, '"'), "\" interval=5.000 1700000000.125:1") == 0);
}

static void check_graphite(const char *line)
{
	must(count(line, ' ') == 2 && count(line, '.') == 5 && !strstr(line, "..") && strchr(line, ' ')[-1] != '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = calloc(1, size + 8), *parts[5];
	memcpy(copy, data, size);
	char *next = copy;
	for (int i = 0; i < 5; i++) {
		parts[i] = next;
		if (next < copy + size)
			next += strlen(next) + 1;
	}
	struct cw_batch batch = {.host = parts[0], .instance = parts[1], .interval = 5 * CW_SECOND};
	const char *labels[] = {parts[2], parts[3]}, *others[] = {parts[2], parts[4]};
	struct cw_sample sample = {
		.metric = &ended, .labels = labels, .time = 1700000000125000000, .number = CW_INTEGER, .integer = 1};
	char *line = line_of(format_putval, &batch, &sample);
	check_putval(line);
	sample.labels = others;
	char *other = line_of(format_putval, &batch, &sample);
	must((strcmp(parts[3], parts[4]) == 0) == (strcmp(line, other) == 0));
	free(other);
	free(line);
	line = line_of(format_graphite, &batch, &sample);
	check_graphite(line);
	free(line);
	free(line_of(format_json, &batch, &sample));
	free(line_of(format_text, &batch, &sample));
	free(copy);
	return 0;
}
