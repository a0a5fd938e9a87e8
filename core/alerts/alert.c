/* SPDX-License-Identifier: MIT
 *
 * See alert.h: an alert as a thing: made, copied, named, asked for its texts. How it lives is in life.c.
 *
 * Its facts are one block: the array, and behind it all their texts. So they are replaced and freed in one step, of
 * 5,000 alerts that pend and are looked at twice a minute too.
 */
#include "alert.h"

#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const alert_state_names[] = {"pending", "firing", "unknown", "resolved", NULL};

int alert_shown(const struct alert *alert)
{
	if (alert->state == ALERT_RESOLVED)
		return SHOWN_RESOLVED;
	if (alert->is_blind)
		return SHOWN_UNKNOWN;
	return alert->state == ALERT_FIRING ? SHOWN_FIRING : SHOWN_PENDING;
}

/* ---- made, copied, freed ---- */

char *alert_key(const char *rule_name, const char *instance, const char *subject)
{
	char *key = NULL;
	return asprintf(&key, "%s\x1f%s\x1f%s", rule_name, instance, subject) < 0 ? NULL : key;
}

static const char strange[] = "\u2400";

bool alert_is_subject_strange(const char *subject)
{
	return strstr(subject, strange) != NULL;
}

void alert_subject(char subject[ALERT_SUBJECT_SIZE], const char *raw, size_t length)
{
	enum { SHOWN = 200 };
	uint8_t hash[crypto_generichash_BYTES_MIN];
	if (length < ALERT_SUBJECT_SIZE && !memchr(raw, '\0', length) && text_is_utf8(raw, length)) {
		memcpy(subject, raw, length);
		subject[length] = '\0';
		if (!alert_is_subject_strange(subject))
			return;
	}
	size_t used = text_utf8(subject, SHOWN, raw, length);
	crypto_generichash(hash, sizeof hash, (const unsigned char *)raw, length, NULL, 0);
	used += (size_t)snprintf(subject + used, ALERT_SUBJECT_SIZE - used, "%s", strange);
	for (size_t i = 0; i < sizeof hash / 2; i++)
		used += (size_t)snprintf(subject + used, ALERT_SUBJECT_SIZE - used, "%02x", hash[i]);
}

static void make_fingerprint(struct alert *alert)
{
	uint8_t hash[crypto_generichash_BYTES_MIN];
	crypto_generichash(hash, sizeof hash, (const unsigned char *)alert->key, strlen(alert->key), NULL, 0);
	for (size_t i = 0; i < (ALERT_FINGERPRINT_SIZE - 1) / 2; i++)
		snprintf(alert->fingerprint + 2 * i, 3, "%02x", hash[i]);
}

void alert_begin(struct alert *alert, int64_t wall)
{
	alert->pending_since = wall;
	snprintf(alert->id, sizeof alert->id, "%s-%" PRIx64, alert->fingerprint, (uint64_t)(wall / CW_MILLISECOND));
}

struct alert *alert_new(const char *rule_name, const char *instance, const char *subject, const char *source)
{
	struct alert *alert = calloc(1, sizeof *alert);
	if (!alert)
		return NULL;
	alert->key = alert_key(rule_name, instance, subject);
	alert->rule_name = strdup(rule_name);
	alert->instance = strdup(instance);
	alert->subject = strdup(subject);
	alert->source = strdup(source);
	alert->summary = strdup(subject);
	alert->value = (double)NAN;
	alert->counted_as = -1;
	if (!alert->key || !alert->rule_name || !alert->instance || !alert->subject || !alert->source ||
	    !alert->summary) {
		alert_free(alert);
		return NULL;
	}
	make_fingerprint(alert);
	return alert;
}

void alert_free(struct alert *alert)
{
	if (!alert)
		return;
	free(alert->key);
	free(alert->rule_name);
	free(alert->instance);
	free(alert->subject);
	free(alert->source);
	free(alert->summary);
	free(alert->description);
	free(alert->facts);
	free(alert->acked_by);
	free(alert->ack_note);
	free(alert->silenced_by);
	free(alert->inhibited_by);
	free(alert);
}

void alert_set_text(char **text, const char *new_text)
{
	char *copy = new_text ? strdup(new_text) : NULL;
	if (new_text && !copy)
		return;
	free(*text);
	*text = copy;
}

struct alert *alert_copy(const struct alert *known)
{
	const char *source = known->source ? known->source : known->instance;
	struct alert *alert = alert_new(known->rule_name, known->instance, known->subject, source);
	if (!alert)
		return NULL;
	snprintf(alert->id, sizeof alert->id, "%s", known->id);
	alert->rule = known->rule;
	alert->severity = known->severity;
	alert->state = known->state;
	alert->pending_since = known->pending_since;
	alert->firing_since = known->firing_since;
	alert->resolved_at = known->resolved_at;
	alert->held = known->held;
	alert->reason = known->reason;
	alert->value = known->value;
	alert->acked_at = known->acked_at;
	alert->told = known->told;
	alert_set_text(&alert->acked_by, known->acked_by);
	alert_set_text(&alert->ack_note, known->ack_note);
	alert_set_words(alert, known->summary ? known->summary : known->subject, known->description, known->facts,
			known->facts_count);
	return alert;
}

/* ---- words ---- */

static size_t texts_size(const struct cw_fact *facts, uint32_t count)
{
	size_t size = 0;
	for (uint32_t i = 0; i < count; i++)
		size += strlen(facts[i].name) + strlen(facts[i].text) + 2;
	return size;
}

static const char *put_text(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *put = memcpy(*at, text, size);
	*at += size;
	return put;
}

/* NULL: no memory. */
static struct cw_fact *copy_facts(const struct cw_fact *facts, uint32_t count)
{
	struct cw_fact *copy = malloc(count * sizeof *copy + texts_size(facts, count) + 1);
	char *at = copy ? (char *)(copy + count) : NULL;
	for (uint32_t i = 0; copy && i < count; i++) {
		copy[i].name = put_text(&at, facts[i].name);
		copy[i].text = put_text(&at, facts[i].text);
	}
	return copy;
}

int alert_set_words(struct alert *alert, const char *summary, const char *description, const struct cw_fact *facts,
		    uint32_t count)
{
	char *new_summary = strdup(summary), *new_description = description ? strdup(description) : NULL;
	struct cw_fact *new_facts = copy_facts(facts, count);
	if (!new_summary || (description && !new_description) || !new_facts) {
		free(new_summary);
		free(new_description);
		free(new_facts);
		return -ENOMEM;
	}
	free(alert->summary);
	free(alert->description);
	free(alert->facts);
	alert->summary = new_summary;
	alert->description = new_description;
	alert->facts = new_facts;
	alert->facts_count = count;
	alert->are_words_posted = false;
	return 0;
}

const char *alert_text(const struct alert *alert, const char *name)
{
	if (strcmp(name, "alertname") == 0 ||
	    strcmp(name, "alert") == 0) /* the label, and the column of table `alerts` */
		return alert->rule_name;
	if (strcmp(name, "severity") == 0)
		return severity_names[alert->severity];
	if (strcmp(name, "instance") == 0)
		return alert->source;
	if (strcmp(name, "subject") == 0)
		return alert->subject;
	for (uint32_t i = 0; alert->rule && i < alert->rule->labels_count; i++)
		if (strcmp(alert->rule->labels[i].name, name) == 0)
			return alert->rule->labels[i].value;
	for (uint32_t i = 0; i < alert->facts_count; i++)
		if (strcmp(alert->facts[i].name, name) == 0)
			return alert->facts[i].text;
	return NULL;
}

/* ---- a cell as people read it ---- */

/* 2026-11-22 13:30:45 +0100, as templates say it */
static void say_time(char text[ALERT_FACT_SIZE], int64_t wall)
{
	time_t seconds = (time_t)(wall / CW_SECOND);
	struct tm parts;
	if (!localtime_r(&seconds, &parts) || !strftime(text, ALERT_FACT_SIZE, "%Y-%m-%d %H:%M:%S %z", &parts))
		snprintf(text, ALERT_FACT_SIZE, "?");
}

static void say_seconds(char text[ALERT_FACT_SIZE], double seconds)
{
	char words[TEXT_DURATION_SIZE];
	text_duration(words, fabs(seconds));
	snprintf(text, ALERT_FACT_SIZE, "%s%s", seconds < 0 ? "-" : "", words);
}

static void say_number(const struct cw_column *column, double value, char text[ALERT_FACT_SIZE])
{
	char number[TEXT_NUMBER_SIZE];
	if (column->unit && strcmp(column->unit, "seconds") == 0) {
		say_seconds(text, value);
	} else if (column->unit && strcmp(column->unit, "ratio") == 0) {
		snprintf(text, ALERT_FACT_SIZE, "%.3g%%", 100 * value);
	} else {
		text_number(number, value);
		snprintf(text, ALERT_FACT_SIZE, "%s", number);
	}
}

static bool say_integer(const struct cw_column *column, int64_t value, char text[ALERT_FACT_SIZE])
{
	switch (column->type) {
	case CW_CHOICE:
		for (int64_t i = 0; column->choices && column->choices[i]; i++)
			if (i == value) {
				snprintf(text, ALERT_FACT_SIZE, "%s", column->choices[i]);
				return true;
			}
		return false;
	case CW_BOOL:
		snprintf(text, ALERT_FACT_SIZE, "%s", value ? "yes" : "no");
		return true;
	case CW_TIME:
	case CW_SINCE:
		say_time(text, value);
		return true;
	default:
		if (column->unit && *column->unit && strcmp(column->unit, "count") != 0) {
			say_number(column, (double)value, text);
			return true;
		}
		snprintf(text, ALERT_FACT_SIZE, "%" PRId64, value);
		return true;
	}
}

bool alert_fact_text(const struct cw_column *column, const struct cw_cell *cell, char text[ALERT_FACT_SIZE])
{
	switch (cell->type) {
	case CW_CELL_TEXT:
		text_visible(text, ALERT_FACT_SIZE, cell->text, cell->length);
		return true;
	case CW_CELL_INTEGER:
		return say_integer(column, cell->integer, text);
	case CW_CELL_REAL:
		say_number(column, cell->real, text);
		return true;
	default:
		return false;
	}
}

/* ---- watched time ---- */

void watched_tick(struct watched_clock *clock, int64_t now)
{
	static const int64_t longest = WATCHED_LONGEST_MS * CW_MILLISECOND;
	if (clock->watched == 0) {
		clock->watched = CW_SECOND;
		clock->seen = now;
	}
	int64_t passed = now - clock->seen;
	if (passed > 0)
		clock->watched += passed < longest ? passed : 0;
	clock->seen = now;
}
