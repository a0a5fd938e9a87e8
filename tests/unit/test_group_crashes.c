/* SPDX-License-Identifier: MIT
 *
 * Groups under random schedules: alerts fire and end, are silenced, inhibited, acknowledged and blind, and the agent
 * crashes at any point, in the middle of telling too; then all is made again from what the journal was given. A model
 * beside it, which knows nothing of groups, holds every notice against what is true:
 *
 *     - what fires and is not muted is told to fire, soon, and never while it is muted;
 *     - it is told to have ended once, soon, after it was told to fire, and then never again;
 *     - the notices of an incident are numbered without gaps, an id stands for one notice, pauses are kept;
 *     - a notice that says that something has changed says something new.
 */
#include "group.h"

#include "rule.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND CW_SECOND

enum {
	RUNS = 200,
	OPERATIONS = 250,
	SUBJECTS = 5, /* per rule */
	LIVES_MAX = 1024,
	NOTICES_MAX = 1024,
	INCIDENTS_MAX = 512,
	SILENCES = 16,
	WAIT = 10,
	INTERVAL = 60,
	REPEAT = 600,
	SOON = WAIT + INTERVAL + 5
};

/* ---- rules by hand ---- */

struct ruleset {
	const struct rule *rules[8];
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

const char *ruleset_external_url(const struct ruleset *ruleset)
{
	(void)ruleset;
	return NULL;
}

void ruleset_route(const struct ruleset *ruleset, const struct cw_tag *labels, uint32_t labels_count,
		   void (*heard)(void *arg, const char *notifier), void *arg)
{
	(void)ruleset, (void)labels, (void)labels_count;
	heard(arg, "slack");
}

#define TIMES .group_wait = WAIT * SECOND, .group_interval = INTERVAL * SECOND, .repeat_interval = REPEAT * SECOND

static const char *const by_worker[] = {"worker"}, *const by_cause[] = {"cause"};
static const struct rule rules[] = {
	{.name = "plain", .kind = RULE_ROWS, .table = "t", TIMES, .send_resolved = true},
	{.name = "effect",
	 .kind = RULE_ROWS,
	 .table = "t",
	 .inhibited_by = {by_cause, 1},
	 TIMES,
	 .send_resolved = true},
	{.name = "cause", .kind = RULE_ROWS, .table = "t", TIMES, .send_resolved = true},
	{.name = "split", .kind = RULE_ROWS, .table = "t", .group_by = {by_worker, 1}, TIMES, .send_resolved = true},
	{.name = "endless", .kind = RULE_SAMPLES, TIMES, .send_resolved = false},
};
enum { PLAIN, EFFECT, CAUSE, SPLIT, ENDLESS, RULES };
static const struct ruleset all_rules = {{&rules[0], &rules[1], &rules[2], &rules[3], &rules[4]}, RULES};

/* ---- the model, which is also the journal ---- */

struct life {
	int rule, subject;
	int64_t fired_at, ended_at; /* ended_at 0: it fires */
	bool is_acked, is_blind;
	struct alert *alert; /* of the agent's present life */
	/* what the journal was given */
	enum alert_told told;
	char group_key[GROUP_KEY_SIZE];
	bool is_settled;
	/* what people heard */
	int told_firing, told_ended;
	bool is_superseded;
	/* how long something was to be told and was not */
	int overdue;
};

struct incident {
	char group[GROUP_KEY_SIZE], id[INCIDENT_ID_SIZE], rule[16];
	uint32_t sequence;
	int64_t since, told_at;
};

struct quiet {
	char id[SILENCE_ID_SIZE], matcher[32];
	int64_t from, to;
	int rule, subject; /* -1: any */
};

enum crash { CRASH_NOT, CRASH_BEFORE_JOURNAL, CRASH_AFTER_JOURNAL };

static struct world {
	struct groups *groups;
	struct silences *silences;
	int64_t watched, wall;
	struct life lives[LIVES_MAX];
	int lives_count;
	struct incident incidents[INCIDENTS_MAX];
	int incidents_count;
	char ids[NOTICES_MAX][NOTICE_ID_MAX + 1];
	int notices;
	struct quiet silent[SILENCES];
	int silent_count;
	enum crash armed;
	bool is_crashed;
} world;

static const char *source_of(const struct life *life)
{
	return life->subject % 2 ? "a" : "b";
}

static bool is_firing(const struct life *life)
{
	return life->ended_at == 0;
}

static bool is_silenced(const struct life *life)
{
	for (int i = 0; i < world.silent_count; i++) {
		const struct quiet *quiet = &world.silent[i];
		if (world.wall >= quiet->from && world.wall < quiet->to &&
		    (quiet->rule < 0 || quiet->rule == life->rule) &&
		    (quiet->subject < 0 || quiet->subject == life->subject))
			return true;
	}
	return false;
}

static bool is_inhibited(const struct life *life)
{
	for (int i = 0; life->rule == EFFECT && i < world.lives_count; i++) {
		const struct life *other = &world.lives[i];
		if (other->rule == CAUSE && is_firing(other) && strcmp(source_of(other), source_of(life)) == 0)
			return true;
	}
	return false;
}

static bool is_muted(const struct life *life)
{
	return is_silenced(life) || is_inhibited(life);
}

static struct life *life_of(const struct alert *alert)
{
	for (int i = 0; i < world.lives_count; i++)
		if (world.lives[i].alert == alert)
			return &world.lives[i];
	fail();
	return NULL;
}

static struct life *life_said(const struct cw_notice *said, const struct cw_alert *alert)
{
	for (int i = 0; i < world.lives_count; i++) {
		struct life *life = &world.lives[i];
		if (strcmp(rules[life->rule].name, said->rule) == 0 && atoi(alert->subject) == life->subject &&
		    life->fired_at == alert->starts_at)
			return life;
	}
	fail();
	return NULL;
}

/* ---- a notice, held against the model ---- */

static bool check_firing(struct life *life)
{
	assert_true(is_firing(life));
	assert_false(is_muted(life));
	assert_int_equal(life->told_ended, 0);
	return life->told_firing++ == 0;
}

static void check_ended(struct life *life, const struct cw_alert *alert)
{
	assert_false(is_firing(life));
	assert_true(alert->ends_at == life->ended_at);
	assert_true(rules[life->rule].send_resolved);
	assert_true(life->told_firing > 0);
	assert_int_equal(life->told_ended, 0);
	life->told_ended++;
}

/* All that fire in this group and are not muted are in it. */
static void check_complete(const struct cw_notice *said, const struct group *group)
{
	uint32_t firing = 0;
	for (const struct alert *alert = group->alerts; alert; alert = alert->next_in_group) {
		const struct life *life = life_of(alert);
		firing += is_firing(life) && !is_muted(life);
	}
	assert_int_equal(said->firing, firing);
	assert_int_equal(said->left_out, 0);
	assert_int_equal(said->alerts.count, said->firing + said->resolved);
}

static void check_alerts(const struct cw_notice *said, const struct group *group)
{
	uint32_t firing = 0, news = 0, ended = 0;
	check_complete(said, group);
	for (uint32_t i = 0; i < said->alerts.count; i++) {
		const struct cw_alert *alert = cw_at(&said->alerts, i);
		struct life *life = life_said(said, alert);
		if (alert->is_firing) {
			firing++;
			news += check_firing(life);
		} else {
			ended++;
			check_ended(life, alert);
		}
	}
	assert_true(firing == said->firing && ended == said->resolved);
	assert_int_equal(said->kind == CW_NOTICE_REPEAT, news + ended == 0);
	if (said->kind == CW_NOTICE_RESOLVED)
		assert_int_equal(firing, 0);
}

static struct incident *find_incident(const char *id)
{
	for (int i = 0; i < world.incidents_count; i++)
		if (strcmp(world.incidents[i].id, id) == 0)
			return &world.incidents[i];
	return NULL;
}

static void check_incident(const struct cw_notice *said, const struct group *group)
{
	struct incident *incident = find_incident(said->incident);
	if (said->sequence == 1) {
		assert_null(incident);
		assert_in_range(world.incidents_count, 0, INCIDENTS_MAX - 1);
		incident = &world.incidents[world.incidents_count++];
		snprintf(incident->group, sizeof incident->group, "%s", said->group);
		snprintf(incident->id, sizeof incident->id, "%s", said->incident);
		snprintf(incident->rule, sizeof incident->rule, "%s", said->rule);
	} else {
		assert_non_null(incident);
		assert_int_equal(said->sequence, incident->sequence + 1);
		assert_true(world.wall - incident->told_at >=
			    (said->kind == CW_NOTICE_REPEAT ? REPEAT : INTERVAL) * SECOND);
		assert_true(said->since == incident->since);
	}
	assert_int_equal(group->sequence, said->sequence);
	incident->sequence = said->sequence;
	incident->since = said->since;
	incident->told_at = world.wall;
}

static void check_id(const struct cw_notice *said)
{
	for (int i = 0; i < world.notices; i++)
		assert_string_not_equal(world.ids[i], said->id);
	assert_in_range(world.notices, 0, NOTICES_MAX - 1);
	snprintf(world.ids[world.notices++], sizeof world.ids[0], "%s", said->id);
}

/* One that was told to fire, and is now told no more without having been told to end, goes on as another. */
static void check_superseded(const struct cw_notice *said, struct life *life)
{
	if (life->told != TOLD_FIRING || !rules[life->rule].send_resolved || life->told_ended > 0)
		return;
	for (uint32_t i = 0; i < said->alerts.count; i++) {
		const struct cw_alert *alert = cw_at(&said->alerts, i);
		life->is_superseded |= alert->is_firing && atoi(alert->subject) == life->subject;
	}
	assert_true(life->is_superseded);
}

static void tell(void *arg, struct group *group, struct notice *notice, const char *const *notifiers, uint32_t n)
{
	(void)arg, (void)notifiers;
	if (world.is_crashed)
		return;
	assert_int_equal(n, 1);
	if (world.armed == CRASH_BEFORE_JOURNAL) {
		world.is_crashed = true;
		return;
	}
	check_id(&notice->said);
	check_incident(&notice->said, group);
	check_alerts(&notice->said, group);
	for (struct alert *alert = group->alerts; alert; alert = alert->next_in_group) {
		struct life *life = life_of(alert);
		if (alert->told == TOLD_RESOLVED)
			check_superseded(&notice->said, life);
		life->told = alert->told;
		snprintf(life->group_key, sizeof life->group_key, "%s", group->key);
	}
	if (world.armed == CRASH_AFTER_JOURNAL)
		world.is_crashed = true;
}

static void show(void *arg, struct alert *alert)
{
	(void)arg, (void)alert;
}

static void settled(void *arg, struct alert *alert)
{
	(void)arg;
	if (world.is_crashed)
		return;
	struct life *life = life_of(alert);
	assert_false(is_firing(life));
	assert_true(life->told != TOLD_FIRING || !rules[life->rule].send_resolved);
	life->is_settled = true;
	life->alert = NULL;
	alert_free(alert);
}

/* ---- the agent begins, and ends ---- */

static struct alert *alert_made_of(const struct life *life)
{
	char subject[16], worker[16];
	snprintf(subject, sizeof subject, "%d", life->subject);
	snprintf(worker, sizeof worker, "w%d", life->subject % 3);
	struct alert *alert = alert_new(rules[life->rule].name, source_of(life), subject, source_of(life));
	struct cw_fact fact = {"worker", worker};
	alert_set_words(alert, subject, NULL, &fact, 1);
	alert->rule = &rules[life->rule];
	alert_begin(alert, life->fired_at);
	alert->firing_since = life->fired_at;
	alert->state = is_firing(life) ? ALERT_FIRING : ALERT_RESOLVED;
	alert->resolved_at = life->ended_at;
	alert->reason = is_firing(life) ? NULL : "recovered";
	alert->told = life->told;
	alert->is_blind = life->is_blind;
	if (life->is_acked)
		alert_set_text(&alert->acked_by, "ada");
	return alert;
}

static void add_silence(struct quiet *quiet)
{
	const char *matcher = quiet->matcher;
	char error[CW_QUERY_ERROR_MAX];
	struct silence *silence;
	struct cw_silence_spec spec = {.id = quiet->id[0] ? quiet->id : NULL,
				       .matchers = &matcher,
				       .matchers_count = 1,
				       .starts_at = quiet->from,
				       .ends_at = quiet->to,
				       .comment = "c",
				       .by = "ada"};
	assert_int_equal(silences_add(world.silences, &spec, world.wall, &silence, error), 0);
	snprintf(quiet->id, sizeof quiet->id, "%s", silence->id);
}

static void start(void)
{
	struct groups_options options = {.hostname = "box", .tell = tell, .show = show, .settled = settled};
	world.is_crashed = false;
	world.armed = CRASH_NOT;
	world.watched = SECOND;
	world.silences = silences_new();
	world.groups = groups_new(&options, world.silences);
	groups_use(world.groups, &all_rules);
	for (int i = 0; i < world.silent_count; i++)
		add_silence(&world.silent[i]);
	for (int i = world.incidents_count - 1; i >= 0; i--) /* of each group the last; the others are refused */
		groups_restore(world.groups, world.incidents[i].group, world.incidents[i].rule, world.incidents[i].id,
			       world.incidents[i].sequence, world.incidents[i].since, world.incidents[i].told_at);
	for (int i = 0; i < world.lives_count; i++) {
		struct life *life = &world.lives[i];
		life->overdue = 0;
		if (life->is_settled)
			continue;
		life->alert = alert_made_of(life);
		groups_add_known(world.groups, life->alert, life->group_key, world.watched);
	}
}

static void stop(void)
{
	groups_free(world.groups);
	silences_free(world.silences);
	for (int i = 0; i < world.lives_count; i++) {
		alert_free(world.lives[i].alert);
		world.lives[i].alert = NULL;
	}
}

static void crash(void)
{
	stop();
	world.wall += (rand() % 4 ? rand() % 20 : rand() % 1000) * SECOND;
	start();
}

/* ---- what happens ---- */

static void check_soon(struct life *life)
{
	bool is_due = is_firing(life) ? life->told_firing == 0 && !is_muted(life)
				      : life->told_firing > 0 && rules[life->rule].send_resolved &&
						life->told_ended == 0 && !life->is_superseded;
	life->overdue = is_due ? life->overdue + 1 : 0;
	assert_true(life->overdue <= SOON);
}

/* What is shown of alerts and silences. */
static void check_shown(void)
{
	for (int i = 0; i < world.lives_count; i++) {
		const struct life *life = &world.lives[i];
		if (!life->alert || !is_firing(life))
			continue;
		assert_int_equal(life->alert->silenced_by != NULL, is_silenced(life));
		assert_int_equal(life->alert->inhibited_by != NULL, is_inhibited(life));
	}
	for (const struct silence *silence = silences_first(world.silences); silence; silence = silence->next) {
		uint32_t mutes = 0;
		for (int i = 0; i < world.lives_count; i++)
			mutes += is_firing(&world.lives[i]) && world.lives[i].alert &&
				 silence_mutes(silence, world.lives[i].alert, world.wall);
		assert_int_equal(silence->mutes, mutes);
	}
}

static void pass_second(void)
{
	world.watched += SECOND;
	world.wall += SECOND;
	int64_t next = groups_step(world.groups, world.watched, world.wall);
	assert_true(next > world.watched);
	if (world.is_crashed)
		crash();
	else
		check_shown();
	for (int i = 0; i < world.lives_count; i++)
		check_soon(&world.lives[i]);
}

static struct life *some_firing(void)
{
	if (world.lives_count == 0)
		return NULL;
	struct life *life = &world.lives[rand() % world.lives_count];
	return is_firing(life) ? life : NULL;
}

static void fire(void)
{
	int rule = rand() % RULES, subject = rand() % SUBJECTS;
	for (int i = 0; i < world.lives_count; i++)
		if (is_firing(&world.lives[i]) && world.lives[i].rule == rule && world.lives[i].subject == subject)
			return;
	assert_in_range(world.lives_count, 0, LIVES_MAX - 1);
	struct life *life = &world.lives[world.lives_count++];
	*life = (struct life){.rule = rule, .subject = subject, .fired_at = world.wall + world.lives_count};
	life->alert = alert_made_of(life);
	groups_add(world.groups, life->alert, world.watched);
}

static void end(struct life *life)
{
	life->ended_at = world.wall;
	life->alert->state = ALERT_RESOLVED;
	life->alert->resolved_at = world.wall;
	life->alert->reason = "recovered";
	groups_touch(world.groups, life->alert, world.watched);
}

static void change_words(struct life *life)
{
	if (rand() % 2)
		life->is_acked = true;
	else
		life->is_blind = !life->is_blind;
	life->alert->is_blind = life->is_blind;
	alert_set_text(&life->alert->acked_by, life->is_acked ? "ada" : NULL);
	groups_touch(world.groups, life->alert, world.watched);
}

static void silence_some(void)
{
	if (world.silent_count == SILENCES)
		return;
	struct quiet *quiet = &world.silent[world.silent_count++];
	*quiet = (struct quiet){.rule = -1, .subject = -1, .from = world.wall + rand() % 2 * 30 * SECOND};
	quiet->to = quiet->from + (1 + rand() % 400) * SECOND;
	if (rand() % 2) {
		quiet->rule = rand() % RULES;
		snprintf(quiet->matcher, sizeof quiet->matcher, "alertname=%s", rules[quiet->rule].name);
	} else {
		quiet->subject = rand() % SUBJECTS;
		snprintf(quiet->matcher, sizeof quiet->matcher, "subject=%d", quiet->subject);
	}
	add_silence(quiet);
}

static void do_something(void)
{
	int what = rand() % 100;
	struct life *life = some_firing();
	if (what < 30)
		fire();
	else if (what < 60 && life)
		end(life);
	else if (what < 65 && life)
		change_words(life);
	else if (what < 68)
		silence_some();
	else if (what < 70)
		crash();
	else if (what < 75)
		world.armed = rand() % 2 ? CRASH_BEFORE_JOURNAL : CRASH_AFTER_JOURNAL;
	else if (what < 77)
		groups_use(world.groups, &all_rules);
	else
		for (int seconds = rand() % (what < 90 ? 15 : 150); seconds >= 0; seconds--)
			pass_second();
}

static void come_to_rest(void)
{
	for (int i = 0; i < world.lives_count; i++)
		if (is_firing(&world.lives[i]))
			end(&world.lives[i]);
	for (int seconds = 0; seconds < 3 * SOON; seconds++)
		pass_second();
	assert_null(groups_first(world.groups));
	for (int i = 0; i < world.lives_count; i++)
		assert_true(world.lives[i].is_settled);
}

static void crashes__at_any_point__lose_and_repeat_nothing(void **state)
{
	(void)state;
	int notices = 0, told = 0, superseded = 0;
	const char *only = getenv("SEED");
	for (int run = only ? atoi(only) : 0; run < (only ? atoi(only) + 1 : RUNS); run++) {
		srand((unsigned int)run);
		memset(&world, 0, sizeof world);
		world.wall = 1767225600 * SECOND;
		start();
		for (int i = 0; i < OPERATIONS; i++)
			do_something();
		come_to_rest();
		notices += world.notices;
		for (int i = 0; i < world.lives_count; i++) {
			told += world.lives[i].told_ended;
			superseded += world.lives[i].is_superseded;
		}
		stop();
	}
	print_message("%d notices, %d lives told to their end, %d went on as others\n", notices, told, superseded);
	assert_true(only || (notices > 1000 && told > 1000 && superseded > 10)); /* something has happened */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashes__at_any_point__lose_and_repeat_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
