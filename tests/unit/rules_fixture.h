/* SPDX-License-Identifier: MIT
 *
 * Rules from a few lines of YAML, for tests: a plan with redis-calls (as `calls`), dlq and the test plugin steady
 * configured, and what follows. Plugins are looked for in the build's own folders.
 */
#ifndef CALLWATCH_TESTS_RULES_FIXTURE_H
#define CALLWATCH_TESTS_RULES_FIXTURE_H

#include "plan.h"
#include "rule.h"

#include <stdio.h>

#define RULES_AGENT "agent: { hostname: h, plugin_dir: [" BUILD_DIR "/tests/plugins, " BUILD_DIR "/plugins] }\n"
#define RULES_PLUGINS                                                                                                  \
	"plugins:\n"                                                                                                   \
	"  - { plugin: redis-calls, name: calls, url: 'redis://127.0.0.1:1', extra_fields: { worker: worker_id } }\n"  \
	"  - { plugin: dlq, url: 'redis://127.0.0.1:1' }\n"                                                            \
	"  - { plugin: steady }\n"

/* `problems` is initialised here and released by the caller. NULL: there are errors. */
static inline struct plan *rules_plan(const char *plugins, const char *text, struct problems *problems)
{
	static const char *const nothing[] = {NULL};
	char whole[16384];
	problems_init(problems);
	snprintf(whole, sizeof whole, RULES_AGENT "%s%s\n", plugins, text);
	struct config *config = config_load_with(nothing, "rules.yaml", whole, problems);
	return config ? plan_make(config, 0, problems) : NULL;
}

#endif
