/* SPDX-License-Identifier: MIT
 *
 * Sample rules: the last sample of every series that a rule or a guard looks at, what rates are made of, what is
 * absent. Which rules and guards a series concerns is found out once, when it is first seen or the rules change.
 *
 * A rate is the difference over the whole of `over`, of a counter that never goes back (one that does starts anew).
 * Until there are samples of so long it is not known; and it begins anew when the source could not see for a while, or
 * nobody watched: what came in between would count for a moment that it was not of.
 *
 * A series that is absent while others of its metric and instance come is gone (a business without calls), and so is
 * its alert, after five minutes. If none of its metric comes, nothing is known of it.
 */
#include "engine_private.h"

#include "log.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, POINTS_MAX = 128, RAW_MAX = 4096 };

static const int64_t gone_ns = 300 * CW_SECOND;
static const int64_t forget_ns = 3600 * CW_SECOND;

struct point {
	int64_t at; /* on the source's clock */
	double sum;
};

/* What rates are made of; only of a series that a rule asks for one. */
struct points {
	struct point ring[POINTS_MAX];
	uint32_t first, count;
	int64_t over; /* the longest that is asked for */
	uint32_t gaps, spells;
	double sum, last; /* of the increases; the last value */
};

struct series {
	struct series *next, *next_in_bucket;
	struct sight *sight;
	char *host, *subject;
	const struct cw_metric *metric;
	const char **labels; /* one block with their texts */
	double value;
	int64_t seen;    /* on the source's clock */
	uint32_t spells; /* its sight's when it was seen */
	struct points *points;
	const struct rule **rules; /* that it concerns */
	uint32_t rules_count;
	bool is_guard;
};

/* A guard, and the series that it looks at. */
struct watch {
	const struct guard *guard;
	struct series **series;
	uint32_t count, room;
};

/* A series that should come and never did. */
struct expected {
	struct expected *next;
	const struct rule *rule;
	struct sight *sight;
	char *subject;
	int64_t since; /* on the source's clock */
};

struct series_room {
	struct series *first, *buckets[BUCKETS];
	uint32_t count;
	uint8_t hash_key[STORE_HASH_KEY_BYTES];
	struct watch *watches;
	uint32_t watches_count;
	struct expected *expected;
	const struct cw_metric *last_metric; /* a memory of one: was it of interest? */
	bool last_interest, is_full;
};

/* ---- which series there are ---- */

/* `raw` is of `length` bytes, or was cut. */
static void make_subject(char subject[ALERT_SUBJECT_SIZE], const char raw[RAW_MAX], size_t length)
{
	alert_subject(subject, raw, length < RAW_MAX ? length : RAW_MAX - 1);
}

static void subject_of(char subject[ALERT_SUBJECT_SIZE], const struct cw_metric *metric, const char *const *labels)
{
	char raw[RAW_MAX];
	uint32_t count = cw_label_count(metric);
	size_t length = (size_t)snprintf(raw, RAW_MAX, "%s", metric->name);
	for (uint32_t i = 0; i < count && length < RAW_MAX; i++)
		length += (size_t)snprintf(raw + length, RAW_MAX - length, "%s%s=%s", i ? "," : "{",
					   metric->labels[i].name, labels[i]);
	if (count > 0 && length < RAW_MAX)
		length += (size_t)snprintf(raw + length, RAW_MAX - length, "}");
	make_subject(subject, raw, length);
}

static struct series **bucket_of(struct series_room *room, const char *subject)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)subject, strlen(subject), room->hash_key);
	return &room->buckets[hash % BUCKETS];
}

static struct series *find(struct series_room *room, const struct sight *sight, const char *subject)
{
	struct series *series = *bucket_of(room, subject);
	while (series && (series->sight != sight || strcmp(series->subject, subject) != 0))
		series = series->next_in_bucket;
	return series;
}

static void series_release(struct series *series)
{
	if (!series)
		return;
	free(series->host);
	free(series->subject);
	free((char *)series->labels);
	free(series->points);
	free((struct rule **)series->rules);
	free(series);
}

/* NULL: no memory. */
static const char **copy_labels(const struct cw_metric *metric, const char *const *labels)
{
	uint32_t count = cw_label_count(metric);
	size_t size = count * sizeof(char *) + 1;
	for (uint32_t i = 0; i < count; i++)
		size += strlen(labels[i]) + 1;
	const char **copy = malloc(size);
	char *at = copy ? (char *)(copy + count) : NULL;
	for (uint32_t i = 0; copy && i < count; i++) {
		size_t length = strlen(labels[i]) + 1;
		copy[i] = memcpy(at, labels[i], length);
		at += length;
	}
	return copy;
}

/* ---- what concerns a series ---- */

static struct cw_sample sample_of(const struct series *series)
{
	return (struct cw_sample){.metric = series->metric, .labels = series->labels};
}

static void watch_add(struct watch *watch, struct series *series)
{
	if (watch->count == watch->room) {
		uint32_t room = watch->room ? 2 * watch->room : 4;
		struct series **list = realloc(watch->series, room * sizeof(struct series *));
		if (!list)
			return;
		watch->series = list;
		watch->room = room;
	}
	watch->series[watch->count++] = series;
	series->is_guard = true;
}

static bool is_rate(const struct rule *rule)
{
	return rule->test == RULE_RATE_ABOVE || rule->test == RULE_RATE_BELOW;
}

/* Counted first, then kept. */
static uint32_t concerned(const struct engine *engine, const struct series *series, const struct rule **rules)
{
	struct cw_sample sample = sample_of(series);
	uint32_t n = 0, count = engine->ruleset ? ruleset_count(engine->ruleset) : 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct rule *rule = ruleset_at(engine->ruleset, i);
		if (rule->kind != RULE_SAMPLES || rule->sleeps ||
		    !rule_takes(rule, series->host, series->sight->instance, &sample))
			continue;
		if (rules)
			rules[n] = rule;
		n++;
	}
	return n;
}

static void find_points(struct series *series)
{
	int64_t over = 0;
	for (uint32_t i = 0; i < series->rules_count; i++)
		if (is_rate(series->rules[i]) && series->rules[i]->over > over)
			over = series->rules[i]->over;
	if (over == 0) {
		free(series->points);
		series->points = NULL;
	} else if (series->points || (series->points = calloc(1, sizeof *series->points))) {
		series->points->over = over;
	}
}

/* 0 or -ENOMEM. */
static int find_concerned(struct engine *engine, struct series *series)
{
	struct series_room *room = engine->series;
	struct cw_sample sample = sample_of(series);
	uint32_t count = concerned(engine, series, NULL);
	const struct rule **rules = calloc(count + 1, sizeof(struct rule *));
	if (!rules)
		return -ENOMEM;
	free((struct rule **)series->rules);
	series->rules = rules;
	series->rules_count = concerned(engine, series, rules);
	series->is_guard = false;
	for (uint32_t i = 0; i < room->watches_count; i++)
		if (selector_matches(&room->watches[i].guard->selector, series->sight->instance, &sample))
			watch_add(&room->watches[i], series);
	find_points(series);
	return 0;
}

static void forget(struct series_room *room, struct series *series)
{
	struct series **link = bucket_of(room, series->subject);
	while (*link != series)
		link = &(*link)->next_in_bucket;
	*link = series->next_in_bucket;
	for (uint32_t i = 0; i < room->watches_count; i++) {
		struct watch *watch = &room->watches[i];
		for (uint32_t k = watch->count; k-- > 0;)
			if (watch->series[k] == series)
				watch->series[k] = watch->series[--watch->count];
	}
	room->count--;
	series_release(series);
}

static struct series *add(struct engine *engine, const char *host, struct sight *sight, const char *subject,
			  const struct cw_sample *sample)
{
	struct series_room *room = engine->series;
	if (room->count >= ENGINE_SERIES_MAX) {
		if (!room->is_full)
			log_line(NULL, CW_WARNING,
				 "rules look at more than %d series: others are not held against them",
				 ENGINE_SERIES_MAX);
		room->is_full = true;
		return NULL;
	}
	struct series *series = calloc(1, sizeof *series);
	if (!series)
		return NULL;
	series->sight = sight;
	series->metric = sample->metric;
	series->host = strdup(host);
	series->subject = strdup(subject);
	series->labels = copy_labels(sample->metric, sample->labels);
	if (!series->host || !series->subject || !series->labels || find_concerned(engine, series) < 0) {
		series_release(series);
		return NULL;
	}
	struct series **bucket = bucket_of(room, subject);
	series->next_in_bucket = *bucket;
	*bucket = series;
	series->next = room->first;
	room->first = series;
	room->count++;
	return series;
}

/* ---- rates ---- */

static void points_reset(struct points *points, double value)
{
	points->first = points->count = 0;
	points->sum = 0;
	points->last = value;
}

/* Closer than a hundredth of what is asked for they are not kept; the oldest go. */
static void points_keep(struct points *points, int64_t clock)
{
	if (points->count > 0) {
		const struct point *newest = &points->ring[(points->first + points->count - 1) % POINTS_MAX];
		if (clock - newest->at < points->over / (POINTS_MAX - 28))
			return;
	}
	if (points->count == POINTS_MAX) {
		points->first = (points->first + 1) % POINTS_MAX;
		points->count--;
	}
	points->ring[(points->first + points->count++) % POINTS_MAX] = (struct point){clock, points->sum};
}

static void points_add(const struct engine *engine, struct series *series, double value, int64_t clock)
{
	struct points *points = series->points;
	if (points->count == 0 || points->gaps != engine->gaps || points->spells != series->sight->spells)
		points_reset(points, value);
	points->gaps = engine->gaps;
	points->spells = series->sight->spells;
	bool began_anew = series->metric->kind == CW_COUNTER && value < points->last;
	points->sum += began_anew ? value : value - points->last;
	points->last = value;
	points_keep(points, clock);
}

/* A second; NaN: not known yet. */
static double points_rate(const struct points *points, int64_t over, int64_t clock)
{
	const struct point *from = NULL;
	for (uint32_t i = 0; i < points->count; i++) {
		const struct point *point = &points->ring[(points->first + i) % POINTS_MAX];
		if (point->at > clock - over)
			break;
		from = point;
	}
	return from ? (points->sum - from->sum) / ((double)(clock - from->at) / (double)CW_SECOND) : (double)NAN;
}

/* ---- tests ---- */

/* While it fires, the value has to come back to what clears it. */
static bool is_high(const struct rule *rule, double value, bool fires)
{
	if (fires && rule->clear_high < rule->high)
		return value >= rule->clear_high;
	return value > rule->high;
}

static bool is_low(const struct rule *rule, double value, bool fires)
{
	if (fires && rule->clear_low > rule->low)
		return value <= rule->clear_low;
	return value < rule->low;
}

static bool holds_for(const struct rule *rule, double value, bool fires)
{
	switch (rule->test) {
	case RULE_ABOVE:
	case RULE_RATE_ABOVE:
		return is_high(rule, value, fires);
	case RULE_BELOW:
	case RULE_RATE_BELOW:
		return is_low(rule, value, fires);
	case RULE_OUTSIDE:
		return is_high(rule, value, fires) || is_low(rule, value, fires);
	default:
		return false;
	}
}

/* ---- judging ---- */

static void show_value(struct engine *engine, struct alert *alert, double value)
{
	if (alert->value == value)
		return;
	alert->value = value;
	engine->options.changed(engine->options.arg, alert, ENGINE_SHOWS);
}

static void begin(struct engine *engine, const struct rule *rule, struct sight *sight, const char *subject,
		  const struct series *series, double value, struct moment now)
{
	if (engine_guards(engine, rule, sight->instance) != ENGINE_YES)
		return;
	struct alert *alert = engine_open(engine, rule, sight, subject, sight->instance, now);
	if (!alert)
		return;
	alert->value = value;
	words_of_sample(alert, series ? series->metric : NULL, series ? series->labels : NULL);
	if (rule->hold > 0)
		engine->options.changed(engine->options.arg, alert, ENGINE_PENDS);
	life_see(engine, alert, /* holds */ true, NULL, now);
}

static void judge_value(struct engine *engine, struct series *series, const struct rule *rule, double value,
			struct moment now)
{
	struct alert *alert = engine_find(engine, rule->name, series->sight->instance, series->subject);
	if (isnan(value)) {
		if (alert)
			alert->looked = series->seen;
		return;
	}
	bool fires = alert && alert->state == ALERT_FIRING && alert->ceased == 0;
	bool holds = holds_for(rule, value, fires);
	if (!alert) {
		if (holds)
			begin(engine, rule, series->sight, series->subject, series, value, now);
		return;
	}
	show_value(engine, alert, value);
	if (holds && alert->state == ALERT_PENDING)
		words_of_sample(alert, series->metric, series->labels);
	life_see(engine, alert, holds, holds ? NULL : "recovered", now);
}

static void recover(struct engine *engine, const struct rule *rule, const struct sight *sight, const char *subject,
		    struct moment now)
{
	struct alert *alert = engine_find(engine, rule->name, sight->instance, subject);
	if (alert)
		life_see(engine, alert, /* holds */ false, "recovered", now);
}

static void expected_free(struct expected *expected)
{
	free(expected->subject);
	free(expected);
}

/* It has come: what was expected of this rule and instance is not expected any more. */
static void has_come(struct engine *engine, const struct series *series, const struct rule *rule, struct moment now)
{
	recover(engine, rule, series->sight, series->subject, now);
	for (struct expected **link = &engine->series->expected, *expected; (expected = *link);) {
		if (expected->rule != rule || expected->sight != series->sight) {
			link = &expected->next;
			continue;
		}
		*link = expected->next;
		recover(engine, rule, series->sight, expected->subject, now);
		expected_free(expected);
	}
}

static bool is_of_interest(struct engine *engine, const struct cw_metric *metric)
{
	struct series_room *room = engine->series;
	if (room->last_metric != metric) {
		room->last_metric = metric;
		room->last_interest = engine->ruleset && metric->kind != CW_HISTOGRAM &&
				      ruleset_has_metric(engine->ruleset, metric->name);
	}
	return room->last_interest;
}

void engine_sample(struct engine *engine, const char *host, const char *instance, const struct cw_sample *sample,
		   struct moment now)
{
	engine_at(engine, now);
	char subject[ALERT_SUBJECT_SIZE];
	struct sight *sight = is_of_interest(engine, sample->metric) ? sight_of(engine, instance, NULL) : NULL;
	if (!sight || !sight->sees || sample->number == CW_BUCKETS)
		return;
	subject_of(subject, sample->metric, sample->labels);
	struct series *series = find(engine->series, sight, subject);
	if (!series && !(series = add(engine, host, sight, subject, sample)))
		return;
	series->value = sample->number == CW_INTEGER ? (double)sample->integer : sample->real;
	series->seen = sight_clock(sight, now);
	series->spells = sight->spells;
	if (series->points)
		points_add(engine, series, series->value, series->seen);
	for (uint32_t i = 0; i < series->rules_count; i++) {
		const struct rule *rule = series->rules[i];
		if (rule->test == RULE_ABSENT)
			has_come(engine, series, rule, now);
		else if (!is_rate(rule))
			judge_value(engine, series, rule, series->value, now);
		else if (series->points)
			judge_value(engine, series, rule, points_rate(series->points, rule->over, series->seen), now);
	}
}

/* ---- guards ---- */

static bool names_instance(const struct selector *selector)
{
	for (uint32_t i = 0; i < selector->labels_count; i++)
		if (strcmp(selector->labels[i].name, "instance") == 0)
			return true;
	return false;
}

static bool passes(const struct guard *guard, double value)
{
	switch (guard->op) {
	case EXPR_EQ:
		return value == guard->limit;
	case EXPR_NE:
		return value != guard->limit;
	case EXPR_GT:
		return value > guard->limit;
	case EXPR_GE:
		return value >= guard->limit;
	case EXPR_LT:
		return value < guard->limit;
	case EXPR_LE:
		return value <= guard->limit;
	default:
		return false;
	}
}

/* One series of those that it means has to pass. A value from before its source was blind is none. */
static enum engine_word guard_word(const struct series_room *room, const struct guard *guard, const char *instance)
{
	bool any = names_instance(&guard->selector);
	enum engine_word word = ENGINE_UNKNOWN;
	for (uint32_t i = 0; i < room->watches_count; i++) {
		const struct watch *watch = &room->watches[i];
		for (uint32_t k = 0; watch->guard == guard && k < watch->count; k++) {
			const struct series *series = watch->series[k];
			if (!any && strcmp(series->sight->instance, instance) != 0)
				continue;
			if (!series->sight->sees || series->spells != series->sight->spells)
				continue;
			if (passes(guard, series->value))
				return ENGINE_YES;
			word = ENGINE_NO;
		}
	}
	return word;
}

enum engine_word engine_guards(const struct engine *engine, const struct rule *rule, const char *instance)
{
	enum engine_word word = ENGINE_YES;
	for (uint32_t i = 0; i < rule->guards_count; i++) {
		enum engine_word one = guard_word(engine->series, &rule->guards[i], instance);
		if (one == ENGINE_NO)
			return ENGINE_NO;
		if (one == ENGINE_UNKNOWN)
			word = ENGINE_UNKNOWN;
	}
	return word;
}

/* ---- what is absent ---- */

static void expected_subject(char subject[ALERT_SUBJECT_SIZE], const struct selector *selector)
{
	char raw[RAW_MAX];
	size_t length = (size_t)snprintf(raw, RAW_MAX, "%s", selector->metric);
	const char *before = "{";
	for (uint32_t i = 0; i < selector->labels_count && length < RAW_MAX; i++) {
		if (strcmp(selector->labels[i].name, "instance") == 0)
			continue;
		length += (size_t)snprintf(raw + length, RAW_MAX - length, "%s%s=%s", before, selector->labels[i].name,
					   selector->labels[i].value);
		before = ",";
	}
	if (*before == ',' && length < RAW_MAX)
		length += (size_t)snprintf(raw + length, RAW_MAX - length, "}");
	make_subject(subject, raw, length);
}

static bool has_come_already(const struct engine *engine, const struct rule *rule, const struct sight *sight)
{
	for (const struct series *series = engine->series->first; series; series = series->next)
		for (uint32_t i = 0; series->sight == sight && i < series->rules_count; i++)
			if (series->rules[i] == rule)
				return true;
	return false;
}

void engine_expect(struct engine *engine, const struct rule *rule, const char *instance, struct moment now)
{
	engine_at(engine, now);
	char subject[ALERT_SUBJECT_SIZE];
	struct sight *sight = sight_of(engine, instance, NULL);
	if (!sight || rule->sleeps || rule->test != RULE_ABSENT || has_come_already(engine, rule, sight))
		return;
	struct expected *expected = calloc(1, sizeof *expected);
	if (!expected)
		return;
	expected_subject(subject, &rule->selector);
	*expected = (struct expected){engine->series->expected, rule, sight, strdup(subject), sight_clock(sight, now)};
	if (!expected->subject) {
		free(expected);
		return;
	}
	engine->series->expected = expected;
}

/* On its source's clock, how long until it counts as absent; INT64_MAX: it does, or nobody knows. */
static int64_t look_for(struct engine *engine, const struct rule *rule, struct sight *sight, const char *subject,
			const struct series *series, int64_t seen, struct moment now)
{
	if (!sight->sees)
		return INT64_MAX;
	int64_t quiet = sight_clock(sight, now) - seen;
	if (quiet < rule->absent)
		return rule->absent - quiet;
	struct alert *alert = engine_find(engine, rule->name, sight->instance, subject);
	double seconds = floor((double)quiet / 1e9);
	if (!alert)
		begin(engine, rule, sight, subject, series, seconds, now);
	else if (!alert->is_confirmed || !alert->holds)
		life_see(engine, alert, /* holds */ true, NULL, now);
	return INT64_MAX;
}

static int64_t look_for_all(struct engine *engine, struct moment now)
{
	int64_t wait = INT64_MAX, one;
	for (struct series *series = engine->series->first; series; series = series->next)
		for (uint32_t i = 0; i < series->rules_count; i++)
			if (series->rules[i]->test == RULE_ABSENT) {
				one = look_for(engine, series->rules[i], series->sight, series->subject, series,
					       series->seen, now);
				wait = one < wait ? one : wait;
			}
	for (struct expected *expected = engine->series->expected; expected; expected = expected->next) {
		one = look_for(engine, expected->rule, expected->sight, expected->subject, /* series */ NULL,
			       expected->since, now);
		wait = one < wait ? one : wait;
	}
	return wait;
}

/* When a sample of this metric and instance came last, on the source's clock; 0: never. */
static int64_t metric_seen(const struct engine *engine, const struct sight *sight, const char *metric)
{
	int64_t seen = 0;
	for (const struct series *series = engine->series->first; series; series = series->next)
		if (series->sight == sight && series->seen > seen && strcmp(series->metric->name, metric) == 0)
			seen = series->seen;
	return seen;
}

/* An alert whose series does not come: absent is what it was told for, or the series is gone. */
static void look_after(struct engine *engine, struct alert *alert, struct moment now)
{
	const struct rule *rule = alert->rule;
	int64_t quiet = sight_clock(alert->sight, now) - alert->looked;
	if (rule->test == RULE_ABSENT) {
		if (!alert->is_confirmed && quiet >= rule->absent)
			life_see(engine, alert, /* holds */ true, NULL, now);
	} else if (quiet > gone_ns &&
		   metric_seen(engine, alert->sight, rule->selector.metric) - alert->looked > gone_ns) {
		life_see(engine, alert, /* holds */ false, "gone", now);
	}
}

static void forget_old(struct engine *engine, struct moment now)
{
	for (struct series **link = &engine->series->first, *series; (series = *link);) {
		bool is_kept = sight_clock(series->sight, now) - series->seen < forget_ns;
		for (uint32_t i = 0; i < series->rules_count; i++)
			is_kept |= series->rules[i]->test == RULE_ABSENT;
		if (is_kept) {
			link = &series->next;
			continue;
		}
		*link = series->next;
		forget(engine->series, series);
	}
}

int64_t series_tick(struct engine *engine, struct moment now)
{
	int64_t wait = look_for_all(engine, now);
	for (struct alert *alert = engine->store.first, *next; alert; alert = next) {
		next = alert->next;
		if (alert->is_open && alert->sight->sees && alert->rule && alert->rule->kind == RULE_SAMPLES)
			look_after(engine, alert, now);
	}
	forget_old(engine, now);
	return wait < INT64_MAX ? now.watched + wait : INT64_MAX;
}

/* ---- the whole ---- */

static void watches_free(struct series_room *room)
{
	for (uint32_t i = 0; i < room->watches_count; i++)
		free(room->watches[i].series);
	free(room->watches);
	room->watches = NULL;
	room->watches_count = 0;
}

static void expected_free_all(struct series_room *room)
{
	while (room->expected) {
		struct expected *next = room->expected->next;
		expected_free(room->expected);
		room->expected = next;
	}
}

/* One for each guard of each rule. 0 or -ENOMEM. */
static int make_watches(struct engine *engine)
{
	struct series_room *room = engine->series;
	uint32_t count = 0, rules = engine->ruleset ? ruleset_count(engine->ruleset) : 0;
	for (uint32_t i = 0; i < rules; i++)
		count += ruleset_at(engine->ruleset, i)->guards_count;
	room->watches = calloc(count + 1, sizeof *room->watches);
	if (!room->watches)
		return -ENOMEM;
	for (uint32_t i = 0; i < rules; i++) {
		const struct rule *rule = ruleset_at(engine->ruleset, i);
		for (uint32_t k = 0; k < rule->guards_count; k++)
			room->watches[room->watches_count++].guard = &rule->guards[k];
	}
	return 0;
}

int series_use(struct engine *engine)
{
	struct series_room *room = engine->series;
	watches_free(room);
	expected_free_all(room);
	room->last_metric = NULL;
	room->is_full = false;
	int status = make_watches(engine);
	for (struct series **link = &room->first, *series; (series = *link);) {
		series->rules_count = 0; /* the old ones are not there any more */
		series->is_guard = false;
		if (status == 0 && find_concerned(engine, series) == 0 &&
		    (series->rules_count > 0 || series->is_guard)) {
			link = &series->next;
			continue;
		}
		*link = series->next;
		forget(room, series);
	}
	return status;
}

void series_instance_gone(struct engine *engine, const char *instance)
{
	struct series_room *room = engine->series;
	for (struct series **link = &room->first, *series; (series = *link);) {
		if (strcmp(series->sight->instance, instance) != 0) {
			link = &series->next;
			continue;
		}
		*link = series->next;
		forget(room, series);
	}
	for (struct expected **link = &room->expected, *expected; (expected = *link);) {
		if (strcmp(expected->sight->instance, instance) != 0) {
			link = &expected->next;
			continue;
		}
		*link = expected->next;
		expected_free(expected);
	}
}

struct series_room *series_new(void)
{
	struct series_room *room = calloc(1, sizeof *room);
	if (room)
		crypto_shorthash_keygen(room->hash_key);
	return room;
}

void series_free(struct series_room *room)
{
	if (!room)
		return;
	watches_free(room);
	expected_free_all(room);
	while (room->first) {
		struct series *next = room->first->next;
		series_release(room->first);
		room->first = next;
	}
	free(room);
}
