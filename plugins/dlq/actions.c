/* SPDX-License-Identifier: MIT
 *
 * See actions.h. A task goes through the keys of its request, as many a second as `rate` says, and some at a time.
 * What becomes of an item:
 *
 *   waiting → [fetched →] sent → done, gone, failed
 *      ↑                    │
 *      └── behind a pass ◀──┴── lost: not near the place where it was last met
 *
 * A message is lost when others came and went around it. Then the window is read once more, and either its new place
 * is known, or it is gone; of the trash a reading, likewise. When the connection is cut, what was sent goes back to
 * waiting and is sent again: the receipt tells whether it had been done. If that can no longer be asked, the outcome is
 * not known, and that is what is said.
 *
 * To be reset, a message is fetched first, for the change is made here, byte by byte (message.h), and never by Redis'
 * own JSON, which would round large numbers.
 */
#include "actions.h"

#include "scripts.h"
#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY, DROP, RESTORE };
enum mode { RESET, PUSH, PUBLISH };
enum { IN_FLIGHT_MAX = 16, TIMER_MS = 20, LOST_MAX = 20, REFAIL_LEAST = 10, WORD_SIZE = 40, BY_MAX = 128 };

enum item_state { ITEM_WAITS, ITEM_SENT, ITEM_SETTLED };

struct item {
	uint8_t state, lost; /* lost: so many times */
	bool is_maybe;       /* it was sent, and no answer came */
	bool asks_receipt;   /* only whether it had been done: where the message is was not said */
	uint64_t pass;       /* not before so many passes are over; of a restore, readings of the trash */
};

struct task {
	struct task *next;
	struct dlq *dlq;
	struct cw_task *task;
	const struct cw_request *request;
	enum mode mode;
	const char *to;
	double rate, max_refail, credit;
	int64_t credited;
	struct item *items;
	uint32_t first, settled, in_flight, done; /* first: all before it are settled */
	uint64_t *calls;                          /* of those that were retried */
	uint32_t calls_count, refailed;
	bool is_cancelled, is_ended, is_waiting; /* waiting: for Redis */
	char failure[REDIS_ERROR_MAX + 64];      /* it stops because of this */
	char receipts[KEY_BYTES_MAX + 80];
	uv_timer_t timer;
};

/* A command under way for an item. */
struct flight {
	struct task *task;
	uint32_t item;
	struct entry entry;
	uint32_t place;
};

static const char *key_of(const struct task *task, uint32_t item)
{
	return task->request->keys[item];
}

/* ---- outcomes ---- */

static void CW_PRINTF(4, 5) settle(struct task *task, uint32_t i, enum cw_outcome outcome, const char *format, ...)
{
	char text[REDIS_ERROR_MAX + 64] = "";
	if (task->items[i].state == ITEM_SETTLED)
		return;
	if (format) {
		va_list list;
		va_start(list, format);
		vsnprintf(text, sizeof(text), format, list);
		va_end(list);
	}
	task->items[i].state = ITEM_SETTLED;
	task->settled++;
	task->done += outcome == CW_ITEM_DONE;
	if (text[0])
		task->dlq->host->task_item(task->task, key_of(task, i), outcome, "%s", text);
	else
		task->dlq->host->task_item(task->task, key_of(task, i), outcome, NULL);
}

static void free_task(uv_handle_t *handle)
{
	struct task *task = handle->data;
	free(task->items);
	free(task->calls);
	free(task);
}

static void on_nothing(void *arg, const redisReply *reply)
{
	(void)arg;
	(void)reply;
}

static void end(struct task *task, enum cw_task_state state, const char *reason)
{
	struct dlq *dlq = task->dlq;
	struct task **at = &dlq->tasks;
	if (task->is_ended)
		return;
	task->is_ended = true;
	for (uint32_t i = 0; i < task->request->keys_count; i++)
		if (task->items[i].is_maybe)
			settle(task, i, CW_ITEM_UNKNOWN, "the connection was cut before Redis answered");
	if (redis_is_up(dlq->commands)) {
		redis_words(dlq->commands, on_nothing, NULL, "DEL", task->receipts, NULL);
		look_soon(dlq);
	}
	if (reason)
		dlq->host->task_end(task->task, state, "%s", reason);
	else
		dlq->host->task_end(task->task, state, NULL);
	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	uv_close((uv_handle_t *)&task->timer, free_task);
}

/* Nothing is on its way any more, and nothing is to be. */
static void end_if_over(struct task *task)
{
	if (task->in_flight > 0)
		return;
	if (task->failure[0])
		end(task, CW_TASK_ERROR, task->failure);
	else if (task->is_cancelled)
		end(task, CW_TASK_CANCELLED, NULL);
	else if (task->settled == task->request->keys_count)
		end(task, CW_TASK_SUCCESS, NULL);
}

static void CW_PRINTF(2, 3) give_up(struct task *task, const char *format, ...)
{
	va_list list;
	if (task->failure[0])
		return;
	va_start(list, format);
	vsnprintf(task->failure, sizeof(task->failure), format, list);
	va_end(list);
}

/* ---- what came back ---- */

#define TOO_MANY_FIELDS "it has more fields than can be moved (%d)", FIELDS_MAX / 2

void actions_arrived(struct dlq *dlq, const struct letter *letter)
{
	for (struct task *task = dlq->tasks; task; task = task->next) {
		bool comes_back = false;
		if (letter->call == 0 || (task->mode == RESET && letter->retry_count == 0))
			continue; /* what we put there ourselves */
		for (uint32_t i = 0; i < task->calls_count && !comes_back; i++)
			comes_back = task->calls[i] == letter->call;
		if (!comes_back)
			continue;
		task->refailed++;
		dlq->host->task_progress(task->task, 0, 0, 0, "%u of %u came back", task->refailed, task->done);
		if (task->refailed >= REFAIL_LEAST && task->refailed > task->max_refail * task->done)
			give_up(task, "stopped by itself: %u of %u that were retried came back (max_refail %.0f%%)",
				task->refailed, task->done, 100 * task->max_refail);
	}
}

static void note_call(struct task *task, const struct letter *letter)
{
	if (task->calls && letter && letter->call && task->calls_count < task->request->keys_count)
		task->calls[task->calls_count++] = letter->call;
}

/* ---- answers ---- */

static struct letter *letter_of(struct task *task, uint32_t i, uint32_t *ret_row)
{
	unsigned char id[ID_BYTES];
	if (queue_id_parse(key_of(task, i), strlen(key_of(task, i)), id) < 0)
		return NULL;
	return letters_find(task->dlq, id, ret_row);
}

static void settle_done(struct task *task, uint32_t i, long long copies)
{
	uint32_t row;
	struct letter *letter = task->request->action == RESTORE ? NULL : letter_of(task, i, &row);
	note_call(task, letter);
	if (task->request->action == RESTORE)
		trash_moved(task->dlq);
	if (letter)
		letters_remove(task->dlq, row, task->request->action == DROP ? "dropped" : "retried");
	if (copies > 1)
		settle(task, i, CW_ITEM_DONE, "%lld copies", copies);
	else
		settle(task, i, CW_ITEM_DONE, NULL);
}

/* Behind the next pass, or reading of the trash, that begins from now on. */
static void look_again(struct task *task, uint32_t i)
{
	struct pass *pass = &task->dlq->pass;
	struct item *item = &task->items[i];
	item->state = ITEM_WAITS;
	if (task->request->action == RESTORE) {
		item->pass = trash_want(task->dlq);
	} else {
		item->pass = pass->count + (pass->running ? 2 : 1);
		pass_want(task->dlq);
	}
	if (++item->lost > LOST_MAX)
		settle(task, i, CW_ITEM_FAILED, "the queue moves too fast: it was not found where it had just been");
}

static void take_word(struct task *task, uint32_t i, const char *word, long long number, const char *more)
{
	const char *to = task->to ? task->to : task->dlq->settings.key;
	if (strcmp(word, "done") == 0 || strcmp(word, "again") == 0) {
		settle_done(task, i, number);
	} else if (strcmp(word, "lost") == 0 || (task->items[i].asks_receipt && strcmp(word, "gone") == 0)) {
		look_again(task, i);
	} else if (strcmp(word, "gone") == 0) {
		settle(task, i, CW_ITEM_GONE, NULL);
	} else if (strcmp(word, "nobody") == 0) {
		give_up(task, "nobody is subscribed to %.100s: a message published there would be lost", to);
		settle(task, i, CW_ITEM_FAILED, "nobody is subscribed");
	} else if (strcmp(word, "there") == 0) {
		settle(task, i, CW_ITEM_FAILED, "the very same message is there already, and a sorted set has it once");
	} else if (strcmp(word, "fields") == 0) {
		settle(task, i, CW_ITEM_FAILED, TOO_MANY_FIELDS);
	} else if (strcmp(word, "large") == 0) {
		settle(task, i, CW_ITEM_FAILED, "it is over %d MB; push it to a stream", MESSAGE_BYTES_MAX >> 20);
	} else if (strcmp(word, "type") == 0) {
		give_up(task, "%.100s is of another kind than what is to go there", to);
		settle(task, i, CW_ITEM_FAILED, "the target is of another kind");
	} else {
		give_up(task,
			"Redis does not let us run %.20s (NOPERM): `callwatch plugins dlq` shows the ACL line for "
			"actions",
			more);
		settle(task, i, CW_ITEM_FAILED, "may not run %.20s (NOPERM)", more);
	}
}

/* Of a script that moves, an error may come when half of it is done: then the outcome is not known. */
static void take_error(struct task *task, uint32_t i, enum cw_outcome outcome, const redisReply *reply)
{
	char reason[REDIS_ERROR_MAX];
	redis_explain(task->dlq->commands, reply, "EVAL", reason);
	settle(task, i, outcome, "%s", reason);
	give_up(task, "%s", reason);
}

/* The connection is down already: Redis never hears of it. */
static void not_sent(struct flight *flight)
{
	flight->task->in_flight--;
	flight->task->items[flight->item].state = ITEM_WAITS;
	free(flight);
}

static void on_moved(void *arg, const redisReply *reply)
{
	struct flight *flight = arg;
	struct task *task = flight->task;
	uint32_t i = flight->item;
	free(flight);
	task->in_flight--;
	task->items[i].is_maybe = !reply;
	if (!reply)
		task->items[i].state = ITEM_WAITS;
	else if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
		 reply->element[0]->type == REDIS_REPLY_STRING && reply->element[1]->type == REDIS_REPLY_INTEGER)
		take_word(task, i, reply->element[0]->str, reply->element[1]->integer,
			  reply->elements > 2 && reply->element[2]->type == REDIS_REPLY_STRING ? reply->element[2]->str
											       : "it");
	else
		take_error(task, i, CW_ITEM_UNKNOWN, reply);
	if (reply)
		end_if_over(task);
}

/* ---- sending ---- */

/* What a reset makes of a message; a stream's entry without a message of its own gets two of its members. */
struct made {
	char *bytes;
	size_t length;
	char due[64], score[WORD_SIZE];
};

/* The score of a sorted set is often the time at which a message is due; then it moves with it. */
static void make_score(const struct letter *letter, int64_t wall, struct made *made)
{
	double due = (double)letter->due / (double)CW_SECOND, now = (double)wall / (double)CW_SECOND;
	if (letter->due == INT64_MIN)
		return;
	if (fabs(letter->score - due) < 1)
		snprintf(made->score, sizeof(made->score), "%.3f", now);
	else if (fabs(letter->score / 1000 - due) < 1)
		snprintf(made->score, sizeof(made->score), "%.0f", now * 1000);
}

static void make_due(struct made *made)
{
	struct message message;
	message_read(made->bytes, made->length, &message);
	const json_t *due = json_object_get(message.root, "next_retry_at");
	if (json_is_string(due))
		snprintf(made->due, sizeof(made->due), "%s", json_string_value(due));
	message_release(&message);
}

static void send_move(struct flight *flight, const struct letter *letter, const struct made *made)
{
	enum { WORDS = 26 };
	struct task *task = flight->task;
	struct dlq *dlq = task->dlq;
	const struct settings *settings = &dlq->settings;
	struct page_spec spec = dlq_page(dlq, 0, 0);
	static const char *const whats[] = {"reset", "push", "publish"};
	const char *what = task->request->action == DROP ? "drop" : whats[task->mode];
	char span[WORD_SIZE], place[WORD_SIZE], score[WORD_SIZE], copies[WORD_SIZE], window[WORD_SIZE], now[WORD_SIZE];
	char by[BY_MAX + 128], most_fields[WORD_SIZE], most_bytes[WORD_SIZE];
	int64_t wall = dlq_wall(dlq);
	snprintf(span, sizeof(span), "%llu", letter ? (unsigned long long)letter->span : 0);
	snprintf(place, sizeof(place), "%u", letter ? letter->place : 0);
	if (dlq->kind == QUEUE_STREAM)
		snprintf(place, sizeof(place), "%llu-%llu", letter ? (unsigned long long)letter->entry.ms : 0,
			 letter ? (unsigned long long)letter->entry.sequence : 0);
	snprintf(score, sizeof(score), "%.17g", letter ? letter->score : 0);
	snprintf(copies, sizeof(copies), "%u", letter ? letter->copies : 1);
	snprintf(window, sizeof(window), "%u", settings->window);
	snprintf(now, sizeof(now), "%.3f", (double)wall / (double)CW_SECOND);
	snprintf(by, sizeof(by), "%s %.*s", task->request->id, BY_MAX, task->request->by ? task->request->by : "");
	snprintf(most_fields, sizeof(most_fields), "%d", FIELDS_MAX);
	snprintf(most_bytes, sizeof(most_bytes), "%d", MESSAGE_BYTES_MAX);
	for (char *c = by; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	const char *target = task->request->action == DROP || task->mode == PUBLISH ? settings->trash_key
			     : task->mode == PUSH                                   ? task->to
										    : settings->key;
	const char *words[WORDS] = {"EVAL",
				    script_move,
				    "3",
				    settings->key,
				    task->receipts,
				    target,
				    dlq->kind == QUEUE_ZSET     ? "zset"
				    : dlq->kind == QUEUE_STREAM ? "stream"
								: "list",
				    spec.from_tail ? "1" : "0",
				    key_of(task, flight->item),
				    span,
				    place,
				    score,
				    copies,
				    window,
				    what,
				    key_of(task, flight->item),
				    settings->newest_at_head ? "1" : "0",
				    settings->stream_field,
				    made->bytes ? made->bytes : "",
				    made->due,
				    made->score,
				    task->mode == PUBLISH && task->to ? task->to : "",
				    now,
				    by,
				    most_fields,
				    most_bytes};
	size_t lengths[WORDS];
	for (int i = 0; i < WORDS; i++)
		lengths[i] = words[i] == made->bytes ? made->length : strlen(words[i]);
	if (redis_command(dlq->commands, on_moved, flight, WORDS, words, lengths) < 0)
		not_sent(flight);
}

static void on_bytes(void *arg, const redisReply *reply)
{
	struct flight *flight = arg;
	struct task *task = flight->task;
	uint32_t i = flight->item, row;
	struct made made = {.bytes = NULL};
	const struct letter *letter = letter_of(task, i, &row);
	int status = 0;
	if (!reply || !letter || !queue_large(reply, task->dlq->settings.stream_field, &flight->entry)) {
		free(flight);
		task->in_flight--;
		if (!reply)
			task->items[i].state = ITEM_WAITS; /* nothing was done yet */
		else if (!letter)
			settle(task, i, CW_ITEM_GONE, NULL);
		else if (reply->type == REDIS_REPLY_ERROR)
			take_error(task, i, CW_ITEM_FAILED, reply);
		else if (reply->type == REDIS_REPLY_ARRAY && reply->elements > FIELDS_MAX)
			settle(task, i, CW_ITEM_FAILED, TOO_MANY_FIELDS);
		else
			look_again(task, i);
		if (reply)
			end_if_over(task);
		return;
	}
	if (task->mode == RESET) {
		status = message_reset(flight->entry.raw, flight->entry.length, dlq_wall(task->dlq), &made.bytes,
				       &made.length);
		make_score(letter, dlq_wall(task->dlq), &made);
		if (status == 0)
			make_due(&made);
	} else if ((made.bytes = malloc(flight->entry.length + 1))) {
		memcpy(made.bytes, flight->entry.raw, flight->entry.length);
		made.length = flight->entry.length;
	}
	queue_entry_release(&flight->entry);
	if (status < 0) {
		free(flight);
		task->in_flight--;
		settle(task, i, CW_ITEM_FAILED, "its retry_count cannot be reset; mode=push moves it as it is");
		end_if_over(task);
		return;
	}
	send_move(flight, letter, &made);
	free(made.bytes);
}

static void send_restore(struct flight *flight)
{
	struct task *task = flight->task;
	struct dlq *dlq = task->dlq;
	const char *score = trash_score(dlq, key_of(task, flight->item));
	if (redis_words(dlq->commands, on_moved, flight, "EVAL", script_restore, "3", dlq->settings.key, task->receipts,
			dlq->settings.trash_key, key_of(task, flight->item), score ? score : "0",
			key_of(task, flight->item), dlq->settings.newest_at_head ? "1" : "0", NULL) < 0)
		not_sent(flight);
}

/* False: it needed nothing of Redis. */
static bool begin_item(struct task *task, uint32_t i)
{
	struct dlq *dlq = task->dlq;
	struct item *item = &task->items[i];
	bool is_retry = task->request->action == RETRY, is_restore = task->request->action == RESTORE;
	uint32_t row;
	bool is_trashed = is_restore && trash_score(dlq, key_of(task, i));
	const struct letter *letter = is_restore ? NULL : letter_of(task, i, &row);
	if (is_restore && !is_trashed && !item->is_maybe && item->lost == 0) {
		look_again(task, i);
		return false;
	}
	if (!is_trashed && !letter && !item->is_maybe) {
		settle(task, i, CW_ITEM_GONE, NULL);
		return false;
	}
	if (is_retry && task->mode == RESET && letter && letter->state == UNREADABLE) {
		settle(task, i, CW_ITEM_FAILED,
		       "it cannot be read, so it cannot be reset; mode=push moves it as it is");
		return false;
	}
	struct flight *flight = calloc(1, sizeof(*flight));
	if (!flight) {
		settle(task, i, CW_ITEM_FAILED, "out of memory");
		return false;
	}
	*flight = (struct flight){.task = task, .item = i};
	item->state = ITEM_SENT;
	task->in_flight++;
	bool needs_bytes = is_retry && letter && (task->mode == RESET || dlq->kind == QUEUE_STREAM);
	if (is_restore) {
		item->asks_receipt = !is_trashed;
		send_restore(flight);
	} else if (needs_bytes && !item->is_maybe) {
		item->asks_receipt = false;
		struct page_spec spec = dlq_page(dlq, 0, 0);
		memcpy(flight->entry.id, letter->id, ID_BYTES);
		flight->entry.span = letter->span;
		flight->entry.stream_id = letter->entry;
		if (queue_ask_large(dlq->commands, &spec, letter->place, &flight->entry, MESSAGE_BYTES_MAX, on_bytes,
				    flight) < 0)
			on_bytes(flight, /* reply */ NULL);
	} else {
		struct made nothing = {.bytes = NULL};
		item->asks_receipt = item->is_maybe && (needs_bytes || !letter);
		send_move(flight, item->asks_receipt ? NULL : letter, &nothing);
	}
	return true;
}

/* ---- the pace ---- */

/* The next item whose turn it is, or keys_count. */
static uint32_t next_item(struct task *task)
{
	uint32_t n = task->request->keys_count;
	uint64_t over = task->request->action == RESTORE ? task->dlq->trash.count : task->dlq->pass.count;
	while (task->first < n && task->items[task->first].state == ITEM_SETTLED)
		task->first++;
	for (uint32_t i = task->first; i < n; i++)
		if (task->items[i].state == ITEM_WAITS && task->items[i].pass <= over)
			return i;
	return n;
}

static void on_timer(uv_timer_t *timer)
{
	struct task *task = timer->data;
	struct dlq *dlq = task->dlq;
	int64_t now = dlq->host->now();
	task->credit += task->rate * (double)(now - task->credited) / (double)CW_SECOND;
	task->credited = now;
	if (task->credit > fmax(1, task->rate / 10))
		task->credit = fmax(1, task->rate / 10); /* what was not used is not made up for */
	bool may_send = redis_is_up(dlq->commands) && !dlq->pass.is_first && !dlq->refused[0];
	if (!may_send && !task->is_waiting)
		dlq->host->task_progress(task->task, 0, 0, 0, "waiting for Redis");
	else if (may_send && task->is_waiting)
		dlq->host->task_progress(task->task, 0, 0, 0, "Redis is back");
	task->is_waiting = !may_send;
	while (may_send && task->credit >= 1 && task->in_flight < IN_FLIGHT_MAX && !task->failure[0] &&
	       !task->is_cancelled) {
		uint32_t i = next_item(task);
		if (i == task->request->keys_count)
			break;
		task->credit -= begin_item(task, i);
	}
	end_if_over(task);
}

/* ---- the face ---- */

const char *actions_wrong_target(const struct settings *settings, int64_t mode, const char *to)
{
	if (mode == RESET)
		return NULL;
	if (!to || !to[0])
		return "push and publish need `to`: the key, or the channel";
	if (mode == PUSH && (strcmp(to, settings->key) == 0 || strcmp(to, settings->trash_key) == 0))
		return "push moves to another key; `to` is the queue itself or its trash";
	if (mode == PUBLISH && strcmp(to, settings->channel) == 0)
		return "`to` is the channel on which arrivals are told: nobody there takes messages";
	return NULL;
}

/* NULL, or why not. */
static const char *take_arguments(struct task *task)
{
	const struct cw_value *arguments = task->request->arguments;
	const struct settings *settings = &task->dlq->settings;
	const char *mode = cw_get_string(arguments, "mode"), *to = cw_get_string(arguments, "to");
	task->mode = mode ? (enum mode)cw_get_integer(arguments, "mode", RESET) : (enum mode)settings->retry_mode;
	task->to = to ? to : settings->retry_to;
	task->rate = cw_get_number(arguments, "rate", 50);
	task->max_refail = cw_get_number(arguments, "max_refail", 0.2);
	if (task->request->action != RETRY)
		task->mode = RESET;
	return actions_wrong_target(settings, task->mode, task->to);
}

void actions_act(void *state, struct cw_task *core_task, const struct cw_request *request)
{
	struct dlq *dlq = state;
	struct task *task = calloc(1, sizeof(*task));
	if (!task || !(task->items = calloc(request->keys_count + 1, sizeof(*task->items)))) {
		free(task);
		dlq->host->task_end(core_task, CW_TASK_ERROR, "out of memory");
		return;
	}
	task->dlq = dlq;
	task->task = core_task;
	task->request = request;
	task->credit = 1;
	task->credited = dlq->host->now();
	if (request->action == RETRY)
		task->calls = calloc(request->keys_count + 1, sizeof(*task->calls));
	snprintf(task->receipts, sizeof(task->receipts), "%s:callwatch_task:%.64s", dlq->settings.key, request->id);
	task->next = dlq->tasks;
	dlq->tasks = task;
	uv_timer_init(dlq->host->loop(dlq->self), &task->timer);
	task->timer.data = task;
	const char *wrong = take_arguments(task);
	if (wrong) {
		end(task, CW_TASK_ERROR, wrong);
		return;
	}
	uv_timer_start(&task->timer, on_timer, 0, TIMER_MS);
}

void actions_cancel(void *state, struct cw_task *core_task)
{
	struct dlq *dlq = state;
	for (struct task *task = dlq->tasks; task; task = task->next)
		if (task->task == core_task) {
			task->is_cancelled = true;
			end_if_over(task);
			return;
		}
}

/* The connection is closed, so nothing is on its way. */
void actions_stop(struct dlq *dlq)
{
	while (dlq->tasks)
		end(dlq->tasks, CW_TASK_LOST, "callwatch, or this instance, ended before it was through");
}

/* ---- what they are ---- */

static const char *const modes[] = {"reset", "push", "publish", NULL};

static const struct cw_option rate_options[] = {
	{.key = "rate",
	 .type = CW_OPTION_NUMBER,
	 .fallback = "50",
	 .min = 0.1,
	 .max = 10000,
	 .help = "Messages a second, at most"},
};

static const struct cw_option retry_options[] = {
	{.key = "mode",
	 .type = CW_OPTION_CHOICE,
	 .choices = modes,
	 .help = "reset: the same queue, retry_count 0, due now; push: as it is to the key `to`; publish: to the "
		 "channel `to`; default: option retry.mode"},
	{.key = "to",
	 .type = CW_OPTION_STRING,
	 .help = "Key or channel for push and publish; default: option retry.to"},
	{.key = "rate",
	 .type = CW_OPTION_NUMBER,
	 .fallback = "50",
	 .min = 0.1,
	 .max = 10000,
	 .help = "Messages a second, at most"},
	{.key = "max_refail",
	 .type = CW_OPTION_RATIO,
	 .fallback = "20%",
	 .min = 0,
	 .max = 1,
	 .help = "Stops by itself when more than this share of what was retried has come back, at least 10"},
};

const struct cw_action dlq_actions[ACTIONS] = {
	[RETRY] = {.name = "retry",
		   .help = "Has messages tried anew",
		   .danger = "what was done to a call before is done once more; the messages leave the place they have",
		   .flags = CW_ACTION_SINGLE,
		   .table = "dlq",
		   .arguments = CW_ARRAY(retry_options),
		   .allowed_by = "allow_actions"},
	[DROP] = {.name = "drop",
		  .help = "Takes messages out of the queue, into the trash",
		  .danger =
			  "nobody retries them any more; `restore` brings them back until the trash is emptied (option "
			  "trash_for)",
		  .flags = CW_ACTION_SINGLE,
		  .table = "dlq",
		  .arguments = CW_ARRAY(rate_options),
		  .allowed_by = "allow_actions"},
	[RESTORE] = {.name = "restore",
		     .help = "Puts messages back from the trash, byte for byte, as the newest of the queue",
		     .flags = CW_ACTION_SINGLE,
		     .table = "dlq_trash",
		     .arguments = CW_ARRAY(rate_options),
		     .allowed_by = "allow_actions"},
};
