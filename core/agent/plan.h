/* SPDX-License-Identifier: MIT
 *
 * A plan: what should run. The configuration held against the plugins it names: agent options, a list of instances
 * with checked options, and the rules (core/alerts/rule.h). Made whole or not at all; a reload compares each of its
 * instances with the one that runs. Private to the core.
 */
#ifndef CALLWATCH_CORE_PLAN_H
#define CALLWATCH_CORE_PLAN_H

#include "config.h"
#include "loader.h"

struct ruleset;

struct plan_instance {
	const char *name;
	const struct plugin *plugin;
	const struct cw_value *options; /* the plugin's own … */
	const struct cw_value *common; /* … and the core's (`interval`, `labels`, `queue` …): one group, keys differ */
	uint8_t fingerprint[16];       /* of all that would make it another instance */
	struct place place;
};

struct plan {
	struct cw_value *agent;
	struct plan_instance *instances;
	size_t count;
	struct config *config;
	struct ruleset *ruleset; /* NULL with PLAN_ONCE: nothing is judged then */
	int references;          /* running instances borrow their options from the plan they were made by */
};

enum plan_flags { PLAN_NO_SECRETS = 1 << 0, PLAN_ONCE = 1 << 1 };

/* The core's own keys: of `agent:`, of every instance, of outputs (a superset). Arrays of struct cw_option. */
extern const struct cw_array plan_agent_options, plan_common_options, plan_output_options;
/* Does this key of `agent:` make other instances of all of them? */
bool plan_is_inherited(const char *key);
/* With PLAN_ONCE an entry of the file of this name is kept whatever its role; other outputs are left out. */
extern const char plan_overlay[];

/* Takes over `config`, also when it fails. NULL if there was any error. Sets the loader's directories for
 * the whole process: plan_use_directories() of the old plan, if this one is not taken. One thread (the
 * agent's) makes and releases plans. */
struct plan *plan_make(struct config *config, unsigned flags, struct problems *problems);
/* Sets the loader's directories to the plan's again (another plan was tried and thrown away); NULL: the default. */
void plan_use_directories(const struct plan *plan);
struct plan *plan_ref(struct plan *plan);
void plan_unref(struct plan *plan); /* NULL is fine */

#endif
