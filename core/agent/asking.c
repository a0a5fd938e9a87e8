/* SPDX-License-Identifier: MIT
 *
 * See asking.h. The question itself; how its rows are looked for is choosing.c.
 */
#include "asking.h"

#include "arena.h"
#include "buffer.h"
#include "instance_private.h"
#include "offered.h"
#include "options.h"
#include "roster.h"
#include "table.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64 };

/* ---- made, carried back, freed ---- */

static const char *keep(struct arena *arena, const char *text)
{
	return text ? arena_text(arena, text, strlen(text)) : NULL;
}

static const char *const *keep_all(struct arena *arena, const char *const *texts, uint32_t count)
{
	const char **kept = arena_alloc(arena, (count + 1) * sizeof *kept);
	for (uint32_t i = 0; i < count; i++)
		kept[i] = keep(arena, texts[i]);
	return kept;
}

static void keep_spec(struct asking *asking, const struct cw_action_spec *spec)
{
	struct arena *arena = asking->arena;
	struct cw_argument *arguments = arena_alloc(arena, (spec->arguments_count + 1) * sizeof *arguments);
	for (uint32_t i = 0; i < spec->arguments_count; i++)
		arguments[i] = (struct cw_argument){keep(arena, spec->arguments[i].name),
						    keep(arena, spec->arguments[i].text)};
	asking->spec = *spec;
	asking->spec.instance = keep(arena, spec->instance);
	asking->spec.action = keep(arena, spec->action);
	asking->spec.arguments = arguments;
	asking->spec.keys = spec->keys ? keep_all(arena, spec->keys, spec->keys_count) : NULL;
	asking->spec.where = keep_all(arena, spec->where, spec->where_count);
	asking->spec.plan = keep(arena, spec->plan);
	asking->spec.idempotency_key = keep(arena, spec->idempotency_key);
	asking->spec.by = keep(arena, spec->by ? spec->by : "somebody");
}

/* With its end, so that no two questions look the same. */
static void hash_text(crypto_generichash_state *state, const char *text)
{
	crypto_generichash_update(state, (const unsigned char *)(text ? "+" : "-"), 1);
	if (text)
		crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static void hash_spec(struct asking *asking)
{
	const struct cw_action_spec *spec = &asking->spec;
	crypto_generichash_state state;
	const char flags[] = {spec->all ? '1' : '0', spec->keys ? '1' : '0', '\0'};
	crypto_generichash_init(&state, NULL, 0, sizeof asking->hash);
	hash_text(&state, spec->instance);
	hash_text(&state, spec->action);
	hash_text(&state, spec->plan);
	hash_text(&state, flags);
	for (uint32_t i = 0; i < spec->arguments_count; i++) {
		hash_text(&state, spec->arguments[i].name);
		hash_text(&state, spec->arguments[i].text);
	}
	hash_text(&state, NULL);
	for (uint32_t i = 0; spec->keys && i < spec->keys_count; i++)
		hash_text(&state, spec->keys[i]);
	hash_text(&state, NULL);
	for (uint32_t i = 0; i < spec->where_count; i++)
		hash_text(&state, spec->where[i]);
	crypto_generichash_final(&state, asking->hash, sizeof asking->hash);
}

static void on_dropped(struct mail *mail)
{
	asking_free((struct asking *)mail);
}

struct asking *asking_new(const struct cw_action_spec *spec, struct mailbox *asker,
			  void (*done)(void *arg, const struct cw_action_answer *answer), void *arg,
			  void (*deliver)(struct mail *mail, void *owner))
{
	struct asking *asking = calloc(1, sizeof *asking);
	if (!asking)
		return NULL;
	asking->mail = (struct mail){.deliver = deliver, .drop = on_dropped};
	asking->asker = mailbox_ref(asker);
	asking->done = done;
	asking->arg = arg;
	asking->arena = arena_new();
	keep_spec(asking, spec);
	hash_spec(asking);
	return asking;
}

void asking_free(struct asking *asking)
{
	if (!asking)
		return;
	query_close(asking->query);
	chosen_unref(asking->chosen);
	wish_unref(asking->wish);
	arena_free(asking->arena);
	mailbox_unref(asking->asker);
	free(asking);
}

static void on_answer(struct mail *mail, void *owner)
{
	(void)owner;
	struct asking *asking = (struct asking *)mail;
	asking->done(asking->arg, &asking->answer);
	asking_free(asking);
}

void asking_answer(struct asking *asking, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(asking->text, sizeof asking->text, format, args);
	va_end(args);
	asking->answer.status = status;
	asking->answer.text = asking->text;
	asking->answer.task = *asking->task ? asking->task : NULL;
	asking->answer.plan = *asking->plan ? asking->plan : NULL;
	asking->mail.deliver = on_answer;
	if (mailbox_post(asking->asker, &asking->mail) < 0)
		asking_free(asking);
}

/* ---- who and what ---- */

struct finding_one {
	struct asking *asking;
	const struct cw_plugin *decl; /* NULL: there is no such instance */
	const struct cw_action *action;
	bool allowed, acts;
	char silent[INSTANCE_REASON_MAX];
	char names[NAMES_MAX][72]; /* of all */
	uint32_t names_count;
};

static const struct cw_action *find_action(const struct cw_plugin *decl, const char *name, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < decl->actions.count; i++) {
		const struct cw_action *action = cw_at(&decl->actions, i);
		*ret_index = i;
		if (strcmp(action->name, name) == 0)
			return action;
	}
	return NULL;
}

/* Under the roster's lock. */
static void look_at(void *arg, struct instance *instance)
{
	struct finding_one *found = arg;
	uint32_t index;
	if (found->names_count < NAMES_MAX)
		snprintf(found->names[found->names_count++], sizeof found->names[0], "%s", instance_name(instance));
	if (strcmp(instance_name(instance), found->asking->spec.instance) != 0)
		return;
	found->decl = instance->decl;
	found->acts = atomic_load(&instance->acts);
	if (!instance_is_silent(instance, found->silent))
		*found->silent = '\0';
	found->action = find_action(instance->decl, found->asking->spec.action, &index);
	found->allowed = found->action && offered_is_allowed(instance, found->action);
}

static void answer_no_instance(struct asking *asking, const struct finding_one *found)
{
	const char *names[NAMES_MAX];
	char hint[NAME_HINT_SIZE];
	for (uint32_t i = 0; i < found->names_count; i++)
		names[i] = found->names[i];
	asking_answer(asking, -ENOENT, "there is no instance `%s`%s", asking->spec.instance,
		      name_hint(hint, asking->spec.instance, names, found->names_count));
}

static void answer_no_action(struct asking *asking, const struct cw_plugin *decl)
{
	const char *names[NAMES_MAX];
	char hint[NAME_HINT_SIZE];
	uint32_t count = 0;
	for (; count < decl->actions.count && count < NAMES_MAX; count++)
		names[count] = ((const struct cw_action *)cw_at(&decl->actions, count))->name;
	if (count == 0)
		asking_answer(asking, -ENOENT, "%s has no actions: its plugin %s declares none", asking->spec.instance,
			      decl->name);
	else
		asking_answer(asking, -ENOENT, "%s has no action `%s`%s", asking->spec.instance, asking->spec.action,
			      name_hint(hint, asking->spec.action, names, count));
}

static struct wish *wish_new(const char *instance, const struct cw_plugin *decl, const struct cw_action *action)
{
	struct wish *wish = calloc(1, sizeof *wish);
	if (!wish)
		return NULL;
	atomic_init(&wish->references, 1);
	wish->decl = decl;
	wish->action = find_action(decl, action->name, &wish->action_index);
	wish->instance = strdup(instance);
	if (wish->instance)
		return wish;
	wish_unref(wish);
	return NULL;
}

bool asking_find(struct asking *asking, struct roster *roster)
{
	struct finding_one found = {.asking = asking};
	roster_each(roster, look_at, &found);
	if (!found.decl)
		answer_no_instance(asking, &found);
	else if (!found.action)
		answer_no_action(asking, found.decl);
	else if (!found.allowed)
		asking_answer(asking, -EACCES,
			      "%s does not allow it: write `%s: true` for it in the configuration, then `callwatch "
			      "reload`",
			      asking->spec.instance, found.action->allowed_by);
	else if (*found.silent)
		asking_answer(asking, -EAGAIN, "%s is stuck: %s", asking->spec.instance, found.silent);
	else if (!found.acts)
		asking_answer(asking, -EAGAIN,
			      "%s is not up: it has not started, or is stopping; `callwatch status` says why",
			      asking->spec.instance);
	else if (!(asking->wish = wish_new(asking->spec.instance, found.decl, found.action)))
		asking_answer(asking, -ENOMEM, "out of memory");
	else
		return true;
	return false;
}

/* ---- the arguments ---- */

static const struct cw_option *find_argument(const struct cw_action *action, const char *name)
{
	for (uint32_t i = 0; i < action->arguments.count; i++) {
		const struct cw_option *option = cw_at(&action->arguments, i);
		if (strcmp(option->key, name) == 0)
			return option;
	}
	return NULL;
}

static const char *find_said(const struct cw_action_spec *spec, const char *name)
{
	for (uint32_t i = 0; i < spec->arguments_count; i++)
		if (strcmp(spec->arguments[i].name, name) == 0)
			return spec->arguments[i].text;
	return NULL;
}

/* Names first: options_check() would take KEY_file too, the name of a file. */
static bool names_are_known(struct asking *asking)
{
	const struct cw_action *action = asking->wish->action;
	const struct cw_action_spec *spec = &asking->spec;
	const char *names[NAMES_MAX];
	char hint[NAME_HINT_SIZE];
	uint32_t count = 0;
	for (; count < action->arguments.count && count < NAMES_MAX; count++)
		names[count] = ((const struct cw_option *)cw_at(&action->arguments, count))->key;
	for (uint32_t i = 0; i < spec->arguments_count; i++) {
		const char *name = spec->arguments[i].name;
		if (find_argument(action, name) && find_said(spec, name) == spec->arguments[i].text)
			continue;
		if (find_argument(action, name))
			asking_answer(asking, -EINVAL, "the argument `%.100s` is said twice", name);
		else
			asking_answer(asking, -EINVAL, "%s has no argument `%.100s`%s", action->name, name,
				      count ? name_hint(hint, name, names, count) : "; it takes none");
		return false;
	}
	return true;
}

static struct cw_value *check_arguments(const struct asking *asking, struct problems *problems)
{
	const struct cw_action_spec *spec = &asking->spec;
	struct node *nodes = arena_alloc(asking->arena, (spec->arguments_count + 1) * sizeof *nodes);
	struct node **children = arena_alloc(asking->arena, (spec->arguments_count + 1) * sizeof(*children));
	for (uint32_t i = 0; i < spec->arguments_count; i++) {
		nodes[i] = (struct node){
			.kind = NODE_SCALAR, .key = spec->arguments[i].name, .text = spec->arguments[i].text};
		children[i] = &nodes[i];
	}
	struct node map = {.kind = NODE_MAP, .children = children, .count = spec->arguments_count};
	struct options_context context = {
		.tables = {&asking->wish->action->arguments},
		.subject = asking->wish->action->name,
		.problems = problems,
	};
	return options_check(&context, &map);
}

/* As they were said, or as they are by default. NULL: no memory. */
static char *arguments_text(const struct asking *asking)
{
	const struct cw_array *arguments = &asking->wish->action->arguments;
	struct buffer text;
	buffer_init(&text, /* head */ 0, /* ceiling */ 16384);
	for (uint32_t i = 0; i < arguments->count; i++) {
		const struct cw_option *option = cw_at(arguments, i);
		const char *said = find_said(&asking->spec, option->key);
		if (said || option->fallback)
			buffer_print(&text, "%s%s=%s", text.length ? " " : "", option->key,
				     said ? said : option->fallback);
	}
	buffer_bytes(&text, "", 1);
	char *copy = strdup(text.failed ? "" : buffer_text(&text));
	buffer_release(&text);
	return copy;
}

static bool rows_are_said_once(struct asking *asking)
{
	const struct cw_action_spec *spec = &asking->spec;
	const struct cw_action *action = asking->wish->action;
	int ways = (spec->keys != NULL) + (spec->where_count > 0) + spec->all;
	if (!action->table && ways > 0)
		asking_answer(asking, -EINVAL, "%s acts on no rows: say no keys, where or all", action->name);
	else if (action->table && ways == 0)
		asking_answer(asking, -EINVAL,
			      "%s acts on rows of table %s: say which, by keys, where, all, or the plan of a dry run",
			      action->name, action->table);
	else if (ways > 1)
		asking_answer(asking, -EINVAL, "the rows are chosen by one of keys, where and all, not by two");
	else
		return true;
	return false;
}

bool asking_check(struct asking *asking)
{
	struct problems problems;
	if (!names_are_known(asking) || !rows_are_said_once(asking))
		return false;
	problems_init(&problems);
	struct wish *wish = asking->wish;
	wish->arguments = check_arguments(asking, &problems);
	if (!wish->arguments)
		asking_answer(asking, -EINVAL, "%s", problems.count ? problems.list[0].message : "wrong arguments");
	else if (!(wish->arguments_text = arguments_text(asking)))
		asking_answer(asking, -ENOMEM, "out of memory");
	else {
		problems_release(&problems);
		return true;
	}
	problems_release(&problems);
	return false;
}
