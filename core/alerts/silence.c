/* SPDX-License-Identifier: MIT
 *
 * See silence.h. Matchers are the expressions of tables, held against a text: what alert_text() says of the alert under
 * that name.
 */
#include "silence.h"

#include "expr.h"
#include "text.h"
#include "weekly.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t kept_ns = SILENCE_KEPT_DAYS * 86400 * CW_SECOND;

struct silences {
	struct silence *list, **end; /* in the order in which they came */
	struct silence *tried;       /* of the last dry run */
	bool is_changed;             /* since the last turn */
	int64_t turned_at, turn_at;  /* wall: the last turn, the next */
};

static int wrong(char *error, const char *format, ...) CW_PRINTF(2, 3);
static int wrong(char *error, const char *format, ...)
{
	char sentence[2 * CW_QUERY_ERROR_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	text_visible(error, CW_QUERY_ERROR_MAX, sentence, strlen(sentence));
	return -EINVAL;
}

static int no_memory(char *error)
{
	wrong(error, "no memory");
	return -ENOMEM;
}

struct silences *silences_new(void)
{
	struct silences *silences = sodium_init() < 0 ? NULL : calloc(1, sizeof *silences);
	if (silences)
		silences->end = &silences->list;
	return silences;
}

static void silence_free(struct silence *silence)
{
	if (!silence)
		return;
	for (uint32_t i = 0; i < silence->exprs_count; i++)
		expr_free(silence->exprs[i]);
	free(silence->exprs);
	weekly_free(silence->weekly);
	free(silence->matchers);
	free(silence->every);
	free(silence->timezone);
	free(silence->created_by);
	free(silence->comment);
	free(silence);
}

void silences_free(struct silences *silences)
{
	if (!silences)
		return;
	for (struct silence *silence = silences->list, *next; silence; silence = next) {
		next = silence->next;
		silence_free(silence);
	}
	silence_free(silences->tried);
	free(silences);
}

/* ---- a new one ---- */

static bool is_blank(const char *text)
{
	return !text || !text[strspn(text, " \t\r\n")];
}

/* One expression; a column of any table may be meant, so that names are not known. */
static int add_matcher(struct silence *silence, const char *matcher, char *error)
{
	struct expr *expr;
	char reason[EXPR_ERROR_MAX];
	if (strchr(matcher, '\n'))
		return wrong(error, "a matcher is one line");
	int rc = expr_parse(matcher, &expr, reason);
	if (rc)
		return wrong(error, "`%s`: %s", text_start(matcher, 60).text, reason), rc;
	silence->exprs[silence->exprs_count++] = expr;
	struct cw_column column = {.name = expr_column(expr), .type = CW_TEXT};
	rc = expr_bind(expr, &column, reason);
	if (rc)
		wrong(error, "`%s`: %s", text_start(matcher, 60).text, reason);
	return rc;
}

static int add_matchers(struct silence *silence, const struct cw_silence_spec *spec, char *error)
{
	size_t length = 1;
	if (spec->all == (spec->matchers_count > 0))
		return wrong(error, spec->all ? "all is all: no matchers may be said with it"
					      : "nothing says what to silence; everything must be said: all");
	if (spec->matchers_count > SILENCE_MATCHERS_MAX)
		return wrong(error, "%u matchers, at most %d are allowed", spec->matchers_count, SILENCE_MATCHERS_MAX);
	for (uint32_t i = 0; i < spec->matchers_count; i++)
		length += strlen(spec->matchers[i]) + 1;
	if (length > SILENCE_MATCHERS_BYTES_MAX)
		return wrong(error, "%zu bytes of matchers, at most %d are allowed", length,
			     SILENCE_MATCHERS_BYTES_MAX);
	silence->exprs = calloc(spec->matchers_count + 1, sizeof(struct expr *));
	char *end = silence->matchers = calloc(1, length);
	if (!silence->exprs || !silence->matchers)
		return no_memory(error);
	for (uint32_t i = 0; i < spec->matchers_count; i++) {
		int rc = add_matcher(silence, spec->matchers[i], error);
		if (rc)
			return rc;
		end = stpcpy(stpcpy(end, i > 0 ? "\n" : ""), spec->matchers[i]);
	}
	return 0;
}

static int set_times(struct silence *silence, const struct cw_silence_spec *spec, int64_t wall, char *error)
{
	silence->starts_at = spec->starts_at ? spec->starts_at : wall;
	silence->ends_at = spec->ends_at;
	if (spec->id)
		return 0;
	if (silence->ends_at <= silence->starts_at)
		return wrong(error, "a silence ends after it begins");
	return silence->ends_at <= wall ? wrong(error, "a silence that has ended already") : 0;
}

static int set_window(struct silence *silence, const struct cw_silence_spec *spec, char *error)
{
	char reason[WEEKLY_ERROR_MAX];
	if (!spec->every)
		return spec->timezone ? wrong(error, "a time zone is of a weekly window, and there is none") : 0;
	int rc = weekly_parse(spec->every, spec->timezone, &silence->weekly, reason);
	if (rc)
		return wrong(error, "%s", reason), rc;
	silence->every = strdup(spec->every);
	silence->timezone = spec->timezone ? strdup(spec->timezone) : NULL;
	return silence->every && (silence->timezone || !spec->timezone) ? 0 : no_memory(error);
}

/* Fit to be shown, and cut. */
static char *copy_words(const char *words)
{
	char buffer[SILENCE_COMMENT_MAX + 1];
	text_visible(buffer, sizeof buffer, words, strlen(words));
	return strdup(buffer);
}

static int set_people(struct silence *silence, const struct cw_silence_spec *spec, char *error)
{
	if (is_blank(spec->comment) && !spec->id && !spec->dry_run)
		return wrong(error, "a comment is needed: why is this silent?");
	silence->comment = copy_words(spec->comment ? spec->comment : "");
	silence->created_by = copy_words(spec->by ? spec->by : "unknown");
	return silence->comment && silence->created_by ? 0 : no_memory(error);
}

static struct silence *find(struct silences *silences, const char *id)
{
	struct silence *silence = silences->list;
	while (silence && strcmp(silence->id, id) != 0)
		silence = silence->next;
	return silence;
}

/* Short, for people type it. */
static int set_id(struct silences *silences, struct silence *silence, const char *id, char *error)
{
	if (id && (!*id || strlen(id) >= sizeof silence->id || find(silences, id)))
		return wrong(error, "`%s` is no id, or known already", text_start(id, 30).text);
	if (id)
		return stpcpy(silence->id, id), 0;
	do
		snprintf(silence->id, sizeof silence->id, "%08x", randombytes_random());
	while (find(silences, silence->id));
	return 0;
}

static int fill(struct silences *silences, struct silence *silence, const struct cw_silence_spec *spec, int64_t wall,
		char *error)
{
	silence->row = -1;
	int rc = set_id(silences, silence, spec->id, error);
	if (rc == 0)
		rc = add_matchers(silence, spec, error);
	if (rc == 0)
		rc = set_times(silence, spec, wall, error);
	if (rc == 0)
		rc = set_window(silence, spec, error);
	return rc == 0 ? set_people(silence, spec, error) : rc;
}

static bool has_ended(const struct silence *silence, int64_t wall)
{
	return silence->ends_at <= wall;
}

static uint32_t count(const struct silences *silences, bool ended, int64_t wall)
{
	uint32_t n = 0;
	for (const struct silence *silence = silences->list; silence; silence = silence->next)
		n += has_ended(silence, wall) == ended;
	return n;
}

int silences_add(struct silences *silences, const struct cw_silence_spec *spec, int64_t wall,
		 struct silence **ret_silence, char error[CW_QUERY_ERROR_MAX])
{
	struct silence *silence = calloc(1, sizeof *silence);
	int rc = silence ? fill(silences, silence, spec, wall, error) : no_memory(error);
	if (rc == 0 && !spec->id && count(silences, false, wall) >= SILENCES_MAX) {
		wrong(error, "there are %d silences; end one first", SILENCES_MAX);
		rc = -ENOSPC;
	}
	if (rc) {
		silence_free(silence);
		return rc;
	}
	*ret_silence = silence;
	if (spec->dry_run) {
		silence_free(silences->tried);
		silences->tried = silence;
		return 0;
	}
	*silences->end = silence;
	silences->end = &silence->next;
	silences->is_changed = true;
	return 0;
}

struct silence *silences_expire(struct silences *silences, const char *id, int64_t wall)
{
	struct silence *silence = find(silences, id);
	if (!silence || has_ended(silence, wall))
		return NULL;
	silence->ends_at = wall;
	silences->is_changed = true;
	return silence;
}

struct silence *silences_first(struct silences *silences)
{
	return silences->list;
}

/* ---- what they mute ---- */

static bool is_active(const struct silence *silence, int64_t wall)
{
	return silence->starts_at <= wall && !has_ended(silence, wall) &&
	       (!silence->weekly || weekly_is_open(silence->weekly, wall));
}

static bool matches(const struct silence *silence, const struct alert *alert)
{
	for (uint32_t i = 0; i < silence->exprs_count; i++) {
		const char *text = alert_text(alert, expr_column(silence->exprs[i]));
		struct cw_cell cell = {.type = text ? CW_CELL_TEXT : CW_CELL_NULL,
				       .length = text ? (uint32_t)strlen(text) : 0,
				       .text = text};
		if (!expr_matches(silence->exprs[i], &cell))
			return false;
	}
	return true;
}

bool silence_mutes(const struct silence *silence, const struct alert *alert, int64_t wall)
{
	return is_active(silence, wall) && matches(silence, alert);
}

const struct silence *silences_match(struct silences *silences, const struct alert *alert, int64_t wall)
{
	for (const struct silence *silence = silences->list; silence; silence = silence->next)
		if (silence_mutes(silence, alert, wall))
			return silence;
	return NULL;
}

void silences_change(struct silences *silences)
{
	silences->is_changed = true;
}

bool silences_turn(struct silences *silences, int64_t wall)
{
	/* a clock that was set back may have gone over a beginning */
	if (!silences->is_changed && wall >= silences->turned_at && wall < silences->turn_at)
		return false;
	bool turns = silences->is_changed;
	for (struct silence *silence = silences->list; silence; silence = silence->next) {
		bool active = is_active(silence, wall);
		turns = turns || active != silence->is_active;
		silence->is_active = active;
	}
	for (struct silence *silence = turns ? silences->list : NULL; silence; silence = silence->next)
		silence->mutes = 0;
	silences->is_changed = false;
	silences->turned_at = wall;
	silences->turn_at = silences_next(silences, wall);
	return turns;
}

const struct silence *silences_look(struct silences *silences, const struct alert *alert, int by)
{
	const struct silence *first = NULL;
	for (struct silence *silence = silences->list; silence; silence = silence->next)
		if (silence->is_active && matches(silence, alert)) {
			first = first ? first : silence;
			silence->mutes += (uint32_t)by;
		}
	return first;
}

/* ---- time ---- */

static int64_t next_of(const struct silence *silence, int64_t wall)
{
	int64_t next = INT64_MAX;
	if (has_ended(silence, wall))
		return next;
	if (wall < silence->starts_at)
		return silence->starts_at;
	if (silence->weekly)
		next = weekly_next(silence->weekly, wall);
	return next < silence->ends_at ? next : silence->ends_at;
}

int64_t silences_next(const struct silences *silences, int64_t wall)
{
	int64_t next = INT64_MAX;
	for (const struct silence *silence = silences->list; silence; silence = silence->next) {
		int64_t its = next_of(silence, wall);
		next = its < next ? its : next;
	}
	return next;
}

void silences_forget(struct silences *silences, int64_t wall, void (*forgotten)(void *arg, struct silence *silence),
		     void *arg)
{
	uint32_t ended = count(silences, true, wall);
	silences->end = &silences->list;
	for (struct silence *silence = silences->list, *next; silence; silence = next) {
		next = silence->next;
		if (has_ended(silence, wall) && (silence->ends_at < wall - kept_ns || ended > SILENCES_MAX)) {
			ended--;
			*silences->end = next;
			forgotten(arg, silence);
			silence_free(silence);
		} else {
			silences->end = &silence->next;
		}
	}
}
