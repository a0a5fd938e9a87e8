/* SPDX-License-Identifier: MIT
 *
 * Rows of table `alerts` as Alertmanager's API wants them: `labels` say which alert it is, so they are those that do
 * not change while it fires; `startsAt` is when it began to fire, `endsAt` some intervals from now while it does
 * (should we die, it ends), and when it ended after that. An alert that is `unknown`, since its source is blind, is
 * said to fire on: blind is not calm. One that is silenced or inhibited here is not said, nor what is only pending; but
 * what was said before that is said until it ends, for a silence is no end. What has ended is said for five minutes.
 */
#include "alertmanager.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum column {
	SUBJECT,
	ALERT,
	INSTANCE,
	SEVERITY,
	STATE,
	FIRING_SINCE,
	RESOLVED_AT,
	SUMMARY,
	DESCRIPTION,
	LABELS,
	SILENCED_BY,
	INHIBITED_BY,
	COLUMNS
};
_Static_assert((int)COLUMNS == (int)LOOK_COLUMNS, "a place for each");
static const char *const column_names[COLUMNS] = {
	[SUBJECT] = "subject",
	[ALERT] = "alert",
	[INSTANCE] = "instance",
	[SEVERITY] = "severity",
	[STATE] = "state",
	[FIRING_SINCE] = "firing_since",
	[RESOLVED_AT] = "resolved_at",
	[SUMMARY] = "summary",
	[DESCRIPTION] = "description",
	[LABELS] = "labels",
	[SILENCED_BY] = "silenced_by",
	[INHIBITED_BY] = "inhibited_by",
};

static const int64_t resolved_for = 300 * CW_SECOND, slice = CW_MILLISECOND;

/* ---- bodies ---- */

void bodies_begin(struct bodies *bodies)
{
	*bodies = (struct bodies){.count = 0};
}

void bodies_release(struct bodies *bodies)
{
	for (uint32_t i = 0; i < bodies->count; i++)
		buffer_release(&bodies->body[i]);
	bodies->count = 0;
}

static void close_last(struct bodies *bodies)
{
	if (bodies->count)
		buffer_string(&bodies->body[bodies->count - 1], "]");
}

static struct buffer *open_body(struct bodies *bodies)
{
	if (bodies->count == BODIES_MAX)
		return NULL;
	close_last(bodies);
	struct buffer *body = &bodies->body[bodies->count++];
	buffer_init(body, /* head */ 0, BODY_BYTES_MAX);
	buffer_string(body, "[");
	bodies->in_last = 0;
	return body;
}

void bodies_end(struct bodies *bodies)
{
	if (bodies->count == 0)
		open_body(bodies);
	close_last(bodies);
}

/* ---- an alert ---- */

static void name_and_text(struct buffer *body, const char *name, size_t name_length, const char *text, size_t length)
{
	buffer_json(body, name, name_length);
	buffer_string(body, ":");
	buffer_json(body, text, length);
}

static bool is_label_name(const char *name, size_t length)
{
	static const char *const ours[] = {"alertname", "severity", "instance", "subject"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strlen(ours[i]) == length && memcmp(name, ours[i], length) == 0)
			return false;
	for (size_t i = 0; i < length; i++)
		if (!(isalpha((unsigned char)name[i]) || name[i] == '_' || (i && isdigit((unsigned char)name[i]))))
			return false;
	return length > 0;
}

/* Lines `name=value`. What Alertmanager would not take as a label is left out: one such refuses the whole alert. */
static void add_labels(struct buffer *body, const char *lines, size_t length)
{
	const char *end = lines + length;
	while (lines < end) {
		const char *newline = memchr(lines, '\n', (size_t)(end - lines));
		const char *stop = newline ? newline : end, *equals = memchr(lines, '=', (size_t)(stop - lines));
		if (equals && stop > equals + 1 && is_label_name(lines, (size_t)(equals - lines))) {
			buffer_string(body, ",");
			name_and_text(body, lines, (size_t)(equals - lines), equals + 1, (size_t)(stop - equals - 1));
		}
		lines = stop + 1;
	}
}

static void add_time(struct buffer *body, const char *name, int64_t wall)
{
	char text[TEXT_TIME_SIZE];
	text_time(text, wall);
	buffer_print(body, ",\"%s\":\"%s\"", name, text);
}

struct said {
	const struct cw_cell *cells;
	const char *severity;
	int64_t starts_at, ends_at;
};

static void add_cell(struct buffer *body, const char *name, const struct cw_cell *cell)
{
	if (cell->type == CW_CELL_TEXT)
		name_and_text(body, name, strlen(name), cell->text, cell->length);
	else
		name_and_text(body, name, strlen(name), "", 0);
}

/* Only letters, digits, dashes and the like stay as they are in a URL. */
static void add_escaped(struct buffer *body, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		if (isalnum(c) || c == '-' || c == '_' || c == '.')
			buffer_bytes(body, &text[i], 1);
		else
			buffer_print(body, "%%%02X", c);
	}
}

static void add_url(struct buffer *body, const struct look *look, const struct cw_cell *alert)
{
	if (!look->external_url)
		return;
	size_t length = strlen(look->external_url);
	while (length && look->external_url[length - 1] == '/')
		length--;
	buffer_string(body, ",\"generatorURL\":\"");
	buffer_bytes(body, look->external_url, length); /* checked: it has no quotes, blanks or backslashes */
	buffer_string(body, "/?table=alerts&where=alert%3D");
	add_escaped(body, alert->text, alert->length);
	buffer_string(body, "\"");
}

static void add_alert(struct buffer *body, const struct look *look, const struct said *said)
{
	const struct cw_cell *cells = said->cells;
	buffer_string(body, "{\"labels\":{");
	add_cell(body, "alertname", &cells[ALERT]);
	buffer_string(body, ",");
	name_and_text(body, "severity", 8, said->severity, strlen(said->severity));
	buffer_string(body, ",");
	add_cell(body, "instance", &cells[INSTANCE]);
	buffer_string(body, ",");
	add_cell(body, "subject", &cells[SUBJECT]);
	if (cells[LABELS].type == CW_CELL_TEXT)
		add_labels(body, cells[LABELS].text, cells[LABELS].length);
	buffer_string(body, "},\"annotations\":{");
	add_cell(body, "summary", &cells[SUMMARY]);
	buffer_string(body, ",");
	add_cell(body, "description", &cells[DESCRIPTION]);
	buffer_string(body, "}");
	/* our clock may have been set back meanwhile, and what begins after its end is refused */
	add_time(body, "startsAt", said->starts_at < said->ends_at ? said->starts_at : said->ends_at);
	add_time(body, "endsAt", said->ends_at);
	add_url(body, look, &cells[ALERT]);
	buffer_string(body, "}");
}

/* FNV-1a over what tells one alert from another, and whether it fires; summed up, since rows come in any order. */
static uint64_t signature_of(const struct said *said, bool fires)
{
	uint64_t hash = 0xcbf29ce484222325;
	static const enum column parts[] = {ALERT, INSTANCE, SUBJECT};
	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
		for (uint32_t i = 0; said->cells[parts[k]].type == CW_CELL_TEXT && i < said->cells[parts[k]].length;
		     i++)
			hash = (hash ^ (unsigned char)said->cells[parts[k]].text[i]) * 0x100000001b3;
	hash = (hash ^ (uint64_t)said->starts_at) * 0x100000001b3;
	return (hash ^ fires) * 0x100000001b3;
}

static void say(struct look *look, const struct said *said, bool fires)
{
	struct bodies *bodies = look->bodies;
	struct buffer *body = bodies->count ? &bodies->body[bodies->count - 1] : NULL;
	if (!body || bodies->in_last == BODY_ALERTS_MAX || body->length > BODY_BYTES_MAX / 2)
		body = open_body(bodies);
	if (!body) {
		bodies->left_out++;
		return;
	}
	size_t before = body->length;
	buffer_string(body, bodies->in_last ? "," : "");
	add_alert(body, look, said);
	if (body->failed) {
		buffer_cut(body, before);
		bodies->left_out++;
		return;
	}
	bodies->in_last++;
	bodies->alerts++;
	bodies->signature += signature_of(said, fires);
}

/* ---- what was said ---- */

static struct keyed_hash whole_of(const struct told *told, const struct said *said)
{
	static const enum column parts[] = {ALERT, INSTANCE, SUBJECT};
	struct keyed_hash hash = keyed_hash(told->secret, &said->starts_at, sizeof(said->starts_at));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct cw_cell *cell = &said->cells[parts[i]];
		bool is_text = cell->type == CW_CELL_TEXT;
		hash = keyed_hash_on(told->secret, hash, is_text ? cell->text : "", is_text ? cell->length : 0);
	}
	return hash;
}

/* ---- the table ---- */

static const char *choice(const struct look *look, const struct cw_cell *cells, enum column column)
{
	const struct cw_column *declared = look->columns[column];
	const struct cw_cell *cell = &cells[column];
	if (cell->type == CW_CELL_TEXT)
		return NULL;
	for (int64_t i = 0; cell->type == CW_CELL_INTEGER && declared->choices && declared->choices[i]; i++)
		if (i == cell->integer)
			return declared->choices[i];
	return "";
}

static bool is_text(const struct cw_cell *cell)
{
	return cell->type == CW_CELL_TEXT && cell->length > 0;
}

static int on_row(void *arg, const struct cw_cell *all, uint32_t count)
{
	struct look *look = arg;
	struct cw_cell cells[COLUMNS];
	(void)count;
	for (uint32_t i = 0; i < COLUMNS; i++)
		cells[i] = all[look->at[i]];
	const char *state = choice(look, cells, STATE), *severity = choice(look, cells, SEVERITY);
	bool is_resolved = state && strcmp(state, "resolved") == 0;
	bool fires = state && (strcmp(state, "firing") == 0 || strcmp(state, "unknown") == 0);
	if (cells[ALERT].type != CW_CELL_TEXT || cells[FIRING_SINCE].type != CW_CELL_INTEGER || !(fires || is_resolved))
		return 0;
	struct said said = {.cells = cells,
			    .severity = severity && *severity ? severity : "warning",
			    .starts_at = cells[FIRING_SINCE].integer,
			    .ends_at = look->ends_at};
	if (is_resolved) {
		said.ends_at = cells[RESOLVED_AT].type == CW_CELL_INTEGER ? cells[RESOLVED_AT].integer : look->wall;
		if (look->wall - said.ends_at > resolved_for)
			return 0;
	}
	bool is_muted = is_text(&cells[SILENCED_BY]) || is_text(&cells[INHIBITED_BY]);
	if (fires && !told_say(look->told, whole_of(look->told, &said), is_muted))
		return 0;
	say(look, &said, fires);
	return 0;
}

int look_begin(struct look *look, struct cw_instance *self, const struct cw_host *host, struct bodies *bodies,
	       char error[CW_QUERY_ERROR_MAX])
{
	struct cw_query_spec spec = {.table = "alerts", .columns = column_names, .columns_count = COLUMNS};
	uint32_t n;
	bodies_begin(bodies);
	look->bodies = bodies;
	int status = host->reader->query_open(self, &spec, &look->query, error);
	if (status < 0)
		return status;
	const struct cw_column *columns = host->reader->query_columns(look->query, &n);
	for (uint32_t i = 0; i < COLUMNS; i++) {
		uint32_t at = 0;
		while (at < n && strcmp(columns[at].name, column_names[i]) != 0)
			at++;
		if (at == n)
			return -EINVAL;
		look->at[i] = at;
		look->columns[i] = &columns[at];
	}
	return 0;
}

int look_step(struct look *look, const struct cw_host *host)
{
	return host->reader->query_step(look->query, slice, on_row, look);
}

void look_end(struct look *look, const struct cw_host *host)
{
	host->reader->query_close(look->query);
	look->query = NULL;
}

/* ---- a test ---- */

void bodies_test(struct bodies *bodies, const char *host, const char *by, int64_t wall)
{
	bodies_begin(bodies);
	struct buffer *body = open_body(bodies);
	buffer_string(body, "{\"labels\":{\"alertname\":\"callwatch-test\",\"severity\":\"info\",");
	name_and_text(body, "instance", 8, host, strlen(host));
	buffer_string(body, "},\"annotations\":{\"summary\":\"A test of callwatch\",");
	name_and_text(body, "description", 11, by, strlen(by));
	buffer_string(body, "}");
	add_time(body, "startsAt", wall);
	add_time(body, "endsAt", wall + 60 * CW_SECOND);
	buffer_string(body, "}");
	bodies->alerts = 1;
	bodies_end(bodies);
}
