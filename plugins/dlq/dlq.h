/* SPDX-License-Identifier: MIT
 *
 * What the files of dlq share: struct dlq is one instance, that is one queue of dead letters. Reading order:
 *
 *   dlq.c          the descriptor, options, start and stop, connections, the tick of one second, what the state is
 *   look.c         one look at the queue: its type, its depth, what has arrived
 *   pass.c         going through the whole window, gently
 *   queue.c        a list, a stream and a sorted set behind one face: commands for a page, and what is in it
 *   letters.c      the rows: a message that was met, one that is gone, one whose time has come
 *   groups.c       errors of one kind
 *   joins.c        what other tables know about the call of a dead letter
 *   actions.c, scripts.c   retry, drop, restore, and the Lua that moves a message
 *   trash.c        what was dropped
 *   samples.c      metrics and coverage
 *   checks.c       the rungs of `callwatch doctor`
 *   message.c, normalise.c   pure parts
 *
 * The *window* is what is known of the queue: its first `window` messages from one end. A message's *place* is how many
 * stand between it and that end. Places move as others come and go, so a place is a hint, never a name: a message's
 * name is the SHA-1 of its bytes, which Redis can compute too.
 *
 * A *look* is cheap and frequent: depth, and the page at the window's end. A *pass* reads the whole window, one page
 * after the other, and alone decides what is gone. Equal messages are one row with `copies`.
 */
#ifndef DLQ_DLQ_H
#define DLQ_DLQ_H

#include "connect/redis-probe.h"
#include "connect/redis.h"
#include "groups.h"
#include "message.h"
#include "queue.h"

#include "callwatch/query.h"

#include <uv.h>

enum {
	WINDOW_MAX = 200000,
	PAGE_MAX = 500,
	OVERLAP = 32,
	EDGE = 64,
	KEY_BYTES_MAX = 256,
	ERROR_SHOWN_MAX = 2048,
	RAW_SHOWN_MAX = 4096
};

enum dlq_column {
	COLUMN_ID,
	COLUMN_COPIES,
	COLUMN_SID,
	COLUMN_BUSINESS_NAME,
	COLUMN_ACTION,
	COLUMN_RETRY_STATUS,
	COLUMN_RETRY_COUNT,
	COLUMN_MAX_RETRIES,
	COLUMN_ERROR,
	COLUMN_GROUP,
	COLUMN_DUE,
	COLUMN_DUE_IN,
	COLUMN_STATE,
	COLUMN_ACTIVE,
	COLUMN_HEALED,
	COLUMN_FIRST_SEEN,
	COLUMN_RAW,
	DLQ_COLUMNS
};

enum trash_column { TRASH_ID, TRASH_SID, TRASH_ACTION, TRASH_AT, TRASH_BY, TRASH_RAW, TRASH_COLUMNS };

enum letter_state { WAITING, OVERDUE, FAILED, UNREADABLE, LETTER_STATES };
enum answer { NOT_KNOWN, NO, YES };

/* About one row of the table, found by row number. */
struct letter {
	bool is_known;
	bool is_large;         /* too large to come with a page */
	bool is_fresh;         /* added by a look while a pass is under way that has not met it */
	uint8_t state, active; /* enum letter_state, enum answer */
	bool is_healed;
	unsigned char id[ID_BYTES];
	uint32_t place;         /* when it was last met */
	uint32_t copies, met;   /* as shown; met by the pass under way */
	struct stream_id entry; /* of a stream */
	double score;           /* of a sorted set */
	int64_t first_seen;     /* wall time */
	int64_t due;            /* wall time; INT64_MIN: none */
	uint64_t call;          /* keyed hash of call and action; 0: no call */
	uint32_t retry_count;
	uint64_t span;     /* as of struct entry */
	struct refs *refs; /* what lookups are asked about; NULL: nothing */
	struct group *group;
};

struct settings {
	struct redis_address address;
	const char *username, *password;
	const char *key, *channel, *stream_field;
	uint32_t window;
	bool oldest;         /* the window is at the end of those that came first */
	bool newest_at_head; /* of a list */
	double budget;
	int64_t max_age;
	bool allow_actions;
	int64_t retry_mode; /* index of the choice */
	const char *retry_to;
	const char *lookup, *call_log_lookup; /* names of instances, or NULL */
	char trash_key[KEY_BYTES_MAX + 32];
	int64_t trash_for;
};

/* Ids in original_data, kept only where a lookup is named. */
struct refs {
	uint64_t business_hash, log_hash; /* keyed; 0: there is none */
	char *business, *log;             /* behind the struct, in its block */
};

/* A row of an earlier life of this source. */
struct adopted {
	unsigned char id[ID_BYTES];
	int64_t first_seen;
};

/* The letters by row number. */
struct letters {
	struct letter *items;
	uint32_t room, used;
	uint64_t known;
	uint32_t join_at;        /* the row at which the walk of the joins goes on */
	struct adopted *adopted; /* in order, until the first pass is over */
	uint32_t adopted_count, adopted_room;
};

struct look {
	bool running, again; /* again: somebody wants one more after this */
	bool failed, differs, depth_told, by_script;
	uint32_t waits; /* answers to come */
	enum queue_kind kind;
	uint64_t depth_now;
	uint32_t news;                      /* messages taken by this look */
	bool has_depth;                     /* of a look before, as those below */
	uint64_t depth;                     /* exact at `at` */
	unsigned char edge[EDGE][ID_BYTES]; /* the first page of the window */
	uint32_t edge_count;
	int64_t at; /* instant of the last good one */
	uv_timer_t soon;
};

/* A large message that is to be fetched. */
struct fetch {
	struct entry entry;
	uint32_t place;
};

struct pass {
	bool running, wanted, ever;
	bool in_page;          /* a page of it is being taken, not a look */
	bool is_first;         /* since the connection was made: reads at full speed, finds and does not count */
	bool by_script;        /* something large was met: pages are read by script */
	bool is_read;          /* all pages are; only what is fetched is missing */
	uint32_t at;           /* place of the next message to be read */
	uint32_t page;         /* messages a page */
	struct page_spec spec; /* of the page under way */
	struct stream_id cursor;
	unsigned char tail[OVERLAP][ID_BYTES]; /* names of the last ones of the page before */
	uint32_t tail_count;
	uint32_t large;   /* met by this pass */
	uint64_t count;   /* passes that are over */
	uint32_t aborted; /* in a row */
	struct fetch *fetch;
	uint32_t fetches, fetched, fetch_room;
	int64_t began, began_wall, page_asked, page_took;
	int64_t last_began, last_began_wall, last_end_wall;
	uv_timer_t timer;
};

struct joins {
	uint64_t round;
	struct cw_lookup *businesses, *logs; /* NULL: none is named */
	int64_t run_started; /* wall time at which the last successful run began; INT64_MIN: none is known */
	char run_words[64];
};

/* A member of the trash, by the name that its row has. */
struct trashed {
	unsigned char id[ID_BYTES];
	char score[32];
};

struct trash_list {
	struct trashed *items;
	uint32_t count, room;
};

struct trash {
	struct cw_part *part;
	bool is_reading, ever;
	bool has_moved; /* while it was being read, something was restored: the reading may have missed others */
	uint32_t at;    /* of the reading under way */
	uint64_t depth;
	uint64_t count, wanted;               /* readings that missed nothing; so many are to be */
	int64_t read_at, asked_at, pruned_at; /* instants */
	struct trash_list items, next;        /* of the last of these, by id; of the one under way */
};

struct checks;
struct task;

struct dlq {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	struct settings settings;
	struct cw_part *part, *groups_part;
	struct tls_client *tls;
	struct redis *commands, *channel;
	struct checks *checks;
	enum queue_kind kind;
	struct letters letters;
	struct groups groups;
	struct look look;
	struct pass pass;
	struct joins joins;
	struct trash trash;
	struct task *tasks; /* under way */
	uv_timer_t tick;

	/* Redis' clock, by which next_retry_at is judged */
	bool has_offset;
	int64_t offset; /* Redis' wall time − instant */
	int64_t time_sent, round_trip;

	/* the channel */
	bool channel_live, probe_waits;
	int64_t probe_sent;
	char channel_reason[REDIS_ERROR_MAX];

	/* what is said */
	char reason[REDIS_ERROR_MAX]; /* why the connection is down */
	char refused[REDIS_ERROR_MAX + 64];
	bool no_scripts; /* Redis does not let us run one: what is large stays closed */
	int64_t next_try;
	bool read_waits;
	uint32_t read_ticks;

	uint64_t arrivals, departures;
	uint64_t unmet, early; /* see look.c */
	uint64_t commands_before;
	unsigned char hash_key[16];
};

/* dlq.c */
void dlq_say(struct dlq *dlq);
int64_t dlq_wall(const struct dlq *dlq); /* Redis' wall time now */
void dlq_refused(struct dlq *dlq, const redisReply *error, const char *command);
void dlq_read_done(struct dlq *dlq, int status); /* the reading under way, if there is one */
static inline bool dlq_holds_all(const struct dlq *dlq)
{
	return dlq->look.has_depth && dlq->look.depth <= dlq->settings.window;
}

/* look.c */
void look_init(struct dlq *dlq);
void look_begin(struct dlq *dlq);
void look_soon(struct dlq *dlq); /* within 100 ms: somebody said that something arrived */
void look_forget(struct dlq *dlq);

struct page_spec dlq_page(const struct dlq *dlq, uint32_t from, uint32_t count);

/* pass.c */
void pass_init(struct dlq *dlq);
void pass_want(struct dlq *dlq);    /* when the one under way, if any, is over */
void pass_nothing(struct dlq *dlq); /* there is nothing to be read: as if one had just done so */
void pass_forget(struct dlq *dlq);  /* the connection is down, or it is another queue */
void pass_cut(struct dlq *dlq);     /* the connection was cut, for a page was too large */

/* letters.c */
void letters_adopt(struct dlq *dlq); /* rows of an earlier life keep their first_seen */
void letters_release(struct dlq *dlq);
/* NULL: it is not known. */
struct letter *letters_find(struct dlq *dlq, const unsigned char id[ID_BYTES], uint32_t *ret_row);
/* A message that is new to the table. */
void letters_add(struct dlq *dlq, const struct entry *entry, uint32_t place);
/* A pass met one that is known. */
void letters_met(struct dlq *dlq, uint32_t row, struct letter *letter, const struct entry *entry, uint32_t place);
void letters_remove(struct dlq *dlq, uint32_t row, const char *why);
/* What other tables say about its call; a business and an evidence that are no text change nothing. */
void letters_joined(struct dlq *dlq, uint32_t row, enum answer active, struct cw_cell business, struct cw_cell healed);
void letters_pass_begins(struct dlq *dlq);
void letters_pass_ends(struct dlq *dlq);
void letters_tick(struct dlq *dlq); /* whose time has come */
void letters_clear(struct dlq *dlq, const char *why);
void letters_due_moved(struct dlq *dlq); /* Redis' clock was set: what is shown as an instant follows */

/* joins.c */
int joins_start(struct dlq *dlq);
void joins_stop(struct dlq *dlq);
/* To be freed; NULL: there is nothing to be asked, or no memory. */
struct refs *joins_refs(const struct dlq *dlq, const struct message *message);
void joins_tick(struct dlq *dlq);

/* trash.c */
void trash_tick(struct dlq *dlq);
void trash_forget(struct dlq *dlq); /* the connection is down */
void trash_release(struct dlq *dlq);
void trash_moved(struct dlq *dlq); /* something was restored */
/* Of a row, as of the last reading that missed nothing; NULL: it was not there. */
const char *trash_score(const struct dlq *dlq, const char *key);
/* Has it read once more; once trash.count is what is returned, such a reading has begun and ended. */
uint64_t trash_want(struct dlq *dlq);

/* samples.c */
enum { METRICS = 10 };
extern const struct cw_metric dlq_metrics[METRICS];
void samples_give(struct dlq *dlq);
int samples_read(void *state);

/* checks.c */
enum { CHECKS = REDIS_CHECKS_COUNT + 5 };
extern const struct cw_check dlq_checks[CHECKS];
struct checks *checks_new(struct dlq *dlq);
void checks_tick(struct checks *checks);
void checks_examine(struct checks *checks, uint32_t check);
void checks_stop(struct checks *checks); /* NULL is fine, as below */
void checks_free(struct checks *checks);
uint64_t checks_commands(const struct checks *checks);

#endif
