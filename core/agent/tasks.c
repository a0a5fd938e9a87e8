/* SPDX-License-Identifier: MIT
 *
 * See tasks.h. Everything here runs on the actor's own thread but for the calls at the end. A task is found by walking
 * the list of those that are kept, 1000 at most; people ask for one now and then.
 */
#include "tasks_private.h"

#include "acting.h"
#include "clock.h"
#include "hub.h"
#include "instance_private.h"
#include "log.h"
#include "roster.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAILBOX_LIMIT = 4096 };

static const int64_t plan_ns = 900 * CW_SECOND;
static const int64_t idempotency_ns = 86400 * CW_SECOND;
static const int64_t journal_wait_ns = 5 * CW_SECOND; /* for its word on a task */
static const int64_t read_wait_ns = 10 * CW_SECOND;   /* for what it knows */

/* ---- what is kept ---- */

void tasks_set_text(const char **text, const char *new_text)
{
	char *copy = strdup(new_text);
	if (!copy)
		return;
	free((char *)*text);
	*text = copy;
}

void kept_free(struct kept *kept)
{
	if (!kept)
		return;
	const char *const texts[] = {kept->record.id,        kept->record.instance, kept->record.action,
				     kept->record.arguments, kept->record.by,       kept->record.idempotency_key,
				     kept->record.text,      kept->record.reason};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free((char *)texts[i]);
	task_unref(kept->task);
	mailbox_unref(kept->box);
	asking_free(kept->asking);
	free(kept);
}

struct kept *tasks_keep(struct tasks *tasks, struct kept *kept)
{
	struct kept **link = &tasks->first;
	int order = 1;
	while (*link && (order = strcmp((*link)->record.id, kept->record.id)) > 0)
		link = &(*link)->next;
	if (*link && order == 0)
		return NULL;
	kept->next = *link;
	*link = kept;
	tasks->kept_count++;
	return kept;
}

static struct kept *find_kept(const struct tasks *tasks, const char *id)
{
	struct kept *kept = tasks->first;
	while (kept && strcmp(kept->record.id, id) != 0)
		kept = kept->next;
	return kept;
}

/* The oldest of those that have ended; NULL: none has. */
static struct kept **oldest(struct tasks *tasks)
{
	struct kept **found = NULL;
	for (struct kept **link = &tasks->first; *link; link = &(*link)->next)
		if (!(*link)->task)
			found = link;
	return found;
}

/* From the tables; the journal knows them for longer. */
void tasks_forget_old(struct tasks *tasks)
{
	while (tasks->kept_count > TASKS_KEPT || tasks->outcomes_count > OUTCOMES_KEPT) {
		struct kept **link = oldest(tasks), *kept = link ? *link : NULL;
		if (!kept)
			return;
		*link = kept->next;
		tasks_hide(tasks, kept);
		tasks->kept_count--;
		tasks->outcomes_count -= kept->told;
		kept_free(kept);
	}
}

/* Ids grow with time, also when the clock is turned back, and nobody can guess one. */
static void make_id(struct tasks *tasks, char prefix, char id[TASK_ID_SIZE])
{
	int64_t now = clock_wall() / CW_MILLISECOND;
	tasks->last_id = now > tasks->last_id ? now : tasks->last_id + 1;
	snprintf(id, TASK_ID_SIZE, "%c%012" PRIx64 "%08" PRIx32, prefix, (uint64_t)tasks->last_id,
		 randombytes_random());
}

/* ---- events ---- */

static void tell_event(struct tasks *tasks, const struct kept *kept, const char *from, const char *to, const char *by,
		       const char *format, ...) CW_PRINTF(6, 7);
static void tell_event(struct tasks *tasks, const struct kept *kept, const char *from, const char *to, const char *by,
		       const char *format, ...)
{
	char subject[TASK_ID_SIZE + 16], text[TASK_TEXT_MAX + 256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(subject, sizeof subject, "tasks/%s", kept->record.id);
	hub_event(tasks->hub, "action", subject, from, to, by, text);
}

static void tell_begin(struct tasks *tasks, const struct kept *kept)
{
	const struct journal_task *record = &kept->record;
	char rows[48] = "";
	if (kept->task->wish->chosen)
		snprintf(rows, sizeof rows, " on %" PRIu64 " row%s", record->total, record->total == 1 ? "" : "s");
	tell_event(tasks, kept, NULL, task_state_names[CW_TASK_RUNNING], record->by, "%s of %s%s%s%s", record->action,
		   record->instance, rows, *record->arguments ? ": " : "", record->arguments);
}

static void tell_end(struct tasks *tasks, const struct kept *kept, const char *from)
{
	const struct journal_task *record = &kept->record;
	char counts[160] = "";
	if (record->total > 0)
		snprintf(counts, sizeof counts, ": of %" PRIu64 " %" PRIu64 " done, %" PRIu64 " failed", record->total,
			 record->done, record->failed);
	tell_event(tasks, kept, from, task_state_names[record->state], record->instance, "%s of %s%s%s%s",
		   record->action, record->instance, counts, *record->reason ? ": " : "", record->reason);
}

/* ---- the life of a task ---- */

static void write_down(struct tasks *tasks, const struct kept *kept)
{
	(void)journal_task(tasks->journal, &kept->record, NULL, 0, NULL, NULL); /* what it cannot take it counts */
}

void tasks_end(struct tasks *tasks, struct kept *kept, enum cw_task_state state, int64_t at, const char *reason)
{
	const char *from = task_state_names[kept->record.state];
	kept->record.state = state;
	kept->record.finished_at = at;
	tasks_set_text(&kept->record.reason, reason);
	if (kept->task) {
		tasks->running--;
		tasks->outcomes_count += kept->told;
	}
	task_unref(kept->task);
	kept->task = NULL;
	write_down(tasks, kept);
	tasks_show(tasks, kept);
	tell_end(tasks, kept, from);
}

static void answer_made(struct kept *kept)
{
	struct asking *asking = kept->asking;
	kept->asking = NULL;
	if (!asking)
		return;
	asking->answer.on_disk = kept->on_disk;
	snprintf(asking->task, sizeof asking->task, "%s", kept->record.id);
	asking_answer(asking, 0, "%s",
		      kept->on_disk ? "" : "the journal cannot keep it: after a crash nothing would be known of it");
}

struct sending {
	struct kept *kept;
	bool was_sent;
};

/* Under the roster's lock. The plugin may have been replaced by another one since it was asked. */
static void send_to(void *arg, struct instance *instance)
{
	struct sending *sending = arg;
	struct task *task = sending->kept->task;
	if (sending->was_sent || strcmp(instance_name(instance), task->wish->instance) != 0 ||
	    instance->decl != task->wish->decl || !atomic_load(&instance->acts))
		return;
	sending->was_sent = true;
	sending->kept->box = mailbox_ref(instance->box);
	acting_ask(instance, task);
}

/* The journal has spoken, or is not waited for any longer. */
static void hand_over(struct tasks *tasks, struct kept *kept, bool on_disk)
{
	struct sending sending = {.kept = kept};
	kept->is_sent = true;
	kept->on_disk = on_disk;
	answer_made(kept);
	if (kept->is_cancelled) {
		tasks_end(tasks, kept, CW_TASK_CANCELLED, clock_wall(), "cancelled before it began: nothing was done");
		return;
	}
	tell_begin(tasks, kept);
	roster_each(tasks->roster, send_to, &sending);
	if (!sending.was_sent)
		tasks_end(tasks, kept, CW_TASK_ERROR, clock_wall(),
			  "the instance was stopped or restarted meanwhile: nothing was done");
}

static void take_items(struct tasks *tasks, struct kept *kept, struct task_item *items)
{
	uint64_t *const counts[] = {
		[CW_ITEM_DONE] = &kept->record.done,
		[CW_ITEM_FAILED] = &kept->record.failed,
		[CW_ITEM_GONE] = &kept->record.gone,
		[CW_ITEM_UNKNOWN] = &kept->record.unknown,
	};
	uint32_t count = 0;
	for (const struct task_item *item = items; item; item = item->next)
		count++;
	struct journal_outcome *outcomes = calloc(count + 1, sizeof *outcomes);
	uint32_t n = 0;
	for (const struct task_item *item = items; item; item = item->next) {
		struct journal_outcome outcome = {
			.number = item->number,
			.outcome = item->outcome,
			.told_at = item->told_at,
			.key = kept->task->wish->chosen->keys[item->number],
			.text = item->text,
		};
		++*counts[item->outcome];
		tasks_show_outcome(tasks, kept, &outcome);
		if (outcomes)
			outcomes[n++] = outcome;
	}
	(void)journal_outcomes(tasks->journal, kept->record.id, outcomes, n);
	free(outcomes);
	task_items_free(items);
}

static void take_words(struct kept *kept, const struct task_news *news)
{
	struct journal_task *record = &kept->record;
	if (news->has_numbers && !kept->task->wish->chosen) {
		record->done = news->done;
		record->failed = news->failed;
		record->total = news->total;
	}
	if (news->has_text)
		tasks_set_text(&record->text, news->text);
}

static void take_news(struct tasks *tasks, struct kept *kept)
{
	struct task_news news;
	task_take_news(kept->task, &news);
	if (news.is_journaled && !kept->is_sent) {
		hand_over(tasks, kept, news.on_disk);
		if (!kept->task)
			return;
	}
	if (news.begun) {
		kept->record.state = CW_TASK_RUNNING;
		kept->record.started_at = news.begun_at;
		write_down(tasks, kept);
	}
	if (news.items)
		take_items(tasks, kept, news.items);
	take_words(kept, &news);
	if (news.ended)
		tasks_end(tasks, kept, news.state, news.ended_at, news.reason);
	else if (news.begun || news.items || news.has_numbers || news.has_text)
		tasks_show(tasks, kept);
}

static void on_news(struct mail *mail, void *owner)
{
	struct task *task = (struct task *)mail;
	task_mail_came(task);
	struct kept *kept = find_kept(owner, task->id);
	if (kept && kept->task == task)
		take_news(owner, kept);
	task_unref(task);
}

/* On the journal's thread. */
static void on_journaled(void *arg, bool on_disk)
{
	struct task *task = arg;
	task_tell_journaled(task, on_disk);
	task_unref(task);
}

/* ---- a task is made ---- */

static void fill_record(struct kept *kept, const struct asking *asking, const char *id)
{
	struct journal_task *record = &kept->record;
	const struct wish *wish = asking->wish;
	*record = (struct journal_task){
		.id = strdup(id),
		.instance = strdup(wish->instance),
		.action = strdup(wish->action->name),
		.arguments = strdup(wish->arguments_text),
		.by = strdup(asking->spec.by),
		.idempotency_key = asking->spec.idempotency_key ? strdup(asking->spec.idempotency_key) : NULL,
		.asked_at = clock_wall(),
		.total = wish->chosen ? wish->chosen->count : 0,
		.text = strdup(""),
		.reason = strdup(""),
	};
	memcpy(record->request, asking->hash, sizeof record->request);
}

static bool is_whole(const struct journal_task *record)
{
	return record->id && record->instance && record->action && record->arguments && record->by && record->text &&
	       record->reason;
}

static struct kept *kept_new(struct tasks *tasks, const struct asking *asking)
{
	char id[TASK_ID_SIZE];
	struct kept *kept = calloc(1, sizeof *kept);
	if (!kept)
		return NULL;
	make_id(tasks, 't', id);
	fill_record(kept, asking, id);
	if (is_whole(&kept->record))
		kept->task = task_new(wish_ref(asking->wish), id, asking->spec.by, tasks->box, on_news);
	if (kept->task)
		return kept;
	kept_free(kept);
	return NULL;
}

/* Takes the question over: it is answered when the journal has spoken. */
static void make_task(struct tasks *tasks, struct asking *asking)
{
	struct kept *kept = kept_new(tasks, asking);
	if (!kept) {
		asking_answer(asking, -ENOMEM, "out of memory");
		return;
	}
	const struct chosen *chosen = asking->wish->chosen;
	struct task *task = kept->task;
	kept->asking = asking;
	kept->journal_due = clock_awake() + journal_wait_ns;
	tasks_keep(tasks, kept);
	tasks->running++;
	tasks_show(tasks, kept);
	task_ref(task);
	int rc = journal_task(tasks->journal, &kept->record, chosen ? chosen->keys : NULL, chosen ? chosen->count : 0,
			      on_journaled, task);
	if (rc < 0 || !tasks->journal) {
		task_unref(task);
		hand_over(tasks, kept, /* on_disk */ false);
	}
}

/* ---- plans ---- */

static void plan_free(struct plan_kept *plan)
{
	wish_unref(plan->wish);
	free(plan);
}

static void forget_plan(struct tasks *tasks, const struct plan_kept *plan)
{
	struct plan_kept **link = &tasks->plans;
	while (*link && *link != plan)
		link = &(*link)->next;
	if (!*link)
		return;
	struct plan_kept *found = *link;
	*link = found->next;
	plan_free(found);
}

/* Those whose time is over, and the oldest that are too many. */
static void forget_plans(struct tasks *tasks)
{
	uint32_t count = 0, keys = 0;
	for (struct plan_kept **link = &tasks->plans, *plan; (plan = *link);) {
		keys += plan->wish->chosen ? plan->wish->chosen->count : 0;
		bool fits = count == 0 || (count < PLANS_KEPT && keys <= PLAN_KEYS_KEPT);
		if (fits && plan->ends > clock_now()) {
			count++;
			link = &plan->next;
			continue;
		}
		*link = plan->next;
		plan_free(plan);
	}
}

static int keep_plan(struct tasks *tasks, struct asking *asking)
{
	struct plan_kept *plan = calloc(1, sizeof *plan);
	if (!plan)
		return -ENOMEM;
	make_id(tasks, 'p', plan->id);
	plan->wish = wish_ref(asking->wish);
	plan->ends = clock_now() + plan_ns;
	plan->next = tasks->plans;
	tasks->plans = plan;
	snprintf(asking->plan, sizeof asking->plan, "%s", plan->id);
	forget_plans(tasks);
	return 0;
}

static struct plan_kept *find_plan(struct tasks *tasks, const char *id)
{
	forget_plans(tasks);
	struct plan_kept *plan = tasks->plans;
	while (plan && strcmp(plan->id, id) != 0)
		plan = plan->next;
	return plan;
}

static void answer_dry_run(struct tasks *tasks, struct asking *asking)
{
	const struct wish *wish = asking->wish;
	char scope[ASKING_TEXT_MAX];
	bool is_nothing = wish->chosen && wish->chosen->count == 0;
	if (!is_nothing && keep_plan(tasks, asking) < 0) {
		asking_answer(asking, -ENOMEM, "out of memory");
		return;
	}
	asking->answer.danger = wish->action->danger;
	asking->answer.table = wish->action->table;
	if (wish->chosen) {
		asking->answer.rows = wish->chosen->count;
		asking->answer.keys = wish->chosen->keys;
		asking->answer.keys_count =
			wish->chosen->count < ASKING_SHOWN_KEYS ? wish->chosen->count : ASKING_SHOWN_KEYS;
	}
	asking_scope(asking, hub_tables(tasks->hub), scope);
	asking_answer(asking, 0, "%s", scope);
}

/* ---- what is asked ---- */

/* True: it has been answered, by the task that an earlier question with this key made. */
static bool answer_again(struct tasks *tasks, struct asking *asking)
{
	const struct cw_action_spec *spec = &asking->spec;
	int64_t since = clock_wall() - idempotency_ns;
	if (!spec->idempotency_key || spec->dry_run)
		return false;
	struct kept *kept = tasks->first;
	for (; kept; kept = kept->next) {
		const struct journal_task *record = &kept->record;
		if (record->idempotency_key && strcmp(record->idempotency_key, spec->idempotency_key) == 0 &&
		    strcmp(record->instance, spec->instance) == 0 && strcmp(record->action, spec->action) == 0 &&
		    record->asked_at > since)
			break;
	}
	if (!kept)
		return false;
	snprintf(asking->task, sizeof asking->task, "%s", kept->record.id);
	asking->answer.is_again = true;
	asking->answer.on_disk = kept->on_disk;
	if (memcmp(kept->record.request, asking->hash, sizeof asking->hash) == 0)
		asking_answer(asking, 0, "it was asked for already with this idempotency key");
	else
		asking_answer(asking, -EEXIST, "this idempotency key was used for something else: task %s",
			      kept->record.id);
	return true;
}

/* True: it has been answered, for it cannot begin now. */
static bool answer_busy(struct tasks *tasks, struct asking *asking)
{
	const struct cw_action *action = asking->wish->action;
	if (asking->spec.dry_run)
		return false;
	for (const struct kept *kept = tasks->first; kept && (action->flags & CW_ACTION_SINGLE); kept = kept->next)
		if (kept->task && kept->task->wish->action == action &&
		    strcmp(kept->record.instance, asking->spec.instance) == 0) {
			snprintf(asking->task, sizeof asking->task, "%s", kept->record.id);
			asking_answer(asking, -EBUSY, "%s of %s runs already, asked for by %s: task %s", action->name,
				      kept->record.instance, kept->record.by, kept->record.id);
			return true;
		}
	if (tasks->running < TASKS_RUNNING)
		return false;
	asking_answer(asking, -EAGAIN, "%u tasks are under way, more are not begun", tasks->running);
	return true;
}

/* Its rows are chosen, or it has none. */
static void proceed(struct tasks *tasks, struct asking *asking)
{
	const struct chosen *chosen = asking->wish->chosen;
	if (asking->spec.dry_run)
		answer_dry_run(tasks, asking);
	else if (answer_again(tasks, asking) || answer_busy(tasks, asking)) /* others may have come meanwhile */
		return;
	else if (chosen && chosen->count == 0)
		asking_answer(asking, -ENOENT, "no row matches: nothing was done");
	else
		make_task(tasks, asking);
}

static void take_turn(uv_idle_t *turn);

static void choose(struct tasks *tasks, struct asking *asking)
{
	asking->next = tasks->choosing;
	tasks->choosing = asking;
	uv_idle_start(&tasks->choosing_turn, take_turn);
}

/* A slice for each of those whose rows are looked for. */
static void take_turn(uv_idle_t *turn)
{
	struct tasks *tasks = turn->data;
	struct asking *list = tasks->choosing;
	tasks->choosing = NULL;
	uv_idle_stop(turn);
	while (list) {
		struct asking *asking = list;
		list = asking->next;
		int rc = asking_choose_step(asking, hub_tables(tasks->hub));
		if (rc == CW_LATER)
			choose(tasks, asking);
		else if (rc == 0)
			proceed(tasks, asking);
	}
}

/* A plan has all that is to be known; it is used up when its task is made. */
static void use_plan(struct tasks *tasks, struct asking *asking)
{
	const struct cw_action_spec *spec = &asking->spec;
	struct plan_kept *plan = find_plan(tasks, spec->plan);
	if (spec->dry_run || spec->arguments_count || spec->keys || spec->where_count || spec->all) {
		asking_answer(asking, -EINVAL,
			      "a plan has its arguments and its rows: say no other, and no dry run with it");
		return;
	}
	if (!plan || plan->wish->decl != asking->wish->decl || plan->wish->action != asking->wish->action ||
	    strcmp(plan->wish->instance, spec->instance) != 0) {
		asking_answer(asking, -ENOENT,
			      "there is no plan `%s` of %s %s: it was carried out, or is older than 15 min; make "
			      "another dry run",
			      spec->plan, spec->instance, spec->action);
		return;
	}
	if (answer_busy(tasks, asking))
		return;
	wish_unref(asking->wish);
	asking->wish = wish_ref(plan->wish);
	forget_plan(tasks, plan);
	make_task(tasks, asking);
}

static void answer_question(struct tasks *tasks, struct asking *asking)
{
	if (answer_again(tasks, asking) || !asking_find(asking, tasks->roster))
		return;
	if (asking->spec.plan) {
		use_plan(tasks, asking);
		return;
	}
	if (!asking_check(asking) || answer_busy(tasks, asking))
		return;
	if (!asking->wish->action->table)
		proceed(tasks, asking);
	else if (asking_choose(asking, hub_tables(tasks->hub)))
		choose(tasks, asking);
}

/* Before the journal was read nobody knows what was asked for before. */
static void on_question(struct mail *mail, void *owner)
{
	struct tasks *tasks = owner;
	struct asking *asking = (struct asking *)mail;
	if (tasks->is_read) {
		answer_question(tasks, asking);
		return;
	}
	struct asking **last = &tasks->waiting; /* in the order in which they came */
	while (*last)
		last = &(*last)->next;
	*last = asking;
}

static void answer_waiting(struct tasks *tasks)
{
	if (!tasks->is_read && clock_awake() > tasks->read_due) {
		log_line(NULL, CW_WARNING, "the journal cannot be read yet: what was asked for before is not known");
		tasks->is_read = true;
	}
	while (tasks->is_read && tasks->waiting) {
		struct asking *asking = tasks->waiting;
		tasks->waiting = asking->next;
		answer_question(tasks, asking);
	}
}

/* ---- what is cancelled ---- */

struct cancelling {
	struct kept *kept;
	bool was_found;
};

/* Under the roster's lock. */
static void cancel_at(void *arg, struct instance *instance)
{
	struct cancelling *cancelling = arg;
	if (instance->box != cancelling->kept->box)
		return;
	cancelling->was_found = true;
	acting_cancel(instance, cancelling->kept->task);
}

static void on_cancel(struct mail *mail, void *owner)
{
	struct tasks *tasks = owner;
	struct asking *asking = (struct asking *)mail;
	struct kept *kept = find_kept(tasks, asking->cancel);
	struct cancelling cancelling = {.kept = kept};
	if (!kept) {
		asking_answer(asking, -ENOENT, "there is no task `%.100s`", asking->cancel);
		return;
	}
	snprintf(asking->task, sizeof asking->task, "%s", kept->record.id);
	if (!kept->task) {
		asking_answer(asking, -EBUSY, "task %s has ended already: %s", kept->record.id,
			      task_state_names[kept->record.state]);
		return;
	}
	if (!kept->task->wish->decl->cancel) {
		asking_answer(asking, -ENOTSUP, "%s of %s cannot be cancelled", kept->record.action,
			      kept->record.instance);
		return;
	}
	if (kept->is_sent)
		roster_each(tasks->roster, cancel_at, &cancelling);
	kept->is_cancelled = true;
	tell_event(tasks, kept, NULL, NULL, asking->spec.by, "it is asked to end early");
	asking_answer(asking, 0, "it is asked to end early");
}

/* ---- who was left behind ---- */

struct left {
	struct mail mail; /* first */
	struct mailbox *box;
};

static void left_free(struct mail *mail)
{
	mailbox_unref(((struct left *)mail)->box);
	free(mail);
}

static void on_left(struct mail *mail, void *owner)
{
	struct tasks *tasks = owner;
	const struct left *left = (const struct left *)mail;
	for (struct kept *kept = tasks->first; kept; kept = kept->next)
		if (kept->task && kept->box == left->box)
			task_tell_end(kept->task, CW_TASK_LOST,
				      "the instance did not end in time and was left behind: what it still does is "
				      "not known");
	left_free(mail);
}

/* ---- the actor ---- */

/* Mail that was refused, and a journal that does not speak. */
static void on_second(uv_timer_t *timer)
{
	struct tasks *tasks = timer->data;
	answer_waiting(tasks);
	for (struct kept *kept = tasks->first, *next; kept; kept = next) {
		next = kept->next;
		if (kept->task && !kept->is_sent && clock_awake() > kept->journal_due)
			hand_over(tasks, kept, /* on_disk */ false);
		if (kept->task)
			take_news(tasks, kept);
	}
	tasks_forget_old(tasks);
	tasks_confirm(tasks);
}

static void free_askings(struct asking *list)
{
	while (list) {
		struct asking *next = list->next;
		asking_free(list);
		list = next;
	}
}

/* All instances have ended by now, or were left behind. */
static void end_all(struct tasks *tasks)
{
	for (struct kept *kept = tasks->first, *next; kept; kept = next) {
		next = kept->next;
		if (kept->task)
			take_news(tasks, kept);
		if (kept->task)
			tasks_end(tasks, kept, kept->is_sent ? CW_TASK_LOST : CW_TASK_CANCELLED, clock_wall(),
				  kept->is_sent ? "callwatchd was stopped while it ran"
						: "callwatchd was stopped before it began: nothing was done");
	}
}

static void on_stop(uv_async_t *async)
{
	struct tasks *tasks = async->data;
	mailbox_drain(tasks->box);
	end_all(tasks);
	free_askings(tasks->choosing);
	free_askings(tasks->waiting);
	tasks->choosing = tasks->waiting = NULL;
	mailbox_close(tasks->box);
	uv_close((uv_handle_t *)&tasks->second, NULL);
	uv_close((uv_handle_t *)&tasks->choosing_turn, NULL);
	uv_close((uv_handle_t *)&tasks->stop, NULL);
}

static void *run(void *arg)
{
	struct tasks *tasks = arg;
	pthread_setname_np(pthread_self(), "tasks");
	uv_run(&tasks->loop, UV_RUN_DEFAULT);
	uv_loop_close(&tasks->loop);
	return NULL;
}

int tasks_start(struct tasks *tasks, struct journal *journal)
{
	tasks->journal = journal;
	tasks->is_read = !journal;
	tasks->read_due = clock_awake() + read_wait_ns;
	int rc = uv_loop_init(&tasks->loop);
	if (rc < 0)
		return rc;
	uv_timer_init(&tasks->loop, &tasks->second);
	uv_idle_init(&tasks->loop, &tasks->choosing_turn);
	tasks->second.data = tasks->stop.data = tasks->choosing_turn.data = tasks;
	if ((rc = uv_async_init(&tasks->loop, &tasks->stop, on_stop)) < 0 ||
	    (rc = mailbox_attach(tasks->box, &tasks->loop, tasks)) < 0)
		return rc;
	uv_timer_start(&tasks->second, on_second, 1000, 1000);
	rc = -pthread_create(&tasks->thread, /* attributes */ NULL, run, tasks);
	tasks->started = rc == 0;
	return rc;
}

void tasks_stop(struct tasks *tasks)
{
	if (!tasks || !tasks->started)
		return;
	uv_async_send(&tasks->stop);
	pthread_join(tasks->thread, NULL);
	tasks->started = false;
}

struct tasks *tasks_new(struct hub *hub, struct roster *roster)
{
	struct tasks *tasks = calloc(1, sizeof *tasks);
	if (!tasks)
		return NULL;
	tasks->hub = hub;
	tasks->roster = roster;
	tasks->box = mailbox_new(MAILBOX_LIMIT);
	if (tasks->box)
		return tasks;
	free(tasks);
	return NULL;
}

void tasks_free(struct tasks *tasks)
{
	if (!tasks)
		return;
	while (tasks->first) {
		struct kept *next = tasks->first->next;
		kept_free(tasks->first);
		tasks->first = next;
	}
	while (tasks->plans) {
		struct plan_kept *next = tasks->plans->next;
		plan_free(tasks->plans);
		tasks->plans = next;
	}
	tasks_release_rows(tasks);
	mailbox_unref(tasks->box);
	free(tasks);
}

/* ---- any thread ---- */

static int post(struct tasks *tasks, struct asking *asking)
{
	int rc = asking ? mailbox_post(tasks->box, &asking->mail) : -ENOMEM;
	if (rc < 0)
		asking_free(asking);
	return rc == -ENOBUFS ? -ENOMEM : rc;
}

int tasks_act(struct tasks *tasks, struct mailbox *asker, const struct cw_action_spec *spec,
	      void (*done)(void *arg, const struct cw_action_answer *answer), void *arg)
{
	return tasks ? post(tasks, asking_new(spec, asker, done, arg, on_question)) : -EPIPE;
}

int tasks_cancel(struct tasks *tasks, struct mailbox *asker, const char *task, const char *by,
		 void (*done)(void *arg, const struct cw_action_answer *answer), void *arg)
{
	/* what is to be cancelled travels as the plan of nothing: so the question is copied by one function */
	struct cw_action_spec spec = {.plan = task, .by = by};
	struct asking *asking = tasks ? asking_new(&spec, asker, done, arg, on_cancel) : NULL;
	if (asking)
		asking->cancel = asking->spec.plan;
	return tasks ? post(tasks, asking) : -EPIPE;
}

void tasks_left_behind(struct tasks *tasks, struct mailbox *box)
{
	struct left *left = tasks ? malloc(sizeof *left) : NULL;
	if (!left)
		return;
	*left = (struct left){{.deliver = on_left, .drop = left_free}, mailbox_ref(box)};
	if (mailbox_post(tasks->box, &left->mail) < 0)
		left_free(&left->mail);
}
