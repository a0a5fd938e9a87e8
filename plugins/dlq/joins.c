/* SPDX-License-Identifier: MIT
 *
 * What other tables know about the call of a dead letter: whether it is still in progress and whose it is (`calls`),
 * and whether reconciliation has been over it since (`runs`). Of any instance; where there is no such table nothing is
 * known, and where a table does not cover all that exists, a call that is not in it may be one nobody has seen.
 *
 * Lookups say what a business is called (`lookup`), and whether a call's row is in the platform's database by now
 * (`call_log_lookup`).
 *
 * Letters that are new are looked at within a second, all others in turn, so many a second that a window of 10,000 has
 * been gone through within a minute.
 */
#include "dlq.h"

#include "text.h"

#include <sodium/crypto_shorthash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A_TICK = 200, SID_MAX = 128 };
static const int64_t slice = 2 * CW_MILLISECOND;

/* ---- calls ---- */

struct found_call {
	enum answer active;
	char business[256];
	size_t business_length;
};

static int take_call(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct found_call *found = arg;
	const struct cw_cell *name = &cells[count - 1];
	found->active = YES;
	if (name->type == CW_CELL_TEXT && name->length <= sizeof(found->business)) {
		memcpy(found->business, name->text, name->length);
		found->business_length = name->length;
	}
	return 0;
}

static void find_call(struct dlq *dlq, const char *sid, struct found_call *found)
{
	static const char *const columns[] = {"business_name"};
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_spec spec = {.table = "calls", .key = sid, .columns = columns, .columns_count = 1};
	struct cw_query_info info = {.total = 0};
	struct cw_query *query;
	*found = (struct found_call){.active = NOT_KNOWN};
	if (dlq->host->reader->query_open(dlq->self, &spec, &query, error) < 0)
		return;
	while (dlq->host->reader->query_step(query, slice, take_call, found) == CW_LATER)
		continue;
	dlq->host->reader->query_info(query, &info);
	if (found->active == NOT_KNOWN && info.coverage.complete)
		found->active = NO;
	dlq->host->reader->query_close(query);
}

/* ---- runs ---- */

static int take_run(void *arg, const struct cw_cell *cells, uint32_t count)
{
	struct joins *joins = arg;
	const struct cw_cell *started = &cells[count - 2], *finished = &cells[count - 1];
	if (started->type == CW_CELL_INTEGER)
		joins->run_started = started->integer;
	else if (finished->type == CW_CELL_INTEGER)
		joins->run_started = finished->integer; /* of a run that was only observed no more is known */
	return 1;
}

static void find_run(struct dlq *dlq)
{
	static const char *const columns[] = {"started_at", "finished_at"}, *const where[] = {"status=success"};
	char error[CW_QUERY_ERROR_MAX];
	struct cw_query_spec spec = {.table = "runs",
				     .where = where,
				     .where_count = 1,
				     .sort = "-finished_at",
				     .limit = 1,
				     .columns = columns,
				     .columns_count = 2};
	struct cw_query *query;
	if (dlq->host->reader->query_open(dlq->self, &spec, &query, error) < 0)
		return;
	for (int i = 0; i < 100 && dlq->host->reader->query_step(query, slice, take_run, &dlq->joins) == CW_LATER; i++)
		if (dlq->joins.run_started != INT64_MIN)
			break;
	dlq->host->reader->query_close(query);
	char time[TEXT_TIME_SIZE];
	if (dlq->joins.run_started != INT64_MIN) {
		text_time(time, dlq->joins.run_started);
		snprintf(dlq->joins.run_words, sizeof(dlq->joins.run_words), "run %s", time);
	}
}

/* ---- lookups ---- */

static uint64_t hash_of(const struct dlq *dlq, const char *text, size_t length)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text, length, dlq->hash_key);
	return hash ? hash : 1;
}

static bool is_key(const struct text *text)
{
	return text->text && text->length > 0 && text->length <= CW_LOOKUP_KEY_MAX &&
	       !memchr(text->text, 0, text->length);
}

static char *keep_text(char *room, const struct text *text)
{
	memcpy(room, text->text, text->length);
	room[text->length] = '\0';
	return room;
}

struct refs *joins_refs(const struct dlq *dlq, const struct message *message)
{
	const struct text *log = is_key(&message->call_log_id) ? &message->call_log_id : &message->call_sid;
	bool has_business = dlq->joins.businesses && is_key(&message->business_id);
	bool has_log = dlq->joins.logs && is_key(log);
	if (!has_business && !has_log)
		return NULL;
	struct refs *refs = calloc(1, sizeof(*refs) + message->business_id.length + log->length + 2);
	if (!refs)
		return NULL;
	char *room = (char *)(refs + 1);
	if (has_business) {
		refs->business = keep_text(room, &message->business_id);
		refs->business_hash = hash_of(dlq, refs->business, message->business_id.length);
		room += message->business_id.length + 1;
	}
	if (has_log) {
		refs->log = keep_text(room, log);
		refs->log_hash = hash_of(dlq, refs->log, log->length);
	}
	return refs;
}

/* Whose rows an answer is about is found by a walk over all: answers are some hundreds a second at most. */
static void on_business(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct dlq *dlq = arg;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = hash_of(dlq, answers[i].key, strlen(answers[i].key));
		for (uint32_t row = 0; answers[i].value && row < dlq->letters.used; row++) {
			const struct letter *letter = &dlq->letters.items[row];
			if (letter->is_known && letter->refs && letter->refs->business_hash == hash)
				letters_joined(dlq, row, letter->active,
					       cw_text_cell(answers[i].value, strlen(answers[i].value)),
					       cw_null_cell());
		}
	}
}

static void on_log(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct dlq *dlq = arg;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = hash_of(dlq, answers[i].key, strlen(answers[i].key));
		for (uint32_t row = 0; answers[i].value && row < dlq->letters.used; row++) {
			const struct letter *letter = &dlq->letters.items[row];
			if (letter->is_known && letter->refs && letter->refs->log_hash == hash)
				letters_joined(dlq, row, letter->active, cw_null_cell(),
					       cw_string_cell("call_log row"));
		}
	}
}

struct questions {
	const char *businesses[A_TICK], *logs[A_TICK];
	uint32_t businesses_count, logs_count;
};

static void note_questions(struct questions *questions, const struct letter *letter)
{
	const struct refs *refs = letter->refs;
	if (refs && refs->business)
		questions->businesses[questions->businesses_count++] = refs->business;
	if (refs && refs->log && !letter->is_healed)
		questions->logs[questions->logs_count++] = refs->log;
}

/* A lookup that is away is asked again when the walk comes by. */
static void ask_lookups(struct dlq *dlq, const struct questions *questions)
{
	if (questions->businesses_count)
		dlq->host->lookup_ask(dlq->joins.businesses, questions->businesses, questions->businesses_count);
	if (questions->logs_count)
		dlq->host->lookup_ask(dlq->joins.logs, questions->logs, questions->logs_count);
}

int joins_start(struct dlq *dlq)
{
	const struct settings *settings = &dlq->settings;
	int status = 0;
	if (settings->lookup && !dlq->info->once)
		status = dlq->host->lookup_open(dlq->self, settings->lookup, on_business, dlq, &dlq->joins.businesses);
	if (status == 0 && settings->call_log_lookup && !dlq->info->once)
		status = dlq->host->lookup_open(dlq->self, settings->call_log_lookup, on_log, dlq, &dlq->joins.logs);
	return status;
}

void joins_stop(struct dlq *dlq)
{
	dlq->host->lookup_close(dlq->joins.businesses);
	dlq->host->lookup_close(dlq->joins.logs);
	dlq->joins.businesses = dlq->joins.logs = NULL;
}

/* ---- the walk ---- */

/* Of the letter's own row: its call. */
static int take_sid(void *arg, const struct cw_cell *cells, uint32_t count)
{
	char *sid = arg;
	const struct cw_cell *cell = &cells[count - 1];
	if (cell->type == CW_CELL_TEXT && cell->length > 0 && cell->length <= SID_MAX &&
	    !memchr(cell->text, 0, cell->length)) {
		memcpy(sid, cell->text, cell->length);
		sid[cell->length] = '\0';
	}
	return 0;
}

static void find_sid(struct dlq *dlq, const struct letter *letter, char sid[SID_MAX + 1])
{
	static const char *const columns[] = {"call_sid"};
	char id[ID_TEXT_SIZE], where[300], error[CW_QUERY_ERROR_MAX];
	const char *wheres[] = {where};
	queue_id_text(letter->id, id);
	snprintf(where, sizeof(where), "instance=%s", dlq->info->name);
	struct cw_query_spec spec = {.table = "dlq",
				     .key = id,
				     .where = wheres,
				     .where_count = 1,
				     .columns = columns,
				     .columns_count = 1,
				     .reveal = false};
	struct cw_query *query;
	sid[0] = '\0';
	if (dlq->host->reader->query_open(dlq->self, &spec, &query, error) < 0)
		return;
	while (dlq->host->reader->query_step(query, slice, take_sid, sid) == CW_LATER)
		continue;
	dlq->host->reader->query_close(query);
}

static void join(struct dlq *dlq, uint32_t row, const struct letter *letter)
{
	char sid[SID_MAX + 1];
	struct found_call found;
	struct cw_cell business = cw_null_cell(), healed = business;
	find_sid(dlq, letter, sid);
	if (!sid[0])
		return;
	find_call(dlq, sid, &found);
	if (found.business_length)
		business = cw_text_cell(found.business, found.business_length);
	/* A run puts right what it finds missing; of a call that goes on, or a message that came later, it says
	 * nothing. */
	if (found.active != YES && dlq->joins.run_started > letter->first_seen)
		healed = cw_string_cell(dlq->joins.run_words);
	letters_joined(dlq, row, found.active, business, healed);
}

void joins_tick(struct dlq *dlq)
{
	struct letters *letters = &dlq->letters;
	const uint32_t used = letters->used;
	if (!dlq->host->reader || used == 0)
		return;
	struct questions questions = {.logs_count = 0};
	dlq->joins.run_started = INT64_MIN;
	find_run(dlq);
	uint32_t n = used < A_TICK ? used : A_TICK;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row = letters->join_at++ % used;
		if (!letters->items[row].is_known)
			continue;
		join(dlq, row, &letters->items[row]);
		note_questions(&questions, &letters->items[row]);
	}
	letters->join_at %= used;
	ask_lookups(dlq, &questions);
}
