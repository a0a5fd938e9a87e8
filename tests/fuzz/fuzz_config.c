/* SPDX-License-Identifier: MIT
 *
 * A configuration from a stranger, merged and held against a table that has an option of every type: no crash, and what
 * is shown of it reads back.
 */
#include "config.h"
#include "options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const modes[] = {"reset", "push", NULL};
static const struct cw_option fields[] = {
	{.key = "address", .type = CW_OPTION_STRING, .flags = CW_OPTION_REQUIRED, .help = "h"},
	{.key = "budget", .type = CW_OPTION_RATIO, .fallback = "5%", .max = 1, .help = "h"},
};
static const struct cw_option options[] = {
	{.key = "plugin", .type = CW_OPTION_STRING, .help = "h"},
	{.key = "name", .type = CW_OPTION_STRING, .help = "h"},
	{.key = "url", .type = CW_OPTION_STRING, .flags = CW_OPTION_CONNECTION, .help = "h"},
	{.key = "pin", .type = CW_OPTION_INT, .flags = CW_OPTION_SECRET, .help = "h"},
	{.key = "on", .type = CW_OPTION_BOOL, .help = "h"},
	{.key = "factor", .type = CW_OPTION_NUMBER, .min = 0.5, .max = HUGE_VAL, .help = "h"},
	{.key = "after", .type = CW_OPTION_DURATION, .min = 1e9, .max = 3600e9, .help = "h"},
	{.key = "size", .type = CW_OPTION_SIZE, .help = "h"},
	{.key = "mode", .type = CW_OPTION_CHOICE, .choices = modes, .help = "h"},
	{.key = "to", .type = CW_OPTION_LIST, .fallback = "[a, b]", .help = "h"},
	{.key = "extra", .type = CW_OPTION_MAP, .help = "h"},
	{.key = "sweep", .type = CW_OPTION_GROUP, .fields = CW_ARRAY(fields), .help = "h"},
	{.key = "listen", .type = CW_OPTION_ITEMS, .fields = CW_ARRAY(fields), .help = "h"},
	{.key = "where", .type = CW_OPTION_WHERE, .help = "h"},
	{.key = "lookup", .type = CW_OPTION_INSTANCE, .help = "h"},
};
static const struct cw_array table = CW_ARRAY(options);

static void check_entries(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < config->count; i++) {
		uint8_t hash[16];
		const struct options_context context = {
			.tables = {&table, NULL},
			.connection = config->connections->count ? config->connections->children[0] : NULL,
			.problems = problems};
		struct cw_value *values = options_check(&context, config->entries[i].node);
		if (values)
			options_fingerprint(values, hash);
		options_free(values);
	}
}

static void show_and_read_back(const struct config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	config_print(config, out, NULL);
	fclose(out);
	struct problems problems;
	problems_init(&problems);
	struct yaml *yaml = yaml_read_text(text, size, "shown", &problems);
	/* Places and quotes make it longer, so that only its size may be refused. */
	if (!yaml && size < YAML_BYTES_MAX)
		abort();
	yaml_free(yaml);
	problems_release(&problems);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const no_paths[] = {NULL};
	char *text = strndup((const char *)data, size);
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load_with(no_paths, "fuzz", text, &problems);
	if (config) {
		if (problems.errors == 0)
			show_and_read_back(config);
		check_entries(config, &problems);
	}
	config_free(config);
	problems_release(&problems);
	free(text);
	return 0;
}
