/* SPDX-License-Identifier: MIT
 *
 * A core that is none: enough of struct cw_host to run one plugin in a unit test, on a loop that the test turns. Tables
 * and the clock are the real ones; samples (of readings and between them), declared metrics, states, the last verdict
 * and log lines are kept for the test to look at.
 *
 * Lookups: of a source the test is the lookup (what was asked is kept, plugin_host_answer() answers); of a lookup it is
 * the source (plugin_host_ask(), what was answered is kept).
 *
 * Notifiers: plugin_host_notify() gives notices and waits for what became of them. Queries (host->reader) see the
 * tables of this instance, where a test may open parts of others (`tables`).
 *
 * Names resolve if they are IPv4 addresses; `unreachable-then-local` has two, to the first of which nothing connects,
 * and so has `refused-then-local`, where nobody should listen on the first (127.0.0.9).
 */
#ifndef TESTS_PLUGIN_HOST_H
#define TESTS_PLUGIN_HOST_H

#include "callwatch/notify.h"
#include "callwatch/plugin.h"
#include "callwatch/query.h"
#include "declared.h"

#include <uv.h>

enum { PLUGIN_HOST_SAMPLES = 512, PLUGIN_HOST_LOG = 8192 };

struct plugin_host_sample {
	uint32_t metric;
	char label[128]; /* the first; "" if none */
	double value;
	int64_t time;     /* 0 unless it was given by sample() with one */
	char series[256]; /* `name{label=value,…}` */
};

struct plugin_host_answer {
	char *key, *value; /* value NULL: there is none */
	int64_t as_of;
};

/* What plugin_host_act() began; ended by the plugin or by plugin_host_stop(). */
struct cw_task {
	struct cw_instance *instance;
	struct cw_request request;
	struct option_tree *arguments;
	bool has_ended;
	enum cw_task_state state;
	char reason[512], text[256];
	uint64_t done, failed, total;
	uint32_t items[CW_ITEM_UNKNOWN + 1]; /* by outcome */
	struct cw_task *next;
};

struct cw_instance {
	uv_loop_t loop;
	const struct cw_plugin *plugin;
	struct tables *tables;
	struct cw_info info;
	struct cw_value *options;
	void *plugin_state;

	enum cw_state state;
	char reason[512];
	uint32_t state_changes;
	uint64_t errors, malformed, transitions;
	bool read_is_done, write_is_done;
	int read_status, write_status;
	uint64_t dropped[CW_DROP_REFUSED + 1]; /* of the last batch */
	struct plugin_host_sample samples[PLUGIN_HOST_SAMPLES];
	uint32_t samples_count;
	struct declared declared;
	const char *resolves_to; /* what all names resolve to from now on; NULL: as said above */
	bool examined;
	enum cw_verdict verdict;
	char verdict_text[512];
	char log[PLUGIN_HOST_LOG]; /* all lines, as far as they fit */

	struct cw_lookup *way; /* of a source, the last it opened; NULL: none is open */
	bool lookup_is_away;   /* what is asked is refused … */
	uint32_t refused;      /* … so often */
	char **asked;
	uint32_t asked_count, asks; /* keys, and how often something was asked */
	struct plugin_host_answer *answers;
	uint32_t answers_count;

	struct cw_task *tasks; /* all that were begun */
	char last_event[512];  /* `subject: text` */

	bool is_notified;              /* what became of the last notices */
	struct cw_delivered delivered; /* its texts are those below, or NULL */
	char delivered_reason[512], delivered_progress[CW_NOTICE_KEPT_MAX + 1],
		delivered_receipt[CW_NOTICE_KEPT_MAX + 1];
};

/* `settings`: "key=value" strings ending with NULL; a key of a group or map is "group.key", a list has a setting for
 * each child, and its default is not looked at. Values as in YAML. */
int plugin_host_start(struct cw_instance *self, const struct cw_plugin *plugin, bool once, const char *const *settings);
/* Stops, runs the loop out (it must be empty then), releases. */
void plugin_host_stop(struct cw_instance *self);
/* Turns the loop until `done` says so; false: not within the deadline. */
bool plugin_host_wait(struct cw_instance *self, bool (*done)(struct cw_instance *self, const void *arg),
		      const void *arg, uint32_t deadline_ms);
/* One reading; waits for read_done(). The samples of the one before are gone. */
int plugin_host_read(struct cw_instance *self);
/* Gives an output a batch; what write() said. If it is CW_LATER, write_is_done and write_status tell the outcome. */
int plugin_host_write(struct cw_instance *self, const struct cw_batch *batch);
/* Gives a notifier notices and waits; the outcome. negative: there was none within 30 s, or notify() said so. */
int plugin_host_notify(struct cw_instance *self, const struct cw_notice *const *notices, uint32_t n);
/* NaN: no such sample. `label` may be NULL. */
double plugin_host_sample(const struct cw_instance *self, const char *metric, const char *label);
/* The same by `name{label=value,…}`, the last that came; NULL: none. */
const struct plugin_host_sample *plugin_host_series(const struct cw_instance *self, const char *series);
/* One cell of a row as text ("null" where not known, choices by name); NULL: no such row. */
const char *plugin_host_cell(struct cw_instance *self, const char *table, const char *key, const char *column);
uint64_t plugin_host_rows(struct cw_instance *self, const char *table);
/* Of a source: answers all who look; value NULL: there is none. */
void plugin_host_answer(struct cw_instance *self, const char *key, const char *value);
uint32_t plugin_host_times_asked(const struct cw_instance *self, const char *key);
/* Of a lookup. The last answer about a key: its value, "(absent)", or NULL if there was none. */
void plugin_host_ask(struct cw_instance *self, const char *const *keys, uint32_t n);
const char *plugin_host_answered(const struct cw_instance *self, const char *key, int64_t *ret_as_of);
void plugin_host_forget(struct cw_instance *self); /* what was asked and answered so far */
/* Climbs a rung and waits for its verdict; -1: there was none within 20 s. */
int plugin_host_examine(struct cw_instance *self, const char *check);
/* Begins an action, by `tester`; `arguments` as the settings of plugin_host_start() (NULL: none), `keys` borrowed. The
 * task is valid until plugin_host_stop(). */
struct cw_task *plugin_host_act(struct cw_instance *self, const char *action, const char *const *arguments,
				const char *const *keys, uint32_t n);
/* Waits for its end; false: there was none within the deadline. */
bool plugin_host_task_ends(struct cw_task *task, uint32_t deadline_ms);
/* The errors and warnings of the plugin's check(), one a line. */
void plugin_host_check(const struct cw_plugin *plugin, const char *const *settings, char *buffer, size_t size);

#endif
