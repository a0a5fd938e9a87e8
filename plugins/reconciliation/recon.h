/* SPDX-License-Identifier: MIT
 *
 * Source reconciliation: what its files share, and the order in which to read them.
 *
 *   reconciliation.c  what the plugin says of itself, its options, its life, its tick, its state
 *   report.h          what somebody says about a run; read from bytes by meta.h (Celery) and status.h (the platform)
 *   runs.h            the runs we know, and their bytes on disk (runs_file.h)
 *   book.c            a report becomes news: the list, the table, the counters, who waits for it
 *   backend.c         mode http: the platform's two endpoints
 *   celery.c          mode celery: the broker's queue and the result backend; message.h makes the task
 *   action.c          action `run`: asks for a run and follows it to its end
 *   samples.c         the readings
 *   checks.c          the rungs of `callwatch doctor`
 *
 * A run's *status* says what is known. QUEUED and RUNNING are believed for `lost_after` without news, then the run is
 * LOST: nobody knows what became of it. SUCCESS and ERROR are for ever, whatever is said later; LOST is not, and who
 * was lost is looked for a while longer. Who cannot be asked is silent too: nobody waits for ever for a run because the
 * backend, or Redis, does not come back.
 */
#ifndef RECONCILIATION_RECON_H
#define RECONCILIATION_RECON_H

#include "connect/http.h"
#include "connect/redis.h"
#include "runs.h"

#include <uv.h>

enum column {
	COLUMN_RUN_ID,
	COLUMN_TASK_ID,
	COLUMN_ORIGIN,
	COLUMN_BY,
	COLUMN_STATUS,
	COLUMN_REQUESTED,
	COLUMN_STARTED,
	COLUMN_FINISHED,
	COLUMN_DURATION,
	COLUMN_MISSING,
	COLUMN_QUEUED,
	COLUMN_ERROR,
	COLUMN_UPDATED,
	RUNS_COLUMNS
};

enum { METRICS = 8, CHECKS = 7, REASON_MAX = HTTP_REASON_MAX + 80 };

struct settings {
	bool is_celery, observe;
	const char *url, *api_key, *status_path, *trigger_path; /* http */
	struct redis_address address;                           /* celery, as the rest */
	const char *username, *password, *task, *queue;
	int64_t expected_every, lost_after, cool_down, request_timeout; /* ns; 0: not set */
	uint32_t keep;
};

struct recon {
	struct cw_instance *self;
	const struct cw_host *host;
	const struct cw_info *info;
	const struct cw_value *options;
	struct settings settings;
	struct tls_client *tls; /* of mode celery with rediss:// */

	struct runs runs;
	struct cw_part *part;
	bool is_changed, cannot_write; /* since the file was written; it could not be, and that was said */
	int64_t born;                  /* wall time of this life's beginning */
	uint64_t ended[RUN_STATUSES];  /* in this life */

	uv_timer_t tick;
	struct backend *backend; /* one of the two */
	struct celery *celery;
	struct checks *checks;
	struct action *action; /* the task under way; NULL: none */

	bool has_looked, sees; /* it is known whether there is somebody to see; and there is */
	bool is_reported;      /* and what is seen can be believed */
	bool first_waits;      /* the first reading, for that */
	int64_t first_began;
};

/* reconciliation.c */
/* How it went to look: `reason` and `next_try` (instant, 0: none) as for host->state(). UP and DEGRADED: it was seen.
 */
void recon_say(struct recon *recon, enum cw_state state, int64_t next_try, const char *reason, ...) CW_PRINTF(4, 5);

/* book.c */
int book_open(struct recon *recon);
void book_save(struct recon *recon); /* if something changed */
/* A new run, copied; where it is until the next call. */
struct run *book_add(struct recon *recon, const struct run *run);
void book_forget(struct recon *recon, struct run *run, const char *why);
void book_rename(struct recon *recon, struct run *run, const char *task_id);
/* Takes what is said about a run, if that is news. `run` is not to be used afterwards. */
void book_report(struct recon *recon, struct run *run, const struct report *report);
/* Nothing was heard of it: it is LOST if that was too long, with these words. `run` as above. */
void book_silence(struct recon *recon, struct run *run, const char *why);
void book_silence_all(struct recon *recon, const char *why);
void book_lose(struct recon *recon, struct run *run, const char *why);
/* Durations of the runs under way, and what the table covers. */
void book_refresh(struct recon *recon);
static inline bool book_is_pending(const struct run *run)
{
	return run->status == RUN_QUEUED || run->status == RUN_RUNNING;
}

/* What becomes of the wish to have a run, told once. A run and no reason: it is asked for, follow it. Both: it may or
 * may not have been taken, and why. Only a reason: it was not. */
typedef void (*request_done)(void *arg, const char *run_id, const char *reason);

/* backend.c */
int backend_start(struct recon *recon);
void backend_stop(struct backend *backend); /* NULL is fine, as below */
void backend_free(struct backend *backend);
void backend_tick(struct backend *backend);
void backend_request(struct backend *backend, const char *by, request_done done, void *arg);
/* One question for the status, as the polls ask it but on a connection of its own, told with its answer. */
int backend_ask(struct backend *backend, int64_t timeout, http_done done, void *arg,
		struct http_transfer **ret_transfer);
/* An answer that is no 200 in words, without the key. */
void backend_explain(const struct backend *backend, const struct http_answer *answer, char reason[REASON_MAX]);

/* celery.c */
int celery_start(struct recon *recon);
void celery_stop(struct celery *celery);
void celery_free(struct celery *celery);
void celery_tick(struct celery *celery);
void celery_request(struct celery *celery, const char *by, request_done done, void *arg);
int64_t celery_waiting(const struct celery *celery); /* tasks in the queue; -1: not known */

/* action.c */
void recon_act(void *state, struct cw_task *task, const struct cw_request *request);
void action_news(struct recon *recon, const struct run *run); /* from book.c, when a run changed */
void recon_cancel(void *state, struct cw_task *task);
void action_stop(struct recon *recon);

/* samples.c */
extern const struct cw_metric recon_metrics[METRICS];
int recon_read(void *state);
/* Is a run overdue? `ret_known` false: there is no telling. */
bool recon_is_late(const struct recon *recon, bool *ret_known);

/* checks.c */
extern const struct cw_check recon_checks[CHECKS];
struct checks *checks_new(struct recon *recon); /* NULL: no memory */
void checks_free(struct checks *checks);
void checks_stop(struct checks *checks);
void checks_tick(struct checks *checks);
void recon_examine(void *state, uint32_t check);

#endif
