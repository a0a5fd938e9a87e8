/* SPDX-License-Identifier: MIT
 *
 * What a plugin can call: struct cw_host, filled. Each function is a thin step from the contract to the core's piece
 * that does it. Two things are added here: an instance that was abandoned can do nothing any more (its calls return as
 * if all were well), and what comes from other threads (a view has news, a reload is done) is brought to the instance's
 * own thread through its mailbox.
 */
#include "acting.h"
#include "agent.h"
#include "alerting.h"
#include "clock.h"
#include "doctor.h"
#include "history.h"
#include "instance_private.h"
#include "log.h"
#include "logs.h"
#include "offered.h"
#include "tasks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A live view of a frontend and whom to tell. Own thread; `waker` is what the writing threads see of it. */
struct host_view {
	struct host_view *next;
	struct cw_view *view;
	struct waker *waker;
	void (*ready)(void *arg);
	void *arg;
};

static bool gone(const struct instance *self)
{
	return atomic_load_explicit(&self->abandoned, memory_order_relaxed);
}

static struct instance *own(struct cw_instance *instance)
{
	return (struct instance *)instance;
}

static struct uv_loop_s *host_loop(struct cw_instance *instance)
{
	return &own(instance)->loop;
}

static const struct cw_info *host_info(struct cw_instance *instance)
{
	return &own(instance)->info;
}

static void host_log(struct cw_instance *instance, enum cw_level level, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (!gone(own(instance)))
		log_vline(own(instance)->name, level, format, args);
	va_end(args);
}

static void host_state(struct cw_instance *instance, enum cw_state state, int64_t next_try, const char *reason, ...)
{
	struct instance *self = own(instance);
	char text[INSTANCE_REASON_MAX];
	va_list args;
	va_start(args, reason);
	vsnprintf(text, sizeof text, reason ? reason : "", args);
	va_end(args);
	self->said_state = true;
	if (state == CW_UP || state == CW_DEGRADED || state == CW_DOWN) {
		bool was_down = instance_state(self) == CW_DOWN;
		instance_set_state(self, state, next_try, text);
		if (was_down && state != CW_DOWN)
			writing_resume(self);
	}
}

static void host_count_error(struct cw_instance *instance, uint64_t n)
{
	atomic_fetch_add_explicit(&own(instance)->stats->errors, n, memory_order_relaxed);
}

static void host_count_malformed(struct cw_instance *instance, uint64_t n)
{
	atomic_fetch_add_explicit(&own(instance)->stats->malformed, n, memory_order_relaxed);
}

/* ---- samples ---- */

static void host_gauge(struct cw_instance *instance, uint32_t metric, const char *const *labels, double value)
{
	if (!gone(own(instance)))
		reading_add(own(instance), metric,
			    &(struct cw_sample){.labels = labels, .number = CW_DOUBLE, .real = value});
}

/* With --once counters are left out: each run would start from 0 again. */
static void host_counter(struct cw_instance *instance, uint32_t metric, const char *const *labels, uint64_t value)
{
	struct instance *self = own(instance);
	int64_t whole = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	if (!gone(self) && !self->info.once)
		reading_add(self, metric,
			    &(struct cw_sample){.labels = labels, .number = CW_INTEGER, .integer = whole});
}

static void host_histogram(struct cw_instance *instance, uint32_t metric, const char *const *labels,
			   const struct cw_histogram *value)
{
	struct instance *self = own(instance);
	if (!gone(self) && !self->info.once)
		reading_add(self, metric,
			    &(struct cw_sample){.labels = labels, .number = CW_BUCKETS, .histogram = value});
}

static int64_t host_declare(struct cw_instance *instance, const struct cw_metric *metric)
{
	return sampling_declare(own(instance), metric);
}

static void host_sample(struct cw_instance *instance, uint32_t metric, const struct cw_sample *sample)
{
	if (!gone(own(instance)))
		sampling_sample(own(instance), metric, sample);
}

static void host_read_done(struct cw_instance *instance, int status)
{
	if (!gone(own(instance)))
		reading_done(own(instance), status);
}

static void host_write_done(struct cw_instance *instance, int status)
{
	if (!gone(own(instance)))
		writing_done(own(instance), status);
}

static void host_dropped(struct cw_instance *instance, enum cw_drop reason, uint64_t n)
{
	if (!gone(own(instance)))
		writing_dropped(own(instance), reason, n);
}

/* ---- tables ----
 * These calls name no instance, for they may come a million times a second; whose thread this is tells it. */

static bool halted(void)
{
	return !instance_speaking || gone(instance_speaking);
}

static int host_table_open(struct cw_instance *instance, uint32_t table, const struct cw_array *extra,
			   struct cw_part **ret_part)
{
	struct instance *self = own(instance);
	if (table >= self->decl->tables.count)
		return -EINVAL;
	if (gone(self))
		return -EPIPE;
	return table_open(hub_tables(self->context.hub), self->name, cw_at(&self->decl->tables, table), extra,
			  ret_part);
}

static int64_t host_row_find(struct cw_part *part, const char *key, size_t length)
{
	return halted() ? -ENOENT : row_find(part, key, length);
}

static int64_t host_row_key(struct cw_part *part, uint32_t row, char *buffer, size_t size)
{
	return halted() ? -ENOENT : row_key(part, row, buffer, size);
}

static int64_t host_row_put(struct cw_part *part, const struct cw_cell *cells)
{
	return halted() ? -EPIPE : row_put(part, cells);
}

static int host_row_touch(struct cw_part *part, uint32_t row, const struct cw_change *changes, uint32_t n)
{
	return halted() ? -ENOENT : row_touch(part, row, changes, n);
}

static void host_row_mark(struct cw_part *part, uint32_t row)
{
	if (!halted())
		row_mark(part, row);
}

static int host_row_remove(struct cw_part *part, uint32_t row, const char *why)
{
	return halted() ? -ENOENT : row_remove(part, row, why);
}

static void host_full_begin(struct cw_part *part)
{
	if (!halted())
		full_begin(part);
}

static void host_full_end(struct cw_part *part, void (*missing)(void *arg, uint32_t row), void *arg)
{
	if (!halted())
		full_end(part, missing, arg);
}

static void host_full_abort(struct cw_part *part)
{
	if (!halted())
		full_abort(part);
}

static void host_coverage(struct cw_part *part, const struct cw_coverage *coverage)
{
	if (!halted())
		part_coverage(part, coverage);
}

static uint64_t host_row_count(struct cw_part *part)
{
	return halted() ? 0 : part_rows(part);
}

static void host_choice_counts(struct cw_part *part, uint32_t column, uint64_t *counts, uint32_t n)
{
	memset(counts, 0, n * sizeof *counts);
	if (!halted())
		part_choice_counts(part, column, counts, n);
}

/* ---- names ---- */

static int host_resolve(struct cw_instance *instance, const char *host, uint16_t port, cw_resolved done, void *arg,
			struct cw_resolve **ret_resolve)
{
	struct instance *self = own(instance);
	if (gone(self))
		return -EPIPE;
	return resolver_ask(self->context.resolver, self->box, host, port, done, arg, ret_resolve);
}

/* ---- lookups ---- */

static int host_lookup_open(struct cw_instance *instance, const char *name,
			    void (*answered)(void *arg, const struct cw_answer *answers, uint32_t n), void *arg,
			    struct cw_lookup **ret_lookup)
{
	struct instance *self = own(instance);
	if (gone(self))
		return -EPIPE;
	return lookup_open(self->context.lookups, name, self->box, answered, arg, ret_lookup);
}

static int host_lookup_ask(struct cw_lookup *lookup, const char *const *keys, uint32_t n)
{
	return halted() ? -EAGAIN : lookup_ask(lookup, keys, n);
}

static void host_answer(struct cw_instance *instance, const struct cw_answer *answers, uint32_t n)
{
	struct instance *self = own(instance);
	if (!gone(self) && self->decl->role == CW_LOOKUP)
		lookups_answer(self->context.lookups, self->name, answers, n);
}

/* ---- notices ---- */

static void host_notified(struct cw_instance *instance, const struct cw_delivered *delivered, const char *reason, ...)
{
	char words[PARCEL_REASON_MAX];
	va_list args;
	va_start(args, reason);
	if (reason)
		vsnprintf(words, sizeof words, reason, args);
	va_end(args);
	if (!gone(own(instance)))
		notifying_told(own(instance), delivered, reason ? words : NULL);
}

/* ---- checks ---- */

static void host_examined(struct cw_instance *instance, enum cw_verdict verdict, const char *text, ...)
{
	char words[EXAMINE_TEXT_MAX];
	va_list args;
	va_start(args, text);
	vsnprintf(words, sizeof words, text, args);
	va_end(args);
	if (!gone(own(instance)))
		examine_told(own(instance), verdict, words);
}

/* ---- tasks ----
 * As with rows, whose thread this is tells which instance speaks (acting.c). */

static void host_task_progress(struct cw_task *task, uint64_t done, uint64_t failed, uint64_t total, const char *text,
			       ...)
{
	char words[TASK_TEXT_MAX];
	va_list args;
	va_start(args, text);
	if (text)
		vsnprintf(words, sizeof words, text, args);
	va_end(args);
	acting_progress(task, done, failed, total, text ? words : NULL);
}

static void host_task_item(struct cw_task *task, const char *key, enum cw_outcome outcome, const char *text, ...)
{
	char words[TASK_TEXT_MAX];
	va_list args;
	va_start(args, text);
	if (text)
		vsnprintf(words, sizeof words, text, args);
	va_end(args);
	acting_item(task, key, outcome, text ? words : NULL);
}

static void host_task_end(struct cw_task *task, enum cw_task_state state, const char *reason, ...)
{
	char words[TASK_TEXT_MAX];
	va_list args;
	va_start(args, reason);
	if (reason)
		vsnprintf(words, sizeof words, reason, args);
	va_end(args);
	acting_end(task, state, reason ? words : NULL);
}

/* ---- events ---- */

static void host_event(struct cw_instance *instance, const char *subject, const char *text, ...)
{
	struct instance *self = own(instance);
	char words[1024];
	va_list args;
	va_start(args, text);
	vsnprintf(words, sizeof words, text, args);
	va_end(args);
	if (!gone(self))
		hub_event(self->context.hub, "action", subject, /* from */ NULL, /* to */ NULL, self->name, words);
}

/* ---- queries ---- */

/* Where numbers are masked, it is remembered who saw them in full. */
static void note_reveal(const struct instance *self, const struct cw_query_spec *spec)
{
	char subject[1024];
	if (!spec->reveal || self->info.phones_full)
		return;
	snprintf(subject, sizeof subject, "%s%s%s", spec->table, spec->key ? "/" : "", spec->key ? spec->key : "");
	hub_event(self->context.hub, "reveal", subject, /* from */ NULL, /* to */ NULL, spec->by,
		  "full numbers were shown");
}

static int host_query_open(struct cw_instance *instance, const struct cw_query_spec *spec, struct cw_query **ret_query,
			   char error[CW_QUERY_ERROR_MAX])
{
	struct instance *self = own(instance);
	int rc = query_open(hub_tables(self->context.hub), spec, self->info.phones_full, ret_query, error);
	if (rc == 0)
		note_reveal(self, spec);
	return rc;
}

static const struct cw_reader reader = {
	.size = sizeof reader,
	.query_open = host_query_open,
	.query_columns = query_columns,
	.query_step = query_step,
	.query_info = query_info,
	.query_close = query_close,
};

/* ---- frontends ---- */

static void on_view_ready(struct instance *self, void *arg)
{
	(void)self;
	struct host_view *entry = arg;
	entry->ready(entry->arg);
}

static void view_entry_free(struct host_view *entry)
{
	if (!entry)
		return;
	if (entry->waker)
		atomic_store(&entry->waker->closed, true);
	waker_unref(entry->waker);
	free(entry);
}

static int frontend_view_open(struct cw_instance *instance, const struct cw_query_spec *spec, void (*ready)(void *arg),
			      void *arg, struct cw_view **ret_view, char error[CW_QUERY_ERROR_MAX])
{
	struct instance *self = own(instance);
	struct host_view *entry = calloc(1, sizeof *entry);
	int rc = -ENOMEM;
	snprintf(error, CW_QUERY_ERROR_MAX, "out of memory");
	if (!entry || !(entry->waker = waker_new(self->box, on_view_ready, entry)))
		goto fail;
	entry->ready = ready;
	entry->arg = arg;
	rc = view_open(hub_tables(self->context.hub), spec, self->info.phones_full, waker_wake, entry->waker,
		       &entry->view, error);
	if (rc < 0)
		goto fail;
	note_reveal(self, spec);
	entry->next = self->views;
	self->views = entry;
	*ret_view = entry->view;
	return 0;
fail:
	view_entry_free(entry);
	return rc;
}

static void close_entry(struct host_view **link)
{
	struct host_view *entry = *link;
	*link = entry->next;
	view_close(entry->view);
	view_entry_free(entry);
}

/* The list is walked: a frontend has a view per connected client, a few hundred at most. */
static void frontend_view_close(struct cw_view *view)
{
	if (!view || !instance_speaking)
		return;
	for (struct host_view **link = &instance_speaking->views; *link; link = &(*link)->next)
		if ((*link)->view == view) {
			close_entry(link);
			return;
		}
}

void host_close_views(struct instance *self)
{
	while (self->views)
		close_entry(&self->views);
}

static void frontend_tables(struct cw_instance *instance, void (*table)(void *arg, const struct cw_table_info *info),
			    void *arg)
{
	tables_each(hub_tables(own(instance)->context.hub), table, arg);
}

static bool frontend_ready(void)
{
	return instance_speaking && agent_ready(instance_speaking->context.agent);
}

static int64_t frontend_started(void)
{
	return instance_speaking ? agent_started(instance_speaking->context.agent) : 0;
}

/* A reload, or the preview of one, that was asked for: its outcome comes back as mail. If the asking instance was
 * itself restarted meanwhile, its mailbox is shut and the outcome is dropped. */
struct reload_answer {
	struct mail mail; /* first */
	struct mailbox *box;
	void (*done)(void *arg, bool ok, const char *text);
	void *arg;
	bool ok;
	char *text;
};

static void answer_free(struct mail *mail)
{
	struct reload_answer *answer = (struct reload_answer *)mail;
	mailbox_unref(answer->box);
	free(answer->text);
	free(answer);
}

static void on_answer(struct mail *mail, void *owner)
{
	(void)owner;
	struct reload_answer *answer = (struct reload_answer *)mail;
	answer->done(answer->arg, answer->ok, answer->text ? answer->text : "");
	answer_free(mail);
}

/* On the agent's thread. */
static void on_reloaded(void *arg, bool ok, const char *text)
{
	struct reload_answer *answer = arg;
	answer->ok = ok;
	answer->text = strdup(text);
	if (mailbox_post(answer->box, &answer->mail) < 0)
		answer_free(&answer->mail);
}

/* NULL: nothing is to be asked, and done() was told so unless the asker is gone. */
static struct reload_answer *answer_new(struct instance *self, void (*done)(void *arg, bool ok, const char *text),
					void *arg)
{
	if (gone(self))
		return NULL;
	struct reload_answer *answer = calloc(1, sizeof *answer);
	if (!answer) {
		done(arg, false, "out of memory");
		return NULL;
	}
	answer->mail = (struct mail){.deliver = on_answer, .drop = answer_free};
	answer->box = mailbox_ref(self->box);
	answer->done = done;
	answer->arg = arg;
	return answer;
}

static void frontend_reload(struct cw_instance *instance, const char *by,
			    void (*done)(void *arg, bool ok, const char *text), void *arg)
{
	struct instance *self = own(instance);
	struct reload_answer *answer = answer_new(self, done, arg);
	if (answer)
		agent_reload(self->context.agent, by, on_reloaded, answer);
}

static void frontend_reload_preview(struct cw_instance *instance, void (*done)(void *arg, bool ok, const char *text),
				    void *arg)
{
	struct instance *self = own(instance);
	struct reload_answer *answer = answer_new(self, done, arg);
	if (answer)
		agent_preview(self->context.agent, on_reloaded, answer);
}

static int frontend_doctor(struct cw_instance *instance, const char *name,
			   void (*result)(void *arg, const struct cw_examined *examined), void (*done)(void *arg),
			   void *arg)
{
	return gone(own(instance)) ? -EPIPE : doctor_ask(own(instance), name, result, done, arg);
}

static int frontend_act(struct cw_instance *instance, const struct cw_action_spec *spec,
			void (*done)(void *arg, const struct cw_action_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : tasks_act(self->context.tasks, self->box, spec, done, arg);
}

static int frontend_cancel(struct cw_instance *instance, const char *task, const char *by,
			   void (*done)(void *arg, const struct cw_action_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : tasks_cancel(self->context.tasks, self->box, task, by, done, arg);
}

static void frontend_actions(struct cw_instance *instance, void (*seen)(void *arg, const struct cw_action_info *info),
			     void *arg)
{
	if (!gone(own(instance)))
		offered_actions(own(instance)->context.roster, seen, arg);
}

static int frontend_endpoint(struct cw_instance *instance, const char *method, const char *path, const char *key,
			     struct cw_endpoint_found *ret_found)
{
	struct instance *self = own(instance);
	return gone(self) ? -ENOENT : offered_endpoint(self->context.roster, method, path, key, ret_found);
}

static int frontend_silence(struct cw_instance *instance, const struct cw_silence_spec *spec,
			    void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : alerting_silence(self->context.alerting, self->box, spec, done, arg);
}

static int frontend_expire(struct cw_instance *instance, const char *silence, const char *by,
			   void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : alerting_expire(self->context.alerting, self->box, silence, by, done, arg);
}

static int frontend_ack(struct cw_instance *instance, const struct cw_ack_spec *spec,
			void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : alerting_ack(self->context.alerting, self->box, spec, done, arg);
}

static int frontend_try_rule(struct cw_instance *instance, const char *rule, const char *by,
			     void (*done)(void *arg, const struct cw_alerts_answer *answer), void *arg)
{
	struct instance *self = own(instance);
	return gone(self) ? -EPIPE : alerting_try_rule(self->context.alerting, self->box, rule, by, done, arg);
}

/* ---- the two hosts ---- */

static const struct cw_frontend frontend = {
	.size = sizeof frontend,
	.query_open = host_query_open,
	.query_columns = query_columns,
	.query_step = query_step,
	.query_info = query_info,
	.query_close = query_close,
	.view_open = frontend_view_open,
	.view_columns = view_columns,
	.view_next = view_next,
	.view_close = frontend_view_close,
	.tables = frontend_tables,
	.ready = frontend_ready,
	.started = frontend_started,
	.reload = frontend_reload,
	.reload_preview = frontend_reload_preview,
	.doctor = frontend_doctor,
	.act = frontend_act,
	.cancel = frontend_cancel,
	.actions = frontend_actions,
	.endpoint = frontend_endpoint,
	.note = logs_note,
	.log_open = logs_open,
	.log_columns = history_log_columns,
	.log_step = history_log_step,
	.log_info = history_log_info,
	.log_error = history_log_error,
	.log_close = logs_close,
	.silence = frontend_silence,
	.expire = frontend_expire,
	.ack = frontend_ack,
	.try_rule = frontend_try_rule,
};

#define HOST(of_frontend)                                                                                              \
	{                                                                                                              \
		.abi_major = CW_ABI_MAJOR, .abi_minor = CW_ABI_MINOR, .size = sizeof(struct cw_host),                  \
		.loop = host_loop, .info = host_info, .now = clock_now, .wall = clock_wall, .log = host_log,           \
		.state = host_state, .count_error = host_count_error, .count_malformed = host_count_malformed,         \
		.gauge = host_gauge, .counter = host_counter, .histogram = host_histogram,                             \
		.read_done = host_read_done, .write_done = host_write_done, .batch_ref = batch_ref,                    \
		.batch_unref = batch_unref, .table_open = host_table_open, .row_find = host_row_find,                  \
		.row_key = host_row_key, .row_put = host_row_put, .row_touch = host_row_touch,                         \
		.row_mark = host_row_mark, .row_remove = host_row_remove, .full_begin = host_full_begin,               \
		.full_end = host_full_end, .full_abort = host_full_abort, .coverage = host_coverage,                   \
		.row_count = host_row_count, .choice_counts = host_choice_counts, .resolve = host_resolve,             \
		.resolve_cancel = resolver_cancel, .frontend = (of_frontend), .declare = host_declare,                 \
		.sample = host_sample, .lookup_open = host_lookup_open, .lookup_ask = host_lookup_ask,                 \
		.lookup_close = lookup_close, .answer = host_answer, .dropped = host_dropped,                          \
		.examined = host_examined, .task_progress = host_task_progress, .task_item = host_task_item,           \
		.task_end = host_task_end, .event = host_event, .reader = &reader, .notified = host_notified,          \
	}
static const struct cw_host plain_host = HOST(NULL), frontend_host = HOST(&frontend);
#undef HOST

const struct cw_host *host_for(enum cw_role role)
{
	return role == CW_FRONTEND ? &frontend_host : &plain_host;
}
