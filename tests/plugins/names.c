/* SPDX-License-Identifier: MIT
 *
 * names: a lookup that knows everybody: the name of `x` is `<prefix> x`, but keys that begin with `nobody` are not
 * there, and those that begin with `never` are never answered. With `hang` a question never comes back.
 */
#include <callwatch/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASKED };

static const struct cw_metric metrics[] = {
	[ASKED] = {.name = "names_asked_total", .kind = CW_COUNTER, .unit = "keys", .help = "Keys that were asked for"},
};

static const struct cw_option options[] = {
	{.key = "prefix", .type = CW_OPTION_STRING, .fallback = "name", .help = "What each name begins with"},
	{.key = "hang", .type = CW_OPTION_BOOL, .help = "A question never comes back"},
};

struct names {
	struct cw_instance *self;
	const struct cw_host *host;
	const char *prefix;
	bool hang;
	uint64_t asked;
};

static int names_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
		       void **ret_state)
{
	struct names *names = calloc(1, sizeof *names);
	if (!names)
		return -12; /* ENOMEM */
	*names = (struct names){.self = self, .host = host, .prefix = cw_get_string(values, "prefix")};
	names->hang = cw_get_bool(values, "hang");
	*ret_state = names;
	return 0;
}

static void names_look_up(void *state, const char *const *keys, uint32_t n)
{
	struct names *names = state;
	names->asked += n;
	while (names->hang)
		pause();
	for (uint32_t i = 0; i < n; i++) {
		char name[512];
		struct cw_answer answer = {.key = keys[i], .as_of = names->host->wall()};
		snprintf(name, sizeof name, "%s %s", names->prefix, keys[i]);
		if (strncmp(keys[i], "nobody", 6) != 0)
			answer.value = name;
		if (strncmp(keys[i], "never", 5) != 0)
			names->host->answer(names->self, &answer, 1);
	}
}

static int names_read(void *state)
{
	struct names *names = state;
	names->host->counter(names->self, ASKED, NULL, names->asked);
	return 0;
}

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "names",
	.summary = "A lookup that knows everybody, for tests",
	.role = CW_LOOKUP,
	.options = CW_ARRAY(options),
	.metrics = CW_ARRAY(metrics),
	.start = names_start,
	.read = names_read,
	.look_up = names_look_up,
	.release = free,
};
