/* SPDX-License-Identifier: MIT
 *
 * What the files of postgres-lookup share: struct lookup is one instance.
 *
 *   postgres-lookup.c  the descriptor, options, start and stop, what is asked, what the state is
 *   batch.c            the query: names are taken from the queue, asked for together, answered
 *   examine.c          the rungs of `callwatch doctor`
 *   names.c, file.c    pure parts: what is known, and how it outlives the process
 *
 * Whoever asks is told at once what is known, however old, and what has to be asked for waits in a queue; 20 ms later,
 * so that many wait together, the server is asked for up to `batch` of them in one query, and everybody is told. So a
 * name is asked for when somebody asks and it is older than its time to live: names nobody asks for cost nothing.
 */
#ifndef POSTGRES_LOOKUP_LOOKUP_H
#define POSTGRES_LOOKUP_LOOKUP_H

#include "backoff.h"
#include "connect/postgres.h"
#include "file.h"
#include "names.h"

#include <uv.h>

enum { UUID_LENGTH = 36, OUTCOMES = 2 };
enum check { CHECK_NAME, CHECK_TCP, CHECK_AUTH, CHECK_QUERY, CHECKS };

extern const char default_sql[];

struct lookup {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;

	/* options */
	const char *url, *sql;
	char *query; /* `sql` with its bounds around it */
	bool ids_are_uuids;
	int64_t ttl, negative_ttl, statement_timeout;
	uint32_t batch;

	struct postgres *postgres;
	struct names names;
	int64_t newest; /* wall time of the last answer; 0: never */

	/* the query under way, and when the next may be sent */
	struct name **asked;       /* `batch` of them */
	struct cw_answer *answers; /* as many */
	uint32_t asked_count, rows;
	char *array; /* the parameter, of … */
	size_t array_room;
	uint32_t size; /* how many the next one asks for: as many as the server answers soon, at most `batch` */
	int64_t began; /* instant */
	int64_t not_before;
	struct backoff backoff;
	uv_timer_t timer;

	/* what is said */
	bool connected_once, first_waits;
	char reason[POSTGRES_ERROR_MAX];  /* why it is not connected */
	char refused[POSTGRES_ERROR_MAX]; /* why the last query failed; "": it did not */
	bool is_hopeless;                 /* no query can work until somebody does something */
	enum postgres_failure failure;
	int64_t next_try, last_try; /* instants */
	uint64_t queries[OUTCOMES];
	double query_seconds;

	/* the file */
	uint8_t made_for[FILE_FOR_BYTES];
	bool is_changed;
	uv_timer_t save;

	/* the check that waits for what happens next; CHECKS: none */
	enum check examining;
	struct cw_resolve *resolve;
};

/* postgres-lookup.c */
void lookup_say(struct lookup *lookup); /* tells the host the state that follows from what is known */

/* batch.c */
int batch_init(struct lookup *lookup); /* 0 or -ENOMEM */
void batch_release(struct lookup *lookup);
void batch_soon(struct lookup *lookup); /* if something waits and may be asked for: sets the timer, or sends */
/* One query by itself, for no keys; its outcome goes to checks_queried(). False: not now. */
bool batch_probe(struct lookup *lookup);

/* examine.c */
void lookup_examine(void *state, uint32_t check);
void checks_connected(struct lookup *lookup); /* the connection came up, or failed */
void checks_queried(struct lookup *lookup, const struct postgres_outcome *outcome);
void checks_stop(struct lookup *lookup);
/* A query's failure with what to do about it, as far as its reason does not say enough. */
void checks_explain(const struct lookup *lookup, const struct postgres_outcome *outcome, char text[POSTGRES_ERROR_MAX]);

#endif
