/* SPDX-License-Identifier: MIT
 *
 * Mode celery: the queue in the broker and the result backend, both in one Redis, without a web server in between.
 *
 * A run that we asked for is a message that we put into the queue ourselves, so its bytes are known: LPOS tells whether
 * they still wait there, and `celery-task-meta-<id>` what became of it. Neither there nor there means that a worker has
 * it, or that it is lost: Celery calls that PENDING, which is no answer. Runs of others are found by looking through
 * the results, a page of SCAN a second: those that are of our task by their name, by the two counts in them, or by
 * their traceback.
 */
#include "message.h"
#include "meta.h"
#include "recon.h"
#include "text.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <sodium/randombytes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 32 + RUN_ID_SIZE, ASKS_AT_ONCE = 32, SEEN = 16384, CHUNK = 512 << 10, FOUND_MAX = 64 << 10 };

#define KEY_PREFIX "celery-task-meta-"

static const int64_t look_for_lost = 86400 * CW_SECOND;

struct celery {
	struct recon *recon;
	struct redis *redis;
	int64_t waiting;    /* tasks in the queue; -1: not known */
	int64_t next_count; /* instants */
	int64_t next_lost;
	uint32_t asking;                                              /* asks under way */
	char refused[REDIS_ERROR_MAX], scan_refused[REDIS_ERROR_MAX]; /* since the last round, since the last SCAN */

	/* looking for runs of others */
	char cursor[24];
	bool is_scanning, has_scanned; /* a page is under way; all of them were seen once */
	int64_t next_scan;
	unsigned char hash_key[crypto_shorthash_KEYBYTES];
	uint64_t seen[SEEN]; /* hashes of keys that were looked at and need not be again; a newer one takes the place */
};

/* What became of one task: under way from the first command to the last answer. */
struct ask {
	struct celery *celery;
	char task_id[RUN_ID_SIZE];
	bool is_run;      /* of ours; else a key that was found */
	uint32_t pending; /* answers to come, and one for who holds it */
	bool in_queue, knows_queue;
	size_t length; /* of the value */
	char *bytes;   /* of a long one, as far as it has come */
	size_t taken;
};

/* ---- refusals ---- */

/* False, with the reason: the command may not be run, or something else is wrong with it. */
static bool is_fine(struct celery *celery, const redisReply *reply, const char *command, char reason[REDIS_ERROR_MAX])
{
	if (reply->type != REDIS_REPLY_ERROR)
		return true;
	redis_explain(celery->redis, reply, command, reason);
	return false;
}

static void say(struct celery *celery)
{
	struct recon *recon = celery->recon;
	recon->is_reported = !celery->refused[0];
	if (celery->refused[0])
		recon_say(recon, CW_DEGRADED, /* next_try */ 0, "%s", celery->refused);
	else if (celery->scan_refused[0])
		recon_say(recon, CW_DEGRADED, /* next_try */ 0,
			  "only runs that were asked for here are seen, not those of others: %s", celery->scan_refused);
	else
		recon_say(recon, CW_UP, /* next_try */ 0, "reading Celery's queue and results");
}

/* ---- one task ---- */

static void let_go(struct ask *ask)
{
	if (--ask->pending)
		return;
	ask->celery->asking--;
	free(ask->bytes);
	free(ask);
}

static void key_of(const struct ask *ask, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, KEY_PREFIX "%s", ask->task_id);
}

/* No result yet. */
static void judge_pending(struct ask *ask, struct run *run)
{
	struct recon *recon = ask->celery->recon;
	struct report report = {.status = RUN_QUEUED, .missing = -1, .queued = -1};
	char why[200];
	bool has_left = ask->knows_queue ? !ask->in_queue : ask->celery->waiting == 0;
	if (run->status != RUN_RUNNING && ask->knows_queue && ask->in_queue) {
		if (recon->host->wall() - run->requested_at > recon->settings.lost_after)
			snprintf(report.error, sizeof(report.error),
				 "it still waits in the queue: is a worker running?");
		run->heard = recon->host->now(); /* it is known where it is, so it is not lost, or not any more */
		book_report(recon, run, &report);
		return;
	}
	snprintf(why, sizeof(why),
		 "Celery knows no result of it, %s for %s: it never ran, its worker died, or the result "
		 "expired",
		 has_left ? "and it is not in the queue" : "and has said nothing",
		 text_ns(recon->settings.lost_after).text);
	if (run->status == RUN_QUEUED && has_left) {
		report.status = RUN_RUNNING; /* a worker has it, as far as we know */
		book_report(recon, run, &report);
		return;
	}
	book_silence(recon, run, why);
}

/* There may be a result, but we are not allowed to see it, or Redis has other troubles. */
static void judge_refused(const struct ask *ask)
{
	struct recon *recon = ask->celery->recon;
	struct run *run = runs_find_task(&recon->runs, ask->task_id);
	char why[REDIS_ERROR_MAX + 120];
	snprintf(why, sizeof(why), "its result cannot be read, nothing was heard of it for %s: %s",
		 text_ns(recon->settings.lost_after).text, ask->celery->refused);
	if (run && !ask->in_queue)
		book_silence(recon, run, why);
}

static bool is_of_our_task(const struct celery *celery, const struct meta *meta)
{
	return meta->task[0] ? strcmp(meta->task, celery->recon->settings.task) == 0
			     : meta->has_counts || meta->is_traced;
}

static void remember(struct celery *celery, const char *key, size_t length);

static void judge_found(struct ask *ask, const struct meta *meta)
{
	struct celery *celery = ask->celery;
	struct run run = {.origin = RUN_OBSERVED,
			  .status = meta->report.status,
			  .finished_at = meta->report.finished_at,
			  .missing = meta->report.missing,
			  .queued = meta->report.queued};
	char key[KEY_MAX];
	key_of(ask, key);
	if (meta->is_over)
		remember(celery, key, strlen(key));
	if (!is_of_our_task(celery, meta) || meta->report.status == RUN_LOST ||
	    runs_find_task(&celery->recon->runs, ask->task_id))
		return;
	snprintf(run.id, sizeof(run.id), "%s", ask->task_id);
	snprintf(run.task_id, sizeof(run.task_id), "%s", ask->task_id);
	memcpy(run.error, meta->report.error, sizeof(run.error));
	book_add(celery->recon, &run);
}

static void judge(struct ask *ask, const char *bytes, size_t length)
{
	struct recon *recon = ask->celery->recon;
	struct run *run = runs_find_task(&recon->runs, ask->task_id);
	struct meta meta;
	if (length == 0 && !run)
		return;
	if (length == 0) {
		judge_pending(ask, run);
		return;
	}
	if (ask->length > META_BYTES_MAX)
		meta_too_large(ask->length, &meta);
	else
		meta_read(bytes, length, recon->settings.task, recon->info->phones_full, &meta);
	if (meta.report.status == RUN_LOST && run && run->status != RUN_LOST)
		recon->host->count_malformed(recon->self, 1);
	if (!run) {
		judge_found(ask, &meta);
		return;
	}
	bool turned = run->status != meta.report.status;
	book_report(recon, run, &meta.report);
	run = turned || meta.is_over ? NULL : runs_find_task(&recon->runs, ask->task_id);
	if (run)
		book_silence(recon, run,
			     "a worker began it and nothing was heard since: it was killed, or takes longer "
			     "than lost_after");
}

/* A result of others' that is so large is none of ours: it is not worth the fetching. */
static void pass_over(struct ask *ask)
{
	char key[KEY_MAX];
	key_of(ask, key);
	remember(ask->celery, key, strlen(key));
}

static void ask_next_chunk(struct ask *ask);

static void take_chunk(struct ask *ask, const redisReply *reply)
{
	bool is_text = reply && reply->type == REDIS_REPLY_STRING && reply->len > 0;
	if (!is_text || ask->taken + reply->len > ask->length)
		return; /* it changed meanwhile: the next look sees it whole */
	memcpy(ask->bytes + ask->taken, reply->str, reply->len);
	ask->taken += reply->len;
	if (ask->taken < ask->length)
		ask_next_chunk(ask);
	else
		judge(ask, ask->bytes, ask->length);
}

static void on_chunk(void *arg, const redisReply *reply)
{
	take_chunk(arg, reply);
	let_go(arg);
}

static void ask_next_chunk(struct ask *ask)
{
	char key[KEY_MAX], from[24], to[24];
	key_of(ask, key);
	snprintf(from, sizeof(from), "%zu", ask->taken);
	snprintf(to, sizeof(to), "%zu", ask->taken + CHUNK - 1);
	ask->pending += redis_words(ask->celery->redis, on_chunk, ask, "GETRANGE", key, from, to, NULL) == 0;
}

static void take_value(struct ask *ask, const redisReply *reply)
{
	struct celery *celery = ask->celery;
	if (redis_is_error(reply, "WRONGTYPE")) {
		judge(ask, "no string", 9); /* and so no JSON */
	} else if (!is_fine(celery, reply, "GETRANGE", celery->refused)) {
		judge_refused(ask);
	} else if (reply->type == REDIS_REPLY_STRING) {
		/* Of a long one the rest follows in pieces: a reply has its limits. */
		bool is_long = ask->length > reply->len && ask->length <= META_BYTES_MAX;
		if (is_long && !ask->is_run)
			pass_over(ask);
		else if (is_long && (ask->bytes = malloc(ask->length)))
			take_chunk(ask, reply);
		else if (!is_long)
			judge(ask, reply->str, reply->len);
	}
}

static void on_value(void *arg, const redisReply *reply)
{
	if (reply)
		take_value(arg, reply);
	let_go(arg);
}

static void on_length(void *arg, const redisReply *reply)
{
	struct ask *ask = arg;
	if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
		ask->length = (size_t)reply->integer;
	let_go(ask);
}

/* Where LPOS is not known (before Redis 6.0.6) or not allowed, only an empty queue tells. */
static void on_place(void *arg, const redisReply *reply)
{
	struct ask *ask = arg;
	ask->knows_queue = reply && reply->type != REDIS_REPLY_ERROR;
	ask->in_queue = ask->knows_queue && reply->type == REDIS_REPLY_INTEGER;
	let_go(ask);
}

static size_t make_message(const struct celery *celery, const char *task_id, char message[MESSAGE_BYTES_MAX])
{
	const struct settings *settings = &celery->recon->settings;
	return message_make(
		&(struct message){
			.id = task_id, .task = settings->task, .queue = settings->queue, .origin = "callwatch"},
		message);
}

static int ask_place(struct ask *ask)
{
	char message[MESSAGE_BYTES_MAX];
	const char *queue = ask->celery->recon->settings.queue;
	size_t length = make_message(ask->celery, ask->task_id, message);
	const char *const words[] = {"LPOS", queue, message, "RANK", "-1"};
	const size_t lengths[] = {4, strlen(queue), length, 4, 2};
	return length ? redis_command(ask->celery->redis, on_place, ask, 5, words, lengths) : -EMSGSIZE;
}

/* Its place in the queue first and the value last, which is then the newer of the two and decides. */
static void ask_about(struct celery *celery, const char *task_id, bool is_run, bool is_queued)
{
	char key[KEY_MAX], to[24];
	struct redis *redis = celery->redis;
	struct ask *ask = calloc(1, sizeof(*ask));
	if (!ask)
		return;
	*ask = (struct ask){.celery = celery, .is_run = is_run, .pending = 1};
	celery->asking++;
	snprintf(ask->task_id, sizeof(ask->task_id), "%s", task_id);
	key_of(ask, key);
	snprintf(to, sizeof(to), "%d", (is_run ? CHUNK : FOUND_MAX) - 1);
	if (is_queued)
		ask->pending += ask_place(ask) == 0;
	ask->pending += redis_words(redis, on_length, ask, "STRLEN", key, NULL) == 0;
	ask->pending += redis_words(redis, on_value, ask, "GETRANGE", key, "0", to, NULL) == 0;
	let_go(ask);
}

static void ask_about_runs(struct celery *celery)
{
	struct recon *recon = celery->recon;
	int64_t now = recon->host->now();
	bool lost_too = now >= celery->next_lost;
	if (lost_too)
		celery->next_lost = now + recon->info->interval;
	for (uint32_t i = 0; i < recon->runs.count && celery->asking < ASKS_AT_ONCE; i++) {
		const struct run *run = &recon->runs.items[i];
		bool is_lost = run->status == RUN_LOST && lost_too && now - run->heard < look_for_lost;
		if (run->task_id[0] && (book_is_pending(run) || is_lost))
			ask_about(celery, run->task_id, /* is_run */ true, run->status == RUN_QUEUED || is_lost);
	}
}

/* ---- runs of others ---- */

static uint64_t hash_of(const struct celery *celery, const char *key, size_t length)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, length, celery->hash_key);
	return hash;
}

static void remember(struct celery *celery, const char *key, size_t length)
{
	uint64_t hash = hash_of(celery, key, length);
	celery->seen[hash % SEEN] = hash;
}

static bool is_seen(const struct celery *celery, const char *key, size_t length)
{
	uint64_t hash = hash_of(celery, key, length);
	return celery->seen[hash % SEEN] == hash;
}

static void look_at(struct celery *celery, const redisReply *key)
{
	size_t prefix = sizeof(KEY_PREFIX) - 1;
	char task_id[RUN_ID_SIZE];
	if (key->type != REDIS_REPLY_STRING || key->len <= prefix || key->len - prefix >= sizeof(task_id) ||
	    memcmp(key->str, KEY_PREFIX, prefix) != 0 || memchr(key->str, '\0', key->len) ||
	    !text_is_utf8(key->str, key->len) ||
	    (celery->asking >= ASKS_AT_ONCE && !celery->recon->info->once)) /* the rest in the next walk */
		return;
	memcpy(task_id, key->str + prefix, key->len - prefix);
	task_id[key->len - prefix] = '\0';
	if (!is_seen(celery, key->str, key->len) && !runs_find_task(&celery->recon->runs, task_id))
		ask_about(celery, task_id, /* is_run */ false, /* is_queued */ false);
}

static void scan(struct celery *celery);
static void on_round(void *arg, const redisReply *reply);

/* All pages were seen; what they led to is answered before the PING. */
static void end_walk(struct celery *celery)
{
	celery->next_scan = celery->recon->host->now() + celery->recon->info->interval;
	celery->has_scanned = true;
	if (!celery->recon->has_looked)
		redis_words(celery->redis, on_round, celery, "PING", NULL);
}

static void on_page(void *arg, const redisReply *reply)
{
	struct celery *celery = arg;
	celery->is_scanning = false;
	if (!reply)
		return;
	if (!is_fine(celery, reply, "SCAN", celery->scan_refused)) {
		end_walk(celery);
		return;
	}
	celery->scan_refused[0] = '\0';
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_ARRAY)
		return;
	snprintf(celery->cursor, sizeof(celery->cursor), "%s", reply->element[0]->str);
	for (size_t i = 0; i < reply->element[1]->elements; i++)
		look_at(celery, reply->element[1]->element[i]);
	if (strcmp(celery->cursor, "0") == 0)
		end_walk(celery);
	else if (celery->recon->info->once)
		scan(celery);
}

/* One page at a time. */
static void scan(struct celery *celery)
{
	if (!celery->recon->settings.observe || celery->is_scanning || celery->recon->host->now() < celery->next_scan)
		return;
	celery->is_scanning = redis_words(celery->redis, on_page, celery, "SCAN", celery->cursor, "MATCH",
					  KEY_PREFIX "*", "COUNT", "1000", NULL) == 0;
}

/* ---- the queue ---- */

static void on_count(void *arg, const redisReply *reply)
{
	struct celery *celery = arg;
	celery->waiting = -1;
	if (!reply)
		return;
	celery->refused[0] = '\0'; /* the first answer of a round: what is refused is said anew */
	if (redis_is_error(reply, "WRONGTYPE"))
		snprintf(celery->refused, sizeof(celery->refused),
			 "the key of the queue is no list: mend `task_queue`");
	else if (is_fine(celery, reply, "LLEN", celery->refused) && reply->type == REDIS_REPLY_INTEGER)
		celery->waiting = reply->integer;
}

/* With --once the one reading waits until all results were seen. */
static void on_round(void *arg, const redisReply *reply)
{
	struct celery *celery = arg;
	const struct recon *recon = celery->recon;
	if (reply && (!recon->info->once || !recon->settings.observe || celery->has_scanned))
		say(celery);
}

/* Redis is not there; at the beginning it is waited for first. */
static void lose_silent(struct recon *recon)
{
	char why[120];
	snprintf(why, sizeof(why), "Redis cannot be asked now, nothing was heard of it for %s",
		 text_ns(recon->settings.lost_after).text);
	if (recon->has_looked)
		book_silence_all(recon, why);
}

void celery_tick(struct celery *celery)
{
	struct recon *recon = celery->recon;
	int64_t now = recon->host->now();
	if (!redis_is_up(celery->redis)) {
		lose_silent(recon);
		return;
	}
	if (now >= celery->next_count || runs_under_way(&recon->runs)) {
		celery->next_count = now + recon->info->interval;
		redis_words(celery->redis, on_count, celery, "LLEN", recon->settings.queue, NULL);
		ask_about_runs(celery);
		redis_words(celery->redis, on_round, celery, "PING", NULL);
	}
	scan(celery);
}

int64_t celery_waiting(const struct celery *celery)
{
	return celery ? celery->waiting : -1;
}

/* ---- a run is wanted ---- */

struct wish {
	struct celery *celery;
	char task_id[RUN_ID_SIZE];
	request_done done;
	void *arg;
};

static void on_pushed(void *arg, const redisReply *reply)
{
	struct wish *wish = arg;
	struct celery *celery = wish->celery;
	struct recon *recon = celery->recon;
	struct run *run = runs_find_task(&recon->runs, wish->task_id);
	char reason[REDIS_ERROR_MAX];
	if (reply && reply->type == REDIS_REPLY_ERROR) {
		redis_explain(celery->redis, reply, "LPUSH", reason);
		if (run)
			book_forget(recon, run, "refused");
		wish->done(wish->arg, /* run_id */ NULL, reason);
	} else {
		/* Without an answer it may or may not be in the queue: what follows shows it. */
		wish->done(wish->arg, wish->task_id, /* reason */ NULL);
	}
	book_save(recon);
	free(wish);
}

static int push(struct celery *celery, struct wish *wish)
{
	char message[MESSAGE_BYTES_MAX];
	const char *queue = celery->recon->settings.queue;
	size_t length = make_message(celery, wish->task_id, message);
	const char *const words[] = {"LPUSH", queue, message};
	const size_t lengths[] = {5, strlen(queue), length};
	return length ? redis_command(celery->redis, on_pushed, wish, 3, words, lengths) : -EMSGSIZE;
}

/* It is written down before it is sent: whatever happens to us meanwhile, it will be known. */
void celery_request(struct celery *celery, const char *by, request_done done, void *arg)
{
	struct recon *recon = celery->recon;
	struct wish *wish = redis_is_up(celery->redis) ? calloc(1, sizeof(*wish)) : NULL;
	struct run run = {.origin = RUN_REQUESTED,
			  .status = RUN_QUEUED,
			  .requested_at = recon->host->wall(),
			  .missing = -1,
			  .queued = -1};
	if (!wish) {
		done(arg, /* run_id */ NULL, "Redis cannot be reached now, nothing was sent");
		return;
	}
	*wish = (struct wish){.celery = celery, .done = done, .arg = arg};
	message_new_id(wish->task_id);
	memcpy(run.id, wish->task_id, sizeof(run.id));
	memcpy(run.task_id, wish->task_id, sizeof(run.task_id));
	snprintf(run.by, sizeof(run.by), "%s", by);
	book_add(recon, &run);
	book_save(recon);
	if (push(celery, wish) < 0) {
		book_forget(recon, runs_find_task(&recon->runs, wish->task_id), "not sent");
		free(wish);
		done(arg, /* run_id */ NULL, "the task does not fit into a message, nothing was sent");
	}
}

/* ---- life ---- */

static void on_up(void *arg)
{
	struct celery *celery = arg;
	celery->next_count = celery->next_scan = 0;
	snprintf(celery->cursor, sizeof(celery->cursor), "0");
	celery_tick(celery);
}

static void on_down(void *arg, enum redis_failure failure, const char *reason, int64_t next_try)
{
	struct celery *celery = arg;
	(void)failure;
	celery->waiting = -1;
	celery->recon->host->count_error(celery->recon->self, 1);
	recon_say(celery->recon, CW_DOWN, next_try, "%s", reason);
}

int celery_start(struct recon *recon)
{
	static const struct redis_callbacks callbacks = {.up = on_up, .down = on_down};
	const struct settings *settings = &recon->settings;
	struct celery *celery = calloc(1, sizeof(*celery));
	if (!celery)
		return -ENOMEM;
	recon->celery = celery;
	celery->recon = recon;
	celery->waiting = -1;
	randombytes_buf(celery->hash_key, sizeof(celery->hash_key));
	return redis_open(recon->self, recon->host, &settings->address, settings->username, settings->password,
			  &callbacks, celery, &celery->redis);
}

void celery_stop(struct celery *celery)
{
	if (!celery)
		return;
	redis_close(celery->redis);
	celery->redis = NULL;
}

void celery_free(struct celery *celery)
{
	free(celery);
}
