/* SPDX-License-Identifier: MIT
 *
 * Asking Redis about many calls at once. A page is a run of keys whose commands go out as one pipeline, two for each
 * key: its heartbeat's value (GETRANGE, never more than 64 bytes) and then its hash (HMGET of the fields we know, never
 * HGETALL) or, when the question is only whether it is still there, EXISTS. Answers come in order, so a page needs no
 * more than a count to know whose they are. A paced sweep leaves out the heartbeats of calls whose messages have just
 * been heard (calls_is_heard()): of what a sweep costs Redis, that is a quarter.
 *
 * Three kinds: the pages of a sweep; fetches, of calls that something happened to; asks, of calls whose deadline has
 * come. The latter two collect for 20 ms, so that a burst is one pipeline and a call's first heartbeat is there.
 *
 * If a reply is over the connection's limits, the connection is gone, and it was that of the oldest command in flight.
 * If that is one of a page, the page is *lost*, and is read key by key after HSTRLEN of each field; what is too large
 * stays unknown, and the call is marked so that the next sweep does not fall into the same hole. If it was SCAN itself,
 * the names of keys are too large: then COUNT is lowered, and what is too large is skipped, see on_down().
 */
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum page_kind { PAGE_SWEEP, PAGE_FETCH, PAGE_ASK };
enum { FETCHES_MAX = 4, ASKS_MAX = 2, COLLECT_MS = 20, LARGE_FIELD = 4096 };

struct page_key {
	uint64_t hash;
	uint32_t offset; /* of the call_sid in bytes */
	uint16_t length;
	bool without_beat; /* its heartbeat is not asked for */
};

struct page {
	struct page *next;
	struct watch *watch;
	enum page_kind kind;
	bool lost;
	uint32_t n, room;
	uint32_t answered; /* keys */
	uint32_t sequence; /* of events, when sent */
	int64_t sent;
	char *bytes;
	size_t bytes_length, bytes_room;
	/* of the key whose answers are coming in */
	bool has_beat; /* its heartbeat has been answered */
	char beat[HEARTBEAT_VALUE_MAX];
	size_t beat_length;
	uint32_t malformed;
	struct page_key keys[];
};

static void on_timer(uv_timer_t *timer);

/* ---- a page ---- */

static struct page *page_new(struct watch *watch, enum page_kind kind, uint32_t room)
{
	struct page *page = malloc(sizeof(*page) + room * sizeof(page->keys[0]));
	if (page)
		*page = (struct page){.watch = watch, .kind = kind, .room = room};
	return page;
}

static void page_free(struct page *page)
{
	if (page)
		free(page->bytes);
	free(page);
}

static int page_add(struct page *page, const char *sid, size_t length, uint64_t hash)
{
	if (page->bytes_length + length > page->bytes_room) {
		size_t room = (page->bytes_length + length) * 2 + 1024;
		char *bytes = realloc(page->bytes, room);
		if (!bytes)
			return -ENOMEM;
		page->bytes = bytes;
		page->bytes_room = room;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): no sid is empty (parse_sid()), so there are bytes */
	memcpy(page->bytes + page->bytes_length, sid, length);
	page->keys[page->n++] =
		(struct page_key){.hash = hash, .offset = (uint32_t)page->bytes_length, .length = (uint16_t)length};
	page->bytes_length += length;
	return 0;
}

static bool page_has(const struct page *page, uint64_t hash)
{
	for (uint32_t i = 0; page && i < page->n; i++)
		if (page->keys[i].hash == hash)
			return true;
	return false;
}

static bool is_on_its_way(const struct watch *watch, uint64_t hash)
{
	for (const struct page *page = watch->pages.oldest; page; page = page->next)
		if (page->kind == PAGE_FETCH && page_has(page, hash))
			return true;
	return false;
}

/* ---- commands ---- */

static char *put_words(char *end, const char *resp, size_t length)
{
	memcpy(end, resp, length);
	return end + length;
}
#define PUT(end, literal) put_words(end, literal, sizeof(literal) - 1)

static char *put_key(char *end, const char *prefix, size_t prefix_length, const char *sid, size_t length)
{
	char key[512 + SID_MAX];
	memcpy(key, prefix, prefix_length);
	memcpy(key + prefix_length, sid, length);
	return redis_bulk(end, key, prefix_length + length);
}

static char *put_getrange(const struct watch *watch, char *end, const char *sid, size_t length)
{
	const struct settings *settings = &watch->settings;
	end = PUT(end, "*4\r\n$8\r\nGETRANGE\r\n");
	end = put_key(end, settings->beat_prefix, settings->beat_length, sid, length);
	return PUT(end, "$1\r\n0\r\n$2\r\n63\r\n");
}

static char *put_exists(const struct watch *watch, char *end, const char *sid, size_t length)
{
	end = PUT(end, "*2\r\n$6\r\nEXISTS\r\n");
	return put_key(end, watch->settings.ctx_prefix, watch->settings.ctx_length, sid, length);
}

static char *put_hmget(const struct watch *watch, char *end, const char *sid, size_t length)
{
	end += snprintf(end, 32, "*%u\r\n$5\r\nHMGET\r\n", 2 + KNOWN_FIELDS + watch->settings.extras);
	end = put_key(end, watch->settings.ctx_prefix, watch->settings.ctx_length, sid, length);
	return put_words(end, watch->pages.hmget, watch->pages.hmget_length);
}

static const char *field_name(const struct watch *watch, uint32_t i)
{
	return i < KNOWN_FIELDS ? field_names[i] : watch->settings.extra_fields[i - KNOWN_FIELDS];
}

int pages_init(struct watch *watch)
{
	uint32_t fields = KNOWN_FIELDS + watch->settings.extras;
	size_t room = 1;
	for (uint32_t i = 0; i < fields; i++)
		room += strlen(field_name(watch, i)) + 16;
	char *end = watch->pages.hmget = malloc(room);
	if (!end)
		return -ENOMEM;
	for (uint32_t i = 0; i < fields; i++)
		end = redis_bulk(end, field_name(watch, i), strlen(field_name(watch, i)));
	watch->pages.hmget_length = (size_t)(end - watch->pages.hmget);
	watch->pages.timer.data = watch;
	return uv_timer_init(watch->host->loop(watch->self), &watch->pages.timer);
}

void pages_release(struct watch *watch)
{
	free(watch->pages.hmget);
	free(watch->pages.buffer);
	page_free(watch->pages.fetch);
	page_free(watch->pages.ask);
	page_free(watch->pages.lost);
}

static char *reserve_buffer(struct watch *watch, const struct page *page)
{
	const struct settings *settings = &watch->settings;
	size_t each = 256 + 2 * SID_MAX + settings->ctx_length + settings->beat_length + watch->pages.hmget_length;
	size_t room = each * page->n;
	if (room > watch->pages.buffer_room) {
		free(watch->pages.buffer);
		watch->pages.buffer = malloc(room);
		watch->pages.buffer_room = watch->pages.buffer ? room : 0;
	}
	return watch->pages.buffer;
}

static void page_reply(void *arg, const redisReply *reply);

static void page_send(struct page *page)
{
	struct watch *watch = page->watch;
	char *start = reserve_buffer(watch, page), *end = start;
	uint32_t commands = page->n;
	for (uint32_t i = 0; start && i < page->n; i++) {
		const struct page_key *key = &page->keys[i];
		const char *sid = page->bytes + key->offset;
		if (!key->without_beat)
			end = put_getrange(watch, end, sid, key->length);
		commands += !key->without_beat;
		end = page->kind == PAGE_ASK ? put_exists(watch, end, sid, key->length)
					     : put_hmget(watch, end, sid, key->length);
	}
	page->sent = watch->host->now();
	page->sequence = watch->sequence;
	if (!start || redis_raw(watch->commands, page_reply, page, commands, start, (size_t)(end - start)) < 0) {
		page_free(page); /* no connection: after the next one everything is read anew */
		return;
	}
	watch->pages.fetching += page->kind == PAGE_FETCH;
	watch->pages.asking += page->kind == PAGE_ASK;
	watch->sweep.pages += page->kind == PAGE_SWEEP;
	if (watch->pages.newest)
		watch->pages.newest->next = page;
	else
		watch->pages.oldest = page;
	watch->pages.newest = page;
}

/* ---- answers ---- */

static void refile(struct page *page)
{
	for (uint32_t i = 0; i < page->n; i++) {
		uint32_t row;
		struct call *call =
			calls_find(page->watch, page->bytes + page->keys[i].offset, page->keys[i].length, &row);
		if (call)
			calls_refile(page->watch, row, call);
	}
}

/* Mostly the oldest; not when a callback cut the connection in the middle of a page. */
static void unlink_page(struct pages *pages, struct page *page)
{
	struct page *before = NULL, **link = &pages->oldest;
	while (*link != page) {
		before = *link;
		link = &before->next;
	}
	*link = page->next;
	if (pages->newest == page)
		pages->newest = before;
}

static void page_end(struct page *page)
{
	struct watch *watch = page->watch;
	struct pages *pages = &watch->pages;
	unlink_page(pages, page);
	pages->fetching -= page->kind == PAGE_FETCH;
	pages->asking -= page->kind == PAGE_ASK;
	watch->sweep.pages -= page->kind == PAGE_SWEEP;
	if (page->kind == PAGE_ASK && page->lost)
		refile(page);
	if (!pages->oldest)
		seen_clear(&watch->recent); /* nothing is on its way that could be older than an event */
	bool was_sweep = page->kind == PAGE_SWEEP && !page->lost, was_ask = page->kind == PAGE_ASK;
	if (page->lost && page->kind != PAGE_ASK && !pages->lost)
		pages->lost = page;
	else
		page_free(page);
	if (was_sweep)
		sweep_page_done(watch);
	if (was_ask)
		sweep_settle(watch);
	if (pages->fetch || pages->ask || watch->calls.wheel.heads[WHEEL_BUCKETS] != UINT32_MAX)
		pages_soon(watch);
}

/* The key is there, but is no call. */
static void wrong_type(struct watch *watch, const char *sid, size_t length, uint64_t hash)
{
	uint32_t row;
	struct call *call = calls_find(watch, sid, length, &row);
	if (call)
		calls_end(watch, row, call, "ended");
	if (!seen_get(&watch->reported, hash))
		watch_malformed(watch, WRONG_TYPE);
	seen_put(&watch->reported, hash, watch->host->now());
}

static struct answer answer_of(const struct page *page, const struct page_key *key, const redisReply *hash)
{
	return (struct answer){.sid = page->bytes + key->offset,
			       .length = key->length,
			       .hash = hash,
			       .beat = page->beat,
			       .beat_length = page->beat_length,
			       .malformed = page->malformed,
			       .sent = page->sent,
			       .without_beat = key->without_beat};
}

static void heartbeat_reply(struct page *page, const redisReply *reply)
{
	page->beat_length = 0;
	page->malformed = 0;
	if (reply->type == REDIS_REPLY_STRING && reply->len <= sizeof(page->beat)) {
		memcpy(page->beat, reply->str, reply->len);
		page->beat_length = reply->len;
	} else if (redis_is_error(reply, "WRONGTYPE")) {
		page->malformed = 1u << WRONG_TYPE;
	} else if (reply->type == REDIS_REPLY_ERROR) {
		sweep_refused(page->watch, reply, "GETRANGE");
	}
}

static bool has_skipped_field(const redisReply *reply)
{
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
		if (reply->element[i]->type == REDIS_REPLY_ERROR)
			return true;
	return false;
}

static void hash_reply(struct page *page, const struct page_key *key, const redisReply *reply)
{
	struct watch *watch = page->watch;
	struct answer answer = answer_of(page, key, reply);
	answer.careful = has_skipped_field(reply);
	if (events_contradict(watch, key->hash, page->sequence, /* exists */ true))
		return; /* it was removed since; the event has asked for the truth */
	if (redis_is_error(reply, "WRONGTYPE"))
		wrong_type(watch, answer.sid, answer.length, key->hash);
	else if (reply->type == REDIS_REPLY_ERROR)
		sweep_refused(watch, reply, "HMGET");
	else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != KNOWN_FIELDS + watch->settings.extras)
		redis_fail(watch->commands, REDIS_PROTOCOL, "HMGET was answered with something else: is this a Redis?");
	else
		calls_read(watch, &answer);
}

static void exists_reply(struct page *page, const struct page_key *key, const redisReply *reply)
{
	struct watch *watch = page->watch;
	struct answer answer = answer_of(page, key, /* hash */ NULL);
	uint32_t row;
	struct call *call = calls_find(watch, answer.sid, answer.length, &row);
	if (reply->type != REDIS_REPLY_INTEGER) {
		if (call)
			calls_refile(watch, row, call);
		if (reply->type == REDIS_REPLY_ERROR)
			sweep_refused(watch, reply, "EXISTS");
		return;
	}
	bool exists = reply->integer > 0;
	if (events_contradict(watch, key->hash, page->sequence, exists)) {
		if (call)
			calls_refile(watch, row, call);
	} else if (exists && call) {
		calls_asked(watch, row, call, &answer);
	} else if (exists) {
		calls_read(watch, &answer);
	} else {
		seen_put(&watch->absent, key->hash, watch->host->now());
		if (call)
			calls_end(watch, row, call, watch->sweep.was_reset ? "reset" : "ended");
	}
}

static bool expects_beat(const struct page *page)
{
	return !page->has_beat && !page->keys[page->answered].without_beat;
}

/* An answer more has come. Was it the last? */
static bool advance(struct page *page)
{
	page->has_beat = expects_beat(page);
	if (page->has_beat)
		return false;
	page->beat_length = 0;
	page->malformed = 0;
	return ++page->answered == page->n;
}

/* What is done about an answer may end the connection, and with it all answers still to come: they pass through here
 * before this one is done. */
static void page_reply(void *arg, const redisReply *reply)
{
	struct page *page = arg;
	const struct page_key *key = &page->keys[page->answered];
	page->lost = page->lost || !reply;
	if (page->lost)
		;
	else if (expects_beat(page))
		heartbeat_reply(page, reply);
	else if (page->kind == PAGE_ASK)
		exists_reply(page, key, reply);
	else
		hash_reply(page, key, reply);
	if (advance(page))
		page_end(page);
}

/* ---- fetching and asking ---- */

static bool can_send(const struct watch *watch)
{
	return watch->has_redis_time && redis_is_up(watch->commands);
}

static void pages_flush(struct watch *watch)
{
	struct pages *pages = &watch->pages;
	struct page *fetch = pages->fetch, *ask = pages->ask;
	if (!can_send(watch))
		return;
	if (fetch && pages->fetching < FETCHES_MAX) {
		pages->fetch = NULL;
		page_send(fetch);
	}
	if (ask && pages->asking < ASKS_MAX) {
		pages->ask = NULL;
		page_send(ask);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	if (can_send(watch))
		calls_ask_due(watch);
	pages_flush(watch);
}

void pages_soon(struct watch *watch)
{
	if (!uv_is_active((uv_handle_t *)&watch->pages.timer))
		uv_timer_start(&watch->pages.timer, on_timer, COLLECT_MS, /* repeat */ 0);
}

static bool collect(struct watch *watch, struct page **page, enum page_kind kind, const char *sid, size_t length,
		    uint64_t hash)
{
	if (*page && (*page)->n == (*page)->room)
		pages_flush(watch);
	if (!*page)
		*page = page_new(watch, kind, PAGE_KEYS);
	if (!*page || (*page)->n == (*page)->room)
		return false;
	return page_has(*page, hash) || page_add(*page, sid, length, hash) == 0;
}

void pages_fetch(struct watch *watch, const char *sid, size_t length, bool again)
{
	uint64_t hash = watch_hash(watch, sid, length);
	if (!again && is_on_its_way(watch, hash))
		return;
	if (!can_send(watch))
		return; /* a sweep follows */
	if (collect(watch, &watch->pages.fetch, PAGE_FETCH, sid, length, hash))
		pages_soon(watch);
	else
		sweep_want(watch); /* more than can be followed one by one */
}

void pages_ask(struct watch *watch, const char *sid, size_t length)
{
	if (can_send(watch) && collect(watch, &watch->pages.ask, PAGE_ASK, sid, length, watch_hash(watch, sid, length)))
		pages_soon(watch);
}

bool pages_ask_nothing(const struct watch *watch)
{
	const struct pages *pages = &watch->pages;
	return !pages->ask && !pages->asking && watch->calls.wheel.heads[WHEEL_BUCKETS] == UINT32_MAX;
}

bool pages_asking_full(const struct watch *watch)
{
	const struct pages *pages = &watch->pages;
	return pages->ask && pages->ask->n == pages->ask->room && pages->asking >= ASKS_MAX;
}

/* ---- carefully ---- */

/* One key read field by field: HSTRLEN of each, then HMGET of those that are small. */
struct careful {
	struct watch *watch;
	char sid[SID_MAX];
	size_t length;
	char beat[HEARTBEAT_VALUE_MAX];
	size_t beat_length;
	uint32_t malformed, answered;
	int64_t sent;
	bool failed;
	bool is_small[KNOWN_FIELDS + EXTRA_MAX];
};

static void careful_done(struct careful *careful, const redisReply *hash)
{
	struct answer answer = {.sid = careful->sid,
				.length = careful->length,
				.hash = hash,
				.beat = careful->beat,
				.beat_length = careful->beat_length,
				.malformed = careful->malformed,
				.sent = careful->sent,
				.careful = (careful->malformed & 1u << TOO_LARGE) != 0};
	calls_read(careful->watch, &answer);
	free(careful);
}

/* Spreads the small fields' answers over the places they would have in a full HMGET. */
static void on_small_fields(void *arg, const redisReply *reply)
{
	struct careful *careful = arg;
	redisReply nil = {.type = REDIS_REPLY_NIL}, *fields[KNOWN_FIELDS + EXTRA_MAX];
	uint32_t n = KNOWN_FIELDS + careful->watch->settings.extras, next = 0;
	if (!reply || reply->type != REDIS_REPLY_ARRAY) {
		free(careful);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		fields[i] = careful->is_small[i] && next < reply->elements ? reply->element[next++] : &nil;
	careful_done(careful, &(redisReply){.type = REDIS_REPLY_ARRAY, .elements = n, .element = fields});
}

static void ask_small_fields(struct careful *careful)
{
	struct watch *watch = careful->watch;
	char key[512 + SID_MAX];
	const char *argv[2 + KNOWN_FIELDS + EXTRA_MAX] = {"HMGET", key};
	size_t lengths[2 + KNOWN_FIELDS + EXTRA_MAX] = {5, watch->settings.ctx_length + careful->length};
	uint32_t argc = 2;
	memcpy(key, watch->settings.ctx_prefix, watch->settings.ctx_length);
	memcpy(key + watch->settings.ctx_length, careful->sid, careful->length);
	for (uint32_t i = 0; i < KNOWN_FIELDS + watch->settings.extras; i++)
		if (careful->is_small[i]) {
			argv[argc] = field_name(watch, i);
			lengths[argc] = strlen(argv[argc]);
			argc++;
		}
	if (argc == 2) {
		careful_done(careful, /* hash */ NULL);
		return;
	}
	if (redis_command(watch->commands, on_small_fields, careful, argc, argv, lengths) < 0)
		free(careful);
}

static void on_careful(void *arg, const redisReply *reply)
{
	struct careful *careful = arg;
	uint32_t fields = KNOWN_FIELDS + careful->watch->settings.extras, i = careful->answered++;
	careful->failed = careful->failed || !reply || (reply->type == REDIS_REPLY_ERROR && i > 0);
	if (i == 0 && reply && reply->type == REDIS_REPLY_STRING && reply->len <= sizeof(careful->beat)) {
		memcpy(careful->beat, reply->str, reply->len);
		careful->beat_length = reply->len;
	} else if (i > 0 && !careful->failed) {
		careful->is_small[i - 1] = reply->integer > 0 && reply->integer <= LARGE_FIELD;
		careful->malformed |= reply->integer > LARGE_FIELD ? 1u << TOO_LARGE : 0;
	}
	if (careful->answered <= fields)
		return;
	if (careful->failed)
		free(careful); /* gone, or no hash: the next sweep tells */
	else
		ask_small_fields(careful);
}

static void read_carefully(struct watch *watch, const char *sid, size_t length)
{
	struct careful *careful = calloc(1, sizeof(*careful));
	char buffer[(KNOWN_FIELDS + EXTRA_MAX + 1) * 768], *end = buffer;
	uint32_t fields = KNOWN_FIELDS + watch->settings.extras;
	if (!careful)
		return;
	careful->watch = watch;
	careful->length = length;
	careful->sent = watch->host->now();
	memcpy(careful->sid, sid, length);
	end = put_getrange(watch, end, sid, length);
	for (uint32_t i = 0; i < fields; i++) {
		end = PUT(end, "*3\r\n$7\r\nHSTRLEN\r\n");
		end = put_key(end, watch->settings.ctx_prefix, watch->settings.ctx_length, sid, length);
		end = redis_bulk(end, field_name(watch, i), strlen(field_name(watch, i)));
	}
	if (redis_raw(watch->commands, on_careful, careful, fields + 1, buffer, (size_t)(end - buffer)) < 0)
		free(careful);
}

void pages_careful(struct watch *watch)
{
	struct page *page = watch->pages.lost;
	watch->pages.lost = NULL;
	for (uint32_t i = 0; page && i < page->n; i++)
		read_carefully(watch, page->bytes + page->keys[i].offset, page->keys[i].length);
	page_free(page);
}

void pages_forget_lost(struct watch *watch)
{
	page_free(watch->pages.lost);
	watch->pages.lost = NULL;
}

/* ---- the pages of a sweep ---- */

/* A key that can be no row is counted once as long as it is remembered, and said once in the log. */
static void report_key(struct watch *watch, const char *key, size_t length, enum malformed kind)
{
	uint64_t hash = watch_hash(watch, key, length);
	if (!seen_get(&watch->reported, hash)) {
		watch_malformed(watch, kind);
		watch_log_key(watch, key, length, kind);
	}
	seen_put(&watch->reported, hash, watch->host->now());
}

/* One more call of a sweep. If it is known to have a large field, it is not read with the others. */
static void sweep_call(struct watch *watch, struct page *page, const char *sid, size_t length)
{
	uint32_t row;
	bool is_paced = !watch->sweep.full_speed;
	const struct call *call = is_paced || watch->calls.big ? calls_find(watch, sid, length, &row) : NULL;
	if (call && call->flags & CALL_BIG) {
		watch->host->row_mark(watch->calls_part, row);
		read_carefully(watch, sid, length);
	} else if (page_add(page, sid, length, watch_hash(watch, sid, length)) == 0) {
		page->keys[page->n - 1].without_beat = is_paced && call && calls_is_heard(watch, call);
	}
}

/* Its name was skipped, so all that is known of it is that it is there. */
static void report_skipped_key(struct watch *watch)
{
	if (++watch->sweep.skipped <= watch->sweep.skipped_before)
		return;
	watch->sweep.skipped_before = watch->sweep.skipped;
	watch_malformed(watch, KEY_TOO_LONG);
	watch->host->log(watch->self, CW_WARNING, "a key that can be no call is left out (key_too_long): over %d bytes",
			 REDIS_SKIP_OVER);
}

void pages_sweep(struct watch *watch, const redisReply *keys)
{
	const struct settings *settings = &watch->settings;
	struct page *page = page_new(watch, PAGE_SWEEP, (uint32_t)keys->elements + 1);
	for (size_t i = 0; page && i < keys->elements; i++) {
		const redisReply *key = keys->element[i];
		if (key->type == REDIS_REPLY_ERROR)
			report_skipped_key(watch);
		if (key->type != REDIS_REPLY_STRING || key->len < settings->ctx_length ||
		    memcmp(key->str, settings->ctx_prefix, settings->ctx_length) != 0)
			continue;
		const char *sid = key->str + settings->ctx_length;
		size_t length = key->len - settings->ctx_length;
		int status = parse_sid(sid, length);
		if (status < 0)
			report_key(watch, sid, length, status == -EMSGSIZE ? KEY_TOO_LONG : BAD_KEY);
		else
			sweep_call(watch, page, sid, length);
	}
	if (page && page->n)
		page_send(page);
	else
		page_free(page);
}
