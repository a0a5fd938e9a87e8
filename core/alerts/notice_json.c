/* SPDX-License-Identifier: MIT
 *
 * A notice as JSON and back; see notice.h. Reading borrows the texts of the parsed tree and then makes a notice of them
 * as of any other, so that what is too long or not fit to be shown is mended by the same code. What is missing is as if
 * nothing had been said, so that a journal of an older agent can be read; but for what tells a notice from others.
 *
 * Labels and facts are lists of pairs, because their order means something.
 */
#include "notice.h"

#include "text.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

/* Of what was just made, which is NULL without memory; then jansson gives it back and says so. */
static bool set(json_t *object, const char *name, json_t *made)
{
	return json_object_set_new_nocheck(object, name, made) == 0;
}

/* What is not there is not written. */
static bool set_text(json_t *object, const char *name, const char *text)
{
	return !text || set(object, name, json_string_nocheck(text));
}

static bool set_number(json_t *object, const char *name, int64_t number)
{
	return set(object, name, json_integer(number));
}

static bool append_pair(json_t *list, const char *a, const char *b)
{
	json_t *pair = json_array();
	if (pair && json_array_append_new(pair, json_string_nocheck(a)) == 0 &&
	    json_array_append_new(pair, json_string_nocheck(b)) == 0)
		return json_array_append_new(list, pair) == 0;
	json_decref(pair);
	return false;
}

static bool set_tags(json_t *object, const char *name, const struct cw_array *tags)
{
	json_t *list = json_array();
	bool ok = set(object, name, list);
	for (uint32_t i = 0; ok && i < tags->count; i++) {
		const struct cw_tag *tag = cw_at(tags, i);
		ok = append_pair(list, tag->name, tag->value);
	}
	return ok;
}

static bool set_facts(json_t *object, const char *name, const struct cw_array *facts)
{
	json_t *list = json_array();
	bool ok = set(object, name, list);
	for (uint32_t i = 0; ok && i < facts->count; i++) {
		const struct cw_fact *fact = cw_at(facts, i);
		ok = append_pair(list, fact->name, fact->text);
	}
	return ok;
}

static bool append_alert(json_t *list, const struct cw_alert *alert)
{
	json_t *object = json_object();
	return json_array_append_new(list, object) == 0 && set_text(object, "fingerprint", alert->fingerprint) &&
	       set_text(object, "instance", alert->instance) && set_text(object, "subject", alert->subject) &&
	       set(object, "firing", json_boolean(alert->is_firing)) && set_text(object, "summary", alert->summary) &&
	       set_text(object, "reason", alert->reason) && set_number(object, "starts_at", alert->starts_at) &&
	       set_number(object, "ends_at", alert->ends_at) &&
	       (isnan(alert->value) || set(object, "value", json_real(alert->value))) &&
	       set_text(object, "url", alert->url) && set_tags(object, "labels", &alert->labels) &&
	       set_facts(object, "facts", &alert->facts) && set_text(object, "acked_by", alert->acked_by);
}

static bool set_alerts(json_t *object, const struct cw_array *alerts)
{
	json_t *list = json_array();
	bool ok = set(object, "alerts", list);
	for (uint32_t i = 0; ok && i < alerts->count; i++)
		ok = append_alert(list, cw_at(alerts, i));
	return ok;
}

static bool write_notice(json_t *object, const struct cw_notice *said)
{
	return set_text(object, "id", said->id) && set_text(object, "group", said->group) &&
	       set_text(object, "incident", said->incident) && set_number(object, "sequence", said->sequence) &&
	       set_number(object, "kind", said->kind) && set_number(object, "severity", said->severity) &&
	       set_text(object, "rule", said->rule) && set_text(object, "title", said->title) &&
	       set_text(object, "description", said->description) && set_text(object, "common", said->common) &&
	       set_facts(object, "breakdown", &said->breakdown) && set_tags(object, "labels", &said->labels) &&
	       set_tags(object, "group_labels", &said->group_labels) && set_number(object, "firing", said->firing) &&
	       set_number(object, "resolved", said->resolved) && set_alerts(object, &said->alerts) &&
	       set_number(object, "left_out", said->left_out) && set_number(object, "since", said->since) &&
	       set_number(object, "at", said->at) && set_text(object, "url", said->url) &&
	       set_text(object, "command", said->command) && set_text(object, "host", said->host);
}

char *notice_to_json(const struct notice *notice)
{
	json_t *object = json_object();
	char *json = object && write_notice(object, &notice->said) ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return json;
}

/* ---- reading ---- */

/* Where the lists of a notice stand until it is made. */
struct reading {
	struct cw_notice said;
	struct cw_tag labels[NOTICE_LABELS_MAX], group_labels[NOTICE_LABELS_MAX];
	struct cw_fact breakdown[NOTICE_BREAKDOWN_MAX];
	struct cw_alert alerts[CW_NOTICE_ALERTS_MAX];
	struct {
		struct cw_tag labels[NOTICE_LABELS_MAX];
		struct cw_fact facts[NOTICE_FACTS_MAX];
	} of[CW_NOTICE_ALERTS_MAX];
};

static bool get_text(const json_t *object, const char *name, const char **ret_text)
{
	const json_t *text = json_object_get(object, name);
	*ret_text = json_string_value(text);
	return !text || json_is_string(text);
}

static bool get_some(const json_t *object, const char *name, const char **ret_text)
{
	return get_text(object, name, ret_text) && *ret_text && **ret_text;
}

static bool get_number(const json_t *object, const char *name, int64_t least, int64_t most, int64_t *ret_number)
{
	const json_t *number = json_object_get(object, name);
	*ret_number = number ? json_integer_value(number) : 0;
	return (!number || json_is_integer(number)) && *ret_number >= least && *ret_number <= most;
}

static bool get_count(const json_t *object, const char *name, uint32_t *ret_count)
{
	int64_t number;
	bool ok = get_number(object, name, 0, UINT32_MAX, &number);
	*ret_count = ok ? (uint32_t)number : 0;
	return ok;
}

/* The two texts of pair i; false: it is none. */
static bool get_pair(const json_t *list, size_t i, const char **ret_a, const char **ret_b)
{
	const json_t *pair = json_array_get(list, i);
	*ret_a = json_string_value(json_array_get(pair, 0));
	*ret_b = json_string_value(json_array_get(pair, 1));
	return json_array_size(pair) == 2 && *ret_a && *ret_b;
}

/* A list of at most so many; nothing is an empty one. */
static bool get_list(const json_t *object, const char *name, size_t most, const json_t **ret_list, size_t *ret_count)
{
	*ret_list = json_object_get(object, name);
	*ret_count = json_array_size(*ret_list);
	return (!*ret_list || json_is_array(*ret_list)) && *ret_count <= most;
}

static bool get_tags(const json_t *object, const char *name, struct cw_tag *tags, struct cw_array *ret_tags)
{
	const json_t *list;
	size_t count;
	bool ok = get_list(object, name, NOTICE_LABELS_MAX, &list, &count);
	for (size_t i = 0; ok && i < count; i++)
		ok = get_pair(list, i, &tags[i].name, &tags[i].value);
	*ret_tags = (struct cw_array){tags, (uint32_t)count, sizeof *tags};
	return ok;
}

static bool get_facts(const json_t *object, const char *name, size_t most, struct cw_fact *facts,
		      struct cw_array *ret_facts)
{
	const json_t *list;
	size_t count;
	bool ok = get_list(object, name, most, &list, &count);
	for (size_t i = 0; ok && i < count; i++)
		ok = get_pair(list, i, &facts[i].name, &facts[i].text);
	*ret_facts = (struct cw_array){facts, (uint32_t)count, sizeof *facts};
	return ok;
}

static bool read_alert(struct reading *reading, const json_t *object, size_t i)
{
	struct cw_alert *alert = &reading->alerts[i];
	const json_t *value = json_object_get(object, "value");
	alert->value = json_is_number(value) ? json_number_value(value) : (double)NAN;
	alert->is_firing = json_is_true(json_object_get(object, "firing"));
	return json_is_object(object) && get_some(object, "fingerprint", &alert->fingerprint) &&
	       get_text(object, "instance", &alert->instance) && get_text(object, "subject", &alert->subject) &&
	       get_text(object, "summary", &alert->summary) && get_text(object, "reason", &alert->reason) &&
	       get_number(object, "starts_at", INT64_MIN, INT64_MAX, &alert->starts_at) &&
	       get_number(object, "ends_at", INT64_MIN, INT64_MAX, &alert->ends_at) &&
	       get_text(object, "url", &alert->url) &&
	       get_tags(object, "labels", reading->of[i].labels, &alert->labels) &&
	       get_facts(object, "facts", NOTICE_FACTS_MAX, reading->of[i].facts, &alert->facts) &&
	       get_text(object, "acked_by", &alert->acked_by);
}

static bool read_alerts(struct reading *reading, const json_t *object)
{
	const json_t *list;
	size_t count;
	bool ok = get_list(object, "alerts", CW_NOTICE_ALERTS_MAX, &list, &count);
	for (size_t i = 0; ok && i < count; i++)
		ok = read_alert(reading, json_array_get(list, i), i);
	reading->said.alerts = (struct cw_array){reading->alerts, (uint32_t)count, sizeof *reading->alerts};
	return ok;
}

/* Which notice it is: must be there. */
static bool read_identity(struct cw_notice *said, const json_t *object)
{
	int64_t kind = 0, severity = 0;
	bool ok = get_some(object, "id", &said->id) && get_some(object, "group", &said->group) &&
		  get_some(object, "incident", &said->incident) && get_some(object, "rule", &said->rule) &&
		  get_count(object, "sequence", &said->sequence) &&
		  get_number(object, "kind", 0, CW_NOTICE_TEST, &kind) &&
		  get_number(object, "severity", 0, CW_SEVERITY_CRITICAL, &severity);
	said->kind = (enum cw_notice_kind)kind;
	said->severity = (enum cw_severity)severity;
	return ok;
}

static bool read_notice(struct reading *reading, const json_t *object)
{
	struct cw_notice *said = &reading->said;
	return read_identity(said, object) && get_text(object, "title", &said->title) &&
	       get_text(object, "description", &said->description) && get_text(object, "common", &said->common) &&
	       get_facts(object, "breakdown", NOTICE_BREAKDOWN_MAX, reading->breakdown, &said->breakdown) &&
	       get_tags(object, "labels", reading->labels, &said->labels) &&
	       get_tags(object, "group_labels", reading->group_labels, &said->group_labels) &&
	       get_count(object, "firing", &said->firing) && get_count(object, "resolved", &said->resolved) &&
	       get_count(object, "left_out", &said->left_out) && read_alerts(reading, object) &&
	       get_number(object, "since", INT64_MIN, INT64_MAX, &said->since) &&
	       get_number(object, "at", INT64_MIN, INT64_MAX, &said->at) && get_text(object, "url", &said->url) &&
	       get_text(object, "command", &said->command) && get_text(object, "host", &said->host);
}

struct notice *notice_from_json(const char *json, size_t length)
{
	json_t *object = length <= NOTICE_JSON_MAX ? json_loadb(json, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct reading *reading = calloc(1, sizeof *reading);
	struct notice *notice = NULL;
	if (object && reading && read_notice(reading, object))
		notice = notice_new(&reading->said);
	free(reading);
	json_decref(object);
	return notice;
}
