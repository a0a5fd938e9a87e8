/* SPDX-License-Identifier: MIT
 *
 * What the files of redis-calls share: struct watch is one instance. Reading order:
 *
 *   redis-calls.c  the descriptor, options, start and stop, the tick of one second, what the state is
 *   samples.c      the readings: metrics and coverage
 *   calls.c        what is known about a call, and its health
 *   pages.c        asking Redis about many calls at once: fetch, ask, and the pages of a sweep
 *   sweep.c        going through all calls, gently
 *   events.c       the channels and the keyspace events
 *   checks.c       the rungs of `callwatch doctor`
 *   names.c        the names of businesses, asked of a lookup
 *   parse.c, wheel.c, seen.c, businesses.c   pure parts
 *
 * Three connections: `commands` asks; `channels` is subscribed to the platform's channels; `keyspace` is subscribed to
 * the events of call_ctx:* where the server has them on (apart, since a refused PSUBSCRIBE ends a connection).
 *
 * Events speed up, the sweep decides. Whatever an event says, the call is asked for; a reply whose command was sent
 * before the key's last event is thrown away and asked for again (seen.h, `recent`).
 */
#ifndef REDIS_CALLS_WATCH_H
#define REDIS_CALLS_WATCH_H

#include "checks.h"
#include "connect/redis.h"
#include "parse.h"
#include "seen.h"
#include "wheel.h"

#include <uv.h>

enum { EXTRA_MAX = 16, PAGE_KEYS = 500, SCAN_COUNT = 1000, ROUND_TRIPS = 20, ENDED_BINS = 10 };

enum calls_column {
	COLUMN_SID,
	COLUMN_BUSINESS,
	COLUMN_BUSINESS_NAME,
	COLUMN_FROM,
	COLUMN_TO,
	COLUMN_START,
	COLUMN_DURATION,
	COLUMN_LAST_HEARTBEAT,
	COLUMN_HEARTBEAT_AGE,
	COLUMN_HEALTH,
	COLUMN_HEALTH_SINCE,
	COLUMN_REASON,
	COLUMN_LOG_ID,
	CALLS_COLUMNS
};

enum channels_column {
	COLUMN_CHANNEL,
	COLUMN_STATE,
	COLUMN_MESSAGES,
	COLUMN_RATE,
	COLUMN_LAST_MESSAGE,
	CHANNELS_COLUMNS
};

enum health { HEALTHY, HEALTH_WARNING, STALE, HEALTHS };
enum channel_state { CHANNEL_UP, CHANNEL_SILENT, CHANNEL_DOWN };
enum channel_id { CHANNEL_HEARTBEAT, CHANNEL_LOGS, CHANNEL_DLQ, CHANNELS };
enum { VIA_CHANNEL, VIA_KEY, VIAS };

enum {
	CALL_KNOWN = 1,     /* this entry is in use */
	CALL_BEAT = 2,      /* a heartbeat has been seen: `alive` is its instant; else where its age is counted from */
	CALL_STARTED = 4,   /* start_s is known */
	CALL_BIG = 8,       /* has a field too large to be read blindly */
	CALL_BARE = 16,     /* of an earlier life of this source: nothing but its row is known */
	CALL_SUSPECT = 32,  /* a sweep did not meet it: does it exist? */
	CALL_UNJUDGED = 64, /* its heartbeat moved but its clock makes it look old: wait once more */
	CALL_HEARD = 128    /* what it was last known to be alive by was a message */
};

/* About one row of the table, found by row number. 40 bytes, for there may be a million. */
struct call {
	int64_t alive;          /* instant */
	int64_t claimed;        /* the heartbeat key's value when last read, wall time; INT64_MIN: none */
	struct wheel_link link; /* deadline */
	uint32_t read_s;        /* when its key was last read, seconds since watch.origin */
	int32_t start_s;        /* its start as an instant, seconds since watch.origin */
	uint32_t fields;        /* keyed hash of what is shown of its hash */
	uint16_t malformed;     /* kinds it has been counted for */
	uint8_t flags, health;
};

struct business;
struct businesses; /* those that have calls, when `breakdown` or `lookup` is set */

/* What is asked of the lookup. */
struct names {
	struct cw_lookup *way; /* NULL: no lookup is named */
	uv_timer_t ask, walk;
	uint32_t at;     /* row at which the walk over the rows goes on; 0: it is over */
	uint32_t number; /* of the walk under way, or the last one */
	bool is_wanted;  /* there are changes that it does not show */
	bool is_away;    /* the lookup took no question: `ask` waits a second */
};

struct calls {
	struct call *items; /* by row number */
	uint32_t room, used;
	uint64_t known;
	uint32_t big; /* with CALL_BIG */
	struct wheel wheel;
	struct businesses *businesses;
};

struct histogram {
	uint64_t buckets[16];
	uint64_t count;
	double sum;
};

struct settings {
	struct redis_address address;
	const char *username, *password;
	int64_t warning_after, stale_after, short_after, max_age;
	double budget;
	uint32_t capacity, top;
	bool breakdown;
	const char *lookup; /* an instance's name, or NULL */
	const char *ctx_prefix, *beat_prefix;
	size_t ctx_length, beat_length;
	const char *channels[CHANNELS];
	struct cw_column extra_columns[EXTRA_MAX];
	const char *extra_fields[EXTRA_MAX];
	uint32_t extras;
};

struct page;

/* Pages on their way, and the one being filled. */
struct pages {
	struct page *oldest, *newest; /* sent, in the order of their answers */
	struct page *fetch, *ask;     /* being filled; NULL: none */
	struct page *lost;            /* the page whose reply was too large: read carefully, key by key */
	uint32_t fetching, asking;    /* pages sent of each kind */
	uv_timer_t timer;
	char *hmget; /* RESP of HMGET's names, and how long */
	size_t hmget_length;
	char *buffer; /* for writing commands */
	size_t buffer_room;
};

struct sweep {
	bool running, full_speed, wanted;
	bool ever;      /* one has been completed */
	bool was_reset; /* the last one found nothing where there had been calls */
	bool lost;      /* SCAN was in flight when the connection went, and no page before it */
	char cursor[24];
	uint32_t count, pages;            /* COUNT of SCAN; pages on their way */
	uint32_t skipped, skipped_before; /* keys with names too large to be read; in the sweep before, and counted */
	uint64_t found;
	int64_t began, began_wall, page_began, next;
	bool settling; /* complete, but who was missing in it is still being asked for; began: */
	int64_t settling_began, settling_began_wall;
	int64_t last_began, last_began_wall, last_duration; /* of the last complete one */
	int64_t confirmed_wall;                             /* when a row was last confirmed */
	char run_id[48];
	uv_timer_t timer;
};

struct channel {
	enum channel_state state;
	uint64_t messages, messages_before;
	int64_t last; /* wall */
	double rate;
};

struct watch {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	struct settings settings;
	struct cw_part *calls_part, *channels_part;

	struct tls_client *tls; /* NULL: without */
	struct redis *commands, *channels, *keyspace;
	struct checks *checks;
	struct calls calls;
	struct names names;
	struct pages pages;
	struct sweep sweep;
	struct channel channel[CHANNELS];

	/* time */
	int64_t origin; /* instant of start: what fits into 32 bits counts from here */
	bool has_redis_time;
	int64_t redis_offset; /* Redis' wall time − instant */
	int64_t start_offset; /* the same, but followed only when it moves by more than 100 ms: rows must not flutter */
	uint32_t offset_epoch;
	int64_t skew; /* Redis' wall time − ours */
	uv_timer_t tick;
	int64_t last_tick;
	int64_t slept_from, woke; /* instants of our last sleep; 0: none */

	/* events */
	struct seen recent, absent, reported; /* tombstones; not there a moment ago; malformed and counted */
	uint32_t sequence;                    /* of events */
	bool channels_live, keyspace_live, keyspace_waits;
	uint32_t probes, probe_ticks;   /* on the way; ticks since the last was sent */
	uint32_t backlog;               /* probes to be answered until what waited while we slept is through; 0: none */
	int64_t probe_sent, last_probe; /* of the channels, of the keyspace events */
	int64_t last_shown;             /* table `channels` */
	char probe_channel[48];
	int64_t channels_since,
		commands_until;    /* instants: when the channels' connection came up; when that of commands went */
	uint64_t silent_key_beats; /* heartbeats found in keys since the channel last spoke */
	int64_t channels_heard;    /* instant of the last message or answered probe on the channels' connection */
	int64_t last_beat;         /* instant of the last message on the heartbeat channel */

	/* what is said */
	bool blind; /* not every call has been seen since the connection was made: no gauges */
	char commands_reason[REDIS_ERROR_MAX], channels_reason[REDIS_ERROR_MAX], refused[REDIS_ERROR_MAX];
	int64_t next_try;
	bool first_waits, first_failed, was_replica, time_waits, time_alone;
	uint32_t rights; /* of the round under way, those that were there */
	int64_t round_trips[ROUND_TRIPS];
	uint32_t round_trips_count;
	int64_t least_round_trip, time_sent;

	/* counts */
	uint64_t commands_before; /* of connections that are closed by now */
	uint64_t started, ended[HEALTHS], beats[VIAS], malformed[MALFORMED_KINDS];
	struct histogram durations, delays;
	struct {
		int64_t bin;
		uint64_t ended, brief;
	} recent_ends[ENDED_BINS];
	unsigned char hash_key[16];
};

/* redis-calls.c */
void watch_say(struct watch *watch); /* tells the host the state that follows from what is known */
void watch_malformed(struct watch *watch, enum malformed kind);
void watch_log_key(struct watch *watch, const char *key, size_t length, enum malformed kind);
int64_t watch_redis_wall(const struct watch *watch); /* Redis' wall time now */
void watch_notice_sleep(struct watch *watch); /* have we, or the machine, stood still? Look at everything again */
void watch_first_done(struct watch *watch, int status);                           /* the first reading, if it waits */
uint64_t watch_hash(const struct watch *watch, const void *bytes, size_t length); /* keyed */

/* samples.c */
enum { METRICS = 23 };
extern const struct cw_metric watch_metrics[METRICS];
int watch_read(void *state);
void histogram_add(struct histogram *histogram, const double *bounds, uint32_t n, double value);
void samples_ended(struct watch *watch, const struct call *call);
void samples_delay(struct watch *watch, int64_t delay);
int64_t samples_slow(const struct watch *watch);    /* p95 of the last round trips */
double samples_coverage(const struct watch *watch); /* share of the calls confirmed within max_age; NaN: not known */

/* calls.c */
int calls_init(struct watch *watch);
void calls_release(struct watch *watch);
struct call *calls_find(struct watch *watch, const char *sid, size_t length, uint32_t *ret_row); /* NULL: not known */
/* What the hash and the heartbeat key of a call say; `sent`: instant at which they were asked for. */
struct answer {
	const char *sid;
	size_t length;
	const redisReply *hash;
	const char *beat; /* the heartbeat's value */
	size_t beat_length;
	uint32_t malformed; /* seen on the way: WRONG_TYPE of the heartbeat key, TOO_LARGE fields */
	int64_t sent;
	bool careful;      /* has large fields */
	bool without_beat; /* its heartbeat was not asked for: nothing is known of it, rather than that there is none */
};
void calls_read(struct watch *watch, const struct answer *answer);
void calls_beat(struct watch *watch, uint32_t row, struct call *call, const struct beat *beat);
/* The answer to having asked about a call that was due. */
void calls_asked(struct watch *watch, uint32_t row, struct call *call, const struct answer *answer);
void calls_end(struct watch *watch, uint32_t row, struct call *call, const char *why);
/* A message of it came so lately that its heartbeat key need not be read: long before its silence is judged, it will.
 */
bool calls_is_heard(const struct watch *watch, const struct call *call);
void calls_suspect(struct watch *watch, uint32_t row);
void calls_ask_due(struct watch *watch);                                 /* asks about calls whose deadline has come */
void calls_refile(struct watch *watch, uint32_t row, struct call *call); /* asked in vain: again later */

/* pages.c */
int pages_init(struct watch *watch);
void pages_release(struct watch *watch);
/* Reads a call soon. `again`: even if it is being read already, for something happened to it since. */
void pages_fetch(struct watch *watch, const char *sid, size_t length, bool again);
void pages_ask(struct watch *watch, const char *sid, size_t length); /* is it still there, has it beaten? */
bool pages_asking_full(const struct watch *watch);
bool pages_ask_nothing(const struct watch *watch); /* no question is open or waits */
void pages_soon(struct watch *watch);              /* sends what waits, in 20 ms */
void pages_sweep(struct watch *watch, const redisReply *keys);
void pages_careful(struct watch *watch); /* reads the lost page, if there is one, key by key */
void pages_forget_lost(struct watch *watch);

/* names.c */
int names_start(struct watch *watch);
void names_stop(struct watch *watch);
void names_soon(struct watch *watch);                       /* there may be a business to be asked for */
struct cw_cell names_cell(const struct business *business); /* its name; NULL: no business */

/* sweep.c */
void sweep_init(struct watch *watch);
void sweep_want(struct watch *watch); /* as soon as possible, at full speed */
void sweep_page_done(struct watch *watch);
void sweep_abort(struct watch *watch);
void sweep_refused(struct watch *watch, const redisReply *error, const char *command);
void sweep_tick(struct watch *watch);
void sweep_settle(struct watch *watch); /* if nothing is asked any more, the last sweep counts */

/* events.c */
int events_start(struct watch *watch);
void events_tick(struct watch *watch);
void events_server_changed(struct watch *watch); /* commands go to another server now */
void events_slept(struct watch *watch);          /* what has been said meanwhile still lies in a buffer */
void events_keyspace_check(struct watch *watch); /* asks whether the server has them on */
void events_show(struct watch *watch);           /* table `channels` */
bool events_beats_only_in_keys(
	const struct watch *watch); /* the heartbeat channel has been silent for long, but calls beat */
bool events_classes_suffice(
	const char *classes); /* notify-keyspace-events of Redis: are calls' births and ends in it? */
/* Has an event that contradicts (it was removed, it was written) come in since `sequence`? */
bool events_contradict(const struct watch *watch, uint64_t key_hash, uint32_t sequence, bool exists);

#endif
