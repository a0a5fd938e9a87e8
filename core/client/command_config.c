/* SPDX-License-Identifier: MIT
 *
 * `callwatch config show`: the configuration as callwatchd would merge it, each key with the place it comes from. Needs
 * no daemon. Which keys are secrets the plugins say themselves; of a plugin that cannot be loaded every key with a
 * telling name is one. `callwatch config diff` asks callwatchd what a reload would do.
 */
#include "client.h"
#include "config.h"
#include "http.h"
#include "loader.h"
#include "plugin_directories.h"
#include "problems.h"
#include "query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool sounds_secret(const char *key)
{
	static const char *const words[] = {"password", "secret", "token", "webhook", "key", "credential"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(key, words[i]))
			return true;
	return false;
}

static bool names_file(const char *key)
{
	size_t length = strlen(key);
	return length > 5 && strcmp(key + length - 5, "_file") == 0;
}

static bool is_secret(const struct config_entry *entry, const char *key)
{
	char error[LOADER_ERROR_MAX];
	const struct plugin *plugin = entry && entry->plugin ? loader_find(entry->plugin, error) : NULL;
	if (names_file(key)) /* the place of a secret is none */
		return false;
	for (uint32_t i = 0; plugin && i < plugin->decl.options.count; i++) {
		const struct cw_option *option = cw_at(&plugin->decl.options, i);
		if (strcmp(option->key, key) == 0)
			return option->flags & CW_OPTION_SECRET;
	}
	return sounds_secret(key);
}

static int show(const struct arguments *arguments)
{
	struct problems problems;
	problems_init(&problems);
	struct config *config = config_load(arguments->config[0] ? arguments->config : NULL, &problems);
	problems_print(&problems, stderr, /* json: */ false);
	int code = problems.errors || !config ? EXIT_BAD_CONFIG : EXIT_FINE;
	if (config) {
		plugin_directories_use(config);
		config_print(config, stdout, is_secret);
	}
	config_free(config);
	problems_release(&problems);
	return code;
}

static void print_changes(const json_t *changes)
{
	const json_t *change;
	size_t i;
	json_array_foreach(changes, i, change)
	{
		char *shown = visible(json_string_value(change));
		puts(shown);
		free(shown);
	}
	if (json_array_size(changes) == 0)
		puts("nothing: the configuration on disk is the one in force");
}

static int diff(const struct arguments *arguments)
{
	if (arguments->config[0]) {
		complain("`config diff` is about the files that callwatchd was started with: no -c");
		return EXIT_USAGE;
	}
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	struct http_failure failure;
	json_t *answer = http_json(http, "/api/v1/config/diff", /* whole_s: */ 60, &failure);
	int code = EXIT_FINE;
	if (answer) {
		print_changes(json_object_get(answer, "changes"));
	} else {
		code = failure.status == 422              ? EXIT_BAD_CONFIG
		       : failure.kind == HTTP_UNREACHABLE ? EXIT_UNREACHABLE
							  : EXIT_FAILED;
		fail(&failure);
	}
	json_decref(answer);
	http_close(http);
	return code;
}

int command_config(const struct arguments *arguments)
{
	if (strcmp(arguments->words[1], "show") == 0)
		return show(arguments);
	if (strcmp(arguments->words[1], "diff") == 0)
		return diff(arguments);
	complain("`config` knows `show` and `diff`, not \"%s\"", arguments->words[1]);
	return EXIT_USAGE;
}
