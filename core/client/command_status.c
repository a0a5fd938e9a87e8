/* SPDX-License-Identifier: MIT
 *
 * `callwatch status`: one screen in two blocks. *callwatch* is about the agent: does it see, does it send. *platform*
 * is what it sees, and which alerts fire. Rows that a blind source left behind are called last known, with their age:
 * not known is not zero.
 * `--check` says the same in one line, with the exit codes of a Nagios plugin.
 */
#include "query.h"
#include "rows.h"
#include "text.h"
#include "told.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_OK = 0, CHECK_WARNING = 1, CHECK_CRITICAL = 2, CHECK_UNKNOWN = 3 };
/* A check has mostly 10 s; a longer line is cut by who asked, and then the figures are gone. */
enum { CHECK_PATIENCE_S = 8, CHECK_REASONS_MAX = 2000 };

struct status {
	const json_t *json;
	struct screen screen;
	struct manner manner;
	const json_t *instances;
};

static bool is_healthy(const json_t *status)
{
	return strcmp(field_text(status, "state"), "healthy") == 0;
}

static bool is_source(const json_t *instance)
{
	return strcmp(field_text(instance, "role"), "source") == 0;
}

static bool is_up(const json_t *instance)
{
	return strcmp(field_text(instance, "state"), "up") == 0;
}

/* down or stuck: it does not do its work at all */
static bool is_out(const json_t *instance)
{
	return strcmp(field_text(instance, "state"), "down") == 0 ||
	       strcmp(field_text(instance, "state"), "stuck") == 0;
}

static bool is_blind(const json_t *instance)
{
	return is_source(instance) && !is_up(instance) && strcmp(field_text(instance, "state"), "degraded") != 0;
}

/* The first source that left rows behind in this table when it went blind, or NULL: the rows are as they are. */
static const json_t *blind_source(const struct status *status, const json_t *table)
{
	struct freshness fresh = freshness_of(field_text(table, "name"), table);
	size_t i;
	const json_t *instance;
	json_array_foreach(status->instances, i, instance)
	{
		if (is_blind(instance) && feeds(instance, table) && !confirmed_since(&fresh, instance))
			return instance;
	}
	return NULL;
}

/* How many fire that nobody silenced; 0 where that is not known. */
static json_int_t firing_of(const struct status *status, const char *severity)
{
	const json_t *firing = json_object_get(json_object_get(status->json, "alerts"), "firing");
	return json_integer_value(json_object_get(firing, severity));
}

/* The first block shows the agent's own tables already. */
static bool is_platform(const json_t *table)
{
	return !is_agents_own(field_text(table, "name"));
}

/* Block 1 */

/* `calls is down: …` stands at the instance itself, with its next try. */
static bool is_of_instance(const struct status *status, const char *reason)
{
	size_t i;
	const json_t *instance;
	json_array_foreach(status->instances, i, instance)
	{
		const char *name = field_text(instance, "instance");
		size_t length = strlen(name);
		if (strncmp(reason, name, length) == 0 && strncmp(reason + length, " is ", 4) == 0)
			return true;
	}
	return false;
}

static void print_reasons(const struct status *status)
{
	size_t i;
	const json_t *reason;
	json_array_foreach(json_object_get(status->json, "reasons"), i, reason)
	{
		const char *text = json_string_value(reason);
		if (!text || is_of_instance(status, text))
			continue;
		char *shown = visible(text), *line = must_printf("  %s", shown);
		print_wrapped(&status->screen, TONE_WARNING, /* indent: */ 4, line, stdout);
		free(line);
		free(shown);
	}
}

static void print_head(const struct status *status)
{
	enum tone tone;
	const char *state = field_text(status->json, "state"), *shape = state_shape(state, &tone);
	char *shown = visible(state), *version = visible(field_text(status->json, "version"));
	char *host = visible(field_text(status->json, "hostname"));
	char *up = length_text(field_real(status->json, "uptime_seconds"));
	printf("callwatchd %s on %s: %s%s%s%s%s · pid %lld · up %s\n", version, host,
	       screen_tone(&status->screen, tone), shape, *shape ? " " : "", shown, screen_plain(&status->screen),
	       (long long)json_integer_value(json_object_get(status->json, "pid")), up);
	free(shown);
	free(version);
	free(host);
	free(up);
	print_reasons(status);
}

static void print_title(const struct status *status, const char *title)
{
	printf("\n%s%s%s\n", screen_tone(&status->screen, TONE_BOLD), title, screen_plain(&status->screen));
}

static void cell_text(struct grid *grid, const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);
	char *text = json_is_string(value)    ? visible(json_string_value(value))
		     : json_is_integer(value) ? count_text((uint64_t)json_integer_value(value))
					      : must(strdup("–"));
	grid_cell(grid, TONE_PLAIN, text);
	free(text);
}

/* How long ago that was. */
static void cell_since(const struct status *status, struct grid *grid, const json_t *row, const char *key)
{
	const char *time = field_text(row, key);
	int64_t wall;
	bool known = text_parse_time(time, strlen(time), &wall, NULL) == 0;
	char *text = length_text(known ? floor((double)(status->manner.now - wall) / (double)CW_SECOND) : NAN);
	grid_cell(grid, TONE_PLAIN, text);
	free(text);
}

static void cell_state(struct grid *grid, const json_t *row)
{
	enum tone tone;
	const char *word = field_text(row, "state"), *shape = state_shape(word, &tone);
	char *shown = visible(word), *text = must_printf("%s%s%s", shape, *shape ? " " : "", shown);
	grid_cell(grid, tone, text);
	free(text);
	free(shown);
}

/* Who is only just starting has none yet. */
static bool has_reason(const json_t *instance)
{
	return !is_up(instance) && (*field_text(instance, "reason") || is_out(instance));
}

/* Why it is not up, and when it is tried again. */
static void print_reason(const struct status *status, const json_t *row)
{
	enum tone tone;
	const char *shape = state_shape(field_text(row, "state"), &tone), *next = field_text(row, "next_try");
	char *instance = visible(field_text(row, "instance")), *reason = visible(field_text(row, "reason"));
	char *time = time_text(next, &status->manner);
	char *text = must_printf("  %s %s: %s%s%s", shape, instance, *reason ? reason : "no reason given",
				 *next ? "; next try " : "", time);
	print_wrapped(&status->screen, tone, /* indent: */ 6, text, stdout);
	free(text);
	free(time);
	free(reason);
	free(instance);
}

static void print_instances(const struct status *status)
{
	static const struct {
		const char *title;
		unsigned flags;
		int rank;
	} columns[] = {{"instance", GRID_FIXED, 0}, {"plugin", 0, 4},           {"role", GRID_WHOLE, 3},
		       {"state", GRID_FIXED, 0},    {"for", GRID_RIGHT, 1},     {"last good", GRID_RIGHT, 2},
		       {"queue", GRID_RIGHT, 1},    {"dropped", GRID_RIGHT, 1}, {"errors", GRID_RIGHT, 1}};
	enum { count = sizeof(columns) / sizeof(columns[0]) };
	struct grid *grid = grid_new(count, /* indent: */ 2);
	for (uint32_t i = 0; i < count; i++)
		grid_column(grid, i, columns[i].title, NULL, columns[i].flags, columns[i].rank);
	size_t i;
	const json_t *row;
	json_array_foreach(status->instances, i, row)
	{
		cell_text(grid, row, "instance");
		cell_text(grid, row, "plugin");
		cell_text(grid, row, "role");
		cell_state(grid, row);
		cell_since(status, grid, row, "since");
		cell_since(status, grid, row, "last_ok");
		cell_text(grid, row, "queue");
		cell_text(grid, row, "dropped");
		cell_text(grid, row, "errors");
	}
	free(grid_print(grid, &status->screen, /* most: */ 0, stdout));
	grid_free(grid);
	json_array_foreach(status->instances, i, row)
	{
		if (has_reason(row))
			print_reason(status, row);
	}
}

/* The value of an instance's metric without labels, NaN: not known. */
static double metric_of(const struct status *status, const char *instance, const char *name)
{
	size_t i;
	const json_t *metric;
	json_array_foreach(json_object_get(status->json, "metrics"), i, metric)
	{
		if (strcmp(field_text(metric, "metric"), name) == 0 &&
		    strcmp(field_text(metric, "instance"), instance) == 0)
			return field_real(metric, "value");
	}
	return NAN;
}

static void print_sweep(const struct status *status, const json_t *instance)
{
	const char *name = field_text(instance, "instance");
	double age = metric_of(status, name, "sweep_age_seconds"),
	       took = metric_of(status, name, "sweep_duration_seconds");
	double coverage = metric_of(status, name, "sweep_coverage_ratio");
	if (!isfinite(age) && !isfinite(took))
		return;
	char *shown = visible(name), *age_text = ago_text(age), *took_text = length_text(took);
	printf("  last sweep of %s: %s, took %s", shown, age_text, took_text);
	if (isfinite(coverage))
		printf(", %.1f %% confirmed in time", 100 * coverage);
	putchar('\n');
	free(shown);
	free(age_text);
	free(took_text);
}

/* How much waits on disk, and what becomes of it. In an outage the spool has grown to what it is since its oldest
 * sample was taken: so it will go on. */
static void print_spool(const struct status *status, const json_t *instance)
{
	const char *name = field_text(instance, "instance");
	double bytes = field_real(instance, "spooled_bytes"), limit = metric_of(status, name, "spool_limit_bytes");
	double samples = metric_of(status, name, "spool_samples"),
	       age = metric_of(status, name, "spool_oldest_age_seconds");
	if (!(bytes > 0))
		return;
	char *shown = visible(name), *bytes_shown = bytes_text(bytes), *age_text = ago_text(age);
	printf("  spool of %s: %s", shown, bytes_shown);
	if (isfinite(limit)) {
		char *limit_shown = bytes_text(limit);
		printf(" of %s", limit_shown);
		free(limit_shown);
	}
	if (isfinite(samples)) {
		char *count = count_text((uint64_t)samples);
		printf(", %s samples", count);
		free(count);
	}
	if (isfinite(age))
		printf(", the oldest from %s", age_text);
	if (is_up(instance) || strcmp(field_text(instance, "state"), "degraded") == 0) {
		fputs("; sending", stdout);
	} else if (isfinite(limit) && limit > bytes && age > 1) {
		char *left = length_text((limit - bytes) * age / bytes);
		printf("; full in about %s", left);
		free(left);
	}
	putchar('\n');
	free(age_text);
	free(bytes_shown);
	free(shown);
}

/* Block 2 */

static char *counts_text(const struct status *status, const json_t *table)
{
	const json_t *counts = json_object_get(table, "counts"), *count;
	char *text = must(strdup(""));
	const char *word;
	json_object_foreach((json_t *)counts, word, count)
	{
		enum tone tone;
		const char *shape = state_shape(word, &tone);
		bool zero = json_integer_value(count) == 0;
		char *shown = visible(word), *number = count_text((uint64_t)json_integer_value(count));
		const char *on = zero || tone == TONE_GOOD ? "" : screen_tone(&status->screen, tone);
		char *longer = must_printf("%s%s%s%s%s%s %s%s", text, *text ? " · " : "", on, shape, *shape ? " " : "",
					   number, shown, *on ? screen_plain(&status->screen) : "");
		free(text);
		free(shown);
		free(number);
		text = longer;
	}
	return text;
}

static char *last_known_text(const struct status *status, const struct freshness *fresh, const json_t *source)
{
	const char *loud = screen_tone(&status->screen, TONE_BAD), *plain = screen_plain(&status->screen);
	char *instance = visible(field_text(source, "instance")), *state = visible(field_text(source, "state"));
	char *age = length_text(fresh->age_seconds);
	char *text = isfinite(fresh->age_seconds)
			     ? must_printf("%s✖ LAST KNOWN %s ago: %s is %s%s", loud, age, instance, state, plain)
			     : must_printf("%s✖ never read: %s is %s%s", loud, instance, state, plain);
	free(age);
	free(instance);
	free(state);
	return text;
}

static void print_table(const struct status *status, const json_t *table, int width)
{
	struct freshness fresh = freshness_of(field_text(table, "name"), table);
	const json_t *blind = blind_source(status, table);
	json_int_t rows = json_integer_value(json_object_get(table, "rows"));
	char *name = visible(field_text(table, "name")), *number = count_text((uint64_t)rows);
	char *counts = counts_text(status, table);
	printf("  %s%*s  ", name, width - text_width(name), "");
	if (blind && (rows == 0 || !isfinite(fresh.age_seconds))) {
		printf("%s✖ NOT KNOWN%s", screen_tone(&status->screen, TONE_BAD), screen_plain(&status->screen));
	} else {
		printf("%s%s", number, *counts ? ": " : "");
		fputs(counts, stdout);
	}
	char *worth = blind ? last_known_text(status, &fresh, blind) : freshness_text(&fresh, &status->screen);
	if (*worth)
		printf("\n  %*s  %s", width, "", worth);
	putchar('\n');
	free(worth);
	free(name);
	free(number);
	free(counts);
}

/* `alerts  1 critical · 2 warning · 3 silenced`, and the worst of them. */
static void print_alert_counts(const struct status *status, const json_t *alerts, int width)
{
	static const char *const severities[] = {"critical", "warning", "info"};
	json_int_t silenced = json_integer_value(json_object_get(alerts, "silenced"));
	bool any = false;
	printf("  %-*s  ", width, "alerts");
	for (size_t i = 0; i < sizeof severities / sizeof *severities; i++) {
		json_int_t count = firing_of(status, severities[i]);
		enum tone tone = i == 0 ? TONE_BAD : i == 1 ? TONE_WARNING : TONE_PLAIN;
		char *number = count_text((uint64_t)(count > 0 ? count : 0));
		if (count > 0)
			printf("%s%s%s %s %s%s", any ? " · " : "", screen_tone(&status->screen, tone),
			       i == 0   ? "✖"
			       : i == 1 ? "▲"
					: "●",
			       number, severities[i], screen_plain(&status->screen));
		any |= count > 0;
		free(number);
	}
	if (!json_is_object(json_object_get(alerts, "firing")))
		fputs("not known at this moment", stdout);
	else if (!any)
		fputs("nothing fires", stdout);
	if (silenced > 0)
		printf(" · %lld silenced", (long long)silenced);
	fputs(any ? ": `callwatch alerts`\n" : "\n", stdout);
}

static void print_worst(const struct status *status, const json_t *alert, int width)
{
	enum tone tone;
	json_t *fires = json_copy((json_t *)alert);
	json_object_set_new(fires, "state", json_string("firing"));
	const char *shape = alert_shape(fires, &tone);
	char *name = visible(field_text(alert, "alert")), *summary = visible(field_text(alert, "summary"));
	char *since = since_text(time_of(alert, "firing_since"), &status->manner);
	char *acked = visible(field_text(alert, "acked_by"));
	char *text = must_printf("  %*s  %s %s for %s: %s%s%s", width, "", shape, name, since, summary,
				 *acked ? "; acknowledged by " : "", acked);
	print_wrapped(&status->screen, tone, width + 6, text, stdout);
	json_decref(fires);
	free(text);
	free(name);
	free(summary);
	free(since);
	free(acked);
}

static void print_alerts(const struct status *status, int width)
{
	const json_t *alerts = json_object_get(status->json, "alerts"), *alert;
	size_t i;
	if (!json_is_object(alerts))
		return;
	print_alert_counts(status, alerts, width);
	json_array_foreach(json_object_get(alerts, "worst"), i, alert) print_worst(status, alert, width);
}

static void print_platform(const struct status *status)
{
	size_t i;
	const json_t *table, *tables = json_object_get(status->json, "tables");
	int width = 0;
	json_array_foreach(tables, i, table)
	{
		char *name = visible(field_text(table, "name"));
		if (is_platform(table) && text_width(name) > width)
			width = text_width(name);
		free(name);
	}
	if (!width)
		puts("  no table yet: no source is configured, or none has started");
	print_alerts(status, width);
	json_array_foreach(tables, i, table)
	{
		if (is_platform(table))
			print_table(status, table, width);
	}
}

static int show(const struct status *status)
{
	size_t i;
	const json_t *instance;
	print_head(status);
	print_title(status, "callwatch");
	print_instances(status);
	json_array_foreach(status->instances, i, instance)
	{
		if (is_source(instance))
			print_sweep(status, instance);
		print_spool(status, instance);
	}
	print_title(status, "platform");
	print_platform(status);
	return is_healthy(status->json) ? EXIT_FINE : EXIT_FAILED;
}

/* --check */

static int check_code(const struct status *status)
{
	size_t i;
	const json_t *instance;
	if (firing_of(status, "critical") > 0)
		return CHECK_CRITICAL;
	if (is_healthy(status->json))
		return firing_of(status, "warning") > 0 ? CHECK_WARNING : CHECK_OK;
	json_array_foreach(status->instances, i, instance)
	{
		if (is_out(instance))
			return CHECK_CRITICAL;
	}
	return CHECK_WARNING;
}

/* `|` begins the figures in Nagios' grammar: in a sentence it becomes `/`. */
static void print_sentence(const char *text)
{
	char *shown = visible(text);
	for (char *bar = shown; (bar = strchr(bar, '|'));)
		*bar = '/';
	fputs(shown, stdout);
	free(shown);
}

static void check_tables(const struct status *status, bool figures)
{
	size_t i;
	const json_t *table, *count;
	const char *word;
	json_array_foreach(json_object_get(status->json, "tables"), i, table)
	{
		const char *name = field_text(table, "name");
		long long rows = json_integer_value(json_object_get(table, "rows"));
		if (!is_platform(table))
			continue;
		if (blind_source(status, table)) { /* no figures: a number would say that it is known */
			if (!figures) {
				fputs(", ", stdout);
				print_sentence(name);
				fputs(" not known", stdout);
			}
			continue;
		}
		if (!figures) {
			printf(", %lld ", rows);
			print_sentence(name);
			continue;
		}
		fputs(" ", stdout);
		print_sentence(name);
		printf("=%lld;;;0", rows);
		json_object_foreach(json_object_get((json_t *)table, "counts"), word, count)
		{
			fputs(" ", stdout);
			print_sentence(name);
			fputs("_", stdout);
			print_sentence(word);
			printf("=%lld;;;0", (long long)json_integer_value(count));
		}
	}
}

/* `; call-stale: … silent for 2m 37s`: the worst, and how many more there are. */
static void check_alerts(const struct status *status)
{
	const json_t *worst = json_object_get(json_object_get(status->json, "alerts"), "worst"), *alert;
	json_int_t count = firing_of(status, "critical") + firing_of(status, "warning") + firing_of(status, "info");
	size_t i;
	json_array_foreach(worst, i, alert)
	{
		fputs("; ", stdout);
		print_sentence(field_text(alert, "alert"));
		fputs(": ", stdout);
		print_sentence(field_text(alert, "summary"));
	}
	if (count > (json_int_t)i)
		printf("; and %lld more alerts", (long long)count - (long long)i);
}

static void check_alert_figures(const struct status *status)
{
	static const char *const severities[] = {"critical", "warning", "info"};
	if (!json_is_object(json_object_get(json_object_get(status->json, "alerts"), "firing")))
		return;
	for (size_t i = 0; i < sizeof severities / sizeof *severities; i++)
		printf(" alerts_%s=%lld;;;0", severities[i], (long long)firing_of(status, severities[i]));
}

static void check_reasons(const struct status *status)
{
	size_t i, length = 0, count = json_array_size(json_object_get(status->json, "reasons"));
	const json_t *reason;
	json_array_foreach(json_object_get(status->json, "reasons"), i, reason)
	{
		const char *text = json_string_value(reason);
		length += text ? strlen(text) : 0;
		if (i > 0 && length > CHECK_REASONS_MAX) {
			printf("; and %zu more", count - i);
			return;
		}
		fputs("; ", stdout);
		print_sentence(text);
	}
}

/* What waits and what is lost, over all instances. */
static void check_samples(const struct status *status)
{
	size_t i;
	long long queue = 0, spooled = 0, dropped = 0;
	const json_t *instance;
	json_array_foreach(status->instances, i, instance)
	{
		queue += json_integer_value(json_object_get(instance, "queue"));
		spooled += json_integer_value(json_object_get(instance, "spooled_bytes"));
		dropped += json_integer_value(json_object_get(instance, "dropped"));
	}
	printf(" samples_queued=%lld;;;0 spooled=%lldB;;;0 samples_dropped=%lldc;;;0", queue, spooled, dropped);
}

static int check(const struct status *status)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	size_t i, up = 0, count = json_array_size(status->instances);
	const json_t *instance;
	int code = check_code(status);
	json_array_foreach(status->instances, i, instance) up += is_up(instance);
	printf("CALLWATCH %s - %zu of %zu instances up", words[code], up, count);
	check_tables(status, /* figures: */ false);
	check_alerts(status);
	check_reasons(status);
	printf(" | instances_up=%zu;;;0;%zu", up, count);
	check_samples(status);
	check_tables(status, /* figures: */ true);
	check_alert_figures(status);
	putchar('\n');
	return code;
}

static int unreachable(const struct arguments *arguments, struct http_failure *failure)
{
	int code = arguments->check || failure->kind == HTTP_UNREACHABLE ? EXIT_UNREACHABLE : EXIT_FAILED;
	if (arguments->check) {
		char *end = failure->sentence ? strchr(failure->sentence, '\n') : NULL;
		if (end)
			*end = '\0';
		fputs("CALLWATCH UNKNOWN - ", stdout);
		print_sentence(failure->sentence ? failure->sentence : "stopped");
		putchar('\n');
		http_failure_release(failure);
		return code;
	}
	fail(failure);
	return code;
}

int command_status(const struct arguments *arguments)
{
	struct http *http = http_open(arguments);
	if (!http) /* a monitoring system takes 2 for CRITICAL */
		return arguments->check ? CHECK_UNKNOWN : EXIT_USAGE;
	struct http_failure failure;
	json_t *json = http_json(http, "/api/v1/status", CHECK_PATIENCE_S, &failure);
	int code;
	if (json) {
		struct status status = {.json = json,
					.screen = screen_of(stdout),
					.manner = manner_of(arguments),
					.instances = json_object_get(json, "instances")};
		code = arguments->check ? check(&status) : show(&status);
	} else {
		code = unreachable(arguments, &failure);
	}
	json_decref(json);
	http_close(http);
	return code;
}
