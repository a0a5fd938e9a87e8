/* SPDX-License-Identifier: MIT
 *
 * See answer.h.
 */
#include "answer.h"

#include "client.h"
#include "clock.h"
#include "text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const column_type_names[] = {"text", "int", "real",  "bool",  "choice",
					 "time", "age", "until", "since", NULL};

int64_t wall_now(void)
{
	return clock_wall();
}

const char *field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

double field_real(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_number(value) ? json_number_value(value) : NAN;
}

static enum cw_column_type type_of(const char *name)
{
	for (int i = 0; column_type_names[i]; i++)
		if (strcmp(column_type_names[i], name) == 0)
			return (enum cw_column_type)i;
	return CW_TEXT;
}

static struct column_info column_of(const json_t *json)
{
	const json_t *choices = json_object_get(json, "choices");
	return (struct column_info){
		.name = field_text(json, "name"),
		.unit = field_text(json, "unit"),
		.help = field_text(json, "help"),
		.type = type_of(field_text(json, "type")),
		.watched = json_is_true(json_object_get(json, "watched")),
		.phone = json_is_true(json_object_get(json, "phone")),
		.key = json_is_true(json_object_get(json, "key")),
		.wide = json_is_true(json_object_get(json, "wide")),
		.choices = json_is_array(choices) ? choices : NULL,
	};
}

void table_info_init(struct table_info *info, const json_t *json)
{
	const json_t *columns = json_object_get(json, "columns");
	*info = (struct table_info){.json = json,
				    .name = field_text(json, "name"),
				    .help = field_text(json, "help"),
				    .sort = field_text(json, "sort"),
				    .columns_count = (uint32_t)json_array_size(columns)};
	info->columns = must(calloc(info->columns_count + 1, sizeof(*info->columns)));
	for (uint32_t i = 0; i < info->columns_count; i++)
		info->columns[i] = column_of(json_array_get(columns, i));
}

void table_info_release(struct table_info *info)
{
	free(info->columns);
	*info = (struct table_info){0};
}

const struct column_info *table_column(const struct table_info *info, const char *name)
{
	for (uint32_t i = 0; i < info->columns_count; i++)
		if (strcmp(info->columns[i].name, name) == 0)
			return &info->columns[i];
	return NULL;
}

const struct column_info *table_key(const struct table_info *info)
{
	for (uint32_t i = 0; i < info->columns_count; i++)
		if (info->columns[i].key && strcmp(info->columns[i].name, "instance") != 0)
			return &info->columns[i];
	return table_column(info, "instance"); /* of table instances */
}

const json_t *table_entry(const json_t *tables, const char *name)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(json_object_get(tables, "tables"), i, entry)
	{
		if (strcmp(field_text(entry, "name"), name) == 0)
			return entry;
	}
	return NULL;
}

bool is_agents_own(const char *table)
{
	static const char *const own[] = {"instances", "events",        "tasks",    "outcomes",
					  "alerts",    "notifications", "silences", "rules"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strcmp(table, own[i]) == 0)
			return true;
	return false;
}

bool feeds(const json_t *instance, const json_t *table)
{
	const json_t *names = json_object_get(table, "instances"), *name;
	size_t i;
	json_array_foreach(names, i, name)
	{
		if (json_equal(name, json_object_get(instance, "instance")))
			return true;
	}
	return !names; /* an older agent does not say: any may */
}

bool confirmed_since(const struct freshness *fresh, const json_t *source)
{
	const char *text = field_text(source, "since");
	int64_t since;
	return fresh->confirmed && text_parse_time(text, strlen(text), &since, NULL) == 0 && fresh->confirmed >= since;
}

/* The later end of `as_of`, which without an age only says when the rows were looked at. */
static int64_t confirmed_at(const json_t *answer)
{
	const char *text = json_string_value(json_array_get(json_object_get(answer, "as_of"), 1));
	int64_t wall;
	bool known = text && isfinite(field_real(answer, "age_seconds"));
	return known && text_parse_time(text, strlen(text), &wall, NULL) == 0 ? wall : 0;
}

struct freshness freshness_of(const char *table, const json_t *answer)
{
	return (struct freshness){
		.confirmed = confirmed_at(answer),
		.age_seconds = field_real(answer, "age_seconds"),
		.coverage = field_real(answer, "coverage"),
		.complete = json_is_true(json_object_get(answer, "complete")),
		.has_source = !is_agents_own(table),
	};
}

char *length_text(double seconds)
{
	char text[TEXT_DURATION_SIZE];
	if (!isfinite(seconds))
		return must(strdup("–"));
	text_duration(text, fabs(seconds));
	return must_printf("%s%s", seconds < 0 ? "-" : "", text);
}

char *ago_text(double seconds)
{
	if (seconds < 1)
		return must(strdup("just now"));
	char *length = length_text(seconds), *text = must_printf("%s ago", length);
	free(length);
	return text;
}

char *time_text(const char *rfc3339, const struct manner *manner)
{
	int64_t wall;
	struct tm at, today;
	if (text_parse_time(rfc3339, strlen(rfc3339), &wall, NULL) != 0)
		return visible(rfc3339);
	time_t seconds = (time_t)(wall / CW_SECOND - (wall % CW_SECOND < 0)), now = (time_t)(manner->now / CW_SECOND);
	if (!(manner->utc ? gmtime_r(&seconds, &at) && gmtime_r(&now, &today)
			  : localtime_r(&seconds, &at) && localtime_r(&now, &today)))
		return visible(rfc3339);
	bool is_today = at.tm_year == today.tm_year && at.tm_yday == today.tm_yday;
	char date[24] = "", zone[16] = "Z";
	if (!is_today || manner->whole)
		strftime(date, sizeof(date), "%Y-%m-%d ", &at);
	if (!manner->utc) { /* +0100 → +01:00 */
		strftime(zone, sizeof(zone), "%z", &at);
		memmove(zone + 4, zone + 3, 3);
		zone[3] = ':';
	}
	return must_printf("%s%02d:%02d:%02d%s", date, at.tm_hour, at.tm_min, at.tm_sec, zone);
}

char *count_text(uint64_t count)
{
	char digits[24], *text = must(calloc(1, 32)), *to = text;
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	return text;
}

char *bytes_text(double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;
	for (; bytes >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1024;
	bool whole = unit == 0 || fabs(bytes - round(bytes)) < 0.05;
	return must_printf("%.*f %s", whole ? 0 : 1, bytes, units[unit]);
}

/* The words of INTERFACE for states of anything; what is not here has no colour and no shape. */
const char *state_shape(const char *word, enum tone *ret_tone)
{
	static const struct {
		enum tone tone;
		const char *shape;
		const char *words[12];
	} states[] = {
		{TONE_GOOD, "●", {"healthy", "up", "ok", "success", "running", "resolved", "info", "sent", NULL}},
		{TONE_WARNING,
		 "▲",
		 {"warning", "degraded", "starting", "overdue", "pending", "queued", "waiting", "unknown", NULL}},
		{TONE_BAD,
		 "✖",
		 {"stale", "down", "stuck", "failed", "error", "lost", "firing", "critical", "unreadable",
		  "unreachable", "dead", NULL}},
	};
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (size_t j = 0; states[i].words[j]; j++) {
			if (strcmp(states[i].words[j], word) == 0) {
				*ret_tone = states[i].tone;
				return states[i].shape;
			}
		}
	}
	*ret_tone = TONE_PLAIN;
	return "";
}

static char *choice_text(const struct column_info *column, const char *word, enum tone *ret_tone)
{
	enum tone tone = TONE_PLAIN;
	const char *shape = column->watched || strcmp(column->name, "state") == 0 ? state_shape(word, &tone) : "";
	char *shown = visible(word);
	char *text = must_printf("%s%s%s", shape, *shape ? " " : "", shown);
	free(shown);
	*ret_tone = tone == TONE_GOOD ? TONE_PLAIN : tone; /* colour is for what needs a look */
	return text;
}

/* Whole where it is asked for, else as many digits as a person compares at a glance. */
static char *number_text(const struct column_info *column, const json_t *value, const struct manner *manner)
{
	char text[TEXT_NUMBER_SIZE];
	if (json_is_integer(value))
		return must_printf("%lld", (long long)json_integer_value(value));
	double number = json_number_value(value);
	if (manner->whole)
		text_number(text, number);
	else if (column->type == CW_REAL && strcmp(column->unit, "ratio") == 0)
		snprintf(text, sizeof(text), "%.1f %%", 100 * number);
	else
		snprintf(text, sizeof(text),
			 fabs(number) < 1000   ? "%.3g"
			 : fabs(number) < 1e15 ? "%.0f"
					       : "%.6g",
			 number);
	return must(strdup(text));
}

static bool is_length(const struct column_info *column)
{
	return column->type == CW_AGE || column->type == CW_UNTIL ||
	       (strcmp(column->unit, "seconds") == 0 && (column->type == CW_REAL || column->type == CW_INT));
}

char *value_text(const struct column_info *column, const json_t *value, const struct manner *manner,
		 enum tone *ret_tone)
{
	*ret_tone = TONE_PLAIN;
	if (json_is_string(value)) {
		if (column->type == CW_TIME || column->type == CW_SINCE)
			return time_text(json_string_value(value), manner);
		if (column->type == CW_CHOICE)
			return choice_text(column, json_string_value(value), ret_tone);
		return visible(json_string_value(value));
	}
	if (json_is_number(value))
		return is_length(column) ? length_text(json_number_value(value)) : number_text(column, value, manner);
	if (json_is_boolean(value))
		return must(strdup(json_is_true(value) ? "yes" : "no"));
	if (!value || json_is_null(value)) {
		*ret_tone = TONE_DIM;
		return must(strdup("–"));
	}
	char *dump = must(json_dumps(value, JSON_COMPACT)), *text = visible(dump); /* a list or object: as it came */
	free(dump);
	return text;
}
