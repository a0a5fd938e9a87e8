/* SPDX-License-Identifier: MIT
 *
 * See body.h. The members are those of Alertmanager's template.Data and of no others, because a strict receiver may
 * refuse what it does not know; what we have beyond stands in the annotations, which are free.
 */
#include "body.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECTS_MAX = 10 };

static const char never[] = "0001-01-01T00:00:00Z"; /* what Alertmanager says of an alert that has not ended */

/* ---- pieces of JSON ---- */

static void string(struct buffer *out, const char *text)
{
	buffer_json(out, text ? text : "", text ? strlen(text) : 0);
}

static void member(struct buffer *out, const char *name, const char *text)
{
	buffer_print(out, "\"%s\":", name);
	string(out, text);
	buffer_string(out, ",");
}

/* Of a map: all but the first are parted by commas. */
static void pair(struct buffer *out, const char *name, const char *text)
{
	if (!text || !*text || out->failed)
		return;
	if (buffer_text(out)[out->length - 1] != '{')
		buffer_string(out, ",");
	string(out, name);
	buffer_string(out, ":");
	string(out, text);
}

static void tags(struct buffer *out, const struct cw_array *array)
{
	buffer_string(out, "{");
	for (uint32_t i = 0; i < array->count && !out->failed; i++) {
		const struct cw_tag *tag = cw_at(array, i);
		pair(out, tag->name, tag->value);
	}
	buffer_string(out, "}");
}

/* ---- what all alerts share ---- */

static const char *find_tag(const struct cw_array *array, const char *name)
{
	for (uint32_t i = 0; i < array->count; i++) {
		const struct cw_tag *tag = cw_at(array, i);
		if (strcmp(tag->name, name) == 0)
			return tag->value;
	}
	return NULL;
}

static bool all_have(const struct cw_notice *notice, const struct cw_tag *tag)
{
	for (uint32_t i = 0; i < notice->alerts.count; i++) {
		const struct cw_alert *alert = cw_at(&notice->alerts, i);
		const char *value = find_tag(&alert->labels, tag->name);
		if (!value || strcmp(value, tag->value) != 0)
			return false;
	}
	return true;
}

static void common_labels(struct buffer *out, const struct cw_notice *notice)
{
	const struct cw_alert *first = notice->alerts.count ? cw_at(&notice->alerts, 0) : NULL;
	const struct cw_array *labels = first ? &first->labels : &notice->labels;
	buffer_string(out, "{");
	for (uint32_t i = 0; i < labels->count && !out->failed; i++) {
		const struct cw_tag *tag = cw_at(labels, i);
		if (all_have(notice, tag))
			pair(out, tag->name, tag->value);
	}
	buffer_string(out, "}");
}

static void common_annotations(struct buffer *out, const struct cw_notice *notice)
{
	buffer_string(out, "{");
	pair(out, "title", notice->title);
	pair(out, "description", notice->description);
	pair(out, "common", notice->common);
	buffer_string(out, "}");
}

/* The page itself: its link without the question. */
static void external_url(struct buffer *out, const struct cw_notice *notice)
{
	char base[1024];
	size_t length = notice->url ? strcspn(notice->url, "?") : 0;
	while (length && notice->url[length - 1] == '/')
		length--;
	snprintf(base, sizeof(base), "%.*s", length < sizeof(base) ? (int)length : 0, notice->url ? notice->url : "");
	member(out, "externalURL", base);
}

/* ---- alerts ---- */

static void times(struct buffer *out, int64_t starts_at, int64_t ends_at)
{
	char text[TEXT_TIME_SIZE];
	text_time(text, starts_at);
	member(out, "startsAt", text);
	if (ends_at)
		text_time(text, ends_at);
	member(out, "endsAt", ends_at ? text : never);
}

static void one_alert(struct buffer *out, const struct cw_notice *notice, const struct cw_alert *alert)
{
	buffer_string(out, "{");
	member(out, "status", alert->is_firing ? "firing" : "resolved");
	buffer_string(out, "\"labels\":");
	tags(out, &alert->labels);
	buffer_string(out, ",\"annotations\":{");
	pair(out, "summary", alert->summary);
	pair(out, "description", notice->description);
	pair(out, "reason", alert->reason);
	pair(out, "acknowledged_by", alert->acked_by);
	buffer_string(out, "},");
	times(out, alert->starts_at, alert->is_firing ? 0 : alert->ends_at);
	member(out, "generatorURL", alert->url);
	buffer_string(out, "\"fingerprint\":");
	string(out, alert->fingerprint);
	buffer_string(out, "}");
}

/* A test may have none; receivers look at the first. */
static void alerts(struct buffer *out, const struct cw_notice *notice)
{
	const struct cw_alert itself = {.fingerprint = "0000000000000000",
					.is_firing = notice->kind != CW_NOTICE_RESOLVED,
					.summary = notice->title,
					.starts_at = notice->since,
					.ends_at = notice->at,
					.url = notice->url,
					.labels = notice->labels};
	if (notice->alerts.count == 0)
		one_alert(out, notice, &itself);
	for (uint32_t i = 0; i < notice->alerts.count && !out->failed; i++) {
		if (i)
			buffer_string(out, ",");
		one_alert(out, notice, cw_at(&notice->alerts, i));
	}
}

static const char *status_of(const struct cw_notice *notice)
{
	return notice->kind == CW_NOTICE_RESOLVED ? "resolved" : "firing";
}

void body_alertmanager(struct buffer *out, const struct cw_notice *notice, const char *receiver)
{
	buffer_string(out, "{\"version\":\"4\",");
	member(out, "groupKey", notice->group);
	buffer_print(out, "\"truncatedAlerts\":%u,", notice->left_out);
	member(out, "status", status_of(notice));
	member(out, "receiver", receiver);
	buffer_string(out, "\"groupLabels\":");
	tags(out, &notice->group_labels);
	buffer_string(out, ",\"commonLabels\":");
	common_labels(out, notice);
	buffer_string(out, ",\"commonAnnotations\":");
	common_annotations(out, notice);
	buffer_string(out, ",");
	external_url(out, notice);
	buffer_string(out, "\"alerts\":[");
	alerts(out, notice);
	buffer_string(out, "]}");
}

/* ---- a template ---- */

enum value {
	VALUE_ID,
	VALUE_GROUP,
	VALUE_INCIDENT,
	VALUE_SEQUENCE,
	VALUE_KIND,
	VALUE_STATUS,
	VALUE_SEVERITY,
	VALUE_ALERT,
	VALUE_TITLE,
	VALUE_DESCRIPTION,
	VALUE_COMMON,
	VALUE_SUBJECTS,
	VALUE_FIRING,
	VALUE_RESOLVED,
	VALUE_SINCE,
	VALUE_AT,
	VALUE_URL,
	VALUE_COMMAND,
	VALUE_HOST,
	VALUE_RECEIVER,
	VALUES
};

static const char *const names[VALUES] = {
	[VALUE_ID] = "id",
	[VALUE_GROUP] = "group",
	[VALUE_INCIDENT] = "incident",
	[VALUE_SEQUENCE] = "sequence",
	[VALUE_KIND] = "kind",
	[VALUE_STATUS] = "status",
	[VALUE_SEVERITY] = "severity",
	[VALUE_ALERT] = "alert",
	[VALUE_TITLE] = "title",
	[VALUE_DESCRIPTION] = "description",
	[VALUE_COMMON] = "common",
	[VALUE_SUBJECTS] = "subjects",
	[VALUE_FIRING] = "firing",
	[VALUE_RESOLVED] = "resolved",
	[VALUE_SINCE] = "since",
	[VALUE_AT] = "at",
	[VALUE_URL] = "url",
	[VALUE_COMMAND] = "command",
	[VALUE_HOST] = "host",
	[VALUE_RECEIVER] = "receiver",
};

struct looking {
	const struct cw_notice *notice;
	const char *receiver;
	char subjects[TEMPLATE_TEXT_MAX];
};

static int find_name(const char *name)
{
	for (int i = 0; i < VALUES; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

bool body_is_name(const char *name)
{
	return find_name(name) >= 0;
}

const char *body_names(char *buffer, size_t size)
{
	size_t used = 0;
	for (int i = 0; i < VALUES && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s", i ? ", " : "", names[i]);
	return buffer;
}

/* The ten most important, a line each; what is left out is counted. */
static const char *subjects(struct looking *looking)
{
	const struct cw_notice *notice = looking->notice;
	uint32_t n = notice->alerts.count < SUBJECTS_MAX ? notice->alerts.count : SUBJECTS_MAX;
	uint64_t more = (uint64_t)notice->alerts.count - n + notice->left_out;
	size_t used = 0, size = sizeof(looking->subjects);
	looking->subjects[0] = '\0';
	for (uint32_t i = 0; i < n && used < size; i++) {
		const struct cw_alert *alert = cw_at(&notice->alerts, i);
		used += (size_t)snprintf(looking->subjects + used, size - used, "%s%s%s%s%s", i ? "\n" : "",
					 text_start(alert->summary ? alert->summary : alert->subject, 300).text,
					 alert->reason ? " (" : "",
					 text_start(alert->reason ? alert->reason : "", 60).text,
					 alert->reason ? ")" : "");
	}
	if (more && used < size)
		snprintf(looking->subjects + used, size - used, "\nand %llu more", (unsigned long long)more);
	return looking->subjects;
}

static void number(struct template_value *value, double number)
{
	*value = (struct template_value){.number = number};
}

static void moment(struct template_value *value, int64_t wall)
{
	*value = (struct template_value){.number = (double)wall / (double)CW_SECOND, .is_time = true};
}

static bool look(void *arg, const char *name, struct template_value *ret_value)
{
	static const char *const kinds[] = {"firing", "resolved", "repeat", "test"};
	static const char *const severities[] = {"info", "warning", "critical"};
	struct looking *looking = arg;
	const struct cw_notice *notice = looking->notice;
	const char *text = NULL;
	int index = find_name(name);
	switch (index) {
	case VALUE_ID:
		text = notice->id;
		break;
	case VALUE_GROUP:
		text = notice->group;
		break;
	case VALUE_INCIDENT:
		text = notice->incident;
		break;
	case VALUE_KIND:
		text = kinds[notice->kind];
		break;
	case VALUE_STATUS:
		text = status_of(notice);
		break;
	case VALUE_SEVERITY:
		text = severities[notice->severity];
		break;
	case VALUE_ALERT:
		text = notice->rule;
		break;
	case VALUE_TITLE:
		text = notice->title;
		break;
	case VALUE_DESCRIPTION:
		text = notice->description;
		break;
	case VALUE_COMMON:
		text = notice->common;
		break;
	case VALUE_SUBJECTS:
		text = subjects(looking);
		break;
	case VALUE_URL:
		text = notice->url ? notice->url : "";
		break;
	case VALUE_COMMAND:
		text = notice->command;
		break;
	case VALUE_HOST:
		text = notice->host;
		break;
	case VALUE_RECEIVER:
		text = looking->receiver;
		break;
	case VALUE_SEQUENCE:
		return number(ret_value, notice->sequence), true;
	case VALUE_FIRING:
		return number(ret_value, notice->firing), true;
	case VALUE_RESOLVED:
		return number(ret_value, notice->resolved), true;
	case VALUE_SINCE:
		return moment(ret_value, notice->since), true;
	case VALUE_AT:
		return moment(ret_value, notice->at), true;
	default:
		break;
	}
	*ret_value = (struct template_value){.text = text};
	return text != NULL;
}

void body_template(struct buffer *out, const struct template *template, const struct cw_notice *notice,
		   const char *receiver)
{
	struct looking *looking = malloc(sizeof(*looking));
	char *to = buffer_reserve(out, BODY_TEMPLATE_MAX);
	if (looking && to) {
		looking->notice = notice;
		looking->receiver = receiver;
		size_t length = template_render_json(template, look, looking, to, BODY_TEMPLATE_MAX);
		out->length += length;
		out->failed |= length == 0;
	}
	out->failed |= !looking;
	free(looking);
}
