/* SPDX-License-Identifier: MIT
 *
 * The query: `sql` of the options in a frame that bounds what it can give, asked for an array of keys at a time.
 *
 * What the answer leaves out does not exist, but for two cases: rows were cut off by the frame (then nothing is
 * concluded), or the query failed. After a failure everybody waits on in the old order, and the next query asks for
 * half as many: so a key that the server cannot take (class 22, a cast in somebody's own SQL) is left alone in the end
 * and put aside, and a slow server is given less to do.
 */
#include "lookup.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_FIRST = 1000, SOON_MS = 20, VALUE_CHARACTERS = 1024, ROWS_EACH = 4, ROWS_MORE = 100 };

static const int64_t hopeless_pause = 8 * CW_SECOND;

static uint32_t rows_most(const struct lookup *lookup)
{
	return ROWS_EACH * lookup->batch + ROWS_MORE;
}

int batch_init(struct lookup *lookup)
{
	size_t length = strlen(lookup->sql);
	while (length && strchr(" \t\r\n;", lookup->sql[length - 1]))
		length--;
	if (asprintf(&lookup->query,
		     "SELECT left(k::text, %d), left(v::text, %d) FROM (\n%.*s\n) AS names (k, v) LIMIT %u",
		     KEY_MAX + 1, VALUE_CHARACTERS, (int)length, lookup->sql, rows_most(lookup)) < 0)
		lookup->query = NULL;
	lookup->asked = calloc(lookup->batch, sizeof(*lookup->asked));
	lookup->answers = calloc(lookup->batch, sizeof(*lookup->answers));
	lookup->size = lookup->batch < SIZE_FIRST ? lookup->batch : SIZE_FIRST;
	lookup->backoff = (struct backoff){.longest = 8 * CW_SECOND, .random = (uint64_t)lookup->host->now()};
	return lookup->query && lookup->asked && lookup->answers ? 0 : -ENOMEM;
}

void batch_release(struct lookup *lookup)
{
	free(lookup->query);
	free(lookup->asked);
	free(lookup->answers);
	free(lookup->array);
}

/* ---- names as they come ---- */

/* As they are mostly written: nothing but digits and what stands between them. */
static bool is_number(const char *text, size_t length)
{
	size_t digits = 0;
	for (size_t i = 0; i < length; i++) {
		if (!memchr("+0123456789 ()-./", text[i], sizeof("+0123456789 ()-./") - 1))
			return false;
		digits += text[i] >= '0' && text[i] <= '9';
	}
	return digits >= 7;
}

/* Most names need no cleaning, and there may be very many. */
static bool is_clean(const char *value, size_t length)
{
	bool has_letter = false;
	for (size_t i = 0; i < length; i++) {
		if (value[i] < ' ' || value[i] > '~' || value[i] == '+')
			return false;
		has_letter |= (value[i] | 0x20) >= 'a' && (value[i] | 0x20) <= 'z';
	}
	return has_letter && length <= NAME_BYTES_MAX;
}

/* Valid UTF-8, whatever the database holds, and no number in full: neither here nor in the file. */
static size_t clean(const struct lookup *lookup, char buffer[NAME_BYTES_MAX + 1], const char *value, size_t length)
{
	char text[NAME_BYTES_MAX + 1];
	if (lookup->info->phones_full)
		return text_utf8(buffer, NAME_BYTES_MAX + 1, value, length);
	size_t n = text_utf8(text, sizeof(text), value, length);
	return is_number(text, n) ? text_mask_phone(buffer, NAME_BYTES_MAX + 1, text, n)
				  : text_mask_phones_in(buffer, NAME_BYTES_MAX + 1, text, n);
}

static void on_row(void *arg, const PGresult *row)
{
	struct lookup *lookup = arg;
	char value[NAME_BYTES_MAX + 1];
	lookup->rows++;
	if (PQnfields(row) != 2 || PQntuples(row) != 1 || PQgetisnull(row, 0, 0))
		return;
	struct name *name = names_find(&lookup->names, PQgetvalue(row, 0, 0), (size_t)PQgetlength(row, 0, 0));
	if (!name || name->asked == NAME_NOT_ASKED)
		return; /* nobody asked */
	bool is_null = PQgetisnull(row, 0, 1);
	if (is_null && name->asked == NAME_ANSWERED)
		return;
	const char *text = is_null ? NULL : PQgetvalue(row, 0, 1);
	size_t length = (size_t)PQgetlength(row, 0, 1);
	if (text && !is_clean(text, length)) {
		length = clean(lookup, value, text, length);
		text = value;
	}
	if (names_set(&lookup->names, name, text ? NAME_KNOWN : NAME_ABSENT, text, length, lookup->host->wall(),
		      lookup->host->now()) == 0)
		name->asked = NAME_ANSWERED;
	else
		name->asked = NAME_NOT_ASKED; /* no memory: nothing is known */
}

/* ---- how it ended ---- */

static bool is_cut(const struct lookup *lookup)
{
	return lookup->rows >= rows_most(lookup);
}

/* Tells everybody; who was not answered waits no longer, and will be asked for again. */
static void answer(struct lookup *lookup)
{
	int64_t now = lookup->host->now(), wall = lookup->host->wall();
	uint32_t n = 0;
	for (uint32_t i = 0; i < lookup->asked_count; i++) {
		struct name *name = lookup->asked[i];
		bool is_answered = name->asked == NAME_ANSWERED;
		if (name->asked == NAME_ASKED && !is_cut(lookup))
			is_answered = names_set(&lookup->names, name, NAME_ABSENT, NULL, 0, wall, now) == 0;
		name->waits = false;
		name->asked = NAME_NOT_ASKED;
		if (is_answered)
			lookup->answers[n++] =
				(struct cw_answer){.key = name->key, .value = name->value, .as_of = name->as_of};
	}
	lookup->asked_count = 0;
	lookup->newest = wall;
	lookup->is_changed = true;
	if (n)
		lookup->host->answer(lookup->self, lookup->answers, n);
}

/* Many thousands in one query cost the server a fraction of what they cost in several, as long as it answers soon. */
static void fit_size(struct lookup *lookup)
{
	int64_t took = lookup->host->now() - lookup->began;
	if (took < lookup->statement_timeout / 4)
		lookup->size = lookup->size * 4 < lookup->batch ? lookup->size * 4 : lookup->batch;
	else if (took > lookup->statement_timeout / 2 && lookup->size > 1)
		lookup->size /= 2;
}

static void succeed(struct lookup *lookup)
{
	bool was_cut = is_cut(lookup);
	answer(lookup);
	backoff_reset(&lookup->backoff);
	fit_size(lookup);
	lookup->is_hopeless = false;
	lookup->not_before = 0;
	lookup->refused[0] = '\0';
	if (was_cut)
		snprintf(lookup->refused, sizeof(lookup->refused),
			 "the sql gives more than %u rows for %u ids: it must give one for each", rows_most(lookup),
			 lookup->batch);
}

/* In their old order, before those that came later. */
static void wait_on(struct lookup *lookup)
{
	while (lookup->asked_count) {
		struct name *name = lookup->asked[--lookup->asked_count];
		name->asked = NAME_NOT_ASKED;
		names_queue_first(&lookup->names, name);
	}
}

static void put_aside(struct lookup *lookup)
{
	struct name *name = lookup->asked[0];
	names_set(&lookup->names, name, NAME_UNREADABLE, NULL, 0, lookup->host->wall(), lookup->host->now());
	name->waits = false;
	name->asked = NAME_NOT_ASKED;
	lookup->asked_count = 0;
	lookup->host->count_malformed(lookup->self, 1);
}

static void fail(struct lookup *lookup, const struct postgres_outcome *outcome)
{
	const char *state = outcome->sqlstate;
	bool is_data = strncmp(state, "22", 2) == 0;
	uint32_t asked = lookup->asked_count;
	if (is_data && asked == 1) {
		put_aside(lookup);
		return;
	}
	wait_on(lookup);
	if (!state[0])
		return; /* the connection is gone, which is said elsewhere */
	lookup->host->count_error(lookup->self, 1);
	lookup->is_hopeless = strncmp(state, "42", 2) == 0;
	if (is_data || strcmp(state, "57014") == 0)
		lookup->size = asked > 1 ? asked / 2 : 1;
	if (is_data)
		return;
	lookup->not_before =
		lookup->host->now() + (lookup->is_hopeless ? hopeless_pause : backoff_next(&lookup->backoff));
	checks_explain(lookup, outcome, lookup->refused);
}

static void on_done(void *arg, const struct postgres_outcome *outcome)
{
	struct lookup *lookup = arg;
	lookup->queries[!outcome->ok]++;
	lookup->query_seconds = (double)(lookup->host->now() - lookup->began) / (double)CW_SECOND;
	if (outcome->ok)
		succeed(lookup);
	else
		fail(lookup, outcome);
	lookup_say(lookup);
	batch_soon(lookup);
}

/* ---- the parameter ---- */

/* An array as PostgreSQL reads it: {"a","b"}. NULL: no memory. */
static const char *write_array(struct lookup *lookup, struct name *const *names, uint32_t n)
{
	size_t room = 3;
	for (uint32_t i = 0; i < n; i++)
		room += 2 * (size_t)names[i]->key_length + 3;
	if (room > lookup->array_room) {
		char *array = realloc(lookup->array, room);
		if (!array)
			return NULL;
		lookup->array = array;
		lookup->array_room = room;
	}
	char *end = lookup->array;
	*end++ = '{';
	for (uint32_t i = 0; i < n; i++) {
		*end++ = '"';
		for (const char *c = names[i]->key; *c; c++) {
			if (*c == '"' || *c == '\\')
				*end++ = '\\';
			*end++ = *c;
		}
		*end++ = '"';
		*end++ = ',';
	}
	end -= n > 0;
	*end++ = '}';
	*end = '\0';
	return lookup->array;
}

static int send_array(struct lookup *lookup, const char *array,
		      void (*done)(void *arg, const struct postgres_outcome *outcome))
{
	struct postgres_query query = {
		.sql = lookup->query, .count = 1, .values = &array, .row = on_row, .done = done, .arg = lookup};
	lookup->rows = 0;
	lookup->began = lookup->host->now();
	return array ? postgres_send(lookup->postgres, &query) : -ENOMEM;
}

static void send_batch(struct lookup *lookup)
{
	struct name *name;
	while (lookup->asked_count < lookup->size && (name = names_take(&lookup->names))) {
		name->asked = NAME_ASKED;
		lookup->asked[lookup->asked_count++] = name;
	}
	if (send_array(lookup, write_array(lookup, lookup->asked, lookup->asked_count), on_done) < 0)
		wait_on(lookup); /* the connection will say that it is gone, or there is memory again */
}

/* ---- when ---- */

static void on_timer(uv_timer_t *timer)
{
	struct lookup *lookup = timer->data;
	if (lookup->names.queued && postgres_is_free(lookup->postgres))
		send_batch(lookup);
}

void batch_soon(struct lookup *lookup)
{
	int64_t wait = lookup->not_before - lookup->host->now();
	if (!postgres_is_free(lookup->postgres))
		return;
	if (lookup->examining == CHECK_QUERY && batch_probe(lookup))
		return;
	if (lookup->names.queued == 0)
		return;
	if (wait <= 0 && lookup->names.queued >= lookup->size)
		send_batch(lookup);
	else if (wait > 0)
		uv_timer_start(&lookup->timer, on_timer, (uint64_t)(wait / CW_MILLISECOND) + 1, /* repeat */ 0);
	else if (!uv_is_active((uv_handle_t *)&lookup->timer))
		uv_timer_start(&lookup->timer, on_timer, SOON_MS, /* repeat */ 0);
}

/* ---- for the doctor ---- */

static void on_probed(void *arg, const struct postgres_outcome *outcome)
{
	struct lookup *lookup = arg;
	lookup->query_seconds = (double)(lookup->host->now() - lookup->began) / (double)CW_SECOND;
	checks_queried(lookup, outcome);
	batch_soon(lookup);
}

/* No key at all: a key of one kind cannot be cast to another, and rights, columns and locks are looked at without. */
bool batch_probe(struct lookup *lookup)
{
	return postgres_is_free(lookup->postgres) && send_array(lookup, "{}", on_probed) == 0;
}
