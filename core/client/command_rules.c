/* SPDX-License-Identifier: MIT
 *
 * `callwatch rules`: which rules there are and how they stand; `callwatch rules test`: when they would have fired
 * (backtest.h); with --send one test notification on the way that the rule's alerts would take, followed until
 * everybody who is to hear of it has, or says why not.
 */
#include "backtest.h"
#include "query.h"
#include "rows.h"
#include "told.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int usage(const char *sentence)
{
	complain("%s", sentence);
	return EXIT_USAGE;
}

/* ---- test --send ---- */

enum { LOOKS_MAX = 40 };
static const struct timespec between_looks = {.tv_nsec = 250000000};

static bool is_settled(const json_t *rows)
{
	size_t i;
	const json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *state = field_text(row, "state");
		bool tried = json_integer_value(json_object_get(row, "attempts")) > 0;
		if (strcmp(state, "queued") == 0 ? !tried : strcmp(state, "sending") == 0)
			return false;
	}
	return json_array_size(rows) > 0;
}

static json_t *ask_for_deliveries(struct http *http, const char *incident)
{
	char *of_incident = must_printf("incident=%s", incident);
	const char *const where[] = {of_incident, NULL};
	struct rows_question question = {.table = "notifications", .sort = "notifier", .where = where};
	struct http_failure failure;
	json_t *answer = rows_ask(http, /* tables: */ NULL, &question, &failure);
	http_failure_release(&failure);
	free(of_incident);
	return answer;
}

/* Until each has been tried once, 10 s at most. NULL: it cannot be looked at. */
static json_t *wait_for_deliveries(struct http *http, const char *incident)
{
	json_t *answer = NULL;
	for (int i = 0; i < LOOKS_MAX; i++) {
		json_decref(answer);
		answer = ask_for_deliveries(http, incident);
		if (!answer || is_settled(json_object_get(answer, "rows")))
			break;
		nanosleep(&between_looks, NULL);
	}
	return answer;
}

/* True: all who are to hear of it have. */
static bool print_deliveries(const json_t *answer, const struct manner *manner, const struct screen *screen)
{
	size_t i, sent = 0, count = json_array_size(json_object_get(answer, "rows"));
	const json_t *row;
	json_array_foreach(json_object_get(answer, "rows"), i, row)
	{
		enum tone tone;
		char *text = delivery_text(row, manner, &tone);
		print_wrapped(screen, tone, /* indent: */ 4, text, stdout);
		sent += strcmp(field_text(row, "state"), "sent") == 0;
		free(text);
	}
	if (count == 0)
		puts("  nobody: no notifier is configured for it");
	return count > 0 && sent == count;
}

static int send(struct http *http, const struct arguments *arguments, const char *rule)
{
	struct screen screen = screen_of(stdout);
	struct manner manner = manner_of(arguments);
	struct http_failure failure;
	struct path *path = path_new("/api/v1/rules");
	path_segment(path, rule);
	path_segment(path, "test");
	struct http_request question = {.method = "POST", .path = path_text(path)};
	json_t *answer = http_ask(http, &question, &failure);
	path_free(path);
	if (!answer)
		return fail(&failure);
	char *text = visible(field_text(answer, "text"));
	printf("%s\n", text);
	free(text);
	json_t *deliveries = wait_for_deliveries(http, field_text(answer, "id"));
	bool all = deliveries && print_deliveries(deliveries, &manner, &screen);
	json_decref(deliveries);
	json_decref(answer);
	return all ? EXIT_FINE : EXIT_FAILED;
}

static int test(const struct arguments *arguments)
{
	bool is_backtest = arguments->since || arguments->file;
	if (arguments->send + (arguments->since != NULL) + (arguments->file != NULL) != 1)
		return usage(
			"`rules test` takes one of --since 7d and --file FILE, to see when rules would have fired, "
			"and --send, for one test notification");
	if (is_backtest)
		return backtest(arguments, arguments->words[2]);
	if (!arguments->words[2])
		return usage("say which rule's way is to be tried: `callwatch rules test NAME --send`");
	struct http *http = http_open(arguments);
	if (!http)
		return EXIT_USAGE;
	int code = send(http, arguments, arguments->words[2]);
	http_close(http);
	return code;
}

int command_rules(const struct arguments *arguments)
{
	const char *verb = arguments->words[1];
	if (!verb)
		return get_table(arguments, "rules");
	if (strcmp(verb, "test") == 0)
		return test(arguments);
	complain("`rules` shows them, `rules test` tries one; not \"%.60s\"", verb);
	return EXIT_USAGE;
}
