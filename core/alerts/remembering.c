/* SPDX-License-Identifier: MIT
 *
 * What an earlier life left in the journal: read on the journal's thread, copied, and taken over by the thread `alerts`
 * in one go. Silences and incidents first, for what comes after belongs to them.
 *
 * That is before anything is judged, unless the journal could not be read for 10 s. Then what is open by now makes way
 * for what was open before, with its id and since when; an incident that was not told yet becomes the one of before.
 * What was told again meanwhile was told: nobody can take that back.
 */
#include "alerting_private.h"

#include "clock.h"
#include "journal_alerts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLED_READ = 1000, TEXTS = 8 };

/* Something that was known; what it is, its take() knows. */
struct known {
	struct known *next;
	void (*take)(struct alerting *alerting, const struct known *known);
	char *texts[TEXTS];
	int64_t numbers[8];
	struct alert *alert;
	bool is_doubtful;
};

struct memory {
	struct mail mail; /* first */
	struct known *first, **last;
};

static void known_free(struct known *known)
{
	for (size_t i = 0; i < TEXTS; i++)
		free(known->texts[i]);
	alert_free(known->alert);
	free(known);
}

static void drop_memory(struct mail *mail)
{
	struct memory *memory = (struct memory *)mail;
	while (memory->first) {
		struct known *next = memory->first->next;
		known_free(memory->first);
		memory->first = next;
	}
	free(memory);
}

/* NULL: no memory; it is left out. */
static struct known *keep(struct memory *memory, void (*take)(struct alerting *alerting, const struct known *known),
			  const char *const *texts, size_t count)
{
	struct known *known = calloc(1, sizeof *known);
	if (!known)
		return NULL;
	known->take = take;
	for (size_t i = 0; i < count; i++)
		if (texts[i] && !(known->texts[i] = strdup(texts[i]))) {
			known_free(known);
			return NULL;
		}
	*memory->last = known;
	memory->last = &known->next;
	return known;
}

/* ---- silences ---- */

static void take_silence(struct alerting *alerting, const struct known *known)
{
	const char *matchers[SILENCE_MATCHERS_MAX + 1]; /* one too many is refused: without it more would be muted */
	char error[CW_QUERY_ERROR_MAX], *rest = known->texts[1];
	struct silence *silence;
	uint32_t count = 0;
	for (char *line; rest && *rest && count <= SILENCE_MATCHERS_MAX && (line = strsep(&rest, "\n"));)
		matchers[count++] = line;
	struct cw_silence_spec spec = {.id = known->texts[0],
				       .matchers = matchers,
				       .matchers_count = count,
				       .all = count == 0,
				       .starts_at = known->numbers[0],
				       .ends_at = known->numbers[1],
				       .every = known->texts[2],
				       .timezone = known->texts[3],
				       .by = known->texts[4],
				       .comment = known->texts[5]};
	if (silences_add(alerting->silences, &spec, clock_wall(), &silence, error) == 0)
		silences_rows_show(alerting, silence);
	else
		log_line(NULL, CW_WARNING, "the journal's silence %s cannot be used: %s", spec.id, error);
}

static void on_silence(void *arg, const struct silence *silence)
{
	const char *const texts[] = {silence->id,       silence->matchers,   silence->every,
				     silence->timezone, silence->created_by, silence->comment};
	struct known *known = keep(arg, take_silence, texts, sizeof texts / sizeof *texts);
	if (!known)
		return;
	known->numbers[0] = silence->starts_at;
	known->numbers[1] = silence->ends_at;
}

/* ---- incidents, receipts ---- */

static void take_incident(struct alerting *alerting, const struct known *known)
{
	(void)groups_restore(alerting->groups, known->texts[0], known->texts[1], known->texts[2],
			     (uint32_t)known->numbers[0], known->numbers[1], known->numbers[2]);
}

static void on_incident(void *arg, const struct group *group)
{
	const char *const texts[] = {group->key, group->rule_name, group->incident};
	struct known *known = keep(arg, take_incident, texts, sizeof texts / sizeof *texts);
	if (!known)
		return;
	known->numbers[0] = group->sequence;
	known->numbers[1] = group->since;
	known->numbers[2] = group->told_at;
}

static void take_receipt(struct alerting *alerting, const struct known *known)
{
	(void)deliveries_receipt(alerting->deliveries, known->texts[0], known->texts[1], known->texts[2]);
}

static void on_receipt(void *arg, const char *incident, const char *notifier, const char *receipt)
{
	const char *const texts[] = {incident, notifier, receipt};
	(void)keep(arg, take_receipt, texts, sizeof texts / sizeof *texts);
}

/* ---- alerts ---- */

static void forget_on_disk(struct alerting *alerting, struct alert *alert)
{
	(void)journal_alert(alerting->journal, alert, /* forget */ true, NULL, NULL);
}

/* What was told of this life is true of the one that it only goes on with. */
static void make_way(struct alerting *alerting, struct alert *newer, struct alert *known)
{
	if (newer->told > known->told)
		known->told = newer->told;
	if (newer->acked_by) {
		alert_set_text(&known->acked_by, newer->acked_by);
		alert_set_text(&known->ack_note, newer->ack_note);
		known->acked_at = newer->acked_at;
	}
	forget_on_disk(alerting, newer);
	alerting_forget(alerting, newer);
}

/* False: what is known is older than what is seen. */
static bool has_place(struct alerting *alerting, struct alert *known)
{
	struct alert *open = known->state == ALERT_RESOLVED
				     ? NULL
				     : engine_find(alerting->engine, known->rule_name, known->instance, known->subject);
	if (!open)
		return true;
	if (!open->is_confirmed || (known->state == ALERT_PENDING && open->state == ALERT_FIRING)) {
		forget_on_disk(alerting, known);
		return false;
	}
	make_way(alerting, open, known);
	return true;
}

static void take_alert(struct alerting *alerting, const struct known *known)
{
	struct moment now = alerting_now(alerting);
	if (!has_place(alerting, known->alert))
		return;
	struct alert *alert = engine_restore(alerting->engine, known->alert, now);
	if (!alert)
		return;
	if (alert->state != ALERT_PENDING)
		groups_add_known(alerting->groups, alert, known->texts[0], now.watched);
	if (alert->state != ALERT_RESOLVED || now.wall - alert->resolved_at < alerting_ended_shown_ns)
		alerting_show(alerting, alert);
}

static void on_alert(void *arg, const struct alert *alert, const char *group_key)
{
	const char *const texts[] = {group_key ? group_key : ""};
	struct known *known = keep(arg, take_alert, texts, 1);
	if (known && !(known->alert = alert_copy(alert)))
		known->take = NULL;
}

/* ---- deliveries ---- */

static void take_delivery(struct alerting *alerting, const struct known *known)
{
	char *const *texts = known->texts;
	struct journal_delivery delivery = {.id = texts[0],
					    .notifier = texts[1],
					    .group = texts[2],
					    .incident = texts[3],
					    .rule = texts[4],
					    .progress = texts[5],
					    .reason = texts[6],
					    .notice = texts[7],
					    .sequence = (uint32_t)known->numbers[0],
					    .attempts = (uint32_t)(known->numbers[0] >> 32),
					    .kind = (int)(known->numbers[1] >> 32),
					    .state = (int)(known->numbers[1] & 0xff),
					    .since = known->numbers[2],
					    .created_at = known->numbers[3],
					    .next_try = known->numbers[4],
					    .settled_at = known->numbers[5],
					    .not_before = known->numbers[6],
					    .written_at = known->numbers[7],
					    .is_doubtful = known->is_doubtful};
	if (deliveries_restore(alerting->deliveries, &delivery, clock_now(), clock_wall()) < 0)
		log_line(NULL, CW_WARNING, "the journal's notice %.64s cannot be used, and is left out", delivery.id);
}

static void on_delivery(void *arg, const struct journal_delivery *delivery)
{
	const char *const texts[TEXTS] = {delivery->id,   delivery->notifier, delivery->group,  delivery->incident,
					  delivery->rule, delivery->progress, delivery->reason, delivery->notice};
	struct known *known = keep(arg, take_delivery, texts, TEXTS);
	if (!known)
		return;
	known->numbers[0] = (int64_t)delivery->attempts << 32 | delivery->sequence;
	known->numbers[1] = (int64_t)delivery->kind << 32 | delivery->state;
	known->numbers[2] = delivery->since;
	known->numbers[3] = delivery->created_at;
	known->numbers[4] = delivery->next_try;
	known->numbers[5] = delivery->settled_at;
	known->numbers[6] = delivery->not_before;
	known->numbers[7] = delivery->written_at;
	known->is_doubtful = delivery->is_doubtful;
}

/* ---- the whole ---- */

static void on_memory(struct mail *mail, void *owner)
{
	struct alerting *alerting = owner;
	struct memory *memory = (struct memory *)mail;
	for (const struct known *known = memory->first; known; known = known->next)
		if (known->take)
			known->take(alerting, known);
	sources_orphans(alerting);
	alerting_begin(alerting);
	drop_memory(mail);
}

void alerting_read(struct alerting *alerting, struct sqlite3 *db)
{
	struct memory *memory = alerting && db ? calloc(1, sizeof *memory) : NULL;
	if (!memory)
		return; /* it is not waited for long */
	memory->mail = (struct mail){.deliver = on_memory, .drop = drop_memory};
	memory->last = &memory->first;
	struct journal_alerts_reader reader = {.silence = on_silence,
					       .incident = on_incident,
					       .receipt = on_receipt,
					       .alert = on_alert,
					       .delivery = on_delivery,
					       .arg = memory};
	journal_alerts_read(db, SETTLED_READ, &reader);
	if (mailbox_post(alerting->orders, &memory->mail) < 0)
		drop_memory(&memory->mail);
}
