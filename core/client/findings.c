/* SPDX-License-Identifier: MIT
 *
 * See findings.h. What an instance says of itself comes before the rungs that say why; behind a broken rung nothing is
 * tried. So the last one that failed is where the ladder broke, and those before it are its symptoms.
 */
#include "findings.h"

#include "answer.h"
#include "client.h"

#include <stdlib.h>
#include <string.h>

enum { VERDICT_WIDTH = 9, CHECK_WIDTH = 14, TEXT_INDENT = 2 + 2 + VERDICT_WIDTH + 2 + CHECK_WIDTH + 1 };

void findings_init(struct findings *findings, bool as_json)
{
	*findings = (struct findings){.screen = screen_of(stdout), .as_json = as_json, .instances = must(json_array())};
}

void findings_release(struct findings *findings)
{
	json_decref(findings->instances);
}

static void clear_waiting(struct findings *findings)
{
	if (findings->waiting_shown)
		fputs("\r\033[K", stdout);
	findings->waiting_shown = false;
}

/* Its word, tone and shape. */
static const char *verdict_word(const char *verdict, enum tone *ret_tone, const char **ret_shape)
{
	if (strcmp(verdict, "skipped") == 0) {
		*ret_tone = TONE_DIM;
		*ret_shape = "–";
		return "not tried";
	}
	bool known = strcmp(verdict, "ok") == 0 || strcmp(verdict, "warning") == 0;
	const char *word = known ? verdict : "failed";
	*ret_shape = state_shape(word, ret_tone);
	return word;
}

static void count(struct findings *findings, const char *word)
{
	size_t *counter = strcmp(word, "ok") == 0          ? &findings->ok
			  : strcmp(word, "warning") == 0   ? &findings->warnings
			  : strcmp(word, "not tried") == 0 ? &findings->skipped
							   : &findings->failed;
	(*counter)++;
}

static json_t *last_instance(const struct findings *findings)
{
	size_t count = json_array_size(findings->instances);
	return count ? json_array_get(findings->instances, count - 1) : NULL;
}

static void begin_instance(struct findings *findings, const struct finding *finding)
{
	json_t *instance =
		must(json_pack("{s:s, s:s, s:[]}", "instance", finding->instance, "plugin", finding->plugin, "checks"));
	json_array_append_new(findings->instances, instance);
	if (findings->as_json)
		return;
	char *name = visible(finding->instance), *plugin = visible(finding->plugin);
	printf("%s%s%s%s%s%s%s\n", json_array_size(findings->instances) > 1 ? "\n" : "",
	       screen_tone(&findings->screen, TONE_BOLD), name, screen_plain(&findings->screen), *plugin ? " (" : "",
	       plugin, *plugin ? ")" : "");
	free(name);
	free(plugin);
}

static void show(struct findings *findings, const struct finding *finding)
{
	enum tone tone;
	const char *shape, *word = verdict_word(finding->verdict, &tone, &shape);
	char *check = visible(finding->check), *text = visible(finding->text);
	char *line = must_printf("  %s %-*s  %-*s %s", shape, VERDICT_WIDTH, word, CHECK_WIDTH, check, text);
	print_wrapped(&findings->screen, tone == TONE_GOOD ? TONE_PLAIN : tone, TEXT_INDENT, line, stdout);
	fflush(stdout); /* each as it comes, also into a pipe */
	free(line);
	free(check);
	free(text);
}

void findings_add(struct findings *findings, const struct finding *finding)
{
	enum tone tone;
	const char *shape;
	clear_waiting(findings);
	if (strcmp(field_text(last_instance(findings), "instance"), finding->instance) != 0)
		begin_instance(findings, finding);
	json_t *check = must(json_pack("{s:s, s:s, s:s}", "check", finding->check, "verdict", finding->verdict, "text",
				       finding->text));
	json_array_append_new(json_object_get(last_instance(findings), "checks"), check);
	count(findings, verdict_word(finding->verdict, &tone, &shape));
	if (!findings->as_json)
		show(findings, finding);
}

void findings_waiting(struct findings *findings, double seconds)
{
	if (findings->as_json || !findings->screen.terminal)
		return;
	printf("\r  … waiting for the next answer, %.0f s", seconds);
	fflush(stdout);
	findings->waiting_shown = true;
}

/* The cause, not its symptoms: what an instance says of itself, its readings and its queue may fail below it, but
 * nothing of the plugin is tried above it. NULL: none. */
static const json_t *broken_rung(const json_t *instance)
{
	enum tone tone;
	const char *shape;
	const json_t *check, *broken = NULL;
	size_t i;
	json_array_foreach(json_object_get(instance, "checks"), i, check)
	{
		if (strcmp(verdict_word(field_text(check, "verdict"), &tone, &shape), "failed") == 0)
			broken = check;
	}
	return broken;
}

static void say_broken(const struct findings *findings, const json_t *instance, const json_t *check)
{
	enum tone tone;
	const char *shape = state_shape("failed", &tone);
	char *name = visible(field_text(instance, "instance")), *rung = visible(field_text(check, "check"));
	char *text = visible(field_text(check, "text"));
	char *line = must_printf("%s %s is broken at `%s`: %s", shape, name, rung, text);
	print_wrapped(&findings->screen, tone, /* indent: */ 2, line, stdout);
	free(line);
	free(text);
	free(rung);
	free(name);
}

static void say_well(const struct findings *findings)
{
	enum tone tone;
	const char *shape = state_shape(findings->warnings ? "warning" : "ok", &tone);
	char *line = must_printf("%s nothing is broken: %zu checks", shape, findings->ok + findings->warnings);
	char *more = findings->warnings ? must_printf("%s, %zu with a warning", line, findings->warnings)
					: must(strdup(line));
	print_wrapped(&findings->screen, tone == TONE_GOOD ? TONE_PLAIN : tone, /* indent: */ 2, more, stdout);
	free(more);
	free(line);
}

static void conclude_json(const struct findings *findings)
{
	json_t *all = must(json_pack("{s:O, s:[]}", "instances", findings->instances, "broken"));
	const json_t *instance;
	size_t i;
	json_array_foreach(findings->instances, i, instance)
	{
		const json_t *check = broken_rung(instance);
		if (check)
			json_array_append_new(
				json_object_get(all, "broken"),
				must(json_pack("{s:s, s:s, s:s}", "instance", field_text(instance, "instance"), "check",
					       field_text(check, "check"), "text", field_text(check, "text"))));
	}
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

bool findings_conclude(struct findings *findings)
{
	const json_t *instance;
	size_t i;
	clear_waiting(findings);
	if (findings->as_json) {
		conclude_json(findings);
		return findings->failed == 0;
	}
	putchar('\n');
	json_array_foreach(findings->instances, i, instance)
	{
		const json_t *check = broken_rung(instance);
		if (check)
			say_broken(findings, instance, check);
	}
	if (findings->failed == 0)
		say_well(findings);
	return findings->failed == 0;
}
