/* SPDX-License-Identifier: MIT
 *
 * What the platform writes, read tolerantly: keys, the hash of a call, heartbeat values and messages. Pure functions on
 * untrusted bytes; nothing is allocated except by jansson, within a bound.
 *
 * Each thing that is not as it should be is a *kind*; a call remembers which kinds it has been counted for.
 */
#ifndef REDIS_CALLS_PARSE_H
#define REDIS_CALLS_PARSE_H

#include "callwatch/types.h"

#include <hiredis/hiredis.h>

enum malformed {
	WRONG_TYPE,    /* call_ctx:… is no hash, call_heartbeat:… no string */
	MISSING_FIELD, /* of a hash, or empty */
	BAD_TIME,      /* start_time that cannot be read, or outside the years 1678 to 2261 */
	FUTURE_TIME,   /* a start or a heartbeat more than 5 s ahead of Redis' clock */
	BAD_NUMBER,    /* heartbeat value */
	BAD_UTF8,      /* in a field */
	CONTROL_CHARS, /* in a field */
	TOO_LARGE,     /* a field over FIELD_MAX bytes: shown as not known */
	KEY_TOO_LONG,  /* call_sid over SID_MAX bytes: no row */
	BAD_KEY,       /* call_sid empty, not UTF-8 or with control characters: no row */
	BAD_MESSAGE,   /* on the heartbeat channel */
	MALFORMED_KINDS
};
extern const char *const malformed_names[MALFORMED_KINDS + 1];

enum { SID_MAX = 128, FIELD_MAX = 256, HEARTBEAT_VALUE_MAX = 64, MESSAGE_MAX = 4096 };
/* The known fields, in the order they are asked for; extra fields follow. */
enum field { BUSINESS_ID, FROM_PHONE, TO_PHONE, START_TIME, CALL_LOG_ID, KNOWN_FIELDS };
extern const char *const field_names[KNOWN_FIELDS];

/* 0, -EMSGSIZE (KEY_TOO_LONG) or -EINVAL (BAD_KEY). */
int parse_sid(const char *sid, size_t length);

/* A text of the reply; NULL text: not known. */
struct text {
	const char *text;
	uint32_t length;
};

struct call_hash {
	bool is_empty;                   /* every field nil: no such key, or a hash with none of them */
	struct text texts[KNOWN_FIELDS]; /* all but START_TIME */
	bool has_start;
	int64_t start;      /* wall time */
	uint32_t malformed; /* bits of enum malformed */
};

/* The reply of HMGET with at least KNOWN_FIELDS elements; borrowed texts. `wall`: Redis' time. -EINVAL: no such array.
 */
int parse_call(const redisReply *reply, int64_t wall, struct call_hash *ret_hash);
/* One field for showing: NULL text where nil, empty or too large; adds to *malformed. */
struct text parse_field(const redisReply *reply, uint32_t *malformed);

/* The value of a heartbeat key: 0, -ENOENT (none), or -EINVAL with a bit in *malformed. */
int parse_heartbeat(const char *value, size_t length, int64_t wall, int64_t *ret_time, uint32_t *malformed);

struct beat {
	struct text sid; /* borrowed from the message or from `buffer` */
	bool has_time;
	int64_t time; /* wall time as claimed */
	char buffer[SID_MAX + 1];
};
/* A message of the heartbeat channel: a bare call_sid or JSON. 0 or -EINVAL. */
int parse_beat(const char *message, size_t length, struct beat *ret_beat);
/* The two readers of JSON behind it, apart for the fuzz target: the fast one reads the flat form only and says -ENOTSUP
 * for anything else, the other is jansson. Where the fast one says 0 they agree. */
int parse_beat_flat(const char *message, size_t length, struct beat *ret_beat);
int parse_beat_json(const char *message, size_t length, struct beat *ret_beat);

#endif
