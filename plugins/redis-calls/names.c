/* SPDX-License-Identifier: MIT
 *
 * Names of businesses, from the lookup that the option `lookup` names. A row never waits for one: it is put with the
 * name if that is known, and touched when it comes.
 *
 * Who is new is asked for within 50 ms; who was not answered, again after 5 s; and everybody once a minute, for that is
 * how a new name arrives (the lookup answers from what it remembers). At most 1,000 in a question, and a question at a
 * time, with a pause between: a lookup that is not there, or has too much to do, is asked again a second later.
 *
 * An answer changes what is known of a business; its rows are found by a walk over all of them, since to keep lists
 * would cost every call memory for what happens seldom. A walk serves all that was answered before it began, and goes
 * in slices, so that nothing else on this loop waits for more than a moment.
 */
#include "businesses.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

enum { SOON_MS = 50, NEXT_MS = 10, SLICE_MS = 1, SLICE_ROWS = 16384, SLICE_TOUCHES = 512 };

static const int64_t again_unanswered = 5 * CW_SECOND, again_answered = 60 * CW_SECOND, lookup_away = CW_SECOND;

/* ---- asking ---- */

static void on_ask(uv_timer_t *timer);

static void ask_in(struct watch *watch, int64_t wait)
{
	uint64_t ms = wait <= 0 ? NEXT_MS : (uint64_t)(wait / CW_MILLISECOND) + 1;
	uv_timer_start(&watch->names.ask, on_ask, ms, /* repeat */ 0);
}

/* Who is due for a question, and since when, at the earliest. */
static int64_t due_of(const struct business *first, int64_t after)
{
	return first ? first->since + after : INT64_MAX;
}

static struct business *next_due(const struct businesses *businesses, int64_t now)
{
	if (businesses->first[TO_ASK])
		return businesses->first[TO_ASK];
	if (due_of(businesses->first[ASKED], again_unanswered) <= now)
		return businesses->first[ASKED];
	if (due_of(businesses->first[ANSWERED], again_answered) <= now)
		return businesses->first[ANSWERED];
	return NULL;
}

/* A question, or none if nobody is due. Who could not be asked is the first to be asked next. */
static int ask_some(struct watch *watch, int64_t now)
{
	struct businesses *businesses = watch->calls.businesses;
	const char *keys[CW_LOOKUP_KEYS_MAX];
	struct business *business;
	uint32_t n = 0;
	while (n < CW_LOOKUP_KEYS_MAX && (business = next_due(businesses, now))) {
		keys[n++] = business->id;
		businesses_move(businesses, business, ASKED, now);
	}
	int status = n ? watch->host->lookup_ask(watch->names.way, keys, n) : 0;
	for (; status < 0 && n; n--)
		businesses_move(businesses, businesses->last[ASKED], TO_ASK, now);
	return status;
}

static void on_ask(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	const struct businesses *businesses = watch->calls.businesses;
	int64_t now = watch->host->now();
	watch->names.is_away = ask_some(watch, now) < 0;
	if (watch->names.is_away) {
		ask_in(watch, lookup_away);
		return;
	}
	int64_t asked = due_of(businesses->first[ASKED], again_unanswered);
	int64_t answered = due_of(businesses->first[ANSWERED], again_answered);
	int64_t due = businesses->first[TO_ASK] ? now : asked < answered ? asked : answered;
	if (due != INT64_MAX)
		ask_in(watch, due - now);
}

void names_soon(struct watch *watch)
{
	uv_timer_t *timer = &watch->names.ask;
	if (!watch->names.way || watch->names.is_away || !watch->calls.businesses->first[TO_ASK])
		return;
	if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > SOON_MS)
		uv_timer_start(timer, on_ask, SOON_MS, /* repeat */ 0);
}

/* ---- showing ---- */

static void on_walk(uv_timer_t *timer);

static void walk_in(struct watch *watch, uint64_t ms)
{
	uv_timer_start(&watch->names.walk, on_walk, ms, /* repeat */ 0);
}

static void show(struct watch *watch, uint32_t row, const struct business *business)
{
	struct cw_change change = {.column = COLUMN_BUSINESS_NAME, .cell = names_cell(business)};
	watch->host->row_touch(watch->calls_part, row, &change, 1);
}

static void on_walk(uv_timer_t *timer)
{
	struct watch *watch = timer->data;
	struct names *names = &watch->names;
	const struct businesses *businesses = watch->calls.businesses;
	uint32_t touches = 0, until = names->at + SLICE_ROWS;
	if (names->at == 0) {
		names->number++;
		names->is_wanted = false;
	}
	for (; names->at < businesses->room && names->at < until && touches < SLICE_TOUCHES; names->at++) {
		const struct business *business = businesses->of_row[names->at];
		if (!business || business->changed != names->number)
			continue;
		show(watch, names->at, business);
		touches++;
	}
	if (names->at < businesses->room) {
		walk_in(watch, SLICE_MS);
		return;
	}
	names->at = 0;
	if (names->is_wanted)
		walk_in(watch, SOON_MS);
}

/* ---- answers ---- */

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void take(struct watch *watch, struct business *business, const struct cw_answer *answer)
{
	businesses_move(watch->calls.businesses, business, ANSWERED, watch->host->now());
	if (is_same(business->name, answer->value))
		return;
	char *name = answer->value ? strdup(answer->value) : NULL;
	if (answer->value && !name)
		return; /* what it was called before is shown until it is asked for again */
	free(business->name);
	business->name = name;
	business->changed = watch->names.number + 1; /* the walk that begins next */
	watch->names.is_wanted = true;
}

static void on_answers(void *arg, const struct cw_answer *answers, uint32_t n)
{
	struct watch *watch = arg;
	for (uint32_t i = 0; i < n; i++) {
		size_t length = strlen(answers[i].key);
		struct business *business = businesses_find(watch->calls.businesses, answers[i].key, length,
							    watch_hash(watch, answers[i].key, length));
		if (business)
			take(watch, business, &answers[i]);
	}
	if (watch->names.is_wanted && !uv_is_active((uv_handle_t *)&watch->names.walk))
		walk_in(watch, SLICE_MS);
}

/* ---- life ---- */

struct cw_cell names_cell(const struct business *business)
{
	return business && business->name ? cw_text_cell(business->name, strlen(business->name)) : cw_null_cell();
}

int names_start(struct watch *watch)
{
	struct uv_loop_s *loop = watch->host->loop(watch->self);
	if (!watch->settings.lookup || watch->info->once)
		return 0; /* samples have no names */
	uv_timer_init(loop, &watch->names.ask);
	uv_timer_init(loop, &watch->names.walk);
	watch->names.ask.data = watch->names.walk.data = watch;
	return watch->host->lookup_open(watch->self, watch->settings.lookup, on_answers, watch, &watch->names.way);
}

void names_stop(struct watch *watch)
{
	uv_timer_t *timers[] = {&watch->names.ask, &watch->names.walk};
	watch->host->lookup_close(watch->names.way);
	watch->names.way = NULL;
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timers[i]->loop)
			uv_close((uv_handle_t *)timers[i], /* close_cb */ NULL);
}
