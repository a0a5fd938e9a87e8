/* SPDX-License-Identifier: MIT
 *
 * Groups: what is told when, in which words, to whom; and that across crashes at any point nothing that fired is told
 * never, twice, or in the wrong order. Rules are made by hand, so that this test is of groups alone; time is what a
 * test says it is.
 */
#include "group.h"

#include "rule.h"
#include "template.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SECOND CW_SECOND
#define MINUTE (60 * CW_SECOND)
#define HOUR   (60 * MINUTE)

/* ---- rules by hand ---- */

struct ruleset {
	const struct rule *rules[16];
	uint32_t count;
};

const char *const severity_names[] = {"info", "warning", "critical", NULL};

const struct rule *ruleset_find(const struct ruleset *ruleset, const char *name)
{
	for (uint32_t i = 0; i < ruleset->count; i++)
		if (strcmp(ruleset->rules[i]->name, name) == 0)
			return ruleset->rules[i];
	return NULL;
}

static const char *external_url;

const char *ruleset_external_url(const struct ruleset *ruleset)
{
	(void)ruleset;
	return external_url;
}

static const char *label_of(const struct cw_tag *labels, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(labels[i].name, name) == 0)
			return labels[i].value;
	return "";
}

/* Critical ones go to the pager too, those of team night to nobody else. */
void ruleset_route(const struct ruleset *ruleset, const struct cw_tag *labels, uint32_t labels_count,
		   void (*heard)(void *arg, const char *notifier), void *arg)
{
	(void)ruleset;
	bool night = strcmp(label_of(labels, labels_count, "team"), "night") == 0;
	if (strcmp(label_of(labels, labels_count, "alertname"), "unheard") == 0)
		return;
	if (!night)
		heard(arg, "slack");
	if (!night)
		heard(arg, "email");
	if (night || strcmp(label_of(labels, labels_count, "severity"), "critical") == 0)
		heard(arg, "pager");
}

#define TIMES .group_wait = 10 * SECOND, .group_interval = 5 * MINUTE, .repeat_interval = 4 * HOUR

static const char *const stale_where[] = {"health_status=stale"}, *const by_worker[] = {"worker"},
			 *const worker_and_business[] = {"worker", "business"},
			 *const inhibiting[] = {"source-blind", "calls-stale-many"};
static const struct cw_tag night[] = {{"team", "night"}};
static const struct rule stale = {.name = "call-stale",
				  .kind = RULE_ROWS,
				  .table = "calls",
				  .noun = "calls silent",
				  .where = {stale_where, 1},
				  .severity = CW_SEVERITY_WARNING,
				  .summarize_by = {worker_and_business, 2},
				  .inhibited_by = {inhibiting, 2},
				  TIMES,
				  .send_resolved = true},
			 split = {.name = "split",
				  .kind = RULE_ROWS,
				  .table = "calls",
				  .noun = "calls",
				  .where = {stale_where, 1},
				  .severity = CW_SEVERITY_CRITICAL,
				  .group_by = {by_worker, 1},
				  TIMES,
				  .send_resolved = true},
			 many = {.name = "calls-stale-many",
				 .kind = RULE_SAMPLES,
				 .noun = "series",
				 .severity = CW_SEVERITY_CRITICAL,
				 TIMES,
				 .send_resolved = true},
			 blind = {.name = "source-blind",
				  .kind = RULE_ROWS,
				  .table = "instances",
				  .noun = "instances",
				  .severity = CW_SEVERITY_CRITICAL,
				  TIMES,
				  .send_resolved = true},
			 broken = {.name = "notifier-broken",
				   .kind = RULE_ROWS,
				   .table = "instances",
				   .noun = "notifiers",
				   .severity = CW_SEVERITY_WARNING,
				   TIMES,
				   .send_resolved = true},
			 silent = {.name = "never-ends",
				   .kind = RULE_SAMPLES,
				   .noun = "series",
				   .severity = CW_SEVERITY_INFO,
				   .labels = night,
				   .labels_count = 1,
				   TIMES,
				   .send_resolved = false},
			 unheard = {.name = "unheard", .kind = RULE_SAMPLES, TIMES, .send_resolved = true};
static const struct ruleset all_rules = {{&stale, &split, &many, &blind, &broken, &silent, &unheard}, 7};
static const struct ruleset few_rules = {{&split}, 1};

/* ---- the world around groups ---- */

enum { TOLD_MAX = 64 };

struct told {
	struct notice *notice;
	char to[64]; /* `slack email` */
};

struct world {
	struct groups *groups;
	struct silences *silences;
	int64_t watched, wall;
	struct told told[TOLD_MAX];
	int count, shown, settled;
	struct alert *alerts[256];
	int alerts_count;
};

static void tell(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n)
{
	struct world *world = arg;
	assert_in_range(world->count, 0, TOLD_MAX - 1);
	struct told *told = &world->told[world->count++];
	told->notice = notice_ref(notice);
	told->to[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		strcat(strcat(told->to, i ? " " : ""), notifiers[i]);
	if (notice->said.kind != CW_NOTICE_TEST) {
		assert_string_equal(group->incident, notice->said.incident);
		assert_int_equal(group->sequence, notice->said.sequence);
	}
}

static void show(void *arg, struct alert *alert)
{
	(void)alert;
	((struct world *)arg)->shown++;
}

static void settled(void *arg, struct alert *alert)
{
	assert_null(alert->group);
	((struct world *)arg)->settled++;
}

static int set_up(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	external_url = NULL;
	struct world *world = calloc(1, sizeof *world);
	struct groups_options options = {
		.hostname = "box", .tell = tell, .show = show, .settled = settled, .arg = world};
	world->silences = silences_new();
	world->groups = groups_new(&options, world->silences);
	groups_use(world->groups, &all_rules);
	world->watched = SECOND;
	world->wall = 1767225600 * SECOND; /* 2026-01-01T00:00:00Z */
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	groups_free(world->groups);
	silences_free(world->silences);
	for (int i = 0; i < world->alerts_count; i++)
		alert_free(world->alerts[i]);
	for (int i = 0; i < world->count; i++)
		notice_unref(world->told[i].notice);
	free(world);
	return 0;
}

static struct alert *make_alert(const struct rule *rule, const char *instance, const char *source, const char *subject,
				const char *worker, const char *business, int64_t wall)
{
	struct alert *alert = alert_new(rule->name, instance, subject, source);
	struct cw_fact facts[] = {{"worker", worker}, {"business", business}};
	char summary[64];
	snprintf(summary, sizeof summary, "%s is silent", subject);
	alert_set_words(alert, summary, "What it means.", facts, worker ? 2 : 0);
	alert->rule = rule;
	alert->severity = rule->severity;
	alert_begin(alert, wall);
	alert->firing_since = wall;
	alert->state = ALERT_FIRING;
	return alert;
}

static struct alert *fire_as(struct world *world, const struct rule *rule, const char *instance, const char *source,
			     const char *subject, const char *worker)
{
	struct alert *alert = make_alert(rule, instance, source, subject, worker, "Rosa", world->wall);
	world->alerts[world->alerts_count++] = alert;
	groups_add(world->groups, alert, world->watched);
	return alert;
}

static struct alert *fire(struct world *world, const struct rule *rule, const char *subject)
{
	return fire_as(world, rule, "calls", "calls", subject, "ai-7");
}

static void end(struct world *world, struct alert *alert, const char *reason)
{
	alert->state = ALERT_RESOLVED;
	alert->resolved_at = world->wall;
	alert->reason = reason;
	groups_touch(world->groups, alert, world->watched);
}

/* Time passes, second by second; how many notices came. */
static int pass(struct world *world, int64_t time)
{
	int before = world->count;
	for (int64_t gone = 0; gone < time; gone += SECOND) {
		world->watched += SECOND;
		world->wall += SECOND;
		groups_step(world->groups, world->watched, world->wall);
	}
	return world->count - before;
}

/* Nothing for `time` less a second, then one. */
static const struct cw_notice *expect_after(struct world *world, int64_t time)
{
	assert_int_equal(pass(world, time - SECOND), 0);
	assert_int_equal(pass(world, SECOND), 1);
	return &world->told[world->count - 1].notice->said;
}

static const struct cw_notice *last(const struct world *world)
{
	return &world->told[world->count - 1].notice->said;
}

static void silence(struct world *world, const char *matcher, int64_t duration)
{
	char error[CW_QUERY_ERROR_MAX];
	struct silence *made;
	struct cw_silence_spec spec = {.matchers = &matcher,
				       .matchers_count = 1,
				       .ends_at = world->wall + duration,
				       .comment = "c",
				       .by = "ada"};
	assert_int_equal(silences_add(world->silences, &spec, world->wall, &made, error), 0);
}

/* ---- the life of an incident ---- */

static void incident__from_its_first_alert_to_its_end__is_told(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	const struct cw_notice *said = expect_after(world, 10 * SECOND);
	assert_int_equal(said->kind, CW_NOTICE_FIRING);
	assert_int_equal(said->sequence, 1);
	assert_true(said->firing == 1 && said->resolved == 0 && said->since == one->firing_since);
	assert_string_equal(said->title, "call-stale: CA1 is silent");
	assert_string_equal(said->description, "What it means.");
	assert_string_equal(world->told[0].to, "slack email");
	assert_string_equal(said->host, "box");
	assert_int_equal(one->told, TOLD_FIRING);
	char incident[NOTICE_ID_MAX + 1], id[2 * NOTICE_ID_MAX];
	strcpy(incident, said->incident);
	snprintf(id, sizeof id, "%s-%" PRIx64, said->group, (uint64_t)(one->firing_since / CW_MILLISECOND));
	assert_string_equal(incident, id);
	snprintf(id, sizeof id, "%s-1", incident);
	assert_string_equal(said->id, id);

	/* a second one: at the interval, not before; it has all that fires */
	pass(world, 60 * SECOND);
	struct alert *two = fire(world, &stale, "CA2");
	said = expect_after(world, 4 * MINUTE);
	assert_int_equal(said->kind, CW_NOTICE_FIRING);
	assert_int_equal(said->sequence, 2);
	assert_string_equal(said->incident, incident);
	assert_int_equal(said->firing, 2);
	assert_string_equal(said->title, "call-stale: 2 calls silent since 00:00:00");

	/* long after the last notice a change waits only for company */
	assert_int_equal(pass(world, HOUR), 0);
	end(world, one, "recovered");
	said = expect_after(world, 10 * SECOND);
	assert_int_equal(said->kind, CW_NOTICE_FIRING);
	assert_true(said->firing == 1 && said->resolved == 1 && said->alerts.count == 2);
	assert_string_equal(said->title, "call-stale: CA2 is silent; 1 ended");
	assert_true(((const struct cw_alert *)cw_at(&said->alerts, 0))->is_firing);
	assert_string_equal(((const struct cw_alert *)cw_at(&said->alerts, 1))->reason, "recovered");
	assert_int_equal(world->settled, 1);

	end(world, two, "gone");
	said = expect_after(world, 5 * MINUTE);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_int_equal(said->sequence, 4);
	assert_true(said->firing == 0 && said->resolved == 1);
	assert_string_equal(said->title, "call-stale: gone: CA2 is silent");
	assert_string_equal(said->description, ""); /* no advice is needed any more */
	assert_int_equal(world->settled, 2);
	assert_null(groups_first(world->groups));

	/* the next is another incident of the same group */
	fire(world, &stale, "CA1");
	said = expect_after(world, 10 * SECOND);
	assert_int_equal(said->sequence, 1);
	assert_string_not_equal(said->incident, incident);
	assert_string_equal(said->group, world->told[0].notice->said.group);
}

static void alert__that_ends_before_it_was_told__is_not_told(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1"), *two;
	pass(world, 9 * SECOND);
	end(world, one, "recovered");
	assert_int_equal(pass(world, HOUR), 0);
	assert_int_equal(world->settled, 1);
	/* it does not start the wait for another */
	one = fire(world, &stale, "CA1");
	pass(world, 5 * SECOND);
	end(world, one, "recovered");
	pass(world, 2 * SECOND);
	two = fire(world, &stale, "CA2");
	assert_string_equal(expect_after(world, 10 * SECOND)->title, "call-stale: CA2 is silent");
	(void)two;
}

static void burst__of_alerts__is_one_notice(void **state)
{
	struct world *world = *state;
	char subject[16];
	for (int i = 0; i < 37; i++) {
		snprintf(subject, sizeof subject, "CA%02d", i);
		fire_as(world, &stale, "calls", "calls", subject, i < 30 ? "ai-7" : i < 35 ? "ai-8" : NULL);
		if (i % 5 == 0)
			pass(world, SECOND);
	}
	assert_int_equal(pass(world, 10 * SECOND), 1);
	const struct cw_notice *said = last(world);
	assert_string_equal(said->title, "call-stale: 37 calls silent since 00:00:00");
	assert_int_equal(said->alerts.count, 37);
	const struct cw_fact *first = cw_at(&said->breakdown, 0), *second = cw_at(&said->breakdown, 1),
			     *third = cw_at(&said->breakdown, 2), *fourth = cw_at(&said->breakdown, 3);
	assert_int_equal(said->breakdown.count, 5);
	assert_string_equal(first->name, "worker ai-7");
	assert_string_equal(first->text, "30");
	assert_string_equal(second->name, "worker ai-8");
	assert_string_equal(second->text, "5");
	assert_string_equal(third->name, "worker ?");
	assert_string_equal(fourth->name, "business Rosa");
	assert_string_equal(fourth->text, "35");
	for (int i = 0; i < world->alerts_count; i++)
		end(world, world->alerts[i], i < 35 ? "recovered" : "gone");
	said = expect_after(world, 5 * MINUTE - 8 * SECOND);
	assert_string_equal(said->title, "call-stale: all 37 have ended after 5m 10s (35 recovered, 2 gone)");
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_string_equal(((const struct cw_fact *)cw_at(&said->breakdown, 0))->name, "worker ai-7");
}

static void breakdown__by_what_is_known_of_none__is_left_out(void **state)
{
	struct world *world = *state;
	fire_as(world, &stale, "calls", "calls", "CA1", NULL);
	fire_as(world, &stale, "calls", "calls", "CA2", NULL);
	const struct cw_notice *said = expect_after(world, 10 * SECOND);
	for (uint32_t i = 0; i < said->breakdown.count; i++)
		assert_string_not_equal(((const struct cw_fact *)cw_at(&said->breakdown, i))->name, "worker ?");
}

static void repeat__of_what_still_fires__comes_until_somebody_has_it(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1"), *two = fire(world, &stale, "CA2");
	pass(world, 10 * SECOND);
	const struct cw_notice *said = expect_after(world, 4 * HOUR);
	assert_int_equal(said->kind, CW_NOTICE_REPEAT);
	assert_int_equal(said->sequence, 2);
	assert_string_equal(said->title, "call-stale: still 2 calls silent since 00:00:00");
	alert_set_text(&one->acked_by, "ada");
	groups_touch(world->groups, one, world->watched);
	said = expect_after(world, 4 * HOUR);
	assert_string_equal(((const struct cw_alert *)cw_at(&said->alerts, 0))->acked_by, "ada");
	two->is_blind = true; /* nothing is known of it: it is not said that it still fires */
	groups_touch(world->groups, two, world->watched);
	assert_int_equal(pass(world, 5 * HOUR), 0);
	two->is_blind = false;
	groups_touch(world->groups, two, world->watched);
	expect_after(world, 10 * SECOND);
	alert_set_text(&two->acked_by, "ada");
	groups_touch(world->groups, two, world->watched);
	assert_int_equal(pass(world, 9 * HOUR), 0);
	/* the end is told all the same, on another day */
	end(world, one, "recovered");
	end(world, two, "recovered");
	assert_int_equal(expect_after(world, 10 * SECOND)->kind, CW_NOTICE_RESOLVED);
	one = fire(world, &stale, "CA1");
	pass(world, 10 * SECOND);
	pass(world, 4 * HOUR);
	assert_string_equal(last(world)->title, "call-stale: still CA1 is silent");
}

static void title__of_what_began_yesterday__says_so(void **state)
{
	struct world *world = *state;
	world->wall += 23 * HOUR;
	fire(world, &stale, "CA1");
	fire(world, &stale, "CA2");
	pass(world, 10 * SECOND);
	pass(world, 4 * HOUR);
	assert_string_equal(last(world)->title, "call-stale: still 2 calls silent since 2026-01-01 23:00:00");
}

static void alert__that_fires_again_before_its_end_was_told__goes_on(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	struct alert *other = fire(world, &stale, "CA2");
	pass(world, 10 * SECOND);
	end(world, one, "recovered");
	pass(world, 2 * SECOND);
	fire(world, &stale, "CA1");
	end(world, other, "recovered");
	const struct cw_notice *said = expect_after(world, 5 * MINUTE - 2 * SECOND);
	assert_int_equal(said->kind, CW_NOTICE_FIRING);
	assert_true(said->firing == 1 && said->resolved == 1 && said->alerts.count == 2);
	assert_string_equal(((const struct cw_alert *)cw_at(&said->alerts, 0))->subject, "CA1");
	assert_string_equal(((const struct cw_alert *)cw_at(&said->alerts, 1))->subject, "CA2");
	assert_int_equal(world->settled, 2);
}

static void rule__that_does_not_tell_of_the_end__tells_only_of_the_beginning(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &silent, "x{a=b}"), *two;
	const struct cw_notice *said = expect_after(world, 10 * SECOND);
	assert_string_equal(world->told[0].to, "pager"); /* the route by the rule's own label */
	char incident[NOTICE_ID_MAX + 1];
	strcpy(incident, said->incident);
	pass(world, MINUTE);
	two = fire(world, &silent, "x{a=c}");
	end(world, one, "recovered");
	assert_int_equal(pass(world, SECOND), 0);
	assert_int_equal(one->told, TOLD_RESOLVED);
	assert_int_equal(world->settled, 1);
	assert_int_equal(pass(world, 9 * SECOND), 1); /* the incident was over when the first ended */
	assert_string_not_equal(last(world)->incident, incident);
	assert_int_equal(last(world)->sequence, 1);
	end(world, two, "recovered");
	assert_int_equal(pass(world, 5 * HOUR), 0);
	assert_int_equal(world->settled, 2);
	assert_null(groups_first(world->groups));
}

/* ---- what is not told ---- */

static void silence__of_an_alert__is_kept_until_it_ends(void **state)
{
	struct world *world = *state;
	silence(world, "subject=CA1", HOUR);
	pass(world, SECOND);
	struct alert *one = fire(world, &stale, "CA1");
	assert_non_null(one->silenced_by);
	assert_int_equal(world->shown, 1);
	assert_int_equal(silences_first(world->silences)->mutes, 1);
	assert_int_equal(pass(world, MINUTE), 0);
	struct alert *two = fire(world, &stale, "CA2");
	const struct cw_notice *said = expect_after(world, 10 * SECOND);
	assert_true(said->firing == 1 && said->alerts.count == 1);
	assert_string_equal(said->title, "call-stale: CA2 is silent; 1 muted");
	end(world, two, "recovered");
	said = expect_after(world, 5 * MINUTE);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED); /* of what was told, all has ended */
	/* it ends without a word while it is muted, */
	struct alert *three = fire(world, &stale, "CA3");
	silence(world, "subject=CA3", HOUR);
	pass(world, MINUTE);
	end(world, three, "recovered");
	assert_int_equal(pass(world, 10 * MINUTE), 0);
	/* or is told when the silence is over */
	assert_int_equal(pass(world, HOUR), 1);
	assert_string_equal(last(world)->title, "call-stale: CA1 is silent");
	assert_null(one->silenced_by);
	assert_int_equal(silences_first(world->silences)->mutes, 0);
}

static void silence__of_what_was_told__still_lets_its_end_be_told(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1"), *two = fire(world, &stale, "CA2");
	pass(world, 10 * SECOND);
	silence(world, "subject=CA1", 9 * HOUR);
	pass(world, SECOND);
	assert_non_null(one->silenced_by);
	end(world, two, "recovered");
	const struct cw_notice *said = expect_after(world, 5 * MINUTE - SECOND);
	assert_int_equal(said->kind, CW_NOTICE_FIRING); /* not all has ended, */
	assert_true(said->firing == 0 && said->resolved == 1);
	assert_string_equal(said->title, "call-stale: 1 ended; 1 muted");
	assert_int_equal(pass(world, 5 * HOUR), 0); /* but nobody is reminded */
	end(world, one, "recovered");
	said = expect_after(world, 10 * SECOND);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_int_equal(said->sequence, 3);
}

static void inhibition__that_ends__lets_be_told_what_still_fires(void **state)
{
	struct world *world = *state;
	struct alert *cause = fire_as(world, &blind, "agent", "calls", "calls", NULL);
	struct alert *one = fire(world, &stale, "CA1"), *other = fire_as(world, &stale, "b", "b", "CB1", NULL);
	assert_int_equal(pass(world, 10 * SECOND), 2); /* the cause, and what it is not about */
	assert_string_equal(one->inhibited_by, "source-blind");
	assert_null(other->inhibited_by);
	assert_string_equal(world->told[1].notice->said.title, "call-stale: CB1 is silent; 1 muted");
	assert_string_equal(world->told[0].to, "slack email pager");
	end(world, cause, "recovered");
	pass(world, SECOND);
	assert_null(one->inhibited_by);
	assert_int_equal(pass(world, 5 * MINUTE), 2);
	assert_string_equal(last(world)->title, "call-stale: 2 calls silent since 00:00:00");
	/* what is about the agent is about everything; it comes after */
	cause = fire_as(world, &many, "agent", "agent", "calls_stale_ratio", NULL);
	pass(world, SECOND);
	assert_string_equal(one->inhibited_by, "calls-stale-many");
	assert_string_equal(other->inhibited_by, "calls-stale-many");
	int shown = world->shown;
	struct alert *same = fire_as(world, &many, "agent", "agent", "calls_stale_ratio2", NULL);
	end(world, cause, "recovered"); /* another of the rule goes on */
	pass(world, SECOND);
	assert_non_null(one->inhibited_by);
	assert_int_equal(world->shown, shown);
	end(world, same, "recovered");
	pass(world, SECOND);
	assert_null(one->inhibited_by);
}

/* ---- who, and which ---- */

static void group__that_is_split__is_told_apart(void **state)
{
	struct world *world = *state;
	external_url = "https://callwatch.example.net/";
	fire_as(world, &split, "calls", "calls", "CA1", "ai-7");
	fire_as(world, &split, "calls", "calls", "CA 2/'x'", "ai \"8\"");
	fire_as(world, &split, "calls", "calls", "CA3", "ai-7");
	fire_as(world, &split, "calls", "calls", "CA4", NULL);
	assert_int_equal(pass(world, 10 * SECOND), 3);
	const struct cw_notice *first = &world->told[0].notice->said, *second = &world->told[1].notice->said,
			       *third = &world->told[2].notice->said;
	assert_string_not_equal(first->group, second->group);
	assert_int_equal(first->firing, 2);
	assert_int_equal(first->group_labels.count, 2);
	assert_string_equal(((const struct cw_tag *)cw_at(&first->group_labels, 0))->value, "split");
	assert_string_equal(((const struct cw_tag *)cw_at(&first->group_labels, 1))->name, "worker");
	assert_string_equal(((const struct cw_tag *)cw_at(&first->group_labels, 1))->value, "ai-7");
	assert_int_equal(first->labels.count, 3);
	assert_string_equal(first->url, "https://callwatch.example.net/"
					"?table=calls&where=health_status%3Dstale&where=worker%3D%22ai-7%22");
	assert_string_equal(first->command,
			    "callwatch get calls --where 'health_status=stale' --where 'worker=\"ai-7\"'");
	assert_string_equal(second->command, "callwatch get calls --where 'health_status=stale' --where "
					     "'worker=\"ai \\\"8\\\"\"'");
	assert_string_equal(((const struct cw_alert *)cw_at(&second->alerts, 0))->url,
			    "https://callwatch.example.net/?table=calls&key=CA%202%2F%27x%27");
	assert_string_equal(third->command, "callwatch get calls --where 'health_status=stale'");
	fire(world, &many, "calls_stale_ratio");
	pass(world, 10 * SECOND);
	assert_string_equal(last(world)->command, "callwatch alerts --where alert=calls-stale-many");
	assert_string_equal(last(world)->url,
			    "https://callwatch.example.net/?table=alerts&where=alert%3Dcalls-stale-many");
}

static void notifier__that_is_broken__is_told_to_the_others(void **state)
{
	struct world *world = *state;
	fire_as(world, &broken, "agent", "slack", "slack", NULL);
	fire_as(world, &broken, "agent", "email", "email", NULL);
	fire_as(world, &broken, "agent", "pager", "pager", NULL); /* would not hear of it */
	assert_int_equal(pass(world, 10 * SECOND), 3);
	assert_string_equal(world->told[0].to, "email");
	assert_string_equal(world->told[1].to, "slack");
	assert_string_equal(world->told[2].to, "slack email");
	const struct cw_alert *alert = cw_at(&world->told[0].notice->said.alerts, 0);
	assert_string_equal(alert->instance, "slack"); /* what it is about, not where its row is */
	assert_string_equal(((const struct cw_tag *)cw_at(&alert->labels, 2))->value, "slack");
	fire(world, &unheard, "x");
	assert_int_equal(pass(world, 10 * SECOND), 1);
	assert_string_equal(last(world)->rule, "unheard");
	assert_string_equal(world->told[3].to, "");
}

static void alerts__of_a_notice__are_the_gravest_and_oldest_first(void **state)
{
	struct world *world = *state;
	char subject[16];
	for (int i = 0; i < 130; i++) {
		snprintf(subject, sizeof subject, "CA%03d", (i * 37) % 130);
		struct alert *alert = fire(world, &stale, subject);
		alert->firing_since -= i % 3 * SECOND;
		if (i == 77)
			alert->severity = CW_SEVERITY_CRITICAL;
	}
	assert_int_equal(pass(world, 10 * SECOND), 1);
	const struct cw_notice *said = last(world);
	assert_int_equal(said->severity, CW_SEVERITY_CRITICAL);
	assert_string_equal(world->told[0].to, "slack email pager");
	assert_true(said->firing == 130 && said->alerts.count == 100 && said->left_out == 30);
	const struct cw_alert *before = cw_at(&said->alerts, 0);
	assert_string_equal(before->subject, "CA119");
	for (uint32_t i = 1; i < 100; i++) {
		const struct cw_alert *alert = cw_at(&said->alerts, i);
		if (i > 1)
			assert_true(
				before->starts_at < alert->starts_at ||
				(before->starts_at == alert->starts_at && strcmp(before->subject, alert->subject) < 0));
		before = alert;
	}
	/* and some room is kept for those that have ended */
	for (int i = 0; i < 40; i++)
		end(world, world->alerts[i], "recovered");
	for (int i = 130; i < 180; i++) {
		snprintf(subject, sizeof subject, "CA%03d", i);
		fire(world, &stale, subject);
	}
	said = expect_after(world, 5 * MINUTE);
	assert_true(said->firing == 140 && said->resolved == 40 && said->left_out == 80);
	uint32_t ended = 0;
	for (uint32_t i = 0; i < said->alerts.count; i++)
		ended += !((const struct cw_alert *)cw_at(&said->alerts, i))->is_firing;
	assert_int_equal(ended, 25);
}

static void description__that_asks_what_is_common__is_of_the_group(void **state)
{
	struct world *world = *state;
	struct rule rule = stale;
	char error[TEMPLATE_ERROR_MAX];
	static struct ruleset rules;
	rules = (struct ruleset){{&rule}, 1};
	assert_int_equal(template_parse("{{ alert }}: {{ worker }} shares [{{ common }}] {{ nothing }} {{ common }}",
					&rule.description, error),
			 0);
	groups_use(world->groups, &rules);
	fire(world, &rule, "CA1");
	pass(world, 10 * SECOND);
	assert_string_equal(last(world)->description, "call-stale: ai-7 shares [] ?");
	groups_use(world->groups, &all_rules);
	template_free(rule.description);
}

static void test__of_a_rule__goes_its_way_and_changes_nothing(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	assert_int_equal(groups_try(world->groups, &stale, world->wall), 0);
	assert_int_equal(world->count, 1);
	const struct cw_notice *said = last(world);
	assert_int_equal(said->kind, CW_NOTICE_TEST);
	assert_string_equal(said->title, "call-stale: this is a test, nothing is wrong");
	assert_true(said->firing == 0 && said->alerts.count == 0);
	assert_string_equal(world->told[0].to, "slack email");
	assert_int_equal(groups_try(world->groups, &unheard, world->wall), -ENOENT);
	assert_int_equal(expect_after(world, 10 * SECOND)->sequence, 1);
	assert_string_not_equal(last(world)->group, world->told[0].notice->said.group);
	assert_int_equal(one->told, TOLD_FIRING);
}

/* As many as there may be, a step after each: were a step to walk over them all, this would take minutes. */
static void crowd__of_alerts__is_told_and_goes(void **state)
{
	struct world *world = *state;
	enum { CROWD = 50000 };
	struct alert **crowd = calloc(CROWD, sizeof *crowd);
	char subject[16], worker[16];
	silence(world, "worker=w3", HOUR);
	for (int i = 0; i < CROWD; i++) {
		snprintf(subject, sizeof subject, "CA%05d", i);
		snprintf(worker, sizeof worker, "w%d", i % 500);
		crowd[i] = make_alert(&stale, "calls", "calls", subject, worker, "Rosa", world->wall);
		groups_add(world->groups, crowd[i], world->watched);
		groups_step(world->groups, world->watched, world->wall);
	}
	assert_int_equal(silences_first(world->silences)->mutes, CROWD / 500);
	const struct cw_notice *said = expect_after(world, 10 * SECOND);
	assert_int_equal(said->firing, CROWD - CROWD / 500);
	assert_int_equal(said->alerts.count + said->left_out, said->firing);
	for (int i = 0; i < CROWD; i++) {
		end(world, crowd[i], "recovered");
		groups_step(world->groups, world->watched, world->wall);
	}
	assert_int_equal(silences_first(world->silences)->mutes, 0);
	said = expect_after(world, 5 * MINUTE);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_int_equal(said->resolved, CROWD - CROWD / 500);
	assert_int_equal(world->settled, CROWD);
	for (int i = 0; i < CROWD; i++)
		alert_free(crowd[i]);
	free(crowd);
}

/* ---- reloads and restarts ---- */

static void reload__that_takes_a_rule_away__still_tells_the_end(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	pass(world, 10 * SECOND);
	one->rule = NULL;
	groups_use(world->groups, &few_rules);
	end(world, one, "rule removed");
	const struct cw_notice *said = expect_after(world, 5 * MINUTE);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_string_equal(said->title, "call-stale: rule removed: CA1 is silent");
	assert_string_equal(said->command, "callwatch alerts --where alert=call-stale");
	assert_string_equal(world->told[1].to, "slack email");
}

static void reload__that_splits_a_rule__leaves_an_incident_as_it_is(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	pass(world, 10 * SECOND);
	static struct ruleset rules;
	struct rule changed = stale;
	changed.group_by = (struct texts){by_worker, 1};
	rules = (struct ruleset){{&changed}, 1};
	groups_use(world->groups, &rules);
	fire(world, &changed, "CA2");
	assert_int_equal(pass(world, 10 * SECOND), 1);
	assert_string_not_equal(last(world)->group, world->told[0].notice->said.group);
	end(world, one, "recovered");
	pass(world, 5 * MINUTE);
	assert_string_equal(last(world)->group, world->told[0].notice->said.group);
	assert_int_equal(last(world)->kind, CW_NOTICE_RESOLVED);
	groups_use(world->groups, &all_rules);
}

static void restart__in_an_incident__goes_on_with_it(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	pass(world, 10 * SECOND);
	char key[GROUP_KEY_SIZE], incident[NOTICE_ID_MAX + 1];
	strcpy(key, last(world)->group);
	strcpy(incident, last(world)->incident);
	int64_t told_at = world->wall, since = last(world)->since;

	groups_free(world->groups);
	struct groups_options options = {
		.hostname = "box", .tell = tell, .show = show, .settled = settled, .arg = world};
	world->groups = groups_new(&options, world->silences);
	groups_use(world->groups, &all_rules);
	world->watched = SECOND;
	world->wall += HOUR; /* it was away so long */
	assert_int_equal(groups_restore(world->groups, key, "call-stale", incident, 1, since, told_at), 0);
	assert_int_equal(groups_restore(world->groups, key, "call-stale", incident, 1, since, told_at), -EEXIST);
	assert_int_equal(groups_restore(world->groups, "zz", "call-stale", incident, 1, since, told_at), -EINVAL);
	groups_add_known(world->groups, one, key, world->watched);
	const struct cw_notice *said = expect_after(world, 3 * HOUR);
	assert_int_equal(said->kind, CW_NOTICE_REPEAT);
	assert_int_equal(said->sequence, 2);
	assert_string_equal(said->incident, incident);
	assert_true(said->since == since);
	/* one that should have been reminded of long ago is seen first */
	groups_free(world->groups);
	world->groups = groups_new(&options, world->silences);
	groups_use(world->groups, &all_rules);
	told_at = world->wall;
	world->wall += 20 * HOUR;
	assert_int_equal(groups_restore(world->groups, key, "call-stale", incident, 2, since, told_at), 0);
	groups_add_known(world->groups, one, key, world->watched);
	assert_int_equal(expect_after(world, 10 * SECOND)->kind, CW_NOTICE_REPEAT);
	/* a clock that was set back makes nobody wait for ever */
	groups_free(world->groups);
	world->groups = groups_new(&options, world->silences);
	groups_use(world->groups, &all_rules);
	told_at = world->wall;
	world->wall -= 100 * HOUR;
	assert_int_equal(groups_restore(world->groups, key, "call-stale", incident, 3, since, told_at), 0);
	groups_add_known(world->groups, one, key, world->watched);
	end(world, one, "recovered");
	said = expect_after(world, 5 * MINUTE + SECOND);
	assert_int_equal(said->kind, CW_NOTICE_RESOLVED);
	assert_int_equal(said->sequence, 4);
}

static void restart__whose_journal_is_read_late__goes_on_with_what_was_not_told_anew(void **state)
{
	struct world *world = *state;
	struct alert *one = fire(world, &stale, "CA1");
	pass(world, 10 * SECOND);
	char key[GROUP_KEY_SIZE], incident[NOTICE_ID_MAX + 1];
	strcpy(key, last(world)->group);
	strcpy(incident, last(world)->incident);
	int64_t told_at = world->wall, since = last(world)->since;

	groups_free(world->groups);
	struct groups_options options = {
		.hostname = "box", .tell = tell, .show = show, .settled = settled, .arg = world};
	world->groups = groups_new(&options, world->silences);
	groups_use(world->groups, &all_rules);
	world->wall += MINUTE;
	fire(world, &stale, "CA2"); /* its group waits */
	assert_int_equal(groups_restore(world->groups, key, "call-stale", incident, 1, since, told_at), 0);
	groups_add_known(world->groups, one, key, world->watched);
	pass(world, 5 * MINUTE);
	assert_string_equal(last(world)->incident, incident);
	assert_int_equal(last(world)->sequence, 2);
}

static void incident__after_one_of_the_same_millisecond__has_an_id_of_its_own(void **state)
{
	struct world *world = *state;
	silence(world, "subject=CA2", 10 * MINUTE);
	struct alert *one = fire(world, &stale, "CA1"), *two = fire(world, &stale, "CA2");
	assert_true(one->firing_since == two->firing_since);
	pass(world, 10 * SECOND);
	end(world, one, "recovered");
	assert_int_equal(expect_after(world, 5 * MINUTE)->kind, CW_NOTICE_RESOLVED);
	pass(world, 5 * MINUTE + SECOND);
	assert_int_equal(world->count, 3);
	assert_string_equal(last(world)->title, "call-stale: CA2 is silent");
	assert_int_equal(last(world)->sequence, 1);
	assert_string_not_equal(last(world)->incident, world->told[0].notice->said.incident);
	assert_string_not_equal(last(world)->id, world->told[0].notice->said.id);
	assert_true(last(world)->since == two->firing_since);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(incident__from_its_first_alert_to_its_end__is_told),
		TEST(alert__that_ends_before_it_was_told__is_not_told),
		TEST(burst__of_alerts__is_one_notice),
		TEST(breakdown__by_what_is_known_of_none__is_left_out),
		TEST(repeat__of_what_still_fires__comes_until_somebody_has_it),
		TEST(title__of_what_began_yesterday__says_so),
		TEST(alert__that_fires_again_before_its_end_was_told__goes_on),
		TEST(rule__that_does_not_tell_of_the_end__tells_only_of_the_beginning),
		TEST(silence__of_an_alert__is_kept_until_it_ends),
		TEST(silence__of_what_was_told__still_lets_its_end_be_told),
		TEST(inhibition__that_ends__lets_be_told_what_still_fires),
		TEST(group__that_is_split__is_told_apart),
		TEST(notifier__that_is_broken__is_told_to_the_others),
		TEST(alerts__of_a_notice__are_the_gravest_and_oldest_first),
		TEST(description__that_asks_what_is_common__is_of_the_group),
		TEST(crowd__of_alerts__is_told_and_goes),
		TEST(test__of_a_rule__goes_its_way_and_changes_nothing),
		TEST(reload__that_takes_a_rule_away__still_tells_the_end),
		TEST(reload__that_splits_a_rule__leaves_an_incident_as_it_is),
		TEST(restart__in_an_incident__goes_on_with_it),
		TEST(restart__whose_journal_is_read_late__goes_on_with_what_was_not_told_anew),
		TEST(incident__after_one_of_the_same_millisecond__has_an_id_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
