/* SPDX-License-Identifier: MIT
 *
 * The rows of table dlq. A row has what is shown; beside it a struct letter has what it is judged by, found by row
 * number. Raw bytes are in the row only, cut at what a table keeps; whoever needs them all asks Redis again.
 *
 * A look and a pass meet messages at the same time: one that a look added while a pass is under way may be met by that
 * pass once more, and is then no second copy (`is_fresh`).
 *
 * States are by formula: failed when retry_count ≥ max_retries, else overdue when next_retry_at is past by Redis'
 * clock, else waiting. Whose time comes is found by a walk over all letters once a second: 200,000 at most, a
 * millisecond, and no order has to be kept.
 */
#include "actions.h"

#include "text.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- entries ---- */

static struct letter *at(struct dlq *dlq, uint32_t row)
{
	struct letters *letters = &dlq->letters;
	return row < letters->used && letters->items[row].is_known ? &letters->items[row] : NULL;
}

struct letter *letters_find(struct dlq *dlq, const unsigned char id[ID_BYTES], uint32_t *ret_row)
{
	char text[ID_TEXT_SIZE];
	queue_id_text(id, text);
	int64_t row = dlq->host->row_find(dlq->part, text, ID_TEXT_SIZE - 1);
	if (row < 0)
		return NULL;
	*ret_row = (uint32_t)row;
	return at(dlq, (uint32_t)row);
}

static int reserve(struct letters *letters, uint32_t row)
{
	if (row >= letters->room) {
		uint32_t room = row + row / 2 + 64;
		struct letter *items = realloc(letters->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		letters->items = items;
		letters->room = room;
	}
	for (; letters->used <= row; letters->used++)
		letters->items[letters->used].is_known = false;
	return 0;
}

void letters_release(struct dlq *dlq)
{
	for (uint32_t row = 0; row < dlq->letters.used; row++)
		if (dlq->letters.items[row].is_known)
			free(dlq->letters.items[row].refs);
	free(dlq->letters.items);
	free(dlq->letters.adopted);
	dlq->letters = (struct letters){0};
}

/* ---- rows of an earlier life ---- */

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct adopted *)a)->id, ((const struct adopted *)b)->id, ID_BYTES);
}

static int adopt_row(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct letters *letters = &((struct dlq *)arg)->letters;
	struct adopted adopted;
	const struct cw_cell *id = &cells[count - 2], *seen = &cells[count - 1];
	if (id->type != CW_CELL_TEXT || seen->type != CW_CELL_INTEGER ||
	    queue_id_parse(id->text, id->length, adopted.id) < 0)
		return 0;
	adopted.first_seen = seen->integer;
	if (letters->adopted_count == letters->adopted_room) {
		uint32_t room = 2 * letters->adopted_room + 256;
		struct adopted *grown = realloc(letters->adopted, room * sizeof(*grown));
		if (!grown)
			return 0;
		letters->adopted = grown;
		letters->adopted_room = room;
	}
	letters->adopted[letters->adopted_count++] = adopted;
	return 0;
}

void letters_adopt(struct dlq *dlq)
{
	static const char *const columns[] = {"id", "first_seen"};
	char where[300], error[CW_QUERY_ERROR_MAX];
	const char *wheres[] = {where};
	snprintf(where, sizeof(where), "instance=%s", dlq->info->name);
	struct cw_query_spec spec = {
		.table = "dlq", .where = wheres, .where_count = 1, .columns = columns, .columns_count = 2};
	struct cw_query *query;
	const struct cw_reader *reader = dlq->host->reader;
	if (!reader || reader->query_open(dlq->self, &spec, &query, error) < 0)
		return;
	while (reader->query_step(query, CW_SECOND, adopt_row, dlq) == CW_LATER)
		continue;
	reader->query_close(query);
	if (dlq->letters.adopted)
		qsort(dlq->letters.adopted, dlq->letters.adopted_count, sizeof(struct adopted), by_id);
}

static void forget_adopted(struct dlq *dlq)
{
	free(dlq->letters.adopted);
	dlq->letters.adopted = NULL;
	dlq->letters.adopted_count = dlq->letters.adopted_room = 0;
}

/* When it was first seen: by an earlier life; of a stream, when it was written; else now. */
static int64_t first_seen(const struct dlq *dlq, const struct entry *entry)
{
	struct adopted wanted = {0};
	const struct adopted *adopted = NULL;
	int64_t now = dlq->host->wall();
	memcpy(wanted.id, entry->id, ID_BYTES);
	if (dlq->letters.adopted)
		adopted = bsearch(&wanted, dlq->letters.adopted, dlq->letters.adopted_count, sizeof(wanted), by_id);
	if (adopted)
		return adopted->first_seen;
	uint64_t ms = entry->stream_id.ms;
	if (dlq->kind == QUEUE_STREAM && ms > 0 && ms < (uint64_t)(now / CW_MILLISECOND))
		return (int64_t)ms * CW_MILLISECOND;
	return now;
}

/* ---- cells ---- */

static struct cw_cell answer_cell(enum answer answer)
{
	return answer == NOT_KNOWN ? cw_null_cell() : cw_integer_cell(answer == YES);
}

/* ---- judging ---- */

static enum letter_state judge(const struct dlq *dlq, const struct message *message)
{
	if (!message->is_readable)
		return UNREADABLE;
	if (message->retry_count >= message->max_retries)
		return FAILED;
	return message->has_due && message->due <= dlq_wall(dlq) ? OVERDUE : WAITING;
}

static void size_words(char *buffer, size_t size, size_t bytes)
{
	if (bytes >= 1 << 20)
		snprintf(buffer, size, "%.1f MB", (double)bytes / (1 << 20));
	else if (bytes >= 10 << 10)
		snprintf(buffer, size, "%zu KB", bytes >> 10);
	else
		snprintf(buffer, size, "%zu byte%s", bytes, bytes == 1 ? "" : "s");
}

/* An error's text as it is shown: its first 2 KB, and how long it is; cut at a character's border. */
static size_t shown_error(const struct text *error, char buffer[ERROR_SHOWN_MAX + 64])
{
	char size[32];
	if (error->length <= ERROR_SHOWN_MAX) {
		memcpy(buffer, error->text, error->length);
		return error->length;
	}
	size_t n = ERROR_SHOWN_MAX;
	while (n > ERROR_SHOWN_MAX - 4 && ((unsigned char)error->text[n] & 0xc0) == 0x80)
		n--;
	memcpy(buffer, error->text, n);
	size_words(size, sizeof(size), error->length);
	return n + (size_t)snprintf(buffer + n, 64, "… (%s)", size);
}

/* What goes into the row, beside the message itself. */
struct shown {
	char error[ERROR_SHOWN_MAX + 64], status[32], group[GROUP_MAX], raw[RAW_SHOWN_MAX];
	size_t error_length, raw_length;
};

static void show_readable(const struct message *message, struct shown *shown)
{
	snprintf(shown->status, sizeof(shown->status), "%lld/%lld", (long long)message->retry_count,
		 (long long)message->max_retries);
	if (message->error.text) {
		shown->error_length = shown_error(&message->error, shown->error);
		normalise(message->error.text, message->error.length, shown->group);
	}
	if (!shown->group[0])
		snprintf(shown->group, GROUP_MAX, "(no error text)");
}

static void show_unreadable(const struct message *message, const struct entry *entry, struct shown *shown)
{
	char size[32] = "over 8 KB";
	if (entry->length)
		size_words(size, sizeof(size), entry->length);
	shown->error_length =
		(size_t)snprintf(shown->error, sizeof(shown->error), "unreadable: %s (%s)", message->why, size);
	snprintf(shown->group, GROUP_MAX, "unreadable: %s", message->why);
}

/* ---- rows ---- */

static uint64_t hash_call(const struct dlq *dlq, const struct message *message)
{
	uint64_t hash[2] = {0};
	const struct text *texts[] = {&message->call_sid, &message->action};
	for (int i = 0; i < 2; i++)
		crypto_shorthash((unsigned char *)&hash[i], (const unsigned char *)texts[i]->text, texts[i]->length,
				 dlq->hash_key);
	return message->call_sid.text ? hash[0] ^ hash[1] * 0x9e3779b97f4a7c15u : 0;
}

static int64_t put_row(struct dlq *dlq, const struct entry *entry, const struct message *message,
		       const struct shown *shown, enum letter_state state, int64_t seen)
{
	char id[ID_TEXT_SIZE];
	queue_id_text(entry->id, id);
	struct cw_cell cells[DLQ_COLUMNS] = {
		[COLUMN_ID] = cw_text_cell(id, ID_TEXT_SIZE - 1),
		[COLUMN_COPIES] = cw_integer_cell(1),
		[COLUMN_SID] = cw_text_cell(message->call_sid.text, message->call_sid.length),
		[COLUMN_ACTION] = cw_text_cell(message->action.text, message->action.length),
		[COLUMN_ERROR] = cw_text_cell(shown->error_length ? shown->error : NULL, shown->error_length),
		[COLUMN_GROUP] = cw_text_cell(shown->group, strlen(shown->group)),
		[COLUMN_STATE] = cw_integer_cell(state),
		[COLUMN_FIRST_SEEN] = cw_integer_cell(seen),
		[COLUMN_RAW] = cw_text_cell(entry->raw ? shown->raw : NULL, shown->raw_length),
	};
	if (message->is_readable) {
		cells[COLUMN_RETRY_STATUS] = cw_text_cell(shown->status, strlen(shown->status));
		cells[COLUMN_RETRY_COUNT] = cw_integer_cell(message->retry_count);
		cells[COLUMN_MAX_RETRIES] = cw_integer_cell(message->max_retries);
	}
	if (message->is_readable && message->has_due) {
		cells[COLUMN_DUE] = cw_integer_cell(message->due);
		cells[COLUMN_DUE_IN] = cw_integer_cell(message->due - dlq->offset);
	}
	return dlq->host->row_put(dlq->part, cells);
}

static void keep(struct dlq *dlq, uint32_t row, const struct letter *letter)
{
	if (reserve(&dlq->letters, row) < 0) {
		free(letter->refs);
		groups_leave(&dlq->groups, letter->group);
		dlq->host->row_remove(dlq->part, row, "out of memory");
		dlq->host->count_error(dlq->self, 1);
		return;
	}
	dlq->letters.items[row] = *letter;
	dlq->letters.known++;
	group_count(letter->group, letter->state, 1);
	if (letter->group && (!letter->group->first_seen || letter->first_seen < letter->group->first_seen))
		letter->group->first_seen = letter->first_seen;
	if (letter->group && letter->first_seen > letter->group->last_seen)
		letter->group->last_seen = letter->first_seen;
}

static void add(struct dlq *dlq, const struct entry *entry, const struct message *message, uint32_t place,
		struct shown *shown)
{
	struct letter letter = {
		.is_known = true,
		.is_large = entry->is_large,
		.is_fresh = dlq->pass.running && !dlq->pass.in_page,
		.state = (uint8_t)judge(dlq, message),
		.place = place,
		.copies = 1,
		.met = dlq->pass.running,
		.entry = entry->stream_id,
		.score = entry->score,
		.first_seen = first_seen(dlq, entry),
		.due = message->is_readable && message->has_due ? message->due : INT64_MIN,
		.call = message->is_readable ? hash_call(dlq, message) : 0,
		.retry_count = (uint32_t)message->retry_count,
		.span = entry->span,
		.refs = message->is_readable ? joins_refs(dlq, message) : NULL,
	};
	memcpy(letter.id, entry->id, ID_BYTES);
	int64_t row = put_row(dlq, entry, message, shown, letter.state, letter.first_seen);
	if (row < 0) {
		dlq->host->count_error(dlq->self, 1);
		free(letter.refs);
		return;
	}
	letter.group = groups_join(&dlq->groups, shown->group, shown->error, shown->error_length);
	keep(dlq, (uint32_t)row, &letter);
	if (dlq->pass.ever && !dlq->pass.is_first) {
		group_arrived(letter.group, dlq->host->wall(), 1);
		actions_arrived(dlq, &letter);
	}
}

void letters_add(struct dlq *dlq, const struct entry *entry, uint32_t place)
{
	struct message message;
	struct shown shown;
	shown.error_length = shown.raw_length = 0;
	shown.status[0] = shown.group[0] = '\0';
	if (entry->raw && entry->length <= MESSAGE_BYTES_MAX && !entry->is_cut) {
		message_read(entry->raw, entry->length, &message);
	} else {
		message = (struct message){0};
		snprintf(message.why, sizeof(message.why),
			 entry->has_id ? "too large" : "too large to be looked into without +eval");
	}
	if (message.is_readable)
		show_readable(&message, &shown);
	else
		show_unreadable(&message, entry, &shown);
	if (entry->raw)
		shown.raw_length = message_shown(entry->raw, entry->is_cut ? entry->cut_at : entry->length, shown.raw,
						 RAW_SHOWN_MAX);
	if (!message.is_readable || message.has_bad_time)
		dlq->host->count_malformed(dlq->self, 1);
	add(dlq, entry, &message, place, &shown);
	message_release(&message);
}

static void touch(struct dlq *dlq, uint32_t row, enum dlq_column column, struct cw_cell cell)
{
	struct cw_change change = {.column = column, .cell = cell};
	dlq->host->row_touch(dlq->part, row, &change, 1);
}

static void set_copies(struct dlq *dlq, uint32_t row, struct letter *letter, uint32_t copies)
{
	if (letter->copies == copies)
		return;
	group_count(letter->group, letter->state, (int64_t)copies - letter->copies);
	if (copies > letter->copies && dlq->pass.ever && !dlq->pass.is_first)
		group_arrived(letter->group, dlq->host->wall(), copies - letter->copies);
	letter->copies = copies;
	touch(dlq, row, COLUMN_COPIES, cw_integer_cell(copies));
}

void letters_met(struct dlq *dlq, uint32_t row, struct letter *letter, const struct entry *entry, uint32_t place)
{
	letter->place = place;
	letter->entry = entry->stream_id;
	letter->score = entry->score;
	if (letter->is_fresh)
		letter->is_fresh = false; /* by a look, during this pass: it is the same one */
	else
		letter->met++;
	if (letter->met > letter->copies)
		set_copies(dlq, row, letter, letter->met);
}

static void forget(struct dlq *dlq, uint32_t row, struct letter *letter, const char *why)
{
	group_count(letter->group, letter->state, -(int64_t)letter->copies);
	groups_leave(&dlq->groups, letter->group);
	free(letter->refs);
	letter->is_known = false;
	dlq->letters.known--;
	dlq->host->row_remove(dlq->part, row, why);
}

void letters_remove(struct dlq *dlq, uint32_t row, const char *why)
{
	struct letter *letter = at(dlq, row);
	if (letter)
		forget(dlq, row, letter, why);
}

/* ---- passes ---- */

void letters_pass_begins(struct dlq *dlq)
{
	for (uint32_t row = 0; row < dlq->letters.used; row++) {
		dlq->letters.items[row].met = 0;
		dlq->letters.items[row].is_fresh = false;
	}
	if (!dlq->pass.ever)
		dlq->host->full_begin(dlq->part);
}

void letters_pass_ends(struct dlq *dlq)
{
	const char *why = dlq_holds_all(dlq) ? "gone" : "gone, or beyond the window";
	for (uint32_t row = 0; row < dlq->letters.used; row++) {
		struct letter *letter = at(dlq, row);
		if (letter && letter->met == 0)
			forget(dlq, row, letter, why);
		else if (letter)
			set_copies(dlq, row, letter, letter->met);
	}
	if (!dlq->pass.ever)
		dlq->host->full_end(dlq->part, /* missing */ NULL, /* arg */ NULL);
	forget_adopted(dlq);
}

void letters_clear(struct dlq *dlq, const char *why)
{
	for (uint32_t row = 0; row < dlq->letters.used; row++)
		letters_remove(dlq, row, why);
	if (!dlq->pass.ever) { /* those of an earlier life too */
		dlq->host->full_begin(dlq->part);
		dlq->host->full_end(dlq->part, /* missing */ NULL, /* arg */ NULL);
	}
	forget_adopted(dlq);
}

/* ---- time ---- */

void letters_tick(struct dlq *dlq)
{
	int64_t wall = dlq_wall(dlq);
	for (uint32_t row = 0; row < dlq->letters.used; row++) {
		struct letter *letter = at(dlq, row);
		if (!letter || letter->state > OVERDUE || letter->due == INT64_MIN)
			continue;
		enum letter_state state = letter->due <= wall ? OVERDUE : WAITING; /* back too: a clock was set */
		if (state == letter->state)
			continue;
		group_count(letter->group, letter->state, -(int64_t)letter->copies);
		group_count(letter->group, state, letter->copies);
		letter->state = (uint8_t)state;
		touch(dlq, row, COLUMN_STATE, cw_integer_cell(state));
	}
}

void letters_due_moved(struct dlq *dlq)
{
	for (uint32_t row = 0; row < dlq->letters.used; row++) {
		const struct letter *letter = at(dlq, row);
		if (letter && letter->due != INT64_MIN)
			touch(dlq, row, COLUMN_DUE_IN, cw_integer_cell(letter->due - dlq->offset));
	}
}

/* ---- what other tables say ---- */

void letters_joined(struct dlq *dlq, uint32_t row, enum answer active, struct cw_cell business, struct cw_cell healed)
{
	struct letter *letter = at(dlq, row);
	struct cw_change changes[3];
	uint32_t n = 0;
	if (!letter)
		return;
	if (letter->active != active) {
		letter->active = (uint8_t)active;
		changes[n++] = (struct cw_change){.column = COLUMN_ACTIVE, .cell = answer_cell(active)};
	}
	if (business.type == CW_CELL_TEXT)
		changes[n++] = (struct cw_change){.column = COLUMN_BUSINESS_NAME, .cell = business};
	if (healed.type == CW_CELL_TEXT && !letter->is_healed) {
		letter->is_healed = true;
		changes[n++] = (struct cw_change){.column = COLUMN_HEALED, .cell = healed};
	}
	if (n)
		dlq->host->row_touch(dlq->part, row, changes, n);
}
