/* SPDX-License-Identifier: MIT
 *
 * What tests of instances share: the world around one (hub, resolver, lookups, roster, a plan of nothing), its start
 * and its end, and a wait with a deadline. A test's own fake plugins, and what they are told to do, are the test's.
 */
#ifndef CALLWATCH_TESTS_INSTANCE_WORLD_H
#define CALLWATCH_TESTS_INSTANCE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "instance.h"
#include "log.h"
#include "lookup.h"
#include "roster.h"

#include <time.h>

static struct hub *hub;
static struct resolver *resolver;
static struct lookups *lookups;
static struct roster *roster;
static struct plan plan = {.references = 1000}; /* never freed: made of static data */

/* `interval`: of the agent's own samples. 0, or -1 as cmocka has it. */
static int open_world(int64_t interval)
{
	struct hub_options options = {.hostname = "h", .version = "test", .interval = interval};
	log_open(LOG_TEXT, CW_ERROR + 1);
	hub = hub_new(&options);
	resolver = resolver_new();
	lookups = lookups_new();
	roster = roster_new();
	return hub && resolver && lookups && roster && hub_start(hub) == 0 ? 0 : -1;
}

/* A thread that was left behind may still look at what is not freed then. */
static int close_world(void)
{
	hub_stop(hub);
	resolver_free(resolver);
	if (instance_abandoned_count() > 0)
		return 0;
	lookups_free(lookups);
	roster_free(roster);
	hub_free(hub);
	return 0;
}

/* To be changed by a test that needs another. */
static struct instance_context usual_context(void)
{
	return (struct instance_context){.hub = hub,
					 .resolver = resolver,
					 .lookups = lookups,
					 .roster = roster,
					 .hostname = "h",
					 .version = "test",
					 .interval = CW_SECOND};
}

/* Options of the plugin and of the core are one here; all is borrowed while the instance lives. */
static struct plan_instance planned(const char *name, const struct plugin *plugin, const struct cw_value *options)
{
	return (struct plan_instance){.name = name, .plugin = plugin, .options = options, .common = options};
}

static struct instance *start_instance(const struct instance_context *context, const struct plan_instance *what,
				       struct outqueue *before)
{
	struct instance *instance = instance_start(context, &plan, what, before);
	assert_non_null(instance);
	return instance;
}

static void end_instance(struct instance *instance, bool returns)
{
	instance_stop(instance);
	assert_true(instance_join(instance, clock_now() + 20 * CW_SECOND, returns));
}

#define WAIT_UNTIL(condition)                                                                                          \
	do {                                                                                                           \
		int64_t give_up = clock_now() + 60 * CW_SECOND;                                                        \
		while (!(condition)) {                                                                                 \
			if (clock_now() > give_up)                                                                     \
				fail_msg("never came true: %s", #condition);                                           \
			nanosleep(&(struct timespec){0, 1000000}, NULL);                                               \
		}                                                                                                      \
	} while (0)

#endif
