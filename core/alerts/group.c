/* SPDX-License-Identifier: MIT
 *
 * See group.h. Each alert is one *part* of its group (enum group_part), and a group knows how many of each it has; so
 * whatever comes and goes, when the next notice is due follows from a few numbers, and the alerts of a group are looked
 * at one by one only to tell of them. An alert that leaves stands at the end of the list until the next step.
 *
 *     silences, inhibition ─▶ parts ─▶ judge(): when ─▶ tell(): what, in telling.c ─▶ options.tell()
 */
#include "group.h"

#include "group_private.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, HEARERS_MAX = 64, KEY_BYTES = (GROUP_KEY_SIZE - 1) / 2 };

static const int64_t no_memory_pause = CW_SECOND;
/* If the rule is not known. */
static const int64_t usual_wait = 10 * CW_SECOND, usual_interval = 300 * CW_SECOND, usual_repeat = 14400 * CW_SECOND;

struct groups {
	struct groups_options options;
	struct silences *silences;
	const struct ruleset *ruleset;
	struct group *list, **end;
	struct group *buckets[BUCKETS]; /* by key */
	struct inhibitors inhibitors;
};

struct groups *groups_new(const struct groups_options *options, struct silences *silences)
{
	struct groups *groups = sodium_init() < 0 ? NULL : calloc(1, sizeof *groups);
	if (!groups)
		return NULL;
	groups->options = *options;
	groups->silences = silences;
	groups->end = &groups->list;
	return groups;
}

static void labels_free(struct cw_tag *labels, uint32_t count)
{
	for (uint32_t i = 0; labels && i < count; i++) {
		free((char *)labels[i].name); /* ours */
		free((char *)labels[i].value);
	}
	free(labels);
}

static void group_free(struct group *group)
{
	if (!group)
		return;
	labels_free(group->labels, group->labels_count);
	free(group->rule_name);
	free(group->common);
	free(group);
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	for (struct group *group = groups->list, *next; group; group = next) {
		next = group->next;
		for (struct alert *alert = group->alerts; alert; alert = alert->next_in_group) {
			alert->group = NULL;
			alert->part_in_group = PART_NONE;
		}
		group_free(group);
	}
	inhibitors_release(&groups->inhibitors);
	free(groups);
}

struct group *groups_first(struct groups *groups)
{
	return groups->list;
}

/* ---- which groups there are ---- */

static void hash_text(crypto_generichash_state *state, const char *text)
{
	crypto_generichash_update(state, (const unsigned char *)text, strlen(text) + 1);
}

static void make_key(const struct cw_tag *labels, uint32_t count, const char *for_what, char key[GROUP_KEY_SIZE])
{
	unsigned char hash[KEY_BYTES];
	crypto_generichash_state state;
	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	hash_text(&state, for_what);
	for (uint32_t i = 0; i < count; i++) {
		hash_text(&state, labels[i].name);
		hash_text(&state, labels[i].value);
	}
	crypto_generichash_final(&state, hash, sizeof hash);
	sodium_bin2hex(key, GROUP_KEY_SIZE, hash, sizeof hash);
}

/* Keys are hashes: their first digits are as good as any others. */
static struct group **bucket_of(struct groups *groups, const char *key)
{
	unsigned int number = 0;
	sscanf(key, "%3x", &number);
	return &groups->buckets[number % BUCKETS];
}

struct group *groups_find(struct groups *groups, const char *key)
{
	struct group *group = *bucket_of(groups, key);
	while (group && strcmp(group->key, key) != 0)
		group = group->next_in_bucket;
	return group;
}

/* Takes the labels. NULL: no memory, and they are freed. */
static struct group *add_group(struct groups *groups, const char *key, const char *rule_name, struct cw_tag *labels,
			       uint32_t count)
{
	struct group *group = calloc(1, sizeof *group);
	char *name = strdup(rule_name);
	if (!group || !name) {
		labels_free(labels, count);
		free(name);
		free(group);
		return NULL;
	}
	snprintf(group->key, sizeof group->key, "%s", key);
	group->rule_name = name;
	group->rule = groups->ruleset ? ruleset_find(groups->ruleset, rule_name) : NULL;
	group->labels = labels;
	group->labels_count = count;
	group->is_touched = true;
	struct group **bucket = bucket_of(groups, key);
	group->next_in_bucket = *bucket;
	*bucket = group;
	*groups->end = group;
	groups->end = &group->next;
	return group;
}

/* `at` points at it in the list. */
static void remove_group(struct groups *groups, struct group **at)
{
	struct group *group = *at, **in_bucket = bucket_of(groups, group->key);
	while (*in_bucket != group)
		in_bucket = &(*in_bucket)->next_in_bucket;
	*in_bucket = group->next_in_bucket;
	*at = group->next;
	if (groups->end == &group->next)
		groups->end = at;
	group_free(group);
}

/* ---- labels of a group ---- */

struct labels {
	struct cw_tag *tags;
	uint32_t count, room;
	bool failed;
};

static void add_label(struct labels *labels, const char *name, const char *value)
{
	if (labels->failed || labels->count == labels->room)
		return;
	struct cw_tag *tag = &labels->tags[labels->count++];
	tag->name = strdup(name);
	tag->value = strdup(value ? value : "");
	labels->failed = !tag->name || !tag->value;
}

struct hearing {
	const char *notifier; /* who is looked for; NULL: all are collected */
	bool is_found;
	const char *names[HEARERS_MAX];
	uint32_t count;
};

static void hear(void *arg, const char *notifier)
{
	struct hearing *hearing = arg;
	if (hearing->notifier && strcmp(hearing->notifier, notifier) == 0)
		hearing->is_found = true;
	else if (hearing->count < HEARERS_MAX)
		hearing->names[hearing->count++] = notifier;
}

/* Is the alert about one of those who would hear of it? */
static bool is_about_hearer(const struct groups *groups, const struct labels *labels, const struct rule *rule,
			    const struct alert *alert)
{
	struct cw_tag all[NOTICE_LABELS_MAX];
	struct hearing hearing = {.notifier = alert->source};
	struct group group = {.rule = rule, .labels = labels->tags, .labels_count = labels->count};
	if (!rule || !groups->ruleset)
		return false;
	ruleset_route(groups->ruleset, all, telling_labels(&group, alert->severity, all), hear, &hearing);
	return hearing.is_found;
}

/* alertname, then what the rule is split by. `alert` NULL: of none in particular. */
static struct labels make_labels(const struct groups *groups, const char *rule_name, const struct rule *rule,
				 const struct alert *alert)
{
	uint32_t room = 2 + (rule ? rule->group_by.count : 0);
	struct labels labels = {.tags = calloc(room, sizeof *labels.tags), .room = room};
	labels.failed = !labels.tags;
	add_label(&labels, "alertname", rule_name);
	for (uint32_t i = 0; rule && i < rule->group_by.count; i++)
		add_label(&labels, rule->group_by.items[i], alert ? alert_text(alert, rule->group_by.items[i]) : NULL);
	if (alert && !labels.failed && is_about_hearer(groups, &labels, rule, alert))
		add_label(&labels, "notifier", alert->source);
	return labels;
}

/* NULL: no memory. */
static struct group *group_for(struct groups *groups, const struct alert *alert, const char *known_key)
{
	char key[GROUP_KEY_SIZE];
	struct group *group = *known_key ? groups_find(groups, known_key) : NULL;
	const struct rule *rule = groups->ruleset ? ruleset_find(groups->ruleset, alert->rule_name) : alert->rule;
	if (group && group->labels)
		return group;
	struct labels labels = make_labels(groups, alert->rule_name, rule, alert);
	if (labels.failed) {
		labels_free(labels.tags, labels.count);
		return group;
	}
	if (group) { /* the journal knows its key; labels it has from the first of its alerts */
		group->labels = labels.tags;
		group->labels_count = labels.count;
		return group;
	}
	make_key(labels.tags, labels.count, "", key);
	group = groups_find(groups, key);
	if (group && group->labels) {
		labels_free(labels.tags, labels.count);
		return group;
	}
	if (group) {
		group->labels = labels.tags;
		group->labels_count = labels.count;
		return group;
	}
	group = add_group(groups, key, alert->rule_name, labels.tags, labels.count);
	if (group && !groups->ruleset)
		group->rule = alert->rule;
	return group;
}

/* The number in an incident's id. */
static int64_t number_of(const char *incident)
{
	const char *number = strrchr(incident, '-');
	return number ? (int64_t)(strtoull(number + 1, NULL, 16) & (UINT64_MAX >> 2)) : 0;
}

int groups_restore(struct groups *groups, const char *key, const char *rule, const char *incident, uint32_t sequence,
		   int64_t since, int64_t told_at)
{
	if (strlen(key) != GROUP_KEY_SIZE - 1 || strspn(key, "0123456789abcdef") != GROUP_KEY_SIZE - 1 ||
	    strlen(incident) >= INCIDENT_ID_SIZE)
		return -EINVAL;
	struct group *group = groups_find(groups, key);
	if (group && *group->incident)
		return -EEXIST;
	if (!group && !(group = add_group(groups, key, rule, /* labels */ NULL, /* count */ 0)))
		return -ENOMEM;
	snprintf(group->incident, sizeof group->incident, "%s", incident);
	group->last_number = number_of(incident);
	group->sequence = sequence;
	group->since = since;
	group->told_at = told_at;
	return 0;
}

/* ---- parts ---- */

static void unlink_alert(struct group *group, struct alert *alert)
{
	struct alert *before = alert->previous_in_group, *after = alert->next_in_group;
	*(before ? &before->next_in_group : &group->alerts) = after;
	*(after ? &after->previous_in_group : &group->last) = before;
	alert->next_in_group = alert->previous_in_group = NULL;
}

static void link_first(struct group *group, struct alert *alert)
{
	alert->next_in_group = group->alerts;
	*(group->alerts ? &group->alerts->previous_in_group : &group->last) = alert;
	group->alerts = alert;
}

static void link_last(struct group *group, struct alert *alert)
{
	alert->previous_in_group = group->last;
	*(group->last ? &group->last->next_in_group : &group->alerts) = alert;
	group->last = alert;
}

static bool is_muted(const struct alert *alert)
{
	return alert->silenced_by || alert->inhibited_by;
}

static enum group_part part_of(const struct group *group, const struct alert *alert)
{
	if (alert->state != ALERT_FIRING)
		return alert->told == TOLD_FIRING && (!group->rule || group->rule->send_resolved) ? PART_ENDED
												  : PART_GONE;
	if (alert->told == TOLD_FIRING)
		return is_muted(alert) || alert->acked_by || alert->is_blind ? PART_QUIET : PART_TOLD;
	return is_muted(alert) ? PART_MUTED : PART_NEWS;
}

/* Finds out anew what the alert is to its group. */
static void sort_in(struct alert *alert)
{
	struct group *group = alert->group;
	enum group_part part = part_of(group, alert);
	if ((int)part == alert->part_in_group)
		return;
	if (part == PART_GONE) {
		if (alert->told == TOLD_FIRING)
			alert->told = TOLD_RESOLVED; /* only marked */
		unlink_alert(group, alert);
		link_last(group, alert);
	}
	group->parts[alert->part_in_group]--;
	group->parts[part]++;
	alert->part_in_group = (int)part;
	group->is_touched = true;
}

static void leave(struct alert *alert)
{
	struct group *group = alert->group;
	unlink_alert(group, alert);
	group->parts[alert->part_in_group]--;
	group->is_touched = true;
	alert->part_in_group = PART_NONE;
	alert->group = NULL;
}

/* ---- who is muted ---- */

/* The name of what mutes it; NULL: nothing. True: that has changed. */
static bool mute(char **text, const char *name)
{
	if ((!*text && !name) || (*text && name && strcmp(*text, name) == 0))
		return false;
	alert_set_text(text, name);
	return true;
}

/* Against the silences as they stand since their last turn. */
static bool look_at_silences(struct groups *groups, struct alert *alert, int by)
{
	const struct silence *silence = silences_look(groups->silences, alert, by);
	return mute(&alert->silenced_by, silence ? silence->id : NULL);
}

static bool look_at_inhibitors(struct groups *groups, struct alert *alert)
{
	return mute(&alert->inhibited_by, inhibitors_find(&groups->inhibitors, alert->group->rule, alert->source));
}

/* It fires: it counts, for others and for silences. */
static void begin_to_count(struct groups *groups, struct alert *alert)
{
	alert->is_counted_in_group = true;
	inhibitors_count(&groups->inhibitors, alert->rule_name, alert->source, 1);
	bool silenced = look_at_silences(groups, alert, 1), inhibited = look_at_inhibitors(groups, alert);
	if (silenced || inhibited)
		groups->options.show(groups->options.arg, alert);
}

static void cease_to_count(struct groups *groups, struct alert *alert)
{
	if (!alert->is_counted_in_group)
		return;
	alert->is_counted_in_group = false;
	inhibitors_count(&groups->inhibitors, alert->rule_name, alert->source, -1);
	silences_look(groups->silences, alert, -1);
}

/* Silences or inhibitors have changed: all that fire are looked at again. */
static void look_again(struct groups *groups, bool silences)
{
	for (struct group *group = groups->list; group; group = group->next) {
		if (!silences && (!group->rule || group->rule->inhibited_by.count == 0))
			continue;
		for (struct alert *alert = group->alerts, *next; alert; alert = next) {
			next = alert->next_in_group;
			if (!alert->is_counted_in_group)
				continue;
			bool silenced = silences && look_at_silences(groups, alert, 1);
			bool inhibited = look_at_inhibitors(groups, alert);
			if (silenced || inhibited)
				groups->options.show(groups->options.arg, alert);
			sort_in(alert);
		}
	}
}

/* ---- what comes ---- */

static uint32_t changes_of(const struct group *group)
{
	return group->parts[PART_NEWS] + group->parts[PART_ENDED];
}

static void note_since(int64_t *since, bool holds, int64_t watched)
{
	if (!holds)
		*since = 0;
	else if (*since == 0)
		*since = watched;
}

/* From when on its waits are counted. */
static void note_change(struct group *group, int64_t watched)
{
	note_since(&group->changed_at, changes_of(group) > 0, watched);
	note_since(&group->loud_since, group->parts[PART_TOLD] > 0, watched);
}

void groups_add_known(struct groups *groups, struct alert *alert, const char *key, int64_t watched)
{
	struct group *group = group_for(groups, alert, key);
	if (!group)
		return;
	alert->group = group;
	alert->part_in_group = PART_NONE;
	group->parts[PART_NONE]++;
	link_first(group, alert);
	if (alert->state == ALERT_FIRING)
		begin_to_count(groups, alert);
	sort_in(alert);
	note_change(group, watched);
}

void groups_add(struct groups *groups, struct alert *alert, int64_t watched)
{
	groups_add_known(groups, alert, /* key */ "", watched);
}

void groups_touch(struct groups *groups, struct alert *alert, int64_t watched)
{
	if (!alert->group)
		return;
	if (alert->state != ALERT_FIRING)
		cease_to_count(groups, alert);
	sort_in(alert);
	note_change(alert->group, watched);
}

void groups_remove(struct groups *groups, struct alert *alert)
{
	if (!alert->group)
		return;
	cease_to_count(groups, alert);
	leave(alert);
}

void groups_use(struct groups *groups, const struct ruleset *ruleset)
{
	groups->ruleset = ruleset;
	for (struct group *group = groups->list; group; group = group->next) {
		group->rule = ruleset ? ruleset_find(ruleset, group->rule_name) : NULL;
		group->is_touched = true;
	}
	silences_change(groups->silences); /* rules' labels may be others */
	groups->inhibitors.is_changed = true;
	for (struct group *group = groups->list; group; group = group->next)
		for (struct alert *alert = group->alerts, *next; alert; alert = next) {
			next = alert->next_in_group;
			sort_in(alert);
		}
}

/* ---- when something is told ---- */

static int64_t wait_of(const struct group *group)
{
	return group->rule ? group->rule->group_wait : usual_wait;
}

static int64_t interval_of(const struct group *group)
{
	return group->rule ? group->rule->group_interval : usual_interval;
}

static int64_t repeat_of(const struct group *group)
{
	return group->rule ? group->rule->repeat_interval : usual_repeat;
}

/* When the last notice was told, by the watched clock of this life: what passed while nobody watched counts. */
static void know_when_told(struct group *group, int64_t watched, int64_t wall)
{
	if (group->knows_told)
		return;
	group->knows_told = true;
	int64_t ago = group->told_at ? wall - group->told_at : 0;
	group->told_watched = watched - (ago < 0 ? 0 : ago);
}

static bool is_open(const struct group *group)
{
	return group->parts[PART_TOLD] + group->parts[PART_QUIET] + group->parts[PART_ENDED] > 0;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What is due follows from how many alerts are what. */
static void judge(struct group *group, int64_t watched)
{
	group->is_touched = false;
	if (!is_open(group)) { /* all have been told to have ended, or ended without a word */
		group->incident[0] = '\0';
		group->sequence = 0;
	}
	note_change(group, watched);
	if (changes_of(group) > 0)
		group->due = later(group->changed_at + wait_of(group),
				   group->incident[0] ? group->told_watched + interval_of(group) : 0);
	else if (group->parts[PART_TOLD] > 0 && group->incident[0])
		/* after a restart, or a time of blindness, it is seen first whether it still fires */
		group->due = later(group->loud_since + wait_of(group), group->told_watched + repeat_of(group));
	else
		group->due = 0;
}

/* ---- telling ---- */

static int by_fingerprint(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that have ended, without those that fire again: for who is told, these go on. `fingerprints` is room for those
 * that fire. */
static uint32_t collect_ended(const struct group *group, const struct alert **firing, uint32_t count,
			      const char **fingerprints, const struct alert **ended)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < count; i++)
		fingerprints[i] = firing[i]->fingerprint;
	qsort(fingerprints, count, sizeof *fingerprints, by_fingerprint);
	for (const struct alert *alert = group->alerts; alert; alert = alert->next_in_group) {
		const char *fingerprint = alert->fingerprint;
		if (alert->part_in_group == PART_ENDED &&
		    !bsearch(&fingerprint, fingerprints, count, sizeof *fingerprints, by_fingerprint))
			ended[n++] = alert;
	}
	return n;
}

static uint32_t collect_firing(const struct group *group, const struct alert **firing, uint32_t *ret_muted)
{
	uint32_t n = 0;
	for (const struct alert *alert = group->alerts; alert; alert = alert->next_in_group) {
		if (alert->state == ALERT_FIRING && !is_muted(alert))
			firing[n++] = alert;
		else if (alert->state == ALERT_FIRING)
			(*ret_muted)++;
	}
	return n;
}

static enum cw_notice_kind kind_of(const struct group *group)
{
	const uint32_t *parts = group->parts;
	if (parts[PART_NEWS] + parts[PART_TOLD] + parts[PART_QUIET] == 0)
		return CW_NOTICE_RESOLVED;
	return changes_of(group) > 0 ? CW_NOTICE_FIRING : CW_NOTICE_REPEAT;
}

/* An incident begins with its first alert. */
static int64_t find_beginning(const struct telling *telling)
{
	int64_t since = INT64_MAX;
	for (uint32_t i = 0; i < telling->firing_count; i++)
		since = telling->firing[i]->firing_since < since ? telling->firing[i]->firing_since : since;
	for (uint32_t i = 0; i < telling->ended_count; i++)
		since = telling->ended[i]->firing_since < since ? telling->ended[i]->firing_since : since;
	return since == INT64_MAX ? telling->wall : since;
}

/* Its id is of its beginning, but never that of an earlier one of the group, whose notices would have its ids. */
static void name_incident(const struct group *group, int64_t since, char incident[INCIDENT_ID_SIZE])
{
	int64_t number = since / CW_MILLISECOND;
	if (number <= group->last_number)
		number = group->last_number + 1;
	snprintf(incident, INCIDENT_ID_SIZE, "%s-%" PRIx64, group->key, (uint64_t)number);
}

/* From now on those who are told know it. */
static void mark_told(struct group *group)
{
	for (struct alert *alert = group->alerts, *next; alert; alert = next) {
		next = alert->next_in_group;
		if (alert->part_in_group == PART_NEWS)
			alert->told = TOLD_FIRING;
		else if (alert->part_in_group == PART_ENDED)
			alert->told = TOLD_RESOLVED;
		else
			continue;
		sort_in(alert);
	}
}

static bool is_about(const struct group *group, const char *notifier)
{
	const struct alert *alert = group->alerts;
	while (alert && strcmp(alert->source, notifier) == 0)
		alert = alert->next_in_group;
	return group->alerts && !alert;
}

/* Who hears of the group: the route, but for a notifier that it is about. */
static void find_hearers(const struct groups *groups, const struct group *group, enum cw_severity severity,
			 struct hearing *hearing)
{
	struct cw_tag labels[NOTICE_LABELS_MAX];
	uint32_t count = telling_labels(group, severity, labels), kept = 0;
	ruleset_route(groups->ruleset, labels, count, hear, hearing);
	for (uint32_t i = 0; i < hearing->count; i++)
		if (!is_about(group, hearing->names[i]))
			hearing->names[kept++] = hearing->names[i];
	hearing->count = kept;
}

static void give(struct groups *groups, struct group *group, struct notice *notice, const struct hearing *hearing)
{
	groups->options.tell(groups->options.arg, group, notice, hearing->names, hearing->count);
	notice_unref(notice);
}

/* The group's incident goes on by a notice. */
static void tell_notice(struct groups *groups, struct group *group, struct telling *telling, struct notice *notice,
			int64_t watched)
{
	struct hearing hearing = {.notifier = NULL};
	find_hearers(groups, group, notice->said.severity, &hearing);
	if (!group->incident[0]) {
		snprintf(group->incident, sizeof group->incident, "%s", telling->incident);
		group->last_number = number_of(group->incident);
	}
	group->since = telling->since;
	group->sequence = telling->sequence;
	group->told_at = telling->wall;
	group->told_watched = watched;
	group->knows_told = true;
	group->changed_at = 0;
	alert_set_text(&group->common, telling->common);
	mark_told(group);
	give(groups, group, notice, &hearing);
}

static bool make_and_tell(struct groups *groups, struct group *group, struct telling *telling,
			  const char **fingerprints, int64_t watched)
{
	char incident[INCIDENT_ID_SIZE];
	telling->firing_count = collect_firing(group, telling->firing, &telling->muted);
	telling->ended_count =
		collect_ended(group, telling->firing, telling->firing_count, fingerprints, telling->ended);
	if (!group->incident[0]) {
		telling->since = find_beginning(telling);
		name_incident(group, telling->since, incident);
		telling->incident = incident;
	}
	struct notice *notice = telling_notice(telling);
	if (notice)
		tell_notice(groups, group, telling, notice, watched);
	return notice != NULL;
}

/* False: no memory; nothing was told, and nothing is changed. */
static bool tell(struct groups *groups, struct group *group, int64_t watched, int64_t wall)
{
	uint32_t count = 0;
	for (int part = PART_MUTED; part < PARTS; part++)
		count += group->parts[part];
	const void **room = calloc((size_t)count * 3 + 1, sizeof *room);
	if (!room)
		return false;
	struct telling telling = {
		.options = &groups->options,
		.ruleset = groups->ruleset,
		.group = group,
		.kind = kind_of(group),
		.incident = group->incident,
		.sequence = group->sequence + 1,
		.since = group->since,
		.wall = wall,
		.firing = (const struct alert **)room,
		.ended = (const struct alert **)room + count,
	};
	bool told = make_and_tell(groups, group, &telling, (const char **)room + 2 * (size_t)count, watched);
	free(room);
	return told;
}

/* Of those that leave nothing is to be told any more. */
static void settle(struct groups *groups, struct group *group)
{
	while (group->parts[PART_GONE] > 0) {
		struct alert *alert = group->last;
		leave(alert);
		groups->options.settled(groups->options.arg, alert);
	}
}

static void step(struct groups *groups, struct group *group, int64_t watched, int64_t wall)
{
	know_when_told(group, watched, wall);
	settle(groups, group);
	if (group->is_touched)
		judge(group, watched);
	if (group->due == 0 || group->due > watched)
		return;
	bool told = tell(groups, group, watched, wall);
	settle(groups, group);
	judge(group, watched);
	if (!told)
		group->due = watched + no_memory_pause;
}

/* Wall time as far ahead on the watched clock, which may stand still, but does not run faster. */
static int64_t ahead(int64_t watched, int64_t wall, int64_t next)
{
	return next == INT64_MAX || next - wall > INT64_MAX - watched ? INT64_MAX : watched + (next - wall);
}

int64_t groups_step(struct groups *groups, int64_t watched, int64_t wall)
{
	bool turns = silences_turn(groups->silences, wall), inhibits = groups->inhibitors.is_changed;
	groups->inhibitors.is_changed = false;
	if (turns || inhibits)
		look_again(groups, turns);
	int64_t next = ahead(watched, wall, silences_next(groups->silences, wall));
	for (struct group **at = &groups->list; *at;) {
		struct group *group = *at;
		step(groups, group, watched, wall);
		if (!group->alerts) {
			remove_group(groups, at);
			continue;
		}
		if (group->due && group->due < next)
			next = group->due;
		at = &group->next;
	}
	return next;
}

/* ---- a test ---- */

int groups_try(struct groups *groups, const struct rule *rule, int64_t wall)
{
	struct labels labels = make_labels(groups, rule->name, rule, /* alert */ NULL);
	struct group group = {.rule_name = strdup(rule->name), .rule = rule, .labels = labels.tags};
	struct hearing hearing = {.notifier = NULL};
	int rc = group.rule_name && !labels.failed ? 0 : -ENOMEM;
	group.labels_count = labels.count;
	if (rc == 0)
		find_hearers(groups, &group, rule->severity, &hearing);
	if (rc == 0 && hearing.count == 0)
		rc = -ENOENT;
	if (rc == 0) {
		make_key(labels.tags, labels.count, "test", group.key);
		group.since = wall;
		group.sequence = 1;
		snprintf(group.incident, sizeof group.incident, "%s-%" PRIx64, group.key,
			 (uint64_t)(wall / CW_MILLISECOND));
		struct telling telling = {.options = &groups->options,
					  .ruleset = groups->ruleset,
					  .group = &group,
					  .kind = CW_NOTICE_TEST,
					  .incident = group.incident,
					  .sequence = 1,
					  .since = wall,
					  .wall = wall};
		struct notice *notice = telling_notice(&telling);
		rc = notice ? 0 : -ENOMEM;
		if (notice)
			give(groups, &group, notice, &hearing);
	}
	free(group.rule_name);
	labels_free(labels.tags, labels.count);
	return rc;
}
