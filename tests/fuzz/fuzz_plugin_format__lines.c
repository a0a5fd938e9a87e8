/* SPDX-License-Identifier: MIT
 *
 * Whatever host, instance and labels hold: one value in is one line out, and the line has the shape its reader expects.
 * The input is cut at its zero bytes into host, instance, two labels and another second label. And where two label
 * values make one of Graphite's names, both have been called doubtful.
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

/* What Python, Go and the terminal of whoever looks take for the end of a word or line, beyond ASCII. */
static void check_no_wide_blank(const char *line)
{
	static const char *const blanks[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
					     "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
					     "\xe2\x81\x9f", "\xe3\x80\x80", "\xe2\x80\x83"};
	for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++)
		must(!strstr(line, blanks[i]));
}

/* The line of one sample in a form, freed by the caller. */
static char *graphite_line_of(const struct graphite_form *form, const struct cw_batch *batch,
			      const struct cw_sample *sample, bool *ret_doubtful)
{
	struct graphite_names names = {0};
	struct format_point points[FORMAT_GRAPHITE_POINTS_MAX];
	struct buffer out = {.ceiling = 1 << 20};
	size_t name_length;
	must(graphite_names_begin(&names, form, batch) == 0 && graphite_points(sample, points) == 1);
	int status = graphite_line(&names, &out, sample, points, &name_length);
	must(status >= 0 && out.block[name_length] == ' ');
	must(out.length <= FORMAT_GRAPHITE_LINE_MAX && out.block[out.length - 1] == '\n');
	*ret_doubtful = status == GRAPHITE_DOUBTFUL;
	out.block[out.length - 1] = 0;
	graphite_names_release(&names);
	return out.block;
}

/* Whoever shares a name with another has been told that this may be. */
static void check_doubts(const struct graphite_form *form, const struct cw_batch *batch, struct cw_sample sample,
			 const char *const *labels, const char *const *others)
{
	bool first_doubt, second_doubt;
	sample.labels = labels;
	char *first = graphite_line_of(form, batch, &sample, &first_doubt);
	sample.labels = others;
	char *second = graphite_line_of(form, batch, &sample, &second_doubt);
	must(strcmp(first, second) != 0 || strcmp(labels[1], others[1]) == 0 || (first_doubt && second_doubt));
	free(first);
	free(second);
}

/* As carbon reads a tagged name: parts between semicolons, each a name and a value. */
static void check_tagged(const char *line)
{
	must(count(line, ' ') == 2 && count(line, ';') == 4 && count(line, '=') == 4);
	must(!strstr(line, "=;") && !strstr(line, "= ") && !strstr(line, "=~") && !strstr(line, ";="));
	check_no_wide_blank(line);
}

static void check_graphite(const char *line)
{
	must(strlen(line) < FORMAT_GRAPHITE_LINE_MAX);
	check_no_wide_blank(line);
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
	struct graphite_form path, tags;
	char error[FORMAT_GRAPHITE_ERROR_MAX];
	bool doubtful;
	must(graphite_form_path(&path, format_graphite_prefix, format_graphite_template, error) == 0);
	graphite_form_tags(&tags, format_graphite_prefix);
	line = graphite_line_of(&tags, &batch, &sample, &doubtful);
	check_tagged(line);
	free(line);
	check_doubts(&path, &batch, sample, labels, others);
	check_doubts(&tags, &batch, sample, labels, others);
	free(line_of(format_json, &batch, &sample));
	free(line_of(format_text, &batch, &sample));
	free(copy);
	return 0;
}
