/* SPDX-License-Identifier: MIT
 *
 * What is known about each call, and its health.
 *
 * A call's row in the table holds what is shown; beside it 40 bytes hold what it is judged by. `alive` is the instant
 * of its last sign of life: of a message, its receipt (see receipt() for those that waited while we slept); of a
 * heartbeat key that was new or had advanced, now − (Redis' time − its value), but not before the key was last read,
 * for it was written after that. An unchanged key says nothing.
 *
 * Nothing is judged worse on silence alone: when its deadline falls due, the call is asked about (calls_ask_due), and
 * only the answer judges it. It gets better at once, by whatever way the sign of life came.
 */
#include "businesses.h"
#include "text.h"
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t wait_once_more = 10 * CW_SECOND; /* about a heartbeat's period */

/* ---- entries ---- */

int calls_init(struct watch *watch)
{
	bool has_businesses = watch->settings.breakdown || watch->settings.lookup;
	wheel_init(&watch->calls.wheel, watch->origin);
	if (has_businesses)
		watch->calls.businesses = businesses_new();
	return has_businesses && !watch->calls.businesses ? -ENOMEM : 0;
}

void calls_release(struct watch *watch)
{
	free(watch->calls.items);
	businesses_free(watch->calls.businesses);
}

static struct call *at(struct watch *watch, uint32_t row)
{
	struct calls *calls = &watch->calls;
	return row < calls->used && calls->items[row].flags & CALL_KNOWN ? &calls->items[row] : NULL;
}

struct call *calls_find(struct watch *watch, const char *sid, size_t length, uint32_t *ret_row)
{
	int64_t row = watch->host->row_find(watch->calls_part, sid, length);
	if (row < 0)
		return NULL;
	*ret_row = (uint32_t)row;
	return at(watch, (uint32_t)row);
}

static int reserve(struct calls *calls, uint32_t row)
{
	if (row >= calls->room) {
		uint32_t room = row + row / 2 + 256;
		struct call *items = realloc(calls->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		calls->items = items;
		calls->room = room;
		wheel_rebase(&calls->wheel, (char *)items + offsetof(struct call, link), sizeof(*items));
	}
	for (; calls->used <= row; calls->used++) {
		calls->items[calls->used].flags = 0;
		wheel_link_init(&calls->items[calls->used].link);
	}
	return 0;
}

/* An entry for a row that has none. */
static struct call *make(struct watch *watch, uint32_t row)
{
	if (reserve(&watch->calls, row) < 0)
		return NULL;
	struct call *call = &watch->calls.items[row];
	*call = (struct call){.flags = CALL_KNOWN};
	wheel_link_init(&call->link);
	watch->calls.known++;
	return call;
}

static uint32_t seconds_since_origin(const struct watch *watch, int64_t instant)
{
	return instant <= watch->origin ? 0 : (uint32_t)((instant - watch->origin) / CW_SECOND);
}

/* ---- health ---- */

static enum health judge(const struct watch *watch, const struct call *call, int64_t now)
{
	int64_t age = now - call->alive;
	if (age > watch->settings.stale_after)
		return STALE;
	return !(call->flags & CALL_BEAT) || age >= watch->settings.warning_after ? HEALTH_WARNING : HEALTHY;
}

static void file_deadline(struct watch *watch, uint32_t row, struct call *call)
{
	struct wheel *wheel = &watch->calls.wheel;
	if (call->flags & CALL_SUSPECT)
		wheel_file_due(wheel, row);
	else if (call->health == STALE)
		wheel_take(wheel, row); /* nothing worse can come; a sweep sees its end */
	else
		wheel_file(wheel, row,
			   call->alive + (call->health == HEALTHY ? watch->settings.warning_after
								  : watch->settings.stale_after));
}

void calls_refile(struct watch *watch, uint32_t row, struct call *call)
{
	file_deadline(watch, row, call);
}

static struct cw_cell reason_cell(const struct call *call)
{
	if (call->health == HEALTHY)
		return cw_string_cell("beating");
	if (!(call->flags & CALL_BEAT))
		return cw_string_cell(call->health == STALE ? "never beat, and old enough to be stale"
							    : "no heartbeat yet");
	return cw_string_cell(call->health == STALE ? "no heartbeat for longer than stale_after"
						    : "no heartbeat for longer than warning_after");
}

static uint32_t add_change(struct cw_change *changes, uint32_t n, uint32_t column, struct cw_cell cell)
{
	changes[n] = (struct cw_change){.column = column, .cell = cell};
	return n + 1;
}

static uint32_t change_health(struct call *call, enum health health, struct cw_change *changes, uint32_t n)
{
	call->health = (uint8_t)health;
	n = add_change(changes, n, COLUMN_HEALTH, cw_integer_cell(health));
	return add_change(changes, n, COLUMN_REASON, reason_cell(call));
}

/* ---- the heartbeat key ---- */

struct sign {
	bool advanced; /* the key is new or has moved */
	bool moved;    /* and by that `alive` */
	int64_t claimed;
};

bool calls_is_heard(const struct watch *watch, const struct call *call)
{
	const int told = CALL_KNOWN | CALL_BEAT | CALL_HEARD, odd = CALL_BARE | CALL_SUSPECT | CALL_UNJUDGED;
	return watch->channels_live && !watch->backlog && (call->flags & (told | odd)) == told &&
	       call->health == HEALTHY && watch->host->now() - call->alive < watch->settings.warning_after / 2;
}

/* Any other value than before was written since, even one that went back with its worker's clock. Not before `floor`:
 * the instant at which the key was last seen without this value. */
static struct sign take_sign(struct watch *watch, struct call *call, const struct answer *answer, int64_t floor,
			     uint32_t *malformed)
{
	struct sign sign = {0};
	int64_t time = 0;
	if (parse_heartbeat(answer->beat, answer->beat_length, watch_redis_wall(watch), &time, malformed) < 0 ||
	    time == call->claimed)
		return sign;
	int64_t now = watch->host->now(), alive = time - watch->redis_offset;
	if (alive < floor)
		alive = floor;
	if (alive > now)
		alive = now;
	sign = (struct sign){.advanced = true, .claimed = time};
	sign.moved = !(call->flags & CALL_BEAT) || alive > call->alive;
	if (sign.moved) {
		bool is_news = !(call->flags & CALL_BEAT) || alive > call->alive + CW_SECOND;
		watch->beats[VIA_KEY] += is_news;
		watch->silent_key_beats += is_news && floor != INT64_MIN;
		call->alive = alive;
		call->flags = (uint8_t)((call->flags | CALL_BEAT) & ~CALL_HEARD);
	}
	call->claimed = time;
	return sign;
}

static void note_read(struct watch *watch, struct call *call, const struct answer *answer)
{
	call->read_s = seconds_since_origin(watch, answer->sent);
}

/* ---- malformed things, once for each call and kind ---- */

static void report(struct watch *watch, struct call *call, uint32_t malformed)
{
	uint32_t fresh = malformed & ~(uint32_t)call->malformed;
	for (uint32_t kind = 0; fresh; kind++, fresh >>= 1)
		if (fresh & 1)
			watch_malformed(watch, (enum malformed)kind);
	call->malformed = (uint16_t)(call->malformed | malformed);
}

/* ---- what a hash says ---- */

static struct cw_cell cell_of(struct text text)
{
	return cw_text_cell(text.text, text.length);
}

/* What is known of it at this moment; the row is not kept waiting for more. */
static struct cw_cell business_name(const struct watch *watch, struct text id)
{
	const struct business *business = NULL;
	if (watch->calls.businesses && id.text)
		business = businesses_find(watch->calls.businesses, id.text, id.length,
					   watch_hash(watch, id.text, id.length));
	return names_cell(business);
}

/* The columns that come from the hash; the same order for a new row and a changed one. */
static uint32_t hash_changes(const struct watch *watch, const struct call_hash *hash, const redisReply *reply,
			     struct cw_change *changes, uint32_t *malformed)
{
	uint32_t n = 0;
	struct cw_cell start = {.type = CW_CELL_NULL}, duration = start;
	if (hash->has_start) {
		start = cw_integer_cell(hash->start);
		duration = cw_integer_cell(hash->start - watch->start_offset);
	}
	n = add_change(changes, n, COLUMN_BUSINESS, cell_of(hash->texts[BUSINESS_ID]));
	n = add_change(changes, n, COLUMN_BUSINESS_NAME, business_name(watch, hash->texts[BUSINESS_ID]));
	n = add_change(changes, n, COLUMN_FROM, cell_of(hash->texts[FROM_PHONE]));
	n = add_change(changes, n, COLUMN_TO, cell_of(hash->texts[TO_PHONE]));
	n = add_change(changes, n, COLUMN_START, start);
	n = add_change(changes, n, COLUMN_DURATION, duration);
	n = add_change(changes, n, COLUMN_LOG_ID, cell_of(hash->texts[CALL_LOG_ID]));
	for (uint32_t i = 0; i < watch->settings.extras; i++) {
		bool is_there = reply && KNOWN_FIELDS + i < reply->elements;
		struct text text = {0};
		if (is_there)
			text = parse_field(reply->element[KNOWN_FIELDS + i], malformed);
		n = add_change(changes, n, CALLS_COLUMNS + i, cell_of(text));
	}
	return n;
}

/* A keyed hash of the bytes of a reply, and of the epoch of Redis' clock: what depends on both is unchanged as long as
 * this is. */
static uint32_t fields_hash(const struct watch *watch, const redisReply *reply)
{
	uint64_t sum = watch->offset_epoch;
	for (size_t i = 0; reply && i < reply->elements; i++) {
		const redisReply *field = reply->element[i];
		sum = sum * 0x9e3779b97f4a7c15u + (field->type == REDIS_REPLY_STRING) + field->len;
		if (field->type == REDIS_REPLY_STRING)
			sum ^= watch_hash(watch, field->str, field->len);
	}
	return (uint32_t)(sum ^ sum >> 32);
}

static void set_start(const struct watch *watch, struct call *call, const struct call_hash *hash)
{
	call->flags &= (uint8_t)~CALL_STARTED;
	if (!hash->has_start)
		return;
	int64_t start = (hash->start - watch->start_offset - watch->origin) / CW_SECOND;
	call->start_s = start < INT32_MIN ? INT32_MIN : start > INT32_MAX ? INT32_MAX : (int32_t)start;
	call->flags |= CALL_STARTED;
}

/* Somebody's number, which as a label would leave unmasked. */
static bool holds_number(const struct watch *watch, struct text id)
{
	char masked[3 * FIELD_MAX + 1];
	if (watch->info->phones_full || !memchr(id.text, '+', id.length))
		return false;
	size_t length = text_mask_phones_in(masked, sizeof(masked), id.text, id.length);
	return length != id.length || memcmp(masked, id.text, length) != 0;
}

/* One that may not be named is counted among the others. An id with a NUL inside would be taken for another. */
static void set_business(struct watch *watch, uint32_t row, struct text id)
{
	if (!watch->calls.businesses)
		return;
	if (!id.text || memchr(id.text, 0, id.length))
		id = (struct text){0};
	businesses_set(watch->calls.businesses, row, id.text, id.length,
		       id.text ? watch_hash(watch, id.text, id.length) : 0, id.text && !holds_number(watch, id));
	names_soon(watch);
}

/* Where the age of a call that never beat is counted from: its start, or when it was first seen. */
static int64_t age_origin(const struct watch *watch, const struct call_hash *hash, int64_t now)
{
	int64_t start = hash->has_start ? hash->start - watch->start_offset : now;
	return start > now ? now : start;
}

static void set_big(struct watch *watch, struct call *call, const struct answer *answer)
{
	if (!answer->careful || call->flags & CALL_BIG)
		return;
	call->flags |= CALL_BIG;
	watch->calls.big++;
}

static void put_row(struct watch *watch, const struct answer *answer, struct call *call, const struct sign *sign,
		    const struct cw_change *changes, uint32_t n)
{
	struct cw_cell cells[CALLS_COLUMNS + EXTRA_MAX] = {0};
	for (uint32_t i = 0; i < n; i++)
		cells[changes[i].column] = changes[i].cell;
	cells[COLUMN_SID] = cw_text_cell(answer->sid, answer->length);
	cells[COLUMN_HEALTH] = cw_integer_cell(call->health);
	cells[COLUMN_REASON] = reason_cell(call);
	if (sign->advanced)
		cells[COLUMN_LAST_HEARTBEAT] = cw_integer_cell(sign->claimed);
	if (call->flags & CALL_BEAT)
		cells[COLUMN_HEARTBEAT_AGE] = cw_integer_cell(call->alive);
	int64_t row = watch->host->row_put(watch->calls_part, cells);
	struct call *entry = row < 0 ? NULL : at(watch, (uint32_t)row);
	bool is_new = !entry;
	if (row < 0 || (is_new && !(entry = make(watch, (uint32_t)row)))) {
		watch->host->count_error(watch->self, 1);
		return;
	}
	struct wheel_link link = entry->link;
	*entry = *call;
	entry->link = link;
	file_deadline(watch, (uint32_t)row, entry);
	watch->started += is_new && watch->sweep.ever;
}

/* A call that is new to us. It has just been asked about, so it is judged. */
static void add(struct watch *watch, const struct answer *answer, struct call_hash *hash)
{
	struct cw_change changes[CALLS_COLUMNS + EXTRA_MAX];
	int64_t now = watch->host->now();
	struct call call = {.alive = age_origin(watch, hash, now), .claimed = INT64_MIN, .flags = CALL_KNOWN};
	uint32_t malformed = hash->malformed | answer->malformed;
	uint32_t n = hash_changes(watch, hash, answer->hash, changes, &malformed);
	struct sign sign = take_sign(watch, &call, answer, /* floor */ INT64_MIN, &malformed);
	call.health = (uint8_t)judge(watch, &call, now);
	call.fields = fields_hash(watch, answer->hash);
	set_big(watch, &call, answer);
	set_start(watch, &call, hash);
	note_read(watch, &call, answer);
	report(watch, &call, malformed);
	put_row(watch, answer, &call, &sign, changes, n);
	uint32_t row;
	if (watch->calls.businesses && calls_find(watch, answer->sid, answer->length, &row))
		set_business(watch, row, hash->texts[BUSINESS_ID]);
}

/* Writes what a sign of life changes on the row, and gets better; getting worse is for calls_asked(). */
static void show_sign(struct watch *watch, uint32_t row, struct call *call, const struct sign *sign,
		      struct cw_change *changes, uint32_t n)
{
	if (sign->advanced && sign->claimed - watch->redis_offset >= call->alive - 2 * CW_SECOND)
		n = add_change(changes, n, COLUMN_LAST_HEARTBEAT, cw_integer_cell(sign->claimed));
	if (sign->moved) {
		enum health health = judge(watch, call, watch->host->now());
		n = add_change(changes, n, COLUMN_HEARTBEAT_AGE, cw_integer_cell(call->alive));
		if (health < call->health) {
			n = change_health(call, health, changes, n);
			file_deadline(watch, row, call);
		}
	}
	if (n)
		watch->host->row_touch(watch->calls_part, row, changes, n);
}

static void update(struct watch *watch, uint32_t row, struct call *call, const struct answer *answer,
		   const struct call_hash *hash)
{
	struct cw_change changes[CALLS_COLUMNS + EXTRA_MAX];
	uint32_t malformed = hash->malformed | answer->malformed, fields = fields_hash(watch, answer->hash), n = 0;
	int64_t floor = watch->origin + (int64_t)call->read_s * CW_SECOND;
	if (fields != call->fields) {
		n = hash_changes(watch, hash, answer->hash, changes, &malformed);
		call->fields = fields;
		set_start(watch, call, hash);
		set_business(watch, row, hash->texts[BUSINESS_ID]);
	}
	struct sign sign = take_sign(watch, call, answer, floor, &malformed);
	call->flags &= (uint8_t)~CALL_SUSPECT;
	set_big(watch, call, answer);
	if (!answer->without_beat)
		note_read(watch, call, answer);
	report(watch, call, malformed);
	watch->host->row_mark(watch->calls_part, row);
	show_sign(watch, row, call, &sign, changes, n);
}

void calls_read(struct watch *watch, const struct answer *answer)
{
	struct call_hash hash = {.malformed = 1u << MISSING_FIELD};
	uint32_t row;
	if (answer->hash && parse_call(answer->hash, watch_redis_wall(watch), &hash) < 0)
		return;
	if (hash.is_empty && !answer->careful) {
		pages_ask(watch, answer->sid, answer->length); /* none of its fields, or no such call? */
		return;
	}
	struct call *call = calls_find(watch, answer->sid, answer->length, &row);
	if (call && !(call->flags & CALL_BARE))
		update(watch, row, call, answer, &hash);
	else if (answer->without_beat)
		pages_fetch(watch, answer->sid, answer->length,
			    /* again */ true); /* it ended meanwhile, and began anew */
	else
		add(watch, answer, &hash);
}

/* ---- messages ---- */

/* The instant a message came. One that waited while we slept came at some time since then: if it does not say when, it
 * proves no more than that. */
static int64_t receipt(const struct watch *watch, const struct beat *beat)
{
	int64_t now = watch->host->now(), since = watch->slept_from;
	if (!watch->backlog)
		return now;
	if (!beat->has_time || !watch->has_redis_time)
		return since;
	int64_t claimed = beat->time - watch->redis_offset;
	return claimed < since ? since : claimed > now ? now : claimed;
}

void calls_beat(struct watch *watch, uint32_t row, struct call *call, const struct beat *beat)
{
	struct cw_change changes[4];
	int64_t now = watch->host->now(), received = receipt(watch, beat),
		wall = watch_redis_wall(watch) - (now - received);
	uint32_t n = 0;
	bool is_first = !(call->flags & CALL_BEAT);
	watch->beats[VIA_CHANNEL]++;
	if (beat->has_time && !watch->backlog)
		samples_delay(watch, wall - beat->time);
	if (!is_first && received < call->alive)
		return; /* more is known already */
	call->alive = received;
	call->flags = (uint8_t)((call->flags | CALL_BEAT | CALL_HEARD) & ~CALL_UNJUDGED);
	n = add_change(changes, n, COLUMN_LAST_HEARTBEAT, cw_integer_cell(beat->has_time ? beat->time : wall));
	n = add_change(changes, n, COLUMN_HEARTBEAT_AGE, cw_integer_cell(received));
	enum health health = judge(watch, call, now);
	if (health < call->health || (is_first && health == call->health)) {
		n = change_health(call, health, changes, n);
		file_deadline(watch, row, call);
	}
	watch->host->row_touch(watch->calls_part, row, changes, n);
}

/* ---- asking ---- */

void calls_suspect(struct watch *watch, uint32_t row)
{
	struct call *call = at(watch, row);
	if (!call && (call = make(watch, row)))
		call->flags |= CALL_BARE;
	if (!call)
		return;
	call->flags |= CALL_SUSPECT;
	wheel_file_due(&watch->calls.wheel, row);
}

/* Is there something to ask about this call, or has it beaten since it was filed? */
static bool must_ask(const struct watch *watch, const struct call *call, int64_t now)
{
	return call->flags & (CALL_SUSPECT | CALL_UNJUDGED) || judge(watch, call, now) > call->health;
}

void calls_ask_due(struct watch *watch)
{
	char sid[SID_MAX + 1];
	uint32_t row;
	int64_t now = watch->host->now();
	while (!pages_asking_full(watch) && wheel_pop(&watch->calls.wheel, &row)) {
		struct call *call = at(watch, row);
		if (!call)
			continue;
		if (!must_ask(watch, call, now)) {
			file_deadline(watch, row, call);
			continue;
		}
		int64_t length = watch->host->row_key(watch->calls_part, row, sid, sizeof(sid));
		if (length > 0 && length <= SID_MAX)
			pages_ask(watch, sid, (size_t)length);
	}
}

/* Its key moved, but by its worker's clock it is well older than what was received: one more heartbeat will tell. A
 * message is received a little after its time was taken; that is no reason to wait. And of a call without a key only
 * messages tell: after our own sleep, the next one is to come yet. */
static bool deserves_another_look(const struct watch *watch, const struct call *call, const struct answer *answer,
				  const struct sign *sign, enum health health)
{
	if (health <= call->health || call->flags & CALL_UNJUDGED)
		return false;
	if (sign->advanced)
		return call->alive > sign->claimed - watch->redis_offset + 2 * CW_SECOND;
	return answer->beat_length == 0 && watch->woke && watch->host->now() - watch->woke < wait_once_more;
}

void calls_asked(struct watch *watch, uint32_t row, struct call *call, const struct answer *answer)
{
	struct cw_change changes[8];
	int64_t floor = watch->origin + (int64_t)call->read_s * CW_SECOND;
	uint32_t malformed = answer->malformed;
	if (call->flags & CALL_BARE) {
		add(watch, answer, &(struct call_hash){0}); /* its fields follow */
		pages_fetch(watch, answer->sid, answer->length, /* again */ true);
		return;
	}
	struct sign sign = take_sign(watch, call, answer, floor, &malformed);
	note_read(watch, call, answer);
	report(watch, call, malformed);
	call->flags &= (uint8_t)~CALL_SUSPECT;
	enum health health = judge(watch, call, watch->host->now());
	if (deserves_another_look(watch, call, answer, &sign, health)) {
		call->flags |= CALL_UNJUDGED;
		wheel_file(&watch->calls.wheel, row, watch->host->now() + wait_once_more);
		health = call->health;
	} else {
		call->flags &= (uint8_t)~CALL_UNJUDGED;
	}
	uint32_t n = health != call->health ? change_health(call, health, changes, 0) : 0;
	show_sign(watch, row, call, &sign, changes, n);
	if (!(call->flags & CALL_UNJUDGED))
		file_deadline(watch, row, call);
}

/* ---- the end ---- */

void calls_end(struct watch *watch, uint32_t row, struct call *call, const char *why)
{
	if (!(call->flags & CALL_BARE) && strcmp(why, "ended") == 0) {
		watch->ended[call->health]++;
		samples_ended(watch, call);
	}
	wheel_take(&watch->calls.wheel, row);
	set_business(watch, row, (struct text){0});
	watch->calls.big -= (call->flags & CALL_BIG) != 0;
	call->flags = 0;
	watch->calls.known--;
	watch->host->row_remove(watch->calls_part, row, why);
}
