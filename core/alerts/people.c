/* SPDX-License-Identifier: MIT
 *
 * What people do about alerts: silences, acknowledgements, trying a rule. A question comes by mail, is carried out at
 * once, and is answered when the journal has spoken of it, or could not within 2 s. Each is an event.
 */
#include "alerting_private.h"

#include "arena.h"
#include "clock.h"
#include "hub.h"
#include "journal_alerts.h"
#include "plan.h"
#include "text.h"

#include <callwatch/option.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_SHOWN = 100, TEXT_MAX = 512, ID_MAX = 64 };

static const int64_t journal_wait_ns = 2 * CW_SECOND;

struct question {
	struct mail mail; /* first; on its way there, and back */
	struct question *next;
	void (*carry_out)(struct alerting *alerting, struct question *question);
	struct mailbox *asker; /* a reference */
	alerts_done done;
	void *arg;
	struct arena *arena; /* what was asked, and the ids of the answer */
	struct cw_silence_spec silence;
	struct cw_ack_spec ack;
	const char *name, *by;

	int64_t due; /* awake: the journal is not waited for any longer */
	struct cw_alerts_answer answer;
	const char *ids[IDS_SHOWN];
	char text[TEXT_MAX], id[ID_MAX];
};

/* The journal's word on its way to the thread; it may come when the question was answered already. */
struct word {
	struct mail mail; /* first */
	struct alerting *alerting;
	struct mailbox *box;
	const struct question *question; /* looked for, not looked at */
	bool on_disk;
};

static void question_free(struct question *question)
{
	mailbox_unref(question->asker);
	arena_free(question->arena);
	free(question);
}

static void drop_question(struct mail *mail)
{
	question_free((struct question *)mail);
}

/* ---- answers ---- */

static void on_answer(struct mail *mail, void *owner)
{
	(void)owner;
	struct question *question = (struct question *)mail;
	question->done(question->arg, &question->answer);
	question_free(question);
}

static void answer(struct question *question)
{
	question->answer.text = question->text;
	question->answer.id = *question->id ? question->id : NULL;
	question->answer.ids = question->ids;
	question->mail.deliver = on_answer;
	if (mailbox_post(question->asker, &question->mail) < 0)
		question_free(question);
}

static void refuse(struct question *question, int status, const char *format, ...) CW_PRINTF(3, 4);
static void refuse(struct question *question, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(question->text, sizeof question->text, format, args);
	va_end(args);
	question->answer.status = status;
	answer(question);
}

/* ---- the journal's word ---- */

static void drop_word(struct mail *mail)
{
	mailbox_unref(((struct word *)mail)->box);
	free(mail);
}

static struct question *take_waiting(struct alerting *alerting, const struct question *wanted)
{
	struct question **link = &alerting->waiting;
	while (*link && *link != wanted)
		link = &(*link)->next;
	struct question *found = *link;
	if (found)
		*link = found->next;
	return found;
}

static void on_word(struct mail *mail, void *owner)
{
	const struct word *word = (const struct word *)mail;
	struct question *question = take_waiting(owner, word->question);
	if (question) {
		question->answer.on_disk = word->on_disk;
		answer(question);
	}
	drop_word(mail);
}

/* On the journal's thread. */
static void on_told(void *arg, bool on_disk)
{
	struct word *word = arg;
	word->on_disk = on_disk;
	if (mailbox_post(word->box, &word->mail) < 0)
		drop_word(&word->mail);
}

static struct word *word_new(struct alerting *alerting, const struct question *question)
{
	struct word *word = malloc(sizeof *word);
	if (word)
		*word = (struct word){{.deliver = on_word, .drop = drop_word},
				      alerting,
				      mailbox_ref(alerting->orders),
				      question,
				      false};
	return word;
}

static void wait_for_journal(struct alerting *alerting, struct question *question)
{
	question->due = clock_awake() + journal_wait_ns;
	question->next = alerting->waiting;
	alerting->waiting = question;
}

/* An address that was used again may be mistaken for the question that had it before: then somebody hears of the wrong
 * entry that it is on disk, a moment early. */
void people_second(struct alerting *alerting)
{
	for (struct question **link = &alerting->waiting, *question; (question = *link);) {
		if (clock_awake() < question->due) {
			link = &question->next;
			continue;
		}
		*link = question->next;
		answer(question);
	}
}

void people_release(struct alerting *alerting)
{
	while (alerting->waiting) {
		struct question *next = alerting->waiting->next;
		answer(alerting->waiting);
		alerting->waiting = next;
	}
}

/* ---- silences ---- */

static void note_alert(struct question *question, const struct alert *alert)
{
	struct cw_alerts_answer *told = &question->answer;
	char name[256];
	told->count++;
	if (told->ids_count == IDS_SHOWN)
		return;
	snprintf(name, sizeof name, "%s/%s", alert->rule_name, alert->subject);
	question->ids[told->ids_count++] = arena_text(question->arena, name, strlen(name));
}

static void note_muted(struct alerting *alerting, struct question *question, const struct silence *silence)
{
	int64_t wall = clock_wall();
	for (const struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next)
		if (alert->state == ALERT_FIRING && silence_mutes(silence, alert, wall))
			note_alert(question, alert);
}

static void keep_silence(struct alerting *alerting, struct question *question, struct silence *silence)
{
	struct word *word = word_new(alerting, question);
	silences_rows_show(alerting, silence);
	alerting->group_step_due = 0;
	snprintf(question->id, sizeof question->id, "%s", silence->id);
	wait_for_journal(alerting, question);
	if (journal_silence(alerting->journal, silence, word ? on_told : NULL, word) < 0 && word)
		on_told(word, false);
}

/* Words of an operator are kept and shown as all else is: with the numbers of persons masked. NULL stays NULL. */
static const char *masked(const struct alerting *alerting, struct question *question, const char *text)
{
	if (!text || cw_get_integer(alerting->plan->agent, "phones", 0) == 1)
		return text;
	size_t length = strlen(text), size = 3 * length + 1; /* a digit may become U+2022 */
	char *room = arena_alloc(question->arena, size);
	text_mask_phones_in(room, size, text, length);
	return room;
}

static void carry_out_silence(struct alerting *alerting, struct question *question)
{
	char error[CW_QUERY_ERROR_MAX];
	question->silence.comment = masked(alerting, question, question->silence.comment);
	struct silence *silence = NULL;
	const struct cw_silence_spec *spec = &question->silence;
	int rc = silences_add(alerting->silences, spec, clock_wall(), &silence, error);
	if (rc < 0) {
		refuse(question, rc, "%s", rc == -ENOMEM ? "out of memory" : error);
		return;
	}
	note_muted(alerting, question, silence);
	snprintf(question->text, sizeof question->text, "%s%u alert%s that fire%s now",
		 spec->dry_run ? "it would mute " : "it mutes ", question->answer.count,
		 question->answer.count == 1 ? "" : "s", question->answer.count == 1 ? "s" : "");
	if (spec->dry_run) {
		answer(question);
		return;
	}
	silence->mutes = question->answer.count;
	hub_event(alerting->options.hub, "silence", silence->id, NULL, "active", spec->by, spec->comment);
	keep_silence(alerting, question, silence);
}

static void carry_out_expire(struct alerting *alerting, struct question *question)
{
	struct silence *silence = silences_expire(alerting->silences, question->name, clock_wall());
	if (!silence) {
		refuse(question, -ENOENT, "there is no silence `%s` that has not ended",
		       text_start(question->name, 40).text);
		return;
	}
	silence->mutes = 0;
	snprintf(question->text, sizeof question->text, "it has ended");
	hub_event(alerting->options.hub, "silence", silence->id, "active", "expired", question->by, silence->comment);
	keep_silence(alerting, question, silence);
}

/* ---- acknowledgements ---- */

static bool is_meant(const struct cw_ack_spec *spec, const struct alert *alert)
{
	return alert->state == ALERT_FIRING && strcmp(alert->rule_name, spec->alert) == 0 &&
	       (!spec->subject || strcmp(alert->subject, spec->subject) == 0) &&
	       (!spec->instance || strcmp(alert->source, spec->instance) == 0);
}

static void ack(struct alerting *alerting, struct question *question, struct alert *alert)
{
	const struct cw_ack_spec *spec = &question->ack;
	alert_set_text(&alert->acked_by, spec->by);
	alert_set_text(&alert->ack_note, spec->note);
	alert->acked_at = clock_wall();
	note_alert(question, alert);
	if (alert->group)
		groups_touch(alerting->groups, alert, alerting->clock.watched);
	alerts_show(alerting, alert);
}

static void carry_out_ack(struct alerting *alerting, struct question *question)
{
	question->ack.note = masked(alerting, question, question->ack.note);
	const struct cw_ack_spec *spec = &question->ack;
	struct alert *last = NULL;
	for (struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next) {
		if (!is_meant(spec, alert))
			continue;
		if (last) /* entries are written in their order: the last one's word is that of all */
			(void)journal_alert(alerting->journal, last, /* forget */ false, NULL, NULL);
		ack(alerting, question, alert);
		last = alert;
	}
	if (!last) {
		refuse(question, -ENOENT, "no alert `%s`%s%s fires", text_start(spec->alert, 80).text,
		       spec->subject ? " of " : "", text_start(spec->subject ? spec->subject : "", 80).text);
		return;
	}
	alerting->group_step_due = 0;
	snprintf(question->text, sizeof question->text, "%u alert%s acknowledged", question->answer.count,
		 question->answer.count == 1 ? "" : "s");
	char subject[512];
	snprintf(subject, sizeof subject, "%s%s%s", spec->alert, spec->subject ? "/" : "",
		 spec->subject ? spec->subject : "");
	hub_event(alerting->options.hub, "ack", subject, NULL, NULL, spec->by, spec->note);
	struct word *word = word_new(alerting, question);
	wait_for_journal(alerting, question);
	if (journal_alert(alerting->journal, last, /* forget */ false, word ? on_told : NULL, word) < 0 && word)
		on_told(word, false);
}

/* ---- trying a rule ---- */

static void carry_out_try(struct alerting *alerting, struct question *question)
{
	const struct rule *rule = alerting->ruleset ? ruleset_find(alerting->ruleset, question->name) : NULL;
	if (!rule) {
		refuse(question, -ENOENT, "there is no rule `%s`", text_start(question->name, 80).text);
		return;
	}
	*alerting->last_incident = '\0';
	int rc = groups_try(alerting->groups, rule, clock_wall());
	if (rc < 0) {
		refuse(question, rc, "%s",
		       rc == -ENOENT ? "nobody would hear of it: no notifier is told of this rule" : "out of memory");
		return;
	}
	snprintf(question->id, sizeof question->id, "%s", alerting->last_incident);
	snprintf(question->text, sizeof question->text, "a test notice is on its way: see table notifications");
	answer(question);
}

/* ---- asked, on any thread ---- */

static void on_question(struct mail *mail, void *owner)
{
	struct alerting *alerting = owner;
	struct question *question = (struct question *)mail;
	if (!alerting->is_read)
		refuse(question, -EAGAIN, "what was before is still being read: again in a moment");
	else
		question->carry_out(alerting, question);
	alerting_turn(alerting);
}

static struct question *question_new(struct mailbox *asker, alerts_done done, void *arg,
				     void (*carry_out)(struct alerting *alerting, struct question *question))
{
	struct question *question = calloc(1, sizeof *question);
	if (!question)
		return NULL;
	question->mail = (struct mail){.deliver = on_question, .drop = drop_question};
	question->carry_out = carry_out;
	question->asker = mailbox_ref(asker);
	question->done = done;
	question->arg = arg;
	question->arena = arena_new();
	if (question->arena)
		return question;
	question_free(question);
	return NULL;
}

/* NULL stays NULL. */
static const char *copy(struct question *question, const char *text)
{
	return text ? arena_text(question->arena, text, strlen(text)) : NULL;
}

static int ask(struct alerting *alerting, struct question *question)
{
	int rc = mailbox_post(alerting->orders, &question->mail);
	if (rc < 0)
		question_free(question);
	return rc;
}

int alerting_silence(struct alerting *alerting, struct mailbox *asker, const struct cw_silence_spec *spec,
		     alerts_done done, void *arg)
{
	struct question *question = alerting ? question_new(asker, done, arg, carry_out_silence) : NULL;
	if (!question)
		return alerting ? -ENOMEM : -EPIPE;
	const char **matchers = arena_alloc(question->arena, (spec->matchers_count + 1) * sizeof(char *));
	for (uint32_t i = 0; i < spec->matchers_count; i++)
		matchers[i] = copy(question, spec->matchers[i]);
	question->silence = *spec;
	question->silence.matchers = matchers;
	question->silence.id = copy(question, spec->id);
	question->silence.every = copy(question, spec->every);
	question->silence.timezone = copy(question, spec->timezone);
	question->silence.comment = copy(question, spec->comment);
	question->silence.by = copy(question, spec->by);
	return ask(alerting, question);
}

static int ask_by_name(struct alerting *alerting, struct question *question, const char *name, const char *by)
{
	if (!question)
		return alerting ? -ENOMEM : -EPIPE;
	question->name = copy(question, name);
	question->by = copy(question, by);
	return ask(alerting, question);
}

int alerting_expire(struct alerting *alerting, struct mailbox *asker, const char *silence, const char *by,
		    alerts_done done, void *arg)
{
	return ask_by_name(alerting, alerting ? question_new(asker, done, arg, carry_out_expire) : NULL, silence, by);
}

int alerting_try_rule(struct alerting *alerting, struct mailbox *asker, const char *rule, const char *by,
		      alerts_done done, void *arg)
{
	return ask_by_name(alerting, alerting ? question_new(asker, done, arg, carry_out_try) : NULL, rule, by);
}

int alerting_ack(struct alerting *alerting, struct mailbox *asker, const struct cw_ack_spec *spec, alerts_done done,
		 void *arg)
{
	struct question *question = alerting ? question_new(asker, done, arg, carry_out_ack) : NULL;
	if (!question)
		return alerting ? -ENOMEM : -EPIPE;
	question->ack.alert = copy(question, spec->alert);
	question->ack.subject = copy(question, spec->subject);
	question->ack.instance = copy(question, spec->instance);
	question->ack.note = copy(question, spec->note);
	question->ack.by = copy(question, spec->by);
	return ask(alerting, question);
}
