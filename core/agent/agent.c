/* SPDX-License-Identifier: MIT
 *
 * See agent.h. The agent is an actor like the others: a loop, a mailbox, and what it alone may touch: the plan and the
 * list of instances. Others ask it by mail.
 *
 * Start: hub, then outputs and frontends, then sources, so that nobody speaks before somebody listens. End: sources and
 * frontends, then the hub, which passes on what is left, then outputs, each part with its share of five seconds; what
 * does not end in its share is left behind, and main.c ends the process without waiting for it.
 */
#include "agent.h"

#include "agent_private.h"
#include "clock.h"
#include "journal_alerts.h"
#include "journal_tasks.h"
#include "log.h"
#include "roster.h"
#include "state_dir.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAILBOX_LIMIT = 1024, SOON_MS = 5, HOSTNAME_SIZE = 256 };

static const int64_t sources_end_ns = CW_SECOND * 3 / 2; /* since agent_stop() */
static const int64_t outputs_end_ns = CW_SECOND * 43 / 10;
static const int64_t alerts_end_ns = CW_SECOND * 45 / 10;
static const int64_t journal_end_ns = CW_SECOND * 47 / 10;
static const int64_t once_least_ns = 60 * CW_SECOND;     /* how long --once waits for a slow source at least */
static const int64_t never_ns = 365 * 86400 * CW_SECOND; /* --once gives the sources' samples, not the agent's own */
static const int64_t alive_ns = 10 * CW_SECOND;
static const int64_t unwatched_ns = 5 * CW_SECOND; /* a gap that is worth a word */

/* ---- the list of instances ---- */

static struct earlier *find_earlier(const struct agent *agent, const char *name)
{
	struct earlier *earlier = agent->earlier;
	while (earlier && strcmp(earlier->name, name) != 0)
		earlier = earlier->next;
	return earlier;
}

/* Without memory it is not remembered: then what waits is lost at a restart, counted when its queue was closed. */
static void remember_queue(struct agent *agent, const char *name, struct outqueue *queue)
{
	struct earlier *earlier = find_earlier(agent, name);
	if (!queue)
		return;
	if (!earlier) {
		earlier = calloc(1, sizeof *earlier);
		if (!earlier || !(earlier->name = strdup(name))) {
			free(earlier);
			return;
		}
		earlier->next = agent->earlier;
		agent->earlier = earlier;
	}
	outqueue_unref(earlier->queue);
	earlier->queue = outqueue_ref(queue);
}

static void forget_queues(struct agent *agent)
{
	while (agent->earlier) {
		struct earlier *next = agent->earlier->next;
		outqueue_unref(agent->earlier->queue);
		free(agent->earlier->name);
		free(agent->earlier);
		agent->earlier = next;
	}
}

/* Samples may be coming for one that was to come back. */
static void give_up(struct agent *agent, const char *name, struct outqueue *queue)
{
	if (queue)
		outqueue_close(queue);
	hub_remove_instance(agent->hub, name);
}

int agent_start_instance(struct agent *agent, struct plan *plan, const struct plan_instance *what)
{
	struct earlier *earlier = find_earlier(agent, what->name);
	struct outqueue *before = earlier ? earlier->queue : NULL;
	struct slot *slots = realloc(agent->slots, (agent->count + 1) * sizeof *slots);
	if (slots)
		agent->slots = slots;
	struct instance *instance = slots ? instance_start(&agent->context, plan, what, before) : NULL;
	if (!instance) {
		give_up(agent, what->name, before);
		return slots ? -EAGAIN : -ENOMEM;
	}
	if (before && !instance_queue(instance))
		outqueue_close(before); /* it is no output any more */
	remember_queue(agent, what->name, instance_queue(instance));
	agent->slots[agent->count++] = (struct slot){.instance = instance, .role = what->plugin->decl.role};
	return 0;
}

void agent_drop_slot(struct agent *agent, size_t index, int64_t deadline, bool returns)
{
	struct slot slot = agent->slots[index];
	if (agent->once && !(instance_wait(slot.instance, deadline) && instance_is_up(slot.instance)))
		agent->status = 1; /* a source that did not read, or an output that could not say it */
	instance_join(slot.instance, deadline, returns);
	agent->slots[index] = agent->slots[--agent->count];
}

static void start_all(struct agent *agent)
{
	for (int turn = 0; turn < ROLE_TURNS; turn++)
		for (size_t i = 0; i < agent->plan->count; i++) {
			const struct plan_instance *what = &agent->plan->instances[i];
			if (role_turn(what->plugin->decl.role) == turn &&
			    agent_start_instance(agent, agent->plan, what) < 0 && agent->once)
				agent->status = 1;
		}
}

/* Those that `chosen` says, until the instant. */
static void stop_some(struct agent *agent, bool (*chosen)(enum cw_role role), bool others, int64_t deadline)
{
	for (size_t i = 0; i < agent->count; i++)
		if (chosen(agent->slots[i].role) != others)
			instance_stop(agent->slots[i].instance);
	for (size_t i = agent->count; i-- > 0;)
		if (chosen(agent->slots[i].role) != others)
			agent_drop_slot(agent, i, deadline, /* returns */ false);
}

static bool all_sources(struct agent *agent, bool (*is_so)(const struct instance *instance))
{
	for (size_t i = 0; i < agent->count; i++)
		if (role_is_source(agent->slots[i].role) && !is_so(agent->slots[i].instance))
			return false;
	return true;
}

/* ---- what is asked by mail ---- */

struct request {
	struct mail mail; /* first */
	void (*carry_out)(struct agent *agent, struct request *request);
	struct asker *asker;
};

static void on_request(struct mail *mail, void *owner)
{
	struct request *request = (struct request *)mail;
	request->carry_out(owner, request);
	free(request);
}

static void on_request_dropped(struct mail *mail)
{
	struct request *request = (struct request *)mail;
	if (request->asker)
		asker_answer(request->asker, false, "the agent is ending");
	free(request);
}

static void ask(struct agent *agent, void (*carry_out)(struct agent *agent, struct request *request),
		struct asker *asker)
{
	struct request *request = malloc(sizeof *request);
	if (request)
		*request = (struct request){{.deliver = on_request, .drop = on_request_dropped}, carry_out, asker};
	if (!request || mailbox_post(agent->box, &request->mail) < 0) {
		if (asker)
			asker_answer(asker, false, "the agent is ending, or too much is asked of it at once");
		free(request);
	}
}

static void carry_out_stop(struct agent *agent, struct request *request)
{
	(void)request;
	agent->stopping = true;
	uv_stop(&agent->loop);
}

void agent_stop(struct agent *agent)
{
	int64_t never = 0;
	atomic_compare_exchange_strong(&agent->stop_asked, &never, clock_now());
	ask(agent, carry_out_stop, NULL);
}

static void carry_out_reload(struct agent *agent, struct request *request)
{
	if (agent->once) /* its outputs are not those of the files */
		asker_answer(request->asker, false, "with --once there is no reload");
	else
		reload_ask(agent, request->asker);
}

static void carry_out_preview(struct agent *agent, struct request *request)
{
	reload_preview(agent, request->asker);
}

static void ask_for(struct agent *agent, void (*carry_out)(struct agent *agent, struct request *request),
		    const char *by, void (*done)(void *arg, bool ok, const char *text), void *arg)
{
	struct asker *asker = malloc(sizeof *asker);
	if (asker)
		*asker = (struct asker){NULL, strdup(by ? by : "somebody"), done, arg};
	else if (done)
		done(arg, false, "out of memory");
	if (asker)
		ask(agent, carry_out, asker);
}

void agent_reload(struct agent *agent, const char *by, void (*done)(void *arg, bool ok, const char *text), void *arg)
{
	ask_for(agent, carry_out_reload, by, done, arg);
}

void agent_preview(struct agent *agent, void (*done)(void *arg, bool ok, const char *text), void *arg)
{
	ask_for(agent, carry_out_preview, /* by */ NULL, done, arg);
}

static void carry_out_flush(struct agent *agent, struct request *request)
{
	(void)request;
	for (size_t i = 0; i < agent->count; i++)
		if (!role_is_source(agent->slots[i].role))
			instance_flush(agent->slots[i].instance);
	log_line(NULL, CW_INFO, "outputs are asked to flush");
}

void agent_flush(struct agent *agent)
{
	ask(agent, carry_out_flush, NULL);
}

static void carry_out_log_states(struct agent *agent, struct request *request)
{
	(void)request;
	log_change(NULL, CW_INFO, "up for %s with %zu instances%s", text_ns(clock_wall() - agent->started).text,
		   agent->count, agent->reload.plan ? ", a reload is under way" : "");
	for (size_t i = 0; i < agent->count; i++)
		instance_log_state(agent->slots[i].instance);
}

void agent_log_states(struct agent *agent)
{
	ask(agent, carry_out_log_states, NULL);
}

bool agent_ready(struct agent *agent)
{
	return agent && atomic_load(&agent->ready);
}

int64_t agent_started(struct agent *agent)
{
	return agent ? agent->started : 0;
}

bool agent_alive(struct agent *agent)
{
	return atomic_load(&agent->running) && atomic_load(&agent->frontends_alive) &&
	       clock_awake() - atomic_load(&agent->beat) < alive_ns;
}

void agent_start_failed(struct agent *agent, const char *instance)
{
	if (!agent)
		return;
	log_line(instance, CW_ERROR, "it could not be started, and `on_start_error: fail` ends the agent");
	atomic_store(&agent->status, 1);
	agent_stop(agent);
}

/* ---- the loop ---- */

/* After a pause of the whole process every instance looks stuck for a moment: then one round is left out. */
static void watch_all(struct agent *agent)
{
	int64_t now = clock_awake(), since = now - agent->last_watch;
	bool alive = true;
	agent->last_watch = now;
	for (size_t i = 0; i < agent->count && since < 3 * CW_SECOND; i++) {
		instance_watch(agent->slots[i].instance);
		alive &= agent->slots[i].role != CW_FRONTEND || instance_state(agent->slots[i].instance) != CW_STUCK;
	}
	atomic_store(&agent->frontends_alive, alive);
	atomic_store(&agent->beat, now);
}

static void note(struct agent *agent, const char *text)
{
	log_line(NULL, CW_WARNING, "%s", text);
	hub_event(agent->hub, "note", "agent", /* from */ NULL, /* to */ NULL, /* by */ NULL, text);
}

/* A clock that was stepped, and a time in which nobody watched, explain much of what people wonder about later. */
static void note_time(struct agent *agent)
{
	char text[128];
	int64_t now = clock_now(), wall = clock_wall();
	int64_t away = now - agent->seen_now, step = wall - agent->seen_wall - away;
	agent->seen_now = now;
	agent->seen_wall = wall;
	if (step >= CW_SECOND || step <= -CW_SECOND) {
		snprintf(text, sizeof text, "the clock was stepped by %+.0f s", (double)step / 1e9);
		note(agent, text);
	}
	if (away >= unwatched_ns) {
		snprintf(text, sizeof text, "nothing was watched for %.0f s: the process or the machine was stopped",
			 (double)away / 1e9);
		note(agent, text);
	}
}

/* A full mailbox may have refused the order to stop. */
static void on_second(uv_timer_t *timer)
{
	struct agent *agent = timer->data;
	note_time(agent);
	watch_all(agent);
	if (atomic_load(&agent->stop_asked))
		carry_out_stop(agent, NULL);
}

/* --once: the end has come when each source has read, or has had its time. */
static void once_step(struct agent *agent)
{
	bool given_up = clock_now() >= agent->once_give_up;
	if (!all_sources(agent, instance_first_done) && !given_up)
		return;
	agent_stop(agent);
	uv_timer_stop(&agent->soon);
}

static void on_soon(uv_timer_t *timer)
{
	struct agent *agent = timer->data;
	if (!atomic_load(&agent->ready) && all_sources(agent, instance_first_done))
		atomic_store(&agent->ready, true);
	if (agent->reload.plan)
		reload_step(agent);
	if (agent->once)
		once_step(agent);
	else if (atomic_load(&agent->ready) && !agent->reload.plan)
		uv_timer_stop(timer);
}

void agent_poll_soon(struct agent *agent)
{
	uv_timer_start(&agent->soon, on_soon, SOON_MS, SOON_MS);
}

/* The longest time that a source may take for its one reading. */
static int64_t once_wait(const struct plan *plan)
{
	int64_t longest = once_least_ns;
	for (size_t i = 0; i < plan->count; i++) {
		int64_t timeout = cw_get_integer(plan->instances[i].common, "timeout", 0);
		if (timeout > longest)
			longest = timeout;
	}
	return longest;
}

/* Samples that nobody sends any more should not be found by chance. */
static void on_spool(void *arg, const char *name, uint64_t bytes)
{
	const struct agent *agent = arg;
	for (size_t i = 0; i < agent->plan->count; i++)
		if (strcmp(agent->plan->instances[i].name, name) == 0 &&
		    cw_get_integer(agent->plan->instances[i].common, "spool", 0) > 0)
			return;
	log_line(NULL, CW_WARNING,
		 "%s/spool/%s holds %llu bytes of samples, and no output of this name has a `spool`: nobody sends them",
		 agent->state_dir, name, (unsigned long long)bytes);
}

static void log_start(const struct agent *agent)
{
	struct rlimit limit = {0};
	enum { DESCRIPTORS_EACH = 4, DESCRIPTORS_OWN = 32 };
	getrlimit(RLIMIT_NOFILE, &limit);
	log_line(NULL, CW_INFO, "callwatchd %s started with %zu instances", CALLWATCH_VERSION, agent->count);
	size_t room = limit.rlim_cur > DESCRIPTORS_OWN ? (limit.rlim_cur - DESCRIPTORS_OWN) / DESCRIPTORS_EACH : 0;
	if (agent->count > room)
		log_line(NULL, CW_WARNING,
			 "the file descriptor limit of %llu has room for about %zu instances: raise LimitNOFILE",
			 (unsigned long long)limit.rlim_cur, room);
}

static void stop_all(struct agent *agent)
{
	int64_t asked = atomic_load(&agent->stop_asked);
	reload_abort(agent);
	alerting_deafen(agent->alerting); /* that instances end now tells nothing of what they watch */
	stop_some(agent, role_sends, /* others */ true, asked + sources_end_ns);
	hub_stop(agent->hub);
	stop_some(agent, role_sends, /* others */ false, asked + outputs_end_ns);
	tasks_stop(agent->tasks);
	alerting_stop(agent->alerting, asked + alerts_end_ns);
	journal_stop(agent->journal, asked + journal_end_ns);
	history_stop(agent->history, asked + journal_end_ns);
	atomic_store(&agent->running, false);
}

static bool anybody_acts(const struct agent *agent)
{
	for (size_t i = 0; i < agent->plan->count; i++)
		if (agent->plan->instances[i].plugin->decl.actions.count > 0)
			return true;
	return false;
}

/* The journal reads for `tasks` and `alerts`, whose mailboxes take that also before they run. */
static int start_actors(struct agent *agent)
{
	int rc = hub_start(agent->hub);
	if (rc == 0 && agent->journal)
		rc = journal_start(agent->journal);
	if (rc == 0 && agent->history)
		rc = history_start(agent->history);
	if (rc == 0 && agent->tasks)
		rc = tasks_start(agent->tasks, agent->journal);
	if (rc == 0 && agent->alerting)
		rc = alerting_start(agent->alerting, agent->journal);
	if (rc == 0 && agent->tasks && !agent->journal && anybody_acts(agent))
		log_line(NULL, CW_WARNING,
			 "there is no state_dir: what people ask instances to do is known until callwatchd ends only");
	return rc;
}

int agent_run(struct agent *agent)
{
	int rc = start_actors(agent);
	if (rc < 0) {
		log_line(NULL, CW_ERROR, "callwatchd cannot start its own threads: %s", strerror(-rc));
		return 1;
	}
	agent->once_give_up = clock_now() + once_wait(agent->plan);
	start_all(agent);
	log_start(agent);
	agent->seen_now = clock_now();
	agent->seen_wall = clock_wall();
	agent->last_watch = clock_awake();
	atomic_store(&agent->beat, agent->last_watch);
	atomic_store(&agent->running, true);
	uv_timer_start(&agent->second, on_second, 1000, 1000);
	if (agent->state_dir)
		state_dir_spools(agent->state_dir, on_spool, agent);
	agent_poll_soon(agent);
	while (!agent->stopping)
		uv_run(&agent->loop, UV_RUN_DEFAULT);
	stop_all(agent);
	return agent->status;
}

/* ---- made and freed ---- */

static int find_hostname(struct agent *agent)
{
	char name[HOSTNAME_SIZE] = "";
	const char *configured = cw_get_string(agent->plan->agent, "hostname");
	if (configured && *configured)
		snprintf(name, sizeof name, "%s", configured);
	else if (gethostname(name, sizeof name - 1) < 0 || !*name)
		snprintf(name, sizeof name, "localhost");
	agent->hostname = strdup(name);
	return agent->hostname ? 0 : -ENOMEM;
}

static int open_state_dir(struct agent *agent)
{
	const char *path = cw_get_string(agent->plan->agent, "state_dir");
	if (!path || agent->once)
		return 0;
	agent->lock_fd = state_dir_lock(path);
	if (agent->lock_fd == -EBUSY)
		return -EBUSY;
	if (agent->lock_fd >= 0)
		agent->state_dir = strdup(path);
	return 0;
}

void agent_use_plan(struct agent *agent, struct plan *plan)
{
	plan_unref(agent->plan);
	agent->plan = plan;
	agent->context = (struct instance_context){
		.hub = agent->hub,
		.resolver = agent->resolver,
		.lookups = agent->lookups,
		.agent = agent,
		.roster = agent->roster,
		.tasks = agent->tasks,
		.history = agent->history,
		.alerting = agent->alerting,
		.hostname = agent->hostname,
		.version = CALLWATCH_VERSION,
		.state_dir = agent->state_dir,
		.once = agent->once,
		.phones_full = cw_get_integer(plan->agent, "phones", 0) == 1,
		.interval = cw_get_integer(plan->agent, "interval", 5 * CW_SECOND),
	};
}

static int make_hub(struct agent *agent)
{
	const struct cw_value *labels = cw_get(agent->plan->agent, "labels");
	uint32_t count = labels ? labels->count : 0;
	struct cw_tag *tags = calloc(count + 1, sizeof *tags);
	if (!tags)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		tags[i] = (struct cw_tag){labels->children[i].key, labels->children[i].string};
	struct hub_options options = {
		.hostname = agent->hostname,
		.version = CALLWATCH_VERSION,
		.interval = agent->once ? never_ns : cw_get_integer(agent->plan->agent, "interval", 5 * CW_SECOND),
		.tags = tags,
		.tags_count = count,
	};
	agent->hub = hub_new(&options);
	free(tags);
	return agent->hub ? 0 : -ENOMEM;
}

/* What an earlier life left in the journal, kind by kind. */
static void on_journal_opened(void *arg, struct sqlite3 *db)
{
	const struct agent *agent = arg;
	alerting_read(agent->alerting, db);
	tasks_read(agent->tasks, db);
	if (!db)
		return;
	journal_alerts_fold(db);
	journal_tasks_fold(db);
}

static void on_journal_restored(void *arg)
{
	alerting_rewrite(((const struct agent *)arg)->alerting);
}

static void on_journal_said(void *arg, const char *text)
{
	const struct agent *agent = arg;
	log_change(NULL, CW_WARNING, "%s", text);
	hub_event(agent->hub, "note", "journal", /* from */ NULL, /* to */ NULL, /* by */ NULL, text);
}

/* Before anybody has anything to say: it has to hear of everything. */
static int make_alerting(struct agent *agent)
{
	struct alerting_options options = {
		.hub = agent->hub,
		.roster = agent->roster,
		.hostname = agent->hostname,
		.phones_full = cw_get_integer(agent->plan->agent, "phones", 0) == 1,
	};
	agent->alerting = alerting_new(&options);
	if (!agent->alerting)
		return -ENOMEM;
	int rc = alerting_use(agent->alerting, agent->plan);
	if (rc < 0)
		return rc;
	hub_set_alerting(agent->hub, agent->alerting);
	return 0;
}

static int make_journal(struct agent *agent)
{
	struct journal_options options = {
		.folder = agent->state_dir,
		.opened = on_journal_opened,
		.said = on_journal_said,
		.restored = on_journal_restored,
		.arg = agent,
	};
	if (agent->once)
		return 0;
	agent->tasks = tasks_new(agent->hub, agent->roster);
	if (make_alerting(agent) < 0)
		return -ENOMEM;
	if (agent->state_dir)
		agent->journal = journal_new(&options);
	return agent->tasks && (agent->journal || !agent->state_dir) ? 0 : -ENOMEM;
}

static void on_history_said(void *arg, const char *text)
{
	const struct agent *agent = arg;
	log_change(NULL, CW_WARNING, "%s", text);
	hub_event(agent->hub, "note", "history", /* from */ NULL, /* to */ NULL, /* by */ NULL, text);
}

static int make_history(struct agent *agent)
{
	struct history_options options = {
		.folder = agent->state_dir,
		.tables = hub_tables(agent->hub),
		.phones_full = cw_get_integer(agent->plan->agent, "phones", 0) == 1,
		.said = on_history_said,
		.arg = agent,
	};
	if (!agent->state_dir)
		return 0;
	agent->history = history_new(&options);
	hub_use_history(agent->hub, agent->history);
	return agent->history ? 0 : -ENOMEM;
}

static int make_loop(struct agent *agent)
{
	int rc = uv_loop_init(&agent->loop);
	if (rc < 0)
		return rc;
	agent->box = mailbox_new(MAILBOX_LIMIT);
	if (!agent->box || mailbox_attach(agent->box, &agent->loop, agent) < 0) {
		mailbox_unref(agent->box);
		agent->box = NULL;
		uv_loop_close(&agent->loop);
		return -ENOMEM;
	}
	uv_timer_init(&agent->loop, &agent->second);
	uv_timer_init(&agent->loop, &agent->soon);
	agent->second.data = agent->soon.data = agent;
	return 0;
}

static int make_parts(struct agent *agent)
{
	int rc = find_hostname(agent);
	if (rc == 0)
		rc = open_state_dir(agent);
	if (rc == 0)
		rc = make_hub(agent);
	if (rc == 0 && (!(agent->resolver = resolver_new()) || !(agent->lookups = lookups_new()) ||
			!(agent->roster = roster_new())))
		rc = -ENOMEM;
	if (rc == 0)
		rc = make_journal(agent);
	if (rc == 0)
		rc = make_history(agent);
	if (rc == 0)
		rc = make_loop(agent);
	if (rc < 0 && rc != -EBUSY)
		log_line(NULL, CW_ERROR, "callwatchd cannot start: %s", strerror(-rc));
	return rc;
}

static struct plan *make_plan(const struct agent_options *options, struct problems *problems)
{
	struct config *config =
		options->overlay ? config_load_with(options->config_paths, plan_overlay, options->overlay, problems)
				 : config_load(options->config_paths, problems);
	return config ? plan_make(config, options->once ? PLAN_ONCE : 0, problems) : NULL;
}

int agent_new(const struct agent_options *options, struct problems *problems, struct agent **ret_agent)
{
	struct plan *plan = make_plan(options, problems);
	if (!plan)
		return -EINVAL;
	struct agent *agent = calloc(1, sizeof *agent);
	if (!agent) {
		plan_unref(plan);
		return -ENOMEM;
	}
	agent->config_paths = options->config_paths;
	agent->once = options->once;
	agent->lock_fd = -1;
	agent->started = clock_wall();
	agent->plan = plan;
	agent->first_plan = plan_ref(plan);
	atomic_init(&agent->frontends_alive, true);
	int rc = make_parts(agent);
	if (rc < 0) {
		agent_free(agent);
		return rc;
	}
	agent_use_plan(agent, plan_ref(plan));
	*ret_agent = agent;
	return 0;
}

static void free_loop(struct agent *agent)
{
	mailbox_close(agent->box);
	uv_close((uv_handle_t *)&agent->second, NULL);
	uv_close((uv_handle_t *)&agent->soon, NULL);
	uv_run(&agent->loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent->loop);
	mailbox_unref(agent->box);
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	if (agent->box)
		free_loop(agent);
	if (agent->lock_fd >= 0)
		close(agent->lock_fd);
	/* A thread that was left behind may come back to its part of a table or to its options. */
	if (instance_abandoned_count() > 0 || alerting_was_left(agent->alerting) || journal_was_left(agent->journal) ||
	    history_was_left(agent->history))
		return;
	journal_free(agent->journal);
	history_free(agent->history);
	tasks_free(agent->tasks);
	alerting_free(agent->alerting);
	resolver_free(agent->resolver);
	lookups_free(agent->lookups);
	roster_free(agent->roster);
	hub_free(agent->hub);
	forget_queues(agent);
	plan_unref(agent->plan);
	plan_unref(agent->first_plan);
	free(agent->slots);
	free(agent->hostname);
	free(agent->state_dir);
	free(agent);
}
