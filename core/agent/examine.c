/* SPDX-License-Identifier: MIT
 *
 * See examine.h. climb() goes up until a check answers later; the plugin's verdict, or the beat after 5 s, goes on from
 * there. What was found is kept as long as the examination is under way, for those who come to listen later.
 *
 * A verdict carries no number, so one that comes after its 5 s could be taken for the answer to another question. While
 * the plugin owes one it is not asked anything, and the rung says so.
 */
#include "examine.h"

#include "clock.h"
#include "instance_private.h"
#include "text.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t check_ns = 5 * CW_SECOND;
static const int64_t slow_loop_ns = CW_SECOND;

/* ---- the core's own rungs ---- */

static bool always(const struct cw_plugin *decl)
{
	(void)decl;
	return true;
}

static bool has_readings(const struct cw_plugin *decl)
{
	return decl->read && role_is_source(decl->role);
}

static bool has_queue(const struct cw_plugin *decl)
{
	return decl->write != NULL;
}

static void say(struct finding *finding, enum cw_verdict verdict, const char *format, ...) CW_PRINTF(3, 4);
static void say(struct finding *finding, enum cw_verdict verdict, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	finding->verdict = verdict;
	vsnprintf(finding->text, sizeof finding->text, format, args);
	va_end(args);
}

/* That it runs at all says that the loop comes round; if it does not, the doctor says so (doctor.c). */
static void look_at_loop(struct instance *self, struct finding *finding)
{
	int64_t lag = atomic_load_explicit(&self->stats->loop_lag, memory_order_relaxed);
	if (lag > slow_loop_ns)
		say(finding, CW_CHECK_WARNING,
		    "its loop comes round, but was late by %s a moment ago: something in the plugin blocks, or the "
		    "machine has too much to do",
		    text_ns(lag).text);
	else
		say(finding, CW_CHECK_OK, "its loop comes round in time");
}

static void look_at_state(struct instance *self, struct finding *finding)
{
	finding->verdict = words_of_state(self, finding->text);
}

static void look_at_readings(struct instance *self, struct finding *finding)
{
	finding->verdict = words_of_readings(self, finding->text);
}

static void look_at_queue(struct instance *self, struct finding *finding)
{
	finding->verdict = words_of_queue(self, finding->text);
}

/* From the lowest up. */
static const struct {
	struct cw_check check;
	bool (*applies)(const struct cw_plugin *decl);
	void (*look)(struct instance *self, struct finding *finding);
} own_rungs[] = {
	{{"loop", "The instance's loop comes round"}, always, look_at_loop},
	{{"state", "The instance says that it works"}, always, look_at_state},
	{{"readings", "Readings succeed on schedule"}, has_readings, look_at_readings},
	{{"queue", "Samples are taken as they come"}, has_queue, look_at_queue},
};
enum { OWN_RUNGS = sizeof own_rungs / sizeof *own_rungs };

/* Index in own_rungs, or OWN_RUNGS + index of the plugin's check. */
static uint32_t rung_index(const struct cw_plugin *decl, uint32_t rung)
{
	uint32_t index = 0;
	for (; index < OWN_RUNGS; index++)
		if (own_rungs[index].applies(decl) && rung-- == 0)
			return index;
	return OWN_RUNGS + rung;
}

uint32_t examine_rungs(const struct cw_plugin *decl)
{
	uint32_t count = decl->checks.count;
	for (uint32_t i = 0; i < OWN_RUNGS; i++)
		count += own_rungs[i].applies(decl);
	return count;
}

struct cw_check examine_rung(const struct cw_plugin *decl, uint32_t rung)
{
	uint32_t index = rung_index(decl, rung);
	if (index < OWN_RUNGS)
		return own_rungs[index].check;
	return *(const struct cw_check *)cw_at(&decl->checks, index - OWN_RUNGS);
}

/* ---- the climb ---- */

static void tell(struct instance *self, const struct finding *finding)
{
	for (struct listener *listener = self->examining.listeners; listener; listener = listener->next)
		listener->heard(listener, finding);
}

static void finish(struct instance *self)
{
	struct examining *examining = &self->examining;
	struct listener *listener = examining->listeners;
	free(examining->findings);
	examining->findings = NULL;
	examining->listeners = NULL;
	examining->waiting = false;
	while (listener) {
		struct listener *next = listener->next;
		listener->heard(listener, NULL);
		listener = next;
	}
}

/* The rung under way has its finding. */
static void settle(struct instance *self)
{
	struct examining *examining = &self->examining;
	examining->waiting = false;
	tell(self, &examining->findings[examining->rung++]);
}

static const char *why_not_tried(const struct instance *self)
{
	if (self->examining.failed)
		return "not tried, since an earlier one failed";
	return self->stopping ? "not tried, since the instance was stopped meanwhile"
			      : "not tried, since the instance has not started";
}

static void try_check(struct instance *self, uint32_t check, struct finding *finding)
{
	struct examining *examining = &self->examining;
	examining->waiting = examining->in_examine = true;
	examining->deadline = clock_awake() + check_ns;
	say(finding, CW_CHECK_FAILED, "%s", "");
	instance_enter(self, "examine");
	self->decl->examine(self->plugin_state, check);
	instance_leave(self);
	examining->in_examine = false;
}

static void climb_one(struct instance *self)
{
	struct examining *examining = &self->examining;
	struct finding *finding = &examining->findings[examining->rung];
	uint32_t index = rung_index(self->decl, examining->rung);
	finding->rung = examining->rung;
	if (index < OWN_RUNGS) {
		own_rungs[index].look(self, finding);
		settle(self);
	} else if (examining->failed || !self->started) {
		say(finding, CW_CHECK_SKIPPED, "%s", why_not_tried(self));
		settle(self);
	} else if (examining->owes) {
		examining->failed = true;
		say(finding, CW_CHECK_FAILED,
		    "the plugin still owes the answer to a check of an earlier examination, asked %s ago",
		    text_ns(clock_awake() - examining->deadline + check_ns).text);
		settle(self);
	} else {
		try_check(self, index - OWN_RUNGS, finding);
	}
}

static void climb(struct instance *self)
{
	uint32_t rungs = examine_rungs(self->decl);
	while (self->examining.listeners && !self->examining.waiting)
		if (self->examining.rung < rungs)
			climb_one(self);
		else
			finish(self);
}

void examine_told(struct instance *self, enum cw_verdict verdict, const char *text)
{
	struct examining *examining = &self->examining;
	examining->owes = false;
	if (!examining->waiting)
		return;
	bool in_range = (unsigned)verdict <= CW_CHECK_SKIPPED;
	struct finding *finding = &examining->findings[examining->rung];
	say(finding, in_range ? verdict : CW_CHECK_FAILED, "%s", text);
	examining->failed |= finding->verdict == CW_CHECK_FAILED;
	settle(self);
	if (!examining->in_examine)
		climb(self);
}

void examine_beat(struct instance *self)
{
	struct examining *examining = &self->examining;
	if (!examining->waiting || clock_awake() < examining->deadline)
		return;
	examining->owes = examining->failed = true;
	say(&examining->findings[examining->rung], CW_CHECK_FAILED, "no answer within %s", text_ns(check_ns).text);
	settle(self);
	climb(self);
}

void examine_stop(struct instance *self)
{
	struct examining *examining = &self->examining;
	if (examining->waiting) {
		say(&examining->findings[examining->rung], CW_CHECK_FAILED,
		    "the instance was stopped before the answer came; ask again");
		settle(self);
	}
	climb(self); /* `started` is false: the rest is not tried */
	examining->owes = false;
}

/* ---- who listens ---- */

static void begin(struct instance *self, struct listener *listener)
{
	struct examining *examining = &self->examining;
	struct finding *findings = calloc(examine_rungs(self->decl), sizeof *findings);
	if (!findings) {
		listener->heard(listener, NULL);
		return;
	}
	*examining = (struct examining){
		.listeners = listener, .findings = findings, .owes = examining->owes, .deadline = examining->deadline};
	climb(self);
}

static void on_ask(struct mail *mail, void *owner)
{
	struct instance *self = owner;
	struct examining *examining = &self->examining;
	struct listener *listener = (struct listener *)mail;
	listener->next = NULL;
	if (!examining->listeners) {
		begin(self, listener);
		return;
	}
	for (uint32_t i = 0; i < examining->rung; i++)
		listener->heard(listener, &examining->findings[i]);
	listener->next = examining->listeners;
	examining->listeners = listener;
}

static void on_ask_dropped(struct mail *mail)
{
	struct listener *listener = (struct listener *)mail;
	listener->heard(listener, NULL);
}

void examine_ask(struct instance *self, struct listener *listener)
{
	listener->mail.deliver = on_ask;
	listener->mail.drop = on_ask_dropped;
	if (mailbox_post(self->box, &listener->mail) < 0)
		on_ask_dropped(&listener->mail);
}
