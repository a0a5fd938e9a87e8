/* SPDX-License-Identifier: MIT
 *
 * What was dropped, for as long as `trash_for` says: table dlq_trash. The trash is a sorted set in Redis itself, by the
 * time of dropping, so that a message goes there in the same instant in which it leaves the queue, and survives what
 * the queue survives. It is read when it has another number of members than before, and every max_age.
 *
 * A reading takes many pages, by rank, and a restore moves the ranks. So a reading during which something was restored
 * proves of nothing that it is not there, and what is known by name stays what the last undisturbed one found.
 *
 * Without `allow_actions` there is none, and nobody asks for it.
 */
#include "dlq.h"
#include "scripts.h"

#include "text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRASH_PAGE = 200, LINE_WORDS = 6 };
static const int64_t look_every = CW_SECOND, prune_every = 60 * CW_SECOND;

/* ---- names ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct trashed *)a)->id, ((const struct trashed *)b)->id, ID_BYTES);
}

const char *trash_score(const struct dlq *dlq, const char *key)
{
	const struct trash_list *list = &dlq->trash.items;
	struct trashed wanted = {0};
	if (!list->items || queue_id_parse(key, strlen(key), wanted.id) < 0)
		return NULL;
	const struct trashed *found = bsearch(&wanted, list->items, list->count, sizeof(wanted), by_id);
	return found ? found->score : NULL;
}

uint64_t trash_want(struct dlq *dlq)
{
	struct trash *trash = &dlq->trash;
	return trash->wanted = trash->count + (trash->is_reading ? 2 : 1);
}

void trash_moved(struct dlq *dlq)
{
	dlq->trash.has_moved = true;
}

/* The reading that is over missed nothing. */
static void take_list(struct trash *trash)
{
	struct trash_list before = trash->items;
	trash->items = trash->next;
	trash->next = before;
	if (trash->items.items)
		qsort(trash->items.items, trash->items.count, sizeof(*trash->items.items), by_id);
	trash->count++;
}

static void note(struct trash_list *list, const redisReply *name, const redisReply *score)
{
	struct trashed item;
	if (queue_id_parse(name->str, name->len, item.id) < 0 || score->len >= sizeof(item.score))
		return;
	memcpy(item.score, score->str, score->len + 1);
	if (list->count == list->room) {
		uint32_t room = 2 * list->room + 64;
		struct trashed *grown = realloc(list->items, room * sizeof(*grown));
		if (!grown)
			return;
		list->items = grown;
		list->room = room;
	}
	list->items[list->count++] = item;
}

/* ---- rows ---- */

/* `callwatch1 NAME KIND COPIES SCORE PARTS LENGTH… TASK BY`: where the message begins in the bytes, and who. */
struct line {
	size_t from, length;
	const char *by;
};

static bool read_line(const char *text, struct line *line)
{
	unsigned long long parts = 0;
	int used = 0;
	*line = (struct line){0};
	if (sscanf(text, "callwatch1 %*40s %*9s %*u %*40s %llu%n", &parts, &used) < 1 || used == 0 ||
	    parts > FIELDS_MAX)
		return false;
	const char *at = text + used;
	size_t before = 0;
	for (unsigned long long i = 0; i < parts; i++) {
		char *end;
		size_t length = (size_t)strtoull(at, &end, 10);
		if (end == at)
			return false;
		if (i + 1 == parts || parts == 2) { /* the only part, or the value of the only field */
			line->from = before;
			line->length = length;
		}
		before += length;
		at = end;
	}
	if (parts > 2)
		*line = (struct line){.from = 0, .length = before};
	at += strspn(at, " ");
	at += strcspn(at, " "); /* the task */
	line->by = at + strspn(at, " ");
	return true;
}

static void put(struct dlq *dlq, const redisReply *entry)
{
	const redisReply *name = entry->element[0], *score = entry->element[1], *bytes = entry->element[3];
	char shown[RAW_SHOWN_MAX];
	struct line line;
	struct message message = {0};
	if (!read_line(entry->element[2]->str, &line))
		return;
	size_t left = line.from < bytes->len ? bytes->len - line.from : 0, n = line.length < left ? line.length : left;
	const char *raw = bytes->str + (line.from < bytes->len ? line.from : 0);
	if (n == line.length)
		message_read(raw, n, &message);
	size_t length = message_shown(raw, n, shown, sizeof(shown));
	double at = strtod(score->str, NULL);
	struct cw_cell cells[TRASH_COLUMNS] = {
		[TRASH_ID] = cw_text_cell(name->str, name->len),
		[TRASH_SID] = cw_text_cell(message.call_sid.text, message.call_sid.length),
		[TRASH_ACTION] = cw_text_cell(message.action.text, message.action.length),
		[TRASH_BY] = cw_text_cell(*line.by ? line.by : NULL, strlen(line.by)),
		[TRASH_RAW] = cw_text_cell(shown, length),
	};
	if (isfinite(at) && fabs(at) < 9e9)
		cells[TRASH_AT] = cw_integer_cell((int64_t)(at * 1000) * CW_MILLISECOND);
	dlq->host->row_put(dlq->trash.part, cells);
	note(&dlq->trash.next, name, score);
	message_release(&message);
}

/* ---- reading ---- */

static void ask_page(struct dlq *dlq);

static bool is_row(const redisReply *entry)
{
	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 4)
		return false;
	for (int i = 0; i < 4; i++)
		if (entry->element[i]->type != REDIS_REPLY_STRING)
			return false;
	return true;
}

static void on_page(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	struct trash *trash = &dlq->trash;
	if (!reply || !trash->is_reading)
		return;
	if (reply->type != REDIS_REPLY_ARRAY) {
		trash->is_reading = false;
		dlq->host->full_abort(trash->part);
		return;
	}
	for (size_t i = 0; i < reply->elements; i++)
		if (is_row(reply->element[i]))
			put(dlq, reply->element[i]);
	trash->at += TRASH_PAGE;
	if (reply->elements == TRASH_PAGE && trash->at < dlq->settings.window) {
		ask_page(dlq);
		return;
	}
	trash->is_reading = false;
	if (!trash->has_moved)
		take_list(trash);
	dlq->host->full_end(trash->part, /* missing */ NULL, /* arg */ NULL);
	int64_t wall = dlq->host->wall();
	struct cw_coverage coverage = {
		.from = wall, .to = wall, .complete = trash->depth <= dlq->settings.window, .ratio = 1};
	if (!coverage.complete)
		coverage.ratio = (double)dlq->settings.window / (double)trash->depth;
	dlq->host->coverage(trash->part, &coverage);
}

static void ask_page(struct dlq *dlq)
{
	char first[24], last[24];
	snprintf(first, sizeof(first), "%u", dlq->trash.at);
	snprintf(last, sizeof(last), "%u", dlq->trash.at + TRASH_PAGE - 1);
	redis_words(dlq->commands, on_page, dlq, "EVAL", script_trash, "1", dlq->settings.trash_key, first, last, NULL);
}

static void read_all(struct dlq *dlq)
{
	struct trash *trash = &dlq->trash;
	trash->is_reading = true;
	trash->has_moved = false;
	trash->at = trash->next.count = 0;
	trash->read_at = dlq->host->now();
	dlq->host->full_begin(trash->part);
	ask_page(dlq);
}

static void on_depth(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	struct trash *trash = &dlq->trash;
	if (!reply || reply->type != REDIS_REPLY_INTEGER || trash->is_reading)
		return;
	bool changed = !trash->ever || (uint64_t)reply->integer != trash->depth;
	trash->depth = (uint64_t)reply->integer;
	if (changed || trash->count < trash->wanted || dlq->host->now() - trash->read_at >= dlq->settings.max_age) {
		trash->ever = true;
		read_all(dlq);
	}
}

static void on_pruned(void *arg, const redisReply *reply)
{
	(void)arg;
	(void)reply;
}

void trash_tick(struct dlq *dlq)
{
	struct trash *trash = &dlq->trash;
	int64_t now = dlq->host->now();
	char oldest[40];
	if (!dlq->settings.allow_actions || !redis_is_up(dlq->commands) || now - trash->asked_at < look_every)
		return;
	trash->asked_at = now;
	if (dlq->has_offset && now - trash->pruned_at >= prune_every) { /* by Redis' clock, or not at all */
		trash->pruned_at = now;
		snprintf(oldest, sizeof(oldest), "(%.3f",
			 (double)(dlq_wall(dlq) - dlq->settings.trash_for) / (double)CW_SECOND);
		redis_words(dlq->commands, on_pruned, dlq, "ZREMRANGEBYSCORE", dlq->settings.trash_key, "-inf", oldest,
			    NULL);
	}
	redis_words(dlq->commands, on_depth, dlq, "ZCARD", dlq->settings.trash_key, NULL);
}

void trash_forget(struct dlq *dlq)
{
	if (dlq->trash.is_reading)
		dlq->host->full_abort(dlq->trash.part);
	dlq->trash.is_reading = false;
}

void trash_release(struct dlq *dlq)
{
	free(dlq->trash.items.items);
	free(dlq->trash.next.items);
}
