/* SPDX-License-Identifier: MIT
 *
 * The agent as a library with a small face. It touches no signal, no argv, and never ends the process: main.c does.
 * Private to the core.
 */
#ifndef CALLWATCH_CORE_AGENT_H
#define CALLWATCH_CORE_AGENT_H

#include "plan.h"

struct agent;

struct agent_options {
	const char *const *config_paths; /* NULL-terminated; NULL: the default ones */
	bool once;
	const char *overlay; /* YAML text read after the files, NULL: none (main.c's --once adds its output this way) */
};

/* 0; -EINVAL: the configuration is wrong, all reasons in problems; another negative code: it cannot run (another one
 * does, no memory), the reason has been logged. */
int agent_new(const struct agent_options *options, struct problems *problems, struct agent **ret_agent);
/* Runs until agent_stop(), or with once until every source has read. 0, or 1 if with once a source or the output was
 * not up. Returns within 5 s of agent_stop(). */
int agent_run(struct agent *agent);
/* All below, but for agent_free(): any thread, return at once. */
void agent_stop(struct agent *agent);
/* done(), which may be NULL, runs on the agent's thread, or at once when the agent is ending; it must only pass on what
 * it is told. */
void agent_reload(struct agent *agent, const char *by, void (*done)(void *arg, bool ok, const char *text), void *arg);
/* What a reload would do: a line for each instance and for what needs a restart, "" if nothing; done() as above. */
void agent_preview(struct agent *agent, void (*done)(void *arg, bool ok, const char *text), void *arg);
void agent_flush(struct agent *agent);
void agent_log_states(struct agent *agent);
/* Every source has had its first reading or failed it; wall time of the start. An agent that is NULL is not ready. */
bool agent_ready(struct agent *agent);
int64_t agent_started(struct agent *agent);
/* For main.c's watchdog: the agent's loop and those of its frontends come round. */
bool agent_alive(struct agent *agent);
/* For an instance whose `on_start_error` is `fail`: ends the agent with 1. NULL is fine. */
void agent_start_failed(struct agent *agent, const char *instance);
void agent_free(struct agent *agent);

#endif
