/* SPDX-License-Identifier: MIT
 *
 * See alert_body.h.
 */
#include "alert_body.h"

#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double longest_silence_s = 10 * 366 * 24 * 3600.0;

/* What is kept, shown and told to people is not a novel. */
static int read_short(const json_t *value, const char *name, const char **ret_text, char error[BODY_ERROR_MAX])
{
	int rc = body_text(value, name, ret_text, error);
	if (rc == 0 && strlen(*ret_text) > ALERT_TEXT_MAX)
		rc = body_wrong(error, "`%s` has more than %d bytes", name, ALERT_TEXT_MAX);
	return rc;
}

/* ---- a silence ---- */

static int read_matchers(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	int rc = body_texts(value, "matchers", &body->matchers, &body->spec.matchers_count, error);
	if (rc == 0 && body->spec.matchers_count > MATCHERS_MAX)
		rc = body_wrong(error, "`matchers` has more than %d expressions", MATCHERS_MAX);
	body->spec.matchers = body->matchers;
	return rc;
}

static int read_all(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return body_flag(value, "all", &body->spec.all, error);
}

static int read_dry_run(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return body_flag(value, "dry_run", &body->spec.dry_run, error);
}

/* A time without a zone would be taken for UTC, and be hours off without a word. */
static int read_time(const json_t *value, const char *name, int64_t *ret_wall, char error[BODY_ERROR_MAX])
{
	const char *text = json_string_value(value);
	int64_t wall;
	bool assumed;
	if (!text || text_parse_time(text, strlen(text), &wall, &assumed) < 0 || assumed || wall <= 0)
		return body_wrong(error, "`%s` is a time with its zone: \"2026-12-31T02:00:00Z\"", name);
	*ret_wall = wall;
	return 0;
}

static int read_starts_at(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return read_time(value, "starts_at", &body->spec.starts_at, error);
}

static int read_ends_at(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return read_time(value, "ends_at", &body->spec.ends_at, error);
}

static int read_duration(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	double seconds = json_is_number(value) ? json_number_value(value) : 0;
	if (!(seconds > 0 && seconds <= longest_silence_s))
		return body_wrong(error,
				  "`duration_seconds` is a number of seconds, more than 0 and at most ten years");
	body->duration = (int64_t)(seconds * (double)CW_SECOND);
	return 0;
}

static int read_every(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return read_short(value, "every", &body->spec.every, error);
}

static int read_timezone(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return read_short(value, "timezone", &body->spec.timezone, error);
}

static int read_comment(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX])
{
	return read_short(value, "comment", &body->spec.comment, error);
}

static const struct {
	const char *name;
	int (*read)(struct silence_body *body, const json_t *value, char error[BODY_ERROR_MAX]);
} silence_members[] = {
	{"matchers", read_matchers},         {"all", read_all},
	{"starts_at", read_starts_at},       {"ends_at", read_ends_at},
	{"duration_seconds", read_duration}, {"every", read_every},
	{"timezone", read_timezone},         {"comment", read_comment},
	{"dry_run", read_dry_run},
};

static int read_silence_member(struct silence_body *body, const char *name, const json_t *value,
			       char error[BODY_ERROR_MAX])
{
	for (size_t i = 0; i < sizeof silence_members / sizeof *silence_members; i++)
		if (strcmp(silence_members[i].name, name) == 0)
			return silence_members[i].read(body, value, error);
	return body_wrong(error,
			  "there is no member `%.64s`; known: matchers, all, starts_at, ends_at, duration_seconds, "
			  "every, timezone, comment, dry_run",
			  name);
}

/* From when to when; a silence without an end would be forgotten by everybody. */
static int settle_times(struct silence_body *body, int64_t wall, char error[BODY_ERROR_MAX])
{
	struct cw_silence_spec *spec = &body->spec;
	int64_t from = spec->starts_at > wall ? spec->starts_at : wall;
	if (!body->duration == !spec->ends_at)
		return body_wrong(error, "say how long: either `duration_seconds` or `ends_at`");
	if (body->duration)
		spec->ends_at = from > INT64_MAX - body->duration ? INT64_MAX : from + body->duration;
	if (spec->ends_at <= from)
		return body_wrong(error, "it would be over before it begins: `ends_at` is not after %s",
				  spec->starts_at > wall ? "`starts_at`" : "now");
	return 0;
}

static int check_silence(struct silence_body *body, int64_t wall, char error[BODY_ERROR_MAX])
{
	const struct cw_silence_spec *spec = &body->spec;
	if (spec->matchers_count == 0 && !spec->all)
		return body_wrong(error, "say what it mutes: `matchers`, or `\"all\":true` for everything");
	if (spec->matchers_count && spec->all)
		return body_wrong(error, "`all` goes without `matchers`");
	if (spec->timezone && !spec->every)
		return body_wrong(error, "`timezone` is that of `every`: it goes with it");
	if (!spec->comment && !spec->dry_run)
		return body_wrong(error, "say why: `comment`");
	return settle_times(body, wall, error);
}

int silence_body_read(struct silence_body *body, const char *bytes, size_t length, int64_t wall,
		      char error[BODY_ERROR_MAX])
{
	const char *name;
	json_t *value;
	*body = (struct silence_body){0};
	int rc = body_load(bytes, length, &body->json, error);
	json_object_foreach(body->json, name, value)
	{
		if (rc == 0)
			rc = read_silence_member(body, name, value, error);
	}
	return rc < 0 ? rc : check_silence(body, wall, error);
}

void silence_body_release(struct silence_body *body)
{
	free(body->matchers);
	json_decref(body->json);
	*body = (struct silence_body){0};
}

/* ---- an acknowledgement ---- */

static int read_ack_member(struct ack_body *body, const char *name, const json_t *value, char error[BODY_ERROR_MAX])
{
	struct cw_ack_spec *spec = &body->spec;
	const struct {
		const char *name, **text;
	} members[] = {
		{"alert", &spec->alert},
		{"subject", &spec->subject},
		{"instance", &spec->instance},
		{"note", &spec->note},
	};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (strcmp(members[i].name, name) == 0)
			return read_short(value, name, members[i].text, error);
	return body_wrong(error, "there is no member `%.64s`; known: alert, subject, instance, note", name);
}

int ack_body_read(struct ack_body *body, const char *bytes, size_t length, char error[BODY_ERROR_MAX])
{
	const char *name;
	json_t *value;
	*body = (struct ack_body){0};
	int rc = body_load(bytes, length, &body->json, error);
	json_object_foreach(body->json, name, value)
	{
		if (rc == 0)
			rc = read_ack_member(body, name, value, error);
	}
	if (rc == 0 && !body->spec.alert)
		rc = body_wrong(error, "say which: `alert` is the name of a rule");
	if (rc == 0 && !body->spec.note)
		rc = body_wrong(error, "say what you know, or do about it: `note`");
	return rc;
}

void ack_body_release(struct ack_body *body)
{
	json_decref(body->json);
	*body = (struct ack_body){0};
}
