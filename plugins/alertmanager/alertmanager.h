/* SPDX-License-Identifier: MIT
 *
 * Notifier `alertmanager`, the map of it.
 *
 *     alertmanager.c   the descriptor, options, the beat, the action `test`
 *     told.c           what was said so far, over restarts too
 *     collect.c        table `alerts` → what Alertmanager wants to know, as bodies of JSON
 *     members.c        a round: the bodies to every member of the cluster; what became of it
 *
 * It is no target of routes: it hands over every alert, and grouping, routes and de-duplication are Alertmanager's. The
 * table is looked at every few seconds; a round goes out when something has changed, when a member has not got the last
 * one, and else every interval, since Alertmanager takes an alert that is not said again for ended (`endsAt`).
 */
#ifndef CALLWATCH_ALERTMANAGER_ALERTMANAGER_H
#define CALLWATCH_ALERTMANAGER_ALERTMANAGER_H

#include "buffer.h"
#include "callwatch/notify.h"
#include "callwatch/query.h"
#include "connect/http.h"

#include "keyed.h"

#include <uv.h>

enum {
	MEMBERS_MAX = 16,
	BODY_ALERTS_MAX = 500, /* in one request */
	BODY_BYTES_MAX = 2 << 20,
	BODIES_MAX = 128, /* so all of the 50,000 that may be open, and some */
	URL_MAX = 512,
	LOOK_COLUMNS = 12,
};

struct alertmanager;

/* ---- told.c ---- */

/* Which alerts that fire were said, so that one that is silenced later does not seem to have ended. */
struct told {
	struct keyed looks; /* by alert and beginning; see told.c */
	unsigned char secret[KEYED_SECRET_SIZE];
	uint32_t look;
	bool is_changed;       /* since it was written */
	const char *folder;    /* the caller's; NULL: not kept */
	int64_t earlier_until; /* instant: until then what an earlier life said is not taken for ended */
};
/* Reads what an earlier life said. 0, or why it is not known: it goes on without. */
int told_init(struct told *told, const char *folder, int64_t now);
/* Is it said now? What is muted only if it was said before. Without memory it is, as far as it is not muted. */
bool told_say(struct told *told, struct keyed_hash hash, bool is_muted);
/* A look has seen all: what it did not say has ended. 0, or why it could not be written; the next look tries again. */
int told_end(struct told *told, int64_t now);
void told_release(struct told *told);

/* ---- collect.c ---- */

/* What is to be said, as bodies of requests. */
struct bodies {
	struct buffer body[BODIES_MAX];
	uint32_t count, alerts;     /* alerts in all */
	uint32_t in_last, left_out; /* in the last body; for which there was no room */
	uint64_t signature;         /* of what is said, without its times: another if something has begun or ended */
};
void bodies_begin(struct bodies *bodies);
void bodies_end(struct bodies *bodies); /* there is at least one, if an empty list */
void bodies_release(struct bodies *bodies);
/* A test alert, alone. */
void bodies_test(struct bodies *bodies, const char *host, const char *by, int64_t wall);

/* A look at the table, in slices. */
struct look {
	struct cw_query *query;                        /* NULL: none is under way */
	const struct cw_column *columns[LOOK_COLUMNS]; /* those asked for, and where they stand among the cells */
	uint32_t at[LOOK_COLUMNS];
	struct bodies *bodies;
	struct told *told;
	int64_t wall, ends_at;
	const char *external_url; /* NULL: none */
};
/* 0; -ENOENT: there is no such table yet, so nothing fires; negative: with a sentence in `error`. */
int look_begin(struct look *look, struct cw_instance *self, const struct cw_host *host, struct bodies *bodies,
	       char error[CW_QUERY_ERROR_MAX]);
/* CW_LATER: again; 0: all was seen; negative: it cannot go on. */
int look_step(struct look *look, const struct cw_host *host);
void look_end(struct look *look, const struct cw_host *host);

/* ---- members.c ---- */

struct member {
	struct alertmanager *of;
	char url[URL_MAX]; /* where alerts are posted */
	char name[ADDRESS_TEXT_SIZE];
	struct http_transfer *transfer;
	uint32_t at; /* the body whose turn it is */
	bool is_done, is_well;
	int64_t not_before; /* instant: it asked not to be asked until then */
	bool has_refused;   /* some of what it was given */
	char reason[HTTP_REASON_MAX];
};

/* Told once, when every member has been given everything, or failed. `well`: how many took all of it. */
typedef void (*round_done)(struct alertmanager *of, uint32_t well);

struct round {
	bool is_under_way;
	struct bodies bodies;
	uint32_t waits;
	round_done done;
};
/* With of->round.bodies filled. */
void round_begin(struct alertmanager *of, round_done done);

struct alertmanager {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_value *options;
	struct http *http;
	struct member members[MEMBERS_MAX];
	uint32_t members_count;
	char *authorization; /* the header; NULL: none */
	int64_t interval;

	uv_timer_t beat;
	uv_idle_t slices; /* runs while the table is looked at */
	struct look look;
	struct told told;
	bool is_told_lost; /* it was logged */
	struct round round;
	uint64_t said;   /* signature of the last round that every member has */
	int64_t said_at; /* instant of the last round; 0: none yet */
	bool all_have_it;

	struct cw_task *test; /* the action under way, or waiting for its round; NULL: none */
	char test_by[64];
	bool is_test_round, examines;
};

#endif
