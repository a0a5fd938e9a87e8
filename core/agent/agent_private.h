/* SPDX-License-Identifier: MIT
 *
 * The inside of the agent, shared by agent.c (start, run, stop) and reload.c. Nobody else includes it.
 */
#ifndef CALLWATCH_CORE_AGENT_PRIVATE_H
#define CALLWATCH_CORE_AGENT_PRIVATE_H

#include "agent.h"
#include "alerting.h"
#include "history.h"
#include "hub.h"
#include "instance.h"
#include "journal.h"
#include "mailbox.h"
#include "resolver.h"
#include "tasks.h"

#include <stdatomic.h>
#include <uv.h>

struct asker {
	struct asker *next;
	char *by;
	void (*done)(void *arg, bool ok, const char *text);
	void *arg;
};

/* A running instance, or one on its way out during a reload. */
struct slot {
	struct instance *instance;
	enum cw_role role;
	bool leaving, removed; /* removed: it is not in the new configuration, its rows go too */
};

/* The queue that an output of this name had last: one that comes back inherits it. */
struct earlier {
	struct earlier *next;
	char *name;
	struct outqueue *queue; /* a reference */
};

struct reload {
	struct asker *asking;  /* for the reload under way */
	struct asker *waiting; /* came meanwhile: the files may have changed again, so one more follows */
	struct plan *plan;     /* the new one, while old instances are ending; NULL: no reload is under way */
	int64_t deadline;
};

struct agent {
	const char *const *config_paths;
	bool once;
	char *hostname, *state_dir;
	int lock_fd;
	struct plan *plan;       /* what runs */
	struct plan *first_plan; /* what a reload cannot change is compared with */
	struct hub *hub;
	struct resolver *resolver;
	struct lookups *lookups;
	struct roster *roster;
	struct journal *journal;   /* NULL: there is no state_dir */
	struct history *history;   /* the same */
	struct tasks *tasks;       /* NULL with once */
	struct alerting *alerting; /* NULL with once */
	struct instance_context context;
	struct slot *slots;
	size_t count;
	struct earlier *earlier;
	struct reload reload;

	uv_loop_t loop;
	uv_timer_t second, soon; /* soon: while something is awaited that tells nobody when it is there */
	struct mailbox *box;
	int64_t started;             /* wall */
	int64_t last_watch;          /* awake */
	int64_t seen_now, seen_wall; /* the two clocks a second ago */
	int64_t once_give_up;        /* instant */
	bool stopping;

	/* any thread */
	_Atomic bool ready, running, frontends_alive;
	_Atomic int status;         /* what agent_run() returns */
	_Atomic int64_t beat;       /* awake */
	_Atomic int64_t stop_asked; /* instant, 0: not */
};

/* agent.c */
int agent_start_instance(struct agent *agent, struct plan *plan, const struct plan_instance *what);
/* Joins it; it was asked to stop. `returns`: one of its name is started next. */
void agent_drop_slot(struct agent *agent, size_t index, int64_t deadline, bool returns);
void agent_use_plan(struct agent *agent, struct plan *plan); /* takes over the reference */
void agent_poll_soon(struct agent *agent);

/* reload.c: on the agent's thread */
void reload_ask(struct agent *agent, struct asker *asker);
void reload_preview(struct agent *agent, struct asker *asker);
void reload_step(struct agent *agent);                             /* while reload.plan: have the leaving ones ended? */
void reload_abort(struct agent *agent);                            /* the agent ends: whoever waits is told so */
void asker_answer(struct asker *asker, bool ok, const char *text); /* and frees it */

#endif
