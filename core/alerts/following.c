/* SPDX-License-Identifier: MIT
 *
 * Between what the engine finds and who hears of it: each step of an alert's life goes to the journal and to its group,
 * what a group tells goes to the deliveries. And when the journal was away, all that is open is written again.
 */
#include "alerting_private.h"

#include "clock.h"
#include "hub.h"
#include "journal.h"
#include "journal_alerts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t fold_ns = 60 * CW_SECOND;
static const int64_t step_least_ns = 100 * CW_MILLISECOND; /* with passes under way */

/* ---- groups ---- */

static void on_tell(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n)
{
	struct alerting *alerting = arg;
	snprintf(alerting->last_incident, sizeof alerting->last_incident, "%s", notice->said.incident);
	(void)deliveries_tell(alerting->deliveries, group, notice, notifiers, n,
			      clock_wall()); /* it says what is lost */
}

static void on_show(void *arg, struct alert *alert)
{
	alerts_show(arg, alert);
}

static void on_delivery_changed(void *arg, const char *key)
{
	struct group *group = groups_find(((struct alerting *)arg)->groups, key);
	if (group)
		group->is_notified_anew = true;
}

static void on_settled(void *arg, struct alert *alert)
{
	alerting_has_ended(arg, alert);
}

int following_make(struct alerting *alerting)
{
	struct groups_options options = {.tables = alerting->tables,
					 .hostname = alerting->options.hostname,
					 .tell = on_tell,
					 .show = on_show,
					 .settled = on_settled,
					 .arg = alerting};
	alerting->silences = silences_new();
	alerting->groups = alerting->silences ? groups_new(&options, alerting->silences) : NULL;
	alerting->rules_rows = rules_rows_new(alerting->tables);
	return alerting->groups && alerting->rules_rows ? silences_rows_open(alerting) : -ENOMEM;
}

/* When it is known whether there is a journal. */
int following_start(struct alerting *alerting)
{
	struct deliveries_options options = {.hub = alerting->options.hub,
					     .roster = alerting->options.roster,
					     .journal = alerting->journal,
					     .box = alerting->outcomes,
					     .hostname = alerting->options.hostname,
					     .changed = on_delivery_changed,
					     .arg = alerting};
	alerting->deliveries = deliveries_new(&options);
	return alerting->deliveries ? 0 : -ENOMEM;
}

void following_release(struct alerting *alerting)
{
	deliveries_free(alerting->deliveries);
	rules_rows_free(alerting->rules_rows);
	groups_free(alerting->groups);
	silences_free(alerting->silences);
}

void following_use(struct alerting *alerting)
{
	if (alerting->ruleset) {
		groups_use(alerting->groups, alerting->ruleset);
		rules_rows_use(alerting->rules_rows, alerting->ruleset);
	}
	alerting->group_step_due = 0;
}

/* ---- an alert's life ---- */

static void write_down(struct alerting *alerting, struct alert *alert, bool forget)
{
	(void)journal_alert(alerting->journal, alert, forget, NULL, NULL); /* what it cannot take it counts */
}

void following_change(struct alerting *alerting, struct alert *alert, enum engine_change change, bool was_blind)
{
	int64_t watched = alerting->clock.watched;
	switch (change) {
	case ENGINE_PENDS:
		write_down(alerting, alert, /* forget */ false);
		break;
	case ENGINE_FIRES:
		groups_add(alerting->groups, alert, watched);
		write_down(alerting, alert, /* forget */ false);
		break;
	case ENGINE_ENDS:
		if (alert->group)
			groups_touch(alerting->groups, alert, watched);
		write_down(alerting, alert, /* forget */ false);
		break;
	case ENGINE_GOES:
		write_down(alerting, alert, /* forget */ true);
		return;
	case ENGINE_SHOWS:
		if (!alert->group || was_blind == alert->is_blind)
			return;
		groups_touch(alerting->groups, alert, watched);
		break;
	}
	alerting->group_step_due = 0;
}

/* ---- the journal is back ---- */

/* Of many alerts all that is open is more than may wait to be written. So it is posted as the journal takes it, a part
 * each second, and what was posted in this rewriting is marked; what is lost meanwhile asks for another one after it.
 *
 * Notices come before the alerts of which they tell, for a crash may come between: then something is told twice, and
 * not never.
 */

static bool rewrite_silences(struct alerting *alerting)
{
	for (struct silence *silence = silences_first(alerting->silences); silence; silence = silence->next) {
		if (silence->written_in == alerting->rewriting)
			continue;
		if (journal_is_filling(alerting->journal) ||
		    journal_silence(alerting->journal, silence, NULL, NULL) < 0)
			return false;
		silence->written_in = alerting->rewriting;
	}
	return true;
}

static bool rewrite_alerts(struct alerting *alerting)
{
	for (struct alert *alert = engine_first(alerting->engine); alert; alert = alert->next) {
		if (alert->written_in == alerting->rewriting)
			continue;
		alert->are_words_posted = false; /* it may be another file */
		if (journal_is_filling(alerting->journal) ||
		    journal_alert(alerting->journal, alert, /* forget */ false, NULL, NULL) < 0)
			return false;
		alert->written_in = alerting->rewriting;
	}
	return true;
}

static bool rewrite_groups(struct alerting *alerting)
{
	for (struct group *group = groups_first(alerting->groups); group; group = group->next) {
		if (group->written_in == alerting->rewriting)
			continue;
		if (journal_is_filling(alerting->journal) ||
		    journal_tell(alerting->journal, group, NULL, 0, NULL, NULL) < 0)
			return false;
		group->written_in = alerting->rewriting;
	}
	return true;
}

static void go_on_rewriting(struct alerting *alerting)
{
	if (!alerting->is_rewriting)
		return;
	alerting->is_rewriting = !rewrite_silences(alerting) ||
				 !deliveries_rewrite(alerting->deliveries, alerting->rewriting) ||
				 !rewrite_groups(alerting) || !rewrite_alerts(alerting);
	if (alerting->is_rewriting || !alerting->needs_rewriting)
		return;
	alerting->needs_rewriting = false;
	following_rewrite(alerting);
}

void following_rewrite(struct alerting *alerting)
{
	alerting->needs_rewriting = alerting->is_rewriting;
	if (alerting->is_rewriting)
		return;
	alerting->rewriting++;
	alerting->is_rewriting = true;
	go_on_rewriting(alerting);
}

/* ---- steps ---- */

static void describe(struct alerting *alerting, struct group *group)
{
	char text[sizeof group->notified] = "";
	group->is_notified_anew = false;
	if (*group->incident)
		deliveries_describe(alerting->deliveries, group->incident, text, sizeof text);
	if (!*text || strcmp(text, group->notified) == 0)
		return;
	memcpy(group->notified, text, sizeof text);
	for (struct alert *alert = group->alerts; alert; alert = alert->next_in_group)
		alerts_show(alerting, alert);
}

static void show_silences(struct alerting *alerting)
{
	for (struct silence *silence = silences_first(alerting->silences); silence; silence = silence->next)
		silences_rows_show(alerting, silence); /* what is as it was changes nothing */
}

int64_t following_step(struct alerting *alerting, struct moment now, bool more)
{
	if (more && now.instant - alerting->group_stepped < step_least_ns)
		return INT64_MAX;
	if (now.watched >= alerting->group_step_due) {
		alerting->group_step_due = groups_step(alerting->groups, now.watched, now.wall);
		alerting->group_stepped = now.instant;
	}
	return alerting->group_step_due;
}

static void forgotten(void *arg, struct silence *silence)
{
	silences_rows_hide(arg, silence);
}

/* Windows of silences begin and end by the wall clock, so groups are looked at each second in any case. */
void following_second(struct alerting *alerting)
{
	alerting->group_step_due = 0;
	for (struct group *group = groups_first(alerting->groups); group; group = group->next)
		if (group->is_notified_anew)
			describe(alerting, group);
	go_on_rewriting(alerting);
	if (alerting->journal && clock_now() - alerting->folded > fold_ns) {
		alerting->folded = clock_now();
		(void)journal_fold(alerting->journal);
	}
	silences_forget(alerting->silences, clock_wall(), forgotten, alerting);
	show_silences(alerting);
	silences_rows_confirm(alerting);
	if (alerting->ruleset)
		rules_rows_look(alerting->rules_rows, alerting->engine);
}
