/* SPDX-License-Identifier: MIT
 *
 * notifier PLUGIN.so [KEY=VALUE…]: one notifier on a host of ours (tests/unit/plugin_host.h), for tests that want to
 * say exactly what it is given, against real servers. Commands on stdin, one JSON object a line; one line answers each.
 *
 *     {"do": "notify", "notices": [{"title": "…", …}]}   → {"outcome": "delivered", "reason": "…", "progress": …,
 *                                                           "receipt": …, "pause": seconds}
 *     {"do": "state"}                                     → {"state": "up", "reason": "…", "errors": 0}
 *     {"do": "examine", "check": "tls"}                   → {"verdict": "ok", "text": "…"}
 *
 * A notice is complete but for what the command says: id, incident, kind, severity, title, description, common,
 * attempt, progress, receipt, is_doubtful, alerts (subject, summary, facts, is_firing, url).
 */
#include "clock.h"
#include "plugin_host.h"

#include <dlfcn.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALERTS_MAX = CW_NOTICE_ALERTS_MAX, FACTS_MAX = 48, LINE_BYTES = 4 << 20 };

static struct cw_instance instance;

/* ---- notices from JSON ---- */

struct made {
	struct cw_notice notice;
	struct cw_alert alerts[ALERTS_MAX];
	struct cw_fact facts[ALERTS_MAX][FACTS_MAX];
};

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
	const json_t *value = json_object_get(object, key);
	return json_is_string(value) ? json_string_value(value) : otherwise;
}

static int64_t integer_of(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);
	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static void make_facts(struct made *made, size_t i, json_t *facts)
{
	const char *name;
	json_t *value;
	uint32_t n = 0;
	json_object_foreach(facts, name, value) if (n < FACTS_MAX) made->facts[i][n++] =
		(struct cw_fact){name, json_string_value(value)};
	made->alerts[i].facts = (struct cw_array){made->facts[i], n, sizeof(struct cw_fact)};
}

static const struct cw_tag labels[] = {{"alertname", "call-stale"}, {"severity", "warning"}};

static void make_alerts(struct made *made, json_t *alerts)
{
	size_t i;
	json_t *alert;
	json_array_foreach(alerts, i, alert)
	{
		bool is_firing = !json_is_false(json_object_get(alert, "is_firing"));
		made->alerts[i] = (struct cw_alert){.fingerprint = "0123456789abcdef",
						    .instance = "calls",
						    .subject = text_of(alert, "subject", "CA1"),
						    .is_firing = is_firing,
						    .summary = text_of(alert, "summary", "silent for 2m 37s"),
						    .reason = is_firing ? NULL : "recovered",
						    .starts_at = clock_wall() - 60 * CW_SECOND,
						    .ends_at = is_firing ? 0 : clock_wall(),
						    .value = NAN,
						    .url = text_of(alert, "url", NULL),
						    .labels = CW_ARRAY(labels)};
		make_facts(made, i, json_object_get(alert, "facts"));
		made->notice.firing += is_firing;
		made->notice.resolved += !is_firing;
	}
	made->notice.alerts =
		(struct cw_array){made->alerts, (uint32_t)json_array_size(alerts), sizeof(struct cw_alert)};
}

static void make_notice(struct made *made, json_t *said)
{
	memset(made, 0, sizeof(*made));
	made->notice =
		(struct cw_notice){.size = sizeof(struct cw_notice),
				   .id = text_of(said, "id", "0a1b-1-2c3d"),
				   .group = "0a1b",
				   .incident = text_of(said, "incident", "0a1b-1"),
				   .sequence = (uint32_t)integer_of(said, "sequence", 1),
				   .kind = (enum cw_notice_kind)integer_of(said, "kind", CW_NOTICE_FIRING),
				   .severity = (enum cw_severity)integer_of(said, "severity", CW_SEVERITY_WARNING),
				   .rule = "call-stale",
				   .title = text_of(said, "title", "call-stale: 37 of 849 calls silent"),
				   .description = text_of(said, "description", ""),
				   .common = text_of(said, "common", ""),
				   .labels = CW_ARRAY(labels),
				   .group_labels = {labels, 1, sizeof(labels[0])},
				   .since = clock_wall() - 60 * CW_SECOND,
				   .at = clock_wall(),
				   .url = text_of(said, "url", NULL),
				   .command = "callwatch alerts --where alert=call-stale",
				   .host = "testhost",
				   .receipt = text_of(said, "receipt", NULL),
				   .progress = text_of(said, "progress", NULL),
				   .attempt = (uint32_t)integer_of(said, "attempt", 1),
				   .is_doubtful = json_is_true(json_object_get(said, "is_doubtful"))};
	make_alerts(made, json_object_get(said, "alerts"));
}

/* ---- commands ---- */

static json_t *or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *notify(json_t *command)
{
	static const char *const names[] = {"delivered", "try again", "doubtful", "refused"};
	const struct cw_notice *notices[CW_NOTICE_DIGEST_MAX];
	json_t *all = json_object_get(command, "notices");
	uint32_t n = (uint32_t)json_array_size(all);
	struct made *made = calloc(n, sizeof(*made));
	for (uint32_t i = 0; i < n; i++) {
		make_notice(&made[i], json_array_get(all, i));
		notices[i] = &made[i].notice;
	}
	instance.delivered = (struct cw_delivered){.size = 0};
	instance.delivered_reason[0] = '\0';
	int outcome = plugin_host_notify(&instance, notices, n);
	double pause = (double)(instance.delivered.not_before - clock_now()) / (double)CW_SECOND;
	free(made);
	return json_pack("{s:s, s:s, s:o, s:o, s:f}", "outcome", outcome < 0 ? "failed" : names[outcome], "reason",
			 instance.delivered_reason, "progress", or_null(instance.delivered.progress), "receipt",
			 or_null(instance.delivered.receipt), "pause", instance.delivered.not_before ? pause : 0.0);
}

static json_t *examine(json_t *command)
{
	static const char *const names[] = {"ok", "warning", "failed", "skipped"};
	int verdict = plugin_host_examine(&instance, text_of(command, "check", ""));
	return json_pack("{s:s, s:s}", "verdict", verdict < 0 ? "none" : names[verdict], "text", instance.verdict_text);
}

static json_t *state(void)
{
	static const char *const names[] = {"starting", "up", "degraded", "down", "stuck"};
	return json_pack("{s:s, s:s, s:I}", "state", names[instance.state], "reason", instance.reason, "errors",
			 (json_int_t)instance.errors);
}

static void answer(const char *line)
{
	json_t *command = json_loads(line, 0, NULL);
	const char *what = text_of(command, "do", "");
	json_t *answered = strcmp(what, "notify") == 0    ? notify(command)
			   : strcmp(what, "examine") == 0 ? examine(command)
							  : state();
	json_dumpf(answered, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(answered);
	json_decref(command);
}

static bool is_said(struct cw_instance *self, const void *arg)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	(void)self;
	(void)arg;
	return poll(&in, 1, 0) > 0;
}

int main(int argc, char **argv)
{
	void *file = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	const struct cw_plugin *plugin = file ? dlsym(file, "cw_plugin") : NULL;
	if (!plugin) {
		fprintf(stderr, "usage: notifier PLUGIN.so [KEY=VALUE…]: %s\n", argc > 1 ? dlerror() : "no plugin");
		return 2;
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* so that poll() sees what is left to be read */
	char *line = malloc(LINE_BYTES);
	if (plugin_host_start(&instance, plugin, /* once */ false, (const char *const *)(argv + 2)) < 0) {
		free(line);
		return 1;
	}
	while (plugin_host_wait(&instance, is_said, NULL, 600000) && fgets(line, LINE_BYTES, stdin))
		answer(line);
	plugin_host_stop(&instance);
	free(line);
	return 0;
}
