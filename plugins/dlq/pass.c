/* SPDX-License-Identifier: MIT
 *
 * A pass reads the whole window, page by page from its end, and decides what is gone. The first after each connect goes
 * at full speed; others come when a look saw that something left, and after `max_age` in any case. They are paced so
 * that Redis spends at most `budget` of the time on them.
 *
 * A queue moves while it is read. A stream has names for places, so a page goes on behind the last entry of the one
 * before. A list and a sorted set have only numbers, which shift as others come and go: there a page repeats the last
 * messages of the one before, and goes on behind the last of them that is still there (align.h). If none is, something
 * may have been passed over, and the pass begins anew rather than call a message gone that is not.
 *
 * What is too large for a page is named by a script and fetched by its name, one at a time.
 */
#include "align.h"
#include "dlq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_FIRST = 100, PAGE_LEAST = 32, BYTES_MANY = 512 * 1024, BYTES_FEW = 128 * 1024, ABORTS_MAX = 5 };
static const int64_t least_gap = CW_SECOND, pause_max = 250 * CW_MILLISECOND;

static void ask(struct dlq *dlq);
static void fetch_next(struct dlq *dlq);

/* ---- begin and end ---- */

static void set_timer(struct dlq *dlq, int64_t after);

static void begin(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	pass->running = true;
	pass->wanted = false;
	pass->at = pass->tail_count = pass->large = pass->fetches = pass->fetched = 0;
	pass->cursor = (struct stream_id){0};
	pass->is_read = false;
	pass->began = dlq->host->now();
	pass->began_wall = dlq->host->wall();
	letters_pass_begins(dlq);
	ask(dlq);
}

static void end(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	pass->running = false;
	letters_pass_ends(dlq);
	pass->ever = true;
	pass->count++;
	pass->is_first = false;
	pass->aborted = 0;
	pass->last_began = pass->began;
	pass->last_began_wall = pass->began_wall;
	pass->last_end_wall = dlq->host->wall();
	pass->by_script = pass->large > 0 && !dlq->no_scripts;
	dlq->unmet = 0;
	dlq_say(dlq);
	dlq_read_done(dlq, 0);
	if (pass->wanted)
		pass_want(dlq);
}

void pass_nothing(struct dlq *dlq)
{
	dlq->pass.began = dlq->host->now();
	dlq->pass.began_wall = dlq->host->wall();
	end(dlq);
}

/* Not now; soon. What it has met stays met, and nothing is called gone. */
static void begin_anew(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	pass->running = false;
	pass->aborted++;
	pass->wanted = true;
	set_timer(dlq, pass->aborted < ABORTS_MAX ? 0 : least_gap);
}

void pass_forget(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	uv_timer_stop(&pass->timer);
	pass->running = pass->wanted = false;
	pass->is_first = true;
	pass->fetches = pass->fetched = 0;
}

void pass_cut(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	pass->page = pass->page / 4 > PAGE_LEAST ? pass->page / 4 : PAGE_LEAST;
	pass->by_script = !dlq->no_scripts;
}

static void on_timer(uv_timer_t *timer)
{
	struct dlq *dlq = timer->data;
	if (!redis_is_up(dlq->commands))
		return;
	if (dlq->pass.running)
		ask(dlq);
	else if (dlq->pass.wanted)
		begin(dlq);
}

static void set_timer(struct dlq *dlq, int64_t after)
{
	uint64_t ms = after <= 0 ? 0 : (uint64_t)((after + CW_MILLISECOND - 1) / CW_MILLISECOND);
	uv_timer_start(&dlq->pass.timer, on_timer, ms, /* repeat */ 0);
}

void pass_want(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	bool waits = pass->wanted && uv_is_active((uv_handle_t *)&pass->timer);
	pass->wanted = true;
	if (pass->running || waits)
		return;
	int64_t gap = pass->is_first ? 0 : pass->last_began + least_gap - dlq->host->now();
	set_timer(dlq, gap);
}

void pass_init(struct dlq *dlq)
{
	dlq->pass.page = PAGE_FIRST;
	dlq->pass.is_first = true;
	uv_timer_init(dlq->host->loop(dlq->self), &dlq->pass.timer);
	dlq->pass.timer.data = dlq;
}

/* ---- what is met ---- */

/* A message that is new though the first reading is over: it arrived. One that only moved up into the window did not.
 */
static void count_new(struct dlq *dlq)
{
	if (dlq->pass.is_first || !dlq_holds_all(dlq))
		return;
	if (dlq->unmet > 0)
		dlq->unmet--;
	else
		dlq->early++;
}

static void meet(struct dlq *dlq, const struct entry *entry, uint32_t place)
{
	uint32_t row;
	struct letter *letter = letters_find(dlq, entry->id, &row);
	if (letter) {
		letters_met(dlq, row, letter, entry, place);
		return;
	}
	letters_add(dlq, entry, place);
	count_new(dlq);
}

/* ---- what is large ---- */

static void fetch_later(struct dlq *dlq, const struct entry *entry, uint32_t place)
{
	struct pass *pass = &dlq->pass;
	if (pass->fetches == pass->fetch_room) {
		uint32_t room = pass->fetch_room ? 2 * pass->fetch_room : 16;
		struct fetch *grown = realloc(pass->fetch, room * sizeof(*grown));
		if (!grown)
			return; /* the next pass tries again */
		pass->fetch = grown;
		pass->fetch_room = room;
	}
	pass->fetch[pass->fetches++] = (struct fetch){.entry = *entry, .place = place};
}

static void on_large(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	struct pass *pass = &dlq->pass;
	if (!reply || !pass->running || pass->fetched >= pass->fetches)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		dlq->no_scripts = true; /* it may run, but not what it needs: the next pass does without */
	const struct fetch *fetch = &pass->fetch[pass->fetched++];
	struct entry entry = fetch->entry;
	entry.is_cut = entry.length > MESSAGE_BYTES_MAX;
	size_t whole = entry.length;
	if (queue_large(reply, dlq->settings.stream_field, &entry)) {
		if (entry.is_cut) {
			entry.cut_at = entry.length;
			entry.length = whole;
		}
		pass->in_page = true;
		meet(dlq, &entry, fetch->place);
		pass->in_page = false;
	} /* else it has gone meanwhile */
	queue_entry_release(&entry);
	fetch_next(dlq);
}

static void go_on(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	int64_t busy = pass->page_took - dlq->round_trip;
	int64_t pause = busy <= 0 ? 0 : (int64_t)((double)busy * (1 / dlq->settings.budget - 1));
	if (pass->is_read)
		end(dlq);
	else if (pass->is_first)
		ask(dlq);
	else
		set_timer(dlq, pause < pause_max ? pause : pause_max);
}

static void fetch_next(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	if (pass->fetched == pass->fetches) {
		pass->fetched = pass->fetches = 0;
		go_on(dlq);
		return;
	}
	const struct fetch *fetch = &pass->fetch[pass->fetched];
	struct page_spec spec = dlq_page(dlq, 0, 0);
	size_t most = fetch->entry.length > MESSAGE_BYTES_MAX ? RAW_SHOWN_MAX : MESSAGE_BYTES_MAX;
	queue_ask_large(dlq->commands, &spec, fetch->place, &fetch->entry, most, on_large, dlq);
}

/* Its bytes did not come. Without a script it has no name either: all of these are one row. */
static void meet_large(struct dlq *dlq, const struct entry *entry, uint32_t place)
{
	uint32_t row;
	struct letter *letter = letters_find(dlq, entry->id, &row);
	dlq->pass.large++;
	if (letter)
		letters_met(dlq, row, letter, entry, place);
	else if (entry->has_id)
		fetch_later(dlq, entry, place);
	else
		meet(dlq, entry, place);
}

/* ---- pages ---- */

static void keep_tail(struct pass *pass, const unsigned char (*names)[ID_BYTES], uint32_t n)
{
	uint32_t kept = n < OVERLAP ? n : OVERLAP;
	memcpy(pass->tail, names[n - kept], kept * sizeof(names[0]));
	pass->tail_count = kept;
}

static void resize(struct pass *pass, size_t bytes)
{
	if (bytes > BYTES_MANY && pass->page / 2 >= PAGE_LEAST)
		pass->page /= 2;
	else if (bytes < BYTES_FEW && 2 * pass->page <= PAGE_MAX)
		pass->page *= 2;
}

/* The names of all of the page; false: it has large ones and was not read by script, though it could be. */
static bool read_names(struct dlq *dlq, const struct page_spec *spec, const redisReply *reply, uint32_t n,
		       unsigned char (*names)[ID_BYTES])
{
	struct entry entry;
	size_t bytes = 0;
	for (uint32_t i = 0; i < n; i++) {
		bool is_good = queue_entry(spec, reply, i, dlq->settings.stream_field, &entry);
		memcpy(names[i], entry.id, ID_BYTES);
		bytes += entry.is_large ? 0 : entry.length;
		queue_entry_release(&entry);
		if (is_good && entry.is_large && !entry.has_id && !dlq->no_scripts)
			return false;
	}
	resize(&dlq->pass, bytes);
	return true;
}

/* From `skip` on. */
static void take_entries(struct dlq *dlq, const struct page_spec *spec, const redisReply *reply, uint32_t n,
			 uint32_t skip)
{
	struct pass *pass = &dlq->pass;
	struct entry entry;
	pass->in_page = true;
	for (uint32_t i = skip; i < n && pass->at < dlq->settings.window; i++, pass->at++) {
		bool is_good = queue_entry(spec, reply, i, dlq->settings.stream_field, &entry);
		pass->cursor = entry.stream_id;
		if (is_good && entry.is_large)
			meet_large(dlq, &entry, pass->at);
		else if (is_good)
			meet(dlq, &entry, pass->at);
		queue_entry_release(&entry);
	}
	pass->in_page = false;
}

static void take_page(struct dlq *dlq, const redisReply *reply)
{
	struct pass *pass = &dlq->pass;
	struct page_spec spec = pass->spec;
	unsigned char names[PAGE_MAX + OVERLAP][ID_BYTES];
	uint32_t n = queue_page_entries(&spec, reply);
	n = n < PAGE_MAX + OVERLAP ? n : PAGE_MAX + OVERLAP;
	if (!read_names(dlq, &spec, reply, n, names)) {
		pass->by_script = true;
		ask(dlq);
		return;
	}
	int32_t skip = pass->tail_count ? align((const unsigned char(*)[ID_BYTES])pass->tail, pass->tail_count,
						(const unsigned char(*)[ID_BYTES])names, n)
					: 0;
	if (skip < 0) {
		begin_anew(dlq);
		return;
	}
	take_entries(dlq, &spec, reply, n, (uint32_t)skip);
	pass->is_read = n < spec.count || pass->at >= dlq->settings.window;
	if (dlq->kind != QUEUE_STREAM && n > 0)
		keep_tail(pass, (const unsigned char(*)[ID_BYTES])names, n);
	fetch_next(dlq);
}

static void on_page(void *arg, const redisReply *reply)
{
	struct dlq *dlq = arg;
	struct pass *pass = &dlq->pass;
	if (!reply || !pass->running)
		return;
	pass->page_took = dlq->host->now() - pass->page_asked;
	if (reply->type != REDIS_REPLY_ERROR) {
		take_page(dlq, reply);
	} else if (pass->spec.by_script && !redis_is_error(reply, "WRONGTYPE")) {
		dlq->no_scripts = true; /* NOPERM, or a server that knows none */
		pass->by_script = false;
		ask(dlq);
	} else {
		pass->running = false;
		if (!redis_is_error(reply, "WRONGTYPE"))
			dlq_refused(dlq, reply, queue_page_command(&pass->spec));
		look_soon(dlq); /* it is another queue now, or Redis is asked again by then */
		dlq_read_done(dlq, -EIO);
	}
}

/* The next page. What it takes from Redis is one command. */
static void ask(struct dlq *dlq)
{
	struct pass *pass = &dlq->pass;
	uint32_t left = dlq->settings.window - pass->at, n = left < pass->page ? left : pass->page;
	pass->spec = dlq_page(dlq, pass->at - pass->tail_count, n + pass->tail_count);
	pass->spec.after = pass->cursor;
	pass->page_asked = dlq->host->now();
	queue_ask_page(dlq->commands, &pass->spec, on_page, dlq);
}
