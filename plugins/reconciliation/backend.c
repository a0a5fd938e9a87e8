/* SPDX-License-Identifier: MIT
 *
 * Mode http: the platform's two endpoints. The status is asked for again and again; it gives no task id, so a run that
 * is seen there is known by its last_run_at, and one that we asked for is recognised as the first that is new after we
 * asked. What asks for a run is sent once: who does not hear the answer does not know whether it was taken, and says
 * so.
 *
 * Whatever the backend says passes report_redact() before anybody sees it: it may repeat the key.
 */
#include "backoff.h"
#include "message.h"
#include "recon.h"
#include "status.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 64 << 10, URL_MAX = 2048, KEY_HEADER_MAX = 4096 };

static const int64_t soon = 2 * CW_SECOND;         /* between polls while a run is awaited */
static const int64_t clocks_apart = 5 * CW_SECOND; /* the backend's clock may be behind ours by this */
static const int64_t after_denied = 30 * CW_SECOND;

struct backend {
	struct recon *recon;
	struct http *http;
	char status_url[URL_MAX], trigger_url[URL_MAX];
	char *key_header; /* NULL: no key */

	struct http_transfer *polling;
	int64_t next_poll; /* instant */
	struct backoff backoff;
	struct judge judge;

	/* the request under way */
	struct http_transfer *posting;
	char wanted[RUN_ID_SIZE]; /* the run */
	request_done done;
	void *done_arg;
	int64_t not_before; /* instant: told to wait, by Retry-After to a request */

	bool knows_base; /* of the last run that was asked for: */
	int64_t base;    /* the last_run_at before */
};

/* ---- words ---- */

static void redact(const struct backend *backend, const char *text, char *buffer, size_t size)
{
	report_redact(backend->recon->settings.api_key, text, strlen(text), buffer, size);
}

/* The reason that a refusal's body gives: its `detail`, `error` or `message`, else its text. */
static void body_says(const struct backend *backend, const struct http_answer *answer, char buffer[200])
{
	static const char *const names[] = {"detail", "error", "message"};
	char text[1024], masked[1024];
	json_t *root = json_loadb(answer->body, answer->length, 0, /* error */ NULL);
	const char *said = root ? "" : answer->body;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && root && !said[0]; i++)
		if (json_is_string(json_object_get(root, names[i])))
			said = json_string_value(json_object_get(root, names[i]));
	redact(backend, said, text, sizeof(text));
	text_mask_phones_in(masked, sizeof(masked), text, strlen(text));
	text_visible(buffer, 200, masked, strlen(masked));
	json_decref(root);
}

void backend_explain(const struct backend *backend, const struct http_answer *answer, char reason[REASON_MAX])
{
	char status[64], said[200], wait[TEXT_DURATION_SIZE];
	http_status_text(answer->status, status);
	body_says(backend, answer, said);
	text_duration(wait, (double)answer->retry_after / (double)CW_SECOND);
	if (answer->end != HTTP_ANSWERED)
		redact(backend, answer->reason, reason, REASON_MAX);
	else if (answer->status == 401 || answer->status == 403)
		snprintf(reason, REASON_MAX, "%s (%s): compare api_key_file with the backend's key",
			 backend->key_header ? "the API key is refused" : "an API key is wanted", status);
	else if (answer->status == 404 || answer->status == 405)
		snprintf(reason, REASON_MAX, "the backend has no such endpoint (%s): compare url and the paths",
			 status);
	else if (answer->retry_after)
		snprintf(reason, REASON_MAX, "the backend asks us to wait %s (%s)%s%s", wait, status,
			 said[0] ? ": " : "", said);
	else
		snprintf(reason, REASON_MAX, "the backend answers %s%s%s", status, said[0] ? ": " : "", said);
}

/* ---- the status ---- */

/* The run that was asked for first, and that no answer was recognised as yet. One that is lost may still be it for as
 * long again; later, what is new is more likely somebody else's. */
static struct run *awaited(struct backend *backend)
{
	struct recon *recon = backend->recon;
	int64_t earliest = recon->host->wall() - 2 * recon->settings.lost_after;
	for (uint32_t i = recon->runs.count; i-- > 0;) {
		struct run *run = &recon->runs.items[i];
		bool may_be = book_is_pending(run) || (run->status == RUN_LOST && run->requested_at > earliest);
		if (run->origin == RUN_REQUESTED && !run->reported_at && may_be)
			return run;
	}
	return NULL;
}

/* The run that was last reported to be at work, if the new report is a later one: its end, most likely. `status`: it
 * still is, or it was lost, which it was while the backend could not be asked; not for long, as in awaited(). */
static struct run *at_work(struct backend *backend, int64_t last_run_at, enum run_status status)
{
	struct recon *recon = backend->recon;
	int64_t earliest = recon->host->wall() - recon->settings.lost_after;
	for (uint32_t i = 0; i < recon->runs.count; i++) {
		struct run *run = &recon->runs.items[i];
		if (run->status == status && run->reported_at && run->reported_at < last_run_at &&
		    (status == RUN_RUNNING || run->updated_at > earliest))
			return run;
	}
	return NULL;
}

static bool is_after(const struct backend *backend, const struct run *run, int64_t last_run_at)
{
	if (backend->knows_base && last_run_at == backend->base)
		return false;
	return backend->knows_base || last_run_at >= run->requested_at - clocks_apart;
}

static struct run *observe(struct backend *backend, const struct status *status)
{
	char time[TEXT_TIME_SIZE];
	struct run run = {.origin = RUN_OBSERVED,
			  .status = status->report.status,
			  .reported_at = status->last_run_at,
			  .missing = status->report.missing,
			  .queued = status->report.queued};
	text_time(time, status->last_run_at);
	snprintf(run.id, sizeof(run.id), "observed-%s", time);
	if (run_is_over(run.status))
		run.finished_at = status->last_run_at;
	else if (run.status == RUN_RUNNING)
		run.started_at = status->last_run_at;
	memcpy(run.error, status->report.error, sizeof(run.error));
	return book_add(backend->recon, &run);
}

/* What the backend goes on saying of a run keeps it from being lost. */
static void take_report(struct backend *backend, struct run *run, const struct report *report)
{
	if (report->status == run->status)
		run->heard = backend->recon->host->now();
	book_report(backend->recon, run, report);
}

/* A run is under way, but the time is still that of the one before. */
static void someone_runs(struct backend *backend, const struct status *status)
{
	struct run *run = awaited(backend);
	if (run && status->report.status == RUN_RUNNING)
		take_report(backend, run, &status->report);
}

static void take_run(struct backend *backend, const struct status *status)
{
	struct recon *recon = backend->recon;
	struct report report = status->report;
	struct run *run = status->has_last_run ? runs_find_report(&recon->runs, status->last_run_at) : NULL;
	if (!status->has_last_run || (run && run_is_over(run->status))) {
		someone_runs(backend, status);
		return;
	}
	if (!run)
		run = at_work(backend, status->last_run_at, RUN_RUNNING);
	if (!run && (run = awaited(backend)) && !is_after(backend, run, status->last_run_at))
		run = NULL;
	if (!run)
		run = at_work(backend, status->last_run_at, RUN_LOST);
	if (!run) {
		observe(backend, status);
		return;
	}
	run->reported_at = status->last_run_at;
	report.finished_at = status->last_run_at;
	take_report(backend, run, &report);
}

/* What an answer that is not believed made us see before is not so either. */
static void disbelieve(struct backend *backend, const struct status *status)
{
	struct run *run = status->has_last_run ? runs_find_report(&backend->recon->runs, status->last_run_at) : NULL;
	if (run && run->origin == RUN_OBSERVED && !backend->judge.ever_changed)
		book_forget(backend->recon, run, "placeholder");
}

/* A run that was asked for, and should long be in the answer. */
static bool is_missed(struct backend *backend)
{
	const struct run *run = awaited(backend);
	int64_t wall = backend->recon->host->wall();
	return run && run->requested_at + backend->recon->settings.lost_after < wall;
}

static void lose_silent(struct backend *backend)
{
	struct recon *recon = backend->recon;
	char why[160];
	snprintf(why, sizeof(why), "%s within %s: nobody knows what became of it",
		 !recon->sees         ? "the backend cannot be asked now, nothing was heard of it"
		 : recon->is_reported ? "the backend has not reported it"
				      : "the backend does not report runs, nothing came",
		 text_ns(recon->settings.lost_after).text);
	book_silence_all(recon, why);
}

static void take_status(struct backend *backend, const struct http_answer *answer)
{
	struct recon *recon = backend->recon;
	struct status status;
	char why[STATUS_WHY_MAX];
	int64_t wall = recon->host->wall();
	backoff_reset(&backend->backoff);
	if (status_read(answer->body, answer->length, recon->settings.api_key, recon->info->phones_full, &status, why) <
	    0) {
		recon->host->count_malformed(recon->self, 1);
		recon_say(recon, CW_DOWN, backend->next_poll, "%s", why);
		return;
	}
	recon->is_reported =
		judge_believes(&backend->judge, &status, wall, recon->settings.expected_every, is_missed(backend), why);
	if (recon->is_reported) {
		take_run(backend, &status);
		recon_say(recon, CW_UP, /* next_try */ 0, "reading the backend's status");
	} else {
		disbelieve(backend, &status);
		recon_say(recon, CW_DEGRADED, /* next_try */ 0,
			  "the backend does not report its runs, it answers with placeholder data (%s): mode celery "
			  "reads the truth",
			  why);
	}
	lose_silent(backend);
}

/* ---- asking ---- */

static int64_t pause_after(struct backend *backend, const struct http_answer *answer)
{
	int64_t pause = backoff_next(&backend->backoff);
	bool denied = answer->end == HTTP_TLS || answer->status == 401 || answer->status == 403;
	if (denied && pause < after_denied)
		pause = after_denied; /* nobody is to be locked out by us */
	return answer->retry_after > pause ? answer->retry_after : pause;
}

static void on_status(void *arg, const struct http_answer *answer)
{
	struct backend *backend = arg;
	struct recon *recon = backend->recon;
	char reason[REASON_MAX];
	int64_t now = recon->host->now();
	backend->polling = NULL;
	if (answer->end == HTTP_ANSWERED && answer->status == 200) {
		backend->next_poll = now + recon->info->interval;
		take_status(backend, answer);
		return;
	}
	backend->next_poll = now + pause_after(backend, answer);
	backend_explain(backend, answer, reason);
	recon->host->count_error(recon->self, 1);
	recon_say(recon, CW_DOWN, backend->next_poll, "%s", reason);
}

static int ask(struct backend *backend, int64_t timeout, bool alone, http_done done, void *arg,
	       struct http_transfer **ret_transfer)
{
	const char *const headers[] = {"Accept: application/json", backend->key_header, NULL};
	struct http_request request = {.method = "GET",
				       .url = backend->status_url,
				       .headers = headers,
				       .timeout = timeout,
				       .body_limit = BODY_MAX,
				       .alone = alone};
	return http_send(backend->http, &request, done, arg, ret_transfer);
}

int backend_ask(struct backend *backend, int64_t timeout, http_done done, void *arg,
		struct http_transfer **ret_transfer)
{
	return ask(backend, timeout, /* alone */ true, done, arg, ret_transfer);
}

void backend_tick(struct backend *backend)
{
	struct recon *recon = backend->recon;
	int64_t now = recon->host->now();
	bool is_due = now >= backend->next_poll;
	/* Where answers come they judge, each when it has been read; and the first is waited for. */
	if (recon->has_looked && !recon->sees)
		lose_silent(backend);
	if (recon->sees && awaited(backend) && backend->next_poll - now > soon)
		backend->next_poll = now + soon;
	if (backend->polling || !is_due)
		return;
	int status =
		ask(backend, recon->settings.request_timeout, /* alone */ false, on_status, backend, &backend->polling);
	if (status < 0) {
		backend->next_poll = now + backoff_next(&backend->backoff);
		recon_say(recon, CW_DOWN, backend->next_poll, "nothing can be asked: %s", strerror(-status));
	}
}

/* ---- a run is wanted ---- */

static void finish_request(struct backend *backend, const char *run_id, const char *reason)
{
	request_done done = backend->done;
	backend->done = NULL;
	done(backend->done_arg, run_id, reason);
}

static void take_task_id(struct backend *backend, struct run *run, const struct http_answer *answer)
{
	struct recon *recon = backend->recon;
	json_t *root = json_loadb(answer->body, answer->length, 0, /* error */ NULL);
	const char *id = json_string_value(json_object_get(root, "task_id"));
	char text[RUN_ID_SIZE];
	if (id && id[0] && strlen(id) < sizeof(text) && text_is_utf8(id, strlen(id)) && !runs_find(&recon->runs, id)) {
		redact(backend, id, text, sizeof(text));
		book_rename(recon, run, text);
	} else {
		recon->host->count_malformed(recon->self, 1);
	}
	json_decref(root);
	snprintf(backend->wanted, sizeof(backend->wanted), "%s", run->id);
}

/* Refused for certain: there is no such run. Else there may be one. */
static void take_refusal(struct backend *backend, struct run *run, const struct http_answer *answer)
{
	struct recon *recon = backend->recon;
	char reason[REASON_MAX], why[REASON_MAX + 80];
	bool refused = !answer->may_have_acted || (answer->end == HTTP_ANSWERED && answer->status < 500) ||
		       answer->end == HTTP_REDIRECTED;
	backend_explain(backend, answer, reason);
	if (answer->retry_after)
		backend->not_before = recon->host->now() + answer->retry_after;
	if (refused) {
		book_forget(recon, run, "refused");
		finish_request(backend, /* run_id */ NULL, reason);
		return;
	}
	snprintf(why, sizeof(why), "it may or may not have been taken: %s", reason);
	book_lose(recon, run, why);
	finish_request(backend, backend->wanted, why);
}

static void on_triggered(void *arg, const struct http_answer *answer)
{
	struct backend *backend = arg;
	struct run *run = runs_find(&backend->recon->runs, backend->wanted);
	backend->posting = NULL;
	if (!run) {
		finish_request(backend, /* run_id */ NULL, "the run was forgotten");
	} else if (answer->end == HTTP_ANSWERED && answer->status >= 200 && answer->status < 300) {
		take_task_id(backend, run, answer);
		finish_request(backend, backend->wanted, /* reason */ NULL);
	} else {
		take_refusal(backend, run, answer);
	}
	book_save(backend->recon);
}

static int post(struct backend *backend)
{
	char key[RUN_ID_SIZE + 32];
	const char *const headers[] = {"Accept: application/json", "Content-Type: application/json", key,
				       backend->key_header, NULL};
	struct http_request request = {.method = "POST",
				       .url = backend->trigger_url,
				       .headers = headers,
				       .body = "{}",
				       .length = 2,
				       .timeout = backend->recon->settings.request_timeout,
				       .body_limit = BODY_MAX};
	snprintf(key, sizeof(key), "Idempotency-Key: %s", backend->wanted);
	return http_send(backend->http, &request, on_triggered, backend, &backend->posting);
}

/* It is written down before it is asked for: whatever happens to us meanwhile, it will be known. */
void backend_request(struct backend *backend, const char *by, request_done done, void *arg)
{
	struct recon *recon = backend->recon;
	char id[MESSAGE_ID_SIZE], reason[120];
	int64_t wait = backend->not_before - recon->host->now();
	if (wait > 0) {
		snprintf(reason, sizeof(reason), "the backend asked us to wait; %s are left", text_ns(wait).text);
		done(arg, /* run_id */ NULL, reason);
		return;
	}
	struct run run = {.origin = RUN_REQUESTED,
			  .status = RUN_QUEUED,
			  .requested_at = recon->host->wall(),
			  .missing = -1,
			  .queued = -1};
	message_new_id(id);
	snprintf(run.id, sizeof(run.id), "requested-%s", id);
	snprintf(run.by, sizeof(run.by), "%s", by);
	snprintf(backend->wanted, sizeof(backend->wanted), "%s", run.id);
	backend->knows_base = backend->judge.has_last && backend->judge.last.has_last_run;
	backend->base = backend->judge.last.last_run_at;
	backend->done = done;
	backend->done_arg = arg;
	struct run *added = book_add(recon, &run);
	book_save(recon);
	int status = post(backend);
	if (status < 0) {
		book_forget(recon, added, "not sent");
		finish_request(backend, /* run_id */ NULL, strerror(-status));
	}
}

/* ---- life ---- */

static int make_urls(struct backend *backend)
{
	const struct settings *settings = &backend->recon->settings;
	size_t length = strlen(settings->url);
	while (length && settings->url[length - 1] == '/')
		length--;
	int a = snprintf(backend->status_url, URL_MAX, "%.*s%s", (int)length, settings->url, settings->status_path);
	int b = snprintf(backend->trigger_url, URL_MAX, "%.*s%s", (int)length, settings->url, settings->trigger_path);
	return a < URL_MAX && b < URL_MAX ? 0 : -EINVAL;
}

static int make_key(struct backend *backend)
{
	static const char name[] = "X-API-Key: ";
	const char *key = backend->recon->settings.api_key;
	if (!key)
		return 0;
	size_t room = sizeof(name) + strlen(key);
	backend->key_header = malloc(room);
	if (!backend->key_header)
		return -ENOMEM;
	snprintf(backend->key_header, room, "%s%s", name, key);
	return 0;
}

int backend_start(struct recon *recon)
{
	struct backend *backend = calloc(1, sizeof(*backend));
	if (!backend)
		return -ENOMEM;
	recon->backend = backend;
	backend->recon = recon;
	backend->backoff.random = (uint64_t)recon->host->now() ^ (uintptr_t)backend;
	int status = make_urls(backend);
	if (status == 0)
		status = make_key(backend);
	if (status == 0)
		status = http_open(recon->self, recon->host, recon->options, &backend->http);
	return status;
}

void backend_stop(struct backend *backend)
{
	if (!backend)
		return;
	http_close(backend->http);
	backend->http = NULL;
	backend->polling = backend->posting = NULL;
}

void backend_free(struct backend *backend)
{
	if (!backend)
		return;
	free(backend->key_header);
	free(backend);
}
