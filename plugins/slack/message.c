/* SPDX-License-Identifier: MIT
 *
 * See message.h. A message is written, measured, and written anew with less of what can be left out until it fits: each
 * fit is a row of a table, the last of which always does.
 */
#include "message.h"

#include "text.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

enum {
	HEADER_CHARACTERS = 150,
	TITLE_CHARACTERS = 400,
	FIELDS = 10,
	COMMON_CHARACTERS = 600,
	COMMAND_CHARACTERS = 1000,
	CONTEXT_CHARACTERS = 300
};

/* How much of what can be cut is told. */
struct fit {
	uint32_t subjects;
	size_t subject, description, field, details; /* characters */
	bool with_urls;                              /* of each subject */
};
static const struct fit fits[] = {
	{MESSAGE_SUBJECTS, 300, 1500, 150, 700, true},
	{MESSAGE_SUBJECTS, 200, 800, 120, 450, true},
	{MESSAGE_SUBJECTS, 150, 500, 100, 350, false},
	{5, 150, 300, 60, 200, false},
};
enum { FITS = sizeof(fits) / sizeof(fits[0]) };

/* ---- words of a notice ---- */

struct look {
	const char *shape, *word, *colour;
};

static struct look look_of_severity(enum cw_severity severity)
{
	switch (severity) {
	case CW_SEVERITY_CRITICAL:
		return (struct look){"\xe2\x97\x8f", "CRITICAL", "#c92a2a"}; /* ● */
	case CW_SEVERITY_WARNING:
		return (struct look){"\xe2\x96\xb2", "WARNING", "#e8a317"}; /* ▲ */
	default:
		return (struct look){"\xe2\x97\x86", "INFO", "#2f6fba"}; /* ◆ */
	}
}

static struct look look_of(const struct cw_notice *notice)
{
	struct look look = look_of_severity(notice->severity);
	if (notice->kind == CW_NOTICE_RESOLVED)
		look = (struct look){"\xe2\x9c\x94", "RESOLVED", "#2e9e5b"}; /* ✔ */
	else if (notice->kind == CW_NOTICE_TEST)
		look = (struct look){"\xe2\x97\x87", "TEST", "#868e96"}; /* ◇ */
	return look;
}

/* `▲ WARNING call-stale: 37 of …`; the state is a word and a shape, not a colour alone. */
static void make_title(char *buffer, size_t size, const struct cw_notice *notice)
{
	struct look look = look_of(notice);
	snprintf(buffer, size, "%s %s %s", look.shape, look.word, notice->title);
}

/* `• what` or `✔ what (recovered)`. */
static void make_subject(char *buffer, size_t size, const struct cw_alert *alert)
{
	const char *what = alert->summary && *alert->summary ? alert->summary : alert->subject;
	if (!alert->is_firing)
		snprintf(buffer, size, "\xe2\x9c\x94 %s (%s)", what, alert->reason ? alert->reason : "ended");
	else if (alert->acked_by)
		snprintf(buffer, size, "\xe2\x80\xa2 %s (acknowledged by %s)", what, alert->acked_by);
	else
		snprintf(buffer, size, "\xe2\x80\xa2 %s", what);
}

static const struct cw_alert *alert_at(const struct cw_notice *notice, uint32_t i)
{
	return cw_at(&notice->alerts, i);
}

/* ---- pieces of JSON ---- */

static void key(struct buffer *out, const char *name)
{
	buffer_print(out, "\"%s\":", name);
}

static void plain_text(struct buffer *out, const char *text, size_t limit, bool lines)
{
	buffer_string(out, "{\"type\":\"plain_text\",\"emoji\":false,\"text\":");
	words_json(out, text, limit, lines);
	buffer_string(out, "}");
}

/* Of an array of blocks: all but the first are parted by commas. */
static void next_block(struct buffer *out, const char *type)
{
	if (buffer_text(out) && buffer_text(out)[out->length - 1] != '[')
		buffer_string(out, ",");
	buffer_print(out, "{\"type\":\"%s\",", type);
}

static void header(struct buffer *out, const char *text)
{
	next_block(out, "header");
	key(out, "text");
	plain_text(out, text, HEADER_CHARACTERS, /* lines */ false);
	buffer_string(out, "}");
}

static void section(struct buffer *out, const char *text, size_t limit)
{
	next_block(out, "section");
	key(out, "text");
	plain_text(out, text, limit, /* lines */ true);
	buffer_string(out, "}");
}

static void context(struct buffer *out, const char *text)
{
	next_block(out, "context");
	key(out, "elements");
	buffer_string(out, "[");
	plain_text(out, text, CONTEXT_CHARACTERS, /* lines */ false);
	buffer_string(out, "]}");
}

/* Buttons of a message must not share an id. */
static void button(struct buffer *out, const char *label, const char *url, uint32_t number)
{
	buffer_print(out, "{\"type\":\"button\",\"action_id\":\"open-%u\",\"text\":", number);
	plain_text(out, label, /* Slack's limit */ 75, /* lines */ false);
	buffer_string(out, ",\"url\":");
	buffer_json(out, url, strlen(url));
	buffer_string(out, "}");
}

/* ---- what a notice is made of ---- */

static void description(struct buffer *out, const struct cw_notice *notice, const struct fit *fit)
{
	char title[TITLE_CHARACTERS * 4], fitted[WORDS_FIT_SIZE];
	make_title(title, sizeof(title), notice);
	size_t length = words_fit(fitted, title, TITLE_CHARACTERS, /* lines */ false);
	if (words_count(fitted, length) > HEADER_CHARACTERS) /* the header shows only its beginning */
		section(out, title, TITLE_CHARACTERS);
	if (notice->description && *notice->description)
		section(out, notice->description, fit->description);
}

/* A line of `name: text`, name and text each bounded by the notice. */
static void field(struct buffer *out, const struct cw_fact *fact, uint32_t number, size_t limit)
{
	char text[1024];
	snprintf(text, sizeof(text), "%s: %s", fact->name, fact->text);
	if (number)
		buffer_string(out, ",");
	plain_text(out, text, limit, /* lines */ false);
}

static bool is_of_one(const struct cw_notice *notice)
{
	return notice->alerts.count == 1 && notice->left_out == 0;
}

/* The title says already what there is to say of the only subject. */
static bool title_says_all(const struct cw_notice *notice)
{
	if (!is_of_one(notice))
		return false;
	const struct cw_alert *alert = alert_at(notice, 0);
	return alert->is_firing && !alert->acked_by && alert->summary && *alert->summary && notice->title &&
	       strstr(notice->title, alert->summary);
}

/* The breakdown; of a single subject also what is known of it: what was known when it fired is not true of the end. */
static void fields(struct buffer *out, const struct cw_notice *notice, const struct fit *fit)
{
	bool has_facts = is_of_one(notice) && alert_at(notice, 0)->is_firing;
	const struct cw_array *facts = has_facts ? &alert_at(notice, 0)->facts : NULL;
	uint32_t n = 0;
	if (notice->breakdown.count == 0 && (!facts || facts->count == 0))
		return;
	next_block(out, "section");
	key(out, "fields");
	buffer_string(out, "[");
	for (uint32_t i = 0; i < notice->breakdown.count && n < FIELDS; i++)
		field(out, cw_at(&notice->breakdown, i), n++, fit->field);
	for (uint32_t i = 0; facts && i < facts->count && n < FIELDS; i++)
		field(out, cw_at(facts, i), n++, fit->field);
	buffer_string(out, "]}");
}

static void subject_with_button(struct buffer *out, const char *text, const char *url, size_t limit, uint32_t number)
{
	next_block(out, "section");
	key(out, "text");
	plain_text(out, text, limit, /* lines */ false);
	buffer_string(out, ",\"accessory\":");
	button(out, "Open", url, number);
	buffer_string(out, "}");
}

static void more(struct buffer *out, const struct cw_notice *notice, uint32_t told)
{
	char text[40];
	uint64_t left = (uint64_t)notice->alerts.count + notice->left_out - told;
	if (left == 0)
		return;
	snprintf(text, sizeof(text), "and %llu more", (unsigned long long)left);
	context(out, text);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void subjects(struct buffer *out, const struct cw_notice *notice, const struct fit *fit)
{
	uint32_t n = least(notice->alerts.count, fit->subjects);
	for (uint32_t i = 0; i < n; i++) {
		if (title_says_all(notice) && !(fit->with_urls && words_is_url(alert_at(notice, i)->url)))
			break;
		char text[4096];
		const struct cw_alert *alert = alert_at(notice, i);
		make_subject(text, sizeof(text), alert);
		if (fit->with_urls && words_is_url(alert->url))
			subject_with_button(out, text, alert->url, fit->subject, i);
		else
			section(out, text, fit->subject);
	}
	more(out, notice, n);
}

/* The page with all of them, or what to type. */
static void way_to_them(struct buffer *out, const struct cw_notice *notice)
{
	char text[COMMAND_CHARACTERS * 4];
	if (words_is_url(notice->url)) {
		next_block(out, "actions");
		key(out, "elements");
		buffer_string(out, "[");
		button(out, "Show them", notice->url, MESSAGE_SUBJECTS);
		buffer_string(out, "]}");
	} else if (notice->command && *notice->command) {
		snprintf(text, sizeof(text), "To see them: %s", notice->command);
		section(out, text, COMMAND_CHARACTERS);
	}
}

static void origin(struct buffer *out, const struct cw_notice *notice, bool doubtful)
{
	char since[WORDS_TIME_SIZE], text[CONTEXT_CHARACTERS * 4];
	words_time(since, notice->since);
	snprintf(text, sizeof(text), "since %s \xc2\xb7 %s \xc2\xb7 id %s%s%s", since, notice->host, notice->id,
		 doubtful ? " \xc2\xb7 possible duplicate of " : "", doubtful ? notice->id : "");
	context(out, text);
}

/* ---- a message ---- */

static void begin(struct buffer *out, const struct message_place *place)
{
	buffer_string(out, "{");
	const struct {
		const char *name, *value;
	} members[] = {{"channel", place->channel}, {"ts", place->ts}, {"thread_ts", place->thread}};
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i].value) {
			key(out, members[i].name);
			buffer_json(out, members[i].value, strlen(members[i].value));
			buffer_string(out, ",");
		}
	if (place->is_broadcast)
		buffer_string(out, "\"reply_broadcast\":true,");
	/* No name, channel or link is to be found in what strangers wrote. */
	buffer_string(out, "\"link_names\":false,\"parse\":\"none\",\"mrkdwn\":false,\"unfurl_links\":false,"
			   "\"unfurl_media\":false,");
}

static void text_of(struct buffer *out, const char *text, bool doubtful, const char *id)
{
	char whole[2 * MESSAGE_TEXT_CHARACTERS];
	snprintf(whole, sizeof(whole), "%s%s%s%s", text, doubtful ? " (possible duplicate of " : "", doubtful ? id : "",
		 doubtful ? ")" : "");
	key(out, "text");
	words_json(out, whole, MESSAGE_TEXT_CHARACTERS, /* lines */ false);
}

static bool fits_in(const struct buffer *out, size_t from)
{
	return out->failed || words_count(buffer_text(out) + from, out->length - from) <= MESSAGE_BLOCKS_CHARACTERS;
}

static void attachment(struct buffer *out, const char *colour, const char *title)
{
	buffer_print(out, ",\"attachments\":[{\"color\":\"%s\",\"fallback\":", colour);
	words_json(out, title, HEADER_CHARACTERS, /* lines */ false);
	buffer_string(out, ",\"blocks\":[");
}

static void notice_blocks(struct buffer *out, const struct cw_notice *notice, const char *title, bool doubtful,
			  const struct fit *fit)
{
	buffer_string(out, ",\"blocks\":[");
	header(out, title);
	buffer_string(out, "]");
	attachment(out, look_of(notice).colour, title);
	description(out, notice, fit);
	fields(out, notice, fit);
	if (notice->common && *notice->common)
		section(out, notice->common, COMMON_CHARACTERS);
	subjects(out, notice, fit);
	way_to_them(out, notice);
	origin(out, notice, doubtful);
	buffer_string(out, "]}]");
}

void message_notice(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		    bool doubtful)
{
	char title[1024];
	make_title(title, sizeof(title), notice);
	begin(out, place);
	text_of(out, title, doubtful, notice->id);
	size_t from = out->length;
	for (size_t i = 0; i < FITS; i++) {
		buffer_cut(out, from);
		notice_blocks(out, notice, title, doubtful, &fits[i]);
		if (fits_in(out, from))
			break;
	}
	buffer_string(out, "}");
}

/* ---- in the thread ---- */

/* `subject: name: text · name: text`. */
static void details(struct buffer *out, const struct cw_alert *alert, size_t limit)
{
	char text[8192];
	int used = snprintf(text, sizeof(text), "%s", alert->subject);
	for (uint32_t i = 0; i < alert->facts.count && used < (int)sizeof(text); i++) {
		const struct cw_fact *fact = cw_at(&alert->facts, i);
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%s: %s", i ? " \xc2\xb7 " : "\n",
				 fact->name, fact->text);
	}
	section(out, text, limit);
}

static void thread_message(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
			   const char *title, bool doubtful, bool with_details)
{
	begin(out, place);
	text_of(out, title, doubtful, notice->id);
	size_t from = out->length;
	for (size_t i = 0; i < FITS; i++) {
		buffer_cut(out, from);
		buffer_string(out, ",\"blocks\":[");
		section(out, title, TITLE_CHARACTERS);
		uint32_t n = least(notice->alerts.count, fits[i].subjects);
		for (uint32_t j = 0; with_details && j < n; j++)
			details(out, alert_at(notice, j), fits[i].details);
		if (with_details)
			more(out, notice, n);
		else
			subjects(out, notice, &fits[i]);
		origin(out, notice, doubtful);
		buffer_string(out, "]");
		if (fits_in(out, from))
			break;
	}
	buffer_string(out, "}");
}

void message_details(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		     bool doubtful)
{
	char title[120];
	uint64_t all = (uint64_t)notice->alerts.count + notice->left_out;
	uint32_t told = least(notice->alerts.count, MESSAGE_SUBJECTS);
	if (told < all)
		snprintf(title, sizeof(title), "The %u most important of %llu", told, (unsigned long long)all);
	else
		snprintf(title, sizeof(title), "What is known of each of the %llu", (unsigned long long)all);
	thread_message(out, place, notice, title, doubtful, /* with_details */ true);
}

void message_change(struct buffer *out, const struct message_place *place, const struct cw_notice *notice,
		    bool doubtful)
{
	char title[1024];
	make_title(title, sizeof(title), notice);
	thread_message(out, place, notice, title, doubtful, /* with_details */ false);
}

/* ---- many at once ---- */

bool message_is_last(const struct cw_notice *const *notices, uint32_t n, uint32_t index)
{
	for (uint32_t i = index + 1; i < n; i++)
		if (strcmp(notices[i]->incident, notices[index]->incident) == 0)
			return false;
	return true;
}

/* What it is all about, and the colour of the worst that still fires. */
static const char *make_digest_title(char *buffer, size_t size, const struct cw_notice *const *notices, uint32_t n)
{
	uint32_t firing = 0, resolved = 0;
	enum cw_severity worst = CW_SEVERITY_INFO;
	for (uint32_t i = 0; i < n; i++) {
		if (!message_is_last(notices, n, i))
			continue;
		resolved += notices[i]->kind == CW_NOTICE_RESOLVED;
		if (notices[i]->kind == CW_NOTICE_RESOLVED || notices[i]->kind == CW_NOTICE_TEST)
			continue;
		firing++;
		worst = notices[i]->severity > worst ? notices[i]->severity : worst;
	}
	struct look look = firing ? look_of_severity(worst) : (struct look){"\xe2\x9c\x94", "RESOLVED", "#2e9e5b"};
	snprintf(buffer, size, "%s %u notices have waited: %u firing, %u resolved", look.shape, n, firing, resolved);
	return look.colour;
}

/* Lines of one section, as many as go into one. */
static uint32_t digest_lines(struct buffer *out, const struct cw_notice *const *notices, uint32_t n, uint32_t from,
			     size_t limit)
{
	char text[WORDS_FIT_SIZE], title[1024], line[WORDS_FIT_SIZE];
	size_t used = 0, count = 0;
	uint32_t i = from;
	for (; i < n; i++) {
		if (!message_is_last(notices, n, i))
			continue;
		make_title(title, sizeof(title), notices[i]);
		size_t length = words_fit(line, title, limit, /* lines */ false);
		size_t more = words_count(line, length) + 1;
		if (count + more > WORDS_LIMIT_MAX)
			break;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "\n" : "", line);
		count += more;
	}
	if (used) { /* fitted and escaped by now */
		next_block(out, "section");
		buffer_string(out, "\"text\":{\"type\":\"plain_text\",\"emoji\":false,\"text\":");
		buffer_json(out, text, used);
		buffer_string(out, "}}");
	}
	return i;
}

static void digest_blocks(struct buffer *out, const struct cw_notice *const *notices, uint32_t n, bool doubtful,
			  size_t limit)
{
	char title[200];
	const char *colour = make_digest_title(title, sizeof(title), notices, n);
	buffer_string(out, ",\"blocks\":[");
	header(out, title);
	buffer_string(out, "]");
	attachment(out, colour, title);
	for (uint32_t i = 0; i < n;)
		i = digest_lines(out, notices, n, i, limit);
	origin(out, notices[n - 1], doubtful);
	buffer_string(out, "]}]");
}

void message_digest(struct buffer *out, const struct message_place *place, const struct cw_notice *const *notices,
		    uint32_t n, bool doubtful)
{
	static const size_t limits[] = {250, 160, 110, 80}; /* of a line; 50 of the last always fit */
	char title[200];
	make_digest_title(title, sizeof(title), notices, n);
	begin(out, place);
	text_of(out, title, doubtful, notices[n - 1]->id);
	size_t from = out->length;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		buffer_cut(out, from);
		digest_blocks(out, notices, n, doubtful, limits[i]);
		if (fits_in(out, from))
			break;
	}
	buffer_string(out, "}");
}

/* ---- text alone ---- */

static void plain_notice(struct buffer *text, const struct cw_notice *notice)
{
	char line[4096];
	uint32_t n = least(notice->alerts.count, MESSAGE_SUBJECTS);
	if (notice->common && *notice->common)
		buffer_print(text, "\n%s", notice->common);
	for (uint32_t i = 0; i < n && !title_says_all(notice); i++) {
		make_subject(line, sizeof(line), alert_at(notice, i));
		buffer_print(text, "\n%s", text_start(line, 300).text);
	}
	if (notice->alerts.count + notice->left_out > n)
		buffer_print(text, "\nand %u more", notice->alerts.count + notice->left_out - n);
}

/* What must be there comes first, since the end may be cut. */
void message_plain(struct buffer *out, const struct message_place *place, const struct cw_notice *const *notices,
		   uint32_t n, bool doubtful)
{
	struct buffer text;
	char title[1024];
	buffer_init(&text, /* head */ 0, MESSAGE_BYTES_MAX);
	if (n > 1)
		make_digest_title(title, sizeof(title), notices, n);
	else
		make_title(title, sizeof(title), notices[0]);
	buffer_print(&text, "%s\n%sid %s", title, doubtful ? "possible duplicate of " : "", notices[n - 1]->id);
	for (uint32_t i = 0; i < n && n > 1; i++) {
		make_title(title, sizeof(title), notices[i]);
		if (message_is_last(notices, n, i))
			buffer_print(&text, "\n%s", text_start(title, 150).text);
	}
	if (n == 1)
		plain_notice(&text, notices[0]);
	buffer_bytes(&text, "", 1);
	begin(out, place);
	key(out, "text");
	words_json(out, text.failed ? "?" : buffer_text(&text), MESSAGE_TEXT_CHARACTERS, /* lines */ true);
	buffer_string(out, "}");
	buffer_release(&text);
}
