/* SPDX-License-Identifier: MIT
 *
 * See queue.h. Redis tells no element's length before it sends the element, so a page is read with redis_skip_large():
 * what is over 8 KiB comes as an error in its place, and costs us nothing. Such a page is read once more by a script,
 * which sends name and length of the large ones, and a large one is then fetched in pieces, by name. The scripts only
 * read; who may not run any sees that something large is there.
 */
#include "queue.h"
#include "scripts.h"

#include "text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 8000, ARGUMENTS = 10 };
_Static_assert((int)PIECE < (int)REDIS_SKIP_OVER, "pieces are not skipped");

/* ---- scripts ---- */

/* ARGV: kind, from the tail?, count, first and last as the command wants them. */
static const char page_script[] =
	"local kind, tail, n, first, last = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]\n"
	"local function brief(v) if #v <= 8000 then return v end return {redis.sha1hex(v), #v} end\n"
	"local page\n"
	"if kind == 'list' then\n"
	"  page = redis.call('LRANGE', KEYS[1], first, last)\n"
	"  for i, v in ipairs(page) do page[i] = brief(v) end\n"
	"elseif kind == 'zset' then\n"
	"  page = tail and redis.call('ZRANGE', KEYS[1], first, last, 'REV', 'WITHSCORES')\n"
	"    or redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')\n"
	"  for i = 1, #page, 2 do page[i] = brief(page[i]) end\n"
	"else\n"
	"  page = redis.call(tail and 'XREVRANGE' or 'XRANGE', KEYS[1], first, last, 'COUNT', n)\n"
	"  for i, e in ipairs(page) do\n"
	"    local v = table.concat(e[2], '\\0')\n"
	"    if #v > 8000 then page[i] = {e[1], redis.sha1hex(v), #v} end\n"
	"  end\n"
	"end\n"
	"return page";

/* ARGV: kind, from the tail?, name, length, place, most. What it returns: for each part of the element its pieces. */
static const char large_script[] =
	"local kind, tail, id, length, most = ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4]), "
	"tonumber(ARGV[6])\n" SCRIPT_AT_AND_SAME "local function find(p)\n"
	"  local e = at(p)\n"
	"  if same(e) then return e end\n"
	"  for d = 1, kind == 'stream' and 0 or 100 do\n"
	"    for _, q in ipairs({p - d, p + d}) do\n"
	"      e = q >= 0 and at(q)\n"
	"      if same(e) then return e end\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local e, parts = find(kind == 'stream' and ARGV[5] or tonumber(ARGV[5])), {}\n"
	"for i, v in ipairs(e or {}) do\n"
	"  local pieces = {}\n"
	"  for from = 1, math.min(#v, most), 8000 do\n"
	"    pieces[#pieces + 1] = string.sub(v, from, math.min(from + 7999, most))\n"
	"  end\n"
	"  most = math.max(0, most - #v)\n"
	"  parts[i] = pieces\n"
	"end\n"
	"return parts";

/* ---- asking ---- */

static const char *const kind_names[] = {"unknown", "empty", "list", "stream", "zset", "other"};

const char *queue_kind_name(enum queue_kind kind)
{
	return kind == QUEUE_ZSET ? "sorted set" : kind_names[kind];
}

enum queue_kind queue_kind_of(const redisReply *reply)
{
	if (!reply || reply->type != REDIS_REPLY_STATUS)
		return QUEUE_UNKNOWN;
	for (int kind = QUEUE_LIST; kind <= QUEUE_ZSET; kind++)
		if (strcmp(reply->str, kind_names[kind]) == 0)
			return (enum queue_kind)kind;
	return strcmp(reply->str, "none") == 0 ? QUEUE_EMPTY : QUEUE_OTHER;
}

int queue_ask_depth(struct redis *redis, const char *key, enum queue_kind kind, redis_reply_fn done, void *arg)
{
	const char *command = kind == QUEUE_STREAM ? "XLEN" : kind == QUEUE_ZSET ? "ZCARD" : "LLEN";
	return redis_words(redis, done, arg, command, key, NULL);
}

const char *queue_page_command(const struct page_spec *spec)
{
	if (spec->by_script)
		return "EVAL";
	if (spec->kind == QUEUE_STREAM)
		return spec->from_tail ? "XREVRANGE" : "XRANGE";
	return spec->kind == QUEUE_ZSET ? "ZRANGE" : "LRANGE";
}

struct range {
	char first[64], last[64], count[24];
};

static struct range range_of(const struct page_spec *spec)
{
	struct range range;
	long long from = spec->from, to = from + spec->count;
	bool begins = spec->after.ms == 0 && spec->after.sequence == 0;
	snprintf(range.count, sizeof(range.count), "%u", spec->count);
	if (spec->kind == QUEUE_STREAM) {
		snprintf(range.first, sizeof(range.first), "(%llu-%llu", (unsigned long long)spec->after.ms,
			 (unsigned long long)spec->after.sequence);
		if (begins)
			snprintf(range.first, sizeof(range.first), "%s", spec->from_tail ? "+" : "-");
		snprintf(range.last, sizeof(range.last), "%s", spec->from_tail ? "-" : "+");
	} else if (spec->kind == QUEUE_LIST && spec->from_tail) {
		snprintf(range.first, sizeof(range.first), "%lld", -to);
		snprintf(range.last, sizeof(range.last), "%lld", -from - 1);
	} else {
		snprintf(range.first, sizeof(range.first), "%lld", from);
		snprintf(range.last, sizeof(range.last), "%lld", to - 1);
	}
	return range;
}

int queue_ask_page(struct redis *redis, const struct page_spec *spec, redis_reply_fn done, void *arg)
{
	struct range range = range_of(spec);
	const char *words[ARGUMENTS] = {queue_page_command(spec)};
	uint32_t n = 1;
	if (spec->by_script) {
		words[n++] = page_script;
		words[n++] = "1";
		words[n++] = spec->key;
		words[n++] = kind_names[spec->kind];
		words[n++] = spec->from_tail ? "1" : "0";
		words[n++] = range.count;
		words[n++] = range.first;
		words[n++] = range.last;
		return redis_command(redis, done, arg, n, words, /* lengths */ NULL);
	}
	words[n++] = spec->key;
	words[n++] = range.first;
	words[n++] = range.last;
	if (spec->kind == QUEUE_STREAM) {
		words[n++] = "COUNT";
		words[n++] = range.count;
	} else if (spec->kind == QUEUE_ZSET) {
		if (spec->from_tail)
			words[n++] = "REV";
		words[n++] = "WITHSCORES";
	}
	return redis_command(redis, done, arg, n, words, /* lengths */ NULL);
}

int queue_ask_large(struct redis *redis, const struct page_spec *spec, uint32_t place, const struct entry *entry,
		    size_t most, redis_reply_fn done, void *arg)
{
	char id[ID_TEXT_SIZE], length[24], limit[24], where[64];
	queue_id_text(entry->id, id);
	snprintf(length, sizeof(length), "%llu", (unsigned long long)entry->span);
	snprintf(limit, sizeof(limit), "%zu", most);
	snprintf(where, sizeof(where), "%u", place);
	if (spec->kind == QUEUE_STREAM)
		snprintf(where, sizeof(where), "%llu-%llu", (unsigned long long)entry->stream_id.ms,
			 (unsigned long long)entry->stream_id.sequence);
	return redis_words(redis, done, arg, "EVAL", large_script, "1", spec->key, kind_names[spec->kind],
			   spec->from_tail ? "1" : "0", id, length, where, limit, NULL);
}

/* ---- names ---- */

void queue_id_text(const unsigned char id[ID_BYTES], char text[ID_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	for (int i = 0; i < ID_BYTES; i++) {
		text[2 * i] = hex[id[i] >> 4];
		text[2 * i + 1] = hex[id[i] & 15];
	}
	text[ID_TEXT_SIZE - 1] = '\0';
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int queue_id_parse(const char *text, size_t length, unsigned char id[ID_BYTES])
{
	if (length != ID_TEXT_SIZE - 1)
		return -1;
	for (int i = 0; i < ID_BYTES; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		id[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

static void name_bytes(unsigned char id[ID_BYTES], const char *bytes, size_t length)
{
	EVP_Digest(bytes, length, id, /* size */ NULL, EVP_sha1(), /* engine */ NULL);
}

static void name_fields(unsigned char id[ID_BYTES], const redisReply *fields)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context)
		return;
	EVP_DigestInit_ex(context, EVP_sha1(), /* engine */ NULL);
	for (size_t i = 0; i < fields->elements; i++) {
		EVP_DigestUpdate(context, "", i > 0); /* a NUL between two */
		EVP_DigestUpdate(context, fields->element[i]->str, fields->element[i]->len);
	}
	EVP_DigestFinal_ex(context, id, /* size */ NULL);
	EVP_MD_CTX_free(context);
}

/* ---- what is in a page ---- */

uint32_t queue_page_entries(const struct page_spec *spec, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY)
		return 0;
	return (uint32_t)(spec->kind == QUEUE_ZSET ? reply->elements / 2 : reply->elements);
}

/* Bytes, or what stands for bytes that are too large. */
static bool take_value(const redisReply *value, struct entry *entry)
{
	if (value->type == REDIS_REPLY_STRING) {
		entry->raw = value->str;
		entry->length = entry->span = value->len;
		name_bytes(entry->id, value->str, value->len);
		return true;
	}
	entry->is_large = true;
	if (value->type == REDIS_REPLY_ARRAY && value->elements == 2 && value->element[0]->type == REDIS_REPLY_STRING &&
	    value->element[1]->type == REDIS_REPLY_INTEGER && value->element[1]->integer >= 0) {
		entry->length = entry->span = (size_t)value->element[1]->integer;
		entry->has_id = queue_id_parse(value->element[0]->str, value->element[0]->len, entry->id) == 0;
		return entry->has_id;
	}
	return redis_is_error(value, "TOOLARGE");
}

static bool take_stream_id(const redisReply *id, struct stream_id *ret_id)
{
	char *end;
	if (id->type != REDIS_REPLY_STRING)
		return false;
	ret_id->ms = strtoull(id->str, &end, 10);
	if (*end != '-')
		return false;
	ret_id->sequence = strtoull(end + 1, &end, 10);
	return *end == '\0';
}

/* An entry without the field that holds the message is itself the message: its fields are the members. */
static void make_object(const redisReply *fields, struct entry *entry)
{
	size_t room = 3, at = 0;
	for (size_t i = 0; i < fields->elements; i++)
		room += text_json_room(fields->element[i]->len) + 1;
	entry->made = malloc(room);
	if (!entry->made)
		return;
	entry->made[at++] = '{';
	for (size_t i = 0; i < fields->elements; i++) {
		if (i > 0)
			entry->made[at++] = i % 2 ? ':' : ',';
		at += text_json(entry->made + at, room - at, fields->element[i]->str, fields->element[i]->len);
	}
	entry->made[at++] = '}';
	entry->raw = entry->made;
	entry->length = at;
}

static void take_message(const redisReply *fields, const char *field, struct entry *entry)
{
	const redisReply *message = fields->elements == 2 ? fields->element[1] : NULL;
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (fields->element[i]->len == strlen(field) &&
		    memcmp(fields->element[i]->str, field, fields->element[i]->len) == 0)
			message = fields->element[i + 1];
	if (message) {
		entry->raw = message->str;
		entry->length = message->len;
	} else {
		make_object(fields, entry);
	}
}

static bool take_fields(const redisReply *fields, const char *field, struct entry *entry)
{
	if (fields->type != REDIS_REPLY_ARRAY || fields->elements < 2 || fields->elements % 2)
		return false;
	for (size_t i = 0; i < fields->elements; i++) {
		if (redis_is_error(fields->element[i], "TOOLARGE"))
			entry->is_large = true;
		else if (fields->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	if (entry->is_large)
		return true;
	name_fields(entry->id, fields);
	entry->span = fields->elements - 1;
	for (size_t i = 0; i < fields->elements; i++)
		entry->span += fields->element[i]->len;
	take_message(fields, field, entry);
	return entry->raw != NULL;
}

static bool take_stream_entry(const redisReply *reply, const char *field, struct entry *entry)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
	    !take_stream_id(reply->element[0], &entry->stream_id))
		return false;
	if (reply->elements == 2)
		return take_fields(reply->element[1], field, entry);
	entry->is_large = true;
	entry->span = reply->element[2]->type == REDIS_REPLY_INTEGER ? (uint64_t)reply->element[2]->integer : 0;
	entry->length = entry->span;
	entry->has_id = reply->element[1]->type == REDIS_REPLY_STRING &&
			queue_id_parse(reply->element[1]->str, reply->element[1]->len, entry->id) == 0;
	return entry->has_id;
}

bool queue_entry(const struct page_spec *spec, const redisReply *reply, uint32_t i, const char *field,
		 struct entry *ret_entry)
{
	*ret_entry = (struct entry){0};
	if (spec->kind == QUEUE_STREAM)
		return take_stream_entry(reply->element[i], field, ret_entry);
	if (spec->kind == QUEUE_ZSET) {
		const redisReply *score = reply->element[2 * (size_t)i + 1];
		ret_entry->score = score->type == REDIS_REPLY_STRING ? strtod(score->str, NULL) : 0;
		return take_value(reply->element[2 * (size_t)i], ret_entry);
	}
	return take_value(reply->element[spec->from_tail ? reply->elements - 1 - i : i], ret_entry);
}

void queue_entry_release(struct entry *entry)
{
	free(entry->made);
	entry->made = NULL;
}

/* ---- what is large ---- */

static size_t pieces_length(const redisReply *part)
{
	size_t length = 0;
	for (size_t i = 0; part->type == REDIS_REPLY_ARRAY && i < part->elements; i++)
		length += part->element[i]->type == REDIS_REPLY_STRING ? part->element[i]->len : 0;
	return length;
}

static char *join_pieces(const redisReply *part, char *out)
{
	for (size_t i = 0; part->type == REDIS_REPLY_ARRAY && i < part->elements; i++)
		if (part->element[i]->type == REDIS_REPLY_STRING) {
			memcpy(out, part->element[i]->str, part->element[i]->len);
			out += part->element[i]->len;
		}
	return out;
}

bool queue_large(const redisReply *reply, const char *field, struct entry *entry)
{
	size_t room = 1;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || reply->elements > FIELDS_MAX)
		return false;
	for (size_t i = 0; i < reply->elements; i++)
		room += pieces_length(reply->element[i]);
	char *bytes = malloc(room), *end = bytes;
	redisReply parts[FIELDS_MAX], *pointers[FIELDS_MAX];
	if (!bytes)
		return false;
	for (size_t i = 0; i < reply->elements; i++) {
		parts[i] = (redisReply){.type = REDIS_REPLY_STRING, .str = end};
		end = join_pieces(reply->element[i], end);
		parts[i].len = (size_t)(end - parts[i].str);
		pointers[i] = &parts[i];
	}
	redisReply whole = {.type = REDIS_REPLY_ARRAY, .elements = reply->elements, .element = pointers};
	if (reply->elements == 1) {
		entry->raw = bytes;
		entry->length = parts[0].len;
	} else {
		take_message(&whole, field, entry);
	}
	if (entry->made)
		free(bytes); /* the object has all of it */
	else
		entry->made = bytes;
	return entry->raw != NULL;
}
