/* SPDX-License-Identifier: MIT
 *
 * `callwatch trigger INSTANCE [ACTION] [ARG=V…]`: asks an instance to do something; which actions there are and what
 * they take callwatchd says. What cannot be undone is shown and confirmed first, and then done by the plan that was
 * shown: on exactly those rows and no others.
 *
 * Each question has an idempotency key of its own, so that it can be asked again when its answer was lost on the way.
 */
#include "answer.h"
#include "client.h"
#include "follow.h"
#include "http.h"
#include "problems.h"
#include "query.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { TRIES = 3, NAMES_MAX = 64 };

struct trigger {
	const struct arguments *arguments;
	struct http *http;
	json_t *actions;      /* what callwatchd says there is */
	const json_t *action; /* the one that is meant; borrowed */
	const char *instance, *name;
	const char *const *said; /* ARG=V, NULL-terminated */
};

/* ---- which action ---- */

static bool is_of(const json_t *action, const char *instance)
{
	return strcmp(field_text(action, "instance"), instance) == 0;
}

static int list_actions(const json_t *actions)
{
	struct screen screen = screen_of(stdout);
	struct grid *grid = grid_new(3, /* indent: */ 0);
	grid_column(grid, 0, "instance", NULL, GRID_FIXED, 0);
	grid_column(grid, 1, "action", NULL, GRID_FIXED, 0);
	grid_column(grid, 2, "what", NULL, GRID_KEEP, 0);
	size_t i;
	const json_t *action;
	json_array_foreach(actions, i, action)
	{
		bool allowed = json_is_true(json_object_get(action, "allowed"));
		char *instance = visible(field_text(action, "instance")), *name = visible(field_text(action, "action"));
		char *help = visible(field_text(action, "help")), *by = visible(field_text(action, "allowed_by"));
		char *what = must_printf("%s%s%s%s", help, allowed ? "" : " (only with `", allowed ? "" : by,
					 allowed ? "" : ": true`)");
		grid_cell(grid, TONE_PLAIN, instance);
		grid_cell(grid, TONE_PLAIN, name);
		grid_cell(grid, TONE_PLAIN, what);
		free(instance);
		free(name);
		free(help);
		free(by);
		free(what);
	}
	if (grid_rows(grid))
		free(grid_print(grid, &screen, /* most: */ 0, stdout));
	else
		puts("No instance that runs has actions.");
	grid_free(grid);
	return EXIT_FINE;
}

static int no_instance(const struct trigger *trigger)
{
	const char *names[NAMES_MAX];
	char hint[NAME_HINT_SIZE];
	size_t count = 0, i;
	const json_t *action;
	json_array_foreach(trigger->actions, i, action)
	{
		const char *name = field_text(action, "instance");
		if (count < NAMES_MAX && (count == 0 || strcmp(names[count - 1], name) != 0))
			names[count++] = name;
	}
	complain("no instance `%s` that runs has actions%s", trigger->instance,
		 name_hint(hint, trigger->instance, names, count));
	return EXIT_FAILED;
}

static int no_action(const struct trigger *trigger)
{
	const char *names[NAMES_MAX];
	char hint[NAME_HINT_SIZE];
	size_t count = 0, i;
	const json_t *action;
	json_array_foreach(trigger->actions, i, action)
	{
		if (is_of(action, trigger->instance) && count < NAMES_MAX)
			names[count++] = field_text(action, "action");
	}
	if (trigger->name)
		complain("%s has no action `%s`%s", trigger->instance, trigger->name,
			 name_hint(hint, trigger->name, names, count));
	else
		complain("%s has more than one action: say which%s", trigger->instance,
			 name_hint(hint, "", names, count));
	return trigger->name ? EXIT_FAILED : EXIT_USAGE;
}

/* An instance's only action need not be named. */
static int find_action(struct trigger *trigger)
{
	size_t i, count = 0;
	const json_t *action;
	json_array_foreach(trigger->actions, i, action)
	{
		if (!is_of(action, trigger->instance))
			continue;
		count++;
		if (!trigger->name || strcmp(field_text(action, "action"), trigger->name) == 0)
			trigger->action = action;
	}
	if (count == 0)
		return no_instance(trigger);
	if (!trigger->action || (!trigger->name && count > 1))
		return no_action(trigger);
	return EXIT_FINE;
}

/* ---- asking ---- */

static json_t *texts_json(const char *const *texts)
{
	json_t *list = must(json_array());
	for (; *texts; texts++)
		json_array_append_new(list, json_string(*texts));
	return list;
}

static void add_arguments(json_t *body, const char *const *said)
{
	json_t *arguments = must(json_object());
	for (; *said; said++) {
		size_t length = strcspn(*said, "=");
		char *name = must_printf("%.*s", (int)length, *said);
		json_object_set_new(arguments, name, json_string(*said + length + 1));
		free(name);
	}
	if (json_object_size(arguments))
		json_object_set(body, "arguments", arguments);
	json_decref(arguments);
}

static json_t *body_of(const struct trigger *trigger, const char *plan, bool dry_run)
{
	const struct arguments *arguments = trigger->arguments;
	json_t *body = must(json_object());
	if (plan) {
		json_object_set_new(body, "plan", json_string(plan));
		return body;
	}
	add_arguments(body, trigger->said);
	if (arguments->keys[0])
		json_object_set_new(body, "keys", texts_json(arguments->keys));
	if (arguments->where[0])
		json_object_set_new(body, "where", texts_json(arguments->where));
	if (arguments->all)
		json_object_set_new(body, "all", json_true());
	if (dry_run)
		json_object_set_new(body, "dry_run", json_true());
	return body;
}

static char *new_key(void)
{
	unsigned char bytes[16] = {0};
	char text[2 * sizeof bytes + 1] = "";
	(void)!getrandom(bytes, sizeof bytes, 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return must_printf("Idempotency-Key: %s", text);
}

/* The answer's JSON, or NULL with *ret_failure filled. An answer that was lost is asked for again. */
static json_t *post(struct trigger *trigger, json_t *body, struct http_failure *ret_failure)
{
	struct path *path = path_new("/api/v1/actions");
	char *text = must(json_dumps(body, JSON_COMPACT)), *key = new_key();
	json_t *json = NULL;
	path_segment(path, trigger->instance);
	path_segment(path, trigger->name);
	struct http_request question = {.method = "POST", .path = path_text(path), .body = text, .header = key};
	*ret_failure = (struct http_failure){0};
	for (int i = 0; i < TRIES && !json && (i == 0 || ret_failure->kind == HTTP_BROKEN); i++) {
		http_failure_release(ret_failure);
		json = http_ask(trigger->http, &question, ret_failure);
	}
	path_free(path);
	free(text);
	free(key);
	return json;
}

static json_t *ask(struct trigger *trigger, const char *plan, bool dry_run, struct http_failure *ret_failure)
{
	json_t *body = body_of(trigger, plan, dry_run);
	json_t *answer = post(trigger, body, ret_failure);
	json_decref(body);
	return answer;
}

/* ---- what would be done ---- */

static void print_rows(struct trigger *trigger, const json_t *plan)
{
	struct http_failure failure;
	const json_t *rows = json_object_get(plan, "rows");
	json_t *tables = json_array_size(rows) ? tables_ask(trigger->http, &failure) : NULL;
	const json_t *entry = table_entry(tables, field_text(plan, "table"));
	if (entry) {
		struct table_info info;
		struct screen screen = screen_of(stdout);
		struct manner manner = manner_of(trigger->arguments);
		json_t *names = must(json_array());
		const char *name;
		json_t *value;
		table_info_init(&info, entry);
		json_object_foreach(json_array_get(rows, 0), name, value)
		{
			json_array_append_new(names, json_string(name));
		}
		struct rows_view view = {.info = &info, .names = names, .rows = rows};
		char *hidden = rows_print(&view, &manner, &screen, /* most: */ 0, stdout);
		hidden_print(hidden, &screen, stdout);
		free(hidden);
		json_decref(names);
		table_info_release(&info);
	}
	if (json_array_size(rows) < (size_t)field_real(plan, "count"))
		printf("(the first %zu)\n", json_array_size(rows));
	json_decref(tables);
}

static void print_sentence(const char *before, const char *text, const char *after)
{
	char *shown = visible(text);
	printf("%s%s%s\n", before, shown, after);
	free(shown);
}

static void print_plan(struct trigger *trigger, const json_t *plan)
{
	print_rows(trigger, plan);
	char *what = must_printf("%s of %s %s", trigger->name, trigger->instance, field_text(plan, "scope"));
	print_sentence("", what, *field_text(plan, "scope") ? "." : "");
	free(what);
	if (*field_text(plan, "danger"))
		print_sentence("Careful: ", field_text(plan, "danger"), ".");
}

static int dry_run(struct trigger *trigger)
{
	struct http_failure failure;
	json_t *plan = ask(trigger, /* plan: */ NULL, /* dry_run: */ true, &failure);
	if (!plan)
		return fail(&failure);
	print_plan(trigger, plan);
	const char *id = field_text(plan, "plan");
	if (*id)
		printf("Nothing was done. For 15 minutes this does it, on exactly these rows:\n  callwatch trigger %s "
		       "%s "
		       "--plan %s --yes\n",
		       trigger->instance, trigger->name, id);
	else
		puts("Nothing was done, and nothing would be.");
	json_decref(plan);
	return EXIT_FINE;
}

/* ---- doing it ---- */

static bool is_confirmed(void)
{
	char answer[16] = "";
	fputs("Go on? [y/N] ", stdout);
	fflush(stdout);
	if (!fgets(answer, sizeof answer, stdin))
		putchar('\n');
	return answer[0] == 'y' || answer[0] == 'Y';
}

static int tell_task(struct trigger *trigger, const json_t *answer)
{
	const char *id = field_text(answer, "task_id");
	if (*field_text(answer, "note"))
		complain("%s", field_text(answer, "note"));
	if (trigger->arguments->wait) {
		fprintf(stderr, "task %s\n", id);
		return follow_task(trigger->http, id);
	}
	printf("task %s: `callwatch describe tasks %s` shows how it goes\n", id, id);
	return EXIT_FINE;
}

static int carry_out(struct trigger *trigger, const char *plan)
{
	struct http_failure failure;
	json_t *answer = ask(trigger, plan, /* dry_run: */ false, &failure);
	if (!answer) {
		complain("%s", failure.sentence ? failure.sentence : "stopped");
		http_failure_release(&failure);
		return EXIT_FAILED;
	}
	int code = tell_task(trigger, answer);
	json_decref(answer);
	return code;
}

/* What is shown is what is done: by its plan. */
static int confirm_and_carry_out(struct trigger *trigger)
{
	struct http_failure failure;
	const char *given = trigger->arguments->plan;
	json_t *plan = given ? NULL : ask(trigger, /* plan: */ NULL, /* dry_run: */ true, &failure);
	if (!given && !plan)
		return fail(&failure);
	if (given)
		print_sentence("Careful: ", field_text(trigger->action, "danger"), ".");
	else
		print_plan(trigger, plan);
	const char *id = given ? given : field_text(plan, "plan");
	int code = EXIT_FAILED;
	if (!*id)
		puts("Nothing is to be done.");
	else if (!is_confirmed())
		puts("Nothing was done.");
	else
		code = carry_out(trigger, id);
	json_decref(plan);
	return code;
}

static int trigger_action(struct trigger *trigger)
{
	const struct arguments *arguments = trigger->arguments;
	const char *danger = field_text(trigger->action, "danger"), *table = field_text(trigger->action, "table");
	bool chooses = arguments->keys[0] || arguments->where[0] || arguments->all || arguments->plan;
	trigger->name = field_text(trigger->action, "action");
	if (*table && !chooses) {
		complain(
			"%s acts on rows of table %s: --key KEY, --where EXPR or --all says which, and --dry-run shows "
			"them",
			trigger->name, table);
		return EXIT_USAGE;
	}
	if (arguments->dry_run)
		return dry_run(trigger);
	if (!*danger || arguments->yes)
		return carry_out(trigger, arguments->plan);
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return confirm_and_carry_out(trigger);
	complain("%s needs --yes where nobody can be asked: %s", trigger->name, danger);
	return EXIT_USAGE;
}

/* ---- cancelling ---- */

static int cancel(struct http *http, const char *task)
{
	struct path *path = path_new("/api/v1/tasks");
	struct http_failure failure;
	path_segment(path, task);
	struct http_request question = {.method = "DELETE", .path = path_text(path)};
	json_t *answer = http_ask(http, &question, &failure);
	path_free(path);
	if (!answer) {
		complain("%s", failure.sentence ? failure.sentence : "stopped");
		http_failure_release(&failure);
		return EXIT_FAILED;
	}
	json_decref(answer);
	char *shown = visible(task);
	printf("task %s is asked to end early: `callwatch describe tasks %s` shows how it does\n", shown, shown);
	free(shown);
	return EXIT_FINE;
}

/* ---- the command ---- */

static int usage(const char *sentence)
{
	complain("%s", sentence);
	return EXIT_USAGE;
}

/* INSTANCE [ACTION] ARG=V… */
static int read_words(struct trigger *trigger)
{
	const char *const *words = trigger->arguments->words + 1;
	trigger->instance = *words ? *words++ : NULL;
	if (*words && !strchr(*words, '='))
		trigger->name = *words++;
	trigger->said = words;
	for (; *words; words++)
		if (!strchr(*words, '=') || **words == '=') {
			complain("\"%s\" is no argument: they are written NAME=VALUE", *words);
			return EXIT_USAGE;
		}
	return EXIT_FINE;
}

static int run(struct trigger *trigger)
{
	struct http_failure failure;
	json_t *answer = http_json(trigger->http, "/api/v1/actions", /* whole_s: */ 10, &failure);
	if (!answer)
		return fail(&failure);
	trigger->actions = json_object_get(answer, "actions");
	int code = trigger->instance ? find_action(trigger) : list_actions(trigger->actions);
	if (code == EXIT_FINE && trigger->instance)
		code = trigger_action(trigger);
	json_decref(answer);
	return code;
}

int command_trigger(const struct arguments *arguments)
{
	struct trigger trigger = {.arguments = arguments};
	int code = read_words(&trigger);
	if (code != EXIT_FINE)
		return code;
	if (arguments->cancel && trigger.instance)
		return usage("--cancel TASK goes without an instance");
	if (arguments->dry_run && (arguments->wait || arguments->plan))
		return usage("--dry-run does nothing: it goes without --wait and --plan");
	trigger.http = http_open(arguments);
	if (!trigger.http)
		return EXIT_USAGE;
	if (arguments->cancel)
		code = cancel(trigger.http, arguments->cancel);
	else
		code = run(&trigger);
	http_close(trigger.http);
	return code;
}
