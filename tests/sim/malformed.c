/* SPDX-License-Identifier: MIT
 *
 * See malformed.h. A table says what each kind does to an otherwise good call: another key type, another sid, other
 * fields, another heartbeat.
 */
#include "malformed.h"

#include <stdlib.h>
#include <string.h>

enum what {
	HASH = 0,   /* a call_ctx hash, as it should be */
	NO_CONTEXT, /* only a heartbeat */
	STRING,
	LIST,
	SET,
	ZSET,
	STREAM,
	HEARTBEAT_HASH, /* call_heartbeat is a hash */
	HEARTBEAT_LIST,
	HUGE_HEARTBEAT, /* 512 MB string as heartbeat */
	HUGE_CONTEXT,   /* 512 MB string as context */
	HUGE_FIELD,     /* 64 MB in one field */
	MANY_FIELDS     /* a million */
};

#define BYTES(literal) literal, sizeof(literal) - 1
#define NOW            ((const char *)1) /* heartbeat: the time of writing */
#define NONE           ((const char *)0) /* heartbeat: no key; field: absent */

struct odd {
	const char *kind;
	enum what what;
	const char *sid; /* put behind a unique beginning; NULL: nothing */
	size_t sid_length;
	unsigned sid_pad;          /* the sid is filled up with x to this length */
	const char *field, *value; /* one field that differs; value NONE: it is absent */
	size_t value_length;
	const char *heartbeat;
};

#define FIELD(name, bytes) .field = name, .value = bytes, .value_length = sizeof(bytes) - 1, .heartbeat = NOW
#define WITHOUT(name)      .field = name, .value = NONE, .heartbeat = NOW
#define SID(bytes)         .sid = bytes, .sid_length = sizeof(bytes) - 1, .heartbeat = NOW

static const struct odd odds[] = {
	{"context-string", STRING, .heartbeat = NOW},
	{"context-list", LIST, .heartbeat = NOW},
	{"context-set", SET, .heartbeat = NOW},
	{"context-zset", ZSET, .heartbeat = NOW},
	{"context-stream", STREAM, .heartbeat = NOW},
	{"heartbeat-hash", HEARTBEAT_HASH, .heartbeat = NONE},
	{"heartbeat-list", HEARTBEAT_LIST, .heartbeat = NONE},
	{"heartbeat-only", NO_CONTEXT, .heartbeat = NOW},
	{"heartbeat-absent", HASH, .heartbeat = NONE},
	{"heartbeat-empty", HASH, .heartbeat = ""},
	{"heartbeat-junk", HASH, .heartbeat = "soon"},
	{"heartbeat-nan", HASH, .heartbeat = "nan"},
	{"heartbeat-inf", HASH, .heartbeat = "inf"},
	{"heartbeat-hex", HASH, .heartbeat = "0x68fe3d00"},
	{"heartbeat-exponent", HASH, .heartbeat = "1e999999"},
	{"heartbeat-negative", HASH, .heartbeat = "-1761480000"},
	{"heartbeat-spaces", HASH, .heartbeat = " 1761480000 "},
	{"heartbeat-trailing", HASH, .heartbeat = "1761480000.5s"},
	{"heartbeat-iso", HASH, .heartbeat = "2025-10-26T12:00:00Z"},
	{"heartbeat-milliseconds", HASH, .heartbeat = "1761480000123"},
	{"heartbeat-1970", HASH, .heartbeat = "0.000"},
	{"heartbeat-year-10000", HASH, .heartbeat = "253402300800.0"},
	{"heartbeat-future", HASH, .heartbeat = "4102444800.0"},
	{"heartbeat-long", HASH,
	 .heartbeat = "1761480000.123456789012345678901234567890123456789012345678901234567890"},
	{"no-business", HASH, WITHOUT("business_id")},
	{"no-from", HASH, WITHOUT("from_phone_number")},
	{"no-to", HASH, WITHOUT("to_phone_number")},
	{"no-start", HASH, WITHOUT("start_time")},
	{"no-log-id", HASH, WITHOUT("call_log_id")},
	{"no-field-known", HASH, WITHOUT("*")},
	{"unknown-field", HASH, FIELD("colour", "green")},
	{"start-empty", HASH, FIELD("start_time", "")},
	{"start-junk", HASH, FIELD("start_time", "yesterday at noon")},
	{"start-unix", HASH, FIELD("start_time", "1761480000")},
	{"start-date-only", HASH, FIELD("start_time", "2025-10-26")},
	{"start-13th-month", HASH, FIELD("start_time", "2025-13-01T00:00:00Z")},
	{"start-30th-february", HASH, FIELD("start_time", "2025-02-30T00:00:00Z")},
	{"start-25-hours", HASH, FIELD("start_time", "2025-10-26T25:00:00Z")},
	{"start-leap-second", HASH, FIELD("start_time", "2016-12-31T23:59:60Z")},
	{"start-1970", HASH, FIELD("start_time", "1970-01-01T00:00:00")},
	{"start-year-1", HASH, FIELD("start_time", "0001-01-01T00:00:00")},
	{"start-year-10000", HASH, FIELD("start_time", "10000-01-01T00:00:00Z")},
	{"start-future", HASH, FIELD("start_time", "2100-01-01T00:00:00Z")},
	{"start-offset", HASH, FIELD("start_time", "2025-10-26T12:00:00.123+05:30")},
	{"start-offset-odd", HASH, FIELD("start_time", "2025-10-26T12:00:00+99:99")},
	{"start-space", HASH, FIELD("start_time", "2025-10-26 12:00:00")},
	{"start-nul", HASH, FIELD("start_time", "2025-10-26T12:00:00\0Z")},
	{"field-invalid-utf8", HASH, FIELD("business_id", "caf\xe9 \xc3\x28 \xed\xa0\x80 \xf8\x88\x80\x80\x80 end")},
	{"field-control", HASH, FIELD("business_id", "one\ntwo\r\x1b[31mred\x07\x1b]8;;http://x\x07")},
	{"field-nul", HASH, FIELD("business_id", "before\0after")},
	{"field-empty", HASH, FIELD("business_id", "")},
	{"field-bidi", HASH,
	 FIELD("business_id", "abc\xe2\x80\xae"
			      "fed\xe2\x81\xa6x")},
	{"field-emoji", HASH, FIELD("business_id", "\xf0\x9f\x93\x9e caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac")},
	{"field-html", HASH, FIELD("business_id", "<img src=x onerror=alert(1)>\"'&")},
	{"field-formula", HASH, FIELD("business_id", "=HYPERLINK(\"http://x\")")},
	{"field-quotes", HASH, FIELD("business_id", "a,b;\"c\"\\d{e}|f")},
	{"phone-short", HASH, FIELD("from_phone_number", "7")},
	{"phone-junk", HASH, FIELD("from_phone_number", "anonymous")},
	{"phone-sip", HASH, FIELD("from_phone_number", "sip:alice@example.net;transport=tls")},
	{"phone-invalid-utf8", HASH,
	 FIELD("to_phone_number", "+1\xff\xfe"
				  "5550132")},
	{"phone-control", HASH, FIELD("to_phone_number", "+1415\t555\n0132")},
	{"sid-short", HASH, SID("")},
	{"sid-invalid-utf8", HASH, SID("\xff\xfe\xc3\x28")},
	{"sid-control", HASH, SID("a\nb\rc\x1b[2Jd")},
	{"sid-nul", HASH, SID("a\0b")},
	{"sid-space", HASH, SID("a b")},
	{"sid-colon", HASH, SID(":a:b")},
	{"sid-glob", HASH, SID("*?[a-z]\\")},
	{"sid-utf8", HASH, SID("\xe6\x97\xa5\xe6\x9c\xac\xf0\x9f\x93\x9e")},
	{"sid-bidi", HASH, SID("x\xe2\x80\xaey")},
	{"sid-128", HASH, .sid_pad = 128, .heartbeat = NOW},
	{"sid-129", HASH, .sid_pad = 129, .heartbeat = NOW},
	{"sid-300", HASH, .sid_pad = 300, .heartbeat = NOW},
	{"sid-10000", HASH, .sid_pad = 10000, .heartbeat = NOW},
	/* From here on only with `huge`. */
	{"huge-field", HUGE_FIELD, .heartbeat = NOW},
	{"huge-heartbeat", HUGE_HEARTBEAT, .heartbeat = NONE},
	{"huge-context", HUGE_CONTEXT, .heartbeat = NOW},
	{"million-fields", MANY_FIELDS, .heartbeat = NOW},
};

enum { COUNT = sizeof odds / sizeof *odds, HUGE_COUNT = 4, FIRST_NUMBER = 0x40000000, SID_MAX = 10240 };

struct key {
	char bytes[32 + SID_MAX];
	size_t length;
};

static void key_make(struct key *key, const char *prefix, const char *sid, size_t length)
{
	size_t n = strlen(prefix);
	memcpy(key->bytes, prefix, n);
	memcpy(key->bytes + n, sid, length);
	key->length = n + length;
}

static size_t sid_make(char sid[SID_MAX], const struct odd *odd, const struct world *world, uint32_t number)
{
	size_t length = (size_t)snprintf(sid, SID_MAX, "odd-%s-%llx", odd->kind,
					 (unsigned long long)content_random(world, 0x0dd, number) & 0xffffffffff);
	if (odd->sid) {
		memcpy(sid + length, odd->sid, odd->sid_length);
		length += odd->sid_length;
	}
	if (odd->sid_pad > length) {
		memset(sid + length, 'x', odd->sid_pad - length);
		length = odd->sid_pad;
	}
	return length;
}

static void command(struct link *link, const char *name, const struct key *key, const char *a, const char *b)
{
	const char *argv[] = {name, key->bytes, a, b};
	size_t lengths[] = {strlen(name), key->length, a ? strlen(a) : 0, b ? strlen(b) : 0};
	link_command(link, 2 + !!a + !!b, argv, lengths);
}

static void write_hash(struct link *link, const struct key *key, const struct odd *odd, const struct content *content)
{
	const char *fields[] = {
		"business_id",
		content->business_id,
		"from_phone_number",
		content->from,
		"to_phone_number",
		content->to,
		"start_time",
		content->start_time,
		"call_log_id",
		content->call_log_id[0] ? content->call_log_id : "c0ffee00-0000-4000-8000-000000000000"};
	bool nothing = odd->field && odd->field[0] == '*';
	const char *argv[20] = {"HSET", key->bytes};
	size_t lengths[20] = {4, key->length};
	int argc = 2;
	for (unsigned i = 0; i < 10 && !nothing; i += 2) {
		if (odd->field && !strcmp(odd->field, fields[i])) {
			continue;
		}
		for (unsigned j = i; j < i + 2; j++, argc++) {
			argv[argc] = fields[j];
			lengths[argc] = strlen(fields[j]);
		}
	}
	if (nothing || (odd->field && odd->value != NONE)) {
		argv[argc] = nothing ? "colour" : odd->field;
		lengths[argc] = strlen(argv[argc]);
		argv[argc + 1] = nothing ? "blue" : odd->value;
		lengths[argc + 1] = nothing ? 4 : odd->value_length;
		argc += 2;
	}
	link_command(link, argc, argv, lengths);
}

static void write_many_fields(struct link *link, const struct key *key)
{
	char name[24];
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(name, sizeof name, "field%u", i);
		command(link, "HSET", key, name, "1");
	}
}

static void write_huge_field(struct link *link, const struct key *key)
{
	enum { SIZE = 64 << 20 };
	char *value = malloc(SIZE);
	if (value) {
		memset(value, 'a', SIZE);
		const char *argv[] = {"HSET", key->bytes, "business_id", value};
		size_t lengths[] = {4, key->length, 11, SIZE};
		link_command(link, 4, argv, lengths);
		link_flush(link);
	}
	free(value);
}

static void write_context(struct link *link, const struct key *key, const struct odd *odd,
			  const struct content *content)
{
	const char *stream[] = {"XADD", key->bytes, "*", "a", "b"};
	size_t lengths[] = {4, key->length, 1, 1, 1};
	switch (odd->what) {
	case STRING:
		command(link, "SET", key, "1", NULL);
		break;
	case LIST:
		command(link, "RPUSH", key, "1", NULL);
		break;
	case SET:
		command(link, "SADD", key, "1", NULL);
		break;
	case ZSET:
		command(link, "ZADD", key, "1", "one");
		break;
	case STREAM:
		link_command(link, 5, stream, lengths);
		break;
	case NO_CONTEXT:
		break;
	case HUGE_CONTEXT:
		command(link, "SETRANGE", key, "536870910", "xx");
		break;
	default:
		write_hash(link, key, odd, content);
		if (odd->what == MANY_FIELDS) {
			write_many_fields(link, key);
		} else if (odd->what == HUGE_FIELD) {
			write_huge_field(link, key);
		}
	}
}

static void write_heartbeat(struct link *link, const struct key *key, const struct odd *odd)
{
	char now[TIME_SIZE];
	if (odd->what == HEARTBEAT_HASH) {
		command(link, "HSET", key, "a", "b");
	} else if (odd->what == HEARTBEAT_LIST) {
		command(link, "RPUSH", key, "1", NULL);
	} else if (odd->what == HUGE_HEARTBEAT) {
		command(link, "SETRANGE", key, "536870910", "xx");
	} else if (odd->heartbeat) {
		content_unix(now, now_us());
		command(link, "SET", key, odd->heartbeat == NOW ? now : odd->heartbeat, NULL);
	}
}

uint32_t malformed_write(struct link *link, const struct world *world, uint32_t n, bool huge, FILE *record)
{
	static char sid[SID_MAX];
	static struct key key;
	uint32_t kinds = huge ? COUNT : COUNT - HUGE_COUNT;
	if (huge)
		link_patience(link, 60);
	for (uint32_t i = 0; i < n; i++) {
		const struct odd *odd = &odds[i % kinds];
		struct content content;
		content_make(world, FIRST_NUMBER + i, now_us() - 60000000, &content);
		size_t length = sid_make(sid, odd, world, i);
		key_make(&key, "call_ctx:", sid, length);
		write_context(link, &key, odd, &content);
		key_make(&key, "call_heartbeat:", sid, length);
		write_heartbeat(link, &key, odd);
		if (record) {
			fprintf(record, "%s\t", odd->kind);
			for (size_t j = 0; j < length; j++) {
				fprintf(record, "%02x", (unsigned char)sid[j]);
			}
			fputc('\n', record);
		}
	}
	link_flush(link);
	if (huge)
		link_patience(link, LINK_PATIENCE_S);
	if (record) {
		fflush(record);
	}
	return n;
}
