/* SPDX-License-Identifier: MIT
 *
 * A reload, on the agent's thread: read and check everything anew; if anything is wrong, nothing changes. Else compare
 * fingerprints: who is the same is not touched, not even asked; who changed or went is asked to end; when all of those
 * have ended (or had five seconds), the new ones start. The agent's loop runs meanwhile, so a stop does not wait for a
 * reload.
 *
 * One reload at a time. Who asks while one is under way gets the answer of the next, since the files may have changed
 * after the first one read them.
 *
 * A preview goes as far as the comparison, and says what would be done.
 */
#include "agent_private.h"
#include "clock.h"
#include "log.h"
#include "options.h"
#include "plan_diff.h"
#include "rule.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t leave_ns = 5 * CW_SECOND;

void asker_answer(struct asker *asker, bool ok, const char *text)
{
	if (asker->done)
		asker->done(asker->arg, ok, text);
	free(asker->by);
	free(asker);
}

static void answer_all(struct asker **list, bool ok, const char *text)
{
	while (*list) {
		struct asker *asker = *list;
		*list = asker->next;
		asker_answer(asker, ok, text);
	}
}

/* Says the outcome everywhere: log, event, metric, and whoever asked. */
static void finish(struct agent *agent, bool ok, const char *text)
{
	const char *by = agent->reload.asking ? agent->reload.asking->by : NULL;
	if (ok)
		log_line(NULL, CW_INFO, "reloaded: %s", text);
	else
		log_line(NULL, CW_ERROR, "not reloaded, everything runs on as before");
	hub_event(agent->hub, "reload", "agent", NULL, ok ? "ok" : "failed", by, text);
	hub_reload_outcome(agent->hub, ok);
	answer_all(&agent->reload.asking, ok, text);
}

static void log_problems(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->list[i];
		enum cw_level level = problem->severity == PROBLEM_ERROR ? CW_ERROR : CW_WARNING;
		if (problem->file)
			log_line(NULL, level, "%s:%u:%u: %s", problem->file, problem->line, problem->column,
				 problem->message);
		else
			log_line(NULL, level, "%s", problem->message);
	}
}

/* One a line; the caller frees it. NULL: no memory. */
static char *problems_text(const struct problems *problems)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	if (stream) {
		problems_print(problems, stream, /* json */ false);
		fclose(stream);
	}
	if (size && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return text;
}

static const char words_of_error[] = "the configuration is wrong";

static void refuse(struct agent *agent, const struct problems *problems)
{
	char *text = problems_text(problems);
	finish(agent, false, text ? text : words_of_error);
	free(text);
}

static const struct plan_instance *find_planned(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->instances[i].name, name) == 0)
			return &plan->instances[i];
	return NULL;
}

static const struct slot *find_slot(const struct agent *agent, const char *name)
{
	for (size_t i = 0; i < agent->count; i++)
		if (strcmp(instance_name(agent->slots[i].instance), name) == 0)
			return &agent->slots[i];
	return NULL;
}

/* NULL is one that is not there. */
static bool is_the_same(const struct plan_instance *planned, const struct instance *running)
{
	return planned &&
	       memcmp(planned->fingerprint, instance_planned(running)->fingerprint, sizeof planned->fingerprint) == 0;
}

static void send_off(struct agent *agent, const struct plan *plan)
{
	for (size_t i = 0; i < agent->count; i++) {
		struct slot *slot = &agent->slots[i];
		const struct plan_instance *planned = find_planned(plan, instance_name(slot->instance));
		if (is_the_same(planned, slot->instance))
			continue;
		slot->leaving = true;
		slot->removed = !planned;
		instance_stop(slot->instance);
	}
}

static struct plan *read_plan(const struct agent *agent, struct problems *problems)
{
	struct config *config = config_load(agent->config_paths, problems);
	return config ? plan_make(config, /* flags */ 0, problems) : NULL;
}

static void begin(struct agent *agent)
{
	struct problems problems;
	problems_init(&problems);
	struct plan *plan = read_plan(agent, &problems);
	log_problems(&problems);
	if (!plan) {
		plan_use_directories(agent->plan);
		refuse(agent, &problems);
	} else {
		agent->reload.plan = plan;
		agent->reload.deadline = clock_now() + leave_ns;
		send_off(agent, plan);
		agent_poll_soon(agent);
	}
	problems_release(&problems);
}

/* ---- the words of the outcome ---- */

struct words {
	char text[2048];
	size_t length;
};

static void say(struct words *words, const char *format, ...) CW_PRINTF(2, 3);
static void say(struct words *words, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	size_t room = sizeof words->text - words->length;
	int length = vsnprintf(words->text + words->length, room, format, args);
	va_end(args);
	if (length > 0)
		words->length += (size_t)length < room ? (size_t)length : room - 1;
}

struct group {
	unsigned count;
	struct words names;
};

static void group_add(struct group *group, const char *name)
{
	say(&group->names, "%s%s", group->count++ ? ", " : "", name);
}

static void group_say(struct words *words, const struct group *group, const char *what)
{
	say(words, ", %u %s", group->count, what);
	if (group->count)
		say(words, " (%s)", group->names.text);
}

static bool differs(const struct plan *a, const struct plan *b, const char *key)
{
	const struct cw_value *values[] = {cw_get(a->agent, key), cw_get(b->agent, key)};
	uint8_t hashes[2][16] = {0};
	for (size_t i = 0; i < 2; i++)
		if (values[i])
			options_fingerprint(values[i], hashes[i]);
	return memcmp(hashes[0], hashes[1], sizeof hashes[0]) != 0;
}

static void group_say_if(struct words *words, const struct group *group, const char *what, const char **comma)
{
	if (group->count == 0)
		return;
	say(words, "%s%u %s (%s)", *comma, group->count, what, group->names.text);
	*comma = ", ";
}

/* Nothing if they are the same. */
static void say_rules(const struct plan *before, const struct plan *after, struct words *words)
{
	struct group added = {0}, changed = {0}, removed = {0};
	const char *comma = "; rules: ";
	for (uint32_t i = 0; i < ruleset_count(after->ruleset); i++) {
		const struct rule *is = ruleset_at(after->ruleset, i), *was = ruleset_find(before->ruleset, is->name);
		if (!was)
			group_add(&added, is->name);
		else if (memcmp(was->fingerprint, is->fingerprint, sizeof is->fingerprint) != 0)
			group_add(&changed, is->name);
	}
	for (uint32_t i = 0; i < ruleset_count(before->ruleset); i++)
		if (!ruleset_find(after->ruleset, ruleset_at(before->ruleset, i)->name))
			group_add(&removed, ruleset_at(before->ruleset, i)->name);
	group_say_if(words, &added, "added", &comma);
	group_say_if(words, &changed, "changed", &comma);
	group_say_if(words, &removed, "removed", &comma);
}

/* What a reload cannot change is said, not done by halves: each sentence with `before` in front. */
static void say_needs_restart(const struct agent *agent, const struct plan *plan, const char *before,
			      struct words *words)
{
	static const char *const keys[] = {"hostname", "state_dir"};
	static const char *const own_keys[] = {"labels", "interval"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (differs(plan, agent->first_plan, keys[i]))
			say(words, "%s`agent: %s:` changed, which needs a restart", before, keys[i]);
	for (size_t i = 0; i < sizeof own_keys / sizeof *own_keys; i++)
		if (differs(plan, agent->first_plan, own_keys[i]))
			say(words, "%s`agent: %s:` changed, which for the agent's own samples needs a restart", before,
			    own_keys[i]);
	for (size_t i = 0; i < plan->count; i++)
		if (loader_changed_on_disk(plan->instances[i].plugin))
			say(words, "%splugin %s changed on disk, which needs a restart", before,
			    plan->instances[i].plugin->decl.name);
}

/* ---- the second half: all have ended ---- */

static void bid_farewell(struct agent *agent, struct group *restarted, struct group *removed)
{
	for (size_t i = agent->count; i-- > 0;) {
		struct slot slot = agent->slots[i];
		if (!slot.leaving)
			continue;
		char name[128];
		snprintf(name, sizeof name, "%s", instance_name(slot.instance));
		agent_drop_slot(agent, i, /* deadline */ 0, /* returns */ !slot.removed);
		if (slot.removed)
			tables_forget(hub_tables(agent->hub), name);
		group_add(slot.removed ? removed : restarted, name);
	}
}

/* `was_there[i]`: instance i of the plan ran before. */
static void start_missing(struct agent *agent, struct plan *plan, const bool *was_there, struct group *added)
{
	for (int turn = 0; turn < ROLE_TURNS; turn++)
		for (size_t i = 0; i < plan->count; i++) {
			const struct plan_instance *what = &plan->instances[i];
			if (role_turn(what->plugin->decl.role) != turn || find_slot(agent, what->name))
				continue;
			if (agent_start_instance(agent, plan, what) == 0 && !was_there[i])
				group_add(added, what->name);
		}
}

static void complete(struct agent *agent)
{
	struct plan *plan = agent->reload.plan;
	struct group restarted = {0}, removed = {0}, added = {0};
	struct words words = {.length = 0};
	bool *was_there = calloc(plan->count + 1, sizeof *was_there);
	for (size_t i = 0; was_there && i < plan->count; i++)
		was_there[i] = find_slot(agent, plan->instances[i].name) != NULL;
	/* who is not in it is gone for good, not blind */
	bool is_in_force = alerting_use(agent->alerting, plan) == 0;
	bid_farewell(agent, &restarted, &removed);
	size_t unchanged = agent->count;
	struct words rules = {.length = 0};
	say_rules(agent->plan, plan, &rules);
	agent_use_plan(agent, plan);
	agent->reload.plan = NULL;
	if (was_there)
		start_missing(agent, plan, was_there, &added);
	free(was_there);
	say(&words, "%zu unchanged", unchanged);
	group_say(&words, &restarted, "restarted");
	group_say(&words, &added, "added");
	group_say(&words, &removed, "removed");
	say(&words, "%s", rules.text);
	if (!is_in_force)
		say(&words, "; the thread `alerts` does not answer: the new rules are not in force yet");
	say_needs_restart(agent, plan, /* before */ "; ", &words);
	finish(agent, true, words.text);
}

static bool all_left(const struct agent *agent)
{
	for (size_t i = 0; i < agent->count; i++)
		if (agent->slots[i].leaving && !instance_ended(agent->slots[i].instance))
			return false;
	return true;
}

static void begin_next(struct agent *agent)
{
	while (!agent->reload.plan && agent->reload.waiting) {
		agent->reload.asking = agent->reload.waiting;
		agent->reload.waiting = NULL;
		begin(agent);
	}
}

void reload_step(struct agent *agent)
{
	if (!all_left(agent) && clock_now() < agent->reload.deadline)
		return;
	complete(agent);
	begin_next(agent);
}

void reload_ask(struct agent *agent, struct asker *asker)
{
	struct asker **last = &agent->reload.waiting;
	while (*last)
		last = &(*last)->next;
	*last = asker;
	asker->next = NULL;
	begin_next(agent);
}

/* ---- a preview ---- */

enum { PREVIEW_BYTES_MAX = 1024 * 1024 };

static void preview_running(const struct slot *slot, const struct plan *plan, struct buffer *out)
{
	const char *name = instance_name(slot->instance);
	const struct plan_instance *planned = find_planned(plan, name);
	struct planned before = {instance_plan(slot->instance), instance_planned(slot->instance)};
	if (is_the_same(planned, slot->instance))
		return;
	buffer_print(out, "%s: %s", name, planned ? "restarted: " : "stopped");
	if (planned)
		plan_diff(before, (struct planned){plan, planned}, out);
	buffer_string(out, "\n");
}

static void preview_all(const struct agent *agent, const struct plan *plan, struct buffer *out)
{
	struct words words = {.length = 0};
	for (size_t i = 0; i < agent->count; i++)
		preview_running(&agent->slots[i], plan, out);
	for (size_t i = 0; i < plan->count; i++)
		if (!find_slot(agent, plan->instances[i].name))
			buffer_print(out, "%s: started (plugin %s)\n", plan->instances[i].name,
				     plan->instances[i].plugin->decl.name);
	plan_diff_rules(agent->plan, plan, out);
	say_needs_restart(agent, plan, /* before */ "\n", &words);
	if (words.length > 0) /* without the first line end, and with one after the last */
		buffer_print(out, "%s\n", words.text + 1);
	if (out->length > 0)
		buffer_cut(out, out->length - 1);
	buffer_bytes(out, "", 1);
}

void reload_preview(struct agent *agent, struct asker *asker)
{
	struct problems problems;
	struct buffer out;
	problems_init(&problems);
	buffer_init(&out, /* head */ 0, PREVIEW_BYTES_MAX);
	struct plan *plan = read_plan(agent, &problems);
	if (plan) {
		preview_all(agent, plan, &out);
		asker_answer(asker, !out.failed, out.failed ? "too much would change to be told" : buffer_text(&out));
	} else {
		char *text = problems_text(&problems);
		asker_answer(asker, false, text ? text : words_of_error);
		free(text);
	}
	plan_use_directories(agent->plan);
	plan_unref(plan);
	buffer_release(&out);
	problems_release(&problems);
}

void reload_abort(struct agent *agent)
{
	answer_all(&agent->reload.asking, false, "the agent is ending");
	answer_all(&agent->reload.waiting, false, "the agent is ending");
	plan_unref(agent->reload.plan);
	agent->reload.plan = NULL;
}
